"""Two sets of sounds: distances that statistics knows, and flaws where they were planted."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from samplegan import synth
from samplegan.errors import InputError
from samplegan.evaluate.distributions import (
    LEAST_SPREADS,
    characteristics,
    compare,
    defects,
    kick_test,
    ks_distance,
    mean_ks,
    share_missing,
    spread,
    wasserstein_1,
)

RATE = 44_100
TIME = np.arange(22_050) / RATE
RANDOM = np.random.default_rng(0)
KICKS = [synth.synthesise("kick", 7, index) for index in range(24)]


def with_missing(values: np.ndarray, every: int) -> np.ndarray:
    return np.where(np.arange(values.size) % every == 0, np.nan, values)


# --- distances

PAIRS = {
    "normal": (RANDOM.normal(size=200), RANDOM.normal(0.4, 1.5, size=130)),
    "ties": (RANDOM.integers(0, 5, 90).astype(float), RANDOM.integers(1, 8, 60).astype(float)),
    "apart": (RANDOM.uniform(0, 1, 40), RANDOM.uniform(5, 6, 31)),
    "one": (np.array([1.0]), np.array([3.0])),
}


@pytest.mark.parametrize("name", PAIRS)
def test_distances_are_those_of_scipy(name):
    real, generated = PAIRS[name]
    unit = max(spread(real), 0.1)
    wasserstein = wasserstein_1(real, generated, least_spread=0.1)
    assert wasserstein * unit == pytest.approx(stats.wasserstein_distance(real, generated))
    assert ks_distance(real, generated) == pytest.approx(stats.ks_2samp(real, generated).statistic)


def test_what_is_missing_does_not_enter_the_distances():
    real, generated = PAIRS["normal"]
    holed = with_missing(real, 4), with_missing(generated, 3)
    kept = [part[~np.isnan(part)] for part in holed]
    assert wasserstein_1(*holed) == wasserstein_1(*kept)
    assert ks_distance(*holed) == ks_distance(*kept)
    assert share_missing(holed[0]) == 0.25
    for distance in (wasserstein_1, ks_distance):
        assert math.isnan(distance(real, [np.nan]))
        assert math.isnan(distance([], generated))


def test_a_shift_is_found_in_spreads_of_the_real_set():
    real = RANDOM.normal(size=4_000)
    assert spread(real) == pytest.approx(1.0, abs=0.05)
    assert wasserstein_1(real, real) == ks_distance(real, real) == 0.0
    assert wasserstein_1(real, real + 0.5) == pytest.approx(0.5 / spread(real))
    # Two normal distributions half a deviation apart: 2 Φ(1 / 4) - 1.
    assert ks_distance(real, real + 0.5) == pytest.approx(2 * stats.norm.cdf(0.25) - 1, abs=0.02)


def test_a_set_without_any_spread_is_measured_by_the_least_that_counts():
    assert wasserstein_1(np.ones(9), np.full(9, 3.0), least_spread=0.5) == 4.0


# --- comparisons


def test_characteristics_are_those_promised():
    found = characteristics(KICKS[0])
    assert list(found) == list(LEAST_SPREADS)
    assert not any(math.isinf(value) for value in found.values())


def test_characteristics_in_known_units():
    sound = np.sin(2 * np.pi * 64.0 * TIME) * np.exp(-TIME / 0.1)
    found = characteristics(np.stack([sound, sound]).astype(np.float32))
    assert found["pitch_log2_hz"] == pytest.approx(6.0, abs=0.02)
    assert found["decay_20_log2_s"] == pytest.approx(np.log2(0.1 * np.log(10)), abs=0.1)
    assert found["width_db"] == -60.0
    assert found["low_correlation"] == 1.0


def test_what_a_sound_does_not_have_is_nan():
    click = np.zeros((2, 2_205), dtype=np.float32)
    click[:, 100] = 1.0
    found = characteristics(click)
    assert math.isnan(found["pitch_log2_hz"])
    assert math.isnan(found["ripple_db"])
    with pytest.raises(InputError):
        characteristics(np.zeros((2, 4_410), dtype=np.float32))


def test_equal_sets_do_not_differ_and_shorter_sounds_do():
    real = [characteristics(kick) for kick in KICKS]
    fade = np.exp(-np.arange(3 * RATE) / RATE / 0.03).astype(np.float32)
    shorter = [characteristics(kick * fade[: kick.shape[1]]) for kick in KICKS]
    same = compare(real, real)
    assert mean_ks(same) == 0.0
    assert all(difference.wasserstein == 0.0 for difference in same.values())
    found = compare(real, shorter)
    assert found["decay_40_log2_s"].generated_median < found["decay_40_log2_s"].real_median - 0.5
    assert found["decay_40_log2_s"].ks > 0.5
    assert found["width_db"].wasserstein < 0.3 < found["decay_40_log2_s"].wasserstein
    assert 0.0 < mean_ks(found) < 1.0
    json.dumps([difference.to_dict() for difference in found.values()], allow_nan=False)


def test_missing_values_count():
    real = [{"pitch": value} for value in (1.0, 2.0, 3.0, 4.0)]
    found = compare(real, [{"pitch": 1.0}, {"pitch": 2.0}, {"pitch": math.nan}, {"pitch": math.nan}])
    assert (found["pitch"].real_share_missing, found["pitch"].generated_share_missing) == (0.0, 0.5)
    assert found["pitch"].ks == found["pitch"].distance == 0.5
    none = compare(real, [{"pitch": math.nan}])
    assert math.isnan(none["pitch"].ks)
    assert none["pitch"].to_dict()["ks"] is None
    assert mean_ks(none) == 1.0
    assert mean_ks(compare([{"pitch": math.nan}], [{"pitch": math.nan}])) == 0.0


@pytest.mark.parametrize(
    "real, generated", [([], [{"a": 1.0}]), ([{"a": 1.0}], []), ([{"a": 1.0}], [{"b": 1.0}])]
)
def test_what_cannot_be_compared_is_refused(real, generated):
    with pytest.raises(ValueError, match="sound"):
        compare(real, generated)


# --- kicks


def swept_sine(fade_in_s: float = 0.0) -> np.ndarray:
    hertz = 50.0 + 150.0 * np.exp(-TIME / 0.02)
    sound = np.sin(2 * np.pi * np.cumsum(hertz) / RATE) * np.exp(-TIME / 0.06)
    sound = sound * np.sin(0.5 * np.pi * np.minimum(1.0, TIME / max(fade_in_s, 1e-9))) ** 2
    return np.stack([sound, sound]).astype(np.float32)


def test_the_synthesisers_kicks_are_kicks():
    found = kick_test(KICKS)
    assert found.broadband_transient > 0.7  # a seventh is dark, and has none
    assert found.decaying_fundamental > 0.8
    assert found.falling_centroid > 0.8
    assert found.all_three > 0.6
    assert 0.05 < found.decay_spread_s < 0.5
    assert 0.1 < found.pitch_spread_log2_hz < 1.5


def test_hats_are_not():
    found = kick_test([synth.synthesise("hat_closed", 7, index) for index in range(8)])
    assert found.decaying_fundamental == found.all_three == 0.0


def test_kicks_backwards_are_not():
    found = kick_test([kick[:, ::-1].copy() for kick in KICKS])
    assert max(found.broadband_transient, found.decaying_fundamental, found.falling_centroid) < 0.15
    assert found.all_three == 0.0


def test_a_kick_without_its_click_lacks_only_that():
    click = 0.3 * RANDOM.standard_normal(TIME.size) * np.exp(-TIME / 0.002)
    whole, dull = swept_sine() + click.astype(np.float32), swept_sine(0.02)
    assert kick_test([whole]).all_three == 1.0
    found = kick_test([dull])
    assert found.broadband_transient == 0.0
    assert found.decaying_fundamental == 1.0


def test_a_kick_that_does_not_decay_is_none():
    hum = np.sin(2 * np.pi * 50.0 * TIME) * np.ones((2, 1))
    assert kick_test([hum.astype(np.float32)]).decaying_fundamental == 0.0


def test_equal_kicks_do_not_vary():
    found = kick_test([KICKS[0]] * 3)
    assert found.decay_spread_s == pytest.approx(0.0, abs=1e-12)  # the mean of three equal numbers is rounded
    assert found.pitch_spread_log2_hz == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ValueError, match="at least one sound"):
        kick_test([])


# --- defects


def test_the_synthesisers_drums_are_clean():
    drums = [
        *KICKS,
        *(synth.synthesise(category, 7, index) for category in ("snare", "tom") for index in range(8)),
    ]
    found = defects(drums)
    assert found.pre_echo == found.dc == found.clipping == 0.0
    assert found.clicks < 0.1  # a square wave, which some hard kicks are, is made of them
    assert found.mono_loss_db < 0.5
    assert found.noise_floor_above_real_db is found.air_above_real_db is None


def padded(sound: np.ndarray) -> np.ndarray:
    return np.concatenate((np.zeros((2, 441), np.float32), sound, np.zeros((2, 4_410), np.float32)), axis=1)


def with_click(sound):
    sound[:, 6_000] += 0.3
    return sound


def with_pre_echo(sound):
    sound[:, :441] += RANDOM.uniform(-0.05, 0.05, (2, 441)).astype(np.float32)
    return sound


def with_dc(sound):
    sound[:, 441:] = 0.9 * sound[:, 441:] + np.float32(0.02)
    return sound


@pytest.mark.parametrize(
    "name, spoil",
    [
        ("clicks", with_click),
        ("pre_echo", with_pre_echo),
        ("dc", with_dc),
        ("clipping", lambda sound: np.clip(1.2 * sound, -1.0, 1.0)),
    ],
)
def test_a_defect_is_found_where_it_was_planted_and_no_other(name, spoil):
    clean = [padded(0.9 * swept_sine()), padded(0.9 * swept_sine(0.001))]
    found = defects([clean[0], spoil(clean[1].copy())])
    shares = {key: getattr(found, key) for key in ("pre_echo", "clicks", "dc", "clipping")}
    assert shares == {key: 0.5 * (key == name) for key in shares}


def test_levels_are_held_against_the_real_set():
    noise = RANDOM.standard_normal((2, RATE)) * np.exp(-np.arange(RATE) / RATE / 0.05)
    spectrum = np.fft.rfft(noise)
    spectrum[:, 16_000:] *= 10.0 ** (-20.0 / 20.0)  # a bin is 1 Hz
    real, dull = noise.astype(np.float32), np.fft.irfft(spectrum, RATE).astype(np.float32)
    hiss = real + 1e-3 * RANDOM.standard_normal((2, RATE)).astype(np.float32)
    assert defects([dull], [real]).air_above_real_db == pytest.approx(-19.0, abs=1.5)
    assert defects([hiss], [real]).noise_floor_above_real_db > 20.0
    same = defects([real], [real])
    assert same.air_above_real_db == same.noise_floor_above_real_db == 0.0
    assert same.mono_loss_db == pytest.approx(3.0, abs=0.2)
    json.dumps(same.to_dict(), allow_nan=False)
    with pytest.raises(ValueError, match="no sounds"):
        defects([])
