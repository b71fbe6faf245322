"""Measures what the controls of `render`, `vary` and `morph` do, on the bundled models, and writes docs/controls.md.

    python scripts/measure_controls.py                  # every bundled model; `vary` and `morph` on synthesised sounds
    python scripts/measure_controls.py --audio FOLDER   # on real ones: FOLDER/kick/*.flac …
    python scripts/measure_controls.py kick --count 64  # this model, on more sounds
    python scripts/measure_controls.py --only-report    # the document again, from what was measured

What was measured of a model is a file in --work, and the document tells of all that are there. The same command goes on
where it was stopped: a model is measured again only if it has changed, or --count or the kind of sounds.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from document_sections import paragraphs, signature, table, write_sections
from draw_walls import FREE
from measure_sound import known, plural
from numpy.typing import NDArray

from samplegan import store
from samplegan.categories import CATEGORIES
from samplegan.dataset import FEWEST_SOUNDS, licences_of, training_sound
from samplegan.descriptors import PITCH_CONFIDENT, Descriptors, describe, note_of
from samplegan.errors import ConfigError, InputError, SampleganError
from samplegan.evaluate.baselines import synthesiser
from samplegan.evaluate.distributions import LEAST_SPREADS
from samplegan.evaluate.embedding import BLOCKS, Embedding, Projection
from samplegan.evaluate.sets import Sounds, at_most, read_folder
from samplegan.files import write_json
from samplegan.finishing import Unusable
from samplegan.gates import BLOCK_CANDIDATES, BLOCK_FILES
from samplegan.render import Candidate, Draw, RenderOptions, candidate, chosen, drawn_by
from samplegan.steering import CONTROLS
from samplegan.store import Model
from samplegan.tuning import Pitch, parse_pitch
from samplegan.vary import drawn_between, drawn_near, encode

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
S = TypeVar("S")
T = TypeVar("T")
Made = Sequence[Candidate | None]  # finished sounds by number; None where `render` would have drawn another
Record = dict[str, Any]
Records = Mapping[str, Record]  # by category

DOCUMENT = Path("docs/controls.md")
SEED = 0
PLAIN_SOUNDS = 80  # that say what the model's own sounds are
MOST_SOURCES = 160  # sounds that the nearest is looked for among
AMOUNTS = (-2.0, -1.0, 1.0, 2.0)  # of a control
LEAST_ROOM = 0.1  # in deviations: sounds that have less of it do not count
FEWEST_COUNTED = 4  # sounds that a figure may be told of
ENOUGH = 0.5  # of what there is room for
NOTE = "F"
NEAR_CENTS, FAIR_CENTS = 10.0, 30.0
TRUNCATIONS = (0.5, 0.7, 1.3)
VARIED = (0.0, 0.1, 0.2, 0.5, 1.0)
STEPS = 8  # of a morph
GATED_FILES = 64
OCTAVE_DB = 10.0 * math.log10(2.0)  # of power


@dataclass(frozen=True)
class Meaning:
    """What a control moves, in words and as it is read."""

    words: str
    unit: str
    least: float  # spread of a value of `steering.CONTROLS` that can be heard
    text: Callable[[float], str]  # of such a value


MEANINGS = {
    "punchy": Meaning(
        "the crest, peak over mean level", "dB", LEAST_SPREADS["crest_db"], lambda value: f"{value:.1f}"
    ),
    "bright": Meaning(
        "the centroid of the first 23 ms",
        "Hz",
        LEAST_SPREADS["attack_centroid_log2_hz"],
        lambda value: f"{2.0**value:,.0f}",
    ),
    "long": Meaning(
        "the decay to -20 dB",
        "ms",
        LEAST_SPREADS["decay_20_log2_s"],
        lambda value: f"{1000.0 * 2.0**value:,.0f}",
    ),
    "noisy": Meaning(
        "the flatness of the spectrum",
        "dB",
        LEAST_SPREADS["flatness_db"] / OCTAVE_DB,
        lambda value: f"{OCTAVE_DB * value:.1f}",
    ),
    "wide": Meaning(
        "side over middle, at least -60 dB", "dB", LEAST_SPREADS["width_db"], lambda value: f"{value:.0f}"
    ),
}
LEAST = np.array([MEANINGS[control].least for control in CONTROLS])

INTRODUCTION = """# What the controls do, measured

`--punchy`, `--pitch`, `--truncation`, `vary`, `morph` and gates promise something. Here is how far each bundled model
keeps it. All of it is measured on finished sounds as `render` writes them, none chosen, and without gates but where
they are the question. Nobody listened: these are figures of sounds.

*Distance* is that of two sounds in the embedding of `samplegan evaluate`, all of it: the decibels of the middle, of the
side and of the lows, from the attack to the end, the three counting alike.
"""


@dataclass(frozen=True)
class Settings:
    """Where and how much."""

    audio: Path | None
    work: Path
    count: int
    threads: int

    def record(self, category: str) -> Path:
        return self.work / "controls" / f"{category}.json"

    @property
    def command(self) -> str:
        audio = " --audio FOLDER" if self.audio else ""
        return f"python scripts/measure_controls.py{audio} --count {self.count} --threads {self.threads}"


def main() -> int:
    """Measure what is not measured yet, and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("categories", nargs="*", help="all that are bundled, unless some are named")
    parser.add_argument("--audio", type=Path, help="a folder with one folder for each category")
    parser.add_argument("--count", type=int, default=16, help="sounds for each amount of a control")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--work", type=Path, default=Path("measured-runs"), help="where records are kept")
    parser.add_argument("--out", type=Path, default=DOCUMENT)
    parser.add_argument("--only-report", action="store_true", help="measure nothing")
    given = parser.parse_args()
    if unknown := [name for name in given.categories if name not in CATEGORIES]:
        parser.error(f"'{unknown[0]}' is no category; choose from {', '.join(CATEGORIES)}")
    if given.count < 4 or given.threads < 1:
        parser.error("--count must be at least 4, and --threads at least 1")
    settings = Settings(given.audio, given.work, given.count, given.threads)
    exit_code = 0
    for category in [] if given.only_report else given.categories or bundled():
        try:
            measure(category, settings)
        except SampleganError as error:
            print(f"error: {category}: {error}", file=sys.stderr)
            exit_code = error.exit_code
        write_document(settings, given.out)
    if given.only_report:
        write_document(settings, given.out)
    return exit_code


def model_file(category: str) -> Path:
    """Where the bundled model of a category is."""
    return store.BUNDLED_FOLDER / f"{category}.safetensors"


def bundled() -> list[str]:
    """The categories that there are bundled models of."""
    return [name for name in CATEGORIES if model_file(name).is_file()]


# --- measuring


def measure(category: str, settings: Settings) -> None:
    """Everything of one bundled model, once."""
    model = store.load_model(str(model_file(category)))
    subject = {
        "sha256": model.sha256,
        "count": settings.count,
        "kind": "synthesised" if settings.audio is None else "real",
    }
    record = known(settings.record(category))
    if {key: record.get(key) for key in subject} == subject:
        return
    began = time.monotonic()
    few, several, threads = settings.count, 2 * settings.count, settings.threads
    unseen = each_of(lambda maker: maker(), unseen_sounds(model, settings.audio).makers, threads)
    embedding = Embedding(model.representation.length_seconds)
    features = np.stack(each_of(embedding.features, unseen, threads))
    bench = Bench(model, embedding, Projection.fit(features, 1).scale, threads)
    sources = sources_among(unseen, features / bench.scale, few)
    plain = bench.sounds(max(PLAIN_SOUNDS, GATED_FILES, several))
    own = bench.places(plain)
    record = subject | {
        "steps": model.card["steps"],
        "plain": sum(sound is not None for sound in plain),
        "unseen": len(unseen),
        "controls": controls_of(bench, plain, few),
        "pitch": pitch_of(bench, plain[:several]),
        "truncation": truncation_of(bench, own[:few]),
        "vary": vary_of(bench, sources, own),
        "morph": morph_of(bench, sources),
        "gates": gates_of(bench, own[:GATED_FILES]),
        "seconds": round(time.monotonic() - began, 1),
        "signature": signature(settings.command),
    }
    write_json(settings.record(category), record)
    print(f"{category}: {record['seconds']:.0f} s, see {settings.record(category)}", flush=True)


def unseen_sounds(model: Model, audio: Path | None) -> Sounds:
    """Sounds that no bundled model learned from: real ones without those in the public domain, or synthesised."""
    length_samples = model.representation.length_samples
    if audio is None:
        return synthesiser(model.category, MOST_SOURCES, SEED, length_samples)
    folder = audio / model.category
    if not folder.is_dir():
        raise ConfigError("there is no such folder", file=folder)
    found = read_folder(folder, model.category, length_samples)
    licences = licences_of(folder)
    kept = [index for index, file in enumerate(found.files) if licences.get(file) not in FREE]
    if len(kept) < FEWEST_SOUNDS:
        raise InputError(
            f"{len(kept)} sounds here that the bundled model may not have learned from, and at least {FEWEST_SOUNDS} "
            "are needed",
            file=folder,
        )
    return at_most(found.only(kept), MOST_SOURCES, SEED)


@dataclass(frozen=True, eq=False)
class Source:
    """A sound that others are made from."""

    audio: F32  # [2, length_samples]
    place: F64  # [feature]
    nearest: float  # the distance to the nearest of the other sounds
    mean: float  # to all of them


@dataclass(frozen=True, eq=False)
class Bench:
    """A model, what its sounds are measured in, and the threads that do it."""

    model: Model
    embedding: Embedding
    scale: F64  # of the embedding's features: with it its blocks count alike
    threads: int
    options: RenderOptions = field(default_factory=lambda: RenderOptions(seed=SEED))

    def sounds(
        self, count: int, draw_of: Callable[[int], Draw] | None = None, **options: Any
    ) -> list[Candidate | None]:
        """Sounds 1 … `count` with these options, of the model or of the draw that belongs to a number."""
        checked = replace(self.options, **options).checked(self.model)
        draw = drawn_by(self.model, checked)

        def sound(number: int) -> Candidate | None:
            try:
                found = candidate(self.model, number, checked, draw_of(number) if draw_of else draw)
            except Unusable:
                return None
            return found if found.attempt == 0 else None  # another attempt is another sound

        return each_of(sound, range(1, count + 1), self.threads)

    def place(self, audio: F32) -> F64:
        """Where a sound [2, sample] lies, [feature]."""
        aligned = training_sound(audio, 1.0, self.model.representation.length_samples)
        return self.embedding.features(aligned) / self.scale

    def places(self, sounds: Made) -> F64:
        """Where sounds lie, [sound, feature]; nan for None."""
        nowhere = np.full(self.scale.size, math.nan)

        def placed(sound: Candidate | None) -> F64:
            return nowhere if sound is None else self.place(sound.finished.audio)

        return np.stack(each_of(placed, sounds, self.threads))


def sources_among(audio: Sequence[F32], places: F64, count: int) -> list[Source]:
    """`count` of the sounds, evenly spaced."""
    found = []
    for index in np.unique(np.linspace(0, len(audio) - 1, count).round().astype(int)):
        far = distance(np.delete(places, index, axis=0), places[index])
        found.append(Source(audio[index], places[index], float(far.min()), float(far.mean())))
    return found


def each_of(task: Callable[[S], T], items: Iterable[S], threads: int) -> list[T]:
    """What `task` makes of every item, on several threads."""
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return list(pool.map(task, items))


def distance(first: F64, second: F64) -> F64:
    """Of places [..., feature] → [...]."""
    return np.sqrt(np.square(first - second).sum(axis=-1))


def distances_among(places: F64) -> F64:
    """[sound, sound]; nan from a sound to itself, and where a place is nan."""
    among = np.stack([distance(places, place) for place in places])
    np.fill_diagonal(among, math.nan)
    return among


def median(values: Iterable[float]) -> float | None:
    """Of those that are numbers; None if none is."""
    present = [value for value in values if math.isfinite(value)]
    return float(np.median(present)) if present else None


def medians(rows: Sequence[F64]) -> list[float | None]:
    """Column by column."""
    return [median(column) for column in np.stack(rows).T]


def share(flags: NDArray[np.bool_]) -> float | None:
    """Of those that are true; None of none."""
    return float(flags.mean()) if flags.size else None


# --- punchy, bright, long, noisy, wide


def controls_of(bench: Bench, plain: Made, count: int) -> Record:
    """How far every control moves what it means and what it does not; None where the model's sounds do not differ."""
    values = values_of(plain)
    before = values[:count]
    found: Record = {}
    for own, control in enumerate(CONTROLS):
        try:
            after = [values_of(bench.sounds(count, **{control: amount})) for amount in AMOUNTS]
        except ConfigError:
            found[control] = None
            continue
        found[control] = {
            "plain": median(before[:, own]),
            "amounts": {
                f"{amount:+g}": moved(values, each, amount, own)
                for amount, each in zip(AMOUNTS, after, strict=True)
            },
        }
    return found


def values_of(sounds: Made) -> F64:
    """What the controls move, [sound, control]; nan for None."""
    nothing = [math.nan] * len(CONTROLS)
    return np.array(
        [
            nothing if sound is None else [control(sound.descriptors) for control in CONTROLS.values()]
            for sound in sounds
        ]
    )


def moved(plain: F64, after: F64, amount: float, own: int) -> Record:
    """How far values [sound, control] moved from the first of the plain ones, in standard deviations of those.

    A sound has room until where no plain sound is: one that is mono cannot become narrower, and does not count. A
    deviation is at least what can be heard: among sounds that are all mono, no width would be infinitely far.
    """
    spread = np.maximum(np.nanstd(plain, axis=0), LEAST)
    before = plain[: len(after)]
    farthest = np.clip(before + amount * spread, np.nanmin(plain, axis=0), np.nanmax(plain, axis=0))
    way, room = (after - before) / spread, ((farthest - before) / spread)[:, own]
    counted = (np.abs(room) >= LEAST_ROOM) & np.isfinite(way[:, own])
    if counted.sum() < FEWEST_COUNTED:
        counted[:] = False
    return {
        "moved": medians(way[counted]) if counted.any() else [None] * len(spread),
        "room": median(room[counted]),
        "asked_way": share(way[counted, own] * amount > 0.0),
        "counted": share(counted),
        "value": median(after[:, own]),
    }


# --- pitch


def pitch_of(bench: Bench, plain: Made) -> Record | None:
    """How near sounds come to the nearest of a note and to one for all; None for sounds without a body."""
    if bench.model.representation.partials == 0:
        return None
    found = {NOTE: tuned(plain, bench.sounds(len(plain), pitch=NOTE), parse_pitch(NOTE))}
    pitches = [hz for sound in plain if sound and (hz := clear_pitch_hz(sound.descriptors))]
    if pitches:
        name, midi_note, _ = note_of(float(np.median(pitches)))
        note = f"{name}{midi_note // 12 - 1}"
        found[note] = tuned(plain, bench.sounds(len(plain), pitch=note), parse_pitch(note))
    return found


def tuned(plain: Made, after: Made, pitch: Pitch) -> Record:
    """Of the same sounds, plain and tuned: those that there was nothing to tune in are None afterwards."""
    pairs = [
        (first.descriptors, second.descriptors)
        for first, second in zip(plain, after, strict=True)
        if first and second
    ]
    before, clear = (
        np.array([off_cents(clear_pitch_hz(sound), pitch) for sound in sounds])
        for sounds in (tuple(zip(*pairs, strict=True)) or ((), ()))
    )
    guessed = np.array([off_cents(second.pitch_hz, pitch) for _, second in pairs])
    return {
        "without_body": 1.0 - len(pairs) / max(sum(sound is not None for sound in plain), 1),
        "unclear": share(np.isnan(clear)),
        "unclear_fair": share(guessed[np.isnan(clear)] <= FAIR_CENTS),
        "before": nearness(before),
        "after": nearness(clear),
    }


def clear_pitch_hz(sound: Descriptors) -> float | None:
    """The pitch of a sound that has one for certain."""
    return sound.pitch_hz if sound.pitch_confidence >= PITCH_CONFIDENT else None


def off_cents(hz: float | None, pitch: Pitch) -> float:
    """How far a pitch is from a note; nan of none."""
    return abs(1200.0 * math.log2(hz / pitch.near(hz))) if hz else math.nan


def nearness(cents: F64) -> Record:
    """Of those that are numbers."""
    clear = cents[np.isfinite(cents)]
    return {
        "near": share(clear <= NEAR_CENTS),
        "fair": share(clear <= FAIR_CENTS),
        "median": median(clear),
    }


# --- truncation


def truncation_of(bench: Bench, own: F64) -> Record:
    """Mean distances among sounds, as shares of that among the plain ones."""
    usual = np.nanmean(distances_among(own))
    found = {}
    for truncation in TRUNCATIONS:
        places = bench.places(bench.sounds(len(own), truncation=truncation))
        found[f"{truncation:g}"] = float(np.nanmean(distances_among(places)) / usual)
    return found


# --- vary, morph


def vary_of(bench: Bench, sources: Sequence[Source], own: F64) -> Record:
    """How near variations are to what they were made from, and what is lost at amount 0."""
    encoded = [encode(bench.model, source.audio) for source in sources]
    here = np.stack([source.place for source in sources])
    nearest, mean = (np.array([getattr(source, name) for source in sources]) for name in ("nearest", "mean"))

    def varied(amount: float, seed: int = SEED) -> list[Candidate | None]:
        return bench.sounds(
            len(sources), lambda number: drawn_near(bench.model, encoded[number - 1], amount), seed=seed
        )

    made = {amount: varied(amount) for amount in VARIED}
    places = {amount: bench.places(sounds) for amount, sounds in made.items()}
    far = {amount: distance(here, place) for amount, place in places.items()}
    again = distance(places[0.0], bench.places(varied(0.0, SEED + 1)))
    others = np.array([np.nanmean(distance(own, place)) for place in here])
    return {
        "of_nearest": {f"{amount:g}": median(each / nearest) for amount, each in far.items()},
        "of_mean": {f"{amount:g}": median(each / mean) for amount, each in far.items()},
        "nearer": share((far[0.0] < nearest)[np.isfinite(far[0.0])]),
        "again_of_nearest": median(again / nearest),
        "others_of_mean": median(others / mean),
        "lost": lost(bench, sources, made[0.0]),
    }


def lost(bench: Bench, sources: Sequence[Source], made: Made) -> Record:
    """How far sounds are from their sources, whichever way: medians."""
    rows = []
    for source, sound in zip(sources, made, strict=True):
        if sound is None:
            continue
        was, is_ = describe(source.audio), sound.descriptors
        apart = (bench.place(sound.finished.audio) - source.place) * bench.scale
        rows.append(
            (
                np.abs(apart[BLOCKS["mid"]]).mean(),
                octaves(was.decay_20_db_s, is_.decay_20_db_s),
                octaves(was.attack_centroid_hz, is_.attack_centroid_hz),
                1200.0 * octaves(clear_pitch_hz(was), clear_pitch_hz(is_)),
            )
        )
    found = np.array(rows).reshape(-1, 4)
    names = ("levels_db", "decay_octaves", "brightness_octaves", "pitch_cents")
    return dict(zip(names, map(median, found.T), strict=True)) | {
        "with_pitch": share(np.isfinite(found[:, 3]))
    }


def octaves(first: float | None, second: float | None) -> float:
    """How far apart; nan where one is missing."""
    return abs(math.log2(second / first)) if first and second else math.nan


def morph_of(bench: Bench, sources: Sequence[Source]) -> Record:
    """Whether the way from one sound to the next is even, and leads there: medians over pairs."""
    ways = []
    for first, last in zip(sources[::2], sources[1::2], strict=False):
        draw = drawn_between(
            bench.model, encode(bench.model, first.audio), encode(bench.model, last.audio), STEPS, SEED
        )
        steps = bench.places(bench.sounds(STEPS, lambda _number, draw=draw: draw))
        ways.append(way_of(steps, first.place, last.place))
    return {name: medians([way[name] for way in ways]) for name in ways[0]}


def way_of(steps: F64, first: F64, last: F64) -> dict[str, F64]:
    """Of the places of all steps [step, feature], and of the sounds that they lead from and to [feature]."""
    long = distance(steps[1:], steps[:-1])
    from_first, to_last = distance(steps, first), distance(steps, last)
    forward = (np.diff(from_first) > 0.0) & (np.diff(to_last) < 0.0)
    return {
        "steps": long / long.mean(),
        "forward": np.array([forward.mean()]),
        "detour": np.array([long.sum() / distance(steps[0], steps[-1])]),
        "ends": np.array([from_first[0], to_last[-1]]) / distance(first, last),
    }


# --- gates


def gates_of(bench: Bench, own: F64) -> Record:
    """What gates refuse for a pack, and how far its sounds lie from each other, with gates and without."""
    options = replace(bench.options, gates=True).checked(bench.model)
    draw = drawn_by(bench.model, options)

    def made(number: int) -> tuple[Candidate | None, Counter[str]]:
        refused: Counter[str] = Counter()
        try:
            return candidate(bench.model, number, options, draw, refused), refused
        except Unusable:
            return None, refused

    found = each_of(made, range(1, len(own) // BLOCK_FILES * BLOCK_CANDIDATES + 1), bench.threads)
    candidates = [each for each, _ in found]
    refused = sum((each for _, each in found), Counter[str]())
    files = [
        file
        for start in range(0, len(candidates), BLOCK_CANDIDATES)
        for file in chosen(candidates[start : start + BLOCK_CANDIDATES], BLOCK_FILES)
    ]
    usable = sum(each is not None for each in candidates)
    return {
        "files": len(files),
        "drawn": usable + refused.total(),
        "refused": dict(sorted(refused.items())),
        "alike": usable - len(files),
        "without": nearest_of(own),
        "with": nearest_of(bench.places(files)),
    }


def nearest_of(places: F64) -> dict[str, float]:
    """Distances to the nearest other sound: the least, the mean over blocks of the least inside, and the mean."""
    among = np.nan_to_num(distances_among(places), nan=math.inf)
    blocks = [slice(start, start + BLOCK_FILES) for start in range(0, len(among), BLOCK_FILES)]

    def mean(distances: F64) -> float:
        return float(distances[np.isfinite(distances)].mean())

    return {
        "pair": float(among.min()),
        "pair_in_block": mean(np.array([among[block, block].min() for block in blocks])),
        "mean": mean(among.min(axis=1)),
    }


# --- the document


def write_document(settings: Settings, document: Path) -> None:
    """A section for each question, of all models that there are records of."""
    records = {name: record for name in CATEGORIES if (record := known(settings.record(name)))}
    if not records:
        return
    sections = {"controls": controls_section(records)}
    sections |= {control: control_section(control, records) for control in CONTROLS}
    sections |= {
        "pitch": pitch_section(records),
        "truncation": truncation_section(records),
        "vary": vary_section(records),
        "morph": morph_section(records),
        "gates": gates_section(records),
        "models": models_section(records),
    }
    write_sections(document, INTRODUCTION, sections)


def number(value: float | None, digits: int = 1, *, sign: bool = False) -> str:
    """A figure of a table."""
    return "–" if value is None else f"{value:{'+' if sign else ''}.{digits}f}"


def percent(value: float | None) -> str:
    """A share of a table."""
    return "–" if value is None else f"{value:.0%}"


def controls_section(records: Records) -> str:
    """How controls are measured, what moves with what, and which fall short."""
    rows = []
    for control in CONTROLS:
        ways = [
            record["controls"][control]["amounts"]["+1"]["moved"] for record in with_control(control, records)
        ]
        present = [[math.nan if each is None else each for each in way] for way in ways]
        middle = medians(np.array(present)) if present else [None] * len(CONTROLS)
        rows.append((f"`--{control} +1`", *(number(each, sign=True) for each in middle)))
    short = [
        f"`--{control} {amount}` of {plural(category)}"
        for control in CONTROLS
        for category, record in records.items()
        if record["controls"][control]
        for amount, each in record["controls"][control]["amounts"].items()
        if falls_short(each, control)
    ]
    return paragraphs(
        "## Punchy, bright, long, noisy, wide",
        "A control is asked for in standard deviations of the model's own sounds, and every sound is compared with "
        "itself without it. What goes together in the sounds learned from moves together. How far a control moves what "
        "each of the five means, in deviations of it, medians of the models' medians:",
        table(("", *CONTROLS), rows),
        "A table for each control follows. *-2* … *+2*: how far it moves what it means, in deviations, median. No "
        "sound can go further than the model's sounds do: where the median sound has less room than nine tenths of "
        f"what is asked for, brackets say how much; sounds without room (less than {LEAST_ROOM:g}: mono cannot "
        f"become narrower) do not count. Bold: less than {ENOUGH:g} of the room. Then medians of the plain value, "
        "*0* without the control; *the asked way*: the share of sounds that go there, of all four amounts; and how "
        "far the others move along at +1.",
        f"Short of half the room: {', '.join(short) or 'none'}.",
    )


def with_control(control: str, records: Records) -> list[Record]:
    """The records of models that have it."""
    return [record for record in records.values() if record["controls"][control]]


def falls_short(measured: Record, control: str) -> bool:
    """Whether the median sound moves less than half of what it could."""
    way, room = measured["moved"][list(CONTROLS).index(control)], measured["room"]
    return way is not None and way * math.copysign(1.0, room) < ENOUGH * abs(room)


def control_section(control: str, records: Records) -> str:
    """One control of all models."""
    own, meaning = list(CONTROLS).index(control), MEANINGS[control]
    others = [name for name in CONTROLS if name != control]
    amounts = [f"{amount:+g}" for amount in AMOUNTS]
    middle = len(amounts) // 2
    header = ("", *amounts, f"{meaning.unit} at {', '.join([*amounts[:middle], '0', *amounts[middle:]])}")
    rows = []
    for category, record in records.items():
        found = record["controls"][control]
        if not found:
            rows.append((plural(category), *("–" for _ in range(len(header) + len(others)))))
            continue
        each = [found["amounts"][amount] for amount in amounts]
        values = [measured["value"] for measured in each]
        values.insert(middle, found["plain"])
        shares = [(measured["asked_way"], measured["counted"]) for measured in each if measured["counted"]]
        asked_way = (
            sum(way * counted for way, counted in shares) / sum(counted for _, counted in shares)
            if shares
            else None
        )
        along = found["amounts"]["+1"]["moved"]
        rows.append(
            (
                plural(category),
                *(
                    moved_words(measured, amount, control)
                    for measured, amount in zip(each, AMOUNTS, strict=True)
                ),
                " · ".join("–" if value is None else meaning.text(value) for value in values),
                percent(asked_way),
                *(number(way, sign=True) for index, way in enumerate(along) if index != own),
            )
        )
    return f"### `--{control}`: {meaning.words}\n\n{table((*header, 'the asked way', *others), rows)}"


def moved_words(measured: Record, amount: float, control: str) -> str:
    """How far, and how far it could."""
    way, room = measured["moved"][list(CONTROLS).index(control)], measured["room"]
    if way is None:
        return "–"
    text = number(way, sign=True)
    if falls_short(measured, control):
        text = f"**{text}**"
    return text if abs(room) >= 0.9 * abs(amount) else f"{text} ({number(room, sign=True)})"


def pitch_section(records: Records) -> str:
    """How near to a note."""
    header = (
        *("", "note", "no body", "no clear pitch", f"of these ≤ {FAIR_CENTS:g} cents"),
        *(
            f"{when}: {what}"
            for when in ("plain", "tuned")
            for what in (f"≤ {NEAR_CENTS:g} cents", f"≤ {FAIR_CENTS:g}", "median")
        ),
    )
    rows = [
        (
            plural(category),
            note,
            percent(found["without_body"]),
            percent(found["unclear"]),
            percent(found["unclear_fair"]),
            *(
                text
                for when in ("before", "after")
                for text in (
                    percent(found[when]["near"]),
                    percent(found[when]["fair"]),
                    number(found[when]["median"]),
                )
            ),
        )
        for category, record in records.items()
        for note, found in (record["pitch"] or {}).items()
    ]
    return paragraphs(
        "## Pitch",
        f"Of sounds with a body: tuned to the nearest {NOTE}, and all to the note that the middle one is nearest to. "
        "*No body*: the share of sounds that had none to tune, in whose place `render` draws another. *No clear "
        "pitch*: of those tuned, the share whose pitch is not certain afterwards, and how many of these come near to "
        "the note as far as it can be told. Then, of sounds with a clear pitch, how many are how near to the note, "
        "plain and tuned.",
        table(header, rows, left=2),
    )


def truncation_section(records: Records) -> str:
    """How alike sounds become."""
    names = sorted([*(f"{each:g}" for each in TRUNCATIONS), "1"], key=float)
    rows = [
        (plural(category), *(number({**record["truncation"], "1": 1.0}[name], 2) for name in names))
        for category, record in records.items()
    ]
    return paragraphs(
        "## Truncation",
        "The mean distance of two sounds, of that at `--truncation 1`.",
        table(("", *names), rows),
    )


def vary_section(records: Records) -> str:
    """How near variations are, and what is lost."""
    amounts = [f"{amount:g}" for amount in VARIED]
    header = ("", *amounts, "nearer at 0", "0 again", "any other")
    rows, losses = [], []
    for category, record in records.items():
        found, gone = record["vary"], record["vary"]["lost"]
        rows.append(
            (
                plural(category),
                *(
                    f"{number(found['of_nearest'][amount], 2)} ({number(found['of_mean'][amount], 2)})"
                    for amount in amounts
                ),
                percent(found["nearer"]),
                number(found["again_of_nearest"], 2),
                f"({number(found['others_of_mean'], 2)})",
            )
        )
        losses.append(
            (
                plural(category),
                number(gone["levels_db"]),
                *(percent(factor(gone[name])) for name in ("decay_octaves", "brightness_octaves")),
                number(gone["pitch_cents"]),
                percent(gone["with_pitch"]),
            )
        )
    return paragraphs(
        "## Vary",
        "Variations of sounds that the model never saw, one for each `--amount`. How far they are from the sound "
        "they were made from: of its distance to the nearest of the other sounds, and in brackets of its mean "
        "distance to all of them, medians. *Nearer at 0*: the share of sounds that amount 0 comes nearer to than "
        "any other sound does. *0 again*: how far two of amount 0 are apart, which differ in nothing but noise. "
        "*Any other*: how far the model's own sounds are.",
        table(header, rows),
        "What amount 0, the sound as an image keeps it, is off by, whichever way, medians: the levels of bands and "
        "moments of the middle, the decay to -20 dB, the brightness of the first 23 ms, and the pitch of those that "
        "have a clear one, before and after.",
        table(("", "levels, dB", "decay", "brightness", "pitch, cents", "with a pitch"), losses),
    )


def factor(octaves_apart: float | None) -> float | None:
    """As a share on top."""
    return None if octaves_apart is None else 2.0**octaves_apart - 1.0


def morph_section(records: Records) -> str:
    """Whether ways are even."""
    header = (
        "",
        *(f"{step} to {step + 1}" for step in range(1, STEPS)),
        *("forward", "way", "first end", "last end"),
    )
    rows = [
        (
            plural(category),
            *(number(step, 2) for step in record["morph"]["steps"]),
            percent(record["morph"]["forward"][0]),
            *(number(each, 2) for name in ("detour", "ends") for each in record["morph"][name]),
        )
        for category, record in records.items()
    ]
    return paragraphs(
        "## Morph",
        f"From one sound to another in {STEPS} steps. How long each step is, of the mean step of its way, medians: 1 "
        "throughout is even. *Forward*: the share of steps that lead away from the first sound and towards the "
        "last. *Way*: how long all steps are together, of the distance of the ends of the way. *First end*, *last "
        "end*: how far these are from the sounds themselves, of the distance of the two.",
        table(header, rows),
    )


def gates_section(records: Records) -> str:
    """What gates refuse, and what it is good for."""
    header = ("", "drawn", "flawed", "copies", "alike", "nearest pair", "in a block", "mean nearest", "flaws")
    rows = []
    for category, record in records.items():
        found = record["gates"]
        flaws = {name: count for name, count in found["refused"].items() if name != "copy"}
        rows.append(
            (
                plural(category),
                found["drawn"],
                sum(flaws.values()),
                found["refused"].get("copy", 0),
                found["alike"],
                *(
                    f"× {number(found['with'][name] / found['without'][name], 2)}"
                    for name in ("pair", "pair_in_block", "mean")
                ),
                ", ".join(f"{count} {name}" for name, count in flaws.items()) or "none",
            )
        )
    return paragraphs(
        "## Gates",
        f"A pack of {GATED_FILES} files, with gates and without. *Drawn*: sounds made for it. *Flawed*, *copies*, "
        "*alike*: how many of these were left out, and why. Then how the distance of the two nearest sounds grows by "
        f"it, that of the two nearest in a block (gates choose inside blocks of {BLOCK_FILES} files; mean), and the "
        "mean distance to the nearest sound.",
        table(header, rows),
    )


def models_section(records: Records) -> str:
    """What was measured, and by what."""
    header = ("", "model", "steps", "sounds for an amount", "plain", "to vary and morph", "seconds")
    rows = [
        (
            plural(category),
            f"`{record['sha256'][:16]}`",
            f"{record['steps']:,}",
            record["count"],
            record["plain"],
            f"{min(record['count'], record['unseen'])} of {record['unseen']} {record['kind']}",
            f"{record['seconds']:.0f}",
        )
        for category, record in records.items()
    ]
    signatures = dict.fromkeys(record["signature"] for record in records.values())
    return "\n\n".join(("## Models", table(header, rows, left=2), *signatures))


if __name__ == "__main__":
    sys.exit(main())
