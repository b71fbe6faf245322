"""Many steady sines, each with an amplitude of its own course."""

# numba infers the types of kernels from their arguments; annotations would only promise what nothing checks.
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np

from dsp.kernels import jit


@jit
def add_sines(turns, phases, amplitude, hop, silent, cosine, sine, out):
    """out[n] += the sum over lines of amplitude[line, n / hop] · cos(2π · (turns[line] · n + phases[line])).

    `turns` are cycles a sample. The amplitude is linear between frames; where a line stays under `silent` for a whole
    hop nothing is computed. cosine and sine [hop] are scratch. A table of one hop for each line, turned by its phase at
    the start of every hop, leaves a loop over samples that the compiler vectorises.
    """
    frames = amplitude.shape[1]
    samples = out.shape[0]
    for line in range(turns.shape[0]):
        step = 2.0 * np.pi * turns[line]
        for n in range(hop):
            cosine[n] = np.cos(step * n)
            sine[n] = np.sin(step * n)
        course = amplitude[line]
        for m in range(frames):
            start = m * hop
            if start >= samples:
                break
            first = course[m]
            last = course[min(m + 1, frames - 1)]
            if first < silent and last < silent:
                continue
            cycles = turns[line] * start + phases[line]
            angle = 2.0 * np.pi * (cycles - np.floor(cycles))
            re = np.float32(np.cos(angle))
            im = np.float32(np.sin(angle))
            slope = np.float32((last - first) / hop)
            end = min(hop, samples - start)
            part = out[start : start + end]
            for n in range(end):
                part[n] += (first + slope * np.float32(n)) * (re * cosine[n] - im * sine[n])
