"""Non-uniform cells along one axis: a large spectrogram to a smaller image, and back."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dsp import arguments
from dsp.kernels import cells

F32 = NDArray[np.float32]

# Edges closer than this to a whole point are taken to stand on it, so that no cell owns a sliver of a
# neighbour.
EDGE_TOLERANCE = 1e-9


class Grid:
    """``points`` bins (or frames) gathered into ``cells``; point i occupies [i, i + 1).

    ``edges`` float64 [cells + 1] rises from 0 to ``points``; cells may cut points, but none is narrower than
    one. Make a grid with ``Grid.bands``, ``Grid.frames`` or ``Grid.identity``. Methods work along the last
    axis. Both directions are sparse (a few points per cell, two cells per point): a fraction of a dense
    matrix product's work. They raise ValueError for values that are not finite, such as the level of silence.
    """

    def __init__(self, edges: ArrayLike) -> None:
        edges = np.array(edges, dtype=np.float64)
        if edges.ndim != 1 or edges.shape[0] < 2 or edges[0] != 0.0 or edges[-1] != np.round(edges[-1]):
            raise ValueError("the edges of a grid rise from 0 to a whole number of points")
        if not np.diff(edges).min() > 1.0 - EDGE_TOLERANCE:
            raise ValueError("the cells of a grid must not be narrower than one point")
        self.edges: NDArray[np.float64] = edges
        self.points = round(edges[-1])
        self.cells = edges.shape[0] - 1

        starts = np.floor(edges[:-1] + EDGE_TOLERANCE).astype(np.int64)
        stops = np.ceil(edges[1:] - EDGE_TOLERANCE).astype(np.int64)
        weights = np.zeros((self.cells, int((stops - starts).max())), dtype=np.float32)
        for cell in range(self.cells):
            point = np.arange(starts[cell], stops[cell])
            inside = np.minimum(point + 1, edges[cell + 1]) - np.maximum(point, edges[cell])
            weights[cell, : point.shape[0]] = inside / inside.sum()
        self._starts, self._counts, self._weights = starts, stops - starts, weights

        # Points outside the first and the last centre keep that cell's level: extrapolating a generated slope
        # would amplify its errors.
        position = np.interp(np.arange(self.points) + 0.5, self.centres, np.arange(self.cells))
        left = np.floor(position + EDGE_TOLERANCE)
        self._left = left.astype(np.int64)
        self._fraction = np.clip(position - left, 0.0, 1.0).astype(np.float32)

    @classmethod
    def bands(cls, bins: int, bands: int, linear_bins: int) -> Self:
        """Frequency: the first ``linear_bins`` bins one by one, then cells each wider than the last by one
        ratio.

        The edges are geometric in the distance from an origin chosen so that the first wide cell continues
        the single bins smoothly and the last one ends at the last bin: linear, then logarithmic, like
        hearing. (Edges geometric in frequency itself would make cells narrower than a bin, which hold nothing
        new.)
        """
        return cls(_growing_edges("bins", bins, "bands", bands, "linear_bins", linear_bins))

    @classmethod
    def frames(cls, frames: int, cells: int, dense_frames: int) -> Self:
        """Time: the first ``dense_frames`` one by one, then cells growing by one ratio to the last frame."""
        return cls(_growing_edges("frames", frames, "cells", cells, "dense_frames", dense_frames))

    @classmethod
    def identity(cls, points: int) -> Self:
        """One cell per point."""
        return cls(np.arange(arguments.whole("points", points, 1) + 1))

    @property
    def centres(self) -> NDArray[np.float64]:
        """The middle of every cell [cells], in the coordinate of ``edges``: point i's middle is i + 0.5."""
        return 0.5 * (self.edges[:-1] + self.edges[1:])

    @property
    def widths(self) -> NDArray[np.float64]:
        """The width of every cell in points [cells]."""
        return np.diff(self.edges)

    def pool(self, power: ArrayLike) -> F32:
        """The mean power of every cell, points cut by an edge counting in proportion: times the widths, the
        energy.

        Shape: float32 [..., points] → float32 [..., cells]
        """
        power = _checked("power", power, self.points)
        out = np.empty((*power.shape[:-1], self.cells), dtype=np.float32)
        cells.pool_rows(
            power.reshape(-1, self.points),
            self._starts,
            self._counts,
            self._weights,
            out.reshape(-1, self.cells),
        )
        return out

    def spread(self, level_db: ArrayLike) -> F32:
        """Levels in dB, interpolated between the centres of the cells; held outside the first and the last.

        Shape: float32 [..., cells] → float32 [..., points]
        """
        level_db = _checked("level_db", level_db, self.cells)
        out = np.empty((*level_db.shape[:-1], self.points), dtype=np.float32)
        cells.spread_rows(
            level_db.reshape(-1, self.cells), self._left, self._fraction, out.reshape(-1, self.points)
        )
        return out


def _checked(what: str, values: ArrayLike, wanted: int) -> F32:
    checked = arguments.floats(what, values)
    if checked.ndim == 0 or checked.shape[-1] != wanted:
        raise ValueError(
            f"{what} must have {wanted} values along its last axis, not the shape {list(checked.shape)}"
        )
    return checked


def _growing_edges(
    points_name: str, points: int, cells_name: str, cells: int, single_name: str, single: int
) -> NDArray[np.float64]:
    """Edges of ``single`` cells of width 1, then ``cells - single`` of widths r, r² … up to ``points``."""
    points = arguments.whole(points_name, points, 1)
    cells = arguments.whole(cells_name, cells, 1)
    single = arguments.whole(single_name, single, 0)
    if cells > points:
        raise ValueError(f"{cells_name} must be between 1 and the {points} {points_name}, not {cells}")
    if cells == points:
        return np.arange(points + 1, dtype=np.float64)
    if single >= cells:
        raise ValueError(f"{single_name} must be between 0 and {cells - 1}, not {single}")
    count, rest = cells - single, points - single
    powers = np.arange(1, count + 1)
    # The sum r + r² + … + r^count rises with r, from count (< rest) at r = 1 to more than rest at r = rest.
    low, high = 1.0, float(rest)
    for _ in range(200):
        middle = 0.5 * (low + high)
        with np.errstate(over="ignore"):
            total = np.sum(middle**powers)
        low, high = (middle, high) if total < rest else (low, middle)
    edges = np.concatenate([np.arange(single + 1), single + np.cumsum(low**powers)])
    edges[-1] = points
    return edges
