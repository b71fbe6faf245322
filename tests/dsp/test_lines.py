"""Lines among noise: how many and how loud is found, where they stand is drawn, and what is drawn is played."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp.kernels.lines import add_sines
from dsp.lines import (
    FEWEST_PER_KHZ,
    LEAST_TONAL_DB,
    MOST_PER_KHZ,
    MOST_TONAL_DB,
    USUAL_PER_KHZ,
    LineBank,
    paced,
    tonal_share,
)

RATE = 44_100
ONSET = 44
LONG, SHORT = int(1.5 * RATE), int(0.4 * RATE)  # either side of where the window changes
HERTZ = np.geomspace(300.0, 16_000.0, 64)
WHOLE = slice(4, -2)  # cells whose surroundings lie between the lowest and the highest line
STEADY = np.inf


def bank(samples=LONG, hertz=HERTZ, **changes):
    return LineBank(samples, hertz, **{"onset_samples": ONSET, "sample_rate": RATE} | changes)


def decaying(sound, decay_seconds):
    time = (np.arange(len(sound)) - ONSET) / RATE
    return sound * np.exp(-np.maximum(time, 0.0) / decay_seconds) * (time >= 0)


def noise(samples, seed=0):
    return np.random.default_rng(seed).standard_normal(samples)


def tones(samples, per_khz, seed=0):
    """Steady lines, as loud as white noise of power 1, as evenly spread: exact bins of a transform of the whole."""
    random = np.random.default_rng([seed, 1])
    spacing = 1000.0 / per_khz
    hertz = np.arange(spacing, RATE / 2 - spacing, spacing)
    hertz = hertz + spacing * random.uniform(-0.3, 0.3, len(hertz))
    spectrum = np.zeros(samples // 2 + 1, dtype=complex)
    amplitude = np.sqrt(random.gamma(2.0, 0.5, len(hertz)))
    spectrum[np.round(hertz * samples / RATE).astype(int)] = amplitude * np.exp(
        2j * np.pi * random.random(len(hertz))
    )
    sound = np.fft.irfft(spectrum, samples)
    return sound / np.sqrt(np.mean(sound**2))


def mixed(samples, per_khz, tonal_db, decay_seconds=STEADY, seed=0):
    return decaying(
        noise(samples, seed) + 10 ** (tonal_db / 20) * tones(samples, per_khz, seed), decay_seconds
    )


# --- measuring


@pytest.mark.parametrize("decay_seconds", [0.03, 0.1, 0.5, STEADY])
@pytest.mark.parametrize("samples", [LONG, RATE, SHORT, SHORT // 4])
def test_noise_has_no_lines_however_it_decays(samples, decay_seconds):
    measured = bank(samples)
    shares = [
        tonal_share(measured.measure(decaying(noise(samples, seed), decay_seconds)).tonal_db)
        for seed in range(6)
    ]
    assert np.mean(shares) < 0.03


@pytest.mark.parametrize("decay_seconds", [0.2, STEADY])
@pytest.mark.parametrize("tonal_db", [-5.0, 0.0, 5.0, 10.0])
@pytest.mark.parametrize(("samples", "per_khz"), [(LONG, 10.0), (LONG, 20.0), (SHORT, 10.0)])
def test_as_much_is_found_as_there_is(samples, per_khz, tonal_db, decay_seconds):
    measured = bank(samples)
    found = [
        np.median(measured.measure(mixed(samples, per_khz, tonal_db, decay_seconds, seed)).tonal_db[WHOLE])
        for seed in range(2)
    ]
    assert np.mean(found) == pytest.approx(tonal_db, abs=2.5)


@pytest.mark.parametrize(("samples", "per_khz"), [(LONG, 20.0), (LONG, 40.0), (SHORT, 10.0), (SHORT, 20.0)])
def test_more_is_found_where_there_is_more(samples, per_khz):
    measured = bank(samples)
    found = [
        np.mean(measured.measure(mixed(samples, per_khz, tonal_db)).tonal_db[WHOLE])
        for tonal_db in (-20.0, -5.0, 0.0, 5.0, 12.0)
    ]
    assert np.all(np.diff(found) > 1.0)
    assert LEAST_TONAL_DB <= found[0] < LEAST_TONAL_DB + 2.0


def test_lines_alone_are_all_there_is():
    found = bank().measure(tones(LONG, 5.0)).tonal_db[WHOLE]
    assert found.min() > MOST_TONAL_DB - 4.0
    assert found.max() == MOST_TONAL_DB


@pytest.mark.parametrize(("samples", "densities"), [(LONG, (3, 6, 12, 24)), (SHORT, (3, 6, 12))])
def test_the_denser_the_more_are_counted(samples, densities):
    """Fewer than there are where they are dense: they begin to overlap."""
    measured = bank(samples)
    found = [np.median(measured.measure(mixed(samples, n, 12.0)).per_khz[WHOLE]) for n in densities]
    assert np.all(np.diff(found) > 0.2 * np.array(found[:-1]))
    for counted, there in zip(found, densities, strict=True):
        assert 0.8 * there < counted < 1.4 * there


def test_lines_are_found_where_they_stand():
    """Lines from 2 to 6 kHz in noise that has none below and above."""
    spectrum = np.fft.rfft(tones(LONG, 10.0))
    hertz = np.fft.rfftfreq(LONG, 1 / RATE)
    spectrum[(hertz < 2_000) | (hertz > 6_000)] = 0.0
    found = bank().measure(2.0 * np.fft.irfft(spectrum, LONG) + noise(LONG)).tonal_db
    inside, outside = (HERTZ > 2_500) & (HERTZ < 5_000), (HERTZ < 1_500) | (HERTZ > 8_000)
    assert np.abs(found[inside] - 6.0).mean() < 2.0
    assert tonal_share(found[outside]).mean() < 0.05


@pytest.mark.parametrize("samples", [LONG, SHORT])
def test_a_gain_changes_nothing(samples):
    measured, sound = bank(samples), mixed(samples, 8.0, 3.0, 0.2).astype(np.float32)
    wanted = measured.measure(sound)
    twice = measured.measure(1024.0 * sound)
    np.testing.assert_array_equal(twice.tonal_db, wanted.tonal_db)
    np.testing.assert_array_equal(twice.per_khz, wanted.per_khz)
    for gain in (1.7e-5, 1e-20, 1e20):
        changed = measured.measure(np.float32(gain) * sound)
        np.testing.assert_allclose(changed.tonal_db, wanted.tonal_db, atol=1e-3)
        np.testing.assert_allclose(changed.per_khz, wanted.per_khz, rtol=1e-3)


@pytest.mark.parametrize("samples", [1, 100, 2_000, SHORT, LONG])
def test_silence_has_no_lines(samples):
    found = bank(samples, onset_samples=0).measure(np.zeros(samples))
    assert found.tonal_db.tolist() == [LEAST_TONAL_DB] * len(HERTZ)
    assert found.per_khz.tolist() == [USUAL_PER_KHZ] * len(HERTZ)


def test_a_sound_that_is_over_before_a_window_is_has_none():
    enough = ONSET + round(0.067 * RATE)
    assert bank(enough).measure(tones(enough, 4.0)).tonal_db.max() > LEAST_TONAL_DB
    for samples in (1, ONSET, 1_000, enough - 100):
        assert bank(samples).measure(tones(enough, 4.0)[:samples]).tonal_db.max() == LEAST_TONAL_DB


@pytest.mark.parametrize(
    "sound",
    [
        np.eye(1, SHORT, ONSET)[0],
        np.eye(1, SHORT, SHORT // 2)[0],
        np.full(SHORT, 0.5),
        np.sin(2 * np.pi * 3_000 * np.arange(SHORT) / RATE),
        np.where(np.arange(SHORT) == 9_000, 1e30, 1e-30),
    ],
    ids=["click", "late click", "constant", "tone", "extremes"],
)
def test_whatever_it_is_statistics_are_in_range(sound):
    found = bank(SHORT).measure(sound)
    assert found.tonal_db.shape == found.per_khz.shape == HERTZ.shape
    assert found.tonal_db.min() >= LEAST_TONAL_DB and found.tonal_db.max() <= MOST_TONAL_DB
    assert found.per_khz.min() >= FEWEST_PER_KHZ and found.per_khz.max() <= MOST_PER_KHZ


def test_a_sound_does_not_depend_on_what_was_measured_before():
    one, other = mixed(SHORT, 8.0, 3.0), noise(SHORT)
    measured = bank(SHORT)
    first = measured.measure(one)
    measured.measure(other)
    for again in (measured.measure(one), bank(SHORT).measure(one)):
        assert again.tonal_db.tobytes() == first.tonal_db.tobytes()
        assert again.per_khz.tobytes() == first.per_khz.tobytes()


def test_another_rate_finds_the_same():
    """The same samples played twice as fast: lines twice as high and half as dense."""
    sound = mixed(LONG, 20.0, 6.0)
    low = bank(LONG, HERTZ[:40]).measure(sound)
    high = bank(LONG, 2.0 * HERTZ[:40], sample_rate=2 * RATE).measure(sound)
    assert np.median(high.tonal_db - low.tonal_db) == pytest.approx(0.0, abs=2.0)
    assert np.median(high.per_khz / low.per_khz) == pytest.approx(0.5, rel=0.3)


# --- drawing


def drawn(per_khz=20.0, tonal_db=5.0, seed=0, samples=SHORT):
    shape = HERTZ.shape
    return bank(samples).draw(
        np.broadcast_to(tonal_db, shape), np.broadcast_to(per_khz, shape), np.random.default_rng(seed)
    )


@pytest.mark.parametrize("per_khz", [2.0, 7.0, 20.0, 64.0])
def test_as_many_lines_are_drawn_as_asked_for(per_khz):
    counts, firsts = [], []
    for seed in range(8):
        lines = drawn(per_khz, seed=seed)
        assert lines.edges_hz[0] == HERTZ[0] and lines.edges_hz[-1] == pytest.approx(HERTZ[-1])
        steps = np.diff(lines.edges_hz)
        assert steps.min() > 0.0
        assert steps[1:-1].min() > 0.3 * 1000.0 / per_khz  # modes keep apart
        counts.append(len(steps))
        firsts.append(steps[0])
        for values in (lines.power, lines.tonal_db, lines.phases, lines.pace, lines.middle_hz):
            assert values.shape == steps.shape
        np.testing.assert_allclose(lines.middle_hz, lines.edges_hz[:-1] + steps / 2)
    assert min(firsts) < 0.3 * 1000.0 / per_khz  # the lowest is cut anywhere
    wanted = per_khz * (HERTZ[-1] - HERTZ[0]) / 1000.0
    # Steps have a standard deviation of 0.65 of their mean, and an interval cut at random has one line more.
    assert np.mean(counts) == pytest.approx(wanted + 1, abs=3.0 * 0.65 * np.sqrt(wanted / 8) + 0.5)


def test_they_are_as_dense_as_asked_for_everywhere():
    wanted = np.interp(HERTZ, [300.0, 16_000.0], [40.0, 8.0])
    hertz = np.concatenate([drawn(wanted, seed=seed).edges_hz[1:-1] for seed in range(40)])
    found, edges = np.histogram(hertz, bins=10, range=(300.0, 16_000.0))
    middle = 0.5 * (edges[1:] + edges[:-1])
    np.testing.assert_allclose(
        found / (40 * np.diff(edges) / 1000.0), np.interp(middle, HERTZ, wanted), rtol=0.08
    )


@pytest.mark.parametrize(
    ("asked", "held"), [(0.0, FEWEST_PER_KHZ), (-5.0, FEWEST_PER_KHZ), (1e9, MOST_PER_KHZ)]
)
def test_densities_that_cannot_be_are_held(asked, held):
    np.testing.assert_array_equal(drawn(asked).edges_hz, drawn(held).edges_hz)


def test_every_line_has_the_share_of_its_place():
    lines = drawn(tonal_db=np.linspace(-10.0, 15.0, len(HERTZ)))
    np.testing.assert_allclose(
        lines.tonal_db, np.interp(lines.middle_hz, HERTZ, np.linspace(-10.0, 15.0, 64))
    )


def test_powers_are_one_in_the_mean_and_uneven():
    powers = LineBank.powers(100_000, np.random.default_rng(0))
    assert powers.min() > 0.0
    assert powers.mean() == pytest.approx(1.0, abs=0.01)
    assert np.mean(powers**2) == pytest.approx(1.5, abs=0.03)  # what `measure` takes for granted
    pace = np.concatenate([drawn(64.0, seed=seed).pace for seed in range(10)])
    assert pace.mean() == pytest.approx(1.0, abs=0.01)
    assert pace.std() > 0.05


def test_the_seed_is_the_lines():
    first, again, other = drawn(seed=5), drawn(seed=5), drawn(seed=6)
    for name in ("edges_hz", "power", "tonal_db", "phases", "pace"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
    assert len(np.intersect1d(first.edges_hz[1:-1], other.edges_hz[1:-1])) == 0


def test_what_is_drawn_and_played_is_found_again():
    random = np.random.default_rng(3)
    measured = bank()
    for tonal_db in (0.0, 8.0):
        lines = measured.draw(np.full(64, tonal_db), np.full(64, 10.0), random)
        # White noise of power 1 has 2 / RATE in every hertz; a sine has half the square of its amplitude.
        energy = np.diff(lines.edges_hz) * 2.0 / RATE * 10 ** (tonal_db / 10)
        amplitude = np.sqrt(2.0 * energy * lines.power)[:, np.newaxis] * np.ones((1, LONG // 256 + 1))
        sound = measured.play(lines.middle_hz, lines.phases, amplitude, 256) + noise(LONG)
        found = measured.measure(sound)
        assert np.median(found.tonal_db[WHOLE]) == pytest.approx(tonal_db, abs=2.5)
        assert 5.0 < np.median(found.per_khz[WHOLE]) < 13.0


# --- playing


def played_plainly(hertz, phases, amplitude, hop, samples, rate=RATE):
    """A sum of cosines in double precision."""
    time = np.arange(samples)
    frames = hop * np.arange(amplitude.shape[1])
    sound = np.zeros(samples)
    for f, phase, course in zip(hertz, phases, amplitude, strict=True):
        sound += np.interp(time, frames, course) * np.cos(2 * np.pi * (f * time / rate + phase))
    return sound


def some_lines(count=7, frames=60, seed=0):
    random = np.random.default_rng(seed)
    hertz = random.uniform(200.0, 20_000.0, count)
    return hertz, random.random(count), random.uniform(0.01, 0.5, (count, frames)).astype(np.float32)


@pytest.mark.parametrize("hop", [1, 7, 32, 128, 5_000])
def test_the_kernel_is_a_sum_of_cosines(hop):
    samples = 2_000  # that no hop but the first two divides
    hertz, phases, amplitude = some_lines(frames=-(-samples // hop) + 1)
    wanted = played_plainly(hertz, phases, amplitude, hop, samples)
    arguments = (hertz / RATE, phases, amplitude, hop, np.float32(1e-6))
    for kernel in (add_sines, add_sines.py_func):
        out = np.zeros(samples, dtype=np.float32)
        kernel(*arguments, *np.empty((2, hop), dtype=np.float32), out)
        np.testing.assert_allclose(out, wanted, atol=5e-6)
    added = np.ones(samples, dtype=np.float32)
    add_sines(*arguments, *np.empty((2, hop), dtype=np.float32), added)
    np.testing.assert_allclose(added, 1.0 + wanted, atol=5e-6)
    np.testing.assert_allclose(bank(samples).play(hertz, phases, amplitude, hop), wanted, atol=5e-6)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    samples=st.integers(1, 900),
    hop=st.integers(1, 400),
    spare=st.integers(0, 3),
    count=st.integers(0, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_length_and_hop_can_be_played(samples, hop, spare, count, seed):
    hertz, phases, amplitude = some_lines(count, -(-samples // hop) + spare, seed)
    found = bank(samples, onset_samples=0).play(hertz, phases, amplitude, hop)
    assert found.shape == (samples,) and found.dtype == np.float32
    np.testing.assert_allclose(found, played_plainly(hertz, phases, amplitude, hop, samples), atol=5e-6)


def test_amplitudes_are_linear_between_frames_and_held_after_the_last():
    ramp = np.array([[0.0, 1.0, 0.5]], dtype=np.float32)
    # A cosine so slow that it is 1 throughout.
    found = bank(300).play([1e-6], [0.0], ramp, 100)
    np.testing.assert_allclose(found, np.interp(np.arange(300), [0, 100, 200], [0.0, 1.0, 0.5]), atol=1e-6)


def test_phases_stay_over_seconds():
    """After ten seconds as near to a cosine as after a hundredth of one, at any frequency."""
    samples, hop = 10 * RATE, 128
    time = np.arange(samples) / RATE
    for hertz in (317.123, 4_321.987, 15_987.654):
        found = bank(samples).play([hertz], [0.3], np.ones((1, samples // hop + 1), np.float32), hop)
        error = np.abs(found - np.cos(2 * np.pi * (hertz * time + 0.3)))
        assert error.max() < 1e-6
        assert error[-RATE // 10 :].max() < 2.0 * error[: RATE // 10].max()


def test_lines_have_the_energy_of_their_amplitudes():
    lines = drawn(40.0)
    hop = 128
    amplitude = np.sqrt(lines.power)[:, np.newaxis] * np.ones((1, LONG // hop + 1))
    sound = bank().play(lines.middle_hz, lines.phases, amplitude, hop)
    wanted = 0.5 * lines.power.sum()
    assert 10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) / wanted) == pytest.approx(0.0, abs=0.2)


def test_lines_add_up():
    hertz, phases, amplitude = some_lines(4, 20)
    every = bank(2_000).play(hertz, phases, amplitude, 128)
    apart = [
        bank(2_000).play(hertz[i : i + 1], phases[i : i + 1], amplitude[i : i + 1], 128) for i in range(4)
    ]
    np.testing.assert_allclose(every, np.sum(apart, axis=0), atol=1e-6)


def test_what_nobody_hears_is_not_played():
    hertz, phases, amplitude = some_lines(3, 20)
    amplitude[1] = 9e-7
    amplitude[2, 5:] = 0.0
    silent = bank(2_000).play(hertz[1:2], phases[1:2], amplitude[1:2], 128)
    assert not silent.any()
    ending = bank(2_000).play(hertz[2:], phases[2:], amplitude[2:], 128)
    assert ending[: 5 * 128].any() and not ending[5 * 128 :].any()


# --- paces and shares


def test_paced_lines_have_the_same_energy_in_the_mean():
    random = np.random.default_rng(0)
    fall_db = np.linspace(0.0, -60.0, 40)
    energy = np.broadcast_to(10 ** (fall_db / 10), (40_000, 40))
    pace = 1.0 + 0.12 * random.standard_normal(40_000)
    changed = paced(energy, pace)
    np.testing.assert_array_equal(changed[:, 0], energy[:, 0])  # from their loudest frame
    np.testing.assert_allclose(changed.mean(axis=0), energy[0], rtol=0.15)
    late = changed[:, -1]
    assert late[pace < 0.9].mean() > 10.0 * late[pace > 1.1].mean()


def test_a_pace_is_one_of_decibels():
    fall_db = np.linspace(0.0, -30.0, 20)
    energy = np.broadcast_to(10 ** (fall_db / 10), (2, 20))
    slow, fast = 10 * np.log10(paced(energy, [0.8, 1.2]))
    np.testing.assert_allclose(fast - slow, 0.4 * fall_db, atol=1e-9)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(pace=st.floats(-2.0, 4.0), scale_db=st.floats(-300.0, 200.0), seed=st.integers(0, 2**32 - 1))
def test_any_energies_can_be_paced(pace, scale_db, seed):
    random = np.random.default_rng(seed)
    energy = random.random((3, 30)) ** 40 * 10 ** (scale_db / 10)
    energy[2] = 0.0
    changed = paced(energy, np.full(3, pace))
    assert np.isfinite(changed).all() and changed.min() >= 0.0
    assert changed[2].max() <= 1e-30


def test_a_share_is_that_of_the_energy():
    assert tonal_share([0.0, 10.0, 20.0]) == pytest.approx([1 / 2, 10 / 11, 100 / 101])
    assert tonal_share([LEAST_TONAL_DB, -40.0, -np.inf]).tolist() == [0.0, 0.0, 0.0]
    assert tonal_share(np.inf) == 1.0
    course = tonal_share(np.linspace(LEAST_TONAL_DB, MOST_TONAL_DB, 500))
    assert np.all(np.diff(course) > 0.0)
    assert np.diff(course).max() < 0.01  # none appears with a step


# --- what cannot be


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"length_samples": 0}, "length_samples must be at least 1"),
        ({"length_samples": 1e5}, "length_samples must be a whole number"),
        ({"length_samples": 10**9}, "the longest that is taken"),
        ({"onset_samples": -1}, "onset_samples must be at least 0"),
        ({"sample_rate": 100}, "sample_rate must lie between"),
        ({"sample_rate": np.nan}, "sample_rate must lie between"),
        ({"frequencies_hz": []}, "at least two"),
        ({"frequencies_hz": [500.0]}, "at least two"),
        ({"frequencies_hz": [[500.0, 600.0]]}, "at least two"),
        ({"frequencies_hz": [500.0, 500.0]}, "must rise"),
        ({"frequencies_hz": [500.0, np.nan]}, "must rise"),
        ({"frequencies_hz": [0.0, 500.0]}, "between 0 and half"),
        ({"frequencies_hz": [500.0, 22_050.0]}, "between 0 and half"),
        ({"frequencies_hz": [500.0, np.inf]}, "between 0 and half"),
    ],
)
def test_settings_that_cannot_be(changed, words):
    good = {"length_samples": SHORT, "frequencies_hz": HERTZ, "onset_samples": ONSET, "sample_rate": RATE}
    with pytest.raises(ValueError, match=words):
        LineBank(**good | changed)


@pytest.mark.parametrize(
    ("sound", "words"),
    [
        (np.zeros(SHORT - 1), f"audio must be {SHORT} samples long, not {SHORT - 1}"),
        (np.zeros((1, SHORT)), "audio must be one channel"),
        (np.full(SHORT, np.nan), "audio holds values that are not finite"),
        (np.full(SHORT, np.inf), "audio holds values that are not finite"),
        (np.zeros(SHORT, dtype=np.int16), "real floating-point numbers"),
    ],
)
def test_sounds_that_cannot_be_measured(sound, words):
    with pytest.raises(ValueError, match=words):
        bank(SHORT).measure(sound)


def test_statistics_that_cannot_be_drawn():
    row, random = np.full(len(HERTZ), 5.0), np.random.default_rng(0)
    broken = np.where(np.arange(len(HERTZ)) == 3, np.nan, row)
    with pytest.raises(ValueError, match="tonal_db must have the shape"):
        bank().draw(row[1:], row, random)
    with pytest.raises(ValueError, match="per_khz must have the shape"):
        bank().draw(row, 5.0, random)
    with pytest.raises(ValueError, match="tonal_db holds values that are not finite"):
        bank().draw(broken, row, random)
    with pytest.raises(ValueError, match="per_khz holds values that are not finite"):
        bank().draw(row, broken, random)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"amplitude": np.ones((2, 15))}, "at least 16 frames"),
        ({"amplitude": np.ones(16)}, "at least 16 frames"),
        ({"amplitude": np.full((2, 16), np.nan)}, "amplitude holds values that are not finite"),
        ({"amplitude": np.full((2, 16), -0.1)}, "must not be negative"),
        ({"frequency_hz": [500.0]}, "frequency_hz must have the shape"),
        ({"frequency_hz": [500.0, np.nan]}, "frequency_hz holds values that are not finite"),
        ({"frequency_hz": [500.0, 0.0]}, "frequency_hz must lie between"),
        ({"frequency_hz": [500.0, 22_050.0]}, "frequency_hz must lie between"),
        ({"phases": [0.0, 0.0, 0.0]}, "phases must have the shape"),
        ({"phases": [0.0, np.inf]}, "phases holds values that are not finite"),
        ({"hop_samples": 0}, "hop_samples must be at least 1"),
        ({"hop_samples": 128.0}, "hop_samples must be a whole number"),
    ],
)
def test_lines_that_cannot_be_played(changed, words):
    good = {
        "frequency_hz": [500.0, 600.0],
        "phases": [0.0, 0.5],
        "amplitude": np.ones((2, 16)),
        "hop_samples": 128,
    }
    assert bank(2_000).play(**good).any()
    with pytest.raises(ValueError, match=words):
        bank(2_000).play(**good | changed)


def test_energies_and_shares_that_cannot_be():
    for energy, pace, words in (
        (np.ones(5), [1.0], r"\[line, frame\]"),
        (np.ones((2, 5)), [1.0], "pace must have the shape"),
        (-np.ones((1, 5)), [1.0], "energy must not be negative"),
        (np.full((1, 5), np.inf), [1.0], "energy holds values that are not finite"),
        (np.ones((1, 5)), [np.nan], "pace holds values that are not finite"),
    ):
        with pytest.raises(ValueError, match=words):
            paced(energy, pace)
    with pytest.raises(ValueError, match="NaN"):
        tonal_share([0.0, np.nan])
