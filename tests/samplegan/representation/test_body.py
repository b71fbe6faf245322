"""Partials and the rest: what is a tone stays one, what is noise stays noise, and width is what was drawn."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samplegan.audio import ONSET_SAMPLE, SAMPLE_RATE
from samplegan.config import ImageSettings, category_image
from samplegan.representation import representation_for
from samplegan.representation.body import frequency_hz, frequency_row

sys.path.insert(0, str(Path(__file__).parent))
from known_sounds import (
    LENGTH,
    LENGTH_SECONDS,
    decaying_noise,
    energy_db,
    pitch_hz,
    seconds_from_onset,
    stereo,
    swept,
    tone,
    unevenness_db,
    width_db,
)

KICK, SNARE, TOM, CLAP, HAT, PERC = (
    representation_for(category_image(name), LENGTH_SECONDS)
    for name in ("kick", "snare", "tom", "clap", "hat_open", "perc")
)
LEFT_RIGHT = representation_for(replace(category_image("kick"), channels="left-right"), LENGTH_SECONDS)
TONE_CENTS = 10.0
WIDTH_DB = 1.5
LEVEL_DB = 1.0


def there_and_back(representation, sound, seed=0):
    return representation.synthesise(representation.analyse(sound), seed=seed)


def in_thirds(sound):
    return [energy_db(third) for third in np.array_split(sound, 3, axis=-1)]


# --- the body


@pytest.mark.parametrize("hertz", [32.0, 42.0, 55.0, 110.0, 220.0, 400.0])
@pytest.mark.parametrize("representation", [KICK, SNARE, TOM], ids=["kick", "snare", "tom"])
def test_a_tone_stays_a_tone(representation, hertz):
    sound = tone(hertz)
    back = there_and_back(representation, sound)
    assert abs(1200 * np.log2(pitch_hz(back[0]) / hertz)) < TONE_CENTS
    # As a waveform: its phase comes back too, but for the one that it starts with, which no track says.
    time = seconds_from_onset()
    angle, decay = 2 * np.pi * hertz * time, np.exp(-np.maximum(time, 0) / 0.2) * (time >= 0)
    turning = decay * np.stack([np.sin(angle), np.cos(angle)])
    turned = np.linalg.lstsq(turning.T, back[0], rcond=None)[0] @ turning
    assert energy_db(back[0] - turned) - energy_db(sound[0]) < -12.0


def test_two_tones_stay_two_tones():
    """Each at its pitch and level; how their phases lie to each other no track says."""
    tones = tone(180.0, 0.2, level=0.5), tone(330.0, 0.1, level=0.4)
    image = SNARE.analyse(tones[0] + tones[1])
    back = SNARE.synthesise(image)
    drawn = frequency_hz(image[1, SNARE.bands :, 20])
    assert sorted(drawn) == pytest.approx([180.0, 330.0], rel=0.02)
    for hertz, sound in zip((180.0, 330.0), tones, strict=True):
        around = np.fft.rfftfreq(LENGTH, 1 / SAMPLE_RATE)
        band = np.exp(-0.5 * ((around - hertz) / 20.0) ** 2)
        given, wanted = (np.fft.irfft(band * np.fft.rfft(audio[0]), LENGTH) for audio in (back, sound))
        assert abs(1200 * np.log2(pitch_hz(given) / hertz)) < TONE_CENTS
        assert abs(energy_db(given) - energy_db(wanted)) < LEVEL_DB


def test_a_sweep_stays_a_sweep():
    from scipy.signal import hilbert

    time = seconds_from_onset()
    hertz = 50.0 + 150.0 * np.exp(-np.maximum(time, 0) / 0.04)
    sound = stereo(swept(hertz, 0.2))
    back = there_and_back(KICK, sound)
    assert energy_db(back - sound) - energy_db(sound) < -15.0
    found = np.gradient(np.unwrap(np.angle(hilbert(back[0].astype(np.float64))))) * SAMPLE_RATE / (2 * np.pi)
    heard = (time > 0.01) & (time < 0.4)
    cents = 1200 * np.log2(found[heard] / hertz[heard])
    assert np.abs(np.convolve(cents, np.ones(441) / 441, "valid")).max() < 25.0
    assert abs(np.median(cents)) < TONE_CENTS


@pytest.mark.parametrize("drive_db", [0.0, 6.0, 30.0])
def test_a_clipped_kick_keeps_its_fundamental(drive_db):
    """That of a square wave of full scale is louder than full scale."""

    def fundamental_db(audio):
        cosine = 2.0 * np.pi * 55.0 * seconds_from_onset()[2_000:18_000]
        wave = audio[0, 2_000:18_000] * np.hanning(16_000)
        return 20 * np.log10(np.abs(np.sum(wave * np.exp(1j * cosine))) / 4_000)

    sound = np.clip(10 ** (drive_db / 20) * tone(55.0, 2.0), -1.0, 1.0)
    level_db = fundamental_db(sound)
    assert drive_db < 30.0 or 1.8 < level_db < 2.2
    assert abs(fundamental_db(there_and_back(KICK, sound)) - level_db) < 0.5


@pytest.mark.parametrize(("fall_db", "heard_hz"), [(0.0, 200.0), (70.0, 50.0)], ids=["rings", "fades"])
def test_a_body_follows_its_track_as_long_as_it_stands_out(fall_db, heard_hz):
    """Behind that a track means nothing: models draw what they like there."""
    image = np.full((2, KICK.rows, KICK.frames), -1.0, dtype=np.float32)
    course = np.linspace(0.0, 1.0, KICK.frames, dtype=np.float32)
    image[0, -1] = 1.0 - fall_db * course / KICK.decibels_per_unit
    image[1, -1] = frequency_row(np.where(course < 0.5, 50.0, 200.0).astype(np.float32))
    end = KICK.synthesise(image)[0, LENGTH // 2 :]
    assert pitch_hz(end) == pytest.approx(heard_hz, rel=0.02)


def test_a_pitch_that_is_drawn_is_heard():
    image = KICK.analyse(tone(55.0))
    octave = 2.0 / np.log2(1600.0 / 25.0)
    image[1, KICK.bands :] += octave
    assert pitch_hz(KICK.synthesise(image)[0]) == pytest.approx(110.0, rel=0.002)


# --- silence, the onset, level


@pytest.mark.parametrize("representation", [KICK, SNARE, CLAP, HAT], ids=["kick", "snare", "clap", "hat"])
def test_silence_stays_silence(representation):
    image = representation.analyse(np.zeros((2, LENGTH), dtype=np.float32))
    assert np.all(image[0] == -1)
    assert np.all(image[1, : representation.bands] == -1)
    assert np.all(representation.synthesise(image) == 0)


@pytest.mark.parametrize("representation", [KICK, SNARE, CLAP, HAT], ids=["kick", "snare", "clap", "hat"])
def test_an_image_a_hair_above_the_floor_does_not_hiss(representation):
    image = np.full((3, representation.rows, representation.frames), -0.96, dtype=np.float32)
    image[1:] = 1.0
    image[1, representation.bands :] = 0.0
    assert np.abs(representation.synthesise(image)[:, : LENGTH // 2]).max() < 10 ** (-100 / 20)
    image[0, representation.bands :] = -1.0
    assert np.abs(representation.synthesise(image)).max() == 0


@pytest.mark.parametrize(
    ("representation", "sound"),
    [
        (KICK, tone(55.0)),
        (KICK, tone(500.0)),
        (SNARE, stereo(decaying_noise(1))),
        (CLAP, stereo(decaying_noise(1))),
        (CLAP, np.stack([decaying_noise(1), decaying_noise(2)]).astype(np.float32)),
        (HAT, stereo(decaying_noise(1))),
    ],
    ids=["partial", "tone", "noise", "no-partials", "wide", "lines"],
)
def test_the_onset_stays_put(representation, sound):
    back = there_and_back(representation, sound)
    assert energy_db(back[:, : ONSET_SAMPLE // 2]) - energy_db(back) < -60.0
    wanted, given = (
        np.flatnonzero(np.abs(audio).max(axis=0) > 0.1 * np.abs(audio).max())[0] for audio in (sound, back)
    )
    assert abs(int(given) - int(wanted)) <= ONSET_SAMPLE


@pytest.mark.parametrize(
    ("representation", "sound"),
    [
        (KICK, tone(55.0)),
        (KICK, tone(150.0, 0.3, level=0.1)),
        (SNARE, tone(200.0, 0.1, level=0.5) + stereo(decaying_noise(3))),
        (CLAP, stereo(decaying_noise(3))),
        (TOM, tone(120.0) + stereo(0.2 * decaying_noise(3, 0.03))),
        (PERC, tone(700.0, 0.1)),
        (PERC, tone(500.0, 0.1) + tone(5_300.0, 0.1) + stereo(decaying_noise(3))),
    ],
    ids=["kick", "soft", "snare", "noise", "tom", "perc", "metal"],
)
def test_every_third_is_as_loud_as_it_was(representation, sound):
    # Where lines of metal lie is drawn: one draw of them strays by 2 dB.
    given = np.mean([in_thirds(there_and_back(representation, sound, seed)) for seed in range(4)], axis=0)
    assert np.abs(given - in_thirds(sound)).max() < LEVEL_DB


@pytest.mark.parametrize("gain_db", [-6.0, -12.0])
def test_a_gain_moves_the_levels_and_nothing_else(gain_db):
    sound = tone(180.0, level=0.4) + np.stack([decaying_noise(5), decaying_noise(6)]).astype(np.float32)
    sound /= np.abs(sound).max()
    image, softer = (SNARE.analyse(sound * np.float32(gain)) for gain in (1.0, 10 ** (gain_db / 20)))
    loud = image[0] > -0.4  # what is near the floor is held there
    assert loud[: SNARE.bands].mean() > 0.4 and loud[SNARE.bands].all()
    moved = softer[0][loud] - image[0][loud]
    np.testing.assert_allclose(moved, gain_db / SNARE.decibels_per_unit, atol=2e-3)
    np.testing.assert_allclose(softer[1][loud], image[1][loud], atol=5e-3)


# --- width


@pytest.mark.parametrize("representation", [KICK, CLAP, PERC], ids=["kick", "clap", "perc"])
def test_mono_in_mono_out(representation):
    for sound in (tone(80.0), stereo(decaying_noise(7))):
        back = there_and_back(representation, sound)
        np.testing.assert_array_equal(back[0], back[1])


@pytest.mark.parametrize("wanted_db", [-30.0, -20.0, -10.0, 0.0, 6.0])
@pytest.mark.parametrize("representation", [SNARE, CLAP, HAT], ids=["snare", "clap", "hat"])
def test_width_comes_back(representation, wanted_db):
    middle, side = decaying_noise(8), decaying_noise(9)
    side *= 10 ** ((wanted_db + energy_db(middle) - energy_db(side)) / 20)
    sound = np.stack([middle + side, middle - side]).astype(np.float32)
    sound /= np.abs(sound).max()
    assert abs(width_db(sound) - wanted_db) < 1e-3
    assert abs(width_db(there_and_back(representation, sound)) - wanted_db) < WIDTH_DB


@pytest.mark.parametrize("wanted_db", [-20.0, -10.0])
def test_a_wide_tail_around_a_tone_in_the_middle_comes_back(wanted_db):
    """Within 12 dB of what the middle holds beside its tone: no cell can be wider."""
    middle = tone(60.0)[0] + decaying_noise(8)
    side = decaying_noise(9)
    side *= 10 ** ((wanted_db + energy_db(middle) - energy_db(side)) / 20)
    sound = np.stack([middle + side, middle - side]).astype(np.float32)
    back = there_and_back(KICK, sound)
    assert abs(width_db(back) - wanted_db) < WIDTH_DB
    side_thirds = zip(in_thirds(sound[0] - sound[1]), in_thirds(back[0] - back[1]), strict=True)
    assert all(abs(given - wanted) < WIDTH_DB for wanted, given in side_thirds)


@pytest.mark.parametrize("louder_db", [-9.0, 0.0, 6.0])
def test_left_and_right_keep_their_levels_and_the_body_its_place(louder_db):
    sound = tone(60.0) + decaying_noise(8) * np.float32([[10 ** (louder_db / 20)], [1.0]])
    sound = (sound / np.abs(sound).max()).astype(np.float32)
    back = there_and_back(LEFT_RIGHT, sound)
    high = [np.diff(channel, n=2) for channel in (*sound, *back)]  # 60 Hz is gone from there
    wanted, given = (energy_db(left) - energy_db(right) for left, right in (high[:2], high[2:]))
    assert abs(given - wanted) < LEVEL_DB
    assert all(abs(1200 * np.log2(pitch_hz(channel) / 60.0)) < TONE_CENTS for channel in back)


def test_mono_as_left_and_right_is_all_but_mono():
    """Each has an error of its own: of middle and side it comes back mono to the last bit."""
    assert -60.0 < width_db(there_and_back(LEFT_RIGHT, stereo(decaying_noise(7)))) < -30.0


@pytest.mark.parametrize("representation", [SNARE, CLAP, HAT], ids=["snare", "clap", "hat"])
def test_folded_down_it_is_the_middle(representation):
    """What a mono system plays is what the same image without width plays."""
    sound = tone(180.0) + np.stack([decaying_noise(8), decaying_noise(9)]).astype(np.float32)
    image = representation.analyse(sound / np.abs(sound).max())
    wide = representation.synthesise(image, seed=3)
    assert width_db(wide) > -20.0
    image[1, : representation.bands] = -1.0
    narrow = representation.synthesise(image, seed=3)
    np.testing.assert_array_equal(narrow[0], narrow[1])
    np.testing.assert_allclose(0.5 * (wide[0] + wide[1]), narrow[0], atol=1e-6)


# --- noise


def test_noise_comes_back_with_its_grain():
    sound = stereo(decaying_noise(4))
    wanted, given = (unevenness_db(audio) for audio in (sound, there_and_back(SNARE, sound)))
    assert wanted == pytest.approx(5.6, abs=0.2)
    assert abs(given - wanted) < 0.15 * wanted


def test_what_lies_around_a_body_is_noise_and_no_bundle_of_tones():
    """An even level around 250 Hz comes back as uneven as noise is; tones would hold theirs (and did: 2 dB)."""
    from scipy.signal import stft

    image = np.full((2, KICK.rows, KICK.frames), -1.0, dtype=np.float32)
    image[0, :8] = -0.3
    audio = KICK.synthesise(image, seed=3)[0]
    _, seconds, spectrum = stft(audio, fs=SAMPLE_RATE, nperseg=512, noverlap=384)
    heard = (seconds > 0.02) & (seconds < LENGTH_SECONDS - 0.02)
    level_db = 20 * np.log10(np.abs(spectrum[2:6, heard]) + 1e-9)
    assert level_db.std(axis=1).mean() == pytest.approx(
        5.6, abs=0.6
    )  # of Rayleigh's distribution in decibels


@pytest.mark.parametrize("name", ["snare", "clap", "cymbal"])
def test_a_third_channel_says_how_noisy(name):
    """-1: as smooth as the levels are drawn, 1: the usual share; to the ear of the representation's own window."""
    representation = representation_for(category_image(name), LENGTH_SECONDS)
    # A generator draws levels without grain: so does the mean of many sounds.
    image = np.mean([representation.analyse(stereo(decaying_noise(seed))) for seed in range(16)], axis=0)
    usual = representation.synthesise(image, seed=5)

    def noisy(amount):
        plane = np.full((1, *image.shape[1:]), amount, dtype=np.float32)
        return representation.synthesise(np.concatenate([image, plane]), seed=5)

    np.testing.assert_allclose(noisy(1.0), usual, atol=1e-4)
    smooth, half, grained = (
        unevenness_db(audio, representation.window_samples) for audio in (noisy(-1.0), noisy(0.0), usual)
    )
    assert smooth < 0.8 * half < 0.64 * grained
    assert grained == pytest.approx(5.6, abs=0.3)  # of Rayleigh's distribution in decibels
    assert abs(energy_db(noisy(-1.0)) - energy_db(usual)) < 1.0


def test_the_seed_is_the_noise():
    image = CLAP.analyse(stereo(decaying_noise(4)))
    one, other = (CLAP.synthesise(image, seed=seed) for seed in (1, 2))
    assert abs(energy_db(one) - energy_db(other)) < 0.5
    assert np.abs(np.corrcoef(one[0], other[0])[0, 1]) < 0.3


def test_the_body_does_not_hang_on_the_seed():
    image = KICK.analyse(tone(55.0))
    one, other = (KICK.synthesise(image, seed=seed) for seed in (1, 2))
    assert energy_db(one - other) - energy_db(one) < -25.0


@pytest.mark.parametrize("settings", [category_image("snare"), category_image("cymbal")])
def test_the_grain_of_cells_is_that_of_white_noise(settings):
    """What the discriminator is shown must be what analysing noise shows."""
    representation = representation_for(
        ImageSettings(
            bands=settings.bands, window_samples=settings.window_samples, linear_bins=settings.linear_bins
        ),
        LENGTH_SECONDS,
    )
    count, level = 48, 0.05
    share, grain = representation.cell_noise(count, 3)
    assert share.shape == grain.shape[1:] == (representation.bands, representation.frames)
    assert share.min() >= 0.0 and share.max() == pytest.approx(1.0, abs=1e-5)
    assert np.all(share[:, 0] < 0.1) and np.all(share[0] == 0)  # none in the click, none in the low end
    random = np.random.default_rng(11)
    images = np.stack(
        [
            representation.analyse(stereo(level * random.standard_normal(representation.length_samples)))[0]
            for _ in range(count)
        ]
    )
    # A frame that reaches past an end of the sound holds less, and the lowest and the highest band half a bin less.
    inside = np.s_[:, 2:-2, 4:-2]
    window_energy = 3.0 / 8.0 * representation.window_samples  # of Hann's, and half its sum is a sine's peak
    reference = representation.window_samples / 4.0
    noise_db = 20 * np.log10(level) + 10 * np.log10(window_energy) - 20 * np.log10(reference)
    known = images[inside] - ((noise_db + 104.0) / representation.decibels_per_unit - 1.0)
    drawn = grain[inside]
    per_unit = representation.decibels_per_unit
    np.testing.assert_allclose(drawn.mean(axis=(0, 2)), known.mean(axis=(0, 2)), atol=0.5 / per_unit)
    np.testing.assert_allclose(drawn.std(axis=0).mean(1), known.std(axis=0).mean(1), rtol=0.1)
    assert drawn.mean() * per_unit == pytest.approx(known.mean() * per_unit, abs=0.1)
    assert drawn.std() == pytest.approx(known.std(), rel=0.03)
