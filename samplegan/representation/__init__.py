"""The one way from audio to image and back, frozen and stored with every model. Three mappings, by name:

`body` (default): the drum's body as partials with a moving level and frequency, the rest as an image of mid and side.
`compact`: images of left and right, few cells, dense where drums are.
`draft`: what the StereoSampleGAN draft describes. It is the baseline, and sounds like one.
"""

from __future__ import annotations

import dataclasses
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsp.stft import shape_for
from samplegan.audio import SAMPLE_RATE
from samplegan.config import ImageSettings, from_document
from samplegan.errors import ConfigError
from samplegan.representation.body import BodyPlan
from samplegan.representation.compact import CompactPlan
from samplegan.representation.draft import DraftPlan

F32 = NDArray[np.float32]
DRAFT_RANGE_DB = 160.0


@dataclass(frozen=True)
class Representation:
    """Audio `float32 [2, length_samples]` ⇄ image `float32 [2, rows, frames]` in [-1, 1]."""

    name: str
    length_samples: int
    window_samples: int
    hop_samples: int
    bands: int
    frames: int
    linear_bins: int  # kept one by one (compact)
    dense_frames: int  # kept one by one (compact)
    tonal_below_hz: float  # what lies below is made of tones; above, of noise
    iterations: int = 40  # of phase reconstruction of what both channels share, the last ten fast Griffin-Lim
    settle_iterations: int = 2  # after which each channel goes on alone (compact)
    partials: int = 0  # that make the body (body)
    highest_partial_hz: float = 450.0  # (body)
    lines: bool = False  # whether noise has lines of metal in it (body)
    channels: str = "mid-side"  # what the two of the rest are; or "left-right" (body)

    @property
    def length_seconds(self) -> float:
        """The length of every sound."""
        return self.length_samples / SAMPLE_RATE

    @property
    def rows(self) -> int:
        """The image's height: its bands, a track for each partial, and perhaps a row of lines."""
        return self.bands + self.tracks

    @property
    def tracks(self) -> int:
        """How many rows stand below the bands: those of partials, and that of lines."""
        return self.partials + self.lines

    @property
    def is_left_right(self) -> bool:
        """Whether the rest is that of left and, relative to it, of right, and not of middle and side."""
        return self.channels == "left-right"

    @property
    def partial_rows(self) -> slice:
        """Where the tracks of partials stand."""
        return slice(self.bands, self.bands + self.partials)

    @property
    def decibels_per_unit(self) -> float:
        """dB per unit of the image's value."""
        plan = _plan(self)
        return DRAFT_RANGE_DB / 2 if isinstance(plan, DraftPlan) else plan.decibels_per_unit

    @property
    def bins_per_band(self) -> F32:
        """How many STFT bins each band averages, [bands]."""
        return _plan(self).widths

    def analyse(self, audio: F32) -> F32:
        """Audio [2, at most length_samples] to an image [2, rows, frames]."""
        padded = np.zeros((2, self.length_samples), dtype=np.float32)
        padded[:, : audio.shape[1]] = audio
        return _plan(self).analyse(padded)

    def synthesise(self, image: F32, *, seed: int = 0) -> F32:
        """An image [2, rows, frames] to audio [2, length_samples]; the onset stands where training sounds have it.

        What is noise in it follows from `seed`. Images of `body` may have a third channel: how much of each cell is
        noise.
        """
        return _plan(self).synthesise(image, seed)

    def cell_noise(self, count: int, seed: int) -> tuple[F32, F32]:
        """How much of each cell is noise at most, [band, frame], and `count` draws of how noise of level 0 dB shows
        there, [count, band, frame], in units of the image (`body` only)."""
        plan = _plan(self)
        assert isinstance(plan, BodyPlan)
        return plan.cell_noise_share, plan.grain_images(count, seed)

    def to_document(self) -> dict[str, Any]:
        """As plain JSON types."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_document(document: dict[str, Any]) -> Representation:
        """The inverse of `to_document`. Raises ConfigError for anything else."""
        return from_document(Representation, document)


def representation_for(image: ImageSettings, length_seconds: float) -> Representation:
    """The representation that a pack asks for. Raises ConfigError if the image is too small for the length."""
    length_samples = round(length_seconds * SAMPLE_RATE)
    window_samples, hop_samples = image.window_samples, image.hop_samples
    try:
        if image.name == "draft":
            shape = shape_for(length_samples, image.bands, image.frames)
            window_samples, hop_samples = shape.window_samples, shape.hop_samples
        representation = Representation(
            name=image.name,
            length_samples=length_samples,
            window_samples=window_samples,
            hop_samples=hop_samples,
            bands=image.bands,
            frames=image.frames,
            linear_bins=image.linear_bins,
            dense_frames=image.dense_frames,
            tonal_below_hz=image.tonal_below_hz,
            partials=image.partials if image.name == "body" else 0,
            highest_partial_hz=image.highest_partial_hz,
            lines=image.lines and image.name == "body",
            channels=image.channels,
        )
        plan = _plan(representation)
        if isinstance(plan, BodyPlan) and representation.partials:
            plan.tracker  # noqa: B018 (its settings are checked here, not in the middle of a training)
    except ValueError as error:
        raise ConfigError(
            f"a sound of {length_seconds:g} s does not fit this image: {error}",
            hint="change image.bands, image.frames or length_seconds in pack.yaml",
        ) from error
    return representation


Plan = BodyPlan | CompactPlan | DraftPlan
_PLANS: dict[str, type[Plan]] = {"body": BodyPlan, "compact": CompactPlan, "draft": DraftPlan}
MAPPINGS = tuple(_PLANS)
_plans = threading.local()


def _plan(representation: Representation) -> Plan:
    """This thread's plan: FFT plans and work buffers must not be shared between threads."""
    known: dict[Representation, Plan] = _plans.__dict__.setdefault("known", {})
    if representation not in known:
        known[representation] = _PLANS[representation.name](representation)
    return known[representation]
