"""File names that say how a sound sounds: `kick_punchy_dark_F_017.wav`.

A name is made from the sound's own measurements and its index, never from the other sounds of the pack, so
file 17 has the same name in a pack of 20 and of 200, and no two names are the same.

Each axis below has two thresholds per category, in the unit of the descriptor. A sound beyond one of them
earns the word; of all words earned, the two that are furthest beyond their thresholds make the name. A sound
that is ordinary on every axis is `balanced`. The key is written only where the pitch is certain: a wrong key
is worse than none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from samplegan.descriptors import Descriptors

WORDS = 2
CERTAIN_PITCH = 0.8  # confidence from which a key is written
ORDINARY = "balanced"
PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
PITCHED = frozenset({"kick", "snare", "tom", "perc"})  # the key of a hat helps nobody
ABOUT_PITCH = frozenset({"pitch_hz", "pitch_sweep_semitones"})  # heard only where the pitch is certain
ALLOWED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_#-")


@dataclass(frozen=True)
class Axis:
    """One way in which sounds differ: the word at each end, and where it begins."""

    descriptor: str
    low_word: str | None
    low: float  # at or below: `low_word`
    high_word: str | None
    high: float  # at or above: `high_word`
    logarithmic: bool = True  # compare ratios, not differences

    def word(self, value: float | None) -> tuple[float, str] | None:
        """The word that `value` earns and how far it lies beyond the threshold (in widths of the middle)."""
        if value is None or not math.isfinite(value):
            return None
        low, high, here = self.low, self.high, value
        if self.logarithmic:
            low, high, here = math.log(low), math.log(high), math.log(max(value, 1e-9))
        position = (2 * here - low - high) / (high - low)
        chosen = self.high_word if position >= 1 else self.low_word if position <= -1 else None
        return None if chosen is None else (abs(position), chosen)


def name_words(category: str, descriptors: Descriptors) -> list[str]:
    """The most telling words that the sound earns; at most two, at least one."""
    is_pitched = descriptors.pitch_confidence >= CERTAIN_PITCH
    earned = [
        axis.word(getattr(descriptors, axis.descriptor))
        for axis in AXES.get(category, AXES["perc"])
        if is_pitched or axis.descriptor not in ABOUT_PITCH
    ]
    told = [each for each in earned if each is not None]
    strongest = sorted(told, key=lambda each: -each[0])[:WORDS]
    # In the order of the axes, so that like sounds stand together in a sorted folder.
    return [each[1] for each in told if each in strongest] or [ORDINARY]


def key_of(category: str, descriptors: Descriptors) -> str | None:
    """The pitch class, if the category has one and the pitch is certain."""
    if category not in PITCHED or descriptors.note not in PITCH_CLASSES:
        return None
    return descriptors.note if descriptors.pitch_confidence >= CERTAIN_PITCH else None


def file_name(
    category: str, descriptors: Descriptors, index: int, extension: str, *, in_order: bool = False
) -> str:
    """The name of file number `index`, in plain ASCII: `{type}_{words}_{key}_{index}.{extension}`, or with the index
    after the type where files belong `in_order`.
    """
    key = key_of(category, descriptors)
    words = [*name_words(category, descriptors), *([key] if key else [])]
    number = f"{index:03}"
    parts = [slug(category), number, *words] if in_order else [slug(category), *words, number]
    return "_".join(parts) + f".{extension}"


def slug(text: str) -> str:
    """Letters, digits, `_`, `#` and `-`; anything else becomes `_`.

    >>> slug("hat closed (öpen)")
    'hat_closed_pen'
    """
    words = "".join(letter if letter in ALLOWED else " " for letter in text).split()
    return "_".join(words) or "sound"


# The thresholds are the lower and upper quartiles, rounded, of 100 real sounds per category (81 claps), drawn at
# random from recorded kits and drum machines and finished as a rendered sound is; those of pitch, of the sounds
# with a certain one. Then every word fits about a quarter of them, and few sounds are ordinary everywhere. Not so
# `wide` and `swept`, which begin where they are heard: half of all real sounds are mono, and most have no sweep.
_PUNCHY = Axis("crest_db", "soft", 10.5, "punchy", 14.1, logarithmic=False)
_WIDE = Axis("width_db", None, -60.0, "wide", -22.0, logarithmic=False)
_SWEPT = Axis("pitch_sweep_semitones", None, 2.0, "swept", 14.0, logarithmic=False)

AXES: dict[str, tuple[Axis, ...]] = {
    "kick": (
        Axis("decay_40_db_s", "tight", 0.17, "long", 0.45),
        Axis("decay_20_db_s", None, 0.1, "boomy", 0.26),
        Axis("attack_centroid_hz", "dark", 570.0, "clicky", 3800.0),
        Axis("tail_centroid_hz", None, 280.0, "noisy", 830.0),
        Axis("pitch_hz", "deep", 48.0, "high", 58.0),
        _PUNCHY,
        _SWEPT,
        _WIDE,
    ),
    "snare": (
        Axis("decay_40_db_s", "tight", 0.16, "long", 0.32),
        Axis("attack_centroid_hz", "dark", 3000.0, "bright", 4800.0),
        Axis("flatness", "tonal", 0.036, "noisy", 0.18),
        Axis("low_share_db", "thin", -26.0, "fat", -16.5, logarithmic=False),
        Axis("crest_db", "soft", 13.9, "punchy", 18.6, logarithmic=False),
        Axis("width_db", None, -60.0, "wide", -25.0, logarithmic=False),
    ),
    "clap": (
        Axis("decay_40_db_s", "tight", 0.16, "long", 0.285),
        Axis("tail_centroid_hz", "dark", 2900.0, "bright", 5450.0),
        Axis("attack_s", "snappy", 0.001, "loose", 0.012),
        Axis("flatness", "hollow", 0.066, "noisy", 0.32),
        Axis("width_db", None, -60.0, "wide", -24.0, logarithmic=False),
    ),
    "hat_closed": (
        Axis("decay_40_db_s", "tight", 0.082, "long", 0.19),
        Axis("tail_centroid_hz", "dark", 7200.0, "bright", 10200.0),
        Axis("flatness", "metallic", 0.15, "noisy", 0.53),
        Axis("attack_s", "crisp", 0.0008, "soft", 0.003),
        Axis("high_share_db", "full", -2.9, "airy", -0.35, logarithmic=False),
        Axis("width_db", None, -60.0, "wide", -24.0, logarithmic=False),
    ),
    "hat_open": (
        Axis("decay_40_db_s", "short", 0.35, "long", 0.82),
        Axis("tail_centroid_hz", "dark", 7200.0, "bright", 9600.0),
        Axis("flatness", "metallic", 0.13, "noisy", 0.54),
        Axis("attack_s", "crisp", 0.00092, "soft", 0.0052),
        Axis("high_share_db", "full", -3.1, "airy", -0.4, logarithmic=False),
        Axis("width_db", None, -60.0, "wide", -23.0, logarithmic=False),
    ),
    "tom": (
        Axis("decay_40_db_s", "tight", 0.4, "long", 0.95),
        Axis("attack_centroid_hz", "dark", 1900.0, "clicky", 4400.0),
        Axis("pitch_hz", "deep", 84.0, "high", 162.0),
        Axis("tail_centroid_hz", None, 460.0, "noisy", 1200.0),
        Axis("crest_db", "soft", 14.2, "punchy", 18.7, logarithmic=False),
        _SWEPT,
        _WIDE,
    ),
    "cymbal": (
        Axis("decay_40_db_s", "short", 0.91, "long", 2.15),
        Axis("tail_centroid_hz", "dark", 4500.0, "bright", 7600.0),
        Axis("flatness", "metallic", 0.13, "noisy", 0.34),
        Axis("attack_s", "crisp", 0.0009, "swelling", 0.008),
        Axis("width_db", None, -60.0, "wide", -17.0, logarithmic=False),
    ),
    "perc": (
        Axis("decay_40_db_s", "tight", 0.093, "long", 0.26),
        Axis("tail_centroid_hz", "dark", 1250.0, "bright", 6600.0),
        Axis("flatness", "tonal", 0.00018, "noisy", 0.075),
        Axis("pitch_hz", "low", 240.0, "high", 630.0),
        Axis("crest_db", "soft", 13.3, "punchy", 19.0, logarithmic=False),
        Axis("pitch_sweep_semitones", None, 1.0, "swept", 9.0, logarithmic=False),
        Axis("width_db", None, -60.0, "wide", -26.0, logarithmic=False),
    ),
}
