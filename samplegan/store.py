"""Where models live, and how they are kept: safetensors with one metadata key of sorted JSON.

A model is named by a path, by the name of one that the user trained, or by the name of a bundled one, looked up in
that order. Nothing here unpickles.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from samplegan.categories import category_named
from samplegan.config import Training, from_document
from samplegan.errors import ConfigError, InputError, SampleganError, did_you_mean
from samplegan.files import sha256_of, write_atomic
from samplegan.representation import Representation

if TYPE_CHECKING:
    from torch import Tensor

    from samplegan.gan import AnyGenerator
    from samplegan.gates import Fingerprints
    from samplegan.steering import Directions

F32 = NDArray[np.float32]
FORMAT_VERSION = 1
_METADATA_KEY = "samplegan"
STEERING, FINGERPRINTS = (
    "steering.",
    "fingerprints.",
)  # before the names of tensors that are not the generator's
SCALES = "scales."
IN_BYTES = ("encoder.", "principal.", "residual_basis")  # of names
_LARGEST_HEADER_BYTES = 4_000_000
_DAMAGED = "this is no samplegan model, or it is damaged or was made by another version"
_COPY_AGAIN = "train it again, or copy it again"
BUNDLED_FOLDER = Path(__file__).parent / "weights"


def home_folder() -> Path:
    """The user's own samplegan folder: $SAMPLEGAN_HOME, else where the system keeps such data."""
    if chosen := os.environ.get("SAMPLEGAN_HOME"):
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("samplegan", appauthor=False))


def models_folder() -> Path:
    """Where trained models are kept."""
    return home_folder() / "models"


def runs_folder() -> Path:
    """Where training runs keep their checkpoints, logs and previews."""
    return home_folder() / "runs"


def check_model_name(name: str) -> None:
    """Raise ConfigError unless `name` can be a file name everywhere."""
    plain = all(c.isascii() and (c.isalnum() or c in "-_") for c in name)
    if not plain or not 1 <= len(name) <= 64 or name.startswith("-"):
        raise ConfigError(
            f"'{name}' cannot be a model's name",
            hint="use up to 64 letters, digits, '_' and (not first) '-', for example --name mykick",
        )


@dataclass(frozen=True)
class ModelInfo:
    """A model that was found, not loaded: its card says what it is."""

    name: str
    path: Path
    bundled: bool
    card: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Model:
    """A generator with everything that a render needs to know."""

    name: str
    category: str
    architecture: str
    sha256: str
    representation: Representation
    card: dict[str, Any]
    generator: AnyGenerator
    directions: Directions | None = None  # of its controls
    fingerprints: Fingerprints | None = None  # of its training sounds

    @property
    def latent_dim(self) -> int:
        """How many numbers make one sound."""
        return self.generator.latent_dim

    def codes(self, latents: F32, truncation: float = 1.0) -> F32:
        """Standard normal latents [n, latent_dim] to codes [n, code_dim]; `truncation` scales them to their mean."""
        import torch

        with torch.inference_mode():
            codes: F32 = self.generator.codes(torch.from_numpy(latents), truncation).numpy()
            return codes

    def decode(self, codes: F32) -> F32:
        """Codes [n, code_dim] to images [n, channel, row, frame]."""
        import torch

        with torch.inference_mode():
            images: F32 = self.generator.decode(torch.from_numpy(codes)).numpy()
            return images

    def images(self, latents: F32, truncation: float = 1.0) -> F32:
        """Latents [n, latent_dim] to images [n, channel, row, frame]."""
        return self.decode(self.codes(latents, truncation))


def save_model(
    path: Path,
    generator: AnyGenerator,
    card: dict[str, Any],
    *,
    directions: Directions | None = None,
    fingerprints: Fingerprints | None = None,
) -> None:
    """Write a generator, its card and what is known of it, whole or not at all; the same model gives the same bytes.

    Weights are kept as 16-bit numbers: their rounding is far below what training left to chance. Matrices of an
    encoder, which no rendering needs, principal components and images of residuals are kept in 8 bits, with a scale for
    each row.
    """
    import safetensors.torch
    import torch

    tensors: dict[str, Tensor] = {}
    for name, tensor in generator.state_dict().items():
        value = tensor.detach().cpu().contiguous()
        if name.startswith(IN_BYTES) and value.ndim > 1 and len(value):
            tensors |= _in_bytes(name, value)
        else:
            tensors[name] = value.half() if value.is_floating_point() else value
    for prefix, known in ((STEERING, directions), (FINGERPRINTS, fingerprints)):
        if known is not None:
            tensors |= {prefix + name: torch.from_numpy(value) for name, value in known.tensors().items()}
    if directions is not None:
        card = card | {"controls": list(directions.controls)}
    document = json.dumps(card | {"format_version": FORMAT_VERSION}, sort_keys=True)
    # One metadata key only: several are written in an order that differs between processes.
    write_atomic(path, safetensors.torch.save(tensors, {_METADATA_KEY: document}))


def read_card(path: Path) -> dict[str, Any]:
    """The card inside a model file. Raises InputError if this is not a model of ours."""
    return (
        _read_card(path, path.stat().st_mtime_ns)
        if path.is_file()
        else _refuse(path, "there is no such file")
    )


@dataclass(frozen=True)
class _Card:
    """What every card must hold."""

    name: str
    category: str
    representation: Representation


@functools.lru_cache(maxsize=64)
def _read_card(path: Path, _modified_ns: int) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            (header_bytes,) = struct.unpack("<Q", file.read(8))
            if header_bytes > _LARGEST_HEADER_BYTES:
                _refuse(path, "its header is impossibly large")
            header = json.loads(file.read(header_bytes))
        # What is no number (NaN) becomes null, so that the card can be printed as JSON.
        card: dict[str, Any] = json.loads(
            header["__metadata__"][_METADATA_KEY], parse_constant=lambda _name: None
        )
        version = card.get("format_version") if isinstance(card, dict) else None
    except SampleganError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError, struct.error) as error:
        raise InputError(_DAMAGED, file=path, hint=_COPY_AGAIN) from error
    if version != FORMAT_VERSION:
        _refuse(path, f"its format is version {version}, this program reads {FORMAT_VERSION}")
    try:
        from_document(_Card, {key: card[key] for key in ("name", "category", "representation")})
        category_named(card["category"])
    except (KeyError, ConfigError) as error:
        raise InputError(_DAMAGED, file=path, hint=_COPY_AGAIN) from error
    return card


def _refuse(path: Path, reason: str) -> Any:
    raise InputError(f"cannot use this model: {reason}", file=path)


def list_models() -> list[ModelInfo]:
    """Every model that a name can stand for, user's first; a user's model hides a bundled one of the same name."""
    found: dict[str, ModelInfo] = {}
    for folder, bundled in ((models_folder(), False), (BUNDLED_FOLDER, True)):
        for path in sorted(folder.glob("*.safetensors")):
            if path.stem not in found:
                try:
                    found[path.stem] = ModelInfo(path.stem, path, bundled, read_card(path))
                except InputError:
                    continue  # a damaged file is named when it is asked for, not in every list
    return list(found.values())


def find_model(name_or_path: str) -> Path:
    """The file that a name or a path stands for. Raises ConfigError, naming the nearest name."""
    path = Path(name_or_path).expanduser()
    if path.suffix == ".safetensors" or "/" in name_or_path or os.sep in name_or_path:
        if not path.is_file():
            raise ConfigError("there is no such model file", file=path)
        return path
    for folder in (models_folder(), BUNDLED_FOLDER):
        candidate = folder / f"{name_or_path}.safetensors"
        if candidate.is_file():
            return candidate
    names = [model.name for model in list_models()]
    raise ConfigError(
        f"there is no model named '{name_or_path}'",
        hint=did_you_mean(name_or_path, "models", names)
        if names
        else "train one with `samplegan train packs/kicks`",
    )


def load_model(name_or_path: str) -> Model:
    """Load a model, ready to render.

    Raises ConfigError if there is none of that name, InputError if the file is damaged or of another version.
    """
    import safetensors.torch

    from samplegan.gan import build_generator
    from samplegan.gates import Fingerprints
    from samplegan.steering import Directions

    path = find_model(name_or_path)
    card = read_card(path)
    try:
        category_named(card["category"])
        representation = Representation.from_document(card["representation"])
        training = _training(card["training"])
        generator = build_generator(training, representation)
        tensors = safetensors.torch.load_file(path)
        steering, known = _taken(tensors, STEERING), _taken(tensors, FINGERPRINTS)
        generator.load_state_dict(_out_of_bytes(tensors))
        name = str(card["name"])
        directions = Directions.from_tensors(steering, tuple(card["controls"])) if steering else None
        fingerprints = Fingerprints.from_tensors(known) if known else None
    except (safetensors.SafetensorError, KeyError, ValueError, ConfigError, RuntimeError, OSError) as error:
        raise InputError(_DAMAGED, file=path, hint=_COPY_AGAIN) from error
    generator.eval().requires_grad_(False)
    return Model(
        name=name,
        category=card["category"],
        architecture=training.architecture,
        sha256=sha256_of(path),
        representation=representation,
        card=card,
        generator=generator,
        directions=directions,
        fingerprints=fingerprints,
    )


def _in_bytes(name: str, value: Tensor) -> dict[str, Tensor]:
    """A matrix [row, …] as int8, and the scale of every row."""
    rows = value.float().flatten(1)
    scale = (rows.abs().amax(dim=1, keepdim=True) / 127.0).clamp(min=1e-7).half()
    # The scale is rounded first: what is kept fits the scale that is kept.
    whole = (rows / scale.float()).round().clamp(-127, 127).char()
    return {name: whole.reshape(value.shape), SCALES + name: scale[:, 0]}


def _out_of_bytes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `_in_bytes`, for all that were."""
    scales = {
        name.removeprefix(SCALES): tensors.pop(name) for name in list(tensors) if name.startswith(SCALES)
    }
    for name, scale in scales.items():
        rows = tensors[name].float()
        tensors[name] = rows * scale.float().reshape(-1, *(1,) * (rows.ndim - 1))
    return tensors


def _taken(tensors: dict[str, Any], prefix: str) -> Mapping[str, NDArray]:
    """Those whose names begin with `prefix`, taken out of the others."""
    names = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors.pop(name).numpy() for name in names}


def _start(card: dict[str, Any]) -> str:
    start = card.get("started_from")
    return f"| started from | `{start['name']}` (`{start['sha256'][:16]}`) |\n" if start else ""


def _halvings(card: dict[str, Any]) -> str:
    times = card.get("rates_halved", 0)
    return (
        f"| divergence | rates were halved {'once' if times == 1 else f'{times} times'} |\n" if times else ""
    )


def _held_out(metrics: dict[str, float]) -> str:
    words = {"held_out_mmd": "MMD", "held_out_coverage": "coverage"}
    return "\n".join(
        f"| held-out {word} of coarse images | {metrics[key]} (training sounds: {metrics[f'{key}_of_training']}) |"
        for key, word in words.items()
        if key in metrics
    )


def _training(document: dict[str, Any]) -> Training:
    """A model's settings; how an earlier version trained it, with keys that are gone since, is of no concern."""
    known = {entry.name for entry in dataclasses.fields(Training)}
    return from_document(Training, {key: value for key, value in document.items() if key in known})


def model_card(card: dict[str, Any]) -> str:
    """The card as a page of Markdown."""
    data, metrics, training = card["data"], card["metrics"], card["training"]
    licences = ", ".join(f"{count} {licence}" for licence, count in data["licences"].items())
    return f"""# {card["name"]}

A `{training["architecture"]}` model of the category `{card["category"]}`, made with samplegan {card["version"]}.

| | |
|---|---|
| training sounds | {data["training_sounds"]} of {data["kits"]} kits ({data["held_out_sounds"]} more held out) |
| licences | {licences} |
| data fingerprint | `{data["fingerprint"]}` |
| playback speeds learned | {", ".join(str(speed) for speed in card["speeds"])} |
{_start(card)}| steps | {card["steps"]} of {training["batch"]} sounds, seed {training["seed"]} |
{_halvings(card)}| time | {card["seconds"] / 60:.0f} minutes |
{_held_out(metrics)}

All settings are in the file itself: `samplegan models --json`.
"""
