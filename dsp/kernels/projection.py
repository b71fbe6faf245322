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
