"""Where a phase reconstruction may start: every frame as a decay that begins at once."""

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

# Far below the peak the logarithm is held: the cepstrum has no use for the logarithm of zero.
LOWEST_DB = -100.0


def minimum_phase(magnitude: F32, window_samples: int) -> F32:
    """The phase with which each frame is as early as its magnitude allows, moved to the middle of the window.

    The phase of a minimum-phase frame follows from its magnitude: it is that of the exponential of the cepstrum folded
    onto positive times (Oppenheim & Schafer, Discrete-Time Signal Processing, ch. 13). Such a frame begins with its
    loudest sample; it is delayed by whole samples until the centre of its energy stands where the window is widest
    open. ``Stft`` counts phase from the window's first sample, so half a window is part of that delay. Frames that
    begin at the centre or at the window's start make starts 1 to 7 dB worse; beginning at a known onset, where a window
    holds one, changes them by half a decibel.

    Shape: float32 [frame, bin] → float32 [frame, bin], radians in [-π, π], to be used as ``start_phase``. Raises
    ValueError for another number of bins than ``window_samples // 2 + 1``, an odd window, and magnitudes that are
    negative or not finite.
    """
    magnitude = np.asarray(magnitude, dtype=np.float64)
    bins = window_samples // 2 + 1
    if window_samples < 2 or window_samples % 2:
        raise ValueError(f"a window needs an even number of samples, at least 2, not {window_samples}")
    if magnitude.ndim != 2 or magnitude.shape[1] != bins:
        raise ValueError(f"magnitude must have the shape [frame, {bins}], not {list(magnitude.shape)}")
    if not np.all(np.isfinite(magnitude)) or magnitude.min(initial=0.0) < 0.0:
        raise ValueError("magnitude holds values that are negative or not finite")
    lowest = max(magnitude.max(initial=0.0) * 10.0 ** (LOWEST_DB / 20.0), 1e-30)
    cepstrum = np.fft.irfft(np.log(np.maximum(magnitude, lowest)), window_samples, axis=1)
    cepstrum[:, 1 : window_samples // 2] *= 2.0
    cepstrum[:, window_samples // 2 + 1 :] = 0.0
    earliest = np.fft.rfft(cepstrum, axis=1).imag
    delay = window_samples // 2 - _energy_centre(magnitude, earliest, window_samples)
    phase = earliest - 2.0 * np.pi / window_samples * delay[:, np.newaxis] * np.arange(bins)
    turns = np.rint(phase * (0.5 / np.pi))
    return (phase - 2.0 * np.pi * turns).astype(np.float32)


def _energy_centre(magnitude: NDArray, phase: NDArray, window_samples: int) -> NDArray:
    """The mean time of each frame's energy in whole samples; the later half of a frame is what lies before 0."""
    energy = np.fft.irfft(magnitude * np.exp(1j * phase), window_samples, axis=1) ** 2
    time = np.fft.fftfreq(window_samples, 1.0 / window_samples)
    total = energy.sum(axis=1)
    return np.rint(np.divide(energy @ time, total, out=np.zeros_like(total), where=total > 0.0))
