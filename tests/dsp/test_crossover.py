"""The two halves of a sound: exact together, each silent where the other stands alone."""

import numpy as np
import pytest
import reference
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp.crossover import Crossover
from dsp.resample import Resampler

RATE = 44_100
ONSET = 44
LENGTH = 8_192


def db(value):
    return 20 * np.log10(np.abs(value).max() + 1e-12)


def tone(hertz, samples=LENGTH):
    """It swells and dies away so slowly that its spectrum is a line. float32 [1, sample]."""
    swell = scipy.signal.windows.kaiser(samples, 18.0)
    return (swell * np.sin(2 * np.pi * hertz / RATE * np.arange(samples)))[np.newaxis].astype(np.float32)


def abrupt_kick(samples=LENGTH):
    """A falling tone that starts at its crest at sample 44 and does not end. float32 [1, sample]."""
    time = np.arange(samples - ONSET) / RATE
    phase = 2 * np.pi * (50 * time + 200 * 0.03 * (1 - np.exp(-time / 0.03)))
    return np.pad(np.cos(phase) * np.exp(-time / 0.2), (ONSET, 0))[np.newaxis].astype(np.float32)


@pytest.mark.parametrize("factor", [2, 3, 8, 32])
@pytest.mark.parametrize("length", [1, 2, 31, 32, 33, 6000])
def test_the_halves_are_the_sound(factor, length, noise):
    crossover = Crossover(length, factor)
    audio = noise[:, :length]
    low, rest = crossover.split(audio)
    assert low.shape == (2, crossover.low_samples)
    assert rest.shape == audio.shape
    assert {low.dtype, rest.dtype} == {np.dtype(np.float32)}
    assert db(crossover.join(low, rest) - audio) < db(audio) - 138.0  # two roundings of float32


def test_a_kick_that_does_not_end_comes_back():
    crossover = Crossover(LENGTH)
    kick = abrupt_kick()
    assert kick[0, ONSET] == 1.0
    assert abs(kick[0, -1]) > 0.05
    back = crossover.join(*crossover.split(kick))
    assert db(back - kick) < -138.0


@settings(deadline=None, max_examples=60)
@given(
    length=st.integers(1, 700),
    factor=st.integers(2, 40),
    edge=st.floats(0.5, 0.95),
    gain_db=st.floats(-60.0, 60.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_halves_of_anything_are_the_sound(length, factor, edge, gain_db, seed):
    crossover = Crossover(length, factor, edge=edge)
    noise = np.random.default_rng(seed).standard_normal((1, length)) * 10 ** (gain_db / 20)
    audio = noise.astype(np.float32)
    assert db(crossover.join(*crossover.split(audio)) - audio) < max(db(audio) - 138.0, -239.0)


@pytest.mark.parametrize("edge", [0.5, 0.65, 0.8])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.98])
def test_a_tone_below_the_edge_is_in_the_low_band(edge, share):
    crossover = Crossover(4 * LENGTH, edge=edge)
    sound = tone(share * crossover.edge_hz(RATE), 4 * LENGTH)
    low, rest = crossover.split(sound)
    assert db(rest) < -80.0
    there = slice(crossover.lead_samples, crossover.lead_samples + 4 * LENGTH // 32)
    assert db(low[0, there] - sound[0, ::32]) < -80.0  # the same level at the same time


@pytest.mark.parametrize("edge", [0.5, 0.65, 0.8])
@pytest.mark.parametrize("hertz", [700.0, 930.0, 1378.0, 2756.0, 10_000.0, 22_000.0])
def test_a_tone_above_the_transition_is_in_the_rest(edge, hertz):
    crossover = Crossover(4 * LENGTH, edge=edge)
    assert hertz > crossover.stop_hz(RATE)
    low, rest = crossover.split(tone(hertz, 4 * LENGTH))
    assert db(low) < -80.0
    assert db(rest - tone(hertz, 4 * LENGTH)) < -80.0


def test_the_interpolated_low_band_holds_nothing_above_the_transition():
    crossover = Crossover(4 * LENGTH)
    low = np.random.default_rng(3).standard_normal((1, crossover.low_samples)).astype(np.float32)
    fade = scipy.signal.windows.kaiser(4 * LENGTH, 18.0)
    spectrum = np.abs(np.fft.rfft(crossover.interpolate(low)[0] * fade))
    hertz = np.fft.rfftfreq(4 * LENGTH, 1 / RATE)
    assert db(spectrum[hertz > 1.03 * crossover.stop_hz(RATE)]) < db(spectrum) - 80.0


@pytest.mark.parametrize("factor", [2, 7, 32])
def test_an_impulse_stays_put(factor):
    crossover = Crossover(200 * factor, factor)
    sound = np.zeros((1, 200 * factor), np.float32)
    sound[0, 100 * factor] = 1.0
    low, _ = crossover.split(sound)
    assert int(np.argmax(low)) == crossover.lead_samples + 100
    smooth = crossover.interpolate(low)[0]
    assert int(np.argmax(smooth)) == 100 * factor
    np.testing.assert_allclose(smooth[1:], smooth[:0:-1], atol=1e-8)


def test_the_low_samples_are_all_that_are_not_zero(noise):
    crossover = Crossover(500, 8)
    audio = noise[:, :500]
    low, _ = crossover.split(audio)
    assert np.all(low[:, [0, -1]] != 0.0)
    wider = Resampler(1, 8, passband=crossover.edge, stopband_db=90.0).span(
        audio, -crossover.lead_samples - 5, crossover.low_samples + 10
    )
    np.testing.assert_array_equal(wider, np.pad(low, ((0, 0), (5, 5))))


def test_the_ends_of_a_low_sound_leave_nothing_in_the_rest():
    # Half a bell of 20 ms is as large as it gets at the last sample, and yet the low band follows it there.
    crossover = Crossover(LENGTH)
    longer = Crossover(2 * LENGTH)
    bell = np.exp(-0.5 * ((np.arange(2 * LENGTH) - LENGTH) / 882) ** 2)[np.newaxis].astype(np.float32)
    low, _ = longer.split(bell)
    ending = low[:, : crossover.low_samples]
    assert db(crossover.interpolate(ending) - bell[:, :LENGTH]) < -80.0


@settings(deadline=None, max_examples=40)
@given(factor=st.integers(2, 33), shift=st.integers(1, 30), seed=st.integers(0, 2**32 - 1))
def test_a_shift_by_whole_low_samples_shifts_the_low_band(factor, shift, seed):
    sound = np.zeros((1, 60 * factor), np.float32)
    sound[0, : 30 * factor] = np.random.default_rng(seed).standard_normal(30 * factor)
    crossover = Crossover(60 * factor, factor)
    low, _ = crossover.split(sound)
    moved, _ = crossover.split(np.roll(sound, shift * factor, axis=1))
    np.testing.assert_array_equal(moved[:, shift:], low[:, :-shift])


@settings(deadline=None, max_examples=40)
@given(
    length=st.integers(1, 400),
    factor=st.integers(2, 33),
    gain=st.floats(-4.0, 4.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_both_halves_are_linear(length, factor, gain, seed):
    one, other = np.random.default_rng(seed).standard_normal((2, 1, length)).astype(np.float32)
    crossover = Crossover(length, factor)
    mixed = crossover.split(one + np.float32(gain) * other)
    for half, a, b in zip(mixed, crossover.split(one), crossover.split(other), strict=True):
        np.testing.assert_allclose(half, a + gain * b, atol=2e-5)


def test_neighbours_in_the_batch_do_not_matter(noise):
    crossover = Crossover(6000)
    low, rest = crossover.split(noise)
    joined = crossover.join(low, rest)
    for i in range(2):
        alone_low, alone_rest = crossover.split(noise[i : i + 1])
        np.testing.assert_array_equal(alone_low[0], low[i])
        np.testing.assert_array_equal(alone_rest[0], rest[i])
        np.testing.assert_array_equal(crossover.join(alone_low, alone_rest)[0], joined[i])


def test_a_generated_pair_is_the_sum_of_its_halves(noise):
    crossover = Crossover(6000)
    low = np.random.default_rng(4).standard_normal((2, crossover.low_samples)).astype(np.float32)
    np.testing.assert_array_equal(crossover.join(low, noise), crossover.interpolate(low) + noise)
    assert reference.error_db(crossover.interpolate(-2.0 * low), -2.0 * crossover.interpolate(low)) < -140.0


def test_an_abrupt_onset_swells_as_stated():
    silence = 2_048
    crossover = Crossover(silence + LENGTH)
    low, _ = crossover.split(np.pad(abrupt_kick(), ((0, 0), (silence, 0))))
    smooth = crossover.interpolate(low)[0]
    onset = silence + ONSET
    for milliseconds, stated_db in ((0.5, -19.5), (1.0, -20.0), (2.0, -26.5), (5.0, -38.5)):
        assert db(smooth[: onset - round(milliseconds * RATE / 1000)]) < stated_db
    assert np.square(smooth[:onset]).sum() < 1e-2 * np.square(smooth).sum()


def test_edges_in_hertz():
    crossover = Crossover(1000)
    assert crossover.stop_hz(44_100) == pytest.approx(689.06, abs=0.01)
    assert crossover.edge_hz(44_100) == pytest.approx(447.9, abs=0.1)
    assert Crossover(1000, 16, edge=0.8).edge_hz(48_000) == pytest.approx(1200.0)


@pytest.mark.parametrize(
    ("length", "factor", "edge", "words"),
    [
        (0, 32, 0.65, "at least one sample"),
        (100, 1, 0.65, "factor of at least 2"),
        (100, 32, 0.4, r"0\.5 to 0\.99"),
        (100, 32, 1.0, r"0\.5 to 0\.99"),
        (100, 32, np.nan, r"0\.5 to 0\.99"),
    ],
)
def test_crossovers_that_cannot_be(length, factor, edge, words):
    with pytest.raises(ValueError, match=words):
        Crossover(length, factor, edge=edge)


@pytest.mark.parametrize("shape", [(100,), (1, 99), (1, 0), (1, 1, 100)])
def test_wrong_shapes_are_named(shape):
    crossover = Crossover(100)
    low = np.zeros((1, crossover.low_samples), np.float32)
    with pytest.raises(ValueError, match=r"audio must have the shape \[batch, 100\]"):
        crossover.split(np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match=r"rest must have the shape \[batch, 100\]"):
        crossover.join(low, np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match=r"low must have the shape"):
        crossover.interpolate(np.zeros(shape, np.float32))


def test_unequal_batches_and_no_batch():
    crossover = Crossover(100)
    low = np.zeros((2, crossover.low_samples), np.float32)
    with pytest.raises(ValueError, match="2 low bands cannot be joined to 1 rests"):
        crossover.join(low, np.zeros((1, 100), np.float32))
    low, rest = crossover.split(np.zeros((0, 100), np.float32))
    assert crossover.join(low, rest).shape == (0, 100)


def test_values_that_are_not_finite():
    crossover = Crossover(4)
    low, _ = crossover.split(np.ones((1, 4), np.float32))
    broken = np.full((1, 4), np.nan, np.float32)
    with pytest.raises(ValueError, match="audio holds values that are not finite"):
        crossover.split(broken)
    with pytest.raises(ValueError, match="rest holds values that are not finite"):
        crossover.join(low, broken)
    with pytest.raises(ValueError, match="low holds values that are not finite"):
        crossover.interpolate(np.full_like(low, np.inf))
