"""Filters, loudness, periods and defects of a signal."""

# numba infers the types of kernels from their arguments; annotations would only promise what nothing checks.
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np

from dsp.kernels import jit


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
