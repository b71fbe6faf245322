"""The course of a training: of the run that made the model, and of no other."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pytest

from samplegan.evaluate.course import Course, _running_mean, course_png, read_course
from samplegan.figures import RIGHT

SCORES = {
    "held_out_mmd": 0.01,
    "held_out_mmd_of_training": -0.0015,
    "held_out_coverage": 0.5,
    "held_out_coverage_of_training": 0.9,
}


def look(step: int) -> dict[str, float]:
    return {"step": step, "seconds": 1.0} | SCORES | {"held_out_mmd": 1.0 / step}


def made_at(step: int, name: str = "mine") -> SimpleNamespace:
    metrics = {key: value for key, value in look(step).items() if key in SCORES}
    return SimpleNamespace(name=name, card={"steps": step, "metrics": metrics})


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of 500 steps; feature matching begins late."""
    monkeypatch.setenv("SAMPLEGAN_HOME", str(tmp_path))
    entries: list[dict[str, float]] = []
    for step in range(25, 501, 25):
        entries.append({"step": step, "images": 16 * step, "seconds": 0.5 * step, "generator": 100.0 / step})
        if step > 250:
            entries[-1]["feature_matching"] = 0.1
        if step == 300:
            entries.append({"step": 290, "seconds": 1.0, "diverged_at": 310, "rates_halved": 1})
        if step % 250 == 0:
            entries.append(look(step))
    path = tmp_path / "runs" / "mine" / "log.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
    return path


def test_curves_are_what_was_logged(log: Path):
    course = read_course(made_at(250))
    assert course is not None and course.kept_step == 250
    np.testing.assert_array_equal(course.scores["held_out_mmd"], [[250, 500], [1 / 250, 1 / 500]])
    assert list(course.scores) == list(SCORES)
    assert list(course.losses) == ["generator", "feature_matching"]
    np.testing.assert_array_equal(course.losses["generator"][0], np.arange(25, 501, 25))
    assert course.losses["feature_matching"][0].min() == 275


def test_the_log_of_another_model_is_not_this_models(log: Path):
    other = made_at(250)
    other.card["metrics"]["held_out_coverage"] = 0.51
    unmeasured = SimpleNamespace(name="mine", card={"steps": 250})
    for model in (other, unmeasured, made_at(300), made_at(250, "other"), made_at(250, "../runs/mine")):
        assert read_course(model) is None


def test_damaged_lines_are_passed_over(log: Path):
    whole = read_course(made_at(500))
    log.write_text("[1]\n{}\n" + log.read_text() + '{"step": 525, "gen')
    again = read_course(made_at(500))
    assert whole is not None and again is not None
    np.testing.assert_array_equal(again.losses["generator"], whole.losses["generator"])
    log.write_bytes(b"\xff\xfe")
    assert read_course(made_at(500)) is None


def orange(png: bytes) -> np.ndarray:
    """Columns of pixels that hold the mark, of the upper left panel."""
    pixels = matplotlib.image.imread(io.BytesIO(png))[..., :3]
    ink = np.array([int(RIGHT[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    found = (np.abs(pixels - ink) < 0.01).all(axis=2)
    return np.flatnonzero(found[:400, : pixels.shape[1] // 2].any(axis=0))


def test_the_step_that_was_kept_is_marked(log: Path):
    early, late = (read_course(made_at(step)) for step in (250, 500))
    assert early is not None and late is not None
    places = [float(np.median(orange(course_png(course)))) for course in (early, late)]
    assert places[1] - places[0] > 200
    assert course_png(early) == course_png(early)


def test_a_run_too_short_for_losses_is_drawn():
    curves = {name: np.array([[20.0], [value]]) for name, value in SCORES.items()}
    short = course_png(Course(20, curves, {}))
    assert matplotlib.image.imread(io.BytesIO(short)).shape[1] == 1430


def test_a_running_mean_keeps_a_constant_and_its_ends():
    np.testing.assert_allclose(_running_mean(np.full(30, 2.0)), 2.0)
    assert _running_mean(np.arange(3.0)).shape == (3,)
    noisy = np.tile([0.0, 1.0], 50)
    assert np.ptp(_running_mean(noisy)[10:-10]) < 0.2
