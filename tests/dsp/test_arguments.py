"""The boundary of the core: what every public function takes, and the words in which it refuses the rest."""

import math
import warnings

import numpy as np
import pytest

from dsp import arguments, loudness, pitch
from dsp.arguments import LONGEST_SAMPLES
from dsp.grid import Grid
from dsp.scale import FixedScale, from_image, to_image
from dsp.stft import Stft, window

SAMPLES = 2_000
STFT = Stft(SAMPLES, window("hann", 256), 64)
GRID = Grid.bands(129, 40, 8)
SCALE = FixedScale(-90.0, 0.0)

# Every public function that takes an array: its name for it, a call, and the shape of what it takes.
TAKERS = {
    "Stft.forward": ("audio", STFT.forward, (2, SAMPLES)),
    "Stft.power": ("audio", STFT.power, (2, SAMPLES)),
    "FixedScale.encode": ("audio", lambda audio: SCALE.encode(STFT, audio), (2, SAMPLES)),
    "Grid.pool": ("power", GRID.pool, (2, 129)),
    "Grid.spread": ("level_db", GRID.spread, (2, 40)),
    "to_image": ("magnitude", to_image, (2, 30)),
    "to_image, peak given": ("magnitude", lambda values: to_image(values, peak=2.0), (2, 30)),
    "from_image": ("image", from_image, (2, 30)),
    "FixedScale.to_image": ("magnitude", SCALE.to_image, (2, 30)),
    "FixedScale.power_to_image": ("power", SCALE.power_to_image, (2, 30)),
    "FixedScale.from_image": ("image", SCALE.from_image, (2, 30)),
    "FixedScale.level_db": ("image", SCALE.level_db, (2, 30)),
    "k_weight": ("audio", loudness.k_weight, (2, SAMPLES)),
    "momentary_maximum_lufs": ("audio", loudness.momentary_maximum_lufs, (2, SAMPLES)),
    "integrated_lufs": ("audio", loudness.integrated_lufs, (2, 30_000)),
    "true_peak": ("audio", loudness.true_peak, (2, SAMPLES)),
    "onset_sample": ("mono", pitch.onset_sample, (SAMPLES,)),
    "envelope": ("mono", pitch.envelope, (SAMPLES,)),
    "analytic_power": ("mono", pitch.analytic_power, (SAMPLES,)),
    "decay_seconds": ("level", pitch.decay_seconds, (SAMPLES,)),
    "pitch_and_sweep": ("mono", pitch.pitch_and_sweep, (SAMPLES,)),
}
taker = pytest.mark.parametrize("name", TAKERS)
SOUND_TAKERS = [name for name, (what, _, _) in TAKERS.items() if what in ("audio", "mono")]


def values_for(shape: tuple[int, ...]) -> np.ndarray:
    """Positive, exact in float16, and with a pitch: what any taker takes."""
    wave = 0.5 + 0.4 * np.sin(2 * np.pi * np.arange(math.prod(shape)) / 90)
    return np.round(wave * 1024).reshape(shape).astype(np.float32) / 1024


def same(found, wanted) -> bool:
    if isinstance(wanted, np.ndarray):
        return (
            found.dtype == wanted.dtype
            and found.shape == wanted.shape
            and found.tobytes() == wanted.tobytes()
        )
    return found == wanted


def layouts(values: np.ndarray):
    yield "float16", values.astype(np.float16)
    yield "float64", values.astype(np.float64)
    yield "swapped bytes", values.astype(values.dtype.newbyteorder())
    yield "Fortran order", np.asfortranarray(values)
    yield "every second", np.repeat(values, 2, axis=-1)[..., ::2]
    yield "backwards", values[..., ::-1].copy()[..., ::-1]
    read_only = values.copy()
    read_only.flags.writeable = False
    yield "read-only", read_only
    unaligned = np.empty(values.nbytes + 1, dtype=np.uint8)[1:].view(np.float32).reshape(values.shape)
    unaligned[:] = values
    yield "unaligned", unaligned
    yield "list", values.tolist()


@taker
def test_how_an_array_lies_in_memory_changes_nothing(name):
    _, call, shape = TAKERS[name]
    values = values_for(shape)
    wanted = call(values)
    for layout, array in layouts(values):
        assert same(call(array), wanted), layout


@taker
def test_nothing_is_written_to_what_is_given(name):
    _, call, shape = TAKERS[name]
    values = values_for(shape)
    kept = values.copy()
    call(values)
    assert values.tobytes() == kept.tobytes()


@taker
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e300])
def test_what_is_not_finite_is_refused(name, bad):
    what, call, shape = TAKERS[name]
    values = values_for(shape).astype(np.float64)
    values[..., -1] = bad
    with (
        warnings.catch_warnings(),
        pytest.raises(ValueError, match=f"{what} holds values that are not finite"),
    ):
        warnings.simplefilter("error")
        call(values)


@taker
@pytest.mark.parametrize("dtype", ["int16", "uint8", "bool", "complex64"])
def test_other_numbers_are_refused(name, dtype):
    what, call, shape = TAKERS[name]
    words = f"{what} must hold real floating-point numbers, not {dtype}"
    advice = dtype in ("int16", "uint8")
    with pytest.raises(ValueError, match=words + ("; divide 16-bit samples by 32768" if advice else "$")):
        call(values_for(shape).astype(dtype))


@pytest.mark.parametrize("name", SOUND_TAKERS)
def test_other_shapes_are_refused(name):
    what, call, shape = TAKERS[name]
    for wrong in ((), (SAMPLES, 2), (3, *shape), (0, 0, 0), (SAMPLES,) if len(shape) == 2 else (1, SAMPLES)):
        with pytest.raises(ValueError, match=f"{what} must"):
            call(np.zeros(wrong, dtype=np.float32))


@taker
def test_denormal_numbers_are_numbers(name):
    _, call, shape = TAKERS[name]
    tiny = values_for(shape) * np.float32(1e-41)
    assert tiny.any()
    found = call(tiny)
    assert not np.isnan(found).any() if isinstance(found, np.ndarray) else found is None or found == found


@pytest.mark.parametrize("samples", [0, 1, 2, 100])
def test_sounds_of_hardly_any_samples(samples):
    stereo, mono = np.ones((2, samples), dtype=np.float32), np.ones(samples, dtype=np.float32)
    assert loudness.k_weight(stereo).shape == (2, samples)
    assert loudness.integrated_lufs(stereo) is None
    assert (loudness.momentary_maximum_lufs(stereo) == -math.inf) == (samples == 0)
    assert (loudness.true_peak(stereo) >= 1.0) == (samples > 0)
    assert pitch.onset_sample(mono) == 0
    assert pitch.envelope(mono).shape == (samples,)
    assert np.isfinite(pitch.envelope(mono)).all()
    assert pitch.decay_seconds(mono) == samples / 44_100
    assert pitch.pitch_and_sweep(mono).confidence == 0.0
    if samples:
        stft = Stft(samples, window("hann", 256), 64)
        np.testing.assert_allclose(stft.inverse(stft.forward(stereo)), stereo, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in SOUND_TAKERS if n.split(".")[0] not in ("Stft", "FixedScale")])
def test_sounds_of_hours_are_refused_before_memory_is_taken(name):
    what, call, shape = TAKERS[name]
    # One number in memory that looks like hours of sound.
    hours = np.broadcast_to(np.zeros(1, dtype=np.float32), (*shape[:-1], 10**12))
    with pytest.raises(ValueError, match=f"{what} is {10**12} samples long; the longest that is taken is"):
        call(hours)
    assert LONGEST_SAMPLES >= 600 * 48_000


def test_spectra_that_are_none():
    good = STFT.forward(values_for((2, SAMPLES)))
    for layout in (good.astype(np.complex128), np.asfortranarray(good), good[:, ::-1].copy()[:, ::-1]):
        assert STFT.inverse(layout).tobytes() == STFT.inverse(good).tobytes()
    with pytest.raises(ValueError, match="spectrum must hold complex numbers, not float32"):
        STFT.inverse(np.abs(good))
    for frame in (0, 5, STFT.frames - 1):
        for bad in (math.nan, math.inf, complex(0.0, math.nan), 1e300):
            spectrum = good.astype(np.complex128)
            spectrum[1, frame, 17] = bad
            with pytest.raises(ValueError, match="spectrum holds values that are not finite"):
                STFT.inverse(spectrum)
    # A transform that has refused a spectrum is as good as new.
    assert STFT.inverse(good).tobytes() == STFT.inverse(good.copy()).tobytes()
    np.testing.assert_allclose(STFT.inverse(good), values_for((2, SAMPLES)), atol=1e-5)


def test_filters_ring_out_to_silence():
    # Rounded recursions never reach zero by themselves: they stay among the denormal numbers, which are slow.
    sound = np.zeros((1, 700_000), dtype=np.float32)
    sound[0, :100] = 1.0
    weighted = loudness.k_weight(sound)
    assert weighted[0, 5_000] != 0.0
    assert not weighted[0, -1_000:].any()
    smallest = np.abs(weighted[weighted != 0.0]).min()
    assert smallest > np.finfo(np.float64).tiny


@pytest.mark.parametrize("rate_hz", [0, -44_100, 7_999, 1_000_000, math.nan, math.inf])
def test_rates_that_are_none(rate_hz):
    stereo, mono = np.zeros((2, 100), dtype=np.float32), np.zeros(100, dtype=np.float32)
    for call in (
        lambda: loudness.k_weighting(rate_hz),
        lambda: loudness.k_weight(stereo, rate_hz),
        lambda: loudness.momentary_maximum_lufs(stereo, rate_hz),
        lambda: loudness.integrated_lufs(stereo, rate_hz),
        lambda: pitch.envelope(mono, rate_hz),
        lambda: pitch.analytic_power(mono, rate_hz),
        lambda: pitch.decay_seconds(mono, rate_hz),
        lambda: pitch.pitch_and_sweep(mono, rate_hz),
    ):
        with pytest.raises(ValueError, match="rate_hz must lie between 8000 and 768000 Hz"):
            call()


def test_other_settings_that_make_no_sense():
    stereo, mono = np.zeros((2, 100), dtype=np.float32), np.zeros(100, dtype=np.float32)
    for call, words in (
        (lambda: loudness.k_weight(stereo, ring_samples=-1), "ring_samples must be at least 0"),
        (
            lambda: loudness.momentary_maximum_lufs(stereo, window_seconds=0.0),
            "window_seconds must be above 0",
        ),
        (lambda: loudness.momentary_maximum_lufs(stereo, window_seconds=math.nan), "window_seconds must"),
        (lambda: pitch.onset_sample(mono, below_peak_db=1.0), "below_peak_db must not be above 0"),
        (lambda: pitch.onset_sample(mono, below_peak_db=math.nan), "below_peak_db must not"),
        (lambda: pitch.envelope(mono, smoothing_seconds=-0.1), "smoothing_seconds must lie between 0 and 10"),
        (lambda: pitch.envelope(mono, smoothing_seconds=math.inf), "smoothing_seconds must lie"),
        (lambda: pitch.decay_seconds(mono, drop_db=-1.0), "drop_db must not be negative"),
        (lambda: to_image(-np.ones(3)), "magnitude holds negative values"),
        (lambda: SCALE.to_image(-np.ones(3)), "magnitude holds negative values"),
        (lambda: to_image(np.ones(3), peak=1e30), "peak must be between 0 and 1e\\+18"),
        (lambda: SCALE.power_to_image(-np.ones(3)), "power holds negative values"),
        (lambda: FixedScale(-80.0, 0.0, 1e-19), "reference_magnitude must be between 1e-18 and 1e\\+18"),
        (lambda: FixedScale(-2000.0, 0.0), "both between -1000 and 770 dB"),
        (lambda: FixedScale(-80.0, 450.0, 1e18), "both between -1000 and 410 dB"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_whole_numbers():
    for good in (3, np.int64(3), np.uint8(3)):
        assert arguments.whole("count", good, 3) == 3
        assert type(arguments.whole("count", good, 3)) is int
    for bad in (3.0, "3", None, True, np.bool_(True), np.float32(3)):
        with pytest.raises(ValueError, match="count must be a whole number"):
            arguments.whole("count", bad, 0)


def test_images_of_extreme_magnitudes_stay_finite():
    magnitude = np.float32([0.0, 1e-45, 1e-38, 1e-20, 1.0, 1e20, 3e38])
    for scale in (SCALE, FixedScale(-700.0, 409.0, 1e18), FixedScale(-300.0, 770.0, 1e-18)):
        image = scale.to_image(magnitude)
        assert (np.abs(image) <= 1.0).all()
        assert np.all(np.diff(image) >= 0.0)
        assert (np.abs(scale.power_to_image(magnitude)) <= 1.0).all()
        assert np.isfinite(scale.from_image(image)).all()
        assert np.isfinite(scale.from_image(np.float32([-3e38, 3e38]))).all()
    for peak in (None, 0.0, 1e-44, 1e-18, 1e18):
        image = to_image(magnitude, peak=peak)
        assert (np.abs(image) <= 1.0).all()
        assert np.isfinite(from_image(image, peak=peak or 1.0)).all()
