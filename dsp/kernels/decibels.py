"""Magnitudes to levels in dB and back."""

# numba infers the types of kernels from their arguments; annotations would only promise what nothing checks.
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np

from dsp.kernels import jit
from dsp.kernels.projection import unpack_pair

# The logarithm of a library takes one value at a time. This one reads the bits of a float as a whole number n, in a
# loop that the compiler turns into vectors: n / 2^23 - 127 is its logarithm to the base 2, but for the curve between
# powers of two, log2(1 + f) - f = f (1 - f) q(f), f being the lower 23 bits. The polynomial q is fitted at Chebyshev
# nodes; all in all it is off by 1e-4 dB at most.

FRACTION_BITS = np.int32(0x7FFFFF)
PER_FRACTION = np.float32(2.0**-23)
BIAS = np.float32(127.0)
SMALLEST = np.float32(1.2e-38)  # of the floats that have all their bits


@jit
def to_level(values, gain, lowest, silent, slope, offset, scratch, bits, out):
    """out = slope * log2(gain * values) + offset, at most 1; below `lowest` it becomes `silent`.

    scratch [1, value] is for work, of any length, and bits the same memory as whole numbers.
    """
    chunk = scratch.shape[1]
    for first in range(0, values.shape[0], chunk):
        source = values[first : first + chunk]
        target = out[first : first + chunk]
        level_row(source, gain, lowest, silent, slope, offset, scratch, bits, target)


@jit
def level_row(values, gain, lowest, silent, slope, offset, scratch, bits, out):
    """to_level for no more values than scratch has room for."""
    scaled = scratch[0]
    for i in range(values.shape[0]):
        scaled[i] = max(gain * values[i], SMALLEST)
    levels_of_bits(bits[0], lowest, silent, slope, offset, out)


@jit
def levels_of_bits(bits, lowest, silent, slope, offset, out):
    """level_row for values given as whole numbers."""
    one = np.float32(1.0)
    for i in range(out.shape[0]):
        n = bits[i]
        f = PER_FRACTION * np.float32(n & FRACTION_BITS)
        q = np.float32(0.0256912632)
        q = q * f - np.float32(0.0962564945)
        q = q * f + np.float32(0.1826473176)
        q = q * f - np.float32(0.2759418190)
        q = q * f + np.float32(0.4425876141)
        log2 = (PER_FRACTION * np.float32(n) - BIAS) + f * (one - f) * q
        level = slope * log2 + offset
        out[i] = min(level, one) if level >= lowest else silent


@jit
def level_pairs(packed, out, rows, gain, lowest, silent, slope, offset, scratch, bits):
    """The levels of the powers of a block of frame pairs, as many frames as `out` [frame, bin] has.

    rows [4, bin] and scratch [1, bin] are for work, bits is scratch as whole numbers.
    """
    for pair in range(packed.shape[0]):
        unpack_pair(packed[pair], rows[0], rows[1], rows[2], rows[3])
        for odd in range(2):
            m = 2 * pair + odd
            if m < out.shape[0]:
                re = rows[2 * odd]
                im = rows[2 * odd + 1]
                scaled = scratch[0]
                for k in range(re.shape[0]):
                    scaled[k] = max(gain * (re[k] * re[k] + im[k] * im[k]), SMALLEST)
                levels_of_bits(bits[0], lowest, silent, slope, offset, out[m])


@jit
def level_to_magnitude(image, slope, offset, gain, silent_at, out):
    """out = gain * 10^((slope * image + offset) / 20), the image clipped to [-1, 1]; 0 up to silent_at."""
    factor = np.float32(np.log(10.0) / 20.0)
    for i in range(image.shape[0]):
        value = min(max(image[i], np.float32(-1.0)), np.float32(1.0))
        out[i] = gain * np.exp(factor * (slope * value + offset)) if value > silent_at else np.float32(0.0)
