"""What every training has: two networks, an averaged generator, the data they see, and a look at held-out sounds.

How one step of an architecture goes is in a module of its own: `dcgan_players`, `body_players`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from samplegan.config import Training
from samplegan.dataset import Dataset, Progress
from samplegan.evaluate import metrics
from samplegan.gan import AnyGenerator, build_networks
from samplegan.gan.losses import discriminator_loss, gradient_penalty
from samplegan.representation import Representation

F32 = NDArray[np.float32]
MOST_COMPARED = 256  # sounds in a validation
NEIGHBOURS = 5  # of coverage
GENERATOR_RATES = {"body-gan": 1e-3, "stereo-dcgan": 2e-4}
COVERAGE_WEIGHT = 0.1  # of coverage next to MMD, in a validation's score
FURTHER, COVERED = 1.1, 0.9  # than, and of, what training sounds reach
CHANCE = 0.5  # over the sounds compared: so far MMD strays (1 to 2 deviations) between sets that are alike


class Diverged(Exception):
    """What was learned is lost: something that was a number is none any more. The text says what."""


@dataclass(frozen=True)
class Validation:
    """Held-out images and generated ones, [sound, channel, row, frame], and how far apart they are."""

    held_out: F32
    generated: F32
    scores: dict[str, float]

    @property
    def score(self) -> float:
        """What the best checkpoint has least of, and the latest of those that have none: distance to the held-out
        sounds beyond that of training sounds, and what of them training sounds cover and generated ones do not.

        Nearer than training sounds are no better: kits differ, and a model that draws everything more alike, or more
        widely, than what it learned from comes nearer to kits that it never heard. A tenth of either may be chance, and
        so may what two sets of so few sounds differ by.
        """
        chance = CHANCE / min(len(self.held_out), len(self.generated))
        reached = FURTHER * max(self.scores["held_out_mmd_of_training"], 0.0) + chance
        further = self.scores["held_out_mmd"] - reached
        missing = COVERED * self.scores["held_out_coverage_of_training"] - self.scores["held_out_coverage"]
        return max(further, 0.0) + COVERAGE_WEIGHT * max(missing, 0.0)


@dataclass(frozen=True)
class Verdict:
    """What the discriminator, just updated, says of a generated batch, and what it said of both before."""

    loss: Tensor
    real_logits: Tensor
    fake_logits: Tensor
    logits: Tensor  # of the generated batch, to the updated discriminator
    real_features: list[Tensor]  # of before the update: no third pass for them
    fake_features: list[Tensor]


class Players(ABC):
    """The two networks, the averaged generator, their optimisers, and the data they see."""

    def __init__(
        self, training: Training, representation: Representation, data: Dataset, device: torch.device
    ):
        torch.manual_seed(training.seed)
        networks = build_networks(training, representation)
        # Channels last is some 15 % faster for these convolutions on a CPU.
        self.generator = networks.generator.to(device)
        self.discriminator = networks.discriminator.to(device)
        for network in (self.generator, self.discriminator):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = deepcopy(self.generator).requires_grad_(False)
        betas = (training.beta_1, training.beta_2)
        rate = training.generator_rate or GENERATOR_RATES[training.architecture]
        self.generator_optimiser = torch.optim.Adam(self.generator.parameters(), rate, betas)
        self.discriminator_optimiser = torch.optim.Adam(
            self.discriminator.parameters(), training.discriminator_rate, betas
        )
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

    @abstractmethod
    def begin(self, report: Progress) -> None:
        """What comes before the first step of a training that starts from nothing. `report` is told how much of it is
        done, and of how much.
        """

    def start_from(self, generator: AnyGenerator) -> None:
        """Go on from the weights of a trained generator of the same shape."""
        weights = dict(generator.named_parameters())
        with torch.no_grad():
            for network in (self.generator, self.averaged):
                for name, weight in network.named_parameters():
                    weight.copy_(weights[name])

    @abstractmethod
    def step(self, step: int, *, measure: bool) -> dict[str, Tensor]:
        """One update of both networks; the losses if `measure`."""

    @abstractmethod
    def exported(self) -> AnyGenerator:
        """The averaged generator as a model keeps it."""

    def shown(self, images: Tensor) -> Tensor:
        """Generated images as they compare with real ones."""
        return images

    def slow_down(self, factor: float) -> None:
        """Multiply the rates of both networks."""
        for optimiser in self.optimisers().values():
            for group in optimiser.param_groups:
                group["lr"] *= factor

    def require_finite(self) -> None:
        """Raise Diverged unless every weight of both networks is a number."""
        weights = (*self.generator.parameters(), *self.discriminator.parameters())
        # No sum with a NaN or an infinity in it is a number; one sum for all is one wait for a GPU.
        if not torch.stack([weight.detach().sum() for weight in weights]).sum().isfinite():
            raise Diverged("a weight is no longer a number")

    def validate(self) -> Validation:
        """Generated sounds against held-out ones, beside training sounds against held-out ones. Raises Diverged."""
        held_out = self._images(self.data.validation[:MOST_COMPARED])
        known = self._images(self._some_training())
        source = torch.Generator().manual_seed(self.training.seed + 1)
        generator = self.exported()
        latents = torch.randn(MOST_COMPARED, generator.latent_dim, generator=source).to(self.device)
        torch.manual_seed(self.training.seed + 2)
        with torch.no_grad():
            generated = torch.cat([self.shown(generator(part)) for part in latents.split(32)]).cpu()
        if not all(bool(torch.isfinite(images).all()) for images in (held_out, generated, known)):
            raise Diverged("an image is no longer made of numbers")
        wanted, given, learned = (_coarse(images) for images in (held_out, generated, known))
        # As many generated as training sounds: coverage grows with their number.
        count = min(len(given), len(learned))
        scores = {
            "held_out_mmd": metrics.mmd2(wanted, given),
            "held_out_mmd_of_training": metrics.mmd2(wanted, learned),
            "held_out_coverage": _coverage(wanted, given[:count]),
            "held_out_coverage_of_training": _coverage(wanted, learned[:count]),
        }
        rounded = {key: round(float(value), 5) for key, value in scores.items()}
        return Validation(held_out.numpy(), generated.numpy(), rounded)

    def _some_training(self) -> NDArray[np.int64]:
        training = np.unique(self.data.training)
        return training[:: max(len(training) // MOST_COMPARED, 1)][:MOST_COMPARED]

    def _images(self, indices: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self.data.batch(indices, np.full(len(indices), self.data.plain)))

    def _draw(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Every sound once an epoch, in an order that (seed, epoch) decides; a random speed each time."""
        per_epoch = max(len(self.data.training) // self.batch, 1)
        epoch, place = divmod(step, per_epoch)
        order = np.random.default_rng([self.training.seed, epoch]).permutation(self.data.training)
        indices = order[place * self.batch : (place + 1) * self.batch]
        variations = np.random.default_rng([self.training.seed, epoch, place]).integers(
            self.data.images.shape[1], size=len(indices)
        )
        return indices, variations

    def _real_batch(self, indices: NDArray[np.int64], variations: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self.data.batch(indices, variations)).to(
            self.device, memory_format=torch.channels_last
        )

    def _judge(self, real: Tensor, fake: Tensor) -> Verdict:
        """Update the discriminator, and have it judge `fake` with its weights held."""
        with self._precision():
            real_logits, real_features = self.discriminator(real)
            fake_logits, _ = self.discriminator(fake.detach())
        loss = discriminator_loss(real_logits.float(), fake_logits.float(), self.training.label_smoothing)
        if (weight := self.training.gradient_penalty) > 0:
            loss = loss + weight * sum(
                gradient_penalty(self.discriminator, images) for images in (real, fake)
            )
        self.discriminator_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.discriminator_optimiser.step()
        self.discriminator.requires_grad_(False)
        with self._precision():
            logits, fake_features = self.discriminator(fake)
        held = [features.detach() for features in real_features]
        return Verdict(loss, real_logits, fake_logits, logits.float(), held, fake_features)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.low_precision)

    def _average(self, step: int) -> None:
        # A ramp: early on, half of the steps so far; else the first random weights would weigh in for long.
        keep = 1.0 - 1.0 / min(self.training.ema_steps, step / 2 + 1)
        with torch.no_grad():
            for averaged, current in zip(
                self.averaged.parameters(), self.generator.parameters(), strict=True
            ):
                averaged.lerp_(current, 1.0 - keep)


def build_players(
    training: Training, representation: Representation, data: Dataset, device: torch.device
) -> Players:
    """The players of the architecture that `training` names."""
    from samplegan.gan.body_players import BodyPlayers
    from samplegan.gan.dcgan_players import DcganPlayers

    kind: type[Players] = BodyPlayers if training.architecture == "body-gan" else DcganPlayers
    return kind(training, representation, data, device)


def _is_bfloat16_fast(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 itself: then a step takes two thirds of the time."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    checks = (
        getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
    return any(check is not None and check() for check in checks)


def _coarse(images: Tensor) -> NDArray[np.float64]:
    """Images [sound, channel, row, frame] to vectors: 32 × 16 means of level and width."""
    flat = nn.functional.adaptive_avg_pool2d(images[:, :2], (32, 16)).flatten(1)
    return flat.double().numpy()


def _coverage(real: NDArray[np.float64], generated: NDArray[np.float64]) -> float:
    if min(len(real), len(generated)) <= NEIGHBOURS:
        return 0.0
    return metrics.precision_recall_density_coverage(real, generated, k=NEIGHBOURS).coverage
