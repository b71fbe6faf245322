"""The body of a drum as partials, the rest of it as an image.

The body of a kick is one sine whose level and frequency move; that of a snare or tom is two. They are fitted to the
middle of both channels and taken out of it, and are kept as tracks: level and frequency at the centre of every frame
cell. So no phase of the body ever has to be found, sweeps are clean and envelopes don't wobble, and a pitch can be
set. What is left (click, noise, overtones) is an image as in `compact`, but of mid and side: the level of the middle,
and the side's relative to it, so that width is what a generator draws, and folding down to mono loses nothing.

What is metal in the rest is lines: a row of its own says how much of the energy stands in lines and how dense they are.
That row runs along frequency, from 300 Hz to 16 kHz, and not along time. Where lines stand is drawn anew
(`dsp/lines.py`), as grain is.

Other than that, for comparison, `channels` may be "left-right": the rest of left, and that of right relative to it.

Rows of an image [channel, row, frame]: the bands of the rest, channel 0 the middle's level and channel 1 the side's
relative to it; then one row for each partial, channel 0 its level and channel 1 its frequency; then perhaps the row of
lines, channel 0 their energy over that of noise and channel 1 their density. Everything lies in [-1, 1]. A third
channel, which a generator may add, says how much of a cell is noise: 1 is the usual share.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dsp.lines import (
    FEWEST_PER_KHZ,
    LEAST_TONAL_DB,
    MOST_PER_KHZ,
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
from samplegan.representation.glide import steady

if TYPE_CHECKING:
    from samplegan.representation import Representation

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
LOWEST_PARTIAL_HZ = 25.0
PARTIAL_OCTAVES = 6.0  # up to 1600 Hz
NARROWEST_DB, WIDEST_DB = -48.0, 12.0  # of the side over the middle
# The fundamental of a square wave stands 2.1 dB above full scale, and kicks are clipped.
LOUDEST_PARTIAL_DB = 3.0
MONO_FADE_DB = 4.0  # above the narrowest, over which the side appears
SIDE_ITERATIONS = 8
LINES_HZ = (300.0, 16_000.0)
# What is struck is noise before it rings: so much of the lines' energy over the noise's is missing at first.
LATE_LINES_DB, LATE_LINES_SECONDS = 6.0, 0.1
_DENSITY_OCTAVES = np.log2(MOST_PER_KHZ / FEWEST_PER_KHZ)
_TINY_POWER = 1e-6  # of the floor's
_NO_ENERGY = 1e-20


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
        pair = (rest + side, rest - side) if spec.is_left_right else (rest, side)
        power = self.pool(self.stft.power(np.stack(pair)))
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
        lines = self.lines_of(image, smooth[0], seed) if spec.lines else None
        rest = smooth if lines is None else smooth * lines.noise
        magnitude = rest * self.grain(noise[0], share)
        tones = self.integrated_phase(magnitude[0], seed)
        first = raar(
            magnitude,
            self.stft,
            iterations=spec.iterations,
            support=self.support,
            start_phase=np.where(self.octaves_above_tonal > 0, np.angle(noise[0]), tones),
        )
        # The side is a sound of its own: nothing in an image says how its phase lies to the middle's.
        other_noise, other_phase, iterations = noise[1], np.angle(noise[1]), SIDE_ITERATIONS
        if spec.is_left_right:
            # Nor how that of right lies to that of left; but most drums are mono: they share one.
            other_noise, other_phase = noise[0], np.angle(self.stft.forward(first)[0])
            iterations = spec.settle_iterations
        body = self.body(image)
        first = first[0] + body
        if lines is not None:
            first = first + lines.played(smooth[0])
        above_narrowest_db = (self.spread(width) + 1) * (0.5 * (WIDEST_DB - NARROWEST_DB))
        if above_narrowest_db.max() <= 0.5 * MONO_FADE_DB and not spec.is_left_right:
            return np.stack([first, first])
        gain = 10.0 ** ((above_narrowest_db + NARROWEST_DB) / 20.0)
        smooth[..., : self.bins] *= gain * np.clip(above_narrowest_db / MONO_FADE_DB, 0, 1)
        rest = smooth if lines is None else smooth * lines.noise
        second = griffin_lim(
            rest * self.grain(other_noise, share),
            self.stft,
            iterations=iterations,
            support=self.support,
            start_phase=other_phase,
        )[0]
        if lines is not None:
            second = second + (lines if spec.is_left_right else lines.elsewhere()).played(smooth[0])
        if spec.is_left_right:
            return np.stack([first, second + body])
        return np.stack([first + second, first - second])

    def body(self, image: F32) -> F32:
        """[sample]: the partials that an image holds; silence where it has none."""
        if not self.spec.partials:
            return np.zeros(self.spec.length_samples, dtype=np.float32)
        rows = image[:2, self.spec.partial_rows]
        level_db = self.level_db(rows[0])
        return self.tracker.synthesise(
            level_db, steady(level_db, frequency_hz(rows[1]), self.tracker.times_seconds)
        )

    def lines_of(self, image: F32, magnitude: F32, seed: int) -> _DrawnLines:
        """The lines that an image asks for, drawn; `magnitude` [frame, bin] is what it says of the middle."""
        random = np.random.default_rng([seed, 1])
        tonal_db, per_khz = line_tonal_db(image[0, -1]), line_density(image[1, -1])
        drawn = self.line_bank.draw(tonal_db, per_khz, random)
        return _DrawnLines(self, drawn, tonal_db, magnitude, random)

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

    def __init__(
        self, plan: BodyPlan, drawn: Lines, tonal_db: F64, magnitude: F32, random: np.random.Generator
    ) -> None:
        self.plan, self.drawn, self.random = plan, drawn, random
        stft, bin_hz = plan.stft, SAMPLE_RATE / plan.spec.window_samples
        seconds = (np.arange(stft.frames) * plan.spec.hop_samples - ONSET_SAMPLE) / SAMPLE_RATE
        self.begun = np.clip(seconds / GRAIN_SECONDS, 0.0, 1.0) ** 2  # of their energy, [frame]
        self.missing_db = LATE_LINES_DB * np.exp(-np.maximum(seconds, 0.0) / LATE_LINES_SECONDS)
        hertz = np.arange(stft.bins) * bin_hz
        at_bins = np.interp(hertz, plan.line_bank.frequencies_hz, tonal_db, left=-np.inf, right=-np.inf)
        self.noise = np.sqrt(1.0 - self.share(at_bins).T).astype(np.float32)  # [frame, bin]
        self.edges = drawn.edges_hz / bin_hz + 0.5  # in bins; bin k reaches from k to k + 1
        # A line stands where the energy of its band does.
        energy = np.square(magnitude, dtype=np.float64).sum(axis=0)
        self.frequency_hz = np.clip(
            _centres(energy, self.edges) * bin_hz, drawn.edges_hz[:-1], drawn.edges_hz[1:]
        )
        # Where bands are finer than lines are dense, an image knows the power of each.
        bands_hz = np.interp(drawn.middle_hz, plan.bands_hz, plan.widths * bin_hz)
        self.unknown = np.minimum(bands_hz / np.diff(drawn.edges_hz), 1.0)

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
        power = (1.0 + (drawn.power - 1.0) * self.unknown)[:, np.newaxis] * self.share(drawn.tonal_db)
        amplitude = np.sqrt(paced(_between(energy, self.edges), drawn.pace) * power).astype(np.float32)
        sound = plan.line_bank.play(self.frequency_hz, drawn.phases, amplitude, plan.spec.hop_samples)
        # The onset lies between two frames, and amplitudes are linear there.
        return sound * plan.support

    def elsewhere(self) -> _DrawnLines:
        """The same modes as another microphone hears them: of other levels and phases."""
        other = copy(self)
        count = len(self.drawn.power)
        power, phases = LineBank.powers(count, self.random), self.random.random(count)
        other.drawn = replace(self.drawn, power=power, phases=phases)
        return other


def _between(energy: F64, edges: F64) -> F64:
    """Energy [bin, frame], even within every bin, between fractional edges [line + 1]: [line, frame]."""
    last, beyond = _last_bins(edges, len(energy))
    sums = np.cumsum(energy, axis=0)[last] - energy[last] * beyond[:, np.newaxis]
    return np.maximum(np.diff(sums, axis=0), 0.0)


def _centres(energy: F64, edges: F64) -> F64:
    """Where energy [bin], even within every bin, stands between fractional edges [line + 1]: [line], bin k at k. In the
    middle where there is none."""
    last, beyond = _last_bins(edges, len(energy))
    sums = np.cumsum(energy)[last] - energy[last] * beyond
    moments = np.cumsum(energy * np.arange(len(energy)))[last]
    moments -= energy[last] * beyond * (last + 0.5 - 0.5 * beyond)
    total = np.diff(sums)
    middle = 0.5 * (edges[1:] + edges[:-1]) - 0.5
    return np.where(total > _NO_ENERGY, np.diff(moments) / np.maximum(total, _NO_ENERGY), middle)


def _last_bins(edges: F64, bins: int) -> tuple[NDArray[np.int64], F64]:
    """The bin that each edge falls into, and how much of it lies beyond the edge."""
    last = np.clip(edges.astype(np.int64), 0, bins - 1)
    return last, last + 1.0 - edges


def tonal_row(tonal_db: F64) -> F32:
    """dB of lines over noise to [-1, 1]."""
    row = (tonal_db - LEAST_TONAL_DB) * (2.0 / (MOST_TONAL_DB - LEAST_TONAL_DB)) - 1.0
    return np.clip(row, -1.0, 1.0).astype(np.float32)


def line_tonal_db(row: F32) -> F64:
    """The inverse of `tonal_row`."""
    return (row.astype(np.float64) + 1.0) * (0.5 * (MOST_TONAL_DB - LEAST_TONAL_DB)) + LEAST_TONAL_DB


def density_row(per_khz: F64) -> F32:
    """Lines a kilohertz to [-1, 1], on a logarithmic scale."""
    row = np.log2(per_khz / FEWEST_PER_KHZ) * (2.0 / _DENSITY_OCTAVES) - 1.0
    return np.clip(row, -1.0, 1.0).astype(np.float32)


def line_density(row: F32) -> F64:
    """The inverse of `density_row`."""
    return FEWEST_PER_KHZ * 2.0 ** ((row.astype(np.float64) + 1.0) * (0.5 * _DENSITY_OCTAVES))


def frequency_row(frequency_hz: F32) -> F32:
    """Hz to [-1, 1], on a logarithmic scale."""
    row = np.log2(frequency_hz / LOWEST_PARTIAL_HZ) * (2.0 / PARTIAL_OCTAVES) - 1.0
    return np.clip(row, -1.0, 1.0).astype(np.float32)


def frequency_hz(row: F32) -> F64:
    """The inverse of `frequency_row`."""
    return LOWEST_PARTIAL_HZ * 2.0 ** ((row.astype(np.float64) + 1.0) * (0.5 * PARTIAL_OCTAVES))
