"""The one way from audio to image and back, frozen and stored with every model.

Two mappings, by name:

`compact` (default): Hann window, decibels on one fixed scale, the lowest bins one by one and log-spaced bands above
(a kick is its low end, and linear bins blur it), the first frames one by one and ever longer cells after (an attack
is short, a tail is not). A cell holds its average power; the way back interpolates decibels between cell centres.

`draft`: what the StereoSampleGAN draft describes: Kaiser window of beta 14, magnitudes scaled to 0 … 100, decibels,
everything under -90 dB set to -120, window and hop found from the length and the image's shape; back by Griffin-Lim
from a random phase (one for both channels) under a time-frequency mask. It is the baseline, and sounds like one.
"""

from __future__ import annotations

import dataclasses
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsp.grid import Grid
from dsp.phase import energy_mask, griffin_lim, low_band_start, pghi, raar, window_gamma
from dsp.scale import FixedScale, from_image, to_image
from dsp.stft import Stft, shape_for, window
from samplegan.audio import ONSET_SAMPLE, SAMPLE_RATE
from samplegan.config import ImageSettings, from_document
from samplegan.errors import ConfigError

F32 = NDArray[np.float32]
FLOOR_DB = -90.0  # re a full-scale sine: what is quieter is silence
CEILING_DB = 0.0
DRAFT_RANGE_DB = 160.0
KAISER_BETA = 14.0
GRAIN_SECONDS = 0.01
MOST_LOST_DB = 6.0
LOW_END = 0.03  # share of a sound's energy under `tonal_below_hz` from which it has a low end
# A generated image never quite reaches the floor where it means silence, and a thousand bins a hair above it hiss. What
# is less than this above the floor is silence; from twice this on it is what it says.
SILENT_DB = 2.5


@dataclass(frozen=True)
class Representation:
    """Audio `float32 [2, length_samples]` ⇄ image `float32 [2, bands, frames]` in [-1, 1]."""

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
    settle_iterations: int = 2  # after which each channel goes on alone

    @property
    def length_seconds(self) -> float:
        """The length of every sound."""
        return self.length_samples / SAMPLE_RATE

    @property
    def decibels_per_unit(self) -> float:
        """dB per unit of the image's value."""
        return (DRAFT_RANGE_DB if self.name == "draft" else CEILING_DB - FLOOR_DB) / 2

    @property
    def bins_per_band(self) -> F32:
        """How many STFT bins each band averages, [bands]."""
        return _plan(self).band_grid.widths.astype(np.float32)

    def analyse(self, audio: F32) -> F32:
        """Audio [2, length_samples] to an image [2, bands, frames]."""
        return _plan(self).analyse(audio)

    def synthesise(self, image: F32, *, seed: int = 0) -> F32:
        """An image [2, bands, frames] to audio [2, length_samples]; the onset stands where training sounds have it.

        The phase is made once, from what both channels share, so that left and right stay together; what is noise
        in it follows from `seed`.
        """
        return _plan(self).synthesise(image, seed)

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
        )
        _plan(representation)
    except ValueError as error:
        raise ConfigError(
            f"a sound of {length_seconds:g} s does not fit this image: {error}",
            hint="change image.bands, image.frames or length_seconds in pack.yaml",
        ) from error
    return representation


class _Plan:
    """The plans, grids and buffers behind one representation; for one thread."""

    def __init__(self, representation: Representation) -> None:
        self.spec = spec = representation
        draft = spec.name == "draft"
        values = window("kaiser" if draft else "hann", spec.window_samples, beta=KAISER_BETA)
        self.gamma = window_gamma("kaiser" if draft else "hann", spec.window_samples, beta=KAISER_BETA)
        padded = spec.length_samples
        if draft:
            padded = shape_for(spec.length_samples, spec.bands, spec.frames).padded_samples
        self.stft = Stft(padded, values, spec.hop_samples)
        self.bins = spec.window_samples // 2  # the Nyquist bin goes
        if draft:
            self.frames = spec.frames
            self.band_grid, self.frame_grid = Grid.identity(self.bins), Grid.identity(self.frames)
        else:
            self.frames = self.stft.frames
            self.band_grid = Grid.bands(self.bins, spec.bands, spec.linear_bins)
            self.frame_grid = Grid.frames(self.frames, spec.frames, spec.dense_frames)
        self.scale = FixedScale(FLOOR_DB, CEILING_DB, reference_magnitude=float(values.sum()) / 2)

        self.noise_rms = np.float32(np.sqrt(np.sum(values.astype(np.float64) ** 2)))

    @cached_property
    def octaves_above_tonal(self) -> F32:
        """[bin]: 0 up to `tonal_below_hz`, 1 from an octave above."""
        hertz = np.maximum(np.arange(self.stft.bins), 0.5) * (SAMPLE_RATE / self.spec.window_samples)
        return np.clip(np.log2(hertz / max(self.spec.tonal_below_hz, 1.0)), 0.0, 1.0).astype(np.float32)

    @cached_property
    def noise_share(self) -> F32:
        """[frame, bin]: how much of a cell is noise. None at the onset, whose frames hold a click; all after 10 ms."""
        seconds = np.arange(self.stft.frames) * (self.spec.hop_samples / SAMPLE_RATE)
        after_onset = np.clip(seconds / GRAIN_SECONDS, 0.0, 1.0).astype(np.float32)
        return after_onset[:, np.newaxis] * self.octaves_above_tonal

    @cached_property
    def support(self) -> F32:
        """Nothing sounds before the onset: 1 from there on."""
        support = np.ones(self.stft.length_samples, dtype=np.float32)
        support[:ONSET_SAMPLE] = np.linspace(0.0, 1.0, ONSET_SAMPLE, dtype=np.float32) ** 2
        return support

    def analyse(self, audio: F32) -> F32:
        padded = np.zeros((2, self.stft.length_samples), dtype=np.float32)
        padded[:, : audio.shape[1]] = audio
        power = self.stft.power(padded)[:, : self.frames, : self.bins]
        if self.spec.name == "draft":
            return np.ascontiguousarray(to_image(np.sqrt(power)).transpose(0, 2, 1))
        pooled = self.band_grid.pool(power).transpose(0, 2, 1)
        return self.scale.power_to_image(self.frame_grid.pool(pooled))

    def magnitude(self, image: F32) -> F32:
        """[2, band, frame] → [2, STFT frame, STFT bin]."""
        magnitude = np.zeros((2, self.stft.frames, self.stft.bins), dtype=np.float32)
        if self.spec.name == "draft":
            inside = from_image(image).transpose(0, 2, 1)
        else:
            level = self.spread(image + self.lost(image))
            above_floor_db = (level + 1) * self.spec.decibels_per_unit
            inside = self.scale.from_image(level) * np.clip(above_floor_db / SILENT_DB - 1, 0, 1)
        magnitude[:, : self.frames, : self.bins] = inside
        return magnitude

    def spread(self, image: F32) -> F32:
        """[2, band, frame] → [2, STFT frame, STFT bin], interpolated in dB."""
        return self.band_grid.spread(self.frame_grid.spread(image).transpose(0, 2, 1))

    def lost(self, image: F32) -> F32:
        """What interpolation takes from the energy of every cell, [2, band, frame]: a slope in dB between a loud cell
        and a quiet one holds less than both. Put on top beforehand, most of it is there again afterwards.
        """
        power = np.square(self.scale.from_image(self.spread(image)))
        pooled = self.frame_grid.pool(self.band_grid.pool(power).transpose(0, 2, 1))
        lost = image - self.scale.power_to_image(pooled)
        lost[(image + 1) * self.spec.decibels_per_unit < 2 * SILENT_DB] = 0.0  # silence has nothing to lose
        most = np.float32(MOST_LOST_DB / self.spec.decibels_per_unit)
        return np.clip(lost, -most, most)

    def synthesise(self, image: F32, seed: int) -> F32:
        spec = self.spec
        magnitude = self.magnitude(image)
        if spec.name == "draft":
            mask = energy_mask(magnitude)
            audio = griffin_lim(magnitude, self.stft, iterations=spec.iterations, mask=mask, seed=seed)
            return audio[:, : spec.length_samples]
        # A cell holds the average power of many points of the transform; the noise it stands for is uneven. Without
        # its grain a snare comes back as regular as a comb.
        grain, grain_phase = self.grain(seed)
        magnitude *= grain
        shared = magnitude.mean(axis=0, keepdims=True)
        # Plain Griffin-Lim stagnates; reflections get the phase of the low end right.
        audio = raar(
            shared,
            self.stft,
            iterations=spec.iterations,
            support=self.support,
            start_phase=self.start_phase(shared[0], grain_phase, seed),
        )
        # Channels that look for their phase alone drift apart wherever their images differ by a hair: a mono snare
        # comes back as wide as two strangers (measured in docs/representation.md). Both start from one phase, and
        # settle only as far as true width needs.
        phase = np.angle(self.stft.forward(audio)[0])
        audio = griffin_lim(
            magnitude,
            self.stft,
            iterations=spec.settle_iterations,
            support=self.support,
            start_phase=phase,
        )
        return audio[:, : spec.length_samples]

    def grain(self, seed: int) -> tuple[F32, F32]:
        """White noise: its magnitude [frame, bin], of mean power 1 where noise is meant and 1 elsewhere, and its
        phase. Multiplied with a smooth magnitude it is that noise, filtered."""
        random = np.random.default_rng(seed)
        noise = self.stft.forward(random.standard_normal((1, self.stft.length_samples), dtype=np.float32))[0]
        magnitude = np.abs(noise) / self.noise_rms
        return magnitude**self.noise_share, np.angle(noise)

    def start_phase(self, magnitude: F32, grain_phase: F32, seed: int) -> F32:
        """[frame, bin]: integrated from the magnitude where tones are meant, the grain's where noise is."""
        if np.sum(np.square(magnitude * (self.octaves_above_tonal == 0))) > LOW_END * np.sum(
            np.square(magnitude)
        ):
            # The low end of a kick is most of it: found by itself first it comes back 10 dB nearer.
            tones = low_band_start(magnitude, self.stft, seed=seed)
        else:
            tones = pghi(
                magnitude,
                gamma=self.gamma,
                hop_samples=self.spec.hop_samples,
                window_samples=self.spec.window_samples,
                seed=seed,
            )
        return np.where(self.octaves_above_tonal > 0, grain_phase, tones)


_plans = threading.local()


def _plan(representation: Representation) -> _Plan:
    """This thread's plan: FFT plans and work buffers must not be shared between threads."""
    known: dict[Representation, _Plan] = _plans.__dict__.setdefault("known", {})
    if representation not in known:
        known[representation] = _Plan(representation)
    return known[representation]
