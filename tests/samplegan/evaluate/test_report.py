"""The whole comparison, and the command."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from samplegan import synth
from samplegan.categories import category_named
from samplegan.cli import run
from samplegan.errors import ConfigError, InputError, MachineError
from samplegan.evaluate import baselines
from samplegan.evaluate.analysis import Measurer, Workers, combined_defects
from samplegan.evaluate.distributions import defects, kick_test
from samplegan.evaluate.embedding import Embedding, Projection
from samplegan.evaluate.metrics import frechet_distance, mmd2
from samplegan.evaluate.report import (
    DRAWS,
    SCHEMA_VERSION,
    Report,
    check_out,
    evaluate,
    memoriser_is_caught,
    several_draws,
    targets,
    targets_of,
    write_report,
)
from samplegan.evaluate.sets import Sounds
from samplegan.evaluate.table import CHARACTERISTICS, COLUMNS, reason, table
from samplegan.progress import Progress
from samplegan.signals import StopSignal

COUNT = 24
MADE = 60  # of every set that can be made as large
SEED = 5


def row(report: Report, name: str):
    return next(each for each in report.rows if each.name == name)


# --- the rows


def test_every_set_has_a_row(report: Report):
    assert [each.name for each in report.rows] == [
        "tiny",
        "train",
        "floor",
        "ceiling",
        baselines.MEMORISER,
        baselines.PCA_GAUSSIAN,
        baselines.SYNTHESISER,
    ]
    assert (report.sounds, report.training_sounds, report.held_out_sounds) == (COUNT, 40, COUNT)
    assert len(report.generated.sounds) == MADE and len(report.real.sounds) == COUNT
    assert [each.sounds for each in report.rows] == [MADE, 40, 40, 40, *[MADE] * 3]
    assert report.length_seconds == 0.2
    for each in report.rows:
        assert 0.0 <= each.coverage <= 1.0 and 0.0 <= each.one_nn <= 1.0 and 0.0 <= each.mean_ks <= 1.0


def test_draws_have_one_size_and_use_every_sound_as_often(report: Report):
    draws = several_draws(100, 24, 5)
    assert len(draws) == DRAWS and {each.size for each in draws} == {24}
    assert all(len(set(each.tolist())) == 24 for each in draws)
    used = np.bincount(np.concatenate(draws), minlength=100)
    assert used.sum() == DRAWS * 24 and used.max() <= 4  # four turns of four draws, each without repeats
    for first in range(0, DRAWS, 4):
        assert len(set(np.concatenate(draws[first : first + 4]).tolist())) == 96
    assert [each.tolist() for each in several_draws(24, 24, 5)] == [list(range(24))]
    np.testing.assert_array_equal(several_draws(100, 24, 5), draws)


def test_figures_are_the_means_of_draws_as_large_as_the_held_out_set(report: Report):
    at = report.projection.project(report.generated.features)
    real = report.projection.project(report.real.features)
    draws = several_draws(MADE, COUNT, SEED)
    assert report.subject.fd_mel == pytest.approx(
        np.mean([frechet_distance(real, at[each]) for each in draws])
    )
    pitches = [each.values("pitch_log2_hz") for each in (report.generated, report.real)]
    spreads = [np.nanstd(pitches[0][each]) / np.nanstd(pitches[1]) for each in draws]
    assert report.subject.pitch_spread_ratio == pytest.approx(np.mean(spreads))
    asked = next(each for each in targets(report) if each.name == "pitch spread, off by")
    assert asked.value == pytest.approx(abs(np.mean(spreads) - 1.0))


def test_as_many_sounds_as_are_held_out_are_drawn_once(kicks: Path, model: str):
    report = evaluate(model, against=kicks / "test", count=COUNT, seed=SEED, jobs=1)
    assert [each.sounds for each in report.rows] == [COUNT, COUNT]
    at = report.projection.project(report.generated.features)
    assert report.subject.mmd2 == mmd2(report.projection.project(report.real.features), at)


def test_a_model_that_learned_nothing_is_far_from_everything(report: Report):
    tiny, floor = report.subject, report.floor
    assert floor is not None
    assert tiny.mmd2 > 10.0 * floor.mmd2 and tiny.fd_mel > 3.0 * floor.fd_mel
    assert tiny.coverage < 0.2 < floor.coverage
    assert tiny.one_nn > 0.9 and tiny.mean_ks > 2.0 * floor.mean_ks
    assert not all(each.is_met for each in targets(report))


def test_the_memoriser_is_caught_and_new_sounds_are_not(report: Report):
    copies = row(report, baselines.MEMORISER)
    assert copies.c_t < -4.0 and copies.share_near > 0.9
    assert memoriser_is_caught(report) is True
    unmet = {each.name for each in targets(report, copies) if not each.is_met}
    assert {"C_T", "share of copies"} <= unmet
    fresh = row(report, baselines.SYNTHESISER)
    assert fresh.c_t > -3.0 and fresh.share_near < 0.2


def test_the_training_sounds_themselves_are_caught(report: Report):
    themselves = row(report, "train")
    assert themselves.c_t < -4.0 and themselves.share_near == 1.0


def test_the_floor_meets_its_own_targets(report: Report):
    floor = report.floor
    assert floor is not None and floor.c_t is None and floor.share_near is None
    own = [each for each in targets(report, floor) if "floor" in each.why or "chance" in each.why]
    assert [each.name for each in own] == ["coverage", "mean KS", "FD-mel", "MMD² × 1000", "1-NN"]
    assert all(each.is_met and not each.is_missed_by_the_floor for each in own)
    width = next(each for each in targets(report, floor) if each.name == "KS of width")
    assert width.is_met


def test_a_target_says_whether_real_sounds_of_other_kits_reach_it(report: Report):
    floor = report.floor
    assert floor is not None
    worse = dataclasses.replace(floor, pitch_spread_ratio=0.5, coverage=0.0, mmd2=0.9, one_nn=1.0)
    rows = [each if each is not floor else worse for each in report.rows]
    found = {each.name: each for each in targets_of(rows, category="kick", sounds=report.sounds)}
    missed = {name for name, each in found.items() if each.is_missed_by_the_floor}
    assert {"pitch spread, off by", "coverage, best baseline", "MMD² × 1000, best baseline"} <= missed
    assert "1-NN, best baseline" in missed
    assert missed.isdisjoint({"coverage", "MMD² × 1000", "C_T", "share of copies"})
    for name, each in found.items():
        assert ("the floor misses it, too" in reason(each)) == (name in missed and not each.is_met)


def test_the_best_baseline_is_asked_of_every_distance(report: Report):
    rivals = {"PCA-Gaussian", "synthesiser"}
    asked = {each.name: each for each in targets(report) if each.name.endswith(", best baseline")}
    assert len(asked) == 5
    assert {each.why for each in asked.values()} <= rivals
    least = min(row(report, name).mean_ks for name in rivals)
    assert asked["mean KS, best baseline"].limit == least
    copies = row(report, baselines.SYNTHESISER)  # is no rival of itself
    assert {each.why for each in targets(report, copies) if "best" in each.name} == {"PCA-Gaussian"}


def test_margins_are_wider_for_other_categories(report: Report):
    other = dataclasses.replace(report, category="snare")
    for narrow, wide in zip(targets(report), targets(other), strict=True):
        assert (narrow.name, narrow.value) == (wide.name, wide.value)
        margins = [abs(each.limit - narrow.value) for each in (narrow, wide)]
        if "baseline" in narrow.name:
            assert margins[0] == margins[1]
        else:
            assert wide.limit < narrow.limit if narrow.at_least else wide.limit > narrow.limit
    names = {each.name: each for each in targets(other)}
    assert names["C_T"].limit == -3.0 and names["share of copies"].limit == pytest.approx(0.03)
    assert names["KS of width"].limit == pytest.approx(0.375)


def test_shares_of_single_sounds_add_up_to_those_of_the_set(report: Report):
    sounds = list(report.real.sounds)
    assert report.real.kick is not None and report.real.flaws is not None
    whole = dataclasses.asdict(kick_test(sounds))
    assert dataclasses.asdict(report.real.kick) == pytest.approx(whole)
    assert report.real.flaws == defects(sounds)
    assert combined_defects([defects([sound]) for sound in sounds[:5]]) == defects(sounds[:5])


# --- the document


def test_the_document_survives_json(report: Report):
    document = report.to_document()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["schema_version"] == SCHEMA_VERSION and document["subject"] == "tiny"
    assert len(document["rows"]) == 7 and len(document["characteristics"]) == len(CHARACTERISTICS)
    assert document["rows"][2]["c_t"] is None
    assert set(document["kick_test"]) == {"held out", "tiny", "train"} == set(document["flaws"])


def test_the_same_seed_is_the_same_report_on_any_number_of_processes(report: Report, kicks: Path, model: str):
    again = evaluate(
        model,
        against=kicks / "test",
        train=kicks / "train",
        beside=[str(kicks / "train")],
        count=MADE,
        seed=report.seed,
        jobs=2,
    )
    assert again.to_document() == report.to_document()


def test_without_training_sounds_there_is_neither_floor_nor_word_of_copies(kicks: Path):
    plain = evaluate(str(kicks / "train"), against=kicks / "test", category="hat_closed", count=40, jobs=1)
    assert [each.name for each in plain.rows] == ["train", baselines.SYNTHESISER]
    assert plain.floor is None and plain.near_distance is None and plain.kicks == {}
    assert all(each.c_t is None and each.share_near is None for each in plain.rows)
    assert plain.length_seconds == category_named("hat_closed").length_seconds
    assert "without --train" in table(plain)
    assert memoriser_is_caught(plain) is None
    # These kicks are of the kind they are held against; closed hats are not.
    hats = row(plain, baselines.SYNTHESISER)
    assert plain.subject.coverage > 0.7 > hats.coverage and plain.subject.mmd2 < 0.2 * hats.mmd2
    json.dumps(plain.to_document(), allow_nan=False)


def test_silence_counts_against_a_set(kicks: Path, monkeypatch: pytest.MonkeyPatch):
    true_sounds = baselines.synthesiser("kick", COUNT, 0, 8_820)
    from samplegan.evaluate import report as module

    def half_silent(*arguments):
        makers = tuple(_silence if index % 2 else maker for index, maker in enumerate(true_sounds.makers))
        return dataclasses.replace(true_sounds, makers=makers)

    monkeypatch.setattr(module.baselines, "synthesiser", half_silent)
    found = evaluate(str(kicks / "train"), against=kicks / "test", category="hat_closed", count=40, jobs=1)
    broken = row(found, baselines.SYNTHESISER)
    assert broken.silent == COUNT // 2 and broken.mean_ks > 0.4 and math.isfinite(broken.fd_mel)
    assert f"{COUNT // 2} sounds are silent" in table(found)


def _silence() -> np.ndarray:
    return np.zeros((2, 8_820), np.float32)


# --- words and files


def test_the_table_fits_and_says_everything(report: Report):
    told = table(report)
    assert max(map(len, told.splitlines())) <= 128
    for word in (*(column.heading for column in COLUMNS), "memoriser", "not met", "kick test", "flaws"):
        assert word in told
    for label in CHARACTERISTICS.values():
        assert label.words in told


def test_files_are_written_whole(report: Report, drawn, tmp_path: Path):
    out = tmp_path / "out"
    written = write_report(report, out)
    assert sorted(path.name for path in written) == sorted(path.name for path in out.iterdir())
    assert json.loads((out / "report.json").read_text()) == report.to_document()
    with np.load(out / "projection.npz") as arrays:
        known = Projection.from_document(dict(arrays))
    np.testing.assert_array_equal(known.components, report.projection.components)
    for name, picture in drawn.items():
        assert (out / f"{name}.png").read_bytes() == picture.png  # drawn twice, the same bytes
    with pytest.raises(ConfigError, match="holds a report already"):
        check_out(out, overwrite=False)
    check_out(out, overwrite=True)
    with pytest.raises(ConfigError, match="file, not a folder"):
        check_out(out / "report.json", overwrite=True)


# --- the command


def test_the_command_prints_and_writes(report: Report, drawn, tmp_path: Path, monkeypatch, capsys):
    given = {}
    monkeypatch.setattr("samplegan.evaluate.figures.pictures", lambda _report: drawn)
    monkeypatch.setattr(
        "samplegan.evaluate.report.evaluate", lambda *names, **options: given.update(options) or report
    )
    arguments = ["evaluate", "tiny", "--against", "a", "--train", "b", "--beside", "c", "--beside", "d"]
    assert run([*arguments, "--count", "30", "--seed", "4", "--jobs", "2", "--out", str(tmp_path / "o")]) == 0
    told = capsys.readouterr()
    assert "memoriser" in told.out and "7 files" in told.err
    assert given == {
        "against": Path("a"),
        "train": Path("b"),
        "beside": ["c", "d"],
        "category": None,
        "count": 30,
        "seed": 4,
        "jobs": 2,
        "quiet": False,
    }
    assert run([*arguments, "--out", str(tmp_path / "o")]) == 2
    assert "holds a report already" in capsys.readouterr().err
    assert run([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == report.to_document()
    assert run([*arguments, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_help_is_instant():
    script = (
        "import sys; from samplegan.cli import run\n"
        "code = run(['evaluate', '--help'])\n"
        "print(code, *sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    code, *modules = done.stderr.split()
    assert code == "0" and "Examples:" in done.stdout
    assert not {"numpy", "torch", "numba", "matplotlib"} & set(modules)


@pytest.fixture(scope="module")
def snares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("other") / "snares"
    synth.write_pack("snare", COUNT, 3, folder)
    return folder


@pytest.fixture
def folders(kicks: Path, snares: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: kicks/, few/ with three of them, empty/, snares/, and tiny.safetensors."""
    monkeypatch.setenv("SAMPLEGAN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kicks").symlink_to(kicks)
    (tmp_path / "tiny.safetensors").symlink_to(model)
    (tmp_path / "empty").mkdir()
    (tmp_path / "snares").symlink_to(snares)
    synth.write_pack("kick", 3, 3, tmp_path / "few")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["tiny.safetensors"], 2, "--against"),
        (["kik", "--against", "kicks/test"], 2, "did you mean 'kick'"),
        (["./absent.safetensors", "--against", "kicks/test"], 2, "no such model file"),
        (["tiny.safetensors", "--against", "absent"], 3, "absent"),
        (["tiny.safetensors", "--against", "empty"], 3, "0 sounds here"),
        (["tiny.safetensors", "--against", "few"], 3, "3 sounds here that can be read"),
        (["tiny.safetensors", "--against", "kicks/test", "--train", "few"], 3, "at least 24"),
        (["few", "--against", "kicks/test"], 3, "at least 24"),
        (
            ["tiny.safetensors", "--against", "kicks/test", "--train", "kicks/test"],
            2,
            "among those of --train",
        ),
        (
            ["tiny.safetensors", "--against", "kicks", "--train", "kicks/train"],
            2,
            "40 of 64 sounds of --against",
        ),
        (["tiny.safetensors", "--against", "snares"], 2, "category 'snare', and tiny is 'kick'"),
        (["snares", "--against", "kicks/test"], 2, "category 'kick', and snares is 'snare'"),
        (["few", "--against", "empty"], 2, "--category"),
        (["few", "--against", "empty", "--category", "kik"], 2, "did you mean 'kick'"),
        (["tiny.safetensors", "--against", "kicks/test", "--beside", "tiny.safetensors"], 2, "named twice"),
        (["tiny.safetensors", "--against", "kicks/test", "--count", "23"], 2, "--count must be at least 24"),
        (["tiny.safetensors", "--against", "kicks/test", "--seed", "-1"], 2, "--seed"),
        (["tiny.safetensors", "--against", "kicks/test", "--seed", str(2**63)], 2, "--seed"),
        (["tiny.safetensors", "--against", "kicks/test", "--jobs", "0"], 2, "--jobs"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else None,
)
def test_bad_input_is_told_in_clear_words(arguments, code, words, folders: Path, capsys):
    assert run(["evaluate", *arguments]) == code
    told = capsys.readouterr()
    assert told.out == "" and words in told.err
    assert told.err.count("error:") == 1 and "Traceback" not in told.err


def test_a_models_name_means_the_model_and_a_path_the_folder(folders: Path, monkeypatch):
    (folders / "kick").symlink_to(folders / "few")
    from samplegan.evaluate import report as module

    assert not module._is_folder("kick") and module._is_folder("./kick") and module._is_folder("few")


def test_sounds_that_are_all_the_same_cannot_be_compared(folders: Path):
    same = folders / "same"
    same.mkdir()
    for index in range(COUNT):
        (same / f"{index}.wav").write_bytes(next(iter((folders / "few").glob("*.wav"))).read_bytes())
    with pytest.raises(InputError, match="cannot be compared"):
        evaluate("kicks/test", against=same, category="hat_closed", count=40, jobs=1)


def test_what_was_skipped_makes_it_partial(report: Report, monkeypatch, capsys):
    from samplegan.inspection import Skipped

    with_skipped = dataclasses.replace(report, skipped=(Skipped(Path("x.wav"), "the file is silent"),))
    monkeypatch.setattr("samplegan.evaluate.report.evaluate", lambda *names, **options: with_skipped)
    assert run(["evaluate", "tiny", "--against", "a"]) == 4
    told = capsys.readouterr()
    assert "x.wav: the file is silent" in told.out and "1 file could not be read" in told.err


def test_a_process_that_is_killed_is_told_and_not_waited_for():
    many = Sounds("", (partial(os._exit, 9),) * 6)
    measurer = Measurer(Embedding(0.2), None)
    with (
        pytest.raises(MachineError, match="ended from outside"),
        Workers(measurer, 2, StopSignal(), Progress("", quiet=True)) as workers,
    ):
        workers.features(many)
