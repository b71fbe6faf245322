import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp.grid import Grid
from dsp.kernels import cells

ENERGY_TOLERANCE = 1e-5  # relative
SMOOTH_DB = 0.6  # mean error of pooling a smooth spectrum to a quarter of its bins and spreading it again


@settings(deadline=None)
@given(points=st.integers(2, 600), data=st.data())
def test_a_grid_covers_everything_once(points, data):
    cells = data.draw(st.integers(1, points))
    single = data.draw(st.integers(0, cells - 1))
    make = data.draw(st.sampled_from([Grid.bands, Grid.frames]))
    grid = make(points, cells, single)
    assert (grid.points, grid.cells) == (points, cells)
    assert (grid.edges[0], grid.edges[-1]) == (0, points)
    assert (grid.widths[:single] == 1).all()
    # One ratio from the last single cell to the end (the last edge is set by hand).
    growth = grid.widths[max(single, 1) :] / grid.widths[max(single, 1) - 1 : -1]
    assert growth.size == 0 or np.ptp(growth) < 1e-6
    power = np.random.default_rng(points).random((3, points)).astype(np.float32)
    pooled = grid.pool(power)
    np.testing.assert_allclose((pooled * grid.widths).sum(axis=1), power.sum(axis=1), rtol=ENERGY_TOLERANCE)
    np.testing.assert_allclose(pooled, reference.pool(power.astype(float), grid.edges), rtol=1e-4)
    np.testing.assert_allclose(grid.pool(np.full((1, points), 3.0)), 3.0, rtol=ENERGY_TOLERANCE)
    np.testing.assert_allclose(grid.spread(np.full((1, cells), -7.0)), -7.0, rtol=ENERGY_TOLERANCE)


@pytest.mark.parametrize("grid", [Grid.identity(33), Grid.bands(33, 33, 5), Grid.frames(33, 33, 40)])
def test_as_many_cells_as_points_is_the_identity(grid):
    values = np.random.default_rng(0).random((2, 4, 33), dtype=np.float32)
    assert grid.pool(values).tobytes() == values.tobytes()
    assert grid.spread(values).tobytes() == values.tobytes()


def test_the_single_points_are_untouched():
    grid = Grid.bands(513, 128, 40)
    power = np.random.default_rng(0).random((2, 513), dtype=np.float32)
    assert (grid.pool(power)[:, :40] == power[:, :40]).all()
    assert (grid.spread(grid.pool(power))[:, :39] == power[:, :39]).all()


def test_a_smooth_spectrum_survives():
    bins = np.arange(513)
    level_db = -60 * np.log10(1 + bins / 20) + 6 * np.sin(np.sqrt(bins))
    grid = Grid.bands(513, 128, 32)
    pooled = 10 * np.log10(grid.pool((10 ** (level_db / 10)).astype(np.float32)[None]))
    assert np.abs(grid.spread(pooled)[0] - level_db).mean() < SMOOTH_DB


def test_a_decay_survives():
    level_db = -0.3 * np.arange(244.0)
    grid = Grid.frames(244, 64, 16)
    pooled = 10 * np.log10(grid.pool((10 ** (level_db / 10)).astype(np.float32)[None]))
    assert np.abs(grid.spread(pooled)[0] - level_db).mean() < SMOOTH_DB


def test_spread_is_interpolation_between_the_centres():
    grid = Grid.bands(200, 60, 10)
    level = np.random.default_rng(0).uniform(-80, 0, (2, 60)).astype(np.float32)
    points = np.arange(200) + 0.5
    wanted = [np.interp(points, grid.centres, row) for row in level]
    np.testing.assert_allclose(grid.spread(level), wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Grid.bands(10, 11, 0), "bands must be between 1 and the 10 bins, not 11"),
        (lambda: Grid.bands(10, 0, 0), "bands must be at least 1, not 0"),
        (lambda: Grid.bands(10.0, 5, 0), "bins must be a whole number, not 10.0"),
        (lambda: Grid.frames(10, 5, -1), "dense_frames must be at least 0, not -1"),
        (lambda: Grid.identity(0), "points must be at least 1"),
        (lambda: Grid([0, np.nan, 4]), "not be narrower"),
        (lambda: Grid.frames(10, 5, 5), "dense_frames must be between 0 and 4, not 5"),
        (lambda: Grid([0, 2, 1.5, 4]), "not be narrower"),
        (lambda: Grid([0, 0.5, 4]), "not be narrower"),
        (lambda: Grid([1, 2]), "rise from 0"),
        (lambda: Grid([0, 2.5]), "whole number"),
        (
            lambda: Grid.identity(4).pool(np.zeros((2, 5))),
            "must have 4 values along its last axis, not the shape \\[2, 5\\]",
        ),
        (lambda: Grid.identity(4).pool(np.float32(1.0)), "along its last axis"),
    ],
)
def test_misuse(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_kernels_do_what_their_python_does():
    grid = Grid.bands(50, 20, 5)
    power = np.random.default_rng(0).random((2, 50), dtype=np.float32)
    out = np.zeros((2, 20), dtype=np.float32)
    cells.pool_rows.py_func(power, grid._starts, grid._counts, grid._weights, out)
    np.testing.assert_allclose(out, grid.pool(power), rtol=1e-6)
    spread = np.zeros((2, 50), dtype=np.float32)
    cells.spread_rows.py_func(out, grid._left, grid._fraction, spread)
    np.testing.assert_allclose(spread, grid.spread(out), rtol=1e-5)
