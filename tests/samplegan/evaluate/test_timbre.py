"""Timbre: every word moves with the physics it stands for, and with nothing else."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from scipy import signal

from samplegan.errors import InputError
from samplegan.evaluate import timbre as module
from samplegan.evaluate.timbre import timbre

RATE = 44_100
TIME = np.arange(22_050) / RATE
DECAY = np.exp(-TIME / 0.1)
NOISE = np.random.default_rng(0).standard_normal(TIME.size) * DECAY


def of(mono: np.ndarray) -> module.Timbre:
    return timbre(np.stack([mono, mono]).astype(np.float32))


def tone(hertz: float) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * TIME) * DECAY


def low_passed(hertz: float) -> np.ndarray:
    return signal.sosfilt(signal.butter(2, hertz, fs=RATE, output="sos"), NOISE)


def rises(values: list[float], *, by: float) -> bool:
    return min(np.diff(values)) > by


EXTREMES = {
    "sine": tone(440.0),
    "low sine": tone(30.0),
    "below hearing": np.sin(2 * np.pi * 5.0 * TIME),
    "above hearing": tone(20_000.0),
    "impulse": (TIME == 0) * 1.0,
    "late impulse": (np.arange(TIME.size) == 20_000) * 1.0,
    "constant": np.ones(TIME.size),
    "noise": NOISE,
    "steady noise": NOISE / DECAY,
    "2 ms": NOISE[:88],
}


@pytest.mark.parametrize("name", EXTREMES)
def test_every_sound_has_a_timbre(name):
    assert np.isfinite(astuple(of(EXTREMES[name]))).all()


@pytest.mark.parametrize("audio", [np.zeros((2, 4_410)), np.ones((2, 50)), np.zeros((2, 0))])
def test_silence_is_refused(audio):
    with pytest.raises(InputError):
        timbre(audio.astype(np.float32))


@pytest.mark.parametrize("gain", [1e-4, 0.1, 30.0])
def test_a_gain_changes_nothing(gain):
    sound = NOISE + tone(60.0)
    np.testing.assert_allclose(astuple(of(gain * sound)), astuple(of(sound)), atol=1e-3)


def test_silence_around_a_sound_changes_nothing():
    sound = np.concatenate((np.zeros(777), NOISE, np.zeros(5_000)))
    np.testing.assert_allclose(astuple(of(sound)), astuple(of(NOISE)), atol=0.02)


def test_channels_that_cancel_are_still_heard():
    sound = np.stack([tone(200.0), -tone(200.0)]).astype(np.float32)
    np.testing.assert_allclose(astuple(timbre(sound)), astuple(of(tone(200.0))), atol=1e-3)


def test_an_open_filter_is_brighter_and_sharper_and_less_warm():
    found = [of(low_passed(hertz)) for hertz in (300, 1_000, 3_000, 10_000)]
    assert rises([sound.brightness for sound in found], by=3.0)
    assert rises([sound.sharpness for sound in found], by=0.3)
    assert rises([-sound.warmth for sound in found], by=1.0)


def test_brightness_is_the_published_regression():
    power = np.zeros(module._HZ.size, dtype=np.float32)
    power[np.searchsorted(module._HZ, [500.0, 5_000.0])] = 3.0, 1.0
    low, high = module._HZ[np.searchsorted(module._HZ, [500.0, 5_000.0])]
    wanted = 4.613 * np.log10(0.25) + 17.379 * np.log10(0.75 * low + 0.25 * high) + 17.435
    assert module._brightness(power) == pytest.approx(wanted)


def test_more_low_end_is_deeper_and_boomier():
    found = [of(tone(800.0) + share * tone(60.0)) for share in (0.1, 0.3, 1.0, 3.0)]
    assert rises([sound.depth for sound in found], by=0.5)
    assert rises([sound.boominess for sound in found], by=0.5)


def test_a_long_low_sound_is_deeper():
    assert rises([of(np.sin(2 * np.pi * 60 * TIME) * np.exp(-TIME / t)).depth for t in (0.02, 0.08)], by=3.0)


def test_two_close_partials_are_rough_and_one_or_two_distant_ones_are_not():
    pair = {apart: of(tone(1_000.0) + tone(1_000.0 + apart)).roughness for apart in (0, 60, 200, 1_500)}
    assert pair[60] > pair[200] + 3.0
    assert pair[200] > pair[1_500]
    assert pair[0] == pair[1_500] == -30.0  # the floor: no pair that beats
    assert of(NOISE).roughness > pair[60]


def test_unequal_partials_are_less_rough():
    found = [of(tone(1_000.0) + share * tone(1_060.0)).roughness for share in (0.05, 0.2, 1.0)]
    assert rises(found, by=1.0)


def test_a_pair_of_partials_has_vassilakis_roughness():
    low, high = 100, 106  # bins
    spectrum = np.zeros((1, module._HZ.size), dtype=np.float32)
    spectrum[0, [low, high]] = 1.0, 0.5
    low_hz, high_hz = module._HZ[[low, high]]
    apart = 0.24 * (high_hz - low_hz) / (0.0207 * low_hz + 18.96)
    wanted = 0.5**0.1 * 0.5 * (2 * 0.5 / 1.5) ** 3.11 * (np.exp(-3.51 * apart) - np.exp(-5.75 * apart))
    assert module._roughness(spectrum)[0] == pytest.approx(wanted, rel=1e-4)


def test_a_faster_attack_is_harder():
    found = [of(NOISE * np.minimum(1.0, TIME / rise_s)).hardness for rise_s in (0.05, 0.01, 0.003, 1e-4)]
    assert rises(found, by=0.5)
    found = [of(tone(60.0) + click * NOISE * np.exp(-TIME / 0.002)).hardness for click in (0.01, 0.1, 1.0)]
    assert rises(found, by=0.2)


def test_a_tone_of_1_khz_at_40_db_is_about_one_sone():
    power = np.zeros((1, module._HZ.size), dtype=np.float32)
    power[0, np.searchsorted(module._HZ, 1_000.0)] = 1.5 * 10.0 ** ((40.0 - 100.0) / 10.0)
    assert module._specific_loudness(power).sum() * module._BARK_STEP == pytest.approx(1.0, abs=0.5)


def test_narrow_noise_of_1_khz_at_60_db_has_about_one_acum():
    power = np.zeros((1, module._HZ.size), dtype=np.float32)
    band = (module._HZ > 920.0) & (module._HZ < 1_080.0)
    power[0, band] = 1.5 * 10.0 ** ((60.0 - 100.0) / 10.0) / band.sum()
    sharpness = module._sharpness(module._specific_loudness(power))
    assert sharpness[0] == pytest.approx(1.0, abs=0.15)
