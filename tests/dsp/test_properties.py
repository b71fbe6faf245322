"""What holds for every sound, length, window and hop. The examples are the same in every run."""

import numpy as np
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp import loudness, pitch
from dsp.grid import Grid
from dsp.phase import griffin_lim
from dsp.scale import FixedScale, from_image, to_image
from dsp.stft import Stft, shape_for, window

EXACT_DB = -120.0  # float32 leaves about -139; a hair of window at the edges costs some
ENERGY_TOLERANCE = 1e-5  # relative

few = settings(max_examples=40, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def transforms(draw, most_samples=700):
    """Any window by name, any even length of it, any hop up to half of it."""
    half = draw(st.integers(2, 90))
    name = draw(st.sampled_from(["hann", "kaiser", "gaussian", "truncated-gaussian"]))
    values = window(name, 2 * half, beta=draw(st.floats(0.0, 10.0)))
    return Stft(draw(st.integers(1, most_samples)), values, draw(st.integers(1, half)))


def noise(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@few
@given(stft=transforms(), seed=seeds)
def test_every_sound_comes_back(stft, seed):
    audio = noise(seed, 2, stft.length_samples)
    assert reference.error_db(stft.inverse(stft.forward(audio)), audio) < EXACT_DB


@few
@given(stft=transforms(), seed=seeds, gain=st.floats(-10.0, 10.0))
def test_both_ways_are_linear(stft, seed, gain):
    gain = np.float32(gain)
    one, two = noise(seed, 2, 1, stft.length_samples)
    spectra = stft.forward(one), stft.forward(two)
    together = stft.forward(one + gain * two)
    np.testing.assert_allclose(together, spectra[0] + gain * spectra[1], atol=1e-4 * np.abs(together).max())
    other = noise(seed + 1, *together.shape) + 1j * noise(seed + 2, *together.shape)  # of no sound
    found = stft.inverse(together + gain * other)
    wanted = stft.inverse(together) + gain * stft.inverse(other)
    np.testing.assert_allclose(found, wanted, atol=1e-4 * max(np.abs(wanted).max(), np.abs(found).max()))


@few
@given(stft=transforms(), seed=seeds)
def test_a_transform_of_a_transform_is_consistent(stft, seed):
    # The inverse is a projection: what it makes of any spectrum stays as it is from then on.
    shape = (1, stft.frames, stft.bins)
    once = stft.inverse(noise(seed, *shape) + 1j * noise(seed + 1, *shape))
    assert reference.error_db(stft.inverse(stft.forward(once)), once) < EXACT_DB


@few
@given(stft=transforms(), data=st.data())
def test_an_impulse_comes_back_where_it_was(stft, data):
    place = data.draw(st.integers(0, stft.length_samples - 1))
    audio = np.zeros((1, stft.length_samples), dtype=np.float32)
    audio[0, place] = 1.0
    spectrum = stft.forward(audio)
    np.testing.assert_allclose(stft.inverse(spectrum), audio, atol=1e-5)
    # Only frames whose window reaches it know of it, each with the height of its window there.
    offset = place + stft.window_samples // 2 - stft.hop_samples * np.arange(stft.frames)
    inside = (offset >= 0) & (offset < stft.window_samples)
    height = np.where(inside, stft.window[np.clip(offset, 0, stft.window_samples - 1)], 0.0)
    wanted = np.repeat(height[:, np.newaxis], stft.bins, axis=1)
    np.testing.assert_allclose(np.abs(spectrum[0]), wanted, atol=1e-5)


@few
@given(stft=transforms(), data=st.data(), seed=seeds)
def test_a_shift_by_hops_is_a_shift_by_frames(stft, data, seed):
    hops = data.draw(st.integers(1, 4))
    shift = hops * stft.hop_samples
    longer = Stft(stft.length_samples + shift, stft.window, stft.hop_samples)
    audio = noise(seed, 1, stft.length_samples)
    shifted = longer.forward(np.pad(audio, ((0, 0), (shift, 0))))
    assert longer.frames == stft.frames + hops
    np.testing.assert_allclose(shifted[:, hops:], stft.forward(audio), atol=1e-5 * stft.window_samples)


@few
@given(stft=transforms(), seed=seeds)
def test_swapped_channels_give_swapped_results(stft, seed):
    audio = noise(seed, 2, stft.length_samples)
    spectrum = stft.forward(audio)
    assert stft.forward(audio[::-1]).tobytes() == spectrum[::-1].tobytes()
    assert stft.inverse(spectrum[::-1]).tobytes() == stft.inverse(spectrum)[::-1].tobytes()
    assert loudness.true_peak(audio[::-1]) == loudness.true_peak(audio)
    assert loudness.momentary_maximum_lufs(audio[::-1]) == loudness.momentary_maximum_lufs(audio)


@few
@given(stft=transforms(300), seed=seeds)
def test_mono_in_is_mono_out(stft, seed):
    audio = np.repeat(noise(seed, 1, stft.length_samples), 2, axis=0)
    spectrum = stft.forward(audio)
    assert spectrum[0].tobytes() == spectrum[1].tobytes()
    back = stft.inverse(spectrum)
    assert back[0].tobytes() == back[1].tobytes()
    rebuilt = griffin_lim(np.abs(spectrum), stft, iterations=2, seed=3)
    assert rebuilt[0].tobytes() == rebuilt[1].tobytes()


@few
@given(points=st.integers(2, 300), data=st.data(), seed=seeds)
def test_pooling_keeps_the_energy_and_spreading_stays_between_its_levels(points, data, seed):
    count = data.draw(st.integers(1, points))
    grid = Grid.bands(points, count, data.draw(st.integers(0, count - 1)))
    power = noise(seed, 2, points) ** 2
    pooled = grid.pool(power)
    np.testing.assert_allclose((pooled * grid.widths).sum(axis=1), power.sum(axis=1), rtol=ENERGY_TOLERANCE)
    level_db = 30.0 * noise(seed, 2, count)
    spread = grid.spread(level_db)
    assert (spread.min(axis=1) >= level_db.min(axis=1) - 1e-4).all()
    assert (spread.max(axis=1) <= level_db.max(axis=1) + 1e-4).all()
    # What is even stays so, both ways.
    even = grid.spread(10.0 * np.log10(grid.pool(np.full((1, points), 4.0))))
    np.testing.assert_allclose(even, 10.0 * np.log10(4.0), atol=1e-4)


@few
@given(
    floor_db=st.floats(-200.0, -20.0),
    range_db=st.floats(20.0, 250.0),
    level_reference_db=st.floats(-100.0, 100.0),
    seed=seeds,
)
def test_images_come_back(floor_db, range_db, level_reference_db, seed):
    scale = FixedScale(floor_db, floor_db + range_db, 10 ** (level_reference_db / 20))
    image = np.random.default_rng(seed).uniform(-0.999, 1.0, (2, 20)).astype(np.float32)
    np.testing.assert_allclose(scale.to_image(scale.from_image(image)), image, atol=2e-5)
    np.testing.assert_allclose(
        20 * np.log10(scale.from_image(image)) - level_reference_db, scale.level_db(image), atol=2e-3
    )
    # The draft's mapping, as far above the floor as it hears.
    image = np.maximum(image, -0.5)
    image[0, 0] = 1.0
    peak = 10 ** (level_reference_db / 20)
    np.testing.assert_allclose(to_image(from_image(image, peak=peak)), image, atol=2e-5)


@few
@given(length=st.integers(1, 4000), bands=st.integers(2, 300), frames=st.integers(1, 400), seed=seeds)
def test_a_sound_survives_the_cut_to_its_shape(length, bands, frames, seed):
    """As `StftShape` says: encode, keep frames x bands, fill up with silence, decode. Odd lengths, sounds shorter than
    their window, a hop that divides nothing."""
    if -(-(length + bands) // frames) > bands:
        frames = -(-(length + bands) // bands)
    shape = shape_for(length, bands, frames)
    stft = Stft(shape.padded_samples, window("hann", shape.window_samples), shape.hop_samples)
    sound = np.zeros((1, shape.padded_samples), dtype=np.float32)
    sound[0, :length] = noise(seed, length)
    cut = np.zeros((1, stft.frames, stft.bins), dtype=np.complex64)
    spectrum = stft.forward(sound)
    cut[:, :frames] = spectrum[:, :frames]
    assert not spectrum[:, frames:].any()
    np.testing.assert_allclose(stft.inverse(cut)[:, :length], sound[:, :length], atol=1e-5)
    # What is lost with the Nyquist bin is its share of the power of white noise, of which it is half a band.
    cut[..., -1] = 0.0
    lost = (stft.inverse(cut) - sound)[0]
    assert np.square(lost, dtype=float).mean() < 4.0 / bands


@few
@given(gain_db=st.floats(-600.0, 20.0), lead=st.integers(0, 500))
def test_gain_changes_no_time_and_no_pitch(gain_db, lead):
    time = np.arange(6_000) / 44_100
    sound = (np.sin(2 * np.pi * 90 * time) * np.exp(-time / 0.05)).astype(np.float32)
    quiet = np.pad(np.float32(10 ** (gain_db / 20)) * sound, (lead, 0))
    assert pitch.onset_sample(quiet) == lead + pitch.onset_sample(sound)
    found, wanted = pitch.pitch_and_sweep(quiet), pitch.pitch_and_sweep(sound)
    np.testing.assert_allclose(found.pitch_hz, wanted.pitch_hz, rtol=1e-4)
    np.testing.assert_allclose(found.confidence, wanted.confidence, atol=1e-3)
