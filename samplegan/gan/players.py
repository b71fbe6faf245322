"""The game between two networks: one step of it, the averaged generator, and a look at the held-out sounds."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from samplegan.config import Training
from samplegan.dataset import Dataset
from samplegan.gan import build_networks
from samplegan.gan.losses import (
    Shape,
    batch_distance,
    discriminator_loss,
    feature_matching,
    generator_loss,
)
from samplegan.gan.stereo_dcgan import Generator
from samplegan.representation import Representation

F32 = NDArray[np.float32]
MOST_COMPARED = 256  # sounds in a validation


class Players:
    """The two networks, the averaged generator, their optimisers, and the data they see."""

    def __init__(
        self, training: Training, representation: Representation, data: Dataset, device: torch.device
    ):
        torch.manual_seed(training.seed)
        networks = build_networks(training, representation.bands, representation.frames)
        # Channels last is some 15 % faster for these convolutions on a CPU.
        self.generator = networks.generator.to(device)
        self.discriminator = networks.discriminator.to(device)
        for network in (self.generator, self.discriminator):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = deepcopy(self.generator).requires_grad_(False)
        betas = (training.beta_1, training.beta_2)
        self.generator_optimiser = torch.optim.Adam(
            self.generator.parameters(), training.generator_rate, betas
        )
        self.discriminator_optimiser = torch.optim.Adam(
            self.discriminator.parameters(), training.discriminator_rate, betas
        )
        self.shape = Shape(
            representation.decibels_per_unit, torch.from_numpy(representation.bins_per_band)
        ).to(device)
        self.training = training
        self.data = data
        self.device = device
        self.batch = min(training.batch, len(data.training))
        self.low_precision = training.precision == "bfloat16" or (
            training.precision == "auto" and _is_bfloat16_fast(device)
        )

    def modules(self) -> dict[str, nn.Module]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "averaged": self.averaged,
        }

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {
            "generator-adam": self.generator_optimiser,
            "discriminator-adam": self.discriminator_optimiser,
        }

    def step(self, step: int, *, measure: bool) -> dict[str, Tensor]:
        """One update of both networks; the losses if `measure`."""
        settings = self.training
        torch.manual_seed((settings.seed << 32) + step)
        real = self._real_batch(step)
        latents = torch.randn(self.batch, settings.latent_dim).to(self.device)
        with self._precision():
            fake = self.generator(latents).float()
            real_logits, real_features = self.discriminator(real)
            fake_logits, _ = self.discriminator(fake.detach())
        judged = discriminator_loss(real_logits.float(), fake_logits.float(), settings.label_smoothing)
        self.discriminator_optimiser.zero_grad(set_to_none=True)
        judged.backward()
        self.discriminator_optimiser.step()

        self.discriminator.requires_grad_(False)
        with self._precision():
            logits, fake_features = self.discriminator(fake)
        real_features = [
            features.detach() for features in real_features
        ]  # of a step ago: no third pass for them
        terms = {"generator": generator_loss(logits.float())}
        weighted = terms["generator"]
        extra = {
            "feature_matching": lambda: feature_matching(real_features, fake_features),
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
            "discriminator": judged.detach(),
            **{key: term.detach() for key, term in terms.items()},
            "real_logit": real_logits.detach().mean(),
            "fake_logit": fake_logits.detach().mean(),
        }

    def are_finite(self) -> bool:
        """Whether every weight of both networks is still a number."""
        weights = (*self.generator.parameters(), *self.discriminator.parameters())
        return all(bool(torch.isfinite(weight).all()) for weight in weights)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.low_precision)

    def calibrated(self) -> Generator:
        """The averaged generator with running statistics of its own: averaged weights see other statistics than
        the weights that were averaged."""
        generator = deepcopy(self.averaged)
        for module in generator.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None  # a plain average over all batches
        generator.train()
        torch.manual_seed(self.training.seed)
        with torch.no_grad():
            for _ in range(16):
                generator(torch.randn(64, self.training.latent_dim).to(self.device))
        return generator.eval()

    def validate(self) -> tuple[F32, F32, dict[str, float]]:
        """Held-out images, generated images [sound, channel, band, frame], and how far apart the two are, beside how
        far training images are."""
        held_out = self._images(self.data.validation[:MOST_COMPARED])
        known = self._images(
            self.data.training[:: max(len(self.data.training) // MOST_COMPARED, 1)][:MOST_COMPARED]
        )
        source = torch.Generator().manual_seed(self.training.seed + 1)
        latents = torch.randn(MOST_COMPARED, self.training.latent_dim, generator=source).to(self.device)
        generator = self.calibrated()
        with torch.no_grad():
            generated = torch.cat([generator(part) for part in latents.split(32)]).cpu()
        scores = {
            "held_out_mmd": round(_mmd(held_out, generated), 5),
            "held_out_mmd_of_training": round(_mmd(held_out, known), 5),
        }
        return held_out.numpy(), generated.numpy(), scores

    def _images(self, indices: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self.data.batch(indices, np.zeros(len(indices), dtype=np.int64)))

    def _real_batch(self, step: int) -> Tensor:
        """Every sound once an epoch, in an order that (seed, epoch) decides; a random speed each time."""
        per_epoch = max(len(self.data.training) // self.batch, 1)
        epoch, place = divmod(step, per_epoch)
        order = np.random.default_rng([self.training.seed, epoch]).permutation(self.data.training)
        indices = order[place * self.batch : (place + 1) * self.batch]
        variations = np.random.default_rng([self.training.seed, epoch, place]).integers(
            self.data.images.shape[1], size=len(indices)
        )
        return torch.from_numpy(self.data.batch(indices, variations)).to(
            self.device, memory_format=torch.channels_last
        )

    def _average(self, step: int) -> None:
        # A ramp: early on, half of the steps so far; else the first random weights would weigh in for long.
        keep = 1.0 - 1.0 / min(self.training.ema_steps, step / 2 + 1)
        with torch.no_grad():
            for averaged, current in zip(
                self.averaged.parameters(), self.generator.parameters(), strict=True
            ):
                averaged.lerp_(current, 1.0 - keep)


def _is_bfloat16_fast(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 itself: then a step takes two thirds of the time."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    checks = (
        getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
    return any(check is not None and check() for check in checks)


def _mmd(first: Tensor, second: Tensor) -> float:
    """Unbiased squared maximum mean discrepancy of coarse images, Gaussian kernel, median bandwidth of `first`
    (Gretton et al., 'A Kernel Two-Sample Test', 2012). About 0 when both come from the same place."""
    x, y = (
        nn.functional.adaptive_avg_pool2d(images, (32, 16)).flatten(1).double() for images in (first, second)
    )
    scale = torch.pdist(x).median().square()
    xx, yy, xy = (torch.exp(-torch.cdist(a, b).square() / scale) for a, b in ((x, x), (y, y), (x, y)))
    m, n = len(x), len(y)
    within_x, within_y = (xx.sum() - m) / (m * (m - 1)), (yy.sum() - n) / (n * (n - 1))
    return float(within_x + within_y - 2 * xy.mean())
