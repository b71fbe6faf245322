"""Models held against parts of all kits: kits stay whole, what is alike is near, and words for what cannot be."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
import compare_models as script

from samplegan import synth
from samplegan.evaluate.distributions import LEAST_SPREADS
from samplegan.evaluate.embedding import DIMENSION


def heard(places: np.ndarray) -> script.Heard:
    """Sounds [sound, dimension] that differ in a few features and in brightness."""
    random = np.random.default_rng(0)
    features = np.asarray(places @ random.standard_normal((places.shape[1], DIMENSION)), np.float32)
    described = [dict.fromkeys(LEAST_SPREADS, 1.0) | {"brightness": 10.0 * place[0]} for place in places]
    return script.Heard(features, described)


def test_parts_hold_whole_kits_and_every_kit_once_a_deal():
    kits = [f"kit {number % 45}" for number in range(180)]
    parts = script.dealt(kits)
    assert len(parts) == script.DEALS * 4  # of 45 sounds: six would be too small
    for part in parts:
        inside = {kits[index] for index in part}
        outside = {kits[index] for index in np.setdiff1d(np.arange(len(kits)), part)}
        assert not inside & outside
    assert sorted(np.concatenate(parts[:4]).tolist()) == list(range(180))


def test_what_is_alike_is_nearer_than_what_is_not():
    random = np.random.default_rng(1)
    real = heard(random.normal(0.0, 1.0, (120, 6)))
    sets = {"far": heard(random.normal(1.0, 1.0, (60, 6))), "near": heard(random.normal(0.0, 1.0, (60, 6)))}
    parts = script.dealt([str(number // 2) for number in range(120)])
    far, near, others = script.rows(real, parts, sets)
    assert [row[0] for row in (far, near, others)] == ["far", "near", script.OTHER_KITS]
    assert float(near[1]) < 0.2 * float(far[1])
    assert float(near[6]) < float(far[6])  # the KS of characteristics
    assert abs(float(others[1])) < 0.2 * float(far[1])
    assert (far[-1], near[-1]) == ("", f"{len(parts)} of {len(parts)}")


def run(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["compare_models.py", *map(str, arguments)])
    return script.main()


def test_a_bundled_model_is_compared_with_a_folder(tmp_path, monkeypatch, capsys):
    for index in range(44):
        folder = tmp_path / f"kit {index // 4}"
        folder.mkdir(exist_ok=True)
        sf.write(folder / f"{index}.wav", synth.synthesise("clap", 1, index).T, 44_100, subtype="PCM_16")
    monkeypatch.setattr(script, "DEALS", 1)
    monkeypatch.setattr(script, "DRAWS", 1)
    assert run(monkeypatch, tmp_path, "clap", "clap", "clap@2", "--count", 20, "--pack") == 0
    told = capsys.readouterr().out
    assert "44 sounds of 11 kits, in 2 parts" in told
    assert [line.split(" | ")[0].strip("| ") for line in told.splitlines()[3:]] == [
        "clap",
        "clap, a pack",
        "clap@2",
        "clap@2, a pack",
        "synthesiser",
        script.OTHER_KITS,
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing-like-it"], "nothing-like-it"),
        (["clap@far"], "'far' is not a number"),
        (["clap@nan"], "not a number from 0 up"),
        (["clap"], "at least 40 sounds"),
    ],
)
def test_what_cannot_be_is_said_in_words(tmp_path, monkeypatch, capsys, arguments, words):
    sf.write(tmp_path / "1.wav", synth.synthesise("clap", 1, 1).T, 44_100, subtype="PCM_16")
    assert run(monkeypatch, tmp_path, "clap", *arguments) != 0
    assert words in capsys.readouterr().err
