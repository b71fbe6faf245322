"""What a training begins with: a folder of one category, the weights of a model."""

import numpy as np
import pytest

from samplegan import store
from samplegan.config import ImageSettings, Training
from samplegan.errors import ConfigError
from samplegan.gan import build_generator
from samplegan.representation import representation_for
from samplegan.start import guess_category, resolve_pack, starting_model

IMAGE = ImageSettings(bands=32, frames=16, linear_bins=4, dense_frames=4, partials=1)
REPRESENTATION = representation_for(IMAGE, 0.2)
TRAINING = Training(generator_width=2, encoder_width=4, code_dim=8)


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """A model named 'mine', and a bundled one for kicks, of the same shape."""
    monkeypatch.setenv("SAMPLEGAN_HOME", str(tmp_path))
    monkeypatch.setattr(store, "BUNDLED_FOLDER", tmp_path / "bundled")
    card = {
        "category": "kick",
        "representation": REPRESENTATION.to_document(),
        "training": TRAINING.__dict__,
    }
    generator = build_generator(TRAINING, REPRESENTATION)
    for name, folder in (("mine", store.models_folder()), ("kick", store.BUNDLED_FOLDER)):
        folder.mkdir(parents=True)
        store.save_model(folder / f"{name}.safetensors", generator, card | {"name": name})
    return generator


def asking_for(name: str) -> Training:
    return Training(generator_width=2, encoder_width=4, code_dim=8, start_from=name)


@pytest.mark.parametrize("name", ["bundled", "mine", "kick"])
def test_a_model_of_the_same_shape_is_the_start(saved, name):
    model = starting_model(asking_for(name), "kick", REPRESENTATION)
    assert model is not None
    weights = dict(model.generator.named_parameters())
    for key, weight in saved.named_parameters():
        # An encoder's matrices are kept in 8 bits.
        np.testing.assert_allclose(
            weights[key], weight.detach(), atol=1e-3 + 0.5 * weight.abs().max().item() / 127
        )


def test_nothing_is_nothing(saved):
    assert starting_model(asking_for("nothing"), "kick", REPRESENTATION) is None


def test_a_bundled_model_that_draws_otherwise_is_left_out_and_one_asked_for_refused(saved):
    longer = representation_for(IMAGE, 0.3)
    assert starting_model(asking_for("bundled"), "kick", longer) is None
    assert starting_model(asking_for("bundled"), "snare", REPRESENTATION) is None
    with pytest.raises(ConfigError, match="draws other images"):
        starting_model(asking_for("mine"), "kick", longer)
    with pytest.raises(ConfigError, match="no model named"):
        starting_model(asking_for("yours"), "kick", REPRESENTATION)


def folder_of(tmp_path, names):
    for name in names:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    return tmp_path


def test_a_folder_of_several_categories_is_refused_unless_one_is_named(tmp_path):
    names = [f"{kind}/{kind}{index}.wav" for kind in ("kick", "snare", "hat") for index in range(10)]
    folder = folder_of(tmp_path, names)
    with pytest.raises(ConfigError, match="several categories: 10 hats closed, 10 kicks, 10 snares"):
        resolve_pack(folder, name=None, category=None)
    assert resolve_pack(folder, name=None, category="perc")[0].category == "perc"


def test_a_few_odd_names_are_no_second_category(tmp_path):
    names = [f"kick {index}.wav" for index in range(40)] + ["kick with snare.wav", "hat.wav", "clap.wav"]
    assert resolve_pack(folder_of(tmp_path, names), name="kick", category=None)[0].category == "kick"


def kicks_in(tmp_path, count):
    return folder_of(tmp_path / "kicks", [f"kick {index}.wav" for index in range(count)])


def test_a_folder_of_few_sounds_is_joined_by_as_many_synthesised_ones_that_judge_nothing(tmp_path):
    pack, base = resolve_pack(kicks_in(tmp_path, 40), name=None, category=None)
    folder, synthesised = pack.sources
    assert folder.folder == str(base.resolve())
    assert folder.hold_out
    assert (synthesised.synth, synthesised.count, synthesised.hold_out) == ("kick", 40, False)


def test_playback_speeds_and_the_step_aside_are_what_suits_the_sounds(tmp_path):
    kicks = kicks_in(tmp_path, 40)
    percs = folder_of(tmp_path / "percs", [f"{index}.wav" for index in range(40)])
    mixed, alone = (
        resolve_pack(kicks, name=None, category=None, synth_share=share)[0] for share in (0.5, 0.0)
    )
    assert set(mixed.speeds) < set(alone.speeds)
    assert mixed.training == alone.training == Training()
    assert resolve_pack(percs, name=None, category=None)[0].training == Training(aside=0.5)


@pytest.mark.parametrize(("share", "count"), [(0.2, 10), (0.75, 120), (0.9, 360)])
def test_the_share_of_synthesised_sounds_is_of_all_that_is_learned_from(tmp_path, share, count):
    pack, _ = resolve_pack(kicks_in(tmp_path, 40), name=None, category=None, synth_share=share)
    assert [source.count for source in pack.sources[1:]] == [count]


def test_nothing_is_synthesised_where_it_is_not_wanted_not_needed_or_of_no_known_category(tmp_path):
    assert (
        len(resolve_pack(kicks_in(tmp_path, 40), name=None, category=None, synth_share=0.0)[0].sources) == 1
    )
    nameless = folder_of(tmp_path / "misc", [f"{index}.wav" for index in range(40)])
    assert len(resolve_pack(nameless, name=None, category=None)[0].sources) == 1
    many = folder_of(tmp_path / "many kicks", [f"kick {index}.wav" for index in range(1000)])
    assert len(resolve_pack(many, name=None, category=None)[0].sources) == 1


@pytest.mark.parametrize("share", [-0.1, 0.95, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(tmp_path, share):
    with pytest.raises(ConfigError, match="--synth-share must be from 0 to"):
        resolve_pack(kicks_in(tmp_path, 40), name=None, category=None, synth_share=share)


def test_a_pack_definition_says_itself_what_is_synthesised(tmp_path):
    (tmp_path / "pack.yaml").write_text("category: kick\n")
    with pytest.raises(ConfigError, match="this is a pack definition"):
        resolve_pack(tmp_path, name=None, category=None, synth_share=0.5)


@pytest.mark.parametrize(
    ("words", "category"),
    [
        ("hats_closed", "hat_closed"),
        ("Open Hats", "hat_open"),
        ("my-kicks", "kick"),
        ("808 BD", "kick"),
        ("x", None),
    ],
)
def test_categories_are_guessed_from_names(words, category):
    assert guess_category(words) == category
