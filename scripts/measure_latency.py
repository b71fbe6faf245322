"""How long the core takes to get going: imports, and the first call of every kernel.

    python scripts/measure_latency.py

Prints a table of two processes: the first compiles every kernel, the second finds all of them in the cache, as every
process does but the first after an installation. The cache stands in a temporary folder. Where scipy is installed,
which samplegan does not ask for, pyfftw and numba import parts of it, and take some 0.2 s longer.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
import time

ROWS = (
    ("numpy", "import numpy"),
    ("numba", "import numba"),
    ("pyfftw", "import pyfftw"),
    ("dsp", "import dsp's modules"),
    ("kernels", "first call of every kernel"),
)
MODULES = (
    "dsp.phase",
    "dsp.stft",
    "dsp.scale",
    "dsp.grid",
    "dsp.loudness",
    "dsp.pitch",
    "dsp.mel",
    "dsp.crossover",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    if parser.parse_args().child:
        print(json.dumps(child()))
        return
    with tempfile.TemporaryDirectory() as cache:
        first, second = (process(cache) for _ in range(2))
    print("| seconds | first process | second process |\n|---|--:|--:|")
    for key, row in ROWS:
        print(f"| {row} | {first['seconds'][key]:.2f} | {second['seconds'][key]:.2f} |")
    beyond = [
        sum(run["seconds"][key] for key, _ in ROWS if key not in ("numpy", "numba"))
        for run in (first, second)
    ]
    print(f"| **all beyond numba's own import** | {beyond[0]:.2f} | **{beyond[1]:.2f}** |")
    print(f"\n{first['kernels']} kernels and signatures; from the cache: {second['hits']}", end="")
    print(f"; never called: {', '.join(first['uncalled'])}" if first["uncalled"] else "")


def process(cache: str) -> dict:
    environment = os.environ | {"NUMBA_CACHE_DIR": cache, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--child"]
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)


def child() -> dict:
    seconds = {}
    for name in ("numpy", "numba", "pyfftw"):
        start = time.perf_counter()
        importlib.import_module(name)
        seconds[name] = time.perf_counter() - start
    start = time.perf_counter()
    for name in MODULES:
        importlib.import_module(name)
    seconds["dsp"] = time.perf_counter() - start
    start = time.perf_counter()
    call_everything()
    seconds["kernels"] = time.perf_counter() - start
    kernels = all_kernels()
    return {
        "seconds": seconds,
        "kernels": sum(len(kernel.signatures) for kernel in kernels.values()),
        "uncalled": [name for name, kernel in kernels.items() if not kernel.signatures],
        "hits": sum(sum(kernel.stats.cache_hits.values()) for kernel in kernels.values()),
    }


def all_kernels() -> dict:
    """Every jitted function of dsp.kernels by name, under its own module."""
    from numba.core.dispatcher import Dispatcher

    import dsp.kernels

    kernels = {}
    for entry in pkgutil.iter_modules(dsp.kernels.__path__):
        module = importlib.import_module(f"dsp.kernels.{entry.name}")
        for name, value in vars(module).items():
            if isinstance(value, Dispatcher) and value.py_func.__module__ == module.__name__:
                kernels[f"{entry.name}.{name}"] = value
    return kernels


def call_everything() -> None:
    """The public functions of the core on sounds so short that they take no time themselves."""
    import numpy as np

    from dsp import loudness, phase, pitch
    from dsp.crossover import Crossover
    from dsp.grid import Grid
    from dsp.kernels import waveform
    from dsp.scale import FixedScale
    from dsp.stft import Stft, window

    samples = 3_000
    time_s = np.arange(samples) / 44_100
    kick = np.sin(2 * np.pi * 150 * time_s) * np.exp(-time_s / 0.05)
    audio = np.stack([kick, 0.5 * kick]).astype(np.float32)
    stft = Stft(samples, window("hann", 256), 64)
    spectrum = stft.forward(audio)
    stft.inverse(spectrum)
    magnitude = np.abs(spectrum)
    scale = FixedScale(-90.0, 40.0)
    scale.from_image(scale.to_image(magnitude))
    scale.encode(stft, audio)
    stft.power(audio)
    grid = Grid.bands(stft.bins, 40, 8)
    grid.spread(grid.pool(magnitude))
    mid = np.abs(stft.forward(audio.mean(axis=0)[np.newaxis]))
    stereo = magnitude[np.newaxis]
    phase.reconstruct(stereo, stft, iterations=3, tail_iterations=1)
    phase.reconstruct(stereo, stft, iterations=3, tail_iterations=1, stereo="mid", mid=mid)
    phase.reconstruct(stereo, stft, iterations=1, method="rtisi-la")
    crossover = Crossover(samples, 32)
    crossover.join(*crossover.split(audio))
    loudness.momentary_maximum_lufs(audio)
    loudness.true_peak(audio)
    pitch.pitch_and_sweep(audio[0])
    waveform.isolated_steps(audio[0], 32, 14.0, 0.01, np.array([0, 100]))
    waveform.flat_runs(audio[0], np.float32(0.999), 3)


if __name__ == "__main__":
    main()
