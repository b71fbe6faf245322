"""The sheet of learned kernels: it shows the weights that the model has, under the right names."""

from __future__ import annotations

import dataclasses
import io
from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pytest
import torch

from samplegan.config import Training
from samplegan.evaluate import kernels as module
from samplegan.evaluate.kernels import IN_A_ROW, MOST_ROWS, Layer, kernel_sheet, layers
from samplegan.figures import GRID, LEFT, RIGHT
from samplegan.gan import build_generator
from samplegan.representation import Representation

BODY = Representation(
    name="body",
    length_samples=8_820,
    window_samples=512,
    hop_samples=128,
    bands=32,
    frames=16,
    linear_bins=4,
    dense_frames=4,
    tonal_below_hz=300.0,
    iterations=4,
    partials=2,
    lines=True,
)
NAMES = ("level 1", "level 2", "share of lines", "frequency 1", "frequency 2", "density of lines")


def model(representation: Representation = BODY, **training: object) -> SimpleNamespace:
    torch.manual_seed(0)
    settings = Training(generator_width=2, encoder_width=4, code_dim=8, latent_dim=8, **training)
    return SimpleNamespace(
        generator=build_generator(settings, representation).requires_grad_(False),
        representation=representation,
    )


def ink(colour: str) -> list[int]:
    return list(bytes.fromhex(colour[1:]))


def test_every_layer_shows_its_weights_under_its_names():
    made = model()
    found = {layer.title: layer for layer in layers(made)}
    weights = {name: weight.numpy() for name, weight in made.generator.named_parameters()}
    seen = found["What the encoder looks for in an image"]
    assert seen.names == ("level", "width", "place: frequency", "place: time")
    for plane, row in enumerate(seen.kernels):
        np.testing.assert_array_equal(row, weights["encoder.stages.0.0.weight"][:, plane])
    drawn = found["What the decoder draws an image with"]
    assert drawn.names == ("level", "width", "how noisy")
    np.testing.assert_array_equal(drawn.kernels, weights["decoder.image.weight"])
    for place in (1, 2, 3):
        stage = found[f"Decoder of tracks, stage {place} of 3"]
        np.testing.assert_array_equal(
            stage.kernels, weights[f"decoder.track_stages.{place - 1}.convolution.weight"]
        )
    for layer in found.values():
        assert len(layer.names) in (0, len(layer.kernels))


def test_tracks_are_named_in_the_order_of_the_network():
    made = model()
    generator = made.generator
    found = {layer.title: layer for layer in layers(made)}
    assert found["What the encoder looks for in tracks"].names == NAMES
    assert found["What the decoder draws tracks with"].names == NAMES
    generator.decoder.tracks.weight.zero_()
    generator.decoder.tracks.bias.copy_(torch.arange(6.0) / 2)
    image = generator.decode(torch.zeros(1, 8))[0, :, BODY.bands :, 0]
    placed = {name: 2 * torch.atanh(image[divmod(row, 3)]).item() for row, name in enumerate(NAMES)}
    assert placed == pytest.approx(dict(zip(NAMES, range(6), strict=True)), abs=1e-2)


def test_a_model_without_tracks_has_none_to_show():
    plain = layers(model(dataclasses.replace(BODY, partials=0, lines=False)))
    assert all(layer.kernels.ndim == 4 for layer in plain)
    one = layers(model(dataclasses.replace(BODY, partials=1, lines=False)))
    assert one[-1].names == ("level", "frequency")


def test_stereo_dcgan_shows_all_its_stages(representation):
    made = model(representation, architecture="stereo-dcgan")
    *stages, last = layers(made)
    assert [layer.title for layer in stages] == [f"Generator, stage {place} of 5" for place in range(1, 6)]
    assert (
        stages[-1].words == "at all bands and frames" and stages[0].words == "at 1/16 of the bands and frames"
    )
    assert last.names == ("shared", "apart")
    np.testing.assert_array_equal(last.kernels, made.generator.image.weight.numpy())


def test_of_many_kernels_the_strongest_are_shown():
    kernels = np.random.default_rng(0).uniform(-0.1, 0.1, (20, 30, 3, 3)).astype(np.float32)
    kernels[7, 11] *= 100.0
    kernels[3, 2] *= 10.0
    rows = module._shown(Layer("", "", kernels))
    assert [len(row) for row in rows] == [IN_A_ROW] * MOST_ROWS
    np.testing.assert_array_equal(rows[0][0], kernels[7, 11])
    np.testing.assert_array_equal(rows[0][1], kernels[3, 2])
    named = module._shown(Layer("", "", kernels[:2], ("a", "b")))
    assert [len(row) for row in named] == [IN_A_ROW] * 2
    few = module._shown(Layer("", "", kernels[:2, :5]))
    assert [len(row) for row in few] == [10]


def test_a_kernel_is_scaled_to_itself_and_stands_upright():
    kernel = np.zeros((2, 3), np.float32)
    kernel[0, 2], kernel[1, 0] = 0.02, -0.01  # low and late, high and early
    tile = module._cells(module._scaled(kernel))
    assert tile[-1, -1].tolist() == ink(LEFT)
    assert tile[0, -1].tolist() == tile[-1, 0].tolist() == [255, 255, 255]
    half = 255.0 + 0.5 * (np.array(ink(RIGHT)) - 255.0)
    np.testing.assert_allclose(tile[0, 0], half, atol=1.0)
    np.testing.assert_array_equal(module._cells(module._scaled(1000.0 * kernel)), tile)
    np.testing.assert_array_equal(module._cells(module._scaled(0.0 * kernel)), 255)


def test_bars_reach_as_far_as_weights():
    tile = module._bars(np.array([1.0, -0.5, 0.0], np.float32))
    middle = len(tile) // 2
    assert (tile[middle] == ink(GRID)).all()
    up, down, none = (tile[:, column] for column in (0, tile.shape[1] // 2, -1))
    assert (up[:middle] == ink(LEFT)).all() and (up[middle + 1 :] == 255).all()
    assert (down[:middle] == 255).all()
    assert (down[middle + 1 :] == ink(RIGHT)).all(axis=1).sum() == middle // 2
    assert (np.delete(none, middle, axis=0) == 255).all()


def test_the_sheet_is_the_same_for_the_same_kernels_whatever_their_scale():
    found = layers(model())
    png = kernel_sheet(found, "Learned kernels of $x$")
    louder = [dataclasses.replace(layer, kernels=2.0 * layer.kernels) for layer in found]
    assert (
        kernel_sheet(found, "Learned kernels of $x$") == png == kernel_sheet(louder, "Learned kernels of $x$")
    )
    pixels = np.rint(255 * matplotlib.image.imread(io.BytesIO(png))[..., :3]).astype(int)
    for colour in (LEFT, RIGHT):
        assert (pixels == ink(colour)).all(axis=2).sum() > 1_000
    assert (pixels[:, -20:] == 255).all() and (pixels[-10:] == 255).all()  # nothing runs out of the sheet
