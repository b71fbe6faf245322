"""Sounds split by kit: no kit on both sides, and a share that is met."""

from __future__ import annotations

import csv
import importlib.util
import itertools
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from samplegan.config import Source
from samplegan.dataset import folder_sounds
from samplegan.errors import ConfigError, InputError

sys.path.insert(0, str(Path(__file__).parent))
import corpus

_SPEC = importlib.util.spec_from_file_location(
    "split_by_kit", Path(__file__).parents[2] / "scripts" / "split_by_kit.py"
)
assert _SPEC is not None and _SPEC.loader is not None
script = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(script)

SIZES = {"a": 9, "b": 1, "c": 4, "d": 2, "e": 7}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five kits in subfolders."""
    seed = 0
    for kit, size in SIZES.items():
        (tmp_path / "kicks" / kit).mkdir(parents=True)
        for index in range(size):
            corpus.write(tmp_path / "kicks" / kit / f"{index}.wav", corpus.drum(0.05, seed=seed))
            seed += 1
    return tmp_path / "kicks"


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "MANIFEST.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_no_kit_stands_on_both_sides(folder: Path, tmp_path: Path):
    told = script.split(folder, tmp_path / "out", share=0.25, seed=0)
    sides: dict[str, set[str]] = {}
    for row in rows_of(tmp_path / "out"):
        side, kit, _ = row["path"].split("/")
        assert row["kit"] == kit and row["source"] == "kicks"
        assert (tmp_path / "out" / row["path"]).read_bytes() == Path(
            folder, kit, Path(row["path"]).name
        ).read_bytes()
        sides.setdefault(kit, set()).add(side)
    assert set(sides) == set(SIZES) and all(len(each) == 1 for each in sides.values())
    held_out = sum(SIZES[kit] for kit, each in sides.items() if each == {"test"})
    assert held_out == 6 and told.startswith("17 sounds")  # 5.75 of 23 are asked for


@pytest.mark.parametrize("share", [0.01, 0.1, 0.25, 0.5, 0.8, 0.99])
def test_the_share_is_met_as_well_as_any_choice_of_kits_can(share: float):
    random = np.random.default_rng(round(100 * share))
    for seed in range(5):
        sizes = {f"kit {index}": int(size) for index, size in enumerate(random.integers(1, 60, 9))}
        everything = sum(sizes.values())
        totals = {
            sum(chosen) for count in range(1, 9) for chosen in itertools.combinations(sizes.values(), count)
        }
        best = min(abs(total - share * everything) for total in totals)
        kits = script.held_out_kits(sizes, share, seed)
        assert abs(sum(sizes[kit] for kit in kits) - share * everything) == pytest.approx(best)
        assert 0 < len(kits) < len(sizes)


def test_the_choice_follows_from_the_seed_and_not_from_the_order_of_files():
    sizes = {f"kit {index}": 3 for index in range(40)}
    backwards = dict(reversed(sizes.items()))
    choices = [frozenset(script.held_out_kits(sizes, 0.25, seed)) for seed in range(30)]
    assert [frozenset(script.held_out_kits(backwards, 0.25, seed)) for seed in range(30)] == choices
    assert len(set(choices)) == 30
    chosen = Counter(kit for choice in choices for kit in choice)
    assert len(chosen) == 40 and max(chosen.values()) < 18  # every kit has its turn: 7.5 times on average


def test_what_a_manifest_says_is_carried_on(folder: Path, tmp_path: Path):
    lines = ["path,category,source,kit,licence"]
    for index, path in enumerate(sorted(folder.rglob("*.wav"))):
        lines.append(f"{path.relative_to(folder)},kick,archive,{'even' if index % 2 else 'odd'},cc0")
    (folder / "MANIFEST.csv").write_text("\n".join(lines))
    script.split(folder, tmp_path / "out", share=0.5, seed=0)
    rows = rows_of(tmp_path / "out")
    assert {(row["category"], row["source"], row["licence"]) for row in rows} == {("kick", "archive", "cc0")}
    # What reads a folder to learn from finds them again.
    for side in ("train", "test"):
        sounds = list(folder_sounds(tmp_path / "out" / side, Source(licence=""), []))
        assert len({sound.kit for sound in sounds}) == 1 and {sound.licence for sound in sounds} == {"cc0"}


def test_a_copy_does_not_stand_on_both_sides(folder: Path, tmp_path: Path):
    (folder / "b" / "again.wav").write_bytes((folder / "a" / "0.wav").read_bytes())
    script.split(folder, tmp_path / "out", share=0.25, seed=0)
    assert [row["path"] for row in rows_of(tmp_path / "out") if "again" in row["path"]] == []
    assert len(rows_of(tmp_path / "out")) == sum(SIZES.values())


def test_what_cannot_be_split_is_refused(folder: Path, tmp_path: Path):
    for share in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="--share"):
            script.split(folder, tmp_path / "out", share=share, seed=0)
    with pytest.raises(ConfigError, match="not empty"):
        script.split(folder, folder, share=0.2, seed=0)
    (folder / "MANIFEST.csv").write_text(
        "path,kit\n" + "\n".join(f"{path.relative_to(folder)},one" for path in folder.rglob("*.wav"))
    )
    with pytest.raises(ConfigError, match="one kit"):
        script.split(folder, tmp_path / "out", share=0.2, seed=0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no audio files"):
        script.split(tmp_path / "empty", tmp_path / "out", share=0.2, seed=0)
    assert not (tmp_path / "out").exists()
