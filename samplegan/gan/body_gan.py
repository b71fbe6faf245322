"""`body-gan`: an autoencoder whose decoder is also the generator of a GAN, over images of a drum's body and its rest.

Some hundreds of sounds are too few for a GAN alone to find out what a drum is. Here every sound is encoded, and decoded
again; the decoder learns from each what it looks like (Kingma & Welling, 'Auto-Encoding Variational Bayes', 2014), and
a discriminator judges sounds decoded from between the encodings, so that what lies between two drums is a drum too
(Larsen et al., 'Autoencoding beyond pixels', 2016; Berthelot et al., 'Understanding and improving interpolation in
autoencoders', 2019). New sounds are drawn there: near an encoded sound (an anchor), part of the way to a neighbour of
another kit, and aside. Between sounds of one kit, or one sound at two speeds, lie hardly any new ones.

An image is a sum of the principal components of those learned from, whose amounts follow from the code, and of what
convolutions draw on top: these learn slowly what a linear model knows at once, and that misses what is not linear.

Rows below the bands are tracks: of partials, and that of lines (whose cells lie along frequency).

The decoder draws levels without noise, and how noisy each cell is. The grain of noise is put on by the representation,
with the statistics that noise has; the discriminator sees it with grain, as real images have it.

What a decoder draws is the mean of all sounds with one code: it blurs modes and softens attacks. What the bands of the
sounds learned from have on top (their residuals) is kept with their codes as amounts of a few images, and a new sound
is given some of it: a normal draw with the covariance that the residuals of the sounds around it have. Tracks are given
none, and a frame's level hardly changes, neither that of the lows nor that of the highs, which the lows would hide:
what a decoder gets wrong there would be heard as wobble, or as a hiss that comes back under the body.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from samplegan.gan.layers import SelfAttention, batch_deviation, coordinates

_DOUBLINGS = 4  # from the smallest map to the image
_STYLE = 192
_CHOICES = 3  # numbers of a latent that choose: an anchor, a neighbour, and how far towards it
_NEIGHBOURS = 10
_RESIDUALS = 10  # sounds around a new one, whose residuals it is given some of
_HIDDEN = 256  # units of a layer between codes and amounts
_TRACK_WEIGHT = 4.0  # of a track's cell among those of bands
_UNSTEADINESS = 8.0
_STEEP, _SLOPE_BEYOND = 4.0, 0.01  # where tanh is 0.9993, and of what goes in beyond
_QUIETEST, _LOUDEST = -8.0, 4.0  # of a log variance
_NO_VARIANCE = 1e-12
_LOUDER_DB = 2.0  # than without, or softer: no more may a residual make a frame in a quarter of the bands
_QUARTERS = 4
_HOLDINGS = 4  # rounds: what is taken from a quarter is taken from its neighbours, too
_FAINT = 0.15  # above silence, in units of the image: below it residuals fade out
_PRINCIPAL = ("principal.", "encoder.from_amounts.", "decoder.to_amounts.")  # names of tensors


def as_tracks(rows: Tensor) -> Tensor:
    """[batch, 2, track, frame] → [batch, 2 · track, frame]: all of the first channel, then all of the second."""
    return rows.flatten(1, 2)


class Principal(nn.Module):
    """Images as amounts of a few: the principal components of those learned from, and their mean.

    Most of what tells one drum from another is in a few dozen amounts, which a small network learns in a minute. What
    they miss is drawn by convolutions on top. Of the second channel only tracks are kept: how wide a drum is says
    little about it, and half of all numbers.

    The rows of `basis` are components, each times its standard deviation, and last the mean.
    """

    basis: Tensor  # [component + 1, cell]
    weight: Tensor  # [cell]

    def __init__(self, bands: int, frames: int, tracks: int, components: int) -> None:
        super().__init__()
        self.bands, self.tracks, self.frames = bands, tracks, frames
        cells = (bands + 2 * tracks) * frames
        weight = torch.ones(bands + 2 * tracks, frames)
        weight[bands:] = _TRACK_WEIGHT
        self.register_buffer("basis", torch.zeros(components + 1, cells))
        self.register_buffer("weight", weight.flatten(), persistent=False)

    def fit(self, images: Tensor) -> None:
        """Take the components from images [sound, channel, row, frame]; fewer sounds have fewer."""
        flat = self._flat(images.double())
        mean = flat.mean(dim=0)
        scaled = (flat - mean) * self.weight.double()
        axes, sizes = _principal_axes(scaled, min(len(self.basis), len(flat)) - 1)
        deviations = (sizes / len(flat) ** 0.5)[:, None]
        basis = torch.zeros_like(self.basis, dtype=torch.float64)
        basis[: len(axes)] = (axes * deviations).flip(0) / self.weight.double()
        basis[-1] = mean
        self.basis.copy_(basis)

    def amounts(self, images: Tensor) -> Tensor:
        """How much of each component images have, in standard deviations: [sound, component]."""
        scaled = (self.basis[:-1] * self.weight).float()
        size2 = scaled.square().sum(dim=1)
        flat = (self._flat(images.float()) - self.basis[-1]) * self.weight
        return flat @ (scaled / size2.clamp(min=_NO_VARIANCE)[:, None]).T

    def drawn(self, amounts: Tensor) -> tuple[Tensor, Tensor]:
        """Levels [sound, band, frame] and tracks [sound, 2, track, frame] of amounts [sound, component + 1]."""
        rows = (amounts @ self.basis).unflatten(1, (-1, self.frames))
        return rows[:, : self.bands], rows[:, self.bands :].unflatten(1, (2, self.tracks))

    def _flat(self, images: Tensor) -> Tensor:
        level, tracks = images[:, 0, : self.bands], images[:, :2, self.bands :]
        return torch.cat([level.flatten(1), tracks.flatten(1)], dim=1)


class _Encoder(nn.Module):
    """Images to the mean and log variance of their codes."""

    coordinates: Tensor

    def __init__(
        self, bands: int, frames: int, tracks: int, code_dim: int, width: int, components: int
    ) -> None:
        super().__init__()
        self.bands = bands
        self.register_buffer("coordinates", coordinates(bands, frames), persistent=False)
        channels = [4, width, 2 * width, 4 * width, 6 * width]
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 4, 2, 1), nn.GroupNorm(math.gcd(b, 4), b), nn.SiLU())
            for a, b in itertools.pairwise(channels)
        )
        features = channels[-1] * (bands >> _DOUBLINGS) * (frames >> _DOUBLINGS)
        self.tracks = None
        if tracks:
            layers = [nn.Sequential(nn.Conv1d(a, b, 4, 2, 1), nn.SiLU()) for a, b in _pairs(2 * tracks)]
            self.tracks = nn.Sequential(*layers, nn.Flatten())
            features += 64 * (frames >> 3)
        self.code = nn.Sequential(nn.Linear(features, 256), nn.SiLU(), nn.Linear(256, 2 * code_dim))
        self.from_amounts = _perceptron(components, 2 * code_dim)

    def forward(self, image: Tensor, amounts: Tensor) -> tuple[Tensor, Tensor]:
        place = self.coordinates.expand(len(image), -1, -1, -1)
        features = torch.cat([image[:, :2, : self.bands], place], dim=1)
        for stage in self.stages:
            features = stage(features)
        flat = features.flatten(1)
        if self.tracks is not None:
            flat = torch.cat([flat, self.tracks(as_tracks(image[:, :2, self.bands :]))], dim=1)
        code = self.code(flat).float()
        with _exactly(image):
            return _split(code + self.from_amounts(amounts))


class _Stage(nn.Module):
    """Convolution, group norm modulated by the style, a learned bias for each band and each frame, leaky ReLU, then
    twice the bands and frames.

    The biases tell the stage where it is. Convolving before the upsampling costs a quarter of convolving after it, and
    bilinear upsampling leaves no checkerboard.
    """

    def __init__(self, channels_in: int, channels_out: int, bands: int, frames: int, *, upsample: bool):
        super().__init__()
        self.upsample = upsample
        self.convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        # Groups of four channels, where that divides them.
        groups = math.gcd(channels_out, max(channels_out // 4, 1))
        self.norm = nn.GroupNorm(groups, channels_out, affine=False)
        self.style = _style(channels_out)
        self.band_bias = nn.Parameter(torch.zeros(channels_out, bands, 1))
        self.frame_bias = nn.Parameter(torch.zeros(channels_out, 1, frames))

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        scale, shift = self.style(style)[:, :, None, None].chunk(2, dim=1)
        features = torch.addcmul(shift, self.norm(self.convolution(features)), 1 + scale)
        # The biases are added to each other first: one pass over all features instead of two.
        features = functional.leaky_relu(
            features + (self.band_bias + self.frame_bias).to(features.dtype), 0.1
        )
        if self.upsample:
            features = functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
        return features


class _TrackStage(nn.Module):
    """Twice the frames, then a convolution modulated by the style, with a learned bias for each frame."""

    def __init__(self, channels_in: int, channels_out: int, frames: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(channels_in, channels_out, 5, padding=2)
        self.style = _style(channels_out)
        self.frame_bias = nn.Parameter(torch.zeros(channels_out, frames))

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        features = functional.interpolate(features, scale_factor=2, mode="linear", align_corners=False)
        scale, shift = self.style(style)[:, :, None].chunk(2, dim=1)
        return functional.silu(self.convolution(features) * (1 + scale) + shift + self.frame_bias)


class _Decoder(nn.Module):
    """Codes to images of three channels: level, width, and how noisy."""

    def __init__(self, bands: int, frames: int, tracks: int, code_dim: int, width: int, components: int):
        super().__init__()
        self.track_count = tracks
        self.to_amounts = _perceptron(code_dim, components + 1)
        self.style = nn.Sequential(
            nn.Linear(code_dim, _STYLE), nn.SiLU(), nn.Linear(_STYLE, _STYLE), nn.SiLU()
        )
        channels = [factor * width for factor in (10, 10, 8, 4, 2, 1)]
        self.start = (channels[0], bands >> _DOUBLINGS, frames >> _DOUBLINGS)
        self.project = nn.Linear(_STYLE, math.prod(self.start))
        self.stages = nn.ModuleList(
            _Stage(a, b, self.start[1] << depth, self.start[2] << depth, upsample=depth < _DOUBLINGS)
            for depth, (a, b) in enumerate(itertools.pairwise(channels))
        )
        self.image = nn.Conv2d(width, 3, 3, padding=1)
        nn.init.constant_(self.image.bias[2:], 2.0)  # type: ignore[index]  # noise is noisy, to begin with
        if tracks:
            self.track_start = (64, frames >> 3)
            self.project_tracks = nn.Linear(_STYLE, math.prod(self.track_start))
            self.track_stages = nn.ModuleList(
                _TrackStage(a, b, frames >> (2 - depth))
                for depth, (a, b) in enumerate(itertools.pairwise((64, 64, 48, 32)))
            )
            self.tracks = nn.Conv1d(32, 2 * tracks, 5, padding=2)
            # Convolutions of what was interpolated round off the attack; this draws every frame by itself.
            self.direct_tracks = nn.Linear(_STYLE, 2 * tracks * frames)
            nn.init.zeros_(self.direct_tracks.weight)
            nn.init.zeros_(self.direct_tracks.bias)

    def forward(self, codes: Tensor, principal: Principal) -> Tensor:
        with _exactly(codes):
            levels, principal_tracks = principal.drawn(self.to_amounts(codes.float()))
        style = self.style(codes)
        features = functional.silu(self.project(style).unflatten(1, self.start))
        for stage in self.stages:
            features = stage(features, style)
        image = _bounded(self.image(features).float())
        image = torch.cat([_clipped(image[:, :1] + levels[:, None]), image[:, 1:]], dim=1)
        if not self.track_count:
            return image
        features = functional.silu(self.project_tracks(style).unflatten(1, self.track_start))
        for stage in self.track_stages:
            features = stage(features, style)
        direct = self.direct_tracks(style).unflatten(1, (2 * self.track_count, -1))
        tracks = _bounded((self.tracks(features) + direct).float()).unflatten(1, (2, self.track_count))
        tracks = _clipped(tracks + principal_tracks)
        return torch.cat([image, torch.cat([tracks, torch.ones_like(tracks[:, :1])], dim=1)], dim=2)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        if self.track_count:  # models of before it was there draw as they did
            for name, weight in self.direct_tracks.named_parameters():
                state_dict.setdefault(f"{prefix}direct_tracks.{name}", torch.zeros_like(weight))
        super()._load_from_state_dict(state_dict, prefix, *args)


class Generator(nn.Module):
    """Latents to codes to images, and images to codes.

    Latents are standard normal numbers, [batch, latent_dim]; three of them choose an anchor, a neighbour and how far
    towards it, `code_dim` step aside, the others weigh the residuals around. Codes are [batch, code_dim], or
    [batch, code_dim + component] where the amounts of residuals follow; images [batch, 3, bands + tracks, frame].
    """

    anchors: Tensor  # [anchor, code_dim]
    groups: Tensor  # [anchor], whole numbers: no neighbours of each other are those of one
    residual_basis: Tensor  # [component, band, frame], of levels
    residuals: Tensor  # [anchor, component]
    bins_per_band: Tensor

    def __init__(
        self,
        bands: int,
        frames: int,
        tracks: int,
        *,
        code_dim: int = 64,
        width: int = 16,
        encoder_width: int = 24,
        aside: float = 1.6,
        along: float = 1.0,
        anchors: int = 1,
        bins_per_band: Tensor | None = None,
        decibels_per_unit: float = 52.0,
        principal_components: int = 64,
    ) -> None:
        super().__init__()
        self.bands, self.code_dim, self.aside, self.along = bands, code_dim, aside, along
        self.decibels_per_unit = decibels_per_unit
        bins = torch.ones(bands) if bins_per_band is None else bins_per_band
        self.register_buffer("bins_per_band", bins, persistent=False)
        self.principal = Principal(bands, frames, tracks, principal_components)
        self.encoder = _Encoder(bands, frames, tracks, code_dim, encoder_width, principal_components)
        self.decoder = _Decoder(bands, frames, tracks, code_dim, width, principal_components)
        self.register_buffer("anchors", torch.zeros(anchors, code_dim))
        self.register_buffer("groups", torch.arange(anchors, dtype=torch.int32))
        self.register_buffer("residual_basis", torch.zeros(0, bands, frames))
        self.register_buffer("residuals", torch.zeros(0, 0))

    @property
    def latent_dim(self) -> int:
        """How many numbers make one sound."""
        return _CHOICES + self.code_dim + (_RESIDUALS if len(self.residual_basis) else 0)

    def begin(self, images: Tensor) -> None:
        """Take the principal components of images to learn from; all that is drawn on top of them begins as nothing."""
        self.principal.fit(images)
        level, code, amounts = self.decoder.image, self.encoder.code[-1], self.decoder.to_amounts[-1]
        assert isinstance(code, nn.Linear) and isinstance(amounts, nn.Linear) and level.bias is not None
        nothing = [level.weight, level.bias[:1], code.weight, code.bias]
        if self.decoder.track_count:
            nothing += self.decoder.tracks.parameters()
        with torch.no_grad():
            for weights in nothing:
                weights.zero_()
            amounts.bias[-1] = 1.0  # of the mean

    def know(
        self,
        codes: Tensor,
        *,
        groups: Tensor | None = None,
        residuals: Tensor | None = None,
        components: int = 0,
    ) -> None:
        """Make the sounds of these codes [sound, code_dim] and groups [sound] (left out: each is its own) the anchors,
        with as much of their residuals [sound, band, frame] as so many images can say.
        """
        self.anchors = codes
        self.groups = (torch.arange(len(codes)) if groups is None else groups).to(self.groups)
        self.residual_basis, self.residuals = self.residual_basis[:0], codes.new_zeros(0, 0)
        components = min(components, len(codes) - 1)  # more than that have no variance
        if residuals is None or components <= 0:
            return
        flat = residuals.double().flatten(1)
        flat = flat - flat.mean(dim=0)
        basis, _ = _principal_axes(flat, components)
        self.residual_basis = basis.unflatten(1, residuals.shape[1:]).to(codes.dtype)
        self.residuals = (flat @ basis.T).to(codes.dtype)

    def codes(self, latents: Tensor, truncation: float = 1.0) -> Tensor:
        """Latents to codes; `truncation` scales them towards the mean of the anchors, without residuals."""
        count = len(self.anchors)
        chance = 0.5 * (1.0 + torch.erf(latents[:, :_CHOICES] * 0.5**0.5))
        first = (chance[:, 0] * count).long().clamp(max=count - 1)
        between = torch.stack([self._between(*each) for each in zip(first, chance[:, 1:], strict=True)])
        aside = self.aside * latents[:, _CHOICES : _CHOICES + self.code_dim]
        mean = self.anchors.mean(dim=0)
        codes = mean + (between + aside - mean) * truncation
        if not len(self.residual_basis):
            return codes
        weights = latents[:, _CHOICES + self.code_dim :] * truncation
        return torch.cat([codes, self._residuals_around(codes, weights)], dim=1)

    def _residuals_around(self, codes: Tensor, weights: Tensor) -> Tensor:
        """Amounts of residuals, normal if the weights are, with the covariance of those around each code."""
        around = min(_RESIDUALS, len(self.anchors))
        found = []
        for code, weight in zip(codes, weights, strict=True):  # one at a time, as neighbours are
            distance = (self.anchors - code).square().sum(dim=1)
            nearest = self.residuals[distance.topk(around, largest=False).indices]
            found.append((weight[:around, None] * nearest).sum(dim=0) / around**0.5)
        return torch.stack(found)

    def _between(self, first: Tensor, chance: Tensor) -> Tensor:
        """A code on the way from an anchor, given its index, to one of its neighbours, as two chances say."""
        # One at a time: what a sound is must not hang on the others of its batch.
        anchor = self.anchors[first]
        strangers = self.groups != self.groups[first]
        neighbours = min(_NEIGHBOURS, int(strangers.sum()))
        if not neighbours:
            return anchor
        distance = torch.where(strangers, (self.anchors - anchor).square().sum(dim=1), torch.inf)
        chosen = (chance[0] * neighbours).long().clamp(max=neighbours - 1)
        neighbour = self.anchors[distance.topk(neighbours, largest=False).indices[chosen]]
        return anchor + (neighbour - anchor) * (self.along * chance[1])

    def decode(self, codes: Tensor) -> Tensor:
        """Codes to images."""
        images: Tensor = self.decoder(codes[:, : self.code_dim], self.principal)
        amounts = codes[:, self.code_dim :]
        if not amounts.shape[1]:
            return images
        # One sound at a time, again.
        residual = torch.stack([torch.tensordot(each, self.residual_basis, 1) for each in amounts])
        level = images[:, 0, : self.bands]
        above_silence = ((level + 1.0) / _FAINT).clamp(max=1.0)
        given = level + residual * above_silence
        # Where sounds end at one stroke their residuals are large, and would be heard as echoes of the end.
        before, most = self._quarter_levels(level), _LOUDER_DB / self.decibels_per_unit
        for _ in range(_HOLDINGS):
            louder = self._quarter_levels(given) - before
            given = given - self._between_quarters(louder - louder.clamp(-most, most)) * above_silence
        images = images.clone()
        images[:, 0, : self.bands] = given.clamp(-1.0, 1.0)
        return images

    def _between_quarters(self, values: Tensor) -> Tensor:
        """What quarters have, at every band: linear between their middles, as a step would be seen and heard as an
        edge. [batch, quarter, frame] → [batch, band, frame].
        """
        place = (torch.arange(self.bands) + 0.5) * (_QUARTERS / self.bands) - 0.5
        place = place.clamp(0.0, _QUARTERS - 1.0).to(values)
        below = place.long().clamp(max=_QUARTERS - 2)
        # Not functional.interpolate: each number by itself, whatever else is in the batch.
        return torch.lerp(values[:, below], values[:, below + 1], (place - below)[:, None])

    def _quarter_levels(self, level: Tensor) -> Tensor:
        """The level of each frame's power in each quarter of the bands, in units of the image: [batch, band, frame] →
        [batch, quarter, frame].
        """
        nepers = self.decibels_per_unit * math.log(10.0) / 10.0  # of power, in each unit
        power = level * nepers + self.bins_per_band.log()[:, None]
        return torch.logsumexp(power.unflatten(1, (_QUARTERS, -1)), dim=2) / nepers

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images to the mean and the log variance of their codes."""
        with _exactly(images):
            amounts = self.principal.amounts(images)
        code: tuple[Tensor, Tensor] = self.encoder(images, amounts)
        return code

    def again(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images encoded and drawn again by their principal components alone, without convolutions: drawn images, and
        the mean and log variance of the codes. What nothing says of them, width and noise, is that of the images.
        """
        mean, log_variance = _split(self.encoder.from_amounts(self.principal.amounts(images)))
        codes = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        levels, tracks = self.principal.drawn(self.decoder.to_amounts(codes))
        drawn = torch.cat([levels[:, None], images[:, 1:2, : self.bands]], dim=1)
        drawn = torch.cat([drawn, tracks], dim=2)
        return _clipped(drawn), mean, log_variance

    def forward(self, latents: Tensor) -> Tensor:
        return self.decode(self.codes(latents))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # Models of before there were any draw without principal components, as they did.
        if f"{prefix}principal.basis" not in state_dict:
            for name, value in self.state_dict().items():
                if name.startswith(_PRINCIPAL):
                    state_dict[f"{prefix}{name}"] = torch.zeros_like(value)
        # A model has as many anchors as its training had sounds, and perhaps neither groups nor residuals.
        if (stored := state_dict.get(f"{prefix}anchors")) is not None and stored.ndim == 2:
            if f"{prefix}residual_basis" not in state_dict:
                state_dict |= {
                    f"{prefix}residual_basis": self.residual_basis[:0],
                    f"{prefix}residuals": self.residuals[:0, :0],
                }
            basis = state_dict[f"{prefix}residual_basis"]
            components = len(basis) if basis.ndim == 3 else 0
            self.anchors = self.anchors.new_zeros(len(stored), self.code_dim)
            self.groups = torch.arange(len(stored), dtype=torch.int32, device=stored.device)
            state_dict.setdefault(f"{prefix}groups", self.groups)
            self.residual_basis = self.residual_basis.new_zeros(components, *self.residual_basis.shape[1:])
            self.residuals = self.residuals.new_zeros(len(stored) if components else 0, components)
        super()._load_from_state_dict(state_dict, prefix, *args)


class Discriminator(nn.Module):
    """Images to one logit each, and the features on the way (for feature matching).

    Strided convolutions with spectral normalisation over the image, self-attention where a cell still means something,
    the same in one dimension over the tracks, and layers that see both.

    Shape: [batch, at least 2, bands + tracks, frame] → [batch], list of features.
    """

    coordinates: Tensor
    frame_place: Tensor

    def __init__(
        self, bands: int, frames: int, tracks: int, *, width: int = 24, attention: bool = True
    ) -> None:
        super().__init__()
        self.bands = bands
        self.register_buffer("coordinates", coordinates(bands, frames), persistent=False)
        self.register_buffer("frame_place", torch.linspace(-1.0, 1.0, frames), persistent=False)
        channels = [4, width, 2 * width, 4 * width, 6 * width]
        self.stages = nn.ModuleList()
        for depth, (a, b) in enumerate(itertools.pairwise(channels)):
            stage: list[nn.Module] = [spectral_norm(nn.Conv2d(a, b, 4, 2, 1)), nn.LeakyReLU(0.2)]
            if depth == 2 and attention:
                stage.append(SelfAttention(b))
            self.stages.append(nn.Sequential(*stage))
        self.mix = nn.Sequential(
            spectral_norm(nn.Conv2d(channels[-1] + 1, channels[-1], 3, padding=1)), nn.LeakyReLU(0.2)
        )
        features = channels[-1] * (bands >> _DOUBLINGS) * (frames >> _DOUBLINGS)
        self.track_stages = nn.ModuleList()
        if tracks:
            for a, b in _pairs(4 * tracks + 1):
                layer = spectral_norm(nn.Conv1d(a, b, 5, 2, 2))
                self.track_stages.append(nn.Sequential(layer, nn.LeakyReLU(0.2)))
            features += 64 * (frames >> 3)
        self.both = nn.Sequential(spectral_norm(nn.Linear(features, 128)), nn.LeakyReLU(0.2))
        self.logit = spectral_norm(nn.Linear(128, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        place = self.coordinates.expand(len(image), -1, -1, -1)
        features = torch.cat([image[:, :2, : self.bands], place], dim=1)
        matched = []
        for stage in self.stages:
            features = stage(features)
            matched.append(features)
        flat = self.mix(batch_deviation(features)).flatten(1)
        if len(self.track_stages):
            tracks = as_tracks(image[:, :2, self.bands :])
            place = self.frame_place.expand(len(tracks), 1, -1)
            tracks = torch.cat([tracks, _UNSTEADINESS * _unsteady(tracks), place], dim=1)
            for stage in self.track_stages:
                tracks = stage(tracks)
                matched.append(tracks)
            flat = torch.cat([flat, tracks.flatten(1)], dim=1)
        flat = self.both(flat)
        matched.append(flat)
        logit: Tensor = self.logit(flat)
        return logit[:, 0], matched


def _bounded(raw: Tensor) -> Tensor:
    """tanh with a slope everywhere. Most drums are mono, and where tanh was -1 to the last bit for all it had none:
    a model of toms stayed mono for good."""
    inner = raw.clamp(-_STEEP, _STEEP)
    return torch.tanh(inner + _SLOPE_BEYOND * (raw - inner))


def _principal_axes(centred: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Of vectors [sound, cell] whose mean is 0: `count` principal axes [axis, cell] of length 1, that which says most
    last, and how long the sounds together are along each.
    """
    # The eigenvectors of the sounds' products: there are fewer sounds than cells.
    variances, vectors = torch.linalg.eigh(centred @ centred.T)
    sizes = variances[-count:].clamp(min=_NO_VARIANCE).sqrt()
    return (centred.T @ (vectors[:, -count:] / sizes)).T, sizes


def _exactly(like: Tensor) -> torch.autocast:
    """Without lower precision: sums of many components are a dozen times as large as what they stand for."""
    return torch.autocast(like.device.type, enabled=False)


def _clipped(image: Tensor) -> Tensor:
    """Within [-1, 1], with a slope everywhere, too."""
    return image.clamp(-1.0, 1.0) + _SLOPE_BEYOND * (image - image.detach())


def _split(code: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and the log variance of codes."""
    mean, log_variance = code.chunk(2, dim=1)
    return mean, log_variance.clamp(_QUIETEST, _LOUDEST)


def _perceptron(values_in: int, values_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(values_in, _HIDDEN),
        nn.SiLU(),
        nn.Linear(_HIDDEN, _HIDDEN),
        nn.SiLU(),
        nn.Linear(_HIDDEN, values_out),
    )


def _unsteady(tracks: Tensor) -> Tensor:
    """Tracks less their own course: a wobble of 2 dB is small next to a range of 100, yet it is heard."""
    slow = functional.avg_pool1d(functional.pad(tracks, (2, 2), mode="replicate"), 5, stride=1)
    return tracks - slow


def _pairs(channels: int) -> list[tuple[int, int]]:
    return list(itertools.pairwise((channels, 32, 48, 64)))


def _style(channels: int) -> nn.Linear:
    layer = nn.Linear(_STYLE, 2 * channels)
    nn.init.normal_(layer.weight, std=0.3 / _STYLE**0.5)
    nn.init.zeros_(layer.bias)
    return layer
