"""The level of a finished one-shot: what it measures, and the gain that brings it to the target."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from dsp.loudness import integrated_lufs, momentary_maximum_lufs, true_peak
from samplegan.errors import InputError

F32 = NDArray[np.float32]

TARGET_LUFS = -14.0
CEILING_DBTP = -1.0
MAX_GAIN_DB = 24.0
SILENCE_LUFS = -70.0  # the absolute gate of BS.1770: what is quieter counts as silence
FLOOR_DB = -120.0  # what silence reads, so that every level is a number that JSON can hold
_ROUNDING_DB = 1e-4  # room for the rounding to 24 bits


@dataclass(frozen=True)
class Loudness:
    """Levels of a sound. Silence reads FLOOR_DB."""

    momentary_lufs: float  # the loudest 400 ms, padded with silence
    integrated_lufs: float | None  # None below 400 ms
    true_peak_dbtp: float
    sample_peak_dbfs: float
    rms_dbfs: float  # over the whole length and both channels
    crest_db: float

    def to_dict(self) -> dict[str, float | None]:
        return asdict(self)


@dataclass(frozen=True)
class Gain:
    """What `normalise` did, and the levels that came of it."""

    gain_db: float
    limited_by: str  # 'target' | 'ceiling' | 'max_gain'
    momentary_lufs: float
    true_peak_dbtp: float

    def to_dict(self) -> dict[str, float | str]:
        return asdict(self)


def measure(audio: F32) -> Loudness:
    """All levels of `audio[channel, sample]` at 44,100 Hz."""
    sample_peak = float(np.abs(audio).max(initial=0.0))
    rms = math.sqrt(float(np.mean(np.square(audio, dtype=np.float64)))) if audio.size else 0.0
    return Loudness(
        momentary_lufs=max(momentary_maximum_lufs(audio), FLOOR_DB),
        integrated_lufs=integrated_lufs(audio),
        true_peak_dbtp=_decibels(true_peak(audio)),
        sample_peak_dbfs=_decibels(sample_peak),
        rms_dbfs=_decibels(rms),
        crest_db=_decibels(sample_peak) - _decibels(rms),
    )


def normalise(
    audio: F32,
    *,
    target_lufs: float = TARGET_LUFS,
    ceiling_dbtp: float = CEILING_DBTP,
    max_gain_db: float = MAX_GAIN_DB,
) -> tuple[F32, Gain]:
    """Bring the momentary maximum of `audio[channel, sample]` to the target by gain alone, never above the
    ceiling.

    The gain is the smallest of what the target, the true-peak ceiling and `max_gain_db` allow. After rounding
    to 24 bits the true peak still keeps to the ceiling. Raises InputError for silence (below -70 LUFS), which
    is never amplified.
    """
    before_lufs = momentary_maximum_lufs(audio)
    if before_lufs < SILENCE_LUFS:
        raise InputError("the sound is silent, so it cannot be brought to a loudness")
    before_dbtp = _decibels(true_peak(audio))
    gain_db, limited_by = min(
        (target_lufs - before_lufs, "target"),
        (ceiling_dbtp - _ROUNDING_DB - before_dbtp, "ceiling"),
        (max_gain_db, "max_gain"),
    )
    louder = (audio * np.float32(10.0 ** (gain_db / 20.0))).astype(np.float32)
    return louder, Gain(gain_db, limited_by, before_lufs + gain_db, before_dbtp + gain_db)


def _decibels(amplitude: float) -> float:
    return max(20.0 * math.log10(amplitude), FLOOR_DB) if amplitude > 0.0 else FLOOR_DB
