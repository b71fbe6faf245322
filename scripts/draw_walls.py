"""Draw, for every bundled model, 25 real sounds beside 25 that it made: samplegan/weights/<category>.png.

    python scripts/draw_walls.py --audio FOLDER

FOLDER holds one folder of real sounds for each category, with a MANIFEST.csv; those that a bundled model may have
learned from (in the public domain) are left out. Without --audio the sounds on the left are the synthesiser's, of a
seed that no model learned from. Nothing is chosen: the sounds are the first 25 of seed 0, with `render`'s --no-gates.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image

from samplegan import store, synth
from samplegan.audio import align, find_audio_files, load_one_shot
from samplegan.categories import CATEGORIES
from samplegan.dataset import licences_of
from samplegan.errors import UnreadableAudio
from samplegan.evaluate.figures import RANGE_DB, SHOWN, spectrogram_wall
from samplegan.evaluate.sets import model_sounds

FREE = ("cc0", "public-domain")
UNSEEN_SEED = 20_000
WIDTH_PIXELS, COLOURS = 1400, 64


def main() -> None:
    """Parse and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("categories", nargs="*", help="all that are bundled, unless some are named")
    parser.add_argument(
        "--audio", type=Path, help="a folder with one folder of real sounds for each category"
    )
    arguments = parser.parse_args()
    for name in arguments.categories or CATEGORIES:
        path = store.BUNDLED_FOLDER / f"{name}.safetensors"
        if not path.is_file():
            continue
        model = store.load_model(str(path))
        seconds = model.representation.length_seconds
        real = real_sounds(name, seconds, arguments.audio)
        made = [make() for make in model_sounds(model, SHOWN, 0, model.representation.length_samples).makers]
        kind = "real" if arguments.audio else "synthesised"
        plural = CATEGORIES[name].plural.replace("_", " ")
        caption = (
            f"each {1000 * seconds:.0f} ms wide, 30 Hz to 20 kHz from bottom to top, {RANGE_DB:.0f} dB, "
            "left channel above right; drawn at random, none chosen"
        )
        png = spectrogram_wall(real, made, (f"{kind} {plural}", "samplegan"), caption)
        path.with_suffix(".png").write_bytes(smaller(png))
        print(path.with_suffix(".png"))


def real_sounds(category: str, seconds: float, audio: Path | None) -> list[np.ndarray]:
    """25 sounds [2, sample] that the bundled model has not learned from."""
    length = round(seconds * 44_100)
    if audio is None:
        return [align(synth.synthesise(category, UNSEEN_SEED, index), length) for index in range(SHOWN)]
    folder = audio / category
    licences = licences_of(folder)
    files = [file for file in find_audio_files(folder) if licences.get(file) not in FREE]
    sounds = []
    for index in np.random.default_rng(0).permutation(len(files)):
        try:
            sounds.append(load_one_shot(files[index], seconds))
        except UnreadableAudio:
            continue
        if len(sounds) == SHOWN:
            break
    return sounds


def smaller(png: bytes) -> bytes:
    """A picture for a document: narrower, and of few colours."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    size = (WIDTH_PIXELS, round(picture.height * WIDTH_PIXELS / picture.width))
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


if __name__ == "__main__":
    main()
