"""Filters, loudness, periods and defects of a signal."""

# numba infers the types of kernels from their arguments; annotations would only promise what nothing checks.
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np

from dsp.kernels import jit

FADED = 1e-40
FADING = 256  # samples between looks


@jit
def biquads(audio, sections, out):
    """Direct form II transposed, in double precision: `audio[channel, sample]` through `sections[section, b0
    b1 b2 a1 a2]`.

    `out[channel, sample]` may be longer than the audio; the filters then ring on into the zeros behind it. What
    rings below `FADED` is set to zero from time to time: it would end among the denormal numbers, and rounding
    keeps it there for ever, at many times the cost of any other number.
    """
    channels, samples = audio.shape
    count = sections.shape[0]
    state = np.zeros((count, 2))
    for channel in range(channels):
        state[:] = 0.0
        for sample in range(out.shape[1]):
            if sample % FADING == 0:
                for section in range(count):
                    if abs(state[section, 0]) < FADED and abs(state[section, 1]) < FADED:
                        state[section, 0] = 0.0
                        state[section, 1] = 0.0
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
        # Four sums side by side: each addition of one waits for the last, and rounding forbids the compiler this.
        first = second = third = fourth = np.float32(0.0)
        for quarter in range(length // 4):
            offset = 4 * quarter
            first += early[offset] * late[offset]
            second += early[offset + 1] * late[offset + 1]
            third += early[offset + 2] * late[offset + 2]
            fourth += early[offset + 3] * late[offset + 3]
        product = (first + second) + (third + fourth)
        for offset in range(length - length % 4, length):
            product += early[offset] * late[offset]
        both = (energy[start + length] - energy[start]) * (energy[start + lag + length] - energy[start + lag])
        similarity[index] = product / np.sqrt(both) if both > 1e-24 else 0.0


@jit
def sweep_shares(signal, turns_per_sample, decay_samples, first_turns, step_turns, planes, shares):
    """How much of the energy of `signal[sample]`, 0 … 1, one sinusoid with a falling pitch holds, for every
    extra number of turns k it may make before it settles at `turns_per_sample`.

    shares[k] belongs to the phase turns_per_sample · n + (first_turns + k · step_turns) · (1 - exp(-n /
    decay_samples)), in turns, at the best amplitude and offset in phase (least squares). planes[4, sample] is
    scratch: the sinusoid, and what turns it on from one k to the next.
    """
    samples = signal.shape[0]
    re, im, step_re, step_im = planes[0], planes[1], planes[2], planes[3]
    energy = 0.0
    for n in range(samples):
        energy += signal[n] * signal[n]
        extra = 1.0 - np.exp(-n / decay_samples)
        angle = 2.0 * np.pi * (turns_per_sample * n + first_turns * extra)
        re[n] = np.cos(angle)
        im[n] = np.sin(angle)
        step = 2.0 * np.pi * step_turns * extra
        step_re[n] = np.cos(step)
        step_im[n] = np.sin(step)
    for k in range(shares.shape[0]):
        along_re = 0.0
        along_im = 0.0
        square_re = 0.0
        cross = 0.0
        for n in range(samples):
            along_re += signal[n] * re[n]
            along_im += signal[n] * im[n]
            square_re += re[n] * re[n]
            cross += re[n] * im[n]
            turned = re[n] * step_re[n] - im[n] * step_im[n]
            im[n] = re[n] * step_im[n] + im[n] * step_re[n]
            re[n] = turned
        square_im = samples - square_re
        held = along_re**2 * square_im - 2.0 * along_re * along_im * cross + along_im**2 * square_re
        shares[k] = held / (energy * (square_re * square_im - cross**2))


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
