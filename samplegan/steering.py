"""Words that a producer would use, as directions among a model's codes: punchier, brighter, longer, noisier, wider.

What every control means is a descriptor of the finished sound, in standard deviations of the model's own sounds. Both
ways to tell it are linear, and learned from some hundreds of those: from a code, which says where to go, and from the
image that it becomes, which says how far it went (of held-out sounds of a kick model it explains 99 % of brightness,
noisiness and 97 % of length, where the code explains 83 to 93 %). A step is followed by a look and by another step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from samplegan.descriptors import Descriptors, describe
from samplegan.errors import ConfigError, InputError
from samplegan.finishing import Unusable, finish

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

LARGEST = 3.0  # of a control, either way
SOUNDS = 400  # that directions are learned from
FEWEST_SOUNDS = 48
LOOKS = 4  # at the image of a steered code
LARGEST_CORRECTION = 1.0  # of any control, after one look
# How freely what was not asked for goes along. Bright kicks are noisy ones: held fast, noisiness would leave
# brightness no natural way to go (a step of 1 moved it by 0.1).
FREEDOM = 0.3
_CODE_RIDGE, _IMAGE_RIDGE = 0.1, 0.01
_CELLS = (8, 16)  # an image, as it is looked at: bands and frames
_MONO_DB = -60.0  # a side below this is not heard


def _log2(value: float, least: float) -> float:
    return math.log2(max(value, least))


CONTROLS: dict[str, Callable[[Descriptors], float]] = {
    "punchy": lambda sound: sound.crest_db,
    "bright": lambda sound: _log2(sound.attack_centroid_hz, 20.0),
    "long": lambda sound: _log2(sound.decay_20_db_s, 0.001),
    "noisy": lambda sound: _log2(sound.flatness, 1e-6),
    "wide": lambda sound: max(sound.width_db, _MONO_DB),
}
"""What each control moves."""


class RepresentationLike(Protocol):
    """What steering needs of a representation."""

    @property
    def bands(self) -> int: ...
    def synthesise(self, image: F32, *, seed: int = 0) -> F32: ...


class ModelLike(Protocol):
    """What steering needs of a model."""

    @property
    def representation(self) -> RepresentationLike: ...
    @property
    def latent_dim(self) -> int: ...
    def codes(self, latents: F32, truncation: float = 1.0) -> F32: ...
    def decode(self, codes: F32) -> F32: ...


@dataclass(frozen=True, eq=False)
class Directions:
    """How a model's codes and images tell its controls.

    code_weights    float64 [code, control]: standard deviations of a control for each unit of a code
    covariance      float64 [code, code], of the model's codes: a step goes where codes vary
    image_weights   float64 [view, control]: likewise, of an image as it is looked at
    """

    controls: tuple[str, ...]
    code_weights: F64
    covariance: F64
    image_weights: F64

    @classmethod
    def fit(cls, codes: F32, images: F32, values: F64, bands: int) -> Self:
        """From sounds of a model: `codes` [sound, code], `images` [sound, channel, row, frame] and `values`
        [sound, control]. Raises ValueError for fewer than 48 sounds.
        """
        if len(codes) < FEWEST_SOUNDS:
            raise ValueError(f"directions need at least {FEWEST_SOUNDS} sounds, not {len(codes)}")
        spread = values.std(axis=0)
        # Where a control does not vary (a model of mono sounds has no width) nothing moves it.
        standard = (values - values.mean(axis=0)) / np.where(spread > 1e-9, spread, np.inf)
        centred = codes.astype(np.float64) - codes.mean(axis=0, dtype=np.float64)
        views = _views(images, bands)
        return cls(
            tuple(CONTROLS),
            _ridge(centred, standard, _CODE_RIDGE),
            centred.T @ centred / len(centred),
            _ridge(views - views.mean(axis=0), standard, _IMAGE_RIDGE),
        )

    @classmethod
    def of_model(
        cls,
        model: ModelLike,
        *,
        sounds: int = SOUNDS,
        seed: int = 0,
        jobs: int = 1,
        progress: Callable[[], None] = lambda: None,
    ) -> Self:
        """From `sounds` of the model's own. The same on any number of `jobs`. Raises InputError if too many of them
        are silent or broken. What `progress`, called after each sound, raises ends it soon.
        """
        random = np.random.default_rng(seed)
        latents = random.standard_normal((sounds, model.latent_dim)).astype(np.float32)
        codes = np.concatenate([model.codes(latent[np.newaxis]) for latent in latents])

        def heard(index: int) -> tuple[F32, list[float]] | None:
            image = model.decode(codes[index : index + 1])[0]
            try:
                sound = describe(finish(model.representation.synthesise(image, seed=index)).audio)
            except (Unusable, InputError):
                return None
            return image, [control(sound) for control in CONTROLS.values()]

        with ThreadPoolExecutor(jobs, initializer=_use_one_torch_thread) as pool:
            found = []
            try:
                for each in pool.map(heard, range(sounds)):
                    found.append(each)
                    progress()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        kept = [index for index, each in enumerate(found) if each is not None]
        if len(kept) < FEWEST_SOUNDS:
            raise InputError(f"only {len(kept)} of {sounds} sounds of this model can be heard")
        images, values = zip(*(each for each in found if each is not None), strict=True)
        return cls.fit(codes[kept], np.stack(images), np.array(values), model.representation.bands)

    def steered(self, model: ModelLike, code: F32, wanted: Mapping[str, float]) -> F32:
        """A code [code_dim] moved until its controls lie `wanted` standard deviations from where they were.

        Controls that are not asked for may go along a little. Nothing asked for: the same code.
        """
        asked = [self.controls.index(name) for name, amount in wanted.items() if amount]
        if not asked:
            return code
        amounts = np.array([wanted[self.controls[index]] for index in asked])
        step = self._step(asked, amounts)
        began = self._seen(model, code)
        target = began + self.code_weights.T @ step
        target[asked] = began[asked] + amounts
        correction = self._correction()
        here = code.astype(np.float64) + step
        best = (math.inf, here)
        for look in range(LOOKS):
            missing = target - self._seen(model, here)
            best = min(best, (float(missing @ missing), here), key=lambda each: each[0])
            if look < LOOKS - 1:
                here = here + correction @ np.clip(missing, -LARGEST_CORRECTION, LARGEST_CORRECTION)
        return best[1].astype(np.float32)

    def tensors(self) -> dict[str, NDArray]:
        """What a model file keeps."""
        return {
            "code_weights": self.code_weights.astype(np.float32),
            "covariance": self.covariance.astype(np.float32),
            "image_weights": self.image_weights.astype(np.float32),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray], controls: tuple[str, ...]) -> Self:
        """The inverse of `tensors`. Raises ValueError for arrays that do not fit together."""
        code, covariance, image = (
            np.asarray(tensors[name], np.float64) for name in ("code_weights", "covariance", "image_weights")
        )
        shapes = [each.shape for each in (code, covariance, image)]
        if shapes[:2] != [(len(code), len(controls)), (len(code), len(code))] or image.shape[1:] != (
            len(controls),
        ):
            raise ValueError(f"directions of the shapes {shapes} do not fit {len(controls)} controls")
        return cls(controls, code, covariance, image)

    def _step(self, asked: list[int], amounts: F64) -> F64:
        """The step in likely directions that moves what is asked by `amounts` and the others little [code].

        The smallest dᵀC⁻¹d + |Wᵤᵀd|² / FREEDOM with Wₐᵀd = amounts; C the codes' covariance, Wₐ and Wᵤ the weights of
        what is asked and of what is not.
        """
        covariance = self.covariance
        other = np.delete(self.code_weights, asked, axis=1)
        along = covariance @ other
        held = covariance - along @ np.linalg.solve(
            other.T @ along + FREEDOM * np.eye(other.shape[1]), along.T
        )
        weights = self.code_weights[:, asked]
        return held @ weights @ (np.linalg.pinv(weights.T @ held @ weights) @ amounts)

    def _correction(self) -> F64:
        """Steps that move one control each and no other, [code, control]."""
        along = self.covariance @ self.code_weights
        return along @ np.linalg.pinv(self.code_weights.T @ along)

    def _seen(self, model: ModelLike, code: NDArray) -> F64:
        image = model.decode(code.astype(np.float32)[np.newaxis])
        return (_views(image, model.representation.bands) @ self.image_weights)[0]


def require_steerable(directions: Directions | None, wanted: Mapping[str, float], name: str) -> None:
    """Raise ConfigError for controls out of range, and for a model that has not learned them."""
    for control, amount in wanted.items():
        if not abs(amount) <= LARGEST:
            raise ConfigError(f"--{control} must lie between {-LARGEST:g} and {LARGEST:g}, not {amount:g}")
    asked = [control for control, amount in wanted.items() if amount]
    if not asked:
        return
    if directions is None:
        raise ConfigError(
            f"the model '{name}' was made without controls, and --{asked[0]} needs them",
            hint="train it again with this version",
        )
    for control in asked:
        if (
            control not in directions.controls
            or not directions.code_weights[:, directions.controls.index(control)].any()
        ):
            raise ConfigError(f"the sounds of the model '{name}' do not differ in what --{control} moves")


def _views(images: F32, bands: int) -> F64:
    """Images [sound, channel, row, frame] as they are looked at, [sound, view]: level and the second channel (width, or
    the right) in coarse cells, and tracks in coarse frames.
    """
    images64: F64 = images.astype(np.float64)
    rows, frames = _CELLS
    planes = [
        _pooled(images64[:, 0, :bands], rows, frames),
        _pooled(images64[:, 1, :bands], rows // 2, frames // 2),
    ]
    tracks = images64.shape[2] - bands
    if tracks:
        planes += [_pooled(images64[:, channel, bands:], tracks, frames) for channel in (0, 1)]
    return np.concatenate(planes, axis=1)


def _pooled(plane: F64, rows: int, frames: int) -> F64:
    sounds, height, width = plane.shape
    return (
        plane.reshape(sounds, rows, height // rows, frames, width // frames)
        .mean(axis=(2, 4))
        .reshape(sounds, -1)
    )


def _ridge(inputs: F64, outputs: F64, strength: float) -> F64:
    """Weights [input, output] of a linear prediction; `strength` is relative to the inputs' mean variance."""
    sounds, dimensions = inputs.shape
    energy = max(float(np.square(inputs).sum()), 1e-9)  # where nothing varies, nothing is told
    if sounds < dimensions:  # the same by the smaller matrix
        kernel = inputs @ inputs.T
        return inputs.T @ np.linalg.solve(kernel + strength * energy / sounds * np.eye(sounds), outputs)
    matrix = inputs.T @ inputs
    return np.linalg.solve(matrix + strength * energy / dimensions * np.eye(dimensions), inputs.T @ outputs)


def _use_one_torch_thread() -> None:
    import torch

    torch.set_num_threads(1)
