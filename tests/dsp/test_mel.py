import librosa
import numpy as np
import pytest
import reference
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dsp.mel import MelImage, MelMap, hertz_to_mel, instantaneous_frequency, mel_to_hertz, phase_from_if
from dsp.scale import FixedScale
from dsp.stft import Stft, window

RATE = 44_100
LENGTH = 22_050
WINDOW, HOP = 2048, 512
PHASE_TOLERANCE = 2e-5  # radians, after as many frames as an image has
ENERGY_TOLERANCE = 1e-5  # relative
CENT = 2 ** (1 / 1200) - 1


def transform(length=LENGTH, window_samples=WINDOW, hop_samples=HOP):
    return Stft(length, window("hann", window_samples), hop_samples)


def image_of(bands, floor_db=-90.0, length=LENGTH):
    """2048/512 with ``bands`` mel bands, or with linear bins."""
    stft = transform(length)
    scale = FixedScale(floor_db, 0.0, reference_magnitude=float(stft.window.sum()) / 2)
    return MelImage(stft, scale, MelMap(stft.bins, bands, RATE) if bands else None)


def tone(hertz, length=LENGTH):
    return np.cos(2 * np.pi * hertz / RATE * np.arange(length) + 0.7).astype(np.float32)[None]


def impulse(sample, length=LENGTH):
    audio = np.zeros((1, length), dtype=np.float32)
    audio[0, sample] = 1.0
    return audio


def frequency_of(audio):
    """Of a steady tone: the peak of its spectrum, then how fast the phase about it turns from half to half."""
    middle = audio[WINDOW:-WINDOW].astype(float)
    padded = 1 << 18
    peak = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), padded)).argmax() * RATE / padded
    half = len(middle) // 2
    turned = middle * np.exp(-2j * np.pi * peak / RATE * np.arange(len(middle)))
    first, second = (np.sum(part * np.hanning(half)) for part in (turned[:half], turned[half : 2 * half]))
    return peak + np.angle(second / first) / (2 * np.pi * half / RATE)


def random_spectrum(seed, shape):
    random = np.random.default_rng(seed)
    return (random.standard_normal(shape) + 1j * random.standard_normal(shape)).astype(np.complex64)


# Instantaneous frequency


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 99),
    frames=st.integers(1, 70),
    bins=st.integers(2, 40),
    hop_samples=st.one_of(st.none(), st.integers(1, 100)),
)
def test_the_running_sum_is_the_phase(seed, frames, bins, hop_samples):
    spectrum = random_spectrum(seed, (2, frames, bins))
    frequency = instantaneous_frequency(spectrum, hop_samples=hop_samples)
    assert (frequency.dtype, frequency.shape) == (np.float32, spectrum.shape)
    assert np.abs(frequency).max() <= 1.0
    phase = phase_from_if(frequency, hop_samples=hop_samples)
    assert (phase.dtype, phase.shape) == (np.float32, spectrum.shape)
    assert np.abs(phase).max() <= np.float32(np.pi)
    assert np.abs(np.angle(np.exp(1j * phase) * np.conj(spectrum))).max() < PHASE_TOLERANCE


def test_it_is_the_difference_of_the_unwrapped_phase():
    spectrum = random_spectrum(3, (2, 30, 9))
    unwrapped = np.unwrap(np.angle(spectrum).astype(float), axis=-2)
    frequency = instantaneous_frequency(spectrum)
    np.testing.assert_allclose(frequency[:, 1:], np.diff(unwrapped, axis=-2) / np.pi, atol=1e-6)
    np.testing.assert_allclose(frequency[:, 0], np.angle(spectrum[:, 0]) / np.pi, atol=1e-6)


def test_a_tone_has_one_frequency_in_its_main_lobe():
    place = 100.3  # in bins
    spectrum = transform().forward(tone(place * RATE / WINDOW))[:, 4:-4]
    lobe = slice(99, 102)
    plain = instantaneous_frequency(spectrum)[0, 1:, lobe]
    turns = place * HOP / WINDOW
    np.testing.assert_allclose(plain, 2 * (turns - np.rint(turns)), atol=1e-3)
    about_bins = instantaneous_frequency(spectrum, hop_samples=HOP)[0, 1:, lobe]
    wanted = np.tile(2 * HOP / WINDOW * (place - np.arange(99, 102)), (len(about_bins[:, 0]), 1))
    np.testing.assert_allclose(about_bins, wanted, atol=1e-3)


def test_a_click_stands_still():
    sample = 3000
    frequency = instantaneous_frequency(transform().forward(impulse(sample)), hop_samples=HOP)[0]
    first = -(-(sample - WINDOW // 2 + 1) // HOP)  # the first frame whose window reaches it
    assert not frequency[:first].any()
    assert np.abs(frequency[first]).mean() > 0.3  # where the click lies
    assert np.abs(frequency[first + 1 :]).max() < 1e-3


def test_silent_cells_hold_their_phase():
    spectrum = random_spectrum(1, (40, 9))
    spectrum[::3] = 0.0
    spectrum[10:20, 4] = 0.0
    for hop_samples in (None, 4):
        frequency = instantaneous_frequency(spectrum, hop_samples=hop_samples)
        assert not frequency[spectrum == 0].any()
        phase = phase_from_if(frequency, hop_samples=hop_samples)
        turned = np.angle(np.exp(1j * phase) * np.conj(spectrum))[spectrum != 0]
        assert np.abs(turned).max() < PHASE_TOLERANCE


def test_the_smoother_image_of_a_sweep_is_the_one_about_the_bins(kick):
    spectrum = transform().forward(kick[None])
    power = np.abs(spectrum[0, 1:]) ** 2

    def roughness(**options):
        return np.sum(np.abs(np.diff(instantaneous_frequency(spectrum, **options)[0], axis=0)) * power)

    assert roughness(hop_samples=HOP) < 0.8 * roughness()


# Mel bands


def test_the_scale_is_htk():
    mel_map = MelMap(513, 64, RATE, lower_hz=20.0, upper_hz=20_000.0)
    wanted = librosa.mel_frequencies(65, fmin=20.0, fmax=20_000.0, htk=True)
    np.testing.assert_allclose(mel_map.edges_hz, wanted, rtol=1e-4)
    assert hertz_to_mel(np.array(1000.0)) == pytest.approx(1000.0, abs=0.1)
    np.testing.assert_allclose(mel_to_hertz(hertz_to_mel(mel_map.edges_hz)), mel_map.edges_hz)
    assert (mel_map.edges_hz[0], mel_map.edges_hz[-1]) == (20.0, 20_000.0)


@settings(deadline=None, max_examples=60)
@given(bins=st.integers(2, 300), mel_bands=st.integers(1, 400), seed=st.integers(0, 99))
def test_energy_is_kept(bins, mel_bands, seed):
    mel_map = MelMap(bins, mel_bands, RATE)
    power = np.random.default_rng(seed).random((3, bins)).astype(np.float32)
    pooled = mel_map.pool(power)
    # The first and the last bin count half, as in the energy of a real signal.
    parseval = power.sum(axis=1) - (power[:, 0] + power[:, -1]) / 2
    np.testing.assert_allclose((pooled * mel_map.widths).sum(axis=1), parseval, rtol=ENERGY_TOLERANCE)
    edges = mel_map.edges_hz / (RATE / 2) * (bins - 1)
    np.testing.assert_allclose(pooled, reference.pool(power.astype(float), edges + 0.5), rtol=1e-3, atol=1e-5)


@settings(deadline=None, max_examples=60)
@given(
    bins=st.integers(2, 300),
    mel_bands=st.integers(1, 400),
    range_hz=st.tuples(st.floats(0, RATE / 2), st.floats(0, RATE / 2)).map(sorted),
)
def test_what_is_flat_stays_flat(bins, mel_bands, range_hz):
    assume(range_hz[1] - range_hz[0] > 1.0)
    mel_map = MelMap(bins, mel_bands, RATE, *range_hz)
    flat = np.full((2, bins), -7.0, dtype=np.float32)
    np.testing.assert_allclose(mel_map.pool(flat), -7.0, rtol=1e-5)
    np.testing.assert_allclose(mel_map.spread(mel_map.pool(flat)), -7.0, rtol=1e-5)
    assert (np.diff(mel_map.centres) > -1e-4).all()


def test_a_bin_that_holds_bands_comes_back_as_it_was():
    mel_map = MelMap(1025, 1024, RATE)
    edges = mel_map.edges_hz / (RATE / 2) * 1024
    holds = [np.any((edges[:-1] >= k - 0.5) & (edges[1:] <= k + 0.5)) for k in range(1025)]
    assert all(holds[:120])  # the bands there are less than half a bin wide
    level = np.random.default_rng(0).uniform(-90, 0, 1025).astype(np.float32)
    back = mel_map.spread(mel_map.pool(level))
    np.testing.assert_allclose(back[holds], level[holds], rtol=1e-5)


def test_noise_on_narrow_bands_averages_out():
    noise = np.random.default_rng(0).standard_normal((200, 1024)).astype(np.float32)
    mel_map = MelMap(1025, 1024, RATE)
    assert mel_map.spread(noise)[:, 1:25].std() < 0.5  # at least four bands a bin


def test_a_smooth_spectrum_survives_wide_bands():
    bins = np.arange(1025)
    level_db = -60 * np.log10(1 + bins / 40) + 6 * np.sin(np.sqrt(bins))
    mel_map = MelMap(1025, 256, RATE)
    pooled = 10 * np.log10(mel_map.pool((10 ** (level_db / 10)).astype(np.float32)))
    assert np.abs(mel_map.spread(pooled) - level_db).mean() < 0.3


@pytest.mark.parametrize("mel_bands", [1024, 256])
def test_restoring_gives_wide_bands_their_energy(mel_bands):
    mel_map = MelMap(1025, mel_bands, RATE)
    pooled = mel_map.pool(np.abs(transform().forward(tone(15_000.0))[0, 20]) ** 2)
    spread = 10 ** (mel_map.spread(10 * np.log10(np.maximum(pooled, 1e-6))) / 10)
    restored = mel_map.restore(spread, pooled)

    def energy_db(power):
        return 10 * np.log10(np.sum(power) / np.sum(pooled * mel_map.widths))

    assert energy_db(spread) < -1.5
    assert abs(energy_db(restored)) < 0.3
    silence = np.zeros_like(pooled)
    assert not mel_map.restore(np.zeros(1025, dtype=np.float32), silence).any()
    assert restored[:5].tobytes() == spread[:5].tobytes()  # narrow bands were right


def test_only_bins_within_the_range_are_covered():
    mel_map = MelMap(1025, 128, 2048, lower_hz=100.0, upper_hz=600.0)
    assert np.flatnonzero(mel_map.covered).tolist() == list(range(100, 601))
    assert MelMap(1025, 128, RATE).covered.all()


# Images


def test_the_image():
    sounds = np.concatenate([tone(1000.0), 0.1 * tone(5000.0)])
    for bands in (None, 300):
        images = image_of(bands)
        image = images.analyse(sounds)
        assert image.dtype == np.float32
        assert image.shape == (2, *images.shape) == (2, 2, bands or 1025, images.stft.frames)
        assert np.abs(image).max() <= 1.0
        assert not image[:, 1][image[:, 0] == -1].any()
        assert image.tobytes() == images.image(images.stft.forward(sounds)).tobytes()
    # A tone a tenth of full scale stands at -20 dB of the 90.
    quiet = 0.1 * tone(93 * RATE / WINDOW)
    assert image_of(None).analyse(quiet)[0, 0, 93, 20] == pytest.approx(1 - 20 / 45, abs=1e-3)


def test_linear_bins_return_the_sound(kick, noise):
    images = image_of(None, floor_db=-150.0)
    assert reference.error_db(images.synthesise(images.analyse(kick[None]))[0], kick) < -90.0
    images = image_of(None, floor_db=-150.0, length=6000)
    assert reference.error_db(images.synthesise(images.analyse(noise)), noise) < -90.0
    # Even where each window hears something new.
    click = impulse(3000, 6000)
    assert reference.error_db(images.synthesise(images.analyse(click)), click) < -90.0


def test_the_spectrum_is_the_transforms(kick):
    images = image_of(None, floor_db=-150.0)
    spectrum = images.stft.forward(kick[None])
    assert reference.error_db(images.spectrum(images.image(spectrum)), spectrum) < -90.0


@pytest.mark.parametrize(("bands", "worst_db"), [(1024, -35.0), (512, -25.0), (128, -12.0)])
def test_mel_bands_return_a_kick(kick, bands, worst_db):
    images = image_of(bands)
    assert reference.error_db(images.synthesise(images.analyse(kick[None]))[0], kick) < worst_db


@pytest.mark.parametrize("bands", [None, 1024])
@pytest.mark.parametrize("hertz", [55.0, 123.4, 440.0, 1234.5, 5000.0, 8010.0, 15_000.0])
def test_a_tone_stays_a_tone(bands, hertz):
    images = image_of(bands)
    back = images.synthesise(images.analyse(tone(hertz)))[0]
    assert abs(frequency_of(back) / hertz - 1) < CENT / 10
    inside = slice(WINDOW, -WINDOW)
    # It is still that one tone: as loud, in phase and with little beside it.
    assert reference.error_db(back[inside], tone(hertz)[0, inside]) < (-60.0 if bands is None else -20.0)


def test_the_frequency_plane_is_the_pitch():
    # Five cents more in the image are five cents more in the sound, which also shows that the oracle can see them.
    images = image_of(1024)
    image = images.analyse(tone(1000.0))
    image[:, 1, :, 1:] += 2 * HOP / RATE * 1000.0 * 5 * CENT
    back = images.synthesise(image)[0]
    assert frequency_of(back) / 1000.0 - 1 == pytest.approx(5 * CENT, rel=0.05)


@pytest.mark.parametrize("bands", [None, 1024, 512])
@pytest.mark.parametrize("sample", [0, 44, 3000, 12_345, LENGTH - 1])
def test_an_impulse_stays_put(bands, sample):
    images = image_of(bands)
    back = images.synthesise(images.analyse(impulse(sample)))[0]
    assert np.abs(back).argmax() == sample


@pytest.mark.parametrize("bands", [None, 1024, 64])
def test_silence_stays_silence(bands):
    images = image_of(bands)
    image = images.analyse(np.zeros((2, LENGTH), dtype=np.float32))
    assert (image[:, 0] == -1).all()
    assert not image[:, 1].any()
    assert not images.synthesise(image).any()
    image[:, 1] = np.random.default_rng(0).uniform(-1, 1, image[:, 1].shape)  # nothing has no phase
    assert not images.synthesise(image).any()


def test_a_sound_is_alone_in_its_batch(noise):
    for bands in (None, 300):
        images = image_of(bands, length=6000)
        together = images.analyse(noise)
        assert together[1:].tobytes() == images.analyse(noise[1:]).tobytes()
        back = images.synthesise(together, iterations=3)
        assert back[1:].tobytes() == images.synthesise(together[1:], iterations=3).tobytes()


def test_values_beyond_the_image(kick):
    images = image_of(300)
    image = images.analyse(kick[None])
    loud = image.copy()
    loud[:, 0] = np.where(image[:, 0] > -1, image[:, 0], -3.0)
    loud[:, 1] += np.random.default_rng(0).integers(-1, 2, image[:, 1].shape) * 2  # whole turns
    assert reference.error_db(images.synthesise(loud), images.synthesise(image)) < -70.0
    with pytest.raises(ValueError, match="not finite"):
        images.synthesise(np.full_like(image, np.nan))


def test_iterations_make_a_noisy_image_consistent(kick):
    images = image_of(1024)
    image = images.analyse(kick[None])
    random = np.random.default_rng(0)
    image[:, 1] += 0.1 * random.standard_normal(image[:, 1].shape).astype(np.float32)
    target = np.abs(images.spectrum(image))

    def convergence_db(**options):
        back = images.synthesise(image, **options)
        return reference.spectral_convergence_db(np.abs(images.stft.forward(back)), target)

    assert convergence_db(iterations=30) < convergence_db() - 6.0
    support = np.arange(LENGTH) >= 44
    assert not images.synthesise(image, support=support)[:, :44].any()


def test_bins_outside_the_range_are_silent(noise):
    stft = transform(6000)
    mel_map = MelMap(stft.bins, 256, RATE, lower_hz=1000.0, upper_hz=5000.0)
    images = MelImage(stft, FixedScale(-90.0, 10.0, reference_magnitude=512.0), mel_map)
    spectrum = images.spectrum(images.analyse(noise))
    assert not spectrum[..., ~mel_map.covered].any()
    assert np.abs(spectrum[..., mel_map.covered]).min() > 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MelMap(1, 4, RATE), "at least 2 bins, not 1"),
        (lambda: MelMap(9, 0, RATE), "at least one band, not 0"),
        (lambda: MelMap(9, 4, float("nan")), "rate_hz must be a positive number"),
        (lambda: MelMap(9, 4, RATE, 100.0, 100.0), "lower_hz below upper_hz"),
        (lambda: MelMap(9, 4, RATE, 0.0, 30_000.0), "between 0 and half the rate, 22050 Hz"),
        (lambda: MelMap(9, 4, RATE, float("nan")), "lower_hz below upper_hz"),
        (lambda: MelMap(9, 4, RATE).pool(np.zeros((2, 4))), "values must have 9 values along the last axis"),
        (
            lambda: MelMap(9, 4, RATE).restore(np.zeros((2, 9)), np.zeros(4)),
            r"pooled must have the shape \[2, 4\]",
        ),
        (lambda: MelMap(9, 4, RATE).spread(np.float32(1)), "values must have 4 values along the last axis"),
        (
            lambda: MelImage(transform(), FixedScale(-90, 0), MelMap(9, 4, RATE)),
            "for 9 bins, but the transform",
        ),
        (lambda: image_of(64).analyse(np.zeros((1, 5))), "audio must have the shape"),
        (
            lambda: image_of(64).image(np.zeros((1, 5, 1025))),
            r"spectrum must have the shape \[batch, 46, 1025\]",
        ),
        (lambda: image_of(64).synthesise(np.zeros((1, 2, 65, 45))), r"shape \[batch, 2, 64, 46\]"),
        (lambda: instantaneous_frequency(np.zeros(4)), r"spectrum must have the shape \[..., frame, bin\]"),
        (lambda: phase_from_if(np.zeros((0, 4))), "frequency must have the shape"),
        (lambda: phase_from_if(np.zeros((3, 4)), hop_samples=0), "hop must be at least one sample"),
        (lambda: phase_from_if(np.zeros((3, 1)), hop_samples=4), "at least 2 bins"),
    ],
)
def test_misuse(make, words):
    with pytest.raises(ValueError, match=words):
        make()
