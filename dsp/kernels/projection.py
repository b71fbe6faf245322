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
def power_row(re, im, out):
    """The squared magnitude."""
    for k in range(out.shape[0]):
        out[k] = re[k] * re[k] + im[k] * im[k]


@jit
def power_pairs(packed, power, rows):
    """The powers of a block of frame pairs, as many frames as `power` [frame, bin] has. rows [4, bin] is for work."""
    for pair in range(packed.shape[0]):
        unpack_pair(packed[pair], rows[0], rows[1], rows[2], rows[3])
        for odd in range(2):
            m = 2 * pair + odd
            if m < power.shape[0]:
                power_row(rows[2 * odd], rows[2 * odd + 1], power[m])


@jit
def project_row(re, im, target):
    """The nearest row with the wanted magnitude: the phase stays. Bins beyond the target are free."""
    for k in range(target.shape[0]):
        factor = target[k] / np.sqrt(re[k] * re[k] + im[k] * im[k] + TINY)
        re[k] *= factor
        im[k] *= factor


@jit
def soften_row(re, im, target, soft):
    """The row between where it is and where its magnitude is wanted: soft is the share that stays."""
    one = np.float32(1.0)
    for k in range(target.shape[0]):
        wanted = target[k] / np.sqrt(re[k] * re[k] + im[k] * im[k] + TINY)
        factor = (one - soft[k]) * wanted + soft[k]
        re[k] *= factor
        im[k] *= factor


@jit
def reflect_row(re, im, u_re, u_im, target, keep, outer, step, inner):
    """One step of reflections on a row: z, the consistent spectrum, in re and im is replaced by what is emitted.

    With x = u + z, p its projection and d = x - p: u ← keep·p + outer·d, emitted is step·p - inner·d.
    """
    for k in range(target.shape[0]):
        x_re = u_re[k] + re[k]
        x_im = u_im[k] + im[k]
        factor = target[k] / np.sqrt(x_re * x_re + x_im * x_im + TINY)
        p_re = x_re * factor
        p_im = x_im * factor
        d_re = x_re - p_re
        d_im = x_im - p_im
        u_re[k] = keep * p_re + outer * d_re
        u_im[k] = keep * p_im + outer * d_im
        re[k] = step * p_re - inner * d_re
        im[k] = step * p_im - inner * d_im
    # Bins beyond the target are free: every value is its own projection.
    for k in range(target.shape[0], re.shape[0]):
        x_re = u_re[k] + re[k]
        x_im = u_im[k] + im[k]
        u_re[k] = keep * x_re
        u_im[k] = keep * x_im
        re[k] = step * x_re
        im[k] = step * x_im


@jit
def unpack_projected(z, a_re, a_im, b_re, b_im, a_target, b_target):
    """unpack_pair and project_row of both frames in one loop, for targets of every bin."""
    half = z.shape[0] // 4
    for k in (0, half):
        a_re[k] = np.copysign(a_target[k], z[2 * k])
        b_re[k] = np.copysign(b_target[k], z[2 * k + 1])
        a_im[k] = 0.0
        b_im[k] = 0.0
    a_re, a_im, b_re, b_im = a_re[1:half], a_im[1:half], b_re[1:half], b_im[1:half]
    a_target, b_target = a_target[1:half], b_target[1:half]
    lower = z[2 : 2 * half]
    upper = z[2 * half + 2 :]
    last = np.uint64(half - 2)
    for row in range(half - 1):
        k = np.uint64(row)
        mirrored = last - k
        p = lower[TWO * k]
        q = lower[TWO * k + ONE]
        r = upper[TWO * mirrored]
        s = upper[TWO * mirrored + ONE]
        u = p + r  # twice the frames' values, and the magnitude does not mind
        v = q - s
        factor = a_target[k] / np.sqrt(u * u + v * v + TINY)
        a_re[k] = u * factor
        a_im[k] = v * factor
        u = q + s
        v = r - p
        factor = b_target[k] / np.sqrt(u * u + v * v + TINY)
        b_re[k] = u * factor
        b_im[k] = v * factor


@jit
def project_pairs(packed, target, soft, rows):
    """Unpack, project and pack a block of frame pairs. soft may have no rows; rows [4, bin] is scratch."""
    for pair in range(packed.shape[0]):
        even = 2 * pair
        odd = even + 1
        z = packed[pair]
        if soft.shape[0] > 0:
            unpack_pair(z, rows[0], rows[1], rows[2], rows[3])
            soften_row(rows[0], rows[1], target[even], soft[even])
            soften_row(rows[2], rows[3], target[odd], soft[odd])
        elif target.shape[1] < rows.shape[1]:
            unpack_pair(z, rows[0], rows[1], rows[2], rows[3])
            project_row(rows[0], rows[1], target[even])
            project_row(rows[2], rows[3], target[odd])
        else:
            unpack_projected(z, rows[0], rows[1], rows[2], rows[3], target[even], target[odd])
        pack_pair(rows[0], rows[1], rows[2], rows[3], z)


@jit
def reflect_pairs(packed, u_re, u_im, target, soft, keep, outer, step, inner, rows):
    """Unpack, reflect and pack a block of frame pairs. rows [4, bin] is scratch."""
    for pair in range(packed.shape[0]):
        even = 2 * pair
        odd = even + 1
        unpack_pair(packed[pair], rows[0], rows[1], rows[2], rows[3])
        if soft.shape[0] == 0:
            reflect_row(rows[0], rows[1], u_re[even], u_im[even], target[even], keep, outer, step, inner)
            reflect_row(rows[2], rows[3], u_re[odd], u_im[odd], target[odd], keep, outer, step, inner)
        else:
            for row in range(2):
                m = even + row
                re = rows[2 * row]
                im = rows[2 * row + 1]
                add_row(re, im, u_re[m], u_im[m])
                soften_row(re, im, target[m], soft[m])
                part_row(re, im, u_re[m], u_im[m], keep, outer, step, inner)
        pack_pair(rows[0], rows[1], rows[2], rows[3], packed[pair])


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
            cross = l_re[k] * r_im[k] - l_im[k] * r_re[k]
            # Where they are parallel either sign will do, if swapped channels get the other one.
            s = np.copysign(s, cross if cross != 0.0 else left[k] - right[k])
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
def add_row(re, im, x_re, x_im):
    """x ← x + z, in re and im; both hold it."""
    for k in range(re.shape[0]):
        x_re[k] += re[k]
        x_im[k] += im[k]
        re[k] = x_re[k]
        im[k] = x_im[k]


@jit
def part_row(re, im, u_re, u_im, keep, outer, step, inner):
    """The second half of reflect_row: x in u, its projection in re and im."""
    for k in range(re.shape[0]):
        d_re = u_re[k] - re[k]
        d_im = u_im[k] - im[k]
        u_re[k] = keep * re[k] + outer * d_re
        u_im[k] = keep * im[k] + outer * d_im
        re[k] = step * re[k] - inner * d_re
        im[k] = step * im[k] - inner * d_im


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
    packed_left, packed_right, u, left, right, cosine, sine, unsigned, keep, outer, step, inner, rows
):
    """reflect_pairs for two channels at once; u [L re, L im, R re, R im][frame, bin]. rows [8, bin] is scratch."""
    for pair in range(packed_left.shape[0]):
        unpack_pair(packed_left[pair], rows[0], rows[1], rows[2], rows[3])
        unpack_pair(packed_right[pair], rows[4], rows[5], rows[6], rows[7])
        for odd in range(2):
            m = 2 * pair + odd
            i = 2 * odd
            j = i + 4
            add_row(rows[i], rows[i + 1], u[0, m], u[1, m])
            add_row(rows[j], rows[j + 1], u[2, m], u[3, m])
            project_stereo_row(
                rows[i], rows[i + 1], rows[j], rows[j + 1], left[m], right[m], cosine[m], sine[m], unsigned
            )
            part_row(rows[i], rows[i + 1], u[0, m], u[1, m], keep, outer, step, inner)
            part_row(rows[j], rows[j + 1], u[2, m], u[3, m], keep, outer, step, inner)
        pack_pair(rows[0], rows[1], rows[2], rows[3], packed_left[pair])
        pack_pair(rows[4], rows[5], rows[6], rows[7], packed_right[pair])
