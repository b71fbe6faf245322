import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `import reference`

RATE = 44_100


@pytest.fixture
def kick():
    """Half a second of a kick-like chirp over a stationary tone, starting after 1 ms. float32 [sample]."""
    time = np.arange(22_050) / RATE
    sweep = np.sin(2 * np.pi * (50 * time + 300 / 30 * (1 - np.exp(-30 * time)))) * np.exp(-8 * time)
    tone = 0.1 * np.sin(2 * np.pi * 1234.5 * time)
    sound = np.concatenate([np.zeros(44), sweep + tone])[:22_050]
    return sound.astype(np.float32)


@pytest.fixture
def noise():
    """Two channels of white noise. float32 [2, 6000]."""
    return np.random.default_rng(1).standard_normal((2, 6000)).astype(np.float32)
