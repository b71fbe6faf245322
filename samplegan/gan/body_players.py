"""One step of `body-gan`: sounds encoded and decoded again, and the game over what lies between them."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from samplegan.config import Training
from samplegan.dataset import Dataset, Progress
from samplegan.gan import AnyGenerator, body_gan
from samplegan.gan.losses import feature_matching, generator_loss, reconstruction
from samplegan.gan.players import Players
from samplegan.representation import Representation

GRAINS = 64  # draws of noise
KNOWN_CODES = 4096  # that new codes are drawn among
LARGEST_KIT = 0.5  # of all sounds: new ones lie between kits, unless one has more
NEIGHBOURS = 15
MOST_ANCHORS = 1024  # in a model
FURTHER = 1.25  # the game is played further aside than new sounds are drawn: their place is well within it
GAIN_DB = 3.0  # either way: what is learned of a sound is also learned a little louder and softer
LARGEST_GRADIENT = 5.0
FITTED_SOUNDS = 1024  # that principal components are taken from
PRINCIPAL_BATCH, PRINCIPAL_RATE = 64, 2e-3
SILENT = -0.97  # a cell at or under this is silence, or mono


class BodyPlayers(Players):
    """The players of `body-gan`."""

    generator: body_gan.Generator
    averaged: body_gan.Generator
    discriminator: body_gan.Discriminator

    def __init__(
        self, training: Training, representation: Representation, data: Dataset, device: torch.device
    ):
        super().__init__(training, representation, data, device)
        share, grains = representation.cell_noise(GRAINS, training.seed)
        self.share = torch.from_numpy(share).to(device)
        self.grains = torch.from_numpy(grains).to(device)
        self.bands, self.partials = representation.bands, representation.partials
        self.decibels_per_unit = representation.decibels_per_unit
        self.shared_grain = representation.is_left_right
        variations = data.images.shape[1]
        self.generator.anchors = torch.zeros(
            min(KNOWN_CODES, len(data.training) * variations), self.generator.code_dim, device=device
        )
        self.averaged.anchors = self.generator.anchors[:1].clone()
        self.groups = torch.from_numpy(groups_of(data)).to(device)  # of every sound
        self.generator.groups = torch.zeros(len(self.generator.anchors), dtype=torch.int32, device=device)
        self.averaged.groups = self.generator.groups[:1].clone()
        self.place = np.full(len(data.images), -1)
        self.place[data.training] = np.arange(len(data.training))

    def begin(self, report: Progress) -> None:
        """Find the principal components of training images, and teach the small networks between them and codes."""
        settings = self.training
        if not settings.principal_steps:
            return
        random = np.random.default_rng([settings.seed, 1])
        chosen = random.permutation(self.data.training)[:FITTED_SOUNDS]
        self.generator.begin(self._images(chosen).to(self.device))
        networks = (self.generator.encoder.from_amounts, self.generator.decoder.to_amounts)
        weights = [weight for network in networks for weight in network.parameters()]
        optimiser = torch.optim.Adam(weights, PRINCIPAL_RATE, (settings.beta_1, settings.beta_2))
        torch.manual_seed((settings.seed << 32) + (1 << 31))  # no step has so high a number
        for step in range(settings.principal_steps):
            report(step, settings.principal_steps)
            indices = random.choice(self.data.training, PRINCIPAL_BATCH)
            variations = random.integers(self.data.images.shape[1], size=PRINCIPAL_BATCH)
            real = self._louder_or_softer(self._real_batch(indices, variations))
            again, mean, log_variance = self.generator.again(real)
            grain = (self.share * self.grains.mean(dim=0)).expand(len(real), -1, -1)
            loss = settings.reconstruction * reconstruction(real, again, self.bands, self.partials, grain)
            loss = loss + settings.divergence * divergence(mean, log_variance)
            for group in optimiser.param_groups:
                group["lr"] = PRINCIPAL_RATE * (1.0 - step / settings.principal_steps)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        self.averaged.load_state_dict(self.generator.state_dict())

    def start_from(self, generator: AnyGenerator) -> None:
        super().start_from(generator)
        assert isinstance(generator, body_gan.Generator)
        for network in (self.generator, self.averaged):
            network.principal.basis.copy_(generator.principal.basis)

    def step(self, step: int, *, measure: bool) -> dict[str, Tensor]:
        settings = self.training
        torch.manual_seed((settings.seed << 32) + step)
        indices, variations = self._draw(step)
        real = self._louder_or_softer(self._real_batch(indices, variations))
        with self._precision():
            mean, log_variance = self.generator.encode(real)
            codes = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
            again = self.generator.decode(codes)
        slots = (self.place[indices] * self.data.images.shape[1] + variations) % len(self.generator.anchors)
        groups = self.groups[torch.from_numpy(indices).to(self.device)]
        self.generator.anchors[torch.from_numpy(slots).to(self.device)] = mean.detach()
        self.generator.groups[torch.from_numpy(slots).to(self.device)] = groups
        terms = {
            "reconstruction": reconstruction(
                real, again, self.bands, self.partials, self._noisiness(again) * self.grains.mean(dim=0)
            ),
            "divergence": divergence(mean, log_variance),
            "noisiness": (1.0 - again[:, 2, : self.bands]).mean(),
        }
        weighted = (
            settings.reconstruction * terms["reconstruction"]
            + settings.divergence * terms["divergence"]
            + settings.noisiness * terms["noisiness"]
        )
        if step >= settings.game_from_step and step % settings.game_every_steps == 0:
            game, game_terms = self._game(real, mean.detach(), groups)
            weighted = weighted + game
            terms |= game_terms
        self.generator_optimiser.zero_grad(set_to_none=True)
        weighted.backward()
        torch.nn.utils.clip_grad_norm_(self.generator.parameters(), LARGEST_GRADIENT)
        self.generator_optimiser.step()
        self.discriminator.requires_grad_(True)
        self._average(step)
        return {key: term.detach() for key, term in terms.items()} if measure else {}

    def exported(self) -> body_gan.Generator:
        """With its own encodings of the training sounds as anchors, and what it leaves out of them."""
        generator = deepcopy(self.averaged)
        variations = self.data.images.shape[1]
        items = len(self.data.training) * variations
        chosen = np.random.default_rng(self.training.seed).permutation(items)[:MOST_ANCHORS]
        codes, residuals = [], []
        with torch.no_grad():
            for part in np.array_split(chosen, -(-len(chosen) // 64)):
                real = self._real_batch(self.data.training[part // variations], part % variations)
                code, _ = generator.encode(real)
                again = generator.decode(code)
                level = again[:, 0, : self.bands] + self._noisiness(again) * self.grains.mean(dim=0)
                codes.append(code)
                residuals.append(real[:, 0, : self.bands] - level.clamp(-1, 1))
            sounds = torch.from_numpy(self.data.training[chosen // variations]).to(self.device)
            generator.know(
                torch.cat(codes),
                groups=self.groups[sounds],
                residuals=torch.cat(residuals),
                components=self.training.residual_components,
            )
        return generator.eval()

    def shown(self, images: Tensor) -> Tensor:
        """With grain, and without the channel that says how much."""
        grain = self.grains[torch.randint(len(self.grains), (len(images),), device=images.device)]
        other = self.grains[torch.randint(len(self.grains), (len(images),), device=images.device)]
        noisiness = self._noisiness(images)
        level, width = images[:, 0, : self.bands], images[:, 1, : self.bands]
        level = (level + noisiness * grain).clamp(-1, 1)
        # The side has a grain of its own, so what it is relative to the middle has both; left and right share one.
        if self.shared_grain:
            other = grain
        relative = noisiness * (other - grain) * (self.decibels_per_unit / body_half_width())
        width = torch.where(width > SILENT, width + relative, width).clamp(-1, 1)
        rest = torch.stack([level, width], dim=1)
        return torch.cat([rest, images[:, :2, self.bands :]], dim=2)

    def _game(self, real: Tensor, mean: Tensor, groups: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """An update of the discriminator; the generator's loss against it, and its terms."""
        settings = self.training
        with self._precision():
            fake = self.shown(self.generator.decode(self._between(mean, groups)))
        verdict = self._judge(real, fake)
        terms = {
            "generator": generator_loss(verdict.logits),
            "feature_matching": feature_matching(verdict.real_features, verdict.fake_features),
        }
        game = settings.game * (terms["generator"] + settings.feature_matching * terms["feature_matching"])
        return game, {"discriminator": verdict.loss, **terms}

    def _between(self, mean: Tensor, groups: Tensor) -> Tensor:
        """Codes on the way from sounds of the batch to neighbours of theirs, of other groups."""
        seen = self.generator.anchors.any(dim=1)
        anchors = self.generator.anchors[seen]
        strangers = self.generator.groups[seen] != groups[:, None]
        distance = torch.where(strangers, torch.cdist(mean, anchors), torch.inf)
        nearest = distance.topk(min(NEIGHBOURS, len(anchors)), largest=False).indices
        choices = strangers.sum(dim=1, keepdim=True).clamp(max=nearest.shape[1])
        chosen = (torch.rand(len(mean), 1, device=mean.device) * choices).long()
        chosen = chosen.clamp(max=nearest.shape[1] - 1)
        # Where there are no strangers, as in the first steps, a sound stays where it is.
        neighbour = torch.where(choices > 0, anchors[nearest.gather(1, chosen)[:, 0]], mean)
        way = torch.rand(len(mean), 1, device=mean.device)
        further = FURTHER * self.generator.aside * torch.randn_like(mean)
        return mean + (neighbour - mean) * way + further

    def _noisiness(self, images: Tensor) -> Tensor:
        return self.share * (images[:, 2, : self.bands] + 1) / 2

    def _louder_or_softer(self, real: Tensor) -> Tensor:
        gain = (2.0 * torch.rand(len(real), 1, 1, device=real.device) - 1.0) * (
            GAIN_DB / self.decibels_per_unit
        )
        real = real.clone()
        level = real[:, 0, : self.bands + self.partials]  # a row of lines knows no gain
        real[:, 0, : self.bands + self.partials] = torch.where(
            level > SILENT, (level + gain).clamp(-1, 1), level
        )
        return real


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Of normal codes from the standard normal distribution, in nats a sound."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()


def body_half_width() -> float:
    """dB per unit of the width's plane."""
    from samplegan.representation.body import NARROWEST_DB, WIDEST_DB

    return 0.5 * (WIDEST_DB - NARROWEST_DB)


def groups_of(data: Dataset) -> NDArray[np.int32]:
    """Numbers that tell which sounds of a dataset are alike: those of one kit, and a sound and itself at other speeds.
    Of a kit with more than half of all sounds each stands for itself, or there would be too much of the few others.
    """
    kits = [sound.kit for sound in data.sounds] or [str(index) for index in range(len(data.images))]
    counts = Counter(kits)
    names = [
        kit if counts[kit] <= LARGEST_KIT * len(kits) else f"{kit}/{index}" for index, kit in enumerate(kits)
    ]
    return np.unique(names, return_inverse=True)[1].astype(np.int32)
