"""Measures the default model on real drums and writes docs/sound.md with the pictures beside it.

    python scripts/measure_sound.py --audio FOLDER                          # FOLDER/kick/*.flac …, every category
    python scripts/measure_sound.py --audio FOLDER kick snare --minutes 30  # these; the other sections stay as they are
    python scripts/measure_sound.py --audio FOLDER --ablations              # the default with one thing changed
    python scripts/measure_sound.py --audio FOLDER --bundled                # the bundled models, all or those named
    python scripts/measure_sound.py --only-report                           # the document again, from what was measured

Every category is split by kit; a model learns from one part, from nothing, and is compared with the other. All that is
trained and measured stays in --work: the same command goes on where it was stopped, and what is finished is not done
again. Figures, sounds' pictures and pages of every comparison are in results/ there.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from document_sections import read_sections, signature, table, write_sections
from draw_walls import smaller
from split_by_kit import link, split
from train_bundled import FREE

from samplegan import store
from samplegan.audio import find_audio_files
from samplegan.categories import CATEGORIES
from samplegan.config import ImageSettings, Training, category_image, to_document
from samplegan.dataset import licences_of
from samplegan.errors import ConfigError, SampleganError, Stopped
from samplegan.evaluate import baselines
from samplegan.evaluate.report import (
    CEILING,
    FLOOR,
    MOST_SOUNDS,
    REPORT_FILE,
    SCHEMA_VERSION,
    Row,
    Target,
    evaluate,
    memoriser_is_caught,
    targets_of,
    write_report,
)
from samplegan.evaluate.table import COLUMNS, SETS, reason
from samplegan.files import sha256_of, write_atomic, write_json
from samplegan.gan import body_gan
from samplegan.train import resolve_pack, train

DOCUMENT = Path("docs/sound.md")
HELD_OUT_SHARE = 0.25
FEWEST_HELD_OUT = 30  # a quarter of a small folder is too few to compare with
SEED = 0
ABLATED = "kick"
ABLATIONS_SECTION, BUNDLED_SECTION = "ablations", "bundled"
GAME_FROM = (
    4  # of the steps of an ablation, the game is played from a quarter on: there are too few for the default
)
STRANGE = "strange"  # the held-out sounds without the free ones, which bundled models learned from
TRAINING_FILE, MEASUREMENT_FILE = "training.json", "measurement.json"
PICTURES = {
    "spectrograms": "",
    "characteristics": "_characteristics",
}  # of a report: what a file's name ends in

SHOWN = ("MMD", "FD", "prec", "rec", "dens", "cov", "1-NN", "KS", "pitch", "ripple", "C_T", "near")
BESIDE_THE_FLOOR = ("MMD", "FD", "rec", "cov", "1-NN", "KS")  # in the overview: model (floor)
ALONE = ("pitch", "ripple", "C_T", "near")
ABLATION_COLUMNS = ("MMD", "FD", "cov", "rec", "1-NN", "KS", "C_T", "pitch", "ripple")
MEANINGS = {column.heading: column.meaning for column in COLUMNS}
WORDS = {column.heading: column.words for column in COLUMNS}

INTRODUCTION = (
    """# What the model makes of real drums, measured

The default model, trained on a folder of real one-shots as `samplegan train` does: it begins with the bundled model of
its category, and beside the folder's sounds it learns from as many of the synthesiser. Every category is split by kit:
a quarter of the sounds is held out, and at least 30. A model learns from the others for the time given. Then 400 sounds
are drawn from it, none chosen, none refused, none finished, and compared with those held out as `samplegan evaluate`
does: every figure is the mean of several draws of these, each of as many sounds as are held out. Free sounds, which
bundled models learned from, are left out of what is held out; the ranges of the synthesiser, from which they learned
most, were fitted to the others, and those of kicks, snares, toms, open hats and cymbals then set by hand, all in view.
Nobody listened: these are figures of sounds.

A figure means little alone. Beside the model stand:

"""
    + "\n".join(f"- **{name}**: {words}." for name, words in SETS.items())
    + """
- **stereo-dcgan**: the architecture of the draft, on images of left and right with logarithmic bands; trained on the
  same real sounds alone, for as long as a section says."""
    + "\n\nThe columns:\n\n"
    + "\n".join(f"- **{heading}**: {MEANINGS[heading]}." for heading in SHOWN)
    + """

The same comparison with sounds of your own: `scripts/split_by_kit.py`, `samplegan train`, `samplegan evaluate`.
"""
)


@dataclass(frozen=True)
class Ablation:
    """The default with something changed."""

    name: str
    words: str
    training: Mapping[str, Any] = field(default_factory=dict)
    image: ImageSettings | None = None
    speeds: tuple[float, ...] | None = None
    synth_share: float | None = None
    same_minutes: bool = False  # as the default took, instead of the same number of steps


DCGAN = {"architecture": "stereo-dcgan"}
ABLATIONS = (
    Ablation("default", "the default"),
    Ablation("other-seed", "the default, another seed", {"seed": SEED + 1}),
    # Without a weight the game would be played and not listened to: the same weights, for more time.
    Ablation("no-game", "no game: an autoencoder", {"game": 0.0, "game_from_step": sys.maxsize}),
    Ablation("no-components", "no principal components", {"principal_steps": 0}),
    Ablation("no-attention", "no attention", {"attention": False}),
    Ablation("no-feature-matching", "no feature matching", {"feature_matching": 0.0}),
    Ablation("gradient-penalty", "R1 and R2, with a weight of 1", {"gradient_penalty": 1.0}),
    Ablation("no-average", "no averaged weights", {"ema_steps": 1}),
    Ablation("one-speed", "no playback speeds", speeds=(1.0,)),
    Ablation(
        "nothing-synthesised", "the folder's sounds alone, none synthesised, at five speeds", synth_share=0.0
    ),
    # With a window of 512 a tone of a kick comes back 8.6 semitones off however many bins stand alone; so it is 0.5.
    Ablation(
        "no-partials",
        "no partials, but a window of 1024 and 24 linear bins",
        image=replace(category_image(ABLATED), partials=0, window_samples=1024, linear_bins=24),
    ),
    Ablation(
        "left-right",
        "the rest as left and right, not as middle and side",
        image=replace(category_image(ABLATED), channels="left-right"),
    ),
    Ablation(
        "stereo-dcgan",
        "`stereo-dcgan`, as many minutes: images of `compact`, logarithmic bands",
        DCGAN,
        same_minutes=True,
    ),
    Ablation(
        "draft",
        "`stereo-dcgan`, as many minutes: the images of the draft, linear bands",
        DCGAN,
        image=ImageSettings("draft", bands=256, frames=256),
        same_minutes=True,
    ),
)


@dataclass(frozen=True)
class Drawn:
    """Another way to draw new sounds from the default's weights."""

    name: str
    words: str
    aside: float | None = None  # as the default has it
    near_anchors: bool = True
    residuals: bool = True


DRAWN = (
    Drawn("no-residuals", "no residuals of the sounds around", residuals=False),
    Drawn("prior", "drawn from the prior", 1.0, near_anchors=False),
    *(Drawn(f"aside-{aside:g}", f"drawn {aside:g} aside", aside) for aside in (0.5, 1.0, 3.0)),
)


@dataclass(frozen=True)
class Settings:
    """Where and how much."""

    audio: Path | None
    work: Path
    minutes: float
    steps: int
    threads: int
    count: int
    minutes_beside: float = 60.0  # of what stands beside a model

    def results(self, name: str) -> Path:
        return self.work / "results" / name

    def command(self, what: str) -> str:
        return (
            f"python scripts/measure_sound.py --audio FOLDER {what} --threads {self.threads} "
            f"--count {self.count}"
        )


def main() -> int:
    """Train, compare and write, as far as it is not done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "categories", nargs="*", help="all of them, unless some are named or --ablations is given"
    )
    parser.add_argument("--audio", type=Path, help="a folder with one folder for each category")
    parser.add_argument("--minutes", type=float, default=60.0, help="of training, each category")
    parser.add_argument(
        "--minutes-beside", type=float, default=60.0, help=f"of training {DCGAN['architecture']}, at most"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--count", type=int, default=MOST_SOUNDS, help="sounds to compare, at most")
    parser.add_argument(
        "--ablations",
        nargs="*",
        metavar="NAME",
        help=f"on {ABLATED}s; beside the default all of them, or those named: "
        + ", ".join(each.name for each in ABLATIONS[1:]),
    )
    parser.add_argument("--bundled", action="store_true", help="train nothing; compare the bundled models")
    parser.add_argument("--steps", type=int, default=2500, help="of training, each ablation")
    parser.add_argument("--work", type=Path, default=Path("measured-runs"), help="where all of it is kept")
    parser.add_argument("--out", type=Path, default=DOCUMENT)
    parser.add_argument("--only-report", action="store_true", help="train and compare nothing")
    given = parser.parse_args()
    if unknown := [name for name in given.categories if name not in CATEGORIES]:
        parser.error(f"'{unknown[0]}' is no category; choose from {', '.join(CATEGORIES)}")
    every = {each.name for each in ABLATIONS[1:]}
    if unknown := sorted(set(given.ablations or ()) - every):
        parser.error(f"'{unknown[0]}' is no ablation; choose from {', '.join(sorted(every))}")
    if given.audio is None and not given.only_report:
        parser.error("--audio is needed, unless --only-report is given")
    settings = Settings(
        given.audio,
        given.work,
        given.minutes,
        given.steps,
        given.threads,
        given.count,
        given.minutes_beside,
    )
    os.environ["SAMPLEGAN_HOME"] = str(given.work.resolve())
    exit_code = 0
    is_asked = given.ablations is not None
    tasks = [] if given.only_report else given.categories or ([] if is_asked else list(CATEGORIES))
    if is_asked and not given.only_report:
        tasks = [*tasks, ABLATIONS_SECTION]
    for task in tasks:
        try:
            if task == ABLATIONS_SECTION:
                measure_ablations(settings, given.ablations)
            elif given.bundled:
                measure_bundled(task, settings)
            else:
                measure_category(task, settings)
        except SampleganError as error:
            print(f"error: {task}: {error}", file=sys.stderr)
            exit_code = error.exit_code
            if isinstance(error, Stopped):
                break
        else:
            write_document(settings, given.out)
    if not tasks:
        write_document(settings, given.out)
    return exit_code


# --- training and comparing, once


def measure_category(category: str, settings: Settings) -> None:
    """The default model of one category, and the draft's architecture beside it."""
    sides = split_once(category, settings)
    model, record = trained(
        category,
        sides / "train",
        settings,
        category=category,
        minutes=settings.minutes,
        start_from=Training.start_from,
    )
    name, minutes = beside(category), min(record["seconds"] / 60, settings.minutes_beside)
    file = settings.results(name) / "pack.yaml"
    definition = changed_pack(sides / "train", file, category, training=DCGAN, synth_share=0.0)
    dcgan, _ = trained(name, definition, settings, category=category, minutes=minutes)
    what = f"{category} --minutes {settings.minutes:g} --minutes-beside {settings.minutes_beside:g}"
    compared(category, [model, dcgan], sides / "train", strangers(sides), settings, what)
    print(f"{category}: {record['steps']} steps, see {settings.results(category)}", flush=True)


def measure_ablations(settings: Settings, chosen: Sequence[str] = ()) -> None:
    """The default with one thing changed at a time, trained for the same number of steps and compared together."""
    sides = split_once(ABLATED, settings)
    models: list[Path] = []
    minutes = 0.0  # of the default, which comes first
    for ablation in ABLATIONS:
        if chosen and ablation.name not in ("default", *chosen):
            continue
        name = f"{ABLATED}-{ablation.name}"
        file = settings.results(ABLATIONS_SECTION) / f"{name}.yaml"
        definition = ablated_pack(ablation, sides / "train", file, settings.steps)
        share_images(f"{ABLATED}-{ABLATIONS[0].name}", name)
        length = {"minutes": minutes} if ablation.same_minutes else {"steps": settings.steps}
        model, record = trained(name, definition, settings, category=ABLATED, **length)
        minutes = minutes or record["seconds"] / 60
        models.append(model)
    for drawn in DRAWN:
        name = f"{ABLATED}-{drawn.name}"
        models.append(redrawn(models[0], settings.results(ABLATIONS_SECTION) / f"{name}.safetensors", drawn))
    what = " ".join(["--ablations", *chosen, "--steps", str(settings.steps)])
    compared(ABLATIONS_SECTION, models, sides / "train", sides / "test", settings, what)


def measure_bundled(category: str, settings: Settings) -> None:
    """The bundled model of one category beside real sounds, none of which it learned from."""
    sides = split_once(category, settings)
    model = store.BUNDLED_FOLDER / f"{category}.safetensors"
    compared(bundled(category), [model], sides / "train", strangers(sides), settings, f"{category} --bundled")


def strangers(sides: Path) -> Path:
    """The folder with the held-out sounds that no bundled model learned from, filled when it is first asked for."""
    folder, licences = sides / STRANGE, licences_of(sides / "test")
    for file in find_audio_files(sides / "test"):
        place = folder / file.relative_to(sides / "test")
        if licences.get(file) not in FREE and not place.exists():
            link(file, place)
    return folder


def beside(category: str) -> str:
    """What the model that stands beside a category's is called."""
    return f"{category}-dcgan"


def bundled(category: str) -> str:
    """What the comparison of a bundled model is called."""
    return f"{BUNDLED_SECTION}-{category}"


def split_once(category: str, settings: Settings) -> Path:
    """A folder with train/ and test/, filled when it is first asked for."""
    assert settings.audio is not None
    folder, out = settings.audio / category, settings.work / "split" / category
    if not (out / "MANIFEST.csv").exists():  # which is written last
        shutil.rmtree(out, ignore_errors=True)
        if not folder.is_dir():
            raise ConfigError("there is no such folder", file=folder)
        share = max(HELD_OUT_SHARE, FEWEST_HELD_OUT / max(len(find_audio_files(folder)), 1))
        print(f"{category}: {split(folder, out, share=min(share, 0.5), seed=SEED)}", flush=True)
    return out


def trained(
    name: str,
    source: Path,
    settings: Settings,
    *,
    category: str,
    minutes: float | None = None,
    steps: int | None = None,
    start_from: str = "nothing",
) -> tuple[Path, dict[str, Any]]:
    """A trained model and what is known of its training; resumed where it was stopped.

    One that was trained for as long and has not changed since is left alone; where the bundled model that it began with
    has changed, it is trained anew.
    """
    record_file = settings.results(name) / TRAINING_FILE
    model = store.models_folder() / f"{name}.safetensors"
    start = store.BUNDLED_FOLDER / f"{category}.safetensors"
    begun_with = sha256_of(start) if start_from == Training.start_from and start.exists() else None
    asked = {"minutes": minutes, "steps": steps, "begun_with": begun_with}
    record = known(record_file)
    is_outdated = bool(record) and record["asked"].get("begun_with") != begun_with
    if record.get("asked") == asked and model.exists() and record["sha256"] == sha256_of(model):
        return model, record
    result = train(
        source,
        name=name,
        category=category,
        minutes=minutes,
        steps=steps,
        start_from=start_from,
        resume=(store.runs_folder() / name / "checkpoint.safetensors").exists() and not is_outdated,
        overwrite=is_outdated,
        threads=settings.threads,
    )
    card = store.read_card(model)
    record = {
        "asked": asked,
        "sha256": sha256_of(model),
        "steps": result.steps,
        "kept_step": card["steps"],
        "batch": card["training"]["batch"],
        "seconds": round(result.seconds, 1),
    }
    write_json(record_file, record)
    return model, record


def compared(
    name: str, models: Sequence[Path], train: Path, against: Path, settings: Settings, what: str
) -> None:
    """Compare the first model, and the others beside it, with sounds held out; once for the same models."""
    out = settings.results(name)
    subjects = {"models": [sha256_of(model) for model in models], "count": settings.count}
    record = known(out / MEASUREMENT_FILE)
    if is_measured(out) and {key: record.get(key) for key in subjects} == subjects:
        return
    report = evaluate(
        str(models[0]),
        against=against,
        train=train,
        beside=[str(model) for model in models[1:]],
        category=store.read_card(models[0])["category"],
        count=settings.count,
        seed=SEED,
        jobs=settings.threads,
        quiet=False,
    )
    write_report(report, out)
    signed = {
        "signature": signature(settings.command(what)),
        "memoriser_is_caught": memoriser_is_caught(report),
    }
    write_json(out / MEASUREMENT_FILE, subjects | signed)


def is_measured(out: Path) -> bool:
    """Whether a whole comparison is there, by today's measure."""
    return (out / MEASUREMENT_FILE).exists() and known(out / REPORT_FILE).get(
        "schema_version"
    ) == SCHEMA_VERSION


def known(file: Path) -> dict[str, Any]:
    """A record, empty where there is none."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def ablated_pack(ablation: Ablation, source: Path, file: Path, steps: int) -> Path:
    """The definition of one ablation of so many steps."""
    training = {"game_from_step": steps // GAME_FROM, **ablation.training}
    return changed_pack(
        source,
        file,
        ABLATED,
        training=training,
        image=ablation.image,
        speeds=ablation.speeds,
        synth_share=ablation.synth_share,
    )


def changed_pack(
    source: Path,
    file: Path,
    category: str,
    *,
    training: Mapping[str, Any],
    image: ImageSettings | None = None,
    speeds: tuple[float, ...] | None = None,
    synth_share: float | None = None,
) -> Path:
    """A pack definition: what training on the folder `source` would be, but for what is changed."""
    pack, _ = resolve_pack(source, name=None, category=category, synth_share=synth_share)
    # As long as is asked for, whatever validation says; and controls are not compared.
    changes = {"patience": sys.maxsize, "control_sounds": 0, **training}
    pack = replace(
        pack, image=image, speeds=speeds or pack.speeds, training=replace(pack.training, **changes)
    )
    write_atomic(file, yaml.safe_dump(to_document(pack)).encode())
    return file


def share_images(first: str, name: str) -> None:
    """Training images of one run for another: training makes its own where it needs others."""
    images, target = (store.runs_folder() / run / "data" for run in (first, name))
    if images.exists() and not target.exists():
        shutil.copytree(images, target)


def redrawn(model: Path, file: Path, drawn: Drawn) -> Path:
    """The same weights in a model that draws new codes otherwise.

    The prior is a model with a single anchor, the prior's mean, from which codes lie one deviation aside.
    """
    loaded = store.load_model(str(model))
    generator = loaded.generator
    assert isinstance(generator, body_gan.Generator)
    if not drawn.near_anchors:
        generator.know(torch.zeros_like(generator.anchors[:1]))
    elif not drawn.residuals:
        generator.know(generator.anchors, groups=generator.groups)
    training = dict(loaded.card["training"])
    if drawn.aside is not None:
        training["aside"] = drawn.aside
    card = loaded.card | {"name": file.stem, "training": training}
    store.save_model(file, generator, card)
    return file


# --- the document


def write_document(settings: Settings, document: Path) -> None:
    """Write what was measured into the document; sections of what was measured elsewhere stay."""
    old = read_sections(document)
    overview, of_bundled = (_rows_by_category(old.get(name, "")) for name in ("overview", BUNDLED_SECTION))
    new: dict[str, str] = {}
    for category in CATEGORIES:
        out = settings.results(category)
        if is_measured(out):
            pictures = {
                name: document.parent / document.stem / f"{category}{end}.png"
                for name, end in PICTURES.items()
            }
            for name, picture in pictures.items():
                write_atomic(picture, smaller((out / f"{name}.png").read_bytes()))
            links = [f"{picture.parent.name}/{picture.name}" for picture in pictures.values()]
            report, training, record = (
                known(out / name) for name in (REPORT_FILE, TRAINING_FILE, MEASUREMENT_FILE)
            )
            overview[plural(category)] = overview_row(category, report, training)
            of_dcgan = known(settings.results(beside(category)) / TRAINING_FILE)
            new[category] = category_section(category, report, training, of_dcgan, record, links)
        out = settings.results(bundled(category))
        if is_measured(out):
            of_bundled[plural(category)] = bundled_row(category, known(out / REPORT_FILE))
            signed = known(out / MEASUREMENT_FILE)["signature"]
            new[BUNDLED_SECTION] = signed.replace(f" {category} --bundled", " --bundled")
    if is_measured(settings.results(ABLATIONS_SECTION)):
        new[ABLATIONS_SECTION] = ablations_section(settings)
    if BUNDLED_SECTION in new:
        new[BUNDLED_SECTION] = bundled_section(_in_order(of_bundled), new[BUNDLED_SECTION])
    merged = old | new
    if overview:
        merged["overview"] = overview_section(_in_order(overview))
    first = [name for name in ("overview", BUNDLED_SECTION, *CATEGORIES, ABLATIONS_SECTION) if name in merged]
    # What other scripts wrote stays, after all that is written here.
    order = dict.fromkeys([*first, *merged])
    write_sections(document, INTRODUCTION, {name: merged[name] for name in order})


def _rows_by_category(section: str) -> dict[str, list[str]]:
    """The rows of a section's table, by the category that their first cell names."""
    rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines())
    return {cells[0]: cells for cells in rows if cells[0] in map(plural, CATEGORIES)}


def _in_order(rows: Mapping[str, list[str]]) -> list[list[str]]:
    return [rows[name] for name in map(plural, CATEGORIES) if name in rows]


def rows_of(report: Mapping[str, Any]) -> dict[str, Row]:
    """The sets of a report by name, the model's first."""
    return {row["name"]: Row(**row) for row in report["rows"]}


def asked_of(report: Mapping[str, Any]) -> list[Target]:
    """What is asked of the model of a report today, whatever was asked when it was written."""
    return targets_of(list(rows_of(report).values()), category=report["category"], sounds=report["sounds"])


def overview_section(rows: Sequence[Sequence[str]]) -> str:
    """All categories at a glance."""
    header = (
        *("", "learned from", "held out", "steps", "minutes", *BESIDE_THE_FLOOR, *ALONE),
        "targets met",
        "missed by the floor, too",
    )
    return (
        "## At a glance\n\nIn brackets the floor: what real sounds of other kits reach. It is as near as can be hoped "
        "for. Of the targets that a model misses the last column counts those that real sounds of other kits miss, "
        "too.\n\n"
        f"{table(header, rows)}"
    )


def overview_row(category: str, report: Mapping[str, Any], training: Mapping[str, Any]) -> list[str]:
    """One category's cells."""
    rows = rows_of(report)
    model, floor = next(iter(rows.values())), rows[FLOOR]
    asked = asked_of(report)
    missed = [target for target in asked if not target.is_met]
    return [
        plural(category),
        str(report["training_sounds"]),
        str(report["held_out_sounds"]),
        f"{training['steps']:,}",
        f"{training['seconds'] / 60:.1f}",
        *(f"{WORDS[heading](model)} ({WORDS[heading](floor)})" for heading in BESIDE_THE_FLOOR),
        *(WORDS[heading](model) for heading in ALONE),
        f"{len(asked) - len(missed)} of {len(asked)}",
        str(sum(target.is_missed_by_the_floor for target in missed)),
    ]


def bundled_section(rows: Sequence[Sequence[str]], signed: str) -> str:
    """The bundled models at a glance."""
    return f"""## The bundled models

What `samplegan render` draws from when nothing else is named. They learned from sounds of the synthesiser and from the
few real ones that are free, and are held here against real sounds of the kits held out below, without those free ones.
The synthesiser's ranges were fitted to the other kits (`scripts/calibrate_synth.py`), whose sounds themselves make the
floor, in brackets, and those of five categories set by hand, all in view; *synthesiser* is how near it comes itself.

{table(("", "held out", *BESIDE_THE_FLOOR, *ALONE, "synthesiser: MMD", "cov", "KS", "targets met"), rows)}

{signed}"""


def bundled_row(category: str, report: Mapping[str, Any]) -> list[str]:
    """One bundled model's cells."""
    rows = rows_of(report)
    model, floor, synthesiser = next(iter(rows.values())), rows[FLOOR], rows[baselines.SYNTHESISER]
    asked = asked_of(report)
    return [
        plural(category),
        str(report["held_out_sounds"]),
        *(f"{WORDS[heading](model)} ({WORDS[heading](floor)})" for heading in BESIDE_THE_FLOOR),
        *(WORDS[heading](model) for heading in ALONE),
        *(WORDS[heading](synthesiser) for heading in ("MMD", "cov", "KS")),
        f"{sum(target.is_met for target in asked)} of {len(asked)}",
    ]


def category_section(
    category: str,
    report: Mapping[str, Any],
    training: Mapping[str, Any],
    dcgan_training: Mapping[str, Any],
    record: Mapping[str, Any],
    links: Sequence[str],
) -> str:
    """Every set, the targets and the pictures of one category."""
    rows = rows_of(report)
    subject = next(iter(rows))
    names = {
        subject: "**the model**",
        FLOOR: FLOOR,
        CEILING: CEILING,
        beside(category): f"`{DCGAN['architecture']}`",
        **{each: each for each in (baselines.PCA_GAUSSIAN, baselines.SYNTHESISER, baselines.MEMORISER)},
    }
    cells = [
        (words, *(WORDS[heading](rows[name]) for heading in SHOWN))
        for name, words in names.items()
        if name in rows
    ]
    dcgan = (
        f" `{DCGAN['architecture']}` had {dcgan_training['steps']:,} steps in "
        f"{dcgan_training['seconds'] / 60:.1f} minutes."
        if dcgan_training
        else ""
    )
    silent = f" {rows[subject].silent} of its sounds are silent." if rows[subject].silent else ""
    caught = (
        "\n\nThe memoriser was not caught: these sets are too small or too alike for *C_T* and *near*."
        if record["memoriser_is_caught"] is False
        else ""
    )
    wall, characteristics = links
    words = plural(category)
    return f"""## {words.capitalize()}

{report["training_sounds"]} sounds to learn from, {report["held_out_sounds"]} held out; {rows[subject].sounds} drawn.
{training["steps"]:,} steps of {training["batch"]} sounds in {training["seconds"] / 60:.1f} minutes; the model kept is
that of step {training["kept_step"]:,}.{silent}{dcgan}

{table(("", *SHOWN), cells)}{caught}

{targets_words(asked_of(report))}

![Spectrograms of held-out {words} on the left, generated ones on the right]({wall})

![How characteristics of held-out and generated {words} are distributed]({characteristics})

{record["signature"]}"""


def targets_words(asked: Sequence[Target]) -> str:
    """What is met and what is not."""
    parts = []
    for words, is_met in (("Met", True), ("**Not met**", False)):
        chosen = [
            f"{each.name} {each.value:.3g} {'≥' if each.at_least else '≤'} {each.limit:.3g} ({reason(each)})"
            for each in asked
            if each.is_met == is_met
        ]
        parts.append(f"{words}: {'; '.join(chosen) or 'none'}.")
    return "\n\n".join(parts)


def ablations_section(settings: Settings) -> str:
    """The default with one thing changed at a time."""
    out = settings.results(ABLATIONS_SECTION)
    report, record = known(out / REPORT_FILE), known(out / MEASUREMENT_FILE)
    rows = rows_of(report)

    def cells(words: str, row: Row, steps: str, minutes: str) -> tuple[str, ...]:
        figures = (WORDS[heading](row) for heading in ABLATION_COLUMNS)
        return (words, *figures, f"{row.width_ks:.2f}", steps, minutes)

    lines = [cells("floor", rows[FLOOR], "", "")]
    steps = 0
    for ablation in ABLATIONS:
        name = f"{ABLATED}-{ablation.name}"
        if name not in rows:
            continue
        training = known(settings.results(name) / TRAINING_FILE)
        steps = steps or training["steps"]
        lines.append(
            cells(
                ablation.words,
                rows[name],
                f"{training['kept_step']:,} of {training['steps']:,}",
                f"{training['seconds'] / 60:.1f}",
            )
        )
    lines += [cells(drawn.words, rows[f"{ABLATED}-{drawn.name}"], "", "") for drawn in DRAWN]
    return f"""## Ablations

{plural(ABLATED).capitalize()}, the same split; the default with one thing changed at a time, each trained for
{steps:,} steps, the game played from a quarter of them on, and the weights of the default drawn from in other ways.
These are fewer steps than the models above had. *Steps*: that of the model kept, of all. *Minutes*: by the clock, on a
machine that may have had other work. What lies no further from the default than the same with another seed may be
chance. *width*: how far the side's level differs, KS, 0 to 1.

{table(("", *ABLATION_COLUMNS, "width", "steps", "minutes"), lines)}

{record["signature"]}"""


def plural(category: str) -> str:
    """A category's sounds in words."""
    return CATEGORIES[category].plural.replace("_", " ")


if __name__ == "__main__":
    sys.exit(main())
