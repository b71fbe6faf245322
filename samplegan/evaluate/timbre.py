"""Seven words for the timbre of a one-shot, as numbers: brightness, depth, boominess, roughness, sharpness, hardness,
warmth.

The words and what they rest on are those of the AudioCommons timbral models (Pearce, Brookes & Mason 2016-2019,
deliverables D5.2, D5.3 and D5.8). There every word is a linear regression of listeners' ratings on such quantities.
Brightness and depth are that regression, with its published coefficients. The other five are the underlying quantity,
10 log10 of it, and not the regression: they rise and fall with the rating, but are no rating from 0 to 100.

All rest on one transform of 4096 samples, with frames aligned to the onset; a mean over frames is weighted by their
power, as it is there. The loudness is that of the sound's loudest 400 ms, brought to -24 LUFS, which short sounds have
as well; full scale is taken to be 100 dB of sound pressure, so that there is a threshold of hearing.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from dsp.loudness import momentary_maximum_lufs
from dsp.pitch import envelope, onset_sample
from dsp.stft import window
from samplegan.audio import SAMPLE_RATE
from samplegan.errors import InputError

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

TARGET_LUFS = -24.0
FULL_SCALE_SPL_DB = 100.0

_FRAME_SAMPLES, _HOP_SAMPLES = 4096, 1024
_FRAMES_BELOW_LOUDEST_DB = -60.0  # quieter frames are the noise behind the sound
_LEAST_SHARE = 1e-6  # what is 60 dB below the whole is not there
_LEAST_ROUGHNESS = 1e-3
_MOST_PEAKS = 32  # of one frame
_PEAK_BELOW_LARGEST = 0.01  # of power for the lowest peak, of magnitude for roughness
_ATTACK_SECONDS = 0.1
_BLOCK_SAMPLES = 256
_LEAST_ATTACK_SECONDS = 0.0005
_SHORTEST_SAMPLES = 88

_WINDOW = window("hann", _FRAME_SAMPLES)
_HZ: F64 = np.arange(_FRAME_SAMPLES // 2 + 1, dtype=np.float64) * (SAMPLE_RATE / _FRAME_SAMPLES)


@dataclass(frozen=True)
class Timbre:
    """The timbre of a sound; a gain changes nothing. See the module for what is a rating and what a level."""

    brightness: float  # rating: the energy above 2 kHz, and the centroid above 100 Hz
    depth: float  # rating: low centroid, share below 500 Hz, length, lowest peak
    boominess: float  # 10 log10 of Hashimoto's booming index
    roughness: float  # 10 log10 of Vassilakis' roughness of pairs of partials
    sharpness: float  # 10 log10 of acum, after Fastl
    hardness: (
        float  # 10 log10 of the geometric mean of gradient (1/s), centroid and bandwidth (Hz) of the attack
    )
    warmth: float  # 10 log10 of the share up to 3.5 times the lowest peak, over the centroid in kHz

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def timbre(audio: F32) -> Timbre:
    """The timbre of `audio[channel=2, sample]` at 44,100 Hz. Raises InputError for silence or less than 2 ms."""
    if audio.shape[1] < _SHORTEST_SAMPLES or float(np.abs(audio).max()) < 1e-5:
        raise InputError("there is no sound to describe: it is silent or shorter than 2 ms")
    heard = _heard(np.asarray(audio, dtype=np.float32))
    gain_db = TARGET_LUFS - momentary_maximum_lufs(heard[None, :])
    heard = (heard * 10.0 ** (gain_db / 20.0)).astype(np.float32)
    heard = heard[onset_sample(heard) :]
    magnitude = _spectra(heard)
    power = np.square(magnitude)
    frame_power = power.sum(axis=1)
    total = power.sum(axis=0)
    low_peak_hz = _lowest_peak_hz(total)
    loudness = _specific_loudness(power)
    return Timbre(
        brightness=_brightness(total),
        depth=_depth(total, _seconds_to_40_db(heard), low_peak_hz),
        boominess=_level(float(np.average(_booming_index(loudness), weights=frame_power)), 1e-4),
        roughness=_level(
            float(np.average(_roughness(magnitude[::2]), weights=frame_power[::2])), _LEAST_ROUGHNESS
        ),
        sharpness=_level(float(np.average(_sharpness(loudness), weights=frame_power)), 1e-3),
        hardness=_hardness(heard),
        warmth=_warmth(total, low_peak_hz),
    )


def _heard(audio: F32) -> F32:
    """Mid, or the louder channel where mid cancels, as `samplegan.descriptors` hears a sound."""
    left, right = audio
    mid = 0.5 * (left + right)
    energy = np.square(audio, dtype=np.float64).sum(axis=1)
    # Mid and side together hold half the energy of left and right: this asks for a tenth of the side's.
    if np.square(mid, dtype=np.float64).sum() >= 0.1 / 1.1 * 0.5 * energy.sum():
        return mid
    return left if energy[0] >= energy[1] else right


def _spectra(heard: F32) -> F32:
    """Magnitudes [frame, bin], a sine of amplitude 1 reading 1 / sqrt(2), of the frames that sound.

    The first frame is centred on the onset, so that the attack stands under the top of a window.
    """
    frames = -(-heard.size // _HOP_SAMPLES)
    padded = np.zeros((frames - 1) * _HOP_SAMPLES + _FRAME_SAMPLES, dtype=np.float32)
    padded[_FRAME_SAMPLES // 2 :][: heard.size] = heard[: padded.size - _FRAME_SAMPLES // 2]
    framed = np.lib.stride_tricks.sliding_window_view(padded, _FRAME_SAMPLES)[::_HOP_SAMPLES]
    power = np.square(framed, dtype=np.float32).sum(axis=1, dtype=np.float64)
    sounding = power >= power.max() * 10.0 ** (_FRAMES_BELOW_LOUDEST_DB / 10.0)
    scaled = _WINDOW * np.float32(math.sqrt(2.0) / _WINDOW.sum())
    return np.abs(np.fft.rfft(framed[sounding] * scaled, axis=1))


# --- brightness, depth, warmth: of the spectrum of the whole sound


def _brightness(total: F32) -> float:
    share = max(_share(total, _HZ >= 2_000.0), _LEAST_SHARE)
    centroid_hz = _centroid_hz(total, (_HZ > 100.0))
    return 4.613 * math.log10(share) + 17.379 * math.log10(centroid_hz) + 17.435


def _depth(total: F32, seconds: float, low_peak_hz: float) -> float:
    centroid_hz = _centroid_hz(total, (_HZ >= 20.0) & (_HZ < 2_000.0))
    low = _share(total, (_HZ >= 20.0) & (_HZ < 500.0))
    length = math.log10(seconds)
    return (
        -0.0043703565847874465 * centroid_hz
        + 32.83743202462131 * low
        + 4.750862716905235 * length
        - 14.217438690256062 * math.log10(low_peak_hz)
        + 3.8782339862813924 * low * length
        - 0.8544826091735516 * low**10 / (low**10 + 0.2) * length
        + 66.69534393444391
    )


def _warmth(total: F32, low_peak_hz: float) -> float:
    share = max(_share(total, min(3.5 * low_peak_hz, 12_000.0) >= _HZ), _LEAST_SHARE)
    return _level(share / (_centroid_hz(total, _HZ >= 20.0) / 1_000.0), _LEAST_SHARE)


def _share(total: F32, band: NDArray[np.bool_]) -> float:
    return float(total[band].sum(dtype=np.float64) / total.sum(dtype=np.float64))


def _centroid_hz(total: F32, band: NDArray[np.bool_]) -> float:
    """Of the power in a band; a band that is empty has its centroid at its lower end."""
    part = total[band].astype(np.float64)
    hertz = _HZ[band]
    return float((hertz * part).sum() / part.sum()) if part.sum() > 0.0 else float(hertz[0])


def _lowest_peak_hz(total: F32) -> float:
    """The lowest maximum above 20 Hz within 20 dB of the largest: the fundamental of what has one."""
    wanted = total >= _PEAK_BELOW_LARGEST * total[_HZ >= 20.0].max()
    peaks = np.flatnonzero(_is_peak(total) & wanted & (_HZ >= 20.0))
    return float(_HZ[peaks[0]] if peaks.size else max(_HZ[int(np.argmax(total))], 20.0))


def _is_peak(spectra: F32) -> NDArray[np.bool_]:
    """The bins [..., bin] that are larger than both neighbours."""
    peak = np.zeros(spectra.shape, dtype=bool)
    inner = spectra[..., 1:-1]
    peak[..., 1:-1] = (inner > spectra[..., :-2]) & (inner >= spectra[..., 2:])
    return peak


def _seconds_to_40_db(heard: F32) -> float:
    """From the loudest block until the level is first 40 dB below it, at least one block."""
    blocks = -(-heard.size // _BLOCK_SAMPLES)
    padded = np.zeros(blocks * _BLOCK_SAMPLES, dtype=np.float32)
    padded[: heard.size] = heard
    power = np.square(padded).reshape(blocks, _BLOCK_SAMPLES).sum(axis=1)
    after = power[int(np.argmax(power)) :]
    quiet = after < after[0] * 1e-4
    length = int(np.argmax(quiet)) if quiet.any() else after.size
    return length * _BLOCK_SAMPLES / SAMPLE_RATE


# --- boominess, sharpness: of specific loudness

_BARK_STEP = 0.5


def _bark(hertz: NDArray) -> F64:
    """The critical-band rate of Zwicker & Terhardt (1980)."""
    return 13.0 * np.arctan(0.76e-3 * hertz) + 3.5 * np.arctan((hertz / 7_500.0) ** 2)


_BANDS_BARK = np.arange(_BARK_STEP / 2, 24.5, _BARK_STEP)
_BANDS_HZ = np.interp(_BANDS_BARK, _bark(_HZ), _HZ)
_BAND_STARTS = np.searchsorted(_bark(_HZ), _BANDS_BARK - _BARK_STEP / 2)


def _spreading() -> F32:
    """What a band [from] excites [to]: slopes of 27 dB per Bark downwards and 10 dB per Bark upwards."""
    above = _BANDS_BARK[None, :] - _BANDS_BARK[:, None]
    level_db = np.where(above < 0.0, 27.0 * above, -10.0 * above)
    return (10.0 ** (level_db / 10.0)).astype(np.float32)


def _threshold_in_quiet() -> F64:
    """The power of the weakest audible tone (Terhardt 1979), full scale being 1."""
    khz = _BANDS_HZ / 1_000.0
    spl_db = 3.64 * khz**-0.8 - 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) + 1e-3 * khz**4
    return 10.0 ** ((spl_db - FULL_SCALE_SPL_DB) / 10.0)


_SPREADING, _QUIET = _spreading(), _threshold_in_quiet()
_REFERENCE = 10.0 ** (-FULL_SCALE_SPL_DB / 10.0)


def _specific_loudness(power: F32) -> F64:
    """Sone per Bark of every frame, [frame, half Bark], by the power law of Zwicker & Fastl (Psychoacoustics, 8.7a).

    The excitation is the power of the bands under plain triangular slopes: not the tables of ISO 532.
    """
    # The window's power bandwidth is 1.5 bins: a tone counts once, not one and a half times.
    bands = np.add.reduceat(power, _BAND_STARTS, axis=1) / np.float32(1.5)
    excitation = np.maximum(bands @ _SPREADING, 0.0).astype(np.float64)
    above = (0.5 + 0.5 * excitation / _QUIET) ** 0.23 - 1.0
    return 0.08 * (_QUIET / _REFERENCE) ** 0.23 * np.maximum(above, 0.0)


def _booming_index(loudness: F64) -> F64:
    """Hatano & Hashimoto's booming index (2000) of every frame: loudness weighted towards the lows, times the share of
    what lies below 280 Hz.

    The weight falls by 14 % per third of an octave from 80 Hz on and is taken to be level below that, where theirs is
    tabulated.
    """
    thirds = np.log10(np.maximum(_BANDS_HZ, 80.0) / 25.0) * 10.0 + 1.0
    weighted = (loudness * (2.13 * np.exp(-0.151 * thirds))).sum(axis=1) * _BARK_STEP
    low = loudness[:, _BANDS_HZ < 280.0].sum(axis=1)
    return weighted * low / np.maximum(loudness.sum(axis=1), 1e-12)


def _sharpness(loudness: F64) -> F64:
    """Acum of every frame: the centroid of specific loudness in Bark, weighted beyond 14 Bark (Fastl 1991)."""
    z = _BANDS_BARK
    weight = np.where(z < 14.0, 1.0, 0.00012 * z**4 - 0.0056 * z**3 + 0.1 * z**2 - 0.81 * z + 3.5)
    return 0.11 * (loudness * weight * z).sum(axis=1) / np.maximum(loudness.sum(axis=1), 1e-12)


# --- roughness: of the peaks of every second frame, which still overlap by half


def _roughness(magnitude: F32) -> F64:
    """Vassilakis' roughness (2001) of every frame given: X^0.1 · Y^3.11 · Z / 2, summed over pairs of peaks.

    X is the product of the two magnitudes, relative to the largest of the sound; Y says how equal they are, and Z is
    Plomp & Levelt's curve, as Sethares fitted it.
    """
    floor = _PEAK_BELOW_LARGEST * magnitude.max(axis=1, keepdims=True)
    level = np.where(_is_peak(magnitude) & (magnitude > floor), magnitude, np.float32(0.0))
    bins = np.sort(np.argpartition(level, -_MOST_PEAKS, axis=1)[:, -_MOST_PEAKS:], axis=1)
    level = np.take_along_axis(level, bins, axis=1) / magnitude.max()
    hertz = _HZ[bins].astype(np.float32)
    first, second = _PAIRS
    one, other = level[:, first], level[:, second]
    strength = (level**0.1)[:, first] * (level**0.1)[:, second]
    equality = 2.0 * np.minimum(one, other) / np.maximum(one + other, np.float32(1e-12))
    apart = (0.24 / (0.0207 * hertz + 18.96))[:, first] * (hertz[:, second] - hertz[:, first])
    curve = np.exp(-3.51 * apart) - np.exp(-5.75 * apart)
    return np.asarray((0.5 * strength * equality**3.11 * curve).sum(axis=1, dtype=np.float64))


_PAIRS = np.triu_indices(_MOST_PEAKS, 1)


# --- hardness: of the attack


def _hardness(heard: F32) -> float:
    """Gradient, centroid and bandwidth of the first 100 ms.

    The gradient is that from a tenth to nine tenths of the highest level over 1 ms; centroid and bandwidth are those of
    the magnitudes of the first 46 ms, under the falling half of a window.
    """
    attack = heard[: round(_ATTACK_SECONDS * SAMPLE_RATE)]
    level = envelope(attack, smoothing_seconds=0.001)
    highest = int(np.argmax(level))
    begins, ends = (int(np.argmax(level[: highest + 1] >= share * level[highest])) for share in (0.1, 0.9))
    gradient = 0.8 / max((ends - begins) / SAMPLE_RATE, _LEAST_ATTACK_SECONDS)
    start = np.zeros(_FRAME_SAMPLES)
    falling = _WINDOW[_FRAME_SAMPLES // 2 :]
    start[: min(attack.size, falling.size)] = attack[: falling.size] * falling[: attack.size]
    magnitude = np.abs(np.fft.rfft(start))
    centroid_hz = float((_HZ * magnitude).sum() / magnitude.sum())
    bandwidth_hz = math.sqrt(float((np.square(_HZ - centroid_hz) * magnitude).sum() / magnitude.sum()))
    return _level(gradient * centroid_hz * bandwidth_hz, 1e-12) / 3.0


def _level(quantity: float, least: float) -> float:
    return 10.0 * math.log10(max(quantity, least))
