"""The StereoSampleGAN draft's mapping: Kaiser window of beta 14, magnitudes scaled to 0 … 100, decibels, everything
under -90 dB set to -120, window and hop found from the length and the image's shape; back by Griffin-Lim from a random
phase (one for both channels) under a time-frequency mask. It is the baseline, and sounds like one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dsp.phase import energy_mask, griffin_lim
from dsp.scale import from_image, to_image
from dsp.stft import Stft, shape_for, window

if TYPE_CHECKING:
    from samplegan.representation import Representation

F32 = NDArray[np.float32]
KAISER_BETA = 14.0


class DraftPlan:
    """The transform behind a `draft` representation; for one thread."""

    def __init__(self, spec: Representation) -> None:
        self.spec = spec
        padded = shape_for(spec.length_samples, spec.bands, spec.frames).padded_samples
        self.stft = Stft(padded, window("kaiser", spec.window_samples, beta=KAISER_BETA), spec.hop_samples)
        self.bins = spec.window_samples // 2  # the Nyquist bin goes
        self.widths = np.ones(self.bins, dtype=np.float32)

    def analyse(self, audio: F32) -> F32:
        beyond = self.stft.length_samples - audio.shape[1]
        power = self.stft.power(np.pad(audio, ((0, 0), (0, beyond))))[:, : self.spec.frames, : self.bins]
        return np.ascontiguousarray(to_image(np.sqrt(power)).transpose(0, 2, 1))

    def synthesise(self, image: F32, seed: int) -> F32:
        magnitude = np.zeros((2, self.stft.frames, self.stft.bins), dtype=np.float32)
        magnitude[:, : self.spec.frames, : self.bins] = from_image(image).transpose(0, 2, 1)
        mask = energy_mask(magnitude)
        audio = griffin_lim(magnitude, self.stft, iterations=self.spec.iterations, mask=mask, seed=seed)
        return audio[:, : self.spec.length_samples]
