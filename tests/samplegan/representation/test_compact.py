"""Left and right as images of few cells."""

import sys
from pathlib import Path

import numpy as np
import pytest

from samplegan.audio import ONSET_SAMPLE
from samplegan.config import compact_image
from samplegan.representation import representation_for

sys.path.insert(0, str(Path(__file__).parent))
from known_sounds import LENGTH_SECONDS, decaying_noise, energy_db, pitch_hz, stereo, tone, unevenness_db

COMPACT = compact_image("perc")
LOW = compact_image("kick")
TONE_SEMITONES = 0.35


@pytest.mark.parametrize(
    ("hertz", "settings"),
    [
        (42.0, LOW),
        (50.0, LOW),
        (60.0, LOW),
        (110.0, LOW),
        (110.0, COMPACT),
        (220.0, COMPACT),
        (3000.0, COMPACT),
    ],
)
def test_a_tone_stays_a_tone(hertz, settings):
    representation = representation_for(settings, LENGTH_SECONDS)
    back = representation.synthesise(representation.analyse(tone(hertz)))[0]
    assert abs(12 * np.log2(pitch_hz(back) / hertz)) < TONE_SEMITONES


def test_silence_stays_silence():
    representation = representation_for(COMPACT, LENGTH_SECONDS)
    silence = np.zeros((2, representation.length_samples), dtype=np.float32)
    image = representation.analyse(silence)
    assert np.all(image == -1)
    assert np.abs(representation.synthesise(image)).max() < 1e-4


def test_an_image_a_hair_above_the_floor_does_not_hiss():
    representation = representation_for(LOW, LENGTH_SECONDS)
    image = np.full((2, representation.bands, representation.frames), -0.96, dtype=np.float32)
    assert np.abs(representation.synthesise(image)).max() == 0


def test_the_stereo_image_stays():
    representation = representation_for(COMPACT, LENGTH_SECONDS)
    sound = tone(150.0)
    sound[1] *= 0.25  # 12 dB to the left
    back = representation.synthesise(representation.analyse(sound))
    assert abs(energy_db(back[0]) - energy_db(back[1]) - 12.04) < 0.5
    assert abs(energy_db(back[0] + back[1]) - energy_db(sound[0] + sound[1])) < 1.0


def test_mono_comes_back_as_mono():
    representation = representation_for(COMPACT, LENGTH_SECONDS)
    back = representation.synthesise(representation.analyse(tone(80.0)))
    np.testing.assert_array_equal(back[0], back[1])


def test_nothing_sounds_before_the_onset():
    representation = representation_for(COMPACT, LENGTH_SECONDS)
    back = representation.synthesise(representation.analyse(tone(500.0)))
    before = np.sum(back[:, : ONSET_SAMPLE // 2] ** 2) / np.sum(back**2)
    assert before < 1e-6


def test_noise_comes_back_with_its_grain():
    """Smoothed noise inverted without it has a third of the unevenness, and is heard as a comb."""
    representation = representation_for(compact_image("snare"), LENGTH_SECONDS)
    sound = stereo(decaying_noise(4))
    back = representation.synthesise(representation.analyse(sound))
    wanted, given = (unevenness_db(audio) for audio in (sound, back))
    assert abs(given - wanted) < 0.15 * wanted


def test_level_is_kept_by_the_fixed_scale():
    representation = representation_for(COMPACT, LENGTH_SECONDS)
    loud, soft = (representation.synthesise(representation.analyse(tone(200.0, level=x))) for x in (1.0, 0.1))
    assert abs(energy_db(loud) - energy_db(soft) - 20.0) < 0.5
