"""Architectures by name."""

import numpy as np
import pytest
import torch

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


@pytest.mark.parametrize(("partials", "tracks"), [(0, 1), (1, 2), (2, 3)])
def test_a_row_of_lines_is_drawn_as_a_track(partials, tracks):
    representation = representation_for(ImageSettings(partials=partials, lines=True, **SMALL), 0.2)
    assert representation.tracks == tracks
    networks = build_networks(Training(), representation)
    images = networks.generator(torch.randn(3, networks.generator.latent_dim))
    assert images.shape == (3, 3, representation.rows, representation.frames)
    mean, _ = networks.generator.encode(images)
    assert mean.shape == (3, Training().code_dim)
    assert networks.discriminator(images)[0].shape == (3,)
    # What the row says reaches the codes and the judge's verdict.
    other = images.detach().clone()
    other[:, :2, -1] += 0.5
    networks.discriminator.eval()
    with torch.no_grad():
        assert not torch.equal(networks.generator.encode(other)[0], mean)
        assert not torch.equal(networks.discriminator(other)[0], networks.discriminator(images)[0])
    sound = representation.synthesise(images[0].detach().numpy())
    assert sound.shape == (2, representation.length_samples) and np.isfinite(sound).all()


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
