"""One comparison, made once: an untrained model of sounds of 200 ms against synthesised kicks."""

from __future__ import annotations

from pathlib import Path

import pytest

from samplegan import synth
from samplegan.evaluate.figures import Picture, pictures
from samplegan.evaluate.report import Report, evaluate
from samplegan.representation import Representation

COUNT = 24
MADE = 60
SEED = 5
# Not what a category's defaults are: those may change, and these sounds are quicker.
REPRESENTATION = Representation(
    name="compact",
    length_samples=8_820,
    window_samples=512,
    hop_samples=128,
    bands=32,
    frames=16,
    linear_bins=8,
    dense_frames=4,
    tonal_below_hz=300.0,
    iterations=12,
)


@pytest.fixture(scope="session")
def representation() -> Representation:
    return REPRESENTATION


@pytest.fixture(scope="session")
def kicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/ with 40 kicks, and test/ with 24 others of the same kind."""
    folder = tmp_path_factory.mktemp("kicks")
    synth.write_pack("kick", 40, 1, folder / "train")
    synth.write_pack("kick", COUNT, 2, folder / "test")
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of a model that has learned nothing."""
    import torch

    from samplegan import config, store
    from samplegan.gan import build_generator

    torch.manual_seed(3)
    training = config.Training(architecture="stereo-dcgan", latent_dim=8, generator_width=4)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    card = {
        "name": "tiny",
        "category": "kick",
        "version": "0",
        "representation": REPRESENTATION.to_document(),
        "training": config.to_document(training),
        "data": {"licences": {"CC0-1.0": 1}},
    }
    store.save_model(path, build_generator(training, REPRESENTATION), card)
    return str(path)


@pytest.fixture(scope="session")
def report(kicks: Path, model: str) -> Report:
    """Of the model, beside the training sounds themselves."""
    return evaluate(
        model,
        against=kicks / "test",
        train=kicks / "train",
        beside=[str(kicks / "train")],
        count=MADE,
        seed=SEED,
        jobs=1,
    )


@pytest.fixture(scope="session")
def drawn(report: Report) -> dict[str, Picture]:
    return pictures(report)
