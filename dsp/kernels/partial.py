"""One partial of a sound: its ridge in a spectrogram, its envelope by least squares, its oscillator."""

# numba infers the types of kernels from their arguments; annotations would only promise what nothing checks.
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np

from dsp.kernels import jit

# Symmetric matrices of a few diagonals are stored as band[row, d] = matrix[row, row - d].


@jit
def spectrogram(streams, starts, counts, cosines, sines, amplitude, rows):
    """amplitude[frame, bin] = |the sum over taps of signal[frame · hop + starts[bin] + tap] · (cosine - i·sine)|.

    The signal is dealt out to `hop` streams, streams[n % hop, n // hop], so that what one tap reads is contiguous
    along the frames. rows [2, frame] is scratch.
    """
    hop = streams.shape[0]
    frames = amplitude.shape[0]
    re = rows[0]
    im = rows[1]
    for bin_number in range(starts.shape[0]):
        re[:] = 0.0
        im[:] = 0.0
        for tap in range(counts[bin_number]):
            position = starts[bin_number] + tap
            first = position // hop
            source = streams[position % hop, first : first + frames]
            cosine = cosines[bin_number, tap]
            sine = sines[bin_number, tap]
            for m in range(frames):
                re[m] += cosine * source[m]
                im[m] -= sine * source[m]
        for m in range(frames):
            amplitude[m, bin_number] = np.sqrt(re[m] * re[m] + im[m] * im[m])


@jit
def best_path(gain, penalty, total, origin, path):
    """path[frame] = the bins with the largest sum of gain[frame, bin] less penalty[frame] for every bin moved.

    With a cost in proportion to the distance the best predecessor of every bin is found in two sweeps. total
    [bin] and origin [frame, bin] are scratch.
    """
    frames, bins = gain.shape
    for k in range(bins):
        total[k] = gain[0, k]
    for m in range(1, frames):
        step = penalty[m]
        source = origin[m]
        for k in range(bins):
            source[k] = k
        for k in range(1, bins):
            if total[k - 1] - step > total[k]:
                total[k] = total[k - 1] - step
                source[k] = source[k - 1]
        for j in range(1, bins):
            k = bins - 1 - j
            if total[k + 1] - step > total[k]:
                total[k] = total[k + 1] - step
                source[k] = source[k + 1]
        for k in range(bins):
            total[k] += gain[m, k]
    best = 0
    for k in range(1, bins):
        if total[k] > total[best]:
            best = k
    for j in range(frames):
        m = frames - 1 - j
        path[m] = best
        if m > 0:
            best = origin[m, best]


@jit
def oscillator(times, log_frequency, log_amplitude, step_seconds, re, im):
    """re + i·im = e^(amplitude + i·phase) at n · step_seconds, the phase zero at the first of the times [point].

    The frequency (log Hz) and the amplitude are interpolated in their logarithms and held behind the last point; the
    phase is the exact integral.
    """
    points = times.shape[0]
    samples = re.shape[0]
    phase = 0.0
    n = 0
    for k in range(points):
        if k < points - 1:
            width = times[k + 1] - times[k]
            bend = (log_frequency[k + 1] - log_frequency[k]) / width
            slope = (log_amplitude[k + 1] - log_amplitude[k]) / width
            end = min(samples, np.int64(np.ceil(times[k + 1] / step_seconds)))
        else:
            width = 0.0
            bend = 0.0
            slope = 0.0
            end = samples
        turn = 2.0 * np.pi * np.exp(log_frequency[k])
        if n < end:
            # Within a segment both are geometric: two factors a sample instead of two exponentials.
            offset = n * step_seconds - times[k]
            growth = np.exp(bend * offset)
            amplitude = np.exp(log_amplitude[k] + slope * offset)
            growth_step = np.exp(bend * step_seconds)
            amplitude_step = np.exp(slope * step_seconds)
            straight = abs(bend) < STRAIGHT
            while n < end:
                time = n * step_seconds - times[k]
                angle = phase + turn * (time if straight else (growth - 1.0) / bend)
                re[n] = amplitude * np.cos(angle)
                im[n] = amplitude * np.sin(angle)
                growth *= growth_step
                amplitude *= amplitude_step
                n += 1
        phase += turn * width * mean_growth(bend * width)


STRAIGHT = 1e-6  # of a slope per second: less bends no phase


@jit
def mean_growth(exponent):
    """The mean of e^(exponent · u) over u from 0 to 1."""
    if abs(exponent) < 1e-5:
        return 1.0 + 0.5 * exponent
    return np.expm1(exponent) / exponent


@jit
def normal_equations(signal, re, im, segment, fraction, band, right):
    """Least squares of signal by Re(c · (re + i·im)), c interpolated between the points: band · (c re, c im …) = right.

    Sample n stands fraction[n] of the way from point segment[n] to the next.
    """
    band[:] = 0.0
    right[:] = 0.0
    for n in range(signal.shape[0]):
        k = segment[n]
        late = fraction[n]
        early = 1.0 - late
        a = early * re[n]
        b = -early * im[n]
        c = late * re[n]
        d = -late * im[n]
        value = signal[n]
        i = 2 * k
        band[i, 0] += a * a
        band[i + 1, 0] += b * b
        band[i + 1, 1] += a * b
        band[i + 2, 0] += c * c
        band[i + 2, 1] += b * c
        band[i + 2, 2] += a * c
        band[i + 3, 0] += d * d
        band[i + 3, 1] += c * d
        band[i + 3, 2] += b * d
        band[i + 3, 3] += a * d
        right[i] += a * value
        right[i + 1] += b * value
        right[i + 2] += c * value
        right[i + 3] += d * value


@jit
def add_bends(curvature, weight, stride, band):
    """band += the sum of weight[k] · (curvature[k] · the points k, k + 1, k + 2)², `stride` values a point."""
    for k in range(curvature.shape[0]):
        first, second, third = curvature[k]
        for plane in range(stride):
            i = stride * k + plane
            band[i, 0] += weight[k] * first * first
            band[i + stride, 0] += weight[k] * second * second
            band[i + stride, stride] += weight[k] * first * second
            band[i + 2 * stride, 0] += weight[k] * third * third
            band[i + 2 * stride, stride] += weight[k] * second * third
            band[i + 2 * stride, 2 * stride] += weight[k] * first * third


@jit
def solve_band(band, right):
    """right = the solution of band · x = right, by Cholesky in place; band becomes the factor."""
    rows, width = band.shape
    for i in range(rows):
        for d in range(min(width - 1, i), -1, -1):
            j = i - d
            total = band[i, d]
            for e in range(d + 1, min(width, i + 1)):
                if e - d < width:
                    total -= band[i, e] * band[j, e - d]
            band[i, d] = np.sqrt(total) if d == 0 else total / band[j, 0]
    for i in range(rows):
        total = right[i]
        for d in range(1, min(width, i + 1)):
            total -= band[i, d] * right[i - d]
        right[i] = total / band[i, 0]
    for back in range(rows):
        i = rows - 1 - back
        total = right[i]
        for d in range(1, min(width, rows - i)):
            total -= band[i + d, d] * right[i + d]
        right[i] = total / band[i, 0]


@jit
def frequency_equations(log_frequency, widths, advance, weight, hold, band, right):
    """One step of Gauss-Newton from log_frequency to where the phase goes on by advance[k] between the points.

    The rows say: the phase of segment k with the weight[k], and hold[k] times the change of the frequency.
    """
    band[:] = 0.0
    right[:] = 0.0
    for k in range(widths.shape[0]):
        x = log_frequency[k + 1] - log_frequency[k]
        turns = 2.0 * np.pi * widths[k] * np.exp(log_frequency[k])
        phase = turns * mean_growth(x)
        # d/dx of (e^x - 1) / x
        tilt = 0.5 + x / 3.0 if abs(x) < 1e-4 else (np.exp(x) - mean_growth(x)) / x
        late = turns * tilt
        early = phase - late
        # Linear in the new values: early · x[k] + late · x[k + 1] = advance - phase + the same of the old ones.
        wanted = advance[k] - phase + early * log_frequency[k] + late * log_frequency[k + 1]
        band[k, 0] += weight[k] * early * early + hold[k]
        band[k + 1, 0] += weight[k] * late * late + hold[k]
        band[k + 1, 1] += weight[k] * early * late - hold[k]
        right[k] += weight[k] * early * wanted
        right[k + 1] += weight[k] * late * wanted


@jit
def envelope(re, im, segment, fraction, points, out):
    """out = Re(c · (re + i·im)), c = points [2 · point], real and imaginary parts in turn, interpolated."""
    for n in range(out.shape[0]):
        i = 2 * segment[n]
        late = fraction[n]
        c_re = points[i] + late * (points[i + 2] - points[i])
        c_im = points[i + 1] + late * (points[i + 3] - points[i + 1])
        out[n] = re[n] * c_re - im[n] * c_im


@jit
def spread_energy(signal, segment, fraction, energy, weight):
    """energy[point] = the sum of the squares around it, weight[point] = of how many samples."""
    energy[:] = 0.0
    weight[:] = 0.0
    for n in range(signal.shape[0]):
        k = segment[n]
        power = signal[n] * signal[n]
        energy[k] += (1.0 - fraction[n]) * power
        energy[k + 1] += fraction[n] * power
        weight[k] += 1.0 - fraction[n]
        weight[k + 1] += fraction[n]
