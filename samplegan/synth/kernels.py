"""The loops of the synthesiser: oscillators, filter, resonators. A kernel never validates.

Every kernel is a plain function compiled by name; `kernel.py_func` is its un-jitted twin, for the tests.
All state is float64: the recurrences run for tens of thousands of samples.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

F64 = NDArray[np.float64]


@njit(cache=True, nogil=True)
def accumulate(frequency: F64, start: float) -> F64:
    """The phase [sample] in turns of an oscillator whose frequency [sample] is given in turns per sample.

    The phase keeps counting (it is not wrapped), so that a partial at `ratio` is simply `ratio * phase`.
    """
    phase = np.empty_like(frequency)
    turns = start
    for i in range(frequency.size):
        phase[i] = turns
        turns += frequency[i]
    return phase


@njit(cache=True, nogil=True)
def _poly_blep(phase: float, step: float) -> float:
    """Two-sample correction of a unit step at phase 0 (Välimäki & Huovilainen, IEEE SPM 24(2), 2007)."""
    if phase < step:
        x = phase / step
        return x + x - x * x - 1.0
    if phase > 1.0 - step:
        x = (phase - 1.0) / step
        return x * x + x + x + 1.0
    return 0.0


@njit(cache=True, nogil=True)
def squares(frequencies: F64, phases: F64, gains: F64, samples: int) -> F64:
    """The sum [sample] of band-limited square waves; frequencies [wave] in turns per sample, below 0.25."""
    out = np.zeros(samples)
    for k in range(frequencies.size):
        step = frequencies[k]
        phase = phases[k]
        for i in range(samples):
            value = 1.0 if phase < 0.5 else -1.0
            opposite = phase + 0.5 if phase < 0.5 else phase - 0.5
            out[i] += gains[k] * (value + _poly_blep(phase, step) - _poly_blep(opposite, step))
            phase += step
            if phase >= 1.0:
                phase -= 1.0
    return out


@njit(cache=True, nogil=True)
def state_variable(audio: F64, g: F64, k: float, m0: float, m1: float, m2: float) -> F64:
    """A trapezoidal state-variable filter [sample], stable while its cutoff moves.

    g [sample] = tan(pi * cutoff / rate), k = 1 / Q; the output is m0 * input + m1 * band + m2 * low.
    Source: A. Simper, "Solving the continuous SVF equations using trapezoidal integration" (Cytomic, 2013).
    """
    out = np.empty_like(audio)
    state1 = 0.0
    state2 = 0.0
    for i in range(audio.size):
        a1 = 1.0 / (1.0 + g[i] * (g[i] + k))
        a2 = g[i] * a1
        v3 = audio[i] - state2
        band = a1 * state1 + a2 * v3
        low = state2 + a2 * state1 + g[i] * a2 * v3
        state1 = 2.0 * band - state1
        state2 = 2.0 * low - state2
        out[i] = m0 * audio[i] + m1 * band + m2 * low
    return out


@njit(cache=True, nogil=True)
def modal_bank(frequencies: F64, radii: F64, phases: F64, gains: F64, samples: int) -> F64:
    """The sum [channel, sample] of decaying sines: an impulse into a bank of two-pole resonators.

    frequencies [mode] in turns per sample, radii [mode] the factor per sample, phases [mode] in turns,
    gains [channel, mode] of one or two channels. A mode stops when it has fallen by 100 dB.
    """
    channels = gains.shape[0]
    out = np.zeros((channels, samples))
    for mode in range(frequencies.size):
        active = samples
        if radii[mode] < 1.0:
            active = min(samples, int(-11.5 / math.log(radii[mode])) + 1)
        turn = 2.0 * math.pi * frequencies[mode]
        c = radii[mode] * math.cos(turn)
        s = radii[mode] * math.sin(turn)
        x = math.cos(2.0 * math.pi * phases[mode])
        y = math.sin(2.0 * math.pi * phases[mode])
        left = gains[0, mode]
        right = gains[channels - 1, mode]
        for i in range(active):
            out[0, i] += left * y
            if channels == 2:
                out[1, i] += right * y
            x, y = c * x - s * y, s * x + c * y
    return out


@njit(cache=True, nogil=True)
def hold(audio: F64, ratio: float) -> F64:
    """Sample-and-hold [sample] at `ratio` (0 to 1) of the sample rate: the grit of an early sampler."""
    out = np.empty_like(audio)
    phase = 1.0
    held = 0.0
    for i in range(audio.size):
        if phase >= 1.0:
            phase -= 1.0
            held = audio[i]
        out[i] = held
        phase += ratio
    return out
