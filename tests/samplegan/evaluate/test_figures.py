"""Which pictures a report has: those of its subject, and no others."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from samplegan.evaluate.course import Course
from samplegan.evaluate.figures import NAMES, Picture, pictures, spectrogram_wall
from samplegan.evaluate.html import page
from samplegan.evaluate.report import Report, evaluate, write_report


@pytest.fixture(scope="module")
def course() -> Course:
    curve = np.array([[250.0, 500.0], [0.5, 0.6]])
    names = ("held_out_mmd", "held_out_coverage")
    scores = {f"{name}{of}": curve for name in names for of in ("", "_of_training")}
    return Course(500, scores, {"generator": curve})


def test_of_a_model_kernels_are_drawn_and_training_where_there_is_a_log(
    report: Report, drawn: dict[str, Picture], course: Course
):
    assert report.course is None  # nothing here has trained this model
    assert tuple(drawn) == tuple(name for name in NAMES if name != "training")
    logged = pictures(dataclasses.replace(report, course=course))
    assert tuple(logged) == NAMES
    assert {name: logged[name] for name in drawn} == drawn
    assert "step 500" in logged["training"].words
    text = page(report, drawn)
    assert 'id="kernels"' in text and 'id="training"' not in text


def test_a_folder_has_neither_and_an_earlier_reports_pictures_go(
    kicks: Path, report: Report, course: Course, tmp_path: Path
):
    write_report(dataclasses.replace(report, course=course), tmp_path)
    assert all((tmp_path / f"{name}.png").exists() for name in NAMES)
    of_folder = evaluate(str(kicks / "train"), against=kicks / "test", category="hat_closed", jobs=1)
    assert of_folder.model is None and of_folder.course is None
    written = write_report(of_folder, tmp_path)
    assert sorted(written) == sorted(tmp_path.iterdir())
    assert {path.stem for path in written if path.suffix == ".png"} == set(NAMES[:3])


def test_a_wall_has_as_many_columns_as_asked():
    sounds = [np.zeros((2, 4_410), np.float32) + 0.1 for _ in range(8)]
    shapes = [
        matplotlib.image.imread(
            io.BytesIO(spectrogram_wall(sounds, sounds[:3], ("a", "b"), "", columns=columns))
        ).shape
        for columns in (4, 2)
    ]
    assert shapes[0][1] > shapes[1][1] and shapes[0][0] < shapes[1][0]
