"""Sources → aligned training images, cached on disk, split by kit.

Every sound becomes one or more images (one for each playback speed). They lie in one memory-mapped file of float16,
so that fifty thousand sounds need no more memory than fifty. Whole kits go to training or to validation: files of
one kit are alike, and a split by file would let a model be judged by what it has seen.
"""

from __future__ import annotations

import csv
import hashlib
import json
import mmap
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from samplegan import synth
from samplegan.audio import SAMPLE_RATE, align, find_audio_files, in_phase, one_shot_from, read_audio
from samplegan.config import Pack, Source
from samplegan.errors import ConfigError, InputError, UnreadableAudio
from samplegan.files import machine_error, sha256_of, write_json
from samplegan.representation import Representation

F32 = NDArray[np.float32]
IMAGES_FILE = "images.npy"
FEWEST_SOUNDS = 24
_MOST_COMPARED = 2000
_NEARLY_THE_SAME = 0.004
_AUDIBLE = -0.2
FEWEST_HELD_OUT = 2
PREPARATION = (
    2  # raised whenever `training_sound` makes something else of a sound: older images are not taken then
)
PANNED = 10.0  # one channel's energy over the other's
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Sound:
    """One sound to learn from: a file, or a draw of the synthesiser."""

    name: str
    kit: str  # sounds of one kit stay on one side of the split
    licence: str
    path: Path | None = None
    content: str = ""  # the file's SHA-256
    draw: tuple[str, int, int] | None = None  # category, seed, index
    repeat: int = 1  # how often an epoch sees it in training
    hold_out: bool = True  # whether it may be held out, with its kit

    @property
    def identity(self) -> str:
        """What decides its images, whatever the file is called."""
        if self.draw is None:
            return self.content
        return json.dumps([self.draw, synth.parameters(*self.draw)])  # a draw is another where the ranges are

    def audio(self) -> F32:
        """[2, sample] at 44.1 kHz. Raises UnreadableAudio."""
        if self.draw is not None:
            return synth.synthesise(*self.draw)
        assert self.path is not None
        return one_shot_from(read_audio(self.path))


@dataclass(frozen=True)
class Dataset:
    """Images on disk and who may see them.

    `images` is float16 [sound, variation, channel, row, frame], memory-mapped.
    """

    images: NDArray[np.float16]
    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    fingerprint: str
    plain: int = 0  # the variation that is played as it is
    card: dict[str, Any] = field(default_factory=dict)  # what a model card says about the data
    skipped: tuple[tuple[str, str], ...] = ()  # file, reason
    sounds: tuple[Sound, ...] = ()  # that the images are of

    def batch(self, indices: NDArray[np.int64], variations: NDArray[np.int64]) -> F32:
        """Images [batch, channel, row, frame] of the given sounds, one variation of each."""
        images = self.images[indices, variations].astype(np.float32)
        _let_go(self.images)
        return images

    def damaged(self) -> list[int]:
        """The sounds with images that hold values that are no numbers."""
        found = []
        for index, images in enumerate(self.images):
            if not np.isfinite(images).all():
                found.append(index)
            _let_go(self.images)
        return found


def prepare(
    pack: Pack, base: Path, representation: Representation, cache: Path, progress: Progress | None = None
) -> Dataset:
    """Read or synthesise everything that `pack` names, once; later calls find it in the folder `cache`.

    Raises InputError if fewer than 24 usable sounds remain, saying how many were skipped and why, and if fewer than
    two can be held out. Sources that none are held out of come on top: their sounds do not count.
    """
    sounds, skipped = _list_sounds(pack, base)
    plan = {
        "preparation": PREPARATION,
        "representation": representation.to_document(),
        "speeds": pack.speeds,
        "sounds": [sound.identity for sound in sounds],
    }
    fingerprint = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
    images_file, list_file = cache / IMAGES_FILE, cache / "sounds.json"
    if not _is_cached(images_file, list_file, fingerprint):
        kept, unusable = _analyse(sounds, pack.speeds, representation, images_file, progress)
        write_json(list_file, {"fingerprint": fingerprint, "kept": kept, "unusable": unusable})
    known = json.loads(list_file.read_text())
    sounds = [sounds[index] for index in known["kept"]]
    skipped += [(file, reason) for file, reason in known["unusable"]]
    judged = np.array([index for index, sound in enumerate(sounds) if sound.hold_out], dtype=np.int64)
    _require(len(judged), skipped)
    images: NDArray[np.float16] = np.load(images_file, mmap_mode="r")
    plain = int(np.argmin(np.abs(np.log(pack.speeds))))
    _require_different(images[:, plain], judged, representation.bands)
    _let_go(images)
    _, held_out = split_by_kit(
        [sounds[index].kit for index in judged], pack.training.validation_share, pack.training.seed
    )
    validation = judged[held_out]
    training = np.setdiff1d(np.arange(len(sounds)), validation)
    if len(validation) < FEWEST_HELD_OUT:
        raise InputError(
            f"only {len(validation)} sound can be held out to judge a model by; that needs {FEWEST_HELD_OUT}",
            hint="kits are not torn apart: use more of them, or one folder; or raise training.validation_share",
        )
    card = {
        "sounds": len(sounds),
        "training_sounds": len(training),
        "held_out_sounds": len(validation),
        "kits": len({s.kit for s in sounds}),
        "fingerprint": fingerprint,
        "licences": dict(sorted(Counter(s.licence for s in sounds).items())),
    }
    training = np.repeat(training, [sounds[index].repeat for index in training])
    return Dataset(images, training, validation, fingerprint, plain, card, tuple(skipped), tuple(sounds))


def kits_apart(kits: list[str]) -> list[str]:
    """The kits as they are; a single one is none, and its sounds stand for themselves."""
    return [f"{kit}/{index}" for index, kit in enumerate(kits)] if len(set(kits)) == 1 else kits


def split_by_kit(kits: list[str], share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices for training and for validation: whole kits, in an order that only their names and the seed decide.

    Kits are held out until `share` of all sounds is reached, passing over a kit that would overshoot it by more than
    half; with a single kit there is nothing to hold out but some of its sounds.
    """
    kits = kits_apart(kits)
    members: dict[str, list[int]] = {}
    for index, kit in enumerate(kits):
        members.setdefault(kit, []).append(index)
    order = sorted(members, key=lambda kit: hashlib.sha256(f"{seed}/{kit}".encode()).digest())
    wanted = share * len(kits)
    held_out: list[int] = []
    for kit in order:
        if len(held_out) < wanted and len(held_out) + len(members[kit]) <= 1.5 * wanted + 1:
            held_out += members[kit]
    if not held_out:  # every kit is larger than the share: the smallest one it is
        held_out = members[min(order, key=lambda kit: len(members[kit]))]
    training = sorted(set(range(len(kits))) - set(held_out))
    return np.array(training, dtype=np.int64), np.array(sorted(held_out), dtype=np.int64)


def _list_sounds(pack: Pack, base: Path) -> tuple[list[Sound], list[tuple[str, str]]]:
    sounds: list[Sound] = []
    skipped: list[tuple[str, str]] = []
    seen: set[str] = set()
    for source in pack.sources:
        if source.synth is not None:
            licence = "synthesised"
            for index in range(source.count):
                name = f"{source.synth}_{source.seed}_{index}"
                draw = (source.synth, source.seed, index)
                sounds.append(
                    Sound(
                        name,
                        kit=name,
                        licence=licence,
                        draw=draw,
                        repeat=source.repeat,
                        hold_out=source.hold_out,
                    )
                )
            continue
        assert source.folder is not None
        folder = Path(source.folder).expanduser()
        folder = folder if folder.is_absolute() else base / folder
        if not folder.is_dir():
            raise ConfigError(
                "this source folder does not exist", file=folder, hint="correct the `folder` in pack.yaml"
            )
        for sound in folder_sounds(folder, source, skipped):
            if source.only_licences and sound.licence not in source.only_licences:
                continue
            if sound.content in seen:
                skipped.append((str(sound.path), "has the same content as another file"))
            else:
                seen.add(sound.content)
                sounds.append(sound)
    return sounds, skipped


def folder_sounds(folder: Path, source: Source, skipped: list[tuple[str, str]]) -> Iterator[Sound]:
    """The audio files under `folder`, with their kits and licences; those that cannot be read go to `skipped`.

    Raises InputError if there are none.
    """
    files = find_audio_files(folder)
    if not files:
        raise InputError(
            "no audio files here", file=folder, hint="WAV, FLAC, AIFF, OGG, Opus and MP3 files are read"
        )
    listed = manifest_rows(folder)
    parents = {file.parent for file in files}
    for file in files:
        row = listed.get(os.path.realpath(file), {})
        # A kit is what a manifest says; else a subfolder, if there are several; else each file stands for itself.
        kit = row.get("kit") or (str(file.parent.relative_to(folder)) if len(parents) > 1 else file.name)
        try:
            content = sha256_of(file) if file.is_file() else ""
        except OSError as error:
            skipped.append((str(file), error.strerror or "unreadable"))
            continue
        yield Sound(
            file.name,
            kit=f"{row.get('source', folder.name)}/{kit}",
            licence=row.get("licence") or source.licence,
            path=file,
            content=content or str(file),
            repeat=source.repeat,
            hold_out=source.hold_out,
        )


def licences_of(folder: Path) -> dict[Path, str]:
    """The licence that a MANIFEST.csv, in `folder` or one folder up, gives each of its audio files that it lists."""
    listed = manifest_rows(folder)
    rows = {file: listed.get(os.path.realpath(file), {}) for file in find_audio_files(folder)}
    return {file: row["licence"] for file, row in rows.items() if row.get("licence")}


def manifest_rows(folder: Path) -> dict[str, dict[str, str]]:
    """Rows of a MANIFEST.csv (columns path, kit, and perhaps source and licence) here or one folder up."""
    for place in (folder, folder.parent):
        manifest = place / "MANIFEST.csv"
        if manifest.is_file():
            try:
                with manifest.open(newline="", encoding="utf-8") as file:
                    return {
                        os.path.realpath(place / row["path"]): row
                        for row in csv.DictReader(file)
                        if row.get("path")
                    }
            except (OSError, csv.Error, ValueError, KeyError):
                return {}
    return {}


def _analyse(
    sounds: list[Sound],
    speeds: tuple[float, ...],
    representation: Representation,
    images_file: Path,
    progress: Progress | None,
) -> tuple[list[int], list[tuple[str, str]]]:
    """Write the images of all readable sounds; returns the indices of those, and the others with the reason."""
    kept: list[int] = []
    unusable: list[tuple[str, str]] = []
    shape = (len(speeds), 2, representation.rows, representation.frames)
    temporary = images_file.with_name(".images.partial")
    try:
        images_file.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            _write_npy_header(file, (len(sounds), *shape))
            for index, sound in enumerate(sounds):
                try:
                    audio = sound.audio()
                except UnreadableAudio as error:
                    unusable.append((str(sound.path), error.what))
                else:
                    kept.append(index)
                    for speed in speeds:
                        image = representation.analyse(
                            training_sound(audio, speed, representation.length_samples)
                        )
                        file.write(image.astype(np.float16).tobytes())
                if progress is not None:
                    progress(index + 1, len(sounds))
            # How many there are is known now; numpy leaves room in a header for that number to change.
            file.seek(0)
            _write_npy_header(file, (len(kept), *shape))
        temporary.replace(images_file)
    except OSError as error:
        raise machine_error(error, images_file) from error
    finally:
        temporary.unlink(missing_ok=True)
    return kept, unusable


def training_sound(audio: F32, speed: float, length_samples: int) -> F32:
    """One sound as it is learned: mono-safe, played at `speed`, aligned, of fixed length, its peak at full scale (one
    gain for both channels: their balance is part of the sound)."""
    audio = mono_safe(audio)
    if speed != 1.0:
        import soxr

        audio = np.ascontiguousarray(
            soxr.resample(audio.T, SAMPLE_RATE * speed, SAMPLE_RATE).T, dtype=np.float32
        )
    aligned = align(audio, length_samples)
    return aligned / max(float(np.abs(aligned).max()), 1e-9)


def mono_safe(audio: F32) -> F32:
    """A sound [2, sample] that does not vanish in mono: one recorded against the phase is turned, and one that is
    panned to a side (by 10 dB and more) stands in the middle."""
    energies = [float(np.square(channel, dtype=np.float64).sum()) for channel in audio]
    if max(energies) > PANNED * min(energies):
        louder = audio[int(np.argmax(energies))]
        return np.stack([louder, louder])
    return in_phase(audio)


def _require_different(images: NDArray[np.float16], chosen: NDArray[np.int64], bands: int) -> None:
    """Raise InputError if hardly any of the chosen sounds [sound, channel, row, frame] differ: a model could only copy
    them.

    Looks at 2,000 sounds at most. Sounds are nearly the same if their levels, in the upper 60 % of the range, differ by
    less than 0.004 (0.2 dB) on average, and so do their tracks: what is nothing but a body has no level elsewhere.
    """
    looked_at = chosen[np.unique(np.linspace(0, len(chosen) - 1, _MOST_COMPARED).round().astype(np.int64))]
    different: list[tuple[F32, F32]] = []
    for index in looked_at:
        seen = _seen(images[index].astype(np.float32), bands)
        if all(_distance(seen, other) >= _NEARLY_THE_SAME for other in different):
            different.append(seen)
        if len(different) >= FEWEST_SOUNDS:
            return
    raise InputError(
        f"only {len(different)} of {len(looked_at)} sounds differ from each other; training needs at least "
        f"{FEWEST_SOUNDS} that do",
        hint="add other sounds to the folder, or a `synth` source to pack.yaml",
    )


def _seen(image: F32, bands: int) -> tuple[F32, F32]:
    """What is heard of an image [channel, row, frame]: its levels, and its tracks."""
    image = np.nan_to_num(image, posinf=0.0, neginf=0.0)  # `damaged` finds those that are no numbers
    level, second = np.maximum(image[0], _AUDIBLE), image[1] * (image[0] > _AUDIBLE)
    return level[:bands], np.stack([level[bands:], second[bands:]])


def _distance(first: tuple[F32, F32], second: tuple[F32, F32]) -> float:
    parts = zip(first, second, strict=True)
    return max(float(np.abs(one - other).mean()) for one, other in parts if one.size)


def _let_go(images: NDArray[np.float16]) -> None:
    """Pages of a mapped file that were read count as memory of this process until they are let go; what the system
    keeps of the file is not touched.
    """
    if isinstance(images.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
        images.base.madvise(mmap.MADV_DONTNEED)


def _write_npy_header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    description = np.lib.format.dtype_to_descr(np.dtype(np.float16))
    np.lib.format.write_array_header_1_0(file, {"descr": description, "fortran_order": False, "shape": shape})


def _is_cached(images_file: Path, list_file: Path, fingerprint: str) -> bool:
    try:
        known = json.loads(list_file.read_text())
        images = np.load(images_file, mmap_mode="r")
        return known["fingerprint"] == fingerprint and len(images) == len(known["kept"])
    except (OSError, ValueError, KeyError, EOFError):  # not there, or cut short
        return False


def _require(usable: int, skipped: list[tuple[str, str]]) -> None:
    if usable >= FEWEST_SOUNDS:
        return
    what = f"only {usable} usable sound{'s' * (usable != 1)}; training needs at least {FEWEST_SOUNDS}"
    if skipped:
        reasons = Counter(reason for _, reason in skipped).most_common(4)
        what += f". {len(skipped)} were skipped: " + "; ".join(
            f"{count} × {reason}" for reason, count in reasons
        )
    raise InputError(what, hint="add files to the folder, or a `synth` source to pack.yaml")
