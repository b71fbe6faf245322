"""Seeds → latents → codes → images → audio → finished files.

File *i* depends only on the model's bytes, the seed, *i* and the options: not on how many files the pack has,
on the number of threads, or on what was rendered before. So a pack can be stopped, killed, resumed and
extended, and ends as if it had been rendered in one go.

With gates (`samplegan.gates`) files come in blocks of 16, chosen from 24 candidates: a block is made as a whole, even
if not all of its files are wanted. Without, every file is a block of its own, and its only candidate.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from samplegan import __version__
from samplegan.audio import SAMPLE_RATE, flac_bytes, wav_bytes
from samplegan.categories import category_named
from samplegan.descriptors import PITCH_CONFIDENT, Descriptors, describe
from samplegan.errors import ConfigError, InputError, MachineError, PartialError, Stopped
from samplegan.files import machine_error, remove_stale_temporaries, write_atomic
from samplegan.finishing import SHORTEST_SECONDS, Finished, Unusable, finish
from samplegan.gates import (
    BLOCK_CANDIDATES,
    BLOCK_FILES,
    Fingerprints,
    fingerprint,
    flaw,
    most_diverse,
    swell_db,
)
from samplegan.loudness import CEILING_DBTP
from samplegan.pack.manifest import (
    JOURNAL_NAME,
    MANIFEST_NAME,
    FileRecord,
    Header,
    Journal,
    Pack,
    read_pack,
)
from samplegan.pack.names import file_name, name_words
from samplegan.progress import Progress
from samplegan.signals import StopSignal
from samplegan.steering import CONTROLS, Directions, require_steerable
from samplegan.tuning import parse_pitch, settled_hz, transposed

F32 = NDArray[np.float32]
ATTEMPTS = 8  # at a sound, before it counts as failed
STRANGE_ATTEMPTS = 3  # are refused for being strange: what a model of strange sounds draws has to do
FORMATS = ("wav", "flac")
LARGEST_SEED = 2**64 - 1
TUNED_CENTS = 3.0  # how near to the note a sound is brought, where its pitch can be measured
TUNINGS = 4  # of a sound, at most
_HEADER_BYTES = 4096  # of one file, and of its line in the manifest
_SPARE_BYTES = 8_000_000
_POLL_SECONDS = 0.2
# Why candidates were left out, in words for a summary.
_SEVERAL = {
    "copy": "too near to a training sound",
    "strange": "like no training sound",
    "swell": "swelling too much",
}


class RepresentationLike(Protocol):
    """What a render needs of a representation."""

    @property
    def length_seconds(self) -> float: ...
    @property
    def bands(self) -> int: ...
    @property
    def partials(self) -> int: ...
    @property
    def partial_rows(self) -> slice: ...
    def synthesise(self, image: F32, *, seed: int = 0) -> F32: ...


class ModelLike(Protocol):
    """What a render needs of a model: `samplegan.store.Model` is one."""

    @property
    def name(self) -> str: ...
    @property
    def category(self) -> str: ...
    @property
    def architecture(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def representation(self) -> RepresentationLike: ...
    @property
    def card(self) -> dict[str, Any]: ...
    @property
    def latent_dim(self) -> int: ...
    @property
    def directions(self) -> Directions | None: ...  # of its controls; None: it has none
    @property
    def fingerprints(self) -> Fingerprints | None: ...  # of its training sounds; None: it has none
    def codes(self, latents: F32, truncation: float = 1.0) -> F32: ...
    def decode(self, codes: F32) -> F32: ...
    def images(self, latents: F32, truncation: float = 1.0) -> F32: ...


Draw = Callable[[int, np.random.Generator], tuple[F32, int]]
"""The image of a candidate, by its number and random numbers of its own, and the seed of its noise."""


class Existing(Enum):
    """What to do with a pack that is in the output folder already."""

    REFUSE = "refuse"
    RESUME = "resume"  # render what is missing; ConfigError if it was made otherwise
    SKIP = "skip"  # as RESUME, and content if nothing is missing
    OVERWRITE = "overwrite"  # remove that pack's own files first


@dataclass(frozen=True)
class RenderOptions:
    """Everything but the model that the bytes of a file depend on."""

    seed: int = 0
    length_seconds: float | None = None  # at most; None: as long as the sound lasts
    truncation: float | None = None  # scale of the latents; None: the model's own, usually 1
    format: str = "wav"
    loudness_lufs: float | None = None  # momentary maximum; None: the category's
    ceiling_dbtp: float = CEILING_DBTP
    punchy: float = (
        0.0  # this and the next four: `samplegan.steering`, in standard deviations of the model's sounds
    )
    bright: float = 0.0
    long: float = 0.0
    noisy: float = 0.0
    wide: float = 0.0
    pitch: str | None = None  # a note or a frequency that the body settles at; None: the sound's own
    gates: bool = False  # leave out what is flawed, a copy or too like another (the command does)

    @property
    def controls(self) -> dict[str, float]:
        """By name."""
        return {name: getattr(self, name) for name in CONTROLS}

    @property
    def as_drawn(self) -> bool:
        """Whether sounds are asked for as the model has them: shortened, tuned, steered or wilder they may well be
        unlike those that it learned from.
        """
        changed = any(self.controls.values()) or self.pitch is not None or self.length_seconds is not None
        return not changed and (self.truncation is None or self.truncation <= 1.0)

    def checked(self, model: ModelLike) -> RenderOptions:
        """With the model's defaults filled in. Raises ConfigError for a value out of range."""
        longest = model.representation.length_seconds
        truncation = self.truncation
        if truncation is None:
            truncation = float(model.card.get("truncation", 1.0))
        loudness_lufs = self.loudness_lufs
        if loudness_lufs is None:
            loudness_lufs = category_named(model.category).loudness_lufs
        checks = (
            (0 <= self.seed <= LARGEST_SEED, f"--seed must lie between 0 and {LARGEST_SEED}", None),
            (
                self.length_seconds is None or self.length_seconds >= 2 * SHORTEST_SECONDS,
                f"--length must be at least {2000 * SHORTEST_SECONDS:.0f} ms",
                None,
            ),
            (
                self.length_seconds is None or self.length_seconds <= longest + 0.5 / SAMPLE_RATE,
                f"--length {self.length_seconds or 0:g} s is longer than this model's {longest:g} s",
                "leave --length out, or train a model with a longer --length",
            ),
            (
                0 < truncation <= 2,
                "--truncation must be more than 0 and at most 2",
                "1 is normal, 0.7 is safer",
            ),
            (self.format in FORMATS, f"--format must be one of {', '.join(FORMATS)}", None),
            (-60 <= loudness_lufs <= 0, "--loudness must lie between -60 and 0 LUFS", None),
            (-60 <= self.ceiling_dbtp <= 0, "--ceiling must lie between -60 and 0 dBTP", None),
        )
        for fine, complaint, hint in checks:
            if not fine:
                raise ConfigError(complaint, hint=hint)
        require_steerable(
            model.directions if any(self.controls.values()) else None, self.controls, model.name
        )
        if self.pitch is not None:
            parse_pitch(self.pitch)
            if model.representation.partials == 0:
                raise ConfigError(
                    f"--pitch needs sounds with a body, and those of the model '{model.name}' have none",
                    hint="kicks, snares, toms and percussion have one, in models of the architecture 'body-gan'",
                )
        as_numbers: dict[str, Any] = {name: float(amount) for name, amount in self.controls.items()}
        return replace(
            self,
            truncation=truncation,
            loudness_lufs=float(loudness_lufs),
            ceiling_dbtp=float(self.ceiling_dbtp),
            **as_numbers,
        )


@dataclass(frozen=True)
class Sound:
    """One rendered file, not yet written."""

    record: FileRecord
    audio: F32  # [channel, sample]
    data: bytes


@dataclass(frozen=True)
class RenderPlan:
    """What a render will do, before it does anything."""

    folder: Path
    header: Header
    options: RenderOptions
    count: int
    kept: dict[int, FileRecord]  # there already, with the recorded bytes
    replaced: list[str]  # files of an earlier pack that will be removed
    changed: list[str]  # files of this pack that are missing or not as recorded: they are made again
    sealed: bool  # the pack there is finished
    overwrites: bool  # a pack is there that will be removed
    bytes_at_most: int

    @property
    def missing(self) -> int:
        """How many files are to be rendered."""
        return self.count - sum(1 for index in self.kept if index <= self.count)

    def indices(self) -> Iterator[int]:
        """The indices to render, in order."""
        return (index for index in range(1, self.count + 1) if index not in self.kept)

    def to_dict(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "model": self.header.model,
            "options": self.header.options,
            "count": self.count,
            "to_render": self.missing,
            "kept": len(self.kept),
            "removed": self.replaced,
            "bytes_at_most": self.bytes_at_most,
        }

    def summary(self) -> str:
        """What a person wants to know before the render."""
        options = self.header.options
        example = f"{self.header.model['category']}_…_{1:03}.{options['format']}"
        lines = [
            f"would render {self.missing} of {self.count} files ({example} and so on) into {self.folder}",
            f"  model    {self.header.model['name']} ({self.header.model['sha256'][:12]})",
            f"  seed     {options['seed']}",
            f"  size     at most {self.bytes_at_most / 1e6:.1f} MB",
        ]
        if self.kept:
            lines.append(f"  kept     {len(self.kept)} files that are there already")
        if self.replaced:
            lines.append(f"  removed  {len(self.replaced)} files of the pack that is there")
        return "\n".join(lines)


@dataclass(frozen=True)
class RenderSummary:
    """A finished render."""

    folder: Path
    manifest: Path
    written: int
    kept: int
    failed: list[int]
    limited: int  # of the written ones: held below the loudness target by the ceiling
    seconds: float
    rejected: dict[str, int] = field(default_factory=dict)  # by the gates, by reason
    nothing_to_do: bool = False
    files: list[str] = field(default_factory=list)  # the whole pack's, in order

    def to_dict(self) -> dict[str, Any]:
        document = asdict(self) | {"folder": str(self.folder), "manifest": str(self.manifest)}
        return {"schema_version": 1, **document}

    def summary(self) -> str:
        """One line for the end of a render."""
        rate = self.written / self.seconds if self.seconds > 0 else 0.0
        parts = [f"{self.written} files in {self.seconds:.1f} s ({rate:.1f} files/s)"]
        if self.kept:
            parts.append(f"{self.kept} kept")
        if self.limited:
            parts.append(f"{self.limited} held below the loudness target by the ceiling")
        if self.rejected:
            counts = sorted(self.rejected.items())
            told = ", ".join(f"{number} {_SEVERAL.get(reason, reason)}" for reason, number in counts)
            parts.append(f"left out: {told}")
        if self.failed:
            parts.append(f"{len(self.failed)} failed")
        return f"{self.folder}: " + ", ".join(parts)

    def problem(self) -> PartialError | None:
        """Why this is not a full success, if it is not."""
        if self.failed:
            shown = ", ".join(map(str, self.failed[:8])) + (" …" if len(self.failed) > 8 else "")
            return PartialError(
                f"{len(self.failed)} of {len(self.failed) + self.written + self.kept} sounds stayed unusable "
                f"after {ATTEMPTS} attempts each (numbers {shown})",
                file=self.folder,
                hint="train the model longer, or try a lower --truncation"
                + (" or --no-gates" if self.rejected else ""),
            )
        if self.nothing_to_do:
            return PartialError(
                f"nothing to do: all {self.kept} files are there",
                file=self.folder,
                hint="use --skip-existing if that is fine, or a larger --count to extend the pack",
            )
        return None


def render(
    model: ModelLike,
    folder: Path,
    *,
    count: int,
    options: RenderOptions | None = None,
    jobs: int | None = None,
    existing: Existing = Existing.REFUSE,
    quiet: bool = True,
) -> RenderSummary:
    """Render a pack of `count` files into `folder`.

    Raises ConfigError for wrong options or a folder that is in use, MachineError if the disk refuses, and
    Stopped on Ctrl-C or SIGTERM; what was finished by then is kept and can be resumed.
    """
    plan = plan_render(model, folder, count=count, options=options, existing=existing)
    return carry_out(plan, model, jobs=jobs, existing=existing, quiet=quiet)


def plan_render(
    model: ModelLike,
    folder: Path,
    *,
    count: int,
    options: RenderOptions | None = None,
    existing: Existing = Existing.REFUSE,
    made_from: dict[str, Any] | None = None,
) -> RenderPlan:
    """Check all that can be checked before the first sound; write nothing. Raises as `render` does.

    `made_from` is what else the bytes depend on, where the sounds are not the model's own.
    """
    if count < 1:
        raise ConfigError(f"--count must be at least 1, not {count}")
    options = (options or RenderOptions()).checked(model)
    header = _header(model, asdict(options) | (made_from or {}))
    earlier = _earlier_pack(folder, existing)
    overwrites = earlier is not None and existing is Existing.OVERWRITE
    kept: dict[int, FileRecord] = {}
    replaced: list[str] = []
    changed: list[str] = []
    if earlier is not None and existing is Existing.OVERWRITE:
        replaced = [each.file for each in earlier.records.values() if (folder / each.file).is_file()]
    elif earlier is not None:
        header.require_same(earlier.header, folder)
        kept = earlier.present(folder)
        changed = [each.file for index, each in earlier.records.items() if index not in kept]
    bytes_each = math.ceil(_longest_seconds(model, header) * SAMPLE_RATE) * 6 + 2 * _HEADER_BYTES
    to_render = count - sum(1 for index in kept if index <= count)
    plan = RenderPlan(
        folder=folder,
        header=header,
        options=options,
        count=count,
        kept=kept,
        replaced=replaced,
        changed=changed,
        sealed=earlier is not None and earlier.sealed,
        overwrites=overwrites,
        bytes_at_most=to_render * bytes_each,
    )
    _check_space(plan)
    return plan


def carry_out(
    plan: RenderPlan,
    model: ModelLike,
    *,
    jobs: int | None = None,
    existing: Existing = Existing.REFUSE,
    quiet: bool = True,
    draw: Draw | None = None,
    in_order: bool = False,
) -> RenderSummary:
    """Do what `plan` says. `draw` makes the images instead of the model; `in_order` puts the number first in names."""
    began = time.monotonic()
    if jobs is not None and jobs < 1:
        raise ConfigError(f"--jobs must be at least 1, not {jobs}")
    if plan.missing == 0 and plan.sealed and not plan.changed:
        return RenderSummary(
            plan.folder,
            plan.folder / MANIFEST_NAME,
            written=0,
            kept=len(plan.kept),
            failed=[],
            limited=0,
            seconds=time.monotonic() - began,
            nothing_to_do=existing is not Existing.SKIP,
            files=[plan.kept[index].file for index in sorted(plan.kept)],
        )
    _make_room(plan)
    journal = Journal(plan.folder, plan.header, plan.kept)
    writer = _Writer(plan, model, journal, draw or drawn_by(model, plan.options), in_order=in_order)
    stop = StopSignal()
    try:
        with (
            stop.listening(),
            Progress("rendering", plan.count, done=plan.count - plan.missing, quiet=quiet) as progress,
        ):
            written, failed = _work(writer.units(plan.indices()), writer, jobs or cores(), stop, progress)
        if stop.number is not None and len(written) + len(failed) < plan.missing:
            raise Stopped(
                f"stopped after {len(journal.records)} of {plan.count} files",
                signal_number=stop.number,
                hint="the same command with --resume goes on from here",
            )
        manifest = journal.seal(failed)
    finally:
        journal.close()
    return RenderSummary(
        plan.folder,
        manifest,
        written=len(written),
        kept=len(plan.kept),
        failed=sorted(failed),
        limited=sum(1 for record in written if record.limited_by == "ceiling"),
        seconds=time.monotonic() - began,
        rejected=dict(writer.rejected),
        files=[journal.records[index].file for index in sorted(journal.records)],
    )


# --- one sound


@dataclass(frozen=True)
class Candidate:
    """A finished sound that may become a file."""

    number: int  # from 1; without gates, the file's
    attempt: int  # how many sounds before it were silent, broken or refused by the gates
    finished: Finished
    descriptors: Descriptors
    fingerprint: F32 | None = None  # with gates
    spacing_db: float = 1.0  # of training sounds around it; the same for all where none are known
    nearest_training: float | None = (
        None  # the distance to the nearest training sound, where the model knows them
    )


def render_sound(model: ModelLike, index: int, options: RenderOptions) -> Sound:
    """Render file number `index` (from 1): a pure function of the model, the index and the checked options.

    Raises Unusable if every attempt was silent, broken or refused. With gates its whole block is made for it.
    """
    files, candidates = _block_size(options)
    draw = drawn_by(model, options)
    block, place = divmod(index - 1, files)
    found: list[Candidate | None] = []
    for number in range(block * candidates + 1, (block + 1) * candidates + 1):
        try:
            found.append(candidate(model, number, options, draw))
        except Unusable as error:
            reason = error
            found.append(None)
    kept = chosen(found, files)
    if place >= len(kept):
        raise Unusable(f"sound {index} is unusable after {ATTEMPTS} attempts: {reason}")
    return _sound(model, index, options, kept[place])


def candidate(
    model: ModelLike, number: int, options: RenderOptions, draw: Draw, rejected: Counter[str] | None = None
) -> Candidate:
    """Make candidate `number` (from 1). Raises Unusable if every attempt was silent, broken or refused by the gates;
    `rejected` counts the latter.
    """
    for attempt in range(ATTEMPTS):
        try:
            found = _attempt(model, number, attempt, options, draw)
            if options.gates:
                found = _admitted(model, found, options)
        except Unusable as error:
            reason = error
            if isinstance(error, _Refused) and rejected is not None:
                rejected[str(error)] += 1
        else:
            return found
    raise Unusable(f"sound {number} is unusable after {ATTEMPTS} attempts: {reason}")


def chosen(candidates: list[Candidate | None], files: int) -> list[Candidate]:
    """The candidates of a block that become its files, in order; fewer than `files` if too few are usable."""
    usable = [each for each in candidates if each is not None]
    if len(usable) <= files:
        return usable
    prints = np.stack([each.fingerprint for each in usable if each.fingerprint is not None])
    spacings_db = [each.spacing_db for each in usable]
    return [usable[index] for index in most_diverse(prints, spacings_db, files)]


def drawn_by(model: ModelLike, options: RenderOptions) -> Draw:
    """The model's own images, steered as the options say."""
    assert options.truncation is not None  # checked options have it
    truncation = options.truncation
    wanted = options.controls

    def draw(_number: int, random: np.random.Generator) -> tuple[F32, int]:
        phase_seed = int(random.integers(2**62))
        latent = random.standard_normal(model.latent_dim).astype(np.float32)
        # One sound per forward pass: in a larger batch the last bits would depend on the batch.
        if model.directions is None or not any(wanted.values()):
            return model.images(latent[np.newaxis], truncation=truncation)[0], phase_seed
        code = model.codes(latent[np.newaxis], truncation)[0]
        code = model.directions.steered(model, code, wanted)
        return model.decode(code[np.newaxis])[0], phase_seed

    return draw


def random_generator(seed: int, index: int, attempt: int) -> np.random.Generator:
    """The counter-based generator of one attempt at one file; no two of them ever meet."""
    key = np.array([seed, 0], dtype=np.uint64)
    counter = np.array([0, 0, attempt, index], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


class _Refused(Unusable):
    """Refused by a gate, whose name is the message."""


def _block_size(options: RenderOptions) -> tuple[int, int]:
    """How many files a block has, and how many candidates they are chosen from."""
    return (BLOCK_FILES, BLOCK_CANDIDATES) if options.gates else (1, 1)


def _attempt(model: ModelLike, number: int, attempt: int, options: RenderOptions, draw: Draw) -> Candidate:
    image, phase_seed = draw(number, random_generator(options.seed, number, attempt))
    if not np.isfinite(image).all():
        raise Unusable("the image has values that are not numbers")
    finished, descriptors = _heard(model, image, phase_seed, options)
    if options.pitch is None:
        return Candidate(number, attempt, finished, descriptors)
    # The tracks say where the body settles; what is measured says it of the whole sound, to a cent.
    pitch, rows = parse_pitch(options.pitch), model.representation.partial_rows
    here_hz = settled_hz(image, rows)
    if here_hz is None:
        raise Unusable("there is no body to tune")
    target_hz, octaves = pitch.near(here_hz), 0.0
    missing = math.log2(target_hz / here_hz)
    for _ in range(TUNINGS):
        octaves += missing
        finished, descriptors = _heard(model, transposed(image, rows, octaves), phase_seed, options)
        if descriptors.pitch_hz is None or descriptors.pitch_confidence < PITCH_CONFIDENT:
            break
        missing = math.log2(target_hz / descriptors.pitch_hz)
        if (
            abs(missing) * 1200.0 <= TUNED_CENTS or abs(missing) > 0.5
        ):  # another octave: another tone is heard
            break
    return Candidate(number, attempt, finished, descriptors)


def _heard(
    model: ModelLike, image: F32, phase_seed: int, options: RenderOptions
) -> tuple[Finished, Descriptors]:
    assert options.loudness_lufs is not None  # checked options have it
    finished = finish(
        model.representation.synthesise(image, seed=phase_seed),
        length_seconds=options.length_seconds,
        target_lufs=options.loudness_lufs,
        ceiling_dbtp=options.ceiling_dbtp,
    )
    try:
        return finished, describe(finished.audio)
    except InputError as error:
        raise Unusable(error.what) from error


def _admitted(model: ModelLike, found: Candidate, options: RenderOptions) -> Candidate:
    """With what the choice needs. Raises _Refused for what a gate keeps out."""
    audio = found.finished.audio
    if name := flaw(audio, found.descriptors, found.finished.loudness):
        raise _Refused(name)
    vector = fingerprint(audio, model.representation.length_seconds)
    known = model.fingerprints
    if known is None:
        return replace(found, fingerprint=vector)
    nearest, spacing_db = known.around(vector)
    if nearest < known.copy_distance:
        raise _Refused("copy")
    refusable = options.as_drawn and found.attempt < STRANGE_ATTEMPTS
    if refusable and nearest > known.strange_distance:
        raise _Refused("strange")
    if swell_db(audio) > known.most_swell_db:
        raise _Refused("swell")
    return replace(found, fingerprint=vector, nearest_training=nearest, spacing_db=spacing_db)


def _sound(
    model: ModelLike, index: int, options: RenderOptions, found: Candidate, *, in_order: bool = False
) -> Sound:
    finished, descriptors = found.finished, found.descriptors
    name = file_name(model.category, descriptors, index, options.format, in_order=in_order)
    info = {
        "title": name.rpartition(".")[0],
        "software": f"samplegan {__version__}",
        "genre": model.category,
        "comment": f"model {model.name} {model.sha256[:16]}, seed {options.seed}, sound {index}",
        "keywords": "; ".join([model.category, *name_words(model.category, descriptors)]),
    }
    data = (wav_bytes if options.format == "wav" else flac_bytes)(finished.audio, info)
    loudness = finished.loudness
    record = FileRecord(
        file=name,
        index=index,
        seed=options.seed,
        attempt=found.attempt,
        sha256=sha256(data).hexdigest(),
        duration_seconds=round(finished.duration_seconds, 6),
        momentary_lufs=round(loudness.momentary_lufs, 3),
        integrated_lufs=None if loudness.integrated_lufs is None else round(loudness.integrated_lufs, 3),
        true_peak_dbtp=round(loudness.true_peak_dbtp, 3),
        sample_peak_dbfs=round(loudness.sample_peak_dbfs, 3),
        gain_db=round(finished.gain.gain_db, 3),
        limited_by=finished.gain.limited_by,
        descriptors=_rounded(descriptors.to_dict()),
        candidate=found.number,
        nearest_training=None if found.nearest_training is None else round(found.nearest_training, 4),
    )
    return Sound(record, finished.audio, data)


def _rounded(value: Any) -> Any:
    """Floats to six digits, and what is no number to null: a manifest is JSON."""
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


# --- many sounds


@dataclass
class _Block:
    """Files that are chosen together, and what they are chosen from."""

    indices: list[int]  # of the files to write
    first_candidate: int
    candidates: list[Candidate | None]
    missing: int  # candidates


Unit = tuple[_Block, int]  # and the place of a candidate in it


class _Writer:
    """Makes candidates, and puts a block's files on the disk once all are there; called from several threads."""

    def __init__(
        self, plan: RenderPlan, model: ModelLike, journal: Journal, draw: Draw, *, in_order: bool
    ) -> None:
        self.rejected: Counter[str] = Counter()
        self._folder = plan.folder
        self._model = model
        self._journal = journal
        self._own = frozenset(plan.changed)
        self._options = plan.options
        self._draw = draw
        self._in_order = in_order
        self._lock = threading.Lock()

    def units(self, indices: Iterator[int]) -> Iterator[Unit]:
        """What is to be done for these files, block after block."""
        files, candidates = _block_size(self._options)
        for number, members in itertools.groupby(indices, lambda index: (index - 1) // files):
            block = _Block(list(members), number * candidates + 1, [None] * candidates, candidates)
            yield from ((block, place) for place in range(candidates))

    def __call__(self, unit: Unit) -> list[tuple[int, FileRecord | None]]:
        """The records of the files written, by index; None for one that there is no usable sound for."""
        block, place = unit
        rejected: Counter[str] = Counter()
        found = None
        with contextlib.suppress(Unusable):
            found = candidate(self._model, block.first_candidate + place, self._options, self._draw, rejected)
        with self._lock:
            self.rejected += rejected
            block.candidates[place] = found
            block.missing -= 1
            if block.missing:
                return []
        return self._written(block)

    def _written(self, block: _Block) -> list[tuple[int, FileRecord | None]]:
        files, _ = _block_size(self._options)
        kept = chosen(block.candidates, files)
        usable = sum(each is not None for each in block.candidates)
        if usable > len(kept):
            with self._lock:
                self.rejected["alike"] += usable - len(kept)
        block.candidates = []  # some megabytes
        results: list[tuple[int, FileRecord | None]] = []
        for index in block.indices:
            place = (index - 1) % files
            results.append((index, self._write(index, kept[place]) if place < len(kept) else None))
        return results

    def _write(self, index: int, found: Candidate) -> FileRecord:
        sound = _sound(self._model, index, self._options, found, in_order=self._in_order)
        path = self._folder / sound.record.file
        if path.exists() and path.name not in self._own and not _holds(path, sound.data):
            raise ConfigError(
                "a file that is not part of this pack has a name that the pack needs",
                file=path,
                hint="move it away, then use --resume",
            )
        self._journal.append(sound.record)
        write_atomic(path, sound.data)
        return sound.record


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data


def _work(
    units: Iterator[Unit],
    write: _Writer,
    jobs: int,
    stop: StopSignal,
    progress: Progress,
) -> tuple[list[FileRecord], list[int]]:
    """Render on `jobs` threads until all is done, a signal arrives or one fails; what is in flight is
    finished.
    """
    written: list[FileRecord] = []
    failed: list[int] = []
    in_flight: set[Future[list[tuple[int, FileRecord | None]]]] = set()
    problem: BaseException | None = None
    with ThreadPoolExecutor(jobs, initializer=_use_one_torch_thread) as pool:
        while True:
            if stop.number is None and problem is None:
                for unit in itertools.islice(units, jobs + 1 - len(in_flight)):
                    in_flight.add(pool.submit(write, unit))
            else:
                in_flight -= {each for each in in_flight if each.cancel()}
            if not in_flight:
                break
            finished, in_flight = wait(in_flight, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in finished:
                if (error := future.exception()) is not None:
                    problem = problem or error
                    continue
                for index, record in future.result():
                    if record is None:
                        failed.append(index)
                    else:
                        written.append(record)
                        progress.advance()
    if problem is not None:
        raise problem
    return written, failed


def _use_one_torch_thread() -> None:
    """Files are rendered side by side, so each takes one thread; a sum split over threads would round
    differently.
    """
    import torch

    torch.set_num_threads(1)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# --- the folder


def _header(model: ModelLike, options: dict[str, Any]) -> Header:
    data = model.card.get("data")
    return Header(
        version=__version__,
        model={
            "name": model.name,
            "sha256": model.sha256,
            "category": model.category,
            "architecture": model.architecture,
            "licences": data.get("licences") if isinstance(data, dict) else None,
        },
        options=options,
    )


def _longest_seconds(model: ModelLike, header: Header) -> float:
    asked: float | None = header.options["length_seconds"]
    return model.representation.length_seconds if asked is None else asked


def _earlier_pack(folder: Path, existing: Existing) -> Pack | None:
    """The pack that stands in `folder`. Raises ConfigError if something is there that may not be touched."""
    try:
        if not folder.exists():
            return None
        if not folder.is_dir():
            raise ConfigError("--out must be a folder, and this is a file", file=folder)
        occupied = [each.name for each in folder.iterdir() if not each.name.startswith(".")]
        has_journal = (folder / JOURNAL_NAME).exists()
        if not occupied and not has_journal:
            return None
        if existing is Existing.REFUSE:
            hint = "continue the render there with --resume" if has_journal else "choose a new one"
            raise ConfigError(
                "the output folder is not empty",
                file=folder,
                hint=f"{hint}, or replace a pack with --overwrite",
            )
        pack = read_pack(folder)
    except OSError as error:
        raise machine_error(error, folder) from error
    if pack is None and existing is not Existing.OVERWRITE and occupied:
        raise ConfigError(
            "there is no pack to resume in this folder, and it is not empty",
            file=folder,
            hint="choose a new folder",
        )
    return pack


def _check_space(plan: RenderPlan) -> None:
    parent = plan.folder.absolute()
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    try:
        usage = shutil.disk_usage(parent)
    except OSError:
        return
    if usage.total == 0:  # a file system that does not tell
        return
    free = usage.free
    freed = sum((plan.folder / name).stat().st_size for name in plan.replaced)
    if plan.bytes_at_most + _SPARE_BYTES > free + freed:
        raise MachineError(
            f"not enough space: the files may need {_size(plan.bytes_at_most)}, {_size(free)} are free",
            file=plan.folder,
            hint="choose another disk, a smaller --count or --format flac",
        )


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:,.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.1f} MB"


def _make_room(plan: RenderPlan) -> None:
    """Remove what `--overwrite` may remove: the files that the earlier pack lists, then its manifest and
    journal.
    """
    try:
        if plan.folder.is_dir():
            remove_stale_temporaries(plan.folder)
        if plan.overwrites:
            for name in (*plan.replaced, MANIFEST_NAME, JOURNAL_NAME):
                (plan.folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise machine_error(error, plan.folder) from error
