"""Measures of a reconstruction, on sounds whose distance is known."""

import warnings

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp import fidelity
from dsp.stft import Stft, window

RATE = 44_100
SAMPLES = 8_192


@pytest.fixture(scope="module")
def stft():
    return Stft(SAMPLES, window("hann", 1024), 256)


@pytest.fixture(scope="module")
def drum():
    """Two related channels: a 60 Hz tone in both, noise of its own in each. float32 [2, sample]."""
    time = np.arange(SAMPLES) / RATE
    tone = np.sin(2 * np.pi * 60 * time) * np.exp(-time / 0.06)
    noise = np.random.default_rng(2).standard_normal((2, SAMPLES)) * np.exp(-time / 0.02)
    sound = 0.5 * tone + 0.1 * noise
    sound[:, :44] = 0.0
    return sound.astype(np.float32)


def decibels(ratio):
    return 10 * np.log10(ratio)


def with_noise(sound, level_db, seed=0):
    """The sound plus noise at right angles to it, of exactly this energy relative to the sound's."""
    sound = sound.astype(np.float64)
    noise = np.random.default_rng(seed).standard_normal(sound.shape)
    noise -= sound * np.vdot(noise, sound) / np.vdot(sound, sound)
    noise *= np.sqrt(10 ** (level_db / 10) * np.sum(sound**2) / np.sum(noise**2))
    return (sound + noise).astype(np.float32)


# --- what all of them share

MEASURES = {
    "spectral convergence": (
        lambda x, s, stft: fidelity.spectral_convergence_db(np.abs(x), np.abs(s)),
        -120.0,
    ),
    "log-spectral distance": (fidelity.log_spectral_distance_db, 0.0),
    "SI-SDR": (lambda x, s, _: fidelity.si_sdr_db(x, s), 120.0),
    "low SI-SDR": (lambda x, s, _: fidelity.low_si_sdr_db(x, s), 120.0),
    "attack": (lambda x, s, _: fidelity.attack_error_seconds(x, s), 0.0),
    "mono sum": (lambda x, s, _: fidelity.mono_sum_error_db(x, s), 0.0),
    "coherence": (fidelity.coherence_error, 0.0),
}
each_measure = pytest.mark.parametrize(("measure", "perfect"), MEASURES.values(), ids=MEASURES)


@each_measure
def test_a_sound_is_perfect_beside_itself(measure, perfect, drum, stft):
    assert measure(drum, drum, stft) == perfect


@each_measure
@pytest.mark.parametrize("kinds", ["00", "0s", "s0", "1s", "ss", "s1", "ts"])
def test_every_result_is_a_finite_number(measure, perfect, kinds, drum, stft):
    sounds = {
        "0": np.zeros_like(drum),
        "s": drum,
        "t": drum * np.float32(1e-20),  # its energy vanishes in float32
        "1": np.eye(1, 2 * SAMPLES, 700, dtype=np.float32).reshape(2, -1),  # one sample of one channel
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = measure(sounds[kinds[0]], sounds[kinds[1]], stft)
    assert isinstance(value, float) and np.isfinite(value) and abs(value) <= 160.0
    if kinds == "00":
        assert value == perfect


@each_measure
def test_what_is_no_pair_is_refused(measure, perfect, drum, stft):
    with pytest.raises(ValueError, match="shape"):
        measure(drum[:, :-1], drum, stft)
    broken = drum.copy()
    broken[0, 100] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        measure(broken, drum, stft)


# --- magnitudes


@pytest.mark.parametrize("error_db", [-60.0, -20.0, 0.0, 10.0])
def test_spectral_convergence_is_the_relative_error(error_db, stft, drum):
    target = np.abs(stft.forward(drum))
    error = np.random.default_rng(0).random(target.shape)
    error *= np.sqrt(10 ** (error_db / 10) * np.sum(target.astype(float) ** 2) / np.sum(error**2))
    found = fidelity.spectral_convergence_db((target + error).astype(np.float32), target)
    assert found == pytest.approx(error_db, abs=1e-3)


def test_silence_is_as_far_as_the_target_is_large(stft, drum):
    target = np.abs(stft.forward(drum))
    assert fidelity.spectral_convergence_db(np.zeros_like(target), target) == pytest.approx(0.0)
    assert fidelity.spectral_convergence_db(target, np.zeros_like(target)) == fidelity.LIMIT_DB


@settings(max_examples=20, deadline=None)
@given(gain_db=st.floats(-20.0, 6.0))
def test_a_gain_is_a_log_spectral_distance(gain_db, stft):
    noise = (
        np.random.default_rng(3).standard_normal((2, SAMPLES)).astype(np.float32)
    )  # no cell near the floor
    louder = noise * np.float32(10 ** (gain_db / 20))
    assert fidelity.log_spectral_distance_db(louder, noise, stft) == pytest.approx(abs(gain_db), abs=0.01)


def test_what_lies_below_the_floor_is_no_distance(stft, drum):
    hiss = np.random.default_rng(5).standard_normal(drum.shape).astype(np.float32)
    peak = np.abs(stft.forward(drum)).max()
    hiss *= np.float32(10 ** (-100 / 20)) * peak / np.abs(stft.forward(hiss)).max()
    loud = hiss * 1_000  # 40 dB above the floor
    assert fidelity.log_spectral_distance_db(drum + hiss, drum, stft) < 0.05
    assert fidelity.log_spectral_distance_db(drum + loud, drum, stft) > 5.0


def test_silent_frames_do_not_dilute_the_distance(drum):
    padded = np.pad(drum, ((0, 0), (0, 3 * SAMPLES)))
    short = fidelity.log_spectral_distance_db(0.5 * drum, drum, Stft(SAMPLES, window("hann", 512), 128))
    stft = Stft(4 * SAMPLES, window("hann", 512), 128)
    assert fidelity.log_spectral_distance_db(0.5 * padded, padded, stft) == pytest.approx(short, rel=0.02)


# --- waveforms


@pytest.mark.parametrize("noise_db", [-40.0, -10.0, 0.0, 15.0])
@pytest.mark.parametrize("gain", [1.0, 0.01, -3.0])
def test_si_sdr_counts_the_noise_and_neither_gain_nor_sign(noise_db, gain, drum):
    found = fidelity.si_sdr_db(np.float32(gain) * with_noise(drum, noise_db), drum)
    assert found == pytest.approx(-noise_db, abs=0.01)


@pytest.mark.parametrize("below_hz", [0.0, -5.0, 30_000.0, np.nan])
def test_a_low_end_below_no_frequency_is_refused(below_hz, drum):
    with pytest.raises(ValueError, match="below_hz"):
        fidelity.low_si_sdr_db(drum, drum, below_hz)
    with pytest.raises(ValueError, match="below_hz"):
        fidelity.low_share_db(drum, below_hz)


def test_si_sdr_has_one_scale_for_both_channels(drum):
    assert fidelity.si_sdr_db(drum * np.float32([[1], [-1]]), drum) < 0.0
    assert fidelity.si_sdr_db(drum * np.float32([[1], [0.5]]), drum) < 15.0


def test_low_si_sdr_hears_only_the_low_end(drum):
    high_pass = scipy.signal.butter(8, 2_000, "high", fs=RATE, output="sos")
    noise = (with_noise(drum, 20.0) - drum) * np.hanning(SAMPLES)
    hiss = scipy.signal.sosfiltfilt(high_pass, noise).astype(np.float32)
    assert fidelity.si_sdr_db(drum + hiss, drum) < -10.0
    assert fidelity.low_si_sdr_db(drum + hiss, drum) > 40.0
    time = np.arange(SAMPLES) / RATE
    hum = (np.sin(2 * np.pi * 90 * time) * np.hanning(SAMPLES)).astype(np.float32)
    assert fidelity.low_si_sdr_db(drum + hum, drum) < 5.0


def test_phase_is_what_low_si_sdr_measures():
    """cos(a) of the tone is left and sin(a) of it is wrong."""
    time = np.arange(SAMPLES) / RATE
    tone, turned = (
        (np.hanning(SAMPLES) * np.sin(2 * np.pi * 100 * time + angle)).astype(np.float32)[np.newaxis]
        for angle in (0.0, 0.3)
    )
    assert fidelity.low_si_sdr_db(turned, tone) == pytest.approx(-20 * np.log10(np.tan(0.3)), abs=0.1)


def test_the_share_of_the_low_end(drum):
    low, high = np.zeros((2, 2, SAMPLES), dtype=np.float32)
    time = np.arange(SAMPLES) / RATE
    low[:] = np.sin(2 * np.pi * 60 * time) * np.hanning(SAMPLES)
    high[:] = np.sin(2 * np.pi * 3_000 * time) * np.hanning(SAMPLES)
    assert fidelity.low_share_db(low) == pytest.approx(0.0, abs=0.01)
    assert fidelity.low_share_db(low + 3 * high) == pytest.approx(-10.0, abs=0.05)
    assert fidelity.low_share_db(0 * low) == -fidelity.LIMIT_DB


# --- time


def test_pre_echo_is_the_share_before_the_onset():
    sound = np.zeros((2, 1_000), dtype=np.float32)
    sound[:, 500:] = 1.0
    sound[:, 400:500] = 0.1
    assert fidelity.pre_echo_db(sound, 500) == pytest.approx(decibels(100 * 0.01 / (500 + 1)), abs=1e-4)
    assert fidelity.pre_echo_db(sound, 400) == -fidelity.LIMIT_DB
    assert fidelity.pre_echo_db(sound, 1_000) == pytest.approx(0.0)
    assert fidelity.pre_echo_db(0 * sound, 500) == -fidelity.LIMIT_DB
    with pytest.raises(ValueError, match="onset"):
        fidelity.pre_echo_db(sound, 1_001)


@pytest.mark.parametrize("late_samples", [-40, 0, 7, 441])
def test_the_attack_is_late_by_as_much_as_the_sound(late_samples, drum):
    original = np.pad(drum, ((0, 0), (500, 500)))
    late = np.roll(original, late_samples, axis=1) * np.float32(0.3)
    error = fidelity.attack_error_seconds(late, original)
    assert error == pytest.approx(abs(late_samples) / RATE, abs=2 / RATE)


def test_a_soft_attack_is_an_error(drum):
    soft = drum * np.minimum(1.0, np.arange(SAMPLES) / 2_000).astype(np.float32)
    assert fidelity.attack_error_seconds(soft, drum) > 0.002


def test_the_attack_of_silence_is_at_its_end(drum):
    error = fidelity.attack_error_seconds(np.zeros_like(drum), drum)
    assert 0.9 * SAMPLES / RATE < error <= SAMPLES / RATE


# --- stereo


def pair_with_coherence(share, seed=4):
    """White noise, `share` of whose amplitude both channels have in common."""
    random = np.random.default_rng(seed)
    common, left, right = random.standard_normal((3, 1 << 16))
    own = np.sqrt(1 - share**2)
    return np.stack([share * common + own * left, share * common + own * right]).astype(np.float32)


def test_mono_sum_error_is_the_change_of_level_in_mono():
    mono, strangers = pair_with_coherence(1.0), pair_with_coherence(0.0)
    opposed = mono * np.float32([[1], [-1]])
    assert fidelity.mono_sum_error_db(strangers, mono) == pytest.approx(3.0, abs=0.05)
    assert fidelity.mono_sum_error_db(mono, strangers) == pytest.approx(3.0, abs=0.05)
    assert fidelity.mono_sum_error_db(opposed, mono) == pytest.approx(-fidelity.MONO_FLOOR_DB)
    assert fidelity.mono_sum_error_db(0.1 * mono, mono) == pytest.approx(0.0, abs=1e-6)


def test_coherence_error_is_the_change_of_likeness():
    stft = Stft(1 << 16, window("hann", 1024), 256)
    mono, half, strangers = (pair_with_coherence(share) for share in (1.0, np.sqrt(0.5), 0.0))
    assert fidelity.coherence_error(half, mono, stft) == pytest.approx(0.5, abs=0.03)
    assert fidelity.coherence_error(strangers, mono, stft) == pytest.approx(1.0, abs=0.1)
    assert fidelity.coherence_error(mono * np.float32([[1], [-1]]), mono, stft) == pytest.approx(
        0.0, abs=1e-6
    )


def test_coherence_agrees_with_an_independent_reader():
    """Of one wide band, against scipy's estimate by Welch's method."""
    pair = pair_with_coherence(0.8)
    _, squared = scipy.signal.coherence(*pair, fs=RATE, nperseg=1024)
    stft = Stft(pair.shape[1], window("hann", 1024), 256)
    one = np.stack([pair[0], pair[0]])
    assert fidelity.coherence_error(pair, one, stft) == pytest.approx(1 - np.sqrt(squared).mean(), abs=0.05)


def test_a_band_weighs_as_much_as_it_holds():
    """Strangers at 8 kHz, 20 dB below equals at 500 Hz, are 1 % of the error."""
    low_pass = scipy.signal.butter(8, 700, fs=RATE, output="sos")
    high_pass = scipy.signal.butter(8, 6_000, "high", fs=RATE, output="sos")
    equals = scipy.signal.sosfilt(low_pass, pair_with_coherence(1.0))
    same, strangers = (scipy.signal.sosfilt(high_pass, pair_with_coherence(share)) for share in (1.0, 0.0))
    scale = 0.1 * np.sqrt(np.sum(equals**2) / np.sum(same**2))
    stft = Stft(1 << 16, window("hann", 1024), 256)
    audio, original = (equals + scale * high for high in (strangers, same))
    error = fidelity.coherence_error(audio.astype(np.float32), original.astype(np.float32), stft)
    assert error == pytest.approx(0.01, abs=0.003)


@pytest.mark.parametrize("silent", [0, 1])
def test_one_sided_sounds_are_coherent(silent, drum, stft):
    one_sided = drum.copy()
    one_sided[silent] = 0.0
    assert fidelity.coherence_error(one_sided, one_sided, stft) == 0.0


def test_stereo_measures_need_two_channels(drum, stft):
    for measure in (fidelity.mono_sum_error_db, lambda x, s: fidelity.coherence_error(x, s, stft)):
        with pytest.raises(ValueError, match="left and right"):
            measure(drum[:1], drum[:1])
