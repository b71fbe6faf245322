"""Strict YAML: what is not understood is refused in words."""

from pathlib import Path

import pytest

from samplegan.categories import CATEGORIES
from samplegan.config import (
    Pack,
    Training,
    category_image,
    compact_image,
    completed,
    from_document,
    load_pack,
    to_document,
)
from samplegan.errors import ConfigError
from samplegan.representation import representation_for

PACKS = Path(__file__).parents[2] / "packs"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "pack.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("category", CATEGORIES.values(), ids=lambda c: c.name)
def test_every_shipped_pack_loads_and_its_sounds_fit_its_image(category):
    pack = completed(load_pack(PACKS / category.plural))
    assert pack.category == category.name
    assert any(source.synth for source in pack.sources)
    representation = representation_for(pack.image, pack.length_seconds)
    assert representation.bands == pack.image.bands
    assert len(CATEGORIES) == len(list(PACKS.iterdir()))


def test_defaults_fill_what_is_left_out(tmp_path):
    pack = load_pack(written(tmp_path, "category: kick"))
    assert pack.sources[0].synth == "kick"
    assert pack.training == Training()
    assert pack.training.architecture == "body-gan"
    assert completed(pack).image == category_image("kick")
    assert completed(pack).length_seconds == CATEGORIES["kick"].length_seconds


@pytest.mark.parametrize("category", CATEGORIES)
def test_an_architecture_has_the_image_that_it_draws(tmp_path, category):
    pack = load_pack(written(tmp_path, f"category: {category}\ntraining: {{architecture: stereo-dcgan}}"))
    assert completed(pack).image == compact_image(category)
    assert compact_image(category).name == "compact"
    assert category_image(category).name == "body"
    pack = load_pack(written(tmp_path, f"category: {category}\nimage: {{name: draft, frames: 32}}"))
    assert completed(pack).image == pack.image


def test_what_has_a_body_has_partials():
    partials = {category: category_image(category).partials for category in CATEGORIES}
    assert {category for category, count in partials.items() if count} == {"kick", "snare", "tom", "perc"}
    assert all(compact_image(category).partials == 0 for category in CATEGORIES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("category: kick\ntrainin: {}", "did you mean 'training'"),
        ("category: kick\ntraining: {batchs: 3}", "did you mean 'batch'"),
        ("category: kik", "did you mean 'kick'"),
        ("category: kick\ntraining: {batch: many}", "must be a whole number"),
        ("category: kick\ntraining: {batch: true}", "must be a whole number"),
        ("category: kick\ntraining: {generator_rate: 1e-4}", "1.0e-4"),
        ("category: kick\nlength_seconds: 1:30", "length_seconds"),
        ("category: kick\nlength_seconds: .nan", "length_seconds"),
        ("category: kick\ntraining: {decay: .inf}", "decay"),
        ("category: no", "must be text"),
        ("category: kick\nsources: kick", "must be a list"),
        ("category: kick\nsources: [{count: 3}]", "either 'synth' or 'folder'"),
        ("category: kick\nsources: [{synth: kik}]", "did you mean 'kick'"),
        ("category: kick\nspeeds: []", "speeds"),
        ("category: kick\nimage: {bands: 100}", "multiple of 16"),
        ("sources: []", "'category' is missing"),
        ("- a\n- b", "must be a mapping"),
        ("category: [", "not valid YAML"),
        ("category: kick\nimage: 3", "must be a mapping"),
    ],
)
def test_a_mistake_is_named(tmp_path, text, words):
    with pytest.raises(ConfigError) as caught:
        load_pack(written(tmp_path, text))
    assert words in str(caught.value)
    assert "pack.yaml" in str(caught.value) or "category" in str(caught.value)


def test_a_missing_or_huge_or_binary_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        load_pack(tmp_path / "nothing.yaml")
    with pytest.raises(ConfigError, match="over 1 MB"):
        load_pack(written(tmp_path, "#" * 2_000_000))
    (tmp_path / "pack.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError):
        load_pack(tmp_path)


def test_a_pack_survives_as_json():
    pack = load_pack(PACKS / "kicks")
    assert from_document(Pack, to_document(pack)) == pack


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("category: kik", "did you mean 'kick'"),
        ("category: kick\nsources: [{synth: kik}]", "did you mean 'kick'"),
        ("", "is empty"),
        ("category: " + "[" * 50_000, "nested too deeply"),
        ("category: kick\ntraining: {seed: -1}", "seed"),
        ("category: kick\ntraining: {seed: 4294967296}", "seed"),
        ("category: kick\ntraining: {latent_dim: 1000000000}", "latent_dim"),
        ("category: kick\ntraining: {generator_width: 1000000}", "generator_width"),
        ("category: kick\nimage: {bands: 1048576}", "image.bands"),
        ("category: kick\nimage: {tonal_below_hz: .nan}", "tonal_below_hz"),
        ("category: kick\nimage: {name: bodies}", "'body', 'compact' or 'draft'"),
        ("category: kick\nimage: {channels: mono}", "'mid-side' or 'left-right'"),
        ("category: kick\nimage: {partials: 9}", "image.partials"),
        ("category: kick\nimage: {partials: -1}", "image.partials"),
        ("category: kick\nimage: {highest_partial_hz: 1601}", "highest_partial_hz"),
        ("category: kick\nimage: {highest_partial_hz: .nan}", "highest_partial_hz"),
        ("category: kick\ntraining: {patience: 0}", "training.patience"),
        ("category: kick\ntraining: {validate_steps: 0}", "training.validate_steps"),
        ("category: kick\ntraining: {generator_rate: 0.0}", "generator_rate"),
        ("category: kick\ntraining: {reconstruction: -1.0}", "training.reconstruction"),
        ("category: kick\ntraining: {divergence: .nan}", "training.divergence"),
        ("category: kick\ntraining: {noisiness: .inf}", "training.noisiness"),
        ("category: kick\ntraining: {game: -0.1}", "training.game"),
        ("category: kick\ntraining: {game_from_step: -1}", "training.game_from_step"),
        ("category: kick\ntraining: {aside: -1.0}", "training.aside"),
        ("category: kick\ntraining: {along: 1.5}", "training.along"),
        ("category: kick\ntraining: {along: .nan}", "training.along"),
        ("category: kick\ntraining: {code_dim: 0}", "training.code_dim"),
        ("category: kick\ntraining: {encoder_width: 0}", "training.encoder_width"),
    ],
)
def test_a_mistake_names_the_file_too(tmp_path, text, words):
    file = written(tmp_path, text)
    with pytest.raises(ConfigError, match=words) as caught:
        load_pack(file)
    assert caught.value.file == file
