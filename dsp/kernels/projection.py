"""Phase projection: what happens to a spectrum within one iteration."""

# numba infers the types of kernels from their arguments; annotations would only promise what nothing checks.
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np

from dsp.kernels import jit
from dsp.kernels.framing import ONE, TWO

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
def unpack_pairs(packed, re, im):
    """The inverse of pack_pairs."""
    for pair in range(packed.shape[0]):
        unpack_pair(packed[pair], re[2 * pair], im[2 * pair], re[2 * pair + 1], im[2 * pair + 1])


@jit
def project_row(re, im, target):
    """The nearest row with the wanted magnitude: the phase stays."""
    for k in range(re.shape[0]):
        factor = target[k] / np.sqrt(re[k] * re[k] + im[k] * im[k] + TINY)
        re[k] *= factor
        im[k] *= factor


@jit
def reflect_row(re, im, x_re, x_im, target, relaxation, out_reflects):
    """One step of relaxed reflections on a row: x ← β(x + z) + (1 - 2β)·P(x), and 2P(x) - x (or P(x), at the
    end) for the next round.

    re and im hold z, the consistent spectrum nearest to 2P(x) - x, and are overwritten.
    """
    blend = np.float32(1.0) - np.float32(2.0) * relaxation
    outer = np.float32(1.0) + out_reflects
    for k in range(re.shape[0]):
        u = x_re[k]
        v = x_im[k]
        factor = blend * target[k] / np.sqrt(u * u + v * v + TINY)
        new_re = relaxation * (u + re[k]) + factor * u
        new_im = relaxation * (v + im[k]) + factor * v
        x_re[k] = new_re
        x_im[k] = new_im
        factor = outer * target[k] / np.sqrt(new_re * new_re + new_im * new_im + TINY) - out_reflects
        re[k] = new_re * factor
        im[k] = new_im * factor


@jit
def project_pairs(packed, target, rows):
    """Unpack, project and pack a block of frame pairs. rows [4, bin] is scratch."""
    for pair in range(packed.shape[0]):
        unpack_pair(packed[pair], rows[0], rows[1], rows[2], rows[3])
        project_row(rows[0], rows[1], target[2 * pair])
        project_row(rows[2], rows[3], target[2 * pair + 1])
        pack_pair(rows[0], rows[1], rows[2], rows[3], packed[pair])


@jit
def reflect_pairs(packed, x_re, x_im, target, relaxation, out_reflects, rows):
    """Unpack, relax, reflect and pack a block of frame pairs. rows [4, bin] is scratch."""
    for pair in range(packed.shape[0]):
        even = 2 * pair
        odd = even + 1
        unpack_pair(packed[pair], rows[0], rows[1], rows[2], rows[3])
        reflect_row(rows[0], rows[1], x_re[even], x_im[even], target[even], relaxation, out_reflects)
        reflect_row(rows[2], rows[3], x_re[odd], x_im[odd], target[odd], relaxation, out_reflects)
        pack_pair(rows[0], rows[1], rows[2], rows[3], packed[pair])


@jit
def misfit_pairs(packed, target, frames, rows):
    """The sum of (|spectrum| - target)² over the first `frames` of a block of frame pairs."""
    total = 0.0
    for pair in range(packed.shape[0]):
        unpack_pair(packed[pair], rows[0], rows[1], rows[2], rows[3])
        for odd in range(2):
            if 2 * pair + odd < frames:
                re = rows[2 * odd]
                im = rows[2 * odd + 1]
                wanted = target[2 * pair + odd]
                for k in range(re.shape[0]):
                    difference = np.sqrt(re[k] * re[k] + im[k] * im[k]) - wanted[k]
                    total += difference * difference
    return total


# --- two channels whose phase difference is known
#
# With |L|, |R| and the phase difference 2δ between them, the nearest pair of cells to (l, r) is
#     L = |L| e^{iφ} e^{-iδ},    R = |R| e^{iφ} e^{iδ},    φ = arg(|L| l e^{iδ} + |R| r e^{-iδ}).
# Half angles to both sides treat the channels alike: swapped in, swapped out, and equal channels stay equal.


@jit
def project_stereo_row(l_re, l_im, r_re, r_im, left, right, cosine, sine, unsigned):
    """The nearest rows with the wanted magnitudes and phase difference; cosine and sine are of half of it.

    `unsigned`: only the size of the difference is known (from the magnitude of the sum); the sign is what it
    is now.
    """
    for k in range(l_re.shape[0]):
        c = cosine[k]
        s = sine[k]
        if unsigned:
            s = np.copysign(s, l_re[k] * r_im[k] - l_im[k] * r_re[k])
        a_re = left[k] * (l_re[k] * c - l_im[k] * s)
        a_im = left[k] * (l_im[k] * c + l_re[k] * s)
        b_re = right[k] * (r_re[k] * c + r_im[k] * s)
        b_im = right[k] * (r_im[k] * c - r_re[k] * s)
        u = a_re + b_re
        v = a_im + b_im
        # Products of two magnitudes and a spectrum: TINY must lie below the square of such a product.
        factor = np.float32(1.0) / np.sqrt(u * u + v * v + TINY)
        u *= factor
        v *= factor
        l_re[k] = left[k] * (u * c + v * s)
        l_im[k] = left[k] * (v * c - u * s)
        r_re[k] = right[k] * (u * c - v * s)
        r_im[k] = right[k] * (v * c + u * s)


@jit
def relax_row(re, im, x_re, x_im, p_re, p_im, relaxation):
    """x ← β(x + z) + (1 - 2β)·p on a row, z in re and im; a copy of x remains in p, to be projected."""
    blend = np.float32(1.0) - np.float32(2.0) * relaxation
    for k in range(re.shape[0]):
        x_re[k] = relaxation * (x_re[k] + re[k]) + blend * p_re[k]
        x_im[k] = relaxation * (x_im[k] + im[k]) + blend * p_im[k]
        p_re[k] = x_re[k]
        p_im[k] = x_im[k]


@jit
def mirror_row(re, im, x_re, x_im, p_re, p_im, out_reflects):
    """2p - x, or p at the end, into re and im."""
    outer = np.float32(1.0) + out_reflects
    for k in range(re.shape[0]):
        re[k] = outer * p_re[k] - out_reflects * x_re[k]
        im[k] = outer * p_im[k] - out_reflects * x_im[k]


@jit
def project_stereo_pairs(packed_left, packed_right, left, right, cosine, sine, unsigned, rows):
    """project_pairs for two channels at once. rows [8, bin] is scratch."""
    for pair in range(packed_left.shape[0]):
        unpack_pair(packed_left[pair], rows[0], rows[1], rows[2], rows[3])
        unpack_pair(packed_right[pair], rows[4], rows[5], rows[6], rows[7])
        for odd in range(2):
            m = 2 * pair + odd
            i = 2 * odd
            project_stereo_row(
                rows[i],
                rows[i + 1],
                rows[i + 4],
                rows[i + 5],
                left[m],
                right[m],
                cosine[m],
                sine[m],
                unsigned,
            )
        pack_pair(rows[0], rows[1], rows[2], rows[3], packed_left[pair])
        pack_pair(rows[4], rows[5], rows[6], rows[7], packed_right[pair])


@jit
def reflect_stereo_pairs(
    packed_left, packed_right, x, p, left, right, cosine, sine, unsigned, relaxation, out_reflects, rows
):
    """reflect_pairs for two channels at once; x and p [L re, L im, R re, R im][frame, bin] are the state and its
    projection, which here is too dear to make twice. rows [8, bin] is scratch.
    """
    for pair in range(packed_left.shape[0]):
        unpack_pair(packed_left[pair], rows[0], rows[1], rows[2], rows[3])
        unpack_pair(packed_right[pair], rows[4], rows[5], rows[6], rows[7])
        for odd in range(2):
            m = 2 * pair + odd
            for channel in range(2):
                i = 4 * channel + 2 * odd
                k = 2 * channel
                relax_row(rows[i], rows[i + 1], x[k, m], x[k + 1, m], p[k, m], p[k + 1, m], relaxation)
            project_stereo_row(
                p[0, m], p[1, m], p[2, m], p[3, m], left[m], right[m], cosine[m], sine[m], unsigned
            )
            for channel in range(2):
                i = 4 * channel + 2 * odd
                k = 2 * channel
                mirror_row(rows[i], rows[i + 1], x[k, m], x[k + 1, m], p[k, m], p[k + 1, m], out_reflects)
        pack_pair(rows[0], rows[1], rows[2], rows[3], packed_left[pair])
        pack_pair(rows[4], rows[5], rows[6], rows[7], packed_right[pair])
