"""Hats and cymbals: squares, FM clusters, dense modal banks and noise, shaped alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from samplegan.synth import blocks, finish, kernels
from samplegan.synth.blocks import F64, SAMPLE_RATE, Voice
from samplegan.synth.ranges import Parameter

# The six oscillators of the TR-808's cymbal and hats (Werner, Abel & Smith, DAFx-14, table 1), in Hz.
SQUARES_HZ = np.array([205.3, 304.4, 369.6, 522.7, 540.0, 800.0])

CATALOGUE = finish.CATALOGUE | {
    "attack_seconds": Parameter("s", "log", "rise of the metal"),
    "decay_seconds": Parameter("s", "log", "fall of the whole by 20 dB"),
    "decay_shape": Parameter("", "uniform", "below 1 lingering, 1 exponential, above 1 held and dropped"),
    "damping": Parameter("", "uniform", "how much faster high modes die: decay ~ frequency ** -damping"),
    "low_hz": Parameter("Hz", "log", "high-pass of the metal, 24 dB/octave"),
    "tone_hz": Parameter("Hz", "log", "centre of the main resonance"),
    "tone_q": Parameter("", "log", "narrowness of the main resonance"),
    "tone_db": Parameter("dB", "uniform", "height of the main resonance"),
    "squares_db": Parameter("dB", "uniform", "level of the six square waves"),
    "squares_pitch": Parameter("", "log", "their pitch relative to the TR-808's"),
    "squares_spread": Parameter("", "uniform", "how far each is detuned by chance"),
    "fm_db": Parameter("dB", "uniform", "level of the FM cluster"),
    "fm_hz": Parameter("Hz", "log", "carrier of the FM cluster"),
    "fm_ratio": Parameter("", "uniform", "modulator over carrier frequency"),
    "fm_index": Parameter("turn", "uniform", "depth of phase modulation"),
    "modes_db": Parameter("dB", "uniform", "level of the modal bank"),
    "modes": Parameter("", "log", "how many modes"),
    "modes_low_hz": Parameter("Hz", "log", "lowest mode"),
    "modes_high_hz": Parameter("Hz", "log", "highest mode"),
    "modes_width": Parameter("", "log", "how differently the modes sound at each side"),
    "noise_db": Parameter("dB", "uniform", "level of the noise"),
    "noise_decay": Parameter("", "log", "decay of the noise relative to the whole's"),
    "noise_width": Parameter("", "log", "side of the noise relative to its middle"),
    "ping_db": Parameter("dB", "uniform", "level of the bell: few, low, long modes"),
    "ping_hz": Parameter("Hz", "log", "lowest mode of the bell"),
    "stick_db": Parameter("dB", "uniform", "level of the stick's click"),
    "stick_hz": Parameter("Hz", "log", "centre of the stick's click"),
    "stick_decay_seconds": Parameter("s", "log", "fall of the click by 20 dB"),
    "thump_db": Parameter("dB", "uniform", "level of the low thump of stand and handling"),
    "thump_hz": Parameter("Hz", "log", "centre of the thump"),
    "floor_db": Parameter("dB", "uniform", "level of the low rumble of an early sampler"),
}


def metal(voice: Voice) -> NDArray[np.float32]:
    """A hat or cymbal [2, samples]."""
    layers = []
    envelope = blocks.decay(
        voice.samples,
        voice.get("decay_seconds"),
        shape=voice.get("decay_shape", 1.0),
        attack_seconds=voice.get("attack_seconds"),
    )
    if voice.has("squares_db"):
        layers.append(voice.gain("squares_db") * _shaped(voice, _squares(voice)) * envelope)
    if voice.has("fm_db"):
        layers.append(voice.gain("fm_db") * _shaped(voice, _fm(voice)) * envelope)
    if voice.has("modes_db"):
        layers.append(voice.gain("modes_db") * _shaped(voice, _modes(voice)))
    if voice.has("noise_db"):
        layers.append(voice.gain("noise_db") * _noise(voice))
    if voice.has("ping_db"):
        layers.append(voice.gain("ping_db") * _ping(voice))
    layers += _contact(voice)
    return finish.finish(voice, blocks.mix(*layers))


def _shaped(voice: Voice, audio: F64) -> F64:
    """The metal's common colour; peak 1."""
    audio = blocks.high_pass(blocks.high_pass(audio, voice.get("low_hz"), 0.54), voice.get("low_hz"), 1.31)
    audio = blocks.peak(audio, voice.get("tone_hz"), voice.get("tone_q"), voice.get("tone_db"))
    return blocks.normalised(audio)


def _squares(voice: Voice) -> F64:
    random = voice.random("squares")
    detune = 2.0 ** (voice.get("squares_spread") * random.standard_normal(SQUARES_HZ.size))
    frequencies = SQUARES_HZ * voice.get("squares_pitch") * detune / SAMPLE_RATE
    phases = random.random(SQUARES_HZ.size)
    return kernels.squares(np.minimum(frequencies, 0.2), phases, np.ones(SQUARES_HZ.size), voice.samples)


def _fm(voice: Voice) -> F64:
    """Two cross-ratio FM pairs, rendered at four times the rate because their sidebands reach far."""
    random = voice.random("fm")
    wide = kernels.accumulate(np.full(voice.samples * 4, voice.get("fm_hz") / (4 * SAMPLE_RATE)), 0.0)
    cluster = np.zeros_like(wide)
    for ratio, level in ((voice.get("fm_ratio"), 1.0), (voice.get("fm_ratio") * 1.4142, 0.8)):
        detune, first, second = random.random(3)
        carrier = wide * (1.0 + 0.37 * detune) + first
        cluster += level * blocks.sine(
            carrier + voice.get("fm_index") * blocks.sine(ratio * wide + second) / (1.0 + ratio)
        )
    return blocks.decimated(cluster, 4)


def _modes(voice: Voice) -> F64:
    """A dense inharmonic bank [sample] or [2, sample] with a decay that depends on frequency.

    A plate's modes lie evenly in Hz (its modal density is constant); chance moves each within its place.
    """
    random = voice.random("modes")
    count = round(voice.get("modes"))
    low, high = voice.get("modes_low_hz"), voice.get("modes_high_hz")
    place = (np.arange(count) + random.random(count)) / count
    frequencies = low + (high - low) * place**1.3
    # Referred to 6 kHz, about where a hat's energy lies, so that decay_seconds keeps its meaning.
    decays = voice.get("decay_seconds") * (frequencies / 6_000.0) ** -voice.get("damping")
    decays *= 0.6 + 0.8 * random.random(count)
    gains = random.rayleigh(1.0, count)
    phases = random.random(count)
    sides = voice.get("modes_width") * random.standard_normal(count) * gains
    table = np.stack([gains + sides, gains - sides]) if voice.has("modes_width") else gains
    ringing = blocks.modes(frequencies, np.minimum(decays, 4.0), table, phases, voice.samples)
    rise = max(int(voice.get("attack_seconds") * SAMPLE_RATE), 1)
    ringing[..., :rise] *= np.linspace(0.0, 1.0, rise)[
        : voice.samples
    ]  # a swell may be cut off before its height
    return ringing


def _noise(voice: Voice) -> F64:
    """Noise whose high end dies first, as in the modal bank."""
    decay_seconds = voice.get("decay_seconds") * voice.get("noise_decay")
    envelope = blocks.decay(
        voice.samples,
        decay_seconds,
        shape=voice.get("decay_shape", 1.0),
        attack_seconds=voice.get("attack_seconds"),
    )
    hiss = _shaped(voice, blocks.noise(voice, "noise", voice.get("noise_width")))
    cutoff = 20_000.0 * blocks.decay(voice.samples, decay_seconds) ** (0.8 * voice.get("damping"))
    return blocks.normalised(blocks.low_pass(hiss, np.maximum(cutoff, voice.get("low_hz"))) * envelope)


def _ping(voice: Voice) -> F64:
    random = voice.random("ping")
    ratios = np.array([1.0, 1.52, 2.41, 3.13, 4.07, 5.33]) * (0.95 + 0.1 * random.random(6))
    decays = 0.8 * voice.get("decay_seconds") / ratios**0.5
    gains = random.rayleigh(1.0, 6) / ratios**0.5
    frequencies = voice.get("ping_hz") * ratios
    return blocks.normalised(blocks.modes(frequencies, decays, gains, random.random(6), voice.samples))


def _contact(voice: Voice) -> list[F64]:
    layers = []
    if voice.has("stick_db"):
        burst = blocks.noise(voice, "stick") * blocks.decay(voice.samples, voice.get("stick_decay_seconds"))
        burst = blocks.band_pass(burst, voice.get("stick_hz"), 0.8)
        layers.append(voice.gain("stick_db") * blocks.normalised(burst))
    if voice.has("thump_db"):
        thud = blocks.noise(voice, "thump") * blocks.decay(voice.samples, 0.02, attack_seconds=0.001)
        thud = blocks.band_pass(thud, voice.get("thump_hz"), 1.2)
        layers.append(voice.gain("thump_db") * blocks.normalised(thud))
    if voice.has("floor_db"):
        rumble = blocks.normalised(blocks.low_pass(blocks.noise(voice, "floor"), 400.0))
        layers.append(voice.gain("floor_db") * rumble * blocks.decay(voice.samples, 0.3))
    return layers
