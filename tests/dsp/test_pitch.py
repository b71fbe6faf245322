"""Onset, envelope, pitch and sweep of sounds whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp import pitch

RATE = 44_100


def kick(
    settled_hz: float,
    *,
    start_hz: float = 200.0,
    sweep_s: float = 0.03,
    decay_s: float = 0.15,
    click: float = 0.1,
    seconds: float = 0.6,
    rate_hz: int = RATE,
) -> np.ndarray:
    """A sine whose pitch falls and that decays, both exponentially, with a noisy click; float32 [sample]."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    hertz = settled_hz + (start_hz - settled_hz) * np.exp(-time / sweep_s)
    tone = np.sin(2 * np.pi * np.cumsum(hertz) / rate_hz) * np.exp(-time / decay_s)
    noise = click * np.random.default_rng(0).standard_normal(time.size) * np.exp(-time / 0.003)
    return (0.5 * (tone + noise)).astype(np.float32)


def cents(found_hz: float, true_hz: float) -> float:
    return float(1200 * np.log2(found_hz / true_hz))


@pytest.mark.parametrize("settled_hz", [36.0, 41.2, 49.0, 55.0, 65.4, 82.4, 110.0])
@pytest.mark.parametrize("sweep_s, decay_s", [(0.02, 0.15), (0.05, 0.15), (0.03, 0.4)])
def test_a_kick_is_as_low_as_it_settles(settled_hz, sweep_s, decay_s):
    track = pitch.pitch_and_sweep(kick(settled_hz, sweep_s=sweep_s, decay_s=decay_s))
    assert abs(cents(track.pitch_hz, settled_hz)) < 20
    assert abs(cents(track.end_hz, settled_hz)) < 20
    assert track.confidence > 0.9
    assert track.sweep_semitones == pytest.approx(cents(200.0, settled_hz) / 100, abs=2.0)
    within_hz = settled_hz * (2 ** (0.8 / 12) - 1)
    assert track.sweep_s == pytest.approx(sweep_s * np.log((200 - settled_hz) / within_hz), abs=0.03)


@pytest.mark.parametrize("hertz", [45.0, 98.0, 220.0, 440.0, 880.0, 1500.0])
def test_a_tone_has_no_sweep(hertz):
    track = pitch.pitch_and_sweep(kick(hertz, start_hz=hertz, click=0.0, decay_s=0.1))
    assert abs(cents(track.pitch_hz, hertz)) < 3
    assert track.confidence > 0.9
    assert abs(track.sweep_semitones) < 0.5
    assert track.sweep_s < 0.03


@pytest.mark.parametrize("rate_hz", [22_050, 48_000, 96_000])
def test_other_rates(rate_hz):
    track = pitch.pitch_and_sweep(kick(55.0, rate_hz=rate_hz), rate_hz)
    assert abs(cents(track.pitch_hz, 55.0)) < 10


@pytest.mark.parametrize("decay_s", [0.02, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_noise_has_no_pitch(decay_s, seed):
    time = np.arange(26_460) / RATE
    noise = np.random.default_rng(seed).standard_normal(time.size) * np.exp(-time / decay_s)
    assert pitch.pitch_and_sweep(noise.astype(np.float32)).confidence < 0.2


def test_the_fundamental_wins_over_its_harmonics():
    time = np.arange(26_460) / RATE
    tone = sum(np.sin(2 * np.pi * 80 * n * time) / n for n in range(1, 6)) * np.exp(-time / 0.2)
    assert abs(cents(pitch.pitch_and_sweep(tone.astype(np.float32)).pitch_hz, 80.0)) < 5


def test_a_sweep_that_never_settles_is_not_trusted():
    track = pitch.pitch_and_sweep(kick(36.0, sweep_s=0.1, decay_s=0.05))
    assert track.confidence < 0.5


@settings(max_examples=25, deadline=None)
@given(gain=st.floats(1e-4, 1.0), lead=st.integers(0, 2_000))
def test_gain_and_leading_silence_do_not_matter(gain, lead):
    sound = kick(60.0)
    reference = pitch.pitch_and_sweep(sound)
    moved = pitch.pitch_and_sweep(np.pad(np.float32(gain) * sound, (lead, 0)))
    assert abs(cents(moved.pitch_hz, reference.pitch_hz)) < 2
    assert moved.confidence == pytest.approx(reference.confidence, abs=0.02)


@pytest.mark.parametrize("samples", [0, 1, 2, 50, 300])
def test_sounds_too_short_for_a_pitch(samples):
    assert pitch.pitch_and_sweep(np.ones(samples, np.float32)).pitch_hz == 0.0


def test_onset_is_the_first_sample_within_40_db():
    sound = np.zeros(1_000, np.float32)
    sound[100], sound[200], sound[300] = 0.009, -0.011, 1.0
    assert pitch.onset_sample(sound) == 200
    assert pitch.onset_sample(sound, below_peak_db=-50.0) == 100
    assert pitch.onset_sample(np.zeros(10, np.float32)) == 0


@pytest.mark.parametrize("hertz", [40.0, 100.0, 1_000.0])
def test_the_envelope_of_a_decaying_sine_has_no_ripple(hertz):
    time = np.arange(RATE) / RATE
    sound = (np.sin(2 * np.pi * hertz * time) * np.exp(-time / 0.2)).astype(np.float32)
    level_db = 20 * np.log10(pitch.envelope(sound)[4_410:22_050])
    expected_db = 20 * np.log10(np.exp(-time / 0.2) * np.sqrt(0.5))[4_410:22_050]
    assert np.abs(level_db - expected_db).max() < 0.5
