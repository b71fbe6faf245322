"""What a sound loses on the way to an image and back, with nothing generated: the ceiling of every model.

    python scripts/measure_representation.py kick snare hat_closed                  # the synthesiser's sounds
    python scripts/measure_representation.py kick snare hat_closed --audio FOLDER   # FOLDER/kick/*.flac … as well
    python scripts/measure_representation.py cymbal perc --lines                    # lines of metal

Prints the tables that stand in docs/representation.md. Columns: RMS difference of log spectra (2048/512 Hann) over the
cells within 80 dB of the loudest; SI-SDR below 200 Hz of sounds that have a low end (higher is better); how far
decaying tones of 40 … 110 Hz come back from where they were; the energy of the first 6 ms; side over mid (-60 dB at
least), as it is, and with 0.5 dB of noise that sets the channels' images apart, as a generator's do; milliseconds a
sound.

With `--lines`, of the middle from 2 to 16 kHz: the share of energy that stands in lines, mean over octaves, of the
sounds, of what comes back from images without a row of lines and from such with one, and how far a sound's own share is
off then; how many lines a kilohertz there are, and come back; the difference in energy; milliseconds that lines cost.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dsp.fidelity import low_share_db, low_si_sdr_db
from dsp.lines import LineBank, tonal_share
from dsp.stft import Stft, window
from samplegan import synth
from samplegan.audio import ONSET_SAMPLE, SAMPLE_RATE, find_audio_files, one_shot_from, read_audio
from samplegan.categories import CATEGORIES, category_named
from samplegan.config import ImageSettings, category_image, compact_image
from samplegan.dataset import training_sound
from samplegan.errors import UnreadableAudio
from samplegan.representation import Representation, representation_for
from samplegan.representation.body import LINES_HZ

F32 = NDArray[np.float32]
TONES_HZ = (40.0, 45.0, 50.0, 55.0, 62.0, 80.0, 110.0)
APART_DB = 0.5  # standard deviation between the channels of a generated image
RANGE_DB = 80.0  # what lies further below a sound's loudest cell is not compared
HIGH_HZ = 2_000.0  # below, bands are narrow enough to hold a line each
HEAD = (
    "| sounds | image | spectrum, dB | low end, dB | tones, semitones | first 6 ms, dB | width, dB | with noise "
    "| ms |\n"
    "|---|---|--:|--:|--:|--:|--:|--:|--:|"
)
LINES_HEAD = (
    "| sounds | in lines, % | back without | back with | off by | lines a kHz | back | energy, dB | ms |\n"
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
)


def main() -> None:
    """Measure every category and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("categories", nargs="*", default=list(CATEGORIES), help="all of them by default")
    parser.add_argument("--audio", type=Path, help="a folder with one folder for each category")
    parser.add_argument("--count", type=int, default=24, help="sounds of each category")
    parser.add_argument("--lines", action="store_true", help="the table of lines instead")
    arguments = parser.parse_args()
    print(LINES_HEAD if arguments.lines else HEAD)
    for category in map(category_named, arguments.categories):
        sets = {f"synthesised {category.name}": synthesised(category.name, arguments.count)}
        if arguments.audio:
            sets[f"real {category.name}"] = real(arguments.audio / category.name, arguments.count)
        for name, sounds in sets.items():
            body = representation_for(category_image(category.name), category.length_seconds)
            if arguments.lines:
                print(lines_row(name, body, sounds), flush=True)
                continue
            compact = representation_for(compact_image(category.name), category.length_seconds)
            for label, representation in (
                ("draft", draft(category.length_seconds)),
                ("body", body),
                ("compact", compact),
                ("compact, channels alone", dataclasses.replace(compact, settle_iterations=40)),
            ):
                print(row(name, label, representation, sounds), flush=True)


def draft(length_seconds: float) -> Representation:
    """The draft's mapping with its window of 512 and a hop of at most 128."""
    frames = -(-round(length_seconds * SAMPLE_RATE + 256) // 128)
    settings = ImageSettings(name="draft", bands=256, frames=-(-frames // 16) * 16)
    return representation_for(settings, length_seconds)


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
    distances, lows, attacks, widths, noisy_widths, seconds = [], [], [], [], [], 0.0
    noise = np.random.default_rng(0)
    for sound in sounds:
        original = training_sound(sound, 1.0, representation.length_samples)
        began = time.perf_counter()
        image = representation.analyse(original)
        back = representation.synthesise(image)
        seconds += time.perf_counter() - began
        if representation.name == "draft":  # which keeps no level
            back *= np.float32(np.sqrt(np.sum(original**2) / np.sum(back**2)))
        distances.append(log_spectral_distance(judge, original, back))
        if low_share_db(original) > -20.0:
            lows.append(low_si_sdr_db(back, original))
        attacks.append(abs(attack_db(back) - attack_db(original)))
        widths.append(abs(width_db(back) - width_db(original)))
        apart = noise.normal(size=image[0].shape) * APART_DB / 2 / representation.decibels_per_unit
        apart *= image[0] > -1  # silence stays silence
        noisy = representation.synthesise((image + np.stack([apart, -apart])).astype(np.float32))
        noisy_widths.append(abs(width_db(noisy) - width_db(original)))
    pitches = [pitch_error(representation, hertz) for hertz in TONES_HZ]
    low = f"{np.mean(lows):.1f}" if lows else "–"
    return (
        f"| {name} | {label} {representation.window_samples}/{representation.hop_samples} "
        f"| {np.mean(distances):.2f} | {low} | {np.mean(pitches):.2f} | {np.mean(attacks):.2f} "
        f"| {np.mean(widths):.1f} | {np.mean(noisy_widths):.1f} | {1000 * seconds / len(sounds):.0f} |"
    )


def lines_row(name: str, representation: Representation, sounds: list[F32]) -> str:
    """One line of the table of lines."""
    bank = LineBank(
        representation.length_samples,
        np.geomspace(HIGH_HZ, LINES_HZ[1], 32),
        onset_samples=ONSET_SAMPLE,
        sample_rate=SAMPLE_RATE,
    )
    plain, lined = (dataclasses.replace(representation, lines=lines) for lines in (False, True))
    shares, densities, levels = [], [], []
    milliseconds = {plain: 0.0, lined: 0.0}
    for sound in sounds:
        original = training_sound(sound, 1.0, representation.length_samples)
        versions = [original]
        for each in (plain, lined):
            each.synthesise(each.analyse(original))  # plans are made, kernels loaded
            began = time.perf_counter()
            versions.append(each.synthesise(each.analyse(original)))
            milliseconds[each] += 1000 * (time.perf_counter() - began) / len(sounds)
        found = [bank.measure(0.5 * (version[0] + version[1])) for version in versions]
        share = np.array([tonal_share(statistics.tonal_db) for statistics in found])
        shares.append(100 * share.mean(axis=1))
        if share[0].any() and share[2].any():
            dense = [np.average(found[at].per_khz, weights=share[at]) for at in (0, 2)]
            densities.append(dense)
        levels.append(abs(10 * np.log10(np.sum(versions[2] ** 2) / np.sum(original**2))))
    here, without, there = np.mean(shares, axis=0)
    off = np.mean([abs(each[2] - each[0]) for each in shares])
    counted = " | ".join(f"{each:.0f}" for each in np.mean(densities, axis=0)) if densities else "– | –"
    return (
        f"| {name} | {here:.0f} | {without:.0f} | {there:.0f} | {off:.0f} | {counted} | {np.mean(levels):.2f} "
        f"| {milliseconds[lined] - milliseconds[plain]:.0f} |"
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


def width_db(sound: F32) -> float:
    """Energy of the side over the mid's, at least -60 dB."""
    mid, side = sound[0] + sound[1], sound[0] - sound[1]
    return float(10 * np.log10(np.sum(side**2) / np.sum(mid**2) + 1e-6))


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
