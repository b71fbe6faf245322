"""What each statistic and each loss is blind to and not."""

import numpy as np
import pytest
import torch

from samplegan.gan.body_gan import Discriminator
from samplegan.gan.losses import (
    Shape,
    batch_distance,
    discriminator_loss,
    feature_matching,
    generator_loss,
    gradient_penalty,
    reconstruction,
)

BANDS, FRAMES = 32, 16
SHAPE = Shape(45.0, torch.ones(BANDS))


def test_adversarial_losses_are_lowest_where_they_should_be():
    high, low = torch.full((4,), 6.0), torch.full((4,), -6.0)
    assert discriminator_loss(high, low, 0.0) < 0.01 < discriminator_loss(low, high, 0.0)
    assert generator_loss(high) < 0.01 < generator_loss(low)
    # Smoothed labels punish certainty.
    assert discriminator_loss(high, low, 0.1) > discriminator_loss(torch.full((4,), 2.2), low, 0.1)


def test_the_gradient_penalty_is_half_the_squared_slope():
    weight = torch.randn(3 * 4 * 5)
    images = torch.randn(6, 3, 4, 5)
    penalty = gradient_penalty(lambda x: (x.flatten(1) @ weight, []), images)
    assert penalty == pytest.approx(0.5 * float(weight @ weight), rel=1e-5)


def test_the_gradient_penalty_has_a_slope_through_attention():
    torch.manual_seed(3)
    critic = Discriminator(32, 32, 1, width=4)
    images = torch.randn(4, 2, 33, 32)
    gradient_penalty(critic, images).backward()
    slopes = {name: weight.grad for name, weight in critic.named_parameters() if weight.grad is not None}
    assert any("query_key" in name for name in slopes)
    assert all(torch.isfinite(slope).all() for slope in slopes.values())
    assert images.grad is None


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


# --- reconstruction

NO_GRAIN = torch.zeros(2, BANDS, FRAMES)


def images(partials=1):
    """Two sounds that die away, and tracks that fall with them."""
    torch.manual_seed(3)
    decay = torch.linspace(0.8, -0.6, FRAMES)
    image = decay.expand(2, 2, BANDS + partials, FRAMES) + 0.05 * torch.randn(2, 2, BANDS + partials, FRAMES)
    image = image.clamp(-1, 1).clone()
    image[:, 1, BANDS:] = torch.linspace(-0.2, -0.4, FRAMES)
    return image


def loss_of(change, partials=1, real=None):
    """Of one change that is made to images."""
    real = images(partials) if real is None else real
    again = torch.cat([real, torch.ones_like(real[:, :1])], dim=1)
    change(again)
    return reconstruction(real, again, BANDS, real.shape[2] - BANDS, NO_GRAIN).item()


@pytest.mark.parametrize("partials", [0, 1, 2])
def test_an_image_is_no_distance_from_itself(partials):
    assert loss_of(lambda again: None, partials) == 0.0

    def other_noisiness(again):
        again[:, 2] = -0.5

    assert loss_of(other_noisiness, partials) == 0.0


@pytest.mark.parametrize("channel", [0, 1], ids=["level", "frequency"])
@pytest.mark.parametrize("partials", [1, 2])
def test_a_wobble_costs_more_than_an_offset_of_the_same_size(channel, partials):
    amount = 0.05

    def offset(again):
        again[:, channel, BANDS:] += amount

    def wobble(again):
        again[:, channel, BANDS:, 0::2] += amount
        again[:, channel, BANDS:, 1::2] -= amount

    assert loss_of(wobble, partials) > 1.3 * loss_of(offset, partials) > 0.0


def test_a_frequency_where_a_body_has_died_away_costs_little_and_without_a_body_nothing():
    def elsewhere(again):
        again[:, 1, BANDS:, FRAMES // 2 :] = 0.9

    heard = loss_of(elsewhere)
    silent = images()
    silent[:, 0, BANDS:, FRAMES // 2 - 1 :] = -1.0
    assert 0.05 * heard < loss_of(elsewhere, real=silent) < 0.4 * heard
    # Nothing in a sound that has no body at all, or not this part of one.
    silent[:, 0, BANDS:] = -1.0
    assert loss_of(elsewhere, real=silent) < 0.005 * heard
    two = images(2)
    two[:, 0, -1] = -1.0

    def second_elsewhere(again):
        again[:, 1, -1] = 0.9

    assert loss_of(second_elsewhere, real=two) < 0.005 * heard


def test_a_level_costs_more_where_a_body_is_loud():
    real = images()
    real[:, 0, BANDS:] = torch.linspace(0.8, -0.8, FRAMES)

    def softer(frames):
        def change(again):
            again[:, 0, BANDS:, frames] -= 0.05

        return change

    early, late = (loss_of(softer(frames), real=real) for frames in (slice(1, 5), slice(-6, -2)))
    assert early > 3.0 * late > 0.0


def test_a_level_costs_where_there_should_be_silence():
    def louder(again):
        again[:, 0, BANDS:] += 0.5

    silent = images()
    silent[:, 0, BANDS:] = -1.0
    assert loss_of(louder, real=silent) > 0.1


def test_width_costs_where_there_is_something_to_hear():
    def wider(again):
        again[:, 1, :BANDS] += 0.2

    loud, silent = images(0), images(0)
    loud[:, 0], silent[:, 0] = 0.5, -1.0
    assert loss_of(wider, real=silent) < 0.2 * loss_of(wider, real=loud)


def test_a_side_that_few_have_draws_all_away_from_mono():
    real = images(0)
    real[:, 0], real[:, 1] = 0.5, -1.0
    real[1, 1, :, FRAMES // 2 :] = 0.0  # a quarter

    def as_wide_as(width):
        def change(again):
            again[:, 1] = width

        return loss_of(change, 0, real)

    # The median of all, where tanh has hardly a slope, is not the optimum; nor may the mono ones be forgotten.
    assert as_wide_as(-0.9) < as_wide_as(-1.0) < as_wide_as(0.0)


def test_grain_is_added_before_it_is_compared():
    real = images(0)
    again = torch.cat([real, torch.ones_like(real[:, :1])], dim=1)
    again[:, 0] += 0.1
    grain = torch.full((2, BANDS, FRAMES), -0.1)
    assert reconstruction(real, again, BANDS, 0, grain) < 1e-6
    assert reconstruction(real, again, BANDS, 0, NO_GRAIN).item() == pytest.approx(0.1, abs=1e-5)


def test_the_reconstruction_has_a_slope_everywhere():
    real = images()
    again = torch.cat([real, torch.ones_like(real[:, :1])], dim=1).mul(0.9).requires_grad_(True)
    reconstruction(real, again, BANDS, 1, NO_GRAIN).backward()
    assert torch.isfinite(again.grad).all()
    assert (again.grad[:, :2] != 0).float().mean() > 0.95


# --- a row of lines


def with_lines(share, density=0.2, partials=1):
    """Images whose last row says that so much stands in lines."""
    row = torch.empty(2, 2, 1, FRAMES)
    row[:, 0], row[:, 1] = share, density
    return torch.cat([images(partials), row], dim=2)


def loss_with_lines(change, share=0.4, partials=1, grain=NO_GRAIN):
    real = with_lines(share, partials=partials)
    again = torch.cat([real, torch.ones_like(real[:, :1])], dim=1)
    change(again)
    return reconstruction(real, again, BANDS, partials, grain).item()


@pytest.mark.parametrize("partials", [0, 1, 2])
def test_a_row_of_lines_counts_by_itself(partials):
    """What else an image holds costs what it costs without such a row, and the row has one price whatever else."""
    assert loss_with_lines(lambda again: None, partials=partials) == 0.0

    def elsewhere(again):
        again[:, :2, : BANDS + partials] += 0.05

    real = images(partials)
    again = torch.cat([real, torch.ones_like(real[:, :1])], dim=1)
    elsewhere(again)
    alone = reconstruction(real, again, BANDS, partials, NO_GRAIN).item()
    assert loss_with_lines(elsewhere, partials=partials) == pytest.approx(alone, rel=1e-5)

    def other_share(again):
        again[:, 0, -1] += 0.1

    assert loss_with_lines(other_share, partials=partials) == pytest.approx(0.02, rel=1e-4)


def test_the_share_of_lines_counts_and_their_density_where_there_are_any():
    def louder(again):
        again[:, 0, -1] += 0.1

    def denser(again):
        again[:, 1, -1] += 0.1

    assert loss_with_lines(louder, share=-1.0) == pytest.approx(loss_with_lines(louder, share=0.8), rel=1e-4)
    none, some, all_of_it = (loss_with_lines(denser, share=share) for share in (-1.0, 0.0, 1.0))
    assert none == 0.0
    assert some == pytest.approx(0.5 * all_of_it, rel=1e-4) and all_of_it > 0.0


def test_a_step_between_cells_of_lines_is_no_wobble():
    """Their row runs along frequency: neighbours differ as they like."""

    def offset(again):
        again[:, :2, -1] += 0.05

    def alternating(again):
        again[:, :2, -1, 0::2] += 0.05
        again[:, :2, -1, 1::2] -= 0.05

    assert loss_with_lines(alternating) == pytest.approx(loss_with_lines(offset), rel=1e-4)


def test_a_row_of_lines_has_a_slope():
    real = with_lines(0.4, partials=0)
    again = torch.cat([real, torch.ones_like(real[:, :1])], dim=1).mul(0.9).requires_grad_(True)
    reconstruction(real, again, BANDS, 0, NO_GRAIN).backward()
    assert torch.all(again.grad[:, :2, -1] != 0)
    assert torch.all(again.grad[:, 2] == 0)
