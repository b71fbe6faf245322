"""What a model has to be better than, or cannot be better than.

pca_gaussian   a linear model of the training images
memoriser      the training sounds again: what every distance but that to the training set would call perfect
round_trip     real sounds through an image and back: the ceiling of every model with this image
synthesiser    the drum synthesiser, drawn from as it is
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from samplegan import synth
from samplegan.dataset import training_sound
from samplegan.evaluate.sets import Maker, Sounds, heard
from samplegan.representation import Representation
from samplegan.synth.packs import LARGEST_SEED

F32 = NDArray[np.float32]

EXPLAINED = 0.95
MOST_IMAGES = 2000  # that a covariance is taken of
PCA_GAUSSIAN, MEMORISER, SYNTHESISER = "PCA-Gaussian", "memoriser", "synthesiser"
LARGEST_GAIN_DB = 1.0
LARGEST_SHIFT_SAMPLES = 22  # 0.5 ms


def pca_gaussian(training: Sounds, representation: Representation, count: int, seed: int) -> Sounds:
    """Draws from a Gaussian in the principal components that hold 95 % of the training images' variance."""
    step = -(-len(training) // MOST_IMAGES)
    images = [representation.analyse(training[index]) for index in range(0, len(training), step)]
    shape = images[0].shape
    flat = np.stack([image.ravel() for image in images]).astype(np.float64)
    mean = flat.mean(axis=0)
    centred = flat - mean
    # The eigenvectors of the sounds' products: there are fewer sounds than cells.
    variances, vectors = np.linalg.eigh(centred @ centred.T)
    variances, vectors = variances[::-1], vectors[:, ::-1]
    kept = int(np.searchsorted(np.cumsum(variances), EXPLAINED * variances.sum())) + 1
    # An eigenvector's sign is arbitrary: its largest value is positive, whatever the linear algebra returned.
    vectors = vectors[:, :kept]
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(kept)])
    draws = np.random.default_rng(seed).standard_normal((count, kept)) @ vectors.T
    made = np.clip(mean + draws @ centred / np.sqrt(max(len(images) - 1, 1)), -1.0, 1.0).astype(np.float32)
    makers: list[Maker] = [
        partial(
            heard,
            representation,
            image.reshape(shape),
            _phase_seed(seed, index),
            representation.length_samples,
        )
        for index, image in enumerate(made)
    ]
    return Sounds(PCA_GAUSSIAN, tuple(makers))


def memoriser(training: Sounds, count: int, seed: int) -> Sounds:
    """Training sounds drawn again, each with a gain within 1 dB and up to 0.5 ms later."""
    random = np.random.default_rng(seed)
    chosen = random.integers(len(training), size=count)
    gains_db = random.uniform(-LARGEST_GAIN_DB, LARGEST_GAIN_DB, size=count)
    shifts = random.integers(LARGEST_SHIFT_SAMPLES + 1, size=count)
    makers: list[Maker] = [
        partial(_again, training.makers[index], float(gain_db), int(shift))
        for index, gain_db, shift in zip(chosen.tolist(), gains_db, shifts, strict=True)
    ]
    return Sounds(MEMORISER, tuple(makers))


def round_trip(sounds: Sounds, representation: Representation, seed: int) -> Sounds:
    """Every sound of a set through an image and back."""
    makers: list[Maker] = [
        partial(_there_and_back, maker, representation, _phase_seed(seed, index))
        for index, maker in enumerate(sounds.makers)
    ]
    return Sounds(sounds.name, tuple(makers))


def synthesiser(category: str, count: int, seed: int, length_samples: int) -> Sounds:
    """The drum synthesiser's sounds of seeds counted from the top: those at the bottom are learned from."""
    makers: list[Maker] = [
        partial(_synthesised, category, LARGEST_SEED - seed, index, length_samples) for index in range(count)
    ]
    return Sounds(SYNTHESISER, tuple(makers))


def _again(maker: Maker, gain_db: float, shift_samples: int) -> F32:
    sound = maker() * np.float32(10.0 ** (gain_db / 20.0))
    later = np.zeros_like(sound)
    later[:, shift_samples:] = sound[:, : sound.shape[1] - shift_samples]
    return later


def _there_and_back(maker: Maker, representation: Representation, seed: int) -> F32:
    return heard(representation, representation.analyse(maker()), seed, representation.length_samples)


def _synthesised(category: str, seed: int, index: int, length_samples: int) -> F32:
    return training_sound(synth.synthesise(category, seed, index), 1.0, length_samples)


def _phase_seed(seed: int, index: int) -> int:
    return int(np.random.default_rng((seed, index)).integers(2**62))
