import numpy as np
import pytest
import reference

from dsp import fidelity
from dsp.phase import METHODS, STARTS, griffin_lim, pghi, raar, reconstruct, window_gamma
from dsp.stft import Stft, window

LENGTH = 12_000
REFERENCE_DB = -80.0  # a few iterations in single against the same in double precision


@pytest.fixture(scope="module")
def stft():
    return Stft(LENGTH, window("hann", 1024), 256)


@pytest.fixture
def stereo(kick):
    """Two stereo kicks whose channels differ in level, delay and noise. float32 [2, 2, LENGTH]."""
    random = np.random.default_rng(7)
    decay = np.exp(-np.arange(LENGTH) / 3000)
    hiss = 0.05 * random.standard_normal((4, LENGTH)) * decay
    left = kick[:LENGTH]
    right = 0.7 * np.roll(left, 9)
    sounds = np.array([[left + hiss[0], right + hiss[1]], [right + hiss[2], 0.5 * left + hiss[3]]])
    sounds[..., :44] = 0.0
    return sounds.astype(np.float32)


def spectra(stft, sounds):
    flat = stft.forward(sounds.reshape(-1, stft.length_samples))
    return flat.reshape(*sounds.shape[:2], stft.frames, stft.bins)


def convergence_db(stft, sounds, magnitude):
    return fidelity.spectral_convergence_db(np.abs(spectra(stft, sounds)), magnitude)


def planes(stft, sounds):
    spectrum = spectra(stft, sounds)
    return {
        "mid": np.abs(spectrum.mean(axis=1)),
        "difference": np.angle(spectrum[:, 1] * spectrum[:, 0].conj()).astype(np.float32),
    }


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("start", STARTS)
def test_every_method_from_every_start(method, start, stft, stereo):
    magnitude = np.abs(spectra(stft, stereo))
    count = 3 if method == "rtisi-la" else 25
    result = reconstruct(magnitude, stft, method=method, start=start, iterations=count)
    assert result.dtype == np.float32
    assert result.shape == stereo.shape
    assert convergence_db(stft, result, magnitude) < (-14.0 if start in ("pghi", "low-band") else -9.0)


def test_single_channels_are_the_plain_loops(stft, stereo):
    magnitude = np.abs(spectra(stft, stereo[:1]))
    start = np.sqrt(np.mean(np.square(magnitude[0]), axis=0))
    sizes = {"gamma": window_gamma("hann", 1024), "hop_samples": 256, "window_samples": 1024}
    phase = pghi(start, seed=(3, 0), **sizes)
    ours = reconstruct(magnitude, stft, method="raar", start="pghi", iterations=24, seed=3)
    assert ours[0].tobytes() == raar(magnitude[0], stft, iterations=24, start_phase=phase).tobytes()
    settings = {"start": "pghi", "iterations": 24, "seed": 3}
    ours = reconstruct(magnitude, stft, method="fast-griffin-lim", **settings)
    assert ours[0].tobytes() == griffin_lim(magnitude[0], stft, iterations=24, start_phase=phase).tobytes()
    given = reconstruct(magnitude, stft, iterations=24, start=phase)
    both = reconstruct(magnitude, stft, iterations=24, start=np.stack([phase, phase])[np.newaxis])
    assert given.tobytes() == both.tobytes() == reconstruct(magnitude, stft, **settings).tobytes()


@pytest.mark.parametrize("penalty", [0.0, 0.2])
def test_admm_is_its_textbook_form(penalty, stft, kick):
    magnitude = np.abs(stft.forward(kick[np.newaxis, :LENGTH]))
    phase = np.random.default_rng(2).uniform(-np.pi, np.pi, magnitude.shape[1:]).astype(np.float32)
    settings = {"start": phase, "iterations": 5, "tail_iterations": 0}
    ours = reconstruct(magnitude[np.newaxis], stft, method="admm", penalty=penalty, **settings)[0, 0]
    wanted = reference.admm(
        magnitude[0].astype(float), stft.window, 256, LENGTH, iterations=5, penalty=penalty, phase=phase
    )
    assert reference.error_db(ours, wanted) < REFERENCE_DB
    if penalty == 0.0:
        same = reconstruct(magnitude[np.newaxis], stft, method="douglas-rachford", **settings)[0, 0]
        assert same.tobytes() == ours.tobytes()


@pytest.mark.parametrize("method", ["fast-griffin-lim", "raar"])
@pytest.mark.parametrize("scheme", ["mid", "difference"])
def test_a_third_plane_is_the_reference(method, scheme, stft, stereo):
    spectrum = spectra(stft, stereo)[0]
    magnitude = np.abs(spectrum)
    phase = np.random.default_rng(2).uniform(-np.pi, np.pi, magnitude.shape).astype(np.float32)
    ours = reconstruct(
        magnitude[np.newaxis],
        stft,
        method=method,
        iterations=4,
        tail_iterations=0,
        start=phase[np.newaxis],
        stereo=scheme,
        **{scheme: planes(stft, stereo[:1])[scheme]},
    )[0]
    wanted = reference.joint(
        magnitude.astype(float),
        stft.window,
        256,
        LENGTH,
        iterations=4,
        phase=phase,
        reflect=method == "raar",
        difference=np.angle(spectrum[1] * spectrum[0].conj()),
        signed=scheme == "difference",
    )
    assert reference.error_db(ours, wanted) < -60.0  # arc cosines of nearly parallel channels cost digits


def test_what_a_third_plane_is_good_for(stft, stereo):
    magnitude = np.abs(spectra(stft, stereo))
    other = Stft(LENGTH, window("hann", 2048), 512)

    def errors(scheme):
        third = {scheme: planes(stft, stereo)[scheme]} if scheme in ("mid", "difference") else {}
        results = reconstruct(
            magnitude, stft, method="raar", start="pghi", iterations=60, stereo=scheme, **third
        )
        pairs = list(zip(results, stereo, strict=True))
        return (
            max(fidelity.mono_sum_error_db(*pair) for pair in pairs),
            max(fidelity.coherence_error(*pair, other) for pair in pairs),
        )

    independent, shared = errors("independent"), errors("shared")
    mid, difference = errors("mid"), errors("difference")
    assert max(mid[0], difference[0]) < 0.05 < independent[0]
    assert difference[1] < 0.005
    assert mid[1] < 0.05 < independent[1]  # the size of a phase difference leaves its sign open
    assert shared[0] < independent[0]


@pytest.mark.parametrize("scheme", ["shared", "mid", "difference"])
def test_channels_are_treated_alike(scheme, stft, stereo):
    magnitude = np.abs(spectra(stft, stereo))
    third = planes(stft, stereo)
    swapped = {"mid": third["mid"], "difference": -third["difference"]}

    def run(magnitude, third):
        given = {scheme: third[scheme]} if scheme in third else {}
        return reconstruct(magnitude, stft, iterations=14, stereo=scheme, **given)

    results = run(magnitude, third)
    assert run(magnitude[:, ::-1], swapped)[:, ::-1].tobytes() == results.tobytes()
    mono = magnitude[:, [0, 0]]
    flat = {"mid": mono[:, 0], "difference": np.zeros_like(third["difference"])}
    left, right = run(mono, flat).transpose(1, 0, 2)
    assert left.tobytes() == right.tobytes()


@pytest.mark.parametrize("scheme", ["shared", "mid", "difference", "independent"])
def test_neither_batch_nor_threads_matter(scheme, stft, stereo):
    magnitude = np.abs(spectra(stft, stereo))
    third = {scheme: planes(stft, stereo)[scheme]} if scheme in ("mid", "difference") else {}
    settings = {"iterations": 14, "stereo": scheme, "start": "random"}
    together = reconstruct(magnitude, stft, seed=[4, 5], threads=3, **settings, **third)
    for i in range(2):
        alone = {name: plane[i : i + 1] for name, plane in third.items()}
        result = reconstruct(magnitude[i : i + 1], stft, seed=4 + i, **settings, **alone)
        assert result[0].tobytes() == together[i].tobytes()


def test_sounds_that_end_early_leave_no_trace(stft, stereo):
    short = stereo[:1].copy()
    short[..., 5000:] = 0.0
    magnitude = np.abs(spectra(stft, short))
    alone = reconstruct(magnitude, stft, iterations=14)
    assert not alone[..., 6500:].any()
    assert convergence_db(stft, alone, magnitude) < -18.0
    mixed = np.concatenate([np.abs(spectra(stft, stereo)), magnitude])
    assert reconstruct(mixed, stft, iterations=14)[2].tobytes() == alone[0].tobytes()


def test_a_tolerance_ends_early_and_stretches_are_one(stft, stereo):
    magnitude = np.abs(spectra(stft, stereo[:1]))
    for method in ("raar", "fast-griffin-lim"):
        whole = reconstruct(magnitude, stft, method=method, iterations=45)
        never = reconstruct(magnitude, stft, method=method, iterations=45, tolerance_db=-300.0)
        # A stretch ends with a look, from which reflections go on with other rounding, which grows.
        assert reference.error_db(never, whole) < -35.0
        early = reconstruct(magnitude, stft, method=method, iterations=45, tolerance_db=-14.0)
        assert convergence_db(stft, whole, magnitude) < convergence_db(stft, early, magnitude) < -14.0


def test_masks_and_supports(stft, stereo):
    magnitude = np.abs(spectra(stft, stereo))
    mask = np.random.default_rng(0).random(magnitude.shape[2:], dtype=np.float32)
    masked = reconstruct(magnitude, stft, iterations=6, mask=mask)
    assert masked.tobytes() == reconstruct(magnitude * mask, stft, iterations=6).tobytes()
    support = np.arange(LENGTH) >= 44
    for scheme in ("shared", "mid"):
        third = {"mid": planes(stft, stereo)["mid"]} if scheme == "mid" else {}
        result = reconstruct(magnitude, stft, iterations=20, support=support, stereo=scheme, **third)
        assert not result[..., :44].any()
        assert convergence_db(stft, result, magnitude) < -18.0


def test_silence_stays_silence(stft):
    silence = np.zeros((1, 2, stft.frames, stft.bins), dtype=np.float32)
    for scheme in ("shared", "mid", "independent"):
        third = {"mid": silence[:, 0]} if scheme == "mid" else {}
        assert not reconstruct(silence, stft, iterations=14, stereo=scheme, **third).any()
    assert reconstruct(silence[:0], stft).shape == (0, 2, LENGTH)


def test_misuse(stft):
    good = np.ones((1, 2, stft.frames, stft.bins), dtype=np.float32)
    for change, words in (
        ({"method": "magic"}, "no method 'magic'; choose griffin-lim"),
        ({"tail": "rtisi-la"}, "no tail 'rtisi-la'"),
        ({"start": "nowhere"}, "no start 'nowhere'"),
        ({"start": good[0, 0, :2]}, "start must be"),
        ({"stereo": "wide"}, "no stereo 'wide'"),
        ({"stereo": "mid"}, "needs a plane 'mid'.*but got none"),
        ({"stereo": "difference", "difference": good[0]}, "needs a plane 'difference'"),
        ({"stereo": "mid", "mid": good[:, 0], "method": "rtisi-la"}, "not for the method 'rtisi-la'"),
        ({"seed": [1, 2]}, "2 seeds for 1 sounds"),
        ({"tail": "soft-raar"}, "no tail 'soft-raar'"),
        ({"penalty": -1.0}, "penalty must lie between"),
        ({"threads": 0}, "threads must be 1 or more"),
    ):
        with pytest.raises(ValueError, match=words):
            reconstruct(good, stft, **change)
    with pytest.raises(ValueError, match="beyond 1e\\+15"):
        reconstruct(good * np.float32(1e16), stft)
    with pytest.raises(ValueError, match=r"magnitude must be \[batch, channel, "):
        reconstruct(good[0], stft)
    with pytest.raises(ValueError, match="for two channels"):
        reconstruct(good[:, :1], stft, stereo="mid", mid=good[:, 0])


def test_far_reflections_and_a_low_end_found_first(stft, kick):
    magnitude = np.abs(stft.forward(kick[np.newaxis, :LENGTH]))[np.newaxis]
    sound = kick[np.newaxis, :LENGTH]

    def low_db(**settings):
        return fidelity.low_si_sdr_db(reconstruct(magnitude, stft, iterations=60, **settings)[0], sound)

    assert low_db() > 20.0 > low_db(method="raar", start="pghi")
    from_low = reconstruct(magnitude, stft, iterations=30)
    plain = reconstruct(magnitude, stft, iterations=30, method="raar", start="pghi")
    assert convergence_db(stft, from_low, magnitude) < convergence_db(stft, plain, magnitude) - 6.0


def test_an_image_with_errors_is_doubted(stft, stereo):
    clean = np.abs(spectra(stft, stereo[:1]))
    random = np.random.default_rng(0)
    noisy = (clean * 10 ** (random.normal(0.0, 2.0, clean.shape) / 20)).astype(np.float32)
    settings = {"start": "pghi", "iterations": 60}

    def against_clean_db(magnitude, method):
        return convergence_db(stft, reconstruct(magnitude, stft, method=method, **settings), clean)

    assert against_clean_db(noisy, "soft-raar") < against_clean_db(noisy, "raar") - 1.0
    soft = reconstruct(clean, stft, method="soft-raar", **settings)
    # On a clean image it is RAAR, but for rounding where the look at the image interrupts it.
    assert reference.error_db(soft, reconstruct(clean, stft, method="raar", **settings)) < -35.0


@pytest.mark.parametrize(("size", "hop"), [(64, 16), (1024, 100), (32, 8)])
def test_windows_that_cannot_be_decimated(size, hop):
    stft = Stft(2000, window("hann", size), hop)
    magnitude = np.abs(stft.forward(np.random.default_rng(0).standard_normal((1, 2000)).astype(np.float32)))
    assert np.isfinite(reconstruct(magnitude[np.newaxis], stft, iterations=12)).all()


@pytest.mark.parametrize("gain", [1e-9, 1e-3, 1e3, 1e12])
def test_loudness_is_only_a_factor(gain, stft, stereo):
    magnitude = np.abs(spectra(stft, stereo[:1]))
    wanted = reconstruct(magnitude, stft, iterations=20)
    result = reconstruct(magnitude * np.float32(gain), stft, iterations=20) / np.float32(gain)
    assert convergence_db(stft, result, magnitude) < convergence_db(stft, wanted, magnitude) + 2.0


def test_a_tail_by_another_method(stft, stereo):
    magnitude = np.abs(spectra(stft, stereo[:1]))
    settings = {"method": "griffin-lim", "iterations": 80, "start": "random"}
    plain = convergence_db(stft, reconstruct(magnitude, stft, **settings), magnitude)
    tail = {"tail": "raar", "tail_iterations": 60}
    assert convergence_db(stft, reconstruct(magnitude, stft, **settings, **tail), magnitude) < plain - 2.0
    frames = {"method": "rtisi-la", "iterations": 1}
    plain = convergence_db(stft, reconstruct(magnitude, stft, **frames), magnitude)
    result = reconstruct(magnitude, stft, **frames, tail="fast-griffin-lim", tail_iterations=40)
    assert convergence_db(stft, result, magnitude) < plain - 0.5
