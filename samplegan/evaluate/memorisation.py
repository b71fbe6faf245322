"""Whether a model copies: are its sounds nearer to the training sounds than sounds it never saw?"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from samplegan.audio import ONSET_SAMPLE, SAMPLE_RATE
from samplegan.evaluate.embedding import FLOOR_DB, above_floor_db, levelled, mel_edges, pooled, power_spectra
from samplegan.evaluate.metrics import nearest_distances

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

MEL_BANDS = 40
WINDOW_SAMPLES = 1024
STEP_SAMPLES = 44  # 1 ms, between the shifts that are tried
STEPS_PER_FRAME = 5
FRAME_SAMPLES = STEP_SAMPLES * STEPS_PER_FRAME
SHIFTED_FRAMES = 4  # 20 ms to either side
CANDIDATES = 8
NEAR_PERCENTILE = 1.0


def c_t(train: NDArray, held_out: NDArray, generated: NDArray) -> float:
    """The z of Mann and Whitney's test of distances to the nearest training sound, generated against held-out.

    About 0: generated sounds lie as far from the training sounds as new ones do. Below -3: they are nearer, the
    model copies. Well above: they are further, it underfits. Meehan, Chaudhuri & Dasgupta 2020, 'A non-parametric
    test to detect data-copying in generative models', with the whole space as one cell; ties count half, and the
    variance is corrected for them.

    Shape: float64 [sound, dimension], each. Raises ValueError for sets that are empty, of different dimensions or
    not finite.
    """
    fresh, made = nearest_distances(held_out, train), nearest_distances(generated, train)
    m, n = fresh.size, made.size
    ordered = np.sort(fresh)
    below, not_above = (np.searchsorted(ordered, made, side=side) for side in ("left", "right"))
    further = 0.5 * float(np.sum(below + not_above))  # pairs in which the generated sound is the further one
    _, ties = np.unique(np.concatenate([fresh, made]), return_counts=True)
    total = m + n
    variance = m * n / 12.0 * (total + 1.0 - float(np.sum(ties**3.0 - ties)) / (total * (total - 1.0)))
    return (further - 0.5 * m * n) / math.sqrt(variance) if variance > 0.0 else 0.0


class CopySearch:
    """The training sound that a sound is nearest to, whatever its gain and up to 20 ms of shift.

    The distance of two log-mel images a and b (decibels above the floor, of both channels' power) is
    ‖a - b‖ / √((‖a‖² + ‖b‖²) / 2): 0 for the same sound, √2 for two that have nothing in common, and no smaller for
    short sounds than for long ones. Mel images find copies better than learned embeddings do (arXiv 2310.10760).

    The eight best of all training sounds in steps of 5 ms are compared in steps of 1 ms.
    """

    def __init__(self, training_sounds: Iterable[F32], length_seconds: float) -> None:
        """`training_sounds` float32 [2, sample], onset-aligned, of which `length_seconds` count. Raises ValueError
        if there are none, and as `nearest` does.
        """
        if not (np.isfinite(length_seconds) and length_seconds > 0.0):
            raise ValueError(f"length_seconds must be a positive number, not {length_seconds}")
        self.length_seconds = length_seconds
        frames = math.ceil(length_seconds * SAMPLE_RATE / FRAME_SAMPLES) + SHIFTED_FRAMES
        # A sound shifted to an earlier time loses nothing: images begin 20 ms before the onset.
        self._centres: I64 = ONSET_SAMPLE + FRAME_SAMPLES * (np.arange(frames) - SHIFTED_FRAMES)
        images = [_image(sound, self._centres) for sound in training_sounds]
        if not images:
            raise ValueError("there are no training sounds to compare with")
        self._images: F32 = np.stack(images)
        self._energies: F64 = _energy(self._images)

    def nearest(self, sound: F32) -> tuple[float, int]:
        """The distance of `sound` float32 [2, sample], onset-aligned, to its nearest training sound, and its index.

        Raises ValueError for another shape and for values that are not finite.
        """
        shifted = self._shifted(sound)
        coarse = shifted[::STEPS_PER_FRAME]
        products = coarse @ self._images.T
        estimate = _relative(
            _energy(coarse)[:, None] + self._energies - 2.0 * products,
            _energy(coarse)[:, None],
            self._energies,
        ).min(axis=0)
        best = (math.inf, -1)
        energies = _energy(shifted)
        for index in np.argsort(estimate, kind="stable")[:CANDIDATES].tolist():
            difference2 = _energy(shifted - self._images[index])
            distance = float(_relative(difference2, energies, self._energies[index]).min())
            best = min(best, (distance, index))
        return best

    def distances(self, sounds: Iterable[F32]) -> F64:
        """Of every sound to its nearest training sound, float64 [sound]."""
        return np.array([self.nearest(sound)[0] for sound in sounds], dtype=np.float64)

    def threshold(self, held_out_sounds: Iterable[F32]) -> float:
        """The first percentile of held-out sounds' distances: what is nearer counts as a copy. Raises ValueError if
        there are no sounds.
        """
        distances = self.distances(held_out_sounds)
        if not distances.size:
            raise ValueError("a threshold needs held-out sounds, and there are none")
        return float(np.percentile(distances, NEAR_PERCENTILE))

    def share_nearer(self, generated: Iterable[F32], threshold: float) -> float:
        """The share of sounds below the threshold: of new sounds, about one in a hundred. Raises ValueError if there
        are no sounds.
        """
        distances = self.distances(generated)
        if not distances.size:
            raise ValueError("a share needs generated sounds, and there are none")
        return float(np.mean(distances < threshold))

    def _shifted(self, sound: F32) -> F32:
        """The images of a sound at every shift from 20 ms later to 20 ms earlier, [shift, value]."""
        reach = SHIFTED_FRAMES * STEPS_PER_FRAME
        first, last = self._centres[0] - reach * STEP_SAMPLES, self._centres[-1] + reach * STEP_SAMPLES
        image = _image(sound, np.arange(first, last + 1, STEP_SAMPLES)).reshape(-1, MEL_BANDS)
        span = STEPS_PER_FRAME * (self._centres.size - 1) + 1
        return np.stack(
            [image[shift : shift + span : STEPS_PER_FRAME].ravel() for shift in range(2 * reach + 1)]
        )


def _image(sound: F32, centres: I64) -> F32:
    """Decibels above the floor, [frame · band]: the mean of both channels' power, so that width does not hide."""
    left, right = (power_spectra(channel, centres, WINDOW_SAMPLES) for channel in levelled(sound))
    power = pooled(0.5 * (left + right), mel_edges(MEL_BANDS), WINDOW_SAMPLES)
    return above_floor_db(power, FLOOR_DB).ravel()


def _energy(images: F32) -> F64:
    return np.einsum("...i,...i->...", images, images, dtype=np.float64)


def _relative(difference2: F64, first: F64, second: NDArray | float) -> F64:
    """0 for two silences."""
    mean = 0.5 * (first + second)
    ratio = np.divide(difference2, mean, out=np.zeros_like(mean), where=mean > 0.0)
    return np.sqrt(np.maximum(ratio, 0.0))
