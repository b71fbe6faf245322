import numpy as np
import pytest

from samplegan.audio import ONSET_SAMPLE, SAMPLE_RATE
from samplegan.finishing import DECAYED_DB, Unusable, finish
from samplegan.loudness import measure

SECONDS = 0.6


def raw_kick(*, dc=0.0, side=0.0, lead=ONSET_SAMPLE, noise_db=None, decay=0.07, seconds=SECONDS):
    """What a generator makes: pre-ringing, some DC, an unrelated side, perhaps a noise floor."""
    samples = round(seconds * SAMPLE_RATE)
    time = (np.arange(samples) - lead) / SAMPLE_RATE
    random = np.random.default_rng(4)
    body = np.where(
        time >= 0, np.exp(-time / decay) * np.sin(2 * np.pi * (55 * time - 3 * np.exp(-time / 0.02))), 0
    )
    audio = np.stack([body, body]).astype(np.float64) * 0.5
    audio += (
        np.stack([1, -1])[:, None]
        * side
        * np.where(time >= 0, np.exp(-time / decay), 0)
        * np.sin(2 * np.pi * 60 * time)
    )
    audio[:, :lead] += 1e-3 * random.standard_normal((2, lead))
    if noise_db is not None:
        audio += 10 ** (noise_db / 20) * random.standard_normal(audio.shape)
    return (audio + dc).astype(np.float32)


def low_band(audio):
    spectrum = np.fft.rfft(audio, axis=-1)
    spectrum[..., np.fft.rfftfreq(audio.shape[-1], 1 / SAMPLE_RATE) > 120] = 0
    return np.fft.irfft(spectrum, audio.shape[-1])


@pytest.mark.parametrize("dc", [0.0, 0.1, -0.3])
@pytest.mark.parametrize("side", [0.0, 0.4])
def test_a_finished_sound_passes_the_gate(dc, side):
    finished = finish(raw_kick(dc=dc, side=side))
    audio = finished.audio
    assert audio.dtype == np.float32
    assert not audio[:, 0].any() and not audio[:, -1].any(), "both ends are exactly zero"
    loud = np.abs(audio).max(axis=0) > 10 ** (-60 / 20)
    assert np.argmax(loud) <= ONSET_SAMPLE
    assert np.abs(audio.mean(axis=1)).max() < 10 ** (-60 / 20)
    assert measure(audio).true_peak_dbtp <= -1.0
    lows = low_band(audio)
    mono = low_band(audio.mean(axis=0))
    loss_db = 10 * np.log10(np.mean(lows**2) / np.mean(mono**2))
    assert loss_db < 1.0
    assert np.corrcoef(audio)[0, 1] > 0


def test_the_level_is_the_target_or_the_ceiling():
    quiet_enough = finish(raw_kick(decay=0.4), target_lufs=-20)
    assert quiet_enough.gain.limited_by == "target"
    assert quiet_enough.loudness.momentary_lufs == pytest.approx(-20, abs=0.01)
    peaky = finish(raw_kick(decay=0.005), ceiling_dbtp=-3)
    assert peaky.gain.limited_by == "ceiling"
    assert -3.01 < peaky.loudness.true_peak_dbtp <= -3


def test_samples_are_on_the_24_bit_grid():
    steps = finish(raw_kick()).audio.astype(np.float64) * 2**23
    assert np.array_equal(steps, np.rint(steps))


def test_an_opposite_phase_sound_is_made_mono_safe():
    body = raw_kick(decay=0.2)
    noise = np.random.default_rng(0).standard_normal(body.shape[1]) * np.abs(body[0])
    wide = (0.2 * body + np.stack([noise, -noise])).astype(np.float32)
    audio = finish(wide).audio
    assert np.corrcoef(audio)[0, 1] > 0


@pytest.mark.parametrize(("echo_db", "is_kept"), [(-25.0, True), (-50.0, False)])
def test_what_comes_faintly_after_the_end_is_cut_and_an_echo_is_not(echo_db, is_kept):
    audio = raw_kick(decay=0.01)
    late = round(0.3 * SAMPLE_RATE)
    audio[:, late : late + 2000] = 0.5 * 10 ** (echo_db / 20)
    audio[:, late : late + 2000] *= np.random.default_rng(0).choice([-1, 1], (2000,)).astype(np.float32)
    seconds = finish(audio).audio.shape[1] / SAMPLE_RATE
    assert seconds > 0.34 if is_kept else seconds < 0.2


def test_the_end_is_cut_where_the_sound_has_decayed():
    short = finish(raw_kick(decay=0.01))
    assert short.duration_seconds < 0.2
    level = np.abs(short.audio).max(axis=0)
    assert np.flatnonzero(level > level.max() * 10 ** (DECAYED_DB / 20))[-1] > level.size * 0.5


def test_a_noise_floor_is_cut_off():
    clean = finish(raw_kick(decay=0.02))
    noisy = finish(raw_kick(decay=0.02, noise_db=-62))
    assert noisy.duration_seconds < clean.duration_seconds + 0.01
    assert noisy.duration_seconds > 0.06


def test_length_is_a_limit_with_a_fade():
    finished = finish(raw_kick(decay=0.3), length_seconds=0.25)
    assert finished.audio.shape[1] == round(0.25 * SAMPLE_RATE)
    tail = np.abs(finished.audio[:, -220:]).max(axis=0)
    assert tail[-1] == 0 and tail[-20:].max() < tail.max() / 4


def test_a_late_start_is_pulled_to_the_onset():
    early, late = finish(raw_kick()), finish(raw_kick(lead=900))
    places = [int(np.argmax(np.abs(each.audio[0]) > 0.3)) for each in (early, late)]
    assert abs(places[0] - places[1]) <= 1


def test_an_immediate_start_still_begins_at_zero():
    finished = finish(raw_kick()[:, 120:])
    assert not finished.audio[:, 0].any()


@pytest.mark.parametrize(
    "audio",
    [
        np.zeros((2, 26460), np.float32),
        np.full((2, 26460), np.nan, np.float32),
        np.full((2, 26460), np.inf, np.float32),
        np.full((2, 26460), 1e-6, np.float32),
        np.zeros((2, 0), np.float32),
        np.eye(2, 26460, dtype=np.float32) * 1e-3,
    ],
    ids=["silence", "nan", "inf", "dust", "empty", "click"],
)
def test_what_cannot_be_a_file_is_unusable(audio):
    with pytest.raises(Unusable):
        finish(audio)


def test_finishing_is_pure():
    audio = raw_kick(side=0.2)
    before = audio.copy()
    first, second = finish(audio), finish(audio)
    assert np.array_equal(audio, before)
    assert np.array_equal(first.audio, second.audio)
