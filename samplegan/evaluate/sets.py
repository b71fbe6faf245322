"""Sets of sounds to compare: a folder of audio, or what a model makes.

A set holds how to make its sounds, not the sounds: they are made where they are measured, one at a time, so that sets
of thousands of sounds need little memory. All are as they are learned: aligned to their onset, cut or padded to one
length, at full scale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samplegan.audio import find_audio_files, one_shot_from, read_audio
from samplegan.dataset import FEWEST_SOUNDS, manifest_rows, training_sound
from samplegan.errors import ConfigError, InputError, UnreadableAudio
from samplegan.files import sha256_of
from samplegan.inspection import Skipped
from samplegan.render import random_generator
from samplegan.representation import Representation
from samplegan.roundtrip import category_told_by
from samplegan.store import Model

F32 = NDArray[np.float32]
Maker = Callable[[], F32]  # of one sound, float32 [2, length_samples]; can be sent to another process


@dataclass(frozen=True)
class Sounds:
    """A set of sounds. `files` are those of a folder, in the order of the sounds; `skipped` could not be read."""

    name: str
    makers: tuple[Maker, ...]
    files: tuple[Path, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.makers)

    def __iter__(self) -> Iterator[F32]:
        return (maker() for maker in self.makers)

    def __getitem__(self, index: int) -> F32:
        """Sound `index`, float32 [2, length_samples]; made anew each time."""
        return self.makers[index]()

    def named(self, name: str) -> Sounds:
        """The same set under another name."""
        return replace(self, name=name)

    def only(self, indices: Iterable[int]) -> Sounds:
        """The same set with these sounds only."""
        chosen = list(indices)
        return replace(
            self,
            makers=tuple(self.makers[index] for index in chosen),
            files=tuple(self.files[index] for index in chosen) if self.files else (),
        )


def read_folder(folder: Path, name: str, length_samples: int) -> Sounds:
    """The sounds of a folder; what cannot be read is skipped and kept with its reason.

    Raises InputError if fewer than 24 can be read.
    """
    makers: list[Maker] = []
    files: list[Path] = []
    skipped: list[Skipped] = []
    for path in find_audio_files(folder):
        try:
            _read(path, length_samples)
        except UnreadableAudio as error:
            skipped.append(Skipped(path, error.what))
        else:
            makers.append(partial(_read, path, length_samples))
            files.append(path)
    if len(files) < FEWEST_SOUNDS:
        told = f"{len(files)} sounds here that can be read, and a comparison needs at least {FEWEST_SOUNDS}"
        if skipped:
            reason, number = Counter(each.reason for each in skipped).most_common(1)[0]
            told += f"; {len(skipped)} cannot: {number} × {reason}"
        raise InputError(told, file=folder, hint="add sounds, or name another folder")
    return Sounds(name, tuple(makers), tuple(files), tuple(skipped))


def model_sounds(model: Model, count: int, seed: int, length_samples: int) -> Sounds:
    """The first `count` draws of a seed, straight from the generator and the representation.

    Nothing is finished, refused or chosen, as `render` would. A sound whose image is no number is silent.
    """
    import torch

    torch.set_num_threads(1)  # as `render` does: a sum split over threads would round differently
    truncation = float(model.card.get("truncation", 1.0))
    makers: list[Maker] = []
    for index in range(1, count + 1):
        random = random_generator(seed, index, 0)
        phase_seed = int(random.integers(2**62))
        latent = random.standard_normal(model.latent_dim).astype(np.float32)
        image = model.images(latent[np.newaxis], truncation=truncation)[0]
        makers.append(partial(heard, model.representation, image, phase_seed, length_samples))
    return Sounds(model.name, tuple(makers))


def heard(representation: Representation, image: F32, seed: int, length_samples: int) -> F32:
    """An image [2, band, frame] as a sound of a set."""
    if not np.isfinite(image).all():
        return np.zeros((2, length_samples), dtype=np.float32)
    audio = representation.synthesise(image, seed=seed)
    return training_sound(np.nan_to_num(audio, posinf=0.0, neginf=0.0), 1.0, length_samples)


def at_most(sounds: Sounds, most: int, seed: int) -> Sounds:
    """The set, or `most` of its sounds in their order; which they are depends on the seed and the set's size alone."""
    order = np.random.default_rng(seed).permutation(len(sounds))
    return sounds.only(sorted(order[:most].tolist()))


def require_disjoint(train: Sounds, against: Sounds) -> None:
    """Raise ConfigError if a file stands in both sets, by its content."""
    known = {sha256_of(path): path for path in train.files}
    shared = [path for path in against.files if sha256_of(path) in known]
    if shared:
        raise ConfigError(
            f"{len(shared)} of {len(against.files)} sounds of --against are among those of --train as well",
            file=shared[0],
            hint="hold sounds out by kit: python scripts/split_by_kit.py FOLDER OUT",
        )


def told_category(folder: Path) -> str | None:
    """The category that a folder's MANIFEST.csv, else its name or its parent's, tells. None if none or several."""
    listed = manifest_rows(folder)
    if listed:
        inside = folder.resolve()
        told = {row.get("category") for path, row in listed.items() if Path(path).is_relative_to(inside)}
        if len(told) == 1 and (category := told.pop()):
            return category
    try:
        return category_told_by(folder)
    except ConfigError:
        return None


def _read(path: Path, length_samples: int) -> F32:
    return training_sound(one_shot_from(read_audio(path)), 1.0, length_samples)
