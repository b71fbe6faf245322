"""Every compiled loop of the core. A kernel never validates, allocates results or decides; its caller does.

Kernels are plain functions jitted by name, so that tests can run the un-jitted twin (``kernel.py_func``). All
of them release the interpreter lock. Array names ending in ``_re`` and ``_im`` are the planes of a complex
array: planes, and slices taken once per row, are what lets the compiler vectorise.
"""

# numba infers the types of kernels from their arguments; annotations would only promise what nothing checks.
# mypy: allow-untyped-defs, allow-untyped-calls

from collections.abc import Callable
from functools import partial
from typing import Any

import numba
import numpy as np


def jit(function: Callable[..., Any]) -> Any:
    """Compile ``function`` on its first call and remember the result on disk when some place is writable.

    numba keeps compiled code beside the module or, failing that, in the user's cache folder, and raises when
    it may write to neither (a read-only install run by a user without a home). Only start-up time is lost
    then.
    """
    # No fastmath: it leaves rounding to the optimiser, and code compiled in this process rounded otherwise than the
    # same code loaded from the cache, so that a first render differed from every later one.
    compiled = partial(numba.njit, nogil=True, error_model="numpy")
    try:
        return compiled(cache=True)(function)
    except RuntimeError:  # "no locator available"
        return compiled()(function)


# --- framing and overlap-add


@jit
def frame_real(padded, window, hop_samples, first_frame, out):
    """out[row] = window * the padded sound from (first_frame + row) * hop_samples."""
    window_samples = window.shape[0]
    for row in range(out.shape[0]):
        start = (first_frame + row) * hop_samples
        segment = padded[start : start + window_samples]
        target = out[row]
        for i in range(window_samples):
            target[i] = segment[i] * window[i]


@jit
def overlap_real(frames, window, hop_samples, first_frame, padded):
    """The adjoint of frame_real: add every windowed row to the padded sound."""
    window_samples = window.shape[0]
    for row in range(frames.shape[0]):
        start = (first_frame + row) * hop_samples
        segment = padded[start : start + window_samples]
        source = frames[row]
        for i in range(window_samples):
            segment[i] += source[i] * window[i]


# A pair of frames is one flat row of 2N values, real and imaginary parts in turn. Flat, and indexed by
# unsigned numbers: only then does the compiler see a constant stride without wrap-around, and vectorise
# (four times as fast).

ONE = np.uint64(1)
TWO = np.uint64(2)


@jit
def frame_pairs(padded, window, hop_samples, first_frame, out):
    """Pack frames in twos: the real parts of out[pair] are an even frame, the imaginary the odd one after."""
    window_samples = window.shape[0]
    for pair in range(out.shape[0]):
        start = (first_frame + 2 * pair) * hop_samples
        even = padded[start : start + window_samples]
        odd = padded[start + hop_samples : start + hop_samples + window_samples]
        target = out[pair]
        for sample in range(window_samples):
            i = np.uint64(sample)
            target[TWO * i] = even[i] * window[i]
            target[TWO * i + ONE] = odd[i] * window[i]


@jit
def overlap_pairs(frames, window, hop_samples, first_frame, padded, rows):
    """The adjoint of frame_pairs. rows [2, sample] is scratch, to part the frames before they are added."""
    window_samples = window.shape[0]
    even_row = rows[0]
    odd_row = rows[1]
    for pair in range(frames.shape[0]):
        start = (first_frame + 2 * pair) * hop_samples
        source = frames[pair]
        for sample in range(window_samples):
            i = np.uint64(sample)
            even_row[i] = source[TWO * i] * window[i]
            odd_row[i] = source[TWO * i + ONE] * window[i]
        even = padded[start : start + window_samples]
        for n in range(window_samples):
            even[n] += even_row[n]
        odd = padded[start + hop_samples : start + hop_samples + window_samples]
        for n in range(window_samples):
            odd[n] += odd_row[n]


@jit
def multiply_in_place(values, factors):
    for i in range(values.shape[0]):
        values[i] *= factors[i]


# --- phase projection
#
# Two real frames a and b travel through one complex FFT as a + ib. With Z = FFT(a + ib) and Z' = Z[N - k],
#     A = (Z + conj Z') / 2,    B = (Z - conj Z') / 2i,    and back    Z = A + iB,    Z' = conj A + i conj B.
# Scaling is left to the caller: the factor 1/2 is applied here, 1/N with the overlap-add normalisation.
#
# Under the square root stands TINY so that a silent cell stays silent instead of dividing by zero; float32
# holds it and it lies 300 dB below a cell of magnitude one.

TINY = np.float32(1e-30)


@jit
def pack_pairs(re, im, packed):
    """packed[pair] = the spectrum of (even + i·odd) for the half spectra re + i·im [frame, bin]."""
    for pair in range(packed.shape[0]):
        pack_pair(re[2 * pair], im[2 * pair], re[2 * pair + 1], im[2 * pair + 1], packed[pair])


@jit
def pack_pair(a_re, a_im, b_re, b_im, z):
    """z, flat [2N], = the spectrum of two frames as one complex frame."""
    half = z.shape[0] // 4
    z[0] = a_re[0]
    z[1] = b_re[0]
    z[2 * half] = a_re[half]
    z[2 * half + 1] = b_re[half]
    a_re, a_im, b_re, b_im = a_re[1:half], a_im[1:half], b_re[1:half], b_im[1:half]
    lower = z[2 : 2 * half]
    upper = z[2 * half + 2 :]
    last = np.uint64(half - 2)
    for row in range(half - 1):
        k = np.uint64(row)
        lower[TWO * k] = a_re[k] - b_im[k]
        lower[TWO * k + ONE] = a_im[k] + b_re[k]
    for row in range(half - 1):
        k = np.uint64(row)
        mirrored = last - k
        upper[TWO * k] = a_re[mirrored] + b_im[mirrored]
        upper[TWO * k + ONE] = b_re[mirrored] - a_im[mirrored]


@jit
def unpack_pair(z, a_re, a_im, b_re, b_im):
    """The half spectra of the two frames in z, flat [2N]; the inverse of pack_pair."""
    half = z.shape[0] // 4
    a_re[0] = z[0]
    b_re[0] = z[1]
    a_re[half] = z[2 * half]
    b_re[half] = z[2 * half + 1]
    for k in (0, half):
        a_im[k] = 0.0
        b_im[k] = 0.0
    a_re, a_im, b_re, b_im = a_re[1:half], a_im[1:half], b_re[1:half], b_im[1:half]
    lower = z[2 : 2 * half]
    upper = z[2 * half + 2 :]
    last = np.uint64(half - 2)
    scale = np.float32(0.5)
    for row in range(half - 1):
        k = np.uint64(row)
        mirrored = last - k
        p = lower[TWO * k]
        q = lower[TWO * k + ONE]
        r = upper[TWO * mirrored]
        s = upper[TWO * mirrored + ONE]
        a_re[k] = scale * (p + r)
        a_im[k] = scale * (q - s)
        b_re[k] = scale * (q + s)
        b_im[k] = scale * (r - p)


@jit
def accelerate_row(re, im, old_re, old_im, magnitude, momentum):
    """One fast Griffin-Lim step on a row: extrapolate by the last change, remember, project."""
    for k in range(re.shape[0]):
        new_re = re[k]
        new_im = im[k]
        y_re = new_re + momentum * (new_re - old_re[k])
        y_im = new_im + momentum * (new_im - old_im[k])
        old_re[k] = new_re
        old_im[k] = new_im
        factor = magnitude[k] / np.sqrt(y_re * y_re + y_im * y_im + TINY)
        re[k] = y_re * factor
        im[k] = y_im * factor


@jit
def reflect_row(re, im, x_re, x_im, magnitude, relaxation, out_reflects):
    """One RAAR step on a row: x ← β(x + z) + (1 - 2β)·P(x), and 2P(x) - x (or P(x), at the end) for the next
    round.

    re and im hold z, the consistent spectrum nearest to 2P(x) - x, and are overwritten.
    """
    blend = np.float32(1.0) - np.float32(2.0) * relaxation
    outer = np.float32(1.0) + out_reflects
    for k in range(re.shape[0]):
        u = x_re[k]
        v = x_im[k]
        factor = blend * magnitude[k] / np.sqrt(u * u + v * v + TINY)
        new_re = relaxation * (u + re[k]) + factor * u
        new_im = relaxation * (v + im[k]) + factor * v
        x_re[k] = new_re
        x_im[k] = new_im
        factor = outer * magnitude[k] / np.sqrt(new_re * new_re + new_im * new_im + TINY) - out_reflects
        re[k] = new_re * factor
        im[k] = new_im * factor


@jit
def griffin_lim_pairs(packed, old_re, old_im, magnitude, momentum, rows):
    """Unpack, accelerate, project and pack a block of frame pairs. rows [4, bin] is scratch."""
    for pair in range(packed.shape[0]):
        even = 2 * pair
        odd = even + 1
        unpack_pair(packed[pair], rows[0], rows[1], rows[2], rows[3])
        accelerate_row(rows[0], rows[1], old_re[even], old_im[even], magnitude[even], momentum)
        accelerate_row(rows[2], rows[3], old_re[odd], old_im[odd], magnitude[odd], momentum)
        pack_pair(rows[0], rows[1], rows[2], rows[3], packed[pair])


@jit
def raar_pairs(packed, x_re, x_im, magnitude, relaxation, out_reflects, rows):
    """Unpack, relax, reflect and pack a block of frame pairs. rows [4, bin] is scratch."""
    for pair in range(packed.shape[0]):
        even = 2 * pair
        odd = even + 1
        unpack_pair(packed[pair], rows[0], rows[1], rows[2], rows[3])
        reflect_row(rows[0], rows[1], x_re[even], x_im[even], magnitude[even], relaxation, out_reflects)
        reflect_row(rows[2], rows[3], x_re[odd], x_im[odd], magnitude[odd], relaxation, out_reflects)
        pack_pair(rows[0], rows[1], rows[2], rows[3], packed[pair])


# --- phase gradient heap integration


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


# --- decibels


@jit
def magnitude_to_level(magnitude, gain, minimum_db, silent_db, slope, offset, out):
    """out = slope * dB(gain * magnitude) + offset within [-1, 1]; below minimum_db counts as silent_db."""
    factor = np.float32(20.0 / np.log(10.0))
    for i in range(magnitude.shape[0]):
        value = gain * magnitude[i]
        level = silent_db
        if value > 0.0:
            level = factor * np.log(value)
            if level < minimum_db:
                level = silent_db
        out[i] = min(max(slope * level + offset, np.float32(-1.0)), np.float32(1.0))


@jit
def level_to_magnitude(image, slope, offset, gain, silent_at, out):
    """out = gain * 10^((slope * image + offset) / 20), the image clipped to [-1, 1]; 0 up to silent_at."""
    factor = np.float32(np.log(10.0) / 20.0)
    for i in range(image.shape[0]):
        value = min(max(image[i], np.float32(-1.0)), np.float32(1.0))
        out[i] = gain * np.exp(factor * (slope * value + offset)) if value > silent_at else np.float32(0.0)


# --- cells


@jit
def pool_rows(power, starts, counts, weights, out):
    """out[row, cell] = the weighted sum of the counts[cell] points from starts[cell]."""
    for row in range(power.shape[0]):
        source = power[row]
        for cell in range(starts.shape[0]):
            segment = source[starts[cell] : starts[cell] + counts[cell]]
            total = np.float32(0.0)
            for i in range(counts[cell]):
                total += weights[cell, i] * segment[i]
            out[row, cell] = total


@jit
def spread_rows(level, left, fraction, out):
    """out[row, i] = level at left[i] and its right neighbour, mixed by fraction[i]."""
    last = level.shape[1] - 1
    for row in range(level.shape[0]):
        source = level[row]
        for i in range(left.shape[0]):
            lower = source[left[i]]
            upper = source[min(left[i] + 1, last)]
            out[row, i] = lower + fraction[i] * (upper - lower)


# --- loudness and pitch


@jit
def biquads(audio, sections, out):
    """Direct form II transposed, in double precision: `audio[channel, sample]` through `sections[section, b0
    b1 b2 a1 a2]`.

    `out[channel, sample]` may be longer than the audio; the filters then ring on into the zeros behind it.
    """
    channels, samples = audio.shape
    count = sections.shape[0]
    for channel in range(channels):
        state = np.zeros((count, 2))
        for sample in range(out.shape[1]):
            value = np.float64(audio[channel, sample]) if sample < samples else 0.0
            for section in range(count):
                b0, b1, b2, a1, a2 = sections[section]
                filtered = b0 * value + state[section, 0]
                state[section, 0] = b1 * value - a1 * filtered + state[section, 1]
                state[section, 1] = b2 * value - a2 * filtered
                value = filtered
            out[channel, sample] = value


@jit
def largest_window_sum(power, window_samples):
    """The largest sum over any `window_samples` neighbours of `power[sample]`, windows hanging over the ends
    included.
    """
    total = 0.0
    largest = 0.0
    for sample in range(power.shape[0]):
        total += power[sample]
        if sample >= window_samples:
            total -= power[sample - window_samples]
        largest = max(largest, total)
    return largest


@jit
def interpolated_peak(audio, phases, gain_bound):
    """The largest magnitude of `audio[channel, sample]` and of the points that `phases[phase, tap]`
    interpolate.

    Point `phase` behind sample n is the sum over taps of `audio[n - taps // 2 + 1 + tap] · phases[phase,
    tap]`. No such point exceeds `gain_bound` times the largest sample under the filter, so a stretch that is
    too quiet to matter is skipped: exact, and a decaying drum is done in a fraction of the time.
    """
    channels, samples = audio.shape
    taps = phases.shape[1]
    before = taps // 2 - 1
    peak = 0.0
    for channel in range(channels):
        for sample in range(samples):
            peak = max(peak, abs(audio[channel, sample]))
    stretch = 64
    padded = np.zeros(stretch + taps, dtype=audio.dtype)
    for channel in range(channels):
        for first in range(-taps, samples + taps, stretch):
            loudest = 0.0
            for offset in range(stretch + taps):
                source = first - before + offset
                value = audio[channel, source] if 0 <= source < samples else audio.dtype.type(0.0)
                padded[offset] = value
                loudest = max(loudest, abs(value))
            if loudest * gain_bound <= peak:
                continue
            for offset in range(stretch):
                for phase in range(phases.shape[0]):
                    point = 0.0
                    for tap in range(taps):
                        point += padded[offset + tap] * phases[phase, tap]
                    peak = max(peak, abs(point))
    return peak


@jit
def decimate(signal, lowpass, factor, out):
    """Every `factor`-th sample of `signal` convolved with the symmetric `lowpass`, centred; zeros beyond the
    ends.
    """
    reach = lowpass.shape[0] // 2
    for index in range(out.shape[0]):
        centre = index * factor
        first = max(centre - reach, 0)
        last = min(centre + reach, signal.shape[0] - 1)
        total = 0.0
        for sample in range(first, last + 1):
            total += signal[sample] * lowpass[sample - centre + reach]
        out[index] = total


@jit
def periodicity(signal, energy, centre, first_lag, similarity):
    """How alike two neighbouring stretches around `centre` are, for each lag from `first_lag` on: -1 … 1.

    The stretches are 1.5 lags long (a period and a half) and one lag apart, so the time resolution follows the
    period. The normalisation by the geometric mean of both energies makes a decaying sine as periodic as a
    steady one. `energy[n]` is the sum of the squares of the first n samples. Lags for which a stretch would
    leave the signal get -1.
    """
    samples = signal.shape[0]
    for index in range(similarity.shape[0]):
        lag = first_lag + index
        length = lag + lag // 2
        start = centre - (length + lag) // 2
        if start < 0 or start + length + lag > samples:
            similarity[index] = -1.0
            continue
        early = signal[start : start + length]
        late = signal[start + lag : start + lag + length]
        product = np.float32(0.0)
        for offset in range(length):
            product += early[offset] * late[offset]
        both = (energy[start + length] - energy[start]) * (energy[start + lag + length] - energy[start + lag])
        similarity[index] = product / np.sqrt(both) if both > 1e-24 else 0.0


@jit
def isolated_steps(signal, reach, threshold, floor, skip):
    """Count samples whose second difference stands out from those before *and* after it by `threshold`.

    The neighbourhood is the mean magnitude of `reach` second differences on either side, three next to the
    sample left out; an onset stands out only from what comes before, so it is no click. Magnitudes below
    `floor` and samples from skip[0] to skip[1] do not count. Hits within `reach` of one another count once.
    """
    samples = signal.shape[0]
    bend = np.zeros(samples)
    for sample in range(1, samples - 1):
        bend[sample] = abs(signal[sample - 1] - 2.0 * signal[sample] + signal[sample + 1])
    total = np.zeros(samples + 1)
    for sample in range(samples):
        total[sample + 1] = total[sample] + bend[sample]
    count = 0
    last = -reach - 1
    for sample in range(reach + 3, samples - reach - 3):
        if skip[0] <= sample < skip[1] or bend[sample] < floor:
            continue
        before = (total[sample - 3] - total[sample - 3 - reach]) / reach
        after = (total[sample + 4 + reach] - total[sample + 4]) / reach
        if bend[sample] > threshold * max(before, after):
            if sample - last > reach:
                count += 1
            last = sample
    return count


@jit
def flat_runs(signal, level, shortest):
    """Count runs of at least `shortest` equal samples whose magnitude reaches `level`."""
    count = 0
    length = 0
    for sample in range(signal.shape[0]):
        if abs(signal[sample]) < level:
            length = 0
            continue
        length = length + 1 if length > 0 and signal[sample] == signal[sample - 1] else 1
        if length == shortest:
            count += 1
    return count


@jit
def best_period(signal, centre, first_lag, similarity, near_best):
    """The period at `centre` from what `periodicity` found: (lag in samples with a fraction, similarity, RMS
    level).

    Peaks count only behind the first lag at which the similarity is negative: every signal resembles itself
    at the shortest lags. Of the peaks within `near_best` of the highest the shortest wins. No peak: (0, 0,
    0).
    """
    lags = similarity.shape[0]
    start = 0
    while start < lags and similarity[start] > 0.0:
        start += 1
    highest = 0.0
    for index in range(max(start, 1), lags - 1):
        if similarity[index] >= similarity[index - 1] and similarity[index] > similarity[index + 1] > -1.0:
            highest = max(highest, similarity[index])
    if highest <= 0.0:
        return 0.0, 0.0, 0.0
    for index in range(max(start, 1), lags - 1):
        left, middle, right = similarity[index - 1], similarity[index], similarity[index + 1]
        if middle >= left and middle > right > -1.0 and middle >= near_best * highest:
            curvature = left - 2.0 * middle + right
            shift = 0.5 * (left - right) / curvature if curvature < 0.0 and left > -1.0 else 0.0
            lag = first_lag + index + shift
            reach = first_lag + index
            first = max(centre - reach, 0)
            last = min(centre + reach, signal.shape[0])
            energy = 0.0
            for sample in range(first, last):
                energy += signal[sample] * signal[sample]
            return lag, middle - 0.25 * (left - right) * shift, np.sqrt(energy / (last - first))
    return 0.0, 0.0, 0.0
