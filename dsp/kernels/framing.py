"""Framing and overlap-add, one frame at a time and in pairs that share a complex FFT."""

# numba infers the types of kernels from their arguments; annotations would only promise what nothing checks.
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np

from dsp.kernels import jit


@jit
def frame_real(padded, window, hop_samples, first_frame, out):
    """out[row] = window * the padded sound from (first_frame + row) * hop_samples."""
    window_samples = window.shape[0]
    for row in range(out.shape[0]):
        start = (first_frame + row) * hop_samples
        segment = padded[start : start + window_samples]
        target = out[row]
        for i in range(window_samples):
            target[i] = segment[i] * window[i]


@jit
def overlap_real(frames, window, hop_samples, first_frame, padded):
    """The adjoint of frame_real: add every windowed row to the padded sound."""
    window_samples = window.shape[0]
    for row in range(frames.shape[0]):
        start = (first_frame + row) * hop_samples
        segment = padded[start : start + window_samples]
        source = frames[row]
        for i in range(window_samples):
            segment[i] += source[i] * window[i]


# A pair of frames is one flat row of 2N values, real and imaginary parts in turn. Flat, and indexed by
# unsigned numbers: only then does the compiler see a constant stride without wrap-around, and vectorise
# (four times as fast).

ONE = np.uint64(1)
TWO = np.uint64(2)


@jit
def frame_pairs(padded, window, hop_samples, first_frame, out):
    """Pack frames in twos: the real parts of out[pair] are an even frame, the imaginary the odd one after."""
    window_samples = window.shape[0]
    for pair in range(out.shape[0]):
        start = (first_frame + 2 * pair) * hop_samples
        even = padded[start : start + window_samples]
        odd = padded[start + hop_samples : start + hop_samples + window_samples]
        target = out[pair]
        for sample in range(window_samples):
            i = np.uint64(sample)
            target[TWO * i] = even[i] * window[i]
            target[TWO * i + ONE] = odd[i] * window[i]


@jit
def overlap_pairs(frames, window, hop_samples, first_frame, padded, rows):
    """The adjoint of frame_pairs. rows [2, sample] is scratch, to part the frames before they are added."""
    window_samples = window.shape[0]
    even_row = rows[0]
    odd_row = rows[1]
    for pair in range(frames.shape[0]):
        start = (first_frame + 2 * pair) * hop_samples
        source = frames[pair]
        for sample in range(window_samples):
            i = np.uint64(sample)
            even_row[i] = source[TWO * i] * window[i]
            odd_row[i] = source[TWO * i + ONE] * window[i]
        even = padded[start : start + window_samples]
        for n in range(window_samples):
            even[n] += even_row[n]
        odd = padded[start + hop_samples : start + hop_samples + window_samples]
        for n in range(window_samples):
            odd[n] += odd_row[n]


@jit
def silence_below(values, smallest):
    for i in range(values.shape[0]):
        values[i] = values[i] if abs(values[i]) >= smallest else np.float32(0.0)


@jit
def multiply_in_place(values, factors):
    for i in range(values.shape[0]):
        values[i] *= factors[i]


@jit
def extrapolate(total, normaliser, current, momentum, source):
    """current ← total · normaliser; source ← current + momentum · its last change; total ← 0."""
    for i in range(total.shape[0]):
        value = total[i] * normaliser[i]
        source[i] = value + momentum * (value - current[i])
        current[i] = value
        total[i] = np.float32(0.0)


@jit
def sounding_samples(sound):
    """The length of a sound without the zeros at its end."""
    end = sound.shape[0]
    while end > 0 and sound[end - 1] == np.float32(0.0):
        end -= 1
    return end
