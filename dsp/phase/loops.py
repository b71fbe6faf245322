"""Iterations that make spectra consistent with the wanted magnitudes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dsp.kernels import projection
from dsp.phase.starts import random_phase
from dsp.stft import Stft

F32 = NDArray[np.float32]


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
            phase = random_phase(target.shape, int(seed))
        np.multiply(target, np.cos(phase), out=self.state_re[:frames])
        np.multiply(target, np.sin(phase), out=self.state_im[:frames])
        # Frames beyond the sound share a transform with its last one: what an earlier sound left there would
        # change its rounding.
        self.state_re[frames:] = 0.0
        self.state_im[frames:] = 0.0
        # The state is the start itself, P_M(x) = x, so that 2 P_M(x) - x = x as well.
        for first in self._blocks():
            block = slice(first, first + self.stft.block_frames)
            projection.pack_pairs(self.state_re[block], self.state_im[block], self.pairs.spectrum)
            self.pairs.to_time(first)
        self.pairs.turn(self.normaliser)

    def griffin_lim(self, iterations: int, momentum: float) -> None:
        for iteration in range(iterations):
            # The first step has no last change to extrapolate.
            factor = np.float32(momentum if iteration else 0.0)
            for first in self._blocks():
                block = slice(first, first + self.stft.block_frames)
                self.pairs.to_spectrum(first)
                projection.griffin_lim_pairs(
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
                projection.raar_pairs(
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


def _check_iterations(iterations: int, name: str, value: float, lowest: float, highest: float) -> None:
    if iterations < 0:
        raise ValueError(f"the number of iterations must not be negative, but is {iterations}")
    if not lowest <= value <= highest:
        raise ValueError(f"{name} must lie between {lowest:g} and {highest:g}, not {value}")
