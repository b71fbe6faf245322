"""Training: progress on disk, exact resumption, clean stops, clear refusals."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from samplegan import store
from samplegan.errors import ConfigError, InputError, MachineError, SampleganError
from samplegan.gan import players
from samplegan.train import guess_category, pick_device, train

PACK = """
category: kick
length_seconds: 0.2
sources: [{synth: kick, count: 40}]
image: {bands: 32, frames: 16, linear_bins: 8, dense_frames: 4}
training: {batch: 8, generator_width: 4, discriminator_width: 4, latent_dim: 8, checkpoint_seconds: 0.0, STEPS}
"""


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMPLEGAN_HOME", str(tmp_path / "home"))


@pytest.fixture
def pack(tmp_path):
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "pack.yaml").write_text(PACK.replace("STEPS", "steps: 12"))
    return folder


def weights(name):
    return store.find_model(name).read_bytes()


def test_a_run_leaves_a_model_a_card_a_log_and_pictures(pack):
    result = train(pack, quiet=True, threads=1)
    assert result.name == "kick"
    assert result.steps == 12
    model = store.load_model("kick")
    assert model.card["data"]["licences"] == {"synthesised": 40}
    assert model.images(np.zeros((1, 8), dtype=np.float32)).shape == (1, 2, 32, 16)
    assert "held-out MMD" in result.model_path.with_suffix(".md").read_text()
    assert [p.suffix for p in (result.run_folder / "previews").iterdir()] == [".png"]
    log = [json.loads(line) for line in (result.run_folder / "log.jsonl").read_text().splitlines()]
    assert all(entry["step"] <= 12 for entry in log)
    assert "samplegan render kick" in result.summary()


def test_a_resumed_run_equals_one_that_never_stopped(pack):
    train(pack, name="whole", quiet=True, threads=1)
    train(pack, name="halves", steps=5, quiet=True, threads=1)
    half = weights("halves")
    train(pack, name="halves", steps=12, resume=True, quiet=True, threads=1)
    assert half != weights("halves")
    first, second = (safetensors.torch.load(weights(name)) for name in ("whole", "halves"))
    assert first.keys() == second.keys()
    for key, tensor in first.items():
        assert torch.equal(tensor, second[key]), key


def test_the_seed_decides_everything(pack):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(pack, name=name, seed=seed, steps=3, quiet=True, threads=1)
    one, same, other = (safetensors.torch.load(weights(name)) for name in "abc")
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


def run_in_background(pack, home):
    code = (
        "import sys; from pathlib import Path; from samplegan.train import train\n"
        "from samplegan.errors import Stopped\n"
        "try: train(Path(sys.argv[1]), name='job', steps=10**6, quiet=True, threads=1)\n"
        "except Stopped as stopped: print(stopped); sys.exit(stopped.exit_code)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(pack)],
        env=os.environ | {"SAMPLEGAN_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < until, f"{path} never appeared"
        time.sleep(0.05)


def test_two_processes_do_not_train_one_run(pack, tmp_path):
    job = run_in_background(pack, tmp_path / "home")
    wait_for(tmp_path / "home/runs/job/checkpoint.safetensors")
    with pytest.raises(MachineError, match="another samplegan is training"):
        train(pack, name="job", overwrite=True, quiet=True, threads=1)
    job.kill()
    job.wait()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_stops_with_a_usable_model(pack, tmp_path, number, code):
    job = run_in_background(pack, tmp_path / "home")
    wait_for(tmp_path / "home/runs/job/checkpoint.safetensors")
    job.send_signal(number)
    output, _ = job.communicate(timeout=60)
    assert job.returncode == code
    assert "everything is saved" in output
    assert store.load_model("job").card["steps"] > 0


def test_a_killed_run_resumes_to_the_same_weights(pack, tmp_path):
    job = run_in_background(pack, tmp_path / "home")
    checkpoint = tmp_path / "home/runs/job/checkpoint.safetensors"
    wait_for(checkpoint)
    time.sleep(0.3)
    job.kill()
    job.wait()
    done = json.loads(safetensors.safe_open(checkpoint, "pt").metadata()["samplegan"])["step"]
    train(pack, name="job", steps=done + 3, resume=True, quiet=True, threads=1)
    train(pack, name="whole", steps=done + 3, quiet=True, threads=1)
    first, second = (safetensors.torch.load(weights(name)) for name in ("job", "whole"))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_minutes_are_kept(pack):
    began = time.monotonic()
    result = train(pack, minutes=0.03, quiet=True, threads=1)
    assert result.steps > 0
    assert time.monotonic() - began < 60


def test_what_exists_is_not_overwritten(pack):
    train(pack, steps=2, quiet=True, threads=1)
    before = weights("kick")
    with pytest.raises(ConfigError, match="exists already"):
        train(pack, steps=3, quiet=True, threads=1)
    assert weights("kick") == before
    train(pack, steps=3, overwrite=True, quiet=True, threads=1)
    assert weights("kick") != before


def test_resuming_with_other_settings_or_nothing_is_refused(pack):
    with pytest.raises(ConfigError, match="no run named"):
        train(pack, resume=True, quiet=True, threads=1)
    train(pack, steps=2, quiet=True, threads=1)
    text = (pack / "pack.yaml").read_text()
    (pack / "pack.yaml").write_text(text.replace("batch: 8", "batch: 4"))
    with pytest.raises(ConfigError, match=r"training\.batch = 8, and this is 4"):
        train(pack, resume=True, quiet=True, threads=1)


def test_a_refused_run_leaves_nothing_behind(pack, tmp_path):
    (pack / "pack.yaml").write_text((pack / "pack.yaml").read_text().replace("count: 40", "count: 5"))
    with pytest.raises(InputError, match="only 5 usable"):
        train(pack, quiet=True, threads=1)
    assert not store.runs_folder().joinpath("kick").exists()


def test_a_damaged_checkpoint_is_named(pack, tmp_path):
    train(pack, steps=2, quiet=True, threads=1)
    checkpoint = tmp_path / "home/runs/kick/checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(InputError, match="damaged"):
        train(pack, steps=4, resume=True, quiet=True, threads=1)


def test_a_diverging_run_keeps_its_last_good_checkpoint(pack, tmp_path, monkeypatch):
    train(pack, steps=4, quiet=True, threads=1)
    checkpoint = tmp_path / "home/runs/kick/checkpoint.safetensors"
    good, model = checkpoint.read_bytes(), weights("kick")
    monkeypatch.setattr(players, "generator_loss", lambda logits: logits.sum() * float("nan"))
    with pytest.raises(SampleganError, match="diverged"):
        train(pack, steps=8, resume=True, quiet=True, threads=1)
    assert checkpoint.read_bytes() == good
    assert weights("kick") == model


def test_bad_arguments_are_refused_before_anything_is_written(pack, tmp_path):
    for arguments, words in (
        ({"name": "a/b"}, "model's name"),
        ({"minutes": 0.0}, "more than 0"),
        ({"steps": 0}, "at least 1"),
        ({"architecture": "stereo-gan"}, "not an architecture"),
        ({"category": "kik"}, "not a category"),
        ({"device": "tpu"}, "not a device"),
    ):
        with pytest.raises(ConfigError, match=words):
            train(pack, quiet=True, **arguments)
    with pytest.raises(ConfigError, match="no such folder"):
        train(tmp_path / "nowhere", quiet=True)
    assert not (tmp_path / "home").exists()


def test_an_absent_gpu_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MachineError, match="no CUDA device"):
        pick_device("cuda")
    assert pick_device("auto").type == "cpu"


@pytest.mark.parametrize(
    ("words", "category"),
    [
        ("hats_closed", "hat_closed"),
        ("Open Hats", "hat_open"),
        ("my-kicks", "kick"),
        ("808 BD", "kick"),
        ("x", None),
    ],
)
def test_categories_are_guessed_from_names(words, category):
    assert guess_category(words) == category
