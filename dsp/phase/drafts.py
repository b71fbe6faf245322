"""The six reconstructions that the StereoSampleGAN draft compared, by name.

The draft names them and describes none. All start from a random phase and, but for RTISI, are Griffin-Lim without
momentum (Griffin & Lim 1984) with one change; what that change is here, each says. They are kept to repeat the
comparison, not for use: ``raar`` and ``rtisi_la`` with look-ahead are better.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dsp.phase.loops import check_count, energy_mask, griffin_lim
from dsp.phase.rtisi import rtisi_la
from dsp.stft import Stft

F32 = NDArray[np.float32]

# The draft's noise gate, in dB below the peak: what lies lower carries no weight.
GATE_DB = 90.0

# A frame's level is changed by 20 dB at most in one iteration: a frame that came out nearly silent by chance would
# otherwise become a burst.
LARGEST_GAIN = 10.0


class Variant(Protocol):
    """float32 [batch, frame, bin] → float32 [batch, sample]. ``seed``: of the random start, one or one per sound."""

    def __call__(self, magnitude: F32, stft: Stft, *, iterations: int, seed: int | Sequence[int]) -> F32: ...


def rtisi(magnitude: F32, stft: Stft, *, iterations: int, seed: int | Sequence[int]) -> F32:
    """Real-time iterative spectrogram inversion without look-ahead, ``iterations`` for each frame."""
    return rtisi_la(magnitude, stft, iterations=iterations, look_ahead_frames=0, seed=seed)


def gla(magnitude: F32, stft: Stft, *, iterations: int, seed: int | Sequence[int]) -> F32:
    """Griffin-Lim as published."""
    return griffin_lim(magnitude, stft, iterations=iterations, momentum=0.0, seed=seed)


def gla_envelope_matching(magnitude: F32, stft: Stft, *, iterations: int, seed: int | Sequence[int]) -> F32:
    """In every iteration the sound is brought to the envelope that the magnitudes imply.

    By Parseval's theorem the energy of a magnitude frame is that of the windowed sound. The square root of wanted over
    found is the gain at the frame's centre; between centres it runs straight.
    """
    centres = np.arange(stft.frames) * stft.hop_samples
    samples = np.arange(stft.length_samples)

    def shape(audio: F32, target: F32) -> F32:
        wanted, found = _energy(target), _energy(_size(stft.forward(audio)[0]))
        gain = np.sqrt(wanted / np.maximum(found, 1e-30))
        gain = np.clip(gain, 1.0 / LARGEST_GAIN, LARGEST_GAIN)
        return audio * np.interp(samples, centres, gain).astype(np.float32)

    return _iterate(magnitude, stft, iterations, seed, shape=shape)


def gla_time_frequency_masking(
    magnitude: F32, stft: Stft, *, iterations: int, seed: int | Sequence[int]
) -> F32:
    """Only cells above the sound's mean magnitude count, as the draft has it; see ``energy_mask``."""
    mask = energy_mask(magnitude)
    return griffin_lim(magnitude, stft, iterations=iterations, momentum=0.0, mask=mask, seed=seed)


def gla_magnitude_guided(magnitude: F32, stft: Stft, *, iterations: int, seed: int | Sequence[int]) -> F32:
    """The louder a cell is meant to be, the closer it is brought to its magnitude.

    Its weight is its level between the draft's gate and the sound's peak: 1 sets the magnitude, as in Griffin-Lim, 0
    leaves the cell as the sound has it.
    """
    return _iterate(magnitude, stft, iterations, seed, weight=_weight)


def gla_frequency_bin_weighting(
    magnitude: F32, stft: Stft, *, iterations: int, seed: int | Sequence[int]
) -> F32:
    """As ``gla_magnitude_guided``, but one weight for each frequency bin, from its root-mean-square over the sound."""

    def weight(target: F32) -> F32:
        return _weight(np.sqrt(np.mean(np.square(target), axis=0)))

    return _iterate(magnitude, stft, iterations, seed, weight=weight)


VARIANTS: dict[str, Variant] = {
    "rtisi": rtisi,
    "gla": gla,
    "gla-envelope-matching": gla_envelope_matching,
    "gla-time-frequency-masking": gla_time_frequency_masking,
    "gla-magnitude-guided": gla_magnitude_guided,
    "gla-frequency-bin-weighting": gla_frequency_bin_weighting,
}


def _iterate(
    magnitude: F32,
    stft: Stft,
    iterations: int,
    seed: int | Sequence[int],
    *,
    shape: Callable[[F32, F32], F32] | None = None,
    weight: Callable[[F32], F32] | None = None,
) -> F32:
    """Griffin-Lim, slowly, with a place for changes: ``shape`` to the sound [1, sample], ``weight`` (of a target) to
    how far spectra are brought to the wanted magnitude.
    """
    check_count("iterations", iterations)
    result = griffin_lim(magnitude, stft, iterations=0, seed=seed)  # the random start, and the checks
    for sound, target in enumerate(np.asarray(magnitude, dtype=np.float32)):
        audio = result[sound : sound + 1]
        share = np.float32(1.0) if weight is None else weight(target)
        for _ in range(iterations):
            spectrum = stft.forward(audio if shape is None else shape(audio, target))
            to_magnitude = target / np.maximum(_size(spectrum), np.float32(1e-15))
            spectrum *= np.float32(1.0) + share * (to_magnitude - np.float32(1.0))
            audio = stft.inverse(spectrum)
        result[sound] = audio[0]
    return result


def _weight(magnitude: F32) -> F32:
    """Levels from the gate to the peak as 0 … 1."""
    share = magnitude / max(float(magnitude.max(initial=0.0)), 1e-30)
    level_db = 20.0 * np.log10(np.maximum(share, 1e-30))
    return np.clip(1.0 + level_db / GATE_DB, 0.0, 1.0).astype(np.float32)


def _energy(magnitude: F32) -> NDArray[np.float64]:
    """[frame, bin] → [frame]"""
    return np.sum(np.square(magnitude, dtype=np.float64), axis=1)


def _size(spectrum: NDArray[np.complex64]) -> F32:
    # np.abs rounds differently at the ends of rows on some processors.
    return np.sqrt(np.square(spectrum.real) + np.square(spectrum.imag))
