"""Slow, plain versions of the core, to hold the fast ones against. Everything in double precision."""

import heapq

import numpy as np


def stft(audio, window, hop_samples, frames):
    """[sample] → [frame, bin]: frame m is centred on sample m·hop, with zeros outside."""
    size = len(window)
    padded = np.concatenate([np.zeros(size // 2), audio, np.zeros(frames * hop_samples + size)])
    segments = [padded[m * hop_samples :][:size] * window for m in range(frames)]
    return np.fft.rfft(segments, axis=1)


def istft(spectrum, window, hop_samples, length_samples):
    """The least-squares inverse."""
    size = len(window)
    total = np.zeros(len(spectrum) * hop_samples + 2 * size + length_samples)
    weight = np.zeros_like(total)
    for m, segment in enumerate(np.fft.irfft(spectrum, size, axis=1)):
        total[m * hop_samples :][:size] += segment * window
        weight[m * hop_samples :][:size] += window.astype(np.float64) ** 2
    inside = slice(size // 2, size // 2 + length_samples)
    return total[inside] / weight[inside]


def griffin_lim(magnitude, window, hop_samples, length_samples, iterations, momentum, phase):
    spectrum = magnitude * np.exp(1j * phase)
    old = None
    for _ in range(iterations):
        new = stft(istft(spectrum, window, hop_samples, length_samples), window, hop_samples, len(magnitude))
        moved = new if old is None else new + momentum * (new - old)
        old = new
        spectrum = magnitude * moved / np.maximum(np.abs(moved), 1e-15)
    return istft(spectrum, window, hop_samples, length_samples)


def raar(magnitude, window, hop_samples, length_samples, iterations, relaxation, phase):
    """Relaxed averaged alternating reflections, as the formula is printed; ends on the magnitudes."""

    def on_magnitude(x):
        return magnitude * x / np.maximum(np.abs(x), 1e-15)

    def consistent(x):
        return stft(istft(x, window, hop_samples, length_samples), window, hop_samples, len(magnitude))

    x = magnitude * np.exp(1j * phase)
    for _ in range(iterations):
        reflected = 2 * on_magnitude(x) - x
        twice = 2 * consistent(reflected) - reflected
        x = relaxation / 2 * (twice + x) + (1 - relaxation) * on_magnitude(x)
    return istft(on_magnitude(x), window, hop_samples, length_samples)


def admm(magnitude, window, hop_samples, length_samples, iterations, penalty, phase):
    """Masuyama, Yatabe & Oikawa 2019, as printed: X near-consistent, Z on the magnitudes, U the scaled dual."""

    def on_magnitude(x):
        return magnitude * x / np.maximum(np.abs(x), 1e-15)

    def consistent(x):
        return stft(istft(x, window, hop_samples, length_samples), window, hop_samples, len(magnitude))

    z = magnitude * np.exp(1j * phase)
    u = np.zeros_like(z)
    for _ in range(iterations):
        x = (penalty * (z - u) + consistent(z - u)) / (1 + penalty)
        z = on_magnitude(x + u)
        u = u + x - z
    return istft(z, window, hop_samples, length_samples)


def joint(magnitude, window, hop_samples, length_samples, iterations, phase, reflect, difference, signed):
    """Fast Griffin-Lim (or RAAR) of two channels [2, frame, bin], each cell searched for its common phase."""

    def on_magnitude(x):
        size = np.abs(difference)
        sign = np.where(signed, np.sign(difference), np.where((x[1] * x[0].conj()).imag >= 0, 1, -1))
        turned = np.exp(1j * sign * size)
        common = magnitude[0] * x[0] + magnitude[1] * x[1] * turned.conj()
        common /= np.maximum(np.abs(common), 1e-15)
        return np.stack([magnitude[0] * common, magnitude[1] * common * turned])

    def consistent(x):
        back = [istft(channel, window, hop_samples, length_samples) for channel in x]
        return np.stack([stft(sound, window, hop_samples, x.shape[1]) for sound in back])

    x = magnitude * np.exp(1j * phase)
    if reflect:
        projected = x
        for _ in range(iterations):
            z = consistent(2 * projected - x)
            x = 0.9 * (x + z) + (1 - 1.8) * projected
            projected = on_magnitude(x)
        x = projected
    else:
        old = None
        for _ in range(iterations):
            new = consistent(x)
            x = on_magnitude(new if old is None else new + 0.99 * (new - old))
            old = new
    return np.stack([istft(channel, window, hop_samples, length_samples) for channel in x])


def pghi(magnitude, gamma, hop_samples, window_samples, tolerance=1e-7):
    """The published heap version; cells under the tolerance keep phase 0."""
    frames, bins = magnitude.shape
    level = np.log(np.maximum(magnitude / magnitude.max(), tolerance * 0.1))
    ratio = hop_samples * window_samples / gamma
    frame_step = ratio * np.gradient(level, axis=1) + 2 * np.pi * hop_samples / window_samples * np.arange(
        bins
    )
    bin_step = -np.gradient(level, axis=0) / ratio - np.pi
    phase = np.zeros((frames, bins))
    todo = magnitude >= tolerance * magnitude.max()
    for seed in np.argsort(-magnitude, axis=None, kind="stable"):
        start = np.unravel_index(seed, magnitude.shape)
        if not todo[start]:
            continue
        todo[start] = False
        heap = [(-magnitude[start], *start)]
        while heap:
            _, m, k = heapq.heappop(heap)
            for dm, dk, steps, sign in (
                (1, 0, frame_step, 0.5),
                (-1, 0, frame_step, -0.5),
                (0, 1, bin_step, 0.5),
                (0, -1, bin_step, -0.5),
            ):
                near = (m + dm, k + dk)
                if 0 <= near[0] < frames and 0 <= near[1] < bins and todo[near]:
                    phase[near] = phase[m, k] + sign * (steps[m, k] + steps[near])
                    todo[near] = False
                    heapq.heappush(heap, (-magnitude[near], *near))
    return phase


def pool(power, edges):
    """Mean of the piecewise constant power between the edges [..., points] → [..., cells]."""
    total = np.concatenate([np.zeros((*power.shape[:-1], 1)), np.cumsum(power, axis=-1)], axis=-1)
    points = np.arange(power.shape[-1] + 1)
    at_edges = np.apply_along_axis(lambda row: np.interp(edges, points, row), -1, total)
    return np.diff(at_edges, axis=-1) / np.diff(edges)


def spectral_convergence_db(magnitude, target):
    """How far a magnitude is from the wanted one: 20 log10 (‖magnitude - target‖ / ‖target‖)."""
    return float(20 * np.log10(np.linalg.norm(magnitude - target) / np.linalg.norm(target)))


def error_db(value, truth):
    """20 log10 (‖value - truth‖ / ‖truth‖)."""
    return float(20 * np.log10(np.linalg.norm(value - truth) / np.linalg.norm(truth) + 1e-30))
