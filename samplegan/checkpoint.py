"""Saving a training run so that it resumes as if it had never stopped.

One safetensors file holds the networks, their running statistics, both Adam states, the averaged generator and the
step. There is no random state to keep: all that is random in a step follows from (seed, step).
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from samplegan.errors import InputError
from samplegan.files import write_atomic

_METADATA_KEY = "samplegan"


def save_checkpoint(
    path: Path, modules: dict[str, nn.Module], optimisers: dict[str, Optimizer], progress: dict[str, Any]
) -> None:
    """Write a checkpoint, whole or not at all; the one before is replaced only when this one is on the disk."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        for key, tensor in module.state_dict().items():
            tensors[f"{name}/{key}"] = tensor
    for name, optimiser in optimisers.items():
        for index, state in optimiser.state_dict()["state"].items():
            for key, tensor in state.items():
                tensors[f"{name}/{index}/{key}"] = tensor
    # Clones: safetensors refuses tensors that share memory, and insists on plain layout.
    plain = {
        key: tensor.detach().cpu().contiguous(memory_format=torch.contiguous_format).clone()
        for key, tensor in tensors.items()
    }
    write_atomic(path, safetensors.torch.save(plain, {_METADATA_KEY: json.dumps(progress)}))


def load_checkpoint(
    path: Path, modules: dict[str, nn.Module], optimisers: dict[str, Optimizer]
) -> dict[str, Any]:
    """Restore what `save_checkpoint` wrote into the same modules and optimisers; returns the progress.

    Raises InputError if the file is damaged or belongs to another configuration.
    """
    try:
        tensors = safetensors.torch.load_file(path)
        with path.open("rb") as file:
            (header_bytes,) = struct.unpack("<Q", file.read(8))
            progress: dict[str, Any] = json.loads(
                json.loads(file.read(header_bytes))["__metadata__"][_METADATA_KEY]
            )
        for name, module in modules.items():
            module.load_state_dict(
                {key.removeprefix(f"{name}/"): t for key, t in tensors.items() if key.startswith(f"{name}/")}
            )
        for name, optimiser in optimisers.items():
            document = optimiser.state_dict()
            states: dict[int, dict[str, Tensor]] = {}
            for key, tensor in tensors.items():
                if key.startswith(f"{name}/"):
                    index, field = key.removeprefix(f"{name}/").split("/")
                    states.setdefault(int(index), {})[field] = tensor
            optimiser.load_state_dict(document | {"state": states})
    except (safetensors.SafetensorError, OSError, KeyError, ValueError, RuntimeError, struct.error) as error:
        raise InputError(
            "this checkpoint is damaged or belongs to other settings",
            file=path,
            hint="start again with --overwrite",
        ) from error
    return progress
