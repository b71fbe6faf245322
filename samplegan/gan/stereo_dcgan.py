"""`stereo-dcgan`: the StereoSampleGAN draft's deep convolutional GAN over two-channel log-magnitude images.

Generator: a 100-dimensional latent, a projection to a small map, strided transposed convolutions up to the image,
tanh. Discriminator: strided convolutions with spectral normalisation, self-attention on the map where a cell still
means something (a few milliseconds by a few semitones), one logit. Two things are ours: the latent also scales and
shifts every stage (else few of its dimensions survive the projection), and left and right are made of what they
share and what sets them apart, so that a mono drum is as easy to draw as a stereo one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from samplegan.gan.layers import PhaseShuffle, SelfAttention, batch_deviation, coordinates


class _Up(nn.Module):
    """Twice the bands, twice the frames: transposed convolution, batch norm modulated by the latent, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, latent_dim: int) -> None:
        super().__init__()
        self.convolution = nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out, affine=False)
        self.style = nn.Linear(latent_dim, 2 * channels_out)
        nn.init.normal_(self.convolution.weight, std=0.02 * (64 / channels_in) ** 0.5)
        nn.init.normal_(self.style.weight, std=0.3 / latent_dim**0.5)
        nn.init.zeros_(self.style.bias)

    def forward(self, features: Tensor, latent: Tensor) -> Tensor:
        scale, shift = self.style(latent)[:, :, None, None].chunk(2, dim=1)
        return torch.relu(self.norm(self.convolution(features)) * (1 + scale) + shift)


class Generator(nn.Module):
    """Latents to images.

    Shape: [batch, latent] → [batch, channel=2, band, frame] in [-1, 1]. Bands and frames must be multiples of 16.
    """

    def __init__(self, bands: int, frames: int, latent_dim: int = 100, width: int = 16) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.start = (12 * width, bands // 16, frames // 16)
        self.project = nn.Linear(latent_dim, self.start[0] * self.start[1] * self.start[2], bias=False)
        self.start_norm = nn.BatchNorm2d(self.start[0])
        channels = [12 * width, 8 * width, 4 * width, 2 * width, width]
        self.stages = nn.ModuleList(
            _Up(channels_in, channels_out, latent_dim)
            for channels_in, channels_out in zip(channels, channels[1:], strict=False)
        )
        self.image = nn.Conv2d(width, 2, 3, padding=1)

    def forward(self, latent: Tensor) -> Tensor:
        features = torch.relu(self.start_norm(self.project(latent).unflatten(1, self.start)))
        for stage in self.stages:
            features = stage(features, latent)
        shared, apart = self.image(features).split(1, dim=1)
        return torch.tanh(torch.cat([shared + apart, shared - apart], dim=1))


class Discriminator(nn.Module):
    """Images to one logit each, and the features on the way (for feature matching).

    Shape: [batch, 2, band, frame] → [batch], list of [batch, channel, band, frame].
    """

    coordinates: Tensor

    def __init__(
        self, bands: int, frames: int, width: int = 24, attention: bool = True, phase_shuffle_frames: int = 0
    ) -> None:
        super().__init__()
        self.register_buffer("coordinates", coordinates(bands, frames), persistent=False)
        channels = [5, width, 2 * width, 4 * width, 6 * width]
        self.stages = nn.ModuleList()
        for depth, (channels_in, channels_out) in enumerate(zip(channels, channels[1:], strict=False)):
            stage: list[nn.Module] = [
                spectral_norm(nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1)),
                nn.LeakyReLU(0.2),
            ]
            if depth == 2 and attention:
                stage.append(SelfAttention(channels_out))
            if depth < 2 and phase_shuffle_frames:
                stage.append(PhaseShuffle(phase_shuffle_frames))
            self.stages.append(nn.Sequential(*stage))
        cells = (bands // 16) * (frames // 16)
        self.mix = nn.Sequential(
            spectral_norm(nn.Conv2d(channels[-1] + 1, channels[-1], 3, padding=1)), nn.LeakyReLU(0.2)
        )
        self.logit = spectral_norm(nn.Linear(channels[-1] * cells, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        # What the channels share, and four times what sets them apart: a difference of 1 dB is small next to a
        # range of 90 dB, yet decides whether a drum is mono.
        left, right = image.split(1, dim=1)
        place = self.coordinates.expand(image.shape[0], -1, -1, -1)
        features = torch.cat([left, (left + right) / 2, 4 * (left - right), place], dim=1)
        matched = []
        for stage in self.stages:
            features = stage(features)
            matched.append(features)
        features = self.mix(batch_deviation(features))
        logit: Tensor = self.logit(features.flatten(1))
        return logit[:, 0], matched
