"""Resampling by a rational factor: linear phase, no delay, exact lengths."""

import math

import numpy as np
from numpy.typing import NDArray

from dsp.kernels import filters

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

PASSBAND = 0.9
STOPBAND_DB = 100.0
_FIT_SHORTFALL_DB = 5.0  # short filters made by Kaiser's fit miss their stopband by almost as much


class Resampler:
    """``up`` samples for every ``down``; the filter is designed once, the object may be shared by threads.

    Output i stands at the time of input ``i * down / up``, so that an impulse stays put; outside the sound
    are zeros. The filter is a sinc under a Kaiser window. With N the lower of the two Nyquist frequencies it
    passes what lies below ``passband * N`` (to 0.0002 dB for 100 dB) and stops what lies above N, images and
    what would fold back, by ``stopband_db``. It reaches ``reach_samples`` input samples to either side: 68
    for 0.9 and 100 dB, times down / up when the rate falls. Sums are in double precision. Equal factors copy.

    Raises ValueError for factors under one, a passband outside 0.5 … 0.99 or a stopband outside 60 … 120 dB.
    """

    def __init__(
        self, up: int, down: int, *, passband: float = PASSBAND, stopband_db: float = STOPBAND_DB
    ) -> None:
        if up < 1 or down < 1:
            raise ValueError(f"a sound is resampled by whole factors of at least 1, not {up} / {down}")
        if not 0.5 <= passband <= 0.99:
            raise ValueError(
                f"the passband is a share of the lower Nyquist frequency, 0.5 to 0.99, not {passband}"
            )
        if not 60.0 <= stopband_db <= 120.0:
            raise ValueError(f"the stopband must be between 60 and 120 dB down, not {stopband_db}")
        common = math.gcd(up, down)
        self.up, self.down = up // common, down // common
        self.passband, self.stopband_db = passband, stopband_db

        # J. F. Kaiser, "Nonrecursive digital filter design using the I0-sinh window function" (1974): the
        # transition, in radians per sample at `up` times the input's rate, gives the length.
        slower = max(self.up, self.down)
        designed_db = stopband_db + _FIT_SHORTFALL_DB
        half_length = (designed_db - 7.95) / (2.0 * 2.285 * math.pi * (1.0 - passband) / slower)
        self.reach_samples = 1 if slower == 1 else math.ceil(half_length / self.up)
        cutoff = 0.5 * (1.0 + passband) / slower if slower > 1 else 1.0
        self._phases = self._design(cutoff, beta=0.1102 * (designed_db - 8.7))

    def __call__(self, audio: F32) -> F32:
        """Shape: float32 [..., sample] → float32 [..., ceil(sample * up / down)].

        Raises ValueError for an array without axes and for values that are not finite.
        """
        audio = np.asarray(audio)
        samples = audio.shape[-1] if audio.ndim else 0
        return self.span(audio, 0, -(-samples * self.up // self.down))

    def span(self, audio: F32, first: int, samples: int) -> F32:
        """The outputs from number ``first`` on, which may stand before the sound (negative) and behind it.

        Shape: float32 [..., sample] → float32 [..., ``samples``]. Raises ValueError as ``__call__`` does.
        """
        audio = np.asarray(audio, dtype=np.float32)
        if audio.ndim == 0:
            raise ValueError("audio must have at least one axis, its samples")
        if not np.all(np.isfinite(audio)):
            raise ValueError("the audio holds values that are not finite")
        if samples < 0:
            raise ValueError(f"there is no span of {samples} samples")
        sounds = audio.reshape(math.prod(audio.shape[:-1]), audio.shape[-1])

        # Row r holds the outputs first + r, first + r + up, …, which all use the same weights.
        position = (first + np.arange(self.up)) * self.down  # in units of 1 / up of an input sample
        phases = self._phases[position % self.up]
        starts = position // self.up - (self.reach_samples - 1)
        origin = int(starts[0])
        columns = -(-samples // self.up)
        stream_samples = (int(starts[-1]) - origin + phases.shape[1] - 1) // self.down + columns
        begin = max(origin, 0)
        end = max(min(origin + stream_samples * self.down, audio.shape[-1]), begin)

        padded = np.zeros((stream_samples, self.down), dtype=np.float32)
        streams = np.empty((self.down, stream_samples), dtype=np.float32)
        rows = np.empty((self.up, columns))
        out = np.empty((sounds.shape[0], columns, self.up), dtype=np.float32)
        for sound, result in zip(sounds, out, strict=True):
            padded.reshape(-1)[begin - origin : end - origin] = sound[begin:end]
            streams[:] = padded.T
            filters.polyphase(streams, phases, starts - origin, rows)
            result[:] = rows.T
        flat = out.reshape(sounds.shape[0], columns * self.up)[:, :samples]
        return np.ascontiguousarray(flat).reshape(*audio.shape[:-1], samples)

    def _design(self, cutoff: float, beta: float) -> F64:
        """The weights [phase, tap]; tap t of phase p weighs the input at t - reach + 1 - p / up.

        ``cutoff``, the middle of the transition, is a share of the Nyquist frequency of ``up`` times the
        input's rate. The window is zero at its very ends, so that the even number of taps is symmetric too.
        """
        tap = np.arange(2 * self.reach_samples) - (self.reach_samples - 1)
        distance = self.up * tap - np.arange(self.up)[:, np.newaxis]
        share = distance / (self.reach_samples * self.up)
        inside = np.abs(share) < 1.0
        window = np.where(inside, np.i0(beta * np.sqrt(np.maximum(1.0 - share**2, 0.0))), 0.0)
        weights = np.sinc(cutoff * distance) * window
        return weights * (self.up / weights.sum())
