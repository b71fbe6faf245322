"""Descriptors of sounds whose physics is known."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from samplegan.descriptors import FLOOR_DB, describe, note_of
from samplegan.errors import InputError

sys.path.insert(0, str(Path(__file__).parent))
import corpus

RATE = 44_100
TIME = np.arange(26_460) / RATE


def stereo(mono: np.ndarray) -> np.ndarray:
    return np.stack([mono, mono]).astype(np.float32)


def noise(decay_s: float, *, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(TIME.size) * np.exp(-TIME / decay_s)


def tone(hertz: float, decay_s: float = 0.1) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * TIME) * np.exp(-TIME / decay_s)


def test_a_known_kick():
    hertz = 55.0 + 145.0 * np.exp(-TIME / 0.03)
    sound = 0.8 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE) * np.exp(-TIME / 0.1)
    found = describe(stereo(sound))
    assert found.note == "A"
    assert found.midi_note == 33
    assert abs(found.note_offset_cents) < 15
    assert found.pitch_sweep_semitones == pytest.approx(22.3, abs=2)
    assert found.decay_20_db_s == pytest.approx(0.1 * np.log(10), abs=0.02)
    assert found.decay_40_db_s == pytest.approx(0.2 * np.log(10), abs=0.02)
    assert found.attack_s < 0.005
    assert found.low_share_db > -3.0
    assert found.high_share_db < -40.0
    assert found.flatness < 0.01
    assert found.ripple_db < 0.5
    assert found.width_db == FLOOR_DB
    assert found.mono_loss_db == 0.0
    assert found.low_correlation == pytest.approx(1.0)
    assert found.clicks == found.clipped_runs == 0
    assert found.tail_db < -40.0


def test_a_hat_is_bright_noise_without_a_note():
    found = describe(stereo(np.diff(noise(0.04), prepend=0.0)))
    assert found.attack_centroid_hz > 8_000
    assert found.flatness > 0.2
    assert found.high_share_db > -2.0
    assert found.note is None
    assert found.midi_note is None
    assert found.low_correlation is None


@pytest.mark.parametrize("attack_s", [0.0, 0.005, 0.02, 0.05])
def test_attack(attack_s):
    rise = np.minimum(1.0, (TIME + 1e-9) / max(attack_s, 1e-6))
    level = rise * np.exp(-np.maximum(TIME - attack_s, 0.0) / 0.05)
    # -3 dB on a linear rise stand at 0.71 of it, and the onset at 0.01.
    assert describe(stereo(tone(1_000.0, 9.0) * level)).attack_s == pytest.approx(0.70 * attack_s, abs=0.0015)


@pytest.mark.parametrize("hertz", [100.0, 1_000.0, 8_000.0])
def test_the_centroid_of_a_tone_is_its_frequency(hertz):
    found = describe(stereo(tone(hertz)))
    assert found.tail_centroid_hz == pytest.approx(hertz, rel=0.1, abs=30)


@pytest.mark.parametrize("width_db", [-40.0, -20.0, -6.0, 0.0])
def test_width(width_db):
    mid, side = noise(0.1, seed=1), noise(0.1, seed=2) * 10 ** (width_db / 20)
    found = describe(np.stack([mid + side, mid - side]).astype(np.float32))
    assert found.width_db == pytest.approx(width_db, abs=0.3)
    assert found.mono_loss_db == pytest.approx(10 * np.log10(1 + 10 ** (width_db / 10)), abs=0.2)


def test_out_of_phase_lows():
    low = tone(60.0)
    found = describe(np.stack([low, -low]).astype(np.float32))
    assert found.low_correlation == pytest.approx(-1.0)
    assert found.mono_loss_db > 60.0
    assert found.pitch_hz == pytest.approx(60.0, rel=0.01)


def test_amplitude_ripple():
    steady = describe(stereo(noise(0.15))).ripple_db
    wobble = 10 ** (3.0 * np.sin(2 * np.pi * 30.0 * TIME) / 20)
    assert steady < 0.6
    assert describe(stereo(tone(200.0, 0.15))).ripple_db < 0.1
    # A wobble of 3 dB peak is 2.1 dB RMS, less what the 10 ms envelope smooths away.
    assert describe(stereo(tone(200.0, 0.15) * wobble)).ripple_db == pytest.approx(1.8, abs=0.3)


@pytest.mark.parametrize("position", [5_000, 12_345, 20_000])
def test_a_click_is_found(position):
    for clean in (tone(80.0, 0.2), tone(400.0, 0.1), noise(0.05)):
        assert describe(stereo(clean)).clicks == 0
    sound = tone(80.0, 0.2)
    sound[position] += 0.1
    assert describe(stereo(sound)).clicks == 1
    sound = tone(80.0, 0.2)
    sound[position:] += 0.1 * np.exp(-TIME[: TIME.size - position] / 0.05)
    assert describe(stereo(sound)).clicks == 1


def test_a_click_in_one_channel_is_found_once():
    sound = stereo(tone(80.0, 0.2))
    sound[1, 9_000] += 0.1
    assert describe(sound).clicks >= 1


def test_a_second_onset_is_no_click():
    clap = noise(0.01) + np.roll(noise(0.1, seed=1), 900) * (TIME > 900 / RATE)
    assert describe(stereo(clap)).clicks == 0


def test_steps_at_both_ends():
    sound = tone(100.0, 9.0)[110:22_000]
    found = describe(stereo(sound))
    assert found.start_step_dbfs == pytest.approx(-6.0, abs=0.2)
    assert found.end_step_dbfs > -20.0
    assert found.tail_db > -3.0
    faded = describe(corpus.drum(channels=2))
    assert faded.end_step_dbfs == FLOOR_DB


@pytest.mark.parametrize("offset", [0.003, 0.05])
def test_dc(offset):
    sound = tone(55.0, 0.1)
    assert describe(stereo(sound)).dc_dbfs < -60.0
    assert describe(stereo(sound + offset)).dc_dbfs == pytest.approx(20 * np.log10(offset), abs=3.0)


def test_clipping():
    sound = 2.0 * tone(100.0)
    assert describe(stereo(sound * 0.99)).clipped_runs == 0
    assert describe(stereo(np.clip(sound * 1.5, -1.0, 1.0))).clipped_runs >= 4


def test_noise_floor():
    quiet = 1e-3 * np.random.default_rng(0).standard_normal(TIME.size)
    assert describe(stereo(tone(200.0, 0.03) + quiet)).noise_floor_dbfs == pytest.approx(-60.0, abs=1.0)


@pytest.mark.parametrize("samples", [88, 100, 441, 1_000])
def test_very_short_sounds_are_described(samples):
    found = describe(stereo(noise(0.01)[:samples]))
    json.dumps(found.to_dict(), allow_nan=False)
    assert found.duration_s == samples / RATE


def test_silence_is_refused():
    for silence in (np.zeros((2, 1_000), np.float32), np.zeros((2, 0), np.float32)):
        with pytest.raises(InputError, match="silent"):
            describe(silence)


def test_gain_changes_levels_only():
    sound = corpus.drum(channels=2)
    loud, quiet = describe(sound).to_dict(), describe(sound * np.float32(0.01)).to_dict()
    for name in loud:
        if name != "note" and not name.endswith("dbfs"):
            assert loud[name] == pytest.approx(quiet[name], rel=0.02, abs=0.02), name


def test_notes():
    assert note_of(440.0) == ("A", 69, 0.0)
    name, midi, cents = note_of(261.6256)
    assert (name, midi) == ("C", 60)
    assert abs(cents) < 0.01
    assert note_of(440.0 * 2 ** (0.4 / 12))[2] == pytest.approx(40.0)
