"""Train the bundled models, in the order given, and put them where `samplegan render` finds them.

    python scripts/train_bundled.py kick snare hat_closed --minutes 30 --threads 1 --audio FOLDER

Each is trained from packs/<plural>/pack.yaml, that is on the synthesiser's sounds, and on those files of
FOLDER/<category> that a MANIFEST.csv says are in the public domain (leave --audio out for none), in a folder of its own
(--work), where a stopped run is resumed. The model and its card go to samplegan/weights/; `scripts/draw_walls.py` draws
the picture beside them.
"""

from __future__ import annotations

import argparse
import os
import shutil
from dataclasses import replace
from pathlib import Path

import yaml

from samplegan.categories import CATEGORIES

ROOT = Path(__file__).parents[1]
FREE = ("cc0", "public-domain")


def main() -> None:
    """Parse, train, copy."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("categories", nargs="+", choices=list(CATEGORIES))
    parser.add_argument("--minutes", type=float, default=30.0, help="of training, each")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument(
        "--audio", type=Path, help="a folder with one folder of real sounds for each category"
    )
    parser.add_argument("--work", type=Path, default=Path("bundled-runs"), help="where the runs are kept")
    arguments = parser.parse_args()
    os.environ["SAMPLEGAN_HOME"] = str(arguments.work.resolve())
    for category in arguments.categories:
        train_one(category, arguments.minutes, arguments.threads, arguments.audio, arguments.work)


def train_one(category: str, minutes: float, threads: int | None, audio: Path | None, work: Path) -> None:
    """Train, or resume, one category, and copy what it gives."""
    from samplegan import store
    from samplegan.train import train

    result = train(
        definition(category, audio, work),
        name=category,
        minutes=minutes,
        threads=threads,
        resume=(store.runs_folder() / category / "checkpoint.safetensors").exists(),
    )
    print(result.summary())
    for source in (result.model_path, result.model_path.with_suffix(".md")):
        shutil.copyfile(source, store.BUNDLED_FOLDER / source.name)


def definition(category: str, audio: Path | None, work: Path) -> Path:
    """The category's pack definition, with its free real sounds as one more source."""
    from samplegan.config import load_pack, to_document
    from samplegan.dataset import licences_of

    folder = ROOT / "packs" / CATEGORIES[category].plural
    if audio is None:
        return folder
    pack = load_pack(folder)
    if not any(licence in FREE for licence in licences_of(audio / category).values()):
        return folder
    pack_file = work / f"{category}.yaml"
    work.mkdir(parents=True, exist_ok=True)
    document = to_document(replace(pack, image=None))
    # Once each: they are of a few kits, and a quarter of all draws near them made percs worse than the synthesiser is.
    free = {"folder": str((audio / category).resolve()), "only_licences": list(FREE)}
    document["sources"] = [*document["sources"], free]
    for source in document["sources"]:
        source["only_licences"] = list(source["only_licences"])
    document["speeds"] = list(document["speeds"])
    pack_file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return pack_file


if __name__ == "__main__":
    main()
