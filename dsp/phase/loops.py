"""Iterations that make spectra consistent with the wanted magnitudes.

Two sets of spectra: S, the consistent ones (transforms of some sound), and M, those with the wanted magnitudes. All
methods go back and forth between the nearest points of both, P_S and P_M:

    Griffin-Lim         c ← P_S P_M c                              (Griffin & Lim 1984)
    fast Griffin-Lim    the same from c + α·(its last change)      (Perraudin, Balazs & Søndergaard 2013)
    reflections         x ← (1 - μ)·p + b·d + P_S[μ·p - (b - a)·d]    with p = P_M x, d = x - p

Of what still is wrong, d, a step of reflections multiplies the consistent part by a and the rest by b, and moves by μ.
RAAR (Luke 2005; for sound Peer, Welker & Gerkmann, 'Beyond Griffin-Lim', 2022) is a = 0, b = μ = β, that is
x ← β(x + P_S(2p - x)) + (1 - 2β)·p; Douglas-Rachford is β = 1. β = 1 / (1 + ρ) is exactly the ADMM of Masuyama, Yatabe
& Oikawa 2019 ('Griffin-Lim like phase recovery via ADMM') with penalty ρ: with x = X + U, its steps Z = P_M x,
U = x - Z, X = (ρY + P_S Y) / (1 + ρ), Y = Z - U are the same, term by term. With a near -1 the reflection goes twice as
far on the consistent side, as in difference maps (Elser 2003): on magnitudes that belong to a sound it gains 4 dB in a
hundred iterations, on those of a generator nothing.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from dsp.kernels import projection
from dsp.phase.starts import random_phase
from dsp.stft import PairTransform, Stft

F32 = NDArray[np.float32]
Result = TypeVar("Result")

# A frame without a cell above this share of the loudest (-90 dB) is silent.
SILENT = 10.0**-4.5

# What counts as loud in an image's error: within 40 dB of the loudest cell.
LOUD = 0.01

LARGEST = 1e15

# Sounds that end early get transforms of their own size, in steps of so many frames.
FRAMES_STEP = 16


class Reflections(NamedTuple):
    """The weights of a step of reflections: μ, a, and b from the first to the last of them."""

    step: float
    consistent: float
    inconsistent: tuple[float, float]

    @classmethod
    def raar(cls, relaxation: float) -> "Reflections":
        """Relaxed averaged alternating reflections."""
        return cls(relaxation, 0.0, (relaxation, relaxation))

    def part(self, done: int, count: int, total: int) -> "Reflections":
        """The weights of ``count`` steps after ``done``, when there are ``total``."""
        first, last = self.inconsistent
        begin, end = (first + (last - first) * step / max(total - 1, 1) for step in (done, done + count - 1))
        return self._replace(inconsistent=(begin, end))


FAR_REFLECTIONS = Reflections(0.8, -0.95, (1.0, 0.95))


class Solver:
    """One sound of one channel, or of two whose phase difference is known, on its way to its magnitudes.

    Use: ``begin``, then ``griffin_lim`` and ``reflect`` in any order, then ``audio``. For one thread.
    """

    def __init__(
        self, stft: Stft, channels: int = 1, support: NDArray | None = None, bins: int | None = None
    ) -> None:
        """``bins``: how many of the lowest have a wanted magnitude (with one channel); those above are free."""
        self.stft = stft
        self.support = None if support is None else np.asarray(support, dtype=np.float32)
        self.channels = channels
        self.sizes: dict[int, list[PairTransform]] = {}
        self.transforms = self._sized(stft.frames)
        plane = (self.transforms[0].frames + 2 * self.transforms[0].blocks, stft.bins)
        self.bins = stft.bins if bins is None else bins
        self.targets = np.zeros((channels, plane[0], self.bins), dtype=np.float32)
        self.state = np.zeros((2 * channels, *plane), dtype=np.float32)  # re and im of every channel
        self.rows = np.zeros((4 * channels, stft.bins), dtype=np.float32)
        if channels == 2:
            self.half_difference = np.zeros((2, *plane), dtype=np.float32)  # cosine and sine
        self.probe: PairTransform | None = None
        self.unsigned = False
        self.has_state = False  # that reflections can go on from …
        self.fresh = False  # … and that has the wanted magnitudes
        self.soft = np.zeros((0, 0), dtype=np.float32)  # [frame, bin], the share that projections leave

    def begin(
        self, targets: F32, phases: F32, difference: F32 | None = None, *, unsigned: bool = False
    ) -> None:
        """Take targets [channel, frame, bin] and phases, radians, of the same shape or [frame, bin].

        For two channels ``difference`` [frame, bin] is the phase of the second less that of the first;
        ``unsigned``: its sign is not known.
        """
        frames = self.stft.frames
        self.targets[:, :frames] = targets
        # What is wanted to be silent adds nothing: the frames after the last loud one need no transforms.
        loudest = targets.max(axis=(0, 2))
        loud = np.flatnonzero(loudest > loudest.max() * SILENT)
        self.transforms = self._sized(int(loud[-1]) + 1 if loud.size else 0)
        # Frames beyond the sound share a transform with its last one: what an earlier sound left there would
        # change its rounding.
        self.state[:] = 0.0
        np.multiply(targets, np.cos(phases), out=self.state[0::2, :frames, : self.bins])
        np.multiply(targets, np.sin(phases), out=self.state[1::2, :frames, : self.bins])
        if difference is not None:
            np.cos(0.5 * difference, out=self.half_difference[0, :frames])
            np.sin(0.5 * difference, out=self.half_difference[1, :frames])
            self.unsigned = unsigned
        self._emit(self.state)
        self.has_state = self.fresh = True

    def load(self, audio: F32) -> None:
        """Go on from another sound [channel, sample], with the targets of ``begin``."""
        for transform, channel in zip(self.transforms, audio, strict=True):
            transform.load(channel)
        self.has_state = False

    def griffin_lim(self, iterations: int, momentum: float) -> None:
        """Fast Griffin-Lim. A second call goes on where the first stopped."""
        if iterations == 0:
            return
        self.has_state = False
        for _ in range(iterations):
            for block in self._blocks():
                for transform in self.transforms:
                    transform.to_spectrum(block.start)
                self._project(block)
                for transform in self.transforms:
                    transform.to_time(block.start)
            for transform in self.transforms:
                transform.turn(momentum)

    def reflect(self, iterations: int, rule: Reflections) -> None:
        """Reflections. A second call goes on where the first stopped."""
        if iterations == 0:
            return
        if not self.has_state:
            self._adopt()
        outer = np.linspace(*rule.inconsistent, iterations)
        if self.fresh:
            # The state has the wanted magnitudes, p = x and d = 0, and the transforms hold its sound.
            self.state *= np.float32(1.0 - rule.step)
            for transform in self.transforms:
                transform.scale(rule.step)
        else:
            for block in self._blocks():
                for transform in self.transforms:
                    transform.spectrum[:] = 0.0
                self._reflect(block, 1.0 - rule.step, outer[0], rule.step, outer[0] - rule.consistent)
                for transform in self.transforms:
                    transform.to_time(block.start)
            for transform in self.transforms:
                transform.turn()
        for iteration in range(iterations):
            last = iteration == iterations - 1
            following = outer[min(iteration + 1, iterations - 1)]
            for block in self._blocks():
                for transform in self.transforms:
                    transform.to_spectrum(block.start)
                if last:  # emit P_M(x) itself, the result, and keep x
                    self._reflect(block, 1.0, 1.0, 1.0, 0.0)
                else:
                    self._reflect(block, 1.0 - rule.step, following, rule.step, following - rule.consistent)
                for transform in self.transforms:
                    transform.to_time(block.start)
            for transform in self.transforms:
                transform.turn()
        self.fresh = False

    @property
    def audio(self) -> F32:
        """A copy of the current sound [channel, sample]."""
        return np.stack([transform.audio for transform in self.transforms])

    def magnitude(self) -> F32:
        """What the current sound has where ``targets`` has what is wanted, up to the last frame of the sound."""
        if self.probe is None:
            self.probe = PairTransform(self.stft, self.stft.frames)
        transform = self.probe
        re, im = (np.empty((transform.frames, self.stft.bins), dtype=np.float32) for _ in range(2))
        found = np.empty((len(self.transforms), self.stft.frames, self.bins), dtype=np.float32)
        for channel, audio in enumerate(self.audio):
            transform.load(audio)
            for first in range(0, transform.frames, transform.block_frames):
                block = slice(first, first + transform.block_frames)
                transform.to_spectrum(first)
                projection.unpack_pairs(transform.spectrum, re[block], im[block])
            found[channel] = np.hypot(re, im)[: self.stft.frames, : self.bins]
        return found

    def convergence_db(self) -> float:
        """The spectral convergence of the current sound: 20 log10(‖|STFT| - target‖ / ‖target‖)."""
        target = self.targets[:, : self.stft.frames]
        wanted = float(np.linalg.norm(target))
        misfit = float(np.linalg.norm(self.magnitude() - target))
        return -np.inf if misfit == 0.0 else float(20.0 * np.log10(misfit / max(wanted, 1e-30)))

    def soften(self, softness: F32 | None) -> None:
        """From now on a projection moves a cell only 1 / (1 + softness) of the way; [frame, bin], None for all of it.

        Cells that are not trusted pull less, and what the others say of them counts. For one channel.
        """
        if softness is None:
            self.soft = np.zeros((0, 0), dtype=np.float32)
            return
        self.soft = np.zeros_like(self.targets[0])
        self.soft[: self.stft.frames] = softness / (1.0 + softness)

    def image_error_db(self) -> float:
        """How far apart wanted and found magnitudes typically are, where it is loud: a robust standard deviation."""
        target, found = self.targets[:, : self.stft.frames], self.magnitude()
        loud = target > LOUD * target.max()
        if not loud.any():
            return 0.0
        ratio = np.maximum(found[loud], 1e-30) / target[loud]
        return float(1.4826 * np.median(np.abs(20.0 * np.log10(ratio))))

    def _sized(self, frames: int) -> list[PairTransform]:
        """One transform for each channel, large enough for so many frames."""
        frames = min(-(-frames // FRAMES_STEP) * FRAMES_STEP, self.stft.frames)
        if frames not in self.sizes:
            self.sizes[frames] = [
                PairTransform(self.stft, frames, self.support) for _ in range(self.channels)
            ]
        return self.sizes[frames]

    def _blocks(self) -> list[slice]:
        size = self.transforms[0].block_frames
        return [slice(first, first + size) for first in range(0, self.transforms[0].frames, size)]

    def _project(self, block: slice) -> None:
        if len(self.transforms) == 1:
            projection.project_pairs(
                self.transforms[0].spectrum, self.targets[0, block], self.soft[block], self.rows
            )
            return
        left, right = self.transforms
        projection.project_stereo_pairs(
            left.spectrum,
            right.spectrum,
            self.targets[0, block],
            self.targets[1, block],
            self.half_difference[0, block],
            self.half_difference[1, block],
            self.unsigned,
            self.rows,
        )

    def _reflect(self, block: slice, keep: float, outer: float, step: float, inner: float) -> None:
        weights = np.float32(keep), np.float32(outer), np.float32(step), np.float32(inner)
        if len(self.transforms) == 1:
            re, im = self.state[0, block], self.state[1, block]
            soft = self.soft[block]
            projection.reflect_pairs(
                self.transforms[0].spectrum, re, im, self.targets[0, block], soft, *weights, self.rows
            )
            return
        left, right = self.transforms
        projection.reflect_stereo_pairs(
            left.spectrum,
            right.spectrum,
            self.state[:, block],
            self.targets[0, block],
            self.targets[1, block],
            self.half_difference[0, block],
            self.half_difference[1, block],
            self.unsigned,
            *weights,
            self.rows,
        )

    def _emit(self, planes: F32) -> None:
        """The sound of spectra [re and im of every channel][frame, bin] becomes the current one."""
        for channel, transform in enumerate(self.transforms):
            for block in self._blocks():
                re, im = planes[2 * channel, block], planes[2 * channel + 1, block]
                projection.pack_pairs(re, im, transform.spectrum)
                transform.to_time(block.start)
            transform.turn()

    def _adopt(self) -> None:
        """The state that reflections begin with: the current sound's spectra with the wanted magnitudes."""
        for transform in self.transforms:
            transform.load(transform.audio)
        for block in self._blocks():
            for transform in self.transforms:
                transform.to_spectrum(block.start)
            self._project(block)
            for channel, transform in enumerate(self.transforms):
                re, im = self.state[2 * channel, block], self.state[2 * channel + 1, block]
                projection.unpack_pairs(transform.spectrum, re, im)
                transform.to_time(block.start)
        for transform in self.transforms:
            transform.turn()
        self.has_state = self.fresh = True


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
    threads: int = 1,
) -> F32:
    """Sounds whose spectra have nearly the given magnitudes: fast Griffin-Lim; momentum 0 is the plain one.

    magnitude    float32 [batch, frame, bin], as of ``stft.forward``
    iterations   0 returns the inverse of the start
    mask         [frame, bin] or [batch, frame, bin], multiplies the target magnitude; see ``energy_mask``
    support      [sample], 0 or 1: where the sound may be other than zero, such as not before the onset
    start_phase  radians [frame, bin], shared by the batch, or [batch, frame, bin]; None is uniformly random
    seed         of the random start: one number, the same start for every sound (which keeps left and right
                 together), or one per sound
    threads      sounds worked on at a time

    Shape: → float32 [batch, sample]. A sound's result does not depend on the rest of its batch, nor on threads.
    """
    check_number("momentum", momentum, 0.0, 2.0)
    check_count("iterations", iterations)

    def run(solver: Solver) -> None:
        solver.griffin_lim(iterations, momentum)

    return _batch(magnitude, stft, run, mask, support, start_phase, seed, threads)


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
    threads: int = 1,
) -> F32:
    """As ``griffin_lim``, by relaxed averaged alternating reflections: slower to settle, but it does not
    stagnate.

    The last ``tail_iterations`` of ``iterations`` are fast Griffin-Lim, which settle what the reflections leave
    unsettled.
    """
    check_number("momentum", momentum, 0.0, 2.0)
    check_number("relaxation", relaxation, 0.0, 1.0)
    check_count("iterations", iterations)
    check_count("tail_iterations", tail_iterations)
    tail = min(tail_iterations, iterations)

    def run(solver: Solver) -> None:
        solver.reflect(iterations - tail, Reflections.raar(relaxation))
        solver.griffin_lim(tail, momentum)

    return _batch(magnitude, stft, run, mask, support, start_phase, seed, threads)


def energy_mask(magnitude: F32) -> F32:
    """The draft's time-frequency mask: 1 where a cell is above the sound's mean magnitude, else 0.

    Shape: float32 [..., frame, bin] → float32 [..., frame, bin]. It is kept as a baseline: what is
    quieter than the mean is lost (docs/dsp.md).
    """
    magnitude = np.asarray(magnitude, dtype=np.float32)
    return (magnitude > magnitude.mean(axis=(-2, -1), keepdims=True)).astype(np.float32)


def spread(work: Callable[[int], Result], count: int, threads: int) -> list[Result]:
    """``work(i)`` for i under ``count``, so many at a time."""
    if threads == 1 or count <= 1:
        return [work(i) for i in range(count)]
    with ThreadPoolExecutor(min(threads, count)) as pool:
        return list(pool.map(work, range(count)))


def each(count: int, work: Callable[[Solver, int], None], make: Callable[[], Solver], threads: int) -> None:
    """``work(solver, i)`` for i under ``count``, every thread with a solver of its own."""
    solvers: SimpleQueue[Solver] = SimpleQueue()
    for _ in range(max(1, min(threads, count))):
        solvers.put(make())

    def borrow(i: int) -> None:
        solver = solvers.get()
        work(solver, i)
        solvers.put(solver)

    spread(borrow, count, threads)


def _batch(
    magnitude: F32,
    stft: Stft,
    run: Callable[[Solver], None],
    mask: F32 | None,
    support: NDArray | None,
    start_phase: F32 | None,
    seed: int | Sequence[int],
    threads: int,
) -> F32:
    magnitude = checked_magnitude(magnitude, stft, axes=3)
    batch = magnitude.shape[0]
    check_planes(magnitude, mask=mask, start_phase=start_phase)
    check_support(support, stft)
    check_count("threads", threads, lowest=1)
    if not isinstance(seed, int | np.integer) and len(seed) != batch:
        raise ValueError(f"{len(seed)} seeds for {batch} sounds; give one number or one per sound")
    audio = np.empty((batch, stft.length_samples), dtype=np.float32)

    def work(solver: Solver, sound: int) -> None:
        target = magnitude[sound]
        if mask is not None:
            target = target * _of(mask, sound)
        if start_phase is not None:
            phase = _of(start_phase, sound)
        else:
            phase = random_phase(
                target.shape, int(seed if isinstance(seed, int | np.integer) else seed[sound])
            )
        solver.begin(target[np.newaxis], phase)
        run(solver)
        audio[sound] = solver.transforms[0].audio

    each(batch, work, lambda: Solver(stft, support=support), threads)
    return audio


def _of(plane: F32, sound: int) -> F32:
    plane = np.asarray(plane, dtype=np.float32)
    return plane if plane.ndim == 2 else plane[sound]


def checked_magnitude(magnitude: F32, stft: Stft, *, axes: int) -> F32:
    """As float32; ValueError unless it is [batch, (channel,) frame, bin], finite and not negative."""
    magnitude = np.asarray(magnitude, dtype=np.float32)
    wanted = (stft.frames, stft.bins)
    if magnitude.ndim != axes or magnitude.shape[-2:] != wanted:
        before = "batch" if axes == 3 else "batch, channel"
        raise ValueError(
            f"magnitude must be [{before}, {wanted[0]}, {wanted[1]}], not {list(magnitude.shape)}"
        )
    if not np.all(np.isfinite(magnitude)) or magnitude.min(initial=0.0) < 0.0:
        raise ValueError("magnitude holds values that are negative or not finite")
    if magnitude.max(initial=0.0) > LARGEST:
        raise ValueError(
            f"magnitude holds values beyond {LARGEST:g}, whose squares are more than a float32 holds"
        )
    return magnitude


def check_planes(magnitude: F32, **planes: F32 | None) -> None:
    """Planes must be [frame, bin] or as large as magnitude."""
    wanted = magnitude.shape[-2:]
    for name, plane in planes.items():
        if plane is not None and np.shape(plane) not in (wanted, magnitude.shape):
            raise ValueError(
                f"{name} must be {list(wanted)} or {list(magnitude.shape)}, not {list(np.shape(plane))}"
            )


def check_support(support: NDArray | None, stft: Stft) -> None:
    """A support has one value for each sample."""
    if support is not None and np.shape(support) != (stft.length_samples,):
        raise ValueError(
            f"support must have the shape [{stft.length_samples}], not {list(np.shape(support))}"
        )


def check_count(name: str, value: int, *, lowest: int = 0) -> None:
    """Whole numbers from ``lowest`` on."""
    if value < lowest:
        raise ValueError(f"{name} must be {lowest} or more, not {value}")


def check_number(name: str, value: float, lowest: float, highest: float) -> None:
    """A number within bounds."""
    if not lowest <= value <= highest:
        raise ValueError(f"{name} must lie between {lowest:g} and {highest:g}, not {value}")
