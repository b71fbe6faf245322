"""Images of level and instantaneous frequency, on bins or on mel bands, and back to sound.

After GANSynth (Engel et al. 2019, 'GANSynth: Adversarial Neural Audio Synthesis', ICLR), whose generator draws both
and needs no phase reconstruction. Its best image, 'IF-Mel + H', has 1024 mel bands over a Hann window of 2048 samples
every 512: '+ H' is a window twice as long as its first one, for twice the resolution at the low end.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsp.kernels import cells
from dsp.phase import raar
from dsp.scale import FixedScale
from dsp.stft import Stft

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
C64 = NDArray[np.complex64]

# HTK's mel scale, as GANSynth uses it: mel = 1127 ln(1 + f / 700).
HTK_BREAK_HZ = 700.0
HTK_MEL_PER_E = 1127.0

# Edges closer than this to the border of a bin are taken to stand on it.
EDGE_TOLERANCE = 1e-9


def hertz_to_mel(frequency_hz: NDArray) -> F64:
    """HTK's formula. Shape: [...] → float64 [...]."""
    return HTK_MEL_PER_E * np.log1p(np.asarray(frequency_hz, dtype=np.float64) / HTK_BREAK_HZ)


def mel_to_hertz(mel: NDArray) -> F64:
    """The inverse of ``hertz_to_mel``. Shape: [...] → float64 [...]."""
    return HTK_BREAK_HZ * np.expm1(np.asarray(mel, dtype=np.float64) / HTK_MEL_PER_E)


def instantaneous_frequency(spectrum: C64, *, hop_samples: int | None = None) -> F32:
    """How far the phase of each bin turns from frame to frame, in half turns; in the first frame, the phase itself.

    The finite difference of the unwrapped phase over π, in [-1, 1], as in GANSynth: 1 / 2 is a quarter of the
    frame rate. A cell of magnitude zero has no phase; it keeps that of the frame before, and its value is 0.

    hop_samples   None: the phase as it is, counted from the window's first sample, as GANSynth has it. A steady
                  tone has one value in all bins of its main lobe, so nothing needs to be removed for it; but a
                  click is a sawtooth over the bins, and a sweep wraps around once every N / hop bins.
                  Given: the phase counted from the sound's first sample, that is without the advance
                  2π·hop·bin/N, and in the first frame about the window's centre. The value is then how far the
                  sound stands from the bin's own frequency, in units of N / (2·hop) bins: a tone in the middle
                  of a bin is 0, a click is 0 everywhere, and what a bin of a Hann window hears (two bins to
                  either side) just fits at 75 % overlap. That is the smoother image (power-weighted, real
                  kicks at 2048/512: 1 % of neighbouring frames lie more than half the range apart, without it
                  10 %; snares 1.5 % and 9 %, closed hats 2 % and 15 %).

    Shape: complex64 [..., frame, bin], as of ``Stft.forward`` → float32 [..., frame, bin].
    """
    spectrum = np.asarray(spectrum, dtype=np.complex64)
    _check_planes("spectrum", spectrum)
    phase = np.angle(spectrum).astype(np.float64)
    if hop_samples is not None:
        phase -= _stft_phase(phase.shape[-2], phase.shape[-1], hop_samples)
    return _differences(phase, spectrum != 0)


def phase_from_if(frequency: F32, *, hop_samples: int | None = None) -> F32:
    """The inverse of ``instantaneous_frequency`` with the same ``hop_samples``: the running sum, as a phase.

    Shape: float32 [..., frame, bin] → float32 [..., frame, bin], radians in [-π, π].
    """
    frequency = np.asarray(frequency, dtype=np.float32)
    _check_planes("frequency", frequency)
    phase = _sums(frequency)
    if hop_samples is not None:
        phase += _stft_phase(phase.shape[-2], phase.shape[-1], hop_samples)
    return _wrapped(phase).astype(np.float32)


class MelMap:
    """``bins`` of a spectrum from 0 Hz to half of ``rate_hz`` to ``mel_bands`` of one width in mel, and back.

    The bands touch and fill ``lower_hz`` … ``upper_hz`` (by default everything). Bin k reaches from k - ½ to
    k + ½, the first and the last bin only inwards, as in Parseval's sum. A band is the mean over its cell, so
    that the energy is kept: Σ band · width = Σ bin. A band narrower than a bin repeats it (with 1024 bands over
    1025 bins at 44,100 Hz those up to 5.6 kHz); the way back averages all the bands that lie within one bin, which
    returns it as it was and takes the noise off a generated image, and interpolates where there is none.
    (Interpolating on the way there looks smoother, but takes the peaks off tones: with 1024 bands the magnitudes
    of real kicks came back with an error of -28 instead of -52 dB, both before ``restore``.)

    Methods work along the last axis and are sparse.
    """

    def __init__(
        self,
        bins: int,
        mel_bands: int,
        rate_hz: float,
        lower_hz: float = 0.0,
        upper_hz: float | None = None,
    ) -> None:
        if bins < 2:
            raise ValueError(f"a spectrum needs at least 2 bins, not {bins}")
        if mel_bands < 1:
            raise ValueError(f"a mel map needs at least one band, not {mel_bands}")
        if not (np.isfinite(rate_hz) and rate_hz > 0.0):
            raise ValueError(f"rate_hz must be a positive number, not {rate_hz}")
        upper_hz = rate_hz / 2 if upper_hz is None else upper_hz
        if not 0.0 <= lower_hz < upper_hz <= rate_hz / 2:
            raise ValueError(
                f"the bands must lie between 0 and half the rate, {rate_hz / 2:g} Hz, lower_hz below upper_hz; "
                f"they are {lower_hz:g} and {upper_hz:g}"
            )
        self.bins, self.mel_bands = bins, mel_bands
        lowest, highest = hertz_to_mel(np.array([lower_hz, upper_hz]))
        self.edges_hz: F64 = mel_to_hertz(np.linspace(lowest, highest, mel_bands + 1))
        """The edges of the bands [mel_bands + 1]."""
        self.edges_hz[[0, -1]] = lower_hz, upper_hz
        edges = self.edges_hz * (2 * (bins - 1) / rate_hz)  # in bins
        self._to_bands = _cell_means(edges, bins)
        first, _, weights = self._to_bands
        bin_numbers = first[:, np.newaxis] + np.arange(weights.shape[1])
        self.centres: F64 = np.sum(weights * bin_numbers, axis=1, dtype=np.float64)
        """The middle of every band [mel_bands], in bins: the mean of the bins that it hears."""
        self.widths: F64 = np.diff(edges)
        """The width of every band [mel_bands], in bins."""
        from_middle = np.abs(np.arange(bins) - 0.5 * (edges[0] + edges[-1]))
        self.covered: NDArray[np.bool_] = from_middle <= 0.5 * np.ptp(edges) + EDGE_TOLERANCE
        """Which bins lie between the lowest and the highest edge, bool [bins]."""
        self._to_bins, self._whole = _means_within(edges, self.centres, bins)
        self._shares = _shares(edges, bins)

    def pool(self, values: F32) -> F32:
        """The mean of every band, bins cut by an edge counting in proportion. Of power: times widths, the energy.

        Shape: float32 [..., bin] → float32 [..., mel band]
        """
        return _apply(self._to_bands, "values", values, self.bins)

    def spread(self, values: F32) -> F32:
        """Levels in dB back on bins: the mean of the bands within a bin, interpolated where there is none.

        Bins outside the bands (see ``covered``) hold the nearest.

        Shape: float32 [..., mel band] → float32 [..., bin]
        """
        return _apply(self._to_bins, "values", values, self.mel_bands)

    def restore(self, power: F32, pooled: F32) -> F32:
        """``power`` that was spread, scaled towards bands of the power ``pooled``: their energy is kept.

        A tone in a band wider than a bin comes back as a slope in dB, which holds less than the band (up to 5 dB
        with 1024 bands). One step: bins cut by an edge take part in both bands, so what is left is small, not
        zero. Bins that hold a whole band are right already and stay.

        Shape: float32 [..., bin], [..., mel band] → float32 [..., bin]
        """
        there = self.pool(power)
        if np.shape(pooled) != there.shape:
            raise ValueError(
                f"pooled must have the shape {list(there.shape)} of the pooled power, not {list(np.shape(pooled))}"
            )
        ratio = np.ones_like(there)
        np.divide(pooled, there, out=ratio, where=there > 0.0)
        gain = _apply(self._shares, "ratio", ratio, self.mel_bands)
        return np.where(self._whole, power, power * gain)


@dataclass(frozen=True, eq=False)
class MelImage:
    """Sound ⇄ image of level and instantaneous frequency, GANSynth's way. One per thread, as its ``stft``.

    The first plane is the level on ``scale``, the second the instantaneous frequency about each band's middle
    (``instantaneous_frequency`` with ``hop_samples``); both in [-1, 1]. ``mel`` None keeps every bin. Where the
    level is at the floor the frequency is 0.

    On mel bands the phase of a band is that of the mean of its bins, about the window's centre, and its
    difference is taken last: the running sum returns each frame's own phase, and nothing drifts. (Averaging the
    bins' frequencies instead drifts: with 1024 bands real snares came back with an error of -24 instead of -35 dB.)
    """

    stft: Stft
    scale: FixedScale
    mel: MelMap | None = None

    def __post_init__(self) -> None:
        if self.mel is not None and self.mel.bins != self.stft.bins:
            raise ValueError(
                f"the mel map is for {self.mel.bins} bins, but the transform has {self.stft.bins}; "
                "make both for the same window"
            )

    @property
    def bands(self) -> int:
        """The height of the image: mel bands, or bins."""
        return self.stft.bins if self.mel is None else self.mel.mel_bands

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one sound's image: (2, bands, frames)."""
        return (2, self.bands, self.stft.frames)

    def analyse(self, audio: F32) -> F32:
        """The image of every sound. Shape: float32 [batch, sample] → float32 [batch, 2, band, frame]."""
        return self.image(self.stft.forward(audio))

    def synthesise(self, image: F32, *, iterations: int = 0, support: NDArray | None = None) -> F32:
        """The sounds of images, with the phase that they hold.

        iterations   of ``dsp.phase.raar``, from that phase: they repair the disagreements of a generated image.
                     The image of a real sound is nearer to it with none
        support      as of ``raar``

        Shape: float32 [batch, 2, band, frame] → float32 [batch, sample]
        """
        spectrum = self.spectrum(image)
        return raar(
            np.abs(spectrum),
            self.stft,
            iterations=iterations,
            support=support,
            start_phase=np.angle(spectrum),
        )

    def image(self, spectrum: C64) -> F32:
        """The image of a spectrum of ``stft``.

        Shape: complex64 [batch, frame, bin] → float32 [batch, 2, band, frame]
        """
        spectrum = np.asarray(spectrum, dtype=np.complex64)
        wanted = (self.stft.frames, self.stft.bins)
        if spectrum.ndim != 3 or spectrum.shape[1:] != wanted:
            raise ValueError(
                f"spectrum must have the shape [batch, {wanted[0]}, {wanted[1]}], not {list(spectrum.shape)}"
            )
        about_centre = spectrum * _signs(self.stft.bins)
        if self.mel is None:
            magnitude = np.abs(spectrum)
        else:
            magnitude = np.sqrt(self.mel.pool(spectrum.real**2 + spectrum.imag**2))
            re, im = self.mel.pool(about_centre.real), self.mel.pool(about_centre.imag)
            about_centre = re + np.complex64(1j) * im
        level = self.scale.to_image(magnitude)
        phase = np.angle(about_centre).astype(np.float64) - self._carrier()
        planes = np.stack([level, _differences(phase, level > -1.0)], axis=1)
        return np.ascontiguousarray(planes.swapaxes(2, 3))

    def spectrum(self, image: F32) -> C64:
        """The spectrum that an image means: its magnitude and, as the start of further work, its phase.

        Level below -1 or above 1 is clipped; frequency is taken modulo 2. Bins outside the mel map's range are
        silent.

        Shape: float32 [batch, 2, band, frame] → complex64 [batch, frame, bin]
        """
        image = np.asarray(image, dtype=np.float32)
        if image.ndim != 4 or image.shape[1:] != self.shape:
            wanted = ", ".join(map(str, self.shape))
            raise ValueError(f"image must have the shape [batch, {wanted}], not {list(image.shape)}")
        if not np.all(np.isfinite(image)):
            raise ValueError("image holds values that are not finite")
        level, frequency = np.ascontiguousarray(image.swapaxes(2, 3).swapaxes(0, 1))
        level = np.clip(level, -1.0, 1.0)
        phase = _wrapped(_sums(frequency) + self._carrier()).astype(np.float32)
        magnitude = self.scale.from_image(level)
        if self.mel is not None:
            # Bands speak as loudly for the phase of a bin between them as they are.
            re = self.mel.spread(magnitude * np.cos(phase))
            im = self.mel.spread(magnitude * np.sin(phase))
            phase = np.arctan2(im, re)
            spread = self.scale.from_image(self.mel.spread(level)) * self.mel.covered
            magnitude = np.sqrt(self.mel.restore(np.square(spread), np.square(magnitude)))
        magnitude = magnitude * _signs(self.stft.bins)
        return magnitude * np.cos(phase) + np.complex64(1j) * (magnitude * np.sin(phase))

    def _carrier(self) -> F64:
        """The phase of a tone in the middle of each band about the windows' centres, [frame, band]."""
        middles = np.arange(self.stft.bins) if self.mel is None else self.mel.centres
        return _advance(self.stft.frames, middles, self.stft.hop_samples, self.stft.window_samples)


def _differences(phase: F64, audible: NDArray[np.bool_]) -> F32:
    """Phase [..., frame, band] to half turns from frame to frame; cells that are not audible hold their phase."""
    frames = np.arange(phase.shape[-2])[:, np.newaxis]
    last_audible = np.maximum.accumulate(np.where(audible, frames, 0), axis=-2)
    held = np.take_along_axis(np.where(audible, phase, 0.0), last_audible, axis=-2)
    return (_wrapped(np.diff(held, axis=-2, prepend=0.0)) / np.pi).astype(np.float32)


def _sums(frequency: F32) -> F64:
    return np.cumsum(frequency, axis=-2, dtype=np.float64) * np.pi


def _wrapped(phase: F64) -> F64:
    return phase - 2.0 * np.pi * np.rint(phase * (0.5 / np.pi))


def _advance(frames: int, middles: NDArray, hop_samples: int, window_samples: int) -> F64:
    """2π·hop·bin/N for every frame so far, [frame, band]."""
    return np.arange(frames)[:, np.newaxis] * (2.0 * np.pi * hop_samples / window_samples * middles)


def _stft_phase(frames: int, bins: int, hop_samples: int) -> F64:
    """The phase in an ``Stft`` of an impulse at the sound's first sample, [frame, bin].

    The window of frame m begins at sample m·hop - N/2.
    """
    if bins < 2:
        raise ValueError(f"hop_samples needs a spectrum of at least 2 bins, not {bins}")
    if hop_samples < 1:
        raise ValueError(f"the hop must be at least one sample, not {hop_samples}")
    bin_numbers = np.arange(bins)
    return _advance(frames, bin_numbers, hop_samples, 2 * (bins - 1)) - np.pi * bin_numbers


def _signs(bins: int) -> F32:
    """1, -1, 1 …: the phase of the window's first sample to that of its centre, and back."""
    signs = np.ones(bins, dtype=np.float32)
    signs[1::2] = -1.0
    return signs


# A sparse matrix in rows, as ``cells.pool_rows`` takes it: first column [row], count [row], weights [row, column].
Rows = tuple[NDArray[np.int64], NDArray[np.int64], F32]


def _cell_means(edges: F64, bins: int) -> Rows:
    """Bins to the cells between ``edges``: each bin by the share of the cell that it fills."""
    first = np.clip(np.floor(edges[:-1] + 0.5 + EDGE_TOLERANCE), 0, bins - 1).astype(np.int64)
    last = np.clip(np.ceil(edges[1:] - 0.5 - EDGE_TOLERANCE), first, bins - 1).astype(np.int64)
    counts = last - first + 1
    column = first[:, np.newaxis] + np.arange(counts.max())
    low, high = edges[:-1, np.newaxis], edges[1:, np.newaxis]
    weights = np.clip(np.minimum(column + 0.5, high) - np.maximum(column - 0.5, low), 0.0, None)
    return first, counts, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _means_within(edges: F64, centres: F64, bins: int) -> tuple[Rows, NDArray[np.bool_]]:
    """Cells to bins: the mean of those within a bin, else the interpolation between the nearest centres.

    And which bins hold a cell whole.
    """
    middles = np.arange(bins)
    first = np.searchsorted(edges[:-1], middles - 0.5 - EDGE_TOLERANCE, side="left")
    counts = np.searchsorted(edges[1:], middles + 0.5 + EDGE_TOLERANCE, side="right") - first
    whole = counts > 0
    weights = np.zeros((bins, max(2, int(counts.max()))), dtype=np.float32)
    for k in range(bins):
        if whole[k]:
            weights[k, : counts[k]] = 1.0 / counts[k]
            continue
        position = np.interp(k, centres, np.arange(centres.shape[0]))
        first[k] = int(position)
        counts[k] = min(2, centres.shape[0] - first[k])
        weights[k, : counts[k]] = (1.0 - (position - first[k]), position - first[k])[: counts[k]]
    return (first, counts, weights), whole


def _shares(edges: F64, bins: int) -> Rows:
    """Cells to bins: each cell by the share of the bin that it fills; one cell for bins beyond the edges."""
    last_cell = edges.shape[0] - 2
    low, high = np.arange(bins) - 0.5, np.arange(bins) + 0.5
    first = np.clip(np.searchsorted(edges, low, side="right") - 1, 0, last_cell)
    last = np.clip(np.searchsorted(edges, high, side="left") - 1, first, last_cell)
    counts = last - first + 1
    weights = np.zeros((bins, int(counts.max())), dtype=np.float32)
    for k in range(bins):
        cell = edges[first[k] : last[k] + 2]
        fills = np.maximum(np.diff(np.clip(cell, low[k], high[k])), 0.0)
        total = fills.sum()
        weights[k, : counts[k]] = fills / total if total > 0.0 else 1.0 / counts[k]
    return first, counts, weights


def _apply(rows: Rows, what: str, values: F32, wanted: int) -> F32:
    values = np.ascontiguousarray(values, dtype=np.float32)
    if values.shape[-1:] != (wanted,):
        shape = list(values.shape)
        raise ValueError(f"{what} must have {wanted} values along the last axis, but the shape is {shape}")
    out = np.empty((*values.shape[:-1], rows[0].shape[0]), dtype=np.float32)
    cells.pool_rows(values.reshape(-1, wanted), *rows, out.reshape(-1, out.shape[-1]))
    return out


def _check_planes(what: str, values: NDArray) -> None:
    if values.ndim < 2 or values.shape[-2] < 1 or values.shape[-1] < 1:
        raise ValueError(f"{what} must have the shape [..., frame, bin], not {list(values.shape)}")
