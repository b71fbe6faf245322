"""No artefact at either end of a sound, nor at either end of its spectrum."""

import numpy as np
import pytest
import reference

from dsp.phase import griffin_lim, pghi, raar
from dsp.phase.starts import gamma_of
from dsp.stft import Stft, window

SAMPLES = 6_001
TIME = np.arange(SAMPLES)
EDGE = 50  # samples
EXACT_DB = -120.0
TRUE_PHASE_DB = -110.0  # after a few iterations in single precision
# Errors of the magnitudes after 30 iterations from PGHI, relative to the mean frame; in the middle white noise has
# -24 dB, an impulse train -18 to -33. All frames that touch the last sample exist; of those that touch the first only
# half do (frame 0 is centred on it), so that an impulse right there is found later than others.
LAST_FRAMES_DB = -17.0
FIRST_FRAMES_DB = -9.0
LEVEL_DB = 2.5

SETTINGS = [("hann", 512, 128), ("hann", 512, 100), ("hann", 1024, 256), ("gaussian", 512, 64)]


def impulse_train() -> np.ndarray:
    """From the very first sample to the very last."""
    sound = np.zeros(SAMPLES)
    sound[::500] = 1.0
    return sound


def chirp() -> np.ndarray:
    return np.sin(2 * np.pi * (0.02 * TIME + 0.5 * 0.38 / SAMPLES * TIME**2))


def noise() -> np.ndarray:
    return np.random.default_rng(1).standard_normal(SAMPLES)


def silence_around_a_burst() -> np.ndarray:
    return np.where(np.abs(TIME - SAMPLES // 2) < 600, noise(), 0.0)


def nyquist_tone() -> np.ndarray:
    return np.cos(np.pi * TIME)


def offset() -> np.ndarray:
    return np.ones(SAMPLES)


SOUNDS = (impulse_train, chirp, noise, silence_around_a_burst, nyquist_tone, offset)
STRETCHES = {"start": slice(0, EDGE), "middle": slice(EDGE, -EDGE), "end": slice(-EDGE, None)}


def level_db(values: np.ndarray) -> float:
    return 10.0 * np.log10(np.mean(np.square(values, dtype=float)) + 1e-30)


@pytest.fixture(params=SETTINGS, ids=lambda setting: "-".join(map(str, setting)))
def stft(request):
    name, samples, hop = request.param
    return Stft(SAMPLES, window(name, samples), hop)


@pytest.fixture
def sound(request):
    return request.param().astype(np.float32)[None]


sounds = pytest.mark.parametrize("sound", SOUNDS, indirect=True)


@sounds
def test_every_stretch_comes_back(stft, sound):
    spectrum = stft.forward(sound)
    back = stft.inverse(spectrum)
    rebuilt = griffin_lim(np.abs(spectrum), stft, iterations=5, start_phase=np.angle(spectrum))
    scale_db = level_db(sound)
    for place, stretch in STRETCHES.items():
        assert level_db(back[0, stretch] - sound[0, stretch]) < scale_db + EXACT_DB, place
        assert level_db(rebuilt[0, stretch] - sound[0, stretch]) < scale_db + TRUE_PHASE_DB, place


def from_magnitudes(stft, sound, iterations=30):
    magnitude = np.abs(stft.forward(sound))
    start = pghi(
        magnitude[0],
        gamma=gamma_of(stft.window),
        hop_samples=stft.hop_samples,
        window_samples=stft.window_samples,
    )
    return magnitude, raar(magnitude, stft, iterations=iterations, start_phase=start)


@pytest.mark.parametrize("sound", [impulse_train, chirp, noise], indirect=True)
def test_the_ends_are_as_good_without_phase(stft, sound):
    magnitude, rebuilt = from_magnitudes(stft, sound)
    found = np.abs(stft.forward(rebuilt))
    # Frames whose window hangs over an end, which only the zeros beyond it make different from the others.
    over = stft.window_samples // 2 // stft.hop_samples
    frame_rms = np.linalg.norm(magnitude) / np.sqrt(stft.frames)
    for frames, hoped_db in (
        (slice(0, over), FIRST_FRAMES_DB),
        (slice(stft.frames - over, None), LAST_FRAMES_DB),
    ):
        error = np.linalg.norm((found - magnitude)[:, frames]) / np.sqrt(over)
        assert 20 * np.log10(error / frame_rms) < hoped_db
    assert level_db(rebuilt[0, -EDGE:]) == pytest.approx(level_db(sound[0, -EDGE:]), abs=LEVEL_DB)


@pytest.mark.parametrize("ends", ["both", "first", "last"])
def test_silence_to_the_last_sample_stays_silent(stft, ends):
    sound = silence_around_a_burst()
    if ends == "first":
        sound[SAMPLES // 2 :] = noise()[SAMPLES // 2 :]
    if ends == "last":
        sound[: SAMPLES // 2] = noise()[: SAMPLES // 2]
    _, rebuilt = from_magnitudes(stft, sound.astype(np.float32)[None])
    # Where all frames are silent nothing sounds, but for the rounding of a frame that shares a transform with another.
    quiet = SAMPLES // 2 - 600 - stft.window_samples
    if ends in ("both", "first"):
        assert level_db(rebuilt[0, :quiet]) < -200.0
        assert not rebuilt[0, :EDGE].any()
    if ends in ("both", "last"):
        assert level_db(rebuilt[0, -quiet:]) < -200.0
        assert not rebuilt[0, -EDGE:].any()
    assert rebuilt.any()


@pytest.mark.parametrize(("sound", "bin_number"), [(nyquist_tone, -1), (offset, 0)], indirect=["sound"])
def test_the_outermost_bins_keep_their_tone(stft, sound, bin_number):
    spectrum = stft.forward(sound)
    inside = slice(stft.window_samples // stft.hop_samples, -stft.window_samples // stft.hop_samples)
    whole = np.full(stft.frames, stft.window.sum())
    np.testing.assert_allclose(np.abs(spectrum[0, inside, bin_number]), whole[inside], rtol=1e-4)
    assert np.abs(spectrum[..., [0, -1]].imag).max() == 0.0
    assert reference.error_db(stft.inverse(spectrum), sound) < EXACT_DB
    _, rebuilt = from_magnitudes(stft, sound)
    for place, stretch in STRETCHES.items():
        assert level_db(rebuilt[0, stretch]) == pytest.approx(0.0, abs=LEVEL_DB), place
