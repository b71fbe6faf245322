"""What an image keeps of a sound, to be listened to: audio → image → audio, at the loudness of the original."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsp.loudness import momentary_maximum_lufs
from dsp.pitch import PitchTrack, pitch_and_sweep
from dsp.stft import Stft, window
from samplegan.audio import align, flac_bytes, one_shot_from, probe, read_audio, wav_bytes
from samplegan.categories import CATEGORIES, category_named
from samplegan.config import ImageSettings, category_image, compact_image, completed, load_pack
from samplegan.dataset import training_sound
from samplegan.descriptors import PITCH_CONFIDENT
from samplegan.errors import ConfigError, InputError, did_you_mean
from samplegan.files import write_atomic
from samplegan.representation import Representation, representation_for
from samplegan.store import find_model, read_card
from samplegan.validation import Scores, judge_for, measure, printable

F32 = NDArray[np.float32]
SCHEMA_VERSION = 1
IMAGES = ("body", "compact", "draft")

_WRITERS = {".wav": wav_bytes, ".flac": flac_bytes}
_CHOOSE = "add --category, --pack or --model; categories: " + ", ".join(CATEGORIES)
# Of the draft: the window is twice this, and the hop the largest under which the cells do not outgrow it.
_DRAFT_BANDS = 256
_DRAFT_HOP = 128


@dataclass(frozen=True)
class RoundTrip:
    """One sound that was an image in between."""

    source: Path
    representation: Representation
    chosen_by: str  # whose representation it is, in words
    audio: F32  # [2, length_samples]
    scores: Scores
    pitch_hz: float | None  # None where the original has no certain pitch
    pitch_back_hz: float | None
    loudness_lufs: float
    short_of_loudness_db: float  # what full scale did not allow

    @property
    def pitch_error_semitones(self) -> float | None:
        """How far the pitch has moved."""
        if not self.pitch_hz or not self.pitch_back_hz:
            return None
        return float(12.0 * np.log2(self.pitch_back_hz / self.pitch_hz))

    def to_dict(self) -> dict[str, Any]:
        """A document that `json.dumps(…, allow_nan=False)` accepts."""
        scores = dataclasses.asdict(self.scores)
        del scores["seconds"]
        return {
            "schema_version": SCHEMA_VERSION,
            "source": printable(self.source),
            "chosen_by": self.chosen_by,
            "representation": self.representation.to_document(),
            **scores,
            "pitch_hz": self.pitch_hz,
            "pitch_back_hz": self.pitch_back_hz,
            "pitch_error_semitones": self.pitch_error_semitones,
            "loudness_lufs": self.loudness_lufs,
            "short_of_loudness_db": self.short_of_loudness_db,
        }


def choose_representation(
    file: Path,
    *,
    category: str | None = None,
    pack: Path | None = None,
    model: str | None = None,
    image: str | None = None,
) -> tuple[Representation, str]:
    """The representation to use and, in words, whose it is.

    That of the pack or the model, else of the category, else of the category that the file's or its folder's name
    tells. Raises ConfigError if none of them does, and for names that do not exist.
    """
    if image is not None and image not in IMAGES:
        raise ConfigError(f"--image has no '{image}'", hint=did_you_mean(image, "choices", IMAGES))
    if model is not None:
        card = read_card(find_model(model))
        return Representation.from_document(card["representation"]), f"model {card['name']}"
    if pack is not None:
        definition = completed(load_pack(pack))
        assert definition.image is not None and definition.length_seconds is not None
        representation = representation_for(definition.image, definition.length_seconds)
        return representation, f"pack {definition.name or definition.category}"
    name = category or category_told_by(file)
    length_seconds = category_named(name).length_seconds
    settings = category_image(name)
    if image is not None and image != "body":
        settings = draft_image(length_seconds) if image == "draft" else compact_image(name)
    return representation_for(settings, length_seconds), f"category {name}"


def draft_image(length_seconds: float) -> ImageSettings:
    """The draft's image: 256 bands, a window of 512 and a hop of at most 128 samples."""
    cells = -(-round(length_seconds * 44_100 + _DRAFT_BANDS) // _DRAFT_HOP)
    return ImageSettings(name="draft", bands=_DRAFT_BANDS, frames=-(-cells // 16) * 16)


def round_trip(file: Path, representation: Representation, chosen_by: str, *, seed: int = 0) -> RoundTrip:
    """Bring a file through an image and back. Raises UnreadableAudio, and InputError if nothing comes back.

    What is judged is the original as it is learned: aligned to its onset, cut or padded to the representation's length.
    The convergence is measured at 1024/256 (Hann) and the distance at 2048/512, whatever the representation's window.
    """
    sound = one_shot_from(read_audio(file))
    length = representation.length_samples
    original = align(sound, length)
    image = representation.analyse(training_sound(sound, 1.0, length))
    back = representation.synthesise(image, seed=seed)
    loudness_lufs = momentary_maximum_lufs(original)
    gain_db = loudness_lufs - momentary_maximum_lufs(back)
    if not np.isfinite(gain_db):
        raise InputError(
            "nothing of this sound comes back: it is too short, or all of it inaudible", file=file
        )
    peak = float(np.abs(back).max()) * 10.0 ** (gain_db / 20.0)
    over_db = max(20.0 * np.log10(peak), 0.0)
    audio = (back * np.float32(10.0 ** ((gain_db - over_db) / 20.0))).astype(np.float32)
    pitch, pitch_back = _pitch(original), _pitch(audio)
    return RoundTrip(
        source=file,
        representation=representation,
        chosen_by=chosen_by,
        audio=audio,
        scores=measure(audio, original, Stft(length, window("hann", 1024), 256), judge_for(length)),
        pitch_hz=_certain_hz(pitch),
        pitch_back_hz=_certain_hz(pitch_back),
        loudness_lufs=loudness_lufs,
        short_of_loudness_db=float(over_db),
    )


def check_files(source: Path, out: Path, *, overwrite: bool) -> None:
    """Before the work: raise UnreadableAudio for what is no sound, ConfigError if `out` must not be written."""
    probe(source)
    if out.suffix.lower() not in _WRITERS:
        raise ConfigError("--out writes WAV or FLAC", file=out, hint="name it, for example, kick_back.wav")
    if not out.exists():
        return
    if out.samefile(source):
        raise ConfigError("--out is the sound itself, which is never touched", file=out)
    if out.is_dir():
        raise ConfigError("--out is a folder", file=out, hint="name a file in it")
    if not overwrite:
        raise ConfigError("this file exists already", file=out, hint="choose another name, or add --force")


def write(trip: RoundTrip, out: Path) -> None:
    """Write the sound, whole or not at all, as the name's ending says."""
    comment = f"what the {trip.representation.name} image of {trip.chosen_by} keeps"
    write_atomic(out, _WRITERS[out.suffix.lower()](trip.audio, {"comment": comment}))


def table(trip: RoundTrip) -> str:
    """What was kept, a value per line."""
    spec, scores = trip.representation, trip.scores
    low = scores.low_si_sdr_db
    short = trip.short_of_loudness_db
    lines = [
        ("image", f"{spec.name} {spec.bands} × {spec.frames}, {_window(spec)}, {spec.length_seconds:.2f} s"),
        ("of", trip.chosen_by),
        ("SC", f"{scores.spectral_convergence_db:.1f} dB spectral convergence"),
        ("LSD", f"{scores.log_spectral_distance_db:.1f} dB log-spectral distance"),
        ("low end", "none" if low is None else f"{low:.1f} dB SI-SDR below 200 Hz"),
        ("attack", f"moved by {scores.attack_error_s * 1000:.1f} ms"),
        ("pitch", _pitch_words(trip)),
        (
            "stereo",
            f"{scores.mono_sum_error_db:.1f} dB changed in mono, coherence by {scores.coherence_error:.2f}",
        ),
        (
            "loudness",
            f"{trip.loudness_lufs - short:.1f} LUFS, "
            + (f"{short:.1f} dB under the original (full scale)" if short >= 0.05 else "as the original"),
        ),
    ]
    return "\n".join([printable(trip.source), *(f"  {label:<12} {words}" for label, words in lines)])


def _window(spec: Representation) -> str:
    return f"{'kaiser' if spec.name == 'draft' else 'hann'} {spec.window_samples}/{spec.hop_samples}"


def _pitch_words(trip: RoundTrip) -> str:
    if trip.pitch_hz is None:
        return "none"
    if trip.pitch_error_semitones is None:
        return f"{trip.pitch_hz:.1f} Hz, lost"
    return (
        f"{trip.pitch_hz:.1f} Hz → {trip.pitch_back_hz:.1f} Hz ({trip.pitch_error_semitones:+.2f} semitones)"
    )


def _pitch(audio: F32) -> PitchTrack:
    """Of the sum of both channels, of the louder one where they cancel."""
    mono = 0.5 * (audio[0] + audio[1])
    powers = np.sum(np.square(audio, dtype=np.float64), axis=1)
    if np.sum(np.square(mono, dtype=np.float64)) < 0.05 * powers.max():
        mono = audio[int(np.argmax(powers))]
    return pitch_and_sweep(mono.astype(np.float32))


def _certain_hz(track: PitchTrack) -> float | None:
    return track.pitch_hz if track.confidence >= PITCH_CONFIDENT else None


def category_told_by(file: Path) -> str:
    """The category whose name stands in the file's name, else in its folder's."""
    for text in (file.stem, file.absolute().parent.name):
        told = {
            category.name
            for category in CATEGORIES.values()
            if any(_holds(text, name) for name in _spellings(category.name, category.plural))
        }
        if len(told) == 1:
            return told.pop()
        if told:
            raise ConfigError(
                f"the name tells several categories: {', '.join(sorted(told))}", file=file, hint=_CHOOSE
            )
    raise ConfigError("neither this file's name nor its folder's tells a category", file=file, hint=_CHOOSE)


def _spellings(name: str, plural: str) -> tuple[str, ...]:
    """hat_closed, hats_closed, closed_hat, closed_hats."""
    return (name, plural, "_".join(reversed(name.split("_"))), "_".join(reversed(plural.split("_"))))


def _holds(text: str, words: str) -> bool:
    """Whether the words stand in the text, whatever separates them and whatever follows but letters."""
    pattern = "[^a-z0-9]*".join(words.split("_"))
    return re.search(rf"(?<![a-z]){pattern}(?![a-z])", text.lower()) is not None
