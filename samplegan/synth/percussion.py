"""Percussion: hand drums, rims, blocks, bells, cowbells, shakers, tambourines, blips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from samplegan.synth import blocks, finish, kernels, membranes
from samplegan.synth.blocks import F64, SAMPLE_RATE, Voice
from samplegan.synth.ranges import Parameter

# The two oscillators of the TR-808's cowbell, in Hz (Werner, Abel & Smith, DAFx-14).
COWBELL_HZ = np.array([540.0, 800.0])

CATALOGUE = membranes.CATALOGUE | {
    "bar_db": Parameter("dB", "uniform", "level of the bar: wood or metal"),
    "bar_hz": Parameter("Hz", "log", "lowest mode of the bar"),
    "bar_modes": Parameter("", "uniform", "how many modes the bar has (rounded)"),
    "bar_spread": Parameter("", "uniform", "ratio of neighbouring modes: 1.3 bell, 2.7 free bar"),
    "bar_tilt": Parameter("", "uniform", "level of high modes: ~ ratio ** -tilt"),
    "bar_decay_seconds": Parameter("s", "log", "fall of the lowest mode by 20 dB"),
    "bar_damping": Parameter("", "uniform", "how much faster high modes die: decay ~ ratio ** -damping"),
    "cowbell_pitch": Parameter("", "log", "pitch relative to the TR-808's cowbell"),
    "cowbell_split": Parameter("octave", "uniform", "detuning of the upper square wave"),
    "cowbell_tone": Parameter("", "log", "centre of its band-pass relative to the pitch"),
    "cowbell_decay_seconds": Parameter("s", "log", "fall of its tail by 20 dB"),
    "cowbell_db": Parameter("dB", "uniform", "level of the cowbell"),
    "hiss_db": Parameter("dB", "uniform", "level of the beads or sand"),
    "hiss_low_hz": Parameter("Hz", "log", "high-pass of the beads"),
    "hiss_hz": Parameter("Hz", "log", "resonance of the gourd"),
    "hiss_q": Parameter("", "log", "narrowness of that resonance"),
    "hiss_attack_seconds": Parameter("s", "log", "rise of the hiss: short for maracas, long for shakers"),
    "hiss_decay_seconds": Parameter("s", "log", "fall of the hiss by 20 dB"),
    "hiss_grain": Parameter("", "uniform", "0 smooth, 1 single grains"),
    "hiss_width": Parameter("", "log", "side of the hiss relative to its middle"),
    "jingle_db": Parameter("dB", "uniform", "level of the jingles"),
    "jingle_hz": Parameter("Hz", "log", "lowest mode of the jingles"),
    "jingle_decay_seconds": Parameter("s", "log", "fall of a jingle by 20 dB"),
    "jingle_hits": Parameter("", "uniform", "how often the jingles strike (rounded)"),
}


def perc(voice: Voice) -> NDArray[np.float32]:
    """A percussion sound [2, samples]."""
    layers = [membranes.strike(voice)] if voice.has("pitch_hz") else membranes.contact(voice)
    for name, layer in (
        ("bar_db", _bar),
        ("cowbell_db", _cowbell),
        ("hiss_db", _hiss),
        ("jingle_db", _jingles),
    ):
        if voice.has(name):
            layers.append(voice.gain(name) * blocks.normalised(layer(voice)))
    return finish.finish(voice, blocks.mix(*layers))


def _bar(voice: Voice) -> F64:
    random = voice.random("bar")
    count = max(round(voice.get("bar_modes")), 1)
    ratios = voice.get("bar_spread") ** np.arange(count) * (1.0 + 0.08 * (random.random(count) - 0.5))
    ratios /= ratios[0]
    decays = voice.get("bar_decay_seconds") * ratios ** -voice.get("bar_damping")
    gains = (0.4 + random.random(count)) * ratios ** -voice.get("bar_tilt")
    return blocks.modes(
        voice.get("bar_hz") * ratios, decays, gains, 0.25 * random.random(count), voice.samples
    )


def _cowbell(voice: Voice) -> F64:
    """Two square waves through a band-pass, with a short peak before the tail."""
    frequencies = COWBELL_HZ * voice.get("cowbell_pitch") * 2.0 ** np.array([0.0, voice.get("cowbell_split")])
    waves = kernels.squares(frequencies / SAMPLE_RATE, np.array([0.0, 0.3]), np.ones(2), voice.samples)
    waves = blocks.band_pass(waves, frequencies.mean() * voice.get("cowbell_tone"), 1.2)
    tail = blocks.decay(voice.samples, voice.get("cowbell_decay_seconds"), attack_seconds=0.0003)
    return waves * (0.5 * blocks.decay(voice.samples, 0.02) + 0.5 * tail)


def _hiss(voice: Voice) -> F64:
    hiss = blocks.noise(voice, "hiss", voice.get("hiss_width"))
    if voice.has("hiss_grain"):
        # Single beads: most samples are held back, the rest are louder.
        heard = voice.random("grain").random(voice.samples) < 0.5 ** (6.0 * voice.get("hiss_grain"))
        hiss = hiss * heard
    hiss = blocks.high_pass(hiss, voice.get("hiss_low_hz"))
    hiss = blocks.peak(hiss, voice.get("hiss_hz"), voice.get("hiss_q"), 12.0)
    return hiss * blocks.decay(
        voice.samples, voice.get("hiss_decay_seconds"), attack_seconds=voice.get("hiss_attack_seconds")
    )


def _jingles(voice: Voice) -> F64:
    """Small plates struck several times within a moment, each time a little differently."""
    random = voice.random("jingles")
    out = np.zeros(voice.samples)
    start = 0
    for hit in range(max(round(voice.get("jingle_hits")), 1)):
        count = 24
        frequencies = voice.get("jingle_hz") * (1.0 + 3.0 * random.random(count))
        decays = voice.get("jingle_decay_seconds") * (0.5 + random.random(count))
        gains = random.rayleigh(0.6**hit, count)
        left = voice.samples - start
        out[start:] += blocks.modes(frequencies, decays, gains, random.random(count), left)
        start = min(start + int((0.008 + 0.05 * random.random()) * SAMPLE_RATE), voice.samples - 1)
    return out
