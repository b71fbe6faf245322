"""The sine test's measures: each tells its own fault, and none a plain decaying sine's."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.signal import hilbert

sys.path.append(str(Path(__file__).parents[2] / "scripts"))  # the script imports its neighbours
import sine_test as script

from samplegan.config import Training, load_pack
from samplegan.evaluate.sets import Sounds

RATE = 44_100
TIME_S = np.arange(round(0.8 * RATE)) / RATE
PLAIN = script.Tone(100.0, 0.5, -80.0, -10.0, -60.0, 1.0, 0.0, 0.0)


def sound(
    hertz: float = 120.0,
    *,
    decay_s: float = 0.6,
    cents: float = 0.0,
    rise_db: float = 0.0,
    other_db: float = -300.0,
) -> np.ndarray:
    """A decaying sine [2, sample], perhaps with a vibrato, a level that comes back, or another line beside it."""
    course = hertz * 2.0 ** (cents / 1200.0 * np.sin(2 * np.pi * 7.0 * TIME_S))
    phase = 2 * np.pi * np.cumsum(course) / RATE
    level_db = -60.0 * TIME_S / decay_s + rise_db * np.exp(-(((TIME_S - 0.15) / 0.02) ** 2))
    mono = np.sin(phase) + 10.0 ** (other_db / 20.0) * np.sin(5.3 * phase)
    mono *= np.minimum(TIME_S / 0.003, 1.0) * 10.0 ** (level_db / 20.0)
    return np.stack([mono, mono]).astype(np.float32)


@pytest.mark.parametrize("hertz", [31.0, 60.0, 120.0, 390.0])
def test_a_decaying_sine_is_one_line(hertz: float):
    found = script.tone(sound(hertz))
    assert found is not None and found.is_one_line
    assert found.hertz == pytest.approx(hertz, rel=0.02)
    assert found.decay_s == pytest.approx(0.6, rel=0.05)
    assert found.rise_db == 0.0 and found.wander_cents < 5.0 and found.top_db < -60.0


def test_a_vibrato_wanders_and_nothing_else():
    found = script.tone(sound(cents=60.0))
    assert found is not None and found.wobbles and not found.rises and not found.has_company
    # Over two periods a vibrato of 7 Hz is hardly averaged out: its RMS.
    assert found.wander_cents == pytest.approx(60.0 / math.sqrt(2.0), rel=0.15)


def test_a_level_that_comes_back_rises_and_nothing_else():
    found = script.tone(sound(rise_db=8.0))
    assert found is not None and found.rises and not found.wobbles and not found.has_company
    level_db = 20 * np.log10(np.abs(hilbert(sound(rise_db=8.0)[0])))[1_500:12_000]
    fallen = np.minimum.accumulate(level_db)
    assert found.rise_db == pytest.approx(float((level_db - fallen).max()), abs=0.3)


def test_another_line_is_company_as_loud_as_it_is():
    found = script.tone(sound(other_db=-25.0))
    assert found is not None and found.has_company and not found.rises
    assert found.around_db == pytest.approx(-25.0, abs=0.3)
    assert found.rest_db >= found.around_db
    quiet = script.tone(sound(other_db=-50.0))
    assert quiet is not None and quiet.is_one_line


def test_gain_changes_nothing_and_either_channel_counts():
    plain, soft = script.tone(sound()), script.tone(0.1 * sound())
    assert plain is not None and soft is not None
    assert soft.around_db == pytest.approx(plain.around_db, abs=0.1)
    assert soft.wander_cents == pytest.approx(plain.wander_cents, abs=0.1)
    one_side = sound()
    one_side[1] += 0.2 * sound(900.0)[0]
    found = script.tone(one_side)
    assert found is not None and found.has_company


def test_silence_and_what_is_over_at_once_are_no_line():
    assert script.tone(np.zeros((2, TIME_S.size), np.float32)) is None
    found = script.tone(sound(40.0, decay_s=0.05))
    assert found is not None and found.is_too_short and not found.is_one_line


def test_sines_are_what_bodies_may_have():
    made = [script.sine(np.random.default_rng([0, index])) for index in range(24)]
    assert all(np.array_equal(*each) for each in made)
    tones = [script.tone(each) for each in made]
    assert all(each is not None and each.is_one_line for each in tones)
    hertz = np.array([each.hertz for each in tones])
    assert hertz.min() > 0.98 * script.LOWEST_HZ and hertz.max() < 1.02 * script.HIGHEST_HZ
    assert np.log2(hertz.max() / hertz.min()) > 3.0
    peaks_db = 20 * np.log10([np.abs(each).max() for each in made])
    assert peaks_db.min() >= -18.01 and peaks_db.max() <= -0.99 and np.ptp(peaks_db) > 10.0


def test_what_is_there_is_not_written_again_and_the_pack_is_the_default(tmp_path: Path):
    folder = script.write_sines(tmp_path / "learned", 3, 0)
    stamps = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    script.write_sines(folder, 4, 0)
    assert len(list(folder.iterdir())) == 4
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    pack = load_pack(script.sine_pack(folder))
    assert pack.category == "kick" and pack.speeds == (1.0,)
    assert pack.training == replace(Training(), control_sounds=0)


def test_the_section_stands_beside_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(script, "LEARNED", 3)
    monkeypatch.setattr(script, "HELD_OUT", 24)
    model = SimpleNamespace(representation=SimpleNamespace(length_samples=TIME_S.size))
    asked = []

    def trained(name, source, settings, **how):
        asked.append((name, source.name, how))
        return Path("sines.safetensors"), {"steps": 900, "batch": 16, "seconds": 240.0, "kept_step": 750}

    broken = (lambda: np.zeros((2, TIME_S.size), np.float32), lambda: sound(other_db=-20.0))
    monkeypatch.setattr(script, "trained", trained)
    monkeypatch.setattr(script, "store", SimpleNamespace(load_model=lambda path: model))
    monkeypatch.setattr(script, "round_trip", lambda sounds, representation, seed: sounds.only(range(2)))
    monkeypatch.setattr(
        script, "model_sounds", lambda model, count, seed, length: Sounds("m", (sound, *broken))
    )
    document = tmp_path / "docs" / "sound.md"
    script.write_sections(document, "Introduction.", {"kick": "## Kicks", "sine-test": "old"})
    script.run(script.Settings(None, tmp_path, 4.0, 0, 1, 24), document)
    assert asked == [("sines", "pack.yaml", {"category": "kick", "minutes": 4.0})]
    sections = script.read_sections(document)
    assert list(sections) == ["kick", "sine-test"] and sections["kick"] == "## Kicks"
    text = " ".join(sections["sine-test"].split())
    assert "Of 3 sounds of the model 1 stayed one line; the others did not" in text
    assert "1 because something sounds beyond an octave, 1 because they are silent" in text
    assert "900 steps of 16 sounds in 4.0 minutes" in text and "step 750" in text
    assert "| **the model** |" in text and "| held-out sines |" in text
    assert (document.parent / "sound" / "sine_test.png").read_bytes().startswith(b"\x89PNG")


def test_the_verdict_counts_every_fault():
    faults = (replace(PLAIN, wander_cents=30.0), replace(PLAIN, rise_db=2.0), replace(PLAIN, around_db=-10.0))
    assert [each.is_one_line for each in (PLAIN, *faults)] == [True, False, False, False]
    tones = {"sines": [PLAIN, PLAIN], "model": [PLAIN, *faults, replace(PLAIN, wander_cents=math.nan), None]}
    told = script.verdict(tones, "sines", "model")
    assert told.startswith("Of 6 sounds of the model 1 stayed one line; the others did not: 1 because")
    assert told.split(". ")[0].count("1 because") == 5
    assert script.verdict({"sines": [PLAIN], "model": [PLAIN]}, "sines", "model").startswith(
        "Of 1 sounds of the model 1 stayed one line. "
    )
