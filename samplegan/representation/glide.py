"""How the pitch of a struck body moves: one way, and then no more.

What a tracker finds of real drums strays where noise is louder than the partial, and a model that learned from that
strays, too. In a sound that is nothing but the partial such straying is heard as a pitch that wobbles or bends at the
end, which no drum's does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

HELD_BELOW_DB, HELD_BELOW_OWN_DB = 24.0, 6.0  # of the body's peak, and of the partial's own
ONE_WAY_FROM_SECONDS = 0.05  # before, a body may do as it likes
_FAINTEST_DB = 40.0  # below a partial's peak: what lies under it counts as if it were there


def steady(level_db: F64, frequency_hz: F64, seconds: F64) -> F64:
    """Frequencies without what no body does; levels and frequencies are [partial, point], their times [point].

    Behind the last point that stands out a frequency is held: less than 24 dB below the loudest point of all partials,
    or less than 6 dB below the partial's own. From 50 ms on it only rises or only falls, whichever is nearer.
    """
    frequency_hz = _held(level_db, frequency_hz)
    late = seconds >= ONE_WAY_FROM_SECONDS
    if not late.any():
        return frequency_hz
    octaves = np.log2(frequency_hz[:, late])
    level_db = np.maximum(level_db - level_db.max(axis=1, keepdims=True), -_FAINTEST_DB)
    weight = (10.0 ** (level_db / 10.0) * np.gradient(seconds))[:, late]
    courses = [_one_way(*each) for each in zip(octaves, weight, strict=True)]
    return np.hstack([frequency_hz[:, ~late], np.exp2(courses)])


def _held(level_db: F64, frequency_hz: F64) -> F64:
    """Frequencies that stay, behind the last point that stands out, what they are there."""
    points = level_db.shape[1]
    own_peak_db = level_db.max(axis=1, keepdims=True)
    least_db = np.minimum(level_db.max() - HELD_BELOW_DB, own_peak_db - HELD_BELOW_OWN_DB)
    last = points - 1 - np.argmax((level_db >= least_db)[:, ::-1], axis=1)
    return np.take_along_axis(frequency_hz, np.minimum(np.arange(points), last[:, np.newaxis]), axis=1)


def _one_way(octaves: F64, weight: F64) -> F64:
    """The nearest course that only rises or only falls, [point]."""
    rising, falling = _rising(octaves, weight), -_rising(-octaves, weight)
    apart = [np.sum(weight * (course - octaves) ** 2) for course in (rising, falling)]
    return rising if apart[0] < apart[1] else falling


def _rising(values: F64, weight: F64) -> F64:
    """The nearest course that never falls, by least squares: isotonic regression, by the max-min formula (Robertson,
    Wright & Dykstra, 'Order Restricted Statistical Inference', 1988).
    """
    first, last = np.indices((len(values), len(values)))
    total, weighted = (np.concatenate([[0.0], np.cumsum(each)]) for each in (weight, weight * values))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (weighted[last + 1] - weighted[first]) / (total[last + 1] - total[first])
    least = np.minimum.accumulate(np.where(last < first, np.inf, mean)[:, ::-1], axis=1)[:, ::-1]
    return np.where(first > last, -np.inf, least).max(axis=0)
