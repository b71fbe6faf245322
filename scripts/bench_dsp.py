"""Measures the signal-processing core and writes docs/dsp.md with the pictures beside it.

    OMP_NUM_THREADS=1 python scripts/bench_dsp.py                         # the synthesiser's sounds
    OMP_NUM_THREADS=1 python scripts/bench_dsp.py --audio FOLDER          # FOLDER/kick/*.flac …
    OMP_NUM_THREADS=1 python scripts/bench_dsp.py --only speed,encode     # the other sections stay as they are

Every time is set against another one taken in the same run: the contenders take turns, and what is printed is the
median of the ratios of their turns. An iteration's time is (that of 60 - that of 10) / 50, so that set-up does not
count. Needs the packages of the dev extra. On a busy machine the times mean little.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from itertools import count, islice, product
from pathlib import Path
from typing import NamedTuple

import librosa
import numpy as np
import pyfftw
import scipy.ndimage
import scipy.signal
import soxr
import torch
from document_sections import processor, table
from numpy.typing import NDArray
from PIL import Image

from dsp import fidelity
from dsp.crossover import Crossover
from dsp.grid import Grid
from dsp.mel import MelImage, MelMap
from dsp.phase import METHODS, energy_mask, gamma_of, griffin_lim, pghi, reconstruct
from dsp.phase.drafts import VARIANTS
from dsp.phase.low_band import low_band_start
from dsp.resample import Resampler
from dsp.scale import FixedScale
from dsp.stft import PLANNER, PairTransform, Stft, window
from samplegan import synth
from samplegan.audio import ONSET_SAMPLE, SAMPLE_RATE, align, find_audio_files, load_one_shot
from samplegan.categories import CATEGORIES
from samplegan.config import category_image
from samplegan.errors import UnreadableAudio
from samplegan.figures import Column, comparison_png
from samplegan.validation import LEAST_LOW_SHARE_DB, LOW_HZ

F32 = NDArray[np.float32]
Rows = Iterable[Sequence[object]]

SEED = 20_000  # of the synthesiser: no bundled model has learned from these sounds
LIBRARIES = ("numpy", "numba", "pyfftw", "librosa", "torch")
METHOD, START = "far-reflections", "low-band"  # the method and the start of `reconstruct` by default
DRAFT_VARIANT = "gla-time-frequency-masking"
WIDE_DB = -20.0  # a file is stereo if its side is louder than this, relative to its mid
PICTURES_WIDTH, PICTURES_COLOURS = 1200, 96
OUR_LOOP = "fast Griffin-Lim"
BOUND, MEASURED_BOUND = "its FFTs alone", "its FFTs alone, planned by measuring"

INTRODUCTION = """# The signal-processing core, measured

`dsp/` turns sounds into images of their short-time spectra and finds the sound that belongs to an image. An image holds
magnitudes and no phase; the phase is found again by a start that follows from the magnitudes and by iterations that
make neighbouring windows agree. Everything below compares a sound with itself after that journey. Nobody listened:
these are figures of the signal.

- **SC**, spectral convergence: how far magnitudes are from those wanted; -20 dB is a tenth, -40 dB a hundredth.
- **LSD**, log-spectral distance in dB at another transform (2048/512).
- **Low end**: SI-SDR of what lies under 200 Hz; above 10 dB the low wave of a kick came back as it was.
- **Pre-echo**: energy before the onset relative to the whole, in dB.

Lower is better for all but the low end. *1024/256* is a window of 1024 samples every 256.

"""


class Target(NamedTuple):
    """What was wanted and what was measured."""

    what: str
    limit: float
    measured: float
    at_most: bool = True

    def row(self, section: str) -> tuple[object, ...]:
        """Cells of the table of targets."""
        met = self.measured <= self.limit if self.at_most else self.measured >= self.limit
        sign = "≤" if self.at_most else "≥"
        verdict = "met" if met else "**not met**"
        return section, self.what, f"{sign} {self.limit:g}", f"{self.measured:.4g}", verdict


Section = tuple[list[Target], str]


class Bench:
    """What is measured: settings, and the sounds of every category."""

    def __init__(self, audio: Path | None, per_category: int, seconds: float, out: Path) -> None:
        self.audio, self.per_category, self.out = audio, per_category, out
        self.length_samples = round(seconds * SAMPLE_RATE)
        self.seconds = seconds

    @cached_property
    def sounds(self) -> dict[str, list[F32]]:
        """`[2, sample]` of every category, onset-aligned."""
        categories = {name: list(islice(self.every(name), self.per_category)) for name in CATEGORIES}
        return {name: sounds for name, sounds in categories.items() if sounds}

    @property
    def mono(self) -> Iterator[tuple[str, F32]]:
        """Category and mean of both channels `[1, sample]` of every sound that has one."""
        for category, sounds in self.sounds.items():
            means = (sound.mean(axis=0, keepdims=True) for sound in sounds)
            yield from ((category, mono) for mono in means if mono.any())

    @cached_property
    def wide(self) -> list[F32]:
        """Truly stereo sounds, three times as many as of one category; widened ones where too few are wide."""
        found: list[F32] = []
        for name in self.sounds:
            candidates = islice(self.every(name), 12 * self.per_category)
            found += islice(filter(is_wide, candidates), -(-3 * self.per_category // len(self.sounds)))
            if self.audio is None:
                a, b = (sound.mean(axis=0) for sound in islice(self.every(name), 2))
                found.append(np.stack([a + 0.5 * b, a - 0.5 * b]))
        return found

    def every(self, category: str) -> Iterator[F32]:
        """The sounds of a category, in an order drawn once and for all."""
        if self.audio is None:
            yield from (
                align(synth.synthesise(category, SEED, index), self.length_samples) for index in count()
            )
            return
        folder = self.audio / category
        files = find_audio_files(folder) if folder.is_dir() else []
        for index in np.random.default_rng(SEED).permutation(len(files)):
            try:
                yield load_one_shot(files[index], self.seconds)
            except UnreadableAudio as error:
                print(f"skipped: {error}", file=sys.stderr)

    def stft(self, name: str, window_samples: int, hop_samples: int) -> Stft:
        """For sounds of the length measured."""
        return Stft(self.length_samples, window(name, window_samples), hop_samples)

    @property
    def original_pre_echo_db(self) -> float:
        """What stands before the onset from the beginning, mean."""
        return float(np.mean([fidelity.pre_echo_db(mono, ONSET_SAMPLE) for _, mono in self.mono]))

    @property
    def described(self) -> str:
        """The sounds in words."""
        kind = "synthesised" if self.audio is None else "real"
        counts = ", ".join(f"{len(sounds)} {spoken(name)}" for name, sounds in self.sounds.items())
        return f"{kind} one-shots of {self.seconds:g} s: {counts}"


def main() -> None:
    """Measure the sections asked for and write them into the document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--audio", type=Path, help="a folder with one folder for each category")
    parser.add_argument("--per-category", type=int, default=12, help="sounds of each category")
    parser.add_argument("--seconds", type=float, default=0.74, help="every sound is cut or padded to this")
    parser.add_argument("--out", type=Path, default=Path("docs/dsp.md"))
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, separated by commas")
    arguments = parser.parse_args()
    wanted = arguments.only.split(",")
    if unknown := [name for name in wanted if name not in SECTIONS]:
        parser.error(f"there is no section '{unknown[0]}'; choose from {', '.join(SECTIONS)}")
    torch.set_num_threads(1)
    bench = Bench(arguments.audio, arguments.per_category, arguments.seconds, arguments.out)
    for name in (name for name in SECTIONS if name in wanted):
        began = time.perf_counter()
        targets, text = SECTIONS[name](bench)
        write(bench.out, name, targets, f"{text}\n\n{signature(arguments, name)}\n")
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)


def write(out: Path, name: str, targets: list[Target], text: str) -> None:
    """Put one section into the document; those that stand there stay."""
    old = out.read_text(encoding="utf-8") if out.exists() else ""
    sections = dict(re.findall(r"<!-- section (\w+) -->\n(.*?)<!-- end -->\n", old, flags=re.DOTALL))
    sections[name] = text
    rows = re.findall(
        r"^\| (\w+) \| (.*) \| (.*) \| (.*) \| (\**(?:not )?met\**) \|$", old, flags=re.MULTILINE
    )
    kept = [row for row in rows if row[0] != name] + [target.row(name) for target in targets]
    kept.sort(key=lambda row: list(SECTIONS).index(str(row[0])))
    met = sum(row[4] == "met" for row in kept)
    document = INTRODUCTION + f"{met} of {len(kept)} targets are met:\n\n"
    document += table(("section", "what", "target", "measured", ""), kept, left=2) + "\n\n"
    for title in SECTIONS:
        if title in sections:
            document += f"<!-- section {title} -->\n{sections[title]}<!-- end -->\n\n"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(document.rstrip() + "\n", encoding="utf-8")


def signature(arguments: argparse.Namespace, section: str) -> str:
    """By which command, on what and when."""
    audio = " --audio FOLDER" if arguments.audio else ""
    command = f"python scripts/bench_dsp.py{audio} --per-category {arguments.per_category} --only {section}"
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    today = datetime.datetime.now(tz=datetime.UTC).date()
    return f"*{today}, `{command}`; {processor()}, {os.cpu_count()} cores; {versions}.*"


def spoken(category: str) -> str:
    """A category's name in words."""
    return category.replace("_", " ")


# --- times


def seconds(run: Callable[[], object]) -> float:
    """Of one call."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def an_iteration(run: Callable[[int], object]) -> float:
    """Seconds of one iteration, without what is done once."""
    few = seconds(lambda: run(10))
    return (seconds(lambda: run(60)) - few) / 50


def turns(contenders: dict[str, Callable[[], float]], rounds: int) -> dict[str, NDArray]:
    """Each contender's seconds, [round]; a first round, which compiles and plans, does not count."""
    taken = [[contender() for contender in contenders.values()] for _ in range(rounds + 1)][1:]
    return dict(zip(contenders, np.array(taken).T, strict=True))


def ratio(taken: dict[str, NDArray], dividend: str, divisor: str) -> float:
    """The median over the rounds."""
    return float(np.median(taken[dividend] / taken[divisor]))


def loops(audio: F32, stft: Stft, mask: F32 | None) -> dict[str, Callable[[int], object]]:
    """Everything that iterates on the magnitudes of `audio[2, sample]`, as functions of the iterations."""
    magnitude = np.abs(stft.forward(audio))
    mid = np.abs(stft.forward(audio.mean(axis=0, keepdims=True)))
    masked = magnitude if mask is None else magnitude * mask
    phase = pghi_of(masked[0], stft)
    ours = partial(reconstruct, masked[np.newaxis], stft, start=phase)
    return {
        "librosa.griffinlim": lambda its: librosa_griffin_lim(masked, stft, its),
        "torch.stft and istft": lambda its: torch_griffin_lim(masked, phase, stft, its),
        OUR_LOOP: lambda its: griffin_lim(magnitude, stft, iterations=its, mask=mask, start_phase=phase),
        "RAAR": lambda its: ours(method="raar", iterations=its),
        "far-reflections": lambda its: ours(iterations=its),
        "RAAR, joint with mid": lambda its: ours(method="raar", iterations=its, stereo="mid", mid=mid),
        BOUND: bare_ffts(stft, PLANNER),
        MEASURED_BOUND: bare_ffts(stft, "FFTW_MEASURE"),
    }


def librosa_griffin_lim(magnitude: F32, stft: Stft, iterations: int) -> F32:
    """librosa's, momentum 0.99, random start; over as many frames as ours."""
    return librosa.griffinlim(
        magnitude.swapaxes(1, 2),
        n_iter=iterations,
        hop_length=stft.hop_samples,
        window=stft.window,
        length=(stft.frames - 1) * stft.hop_samples,
        pad_mode="constant",
        random_state=0,
    )[:, : stft.length_samples]


def torch_griffin_lim(magnitude: F32, phase: F32, stft: Stft, iterations: int) -> F32:
    """Fast Griffin-Lim as one writes it with torch."""
    size, hop = stft.window_samples, stft.hop_samples
    wanted = torch.from_numpy(magnitude).transpose(1, 2)
    values = torch.from_numpy(stft.window)
    turned = torch.polar(torch.ones_like(wanted), torch.from_numpy(phase).T.expand_as(wanted))
    before = torch.zeros_like(turned)
    length = (stft.frames - 1) * hop
    with torch.inference_mode():
        for _ in range(iterations):
            audio = torch.istft(wanted * turned, size, hop, window=values, length=length)
            now = torch.stft(audio, size, hop, window=values, pad_mode="constant", return_complex=True)
            turned = now + 0.99 * (now - before)
            turned = turned / (turned.abs() + 1e-16)
            before = now
        audio = torch.istft(wanted * turned, size, hop, window=values, length=length)
    return audio.numpy()[:, : stft.length_samples]


def bare_ffts(stft: Stft, planner: str) -> Callable[[int], None]:
    """The complex FFTs of both channels' iterations, in blocks as the loop executes them, and nothing else."""
    blocks = PairTransform(stft, stft.frames)
    shape = (blocks.block_frames // 2, stft.window_samples)
    sound, spectrum = (pyfftw.zeros_aligned(shape, dtype=np.complex64) for _ in range(2))
    forward = pyfftw.FFTW(sound, spectrum, axes=(1,), flags=(planner,))
    backward = pyfftw.FFTW(
        spectrum, sound, axes=(1,), direction="FFTW_BACKWARD", flags=(planner, "FFTW_DESTROY_INPUT")
    )
    sound[:] = 0.0  # a plan that was measured leaves anything

    def run(iterations: int) -> None:
        for _ in range(2 * blocks.blocks * iterations):
            forward.execute()
            backward.execute()

    return run


def pghi_of(magnitude: F32, stft: Stft) -> F32:
    """PGHI of `[frame, bin]`."""
    return pghi(
        magnitude,
        gamma=gamma_of(stft.window),
        hop_samples=stft.hop_samples,
        window_samples=stft.window_samples,
    )


def noise(bench: Bench) -> F32:
    """White noise `[2, sample]`: no frame is silent."""
    return np.random.default_rng(0).standard_normal((2, bench.length_samples), dtype=np.float32)


def joined(parts: list[dict[str, NDArray]]) -> dict[str, NDArray]:
    """The turns of several runs one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def speed(bench: Bench) -> Section:
    """Iterations against librosa, torch and the bare transforms; two threads; what starts cost."""
    targets: list[Target] = []
    text = [
        f"## Speed\n\nOne iteration on a stereo sound of {bench.seconds:g} s, one thread, under the draft's "
        "time-frequency mask; one sound of each category, and white noise. Silent frames at the end of a sound cost "
        "the loop nothing; noise has none and is the worst case. *FFTs*: the complex FFTs of all frames, two in each, "
        f"and nothing else; planned with {PLANNER} as in the core, since measured plans differ from process to process "
        "and with them the bytes, and with FFTW_MEASURE."
    ]
    peers = {"librosa": "librosa.griffinlim", "a torch loop": "torch.stft and istft"}
    one_shots = [sounds[0] for sounds in bench.sounds.values()]
    cases = [(kind, size) for kind in ("one-shots", "white noise") for size in (512, 1024)]
    for kind, size in cases:
        stft, parts = bench.stft("hann", size, size // 4), []
        for sound in one_shots if kind == "one-shots" else [noise(bench)]:
            runs = loops(sound, stft, energy_mask(np.abs(stft.forward(sound))))
            rounds = 3 if kind == "one-shots" else 11
            parts.append(turns({name: partial(an_iteration, run) for name, run in runs.items()}, rounds))
        taken = joined(parts)
        title = f"{size}/{size // 4}, {kind}"
        targets += [
            Target(f"{title}: times as fast as {who}", limit, ratio(taken, peer, OUR_LOOP), False)
            for limit, (who, peer) in zip((12, 6), peers.items(), strict=True)
        ]
        targets.append(Target(f"{title}: times the bare FFTs", 1.8, ratio(taken, OUR_LOOP, BOUND)))
        rows = [
            (
                name,
                f"{1000 * np.median(values):.2f}",
                *(f"{ratio(taken, peer, name):.1f}" for peer in peers.values()),
                *(f"{ratio(taken, name, bound):.2f}" for bound in (BOUND, MEASURED_BOUND)),
            )
            for name, values in taken.items()
        ]
        header = ("", "ms", "librosa ÷ it", "torch ÷ it", "it ÷ FFTs", "it ÷ FFTs, measured")
        text.append(f"### {title}\n\n{table(header, rows)}")
    for more_targets, more_text in (threads(bench), starts(bench, one_shots)):
        targets += more_targets
        text.append(more_text)
    return targets, "\n\n".join(text)


def threads(bench: Bench) -> Section:
    """What a second thread brings, and whether it changes the result."""
    stft = bench.stft("hann", 1024, 256)
    targets, rows = [], []
    for batch, rounds in ((1, 9), (16, 3)):
        magnitude = np.tile(np.abs(stft.forward(noise(bench))), (batch, 1, 1, 1))

        def run(iterations: int, threads: int, magnitude: F32 = magnitude) -> F32:
            return griffin_lim_of(magnitude, stft, iterations, threads)

        contenders = {f"{count}": partial(an_iteration, partial(run, threads=count)) for count in (1, 2)}
        gain = ratio(turns(contenders, rounds), "1", "2")
        same = run(12, 1).tobytes() == run(12, 2).tobytes()
        what = f"two threads, {batch} stereo sound{'s'[: batch > 1]}: times as fast"
        targets.append(Target(what, 1.8, gain, at_most=False))
        rows.append((batch, f"{gain:.2f}", "yes" if same else "**no**"))
    header = ("stereo sounds", "one thread ÷ two", "the same bytes")
    return targets, "### Two threads\n\n" + table(header, rows)


def griffin_lim_of(magnitude: F32, stft: Stft, iterations: int, threads: int) -> F32:
    """Fast Griffin-Lim of `[batch, channel, frame, bin]`, with a start that costs nothing."""
    return reconstruct(
        magnitude, stft, method="fast-griffin-lim", start="zero", iterations=iterations, threads=threads
    )


def starts(bench: Bench, one_shots: list[F32]) -> Section:
    """What a start costs, in iterations."""
    stft = bench.stft("hann", 1024, 256)
    targets, rows = [], []
    for label, sounds in (("white noise", [noise(bench)]), ("one-shots", one_shots)):
        parts = []
        for sound in sounds:
            plane = np.abs(stft.forward(sound)).mean(axis=0)
            contenders = {
                "iteration": partial(an_iteration, loops(sound, stft, None)["RAAR"]),
                "pghi": partial(seconds, partial(pghi_of, plane, stft)),
                "low-band": partial(seconds, partial(low_band_start, plane, stft)),
            }
            parts.append(turns(contenders, 9))
        costs = [ratio(joined(parts), start, "iteration") for start in ("pghi", "low-band")]
        targets.append(Target(f"PGHI in iterations, {label}", 4, costs[0]))
        rows.append((label, *(f"{cost:.1f}" for cost in costs)))
    return targets, (
        "### What a start costs\n\nIn RAAR iterations of the stereo sound at 1024/256, whose channels share it.\n\n"
        + table(("", "PGHI", "low-band"), rows)
    )


def encode(bench: Bench) -> Section:
    """Sound to image against librosa and torch."""
    targets, rows = [], []
    scale = FixedScale(-100.0, 0.0, reference_magnitude=256.0)

    def with_librosa(stft: Stft, audio: F32) -> F32:
        size, hop = stft.window_samples, stft.hop_samples
        spectrum = librosa.stft(audio, n_fft=size, hop_length=hop, window=stft.window, pad_mode="constant")
        level_db = librosa.amplitude_to_db(np.abs(spectrum), ref=256.0, amin=2.56e-3, top_db=None)
        return np.clip(level_db * 0.02 + 1.0, -1.0, 1.0)

    def with_torch(stft: Stft, audio: F32) -> torch.Tensor:
        size, hop, values = stft.window_samples, stft.hop_samples, torch.from_numpy(stft.window)
        samples = torch.from_numpy(audio)
        spectrum = torch.stft(samples, size, hop, window=values, pad_mode="constant", return_complex=True)
        level_db = 20.0 * torch.log10(torch.clamp(spectrum.abs() / 256.0, min=1e-5))
        return torch.clamp(level_db * 0.02 + 1.0, -1.0, 1.0)

    def every(way: Callable[[Stft, F32], object], stft: Stft, sounds: list[F32]) -> None:
        for sound in sounds:
            way(stft, sound)

    ways = {"core": scale.encode, "librosa": with_librosa, "torch": with_torch}
    kinds = {"one-shots": [sounds[0] for sounds in bench.sounds.values()], "white noise": [noise(bench)] * 8}
    for (kind, sounds), size in product(kinds.items(), (512, 1024)):
        stft = bench.stft("hann", size, size // 4)
        contenders = {name: partial(seconds, partial(every, way, stft, sounds)) for name, way in ways.items()}
        taken = turns(contenders, 31)
        ratios = [ratio(taken, peer, "core") for peer in ("librosa", "torch")]
        title = f"{size}/{size // 4}, {kind}"
        milliseconds = 1000.0 * np.median(taken["core"]) / len(sounds)
        rows.append((title, f"{milliseconds:.2f}", *(f"{value:.1f}" for value in ratios)))
        targets += [
            Target(f"{title}: times as fast as {peer}", limit, value, at_most=False)
            for peer, limit, value in zip(("librosa", "torch"), (8, 3), ratios, strict=True)
        ]
    return targets, (
        "## Encode\n\nFrom a stereo sound to its image: transform, decibels, [-1, 1]; one thread; one sound of each "
        "category, and white noise.\n\n" + table(("", "core, ms", "librosa ÷ core", "torch ÷ core"), rows)
    )


# --- quality


class Score(NamedTuple):
    """Of one reconstruction of one sound."""

    category: str
    at_30_db: float
    convergence_db: float
    lsd_db: float
    low_db: float  # nan without a low end
    pre_echo_db: float
    seconds: float


# Magnitudes [1, frame, bin], their transform and iterations to sound [1, sample].
Way = Callable[[F32, Stft, int], F32]


def ours(magnitude: F32, stft: Stft, iterations: int, **settings: object) -> F32:
    """`reconstruct` for one channel."""
    if settings.get("method") == "rtisi-la":
        iterations //= 4  # each is of four frames
    return reconstruct(magnitude[np.newaxis], stft, iterations=iterations, **settings)[0]


def variant(name: str) -> Way:
    """One of the draft's reconstructions."""
    return lambda magnitude, stft, iterations: VARIANTS[name](magnitude, stft, iterations=iterations, seed=0)


def convergence_db(audio: F32, wanted: F32, stft: Stft) -> float:
    """Of a sound to magnitudes."""
    return fidelity.spectral_convergence_db(np.abs(stft.forward(audio)), wanted)


def score(bench: Bench, ways: dict[str, tuple[Way, Stft]]) -> dict[str, list[Score]]:
    """Every way on the mono mean of every sound, at 30 and 100 iterations."""
    judge = bench.stft("hann", 2048, 512)
    scores: dict[str, list[Score]] = {name: [] for name in ways}
    for category, mono in bench.mono:
        has_low_end = fidelity.low_share_db(mono, LOW_HZ) >= LEAST_LOW_SHARE_DB
        for name, (way, stft) in ways.items():
            wanted = np.abs(stft.forward(mono))
            at_30_db = convergence_db(
                way(wanted, stft, 30), wanted, stft
            )  # and compiled before the clock runs
            began = time.perf_counter()
            audio = way(wanted, stft, 100)
            taken = time.perf_counter() - began
            scores[name].append(
                Score(
                    category,
                    at_30_db,
                    convergence_db(audio, wanted, stft),
                    fidelity.log_spectral_distance_db(audio, mono, judge),
                    fidelity.low_si_sdr_db(audio, mono, LOW_HZ) if has_low_end else np.nan,
                    fidelity.pre_echo_db(audio, ONSET_SAMPLE),
                    taken,
                )
            )
    return scores


def mean(scores: list[Score], field: str, category: str | None = None) -> float:
    """Over the sounds of one category, or of all."""
    return float(np.mean([getattr(each, field) for each in scores if category in (None, each.category)]))


def good_kicks(scores: list[Score]) -> float:
    """The share of kicks whose low end came back, in per cent."""
    low = [each.low_db for each in scores if each.category == "kick" and np.isfinite(each.low_db)]
    return 100.0 * float(np.mean(np.array(low) > 10.0)) if low else np.nan


def score_table(scores: dict[str, list[Score]], reference: str) -> str:
    """One row for each way."""
    unit = np.array([each.seconds for each in scores[reference]])
    categories = list(dict.fromkeys(each.category for each in scores[reference]))
    rows = []
    for name, results in scores.items():
        cost = np.median(np.array([each.seconds for each in results]) / unit)
        rows.append(
            (
                name,
                f"{mean(results, 'at_30_db'):.1f}",
                f"**{mean(results, 'convergence_db'):.1f}**",
                *(f"{mean(results, 'convergence_db', category):.1f}" for category in categories),
                f"{mean(results, 'lsd_db'):.2f}",
                f"{good_kicks(results):.0f} %",
                f"{mean(results, 'pre_echo_db'):.0f}",
                f"{cost:.2f}",
            )
        )
    return table(("", "SC at 30", "SC", *map(spoken, categories), "LSD", "low end", "pre-echo", "cost"), rows)


def phase(bench: Bench) -> Section:
    """Every method, start and window on the sounds."""
    hann, kaiser = bench.stft("hann", 1024, 256), bench.stft("kaiser", 512, 128)
    support = (np.arange(bench.length_samples) >= ONSET_SAMPLE).astype(np.float32)
    reference, best, draft = "raar, pghi", f"{METHOD}, {START}", "the draft: Kaiser 512/128, mask, random"
    ways: dict[str, tuple[Way, Stft]] = {"librosa.griffinlim, random": (librosa_griffin_lim, hann)}
    ways[draft] = (variant(DRAFT_VARIANT), kaiser)
    ways |= {f"draft's {name}": (variant(name), hann) for name in VARIANTS}
    with_start = [name for name in METHODS if name != "rtisi-la"]
    pairs = [(name, start) for start in (START, "pghi") for name in with_start]
    pairs += [(n, s) for s in ("rtisi-la", "minimum-phase", "zero", "random") for n in ("raar", METHOD)]
    ways |= {f"{name}, {start}": (partial(ours, method=name, start=start), hann) for name, start in pairs}
    ways["rtisi-la"] = (partial(ours, method="rtisi-la"), hann)
    ways[f"{best}, support"] = (partial(ours, support=support), hann)
    scores = score(bench, ways)
    found, supported = scores[best], scores[f"{best}, support"]
    sc, loss = (
        mean(found, "convergence_db"),
        mean(supported, "convergence_db") - mean(found, "convergence_db"),
    )
    targets = [
        Target("SC, all, dB", -36, sc),
        Target("SC, kicks, dB", -42, mean(found, "convergence_db", "kick")),
        Target("kicks with their low end, %", 65, good_kicks(found), at_most=False),
        Target("LSD, dB", 0.9, mean(found, "lsd_db")),
        Target("pre-echo with support, dB", -80, mean(supported, "pre_echo_db")),
        Target("SC that the support costs, dB", 0.1, loss),
    ]
    text = [
        f"## Phase\n\nFrom magnitudes alone, mono mean, onset at {1000 * ONSET_SAMPLE / SAMPLE_RATE:.0f} ms; "
        f"{bench.described}. *SC at 30* is after 30 iterations, everything else after 100; under "
        "the categories stands "
        "their SC. *Low end*: the share of kicks where it is better than 10 dB. *Cost*: a sound's "
        "time in that of 100 "
        "iterations of RAAR from PGHI, start included, median. *Support*: nothing may sound before "
        "the onset. rtisi-la "
        "works on four frames at a time and gets a quarter of the iterations. The core's default, "
        f"{METHOD} from {START}, is {mean(scores[draft], 'convergence_db') - sc:.0f} dB nearer than "
        "the draft as a whole; "
        f"the originals have a pre-echo of {bench.original_pre_echo_db:.0f} dB.",
        "### 1024/256 Hann\n\n" + score_table(scores, reference),
    ]
    others = {
        "512/128 Hann": bench.stft("hann", 512, 128),
        "512/128 Kaiser 14": kaiser,
        "1024/256 Gaussian": bench.stft("gaussian", 1024, 256),
    }
    for title, stft in others.items():
        few: dict[str, tuple[Way, Stft]] = {
            "librosa.griffinlim, random": (librosa_griffin_lim, stft),
            "fast-griffin-lim, random": (partial(ours, method="fast-griffin-lim", start="random"), stft),
            reference: (partial(ours, method="raar", start="pghi"), stft),
            best: (ours, stft),
        }
        scores = score(bench, few)
        text.append(f"### {title}\n\n{score_table(scores, reference)}")
        if stft is kaiser:
            targets.append(Target(f"SC, {title}, dB", -26, mean(scores[best], "convergence_db")))
    return targets, "\n\n".join(text)


def with_noise(bench: Bench) -> Section:
    """Images with errors."""
    stft = bench.stft("hann", 1024, 256)
    peer, soft = "fast-griffin-lim, random", "soft-raar, pghi"
    kinds = [("white", level) for level in (0, 1, 2, 4)] + [("correlated", level) for level in (1, 2, 4)]
    methods = (peer, "raar, pghi", f"{METHOD}, {START}", soft)
    found: dict[tuple[str, int], list[list[float]]] = {
        (name, its): [] for its in (30, 100) for name in methods
    }
    random = np.random.default_rng(SEED)
    for _, mono in bench.mono:
        clean = np.abs(stft.forward(mono))
        white = random.standard_normal(clean.shape)
        smooth = scipy.ndimage.gaussian_filter(white, (0.0, 1.5, 1.5))
        errors = {"white": white, "correlated": smooth / smooth.std()}
        images = [(clean * 10.0 ** (level / 20.0 * errors[kind])).astype(np.float32) for kind, level in kinds]
        for (name, its), rows in found.items():
            method, start = name.split(", ")
            results = [ours(image, stft, its, method=method, start=start) for image in images]
            rows.append([convergence_db(audio, clean, stft) for audio in results])
    means = {key: np.mean(rows, axis=0) for key, rows in found.items()}
    behind = {its: float(np.max(means[soft, its] - means[peer, its])) for its in (30, 100)}
    targets = [
        Target(f"soft-raar behind fast Griffin-Lim, at worst, {its} it., dB", 0.0, behind[its])
        for its in behind
    ]
    at_two = [kinds.index((kind, 2)) for kind in ("white", "correlated")]
    targets += [
        Target(f"soft-raar, white 2 dB, {its} it., dB", -17, float(means[soft, its][at_two[0]]))
        for its in behind
    ]
    cells = [
        (
            name,
            its,
            *(
                f"*{sc:.1f}*" if sc > old + 0.05 else f"{sc:.1f}"
                for sc, old in zip(values, means[peer, its], strict=True)
            ),
        )
        for (name, its), values in means.items()
    ]
    gains = [float((means[peer, 100] - means[soft, 100])[kind]) for kind in at_two]
    return targets, (
        "## Noise on the image\n\nA generated image is no sound's: here the decibels of every cell are off by random "
        "errors of the given standard deviation, white, or correlated (smoothed over 1.5 cells). SC "
        "to the clean image, "
        f"1024/256 Hann, mono mean; {bench.described}. *Italic*: worse than fast Griffin-Lim with "
        "as many iterations.\n\n"
        + table(("", "iterations", *(f"{kind} {level} dB" for kind, level in kinds)), cells)
        + f"\n\nAgainst fast Griffin-Lim with 100 iterations, soft-raar gains {gains[0]:.1f} dB where noise "
        f"of 2 dB is white and {gains[1]:.1f} dB where it is correlated: errors that neighbouring cells share look "
        "like another sound, and "
        f"no method can tell. {METHOD} trusts its image most, so it is the best on a sound's own "
        "image and not the one for "
        "a noisy image."
    )


def is_wide(audio: F32) -> bool:
    """Whether the side is loud enough to judge."""
    mid, side = np.sum(np.square(audio[0] + audio[1])), np.sum(np.square(audio[0] - audio[1]))
    return bool(side > mid * 10.0 ** (WIDE_DB / 10.0))


def stereo(bench: Bench) -> Section:
    """Ways to keep two channels together."""
    stft, judge = bench.stft("hann", 1024, 256), bench.stft("hann", 2048, 512)
    random = np.random.default_rng(SEED)
    step = 2.0 * np.pi / 16
    scores: dict[str, list[tuple[float, float, float]]] = {}
    for audio in bench.wide:
        spectrum = stft.forward(audio)
        magnitude = np.abs(spectrum)
        mid = np.abs(spectrum.mean(axis=0))[np.newaxis]
        exact = np.angle(spectrum[1] * spectrum[0].conj())[np.newaxis]
        wrong = exact + 0.5 * random.standard_normal(exact.shape)
        ways: dict[str, dict[str, object]] = {
            "each alone, fast Griffin-Lim, random": {"method": "fast-griffin-lim", "start": "random"},
            "each alone": {},
            "one start for both, then each alone": {"stereo": "shared"},
            "with a mid plane": {"stereo": "mid", "mid": mid},
            "with a phase difference, exact": {"stereo": "difference", "difference": exact},
            "… of 4 bits": {"stereo": "difference", "difference": np.round(exact / step) * step},
            "… with noise of 0.5 rad": {"stereo": "difference", "difference": wrong},
        }
        for name, settings in ways.items():
            back = ours(magnitude, stft, 100, **({"stereo": "independent"} | settings))
            scores.setdefault(name, []).append(
                (
                    convergence_db(back, magnitude, stft),
                    fidelity.coherence_error(back, audio, judge),
                    fidelity.mono_sum_error_db(back, audio),
                )
            )
    rows = []
    for name, results in scores.items():
        convergence, coherence, mono = np.array(results).T
        quantiles = (f"{value:.3f}" for value in (np.median(mono), np.quantile(mono, 0.9)))
        rows.append(
            (name, f"{convergence.mean():.1f}", f"{coherence.mean():.3f}", f"{mono.mean():.3f}", *quantiles)
        )
    with_mid = np.array(scores["with a mid plane"])
    targets = [
        Target(f"{what} with a mid plane, {kind}", limit, float(average(with_mid[:, column])))
        for what, limit, column in (("mono-sum error, dB", 0.05, 2), ("coherence error", 0.01, 1))
        for kind, average in (("mean", np.mean), ("median", np.median))
    ]
    made = "; some made wide by adding another sound as their side" if bench.audio is None else ""
    return targets, (
        f"## Stereo\n\n{len(bench.wide)} sounds whose side is louder than {WIDE_DB:g} dB relative "
        f"to their mid{made}; "
        f"1024/256 Hann, 100 iterations of {METHOD} from {START} unless said. *Coherence*: how much "
        "the likeness of left "
        "and right has changed, 0 to 1. *Mono*: how much louder or softer the sum of both channels "
        "has become, dB. A mean "
        "far above its median comes from a few sounds that keep a wrong sign between their channels.\n\n"
        + table(("", "SC", "coherence", "mono, mean", "median", "worst tenth"), rows)
    )


def maps(bench: Bench) -> Section:
    """Grids, mel images, the crossover and the resampler."""
    return [], "## Maps\n\n" + "\n\n".join(
        (grids(bench), mel_images(bench), crossover(bench), resampler(bench))
    )


def grids(bench: Bench) -> str:
    """The magnitudes of every category's image, to its cells and back."""
    rows = []
    for category, sounds in bench.sounds.items():
        image = category_image(category)
        stft = bench.stft("hann", image.window_samples, image.hop_samples)
        bands = Grid.bands(stft.bins - 1, image.bands, image.linear_bins)
        frames = Grid.frames(stft.frames, min(image.frames, stft.frames), image.dense_frames)
        errors_db, energies_db = [], []
        for sound in sounds:
            power = np.square(np.abs(stft.forward(sound)))[..., :-1]
            pooled = frames.pool(bands.pool(power).swapaxes(1, 2))
            level_db = 10.0 * np.log10(np.maximum(pooled, power.max() * 1e-12))
            back = 10.0 ** (0.1 * bands.spread(frames.spread(level_db).swapaxes(1, 2)))
            loud = power > power.max() * 1e-6
            errors_db.append(np.sqrt(np.mean(np.square(10.0 * np.log10(back[loud] / power[loud])))))
            energies_db.append(abs(10.0 * np.log10(back.sum() / power.sum())))
        rows.append(
            (
                spoken(category),
                f"{stft.window_samples}/{stft.hop_samples}",
                f"{stft.bins - 1} × {stft.frames}",
                f"{bands.cells} × {frames.cells}",
                f"{(stft.bins - 1) * stft.frames / (bands.cells * frames.cells):.1f}",
                f"{np.mean(errors_db):.1f}",
                f"{np.mean(energies_db):.2f}",
            )
        )
    header = ("", "window", "bins × frames", "bands × cells", "times fewer", "level, dB", "energy, dB")
    return (
        "### Grids\n\nThe image of each category, magnitudes alone: to its cells and back. *Level*: "
        "RMS difference over "
        "the bins within 60 dB of the loudest; noise within a cell is lost, and drawn anew on the "
        "way to a sound. *Energy*: "
        "of the whole.\n\n" + table(header, rows)
    )


def mel_images(bench: Bench) -> str:
    """GANSynth's image and back."""
    stft = bench.stft("hann", 2048, 512)
    scale = FixedScale(-100.0, 0.0, reference_magnitude=float(stft.window.sum()) / 2)
    rows = []
    for bands in (None, 1024, 512):
        image = MelImage(stft, scale, bands and MelMap(stft.bins, bands, SAMPLE_RATE))
        row = ["every bin" if bands is None else f"{bands} mel bands"]
        for sounds in bench.sounds.values():
            trips = [(image.synthesise(image.analyse(sound)), sound) for sound in sounds]
            sc = np.mean([convergence_db(back, np.abs(stft.forward(sound)), stft) for back, sound in trips])
            row.append(f"{sc:.0f} / {np.mean([fidelity.si_sdr_db(*trip) for trip in trips]):.0f}")
        rows.append(row)
    return (
        "### Level and instantaneous frequency\n\nGANSynth's image (2048/512 Hann, level down to "
        "-100 dB), to the image "
        "and back without iterations: SC / SI-SDR of the waveform, dB.\n\n"
        + table(("", *map(spoken, bench.sounds)), rows)
    )


def crossover(bench: Bench) -> str:
    """What splitting and joining lose, and what leaks."""
    bands, audio = Crossover(bench.length_samples), noise(bench)
    low, rest = bands.split(audio)
    error = np.linalg.norm(bands.join(low, rest) - audio) / np.linalg.norm(audio)
    size, hop = 8192, 2048
    judge = bench.stft("kaiser", size, hop)
    hertz = np.arange(judge.bins) * (SAMPLE_RATE / size)
    main_lobe_hz = 6 * SAMPLE_RATE / size
    inside = slice(2, (bench.length_samples - size // 2) // hop + 1)  # no frame that sees an end of the sound

    def leak_db(part: F32, where: NDArray) -> float:
        powers = [
            np.square(np.abs(judge.forward(each)[:, inside][..., where])).sum() for each in (part, audio)
        ]
        return float(10.0 * np.log10(powers[0] / powers[1]))

    above = leak_db(bands.interpolate(low), hertz > bands.stop_hz(SAMPLE_RATE) + main_lobe_hz)
    below = leak_db(rest, hertz < bands.edge_hz(SAMPLE_RATE) - main_lobe_hz)
    return (
        f"### Crossover\n\nWhite noise, one low sample for {bands.factor}: split and joined again it differs by "
        f"{20.0 * np.log10(error):.0f} dB. Of what lies above {bands.stop_hz(SAMPLE_RATE):.0f} Hz "
        f"{above:.0f} dB leak into "
        f"the low band, of what lies below {bands.edge_hz(SAMPLE_RATE):.0f} Hz {below:.0f} dB into the rest."
    )


def resampler(bench: Bench) -> str:
    """Cost and error against soxr and scipy."""
    rows = []
    for up, down, rate in ((147, 160, 48_000), (147, 320, 96_000)):
        ways: dict[str, Callable[[F32], NDArray]] = {
            "core": Resampler(up, down),
            "soxr VHQ": partial(with_soxr, rate=rate),
            "scipy resample_poly": partial(scipy.signal.resample_poly, up=up, down=down, axis=1),
        }
        sound = np.random.default_rng(0).standard_normal((2, round(bench.seconds * rate)), dtype=np.float32)
        taken = turns({name: partial(seconds, partial(way, sound)) for name, way in ways.items()}, 21)
        for name, way in ways.items():
            errors = [
                f"{tone_error_db(way, hertz, rate, bench.seconds):.0f}" for hertz in (1_000, 15_000, 19_000)
            ]
            rows.append((f"{rate} → {SAMPLE_RATE} Hz", name, f"{ratio(taken, name, 'core'):.2f}", *errors))
    header = ("", "", "its time ÷ core's", "error at 1 kHz, dB", "15 kHz", "19 kHz")
    return "### Resampler\n\nA stereo sound, one thread.\n\n" + table(header, rows, left=2)


def with_soxr(audio: F32, rate: int) -> F32:
    """soxr's best."""
    return soxr.resample(audio.T, rate, SAMPLE_RATE, quality="VHQ").T


def tone_error_db(way: Callable[[F32], NDArray], hertz: float, rate: int, duration_seconds: float) -> float:
    """A resampled tone against the tone itself, away from the ends."""
    tone, wanted = (
        np.sin(2 * np.pi * hertz * np.arange(round(duration_seconds * each)) / each)
        for each in (rate, SAMPLE_RATE)
    )
    back = way(np.tile(tone.astype(np.float32), (2, 1)))[0, : wanted.size]
    error, whole = ((each[wanted.size // 8 : -wanted.size // 8]) for each in (back - wanted, wanted))
    return float(20.0 * np.log10(np.linalg.norm(error) / np.linalg.norm(whole)))


# --- start-up and pictures


def latency(_: Bench) -> Section:
    """What the first call costs a process."""
    script = Path(__file__).with_name("measure_latency.py")
    command = [sys.executable, str(script)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    first_calls = re.findall(r"first call of every kernel.*\| ([\d.]+) \|", text)
    return [Target("a second process, first call of every kernel, s", 0.5, float(first_calls[0]))], (
        "## Latency\n\nFrom the start of a process to the end of the first call of every kernel; the first process "
        f"compiles, the second finds compiled code.\n\n{text}"
    )


def pictures(bench: Bench) -> Section:
    """A kick, a snare and a hat: the original, the draft's way, ours. Synthesised, so that anyone may print them."""
    folder = bench.out.parent / bench.out.stem
    folder.mkdir(parents=True, exist_ok=True)
    kaiser, hann = bench.stft("kaiser", 512, 128), bench.stft("hann", 1024, 256)
    lines = []
    for category in ("kick", "snare", "hat_closed"):
        original = align(synth.synthesise(category, SEED, 0), bench.length_samples)
        original = np.tile(original.mean(axis=0), (2, 1))
        columns = [Column("original", "synthesised, mono", original)]
        wanted = np.abs(kaiser.forward(original[:1]))
        draft = variant(DRAFT_VARIANT)(wanted, kaiser, 100)
        ours_now = np.abs(hann.forward(original[:1]))
        for title, stft, magnitude, audio in (
            ("the draft's way", kaiser, wanted, draft),
            (f"{METHOD} from {START}", hann, ours_now, ours(ours_now, hann, 100)),
        ):
            sc = convergence_db(audio, magnitude, stft)
            caption = f"{stft.window_samples}/{stft.hop_samples}, 100 iterations: SC {sc:.1f} dB"
            columns.append(Column(title, caption, np.tile(audio, (2, 1))))
        name = spoken(category)
        picture = folder / f"{category}.png"
        picture.write_bytes(small(comparison_png(columns, title=f"{name}: from magnitudes back to sound")))
        lines.append(f"![{name}: original, the draft's way, the core's way]({folder.name}/{picture.name})")
    return [], "## Pictures\n\nGrey behind the waveforms: the original.\n\n" + "\n\n".join(lines)


def small(png: bytes) -> bytes:
    """A picture for a document: narrower and of few colours."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    height = round(image.height * PICTURES_WIDTH / image.width)
    image = image.resize((PICTURES_WIDTH, height), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.quantize(PICTURES_COLOURS, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


SECTIONS: dict[str, Callable[[Bench], Section]] = {
    "speed": speed,
    "encode": encode,
    "phase": phase,
    "noise": with_noise,
    "stereo": stereo,
    "maps": maps,
    "latency": latency,
    "pictures": pictures,
}

if __name__ == "__main__":
    main()
