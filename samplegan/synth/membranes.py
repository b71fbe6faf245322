"""Kicks and toms: a swept body, the partials of its head, a click, noise of beater and shell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from samplegan.synth import blocks, finish
from samplegan.synth.blocks import F64, Voice
from samplegan.synth.ranges import Bounds, Parameter, styles

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

_KICK: dict[str, Bounds] = finish.USUAL | {
    "pitch_hz": (34.0, 84.0),
    "sweep_octaves": (1.0, 3.5),
    "sweep_seconds": (0.003, 0.022),
    "droop_octaves": (0.0, 0.8),
    "droop_seconds": (0.03, 0.15),
    "start_turns": (0.0, 0.2),
    "attack_seconds": (0.0002, 0.008),
    "decay_seconds": (0.06, 0.36),
    "decay_shape": (0.9, 1.6),
    "room_db": (-30.0, -14.0, 0.3),
    "room_spread": (0.06, 0.5),
    "lowpass_hz": (6_000.0, 20_000.0, 0.4),
    "gate_db": (-62.0, -32.0, 0.25),
}

KICK = styles(
    CATALOGUE,
    {
        "analog": (
            1.6,
            _KICK
            | {
                "pitch_hz": (34.0, 66.0),
                "sweep_octaves": (0.4, 2.2),
                "sweep_seconds": (0.004, 0.02),
                "droop_octaves": (0.0, 0.35),
                "decay_seconds": (0.1, 0.8),
                "decay_shape": (0.9, 1.25),
                "click_db": (-34.0, -8.0, 0.85),
                "click_hz": (900.0, 5_000.0),
                "click_q": (0.5, 1.5),
                "click_decay_seconds": (0.001, 0.006),
                "harmonic_db": (-45.0, -20.0, 0.5),
                "harmonic_decay": (0.3, 0.9),
                "room_db": (-40.0, -28.0, 0.12),
                "lowpass_hz": (2_000.0, 18_000.0, 0.5),
                "crush_bits": (9.0, 12.0, 0.05),
            },
        ),
        "punch": (
            1.8,
            _KICK
            | {
                "pitch_hz": (40.0, 70.0),
                "sweep_octaves": (1.2, 3.2),
                "sweep_seconds": (0.005, 0.03),
                "decay_seconds": (0.06, 0.3),
                "decay_shape": (1.0, 1.8),
                "click_db": (-20.0, 1.0),
                "click_hz": (1_500.0, 8_000.0),
                "click_q": (0.5, 1.5),
                "click_decay_seconds": (0.001, 0.012),
                "noise_db": (-32.0, -9.0, 0.85),
                "noise_hz": (2_000.0, 14_000.0),
                "noise_decay_seconds": (0.015, 0.12),
                "drive_db": (-3.0, 12.0, 0.8),
            },
        ),
        "acoustic": (
            3.6,
            _KICK
            | {
                "pitch_hz": (40.0, 100.0),
                "sweep_octaves": (0.0, 1.2),
                "sweep_seconds": (0.004, 0.025),
                "droop_octaves": (0.0, 0.3),
                "decay_seconds": (0.03, 0.2),
                "decay_shape": (0.7, 1.15),
                "head_db": (-26.0, -7.0),
                "head_decay": (0.15, 0.6),
                "click_db": (-16.0, 4.0),
                "click_hz": (1_500.0, 9_000.0),
                "click_q": (0.5, 2.0),
                "click_decay_seconds": (0.002, 0.014),
                "noise_db": (-26.0, -3.0),
                "noise_hz": (1_500.0, 14_000.0),
                "noise_decay_seconds": (0.03, 0.22),
                "presence_db": (-10.0, 8.0, 0.8),
                "presence_hz": (250.0, 4_500.0),
                "room_db": (-26.0, -9.0, 0.5),
                "gate_db": (-62.0, -32.0, 0.45),
            },
        ),
        "fm": (
            0.8,
            _KICK
            | {
                "fm_index": (0.05, 0.6),
                "fm_ratio": (0.5, 3.5),
                "fm_decay_seconds": (0.01, 0.12),
                "sweep_octaves": (0.8, 3.0),
                "decay_seconds": (0.1, 0.4),
                "click_db": (-26.0, -6.0, 0.7),
                "click_hz": (1_500.0, 7_000.0),
                "click_q": (0.5, 1.5),
                "click_decay_seconds": (0.001, 0.006),
            },
        ),
        "hard": (
            1.0,
            _KICK
            | {
                "pitch_hz": (38.0, 70.0),
                "sweep_octaves": (1.5, 4.5),
                "sweep_seconds": (0.006, 0.04),
                "droop_octaves": (0.1, 1.4),
                "droop_seconds": (0.04, 0.2),
                "decay_seconds": (0.12, 0.45),
                "decay_shape": (1.1, 3.0),
                "drive_db": (6.0, 24.0),
                "clip_db": (0.5, 8.0, 0.5),
                "click_db": (-22.0, -3.0, 0.7),
                "click_hz": (1_500.0, 7_000.0),
                "click_q": (0.5, 1.5),
                "click_decay_seconds": (0.001, 0.008),
                "lowpass_hz": (2_500.0, 18_000.0, 0.7),
            },
        ),
        "layered": (
            1.4,
            _KICK
            | {
                "sub_db": (-9.0, 0.0),
                "sweep_octaves": (1.5, 4.0),
                "sweep_seconds": (0.005, 0.03),
                "head_db": (-34.0, -14.0, 0.6),
                "head_decay": (0.15, 0.6),
                "blip_db": (-28.0, -8.0, 0.6),
                "blip_hz": (600.0, 5_000.0),
                "blip_decay_seconds": (0.001, 0.008),
                "click_db": (-18.0, 1.0, 0.9),
                "click_hz": (1_500.0, 9_000.0),
                "click_q": (0.5, 1.5),
                "click_decay_seconds": (0.002, 0.015),
                "noise_db": (-34.0, -10.0, 0.8),
                "noise_hz": (2_500.0, 15_000.0),
                "noise_decay_seconds": (0.01, 0.12),
            },
        ),
        "dark": (
            1.2,
            _KICK
            | {
                "pitch_hz": (38.0, 74.0),
                "sweep_octaves": (0.4, 2.2),
                "head_db": (-30.0, -10.0, 0.5),
                "head_decay": (0.2, 0.7),
                "noise_db": (-32.0, -10.0, 0.8),
                "noise_hz": (600.0, 5_000.0),
                "noise_decay_seconds": (0.02, 0.15),
                "lowpass_hz": (350.0, 4_500.0),
                "crush_bits": (6.5, 11.0, 0.4),
                "crush_rate_hz": (9_000.0, 26_000.0),
            },
        ),
    },
)


_TOM: dict[str, Bounds] = finish.USUAL | {
    "pitch_hz": (66.0, 215.0),
    "sweep_octaves": (0.1, 1.1),
    "sweep_seconds": (0.005, 0.05),
    "droop_octaves": (0.0, 0.4),
    "droop_seconds": (0.05, 0.3),
    "start_turns": (0.0, 0.25),
    "attack_seconds": (0.0002, 0.004),
    "decay_seconds": (0.07, 0.6),
    "decay_shape": (0.65, 1.15),
    "click_db": (-13.0, 6.0, 0.9),
    "click_hz": (900.0, 6_000.0),
    "click_q": (0.5, 2.0),
    "click_decay_seconds": (0.002, 0.02),
    "noise_db": (-24.0, -2.0, 0.85),
    "noise_hz": (2_500.0, 16_000.0),
    "noise_decay_seconds": (0.03, 0.4),
    "room_db": (-24.0, -8.0, 0.25),
    "room_seconds": (0.03, 0.4),
    "gate_db": (-58.0, -28.0, 0.45),
    "drive_db": (-6.0, 8.0, 0.4),
    "lowpass_hz": (7_000.0, 21_000.0, 0.35),
}

TOM = styles(
    CATALOGUE,
    {
        "analog": (
            1.3,
            _TOM
            | {
                "sweep_octaves": (0.05, 0.7),
                "sweep_seconds": (0.01, 0.08),
                "click_db": (-26.0, -3.0, 0.8),
                "noise_db": (-34.0, -12.0, 0.8),
                "noise_hz": (800.0, 7_000.0),
            },
        ),
        "acoustic": (
            3.0,
            _TOM
            | {
                "head_db": (-12.0, 3.0),
                "head_decay": (0.2, 1.2),
                "noise_db": (-20.0, 1.0),
                "decay_shape": (0.55, 1.05),
                "room_db": (-24.0, -6.0, 0.5),
            },
        ),
        "punch": (
            1.2,
            _TOM
            | {
                "sweep_octaves": (0.5, 1.8),
                "sweep_seconds": (0.015, 0.07),
                "droop_octaves": (0.1, 0.7),
                "head_db": (-20.0, -6.0, 0.7),
                "head_decay": (0.2, 0.9),
                "decay_shape": (0.85, 1.4),
                "drive_db": (-3.0, 10.0, 0.8),
            },
        ),
        "ringing": (
            0.8,
            _TOM
            | {
                "pitch_hz": (90.0, 300.0),
                "harmonic_db": (-30.0, -8.0),
                "harmonic_decay": (0.4, 1.2),
                "head_db": (-24.0, -6.0),
                "head_decay": (0.3, 1.2),
                "decay_seconds": (0.25, 1.0),
            },
        ),
        "fm": (
            0.6,
            _TOM
            | {
                "sweep_octaves": (0.3, 2.0),
                "sweep_seconds": (0.02, 0.15),
                "fm_index": (0.05, 0.5),
                "fm_ratio": (0.5, 3.5),
                "fm_decay_seconds": (0.03, 0.2),
            },
        ),
        "dark": (
            0.9,
            _TOM
            | {
                "pitch_hz": (60.0, 160.0),
                "head_db": (-20.0, -4.0),
                "head_decay": (0.2, 0.8),
                "lowpass_hz": (1_000.0, 7_000.0),
                "crush_bits": (6.5, 11.0, 0.4),
                "crush_rate_hz": (9_000.0, 26_000.0),
            },
        ),
    },
)


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
    """Harmonics of the oscillator and modes of the head; both follow the body's sweep."""
    layers = []
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
