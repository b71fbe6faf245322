"""Left and right as images of few cells: Hann window, decibels on one fixed scale, the lowest bins one by one and
log-spaced bands above (a kick is its low end, and linear bins blur it), the first frames one by one and ever longer
cells after (an attack is short, a tail is not). A cell holds its average power; the way back interpolates decibels
between cell centres.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dsp.grid import Grid
from dsp.phase import griffin_lim, low_band_start, pghi, raar, window_gamma
from dsp.scale import FixedScale
from dsp.stft import Stft, window
from samplegan.audio import ONSET_SAMPLE, SAMPLE_RATE

if TYPE_CHECKING:
    from samplegan.representation import Representation

F32 = NDArray[np.float32]
CEILING_DB = 0.0
GRAIN_SECONDS = 0.01
MOST_LOST_DB = 6.0
LOW_END = 0.03  # share of a sound's energy under `tonal_below_hz` from which it has a low end
# A generated image never quite reaches the floor where it means silence, and a thousand bins a hair above it hiss. What
# is less than this above the floor is silence; from twice this on it is what it says.
SILENT_DB = 2.5


class CompactPlan:
    """The plans, grids and buffers behind one representation; for one thread."""

    floor_db = -90.0  # re a full-scale sine, in each cell: what is quieter is silence

    def __init__(self, spec: Representation) -> None:
        self.spec = spec
        values = window("hann", spec.window_samples)
        self.gamma = window_gamma("hann", spec.window_samples)
        self.stft = Stft(spec.length_samples, values, spec.hop_samples)
        self.bins = spec.window_samples // 2  # the Nyquist bin goes
        self.band_grid = Grid.bands(self.bins, spec.bands, spec.linear_bins)
        self.frame_grid = Grid.frames(self.stft.frames, spec.frames, spec.dense_frames)
        self.scale = FixedScale(self.floor_db, CEILING_DB, reference_magnitude=float(values.sum()) / 2)
        self.decibels_per_unit = (CEILING_DB - self.floor_db) / 2
        self.noise_rms = np.float32(np.sqrt(np.sum(values.astype(np.float64) ** 2)))
        self.widths = self.band_grid.widths.astype(np.float32)

    @cached_property
    def octaves_above_tonal(self) -> F32:
        """[bin]: 0 up to `tonal_below_hz`, 1 from an octave above."""
        hertz = np.maximum(np.arange(self.stft.bins), 0.5) * (SAMPLE_RATE / self.spec.window_samples)
        return np.clip(np.log2(hertz / max(self.spec.tonal_below_hz, 1.0)), 0.0, 1.0).astype(np.float32)

    @cached_property
    def noise_share(self) -> F32:
        """[frame, bin]: how much of a point is noise. None at the onset, whose frames hold a click; all after 10 ms."""
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
        return self.scale.power_to_image(self.pool(self.stft.power(audio)))

    def synthesise(self, image: F32, seed: int) -> F32:
        spec = self.spec
        # A cell holds the average power of many points of the transform; the noise it stands for is uneven. Without
        # its grain a snare comes back as regular as a comb.
        noise = self.noise(seed)
        magnitude = self.magnitude(image) * self.grain(noise, self.noise_share)
        shared = magnitude.mean(axis=0, keepdims=True)
        # Plain Griffin-Lim stagnates; reflections get the phase of the low end right.
        audio = raar(
            shared,
            self.stft,
            iterations=spec.iterations,
            support=self.support,
            start_phase=self.start_phase(shared[0], noise, seed),
        )
        # Channels that look for their phase alone drift apart wherever their images differ by a hair: a mono snare
        # comes back as wide as two strangers (measured in docs/representation.md). Both start from one phase, and
        # settle only as far as true width needs.
        return griffin_lim(
            magnitude,
            self.stft,
            iterations=spec.settle_iterations,
            support=self.support,
            start_phase=np.angle(self.stft.forward(audio)[0]),
        )

    def pool(self, power: F32) -> F32:
        """[channel, STFT frame, STFT bin] → mean power of every cell, [channel, band, frame]."""
        return self.frame_grid.pool(self.band_grid.pool(power[..., : self.bins]).transpose(0, 2, 1))

    def spread(self, image: F32) -> F32:
        """[channel, band, frame] → [channel, STFT frame, STFT bin without Nyquist], interpolated in dB."""
        return self.band_grid.spread(self.frame_grid.spread(image).transpose(0, 2, 1))

    def magnitude(self, image: F32) -> F32:
        """[channel, band, frame] → [channel, STFT frame, STFT bin]."""
        magnitude = np.zeros((len(image), self.stft.frames, self.stft.bins), dtype=np.float32)
        level = self.spread(image + self.lost(image))
        above_floor_db = (level + 1) * self.decibels_per_unit
        heard = np.clip(above_floor_db / SILENT_DB - 1, 0, 1)
        magnitude[..., : self.bins] = self.scale.from_image(level) * heard
        return magnitude

    def lost(self, image: F32) -> F32:
        """What interpolation takes from the energy of every cell, [channel, band, frame]: a slope in dB between a loud
        cell and a quiet one holds less than both. Put on top beforehand, most of it is there again afterwards.
        """
        pooled = self.pool(np.square(self.scale.from_image(self.spread(image))))
        lost = image - self.scale.power_to_image(pooled)
        lost[(image + 1) * self.decibels_per_unit < 2 * SILENT_DB] = 0.0  # silence has nothing to lose
        most = np.float32(MOST_LOST_DB / self.decibels_per_unit)
        return np.clip(lost, -most, most)

    def noise(self, seed: int, channels: int = 1) -> NDArray[np.complex64]:
        """The spectra of white noise, [channel, STFT frame, STFT bin]."""
        random = np.random.default_rng(seed)
        samples = random.standard_normal((channels, self.stft.length_samples), dtype=np.float32)
        return self.stft.forward(samples)

    def grain(self, noise: NDArray[np.complex64], share: F32) -> F32:
        """The magnitude of noise, of mean power 1 where `share` is 1, and 1 where it is 0: multiplied with a smooth
        magnitude it is that noise, filtered."""
        return np.asarray((np.abs(noise) / self.noise_rms) ** share, dtype=np.float32)

    def start_phase(self, magnitude: F32, noise: NDArray[np.complex64], seed: int) -> F32:
        """[frame, bin]: integrated from the magnitude where tones are meant, the noise's where noise is."""
        low = magnitude * (self.octaves_above_tonal == 0)
        if np.sum(np.square(low)) > LOW_END * np.sum(np.square(magnitude)):
            # The low end of a kick is most of it: found by itself first it comes back 10 dB nearer.
            tones = low_band_start(magnitude, self.stft, seed=seed)
        else:
            tones = self.integrated_phase(magnitude, seed)
        return np.where(self.octaves_above_tonal > 0, np.angle(noise[0]), tones)

    def integrated_phase(self, magnitude: F32, seed: int) -> F32:
        """[frame, bin]."""
        return pghi(
            magnitude,
            gamma=self.gamma,
            hop_samples=self.spec.hop_samples,
            window_samples=self.spec.window_samples,
            seed=seed,
        )
