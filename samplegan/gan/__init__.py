"""Architectures by name. A new one is one file here and one line in `ARCHITECTURES`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from samplegan.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from samplegan.config import Training
    from samplegan.gan.stereo_dcgan import Discriminator, Generator

ARCHITECTURES = ("stereo-dcgan",)


@dataclass(frozen=True)
class Networks:
    """A generator and the discriminator that judges it."""

    generator: Generator
    discriminator: Discriminator


def check_architecture(name: str) -> None:
    """Raise ConfigError, naming the nearest one, for an unknown architecture."""
    if name not in ARCHITECTURES:
        raise ConfigError(
            f"'{name}' is not an architecture",
            hint=did_you_mean(name, "architectures", ARCHITECTURES),
        )


def build_generator(training: Training, bands: int, frames: int) -> Generator:
    """A freshly initialised generator of the architecture that `training` names."""
    from samplegan.gan.stereo_dcgan import Generator

    check_architecture(training.architecture)
    return Generator(bands, frames, latent_dim=training.latent_dim, width=training.generator_width)


def build_networks(training: Training, bands: int, frames: int) -> Networks:
    """Freshly initialised networks of the architecture that `training` names."""
    from samplegan.gan.stereo_dcgan import Discriminator

    return Networks(
        build_generator(training, bands, frames),
        Discriminator(
            bands,
            frames,
            width=training.discriminator_width,
            attention=training.attention,
            phase_shuffle_frames=training.phase_shuffle_frames,
        ),
    )
