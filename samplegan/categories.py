"""The eight drum categories and the names that belong to them."""

from __future__ import annotations

from dataclasses import dataclass

from samplegan.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class Category:
    """One kind of drum sound."""

    name: str  # as on the command line: kick
    plural: str  # as in packs/<plural>: kicks
    length_seconds: float  # what a training image of this category covers
    # Momentary maximum of a finished file. Three quarters of real one-shots (some 65 of each category measured)
    # reach it under a ceiling of -1 dBTP, so that a pack is even in loudness and not merely in peak.
    loudness_lufs: float


CATEGORIES = {
    category.name: category
    for category in (
        Category("kick", "kicks", 0.8, -17.0),
        Category("snare", "snares", 0.7, -18.0),
        Category("clap", "claps", 0.8, -20.0),
        Category("hat_closed", "hats_closed", 0.4, -21.0),
        Category("hat_open", "hats_open", 1.0, -16.0),
        Category("tom", "toms", 1.2, -16.0),
        Category("cymbal", "cymbals", 2.5, -17.0),
        Category("perc", "percs", 0.8, -20.0),
    )
}


def category_named(name: str) -> Category:
    """Look a category up. Raises ConfigError naming the nearest one."""
    if name not in CATEGORIES:
        raise ConfigError(f"'{name}' is not a category", hint=did_you_mean(name, "categories", CATEGORIES))
    return CATEGORIES[name]
