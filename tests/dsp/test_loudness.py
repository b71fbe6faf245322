"""Loudness and true peak against the standard, and against two other implementations."""

from __future__ import annotations

import math

import numpy as np
import pyebur128
import pyloudnorm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from dsp import loudness
from dsp.kernels import waveform

RATE = 44_100


def sine(hertz: float, seconds: float, *, rate_hz: int = RATE, level: float = 1.0) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(
        np.float32
    )


def kick(seconds: float, *, seed: int = 0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    random = np.random.default_rng(seed)
    sweep = np.sin(2 * np.pi * (50 * time + 150 * 0.03 * (1 - np.exp(-time / 0.03)))) * np.exp(-time / 0.15)
    sound = sweep + 0.2 * random.standard_normal((2, time.size)) * np.exp(-time / 0.02)
    return (0.89 * sound / np.abs(sound).max()).astype(np.float32)


def test_k_weighting_is_the_table_of_the_standard_at_48_khz():
    expected = [
        [1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585],
        [1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621],
    ]
    assert np.allclose(loudness.k_weighting(48_000), expected, atol=1e-8)


@pytest.mark.parametrize("rate_hz", [32_000, 44_100, 48_000, 96_000])
def test_a_full_scale_sine_reads_what_the_standard_says(rate_hz):
    tone = sine(997.0, 2.0, rate_hz=rate_hz)
    both, one = np.stack([tone, tone]), np.stack([tone, 0 * tone])
    for measure in (loudness.integrated_lufs, loudness.momentary_maximum_lufs):
        assert measure(both, rate_hz) == pytest.approx(0.0, abs=0.03)
        assert measure(one, rate_hz) == pytest.approx(-3.01, abs=0.03)


@pytest.mark.parametrize("seconds", [0.4, 0.7, 1.0, 2.35])
def test_integrated_agrees_with_libebur128(seconds):
    sound = kick(seconds, seed=int(seconds * 100))
    state = pyebur128.R128State(2, RATE, pyebur128.MeasurementMode.MODE_I)
    state.add_frames(np.ascontiguousarray(sound.T).ravel(), sound.shape[1])
    assert loudness.integrated_lufs(sound) == pytest.approx(pyebur128.get_loudness_global(state), abs=0.02)


def test_integrated_agrees_with_pyloudnorm():
    sound = np.tile(kick(0.5), 6)
    theirs = pyloudnorm.Meter(RATE).integrated_loudness(sound.T)
    assert loudness.integrated_lufs(sound) == pytest.approx(theirs, abs=0.15)


def test_the_momentary_maximum_agrees_with_libebur128():
    sound = np.pad(kick(0.6), ((0, 0), (RATE, RATE)))
    state = pyebur128.R128State(2, RATE, pyebur128.MeasurementMode.MODE_M)
    highest = -math.inf
    step = 441  # libebur128 reads the last 400 ms whenever it is asked
    for start in range(0, sound.shape[1], step):
        block = np.ascontiguousarray(sound[:, start : start + step].T)
        state.add_frames(block.ravel(), block.shape[0])
        highest = max(highest, pyebur128.get_loudness_momentary(state))
    assert loudness.momentary_maximum_lufs(sound) == pytest.approx(highest, abs=0.02)


def test_one_block_reads_the_same_both_ways():
    sound = kick(0.4)
    assert loudness.momentary_maximum_lufs(sound) == pytest.approx(loudness.integrated_lufs(sound), abs=0.02)


def test_silence_around_a_sound_changes_nothing_but_the_integrated_loudness():
    sound = kick(0.12)
    alone = loudness.momentary_maximum_lufs(sound)
    assert loudness.integrated_lufs(sound) is None
    for before, after in ((0, 200_000), (30_000, 0), (7, 13)):
        padded = np.pad(sound, ((0, 0), (before, after)))
        assert loudness.momentary_maximum_lufs(padded) == pytest.approx(alone, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(gain_db=st.floats(-60.0, 20.0), seconds=st.floats(0.002, 0.6))
def test_gain_moves_every_level_by_itself(gain_db, seconds):
    sound = kick(seconds)
    gain = np.float32(10 ** (gain_db / 20))
    louder = sound * gain
    assert loudness.momentary_maximum_lufs(louder) - loudness.momentary_maximum_lufs(sound) == pytest.approx(
        gain_db, abs=1e-3
    )
    assert loudness.true_peak(louder) == pytest.approx(gain * loudness.true_peak(sound), rel=1e-4)


def test_silence_is_minus_infinity():
    silence = np.zeros((2, RATE), np.float32)
    assert loudness.momentary_maximum_lufs(silence) == -math.inf
    assert loudness.integrated_lufs(silence) is None
    assert loudness.true_peak(silence) == 0.0
    assert loudness.true_peak(np.zeros((2, 0), np.float32)) == 0.0


@pytest.mark.parametrize("phase", [0.0, 0.25, 0.5])
def test_true_peak_of_a_sine_between_samples(phase):
    # A quarter of the rate, sampled 45 degrees off its crests: the samples reach 0.707 only.
    time = np.arange(2_000)
    fade = np.minimum(1.0, np.minimum(time, time[::-1]) / 300.0)
    tone = (fade * np.sin(0.5 * np.pi * time + phase * np.pi)).astype(np.float32)
    assert loudness.true_peak(np.stack([tone, tone])) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_true_peak_agrees_with_other_resamplers(seed):
    sound = kick(0.3, seed=seed)
    ours = 20 * math.log10(loudness.true_peak(sound))
    scipy_peak = np.abs(resample_poly(sound, 4, 1, axis=1)).max()
    assert ours == pytest.approx(20 * math.log10(scipy_peak), abs=0.1)
    state = pyebur128.R128State(2, RATE, pyebur128.MeasurementMode.MODE_TRUE_PEAK)
    padded = np.pad(sound, ((0, 0), (0, 200)))
    state.add_frames(np.ascontiguousarray(padded.T).ravel(), padded.shape[1])
    theirs = max(pyebur128.get_true_peak(state, channel) for channel in range(2))
    assert ours == pytest.approx(20 * math.log10(theirs), abs=0.25)


def test_skipping_quiet_stretches_does_not_change_the_peak():
    sound = kick(0.2, seed=9)
    phases, bound = loudness._interpolator()
    assert waveform.interpolated_peak(sound, phases, bound) == waveform.interpolated_peak(
        sound, phases, np.inf
    )


def test_compiled_and_plain_kernels_agree():
    sound = kick(0.01)
    sections = loudness.k_weighting(RATE)
    compiled, plain = np.empty((2, 500)), np.empty((2, 500))
    waveform.biquads(sound, sections, compiled)
    waveform.biquads.py_func(sound, sections, plain)
    assert np.allclose(compiled, plain, atol=1e-12)
    phases, bound = loudness._interpolator()
    assert waveform.interpolated_peak(sound, phases, bound) == pytest.approx(
        float(waveform.interpolated_peak.py_func(sound, phases, bound)), rel=1e-5
    )
    power = np.square(compiled).sum(axis=0)
    assert waveform.largest_window_sum(power, 40) == pytest.approx(np.convolve(power, np.ones(40)).max())


@pytest.mark.parametrize("share_of_rate", [0.05, 0.2, 0.35, 0.45])
def test_the_true_peak_of_a_tone_is_its_crest_as_far_as_four_points_per_sample_tell(share_of_rate):
    time = np.arange(3_000)
    fade = np.hanning(time.size) ** 0.25
    # The crest lies at most half a step, an eighth of a sample, from the nearest point.
    lowest = math.cos(2 * math.pi * share_of_rate / 8)
    for phase in np.linspace(0, np.pi, 9):
        tone = fade * np.sin(2 * np.pi * share_of_rate * time + phase)
        assert lowest - 0.005 < loudness.true_peak(tone[np.newaxis]) < 1.005


def test_channels_and_lengths_do_not_matter_to_the_filters():
    sound = kick(0.05)
    both = loudness.k_weight(sound, ring_samples=100)
    for channel in range(2):
        assert (
            loudness.k_weight(sound[channel : channel + 1], ring_samples=100)[0].tobytes()
            == both[channel].tobytes()
        )
    assert loudness.k_weight(sound).tobytes() == both[:, :-100].tobytes()
    assert loudness.k_weight(np.pad(sound, ((0, 0), (0, 100)))).tobytes() == both.tobytes()
