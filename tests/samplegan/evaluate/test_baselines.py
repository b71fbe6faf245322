"""The baselines are what they say they are."""

from __future__ import annotations

import pickle
from functools import partial

import numpy as np
import pytest

from samplegan import synth
from samplegan.dataset import training_sound
from samplegan.evaluate.baselines import memoriser, pca_gaussian, round_trip, synthesiser
from samplegan.evaluate.sets import Sounds
from samplegan.representation import Representation

LENGTH = 8_820


@pytest.fixture(scope="module")
def training() -> Sounds:
    kept = [training_sound(synth.synthesise("kick", 1, index), 1.0, LENGTH) for index in range(30)]
    return Sounds("training", tuple(partial(np.copy, sound) for sound in kept))


def images_of(sounds: Sounds) -> np.ndarray:
    """What the PCA-Gaussian drew, before it became sound."""
    return np.stack([maker.args[1] for maker in sounds.makers])  # type: ignore[attr-defined]


def test_the_linear_model_has_the_mean_and_the_variance_of_the_images(
    training: Sounds, representation: Representation
):
    images = np.stack([representation.analyse(sound) for sound in training])
    drawn = images_of(pca_gaussian(training, representation, 2_000, 3))
    assert drawn.min() >= -1.0 and drawn.max() <= 1.0
    free = (np.abs(images).max(axis=0) < 0.8) & (images.std(axis=0) > 0.0)  # cells that are never cut off
    assert free.sum() > 50
    error = drawn.mean(axis=0) - images.mean(axis=0)
    assert np.abs(error[free]).max() < 5.0 * images.std(axis=0)[free].max() / np.sqrt(2_000)
    assert drawn.var(axis=0)[free].sum() / images.var(axis=0)[free].sum() == pytest.approx(0.95, abs=0.08)


def test_the_linear_model_draws_in_as_few_directions_as_hold_95_percent(
    training: Sounds, representation: Representation
):
    images = np.stack([representation.analyse(sound).ravel() for sound in training])
    stretch = np.linalg.svd(images - images.mean(axis=0), compute_uv=False) ** 2
    needed = int(np.sum(np.cumsum(stretch) < 0.95 * stretch.sum())) + 1
    assert 3 < needed < 29
    drawn = images_of(pca_gaussian(training, representation, 60, 3)).reshape(60, -1)
    inside = np.linalg.svd(images - images.mean(axis=0), full_matrices=False)[2][:needed]
    uncut = np.abs(drawn).max(axis=0) < 1.0
    off = drawn - images.mean(axis=0)
    assert np.linalg.matrix_rank(off[:, uncut], tol=1e-3) == needed
    assert uncut.sum() > inside.shape[0]


def test_the_linear_models_draws_do_not_depend_on_how_many_there_are(
    training: Sounds, representation: Representation
):
    few, many = (pca_gaussian(training, representation, count, 3) for count in (3, 8))
    np.testing.assert_allclose(images_of(few), images_of(many)[:3], atol=1e-6)
    assert not np.allclose(images_of(few), images_of(pca_gaussian(training, representation, 3, 4)))
    assert few[0].shape == (2, LENGTH) and np.isfinite(few[0]).all() and few[0].any()


def test_the_memoriser_repeats_training_sounds_almost(training: Sounds):
    known = [sound[0] / np.linalg.norm(sound[0]) for sound in training]
    again = memoriser(training, 12, 5)
    for sound in again:
        likeness = [
            max(float(np.dot(sound[0, shift:], one[: one.size - shift])) for shift in range(23))
            for one in known
        ]
        assert max(likeness) / np.linalg.norm(sound[0]) > 0.999
        assert abs(20.0 * np.log10(np.abs(sound).max())) <= 1.001
    gains = {round(float(np.abs(sound).max()), 4) for sound in again}
    assert len(gains) == 12
    np.testing.assert_array_equal(memoriser(training, 12, 5)[7], again[7])


def test_the_round_trip_is_that_of_the_representation(training: Sounds, representation: Representation):
    back = round_trip(training.only([2, 4]), representation, 9)
    assert len(back) == 2
    images = [representation.analyse(sound) for sound in (training[2], training[4])]
    for image, sound in zip(images, back, strict=True):
        assert sound.shape == (2, LENGTH) and np.abs(sound).max() == pytest.approx(1.0)
        # Noise is drawn anew and phases are found; levels in the cells are those of the image.
        level = representation.analyse(sound)
        assert np.median(np.abs(level - level.max() - image + image.max())[image > -0.5]) < 0.08
    np.testing.assert_array_equal(back[0], round_trip(training.only([2, 4]), representation, 9)[0])


def test_the_synthesisers_sounds_are_none_that_a_pack_learns_from():
    sounds = synthesiser("snare", 3, 0, LENGTH)
    learned = [training_sound(synth.synthesise("snare", 0, index), 1.0, LENGTH) for index in range(3)]
    assert not any(np.array_equal(one, other) for one in sounds for other in learned)
    np.testing.assert_array_equal(synthesiser("snare", 5, 0, LENGTH)[2], sounds[2])
    assert not np.array_equal(synthesiser("snare", 3, 1, LENGTH)[2], sounds[2])


def test_every_baseline_can_be_sent_to_another_process(training: Sounds, representation: Representation):
    for sounds in (
        memoriser(training, 2, 0),
        round_trip(training.only([0, 1]), representation, 0),
        pca_gaussian(training, representation, 2, 0),
        synthesiser("kick", 2, 0, LENGTH),
    ):
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(sounds))[1], sounds[1])
