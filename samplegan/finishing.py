"""From a generated sound to one that can be dropped into a track: no DC, mono-safe lows, trimmed, faded,
levelled.

`finish` is pure: the same samples in give the same samples out, on any number of threads. Everything that
changes the sound's shape comes first and its level is set last, so the loudness and the true peak that are
reported are those of the samples that are written.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsp.kernels import waveform
from samplegan.audio import ONSET_SAMPLE, SAMPLE_RATE, quantise_24
from samplegan.errors import InputError
from samplegan.loudness import CEILING_DBTP, TARGET_LUFS, Gain, Loudness, measure, normalise

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

DC_HZ = 12.0  # second order: 0.1 dB down at 30 Hz, gone at DC
SIDE_HZ = 150.0  # fourth order: the side is 8 dB down at 120 Hz, so left + right loses less than 1 dB there
LARGEST_SIDE_ENERGY = 0.8  # of the mid's energy: the correlation of left and right stays above +0.1
QUIETEST_PEAK = 1e-4  # a generated sound whose peak is below -80 dBFS is silence
SHORTEST_SECONDS = 0.005
ATTACK_DB = -30.0  # the attack is where the sound first comes this close to its peak
DECAYED_DB = -70.0  # the sound is over where it stays below this, relative to its peak
NOISE_DB = -45.0  # a level tail below this is a noise floor, not a decay
REST_SECONDS, REVIVED_DB = 0.01, -40.0  # after such a silence what is quieter is no echo but an accident
FADE_SECONDS = (0.005, 0.06)  # shortest and longest fade-out: a tenth of the sound in between
SHORTEST_FADE_IN_SAMPLES = 12


def highpass(corner_hz: float, *qs: float) -> F64:
    """Second-order high-pass sections [section, b0 b1 b2 a1 a2], one for each Q (bilinear transform)."""
    k = math.tan(math.pi * corner_hz / SAMPLE_RATE)
    sections = []
    for q in qs:
        norm = 1 / (1 + k / q + k * k)
        sections.append([norm, -2 * norm, norm, 2 * (k * k - 1) * norm, (1 - k / q + k * k) * norm])
    return np.array(sections)


_FOURTH_ORDER_QS = (0.541196100146197, 1.306562964876377)  # Butterworth, as is the second order's 1/√2
_NO_DC = highpass(DC_HZ, math.sqrt(0.5))
_NO_DC_OR_LOWS = np.concatenate([_NO_DC, highpass(SIDE_HZ, *_FOURTH_ORDER_QS)])


class Unusable(ValueError):
    """A generated sound that cannot become a file: silence, or numbers that are not numbers."""


@dataclass(frozen=True)
class Finished:
    """A finished sound and how it was levelled."""

    audio: F32  # [channel, sample], on the 24-bit grid
    gain: Gain
    loudness: Loudness  # of exactly these samples

    @property
    def duration_seconds(self) -> float:
        return float(self.audio.shape[1] / SAMPLE_RATE)


def finish(
    audio: F32,
    *,
    length_seconds: float | None = None,
    target_lufs: float = TARGET_LUFS,
    ceiling_dbtp: float = CEILING_DBTP,
) -> Finished:
    """Finish one generated sound.

    Removes DC, makes the low end mono, cuts the start to 1 ms before the attack and the end where the sound
    has decayed (or at `length_seconds`), fades both ends to an exact zero, sets the momentary loudness under
    the true-peak ceiling, and rounds to 24 bits.

    Raises Unusable if there is nothing to hear or if the samples are not finite.
    """
    if not np.isfinite(audio).all():
        raise Unusable("the sound has samples that are not numbers")
    if audio.shape[1] == 0 or float(np.abs(audio).max()) < QUIETEST_PEAK:
        raise Unusable("the sound is silent")
    clean = remove_dc_and_low_side(audio)
    if float(np.abs(clean).max()) < QUIETEST_PEAK:
        raise Unusable("the sound is silent once DC and low side are removed")
    shaped = remove_mean(fade_ends(*trim(clean, length_seconds)))
    try:
        levelled, gain = normalise(
            shaped.astype(np.float32), target_lufs=target_lufs, ceiling_dbtp=ceiling_dbtp
        )
    except InputError as error:
        raise Unusable(error.what) from error
    on_grid = np.ldexp(quantise_24(levelled).astype(np.float32), -23)
    return Finished(on_grid, gain, measure(on_grid))


def remove_dc_and_low_side(audio: F32) -> F64:
    """High-pass both channels at `DC_HZ` and their difference at `SIDE_HZ`, causally, so the start stays put."""
    left, right = audio
    mid, side = _filtered(0.5 * (left + right), _NO_DC), _filtered(0.5 * (left - right), _NO_DC_OR_LOWS)
    # Not a BLAS dot product: it would be split over threads, and cost more than all the rest.
    side_energy = float(np.square(side).sum())
    allowed = LARGEST_SIDE_ENERGY * float(np.square(mid).sum())
    if side_energy > allowed:
        side = side * math.sqrt(allowed / side_energy)
    return np.stack([mid + side, mid - side])


def _filtered(channel: F32, sections: F64) -> F64:
    out = np.empty((1, channel.size))
    waveform.biquads(np.ascontiguousarray(channel[np.newaxis], dtype=np.float32), sections, out)
    return out[0]


def trim(audio: F64, length_seconds: float | None = None) -> tuple[F64, int]:
    """Cut to what sounds. Returns the sound and the place of its attack in it (at most `ONSET_SAMPLE`)."""
    level = np.abs(audio).max(axis=0)
    peak = float(level.max())
    attack = int(np.argmax(level >= peak * _ratio(ATTACK_DB)))
    begin = max(0, attack - ONSET_SAMPLE)
    end = _end_of_sound(level, peak)
    if length_seconds is not None:
        end = min(end, begin + round(length_seconds * SAMPLE_RATE))
    if end - begin < SHORTEST_SECONDS * SAMPLE_RATE:
        raise Unusable("the sound is only a click")
    return audio[:, begin:end], attack - begin


def _end_of_sound(level: F64, peak: float) -> int:
    """One past the last sample worth keeping, with room for the fade-out after the last loud one."""
    threshold = max(peak * _ratio(DECAYED_DB), _noise_floor(level, peak))
    loud = np.flatnonzero(level > threshold)
    for rest in np.flatnonzero(np.diff(loud) > REST_SECONDS * SAMPLE_RATE)[::-1]:
        if level[loud[rest + 1] :].max() > peak * _ratio(REVIVED_DB):
            break
        loud = loud[: rest + 1]
    last = int(loud[-1]) + 1
    return min(level.size, last + _fade_out_samples(last))


def _noise_floor(level: F64, peak: float) -> float:
    """The top of a level, quiet tail (a noise floor that a generated sound ends in), or 0 if it decays to its
    end.
    """
    quarter = level.size // 4
    if quarter < 16:
        return 0.0
    earlier, later = level[-quarter : -quarter // 2], level[-quarter // 2 :]
    earlier_rms, later_rms = (float(np.sqrt(np.mean(part**2))) for part in (earlier, later))
    is_level = later_rms > earlier_rms * _ratio(-2.0)
    is_quiet = max(earlier_rms, later_rms) < peak * _ratio(NOISE_DB)
    return float(level[-quarter:].max()) if is_level and is_quiet else 0.0


def _fade_out_samples(samples: int) -> int:
    shortest, longest = (round(seconds * SAMPLE_RATE) for seconds in FADE_SECONDS)
    return min(max(samples // 10, shortest), longest)


def fade_ends(audio: F64, attack_sample: int) -> F64:
    """Half-cosine fades: in over the samples before the attack, out over the last tenth. Both ends are
    exactly 0.
    """
    samples = audio.shape[1]
    fade_in = max(attack_sample, SHORTEST_FADE_IN_SAMPLES)
    fade_out = min(_fade_out_samples(samples), samples - fade_in)
    faded = audio.copy()
    faded[:, :fade_in] *= (1 - np.cos(np.pi * np.arange(fade_in) / fade_in)) / 2
    faded[:, -fade_out:] *= (1 + np.cos(np.pi * np.arange(1, fade_out + 1) / fade_out)) / 2
    return faded


def remove_mean(audio: F64) -> F64:
    """Take away what mean the cuts left, as one slow swell that is 0 at both ends."""
    samples = audio.shape[1]
    swell = np.sin(np.pi * np.arange(samples) / (samples - 1)) ** 2
    swell[-1] = 0.0
    return audio - audio.mean(axis=1, keepdims=True) * (swell / swell.mean())


def _ratio(decibels: float) -> float:
    return 10.0 ** (decibels / 20)
