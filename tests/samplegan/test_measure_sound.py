"""The measure of the default model: what is finished is not done again, and a document keeps what others wrote."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[2] / "scripts"))  # the script imports its neighbours
import corpus
import measure_sound as script

from samplegan import store
from samplegan.config import ImageSettings, Training, load_pack
from samplegan.errors import ConfigError, Stopped
from samplegan.evaluate.report import REPORT_FILE, SCHEMA_VERSION, Row
from samplegan.gan import build_generator
from samplegan.representation import representation_for

IMAGE = ImageSettings(bands=32, frames=16, linear_bins=4, dense_frames=4, partials=1)
REPRESENTATION = representation_for(IMAGE, 0.2)
TRAINING = Training(generator_width=2, encoder_width=4, code_dim=8)
FIGURES = Row("", "", 0, *np.linspace(0.05, 0.9, 16).tolist(), 0)
SETS = {
    "floor": "floor",
    "ceiling": "ceiling",
    "memoriser": "baseline",
    "PCA-Gaussian": "baseline",
    "synthesiser": "baseline",
}


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 20), "white").save(out, "PNG")
    return out.getvalue()


def save_tiny_model(path: Path, *, seed: int = 0, anchors: int = 5, residuals: bool = False) -> None:
    torch.manual_seed(seed)
    generator = build_generator(TRAINING, REPRESENTATION)
    left_out = torch.randn(anchors, IMAGE.bands, IMAGE.frames) if residuals else None
    generator.know(torch.randn(anchors, 8), residuals=left_out, components=2)
    card = {
        "name": path.stem,
        "category": "kick",
        "representation": REPRESENTATION.to_document(),
        "training": TRAINING.__dict__,
        "steps": 250,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    store.save_model(path, generator, card)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAMPLEGAN_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def settings(home: Path) -> object:
    """A folder of forty kicks, nothing done yet."""
    for index in range(40):
        path = home / "audio" / "kick" / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        corpus.write(path, corpus.drum(0.02, seed=index))
    return script.Settings(
        home / "audio", home, minutes=1.0, minutes_beside=0.5, steps=100, threads=1, count=24
    )


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict]]:
    """What was trained and compared, by names that do as if."""
    made: list[tuple[str, dict]] = []

    def train(source: Path, **how: object) -> object:
        made.append(("train", how | {"source": source}))
        save_tiny_model(store.models_folder() / f"{how['name']}.safetensors", seed=len(made))
        checkpoint = store.runs_folder() / str(how["name"]) / "checkpoint.safetensors"
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.touch()
        return SimpleNamespace(steps=how["steps"] or 300, seconds=60.0)

    def evaluate(subject: str, **how: object) -> object:
        made.append(("evaluate", how | {"subject": subject}))
        models = [store.load_model(each).name for each in (subject, *how["beside"])]
        return SimpleNamespace(models=models)

    def write_report(report: object, out: Path) -> None:
        kinds = dict.fromkeys(report.models, "beside") | SETS
        document = {
            "schema_version": SCHEMA_VERSION,
            "rows": [replace(FIGURES, name=name, kind=kind).to_dict() for name, kind in kinds.items()],
            "category": "kick",
            "training_sounds": 10,
            "held_out_sounds": 30,
            "sounds": 24,
        }
        out.mkdir(parents=True, exist_ok=True)
        for name in script.PICTURES:
            (out / f"{name}.png").write_bytes(picture())
        (out / REPORT_FILE).write_text(json.dumps(document))

    monkeypatch.setattr(script, "train", train)
    monkeypatch.setattr(script, "evaluate", evaluate)
    monkeypatch.setattr(script, "write_report", write_report)
    monkeypatch.setattr(script, "memoriser_is_caught", lambda report: True)
    return made


def names(calls: list[tuple[str, dict]]) -> list[str]:
    return [name for name, _ in calls]


def test_a_finished_category_is_not_done_again(settings, calls):
    script.measure_category("kick", settings)
    assert names(calls) == ["train", "train", "evaluate"]
    trained, dcgan, compared = (how for _, how in calls)
    assert (trained["start_from"], dcgan["start_from"]) == ("bundled", "nothing")
    assert trained["source"] == compared["train"]
    assert compared["against"] == compared["train"].parent / script.STRANGE
    assert (trained["minutes"], dcgan["minutes"]) == (1.0, 0.5)
    assert load_pack(dcgan["source"]).training.architecture == "stereo-dcgan"
    assert [Path(each).stem for each in compared["beside"]] == ["kick-dcgan"]
    script.measure_category("kick", settings)
    assert len(calls) == 3
    # A report by an earlier measure is none.
    report = settings.results("kick") / REPORT_FILE
    report.write_text(json.dumps(json.loads(report.read_text()) | {"schema_version": SCHEMA_VERSION - 1}))
    script.write_document(settings, settings.work / "sound.md")
    assert "## Kicks" not in (settings.work / "sound.md").read_text()
    script.measure_category("kick", settings)
    assert names(calls[3:]) == ["evaluate"]
    record = settings.results("kick") / script.TRAINING_FILE
    known = json.loads(record.read_text())
    record.write_text(
        json.dumps(known | {"asked": known["asked"] | {"begun_with": "an earlier bundled model"}})
    )
    script.measure_category("kick", settings)
    assert (
        names(calls[4:]) == ["train", "evaluate"] and calls[4][1]["overwrite"] and not calls[4][1]["resume"]
    )


def test_a_model_with_other_bytes_is_trained_on_and_compared_again(settings, calls):
    script.measure_category("kick", settings)
    save_tiny_model(store.models_folder() / "kick.safetensors", seed=99)
    script.measure_category("kick", settings)
    assert names(calls) == ["train", "train", "evaluate", "train", "evaluate"]
    assert calls[3][1]["resume"]


def test_more_minutes_go_on_and_more_sounds_only_compare(settings, calls):
    script.measure_category("kick", settings)
    script.measure_category("kick", replace(settings, minutes=2.0))
    assert names(calls) == ["train", "train", "evaluate", "train", "evaluate"]
    assert [how["resume"] for name, how in calls if name == "train"] == [False, False, True]
    script.measure_category("kick", replace(settings, minutes=2.0, count=30))
    assert names(calls[5:]) == ["evaluate"]


def test_a_stopped_training_is_resumed(settings, calls, monkeypatch):
    finish = script.train

    def stop(source: Path, **how: object) -> object:
        finish(source, **how)
        raise Stopped("stopped", signal_number=2)

    monkeypatch.setattr(script, "train", stop)
    with pytest.raises(Stopped):
        script.measure_category("kick", settings)
    monkeypatch.setattr(script, "train", finish)
    script.measure_category("kick", settings)
    assert names(calls) == ["train", "train", "train", "evaluate"]
    assert calls[1][1]["resume"]


def test_at_least_thirty_sounds_are_held_out_and_a_split_cut_short_is_made_anew(settings):
    torn = settings.work / "split" / "kick" / "train" / "half.wav"
    torn.parent.mkdir(parents=True)
    torn.touch()
    sides = script.split_once("kick", settings)
    counts = {side: len(list((sides / side).iterdir())) for side in ("train", "test")}
    assert counts == {"train": 20, "test": 20}  # of forty no more than half
    before = sorted(sides.rglob("*"))
    assert sorted(script.split_once("kick", settings).rglob("*")) == before
    with pytest.raises(ConfigError, match="no such folder"):
        script.split_once("snare", settings)


def test_the_prior_draws_standard_normal_codes_and_aside_only_steps_aside(home):
    model = home / "default.safetensors"
    save_tiny_model(model)
    latents = np.random.default_rng(0).standard_normal((6, 11)).astype(np.float32)
    prior, near, far = (
        store.load_model(str(script.redrawn(model, home / f"{drawn.name}.safetensors", drawn)))
        for drawn in (
            script.Drawn("p", "", 1.0, near_anchors=False),
            *(script.Drawn(f"a{x}", "", x) for x in (0.0, 3.0)),
        )
    )
    np.testing.assert_allclose(prior.codes(latents), latents[:, 3:], atol=1e-6)
    np.testing.assert_allclose(far.codes(latents) - near.codes(latents), 3.0 * latents[:, 3:], atol=1e-5)
    default = store.load_model(str(model))
    codes = far.codes(latents)
    np.testing.assert_array_equal(far.decode(codes), default.decode(codes))


def test_without_residuals_the_same_codes_are_drawn(home):
    model = home / "default.safetensors"
    save_tiny_model(model, residuals=True)
    drawn = script.Drawn("plain", "", TRAINING.aside, residuals=False)
    plain = store.load_model(str(script.redrawn(model, home / "plain.safetensors", drawn))).generator
    default = store.load_model(str(model)).generator
    latents = torch.randn(6, default.latent_dim)
    with torch.no_grad():
        codes, plain_codes = default.codes(latents), plain.codes(latents)
    assert codes.shape[1] > plain_codes.shape[1]
    torch.testing.assert_close(codes[:, : plain.code_dim], plain_codes)


def test_every_ablation_is_a_pack_that_differs_in_what_it_says(settings):
    folder = settings.audio / "kick"
    packs = {
        ablation.name: load_pack(script.ablated_pack(ablation, folder, settings.work / "pack.yaml", 800))
        for ablation in script.ABLATIONS
    }
    default = packs["default"]
    assert default.training == replace(Training(), patience=sys.maxsize, control_sounds=0, game_from_step=200)
    assert len(default.speeds) > 1
    for ablation in script.ABLATIONS[1:]:
        pack = packs[ablation.name]
        assert pack != default
        same = replace(
            pack,
            image=None if ablation.image else pack.image,
            # A folder alone is learned at more speeds.
            speeds=default.speeds if ablation.speeds or ablation.synth_share is not None else pack.speeds,
            sources=pack.sources if ablation.synth_share is None else default.sources,
            training=replace(
                pack.training, **{key: getattr(default.training, key) for key in ablation.training}
            ),
        )
        assert same == default


def test_ablations_are_compared_together(settings, calls):
    script.measure_ablations(settings)
    trained = [how for name, how in calls if name == "train"]
    assert [how["steps"] for how in trained] == [100] * (len(trained) - 2) + [None, None]
    assert trained[-1]["minutes"] == 1.0  # the default's
    assert names(calls)[-1] == "evaluate"
    assert len(calls[-1][1]["beside"]) == len(script.ABLATIONS) + len(script.DRAWN) - 1
    script.measure_ablations(settings)
    assert len(calls) == len(trained) + 1
    script.write_document(settings, settings.work / "docs" / "sound.md")
    text = (settings.work / "docs" / "sound.md").read_text()
    for each in (*script.ABLATIONS, *script.DRAWN):
        assert f"| {each.words} |" in text


def test_some_ablations_are_compared_where_some_are_named(settings, calls):
    script.measure_ablations(settings, ["no-game", "stereo-dcgan"])
    assert names(calls) == ["train"] * 3 + ["evaluate"]
    document = settings.work / "docs" / "sound.md"
    script.write_document(settings, document)
    listed = {each.name for each in script.ABLATIONS if f"| {each.words} |" in document.read_text()}
    assert listed == {"default", "no-game", "stereo-dcgan"}


def test_bundled_models_are_held_against_sounds_that_none_learned_from(
    settings, calls, monkeypatch, tmp_path
):
    rows = [f"kick/{index}.wav,k{index},{'cc0' if index % 2 else 'unspecified'}" for index in range(40)]
    (settings.audio / "MANIFEST.csv").write_text("\n".join(["path,kit,licence", *rows]) + "\n")
    monkeypatch.setattr(store, "BUNDLED_FOLDER", tmp_path / "bundled")
    save_tiny_model(tmp_path / "bundled" / "kick.safetensors")
    script.measure_bundled("kick", settings)
    script.measure_bundled("kick", settings)
    assert names(calls) == ["evaluate"]
    compared = sorted(calls[0][1]["against"].rglob("*.wav"))
    held_out = sorted((settings.work / "split" / "kick" / "test").rglob("*.wav"))
    assert [file.name for file in compared] == [file.name for file in held_out if int(file.stem) % 2 == 0]
    document = settings.work / "docs" / "sound.md"
    script.write_document(settings, document)
    assert "## The bundled models" in document.read_text()
    before = document.read_text()
    script.write_document(settings, document)
    assert document.read_text() == before


def test_the_document_keeps_what_was_measured_elsewhere(settings, calls):
    document = settings.work / "docs" / "sound.md"
    script.measure_category("kick", settings)
    script.write_document(settings, document)
    assert (document.parent / "sound" / "kick.png").exists()
    text = document.read_text()
    others = text.replace("section kick", "section snare").replace("| kicks |", "| snares |")
    document.write_text(others.replace("## Kicks", "## Snares"))
    script.write_document(settings, document)
    both = document.read_text()
    headings = ["## At a glance", "## Kicks", "## Snares"]
    assert [both.count(heading) for heading in headings] == [1, 1, 1]
    assert sorted(headings, key=both.index) == headings
    assert both.index("| kicks |") < both.index("| snares |") < both.index("## Kicks")
    script.write_document(settings, document)
    assert document.read_text() == both


def test_sections_of_other_scripts_stay_at_the_end(settings, calls):
    document = settings.work / "sound.md"
    script.write_sections(document, "Old.", {"sine-test": "## Sines", "ablations": "## Ablations"})
    script.measure_category("kick", settings)
    script.write_document(settings, document)
    sections = script.read_sections(document)
    assert list(sections) == ["overview", "kick", "ablations", "sine-test"]
    assert sections["sine-test"] == "## Sines"


def test_targets_are_listed_by_verdict(settings, calls):
    script.measure_category("kick", settings)
    document = settings.work / "sound.md"
    script.write_document(settings, document)
    text = document.read_text()
    assert "Met: coverage 0.333 ≥ 0.3 (0.9 × floor); " in text
    missed = "pitch spread, off by 0.27 ≤ 0.2 (of the real one; the floor misses it, too)"
    assert f"**Not met**: {missed}; KS of width" in text
    assert "12 of 15 | 3 |" in text
