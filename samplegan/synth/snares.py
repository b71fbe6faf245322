"""Snares and claps: a tuned head under rattling wires, and bursts of hands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from samplegan.synth import blocks, finish
from samplegan.synth.blocks import F64, Voice
from samplegan.synth.membranes import CATALOGUE as HEAD
from samplegan.synth.membranes import contact
from samplegan.synth.ranges import Parameter

CATALOGUE = HEAD | {
    "head_db": Parameter("dB", "uniform", "level of the head's tones"),
    "head_ratio": Parameter("", "uniform", "second head tone over the first"),
    "head_second_db": Parameter("dB", "uniform", "second head tone against the first"),
    "shell_db": Parameter("dB", "uniform", "level of a bank of shell and rim modes"),
    "shell_modes": Parameter("", "log", "how many shell modes"),
    "shell_low_hz": Parameter("Hz", "log", "lowest shell mode"),
    "shell_high_hz": Parameter("Hz", "log", "highest shell mode"),
    "shell_decay_seconds": Parameter("s", "log", "fall of the lowest shell mode by 20 dB"),
    "wires_db": Parameter("dB", "uniform", "level of the wires (noise)"),
    "wires_low_hz": Parameter("Hz", "log", "high-pass of the wires"),
    "wires_high_hz": Parameter("Hz", "log", "low-pass of the wires at first"),
    "wires_darkening": Parameter("octave", "uniform", "fall of that low-pass while the wires fade"),
    "wires_decay_seconds": Parameter("s", "log", "fall of the wires by 20 dB"),
    "wires_decay_shape": Parameter(
        "", "uniform", "below 1 lingering, 1 exponential, above 1 held and dropped"
    ),
    "wires_hz": Parameter("Hz", "log", "centre of the wires' main resonance"),
    "wires_peak_db": Parameter("dB", "uniform", "height of the wires' resonances"),
    "wires_rattle": Parameter("", "uniform", "how far the head's motion gates the wires at first"),
    "wires_width": Parameter("", "log", "side of the wires relative to their middle"),
    "tail_db": Parameter("dB", "uniform", "level of a second, longer noise under the first"),
    "tail_decay": Parameter("", "log", "its decay relative to the first noise's"),
    "bursts": Parameter("", "uniform", "number of bursts before the last, longest one (rounded)"),
    "burst_seconds": Parameter("s", "log", "mean distance of the bursts"),
    "burst_jitter": Parameter("", "uniform", "how unevenly the bursts are spaced"),
    "burst_decay_seconds": Parameter("s", "log", "fall of a single burst by 20 dB"),
    "burst_db": Parameter("dB", "uniform", "level of the bursts against the tail"),
}


def clap(voice: Voice) -> NDArray[np.float32]:
    """A clap [2, samples]."""
    layers = [_wires(voice, np.zeros(voice.samples))]
    if voice.has("shell_db"):
        layers.append(_shell(voice))
    return finish.finish(voice, blocks.mix(*layers))


def snare(voice: Voice) -> NDArray[np.float32]:
    """A snare [2, samples]."""
    motion, head = _head(voice)
    layers = [head, *contact(voice)]
    if voice.has("shell_db"):
        layers.append(_shell(voice))
    layers.append(_wires(voice, motion))
    return finish.finish(voice, blocks.mix(*layers))


def _head(voice: Voice) -> tuple[F64, F64]:
    """The head's motion (its first tone, level 1) and its sound [sample]."""
    phase = blocks.sweep(
        voice.samples,
        voice.get("pitch_hz"),
        (voice.get("sweep_octaves"), voice.get("sweep_seconds")),
        start_turns=voice.get("start_turns"),
    )
    if voice.has("fm_index"):
        depth = voice.get("fm_index") * blocks.decay(voice.samples, voice.get("fm_decay_seconds"))
        phase = phase + depth * blocks.sine(voice.get("fm_ratio") * phase)
    shape, attack = voice.get("decay_shape", 1.0), voice.get("attack_seconds")
    first = blocks.decay(voice.samples, voice.get("decay_seconds"), shape=shape, attack_seconds=attack)
    second = blocks.decay(voice.samples, 0.7 * voice.get("decay_seconds"), shape=shape, attack_seconds=attack)
    motion = blocks.sine(phase) * first
    other = blocks.sine(voice.get("head_ratio") * phase) * second
    return motion, voice.gain("head_db") * (motion + voice.gain("head_second_db") * other)


def _shell(voice: Voice) -> F64:
    """Modes of shell and rim, spread evenly in octaves with chance detuning; the high ones die first."""
    random = voice.random("shell")
    count = round(voice.get("shell_modes"))
    low, high = voice.get("shell_low_hz"), voice.get("shell_high_hz")
    place = (np.arange(count) + random.random(count)) / count
    frequencies = low * (high / low) ** place
    decays = voice.get("shell_decay_seconds") * (0.5 + random.random(count)) * (low / frequencies) ** 0.5
    gains = random.rayleigh(1.0, count) * (low / frequencies) ** 0.4
    ringing = blocks.modes(frequencies, decays, gains, random.random(count), voice.samples)
    return voice.gain("shell_db") * blocks.normalised(ringing)


def _wires(voice: Voice, motion: F64) -> F64:
    envelope = blocks.decay(
        voice.samples,
        voice.get("wires_decay_seconds"),
        shape=voice.get("wires_decay_shape", 1.0),
        attack_seconds=0.001,
    )
    darkening = blocks.decay(voice.samples, voice.get("wires_decay_seconds") * 1.5)
    if voice.has("tail_db"):
        slow = voice.get("wires_decay_seconds") * voice.get("tail_decay")
        envelope = envelope + voice.gain("tail_db") * blocks.decay(voice.samples, slow, attack_seconds=0.01)
    if voice.has("wires_rattle"):
        # The wires leave the head and strike it again once per cycle, until it moves too little.
        envelope = envelope * (1.0 - voice.get("wires_rattle") * np.clip(-2.0 * motion, 0.0, 1.0))
    if voice.has("burst_db"):
        envelope = bursts(voice, envelope)
    cutoff = voice.get("wires_high_hz") * 2.0 ** (-voice.get("wires_darkening") * (1.0 - darkening))
    hiss = blocks.noise(voice, "wires", voice.get("wires_width"))
    hiss = blocks.high_pass(blocks.low_pass(hiss, cutoff), voice.get("wires_low_hz"))
    random = voice.random("resonances")
    for octave, share in ((0.0, 1.0), (0.9, 0.6), (-0.8, 0.5)):
        centre = voice.get("wires_hz") * 2.0 ** (octave + 0.4 * (random.random() - 0.5))
        height = voice.get("wires_peak_db") * share * (0.5 + random.random())
        hiss = blocks.peak(hiss, centre, 1.0 + 2.0 * random.random(), height)
    return voice.gain("wires_db") * blocks.normalised(hiss * envelope)


def bursts(voice: Voice, last: F64) -> F64:
    """An envelope [sample] of short bursts and then `last`, as of several hands that miss each other."""
    random = voice.random("bursts")
    short = blocks.decay(voice.samples, voice.get("burst_decay_seconds"), attack_seconds=0.0003)
    out = np.zeros(voice.samples)
    start = 0.0
    for _ in range(round(voice.get("bursts"))):
        level = voice.gain("burst_db") * (0.7 + 0.3 * random.random())
        _add_at(out, level * short, start)
        start += voice.get("burst_seconds") * (
            1.0 + voice.get("burst_jitter") * (2.0 * random.random() - 1.0)
        )
    _add_at(out, last, start)
    return out


def _add_at(out: F64, part: F64, start_seconds: float) -> None:
    first = min(int(start_seconds * blocks.SAMPLE_RATE), out.size)
    out[first:] += part[: out.size - first]
