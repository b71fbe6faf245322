"""The building blocks that all drums share: envelopes, oscillators, noise, filters, resonators, colour.

Audio is float64 [sample] (mono) or [channel=2, sample]. Every *decay* is the time to fall by 20 dB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samplegan.synth import kernels
from samplegan.synth.ranges import Parameters, generator

SAMPLE_RATE = 44_100
F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Voice:
    """One sound being built: its parameters, its length, and where its randomness comes from."""

    parameters: Parameters
    samples: int
    noise_seed: int

    def has(self, name: str) -> bool:
        """Whether the layer or effect that `name` controls is there at all."""
        return name in self.parameters

    def get(self, name: str, default: float = 0.0) -> float:
        """A number of the parameters; `default` if the style does not use it."""
        return float(self.parameters.get(name, default))

    def gain(self, name: str) -> float:
        """A level in dB as a factor."""
        return decibels(self.get(name))

    def random(self, layer: str) -> np.random.Generator:
        """The generator of one layer, so that no layer disturbs another one's noise."""
        return generator("noise", self.noise_seed, layer)


def decibels(level_db: float) -> float:
    """dB → factor.

    >>> round(decibels(-20.0), 6)
    0.1
    """
    return float(10.0 ** (level_db / 20.0))


def seconds(samples: int) -> F64:
    """The time axis [sample] in seconds."""
    return np.arange(samples) / SAMPLE_RATE


def decay(samples: int, decay_seconds: float, *, shape: float = 1.0, attack_seconds: float = 0.0) -> F64:
    """A stretched exponential [sample]: -20 dB at `decay_seconds` after the attack.

    Shape 1 is an exponential; above 1 the sound is held and then drops, below 1 it drops and then lingers.
    """
    time = seconds(samples)
    late = np.maximum(time - attack_seconds, 0.0)
    # exp is several times faster than 10 ** x.
    envelope = np.exp(
        -np.log(10.0) * (late / decay_seconds if shape == 1.0 else (late / decay_seconds) ** shape)
    )
    if attack_seconds > 0:
        envelope *= np.sin(0.5 * np.pi * np.minimum(time / attack_seconds, 1.0)) ** 2
    return envelope


def sweep(samples: int, hertz: float, *glides: tuple[float, float], start_turns: float = 0.0) -> F64:
    """The phase [sample] in turns of a tone that lands on `hertz`.

    Each glide is (octaves above, seconds to cover 63 % of the way in octaves). Starts are kept below 12 kHz.
    """
    time = seconds(samples)
    octaves = np.zeros(samples)
    for height, duration in glides:
        octaves += height * np.exp(-time / max(duration, 1e-4))
    frequency = np.minimum(hertz * 2.0**octaves, 12_000.0)
    return kernels.accumulate(frequency / SAMPLE_RATE, start_turns)


def sine(turns: F64) -> F64:
    """A sine [sample] of a phase in turns."""
    return np.sin(2.0 * np.pi * turns)


def noise(voice: Voice, layer: str, width: float = 0.0) -> F64:
    """White noise [sample], or [2, sample] with a side of level `width` (0 to 1) against the middle."""
    random = voice.random(layer)
    middle = random.standard_normal(voice.samples)
    if width <= 0:
        return middle
    side = width * random.standard_normal(voice.samples)
    return np.stack([middle + side, middle - side])


def low_pass(audio: F64, hertz: float | F64, q: float = 0.707) -> F64:
    """12 dB/octave; the cutoff may be a curve [sample]."""
    return _filter(audio, hertz, 1.0 / q, 0.0, 0.0, 1.0)


def high_pass(audio: F64, hertz: float | F64, q: float = 0.707) -> F64:
    """12 dB/octave; the cutoff may be a curve [sample]."""
    return _filter(audio, hertz, 1.0 / q, 1.0, -1.0 / q, -1.0)


def band_pass(audio: F64, hertz: float | F64, q: float) -> F64:
    """6 dB/octave on each side, 0 dB at the centre."""
    return _filter(audio, hertz, 1.0 / q, 0.0, 1.0 / q, 0.0)


def peak(audio: F64, hertz: float, q: float, gain_db: float) -> F64:
    """A bell of `gain_db`."""
    a = 10.0 ** (gain_db / 40.0)
    return _filter(audio, hertz, 1.0 / (q * a), 1.0, (a * a - 1.0) / (q * a), 0.0)


def _filter(audio: F64, hertz: float | F64, k: float, m0: float, m1: float, m2: float) -> F64:
    samples = audio.shape[-1]
    # 0.49: the tangent stays finite for cutoffs drawn above the Nyquist frequency.
    g = np.tan(np.pi * np.clip(np.asarray(hertz, dtype=np.float64) / SAMPLE_RATE, 1e-5, 0.49))
    curve = np.broadcast_to(g, samples).astype(np.float64)
    if audio.ndim == 1:
        return kernels.state_variable(audio, curve, k, m0, m1, m2)
    return np.stack([kernels.state_variable(channel, curve, k, m0, m1, m2) for channel in audio])


def modes(frequencies: F64, decays: F64, gains: F64, phases: F64, samples: int) -> F64:
    """Decaying sines summed: frequencies [mode] in Hz, decays [mode] in s, gains [mode] or [2, mode]."""
    heard = frequencies < 0.48 * SAMPLE_RATE
    radii = 10.0 ** (-1.0 / (np.maximum(decays[heard], 1e-4) * SAMPLE_RATE))
    table = np.ascontiguousarray(np.atleast_2d(gains)[:, heard])
    out = kernels.modal_bank(frequencies[heard] / SAMPLE_RATE, radii, phases[heard], table, samples)
    return out if gains.ndim == 2 else out[0]


def oversampled(shaper: Callable[[F64], F64], audio: F64, factor: int = 4) -> F64:
    """Apply a nonlinear `shaper` at `factor` times the rate, so that the harmonics it makes do not fold back.

    Both rate changes are exact in the frequency domain.
    """
    samples = audio.shape[-1]
    size = _quick_size(samples + 512)
    spectrum = np.fft.rfft(audio, size, axis=-1)
    wide = np.zeros((*audio.shape[:-1], size * factor // 2 + 1), dtype=np.complex128)
    wide[..., : size // 2 + 1] = spectrum
    shaped = shaper(np.fft.irfft(wide, size * factor, axis=-1) * factor)
    return decimated(shaped, factor)[..., :samples]


def _quick_size(samples: int) -> int:
    """A transform length of at least `samples` with small factors, at most an eighth too long."""
    octave = 1 << max(int(np.log2(samples)) - 3, 2)
    return -(-samples // octave) * octave


def decimated(audio: F64, factor: int) -> F64:
    """Every `factor`-th sample of what lies below 20 kHz; a cosine slope ends at the Nyquist frequency."""
    samples = audio.shape[-1] // factor
    spectrum = np.fft.rfft(audio, axis=-1)[..., : samples // 2 + 1] / factor
    frequency = np.fft.rfftfreq(samples, 1.0 / SAMPLE_RATE)
    slope = 0.5 + 0.5 * np.cos(np.pi * np.clip((frequency - 20_000.0) / 2_050.0, 0.0, 1.0))
    return np.fft.irfft(spectrum * slope, samples, axis=-1)


def saturate(audio: F64, drive_db: float, asymmetry: float = 0.0) -> F64:
    """tanh after `drive_db` of gain on a signal of peak 1; `asymmetry` (0 to 1) adds even harmonics.

    The peak comes back to about 1, so that drive changes the colour and not the level.
    """
    gain = decibels(drive_db)
    bias = asymmetry * min(gain, 1.5) * 0.5
    rest = np.tanh(bias)
    peak_out = np.tanh(gain + bias) - rest
    return oversampled(lambda x: (np.tanh(gain * x + bias) - rest) / peak_out, audio)


def clip(audio: F64, drive_db: float) -> F64:
    """A hard ceiling after `drive_db` of gain on a signal of peak 1."""
    gain = decibels(drive_db)
    return oversampled(lambda x: np.clip(gain * x, -1.0, 1.0), audio)


def crush(audio: F64, bits: float, rate_hz: float) -> F64:
    """Quantise to `bits` and hold at `rate_hz`; the aliases are wanted: so early samplers sound."""
    steps = 2.0 ** (bits - 1.0)
    held = [kernels.hold(channel, min(rate_hz / SAMPLE_RATE, 1.0)) for channel in np.atleast_2d(audio)]
    return np.round(np.stack(held).reshape(audio.shape) * steps) / steps


def room(voice: Voice, audio: F64, room_seconds: float, tone_hz: float, spread: float) -> F64:
    """The answer [2, sample] of a small room: decaying noise, darker with time, different at each side.

    `spread` is the level of the side of the response relative to its middle.
    """
    length = min(voice.samples, int(3.0 * room_seconds * SAMPLE_RATE) + 64)
    random = voice.random("room")
    parts = random.standard_normal((2, length)) * decay(length, room_seconds, attack_seconds=0.002)
    darker = tone_hz * (0.25 + 0.75 * decay(length, room_seconds))
    parts = high_pass(low_pass(parts, darker), 90.0)
    parts /= np.sqrt(np.sum(parts**2, axis=-1, keepdims=True)) + 1e-12
    response = np.stack([parts[0] + spread * parts[1], parts[0] - spread * parts[1]])
    size = _quick_size(voice.samples + length)
    source = np.fft.rfft(np.atleast_2d(audio), size, axis=-1)
    wet = np.fft.irfft(source * np.fft.rfft(response, size, axis=-1), size, axis=-1)
    return wet[:, : voice.samples]


def normalised(audio: F64) -> F64:
    """The same with a joint peak of 1."""
    return audio / max(float(np.abs(audio).max()), 1e-9)


def mix(*layers: F64) -> F64:
    """The sum of mono and stereo layers: [sample] while all are mono, else [2, sample]."""
    total = layers[0]
    for layer in layers[1:]:
        total = total + layer
    return total
