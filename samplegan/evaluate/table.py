"""A report in words: the table, what its columns mean, and what must be known to read it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samplegan.evaluate import baselines
from samplegan.evaluate.distributions import Defects, Difference, KickTest
from samplegan.evaluate.report import CEILING, FLOOR, Report, Row, Target, memoriser_is_caught, targets
from samplegan.validation import printable

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Label:
    """A characteristic as people read it."""

    words: str
    unit: str
    scale: float | None = None  # of what is measured as a binary logarithm

    @property
    def is_log(self) -> bool:
        return self.scale is not None

    def readable(self, values: F64) -> F64:
        """Values in `unit`."""
        return values if self.scale is None else self.scale * 2.0**values

    @property
    def spread_unit(self) -> str:
        return "octaves" if self.is_log else self.unit


CHARACTERISTICS = {
    "attack_log2_s": Label("attack", "ms", 1000.0),
    "decay_20_log2_s": Label("decay to -20 dB", "ms", 1000.0),
    "decay_40_log2_s": Label("decay to -40 dB", "ms", 1000.0),
    "pitch_log2_hz": Label("pitch", "Hz", 1.0),
    "sweep_semitones": Label("pitch sweep", "semitones"),
    "attack_centroid_log2_hz": Label("centroid of the attack", "Hz", 1.0),
    "tail_centroid_log2_hz": Label("centroid of the tail", "Hz", 1.0),
    "flatness_db": Label("flatness", "dB"),
    "crest_db": Label("crest", "dB"),
    "ripple_db": Label("ripple of the decay", "dB"),
    "width_db": Label("width", "dB"),
    "low_correlation": Label("correlation of the lows", ""),
    "brightness": Label("brightness", ""),
    "depth": Label("depth", ""),
    "boominess_db": Label("boominess", "dB"),
    "roughness_db": Label("roughness", "dB"),
    "sharpness_db": Label("sharpness", "dB"),
    "hardness_db": Label("hardness", "dB"),
    "warmth_db": Label("warmth", "dB"),
}


SETS = {
    FLOOR: "training sounds: as near as sounds of other kits come",
    CEILING: "training sounds through the model's image and back: what the image costs",
    baselines.MEMORISER: "training sounds drawn again: near in everything but copies",
    baselines.PCA_GAUSSIAN: "draws of a linear model of the training images",
    baselines.SYNTHESISER: "the drum synthesiser, drawn from as it is",
}
"""What stands beside a model."""


@dataclass(frozen=True)
class Column:
    """A column of the table: its heading, what it means, and the words for a row."""

    heading: str
    meaning: str
    words: Callable[[Row], str]


COLUMNS = (
    Column(
        "MMD", "MMD² × 1000 of mel features, unbiased: 0 for equal sets", lambda r: f"{1000 * r.mmd2:.1f}"
    ),
    Column("FD", "Fréchet distance of mel features: read it beside the floor", lambda r: f"{r.fd_mel:.2f}"),
    Column("prec", "share of sounds that lie among real ones", lambda r: f"{r.precision:.2f}"),
    Column("rec", "share of real sounds that lie among them", lambda r: f"{r.recall:.2f}"),
    Column("dens", "how densely they lie among real ones: 1 for equal sets", lambda r: f"{r.density:.2f}"),
    Column("cov", "share of real sounds with one of them near", lambda r: f"{r.coverage:.2f}"),
    Column(
        "1-NN", "how often the nearest sound tells the set: 0.5 never, 1 always", lambda r: f"{r.one_nn:.2f}"
    ),
    Column("NDB", "share of clusters that hold too many or too few", lambda r: f"{r.ndb:.2f}"),
    Column("JS", "divergence of the clusters' shares, nats", lambda r: f"{r.js:.3f}"),
    Column("Vendi", "diversity, of the real sounds'", lambda r: f"{r.vendi_ratio:.2f}"),
    Column("KS", "how far characteristics differ, mean: 0 to 1", lambda r: f"{r.mean_ks:.2f}"),
    Column(
        "pitch",
        "standard deviation of the pitch, of the real one",
        lambda r: _optional(r.pitch_spread_ratio, ".2f"),
    ),
    Column("ripple", "unsteadiness of decays, of the real one", lambda r: _optional(r.ripple_ratio, ".2f")),
    Column(
        "C_T",
        "below -3: nearer to training sounds than new ones are, copies",
        lambda r: _optional(r.c_t, ".1f"),
    ),
    Column(
        "near",
        "share nearer to a training sound than 99 % of new ones",
        lambda r: _optional(r.share_near, ".2f"),
    ),
)


def table(report: Report) -> str:
    """Every set as one line, the targets, and the subject's characteristics."""
    subject = report.subject
    width = max(12, *(len(row.name) for row in report.rows))
    lines = [
        *heading(report),
        "",
        f"{'':<{width}} " + " ".join(f"{column.heading:>6}" for column in COLUMNS),
        *(
            f"{row.name:<{width}} " + " ".join(f"{column.words(row):>6}" for column in COLUMNS)
            for row in report.rows
        ),
        "",
        *(f"{row.name:<{width}} {SETS[row.name]}" for row in report.rows if row.name in SETS),
        "",
        *(f"{column.heading:<{width}} {column.meaning}" for column in COLUMNS),
        "",
        f"targets for {subject.name}",
        *(
            f"  {target.name:<28}{target.value:>8.3f} {'≥' if target.at_least else '≤'} {target.limit:<8.3f}"
            f"{verdict(target):<9}{reason(target)}"
            for target in targets(report)
        ),
        "",
        f"{'characteristic':<34}{'real':>8} {'spread':>7} {subject.name[:12]:>12} {'spread':>7} {'W1':>6} {'KS':>6}",
        *(
            f"{CHARACTERISTICS[name].words:<24}{CHARACTERISTICS[name].unit:<10}"
            + " ".join(characteristic_words(name, each))
            for name, each in report.differences.items()
        ),
    ]
    if report.kicks:
        lines += ["", *(f"kick test, {name}: {kick_words(each)}" for name, each in report.kicks.items())]
    lines += ["", *(f"flaws, {name}: {flaw_words(each)}" for name, each in report.flaws.items())]
    return "\n".join([*lines, *notes(report)])


def heading(report: Report) -> list[str]:
    """What is compared with what."""
    learned = f", {report.training_sounds} to learn from" if report.train else ""
    return [
        f"{report.subject.name} ({report.category}): {report.subject.sounds} sounds against {report.sounds} of "
        f"{report.held_out_sounds} held out{learned}",
        f"figures are means of draws of {report.sounds} sounds, as many as they are held against",
        f"seed {report.seed}, {report.length_seconds:g} s, {report.projection.components.shape[0]} dimensions "
        f"({report.projection.explained:.0%} of the variance), {report.bins} clusters",
    ]


def verdict(target: Target) -> str:
    return "met" if target.is_met else "not met"


def reason(target: Target) -> str:
    """How a limit comes about, and whether it is out of reach for real sounds of other kits, too."""
    is_missed_by_both = not target.is_met and target.is_missed_by_the_floor
    return f"{target.why}; the floor misses it, too" if is_missed_by_both else target.why


def characteristic_words(name: str, each: Difference) -> tuple[str, ...]:
    """The figures of one characteristic: real median and spread, generated median and spread, W1 and KS."""
    readable = CHARACTERISTICS[name].readable
    medians = (float(readable(np.array(value))) for value in (each.real_median, each.generated_median))
    real, generated = (_number(value) for value in medians)
    return (
        f"{real:>8}",
        f"{_number(each.real_spread):>7}",
        f"{generated:>12}",
        f"{_number(each.generated_spread):>7}",
        f"{_number(each.wasserstein):>6}",
        f"{_number(each.ks):>6}",
    )


def kick_words(kick: KickTest) -> str:
    """The kick test in one line."""
    return (
        f"{kick.all_three:.0%} pass (transient {kick.broadband_transient:.0%}, "
        f"fundamental {kick.decaying_fundamental:.0%}, falling {kick.falling_centroid:.0%}); "
        f"decay ± {1000 * kick.decay_spread_s:.0f} ms, pitch ± {12 * kick.pitch_spread_log2_hz:.1f} semitones"
    )


def flaw_words(flaws: Defects) -> str:
    """The flaws of a set in one line."""
    return (
        f"pre-echo {flaws.pre_echo:.0%}, clicks {flaws.clicks:.0%}, DC {flaws.dc:.0%}, "
        f"clipping {flaws.clipping:.0%}; noise floor {flaws.noise_floor_db:.0f} dB, "
        f"above 16 kHz {flaws.air_db:.0f} dB, lost in mono {flaws.mono_loss_db:.1f} dB"
    )


def notes(report: Report) -> list[str]:
    """What else must be known to read the figures."""
    found = []
    if report.train is None:
        found.append("without --train there is no floor, and nothing is known of copies")
    if memoriser_is_caught(report) is False:
        found.append(
            "the memoriser was not caught: do not trust C_T and near, these sets are too small or too alike"
        )
    found += [f"{row.name}: {row.silent} sounds are silent" for row in report.rows if row.silent]
    if report.skipped:
        found.append(f"{len(report.skipped)} files were skipped")
        found += [f"  {printable(each.path)}: {each.reason}" for each in report.skipped]
    return found


def _number(value: float) -> str:
    """Some three digits; nan is a dash."""
    if math.isnan(value):
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _optional(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
