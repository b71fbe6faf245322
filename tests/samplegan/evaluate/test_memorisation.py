"""Copies are found, whatever was done to hide them, and new sounds are not taken for copies."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from samplegan import synth
from samplegan.audio import SAMPLE_RATE, align
from samplegan.evaluate.memorisation import CopySearch, c_t
from samplegan.evaluate.metrics import nearest_distances, nearest_neighbour_accuracy

SECONDS = 0.3
SAMPLES = round(SECONDS * SAMPLE_RATE)


def gaussian(seed: int, size: int = 200) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((size, 3))


def drums(seed: int, count: int) -> list[np.ndarray]:
    return [
        align(synth.synthesise(("kick", "snare")[index % 2], seed, index), SAMPLES) for index in range(count)
    ]


@pytest.fixture(scope="module")
def training() -> list[np.ndarray]:
    return drums(1, 24)


@pytest.fixture(scope="module")
def search(training: list[np.ndarray]) -> CopySearch:
    return CopySearch(training, SECONDS)


# --- C_T


def test_c_t_of_new_copied_and_distant_sounds():
    train, held_out = gaussian(0), gaussian(1)
    assert abs(c_t(train, held_out, gaussian(2))) < 3.0
    memorised = train[::2] + 0.01 * gaussian(3, 100)
    assert c_t(train, held_out, memorised) < -8.0
    assert nearest_neighbour_accuracy(train, memorised) < 0.5
    assert c_t(train, held_out, gaussian(2) + 3.0) > 8.0


def test_c_t_is_normal_for_new_sounds():
    train = gaussian(0, 60)
    z = [c_t(train, gaussian(10 + seed, 40), gaussian(500 + seed, 30)) for seed in range(150)]
    assert abs(np.mean(z)) < 0.3
    assert np.std(z) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("rounded", [False, True])
def test_c_t_is_the_z_of_mann_and_whitney(rounded: bool):
    train, held_out, generated = gaussian(0, 40), gaussian(1, 30), 0.8 * gaussian(2, 50)
    if rounded:  # many ties
        train, held_out, generated = (np.round(values) for values in (train, held_out, generated))
    distances = nearest_distances(generated, train), nearest_distances(held_out, train)
    test = stats.mannwhitneyu(*distances, use_continuity=False, method="asymptotic")
    z = c_t(train, held_out, generated)
    assert 2.0 * stats.norm.sf(abs(z)) == pytest.approx(test.pvalue)
    assert np.sign(z) == np.sign(test.statistic - 0.5 * 30 * 50)


def test_c_t_without_any_difference_is_zero():
    assert c_t(np.zeros((3, 1)), np.ones((4, 1)), np.ones((5, 1))) == 0.0


# --- the search


def test_every_training_sound_finds_itself(search: CopySearch, training: list[np.ndarray]):
    for index, sound in enumerate(training):
        distance, found = search.nearest(sound)
        assert found == index
        assert distance == pytest.approx(0.0, abs=1e-6)  # what rounding leaves of 1 - 1


@pytest.mark.parametrize("milliseconds", [1, 7, 13, 20])
def test_gain_and_shift_do_not_hide_a_copy(training: list[np.ndarray], milliseconds: int):
    def later(sound: np.ndarray) -> np.ndarray:
        return np.pad(sound, ((0, 0), (milliseconds * 44, 0)))

    def earlier(sound: np.ndarray) -> np.ndarray:
        return np.pad(sound, ((0, 0), (0, milliseconds * 44)))

    for known, made in ((earlier, later), (later, earlier)):
        search = CopySearch([known(sound) for sound in training[:8]], SECONDS)
        distance, index = search.nearest(np.float32(0.2) * made(training[4]))
        assert index == 4
        assert distance < 1e-3


def test_a_shift_beyond_20_ms_is_another_sound(search: CopySearch, training: list[np.ndarray]):
    def late(milliseconds: int) -> np.ndarray:
        return np.pad(training[5], ((0, 0), (milliseconds * 44, 0)))[:, :SAMPLES]

    assert search.nearest(late(40))[0] > search.nearest(late(20))[0] + 0.05


def test_a_little_noise_does_not_hide_a_copy_nor_does_mono(search: CopySearch, training: list[np.ndarray]):
    random = np.random.default_rng(0)
    hidden = [
        (sound.mean(axis=0) + 1e-3 * random.standard_normal(sound.shape)).astype(np.float32)
        for sound in training[:8]
    ]
    threshold = search.threshold(drums(2, 24))
    assert [search.nearest(sound)[1] for sound in hidden] == list(range(8))
    assert search.share_nearer(training, threshold) == 1.0


def test_new_sounds_are_seldom_nearer_than_the_threshold(search: CopySearch, training: list[np.ndarray]):
    threshold = search.threshold(drums(2, 40))
    assert 0.0 < threshold < math.sqrt(2)
    assert search.share_nearer(drums(3, 40), threshold) < 0.15
    copies = [np.float32(0.5) * sound for sound in training]
    assert search.share_nearer(copies, threshold) == 1.0
    assert search.share_nearer(copies[:10] + drums(3, 10), threshold) == pytest.approx(0.5, abs=0.1)


def test_the_preselection_misses_nothing(training: list[np.ndarray], monkeypatch: pytest.MonkeyPatch):
    new = drums(4, 6)
    few = CopySearch(training, SECONDS).distances(new)
    monkeypatch.setattr("samplegan.evaluate.memorisation.CANDIDATES", len(training))
    np.testing.assert_allclose(CopySearch(training, SECONDS).distances(new), few)


def test_distances_run_from_nothing_to_nothing_in_common():
    time = np.arange(SAMPLES - 44) / SAMPLE_RATE
    low, high = (
        np.tile(np.pad(np.sin(2 * np.pi * hertz * time) * np.exp(-time / 0.05), (44, 0)), (2, 1)).astype("f4")
        for hertz in (60.0, 6000.0)
    )
    search = CopySearch([low], SECONDS)
    distance, index = search.nearest(high)
    assert index == 0
    assert 1.0 < distance <= math.sqrt(2) + 1e-6
    silence = np.zeros((2, 10), np.float32)
    assert search.nearest(silence)[0] == pytest.approx(math.sqrt(2))
    assert CopySearch([silence], SECONDS).nearest(silence) == (0.0, 0)


def test_the_end_of_a_set_is_an_error(search: CopySearch):
    with pytest.raises(ValueError, match="no training sounds"):
        CopySearch([], SECONDS)
    with pytest.raises(ValueError, match="length_seconds"):
        CopySearch([np.zeros((2, 9), np.float32)], 0.0)
    with pytest.raises(ValueError, match="held-out"):
        search.threshold([])
    with pytest.raises(ValueError, match="generated"):
        search.share_nearer([], 0.1)
    with pytest.raises(ValueError, match="shape"):
        search.nearest(np.zeros(9, np.float32))
