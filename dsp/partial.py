"""The body of a drum as a few partials whose level and frequency move, and back from such tracks to a waveform."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dsp import arguments
from dsp.kernels import partial
from dsp.resample import Resampler

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

LOWEST_HZ = 25.0
HIGHEST_HZ = 450.0
FLOOR_DB = -90.0
START_SECONDS = 0.0005  # shorter leaves more of a snare, longer more of a kick
FADE_DB = 6.0
# What is mostly below the first starts as a sine, as kicks do; what is above the second leaves no constant behind.
SINE_BELOW_HZ, BALANCED_FROM_HZ = 80.0, 160.0
KNOWN_WITHIN_DB = 50.0
LEAST_SHARE = 0.2
LOUDEST_DB = 60.0

_EDGE, _STOPBAND_DB = 0.7, 80.0
_LOW_RATE = 6.0  # samples of the low band for each period of the highest frequency
_PERIODS = 2.0  # under the window of the ridge
_BINS_PER_OCTAVE = 24
_HOP_SAMPLES = 8
_JUMP_PER_OCTAVE = 2.0  # the cost of a jump of the ridge, in units of the louder frames
_ROUNDS, _LAST_ROUNDS = 4, 1
_BEND = 0.45  # of an envelope at one point, relative to itself: more of it is rather noise
_LEAST_STIFFNESS, _FIRST_STIFFNESS = 0.005, 0.1  # against the bending of an envelope
_LEVEL_STIFFNESS = 0.1  # of the levels that are carried over to the next round
_FREQUENCY_STIFFNESS, _FREQUENCY_HOLD = 0.05, 0.001
_NOISE_POINTS = np.hanning(9)[1:-1] / 4.0
_LARGEST = 4.0
_LN10_20 = math.log(10.0) / 20.0


@dataclass(frozen=True)
class Fit:
    """What `PartialTracker.fit` finds."""

    level_db: F32  # [partial, point], re an amplitude of full scale
    frequency_hz: F32  # [partial, point]
    tone: F32  # [sample], all partials with the phases they have; the audio less it is the rest
    explained_db: F64  # [partial], the energy that it and those before it leave of the low band; 0: all of it


@dataclass
class _Track:
    """One partial within a fit: e^(log_amplitude + i·phase of log_frequency) · envelope, and what that is."""

    log_frequency: F64  # [point]
    log_amplitude: F64  # [point]
    envelope: F64  # [2 · point], real and imaginary parts in turn
    low: F64  # [low sample] from the onset on


class PartialTracker:
    """Finds ``partials`` tones in sounds of ``length_samples`` that start at ``onset_samples``, and plays them.

    ``times_seconds`` [point] are the control points of all tracks: rising, counted from the onset, the first at
    0. Between them the level is linear in dB and the frequency in octaves; behind the last both are held.
    Frequencies run from ``lowest_hz`` to ``highest_hz``, levels from ``floor_db`` up; a tone at the floor is
    silent and fades over ``FADE_DB`` above it. Every tone swells over ``START_SECONDS`` from the onset, before
    which there is nothing.

    A fit is done on the sound's low band, up to about three times ``highest_hz``: (1) the ridge, by dynamic
    programming on a spectrogram whose windows are two periods long, so that a falling pitch is followed at every
    height; (2) in turns, the complex envelope of that ridge by least squares and the frequencies whose integral
    turns as the envelope did. Envelopes bend freely where the partial stands above what it leaves, and are
    stiff where noise is the likelier cause of a bend. With several partials every one is then fitted once more to
    what the others leave. Two closer than about 100 Hz are not told apart where the points are 3 ms apart: one
    envelope beats instead.

    A partial is one only if it takes at least ``LEAST_SHARE`` of the energy that the earlier ones leave: steady
    noise, an impulse and a constant give 0.05 to 0.19, nine kicks in ten 0.95 and more; a burst of noise of a few
    milliseconds does hold a tone. It and all after it are otherwise at the floor, at the middle of the frequencies,
    and no part of the tone.

    What a fit leaves of the low band of 60 real sounds of 0.74 s with 64 points, median: -20.6 dB of kicks with one
    partial and -24.7 with two, -14.1 of toms and -11.9 of snares with two. The envelope's phase holds some of that:
    the tracks alone, played at the best phase, leave -15.6 and -16.5 dB of kicks, -12.3 of toms and snares (24 each).

    Holds no work buffers: threads may share it. Raises ValueError for settings that cannot be.
    """

    def __init__(
        self,
        length_samples: int,
        times_seconds: ArrayLike,
        *,
        onset_samples: int,
        sample_rate: float,
        lowest_hz: float = LOWEST_HZ,
        highest_hz: float = HIGHEST_HZ,
        partials: int = 1,
        floor_db: float = FLOOR_DB,
    ) -> None:
        self.length_samples = arguments.whole("length_samples", length_samples, 1)
        arguments.length("the sound is", self.length_samples)
        self.onset_samples = arguments.whole("onset_samples", onset_samples, 0)
        self.partials = arguments.whole("partials", partials, 1)
        if self.onset_samples >= self.length_samples:
            raise ValueError(
                f"onset_samples must lie within the sound, below {self.length_samples}, not {onset_samples}"
            )
        if not arguments.LOWEST_RATE_HZ <= sample_rate <= arguments.HIGHEST_RATE_HZ:
            raise ValueError(
                f"sample_rate must lie between {arguments.LOWEST_RATE_HZ} and {arguments.HIGHEST_RATE_HZ} Hz, "
                f"not {sample_rate}"
            )
        if not 10.0 <= lowest_hz < highest_hz <= sample_rate / 4.0:
            raise ValueError(
                "lowest_hz and highest_hz must rise and lie between 10 Hz and a quarter of the sampling rate, "
                f"not {lowest_hz} and {highest_hz}"
            )
        if not -200.0 <= floor_db <= -20.0:
            raise ValueError(f"floor_db must lie between -200 and -20 dB, not {floor_db}")
        times = np.array(times_seconds, dtype=np.float64)
        if times.ndim != 1 or times.shape[0] < 3:
            raise ValueError("times_seconds must hold at least three points, [point]")
        if not (np.isfinite(times).all() and times[0] == 0.0 and (np.diff(times) > 0.0).all()):
            raise ValueError("times_seconds must rise from 0, the onset")
        self.times_seconds: F64 = times
        self.sample_rate, self.lowest_hz, self.highest_hz = sample_rate, lowest_hz, highest_hz
        self.floor_db = floor_db

        # The low band has a sample at the onset, wherever that is: a sound that is moved has the same low band.
        self._factor = max(int(sample_rate / (_LOW_RATE * highest_hz)), 1)
        self._decimator = Resampler(1, self._factor, passband=_EDGE, stopband_db=_STOPBAND_DB)
        self._low_rate = sample_rate / self._factor
        reach = self._decimator.reach_samples // self._factor + 1
        self._padding = -self.onset_samples % self._factor
        self._lead = reach
        self._low_onset = (self.onset_samples + self._padding) // self._factor + reach
        # What the decimator rings behind the sound is part of the low band, but no reason for a level to fall.
        sounding = (self.length_samples - 1 - self.onset_samples) // self._factor + 1
        self._low_end = self._low_onset + sounding
        self._low_samples = self._low_end + reach

        self._widths = np.diff(times)
        self._low_place = self._place(sounding, self._low_rate)
        self._place_of_sample = self._place(self.length_samples - self.onset_samples, sample_rate)
        self._low_start = self._start(sounding, self._low_rate)
        self._sample_start = self._start(self.length_samples - self.onset_samples, sample_rate)
        segment, fraction = self._low_place
        points = times.shape[0]
        held = np.bincount(segment, 1.0 - fraction, points) + np.bincount(segment + 1, fraction, points)
        self._samples_held = np.maximum(held, 1e-3)
        self._last_point = int(np.flatnonzero(held > 0.5)[-1])  # behind it there is no sound, or hardly any
        before, after = self._widths[:-1], self._widths[1:]
        bends = np.stack([1.0 / before, -1.0 / before - 1.0 / after, 1.0 / after], axis=1)
        self._bends = np.ascontiguousarray(bends * (0.5 * (before + after))[:, np.newaxis])
        self._hold = _FREQUENCY_HOLD * self._widths.mean() / self._widths
        self._design_ridge(sounding)

    def fit(self, audio: ArrayLike) -> Fit:
        """The partials of a sound, one after the other on what the earlier ones leave.

        Shape: floating point [length_samples]. Raises ValueError for another shape and for values that are not
        finite. Where a partial is more than ``KNOWN_WITHIN_DB`` below its loudest point its frequency is not
        known: it is held from the last point where it is, and interpolated within gaps.
        """
        audio = arguments.sound("audio", audio)
        if audio.shape[0] != self.length_samples:
            raise ValueError(f"audio must be {self.length_samples} samples long, not {audio.shape[0]}")
        shape = (self.partials, self.times_seconds.shape[0])
        level_db = np.full(shape, self.floor_db, dtype=np.float32)
        frequency_hz = np.full(shape, math.sqrt(self.lowest_hz * self.highest_hz), dtype=np.float32)
        tone = np.zeros(self.length_samples, dtype=np.float32)
        explained_db = np.zeros(self.partials)

        low = self._low(audio)
        loudest = float(np.abs(low[self._low_onset : self._low_end]).max())
        if loudest <= 10.0 ** (self.floor_db / 20.0):
            return Fit(level_db, frequency_hz, tone, explained_db)
        low /= loudest  # so that a gain changes levels, and nothing else
        energy = float(np.sum(low * low))
        left = energy
        for number, track in enumerate(self._tracks(low[self._low_onset : self._low_end])):
            with_it = tone + self._played(track, loudest)
            rest = self._low(audio - with_it) / loudest
            if (
                np.sum(rest * rest) >= left
            ):  # in sounds of a few samples, where the edges of the low band are all
                break
            tone, left = with_it, float(np.sum(rest * rest))
            level = np.log(np.maximum(self._amplitude(track) * loudest, 1e-30)) / _LN10_20
            level_db[number] = np.maximum(level, self.floor_db)
            frequency_hz[number] = np.exp(track.log_frequency)
            explained_db[number:] = 10.0 * math.log10(max(left / energy, 1e-20))
        return Fit(level_db, frequency_hz, tone, explained_db)

    def synthesise(self, level_db: ArrayLike, frequency_hz: ArrayLike) -> F32:
        """The sum of the partials with these tracks.

        A partial that is mostly below ``SINE_BELOW_HZ`` is a sine that starts at zero and rises. From
        ``BALANCED_FROM_HZ`` on it starts at the phase at which its sum is zero, near its crest: no recording holds a
        constant, and a snare's body that starts as a sine is 3 to 8 dB louder below 80 Hz than the one that was fitted.

        Shape: floating point [partial, point] twice → float32 [length_samples]. Raises ValueError for other
        shapes, values that are not finite, levels above ``LOUDEST_DB`` and frequencies outside 0 … half the
        sampling rate.
        """
        shape = (self.partials, self.times_seconds.shape[0])
        level = arguments.floats("level_db", level_db).astype(np.float64)
        frequency = arguments.floats("frequency_hz", frequency_hz).astype(np.float64)
        for what, values in (("level_db", level), ("frequency_hz", frequency)):
            if values.shape != shape:
                raise ValueError(f"{what} must have the shape {list(shape)}, not {list(values.shape)}")
        if level.max() > LOUDEST_DB:
            raise ValueError(f"level_db must not be above {LOUDEST_DB:g} dB, but reaches {level.max():g}")
        if not 0.0 < frequency.min() <= frequency.max() <= 0.5 * self.sample_rate:
            raise ValueError("frequency_hz must lie above 0 and not above half the sampling rate")
        level = np.maximum(level, self.floor_db)

        samples = self.length_samples - self.onset_samples
        total = np.zeros(samples)
        re, im = np.empty((2, samples))
        segment, fraction = self._place_of_sample
        for row, hertz in zip(level, frequency, strict=True):
            if row.max() <= self.floor_db:
                continue
            partial.oscillator(
                self.times_seconds, np.log(hertz), row * _LN10_20, 1.0 / self.sample_rate, re, im
            )
            swell = self._sample_start
            if row.min() < self.floor_db + FADE_DB:
                here = row[segment] + fraction * (row[segment + 1] - row[segment])
                swell = swell * np.clip((here - self.floor_db) / FADE_DB, 0.0, 1.0)
            re *= swell
            im *= swell
            start = self._start_angle(row, hertz, float(re.sum()), float(im.sum()))
            total += math.cos(start) * re + math.sin(start) * im
        return np.concatenate([np.zeros(self.onset_samples), total]).astype(np.float32)

    def _start_angle(self, level_db: F64, frequency_hz: F64, re_sum: float, im_sum: float) -> float:
        """The angle at which a partial starts, pi / 2 for a sine; the sums are those of its cosine and sine."""
        # Of the two angles half a turn apart at which the sum is zero, the one on the side of the cosine's crest.
        balanced = math.atan(-re_sum / im_sum) if im_sum else 0.5 * math.pi
        power = 10.0 ** ((level_db - level_db.max()) / 10.0) * self._samples_held
        mostly_hz = math.exp(float(np.average(np.log(frequency_hz), weights=power)))
        share = math.log(mostly_hz / SINE_BELOW_HZ) / math.log(BALANCED_FROM_HZ / SINE_BELOW_HZ)
        share = min(max(share, 0.0), 1.0)
        return (1.0 - share) * 0.5 * math.pi + share * balanced

    def _tracks(self, low: F64) -> list[_Track]:
        left = low.copy()
        tracks: list[_Track] = []
        for _ in range(self.partials):
            start = _Track(self._ridge(left), np.zeros(self.times_seconds.shape[0]), np.zeros(0), left)
            track = self._refined(left, start, None, _ROUNDS)
            rest = left - track.low
            if np.sum(rest * rest) > (1.0 - LEAST_SHARE) * np.sum(left * left):
                break
            left = rest
            tracks.append(track)
        if len(tracks) > 1:
            for number, track in enumerate(tracks):
                left += track.low
                tracks[number] = self._refined(left, track, self._noise(left - track.low), _LAST_ROUNDS)
                left -= tracks[number].low
        return tracks

    def _refined(self, low: F64, start: _Track, noise: F64 | None, rounds: int) -> _Track:
        """The track after some rounds of envelope and frequency, and one last envelope."""
        log_frequency, log_amplitude = start.log_frequency, start.log_amplitude
        for number in range(rounds + 1):
            track = self._enveloped(low, log_frequency, log_amplitude, noise)
            if number == rounds:
                break
            noise = self._noise(low - track.low)
            amplitude = self._amplitude(track)
            power = amplitude * amplitude
            known = amplitude > amplitude.max() * 10.0 ** (-KNOWN_WITHIN_DB / 20.0)
            known[self._last_point + 1 :] = False
            if not known.any():
                break
            reliability = np.where(known, power / (power + 0.4 * noise + 1e-30), 0.0)
            log_frequency = self._turned(log_frequency, track.envelope, reliability)
            log_frequency = np.interp(self.times_seconds, self.times_seconds[known], log_frequency[known])
            log_amplitude = self._smoothed(amplitude, reliability)
        return track

    def _enveloped(self, low: F64, log_frequency: F64, log_amplitude: F64, noise: F64 | None) -> _Track:
        """The best envelope of a given course of frequency and amplitude."""
        points = log_frequency.shape[0]
        re, im = np.empty((2, low.shape[0]))
        partial.oscillator(self.times_seconds, log_frequency, log_amplitude, 1.0 / self._low_rate, re, im)
        re *= self._low_start
        im *= self._low_start
        band, envelope = np.empty((2 * points, 5)), np.empty(2 * points)
        partial.normal_equations(low, re, im, *self._low_place, band, envelope)
        weight = np.exp(2.0 * log_amplitude) * self._samples_held
        least = _LEAST_STIFFNESS * weight
        stiffness = np.maximum(least, noise / _BEND**2 if noise is not None else _FIRST_STIFFNESS * weight)
        partial.add_bends(self._bends, stiffness[1:-1], 2, band)
        band[:, 0] += 1e-9 * np.repeat(weight, 2) + 1e-12
        partial.solve_band(band, envelope)
        played = np.empty(low.shape[0])
        partial.envelope(re, im, *self._low_place, envelope, played)
        return _Track(log_frequency, log_amplitude, envelope, played)

    def _amplitude(self, track: _Track) -> F64:
        """At every point, relative to the loudest sample, never far above it: the few at an end bind little."""
        amplitude = np.hypot(track.envelope[0::2], track.envelope[1::2]) * np.exp(track.log_amplitude)
        amplitude[self._last_point + 1 :] = amplitude[self._last_point]
        return np.minimum(amplitude, _LARGEST)

    def _noise(self, rest: F64) -> F64:
        """The mean power around every point."""
        energy, weight = np.empty((2, self.times_seconds.shape[0]))
        partial.spread_energy(rest, *self._low_place, energy, weight)
        reach = _NOISE_POINTS.shape[0] // 2
        energy, weight = (
            np.convolve(np.pad(values, reach, mode="edge"), _NOISE_POINTS, mode="valid")
            for values in (energy, weight)
        )
        return np.asarray(energy / np.maximum(weight, 1e-9))

    def _turned(self, log_frequency: F64, envelope: F64, reliability: F64) -> F64:
        """The frequencies that take in how the envelope turns from point to point."""
        points = log_frequency.shape[0]
        complex_envelope = envelope[0::2] + 1j * envelope[1::2]
        turn = np.angle(complex_envelope[1:] * complex_envelope[:-1].conj())
        bend = np.diff(log_frequency)
        straight = np.abs(bend) < 1e-5
        growth = np.where(straight, 1.0 + 0.5 * bend, np.expm1(bend) / np.where(straight, 1.0, bend))
        advance = turn + 2.0 * np.pi * self._widths * np.exp(log_frequency[:-1]) * growth
        weight = np.minimum(reliability[1:], reliability[:-1])
        # The real and the imaginary part of an envelope are told apart within half a period, not faster.
        periods = np.exp(-log_frequency[1:-1]) / (0.5 * (self._widths[1:] + self._widths[:-1]))
        stiffness = _FREQUENCY_STIFFNESS * periods**2
        limits = math.log(self.lowest_hz), math.log(self.highest_hz)
        band = np.empty((points, 3))
        for _ in range(2):
            found = np.empty(points)
            partial.frequency_equations(log_frequency, self._widths, advance, weight, self._hold, band, found)
            partial.add_bends(self._bends, stiffness, 1, band)
            band[:, 0] += 1e-12
            partial.solve_band(band, found)
            log_frequency = np.clip(found, *limits)
        return log_frequency

    def _smoothed(self, amplitude: F64, reliability: F64) -> F64:
        """The course of the amplitude without its ripples, which would otherwise pass from round to round."""
        level = np.log(np.maximum(amplitude, amplitude.max() * 1e-4))
        weight = np.maximum(reliability, 1e-3)
        band = np.zeros((level.shape[0], 3))
        band[:, 0] = weight
        partial.add_bends(self._bends, np.full(level.shape[0] - 2, _LEVEL_STIFFNESS), 1, band)
        level *= weight
        partial.solve_band(band, level)
        return level

    def _played(self, track: _Track, gain: float) -> F32:
        """The partial as it was fitted, at the full rate."""
        re, im = np.empty((2, self.length_samples - self.onset_samples))
        partial.oscillator(
            self.times_seconds, track.log_frequency, track.log_amplitude, 1.0 / self.sample_rate, re, im
        )
        tone = np.zeros(self.length_samples)
        partial.envelope(re, im, *self._place_of_sample, track.envelope, tone[self.onset_samples :])
        tone[self.onset_samples :] *= gain * self._sample_start
        return tone.astype(np.float32)

    def _ridge(self, low: F64) -> F64:
        """The logarithm of the frequency at every point, along the loudest path through the spectrogram."""
        needed = self._streams_samples
        padded = np.zeros(needed * _HOP_SAMPLES)
        sounding = padded[self._ridge_lead :][: low.shape[0]]
        sounding[:] = low[: sounding.shape[0]]
        amplitude = np.empty((self._frames, self._ridge_hz.shape[0]))
        partial.spectrogram(
            np.ascontiguousarray(padded.reshape(needed, _HOP_SAMPLES).T),
            self._ridge_starts,
            self._ridge_counts,
            self._ridge_cosines,
            self._ridge_sines,
            amplitude,
            np.empty((2, self._frames)),
        )
        amplitude /= max(float(amplitude.max()), 1e-30)
        loudest = amplitude.max(axis=1)
        penalty = np.zeros(self._frames)
        penalty[1:] = _JUMP_PER_OCTAVE / _BINS_PER_OCTAVE * (0.02 + loudest[:-1])
        path = np.empty(self._frames, dtype=np.int64)
        partial.best_path(
            amplitude,
            penalty,
            np.empty(amplitude.shape[1]),
            np.empty(amplitude.shape, dtype=np.int64),
            path,
        )
        smooth = np.hanning(7) / np.hanning(7).sum()
        log_frequency = np.convolve(
            np.pad(np.log(self._ridge_hz)[path], 3, mode="edge"), smooth, mode="valid"
        )
        frame_seconds = np.arange(self._frames) * _HOP_SAMPLES / self._low_rate
        return np.interp(self.times_seconds, frame_seconds, log_frequency)

    def _design_ridge(self, low_samples: int) -> None:
        """Hann windows of a few periods for bins spaced evenly in octaves."""
        bins = max(round(math.log2(self.highest_hz / self.lowest_hz) * _BINS_PER_OCTAVE), 1) + 1
        self._ridge_hz = np.geomspace(self.lowest_hz, self.highest_hz, bins)
        half = np.round(0.5 * _PERIODS * self._low_rate / self._ridge_hz).astype(np.int64)
        self._ridge_lead = int(half.max())
        self._ridge_starts, self._ridge_counts = self._ridge_lead - half, 2 * half + 1
        self._ridge_cosines, self._ridge_sines = np.zeros((2, bins, 2 * self._ridge_lead + 1))
        for number, reach in enumerate(half):
            offset = np.arange(-reach, reach + 1)
            window = 1.0 + np.cos(np.pi * offset / (reach + 1))
            angle = 2.0 * np.pi * self._ridge_hz[number] / self._low_rate * offset
            self._ridge_cosines[number, : offset.shape[0]] = 2.0 / window.sum() * window * np.cos(angle)
            self._ridge_sines[number, : offset.shape[0]] = 2.0 / window.sum() * window * np.sin(angle)
        self._frames = low_samples // _HOP_SAMPLES + 1
        self._streams_samples = self._frames + 2 * self._ridge_lead // _HOP_SAMPLES + 2

    def _low(self, audio: F32) -> F64:
        padded = np.pad(audio, (self._padding, 0))
        return self._decimator.span(padded, -self._lead, self._low_samples).astype(np.float64)

    def _place(self, samples: int, rate: float) -> tuple[NDArray[np.int64], F64]:
        """The point before every sample from the onset on, and how far that is on its way to the next."""
        time = np.arange(samples) / rate
        segment = np.searchsorted(self.times_seconds, time, side="right") - 1
        segment = np.minimum(segment, self.times_seconds.shape[0] - 2).astype(np.int64)
        return segment, np.minimum((time - self.times_seconds[segment]) / self._widths[segment], 1.0)

    @staticmethod
    def _start(samples: int, rate: float) -> F64:
        """How every tone swells: half a period of a cosine, then one."""
        return 0.5 - 0.5 * np.cos(np.pi * np.minimum(np.arange(samples) / (rate * START_SECONDS), 1.0))
