"""Where a phase reconstruction starts: phase integrated from the magnitude, or chance."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dsp.kernels import integration
from dsp.stft import GAUSSIAN_EDGES, window

F32 = NDArray[np.float32]

HANN_GAMMA = 0.25645
"""γ of the Hann window over its squared length, as published for it by Průša, Balazs & Søndergaard 2017."""

# Loudness steps of the phase integration; within one step (0.1 dB at the usual tolerance) the order is free.
BUCKETS = 1024


def window_gamma(name: str, window_samples: int, *, beta: float = 14.0) -> float:
    """γ in samples² of the Gaussian exp(-π t² / γ) that stands for a window in ``pghi``.

    Hann: the published 0.25645 · window_samples². Both Gaussians: exact. Kaiser: the Gaussian with the largest
    normalised inner product with the window, found by golden section (for Hann the search gives 0.2466, 4 %
    from the published value).
    """
    if name == "hann":
        return HANN_GAMMA * window_samples**2
    if name in GAUSSIAN_EDGES:
        return float(-np.pi * (window_samples / 2) ** 2 / np.log(GAUSSIAN_EDGES[name]))
    return fit_gamma(window(name, window_samples, beta=beta))


def gamma_of(values: F32) -> float:
    """γ in samples² of any window [sample], as ``window_gamma`` has it for those it knows."""
    return _known_gamma(np.asarray(values, dtype=np.float32).tobytes())


@lru_cache
def _known_gamma(values: bytes) -> float:
    shape = np.frombuffer(values, dtype=np.float32)
    for name in ("hann", *GAUSSIAN_EDGES):
        if np.array_equal(shape, window(name, shape.shape[0])):
            return window_gamma(name, shape.shape[0])
    return fit_gamma(shape)


def fit_gamma(values: F32) -> float:
    """γ in samples² of the Gaussian nearest to a window [sample] centred on ``window_samples // 2``."""
    samples = values.shape[0]
    # The Gaussian's tails beyond the window count as well.
    time = np.arange(-2 * samples, 2 * samples)
    centred = np.zeros(time.shape[0])
    first = 2 * samples - samples // 2
    centred[first : first + samples] = values
    centred /= np.linalg.norm(centred)

    def mismatch(ratio: float) -> float:
        gaussian = np.exp(-np.pi * time**2 / (ratio * samples**2))
        return float(-np.dot(centred, gaussian) / np.linalg.norm(gaussian))

    low, high = 1e-3, 2.0
    golden = (np.sqrt(5.0) - 1.0) / 2.0
    while high - low > 1e-7:
        left, right = high - golden * (high - low), low + golden * (high - low)
        if mismatch(left) < mismatch(right):
            high = right
        else:
            low = left
    return float((low + high) / 2.0 * samples**2)


def pghi(
    magnitude: F32,
    *,
    gamma: float,
    hop_samples: int,
    window_samples: int,
    tolerance: float = 1e-5,
    seed: int | Sequence[int] = 0,
    low_phase: F32 | None = None,
) -> F32:
    """Phase from magnitude alone, without iterations: phase gradient heap integration.

    For a Gaussian window, with s = log magnitude, the phase of the transform about the window's centre obeys
        ∂φ/∂frame = 2π·hop·bin/N + (hop·N/γ) ∂s/∂bin        ∂φ/∂bin = -(γ/(hop·N)) ∂s/∂frame
    (Průša, Balazs & Søndergaard 2017, arXiv 1609.00291; N = window_samples). ``Stft`` counts phase from the
    window's first sample, half a window earlier: another -π per bin. The gradients are integrated by the
    trapezoid rule from loud cells to quiet ones, so that errors stay where little is heard.

    gamma        of the window, in samples²: ``window_gamma``
    tolerance    cells under this share of the largest magnitude get a random phase
    low_phase    [frame, bin below some bin], where the phase of the low end is known: integration begins there

    Shape: float32 [frame, bin] → float32 [frame, bin], radians in [-π, π], to be used as ``start_phase``.
    """
    magnitude = np.ascontiguousarray(magnitude, dtype=np.float32)
    bins = window_samples // 2 + 1
    if magnitude.ndim != 2 or magnitude.shape[1] != bins:
        raise ValueError(f"magnitude must have the shape [frame, {bins}], not {list(magnitude.shape)}")
    if not (gamma > 0.0 and np.isfinite(gamma)):
        raise ValueError(f"gamma must be positive, not {gamma}")
    if hop_samples < 1:
        raise ValueError(f"the hop must be at least one sample, not {hop_samples}")
    if not 0.0 < tolerance < 1.0:
        raise ValueError(f"tolerance must lie between 0 and 1, not {tolerance}")
    phase = random_phase(magnitude.shape, seed)
    known = 0
    if low_phase is not None:
        known = low_phase.shape[1]
        phase[:, :known] = low_phase
    peak = float(magnitude.max(initial=0.0))
    if peak == 0.0:
        return phase
    frames = magnitude.shape[0]
    # Far below the tolerance the logarithm is held, so that zeros make no infinite slopes beside loud cells.
    level = np.log(np.maximum(magnitude / np.float32(peak), np.float32(tolerance * 0.1)))
    ratio = hop_samples * window_samples / gamma
    shape = (frames + 2, bins + 1)
    bucket = np.full(shape, -1, dtype=np.int16)
    frame_step, bin_step = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
    integration.phase_steps(
        level,
        np.float32(ratio),
        np.float32(-1.0 / ratio),
        np.float32(2.0 * np.pi * hop_samples / window_samples),
        (np.float32(BUCKETS), np.float32(-BUCKETS / np.log(tolerance))),
        bucket,
        frame_step,
        bin_step,
    )
    integrated = np.zeros(shape)
    integrated[1:-1, :-1] = phase
    integration.integrate_phase(
        bucket.reshape(-1),
        frame_step.reshape(-1),
        bin_step.reshape(-1),
        shape[1],
        known,
        np.full(BUCKETS, -1, dtype=np.int32),
        np.empty(bucket.size, dtype=np.int32),
        np.full(BUCKETS, -1, dtype=np.int32),
        np.empty(bucket.size, dtype=np.int32),
        integrated.reshape(-1),
    )
    integration.principal_values(integrated, phase)
    return phase


def random_phase(shape: tuple[int, ...], seed: int | Sequence[int]) -> F32:
    """Uniform in [-π, π)."""
    turns = np.random.default_rng(seed).random(shape, dtype=np.float32)
    return turns * np.float32(2.0 * np.pi) - np.float32(np.pi)
