"""Architectures by name."""

import pytest

from samplegan.config import ImageSettings, Training
from samplegan.errors import ConfigError
from samplegan.gan import (
    ARCHITECTURES,
    body_gan,
    build_generator,
    build_networks,
    check_architecture,
    check_image,
    stereo_dcgan,
)
from samplegan.representation import MAPPINGS, representation_for

SMALL = {"bands": 32, "frames": 16, "linear_bins": 5, "dense_frames": 4}
BODY = representation_for(ImageSettings(partials=2, **SMALL), 0.2)
COMPACT = representation_for(ImageSettings(name="compact", **SMALL), 0.2)


def test_an_unknown_architecture_names_the_nearest():
    with pytest.raises(ConfigError, match="stereo-dcgan"):
        check_architecture("stereodcgan")
    with pytest.raises(ConfigError, match="body-gan"):
        build_generator(Training(architecture="bodygan"), BODY)


def test_every_architecture_draws_what_it_is_asked_for():
    networks = build_networks(Training(), BODY)
    assert isinstance(networks.generator, body_gan.Generator)
    assert isinstance(networks.discriminator, body_gan.Discriminator)
    assert networks.generator.decoder.track_count == 2
    assert networks.generator.latent_dim == 3 + Training().code_dim
    networks = build_networks(Training(architecture="stereo-dcgan", latent_dim=7), COMPACT)
    assert isinstance(networks.generator, stereo_dcgan.Generator)
    assert isinstance(networks.discriminator, stereo_dcgan.Discriminator)
    assert networks.generator.latent_dim == 7


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_image_that_it_does_not_draw_is_refused(architecture):
    wrong, right = (COMPACT, BODY) if architecture == "body-gan" else (BODY, COMPACT)
    with pytest.raises(ConfigError, match=f"'{architecture}'") as caught:
        build_generator(Training(architecture=architecture), wrong)
    assert "image.name" in caught.value.hint
    build_generator(Training(architecture=architecture), right)


def test_every_mapping_has_an_architecture_that_draws_it():
    for mapping in MAPPINGS:
        fits = []
        for architecture in ARCHITECTURES:
            try:
                check_image(architecture, mapping)
            except ConfigError:
                continue
            fits.append(architecture)
        assert len(fits) == 1
