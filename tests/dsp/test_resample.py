"""Levels, phases, stopbands and ends of resampled sounds; soxr and scipy as oracles."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import reference
import scipy.signal
import soxr
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dsp.kernels import filters
from dsp.resample import Resampler

RATIOS = [(1, 2), (2, 1), (1, 4), (2, 3), (3, 2), (147, 160), (160, 147), (1, 32), (32, 1)]
SAMPLES = 12_000


def tone(frequency, samples, step=1.0, *, fade=True):
    """A sine at `frequency`, in cycles per input sample, sampled every `step` input samples; it swells and
    dies away so slowly that its spectrum is a line. float64 [ceil(samples / step)].
    """
    time = np.arange(0, samples, step)
    level = scipy.signal.windows.kaiser(2**16 + 1, 18.0)
    swell = np.interp(time / samples, np.linspace(0, 1, level.size), level) if fade else 1.0
    return swell * np.sin(2 * np.pi * frequency * time + 0.7)


def response_db(resampler, bins=2**18):
    """The magnitude response at `up` times the input's rate, 0 … its Nyquist frequency, from what impulses at
    all positions become.
    """
    up, down, reach = resampler.up, resampler.down, resampler.reach_samples
    impulses = np.zeros((down, 2 * reach + down + 1), np.float32)
    impulses[np.arange(down), reach + np.arange(down)] = 1.0
    responses = resampler(impulses)
    # Output i of the impulse at m is the prototype at i · down - m · up.
    prototype = np.zeros(bins)
    for impulse, answer in zip(reach + np.arange(down), responses, strict=True):
        prototype[np.arange(answer.size) * down - impulse * up] = answer
    return 20 * np.log10(np.abs(np.fft.rfft(prototype)) / up + 1e-12)


@pytest.mark.parametrize(("up", "down"), RATIOS)
@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.89])
def test_a_tone_in_the_passband_keeps_its_level_and_its_phase(up, down, share):
    frequency = share * 0.5 * min(1.0, up / down)
    resampled = Resampler(up, down)(tone(frequency, SAMPLES).astype(np.float32))
    wanted = tone(frequency, SAMPLES, down / up)[: resampled.size]
    # An error of -90 dB is at most 0.0003 dB and 0.002 degrees; images count in it too.
    assert reference.error_db(resampled, wanted) < -90.0


@pytest.mark.parametrize(("up", "down"), [(1, 2), (1, 4), (2, 3), (147, 160), (1, 32)])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.97])
def test_a_tone_above_the_new_nyquist_is_gone(up, down, share):
    nyquist = 0.5 * up / down
    frequency = nyquist * 1.02 + share * (0.5 - nyquist * 1.02)
    sound = tone(frequency, SAMPLES)
    resampled = Resampler(up, down)(sound.astype(np.float32))
    assert np.abs(resampled).max() < 1e-5 * np.abs(sound).max()


@pytest.mark.parametrize(
    ("up", "down", "passband", "stopband_db"),
    [
        (1, 2, 0.9, 100.0),
        (2, 1, 0.9, 100.0),
        (5, 3, 0.9, 100.0),
        (32, 1, 0.65, 90.0),
        (1, 32, 0.65, 90.0),
        (1, 2, 0.5, 60.0),
        (3, 2, 0.5, 102.0),
        (1, 3, 0.55, 110.0),
        (1, 4, 0.6, 60.0),
        (1, 2, 0.99, 80.0),
    ],
)
def test_the_bands_are_what_was_asked_for(up, down, passband, stopband_db):
    level_db = response_db(Resampler(up, down, passband=passband, stopband_db=stopband_db))
    nyquist = (level_db.size - 1) / max(up, down)
    frequency = np.arange(level_db.size)
    ripple_db = 20 * np.log10(1 + 2 * 10 ** (-stopband_db / 20))
    assert np.abs(level_db[frequency <= passband * nyquist]).max() < ripple_db
    assert level_db[frequency >= nyquist].max() < -stopband_db


@pytest.mark.parametrize(("up", "down"), RATIOS)
def test_an_impulse_stays_put(up, down):
    resampler = Resampler(up, down)
    centre = 3 * resampler.down
    sound = np.zeros(6 * resampler.down + 1, np.float32)  # as much before as behind
    sound[centre] = 1.0
    resampled = resampler(sound)[: 6 * resampler.up + 1]
    assert int(np.argmax(resampled)) == 3 * resampler.up
    np.testing.assert_allclose(resampled, resampled[::-1], atol=1e-7)


@pytest.mark.parametrize(("up", "down"), [(1, 2), (2, 1), (160, 147), (147, 160)])
def test_soxr_agrees(up, down, kick):
    # Both filters pass what lies below 0.9 of the lower Nyquist frequency, and differ above.
    faded = kick * scipy.signal.windows.tukey(kick.size, 0.2)
    sound = scipy.signal.sosfiltfilt(scipy.signal.butter(8, 0.3, output="sos"), faded).astype(np.float32)
    ours = Resampler(up, down)(sound)
    theirs = soxr.resample(sound, down * 1000, up * 1000, quality="VHQ")
    samples = min(ours.size, theirs.size)
    assert reference.error_db(ours[:samples], theirs[:samples]) < -90.0


@pytest.mark.parametrize(("up", "down"), RATIOS)
@pytest.mark.parametrize("samples", [1, 2, 77, 1000])
def test_scipy_agrees_up_to_the_ends(up, down, samples, noise):
    sound = noise[:, :samples]
    resampler = Resampler(up, down, passband=0.8, stopband_db=80.0)
    slower = max(up, down)
    kaiser = ("kaiser", scipy.signal.kaiser_beta(85.0))
    prototype = scipy.signal.firwin(2 * resampler.reach_samples * up + 1, 0.9 / slower, window=kaiser)
    wanted = scipy.signal.resample_poly(sound.astype(np.float64), up, down, axis=1, window=prototype)
    assert reference.error_db(resampler(sound), wanted) < -85.0  # the windows' last values differ


@settings(deadline=None, max_examples=60)
@given(up=st.integers(1, 12), down=st.integers(1, 12), samples=st.integers(0, 300))
@example(up=1, down=12, samples=0)
def test_lengths_are_exact(up, down, samples):
    sound = np.ones((2, 3, samples), np.float32)
    resampled = Resampler(up, down, passband=0.5, stopband_db=60.0)(sound)
    assert resampled.shape == (2, 3, int(np.ceil(samples * up / down)))
    assert resampled.dtype == np.float32
    assert resampled.flags.c_contiguous


@settings(deadline=None, max_examples=60)
@given(
    up=st.integers(1, 9),
    down=st.integers(1, 9),
    samples=st.integers(1, 200),
    first=st.integers(-300, 300),
    count=st.integers(0, 300),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_span_is_a_part_of_the_sound_in_silence(up, down, samples, first, count, seed):
    resampler = Resampler(up, down, passband=0.6, stopband_db=70.0)
    sound = np.random.default_rng(seed).standard_normal(samples).astype(np.float32)
    lead = 1 + 300 // resampler.up + resampler.reach_samples  # in units of `down` input samples
    silence = np.zeros(lead * resampler.down, np.float32)
    whole = resampler(np.concatenate([silence, sound, np.tile(silence, 2)]))
    start = lead * resampler.up + first
    np.testing.assert_array_equal(resampler.span(sound, first, count), whole[start : start + count])


@settings(deadline=None, max_examples=40)
@given(
    up=st.integers(1, 9),
    down=st.integers(1, 9),
    gain=st.floats(-4.0, 4.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_resampling_is_linear(up, down, gain, seed):
    one, other = np.random.default_rng(seed).standard_normal((2, 90)).astype(np.float32)
    resampler = Resampler(up, down, passband=0.7, stopband_db=80.0)
    mixed = resampler(one + np.float32(gain) * other)
    np.testing.assert_allclose(mixed, resampler(one) + gain * resampler(other), atol=2e-5)


def test_equal_factors_copy(noise):
    np.testing.assert_array_equal(Resampler(3, 3)(noise), noise)
    assert not np.shares_memory(Resampler(3, 3)(noise), noise)


def test_common_factors_do_not_matter(noise):
    np.testing.assert_array_equal(Resampler(320, 294)(noise), Resampler(160, 147)(noise))


def test_up_and_down_again_is_the_sound(kick):
    up = Resampler(4, 1)(kick * scipy.signal.windows.tukey(kick.size, 0.5).astype(np.float32))
    again = Resampler(1, 4)(up)
    assert reference.error_db(Resampler(4, 1)(again), up) < -90.0


def test_neighbours_in_the_batch_and_threads_do_not_matter(noise):
    resampler = Resampler(3, 2)
    together = resampler(noise)
    for sound, wanted in zip(noise, together, strict=True):
        np.testing.assert_array_equal(resampler(sound), wanted)
    with ThreadPoolExecutor(2) as threads:
        for resampled in threads.map(resampler, [noise] * 8):
            np.testing.assert_array_equal(resampled, together)


def test_the_sound_is_not_touched(noise):
    view = noise[::-1, ::2]  # not contiguous
    before = view.copy()
    resampled = Resampler(2, 3)(view)
    np.testing.assert_array_equal(view, before)
    np.testing.assert_array_equal(resampled, Resampler(2, 3)(before))


def test_the_compiled_and_the_plain_kernel_agree():
    random = np.random.default_rng(5)
    streams = random.standard_normal((3, 12)).astype(np.float32)
    phases = random.standard_normal((2, 7))
    starts = np.array([0, 1])
    compiled, plain, wanted = np.empty((3, 2, 4))
    filters.polyphase(streams, phases, starts, compiled)
    filters.polyphase.py_func(streams, phases, starts, plain)
    signal = streams.T.ravel()
    for row in range(2):
        for k in range(4):
            wanted[row, k] = phases[row] @ signal[starts[row] + 3 * k :][:7]
    np.testing.assert_allclose(compiled, wanted, atol=1e-12)
    np.testing.assert_allclose(plain, wanted, atol=1e-12)


@pytest.mark.parametrize(("up", "down"), [(0, 1), (1, 0), (-2, 1)])
def test_factors_under_one(up, down):
    with pytest.raises(ValueError, match="whole factors of at least 1"):
        Resampler(up, down)


@pytest.mark.parametrize("passband", [0.0, 0.49, 1.0, np.nan])
def test_passbands_that_cannot_be(passband):
    with pytest.raises(ValueError, match=r"0\.5 to 0\.99"):
        Resampler(1, 2, passband=passband)


@pytest.mark.parametrize("stopband_db", [-100.0, 59.0, 200.0, np.nan])
def test_stopbands_that_cannot_be(stopband_db):
    with pytest.raises(ValueError, match="between 60 and 120 dB"):
        Resampler(1, 2, stopband_db=stopband_db)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(value):
    with pytest.raises(ValueError, match="not finite"):
        Resampler(1, 2)(np.array([0.0, value], np.float32))


def test_sounds_without_samples_or_axes():
    resampler = Resampler(3, 2)
    assert resampler(np.zeros((2, 0), np.float32)).shape == (2, 0)
    assert resampler(np.zeros((0, 10), np.float32)).shape == (0, 15)
    with pytest.raises(ValueError, match="at least one axis"):
        resampler(np.float32(1.0))
    with pytest.raises(ValueError, match="span of -1"):
        resampler.span(np.zeros(4, np.float32), 0, -1)
