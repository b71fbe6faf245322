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
    spread,
)
from dsp.phase.low_band import low_band_start
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
    "soft-raar",
    "douglas-rachford",
    "admm",
    "rtisi-la",
)
_OWN_WAY = ("soft-raar", "rtisi-la")  # neither can go on from another method
TAILS = tuple(name for name in METHODS if name not in _OWN_WAY)
STARTS = ("low-band", "pghi", "rtisi-la", "minimum-phase", "random", "zero")
STEREO = ("shared", "mid", "difference", "independent")

# From which disagreement between image and sound on 'soft-raar' begins to doubt the image, and where it doubts fully.
DOUBT_DB = (0.65, 0.90)
# Softness rises with this power of the magnitude from so far below the loudest cell on.
SOFT_FROM_DB = -30.0
SOFT_POWER = 1.3

# How often a reconstruction with a tolerance looks where it stands; a look costs half an iteration.
LOOK_EVERY = 10


def reconstruct(
    magnitude: F32,
    stft: Stft,
    *,
    method: str = "far-reflections",
    iterations: int = 100,
    tail: str | None = None,
    tail_iterations: int = 10,
    start: str | F32 = "low-band",
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
                   'far-reflections', the nearest on magnitudes that belong to a sound; 'soft-raar', on those with
                   errors, such as a generator's; 'rtisi-la', frame after frame with three frames of look-ahead,
                   where ``iterations`` counts how often each is worked on and a start by name is not used
    iterations     in all, the last ``tail_iterations`` of them by the method ``tail`` (after 'rtisi-la' in addition)
    tail           of TAILS; None is 'fast-griffin-lim' after reflections, and nothing after the others. 'soft-raar' has
                   an end of its own
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
        ("tail", tail or TAILS[0], TAILS),
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
        if channels != 2 or method in ("rtisi-la", "soft-raar"):
            raise ValueError(f"stereo '{stereo}' is for two channels, and not for the method '{method}'")
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
    if method == "rtisi-la":
        steps = [(tail, tail_iterations)] if tail else []
    else:
        tail_count = min(tail_iterations, iterations) if tail or method in reflections else 0
        steps = [(method, iterations - tail_count), (tail or "fast-griffin-lim", tail_count)]

    def iterate(solver: Solver) -> None:
        if method == "soft-raar":
            _soft_raar(solver, iterations, relaxation, momentum)
            return
        for name, count in steps:
            stretch = count if tolerance_db is None else LOOK_EVERY
            for done in range(0, count, max(stretch, 1)):
                now = min(stretch, count - done)
                if name in reflections:
                    solver.reflect(now, reflections[name].part(done, now, count))
                else:
                    solver.griffin_lim(now, momenta[name])
                if tolerance_db is not None and solver.convergence_db() <= tolerance_db:
                    return

    def start_of(sound: int) -> F32:
        """Radians [frame, bin] for channels that start together, else [channel, frame, bin]."""
        if not isinstance(start, str):
            return np.asarray(start if np.ndim(start) == 2 else start[sound], dtype=np.float32)
        planes = magnitude[sound]
        if stereo != "independent":
            planes = np.sqrt(np.mean(np.square(planes), axis=0, keepdims=True))
        found = [_start(start, plane, stft, (int(seeds[sound]), i)) for i, plane in enumerate(planes)]
        return np.stack(found) if stereo == "independent" else found[0]

    def alone(solver: Solver, item: int) -> None:
        sound, channel = divmod(item, channels)
        target, phase = magnitude[sound, channel : channel + 1], starts[sound]
        phase = phase if phase.ndim == 2 else phase[channel]
        solver.begin(target, phase)
        if method == "rtisi-la":
            found = rtisi_la(
                target,
                stft,
                iterations=iterations,
                support=support,
                start_phase=None if isinstance(start, str) else phase,
                seed=int(seeds[sound]),
            )
            solver.load(found)
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
    if method == "rtisi-la" and isinstance(start, str):
        start = "zero"  # its frames start from those before
    starts = spread(start_of, batch, threads)
    if plane is not None:
        each(batch, together, lambda: Solver(stft, 2, support), threads)
    else:
        each(batch * channels, alone, lambda: Solver(stft, 1, support), threads)
    return audio


def _soft_raar(solver: Solver, iterations: int, relaxation: float, momentum: float) -> None:
    """RAAR for magnitudes with errors, such as a generator's.

    After three fifths of the iterations the loud cells of an image that belongs to a sound agree with what was found to
    0.3 dB or so. An image with errors cannot: where its error is beyond DOUBT_DB, the rest goes on with projections
    that are the softer the louder a cell, since an error in dB is an absolute error in proportion to the magnitude, and
    a least-squares fit would trust the loudest, worst cells most.
    """
    hard = iterations * 3 // 5
    rule = Reflections.raar(relaxation)
    solver.soften(None)
    solver.reflect(hard, rule)
    low, high = DOUBT_DB
    doubt = min(max((solver.image_error_db() - low) / (high - low), 0.0), 1.0)
    rest = iterations - hard
    if doubt == 0.0:
        tail = min(10, rest)
        solver.reflect(rest - tail, rule)
        solver.griffin_lim(tail, momentum)
        return
    target = solver.targets[0, : solver.stft.frames]
    loudness = target * np.float32(10.0 ** (SOFT_FROM_DB / -20.0) / target.max())
    softness = doubt * (np.power(1.0 + np.square(loudness), SOFT_POWER / 2) - 1.0).astype(np.float32)
    solver.soften(0.1 * softness)
    solver.reflect(rest // 2, rule)
    solver.soften(softness)
    solver.griffin_lim(rest - rest // 2, momentum)


def _start(name: str, magnitude: F32, stft: Stft, seed: Sequence[int]) -> F32:
    if name == "zero":
        return np.zeros(magnitude.shape, dtype=np.float32)
    if name == "random":
        return random_phase(magnitude.shape, seed)
    if name == "minimum-phase":
        return minimum_phase(magnitude, stft.window_samples)
    if name == "rtisi-la":
        sound = rtisi_la(magnitude[np.newaxis], stft, seed=int(seed[0]))
        # An Stft is for one thread, and this may be one of many.
        return np.angle(Stft(stft.length_samples, stft.window, stft.hop_samples).forward(sound)[0])
    if name == "low-band":
        return low_band_start(magnitude, stft, seed=seed)
    return pghi(
        magnitude,
        gamma=gamma_of(stft.window),
        hop_samples=stft.hop_samples,
        window_samples=stft.window_samples,
        seed=seed,
    )


def _angle(left: F32, right: F32, mid: F32) -> F32:
    """The size of the phase difference 2δ from the magnitude of the mean: |L + R|² = |L|² + |R|² + 2 |L| |R| cos 2δ."""
    cross = 4.0 * np.square(mid) - (np.square(left) + np.square(right))
    cosine = cross / np.maximum(2.0 * left * right, 1e-30)
    return np.arccos(np.clip(cosine, -1.0, 1.0)).astype(np.float32)
