"""Short-time Fourier transforms, planned in advance, and the shapes of the images they make."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyfftw
from numpy.typing import ArrayLike, NDArray

from dsp import arguments
from dsp.kernels import framing, projection

F32 = NDArray[np.float32]
C64 = NDArray[np.complex64]

GAUSSIAN_EDGES = {"gaussian": 1e-5, "truncated-gaussian": 1e-2}
"""Heights at which the Gaussian windows are cut off, relative to their peaks.

What the cut costs is side lobes. The first window's lie 118 dB below a tone's peak, where nobody hears them; the
second's 57 dB below it, the price of a main lobe two thirds as wide. The second is the truncated Gaussian of the
literature on phase from magnitudes (Průša, Balazs & Søndergaard 2017).
"""

LARGEST_BETA = 700.0  # of a Kaiser window: beyond it the Bessel function leaves double precision

LARGEST_SPECTRUM_BYTES = 1 << 30
"""What ``Stft.forward`` may return, all sounds together. Ten minutes of stereo at 512/128 take 0.85 GB of it."""

# The samples of one block of frames: large enough that calls cost nothing, small enough that the block stays
# in the processor's cache between framing, transform, projection and overlap-add.
BLOCK_SAMPLES = 32_768
# A phase loop calls its kernels once per block and iteration, and waits on Python in between: as few blocks as the
# outer cache holds.
PAIR_BLOCK_SAMPLES = 160_000

# FFTW_MEASURE times candidate plans and so picks different ones, with different rounding, in different
# processes. FFTW_ESTIMATE always picks the same: the same seed gives the same bytes.
PLANNER = "FFTW_ESTIMATE"
_planner = threading.Lock()  # FFTW plans are executed, but not made, by many threads at once

# Samples below -600 dB become zero. Frames of nothing but denormal numbers, as an exponential decay ends in, would take
# many times as long as any others.
INAUDIBLE = np.float32(1e-30)

# An overlap-add sum this far below its maximum would amplify rounding noise by as much when divided out.
SMALLEST_OVERLAP = 1e-6


def window(name: str, window_samples: int, *, beta: float = 14.0) -> F32:
    """A periodic window by name.

    'hann'                0.5 + 0.5 cos(2π t / N), t from -N / 2: side lobes fall by 18 dB an octave
    'kaiser'              I₀(β √(1 - (2t / N)²)) / I₀(β); ``beta`` from 0 (a rectangle) to 700
    'gaussian'            exp(-t² / 2σ²) with σ = 0.1042 N: cut where it has fallen to 1e-5 (-100 dB)
    'truncated-gaussian'  the same with σ = 0.1648 N: cut at 1 % (-40 dB)

    Shape: float32 [window_samples]; the peak, 1, stands at ``window_samples // 2``. ``window_samples`` is
    even. Raises ValueError for any other name, beta or length.

    >>> window("hann", 4).tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    _check_window_samples(window_samples)
    position = np.arange(window_samples) / window_samples * 2.0 - 1.0  # -1 … 1, the peak at 0
    if name == "hann":
        values = 0.5 + 0.5 * np.cos(np.pi * position)
    elif name == "kaiser":
        if not 0.0 <= beta <= LARGEST_BETA:
            raise ValueError(f"a Kaiser window needs a beta between 0 and {LARGEST_BETA:g}, not {beta}")
        values = np.i0(beta * np.sqrt(1.0 - position**2)) / np.i0(beta)
    elif name in GAUSSIAN_EDGES:
        values = np.exp(np.log(GAUSSIAN_EDGES[name]) * position**2)
    else:
        raise ValueError(
            f"there is no window '{name}'; choose 'hann', 'kaiser', 'gaussian' or 'truncated-gaussian'"
        )
    return values.astype(np.float32)


@dataclass(frozen=True)
class StftShape:
    """How a sound of ``length_samples`` becomes an image of ``bands`` x ``frames``; made by ``shape_for``.

    Encode: pad the sound with zeros to ``padded_samples``, transform, keep the first ``frames`` of
    ``generated_frames`` and the first ``bands`` bins (the Nyquist bin goes). The ``cut_frames`` hold nothing
    but the padding. Decode: append ``cut_frames`` silent frames and a silent bin, invert, keep
    ``length_samples``. So the sound, and every window that touches it, lies inside the image, and an artefact
    at the edge of a generated image falls into the samples that are cut.
    """

    length_samples: int
    bands: int
    frames: int
    window_samples: int
    hop_samples: int
    padded_samples: int
    cut_frames: int

    @property
    def generated_frames(self) -> int:
        """The frames of ``Stft(padded_samples, window, hop_samples)``."""
        return self.frames + self.cut_frames


def shape_for(length_samples: int, bands: int, frames: int) -> StftShape:
    """The window and the hop with which a sound fills an image of ``bands`` x ``frames``.

    The window is ``2 * bands``. Frame m is centred on sample m·hop and reaches half a window to either side,
    so all frames that touch the sound fit when ``frames * hop >= length + window / 2``; the hop is the
    smallest that does it. Any length goes, odd ones and those shorter than a window too. Raises ValueError when
    that hop would exceed half the window: too few frames, or bands, for the length.

    >>> shape_for(30_870, 256, 244).hop_samples  # 0.7 s with a window of 512
    128
    """
    length_samples = arguments.whole("length_samples", length_samples, 1)
    bands = arguments.whole("bands", bands, 1)
    frames = arguments.whole("frames", frames, 1)
    window_samples = 2 * bands
    hop_samples = -(-(length_samples + bands) // frames)
    if hop_samples > bands:
        raise ValueError(
            f"{length_samples} samples do not fit into {bands} bands x {frames} frames: the hop would be "
            f"{hop_samples} samples, more than half the window of {window_samples}. Use at least "
            f"{-(-(length_samples + bands) // bands)} frames, more bands, or a shorter sound"
        )
    return StftShape(
        length_samples=length_samples,
        bands=bands,
        frames=frames,
        window_samples=window_samples,
        hop_samples=hop_samples,
        padded_samples=frames * hop_samples,
        cut_frames=-(-bands // hop_samples),
    )


class Stft:
    """A short-time Fourier transform of sounds of one length, and its exact inverse.

    Frame m is centred on sample m·hop_samples; outside the sound stand zeros. The last frame is the last one
    that touches the sound, ``frames = (length_samples - 1 + window_samples // 2) // hop_samples + 1``. The
    phase of a frame refers to the first sample of its window, as in librosa and in ``numpy.fft.rfft`` of the
    segment.

    The inverse is the least-squares one (Griffin & Lim 1984): windowed overlap-add over the sum of squared
    windows. It returns every sound exactly and, for an inconsistent spectrum, the sound whose transform is
    nearest.

    An object owns its plans and buffers: use one per thread. Results belong to the caller. A sound's result
    does not depend on what else is in its batch, nor on the process. ``batch``, when given, is the only
    number of sounds accepted.

    Raises ValueError for lengths under one sample, odd windows, for a window and hop that leave samples
    (nearly) uncovered, and for transforms of more than LARGEST_SPECTRUM_BYTES. What ``forward`` and ``inverse``
    return is finite: anything else they refuse.
    """

    def __init__(
        self, length_samples: int, window: F32, hop_samples: int, *, batch: int | None = None
    ) -> None:
        window = arguments.floats("the window", window)
        if window.ndim != 1:
            raise ValueError(f"the window must have one axis, not {window.ndim}")
        _check_window_samples(window.shape[0])
        length_samples = arguments.whole("length_samples", length_samples, 1)
        arguments.length("a sound of this transform would be", length_samples)
        hop_samples = arguments.whole("hop_samples", hop_samples, 1)
        if hop_samples > window.shape[0]:
            raise ValueError(
                f"hop_samples must not exceed the window's {window.shape[0]} samples, but is {hop_samples}"
            )
        if batch is not None:
            batch = arguments.whole("batch", batch, 1)
        self.length_samples = length_samples
        self.window = window
        self.window_samples = window.shape[0]
        self.hop_samples = hop_samples
        self.batch = batch
        self.bins = self.window_samples // 2 + 1
        self.frames = (length_samples - 1 + self.window_samples // 2) // hop_samples + 1
        self._check_bytes(batch or 1)

        self.blocks, self.block_frames = _blocks(self.frames, self.window_samples, BLOCK_SAMPLES)
        padded_samples = (self.blocks * self.block_frames - 1) * hop_samples + self.window_samples
        first = self.window_samples // 2  # where the sound begins in the padded buffers
        self.inside = slice(first, first + length_samples)
        self._padded = np.zeros(max(padded_samples, first + length_samples), dtype=np.float32)
        self.normaliser = self._inverse_overlap()

        shape = (self.block_frames, self.window_samples)
        self._time = pyfftw.zeros_aligned(shape, dtype=np.float32)
        self._spectrum = pyfftw.zeros_aligned((self.block_frames, self.bins), dtype=np.complex64)
        self._pairs: PairTransform | None = None
        with _planner:
            self._to_spectrum = pyfftw.FFTW(self._time, self._spectrum, axes=(1,), flags=(PLANNER,))
            self._to_time = pyfftw.FFTW(
                self._spectrum,
                self._time,
                axes=(1,),
                direction="FFTW_BACKWARD",
                flags=(PLANNER, "FFTW_DESTROY_INPUT"),
            )

    def forward(self, audio: ArrayLike, *, out: C64 | None = None) -> C64:
        """The spectrum of every sound.

        Shape: float32 [batch, length_samples] → complex64 [batch, frame, bin], into ``out`` when given. Raises
        ValueError for NaN and infinity. Samples below 1e-30 count as zero.
        """
        audio = self.checked(audio)
        spectrum = self.result(out, (audio.shape[0], self.frames, self.bins), np.dtype(np.complex64))
        for sound, result in zip(audio, spectrum, strict=True):
            self._padded[:] = 0.0
            self._padded[self.inside] = sound
            framing.silence_below(self._padded, INAUDIBLE)
            for first in range(0, self.frames, self.block_frames):
                framing.frame_real(self._padded, self.window, self.hop_samples, first, self._time)
                self._to_spectrum.execute()
                count = min(self.block_frames, self.frames - first)
                result[first : first + count] = self._spectrum[:count]
        return spectrum

    def power(self, audio: ArrayLike) -> F32:
        """The squared magnitude of ``forward``, in half its time: two frames share a complex FFT.

        Shape: float32 [batch, length_samples] → float32 [batch, frame, bin]. Raises as ``forward`` does.
        """
        audio = self.checked(audio)
        power = np.zeros((audio.shape[0], self.frames, self.bins), dtype=np.float32)
        for sound, result in zip(audio, power, strict=True):
            for first, pairs in self.blocks_of(sound):
                projection.power_pairs(pairs.spectrum, result[first:], pairs.rows)
        return power

    def blocks_of(self, sound: F32) -> Iterator[tuple[int, "PairTransform"]]:
        """The spectrum of a sound [length_samples] block by block: the first frame, and whose ``spectrum`` holds it.

        Blocks that are silent to the end are left out.
        """
        if self._pairs is None:
            self._pairs = PairTransform(self, self.frames, block_samples=BLOCK_SAMPLES)
        self._pairs.load(sound)
        end = framing.sounding_samples(self._pairs.audio)
        end += self.window_samples // 2 if end else 0
        for first in range(0, min(self._pairs.frames, -(-end // self.hop_samples)), self._pairs.block_frames):
            self._pairs.to_spectrum(first)
            yield first, self._pairs

    def inverse(self, spectrum: ArrayLike, *, out: F32 | None = None) -> F32:
        """The sounds whose spectra are nearest, in the least-squares sense; exact for what ``forward``
        returned.

        Shape: complex64 [batch, frame, bin] → float32 [batch, length_samples], into ``out`` when given. Raises
        ValueError for NaN and infinity. The imaginary parts of the first and the last bin do not count: those of a
        real sound's spectrum are zero.
        """
        spectrum = np.asarray(spectrum)
        if spectrum.dtype.kind != "c":
            raise ValueError(f"spectrum must hold complex numbers, not {spectrum.dtype.name}")
        self._check_batch("spectrum", spectrum, (self.frames, self.bins))
        with np.errstate(over="ignore"):  # infinite then, and refused below
            spectrum = spectrum.astype(np.complex64, copy=False)
        audio = self.result(out, (spectrum.shape[0], self.length_samples), np.dtype(np.float32))
        for source, sound in zip(spectrum, audio, strict=True):
            self._padded[:] = 0.0
            for first in range(0, self.frames, self.block_frames):
                count = min(self.block_frames, self.frames - first)
                self._spectrum[:count] = source[first : first + count]
                self._spectrum[count:] = 0.0
                self._to_time.execute()
                framing.overlap_real(self._time, self.window, self.hop_samples, first, self._padded)
            framing.multiply_in_place(self._padded, self.normaliser)
            sound[:] = self._padded[self.inside]
        # A value that is not finite reaches every sample of its frame, and there are far fewer samples than values.
        if not np.isfinite(audio).all():
            raise ValueError(
                "spectrum holds values that are not finite: NaN, infinite or beyond single precision"
            )
        return audio

    def _inverse_overlap(self) -> F32:
        """1 / (N · sum of squared windows) inside the sound, 0 outside; N undoes FFTW's unscaled inverse.

        Only frames that exist count, so the first and last samples are as exact as the middle.
        """
        hop = self.hop_samples
        overlap = np.zeros(self._padded.shape[0] + hop)
        squared = self.window.astype(np.float64) ** 2
        # All frames at once, one hop's length of the window after the other: a few steps, however long the sound.
        for first in range(0, self.window_samples, hop):
            part = squared[first : first + hop]
            overlap[first : first + self.frames * hop].reshape(self.frames, hop)[:, : part.shape[0]] += part
        inside = overlap[self.inside]
        if not inside.min() > SMALLEST_OVERLAP * inside.max():
            raise ValueError(
                f"a window of {self.window_samples} samples every {self.hop_samples} samples leaves samples "
                "uncovered, so the sound cannot be reconstructed. Use a smaller hop"
            )
        normaliser = np.zeros(self._padded.shape[0], dtype=np.float32)
        normaliser[self.inside] = 1.0 / (self.window_samples * inside)
        return normaliser

    def checked(self, audio: ArrayLike) -> F32:
        """Audio as finite float32; ValueError unless it is [batch, length_samples]."""
        audio = np.asarray(audio)
        self._check_batch("audio", audio, (self.length_samples,))
        self._check_bytes(audio.shape[0])
        return arguments.floats("audio", audio)

    def _check_batch(self, what: str, values: NDArray, shape: tuple[int, ...]) -> None:
        batch = "batch" if self.batch is None else str(self.batch)
        wanted = f"[{', '.join((batch, *map(str, shape)))}]"
        if values.ndim != len(shape) + 1 or values.shape[1:] != shape:
            raise ValueError(f"{what} must have the shape {wanted}, not {list(values.shape)}")
        if self.batch is not None and values.shape[0] != self.batch:
            raise ValueError(f"{what} must have the shape {wanted}, not {list(values.shape)}")

    def _check_bytes(self, sounds: int) -> None:
        needed = 8 * sounds * self.frames * self.bins
        if needed > LARGEST_SPECTRUM_BYTES:
            raise ValueError(
                f"the spectrum of {sounds} sounds of {self.length_samples} samples would take "
                f"{needed / 2**30:.1f} GiB; the most is {LARGEST_SPECTRUM_BYTES / 2**30:g}. "
                "Use shorter sounds, fewer at once, or a larger hop"
            )

    @staticmethod
    def result(out: NDArray | None, shape: tuple[int, ...], dtype: np.dtype) -> NDArray:
        """``out``, or a new array where it is None; ValueError if it does not fit."""
        if out is None:
            return np.empty(shape, dtype=dtype)
        if out.shape != shape or out.dtype != dtype or not out.flags.writeable:
            kind = "" if out.flags.writeable else "a read-only "
            raise ValueError(
                f"out must be {dtype.name} {list(shape)}, not {kind}{out.dtype.name} {list(out.shape)}"
            )
        return out


class PairTransform:
    """The sound, the blocks and the plans of a phase loop: two neighbouring frames share one complex FFT.

    Two real transforms cost nearly three times one complex transform of the same size in FFTW. Frames of the
    same sound are paired, not channels, so that a sound's result does not depend on its neighbours in the
    batch and equal channels stay equal.

    Only the first ``frames`` are transformed; from ``blocks`` · ``block_frames`` on the sound has none.
    ``to_spectrum`` frames the current sound, ``to_time`` adds to the next one, ``turn`` makes that the current.
    For one thread.
    """

    def __init__(
        self,
        stft: Stft,
        frames: int,
        support: F32 | None = None,
        *,
        block_samples: int = PAIR_BLOCK_SAMPLES,
    ) -> None:
        self.stft = stft
        self.blocks, self.block_frames = _blocks(frames, stft.window_samples, block_samples)
        self.frames = self.blocks * self.block_frames
        shape = (self.block_frames // 2, stft.window_samples)
        time = pyfftw.zeros_aligned(shape, dtype=np.complex64)
        spectrum = pyfftw.zeros_aligned(shape, dtype=np.complex64)
        with _planner:
            forward = pyfftw.FFTW(time, spectrum, axes=(1,), flags=(PLANNER,))
            backward = pyfftw.FFTW(
                spectrum, time, axes=(1,), direction="FFTW_BACKWARD", flags=(PLANNER, "FFTW_DESTROY_INPUT")
            )
        self._to_spectrum, self._to_time = forward.execute, backward.execute
        self.time: F32 = time.view(np.float32)
        self.spectrum: F32 = spectrum.view(np.float32)
        self.rows = np.zeros((4, stft.bins), dtype=np.float32)
        self._frame_rows = np.zeros((2, stft.window_samples), dtype=np.float32)
        padded_samples = (self.frames - 1) * stft.hop_samples + stft.window_samples
        padded_samples = max(padded_samples, stft.inside.stop)
        self._source, self._current, self._sum, self._normaliser = (
            np.zeros(padded_samples, dtype=np.float32) for _ in range(4)
        )
        self._normaliser[stft.inside] = stft.normaliser[stft.inside]
        if support is not None:
            self._normaliser[stft.inside] *= support

    def to_spectrum(self, first_frame: int, *, extrapolated: bool = True) -> None:
        """Frames of the current sound from ``first_frame`` → ``spectrum``."""
        stft = self.stft
        sound = self._source if extrapolated else self._current
        framing.frame_pairs(sound, stft.window, stft.hop_samples, first_frame, self.time)
        self._to_spectrum()

    def to_time(self, first_frame: int) -> None:
        """``spectrum`` → added to the next sound."""
        stft = self.stft
        self._to_time()
        framing.overlap_pairs(
            self.time, stft.window, stft.hop_samples, first_frame, self._sum, self._frame_rows
        )

    def turn(self, momentum: float = 0.0) -> None:
        """All frames are added: the next sound becomes the current one, extrapolated for ``to_spectrum``.

        The transform is linear, so extrapolating sounds extrapolates their spectra, at a hundredth of the cost.
        """
        framing.extrapolate(self._sum, self._normaliser, self._current, np.float32(momentum), self._source)

    def load(self, audio: F32) -> None:
        """Another sound [sample] becomes the current one; nothing is extrapolated."""
        self._current[self.stft.inside] = audio
        framing.silence_below(self._current, INAUDIBLE)
        self._source[:] = self._current

    def scale(self, factor: float) -> None:
        """Multiply the current sound."""
        self._current *= np.float32(factor)
        self._source[:] = self._current

    @property
    def audio(self) -> F32:
        """A view of the current sound [sample]."""
        return self._current[self.stft.inside]


def _check_window_samples(window_samples: int) -> None:
    if arguments.whole("window_samples", window_samples, 2) % 2:
        raise ValueError(f"a window needs an even number of samples, not {window_samples}")


def _blocks(frames: int, window_samples: int, block_samples: int) -> tuple[int, int]:
    """How many blocks of how many frames: equal, of an even number of frames, the last filled up with silence."""
    largest = max(2, block_samples // window_samples)
    blocks = max(1, -(-frames // largest))
    return blocks, max(2, -(-frames // (2 * blocks)) * 2)
