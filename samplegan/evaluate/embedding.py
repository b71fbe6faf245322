"""One fixed embedding of a one-shot, without learned weights: what its spectrum does from the attack to the end.

Three blocks of levels in decibels above a floor, 0 where there is silence. The sound is brought to one loudness first
(both channels by one gain), so that the file's level does not count but every level within it does.

mid, side   64 mel bands x 24 moments: ten every 3 ms from the onset under a window of 6 ms, then 14 ever longer cells
            of averaged power to the end
low         12 bands an octave from 25 to 400 Hz at four moments, of mid: mel bands blur what makes a kick

Distances computed from it are called 'mel' (FD-mel, MMD-mel), never FAD: that name means another embedding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dsp.loudness import momentary_maximum_lufs
from dsp.mel import hertz_to_mel, mel_to_hertz
from dsp.stft import window
from samplegan.audio import ONSET_SAMPLE, SAMPLE_RATE
from samplegan.loudness import SILENCE_LUFS

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

SHORTEST_SECONDS = 0.1
# Re a sound of 0 LUFS. The loudest cells of drums lie about 10 dB above it. Levels bend into the floor and do not break
# off: a side 60 dB under the mid is as good as none.
FLOOR_DB = -60.0
SIDE_FLOOR_DB = -50.0

MEL_BANDS = 64
MEL_RANGE_HZ = (30.0, 20_000.0)
ATTACK_FRAMES = 10
ATTACK_STEP_SECONDS = 0.003
ATTACK_WINDOW_SAMPLES = 256
CELLS = 14
CELL_WINDOW_SAMPLES = 1024
CELL_HOP_SAMPLES = 256
FRAMES = ATTACK_FRAMES + CELLS

LOW_BANDS = 48
LOW_RANGE_HZ = (25.0, 400.0)
LOW_MOMENTS = (0.0, 0.1, 0.3, 0.6)  # of the length; the first window hears the onset at its peak
LOW_WINDOW_SAMPLES = 8192  # a tone is 11 Hz wide to either side
LOW_FFT_SAMPLES = 32_768

_MEL_SIZE = FRAMES * MEL_BANDS
BLOCKS = {
    "mid": slice(0, _MEL_SIZE),
    "side": slice(_MEL_SIZE, 2 * _MEL_SIZE),
    "low": slice(2 * _MEL_SIZE, 2 * _MEL_SIZE + len(LOW_MOMENTS) * LOW_BANDS),
}
DIMENSION = BLOCKS["low"].stop
# Where a block varies by less from sound to sound it is not blown up to the size of the others, about 9 dB: among mono
# sounds the side of a few stereo ones would otherwise be a third of everything.
SMALLEST_SPREAD_DB = 6.0


@dataclass(frozen=True)
class Embedding:
    """`DIMENSION` features of the first `length_seconds` of a sound; what comes after is not heard.

    The moments depend on `length_seconds` alone: features of different lengths must not be mixed.
    """

    length_seconds: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.length_seconds) and self.length_seconds >= SHORTEST_SECONDS):
            raise ValueError(
                f"length_seconds must be at least {SHORTEST_SECONDS:g}, the shortest that has a tail, "
                f"not {self.length_seconds}"
            )

    def features(self, audio: F32) -> F32:
        """Decibels above the floor of an onset-aligned sound (`samplegan.audio.align`); silence is 0 everywhere.

        Shape: float32 [2, sample] at 44,100 Hz, any length → float32 [DIMENSION]. Raises ValueError for another
        shape and for values that are not finite.
        """
        left, right = levelled(np.asarray(audio)[..., : round(self.length_seconds * SAMPLE_RATE)])
        mid, side = 0.5 * (left + right), 0.5 * (left - right)
        low = power_spectra(mid, self._low_centres, LOW_WINDOW_SAMPLES, LOW_FFT_SAMPLES)
        bands = pooled(low, _octave_edges(), LOW_FFT_SAMPLES)
        return np.concatenate(
            [
                above_floor_db(self._mel_power(mid), FLOOR_DB).ravel(),
                above_floor_db(self._mel_power(side), SIDE_FLOOR_DB).ravel(),
                above_floor_db(bands, FLOOR_DB).ravel(),
            ]
        )

    def features_of(self, sounds: Iterable[F32]) -> F32:
        """The features of every sound, float32 [sound, DIMENSION]."""
        rows = [self.features(audio) for audio in sounds]
        return np.stack(rows) if rows else np.zeros((0, DIMENSION), dtype=np.float32)

    def _mel_power(self, signal: F32) -> F32:
        """[moment, mel band]."""
        attack = power_spectra(signal, _attack_centres(), ATTACK_WINDOW_SAMPLES)
        frames = power_spectra(signal, self._frame_centres, CELL_WINDOW_SAMPLES)
        return np.concatenate(
            [
                pooled(attack, mel_edges(MEL_BANDS), ATTACK_WINDOW_SAMPLES),
                pooled(self._cells @ frames, mel_edges(MEL_BANDS), CELL_WINDOW_SAMPLES),
            ]
        )

    @cached_property
    def _frame_centres(self) -> I64:
        frames = int(np.ceil(self.length_seconds * SAMPLE_RATE / CELL_HOP_SAMPLES)) + 1
        return ONSET_SAMPLE + CELL_HOP_SAMPLES * np.arange(frames)

    @cached_property
    def edges_seconds(self) -> F64:
        """Between which the moments lie, from the onset on, [FRAMES + 1]: evenly spaced, then by one ratio."""
        attack = np.arange(ATTACK_FRAMES) * ATTACK_STEP_SECONDS
        start_seconds = ATTACK_FRAMES * ATTACK_STEP_SECONDS
        return np.concatenate([attack, np.geomspace(start_seconds, self.length_seconds, CELLS + 1)])

    @cached_property
    def _cells(self) -> F32:
        """The mean over each cell as weights [cell, frame]."""
        edges_frames = self.edges_seconds[ATTACK_FRAMES:] * (SAMPLE_RATE / CELL_HOP_SAMPLES)
        shares = _overlaps(edges_frames, self._frame_centres.size)
        return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)

    @cached_property
    def _low_centres(self) -> I64:
        moments = np.array(LOW_MOMENTS) * (self.length_seconds * SAMPLE_RATE)
        return ONSET_SAMPLE + np.rint(moments).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Projection:
    """Principal components of real sounds' features. Keep its document with a report: figures need the same one.

    mean         float64 [DIMENSION]
    scale        float64 [DIMENSION], one value for each block: blocks count alike, however many features they have
    components   float64 [dimension, DIMENSION], orthonormal rows, the largest variance first
    explained    the share of the variance, in these units, that the components keep
    """

    mean: F64
    scale: F64
    components: F64
    explained: float

    @classmethod
    def fit(cls, real_features: NDArray, dimensions: int = 32) -> Self:
        """From real sounds only, [sound, DIMENSION]. Raises ValueError for fewer sounds than `dimensions` + 1."""
        real = _checked_features("real_features", real_features)
        if not 1 <= dimensions < real.shape[0]:
            raise ValueError(
                f"{real.shape[0]} sounds span at most {max(real.shape[0] - 1, 0)} dimensions, and {dimensions} "
                "are asked for; use more sounds or fewer dimensions"
            )
        mean = real.mean(axis=0)
        spread = real.std(axis=0)
        scale = np.empty(DIMENSION)
        for block in BLOCKS.values():
            typical = max(float(np.sqrt(np.mean(spread[block] ** 2))), SMALLEST_SPREAD_DB)
            scale[block] = typical * np.sqrt(block.stop - block.start)
        _, stretch, components = np.linalg.svd((real - mean) / scale, full_matrices=False)
        components = components[:dimensions]
        # A component's sign is arbitrary: its largest weight is positive, whatever the linear algebra returned.
        largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
        variance = stretch**2
        explained = float(variance[:dimensions].sum() / variance.sum()) if variance.any() else 1.0
        return cls(mean, scale, components * np.where(largest < 0.0, -1.0, 1.0), explained)

    def project(self, features: NDArray) -> F64:
        """float32 [sound, DIMENSION] → float64 [sound, dimension]."""
        features = _checked_features("features", features)
        return ((features - self.mean) / self.scale) @ self.components.T

    def to_document(self) -> dict[str, Any]:
        """Arrays by name, as `numpy.savez` takes them."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """The projection that `to_document` described. Raises ValueError if its arrays do not fit together."""
        mean, scale, components = (
            np.asarray(document[name], np.float64) for name in ("mean", "scale", "components")
        )
        if components.ndim != 2 or not components.shape[1:] == mean.shape == scale.shape == (DIMENSION,):
            raise ValueError(
                f"the projection belongs to another embedding: its components have the shape "
                f"{list(components.shape)}, and this one has {DIMENSION} features"
            )
        return cls(mean, scale, components, float(document["explained"]))


def levelled(audio: F32) -> F32:
    """A sound at 0 LUFS (momentary maximum, both channels by one gain); silence stays as it is.

    Shape: float32 [2, sample] → float32 [2, sample]. Raises ValueError for another shape and for values that are
    not finite.
    """
    audio = np.asarray(audio, dtype=np.float32)
    if audio.ndim != 2 or audio.shape[0] != 2:
        raise ValueError(f"a one-shot must have the shape [2, sample], not {list(audio.shape)}")
    loudness_lufs = momentary_maximum_lufs(audio)
    if loudness_lufs < SILENCE_LUFS:
        return np.zeros_like(audio)
    return audio * np.float32(10.0 ** (-loudness_lufs / 20.0))


def power_spectra(signal: F32, centres: I64, window_samples: int, fft_samples: int | None = None) -> F32:
    """Power spectra under Hann windows around samples `centres`, which rise; zeros stand outside the signal.

    A row's sum is the mean square under the window. Shape: float32 [sample] → float32 [centre, bin].
    """
    first, last = int(centres[0]) - window_samples // 2, int(centres[-1]) + window_samples // 2
    reach = np.zeros(last - first, dtype=np.float32)
    start, stop = max(first, 0), min(last, signal.size)
    if start < stop:
        reach[start - first : stop - first] = signal[start:stop]
    shape = window("hann", window_samples)
    frames = np.lib.stride_tricks.sliding_window_view(reach, window_samples)[centres - centres[0]]
    fft_samples = fft_samples or window_samples
    spectra = np.fft.rfft(frames * shape, fft_samples, axis=1)
    power = np.square(spectra.real) + np.square(spectra.imag)
    power[:, 1:-1] *= 2.0
    return (power * (1.0 / (fft_samples * float(np.sum(shape**2))))).astype(np.float32)


def pooled(power: F32, edges_hz: tuple[float, ...], fft_samples: int) -> F32:
    """The power between neighbouring edges, bins cut by an edge counting in proportion.

    Shape: float32 [frame, bin] → float32 [frame, edges - 1].
    """
    return power @ _band_weights(edges_hz, fft_samples)


def above_floor_db(power: F32, floor_db: float) -> F32:
    """10 log10(1 + power / floor): 0 for silence, 3 at the floor, the level above it from there on."""
    return (10.0 * np.log10(1.0 + power * np.float32(10.0 ** (-floor_db / 10.0)))).astype(np.float32)


@lru_cache
def mel_edges(bands: int) -> tuple[float, ...]:
    """Edges of `bands` of one width in mel over MEL_RANGE_HZ."""
    lowest, highest = hertz_to_mel(np.array(MEL_RANGE_HZ))
    return tuple(mel_to_hertz(np.linspace(lowest, highest, bands + 1)).tolist())


@lru_cache
def _octave_edges() -> tuple[float, ...]:
    return tuple(np.geomspace(*LOW_RANGE_HZ, LOW_BANDS + 1).tolist())


@lru_cache
def _attack_centres() -> I64:
    steps = np.arange(ATTACK_FRAMES) * (ATTACK_STEP_SECONDS * SAMPLE_RATE)
    return ONSET_SAMPLE + np.rint(steps).astype(np.int64)


@lru_cache
def _band_weights(edges_hz: tuple[float, ...], fft_samples: int) -> F32:
    """[bin, band]."""
    edges = np.array(edges_hz) * (fft_samples / SAMPLE_RATE)
    return np.ascontiguousarray(_overlaps(edges, fft_samples // 2 + 1).T.astype(np.float32))


def _overlaps(edges: F64, points: int) -> F64:
    """How much of point k, which reaches from k - ½ to k + ½, lies between neighbouring edges, [cell, point]."""
    point = np.arange(points)
    low, high = edges[:-1, None], edges[1:, None]
    return np.clip(np.minimum(point + 0.5, high) - np.maximum(point - 0.5, low), 0.0, None)


def _checked_features(what: str, features: NDArray) -> F64:
    checked = np.asarray(features, dtype=np.float64)
    if checked.ndim != 2 or checked.shape[1] != DIMENSION:
        raise ValueError(f"{what} must have the shape [sound, {DIMENSION}], not {list(checked.shape)}")
    if not np.isfinite(checked).all():
        raise ValueError(f"{what} holds values that are not finite")
    return checked
