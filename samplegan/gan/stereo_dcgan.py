"""`stereo-dcgan`: the StereoSampleGAN draft's deep convolutional GAN over two-channel log-magnitude images.

Generator: a 100-dimensional latent, a projection to a small map, convolutions and upsampling up to the image, tanh.
Discriminator: strided convolutions with spectral normalisation, self-attention on the map where a cell still means
something (a few milliseconds by a few semitones), one logit. Two things are ours: the latent also scales and shifts
every stage (else few of its dimensions survive the projection), and left and right are made of what they
share and what sets them apart, so that a mono drum is as easy to draw as a stereo one.
"""

from __future__ import annotations

import itertools
import zlib

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from samplegan.gan.layers import PhaseShuffle, SelfAttention, batch_deviation, coordinates

_DOUBLINGS = 4  # from the smallest map to the image


class _Stage(nn.Module):
    """Convolution, batch norm modulated by the latent, a learned bias for each band and each frame, ReLU, then twice
    the bands and frames.

    The biases tell the stage where it is: the low end of a drum is thin lines, its top is noise, and a convolution
    alone treats both alike. `texture` is fresh noise of one plane, which the stage learns to use or not (Karras,
    Laine & Aila, 2019): without it the grain of a snare would have to be computed from the latent.
    Convolving before the upsampling costs a quarter of convolving after it, and bilinear upsampling leaves none of
    the checkerboard that strided transposed convolutions leave on a spectrogram, where it is heard as a whine.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        bands: int,
        frames: int,
        latent_dim: int,
        *,
        upsample: bool,
    ) -> None:
        super().__init__()
        self.upsample = upsample
        self.texture_scale = nn.Parameter(torch.zeros(channels_out, 1, 1))
        self.band_bias = nn.Parameter(torch.zeros(channels_out, bands, 1))
        self.frame_bias = nn.Parameter(torch.zeros(channels_out, 1, frames))
        self.convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out, affine=False)
        self.style = nn.Linear(latent_dim, 2 * channels_out)
        nn.init.normal_(self.style.weight, std=0.3 / latent_dim**0.5)
        nn.init.zeros_(self.style.bias)

    def forward(self, features: Tensor, latent: Tensor, texture: Tensor) -> Tensor:
        scale, shift = self.style(latent)[:, :, None, None].chunk(2, dim=1)
        features = self.norm(self.convolution(features)) * (1 + scale) + shift
        features = torch.relu(features + self.band_bias + self.frame_bias + self.texture_scale * texture)
        if self.upsample:
            features = functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
        return features


class Generator(nn.Module):
    """Latents to images.

    Shape: [batch, latent] → [batch, channel=2, band, frame] in [-1, 1]. Bands and frames must be multiples of 16.
    """

    def __init__(self, bands: int, frames: int, latent_dim: int = 100, width: int = 16) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.start = (12 * width, bands >> _DOUBLINGS, frames >> _DOUBLINGS)
        self.project = nn.Linear(latent_dim, self.start[0] * self.start[1] * self.start[2], bias=False)
        self.start_norm = nn.BatchNorm2d(self.start[0])
        channels = [12 * width, 12 * width, 8 * width, 4 * width, 2 * width, width]
        self.stages = nn.ModuleList(
            _Stage(
                channels_in,
                channels_out,
                self.start[1] << depth,
                self.start[2] << depth,
                latent_dim,
                upsample=depth < _DOUBLINGS,
            )
            for depth, (channels_in, channels_out) in enumerate(itertools.pairwise(channels))
        )
        self.image = nn.Conv2d(width, 2, 3, padding=1)

    def codes(self, latents: Tensor, truncation: float = 1.0) -> Tensor:
        """Latents are codes; `truncation` scales them towards the mean."""
        return latents * truncation

    def decode(self, codes: Tensor) -> Tensor:
        """Codes to images."""
        images: Tensor = self(codes)
        return images

    def forward(self, latent: Tensor) -> Tensor:
        features = torch.relu(self.start_norm(self.project(latent).unflatten(1, self.start)))
        for stage, texture in zip(self.stages, self._textures(latent), strict=True):
            features = stage(features, latent, texture)
        shared, apart = self.image(features).split(1, dim=1)
        return torch.tanh(torch.cat([shared + apart, shared - apart], dim=1))

    def _textures(self, latent: Tensor) -> list[Tensor]:
        """Noise for every stage, [batch, 1, band, frame]: fresh in training; else it follows from each latent alone,
        so that a latent always means the same sound, whatever else is in the batch."""
        _, bands, frames = self.start
        shapes = [(1, bands << depth, frames << depth) for depth in range(_DOUBLINGS + 1)]
        if self.training:
            return [torch.randn(len(latent), *shape, device=latent.device) for shape in shapes]
        sources = [torch.Generator().manual_seed(zlib.crc32(row.numpy().tobytes())) for row in latent.cpu()]
        return [
            torch.stack([torch.randn(shape, generator=source) for source in sources]).to(latent.device)
            for shape in shapes
        ]


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
        for depth, (channels_in, channels_out) in enumerate(itertools.pairwise(channels)):
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
