"""The draft's networks: shapes, bounds, gradients."""

import dataclasses

import pytest
import torch

from samplegan.config import ImageSettings, Training
from samplegan.gan import build_generator, build_networks
from samplegan.gan.layers import SelfAttention
from samplegan.representation import representation_for

BANDS, FRAMES = 32, 16
SMALL = Training(architecture="stereo-dcgan", generator_width=4, discriminator_width=4, latent_dim=8)
COMPACT = representation_for(
    ImageSettings(name="compact", bands=BANDS, frames=FRAMES, linear_bins=8, dense_frames=4), 0.2
)


def networks(**changes):
    torch.manual_seed(0)
    return build_networks(dataclasses.replace(SMALL, **changes), COMPACT)


def test_latents_become_two_channel_images_in_range():
    generator = networks().generator
    images = generator(torch.randn(5, 8))
    assert images.shape == (5, 2, BANDS, FRAMES)
    assert images.abs().max() <= 1


@pytest.mark.parametrize("changes", [{}, {"attention": False}, {"phase_shuffle_frames": 2}])
def test_the_discriminator_gives_one_logit_and_its_features(changes):
    discriminator = networks(**changes).discriminator
    logits, features = discriminator(torch.randn(5, 2, BANDS, FRAMES))
    assert logits.shape == (5,)
    assert [f.shape[2] for f in features] == [16, 8, 4, 2]


def test_gradients_reach_every_weight():
    players = networks()
    logits, _ = players.discriminator(players.generator(torch.randn(4, 8)))
    # The attention's gate starts at zero: its inside learns once the gate has moved.
    for module in players.discriminator.modules():
        if isinstance(module, SelfAttention):
            module.gate.data.fill_(0.5)
    logits, _ = players.discriminator(players.generator(torch.randn(4, 8)))
    logits.sum().backward()
    for network in (players.generator, players.discriminator):
        for name, weight in network.named_parameters():
            assert weight.grad is not None, name
            assert weight.grad.abs().sum() > 0, name


def test_spectral_normalisation_bounds_every_layer():
    discriminator = networks().discriminator
    image = torch.randn(2, 2, BANDS, FRAMES)
    for _ in range(50):  # the power iteration settles
        discriminator(image)
    for name, module in discriminator.named_modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            largest = torch.linalg.svdvals(module.weight.flatten(1))[0]
            assert largest.item() == pytest.approx(1.0, abs=0.05), name


def test_one_image_does_not_depend_on_the_rest_of_its_batch():
    generator = build_generator(SMALL, COMPACT).eval()
    latents = torch.randn(3, 8)
    with torch.no_grad():
        torch.testing.assert_close(generator(latents)[1:2], generator(latents[1:2]))
