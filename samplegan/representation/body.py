"""The body of a drum as partials, the rest of it as an image.

The body of a kick is one sine whose level and frequency move; that of a snare or tom is two. They are fitted to the
middle of both channels and taken out of it, and are kept as tracks: level and frequency at the centre of every frame
cell. So no phase of the body ever has to be found, sweeps are clean and envelopes don't wobble, and a pitch can be
set. What is left (click, noise, overtones) is an image as in `compact`, but of mid and side: the level of the middle,
and the side's relative to it, so that width is what a generator draws, and folding down to mono loses nothing.

Rows of an image [channel, row, frame]: the bands of the rest, channel 0 the middle's level and channel 1 the side's
relative to it; then one row for each partial, channel 0 its level and channel 1 its frequency. Everything lies in
[-1, 1]. A third channel, which a generator may add, says how much of a cell is noise: 1 is the usual share.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dsp.partial import PartialTracker
from dsp.phase import griffin_lim, raar
from samplegan.audio import ONSET_SAMPLE, SAMPLE_RATE
from samplegan.representation.compact import CompactPlan

if TYPE_CHECKING:
    from samplegan.representation import Representation

F32 = NDArray[np.float32]
LOWEST_PARTIAL_HZ = 25.0
PARTIAL_OCTAVES = 6.0  # up to 1600 Hz
NARROWEST_DB, WIDEST_DB = -48.0, 12.0  # of the side over the middle
LOUDEST_PARTIAL_DB = 3.0  # the fundamental of a square wave stands 2.1 dB above full scale, and kicks are clipped
MONO_FADE_DB = 4.0  # above the narrowest, over which the side appears
SIDE_ITERATIONS = 8
_TINY_POWER = 1e-6  # of the floor's


class BodyPlan(CompactPlan):
    """The plans, grids, tracker and buffers behind one representation; for one thread."""

    # All noise of a drum under -90 dB a cell would still be heard as a tail of -67 dB: here it is kept.
    floor_db = -104.0

    def __init__(self, spec: Representation) -> None:
        super().__init__(spec)
        self.floor_power = np.float32((10.0 ** (self.floor_db / 20.0) * self.scale.reference_magnitude) ** 2)

    @cached_property
    def tracker(self) -> PartialTracker:
        """Control points at the centres of the frame cells, the first at the onset."""
        centres = self.frame_grid.centres * (self.spec.hop_samples / SAMPLE_RATE)
        return PartialTracker(
            self.spec.length_samples,
            centres - centres[0],
            onset_samples=ONSET_SAMPLE,
            sample_rate=SAMPLE_RATE,
            lowest_hz=LOWEST_PARTIAL_HZ,
            highest_hz=self.spec.highest_partial_hz,
            partials=self.spec.partials,
            floor_db=self.floor_db + LOUDEST_PARTIAL_DB,
        )

    def analyse(self, audio: F32) -> F32:
        spec = self.spec
        mid, side = 0.5 * (audio[0] + audio[1]), 0.5 * (audio[0] - audio[1])
        image = np.empty((2, spec.rows, spec.frames), dtype=np.float32)
        rest = mid
        if spec.partials:
            fit = self.tracker.fit(mid)
            rest = mid - fit.tone
            image[0, spec.bands :] = self.level_row(fit.level_db)
            image[1, spec.bands :] = frequency_row(fit.frequency_hz)
        power = self.pool(self.stft.power(np.stack([rest, side])))
        image[0, : spec.bands] = self.scale.power_to_image(power[0])
        image[1, : spec.bands] = self.width(power[0], power[1])
        return image

    def synthesise(self, image: F32, seed: int) -> F32:
        spec = self.spec
        level, width = image[:1, : spec.bands], image[1:2, : spec.bands]
        share = self.noise_share
        if len(image) > 2:
            drawn = self.frame_grid.spread((image[2:3, : spec.bands] + 1) / 2)
            noisy = np.clip(self.band_grid.spread(drawn.transpose(0, 2, 1))[0], 0.0, 1.0)
            share = share * np.pad(noisy, ((0, 0), (0, 1)), mode="edge")
        noise = self.noise(seed, channels=2)
        smooth = self.magnitude(level)
        magnitude = smooth * self.grain(noise[0], share)
        tones = self.integrated_phase(magnitude[0], seed)
        mid = raar(
            magnitude,
            self.stft,
            iterations=spec.iterations,
            support=self.support,
            start_phase=np.where(self.octaves_above_tonal > 0, np.angle(noise[0]), tones),
        )[0]
        if spec.partials:
            rows = image[:2, spec.bands :]
            mid = mid + self.tracker.synthesise(self.level_db(rows[0]), frequency_hz(rows[1]))
        above_mono_db = (self.spread(width) + 1) * (0.5 * (WIDEST_DB - NARROWEST_DB))
        if above_mono_db.max() <= 0.5 * MONO_FADE_DB:
            return np.stack([mid, mid])
        gain = 10.0 ** ((above_mono_db + NARROWEST_DB) / 20.0) * np.clip(above_mono_db / MONO_FADE_DB, 0, 1)
        smooth[..., : self.bins] *= gain
        # The side is a sound of its own: nothing in an image says how its phase lies to the middle's.
        side = griffin_lim(
            smooth * self.grain(noise[1], share),
            self.stft,
            iterations=SIDE_ITERATIONS,
            support=self.support,
            start_phase=np.angle(noise[1]),
        )[0]
        return np.stack([mid + side, mid - side])

    def width(self, mid: F32, side: F32) -> F32:
        """Powers [band, frame] to the side's level relative to the middle's, in [-1, 1]; -1 where both are silent."""
        relative = (side + _TINY_POWER * self.floor_power) / (mid + self.floor_power)
        relative_db = 10.0 * np.log10(relative)
        half = 0.5 * (WIDEST_DB - NARROWEST_DB)
        return np.clip((relative_db - NARROWEST_DB) / half - 1.0, -1.0, 1.0)

    def level_row(self, level_db: F32) -> F32:
        """dB re full scale to [-1, 1]."""
        row = (level_db - LOUDEST_PARTIAL_DB) / self.decibels_per_unit + 1.0
        return np.clip(row, -1.0, 1.0).astype(np.float32)

    def level_db(self, row: F32) -> NDArray[np.float64]:
        """The inverse of `level_row`."""
        return (row.astype(np.float64) - 1.0) * self.decibels_per_unit + LOUDEST_PARTIAL_DB

    @cached_property
    def cell_noise_share(self) -> F32:
        """[band, frame]: how much of a cell is noise, at most."""
        return self.pool(self.noise_share[np.newaxis])[0]

    def grain_images(self, count: int, seed: int) -> F32:
        """How white noise of level 0 dB shows in the cells, [count, band, frame], in units of the image."""
        fields = [
            self.pool(np.square(np.abs(self.noise(seed + each)) / self.noise_rms)) for each in range(count)
        ]
        levels_db = 10.0 * np.log10(np.concatenate(fields))
        return np.asarray(levels_db / self.decibels_per_unit, dtype=np.float32)


def frequency_row(frequency_hz: F32) -> F32:
    """Hz to [-1, 1], on a logarithmic scale."""
    row = np.log2(frequency_hz / LOWEST_PARTIAL_HZ) * (2.0 / PARTIAL_OCTAVES) - 1.0
    return np.clip(row, -1.0, 1.0).astype(np.float32)


def frequency_hz(row: F32) -> NDArray[np.float64]:
    """The inverse of `frequency_row`."""
    return LOWEST_PARTIAL_HZ * 2.0 ** ((row.astype(np.float64) + 1.0) * (0.5 * PARTIAL_OCTAVES))
