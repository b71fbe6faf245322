"""Every metric on sets whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import linalg

from samplegan.evaluate import metrics
from samplegan.evaluate.metrics import (
    frechet_distance,
    median_distance,
    mmd2,
    ndb_js,
    nearest_distances,
    nearest_neighbour_accuracy,
    precision_recall_density_coverage,
    vendi,
)

SIZE, DIMENSIONS = 300, 4


def gaussian(seed: int, size: int = SIZE, dimensions: int = DIMENSIONS) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((size, dimensions))


def modes(seed: int, which: tuple[int, ...], each: int = 60) -> np.ndarray:
    """Tight clusters, 10 apart, on a circle of six."""
    angle = np.array(which) * (np.pi / 3)
    centres = 10.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.repeat(centres, each, axis=0) + 0.5 * gaussian(seed, each * len(which), 2)


REAL, SAME = gaussian(0), gaussian(1)
SHIFTED = SAME + 2.0
COLLAPSED = 0.05 * SAME
ALL_MODES = tuple(range(6))


# --- MMD


def test_mmd_of_two_and_two_points_by_hand():
    # Distances: real 2, generated 1, across 0, 1, 2, 1; the bandwidth is 2, so k = exp(-d² / 8).
    real, generated = np.array([[0.0], [2.0]]), np.array([[0.0], [1.0]])
    across = (1.0 + 2.0 * math.exp(-1 / 8) + math.exp(-4 / 8)) / 4.0
    assert mmd2(real, generated) == pytest.approx(math.exp(-4 / 8) + math.exp(-1 / 8) - 2.0 * across)


def test_mmd_is_unbiased_and_grows_with_the_shift():
    equal = [mmd2(gaussian(2 * seed, 100), gaussian(2 * seed + 1, 100)) for seed in range(40)]
    assert abs(np.mean(equal)) < 3.0 * np.std(equal) / math.sqrt(40)
    assert min(equal) < 0.0 < max(equal)
    assert max(equal) < mmd2(REAL, SAME + 0.5) < mmd2(REAL, SHIFTED) < 2.0
    assert mmd2(REAL, COLLAPSED) > 5.0 * max(equal)


def test_mmd_needs_real_sounds_that_differ():
    with pytest.raises(ValueError, match="duplicates"):
        mmd2(np.ones((9, 2)), gaussian(0, 9, 2))


def test_median_distance():
    assert median_distance(np.array([[0.0], [1.0], [3.0]])) == 2.0
    many = gaussian(3, 3000, 1)
    assert median_distance(many) == pytest.approx(2**0.5 * 0.6745, rel=0.05)


# --- Fréchet


def test_frechet_of_known_gaussians():
    # An orthogonal design has exactly these means and covariances.
    corners = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]) * math.sqrt(3 / 4)
    first, second = corners * [1.0, 2.0], corners * [3.0, 2.0] + [5.0, 0.0]
    assert frechet_distance(first, second) == pytest.approx(25.0 + (3.0 - 1.0) ** 2)


def test_frechet_equals_the_matrix_root():
    mixing = gaussian(5, DIMENSIONS)
    second = SHIFTED @ mixing
    covariances = np.cov(REAL.T), np.cov(second.T)
    shift = REAL.mean(axis=0) - second.mean(axis=0)
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = shift @ shift + np.trace(covariances[0] + covariances[1] - 2.0 * root)
    assert frechet_distance(REAL, second) == pytest.approx(expected)
    assert frechet_distance(second, REAL) == pytest.approx(expected)


def test_frechet_with_fewer_sounds_than_dimensions():
    few = gaussian(6, 5, 40)
    assert frechet_distance(few, few) == pytest.approx(0.0, abs=1e-6)
    assert frechet_distance(few, few + 1.0) == pytest.approx(40.0)
    assert frechet_distance(few[:, :1], few[:, :1] + 1.0) == pytest.approx(1.0)


def test_frechet_of_equal_and_of_other_sets():
    assert frechet_distance(REAL, SAME) < 0.15
    assert frechet_distance(REAL, SHIFTED) == pytest.approx(4.0 * DIMENSIONS, rel=0.15)
    assert frechet_distance(REAL, COLLAPSED) == pytest.approx(0.95**2 * DIMENSIONS, rel=0.15)


# --- precision, recall, density, coverage


@pytest.mark.parametrize("k", [2, 5])
def test_equal_sets_cover_each_other(k: int):
    found = [precision_recall_density_coverage(gaussian(seed), gaussian(seed + 50), k) for seed in range(8)]
    mean = np.mean(found, axis=0)
    assert mean[3] == pytest.approx(1.0 - 2.0**-k, abs=0.02)
    assert mean[2] == pytest.approx(1.0, abs=0.08)
    assert mean[0] == pytest.approx(mean[1], abs=0.05)


def test_a_shifted_set_is_neither_precise_nor_complete():
    far = precision_recall_density_coverage(REAL, REAL + 100.0)
    assert far == (0.0, 0.0, 0.0, 0.0)
    equal = precision_recall_density_coverage(REAL, SAME)
    near = precision_recall_density_coverage(REAL, SHIFTED)
    assert all(less < 0.6 * more for less, more in zip(near, equal, strict=True))
    assert near.coverage < 0.2


def test_a_collapsed_set_is_precise_but_covers_little():
    found = precision_recall_density_coverage(REAL, COLLAPSED)
    assert found.precision > 0.99
    assert found.recall < 0.05
    assert found.coverage < 0.2


def test_a_missing_mode_costs_its_share():
    found = precision_recall_density_coverage(modes(0, ALL_MODES), modes(1, ALL_MODES[:4]))
    assert found.precision > 0.9
    assert found.recall == pytest.approx(4 / 6, abs=0.1)
    assert found.coverage == pytest.approx(4 / 6, abs=0.1)


def test_one_outlier_spoils_precision_but_not_density():
    real = np.concatenate([REAL, np.full((6, DIMENSIONS), 50.0) + 20.0 * gaussian(7, 6)])
    found = precision_recall_density_coverage(real, REAL[:50] + 40.0)
    assert found.precision > 0.9
    assert found.coverage < 0.05


def test_the_same_set_lies_within_itself():
    assert precision_recall_density_coverage(REAL, REAL)[:2] == (1.0, 1.0)
    copies = np.ones((8, 2))  # every radius is 0
    assert precision_recall_density_coverage(copies, copies)[0::3] == (1.0, 1.0)


def test_there_must_be_more_sounds_than_k():
    with pytest.raises(ValueError, match="at least 6"):
        precision_recall_density_coverage(REAL[:5], SAME)


# --- 1-NN


def test_nearest_neighbours_of_equal_shifted_and_copied_sets():
    equal = [nearest_neighbour_accuracy(gaussian(seed), gaussian(seed + 90)) for seed in range(6)]
    assert np.mean(equal) == pytest.approx(0.5, abs=0.03)
    assert nearest_neighbour_accuracy(REAL, SHIFTED) > 0.85
    assert nearest_neighbour_accuracy(REAL, REAL + 1e-3 * SAME) < 0.02
    assert nearest_neighbour_accuracy(REAL, REAL) == 0.0


def test_unequal_sets_are_balanced():
    few = gaussian(8, 60)
    assert nearest_neighbour_accuracy(gaussian(9, 600), few) == pytest.approx(0.5, abs=0.1)
    assert nearest_neighbour_accuracy(few, gaussian(9, 600)) == pytest.approx(0.5, abs=0.1)
    assert nearest_neighbour_accuracy(REAL, few) == nearest_neighbour_accuracy(REAL, few)
    drawn = {nearest_neighbour_accuracy(REAL, few, subsamples=1, seed=seed) for seed in range(4)}
    assert len(drawn) > 1


def test_ties_share_the_vote():
    points = np.array([[0.0], [1.0]])
    assert nearest_neighbour_accuracy(points, points - 1.0) == pytest.approx((0 + 0.5 + 0.5 + 0) / 4)
    assert nearest_neighbour_accuracy(points, np.array([[2.0], [3.0]])) == pytest.approx(
        (1 + 0.5 + 0.5 + 1) / 4
    )


# --- NDB and JS


def test_equal_sets_differ_in_few_bins():
    found = [ndb_js(gaussian(seed, 600), gaussian(seed + 40, 600), 20, seed) for seed in range(6)]
    assert np.mean([one.different for one in found]) < 3.0
    assert max(one.js for one in found) < 0.03


def test_a_missing_mode_is_found_where_it_is():
    found = ndb_js(modes(0, ALL_MODES), modes(1, ALL_MODES[1:]), 6, 0)
    missing = int(found.z.argmax())
    np.testing.assert_allclose(found.centres[missing], [10.0, 0.0], atol=0.5)
    assert found.different >= 1
    assert found.z[missing] > 5.0
    assert found.js > 0.03


def test_js_and_z_of_known_shares():
    training = np.repeat([[0.0], [10.0]], [30, 10], axis=0)
    generated = np.repeat([[0.0], [10.0]], [10, 10], axis=0)
    found = ndb_js(training, generated, 2, 3)
    order = found.centres[:, 0].argsort()
    np.testing.assert_allclose(found.centres[order, 0], [0.0, 10.0])
    p = 40 / 60
    z = 0.25 / math.sqrt(p * (1 - p) * (1 / 40 + 1 / 20))
    np.testing.assert_allclose(found.z[order], [z, -z])
    middle = np.array([0.625, 0.375])
    expected = 0.0
    for shares in ([0.75, 0.25], [0.5, 0.5]):
        expected += 0.5 * np.sum(shares * np.log(shares / middle))
    assert found.js == pytest.approx(expected)
    apart = ndb_js(np.zeros((9, 1)), np.ones((9, 1)), 1, 0)
    assert (apart.different, apart.js) == (0, 0.0)


def test_js_ends_at_ln_2():
    training = np.repeat([[0.0], [10.0]], [1, 39], axis=0)
    assert ndb_js(training, np.zeros((20, 1)), 2, 0).js == pytest.approx(math.log(2), rel=0.1)


def test_clusters_follow_from_the_seed_alone():
    first, second = (ndb_js(REAL, SAME, 10, 4) for _ in range(2))
    np.testing.assert_array_equal(first.centres, second.centres)
    assert not np.array_equal(first.centres, ndb_js(REAL, SAME, 10, 5).centres)


def test_more_bins_than_different_sounds_are_refused():
    with pytest.raises(ValueError, match="only 1 different"):
        ndb_js(np.ones((9, 2)), SAME[:, :2], 2, 0)
    with pytest.raises(ValueError, match="bins must lie"):
        ndb_js(REAL, SAME, SIZE + 1, 0)


# --- Vendi


@pytest.mark.parametrize("groups", [1, 2, 5])
def test_vendi_counts_groups(groups: int):
    points = np.repeat(100.0 * np.arange(groups)[:, None], 12, axis=0)
    assert vendi(points, 1.0) == pytest.approx(groups)


def test_vendi_of_a_collapsed_set_falls_to_one():
    sigma = median_distance(REAL)
    assert vendi(COLLAPSED, sigma) == pytest.approx(1.0, abs=0.05)
    assert vendi(REAL, sigma) == pytest.approx(vendi(SAME, sigma), rel=0.1)
    assert vendi(REAL, sigma) > 3.0
    with pytest.raises(ValueError, match="sigma"):
        vendi(REAL, 0.0)


# --- all


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch):
    def figures() -> list:
        return [
            mmd2(REAL, SHIFTED),
            precision_recall_density_coverage(REAL, SAME),
            nearest_neighbour_accuracy(REAL, SAME),
            median_distance(REAL),
            vendi(REAL, 1.0),
            nearest_distances(REAL, SAME).sum(),
        ]

    whole = figures()
    monkeypatch.setattr(metrics, "_BLOCK_VALUES", 7 * SIZE)
    for before, after in zip(whole, figures(), strict=True):
        np.testing.assert_allclose(before, after, rtol=1e-9)


@pytest.mark.parametrize("metric", [mmd2, frechet_distance, nearest_neighbour_accuracy, nearest_distances])
def test_sets_that_do_not_fit_are_refused(metric):
    with pytest.raises(ValueError, match="same dimensions"):
        metric(REAL, SAME[:, 1:])
    with pytest.raises(ValueError, match="shape"):
        metric(REAL[0], SAME)
    with pytest.raises(ValueError, match="not finite"):
        metric(REAL, np.full_like(SAME, np.nan))
    with pytest.raises(ValueError, match="at least"):
        metric(REAL[:0], SAME)
