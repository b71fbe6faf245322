"""Which of several models is nearest to real drums: held against many parts of all kits, one at a time.

    python scripts/compare_models.py FOLDER kick kick mine.safetensors mine.safetensors@1.2

FOLDER holds real sounds, in folders or with names that tell their kits. A model is a name or a file; with @ it is drawn
so far aside from the way between two sounds (`aside` in samplegan/config.py). The kits are dealt into parts several
times over. Each part is compared with as many sounds of every model, of the synthesiser, and of the kits outside the
part: as near as these come is as near as can be hoped for. A kit counts as no more than --per-kit of its sounds: one
rack of a hundred would decide otherwise; 0 lets all count.

The figures are means over parts and draws of what `samplegan evaluate` prints for a single held-out set; the last
column says in how many parts the MMD is less than the first model's. Nothing is finished, refused or chosen, but in the
rows that --pack adds: what `samplegan render` puts into a pack. The models must not have learned from these sounds.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from calibrate_synth import F64, KIT_COUNTS, Heard, few_of_each, gathered, hear, hear_file, hear_synthesised
from document_sections import table
from numpy.typing import NDArray

from samplegan import store, synth
from samplegan.categories import CATEGORIES
from samplegan.config import Source
from samplegan.dataset import folder_sounds, training_sound
from samplegan.errors import ConfigError, InputError, SampleganError
from samplegan.evaluate import metrics
from samplegan.evaluate.distributions import compare, mean_ks
from samplegan.evaluate.embedding import Projection
from samplegan.evaluate.sets import model_sounds
from samplegan.finishing import Unusable
from samplegan.gates import BLOCK_CANDIDATES, BLOCK_FILES
from samplegan.render import Candidate, RenderOptions, candidate, chosen, drawn_by

DEALS = 4  # of the kits into parts
PARTS = 6  # at most, in each
FEWEST = 20  # sounds that a part needs
MOST = 120  # sounds of a part in a comparison
DRAWS = 6  # of every set, against each part
DIMENSIONS = 32  # principal components of the real sounds
SEED = 77  # far from that of the sounds that models learn from
OTHER_KITS = "other kits"
COLUMNS = ("MMD² × 1000", "FD", "coverage", "recall", "1-NN", "mean KS")


def main() -> int:
    """Parse, hear, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("real", type=Path, help="a folder of real sounds of several kits")
    parser.add_argument("category", choices=list(CATEGORIES))
    parser.add_argument("models", nargs="+", help="names or files, each with @ASIDE or without")
    parser.add_argument("--per-kit", type=int, default=KIT_COUNTS, help="sounds of a kit at most; 0: all")
    parser.add_argument("--count", type=int, default=240, help="sounds to draw of each model")
    parser.add_argument("--pack", action="store_true", help="compare packs of the models as well")
    given = parser.parse_args()
    if given.count < FEWEST or given.per_kit < 0:
        parser.error(f"--count must be at least {FEWEST}, and --per-kit not below 0")
    try:
        models = {name: load(name) for name in given.models}  # before anything is heard, which takes minutes
        real, kits = hear_real(given.real, given.category, given.per_kit)
        parts, sets = dealt(kits), {}
        for name, model in models.items():
            print(f"drawing {given.count} sounds of {name}", file=sys.stderr, flush=True)
            sets[name] = hear_model(model, given.category, given.count)
            if given.pack:
                sets[f"{name}, a pack"] = hear_pack(model, given.category, given.count)
        sets["synthesiser"] = hear_synthesiser(given.category, given.count)
        print(f"{len(kits)} sounds of {len(set(kits))} kits, in {len(parts)} parts")
        print(table(["", *COLUMNS, "nearer in"], rows(real, parts, sets)))
    except SampleganError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def load(name: str) -> store.Model:
    """A model, drawn as far aside as its name says. Raises ConfigError for what is no number or cannot be drawn so."""
    path, _, aside = name.partition("@")
    model = store.load_model(path)
    if aside:
        if not hasattr(model.generator, "aside"):
            raise ConfigError(f"'{path}' is of an architecture that does not draw aside", hint="leave @ out")
        try:
            model.generator.aside = float(aside)
        except ValueError:
            raise ConfigError(f"'{aside}' is not a number", hint="write MODEL@1.2") from None
        if not 0.0 <= model.generator.aside < math.inf:
            raise ConfigError(f"'{aside}' is not a number from 0 up", hint="write MODEL@1.2")
    return model


def hear_real(folder: Path, category: str, per_kit: int) -> tuple[Heard, list[str]]:
    """The sounds of a folder and their kits. Raises InputError if they are too few, or of a single kit."""
    sounds = list(folder_sounds(folder, Source(licence=""), []))
    if per_kit:
        sounds = [sounds[index] for index in few_of_each([sound.kit for sound in sounds], per_kit)]
    length_seconds = CATEGORIES[category].length_seconds
    heard = [(hear_file(sound, length_seconds=length_seconds), sound.kit) for sound in sounds]
    kept = [(each, kit) for each, kit in heard if each is not None]
    if len(kept) < 2 * FEWEST or len({kit for _, kit in kept}) < 2:
        raise InputError(
            f"a comparison needs at least {2 * FEWEST} sounds of two kits, and here are {len(kept)}",
            file=folder,
        )
    return gathered(each for each, _ in kept), [kit for _, kit in kept]


def hear_model(model: store.Model, category: str, count: int) -> Heard:
    """Draws of a model, straight from the generator."""
    length_seconds = CATEGORIES[category].length_seconds
    samples = round(length_seconds * synth.blocks.SAMPLE_RATE)
    return gathered(hear(make(), length_seconds) for make in model_sounds(model, count, 0, samples).makers)


def hear_pack(model: store.Model, category: str, count: int) -> Heard:
    """The files of a pack of a model, or of as many whole blocks as hold `count`."""
    length_seconds = CATEGORIES[category].length_seconds
    samples = round(length_seconds * synth.blocks.SAMPLE_RATE)
    options = RenderOptions(gates=True).checked(model)
    draw = drawn_by(model, options)
    heard = []
    for block in range(-(-count // BLOCK_FILES)):
        candidates: list[Candidate | None] = []
        for place in range(1, BLOCK_CANDIDATES + 1):
            try:
                candidates.append(candidate(model, block * BLOCK_CANDIDATES + place, options, draw))
            except Unusable:
                candidates.append(None)
        heard += [
            hear(training_sound(each.finished.audio, 1.0, samples), length_seconds)
            for each in chosen(candidates, BLOCK_FILES)
        ]
    return gathered(heard)


def hear_synthesiser(category: str, count: int) -> Heard:
    """Draws of the synthesiser."""
    length_seconds = CATEGORIES[category].length_seconds
    drawn = (synth.parameters(category, SEED, index) for index in range(count))
    heard = (hear_synthesised(category, length_seconds, each, index) for index, each in enumerate(drawn))
    return gathered(heard)


def dealt(kits: list[str]) -> list[NDArray[np.int64]]:
    """The sounds of each part: whole kits, `PARTS` parts or as many as leave `FEWEST` sounds in each, `DEALS` times."""
    names, number = sorted(set(kits)), np.array(kits)
    parts = max(min(PARTS, len(kits) // (2 * FEWEST)), 2)
    deals = [np.random.default_rng(deal).permutation(names) for deal in range(DEALS)]
    found = [np.flatnonzero(np.isin(number, part)) for deal in deals for part in np.array_split(deal, parts)]
    return [part for part in found if len(part) >= FEWEST]


def rows(real: Heard, parts: list[NDArray[np.int64]], sets: Mapping[str, Heard]) -> list[list[str]]:
    """A row for each set, and one for the kits outside a part. Raises InputError if no part is large enough."""
    if not parts:
        raise InputError(f"no part of these kits has {FEWEST} sounds", hint="give more kits, or --per-kit 0")
    projection = Projection.fit(real.features, min(DIMENSIONS, len(real.features) // 3))
    known, *others = (
        Heard(projection.project(each.features), each.characteristics) for each in [real, *sets.values()]
    )
    placed = dict(zip(sets, others, strict=True))
    figures: dict[str, list[F64]] = {name: [] for name in [*placed, OTHER_KITS]}
    for number, part in enumerate(parts):
        outside = known.only(np.setdiff1d(np.arange(len(real.features)), part))
        size = min(len(part), MOST, *(len(each.features) for each in [outside, *placed.values()]))
        wanted = known.only(np.random.default_rng(number).permutation(part)[:size])
        for name, of_kind in figures.items():
            of_kind.append(mean_figures(wanted, placed.get(name, outside), number))
    first = np.array(next(iter(figures.values())))[:, 0]
    told = []
    for name, of_kind in figures.items():
        values = np.array(of_kind)
        mean = values.mean(axis=0)
        nearer = (
            "" if np.array_equal(values[:, 0], first) else f"{(values[:, 0] < first).sum()} of {len(parts)}"
        )
        told.append(
            [name, f"{mean[0]:.1f}", *(f"{each:.2f}" for each in mean[1:5]), f"{mean[5]:.3f}", nearer]
        )
    return told


def mean_figures(wanted: Heard, others: Heard, number: int) -> F64:
    """The figures of `COLUMNS`, the mean of several draws from a set; features are principal components here."""
    figures = []
    for draw in range(DRAWS):
        order = np.random.default_rng((number, draw)).permutation(len(others.features))
        drawn = others.only(order[: len(wanted.features)])
        sets = wanted.features, drawn.features
        near = metrics.precision_recall_density_coverage(*sets)
        figures.append(
            [
                1000.0 * metrics.mmd2(*sets),
                metrics.frechet_distance(*sets),
                near.coverage,
                near.recall,
                metrics.nearest_neighbour_accuracy(*sets),
                mean_ks(compare(wanted.characteristics, drawn.characteristics)),
            ]
        )
    return np.mean(figures, axis=0)


if __name__ == "__main__":
    sys.exit(main())
