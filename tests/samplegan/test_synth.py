"""The synthesiser: what it promises about every sound, and the physics of its blocks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from samplegan import synth
from samplegan.categories import CATEGORIES
from samplegan.errors import ConfigError
from samplegan.synth import blocks, finish, kernels
from samplegan.synth.blocks import Voice
from samplegan.synth.ranges import generator, page

RATE = blocks.SAMPLE_RATE
SOUNDS = [(category, index) for category in CATEGORIES for index in range(6)]

PITCH_TOLERANCE_CENTS = 5.0
SQUARE_ALIAS_DB = -44.0  # aliases below 16 kHz of a 534 Hz polyBLEP square; a naive one has -22 dB
SATURATION_ALIAS_DB = -70.0  # aliases of a driven 3 kHz sine, against the sine
DC_TOLERANCE = 1e-3  # of the peak
RIPPLE_DB = 0.14  # the most that real kicks waver around a smooth decay

PLAIN_KICK = {
    "style": "analog",
    "pitch_hz": 52.0,
    "sweep_octaves": 1.5,
    "sweep_seconds": 0.01,
    "attack_seconds": 0.001,
    "decay_seconds": 0.4,
    "decay_shape": 1.0,
}


def spectrum_db(audio: np.ndarray) -> np.ndarray:
    level = np.abs(np.fft.rfft(audio * np.blackman(audio.size)))
    return 20.0 * np.log10(level / level.max() + 1e-12)


@pytest.mark.parametrize(("category", "index"), SOUNDS)
def test_every_sound_is_a_clean_one_shot(category: str, index: int) -> None:
    audio = synth.synthesise(category, 11, index)
    assert audio.dtype == np.float32
    assert audio.ndim == 2
    assert audio.shape[0] == 2
    assert 0.004 * RATE < audio.shape[1] <= 3.2 * RATE
    assert np.isfinite(audio).all()
    assert np.abs(audio).max() == pytest.approx(1.0, abs=1e-6)
    assert np.abs(audio.mean(axis=1)).max() < DC_TOLERANCE
    assert np.abs(audio[:, -1]).max() < 1e-6


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_attack_begins_at_once(category: str) -> None:
    for index in range(8):
        level = np.abs(synth.synthesise(category, 12, index)).max(axis=0)
        assert np.flatnonzero(level > 1e-3)[0] < 0.006 * RATE


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_same_arguments_give_the_same_bytes(category: str) -> None:
    first = synth.synthesise(category, 5, 3)
    synth.synthesise(category, 5, 4)
    assert synth.synthesise(category, 5, 3).tobytes() == first.tobytes()
    assert synth.synthesise(category, 6, 3).tobytes() != first.tobytes()
    assert synth.synthesise(category, 5, 2).tobytes() != first.tobytes()


@pytest.mark.parametrize("category", CATEGORIES)
def test_parameters_lie_in_their_documented_ranges_and_all_styles_occur(category: str) -> None:
    seen = set()
    for index in range(300):
        drawn = synth.parameters(category, 1, index)
        style = synth.styles(category)[str(drawn["style"])]
        seen.add(style.name)
        for entry in style.ranges:
            if entry.name in drawn:
                assert entry.low * (1 - 1e-9) <= float(drawn[entry.name]) <= entry.high * (1 + 1e-9) + 1e-9
            else:
                assert entry.chance < 1.0
    assert seen == set(synth.styles(category))


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_range_is_documented(category: str) -> None:
    for style in synth.styles(category).values():
        assert style.weight > 0
        for entry in style.ranges:
            assert entry.meaning
            assert entry.low <= entry.high
            assert 0 < entry.chance <= 1
            assert entry.distribution == "uniform" or entry.low > 0


@pytest.mark.parametrize("pitch_hz", [38.0, 52.0, 81.0])
def test_a_kick_lands_on_its_fundamental(pitch_hz: float) -> None:
    audio = synth.render("kick", PLAIN_KICK | {"pitch_hz": pitch_hz}, 0)[0].astype(np.float64)
    tail = audio[int(0.12 * RATE) :]
    level = np.abs(np.fft.rfft(tail * np.hanning(tail.size), 1 << 20))
    measured = np.fft.rfftfreq(1 << 20, 1.0 / RATE)[level.argmax()]
    assert abs(1200.0 * np.log2(measured / pitch_hz)) < PITCH_TOLERANCE_CENTS


def test_decay_is_what_it_says_and_monotone() -> None:
    envelope = blocks.decay(RATE, 0.3, shape=1.4)
    assert 20.0 * np.log10(envelope[int(0.3 * RATE)]) == pytest.approx(-20.0, abs=0.01)
    energies = []
    for decay_seconds in (0.08, 0.15, 0.3, 0.6):
        audio = synth.render("kick", PLAIN_KICK | {"decay_seconds": decay_seconds}, 0)
        energies.append(float(np.sum(audio.astype(np.float64) ** 2)))
    assert energies == sorted(energies)


def test_a_plain_kick_decays_smoothly() -> None:
    audio = synth.render("kick", PLAIN_KICK, 0)[0].astype(np.float64)
    spectrum = np.fft.fft(audio, 1 << 17)
    spectrum[1 << 16 :] = 0.0
    magnitude = np.abs(np.fft.ifft(2.0 * spectrum))
    envelope = 20.0 * np.log10(magnitude[int(0.15 * RATE) : int(0.5 * RATE)])
    time = np.arange(envelope.size)
    assert np.std(envelope - np.polyval(np.polyfit(time, envelope, 1), time)) < RIPPLE_DB


def test_a_head_that_is_not_tuned_evenly_beats() -> None:
    twin = {"beat_db": 0.0, "beat_hz": 5.0}
    plain, beating = (
        np.abs(synth.render("kick", PLAIN_KICK | more, 0)[0].astype(np.float64)) for more in ({}, twin)
    )

    def level(audio: np.ndarray, at_seconds: float) -> float:
        at = int(at_seconds * RATE)
        return float(audio[at : at + RATE // 40].max())

    # Half a period of 0.2 s after both were together they cancel, and are together again after a whole one.
    for audio, quiet in ((plain, False), (beating, True)):
        assert (level(audio, 0.09) < 0.7 * level(audio, 0.19)) == quiet


def test_flutter_strays_by_as_much_as_it_says() -> None:
    flat = PLAIN_KICK | {"pitch_hz": 400.0, "sweep_octaves": 0.0}
    plain = synth.render("kick", flat, 3)[0].astype(np.float64)
    stray = synth.render("kick", flat | {"flutter_db": 2.0, "flutter_hz": 20.0}, 3)[0].astype(np.float64)
    size = min(plain.size, stray.size, RATE // 2)
    blocks_of = RATE // 100
    plain_db, stray_db = (
        10.0 * np.log10(np.mean(audio[: size // blocks_of * blocks_of].reshape(-1, blocks_of) ** 2, axis=1))
        for audio in (plain, stray)
    )
    assert np.std(stray_db - plain_db) == pytest.approx(2.0, rel=0.35)


def test_tape_noise_lies_under_the_sound_and_fades() -> None:
    dry = synth.render("kick", PLAIN_KICK, 0)[0].astype(np.float64)
    tape = {"tape_db": -50.0, "tape_hz": 16_000.0}
    wet = synth.render("kick", PLAIN_KICK | tape, 0)[0].astype(np.float64)
    noise = np.diff(wet[: min(dry.size, wet.size)] - dry[: min(dry.size, wet.size)])
    first, last = (np.sqrt(np.mean(part**2)) for part in (noise[: RATE // 10], noise[-RATE // 10 :]))
    assert -56.0 < 20.0 * np.log10(first) < -46.0
    assert last < 0.6 * first


def test_rumble_is_low_and_falls_as_it_says() -> None:
    head = {"pitch_hz": 400.0, "decay_seconds": 0.02}
    wires = {
        "wires_db": -90.0,
        "wires_decay_seconds": 0.3,
        "wires_low_hz": 1_000.0,
        "wires_high_hz": 8_000.0,
    }
    rumble = {"rumble_db": -20.0, "rumble_hz": 100.0, "rumble_seconds": 0.2}
    sounds = [synth.render("snare", head | wires | rumble, seed)[0].astype(np.float64) for seed in range(20)]
    first, later = (
        np.stack([sound[int(at * RATE) : int((at + 0.1) * RATE)] for sound in sounds]) for at in (0.15, 0.3)
    )
    spectrum = np.square(np.abs(np.fft.rfft(first * np.hanning(first.shape[1])))).sum(axis=0)
    hertz = np.fft.rfftfreq(first.shape[1], 1.0 / RATE)
    assert spectrum[hertz < 200.0].sum() > 0.9 * spectrum.sum()
    fallen_db = 10.0 * np.log10(np.mean(first**2) / np.mean(later**2))
    assert fallen_db == pytest.approx(15.0, abs=2.0)


def test_a_swell_longer_than_its_sound_is_cut_off() -> None:
    swell = next(
        drawn for index in range(200) if (drawn := synth.parameters("cymbal", 3, index))["style"] == "swell"
    )
    audio = synth.render(
        "cymbal", swell | {"attack_seconds": 0.6, "decay_seconds": 0.05, "gate_db": -18.0}, 1
    )
    assert audio.shape[1] < 0.6 * 44_100
    assert np.isfinite(audio).all()
    assert np.abs(audio).max() == pytest.approx(1.0)


@pytest.mark.parametrize("name", finish.EQUALISER_HZ)
def test_a_band_of_the_equaliser_lifts_its_own_frequencies_most(name: str) -> None:
    lifted, plain = (
        response_db(impulse_through_finish({name: 6.0} if lifts else {})) for lifts in (True, False)
    )
    gain = lifted - plain
    at = {
        each: gain[round(hertz)] for each, hertz in finish.EQUALISER_HZ.items()
    }  # of a second: bins of 1 Hz
    assert at.pop(name) == pytest.approx(6.0, abs=0.1)
    assert max(at.values()) < 1.5


def test_an_equaliser_set_evenly_is_nearly_flat() -> None:
    even = response_db(impulse_through_finish(dict.fromkeys(finish.EQUALISER_HZ, 4.0)))
    gain = (even - response_db(impulse_through_finish({})))[100:12_000]
    assert gain.max() - gain.min() < 3.0
    assert gain.min() > 2.5


def impulse_through_finish(parameters: dict[str, float | str]) -> np.ndarray:
    """What `finish` colours an impulse to, of one second."""
    impulse = np.zeros(RATE)
    impulse[0] = 1.0
    return finish._colour(Voice(parameters, RATE, 0), impulse)


def response_db(audio: np.ndarray) -> np.ndarray:
    return 20.0 * np.log10(np.abs(np.fft.rfft(audio)) + 1e-12)


def test_a_room_without_spread_is_mono() -> None:
    room = {"room_db": -10.0, "room_seconds": 0.1, "room_tone_hz": 4_000.0}
    left, right = synth.render("kick", PLAIN_KICK | room, 0)
    assert np.array_equal(left, right)
    left, right = synth.render("kick", PLAIN_KICK | room | {"room_spread": 0.5}, 0)
    assert not np.array_equal(left, right)


def test_sounds_without_room_and_width_are_mono() -> None:
    stereo_names = {"room_spread", "wires_width", "modes_width", "noise_width", "hiss_width"}
    mono = stereo = 0
    for category in ("kick", "snare", "hat_closed", "perc"):
        for index in range(12):
            left, right = synth.synthesise(category, 2, index)
            drawn = set(synth.parameters(category, 2, index))
            if "room_db" not in drawn:
                drawn.discard("room_spread")  # of no room
            if stereo_names & drawn:
                stereo += not np.array_equal(left, right)
            else:
                assert np.array_equal(left, right)
                mono += 1
    assert mono > 10
    assert stereo > 5


@pytest.mark.parametrize("category", CATEGORIES)
def test_mono_keeps_half_of_every_sound(category: str) -> None:
    for index in range(24):  # among these are hats and cymbals that would keep less, were they not turned
        left, right = synth.synthesise(category, 5, index).astype(np.float64)
        of_both, of_mono = np.square([left, right]).mean(), np.square((left + right) / 2.0).mean()
        assert of_mono >= 0.499 * of_both


def test_what_is_wider_than_loud_is_turned() -> None:
    drawn = (synth.parameters("cymbal", 0, index) for index in range(100))
    plain = next(each for each in drawn if each["style"] == "crash" and "room_db" not in each)
    plain = {**plain, "noise_db": -40.0}
    opposed = []
    for width in (0.3, 3.0):
        sound = synth.render("cymbal", {**plain, "modes_width": width}, 0).astype(np.float64)
        middle, side = (np.square(each).sum() for each in (sound[0] + sound[1], sound[0] - sound[1]))
        opposed.append(side / middle)
    assert opposed == pytest.approx([0.1, 0.1], rel=0.5)  # 0.3 ** 2, and 1 / 3 ** 2


def test_the_body_of_a_kick_is_mono() -> None:
    for index in range(40):
        left, right = synth.synthesise("kick", 4, index).astype(np.float64)
        spectrum = [
            np.abs(np.fft.rfft(part))[: int(120 * left.size / RATE)] for part in (left + right, left - right)
        ]
        # A room answers with a little of a side: a fiftieth costs 0.1 dB in mono.
        assert np.sum(spectrum[1] ** 2) < 2e-2 * np.sum(spectrum[0] ** 2)


def test_squares_do_not_alias() -> None:
    samples = 1 << 15
    # Whole cycles: harmonics fall on bins, everything else between them is an alias.
    cycles = 397
    wave = kernels.squares(np.array([cycles / samples]), np.array([0.1]), np.ones(1), samples)
    level = np.abs(np.fft.rfft(wave))
    aliases = np.ones(level.size, bool)
    aliases[cycles :: 2 * cycles] = False
    audible = np.fft.rfftfreq(samples, 1.0 / RATE) < 16_000.0
    ratio = np.sum(level[aliases & audible] ** 2) / np.sum(level**2)
    assert 10.0 * np.log10(ratio) < SQUARE_ALIAS_DB


def test_saturation_does_not_alias() -> None:
    samples = 1 << 15
    cycles = 2_229  # 3.0 kHz, not a divisor of the rate
    tone = np.sin(2.0 * np.pi * cycles * np.arange(3 * samples) / samples)
    level = np.abs(
        np.fft.rfft(blocks.saturate(tone, 12.0, 0.5)[samples : 2 * samples] * np.blackman(samples))
    )
    aliases = np.ones(level.size, bool)
    for harmonic in range(0, level.size, cycles):
        aliases[max(harmonic - 4, 0) : harmonic + 5] = False
    ratio = np.sum(level[aliases] ** 2) / np.sum(level**2)
    assert 10.0 * np.log10(ratio) < SATURATION_ALIAS_DB


def test_a_filter_passes_and_stops() -> None:
    time = blocks.seconds(RATE)
    low, high = np.sin(2 * np.pi * 200.0 * time), np.sin(2 * np.pi * 8_000.0 * time)
    rest = slice(RATE // 4, None)
    assert np.std(blocks.low_pass(low, 1_000.0)[rest]) == pytest.approx(np.std(low), rel=0.01)
    assert np.std(blocks.low_pass(high, 1_000.0)[rest]) < 0.02
    assert np.std(blocks.high_pass(low, 2_000.0)[rest]) < 0.02
    assert np.std(blocks.band_pass(low, 200.0, 3.0)[rest]) == pytest.approx(np.std(low), rel=0.01)
    assert np.std(blocks.peak(low, 200.0, 1.0, 6.0)[rest]) == pytest.approx(1.995 * np.std(low), rel=0.01)


def test_a_mode_rings_at_its_pitch_and_decay() -> None:
    ringing = blocks.modes(np.array([1_000.0]), np.array([0.1]), np.ones(1), np.array([0.25]), RATE)
    assert np.abs(ringing[int(0.1 * RATE) :]).max() == pytest.approx(0.1, rel=0.02)
    assert np.abs(np.fft.rfft(ringing)).argmax() == 1_000


@pytest.mark.parametrize(
    ("kernel", "arguments"),
    [
        (kernels.accumulate, (np.linspace(0.01, 0.002, 300), 0.1)),
        (kernels.squares, (np.array([0.011, 0.2]), np.array([0.0, 0.7]), np.array([1.0, 0.5]), 300)),
        (
            kernels.state_variable,
            (np.sin(np.arange(300.0)), np.linspace(0.01, 2.0, 300), 1.2, 1.0, -1.2, -1.0),
        ),
        (
            kernels.modal_bank,
            (np.array([0.01, 0.3]), np.array([0.99, 0.5]), np.array([0.0, 0.2]), np.ones((2, 2)), 300),
        ),
        (kernels.hold, (np.sin(np.arange(300.0)), 0.37)),
    ],
)
def test_kernels_agree_with_their_unjitted_twins(kernel, arguments) -> None:
    np.testing.assert_allclose(kernel(*arguments), kernel.py_func(*arguments), rtol=1e-9, atol=1e-12)


def test_a_generator_depends_on_every_part_of_its_key() -> None:
    draws = {
        float(generator(*key).random())
        for key in (("a", 1, 2), ("a", 1, 3), ("a", 12), ("b", 1, 2), ("a", -1, 2))
    }
    assert len(draws) == 5


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="not a category"):
        synth.synthesise("kik", 0, 0)
    with pytest.raises(ConfigError, match="no parameter 'pitch'"):
        synth.render("kick", {"style": "analog", "pitch": 50.0}, 0)


def test_a_pack_is_complete_repeatable_and_careful(tmp_path: Path) -> None:
    written = synth.write_pack("perc", 3, 9, tmp_path / "a")
    longer = synth.write_pack("perc", 4, 9, tmp_path / "b")
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in longer[:3]]
    manifest = json.loads((tmp_path / "a" / "MANIFEST.json").read_text())
    assert [entry["file"] for entry in manifest["sounds"]] == [path.name for path in written]
    assert manifest["sounds"][1]["parameters"] == synth.parameters("perc", 9, 1)
    with pytest.raises(ConfigError, match="not empty"):
        synth.write_pack("perc", 1, 9, tmp_path / "a")
    synth.write_pack("perc", 1, 9, tmp_path / "a", overwrite=True)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_writes_nothing(tmp_path, seed):
    with pytest.raises(ConfigError, match="--seed"):
        synth.write_pack("kick", 2, seed, tmp_path / "kicks")
    assert not (tmp_path / "kicks").exists()


def test_the_page_of_parameters_is_true():
    written = Path(__file__).parents[2] / "docs" / "synth.md"
    assert written.read_text(encoding="utf-8") == page(
        {category: synth.styles(category) for category in CATEGORIES}
    ), "run python scripts/document_synth.py"
