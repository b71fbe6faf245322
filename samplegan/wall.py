"""The wall: many spectrograms at a glance, real ones left, generated ones right, both channels stacked."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
COLUMNS = 5
_GAP = 4  # pixels


def wall_png(real: F32, generated: F32) -> bytes:
    """A PNG of two walls of images [sound, channel=2, band, frame] in [-1, 1].

    Low bands are at the bottom of each channel, left above right; white parts sounds, grey parts channels.
    """
    from matplotlib import image

    left, right = _wall(real), _wall(generated)
    height = max(left.shape[0], right.shape[0])
    gutter = np.full((height, 6 * _GAP), np.nan, dtype=np.float32)
    picture = np.concatenate([_padded(left, height), gutter, _padded(right, height)], axis=1)
    buffer = io.BytesIO()
    image.imsave(buffer, coloured(picture), format="png")
    return buffer.getvalue()


def _wall(images: F32) -> F32:
    tiles = [np.concatenate([sound[0, ::-1], _line(sound, 2, 0.0), sound[1, ::-1]]) for sound in images]
    tiles = [np.pad(tile, ((0, _GAP), (0, _GAP)), constant_values=np.nan) for tile in tiles]
    blank = np.full_like(tiles[0], np.nan)
    tiles += [blank] * (-len(tiles) % COLUMNS)
    rows = [np.concatenate(tiles[first : first + COLUMNS], axis=1) for first in range(0, len(tiles), COLUMNS)]
    return np.concatenate(rows)


def _line(sound: F32, height: int, value: float) -> F32:
    return np.full((height, sound.shape[2]), value, dtype=np.float32)


def _padded(wall: F32, height: int) -> F32:
    return np.pad(wall, ((0, height - wall.shape[0]), (0, 0)), constant_values=np.nan)


def coloured(picture: F32) -> NDArray[np.uint8]:
    """Levels in [-1, 1] as RGBA, [..., 4]; what is no number is white."""
    from matplotlib import colormaps

    colours: NDArray[np.uint8] = colormaps["magma"]((picture + 1) / 2, bytes=True)
    colours[np.isnan(picture)] = 255
    return colours
