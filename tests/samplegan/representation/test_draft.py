"""The baseline does what the draft says it does."""

import sys
from pathlib import Path

import numpy as np

from samplegan.config import ImageSettings
from samplegan.representation import representation_for

sys.path.insert(0, str(Path(__file__).parent))
from known_sounds import LENGTH_SECONDS, energy_db, tone

REPRESENTATION = representation_for(ImageSettings(name="draft", bands=256, frames=256), LENGTH_SECONDS)


def test_silence_stays_silence():
    silence = np.zeros((2, REPRESENTATION.length_samples), dtype=np.float32)
    image = REPRESENTATION.analyse(silence)
    assert np.all(image == -1)
    assert np.abs(REPRESENTATION.synthesise(image)).max() < 1e-4


def test_the_shape_decides_the_window_and_the_hop():
    assert REPRESENTATION.window_samples == 512
    assert REPRESENTATION.hop_samples * 256 >= REPRESENTATION.length_samples


def test_it_forgets_the_level_but_not_the_balance():
    loud, soft = (REPRESENTATION.analyse(tone(200.0, level=level)) for level in (1.0, 0.25))
    np.testing.assert_allclose(loud, soft, atol=1e-4)
    assert loud.max() == 1.0
    sound = tone(200.0)
    sound[1] *= 0.25  # 12 dB to the left
    back = REPRESENTATION.synthesise(REPRESENTATION.analyse(sound))
    assert abs(energy_db(back[0]) - energy_db(back[1]) - 12.04) < 1.0
