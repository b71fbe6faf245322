import librosa
import numpy as np
import pytest
import reference

from dsp.kernels import projection
from dsp.phase import HANN_GAMMA, energy_mask, fit_gamma, griffin_lim, pghi, raar, window_gamma
from dsp.stft import Stft, window

REFERENCE_DB = -80.0  # ten iterations in single against ten in double precision
IMPULSE_SAMPLES = 8  # 0.2 ms; magnitudes sampled every 128 say no more about a click after 30 iterations
LENGTH = 22_050


@pytest.fixture(params=[("hann", 1024, 256), ("kaiser", 512, 128)], ids=lambda p: p[0])
def setting(request):
    name, samples, hop = request.param
    return name, Stft(LENGTH, window(name, samples), hop)


def start_for(magnitude, name, stft, seed=0):
    gamma = window_gamma(name, stft.window_samples)
    sizes = {"hop_samples": stft.hop_samples, "window_samples": stft.window_samples}
    return pghi(magnitude, gamma=gamma, seed=seed, **sizes)


def convergence_db(stft, audio, magnitude):
    return reference.spectral_convergence_db(np.abs(stft.forward(audio)), magnitude)


def random_phase(stft):
    return np.random.default_rng(5).uniform(-np.pi, np.pi, (stft.frames, stft.bins)).astype(np.float32)


@pytest.mark.parametrize("iterations", [0, 1, 10])
def test_griffin_lim_is_the_reference(iterations, noise):
    values = window("hann", 256)
    stft = Stft(6000, values, 64)
    magnitude = np.abs(stft.forward(noise[:1]))
    phase = random_phase(stft)
    result = griffin_lim(magnitude, stft, iterations=iterations, momentum=0.9, start_phase=phase)
    wanted = reference.griffin_lim(magnitude[0].astype(float), values, 64, 6000, iterations, 0.9, phase)
    assert reference.error_db(result[0], wanted) < REFERENCE_DB


def test_raar_is_the_reference(noise):
    values = window("hann", 256)
    stft = Stft(6000, values, 64)
    magnitude = np.abs(stft.forward(noise[:1]))
    phase = random_phase(stft)
    settings = {"iterations": 6, "relaxation": 0.9}
    result = raar(magnitude, stft, tail_iterations=0, start_phase=phase, **settings)
    wanted = reference.raar(magnitude[0].astype(float), values, 64, 6000, phase=phase, **settings)
    assert reference.error_db(result[0], wanted) < REFERENCE_DB


def test_as_good_as_librosa(kick):
    stft = Stft(LENGTH, window("hann", 1024), 256)
    magnitude = np.abs(stft.forward(kick[None]))
    # librosa ends with the last frame centred inside the sound, so it gets those only, and no length.
    frames = 1 + LENGTH // 256
    theirs = librosa.griffinlim(
        magnitude[0, :frames].T, n_iter=32, hop_length=256, momentum=0.99, random_state=0
    )
    theirs = np.pad(theirs, (0, LENGTH - len(theirs)))
    ours = griffin_lim(magnitude, stft, iterations=32)
    assert convergence_db(stft, ours, magnitude) < convergence_db(stft, theirs[None], magnitude) + 3.0


def test_the_true_phase_gives_the_sound(kick, setting):
    _, stft = setting
    spectrum = stft.forward(kick[None])
    result = griffin_lim(np.abs(spectrum), stft, iterations=5, start_phase=np.angle(spectrum))
    assert reference.error_db(result[0], kick) < -60.0


def test_integration_beats_chance(kick, setting):
    name, stft = setting
    magnitude = np.abs(stft.forward(kick[None]))
    start = start_for(magnitude[0], name, stft)
    assert start.dtype == np.float32
    assert np.abs(start).max() <= np.float32(np.pi) + 1e-6
    # The Kaiser window's wide main lobe leaves little redundancy at a hop of a quarter.
    hoped_db, gain_db = {"hann": (-15.0, 3.0), "kaiser": (-9.0, 0.5)}[name]
    alone = convergence_db(stft, griffin_lim(magnitude, stft, iterations=0, start_phase=start), magnitude)
    chance = convergence_db(stft, griffin_lim(magnitude, stft, iterations=0), magnitude)
    assert alone < hoped_db < -6.0 < chance
    helped = convergence_db(stft, griffin_lim(magnitude, stft, start_phase=start), magnitude)
    assert helped < convergence_db(stft, griffin_lim(magnitude, stft), magnitude) - gain_db


def test_reflections_go_on_where_griffin_lim_stagnates(kick, setting):
    name, stft = setting
    magnitude = np.abs(stft.forward(kick[None]))
    start = start_for(magnitude[0], name, stft)
    reflected = raar(magnitude, stft, iterations=60, start_phase=start)
    plain = griffin_lim(magnitude, stft, iterations=60, start_phase=start)
    assert convergence_db(stft, reflected, magnitude) < convergence_db(stft, plain, magnitude) - 3.0


def test_integration_is_as_good_as_the_published_heap(kick):
    stft = Stft(LENGTH, window("hann", 512), 128)
    magnitude = np.abs(stft.forward(kick[None]))
    slow = reference.pghi(magnitude[0].astype(float), HANN_GAMMA * 512**2, 128, 512).astype(np.float32)
    ours = griffin_lim(magnitude, stft, iterations=0, start_phase=start_for(magnitude[0], "hann", stft))
    theirs = griffin_lim(magnitude, stft, iterations=0, start_phase=slow)
    assert convergence_db(stft, ours, magnitude) < convergence_db(stft, theirs, magnitude) + 1.0


def test_integration_follows_a_tone():
    stft = Stft(8192, window("gaussian", 512), 64)
    tone = np.cos(2 * np.pi * 30.3 / 512 * np.arange(8192)).astype(np.float32)[None]
    spectrum = stft.forward(tone)[0]
    phase = start_for(np.abs(spectrum), "gaussian", stft)
    # Up to one constant, which no magnitude can tell, the ridge has the true phase.
    difference = np.exp(1j * (phase - np.angle(spectrum)))[10:-10, 29:33]
    assert np.abs(difference.mean()) > 0.95


def test_gamma():
    assert fit_gamma(window("hann", 512)) / 512**2 == pytest.approx(HANN_GAMMA, rel=0.05)
    assert window_gamma("gaussian", 512) == pytest.approx(fit_gamma(window("gaussian", 512)), rel=0.05)
    assert window_gamma("kaiser", 512) < window_gamma("kaiser", 512, beta=6.0)
    # A Kaiser window tends to the Gaussian of the same curvature at its peak: exp(-β t²/2 (2/N)²).
    assert window_gamma("kaiser", 512, beta=60.0) == pytest.approx(np.pi * 512**2 / 120, rel=0.05)


def test_a_batch_is_its_sounds(noise):
    stft = Stft(6000, window("hann", 512), 128)
    magnitude = np.abs(stft.forward(noise))
    for method in (griffin_lim, raar):
        together = method(magnitude, stft, iterations=12)
        apart = [method(magnitude[i : i + 1], stft, iterations=12)[0] for i in range(2)]
        assert together.tobytes() == np.stack(apart).tobytes()
        assert method(magnitude[::-1], stft, iterations=12).tobytes() == together[::-1].tobytes()


def test_seeds(noise):
    stft = Stft(6000, window("hann", 512), 128)
    magnitude = np.abs(stft.forward(noise[[0, 0]]))
    shared = griffin_lim(magnitude, stft, iterations=3, seed=4)
    assert shared[0].tobytes() == shared[1].tobytes()
    apart = griffin_lim(magnitude, stft, iterations=3, seed=[4, 5])
    assert apart[0].tobytes() == shared[0].tobytes() != apart[1].tobytes()
    with pytest.raises(ValueError, match="3 seeds for 2 sounds"):
        griffin_lim(magnitude, stft, seed=[1, 2, 3])
    quiet = np.full((9, 257), 1e-9, dtype=np.float32)
    quiet[4, 100] = 1.0
    sizes = {"gamma": 6e4, "hop_samples": 128, "window_samples": 512}
    assert pghi(quiet, seed=1, **sizes).tobytes() == pghi(quiet, seed=1, **sizes).tobytes()
    assert (pghi(quiet, seed=1, **sizes) != pghi(quiet, seed=2, **sizes)).mean() > 0.9


@pytest.mark.parametrize("method", [griffin_lim, raar])
def test_silence_stays_silence(method):
    stft = Stft(3000, window("hann", 256), 64)
    silence = np.zeros((2, stft.frames, stft.bins), dtype=np.float32)
    assert not method(silence, stft).any()
    assert np.isfinite(start_for(silence[0], "hann", stft)).all()


@pytest.mark.parametrize("method", [griffin_lim, raar])
def test_nothing_before_the_onset(method, noise):
    stft = Stft(6000, window("hann", 512), 128)
    support = np.arange(6000) >= 1500
    magnitude = np.abs(stft.forward(noise * support))
    assert not method(magnitude, stft, support=support)[:, :1500].any()
    assert method(magnitude, stft, support=support)[:, 1500:].any()


def test_an_impulse_stays_put():
    stft = Stft(6000, window("hann", 512), 128)
    audio = np.zeros((1, 6000), dtype=np.float32)
    audio[0, 3000] = 1.0
    magnitude = np.abs(stft.forward(audio))
    result = raar(magnitude, stft, start_phase=start_for(magnitude[0], "hann", stft))
    assert abs(np.abs(result[0]).argmax() - 3000) <= IMPULSE_SAMPLES


def test_loudness_is_only_a_factor(kick):
    stft = Stft(LENGTH, window("hann", 1024), 256)
    magnitude = np.abs(stft.forward(kick[None]))
    result = griffin_lim(magnitude, stft, iterations=4)
    assert griffin_lim(magnitude * np.float32(0.25), stft, iterations=4) == pytest.approx(
        0.25 * result, abs=1e-5
    )


def test_the_mask_of_the_draft(noise):
    stft = Stft(6000, window("hann", 512), 128)
    magnitude = np.abs(stft.forward(noise))
    mask = energy_mask(magnitude)
    assert set(np.unique(mask)) == {0.0, 1.0}
    assert (mask[1] == (magnitude[1] > magnitude[1].mean())).all()
    masked = griffin_lim(magnitude, stft, iterations=3, mask=mask)
    assert masked.tobytes() == griffin_lim(magnitude * mask, stft, iterations=3).tobytes()


def test_misuse():
    stft = Stft(300, window("hann", 64), 16)
    good = np.ones((1, stft.frames, stft.bins), dtype=np.float32)
    for change, words in (
        ({"iterations": -1}, "iterations must be 0 or more"),
        ({"momentum": 3.0}, "momentum must lie between"),
        ({"mask": np.ones((2, 2))}, "mask must be"),
        ({"start_phase": np.ones((2, 2))}, "start_phase must be"),
        ({"support": np.ones(3)}, r"support must have the shape \[300\]"),
    ):
        with pytest.raises(ValueError, match=words):
            griffin_lim(good, stft, **change)
    with pytest.raises(ValueError, match="relaxation"):
        raar(good, stft, relaxation=1.5)
    with pytest.raises(ValueError, match="magnitude must be"):
        griffin_lim(good[0], stft)
    with pytest.raises(ValueError, match="negative or not finite"):
        griffin_lim(-good, stft)
    sizes = {"gamma": 1e3, "hop_samples": 16, "window_samples": 64}
    for change, words in (
        ({"gamma": 0.0}, "gamma"),
        ({"hop_samples": 0}, "hop"),
        ({"tolerance": 2.0}, "tolerance"),
        ({"window_samples": 128}, "magnitude must have the shape"),
    ):
        with pytest.raises(ValueError, match=words):
            pghi(good[0], **{**sizes, **change})


def test_kernels_do_what_their_python_does():
    random = np.random.default_rng(0)
    f = np.float32
    half = 10
    spectra = random.standard_normal((2, 2, 4, half + 1)).astype(
        f
    )  # two channels, two frames each, re and im
    spectra[:, :, 1::2, [0, half]] = 0.0
    planes = [np.abs(random.standard_normal((2, half + 1))).astype(f) for _ in range(4)]
    left, right, angle, _ = planes
    cosine, sine = np.cos(angle), np.sin(angle)
    state = random.standard_normal((4, 2, half + 1)).astype(f)

    def run(python):
        def of(kernel):
            return kernel.py_func if python else kernel

        packed = np.zeros((2, 1, 4 * half), dtype=f)
        for channel in range(2):
            of(projection.pack_pair)(*spectra[channel, :, :2].reshape(4, -1), packed[channel, 0])
        rows = np.zeros((8, half + 1), dtype=f)
        u = state.copy()
        hard, soft = np.zeros((0, 0), dtype=f), planes[3] / 4
        weights = f(0.2), f(0.9), f(0.8), f(1.1)
        results = [packed.copy()]
        for kernel, arguments in (
            (projection.project_pairs, (packed[0], left, hard, rows)),
            (projection.project_pairs, (packed[0], left, soft, rows)),
            (projection.project_pairs, (packed[0], left[:, :6], hard, rows)),
            (projection.reflect_pairs, (packed[0], u[0], u[1], left, hard, *weights, rows)),
            (projection.reflect_pairs, (packed[0], u[0], u[1], left, soft, *weights, rows)),
            (projection.reflect_pairs, (packed[0], u[0], u[1], left[:, :6], hard, *weights, rows)),
            (projection.project_stereo_pairs, (*packed, left, right, cosine, sine, True, rows)),
            (
                projection.reflect_stereo_pairs,
                (*packed, u, left, right, cosine, sine, False, *weights, rows),
            ),
        ):
            of(kernel)(*arguments)
            results.append(packed.copy())
        return [*results, u]

    for fast, slow in zip(run(False), run(True), strict=True):
        np.testing.assert_allclose(fast, slow, atol=1e-5)


def test_a_first_run_that_compiles_gives_the_bytes_of_every_later_one(tmp_path):
    import hashlib
    import os
    import subprocess
    import sys

    code = (
        "import sys, numpy as np\n"
        "from dsp.phase import griffin_lim, raar\n"
        "from dsp.stft import Stft, window\n"
        "stft = Stft(12_000, window('hann', 2048), 256)\n"
        "magnitude = np.abs(stft.forward(np.random.default_rng(0).standard_normal((1, 12_000)).astype(np.float32)))\n"
        "for method in (raar, griffin_lim):\n"
        "    sys.stdout.buffer.write(method(magnitude, stft, iterations=12, seed=1).tobytes())\n"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    assert len(runs[0]) == 2 * 4 * 12_000
    assert len({hashlib.sha256(run).digest() for run in runs}) == 1
