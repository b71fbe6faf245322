"""What every public function of the core asks of its arguments, said once. Kernels never check.

Sounds and magnitudes may come as any array of real floating-point numbers: float16 to float64, read-only,
strided, in either byte order. They reach the kernels as one kind of array, so that every kernel is compiled
once.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

F32 = NDArray[np.float32]

LONGEST_SAMPLES = 28_800_000
"""The longest sound that is taken: ten minutes at 48 kHz. Up to there no function needs much more than a gigabyte; what
lies beyond is no one-shot, but a file opened by mistake."""

LOWEST_RATE_HZ = 8_000
HIGHEST_RATE_HZ = 768_000


def floats(what: str, values: ArrayLike) -> F32:
    """``values`` as finite float32, contiguous, aligned and writeable; copied only if they are not.

    Shape: [...] → float32 [...]. Raises ValueError for whole numbers (whose full scale nobody said), complex ones,
    and for NaN and infinity, or what becomes infinite in single precision.
    """
    array = np.asarray(values)
    if array.dtype.kind != "f":
        advice = "; divide 16-bit samples by 32768" if array.dtype.kind in "iu" else ""
        raise ValueError(f"{what} must hold real floating-point numbers, not {array.dtype.name}{advice}")
    with np.errstate(over="ignore"):  # infinite now, and refused
        single = np.require(array, np.float32, ["C", "A", "W"])
    if not np.isfinite(single).all():
        raise ValueError(f"{what} holds values that are not finite: NaN, infinite or beyond single precision")
    return single


def sound(what: str, values: ArrayLike) -> F32:
    """One channel, [sample], of any length up to LONGEST_SAMPLES."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{what} must be one channel, [sample], not the shape {list(array.shape)}")
    length(f"{what} is", array.shape[0])
    return floats(what, array)


def channels(what: str, values: ArrayLike) -> F32:
    """One or two channels, [channel, sample], of any length up to LONGEST_SAMPLES."""
    array = np.asarray(values)
    if array.ndim != 2 or array.shape[0] not in (1, 2):
        raise ValueError(
            f"{what} must be [channel, sample] with one or two channels, not the shape {list(array.shape)}"
        )
    length(f"{what} is", array.shape[1])
    return floats(what, array)


def length(subject: str, samples: int) -> None:
    """Refuse what is longer than LONGEST_SAMPLES."""
    if samples > LONGEST_SAMPLES:
        raise ValueError(
            f"{subject} {samples} samples long; the longest that is taken is {LONGEST_SAMPLES} samples. "
            "Cut the sound into parts"
        )


def whole(what: str, value: Any, least: int) -> int:
    """A whole number of at least ``least``."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise ValueError(f"{what} must be a whole number, not {value!r}")
    if value < least:
        raise ValueError(f"{what} must be at least {least}, not {value}")
    return int(value)


def rate(rate_hz: float) -> None:
    """Refuse sampling rates that are no sound's."""
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise ValueError(f"rate_hz must lie between {LOWEST_RATE_HZ} and {HIGHEST_RATE_HZ} Hz, not {rate_hz}")
