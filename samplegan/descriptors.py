"""What a one-shot is, in numbers that a producer can use: attack, decay, pitch and its sweep, brightness,
width, flaws.

Every field has its unit in its name. A value that does not exist for the sound (no low frequencies, a body
too short) is None, so the dictionary is always valid JSON.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from dsp.kernels import waveform
from dsp.pitch import envelope, onset_sample, pitch_and_sweep
from samplegan.audio import SAMPLE_RATE
from samplegan.errors import InputError

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

FLOOR_DB = -120.0  # a level that is not there at all
PITCH_CONFIDENT = 0.5  # from here on a note name is worth writing down
LOW_HZ = 120.0

_NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_FRAME_SAMPLES = 1024
_ATTACK_WINDOW_SECONDS = 0.001
_ENVELOPE_SECONDS = 0.010
_RIPPLE_SECONDS = 0.060
_CLICK_REACH_SAMPLES = 32
_CLICK_PROMINENCE = 14.0  # times the mean bend on either side; the largest of 64 Gaussian values is about 4
_CLICK_FLOOR = 0.01  # of the peak
FULL_SCALE = 0.999


@dataclass(frozen=True)
class Descriptors:
    """A sound, described. Times count from the onset: the first sample within 40 dB of the peak."""

    duration_s: float  # the whole file
    onset_s: float
    attack_s: float  # until the level, over 1 ms, is within 3 dB of its highest; resolves about 0.5 ms
    decay_20_db_s: float  # until the level, over 10 ms, is below -20 dB of its highest for good
    decay_40_db_s: float
    pitch_hz: float | None  # None where nothing repeats
    pitch_confidence: float  # 0 … 1; below 0.5 do not name a note
    pitch_start_hz: float | None
    pitch_end_hz: float | None
    pitch_sweep_semitones: float | None  # positive: the pitch falls
    pitch_sweep_s: float | None
    note: str | None  # pitch class of the nearest note (A = 440 Hz), None unless confident
    midi_note: int | None
    note_offset_cents: float | None
    attack_centroid_hz: float  # of the magnitude spectrum of the first 23 ms
    tail_centroid_hz: float  # likewise, of what lies between -10 and -40 dB after the peak
    flatness: float  # geometric over arithmetic mean of the power from 100 Hz to 16 kHz: 0 tone … 1 noise
    crest_db: float  # peak over RMS until -40 dB
    low_share_db: float  # energy below 120 Hz in all of it
    high_share_db: float  # energy above 6 kHz in all of it
    air_share_db: float  # energy above 16 kHz in all of it
    ripple_db: float | None  # unsteadiness of the decay, see `_ripple_db`; None for bodies under 90 ms
    width_db: float  # side over mid; -120 is mono, 0 two unrelated channels
    mono_loss_db: float  # what folding down to mono costs: 0 mono, 3 unrelated, more out of phase
    low_correlation: float | None  # of the channels below 120 Hz; None without energy there
    dc_dbfs: float  # constant offset
    clipped_runs: int  # runs of three or more equal samples at full scale
    clicks: int  # isolated discontinuities inside the sound
    start_step_dbfs: float  # the first sample: a click when it is loud
    end_step_dbfs: float  # the last sample
    tail_db: float  # the last 10 ms relative to the loudest 10 ms: high when the sound is cut off
    noise_floor_dbfs: float  # the quietest 20 ms, digital silence left out

    def to_dict(self) -> dict[str, float | int | str | None]:
        return asdict(self)


def describe(audio: F32) -> Descriptors:
    """Describe `audio[channel=2, sample]` at 44,100 Hz. Raises InputError for silence or less than 2 ms."""
    samples = audio.shape[1]
    peak = float(np.abs(audio).max(initial=0.0))
    if peak < 10.0 ** (-100.0 / 20.0) or samples < 88:
        raise InputError("there is no sound to describe: it is silent or shorter than 2 ms")
    audio = np.ascontiguousarray(audio, dtype=np.float32)
    left, right = audio
    is_mono = bool(np.array_equal(left, right))
    mid = left if is_mono else (0.5 * (left + right)).astype(np.float32)
    side = None if is_mono else (0.5 * (left - right)).astype(np.float32)
    # A sound that cancels in mono is still a sound: time and spectrum are taken from the louder channel then.
    mid_energy, side_energy = _energy(mid), 0.0 if side is None else _energy(side)
    heard = mid if mid_energy >= 0.1 * side_energy else (left if _energy(left) >= _energy(right) else right)
    onset = onset_sample(np.abs(audio).max(axis=0))
    level = envelope(heard, smoothing_seconds=_ENVELOPE_SECONDS)
    loudest = int(np.argmax(level))
    stop_20 = _last_above(level, -20.0)
    stop_40 = _last_above(level, -40.0)
    body = heard[onset : max(stop_40, onset + 88)]
    spectra = _spectra(heard, onset, max(stop_40, onset + _FRAME_SAMPLES))
    power = np.square(spectra, dtype=np.float64).mean(axis=0)
    frequency = np.arange(power.size, dtype=np.float64) * (SAMPLE_RATE / _FRAME_SAMPLES)
    tail_start = max(_last_above(level, -10.0), onset)
    attack = heard[onset : onset + _FRAME_SAMPLES]
    lows = _low_correlation(audio)
    total = power.sum()
    return Descriptors(
        duration_s=samples / SAMPLE_RATE,
        onset_s=onset / SAMPLE_RATE,
        attack_s=_attack_seconds(heard, onset),
        decay_20_db_s=max(stop_20 - onset, 0) / SAMPLE_RATE,
        decay_40_db_s=max(stop_40 - onset, 0) / SAMPLE_RATE,
        **_pitch_fields(heard),
        attack_centroid_hz=_centroid(_spectrum_of_start(attack), frequency),
        tail_centroid_hz=_centroid(
            _spectra(heard, tail_start, max(stop_40, tail_start + 1)).mean(axis=0), frequency
        ),
        flatness=_flatness(power, frequency),
        crest_db=_decibels(float(np.abs(body).max()) ** 2, _energy(body) / body.size),
        low_share_db=_decibels(_low_energy(heard), _energy(heard)),
        high_share_db=_decibels(float(power[frequency >= 6_000.0].sum()), float(total)),
        air_share_db=_decibels(float(power[frequency >= 16_000.0].sum()), float(total)),
        ripple_db=_ripple_db(level, loudest, stop_40),
        width_db=_decibels(side_energy, mid_energy),
        mono_loss_db=max(_decibels(mid_energy + side_energy, mid_energy), 0.0),
        low_correlation=lows,
        dc_dbfs=_dc_dbfs(audio, onset),
        clipped_runs=sum(waveform.flat_runs(channel, np.float32(FULL_SCALE), 3) for channel in audio),
        clicks=_clicks(mid, side, onset, peak),
        start_step_dbfs=_decibels(float(np.abs(audio[:, 0]).max()) ** 2),
        end_step_dbfs=_decibels(float(np.abs(audio[:, -1]).max()) ** 2),
        tail_db=_decibels(_energy(heard[-441:]) / min(samples, 441), float(level.max()) ** 2),
        noise_floor_dbfs=_noise_floor_dbfs(heard),
    )


def note_of(frequency_hz: float) -> tuple[str, int, float]:
    """The nearest note of equal temperament: pitch class, MIDI number, and how many cents above it the pitch
    lies.

    >>> note_of(55.0)
    ('A', 33, 0.0)
    """
    midi = 69.0 + 12.0 * math.log2(frequency_hz / 440.0)
    nearest = round(midi)
    return _NOTES[nearest % 12], nearest, 100.0 * (midi - nearest)


def _pitch_fields(heard: F32) -> dict:
    track = pitch_and_sweep(heard)
    found = track.pitch_hz > 0.0
    note, midi_note, cents = (
        note_of(track.pitch_hz) if found and track.confidence >= PITCH_CONFIDENT else (None, None, None)
    )
    return {
        "pitch_hz": track.pitch_hz if found else None,
        "pitch_confidence": track.confidence,
        "pitch_start_hz": track.start_hz if found else None,
        "pitch_end_hz": track.end_hz if found else None,
        "pitch_sweep_semitones": track.sweep_semitones if found else None,
        "pitch_sweep_s": track.sweep_s if found else None,
        "note": note,
        "midi_note": midi_note,
        "note_offset_cents": cents,
    }


def _attack_seconds(heard: F32, onset: int) -> float:
    """From the onset until the RMS over the last millisecond is within 3 dB of its highest."""
    window = round(_ATTACK_WINDOW_SECONDS * SAMPLE_RATE)
    total = np.concatenate((np.zeros(window), np.cumsum(np.square(heard, dtype=np.float64))))
    power = total[window:] - total[:-window]
    return max(int(np.argmax(power >= 0.5 * power.max())) - onset, 0) / SAMPLE_RATE


def _last_above(level: F32, relative_db: float) -> int:
    """The sample after the last one whose level lies above `relative_db` of the highest."""
    above = level >= level.max() * 10.0 ** (relative_db / 20.0)
    return int(level.size - np.argmax(above[::-1]))


def _spectra(heard: F32, start: int, stop: int) -> F32:
    """Magnitudes `[frame, bin]` of Hann frames of 1024 samples from `start`, at least one, zeros beyond the
    end.
    """
    hop = _FRAME_SAMPLES // 2
    frames = max((stop - start - _FRAME_SAMPLES) // hop + 1, 1)
    part = heard[start : start + (frames - 1) * hop + _FRAME_SAMPLES]
    padded = np.zeros((frames - 1) * hop + _FRAME_SAMPLES, dtype=np.float32)
    padded[: part.size] = part
    windowed = np.lib.stride_tricks.sliding_window_view(padded, _FRAME_SAMPLES)[::hop] * _HANN
    return np.abs(np.fft.rfft(windowed, axis=1)).astype(np.float32)


_HANN = np.hanning(_FRAME_SAMPLES + 1)[:-1].astype(np.float32)


def _spectrum_of_start(attack: F32) -> F32:
    """Magnitudes of the first 1024 samples under the falling half of a window: the onset itself keeps its
    weight.
    """
    padded = np.zeros(_FRAME_SAMPLES, dtype=np.float32)
    padded[: attack.size] = attack
    falling = np.cos(0.5 * np.pi * np.arange(_FRAME_SAMPLES) / _FRAME_SAMPLES).astype(np.float32) ** 2
    return np.abs(np.fft.rfft(padded * falling)).astype(np.float32)


def _centroid(magnitude: F32, frequency: F64) -> float:
    total = float(magnitude.sum())
    return float((frequency * magnitude).sum() / total) if total > 0.0 else 0.0


def _flatness(power: F64, frequency: F64) -> float:
    band = power[(frequency >= 100.0) & (frequency <= 16_000.0)]
    mean = band.mean()
    if mean <= 0.0:
        return 0.0
    return float(np.exp(np.log(np.maximum(band, mean * 1e-12)).mean()) / mean)


def _ripple_db(level: F32, loudest: int, stop: int) -> float | None:
    """How unsteadily the body decays: the RMS deviation, in dB, of its 10 ms envelope from its own 60 ms mean
    in dB.

    From 10 ms after the loudest moment to -40 dB. A running mean of the decibels follows any exponential
    decay exactly and a bend in it nearly; what remains is amplitude that wobbles 15 to 60 times a second, as
    after careless phase reconstruction. A body under 90 ms leaves nothing to compare.
    """
    hop = round(0.001 * SAMPLE_RATE)
    body = level[loudest + 10 * hop : stop : hop]
    window = round(_RIPPLE_SECONDS * 1000.0)
    if body.size < 1.5 * window:
        return None
    decibels = 20.0 * np.log10(np.maximum(body, 1e-9))
    total = np.concatenate(([0.0], np.cumsum(decibels)))
    smooth = (total[window + 1 :] - total[: -window - 1]) / (window + 1)
    deviation = decibels[window // 2 : window // 2 + smooth.size] - smooth
    return float(np.sqrt(np.mean(deviation**2)))


def _low_spectra(audio: F32) -> NDArray[np.complex64]:
    """Spectra `[channel, bin]` below 120 Hz of the whole sound, scaled so that power adds up to energy."""
    padded_samples = 1 << (audio.shape[1] - 1).bit_length()
    spectra = np.fft.rfft(audio, padded_samples, axis=1)
    bins = int(LOW_HZ * padded_samples / SAMPLE_RATE) + 1
    scaled = spectra[:, :bins] * np.sqrt(2.0 / padded_samples)
    scaled[:, 0] *= np.sqrt(0.5)
    return scaled


def _low_energy(heard: F32) -> float:
    return float(np.sum(np.abs(_low_spectra(heard[None, :])) ** 2))


def _low_correlation(audio: F32) -> float | None:
    left, right = _low_spectra(audio)
    left_energy, right_energy = float(np.sum(np.abs(left) ** 2)), float(np.sum(np.abs(right) ** 2))
    if left_energy + right_energy < 1e-4 * _energy(audio) or min(left_energy, right_energy) <= 0.0:
        return None
    product = float(np.sum((left * right.conj()).real))
    return float(np.clip(product / math.sqrt(left_energy * right_energy), -1.0, 1.0))


def _dc_dbfs(audio: F32, onset: int) -> float:
    """A constant offset, told from the low frequencies of a drum, whose mean is naturally not zero.

    An offset shows in the mean of the sound and in the (Hann-weighted) mean of its last 40 ms alike, a
    decaying drum only in the former and a sound that is cut off only in the latter: the smaller of the two is
    the offset. Silence and fades of a few milliseconds at the end are left out.
    """
    worst = 0.0
    for channel in audio:
        sounding = np.flatnonzero(np.abs(channel) > 1e-5)
        if sounding.size == 0:
            continue
        part = channel[onset : sounding[-1] + 1].astype(np.float64)
        tail = part[-1764:]
        if tail.size < 3:
            continue
        window = np.hanning(tail.size)
        worst = max(worst, min(abs(float(part.mean())), abs(float((tail * window).sum() / window.sum()))))
    return _decibels(worst**2)


def _clicks(mid: F32, side: F32 | None, onset: int, peak: float) -> int:
    """Isolated discontinuities after the attack, in mid and side (most clicks are in only one of them)."""
    skip = np.array([0, onset + round(0.003 * SAMPLE_RATE)])
    return sum(
        waveform.isolated_steps(
            np.ascontiguousarray(signal), _CLICK_REACH_SAMPLES, _CLICK_PROMINENCE, _CLICK_FLOOR * peak, skip
        )
        for signal in ((mid,) if side is None else (mid, side))
    )


def _noise_floor_dbfs(heard: F32) -> float:
    block = 882
    blocks = heard.size // block
    if blocks == 0:
        return _decibels(_energy(heard) / heard.size)
    power = np.square(heard[: blocks * block], dtype=np.float64).reshape(blocks, block).mean(axis=1)
    power = power[power > 0.0]
    return _decibels(float(power.min())) if power.size else FLOOR_DB


def _energy(signal: F32) -> float:
    return float(np.sum(np.square(signal, dtype=np.float64)))


def _decibels(power: float, reference: float = 1.0) -> float:
    """A power ratio in dB, kept within ±120."""
    if power <= 0.0:
        return FLOOR_DB
    if reference <= 0.0:
        return -FLOOR_DB
    return min(max(10.0 * math.log10(power / reference), FLOOR_DB), -FLOOR_DB)
