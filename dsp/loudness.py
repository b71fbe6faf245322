"""Loudness and true peak after ITU-R BS.1770-4, for sounds of any length.

Audio is `float32 [channel, sample]`, one channel or left and right, each of weight 1. Levels are in LUFS; silence
is minus infinity. A full-scale sine of 997 Hz in both channels reads 0.0 LUFS, in one of them -3.01. Sounds of no
samples are silent. What is not finite is refused with a ValueError, as are sounds of more than
`dsp.arguments.LONGEST_SAMPLES`.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dsp import arguments
from dsp.kernels import waveform

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

MOMENTARY_SECONDS = 0.4
LONGEST_WINDOW_SECONDS = 60.0
_OFFSET_LUFS = -0.691  # makes up for the gain of the K-weighting at 997 Hz
_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_OVERSAMPLING = 4
_TAPS_PER_PHASE = 32
_KAISER_BETA = 7.0


def k_weighting(rate_hz: int) -> F64:
    """The two filters of BS.1770-4 as `[section, (b0, b1, b2, a1, a2)]`: a high shelf of +4 dB and a high-
    pass.

    The standard tabulates 48 kHz only. These are the analogue prototypes behind that table (as in
    libebur128), transformed bilinearly with pre-warping, and equal it to nine digits at 48 kHz.
    """
    arguments.rate(rate_hz)
    shelf_hz, shelf_gain_db, shelf_quality = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    warped = math.tan(math.pi * shelf_hz / rate_hz)
    high = 10.0 ** (shelf_gain_db / 20.0)
    band = high**0.4996667741545416
    scale = 1.0 + warped / shelf_quality + warped**2
    shelf = (
        (high + band * warped / shelf_quality + warped**2) / scale,
        2.0 * (warped**2 - high) / scale,
        (high - band * warped / shelf_quality + warped**2) / scale,
        2.0 * (warped**2 - 1.0) / scale,
        (1.0 - warped / shelf_quality + warped**2) / scale,
    )
    pass_hz, pass_quality = 38.13547087602444, 0.5003270373238773
    warped = math.tan(math.pi * pass_hz / rate_hz)
    scale = 1.0 + warped / pass_quality + warped**2
    high_pass = (
        1.0,
        -2.0,
        1.0,
        2.0 * (warped**2 - 1.0) / scale,
        (1.0 - warped / pass_quality + warped**2) / scale,
    )
    return np.array([shelf, high_pass])


def k_weight(audio: ArrayLike, rate_hz: int = 44_100, *, ring_samples: int = 0) -> F64:
    """`audio[channel, sample]` as the ear weights it, followed by `ring_samples` in which the filters ring
    out. Shape: float64 [channel, sample + ring_samples].
    """
    audio = arguments.channels("audio", audio)
    ring_samples = arguments.whole("ring_samples", ring_samples, 0)
    weighted = np.empty((audio.shape[0], audio.shape[1] + ring_samples))
    waveform.biquads(audio, k_weighting(rate_hz), weighted)
    return weighted


def momentary_maximum_lufs(
    audio: ArrayLike, rate_hz: int = 44_100, *, window_seconds: float = MOMENTARY_SECONDS
) -> float:
    """The loudest 400 ms anywhere, ungated, the sound standing in silence on both sides; a window at every
    sample.

    It is defined for a sound of any length, does not change with the silence after it, and equals the
    integrated loudness for a sound of one block. Silence: minus infinity.
    """
    arguments.rate(rate_hz)
    if not 0.0 < window_seconds <= LONGEST_WINDOW_SECONDS:
        raise ValueError(
            f"window_seconds must be above 0 and at most {LONGEST_WINDOW_SECONDS:g}, not {window_seconds}"
        )
    window_samples = max(round(window_seconds * rate_hz), 1)
    power = _power_of(k_weight(audio, rate_hz, ring_samples=window_samples))
    return _lufs(waveform.largest_window_sum(power, window_samples) / window_samples)


def integrated_lufs(audio: ArrayLike, rate_hz: int = 44_100) -> float | None:
    """Gated loudness in blocks of 400 ms that overlap by 75 %. None below 400 ms or if no block passes the
    gate.
    """
    power = _power_of(k_weight(audio, rate_hz))
    block_samples = round(MOMENTARY_SECONDS * rate_hz)
    if power.shape[0] < block_samples:
        return None
    total = np.concatenate(([0.0], np.cumsum(power)))
    starts = np.arange(0, power.shape[0] - block_samples + 1, round(block_samples / 4))
    blocks = (total[starts + block_samples] - total[starts]) / block_samples
    blocks = blocks[blocks > _power(_ABSOLUTE_GATE_LUFS)]
    if blocks.size == 0:
        return None
    blocks = blocks[blocks > blocks.mean() * 10.0 ** (_RELATIVE_GATE_LU / 10.0)]
    return _lufs(float(blocks.mean()))


def true_peak(audio: ArrayLike) -> float:
    """The largest magnitude, linear, of the signal oversampled four times (BS.1770-4, annex 2).

    The annex asks for 4x and leaves the filter open; this one has 32 taps per phase where the example has 12,
    which moves the reading by less than 0.1 dB but not below a good resampler's. The samples themselves count
    too.
    """
    return float(waveform.interpolated_peak(arguments.channels("audio", audio), *_interpolator()))


@lru_cache(maxsize=1)
def _interpolator() -> tuple[F32, float]:
    """The three phases between samples, `[phase, tap]`, and how far they can exceed the largest sample."""
    tap = np.arange(_TAPS_PER_PHASE)
    phases = []
    for step in range(1, _OVERSAMPLING):
        distance = tap - (_TAPS_PER_PHASE // 2 - 1) - step / _OVERSAMPLING
        window = np.i0(_KAISER_BETA * np.sqrt(1.0 - (distance / (_TAPS_PER_PHASE // 2)) ** 2))
        weights = np.sinc(distance) * window
        phases.append(weights / weights.sum())
    stacked = np.array(phases)
    return stacked.astype(np.float32), float(np.abs(stacked).sum(axis=1).max())


def _power_of(weighted: F64) -> F64:
    """Both channels' power [sample]; `weighted` is overwritten."""
    return np.asarray(np.square(weighted, out=weighted).sum(axis=0))


def _lufs(power: float) -> float:
    return _OFFSET_LUFS + 10.0 * math.log10(power) if power > 0.0 else -math.inf


def _power(lufs: float) -> float:
    return float(10.0 ** ((lufs - _OFFSET_LUFS) / 10.0))
