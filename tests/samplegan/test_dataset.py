"""Sources to images: aligned, cached, split by kit, with every skipped file counted."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplegan import synth
from samplegan.audio import wav_bytes
from samplegan.config import ImageSettings, Pack, Source
from samplegan.dataset import PANNED, Sound, licences_of, mono_safe, prepare, split_by_kit, training_sound
from samplegan.errors import ConfigError, InputError
from samplegan.representation import representation_for

SMALL = ImageSettings(bands=32, frames=16, linear_bins=8, dense_frames=4, partials=1)
REPRESENTATION = representation_for(SMALL, 0.2)


def folder_of_kicks(folder, count, first=0):
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(first, first + count):
        (folder / f"kick_{index}.wav").write_bytes(wav_bytes(synth.synthesise("kick", 3, index)))
    return folder


def pack_of(*sources, **other):
    return Pack(category="kick", sources=sources, image=SMALL, **other)


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=40),
    share=st.floats(0.05, 0.5),
    seed=st.integers(0, 99),
)
def test_kits_are_never_torn_apart(sizes, share, seed):
    kits = [f"kit{number}" for number, size in enumerate(sizes) for _ in range(size)]
    if len(kits) < 2:
        return
    training, validation = split_by_kit(kits, share, seed)
    assert sorted([*training, *validation]) == list(range(len(kits)))
    assert len(validation)
    assert len(training)
    if len(sizes) > 1:
        assert not {kits[i] for i in training} & {kits[i] for i in validation}


def test_a_fifth_is_held_out_where_kits_are_small():
    kits = [f"kit{number // 5}" for number in range(500)]
    _, validation = split_by_kit(kits, 0.2, 0)
    assert 0.15 <= len(validation) / len(kits) <= 0.3


def test_a_synthesised_set_is_cached_and_repeatable(tmp_path):
    pack = pack_of(Source(synth="kick", count=30), speeds=(1.0, 1.1))
    first = prepare(pack, tmp_path, REPRESENTATION, tmp_path / "a")
    again = prepare(pack, tmp_path, REPRESENTATION, tmp_path / "b")
    assert first.images.shape == (30, 2, 2, 33, 16)
    assert np.array_equal(first.images, again.images)
    assert not np.array_equal(first.images[:, 0], first.images[:, 1])  # the speeds differ
    stamp = (tmp_path / "a" / "images.npy").stat().st_mtime_ns
    prepare(pack, tmp_path, REPRESENTATION, tmp_path / "a")
    assert (tmp_path / "a" / "images.npy").stat().st_mtime_ns == stamp
    other = prepare(pack_of(Source(synth="kick", count=31)), tmp_path, REPRESENTATION, tmp_path / "a")
    assert len(other.images) == 31


@pytest.mark.skipif(
    not Path("/proc/self/smaps").exists(), reason="only Linux tells what of a file is in memory"
)
def test_images_that_were_read_stay_no_part_of_the_process(tmp_path):
    data = prepare(pack_of(Source(synth="kick", count=30)), tmp_path, REPRESENTATION, tmp_path / "cache")

    def resident():
        mappings = Path("/proc/self/smaps").read_text().split("VmFlags:")
        mapped = next(part for part in mappings if str(tmp_path / "cache" / "images.npy") in part)
        return int(mapped.split("Rss:")[1].split()[0])

    assert resident() == 0
    data.images[data.training].sum()
    assert resident() > 0
    data.batch(data.training, np.zeros(len(data.training), dtype=np.int64))
    assert resident() == 0


@pytest.mark.parametrize("name", ["body", "compact", "draft"])
def test_images_are_those_of_the_representation(tmp_path, name):
    settings = ImageSettings(name=name, bands=64, frames=96, linear_bins=8, dense_frames=4)
    representation = representation_for(settings, 0.1 if name == "draft" else 0.3)
    pack = pack_of(Source(synth="kick", count=24), speeds=(1.0, 0.9))
    data = prepare(pack, tmp_path, representation, tmp_path / "cache")
    assert data.images.shape == (24, 2, 2, representation.rows, 96)
    for variation, speed in enumerate((1.0, 0.9)):
        sound = training_sound(synth.synthesise("kick", 0, 7), speed, representation.length_samples)
        batch = data.batch(np.array([7]), np.array([variation]))
        assert batch.dtype == np.float32
        np.testing.assert_array_equal(batch[0], representation.analyse(sound).astype(np.float16))


@pytest.mark.parametrize("bytes_left", [0, 100, 1000])
def test_a_cache_that_was_cut_short_is_made_again(tmp_path, bytes_left):
    pack = pack_of(Source(synth="kick", count=24))
    first = np.array(prepare(pack, tmp_path, REPRESENTATION, tmp_path).images)
    file = tmp_path / "images.npy"
    file.write_bytes(file.read_bytes()[:bytes_left])
    assert np.array_equal(prepare(pack, tmp_path, REPRESENTATION, tmp_path).images, first)


def test_sounds_with_damaged_images_are_found(tmp_path):
    pack = pack_of(Source(synth="kick", count=24), speeds=(1.0, 1.1))
    assert prepare(pack, tmp_path, REPRESENTATION, tmp_path).damaged() == []
    images = np.load(tmp_path / "images.npy", mmap_mode="r+")
    images[3, 1, 0, 5, 5], images[20, 0, 1, 0, 0] = np.nan, np.inf
    images.flush()
    assert prepare(pack, tmp_path, REPRESENTATION, tmp_path).damaged() == [3, 20]


def test_another_image_is_another_set(tmp_path):
    pack = pack_of(Source(synth="kick", count=24))
    one = prepare(pack, tmp_path, REPRESENTATION, tmp_path / "a")
    without = representation_for(dataclasses.replace(SMALL, partials=0), 0.2)
    other = prepare(pack, tmp_path, without, tmp_path / "a")
    assert one.fingerprint != other.fingerprint
    assert other.images.shape[3] == 32


def test_bad_files_are_skipped_counted_and_left_alone(tmp_path):
    folder = folder_of_kicks(tmp_path / "kicks", 25)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("not audio")
    (folder / "twin.wav").write_bytes((folder / "kick_0.wav").read_bytes())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    data = prepare(pack_of(Source(folder=str(folder))), tmp_path, REPRESENTATION, tmp_path / "cache")
    assert len(data.images) == 25
    assert sorted(file.rsplit("/", 1)[-1] for file, _ in data.skipped) == [
        "empty.wav",
        "text.wav",
        "twin.wav",
    ]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_too_few_sounds_says_how_many_and_why(tmp_path):
    folder = folder_of_kicks(tmp_path / "kicks", 3)
    (folder / "text.wav").write_text("not audio")
    with pytest.raises(InputError, match="only 3 usable sounds") as caught:
        prepare(pack_of(Source(folder=str(folder))), tmp_path, REPRESENTATION, tmp_path / "cache")
    assert "1 were skipped" in str(caught.value)


def test_one_sound_is_too_few_to_judge_by(tmp_path):
    folder_of_kicks(tmp_path / "kicks" / "large", 26)
    kit = folder_of_kicks(tmp_path / "kicks" / "small", 1)
    pack = pack_of(Source(folder="kicks"))
    (kit / "kick_0.wav").write_bytes(wav_bytes(synth.synthesise("kick", 4, 0)))
    with pytest.raises(InputError, match="only 1 sound can be held out"):
        prepare(pack, tmp_path, REPRESENTATION, tmp_path / "cache")
    (kit / "kick_1.wav").write_bytes(wav_bytes(synth.synthesise("kick", 4, 1)))
    assert len(prepare(pack, tmp_path, REPRESENTATION, tmp_path / "cache").validation) == 2


def test_a_missing_or_empty_folder_is_named(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        prepare(pack_of(Source(folder="nowhere")), tmp_path, REPRESENTATION, tmp_path / "cache")
    (tmp_path / "void").mkdir()
    with pytest.raises(InputError, match="no audio files"):
        prepare(pack_of(Source(folder="void")), tmp_path, REPRESENTATION, tmp_path / "cache")


def test_subfolders_are_kits_and_a_manifest_overrules(tmp_path):
    for number, kit in enumerate("abcdef"):
        folder_of_kicks(tmp_path / "kicks" / kit, 5, first=5 * number)
    pack = pack_of(Source(folder=str(tmp_path / "kicks")))
    data = prepare(pack, tmp_path, REPRESENTATION, tmp_path / "cache")
    assert data.card["kits"] == 6
    assert len(data.validation) in (5, 10)
    rows = [f"{path.relative_to(tmp_path / 'kicks')},one,cc0" for path in (tmp_path / "kicks").rglob("*.wav")]
    (tmp_path / "kicks" / "MANIFEST.csv").write_text("path,kit,licence\n" + "\n".join(rows) + "\n")
    data = prepare(pack, tmp_path, REPRESENTATION, tmp_path / "cache")
    assert data.card["kits"] == 1
    assert data.card["licences"] == {"cc0": 30}


def test_a_link_that_leads_back_to_itself_is_skipped(tmp_path):
    folder = folder_of_kicks(tmp_path / "kicks", 30)
    (folder / "loop.wav").symlink_to(folder / "loop.wav")
    data = prepare(pack_of(Source(folder=str(folder))), tmp_path, REPRESENTATION, tmp_path / "cache")
    assert data.skipped == ((str(folder / "loop.wav"), "a symbolic link that leads back to itself"),)


def test_sounds_that_are_nearly_the_same_are_refused(tmp_path):
    sound = synth.synthesise("kick", 3, 0)
    random = np.random.default_rng(0)
    for index in range(30):
        nearly = sound * (1.0 - 0.01 * index) + 1e-5 * random.standard_normal(sound.shape)
        (tmp_path / f"kick_{index}.wav").write_bytes(wav_bytes(nearly.astype(np.float32)))
    with pytest.raises(InputError, match="only 1 of 30 sounds differ"):
        prepare(pack_of(Source(folder=str(tmp_path))), tmp_path, REPRESENTATION, tmp_path / "cache")


def test_sounds_that_differ_in_nothing_but_their_body_are_taken(tmp_path):
    seconds = np.arange(9000) / 44_100
    for index in range(30):
        sine = 0.5 * np.sin(2 * np.pi * (50 + 3 * index) * seconds) * np.exp(-25 * seconds)
        (tmp_path / f"sine_{index}.wav").write_bytes(wav_bytes(np.stack([sine, sine]).astype(np.float32)))
    data = prepare(pack_of(Source(folder=str(tmp_path))), tmp_path, REPRESENTATION, tmp_path / "cache")
    assert len(data.sounds) == 30


def test_only_the_licences_asked_for_are_taken_and_seen_as_often_as_asked(tmp_path):
    folder = folder_of_kicks(tmp_path / "kicks", 36)
    rows = [f"kick_{index}.wav,kit{index},{'cc0' if index < 30 else 'unknown'}" for index in range(36)]
    (folder / "MANIFEST.csv").write_text("\n".join(["path,kit,licence", *rows]))
    source = Source(folder=str(folder), only_licences=("cc0",), repeat=3)
    data = prepare(pack_of(source), tmp_path, REPRESENTATION, tmp_path / "cache")
    assert data.card["licences"] == {"cc0": 30}
    assert len(data.training) == 3 * len(np.unique(data.training))
    assert set(licences_of(folder).values()) == {"cc0", "unknown"}


def test_a_source_that_none_are_held_out_of_is_learned_from_as_a_whole_and_judges_nothing(tmp_path):
    folder = folder_of_kicks(tmp_path / "kicks", 30)
    mine, theirs = Source(folder=str(folder)), Source(synth="kick", count=40, hold_out=False)
    both = prepare(pack_of(mine, theirs), tmp_path, REPRESENTATION, tmp_path / "both")
    assert {both.sounds[index].licence for index in both.validation} == {"unknown"}
    assert sum(both.sounds[index].licence == "synthesised" for index in both.training) == 40
    alone = prepare(pack_of(mine), tmp_path, REPRESENTATION, tmp_path / "alone")
    held_out = [{data.sounds[index].name for index in data.validation} for data in (both, alone)]
    assert held_out[0] == held_out[1]


def test_synthesised_sounds_do_not_make_up_for_a_folder_of_too_few(tmp_path):
    folder = folder_of_kicks(tmp_path / "kicks", 12)
    sources = Source(folder=str(folder)), Source(synth="kick", count=40, hold_out=False)
    with pytest.raises(InputError, match="only 12 usable sounds"):
        prepare(pack_of(*sources), tmp_path, REPRESENTATION, tmp_path / "cache")


# --- what a fold-down to mono leaves


def noises(*gains_db, seed=0):
    """Independent channels of such levels."""
    random = np.random.default_rng(seed)
    return np.stack([10 ** (gain / 20) * random.standard_normal(8_000) for gain in gains_db]).astype(
        np.float32
    )


def mono_loss_db(audio):
    """What the sum of both channels loses against their energy: 0 for equal channels, 3 for strangers."""
    energy = np.sum(np.square(audio, dtype=np.float64))
    return 10 * np.log10(energy / (2.0 * np.sum(np.square(audio.mean(axis=0), dtype=np.float64)) + 1e-30))


def test_ordinary_sounds_are_left_as_they_are():
    mono = np.repeat(noises(0.0), 2, axis=0)
    side = noises(-6.0, seed=1)
    for audio in (
        mono,
        np.concatenate([mono[:1] + side, mono[:1] - side]),
        mono * np.float32([[1.0], [0.4]]),  # panned by 8 dB
        np.zeros((2, 100), dtype=np.float32),
        *(synth.synthesise(name, 0, 1) for name in ("kick", "snare", "cymbal")),
    ):
        np.testing.assert_array_equal(mono_safe(audio), audio)


def test_a_sound_against_the_phase_is_turned():
    mono, side = noises(0.0)[0], 0.3 * noises(0.0, seed=1)[0]
    audio = np.stack([mono + side, -mono + side])
    assert mono_loss_db(audio) > 9.0
    safe = mono_safe(audio)
    np.testing.assert_array_equal(safe, [mono + side, mono - side])
    assert mono_loss_db(safe) < 1.0
    np.testing.assert_array_equal(mono_safe(safe), safe)  # once is enough


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_sound_at_one_side_stands_in_the_middle(side, sign):
    loud = noises(0.0)[0]
    for quiet_db in (-10.1, -40.0, -np.inf):
        audio = np.stack([loud, loud])
        audio[1 - side] *= np.float32(sign * 10 ** (quiet_db / 20))
        np.testing.assert_array_equal(mono_safe(audio), [loud, loud])
    within = np.stack([loud, loud])
    within[1 - side] *= np.float32(1.01 / np.sqrt(PANNED))
    np.testing.assert_array_equal(mono_safe(within), within)


@given(
    gains_db=st.tuples(st.floats(-60.0, 0.0), st.floats(-60.0, 0.0)),
    correlation=st.floats(-1.0, 1.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_sound_loses_more_in_mono_than_strangers_do(gains_db, correlation, seed):
    left, other = noises(0.0, 0.0, seed=seed)
    right = correlation * left + np.sqrt(1.0 - correlation**2) * other
    audio = np.stack([left, right]) * np.float32(10 ** (np.array(gains_db) / 20))[:, np.newaxis]
    assert mono_loss_db(mono_safe(audio.astype(np.float32))) < 3.02


def test_what_is_learned_is_mono_safe():
    kick = synth.synthesise("kick", 0, 3)
    length = kick.shape[1]
    wanted = training_sound(kick, 1.0, length)
    np.testing.assert_array_equal(training_sound(kick * np.float32([[1.0], [-1.0]]), 1.0, length), wanted)
    aside = training_sound(kick * np.float32([[1.0], [0.0]]), 1.0, length)
    np.testing.assert_array_equal(aside[0], aside[1])
    assert np.abs(aside).max() == 1.0


def test_a_draw_is_another_sound_where_the_ranges_are_others(monkeypatch):
    sound = Sound("kick_0_3", "kick_0_3", "synthesised", draw=("kick", 0, 3))
    before = sound.identity
    assert before == Sound("other", "kit", "synthesised", draw=("kick", 0, 3)).identity
    styles = {
        name: dataclasses.replace(
            style,
            ranges=tuple(dataclasses.replace(entry, high=entry.high * 1.01) for entry in style.ranges),
        )
        for name, style in synth.styles("kick").items()
    }
    monkeypatch.setattr(synth, "styles", lambda category: styles)
    assert sound.identity != before
