"""What a trained model is given before others use it: directions for its controls, and fingerprints of what it learned
from, by which `render` knows a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samplegan import steering, store
from samplegan.dataset import Sound, training_sound
from samplegan.errors import InputError, UnreadableAudio
from samplegan.gates import MOST_FINGERPRINTS, Fingerprints
from samplegan.progress import Progress
from samplegan.steering import Directions

F32 = NDArray[np.float32]
MOST_HELD_OUT = 500


def complete_model(
    source: Path,
    target: Path,
    *,
    training: Iterable[F32] = (),
    held_out: Iterable[F32] = (),
    sounds: int = steering.SOUNDS,
    jobs: int = 1,
    quiet: bool = True,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Read a model file, find out what `render` wants to know of it, and write it to `target` (which may be `source`).

    `training` and `held_out` are sounds float32 [2, sample], onset-aligned; without them copies will not be known.
    Controls are learned from `sounds` of the model's own; 0 leaves them out, as does a model that is mostly silent.
    The same bytes on any number of `jobs`. `check` is called after every sound; what it raises ends this soon, and
    `target` stays as it is.
    """
    model = store.load_model(str(source))
    directions = None
    if sounds:
        try:
            with Progress("learning its controls", sounds, unit="sounds", quiet=quiet) as progress:

                def heard() -> None:
                    progress.advance()
                    check()

                directions = Directions.of_model(model, sounds=sounds, jobs=jobs, progress=heard)
        except InputError:  # it renders next to nothing, which a render will say
            directions = None
    try:
        fingerprints = Fingerprints.of(
            _checked(training, check), _checked(held_out, check), model.representation.length_seconds
        )
    except ValueError:
        fingerprints = None
    store.save_model(target, model.generator, model.card, directions=directions, fingerprints=fingerprints)


def learned_sounds(
    sounds: list[Sound], speeds: tuple[float, ...], length_samples: int, *, seed: int
) -> Iterator[F32]:
    """Sounds as they were learned, at every speed; 1500 drawn from them where there are more, files before what was
    synthesised: those are somebody's.
    """
    items = np.random.default_rng(seed).permutation(len(sounds) * len(speeds))
    files_first = sorted(items.tolist(), key=lambda item: sounds[item // len(speeds)].path is None)
    for item in files_first[:MOST_FINGERPRINTS]:
        sound, speed = divmod(item, len(speeds))
        yield from _readable(sounds[sound], speeds[speed], length_samples)


def held_out_sounds(sounds: list[Sound], length_samples: int) -> Iterator[F32]:
    """At most 500 of them, evenly taken."""
    for sound in sounds[:: -(-len(sounds) // MOST_HELD_OUT) or 1]:
        yield from _readable(sound, 1.0, length_samples)


def _checked(sounds: Iterable[F32], check: Callable[[], None]) -> Iterator[F32]:
    for sound in sounds:
        yield sound
        check()


def _readable(sound: Sound, speed: float, length_samples: int) -> Iterator[F32]:
    try:
        yield training_sound(sound.audio(), speed, length_samples)
    except UnreadableAudio:  # it could be read when training began
        return
