import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsp.kernels import decibels
from dsp.scale import FixedScale, from_image, to_image
from dsp.stft import Stft, window

IMAGE_TOLERANCE = 1e-5  # of an image in [-1, 1]: under a thousandth of a dB
MAGNITUDE_TOLERANCE = 1e-4  # relative


def draft(magnitude):
    """Section 3.2 of the draft, word by word."""
    with np.errstate(divide="ignore"):
        level = 20 * np.log10(magnitude / magnitude.max() * 100)
    level[level < -90] = -120
    return (level - -120) / (40 - -120) * 2 - 1


def test_the_mapping_is_the_draft():
    magnitude = 10 ** np.random.default_rng(0).uniform(-9, 2, (2, 30, 40))
    magnitude[0, 3] = 0.0
    image = to_image(magnitude.astype(np.float32))
    np.testing.assert_allclose(image, draft(magnitude), atol=IMAGE_TOLERANCE)
    assert image.max() == pytest.approx(1.0, abs=IMAGE_TOLERANCE)
    assert image[0, 3].tolist() == [-1.0] * 40


def test_the_quietest_audible_level_stands_at_its_place():
    # -90 dB under a scale of 100 is 130 dB under the peak.
    magnitude = np.float32([1.0, 10 ** (-129.9 / 20), 10 ** (-130.1 / 20)])
    np.testing.assert_allclose(to_image(magnitude), [1.0, 30.1 / 80 - 1, -1.0], atol=IMAGE_TOLERANCE)


def test_the_balance_of_the_channels_is_kept():
    magnitude = np.float32([[1.0, 0.5], [0.25, 0.125]])
    back = from_image(to_image(magnitude), peak=1.0)
    np.testing.assert_allclose(back, magnitude, rtol=MAGNITUDE_TOLERANCE)
    assert to_image(magnitude[::-1]).tobytes() == to_image(magnitude)[::-1].tobytes()


def test_silence_and_one_peak_for_many():
    silence = np.zeros((1, 3), dtype=np.float32)
    assert (to_image(silence) == -1.0).all()
    assert not from_image(to_image(silence), peak=0.0).any()
    magnitude = np.float32([0.5, 2.0])
    np.testing.assert_allclose(to_image(magnitude, peak=1.0)[0], 1 - 6.0206 / 80, atol=IMAGE_TOLERANCE)
    assert to_image(magnitude, peak=1.0)[1] == 1.0
    with pytest.raises(ValueError, match="peak must be"):
        to_image(magnitude, peak=-1.0)
    with pytest.raises(ValueError, match="peak must be"):
        from_image(magnitude, peak=float("nan"))


@given(level=st.floats(-79.9, 10.0), reference=st.floats(0.01, 1000.0))
def test_fixed_scale_round_trip(level, reference):
    scale = FixedScale(-80.0, 10.0, reference_magnitude=reference)
    magnitude = np.float32([reference * 10 ** (level / 20)])
    image = scale.to_image(magnitude)
    assert image[0] == pytest.approx((level + 80) / 45 - 1, abs=IMAGE_TOLERANCE)
    assert scale.level_db(image)[0] == pytest.approx(level, abs=1e-3)
    np.testing.assert_allclose(scale.from_image(image), magnitude, rtol=MAGNITUDE_TOLERANCE)


def test_fixed_scale_clips_and_its_floor_is_silence():
    scale = FixedScale(-80.0, 0.0)
    image = scale.to_image(np.float32([0.0, 1e-5, 1e-4 * 0.99, 1.0, 50.0]))
    np.testing.assert_allclose(image, [-1, -1, -1, 1, 1], atol=IMAGE_TOLERANCE)
    assert not scale.from_image(image)[:3].any()
    np.testing.assert_allclose(scale.from_image(np.float32([-7.0, 7.0])), [0.0, 1.0], atol=1e-5)


@pytest.mark.parametrize(
    ("floor_db", "ceiling_db", "magnitude"), [(0, 0, 1), (1, 0, 1), (-80, 0, 0), (np.nan, 0, 1)]
)
def test_scales_that_cannot_be_made(floor_db, ceiling_db, magnitude):
    with pytest.raises(ValueError, match="must"):
        FixedScale(floor_db, ceiling_db, reference_magnitude=magnitude)


def test_shapes_and_strides_do_not_matter():
    magnitude = np.random.default_rng(0).random((2, 5, 7), dtype=np.float32)
    scale = FixedScale(-80.0, 0.0)
    turned = magnitude.transpose(2, 0, 1)
    assert (
        scale.to_image(turned).tobytes()
        == np.ascontiguousarray(scale.to_image(magnitude).transpose(2, 0, 1)).tobytes()
    )


@pytest.mark.parametrize("decades", [(-37, 38), (-3, 1)])
def test_levels_are_logarithms(decades):
    magnitude = np.logspace(*decades, 20_000, dtype=np.float32)
    scale = FixedScale(floor_db=-750.0, ceiling_db=765.0)
    wanted = 20.0 * np.log10(magnitude.astype(np.float64))
    step_db = 1515.0 / 2 * np.finfo(np.float32).eps
    assert np.abs(scale.level_db(scale.to_image(magnitude)) - wanted).max() < 1e-4 + 2 * step_db
    power = np.square(magnitude[np.abs(np.log10(magnitude)) < 18])
    levels = scale.level_db(scale.power_to_image(power))
    assert np.abs(levels - 10.0 * np.log10(power.astype(np.float64))).max() < 1e-4 + 2 * step_db


@pytest.mark.parametrize(("window_samples", "hop", "length"), [(512, 128, 3000), (64, 20, 777), (16, 8, 1)])
def test_encoding_is_transform_and_scale(window_samples, hop, length):
    stft = Stft(length, window("hann", window_samples), hop)
    audio = np.random.default_rng(0).standard_normal((2, length)).astype(np.float32)
    audio[0, length // 2 :] = 0.0
    scale = FixedScale(-90.0, 0.0, reference_magnitude=window_samples / 4)
    magnitude = np.abs(stft.forward(audio))
    np.testing.assert_allclose(stft.power(audio), np.square(magnitude), rtol=1e-3, atol=1e-6)
    image = scale.encode(stft, audio)
    loud = magnitude > 0.01
    np.testing.assert_allclose(image[loud], scale.to_image(magnitude)[loud], atol=2e-5)
    assert image[magnitude < 1e-6].max(initial=-1.0) == -1.0
    out = np.empty_like(image)
    assert scale.encode(stft, audio, out=out) is out
    assert out.tobytes() == image.tobytes()
    assert scale.encode(stft, audio[1:]).tobytes() == image[1:].tobytes()


@pytest.mark.parametrize(
    ("floor_db", "ceiling_db"), [(-90.0, 10.0), (-110.0, 0.0), (-80.0, 6.0), (-100.0, 10.0)]
)
def test_the_floor_is_silence_in_every_range(floor_db, ceiling_db):
    scale = FixedScale(floor_db, ceiling_db)
    image = scale.to_image(np.zeros(8, dtype=np.float32))
    assert (image == -1.0).all()
    assert not scale.from_image(image).any()
    assert (scale.to_image(np.full(8, 1e6, dtype=np.float32)) == 1.0).all()


def test_kernels_do_what_their_python_does():
    values = np.float32([0.0, 1e-6, 0.01, 0.5, 3.0])
    f = np.float32
    law = f(2), f(-0.9), f(-1), f(0.02), f(0.1)
    scratch = np.zeros((1, 3), dtype=np.float32)
    fast, slow = np.zeros((2, 5), dtype=np.float32)
    decibels.to_level(values, *law, scratch, scratch.view(np.int32), fast)
    decibels.to_level.py_func(values, *law, scratch, scratch.view(np.int32), slow)
    np.testing.assert_allclose(fast, slow, atol=1e-6)
    packed = np.random.default_rng(0).standard_normal((2, 32)).astype(np.float32)
    rows, scratch = np.zeros((4, 9), dtype=np.float32), np.zeros((1, 9), dtype=np.float32)
    fast_rows, slow_rows = np.zeros((2, 3, 9), dtype=np.float32)
    decibels.level_pairs(packed, fast_rows, rows, *law, scratch, scratch.view(np.int32))
    decibels.level_pairs.py_func(packed, slow_rows, rows, *law, scratch, scratch.view(np.int32))
    np.testing.assert_allclose(fast_rows, slow_rows, atol=1e-6)
    decibels.level_to_magnitude(fast, f(40), f(-40), f(2), f(-1), values)
    decibels.level_to_magnitude.py_func(slow, f(40), f(-40), f(2), f(-1), fast)
    np.testing.assert_allclose(values, fast, rtol=1e-5)
