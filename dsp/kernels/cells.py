"""Bins and frames to the cells of an image, and back."""

# numba infers the types of kernels from their arguments; annotations would only promise what nothing checks.
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np

from dsp.kernels import jit


@jit
def pool_rows(power, starts, counts, weights, out):
    """out[row, cell] = the weighted sum of the counts[cell] points from starts[cell]."""
    for row in range(power.shape[0]):
        source = power[row]
        for cell in range(starts.shape[0]):
            segment = source[starts[cell] : starts[cell] + counts[cell]]
            total = np.float32(0.0)
            for i in range(counts[cell]):
                total += weights[cell, i] * segment[i]
            out[row, cell] = total


@jit
def spread_rows(level, left, fraction, out):
    """out[row, i] = level at left[i] and its right neighbour, mixed by fraction[i]."""
    last = level.shape[1] - 1
    for row in range(level.shape[0]):
        source = level[row]
        for i in range(left.shape[0]):
            lower = source[left[i]]
            upper = source[min(left[i] + 1, last)]
            out[row, i] = lower + fraction[i] * (upper - lower)
