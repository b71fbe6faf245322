"""Seeds → latents → images → audio → finished files.

File *i* depends only on the model's bytes, the seed, *i* and the options: not on how many files the pack has,
on the number of threads, or on what was rendered before. So a pack can be stopped, killed, resumed and
extended, and ends as if it had been rendered in one go.
"""

from __future__ import annotations

import itertools
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from samplegan import __version__
from samplegan.audio import SAMPLE_RATE, flac_bytes, wav_bytes
from samplegan.categories import category_named
from samplegan.descriptors import describe
from samplegan.errors import ConfigError, MachineError, PartialError, Stopped
from samplegan.files import machine_error, remove_stale_temporaries, write_atomic
from samplegan.finishing import SHORTEST_SECONDS, Finished, Unusable, finish
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

F32 = NDArray[np.float32]
ATTEMPTS = 8  # at a sound, before it counts as failed
FORMATS = ("wav", "flac")
LARGEST_SEED = 2**64 - 1
_HEADER_BYTES = 4096  # of one file, and of its line in the manifest
_SPARE_BYTES = 8_000_000
_POLL_SECONDS = 0.2


class RepresentationLike(Protocol):
    """What a render needs of a representation."""

    @property
    def length_seconds(self) -> float: ...
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
    def images(self, latents: F32, truncation: float = 1.0) -> F32: ...


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
        return RenderOptions(
            self.seed,
            self.length_seconds,
            truncation,
            self.format,
            float(loudness_lufs),
            float(self.ceiling_dbtp),
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
        if self.failed:
            parts.append(f"{len(self.failed)} failed")
        return f"{self.folder}: " + ", ".join(parts)

    def problem(self) -> PartialError | None:
        """Why this is not a full success, if it is not."""
        if self.failed:
            shown = ", ".join(map(str, self.failed[:8])) + (" …" if len(self.failed) > 8 else "")
            return PartialError(
                f"{len(self.failed)} of {len(self.failed) + self.written + self.kept} sounds stayed silent "
                f"or broken after {ATTEMPTS} attempts each (numbers {shown})",
                file=self.folder,
                hint="train the model longer, or try a lower --truncation",
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
) -> RenderPlan:
    """Check all that can be checked before the first sound; write nothing. Raises as `render` does."""
    if count < 1:
        raise ConfigError(f"--count must be at least 1, not {count}")
    header = _header(model, (options or RenderOptions()).checked(model))
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
) -> RenderSummary:
    """Do what `plan` says."""
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
    writer = _Writer(plan, model, journal)
    stop = StopSignal()
    try:
        with (
            stop.listening(),
            Progress("rendering", plan.count, done=plan.count - plan.missing, quiet=quiet) as progress,
        ):
            written, failed = _work(plan.indices(), writer, jobs or _cores(), stop, progress)
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
        files=[journal.records[index].file for index in sorted(journal.records)],
    )


# --- one sound


def render_sound(model: ModelLike, index: int, options: RenderOptions) -> Sound:
    """Render file number `index` (from 1): a pure function of the model, the index and the checked options.

    Raises Unusable if every attempt was silent or broken.
    """
    for attempt in range(ATTEMPTS):
        try:
            finished = _attempt(model, index, attempt, options)
        except Unusable as error:
            reason = error
        else:
            return _sound(model, index, attempt, options, finished)
    raise Unusable(f"sound {index} is unusable after {ATTEMPTS} attempts: {reason}")


def random_generator(seed: int, index: int, attempt: int) -> np.random.Generator:
    """The counter-based generator of one attempt at one file; no two of them ever meet."""
    key = np.array([seed, 0], dtype=np.uint64)
    counter = np.array([0, 0, attempt, index], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def _attempt(model: ModelLike, index: int, attempt: int, options: RenderOptions) -> Finished:
    assert options.truncation is not None  # checked options have both
    assert options.loudness_lufs is not None
    random = random_generator(options.seed, index, attempt)
    phase_seed = int(random.integers(2**62))
    latent = random.standard_normal(model.latent_dim).astype(np.float32)
    # One sound per forward pass: in a larger batch the last bits would depend on the batch.
    image = model.images(latent[np.newaxis], truncation=options.truncation)[0]
    if not np.isfinite(image).all():
        raise Unusable("the image has values that are not numbers")
    return finish(
        model.representation.synthesise(image, seed=phase_seed),
        length_seconds=options.length_seconds,
        target_lufs=options.loudness_lufs,
        ceiling_dbtp=options.ceiling_dbtp,
    )


def _sound(model: ModelLike, index: int, attempt: int, options: RenderOptions, finished: Finished) -> Sound:
    descriptors = describe(finished.audio)
    name = file_name(model.category, descriptors, index, options.format)
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
        attempt=attempt,
        sha256=sha256(data).hexdigest(),
        duration_seconds=round(finished.duration_seconds, 6),
        momentary_lufs=round(loudness.momentary_lufs, 3),
        integrated_lufs=None if loudness.integrated_lufs is None else round(loudness.integrated_lufs, 3),
        true_peak_dbtp=round(loudness.true_peak_dbtp, 3),
        sample_peak_dbfs=round(loudness.sample_peak_dbfs, 3),
        gain_db=round(finished.gain.gain_db, 3),
        limited_by=finished.gain.limited_by,
        descriptors=_rounded(descriptors.to_dict()),
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


class _Writer:
    """Renders one file and puts it on the disk; called from several threads."""

    def __init__(self, plan: RenderPlan, model: ModelLike, journal: Journal) -> None:
        self._folder = plan.folder
        self._model = model
        self._journal = journal
        self._own = frozenset(plan.changed)
        self._options = RenderOptions(**plan.header.options)

    def __call__(self, index: int) -> FileRecord | None:
        """The record of the written file; None if the sound stayed unusable."""
        try:
            sound = render_sound(self._model, index, self._options)
        except Unusable:
            return None
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
    indices: Iterator[int],
    write: Callable[[int], FileRecord | None],
    jobs: int,
    stop: StopSignal,
    progress: Progress,
) -> tuple[list[FileRecord], list[int]]:
    """Render on `jobs` threads until all is done, a signal arrives or one fails; what is in flight is
    finished.
    """
    written: list[FileRecord] = []
    failed: list[int] = []
    in_flight: dict[Future[FileRecord | None], int] = {}
    problem: BaseException | None = None
    with ThreadPoolExecutor(jobs, initializer=_use_one_torch_thread) as pool:
        while True:
            if stop.number is None and problem is None:
                for index in itertools.islice(indices, jobs + 1 - len(in_flight)):
                    in_flight[pool.submit(write, index)] = index
            else:
                for future in [each for each in in_flight if each.cancel()]:
                    del in_flight[future]
            if not in_flight:
                break
            finished, _ = wait(in_flight, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in finished:
                index = in_flight.pop(future)
                if (error := future.exception()) is not None:
                    problem = problem or error
                elif (record := future.result()) is not None:
                    written.append(record)
                    progress.advance()
                else:
                    failed.append(index)
    if problem is not None:
        raise problem
    return written, failed


def _use_one_torch_thread() -> None:
    """Files are rendered side by side, so each takes one thread; a sum split over threads would round
    differently.
    """
    import torch

    torch.set_num_threads(1)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# --- the folder


def _header(model: ModelLike, options: RenderOptions) -> Header:
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
        options=asdict(options),
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
