"""What every drum goes through at the end: colour, old samplers, room, gate, and a clean start and end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from samplegan.synth import blocks
from samplegan.synth.blocks import F64, SAMPLE_RATE, Voice
from samplegan.synth.ranges import Parameter

# A graphic equaliser: bells so wide that together they are flat where all have one gain.
EQUALISER_HZ = {
    "bass_db": 110.0,
    "low_middle_db": 350.0,
    "middle_db": 1_100.0,
    "high_middle_db": 3_500.0,
    "treble_db": 11_000.0,
}
EQUALISER_Q = 0.8

CATALOGUE = {
    "drive_db": Parameter("dB", "uniform", "gain into a tanh; absent: clean"),
    "drive_asymmetry": Parameter("", "uniform", "bias of the tanh: even harmonics"),
    "clip_db": Parameter("dB", "uniform", "gain into a hard ceiling"),
    "presence_db": Parameter("dB", "uniform", "bell at presence_hz"),
    "presence_hz": Parameter("Hz", "log", "centre of the presence bell"),
    **{
        name: Parameter("dB", "uniform", f"bell at {hertz:g} Hz of a graphic equaliser")
        for name, hertz in EQUALISER_HZ.items()
    },
    "lowpass_hz": Parameter("Hz", "log", "final low-pass, 24 dB/octave"),
    "highpass_hz": Parameter("Hz", "log", "final high-pass, 12 dB/octave"),
    "crush_bits": Parameter("bit", "uniform", "word length of an early sampler"),
    "crush_rate_hz": Parameter("Hz", "log", "sample rate of an early sampler"),
    "room_db": Parameter("dB", "uniform", "energy of the room against the dry sound"),
    "room_seconds": Parameter("s", "log", "time in which the room falls by 20 dB"),
    "room_tone_hz": Parameter("Hz", "log", "brightness of the room at first"),
    "room_spread": Parameter("", "log", "side of the room relative to its middle"),
    "flutter_db": Parameter("dB", "uniform", "how far the level strays by chance, RMS"),
    "flutter_hz": Parameter("Hz", "log", "how fast it does"),
    "tape_db": Parameter(
        "dB", "uniform", "level of steady noise under the sound, fading out to its end, RMS"
    ),
    "tape_hz": Parameter("Hz", "log", "low-pass of that noise"),
    "rumble_db": Parameter(
        "dB", "uniform", "level of low noise under the sound: floor, stand, microphone; RMS"
    ),
    "rumble_hz": Parameter("Hz", "log", "low-pass of that noise"),
    "rumble_seconds": Parameter("s", "log", "time in which it falls by 20 dB; it makes no sound longer"),
    "gate_db": Parameter(
        "dB", "uniform", "level below the peak at which the sound is cut off with a short fade"
    ),
}

SILENCE_DB = -66.0
_END_FADE_SECONDS = 0.006
_CUT_FADE_SECONDS = 0.06  # where a sound is longer than its category allows


def finish(voice: Voice, dry: F64) -> NDArray[np.float32]:
    """From a mix [sample] or [2, sample] to a one-shot [2, samples]: peak 1, no DC, faded end."""
    audio = _colour(voice, blocks.normalised(dry))
    if voice.has("flutter_db"):
        audio = audio * _flutter(voice)
    if voice.has("room_db"):
        wet = blocks.room(
            voice, audio, voice.get("room_seconds"), voice.get("room_tone_hz"), voice.get("room_spread", 0.0)
        )
        # The room is set by its energy against the dry sound's, whatever its length and tone.
        level = np.sqrt(np.mean(audio**2) / max(float(np.mean(wet**2)), 1e-20))
        audio = audio + voice.gain("room_db") * level * wet
    if voice.has("tape_db"):
        audio = blocks.normalised(audio) + _tape(voice)
    if voice.has("rumble_db"):
        audio = blocks.normalised(audio) + _rumble(voice)
    stereo = np.atleast_2d(audio)
    stereo = stereo if stereo.shape[0] == 2 else np.repeat(stereo, 2, axis=0)
    return _clean(stereo, voice.get("gate_db", SILENCE_DB))


def _flutter(voice: Voice) -> F64:
    """A level [sample] that strays slowly, as those of struck things do."""
    strays = blocks.low_pass(voice.random("flutter").standard_normal(voice.samples), voice.get("flutter_hz"))
    strays = strays / max(float(np.sqrt(np.mean(strays**2))), 1e-12)
    return np.asarray(10.0 ** (voice.get("flutter_db") * strays / 20.0))


def _tape(voice: Voice) -> F64:
    """What is left of microphones, tape and rooms [sample]."""
    noise = blocks.low_pass(blocks.noise(voice, "tape"), voice.get("tape_hz"))
    return voice.gain("tape_db") * noise * np.linspace(1.0, 0.0, voice.samples)


def _rumble(voice: Voice) -> F64:
    """What a struck drum shakes beside itself [sample]; it rises within a few milliseconds."""
    noise = blocks.low_pass(blocks.noise(voice, "rumble"), voice.get("rumble_hz"))
    noise = noise / max(float(np.sqrt(np.mean(noise**2))), 1e-12)
    fading = blocks.decay(voice.samples, voice.get("rumble_seconds"), attack_seconds=0.004)
    return voice.gain("rumble_db") * noise * fading


def _colour(voice: Voice, audio: F64) -> F64:
    if voice.has("drive_db"):
        audio = blocks.saturate(audio, voice.get("drive_db"), voice.get("drive_asymmetry"))
    if voice.has("clip_db"):
        audio = blocks.clip(blocks.normalised(audio), voice.get("clip_db"))
    if voice.has("presence_db"):
        audio = blocks.peak(audio, voice.get("presence_hz", 3_000.0), 0.9, voice.get("presence_db"))
    for name, hertz in EQUALISER_HZ.items():
        if voice.has(name):
            audio = blocks.peak(audio, hertz, EQUALISER_Q, voice.get(name))
    if voice.has("highpass_hz"):
        audio = blocks.high_pass(audio, voice.get("highpass_hz"))
    if voice.has("crush_bits"):
        # Dark enough for the lower rate first, as a sampler's input filter does.
        rate = voice.get("crush_rate_hz", SAMPLE_RATE)
        audio = blocks.low_pass(blocks.normalised(audio), 0.45 * rate)
        audio = blocks.crush(audio, voice.get("crush_bits"), rate)
    if voice.has("lowpass_hz"):
        cutoff = voice.get("lowpass_hz")
        audio = blocks.low_pass(blocks.low_pass(audio, cutoff, 0.54), cutoff, 1.31)
    return audio


def _clean(stereo: F64, end_db: float) -> NDArray[np.float32]:
    # 12 Hz: removes the offset of asymmetric saturation and leaves the lowest kick (35 Hz) within 0.1 dB.
    stereo = blocks.high_pass(stereo, 12.0)
    level = np.abs(stereo).max(axis=0)
    last = int(np.flatnonzero(level >= level.max() * blocks.decibels(end_db))[-1]) + 1
    fade = int(_END_FADE_SECONDS * SAMPLE_RATE)
    if last + fade > stereo.shape[1]:
        fade = int(_CUT_FADE_SECONDS * SAMPLE_RATE)
    fade = min(fade, last // 4)
    audio = stereo[:, : min(last + fade, stereo.shape[1])].copy()
    audio[:, -fade:] *= np.cos(0.5 * np.pi * np.linspace(0.0, 1.0, fade)) ** 2
    audio -= _offset(audio.shape[1]) * audio.mean(axis=1, keepdims=True)
    return blocks.normalised(audio).astype(np.float32)


def _offset(samples: int) -> F64:
    """A bump of mean 1 that is 0 at both ends: taking an offset off with it makes no step."""
    return 1.0 - np.cos(2.0 * np.pi * np.arange(samples) / max(samples - 1, 1))
