"""Where the drum synthesiser's sounds differ from real ones, characteristic by characteristic: what its ranges miss.

    python scripts/split_by_kit.py SNARES Split             # Split/train and Split/test
    python scripts/synth_gaps.py Split/train snare
    python scripts/synth_gaps.py Split/train snare --per-kit 4  # as no rack of a hundred has them

Prints a line for each characteristic, the furthest apart first: the Kolmogorov-Smirnov distance (0 to 1) and the tenths
of either set at 10, 50 and 90 %. Beside what `samplegan evaluate` compares by stands what it does not see: how sounds
end, what is left of them late, of which bands their attack is made, how much of the middle rings. Above it how near the
whole is: MMD² × 1000, Fréchet distance and coverage of mel features, 1-NN, mean KS of what `evaluate` compares by.
Then how much louder what is made is than real sounds, in eighths of the mel bands and in five stretches of time: the
mean of decibels above the floor, which is most of what sets them apart.
Hold `--folder` against the same sounds instead of the synthesiser's to see what a rendered pack misses.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from calibrate_synth import Heard, few_of_each, gathered
from document_sections import table
from numpy.typing import NDArray

from dsp.lines import LineBank, tonal_share
from samplegan import synth
from samplegan.audio import ONSET_SAMPLE, SAMPLE_RATE, one_shot_from, read_audio
from samplegan.categories import CATEGORIES
from samplegan.config import Source
from samplegan.dataset import folder_sounds, training_sound
from samplegan.errors import InputError, SampleganError, UnreadableAudio
from samplegan.evaluate import metrics
from samplegan.evaluate.distributions import LEAST_SPREADS, characteristics, compare, ks_distance, mean_ks
from samplegan.evaluate.embedding import (
    ATTACK_FRAMES,
    BLOCKS,
    FRAMES,
    MEL_BANDS,
    Embedding,
    Projection,
    mel_edges,
)

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

SEED = 77  # far from that of the sounds that models learn from
DIMENSIONS = 32  # principal components of the real sounds
FEWEST = 40  # sounds in either set: fewer have no such components
MOST_AT_ONCE = 200  # sounds of a set in a comparison of whole sets
DRAWS = 8  # of them
SILENT_DB = -75.0  # under the loudest 5 ms: there a sound has ended
LEVEL_SECONDS, BEFORE_END_SECONDS = 0.005, 0.02
LATE = (0.3, 0.8)  # of a sound's length
ATTACK_SECONDS = 0.025
LATE_BANDS_HZ = (20.0, 100.0, 400.0, 2_000.0, 8_000.0, 22_050.0)
ATTACK_BANDS_HZ = (0.0, 200.0, 1_000.0, 5_000.0, 22_050.0)
RINGING_HZ = (300.0, 2_000.0)
BANDS_TOLD = 8
STRETCHES = (0, 2, ATTACK_FRAMES, ATTACK_FRAMES + 5, ATTACK_FRAMES + 10, FRAMES)  # moments of the features
_TINY = 1e-9


def main() -> int:
    """Parse, hear, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("real", type=Path, help="a folder of real sounds")
    parser.add_argument("category", choices=list(CATEGORIES))
    parser.add_argument("--count", type=int, default=300, help="sounds to draw, and to take of a folder")
    parser.add_argument("--per-kit", type=int, help="sounds of each kit at most, of a folder")
    parser.add_argument("--folder", type=Path, help="of sounds to look at in the synthesiser's place")
    given = parser.parse_args()
    if given.count < FEWEST:
        parser.error(f"--count must be at least {FEWEST}, not {given.count}")
    if given.per_kit is not None and given.per_kit < 1:
        parser.error(f"--per-kit must be at least 1, not {given.per_kit}")
    samples = round(CATEGORIES[given.category].length_seconds * SAMPLE_RATE)
    try:
        # Both folders are looked into before either is heard, which takes a minute.
        folders = [folder for folder in (given.real, given.folder) if folder is not None]
        files = [chosen_files(folder, given.count, given.per_kit) for folder in folders]
        heard = [hear(read(each, samples), samples) for each in files]
        if given.folder is None:
            drawn = (synth.synthesise(given.category, SEED, index) for index in range(given.count))
            heard.append(hear((training_sound(sound, 1.0, samples) for sound in drawn), samples))
        real, made = heard
        print(whole(real, made))
        print(table(["", "KS", "real", "made"], gaps(real, made)))
        print()
        print(table(*colours(real, made, samples / SAMPLE_RATE)))
    except SampleganError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def chosen_files(folder: Path, most: int, per_kit: int | None = None) -> list[Path]:
    """The files of a folder, or `per_kit` of each of its kits, and every n-th of these if there are more than `most`.

    Raises InputError for fewer than 40.
    """
    skipped: list[tuple[str, str]] = []
    sounds = list(folder_sounds(folder, Source(licence=""), skipped))
    for file, reason in skipped:
        print(f"skipped: {file}: {reason}", file=sys.stderr)
    if per_kit is not None:
        sounds = [sounds[place] for place in few_of_each([sound.kit for sound in sounds], per_kit)]
    files = [sound.path for sound in sounds if sound.path is not None]
    if len(files) < FEWEST:
        raise InputError(
            f"a comparison needs at least {FEWEST} sounds, and here are {len(files)}", file=folder
        )
    places = np.unique(np.linspace(0, len(files) - 1, min(most, len(files))).round().astype(int))
    return [files[place] for place in places]


def read(files: Iterable[Path], samples: int) -> Iterable[F32]:
    """The sounds of files as models learn them; those that cannot be read are skipped."""
    for file in files:
        try:
            yield training_sound(one_shot_from(read_audio(file)), 1.0, samples)
        except UnreadableAudio as error:
            print(f"skipped: {error}", file=sys.stderr)


def hear(sounds: Iterable[F32], samples: int) -> Heard:
    """Sounds [2, samples] as numbers; silence is skipped. Raises InputError if nothing is left."""
    embedding = Embedding(samples / SAMPLE_RATE)
    bank = LineBank(
        samples, np.geomspace(*RINGING_HZ, 24), onset_samples=ONSET_SAMPLE, sample_rate=SAMPLE_RATE
    )
    pairs = []
    for sound in sounds:
        try:
            described = characteristics(sound)
        except InputError as error:  # it is silent
            print(f"skipped: {error}", file=sys.stderr)
            continue
        pairs.append((embedding.features(sound), described | unseen(sound, bank)))
    return gathered(pairs)


def unseen(sound: F32, bank: LineBank) -> dict[str, float]:
    """What `samplegan evaluate` does not look at, of a sound [2, sample] that begins at ONSET_SAMPLE."""
    middle = sound.mean(axis=0).astype(np.float64)
    window = round(LEVEL_SECONDS * SAMPLE_RATE)
    power = np.convolve(middle**2, np.full(window, 1.0 / window), "same")
    level_db = 10.0 * np.log10(power / max(float(power.max()), _TINY) + _TINY)
    end = int(np.flatnonzero(level_db > SILENT_DB)[-1])
    before = max(end - window - round(BEFORE_END_SECONDS * SAMPLE_RATE), 0)
    late = middle[int(LATE[0] * end) : int(LATE[1] * end) + window]
    attack = middle[ONSET_SAMPLE : ONSET_SAMPLE + round(ATTACK_SECONDS * SAMPLE_RATE)]
    found = {
        "end_s": end / SAMPLE_RATE,
        "level_before_end_db": float(level_db[before]),
        "ringing_share": float(tonal_share(bank.measure(middle.astype(np.float32)).tonal_db).mean()),
    }
    late_db = shares_db(late * np.hanning(late.size), LATE_BANDS_HZ)
    attack_db = shares_db(attack * np.hanning(2 * attack.size)[attack.size :], ATTACK_BANDS_HZ)
    for name, edges, shares in (("late", LATE_BANDS_HZ, late_db), ("attack", ATTACK_BANDS_HZ, attack_db)):
        found |= {
            f"{name}_{low:g}_{high:g}_hz_db": share
            for (low, high), share in zip(itertools.pairwise(edges), shares, strict=True)
        }
    return found


def shares_db(windowed: F64, edges_hz: Sequence[float]) -> list[float]:
    """The energy between each two edges, of all, in dB; -90 at least."""
    energy = np.abs(np.fft.rfft(windowed)) ** 2
    hertz = np.fft.rfftfreq(windowed.size, 1.0 / SAMPLE_RATE)
    bands = [energy[(hertz >= low) & (hertz < high)].sum() for low, high in itertools.pairwise(edges_hz)]
    return [float(10.0 * np.log10(band / max(float(energy.sum()), _TINY) + _TINY)) for band in bands]


def whole(real: Heard, made: Heard) -> str:
    """How near the sets are as wholes: means of several draws of each. Raises InputError for fewer than 40 sounds."""
    if (fewest := min(len(real.features), len(made.features))) < FEWEST:
        raise InputError(
            f"a comparison needs at least {FEWEST} sounds, and of one set only {fewest} can be used"
        )
    projection = Projection.fit(real.features, DIMENSIONS)
    sides = [projection.project(heard.features) for heard in (real, made)]
    size = min(MOST_AT_ONCE, *(len(side) for side in sides))
    random = np.random.default_rng(SEED)
    figures = []
    for _ in range(DRAWS):
        chosen = [random.permutation(len(side))[:size] for side in sides]
        first, second = (side[indices] for side, indices in zip(sides, chosen, strict=True))
        told = [
            [{key: each[key] for key in LEAST_SPREADS} for each in heard.only(indices).characteristics]
            for heard, indices in zip((real, made), chosen, strict=True)
        ]
        figures.append(
            (
                1000 * metrics.mmd2(first, second),
                metrics.frechet_distance(first, second),
                metrics.precision_recall_density_coverage(first, second).coverage,
                metrics.nearest_neighbour_accuracy(first, second),
                mean_ks(compare(*told)),
            )
        )
    mmd, frechet, coverage, told_apart, distance = np.mean(figures, axis=0)
    return (
        f"{len(sides[0])} real, {len(sides[1])} made: MMD² × 1000 {mmd:.1f}, FD {frechet:.2f}, "
        f"coverage {coverage:.2f}, 1-NN {told_apart:.2f}, mean KS {distance:.3f}\n"
    )


def gaps(real: Heard, made: Heard) -> list[tuple[str, str, str, str]]:
    """A line for every characteristic, the furthest apart first; those that a set does not have are left out."""
    rows = []
    for name in real.characteristics[0]:
        sides = [np.array([each[name] for each in heard.characteristics]) for heard in (real, made)]
        if all(np.isfinite(side).any() for side in sides):
            rows.append((ks_distance(*sides), name, *map(_tenths, sides)))
    rows.sort(key=lambda row: -row[0])
    return [(name, f"{distance:.2f}", *told) for distance, name, *told in rows]


def colours(real: Heard, made: Heard, length_seconds: float) -> tuple[list[str], list[list[str]]]:
    """How much louder what is made is, in the middle: a heading with the bands in Hz, a row for each stretch in s."""
    louder_db = [heard.features[:, BLOCKS["mid"]].mean(axis=0, dtype=np.float64) for heard in (made, real)]
    cells = (louder_db[0] - louder_db[1]).reshape(FRAMES, MEL_BANDS)
    bands = cells.reshape(FRAMES, BANDS_TOLD, -1).mean(axis=2)
    edges = Embedding(length_seconds).edges_seconds
    rows = [
        [f"{edges[first]:.3g} … {edges[last]:.3g}", *(f"{x:+.1f}" for x in bands[first:last].mean(axis=0))]
        for first, last in itertools.pairwise(STRETCHES)
    ]
    edges_hz = mel_edges(MEL_BANDS)[:: MEL_BANDS // BANDS_TOLD]
    return ["s", *(f"{low:.3g} … {high:.3g} Hz" for low, high in itertools.pairwise(edges_hz))], rows


def _tenths(values: F64) -> str:
    return " ".join(f"{value:.4g}" for value in np.nanpercentile(values, [10, 50, 90]))


if __name__ == "__main__":
    sys.exit(main())
