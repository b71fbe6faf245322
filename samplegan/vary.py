"""Sounds near one of your own, and sounds between two: encoded by a model, moved among its codes, decoded again.

What a model cannot say of a sound is kept beside its code, as the difference of two images, and fades the further a
variation goes: at amount 0 there is the sound as its image keeps it. Of real kicks that a model never saw, the image of
the code is 2.2 dB off in log spectra, and with the rest 1.0 dB, which is what the image itself loses. (A search for a
better code by gradient lowers the loss by a fifth, brings no sound nearer, and ends where no sound of the model is.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samplegan.audio import one_shot_from, read_audio
from samplegan.categories import category_named
from samplegan.dataset import training_sound
from samplegan.errors import ConfigError
from samplegan.files import sha256_of
from samplegan.render import (
    Draw,
    Existing,
    RenderOptions,
    RenderPlan,
    RenderSummary,
    carry_out,
    plan_render,
    random_generator,
)
from samplegan.roundtrip import category_told_by
from samplegan.store import Model, list_models, load_model

F32 = NDArray[np.float32]

MOST_STEPS = 1000
WITH_ENCODER = ("body-gan",)


@dataclass(frozen=True, eq=False)
class Encoded:
    """A sound as a model sees it."""

    code: F32  # [code_dim]
    image: F32  # [channel, row, frame], of the code
    rest: F32  # [2, row, frame]: what the sound's own image has on top


def encode(model: Model, audio: F32) -> Encoded:
    """A training sound float32 [2, length_samples] as the model sees it: the encoder's mean, and what its image lacks.

    Raises ConfigError for a model without an encoder.
    """
    import torch

    from samplegan.gan.body_gan import Generator

    if not isinstance(model.generator, Generator):
        raise ConfigError(
            f"the model '{model.name}' cannot encode sounds: its architecture, '{model.architecture}', only draws",
            hint="name one of the architecture 'body-gan' with --model",
        )
    image = model.representation.analyse(audio)
    with one_torch_thread(), torch.inference_mode():
        mean, _ = model.generator.encode(torch.from_numpy(image)[None])
        # What the model leaves out of this sound is in `rest`: no residual of other sounds is in its code.
        code: F32 = np.pad(mean.numpy(), ((0, 0), (0, len(model.generator.residual_basis))))
        decoded = model.decode(code)[0]
    return Encoded(code[0], decoded, image - decoded[:2])


def near(model: Model, sound: Encoded, amount: float, random: np.random.Generator) -> F32:
    """An image near a sound: at amount 0 its own, at 1 as far from it as another sound of the model.

    The code turns away from the sound's towards one of the model's own, about the middle of all, so that variations
    are neither more ordinary nor stranger than the sound.
    """
    latent = random.standard_normal((1, model.latent_dim)).astype(np.float32)
    other = model.codes(latent)[0]
    middle = model.codes(latent, 0.0)[0]  # where truncation leads
    kept, given = np.float32(np.sqrt(1.0 - amount**2)), np.float32(amount)
    code = middle + kept * (sound.code - middle) + given * (other - middle)
    return _with_rest(model, code, np.float32((1.0 - amount) ** 2) * sound.rest)


def between(model: Model, first: Encoded, second: Encoded, way: float) -> F32:
    """An image on the way from one sound (0) to another (1): a straight line of codes."""
    share = np.float32(way)
    code = first.code + share * (second.code - first.code)
    return _with_rest(model, code, (1 - share) * first.rest + share * second.rest)


def drawn_near(model: Model, sound: Encoded, amount: float) -> Draw:
    """Variations of a sound."""

    def draw(_number: int, random: np.random.Generator) -> tuple[F32, int]:
        phase_seed = int(random.integers(2**62))
        return near(model, sound, amount, random), phase_seed

    return draw


def drawn_between(model: Model, first: Encoded, second: Encoded, steps: int, seed: int) -> Draw:
    """The sounds from one to another by their number, 1 … `steps`."""

    def draw(number: int, _random: np.random.Generator) -> tuple[F32, int]:
        # One seed of noise for all: from file to file nothing but the way changes.
        phase_seed = int(random_generator(seed, 0, 0).integers(2**62))
        return between(model, first, second, (number - 1) / (steps - 1)), phase_seed

    return draw


def _with_rest(model: Model, code: F32, rest: F32) -> F32:
    image = model.decode(code[np.newaxis].astype(np.float32))[0]
    image[:2] = np.clip(image[:2] + rest, -1.0, 1.0)
    return image


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """A sum split over threads would round differently."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# --- packs of them


@dataclass(frozen=True)
class Job:
    """Files to be made from sounds of one's own."""

    model: Model
    plan: RenderPlan
    draw: Draw
    in_order: bool
    warnings: tuple[str, ...]

    def carry_out(self, *, jobs: int | None, existing: Existing, quiet: bool) -> RenderSummary:
        """Write them, as `samplegan.render` does."""
        return carry_out(
            self.plan,
            self.model,
            jobs=jobs,
            existing=existing,
            quiet=quiet,
            draw=self.draw,
            in_order=self.in_order,
        )


def plan_variations(
    file: Path,
    folder: Path,
    *,
    amount: float,
    count: int,
    model: str | None = None,
    category: str | None = None,
    options: RenderOptions | None = None,
    existing: Existing = Existing.REFUSE,
) -> Job:
    """`count` sounds near the one in `file`. Raises UnreadableAudio, and ConfigError as `plan_render` does."""
    if not 0.0 <= amount <= 1.0:
        raise ConfigError(
            f"--amount must lie between 0 and 1, not {amount:g}",
            hint="0 is the sound itself, 1 as far from it as any other sound of the model",
        )
    chosen = choose_model((file,), model=model, category=category)
    encoded = encode(chosen, _learned(chosen, file))
    source: dict[str, Any] = {"made_by": "vary", "amount": float(amount), "from": [_told(file)]}
    plan = plan_render(chosen, folder, count=count, options=options, existing=existing, made_from=source)
    draw = drawn_near(chosen, encoded, amount)
    return Job(chosen, plan, draw, in_order=False, warnings=_doubts(chosen, file))


def plan_morph(
    first: Path,
    second: Path,
    folder: Path,
    *,
    steps: int,
    model: str | None = None,
    category: str | None = None,
    options: RenderOptions | None = None,
    existing: Existing = Existing.REFUSE,
) -> Job:
    """`steps` sounds from the one in `first` to the one in `second`, both included. Raises as `plan_variations`."""
    if not 2 <= steps <= MOST_STEPS:
        raise ConfigError(
            f"--steps must lie between 2, the two sounds themselves, and {MOST_STEPS}, not {steps}"
        )
    chosen = choose_model((first, second), model=model, category=category)
    begin, end = (encode(chosen, _learned(chosen, file)) for file in (first, second))
    options = options or RenderOptions()
    source: dict[str, Any] = {"made_by": "morph", "steps": steps, "from": [_told(first), _told(second)]}
    plan = plan_render(chosen, folder, count=steps, options=options, existing=existing, made_from=source)
    draw = drawn_between(chosen, begin, end, steps, options.seed)
    return Job(chosen, plan, draw, in_order=True, warnings=_doubts(chosen, first, second))


def choose_model(files: tuple[Path, ...], *, model: str | None = None, category: str | None = None) -> Model:
    """The model of that name; else one that can encode, of the category given or told by the files' names.

    Raises ConfigError if there is none.
    """
    if model is not None:
        return load_model(model)
    try:
        name = category_named(category).name if category else category_told_by(files[0])
    except ConfigError as error:
        raise ConfigError(
            error.what,
            file=error.file,
            hint=error.hint if category else "name a model with --model, or its category with --category",
        ) from error
    able = [
        info
        for info in list_models()
        if info.card["category"] == name and info.card["training"].get("architecture") in WITH_ENCODER
    ]
    if not able:
        raise ConfigError(
            f"no model of the category '{name}' can encode sounds",
            hint="train one with `samplegan train`, or name one with --model",
        )
    # The one that is named like its category is what `render` takes for it.
    return load_model(str(min(able, key=lambda info: info.name != name).path))


def _learned(model: Model, file: Path) -> F32:
    return training_sound(one_shot_from(read_audio(file)), 1.0, model.representation.length_samples)


def _doubts(model: Model, *files: Path) -> tuple[str, ...]:
    """Where a file's name tells another category than the model's."""
    doubts = []
    for file in files:
        with suppress(ConfigError):  # it tells none
            if (told := category_told_by(file)) != model.category:
                doubts.append(
                    f"{file.name} is a {told} by its name, and '{model.name}' makes {model.category}s"
                )
    return tuple(doubts)


def _told(file: Path) -> dict[str, str]:
    """What a manifest says of a source: no path, which is nobody's business."""
    return {"file": file.name, "sha256": sha256_of(file)}
