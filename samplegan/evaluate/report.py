"""One table that says how good a model is: beside what real sounds reach, what needs no learning, and what cheats.

Several figures grow with a set's size, so each is taken of as many sounds as are held out. What a set has more than
these is not wasted: of one draw chance has a large part, so every figure is the mean of several draws. Rows:

floor          training sounds: as near as sounds of other kits come. A model cannot be expected to be nearer
ceiling        training sounds through the model's image and back: what the image costs, whatever the model
memoriser      training sounds drawn again: near in everything, and caught by the two columns on copies
PCA-Gaussian   a linear model of the images;  synthesiser   the drum synthesiser
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samplegan.categories import category_named
from samplegan.config import category_image
from samplegan.dataset import FEWEST_SOUNDS
from samplegan.errors import ConfigError, InputError
from samplegan.evaluate import baselines
from samplegan.evaluate.analysis import MeasuredSet, Measurer, Workers
from samplegan.evaluate.course import Course, read_course
from samplegan.evaluate.distributions import (
    Defects,
    Difference,
    KickTest,
    compare,
    mean_ks,
    standard_deviation,
)
from samplegan.evaluate.embedding import Embedding, Projection
from samplegan.evaluate.memorisation import NEAR_PERCENTILE, CopySearch, c_t
from samplegan.evaluate.metrics import (
    frechet_distance,
    median_distance,
    mmd2,
    ndb_js,
    nearest_neighbour_accuracy,
    precision_recall_density_coverage,
    vendi,
)
from samplegan.evaluate.sets import (
    at_most,
    model_sounds,
    read_folder,
    require_disjoint,
    told_category,
)
from samplegan.files import write_atomic, write_json
from samplegan.inspection import Skipped
from samplegan.progress import Progress
from samplegan.render import cores
from samplegan.representation import Representation, representation_for
from samplegan.signals import StopSignal
from samplegan.store import Model, find_model, load_model
from samplegan.synth.packs import LARGEST_SEED
from samplegan.validation import printable

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
SCHEMA_VERSION = 2  # 1: every figure was of one draw
REPORT_FILE = "report.json"
PAGE_FILE = "report.html"
PROJECTION_FILE = "projection.npz"
MOST_SOUNDS = 400

DRAWS = 16  # of a set's sounds, each of as many as are held out
_DIMENSIONS = 32
_SOUNDS_PER_DIMENSION = 3  # of the smallest set: a covariance of fewer is noise
_SOUNDS_PER_BIN = 20
_FEWEST_BINS = 3
# Two equal sets of n sounds are rarely further apart than this over n: three standard deviations are 0.6 to 1 over n.
_CHANCE_MMD = 0.5

FLOOR, CEILING, BASELINE, SUBJECT, BESIDE = "floor", "ceiling", "baseline", "subject", "beside"


@dataclass(frozen=True)
class Row:
    """One set against the held-out sounds. None: cannot be said, of this set or without training sounds.

    Figures are means of several draws of the set's sounds.
    """

    name: str
    kind: str  # subject, beside, floor, ceiling or baseline
    sounds: int  # in the whole set
    mmd2: float
    fd_mel: float
    precision: float
    recall: float
    density: float
    coverage: float
    one_nn: float
    ndb: float  # the share of bins that differ
    js: float
    vendi_ratio: float  # to the held-out sounds
    mean_ks: float
    width_ks: float
    pitch_spread_ratio: float | None  # of standard deviations, to the held-out sounds, as is the next
    ripple_ratio: float | None
    c_t: float | None
    share_near: float | None  # nearer to a training sound than all but 1 % of held-out sounds are
    silent: int

    def to_dict(self) -> dict[str, Any]:
        return _rounded(asdict(self))


@dataclass(frozen=True)
class Target:
    """A figure and what the project asks of it."""

    name: str
    value: float
    limit: float
    at_least: bool
    why: str  # how the limit comes about
    floor: float | None = None  # what real sounds of other kits have

    @property
    def is_met(self) -> bool:
        return self._is_reached_by(self.value)

    @property
    def is_missed_by_the_floor(self) -> bool:
        """Whether real sounds of other kits do not reach it either."""
        return self.floor is not None and not self._is_reached_by(self.floor)

    def _is_reached_by(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def to_dict(self) -> dict[str, Any]:
        verdicts = {"is_met": self.is_met, "is_missed_by_the_floor": self.is_missed_by_the_floor}
        return _rounded(asdict(self)) | verdicts


@dataclass(frozen=True, eq=False)
class Report:
    """The whole comparison."""

    category: str
    seed: int
    sounds: int  # in a draw of every set
    length_seconds: float
    against: Path
    train: Path | None
    training_sounds: int
    held_out_sounds: int  # in the folder
    projection: Projection
    bins: int
    near_distance: float | None  # the copy threshold
    rows: tuple[Row, ...]  # the subject first
    differences: dict[str, Difference]  # of the subject, by characteristic
    flaws: dict[str, Defects]  # of the held-out sounds, the subject and what stands beside it
    kicks: dict[str, KickTest]
    skipped: tuple[Skipped, ...]
    real: MeasuredSet
    generated: MeasuredSet
    model: Model | None = None  # the subject, where it is one
    course: Course | None = None  # of its training, where the log is at hand

    @property
    def subject(self) -> Row:
        return self.rows[0]

    def of_kind(self, *kinds: str) -> list[Row]:
        return [row for row in self.rows if row.kind in kinds]

    @property
    def floor(self) -> Row | None:
        return next(iter(self.of_kind(FLOOR)), None)

    def to_document(self) -> dict[str, Any]:
        """A document that `json.dumps(…, allow_nan=False)` accepts, floats to six digits."""
        return {
            "schema_version": SCHEMA_VERSION,
            "subject": self.subject.name,
            "category": self.category,
            "against": printable(self.against),
            "train": None if self.train is None else printable(self.train),
            "seed": self.seed,
            "sounds": self.sounds,
            "held_out_sounds": self.held_out_sounds,
            "training_sounds": self.training_sounds,
            "length_seconds": _rounded(self.length_seconds),
            "dimensions": self.projection.components.shape[0],
            "explained": _rounded(self.projection.explained),
            "bins": self.bins,
            "near_distance": _rounded(self.near_distance),
            "rows": [row.to_dict() for row in self.rows],
            "targets": [target.to_dict() for target in targets(self)],
            "characteristics": {name: _rounded(each.to_dict()) for name, each in self.differences.items()},
            "flaws": {name: _rounded(each.to_dict()) for name, each in self.flaws.items()},
            "kick_test": {name: _rounded(asdict(each)) for name, each in self.kicks.items()},
            "skipped": [{"path": printable(each.path), "reason": each.reason} for each in self.skipped],
        }


def evaluate(
    subject: str,
    *,
    against: Path,
    train: Path | None = None,
    beside: Sequence[str] = (),
    category: str | None = None,
    count: int = MOST_SOUNDS,
    seed: int = 0,
    jobs: int | None = None,
    quiet: bool = True,
) -> Report:
    """Compare a model, or a folder of sounds, with real sounds that it did not learn from.

    The same arguments give the same report, on any number of processes. Raises ConfigError for arguments that do not
    fit each other, InputError for a folder with fewer than 24 sounds, Stopped on Ctrl-C and SIGTERM.
    """
    if count < FEWEST_SOUNDS:
        raise ConfigError(f"--count must be at least {FEWEST_SOUNDS}, not {count}")
    if not 0 <= seed <= LARGEST_SEED:
        raise ConfigError(f"--seed must lie between 0 and {LARGEST_SEED}, not {seed}")
    entrants = _entrants((subject, *beside))
    category, representation = _kind_of_sound(entrants[0], category, [against, *([train] if train else [])])
    length_samples = representation.length_samples
    held_out = read_folder(against, "held out", length_samples)
    training = None if train is None else read_folder(train, "training", length_samples)
    if training is not None:
        require_disjoint(training, held_out)
    real_sets = [held_out] if training is None else [held_out, training]
    folders = [
        read_folder(each.source, each.name, length_samples)
        for each in entrants
        if isinstance(each.source, Path)
    ]
    size = min(count, *(len(sounds) for sounds in (*real_sets, *folders)))
    held_out_drawn = at_most(held_out, size, seed)
    each_folder = iter(folders)
    sets = [
        (
            BESIDE if index else SUBJECT,
            at_most(next(each_folder), count, seed)
            if isinstance(each.source, Path)
            else model_sounds(each.source, count, seed, length_samples).named(each.name),
        )
        for index, each in enumerate(entrants)
    ]
    if training is not None:
        known_sounds = at_most(training, count, seed)
        sets += [
            (FLOOR, known_sounds.named(FLOOR)),
            (CEILING, baselines.round_trip(known_sounds, representation, seed).named(CEILING)),
            (BASELINE, baselines.memoriser(training, count, seed)),
            (BASELINE, baselines.pca_gaussian(training, representation, count, seed)),
        ]
    sets.append((BASELINE, baselines.synthesiser(category, count, seed, length_samples)))

    embedding = Embedding(representation.length_seconds)
    search = None if training is None else CopySearch(training, representation.length_seconds)
    total = size + sum(len(sounds) for _, sounds in sets) + (len(training) if training else 0)
    stop = StopSignal()
    with (
        stop.listening(),
        Progress("evaluating", total, unit="sounds", quiet=quiet) as progress,
        Workers(Measurer(embedding, search), jobs or cores(), stop, progress) as workers,
    ):
        real = workers.measure(held_out_drawn, in_detail=True)
        known = None if training is None else workers.features(training)
        measured = [
            # The floor's sounds are training sounds: there are no copies to look for.
            (kind, workers.measure(sounds, in_detail=kind in (SUBJECT, BESIDE), copies=kind != FLOOR))
            for kind, sounds in sets
        ]
    fitted = real.features if known is None else known
    try:
        projection = Projection.fit(fitted, min(_DIMENSIONS, size // _SOUNDS_PER_DIMENSION))
        judge = _Judge(real, known, projection, seed)
        rows = tuple(judge.row(kind, each) for kind, each in measured)
    except ValueError as error:  # the held-out sounds do not differ
        raise InputError(f"these sounds cannot be compared: {error}", file=against) from error
    model = None if isinstance(entrants[0].source, Path) else entrants[0].source
    in_detail = [real, *(each for _, each in measured if each.flaws is not None)]
    return Report(
        category=category,
        seed=seed,
        sounds=size,
        length_seconds=representation.length_seconds,
        against=against,
        train=train,
        training_sounds=0 if training is None else len(training),
        held_out_sounds=len(held_out),
        projection=projection,
        bins=judge.bins,
        near_distance=judge.near_distance,
        rows=rows,
        differences=compare(real.characteristics, measured[0][1].characteristics),
        flaws={each.sounds.name: each.flaws for each in in_detail if each.flaws is not None},
        kicks={
            each.sounds.name: each.kick for each in in_detail if each.kick is not None and category == "kick"
        },
        skipped=tuple(entry for sounds in (*real_sets, *folders) for entry in sounds.skipped),
        real=real,
        generated=measured[0][1],
        model=model,
        course=None if model is None else read_course(model),
    )


# --- what is compared


@dataclass(frozen=True)
class _Entrant:
    name: str
    source: Model | Path


def _entrants(texts: Sequence[str]) -> list[_Entrant]:
    """Models and folders by their names, by what was typed where two have the same."""
    sources = [Path(text).expanduser() if _is_folder(text) else load_model(text) for text in texts]
    names = [source.name for source in sources]
    names = [text if names.count(name) > 1 else name for name, text in zip(names, texts, strict=True)]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"'{name}' is named twice", hint="name every model and folder once")
    return [_Entrant(name, source) for name, source in zip(names, sources, strict=True)]


def _is_folder(text: str) -> bool:
    """A model's name means the model, whatever folders there are: ./kick is the folder."""
    if not Path(text).expanduser().is_dir():
        return False
    try:
        find_model(text)
    except ConfigError:
        return True
    return False


def _kind_of_sound(
    subject: _Entrant, category: str | None, folders: Sequence[Path]
) -> tuple[str, Representation]:
    """The category and the image of the comparison. Raises ConfigError if folders tell another category."""
    if isinstance(subject.source, Path):
        folders = [subject.source, *folders]
    told = {folder: told_category(folder) for folder in folders}
    if isinstance(subject.source, Path):
        name = category or next((each for each in told.values() if each), None)
        if name is None:
            raise ConfigError(
                "no folder's name tells what kind of sounds these are",
                file=subject.source,
                hint="add --category, for example --category kick",
            )
        length_seconds = category_named(name).length_seconds
        representation = representation_for(category_image(name), length_seconds)
    else:
        name, representation = category or subject.source.category, subject.source.representation
        category_named(name)
    for folder, other in told.items():
        if other not in (None, name) and category is None:
            raise ConfigError(
                f"this is a folder of the category '{other}', and {subject.name} is '{name}'",
                file=folder,
                hint="compare sounds of one kind, or say with --category which kind they are",
            )
    return name, representation


# --- one row


class _Judge:
    """Measures sets against the held-out sounds."""

    def __init__(self, real: MeasuredSet, known: F32 | None, projection: Projection, seed: int) -> None:
        self.projection = projection
        self.bins = max(len(real.sounds) // _SOUNDS_PER_BIN, _FEWEST_BINS)
        self.near_distance: float | None = None
        self._real = real
        self._at = projection.project(real.features)
        self._training = None if known is None else projection.project(known)
        self._seed = seed
        self._sigma = median_distance(self._at)
        self._vendi = vendi(self._at, self._sigma)
        if known is not None:
            self.near_distance = float(np.percentile(real.copy_distances, NEAR_PERCENTILE))

    def row(self, kind: str, made: MeasuredSet) -> Row:
        """The means of several draws of a set, each of as many sounds as are held out."""
        at = self.projection.project(made.features)
        draws = several_draws(len(made.sounds), len(self._real.sounds), self._seed)
        rows = [self._row(kind, made.only(chosen), at[chosen]) for chosen in draws]
        return replace(mean_row(rows), sounds=len(made.sounds), silent=made.silent)

    def _row(self, kind: str, made: MeasuredSet, at: F64) -> Row:
        real = self._at
        differences = compare(self._real.characteristics, made.characteristics)
        manifold = precision_recall_density_coverage(real, at)
        bins = ndb_js(real, at, self.bins, self._seed)
        # The training sounds are at a distance of 0 from themselves, which says nothing.
        training = None if kind == FLOOR else self._training
        near = math.nan if training is None or self.near_distance is None else self.near_distance
        ripple = differences["ripple_db"]
        return Row(
            name=made.sounds.name,
            kind=kind,
            sounds=len(made.sounds),
            mmd2=mmd2(real, at),
            fd_mel=frechet_distance(real, at),
            **manifold._asdict(),
            one_nn=nearest_neighbour_accuracy(real, at),
            ndb=bins.different / self.bins,
            js=bins.js,
            vendi_ratio=vendi(at, self._sigma) / self._vendi,
            mean_ks=mean_ks(differences),
            width_ks=differences["width_db"].distance,
            pitch_spread_ratio=_ratio(_pitch_spread(made), _pitch_spread(self._real)),
            ripple_ratio=_ratio(ripple.generated_median, ripple.real_median),
            c_t=None if training is None else c_t(training, real, at),
            share_near=None if training is None else float(np.mean(made.copy_distances < near)),
            silent=made.silent,
        )


def several_draws(count: int, size: int, seed: int) -> list[I64]:
    """Draws of `size` of `count` sounds, as indices: each sound comes again only when all others had their turn.

    16 of them, or the whole set where there is nothing to draw from.
    """
    if count == size:
        return [np.arange(count)]
    random = np.random.default_rng(seed)
    draws: list[I64] = []
    while len(draws) < DRAWS:
        order = random.permutation(count)
        draws += [order[first : first + size] for first in range(0, count - size + 1, size)]
    return draws[:DRAWS]


def mean_row(rows: Sequence[Row]) -> Row:
    """The means of all figures but counts; where some cannot be said, the mean of those that can."""
    means: dict[str, Any] = {}
    for name, first in asdict(rows[0]).items():
        if not isinstance(first, str | int):
            said = [value for row in rows if (value := getattr(row, name)) is not None]
            means[name] = float(np.mean(said)) if said else None
    return replace(rows[0], **means)


def _pitch_spread(measured: MeasuredSet) -> float:
    """Of those sounds that have a pitch, in octaves; nan if none has."""
    return standard_deviation(measured.values("pitch_log2_hz"))


def _ratio(generated: float, real: float) -> float | None:
    return generated / real if math.isfinite(generated) and math.isfinite(real) and real > 0.0 else None


# --- targets

_coverage, _mean_ks, _fd_mel, _one_nn = map(attrgetter, ("coverage", "mean_ks", "fd_mel", "one_nn"))


def targets(report: Report, row: Row | None = None) -> list[Target]:
    """What the project asks of a model, for the subject or another row; what cannot be said is left out."""
    return targets_of(report.rows, category=report.category, sounds=report.sounds, row=row)


def targets_of(rows: Sequence[Row], *, category: str, sounds: int, row: Row | None = None) -> list[Target]:
    """The targets of a table, the subject first, of so many sounds in a draw.

    The baselines to be better than are the linear model and the synthesiser: the memoriser is as near as the floor, and
    what it gets wrong are copies. Margins were set on kicks; for other categories they are half as large again.
    """
    row = row or rows[0]
    floor = next((each for each in rows if each.kind == FLOOR), None)
    slack = 1.0 if category == "kick" else 1.5
    found: list[Target] = []

    def ask(
        name: str, key: Callable[[Row], float | None], limit: float, why: str, *, at_least: bool = False
    ) -> None:
        value = key(row)
        if value is not None:
            found.append(Target(name, value, limit, at_least, why, None if floor is None else key(floor)))

    if floor is not None:
        least, ks, far, nn = 1.0 - 0.1 * slack, 1.0 + 0.25 * slack, 1.0 + 0.6 * slack, 0.08 * slack
        ask("coverage", _coverage, least * floor.coverage, f"{least:g} × floor", at_least=True)
        ask("mean KS", _mean_ks, ks * floor.mean_ks, f"{ks:g} × floor")
        ask("FD-mel", _fd_mel, far * floor.fd_mel, f"{far:g} × floor")
        # Unbiased, it may be negative: the floor is at least what chance makes of equal sets.
        chance = max(floor.mmd2, _CHANCE_MMD / sounds)
        why = f"{far:g} × " + ("floor" if chance == floor.mmd2 else "chance")
        ask("MMD² × 1000", _mmd, 1000 * far * chance, why)
        ask("1-NN", _one_nn, floor.one_nn + nn, f"floor + {nn:g}")
    ask("pitch spread, off by", _pitch_off, 0.2 * slack, "of the real one")
    ask("median ripple", attrgetter("ripple_ratio"), 1.0 + 0.5 * slack, "× the real one")
    ask("KS of width", attrgetter("width_ks"), 0.25 * slack, "of 0 to 1")
    ask("C_T", attrgetter("c_t"), -2.0 * slack, "lower: copies", at_least=True)
    ask("share of copies", attrgetter("share_near"), 0.02 * slack, "new sounds: 0.01")
    rivals = [
        each
        for each in rows
        if each.kind == BASELINE and each.name != baselines.MEMORISER and each is not row
    ]
    if rivals:
        varied = max(rivals, key=_coverage)
        ask("coverage, best baseline", _coverage, varied.coverage, varied.name, at_least=True)
        for name, key in (
            ("mean KS", _mean_ks),
            ("FD-mel", _fd_mel),
            ("MMD² × 1000", _mmd),
            ("1-NN", _one_nn),
        ):
            nearest = min(rivals, key=key)
            ask(f"{name}, best baseline", key, key(nearest), nearest.name)
    return found


def _mmd(row: Row) -> float:
    return 1000 * row.mmd2


def _pitch_off(row: Row) -> float | None:
    return None if row.pitch_spread_ratio is None else abs(row.pitch_spread_ratio - 1.0)


def memoriser_is_caught(report: Report) -> bool | None:
    """Whether the test for copies works here: it must tell sounds that are copies. None without training sounds."""
    row = next((each for each in report.of_kind(BASELINE) if each.name == baselines.MEMORISER), None)
    if row is None or row.c_t is None or row.share_near is None:
        return None
    return row.c_t < -2.0 and row.share_near > 0.5


# --- files


def check_out(out: Path, *, overwrite: bool) -> None:
    """Raise ConfigError if an earlier report stands in `out` and must stay. Before the work, not after it."""
    if out.exists() and not out.is_dir():
        raise ConfigError("--out is a file, not a folder", file=out, hint="choose another folder")
    if (out / REPORT_FILE).exists() and not overwrite:
        raise ConfigError(
            "this folder holds a report already", file=out, hint="choose another folder, or add --overwrite"
        )


def write_report(report: Report, out: Path) -> list[Path]:
    """Write figures, page, projection and document to the folder `out`; what was written."""
    from samplegan.evaluate.figures import NAMES, pictures
    from samplegan.evaluate.html import page

    drawn = pictures(report)
    arrays = io.BytesIO()
    np.savez(arrays, **report.projection.to_document())
    for name, picture in drawn.items():
        write_atomic(out / f"{name}.png", picture.png)
    for name in set(NAMES) - set(drawn):
        (out / f"{name}.png").unlink(missing_ok=True)  # an earlier report's
    write_atomic(out / PROJECTION_FILE, arrays.getvalue())
    write_atomic(out / PAGE_FILE, page(report, drawn).encode())
    # The document comes last: where it stands, all stands.
    write_json(out / REPORT_FILE, report.to_document())
    return [
        out / name for name in (*(f"{name}.png" for name in drawn), PROJECTION_FILE, PAGE_FILE, REPORT_FILE)
    ]


def _rounded(value: Any) -> Any:
    """Floats to six digits, and what is no number to None."""
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
