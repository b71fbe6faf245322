"""Kicks and toms: a swept body, the partials of its head, a click, noise of beater and shell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from samplegan.synth import blocks, finish
from samplegan.synth.blocks import F64, Voice
from samplegan.synth.ranges import Parameter

# Modes of an ideal circular membrane: zeros of Bessel functions (Fletcher & Rossing, 1998, ch. 3).
HEAD_RATIOS = (1.594, 2.136, 2.296, 2.653, 2.918, 3.156, 3.501, 3.600, 4.060)

CATALOGUE = finish.CATALOGUE | {
    "pitch_hz": Parameter("Hz", "log", "fundamental on which the sweep lands"),
    "sweep_octaves": Parameter("octave", "uniform", "height of the fast sweep above the fundamental"),
    "sweep_seconds": Parameter("s", "log", "time constant of the fast sweep"),
    "droop_octaves": Parameter("octave", "uniform", "height of the slow sweep"),
    "droop_seconds": Parameter("s", "log", "time constant of the slow sweep"),
    "start_turns": Parameter("turn", "uniform", "starting phase: 0 is soft, 0.25 a click"),
    "attack_seconds": Parameter("s", "log", "rise of the body"),
    "decay_seconds": Parameter("s", "log", "time in which the body falls by 20 dB"),
    "decay_shape": Parameter("", "uniform", "below 1 lingering, 1 exponential, above 1 held and dropped"),
    "beat_db": Parameter("dB", "uniform", "level of the body's twin: no head is tuned evenly"),
    "beat_hz": Parameter("Hz", "log", "how far above the body it is tuned: it beats so often"),
    "harmonic_db": Parameter("dB", "uniform", "level of the body's own octave and twelfth"),
    "harmonic_decay": Parameter("", "log", "decay of the overtones relative to the body's"),
    "head_db": Parameter("dB", "uniform", "level of the head's inharmonic modes"),
    "head_decay": Parameter("", "log", "decay of the head modes relative to the body's"),
    "fm_index": Parameter("turn", "log", "depth of phase modulation"),
    "fm_ratio": Parameter("", "uniform", "modulator over carrier frequency"),
    "fm_decay_seconds": Parameter("s", "log", "fall of the modulation by 20 dB"),
    "click_db": Parameter("dB", "uniform", "level of a burst of band-passed noise"),
    "click_hz": Parameter("Hz", "log", "centre of the click"),
    "click_q": Parameter("", "log", "narrowness of the click"),
    "click_decay_seconds": Parameter("s", "log", "fall of the click by 20 dB"),
    "blip_db": Parameter("dB", "uniform", "level of a short high sine"),
    "blip_hz": Parameter("Hz", "log", "pitch of the blip"),
    "blip_decay_seconds": Parameter("s", "log", "fall of the blip by 20 dB"),
    "noise_db": Parameter("dB", "uniform", "level of low-passed noise: beater, shell, air"),
    "noise_hz": Parameter("Hz", "log", "cutoff of the noise at first; it falls to a quarter"),
    "noise_decay_seconds": Parameter("s", "log", "fall of the noise by 20 dB"),
    "sub_db": Parameter("dB", "uniform", "level of a steady sine at the fundamental below the body"),
}


def tom(voice: Voice) -> NDArray[np.float32]:
    """A tom [2, samples]."""
    return finish.finish(voice, strike(voice))


def kick(voice: Voice) -> NDArray[np.float32]:
    """A kick [2, samples]."""
    return finish.finish(voice, strike(voice))


def strike(voice: Voice) -> F64:
    """The dry sound [sample] of a struck head: what kicks and toms have in common."""
    phase = blocks.sweep(
        voice.samples,
        voice.get("pitch_hz"),
        (voice.get("sweep_octaves"), voice.get("sweep_seconds")),
        (voice.get("droop_octaves"), voice.get("droop_seconds")),
        start_turns=voice.get("start_turns"),
    )
    layers = [_body(voice, phase), *_overtones(voice, phase)]
    if voice.has("sub_db"):
        steady = blocks.sweep(voice.samples, voice.get("pitch_hz"), start_turns=voice.get("start_turns"))
        layers.append(voice.gain("sub_db") * blocks.sine(steady) * _envelope(voice, 1.0))
    layers += contact(voice)
    return blocks.mix(*layers)


def _envelope(voice: Voice, relative_decay: float) -> F64:
    return blocks.decay(
        voice.samples,
        voice.get("decay_seconds") * relative_decay,
        shape=voice.get("decay_shape", 1.0),
        attack_seconds=voice.get("attack_seconds"),
    )


def _body(voice: Voice, phase: F64) -> F64:
    turns = phase
    if voice.has("fm_index"):
        depth = voice.get("fm_index") * blocks.decay(voice.samples, voice.get("fm_decay_seconds"))
        turns = phase + depth * blocks.sine(voice.get("fm_ratio") * phase)
    return blocks.sine(turns) * _envelope(voice, 1.0)


def _overtones(voice: Voice, phase: F64) -> list[F64]:
    """The body's twin, harmonics of the oscillator, and modes of the head; all follow the body's sweep."""
    layers = []
    if voice.has("beat_db"):
        twin = phase + voice.get("beat_hz") * blocks.seconds(voice.samples)
        layers.append(voice.gain("beat_db") * blocks.sine(twin) * _envelope(voice, 1.0))
    if voice.has("harmonic_db"):
        for ratio, level in ((2.0, 1.0), (3.0, 0.6)):
            envelope = _envelope(voice, voice.get("harmonic_decay") / np.sqrt(ratio))
            layers.append(voice.gain("harmonic_db") * level * blocks.sine(ratio * phase) * envelope)
    if voice.has("head_db"):
        random = voice.random("head")
        for ratio in HEAD_RATIOS:
            level, detune, start = random.random(3)
            # Higher modes are struck less and damped more; the strike's place decides which ones speak.
            turns = ratio * (0.94 + 0.12 * detune) * phase + 0.25 * start
            envelope = _envelope(voice, voice.get("head_decay") / ratio**0.7)
            gain = voice.gain("head_db") * (0.25 + level) / ratio**0.5
            layers.append(gain * blocks.sine(turns) * envelope)
    return layers


def contact(voice: Voice) -> list[F64]:
    """What beater or stick adds: a click, a blip, and noise that darkens as it fades."""
    layers = []
    if voice.has("click_db"):
        short = blocks.decay(voice.samples, voice.get("click_decay_seconds"))
        burst = blocks.band_pass(
            blocks.noise(voice, "click") * short, voice.get("click_hz"), voice.get("click_q", 0.7)
        )
        layers.append(voice.gain("click_db") * blocks.normalised(burst))
    if voice.has("blip_db"):
        tone = blocks.sweep(voice.samples, voice.get("blip_hz"), (0.5, 0.001), start_turns=0.1)
        layers.append(
            voice.gain("blip_db")
            * blocks.sine(tone)
            * blocks.decay(voice.samples, voice.get("blip_decay_seconds"))
        )
    if voice.has("noise_db"):
        fading = blocks.decay(voice.samples, voice.get("noise_decay_seconds"), attack_seconds=0.0005)
        cutoff = voice.get("noise_hz") * (0.25 + 0.75 * fading)
        air = blocks.low_pass(blocks.noise(voice, "noise") * fading, cutoff)
        layers.append(voice.gain("noise_db") * blocks.normalised(air))
    return layers
