"""What a pack leaves out: flawed and swelling sounds, copies of training sounds, what is like none of them, and what is
too like another sound.

More sounds are drawn than a pack needs. One that is flawed, or nearer to a training sound than sounds that the model
never saw, or further from all of them, or swells more on its way than these do, is drawn again; of the others the most
alike are left out. What is like nothing has to go before that: it is never among the most alike, and a pack would have
more of it than the model draws. The choice is made within blocks, so that a file depends on nothing outside its own: a
pack of 20 is the start of one of 60.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dsp.pitch import onset_sample
from samplegan.audio import SAMPLE_RATE, align
from samplegan.descriptors import Descriptors
from samplegan.evaluate.embedding import (
    BLOCKS,
    FRAMES,
    LOW_BANDS,
    LOW_MOMENTS,
    MEL_BANDS,
    SHORTEST_SECONDS,
    Embedding,
)
from samplegan.inspection import defects_of
from samplegan.loudness import Loudness

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]

BLOCK_FILES, BLOCK_CANDIDATES = 16, 24
MOST_FINGERPRINTS = 1500  # in a model
NEAR_PERCENTILE = 1.0
STRANGE_PERCENTILE = 95.0
SPACING_SOUNDS = 5  # the nearest ones, by which spacing is told
SWELL_PERCENTILE = 90.0
SWELL_WINDOW_SECONDS = 0.04
LEAST_SWELL_DB = 1.0  # to be heard
SWELL_RANGE_DB = 30.0  # below the loudest moment a swell is of the room, or of the recording
LONGEST_RISE_S = 0.005  # from 40 to 20 dB below the peak: a louder sound hides a quieter one for so long
_CHOSEN = frozenset({"cut_off", "quiet"})  # by somebody's --length and --loudness, and no fault of the sound
_LIMITS = ("most_swell_db", "strange_distance")
_STEPS_PER_DB = 3.0
_LEAST_SPACING_DB = 1.0  # over all cells: inaudible
_MID_CELLS, _SIDE_CELLS, _LOW_CELLS = (12, 16), (6, 4), (4, 12)  # moments and bands
FINGERPRINT_VALUES = sum(moments * bands for moments, bands in (_MID_CELLS, _SIDE_CELLS, _LOW_CELLS))


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """Training sounds, as coarsely as copies of them can still be told, the distance under which one is a copy, that
    over which a sound is like none of them, and the swell over which it is none of their kind.

    The distance of two fingerprints a and b is ‖a - b‖ / √((‖a‖² + ‖b‖²) / 2), as in `evaluate.memorisation`. Of
    kicks that went through an image and back 97 % are nearer to a training sound than 99 % of those held out; of their
    much larger log-mel images, which blur the low end, 28 % are.
    """

    values: U8  # [sound, FINGERPRINT_VALUES]
    copy_distance: float
    most_swell_db: float = np.inf  # see `swell_db`
    strange_distance: float = np.inf

    @classmethod
    def of(cls, training: Iterable[F32], held_out: Iterable[F32], length_seconds: float) -> Self:
        """Of sounds float32 [2, sample], onset-aligned. A copy is nearer than 99 % of the sounds held out, what is
        strange is further than 95 % of them, and what swells too much swells more than 90 % of them.

        Raises ValueError if either has none.
        """
        values = [_steps(fingerprint(sound, length_seconds)) for sound in training]
        if not values:
            raise ValueError("there are no training sounds to take fingerprints of")
        known = cls(np.stack(values), 0.0)
        fresh = [(known.nearest(fingerprint(sound, length_seconds)), swell_db(sound)) for sound in held_out]
        if not fresh:
            raise ValueError("what counts as a copy needs held-out sounds, and there are none")
        near, swells = zip(*fresh, strict=True)
        return cls(
            known.values,
            float(np.percentile(near, NEAR_PERCENTILE)),
            max(float(np.percentile(swells, SWELL_PERCENTILE)), LEAST_SWELL_DB),
            float(np.percentile(near, STRANGE_PERCENTILE)),
        )

    def nearest(self, vector: F32) -> float:
        """The distance of a fingerprint to its nearest training sound."""
        return self.around(vector)[0]

    def around(self, vector: F32) -> tuple[float, float]:
        """The distance of a fingerprint to its nearest training sound, and how far apart training sounds lie there, in
        dB: the mean of ‖a - b‖ to the 5 nearest.
        """
        here = _steps(vector).astype(np.float32)
        mean = 0.5 * (self._energies + float(here @ here))
        differences2 = np.square(self._known - here).sum(axis=1)
        ratio = np.divide(differences2, mean, out=np.zeros_like(mean), where=mean > 0.0)
        count = min(SPACING_SOUNDS, len(differences2))
        spacing = float(np.sqrt(np.partition(differences2, count - 1)[:count]).mean())
        return float(np.sqrt(ratio.min())), spacing / _STEPS_PER_DB

    def tensors(self) -> dict[str, NDArray]:
        """What a model file keeps."""
        limits = {name: np.array([getattr(self, name)], np.float32) for name in ("copy_distance", *_LIMITS)}
        return {"values": self.values} | limits

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray]) -> Self:
        """The inverse of `tensors`. Raises ValueError for fingerprints of another kind."""
        values, distance = tensors["values"], tensors["copy_distance"]
        if values.dtype != np.uint8 or values.ndim != 2 or values.shape[1] != FINGERPRINT_VALUES:
            raise ValueError(f"fingerprints of another kind: {values.dtype} {list(values.shape)}")
        # Models of before have none.
        limits = {name: float(tensors[name][0]) for name in _LIMITS if name in tensors}
        return cls(values, float(distance[0]), **limits)

    @cached_property
    def _known(self) -> F32:
        return self.values.astype(np.float32)

    @cached_property
    def _energies(self) -> F32:
        return np.square(self._known).sum(axis=1)


def fingerprint(audio: F32, length_seconds: float) -> F32:
    """A sound in FINGERPRINT_VALUES numbers: means of the embedding's decibels over cells. Silence is 0 everywhere.

    Shape: float32 [2, sample] at 44,100 Hz, any onset.
    """
    aligned = align(audio, max(round(length_seconds * SAMPLE_RATE), 1))
    features = Embedding(max(length_seconds, SHORTEST_SECONDS)).features(aligned)
    parts = (
        _means(features[BLOCKS["mid"]].reshape(FRAMES, MEL_BANDS), *_MID_CELLS),
        _means(features[BLOCKS["side"]].reshape(FRAMES, MEL_BANDS), *_SIDE_CELLS),
        _means(features[BLOCKS["low"]].reshape(len(LOW_MOMENTS), LOW_BANDS), *_LOW_CELLS),
    )
    return np.concatenate(parts)


def flaw(audio: F32, descriptors: Descriptors, loudness: Loudness) -> str | None:
    """What is wrong with a finished sound float32 [2, sample], by the name that `inspect` has for it, or 'pre_echo'."""
    for defect in defects_of(descriptors, loudness, channels=2):
        if defect.name not in _CHOSEN:
            return defect.name
    peak = np.abs(audio).max(axis=0)
    rise_samples = onset_sample(peak, below_peak_db=-20.0) - onset_sample(peak)
    return "pre_echo" if rise_samples > LONGEST_RISE_S * SAMPLE_RATE else None


def swell_db(audio: F32) -> float:
    """How far the level of a sound float32 [2, sample], RMS over 40 ms, rises again after its loudest moment, in dB.

    Toms that beat and claps of many hands do; a drum that dips and comes back for no reason does it more. Looked for
    until the level is 30 dB under the loudest.
    """
    window = round(SWELL_WINDOW_SECONDS * SAMPLE_RATE)
    if audio.shape[1] <= window:
        return 0.0
    power = np.square(audio, dtype=np.float64).sum(axis=0)
    total = np.concatenate(([0.0], np.cumsum(power)))
    hop = window // 16
    level_db = 10.0 * np.log10(np.maximum((total[window:] - total[:-window])[::hop], 1e-12))
    after = level_db[level_db.argmax() :]
    after = after[: np.flatnonzero(after >= after[0] - SWELL_RANGE_DB)[-1] + 1]
    return float((after - np.minimum.accumulate(after)).max())


def most_diverse(fingerprints: F32, spacings_db: Sequence[float], count: int) -> list[int]:
    """Which `count` of the sounds [sound, value] to keep, in their order: of the two most alike the one goes that is
    nearer to a third, until so many are left.

    How alike two are is told next to how far apart training sounds lie around them (Zelnik-Manor & Perona, 'Self-tuning
    spectral clustering', 2004). In decibels alone dark and dry sounds differ less than noisy ones, which would be kept.
    """
    difference = fingerprints[:, np.newaxis].astype(np.float64) - fingerprints[np.newaxis]
    spacings = np.maximum(np.array(spacings_db, dtype=np.float64), _LEAST_SPACING_DB)
    distances: F64 = np.square(difference).sum(axis=2) / np.outer(spacings, spacings)
    np.fill_diagonal(distances, np.inf)
    kept = list(range(len(fingerprints)))
    while len(kept) > count:
        among = distances[np.ix_(kept, kept)]
        first, second = divmod(int(np.argmin(among)), len(kept))
        # Nearest is the other one; the next distance decides. With two left, the later one goes.
        third = [np.partition(among[each], min(1, len(kept) - 1))[1] for each in (first, second)]
        del kept[first if third[0] < third[1] else second]
    return kept


def _means(levels: F32, moments: int, bands: int) -> F32:
    """Means over cells, [moment · band]."""
    height, width = levels.shape
    return levels.reshape(moments, height // moments, bands, width // bands).mean(axis=(1, 3)).ravel()


def _steps(vector: F32) -> U8:
    return np.clip(np.rint(vector * _STEPS_PER_DB), 0, 255).astype(np.uint8)
