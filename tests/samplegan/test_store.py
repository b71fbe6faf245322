"""Models: found by name or path, written deterministically, refused when damaged."""

import json
import struct

import numpy as np
import pytest
import torch

from samplegan import config, store
from samplegan.config import ImageSettings, Training
from samplegan.errors import ConfigError, InputError
from samplegan.gan import build_generator
from samplegan.representation import representation_for

TRAINING = Training(generator_width=4, latent_dim=8)
REPRESENTATION = representation_for(ImageSettings(bands=32, frames=16, linear_bins=8, dense_frames=4), 0.2)


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMPLEGAN_HOME", str(tmp_path))


def saved(path, name="mine", **changes):
    torch.manual_seed(0)
    card = {
        "name": name,
        "category": "kick",
        "representation": REPRESENTATION.to_document(),
        "training": config.to_document(TRAINING),
    }
    store.save_model(path, build_generator(TRAINING, 32, 16), card | changes)
    return path


def test_a_model_is_found_by_name_and_by_path(tmp_path):
    path = saved(tmp_path / "models" / "mine.safetensors")
    by_name, by_path = store.load_model("mine"), store.load_model(str(path))
    assert by_name.sha256 == by_path.sha256
    assert by_name.representation == REPRESENTATION
    latents = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)
    np.testing.assert_array_equal(by_name.images(latents), by_path.images(latents))
    centre = by_name.images(np.zeros((1, 8), dtype=np.float32))
    np.testing.assert_allclose(by_name.images(latents[:1], truncation=0.0), centre, atol=1e-6)


def test_the_same_model_gives_the_same_bytes(tmp_path):
    assert saved(tmp_path / "a.safetensors").read_bytes() == saved(tmp_path / "b.safetensors").read_bytes()


def test_a_users_model_hides_a_bundled_one(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "BUNDLED_FOLDER", tmp_path / "bundled")
    saved(tmp_path / "bundled" / "kick.safetensors")
    assert [m.bundled for m in store.list_models()] == [True]
    saved(tmp_path / "models" / "kick.safetensors")
    assert [m.bundled for m in store.list_models()] == [False]
    assert store.find_model("kick").parent == tmp_path / "models"


def test_an_unknown_name_names_the_nearest(tmp_path):
    saved(tmp_path / "models" / "vinyl.safetensors")
    with pytest.raises(ConfigError, match="did you mean 'vinyl'"):
        store.load_model("vynil")
    with pytest.raises(ConfigError, match="no such model file"):
        store.load_model("./vinyl.safetensors")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:100],
        lambda data: data[:-100],
        lambda data: b"\xff" * 8 + data[8:],
        lambda data: b"not a model at all, only text",
        lambda data: data.replace(b'"category', b'"kategory'),
        lambda data: data.replace(b'format_version\\": 1', b'format_version\\": 9'),
        lambda data: data.replace(b'generator_width\\": 4', b'generator_width\\": 5'),
    ],
)
def test_a_damaged_model_is_refused_in_words(tmp_path, damage):
    path = saved(tmp_path / "models" / "mine.safetensors")
    before = path.read_bytes()
    path.write_bytes(damage(before))
    assert path.read_bytes() != before
    with pytest.raises(InputError) as caught:
        store.load_model("mine")
    assert "mine.safetensors" in str(caught.value)


def test_a_wrong_category_inside_is_refused(tmp_path):
    with pytest.raises(InputError, match="damaged"):
        store.load_model(str(saved(tmp_path / "x.safetensors", category="drumkit")))


@pytest.mark.parametrize("name", ["", "a/b", "..", "ä", "x" * 65, "a b", "-x"])
def test_names_that_could_not_be_files_are_refused(name):
    with pytest.raises(ConfigError):
        store.check_model_name(name)


def test_bundled_models_load_and_draw():
    bundled = [model for model in store.list_models() if model.bundled]
    assert {"kick", "snare", "hat_closed"} <= {info.name for info in bundled}
    for info in bundled:
        model = store.load_model(str(info.path))
        assert model.category == info.card["category"]
        assert set(model.card["data"]["licences"]) <= {"synthesised", "cc0", "public-domain"}
        image = model.images(np.zeros((1, model.latent_dim), dtype=np.float32))
        assert np.isfinite(image).all()


def raw(path, header):
    header = header.encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    return path


@pytest.mark.parametrize(
    "card",
    [
        "[1, 2]",
        "[" * 100_000,
        '{"format_version": 1}',
        '{"format_version": 1, "name": "x", "category": ["kick"], "representation": {}}',
        '{"format_version": 1, "name": "x", "category": "kick", "representation": {"length_samples": "a"}}',
    ],
    ids=["list", "deep", "bare", "category", "representation"],
)
def test_a_hostile_card_is_refused_in_words_and_breaks_no_list(tmp_path, card):
    good = saved(tmp_path / "models" / "mine.safetensors")
    path = raw(tmp_path / "models" / "a.safetensors", json.dumps({"__metadata__": {"samplegan": card}}))
    raw(tmp_path / "models" / "b.safetensors", "[" * 100_000)
    assert good in [model.path for model in store.list_models()]
    assert path not in [model.path for model in store.list_models()]
    with pytest.raises(InputError, match=r"samplegan model|cannot use"):
        store.load_model("a")


def test_a_card_is_always_json(tmp_path):
    path = saved(tmp_path / "x.safetensors", metrics={"held_out_mmd": float("nan")})
    assert store.read_card(path)["metrics"] == {"held_out_mmd": None}
