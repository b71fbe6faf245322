"""Bring the drum synthesiser's ranges nearer to real drums, and say how near they are.

    python scripts/split_by_kit.py KICKS Split                  # Split/train and Split/test
    python scripts/calibrate_synth.py Split kick                # writes samplegan/synth/styles/kick.yaml
    python scripts/document_synth.py                            # docs/synth.md follows

No sound is copied, and no number of one: what is fitted are the shares of the styles and the bounds of their
parameters. In every round sounds are drawn from the ranges and from somewhat wider ones, and weighted so that
together they are like Split/train: the weights have the least maximum mean discrepancy (Huang et al., 'Correcting
sample selection bias by unlabeled data', 2007) in what `samplegan evaluate` compares by. Shares, means and spreads
then change as the weights change those of the sounds drawn, much as in the cross-entropy method (Rubinstein & Kroese,
2004). A kit counts as its sounds do, but as no more than a few: otherwise the one rack that has a hundred kicks is what
is fitted. How many rounds are good for sounds that were not fitted to is found first: each quarter of the kits of
Split/train is left out once. As many rounds as came nearest to what was left out then follow with all kits, or none.
Split/test only judges.

Then, if asked for, steps: how the mean of what is compared by changes with each parameter, moved in all styles alike,
is tried out, and all are moved at once, so far that the mean comes half the way to that of a few sounds of each kit of
Split/train (least squares, with a ridge: Levenberg, 'A method for the solution of certain non-linear problems in least
squares', 1944). Of several ridges that is taken which brings 300 sounds nearest, and none if none does. A step takes
ten to twenty minutes of a core.

Then, if asked for, sweeps: one parameter after the other is moved, made wider or narrower, more or less frequent, in
all styles alike, and stays so where what is drawn, of the same random numbers, comes nearer to a few sounds of each kit
of Split/train. Rounds change each style by what its own sounds weigh, and leave what all styles have in common. A sweep
takes an hour, so the file is written whenever something stays: stopped and started again with --rounds 0, it begins
with what it had found.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samplegan import synth
from samplegan.categories import CATEGORIES
from samplegan.config import Source
from samplegan.dataset import Sound, folder_sounds, kits_apart, training_sound
from samplegan.errors import InputError, SampleganError, UnreadableAudio
from samplegan.evaluate import metrics
from samplegan.evaluate.distributions import (
    LEAST_SPREADS,
    Difference,
    characteristics,
    compare,
    mean_ks,
)
from samplegan.evaluate.embedding import Embedding, Projection
from samplegan.files import write_atomic
from samplegan.synth.ranges import STYLES_FOLDER, Parameters, Range, Style, draw, generator

F64 = NDArray[np.float64]

SEED = 20_000  # far from those that training sounds are drawn with
FOLDS = 4  # parts of the kits, of which each is left out once
KIT_COUNTS = 4  # sounds, however many more it has
JUDGED = 300  # sounds are drawn to see how near the ranges are
DIMENSIONS = 32  # principal components of real sounds
WIDER = 0.3  # of a range, on either side
PROPOSED = 0.5  # of the parameters are drawn from the wider range
WAYS = ("up", "down", "oftener", "rarer", "wider", "narrower")
FEW = 6.0  # effective sounds with which a style goes half of the way that the weights say
SMALLEST_SHARE = 0.04  # of a style
RAREST = 0.03  # a layer that is there less often is left out of the file: it is not there
DESCENT_STEPS = 1500
LARGEST_WEIGHT = 20.0  # of a sound next to an even share
EFFECTIVE = 0.06  # of the sounds count, at least
MOVED = 0.2  # of a range's width: one move of a sweep
WIDENED = 1.3  # times as wide, or as narrow
ODDS = 1.8  # times as likely, or unlikely
MOST_MOVES = 3  # of one kind, of one parameter, in one sweep
LEAST_GAIN = 0.001  # of the distance: less may be chance
TRIED = 200  # sounds are drawn to see what a parameter changes
# Of the way to the mean: kits left out came nearest so (docs/architecture.md), as a mean of few kits is theirs alone.
HALFWAY = 0.5
RIDGES = (0.3, 1.0, 3.0, 10.0)  # of the mean square of what the parameters change
MOST_STEP = 2.0  # moves of a sweep, of one parameter, in one step
LEAST_WIDTH_DB = 8.0  # of a range, as steps see it: narrow ranges of levels could never move
HIGHEST_HZ = 21_000.0
HIGHEST_GATE_DB = -15.0  # re the peak: nothing is left of a sound whose gate is above it
BY_HAND = (
    "flutter_db",
    "flutter_hz",
)  # are not fitted: further, and the level is chopped, which no figure hears


# A sound as numbers: features [DIMENSION] and characteristics. None if it is silent, or cannot be read.
Numbers = tuple[NDArray[np.float32], dict[str, float]]
Made = Mapping[tuple[object, ...], Numbers | None]  # what was synthesised, by seed and parameters


@dataclass(frozen=True)
class Heard:
    """Sounds as numbers: features [sound, DIMENSION] and characteristics."""

    features: NDArray[np.float32]
    characteristics: list[dict[str, float]]

    def only(self, chosen: NDArray[np.int64]) -> Heard:
        """Some of them."""
        return Heard(self.features[chosen], [self.characteristics[index] for index in chosen])


def main() -> int:
    """Parse, fit, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("split", type=Path, help="a folder with train/ and test/ of one category")
    parser.add_argument("category", choices=list(CATEGORIES))
    parser.add_argument("--sounds", type=int, default=1000, help="drawn in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--steps", type=int, default=0, help="towards the mean of real sounds, after the rounds"
    )
    parser.add_argument(
        "--sweeps", type=int, default=0, help="over what all styles have in common, after the steps"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, default=STYLES_FOLDER)
    given = parser.parse_args()
    asked = given.rounds, given.steps, given.sweeps
    if min(asked) < 0 or not any(asked):
        parser.error("--rounds, --steps and --sweeps must be at least 0, and one of them more")
    file = given.out / f"{given.category}.yaml"
    try:
        with ProcessPoolExecutor(given.jobs) as pool:
            ears = Ears(pool, given.category)
            styles = dict(synth.styles(given.category))
            if given.rounds:
                styles = fitted(ears, given.split, given.sounds, given.rounds)
                write_styles(file, given.category, styles)
            for better in stepped(ears, given.split, styles, given.steps):
                write_styles(file, given.category, styles := better)
            if given.sweeps:
                for better in swept(ears, given.split, styles, given.sweeps):
                    write_styles(file, given.category, better)
    except SampleganError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def write_styles(file: Path, category: str, styles: dict[str, Style]) -> None:
    """The file that `synth.styles` reads, whole or not at all."""
    write_atomic(file, as_text(category, styles).encode())


def fitted(ears: Ears, split: Path, sounds: int, rounds: int) -> dict[str, Style]:
    """The styles after as many rounds as are good for kits that were not fitted to.

    Raises InputError for a folder without sounds, or with a single one to fit to.
    """
    (train, kits), (test, test_kits) = ears.real(split / "train"), ears.real(split / "test")
    folds = left_out(kits)
    space = Space.fit(train.only(few_of_each(kits)))
    test, before = test.only(few_of_each(test_kits)), dict(synth.styles(ears.category))
    found = np.zeros(rounds + 1)
    for number, out in enumerate(folds):
        rest = np.setdiff1d(np.arange(len(kits)), out)
        chain = Chain(ears, space, train.only(rest), kit_shares([kits[index] for index in rest]), sounds)
        judge = {"left out": train.only(out[few_of_each([kits[index] for index in out])])}
        heard = [ears.drawn(plain(styles, JUDGED), 0) for styles in chain.styles(before, rounds)]
        found += [
            space.report(f"{number + 1} of {len(folds)}, round {turn}", each, judge)
            for turn, each in enumerate(heard)
        ]
    best = int(found.argmin())
    print(f"nearest to kits left out after {best} of {rounds} rounds", flush=True)
    chain = Chain(ears, space, train, kit_shares(kits), sounds)
    for turn, styles in enumerate(chain.styles(before, best)):
        judges = {"fitted to": train.only(few_of_each(kits)), "held out": test}
        space.report(f"round {turn}", ears.drawn(plain(styles, JUDGED), 0), judges)
    return styles


def stepped(ears: Ears, split: Path, styles: dict[str, Style], steps: int) -> Iterator[dict[str, Style]]:
    """The styles after each step towards the mean of the sounds of each kit, up to that which brings nothing nearer.

    Raises InputError for a folder without sounds.
    """
    if not steps:
        return
    few, judges = of_each_kit(ears, split)
    space = Space.fit(few)
    wanted = space.place(few).mean(axis=0)
    made = ears.made(plain(styles, JUDGED), {})
    least = space.distance(gathered(made.values()), few)[0]
    space.report("before", ears.drawn(plain(styles, 2 * JUDGED)[JUDGED:], JUDGED), judges)
    for step in range(steps):
        names = sorted({entry.name for style in styles.values() for entry in style.ranges if _movable(entry)})
        mean = space.place(gathered(ears.made(plain(styles, TRIED), made).values())).mean(axis=0)
        changes = []
        for name in names:
            heard = ears.made(plain(shifted(styles, {name: 1.0}), TRIED), made)
            changes.append(space.place(gathered(heard.values())).mean(axis=0) - mean)
        slopes = np.array(changes).T
        size = float((slopes**2).sum(axis=0).mean())
        found = None
        for ridge in RIDGES:
            square = slopes.T @ slopes + ridge * size * np.eye(len(names))
            moves = np.clip(
                np.linalg.solve(square, HALFWAY * slopes.T @ (wanted - mean)), -MOST_STEP, MOST_STEP
            )
            tried = shifted(styles, dict(zip(names, moves.tolist(), strict=True)))
            heard = ears.made(plain(tried, JUDGED), made)
            reached = space.distance(gathered(heard.values()), few)[0]
            print(f"ridge {ridge:g}: {1000.0 * least:.1f} -> {1000.0 * reached:.1f}", flush=True)
            if reached < least - LEAST_GAIN:
                least, found = reached, (tried, moves, heard)
        if found is None:
            return
        styles, moves, made = found
        most = sorted(zip(names, moves, strict=True), key=lambda each: -abs(each[1]))[:12]
        print("moved most:", ", ".join(f"{name} {move:+.2f}" for name, move in most), flush=True)
        # Judged by other draws than those that the step is chosen by.
        space.report(f"step {step + 1}", ears.drawn(plain(styles, 2 * JUDGED)[JUDGED:], JUDGED), judges)
        yield styles


def of_each_kit(ears: Ears, split: Path) -> tuple[Heard, dict[str, Heard]]:
    """A few sounds of each kit to come near to, and those that judge."""
    (train, kits), (test, test_kits) = ears.real(split / "train"), ears.real(split / "test")
    few = train.only(few_of_each(kits))
    return few, {"fitted to": few, "held out": test.only(few_of_each(test_kits))}


def shifted(styles: dict[str, Style], moves: Mapping[str, float]) -> dict[str, Style]:
    """The styles with parameters moved so far, in moves of a sweep, in all that have them, within what they can be."""
    return {
        key: replace(
            style, ranges=tuple(_shifted(entry, moves.get(entry.name, 0.0)) for entry in style.ranges)
        )
        for key, style in styles.items()
    }


def _movable(entry: Range) -> bool:
    return entry.low < entry.high and entry.name not in BY_HAND


def _shifted(entry: Range, moves: float) -> Range:
    if not moves or not _movable(entry):
        return entry
    low, high = _warp(np.array([entry.low, entry.high]), entry)
    width = max(high - low, LEAST_WIDTH_DB) if entry.unit == "dB" else high - low
    by = moves * MOVED * width
    low, high = _within(entry, _unwarp(low + by, entry), _unwarp(high + by, entry))
    return replace(entry, low=low, high=high) if low < high else entry


def swept(ears: Ears, split: Path, styles: dict[str, Style], sweeps: int) -> Iterator[dict[str, Style]]:
    """The styles after each move that brought them nearer, in so many sweeps, or fewer if one moves nothing.

    Raises InputError for a folder without sounds.
    """
    few, judges = of_each_kit(ears, split)
    space = Space.fit(few)
    made = ears.made(plain(styles, JUDGED), {})
    # Judged by other draws than those that moves are chosen by.
    space.report("before", ears.drawn(plain(styles, 2 * JUDGED)[JUDGED:], JUDGED), judges)
    for sweep in range(sweeps):
        start = least = space.distance(gathered(made.values()), few)[0]
        names = sorted({entry.name for style in styles.values() for entry in style.ranges})
        for name in generator("sweep", ears.category, SEED, sweep).permutation(names):
            for way in WAYS:
                for _ in range(MOST_MOVES):
                    tried = moved(styles, str(name), way)
                    if tried == styles:
                        break
                    heard = ears.made(plain(tried, JUDGED), made)
                    reached = space.distance(gathered(heard.values()), few)[0]
                    if reached > least - LEAST_GAIN:
                        break
                    print(f"{name} {way}: {1000.0 * least:.1f} -> {1000.0 * reached:.1f}", flush=True)
                    styles, made, least = tried, heard, reached
                    yield styles
        space.report(f"sweep {sweep + 1}", ears.drawn(plain(styles, 2 * JUDGED)[JUDGED:], JUDGED), judges)
        if least == start:
            return


def moved(styles: dict[str, Style], name: str, way: str) -> dict[str, Style]:
    """The styles with one parameter moved one `way` in all that have it, within what it can be."""
    return {
        key: replace(
            style,
            ranges=tuple(_moved(entry, way) if entry.name == name else entry for entry in style.ranges),
        )
        for key, style in styles.items()
    }


def _moved(entry: Range, way: str) -> Range:
    if way in ("oftener", "rarer"):
        if entry.chance in (0.0, 1.0):
            return entry
        odds = entry.chance / (1.0 - entry.chance) * (ODDS if way == "oftener" else 1.0 / ODDS)
        return replace(entry, chance=odds / (1.0 + odds))
    if not _movable(entry):
        return entry
    low, high = _warp(np.array([entry.low, entry.high]), entry)
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    middle += {"up": MOVED, "down": -MOVED}.get(way, 0.0) * (high - low)
    half *= {"wider": WIDENED, "narrower": 1.0 / WIDENED}.get(way, 1.0)
    low, high = _within(entry, _unwarp(middle - half, entry), _unwarp(middle + half, entry))
    return replace(entry, low=low, high=high) if low < high else entry


def left_out(kits: list[str]) -> list[NDArray[np.int64]]:
    """The sounds of each of `FOLDS` parts of the kits, or of every kit if they are fewer.

    Raises InputError for a single sound; where all are of one kit each stands for itself.
    """
    kits = kits_apart(kits)
    names = generator("folds", SEED).permutation(sorted(set(kits)))
    if len(names) < 2:
        raise InputError("a single sound can be fitted to, or judge, not both", hint="give more sounds")
    return [np.flatnonzero(np.isin(kits, part)) for part in np.array_split(names, min(FOLDS, len(names)))]


@dataclass(frozen=True)
class Chain:
    """Rounds of fitting to some sounds."""

    ears: Ears
    space: Space
    real: Heard
    shares: F64  # of each sound
    sounds: int  # to draw in each round

    def styles(self, styles: dict[str, Style], rounds: int) -> Iterator[dict[str, Style]]:
        """These styles, and those after each round."""
        yield styles
        for turn in range(rounds):
            random = generator("calibrate", self.ears.category, SEED, turn)
            fresh = [draw(proposal(styles, random), random) for _ in range(self.sounds)]
            kept, heard = self.ears.audible(fresh, 1_000 * (turn + 1))
            styles = refitted(styles, kept, self.space.matching_weights(heard, self.real, self.shares))
            yield styles


@dataclass(frozen=True)
class Ears:
    """Real and synthesised sounds of a category, heard by several processes."""

    pool: ProcessPoolExecutor
    category: str

    @property
    def length_seconds(self) -> float:
        return CATEGORIES[self.category].length_seconds

    def real(self, folder: Path) -> tuple[Heard, list[str]]:
        """The sounds of a folder and their kits; what cannot be read is left out, and said so."""
        sounds = list(folder_sounds(folder, Source(licence=""), []))
        make = partial(hear_file, length_seconds=self.length_seconds)
        heard = list(self.pool.map(make, sounds, chunksize=8))
        kits = [sound.kit for sound, each in zip(sounds, heard, strict=True) if each is not None]
        if len(kits) < len(sounds):
            print(f"{len(sounds) - len(kits)} of {len(sounds)} files in {folder} cannot be read", flush=True)
        return gathered(heard), kits

    def drawn(self, parameters: Sequence[Parameters], start: int) -> Heard:
        """Sounds with these parameters, and with noise of the seeds from `start` on; what is silent is left out."""
        return self.audible(parameters, start)[1]

    def made(self, parameters: Sequence[Parameters], before: Made) -> Made:
        """Sounds with these parameters and the noise of the seeds from 0 on; none is made that was before."""
        keys = [(seed, *each.items()) for seed, each in enumerate(parameters)]
        new = [seed for seed, key in enumerate(keys) if key not in before]
        fresh = self._synthesised([parameters[seed] for seed in new], new)
        made = dict(zip([keys[seed] for seed in new], fresh, strict=True))
        return {key: made[key] if key in made else before[key] for key in keys}

    def audible(self, parameters: Sequence[Parameters], start: int) -> tuple[list[Parameters], Heard]:
        """The same, and the parameters of what is not silent: wide ranges may leave nothing of a sound."""
        heard = self._synthesised(parameters, range(start, start + len(parameters)))
        kept = [each for each, sound in zip(parameters, heard, strict=True) if sound is not None]
        return kept, gathered(heard)

    def _synthesised(self, parameters: Sequence[Parameters], seeds: Sequence[int]) -> list[Numbers | None]:
        make = partial(hear_synthesised, self.category, self.length_seconds)
        return list(self.pool.map(make, parameters, seeds, chunksize=8))


def kit_shares(kits: list[str]) -> F64:
    """How much each sound counts, sum 1: those of a kit together as much as `KIT_COUNTS` of them at most.

    >>> kit_shares(["rack"] * 8 + ["pair"] * 2)[[0, -1]].round(3).tolist()
    [0.083, 0.167]
    """
    kits = kits_apart(kits)
    sizes = Counter(kits)
    shares = np.array([min(1.0, KIT_COUNTS / sizes[kit]) for kit in kits])
    return shares / shares.sum()


def few_of_each(kits: list[str], most: int = KIT_COUNTS) -> NDArray[np.int64]:
    """Which sounds to judge by: `most` of every kit."""
    kits = kits_apart(kits)
    order = generator("few", SEED).permutation(len(kits))
    taken: Counter[str] = Counter()
    chosen = []
    for index in order:
        taken[kits[index]] += 1
        if taken[kits[index]] <= most:
            chosen.append(index)
    return np.sort(np.array(chosen, dtype=np.int64))


def plain(styles: dict[str, Style], count: int) -> list[Parameters]:
    """Draws from the ranges as they are."""
    return [draw(styles, generator("plain", SEED, index)) for index in range(count)]


def hear_file(sound: Sound, *, length_seconds: float) -> Numbers | None:
    """A real sound as numbers; None if it cannot be read."""
    samples = round(length_seconds * synth.blocks.SAMPLE_RATE)
    try:
        return hear(training_sound(sound.audio(), 1.0, samples), length_seconds)
    except UnreadableAudio:
        return None


def hear_synthesised(
    category: str, length_seconds: float, parameters: Parameters, noise_seed: int
) -> Numbers | None:
    """A sound of the synthesiser as numbers; None if it is silent, or all but."""
    audio = synth.render(category, parameters, noise_seed)
    samples = round(length_seconds * synth.blocks.SAMPLE_RATE)
    try:
        return hear(training_sound(audio, 1.0, samples), length_seconds)
    except InputError:
        return None


def hear(audio: NDArray[np.float32], length_seconds: float) -> Numbers:
    """A sound as numbers."""
    return Embedding(length_seconds).features(audio), characteristics(audio)


def gathered(heard: Iterable[Numbers | None]) -> Heard:
    """What is not None as one set. Raises InputError if there is nothing."""
    pairs = [each for each in heard if each is not None]
    if not pairs:
        raise InputError("none of these sounds can be read")
    return Heard(np.stack([features for features, _ in pairs]), [described for _, described in pairs])


@dataclass(frozen=True)
class Space:
    """Where sounds are compared: components of the features, and characteristics, either block of the same weight."""

    projection: Projection
    centre: F64
    spread: F64
    block: float  # what brings the components to the size of the characteristics

    @classmethod
    def fit(cls, real: Heard) -> Space:
        """From real sounds only."""
        projection = Projection.fit(real.features, DIMENSIONS)
        table = _table(real)
        centre = np.nanmedian(table, axis=0)
        spread = np.maximum(np.nanstd(table, axis=0), list(LEAST_SPREADS.values()))
        components = projection.project(real.features)
        return cls(projection, centre, spread, math.sqrt(table.shape[1] / components.var(axis=0).sum()))

    def place(self, heard: Heard) -> F64:
        """[sound, dimension]; a characteristic that a sound does not have is an ordinary one."""
        table = (np.where(np.isnan(table := _table(heard)), self.centre, table) - self.centre) / self.spread
        return np.hstack([self.block * self.projection.project(heard.features), np.clip(table, -5.0, 5.0)])

    def matching_weights(self, pool: Heard, real: Heard, shares: F64) -> F64:
        """Weights of the pool, sum 1, with the least discrepancy from the real sounds, of which each has its share.

        Exponentiated gradients keep them positive, and end before too few sounds have all the weight. Two widths of the
        kernel see the whole and the neighbourhood.
        """
        drawn, wanted = self.place(pool), self.place(real)
        within, across = np.zeros((len(drawn), len(drawn))), np.zeros(len(drawn))
        typical = np.median(_squared(wanted, wanted))
        for width in (1.0, 0.25):
            within += np.exp(-_squared(drawn, drawn) / (2.0 * width * typical))
            across += np.exp(-_squared(drawn, wanted) / (2.0 * width * typical)) @ shares
        weights, rate = np.full(len(drawn), 1.0 / len(drawn)), 1.0
        pull = within @ weights
        best = float(weights @ pull - 2.0 * weights @ across)
        for _ in range(DESCENT_STEPS):
            slope = pull - across
            tried = weights * np.exp(-rate * (slope - slope.min()))
            tried = np.minimum(tried / tried.sum(), LARGEST_WEIGHT / len(drawn))
            tried /= tried.sum()
            if 1.0 / float(tried @ tried) < EFFECTIVE * len(drawn):
                break
            tried_pull = within @ tried
            reached = float(tried @ tried_pull - 2.0 * tried @ across)
            if reached < best:
                weights, pull, best, rate = tried, tried_pull, reached, 1.2 * rate
            else:
                rate *= 0.5
        return weights

    def distance(self, heard: Heard, real: Heard) -> tuple[float, float, dict[str, Difference]]:
        """How far these sounds are from real ones, as one number; the discrepancy; how characteristics differ."""
        mmd = metrics.mmd2(*(self.projection.project(each.features) for each in (real, heard)))
        differences = compare(real.characteristics, heard.characteristics)
        return mmd + mean_ks(differences), mmd, differences

    def report(self, name: str, heard: Heard, judges: Mapping[str, Heard]) -> float:
        """One line: how far these sounds are from each of the others. The first of these distances as one number:
        discrepancy and characteristics are of one size."""
        told, scores = [], []
        for side, real in judges.items():
            score, mmd, differences = self.distance(heard, real)
            scores.append(score)
            furthest = max(differences, key=lambda key: differences[key].distance)
            told.append(
                f"{side}: MMD² × 1000 {1000.0 * mmd:5.1f}, KS {mean_ks(differences):.3f}, {furthest} "
                f"{differences[furthest].distance:.2f}"
            )
        print(f"{name:8}", *told, sep="  ", flush=True)
        return scores[0]


def proposal(styles: dict[str, Style], random: np.random.Generator) -> dict[str, Style]:
    """The styles, somewhat more alike in share, and about half of their ranges wider."""
    total, even = sum(style.weight for style in styles.values()), 1.0 / len(styles)
    return {
        name: Style(
            name,
            0.7 * style.weight / total + 0.3 * even,
            tuple(_wider(entry) if random.random() < PROPOSED else entry for entry in style.ranges),
        )
        for name, style in styles.items()
    }


def refitted(styles: dict[str, Style], drawn: Sequence[Parameters], weights: F64) -> dict[str, Style]:
    """Styles whose shares and ranges changed as the weights changed those of the sounds drawn."""
    result = {}
    for name, style in styles.items():
        mine = np.array([each["style"] == name for each in drawn])
        own = weights[mine]
        effective = own.sum() ** 2 / max(float((own**2).sum()), 1e-30)
        way = effective / (effective + FEW)
        grown = own.sum() / max(mine.mean(), 1e-12)
        of_style = [each for each in drawn if each["style"] == name]
        entries = tuple(_refitted(entry, of_style, own, way) for entry in style.ranges)
        result[name] = Style(name, style.weight * min(max(grown, 0.25), 4.0), entries)
    total = sum(style.weight for style in result.values())
    return {
        name: replace(style, weight=max(style.weight / total, SMALLEST_SHARE))
        for name, style in result.items()
    }


def _refitted(entry: Range, drawn: Sequence[Parameters], weights: F64, way: float) -> Range:
    present = np.array([entry.name in each for each in drawn], dtype=bool)
    if present.sum() < 2 or weights[present].sum() <= 0.0:
        return entry
    chance = entry.chance
    if chance < 1.0:
        share, plain = (
            np.clip(each, 0.01, 0.99) for each in (weights[present].sum() / weights.sum(), present.mean())
        )
        odds = chance / (1.0 - chance) * (share / (1.0 - share) * (1.0 - plain) / plain) ** way
        chance = float(odds / (1.0 + odds))
    if entry.low == entry.high or entry.name in BY_HAND:
        return replace(entry, chance=chance)
    values = _warp(np.array([float(each[entry.name]) for each in drawn if entry.name in each]), entry)
    share = weights[present] / weights[present].sum()
    mean = float(share @ values)
    spread = math.sqrt(float(share @ (values - mean) ** 2))
    low, high = _warp(np.array([entry.low, entry.high]), entry)
    middle = 0.5 * (low + high) + way * (mean - values.mean())
    half = 0.5 * (high - low) * min(max(spread / max(values.std(), 1e-12), 0.5), 2.0) ** way
    low, high = max(middle - half, values.min()), min(middle + half, values.max())
    if not low < high:
        return replace(entry, chance=chance)
    return replace(entry, low=_unwarp(low, entry), high=_unwarp(high, entry), chance=chance)


def _wider(entry: Range) -> Range:
    """Wider on either side and nearer to an even chance, within what the parameter can be."""
    chance = entry.chance if entry.chance == 1.0 else 0.7 * entry.chance + 0.15
    if entry.low == entry.high or entry.name in BY_HAND:
        return replace(entry, chance=chance)
    low, high = _warp(np.array([entry.low, entry.high]), entry)
    low, high = low - WIDER * (high - low), high + WIDER * (high - low)
    low, high = _within(entry, _unwarp(low, entry), _unwarp(high, entry))
    return replace(entry, low=low, high=high, chance=chance)


def _within(entry: Range, low: float, high: float) -> tuple[float, float]:
    """Bounds that go no further than the parameter can."""
    if entry.distribution == "uniform" and entry.low >= 0.0:
        low = max(low, 0.0)  # depths, turns and shares have no other side
        if entry.name.endswith(("turns", "asymmetry", "rattle", "grain", "jitter", "spread", "shape")):
            low, high = max(low, 0.4 * entry.name.endswith("shape")), max(min(high, 1.0), entry.high)
    if entry.name.endswith("_hz"):
        high = min(high, max(entry.high, HIGHEST_HZ))
    if entry.name == "gate_db":
        high = min(high, max(entry.high, HIGHEST_GATE_DB))
    return low, high


def _warp(values: F64, entry: Range) -> F64:
    return np.log(values) if entry.distribution == "log" else values


def _unwarp(value: float, entry: Range) -> float:
    return math.exp(value) if entry.distribution == "log" else float(value)


def _table(heard: Heard) -> F64:
    return np.array([[sound[name] for name in LEAST_SPREADS] for sound in heard.characteristics], np.float64)


def _squared(first: F64, second: F64) -> F64:
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2.0 * first @ second.T
    return np.asarray(np.maximum(squares, 0.0))


def as_text(category: str, styles: dict[str, Style]) -> str:
    """The file that `synth.styles` reads: shares in parts of a hundred, numbers of three digits."""
    total = sum(style.weight for style in styles.values())
    lines = [
        f"# What the synthesiser draws {CATEGORIES[category].plural.replace('_', ' ')} from. Each style: its share,",
        "# then low, high and chance of every parameter. `scripts/calibrate_synth.py` brings them nearer to real ones.",
    ]
    for style in styles.values():
        lines += [f"{style.name}:", f"  weight: {100.0 * style.weight / total:.3g}", "  ranges:"]
        for entry in style.ranges:
            if entry.chance < RAREST:
                continue
            numbers = [entry.low, entry.high, entry.chance][: 3 if entry.chance < 1.0 else 2]
            lines.append(f"    {entry.name}: [{', '.join(_number(number) for number in numbers)}]")
    return "\n".join(lines) + "\n"


def _number(number: float) -> str:
    """Three digits, without an exponent: YAML takes 1e-05 for a word."""
    return np.format_float_positional(number, precision=3, fractional=False, trim="-")


if __name__ == "__main__":
    sys.exit(main())
