"""The signal-reconstruction test on a folder, and single sounds there and back."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import soundfile

from dsp.phase import METHODS
from dsp.phase.drafts import VARIANTS
from samplegan import validation
from samplegan.audio import SAMPLE_RATE, load_one_shot
from samplegan.categories import CATEGORIES
from samplegan.cli import run
from samplegan.config import category_image, compact_image
from samplegan.errors import ConfigError, InputError, UnreadableAudio
from samplegan.loudness import measure as measure_loudness
from samplegan.representation import representation_for
from samplegan.roundtrip import choose_representation, draft_image, round_trip, table
from samplegan.validation import Settings, evenly, known_methods, validate

sys.path.insert(0, str(Path(__file__).parent))
import corpus

QUICK = Settings(iterations=8, seconds=0.15, methods=("fast-griffin-lim", "raar"))
QUICK_OPTIONS = ["--length", "150ms", "--iterations", "8", "--method", "raar"]


@pytest.fixture
def folder(tmp_path):
    """A mono and a stereo sound of 250 ms."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    corpus.write(folder / "a.wav", corpus.drum(), subtype="PCM_24")
    corpus.write(folder / "b.wav", corpus.drum(channels=2, seed=1), subtype="PCM_24")
    return folder


@pytest.fixture
def kick(tmp_path):
    """A tone of 55 Hz that dies away, half a second, mono."""
    time = np.arange(22_050) / SAMPLE_RATE
    tone = 0.5 * np.sin(2 * np.pi * 55 * time) * np.exp(-time / 0.1) * np.minimum(1, (0.5 - time) / 0.01)
    return corpus.write(tmp_path / "kick_01.wav", tone[np.newaxis].astype(np.float32), subtype="PCM_24")


# --- the measures of a folder


def test_every_method_is_tried_on_every_sound(folder):
    result = validate(
        folder, Settings(iterations=3, seconds=0.06, window_samples=256, hop_samples=64), quiet=True
    )
    assert [each.name for each in result.results] == ["draft", *VARIANTS, *METHODS]
    assert [path.name for path in result.sounds] == ["a.wav", "b.wav"]
    for each in result.results:
        assert len(each.scores) == 2
        assert all(np.isfinite(value) for value in each.summary().values() if value is not None)
        assert each.mean("spectral_convergence_db") < 0.0
        assert each.mean("seconds") > 0.0
    assert max(map(len, validation.table(result).splitlines())) <= 96


def test_the_draft_stands_first_in_its_own_window_and_loses(folder):
    result = validate(folder, Settings(iterations=30, seconds=0.25, methods=("raar",)), quiet=True)
    draft, raar = result.results
    assert (draft.name, draft.window, raar.window) == ("draft", "kaiser 512/128", "hann 1024/256")
    assert result.best is raar
    assert raar.mean("spectral_convergence_db") < draft.mean("spectral_convergence_db") - 5.0
    assert raar.mean("mono_sum_error_db") < draft.mean("mono_sum_error_db")


def test_measures_of_the_same_sounds_are_the_same(folder):
    first, second = (validate(folder, QUICK, quiet=True) for _ in range(2))
    for one, other in zip(first.results, second.results, strict=True):
        for mine, yours in zip(one.scores, other.scores, strict=True):
            assert mine.spectral_convergence_db == yours.spectral_convergence_db
            assert mine.low_si_sdr_db == yours.low_si_sdr_db
    (folder / "a.wav").unlink()
    alone = validate(folder, QUICK, quiet=True)
    assert (
        alone.results[1].scores[0].log_spectral_distance_db
        == first.results[1].scores[1].log_spectral_distance_db
    )


def test_more_iterations_come_nearer(folder):
    few, many = (
        validate(folder, Settings(iterations=count, seconds=0.15, methods=("griffin-lim",)), quiet=True)
        for count in (2, 60)
    )
    assert (
        many.results[1].mean("spectral_convergence_db") < few.results[1].mean("spectral_convergence_db") - 1.0
    )


def test_a_hat_has_no_low_end_to_judge(tmp_path):
    noise = np.random.default_rng(0).standard_normal((1, 4_410)) * np.exp(-np.arange(4_410) / 500)
    hat = 0.1 * np.diff(noise, n=4).astype(np.float32)
    corpus.write(tmp_path / "hat.wav", hat)
    result = validate(tmp_path, QUICK, quiet=True)
    assert all(each.mean("low_si_sdr_db") is None for each in result.results)
    assert "0 sounds with a low end" in validation.table(result)
    json.dumps(result.to_dict(), allow_nan=False)


def test_the_window_that_judges_is_not_the_one_that_is_judged(folder, monkeypatch):
    judges = set()
    true_measure = validation.measure
    monkeypatch.setattr(
        validation,
        "measure",
        lambda audio, original, stft, judge: (
            judges.add((stft.window_samples, judge.window_samples))
            or true_measure(audio, original, stft, judge)
        ),
    )
    for samples in (1024, 2048):
        validate(
            folder,
            Settings(iterations=1, seconds=0.06, window_samples=samples, methods=("raar",)),
            quiet=True,
        )
    assert judges == {(512, 2048), (1024, 2048), (512, 1024), (2048, 1024)}


@pytest.mark.parametrize(("count", "limit"), [(3, 5), (5, 5), (10, 3), (1_000, 7), (2, 1)])
def test_sounds_are_taken_evenly(count, limit):
    files = [Path(str(index)) for index in range(count)]
    taken = evenly(files, limit)
    assert len(taken) == min(count, limit) and len(set(taken)) == len(taken)
    gaps = np.diff([int(path.name) for path in taken])
    assert gaps.size == 0 or gaps.max() - gaps.min() <= 1
    assert taken == sorted(taken, key=lambda path: int(path.name))


def test_what_cannot_be_read_is_named_and_counted(folder):
    bad = ("silent.wav", "one_sample.wav", "nan.wav", "long.wav", "text.wav", "pipe.wav", "empty.wav")
    for name in bad:
        corpus.make_bad(folder, name)
    result = validate(folder, QUICK, quiet=True)
    assert len(result.sounds) == 2 and result.files_found == 9
    assert [entry.path.name for entry in result.skipped] == sorted(bad)
    told = validation.table(result)
    for name in bad:
        word = next(each.word for each in corpus.BAD if each.name == name)
        assert any(name in line and word in line for line in told.splitlines())


def test_a_folder_without_sounds_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no audio files"):
        validate(tmp_path, QUICK, quiet=True)
    corpus.make_bad(tmp_path, "silent.wav")
    with pytest.raises(InputError, match="none of 1 files could be read; the first: the file is silent"):
        validate(tmp_path, QUICK, quiet=True)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"window": "han"}, "did you mean 'hann'"),
        ({"start": "phgi"}, "did you mean 'pghi'"),
        ({"methods": ("rar",)}, "did you mean 'raar'"),
        ({"seconds": 11.0}, "between 0.05 and 10"),
        ({"seconds": 0.01}, "between 0.05 and 10"),
    ],
)
def test_settings_that_cannot_be(wrong, word):
    with pytest.raises(ConfigError, match=word):
        Settings(**wrong)


@pytest.mark.parametrize("sizes", [(1024, 1024), (1023, 256), (1024, 0), (0, 1), (-2, 1), (65_536, 1)])
def test_windows_that_do_not_fit(sizes, folder):
    window_samples, hop_samples = sizes
    with pytest.raises(ConfigError):
        validate(folder, Settings(window_samples=window_samples, hop_samples=hop_samples), quiet=True)


# --- the command


def test_validate_prints_a_table(folder, capsys):
    assert run(["validate", str(folder), *QUICK_OPTIONS]) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0] == "2 sounds of 2, 0.15 s, 8 iterations, low-band start"
    assert lines[1] == "window hann 1024/256, of the draft kaiser 512/128"
    assert [line.split()[0] for line in lines[4:6]] == ["draft", "raar"]
    assert "nearer than the draft" in told.out
    assert told.err == ""


def test_validate_prints_json(folder, capsys):
    assert run(["validate", str(folder), *QUICK_OPTIONS, "--json", "--limit", "1"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == 1 and document["files_found"] == 2
    draft, raar = document["methods"]
    assert (draft["name"], raar["name"]) == ("draft", "raar")
    assert [Path(each["path"]).name for each in raar["sounds"]] == ["a.wav"]
    assert raar["summary"]["spectral_convergence_db"] == raar["sounds"][0]["spectral_convergence_db"]


def test_validate_writes_a_report_once(folder, tmp_path, capsys):
    out = tmp_path / "report"
    arguments = ["validate", str(folder), *QUICK_OPTIONS, "--out", str(out), "--quiet"]
    assert run([*arguments, "--pictures", "1"]) == 0
    assert capsys.readouterr() == ("", "")
    assert sorted(path.name for path in out.iterdir()) == ["001_a.png", "validation.json"]
    document = json.loads((out / "validation.json").read_text())
    assert document["pictures"] == ["001_a.png"]
    contents = (out / "001_a.png").read_bytes()
    height, width, _ = matplotlib.image.imread(io.BytesIO(contents)).shape
    assert width == 1_650 and height > 800

    assert run([*arguments, "--pictures", "0"]) == 2
    assert "holds a validation already" in capsys.readouterr().err
    assert json.loads((out / "validation.json").read_text()) == document
    assert run([*arguments, "--overwrite", "--pictures", "0"]) == 0
    assert json.loads((out / "validation.json").read_text())["pictures"] == []
    assert (out / "001_a.png").read_bytes() == contents


def test_validate_tells_what_it_skipped(folder, capsys):
    corpus.make_bad(folder, "nan.wav")
    assert run(["validate", str(folder), *QUICK_OPTIONS]) == 4
    told = capsys.readouterr()
    assert "nan.wav: the file holds values that are not numbers" in told.out
    assert "1 file could not be read" in told.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["empty"], 3, "no audio files here"),
        (["absent"], 3, "no such folder"),
        (["sounds/a.wav"], 3, "not a folder"),
        (["sounds", "--limit", "0"], 2, "--limit must be at least 1"),
        (["sounds", "--iterations", "0"], 2, "--iterations must be at least 1"),
        (["sounds", "--pictures", "-1"], 2, "--pictures must not be negative"),
        (["sounds", "--seed", "-1"], 2, "--seed must not be negative"),
        (["sounds", "--length", "soon"], 2, "is not a length"),
        (["sounds", "--seconds", "11"], 2, "--length must lie between"),
        (["sounds", "--method", "grifin-lim"], 2, "did you mean 'griffin-lim'"),
        (["sounds", "--window", "hanning"], 2, "did you mean 'hann'"),
        (["sounds", "--hop", "1024"], 2, "Use a smaller hop"),
        (["sounds", "--out", "sounds/a.wav"], 2, "is a file"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else None,
)
def test_validate_refuses(arguments, code, words, folder, monkeypatch, capsys):
    (folder.parent / "empty").mkdir()
    monkeypatch.chdir(folder.parent)
    assert run(["validate", *arguments]) == code
    told = capsys.readouterr()
    assert told.out == "" and words in told.err and told.err.count("error:") == 1


# --- there and back


@pytest.mark.parametrize(
    ("place", "category"),
    [
        ("kick_01.wav", "kick"),
        ("Snares/808_a.wav", "snare"),
        ("Kicks/Closed Hat 3.wav", "hat_closed"),  # the file's own name counts first
        ("hats_open/x.wav", "hat_open"),
        ("HatClosed12.wav", "hat_closed"),
        ("percs/clap-2.wav", "clap"),
        ("a/tomboy cymbal.wav", "cymbal"),  # a word counts, a part of one does not
    ],
)
def test_the_category_is_told_by_a_name(place, category):
    representation, chosen_by = choose_representation(Path("/somewhere") / place)
    assert chosen_by == f"category {category}"
    assert representation == representation_for(category_image(category), CATEGORIES[category].length_seconds)


@pytest.mark.parametrize(
    ("place", "words"), [("sounds/01.wav", "neither"), ("kick snare.wav", "several categories: kick, snare")]
)
def test_a_category_that_no_name_tells_is_asked_for(place, words):
    with pytest.raises(ConfigError, match=words) as caught:
        choose_representation(Path("/somewhere") / place)
    assert "--category" in caught.value.hint


def test_the_drafts_image_is_nearly_that_of_the_draft():
    """700 ms, 512/128: 245 frames of 257 bins, of which the draft keeps all."""
    representation = representation_for(draft_image(0.7), 0.7)
    assert (representation.window_samples, representation.bands) == (512, 256)
    assert 245 <= representation.frames <= 256 and 0 < representation.hop_samples <= 128


@pytest.mark.parametrize(
    ("image", "settings"),
    [(None, category_image("snare")), ("body", category_image("snare")), ("compact", compact_image("snare"))],
)
def test_an_image_is_chosen_by_name(image, settings):
    representation, _ = choose_representation(Path("snare.wav"), image=image)
    assert representation == representation_for(settings, CATEGORIES["snare"].length_seconds)


@pytest.mark.parametrize("image", [None, "compact", "draft"])
@pytest.mark.parametrize("gain", [1.0, 0.01])
def test_a_sound_comes_back_as_loud_as_it_was(image, gain, kick):
    sound, rate = soundfile.read(kick)
    soundfile.write(kick, gain * sound, rate, subtype="FLOAT")
    representation, chosen_by = choose_representation(kick, image=image)
    trip = round_trip(kick, representation, chosen_by)
    original = load_one_shot(kick, representation.length_seconds)
    assert trip.audio.shape == (2, representation.length_samples)
    assert trip.short_of_loudness_db == 0.0
    wanted, found = (measure_loudness(each).momentary_lufs for each in (original, trip.audio))
    assert found == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("image", ["body", "compact"])
def test_our_images_keep_the_pitch_and_the_drafts_does_not(image, kick):
    ours, draft = (round_trip(kick, *choose_representation(kick, image=each)) for each in (image, "draft"))
    assert ours.pitch_hz == pytest.approx(55.0, abs=0.2)
    assert abs(ours.pitch_error_semitones) < 0.1
    assert draft.pitch_error_semitones is None or abs(draft.pitch_error_semitones) > 0.1
    assert ours.scores.spectral_convergence_db < draft.scores.spectral_convergence_db
    assert "55.0 Hz" in table(ours)


def test_full_scale_is_not_exceeded(tmp_path):
    square = np.sign(np.sin(2 * np.pi * 60 * np.arange(13_230) / SAMPLE_RATE))[np.newaxis]
    path = corpus.write(tmp_path / "kick.wav", square, subtype="PCM_24")
    trip = round_trip(path, *choose_representation(path))
    assert trip.short_of_loudness_db > 0.1
    assert np.abs(trip.audio).max() == pytest.approx(1.0, abs=1e-5)
    assert "under the original (full scale)" in table(trip)


@pytest.mark.parametrize("name", ["silent.wav", "one_sample.wav", "nan.wav", "long.wav", "missing.wav"])
def test_what_is_no_sound_does_not_come_back(name, tmp_path):
    bad = corpus.make_bad(tmp_path, name)
    with pytest.raises(UnreadableAudio):
        round_trip(bad, *choose_representation(bad, category="kick"))


def test_roundtrip_writes_a_sound_once(kick, tmp_path, capsys):
    out = tmp_path / "new folder" / "back.wav"
    arguments = ["roundtrip", str(kick), "--out", str(out)]
    assert run(arguments) == 0
    told = capsys.readouterr()
    assert "body 64 × 64, hann 512/128" in told.out and "semitones" in told.out and told.err == ""
    back, rate = soundfile.read(out)
    assert (back.shape, rate) == ((round(CATEGORIES["kick"].length_seconds * SAMPLE_RATE), 2), SAMPLE_RATE)
    assert [path.name for path in out.parent.iterdir()] == ["back.wav"]
    before = out.read_bytes()
    assert run([*arguments, "--image", "draft"]) == 2
    assert "exists already" in capsys.readouterr().err and out.read_bytes() == before
    assert run([*arguments, "--force", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "") and out.read_bytes() == before
    for image, words in (("draft", "draft 256 × "), ("compact", "compact 128 × 64, hann 2048/256")):
        assert run([*arguments, "--force", "--image", image]) == 0
        assert words in capsys.readouterr().out
        assert out.read_bytes() != before


def test_roundtrip_writes_flac_and_json(kick, tmp_path, capsys):
    out = tmp_path / "back.FLAC"
    assert run(["roundtrip", str(kick), "--out", str(out), "--json", "--category", "tom", "--seed", "2"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["chosen_by"] == "category tom" and "seconds" not in document
    assert document["pitch_hz"] == pytest.approx(55.0, abs=0.2)
    assert soundfile.info(out).format == "FLAC"
    length_samples = round(CATEGORIES["tom"].length_seconds * SAMPLE_RATE)
    assert soundfile.info(out).frames == document["representation"]["length_samples"] == length_samples


def test_roundtrip_takes_a_packs_or_a_models_image(kick, tmp_path, capsys):
    definition = tmp_path / "pack.yaml"
    definition.write_text("category: snare\nlength_seconds: 0.3\nimage: {bands: 64, frames: 32}\n")
    arguments = ["roundtrip", str(kick), "--out", str(tmp_path / "back.wav"), "--force", "--json"]
    assert run([*arguments, "--pack", str(definition)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["chosen_by"] == "pack snare"
    assert document["representation"]["bands"] == 64
    assert document["representation"]["length_samples"] == 13_230
    assert run([*arguments, "--model", "kick"]) == 0
    assert json.loads(capsys.readouterr().out)["chosen_by"] == "model kick"


@pytest.mark.parametrize("channels", [1, 2])
def test_stereo_stays_stereo_and_mono_mono(channels, tmp_path, capsys):
    path = corpus.write(tmp_path / "snare.wav", corpus.drum(channels=channels), subtype="PCM_24")
    assert run(["roundtrip", str(path), "--out", str(tmp_path / "back.wav")]) == 0
    back, _ = soundfile.read(tmp_path / "back.wav")
    assert np.array_equal(back[:, 0], back[:, 1]) == (channels == 1)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["absent.wav", "--out", "o.wav"], 3, "no such file"),
        (["sounds", "--out", "o.wav"], 3, "is a folder"),
        (["sounds/a.wav"], 2, "--out"),
        (["sounds/a.wav", "--out", "o.wav"], 2, "neither this file's name nor its folder's"),
        (["sounds/a.wav", "--out", "o.mp3", "--category", "kick"], 2, "WAV or FLAC"),
        (["sounds/a.wav", "--out", "folder.wav", "--category", "kick", "--force"], 2, "is a folder"),
        (["sounds/a.wav", "--out", "sounds/a.wav", "--category", "kick", "--force"], 2, "never touched"),
        (["sounds/a.wav", "--out", "o.wav", "--category", "kik"], 2, "did you mean 'kick'"),
        (["sounds/a.wav", "--out", "o.wav", "--model", "kik"], 2, "did you mean 'kick'"),
        (["sounds/a.wav", "--out", "o.wav", "--pack", "absent"], 2, "cannot read the pack definition"),
        (
            ["sounds/a.wav", "--out", "o.wav", "--category", "kick", "--image", "drft"],
            2,
            "did you mean 'draft'",
        ),
        (
            ["sounds/a.wav", "--out", "o.wav", "--category", "kick", "--model", "kick"],
            2,
            "exclude each other",
        ),
        (["sounds/a.wav", "--out", "o.wav", "--image", "draft", "--model", "kick"], 2, "exclude each other"),
        (["sounds/a.wav", "--out", "o.wav", "--category", "kick", "--seed", "-1"], 2, "--seed"),
        (["sounds/silent.wav", "--out", "o.wav", "--category", "kick"], 3, "silent"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else None,
)
def test_roundtrip_refuses(arguments, code, words, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder.parent)
    corpus.make_bad(folder, "silent.wav")
    Path("folder.wav").mkdir()
    before = (folder / "a.wav").read_bytes()
    assert run(["roundtrip", *arguments]) == code
    told = capsys.readouterr()
    assert told.out == "" and words in told.err and told.err.count("error:") == 1
    assert not Path("o.wav").exists() and (folder / "a.wav").read_bytes() == before


def test_every_known_method_has_its_own_name():
    assert len(set(known_methods())) == len(known_methods())
    assert "draft" not in known_methods()
