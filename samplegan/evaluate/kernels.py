"""The convolution kernels that a generator learned, as one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from samplegan.evaluate.canvas import DPI, QUIET_INK, new_figure, png_of
from samplegan.figures import GRID, INK, LEFT, RIGHT, plain
from samplegan.store import Model

if TYPE_CHECKING:
    from torch import nn

    from samplegan.gan import body_gan, stereo_dcgan

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

IN_A_ROW, MOST_ROWS = 24, 4
_WEIGHT, _BAR, _BAR_HEIGHT = 6, 4, 25  # pixels of a weight: of an image's kernel, of a track's
_GAP, _BAR_GAP = 5, 8  # between kernels
_MARGIN, _LABELS, _GUTTER, _ABOVE, _BELOW = 28, 150, 48, 68, 56
_CAPTION, _AFTER = 52, 26
_NARROWEST = 760  # column, for its words
_TITLE, _WORDS = 13.0, 11.0  # points


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution. `kernels[row, column, frequency, time]` of an image, [row, column, time] of a track.

    With names, every row is what its name says, a channel that goes in or comes out. Without, rows mean nothing.
    """

    title: str
    words: str
    kernels: F32
    names: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many kernels there are."""
        return self.kernels.shape[0] * self.kernels.shape[1]


def layers(model: Model) -> list[Layer]:
    """What a model's generator sees first and draws with last, in the order in which a sound passes."""
    from samplegan.gan import stereo_dcgan

    if isinstance(model.generator, stereo_dcgan.Generator):
        return _of_stereo_dcgan(model.generator)
    return _of_body_gan(model.generator, model.representation.partials)


def kernel_sheet(found: Sequence[Layer], title: str) -> bytes:
    """A PNG of all layers in two columns; every kernel is scaled to its own largest weight."""
    walls = [_wall(layer) for layer in found]
    heights = [_CAPTION + wall.shape[0] + _AFTER for wall in walls]
    columns = _columns(found, heights)
    widths = [
        max(_NARROWEST, *(_LABELS + walls[index].shape[1] for index in column)) if column else 0
        for column in columns
    ]
    width = 2 * _MARGIN + _GUTTER + sum(widths)
    height = _ABOVE + _BELOW + max(sum(heights[index] for index in column) for column in columns)
    figure = new_figure(width / DPI, height / DPI)

    def write(words: str, left: float, bottom: float, **how: object) -> None:
        figure.text(left / width, bottom / height, plain(words), **how)

    write(title, _MARGIN, height - 0.6 * _ABOVE, fontsize=15, fontweight="bold", color=INK, va="center")
    left = _MARGIN
    for column, column_width in zip(columns, widths, strict=True):
        top = height - _ABOVE
        for index in column:
            layer, wall = found[index], walls[index]
            write(layer.title, left, top - 14, fontsize=_TITLE, fontweight="bold", color=INK, va="center")
            write(_told(layer), left, top - 37, fontsize=_WORDS, color=QUIET_INK, va="center")
            bottom = top - _CAPTION - wall.shape[0]
            figure.figimage(wall, left + _LABELS, bottom, origin="upper")
            names = layer.names or ("strongest first",)
            row_height = (wall.shape[0] + _GAP) / len(_shown(layer))
            for place, name in enumerate(names):
                middle = top - _CAPTION - (place + 0.5) * row_height + 0.5 * _GAP
                write(name, left, middle, fontsize=_WORDS, color=INK, va="center")
            top -= heights[index]
        left += column_width + _GUTTER
    scale = "each kernel scaled to its largest weight: blue (up) above 0, orange (down) below, white 0"
    where = "time from left to right, frequency from bottom to top"
    write(f"{scale}; {where}", _MARGIN, 0.5 * _BELOW, fontsize=_WORDS, color=QUIET_INK, va="center")
    return png_of(figure)


# --- which layers


def _of_body_gan(generator: body_gan.Generator, partials: int) -> list[Layer]:
    encoder, decoder = generator.encoder, generator.decoder
    found = [
        Layer(
            "What the encoder looks for in an image",
            "first layer, a row for each plane that goes in",
            _weights(encoder.get_submodule("stages.0.0")).swapaxes(0, 1),
            ("level", "width", "place: frequency", "place: time"),
        ),
        *_image_stages("Decoder of images", decoder.stages, 2),
        Layer(
            "What the decoder draws an image with",
            "last layer, a row for each plane that comes out",
            _weights(decoder.image),
            ("level", "width", "how noisy"),
        ),
    ]
    if encoder.tracks is None:
        return found
    names = _track_names(partials, decoder.track_count)
    return [
        *found,
        Layer(
            "What the encoder looks for in tracks",
            "first layer, a row for each track",
            _weights(encoder.get_submodule("tracks.0.0")).swapaxes(0, 1),
            names,
        ),
        *(
            Layer(
                f"Decoder of tracks, stage {place} of {len(decoder.track_stages)}",
                _scale_words(ways, "frames"),
                weights,
            )
            for place, ways, weights in _numbered(
                [stage.get_submodule("convolution") for stage in decoder.track_stages]
            )
        ),
        Layer(
            "What the decoder draws tracks with",
            "last layer, a row for each track",
            _weights(decoder.tracks),
            names,
        ),
    ]


def _of_stereo_dcgan(generator: stereo_dcgan.Generator) -> list[Layer]:
    return [
        *_image_stages("Generator", generator.stages, len(generator.stages)),
        Layer(
            "What the generator draws an image with",
            "last layer, a row for each plane that comes out",
            _weights(generator.image),
            ("shared", "apart"),
        ),
    ]


def _image_stages(who: str, stages: nn.ModuleList, last: int) -> list[Layer]:
    numbered = _numbered([stage.get_submodule("convolution") for stage in stages])
    return [
        Layer(f"{who}, stage {place} of {len(stages)}", _scale_words(ways, "bands and frames"), weights)
        for place, ways, weights in numbered[-last:]
    ]


def _numbered(convolutions: Sequence[nn.Module]) -> list[tuple[int, int, F32]]:
    """Stages counted from 1, how many doublings come after, and their weights."""
    return [
        (place, len(convolutions) - place, _weights(convolution))
        for place, convolution in enumerate(convolutions, start=1)
    ]


def _scale_words(doublings: int, what: str) -> str:
    return f"at all {what}" if doublings == 0 else f"at 1/{2**doublings} of the {what}"


def _track_names(partials: int, tracks: int) -> tuple[str, ...]:
    """All of the first channel, then all of the second, as `as_tracks` has them."""
    numbers = [f" {place}" for place in range(1, partials + 1)] if partials > 1 else [""] * partials
    has_lines = tracks > partials
    return (
        *(f"level{number}" for number in numbers),
        *(["share of lines"] * has_lines),
        *(f"frequency{number}" for number in numbers),
        *(["density of lines"] * has_lines),
    )


def _weights(convolution: nn.Module) -> F32:
    """[out, in, …]."""
    weights: F32 = convolution.weight.detach().float().cpu().numpy()  # type: ignore[operator]
    return weights


# --- how they are drawn


def _columns(found: Sequence[Layer], heights: Sequence[int]) -> tuple[range, range]:
    """Images on the left and tracks on the right; without tracks, about half on either side."""
    count = len(found)
    images = sum(layer.kernels.ndim == 4 for layer in found)
    if images == count:
        images = min(range(1, count + 1), key=lambda cut: max(sum(heights[:cut]), sum(heights[cut:])))
    return range(images), range(images, count)


def _told(layer: Layer) -> str:
    _, columns, *size = layer.kernels.shape
    reach = f"{' × '.join(map(str, size))} {'cells' if len(size) == 2 else 'frames'} each"
    if layer.names:
        features = (
            f"{columns} features"
            if columns <= IN_A_ROW
            else f"the {IN_A_ROW} strongest of {columns} features"
        )
        return f"{layer.words}; {features}, {reach}"
    most = IN_A_ROW * MOST_ROWS
    kernels = (
        f"{layer.count} kernels"
        if layer.count <= most
        else f"the {most} strongest of {layer.count:,} kernels"
    )
    return f"{layer.words}; {kernels}, {reach}"


def _shown(layer: Layer) -> list[F32]:
    """Rows of kernels: of named rows the strongest columns in their order, else the strongest kernels in order of
    strength."""
    strength = np.square(layer.kernels).reshape(*layer.kernels.shape[:2], -1).sum(axis=2)
    if layer.names:
        strongest = np.argsort(-strength.sum(axis=0), kind="stable")[:IN_A_ROW]
        return list(layer.kernels[:, np.sort(strongest)])
    strongest = np.argsort(-strength.ravel(), kind="stable")[: IN_A_ROW * MOST_ROWS]
    chosen = layer.kernels.reshape(layer.count, *layer.kernels.shape[2:])[strongest]
    return [chosen[first : first + IN_A_ROW] for first in range(0, len(chosen), IN_A_ROW)]


def _wall(layer: Layer) -> U8:
    """Kernels as tiles, [row of pixels, column of pixels, colour], white between them."""
    tile, gap = (_bars, _BAR_GAP) if layer.kernels.ndim == 3 else (_cells, _GAP)
    rows = []
    for kernels in _shown(layer):
        tiles = [
            np.pad(tile(_scaled(kernel)), ((0, _GAP), (0, gap), (0, 0)), constant_values=255)
            for kernel in kernels
        ]
        tiles += [np.full_like(tiles[0], 255)] * (IN_A_ROW - len(tiles))
        rows.append(np.concatenate(tiles, axis=1))
    return np.concatenate(rows)[:-_GAP, :-gap]


def _scaled(kernel: F32) -> F32:
    """To a largest weight of 1 or -1."""
    return kernel / max(float(np.abs(kernel).max()), 1e-12)


def _cells(kernel: F32) -> U8:
    """A kernel [frequency, time] as squares, its lowest frequency at the bottom."""
    return _inks(np.kron(kernel[::-1], np.ones((_WEIGHT, _WEIGHT), dtype=np.float32)))


def _bars(kernel: F32) -> U8:
    """A kernel [time] as bars from a line in the middle."""
    middle = _BAR_HEIGHT // 2
    above = middle - np.arange(_BAR_HEIGHT)[:, np.newaxis]  # pixels over the line
    reach = np.rint(np.repeat(kernel, _BAR) * middle)
    inside = (np.sign(above) == np.sign(reach)) & (np.abs(above) <= np.abs(reach))
    drawn = _inks(np.where(inside, np.sign(reach), 0.0).astype(np.float32))
    drawn[middle] = _rgb(GRID)
    return drawn


def _inks(values: F32) -> U8:
    """-1 … 1 as orange, white, blue, [..., 3]."""
    ink = np.where(values[..., np.newaxis] > 0.0, _rgb(LEFT), _rgb(RIGHT)).astype(np.float32)
    mixed = 255.0 + np.abs(values)[..., np.newaxis] * (ink - 255.0)
    return np.rint(mixed).astype(np.uint8)


def _rgb(ink: str) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex(ink[1:]), dtype=np.uint8)
