"""What the synthesiser misses: sounds that are alike show no gap, and a gap shows where it was made."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
import synth_gaps as script

from samplegan.audio import ONSET_SAMPLE, SAMPLE_RATE

SAMPLES = SAMPLE_RATE // 2


def a_sound(random: np.random.Generator, *, cut: bool = False, hertz: float | None = None) -> np.ndarray:
    """Decaying noise, or a tone; cut off at 250 ms if asked for."""
    time = np.arange(SAMPLES - ONSET_SAMPLE) / SAMPLE_RATE
    source = random.standard_normal(time.size) if hertz is None else np.sin(2 * np.pi * hertz * time)
    source = source * 10.0 ** (-time / random.uniform(0.15, 0.25))
    if cut:
        source[time > 0.25] = 0.0
    audio = np.zeros((2, SAMPLES), np.float32)
    audio[:, ONSET_SAMPLE:] = source / np.abs(source).max()
    return audio


def heard(count: int, seed: int, **kind) -> script.Heard:
    random = np.random.default_rng(seed)
    return script.hear((a_sound(random, **kind) for _ in range(count)), SAMPLES)


def test_equal_sets_are_near_and_a_cut_shows_at_the_end():
    real, same, cut = heard(50, 0), heard(50, 1), heard(50, 2, cut=True)
    distances = {name: float(distance) for name, distance, *_ in script.gaps(real, same)}
    assert max(distances.values()) < 0.4
    distances = {name: float(distance) for name, distance, *_ in script.gaps(real, cut)}
    assert min(distances["end_s"], distances["level_before_end_db"]) > 0.9

    def far(made: script.Heard) -> float:
        return float(script.whole(real, made).split("1000 ")[1].split(",")[0])

    assert abs(far(same)) < 20.0 < far(cut)


@pytest.mark.parametrize(
    ("hertz", "late", "attack"),
    [
        (60.0, "late_20_100_hz_db", "attack_0_200_hz_db"),
        (600.0, "late_400_2000_hz_db", "attack_200_1000_hz_db"),
    ],
)
def test_a_tone_is_late_and_early_where_it_is(hertz, late, attack):
    found = heard(1, 0, hertz=hertz).characteristics[0]
    assert found[late] > -0.5
    assert all(value < -10.0 for name, value in found.items() if name.startswith("late") and name != late)
    assert found[attack] > -0.5


def test_what_rings_is_told_from_noise():
    noise, tone = (heard(1, 0, hertz=hertz).characteristics[0]["ringing_share"] for hertz in (None, 700.0))
    assert noise < 0.3 < tone


def test_silence_is_skipped_and_said_so(capsys):
    sound = a_sound(np.random.default_rng(0))
    assert len(script.hear([sound, np.zeros_like(sound)], SAMPLES).features) == 1
    assert "skipped" in capsys.readouterr().err


def test_a_folder_can_stand_in_the_synthesisers_place(tmp_path, monkeypatch, capsys):
    random = np.random.default_rng(0)
    for folder in ("real", "made"):
        (tmp_path / folder).mkdir()
        for index in range(script.FEWEST):
            sf.write(tmp_path / folder / f"{index}.wav", a_sound(random).T, SAMPLE_RATE)
    arguments = [str(tmp_path / "real"), "hat_closed", "--folder", str(tmp_path / "made")]
    monkeypatch.setattr(sys, "argv", ["synth_gaps.py", *arguments])
    assert script.main() == 0
    assert "level_before_end_db" in capsys.readouterr().out


def test_a_rack_can_count_as_little_as_any_kit(tmp_path):
    sound = a_sound(np.random.default_rng(0)).T
    for index in range(script.FEWEST + 10):
        for folder in ("rack", f"kit {index}"):
            (tmp_path / folder).mkdir(exist_ok=True)
            sf.write(tmp_path / folder / f"{index}.wav", sound, SAMPLE_RATE)
    for per_kit, of_the_rack in ((None, 50), (3, 3)):
        files = script.chosen_files(tmp_path, 1000, per_kit)
        assert len(files) == 50 + of_the_rack
        assert sum(file.parent.name == "rack" for file in files) == of_the_rack


def test_too_few_sounds_are_refused(tmp_path, monkeypatch, capsys):
    sf.write(tmp_path / "one.wav", a_sound(np.random.default_rng(0)).T, SAMPLE_RATE)
    monkeypatch.setattr(sys, "argv", ["synth_gaps.py", str(tmp_path), "kick"])
    assert script.main() == 3
    assert "at least 40" in capsys.readouterr().err


def test_too_few_that_can_be_used_are_refused_in_words(tmp_path, monkeypatch, capsys):
    random = np.random.default_rng(0)
    for index in range(script.FEWEST):
        sound = a_sound(random) * (index > 0)  # the first is silent
        sf.write(tmp_path / f"{index:02}.wav", sound.T, SAMPLE_RATE)
    folder = str(tmp_path)
    monkeypatch.setattr(sys, "argv", ["synth_gaps.py", folder, "hat_closed", "--folder", folder])
    assert script.main() == 3
    assert "only 39 can be used" in capsys.readouterr().err


def test_too_small_a_count_is_a_wrong_option(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["synth_gaps.py", str(tmp_path), "kick", "--count", "5"])
    with pytest.raises(SystemExit) as stopped:
        script.main()
    assert stopped.value.code == 2
    assert "at least 40" in capsys.readouterr().err


def test_colours_tell_in_which_bands_and_when_sounds_are_louder():
    real, low, high = (heard(6, 0, hertz=hertz) for hertz in (None, 200.0, 7_000.0))
    heading, rows = script.colours(low, high, SAMPLES / script.SAMPLE_RATE)
    assert heading[:2] == ["s", "30 … 409 Hz"]
    assert [row[0] for row in rows][:2] == ["0 … 0.006", "0.006 … 0.03"]
    for row in rows[:4]:
        louder = [float(each) for each in row[1:]]
        assert louder[0] < -10.0
        lowest, highest = heading[1 + louder.index(max(louder))].removesuffix(" Hz").split(" … ")
        assert float(lowest) < 7_000.0 < float(highest)
        assert max(louder) > 10.0
    _, rows = script.colours(real, real, SAMPLES / script.SAMPLE_RATE)
    assert {each for row in rows for each in row[1:]} == {"+0.0"}
