"""The round trip is test number one."""

import numpy as np
import pytest

from samplegan import synth
from samplegan.audio import ONSET_SAMPLE, SAMPLE_RATE
from samplegan.config import ImageSettings, category_image
from samplegan.dataset import training_sound
from samplegan.errors import ConfigError
from samplegan.representation import Representation, representation_for

LENGTH_SECONDS = 0.6
DRAFT = ImageSettings(name="draft", bands=256, frames=256)
COMPACT = ImageSettings()
LOW = category_image("kick")
COMPACT_LOG_SPECTRAL_DB = 3.0  # kicks; real ones measured 1.2
DRAFT_LOG_SPECTRAL_DB = 8.0
TONE_SEMITONES = 0.35


def tone(hertz: float, decay_seconds: float = 0.2, *, level: float = 1.0) -> np.ndarray:
    time = np.arange(round(LENGTH_SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    sound = level * np.sin(2 * np.pi * hertz * time) * np.exp(-time / decay_seconds)
    sound = np.roll(sound, ONSET_SAMPLE)
    sound[:ONSET_SAMPLE] = 0
    sound[-400:] *= np.linspace(1, 0, 400)
    return np.stack([sound, sound]).astype(np.float32)


def spectrum_db(audio: np.ndarray) -> np.ndarray:
    """Log-magnitude frames of another transform than the representation's own."""
    from scipy.signal import stft

    _, _, spectrum = stft(audio, nperseg=2048, noverlap=1536)
    magnitude = np.abs(spectrum)
    return 20 * np.log10(magnitude + 1e-4 * magnitude.max())


@pytest.mark.parametrize(
    ("settings", "tolerance_db"),
    [(LOW, COMPACT_LOG_SPECTRAL_DB), (COMPACT, COMPACT_LOG_SPECTRAL_DB), (DRAFT, DRAFT_LOG_SPECTRAL_DB)],
)
def test_a_kick_survives_the_round_trip(settings, tolerance_db):
    representation = representation_for(settings, LENGTH_SECONDS)
    for index in range(3):
        kick = training_sound(synth.synthesise("kick", 5, index), 1.0, representation.length_samples)
        back = representation.synthesise(representation.analyse(kick))
        # The draft's mapping forgets the level of a sound.
        back = back * np.float32(np.abs(kick).max() / np.abs(back).max())
        error = np.sqrt(np.mean((spectrum_db(kick) - spectrum_db(back)) ** 2))
        assert error < tolerance_db


@pytest.mark.parametrize(
    ("hertz", "settings"),
    [
        (42.0, LOW),
        (50.0, LOW),
        (60.0, LOW),
        (110.0, LOW),
        (110.0, COMPACT),
        (220.0, COMPACT),
        (3000.0, COMPACT),
    ],
)
def test_a_tone_stays_a_tone(hertz, settings):
    representation = representation_for(settings, LENGTH_SECONDS)
    back = representation.synthesise(representation.analyse(tone(hertz)))[0]
    size = 1 << 17
    found = np.argmax(np.abs(np.fft.rfft(back[2000:20000] * np.hanning(18000), size))) * SAMPLE_RATE / size
    assert abs(12 * np.log2(found / hertz)) < TONE_SEMITONES


@pytest.mark.parametrize("settings", [COMPACT, DRAFT])
def test_silence_stays_silence(settings):
    representation = representation_for(settings, LENGTH_SECONDS)
    silence = np.zeros((2, representation.length_samples), dtype=np.float32)
    image = representation.analyse(silence)
    assert np.all(image == -1)
    assert np.abs(representation.synthesise(image)).max() < 1e-4


@pytest.mark.parametrize("settings", [COMPACT, DRAFT])
def test_images_have_the_promised_shape_and_range(settings):
    representation = representation_for(settings, LENGTH_SECONDS)
    image = representation.analyse(tone(100.0))
    assert image.shape == (2, representation.bands, representation.frames)
    assert image.dtype == np.float32
    assert image.min() >= -1
    assert image.max() <= 1
    assert representation.synthesise(image).shape == (2, representation.length_samples)


def test_an_image_a_hair_above_the_floor_does_not_hiss():
    representation = representation_for(LOW, LENGTH_SECONDS)
    image = np.full((2, representation.bands, representation.frames), -0.96, dtype=np.float32)
    assert np.abs(representation.synthesise(image)).max() == 0


def test_the_stereo_image_stays():
    representation = representation_for(COMPACT, LENGTH_SECONDS)
    sound = tone(150.0)
    sound[1] *= 0.25  # 12 dB to the left
    back = representation.synthesise(representation.analyse(sound))
    balance_db = 10 * np.log10(np.sum(back[0] ** 2) / np.sum(back[1] ** 2))
    assert abs(balance_db - 12.04) < 0.5
    mono_loss_db = 10 * np.log10(np.sum((back[0] + back[1]) ** 2) / np.sum((sound[0] + sound[1]) ** 2))
    assert abs(mono_loss_db) < 1.0


def test_mono_comes_back_as_mono():
    representation = representation_for(COMPACT, LENGTH_SECONDS)
    back = representation.synthesise(representation.analyse(tone(80.0)))
    np.testing.assert_array_equal(back[0], back[1])


def test_nothing_sounds_before_the_onset():
    representation = representation_for(COMPACT, LENGTH_SECONDS)
    back = representation.synthesise(representation.analyse(tone(500.0)))
    before = np.sum(back[:, : ONSET_SAMPLE // 2] ** 2) / np.sum(back**2)
    assert before < 1e-6


def test_noise_comes_back_with_its_grain():
    """Smoothed noise inverted without it has a third of the unevenness, and is heard as a comb."""
    representation = representation_for(category_image("snare"), LENGTH_SECONDS)
    time = np.arange(representation.length_samples) / SAMPLE_RATE
    noise = np.random.default_rng(4).normal(size=time.size) * np.exp(-time / 0.15)
    noise[:ONSET_SAMPLE] = 0
    sound = np.stack([noise, noise]).astype(np.float32) / 5
    back = representation.synthesise(representation.analyse(sound))
    wanted, given = (unevenness_db(audio) for audio in (sound, back))
    assert abs(given - wanted) < 0.15 * wanted


def unevenness_db(audio: np.ndarray) -> float:
    """Spread of the level of neighbouring cells, from 2 to 15 kHz in the first 0.3 s."""
    from scipy.signal import stft

    _, _, spectrum = stft(audio[0], nperseg=1024, noverlap=768)
    level = 20 * np.log10(np.abs(spectrum[50:350, 4:50]) + 1e-9)
    return float(np.std(level - level.mean(axis=0)))


def test_level_is_kept_by_the_fixed_scale():
    representation = representation_for(COMPACT, LENGTH_SECONDS)
    loud, soft = (representation.synthesise(representation.analyse(tone(200.0, level=x))) for x in (1.0, 0.1))
    ratio_db = 10 * np.log10(np.sum(loud**2) / np.sum(soft**2))
    assert abs(ratio_db - 20.0) < 0.5


def test_the_same_image_and_seed_give_the_same_samples():
    representation = representation_for(COMPACT, LENGTH_SECONDS)
    image = representation.analyse(synth.synthesise("snare", 1, 1)[:, : representation.length_samples])
    first, again = (representation.synthesise(image, seed=9) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_it_survives_as_json():
    representation = representation_for(COMPACT, 0.35)
    assert Representation.from_document(representation.to_document()) == representation


def test_an_image_too_small_for_the_length_is_refused():
    with pytest.raises(ConfigError, match="does not fit"):
        representation_for(ImageSettings(name="draft", bands=32, frames=16), 2.0)
    with pytest.raises(ConfigError, match="does not fit"):
        representation_for(ImageSettings(frames=256), 0.1)
