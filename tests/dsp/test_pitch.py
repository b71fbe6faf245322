"""Onset, envelope, pitch and sweep of sounds whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp import pitch
from dsp.kernels import waveform

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


@pytest.mark.parametrize("lead", [0, 1, 63, 5_000])
@pytest.mark.parametrize("seed", range(4))
def test_the_onset_of_an_impulse_in_noise_is_its_sample(lead, seed):
    # Gaussian noise 55 dB under the impulse stays under the threshold of 40 dB for many minutes.
    sound = 10 ** (-55 / 20) * np.random.default_rng(seed).standard_normal(8_000)
    sound[lead] += 1.0
    assert pitch.onset_sample(sound) == lead


@pytest.mark.parametrize("lead", [0, 17, 2_000])
def test_the_onset_of_a_drum_is_its_first_sample(lead):
    time = np.arange(8_000) / RATE
    noise = np.random.default_rng(0).standard_normal(time.size)
    for drum in (
        np.cos(2 * np.pi * 60 * time) * np.exp(-time / 0.1),
        np.sin(2 * np.pi * 200 * time) * np.exp(-time / 0.1),
        noise * np.exp(-time / 0.03),
    ):
        assert 0 <= pitch.onset_sample(np.pad(drum, (lead, 0))) - lead <= 1


@pytest.mark.parametrize("hertz", [50.0, 200.0, 1_000.0, 8_000.0])
@pytest.mark.parametrize("decay_s", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("drop_db", [20.0, 40.0])
def test_an_exponential_decay_lasts_as_long_as_it_does(hertz, decay_s, drop_db):
    time = np.arange(round(7 * decay_s * RATE)) / RATE
    sound = np.pad(np.cos(2 * np.pi * hertz * time) * np.exp(-time / decay_s), (500, 0))
    found = pitch.decay_seconds(pitch.envelope(sound), drop_db=drop_db)
    assert found == pytest.approx(decay_s * np.log(10) * drop_db / 20, rel=0.02)


@pytest.mark.parametrize("settled_hz", [40.0, 50.0, 65.0])
@pytest.mark.parametrize("decay_s", [0.08, 0.15, 0.3])
def test_a_kick_decays_as_its_amplitude_does(settled_hz, decay_s):
    sound = np.pad(kick(settled_hz, decay_s=decay_s, click=0.0, seconds=6 * decay_s), (100, 0))
    for drop_db in (20.0, 40.0):
        found = pitch.decay_seconds(pitch.envelope(sound), drop_db=drop_db)
        assert found == pytest.approx(decay_s * np.log(10) * drop_db / 20, rel=0.02)


def test_a_decay_of_noise_and_at_another_rate():
    time = np.arange(48_000) / 48_000
    noise = np.random.default_rng(0).standard_normal(time.size) * np.exp(-time / 0.1)
    found = pitch.decay_seconds(pitch.envelope(noise, 48_000, smoothing_seconds=0.03), 48_000)
    assert found == pytest.approx(0.1 * np.log(10), rel=0.1)


def test_the_decay_counts_from_the_highest_level_and_for_good():
    level = np.concatenate([np.linspace(0, 1, 1_000), np.full(100, 0.05), np.full(100, 0.5), np.zeros(50)])
    assert pitch.decay_seconds(level, RATE) == pytest.approx((1 + 200) / RATE)
    assert pitch.decay_seconds(level, RATE, drop_db=3.0) == pytest.approx(1 / RATE, rel=300)
    assert (
        pitch.decay_seconds(np.ones(441), RATE, drop_db=40.0) == 441 / RATE
    )  # it ends before it has decayed
    assert pitch.decay_seconds(np.zeros(100)) == 0.0


@pytest.mark.parametrize("samples", [8_000, 16_384 - 300, 32_768 - 300, 40_000])
def test_what_the_envelope_of_a_low_tone_leaves_behind_is_inaudible(samples):
    # A transform is as round as a ring: what comes after the end stands before the start.
    time = np.arange(samples) / RATE
    sound = np.sin(2 * np.pi * 50 * time + 0.8) * np.exp(-time / 0.01)
    level_db = 20 * np.log10(pitch.envelope(np.pad(sound, (3_000, 0))) + 1e-9)
    assert level_db[:500].max() < level_db.max() - 45
    assert level_db[-1_500:].max() < level_db.max() - 70


@pytest.mark.parametrize("hertz", [30.0, 60.0, 997.0, 15_000.0])
def test_a_steady_sine_reads_its_rms(hertz):
    level = pitch.envelope(np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE), smoothing_seconds=0.05)
    np.testing.assert_allclose(level[6_000:-6_000], np.sqrt(0.5), rtol=0.02)


@pytest.mark.parametrize("settled_hz", [36.0, 48.0, 65.0, 100.0])
@pytest.mark.parametrize("sweep_s", [0.007, 0.012, 0.03])
@pytest.mark.parametrize("ratio", [3.0, 6.0])
def test_a_sweep_begins_where_it_began(settled_hz, sweep_s, ratio):
    sound = kick(settled_hz, start_hz=ratio * settled_hz, sweep_s=sweep_s, decay_s=0.25, click=0.05)
    track = pitch.pitch_and_sweep(sound)
    assert abs(cents(track.pitch_hz, settled_hz)) < 10
    assert track.sweep_semitones == pytest.approx(12 * np.log2(ratio), abs=1.5)
    within = 2 ** (0.8 / 12) - 1
    assert track.sweep_s == pytest.approx(sweep_s * np.log((ratio - 1) / within), abs=0.01)


@pytest.mark.parametrize("rate_hz", [8_000, 32_000, 44_100, 192_000])
def test_a_sweep_at_other_rates(rate_hz):
    track = pitch.pitch_and_sweep(kick(55.0, sweep_s=0.015, rate_hz=rate_hz), rate_hz)
    assert abs(cents(track.pitch_hz, 55.0)) < 10
    assert track.sweep_semitones == pytest.approx(12 * np.log2(200 / 55), abs=1.5)


def test_confidence_knows_when_a_pitch_is_wrong():
    random = np.random.default_rng(0)
    for _ in range(40):
        settled_hz, ratio = 32 * 4 ** random.random(), 1.2 * 5 ** random.random()
        sound = kick(
            settled_hz,
            start_hz=ratio * settled_hz,
            sweep_s=0.006 * 10 ** random.random(),
            decay_s=0.08 * 6 ** random.random(),
            click=10 ** random.uniform(-3, -0.5),
        )
        track = pitch.pitch_and_sweep(sound)
        assert track.confidence < 0.5 or abs(cents(track.pitch_hz, settled_hz)) < 50


def test_the_share_of_a_sweep_is_that_of_least_squares():
    random = np.random.default_rng(0)
    signal = random.standard_normal(300).astype(np.float32)
    first, step, turns, decay = 0.3, 0.2, 0.011, 70.0
    shares, plain = np.empty(7), np.empty(7)
    waveform.sweep_shares(signal, turns, decay, first, step, np.empty((4, 300)), shares)
    waveform.sweep_shares.py_func(signal, turns, decay, first, step, np.empty((4, 300)), plain)
    np.testing.assert_allclose(shares, plain, rtol=1e-6)
    n = np.arange(300)
    for k, share in enumerate(shares):
        phase = 2 * np.pi * (turns * n + (first + k * step) * (1 - np.exp(-n / decay)))
        basis = np.stack([np.cos(phase), np.sin(phase)], axis=1)
        rest = np.linalg.lstsq(basis, signal.astype(float), rcond=None)[1][0]
        assert share == pytest.approx(1 - rest / np.sum(signal.astype(float) ** 2), rel=1e-4)


def test_kernels_do_what_their_python_does():
    signal = kick(80.0)[:3_000]
    energy = np.concatenate([[0.0], np.cumsum(signal.astype(float) ** 2)])
    fast, plain = np.empty((2, 60), dtype=np.float32)
    waveform.periodicity(signal, energy, 1_500, 520, fast)
    waveform.periodicity.py_func(signal, energy, 1_500, 520, plain)
    np.testing.assert_allclose(fast, plain, atol=1e-5)
    for lag in (520, 551):  # against the words of its docstring
        length = lag + lag // 2
        start = 1_500 - (length + lag) // 2
        early, late = signal[start:][:length].astype(float), signal[start + lag :][:length].astype(float)
        wanted = early @ late / np.sqrt((early @ early) * (late @ late))
        assert fast[lag - 520] == pytest.approx(wanted, abs=1e-5)
    similarity = np.cos(np.linspace(0, 14, 200)).astype(np.float32)
    assert waveform.best_period(signal, 1_500, 5, similarity, 0.9) == pytest.approx(
        waveform.best_period.py_func(signal, 1_500, 5, similarity, 0.9), rel=1e-5
    )
    clicked = signal.copy()
    clicked[2_000] += 0.2
    skip = np.array([0, 200])
    for sound, hits in ((signal, 0), (clicked, 1)):
        arguments = (sound, 32, 14.0, 0.01, skip)
        assert waveform.isolated_steps(*arguments) == waveform.isolated_steps.py_func(*arguments) == hits
    clipped = np.clip(3 * signal, -1, 1)
    runs = waveform.flat_runs(clipped, np.float32(0.999), 3)
    assert runs == waveform.flat_runs.py_func(clipped, np.float32(0.999), 3) > 0
