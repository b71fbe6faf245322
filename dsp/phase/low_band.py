"""A start whose low end is found first: at a low rate, where iterations cost next to nothing."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dsp.phase.loops import Reflections, Solver
from dsp.phase.starts import gamma_of, pghi
from dsp.stft import Stft

F32 = NDArray[np.float32]

LOW_WINDOW_SAMPLES = 32
# Of the 17 bins of the low rate the uppermost overlap with what was decimated away. Their magnitudes are left open, and
# of the others the last two only help: the phases that go on are those below.
OPEN_BINS = 3
SEAM_BINS = 2

ROTATIONS = 4
SEARCH_ITERATIONS = 20
SEARCH_TAIL = 4
ITERATIONS = 200
TAIL = 10
SEARCH = Reflections(0.9, -0.95, (0.93, 0.93))


def low_band_start(magnitude: F32, stft: Stft, *, seed: int | Sequence[int] = 0) -> F32:
    """Phase as of ``pghi``, but with a low end that is consistent.

    What PGHI cannot know is where a slow wave stands against its mirror at negative frequencies, which the lowest bins
    contain as well; the iterations of the whole sound rarely repair it. The low end alone is a transform of the
    decimated sound, with the window decimated alike, the same frames and the same phases; so it is reconstructed there,
    from several rotations of the PGHI phase, and the one that comes nearest goes on. From its phases the rest is
    integrated.

    Shape: float32 [frame, bin] → float32 [frame, bin], radians. A window and hop that cannot be decimated, such as one
    of 32 samples, get PGHI itself.
    """
    sizes = {"hop_samples": stft.hop_samples, "window_samples": stft.window_samples}
    settings = {"gamma": gamma_of(stft.window), "seed": seed, **sizes}
    start = pghi(magnitude, **settings)
    factor = stft.window_samples // LOW_WINDOW_SAMPLES
    if factor < 2 or stft.window_samples % LOW_WINDOW_SAMPLES or stft.hop_samples % factor:
        return start
    samples = -(-stft.length_samples // factor)
    low = Stft(samples, stft.window[::factor], stft.hop_samples // factor)
    known = low.bins - OPEN_BINS
    target = magnitude[np.newaxis, :, :known] * np.float32(1.0 / factor)
    solver = Solver(low, bins=known)
    nearest, best = np.inf, np.zeros((1, samples), dtype=np.float32)
    for rotation in range(ROTATIONS):
        turn = np.float32(np.pi * rotation / ROTATIONS)
        solver.begin(target, start[:, :known] + turn)
        solver.reflect(SEARCH_ITERATIONS, SEARCH)
        solver.griffin_lim(SEARCH_TAIL, 0.99)
        misfit = solver.convergence_db()
        if misfit < nearest:
            nearest, best = misfit, solver.audio
    solver.load(best)
    solver.reflect(ITERATIONS, SEARCH)
    solver.griffin_lim(TAIL, 0.99)
    phase = np.angle(low.forward(solver.audio)[0, :, : known - SEAM_BINS])
    return pghi(magnitude, low_phase=phase, **settings)
