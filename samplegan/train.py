"""Training: one straight loop.

What is random in step *s* follows from (seed, s) alone, so a run that was stopped, or killed, and resumed ends with
the same weights as one that never stopped, on the same machine with the same number of threads.

A run that diverges goes back to its last checkpoint, and on from there at half the rates.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from samplegan import __version__, config, store
from samplegan.checkpoint import load_checkpoint, save_checkpoint
from samplegan.config import Pack
from samplegan.dataset import IMAGES_FILE, Dataset, prepare
from samplegan.errors import ConfigError, InputError, MachineError, SampleganError, Stopped
from samplegan.files import claim, machine_error, remove_stale_temporaries, write_atomic, write_json
from samplegan.gan import check_architecture, check_image
from samplegan.gan.players import Diverged, Players, Validation, build_players
from samplegan.progress import Progress
from samplegan.publish import complete_model, held_out_sounds, learned_sounds
from samplegan.representation import representation_for
from samplegan.signals import StopSignal
from samplegan.start import resolve_pack, starting_model
from samplegan.wall import wall_png

LOG_EVERY_STEPS = 25
PREVIEW_SOUNDS = 25
MOST_RETURNS = 3  # of one run, after it diverged
SETTLED = 2  # times as long as before the game has begun: from there on models count
BEST_MODEL = "best.safetensors"
LAST_MODEL = "last.safetensors"


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
    in_vain: int = 0  # the last validations that found none better, if these ended the training

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
                f"  ended     by itself: the last {self.in_vain} looks at held-out sounds found nothing better",
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
    synth_share: float | None = None,
    threads: int | None = None,
    quiet: bool = False,
) -> TrainResult:
    """Train a model on a pack definition or on a folder of audio, and put it where `render` finds it.

    Raises ConfigError, InputError, MachineError, SampleganError if it diverges again and again, and Stopped (after
    saving) on Ctrl-C or SIGTERM.
    """
    pack, base = resolve_pack(source, name=name, category=category, synth_share=synth_share)
    asked = {"seed": seed, "steps": steps, "architecture": architecture, "start_from": start_from}
    given: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
    training = replace(pack.training, **given)
    check_architecture(training.architecture)
    pack = config.completed(
        replace(pack, length_seconds=length_seconds or pack.length_seconds, training=training)
    )
    config.check_settings(pack)
    assert pack.image is not None
    check_image(pack.training.architecture, pack.image.name)
    if minutes is not None and not minutes > 0:
        raise ConfigError("--minutes must be more than 0")
    model_name = name or pack.name or pack.category
    store.check_model_name(model_name)
    chosen_device = pick_device(device)
    torch.set_num_threads(threads or os.cpu_count() or 1)
    only_minutes = minutes is not None and steps is None
    end = _End(
        step=None if only_minutes else pack.training.steps,
        seconds=None if minutes is None else minutes * 60,
    )
    run = _Run(model_name, pack, base, chosen_device, quiet=quiet)
    with run.claimed(resume=resume):
        run.open(resume=resume, overwrite=overwrite)
        return run.train(end)


def pick_device(device: str) -> torch.device:
    """'auto' is a GPU where there is one. Raises MachineError for a GPU that is asked for and absent."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda") and not device.startswith("cuda:"):
        raise ConfigError(f"'{device}' is not a device", hint="choose auto, cpu or cuda")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise MachineError("there is no CUDA device here", hint="leave --device out to train on the CPU")
    return torch.device(device)


@dataclass(frozen=True)
class _End:
    """When a sitting is over, if neither a signal nor patience ends it before. None: whenever."""

    step: int | None
    seconds: float | None


@dataclass(frozen=True)
class _Best:
    """The validation whose weights are kept."""

    score: float | None = None
    step: int = 0
    since: int = 0  # validations after it, or after the first that could not be better, none of them better


@dataclass
class _State:
    """How far a run has come: what its checkpoint holds beside the weights."""

    step: int = 0
    seconds: float = 0.0  # of steps and validations
    last: dict[str, float] = field(default_factory=dict)  # the newest of every term of the losses
    best: _Best = _Best()
    rates_halved: int = 0  # how often, because it diverged
    started_from: dict[str, str] | None = None  # the model whose weights training began with

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict`; other keys do not matter."""
        known = {key: document[key] for key in cls.__dataclass_fields__ if key in document}
        return cls(**known | {"best": _Best(**known["best"])})


class _Run:
    """A training run and its folder: run.json, data/, checkpoint.safetensors, log.jsonl, previews/."""

    def __init__(self, name: str, pack: Pack, base: Path, device: torch.device, *, quiet: bool) -> None:
        self.name = name
        self.pack = pack
        self.base = base
        self.device = device
        self.quiet = quiet
        assert pack.image is not None
        assert pack.length_seconds is not None
        self.representation = representation_for(pack.image, pack.length_seconds)
        self.folder = store.runs_folder() / name
        self.checkpoint = self.folder / "checkpoint.safetensors"
        self.model_path = store.models_folder() / f"{name}.safetensors"
        self.log = _Log(self.folder / "log.jsonl")

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
                if is_new and not self.log.path.exists():  # which is there from the first step on
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
            self.log.path,
            *(self.folder / "previews").glob("step-*.png"),
        ):
            old.unlink(missing_ok=True)
        write_json(run_file, document)

    def train(self, end: _End) -> TrainResult:
        """Train until the end or a signal, and publish the best model."""
        stop = StopSignal()
        with stop.listening():
            data = self._read(stop)
            sitting = _Sitting(self, data, end, stop)
            model = sitting.train()
            state = sitting.state
            if stop.number is not None and not self.quiet:
                print(
                    f"stopped at step {state.step}; learning the model's controls, unless stopped again",
                    file=sys.stderr,
                    flush=True,
                )
            self._publish(model, data, state.step)
        if stop.number is not None:
            raise Stopped(
                f"stopped at step {state.step}; everything is saved and `samplegan render {self.name}` works",
                signal_number=stop.number,
                hint="continue with the same command and --resume",
            )
        in_vain = state.best.since if state.best.since >= self.pack.training.patience else 0
        return TrainResult(
            self.name,
            self.model_path,
            self.folder,
            state.step,
            state.seconds,
            data.skipped,
            state.last,
            state.best.step,
            in_vain,
        )

    def _read(self, stop: StopSignal) -> Dataset:
        """The images of the pack's sounds. Raises Stopped at a signal."""
        with Progress("reading", unit="sounds", quiet=self.quiet) as progress:

            def read(done: int, count: int) -> None:
                _require_going_on(stop)
                progress.show(done, count)

            data = prepare(self.pack, self.base, self.representation, self.folder / "data", read)
            if joined := sum(not sound.hold_out for sound in data.sounds):
                own = len(data.sounds) - joined
                progress.say(f"{own} sounds, and {joined} synthesised ones beside them")
        if data.skipped:
            write_json(self.folder / "skipped.json", [list(entry) for entry in data.skipped])
        return data

    def _publish(self, model: Path, data: Dataset, step: int) -> None:
        """Put a model where `render` finds it: at once, and once more when its controls are learned.

        Raises Stopped at a signal, even after one that ended training.
        """
        write_atomic(self.model_path, model.read_bytes())
        card = store.model_card(store.read_card(model))
        write_atomic(self.model_path.with_suffix(".md"), card.encode())
        length_samples, training = self.representation.length_samples, np.unique(data.training)
        stop = StopSignal()

        def check() -> None:
            if stop.number is not None:
                raise Stopped(
                    f"stopped at step {step}; `samplegan render {self.name}` works, but the model has not learned its "
                    "controls (--bright and others), nor what copies of training sounds are",
                    signal_number=stop.number,
                    hint="the same command with --resume completes it",
                )

        with stop.listening():
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
                check=check,
            )


def _require_going_on(stop: StopSignal) -> None:
    """Raise Stopped at a signal."""
    if stop.number is not None:
        raise Stopped(
            "stopped before training began",
            signal_number=stop.number,
            hint="the same command starts again",
        )


class _Sitting:
    """One sitting of a run: from its last checkpoint, or its start, to an end or a signal."""

    def __init__(self, run: _Run, data: Dataset, end: _End, stop: StopSignal) -> None:
        self.run = run
        self.training = run.pack.training
        self.data = data
        self.end = end
        self.stop = stop
        self.players, self.state = self._restored()
        self.terms: dict[str, Tensor] = {}  # the newest of each; a GPU may still be at work on them
        self.saved_at = time.monotonic()

    def train(self) -> Path:
        """Train and save; the file of the model to publish."""
        self.run.log.rewind(self.state.step, self.state.rates_halved)
        unit = "seconds" if self.end.step is None else "steps"
        with Progress("training", unit=unit, quiet=self.run.quiet) as progress:
            while True:
                try:
                    while not self._is_over():
                        self._advance()
                        self._show(progress)
                    return self._conclude()
                except Diverged as reason:
                    progress.say(self._go_back(reason))

    def _restored(self) -> tuple[Players, _State]:
        """The run as its last checkpoint has it, or as it begins."""
        run = self.run
        players = build_players(self.training, run.representation, self.data, run.device)
        if run.checkpoint.exists():
            saved = load_checkpoint(run.checkpoint, players.modules(), players.optimisers())
            if saved["fingerprint"] != self.data.fingerprint:
                raise InputError(
                    "the sounds have changed since this run began",
                    file=run.base,
                    hint="restore them, or start again with --overwrite",
                )
            state = _State.from_document(saved)
            players.slow_down(0.5**state.rates_halved)
            return players, state
        model = starting_model(self.training, run.pack.category, run.representation)
        if model is None:
            began = time.monotonic()
            with Progress("beginning", unit="steps", quiet=run.quiet) as progress:

                def report(done: int, count: int) -> None:
                    _require_going_on(self.stop)
                    progress.show(done, count)

                players.begin(report)
            return players, _State(seconds=time.monotonic() - began)
        players.start_from(model.generator)
        return players, _State(started_from={"name": model.name, "sha256": model.sha256})

    def _go_back(self, reason: Diverged) -> str:
        """To the last checkpoint, or to the start, to go on at half the rates; what to say about it.

        Raises SampleganError where that would not help: the images are damaged, or it was done often enough.
        """
        self._require_whole_images()
        lost = self.state
        if lost.rates_halved >= MOST_RETURNS:
            raise SampleganError(
                f"training diverged before step {lost.step}: {reason}",
                file=self.run.checkpoint,
                hint="the last good checkpoint is kept: --resume --steps 1 makes a model of the best until then; "
                "or try lower rates in pack.yaml, with --overwrite",
            )
        self.players, kept = self._restored()
        self.terms = {}
        # What was best is still in its file, and the time is spent.
        self.state = replace(kept, seconds=lost.seconds, best=lost.best, rates_halved=lost.rates_halved + 1)
        self.players.slow_down(0.5 ** (self.state.rates_halved - kept.rates_halved))
        self.run.log.rewind(kept.step, lost.rates_halved)
        self._log({"diverged_at": lost.step, "rates_halved": self.state.rates_halved})
        return (
            f"training diverged before step {lost.step}: {reason}; back to step {kept.step}, both rates halved "
            f"(return {self.state.rates_halved} of {MOST_RETURNS})"
        )

    def _require_whole_images(self) -> None:
        if damaged := self.data.damaged():
            raise InputError(
                f"images to learn from hold values that are not numbers (NaN), the first that of "
                f"{self.data.sounds[damaged[0]].name}; there are {len(damaged)}",
                file=self.run.folder / "data" / IMAGES_FILE,
                hint="delete this file and train with --resume: it is made again from the sounds",
            )

    def _is_over(self) -> bool:
        state, end = self.state, self.end
        too_late = end.seconds is not None and state.seconds >= end.seconds
        too_many = end.step is not None and state.step >= end.step
        in_vain = state.best.since >= self.training.patience
        return self.stop.number is not None or too_late or too_many or in_vain

    def _advance(self) -> None:
        """A step, and what is due after it."""
        state = self.state
        with self._counting_seconds():
            self.terms |= self.players.step(state.step, measure=True)
        state.step += 1
        if state.step % LOG_EVERY_STEPS == 0:
            self.players.require_finite()
            self._log_terms()
        if state.step % self.training.validate_steps == 0:
            with self._counting_seconds():
                state.best = self._judged(self.run.folder / BEST_MODEL)
        if time.monotonic() - self.saved_at > self.training.checkpoint_seconds:
            self._save()

    def _conclude(self) -> Path:
        """Save; the file of the best model, which may be the last."""
        model = self.run.folder / BEST_MODEL
        if self.state.step % self.training.validate_steps or self.state.best.score is None:
            # This look is no part of the run: had it not been stopped here, it would not have looked.
            last_model = self.run.folder / LAST_MODEL
            if self._judged(last_model).step == self.state.step:
                model = last_model
        self._save()
        return model

    @contextlib.contextmanager
    def _counting_seconds(self) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.state.seconds += time.monotonic() - began

    def _log_terms(self) -> None:
        """A line with every term: those of the game are of an earlier step where this one had none."""
        self._measure()
        self._log({"images": self.state.step * self.players.batch} | self.state.last)

    def _measure(self) -> None:
        self.state.last |= {key: round(float(term), 5) for key, term in self.terms.items()}

    def _log(self, entry: dict[str, Any]) -> None:
        self.run.log.append({"step": self.state.step, "seconds": round(self.state.seconds, 1)} | entry)

    def _judged(self, file: Path) -> _Best:
        """The best validation so far; if it is this one, the model is kept in `file`."""
        self.players.require_finite()
        state = self.state
        validation = self.players.validate()
        picture = wall_png(validation.held_out[:PREVIEW_SOUNDS], validation.generated[:PREVIEW_SOUNDS])
        write_atomic(self.run.folder / "previews" / f"step-{state.step:07}.png", picture)
        self._log(validation.scores)
        best = state.best
        if self._is_early(best.step) and not self._is_early(state.step):
            best = _Best()
        # Of models as near as can be asked for (0) the latest: it has learned longest.
        if best.score is not None and validation.score >= best.score and validation.score > 0.0:
            return replace(best, since=best.since + 1)
        store.save_model(file, self.players.exported(), self._card(validation))
        # Nothing is better than 0: what is learned from then on are, sooner or later, copies.
        since = best.since + 1 if best.score == 0.0 else 0
        return _Best(validation.score, state.step, since)

    def _is_early(self, step: int) -> bool:
        """Whether a model has hardly learned: it draws vaguely, and can so be nearer to kits that it does not know than
        kits are to each other. It is kept until there is one that has learned."""
        return self.state.started_from is None and step < SETTLED * self.training.game_from_step

    def _card(self, validation: Validation) -> dict[str, Any]:
        run, state = self.run, self.state
        return {
            "name": run.name,
            "category": run.pack.category,
            "version": __version__,
            "representation": run.representation.to_document(),
            "training": config.to_document(self.training),
            "speeds": list(run.pack.speeds),
            "data": self.data.card,
            "started_from": state.started_from,
            "steps": state.step,
            "images": state.step * self.players.batch,
            "seconds": round(state.seconds),
            "metrics": validation.scores,
        } | ({"rates_halved": state.rates_halved} if state.rates_halved else {})

    def _save(self) -> None:
        self.players.require_finite()
        self._measure()
        save_checkpoint(
            self.run.checkpoint,
            self.players.modules(),
            self.players.optimisers(),
            asdict(self.state) | {"fingerprint": self.data.fingerprint},
        )
        self.saved_at = time.monotonic()

    def _show(self, progress: Progress) -> None:
        state, end = self.state, self.end
        note = " ".join(f"{key} {value:.2f}" for key, value in list(state.last.items())[:2])
        if end.step is not None:
            progress.show(state.step, end.step, note)
        else:
            progress.show(int(state.seconds), int(end.seconds or 0), f"step {state.step} {note}")


class _Log:
    """log.jsonl: a line of JSON for every so many steps, every validation, and every return after divergence."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rewind(self, step: int, rates_halved: int) -> None:
        """Drop what was logged after a checkpoint that training goes on from."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        kept = [line for line in lines if _is_of_before(line, step, rates_halved)]
        write_atomic(self.path, "".join(f"{line}\n" for line in kept).encode())

    def append(self, entry: dict[str, Any]) -> None:
        """Add a line."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise machine_error(error, self.path) from error


def _is_of_before(line: str, step: int, rates_halved: int) -> bool:
    try:
        entry = json.loads(line)
        return entry["step"] <= step and entry.get("rates_halved", 0) <= rates_halved
    except (ValueError, KeyError, TypeError):  # a line cut short by a crash
        return False


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
