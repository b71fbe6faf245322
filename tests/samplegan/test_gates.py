"""What packs leave out, and that a file depends on nothing outside its own block."""

import json
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samplegan import render as render_module
from samplegan import synth
from samplegan.audio import SAMPLE_RATE, align
from samplegan.descriptors import describe
from samplegan.errors import MachineError
from samplegan.finishing import Unusable, finish
from samplegan.gates import (
    BLOCK_CANDIDATES,
    BLOCK_FILES,
    FINGERPRINT_VALUES,
    Fingerprints,
    fingerprint,
    flaw,
    most_diverse,
    swell_db,
)
from samplegan.inspection import defects_of
from samplegan.loudness import measure
from samplegan.pack.manifest import MANIFEST_NAME
from samplegan.render import Existing, RenderOptions, candidate, drawn_by, render, render_sound

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from fakes import FakeModel, FakeRepresentation  # noqa: E402

SECONDS = 0.15
GATED = RenderOptions(gates=True)


def model(**changes):
    return FakeModel(representation=FakeRepresentation(SECONDS), **changes)


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def records(folder):
    return json.loads((folder / MANIFEST_NAME).read_text())["files"]


@pytest.fixture(scope="module")
def twenty(tmp_path_factory):
    """Into the second block."""
    folder = tmp_path_factory.mktemp("packs") / "twenty"
    render(model(), folder, count=20, options=GATED, jobs=2)
    return content(folder)


# --- blocks


def test_the_number_of_jobs_changes_no_byte(tmp_path, twenty):
    render(model(), tmp_path / "pack", count=20, options=GATED, jobs=1)
    assert content(tmp_path / "pack") == twenty


def test_a_smaller_pack_is_the_start_of_a_larger_one_and_grows_into_it(tmp_path, twenty):
    pack = tmp_path / "pack"
    render(model(), pack, count=7, options=GATED)
    small = content(pack)
    small.pop(MANIFEST_NAME)
    assert len(small) == 7
    assert small.items() <= twenty.items()
    summary = render(model(), pack, count=20, options=GATED, existing=Existing.RESUME)
    assert (summary.written, summary.kept) == (13, 7)
    assert content(pack) == twenty


def test_one_file_alone_is_the_same(twenty):
    options = GATED.checked(model())
    sound = render_sound(model(), 17, options)
    assert twenty[sound.record.file] == sound.data


def test_a_block_is_chosen_from_more_candidates_than_it_has_files(tmp_path, twenty):
    files = json.loads(twenty[MANIFEST_NAME])["files"]
    drawn = [each["candidate"] for each in files]
    assert drawn == sorted(set(drawn))
    assert all(1 <= number <= BLOCK_CANDIDATES for number in drawn[:BLOCK_FILES])
    assert all(BLOCK_CANDIDATES < number <= 2 * BLOCK_CANDIDATES for number in drawn[BLOCK_FILES:])
    assert drawn[:BLOCK_FILES] != list(range(1, BLOCK_FILES + 1))


def test_without_gates_every_file_is_its_own_candidate(tmp_path):
    render(model(), tmp_path, count=3)
    assert [each["candidate"] for each in records(tmp_path)] == [1, 2, 3]


def test_a_full_disk_in_the_middle_of_a_block_keeps_what_is_done(tmp_path, twenty, monkeypatch):
    pack = tmp_path / "pack"
    real, calls = render_module.write_atomic, []

    def write(path, data):
        calls.append(path)
        if len(calls) > 5:
            raise MachineError("cannot write: the disk is full", file=path)
        real(path, data)

    monkeypatch.setattr(render_module, "write_atomic", write)
    with pytest.raises(MachineError, match="disk is full"):
        render(model(), pack, count=20, options=GATED)
    monkeypatch.undo()
    assert len(list(pack.glob("*.wav"))) == 5
    assert render(model(), pack, count=20, options=GATED, existing=Existing.RESUME).kept == 5
    assert content(pack) == twenty


CHILD = textwrap.dedent("""
    import sys
    sys.path.insert(0, sys.argv[1])
    from fakes import FakeModel, FakeRepresentation
    from pathlib import Path
    from samplegan.render import RenderOptions, render
    model = FakeModel(representation=FakeRepresentation(float(sys.argv[3])))
    render(model, Path(sys.argv[2]), count=20, jobs=1, options=RenderOptions(gates=True))
""")


def test_a_killed_render_resumes_to_the_same_pack(tmp_path, twenty):
    pack = tmp_path / "pack"
    process = subprocess.Popen([sys.executable, "-c", CHILD, str(HERE), str(pack), str(SECONDS)])
    until = time.monotonic() + 50
    while len(list(pack.glob("*.wav"))) < 3 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert len(list(pack.glob("*.wav"))) >= 3
    render(model(), pack, count=20, options=GATED, existing=Existing.RESUME)
    assert content(pack) == twenty


# --- copies


def sounds_of(made_by, numbers):
    options = RenderOptions().checked(made_by)
    return [candidate(made_by, n, options, drawn_by(made_by, options)).finished.audio for n in numbers]


@pytest.fixture(scope="module")
def known():
    """The model's own fifth sound, among kicks."""
    others = [align(synth.synthesise("kick", 1, index), 6615) for index in range(12)]
    found = Fingerprints.of([*others[:6], *sounds_of(model(), [5])], others[6:], SECONDS)
    assert 0.05 < found.copy_distance < 0.5
    return Fingerprints(found.values, 0.05)  # the model's sounds are more alike than kicks


def test_a_copy_of_a_training_sound_is_refused_and_drawn_again(known):
    knowing = model(fingerprints=known)
    plain, gated = RenderOptions().checked(knowing), GATED.checked(knowing)
    draw = drawn_by(knowing, plain)
    rejected = render_module.Counter()
    found = candidate(knowing, 5, gated, draw, rejected)
    assert rejected == {"copy": 1}
    assert found.attempt == 1
    assert found.nearest_training >= known.copy_distance
    copied, other = (fingerprint(sound, SECONDS) for sound in sounds_of(model(), [5, 6]))
    assert known.nearest(copied) < 1e-6 < known.copy_distance < known.nearest(other)


def test_the_manifest_tells_how_near_every_file_is(tmp_path, known):
    summary = render(model(fingerprints=known), tmp_path, count=2, options=GATED)
    assert summary.rejected["alike"] == BLOCK_CANDIDATES - BLOCK_FILES
    assert summary.rejected["copy"] >= 1
    assert f"{summary.rejected['copy']} too near to a training sound" in summary.summary()
    assert all(each["nearest_training"] >= known.copy_distance - 1e-4 for each in records(tmp_path))


def test_a_model_that_only_copies_fails_and_says_what_to_do(tmp_path, known, monkeypatch):
    monkeypatch.setattr(render_module, "ATTEMPTS", 2)
    everything = Fingerprints(known.values, 10.0)
    summary = render(model(fingerprints=everything), tmp_path, count=1, options=GATED)
    assert summary.failed == [1]
    assert "--no-gates" in str(summary.problem())


@pytest.mark.parametrize("gain", [0.1, 1.0])
def test_neither_gain_nor_a_little_noise_hides_a_copy(known, gain):
    (sound,) = sounds_of(model(), [5])
    noise = 1e-3 * np.random.default_rng(0).standard_normal(sound.shape)
    changed = (gain * (sound + noise)).astype(np.float32)
    assert known.nearest(fingerprint(changed, SECONDS)) < known.copy_distance


def dipping(low_db):
    """A tone that decays by 20 dB in 0.4 s, and dips by `low_db` half-way."""
    t = np.arange(round(0.4 * SAMPLE_RATE)) / SAMPLE_RATE
    level_db = -50.0 * t - low_db * np.exp(-0.5 * ((t - 0.2) / 0.04) ** 2)
    tone = 10.0 ** (level_db / 20.0) * np.sin(2.0 * np.pi * 200.0 * t)
    return np.stack([tone, tone]).astype(np.float32)


def test_a_swell_is_what_comes_back_after_a_dip():
    assert swell_db(dipping(0.0)) < 0.05
    assert swell_db(dipping(12.0)) == pytest.approx(
        6.0, abs=2.0
    )  # it decays meanwhile, and is heard over 40 ms
    assert swell_db(0.01 * dipping(12.0)) == pytest.approx(swell_db(dipping(12.0)), abs=0.01)
    assert swell_db(np.zeros((2, 9000), np.float32)) == swell_db(dipping(12.0)[:, :100]) == 0.0
    rising = dipping(0.0)[:, ::-1].copy()
    assert swell_db(rising) < 0.05  # before its loudest moment a sound may swell
    room = np.concatenate([dipping(0.0), np.zeros((2, 9000)), 0.01 * dipping(0.0)], axis=1)
    assert swell_db(room.astype(np.float32)) < 0.05  # nor is what comes far below it one


def test_what_swells_more_than_sounds_held_out_is_refused(known, monkeypatch):
    steady = Fingerprints.of([dipping(0.0)], [dipping(0.0)] * 30, SECONDS)
    assert steady.most_swell_db == 1.0
    beating = Fingerprints.of([dipping(0.0)], [dipping(12.0)] * 30, SECONDS)
    assert beating.most_swell_db == pytest.approx(swell_db(dipping(12.0)))
    assert Fingerprints.from_tensors(beating.tensors()).most_swell_db == pytest.approx(beating.most_swell_db)
    of_before = {name: tensor for name, tensor in beating.tensors().items() if name != "most_swell_db"}
    assert Fingerprints.from_tensors(of_before).most_swell_db == np.inf

    swells = iter([3.0, 0.5])
    monkeypatch.setattr(render_module, "swell_db", lambda audio: next(swells))
    knowing = model(fingerprints=Fingerprints(known.values, 0.0, 1.0))
    rejected = render_module.Counter()
    gated = GATED.checked(knowing)
    found = candidate(knowing, 6, gated, drawn_by(knowing, gated), rejected)
    assert rejected == {"swell": 1}
    assert found.attempt == 1


def test_what_is_further_from_all_training_sounds_than_those_held_out_is_refused(known):
    """Only where the model's own sounds are asked for: those steered or shortened may be unlike them."""
    kicks = [align(synth.synthesise("kick", 1, index), 6615) for index in range(30)]
    among = Fingerprints.of(kicks[:10], kicks[10:], SECONDS)
    fresh = [among.nearest(fingerprint(kick, SECONDS)) for kick in kicks[10:]]
    assert sum(distance > among.strange_distance for distance in fresh) == 1  # of 20
    cymbal = align(synth.synthesise("cymbal", 1, 0), 6615)
    assert among.nearest(fingerprint(cymbal, SECONDS)) > among.strange_distance
    assert Fingerprints.from_tensors(among.tensors()).strange_distance == pytest.approx(
        among.strange_distance
    )
    of_before = {name: tensor for name, tensor in among.tensors().items() if name != "strange_distance"}
    assert Fingerprints.from_tensors(of_before).strange_distance == np.inf

    knowing = model(fingerprints=Fingerprints(known.values, 0.0, strange_distance=0.0))
    gated = GATED.checked(knowing)
    rejected = render_module.Counter()
    found = candidate(knowing, 6, gated, drawn_by(knowing, gated), rejected)
    # A model that draws nothing else is heard as it is.
    assert rejected == {"strange": found.attempt} == {"strange": render_module.STRANGE_ATTEMPTS}
    for changed in ({"length_seconds": 0.1}, {"truncation": 1.5}):
        asked = replace(GATED, **changed).checked(knowing)
        assert candidate(knowing, 6, asked, drawn_by(knowing, asked), rejected).attempt == 0


def test_fingerprints_are_small_and_survive_a_model_file(known):
    assert known.values.dtype == np.uint8 and known.values.shape == (7, FINGERPRINT_VALUES)
    kept = Fingerprints.from_tensors(known.tensors())
    np.testing.assert_array_equal(kept.values, known.values)
    assert kept.copy_distance == pytest.approx(known.copy_distance, rel=1e-6)
    with pytest.raises(ValueError, match="another kind"):
        Fingerprints.from_tensors(known.tensors() | {"values": known.values[:, :9]})


def test_fingerprints_need_both_kinds_of_sounds(known):
    sound = synth.synthesise("kick", 1, 0)
    with pytest.raises(ValueError, match="no training sounds"):
        Fingerprints.of([], [sound], SECONDS)
    with pytest.raises(ValueError, match="held-out"):
        Fingerprints.of([sound], [], SECONDS)


def test_silence_is_near_silence(known):
    silence = np.zeros((2, 6615), dtype=np.float32)
    assert not fingerprint(silence, SECONDS).any()
    assert Fingerprints.of([silence], [silence], SECONDS).nearest(fingerprint(silence, SECONDS)) == 0.0


# --- flaws


def flaw_of(audio):
    return flaw(audio, describe(audio), measure(audio))


def finished():
    return finish(align(synth.synthesise("kick", 1, 3), SAMPLE_RATE // 2)).audio.copy()


def test_a_finished_kick_has_no_flaw():
    assert flaw_of(finished()) is None


def test_a_planted_click_is_found():
    audio = finished()
    audio[:, audio.shape[1] // 2] += 0.3
    assert flaw_of(audio) == "clicks"


def test_what_sounds_before_the_attack_is_found():
    audio = finished()
    before = 0.03 * np.sin(2 * np.pi * 900 * np.arange(500) / SAMPLE_RATE) * np.abs(audio).max()
    begun = np.concatenate([np.tile(before, (2, 1)), audio[:, 44:]], axis=1).astype(np.float32)
    assert flaw_of(begun) == "pre_echo"


def test_a_short_length_and_a_low_loudness_are_no_flaws():
    short = finish(finished(), length_seconds=0.06, target_lufs=-50.0).audio
    names = {each.name for each in defects_of(describe(short), measure(short), channels=2)}
    assert names == {"cut_off", "quiet"}
    assert flaw_of(short) is None


def test_a_flawed_candidate_is_drawn_again(monkeypatch):
    clicking = model()
    real, first = clicking.representation.synthesise, []

    def synthesise(image, *, seed=0):
        audio = real(image, seed=seed)
        if not first:
            first.append(seed)
            audio[:, audio.shape[1] // 2] += 0.5
        return audio

    monkeypatch.setattr(clicking.representation, "synthesise", synthesise)
    rejected = render_module.Counter()
    options = GATED.checked(clicking)
    assert candidate(clicking, 1, options, drawn_by(clicking, options), rejected).attempt == 1
    assert rejected == {"clicks": 1}


def test_a_candidate_that_stays_flawed_is_unusable(monkeypatch):
    monkeypatch.setattr(render_module, "flaw", lambda *_, **__: "clicks")
    options = GATED.checked(model())
    with pytest.raises(Unusable, match="clicks"):
        candidate(model(), 1, options, drawn_by(model(), options))


# --- the choice


def nearest_neighbours(points):
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return distances.min(axis=1)


def test_the_choice_is_more_diverse_than_the_first_ones():
    for seed in range(10):
        points = np.random.default_rng(seed).standard_normal((24, 5)).astype(np.float32)
        kept = most_diverse(points, [1.0] * 24, 16)
        assert len(kept) == 16 and kept == sorted(set(kept))
        chosen, first = nearest_neighbours(points[kept]), nearest_neighbours(points[:16])
        assert chosen.mean() > first.mean()
        assert chosen.min() >= nearest_neighbours(points).min()


def test_of_twins_one_goes_and_the_outlier_stays():
    points, alike = np.array([[0.0], [10.0], [10.1], [50.0], [20.0]], dtype=np.float32), [1.0] * 5
    assert most_diverse(points, alike, 4) in ([0, 1, 3, 4], [0, 2, 3, 4])
    assert 3 in most_diverse(points, alike, 2) and 0 in most_diverse(points, alike, 3)
    assert most_diverse(points, alike, 5) == [0, 1, 2, 3, 4]
    assert most_diverse(points[:2], alike[:2], 1) == [0]


def test_where_sounds_lie_closer_together_a_small_difference_is_a_large_one():
    """Dark sounds, 2 dB apart, and noisy ones, 10 dB apart, are as many as they were."""
    dark, noisy = 2.0 * np.arange(12), 1000.0 + 10.0 * np.arange(12)
    points = np.concatenate([dark, noisy])[:, np.newaxis].astype(np.float32)
    assert most_diverse(points, [1.0] * 24, 14)[2:] == list(range(12, 24))
    kept = most_diverse(points, [2.0] * 12 + [10.0] * 12, 14)
    assert sum(place < 12 for place in kept) in range(5, 10)
    assert most_diverse(points, [0.0] * 24, 14)[2:] == list(range(12, 24))  # as if nothing was known


def test_spacing_is_that_of_the_training_sounds_around():
    values = np.zeros((7, FINGERPRINT_VALUES), dtype=np.uint8)
    values[:, 0] = [3, 6, 9, 12, 15, 90, 120]  # thirds of a decibel
    here = np.zeros(FINGERPRINT_VALUES, dtype=np.float32)
    assert Fingerprints(values, 0.0).around(here)[1] == pytest.approx(3.0)  # 1 … 5 dB
    assert Fingerprints(values[:2], 0.0).around(here)[1] == pytest.approx(1.5)  # of fewer, all
