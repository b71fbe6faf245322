"""Sounds from magnitudes under one call signature: every method, start and stereo scheme by name."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dsp.phase.loops import (
    FAR_REFLECTIONS,
    Reflections,
    Solver,
    check_count,
    check_number,
    check_planes,
    check_support,
    checked_magnitude,
    each,
)
from dsp.phase.minimum_phase import minimum_phase
from dsp.phase.rtisi import rtisi_la
from dsp.phase.starts import gamma_of, pghi, random_phase
from dsp.stft import Stft

F32 = NDArray[np.float32]

METHODS = (
    "griffin-lim",
    "fast-griffin-lim",
    "raar",
    "far-reflections",
    "douglas-rachford",
    "admm",
    "rtisi-la",
)
TAILS = METHODS[:-1]  # 'rtisi-la' goes from frame to frame and begins anew
STARTS = ("pghi", "minimum-phase", "random", "zero")
STEREO = ("shared", "mid", "difference", "independent")

# How often a reconstruction with a tolerance looks where it stands; a look costs half an iteration.
LOOK_EVERY = 10


def reconstruct(
    magnitude: F32,
    stft: Stft,
    *,
    method: str = "raar",
    iterations: int = 100,
    tail: str = "fast-griffin-lim",
    tail_iterations: int = 10,
    start: str | F32 = "pghi",
    stereo: str = "shared",
    mid: F32 | None = None,
    difference: F32 | None = None,
    momentum: float = 0.99,
    relaxation: float = 0.9,
    penalty: float = 0.1,
    mask: F32 | None = None,
    support: NDArray | None = None,
    tolerance_db: float | None = None,
    seed: int | Sequence[int] = 0,
    threads: int = 1,
) -> F32:
    """Sounds whose spectra have nearly the given magnitudes.

    magnitude      float32 [batch, channel, frame, bin], as the absolute value of ``stft.forward``
    method         of METHODS: 'griffin-lim'; 'fast-griffin-lim' (``momentum``); 'raar' (``relaxation``),
                   'douglas-rachford' and 'admm' (``penalty``), which leave the minima in which Griffin-Lim stays;
                   'rtisi-la', frame after frame with three frames of look-ahead, where ``iterations`` counts how
                   often each is worked on, and there is no tail
    iterations     in all, the last ``tail_iterations`` of them by the method ``tail``
    start          of STARTS, or radians [frame, bin] or as large as magnitude
    stereo         of STEREO: 'shared': one start for all channels, then each alone. 'mid': of two channels the
                   magnitude of their mean is known as well, ``mid`` [batch, frame, bin], and with it the size of
                   their phase difference. 'difference': that difference itself is known, ``difference``
                   [batch, frame, bin], second less first, radians. 'independent': every channel has a start of its
                   own, and what a mono sum makes of them is left to chance
    mask           [frame, bin] or as large as magnitude, multiplies it
    support        [sample], 0 … 1: where the sound may be other than zero, such as not before the onset
    tolerance_db   stop once the spectral convergence is this low, looked at every ten iterations
    seed           of whatever is left to chance: one number for all, or one for each sound of the batch
    threads        sounds or channels worked on at a time

    Shape: → float32 [batch, channel, sample]. A sound's result depends neither on its batch nor on threads; swapped
    channels give swapped results, and equal channels equal ones (but for 'independent').

    Raises ValueError for shapes and names that do not fit, and for magnitudes that are negative or not finite.
    """
    magnitude = checked_magnitude(magnitude, stft, axes=4)
    batch, channels = magnitude.shape[:2]
    for what, name, names in (
        ("method", method, METHODS),
        ("tail", tail, TAILS),
        ("stereo", stereo, STEREO),
        ("start", start if isinstance(start, str) else "pghi", STARTS),
    ):
        if name not in names:
            raise ValueError(f"there is no {what} '{name}'; choose {', '.join(names)}")
    check_count("iterations", iterations)
    check_count("tail_iterations", tail_iterations)
    check_count("threads", threads, lowest=1)
    check_number("momentum", momentum, 0.0, 2.0)
    check_number("relaxation", relaxation, 0.0, 1.0)
    check_number("penalty", penalty, 0.0, 10.0)
    check_planes(magnitude, mask=mask, start=None if isinstance(start, str) else start)
    check_support(support, stft)
    seeds = seed if isinstance(seed, Sequence) else [seed] * batch
    if len(seeds) != batch:
        raise ValueError(f"{len(seeds)} seeds for {batch} sounds; give one number or one per sound")
    plane = {"mid": mid, "difference": difference}.get(stereo)
    if stereo in ("mid", "difference"):
        if channels != 2 or method == "rtisi-la":
            raise ValueError(f"stereo '{stereo}' is for two channels and for any method but 'rtisi-la'")
        wanted = (batch, stft.frames, stft.bins)
        if plane is None or np.shape(plane) != wanted:
            given = "none" if plane is None else str(list(np.shape(plane)))
            raise ValueError(f"stereo '{stereo}' needs a plane '{stereo}' {list(wanted)}, but got {given}")

    if mask is not None:
        magnitude = magnitude * np.asarray(mask, dtype=np.float32)
    reflections = {
        "raar": Reflections.raar(relaxation),
        "far-reflections": FAR_REFLECTIONS,
        "douglas-rachford": Reflections.raar(1.0),
        "admm": Reflections.raar(1.0 / (1.0 + penalty)),
    }
    momenta = {"griffin-lim": 0.0, "fast-griffin-lim": momentum}
    tail_count = min(tail_iterations, iterations)
    steps = ((method, iterations - tail_count), (tail, tail_count))

    def iterate(solver: Solver) -> None:
        for name, count in steps:
            stretch = count if tolerance_db is None else LOOK_EVERY
            for done in range(0, count, max(stretch, 1)):
                now = min(stretch, count - done)
                if name in reflections:
                    solver.reflect(now, reflections[name])
                else:
                    solver.griffin_lim(now, momenta[name])
                if tolerance_db is not None and solver.convergence_db() <= tolerance_db:
                    return

    def start_of(sound: int, channels: slice) -> F32:
        """Radians for channels that start together: [frame, bin], or [channel, frame, bin] as they are given."""
        if not isinstance(start, str):
            return np.asarray(start if np.ndim(start) == 2 else start[sound, channels], dtype=np.float32)
        loudness = np.sqrt(np.mean(np.square(magnitude[sound, channels]), axis=0))
        return _start(start, loudness, stft, (int(seeds[sound]), channels.start))

    def alone(solver: Solver, item: int) -> None:
        sound, channel = divmod(item, channels)
        only = slice(channel, channel + 1)
        phase = starts[sound] if starts else start_of(sound, only)
        phase = phase if phase.ndim == 2 else phase[channel if starts else 0]
        target = magnitude[sound, only]
        if method == "rtisi-la":
            found = rtisi_la(target, stft, iterations=iterations, support=support, start_phase=phase)
            audio[sound, channel] = found[0]
            return
        solver.begin(target, phase)
        iterate(solver)
        audio[sound, channel] = solver.audio[0]

    def together(solver: Solver, sound: int) -> None:
        phase = starts[sound]
        if mid is not None and stereo == "mid":
            angle = _angle(magnitude[sound, 0], magnitude[sound, 1], mid[sound])
        elif difference is not None:
            angle = np.asarray(difference[sound], dtype=np.float32)
            if phase.ndim == 2:
                phase = phase + np.float32(0.5) * np.stack([-angle, angle])
        solver.begin(magnitude[sound], phase, angle, unsigned=stereo == "mid")
        iterate(solver)
        audio[sound] = solver.audio

    audio = np.empty((batch, channels, stft.length_samples), dtype=np.float32)
    starts = []
    if stereo != "independent":
        starts = [start_of(sound, slice(0, channels)) for sound in range(batch)]
    if plane is not None:
        each(batch, together, lambda: Solver(stft, 2, support), threads)
    else:
        each(batch * channels, alone, lambda: Solver(stft, 1, support), threads)
    return audio


def _start(name: str, magnitude: F32, stft: Stft, seed: Sequence[int]) -> F32:
    if name == "zero":
        return np.zeros(magnitude.shape, dtype=np.float32)
    if name == "random":
        return random_phase(magnitude.shape, seed)
    if name == "minimum-phase":
        return minimum_phase(magnitude, stft.window_samples)
    return pghi(
        magnitude,
        gamma=gamma_of(stft.window),
        hop_samples=stft.hop_samples,
        window_samples=stft.window_samples,
        seed=seed,
    )


def _angle(left: F32, right: F32, mid: F32) -> F32:
    """The size of the phase difference 2δ from the magnitude of the mean: |L + R|² = |L|² + |R|² + 2 |L| |R| cos 2δ."""
    cosine = (4.0 * np.square(mid) - (np.square(left) + np.square(right))) / np.maximum(
        2.0 * left * right, 1e-30
    )
    return np.arccos(np.clip(cosine, -1.0, 1.0)).astype(np.float32)
