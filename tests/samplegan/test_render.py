import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from samplegan import render as render_module
from samplegan.errors import ConfigError, MachineError, Stopped
from samplegan.finishing import Unusable
from samplegan.loudness import measure
from samplegan.pack.manifest import JOURNAL_NAME, MANIFEST_NAME
from samplegan.render import (
    ATTEMPTS,
    Existing,
    RenderOptions,
    plan_render,
    random_generator,
    render,
    render_sound,
)

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from fakes import FakeModel, FakeRepresentation  # noqa: E402


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


@pytest.fixture(scope="module")
def twelve(tmp_path_factory):
    """An uninterrupted pack of twelve."""
    folder = tmp_path_factory.mktemp("packs") / "twelve"
    render(FakeModel(), folder, count=12, jobs=1)
    return content(folder)


def test_a_pack_is_files_and_a_manifest(twelve):
    manifest = json.loads(twelve[MANIFEST_NAME])
    assert manifest["schema_version"] == 1
    assert manifest["model"]["licences"] == {"CC0-1.0": 3}
    assert [each["index"] for each in manifest["files"]] == list(range(1, 13))
    assert {each["file"] for each in manifest["files"]} | {MANIFEST_NAME} == set(twelve)
    assert "/tmp" not in twelve[MANIFEST_NAME].decode()


def test_files_are_24_bit_stereo_as_the_manifest_says(tmp_path):
    summary = render(FakeModel(), tmp_path / "pack", count=3)
    for record in json.loads(summary.manifest.read_text())["files"]:
        info = soundfile.info(tmp_path / "pack" / record["file"])
        assert (info.samplerate, info.channels, info.subtype) == (44_100, 2, "PCM_24")
        audio = soundfile.read(tmp_path / "pack" / record["file"], dtype="float32")[0].T
        measured = measure(np.ascontiguousarray(audio))
        assert measured.true_peak_dbtp <= -1.0
        assert measured.true_peak_dbtp == pytest.approx(record["true_peak_dbtp"], abs=1e-3)
        assert measured.momentary_lufs == pytest.approx(record["momentary_lufs"], abs=1e-3)
        if record["limited_by"] == "target":
            assert measured.momentary_lufs == pytest.approx(-17, abs=0.01)


def test_flac_holds_the_same_samples_as_wav(tmp_path):
    render(FakeModel(), tmp_path / "wav", count=2)
    render(FakeModel(), tmp_path / "flac", count=2, options=RenderOptions(format="flac"))
    for wav in (tmp_path / "wav").glob("*.wav"):
        flac = tmp_path / "flac" / f"{wav.stem}.flac"
        assert np.array_equal(soundfile.read(wav, dtype="int32")[0], soundfile.read(flac, dtype="int32")[0])


@pytest.mark.parametrize("jobs", [2, 5])
def test_the_number_of_jobs_changes_no_byte(tmp_path, twelve, jobs):
    render(FakeModel(), tmp_path / "pack", count=12, jobs=jobs)
    assert content(tmp_path / "pack") == twelve


def test_a_smaller_pack_is_the_start_of_a_larger_one(tmp_path, twelve):
    render(FakeModel(), tmp_path / "pack", count=5)
    small = content(tmp_path / "pack")
    small.pop(MANIFEST_NAME)
    assert small.items() <= twelve.items()


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"truncation": 0.5}, {"length_seconds": 0.1}, {"loudness_lufs": -20.0}]
)
def test_every_option_changes_the_sound(tmp_path, other):
    model = FakeModel()
    first = render_sound(model, 1, RenderOptions().checked(model))
    second = render_sound(model, 1, RenderOptions(**other).checked(model))
    assert first.data != second.data


def test_no_two_latents_share_their_randomness():
    seen = {
        tuple(random_generator(seed, index, attempt).standard_normal(4))
        for seed in range(3)
        for index in range(1, 20)
        for attempt in range(3)
    }
    assert len(seen) == 3 * 19 * 3


def test_silent_sounds_are_tried_again(tmp_path):
    model = FakeModel(silent_share=0.5)
    first = render(model, tmp_path / "first", count=12, jobs=1)
    render(model, tmp_path / "second", count=12, jobs=3)
    assert content(tmp_path / "first") == content(tmp_path / "second")
    assert any(each["attempt"] > 0 for each in json.loads(first.manifest.read_text())["files"])


def test_sounds_that_stay_silent_are_counted(tmp_path):
    with pytest.raises(Unusable, match=f"after {ATTEMPTS} attempts"):
        render_sound(FakeModel(silent_share=1.1), 1, RenderOptions().checked(FakeModel()))
    summary = render(FakeModel(silent_share=1.1), tmp_path / "pack", count=3)
    assert sorted(summary.failed) == [1, 2, 3]
    assert summary.problem().exit_code == 4
    assert json.loads(summary.manifest.read_text())["failed"] == [1, 2, 3]


# --- the output folder


def test_a_used_folder_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for existing in (Existing.REFUSE, Existing.RESUME, Existing.SKIP):
        with pytest.raises(ConfigError, match="not empty"):
            render(FakeModel(), tmp_path, count=2, existing=existing)
    assert [each.name for each in tmp_path.iterdir()] == ["mine.txt"]


def test_overwrite_removes_only_the_pack_itself(tmp_path, twelve):
    pack = tmp_path / "pack"
    render(FakeModel(), pack, count=4, options=RenderOptions(seed=5))
    old = content(pack)
    (pack / "mine.txt").write_text("mine")
    (pack / "kick_mine_001.wav").write_bytes(b"mine")
    render(FakeModel(), pack, count=12, existing=Existing.OVERWRITE)
    after = content(pack)
    assert after.pop("mine.txt") == b"mine" and after.pop("kick_mine_001.wav") == b"mine"
    assert after == twelve
    assert old != after


def test_a_manifest_cannot_point_outside_its_folder(tmp_path):
    pack = tmp_path / "pack"
    render(FakeModel(), pack, count=2)
    victim = tmp_path / "victim.wav"
    victim.write_bytes(b"precious")
    document = json.loads((pack / MANIFEST_NAME).read_text())
    document["files"][0]["file"] = "../victim.wav"
    (pack / MANIFEST_NAME).write_text(json.dumps(document))
    with pytest.raises(Exception, match="manifest"):
        render(FakeModel(), pack, count=2, existing=Existing.OVERWRITE)
    assert victim.read_bytes() == b"precious"


def test_a_foreign_file_in_the_way_is_kept(tmp_path, twelve):
    pack = tmp_path / "pack"
    pack.mkdir()
    name = next(iter(twelve.keys() - {MANIFEST_NAME}))
    (pack / name).write_bytes(b"mine")
    with pytest.raises(ConfigError, match="not part of this pack"):
        render(FakeModel(), pack, count=12, existing=Existing.OVERWRITE)
    assert (pack / name).read_bytes() == b"mine"


def test_out_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="folder"):
        render(FakeModel(), tmp_path / "file", count=1)
    with pytest.raises(MachineError):
        render(FakeModel(), tmp_path / "file" / "below", count=1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(MachineError, match="permission"):
        render(FakeModel(), tmp_path / "pack", count=1)


# --- resuming


def test_a_finished_pack_can_be_extended(tmp_path, twelve):
    pack = tmp_path / "pack"
    render(FakeModel(), pack, count=5)
    summary = render(FakeModel(), pack, count=12, existing=Existing.RESUME)
    assert (summary.written, summary.kept) == (7, 5)
    assert content(pack) == twelve


def test_a_missing_and_a_damaged_file_are_made_again(tmp_path, twelve):
    pack = tmp_path / "pack"
    render(FakeModel(), pack, count=12)
    first, second = sorted(pack.glob("*.wav"))[:2]
    first.unlink()
    second.write_bytes(b"damaged")
    summary = render(FakeModel(), pack, count=12, existing=Existing.RESUME)
    assert summary.written == 2
    assert content(pack) == twelve


def test_nothing_to_do_is_said(tmp_path, twelve):
    pack = tmp_path / "pack"
    render(FakeModel(), pack, count=12)
    problem = render(FakeModel(), pack, count=12, existing=Existing.RESUME).problem()
    assert problem is not None and problem.exit_code == 4
    assert render(FakeModel(), pack, count=12, existing=Existing.SKIP).problem() is None
    assert content(pack) == twelve


@pytest.mark.parametrize(
    ("model", "options", "word"),
    [
        (FakeModel(), RenderOptions(seed=2), "--seed 0, not 2"),
        (FakeModel(), RenderOptions(truncation=0.5), "--truncation"),
        (FakeModel(), RenderOptions(format="flac"), "--format"),
        (FakeModel(), RenderOptions(length_seconds=0.1), "--length"),
        (FakeModel(), RenderOptions(ceiling_dbtp=-2), "--ceiling"),
        (FakeModel(), RenderOptions(loudness_lufs=-18), "--loudness"),
        (FakeModel(sha256="a" * 64), RenderOptions(), "model"),
    ],
)
def test_resuming_with_something_else_is_refused(tmp_path, model, options, word):
    render(FakeModel(), tmp_path / "pack", count=1)
    with pytest.raises(ConfigError, match=word):
        render(model, tmp_path / "pack", count=2, options=options, existing=Existing.RESUME)


CHILD = textwrap.dedent("""
    import sys
    sys.path.insert(0, sys.argv[1])
    from fakes import FakeModel
    from pathlib import Path
    from samplegan.errors import SampleganError
    from samplegan.render import Existing, render
    try:
        render(FakeModel(wait=0.05), Path(sys.argv[2]), count=12, jobs=2, existing=Existing.RESUME)
    except SampleganError as error:
        print(error)
        sys.exit(error.exit_code)
""")


def child(folder):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(HERE), str(folder)], stdout=subprocess.PIPE, text=True
    )


def wait_for_files(folder, count, process):
    until = time.monotonic() + 50
    while len(list(folder.glob("*.wav"))) < count and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)


def test_a_killed_render_resumes_to_the_same_pack(tmp_path, twelve):
    pack = tmp_path / "pack"
    process = child(pack)
    wait_for_files(pack, 3, process)
    process.kill()
    process.communicate()
    if (pack / JOURNAL_NAME).exists():  # and as if the power had failed in the middle of a line
        with (pack / JOURNAL_NAME).open("ab") as journal:
            journal.write(b'{"file": "kick_ha')
    render(FakeModel(), pack, count=12, existing=Existing.RESUME)
    assert content(pack) == twelve


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_what_is_done(tmp_path, twelve, number):
    pack = tmp_path / "pack"
    process = child(pack)
    wait_for_files(pack, 2, process)
    process.send_signal(number)
    told, _ = process.communicate()
    assert process.returncode == 128 + number
    assert "--resume" in told
    assert (pack / JOURNAL_NAME).exists() and not (pack / MANIFEST_NAME).exists()
    render(FakeModel(), pack, count=12, existing=Existing.RESUME)
    assert content(pack) == twelve


def test_a_full_disk_keeps_what_is_done(tmp_path, twelve, monkeypatch):
    pack = tmp_path / "pack"
    real, calls = render_module.write_atomic, []

    def write(path, data):
        calls.append(path)
        if len(calls) > 4:
            raise MachineError("cannot write: the disk is full", file=path, hint="--resume")
        real(path, data)

    monkeypatch.setattr(render_module, "write_atomic", write)
    with pytest.raises(MachineError, match="disk is full"):
        render(FakeModel(), pack, count=12, jobs=2)
    monkeypatch.undo()
    assert len(list(pack.glob("*.wav"))) == 4
    summary = render(FakeModel(), pack, count=12, existing=Existing.RESUME)
    assert summary.kept == 4
    assert content(pack) == twelve


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits")
def test_a_file_size_limit_is_told(tmp_path):
    script = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n" + CHILD
    done = subprocess.run(
        [sys.executable, "-c", script, str(HERE), str(tmp_path / "pack")], capture_output=True, text=True
    )
    assert done.returncode == 5, done.stderr
    assert "cannot write" in done.stdout
    assert not list((tmp_path / "pack").glob("*.wav"))
    assert not list((tmp_path / "pack").glob(".*.tmp-*"))


def test_space_is_checked_first(tmp_path):
    with pytest.raises(MachineError, match="not enough space"):
        render(FakeModel(), tmp_path / "pack", count=10**12)
    assert not (tmp_path / "pack").exists()


def test_a_second_render_into_the_same_folder_is_refused(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    pack = tmp_path / "pack"
    pack.mkdir()
    with (pack / JOURNAL_NAME).open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(MachineError, match="another samplegan"):
            render(FakeModel(), pack, count=1, existing=Existing.RESUME)


# --- options


@pytest.mark.parametrize(
    "options",
    [
        RenderOptions(seed=-1),
        RenderOptions(seed=2**64),
        RenderOptions(length_seconds=0.001),
        RenderOptions(length_seconds=9.0),
        RenderOptions(truncation=0),
        RenderOptions(truncation=float("nan")),
        RenderOptions(truncation=3),
        RenderOptions(format="mp3"),
        RenderOptions(loudness_lufs=float("nan")),
        RenderOptions(loudness_lufs=3),
        RenderOptions(ceiling_dbtp=0.5),
    ],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(ConfigError):
        options.checked(FakeModel())


@pytest.mark.parametrize("count", [0, -3])
def test_count_must_be_positive(tmp_path, count):
    with pytest.raises(ConfigError, match="--count"):
        render(FakeModel(), tmp_path / "pack", count=count)
    assert not (tmp_path / "pack").exists()


def test_planning_writes_nothing(tmp_path):
    plan = plan_render(FakeModel(), tmp_path / "pack", count=10)
    assert plan.missing == 10
    assert not (tmp_path / "pack").exists()
    assert "10 of 10 files" in plan.summary()


def test_the_default_truncation_is_the_models():
    assert RenderOptions().checked(FakeModel(card={"truncation": 0.7})).truncation == 0.7
    assert RenderOptions().checked(FakeModel()).truncation == 1.0


def test_the_largest_seed_works():
    sound = render_sound(FakeModel(), 1, RenderOptions(seed=2**64 - 1).checked(FakeModel()))
    assert sound.record.seed == 2**64 - 1


def test_length_of_the_whole_model_is_allowed():
    model = FakeModel(representation=FakeRepresentation(length_seconds=0.3))
    assert RenderOptions(length_seconds=0.3).checked(model).length_seconds == 0.3


def test_stopped_has_the_code_of_its_signal():
    assert Stopped("stopped", signal_number=signal.SIGTERM).exit_code == 143
