import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import librosa
import numpy as np
import pytest
import reference
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp.kernels import framing, projection
from dsp.stft import Stft, StftShape, shape_for, window

ROUND_TRIP_DB = -120.0  # float32 leaves about -139; a hair of window at the edges costs some
ORACLE_DB = -120.0
SMALL_SETTINGS = [
    ("hann", 512, 128),
    ("hann", 1024, 256),
    ("kaiser", 512, 128),
    ("gaussian", 256, 32),
    ("truncated-gaussian", 256, 64),
]


@pytest.mark.parametrize("samples", [2, 8, 512])
def test_windows_are_those_of_scipy(samples):
    np.testing.assert_allclose(
        window("hann", samples), scipy.signal.windows.hann(samples, sym=False), atol=1e-7
    )
    for beta in (0.0, 5.0, 14.0):
        wanted = scipy.signal.windows.kaiser(samples, beta, sym=False)
        np.testing.assert_allclose(window("kaiser", samples, beta=beta), wanted, atol=1e-6)
    for name, edge in (("gaussian", 1e-5), ("truncated-gaussian", 1e-2)):
        deviation = samples / 2 / np.sqrt(-2 * np.log(edge))
        wanted = scipy.signal.windows.gaussian(samples, deviation, sym=False)
        np.testing.assert_allclose(window(name, samples), wanted, atol=1e-6)
        assert window(name, samples)[0] == pytest.approx(edge)


@pytest.mark.parametrize(
    ("name", "side_lobes_db"),
    [("hann", -31.5), ("kaiser", -105.9), ("gaussian", -118.7), ("truncated-gaussian", -56.9)],
)
def test_side_lobes_are_what_the_docstrings_say(name, side_lobes_db):
    spectrum = np.abs(np.fft.rfft(window(name, 512).astype(float), 32 * 512))
    first_null = np.argmax(np.diff(spectrum) > 0)
    assert 20 * np.log10(spectrum[first_null:].max() / spectrum[0]) == pytest.approx(side_lobes_db, abs=0.2)


def test_every_beta_makes_a_kaiser_window():
    assert (window("kaiser", 64, beta=0.0) == 1.0).all()
    widths = [window("kaiser", 64, beta=beta).sum() for beta in (0.0, 1.0, 14.0, 100.0, 700.0)]
    assert np.isfinite(widths).all()
    assert np.all(np.diff(widths) < 0.0)


@pytest.mark.parametrize(
    ("name", "samples", "beta", "words"),
    [
        ("hamm", 8, 1.0, "there is no window 'hamm'"),
        ("hann", 7, 1.0, "even number of samples, not 7"),
        ("hann", 0, 1.0, "window_samples must be at least 2, not 0"),
        ("hann", 512.0, 1.0, "window_samples must be a whole number, not 512.0"),
        ("kaiser", 8, -1.0, "a beta between 0 and 700, not -1"),
        ("kaiser", 8, np.nan, "not nan"),
        ("kaiser", 8, 701.0, "not 701"),
    ],
)
def test_windows_that_cannot_be_made(name, samples, beta, words):
    with pytest.raises(ValueError, match=words):
        window(name, samples, beta=beta)


@pytest.mark.parametrize(("name", "samples", "hop"), SMALL_SETTINGS)
@pytest.mark.parametrize("length", [1, 2, 255, 6000])
def test_round_trip(name, samples, hop, length, noise):
    stft = Stft(length, window(name, samples), hop)
    audio = noise[:, :length]
    assert reference.error_db(stft.inverse(stft.forward(audio)), audio) < ROUND_TRIP_DB


def test_the_last_sample_is_as_good_as_the_others():
    stft = Stft(3001, window("hann", 512), 128)
    audio = np.zeros((1, 3001), dtype=np.float32)
    audio[0, -1] = 1.0
    audio[0, 0] = 1.0
    np.testing.assert_allclose(stft.inverse(stft.forward(audio)), audio, atol=1e-6)


def test_forward_is_the_reference_and_numpy(noise):
    values = window("kaiser", 256)
    stft = Stft(6000, values, 100)
    for spectrum, audio in zip(stft.forward(noise), noise, strict=True):
        assert reference.error_db(spectrum, reference.stft(audio, values, 100, stft.frames)) < ORACLE_DB


def test_forward_is_librosa(noise):
    stft = Stft(6000, window("hann", 512), 128)
    wanted = librosa.stft(noise[0], n_fft=512, hop_length=128, window="hann", center=True).T
    assert reference.error_db(stft.forward(noise)[0, : len(wanted)], wanted) < ORACLE_DB


def test_forward_is_scipy(noise):
    values = window("hann", 512)
    stft = Stft(6000, values, 128)
    oracle = scipy.signal.ShortTimeFFT(values.astype(float), 128, 44_100, phase_shift=None)
    wanted = oracle.stft(noise[0].astype(float), p0=0).T
    assert wanted.shape == (stft.frames, stft.bins)
    # Without phase_shift scipy counts phase from the first sample of the window, as we do.
    assert reference.error_db(stft.forward(noise)[0], wanted) < ORACLE_DB


def test_inverse_of_an_inconsistent_spectrum_is_the_reference(noise):
    values = window("hann", 256)
    stft = Stft(1000, values, 64)
    random = np.random.default_rng(2)
    shape = (1, stft.frames, stft.bins)
    spectrum = (random.standard_normal(shape) + 1j * random.standard_normal(shape)).astype(np.complex64)
    wanted = reference.istft(spectrum[0], values, 64, 1000)
    assert reference.error_db(stft.inverse(spectrum)[0], wanted) < ORACLE_DB


def test_silence_stays_silence_and_a_silent_frame_is_exactly_zero():
    stft = Stft(4000, window("hann", 512), 128)
    audio = np.zeros((1, 4000), dtype=np.float32)
    assert not stft.forward(audio).any()
    assert not stft.inverse(stft.forward(audio)).any()
    audio[0, 2000:] = 1.0
    assert not stft.forward(audio)[0, : (2000 - 256) // 128 + 1].any()


def test_a_tone_is_a_tone():
    stft = Stft(8192, window("hann", 512), 128)
    tone = np.sin(2 * np.pi * 20 / 512 * np.arange(8192)).astype(np.float32)[None]
    level = np.abs(stft.forward(tone))[0, 10:-10]
    assert (level.argmax(axis=1) == 20).all()
    np.testing.assert_allclose(level.max(axis=1), stft.window.sum() / 2, rtol=1e-3)


def test_an_impulse_lies_in_its_frames():
    stft = Stft(4096, window("hann", 512), 128)
    audio = np.zeros((1, 4096), dtype=np.float32)
    audio[0, 2048] = 1.0
    energy = (np.abs(stft.forward(audio))[0] ** 2).sum(axis=1)
    assert energy.argmax() == 2048 // 128
    assert not energy[: (2048 - 256) // 128].any()


def test_linear(noise):
    stft = Stft(6000, window("hann", 512), 128)
    together = stft.forward(2.0 * noise[:1] - 3.0 * noise[1:])
    apart = stft.forward(noise)
    assert reference.error_db(together[0], 2.0 * apart[0] - 3.0 * apart[1]) < ORACLE_DB


def test_a_batch_is_its_sounds_and_channels_swap(noise):
    stft = Stft(6000, window("hann", 512), 128)
    together = stft.forward(noise)
    assert together[0].tobytes() == stft.forward(noise[:1])[0].tobytes()
    assert together[::-1].tobytes() == stft.forward(noise[::-1]).tobytes()
    back = stft.inverse(together)
    assert back[1].tobytes() == stft.inverse(together[1:])[0].tobytes()


def test_results_belong_to_the_caller_and_out_is_filled(noise):
    stft = Stft(6000, window("hann", 512), 128, batch=2)
    first = stft.forward(noise)
    kept = first.copy()
    stft.forward(noise * 2.0)
    assert first.tobytes() == kept.tobytes()
    out = np.empty_like(first)
    assert stft.forward(noise, out=out) is out
    assert out.tobytes() == first.tobytes()
    audio = np.empty_like(noise)
    assert stft.inverse(first, out=audio) is audio


def test_one_object_per_thread_gives_the_same_bytes(noise):
    def work(_):
        stft = Stft(6000, window("hann", 512), 128)
        return [stft.inverse(stft.forward(noise)).tobytes() for _ in range(5)]

    with ThreadPoolExecutor(4) as pool:
        results = [entry for entries in pool.map(work, range(8)) for entry in entries]
    assert len(set(results)) == 1


PROBE = """
import hashlib, numpy as np
from dsp.grid import Grid
from dsp.loudness import momentary_maximum_lufs
from dsp.phase import griffin_lim
from dsp.scale import to_image
from dsp.stft import Stft, window
stft = Stft(3000, window("hann", 256), 64)
audio = np.random.default_rng(0).standard_normal((1, 3000)).astype(np.float32)
magnitude = np.abs(stft.forward(audio))
results = griffin_lim(magnitude, stft, iterations=3), to_image(magnitude), Grid.bands(129, 40, 8).pool(magnitude)
print(hashlib.sha256(b"".join(result.tobytes() for result in results)).hexdigest(), momentary_maximum_lufs(audio))
"""


def test_every_process_gets_the_same_bytes_even_where_nothing_can_be_cached(tmp_path):
    nowhere = tmp_path / "file"
    nowhere.write_text("a file, so that no cache folder can be made below it")
    homeless = dict(os.environ, HOME=str(nowhere), XDG_CACHE_HOME=str(nowhere))
    # numba tries the folder of the module first; this stands for a read-only one.
    read_only = (
        "import numba.core.caching as c\n"
        "def fail(self): raise OSError('read-only')\n"
        "c._CacheLocator.ensure_cache_path = fail\n" + PROBE
    )
    hashes = {
        subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True).stdout
        for code, env in ((PROBE, None), (PROBE, None), (read_only, homeless))
    }
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("length", "values", "hop", "batch", "words"),
    [
        (0, window("hann", 8), 2, None, "length_samples must be at least 1, not 0"),
        (9.0, window("hann", 8), 2, None, "length_samples must be a whole number, not 9.0"),
        (True, window("hann", 8), 2, None, "length_samples must be a whole number, not True"),
        (9, window("hann", 8), 0, None, "hop_samples must be at least 1, not 0"),
        (9, window("hann", 8), 2.0, None, "hop_samples must be a whole number, not 2.0"),
        (9, window("hann", 8), 9, None, "hop_samples must not exceed the window's 8 samples, but is 9"),
        (28_800_001, window("hann", 8), 2, None, "would be 28800001 samples long; the longest"),
        (26_460_000, window("hann", 1024), 1, None, r"would take 101\.\d GiB; the most is 1"),
        (1_000_000, window("hann", 512), 128, 99, "of 99 sounds of 1000000 samples would take"),
        (99, window("hann", 8), 8, None, "uncovered"),
        (999, window("kaiser", 512), 512, None, "uncovered"),
        (9, np.ones(7, dtype=np.float32), 2, None, "even number"),
        (9, np.zeros(8, dtype=np.float32), 2, None, "uncovered"),
        (9, np.full(8, np.nan, dtype=np.float32), 2, None, "not finite"),
        (9, np.ones((2, 8), dtype=np.float32), 2, None, "one axis"),
        (9, np.ones(8, dtype=np.int16), 2, None, "real floating-point numbers, not int16"),
        (9, window("hann", 8), 2, 0, "batch must be at least 1, not 0"),
    ],
)
def test_transforms_that_cannot_be_made(length, values, hop, batch, words):
    with pytest.raises(ValueError, match=words):
        Stft(length, values, hop, batch=batch)


def test_wrong_shapes_are_named():
    stft = Stft(100, window("hann", 16), 4, batch=2)
    with pytest.raises(ValueError, match=r"audio must have the shape \[2, 100\], not \[2, 99\]"):
        stft.forward(np.zeros((2, 99), dtype=np.float32))
    with pytest.raises(ValueError, match=r"not \[3, 100\]"):
        stft.forward(np.zeros((3, 100), dtype=np.float32))
    with pytest.raises(ValueError, match="spectrum must have the shape"):
        stft.inverse(np.zeros((2, 5, 9), dtype=np.complex64))
    with pytest.raises(ValueError, match="out must be complex64"):
        stft.forward(np.zeros((2, 100), dtype=np.float32), out=np.zeros((2, 1, 9), dtype=np.complex64))
    locked = np.zeros((2, stft.frames, stft.bins), dtype=np.complex64)
    locked.flags.writeable = False
    with pytest.raises(ValueError, match="not a read-only complex64"):
        stft.forward(np.zeros((2, 100), dtype=np.float32), out=locked)


def test_what_would_take_gigabytes_is_refused_before_it_is_taken():
    stft = Stft(100_000, window("hann", 2048), 64)
    many = np.broadcast_to(np.zeros(1, dtype=np.float32), (100, 100_000))
    with pytest.raises(ValueError, match="the spectrum of 100 sounds of 100000 samples would take"):
        stft.forward(many)


@pytest.mark.parametrize(("samples", "hop"), [(8, 3), (64, 16), (64, 33), (512, 100)])
def test_the_normaliser_is_what_frame_by_frame_addition_gives(samples, hop):
    values = window("hann", samples)
    for length in (1, samples // 2, 5 * samples + 3):
        stft = Stft(length, values, hop)
        overlap = np.zeros(stft.frames * hop + samples)
        for frame in range(stft.frames):
            overlap[frame * hop :][:samples] += values.astype(float) ** 2
        wanted = 1.0 / (samples * overlap[samples // 2 :][:length])
        np.testing.assert_allclose(stft.normaliser[stft.inside], wanted, rtol=1e-6)
        assert not stft.normaliser[: stft.inside.start].any()


def test_shapes_that_cannot_be():
    for arguments, words in (
        ((0, 4, 4), "length_samples must be at least 1"),
        ((10, 4.0, 4), "bands must be a whole number, not 4.0"),
        ((10, 4, 0), "frames must be at least 1"),
        ((1000, 4, 4), "Use at least 251 frames"),
    ):
        with pytest.raises(ValueError, match=words):
            shape_for(*arguments)


def test_the_draft_shape():
    shape = shape_for(30_870, 256, 244)
    assert shape == StftShape(30_870, 256, 244, 512, 128, 31_232, 2)
    assert shape.generated_frames == 246


@settings(deadline=None, max_examples=60)
@given(length=st.integers(1, 5000), half=st.integers(4, 200), frames=st.integers(1, 300))
def test_a_sound_and_its_windows_fit_into_its_shape(length, half, frames):
    try:
        shape = shape_for(length, half, frames)
    except ValueError as error:
        least = int(str(error).split("Use at least ")[1].split()[0])
        assert frames < least
        shape = shape_for(length, half, least)
    stft = Stft(shape.padded_samples, window("hann", shape.window_samples), shape.hop_samples)
    assert stft.frames == shape.generated_frames
    assert stft.bins == shape.bands + 1
    assert Stft(length, stft.window, shape.hop_samples).frames <= shape.frames
    audio = np.zeros((1, shape.padded_samples), dtype=np.float32)
    audio[0, :length] = 1.0
    spectrum = stft.forward(audio)
    assert not spectrum[:, shape.frames :].any()
    # One sample less of a hop would not do.
    assert shape.hop_samples == 1 or (shape.hop_samples - 1) * shape.frames < length + half


def test_kernels_do_what_their_python_does(noise):
    quiet = np.float32([0.0, 1e-45, -1e-31, -2e-30, 1e-30, 1.0, -3.0])
    kept, slow = quiet.copy(), quiet.copy()
    framing.silence_below(kept, np.float32(1e-30))
    framing.silence_below.py_func(slow, np.float32(1e-30))
    assert kept.tolist() == slow.tolist() == [0.0, 0.0, 0.0, *quiet[3:].tolist()]
    values = window("hann", 64)
    fast, slow = np.zeros((2, 6, 64), dtype=np.float32)
    framing.frame_real(noise[0], values, 16, 3, fast)
    framing.frame_real.py_func(noise[0], values, 16, 3, slow)
    assert fast.tobytes() == slow.tobytes()
    fast_sum, slow_sum = np.zeros((2, 400), dtype=np.float32)
    framing.overlap_real(fast, values, 16, 3, fast_sum)
    framing.overlap_real.py_func(slow, values, 16, 3, slow_sum)
    np.testing.assert_allclose(fast_sum, slow_sum, atol=1e-6)


def test_two_frames_travel_through_one_transform(noise):
    frames = noise[:, :64].astype(np.complex64)
    spectra = np.fft.rfft(noise[:, :64], axis=1).astype(np.complex64)
    packed = np.zeros(128, dtype=np.float32)
    projection.pack_pair(*planes(spectra), packed)
    together = np.fft.fft(frames[0] + 1j * frames[1]).astype(np.complex64)
    np.testing.assert_allclose(packed.view(np.complex64), together, atol=1e-4)
    rows = np.zeros((4, 33), dtype=np.float32)
    projection.unpack_pair(packed, *rows)
    np.testing.assert_allclose(rows, planes(spectra), atol=1e-5)


def planes(spectra):
    return [np.ascontiguousarray(plane) for row in spectra for plane in (row.real, row.imag)]
