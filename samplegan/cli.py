"""The command line: parse, call, report. Everything heavy is imported inside the commands, so that help is
instant.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
import typer.core
from typer.main import get_command

from samplegan import __version__
from samplegan.categories import CATEGORIES
from samplegan.errors import ConfigError, PartialError, SampleganError, did_you_mean

if TYPE_CHECKING:
    from samplegan.inspection import Skipped
    from samplegan.render import Existing
    from samplegan.store import ModelInfo
    from samplegan.vary import Job

_INTERRUPTED = 130
_MOST_THREADS = 1024  # thousands more crash the libraries below
_DEPENDENCIES = ("torch", "numpy", "numba", "pyfftw", "soundfile", "typer")
_debug = False


class _Command(typer.core.TyperCommand):
    """A command whose help shows its options in groups, and its examples as they are typed."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                is_argument = parameter.param_type_name == "argument"
                group = getattr(parameter, "rich_help_panel", None) or "Other"
                groups.setdefault("Arguments" if is_argument else group, []).append(record)
        other = groups.pop("Other", [])
        for title, records in [*groups.items(), ("Other", other)]:
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        _write_examples(self.epilog, formatter)


class _Group(typer.core.TyperGroup):
    """The command itself, with suggestions for a mistyped one."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        _write_examples(self.epilog, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise ConfigError(
                f"there is no command '{args[0]}'",
                hint=did_you_mean(args[0], "commands", self.commands),
            )
        return super().resolve_command(ctx, args)


def _write_examples(epilog: str | None, formatter: Any) -> None:
    if epilog:
        with formatter.section("Examples"):
            for line in epilog.strip().splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line}".rstrip() + "\n")


app = typer.Typer(
    cls=_Group,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich would take longer to load than everything else together
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""
samplegan render kick --count 200 --out MyPack/
samplegan train ~/Samples/Kicks --name mykick --minutes 60
samplegan inspect MyPack/

Exit codes: 0 done, 1 failure, 2 usage, 3 input unusable, 4 partial, 5 machine, 130/143 stopped.""",
)


def _show_version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError, version

    print(f"samplegan {__version__} (Python {sys.version.split()[0]})")
    for name in _DEPENDENCIES:
        try:
            print(f"  {name:<12} {version(name)}")
        except PackageNotFoundError:
            print(f"  {name:<12} missing")
    try:
        import soundfile

        print(f"  {'libsndfile':<12} {soundfile.__libsndfile_version__}")
    except (ImportError, OSError):
        print(f"  {'libsndfile':<12} missing")
    raise typer.Exit()


@app.callback()
def _everything(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback with every error.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the versions of what is installed."
        ),
    ] = False,
) -> None:
    """Train compact GANs on drum one-shots and render finished sample packs, on a laptop's CPU."""
    global _debug
    _debug = _debug or debug


Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing but errors.", rich_help_panel="Output")
]
Control = Annotated[
    float,
    typer.Option(
        help="-3 … 3, in standard deviations of the model's sounds.",
        rich_help_panel="Character",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.", rich_help_panel="Output")]


# --- render


@app.command(
    cls=_Command,
    short_help="Render a sample pack from a model.",
    epilog="""
samplegan render kick --count 200 --out MyPack/
samplegan render kick --count 50 --out Short/ --length 250ms --seed 7 --truncation 0.7
samplegan render kick --count 50 --out Punchy/ --punchy +1 --bright -1 --pitch F1
samplegan render mykick.safetensors --count 500 --out MyPack/ --resume""",
)
def render(
    model: Annotated[str, typer.Argument(help="A bundled model, one of yours, or the path of one.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the pack.", rich_help_panel="Output")],
    count: Annotated[
        int,
        typer.Option("--count", "-n", help="How many files.", rich_help_panel="Output", show_default=True),
    ] = 50,
    seed: Annotated[
        int, typer.Option(help="The same seed gives the same files.", rich_help_panel="Sound")
    ] = 0,
    length: Annotated[
        str | None,
        typer.Option(
            help="Longest sound: 250ms, 0.25s or 0.25.", rich_help_panel="Sound", show_default=False
        ),
    ] = None,
    truncation: Annotated[
        float | None,
        typer.Option(
            help="Below 1: closer to the typical sound; above: wilder.",
            rich_help_panel="Sound",
            show_default=False,
        ),
    ] = None,
    loudness: Annotated[
        float | None,
        typer.Option(
            help="Target momentary loudness, LUFS; the category's by default.",
            rich_help_panel="Sound",
            show_default=False,
        ),
    ] = None,
    ceiling: Annotated[float, typer.Option(help="True-peak ceiling, dBTP.", rich_help_panel="Sound")] = -1.0,
    punchy: Control = 0.0,
    bright: Control = 0.0,
    long: Control = 0.0,
    noisy: Control = 0.0,
    wide: Control = 0.0,
    pitch: Annotated[
        str | None,
        typer.Option(
            help="Tune every sound: F1, c#2, 43.65, or F in any octave.",
            rich_help_panel="Character",
            show_default=False,
        ),
    ] = None,
    gates: Annotated[
        bool,
        typer.Option(
            "--gates/--no-gates",
            help="Leave out flawed and strange sounds, copies of training sounds, and those too like another.",
            rich_help_panel="Sound",
        ),
    ] = True,
    format: Annotated[str, typer.Option(help="wav or flac.", rich_help_panel="Output")] = "wav",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the pack in --out.", rich_help_panel="Output")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Render only what is missing in --out.", rich_help_panel="Output"),
    ] = False,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing", help="As --resume, and fine if nothing is missing.", rich_help_panel="Output"
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be written.", rich_help_panel="Output")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            help="Threads; all cores by default. Does not change a byte.",
            rich_help_panel="Performance",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Render a sample pack: finished 24-bit files, named by how they sound, and a manifest."""
    existing_name = _one_of({"overwrite": overwrite, "resume": resume, "skip-existing": skip_existing})
    seconds = None if length is None else parse_seconds(length)
    _require_at_least_one("--count", count)
    _require_threads("--jobs", jobs)

    from samplegan.render import Existing, RenderOptions, carry_out, plan_render
    from samplegan.store import load_model

    existing = {
        None: Existing.REFUSE,
        "overwrite": Existing.OVERWRITE,
        "resume": Existing.RESUME,
        "skip-existing": Existing.SKIP,
    }[existing_name]
    loaded = load_model(model)
    options = RenderOptions(
        seed,
        seconds,
        truncation,
        format.lower(),
        loudness,
        ceiling,
        punchy=punchy,
        bright=bright,
        long=long,
        noisy=noisy,
        wide=wide,
        pitch=pitch,
        gates=gates,
    )
    plan = plan_render(loaded, out, count=count, options=options, existing=existing)
    if dry_run:
        _print_json(plan.to_dict()) if as_json else print(plan.summary())
        return
    summary = carry_out(plan, loaded, jobs=jobs, existing=existing, quiet=quiet)
    if as_json:
        _print_json(summary.to_dict())
    elif not quiet and not summary.nothing_to_do:
        _say(summary.summary())
    if (problem := summary.problem()) is not None:
        raise problem


# --- vary, morph

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.", rich_help_panel="Output")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the pack in --out.", rich_help_panel="Output")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Make only what is missing in --out.", rich_help_panel="Output")
]
Format = Annotated[str, typer.Option("--format", help="wav or flac.", rich_help_panel="Output")]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        help="Threads; all cores by default. Does not change a byte.",
        rich_help_panel="Performance",
        show_default=False,
    ),
]
ByModel = Annotated[
    str | None,
    typer.Option(
        "--model", help="The model that encodes and draws.", rich_help_panel="Sound", show_default=False
    ),
]
ByCategory = Annotated[
    str | None,
    typer.Option(
        "--category",
        help=f"The model of a category: one of {', '.join(CATEGORIES)}; told by the file's name when left out.",
        rich_help_panel="Sound",
        show_default=False,
    ),
]


@app.command(
    cls=_Command,
    short_help="Make sounds near one of your own.",
    epilog="""
samplegan vary kick_01.wav --count 16 --out Near/
samplegan vary boom.wav --model mykick --amount 0.5 --out Further/""",
)
def vary(
    file: Annotated[Path, typer.Argument(help="A one-shot.")],
    out: Out,
    amount: Annotated[
        float,
        typer.Option(help="How far: 0 is the sound itself, 1 as far as any other.", rich_help_panel="Sound"),
    ] = 0.2,
    count: Annotated[int, typer.Option("--count", "-n", help="How many.", rich_help_panel="Output")] = 16,
    model: ByModel = None,
    category: ByCategory = None,
    seed: Annotated[
        int, typer.Option(help="The same seed gives the same files.", rich_help_panel="Sound")
    ] = 0,
    format: Format = "wav",
    overwrite: Overwrite = False,
    resume: Resume = False,
    jobs: Jobs = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make variations of a sound, from hardly another hit to another drum, finished as a rendered pack is."""
    _one_of({"overwrite": overwrite, "resume": resume})
    _one_of({"model": model is not None, "category": category is not None})
    _require_at_least_one("--count", count)
    _require_threads("--jobs", jobs)

    from samplegan.render import Existing, RenderOptions
    from samplegan.vary import plan_variations

    existing = Existing.OVERWRITE if overwrite else Existing.RESUME if resume else Existing.REFUSE
    options = RenderOptions(seed=seed, format=format.lower())
    job = plan_variations(
        file,
        out,
        amount=amount,
        count=count,
        model=model,
        category=category,
        options=options,
        existing=existing,
    )
    _carry_out(job, jobs, existing, as_json=as_json, quiet=quiet)


@app.command(
    cls=_Command,
    short_help="Make the sounds between two of your own.",
    epilog="""
samplegan morph kick_01.wav kick_02.wav --steps 8 --out Between/""",
)
def morph(
    first: Annotated[Path, typer.Argument(help="A one-shot.")],
    second: Annotated[Path, typer.Argument(help="Another.")],
    out: Out,
    steps: Annotated[
        int, typer.Option(help="How many files, both ends included.", rich_help_panel="Output")
    ] = 8,
    model: ByModel = None,
    category: ByCategory = None,
    seed: Annotated[int, typer.Option(help="Of the noise in the sounds.", rich_help_panel="Sound")] = 0,
    format: Format = "wav",
    overwrite: Overwrite = False,
    resume: Resume = False,
    jobs: Jobs = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make the sounds on the way from one to another, numbered in order, finished as a rendered pack is."""
    _one_of({"overwrite": overwrite, "resume": resume})
    _one_of({"model": model is not None, "category": category is not None})
    _require_threads("--jobs", jobs)

    from samplegan.render import Existing, RenderOptions
    from samplegan.vary import plan_morph

    existing = Existing.OVERWRITE if overwrite else Existing.RESUME if resume else Existing.REFUSE
    options = RenderOptions(seed=seed, format=format.lower())
    job = plan_morph(
        first,
        second,
        out,
        steps=steps,
        model=model,
        category=category,
        options=options,
        existing=existing,
    )
    _carry_out(job, jobs, existing, as_json=as_json, quiet=quiet)


def _carry_out(job: Job, jobs: int | None, existing: Existing, *, as_json: bool, quiet: bool) -> None:
    for warning in job.warnings:
        _say(f"warning: {warning}")
    summary = job.carry_out(jobs=jobs, existing=existing, quiet=quiet)
    if as_json:
        _print_json(summary.to_dict())
    elif not quiet and not summary.nothing_to_do:
        _say(summary.summary())
    if (problem := summary.problem()) is not None:
        raise problem


# --- train


@app.command(
    cls=_Command,
    short_help="Train a model on your own one-shots.",
    epilog="""
samplegan train packs/kicks
samplegan train ~/Samples/Kicks --name mykick --minutes 60
samplegan train ~/Samples/Kicks --name mykick --resume --minutes 120""",
)
def train(
    source: Annotated[Path, typer.Argument(help="A folder of audio, or a pack definition.")],
    name: Annotated[str | None, typer.Option(help="The model's name.", rich_help_panel="Model")] = None,
    category: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(CATEGORIES)}.", rich_help_panel="Model")
    ] = None,
    length: Annotated[
        str | None,
        typer.Option(help="Length of every sound: 600ms, 0.6s or 0.6.", rich_help_panel="Model"),
    ] = None,
    architecture: Annotated[
        str | None, typer.Option(help="The networks' design.", rich_help_panel="Model")
    ] = None,
    start_from: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="A model to go on from: bundled (the category's, where it fits; the default), nothing, or a name.",
            rich_help_panel="Model",
        ),
    ] = None,
    synth_share: Annotated[
        float | None,
        typer.Option(
            help="Beside a folder: how much of what is learned from is synthesised. Half, where it holds fewer than "
            "1,000 sounds of a known category; 0: the model learns from the folder alone.",
            rich_help_panel="Model",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the training.", rich_help_panel="Model")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after so many minutes.", rich_help_panel="Time")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Stop at this step.", rich_help_panel="Time")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where training was stopped.", rich_help_panel="Time")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the model of this name.", rich_help_panel="Time")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.", rich_help_panel="Performance")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads.", rich_help_panel="Performance")] = None,
    quiet: Quiet = False,
) -> None:
    """Train a model on a folder of one-shots or on a pack definition."""
    _one_of({"resume": resume, "overwrite": overwrite})
    seconds = None if length is None else parse_seconds(length)
    if category is not None:
        from samplegan.categories import category_named

        category_named(category)
    if steps is not None:
        _require_at_least_one("--steps", steps)
    _require_threads("--threads", threads)

    from samplegan.train import train as train_model

    result = train_model(
        source,
        name=name,
        minutes=minutes,
        steps=steps,
        resume=resume,
        overwrite=overwrite,
        device=device,
        seed=seed,
        architecture=architecture,
        start_from=start_from,
        category=category,
        length_seconds=seconds,
        synth_share=synth_share,
        threads=threads,
        quiet=quiet,
    )
    if not quiet:
        _say(result.summary())


# --- inspect


@app.command(
    cls=_Command,
    short_help="Measure one-shots and find their flaws.",
    epilog="""
samplegan inspect kick.wav
samplegan inspect MyPack/ --json
samplegan inspect kick.wav --plot kick.png""",
)
def inspect(
    paths: Annotated[list[Path], typer.Argument(help="Audio files and folders.")],
    plot: Annotated[
        Path | None,
        typer.Option(help="Also draw a picture here.", rich_help_panel="Output", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure one-shots: level, length, pitch, brightness, width, and what is wrong with them."""
    from samplegan.inspection import inspect_paths, summary_table, table

    if plot is not None:
        if plot.suffix.lower() != ".png":
            raise ConfigError("--plot draws a PNG", file=plot, hint="name it, for example, kick.png")
        if len(paths) != 1 or paths[0].is_dir():
            raise ConfigError("--plot draws one file", hint="name one file, not several and no folder")
    inspection = inspect_paths(paths)
    if plot is not None:
        from samplegan.figures import plot_inspection

        plot_inspection(inspection.reports[0], plot)
    if as_json:
        _print_json(inspection.to_dict())
    else:
        is_one = len(inspection.reports) == 1 and not inspection.skipped
        print(table(inspection.reports[0]) if is_one else summary_table(inspection))
    _raise_for_skipped(inspection.skipped)


# --- evaluate


@app.command(
    cls=_Command,
    short_help="Measure a model against real sounds.",
    epilog="""
samplegan evaluate mykick --against Split/test --train Split/train
samplegan evaluate mykick --against Split/test --train Split/train --beside kick --out Report/
samplegan evaluate MyPack/ --against Split/test --category kick --json""",
)
def evaluate(
    model_or_folder: Annotated[
        str,
        typer.Argument(
            help="A model's name or path, or a folder of audio (./kick where a model is named so)."
        ),
    ],
    against: Annotated[
        Path, typer.Option(help="Folder of real sounds that were not learned from.", rich_help_panel="Sound")
    ],
    train: Annotated[
        Path | None,
        typer.Option(
            "--train",
            help="Folder of the sounds learned from: for the floor, copies and a linear baseline.",
            rich_help_panel="Sound",
            show_default=False,
        ),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            help="Another model or folder to compare; may be repeated.",
            rich_help_panel="Sound",
            show_default=False,
        ),
    ] = None,
    category: Annotated[
        str | None,
        typer.Option(
            help=f"What the sounds are: one of {', '.join(CATEGORIES)}; told by the model or the folders' names "
            "when left out.",
            rich_help_panel="Sound",
            show_default=False,
        ),
    ] = None,
    count: Annotated[
        int,
        typer.Option("--count", "-n", help="Most sounds of every set.", rich_help_panel="Sound"),
    ] = 400,
    seed: Annotated[
        int, typer.Option(help="The same seed gives the same report.", rich_help_panel="Sound")
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Also write report.html, report.json and pictures here.",
            rich_help_panel="Output",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the report in --out.", rich_help_panel="Output")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            help="Processes; all cores by default. Does not change a figure.",
            rich_help_panel="Performance",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure how near a model's sounds come to real ones that it never saw, how varied they are, and whether they
    are copies: beside real sounds themselves, a linear model, a memoriser and the synthesiser.
    """
    _require_at_least_one("--count", count)
    _require_not_negative("--seed", seed)
    _require_threads("--jobs", jobs)

    from samplegan.evaluate.report import check_out, write_report
    from samplegan.evaluate.report import evaluate as compare
    from samplegan.evaluate.table import table

    if out is not None:
        check_out(out, overwrite=overwrite)
    report = compare(
        model_or_folder,
        against=against,
        train=train,
        beside=beside or (),
        category=category,
        count=count,
        seed=seed,
        jobs=jobs,
        quiet=quiet,
    )
    if as_json:
        _print_json(report.to_document())
    elif not quiet:
        print(table(report))
    if out is not None:
        written = write_report(report, out)
        if not quiet:
            _say(f"{out}: {len(written)} files")
    _raise_for_skipped(report.skipped)


# --- validate


@app.command(
    cls=_Command,
    short_help="Compare phase methods on your own sounds.",
    epilog="""
samplegan validate ~/Samples/Kicks
samplegan validate ~/Samples/Kicks --limit 200 --out Report/
samplegan validate ~/Samples/Kicks --method raar --method rtisi --window kaiser --json""",
)
def validate(
    folder: Annotated[Path, typer.Argument(help="A folder of audio.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Also write validation.json and pictures here.",
            rich_help_panel="Output",
            show_default=False,
        ),
    ] = None,
    pictures: Annotated[int, typer.Option(help="How many sounds to draw.", rich_help_panel="Output")] = 3,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the validation in --out.", rich_help_panel="Output")
    ] = False,
    limit: Annotated[
        int, typer.Option(help="Most sounds, taken evenly from the folder.", rich_help_panel="Sound")
    ] = 50,
    length: Annotated[
        str,
        typer.Option(
            "--length",
            "--seconds",
            help="Length of every sound: 740ms, 0.74s or 0.74.",
            rich_help_panel="Sound",
        ),
    ] = "740ms",
    method: Annotated[
        list[str] | None,
        typer.Option(help="Only this method; may be repeated.", rich_help_panel="Phase", show_default=False),
    ] = None,
    iterations: Annotated[int, typer.Option(help="Of every method.", rich_help_panel="Phase")] = 100,
    start: Annotated[
        str,
        typer.Option(
            help="low-band, pghi, rtisi-la, random, zero or minimum-phase.", rich_help_panel="Phase"
        ),
    ] = "low-band",
    window: Annotated[str, typer.Option(help="hann, kaiser or gaussian.", rich_help_panel="Phase")] = "hann",
    window_samples: Annotated[
        int, typer.Option(help="Length of the window.", rich_help_panel="Phase")
    ] = 1024,
    hop: Annotated[int, typer.Option(help="Samples between frames.", rich_help_panel="Phase")] = 256,
    seed: Annotated[int, typer.Option(help="Of random starts.", rich_help_panel="Phase")] = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare phase methods: every one brings every sound back from its magnitudes.

    The draft's six methods, each channel alone from a random phase, stand beside samplegan's own.
    """
    seconds = parse_seconds(length)
    _require_at_least_one("--limit", limit)
    _require_at_least_one("--iterations", iterations)
    _require_not_negative("--pictures", pictures)
    _require_not_negative("--seed", seed)

    from samplegan.validation import Settings, check_out, table, write_report
    from samplegan.validation import validate as validate_folder

    settings = Settings(
        window=window,
        window_samples=window_samples,
        hop_samples=hop,
        iterations=iterations,
        start=start,
        seconds=seconds,
        limit=limit,
        methods=tuple(method or ()),
        seed=seed,
    )
    if out is not None:
        check_out(out, overwrite=overwrite)
    validation = validate_folder(folder, settings, quiet=quiet)
    if as_json:
        _print_json(validation.to_dict())
    elif not quiet:
        print(table(validation))
    if out is not None:
        written = write_report(validation, out, pictures=pictures)
        if not quiet:
            _say(f"{out}: {len(written)} files")
    _raise_for_skipped(validation.skipped)


# --- roundtrip


@app.command(
    cls=_Command,
    short_help="Hear what an image keeps of a sound.",
    epilog="""
samplegan roundtrip kick_01.wav --out back.wav
samplegan roundtrip boom.wav --category kick --image draft --out draft.wav
samplegan roundtrip boom.wav --model mykick --out back.wav""",
)
def roundtrip(
    file: Annotated[Path, typer.Argument(help="An audio file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="WAV or FLAC to write.", rich_help_panel="Output")],
    category: Annotated[
        str | None,
        typer.Option(
            help=f"Whose image: one of {', '.join(CATEGORIES)}; told by the name of the file or its folder "
            "when left out.",
            rich_help_panel="Image",
            show_default=False,
        ),
    ] = None,
    pack: Annotated[
        Path | None,
        typer.Option(help="The image of a pack definition.", rich_help_panel="Image", show_default=False),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The image of a model.", rich_help_panel="Image", show_default=False)
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(
            help="compact, or draft: the StereoSampleGAN draft's.",
            rich_help_panel="Image",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the noise in the sound.", rich_help_panel="Image")] = 0,
    overwrite: Annotated[
        bool,
        typer.Option("--force", "--overwrite", help="Replace the file at --out.", rich_help_panel="Output"),
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write what an image keeps of a sound: there and back, at the loudness of the original."""
    whose = {"category": category is not None, "pack": pack is not None, "model": model is not None}
    chosen = _one_of(whose)
    if image is not None and chosen in ("pack", "model"):
        _one_of({"image": True, chosen: True})
    _require_not_negative("--seed", seed)

    from samplegan.roundtrip import check_files, choose_representation, round_trip, table, write

    check_files(file, out, overwrite=overwrite)
    representation, chosen_by = choose_representation(
        file, category=category, pack=pack, model=model, image=image
    )
    trip = round_trip(file, representation, chosen_by, seed=seed)
    write(trip, out)
    if as_json:
        _print_json(trip.to_dict())
    elif not quiet:
        print(table(trip))


# --- synth


@app.command(
    cls=_Command,
    short_help="Synthesise one-shots without a model.",
    epilog="""
samplegan synth kick --count 500 --out Kicks/
samplegan synth hat_closed --count 20 --out Hats/ --seed 3""",
)
def synth(
    category: Annotated[str, typer.Argument(help=f"One of {', '.join(CATEGORIES)}.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.", rich_help_panel="Output")],
    count: Annotated[int, typer.Option("--count", "-n", help="How many.", rich_help_panel="Output")] = 50,
    seed: Annotated[
        int, typer.Option(help="The same seed gives the same files.", rich_help_panel="Sound")
    ] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files in --out.", rich_help_panel="Output")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Synthesise drum one-shots without any model: free sounds to train on."""
    _require_at_least_one("--count", count)

    from samplegan.progress import Progress
    from samplegan.synth import write_pack

    with Progress("synthesising", count, quiet=quiet) as progress:
        files = write_pack(
            category, count, seed, out, overwrite=overwrite, progress=lambda _done: progress.advance()
        )
    if not quiet:
        _say(f"{out}: {len(files)} files")


# --- models


@app.command(cls=_Command, short_help="List the models.", epilog="samplegan models\nsamplegan models --json")
def models(as_json: Json = False) -> None:
    """List the models that `render` knows by name."""
    from samplegan.store import list_models, models_folder

    found = list_models()
    if as_json:
        _print_json({"schema_version": 1, "models": [_model_document(model) for model in found]})
        return
    if not found:
        _say(f"no models yet; yours would be in {models_folder()}")
    for model in found:
        seconds = _length_seconds(model.card)
        length = "" if seconds is None else f"{seconds:.2f} s"
        megabytes = model.path.stat().st_size / 1e6
        owner = "bundled" if model.bundled else "yours"
        category = model.card.get("category", "")
        print(f"{model.name:<20} {category:<11} {length:>7} {megabytes:>6.1f} MB  {owner:<8} {model.path}")


def _model_document(model: ModelInfo) -> dict[str, Any]:
    return {
        "name": model.name,
        "category": model.card.get("category"),
        "length_seconds": _length_seconds(model.card),
        "bundled": model.bundled,
        "size_bytes": model.path.stat().st_size,
        "path": str(model.path),
        "card": model.card,
    }


def _length_seconds(card: dict[str, Any]) -> float | None:
    samples = (card.get("representation") or {}).get("length_samples")
    return None if samples is None else float(samples) / 44_100


# --- words and numbers


def parse_seconds(text: str) -> float:
    """A length as it is typed. Raises ConfigError for anything else.

    >>> parse_seconds("250ms"), parse_seconds("0.25s"), parse_seconds(".25")
    (0.25, 0.25, 0.25)
    """
    number = text.strip().lower()
    scale = 1.0
    if number.endswith("ms"):
        number, scale = number[:-2], 0.001
    elif number.endswith("s"):
        number = number[:-1]
    try:
        seconds = float(number) * scale
    except ValueError:
        seconds = float("nan")
    if not 0 < seconds < 3600:
        raise ConfigError(f"'{text}' is not a length", hint="write 250ms, 0.25s or 0.25")
    return seconds


def _require_at_least_one(option: str, value: int) -> None:
    if value < 1:
        raise ConfigError(f"{option} must be at least 1, not {value}")


def _require_not_negative(option: str, value: int) -> None:
    if value < 0:
        raise ConfigError(f"{option} must not be negative, but is {value}")


def _raise_for_skipped(skipped: Sequence[Skipped]) -> None:
    """The exit code tells that something is missing from what was done."""
    if skipped:
        reasons = Counter(each.reason for each in skipped)
        told = "; ".join(f"{number} × {reason}" for reason, number in reasons.most_common(5))
        files = "1 file" if len(skipped) == 1 else f"{len(skipped)} files"
        raise PartialError(f"{files} could not be read: {told}")


def _require_threads(option: str, value: int | None) -> None:
    if value is not None and not 1 <= value <= _MOST_THREADS:
        raise ConfigError(f"{option} must lie between 1 and {_MOST_THREADS}, not {value}")


def _one_of(flags: dict[str, bool]) -> str | None:
    chosen = [name for name, given in flags.items() if given]
    if len(chosen) > 1:
        raise ConfigError(f"--{chosen[0]} and --{chosen[1]} exclude each other")
    return chosen[0] if chosen else None


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=2, allow_nan=False))


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # there is nobody left to tell
        print(text, file=sys.stderr, flush=True)


# --- the entry point


def main() -> NoReturn:
    """Run the command line and exit."""
    _open_missing_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that has no ü shows its code
    sys.exit(run(sys.argv[1:]))


def _open_missing_streams() -> None:
    """A closed stdout or stderr (`>&-`) goes nowhere; else its number would be given to a file that we write."""
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            mode = "r" if number == 0 else "w"
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def run(arguments: list[str]) -> int:
    """Run one command line; the exit code. Every error is told once, on stderr."""
    global _debug
    _debug = "--debug" in arguments
    arguments = [each for each in arguments if each != "--debug"] or ["--help"]  # wherever it stands
    try:
        code = get_command(app)(arguments, prog_name="samplegan", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return _close_quietly()
    except SystemExit:  # what typer makes of a broken pipe
        return _close_quietly()
    except (KeyboardInterrupt, typer.Abort):
        _say("stopped")
        return _INTERRUPTED
    except SampleganError as error:
        return _report(error, error.exit_code)
    except OSError as error:
        from samplegan.files import machine_error

        told = machine_error(error, error.filename or "standard output").with_traceback(error.__traceback__)
        if error.filename is None:
            _close_quietly()  # what could not be printed would be tried again at exit
        return _report(told, told.exit_code)
    except Exception as error:
        return _report_exception(error)
    return code if isinstance(code, int) else 0


def _close_quietly() -> int:
    """Print no more: the reader of a pipe (`| head`) has seen enough, which is no failure, or the disk is full."""
    sys.stdout = sys.__stdout__
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


def _report_exception(error: Exception) -> int:
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # typer's own usage errors
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "samplegan"
        message = error.format_message().strip().rstrip(".")
        wrong = SampleganError(message[:1].lower() + message[1:], hint=f"see `{command} --help`")
        return _report(wrong, int(error.exit_code))
    bug = SampleganError(
        f"this is a bug in samplegan ({type(error).__name__}: {error})",
        hint=None if _debug else "run again with --debug, and send us what it prints",
    )
    return _report(bug.with_traceback(error.__traceback__), bug.exit_code)


def _report(error: SampleganError, exit_code: int) -> int:
    if _debug:
        traceback.print_exception(error)
    else:
        _say(f"error: {error}")
    return exit_code
