"""Synthesised sounds as a folder of WAV files with a manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from samplegan import files
from samplegan.categories import category_named
from samplegan.errors import ConfigError

LARGEST_SEED = 2**63 - 1


def write_pack(
    category: str,
    count: int,
    seed: int,
    folder: Path,
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Path]:
    """Write `count` one-shots as 24-bit WAV files and MANIFEST.json; returns the WAV files.

    `progress` is called with the number of sounds done. Raises ConfigError if the folder holds anything
    and `overwrite` is not set (files of other names stay then); MachineError if the disk refuses.
    """
    # Here, since `synth` imports this module, and sounds alone need no file formats.
    from samplegan import synth
    from samplegan.audio import wav_bytes

    category_named(category)
    if count < 1:
        raise ConfigError(f"cannot make {count} sounds", hint="ask for 1 or more")
    if not 0 <= seed <= LARGEST_SEED:
        raise ConfigError(f"--seed must lie between 0 and {LARGEST_SEED}, not {seed}")
    if folder.exists() and not folder.is_dir():
        raise ConfigError("not a folder", file=folder, hint="name a new or empty folder")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise ConfigError(
            "the folder is not empty", file=folder, hint="choose an empty folder, or overwrite it on purpose"
        )
    digits = max(4, len(str(count)))
    paths, entries = [], []
    for index in range(count):
        drawn = synth.parameters(category, seed, index)
        name = f"{category}_{drawn['style']}_{index + 1:0{digits}d}.wav"
        info = {"title": name.removesuffix(".wav"), "software": "samplegan", "comment": f"seed {seed}"}
        files.write_atomic(folder / name, wav_bytes(synth.synthesise(category, seed, index), info))
        paths.append(folder / name)
        entries.append(
            {"file": name, "seed": seed, "index": index, "style": drawn["style"], "parameters": drawn}
        )
        progress(index + 1)
    files.write_json(
        folder / "MANIFEST.json", {"category": category, "seed": seed, "count": count, "sounds": entries}
    )
    return paths
