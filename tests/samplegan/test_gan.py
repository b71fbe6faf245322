"""Networks and losses: shapes, bounds, gradients, and what each statistic is blind to and not."""

import numpy as np
import pytest
import torch

from samplegan.config import Training
from samplegan.errors import ConfigError
from samplegan.gan import build_generator, build_networks, check_architecture
from samplegan.gan.layers import PhaseShuffle, SelfAttention, batch_deviation
from samplegan.gan.losses import (
    Shape,
    batch_distance,
    discriminator_loss,
    feature_matching,
    generator_loss,
)

BANDS, FRAMES = 32, 16
SMALL = Training(generator_width=4, discriminator_width=4, latent_dim=8)
SHAPE = Shape(45.0, torch.ones(BANDS))


def networks(**changes):
    torch.manual_seed(0)
    import dataclasses

    return build_networks(dataclasses.replace(SMALL, **changes), BANDS, FRAMES)


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


def test_attention_starts_as_nothing_and_then_looks_everywhere():
    torch.manual_seed(1)
    attention = SelfAttention(8)
    features = torch.randn(1, 8, 6, 5)
    torch.testing.assert_close(attention(features), features)
    attention.gate.data.fill_(1.0)
    changed = features.clone()
    changed[..., 0, 0] += 5.0
    assert (attention(changed) - attention(features))[..., 5, 4].abs().max() > 1e-4


def test_phase_shuffle_only_moves_frames():
    shuffle = PhaseShuffle(2)
    features = torch.arange(10.0).expand(64, 1, 1, 10)
    moved = shuffle(features)
    assert set(moved.unique().tolist()) <= set(range(10))
    starts = {int(row) for row in moved[:, 0, 0, 5]}
    assert starts == {3, 4, 5, 6, 7}
    torch.testing.assert_close(shuffle.eval()(features), features)


def test_batch_deviation_tells_a_collapsed_batch_from_a_varied_one():
    same = torch.randn(1, 3, 4, 4).expand(8, 3, 4, 4).clone().requires_grad_(True)
    plane = batch_deviation(same)[:, 3]
    assert plane.max() < 1e-3
    plane.sum().backward()
    assert torch.isfinite(same.grad).all()  # a bare square root would give NaN here
    assert batch_deviation(torch.randn(8, 3, 4, 4))[:, 3].min() > 0.5


def test_adversarial_losses_are_lowest_where_they_should_be():
    high, low = torch.full((4,), 6.0), torch.full((4,), -6.0)
    assert discriminator_loss(high, low, 0.0) < 0.01 < discriminator_loss(low, high, 0.0)
    assert generator_loss(high) < 0.01 < generator_loss(low)
    # Smoothed labels punish certainty.
    assert discriminator_loss(high, low, 0.1) > discriminator_loss(torch.full((4,), 2.2), low, 0.1)


def test_feature_matching_compares_batch_means_not_pairs():
    features = [torch.randn(6, 3, 4, 4), torch.randn(6, 5, 2, 2)]
    shuffled = [f[torch.randperm(6)] for f in features]
    assert feature_matching(features, shuffled) < 1e-6
    assert feature_matching(features, [f + 1 for f in features]) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("name", ["centroid", "decay", "periodicity", "rolloff"])
def test_batch_statistics_ignore_order_and_see_collapse(name):
    torch.manual_seed(2)
    decays = torch.linspace(0.2, 3.0, 8)[:, None, None, None]
    slopes = torch.linspace(0.0, 2.0, 8)[:, None, None, None]
    time, band = torch.linspace(0, 1, FRAMES), torch.linspace(0, 1, BANDS)[:, None]
    images = (1 - decays * time - slopes * band + 0.02 * torch.randn(8, 2, BANDS, FRAMES)).clamp(-1, 1)
    statistic = getattr(SHAPE, name)
    assert batch_distance(statistic, images, images.flip(0)) < 1e-5
    collapsed = images[:1].expand_as(images)
    assert batch_distance(statistic, images, collapsed) > 1e-4
    fake = images.clone().requires_grad_(True)
    batch_distance(statistic, images.flip(3), fake).backward()
    assert torch.isfinite(fake.grad).all()
    assert fake.grad.abs().sum() > 0


def test_the_statistics_measure_what_they_are_named_for():
    image = torch.full((1, 2, BANDS, FRAMES), -1.0)
    low, high = image.clone(), image.clone()
    low[:, :, 2], high[:, :, 28] = 0.5, 0.5
    assert SHAPE.centroid(low).mean() < 0.5 < SHAPE.centroid(high).mean()
    assert SHAPE.rolloff(low).mean() < SHAPE.rolloff(high).mean()
    falling = torch.linspace(0.9, -0.3, FRAMES).expand(1, 2, BANDS, FRAMES)
    level = SHAPE.decay(falling)
    np.testing.assert_allclose(level.diff(dim=2).numpy(), -1.2 / (FRAMES - 1), atol=1e-3)
    wobbling = falling + 0.1 * torch.sin(torch.arange(FRAMES) * np.pi / 2)
    assert SHAPE.periodicity(wobbling)[0, 0, 4] > 3 * SHAPE.periodicity(falling)[0, 0, 4].abs()


def test_an_unknown_architecture_names_the_nearest():
    with pytest.raises(ConfigError, match="stereo-dcgan"):
        check_architecture("stereodcgan")


def test_one_image_does_not_depend_on_the_rest_of_its_batch():
    generator = build_generator(SMALL, BANDS, FRAMES).eval()
    latents = torch.randn(3, 8)
    with torch.no_grad():
        torch.testing.assert_close(generator(latents)[1:2], generator(latents[1:2]))
