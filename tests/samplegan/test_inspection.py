"""Reports of files and folders."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from samplegan.errors import InputError, UnreadableAudio
from samplegan.figures import plot_inspection
from samplegan.inspection import inspect_file, inspect_paths, summary_table, table

sys.path.insert(0, str(Path(__file__).parent))
import corpus


def names(report) -> set[str]:
    return {defect.name for defect in report.defects}


def test_a_clean_file_has_no_defects(tmp_path):
    report = inspect_file(corpus.write(tmp_path / "kick.wav", corpus.drum(channels=2), subtype="PCM_24"))
    assert report.defects == ()
    assert report.warnings == ()
    assert (report.rate_hz, report.channels, report.frames) == (44_100, 2, 11_025)
    text = table(report)
    assert "defects      none" in text
    assert "stereo" in text


@pytest.mark.parametrize(
    "defect, spoil",
    [
        ("clipped", lambda sound: np.clip(4.0 * sound, -1.0, 1.0)),
        ("dc", lambda sound: 0.9 * sound + 0.02),
        ("clicks", lambda sound: sound + 0.2 * (np.arange(sound.shape[1]) == 5_000)),
        ("start_step", lambda sound: sound[:, 40:]),
        ("end_step", lambda sound: sound[:, :1_050]),
        ("cut_off", lambda sound: sound[:, :1_050]),
        ("late", lambda sound: np.pad(sound, ((0, 0), (500, 0)))),
        ("mono_loss", lambda sound: sound * np.array([[1.0], [-1.0]])),
        ("quiet", lambda sound: 0.005 * sound),
        ("no_sound", lambda sound: 0.0 * sound),
    ],
)
@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_defects_are_named(tmp_path, defect, spoil, rate_hz):
    sound = spoil(corpus.drum(rate_hz=rate_hz, channels=2))
    report = inspect_file(corpus.write(tmp_path / "x.wav", sound, rate_hz=rate_hz, subtype="PCM_24"))
    assert defect in names(report)
    assert "defect " in table(report)


def test_a_folder_with_bad_files_is_reported_and_they_are_counted(tmp_path):
    good = corpus.make_good(tmp_path)
    for name in ("text.wav", "pipe.wav", "nan.wav", "loop.wav"):
        corpus.make_bad(tmp_path, name)
    inspection = inspect_paths([tmp_path])
    assert {report.path for report in inspection.reports} == set(good)
    assert [entry.path.name for entry in inspection.skipped] == [
        "loop.wav",
        "nan.wav",
        "pipe.wav",
        "text.wav",
    ]
    document = json.loads(json.dumps(inspection.to_dict(), allow_nan=False))
    assert document["schema_version"] == 1
    assert len(document["files"]) == len(good)
    assert document["skipped"][2]["reason"].startswith("is a pipe")
    text = summary_table(inspection)
    assert "4 skipped" in text
    assert all(len(line) < 140 for line in text.splitlines()[: len(good)])


def test_what_cannot_be_inspected_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no audio files"):
        inspect_paths([tmp_path])
    bad = corpus.make_bad(tmp_path, "text.wav")
    with pytest.raises(UnreadableAudio):
        inspect_paths([bad])
    with pytest.raises(InputError, match="none of 1 files"):
        inspect_paths([tmp_path])


@pytest.mark.parametrize("channels", [1, 2])
def test_the_picture(tmp_path, channels):
    report = inspect_file(corpus.write(tmp_path / "a$b$ kick.wav", corpus.drum(channels=channels)))
    plot_inspection(report, tmp_path / "a.png")
    plot_inspection(report, tmp_path / "b.png")
    contents = (tmp_path / "a.png").read_bytes()
    assert contents == (tmp_path / "b.png").read_bytes()
    height, width, _ = matplotlib.image.imread(io.BytesIO(contents)).shape
    assert width == 1_200
    assert height > 600


def test_inspection_imports_nothing_heavy(tmp_path):
    corpus.write(tmp_path / "x.wav", corpus.drum())
    code = (
        "import sys; from pathlib import Path; from samplegan.inspection import inspect_file; "
        "inspect_file(Path(sys.argv[1])); "
        "print([name for name in ('torch', 'matplotlib', 'scipy.signal', 'librosa') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.wav")], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_an_empty_folder_among_others_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    file = corpus.write(tmp_path / "kick.wav", corpus.drum())
    inspection = inspect_paths([tmp_path / "empty", file])
    assert [entry.path.name for entry in inspection.skipped] == ["empty"]
    assert len(inspection.reports) == 1
