"""Phase gradient heap integration, with a bucket queue for the heap."""

# numba infers the types of kernels from their arguments; annotations would only promise what nothing checks.
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np

from dsp.kernels import jit

# Cells lie in one flat array of rows, each one cell longer than its frame, between two rows of border: left and right
# neighbour are cell ± 1, the frames before and after cell ± width, and the border (bucket -1) ends every way.


@jit
def phase_steps(level, per_bin, per_frame, advance, bucket_scale, bucket, frame_step, bin_step):
    """The phase differences per frame and per bin at every cell, and its bucket.

    level [frame, bin] is the log magnitude, 0 at most; the slopes of it, in cells, times per_bin and per_frame are the
    differences, but for the advance per frame and bin and the half turn per bin of a window that starts at zero.
    Outputs are bordered [frame + 2, bin + 1]; bucket must hold -1.
    """
    frames, bins = level.shape
    top = np.float32(bucket_scale[0])
    slope = np.float32(bucket_scale[1])
    for m in range(frames):
        row = level[m]
        before = level[max(m - 1, 0)]
        after = level[min(m + 1, frames - 1)]
        across = per_frame * (np.float32(0.5) if 0 < m < frames - 1 else np.float32(1.0))
        frame_out = frame_step[m + 1]
        bin_out = bin_step[m + 1]
        bucket_out = bucket[m + 1]
        for k in range(bins):
            bin_out[k] = across * (after[k] - before[k]) - np.float32(np.pi)
        for k in range(bins):
            left = max(k - 1, 0)
            right = min(k + 1, bins - 1)
            along = (row[right] - row[left]) / np.float32(max(right - left, 1))
            frame_out[k] = per_bin * along + advance * np.float32(k)
        for k in range(bins):
            place = top + slope * row[k]
            if place >= np.float32(0.0):
                bucket_out[k] = np.int16(min(place, top - np.float32(1.0)))


@jit
def spread_queue(top, bucket, frame_step, bin_step, width, queue_heads, queue_following, phase):
    """Empty the queue, whose loudest bucket is at most `top`, taking in every neighbour that is not done."""
    half = 0.5
    while top >= 0:
        cell = queue_heads[top]
        if cell < 0:
            top -= 1
            continue
        queue_heads[top] = queue_following[cell]
        here = phase[cell]
        over_frame = frame_step[cell]
        over_bin = bin_step[cell]
        near = cell + width
        b = bucket[near]
        if b >= 0:
            bucket[near] = -1
            phase[near] = here + half * (over_frame + frame_step[near])
            queue_following[near] = queue_heads[b]
            queue_heads[b] = near
            top = max(top, b)
        near = cell - width
        b = bucket[near]
        if b >= 0:
            bucket[near] = -1
            phase[near] = here - half * (over_frame + frame_step[near])
            queue_following[near] = queue_heads[b]
            queue_heads[b] = near
            top = max(top, b)
        near = cell + 1
        b = bucket[near]
        if b >= 0:
            bucket[near] = -1
            phase[near] = here + half * (over_bin + bin_step[near])
            queue_following[near] = queue_heads[b]
            queue_heads[b] = near
            top = max(top, b)
        near = cell - 1
        b = bucket[near]
        if b >= 0:
            bucket[near] = -1
            phase[near] = here - half * (over_bin + bin_step[near])
            queue_following[near] = queue_heads[b]
            queue_heads[b] = near
            top = max(top, b)


@jit
def integrate_phase(
    bucket, frame_step, bin_step, width, known, heads, following, queue_heads, queue_following, phase
):
    """Spread phase from loud cells to their neighbours, loudest first.

    bucket [cell] is a cell's loudness in small steps, -1 for cells too quiet to integrate through, whose phase is left
    as it stands; it is used up. heads and queue_heads [bucket] and following and queue_following [cell] are linked
    lists (-1 ends one): where islands can begin, and the queue. A bucket queue replaces the published heap: within one
    small step of loudness the order is free, and the whole integration is linear in the number of cells. The phase of
    the first `known` cells of every row is given, and comes first.
    """
    # The loudest cell of an island has no louder neighbour: only such cells can begin one.
    for cell in range(width, bucket.shape[0] - width):
        b = bucket[cell]
        loudest = max(
            max(bucket[cell - 1], bucket[cell + 1]), max(bucket[cell - width], bucket[cell + width])
        )
        if b >= 0 and b >= loudest:
            following[cell] = heads[b]
            heads[b] = cell
    if known > 0:
        for row in range(width, bucket.shape[0] - width, width):
            last = row + known - 1
            if bucket[last] >= 0:
                queue_following[last] = queue_heads[bucket[last]]
                queue_heads[bucket[last]] = last
            for cell in range(row, row + known):
                bucket[cell] = -1
        top = heads.shape[0] - 1
        spread_queue(top, bucket, frame_step, bin_step, width, queue_heads, queue_following, phase)
    for seed_bucket in range(heads.shape[0] - 1, -1, -1):
        seed_cell = heads[seed_bucket]
        while seed_cell >= 0:
            if bucket[seed_cell] >= 0:
                # A new island: its phase starts from the random value that already stands in `phase`.
                bucket[seed_cell] = -1
                queue_following[seed_cell] = queue_heads[seed_bucket]
                queue_heads[seed_bucket] = seed_cell
                spread_queue(
                    seed_bucket, bucket, frame_step, bin_step, width, queue_heads, queue_following, phase
                )
            seed_cell = following[seed_cell]


@jit
def principal_values(phase, out):
    """out [frame, bin] = the bordered phase in [-π, π]."""
    turn = 2.0 * np.pi
    for m in range(out.shape[0]):
        source = phase[m + 1]
        row = out[m]
        for k in range(out.shape[1]):
            value = source[k]
            row[k] = value - turn * np.rint(value / turn)
