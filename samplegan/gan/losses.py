"""What the generator is asked to match: statistics of a real batch, never an ideal of ours.

Every term compares one statistic of a generated batch with the same statistic of a real batch: its mean and its
spread over the batch, so that no generated sound is ever compared with one unrelated real sound, and variety is
asked for as much as the average.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

Statistic = Callable[[Tensor], Tensor]
_UNHEARD = 0.1  # the weight of a partial's frequency where it is not heard; 1 where it is
_LINES = 0.2  # the weight of a row of lines; that of all levels is 1
_LAGS = 12  # frames over which the envelope's ripple is compared


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, label_smoothing: float) -> Tensor:
    """Binary cross-entropy, real sounds labelled 1 - label_smoothing (Salimans et al., 2016), generated ones 0."""
    smooth = torch.full_like(real_logits, 1.0 - label_smoothing)
    return (
        functional.binary_cross_entropy_with_logits(real_logits, smooth)
        + functional.softplus(fake_logits).mean()
    )


def gradient_penalty(discriminator: nn.Module, images: Tensor) -> Tensor:
    """Half the mean squared slope of the logits at `images`: R1 at real ones, R2 at generated ones (Mescheder,
    Geiger & Nowozin, 'Which training methods for GANs do actually converge?', 2018)."""
    images = images.detach().requires_grad_(True)
    with sdpa_kernel(SDPBackend.MATH):  # the only attention whose slope has a slope
        logits, _ = discriminator(images)
    (slope,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return 0.5 * slope.float().square().flatten(1).sum(dim=1).mean()


def generator_loss(fake_logits: Tensor) -> Tensor:
    """The non-saturating loss (Goodfellow et al., 2014)."""
    return functional.softplus(-fake_logits).mean()


def feature_matching(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """L1 between the batch means of the discriminator's features (Salimans et al., 2016), mean over its stages."""
    distances = [
        (f.float().mean(dim=0) - r.float().mean(dim=0)).abs().mean() for r, f in zip(real, fake, strict=True)
    ]
    return torch.stack(distances).mean()


def batch_distance(statistic: Statistic, real: Tensor, fake: Tensor) -> Tensor:
    """L1 between a statistic's mean and spread over a real batch and over a generated one.

    `statistic` maps images [batch, channel, band, frame] to [batch, …].
    """
    with torch.no_grad():
        wanted = statistic(real)
        mean, spread = wanted.mean(dim=0), _spread(wanted)
    given = statistic(fake)
    return (given.mean(dim=0) - mean).abs().mean() + (_spread(given) - spread).abs().mean()


def reconstruction(real: Tensor, again: Tensor, bands: int, partials: int, grain: Tensor) -> Tensor:
    """How far decoded images are from those that were encoded, the one comparison of a generated sound with one real
    sound: its own.

    L1, whose optimum among noisy cells is their median. `grain` [batch, band, frame] is what noise shows on average in
    the cells that the decoder means to be noisy. Tracks count for more than their cells: level and frequency, and how
    both change from frame to frame, since a wobble is heard; a frequency counts where there is something to hear.
    Of lines, density counts as far as there are any.

    Most drums are mono, and so is the median of all: under L1 alone all that is drawn stays mono for a long time, where
    nothing has a slope. So the side's distance counts squared, too, whose optimum is the mean.
    """
    level = (again[:, 0, :bands] + grain - real[:, 0, :bands]).abs().mean()
    heard = torch.sigmoid((real[:, 0, :bands] + 0.8) * 10.0)
    side = (again[:, 1, :bands] - real[:, 1, :bands]).abs()
    loss = level + 0.3 * ((side + 2.0 * side.square()) * heard).mean()
    if real.shape[2] > bands + partials:
        wanted, given = real[:, :2, -1], again[:, :2, -1]
        share, density = (given - wanted).abs().unbind(dim=1)
        loss = loss + _LINES * (share + density * (wanted[:, 0] + 1.0) / 2.0).mean()
    if partials == 0:
        return loss
    rows = slice(bands, bands + partials)
    wanted, given = real[:, :2, rows], again[:, :2, rows]
    heard = torch.sigmoid((wanted[:, 0] - wanted[:, 0].amax(dim=(1, 2), keepdim=True) + 1.0) * 8.0)
    sounds = wanted[:, 0] > -1.0
    heard = heard * sounds  # a sound without a body has no loudest part of it
    # Where a body has died away its frequency stays: a new sound may ring longer than those that it lies between.
    known = (_UNHEARD + (1.0 - _UNHEARD) * heard) * sounds.any(dim=2, keepdim=True)
    apart, change = (given - wanted).abs(), (given.diff(dim=-1) - wanted.diff(dim=-1)).abs()
    # The level of a body is most of what is heard of a kick, above all where it is loud.
    loss = (
        loss
        + 0.25 * apart[:, 0].mean()
        + 2.0 * (apart[:, 0] * heard).mean()
        + 4.0 * (apart[:, 1] * known).mean()
    )
    return loss + 0.5 * (change[:, 0] * heard[..., 1:]).mean() + (change[:, 1] * known[..., 1:]).mean()


class Shape:
    """The statistics of images that share one scale.

    Args:
        decibels_per_unit: dB per unit of the image's value (half of the image's range).
        bins_per_band: how many STFT bins each band averages, [band]: an image holds average power, sums need this.
    """

    def __init__(self, decibels_per_unit: float, bins_per_band: Tensor) -> None:
        self.nepers_per_unit = decibels_per_unit * 0.1151292546  # amplitude = exp(dB · ln(10) / 20)
        self.weight = (bins_per_band / bins_per_band.sum())[:, None]
        place = torch.cumsum(bins_per_band, 0) - bins_per_band / 2
        octaves = torch.log2(place + 1.0)
        self.place = (octaves / octaves[-1])[:, None]  # 0 … 1 over the octaves of the range

    def to(self, device: torch.device) -> Shape:
        """The same on another device."""
        self.weight, self.place = self.weight.to(device), self.place.to(device)
        return self

    def centroid(self, image: Tensor) -> Tensor:
        """Spectral centroid of each frame, of the amplitudes, on a log-frequency axis. → [batch, channel, frame]."""
        amplitude = self._amplitude(image)
        return (amplitude * self.place).sum(dim=2) / (amplitude.sum(dim=2) + 1e-6)

    def decay(self, image: Tensor) -> Tensor:
        """Level of each frame, in units of the image's scale: the shape of the decay. → [batch, channel, frame]."""
        power = (self._amplitude(image).square()).sum(dim=2)
        return 0.5 * torch.log(power + 1e-9) / self.nepers_per_unit

    def periodicity(self, image: Tensor) -> Tensor:
        """Autocorrelation of the level's ripple around its slow course. → [batch, channel, lag].

        A wobbling envelope shows as a wave in this curve; real drums have hardly any, noisy ones some, and the
        generator is drawn to whatever the real batch has.
        """
        level = self.decay(image)
        slow = functional.avg_pool1d(functional.pad(level, (4, 4), mode="replicate"), 9, stride=1)
        ripple = level - slow
        lags = [ripple.square().mean(dim=2)]
        lags += [(ripple[..., lag:] * ripple[..., :-lag]).mean(dim=2) for lag in range(1, _LAGS)]
        # The signed square root brings it to the scale of the image, so that its weight is like the others'.
        curve = torch.stack(lags, dim=2)
        return curve / (curve.abs() + 1e-4).sqrt()

    def rolloff(self, image: Tensor, share: float = 0.85) -> Tensor:
        """Where in the range `share` of a frame's amplitude lies below, made soft to have a slope. → as centroid."""
        amplitude = self._amplitude(image)
        below = torch.cumsum(amplitude, dim=2) / (amplitude.sum(dim=2, keepdim=True) + 1e-6)
        under = torch.sigmoid((share - below) * 30.0)
        steps = torch.diff(self.place, dim=0, prepend=torch.zeros_like(self.place[:1]))
        return (under * steps).sum(dim=2)

    def _amplitude(self, image: Tensor) -> Tensor:
        return torch.exp((image - 1.0) * self.nepers_per_unit) * self.weight.sqrt()


def _spread(values: Tensor) -> Tensor:
    return (values.var(dim=0, unbiased=False) + 1e-6).sqrt()
