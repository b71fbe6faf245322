"""What a sound loses on the way to an image and back, with nothing generated: the ceiling of every model.

    python scripts/measure_representation.py                        # the synthesiser's sounds
    python scripts/measure_representation.py --audio FOLDER         # FOLDER/kick/*.flac, FOLDER/snare/* ... as well

Prints the table that stands in docs/representation.md.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dsp.stft import Stft, window
from samplegan import synth
from samplegan.audio import ONSET_SAMPLE, SAMPLE_RATE, find_audio_files, one_shot_from, read_audio
from samplegan.categories import CATEGORIES
from samplegan.config import ImageSettings, category_image
from samplegan.dataset import training_sound
from samplegan.errors import UnreadableAudio
from samplegan.representation import Representation, representation_for

F32 = NDArray[np.float32]
TONES_HZ = (40.0, 45.0, 50.0, 55.0, 62.0, 80.0, 110.0)
DRAFT = ImageSettings(name="draft", bands=256, frames=256)
RANGE_DB = 80.0  # what lies further below a sound's loudest cell is not compared


def main() -> None:
    """Measure every category and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--audio", type=Path, help="a folder with one folder for each category")
    parser.add_argument("--count", type=int, default=24, help="sounds of each category")
    arguments = parser.parse_args()
    print(
        "| sounds | image | cells | log-spectral distance, dB | pitch of tones, semitones | first 6 ms, dB | ms |"
    )
    print("|---|---|--:|--:|--:|--:|--:|")
    for category in CATEGORIES.values():
        sets = {f"synthesised {category.name}": synthesised(category.name, arguments.count)}
        if arguments.audio:
            sets[f"real {category.name}"] = real(arguments.audio / category.name, arguments.count)
        for name, sounds in sets.items():
            for label, settings in (("draft", DRAFT), ("compact", category_image(category.name))):
                try:
                    representation = representation_for(settings, category.length_seconds)
                except Exception as error:
                    print(f"| {name} | {label} | | {error} | | | |")
                    continue
                print(row(name, label, representation, sounds), flush=True)


def synthesised(category: str, count: int) -> list[F32]:
    """Sounds of the synthesiser that no bundled model has learned from (another seed)."""
    return [synth.synthesise(category, 1_000, index) for index in range(count)]


def real(folder: Path, count: int) -> list[F32]:
    """Every n-th readable file of a folder."""
    files = find_audio_files(folder)
    sounds = []
    for file in files[:: max(len(files) // count, 1)][:count]:
        try:
            sounds.append(one_shot_from(read_audio(file)))
        except UnreadableAudio as error:
            print(f"skipped: {error}")
    return sounds


def row(name: str, label: str, representation: Representation, sounds: list[F32]) -> str:
    """One line of the table."""
    judge = Stft(representation.length_samples, window("hann", 2048), 512)
    distances, attacks, seconds = [], [], 0.0
    for sound in sounds:
        original = training_sound(sound, 1.0, representation.length_samples)
        began = time.perf_counter()
        back = representation.synthesise(representation.analyse(original))
        seconds += time.perf_counter() - began
        if representation.name == "draft":  # which keeps no level
            back *= np.float32(np.sqrt(np.sum(original**2) / np.sum(back**2)))
        distances.append(log_spectral_distance(judge, original, back))
        attacks.append(abs(attack_db(back) - attack_db(original)))
    pitches = [pitch_error(representation, hertz) for hertz in TONES_HZ]
    size = f"2 × {representation.bands} × {representation.frames}"
    return (
        f"| {name} | {label} {representation.window_samples}/{representation.hop_samples} | {size} "
        f"| {np.mean(distances):.2f} | {np.mean(pitches):.2f} | {np.mean(attacks):.2f} "
        f"| {1000 * seconds / len(sounds):.0f} |"
    )


def log_spectral_distance(judge: Stft, original: F32, back: F32) -> float:
    """RMS difference in dB over the cells within 80 dB of the loudest."""
    first, second = np.abs(judge.forward(original)), np.abs(judge.forward(back))
    floor = first.max() * 10 ** (-RANGE_DB / 20)
    ratio = np.log10(np.maximum(first, floor) / np.maximum(second, floor))
    return float(20 * np.sqrt(np.mean(ratio**2)))


def attack_db(sound: F32) -> float:
    """Energy of the first 6 ms relative to the whole."""
    start = np.sum(sound[:, ONSET_SAMPLE : ONSET_SAMPLE + 256] ** 2)
    return float(10 * np.log10(start / np.sum(sound**2) + 1e-9))


def pitch_error(representation: Representation, hertz: float) -> float:
    """How far a decaying low tone comes back from where it was, in semitones."""
    time_s = np.arange(representation.length_samples - ONSET_SAMPLE) / SAMPLE_RATE
    tone = np.zeros((2, representation.length_samples), dtype=np.float32)
    tone[:, ONSET_SAMPLE:] = np.sin(2 * np.pi * hertz * time_s) * np.exp(-time_s / 0.2)
    back = representation.synthesise(representation.analyse(tone))[0, 2000:14000]
    size = 1 << 17
    found = np.argmax(np.abs(np.fft.rfft(back * np.hanning(len(back)), size))) * SAMPLE_RATE / size
    return float(abs(12 * np.log2(max(found, 1.0) / hertz)))


if __name__ == "__main__":
    main()
