"""Split a folder of sounds into those to learn from and those to judge by, so that no kit stands on both sides.

    python scripts/split_by_kit.py ~/Samples/Kicks Split --share 0.25
    samplegan train Split/train --name mykick
    samplegan evaluate mykick --against Split/test --train Split/train

A kit is what a MANIFEST.csv says, else a subfolder, else each file stands for itself. OUT/MANIFEST.csv carries on what
is known of every file. Files are linked where the disk can, else copied.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from samplegan.config import Source
from samplegan.dataset import Sound, folder_sounds, manifest_rows
from samplegan.errors import ConfigError, SampleganError
from samplegan.files import machine_error, write_atomic

COLUMNS = ("path", "category", "source", "kit", "licence")


def main() -> int:
    """Parse, split, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path, help="a new folder")
    parser.add_argument("--share", type=float, default=0.25, help="of the sounds, to judge by")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        print(split(arguments.folder, arguments.out, share=arguments.share, seed=arguments.seed))
    except SampleganError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def split(folder: Path, out: Path, *, share: float, seed: int) -> str:
    """Fill OUT/train, OUT/test and OUT/MANIFEST.csv; a line on what was done.

    Raises ConfigError for a share out of range, a folder in use, and sounds of a single kit.
    """
    if not 0.0 < share < 1.0:
        raise ConfigError(f"--share must lie between 0 and 1, not {share:g}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError("the output folder is not empty", file=out, hint="choose a new one")
    sounds = _different_sounds(folder)
    sizes: dict[str, int] = {}
    for sound in sounds:
        sizes[sound.kit] = sizes.get(sound.kit, 0) + 1
    if len(sizes) < 2:
        raise ConfigError(
            f"all sounds are of one kit, '{next(iter(sizes))}', which cannot be split",
            file=folder,
            hint="put kits into subfolders, or name them in a MANIFEST.csv (columns path, kit)",
        )
    held_out = held_out_kits(sizes, share, seed)
    listed = manifest_rows(folder)
    rows = []
    for sound in sounds:
        assert sound.path is not None
        side = "test" if sound.kit in held_out else "train"
        place = Path(side, sound.path.relative_to(folder))
        link(sound.path, out / place)
        known = listed.get(os.path.realpath(sound.path), {})
        source, _, kit = sound.kit.partition("/")
        rows.append((place.as_posix(), known.get("category", ""), source, kit, sound.licence))
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([COLUMNS, *rows])
    write_atomic(out / "MANIFEST.csv", table.getvalue().encode())
    tested = sum(sizes[kit] for kit in held_out)
    return (
        f"{len(sounds) - tested} sounds of {len(sizes) - len(held_out)} kits to learn from, "
        f"{tested} ({tested / len(sounds):.1%}) of {len(held_out)} kits to judge by"
    )


def held_out_kits(sizes: Mapping[str, int], share: float, seed: int) -> set[str]:
    """Kits whose sounds together come as near to `share` of all as any choice of kits does, but for none and all.

    Every total that some of the kits add up to is found, in an order of the kits that only their names and the seed
    decide; of the choices with the best total it is the first that this order comes to.
    """
    order = sorted(sizes, key=lambda kit: hashlib.sha256(f"{seed}/{kit}".encode()).digest())
    reached: dict[int, tuple[str, ...]] = {0: ()}
    for kit in order:
        for total, kits in list(reached.items()):
            reached.setdefault(total + sizes[kit], (*kits, kit))
    everything = sum(sizes.values())
    del reached[0], reached[everything]
    best = min(reached, key=lambda total: (abs(total - share * everything), total))
    return set(reached[best])


def _different_sounds(folder: Path) -> list[Sound]:
    """The sounds of a folder, the first of several with the same content: a copy would stand on both sides."""
    skipped: list[tuple[str, str]] = []
    return list(
        {
            sound.content: sound
            for sound in reversed(list(folder_sounds(folder, Source(licence=""), skipped)))
        }.values()
    )[::-1]


def link(source: Path, target: Path) -> None:
    """The file in another folder: a link where that can be, else a copy. Raises MachineError."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source.resolve(), target)
        except OSError:
            shutil.copyfile(source, target)
    except OSError as error:
        raise machine_error(error, target) from error


if __name__ == "__main__":
    sys.exit(main())
