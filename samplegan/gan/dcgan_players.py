"""One step of `stereo-dcgan`: the non-saturating game, feature matching, and what a real batch's statistics ask for."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from samplegan.config import Training
from samplegan.dataset import Dataset, Progress
from samplegan.gan import stereo_dcgan
from samplegan.gan.losses import (
    Shape,
    batch_distance,
    feature_matching,
    generator_loss,
)
from samplegan.gan.players import Players
from samplegan.representation import Representation


class DcganPlayers(Players):
    """The players of `stereo-dcgan`."""

    generator: stereo_dcgan.Generator
    averaged: stereo_dcgan.Generator
    discriminator: stereo_dcgan.Discriminator

    def __init__(
        self, training: Training, representation: Representation, data: Dataset, device: torch.device
    ):
        super().__init__(training, representation, data, device)
        self.shape = Shape(
            representation.decibels_per_unit, torch.from_numpy(representation.bins_per_band)
        ).to(device)

    def begin(self, report: Progress) -> None:
        """Nothing."""

    def step(self, step: int, *, measure: bool) -> dict[str, Tensor]:
        settings = self.training
        torch.manual_seed((settings.seed << 32) + step)
        real = self._real_batch(*self._draw(step))
        latents = torch.randn(self.batch, self.generator.latent_dim).to(self.device)
        with self._precision():
            fake = self.generator(latents).float()
        verdict = self._judge(real, fake)
        terms = {"generator": generator_loss(verdict.logits)}
        weighted = terms["generator"]
        extra = {
            "feature_matching": lambda: feature_matching(verdict.real_features, verdict.fake_features),
            "centroid": lambda: batch_distance(self.shape.centroid, real, fake),
            "decay": lambda: batch_distance(self.shape.decay, real, fake),
            "periodicity": lambda: batch_distance(self.shape.periodicity, real, fake),
            "rolloff": lambda: batch_distance(self.shape.rolloff, real, fake),
        }
        for key, term in extra.items():
            if (weight := getattr(settings, key)) > 0:
                terms[key] = term()
                weighted = weighted + weight * terms[key]
        self.generator_optimiser.zero_grad(set_to_none=True)
        weighted.backward()
        self.generator_optimiser.step()
        self.discriminator.requires_grad_(True)
        self._average(step)
        if not measure:
            return {}
        return {
            "discriminator": verdict.loss.detach(),
            **{key: term.detach() for key, term in terms.items()},
            "real_logit": verdict.real_logits.detach().mean(),
            "fake_logit": verdict.fake_logits.detach().mean(),
        }

    def exported(self) -> stereo_dcgan.Generator:
        """With running statistics of its own: averaged weights see other statistics than the weights that were
        averaged."""
        generator = deepcopy(self.averaged)
        for module in generator.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None  # a plain average over all batches
        generator.train()
        torch.manual_seed(self.training.seed)
        with torch.no_grad():
            for _ in range(16):
                generator(torch.randn(64, generator.latent_dim).to(self.device))
        return generator.eval()
