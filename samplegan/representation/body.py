"""The body of a drum as partials, the rest of it as an image.

The body of a kick is one sine whose level and frequency move; that of a snare or tom is two. They are fitted to the
middle of both channels and taken out of it, and are kept as tracks: level and frequency at the centre of every frame
cell. So no phase of the body ever has to be found, sweeps are clean and envelopes don't wobble, and a pitch can be
set. What is left (click, noise, overtones) is an image as in `compact`, but of mid and side: the level of the middle,
and the side's relative to it, so that width is what a generator draws, and folding down to mono loses nothing.

What is metal in the rest is lines: a row of its own says, along frequency, how much of the energy stands in lines and
how dense they are; where they stand is drawn anew (`dsp/lines.py`), as grain is.

Rows of an image [channel, row, frame]: the bands of the rest, channel 0 the middle's level and channel 1 the side's
relative to it; then one row for each partial, channel 0 its level and channel 1 its frequency; then perhaps the row of
lines, channel 0 their share and channel 1 their density. Everything lies in [-1, 1]. A third channel, which a generator may add, says how much of a cell is noise: 1 is the usual share.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dsp.lines import (
    LEAST_TONAL_DB,
    MOST_TONAL_DB,
    LineBank,
    Lines,
    paced,
    tonal_share,
)
from dsp.partial import PartialTracker
from dsp.phase import griffin_lim, raar
from samplegan.audio import ONSET_SAMPLE, SAMPLE_RATE
from samplegan.representation.compact import GRAIN_SECONDS, CompactPlan

if TYPE_CHECKING:
    from samplegan.representation import Representation

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
LOWEST_PARTIAL_HZ = 25.0
PARTIAL_OCTAVES = 6.0  # up to 1600 Hz
NARROWEST_DB, WIDEST_DB = -48.0, 12.0  # of the side over the middle
LOUDEST_PARTIAL_DB = (
    3.0  # the fundamental of a square wave stands 2.1 dB above full scale, and kicks are clipped
)
MONO_FADE_DB = 4.0  # above the narrowest, over which the side appears
SIDE_ITERATIONS = 8
LINES_HZ = (300.0, 16_000.0)
FEWEST_LINES, DENSITY_OCTAVES = 2.0, 5.0  # a kilohertz; up to 64
LATE_LINES_DB = (
    6.0  # of tonal energy over noise, that are missing at first: what is struck is noise before it rings
)
LATE_LINES_SECONDS = 0.1
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

    @cached_property
    def line_bank(self) -> LineBank:
        """With as many frequencies as an image has frames."""
        return LineBank(
            self.spec.length_samples,
            np.geomspace(*LINES_HZ, self.spec.frames),
            onset_samples=ONSET_SAMPLE,
            sample_rate=SAMPLE_RATE,
        )

    @cached_property
    def bands_hz(self) -> F64:
        """The middle of every band."""
        return self.band_grid.centres * (SAMPLE_RATE / self.spec.window_samples)

    def analyse(self, audio: F32) -> F32:
        spec = self.spec
        mid, side = 0.5 * (audio[0] + audio[1]), 0.5 * (audio[0] - audio[1])
        image = np.empty((2, spec.rows, spec.frames), dtype=np.float32)
        rest = mid
        if spec.partials:
            fit = self.tracker.fit(mid)
            rest = mid - fit.tone
            image[0, spec.partial_rows] = self.level_row(fit.level_db)
            image[1, spec.partial_rows] = frequency_row(fit.frequency_hz)
        if spec.lines:
            found = self.line_bank.measure(rest)
            image[0, -1] = tonal_row(found.tonal_db)
            image[1, -1] = density_row(found.per_khz)
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
        lines = self.lines_of(image, seed) if spec.lines else None
        rest = smooth if lines is None else smooth * lines.noise
        magnitude = rest * self.grain(noise[0], share)
        tones = self.integrated_phase(magnitude[0], seed)
        mid = raar(
            magnitude,
            self.stft,
            iterations=spec.iterations,
            support=self.support,
            start_phase=np.where(self.octaves_above_tonal > 0, np.angle(noise[0]), tones),
        )[0]
        if spec.partials:
            rows = image[:2, spec.partial_rows]
            mid = mid + self.tracker.synthesise(self.level_db(rows[0]), frequency_hz(rows[1]))
        if lines is not None:
            mid = mid + lines.played(smooth[0])
        above_mono_db = (self.spread(width) + 1) * (0.5 * (WIDEST_DB - NARROWEST_DB))
        if above_mono_db.max() <= 0.5 * MONO_FADE_DB:
            return np.stack([mid, mid])
        gain = 10.0 ** ((above_mono_db + NARROWEST_DB) / 20.0) * np.clip(above_mono_db / MONO_FADE_DB, 0, 1)
        smooth[..., : self.bins] *= gain
        rest = smooth if lines is None else smooth * lines.noise
        # The side is a sound of its own: nothing in an image says how its phase lies to the middle's.
        side = griffin_lim(
            rest * self.grain(noise[1], share),
            self.stft,
            iterations=SIDE_ITERATIONS,
            support=self.support,
            start_phase=np.angle(noise[1]),
        )[0]
        if lines is not None:
            side = side + lines.elsewhere().played(smooth[0])
        return np.stack([mid + side, mid - side])

    def lines_of(self, image: F32, seed: int) -> _DrawnLines:
        """The lines that an image asks for, drawn."""
        random = np.random.default_rng([seed, 1])
        tonal_db, per_khz = line_tonal_db(image[0, -1]), line_density(image[1, -1])
        return _DrawnLines(self, self.line_bank.draw(tonal_db, per_khz, random), tonal_db, random)

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

    def level_db(self, row: F32) -> F64:
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


class _DrawnLines:
    """Lines of one sound: how much of every point of its spectrogram they leave to noise, and how they sound."""

    def __init__(self, plan: BodyPlan, drawn: Lines, tonal_db: F64, random: np.random.Generator) -> None:
        self.plan, self.drawn, self.random = plan, drawn, random
        stft, hop_samples = plan.stft, plan.spec.hop_samples
        seconds = (np.arange(stft.frames) * hop_samples - ONSET_SAMPLE) / SAMPLE_RATE
        self.begun = np.clip(seconds / GRAIN_SECONDS, 0.0, 1.0) ** 2  # of their energy
        self.missing_db = LATE_LINES_DB * np.exp(-np.maximum(seconds, 0.0) / LATE_LINES_SECONDS)
        hertz = np.arange(stft.bins) * (SAMPLE_RATE / plan.spec.window_samples)
        at_bins = np.interp(hertz, plan.line_bank.frequencies_hz, tonal_db, left=-np.inf, right=-np.inf)
        self.noise = np.sqrt(1.0 - self.share(at_bins).T).astype(np.float32)  # [frame, bin]

    def share(self, tonal_db: F64) -> F64:
        """Of the energy, [each, frame]."""
        return tonal_share(tonal_db[:, np.newaxis] - self.missing_db) * self.begun

    def played(self, magnitude: F32) -> F32:
        """[sample]: lines that share in a spectrogram [frame, bin] of noise."""
        plan, drawn = self.plan, self.drawn
        # Noise of mean power 1 has a power of 2 / SAMPLE_RATE in every hertz, a bin is SAMPLE_RATE / window wide, and a
        # sine has half the square of its amplitude.
        energy = np.square(magnitude.T, dtype=np.float64) * (
            4.0 / plan.spec.window_samples / float(plan.noise_rms) ** 2
        )
        bins = np.arange(len(energy), dtype=np.float64)
        edges = drawn.edges_hz * (plan.spec.window_samples / SAMPLE_RATE) + 0.5  # bin k from k - ½ to k + ½
        between = _differences(np.cumsum(energy, axis=0), edges)
        # A line stands where the energy of its band does.
        over_time = energy.sum(axis=1)
        moment = _differences(np.cumsum(over_time * bins), edges)
        middle = drawn.middle_hz
        total = between.sum(axis=1)
        centre_hz = moment / np.maximum(total, 1e-30) * (SAMPLE_RATE / plan.spec.window_samples)
        centre_hz = np.where(
            total > 1e-20, np.clip(centre_hz, drawn.edges_hz[:-1], drawn.edges_hz[1:]), middle
        )
        # Where bands are finer than lines are dense, an image knows the power of each.
        bands_hz = np.interp(middle, plan.bands_hz, plan.widths * SAMPLE_RATE / plan.spec.window_samples)
        unknown = np.minimum(bands_hz / np.diff(drawn.edges_hz), 1.0)
        power = (1.0 + (drawn.power - 1.0) * unknown)[:, np.newaxis] * self.share(drawn.tonal_db)
        amplitude = np.sqrt(paced(between, drawn.pace) * power)
        return plan.line_bank.play(
            centre_hz, drawn.phases, amplitude.astype(np.float32), plan.spec.hop_samples
        )

    def elsewhere(self) -> _DrawnLines:
        """The same modes as another microphone hears them: of other levels and phases."""
        other = copy(self)
        count = len(self.drawn.power)
        power, phases = LineBank.powers(count, self.random), self.random.random(count)
        other.drawn = replace(self.drawn, power=power, phases=phases)
        return other


def _differences(sums: F64, edges: F64) -> F64:
    """Cumulative sums [bin, …] between fractional edges [line + 1], in bins: [line, …]."""
    low = np.clip(edges.astype(np.int64), 1, len(sums) - 1)
    part = (edges - low).reshape(-1, *(1,) * (sums.ndim - 1))
    return np.diff(sums[low - 1] * (1.0 - part) + sums[low] * part, axis=0)


def tonal_row(tonal_db: F64) -> F32:
    """dB of lines over noise to [-1, 1]."""
    row = (tonal_db - LEAST_TONAL_DB) * (2.0 / (MOST_TONAL_DB - LEAST_TONAL_DB)) - 1.0
    return np.clip(row, -1.0, 1.0).astype(np.float32)


def line_tonal_db(row: F32) -> F64:
    """The inverse of `tonal_row`."""
    return (row.astype(np.float64) + 1.0) * (0.5 * (MOST_TONAL_DB - LEAST_TONAL_DB)) + LEAST_TONAL_DB


def density_row(per_khz: F64) -> F32:
    """Lines a kilohertz to [-1, 1], on a logarithmic scale."""
    row = np.log2(per_khz / FEWEST_LINES) * (2.0 / DENSITY_OCTAVES) - 1.0
    return np.clip(row, -1.0, 1.0).astype(np.float32)


def line_density(row: F32) -> F64:
    """The inverse of `density_row`."""
    return FEWEST_LINES * 2.0 ** ((row.astype(np.float64) + 1.0) * (0.5 * DENSITY_OCTAVES))


def frequency_row(frequency_hz: F32) -> F32:
    """Hz to [-1, 1], on a logarithmic scale."""
    row = np.log2(frequency_hz / LOWEST_PARTIAL_HZ) * (2.0 / PARTIAL_OCTAVES) - 1.0
    return np.clip(row, -1.0, 1.0).astype(np.float32)


def frequency_hz(row: F32) -> F64:
    """The inverse of `frequency_row`."""
    return LOWEST_PARTIAL_HZ * 2.0 ** ((row.astype(np.float64) + 1.0) * (0.5 * PARTIAL_OCTAVES))
