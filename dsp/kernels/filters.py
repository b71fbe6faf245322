"""Resampling by a polyphase filter."""

# numba infers the types of kernels from their arguments; annotations would only promise what nothing checks.
# mypy: allow-untyped-defs, allow-untyped-calls

from dsp.kernels import jit


@jit
def polyphase(streams, phases, starts, rows):
    """rows[row, k] = the sum over taps of phases[row, tap] * signal[starts[row] + tap + k * down].

    The signal is dealt out to `down` streams, `streams[n % down, n // down]`, so that what one tap of one row
    reads is contiguous. The inner loop runs along the row, not along the taps: without fastmath a sum is
    never vectorised, and this way each value is summed in the order of the taps whatever the processor.
    """
    down = streams.shape[0]
    for row in range(rows.shape[0]):
        target = rows[row]
        target[:] = 0.0
        for tap in range(phases.shape[1]):
            position = starts[row] + tap
            first = position // down
            source = streams[position % down, first : first + target.shape[0]]
            weight = phases[row, tap]
            for k in range(target.shape[0]):
                target[k] += weight * source[k]
