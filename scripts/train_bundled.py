"""Train the bundled models, in the order given, and put them where `samplegan render` finds them.

    python scripts/train_bundled.py kick snare hat_closed --minutes 55 --threads 1

Each is trained from packs/<plural>/pack.yaml, that is on the synthesiser's sounds, in a folder of its own (--work),
where a stopped run is resumed. The model, its card and its wall of spectrograms (held-out sounds left, generated right)
go to samplegan/weights/.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from samplegan.categories import CATEGORIES

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Parse, train, copy."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("categories", nargs="+", choices=list(CATEGORIES))
    parser.add_argument("--minutes", type=float, default=55.0, help="of training, each")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--work", type=Path, default=Path("bundled-runs"), help="where the runs are kept")
    arguments = parser.parse_args()
    os.environ["SAMPLEGAN_HOME"] = str(arguments.work.resolve())
    for category in arguments.categories:
        train_one(category, arguments.minutes, arguments.threads)


def train_one(category: str, minutes: float, threads: int | None) -> None:
    """Train, or resume, one category, and copy what it gives."""
    from samplegan import store
    from samplegan.train import train

    result = train(
        ROOT / "packs" / CATEGORIES[category].plural,
        name=category,
        minutes=minutes,
        threads=threads,
        resume=(store.runs_folder() / category / "checkpoint.safetensors").exists(),
    )
    print(result.summary())
    wall = max((result.run_folder / "previews").glob("step-*.png"))
    for source, name in (
        (result.model_path, f"{category}.safetensors"),
        (result.model_path.with_suffix(".md"), f"{category}.md"),
        (wall, f"{category}.png"),
    ):
        shutil.copyfile(source, store.BUNDLED_FOLDER / name)


if __name__ == "__main__":
    main()
