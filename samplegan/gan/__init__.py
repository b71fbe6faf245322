"""Architectures by name. A new one is its networks, its players, and a line in each of the two functions here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from samplegan.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from samplegan.config import Training
    from samplegan.gan import body_gan, stereo_dcgan
    from samplegan.representation import Representation

    AnyGenerator = body_gan.Generator | stereo_dcgan.Generator
    AnyDiscriminator = body_gan.Discriminator | stereo_dcgan.Discriminator
else:
    AnyGenerator = AnyDiscriminator = object

ARCHITECTURES = ("body-gan", "stereo-dcgan")


@dataclass(frozen=True)
class Networks:
    """A generator and the discriminator that judges it."""

    generator: AnyGenerator
    discriminator: AnyDiscriminator


def check_architecture(name: str) -> None:
    """Raise ConfigError, naming the nearest one, for an unknown architecture."""
    if name not in ARCHITECTURES:
        raise ConfigError(
            f"'{name}' is not an architecture",
            hint=did_you_mean(name, "architectures", ARCHITECTURES),
        )


def check_image(architecture: str, image: str) -> None:
    """Raise ConfigError for a mapping that the architecture does not draw."""
    if architecture == "stereo-dcgan" and image == "body":
        raise ConfigError(
            "the architecture 'stereo-dcgan' draws left and right, not a body",
            hint="set image.name to 'compact' or 'draft', or the architecture to 'body-gan'",
        )
    if architecture == "body-gan" and image != "body":
        raise ConfigError(
            f"the architecture 'body-gan' needs an image of 'body', not of '{image}'",
            hint="set image.name to 'body', or the architecture to 'stereo-dcgan'",
        )


def build_generator(training: Training, representation: Representation) -> AnyGenerator:
    """A freshly initialised generator of the architecture that `training` names."""
    import torch

    from samplegan.gan import body_gan, stereo_dcgan

    check_architecture(training.architecture)
    check_image(training.architecture, representation.name)
    bands, frames = representation.bands, representation.frames
    if training.architecture == "stereo-dcgan":
        return stereo_dcgan.Generator(
            bands, frames, latent_dim=training.latent_dim, width=training.generator_width
        )
    return body_gan.Generator(
        bands,
        frames,
        representation.tracks,
        code_dim=training.code_dim,
        width=training.generator_width,
        encoder_width=training.encoder_width,
        aside=training.aside,
        along=training.along,
        bins_per_band=torch.from_numpy(representation.bins_per_band),
        decibels_per_unit=representation.decibels_per_unit,
        principal_components=training.principal_components,
    )


def build_networks(training: Training, representation: Representation) -> Networks:
    """Freshly initialised networks of the architecture that `training` names."""
    from samplegan.gan import body_gan, stereo_dcgan

    generator = build_generator(training, representation)
    bands, frames = representation.bands, representation.frames
    width, attention = training.discriminator_width, training.attention
    discriminator: AnyDiscriminator
    if training.architecture == "stereo-dcgan":
        shuffle = training.phase_shuffle_frames
        discriminator = stereo_dcgan.Discriminator(
            bands, frames, width=width, attention=attention, phase_shuffle_frames=shuffle
        )
    else:
        discriminator = body_gan.Discriminator(
            bands, frames, representation.tracks, width=width, attention=attention
        )
    return Networks(generator, discriminator)
