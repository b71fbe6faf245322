"""Real-time iterative spectrogram inversion: one pass through the sound, frame after frame."""

from collections.abc import Callable, Sequence

import numpy as np
import pyfftw
from numpy.typing import NDArray

from dsp.kernels import framing, rtisi
from dsp.phase.loops import check_count, check_planes, check_support, checked_magnitude
from dsp.phase.starts import random_phase
from dsp.stft import PLANNER, Stft

F32 = NDArray[np.float32]

# A sample that only the foot of the newest window covers says little; amplified to full height it would be noise.
# Between 0.1 and 0.003 the spectral convergence changes by 2 dB or less (without look-ahead by 3).
SMALLEST_SHARE = np.float32(0.03)

# A new frame starts from what the frames before it left in its place. Where that is next to nothing, before the first
# sound and in bins without any, chance decides: a phase of this weight. From 1e-5 down the weight makes no difference;
# 0.01 costs kicks 4 dB (Hann) to 13 dB (Kaiser 14).
RANDOM_SHARE = np.float32(1e-6)


def rtisi_la(
    magnitude: F32,
    stft: Stft,
    *,
    iterations: int = 8,
    look_ahead_frames: int = 3,
    mask: F32 | None = None,
    support: NDArray | None = None,
    start_phase: F32 | None = None,
    seed: int | Sequence[int] = 0,
) -> F32:
    """Sounds whose spectra have nearly the given magnitudes, found from the first frame to the last: real-time
    iterative spectrogram inversion with look-ahead.

    A frame enters with the phase that the frames before it suggest, is improved together with the
    ``look_ahead_frames`` that follow it, and is then committed for good (Zhu, Beauregard & Wyse 2007; without
    look-ahead Beauregard, Zhu & Wyse 2005). A phase found at the onset is carried through the whole decay. On
    kicks that is 4 dB (Hann 1024/256) or 14 dB (Kaiser 14, 512/128) better than as many iterations of fast
    Griffin-Lim over the whole sound from a random start; on snares it is 3 dB worse or 1 dB better.

    The sound before a new frame fades out inside it. It enters, as in the paper, under the mirrored fade as an
    analysis window, which makes the product of both symmetric. Then the frames that are there count as a whole sound:
    their overlap-add is divided by their own sum of squared windows (the least-squares inverse of Griffin & Lim 1984)
    where the paper keeps to a second fixed window for the newest frame. For windows whose squares do not add up to a
    constant, such as Kaiser's at a hop of a quarter, this gains 11 dB on kicks and 2 dB on snares, for Hann's 2 dB on
    kicks.

    magnitude          float32 [batch, frame, bin], as of ``stft.forward``
    iterations         for each committed frame. A frame is worked on ``iterations · (look_ahead_frames + 1)`` times;
                       with 0 it keeps the phase with which it entered
    look_ahead_frames  0 is plain RTISI
    mask               [frame, bin] or [batch, frame, bin], multiplies the target magnitude
    support            [sample], 0 … 1: where the sound may be other than zero, such as not before the onset
    start_phase        radians [frame, bin] or [batch, frame, bin], with which frames enter, instead of the phase that
                       the frames before them suggest; from ``pghi`` it helps snares (Hann, 2 dB) and harms kicks (3 to
                       13 dB)
    seed               of the phase where nothing suggests one: one number for all sounds, or one for each

    Shape: → float32 [batch, sample]. A sound's result does not depend on the rest of its batch.
    """
    magnitude = checked_magnitude(magnitude, stft, axes=3)
    batch = magnitude.shape[0]
    check_count("iterations", iterations)
    check_count("look_ahead_frames", look_ahead_frames)
    check_planes(magnitude, mask=mask, start_phase=start_phase)
    check_support(support, stft)
    if not isinstance(seed, int | np.integer) and len(seed) != batch:
        raise ValueError(f"{len(seed)} seeds for {batch} sounds; give one number or one per sound")
    buffer = _Buffer(stft, look_ahead_frames + 1, support)
    audio = np.empty((batch, stft.length_samples), dtype=np.float32)
    for sound in range(batch):
        target = magnitude[sound] if mask is None else magnitude[sound] * _of(mask, sound)
        if start_phase is not None:
            phase = _of(start_phase, sound)
        else:
            own_seed = seed if isinstance(seed, int | np.integer) else seed[sound]
            phase = random_phase(target.shape, int(own_seed))
        audio[sound] = buffer.invert(target, phase, iterations, given=start_phase is not None)
    return audio


class _Buffer:
    """The frames that are still being worked on, the committed sound, and their plans. For one thread.

    Before the first frame and after the last stand silent ones, so that every step sees as many rows. Everything that
    is overlap-added is ``window_samples`` times too large, as FFTW leaves it; the normaliser undoes it.
    """

    def __init__(self, stft: Stft, rows: int, support: NDArray | None) -> None:
        self.stft = stft
        self.rows = rows
        self.target = np.zeros((stft.frames + 2 * (rows - 1), stft.bins), dtype=np.float32)
        before = (rows - 1) * stft.hop_samples
        span = before + stft.window_samples
        padded_samples = (stft.frames + rows - 2) * stft.hop_samples + span
        self.inside = slice(before + stft.inside.start, before + stft.inside.stop)
        self.normaliser, self.weight, self.overlap, self.committed = (
            np.zeros(padded_samples, dtype=np.float32) for _ in range(4)
        )
        self.normaliser[self.inside] = stft.normaliser[stft.inside]
        self.weight[:] = self.normaliser
        if support is not None:
            self.weight[self.inside] *= np.asarray(support, dtype=np.float32)
        self.sound, self.gain = (np.zeros(span, dtype=np.float32) for _ in range(2))
        self.entry_window = mirrored_fade(stft.window, stft.hop_samples)
        self.frame_overlap = stft.window**2 * np.float32(stft.window_samples)
        self.frames, self.spectra, self.to_spectra, self.to_frames = _plans(rows, stft.window_samples)
        self.newest, self.spectrum, self.to_spectrum, self.to_newest = _plans(1, stft.window_samples)

    def invert(self, target: F32, phase: F32, iterations: int, *, given: bool) -> F32:
        """The sound of one target [frame, bin]. ``given``: frames enter with that phase; else it is a last resort."""
        stft, look_ahead = self.stft, self.rows - 1
        hop, window = stft.hop_samples, stft.window
        self.target[look_ahead : look_ahead + stft.frames] = target
        for values in (self.frames, self.committed, self.overlap):
            values[:] = 0.0
        for step in range(stft.frames + look_ahead):
            span = slice(step * hop, step * hop + self.sound.shape[0])
            committed, overlap, weight = self.committed[span], self.overlap[span], self.weight[span]
            wanted = self.target[step : step + self.rows]
            self.frames[:-1] = self.frames[1:]
            self.frames[-1] = 0.0
            enters = step < stft.frames
            if enters:
                overlap[-stft.window_samples :] += self.frame_overlap
            if not wanted.any():
                continue  # silent frames stay silent
            if enters:
                self._enter(committed, weight, wanted[-1:], phase[step], given)
            rtisi.partial_gain(overlap, self.normaliser[span], weight, SMALLEST_SHARE, self.gain)
            for _ in range(iterations):
                rtisi.lay_over(self.frames, committed, window, hop, self.gain, self.sound)
                framing.frame_real(self.sound, window, hop, 0, self.frames)
                self.to_spectra()
                rtisi.project(self.spectra, wanted)
                self.to_frames()
            framing.overlap_real(self.frames[:1], window, hop, 0, committed)
        return self.committed[self.inside] * self.weight[self.inside]

    def _enter(self, committed: F32, weight: F32, wanted: F32, phase: F32, given: bool) -> None:
        """Fill the newest row, which is still silent."""
        stft = self.stft
        if given:
            self.spectrum[:] = 0.0
            rtisi.add_phasors(self.spectrum[0], np.float32(1.0), wanted[0], phase)
        else:
            rtisi.lay_over(self.frames, committed, stft.window, stft.hop_samples, weight, self.sound)
            place = self.sound[-stft.window_samples :]
            framing.frame_real(place, self.entry_window, stft.hop_samples, 0, self.newest)
            self.to_spectrum()
            rtisi.add_phasors(self.spectrum[0], RANDOM_SHARE, wanted[0], phase)
            rtisi.project(self.spectrum, wanted)
        self.to_newest()
        self.frames[-1] = self.newest[0]


def mirrored_fade(window: F32, hop_samples: int) -> F32:
    """The analysis window of a frame that enters: how the frames before it fade out inside it, backwards.

    The fade is their share of the sum of squared windows. Shape: float32 [sample], about the window's own centre.
    """
    size = window.shape[0]
    position = np.arange(size + 1)
    earlier = np.zeros(size + 1)
    everything = np.zeros(size + 1)
    for shift in range(-(size // hop_samples) * hop_samples, size + 1, hop_samples):
        inside = (position + shift >= 0) & (position + shift < size)
        everything[inside] += window[position[inside] + shift].astype(np.float64) ** 2
        if shift > 0:
            earlier[inside] += window[position[inside] + shift].astype(np.float64) ** 2
    fade = np.divide(earlier, everything, out=np.zeros(size + 1), where=everything > 0.0)
    return fade[:0:-1].astype(np.float32)


def _plans(rows: int, size: int) -> tuple[F32, F32, Callable[[], None], Callable[[], None]]:
    """Frames [row, sample], their flat spectra [row, 2·bin], and what transforms the one into the other and back.

    pyFFTW itself lets one thread plan at a time.
    """
    frames = pyfftw.zeros_aligned((rows, size), dtype=np.float32)
    spectra = pyfftw.zeros_aligned((rows, size // 2 + 1), dtype=np.complex64)
    forward = pyfftw.FFTW(frames, spectra, axes=(1,), flags=(PLANNER,))
    backward = pyfftw.FFTW(
        spectra, frames, axes=(1,), direction="FFTW_BACKWARD", flags=(PLANNER, "FFTW_DESTROY_INPUT")
    )
    return frames, spectra.view(np.float32), forward.execute, backward.execute


def _of(plane: F32, sound: int) -> F32:
    plane = np.asarray(plane, dtype=np.float32)
    return plane if plane.ndim == 2 else plane[sound]
