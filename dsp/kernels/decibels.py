"""Magnitudes to levels in dB and back."""

# numba infers the types of kernels from their arguments; annotations would only promise what nothing checks.
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np

from dsp.kernels import jit


@jit
def magnitude_to_level(magnitude, gain, minimum_db, silent_db, slope, offset, out):
    """out = slope * dB(gain * magnitude) + offset within [-1, 1]; below minimum_db counts as silent_db."""
    factor = np.float32(20.0 / np.log(10.0))
    for i in range(magnitude.shape[0]):
        value = gain * magnitude[i]
        level = silent_db
        if value > 0.0:
            level = factor * np.log(value)
            if level < minimum_db:
                level = silent_db
        out[i] = min(max(slope * level + offset, np.float32(-1.0)), np.float32(1.0))


@jit
def level_to_magnitude(image, slope, offset, gain, silent_at, out):
    """out = gain * 10^((slope * image + offset) / 20), the image clipped to [-1, 1]; 0 up to silent_at."""
    factor = np.float32(np.log(10.0) / 20.0)
    for i in range(image.shape[0]):
        value = min(max(image[i], np.float32(-1.0)), np.float32(1.0))
        out[i] = gain * np.exp(factor * (slope * value + offset)) if value > silent_at else np.float32(0.0)
