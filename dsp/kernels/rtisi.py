"""The look-ahead buffer of real-time iterative spectrogram inversion: the few frames of one step."""

# numba infers the types of kernels from their arguments; annotations would only promise what nothing checks.
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np

from dsp.kernels import jit
from dsp.kernels.framing import ONE, TWO, multiply_in_place, overlap_real
from dsp.kernels.projection import TINY


@jit
def partial_gain(overlap, normaliser, weight, smallest_share, gain):
    """gain = what scales the overlap-added frames that are there to the sound nearest to them.

    normaliser is 1 / the overlap of all frames and weight the same with the support; overlap is that of the frames
    that are there. Where their share is below smallest_share the sound fades out instead of being amplified.
    """
    for i in range(gain.shape[0]):
        gain[i] = weight[i] / max(overlap[i] * normaliser[i], smallest_share)


@jit
def lay_over(frames, committed, window, hop_samples, gain, sound):
    """sound = gain · (the committed sound + the windowed frames [row, sample], the first at its beginning)."""
    for i in range(sound.shape[0]):
        sound[i] = committed[i]
    overlap_real(frames, window, hop_samples, 0, sound)
    multiply_in_place(sound, gain)


@jit
def project(spectra, target):
    """The nearest spectra with the magnitudes target [row, bin]: the phase stays.

    spectra is flat, [row, 2·bin], real and imaginary parts in turn.
    """
    for row in range(spectra.shape[0]):
        values = spectra[row]
        wanted = target[row]
        for bin_number in range(wanted.shape[0]):
            k = np.uint64(bin_number)
            re = values[TWO * k]
            im = values[TWO * k + ONE]
            factor = wanted[k] / np.sqrt(re * re + im * im + TINY)
            values[TWO * k] = re * factor
            values[TWO * k + ONE] = im * factor


@jit
def add_phasors(spectrum, size, target, phase):
    """spectrum, flat [2·bin], += size · target · e^{i·phase}."""
    for k in range(target.shape[0]):
        spectrum[2 * k] += size * target[k] * np.cos(phase[k])
        spectrum[2 * k + 1] += size * target[k] * np.sin(phase[k])
