"""The level of finished one-shots."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp.loudness import momentary_maximum_lufs, true_peak
from samplegan.audio import quantise_24
from samplegan.errors import InputError
from samplegan.loudness import FLOOR_DB, measure, normalise

sys.path.insert(0, str(Path(__file__).parent))
import corpus


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 50),
    gain_db=st.floats(-50.0, 20.0),
    target_lufs=st.floats(-40.0, 0.0),
    ceiling_dbtp=st.floats(-9.0, 0.0),
)
def test_neither_target_nor_ceiling_is_ever_exceeded(seed, gain_db, target_lufs, ceiling_dbtp):
    sound = corpus.drum(0.2, channels=2, seed=seed) * np.float32(10 ** (gain_db / 20))
    louder, gain = normalise(sound, target_lufs=target_lufs, ceiling_dbtp=ceiling_dbtp)
    written = (quantise_24(louder) / 2**23).astype(np.float32)
    loudness, peak_db = momentary_maximum_lufs(written), 20 * math.log10(true_peak(written))
    assert peak_db <= ceiling_dbtp
    assert loudness <= target_lufs + 0.001
    assert gain.gain_db <= 24.0
    assert (loudness, peak_db) == pytest.approx((gain.momentary_lufs, gain.true_peak_dbtp), abs=0.002)
    reached = {
        "target": abs(loudness - target_lufs) < 0.002,
        "ceiling": abs(peak_db - ceiling_dbtp) < 0.002,
        "max_gain": gain.gain_db == 24.0,
    }
    assert reached[gain.limited_by]


@pytest.mark.parametrize("level", [0.0, 1e-6])
def test_silence_is_refused(level):
    with pytest.raises(InputError, match="silent"):
        normalise(np.full((2, 1_000), level, np.float32))


def test_measure_of_known_sounds():
    square = np.tile(np.repeat([0.5, -0.5], 50), 200).astype(np.float32)
    loudness = measure(np.stack([square, square]))
    assert loudness.sample_peak_dbfs == pytest.approx(-6.02, abs=0.01)
    assert loudness.rms_dbfs == pytest.approx(-6.02, abs=0.01)
    assert loudness.crest_db == pytest.approx(0.0, abs=0.01)
    assert loudness.true_peak_dbtp > loudness.sample_peak_dbfs
    assert loudness.integrated_lufs is not None
    assert measure(square[None, :4_000].repeat(2, axis=0)).integrated_lufs is None


def test_levels_of_silence_are_numbers():
    loudness = measure(np.zeros((2, 100), np.float32))
    assert loudness.momentary_lufs == loudness.true_peak_dbtp == FLOOR_DB
    json.dumps(loudness.to_dict(), allow_nan=False)
