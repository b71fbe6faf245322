"""How much of what is learned from should be synthesised? Writes the section 'synth share' of docs/sound.md.

    python scripts/measure_synth_share.py --audio FOLDER            # FOLDER/kick/*.flac …, every category
    python scripts/measure_synth_share.py --audio FOLDER kick tom

Of every category the kits that `scripts/measure_sound.py` trains on are split in two, many times over: how near to the
ones are the others, the synthesiser, and both mixed? No model takes part, and none of the kits that the models are
compared with: this is how the share is chosen that training on a folder takes from the synthesiser.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from document_sections import paragraphs, read_sections, signature, table, write_sections
from measure_sound import DOCUMENT, INTRODUCTION, Settings, plural, split_once
from numpy.typing import NDArray

from samplegan.audio import SAMPLE_RATE
from samplegan.categories import CATEGORIES
from samplegan.config import Source
from samplegan.dataset import folder_sounds, split_by_kit
from samplegan.errors import SampleganError
from samplegan.evaluate import baselines, metrics
from samplegan.evaluate.analysis import MeasuredSet, Measurer, Workers
from samplegan.evaluate.distributions import compare, mean_ks
from samplegan.evaluate.embedding import Embedding, Projection
from samplegan.evaluate.sets import read_folder
from samplegan.progress import Progress
from samplegan.signals import StopSignal

SECTION = "synth-share"
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
SPLITS = 12
HELD_OUT_SHARE = 0.25
SYNTHESISED = 250  # sounds
SEED = 1  # of the synthesiser; the models learn from seed 0
DIMENSIONS, SOUNDS_PER_DIMENSION = 32, 3  # as `evaluate` compares


@dataclass(frozen=True)
class Nearness:
    """Of one set to the kits held out."""

    mmd: float  # MMD² × 1000
    coverage: float
    ks: float


def main() -> int:
    """Parse, compare, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("categories", nargs="*", help="all of them, unless some are named")
    parser.add_argument(
        "--audio", type=Path, required=True, help="a folder with one folder for each category"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--work", type=Path, default=Path("measured-runs"), help="where the kits' split is kept"
    )
    parser.add_argument("--out", type=Path, default=DOCUMENT)
    given = parser.parse_args()
    if unknown := [name for name in given.categories if name not in CATEGORIES]:
        parser.error(f"'{unknown[0]}' is no category; choose from {', '.join(CATEGORIES)}")
    settings = Settings(given.audio, given.work, 0.0, 0, given.threads, SYNTHESISED)
    try:
        found = {
            category: compared(category, split_once(category, settings) / "train", given.threads)
            for category in given.categories or CATEGORIES
        }
    except SampleganError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    command = " ".join(["python scripts/measure_synth_share.py --audio FOLDER", *given.categories])
    sections = read_sections(given.out) | {SECTION: section(found, signature(command))}
    write_sections(given.out, INTRODUCTION, sections)
    return 0


def compared(category: str, folder: Path, threads: int) -> list[list[Nearness]]:
    """[split][share]: how near to the kits that a split holds out a set is of which such a share is synthesised."""
    length_seconds = CATEGORIES[category].length_seconds
    length_samples = round(length_seconds * SAMPLE_RATE)
    embedding, stop = Embedding(length_seconds), StopSignal()
    real = read_folder(folder, "real", length_samples)
    drawn = baselines.synthesiser(category, SYNTHESISED, SEED, length_samples)
    kits = {sound.path: sound.kit for sound in folder_sounds(folder, Source(), [])}
    with (
        stop.listening(),
        Progress(category, len(real) + len(drawn), unit="sounds") as progress,
        Workers(Measurer(embedding, None), threads, stop, progress) as workers,
    ):
        heard, synthesised = (
            workers.measure(sounds, in_detail=False, copies=False) for sounds in (real, drawn)
        )
    names = [kits[file] for file in real.files]
    return [one_split(heard, synthesised, names, seed) for seed in range(SPLITS)]


def one_split(real: MeasuredSet, synthesised: MeasuredSet, kits: list[str], seed: int) -> list[Nearness]:
    """Every share against the kits that this seed holds out."""
    others, held_out = split_by_kit(kits, HELD_OUT_SHARE, seed)
    size = len(held_out)
    projection = Projection.fit(real.features[others], min(DIMENSIONS, size // SOUNDS_PER_DIMENSION))
    wanted = projection.project(real.features[held_out])
    described = [real.characteristics[index] for index in held_out]
    random = np.random.default_rng(seed)
    found = []
    for share in SHARES:
        # As many sounds as can be had at this share, so that the share is all that differs.
        count = min(
            len(others) / (1.0 - share) if share < 1.0 else np.inf,
            len(synthesised.features) / share if share > 0.0 else np.inf,
        )
        ours = random.permutation(others)[: round(count * (1.0 - share))]
        theirs = random.permutation(len(synthesised.features))[: round(count * share)]
        features: NDArray[np.float64] = np.concatenate(
            [
                projection.project(real.features[ours]),
                projection.project(synthesised.features[theirs]),
            ]
        )
        characteristics = [
            *(real.characteristics[index] for index in ours),
            *(synthesised.characteristics[index] for index in theirs),
        ]
        as_many = random.permutation(len(features))[:size]  # coverage grows with their number
        quality = metrics.precision_recall_density_coverage(wanted, features[as_many])
        found.append(
            Nearness(
                mmd=1000.0 * metrics.mmd2(wanted, features),
                coverage=quality.coverage,
                ks=mean_ks(compare(described, characteristics)),
            )
        )
    return found


def section(found: dict[str, list[list[Nearness]]], signed: str) -> str:
    """The table, and how often half of it synthesised is nearer than none."""
    rows = []
    half = SHARES.index(0.5)
    for category, splits in found.items():
        mmd = np.array([[each.mmd for each in split] for split in splits])
        ks = np.array([[each.ks for each in split] for split in splits])
        coverage = np.array([[each.coverage for each in split] for split in splits])
        nearer = [int((values[:, half] < values[:, 0]).sum()) for values in (mmd, ks)]
        rows.append(
            [
                plural(category),
                *(f"{value:.0f}" for value in mmd.mean(axis=0)),
                *(f"{value:.2f}" for value in ks.mean(axis=0)),
                *(f"{value:.2f}" for value in coverage.mean(axis=0)[[0, half, -1]]),
                *(f"{count} of {len(splits)}" for count in nearer),
            ]
        )
    words = [f"{share:.0%}" for share in SHARES]
    header = [
        "",
        *(f"MMD, {word}" for word in words),
        *(f"KS, {word}" for word in words),
        *(f"cov, {words[index]}" for index in (0, half, -1)),
        "half nearer in MMD",
        "in KS",
    ]
    return paragraphs(
        "## How much to synthesise",
        "Kits differ, and those of one folder do not tell what others are like. Here the kits that models learn from "
        f"stand against each other, {SPLITS} times a quarter of them against the others: how near is what is made of "
        "the others and of synthesised sounds, by the share of these? No model takes part, nor do the kits held out "
        "above. The synthesiser's ranges were fitted to most of these kits together, so it is a little nearer to them "
        "than to kits that neither knows.",
        table(header, rows),
        signed,
    )


if __name__ == "__main__":
    raise SystemExit(main())
