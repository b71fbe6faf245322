"""A model that needs no training: small, fast and as deterministic as a real one."""

from dataclasses import dataclass, field

import numpy as np

from samplegan.audio import ONSET_SAMPLE, SAMPLE_RATE


@dataclass
class FakeRepresentation:
    length_seconds: float = 0.3
    bands: int = 4
    partials: int = 0

    def synthesise(self, image, *, seed=0):
        if not np.isfinite(image).all() or image[0, 0, 0] == -1:
            return np.zeros((2, round(self.length_seconds * SAMPLE_RATE)), np.float32)
        level, pitch, decay, noise = image[0, 0, :4].astype(np.float64)
        time = (np.arange(round(self.length_seconds * SAMPLE_RATE)) - ONSET_SAMPLE) / SAMPLE_RATE
        body = np.sin(2 * np.pi * 60 * 2 ** (pitch / 3) * time) * np.exp(-time / (0.05 * 2**decay))
        hiss = np.random.default_rng(seed).standard_normal((2, time.size)) * np.exp(-time / 0.02)
        return ((time >= 0) * (0.3 + 0.1 * np.tanh(level)) * (body + 0.1 * abs(noise) * hiss)).astype(
            np.float32
        )


@dataclass
class FakeModel:
    name: str = "fake"
    category: str = "kick"
    architecture: str = "fake"
    sha256: str = "f" * 64
    representation: FakeRepresentation = field(default_factory=FakeRepresentation)
    card: dict = field(default_factory=lambda: {"data": {"licences": {"CC0-1.0": 3}}})
    latent_dim: int = 8
    silent_share: float = 0.0  # of the latents
    wait: float = 0.0
    directions: object = None
    fingerprints: object = None

    def images(self, latents, truncation=1.0):
        import time

        time.sleep(self.wait)
        images = np.tile((latents * np.float32(truncation))[:, None, None, :], (1, 2, 4, 1))
        if self.silent_share and (abs(float(latents[0, 0])) * 1000) % 1 < self.silent_share:
            images[:] = -1
        return images
