"""The pitch of a body: what a drum does stays, what none does goes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplegan.representation.glide import HELD_BELOW_DB, ONE_WAY_FROM_SECONDS, steady

SECONDS = np.linspace(0.0, 0.8, 65)
LATE = SECONDS >= ONE_WAY_FROM_SECONDS
LOUD = np.zeros((1, len(SECONDS)))
FADING = np.linspace(0.0, -4.0 * HELD_BELOW_DB, len(SECONDS))[np.newaxis]


@pytest.mark.parametrize("octaves", [-2.0, -0.1, 0.0, 0.1, 2.0])
def test_a_glide_stays(octaves):
    glide = 100.0 * 2.0 ** (octaves * SECONDS / SECONDS[-1])[np.newaxis]
    np.testing.assert_allclose(steady(LOUD, glide, SECONDS), glide)


def test_a_wobble_goes_and_the_fall_that_it_was_on_stays():
    fall = 50.0 * 2.0 ** np.exp(-SECONDS / 0.1)[np.newaxis]
    wobble = fall * 2.0 ** (0.1 * np.sin(2 * np.pi * 6.0 * SECONDS))
    found = steady(LOUD, wobble, SECONDS)
    assert (np.diff(found[:, LATE]) <= 1e-9).all()
    assert np.abs(np.log2(found / fall)).max() <= 0.1 + 1e-9
    assert found[0, -1] == pytest.approx(fall[0, -1], rel=0.07)


def test_what_it_does_at_first_stays():
    zigzag = np.where(np.arange(len(SECONDS)) % 2, 80.0, 160.0)[np.newaxis]
    np.testing.assert_array_equal(steady(LOUD, zigzag, SECONDS)[:, ~LATE], zigzag[:, ~LATE])


def test_where_it_has_faded_it_is_held():
    bend = np.where(FADING < -HELD_BELOW_DB, 200.0, 50.0)
    np.testing.assert_allclose(steady(FADING, bend, SECONDS), 50.0)
    assert steady(LOUD, bend, SECONDS)[0, -1] == pytest.approx(200.0)  # heard, it is a glide


def test_a_second_partial_is_held_by_how_loud_the_body_is():
    """A weak one under a loud one that dies first must not slide into it."""
    levels = np.vstack([LOUD, FADING / 2 - 10.0])
    slide = np.vstack([np.full_like(SECONDS, 100.0), np.geomspace(300.0, 100.0, len(SECONDS))])
    alone, beside = steady(levels[1:], slide[1:], SECONDS), steady(levels, slide, SECONDS)[1:]
    assert 100.0 < alone[0, -1] < beside[0, -1] < 300.0


@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_of_any_track_it_makes_one_that_goes_one_way_within_its_range(seed, partials):
    random = np.random.default_rng(seed)
    levels = random.uniform(-100.0, 3.0, (partials, len(SECONDS)))
    frequencies = 2.0 ** random.uniform(5.0, 10.0, (partials, len(SECONDS)))
    found = steady(levels, frequencies, SECONDS)
    for track, given_track in zip(found, frequencies, strict=True):
        steps = np.diff(track[LATE])
        assert (steps >= -1e-9).all() or (steps <= 1e-9).all()
        assert given_track.min() - 1e-6 <= track.min() <= track.max() <= given_track.max() + 1e-6


def test_a_sound_that_is_over_at_once_has_no_late_part():
    short = np.linspace(0.0, 0.04, 16)
    track = np.geomspace(200.0, 50.0, 16)[np.newaxis]
    np.testing.assert_array_equal(steady(np.zeros((1, 16)), track, short), track)
