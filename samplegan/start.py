"""What a training starts with: the pack that a folder of sounds stands for, and the weights that it goes on from."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

from samplegan import config, store
from samplegan.audio import find_audio_files
from samplegan.categories import CATEGORIES, category_named
from samplegan.config import Pack, Training
from samplegan.errors import ConfigError
from samplegan.representation import Representation

_MIXED_SHARE, _MIXED_FILES = 0.1, 5  # of the files, from which a second category is no accident
_FEW_FILES = 1000  # in a plain folder of fewer, each is also learned faster and slower
_MANY_SPEEDS = (0.85, 0.92, 1.0, 1.08, 1.17)
_SPEEDS = (0.92, 1.0, 1.08)  # where synthesised sounds add to the variety
_SYNTH_SHARE = 0.5  # of what is learned from, beside such a folder; docs/architecture.md has the figures
MOST_SYNTH_SHARE = 0.9
# Kits of percussion differ in kind: further aside than this from both new sounds are like those of neither.
_ASIDE = {"perc": 0.5}


def resolve_pack(
    source: Path, *, name: str | None, category: str | None, synth_share: float | None = None
) -> tuple[Pack, Path]:
    """The pack that `source` stands for (a pack.yaml, a folder with one, or a folder of audio) and its folder.

    A folder of fewer than 1,000 sounds has too few kits to tell what other kits are like: each is also learned at other
    playback speeds, and `synth_share` of what is learned from (0 to 0.9; left out: half, where the category is told
    and not guessed) is synthesised. Raises ConfigError.
    """
    if synth_share is not None and not 0.0 <= synth_share <= MOST_SYNTH_SHARE:
        raise ConfigError(f"--synth-share must be from 0 to {MOST_SYNTH_SHARE:g}")
    source = source.expanduser()
    if not source.exists():
        raise ConfigError(
            "there is no such folder",
            file=source,
            hint="give a folder of audio files, or a pack definition such as packs/kicks",
        )
    if source.is_file() or (source / config.PACK_FILE).is_file():
        pack = config.load_pack(source)
        if synth_share is not None:
            raise ConfigError(
                "--synth-share is for a folder of audio, and this is a pack definition",
                file=source,
                hint="write its `synth` source with the `count` that you want",
            )
        if category is not None:
            category_named(category)
            pack = dataclasses.replace(pack, category=category)
        return pack, source.parent if source.is_file() else source
    told = category or guess_category(source.resolve().name) or guess_category(name or "")
    meant = category_named(told or "perc").name
    files = find_audio_files(source)
    if category is None:
        _require_one_category(source, files)
    few = len(files) < _FEW_FILES
    if synth_share is None:
        synth_share = _SYNTH_SHARE if few and told is not None else 0.0
    sources = [config.Source(folder=str(source.resolve()))]
    if count := round(len(files) * synth_share / (1.0 - synth_share)):
        sources.append(config.Source(synth=meant, count=count, hold_out=False))
    speeds: tuple[float, ...] = (1.0,)
    if few:
        speeds = _SPEEDS if count else _MANY_SPEEDS
    training = Training(aside=_ASIDE.get(told or "", Training.aside))
    return Pack(category=meant, sources=tuple(sources), speeds=speeds, training=training), source


def guess_category(words: str) -> str | None:
    """The category that a folder's name speaks of.

    >>> guess_category("Vinyl Kicks"), guess_category("open-hats"), guess_category("misc")
    ('kick', 'hat_open', None)
    """
    text = words.lower().replace("-", "_").replace(" ", "_")
    for key in (*CATEGORIES, *(c.plural for c in CATEGORIES.values())):
        if key in text:
            return next(c.name for c in CATEGORIES.values() if key in (c.name, c.plural))
    if "hat" in text or "hh" in text.split("_"):
        return "hat_open" if "open" in text else "hat_closed"
    spoken = {
        "bd": "kick",
        "bassdrum": "kick",
        "sd": "snare",
        "crash": "cymbal",
        "ride": "cymbal",
        "rim": "perc",
    }
    return next((category for word, category in spoken.items() if word in text.split("_")), None)


def _require_one_category(folder: Path, files: list[Path]) -> None:
    """Raise ConfigError if the names of a folder's files and subfolders tell of several categories."""
    told = Counter(guess_category("/".join(file.relative_to(folder).parts)) for file in files)
    kinds = {
        kind: number
        for kind, number in told.most_common()
        if kind is not None and number >= max(_MIXED_FILES, _MIXED_SHARE * len(files))
    }
    if len(kinds) > 1:
        counts = ", ".join(
            f"{number} {CATEGORIES[kind].plural.replace('_', ' ')}" for kind, number in kinds.items()
        )
        raise ConfigError(
            f"this folder seems to hold several categories: {counts}",
            file=folder,
            hint="train one category at a time, each from a folder of its own; --category kick takes all as kicks",
        )


def starting_model(training: Training, category: str, representation: Representation) -> store.Model | None:
    """The model whose weights a training begins with.

    None for 'nothing', and where the bundled model of the category (if there is one) draws otherwise. Raises
    ConfigError for a model that is asked for by name and draws otherwise, or does not exist.
    """
    name = training.start_from
    if name == "nothing":
        return None
    if name == "bundled":
        path = store.BUNDLED_FOLDER / f"{category}.safetensors"
        if not path.is_file():
            return None
        name = str(path)
    card = store.read_card(store.find_model(name))
    shape = (
        "architecture",
        "generator_width",
        "encoder_width",
        "code_dim",
        "latent_dim",
        "principal_components",
    )
    if Representation.from_document(card["representation"]) == representation and all(
        card["training"].get(key, getattr(Training, key)) == getattr(training, key) for key in shape
    ):
        return store.load_model(name)
    if training.start_from == "bundled":
        return None
    raise ConfigError(
        f"training cannot start from '{name}': it draws other images, or is another network",
        hint="give the same --length, image and architecture, or leave --from out",
    )
