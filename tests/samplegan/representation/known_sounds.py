"""Sounds of which it is known what must come back, and ears that are not the representation's own."""

import numpy as np

from samplegan.audio import ONSET_SAMPLE, SAMPLE_RATE

LENGTH_SECONDS = 0.6
LENGTH = round(LENGTH_SECONDS * SAMPLE_RATE)


def stereo(sound: np.ndarray) -> np.ndarray:
    return np.stack([sound, sound]).astype(np.float32)


def seconds_from_onset() -> np.ndarray:
    return (np.arange(LENGTH) - ONSET_SAMPLE) / SAMPLE_RATE


def tone(hertz: float, decay_seconds: float = 0.2, *, level: float = 1.0) -> np.ndarray:
    return stereo(level * swept(np.full(LENGTH, hertz), decay_seconds))


def swept(hertz: np.ndarray, decay_seconds: float) -> np.ndarray:
    """A sine of a moving frequency [sample] that starts at the onset; it ends in a fade."""
    time = seconds_from_onset()
    turns = np.cumsum(np.where(time > 0, hertz, 0.0)) / SAMPLE_RATE
    sound = np.sin(2 * np.pi * turns) * np.exp(-np.maximum(time, 0) / decay_seconds) * (time >= 0)
    sound[-400:] *= np.linspace(1, 0, 400)
    return sound


def decaying_noise(seed: int, decay_seconds: float = 0.15) -> np.ndarray:
    time = seconds_from_onset()
    noise = np.random.default_rng(seed).normal(size=LENGTH) / 5
    return noise * np.exp(-np.maximum(time, 0) / decay_seconds) * (time >= 0)


def pitch_hz(audio: np.ndarray) -> float:
    """The strongest frequency of `audio[sample]`, to a fraction of a cent."""
    size = 1 << 17
    ringing = audio[2000:20000]
    spectrum = np.abs(np.fft.rfft(ringing * np.hanning(len(ringing)), size))
    peak = int(np.argmax(spectrum))
    before, here, after = np.log(spectrum[peak - 1 : peak + 2])
    return float((peak + 0.5 * (before - after) / (before - 2 * here + after)) * SAMPLE_RATE / size)


def spectrum_db(audio: np.ndarray) -> np.ndarray:
    """Log-magnitude frames of another transform than the representation's own."""
    from scipy.signal import stft

    _, _, spectrum = stft(audio, nperseg=2048, noverlap=1536)
    magnitude = np.abs(spectrum)
    return 20 * np.log10(magnitude + 1e-4 * magnitude.max())


def unevenness_db(audio: np.ndarray, window_samples: int = 1024) -> float:
    """Spread of the level of neighbouring cells, from 2 to 15 kHz in the first 0.3 s."""
    from scipy.signal import stft

    hertz, time, spectrum = stft(
        audio[0], fs=SAMPLE_RATE, nperseg=window_samples, noverlap=3 * window_samples // 4
    )
    cells = np.ix_((hertz > 2_100) & (hertz < 15_000), (time > 0.02) & (time < 0.29))
    level = 20 * np.log10(np.abs(spectrum[cells]) + 1e-9)
    return float(np.std(level - level.mean(axis=0)))


def energy_db(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(np.square(sound, dtype=np.float64))))


def width_db(audio: np.ndarray) -> float:
    """The side's energy over the middle's."""
    return energy_db(audio[0] - audio[1]) - energy_db(audio[0] + audio[1])
