"""Magnitudes to images in [-1, 1] and back.

Magnitudes and images are floating-point arrays of any shape. What is not finite, and negative magnitudes, are refused
with a ValueError; so what comes out is finite.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dsp import arguments
from dsp.kernels import decibels
from dsp.stft import Stft

F32 = NDArray[np.float32]
Law = tuple[np.float32, ...]

CHUNK = 1024  # values whose logarithms are taken together: few enough for the inner cache

# The mapping of the StereoSampleGAN draft, section 3.2.
DRAFT_PEAK = 100.0
"""Magnitudes are scaled to 0 … 100, so that the loudest cell stands at +40 dB."""
DRAFT_THRESHOLD_DB = -90.0
"""What lies below is inaudible …"""
DRAFT_SILENT_DB = -120.0
"""… and becomes this, the lowest value."""
DRAFT_CEILING_DB = 40.0

# Within these bounds no level, gain, power or magnitude leaves single precision.
SMALLEST_REFERENCE, LARGEST_REFERENCE = 1e-18, 1e18
LOWEST_DB = -1000.0
LARGEST_MAGNITUDE = 3e38


def to_image(magnitude: ArrayLike, *, peak: float | None = None) -> F32:
    """The draft's mapping: scale to 0 … 100, decibels, everything under -90 dB to -120, then [-120, 40] →
    [-1, 1].

    ``peak`` is the magnitude that becomes 100; by default the largest of the whole array, both channels
    together, so that the balance of left and right is kept. Magnitudes above a given ``peak`` are held at 1. A
    peak under 1e-18 is silence.

    Shape: float32 [...] → float32 [...].
    """
    magnitude = _checked("magnitude", magnitude)
    if peak is None:
        peak = float(magnitude.max(initial=0.0))
    else:
        _check_reference("peak", peak, 0.0)
    if peak < SMALLEST_REFERENCE:  # silence has no loudest cell
        return np.full_like(magnitude, -1.0)
    law = _law(DRAFT_PEAK / peak, 20.0, DRAFT_THRESHOLD_DB, DRAFT_SILENT_DB, DRAFT_CEILING_DB)
    return _to_level(magnitude, law)


def from_image(image: ArrayLike, *, peak: float = 1.0) -> F32:
    """The inverse of ``to_image``: 1 becomes ``peak``, -1 becomes ``peak`` less 160 dB.

    Shape: float32 [...] → float32 [...]. Values beyond [-1, 1] are clipped.
    """
    _check_reference("peak", peak, 0.0)
    image = arguments.floats("image", image)
    out = np.empty_like(image)
    slope = (DRAFT_CEILING_DB - DRAFT_SILENT_DB) / 2.0
    decibels.level_to_magnitude(
        image.reshape(-1),
        np.float32(slope),
        np.float32(slope + DRAFT_SILENT_DB),
        np.float32(peak / DRAFT_PEAK),
        np.float32(-np.inf),
        out.reshape(-1),
    )
    return out


@dataclass(frozen=True)
class FixedScale:
    """One decibel range for all sounds: magnitude over ``reference_magnitude``, in dB, clipped, to [-1, 1].

    ``reference_magnitude`` is what 0 dB means; for a full-scale sine in an ``Stft`` it is half the sum of the
    window. Cells at the floor (-1) come back as exactly zero, so that silence stays silence.

    >>> FixedScale(floor_db=-80.0, ceiling_db=0.0).to_image(np.float32([0.0, 0.1, 1.0])).round(4).tolist()
    [-1.0, 0.5, 1.0]
    """

    floor_db: float
    ceiling_db: float
    reference_magnitude: float = 1.0

    def __post_init__(self) -> None:
        _check_reference("reference_magnitude", self.reference_magnitude, SMALLEST_REFERENCE)
        highest_db = 20.0 * np.log10(LARGEST_MAGNITUDE / self.reference_magnitude)
        if not LOWEST_DB <= self.floor_db < self.ceiling_db <= highest_db:
            raise ValueError(
                f"floor_db must lie below ceiling_db, and both between {LOWEST_DB:g} and {highest_db:.0f} dB; "
                f"they are {self.floor_db} and {self.ceiling_db}"
            )

    def to_image(self, magnitude: ArrayLike) -> F32:
        """Shape: float32 [...] → float32 [...]."""
        return self._to_image("magnitude", magnitude, 1.0 / self.reference_magnitude, 20.0)

    def power_to_image(self, power: ArrayLike) -> F32:
        """``to_image`` of squared magnitudes, as of ``Stft.power``. Shape: float32 [...] → float32 [...]."""
        return self._to_image("power", power, 1.0 / self.reference_magnitude**2, 10.0)

    def encode(self, stft: Stft, audio: ArrayLike, *, out: F32 | None = None) -> F32:
        """``to_image(abs(stft.forward(audio)))`` in one go, at a third of the cost.

        Shape: float32 [batch, sample] → float32 [batch, frame, bin], into ``out`` when given.
        """
        audio = stft.checked(audio)
        image = stft.result(out, (audio.shape[0], stft.frames, stft.bins), np.dtype(np.float32))
        scratch = np.empty((1, stft.bins), dtype=np.float32)
        law = self._law(1.0 / self.reference_magnitude**2, 10.0)
        for sound, result in zip(audio, image, strict=True):
            done = 0
            for first, pairs in stft.blocks_of(sound):
                done = first + pairs.block_frames
                decibels.level_pairs(
                    pairs.spectrum, result[first:done], pairs.rows, *law, scratch, scratch.view(np.int32)
                )
            result[done:] = -1.0
        return image

    def _to_image(self, what: str, values: ArrayLike, gain: float, decibels_per_decade: float) -> F32:
        return _to_level(_checked(what, values), self._law(gain, decibels_per_decade))

    def _law(self, gain: float, decibels_per_decade: float) -> Law:
        return _law(gain, decibels_per_decade, self.floor_db, self.floor_db, self.ceiling_db)

    def from_image(self, image: ArrayLike) -> F32:
        """Shape: float32 [...] → float32 [...]. Values beyond [-1, 1] are clipped."""
        image = arguments.floats("image", image)
        out = np.empty_like(image)
        slope = (self.ceiling_db - self.floor_db) / 2.0
        decibels.level_to_magnitude(
            image.reshape(-1),
            np.float32(slope),
            np.float32(slope + self.floor_db),
            np.float32(self.reference_magnitude),
            np.float32(-1.0),
            out.reshape(-1),
        )
        return out

    def level_db(self, image: ArrayLike) -> F32:
        """The level of an image in dB: -1 → ``floor_db``, 1 → ``ceiling_db``. Shape: [...] → [...]."""
        slope = np.float32((self.ceiling_db - self.floor_db) / 2.0)
        return (arguments.floats("image", image) + np.float32(1.0)) * slope + np.float32(self.floor_db)


def _law(
    gain: float, decibels_per_decade: float, minimum_db: float, silent_db: float, ceiling_db: float
) -> Law:
    """What the kernels want to know: gain, lowest level of the image and what stands below, slope and offset."""
    slope = 2.0 / (ceiling_db - silent_db)
    offset = -1.0 - slope * silent_db
    values = (gain, slope * minimum_db + offset, -1.0, slope * decibels_per_decade * np.log10(2.0), offset)
    return tuple(map(np.float32, values))


def _to_level(values: F32, law: Law) -> F32:
    out = np.empty_like(values)
    scratch = np.empty((1, CHUNK), dtype=np.float32)
    decibels.to_level(values.reshape(-1), *law, scratch, scratch.view(np.int32), out.reshape(-1))
    return out


def _checked(what: str, values: ArrayLike) -> F32:
    checked = arguments.floats(what, values)
    if checked.min(initial=0.0) < 0.0:
        raise ValueError(f"{what} holds negative values")
    return checked


def _check_reference(what: str, value: float, least: float) -> None:
    if not least <= value <= LARGEST_REFERENCE:
        raise ValueError(f"{what} must be between {least:g} and {LARGEST_REFERENCE:g}, not {value}")
