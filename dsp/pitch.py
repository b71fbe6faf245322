"""Where a drum sound starts, how it swells and decays, and the pitch it settles on.

Every function takes one channel, `mono[sample]`, of any length down to no samples at all. What is not finite is refused
with a ValueError, as are sounds of more than `dsp.arguments.LONGEST_SAMPLES`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dsp import arguments
from dsp.kernels import waveform
from dsp.resample import Resampler

F32 = NDArray[np.float32]

ONSET_BELOW_PEAK_DB = -40.0
LOWEST_PITCH_HZ = 28.0
HIGHEST_PITCH_HZ = 2_000.0
LONGEST_TRACKED_SECONDS = 1.5
LONGEST_SMOOTHING_SECONDS = 10.0

_INAUDIBLE_BELOW_HZ = 20.0
_ANALYTIC_REACH_SECONDS = 0.1
_ANALYSIS_RATE_HZ = 11_025
_HOP_SECONDS = 0.005
_AUDIBLE_BELOW_PEAK_DB = -36.0  # frames below it are left out: hiss and reverb
_LEAST_SIMILARITY = 0.7
_SETTLED_SEMITONES = 0.8
_SWEEP_FIT_SECONDS = 0.08
_SWEEP_DECAY_SECONDS = (0.003, 0.08)  # time constants tried
_SWEEP_TURNS, _SWEEP_STEPS = 12.0, 60  # extra turns tried
_LEAST_SWEEP_SHARE = 0.7
_LEAST_SWEEP_GAIN = 0.05  # over a steady tone
_NEAR_BEST = 0.92  # the shortest period this close to the best one wins: multiples of the period repeat too


@dataclass(frozen=True)
class PitchTrack:
    """The pitch of a drum.

    `confidence` runs from 0 (noise) to 1 (a sine); below 0.5 the numbers mean little. Where nothing repeats,
    every frequency is 0.
    """

    pitch_hz: float  # where it settles
    confidence: float
    start_hz: float  # at the onset, extrapolated
    end_hz: float  # of the last audible frames
    sweep_semitones: float  # start relative to the settled pitch; positive for a falling sweep
    sweep_s: float  # from the onset until the pitch stays within 0.8 semitones of where it settles


@dataclass(frozen=True)
class _Frames:
    """One entry per frame; times in seconds from the onset."""

    times: NDArray[np.float64]
    pitches: NDArray[np.float64]
    similarities: NDArray[np.float64]
    levels: NDArray[np.float64]

    @property
    def audible_level(self) -> float:
        return float(self.levels.max()) * 10.0 ** (_AUDIBLE_BELOW_PEAK_DB / 20.0)


_NO_PITCH = PitchTrack(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def onset_sample(mono: ArrayLike, *, below_peak_db: float = ONSET_BELOW_PEAK_DB) -> int:
    """The first sample of `mono[sample]` whose magnitude reaches `below_peak_db` relative to the peak.

    A threshold relative to the peak survives any gain; -40 dB is above the hiss of old recordings and still
    within 0.1 ms of the start of a 10 ms linear attack. Silence has no onset: the answer is 0.
    """
    magnitude = np.abs(arguments.sound("mono", mono))
    if not below_peak_db <= 0.0:
        raise ValueError(f"below_peak_db must not be above 0, the peak itself, but is {below_peak_db}")
    peak = float(magnitude.max(initial=0.0))
    if peak == 0.0:
        return 0
    return int(np.argmax(magnitude >= peak * 10.0 ** (below_peak_db / 20.0)))


def envelope(mono: ArrayLike, rate_hz: int = 44_100, *, smoothing_seconds: float = 0.010) -> F32:
    """The amplitude of `mono[sample]` over time, same length, as the RMS of its analytic signal in a centred
    window.

    The analytic signal has no ripple at twice the frequency, so a 40 Hz kick decays as smoothly as a hat; a
    steady sine reads its RMS. The signal counts as silent before its first and after its last sample.
    """
    arguments.rate(rate_hz)
    if not 0.0 <= smoothing_seconds <= LONGEST_SMOOTHING_SECONDS:
        raise ValueError(
            f"smoothing_seconds must lie between 0 and {LONGEST_SMOOTHING_SECONDS:g}, not {smoothing_seconds}"
        )
    power = analytic_power(mono, rate_hz)
    window_samples = max(round(smoothing_seconds * rate_hz), 1)
    before = window_samples // 2
    total = np.zeros(power.size + window_samples + 1)
    np.cumsum(power, dtype=np.float64, out=total[before + 1 : before + 1 + power.size])
    total[before + 1 + power.size :] = total[before + power.size]
    mean = total[window_samples:-1] - total[: power.size]
    np.maximum(mean, 0.0, out=mean)  # rounding leaves a hair below
    mean /= window_samples
    return np.sqrt(mean, out=mean).astype(np.float32)


def analytic_power(mono: ArrayLike, rate_hz: int = 44_100) -> F32:
    """Half the squared magnitude of the analytic signal of `mono[sample]`, same length: power without the ripple of
    the waveform.

    Frequencies below 20 Hz fade out towards 0 Hz, which has none. The filter that removes negative frequencies is
    smooth there then, and short: with a step it answers the lows of a kick with a tail that is still at -50 dB
    half a second later, and comes round from the end of the transform to its beginning.
    """
    mono = arguments.sound("mono", mono)
    arguments.rate(rate_hz)
    samples = mono.shape[0]
    padded_samples = 1 << (samples + round(_ANALYTIC_REACH_SECONDS * rate_hz)).bit_length()
    spectrum = np.fft.rfft(mono, padded_samples)
    one_sided = np.zeros(padded_samples, dtype=np.complex64)
    one_sided[: spectrum.size] = spectrum
    one_sided[1 : spectrum.size - 1] *= 2.0
    faded = np.arange(math.ceil(_INAUDIBLE_BELOW_HZ * padded_samples / rate_hz))
    one_sided[: faded.size] *= 0.5 - 0.5 * np.cos(np.pi * faded / faded.size, dtype=np.float32)
    analytic = np.fft.ifft(one_sided)[:samples]
    return (0.5 * (analytic.real**2 + analytic.imag**2)).astype(np.float32)


def decay_seconds(level: ArrayLike, rate_hz: int = 44_100, *, drop_db: float = 20.0) -> float:
    """How long `level[sample]`, an `envelope`, takes from its highest to `drop_db` below it, for good.

    Counted from the highest level, so that neither the attack nor the smoothing lengthens it: an exponential decay
    reads what it is, τ · ln 10 · drop_db / 20. A level that ends higher lasts to its end. Silence: 0.
    """
    level = arguments.sound("level", level)
    arguments.rate(rate_hz)
    if not 0.0 <= drop_db < math.inf:
        raise ValueError(f"drop_db must not be negative, but is {drop_db}")
    if level.max(initial=0.0) <= 0.0:
        return 0.0
    highest = int(np.argmax(level))
    above = level[highest:] >= level[highest] * 10.0 ** (-drop_db / 20.0)
    return (above.size - int(np.argmax(above[::-1]))) / rate_hz


def pitch_and_sweep(mono: ArrayLike, rate_hz: int = 44_100) -> PitchTrack:
    """The pitch that `mono[sample]` settles on and how it gets there.

    Made for drums: the period is sought frame by frame in stretches no longer than two and a half periods, so
    a sweep that lasts 50 ms is followed and not averaged; frames count more the later they are, as long as
    they are within 36 dB of the loudest; the settled stretch is then measured again by the slope of its
    phase, which is exact to a few cents. The sweep is that of the exponentially falling sine which holds most
    of the first 80 ms, whole waveforms at once, since kicks often fall faster than any period repeats; where
    none holds enough, the first frames say where it began. Confidence multiplies how well the periods repeat,
    how steady late frames are, how much of the sound's energy lies in the band searched (28 Hz to 2 kHz), and
    whether it lasts for a few periods.
    """
    arguments.rate(rate_hz)
    mono = arguments.sound("mono", mono)
    onset = onset_sample(mono)
    sound = mono[onset : onset + round(LONGEST_TRACKED_SECONDS * rate_hz)]
    peak = float(np.abs(sound).max(initial=0.0))
    if peak == 0.0:
        return _NO_PITCH
    sound = sound / peak  # so that a gain changes nothing, however small
    factor = max(round(rate_hz / _ANALYSIS_RATE_HZ), 1)
    rate = rate_hz / factor
    low = _decimator(factor)(sound)
    frames = _track(low, rate)
    if frames.times.size < 3:
        return _NO_PITCH
    steady = (frames.levels > frames.audible_level) & (frames.similarities >= _LEAST_SIMILARITY)
    if np.count_nonzero(steady) < 3:
        return _NO_PITCH
    progress = np.linspace(0.1, 1.0, frames.times.size)
    weight = progress * np.sqrt(frames.levels) * np.maximum(frames.similarities - 0.5, 0.0) * steady
    settled_hz = _weighted_median(frames.pitches, weight)
    settled = steady & (np.abs(_semitones(frames.pitches, settled_hz)) < _SETTLED_SEMITONES)
    first = _first_settled(settled, steady)
    region = np.flatnonzero(settled)
    region = region[region >= first]
    start_s, stop_s = float(frames.times[first]), float(frames.times[region[-1]])
    pitch_hz = _phase_slope_hz(low, rate, start_s, stop_s, settled_hz)
    sweep = _fitted_sweep(low, rate, pitch_hz)
    if sweep is None:
        start_hz = _start_hz(frames, steady, first, pitch_hz)
        sweep_s = start_s if first > 0 else 0.0
    else:
        start_hz, sweep_s = sweep
    whole = _mean_power(sound, rate_hz, start_s, stop_s + _HOP_SECONDS)
    in_band = _mean_power(low, rate, start_s, stop_s + _HOP_SECONDS)
    confidence = _confidence(
        frames,
        settled,
        first,
        periods=(stop_s - start_s) * pitch_hz,
        band_share=min(in_band / whole, 1.0) if whole > 0.0 else 0.0,
    )
    return PitchTrack(
        pitch_hz=pitch_hz,
        confidence=confidence,
        start_hz=start_hz,
        end_hz=float(np.median(frames.pitches[region[-3:]])),
        sweep_semitones=float(_semitones(np.float64(start_hz), pitch_hz)),
        sweep_s=sweep_s,
    )


def _track(low: F32, rate: float) -> _Frames:
    """Time, pitch, similarity and level of every frame in which some period could be tried."""
    first_lag = max(int(rate / HIGHEST_PITCH_HZ) - 1, 2)
    last_lag = math.ceil(rate / LOWEST_PITCH_HZ)
    hop = max(round(_HOP_SECONDS * rate), 1)
    similarity = np.empty(last_lag - first_lag + 1, dtype=np.float32)
    energy = np.zeros(low.shape[0] + 1)
    np.cumsum(np.square(low, dtype=np.float64), out=energy[1:])
    rows = []
    for centre in range(hop, low.shape[0] - hop, hop):
        waveform.periodicity(low, energy, centre, first_lag, similarity)
        lag, value, level = waveform.best_period(low, centre, first_lag, similarity, _NEAR_BEST)
        if lag > 0.0:
            rows.append((centre / rate, rate / lag, value, level))
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return _Frames(table[:, 0], table[:, 1], table[:, 2], table[:, 3])


def _first_settled(settled: NDArray[np.bool_], steady: NDArray[np.bool_]) -> int:
    """The first frame from which on nine of ten steady frames are settled."""
    inside = np.cumsum((settled & steady)[::-1])[::-1]
    out_of = np.cumsum(steady[::-1])[::-1]
    good = settled & (inside >= 0.9 * out_of)
    return int(np.argmax(good)) if good.any() else int(np.argmax(settled))


def _fitted_sweep(low: F32, rate: float, pitch_hz: float) -> tuple[float, float] | None:
    """The pitch at the onset and the seconds until it has settled, from the exponential sweep that holds most of
    the energy of the first 80 ms. None if that is too little, or hardly more than a steady tone holds.
    """
    start = low[: round(_SWEEP_FIT_SECONDS * rate)]
    if not start.any():
        return None
    planes = np.empty((4, start.shape[0]))

    def shares(decay_s: float, first_turns: float, step_turns: float, count: int) -> NDArray[np.float64]:
        found = np.empty(count)
        waveform.sweep_shares(start, pitch_hz / rate, decay_s * rate, first_turns, step_turns, planes, found)
        return found

    # A sweep is described by its time constant and by the extra turns that the sine makes in it.
    step, ratio = _SWEEP_TURNS / _SWEEP_STEPS, 1.4
    steady_share, best = 0.0, (0.0, 0.0, 1.0)
    for decay_s in np.geomspace(*_SWEEP_DECAY_SECONDS, 11):
        found = shares(decay_s, 0.0, step, _SWEEP_STEPS)
        steady_share = float(found[0])
        best = max(best, (float(found.max()), step * int(found.argmax()), float(decay_s)))
    for _ in range(6):
        step, ratio = step / 2.0, math.sqrt(ratio)
        _, turns, middle_s = best
        first = max(turns - step, 0.0)
        for decay_s in (middle_s / ratio, middle_s, middle_s * ratio):
            found = shares(decay_s, first, step, 3)
            best = max(best, (float(found.max()), first + step * int(found.argmax()), decay_s))
    share, turns, decay_s = best
    if share < _LEAST_SWEEP_SHARE or share < steady_share + _LEAST_SWEEP_GAIN:
        return None
    excess_hz = turns / decay_s
    within_hz = pitch_hz * (2.0 ** (_SETTLED_SEMITONES / 12.0) - 1.0)
    if pitch_hz + excess_hz > HIGHEST_PITCH_HZ:
        return None
    return pitch_hz + excess_hz, decay_s * math.log(max(excess_hz / within_hz, 1.0))


def _start_hz(frames: _Frames, steady: NDArray[np.bool_], first: int, pitch_hz: float) -> float:
    """The pitch at the onset, by an exponential approach fitted to the frames before it settles.

    The first frame is already some milliseconds in. The fit may add no more than half of what was seen.
    """
    times, pitches = frames.times, frames.pitches
    index = np.flatnonzero(steady & (np.arange(times.size) < first) & (pitches > 1.03 * pitch_hz))
    # Only the unbroken fall counts; a single frame that took a click for a pitch does not.
    while index.size > 1 and pitches[index[0]] < pitches[index[1]]:
        index = index[1:]
    if index.size == 0:
        early = np.flatnonzero(steady)[:3]
        return float(np.median(pitches[early]))
    seen = float(pitches[index[0]])
    if index.size < 3:
        return seen
    excess = np.log(pitches[index] / pitch_hz - 1.0)
    slope, offset = np.polyfit(times[index], excess, 1)
    if slope >= 0.0:
        return seen
    return float(min(pitch_hz * (1.0 + math.exp(offset)), 1.5 * seen))


def _phase_slope_hz(low: F32, rate: float, start_s: float, stop_s: float, near_hz: float) -> float:
    """The frequency near `near_hz` between two moments: the slope of the phase after demodulation, least
    squares.

    A Hann window of two periods removes the image at twice the frequency. Weighted by amplitude, not power,
    so that late frames count.
    """
    period = rate / near_hz
    first = max(int(start_s * rate - period), 0)
    stop = min(int(stop_s * rate + period) + 1, low.shape[0])
    if stop - first < 4 * period:
        return near_hz
    index = np.arange(first, stop)
    window = np.hanning(max(round(2 * period), 3) + 1)[1:]
    baseband = low[first:stop] * np.exp(-2j * np.pi * near_hz / rate * index)
    smooth = np.convolve(baseband, window, mode="valid")
    phase = np.unwrap(np.angle(smooth))
    weight = np.abs(smooth)
    time = np.arange(smooth.size) / rate
    time -= np.average(time, weights=weight)
    slope = np.sum(weight * time * phase) / np.sum(weight * time**2)
    found = float(near_hz + slope / (2.0 * np.pi))
    # A click can turn the slope so far that no frequency is left.
    is_near = found > 0.0 and abs(_semitones(np.float64(found), near_hz)) < 1.0
    return found if is_near else near_hz


def _confidence(
    frames: _Frames,
    settled: NDArray[np.bool_],
    first: int,
    periods: float,
    band_share: float,
) -> float:
    """Every factor is 1 for a sine and near 0 for noise."""
    body = (frames.levels > frames.audible_level) & (np.arange(frames.times.size) >= first)
    weight = np.sqrt(frames.levels) * body
    repeats = float(np.average(np.where(settled, frames.similarities, 0.0), weights=weight))
    steadiness = float(np.average(settled.astype(np.float64), weights=weight))
    lasting = min(periods / 3.0, 1.0)
    return float(np.clip(repeats**2 * steadiness * math.sqrt(band_share) * lasting, 0.0, 1.0))


def _mean_power(signal: F32, rate: float, start_s: float, stop_s: float) -> float:
    return float(np.mean(np.square(signal[int(start_s * rate) : int(stop_s * rate) + 1], dtype=np.float64)))


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, 0.5 * total[-1])])


def _semitones(frequency_hz: NDArray[np.float64] | np.float64, reference_hz: float) -> NDArray[np.float64]:
    return np.asarray(12.0 * np.log2(frequency_hz / reference_hz))


@lru_cache(maxsize=8)
def _decimator(factor: int) -> Resampler:
    """Passes up to 3.3 kHz (at 44.1), above any pitch; 40 samples to either side, too short to blur a sweep."""
    return Resampler(1, factor, passband=0.6, stopband_db=60.0)
