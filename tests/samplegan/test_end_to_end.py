"""The whole way once, by the command line: synthesise, train, render, inspect."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

PACK = """
category: kick
length_seconds: 0.3
sources: [{folder: kicks, licence: cc0}, {synth: kick, count: 8, hold_out: false}]
speeds: [0.95, 1.0]
image: {bands: 48, frames: 32, dense_frames: 12, partials: 1}
training:
  generator_width: 8
  discriminator_width: 8
  encoder_width: 8
  code_dim: 16
  principal_steps: 100
  game_from_step: 60
  validate_steps: 50
  discriminator_rate: 0.001
  ema_steps: 20
"""


def samplegan(home, *arguments, code=0):
    """Run the real command; returns what it printed on stdout."""
    process = subprocess.run(
        [sys.executable, "-m", "samplegan", *map(str, arguments)],
        env=os.environ | {"SAMPLEGAN_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == code, process.stderr
    return process.stdout


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole-way")
    home = folder / "home"
    samplegan(home, "synth", "kick", "--count", "32", "--out", folder / "kicks")
    (folder / "pack.yaml").write_text(PACK)
    samplegan(home, "train", folder, "--steps", "150", "--threads", "1")
    samplegan(home, "render", "kick", "--count", "8", "--out", folder / "a", "--jobs", "2")
    return folder, home


def test_the_pack_is_what_was_asked_for(rendered):
    folder, _ = rendered
    manifest = json.loads((folder / "a" / "MANIFEST.json").read_text())
    assert len(manifest["files"]) == 8
    assert manifest["model"]["licences"] == {"cc0": 32, "synthesised": 8}
    assert manifest["model"]["architecture"] == "body-gan"
    for entry in manifest["files"]:
        audio, rate = soundfile.read(folder / "a" / entry["file"])
        assert rate == 44_100
        assert audio.shape[1] == 2
        assert 0.02 < len(audio) / rate <= 0.3
        assert np.all(audio[-1] == 0)
        assert entry["true_peak_dbtp"] <= -1.0 + 1e-3
        # A 24-bit file starts within 1 ms.
        assert np.flatnonzero(np.abs(audio).max(axis=1) > 1e-3)[0] <= 44


def test_inspect_agrees_with_the_manifest(rendered):
    folder, home = rendered
    reports = json.loads(samplegan(home, "inspect", folder / "a", "--json"))["files"]
    manifest = {e["file"]: e for e in json.loads((folder / "a" / "MANIFEST.json").read_text())["files"]}
    assert len(reports) == len(manifest)
    for report in reports:
        entry = manifest[Path(report["path"]).name]
        assert report["loudness"]["momentary_lufs"] == pytest.approx(entry["momentary_lufs"], abs=0.01)
        assert report["descriptors"]["duration_s"] == pytest.approx(entry["duration_seconds"], abs=1e-4)


def test_training_brings_it_nearer_to_held_out_sounds(rendered):
    folder, home = rendered
    samplegan(home, "train", folder, "--name", "untrained", "--steps", "1", "--threads", "1")
    models = json.loads(samplegan(home, "models", "--json"))["models"]
    distance = {m["name"]: m["card"]["metrics"]["held_out_mmd"] for m in models if not m["bundled"]}
    assert distance["kick"] < 0.25 * distance["untrained"], distance


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_threads(rendered):
    folder, home = rendered
    samplegan(home, "render", "kick", "--count", "3", "--out", folder / "b", "--jobs", "1")
    for path in (folder / "b").glob("*.wav"):
        assert path.read_bytes() == (folder / "a" / path.name).read_bytes()
    samplegan(home, "render", "kick", "--count", "3", "--out", folder / "c", "--seed", "1")
    assert {p.read_bytes() for p in (folder / "c").glob("*.wav")}.isdisjoint(
        {p.read_bytes() for p in (folder / "a").glob("*.wav")}
    )


def test_inspect_does_not_load_torch(rendered):
    folder, _ = rendered
    file = next((folder / "a").glob("*.wav"))
    code = (
        "import sys; from samplegan.cli import run\n"
        f"run(['inspect', {str(file)!r}, '--json'])\n"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
