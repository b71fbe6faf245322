"""The autoencoder and the game's judge: shapes, gradients, and where new sounds are drawn."""

import math

import numpy as np
import pytest
import torch

from samplegan import synth
from samplegan.config import ImageSettings
from samplegan.dataset import training_sound
from samplegan.gan import body_gan
from samplegan.gan.body_gan import Discriminator, Generator, Principal
from samplegan.gan.layers import SelfAttention
from samplegan.gan.losses import reconstruction
from samplegan.representation import representation_for

FRAMES = 16
NOWHERE = -12.0  # of a latent that chooses: the first anchor, the nearest neighbour, none of the way


def generator_of(bands=32, partials=1, anchors=5, **changes):
    torch.manual_seed(0)
    settings = {"code_dim": 8, "width": 4, "encoder_width": 4} | changes
    generator = Generator(bands, FRAMES, partials, anchors=anchors, **settings)
    generator.anchors.copy_(torch.randn(anchors, settings["code_dim"]))
    return generator


def latents_of(generator, *choices, aside=0.0):
    """Latents of which the first three are told."""
    latents = torch.full((1, generator.latent_dim), aside)
    latents[0, :3] = torch.tensor(choices)
    return latents


def choice(index, count):
    """The normal number that chooses `index` of `count`."""
    return float(torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor((index + 0.5) / count)))


# --- shapes and gradients


@pytest.mark.parametrize("bands", [32, 96])
@pytest.mark.parametrize("partials", [0, 1, 2])
def test_latents_become_images_of_three_channels_in_range(bands, partials):
    generator = generator_of(bands, partials)
    images = generator(torch.randn(5, generator.latent_dim))
    assert images.shape == (5, 3, bands + partials, FRAMES)
    assert images.abs().max() <= 1
    assert images.dtype == torch.float32
    assert torch.all(images[:, 2, bands:] == 1)  # a partial is no noise, and none is drawn for it


@pytest.mark.parametrize("bands", [32, 96])
@pytest.mark.parametrize("partials", [0, 1, 2])
def test_images_of_two_and_of_three_channels_have_the_same_codes(bands, partials):
    generator = generator_of(bands, partials)
    images = torch.rand(5, 3, bands + partials, FRAMES) * 2 - 1
    mean, log_variance = generator.encode(images)
    assert mean.shape == log_variance.shape == (5, 8)
    torch.testing.assert_close(generator.encode(images[:, :2])[0], mean)
    _, extreme = generator.encode(1e4 * images)
    assert extreme.abs().max() <= 8.0 and extreme.max() <= 4.0


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize(("bands", "partials"), [(32, 0), (32, 1), (96, 2)])
def test_the_discriminator_gives_one_logit_and_its_features(bands, partials, attention):
    discriminator = Discriminator(bands, FRAMES, partials, width=4, attention=attention)
    images = torch.rand(5, 3, bands + partials, FRAMES) * 2 - 1
    logits, features = discriminator(images)
    assert logits.shape == (5,)
    assert len(features) == 4 + (3 if partials else 0) + 1
    torch.testing.assert_close(discriminator.eval()(images)[0], discriminator(images[:, :2])[0])


@pytest.mark.parametrize("partials", [0, 1, 2])
def test_gradients_reach_every_weight(partials):
    generator, discriminator = generator_of(partials=partials), Discriminator(32, FRAMES, partials, width=4)
    for module in discriminator.modules():
        if isinstance(module, SelfAttention):
            module.gate.data.fill_(0.5)  # it starts at zero, and its inside learns once it has moved
    real = torch.rand(6, 2, 32 + partials, FRAMES) * 2 - 1
    generator.principal.fit(real)
    mean, log_variance = generator.encode(real)
    again = generator.decode(mean + (0.5 * log_variance).exp())
    logits, _ = discriminator(again)
    (logits.sum() + again.square().sum()).backward()
    for network in (generator, discriminator):
        for name, weight in network.named_parameters():
            assert weight.grad is not None, name
            assert torch.isfinite(weight.grad).all() and weight.grad.abs().sum() > 0, name


def test_spectral_normalisation_bounds_every_layer():
    torch.manual_seed(0)
    discriminator = Discriminator(32, FRAMES, 2, width=4)
    image = torch.randn(2, 2, 34, FRAMES)
    for _ in range(100):  # the power iteration settles
        discriminator(image)
    layers = (torch.nn.Conv2d, torch.nn.Conv1d, torch.nn.Linear)
    for name, module in discriminator.named_modules():
        if isinstance(module, layers):
            largest = torch.linalg.svdvals(module.weight.flatten(1))[0]
            assert largest.item() == pytest.approx(1.0, abs=0.05), name


@pytest.mark.parametrize("width", range(1, 19))
def test_any_width_can_be_asked_for(width):
    generator = generator_of(width=width, encoder_width=width)
    mean, _ = generator.encode(torch.zeros(2, 2, 33, FRAMES))
    assert torch.isfinite(generator.decode(mean)).all()


def test_a_wobble_is_seen_larger_than_a_slope():
    """What is small next to the range of a level is heard, so the judge must see it."""
    torch.manual_seed(0)
    discriminator = Discriminator(32, FRAMES, 1, width=4).eval()
    with torch.no_grad():
        image = torch.zeros(1, 2, 33, FRAMES)
        offset, wobbling = image.clone(), image.clone()
        offset[:, 0, 32] += 0.03
        wobbling[:, 0, 32, 0::2] += 0.03
        wobbling[:, 0, 32, 1::2] -= 0.03
        plain, moved, shaken = (discriminator(each)[1][4] for each in (image, offset, wobbling))
    assert (shaken - plain).abs().mean() > 3 * (moved - plain).abs().mean()


# --- where new sounds are drawn


@pytest.mark.parametrize("index", range(5))
def test_an_anchor_is_hit_when_the_step_aside_and_the_way_are_zero(index):
    generator = generator_of()
    codes = generator.codes(latents_of(generator, choice(index, 5), 0.3, NOWHERE))
    torch.testing.assert_close(codes[0], generator.anchors[index], atol=1e-6, rtol=1e-6)


def test_a_whole_way_ends_at_a_neighbour():
    generator = generator_of(anchors=40)
    anchor = generator.anchors[7]
    nearest = (generator.anchors - anchor).norm(dim=1).argsort()
    for number in range(10):
        codes = generator.codes(latents_of(generator, choice(7, 40), choice(number, 10), -NOWHERE))
        neighbour = generator.anchors[nearest[1 + number]]
        torch.testing.assert_close(codes[0], neighbour, atol=1e-5, rtol=1e-5)
        half = generator.codes(latents_of(generator, choice(7, 40), choice(number, 10), 0.0))
        torch.testing.assert_close(half[0], (anchor + neighbour) / 2, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("along", [0.0, 0.25, 1.0])
def test_new_sounds_lie_no_further_along_the_way_than_is_set(along):
    generator = generator_of(anchors=40, along=along)
    anchor = generator.anchors[7]
    nearest = (generator.anchors - anchor).norm(dim=1).argsort()
    codes = generator.codes(latents_of(generator, choice(7, 40), choice(3, 10), -NOWHERE))
    expected = anchor + along * (generator.anchors[nearest[4]] - anchor)
    torch.testing.assert_close(codes[0], expected, atol=1e-5, rtol=1e-5)


def test_sounds_of_one_group_are_no_neighbours():
    generator = generator_of(anchors=40, aside=0.0)
    generator.groups = torch.arange(40, dtype=torch.int32) // 20
    generator.anchors[20:] += 100.0
    for index, nearer in ((3, True), (30, False)):
        latents = torch.randn(200, generator.latent_dim)
        latents[:, 0] = choice(index, 40)
        latents[:, 2] = -NOWHERE  # nothing of the anchor itself
        codes = generator.codes(latents)
        assert torch.all((codes.mean(dim=1) > 50.0) == nearer)
    generator.groups[:] = 0  # nobody is a stranger
    torch.testing.assert_close(generator.codes(latents), generator.anchors[30].expand(200, -1))


def test_every_anchor_is_chosen_alike():
    generator = generator_of(anchors=4)
    latents = torch.randn(4000, generator.latent_dim, generator=torch.Generator().manual_seed(1))
    latents[:, 2], latents[:, 3:] = NOWHERE, 0.0
    chosen = torch.cdist(generator.codes(latents), generator.anchors).argmin(dim=1)
    assert torch.bincount(chosen, minlength=4).min() > 900


@pytest.mark.parametrize("aside", [0.0, 0.5, 2.0])
def test_the_step_aside_is_as_long_as_it_is_set(aside):
    generator = generator_of(aside=aside)
    straight = latents_of(generator, 0.4, -0.2, 0.1)
    moved = straight.clone()
    moved[:, 3:] = torch.randn(1, 8)
    difference = generator.codes(moved) - generator.codes(straight)
    torch.testing.assert_close(difference, aside * moved[:, 3:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("anchors", [1, 2, 30])
def test_truncation_draws_towards_the_mean(anchors):
    generator = generator_of(anchors=anchors)
    latents = torch.randn(20, generator.latent_dim)
    mean = generator.anchors.mean(dim=0)
    torch.testing.assert_close(generator.codes(latents, 0.0), mean.expand(20, -1))
    whole, half = generator.codes(latents, 1.0), generator.codes(latents, 0.5)
    torch.testing.assert_close(half - mean, (whole - mean) / 2, atol=1e-5, rtol=1e-5)


def test_extreme_latents_are_codes_too():
    generator = generator_of()
    for value in (-40.0, 40.0):
        latents = latents_of(generator, value, value, value)
        assert torch.isfinite(generator.codes(latents)).all()


@pytest.mark.parametrize("components", [0, 6])
def test_a_sound_does_not_depend_on_its_batch(components):
    generator, _ = knowing(anchors=50, components=components)
    latents = torch.randn(7, generator.latent_dim)
    with torch.no_grad():
        codes = generator.codes(latents)
        for index in range(7):
            alone = generator.codes(latents[index : index + 1])
            assert torch.equal(alone[0], codes[index])
        torch.testing.assert_close(generator(latents)[3:4], generator(latents[3:4]), atol=1e-5, rtol=1e-4)


# --- what a decoder leaves out


def knowing(anchors=40, components=6, scale=0.05, partials=1):
    """A generator that knows residuals of its anchors, and these residuals."""
    generator = generator_of(anchors=anchors, partials=partials).eval().requires_grad_(False)
    residuals = scale * torch.randn(anchors, 32, FRAMES)
    generator.know(generator.anchors.clone(), residuals=residuals, components=components)
    return generator, residuals


def test_the_images_of_residuals_are_those_that_say_most():
    generator, residuals = knowing(anchors=12, components=100)
    assert len(generator.residual_basis) == 11  # of twelve sounds no more differ from their mean
    again = torch.tensordot(generator.residuals, generator.residual_basis, 1)
    torch.testing.assert_close(again, residuals - residuals.mean(dim=0), atol=1e-5, rtol=1e-4)
    flat = generator.residual_basis.flatten(1)
    torch.testing.assert_close(flat @ flat.T, torch.eye(11), atol=1e-4, rtol=0)
    few, _ = knowing(anchors=12, components=2)
    assert few.residuals.square().sum() >= generator.residuals[:, :2].square().sum()
    assert few.residuals.var(dim=0).min() >= generator.residuals.var(dim=0).sort().values[-2] * 0.999


def test_new_sounds_have_the_covariance_of_the_residuals_around_them():
    generator, _ = knowing(anchors=10)  # all of them are around
    latents = torch.randn(6000, generator.latent_dim, generator=torch.Generator().manual_seed(1))
    amounts = generator.codes(latents)[:, 8:]
    wanted = generator.residuals.T @ generator.residuals / 10
    assert amounts.mean(dim=0).abs().max() < 0.05 * wanted.diagonal().max().sqrt()
    torch.testing.assert_close(
        amounts.T @ amounts / 6000, wanted, atol=0.06 * float(wanted.diagonal().max()), rtol=0
    )


def test_residuals_come_from_the_sounds_around():
    generator, _ = knowing(anchors=40)
    generator.anchors[:20] += 100.0
    generator.residuals[20:] = 0.0
    latents = torch.randn(30, generator.latent_dim)
    latents[:15, 0], latents[15:, 0] = choice(3, 40), choice(30, 40)
    latents[:, 2] = NOWHERE
    amounts = generator.codes(latents)[:, 8:].abs().sum(dim=1)
    assert amounts[:15].min() > 0.0
    assert amounts[15:].max() == 0.0


def test_residuals_change_levels_of_bands_and_nothing_else():
    generator, _ = knowing(partials=2)
    codes = generator.codes(torch.randn(5, generator.latent_dim))
    plain, given = generator.decode(codes[:, :8]), generator.decode(codes)
    assert (given - plain)[:, 0, :32].abs().amax(dim=(1, 2)).min() > 0.01
    assert torch.equal(given[:, 1:], plain[:, 1:])
    assert torch.equal(given[:, :, 32:], plain[:, :, 32:])
    assert given.abs().max() <= 1.0


def test_residuals_make_no_frame_much_louder_or_softer():
    """In no quarter of the bands: the level of all is that of the lows, under which highs could come and go."""
    generator, _ = knowing(scale=0.1)  # five times as much reaches silence, where levels end
    codes = generator.codes(torch.randn(20, generator.latent_dim))
    plain, given = (
        generator.decode(each)[:, 0, :32].double() * generator.decibels_per_unit
        for each in (codes[:, :8], codes)
    )
    assert (given - plain).abs().max() > 10.0
    powers = [torch.pow(10.0, level / 10.0).unflatten(1, (4, 8)).sum(dim=2) for level in (plain, given)]
    louder = (10.0 * torch.log10(powers[1] / powers[0])).abs()
    assert louder.quantile(0.9) < 2.1
    assert louder.max() < 3.5


def test_what_residuals_are_held_by_has_no_edges_between_bands(monkeypatch):
    generator, _ = knowing(scale=0.1)
    generator.decoder.image.bias[0] = 0.5  # far from silence
    codes = generator.codes(torch.randn(20, generator.latent_dim))
    held = generator.decode(codes)[:, 0, :32]
    monkeypatch.setattr(body_gan, "_LOUDER_DB", math.inf)
    taken = held - generator.decode(codes)[:, 0, :32]
    # From the middle of a quarter to that of the next are 8 bands.
    assert taken.diff(dim=1).abs().max() < 1.1 * (taken.amax() - taken.amin()) / 8
    assert taken.abs().max() * generator.decibels_per_unit > 2.0


def test_silence_has_no_residual(monkeypatch):
    generator, _ = knowing(scale=3.0)
    silent = torch.full((1, 3, 33, FRAMES), -1.0)
    monkeypatch.setattr(generator.decoder, "forward", lambda codes, principal: silent)
    assert torch.equal(generator(torch.randn(1, generator.latent_dim)), silent)


def test_without_components_nothing_is_kept():
    generator, _ = knowing(components=0)
    assert generator.latent_dim == 3 + 8
    assert generator.codes(torch.randn(2, 11)).shape == (2, 8)


def test_other_anchors_have_other_residuals_or_none():
    generator, _ = knowing(anchors=12)
    generator.know(torch.randn(3, 8))
    assert generator.latent_dim == 3 + 8
    fresh = generator_of()
    fresh.load_state_dict(generator.state_dict())
    latents = torch.randn(2, 11)
    assert torch.equal(fresh(latents), generator(latents))


def test_truncation_takes_residuals_away():
    generator, _ = knowing()
    latents = torch.randn(4, generator.latent_dim)
    assert generator.codes(latents, 0.0)[:, 8:].abs().max() == 0.0
    assert generator.codes(latents, 1.0)[:, 8:].abs().min() > 0.0


# --- states


@pytest.mark.parametrize("count", [1, 2, 300])
def test_a_state_with_another_number_of_anchors_loads(count):
    trained, fresh = generator_of(anchors=count), generator_of(anchors=5)
    fresh.load_state_dict(trained.state_dict())
    assert torch.equal(fresh.anchors, trained.anchors)
    latents = torch.randn(3, trained.latent_dim)
    assert torch.equal(fresh(latents), trained(latents))
    older = {name: value for name, value in trained.state_dict().items() if name != "groups"}
    fresh = generator_of(anchors=5)
    fresh.load_state_dict(older)
    assert torch.equal(fresh(latents), trained(latents))  # each sound stood for itself


def test_groups_are_part_of_a_state():
    trained, fresh = generator_of(anchors=30), generator_of(anchors=5)
    trained.groups = torch.arange(30, dtype=torch.int32) % 3
    fresh.load_state_dict(trained.state_dict())
    assert torch.equal(fresh.groups, trained.groups)
    with pytest.raises(RuntimeError, match="groups"):
        fresh.load_state_dict(trained.state_dict() | {"groups": torch.zeros(29, dtype=torch.int32)})


def test_a_state_of_before_tracks_were_drawn_frame_by_frame_draws_as_it_did():
    trained, fresh = generator_of(partials=2), generator_of(partials=2)
    latents = torch.randn(3, trained.latent_dim)
    wanted = trained(latents)
    older = {name: value for name, value in trained.state_dict().items() if "direct_tracks" not in name}
    assert len(older) == len(trained.state_dict()) - 2
    torch.nn.init.normal_(fresh.decoder.direct_tracks.weight)
    assert not torch.equal(fresh(latents), wanted)
    fresh.load_state_dict(older)
    assert torch.equal(fresh(latents), wanted)


def test_a_track_may_change_in_one_frame_alone():
    """As an attack does; what convolutions of interpolated features draw is rounded off."""
    generator = generator_of(partials=1)
    latents = torch.randn(3, generator.latent_dim)
    before = generator(latents)
    with torch.no_grad():
        generator.decoder.direct_tracks.bias[5] = 1.0  # of the level, in frame 5
    moved = (generator(latents) - before).abs().amax(dim=0)
    assert moved[0, -1, 5] > 0.1
    moved[0, -1, 5] = 0.0
    assert torch.all(moved == 0.0)


def test_residuals_are_part_of_a_state_and_an_older_one_has_none():
    trained, _ = knowing()
    fresh = generator_of()
    fresh.load_state_dict(trained.state_dict())
    latents = torch.randn(3, trained.latent_dim)
    torch.testing.assert_close(fresh(latents), trained(latents), atol=1e-6, rtol=1e-5)
    older = {name: value for name, value in trained.state_dict().items() if "residual" not in name}
    fresh.load_state_dict(older)
    assert fresh.latent_dim == 11
    assert torch.equal(fresh.anchors, trained.anchors)
    for broken in ({"residual_basis": torch.tensor(1.0)}, {"residuals": torch.zeros(3, 6)}):
        with pytest.raises(RuntimeError, match="residual"):
            fresh.load_state_dict(trained.state_dict() | broken)


def test_a_state_of_other_codes_is_refused():
    with pytest.raises(RuntimeError, match="size mismatch"):
        generator_of(code_dim=8).load_state_dict(generator_of(code_dim=9).state_dict())
    broken = generator_of().state_dict()
    broken["anchors"] = broken["anchors"].flatten()
    with pytest.raises(RuntimeError, match="anchors"):
        generator_of().load_state_dict(broken)
    del broken["anchors"]
    with pytest.raises(RuntimeError, match="anchors"):
        generator_of().load_state_dict(broken)


# --- principal components


def images_of(count, dimensions=3, bands=32, tracks=1):
    """Images that are a mean and so many others, in amounts that differ; with the amounts."""
    torch.manual_seed(4)
    mean, others = (
        0.2 * torch.randn(1, 2, bands + tracks, FRAMES),
        0.1 * torch.randn(dimensions, 2, bands + tracks, FRAMES),
    )
    amounts = torch.randn(count, dimensions)
    return mean + torch.einsum("sd,dcrf->scrf", amounts, others), amounts


def test_as_many_principal_components_as_there_are_dimensions_say_everything():
    images, _ = images_of(20)
    principal = Principal(32, FRAMES, 1, components=5)
    principal.fit(images)
    levels, tracks = principal.drawn(torch.cat([principal.amounts(images), torch.ones(20, 1)], dim=1))
    torch.testing.assert_close(levels, images[:, 0, :32], atol=1e-5, rtol=0)
    torch.testing.assert_close(tracks, images[:, :, 32:], atol=1e-5, rtol=0)


def test_amounts_are_in_standard_deviations_unrelated_and_the_largest_first():
    images, _ = images_of(400)
    principal = Principal(32, FRAMES, 1, components=3)
    principal.fit(images)
    amounts = principal.amounts(images)
    torch.testing.assert_close(amounts.T @ amounts / 400, torch.eye(3), atol=1e-3, rtol=0)
    sizes = (principal.basis[:-1] * principal.weight).norm(dim=1)
    assert torch.all(sizes.diff() < 0)
    torch.testing.assert_close(principal.amounts(images[7:8])[0], amounts[7], atol=1e-4, rtol=0)


def test_sounds_of_one_kind_have_fewer_components_and_no_silence_breaks_them():
    same = torch.full((4, 2, 33, FRAMES), -1.0)
    principal = Principal(32, FRAMES, 1, components=8)
    principal.fit(same)
    assert torch.isfinite(principal.basis).all()
    amounts = principal.amounts(same)
    assert torch.isfinite(amounts).all()
    levels, _ = principal.drawn(torch.cat([amounts, torch.ones(4, 1)], dim=1))
    torch.testing.assert_close(levels, same[:, 0, :32], atol=1e-4, rtol=0)


@pytest.mark.parametrize("partials", [0, 2])
def test_what_convolutions_add_begins_as_nothing(partials):
    generator = generator_of(partials=partials, principal_components=4)
    images, _ = images_of(20, tracks=partials)
    generator.begin(images.clamp(-1, 1))
    codes = torch.randn(3, 8)
    levels, tracks = generator.principal.drawn(generator.decoder.to_amounts(codes))
    drawn = generator.decode(codes)
    torch.testing.assert_close(drawn[:, 0, :32], levels.clamp(-1, 1))
    torch.testing.assert_close(drawn[:, :2, 32:], tracks.clamp(-1, 1))


def test_models_of_before_principal_components_draw_as_they_did():
    generator = generator_of()
    generator.begin(images_of(20)[0].clamp(-1, 1))
    now = generator.state_dict()
    older = {
        name: tensor
        for name, tensor in now.items()
        if "amounts" not in name and not name.startswith("principal.")
    }
    loaded, other = generator_of(), generator_of()
    loaded.load_state_dict(dict(older))
    torch.manual_seed(9)
    for weight in other.decoder.to_amounts.parameters():  # whatever they would draw
        torch.nn.init.normal_(weight)
    other.load_state_dict(dict(older))
    codes = torch.randn(3, 8)
    assert torch.equal(loaded.decode(codes), other.decode(codes))
    assert not loaded.principal.basis.any()
    images = torch.rand(3, 2, 33, FRAMES) * 2 - 1
    assert torch.equal(loaded.encode(images)[0], other.encode(images)[0])


# --- learning


def test_some_steps_bring_decoded_sounds_nearer():
    settings = ImageSettings(bands=32, frames=FRAMES, linear_bins=5, dense_frames=4, partials=1)
    representation = representation_for(settings, 0.3)
    sounds = (synth.synthesise("kick", 1, index) for index in range(32))
    images = [
        representation.analyse(training_sound(sound, 1.0, representation.length_samples)) for sound in sounds
    ]
    real = torch.from_numpy(np.stack(images))
    generator = generator_of(code_dim=16, width=6, encoder_width=8)
    optimiser = torch.optim.Adam(generator.parameters(), 1e-3, (0.5, 0.99))
    grain = torch.zeros(())
    losses = []
    for _ in range(90):
        mean, log_variance = generator.encode(real)
        codes = mean + torch.randn_like(mean) * (0.5 * log_variance).exp() * 0.1
        loss = reconstruction(real, generator.decode(codes), 32, representation.partials, grain)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(generator.parameters(), 5.0)
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]
    # Nearer to each than one image for all can be: what a sound is goes through its code.
    median = real.median(dim=0, keepdim=True).values.expand_as(real)
    with torch.no_grad():
        again = generator.decode(generator.encode(real)[0])
    assert reconstruction(real, again, 32, representation.partials, grain) < 0.9 * reconstruction(
        real, median, 32, representation.partials, grain
    )


def test_a_plane_that_is_mono_everywhere_can_become_wide_again():
    generator = generator_of(code_dim=16, width=6, encoder_width=8)
    with torch.no_grad():
        generator.decoder.image.bias[1] = -60.0
    images = generator.decode(torch.randn(4, 16))
    assert images[:, 1, :32].max() < -0.99
    images[:, 1, :32].mean().backward()
    assert generator.decoder.image.bias.grad[1] > 0.0
