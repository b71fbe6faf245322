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

SIZES = {"bands": 32, "frames": 16, "linear_bins": 8, "dense_frames": 4}
KINDS = {
    "body-gan": (
        Training(generator_width=4, encoder_width=4, code_dim=8),
        representation_for(ImageSettings(partials=1, **SIZES), 0.2),
    ),
    "stereo-dcgan": (
        Training(architecture="stereo-dcgan", generator_width=4, latent_dim=8),
        representation_for(ImageSettings(name="compact", **SIZES), 0.2),
    ),
}
every_architecture = pytest.mark.parametrize("architecture", KINDS)


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMPLEGAN_HOME", str(tmp_path))


def generator_of(architecture="body-gan"):
    torch.manual_seed(0)
    generator = build_generator(*KINDS[architecture])
    if architecture == "body-gan":
        generator.know(torch.randn(7, 8), residuals=0.1 * torch.randn(7, 32, 16), components=3)
    return generator.eval()


def saved(path, name="mine", architecture="body-gan", **changes):
    training, representation = KINDS[architecture]
    card = {
        "name": name,
        "category": "kick",
        "representation": representation.to_document(),
        "training": config.to_document(training),
    }
    store.save_model(path, generator_of(architecture), card | changes)
    return path


def latents_for(model, count):
    return np.random.default_rng(0).normal(size=(count, model.latent_dim)).astype(np.float32)


@every_architecture
def test_a_model_is_found_by_name_and_by_path(tmp_path, architecture):
    path = saved(tmp_path / "models" / "mine.safetensors", architecture=architecture)
    by_name, by_path = store.load_model("mine"), store.load_model(str(path))
    assert by_name.sha256 == by_path.sha256
    assert by_name.architecture == architecture
    assert by_name.representation == KINDS[architecture][1]
    latents = latents_for(by_name, 2)
    np.testing.assert_array_equal(by_name.images(latents), by_path.images(latents))


@every_architecture
def test_truncation_draws_every_sound_to_one_centre(tmp_path, architecture):
    model = store.load_model(str(saved(tmp_path / "mine.safetensors", architecture=architecture)))
    latents = latents_for(model, 2)
    codes = model.codes(latents, truncation=0.0)
    if architecture == "body-gan":
        centre = np.pad(model.generator.anchors.mean(dim=0, keepdim=True).numpy(), ((0, 0), (0, 3)))
    else:
        centre = np.zeros((1, model.latent_dim), dtype=np.float32)
    np.testing.assert_allclose(codes, np.repeat(centre, 2, axis=0), atol=1e-6)
    np.testing.assert_allclose(model.images(latents[:1], truncation=0.0), model.decode(centre), atol=1e-5)
    halfway = (
        model.codes(latents) + codes
    ) / 2  # of the places; what lies around them has residuals of its own
    np.testing.assert_allclose(model.codes(latents, truncation=0.5)[:, :8], halfway[:, :8], atol=1e-5)


@every_architecture
def test_an_image_is_a_decoded_code(tmp_path, architecture):
    model = store.load_model(str(saved(tmp_path / "mine.safetensors", architecture=architecture)))
    latents = latents_for(model, 1)
    codes = model.codes(latents, truncation=0.8)
    assert codes.shape == (1, 11 if architecture == "body-gan" else 8) and codes.dtype == np.float32
    images = model.decode(codes)
    assert images.dtype == np.float32
    np.testing.assert_array_equal(model.images(latents, truncation=0.8), images)
    # A code can be moved: that is another sound.
    assert np.abs(model.decode(codes + np.float32(0.5)) - images).max() > 1e-3


@every_architecture
def test_weights_are_kept_as_16_bit_numbers_and_drawn_with_as_32(tmp_path, architecture):
    import safetensors.torch

    path = saved(tmp_path / "mine.safetensors", architecture=architecture)
    kept = safetensors.torch.load_file(path)
    assert all(tensor.dtype == torch.float16 for tensor in kept.values() if tensor.is_floating_point())
    model = store.load_model(str(path))
    exact = generator_of(architecture)
    for name, tensor in model.generator.state_dict().items():
        wanted = exact.state_dict()[name]
        assert tensor.dtype == wanted.dtype
        if name.startswith(("encoder.", "residual_basis")) and tensor.ndim > 1:
            largest = wanted.flatten(1).abs().amax(dim=1, keepdim=True)
            assert bool(((tensor - wanted).flatten(1).abs() <= 0.51 * largest / 127).all())
            assert kept[name].dtype == torch.int8
        else:
            torch.testing.assert_close(tensor, wanted, rtol=1e-3, atol=1e-6)
    latents = latents_for(model, 3)
    with torch.no_grad():
        wanted = exact.decode(exact.codes(torch.from_numpy(latents))).numpy()
    if architecture == "body-gan":
        np.testing.assert_allclose(model.images(latents), wanted, atol=0.02)  # half a decibel
    else:  # its texture follows from the latent's bytes
        np.testing.assert_allclose(model.images(latents), wanted, atol=0.05)


def test_an_encoder_in_8_bits_finds_the_same_codes_and_is_kept_as_it_is(tmp_path):
    path = saved(tmp_path / "mine.safetensors", architecture="body-gan")
    model, exact = store.load_model(str(path)), generator_of("body-gan")
    images = torch.from_numpy(model.images(latents_for(model, 8)))
    with torch.no_grad():
        found, wanted = model.generator.encode(images)[0], exact.encode(images)[0]
    assert (found - wanted).square().mean() < 1e-3 * wanted.square().mean()
    again = tmp_path / "again.safetensors"
    store.save_model(again, model.generator, model.card)
    assert again.stat().st_size == path.stat().st_size
    for name, tensor in store.load_model(str(again)).generator.state_dict().items():
        assert torch.equal(tensor, model.generator.state_dict()[name])


@every_architecture
def test_the_same_model_gives_the_same_bytes(tmp_path, architecture):
    first, second = (saved(tmp_path / f"{name}.safetensors", architecture=architecture) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_an_architecture_and_an_image_that_do_not_fit_are_refused(tmp_path):
    other = KINDS["stereo-dcgan"][1].to_document()
    with pytest.raises(InputError, match="damaged"):
        store.load_model(str(saved(tmp_path / "x.safetensors", representation=other)))


def test_settings_of_an_earlier_version_are_no_damage(tmp_path):
    training = config.to_document(KINDS["body-gan"][0]) | {"gone_since": 3}
    model = store.load_model(str(saved(tmp_path / "x.safetensors", training=training)))
    assert model.generator.code_dim == 8


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


@every_architecture
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
def test_a_damaged_model_is_refused_in_words(tmp_path, damage, architecture):
    path = saved(tmp_path / "models" / "mine.safetensors", architecture=architecture)
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
        assert model.directions is not None  # without it no control works
        assert model.fingerprints is not None  # nor a gate
        assert len(model.fingerprints.values) > 1000
        assert 1.0 <= model.fingerprints.most_swell_db < 6.0
        assert model.fingerprints.copy_distance < model.fingerprints.strange_distance < 0.6


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
