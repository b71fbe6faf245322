"""Distances between two sets of sounds, as float64 [sound, dimension], such as `Projection.project` returns.

Pure functions. Every figure has a floor: read it beside the same figure of training against held-out sounds. Raises
ValueError, all of them, for sets that are too small, of different dimensions or not finite.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

SIGNIFICANT_Z = 1.96  # 5 %, two-sided
_BLOCK_VALUES = 1 << 20
_MEDIAN_SOUNDS = 2000
_LLOYD_STEPS = 100


class Manifold(NamedTuple):
    """Precision, recall, density and coverage."""

    precision: float  # the share of generated sounds that lie among real ones
    recall: float  # the share of real sounds that lie among generated ones
    density: float  # how many real neighbourhoods a generated sound lies in, 1 for equal sets; may exceed 1
    coverage: float  # the share of real sounds with a generated neighbour; 1 - 2⁻ᵏ for equal sets of one size


class Bins(NamedTuple):
    """Where the generated sounds fall, by clusters of the training sounds."""

    different: int  # bins whose shares differ significantly: of equal sets, one in twenty
    js: float  # Jensen-Shannon divergence of the shares in nats: 0 … ln 2
    z: F64  # [bin]; strongly positive: a mode that is missing from the generated sounds
    centres: F64  # [bin, dimension]


def mmd2(real: NDArray, generated: NDArray) -> float:
    """The squared maximum mean discrepancy, unbiased: about 0 for equal sets, and below it half of the time.

    Σ_{i≠j} k(xᵢ, xⱼ) / m(m-1) + Σ_{i≠j} k(yᵢ, yⱼ) / n(n-1) - 2 Σ k(xᵢ, yⱼ) / mn, Gretton et al. 2012, 'A kernel
    two-sample test', with k = exp(-d² / 2σ²) and σ the median distance of real sounds, as in KAD (Chung et al. 2025,
    arXiv 2502.15602).
    """
    real, generated = _pair(real, generated, least=2)
    sigma = _positive_median(real)
    m, n = real.shape[0], generated.shape[0]

    def total(first: F64, second: F64) -> float:
        return sum(float(np.exp(d2 / (-2.0 * sigma**2)).sum()) for _, d2 in _squared_distances(first, second))

    within_real = (total(real, real) - m) / (m * (m - 1))
    within_generated = (total(generated, generated) - n) / (n * (n - 1))
    return within_real + within_generated - 2.0 * total(real, generated) / (m * n)


def frechet_distance(real: NDArray, generated: NDArray) -> float:
    """The Fréchet distance of two Gaussians with the sets' means and covariances ('FD-mel').

    ‖μᵣ - μ_g‖² + tr(Σᵣ + Σ_g - 2 (Σᵣ Σ_g)^½), Dowson & Landau 1982; of embedded sounds, Kilgour et al. 2019. Biased
    upwards for few sounds: quote the ratio to that of held-out sounds, as many of them.
    """
    real, generated = _pair(real, generated, least=2)
    shift = real.mean(axis=0) - generated.mean(axis=0)
    first, second = (np.atleast_2d(np.cov(values, rowvar=False)) for values in (real, generated))
    # tr (Σᵣ Σ_g)^½ is the sum of the singular values of Σᵣ^½ Σ_g^½, which need no root of rounding errors.
    cross = np.linalg.svd(_root(first) @ _root(second), compute_uv=False).sum()
    return max(float(shift @ shift + np.trace(first) + np.trace(second) - 2.0 * cross), 0.0)


def precision_recall_density_coverage(real: NDArray, generated: NDArray, k: int = 5) -> Manifold:
    """How far the two sets lie within each other, by balls that reach to a sound's k-th neighbour in its own set.

    Precision and recall: Kynkäänniemi et al. 2019, 'Improved precision and recall metric for assessing generative
    models'. Density and coverage, which bear outliers: Naeem et al. 2020, 'Reliable fidelity and diversity metrics
    for generative models'. Coverage grows with the number of generated sounds: compare sets of one size.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    real, generated = _pair(real, generated, least=k + 1)
    real_radius2, generated_radius2 = _radius2(real, k), _radius2(generated, k)
    balls = np.zeros(generated.shape[0], dtype=np.int64)  # of real sounds, around each generated one
    covered, recalled = (np.zeros(real.shape[0], dtype=np.bool_) for _ in range(2))
    for rows, d2 in _squared_distances(real, generated):
        inside = d2 <= real_radius2[rows, None]
        balls += inside.sum(axis=0)
        covered[rows] = inside.any(axis=1)
        recalled[rows] = (d2 <= generated_radius2).any(axis=1)
    return Manifold(
        precision=float(np.mean(balls > 0)),
        recall=float(recalled.mean()),
        density=float(balls.mean() / k),
        coverage=float(covered.mean()),
    )


def nearest_neighbour_accuracy(
    real: NDArray, generated: NDArray, *, subsamples: int = 10, seed: int = 0
) -> float:
    """How often a sound's nearest neighbour is of its own set: 0.5 cannot be told apart, 1 always can, less copies.

    Leave-one-out accuracy of a 1-NN two-sample test, Lopez-Paz & Oquab 2017, 'Revisiting classifier two-sample tests';
    Xu et al. 2018, 'An empirical study on evaluation metrics of generative adversarial networks'. The larger set is
    drawn down to the size of the smaller one, `subsamples` times from `seed`, and the mean returned. Neighbours at
    the same distance share the vote.
    """
    if subsamples < 1:
        raise ValueError(f"subsamples must be at least 1, not {subsamples}")
    real, generated = _pair(real, generated, least=2)
    size = min(real.shape[0], generated.shape[0])
    if real.shape[0] == generated.shape[0]:
        return _one_nearest(real, generated)
    random = np.random.default_rng(seed)

    def drawn(values: F64) -> F64:
        return values[random.permutation(values.shape[0])[:size]] if values.shape[0] > size else values

    return float(np.mean([_one_nearest(drawn(real), drawn(generated)) for _ in range(subsamples)]))


def ndb_js(training: NDArray, generated: NDArray, bins: int, seed: int) -> Bins:
    """Which modes are missing: the training sounds in `bins` clusters, and the generated ones' share of each.

    Number of statistically different bins, Richardson & Weiss 2018, 'On GANs and GMMs': per bin
    z = (pₜ - p_g) / √(p (1 - p) (1/Nₜ + 1/N_g)) with p pooled; different where |z| > 1.96. Clusters are by k-means
    (seeded as k-means++, Arthur & Vassilvitskii 2007). About 30 training sounds for each bin give it power.
    """
    training, generated = _pair(training, generated, least=1)
    centres = _cluster(training, bins, np.random.default_rng(seed))
    m, n = training.shape[0], generated.shape[0]
    in_training, in_generated = (
        np.bincount(_nearest(values, centres)[0], minlength=bins) for values in (training, generated)
    )
    pooled = (in_training + in_generated) / (m + n)
    error = np.sqrt(pooled * (1.0 - pooled) * (1.0 / m + 1.0 / n))
    first, second = in_training / m, in_generated / n
    z = np.divide(first - second, error, out=np.zeros(bins), where=error > 0.0)
    middle = 0.5 * (first + second)
    js = 0.5 * (_divergence(first, middle) + _divergence(second, middle))
    return Bins(int(np.sum(np.abs(z) > SIGNIFICANT_Z)), js, z, centres)


def vendi(features: NDArray, sigma: float) -> float:
    """The effective number of different sounds: 1 if all are alike, k for k equal groups far apart.

    exp(-Σ λ ln λ), λ the eigenvalues of the kernel matrix over its size, Friedman & Dieng 2023, 'The Vendi score'.
    Kernel exp(-d² / 2σ²): `sigma` comes from real sounds (`median_distance`), since a set measured by its own
    spread would always look diverse.
    """
    features = _checked("features", features, least=1)
    if not (np.isfinite(sigma) and sigma > 0.0):
        raise ValueError(f"sigma must be a positive number, not {sigma}")
    size = features.shape[0]
    kernel = np.empty((size, size))
    for rows, d2 in _squared_distances(features, features):
        kernel[rows] = np.exp(d2 / (-2.0 * sigma**2))
    eigenvalues = np.linalg.eigvalsh(kernel / size)
    eigenvalues = eigenvalues[eigenvalues > 0.0]
    return float(np.exp(-np.sum(eigenvalues * np.log(eigenvalues))))


def median_distance(features: NDArray) -> float:
    """The median distance of two sounds of a set; of more than 2000 sounds, of 2000 spread evenly over them."""
    features = _checked("features", features, least=2)
    size = features.shape[0]
    if size > _MEDIAN_SOUNDS:
        features = features[np.arange(_MEDIAN_SOUNDS) * size // _MEDIAN_SOUNDS]
    pairs = [
        d2[np.arange(d2.shape[1]) > np.arange(rows.start, rows.stop)[:, None]]
        for rows, d2 in _squared_distances(features, features)
    ]
    return math.sqrt(float(np.median(np.concatenate(pairs))))


def nearest_distances(features: NDArray, others: NDArray) -> F64:
    """From each of `features` to the nearest of `others`, float64 [sound]."""
    features, others = _pair(features, others, least=1)
    return np.sqrt(_nearest(features, others)[1])


def _positive_median(real: F64) -> float:
    sigma = median_distance(real)
    if sigma == 0.0:
        raise ValueError("most real sounds are the same, so their distances give no scale; remove duplicates")
    return sigma


def _root(covariance: F64) -> F64:
    """The symmetric root; fewer sounds than dimensions leave eigenvalues a hair below zero, which count as zero."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T


def _radius2(features: F64, k: int) -> F64:
    """The squared distance to the k-th nearest other sound, [sound]."""
    radius2 = np.empty(features.shape[0])
    for rows, d2 in _squared_distances(features, features):
        radius2[rows] = np.partition(d2, k, axis=1)[:, k]  # the nearest is the sound itself, at 0
    return radius2


def _one_nearest(real: F64, generated: F64) -> float:
    both = np.concatenate([real, generated])
    is_real = np.arange(both.shape[0]) < real.shape[0]
    correct = 0.0
    for rows, d2 in _squared_distances(both, both):
        number = np.arange(rows.start, rows.stop)
        d2[number - rows.start, number] = np.inf
        nearest = d2 == d2.min(axis=1, keepdims=True)
        own = nearest & (is_real[rows, None] == is_real)
        correct += float(np.sum(own.sum(axis=1) / nearest.sum(axis=1)))
    return correct / both.shape[0]


def _cluster(features: F64, bins: int, random: np.random.Generator) -> F64:
    """The centres of k-means [bin, dimension]: k-means++, then Lloyd's steps until nothing moves."""
    if not 1 <= bins <= features.shape[0]:
        raise ValueError(f"bins must lie between 1 and the {features.shape[0]} training sounds, not {bins}")
    centres = features[[random.integers(features.shape[0])]]
    while centres.shape[0] < bins:
        weight = _nearest(features, centres)[1]
        if not weight.any():
            raise ValueError(f"there are only {centres.shape[0]} different training sounds for {bins} bins")
        chosen = random.choice(features.shape[0], p=weight / weight.sum())
        centres = np.concatenate([centres, features[[chosen]]])
    members = np.full(features.shape[0], -1)
    for _ in range(_LLOYD_STEPS):
        nearest, _ = _nearest(features, centres)
        if np.array_equal(nearest, members):
            break
        members = nearest
        for bin_number in np.unique(members):
            centres[bin_number] = features[members == bin_number].mean(axis=0)
    return centres


def _nearest(features: F64, others: F64) -> tuple[I64, F64]:
    """Which of `others` is nearest, and its squared distance, [sound]."""
    index, smallest = np.empty(features.shape[0], dtype=np.int64), np.empty(features.shape[0])
    for rows, d2 in _squared_distances(features, others):
        index[rows], smallest[rows] = d2.argmin(axis=1), d2.min(axis=1)
    return index, smallest


def _squared_distances(first: F64, second: F64) -> Iterator[tuple[slice, F64]]:
    """Blocks of rows of the squared distances [first, second].

    By differences, not by products: the same sound is at 0 exactly, and copies are what is looked for.
    """
    columns = np.ascontiguousarray(second.T)
    step = max(_BLOCK_VALUES // second.shape[0], 1)
    for start in range(0, first.shape[0], step):
        rows = slice(start, min(start + step, first.shape[0]))
        d2 = np.zeros((rows.stop - rows.start, second.shape[0]))
        for dimension, column in enumerate(columns):
            difference = first[rows, dimension, None] - column
            d2 += np.square(difference, out=difference)
        yield rows, d2


def _divergence(shares: F64, middle: F64) -> float:
    """Kullback and Leibler's, in nats."""
    present = shares > 0.0
    return float(np.sum(shares[present] * np.log(shares[present] / middle[present])))


def _pair(first: NDArray, second: NDArray, *, least: int) -> tuple[F64, F64]:
    first, second = (
        _checked("the first set", first, least=least),
        _checked("the second set", second, least=least),
    )
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"both sets must have the same dimensions, not {first.shape[1]} and {second.shape[1]}; use one projection"
        )
    return first, second


def _checked(what: str, values: NDArray, *, least: int) -> F64:
    checked = np.asarray(values, dtype=np.float64)
    if checked.ndim != 2:
        raise ValueError(f"{what} must have the shape [sound, dimension], not {list(checked.shape)}")
    if checked.shape[0] < least:
        raise ValueError(f"{what} must hold at least {least} sounds, not {checked.shape[0]}")
    if not np.isfinite(checked).all():
        raise ValueError(f"{what} holds values that are not finite")
    return checked
