"""Training: one straight loop.

What is random in step *s* follows from (seed, s) alone, so a run that was stopped, or killed, and resumed ends with
the same weights as one that never stopped, on the same machine with the same number of threads.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from samplegan import __version__, config, store
from samplegan.audio import find_audio_files
from samplegan.categories import CATEGORIES, category_named
from samplegan.checkpoint import load_checkpoint, save_checkpoint
from samplegan.config import Pack, Training
from samplegan.dataset import Dataset, prepare
from samplegan.errors import ConfigError, InputError, MachineError, SampleganError, Stopped
from samplegan.files import claim, machine_error, remove_stale_temporaries, write_atomic, write_json
from samplegan.gan import check_architecture, check_image
from samplegan.gan.players import Players, Validation, build_players
from samplegan.progress import Progress
from samplegan.publish import complete_model, held_out_sounds, learned_sounds
from samplegan.representation import Representation, representation_for
from samplegan.signals import StopSignal
from samplegan.wall import wall_png

LOG_EVERY_STEPS = 25
PREVIEW_SOUNDS = 25
_MIXED_SHARE, _MIXED_FILES = 0.1, 5  # of the files, from which a second category is no accident
BEST_MODEL = "best.safetensors"
LAST_MODEL = "last.safetensors"
_NOTHING_YET: dict[str, Any] = {"score": None, "step": 0, "since": 0}
_FEW_FILES = 1000  # in a plain folder of fewer, each is also learned faster and slower
_MANY_SPEEDS = (0.85, 0.92, 1.0, 1.08, 1.17)


@dataclass(frozen=True)
class TrainResult:
    """A finished (or cleanly stopped) training run."""

    name: str
    model_path: Path
    run_folder: Path
    steps: int
    seconds: float
    skipped: tuple[tuple[str, str], ...]
    last: dict[str, float]
    best_step: int = 0  # whose weights the model has
    in_vain: int = 0  # validations after it that found none better, if these ended the training

    def summary(self) -> str:
        """What a person wants to know at the end."""
        lines = [
            f"{self.name}: {self.steps} steps in {self.seconds / 60:.1f} minutes",
            f"  model     {self.model_path}",
            f"  previews  {self.run_folder / 'previews'}",
            f"  next      samplegan render {self.name} --count 50 --out MyPack/",
        ]
        if self.in_vain:
            lines.insert(
                1,
                f"  ended     by itself: {self.in_vain} looks at held-out sounds since step {self.best_step} found "
                "nothing better",
            )
        if self.skipped:
            lines.insert(
                1, f"  skipped   {len(self.skipped)} files (listed in {self.run_folder / 'skipped.json'})"
            )
        return "\n".join(lines)


def train(
    source: Path,
    *,
    name: str | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    seed: int | None = None,
    architecture: str | None = None,
    start_from: str | None = None,
    category: str | None = None,
    length_seconds: float | None = None,
    threads: int | None = None,
    quiet: bool = False,
) -> TrainResult:
    """Train a model on a pack definition or on a folder of audio, and put it where `render` finds it.

    Raises ConfigError, InputError, MachineError, and Stopped (after saving) on Ctrl-C or SIGTERM.
    """
    pack, base = resolve_pack(source, name=name, category=category)
    changes: dict[str, Any] = {}
    if seed is not None:
        changes["seed"] = seed
    if steps is not None:
        changes["steps"] = steps
    if architecture is not None:
        check_architecture(architecture)
        changes["architecture"] = architecture
    if start_from is not None:
        changes["start_from"] = start_from
    pack = dataclasses.replace(
        pack,
        length_seconds=length_seconds or pack.length_seconds,
        training=dataclasses.replace(pack.training, **changes),
    )
    pack = config.completed(pack)
    config.check_settings(pack)
    check_architecture(pack.training.architecture)
    assert pack.image is not None
    check_image(pack.training.architecture, pack.image.name)
    if minutes is not None and not minutes > 0:
        raise ConfigError("--minutes must be more than 0")
    model_name = name or pack.name or pack.category
    store.check_model_name(model_name)
    chosen_device = pick_device(device)
    torch.set_num_threads(threads or os.cpu_count() or 1)
    run = _Run(model_name, pack, base, chosen_device, quiet=quiet)
    only_minutes = minutes is not None and steps is None
    with run.claimed(resume=resume):
        run.open(resume=resume, overwrite=overwrite)
        return run.train(
            last_step=None if only_minutes else pack.training.steps,
            last_seconds=None if minutes is None else minutes * 60,
        )


def resolve_pack(source: Path, *, name: str | None, category: str | None) -> tuple[Pack, Path]:
    """The pack that `source` stands for (a pack.yaml, a folder with one, or a folder of audio) and its folder."""
    source = source.expanduser()
    if not source.exists():
        raise ConfigError(
            "there is no such folder",
            file=source,
            hint="give a folder of audio files, or a pack definition such as packs/kicks",
        )
    if source.is_file() or (source / config.PACK_FILE).is_file():
        pack = config.load_pack(source)
        if category is not None:
            category_named(category)
            pack = dataclasses.replace(pack, category=category)
        return pack, source.parent if source.is_file() else source
    guessed = category or guess_category(source.resolve().name) or guess_category(name or "") or "perc"
    category_named(guessed)
    files = find_audio_files(source)
    if category is None:
        _require_one_category(source, files)
    few = len(files) < _FEW_FILES
    return Pack(
        category=guessed,
        sources=(config.Source(folder=str(source.resolve())),),
        speeds=_MANY_SPEEDS if few else (1.0,),
    ), source


def guess_category(words: str) -> str | None:
    """The category that a folder's name speaks of.

    >>> guess_category("Vinyl Kicks"), guess_category("open-hats"), guess_category("misc")
    ('kick', 'hat_open', None)
    """
    text = words.lower().replace("-", "_").replace(" ", "_")
    for key in (*CATEGORIES, *(c.plural for c in CATEGORIES.values())):
        if key in text:
            return next(c.name for c in CATEGORIES.values() if key in (c.name, c.plural))
    if "hat" in text or "hh" in text.split("_"):
        return "hat_open" if "open" in text else "hat_closed"
    spoken = {
        "bd": "kick",
        "bassdrum": "kick",
        "sd": "snare",
        "crash": "cymbal",
        "ride": "cymbal",
        "rim": "perc",
    }
    return next((category for word, category in spoken.items() if word in text.split("_")), None)


def _require_one_category(folder: Path, files: list[Path]) -> None:
    """Raise ConfigError if the names of a folder's files and subfolders tell of several categories."""
    told = Counter(guess_category("/".join(file.relative_to(folder).parts)) for file in files)
    kinds = {
        kind: number
        for kind, number in told.most_common()
        if kind is not None and number >= max(_MIXED_FILES, _MIXED_SHARE * len(files))
    }
    if len(kinds) > 1:
        counts = ", ".join(
            f"{number} {CATEGORIES[kind].plural.replace('_', ' ')}" for kind, number in kinds.items()
        )
        raise ConfigError(
            f"this folder seems to hold several categories: {counts}",
            file=folder,
            hint="train one category at a time, each from a folder of its own; --category kick takes all as kicks",
        )


def starting_model(training: Training, category: str, representation: Representation) -> store.Model | None:
    """The model whose weights a training begins with.

    None for 'nothing', and where the bundled model of the category (if there is one) draws otherwise. Raises
    ConfigError for a model that is asked for by name and draws otherwise, or does not exist.
    """
    name = training.start_from
    if name == "nothing":
        return None
    if name == "bundled":
        path = store.BUNDLED_FOLDER / f"{category}.safetensors"
        if not path.is_file():
            return None
        name = str(path)
    card = store.read_card(store.find_model(name))
    shape = ("architecture", "generator_width", "encoder_width", "code_dim", "latent_dim")
    if Representation.from_document(card["representation"]) == representation and all(
        card["training"].get(key) == getattr(training, key) for key in shape
    ):
        return store.load_model(name)
    if training.start_from == "bundled":
        return None
    raise ConfigError(
        f"training cannot start from '{name}': it draws other images, or is another network",
        hint="give the same --length, image and architecture, or leave --from out",
    )


def pick_device(device: str) -> torch.device:
    """'auto' is a GPU where there is one. Raises MachineError for a GPU that is asked for and absent."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda") and not device.startswith("cuda:"):
        raise ConfigError(f"'{device}' is not a device", hint="choose auto, cpu or cuda")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise MachineError("there is no CUDA device here", hint="leave --device out to train on the CPU")
    return torch.device(device)


class _Run:
    """A training run and its folder: run.json, data/, checkpoint.safetensors, log.jsonl, previews/."""

    def __init__(self, name: str, pack: Pack, base: Path, device: torch.device, *, quiet: bool) -> None:
        self.name = name
        self.pack = pack
        self.base = base
        self.device = device
        self.quiet = quiet
        self.folder = store.runs_folder() / name
        self.checkpoint = self.folder / "checkpoint.safetensors"
        self.model_path = store.models_folder() / f"{name}.safetensors"
        self.started_from: dict[str, str] | None = None  # the model whose weights training began with

    @contextlib.contextmanager
    def claimed(self, *, resume: bool) -> Iterator[None]:
        """No second process trains this run meanwhile; a run that is refused leaves nothing behind."""
        is_new = not self.folder.exists()
        if resume and is_new:
            raise ConfigError(
                f"there is no run named '{self.name}' to resume", hint="leave --resume out to start one"
            )
        lock = self.folder / "lock"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = lock.open("a")
        except OSError as error:
            raise machine_error(error, lock) from error
        with file:
            claim(file, self.folder, "training")
            try:
                yield
            except (ConfigError, InputError):
                if is_new:
                    shutil.rmtree(self.folder, ignore_errors=True)
                raise

    def open(self, *, resume: bool, overwrite: bool) -> None:
        """Make the run's folder, or check that it can be resumed."""
        # How long to train may change between two sittings; everything else makes another model.
        document = config.to_document(self.pack)
        document["training"].pop("steps")
        document["base"] = str(self.base.resolve())
        run_file = self.folder / "run.json"
        for folder in (self.folder, self.folder / "data", self.folder / "previews"):
            remove_stale_temporaries(folder)
        if resume:
            try:
                before = json.loads(run_file.read_text())
            except (OSError, ValueError) as error:
                raise InputError(
                    "the record of this run is missing or damaged",
                    file=run_file,
                    hint="start again with --overwrite",
                ) from error
            _require_same(before, json.loads(json.dumps(document)), self.name)
            return
        if (self.checkpoint.exists() or self.model_path.exists()) and not overwrite:
            raise ConfigError(
                f"a model or run named '{self.name}' exists already",
                file=self.folder if self.checkpoint.exists() else self.model_path,
                hint="continue it with --resume, replace it with --overwrite, or choose another --name",
            )
        for old in (
            self.checkpoint,
            self.folder / BEST_MODEL,
            self.folder / LAST_MODEL,
            self.folder / "log.jsonl",
            *(self.folder / "previews").glob("step-*.png"),
        ):
            old.unlink(missing_ok=True)
        write_json(run_file, document)

    def train(self, *, last_step: int | None, last_seconds: float | None) -> TrainResult:
        """Train until the step, the minutes or a signal."""
        pack, training = self.pack, self.pack.training
        assert pack.image is not None
        assert pack.length_seconds is not None
        representation = representation_for(pack.image, pack.length_seconds)
        stop = StopSignal()
        with stop.listening():
            with Progress("reading", unit="sounds", quiet=self.quiet) as progress:

                def read(done: int, count: int) -> None:
                    if stop.number is not None:
                        raise Stopped(
                            "stopped before training began",
                            signal_number=stop.number,
                            hint="the same command starts again",
                        )
                    progress.show(done, count)

                data = prepare(pack, self.base, representation, self.folder / "data", read)
            if data.skipped:
                write_json(self.folder / "skipped.json", [list(entry) for entry in data.skipped])
            players = build_players(training, representation, data, self.device)
            start = None
            if not self.checkpoint.exists():
                start = starting_model(training, pack.category, representation)
            if start is not None:
                players.start_from(start.generator)
            step, seconds, last, best = 0, 0.0, {}, dict(_NOTHING_YET)
            self.started_from = None if start is None else {"name": start.name, "sha256": start.sha256}
            if self.checkpoint.exists():
                saved = load_checkpoint(self.checkpoint, players.modules(), players.optimisers())
                if saved["fingerprint"] != data.fingerprint:
                    raise InputError(
                        "the sounds have changed since this run began",
                        file=self.base,
                        hint="restore them, or start again with --overwrite",
                    )
                step, seconds, last = saved["step"], saved["seconds"], saved["last"]
                best, self.started_from = saved["best"], saved["started_from"]

            def require_finite() -> None:
                if not players.are_finite():
                    raise SampleganError(
                        f"training diverged before step {step}: a weight is no longer a number",
                        file=self.checkpoint,
                        hint="the last good checkpoint is kept; try lower rates in pack.yaml",
                    )

            def judged(file: Path) -> dict[str, Any]:
                require_finite()
                validation = self._validate(players, step)
                log({"step": step, "seconds": round(seconds, 1)} | validation.scores)
                return self._best(best, players, step, seconds, representation, data, validation, file)

            def save() -> None:
                require_finite()
                state = {"step": step, "seconds": seconds, "last": last, "best": best}
                state |= {"fingerprint": data.fingerprint, "started_from": self.started_from}
                save_checkpoint(self.checkpoint, players.modules(), players.optimisers(), state)

            def finished() -> bool:
                too_late = last_seconds is not None and seconds >= last_seconds
                too_many = last_step is not None and step >= last_step
                in_vain = best["since"] >= training.patience
                return stop.number is not None or too_late or too_many or in_vain

            unit = "seconds" if last_step is None else "steps"
            with (
                Progress("training", unit=unit, quiet=self.quiet) as progress,
                self._log(step) as log,
            ):
                saved_at = time.monotonic()
                while not finished():
                    began = time.monotonic()
                    logging = (step + 1) % LOG_EVERY_STEPS == 0
                    losses = players.step(step, measure=logging)
                    step += 1
                    seconds += time.monotonic() - began
                    if logging:
                        last = {key: round(float(value), 5) for key, value in losses.items()}
                        log(
                            {"step": step, "images": step * players.batch, "seconds": round(seconds, 1)}
                            | last
                        )
                    if step % training.validate_steps == 0:
                        began = time.monotonic()
                        best = judged(self.folder / BEST_MODEL)
                        seconds += time.monotonic() - began
                    if time.monotonic() - saved_at > training.checkpoint_seconds:
                        save()
                        saved_at = time.monotonic()
                    shown = " ".join(f"{key} {value:.2f}" for key, value in list(last.items())[:2])
                    if last_step is not None:
                        progress.show(step, last_step, shown)
                    else:
                        progress.show(int(seconds), int(last_seconds or 0), f"step {step} {shown}")
                model = self.folder / BEST_MODEL
                if step % training.validate_steps or best["score"] is None:
                    # This look is no part of the run: had it not been stopped here, it would not have looked.
                    last_model = self.folder / LAST_MODEL
                    if judged(last_model)["step"] == step:
                        model = last_model
                save()
            self._publish(model, data, representation)
        if stop.number is not None:
            raise Stopped(
                f"stopped at step {step}; everything is saved and `samplegan render {self.name}` works",
                signal_number=stop.number,
                hint="continue with the same command and --resume",
            )
        in_vain = best["since"] if best["since"] >= training.patience else 0
        return TrainResult(
            self.name, self.model_path, self.folder, step, seconds, data.skipped, last, best["step"], in_vain
        )

    def _validate(self, players: Players, step: int) -> Validation:
        validation = players.validate()
        picture = wall_png(validation.held_out[:PREVIEW_SOUNDS], validation.generated[:PREVIEW_SOUNDS])
        write_atomic(self.folder / "previews" / f"step-{step:07}.png", picture)
        return validation

    def _best(
        self,
        best: dict[str, Any],
        players: Players,
        step: int,
        seconds: float,
        representation: Representation,
        data: Dataset,
        validation: Validation,
        file: Path,
    ) -> dict[str, Any]:
        """The best validation so far; if it is this one, the model is kept in `file`."""
        if best["score"] is not None and validation.score >= best["score"]:
            return best | {"since": best["since"] + 1}
        card = {
            "name": self.name,
            "category": self.pack.category,
            "version": __version__,
            "representation": representation.to_document(),
            "training": config.to_document(self.pack.training),
            "speeds": list(self.pack.speeds),
            "data": data.card,
            "started_from": self.started_from,
            "steps": step,
            "images": step * players.batch,
            "seconds": round(seconds),
            "metrics": validation.scores,
        }
        store.save_model(file, players.exported(), card)
        return {"score": validation.score, "step": step, "since": 0}

    def _publish(self, model: Path, data: Dataset, representation: Representation) -> None:
        """Put a model where `render` finds it: at once, and once more when its controls are learned."""
        write_atomic(self.model_path, model.read_bytes())
        length_samples, training = representation.length_samples, np.unique(data.training)
        complete_model(
            model,
            self.model_path,
            training=learned_sounds(
                [data.sounds[index] for index in training],
                self.pack.speeds,
                length_samples,
                seed=self.pack.training.seed,
            ),
            held_out=held_out_sounds([data.sounds[index] for index in data.validation], length_samples),
            sounds=self.pack.training.control_sounds,
            jobs=torch.get_num_threads(),
            quiet=self.quiet,
        )
        card = store.model_card(store.read_card(model))
        write_atomic(self.model_path.with_suffix(".md"), card.encode())

    @contextlib.contextmanager
    def _log(self, step: int) -> Iterator[Any]:
        """A function that appends one JSON line; what was logged after the resumed step is dropped."""
        path = self.folder / "log.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in lines if _step_of(line) <= step]
        write_atomic(path, "".join(f"{line}\n" for line in kept).encode())
        with path.open("a", encoding="utf-8") as file:
            yield lambda entry: _append_line(file, entry)


def _require_same(before: Any, now: Any, name: str, key: str = "") -> None:
    if isinstance(before, dict) and isinstance(now, dict):
        for inner in sorted(before.keys() | now.keys()):
            path = f"{key}.{inner}" if key else inner
            _require_same(before.get(inner), now.get(inner), name, path)
    elif before != now:
        raise ConfigError(
            f"the run '{name}' was begun with {key} = {before!r}, and this is {now!r}",
            hint="use the same settings to resume, or start again with --overwrite",
        )


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return sys.maxsize  # a line cut short by a crash


def _append_line(file: IO[str], entry: dict[str, Any]) -> None:
    file.write(json.dumps(entry) + "\n")
    file.flush()
