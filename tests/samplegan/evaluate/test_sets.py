"""Sets: what is read, what is rendered, and what is drawn of them."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from samplegan.audio import ONSET_SAMPLE
from samplegan.dataset import training_sound
from samplegan.errors import ConfigError, InputError
from samplegan.evaluate.sets import (
    Sounds,
    at_most,
    heard,
    model_sounds,
    read_folder,
    require_disjoint,
    told_category,
)
from samplegan.render import random_generator

sys.path.insert(0, str(Path(__file__).parents[1]))
import corpus
import fakes

LENGTH = 11_025


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """24 sounds of different lengths and levels, late by up to 23 ms."""
    for seed in range(24):
        late = np.zeros((1, 44 * seed), np.float32)
        audio = (0.9 - 0.03 * seed) * corpus.drum(0.1 + 0.01 * seed, seed=seed)
        corpus.write(tmp_path / f"{seed:02}.wav", np.concatenate([late, audio], axis=1), subtype="PCM_24")
    return tmp_path


def counted(count: int, name: str = "") -> Sounds:
    return Sounds(name, tuple(range(count)))  # type: ignore[arg-type]


def test_sounds_of_a_folder_are_as_they_are_learned(folder: Path):
    sounds = read_folder(folder, "kicks", LENGTH)
    assert (sounds.name, len(sounds), sounds.skipped) == ("kicks", 24, ())
    assert [path.name for path in sounds.files] == [f"{seed:02}.wav" for seed in range(24)]
    for sound in sounds:
        assert sound.shape == (2, LENGTH) and sound.dtype == np.float32
        assert np.abs(sound).max() == pytest.approx(1.0)
        assert np.abs(sound[:, :ONSET_SAMPLE]).max() <= 0.01
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(sounds))[3], sounds[3])


def test_what_cannot_be_read_is_skipped_and_counted(folder: Path):
    for name in ("silent.wav", "text.wav", "nan.wav"):
        corpus.make_bad(folder, name)
    sounds = read_folder(folder, "kicks", LENGTH)
    assert len(sounds) == 24
    assert sorted(entry.path.name for entry in sounds.skipped) == ["nan.wav", "silent.wav", "text.wav"]
    (folder / "00.wav").unlink()
    with pytest.raises(InputError, match=r"23 sounds .* at least 24; 3 cannot"):
        read_folder(folder, "kicks", LENGTH)


def test_a_folder_without_sounds_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="0 sounds"):
        read_folder(tmp_path, "none", LENGTH)
    with pytest.raises(InputError, match="folder"):
        read_folder(tmp_path / "absent", "none", LENGTH)


def test_a_models_sounds_are_renders_first_attempts():
    model = fakes.FakeModel()
    sounds = model_sounds(model, 4, 7, LENGTH)
    for index in range(4):
        random = random_generator(7, index + 1, 0)
        phase_seed = int(random.integers(2**62))
        latent = random.standard_normal(model.latent_dim).astype(np.float32)
        audio = model.representation.synthesise(model.images(latent[None])[0], seed=phase_seed)
        np.testing.assert_array_equal(sounds[index], training_sound(audio, 1.0, LENGTH))


def test_a_models_sounds_depend_on_their_number_and_the_seed_alone():
    model = fakes.FakeModel()
    few, many = (model_sounds(model, count, 7, LENGTH) for count in (2, 6))
    np.testing.assert_array_equal(few[1], many[1])
    assert not np.array_equal(few[1], few[0])
    assert not np.array_equal(model_sounds(model, 1, 8, LENGTH)[0], few[0])


def test_a_models_truncation_is_kept():
    calm = fakes.FakeModel(card={"truncation": 0.1})
    assert not np.array_equal(
        model_sounds(calm, 1, 7, LENGTH)[0], model_sounds(fakes.FakeModel(), 1, 7, LENGTH)[0]
    )


def test_an_image_that_is_no_number_is_silence():
    image = np.full((2, 4, 8), np.nan, np.float32)
    sound = heard(fakes.FakeRepresentation(), image, 0, LENGTH)
    assert sound.shape == (2, LENGTH) and not sound.any()


def test_a_set_is_drawn_from_all_of_it_in_its_order():
    drawn = at_most(counted(400), 40, 1).makers
    assert len(drawn) == 40 and list(drawn) == sorted(set(drawn))
    assert min(drawn) < 100 and max(drawn) > 300
    assert at_most(counted(40), 400, 1).makers == at_most(counted(40), 40, 1).makers == tuple(range(40))


def test_what_is_drawn_follows_from_the_seed():
    first, again, other = (at_most(counted(90), 30, seed).makers for seed in (1, 1, 2))
    assert first == again != other


def test_a_sound_in_both_sets_is_found_by_its_content(folder: Path, tmp_path_factory: pytest.TempPathFactory):
    other = tmp_path_factory.mktemp("other")
    for seed in range(24):
        corpus.write(other / f"{seed}.wav", corpus.drum(seed=100 + seed))
    train, test = read_folder(folder, "", LENGTH), read_folder(other, "", LENGTH)
    require_disjoint(train, test)
    (other / "3.wav").write_bytes((folder / "05.wav").read_bytes())
    with pytest.raises(ConfigError, match="1 of 24 sounds of --against"):
        require_disjoint(train, read_folder(other, "", LENGTH))
    with pytest.raises(ConfigError, match="24 of 24"):
        require_disjoint(train, train)


@pytest.mark.parametrize(
    ("place", "category"),
    [("Kicks", "kick"), ("closed_hats/test", "hat_closed"), ("drums", None), ("Kick and Snare", None)],
)
def test_a_category_is_told_by_names(tmp_path: Path, place: str, category: str | None):
    folder = tmp_path / "pack" / place
    folder.mkdir(parents=True)
    assert told_category(folder) == category


def test_a_manifest_tells_the_category_before_names_do(tmp_path: Path):
    folder = tmp_path / "kicks" / "test"
    folder.mkdir(parents=True)
    manifest = folder.parent / "MANIFEST.csv"
    manifest.write_text("path,category\ntest/a.wav,tom\ntest/b.wav,tom\ntrain/c.wav,snare\n")
    assert told_category(folder) == "tom"
    manifest.write_text("path,category\ntest/a.wav,tom\ntest/b.wav,snare\n")
    assert told_category(folder) == "kick"
