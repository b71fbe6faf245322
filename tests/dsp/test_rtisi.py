from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import reference

from dsp.kernels import rtisi as kernels
from dsp.phase import griffin_lim
from dsp.phase.rtisi import RANDOM_SHARE, SMALLEST_SHARE, mirrored_fade, rtisi_la
from dsp.stft import Stft, window

LENGTH = 22_050
IMPULSE_SAMPLES = 8


@pytest.fixture(params=[("hann", 1024, 256), ("kaiser", 512, 128)], ids=lambda p: p[0])
def stft(request):
    name, samples, hop = request.param
    return Stft(LENGTH, window(name, samples), hop)


@pytest.fixture
def small():
    return Stft(3000, window("hann", 256), 64)


def convergence_db(stft, audio, magnitude):
    return reference.spectral_convergence_db(np.abs(stft.forward(audio)), magnitude)


def random_phase(stft):
    return np.random.default_rng(5).uniform(-np.pi, np.pi, (stft.frames, stft.bins)).astype(np.float32)


def slow_rtisi_la(
    magnitude, stft, iterations, look_ahead_frames, start_phase=None, support=None, random=None
):
    """Frame after frame in double precision, every sum over every frame made anew."""
    size, hop, frames = stft.window_samples, stft.hop_samples, stft.frames
    values = stft.window.astype(float)
    inside = slice(size // 2, size // 2 + stft.length_samples)
    allowed = np.zeros(frames * hop + 2 * size)
    allowed[inside] = 1.0 if support is None else support

    def over(segments):
        total = np.zeros_like(allowed)
        for m, segment in segments.items():
            total[m * hop :][:size] += segment * values
        return total

    whole = over(dict.fromkeys(range(frames), values))
    whole[whole == 0.0] = 1.0
    found = {}

    def cut(sound, m):
        return sound[m * hop :][:size]

    def projected(spectrum, m):
        return np.fft.irfft(magnitude[m] * spectrum / np.maximum(np.abs(spectrum), 1e-15), size)

    for step in range(frames + look_ahead_frames):
        if step < frames:
            if start_phase is not None:
                spectrum = np.exp(1j * start_phase[step])
            else:
                sound = over(found) / whole * allowed
                spectrum = np.fft.rfft(cut(sound, step) * mirrored_fade(stft.window, hop))
                spectrum = spectrum + RANDOM_SHARE * magnitude[step] * np.exp(1j * random[step])
            found[step] = projected(spectrum, step)
        share = np.maximum(over(dict.fromkeys(found, values)) / whole, SMALLEST_SHARE)
        for _ in range(iterations):
            sound = over(found) / (whole * share) * allowed
            for m in range(max(step - look_ahead_frames, 0), min(step + 1, frames)):
                found[m] = projected(np.fft.rfft(cut(sound, m) * values), m)
    return (over(found) / whole * allowed)[inside]


@pytest.mark.parametrize("look_ahead_frames", [0, 1, 3])
@pytest.mark.parametrize("iterations", [0, 1, 3])
def test_it_is_the_slow_one(noise, small, iterations, look_ahead_frames):
    support = np.arange(3000) >= 500
    magnitude = np.abs(small.forward(noise[:1, :3000] * support))
    phase = random_phase(small)
    settings = {"iterations": iterations, "look_ahead_frames": look_ahead_frames}
    result = rtisi_la(magnitude, small, start_phase=phase, support=support, **settings)
    wanted = slow_rtisi_la(magnitude[0].astype(float), small, **settings, start_phase=phase, support=support)
    assert reference.error_db(result[0], wanted) < -70.0


def test_frames_enter_as_in_the_slow_one(noise, small):
    magnitude = np.abs(small.forward(noise[:1, :3000]))
    magnitude[:, 12:] = 0.0  # errors of rounding grow from frame to frame
    random = np.random.default_rng(7).random((small.frames, small.bins), dtype=np.float32)
    random = random * np.float32(2 * np.pi) - np.float32(np.pi)
    result = rtisi_la(magnitude, small, iterations=2, seed=7)
    wanted = slow_rtisi_la(magnitude[0].astype(float), small, 2, 3, random=random)
    assert reference.error_db(result[0], wanted) < -50.0


def test_better_than_iterations_over_the_whole_sound(kick, stft):
    magnitude = np.abs(stft.forward(kick[None]))
    chance = convergence_db(stft, griffin_lim(magnitude, stft, iterations=0), magnitude)
    whole = convergence_db(stft, griffin_lim(magnitude, stft, iterations=32), magnitude)
    plain = convergence_db(stft, rtisi_la(magnitude, stft, iterations=32, look_ahead_frames=0), magnitude)
    ahead = convergence_db(stft, rtisi_la(magnitude, stft, iterations=8), magnitude)
    assert plain < chance - 6.0
    assert ahead < whole - 3.0


def test_more_iterations_are_better(noise):
    stft = Stft(6000, window("hann", 512), 128)
    magnitude = np.abs(stft.forward(noise))
    found = [
        convergence_db(stft, rtisi_la(magnitude, stft, iterations=iterations), magnitude)
        for iterations in (0, 1, 4, 16)
    ]
    assert found == sorted(found, reverse=True)


def test_the_true_phase_gives_the_sound(kick, stft):
    spectrum = stft.forward(kick[None])
    phase = np.angle(spectrum)
    untouched = rtisi_la(np.abs(spectrum), stft, iterations=0, start_phase=phase)
    assert reference.error_db(untouched[0], kick) < -100.0
    worked_on = rtisi_la(np.abs(spectrum), stft, iterations=8, start_phase=phase)
    assert convergence_db(stft, worked_on, np.abs(spectrum)) < -40.0


def test_the_fade_of_the_frames_before():
    """At a hop of a quarter the squared Hann windows add up to 3/2, so the first hop is nearly all earlier frames."""
    values = window("hann", 256)
    fade = mirrored_fade(values, 64)
    squared = values.astype(float) ** 2
    wanted = [sum(squared[64 * j :][n] for j in (1, 2, 3) if 64 * j + n < 256) / 1.5 for n in range(256)]
    np.testing.assert_allclose(fade[1:], wanted[:0:-1], atol=1e-6)
    assert fade[0] == 0.0
    assert not mirrored_fade(values, 256).any()  # no frame reaches into the next


def test_a_batch_is_its_sounds(noise, small):
    magnitude = np.abs(small.forward(noise[:, :3000]))
    together = rtisi_la(magnitude, small)
    apart = [rtisi_la(magnitude[i : i + 1], small)[0] for i in range(2)]
    assert together.tobytes() == np.stack(apart).tobytes()
    assert rtisi_la(magnitude[::-1], small).tobytes() == together[::-1].tobytes()
    assert rtisi_la(magnitude[:0], small).shape == (0, 3000)


def test_threads_do_not_meet(noise):
    def work(_):
        stft = Stft(3000, window("hann", 256), 64)
        return rtisi_la(np.abs(stft.forward(noise[:, :3000])), stft).tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(work, range(8)))) == 1


def test_seeds(noise, small):
    magnitude = np.abs(small.forward(noise[[0, 0], :3000]))
    shared = rtisi_la(magnitude, small, seed=4)
    assert shared.tobytes() == rtisi_la(magnitude, small, seed=4).tobytes()
    assert shared[0].tobytes() == shared[1].tobytes()
    apart = rtisi_la(magnitude, small, seed=[4, 5])
    assert apart[0].tobytes() == shared[0].tobytes() != apart[1].tobytes()
    with pytest.raises(ValueError, match="3 seeds for 2 sounds"):
        rtisi_la(magnitude, small, seed=[1, 2, 3])


def test_silence_stays_silence(small):
    silence = np.zeros((2, small.frames, small.bins), dtype=np.float32)
    assert not rtisi_la(silence, small).any()
    assert not rtisi_la(silence, small, start_phase=random_phase(small)).any()


def test_a_sound_after_silence_and_before_it(noise, small):
    burst = noise[:1, :3000] * ((np.arange(3000) > 1000) & (np.arange(3000) < 1800))
    magnitude = np.abs(small.forward(burst))
    result = rtisi_la(magnitude, small)
    assert np.isfinite(result).all()
    assert not result[:, : 1000 - 256].any()
    assert not result[:, 1800 + 256 :].any()
    assert convergence_db(small, result, magnitude) < -12.0


def test_the_mask_multiplies(noise, small):
    magnitude = np.abs(small.forward(noise[:, :3000]))
    mask = (np.random.default_rng(0).random(magnitude.shape) > 0.3).astype(np.float32)
    masked = rtisi_la(magnitude, small, mask=mask)
    assert masked.tobytes() == rtisi_la(magnitude * mask, small).tobytes()
    assert masked.tobytes() != rtisi_la(magnitude, small).tobytes()
    shared = rtisi_la(magnitude, small, mask=mask[0])
    assert shared.tobytes() == rtisi_la(magnitude * mask[0], small).tobytes()


def test_nothing_before_the_onset(noise, small):
    support = np.arange(3000) >= 700
    magnitude = np.abs(small.forward(noise[:, :3000] * support))
    result = rtisi_la(magnitude, small, support=support)
    assert not result[:, :700].any()
    assert result[:, 700:].any(axis=1).all()
    without = convergence_db(small, rtisi_la(magnitude, small), magnitude)
    assert convergence_db(small, result, magnitude) < without


def test_an_impulse_stays_put(small):
    audio = np.zeros((1, 3000), dtype=np.float32)
    audio[0, 1500] = 1.0
    magnitude = np.abs(small.forward(audio))
    phase = np.angle(small.forward(audio)) + 0.5 * random_phase(small)
    result = rtisi_la(magnitude, small, iterations=20, start_phase=phase)
    assert abs(np.abs(result[0]).argmax() - 1500) <= IMPULSE_SAMPLES


def test_loudness_is_only_a_factor(kick, stft):
    magnitude = np.abs(stft.forward(kick[None]))
    result = rtisi_la(magnitude, stft, iterations=4)
    quarter = rtisi_la(magnitude * np.float32(0.25), stft, iterations=4)
    assert quarter == pytest.approx(0.25 * result, abs=1e-4)


@pytest.mark.parametrize(
    ("length", "size", "hop"), [(1, 64, 16), (100, 256, 64), (500, 64, 50), (999, 64, 1)]
)
def test_odd_sizes(length, size, hop):
    stft = Stft(length, window("hann", size) if hop < 50 else np.ones(size, dtype=np.float32), hop)
    audio = np.random.default_rng(0).standard_normal((1, length)).astype(np.float32)
    magnitude = np.abs(stft.forward(audio))
    for look_ahead_frames in (0, 3, 12):
        result = rtisi_la(magnitude, stft, iterations=2, look_ahead_frames=look_ahead_frames)
        assert result.shape == (1, length)
        assert np.isfinite(result).all() and result.any()


def test_misuse():
    stft = Stft(300, window("hann", 64), 16)
    good = np.ones((1, stft.frames, stft.bins), dtype=np.float32)
    for change, words in (
        ({"iterations": -1}, "iterations must be 0 or more"),
        ({"look_ahead_frames": -1}, "look_ahead_frames must be 0 or more"),
        ({"mask": np.ones((2, 2))}, "mask must be"),
        ({"start_phase": np.ones((2, 2))}, "start_phase must be"),
        ({"support": np.ones(3)}, r"support must have the shape \[300\]"),
    ):
        with pytest.raises(ValueError, match=words):
            rtisi_la(good, stft, **change)
    with pytest.raises(ValueError, match="magnitude must be"):
        rtisi_la(good[0], stft)
    with pytest.raises(ValueError, match="negative or not finite"):
        rtisi_la(-good, stft)


def test_kernels_do_what_their_python_does():
    random = np.random.default_rng(0)

    def values(*shape):
        return random.random(shape).astype(np.float32)

    for kernel, arguments in (
        (kernels.partial_gain, (values(40), values(40), values(40), np.float32(0.03), values(40))),
        (kernels.lay_over, (values(3, 16), values(24), values(16), 4, values(24), values(24))),
        (kernels.project, (values(3, 18), values(3, 9))),
        (kernels.add_phasors, (values(18), np.float32(0.1), values(9), values(9))),
    ):
        fast = [np.copy(a) if isinstance(a, np.ndarray) else a for a in arguments]
        slow = [np.copy(a) if isinstance(a, np.ndarray) else a for a in arguments]
        kernel(*fast)
        kernel.py_func(*slow)
        changed = 0
        for before, one, other in zip(arguments, fast, slow, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
            changed += not np.array_equal(before, one)
        assert changed == 1


def test_projection_sets_the_magnitude_and_keeps_the_phase():
    random = np.random.default_rng(0)
    spectra = (random.standard_normal((3, 9)) + 1j * random.standard_normal((3, 9))).astype(np.complex64)
    spectra[1, 4] = 0.0
    target = random.random((3, 9)).astype(np.float32)
    projected = spectra.copy()
    kernels.project(projected.view(np.float32), target)
    loud = spectra != 0.0
    np.testing.assert_allclose(np.abs(projected)[loud], target[loud], rtol=1e-5)
    np.testing.assert_allclose(np.angle(projected[loud]), np.angle(spectra[loud]), atol=1e-5)
    assert projected[1, 4] == 0.0
