"""Tracks of partials: what is played comes back, what is no tone leaves none, and the two halves of a fit add up."""

import itertools

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp.kernels import partial as kernels
from dsp.partial import START_SECONDS, PartialTracker

RATE = 44_100
ONSET = 44
LENGTH = 22_050
POINTS = 48


def control_times(seconds=0.48, points=POINTS, dense=16, step=0.003):
    """Steps of 3 ms, then ever wider ones."""
    low, high = 1.0, 2.0
    for _ in range(60):
        ratio = 0.5 * (low + high)
        widths = step * np.concatenate([np.ones(dense), ratio ** np.arange(1, points - dense)])
        low, high = (ratio, high) if widths.sum() < seconds else (low, ratio)
    return np.concatenate([[0.0], np.cumsum(widths)])


TIMES = control_times()


def tracker(partials=1, length=LENGTH, onset=ONSET, **others):
    return PartialTracker(length, TIMES, onset_samples=onset, sample_rate=RATE, partials=partials, **others)


def seconds(length=LENGTH, onset=ONSET):
    return (np.arange(length) - onset) / RATE


def sounding(frequency_hz, level_db, phase=-np.pi / 2):
    """cos of the integral of frequency_hz [sample], from the onset on. float32 [sample]."""
    turns = np.concatenate([np.zeros(ONSET + 1), np.cumsum(frequency_hz[ONSET:-1]) / RATE])
    tone = 10 ** (level_db / 20) * np.cos(2 * np.pi * turns + phase) * (seconds() >= 0)
    return tone.astype(np.float32)


def cents(found, truth):
    return np.abs(1200 * np.log2(found / truth))


@pytest.mark.parametrize("hertz", [40.0, 60.0, 150.0, 400.0])
@pytest.mark.parametrize("db_per_second", [-20.0, -150.0])
def test_a_decaying_tone_comes_back(hertz, db_per_second):
    level = -6.0 + db_per_second * np.maximum(seconds(), 0)
    found = tracker().fit(sounding(np.full(LENGTH, hertz), level))
    truth = -6.0 + db_per_second * TIMES
    inner = slice(3, -1)
    assert np.abs(found.level_db[0] - truth)[inner].max() < 0.5
    assert cents(found.frequency_hz[0], hertz)[inner].max() < 20.0
    assert found.explained_db[0] < -30.0


def test_a_sweep_comes_back():
    def hertz(time):
        return 55.0 * (1.0 + 4.0 * np.exp(-time / 0.03))

    def level(time):
        return -3.0 - 60.0 * time

    time = np.maximum(seconds(), 0)
    found = tracker().fit(sounding(hertz(time), level(time)))
    assert found.explained_db[0] < -30.0
    assert np.abs(found.level_db[0] - level(TIMES))[2:-1].max() < 0.6
    assert np.median(cents(found.frequency_hz[0], hertz(TIMES))) < 10.0
    assert cents(found.frequency_hz[0], hertz(TIMES))[6:-1].max() < 40.0


def test_two_partials_are_taken_apart():
    time = np.maximum(seconds(), 0)
    low = sounding(np.full(LENGTH, 90.0), -6.0 - 50.0 * time)
    high = sounding(np.full(LENGTH, 260.0), -16.0 - 70.0 * time, phase=1.0)
    found = tracker(2).fit(low + high)
    assert np.median(cents(found.frequency_hz[0], 90.0)) < 10.0
    assert np.median(cents(found.frequency_hz[1], 260.0)) < 10.0
    assert np.median(np.abs(found.level_db[0] - (-6.0 - 50.0 * TIMES))) < 0.5
    assert np.median(np.abs(found.level_db[1] - (-16.0 - 70.0 * TIMES))) < 0.5
    assert found.explained_db[1] < found.explained_db[0] - 10.0 < -15.0


@pytest.mark.parametrize("partials", [1, 2])
def test_what_is_played_is_found(partials):
    played = tracker(partials)
    level = np.stack([-3.0 - 70.0 * TIMES - 6.0 * np.exp(-TIMES / 0.004), -18.0 - 40.0 * TIMES])[:partials]
    hertz = np.stack([50.0 + 120.0 * np.exp(-TIMES / 0.04), 330.0 - 100.0 * TIMES])[:partials]
    found = played.fit(played.synthesise(level, hertz))
    heard = level > level.max() - 40.0
    # Within few periods two partials are one, and a while after that they are found half as well.
    heard[:, : 2 if partials == 1 else 10] = False
    assert np.abs(found.level_db - level)[heard].max() < 0.5 * partials
    assert cents(found.frequency_hz, hertz)[heard].max() < 26.0 * partials
    assert np.median(cents(found.frequency_hz, hertz)[heard]) < 5.0
    if partials == 1:  # the course of the phase comes back too
        again = played.synthesise(found.level_db, found.frequency_hz)
        assert reference.error_db(again, played.synthesise(level, hertz)) < -25.0


def test_the_phase_of_a_tone_is_kept_in_the_tone_and_not_in_the_tracks():
    time = np.maximum(seconds(), 0)
    hertz = 60.0 + 100.0 * np.exp(-time / 0.05)
    found = [tracker().fit(sounding(hertz, -30.0 * time, phase)) for phase in (-np.pi / 2, np.pi / 2, 2.0)]
    for one in found[1:]:
        assert np.median(cents(one.frequency_hz, found[0].frequency_hz)) < 10.0
    assert reference.error_db(-found[1].tone, found[0].tone) < -100.0


def test_tone_and_rest_are_the_sound(kick):
    kick = kick + 0.1 * np.random.default_rng(0).standard_normal(LENGTH).astype(np.float32)
    found = tracker(2).fit(kick)
    assert found.tone.dtype == found.level_db.dtype == found.frequency_hz.dtype == np.float32
    assert found.tone.shape == (LENGTH,)
    assert found.level_db.shape == found.frequency_hz.shape == (2, POINTS)
    rest = kick - found.tone
    np.testing.assert_allclose(rest + found.tone, kick, atol=1e-6)
    low = [np.abs(np.fft.rfft(x))[: int(450 * LENGTH / RATE)] for x in (rest, kick)]
    assert np.sum(low[0] ** 2) < 0.1 * np.sum(low[1] ** 2)  # no energy of it is only moved about


def test_a_gain_scales_levels_and_nothing_else(kick):
    found = tracker(2).fit(kick)
    quieter = tracker(2).fit(kick / np.float32(8))
    assert quieter.frequency_hz.tobytes() == found.frequency_hz.tobytes()
    np.testing.assert_allclose(quieter.explained_db, found.explained_db, atol=1e-6)
    np.testing.assert_allclose(quieter.tone, found.tone / 8, atol=1e-8)
    above = found.level_db > -70.0
    np.testing.assert_allclose((found.level_db - quieter.level_db)[above], 18.0618, atol=1e-3)


def test_nothing_before_the_onset(kick):
    found = tracker(2, onset=300).fit(kick)
    assert not found.tone[:301].any()
    played = tracker(2, onset=300).synthesise(found.level_db, found.frequency_hz)
    assert not played[:301].any()
    assert found.tone.any()
    assert played.any()


@pytest.mark.parametrize("shift", [1, 7, 16, 100])
def test_a_later_onset_is_a_later_tone(kick, shift):
    found = tracker(2).fit(kick)
    moved = tracker(2, length=LENGTH + shift, onset=ONSET + shift).fit(np.pad(kick, (shift, 0)))
    np.testing.assert_array_equal(moved.frequency_hz, found.frequency_hz)
    np.testing.assert_array_equal(moved.level_db, found.level_db)
    np.testing.assert_array_equal(moved.tone[shift:], found.tone)
    played = tracker(2, length=LENGTH + shift, onset=ONSET + shift).synthesise(
        found.level_db, found.frequency_hz
    )
    np.testing.assert_array_equal(played[shift:], tracker(2).synthesise(found.level_db, found.frequency_hz))


def no_tones():
    random = np.random.default_rng(5)
    impulse, late = np.zeros((2, LENGTH))
    impulse[ONSET] = late[5000] = 1.0
    after = seconds() >= 0
    return {
        "silence": np.zeros(LENGTH),
        "impulse": impulse,
        "late impulse": late,
        "noise": 0.3 * random.standard_normal(LENGTH),
        "noise after the onset": 0.3 * after * random.standard_normal(LENGTH),
        "constant": np.full(LENGTH, 0.5),
        "constant after the onset": 0.5 * after,
        "hiss": np.diff(random.standard_normal(LENGTH + 1)) * np.exp(-np.maximum(seconds(), 0) / 0.1),
        "above the band": np.sin(2 * np.pi * 5000 * seconds()) * after,
    }


@pytest.mark.parametrize("name", no_tones())
def test_what_is_no_tone_leaves_none(name):
    sound = no_tones()[name].astype(np.float32)
    found = tracker(2).fit(sound)
    for track in (found.level_db, found.frequency_hz, found.tone, found.explained_db):
        assert np.isfinite(track).all()
    assert np.sum(found.tone.astype(np.float64) ** 2) <= 0.01 * np.sum(sound.astype(np.float64) ** 2)
    assert found.frequency_hz.min() >= 25.0 - 1e-3
    assert found.frequency_hz.max() <= 450.0 + 1e-3


@pytest.mark.parametrize("length", [1, 2, 45, 100, 1000])
@pytest.mark.parametrize("onset", [0, 44])
def test_very_short_sounds(length, onset):
    if onset >= length:
        onset = length - 1
    sound = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    short = tracker(2, length=length, onset=onset)
    found = short.fit(sound)
    assert found.tone.shape == (length,)
    for track in (found.level_db, found.frequency_hz, found.tone, found.explained_db):
        assert np.isfinite(track).all()
    assert np.isfinite(short.synthesise(found.level_db, found.frequency_hz)).all()


@settings(deadline=None, max_examples=60)
@given(
    length=st.integers(1, 3000),
    onset_share=st.floats(0.0, 0.99),
    rate=st.sampled_from([8_000, 44_100, 96_000]),
    ratio=st.floats(1.01, 20.0),
    widest=st.floats(0.001, 0.05),
    seed=st.integers(0, 2**32 - 1),
)
def test_anything_gives_tracks_that_can_be_played(length, onset_share, rate, ratio, widest, seed):
    random = np.random.default_rng(seed)
    times = np.concatenate([[0.0], np.cumsum(random.uniform(0.0005, widest, 20))])
    odd = PartialTracker(
        length,
        times,
        onset_samples=int(onset_share * length),
        sample_rate=rate,
        lowest_hz=60.0,
        highest_hz=60.0 * ratio,
        partials=2,
    )
    sound = random.standard_normal(length) * np.exp(-np.arange(length) * random.uniform(0, 0.05))
    found = odd.fit(sound.astype(np.float32))
    for track in (found.level_db, found.frequency_hz, found.tone, found.explained_db):
        assert np.isfinite(track).all()
    assert 0.0 >= found.explained_db[0] >= found.explained_db[1]
    assert found.level_db.max() < 20 * np.log10(np.abs(sound).max()) + 20.0
    assert np.isfinite(odd.synthesise(found.level_db, found.frequency_hz)).all()


def test_a_refused_partial_is_at_the_floor_and_in_the_middle():
    sound = no_tones()["noise after the onset"].astype(np.float32)
    found = tracker(2, floor_db=-80.0).fit(sound)
    assert not found.tone.any()
    np.testing.assert_array_equal(found.level_db, np.float32(-80.0))
    np.testing.assert_allclose(found.frequency_hz, np.sqrt(25.0 * 450.0), rtol=1e-6)
    assert found.explained_db.tolist() == [0.0, 0.0]


def test_a_frequency_that_cannot_be_known_is_held():
    time = np.maximum(seconds(), 0)
    noise = 1e-5 * np.random.default_rng(2).standard_normal(LENGTH)
    sound = sounding(np.full(LENGTH, 70.0), -400.0 * time) + noise.astype(np.float32)
    found = tracker().fit(sound)
    silent = found.level_db[0] < -56.0
    assert np.count_nonzero(silent) > 3
    assert np.ptp(found.frequency_hz[0, silent]) == 0.0
    assert cents(found.frequency_hz[0, silent], 70.0).max() < 100.0


def test_a_track_at_the_floor_is_silence():
    hertz = np.full((2, POINTS), 80.0)
    floor = np.full((2, POINTS), -90.0)
    assert not tracker(2).synthesise(floor, hertz).any()
    assert not tracker(2).synthesise(floor - 30.0, hertz).any()
    half = floor.copy()
    half[0, :20] = -10.0
    played = tracker(2).synthesise(half, hertz)
    assert played[: int(TIMES[19] * RATE)].any()
    assert not played[ONSET + int(TIMES[20] * RATE) + 1 :].any()


@pytest.mark.parametrize("hertz", [25.0, 50.0, 80.0])
def test_it_starts_upwards_from_zero_without_a_step(hertz):
    played = tracker().synthesise(np.full((1, POINTS), 0.0), np.full((1, POINTS), hertz))
    half_wave = played[ONSET + 1 : ONSET + int(0.5 * RATE / hertz)]
    assert played[ONSET] == 0.0
    assert half_wave.min() > 0.0
    steepest = 2 * np.pi * hertz / RATE
    assert np.abs(np.diff(played)).max() < 1.8 * steepest
    assert np.abs(np.diff(played))[: ONSET + 2].max() < 0.05 * steepest
    start = ONSET + int(START_SECONDS * RATE) + 1
    truth = np.sin(2 * np.pi * hertz * seconds())
    np.testing.assert_allclose(played[start:], truth[start:], atol=1e-4)


@pytest.mark.parametrize("hertz", [160.0, 300.0, 450.0])
def test_a_high_partial_leaves_no_constant_behind_and_starts_without_a_step(hertz):
    level = -100.0 * TIMES[np.newaxis]
    played = tracker().synthesise(level, np.full((1, POINTS), hertz)).astype(np.float64)
    assert abs(played.sum()) < 1e-3 * np.abs(played).sum()
    low = np.abs(np.fft.rfft(played))[: int(0.25 * hertz * LENGTH / RATE)]
    sine = np.sin(2 * np.pi * hertz * seconds()) * 10 ** (-100.0 * np.maximum(seconds(), 0) / 20)
    of_sine = np.abs(np.fft.rfft(np.where(seconds() >= 0, sine, 0.0)))[: low.size]
    assert np.sum(low**2) < 0.2 * np.sum(of_sine**2)
    assert not played[: ONSET + 1].any()
    assert np.abs(np.diff(played)).max() < 0.15  # of a crest of 1, within half a millisecond


def test_between_the_two_the_start_moves_without_a_jump():
    """So that a pitch can glide from one sound to the next of a morph."""
    level = -100.0 * TIMES[np.newaxis]
    played = [
        tracker().synthesise(level, np.full((1, POINTS), hertz))[ONSET : ONSET + 100]
        for hertz in np.geomspace(70.0, 180.0, 60)
    ]
    assert np.abs(np.diff(played, axis=0)).max() < 0.1


def test_the_phase_is_the_integral_of_the_interpolated_frequency():
    hertz = np.geomspace(79.0, 25.0, POINTS)  # most of its energy is low: it starts as a sine
    level = np.linspace(-3.0, -40.0, POINTS)
    played = tracker().synthesise(level[np.newaxis], hertz[np.newaxis])
    fine = np.arange(8 * (LENGTH - ONSET)) / (8 * RATE)
    course = np.exp(np.interp(fine, TIMES, np.log(hertz)))
    turns = np.concatenate([[0.0], np.cumsum(0.5 * (course[1:] + course[:-1]))]) / (8 * RATE)
    truth = 10 ** (np.interp(fine, TIMES, level) / 20) * np.sin(2 * np.pi * turns)
    start = int(START_SECONDS * RATE) + 1
    np.testing.assert_allclose(played[ONSET:][start:], truth[::8][start:], atol=1e-4)


def test_partials_add_up():
    level = np.stack([np.full(POINTS, -6.0), np.full(POINTS, -20.0)])
    hertz = np.stack([np.full(POINTS, 60.0), np.full(POINTS, 200.0)])
    silent = np.full((1, POINTS), -90.0)
    both = tracker(2).synthesise(level, hertz)
    apart = [tracker().synthesise(level[i : i + 1], hertz[i : i + 1]) for i in range(2)]
    np.testing.assert_allclose(both, apart[0] + apart[1], atol=1e-7)
    alone = tracker(2).synthesise(np.concatenate([level[:1], silent]), hertz)
    np.testing.assert_array_equal(alone, apart[0])


def test_a_fit_is_the_same_every_time(kick):
    one = tracker(2)
    first = one.fit(kick)
    one.fit(kick[::-1])
    for again in (one.fit(kick), tracker(2).fit(kick.astype(np.float64))):
        assert again.tone.tobytes() == first.tone.tobytes()
        assert again.level_db.tobytes() == first.level_db.tobytes()
        assert again.frequency_hz.tobytes() == first.frequency_hz.tobytes()


def test_a_band_is_solved_as_a_matrix_is():
    random = np.random.default_rng(0)
    size, width = 12, 5
    lower = np.tril(random.standard_normal((size, size)))
    lower[np.subtract.outer(np.arange(size), np.arange(size)) >= width] = 0.0
    np.fill_diagonal(lower, 2.0)
    matrix = lower @ lower.T
    wanted = random.standard_normal(size)
    for solve in (kernels.solve_band, kernels.solve_band.py_func):
        band = np.zeros((size, width))
        for d in range(width):
            band[d:, d] = np.diag(matrix, -d)
        right = matrix @ wanted
        solve(band, right)
        np.testing.assert_allclose(right, wanted, atol=1e-9)


def test_the_normal_equations_are_those_of_the_basis():
    random = np.random.default_rng(1)
    samples, points = 60, 6
    signal, re, im, fraction = random.standard_normal((4, samples))
    fraction = np.abs(fraction) / np.abs(fraction).max()
    segment = np.sort(random.integers(0, points - 1, samples))
    basis = np.zeros((samples, 2 * points))
    for n in range(samples):
        for point, share in ((segment[n], 1 - fraction[n]), (segment[n] + 1, fraction[n])):
            basis[n, 2 * point] = share * re[n]
            basis[n, 2 * point + 1] = -share * im[n]
    for build in (kernels.normal_equations, kernels.normal_equations.py_func):
        band, right = np.empty((2 * points, 5)), np.empty(2 * points)
        build(signal, re, im, segment, fraction, band, right)
        np.testing.assert_allclose(right, basis.T @ signal, atol=1e-12)
        for d in range(5):
            np.testing.assert_allclose(band[d:, d], np.diag(basis.T @ basis, -d), atol=1e-12)
    values = random.standard_normal(2 * points)
    for play in (kernels.envelope, kernels.envelope.py_func):
        out = np.empty(samples)
        play(re, im, segment, fraction, values, out)
        np.testing.assert_allclose(out, basis @ values, atol=1e-12)


def test_the_best_path_is_the_best_of_all():
    random = np.random.default_rng(2)
    frames, bins = 5, 4
    gain = random.random((frames, bins))
    penalty = 0.3 * random.random(frames)

    def worth(path):
        moved = np.abs(np.diff(path)) * penalty[1:]
        return gain[np.arange(frames), path].sum() - moved.sum()

    best = max(worth(np.array(path)) for path in np.ndindex(*(bins,) * frames))
    for search in (kernels.best_path, kernels.best_path.py_func):
        path = np.empty(frames, dtype=np.int64)
        search(gain, penalty, np.empty(bins), np.empty((frames, bins), dtype=np.int64), path)
        assert worth(path) == pytest.approx(best, abs=1e-12)


def test_the_spectrogram_is_a_correlation():
    random = np.random.default_rng(3)
    hop, frames = 4, 6
    signal = random.standard_normal(hop * 16)
    starts, counts = np.array([0, 3]), np.array([9, 5])
    cosines, sines = random.standard_normal((2, 2, 9))
    truth = np.empty((frames, 2))
    for m in range(frames):
        for k in range(2):
            part = signal[m * hop + starts[k] :][: counts[k]]
            truth[m, k] = np.abs(part @ (cosines[k] - 1j * sines[k])[: counts[k]])
    streams = np.ascontiguousarray(signal.reshape(-1, hop).T)
    for transform in (kernels.spectrogram, kernels.spectrogram.py_func):
        amplitude = np.empty((frames, 2))
        transform(streams, starts, counts, cosines, sines, amplitude, np.empty((2, frames)))
        np.testing.assert_allclose(amplitude, truth, atol=1e-12)


def test_the_frequency_equations_are_a_step_of_newton():
    """Few steps without any hold, from a course that is wrong, and every phase goes on as it should."""
    widths = np.full(7, 0.01)
    truth = np.log(np.linspace(200.0, 60.0, 8))
    advance = [
        2 * np.pi * 0.01 * np.exp(a + (b - a) * (np.arange(1000) + 0.5) / 1000).mean()
        for a, b in itertools.pairwise(truth)
    ]
    for build in (kernels.frequency_equations, kernels.frequency_equations.py_func):
        course = np.full(8, np.log(100.0))
        for _ in range(8):
            band, right = np.empty((8, 3)), np.empty(8)
            build(course, widths, np.array(advance), np.ones(7), np.full(7, 1e-9), band, right)
            band[:, 0] += 1e-12
            kernels.solve_band(band, right)
            course = right
        growth = np.array([kernels.mean_growth.py_func(x) for x in np.diff(course)])
        np.testing.assert_allclose(2 * np.pi * widths * np.exp(course[:-1]) * growth, advance, rtol=1e-4)


def test_the_other_kernels_and_their_twins():
    random = np.random.default_rng(4)
    times = np.array([0.0, 0.01, 0.015, 0.03])
    course, level = np.log(random.uniform(50, 400, 4)), random.standard_normal(4)
    fast, slow = np.empty((2, 2, 400))
    kernels.oscillator(times, course, level, 1e-4, *fast)
    kernels.oscillator.py_func(times, course, level, 1e-4, *slow)
    np.testing.assert_allclose(fast, slow, atol=1e-9)
    signal, fraction = random.random((2, 30))
    segment = np.sort(random.integers(0, 3, 30))
    results = []
    for spread, bend in (
        (kernels.spread_energy, kernels.add_bends),
        (kernels.spread_energy.py_func, kernels.add_bends.py_func),
    ):
        energy, weight, band = np.empty(4), np.empty(4), np.zeros((8, 5))
        spread(signal, segment, fraction, energy, weight)
        assert weight.sum() == pytest.approx(30.0)
        assert energy.sum() == pytest.approx(np.sum(signal**2))
        bend(np.array([[1.0, -2.0, 1.0], [0.5, -1.0, 0.5]]), np.array([2.0, 3.0]), 2, band)
        results.append((energy, band))
    np.testing.assert_allclose(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])
    line = np.repeat(np.arange(4.0), 2)  # does not bend
    full = sum(np.diag(results[0][1][d:, d], -d) for d in range(5))
    full = full + np.tril(full, -1).T
    np.testing.assert_allclose(full @ line, 0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"length_samples": 0}, "length_samples must be at least 1"),
        ({"onset_samples": LENGTH}, "onset_samples must lie within the sound"),
        ({"onset_samples": -1}, "onset_samples must be at least 0"),
        ({"partials": 0}, "partials must be at least 1"),
        ({"sample_rate": 100}, "sample_rate must lie between"),
        ({"sample_rate": np.nan}, "sample_rate must lie between"),
        ({"lowest_hz": 500.0}, "lowest_hz and highest_hz must rise"),
        ({"highest_hz": 20_000.0}, "lowest_hz and highest_hz must rise"),
        ({"floor_db": 3.0}, "floor_db must lie between"),
        ({"times_seconds": [0.0, 0.1]}, "at least three points"),
        ({"times_seconds": [0.0, 0.2, 0.1]}, "must rise from 0"),
        ({"times_seconds": [0.1, 0.2, 0.3]}, "must rise from 0"),
        ({"times_seconds": [0.0, 0.1, np.inf]}, "must rise from 0"),
    ],
)
def test_settings_that_cannot_be(changed, words):
    good = {"length_samples": LENGTH, "times_seconds": TIMES, "onset_samples": ONSET, "sample_rate": RATE}
    with pytest.raises(ValueError, match=words):
        PartialTracker(**{**good, **changed})


def test_arguments_that_cannot_be():
    two = tracker(2)
    with pytest.raises(ValueError, match=f"audio must be {LENGTH} samples long, not 5"):
        two.fit(np.zeros(5))
    with pytest.raises(ValueError, match="audio must be one channel"):
        two.fit(np.zeros((1, LENGTH)))
    with pytest.raises(ValueError, match="audio holds values that are not finite"):
        two.fit(np.full(LENGTH, np.nan))
    level, hertz = np.full((2, POINTS), -6.0), np.full((2, POINTS), 80.0)
    with pytest.raises(ValueError, match="level_db must have the shape"):
        two.synthesise(level[:1], hertz)
    with pytest.raises(ValueError, match="frequency_hz must have the shape"):
        two.synthesise(level, hertz[:, 1:])
    with pytest.raises(ValueError, match="level_db holds values that are not finite"):
        two.synthesise(level * np.nan, hertz)
    with pytest.raises(ValueError, match="level_db must not be above 60"):
        two.synthesise(level + 100.0, hertz)
    for wrong in (0.0 * hertz, 1e3 * hertz):
        with pytest.raises(ValueError, match="frequency_hz must lie above 0"):
            two.synthesise(level, wrong)
