"""Sounds tuned to a note: the tracks of an image's partials, moved so that the body settles where it is asked to."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samplegan.errors import ConfigError
from samplegan.representation.body import PARTIAL_OCTAVES, frequency_hz

F32 = NDArray[np.float32]

LOWEST_HZ, HIGHEST_HZ = 28.0, 800.0
_LATE = 0.1  # the weight of the first frame; the last one has 1
_AUDIBLE = 36.0 / 52.0  # in units of the image
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NOTE = re.compile(r"([a-gA-G])([#b♯♭]?)(-?\d)?")


@dataclass(frozen=True)
class Pitch:
    """A pitch to tune to. Of a note without an octave every sound takes the nearest one."""

    hz: float
    any_octave: bool = False

    def near(self, hz: float) -> float:
        """The frequency to tune a sound to that settles at `hz`."""
        if not self.any_octave:
            return self.hz
        return self.hz * 2.0 ** round(math.log2(hz / self.hz))


def parse_pitch(text: str) -> Pitch:
    """A note or a frequency as it is typed; A4 is 440 Hz. Raises ConfigError for anything else, and out of range.

    >>> round(parse_pitch("F1").hz, 2), parse_pitch("55Hz").hz, parse_pitch("c#").any_octave
    (43.65, 55.0, True)
    """
    word = text.strip()
    if (note := _NOTE.fullmatch(word)) is not None:
        letter, sign, octave = note.groups()
        semitones = _SEMITONES[letter.upper()] + {"#": 1, "♯": 1, "b": -1, "♭": -1}.get(sign, 0)
        number = 12 * (int(octave or 1) + 1) + semitones  # MIDI's
        pitch = Pitch(440.0 * 2.0 ** ((number - 69) / 12.0), any_octave=octave is None)
    else:
        try:
            pitch = Pitch(float(word.lower().removesuffix("hz")))
        except ValueError:
            raise ConfigError(
                f"'{text}' is not a pitch",
                hint="write a note (F1, c#2, or F in any octave) or a frequency (43.65)",
            ) from None
    if not LOWEST_HZ <= pitch.hz <= HIGHEST_HZ:
        raise ConfigError(
            f"--pitch {text} lies outside {LOWEST_HZ:g} … {HIGHEST_HZ:g} Hz", hint="A1 is 55 Hz, A2 110"
        )
    return pitch


def settled_hz(image: F32, partial_rows: slice) -> float | None:
    """Where the body of an image [channel, row, frame] settles; None if it has none.

    The median of the loudest partial's frequency; frames count more the later they are, as long as they are within
    36 dB of the loudest (as in `dsp.pitch`).
    """
    level, frequency = image[0, partial_rows].astype(np.float64), image[1, partial_rows]
    heard = level + 1.0
    if not heard.size or heard.max() < 0.05:
        return None
    loudest = int(np.argmax(heard.sum(axis=1)))
    hertz = frequency_hz(frequency[loudest])
    weight = np.linspace(_LATE, 1.0, len(hertz)) * np.maximum(heard[loudest] - heard.max() + _AUDIBLE, 0.0)
    order = np.argsort(hertz)
    reached = np.cumsum(weight[order])
    return float(hertz[order][np.searchsorted(reached, 0.5 * reached[-1])])


def transposed(image: F32, partial_rows: slice, octaves: float) -> F32:
    """The image with all its partials moved; what is not of the body stays."""
    moved = image.copy()
    shift = np.float32(2.0 / PARTIAL_OCTAVES * octaves)
    moved[1, partial_rows] = np.clip(image[1, partial_rows] + shift, -1.0, 1.0)
    return moved
