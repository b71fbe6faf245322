import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from samplegan import cli
from samplegan.audio import wav_bytes
from samplegan.cli import app, parse_seconds, run
from samplegan.errors import ConfigError

HEAVY = ("torch", "numba", "numpy", "soundfile", "matplotlib", "yaml", "rich", "tqdm", "scipy")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A store with one small, untrained model named `tiny`."""
    monkeypatch.setenv("SAMPLEGAN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    import torch

    from samplegan import config, store
    from samplegan.gan import build_generator
    from samplegan.representation import representation_for

    torch.manual_seed(3)
    training = config.Training(code_dim=8, generator_width=4, encoder_width=4)
    image = config.ImageSettings(bands=32, frames=16, linear_bins=8, dense_frames=4, partials=1)
    representation = representation_for(image, 0.2)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    card = {
        "name": "tiny",
        "category": "kick",
        "version": "0",
        "representation": representation.to_document(),
        "training": config.to_document(training),
        "data": {"licences": {"CC0-1.0": 1}},
    }
    generator = build_generator(training, representation)
    generator.know(torch.randn(9, 8))
    store.save_model(path, generator, card)
    return path


@pytest.fixture
def tiny(home, tiny_model):
    (home / "models").mkdir(parents=True)
    (home / "models" / "tiny.safetensors").write_bytes(tiny_model.read_bytes())
    return "tiny"


@pytest.fixture
def kick(tmp_path):
    time_s = np.arange(13_230) / 44_100
    body = 0.7 * np.sin(2 * np.pi * 55 * time_s) * np.exp(-time_s / 0.06)
    path = tmp_path / "kick.wav"
    path.write_bytes(wav_bytes(np.stack([body, body]).astype(np.float32), {}))
    return path


def fresh(*arguments, **options):
    """The command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "samplegan", *map(str, arguments)], capture_output=True, text=True, **options
    )


# --- what is imported


def imported_by(*arguments):
    script = (
        "import sys; from samplegan.cli import run\n"
        f"code = run({list(map(str, arguments))!r})\n"
        "print(code, *sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    code, *modules = done.stderr.split()
    assert code == "0", done.stderr
    return set(modules)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["render", "--help"], ["inspect", "-h"], ["validate", "-h"]]
)
def test_help_imports_nothing_heavy(arguments):
    assert not imported_by(*arguments) & set(HEAVY)


def test_version_does_not_import_torch():
    assert "torch" not in imported_by("--version")


def test_a_round_trip_does_not_import_torch(kick, tmp_path):
    assert not imported_by("roundtrip", kick, "--out", tmp_path / "back.wav") & {"torch", "matplotlib"}


def test_inspect_does_not_import_torch(kick):
    assert not imported_by("inspect", kick, "--json") & {"torch", "matplotlib", "scipy.signal"}


# --- help


def test_help_tells_commands_examples_and_exit_codes(capsys):
    assert run(["--help"]) == 0
    told = capsys.readouterr().out
    commands = ("render", "train", "inspect", "validate", "roundtrip", "synth", "models")
    for word in (*commands, "Examples", "Exit codes", "MyPack/"):
        assert word in told
    assert "\x1b" not in told


def test_no_arguments_is_help(capsys):
    assert run([]) == 0
    assert "Commands" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", ["render", "train", "inspect", "validate", "roundtrip", "synth", "models"]
)
def test_each_command_has_examples(command, capsys):
    assert run([command, "--help"]) == 0
    told = capsys.readouterr().out
    assert f"samplegan {command}" in told.partition("Examples:")[2]


def test_render_help_is_grouped(capsys):
    run(["render", "--help"])
    told = capsys.readouterr().out
    assert told.index("Output:") < told.index("--overwrite") < told.index("Sound:") < told.index("--seed")


def test_every_option_is_explained():
    for command in get_command(app).commands.values():
        for parameter in command.params:
            assert parameter.help, f"{command.name} {parameter.name}"


def test_version(capsys):
    assert run(["--version"]) == 0
    told = capsys.readouterr().out
    assert "samplegan 0." in told and "torch" in told and "libsndfile" in told


# --- errors


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["rendr"], 2, "did you mean 'render'"),
        (["render"], 2, "missing argument"),
        (["render", "tiny"], 2, "--out"),
        (["render", "tiny", "--out", "o", "--cuont", "3"], 2, "--count"),
        (["render", "tiny", "--out", "o", "--count", "many"], 2, "valid integer"),
        (["render", "tiny", "--out", "o", "--count", "0"], 2, "--count must be at least 1"),
        (["render", "tiny", "--out", "o", "--count", "-4"], 2, "--count must be at least 1"),
        (["render", "tiny", "--out", "o", "--jobs", "0"], 2, "--jobs must lie between 1 and 1024"),
        (["render", "tiny", "--out", "o", "--count", "1000000000000"], 5, "not enough space"),
        (["render", "tiny", "--out", "o", "--length", "abc"], 2, "'abc' is not a length"),
        (["render", "tiny", "--out", "o", "--length", "-1s"], 2, "is not a length"),
        (["render", "tiny", "--out", "o", "--length", "9s"], 2, "longer than"),
        (["render", "tiny", "--out", "o", "--seed", "-1"], 2, "--seed"),
        (["render", "tiny", "--out", "o", "--format", "mp3"], 2, "--format"),
        (["render", "tiny", "--out", "o", "--truncation", "0"], 2, "--truncation"),
        (["render", "tiny", "--out", "o", "--resume", "--overwrite"], 2, "exclude each other"),
        (["render", "tyny", "--out", "o"], 2, "did you mean 'tiny'"),
        (["render", "./absent.safetensors", "--out", "o"], 2, "no such model file"),
        (["synth", "kik", "--out", "o"], 2, "did you mean 'kick'"),
        (["synth", "kick", "--out", "o", "--count", "0"], 2, "--count"),
        (["inspect", "absent.wav"], 3, "no such file"),
        (["inspect", "."], 3, "no audio files"),
        (["train", "absent"], 2, "no such folder"),
        (["train", ".", "--category", "kik"], 2, "did you mean 'kick'"),
        (["train", ".", "--steps", "0"], 2, "--steps"),
        (["train", ".", "--resume", "--overwrite"], 2, "exclude each other"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else None,
)
def test_errors_are_told_once_with_their_code(arguments, code, words, tiny, tmp_path, monkeypatch, capsys):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert run(arguments) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert words in told.err
    assert told.err.startswith("error: ") and told.err.count("error:") == 1
    assert "Traceback" not in told.err
    assert not list((tmp_path / "empty").iterdir())


@pytest.mark.parametrize("content", [b"", b"not a model", b"\xff" * 64, b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_corrupt_model_is_input_unusable(content, tmp_path, capsys):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    assert run(["render", str(path), "--out", str(tmp_path / "o")]) == 3
    assert "broken.safetensors" in capsys.readouterr().err


def test_a_truncated_model_is_input_unusable(tiny_model, tmp_path, capsys):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(tiny_model.read_bytes()[:-1000])
    assert run(["render", str(path), "--out", str(tmp_path / "o")]) == 3


def test_debug_shows_a_traceback(tmp_path, capsys):
    assert run(["inspect", str(tmp_path / "absent.wav"), "--debug"]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_an_unexpected_error_is_a_bug(monkeypatch, capsys):
    def broken(_text):
        raise RuntimeError("oops")

    monkeypatch.setattr(cli, "parse_seconds", broken)
    assert run(["render", "x", "--out", "y", "--length", "1"]) == 1
    told = capsys.readouterr().err
    assert "this is a bug in samplegan" in told and "--debug" in told and "Traceback" not in told


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("0.25s", 0.25), ("0.25", 0.25), (" 1 S ", 1.0), ("2e-1", 0.2)]
)
def test_lengths(text, seconds):
    assert parse_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "ms", "abc", "0", "-1", "nan", "inf", "1h", "250 m", "1e9"])
def test_what_is_no_length(text):
    with pytest.raises(ConfigError, match="not a length"):
        parse_seconds(text)


# --- commands


def test_render_by_name_and_by_path_are_the_same(tiny, tiny_model, tmp_path, capsys):
    assert run(["render", tiny, "--out", str(tmp_path / "a"), "--count", "4", "--jobs", "1"]) == 0
    told = capsys.readouterr()
    assert told.out == "" and "4 files in" in told.err
    assert run(["render", str(tiny_model), "-o", str(tmp_path / "b"), "-n", "4", "-j", "3", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["written"] == 4
    assert sorted([*document["files"], "MANIFEST.json"]) == sorted(
        each.name for each in (tmp_path / "b").iterdir()
    )
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_render_options_reach_the_files(tiny, tmp_path, capsys):
    out = tmp_path / "pack"
    assert (
        run(["render", tiny, "-o", str(out), "-n", "2", "--length", "100ms", "--format", "flac", "-q"]) == 0
    )
    assert capsys.readouterr() == ("", "")
    files = json.loads((out / "MANIFEST.json").read_text())["files"]
    assert all(each["file"].endswith(".flac") and each["duration_seconds"] <= 0.1 for each in files)


def test_resume_overwrite_and_skip(tiny, tmp_path, capsys):
    out = ["render", tiny, "--out", str(tmp_path / "pack"), "--count", "2"]
    assert run(out) == 0
    assert run(out) == 2
    assert "not empty" in capsys.readouterr().err
    assert run([*out, "--resume"]) == 4
    assert "nothing to do" in capsys.readouterr().err
    assert run([*out, "--skip-existing"]) == 0
    assert run([*out, "--resume", "--count", "3"]) == 0
    assert run([*out, "--resume", "--seed", "1"]) == 2
    assert "--seed 0, not 1" in capsys.readouterr().err
    assert run([*out, "--overwrite", "--seed", "1"]) == 0
    assert len(list((tmp_path / "pack").glob("*.wav"))) == 2


def test_a_dry_run_writes_nothing(tiny, tmp_path, capsys):
    arguments = ["render", tiny, "--out", str(tmp_path / "pack"), "--count", "7", "--dry-run"]
    assert run(arguments) == 0
    assert "would render 7 of 7 files" in capsys.readouterr().out
    assert run([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["to_render"] == 7
    assert not (tmp_path / "pack").exists()


def test_ctrl_c_keeps_the_journal(tiny, home, tmp_path):
    pack = tmp_path / "pack"
    arguments = ["render", tiny, "--out", str(pack), "--count", "2000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "samplegan", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"SAMPLEGAN_HOME": str(home)},
    )
    until = time.monotonic() + 50
    while not list(pack.glob("*.wav")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in told and "--resume" in told
    assert (pack / ".samplegan-render.ndjson").exists()


def test_inspect_one_file_and_a_folder(kick, capsys):
    assert run(["inspect", str(kick)]) == 0
    assert "loudness" in capsys.readouterr().out
    assert run(["inspect", str(kick.parent), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["files"]) == 1 and document["schema_version"] == 1


def test_inspect_counts_what_it_skips(kick, capsys):
    (kick.parent / "broken.wav").write_bytes(b"no audio at all")
    assert run(["inspect", str(kick.parent), "--json"]) == 4
    told = capsys.readouterr()
    assert len(json.loads(told.out)["skipped"]) == 1
    assert "1 file could not be read" in told.err


def test_inspect_plots(kick, tmp_path, capsys):
    assert run(["inspect", str(kick), "--plot", str(tmp_path / "kick.png")]) == 0
    assert (tmp_path / "kick.png").read_bytes().startswith(b"\x89PNG")


def test_synth_writes_a_folder(tmp_path, capsys):
    assert run(["synth", "hat_closed", "--count", "2", "--out", str(tmp_path / "hats")]) == 0
    assert len(list((tmp_path / "hats").glob("*.wav"))) == 2
    assert run(["synth", "hat_closed", "--count", "2", "--out", str(tmp_path / "hats")]) == 2


def test_models_lists_yours(tiny, capsys):
    assert run(["models"]) == 0
    assert "tiny" in capsys.readouterr().out
    assert run(["models", "--json"]) == 0
    entries = {each["name"]: each for each in json.loads(capsys.readouterr().out)["models"]}
    assert entries["tiny"]["category"] == "kick"
    assert entries["tiny"]["length_seconds"] == pytest.approx(0.2)
    assert entries["tiny"]["bundled"] is False


# --- pipes


def test_a_closed_pipe_is_quiet(kick):
    for index in range(40):
        (kick.parent / f"kick_{index}.wav").write_bytes(kick.read_bytes())
    process = subprocess.Popen(
        [sys.executable, "-m", "samplegan", "inspect", str(kick.parent), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()
    told = process.stderr.read()
    assert process.wait(timeout=50) == 0
    assert told == ""


def test_a_tool_reads_what_is_printed(kick):
    done = fresh("inspect", kick, "--json", env=os.environ | {"NO_COLOR": "1", "TERM": "dumb"})
    assert done.returncode == 0 and done.stderr == ""
    assert Path(json.loads(done.stdout)["files"][0]["path"]) == kick


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_closed_stream_is_no_bug(closed, kick, tmp_path):
    redirect = {"stdout": ">&-", "stderr": "2>&-"}[closed]
    command = shlex.join(
        [sys.executable, "-m", "samplegan", "synth", "kick", "-n", "1", "-o", str(tmp_path / "k")]
    )
    done = subprocess.run(f"{command} {redirect}", shell=True, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "error" not in done.stderr
    assert len(list((tmp_path / "k").iterdir())) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_cannot_be_printed_is_the_machines_fault():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "samplegan", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 5
    assert "disk is full" in done.stderr


def test_a_skipped_file_is_named_beside_a_single_good_one(kick, tmp_path, capsys):
    assert run(["inspect", str(kick), str(tmp_path / "missing.wav")]) == 4
    assert "missing.wav: no such file" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--threads", "--jobs"])
def test_no_absurd_number_of_threads(option, tmp_path, capsys):
    command = {"--threads": ["train", str(tmp_path)], "--jobs": ["render", "x", "--out", str(tmp_path)]}[
        option
    ]
    assert run([*command, option, "100000"]) == 2
    assert option in capsys.readouterr().err


def test_plot_is_checked_before_anything_is_read(tmp_path, capsys):
    assert run(["inspect", str(tmp_path / "missing.wav"), "--plot", str(tmp_path / "a.jpg")]) == 2
    assert run(["inspect", str(tmp_path), "--plot", str(tmp_path / "a.png")]) == 2
    assert "one file" in capsys.readouterr().err


def test_a_terminal_without_umlauts_is_no_bug(kick, tmp_path):
    name = tmp_path / "ü.wav"
    name.write_bytes(kick.read_bytes())
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "samplegan", "inspect", str(name)],
        env=os.environ | ascii_only,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert "xfc" in done.stdout or "xc3" in done.stdout
