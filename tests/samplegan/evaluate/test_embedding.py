"""The embedding: what it must not hear, what it must, and what the projection keeps of it."""

from __future__ import annotations

import numpy as np
import pytest

from samplegan import synth
from samplegan.audio import ONSET_SAMPLE, SAMPLE_RATE, align
from samplegan.evaluate import embedding
from samplegan.evaluate.embedding import BLOCKS, DIMENSION, SIDE_FLOOR_DB, Embedding, Projection

SECONDS = 0.5
SAMPLES = round(SECONDS * SAMPLE_RATE)
TIME = np.arange(SAMPLES - ONSET_SAMPLE) / SAMPLE_RATE
EMBEDDING = Embedding(SECONDS)


def sound(mid: np.ndarray, side: np.ndarray | float = 0.0) -> np.ndarray:
    """A stereo one-shot that begins at the onset."""
    audio = np.zeros((2, SAMPLES), dtype=np.float32)
    audio[:, ONSET_SAMPLE:] = mid + side, mid - side
    return audio


def burst(hertz: float) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * TIME) * np.exp(-TIME / 0.15)


def noise(seed: int, decay_s: float) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(TIME.size) * np.exp(-TIME / decay_s)


def distance_db(first: np.ndarray, second: np.ndarray, block: str | None = None) -> float:
    """RMS difference of the features."""
    difference = EMBEDDING.features(first) - EMBEDDING.features(second)
    return float(np.sqrt(np.mean(np.square(difference[BLOCKS[block]] if block else difference))))


def drums(category: str, count: int, seed: int = 1) -> list[np.ndarray]:
    return [align(synth.synthesise(category, seed, index), SAMPLES) for index in range(count)]


def test_a_gain_is_not_heard_and_a_balance_is():
    drum = drums("snare", 1)[0]
    assert distance_db(drum, np.float32(0.05) * drum) < 0.01
    assert distance_db(drum, drum * np.array([[1.0], [0.5]], np.float32), "side") > 3.0


def test_the_low_block_tells_50_from_60_hz():
    fifty = sound(burst(50.0))
    assert distance_db(fifty, 0.1 * fifty, "low") < 0.01
    assert distance_db(fifty, sound(burst(60.0)), "low") > 5.0
    low = EMBEDDING.features(fifty)[BLOCKS["low"]].reshape(len(embedding.LOW_MOMENTS), -1)
    centres = 25.0 * 2.0 ** ((np.arange(embedding.LOW_BANDS) + 0.5) / 12.0)
    assert 48.0 < centres[low[1].argmax()] < 56.0


def test_an_attack_2_ms_late_shows_where_it_is():
    body = noise(0, 0.1)
    late = np.concatenate([np.zeros(88), body[:-88]])
    click = np.zeros(TIME.size)
    click[0] = 0.1  # the onset of both
    early, late = sound(click + body), sound(click + late)
    frames = np.abs(EMBEDDING.features(early) - EMBEDDING.features(late))[BLOCKS["mid"]]
    frames = frames.reshape(embedding.FRAMES, -1).mean(axis=1)
    assert frames[0] > 3.0
    assert frames[-5:].max() < 1.0


def test_draws_of_one_noise_are_nearer_than_another_shape():
    draws = [sound(noise(seed, 0.08)) for seed in range(4)]
    other = sound(noise(4, 0.02))
    within = max(distance_db(draws[0], draw) for draw in draws[1:])
    assert distance_db(draws[0], other) > 2.0 * within


def test_a_side_nobody_hears_is_as_good_as_mono():
    body = noise(0, 0.1)
    other = noise(1, 0.1)
    mono = sound(body)
    assert not EMBEDDING.features(mono)[BLOCKS["side"]].any()
    assert distance_db(mono, sound(body, 0.001 * other), "side") < 0.5
    assert distance_db(mono, sound(body, 0.1 * other), "side") > 5.0


def test_levels_are_decibels_above_the_floor():
    steady = np.zeros((2, SAMPLES), np.float32)
    steady[:] = np.sin(2 * np.pi * 1000.0 * np.arange(SAMPLES) / SAMPLE_RATE)
    # 0 LUFS of two equal channels: a mean square of half in each, and so in mid, all of it in a band or two.
    mid = EMBEDDING.features(steady)[BLOCKS["mid"]].reshape(embedding.FRAMES, -1)[15]
    power = 10.0 ** (mid / 10.0) - 1.0
    assert 10.0 * np.log10(power.sum()) == pytest.approx(-embedding.FLOOR_DB - 3.01, abs=0.1)
    cancelling = steady * np.array([[1.0], [-1.0]], np.float32)
    features = EMBEDDING.features(cancelling)
    assert not features[BLOCKS["mid"]].any()
    side = 10.0 ** (features[BLOCKS["side"]].reshape(embedding.FRAMES, -1)[15] / 10.0) - 1.0
    assert 10.0 * np.log10(side.sum()) == pytest.approx(-SIDE_FLOOR_DB - 3.01, abs=0.1)


def test_silence_is_the_floor():
    assert not EMBEDDING.features(np.zeros((2, 100), np.float32)).any()


@pytest.mark.parametrize("seconds", [0.1, 0.25, 3.0])
def test_the_size_depends_on_no_length(seconds: float):
    for samples in (1, 500, SAMPLES):
        features = Embedding(seconds).features(drums("hat_closed", 1)[0][:, :samples])
        assert features.shape == (DIMENSION,)
        assert features.dtype == np.float32


def test_what_comes_after_the_length_changes_nothing():
    drum = drums("kick", 1)[0]
    for after in (0.0, 1.0):
        longer = np.pad(drum, ((0, 0), (0, 9999)), constant_values=after)
        np.testing.assert_array_equal(EMBEDDING.features(drum), EMBEDDING.features(longer))


def test_cells_are_means_that_follow_each_other():
    cells = EMBEDDING._cells
    np.testing.assert_allclose(cells.sum(axis=1), 1.0, rtol=1e-6)
    middles = cells @ np.arange(cells.shape[1])
    assert (np.diff(middles) > 0.0).all()


def test_features_of_many():
    kicks = drums("kick", 3)
    features = EMBEDDING.features_of(iter(kicks))
    np.testing.assert_array_equal(features[2], EMBEDDING.features(kicks[2]))
    assert EMBEDDING.features_of([]).shape == (0, DIMENSION)


@pytest.mark.parametrize("bad", [np.zeros(9), np.zeros((1, 9)), np.full((2, 9), np.nan)])
def test_what_is_no_one_shot_is_refused(bad: np.ndarray):
    with pytest.raises(ValueError, match=r"shape|finite"):
        EMBEDDING.features(bad)


@pytest.mark.parametrize("seconds", [0.0, 0.05, np.nan, np.inf])
def test_lengths_without_a_tail_are_refused(seconds: float):
    with pytest.raises(ValueError, match="length_seconds"):
        Embedding(seconds)


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    return EMBEDDING.features_of(drums("kick", 12) + drums("snare", 12))


def test_the_projection_keeps_distances_and_what_tells_drums_apart(features: np.ndarray):
    whole = Projection.fit(features, 23)
    assert whole.explained == pytest.approx(1.0)
    np.testing.assert_allclose(whole.components @ whole.components.T, np.eye(23), atol=1e-9)
    points = whole.project(features)
    scaled = features / whole.scale
    assert np.linalg.norm(points[0] - points[20]) == pytest.approx(np.linalg.norm(scaled[0] - scaled[20]))
    few = Projection.fit(features, 2)
    assert 0.1 < few.explained < 1.0
    np.testing.assert_allclose(few.project(features), points[:, :2])
    kicks, snares = few.project(features)[:12], few.project(features)[12:]
    between = np.linalg.norm(kicks.mean(axis=0) - snares.mean(axis=0))
    assert between > kicks.std(axis=0).max()


def test_blocks_count_alike_and_a_silent_one_is_not_blown_up(features: np.ndarray):
    projection = Projection.fit(features, 4)
    variance = np.var(features / projection.scale, axis=0)
    assert variance[BLOCKS["mid"]].sum() == pytest.approx(1.0, rel=1e-4)
    assert variance[BLOCKS["low"]].sum() == pytest.approx(1.0, rel=1e-4)
    mono = features.copy()
    mono[:, BLOCKS["side"]] = 0.0
    mono[3, BLOCKS["side"]] = 0.1
    projected = Projection.fit(mono, 4)
    assert np.var(mono / projected.scale, axis=0)[BLOCKS["side"]].sum() < 1e-3


def test_a_projection_comes_back_from_its_file(features: np.ndarray, tmp_path):
    projection = Projection.fit(features, 8)
    np.savez(tmp_path / "projection.npz", **projection.to_document())
    again = Projection.from_document(np.load(tmp_path / "projection.npz"))
    np.testing.assert_array_equal(again.project(features), projection.project(features))
    assert again.explained == projection.explained
    document = projection.to_document() | {"components": projection.components[:, 1:]}
    with pytest.raises(ValueError, match="another embedding"):
        Projection.from_document(document)


def test_a_projection_refuses_what_it_cannot_span(features: np.ndarray):
    with pytest.raises(ValueError, match="fewer dimensions"):
        Projection.fit(features, 24)
    with pytest.raises(ValueError, match="shape"):
        Projection.fit(features[:, 1:], 2)
    with pytest.raises(ValueError, match="not finite"):
        Projection.fit(np.full_like(features, np.nan), 2)
