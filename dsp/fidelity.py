"""How near a reconstructed sound is to its original.

Audio is `float32 [channel, sample]`. Levels are in dB and, like every result here, always finite: ratios are held
within ±LIMIT_DB, nothing against nothing is a perfect match, and something against silence is a complete miss.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dsp.pitch import analytic_power
from dsp.stft import Stft

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

LIMIT_DB = 120.0
"""No ratio reads beyond this, exact equality and silence included; float32 sounds do not hold more."""
SPECTRAL_FLOOR_DB = -80.0
"""Log spectra are compared down to this level below the original's loudest cell."""
MONO_FLOOR_DB = -60.0
"""A mono sum quieter than this, relative to the stereo sound, counts as cancelled."""
ATTACK_BELOW_PEAK_DB = -10.0

_ATTACK_SMOOTHING_SECONDS = 0.001
# Critical bands (Zwicker 1961); the last one ends at half the sample rate.
_BAND_EDGES_HZ = (
    *(0, 100, 200, 300, 400, 510, 630, 770, 920, 1_080, 1_270, 1_480, 1_720, 2_000, 2_320, 2_700, 3_150),
    *(3_700, 4_400, 5_300, 6_400, 7_700, 9_500, 12_000, 15_500),
)


def spectral_convergence_db(magnitude: F32, target: F32) -> float:
    """How far magnitudes are from those wanted: 20 log10(‖magnitude - target‖ / ‖target‖), Frobenius norms.

    After Sturmel & Daudet, 'Signal reconstruction from STFT magnitude: a state of the art' (2011). Lower is nearer;
    0 dB is as far as silence would be. Shape: two of [...], all cells counted together. Two silences read -LIMIT_DB.
    """
    found, wanted = _pair(magnitude, target, "magnitude", "target")
    return _ratio_db(_energy(found - wanted), _energy(wanted))


def log_spectral_distance_db(audio: F32, original: F32, stft: Stft) -> float:
    """The difference of two log spectra as heard frame by frame: root mean square over the bins, mean over frames.

    After Gray & Markel, 'Distance measures for speech processing' (1976). Both spectra are held at SPECTRAL_FLOOR_DB
    below the original's loudest cell (the reconstruction's where the original is silent), so that inaudible cells do
    not count; a frame of a channel in which neither rises above it is left out. Use another transform than the one
    whose magnitudes were given, which would only repeat the spectral convergence.

    Shape: two of [channel, stft.length_samples] → dB, 0 for equals, two silences included.
    """
    first, second = _pair(np.abs(stft.forward(audio)), np.abs(stft.forward(original)), "audio", "original")
    peak = second.max(initial=0.0) or first.max(initial=0.0)
    if peak == 0.0:
        return 0.0
    floor = peak * 10.0 ** (SPECTRAL_FLOOR_DB / 20.0)
    difference_db = 20.0 * np.log10(np.maximum(first, floor) / np.maximum(second, floor))
    sounds = np.maximum(first, second).max(axis=-1) > floor
    return float(np.sqrt(np.mean(np.square(difference_db), axis=-1))[sounds].mean())


def si_sdr_db(audio: F32, original: F32) -> float:
    """Scale-invariant signal-to-distortion ratio of the waveform, all channels together under one scale.

    10 log10(‖a·s‖² / ‖a·s - x‖²), with a = ⟨x, s⟩ / ‖s‖², s the original and x the reconstruction (Le Roux, Wisdom,
    Erdogan & Hershey, 'SDR - half-baked or well done?', 2019). Higher is nearer. As a may be negative, x and -x read
    the same: magnitudes cannot tell them apart, and nor can a listener.

    Shape: two of [channel, sample]. Two silences read LIMIT_DB, silence against sound -LIMIT_DB.
    """
    return _si_sdr_db(*_pair(audio, original, "audio", "original"))


def low_si_sdr_db(audio: F32, original: F32, below_hz: float = 200.0, rate_hz: int = 44_100) -> float:
    """`si_sdr_db` of what lies below a frequency: whether the low end of a drum came back in phase.

    Both sounds pass a brick-wall filter without phase, with silence around them, so that nothing wraps.
    """
    found, wanted = _pair(audio, original, "audio", "original")
    return _si_sdr_db(_low_pass(found, below_hz, rate_hz), _low_pass(wanted, below_hz, rate_hz))


def low_share_db(audio: F32, below_hz: float = 200.0, rate_hz: int = 44_100) -> float:
    """Energy below a frequency relative to all of it, [channel, sample] → dB; -LIMIT_DB for silence."""
    whole = np.asarray(audio, dtype=np.float64)
    return _ratio_db(_energy(_low_pass(whole, below_hz, rate_hz)), _energy(whole))


def pre_echo_db(audio: F32, onset_sample: int) -> float:
    """Energy before the onset relative to all of it, [channel, sample] → dB; -LIMIT_DB for silence.

    The original's own value is its noise floor: a reconstruction at its level has no pre-echo.
    """
    whole = np.asarray(audio, dtype=np.float64)
    if not 0 <= onset_sample <= whole.shape[-1]:
        raise ValueError(
            f"the onset must lie within the sound's {whole.shape[-1]} samples, not {onset_sample}"
        )
    return _ratio_db(_energy(whole[..., :onset_sample]), _energy(whole))


def attack_error_seconds(audio: F32, original: F32, rate_hz: int = 44_100) -> float:
    """How far apart in time two attacks are: the moments when the level first comes within 10 dB of its highest.

    The level is the power of the analytic signals of all channels, averaged over 1 ms. Silence never rises: its attack
    counts as at its end. Shape: two of [channel, sample].
    """
    _pair(audio, original, "audio", "original")
    return abs(_attack_sample(audio, rate_hz) - _attack_sample(original, rate_hz)) / rate_hz


def mono_sum_error_db(audio: F32, original: F32) -> float:
    """How much louder or softer a sound has become in mono: difference of ‖L + R‖² / (2 ‖L‖² + 2 ‖R‖²) in dB.

    That ratio is 0 dB for equal channels, -3 dB for unrelated ones, MONO_FLOOR_DB at least. Shape: two of [2, sample]
    → 0 dB or more; a silent sound counts as mono.
    """
    found, wanted = _pair(audio, original, "audio", "original")
    _check_stereo(found)
    return abs(_mono_share_db(found) - _mono_share_db(wanted))


def coherence_error(audio: F32, original: F32, stft: Stft, rate_hz: int = 44_100) -> float:
    """How much the likeness of left and right has changed: 0 not at all, 1 from equal to unrelated or back.

    The coherence of a band is |Σ L·R*| / √(Σ|L|² · Σ|R|²) over its bins and all frames (as in Breebaart, van de Par,
    Kohlrausch & Schuijers, 'Parametric coding of stereo audio', 2005, for one long segment). The error is the mean
    absolute difference over 25 critical bands, weighted by the original's energy in each. Channels of which one is
    silent in a band count as coherent. It does not see polarity; `mono_sum_error_db` does.

    Shape: two of [2, stft.length_samples]. A silent original weighs nothing and reads 0.
    """
    found, wanted = _pair(audio, original, "audio", "original")
    _check_stereo(found)
    edges = np.array(_BAND_EDGES_HZ) / rate_hz * stft.window_samples
    starts = np.unique(np.minimum(np.ceil(edges).astype(np.int64), stft.bins - 1))
    coherence, _ = _band_coherence(stft, found, starts)
    original_coherence, weight = _band_coherence(stft, wanted, starts)
    total = float(weight.sum())
    return float(np.sum(weight * np.abs(coherence - original_coherence)) / total) if total > 0.0 else 0.0


def _si_sdr_db(audio: F64, original: F64) -> float:
    power = _energy(original)
    if power == 0.0 or _energy(audio) == 0.0:
        return LIMIT_DB if power == _energy(audio) else -LIMIT_DB
    wanted = original * (float(np.vdot(original, audio)) / power)
    return -_ratio_db(_energy(audio - wanted), _energy(wanted))


def _band_coherence(stft: Stft, audio: F64, starts: NDArray[np.int64]) -> tuple[F64, F64]:
    """Coherence and energy of every band that begins at a bin of `starts`, [band] each."""
    left, right = stft.forward(audio.astype(np.float32)).astype(np.complex128)
    cross = np.add.reduceat((left * right.conj()).sum(axis=0), starts)
    powers = [np.add.reduceat(np.sum(np.abs(each) ** 2, axis=0), starts) for each in (left, right)]
    scale = np.sqrt(powers[0] * powers[1])
    coherence = np.ones(starts.shape[0])
    np.divide(np.abs(cross), scale, out=coherence, where=scale > 0.0)
    return coherence, powers[0] + powers[1]


def _attack_sample(audio: F32, rate_hz: int) -> int:
    power = np.sum([analytic_power(channel) for channel in np.asarray(audio, dtype=np.float32)], axis=0)
    if not power.any():
        return int(power.size)
    width = max(round(_ATTACK_SMOOTHING_SECONDS * rate_hz), 1)
    level = np.convolve(power.astype(np.float64), np.ones(width), mode="same")
    return int(np.argmax(level >= level.max() * 10.0 ** (ATTACK_BELOW_PEAK_DB / 10.0)))


def _low_pass(audio: F64, below_hz: float, rate_hz: int) -> F64:
    if not 0.0 < below_hz <= rate_hz / 2:
        raise ValueError(f"below_hz must lie between 0 and half of {rate_hz} Hz, not {below_hz}")
    samples = audio.shape[-1]
    padded_samples = 1 << max(2 * samples - 1, 1).bit_length()
    spectrum = np.fft.rfft(audio, padded_samples)
    spectrum[..., int(below_hz / rate_hz * padded_samples) + 1 :] = 0.0
    return np.fft.irfft(spectrum, padded_samples)[..., :samples]


def _mono_share_db(audio: F64) -> float:
    stereo = 2.0 * _energy(audio)
    return max(_ratio_db(_energy(audio[0] + audio[1]), stereo), MONO_FLOOR_DB) if stereo > 0.0 else 0.0


def _ratio_db(numerator: float, denominator: float) -> float:
    """10 log10 of a ratio of energies, within ±LIMIT_DB; nothing over nothing is nothing."""
    if numerator <= denominator * 10.0 ** (-LIMIT_DB / 10.0):
        return -LIMIT_DB
    if denominator <= numerator * 10.0 ** (-LIMIT_DB / 10.0):
        return LIMIT_DB
    return float(10.0 * np.log10(numerator / denominator))


def _energy(values: F64) -> float:
    return float(np.sum(np.square(values)))


def _pair(first: F32, second: F32, first_name: str, second_name: str) -> tuple[F64, F64]:
    if np.shape(first) != np.shape(second):
        raise ValueError(
            f"{first_name} and {second_name} must have the same shape, not {list(np.shape(first))} and "
            f"{list(np.shape(second))}"
        )
    pair = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    for name, values in zip((first_name, second_name), pair, strict=True):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds values that are not finite")
    return pair


def _check_stereo(audio: F64) -> None:
    if audio.ndim != 2 or audio.shape[0] != 2:
        raise ValueError(f"left and right are needed, [2, sample], not {list(audio.shape)}")
