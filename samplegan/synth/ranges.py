"""What a drum sound is drawn from: styles, parameters and their ranges, all of it data in `styles/*.yaml`."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import yaml

Distribution = Literal["uniform", "log"]
Parameters = Mapping[str, float | str]

STYLES_FOLDER = Path(__file__).parent / "styles"


@dataclass(frozen=True)
class Parameter:
    """What a number means, whatever its range."""

    unit: str
    distribution: Distribution
    meaning: str


@dataclass(frozen=True)
class Range:
    """One parameter of one style. With probability 1 - chance it is absent, and its layer is silent."""

    name: str
    unit: str
    low: float
    high: float
    distribution: Distribution
    chance: float
    meaning: str

    def draw(self, generator: np.random.Generator) -> float | None:
        """One value, or None. Two numbers are always consumed, so that ranges can be edited independently."""
        present, place = generator.random(2)
        if present >= self.chance:
            return None
        if self.distribution == "log":
            return math.exp(math.log(self.low) + place * (math.log(self.high) - math.log(self.low)))
        return self.low + place * (self.high - self.low)


@dataclass(frozen=True)
class Style:
    """One way of building a category's sound; `weight` is its share among the styles."""

    name: str
    weight: float
    ranges: tuple[Range, ...]


def load_styles(category: str, catalogue: Mapping[str, Parameter]) -> dict[str, Style]:
    """Join what the parameters mean (the catalogue) with each style's weight and bounds (the file)."""
    document = yaml.safe_load((STYLES_FOLDER / f"{category}.yaml").read_text(encoding="utf-8"))
    return {
        name: Style(
            name,
            float(style["weight"]),
            tuple(_range(key, catalogue[key], *bounds) for key, bounds in style["ranges"].items()),
        )
        for name, style in document.items()
    }


def _range(name: str, parameter: Parameter, low: float, high: float, chance: float = 1.0) -> Range:
    return Range(name, parameter.unit, low, high, parameter.distribution, chance, parameter.meaning)


def page(instruments: Mapping[str, Mapping[str, Style]]) -> str:
    """All ranges as a page of Markdown: one table a category, one column a style."""
    parts = [
        "# The drum synthesiser's parameters\n",
        "Generated from `samplegan/synth/styles/` by `python scripts/document_synth.py`. A range is drawn evenly, or",
        "evenly in its logarithm where the unit says *log*; a percentage is the chance that the layer is there at all.",
        "`samplegan synth` writes what it drew into its `MANIFEST.json`.",
    ]
    for category, choices in instruments.items():
        total = sum(style.weight for style in choices.values())
        heads = [f"{name} ({100 * style.weight / total:.0f} %)" for name, style in choices.items()]
        parts += [f"\n## {category}\n", f"| parameter | unit | meaning | {' | '.join(heads)} |"]
        parts.append("|---|---|---|" + "---|" * len(choices))
        known = {entry.name: entry for style in choices.values() for entry in style.ranges}
        for name, entry in known.items():
            cells = [_cell(style, name) for style in choices.values()]
            unit = f"{entry.unit}, log" if entry.distribution == "log" else entry.unit
            parts.append(f"| `{name}` | {unit.removeprefix(', ')} | {entry.meaning} | {' | '.join(cells)} |")
    return "\n".join(parts) + "\n"


def _cell(style: Style, name: str) -> str:
    entry = next((each for each in style.ranges if each.name == name), None)
    if entry is None:
        return "–"
    chance = "" if entry.chance == 1.0 else f" ({100 * entry.chance:.0f} %)"
    return f"{entry.low:g} … {entry.high:g}{chance}"


def generator(*key: str | int) -> np.random.Generator:
    """A counter-based generator keyed by words and numbers: any of them can be drawn alone, in any order."""
    digest = hashlib.blake2b("\0".join(map(str, key)).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def draw(choices: Mapping[str, Style], random: np.random.Generator) -> dict[str, float | str]:
    """A style by its weight, then each of its parameters."""
    weights = np.array([style.weight for style in choices.values()])
    place = int(np.searchsorted(np.cumsum(weights) / weights.sum(), random.random(), side="right"))
    style = list(choices.values())[place]
    drawn: dict[str, float | str] = {"style": style.name}
    for entry in style.ranges:
        value = entry.draw(random)
        if value is not None:
            drawn[entry.name] = value
    return drawn
