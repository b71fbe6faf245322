import numpy as np
import pytest
import reference
import scipy.signal

from dsp.phase import griffin_lim
from dsp.phase.minimum_phase import minimum_phase
from dsp.stft import Stft, window

SIZE = 512


def frame_of(magnitude, phase):
    return np.fft.irfft(magnitude * np.exp(1j * phase.astype(float)), SIZE)


def centre_of_energy(frame):
    return np.sum(np.arange(SIZE) * frame**2) / np.sum(frame**2)


def random_magnitude(frames=6):
    return np.abs(np.fft.rfft(np.random.default_rng(0).standard_normal((frames, SIZE)))).astype(np.float32)


@pytest.mark.parametrize("pole", [0.5, 0.9, -0.9, 0.97])
def test_a_decay_is_found_again(pole):
    """poleⁿ is minimum-phase: its magnitude knows its phase, up to the delay (and a sign, which cannot be known)."""
    decay = pole ** np.arange(SIZE)
    magnitude = np.abs(np.fft.rfft(decay))[None]
    frame = frame_of(magnitude, minimum_phase(magnitude, SIZE))[0]
    begin = SIZE // 2 - round(centre_of_energy(decay))
    assert reference.error_db(frame, np.roll(decay, begin)) < -80.0


def test_a_late_zero_becomes_an_early_one():
    """A zero outside the unit circle is mirrored into it: (1, -2) and (2, -1) have the same magnitude."""
    magnitude = np.abs(np.fft.rfft([1.0, -2.0], SIZE))[None]
    frame = frame_of(magnitude, minimum_phase(magnitude, SIZE))[0]
    wanted = np.zeros(SIZE)
    wanted[SIZE // 2 : SIZE // 2 + 2] = [2.0, -1.0]
    assert reference.error_db(frame, wanted) < -80.0


def test_it_is_scipys():
    """SciPy keeps the first half of a response; these have died away before it ends."""
    late = scipy.signal.firwin(101, [0.1, 0.4], pass_zero=False)
    magnitude = np.abs(np.fft.rfft(late, SIZE))[None]
    frame = frame_of(magnitude, minimum_phase(magnitude, SIZE))[0]
    theirs = scipy.signal.minimum_phase(late, method="homomorphic", n_fft=SIZE, half=False)
    similarity = scipy.signal.correlate(frame, theirs, mode="valid")
    assert similarity.max() > 0.98 * np.linalg.norm(frame) * np.linalg.norm(theirs)


def test_frames_stand_in_the_middle():
    magnitude = np.abs(np.fft.rfft(np.stack([0.9 ** np.arange(SIZE), 0.99 ** np.arange(SIZE)])))
    for frame in frame_of(magnitude, minimum_phase(magnitude, SIZE)):
        assert centre_of_energy(frame) == pytest.approx(SIZE // 2, abs=4.0)


def test_spectra_stay_those_of_real_frames():
    phase = minimum_phase(random_magnitude(), SIZE)
    assert phase.dtype == np.float32
    assert np.abs(phase).max() <= np.float32(np.pi) + 1e-6
    np.testing.assert_allclose(np.sin(phase[:, [0, -1]]), 0.0, atol=1e-5)


def test_no_frame_knows_of_others():
    magnitude = random_magnitude()
    together = minimum_phase(magnitude, SIZE)
    assert minimum_phase(magnitude[::-1], SIZE).tobytes() == together[::-1].tobytes()


def test_loudness_does_not_matter():
    magnitude = random_magnitude()
    difference = minimum_phase(magnitude, SIZE) - minimum_phase(magnitude * np.float32(1e-3), SIZE)
    np.testing.assert_allclose(np.cos(difference), 1.0, atol=1e-4)


def test_an_impulse_is_found_at_once():
    stft = Stft(6000, window("hann", SIZE), 128)
    audio = np.zeros((1, 6000), dtype=np.float32)
    audio[0, 3072] = 1.0  # in the middle of a frame; its neighbours see it elsewhere and are quieter
    magnitude = np.abs(stft.forward(audio))
    found = griffin_lim(magnitude, stft, iterations=0, start_phase=minimum_phase(magnitude[0], SIZE))
    assert np.abs(found[0]).argmax() == 3072


def test_silence_and_silent_cells():
    magnitude = random_magnitude()
    magnitude[2] = 0.0
    magnitude[3, 40:90] = 0.0
    assert np.isfinite(minimum_phase(magnitude, SIZE)).all()
    assert np.isfinite(minimum_phase(np.zeros((3, 257), dtype=np.float32), SIZE)).all()
    assert minimum_phase(np.zeros((0, 257), dtype=np.float32), SIZE).shape == (0, 257)


def test_misuse():
    good = random_magnitude()
    with pytest.raises(ValueError, match=r"must have the shape \[frame, 129\]"):
        minimum_phase(good, 256)
    with pytest.raises(ValueError, match=r"must have the shape \[frame, 257\]"):
        minimum_phase(good[0], SIZE)
    with pytest.raises(ValueError, match="even number of samples"):
        minimum_phase(good, 513)
    with pytest.raises(ValueError, match="negative or not finite"):
        minimum_phase(-good, SIZE)
