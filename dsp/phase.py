"""Phase for magnitudes: a start by gradient integration, then iterations that make spectra consistent."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dsp import kernels
from dsp.stft import GAUSSIAN_EDGE, Stft, window

F32 = NDArray[np.float32]

HANN_GAMMA = 0.25645
"""γ of the Hann window over its squared length, as published for it by Průša, Balazs & Søndergaard 2017."""

# Loudness steps of the phase integration; within one step (0.14 dB at the usual tolerance) the order is free.
BUCKETS = 1024


def griffin_lim(
    magnitude: F32,
    stft: Stft,
    *,
    iterations: int = 32,
    momentum: float = 0.99,
    mask: F32 | None = None,
    support: NDArray | None = None,
    start_phase: F32 | None = None,
    seed: int | Sequence[int] = 0,
) -> F32:
    """Sounds whose spectra have nearly the given magnitudes: fast Griffin-Lim.

    Alternates between the nearest consistent spectrum and the nearest with the wanted magnitude, extrapolated
    by ``momentum`` (Perraudin, Balazs & Søndergaard 2013; 0 is Griffin & Lim 1984).

    magnitude    float32 [batch, frame, bin], as of ``stft.forward``
    iterations   0 returns the inverse of the start
    mask         [frame, bin] or [batch, frame, bin], multiplies the target magnitude; see ``energy_mask``
    support      [sample], 0 or 1: where the sound may be other than zero, such as not before the onset
    start_phase  radians [frame, bin], shared by the batch, or [batch, frame, bin]; None is uniformly random
    seed         of the random start: one number, the same start for every sound (which keeps left and right
                 together), or one per sound

    Shape: → float32 [batch, sample]. A sound's result does not depend on the rest of its batch.
    """
    _check_iterations(iterations, "momentum", momentum, 0.0, 2.0)
    loop = _Loop(magnitude, stft, mask=mask, support=support, start_phase=start_phase, seed=seed)
    for sound in range(loop.batch):
        loop.start(sound)
        loop.griffin_lim(iterations, momentum)
        loop.finish(sound)
    return loop.audio


def raar(
    magnitude: F32,
    stft: Stft,
    *,
    iterations: int = 30,
    relaxation: float = 0.9,
    tail_iterations: int = 10,
    momentum: float = 0.99,
    mask: F32 | None = None,
    support: NDArray | None = None,
    start_phase: F32 | None = None,
    seed: int | Sequence[int] = 0,
) -> F32:
    """As ``griffin_lim``, by relaxed averaged alternating reflections: slower to settle, but it does not
    stagnate.

    x ← (β/2)(R_S R_M + 1) x + (1 - β) P_M x, with R = 2P - 1 the reflections at the consistent spectra S and
    at the wanted magnitudes M, and β the ``relaxation`` (Luke 2005; for phase retrieval of sound Peer, Welker
    & Gerkmann, 'Beyond Griffin-Lim', 2022). The last ``tail_iterations`` of ``iterations`` are fast
    Griffin-Lim, which settle what the reflections leave unsettled.
    """
    _check_iterations(iterations, "momentum", momentum, 0.0, 2.0)
    _check_iterations(tail_iterations, "relaxation", relaxation, 0.0, 1.0)
    tail = min(tail_iterations, iterations)
    loop = _Loop(magnitude, stft, mask=mask, support=support, start_phase=start_phase, seed=seed)
    for sound in range(loop.batch):
        loop.start(sound)
        loop.raar(iterations - tail, relaxation)
        loop.griffin_lim(tail, momentum)
        loop.finish(sound)
    return loop.audio


def energy_mask(magnitude: F32) -> F32:
    """The draft's time-frequency mask: 1 where a cell is above the sound's mean magnitude, else 0.

    Shape: float32 [..., frame, bin] → float32 [..., frame, bin]. It is kept as a baseline: it loses 6 dB.
    """
    magnitude = np.asarray(magnitude, dtype=np.float32)
    return (magnitude > magnitude.mean(axis=(-2, -1), keepdims=True)).astype(np.float32)


def window_gamma(name: str, window_samples: int, *, beta: float = 14.0) -> float:
    """γ in samples² of the Gaussian exp(-π t² / γ) that stands for a window in ``pghi``.

    Hann: the published 0.25645 · window_samples². Gaussian: exact. Kaiser: the Gaussian with the largest
    normalised inner product with the window, found by golden section (for Hann the search gives 0.2466, 4 %
    from the published value).
    """
    if name == "hann":
        return HANN_GAMMA * window_samples**2
    if name == "gaussian":
        return float(-np.pi * (window_samples / 2) ** 2 / np.log(GAUSSIAN_EDGE))
    return fit_gamma(window(name, window_samples, beta=beta))


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
    tolerance: float = 1e-7,
    seed: int = 0,
) -> F32:
    """Phase from magnitude alone, without iterations: phase gradient heap integration.

    For a Gaussian window, with s = log magnitude, the phase of the transform about the window's centre obeys
        ∂φ/∂frame = 2π·hop·bin/N + (hop·N/γ) ∂s/∂bin        ∂φ/∂bin = -(γ/(hop·N)) ∂s/∂frame
    (Průša, Balazs & Søndergaard 2017, arXiv 1609.00291; N = window_samples). ``Stft`` counts phase from the
    window's first sample, half a window earlier: another -π per bin. The gradients are integrated by the
    trapezoid rule from loud cells to quiet ones, so that errors stay where little is heard.

    gamma        of the window, in samples²: ``window_gamma``
    tolerance    cells under this share of the largest magnitude get a random phase

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
    phase = _random_phase(magnitude.shape, seed)
    peak = float(magnitude.max(initial=0.0))
    if peak == 0.0:
        return phase
    frames = magnitude.shape[0]
    # Far below the tolerance the logarithm is held, so that zeros make no infinite slopes beside loud cells.
    level = np.log(np.maximum(magnitude / np.float32(peak), np.float32(tolerance * 0.1)))
    bin_numbers = np.arange(bins, dtype=np.float32)
    ratio = hop_samples * window_samples / gamma
    frame_step = np.float32(ratio) * _gradient(level, axis=1)
    frame_step += np.float32(2.0 * np.pi * hop_samples / window_samples) * bin_numbers
    bin_step = np.float32(-1.0 / ratio) * _gradient(level, axis=0) - np.float32(np.pi)
    steps = (1.0 - level / np.log(tolerance)) * BUCKETS
    bucket = np.where(magnitude < tolerance * peak, -1, np.clip(steps, 0, BUCKETS - 1)).astype(np.int32)
    integrated = phase.astype(np.float64)
    kernels.integrate_phase(
        bucket,
        frame_step,
        bin_step,
        np.full(BUCKETS, -1, dtype=np.int32),
        np.empty(frames * bins, dtype=np.int32),
        np.full(BUCKETS, -1, dtype=np.int32),
        np.empty(frames * bins, dtype=np.int32),
        np.zeros((frames, bins), dtype=np.bool_),
        integrated,
    )
    turns = np.rint(integrated * (0.5 / np.pi))
    return (integrated - 2.0 * np.pi * turns).astype(np.float32)


class _Loop:
    """The state of one reconstruction: targets, the padded work planes, and the sound being worked on."""

    def __init__(
        self,
        magnitude: F32,
        stft: Stft,
        *,
        mask: F32 | None,
        support: NDArray | None,
        start_phase: F32 | None,
        seed: int | Sequence[int],
    ) -> None:
        magnitude = np.asarray(magnitude, dtype=np.float32)
        wanted = (stft.frames, stft.bins)
        if magnitude.ndim != 3 or magnitude.shape[1:] != wanted:
            raise ValueError(
                f"magnitude must be [batch, {wanted[0]}, {wanted[1]}], not {list(magnitude.shape)}"
            )
        if not np.all(np.isfinite(magnitude)) or magnitude.min(initial=0.0) < 0.0:
            raise ValueError("magnitude holds values that are negative or not finite")
        self.batch = magnitude.shape[0]
        for name, plane in (("mask", mask), ("start_phase", start_phase)):
            if plane is not None and np.shape(plane) not in (wanted, magnitude.shape):
                raise ValueError(
                    f"{name} must be {list(wanted)} or {list(magnitude.shape)}, not {list(np.shape(plane))}"
                )
        if support is not None and np.shape(support) != (stft.length_samples,):
            raise ValueError(
                f"support must have the shape [{stft.length_samples}], not {list(np.shape(support))}"
            )
        if not isinstance(seed, int | np.integer) and len(seed) != self.batch:
            raise ValueError(f"{len(seed)} seeds for {self.batch} sounds; give one number or one per sound")
        self.magnitude = magnitude
        self.mask = mask
        self.start_phase = start_phase
        self.seed = seed
        self.stft = stft
        self.pairs = stft.pairs
        self.normaliser = stft.normaliser
        if support is not None:
            self.normaliser = stft.normaliser * self.pairs.inside(np.asarray(support, dtype=np.float32))
        self.audio = np.empty((self.batch, stft.length_samples), dtype=np.float32)
        shape = (stft.padded_frames, stft.bins)
        self.target = np.zeros(shape, dtype=np.float32)
        self.state_re = np.zeros(shape, dtype=np.float32)
        self.state_im = np.zeros(shape, dtype=np.float32)

    def start(self, sound: int) -> None:
        """Fill target and state with a sound's magnitude and start, and lay out its first audio."""
        frames = self.stft.frames
        target = self.target[:frames]
        target[:] = self.magnitude[sound]
        if self.mask is not None:
            target *= self._of(self.mask, sound)
        if self.start_phase is not None:
            phase = self._of(self.start_phase, sound)
        else:
            seed = self.seed if isinstance(self.seed, int | np.integer) else self.seed[sound]
            phase = _random_phase(target.shape, int(seed))
        np.multiply(target, np.cos(phase), out=self.state_re[:frames])
        np.multiply(target, np.sin(phase), out=self.state_im[:frames])
        # Frames beyond the sound share a transform with its last one: what an earlier sound left there would
        # change its rounding.
        self.state_re[frames:] = 0.0
        self.state_im[frames:] = 0.0
        # The state is the start itself, P_M(x) = x, so that 2 P_M(x) - x = x as well.
        for first in self._blocks():
            block = slice(first, first + self.stft.block_frames)
            kernels.pack_pairs(self.state_re[block], self.state_im[block], self.pairs.spectrum)
            self.pairs.to_time(first)
        self.pairs.turn(self.normaliser)

    def griffin_lim(self, iterations: int, momentum: float) -> None:
        for iteration in range(iterations):
            # The first step has no last change to extrapolate.
            factor = np.float32(momentum if iteration else 0.0)
            for first in self._blocks():
                block = slice(first, first + self.stft.block_frames)
                self.pairs.to_spectrum(first)
                kernels.griffin_lim_pairs(
                    self.pairs.spectrum,
                    self.state_re[block],
                    self.state_im[block],
                    self.target[block],
                    factor,
                    self.pairs.rows,
                )
                self.pairs.to_time(first)
            self.pairs.turn(self.normaliser)

    def raar(self, iterations: int, relaxation: float) -> None:
        for iteration in range(iterations):
            # After the last step stands P_M(x) itself, not its reflection, for whatever follows.
            reflects = np.float32(iteration < iterations - 1)
            for first in self._blocks():
                block = slice(first, first + self.stft.block_frames)
                self.pairs.to_spectrum(first)
                kernels.raar_pairs(
                    self.pairs.spectrum,
                    self.state_re[block],
                    self.state_im[block],
                    self.target[block],
                    np.float32(relaxation),
                    reflects,
                    self.pairs.rows,
                )
                self.pairs.to_time(first)
            self.pairs.turn(self.normaliser)

    def finish(self, sound: int) -> None:
        self.audio[sound] = self.pairs.audio

    def _blocks(self) -> range:
        return range(0, self.stft.padded_frames, self.stft.block_frames)

    def _of(self, plane: F32, sound: int) -> F32:
        plane = np.asarray(plane, dtype=np.float32)
        return plane if plane.ndim == 2 else plane[sound]


def _gradient(values: F32, axis: int) -> F32:
    return np.gradient(values, axis=axis) if values.shape[axis] > 1 else np.zeros_like(values)


def _random_phase(shape: tuple[int, ...], seed: int) -> F32:
    turns = np.random.default_rng(seed).random(shape, dtype=np.float32)
    return turns * np.float32(2.0 * np.pi) - np.float32(np.pi)


def _check_iterations(iterations: int, name: str, value: float, lowest: float, highest: float) -> None:
    if iterations < 0:
        raise ValueError(f"the number of iterations must not be negative, but is {iterations}")
    if not lowest <= value <= highest:
        raise ValueError(f"{name} must lie between {lowest:g} and {highest:g}, not {value}")
