"""Snares and claps: a tuned head under rattling wires, and bursts of hands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from samplegan.synth import blocks, finish
from samplegan.synth.blocks import F64, Voice
from samplegan.synth.membranes import CATALOGUE as HEAD
from samplegan.synth.membranes import contact
from samplegan.synth.ranges import Bounds, Parameter, styles

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

_SNARE: dict[str, Bounds] = finish.USUAL | {
    "pitch_hz": (120.0, 265.0),
    "sweep_octaves": (0.0, 1.0),
    "sweep_seconds": (0.004, 0.025),
    "start_turns": (0.0, 0.25),
    "attack_seconds": (0.0001, 0.001),
    "decay_seconds": (0.03, 0.15),
    "decay_shape": (0.85, 1.3),
    "head_db": (-9.0, 2.0),
    "head_ratio": (1.45, 2.0),
    "head_second_db": (-16.0, 0.0),
    "wires_db": (-10.0, 2.0),
    "wires_low_hz": (300.0, 2_000.0),
    "wires_high_hz": (7_000.0, 20_000.0),
    "wires_darkening": (0.0, 1.6),
    "wires_decay_seconds": (0.06, 0.32),
    "wires_decay_shape": (0.7, 1.2),
    "wires_hz": (900.0, 8_000.0),
    "wires_peak_db": (0.0, 9.0),
    "wires_width": (0.02, 0.4, 0.2),
    "tail_db": (-26.0, -12.0, 0.4),
    "tail_decay": (1.6, 3.5),
    "click_db": (-24.0, -6.0, 0.7),
    "click_hz": (1_200.0, 8_000.0),
    "click_q": (0.5, 2.0),
    "click_decay_seconds": (0.001, 0.01),
    "drive_db": (-3.0, 12.0, 0.5),
    "highpass_hz": (40.0, 180.0, 0.5),
    "gate_db": (-62.0, -32.0, 0.3),
}
_SHELL: dict[str, Bounds] = {
    "shell_db": (-22.0, -6.0),
    "shell_modes": (14.0, 50.0),
    "shell_low_hz": (330.0, 700.0),
    "shell_high_hz": (2_500.0, 8_000.0),
    "shell_decay_seconds": (0.015, 0.08),
}

SNARE = styles(
    CATALOGUE,
    {
        "analog": (
            1.5,
            _SNARE
            | {
                "pitch_hz": (135.0, 245.0),
                "sweep_octaves": (0.0, 0.5),
                "wires_low_hz": (700.0, 3_500.0),
                "wires_darkening": (0.0, 0.6),
                "wires_peak_db": (0.0, 4.0),
                "crush_bits": (9.0, 12.0, 0.05),
                "room_db": (-32.0, -18.0, 0.15),
            },
        ),
        "acoustic": (
            2.6,
            _SNARE
            | _SHELL
            | {
                "wires_rattle": (0.0, 0.9),
                "wires_low_hz": (250.0, 1_500.0),
                "wires_peak_db": (2.0, 10.0),
                "room_db": (-26.0, -8.0, 0.6),
            },
        ),
        "punch": (
            1.6,
            _SNARE
            | {
                "pitch_hz": (140.0, 240.0),
                "sweep_octaves": (0.5, 1.7),
                "sweep_seconds": (0.006, 0.03),
                "head_db": (-6.0, 2.0),
                "wires_db": (-9.0, 2.0),
                "wires_decay_shape": (0.8, 1.8),
                "drive_db": (0.0, 14.0, 0.8),
            },
        ),
        "fm": (
            0.7,
            _SNARE
            | {
                "pitch_hz": (150.0, 420.0),
                "fm_index": (0.1, 1.2),
                "fm_ratio": (0.7, 4.7),
                "fm_decay_seconds": (0.02, 0.12),
                "wires_db": (-9.0, 2.0),
            },
        ),
        "noise": (
            0.9,
            _SNARE
            | {
                "head_db": (-26.0, -10.0),
                "wires_db": (0.0, 0.0),
                "wires_low_hz": (150.0, 2_500.0),
                "wires_decay_shape": (0.6, 2.0),
                "crush_bits": (6.5, 11.0, 0.3),
            },
        ),
        "rim": (
            0.9,
            _SNARE
            | _SHELL
            | {
                "pitch_hz": (170.0, 420.0),
                "shell_db": (-8.0, 2.0),
                "shell_modes": (5.0, 18.0),
                "shell_decay_seconds": (0.015, 0.09),
                "wires_db": (-12.0, 0.0),
                "click_db": (-10.0, 0.0),
                "click_decay_seconds": (0.001, 0.006),
            },
        ),
        "clap": (
            0.6,
            _SNARE
            | {
                "bursts": (2.0, 4.0),
                "burst_seconds": (0.007, 0.014),
                "burst_jitter": (0.0, 0.3),
                "burst_decay_seconds": (0.005, 0.02),
                "burst_db": (-8.0, 2.0),
                "wires_hz": (900.0, 2_200.0),
                "wires_peak_db": (4.0, 12.0),
            },
        ),
        "dark": (
            1.2,
            _SNARE
            | _SHELL
            | {
                "pitch_hz": (120.0, 220.0),
                "shell_db": (-26.0, -10.0),
                "head_db": (-8.0, 2.0),
                "wires_db": (-9.0, 2.0),
                "wires_low_hz": (200.0, 900.0),
                "wires_high_hz": (3_500.0, 12_000.0),
                "lowpass_hz": (3_500.0, 11_000.0, 0.7),
                "crush_bits": (6.5, 11.0, 0.4),
                "crush_rate_hz": (11_000.0, 30_000.0),
            },
        ),
    },
)


_CLAP: dict[str, Bounds] = finish.USUAL | {
    "wires_db": (0.0, 0.0),
    "wires_low_hz": (220.0, 850.0),
    "wires_high_hz": (3_500.0, 11_000.0),
    "wires_darkening": (0.0, 1.2),
    "wires_decay_seconds": (0.03, 0.11),
    "wires_decay_shape": (0.7, 1.3),
    "wires_hz": (700.0, 1_450.0),
    "wires_peak_db": (6.0, 16.0),
    "wires_width": (0.02, 0.4, 0.15),
    "tail_db": (-26.0, -10.0, 0.8),
    "tail_decay": (1.8, 4.5),
    "bursts": (2.0, 4.49),
    "burst_seconds": (0.007, 0.0125),
    "burst_jitter": (0.0, 0.3),
    "burst_decay_seconds": (0.004, 0.016),
    "burst_db": (-7.0, 2.0),
    "drive_db": (-3.0, 10.0, 0.3),
    "room_db": (-28.0, -10.0, 0.2),
    "highpass_hz": (60.0, 300.0, 0.4),
    "gate_db": (-58.0, -28.0, 0.45),
}

CLAP = styles(
    CATALOGUE,
    {
        "analog": (2.0, _CLAP | {"crush_bits": (9.0, 12.0, 0.05), "burst_jitter": (0.0, 0.1)}),
        "hands": (
            1.2,
            _CLAP
            | {
                "bursts": (3.0, 7.49),
                "burst_seconds": (0.004, 0.012),
                "burst_jitter": (0.3, 0.9),
                "wires_decay_seconds": (0.015, 0.07),
                "room_db": (-20.0, -4.0, 0.7),
                "room_seconds": (0.04, 0.3),
            },
        ),
        "dense": (
            1.0,
            _CLAP
            | {
                "bursts": (4.0, 9.49),
                "burst_seconds": (0.003, 0.007),
                "burst_decay_seconds": (0.008, 0.03),
                "drive_db": (0.0, 14.0),
            },
        ),
        "single": (0.5, _CLAP | {"bursts": (0.0, 1.49), "wires_decay_seconds": (0.04, 0.16)}),
        "body": (
            0.6,
            _CLAP
            | {
                "shell_db": (-16.0, -4.0),
                "shell_modes": (6.0, 20.0),
                "shell_low_hz": (300.0, 900.0),
                "shell_high_hz": (1_500.0, 4_000.0),
                "shell_decay_seconds": (0.01, 0.04),
            },
        ),
        "digital": (
            0.8,
            _CLAP
            | {
                "wires_hz": (800.0, 2_600.0),
                "crush_bits": (5.5, 9.0),
                "crush_rate_hz": (11_000.0, 30_000.0),
            },
        ),
    },
)


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
