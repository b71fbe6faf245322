"""Where a drum sound starts, how it swells and decays, and the pitch it settles on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

ONSET_BELOW_PEAK_DB = -40.0


def onset_sample(mono: F32, *, below_peak_db: float = ONSET_BELOW_PEAK_DB) -> int:
    """The first sample of `mono[sample]` whose magnitude reaches `below_peak_db` relative to the peak.

    A threshold relative to the peak survives any gain; -40 dB is above the hiss of old recordings and still
    within 0.1 ms of the start of a 10 ms linear attack. Silence has no onset: the answer is 0.
    """
    magnitude = np.abs(mono)
    peak = float(magnitude.max(initial=0.0))
    if peak == 0.0:
        return 0
    return int(np.argmax(magnitude >= peak * 10.0 ** (below_peak_db / 20.0)))
