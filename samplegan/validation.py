"""The signal-reconstruction test: which phase method brings a sound back from its magnitudes.

Every sound goes to magnitudes and back by every method: the six that the StereoSampleGAN draft compares, and the
product's own. In front of them stands the draft's choice as a whole: its Kaiser window, Griffin-Lim under a
time-frequency mask, each channel alone from a random phase. Nothing is generated, so that every error is the phase's.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsp import fidelity
from dsp.phase import METHODS, STARTS, reconstruct
from dsp.phase.drafts import VARIANTS
from dsp.stft import Stft, window
from samplegan.audio import ONSET_SAMPLE, SAMPLE_RATE, find_audio_files, load_one_shot
from samplegan.errors import ConfigError, InputError, UnreadableAudio, did_you_mean
from samplegan.files import write_atomic, write_json
from samplegan.inspection import Skipped
from samplegan.pack.names import slug
from samplegan.progress import Progress

F32 = NDArray[np.float32]
SCHEMA_VERSION = 1
REPORT_FILE = "validation.json"
DRAFT = "draft"
WINDOWS = ("hann", "kaiser", "gaussian")
SECONDS_RANGE = (0.05, 10.0)
LOW_HZ = 200.0
LEAST_LOW_SHARE_DB = -20.0  # sounds with less below LOW_HZ have no low end to judge

_LONGEST_WINDOW = 65_536  # samples
_MOST_CELLS = 16_000_000  # of one channel; a sound of 0.74 s has 67 thousand at 1024/256
_DRAFT_WINDOW, _DRAFT_HOP = 512, 128
_DRAFT_VARIANT = "gla-time-frequency-masking"
_WARM_UP_ITERATIONS = 12  # enough to compile what a method is made of


@dataclass(frozen=True)
class Settings:
    """What is tried."""

    window: str = "hann"
    window_samples: int = 1024
    hop_samples: int = 256
    iterations: int = 100
    start: str = "low-band"  # of the product's own methods
    seconds: float = 0.74  # every sound is cut or padded to this
    limit: int = 50  # sounds, taken evenly from the folder
    methods: tuple[str, ...] = ()  # all when left out
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises ConfigError for a name or a number that cannot be."""
        _check_name("--window", self.window, WINDOWS)
        _check_name("--start", self.start, STARTS)
        for name in self.methods:
            _check_name("--method", name, known_methods())
        if not (2 <= self.window_samples <= _LONGEST_WINDOW and self.hop_samples >= 1):
            raise ConfigError(
                f"no window of {self.window_samples} samples every {self.hop_samples} samples",
                hint=f"--window-samples lies between 2 and {_LONGEST_WINDOW}, --hop is at least 1",
            )
        low, high = SECONDS_RANGE
        if not low <= self.seconds <= high:
            raise ConfigError(f"--length must lie between {low:g} and {high:g}, not {self.seconds:g} seconds")


@dataclass(frozen=True)
class Scores:
    """How near one reconstruction is; see `dsp.fidelity`. Only the SI-SDR is better the higher it is."""

    spectral_convergence_db: float
    log_spectral_distance_db: float
    low_si_sdr_db: float | None  # below 200 Hz; None for sounds without a low end
    pre_echo_db: float
    attack_error_s: float
    mono_sum_error_db: float
    coherence_error: float
    seconds: float = 0.0  # of one thread, both channels


@dataclass(frozen=True)
class Method:
    """One way from the magnitudes [2, frame, bin] of `stft` to sound [2, sample]."""

    name: str
    described: str  # its window
    stft: Stft
    run: Callable[[F32, int], F32]  # magnitudes, iterations

    def __call__(self, magnitude: F32, iterations: int) -> F32:
        return self.run(magnitude, iterations)


@dataclass(frozen=True)
class MethodResult:
    """One method on every sound."""

    name: str
    window: str
    scores: tuple[Scores, ...]

    def mean(self, field: str) -> float | None:
        """Of one field over the sounds that have it."""
        values = [value for each in self.scores if (value := getattr(each, field)) is not None]
        return float(np.mean(values)) if values else None

    @property
    def attack_error_s(self) -> float:
        """The median: a few soft sounds would decide the mean."""
        return float(np.median([each.attack_error_s for each in self.scores]))

    def summary(self) -> dict[str, float | None]:
        """Every field over all sounds."""
        means = {field.name: self.mean(field.name) for field in dataclasses.fields(Scores)}
        return means | {"attack_error_s": self.attack_error_s}


@dataclass(frozen=True)
class Validation:
    """The whole test. `sounds` are those that could be read, `skipped` the others."""

    settings: Settings
    folder: Path
    files_found: int
    sounds: tuple[Path, ...]
    skipped: tuple[Skipped, ...]
    original_pre_echo_db: float
    results: tuple[MethodResult, ...]

    @property
    def draft(self) -> MethodResult:
        """The draft's choice."""
        return self.results[0]

    @property
    def best(self) -> MethodResult:
        """The nearest of the product's own methods, of the draft's where none of ours was asked for."""
        ours = [each for each in self.results[1:] if each.name in METHODS] or self.results[1:]
        return min(ours, key=lambda each: each.mean("spectral_convergence_db") or 0.0)

    def to_dict(self) -> dict[str, Any]:
        """A document that `json.dumps(…, allow_nan=False)` accepts."""
        return {
            "schema_version": SCHEMA_VERSION,
            "folder": printable(self.folder),
            "settings": dataclasses.asdict(self.settings),
            "files_found": self.files_found,
            "original_pre_echo_db": self.original_pre_echo_db,
            "methods": [
                {
                    "name": result.name,
                    "window": result.window,
                    "summary": result.summary(),
                    "sounds": [
                        {"path": printable(path), **dataclasses.asdict(scores)}
                        for path, scores in zip(self.sounds, result.scores, strict=True)
                    ],
                }
                for result in self.results
            ],
            "skipped": [{"path": printable(each.path), "reason": each.reason} for each in self.skipped],
        }


def known_methods() -> tuple[str, ...]:
    """What `--method` takes: the draft's variants, then our own methods."""
    return (*VARIANTS, *METHODS)


def validate(folder: Path, settings: Settings, *, quiet: bool = False) -> Validation:
    """Try every method on the sounds of a folder; what cannot be read is skipped and kept with its reason.

    Raises InputError if the folder holds no readable sound, ConfigError for a window and hop that do not fit.
    """
    found = find_audio_files(folder)
    if not found:
        raise InputError(
            "no audio files here", file=folder, hint="looked for wav, flac, aiff, ogg, opus, mp3"
        )
    chosen = evenly(found, settings.limit)
    methods = methods_for(settings)
    judge = _judge(settings)
    sounds: list[Path] = []
    skipped: list[Skipped] = []
    pre_echoes: list[float] = []
    scores: list[list[Scores]] = [[] for _ in methods]
    with Progress("validating", len(chosen), unit="sounds", quiet=quiet) as progress:
        for path in chosen:
            try:
                original = load_one_shot(path, settings.seconds)
            except UnreadableAudio as error:
                skipped.append(Skipped(path, error.what))
                progress.advance()
                continue
            if not sounds:
                _warm_up(methods, original, settings.iterations)
            for method, collected in zip(methods, scores, strict=True):
                collected.append(_try(method, original, judge, settings.iterations))
            pre_echoes.append(fidelity.pre_echo_db(original, ONSET_SAMPLE))
            sounds.append(path)
            progress.advance()
    if not sounds:
        raise InputError(
            f"none of {len(chosen)} files could be read; the first: {skipped[0].reason}", file=skipped[0].path
        )
    results = [
        MethodResult(method.name, method.described, tuple(collected))
        for method, collected in zip(methods, scores, strict=True)
    ]
    return Validation(
        settings=settings,
        folder=folder,
        files_found=len(found),
        sounds=tuple(sounds),
        skipped=tuple(skipped),
        original_pre_echo_db=float(np.mean(pre_echoes)),
        results=tuple(results),
    )


def measure(audio: F32, original: F32, stft: Stft, judge: Stft) -> Scores:
    """Every measure of `audio[2, sample]`; the convergence at `stft`, what compares spectra otherwise at `judge`."""
    has_low_end = fidelity.low_share_db(original, LOW_HZ) >= LEAST_LOW_SHARE_DB
    magnitudes = np.abs(stft.forward(audio)), np.abs(stft.forward(original))
    return Scores(
        spectral_convergence_db=fidelity.spectral_convergence_db(*magnitudes),
        log_spectral_distance_db=fidelity.log_spectral_distance_db(audio, original, judge),
        low_si_sdr_db=fidelity.low_si_sdr_db(audio, original, LOW_HZ) if has_low_end else None,
        pre_echo_db=fidelity.pre_echo_db(audio, ONSET_SAMPLE),
        attack_error_s=fidelity.attack_error_seconds(audio, original),
        mono_sum_error_db=fidelity.mono_sum_error_db(audio, original),
        coherence_error=fidelity.coherence_error(audio, original, judge),
    )


def methods_for(settings: Settings) -> list[Method]:
    """The draft's choice, then everything that was asked for. Raises ConfigError for windows that do not fit."""
    length = round(settings.seconds * SAMPLE_RATE)
    wanted = settings.methods or known_methods()
    frames = (length + settings.window_samples // 2) // settings.hop_samples
    cells = frames * settings.window_samples // 2
    if cells > _MOST_CELLS:
        raise ConfigError(
            f"{cells / 1e6:.0f} million cells a channel are too many; at most {_MOST_CELLS / 1e6:.0f}",
            hint="use a larger --hop, a smaller --window-samples or a shorter --length",
        )
    try:
        stft = Stft(length, window(settings.window, settings.window_samples), settings.hop_samples)
    except ValueError as error:
        raise ConfigError(str(error), hint="change --window-samples or --hop") from error
    draft_stft = Stft(length, window("kaiser", _DRAFT_WINDOW), _DRAFT_HOP)
    described = f"{settings.window} {settings.window_samples}/{settings.hop_samples}"
    draft_described = f"kaiser {_DRAFT_WINDOW}/{_DRAFT_HOP}"
    methods = [
        Method(DRAFT, draft_described, draft_stft, partial(_draft, _DRAFT_VARIANT, draft_stft, settings.seed))
    ]
    for name in known_methods():
        if name in wanted:
            run = (
                partial(_draft, name, stft, settings.seed)
                if name in VARIANTS
                else partial(_ours, name, stft, settings.start, settings.seed)
            )
            methods.append(Method(name, described, stft, run))
    return methods


def _draft(variant: str, stft: Stft, seed: int, magnitude: F32, iterations: int) -> F32:
    """Each channel alone, from a random phase of its own, as the draft does."""
    return VARIANTS[variant](magnitude, stft, iterations=iterations, seed=(2 * seed, 2 * seed + 1))


def _ours(method: str, stft: Stft, start: str, seed: int, magnitude: F32, iterations: int) -> F32:
    return reconstruct(
        magnitude[np.newaxis], stft, method=method, iterations=iterations, start=start, seed=seed
    )[0]


def _try(method: Method, original: F32, judge: Stft, iterations: int) -> Scores:
    magnitude = np.abs(method.stft.forward(original))
    began = time.perf_counter()
    audio = method(magnitude, iterations)
    seconds = time.perf_counter() - began
    return dataclasses.replace(measure(audio, original, method.stft, judge), seconds=seconds)


def _warm_up(methods: Sequence[Method], original: F32, iterations: int) -> None:
    """Compile before the clock runs."""
    for method in methods:
        method(np.abs(method.stft.forward(original)), min(iterations, _WARM_UP_ITERATIONS))


def judge_for(length_samples: int, *, window_samples: int = 2048) -> Stft:
    """The transform at which log spectra are compared."""
    return Stft(length_samples, window("hann", window_samples), window_samples // 4)


def _judge(settings: Settings) -> Stft:
    """One that is not the one reconstructed from."""
    length = round(settings.seconds * SAMPLE_RATE)
    return judge_for(length, window_samples=1024 if settings.window_samples == 2048 else 2048)


def evenly(files: Sequence[Path], limit: int) -> list[Path]:
    """At most `limit` of the files, spread evenly over all."""
    if len(files) <= limit:
        return list(files)
    return [files[index * len(files) // limit] for index in range(limit)]


# --- words


def table(validation: Validation) -> str:
    """Every method as one line, then what the columns mean and what was skipped."""
    settings, results = validation.settings, validation.results
    width = max(len(result.name) for result in results)
    lines = [
        f"{_counted(len(validation.sounds), 'sound')} of {validation.files_found}, {settings.seconds:g} s, "
        f"{settings.iterations} iterations, {settings.start} start",
        f"window {results[-1].window}, of the draft {results[0].window}",
        "",
        f"{'method':<{width}} {'SC':>6} {'LSD':>6} {'low':>6} {'pre-echo':>9} {'attack':>7} "
        f"{'mono':>6} {'coherence':>10} {'ms':>6}",
    ]
    for result in results:
        low = result.mean("low_si_sdr_db")
        lines.append(
            f"{result.name:<{width}} "
            f"{result.mean('spectral_convergence_db'):>6.1f} {result.mean('log_spectral_distance_db'):>6.2f} "
            + (f"{'-':>6} " if low is None else f"{low:>6.1f} ")
            + f"{result.mean('pre_echo_db'):>9.1f} {1000 * result.attack_error_s:>7.2f} "
            f"{result.mean('mono_sum_error_db'):>6.2f} {result.mean('coherence_error'):>10.3f} "
            f"{1000 * (result.mean('seconds') or 0.0):>6.0f}"
        )
    with_low_end = sum(each.low_si_sdr_db is not None for each in results[0].scores)
    lines += [
        "",
        "SC: spectral convergence, dB. LSD: log-spectral distance, dB. Lower is nearer, but for",
        f"low: SI-SDR below {LOW_HZ:g} Hz, dB, of the {_counted(with_low_end, 'sound')} with a low end.",
        f"pre-echo: energy before the onset, dB (the originals: {validation.original_pre_echo_db:.1f}).",
        "attack: how far it has moved, ms (median). mono: change of level in mono, dB.",
        "coherence: change of the likeness of left and right, 0 to 1. ms: a sound, one thread.",
    ]
    if len(results) > 1:
        lines += ["", _verdict(validation)]
    if validation.skipped:
        lines.append(f"{len(validation.skipped)} skipped:")
        lines += [f"  {printable(entry.path)}: {entry.reason}" for entry in validation.skipped]
    return "\n".join(lines)


def _verdict(validation: Validation) -> str:
    best, draft = validation.best, validation.draft
    gains_db = [
        old.spectral_convergence_db - new.spectral_convergence_db
        for old, new in zip(draft.scores, best.scores, strict=True)
    ]
    nearer = sum(gain > 0.0 for gain in gains_db)
    return (
        f"{best.name} is {np.mean(gains_db):.1f} dB nearer than the draft, "
        f"and nearer on {nearer} of {_counted(len(gains_db), 'sound')}."
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def printable(path: Path) -> str:
    """The path as text that any terminal and JSON can hold, whatever bytes the name has."""
    return os.fsencode(path).decode("utf-8", "replace") if os.name != "nt" else str(path)


# --- files


def check_out(out: Path, *, overwrite: bool) -> None:
    """Raise ConfigError if an earlier validation stands in `out` and must stay. Before the work, not after it."""
    if out.exists() and not out.is_dir():
        raise ConfigError("--out is a file, not a folder", file=out, hint="choose another folder")
    if (out / REPORT_FILE).exists() and not overwrite:
        raise ConfigError(
            "this folder holds a validation already",
            file=out,
            hint="choose another folder, or add --overwrite",
        )


def write_report(validation: Validation, out: Path, *, pictures: int) -> list[Path]:
    """Write the document and pictures of a few sounds to the folder `out`; what was written."""
    from samplegan.figures import Column, comparison_png

    settings = validation.settings
    methods = {method.name: method for method in methods_for(settings)}
    old, new = methods[DRAFT], methods[validation.best.name]
    drawn: list[Path] = []
    for path in evenly(validation.sounds, pictures):
        index = validation.sounds.index(path)
        original = load_one_shot(path, settings.seconds)
        columns = [Column("original", "", original)]
        for title, method in (("the draft's way", old), (f"samplegan's way: {new.name}", new)):
            audio = method(np.abs(method.stft.forward(original)), settings.iterations)
            result = next(each for each in validation.results if each.name == method.name)
            columns.append(Column(title, _caption(result.scores[index]), audio))
        drawn.append(out / f"{index + 1:03d}_{slug(path.stem)}.png")
        write_atomic(drawn[-1], comparison_png(columns, title=printable(Path(path.name))))
    # The document comes last: where it stands, all stands.
    report = out / REPORT_FILE
    write_json(report, validation.to_dict() | {"pictures": [each.name for each in drawn]})
    return [report, *drawn]


def _caption(scores: Scores) -> str:
    low = "" if scores.low_si_sdr_db is None else f"   low SI-SDR {scores.low_si_sdr_db:.1f} dB"
    return f"SC {scores.spectral_convergence_db:.1f} dB   LSD {scores.log_spectral_distance_db:.2f} dB{low}"


def _check_name(option: str, name: str, choices: Sequence[str]) -> None:
    if name not in choices:
        raise ConfigError(f"{option} has no '{name}'", hint=did_you_mean(name, "choices", choices))
