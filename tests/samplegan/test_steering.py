"""Controls: what they move, what they leave, what a model file keeps of them. Tuning: the note that was asked for."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from samplegan.audio import ONSET_SAMPLE, SAMPLE_RATE
from samplegan.config import ImageSettings
from samplegan.descriptors import describe
from samplegan.errors import ConfigError, InputError
from samplegan.finishing import finish
from samplegan.pack.manifest import Header
from samplegan.render import Existing, RenderOptions, candidate, drawn_by, render
from samplegan.representation import representation_for
from samplegan.representation.body import frequency_row
from samplegan.steering import CONTROLS, Directions, require_steerable
from samplegan.tuning import parse_pitch, settled_hz, transposed

sys.path.insert(0, str(Path(__file__).parent))
from fakes import FakeModel

BANDS, FRAMES = 16, 16
SAMPLES = round(0.3 * SAMPLE_RATE)
TIME = (np.arange(SAMPLES) - ONSET_SAMPLE) / SAMPLE_RATE


@dataclass
class Drum:
    """Images whose first cells say how long, how noisy and how wide a drum is."""

    length_seconds: float = 0.3
    bands: int = BANDS
    partials: int = 0

    def synthesise(self, image, *, seed=0):
        long, noisy, wide = image[0, 0, 0], image[0, 2, 2], image[1, 0, 0]
        body = np.sin(2 * np.pi * 70 * TIME) * np.exp(-TIME / (0.04 * 2.0**long))
        hiss = np.random.default_rng(seed).standard_normal((2, SAMPLES)) * np.exp(-TIME / 0.05)
        mid = body + 0.05 * 4.0**noisy * hiss[0]
        side = 0.03 * 4.0**wide * hiss[1]
        return ((TIME >= 0) * 0.3 * np.stack([mid + side, mid - side])).astype(np.float32)


class Drums(FakeModel):
    """Latents are codes; three of eight are heard, mixed so that no control is one number of a code."""

    mix = np.linalg.qr(np.random.default_rng(3).standard_normal((8, 8)))[0].astype(np.float32)

    def codes(self, latents, truncation=1.0):
        return latents * np.float32(truncation)

    def decode(self, codes):
        heard = np.tanh(0.7 * (codes @ self.mix))[:, :3]
        images = np.zeros((len(codes), 2, BANDS, FRAMES), dtype=np.float32)
        images[:, 0, :2, :1] = heard[:, 0, None, None]
        images[:, 0, 2:4, 1:3] = heard[:, 1, None, None]
        images[:, 1] = heard[:, 2, None, None]
        return images

    def images(self, latents, truncation=1.0):
        return self.decode(self.codes(latents, truncation))


@pytest.fixture(scope="module")
def drums():
    model = Drums(representation=Drum())
    model.directions = Directions.of_model(model, sounds=120)
    return model


@pytest.fixture(scope="module")
def spread(drums):
    codes = np.random.default_rng(2).standard_normal((60, 8)).astype(np.float32)
    return values(drums, codes).std(axis=0)


def values(model, codes):
    """[sound, control]."""
    sounds = [model.representation.synthesise(model.decode(code[None])[0], seed=7) for code in codes]
    described = [describe(finish(sound).audio) for sound in sounds]
    return np.array([[control(sound) for control in CONTROLS.values()] for sound in described])


@pytest.mark.parametrize("control", ["long", "noisy", "wide"])
@pytest.mark.parametrize("amount", [-1.0, 1.0])
def test_a_control_moves_what_it_is_named_for_and_the_others_less(drums, spread, control, amount):
    codes = np.random.default_rng(1).standard_normal((12, 8)).astype(np.float32)
    before = values(drums, codes)
    steered = np.stack([drums.directions.steered(drums, code, {control: amount}) for code in codes])
    moved = (values(drums, steered) - before) / spread
    own = list(CONTROLS).index(control)
    assert np.mean(moved[:, own] * amount > 0) >= 0.9
    assert 0.5 < np.median(moved[:, own] * amount) < 1.5
    heard = [list(CONTROLS).index(name) for name in ("long", "noisy", "wide") if name != control]
    assert np.abs(np.median(moved[:, heard], axis=0)).max() < 0.5


def test_nothing_asked_for_changes_nothing(drums):
    code = np.ones(8, dtype=np.float32)
    assert drums.directions.steered(drums, code, {}) is code
    assert drums.directions.steered(drums, code, dict.fromkeys(CONTROLS, 0.0)) is code


def test_a_pack_steered_by_nothing_is_the_plain_pack_and_by_something_another(drums, tmp_path):
    def written(name, **options):
        render(drums, tmp_path / name, count=2, options=RenderOptions(**options))
        return sorted(path.read_bytes() for path in (tmp_path / name).glob("*.wav"))

    plain = written("plain")
    assert written("zero", long=0.0, wide=-0.0) == plain
    assert written("long", long=1.0) == written("again", long=1.0) != plain


def test_controls_and_pitch_are_part_of_what_a_pack_is(drums, tmp_path):
    render(drums, tmp_path, count=1, options=RenderOptions(long=1.0))
    with pytest.raises(ConfigError, match=r"--long 1.0, not 0.5"):
        render(drums, tmp_path, count=2, options=RenderOptions(long=0.5), existing=Existing.RESUME)
    one, other = (Header("1", {}, {"pitch": pitch}) for pitch in ("F1", "G1"))
    with pytest.raises(ConfigError, match="--pitch F1, not G1"):
        other.require_same(one, tmp_path)


def test_the_number_of_jobs_changes_no_direction(drums):
    one, again = (Directions.of_model(drums, sounds=50, jobs=jobs) for jobs in (1, 3))
    for name, value in one.tensors().items():
        np.testing.assert_array_equal(again.tensors()[name], value)


def test_directions_survive_a_model_file(drums):
    kept = Directions.from_tensors(drums.directions.tensors(), drums.directions.controls)
    code = np.full(8, 0.3, dtype=np.float32)
    one, other = (each.steered(drums, code, {"noisy": 1.0}) for each in (kept, drums.directions))
    np.testing.assert_allclose(one, other, atol=1e-4)
    with pytest.raises(ValueError, match="do not fit"):
        Directions.from_tensors(drums.directions.tensors(), ("punchy",))


def test_what_a_model_cannot_do_is_said(drums):
    with pytest.raises(ConfigError, match="without controls"):
        RenderOptions(bright=1.0).checked(FakeModel())
    with pytest.raises(ConfigError, match="between -3 and 3"):
        RenderOptions(long=3.5).checked(drums)
    with pytest.raises(ConfigError, match="--long must lie"):
        RenderOptions(long=float("nan")).checked(drums)
    mono = Directions.fit(
        np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32),
        np.zeros((64, 2, BANDS, FRAMES), dtype=np.float32),
        np.hstack([np.random.default_rng(1).standard_normal((64, 4)), np.full((64, 1), -60.0)]),
        BANDS,
    )
    with pytest.raises(ConfigError, match="do not differ in what --wide"):
        require_steerable(mono, {"wide": 1.0}, "mono")
    with pytest.raises(ValueError, match="at least 48"):
        Directions.fit(np.zeros((3, 4), np.float32), np.zeros((3, 2, BANDS, FRAMES)), np.zeros((3, 5)), BANDS)


def test_a_silent_model_has_no_directions():
    silent = Drums(representation=Drum())
    silent.representation.synthesise = lambda image, seed=0: np.zeros((2, SAMPLES), np.float32)
    with pytest.raises(InputError, match="0 of 50"):
        Directions.of_model(silent, sounds=50)


# --- pitch


@pytest.mark.parametrize(
    ("text", "hz"),
    [
        ("A1", 55.0),
        ("f1", 43.6535),
        ("c#2", 69.2957),
        ("Db2", 69.2957),
        ("B0", 30.8677),
        ("43.65", 43.65),
        ("61 Hz", 61),
    ],
)
def test_notes_and_frequencies_are_read(text, hz):
    assert parse_pitch(text).hz == pytest.approx(hz, rel=1e-5)


@pytest.mark.parametrize("text", ["H1", "", "F", "20", "Hz", "nan", "C9", "A1x", "inf"])
def test_what_is_no_pitch_is_refused(text):
    if text == "F":
        assert parse_pitch(text).any_octave
    else:
        with pytest.raises(ConfigError, match="pitch"):
            parse_pitch(text)


@pytest.mark.parametrize(
    ("here_hz", "near_hz"), [(50.0, 43.6535), (90.0, 87.307), (62.5, 87.307), (200.0, 174.614)]
)
def test_a_note_in_any_octave_is_the_nearest(here_hz, near_hz):
    assert parse_pitch("F").near(here_hz) == pytest.approx(near_hz, rel=1e-4)


@dataclass
class Tuned(FakeModel):
    """Kicks of the body representation, which fall to a pitch of their own."""

    def images(self, latents, truncation=1.0):
        spec = self.representation
        images = np.full((len(latents), 3, spec.rows, spec.frames), -1.0, dtype=np.float32)
        images[:, 1, : spec.bands] = -1.0
        for image, latent in zip(images, latents, strict=True):
            settles_hz = 60.0 * 2.0 ** (0.3 * float(latent[0]))
            course = np.linspace(0.0, 1.0, spec.frames)
            image[0, : spec.bands, :2] = 0.2  # a click
            image[0, spec.bands] = 0.75 - 0.9 * course
            image[1, spec.bands] = frequency_row(settles_hz * (1.0 + 3.0 * np.exp(-course / 0.05)))
        return images


@pytest.fixture(scope="module")
def kicks():
    settings = ImageSettings(bands=32, frames=16, linear_bins=8, dense_frames=4, partials=1)
    return Tuned(representation=representation_for(settings, 0.5))


@pytest.mark.parametrize("note", ["F1", "C2", "75.5"])
def test_every_sound_lands_on_the_note(kicks, note):
    options = RenderOptions(pitch=note).checked(kicks)
    target_hz = parse_pitch(note).hz
    for number in (1, 2, 3):
        found = candidate(kicks, number, options, drawn_by(kicks, options))
        assert found.descriptors.pitch_confidence > 0.5
        assert abs(1200 * np.log2(found.descriptors.pitch_hz / target_hz)) < 10


def test_without_a_pitch_sounds_keep_their_own(kicks):
    options = RenderOptions().checked(kicks)
    pitches = [candidate(kicks, n, options, drawn_by(kicks, options)).descriptors.pitch_hz for n in (1, 2, 3)]
    assert max(pitches) / min(pitches) > 1.05


def test_the_tracks_tell_where_a_body_settles_and_move_as_one(kicks):
    image = kicks.images(np.zeros((1, 8), dtype=np.float32))[0]
    bands, rows = kicks.representation.bands, kicks.representation.partial_rows
    assert settled_hz(image, rows) == pytest.approx(60.0, rel=0.03)
    higher = transposed(image, rows, 1.0)
    assert settled_hz(higher, rows) == pytest.approx(2.0 * settled_hz(image, rows), rel=1e-4)
    np.testing.assert_array_equal(higher[:, :bands], image[:, :bands])
    np.testing.assert_array_equal(higher[0], image[0])
    silent = image.copy()
    silent[0, bands:] = -1.0
    assert settled_hz(silent, rows) is None


@pytest.fixture(scope="module")
def bells():
    """Percussion: a partial among lines."""
    settings = ImageSettings(bands=32, frames=16, linear_bins=8, dense_frames=4, partials=1, lines=True)

    class Ringing(Tuned):
        def images(self, latents, truncation=1.0):
            images = super().images(latents, truncation)
            images[:, 0, : self.representation.bands] = np.linspace(-0.1, -0.7, self.representation.frames)
            images[:, 0, -1], images[:, 1, -1] = 0.8, 0.1
            return images

    return Ringing(representation=representation_for(settings, 0.5))


def test_only_partials_are_tuned_where_there_are_lines(bells):
    image = bells.images(np.zeros((1, 8), dtype=np.float32))[0]
    rows = bells.representation.partial_rows
    assert settled_hz(image, rows) == pytest.approx(60.0, rel=0.03)
    higher = transposed(image, rows, 0.7)
    assert settled_hz(higher, rows) == pytest.approx(60.0 * 2.0**0.7, rel=0.03)
    moved = np.argwhere((higher != image).any(axis=2))
    assert moved.tolist() == [[1, bells.representation.bands]]


@pytest.mark.parametrize("note", ["F1", "75.5"])
def test_a_sound_with_lines_lands_on_the_note(bells, note):
    options = RenderOptions(pitch=note).checked(bells)
    found = candidate(bells, 1, options, drawn_by(bells, options))
    assert abs(1200 * np.log2(found.descriptors.pitch_hz / parse_pitch(note).hz)) < 10


def test_a_model_without_a_body_is_not_tuned():
    with pytest.raises(ConfigError, match="with a body"):
        RenderOptions(pitch="F1").checked(FakeModel())
    settings = ImageSettings(bands=32, frames=16, linear_bins=8, dense_frames=4, lines=True)
    with pytest.raises(ConfigError, match="with a body"):
        RenderOptions(pitch="F1").checked(FakeModel(representation=representation_for(settings, 0.3)))
    with pytest.raises(ConfigError, match="not a pitch"):
        RenderOptions(pitch="loud").checked(FakeModel())
