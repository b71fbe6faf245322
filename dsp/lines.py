"""The lines of metal: many steady partials among noise. How much of a sound they are, and how dense, is measured; where
they stand is drawn anew.

A cymbal has hundreds of modes, no two cymbals the same ones; a spectrogram of few bands cannot hold them, and noise in
their place is a hiss. What tells a cymbal from a hiss is how much of every band's energy stands in lines and how many
of them there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dsp import arguments
from dsp.kernels import lines
from dsp.stft import Stft, window

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

LEAST_TONAL_DB, MOST_TONAL_DB = -15.0, 20.0  # of lines over noise; at the least there are none
FEWEST_PER_KHZ, MOST_PER_KHZ = 2.0, 64.0
USUAL_PER_KHZ = 20.0  # said where there are none to count

# Windows, and what leaks from 20 lines a kilohertz into the gaps between them: measured on sounds that are made of
# lines and noise in known shares.
_LONG_WINDOW_SECONDS, _LONG_LEAKAGE_DB = 0.093, 2.2
_SHORT_WINDOW_SECONDS, _SHORT_LEAKAGE_DB = 0.046, 5.0
_SHORT_SECONDS = 0.6  # below it a sound is over before a long window has seen it
_AFTER_ONSET_SECONDS = 0.02  # what comes before is a click, whose spectrum has no lines
_SMOOTH_HZ = 800.0  # the width over which a frame's level is taken
_HEARD = 1e-6  # of the loudest point of a frame-by-frame level
_NEAR_HZ, _NEAR_SHARE = 400.0, 0.12  # to either side of a cell, the larger of the two
_FEWEST_BINS = 20  # that a statistic is taken of
_QUARTILE = 0.25
_QUARTILE_DEVIATIONS = -0.6745  # where a normal distribution has it
_INDEPENDENT = 1.9  # frames a window's length, of a Hann window
_FADE_DB = 3.0  # above the least, over which lines appear
_REGULAR = 0.35  # of a line's distance to the next: modes keep apart
_POWER_SHAPE = 2.0  # of the gamma distribution of their powers
_PACE_SPREAD = 0.12  # standard deviation
_SILENT = np.float32(1e-6)  # the amplitude under which a line is not played, -120 dB re full scale
_TINY = 1e-30


@dataclass(frozen=True)
class LineStatistics:
    """What `LineBank.measure` finds, at each of its frequencies [cell]."""

    tonal_db: F64  # energy in lines over energy in noise, LEAST_TONAL_DB … MOST_TONAL_DB
    per_khz: F64  # how many lines, FEWEST_PER_KHZ … MOST_PER_KHZ


@dataclass(frozen=True)
class Lines:
    """Lines drawn: each stands for all tonal energy between two edges, times its power."""

    edges_hz: F64  # [line + 1], rising
    power: F64  # [line], 1 in the mean
    tonal_db: F64  # [line], of the statistics there
    phases: F64  # [line], cycles
    pace: F64  # [line], of its decay in dB over that of its band

    @property
    def middle_hz(self) -> F64:
        """Between the edges, [line]."""
        return 0.5 * (self.edges_hz[1:] + self.edges_hz[:-1])


class LineBank:
    """Measures the lines of sounds of ``length_samples`` at ``frequencies_hz`` [cell], and plays drawn ones.

    A long spectrum, each frame of it divided by its own course over 800 Hz, averaged over the frames after the onset
    that are heard, is flat where a sound is noise and uneven where it has lines. The share of noise follows from its
    lower quartile, next to what noise of as many frames has; the number of lines from its mean square, which their
    powers have. Lines closer than about 40 Hz are noise to it, and in sounds under 0.6 s those closer than 80.

    Of steady lines and noise as loud, 2.5 s long, it finds 1.4, 0.9, 0.2 and -1.6 dB where there are 5, 10, 20 and 40
    lines a kilohertz; where lines are 10 dB louder it counts 5.3, 8, 14 and 17.

    Frequencies are at least two, in Hz, rising, between 0 and half of ``sample_rate``; the sound starts at
    ``onset_samples``. Holds work buffers: for one thread. Raises ValueError for settings that cannot be.
    """

    def __init__(
        self, length_samples: int, frequencies_hz: ArrayLike, *, onset_samples: int, sample_rate: float
    ) -> None:
        self.length_samples = arguments.whole("length_samples", length_samples, 1)
        arguments.length("the sound is", self.length_samples)
        self.onset_samples = arguments.whole("onset_samples", onset_samples, 0)
        if not arguments.LOWEST_RATE_HZ <= sample_rate <= arguments.HIGHEST_RATE_HZ:
            raise ValueError(
                f"sample_rate must lie between {arguments.LOWEST_RATE_HZ} and {arguments.HIGHEST_RATE_HZ} Hz, "
                f"not {sample_rate}"
            )
        self.sample_rate = sample_rate
        self.frequencies_hz: F64 = np.array(frequencies_hz, dtype=np.float64)
        if self.frequencies_hz.ndim != 1 or self.frequencies_hz.shape[0] < 2:
            raise ValueError("frequencies_hz must hold at least two, [cell]")
        if not (np.diff(self.frequencies_hz) > 0.0).all():
            raise ValueError("frequencies_hz must rise")
        if not 0.0 < self.frequencies_hz[0] < self.frequencies_hz[-1] < sample_rate / 2.0:
            raise ValueError("frequencies_hz must lie between 0 and half the sampling rate")
        is_short = self.length_samples < _SHORT_SECONDS * sample_rate
        seconds = _SHORT_WINDOW_SECONDS if is_short else _LONG_WINDOW_SECONDS
        self._leakage_db = _SHORT_LEAKAGE_DB if is_short else _LONG_LEAKAGE_DB
        self._window_samples = 2 * round(seconds * sample_rate / 2)
        self._hop_samples = self._window_samples // 4
        padded = max(self.length_samples, 2 * self._window_samples)
        self._stft = Stft(padded, window("hann", self._window_samples), self._hop_samples)
        self._bin_hz = sample_rate / self._window_samples

    def measure(self, audio: ArrayLike) -> LineStatistics:
        """The lines of a sound; none where nothing is heard, nor in one that is over before the first whole window
        after the onset is (66 ms at 44.1 kHz). A gain changes nothing.

        Shape: floating point [length_samples] → [cell] twice. Raises ValueError for another shape and for values that
        are not finite.
        """
        audio = arguments.sound("audio", audio)
        if audio.shape[0] != self.length_samples:
            raise ValueError(f"audio must be {self.length_samples} samples long, not {audio.shape[0]}")
        centre = self.onset_samples + _AFTER_ONSET_SECONDS * self.sample_rate + self._window_samples / 2
        if centre + self._window_samples / 2 > self.length_samples:
            none = np.full(self.frequencies_hz.shape, LEAST_TONAL_DB)
            return LineStatistics(none, np.full_like(none, USUAL_PER_KHZ))
        padded = np.zeros((1, self._stft.length_samples), dtype=np.float32)
        # A power of two, so that not even rounding changes with the level, and no power is infinite.
        padded[0, : self.length_samples] = np.ldexp(audio, -np.frexp(np.abs(audio).max())[1])
        power = self._stft.power(padded)[0, int(np.ceil(centre / self._hop_samples)) :].astype(np.float64)
        course = _running_mean(power, max(round(_SMOOTH_HZ / self._bin_hz), 3))
        heard = course > max(_HEARD * course.max(), _TINY)
        frames = heard.sum(axis=0)
        relative = np.divide(power, course, out=np.zeros_like(power), where=heard).sum(axis=0)
        relative /= np.maximum(frames, 1)
        hertz = np.arange(power.shape[1], dtype=np.float64) * self._bin_hz
        found = [self._near(relative, frames, hertz, centre) for centre in self.frequencies_hz]
        tonal_db, per_khz = np.array(found).T
        return LineStatistics(tonal_db, per_khz)

    def _near(
        self, relative: F64, frames: NDArray[np.int64], hertz: F64, centre: float
    ) -> tuple[float, float]:
        reach = max(_NEAR_HZ, _NEAR_SHARE * centre)
        chosen = (np.abs(hertz - centre) < reach) & (frames > 0)
        if np.count_nonzero(chosen) < _FEWEST_BINS:
            return LEAST_TONAL_DB, USUAL_PER_KHZ
        values = relative[chosen] / relative[chosen].mean()
        looks = max(float(frames[chosen].mean()) * _INDEPENDENT / 4.0, 1.0)
        # The lower quartile of the mean of that many exponential variables (Wilson & Hilferty 1931).
        expected = (1.0 - 1.0 / (9.0 * looks) + _QUARTILE_DEVIATIONS / np.sqrt(9.0 * looks)) ** 3
        noise = min(float(np.quantile(values, _QUARTILE)) / expected, 1.0)
        tonal = 1.0 - noise
        tonal_db = 10.0 * np.log10(max(tonal, _TINY) / max(noise, _TINY))
        if tonal_db <= LEAST_TONAL_DB:
            return LEAST_TONAL_DB, USUAL_PER_KHZ
        # mean square = tonal² · that of lines + noise² · (1 + 1 / looks) + 2 · tonal · noise
        square = float(np.mean(values**2))
        uneven = (square - noise**2 * (1.0 + 1.0 / looks) - 2.0 * tonal * noise) / tonal**2
        # Of n lines in N bins, with Hann's main lobe: uneven = N / 2n · the mean square of their powers.
        per_khz = 500.0 / self._bin_hz * (1.0 + 1.0 / _POWER_SHAPE) / max(uneven, 1.0)
        return min(tonal_db + self._leakage_db, MOST_TONAL_DB), float(
            np.clip(per_khz, FEWEST_PER_KHZ, MOST_PER_KHZ)
        )

    def draw(self, tonal_db: ArrayLike, per_khz: ArrayLike, random: np.random.Generator) -> Lines:
        """Lines with such statistics, between the first and the last of the frequencies. Densities are held within
        FEWEST_PER_KHZ … MOST_PER_KHZ.

        Shape: [cell] twice. Raises ValueError for another shape and for values that are not finite.
        """
        tonal_db = _finite("tonal_db", tonal_db, self.frequencies_hz.shape)
        per_khz = _finite("per_khz", per_khz, self.frequencies_hz.shape)
        # In a coordinate in which their density is 1 lines stand one from the next by at least `_REGULAR`.
        hertz = np.linspace(self.frequencies_hz[0], self.frequencies_hz[-1], 4096)
        density = (
            np.interp(hertz, self.frequencies_hz, np.clip(per_khz, FEWEST_PER_KHZ, MOST_PER_KHZ)) / 1000.0
        )
        place = np.concatenate([[0.0], np.cumsum(0.5 * np.diff(hertz) * (density[1:] + density[:-1]))])
        steps = _REGULAR + (1.0 - _REGULAR) * random.exponential(size=int(2.0 * place[-1]) + 32)
        places = np.cumsum(steps) - random.random() * steps[0]
        inner = np.interp(places[places < place[-1]], place, hertz)
        edges_hz = np.concatenate([hertz[:1], inner, hertz[-1:]])
        count = len(edges_hz) - 1
        pace = 1.0 + _PACE_SPREAD * random.standard_normal(count)
        middle_hz = 0.5 * (edges_hz[1:] + edges_hz[:-1])
        tonal_there: F64 = np.interp(middle_hz, self.frequencies_hz, tonal_db)
        return Lines(edges_hz, self.powers(count, random), tonal_there, random.random(count), pace)

    @staticmethod
    def powers(count: int, random: np.random.Generator) -> F64:
        """Of that many lines; 1 in the mean."""
        return random.gamma(_POWER_SHAPE, 1.0 / _POWER_SHAPE, size=count)

    def play(self, frequency_hz: ArrayLike, phases: ArrayLike, amplitude: ArrayLike, hop_samples: int) -> F32:
        """The sum of amplitude · cos(2π (frequency · time + phase)), phases in cycles at the first sample. Frame m of
        the amplitudes stands at sample m · ``hop_samples``; between frames they are linear, after the last they are
        held.

        Shape: [line], [line], floating point [line, frame] → float32 [length_samples]. Raises ValueError for other
        shapes, values that are not finite, frequencies outside 0 … half the sampling rate, amplitudes below 0 and fewer
        frames than the sound needs.
        """
        amplitude = arguments.floats("amplitude", amplitude)
        hop_samples = arguments.whole("hop_samples", hop_samples, 1)
        frames = -(-self.length_samples // hop_samples)
        if amplitude.ndim != 2 or amplitude.shape[1] < frames:
            raise ValueError(
                f"amplitude must be [line, frame] with at least {frames} frames, not the shape {list(amplitude.shape)}"
            )
        count = amplitude.shape[:1]
        frequency_hz, phases = _finite("frequency_hz", frequency_hz, count), _finite("phases", phases, count)
        if not ((frequency_hz > 0.0) & (frequency_hz < self.sample_rate / 2.0)).all():
            raise ValueError("frequency_hz must lie between 0 and half the sampling rate")
        if (amplitude < 0.0).any():
            raise ValueError("amplitude must not be negative; turn the phase by half a cycle instead")
        out = np.zeros(self.length_samples, dtype=np.float32)
        cosine, sine = np.empty((2, hop_samples), dtype=np.float32)
        turns = frequency_hz / self.sample_rate
        lines.add_sines(turns, phases, amplitude, hop_samples, _SILENT, cosine, sine, out)
        return out


def paced(energy: ArrayLike, pace: ArrayLike) -> F64:
    """Energies that fall from their loudest frame as the pace of each line says, 1 as they did; alike in the mean of
    many lines, of which the slow ones are soon the louder.

    Shape: [line, frame], [line] → [line, frame]. Raises ValueError for other shapes, values that are not finite and
    energies below 0.
    """
    energy = np.asarray(energy, np.float64)
    if energy.ndim != 2:
        raise ValueError(f"energy must be [line, frame], not the shape {list(energy.shape)}")
    energy, pace = _finite("energy", energy, energy.shape), _finite("pace", pace, energy.shape[:1])
    if (energy < 0.0).any():
        raise ValueError("energy must not be negative")
    energy = np.maximum(energy, _TINY)
    fallen = np.log(energy / energy.max(axis=-1, keepdims=True))
    # The mean of exp(x · fallen), x normal, is exp(½ · (spread · fallen)²).
    more = (pace[:, np.newaxis] - 1.0) * fallen
    return np.asarray(energy * np.exp(more - 0.5 * np.square(_PACE_SPREAD * fallen)), dtype=np.float64)


def tonal_share(tonal_db: ArrayLike) -> F64:
    """The share of energy that stands in lines, 0 … 1; none at `LEAST_TONAL_DB` and below.

    Shape: [...] → [...]. Raises ValueError for NaN; infinite decibels are all or nothing.
    """
    tonal_db = np.asarray(tonal_db, np.float64)
    if np.isnan(tonal_db).any():
        raise ValueError("tonal_db holds NaN")
    fade = np.clip((tonal_db - LEAST_TONAL_DB) / _FADE_DB, 0.0, 1.0)
    return np.asarray(fade / (1.0 + 10.0 ** (-tonal_db / 10.0)), dtype=np.float64)


def _finite(what: str, values: ArrayLike, shape: tuple[int, ...]) -> F64:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"{what} must have the shape {list(shape)}, not {list(array.shape)}")
    if not np.isfinite(array).all():
        raise ValueError(f"{what} holds values that are not finite")
    return array


def _running_mean(power: F64, bins: int) -> F64:
    """Along the last axis over ``bins``, fewer at the edges."""
    count = power.shape[-1]
    sums = np.concatenate([np.zeros((*power.shape[:-1], 1)), np.cumsum(power, axis=-1)], axis=-1)
    low = np.maximum(np.arange(count) - bins // 2, 0)
    high = np.minimum(np.arange(count) + bins // 2 + 1, count)
    return np.maximum(sums[..., high] - sums[..., low], 0.0) / (high - low)
