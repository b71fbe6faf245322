"""The drum synthesiser: eight categories of one-shots from a seed and an index.

Everything here is a pure function of its arguments; sound `index` does not depend on how many are made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from samplegan.audio import in_phase
from samplegan.categories import category_named
from samplegan.errors import ConfigError
from samplegan.synth import membranes, metals, percussion, snares
from samplegan.synth.blocks import SAMPLE_RATE, Voice
from samplegan.synth.finish import SILENCE_DB
from samplegan.synth.packs import write_pack
from samplegan.synth.ranges import Parameter, Parameters, Range, Style, draw, generator, load_styles

__all__ = ["Range", "Style", "parameters", "render", "styles", "synthesise", "write_pack"]


@dataclass(frozen=True)
class _Instrument:
    catalogue: Mapping[str, Parameter]
    sound: Callable[[Voice], NDArray[np.float32]]
    longest_seconds: float


_INSTRUMENTS = {
    "kick": _Instrument(membranes.CATALOGUE, membranes.kick, 1.2),
    "snare": _Instrument(snares.CATALOGUE, snares.snare, 1.0),
    "clap": _Instrument(snares.CATALOGUE, snares.clap, 1.0),
    "hat_closed": _Instrument(metals.CATALOGUE, metals.metal, 0.7),
    "hat_open": _Instrument(metals.CATALOGUE, metals.metal, 1.6),
    "tom": _Instrument(membranes.CATALOGUE, membranes.tom, 1.8),
    "cymbal": _Instrument(metals.CATALOGUE, metals.metal, 3.0),
    "perc": _Instrument(percussion.CATALOGUE, percussion.perc, 1.2),
}


@cache
def styles(category: str) -> Mapping[str, Style]:
    """The styles of a category by name. Raises ConfigError for an unknown category."""
    category_named(category)
    return load_styles(category, _INSTRUMENTS[category].catalogue)


def synthesise(category: str, seed: int, index: int) -> NDArray[np.float32]:
    """One-shot number `index`: float32 [2, samples] at 44,100 Hz, peak 1, from onset to natural end."""
    noise_seed = int(generator(category, seed, index, "noise").integers(2**62))
    return render(category, parameters(category, seed, index), noise_seed)


def parameters(category: str, seed: int, index: int) -> dict[str, float | str]:
    """The style and the numbers of one-shot number `index`; an absent number means an absent layer.

    >>> parameters("kick", 1, 0) == parameters("kick", 1, 0)
    True
    """
    return draw(styles(category), generator(category, seed, index, "parameters"))


def render(category: str, parameters: Parameters, noise_seed: int) -> NDArray[np.float32]:
    """The one-shot [2, samples] of explicit parameters. Raises ConfigError on a name that no style has.

    No sound vanishes in mono: layers may be wider than they are loud in the middle, but what they sum to is turned.
    """
    category_named(category)
    instrument = _INSTRUMENTS[category]
    known = {"style"} | {entry.name for style in styles(category).values() for entry in style.ranges}
    if unknown := sorted(set(parameters) - known):
        raise ConfigError(
            f"a {category} has no parameter '{unknown[0]}'", hint=f"known: {', '.join(sorted(known))}"
        )
    samples = math.ceil(_seconds(parameters, instrument.longest_seconds) * SAMPLE_RATE)
    return in_phase(instrument.sound(Voice(parameters, samples, noise_seed)))


def _seconds(parameters: Parameters, longest: float) -> float:
    """How long to render: until the slowest layer has surely fallen to silence (or to the gate's level)."""
    depth = 0.2 - float(parameters.get("gate_db", SILENCE_DB)) / 20.0
    shape = min(float(parameters.get(name, 1.0)) for name in ("decay_shape", "wires_decay_shape"))
    slowest = max((float(v) for k, v in parameters.items() if k.endswith("decay_seconds")), default=0.1)
    # Relative decays and damping lengthen some layers; silence at the end is trimmed anyway.
    lasting = (
        1.3 * slowest * depth ** (1.0 / shape) * max(1.0, 0.6 * float(parameters.get("tail_decay", 1.0)))
    )
    if "room_db" in parameters:
        lasting += depth * float(parameters.get("room_seconds", 0.0))
    return min(max(lasting, 0.05), longest)
