"""How a model's training went: what its run logged, as curves."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samplegan import store
from samplegan.errors import ConfigError
from samplegan.evaluate.canvas import QUIET_INK, new_figure, png_of
from samplegan.figures import GRID, INK, LEFT, RIGHT, plain_frame
from samplegan.store import Model

F64 = NDArray[np.float64]

_SCORES = ("held_out_mmd", "held_out_mmd_of_training", "held_out_coverage", "held_out_coverage_of_training")
_NO_LOSSES = ("step", "images", "seconds", "rates_halved", "diverged_at")
_WORDS = {
    "feature_matching": "feature matching",
    "divergence": "divergence of the codes",
    "real_logit": "logit of real sounds",
    "fake_logit": "logit of generated sounds",
}
_RAW, _TRAINING = "#c9d9df", "#9a9a9a"
_PANELS = 4  # of losses, in a row
_WIDTH, _SCORES_HEIGHT, _LOSSES_HEIGHT = 13.0, 4.0, 2.2  # inches
_SMOOTHED = 9  # logged losses in a running mean


@dataclass(frozen=True, eq=False)
class Course:
    """A run's log. Every curve is [2, point]: steps, and values."""

    kept_step: int  # whose weights the model has
    scores: dict[str, F64]  # of validations
    losses: dict[str, F64]


def read_course(model: Model) -> Course | None:
    """What the run of a model logged; None where there is no log, or it is that of another model of the same name."""
    try:
        store.check_model_name(model.name)
        text = (store.runs_folder() / model.name / "log.jsonl").read_text(encoding="utf-8")
    except (ConfigError, OSError, UnicodeDecodeError):
        return None
    entries = [entry for line in text.splitlines() if (entry := _entry(line)) is not None]
    kept_step, metrics = model.card.get("steps"), model.card.get("metrics")
    looks = [entry for entry in entries if _SCORES[0] in entry]
    # The look at which this model was kept is logged with the very scores that its card has.
    if not any(
        metrics == {key: look.get(key) for key in _SCORES} for look in looks if look["step"] == kept_step
    ):
        return None
    assert isinstance(kept_step, int)
    steps = [entry for entry in entries if _SCORES[0] not in entry]
    names = dict.fromkeys(key for entry in steps for key in entry if key not in _NO_LOSSES)
    return Course(
        kept_step,
        {name: _curve(looks, name) for name in _SCORES},
        {name: _curve(steps, name) for name in names},
    )


def course_png(course: Course) -> bytes:
    """MMD and coverage of held-out sounds over the steps, and every loss; the step of the model kept is marked."""
    rows = -(-len(course.losses) // _PANELS)
    figure = new_figure(_WIDTH, _SCORES_HEIGHT + rows * _LOSSES_HEIGHT)
    last_step = max(float(curve[0].max()) for curve in (*course.scores.values(), *course.losses.values()))
    mmd = _axis(figure, 0.0, 0.0, _WIDTH / 2, _SCORES_HEIGHT)
    coverage = _axis(figure, _WIDTH / 2, 0.0, _WIDTH / 2, _SCORES_HEIGHT)
    _draw_score(mmd, course, "held_out_mmd", 1000.0)
    _mmd_scale(mmd)
    _draw_score(coverage, course, "held_out_coverage", 1.0)
    coverage.set_ylim(0.0, 1.03)
    coverage.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, frameon=False, fontsize=9, borderpad=0.1
    )
    for axis, title in ((mmd, "MMD × 1000"), (coverage, "Coverage")):
        _finish(axis, title, course.kept_step, last_step, size=13)
    for place, (name, curve) in enumerate(course.losses.items()):
        row, column = divmod(place, _PANELS)
        width = _WIDTH / _PANELS
        top = _SCORES_HEIGHT + row * _LOSSES_HEIGHT
        axis = _axis(figure, column * width, top, width, _LOSSES_HEIGHT)
        axis.plot(*curve, color=_RAW, linewidth=0.8)
        axis.plot(curve[0], _running_mean(curve[1]), color=LEFT, linewidth=1.5)
        title = _WORDS.get(name, name.replace("_", " "))
        _finish(axis, title[:1].upper() + title[1:], course.kept_step, last_step, size=10.5)
    return png_of(figure)


def _axis(figure: Any, left: float, top: float, width: float, height: float) -> Any:
    """Axes in a box of a figure, in inches from its upper left corner, with room for a title and for ticks."""
    full_width, full_height = figure.get_size_inches()
    return figure.add_axes(
        (
            (left + 0.6) / full_width,
            1.0 - (top + height - 0.5) / full_height,
            (width - 0.75) / full_width,
            (height - 0.95) / full_height,
        )
    )


def _draw_score(axis: Any, course: Course, name: str, scale: float) -> None:
    """The model's, the training sounds' beside it, and the point that was kept."""
    training, made = course.scores[f"{name}_of_training"], course.scores[name]
    axis.plot(training[0], scale * training[1], color=_TRAINING, linewidth=1.6, label="training sounds")
    axis.plot(
        made[0], scale * made[1], color=LEFT, linewidth=1.8, marker="o", markersize=3, label="the model"
    )
    kept = made[:, made[0] == course.kept_step]
    label = f"kept: step {course.kept_step:,}"
    axis.plot(kept[0], scale * kept[1], color=RIGHT, marker="o", markersize=8, linestyle="none", label=label)


def _entry(line: str) -> Mapping[str, Any] | None:
    """A line of the log; None for one cut short by a crash."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("step"), int) else None


def _curve(entries: list[Mapping[str, Any]], name: str) -> F64:
    points = [(entry["step"], entry[name]) for entry in entries if isinstance(entry.get(name), int | float)]
    return np.array(points, dtype=np.float64).reshape(-1, 2).T


def _running_mean(values: F64) -> F64:
    """Centred, of fewer values at both ends."""
    ones = np.ones(min(_SMOOTHED, values.size))
    return np.convolve(values, ones, "same") / np.convolve(np.ones(values.size), ones, "same")


def _mmd_scale(axis: Any) -> None:
    """Linear up to 1, which is what chance makes of equal sets, and logarithmic above; it may be negative."""
    from matplotlib.ticker import FixedLocator, NullLocator

    low, high = (float(limit) for limit in axis.dataLim.intervaly)
    high = 1.3 * max(high, 1.0)
    axis.set_yscale("symlog", linthresh=1.0, linscale=0.3)
    axis.set_ylim(min(1.15 * low, 0.0) - 0.1, high)
    decades = range(math.ceil(math.log10(high)))
    axis.yaxis.set_major_locator(
        FixedLocator([-1.0, 0.0, *(step * 10.0**each for each in decades for step in (1, 3))])
    )
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter("{x:g}")


def _finish(axis: Any, title: str, kept_step: int, last_step: float, *, size: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.axvline(kept_step, color=RIGHT, linewidth=1.0, linestyle=(0, (4, 3)), zorder=0)
    axis.set_title(title, fontsize=size, fontweight="bold", color=INK, loc="left")
    axis.set_xlim(0.0, 1.01 * last_step)
    axis.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=(1, 2, 5, 10)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda step, _place: f"{step:,.0f}"))
    axis.grid(True, axis="y", color=GRID, linewidth=0.5)
    axis.set_axisbelow(True)
    axis.set_xlabel("step", color=QUIET_INK, fontsize=9, labelpad=1)
    plain_frame(axis)
