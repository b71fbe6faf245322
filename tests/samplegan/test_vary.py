"""Sounds near one's own and between two: how near, in what order, and what is refused."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from samplegan import config, store, synth
from samplegan.audio import SAMPLE_RATE
from samplegan.cli import run
from samplegan.config import ImageSettings, Training
from samplegan.dataset import training_sound
from samplegan.errors import ConfigError, InputError, UnreadableAudio
from samplegan.gan import build_generator
from samplegan.pack.manifest import MANIFEST_NAME
from samplegan.render import Existing, RenderOptions, random_generator
from samplegan.representation import representation_for
from samplegan.vary import between, choose_model, encode, near, plan_morph, plan_variations

TRAINING = Training(generator_width=4, encoder_width=4, code_dim=8)
IMAGE = ImageSettings(bands=32, frames=16, linear_bins=8, dense_frames=4, partials=1)
REPRESENTATION = representation_for(IMAGE, 0.2)


def saved(path, name="tiny", architecture="body-gan", category="kick"):
    """An untrained model whose anchors are encodings of synthesised kicks."""
    torch.manual_seed(0)
    training = config.Training(
        architecture=architecture, generator_width=4, encoder_width=4, code_dim=8, latent_dim=8
    )
    representation = REPRESENTATION
    if architecture == "stereo-dcgan":
        settings = ImageSettings("compact", bands=32, frames=16, linear_bins=8, dense_frames=4)
        representation = representation_for(settings, 0.2)
    generator = build_generator(training, representation)
    if architecture == "body-gan":
        images = np.stack([representation.analyse(kick(index)) for index in range(12)])
        with torch.no_grad():
            generator.know(generator.encode(torch.from_numpy(images))[0])
    card = {
        "name": name,
        "category": category,
        "representation": representation.to_document(),
        "training": config.to_document(training),
        "data": {"licences": {"cc0": 12}},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    store.save_model(path, generator, card)
    return path


def kick(index):
    return training_sound(synth.synthesise("kick", 1, index), 1.0, REPRESENTATION.length_samples)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    before = os.environ.get("SAMPLEGAN_HOME")
    os.environ["SAMPLEGAN_HOME"] = str(home)
    bundled, store.BUNDLED_FOLDER = store.BUNDLED_FOLDER, home / "nothing-bundled"
    saved(home / "models" / "tiny.safetensors")
    saved(home / "models" / "drawing.safetensors", "drawing", "stereo-dcgan", category="snare")
    for index in (0, 1):
        path = home / f"kick_{index}.wav"
        soundfile.write(path, synth.synthesise("kick", 1, index).T, SAMPLE_RATE, subtype="PCM_24")
    yield home
    store.BUNDLED_FOLDER = bundled
    os.environ.pop("SAMPLEGAN_HOME")
    if before is not None:
        os.environ["SAMPLEGAN_HOME"] = before


@pytest.fixture(scope="module")
def model(folder):
    return store.load_model("tiny")


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def carried_out(job, existing=Existing.REFUSE, jobs=1):
    return job.carry_out(jobs=jobs, existing=existing, quiet=True)


# --- images


def test_amount_0_is_the_sound_itself_and_every_more_is_further(model):
    sound = encode(model, kick(0))
    own = model.representation.analyse(kick(0))
    np.testing.assert_allclose(near(model, sound, 0.0, np.random.default_rng(0))[:2], own, atol=1e-5)
    distances = [
        np.mean(
            [np.linalg.norm(near(model, sound, amount, np.random.default_rng(n))[:2] - own) for n in range(8)]
        )
        for amount in (0.0, 0.1, 0.3, 1.0)
    ]
    assert distances == sorted(distances)
    assert distances[1] > 0


def test_at_amount_1_nothing_is_left_of_the_sound(model):
    for number in range(3):
        images = [
            near(model, encode(model, kick(index)), 1.0, np.random.default_rng(number)) for index in (0, 1)
        ]
        np.testing.assert_allclose(*images, atol=1e-5)


def test_a_way_leads_from_one_end_to_the_other(model):
    first, second = (encode(model, kick(index)) for index in (0, 1))
    for way, index in ((0.0, 0), (1.0, 1)):
        ends = between(model, first, second, way)
        np.testing.assert_allclose(ends[:2], model.representation.analyse(kick(index)), atol=1e-5)
    begin = between(model, first, second, 0.0)
    gone = [np.linalg.norm(between(model, first, second, way) - begin) for way in np.linspace(0, 1, 6)]
    assert gone == sorted(gone)


def test_encoding_hangs_on_no_thread_and_no_chance(model):
    before = torch.get_num_threads()
    codes = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        codes.append(encode(model, kick(3)))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    np.testing.assert_array_equal(codes[0].code, codes[1].code)
    np.testing.assert_array_equal(codes[0].rest, codes[1].rest)


# --- packs


def test_variations_are_a_pack_of_which_a_smaller_one_is_the_start(folder, tmp_path):
    file = folder / "kick_0.wav"
    carried_out(plan_variations(file, tmp_path / "small", amount=0.3, count=2))
    carried_out(plan_variations(file, tmp_path / "large", amount=0.3, count=5), jobs=3)
    small, large = content(tmp_path / "small"), content(tmp_path / "large")
    manifest = json.loads(large.pop(MANIFEST_NAME))
    small.pop(MANIFEST_NAME)
    assert small.items() <= large.items()
    assert len(set(large.values())) == len(large) == 5
    assert manifest["options"]["made_by"] == "vary"
    assert manifest["options"]["from"][0]["file"] == "kick_0.wav"
    assert str(folder) not in json.dumps(manifest)
    job = plan_variations(file, tmp_path / "small", amount=0.3, count=5, existing=Existing.RESUME)
    carried_out(job, Existing.RESUME)
    assert content(tmp_path / "small") == content(tmp_path / "large")


@pytest.mark.parametrize(
    ("other", "word"),
    [
        ({"amount": 0.4}, "--amount 0.3, not 0.4"),
        ({"file": "kick_1.wav"}, r"made from kick_0\.wav \(\w+\), not kick_1\.wav"),
    ],
)
def test_other_variations_are_not_mixed_in(folder, tmp_path, other, word):
    asked = {"file": "kick_0.wav", "amount": 0.3}
    carried_out(plan_variations(folder / asked["file"], tmp_path, amount=0.3, count=1))
    asked |= other
    with pytest.raises(ConfigError, match=word):
        plan_variations(
            folder / asked["file"], tmp_path, amount=asked["amount"], count=2, existing=Existing.RESUME
        )


def test_a_morph_is_numbered_in_order_and_has_both_ends(folder, model, tmp_path):
    files = [folder / f"kick_{index}.wav" for index in (0, 1)]
    summary = carried_out(plan_morph(*files, tmp_path / "pack", steps=4), jobs=2)
    names = sorted(path.name for path in (tmp_path / "pack").glob("*.wav"))
    assert names == summary.files
    assert [name[:9] for name in names] == [f"kick_{number:03}_" for number in (1, 2, 3, 4)]
    # The first and the last are what the sounds' own images sound like, with the noise of the morph.
    seed = int(random_generator(0, 0, 0).integers(2**62))
    for name, index in ((names[0], 0), (names[-1], 1)):
        sound = training_sound(
            np.ascontiguousarray(soundfile.read(files[index], dtype="float32")[0].T),
            1.0,
            REPRESENTATION.length_samples,
        )
        wanted = between(model, encode(model, sound), encode(model, sound), 0.0)
        audio = model.representation.synthesise(wanted, seed=seed)
        given = soundfile.read(tmp_path / "pack" / name, dtype="float32")[0].T
        spectra = [np.abs(np.fft.rfft(each.sum(axis=0), 16_384))[20:400] for each in (audio, given)]
        spectra = [each / np.linalg.norm(each) for each in spectra]
        assert spectra[0] @ spectra[1] > 0.98


# --- which model, and what is refused


def test_the_model_is_told_by_name_category_or_file(folder):
    by_name = choose_model((folder / "x.wav",), model="tiny")
    for chosen in (
        choose_model((folder / "x.wav",), category="kick"),
        choose_model((folder / "kick_0.wav",)),
    ):
        assert chosen.sha256 == by_name.sha256
    with pytest.raises(ConfigError, match="no model of the category 'cymbal'"):
        choose_model((folder / "crash cymbal.wav",))
    with pytest.raises(ConfigError, match="--category"):
        choose_model((folder / "x.wav",))
    with pytest.raises(ConfigError, match="not a category"):
        choose_model((folder / "x.wav",), category="kik")


def test_a_model_that_only_draws_is_refused(folder, tmp_path):
    with pytest.raises(ConfigError, match="cannot encode"):
        plan_variations(folder / "kick_0.wav", tmp_path, amount=0.1, count=1, model="drawing")
    with pytest.raises(ConfigError, match="no model of the category 'snare' can encode"):
        choose_model((folder / "x.wav",), category="snare")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "no such file"),
        (b"not audio", "cannot be read"),
        (np.zeros((500, 1)), "silent"),
        (np.ones((10, 1)), "too short"),
        (np.random.default_rng(0).uniform(-1, 1, (31 * 8000, 1)), "not a one-shot"),
    ],
    ids=["missing", "text", "silent", "short", "long"],
)
def test_what_is_no_one_shot_is_refused_in_words(folder, tmp_path, content, word):
    path = tmp_path / "kick.wav"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        soundfile.write(path, content, 8000)
    with pytest.raises(UnreadableAudio, match=word) as caught:
        plan_variations(path, tmp_path / "out", amount=0.2, count=1)
    assert isinstance(caught.value, InputError)
    with pytest.raises(UnreadableAudio, match=word):
        plan_morph(folder / "kick_0.wav", path, tmp_path / "out", steps=2)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("amount", [-0.1, 1.1, float("nan")])
def test_amounts_out_of_range_are_refused(folder, tmp_path, amount):
    with pytest.raises(ConfigError, match="--amount"):
        plan_variations(folder / "kick_0.wav", tmp_path, amount=amount, count=1)


def test_a_morph_of_one_step_is_refused(folder, tmp_path):
    with pytest.raises(ConfigError, match="--steps"):
        plan_morph(folder / "kick_0.wav", folder / "kick_1.wav", tmp_path, steps=1)


def test_another_category_is_only_doubted(folder, tmp_path):
    snare = tmp_path / "snare.wav"
    snare.write_bytes((folder / "kick_0.wav").read_bytes())
    job = plan_variations(snare, tmp_path / "out", amount=0.2, count=1, model="tiny", options=RenderOptions())
    assert "snare.wav is a snare by its name" in job.warnings[0]
    assert plan_variations(folder / "kick_0.wav", tmp_path / "out", amount=0.2, count=1).warnings == ()


def test_the_commands_write_packs(folder, tmp_path, capsys):
    near_, way = tmp_path / "near", tmp_path / "way"
    first, second = str(folder / "kick_0.wav"), str(folder / "kick_1.wav")
    assert run(["vary", first, "--out", str(near_), "--count", "2", "--amount", "0.5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["written"] == 2
    assert run(["morph", first, second, "--out", str(way), "--steps", "3", "--category", "kick"]) == 0
    assert "3 files" in capsys.readouterr().err
    assert run(["morph", first, second, "--out", str(way), "--steps", "3", "--resume"]) == 4
    assert run(["vary", first, "--out", str(near_)]) == 2
    assert run(["vary", first, "--out", str(near_), "--model", "tiny", "--category", "kick"]) == 2
    assert run(["vary", str(folder / "none.wav"), "--model", "tiny", "--out", str(near_)]) == 3
