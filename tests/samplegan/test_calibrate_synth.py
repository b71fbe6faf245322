"""Fitting the synthesiser's ranges: weights find what is alike, ranges follow the weights, files say the same."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import yaml

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
import calibrate_synth as script

from samplegan import synth
from samplegan.categories import CATEGORIES
from samplegan.errors import InputError
from samplegan.evaluate.distributions import LEAST_SPREADS
from samplegan.evaluate.embedding import DIMENSION
from samplegan.synth.ranges import Range, Style, draw, generator


def heard(places: np.ndarray) -> script.Heard:
    """Sounds [sound, 2] that differ in two features and in brightness."""
    features = np.zeros((len(places), DIMENSION), np.float32)
    features[:, :40] = 10.0 * places[:, :1]
    features[:, 40:80] = 10.0 * places[:, 1:]
    described = [dict.fromkeys(LEAST_SPREADS, 1.0) | {"brightness": 10.0 * place[0]} for place in places]
    return script.Heard(features, described)


def test_weights_choose_the_sounds_that_are_alike(monkeypatch):
    monkeypatch.setattr(script, "DIMENSIONS", 2)
    random = np.random.default_rng(0)
    real = heard(random.normal([1.0, 0.0], 0.3, (60, 2)))
    near, far = random.normal([1.0, 0.0], 0.3, (50, 2)), random.normal([-1.0, 1.0], 0.3, (150, 2))
    pool, space = heard(np.vstack([near, far])), script.Space.fit(real)
    weights = space.matching_weights(pool, real, np.full(60, 1 / 60))
    assert weights.sum() == pytest.approx(1.0)
    assert weights.min() >= 0.0
    assert weights[:50].sum() > 0.9


def test_a_large_kit_counts_no_more_than_a_small_one(monkeypatch):
    monkeypatch.setattr(script, "DIMENSIONS", 2)
    random = np.random.default_rng(0)
    rack, others = random.normal([1.0, 0.0], 0.3, (60, 2)), random.normal([-1.0, 1.0], 0.3, (12, 2))
    kits = ["rack"] * 60 + [f"kit {number}" for number in range(12)]
    real, pool = heard(np.vstack([rack, others])), heard(random.normal(0.0, 1.0, (300, 2)))
    space = script.Space.fit(real)
    # The first feature tells the rack from the others.
    like_the_rack = pool.features[:, 0] > 0.0
    alike = space.matching_weights(pool, real, script.kit_shares(kits))[like_the_rack].sum()
    as_they_are = space.matching_weights(pool, real, np.full(72, 1 / 72))[like_the_rack].sum()
    assert as_they_are > 0.7
    assert alike < 0.4
    few = script.few_of_each(kits)
    assert len(few) == 12 + script.KIT_COUNTS
    assert len(set(few.tolist())) == len(few)


def test_every_kit_is_left_out_once_as_a_whole():
    kits = [f"kit {index % 11}" for index in range(40)]
    parts = script.left_out(kits)
    assert len(parts) == script.FOLDS
    assert sorted(np.concatenate(parts)) == list(range(40))
    for part in parts:
        rest = np.setdiff1d(np.arange(40), part)
        assert not {kits[index] for index in part} & {kits[index] for index in rest}
    assert len(script.left_out(["one", "two", "two"])) == 2
    assert len(script.left_out(["one"] * 3)) == 3
    with pytest.raises(InputError, match="single sound"):
        script.left_out(["one"])


class Synthesised:
    """Ears that hear draws with `heard`: a sound is where its parameter `brightness` is, and silent below 0."""

    category = "test"

    def real(self, folder):
        random = np.random.default_rng(len(folder.name))
        kits = [f"kit {index // 5}" for index in range(60)]
        return heard(random.normal([2.0, 0.0], 0.3, (60, 2))), kits

    def drawn(self, parameters, start):
        return self.audible(parameters, start)[1]

    def made(self, parameters, before):
        random = np.random.default_rng(3)
        noise = random.normal(0.0, 0.3, len(parameters))
        places = [[each["brightness"], second] for each, second in zip(parameters, noise, strict=True)]
        sounds = heard(np.array(places))
        return dict(enumerate(zip(sounds.features, sounds.characteristics, strict=True)))

    def audible(self, parameters, start):
        kept = [each for each in parameters if each["brightness"] >= 0.0]
        random = np.random.default_rng(start)
        return kept, heard(np.array([[each["brightness"], random.normal(0.0, 0.3)] for each in kept]))


def fitted_from(low, high, monkeypatch, capsys):
    """What fitting makes of the range `low` to `high`, and what it says of rounds."""
    monkeypatch.setattr(script, "DIMENSIONS", 2)
    entry = Range("brightness", "", low, high, "uniform", 1.0, "what it is")
    monkeypatch.setattr(script.synth, "styles", lambda category: {"only": Style("only", 1.0, (entry,))})
    style = script.fitted(Synthesised(), Path("split"), 300, 2)["only"]
    told = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("nearest"))
    return style.ranges[0], told


def test_rounds_are_taken_that_bring_sounds_nearer_to_kits_left_out(monkeypatch, capsys):
    entry, told = fitted_from(-1.0, 4.0, monkeypatch, capsys)
    assert told == "nearest to kits left out after 2 of 2 rounds"
    assert 0.0 < entry.low < 2.0 < entry.high < 4.0


def test_ranges_stay_where_rounds_bring_sounds_no_nearer(monkeypatch, capsys):
    def worse(styles, drawn, weights):
        (entry,) = styles["only"].ranges
        shifted = dataclasses.replace(entry, low=entry.low + 1.0, high=entry.high + 1.0)
        return {"only": dataclasses.replace(styles["only"], ranges=(shifted,))}

    monkeypatch.setattr(script, "refitted", worse)
    entry, told = fitted_from(1.5, 2.5, monkeypatch, capsys)
    assert told == "nearest to kits left out after 0 of 2 rounds"
    assert (entry.low, entry.high) == (1.5, 2.5)


def test_a_sweep_moves_what_all_styles_have_in_common_towards_real_sounds(monkeypatch, capsys):
    monkeypatch.setattr(script, "DIMENSIONS", 2)
    entry = Range("brightness", "", 0.2, 1.6, "uniform", 1.0, "what it is")
    other = Range("depth", "", 1.0, 2.0, "uniform", 1.0, "what nothing hears")
    styles = {name: Style(name, 1.0, (entry, other)) for name in ("one", "two")}
    moves = list(script.swept(Synthesised(), Path("split"), styles, 2))
    swept = moves[-1]
    told = capsys.readouterr().out
    assert len(moves) == told.count("->")
    for style in swept.values():
        fitted, unheard = style.ranges
        assert abs(fitted.low + fitted.high - 4.0) < abs(entry.low + entry.high - 4.0)
        assert unheard == other
    before, after = (
        float(line.split("KS")[1].split(",")[0])
        for line in told.splitlines()
        if line.startswith(("before", "sweep 1"))
    )
    assert after < before
    assert "brightness up" in told
    assert "depth" not in told


def test_what_is_near_is_swept_once_and_stays(monkeypatch, capsys):
    monkeypatch.setattr(script, "DIMENSIONS", 2)
    monkeypatch.setattr(script, "LEAST_GAIN", 1.0)
    styles = {"one": Style("one", 1.0, (Range("brightness", "", 1.5, 2.5, "uniform", 1.0, ""),))}
    assert list(script.swept(Synthesised(), Path("split"), styles, 3)) == []
    assert "sweep 1" in (told := capsys.readouterr().out)
    assert "sweep 2" not in told


def test_a_step_moves_the_mean_to_that_of_real_sounds(monkeypatch, capsys):
    monkeypatch.setattr(script, "DIMENSIONS", 2)
    entry = Range("brightness", "", 0.2, 1.6, "uniform", 1.0, "what it is")
    other = Range("depth", "", 1.0, 2.0, "uniform", 1.0, "what nothing hears")
    styles = {name: Style(name, 1.0, (entry, other)) for name in ("one", "two")}
    first, *_, stepped = script.stepped(Synthesised(), Path("split"), styles, 20)
    half = first["one"].ranges[0]
    assert half.low + half.high == pytest.approx(0.5 * (entry.low + entry.high + 4.0), abs=0.5)
    for style in stepped.values():
        fitted, unheard = style.ranges
        assert fitted.low + fitted.high == pytest.approx(4.0, abs=0.4)
        assert fitted.high - fitted.low == pytest.approx(1.4)
        assert (unheard.low, unheard.high) == pytest.approx((1.0, 2.0))
    assert "moved most: brightness +" in (told := capsys.readouterr().out)
    assert "step 1" in told
    assert "step 20" not in told  # it ends where nothing comes nearer


def test_no_step_is_taken_that_brings_nothing_nearer(monkeypatch, capsys):
    monkeypatch.setattr(script, "DIMENSIONS", 2)
    monkeypatch.setattr(script, "LEAST_GAIN", 1.0)
    styles = {"one": Style("one", 1.0, (Range("brightness", "", 0.2, 1.6, "uniform", 1.0, ""),))}
    assert list(script.stepped(Synthesised(), Path("split"), styles, 3)) == []
    assert "step 1" not in capsys.readouterr().out


def test_a_narrow_range_of_levels_moves_as_a_wide_one_does():
    level = an_entry("middle_db", -1.0, 1.0, 1.0, "uniform")
    level = replace(level, unit="dB")
    moved = script.shifted({"one": Style("one", 1.0, (level,))}, {"middle_db": -0.5})["one"].ranges[0]
    assert (moved.low, moved.high) == pytest.approx((-1.8, 0.2))
    flutter = an_entry("flutter_hz")
    assert script.shifted({"one": Style("one", 1.0, (flutter,))}, {"flutter_hz": 1.0})["one"].ranges == (
        flutter,
    )


def test_sounds_that_were_made_are_not_made_again(monkeypatch):
    made = []

    def hear(category, length_seconds, parameters, seed):
        made.append(seed)
        return np.zeros(3, np.float32), {"brightness": float(parameters["brightness"])}

    class InOrder:
        def map(self, function, *values, chunksize):
            return map(function, *values)

    monkeypatch.setattr(script, "hear_synthesised", hear)
    ears = script.Ears(InOrder(), "kick")
    first = ears.made([{"brightness": 1.0}, {"brightness": 2.0}], {})
    again = ears.made([{"brightness": 1.0}, {"brightness": 3.0}], first)
    assert made == [0, 1, 1]
    assert [sound[1]["brightness"] for sound in again.values()] == [1.0, 3.0]


@pytest.mark.parametrize(
    ("way", "low", "high", "chance"),
    [
        ("up", 52.8, 211.1, 0.5),
        ("down", 30.3, 121.3, 0.5),
        ("wider", 32.5, 197.0, 0.5),
        ("narrower", 46.9, 136.3, 0.5),
        ("oftener", 40.0, 160.0, 1.8 / 2.8),
        ("rarer", 40.0, 160.0, 1.0 / 2.8),
    ],
)
def test_each_way_moves_one_parameter_of_every_style(way, low, high, chance):
    still = an_entry("room_db", -30.0, -10.0, 0.5, "uniform")
    styles = {name: Style(name, 1.0, (an_entry(chance=0.5), still)) for name in ("one", "two")}
    for style in script.moved(styles, "pitch_hz", way).values():
        pitch, room = style.ranges
        assert (pitch.low, pitch.high, pitch.chance) == pytest.approx((low, high, chance), rel=2e-3)
        assert room == still


def test_nothing_moves_further_than_it_can():
    gate = Style("one", 1.0, (an_entry("gate_db", -60.0, -16.0, 1.0, "uniform"),))
    moved = script.moved({"one": gate}, "gate_db", "up")["one"].ranges[0]
    assert (moved.low, moved.high) == pytest.approx((-51.2, script.HIGHEST_GATE_DB))
    always = {"one": Style("one", 1.0, (an_entry("flutter_db", 0.5, 3.0, 1.0, "uniform"),))}
    for way in script.WAYS:  # what is always there stays there, and what is set by hand stays so
        assert script.moved(always, "flutter_db", way) == always


def an_entry(name="pitch_hz", low=40.0, high=160.0, chance=1.0, distribution="log") -> Range:
    return Range(name, "", low, high, distribution, chance, "what it is")


def test_ranges_and_shares_go_towards_the_weighted_sounds():
    styles = {
        "low": Style("low", 1.0, (an_entry(), an_entry("room_db", -30.0, -10.0, 0.5, "uniform"))),
        "high": Style("high", 1.0, (an_entry(low=200.0, high=400.0),)),
    }
    random = generator("test")
    drawn = [draw(styles, random) for _ in range(4000)]
    wanted = np.array([60.0 < float(each["pitch_hz"]) < 80.0 and "room_db" in each for each in drawn])
    fitted = script.refitted(styles, drawn, wanted / wanted.sum())
    share = {
        name: style.weight / sum(each.weight for each in fitted.values()) for name, style in fitted.items()
    }
    assert share["low"] > 0.75
    assert share["high"] >= script.SMALLEST_SHARE
    pitch, room = fitted["low"].ranges
    assert 40.0 < pitch.low < 60.0 < 80.0 < pitch.high < 130.0
    assert room.chance > 0.7
    assert fitted["high"].ranges == styles["high"].ranges  # nothing was wanted of it


@pytest.mark.parametrize("category", CATEGORIES)
def test_wider_ranges_hold_the_ranges_and_can_be_rendered(category):
    random = np.random.default_rng(1)
    for style in synth.styles(category).values():
        for entry in style.ranges:
            wider = script._wider(entry)
            assert wider.low <= entry.low * (1 + 1e-9) + 1e-9
            assert wider.high >= entry.high - 1e-9 * (1 + abs(entry.high))
            assert entry.low < 0.0 or wider.low >= 0.0
    styles = script.proposal(dict(synth.styles(category)), random)
    for index in range(3):
        audio = synth.render(category, draw(styles, random), index)
        assert np.isfinite(audio).all()
        assert np.abs(audio).max() > 0.5


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_file_says_what_the_styles_are(category):
    styles = dict(synth.styles(category))
    written = yaml.safe_load(script.as_text(category, styles))
    assert list(written) == list(styles)
    assert sum(style["weight"] for style in written.values()) == pytest.approx(100.0, abs=0.5)
    for name, style in styles.items():
        for entry in style.ranges:
            low, high, *chance = written[name]["ranges"][entry.name]
            assert low == pytest.approx(entry.low, rel=5e-3)
            assert high == pytest.approx(entry.high, rel=5e-3)
            assert (chance or [1.0])[0] == pytest.approx(entry.chance, rel=5e-3)


def test_the_whole_way_from_a_folder_to_a_file(tmp_path, monkeypatch, capsys):
    for side, seed in (("train", 1), ("test", 2)):
        (tmp_path / side).mkdir()
        for index in range(12):
            audio = synth.synthesise("clap", seed, index)
            sf.write(tmp_path / side / f"{index}.wav", audio.T, 44_100, subtype="PCM_16")
    (tmp_path / "train" / "broken.wav").write_bytes(b"RIFF and no more")
    monkeypatch.setattr(script, "JUDGED", 8)
    monkeypatch.setattr(script, "DIMENSIONS", 4)
    monkeypatch.setattr(script, "FOLDS", 2)
    monkeypatch.setattr(script, "WAYS", ("oftener",))
    monkeypatch.setattr(script, "TRIED", 6)
    monkeypatch.setattr(script, "LEAST_GAIN", -1.0)  # every step is taken
    options = {"--sounds": "12", "--rounds": "1", "--steps": "1", "--sweeps": "1", "--out": str(tmp_path)}
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path), "clap", *itertools.chain(*options.items())])
    assert script.main() == 0
    told = capsys.readouterr().out
    assert "1 of 13 files" in told
    assert "2 of 2, round 1  left out" in told
    assert "rounds" in told
    assert "held out" in told
    assert "step 1" in told
    assert "sweep 1" in told
    assert yaml.safe_load((tmp_path / "clap.yaml").read_text()).keys() == synth.styles("clap").keys()


def test_a_folder_that_is_not_there_is_an_error_in_words(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path / "nowhere"), "kick", "--out", str(tmp_path)])
    assert script.main() == 3
    assert "error:" in capsys.readouterr().err
    assert not (tmp_path / "kick.yaml").exists()


def test_what_a_sweep_found_is_kept_when_it_is_stopped(tmp_path, monkeypatch):
    found = dict(synth.styles("kick"))
    better = script.moved(found, "pitch_hz", "up")

    def stopped(ears, split, styles, sweeps):
        yield better
        raise KeyboardInterrupt

    monkeypatch.setattr(script, "swept", stopped)
    options = ["--rounds", "0", "--sweeps", "1", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path), "kick", *options])
    with pytest.raises(KeyboardInterrupt):
        script.main()
    assert (
        (tmp_path / "kick.yaml").read_text()
        == script.as_text("kick", better)
        != script.as_text("kick", found)
    )


@pytest.mark.parametrize(
    "options", [["--rounds", "-1"], ["--steps", "-1"], ["--sweeps", "-1"], ["--rounds", "0"]]
)
def test_nothing_to_do_is_refused(options, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path), "kick", "--out", str(tmp_path), *options])
    with pytest.raises(SystemExit, match="2"):
        script.main()
    assert "--rounds, --steps and --sweeps must be at least 0" in capsys.readouterr().err
