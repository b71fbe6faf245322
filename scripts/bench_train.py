"""Measures a training step and writes docs/training.md.

    python scripts/bench_train.py                                              # kicks, body-gan
    python scripts/bench_train.py --category snare --architecture stereo-dcgan # other sections stay as they are

On sounds that the synthesiser makes on the spot. All contenders take turns, one step each, and so does a plain product
of two matrices, which is what a processor can do at best: what is printed are medians over the rounds, of ratios within
a round where two times are compared. On a busy machine the times mean little; the ratios mean more.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from document_sections import read_sections, signature, table, write_sections
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from samplegan.categories import CATEGORIES
from samplegan.config import Pack, Source, Training, completed
from samplegan.dataset import prepare
from samplegan.gan import ARCHITECTURES
from samplegan.gan.players import Players, build_players
from samplegan.representation import representation_for

DOCUMENT = Path("docs/training.md")
SOUNDS, SEED = 64, 20_000
BATCHES = (8, 16, 32)
PRECISIONS = ("float32", "bfloat16")
MATRIX = 1024  # rows and columns of the product
MEMORY_STEPS = 6
INTRODUCTION = f"""# Training, measured

What a training step costs, and how much of what the processor can do it uses. A step encodes and decodes a batch; with
the game it also updates a discriminator, and is judged by it. *GFLOP/s*: multiplications and additions of convolutions
and matrix products, forward and backward, as `torch.utils.flop_counter` counts them, over the whole time of the step.
*Share*: of the rate at which as many threads multiply two matrices of {MATRIX} × {MATRIX} in the same precision, in the
same rounds. *Times as fast*: images a second, as the first row of the same kind of step, round by round.
"""

F64 = NDArray[np.float64]
Kinds = dict[str, int]  # of steps in words, and the number of a step of this kind


@dataclass(frozen=True)
class Contender:
    """A way to train."""

    batch: int
    precision: str
    threads: int = 1
    channels_last: bool = True

    @property
    def cells(self) -> tuple[str, ...]:
        layout = "channels last" if self.channels_last else "contiguous"
        return str(self.batch), self.precision, layout, str(self.threads)


def main() -> None:
    """Measure and write, or, as a child, say how much memory a training takes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--category", choices=list(CATEGORIES), default="kick")
    parser.add_argument("--architecture", choices=ARCHITECTURES, default=Training().architecture)
    parser.add_argument("--threads", type=int, default=2, help="beside one")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=DOCUMENT)
    parser.add_argument("--memory-of-batch", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    training = Training(architecture=given.architecture)
    if given.memory_of_batch is not None:
        print(peak_megabytes(given.category, training, given.memory_of_batch))
        return
    # First of all: a child's peak is never less than what its parent holds when it begins.
    memory = memory_table(given.category, given.architecture)
    with tempfile.TemporaryDirectory() as folder:
        text = speed_text(given.category, training, given.threads, given.rounds, Path(folder))
    command = (
        f"python scripts/bench_train.py --category {given.category} --architecture {given.architecture} "
        f"--threads {given.threads} --rounds {given.rounds}"
    )
    words = CATEGORIES[given.category].plural.replace("_", " ")
    section = f"## `{given.architecture}`, {words}\n\n{text}\n\n{memory}\n\n{signature(command)}"
    print(section)
    name = f"{given.architecture}-{given.category}"
    sections = read_sections(given.out) | {name: section}
    write_sections(given.out, INTRODUCTION, dict(sorted(sections.items())))


def players_of(category: str, training: Training, cache: Path) -> Players:
    """Players with synthesised sounds; the images are kept in the folder `cache`."""
    source = Source(synth=category, count=SOUNDS, seed=SEED)
    pack = completed(Pack(category=category, sources=(source,), training=training))
    assert pack.image is not None and pack.length_seconds is not None
    representation = representation_for(pack.image, pack.length_seconds)
    data = prepare(pack, cache, representation, cache)
    return build_players(training, representation, data, torch.device("cpu"))


def kinds_of(training: Training) -> Kinds:
    """The kinds of steps of an architecture."""
    if training.architecture != "body-gan":
        return {"a step": 1}
    with_game = -(-training.game_from_step // training.game_every_steps) * training.game_every_steps
    return {"encoding and decoding": 1, "with the game": with_game}


# --- memory


def peak_megabytes(category: str, training: Training, batch: int) -> str:
    """Of this process, after some steps and a validation; of its imports and the sounds alone for a batch of 0."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        players = players_of(category, replace(training, batch=batch or 2), Path(folder))
        if batch:
            for step in kinds_of(training).values():
                for more in range(0, MEMORY_STEPS, 2):
                    players.step(step + more, measure=False)
            players.validate()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f"{peak / (1024**2 if sys.platform == 'darwin' else 1024):.0f}"  # Linux counts in KiB


def memory_table(category: str, architecture: str) -> str:
    """Peak memory of a process that trains, for every batch."""
    command = [sys.executable, __file__, "--category", category, "--architecture", architecture]
    rows = []
    for batch in (0, *BATCHES):
        whole = [*command, "--memory-of-batch", str(batch)]
        peak = subprocess.run(whole, check=True, capture_output=True, text=True).stdout.strip()
        rows.append((f"batch of {batch}" if batch else "imports and sounds alone", peak))
    return (
        f"Peak memory of a process that trains on one thread and validates, with {SOUNDS} sounds. The images of more "
        f"lie in a file, whose pages the system counts but may take back.\n\n{table(('', 'MB'), rows)}"
    )


# --- speed


def contenders_of(training: Training, precision: str, threads: int) -> list[Contender]:
    """The default on one thread, and what differs from it in one thing, or in precision and one more."""
    other = PRECISIONS[1 - PRECISIONS.index(precision)]
    default = training.batch
    return [
        Contender(default, precision),
        Contender(default, other),
        Contender(default, precision, channels_last=False),
        Contender(default, other, channels_last=False),
        *(Contender(batch, precision) for batch in BATCHES if batch != default),
        *(Contender(default, each, threads) for each in (precision, other) if threads > 1),
    ]


def built(contender: Contender, category: str, training: Training, cache: Path) -> Players:
    """Players that train in this way."""
    settings = replace(training, batch=contender.batch, precision=contender.precision)
    players = players_of(category, settings, cache)
    if not contender.channels_last:
        for network in players.modules().values():
            network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        batch = players.data.batch
        players._real_batch = lambda *drawn: torch.from_numpy(batch(*drawn))  # type: ignore[method-assign]
    return players


def giga_operations(players: Players, step: int) -> float:
    """Of one step, in units of 10^9."""
    with FlopCounterMode(display=False) as counter:
        players.step(step, measure=False)
    return counter.get_total_flops() / 1e9


def seconds(run: Callable[[], object], threads: int) -> float:
    """Of one call on so many threads."""
    torch.set_num_threads(threads)
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def turns(contenders: dict[object, Callable[[], float]], rounds: int) -> dict[object, F64]:
    """Each contender's seconds, [round]; a first round, in which memory is taken, does not count."""
    taken = [[contender() for contender in contenders.values()] for _ in range(rounds + 1)][1:]
    return dict(zip(contenders, np.array(taken).T, strict=True))


def speed_text(category: str, training: Training, threads: int, rounds: int, cache: Path) -> str:
    """Steps of every kind in every way, and matrix products, in turns."""
    torch.set_num_threads(1)
    default = "bfloat16" if players_of(category, training, cache).low_precision else "float32"
    kinds, contenders = kinds_of(training), contenders_of(training, default, threads)
    players = {contender: built(contender, category, training, cache) for contender in contenders}
    work = {
        (contender.batch, kind): giga_operations(players[contender], step)
        for contender in contenders
        for kind, step in kinds.items()
    }
    runs: dict[object, Callable[[], float]] = {}
    for contender, kind in itertools.product(contenders, kinds):
        step = partial(players[contender].step, kinds[kind], measure=False)
        runs[contender, kind] = partial(seconds, step, contender.threads)
    products = sorted({(contender.precision, contender.threads) for contender in contenders})
    for precision, count in products:
        matrix = torch.randn(MATRIX, MATRIX, dtype=getattr(torch, precision))
        runs[precision, count] = partial(seconds, partial(torch.mm, matrix, matrix), count)
    taken = turns(runs, rounds)
    rates = {product: 2 * MATRIX**3 / 1e9 / taken[product] for product in products}  # GFLOP/s, [round]

    sizes = {
        name: sum(weight.numel() for weight in network.parameters())
        for name, network in players[contenders[0]].modules().items()
    }
    text = [
        f"{sizes['generator'] / 1e6:.2f} million weights of the generator and what it learns by, "
        f"{sizes['discriminator'] / 1e6:.2f} of the discriminator. "
        f"What is fast on this processor, and so the default: {default}.",
        "Matrix products:\n\n"
        + table(
            ("", "threads", "GFLOP/s"),
            [
                (precision, count, f"{np.median(rates[precision, count]):.0f}")
                for precision, count in products
            ],
        ),
    ]
    for kind in kinds:
        size = f"{work[training.batch, kind]:.1f} GFLOP a step of {training.batch} images."
        text.append(
            f"### {kind.capitalize()}\n\n{size}\n\n{kind_table(kind, contenders, taken, work, rates)}"
        )
    if len(kinds) > 1:
        every = training.game_every_steps
        plain, game = (taken[contenders[0], kind] for kind in kinds)
        mean = np.median((plain * (every - 1) + game) / every)
        text.append(
            f"From step {training.game_from_step:,} on, with the game every {every} steps, the first row is "
            f"{1000 * mean:.0f} ms a step and {training.batch / mean:.0f} images a second."
        )
    return "\n\n".join(text)


def kind_table(
    kind: str,
    contenders: Sequence[Contender],
    taken: Mapping[object, F64],
    work: Mapping[tuple[int, str], float],
    rates: Mapping[tuple[str, int], F64],
) -> str:
    """Every way to do one kind of step, beside the first."""
    a_sound = taken[contenders[0], kind] / contenders[0].batch  # seconds, [round]
    rows = []
    for contender in contenders:
        times = taken[contender, kind]
        achieved = work[contender.batch, kind] / times
        share = achieved / rates[contender.precision, contender.threads]
        rows.append(
            (
                *contender.cells,
                f"{1000 * np.median(times):.0f}",
                f"{contender.batch / np.median(times):.0f}",
                f"{np.median(achieved):.0f}",
                f"{np.median(share):.0%}",
                f"{np.median(a_sound * contender.batch / times):.2f}",
            )
        )
    header = (
        "batch",
        "precision",
        "layout",
        "threads",
        "ms",
        "images/s",
        "GFLOP/s",
        "share",
        "times as fast",
    )
    return table(header, rows, left=3)


if __name__ == "__main__":
    main()
