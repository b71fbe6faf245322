"""Layers that more than one architecture uses."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm


class SelfAttention(nn.Module):
    """Self-attention over the cells of a feature map, added through a gate that starts closed.

    Zhang, Goodfellow, Metaxas & Odena, 'Self-Attention Generative Adversarial Networks', 2019.

    Shape: [batch, channel, band, frame] → the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.key_channels = max(channels // 4, 8)
        self.query_key = spectral_norm(nn.Conv2d(channels, 2 * self.key_channels, 1, bias=False))
        self.value = spectral_norm(nn.Conv2d(channels, channels, 1, bias=False))
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        query, key = self.query_key(features).flatten(2).transpose(1, 2).split(self.key_channels, dim=2)
        value = self.value(features).flatten(2).transpose(1, 2)  # [batch, cell, channel]
        attended = functional.scaled_dot_product_attention(query, key, value)
        return features + self.gate * attended.transpose(1, 2).reshape(features.shape)


class PhaseShuffle(nn.Module):
    """Shift every feature map by a few frames, a fresh shift for each sound, so that a discriminator cannot
    judge by the exact frame of a pattern (Donahue, McAuley & Puckette, 'Adversarial Audio Synthesis', 2019).

    Shape: [batch, channel, band, frame] → the same; edges are reflected.
    """

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames

    def forward(self, features: Tensor) -> Tensor:
        if not self.training or self.frames == 0:
            return features
        width = features.shape[-1]
        shifts = torch.randint(-self.frames, self.frames + 1, (features.shape[0], 1), device=features.device)
        index = (torch.arange(width, device=features.device) + shifts).abs()
        index = torch.minimum(index, 2 * (width - 1) - index)
        return features.gather(3, index[:, None, None, :].expand_as(features))


def batch_deviation(features: Tensor) -> Tensor:
    """Append one channel: how much the sounds of this batch differ (Karras et al., 'Progressive Growing', 2018).

    Shape: [batch, channel, band, frame] → [batch, channel + 1, band, frame].
    """
    # The small constant keeps the square root's slope finite where all sounds agree.
    deviation = (features.float().var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
    plane = deviation.to(features.dtype).expand(features.shape[0], 1, *features.shape[2:])
    return torch.cat([features, plane], dim=1)


def coordinates(bands: int, frames: int) -> Tensor:
    """Two planes that tell a convolution where it is: spectrograms are not alike at every band and frame.

    Shape: [1, 2, band, frame] in [-1, 1].
    """
    band = torch.linspace(-1.0, 1.0, bands)[:, None].expand(bands, frames)
    frame = torch.linspace(-1.0, 1.0, frames)[None, :].expand(bands, frames)
    return torch.stack([band, frame])[None]
