"""Phase gradient heap integration, with a bucket queue for the heap."""

# numba infers the types of kernels from their arguments; annotations would only promise what nothing checks.
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np

from dsp.kernels import jit


@jit
def integrate_phase(
    bucket, frame_step, bin_step, heads, following, queue_heads, queue_following, done, phase
):
    """Spread phase from loud cells to their neighbours, loudest first.

    bucket [frame, bin] is a cell's loudness in small steps, -1 for cells too quiet to integrate through,
    whose phase is left as it stands. frame_step and bin_step are the phase differences per frame and per bin
    at every cell. heads and queue_heads [bucket] and following and queue_following [cell] are linked lists
    (-1 ends one): all cells by bucket, and the queue; done [cell] starts false. A bucket queue replaces the
    published heap: within one small step of loudness the order is free, and the whole integration is linear
    in the number of cells.
    """
    frames, bins = bucket.shape
    for cell in range(frames * bins):
        b = bucket[cell // bins, cell % bins]
        if b >= 0:
            following[cell] = heads[b]
            heads[b] = cell
    half = np.float32(0.5)
    for seed_bucket in range(heads.shape[0] - 1, -1, -1):
        seed_cell = heads[seed_bucket]
        while seed_cell >= 0:
            m = seed_cell // bins
            k = seed_cell % bins
            next_seed = following[seed_cell]
            if not done[m, k]:
                # A new island: its phase starts from the random value that already stands in `phase`.
                done[m, k] = True
                queue_following[seed_cell] = queue_heads[seed_bucket]
                queue_heads[seed_bucket] = seed_cell
                top = seed_bucket
                while top >= 0:
                    cell = queue_heads[top]
                    if cell < 0:
                        top -= 1
                        continue
                    queue_heads[top] = queue_following[cell]
                    m = cell // bins
                    k = cell % bins
                    here = phase[m, k]
                    for direction in range(4):
                        m2 = m
                        k2 = k
                        if direction == 0:
                            m2 = m + 1
                        elif direction == 1:
                            m2 = m - 1
                        elif direction == 2:
                            k2 = k + 1
                        else:
                            k2 = k - 1
                        if m2 < 0 or m2 >= frames or k2 < 0 or k2 >= bins:
                            continue
                        b = bucket[m2, k2]
                        if b < 0 or done[m2, k2]:
                            continue
                        if direction == 0:
                            step = half * (frame_step[m, k] + frame_step[m2, k2])
                        elif direction == 1:
                            step = -half * (frame_step[m, k] + frame_step[m2, k2])
                        elif direction == 2:
                            step = half * (bin_step[m, k] + bin_step[m2, k2])
                        else:
                            step = -half * (bin_step[m, k] + bin_step[m2, k2])
                        phase[m2, k2] = here + step
                        done[m2, k2] = True
                        cell2 = m2 * bins + k2
                        queue_following[cell2] = queue_heads[b]
                        queue_heads[b] = cell2
                        top = max(top, b)
            seed_cell = next_seed
