import numpy as np
import pytest
import reference

from dsp.phase import griffin_lim
from dsp.phase.drafts import GATE_DB, VARIANTS
from dsp.stft import Stft, window

LENGTH = 4000


@pytest.fixture
def stft():
    return Stft(LENGTH, window("hann", 256), 64)


@pytest.fixture(params=sorted(VARIANTS))
def variant(request):
    return VARIANTS[request.param]


def convergence_db(stft, audio, magnitude):
    return reference.spectral_convergence_db(np.abs(stft.forward(audio)), magnitude)


def test_the_six_of_the_draft():
    assert list(VARIANTS) == [
        "rtisi",
        "gla",
        "gla-envelope-matching",
        "gla-time-frequency-masking",
        "gla-magnitude-guided",
        "gla-frequency-bin-weighting",
    ]


def test_better_than_chance(variant, kick, stft):
    magnitude = np.abs(stft.forward(kick[None, :LENGTH]))
    chance = convergence_db(stft, griffin_lim(magnitude, stft, iterations=0, seed=3), magnitude)
    found = variant(magnitude, stft, iterations=20, seed=3)
    assert found.shape == (1, LENGTH)
    assert found.dtype == np.float32
    assert convergence_db(stft, found, magnitude) < chance - 4.0


def test_six_different_results(noise, stft):
    magnitude = np.abs(stft.forward(noise[:, :LENGTH]))
    assert (
        len({variant(magnitude, stft, iterations=3, seed=0).tobytes() for variant in VARIANTS.values()}) == 6
    )


def test_a_batch_is_its_sounds(variant, noise, stft):
    magnitude = np.abs(stft.forward(noise[:, :LENGTH]))
    together = variant(magnitude, stft, iterations=4, seed=1)
    apart = [variant(magnitude[i : i + 1], stft, iterations=4, seed=1)[0] for i in range(2)]
    assert together.tobytes() == np.stack(apart).tobytes()


def test_seeds(variant, noise, stft):
    magnitude = np.abs(stft.forward(noise[[0, 0], :LENGTH]))
    apart = variant(magnitude, stft, iterations=2, seed=[4, 5])
    again = variant(magnitude, stft, iterations=2, seed=4)
    assert again[0].tobytes() == again[1].tobytes() == apart[0].tobytes() != apart[1].tobytes()


def test_silence_stays_silence(variant, stft):
    silence = np.zeros((1, stft.frames, stft.bins), dtype=np.float32)
    assert not variant(silence, stft, iterations=3, seed=0).any()


def test_misuse(variant, stft):
    good = np.ones((1, stft.frames, stft.bins), dtype=np.float32)
    with pytest.raises(ValueError, match="iterations must be 0 or more"):
        variant(good, stft, iterations=-1, seed=0)
    with pytest.raises(ValueError, match="magnitude must be"):
        variant(good[0], stft, iterations=1, seed=0)
    with pytest.raises(ValueError, match="negative or not finite"):
        variant(-good, stft, iterations=1, seed=0)


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "rtisi"])
def test_all_but_rtisi_begin_where_griffin_lim_begins(name, noise, stft):
    magnitude = np.abs(stft.forward(noise[:1, :LENGTH]))
    start = griffin_lim(magnitude, stft, iterations=0, seed=2)
    found = VARIANTS[name](magnitude, stft, iterations=0, seed=2)
    if name == "gla-time-frequency-masking":
        loud = magnitude > magnitude.mean()
        start = griffin_lim(magnitude * loud, stft, iterations=0, seed=2)
    assert found.tobytes() == start.tobytes()


@pytest.mark.parametrize("name", ["gla-magnitude-guided", "gla-frequency-bin-weighting"])
def test_weights_are_one_where_all_is_equally_loud(name, noise, stft):
    """Then every cell obeys, and the change to Griffin-Lim is none."""
    magnitude = np.ones((1, stft.frames, stft.bins), dtype=np.float32)
    found = VARIANTS[name](magnitude, stft, iterations=2, seed=0)
    assert reference.error_db(found, VARIANTS["gla"](magnitude, stft, iterations=2, seed=0)) < -60.0


@pytest.mark.parametrize("name", ["gla-magnitude-guided", "gla-frequency-bin-weighting"])
def test_what_lies_under_the_gate_is_not_guided(name, stft):
    """A whisper of noise above a loud low half: Griffin-Lim sets it, the weights leave it where it falls."""
    random = np.random.default_rng(0)
    magnitude = random.random((1, stft.frames, stft.bins)).astype(np.float32) + np.float32(0.5)
    quiet = slice(stft.bins // 2, None)
    magnitude[..., quiet] *= np.float32(10.0 ** (-(GATE_DB + 10.0) / 20.0))

    def loudness_db(audio):
        power = np.square(np.abs(stft.forward(audio)))
        return 10 * np.log10(power[..., quiet].mean() / np.square(magnitude[..., quiet]).mean())

    guided = VARIANTS[name](magnitude, stft, iterations=10, seed=0)
    plain = VARIANTS["gla"](magnitude, stft, iterations=10, seed=0)
    assert loudness_db(guided) > loudness_db(plain) + 1.0


def test_the_envelope_is_brought_nearer(stft):
    """Noise that falls by 60 dB: after few iterations from chance, loud frames still ring into quiet ones."""
    time = np.arange(LENGTH) / LENGTH
    audio = np.random.default_rng(0).standard_normal(LENGTH) * 10.0 ** (-3.0 * time)
    magnitude = np.abs(stft.forward(audio[None].astype(np.float32)))

    def envelope_error_db(found):
        energy = np.square(np.abs(stft.forward(found))).sum(axis=-1)
        return np.abs(10 * np.log10(energy / np.square(magnitude).sum(axis=-1))).mean()

    settings = {"iterations": 3, "seed": 0}
    plain = envelope_error_db(VARIANTS["gla"](magnitude, stft, **settings))
    assert envelope_error_db(VARIANTS["gla-envelope-matching"](magnitude, stft, **settings)) < plain
