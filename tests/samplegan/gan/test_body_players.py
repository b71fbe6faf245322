"""A step of `body-gan`, and what its discriminator is shown."""

import dataclasses
from functools import cache

import numpy as np
import pytest
import torch

from samplegan import synth
from samplegan.config import ImageSettings, Training
from samplegan.dataset import Dataset, Sound, training_sound
from samplegan.gan import body_players
from samplegan.gan.body_players import GAIN_DB, SILENT, BodyPlayers, groups_of
from samplegan.gan.losses import gradient_penalty
from samplegan.gan.players import build_players
from samplegan.representation import representation_for

BANDS, FRAMES, PARTIALS = 32, 16, 1
REPRESENTATION = representation_for(
    ImageSettings(bands=BANDS, frames=FRAMES, linear_bins=5, dense_frames=4, partials=PARTIALS), 0.2
)
SMALL = {
    "batch": 8,
    "generator_width": 4,
    "discriminator_width": 4,
    "encoder_width": 4,
    "code_dim": 8,
    "principal_components": 8,
    "principal_steps": 20,
    "precision": "float32",
}


@cache
def data() -> Dataset:
    """Thirty kicks at two speeds; every fifth is held out."""
    images = [
        [
            REPRESENTATION.analyse(training_sound(sound, speed, REPRESENTATION.length_samples))
            for speed in (1.0, 1.1)
        ]
        for sound in (synth.synthesise("kick", 2, index) for index in range(30))
    ]
    every = np.arange(30)
    return Dataset(np.float16(images), every[every % 5 > 0], every[every % 5 == 0], "fingerprint")


def players_of(**changes) -> BodyPlayers:
    players = build_players(
        Training(**(SMALL | {"game_from_step": 2} | changes)), REPRESENTATION, data(), torch.device("cpu")
    )
    assert isinstance(players, BodyPlayers)
    return players


def state_of(players):
    return {
        f"{name}/{key}": tensor.clone()
        for name, module in players.modules().items()
        for key, tensor in module.state_dict().items()
    }


# --- what the discriminator is shown


def drawn(noisiness, width=0.0):
    images = torch.zeros(6, 3, BANDS + PARTIALS, FRAMES)
    images[:, 1], images[:, 2] = width, noisiness
    return images


def test_grain_is_added_only_where_noise_is_meant():
    players = players_of()
    torch.manual_seed(1)
    smooth, noisy = players.shown(drawn(-1.0)), players.shown(drawn(1.0))
    assert smooth.shape == (6, 2, BANDS + PARTIALS, FRAMES)
    assert torch.equal(smooth, drawn(-1.0)[:, :2])
    assert torch.equal(noisy[:, :, BANDS:], drawn(1.0)[:, :2, BANDS:])  # a partial is no noise
    never = players.share == 0
    assert never.any() and torch.all(noisy[:, :, :BANDS][..., never] == 0)
    assert torch.all(never[:2]) and torch.all(never[:, 0])  # the low end, and the click
    full = players.share > 0.99
    assert full.any() and torch.all(noisy[:, 0, :BANDS][:, full] != 0)
    torch.manual_seed(1)
    half = players.shown(drawn(0.0))
    players.shown(drawn(0.0))
    torch.manual_seed(1)
    whole = players.shown(drawn(1.0))
    torch.testing.assert_close(whole[:, 0], 2 * half[:, 0], atol=1e-6, rtol=1e-5)


def test_every_sound_has_a_grain_of_its_own():
    players = players_of()
    torch.manual_seed(2)
    noisy = players.shown(drawn(1.0))[:, 0, :BANDS]
    assert len(torch.unique(noisy.flatten(1), dim=0)) >= 5


def test_mono_stays_mono_under_grain():
    players = players_of()
    for width in (-1.0, SILENT):
        shown = players.shown(drawn(1.0, width))
        assert torch.all(shown[:, 1] == width)
    assert (players.shown(drawn(1.0, -0.5))[:, 1, :BANDS] != -0.5).float().mean() > 0.3


def test_left_and_right_share_their_grain():
    players = players_of()
    players.shared_grain = True
    shown = players.shown(drawn(1.0, 0.25))
    assert torch.all(shown[:, 1, :BANDS] == 0.25)
    assert (shown[:, 0, :BANDS] != 0.0).float().mean() > 0.3


def test_what_is_shown_is_in_range_and_has_a_slope():
    players = players_of()
    images = (torch.rand(6, 3, BANDS + PARTIALS, FRAMES) * 2 - 1).requires_grad_(True)
    shown = players.shown(images)
    assert shown.abs().max() <= 1
    shown.sum().backward()
    assert torch.isfinite(images.grad).all()
    assert images.grad[:, 2, :BANDS].abs().sum() > 0  # so noisiness is learned from the judge


def test_the_grain_that_is_shown_is_that_of_the_representation():
    players = players_of()
    share, grains = REPRESENTATION.cell_noise(64, players.training.seed)
    np.testing.assert_array_equal(players.share.numpy(), share)
    np.testing.assert_array_equal(players.grains.numpy(), grains)


# --- steps


def test_a_sound_is_learned_louder_and_softer_and_its_silence_silent():
    players = players_of()
    real = torch.from_numpy(data().batch(np.arange(8), np.zeros(8, dtype=np.int64)))
    torch.manual_seed(3)
    changed = players._louder_or_softer(real)
    assert torch.equal(changed[:, 1], real[:, 1])
    silent = real[:, 0] <= SILENT
    assert silent.any() and torch.equal(changed[:, 0][silent], real[:, 0][silent])
    gains = (changed - real)[:, 0] * REPRESENTATION.decibels_per_unit
    middle = (real[:, 0] > -0.9) & (real[:, 0] < 0.85)  # what no clipping reaches
    one_gain = torch.stack([gains[k][middle[k]].median() for k in range(8)])
    assert one_gain.abs().max() <= GAIN_DB and one_gain.std() > 0.5
    for k in range(8):
        torch.testing.assert_close(
            gains[k][middle[k]], one_gain[k].expand(int(middle[k].sum())), atol=1e-3, rtol=0
        )


def test_what_a_step_does_follows_from_the_seed_and_the_step_alone():
    one, other, third = players_of(), players_of(), players_of(seed=1)
    for step in range(4):
        torch.rand(step)  # whatever was drawn before
        one.step(step, measure=False)
        if step == 2:
            other.validate()
        other.step(step, measure=step == 1)
        third.step(step, measure=False)
    first, second = state_of(one), state_of(other)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not all(torch.equal(first[key], tensor) for key, tensor in state_of(third).items())


def test_the_game_begins_when_it_is_told_to():
    players = players_of(game_from_step=2, game_every_steps=2)
    before = {key: tensor for key, tensor in state_of(players).items() if key.startswith("discriminator")}
    for step in range(2):
        terms = players.step(step, measure=True)
        assert set(terms) == {"reconstruction", "divergence", "noisiness"}
    now = state_of(players)
    assert all(torch.equal(now[key], tensor) for key, tensor in before.items())
    terms = players.step(2, measure=True)
    assert {"discriminator", "generator", "feature_matching"} < set(terms)
    assert all(torch.isfinite(term) and not term.requires_grad for term in terms.values())
    now = state_of(players)
    assert not all(torch.equal(now[key], tensor) for key, tensor in before.items())
    played = ["generator" in players.step(step, measure=True) for step in range(3, 7)]
    assert played == [False, True, False, True]


def test_a_gradient_penalty_flattens_the_discriminator():
    torch.manual_seed(0)
    image = torch.randn(8, 2, BANDS + PARTIALS, FRAMES)

    def steepness(players):
        for step in range(2, 20):
            players.step(step, measure=False)
        return gradient_penalty(players.discriminator, image).item()

    assert steepness(players_of(gradient_penalty=100.0)) < 0.5 * steepness(players_of())


def test_every_sound_has_its_own_place_among_the_known_codes():
    players = players_of(batch=8)
    assert players.generator.anchors.shape == (24 * 2, 8)
    for step in range(3):  # an epoch
        players.step(step, measure=False)
    known = players.generator.anchors.any(dim=1)
    assert int(known.sum()) == 24
    assert torch.all(known.reshape(24, 2).sum(dim=1) == 1)  # one variation of each


def test_codes_between_sounds_lie_between_them():
    players = players_of(aside=0.0)
    known = players.generator
    known.anchors.copy_(torch.randn(48, 8))
    known.groups.copy_(torch.arange(48) // 2)
    torch.manual_seed(4)
    for _ in range(10):
        mean = known.anchors[:4].clone()
        way = players._between(mean, known.groups[:4]) - mean
        # On a straight way to one of the known codes of other groups.
        ways = known.anchors[None] - mean[:, None]
        along = torch.nn.functional.cosine_similarity(way[:, None], ways, dim=2)
        along[known.groups[:4, None] == known.groups] = -1.0
        length = way.norm(dim=1)
        best = along.argmax(dim=1)
        assert torch.all((along.max(dim=1).values > 0.999) | (length < 1e-3))
        assert torch.all(length <= ways[torch.arange(4), best].norm(dim=1) + 1e-5)


def test_what_has_no_stranger_stays_where_it_is():
    players = players_of(aside=0.0)
    mean = torch.randn(4, 8)
    players.generator.anchors.copy_(torch.randn(48, 8))
    assert torch.equal(players._between(mean, torch.zeros(4, dtype=torch.int32)), mean)
    assert not torch.any(torch.isclose(players._between(mean, torch.ones(4, dtype=torch.int32)), mean))


def test_sounds_of_one_kit_are_one_group_unless_it_has_many_of_all():
    kits = ["a"] * 4 + ["b"] * 11 + ["c"] * 3 + ["d"] * 2
    sounds = tuple(Sound(f"{index}", kit, "", content=f"{index}") for index, kit in enumerate(kits))
    found = groups_of(dataclasses.replace(data(), images=np.zeros((20, 1)), sounds=sounds))
    for kit, size in (("a", 1), ("b", 11), ("c", 1), ("d", 1)):
        assert len({found[index] for index, each in enumerate(kits) if each == kit}) == size
    assert len(set(found)) == 14


def test_a_model_has_its_own_codes_of_the_sounds_as_anchors():
    players = players_of()
    for step in range(3):
        players.step(step, measure=False)
    generator = players.exported()
    assert generator.anchors.shape == (24 * 2, 8)
    assert not generator.training
    with torch.no_grad():
        for variation in range(2):
            images = data().batch(data().training[:5], np.full(5, variation))
            codes, _ = generator.encode(torch.from_numpy(images))
            assert torch.cdist(codes, generator.anchors).min(dim=1).values.max() < 1e-3
    groups = generator.groups[torch.cdist(codes, generator.anchors).argmin(dim=1)]
    assert torch.equal(groups, players.groups[data().training[:5]])
    assert len(set(generator.groups.tolist())) == 24  # a sound and itself at another speed are one group
    again = players.exported()
    assert torch.equal(again.anchors, generator.anchors)
    assert torch.equal(again.residual_basis, generator.residual_basis)
    assert players.averaged.anchors.shape == (1, 8)  # what was exported is a copy


def test_a_model_knows_what_its_decoder_leaves_out():
    players = players_of(residual_components=1000)
    for step in range(3):
        players.step(step, measure=False)
    generator = players.exported()
    sounds = data().training
    with torch.no_grad():
        images = torch.from_numpy(data().batch(sounds[:6], np.zeros(6, dtype=int)))
        codes, _ = generator.encode(images)
        place = torch.cdist(codes, generator.anchors).argmin(dim=1)
        residuals = torch.tensordot(generator.residuals[place], generator.residual_basis, 1)
        left_out = images[:, 0, :BANDS] - generator.decode(codes)[:, 0, :BANDS]
    unsaid = (left_out - residuals) - (left_out - residuals).mean(dim=0)  # the mean is nobody's own
    assert unsaid.abs().mean() < 0.3 * (left_out - left_out.mean(dim=0)).abs().mean()
    assert len(players_of(residual_components=0).exported().residual_basis) == 0


def test_a_validation_tells_how_far_it_is_and_how_far_training_sounds_are():
    validation = players_of().validate()
    assert validation.held_out.shape == (6, 2, BANDS + PARTIALS, FRAMES)
    assert validation.generated.shape[1:] == (2, BANDS + PARTIALS, FRAMES)
    scores = validation.scores
    assert scores["held_out_mmd"] > scores["held_out_mmd_of_training"]
    assert 0.0 < validation.score <= scores["held_out_mmd"] + 0.1
    assert players_of().validate().scores == scores


@pytest.mark.parametrize(("partials", "lines"), [(0, False), (2, False), (0, True), (1, True)])
def test_any_number_of_partials_can_be_learned_with_and_without_lines(partials, lines):
    settings = ImageSettings(
        bands=BANDS, frames=FRAMES, linear_bins=5, dense_frames=4, partials=partials, lines=lines
    )
    representation = representation_for(settings, 0.2)
    images = np.random.default_rng(5).uniform(-1, 1, (26, 1, 2, representation.rows, FRAMES))
    every = np.arange(26)
    random = Dataset(np.float16(images), every[:20], every[20:], "fingerprint")
    players = build_players(Training(**SMALL, game_from_step=0), representation, random, torch.device("cpu"))
    for step in range(2):
        terms = players.step(step, measure=True)
        assert all(torch.isfinite(term) for term in terms.values())
    assert players.validate().generated.shape[2] == BANDS + partials + lines
    images = torch.from_numpy(random.batch(every[:6], np.zeros(6, dtype=np.int64)))
    images = torch.cat([images, torch.ones_like(images[:, :1])], dim=1)
    assert torch.equal(players.shown(images)[:, :, BANDS:], images[:, :2, BANDS:])  # grain is of bands alone


# --- what comes before the first step


def test_beginning_draws_training_sounds_nearer_than_their_mean_and_reports():
    players, told = players_of(principal_steps=150), []
    players.begin(lambda done, count: told.append((done, count)))
    assert told == [(step, 150) for step in range(150)]
    real = torch.from_numpy(data().batch(data().training, np.zeros(24, dtype=np.int64)))
    with torch.no_grad():
        again = players.generator.decode(players.generator.encode(real)[0])

    def apart(images):
        grain = players.share * players.grains.mean(dim=0)
        return float((images[:, 0, :BANDS] + grain - real[:, 0, :BANDS]).abs().mean())

    assert apart(again) < 0.7 * apart(real.mean(dim=0, keepdim=True).expand_as(real))
    assert all(
        torch.equal(one, other)
        for one, other in zip(*map(weights_of, (players.generator, players.averaged)), strict=True)
    )


def weights_of(generator):
    return [*generator.parameters(), generator.principal.basis]


def test_what_beginning_learns_follows_from_the_seed_alone(monkeypatch):
    monkeypatch.setattr(body_players, "FITTED_SOUNDS", 12)  # of 24: another seed takes others
    one, other, third = players_of(), players_of(), players_of(seed=1)
    for number, players in enumerate((one, other, third)):
        torch.rand(number)
        players.begin(lambda done, count: None)
    first, second = state_of(one), state_of(other)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.allclose(
        first["generator/principal.basis"], state_of(third)["generator/principal.basis"]
    )


def test_without_such_steps_there_are_no_principal_components():
    players = players_of(principal_steps=0)
    before = state_of(players)
    players.begin(lambda done, count: None)
    assert all(torch.equal(before[key], tensor) for key, tensor in state_of(players).items())
    assert not players.generator.principal.basis.any()


def test_going_on_from_a_model_takes_its_principal_components_along():
    one, other = players_of(), players_of(seed=1)
    one.begin(lambda done, count: None)
    other.start_from(one.exported())
    for generator in (other.generator, other.averaged):
        assert all(map(torch.equal, weights_of(generator), weights_of(one.generator)))
    codes = torch.randn(3, 8)
    torch.testing.assert_close(other.generator.decode(codes), one.generator.decode(codes))
