"""What the script that measures controls makes of sounds whose answer is known, and how it goes on."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

sys.path.append(str(Path(__file__).parents[2] / "scripts"))  # the script imports its neighbours
import measure_controls as script
from document_sections import read_sections

from samplegan import config, store, synth
from samplegan.audio import SAMPLE_RATE
from samplegan.config import ImageSettings, Training
from samplegan.dataset import training_sound
from samplegan.descriptors import describe
from samplegan.errors import ConfigError, InputError
from samplegan.gan import build_generator
from samplegan.gates import Fingerprints
from samplegan.representation import representation_for
from samplegan.steering import CONTROLS, Directions
from samplegan.tuning import parse_pitch

REPRESENTATION = representation_for(
    ImageSettings(bands=32, frames=16, linear_bins=8, dense_frames=4, partials=1), 0.2
)
LONG = list(CONTROLS).index("long")
OWN = np.random.default_rng(0).normal([12.0, 10.0, -3.0, -4.0, -60.0], [2.0, 1.0, 0.5, 1.0, 0.0], (40, 5))


def kick(index: int) -> np.ndarray:
    return training_sound(synth.synthesise("kick", 1, index), 1.0, REPRESENTATION.length_samples)


def save(path: Path) -> None:
    """An untrained model with all that a bundled one has."""
    torch.manual_seed(0)
    training = Training(generator_width=4, encoder_width=4, code_dim=8)
    generator = build_generator(training, REPRESENTATION)
    images = np.stack([REPRESENTATION.analyse(kick(index)) for index in range(12)])
    with torch.no_grad():
        generator.know(generator.encode(torch.from_numpy(images))[0])
    card = {
        "name": "kick",
        "category": "kick",
        "steps": 1_234,
        "representation": REPRESENTATION.to_document(),
        "training": config.to_document(training),
        "data": {"licences": {"cc0": 12}},
    }
    store.save_model(path, generator, card)
    known = store.load_model(str(path))
    prints = Fingerprints.of(map(kick, range(6)), map(kick, range(6, 12)), REPRESENTATION.length_seconds)
    directions = Directions.of_model(known, sounds=48)
    store.save_model(path, generator, card, directions=directions, fingerprints=prints)


# --- measures


def test_what_moves_is_told_in_deviations_and_which_way():
    spread = OWN.std(axis=0)
    after = OWN[:20].copy()
    after[:, LONG] += 0.6 * spread[LONG]
    after[:, 0] -= 0.3 * spread[0]
    found = script.moved(OWN, after, 1.0, LONG)
    assert found["moved"][LONG] == pytest.approx(0.6) and found["moved"][0] == pytest.approx(-0.3)
    assert found["moved"][1] == 0.0
    assert found["asked_way"] == 1.0 and script.moved(OWN, after, -1.0, LONG)["asked_way"] == 0.0
    assert found["value"] == pytest.approx(np.median(after[:, LONG]))


def test_a_sound_at_the_end_of_what_there_is_has_no_room():
    before = OWN.copy()
    before[:10, LONG] = OWN[:, LONG].max()
    after = before[:20].copy()
    after[10:, LONG] += 0.1
    found = script.moved(before, after, 2.0, LONG)
    assert found["counted"] == 0.5 and found["asked_way"] == 1.0
    assert 0.0 < found["room"] <= 2.0
    stuck = script.moved(before, before[:10], 2.0, LONG)
    assert stuck["moved"] == [None] * 5 and stuck["room"] is None and stuck["counted"] == 0.0
    few = script.moved(before[7:], after[7:13], 2.0, LONG)  # three with room: nothing is told of so few
    assert few["moved"] == [None] * 5 and few["counted"] == 0.0
    assert script.moved(before[6:], after[6:14], 2.0, LONG)["counted"] == 0.5


def test_what_does_not_differ_is_not_infinitely_far():
    wide = list(CONTROLS).index("wide")
    after = OWN[:8].copy()
    after[:, wide] += 2.0
    found = script.moved(OWN, after, 1.0, LONG)
    assert found["moved"][wide] == pytest.approx(2.0)  # decibels, as one of them can just be heard
    assert script.moved(OWN, after, 1.0, wide)["counted"] == 0.0


def test_silent_sounds_do_not_count():
    after = OWN[:8] + 0.1
    after[3] = np.nan
    assert script.moved(OWN, after, 1.0, LONG)["counted"] == pytest.approx(7 / 8)


@pytest.mark.parametrize(
    ("way", "room", "words"),
    [
        (0.6, 1.0, "+0.6"),
        (0.4, 1.0, "**+0.4**"),
        (-0.4, 1.0, "**-0.4**"),
        (0.4, 0.5, "+0.4 (+0.5)"),
        (-0.6, -1.0, "-0.6"),
        (0.2, -0.7, "**+0.2** (-0.7)"),
        (None, None, "–"),
    ],
)
def test_what_falls_short_is_bold(way, room, words):
    measured = {"moved": [None, None, way, None, None], "room": room}
    assert script.moved_words(measured, -1.0 if (room or 0) < 0 else 1.0, "long") == words


def test_tuned_sounds_are_compared_with_the_note():
    time = np.arange(round(0.4 * SAMPLE_RATE)) / SAMPLE_RATE

    def heard(hertz: float) -> SimpleNamespace:
        mono = np.sin(2 * np.pi * hertz * time) * np.exp(-time / 0.1)
        return SimpleNamespace(descriptors=describe(np.stack([mono, mono]).astype(np.float32)))

    def off(cents: float, octaves: int = 0) -> SimpleNamespace:
        return heard(parse_pitch("F1").hz * 2.0 ** (octaves + cents / 1200.0))

    rough = SimpleNamespace(descriptors=replace(heard(50.0).descriptors, pitch_confidence=0.1))
    plain = [off(300.0), off(-250.0, 1), off(20.0, 2), off(400.0), None, rough]
    after = [off(0.0), off(4.0, 1), off(20.0, 2), None, None, rough]
    found = script.tuned(plain, after, parse_pitch("F"))
    assert found["without_body"] == pytest.approx(1 / 5) and found["unclear"] == pytest.approx(1 / 4)
    assert found["unclear_fair"] == 0.0
    assert found["before"]["near"] == 0.0 and found["before"]["fair"] == pytest.approx(1 / 3)
    assert found["after"]["near"] == pytest.approx(2 / 3) and found["after"]["fair"] == 1.0
    assert found["after"]["median"] == pytest.approx(4.0, abs=1.5)
    # Of a note with its octave, another octave is no near miss.
    assert script.tuned(plain[1:2], after[1:2], parse_pitch("F1"))["after"]["median"] == pytest.approx(
        1204.0, abs=2.0
    )


def test_a_straight_way_in_equal_steps_is_even_and_forward():
    first, last = np.zeros(3), np.array([7.0, 0.0, 0.0])
    line = np.linspace(first, last, 8)
    found = script.way_of(line, first, last)
    np.testing.assert_allclose(found["steps"], 1.0)
    assert found["forward"] == 1.0 and found["detour"] == pytest.approx(1.0)
    np.testing.assert_allclose(found["ends"], 0.0, atol=1e-12)
    back = line[[0, 2, 1, 3, 4, 5, 6, 7]]
    bent = script.way_of(back + np.array([0.0, 0.7, 0.0]), first, last)
    assert bent["forward"] == pytest.approx(6 / 7) and bent["detour"] == pytest.approx(9 / 7)
    np.testing.assert_allclose(bent["ends"], 0.1)
    np.testing.assert_allclose(bent["steps"] * 9 / 7, [2, 1, 2, 1, 1, 1, 1])


def test_the_nearest_are_looked_for_in_all_and_in_blocks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(script, "BLOCK_FILES", 3)
    places = np.array([0.0, 10.0, 30.0, 1.0, 60.0, 64.0])[:, None]
    found = script.nearest_of(places)
    assert found == {"pair": 1.0, "pair_in_block": pytest.approx((10 + 4) / 2), "mean": pytest.approx(39 / 6)}
    # What was never made is near to nothing.
    found = script.nearest_of(np.append(places, [[np.nan], [69.0]], axis=0))
    assert found == {"pair": 1.0, "pair_in_block": 7.0, "mean": pytest.approx(44 / 7)}


def test_of_a_folder_what_bundled_models_may_know_is_left_out(tmp_path: Path):
    folder = tmp_path / "kick"
    folder.mkdir()
    model = SimpleNamespace(category="kick", representation=REPRESENTATION)
    with (tmp_path / "MANIFEST.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "licence"])
        for index in range(26):
            name = f"kick_{index:02}.wav"
            soundfile.write(folder / name, kick(index).T, SAMPLE_RATE)
            rows.writerow([f"kick/{name}", "cc0" if index < 2 else "free"])
    found = script.unseen_sounds(model, tmp_path)
    assert sorted(file.name for file in found.files) == [f"kick_{index:02}.wav" for index in range(2, 26)]
    (folder / "kick_25.wav").unlink()
    with pytest.raises(InputError, match="23 sounds here"):
        script.unseen_sounds(model, tmp_path)
    with pytest.raises(ConfigError, match="no such folder"):
        script.unseen_sounds(model, folder)


# --- the whole of it


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "kick.safetensors"
    save(path)
    return path


@pytest.fixture
def bundled(tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of bundled models with one that is tiny, and counts that are."""
    folder = tmp_path / "weights"
    folder.mkdir()
    shutil.copy(model_file, folder)
    monkeypatch.setattr(store, "BUNDLED_FOLDER", folder)
    for name, value in {"PLAIN_SOUNDS": 8, "GATED_FILES": 16, "MOST_SOURCES": 6, "STEPS": 3}.items():
        monkeypatch.setattr(script, name, value)
    monkeypatch.setattr(script, "VARIED", (0.0, 1.0))
    return folder


def test_every_question_is_answered_once(bundled: Path, tmp_path: Path, monkeypatch, capsys):
    document, work = tmp_path / "docs" / "controls.md", tmp_path / "work"

    def run(*arguments: str) -> int:
        given = ["--count", "4", "--threads", "2", "--work", str(work), "--out", str(document)]
        monkeypatch.setattr(sys, "argv", ["measure_controls.py", *given, *arguments])
        return script.main()

    assert run() == 0
    text = document.read_text(encoding="utf-8")
    sections = read_sections(document)
    assert list(sections) == [
        "controls",
        *CONTROLS,
        "pitch",
        "truncation",
        "vary",
        "morph",
        "gates",
        "models",
    ]
    assert all("| kicks |" in section for name, section in sections.items() if name != "controls")
    assert "--count 4 --threads 2`" in sections["models"] and "4 of 6 synthesised" in sections["models"]
    record_file = work / "controls" / "kick.json"
    record = json.loads(record_file.read_text())
    vary = record["vary"]
    assert vary["of_nearest"]["0"] < vary["of_nearest"]["1"]
    assert vary["lost"]["levels_db"] > 0.0 and vary["again_of_nearest"] > 0.0
    gates = record["gates"]
    assert gates["drawn"] == gates["files"] + gates["alike"] + sum(gates["refused"].values())

    capsys.readouterr()
    assert run() == 0
    assert capsys.readouterr().out == "" and document.read_text(encoding="utf-8") == text
    document.unlink()
    assert run("--only-report") == 0 and document.read_text(encoding="utf-8") == text

    record_file.write_text(json.dumps(record | {"sha256": "of another model"}))
    monkeypatch.setattr(script, "measure", lambda category, settings: asked.append(category))
    asked: list[str] = []
    assert run() == 0 and asked == ["kick"]


def test_a_model_that_changed_or_other_sounds_are_measured_again(bundled, tmp_path, monkeypatch):
    measured = []
    monkeypatch.setattr(script, "unseen_sounds", lambda model, audio: measured.append(model.sha256) or 1 / 0)
    settings = script.Settings(None, tmp_path, 4, 1)
    sha256 = store.load_model(str(bundled / "kick.safetensors")).sha256
    done = {"sha256": sha256, "count": 4, "kind": "synthesised"}
    script.write_json(settings.record("kick"), done)
    script.measure("kick", settings)
    assert measured == []
    for other in (replace(settings, count=5), replace(settings, audio=tmp_path)):
        with pytest.raises(ZeroDivisionError):
            script.measure("kick", other)
    loaded = store.load_model(str(bundled / "kick.safetensors"))
    store.save_model(bundled / "kick.safetensors", loaded.generator, loaded.card | {"steps": 1_235})
    with pytest.raises(ZeroDivisionError):
        script.measure("kick", settings)
    assert len(measured) == 3 and measured[-1] != sha256


def test_a_folder_that_is_missing_is_said(bundled, tmp_path, monkeypatch, capsys):
    arguments = [
        "--audio",
        str(tmp_path / "none"),
        "--work",
        str(tmp_path),
        "--out",
        str(tmp_path / "out.md"),
    ]
    monkeypatch.setattr(sys, "argv", ["measure_controls.py", *arguments])
    assert script.main() == ConfigError.exit_code
    assert "error: kick: " in capsys.readouterr().err
