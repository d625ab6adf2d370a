"""One time step of an LSTM and of a GRU, forward and backward, between the matrix products.

The formulas are written with the array protocol: `space` is a namespace (NumPy's, CuPy's, that of
Tensors). On NumPy's arrays the arithmetic runs as kernels that pass over the gates once, where the
formulas take a dozen calls; tanh stays NumPy's, whose loop is vectorised. There
sigmoid(z) = (1 + tanh(z / 2)) / 2.

Each formula stands here twice, in array code and as a kernel; `tests/test_twins.py` holds the two
equal. `kernels/fused/passages.py` takes the steps through time; where it has a kernel for all of
them, these are not called.

Shapes: n sequences, H hidden features. Gates stand side by side, as in PyTorch's weights: i, f, g,
o of the LSTM in (n, 4H), r, z, n of the GRU in (n, 3H).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..compiler import cache

# The formulas ------------------------------------------------------------------------------------


def _parts(x: Any, count: int) -> Any:
    width = x.shape[1] // count
    return (x[:, k * width : (k + 1) * width] for k in range(count))


def lstm_step(space: Any, z: Any, u: Any, c: Any) -> tuple[Any, Any, Any, Any]:
    """(gates, tanh(c'), c', h') from the two halves z + u (n, 4H) and the cell state c (n, H).

    i, f, o = sigmoid and g = tanh of their parts of z + u;  c' = f c + i g,  h' = o tanh(c').
    Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000.
    """
    zi, zf, zg, zo = _parts(z + u, 4)
    i, f, g, o = space.sigmoid(zi), space.sigmoid(zf), space.tanh(zg), space.sigmoid(zo)
    after = f * c + i * g
    squashed = space.tanh(after)
    return space.concatenate([i, f, g, o], axis=1), squashed, after, o * squashed


def lstm_step_back(
    space: Any, gates: Any, squashed: Any, c: Any, dh: Any, dc: Any
) -> tuple[Any, Any]:
    """(dz, gradient of c) from the gradients dh of h' and dc of c'; the rest as in the step."""
    i, f, g, o = _parts(gates, 4)
    dc = dc + dh * o * (1 - squashed * squashed)
    dz = [
        dc * g * i * (1 - i),
        dc * c * f * (1 - f),
        dc * i * (1 - g * g),
        dh * squashed * o * (1 - o),
    ]
    return space.concatenate(dz, axis=1), dc * f


def gru_step(space: Any, z: Any, u: Any, h: Any) -> tuple[Any, Any]:
    """(gates, h') from z of the input and u of the state, both (n, 3H), and the state h (n, H).

    r, z = sigmoid of their parts of z + u;  n = tanh(z_n + r u_n),  h' = (1 - z) n + z h.
    Cho et al. 2014, arXiv:1406.1078; r acts after the product, as in PyTorch.
    """
    (zr, zz, zn), (ur, uz, un) = _parts(z, 3), _parts(u, 3)
    r, keep = space.sigmoid(zr + ur), space.sigmoid(zz + uz)
    new = space.tanh(zn + r * un)
    return space.concatenate([r, keep, new], axis=1), new + keep * (h - new)


def gru_step_back(space: Any, gates: Any, u: Any, h: Any, dh: Any) -> tuple[Any, Any, Any]:
    """(dz, du, the part of h's gradient that bypasses u) from the gradient dh of h'."""
    r, keep, new = _parts(gates, 3)
    _, _, un = _parts(u, 3)
    dn = dh * (1 - keep) * (1 - new * new)
    dr = dn * un * r * (1 - r)
    dk = dh * (h - new) * keep * (1 - keep)
    dz = space.concatenate([dr, dk, dn], axis=1)
    return dz, space.concatenate([dr, dk, dn * r], axis=1), dh * keep


# The kernels -------------------------------------------------------------------------------------

# Each inner loop touches few arrays: with more, LLVM gives up on proving that they do not overlap,
# and does not vectorise. `one` and `half` have the arrays' type, so float32 stays float32.
_HEAD = """\
# Written by tinygrad_opt.kernels.fused.recurrent.
import numpy as np
from tinygrad_opt.kernels.direct import njit

one, half = np.{dtype}(1), np.{dtype}(0.5)


@njit("void({signature})", error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
"""

_TEXTS = {
    # gates = what tanh is taken of
    "lstm_before": (3, """\
def lstm_before(z, u, gates):
    n = z.shape[1] // 4
    for r in range(z.shape[0]):
        zr, ur, gr = z[r], u[r], gates[r]
        for j in range(2 * n):
            gr[j] = half * (zr[j] + ur[j])
        for j in range(2 * n, 3 * n):
            gr[j] = zr[j] + ur[j]
        for j in range(3 * n, 4 * n):
            gr[j] = half * (zr[j] + ur[j])
"""),
    # gates: tanh -> the gates themselves
    "lstm_middle": (3, """\
def lstm_middle(gates, c, after):
    n = c.shape[1]
    for r in range(c.shape[0]):
        gr, cr, ar = gates[r], c[r], after[r]
        i, f, g, o = gr[:n], gr[n : 2 * n], gr[2 * n : 3 * n], gr[3 * n :]
        for j in range(2 * n):
            gr[j] = half + half * gr[j]
        for j in range(n):
            o[j] = half + half * o[j]
        for j in range(n):
            ar[j] = f[j] * cr[j] + i[j] * g[j]
"""),
    "lstm_back": (7, """\
def lstm_back(gates, squashed, c, dh, dc, dz, dc_before):
    n = c.shape[1]
    for r in range(c.shape[0]):
        gr, zr = gates[r], dz[r]
        i, f, g, o = gr[:n], gr[n : 2 * n], gr[2 * n : 3 * n], gr[3 * n :]
        zi, zf, zg, zo = zr[:n], zr[n : 2 * n], zr[2 * n : 3 * n], zr[3 * n :]
        sr, cr, hr, dr, br = squashed[r], c[r], dh[r], dc[r], dc_before[r]
        for j in range(n):
            br[j] = dr[j] + hr[j] * o[j] * (one - sr[j] * sr[j])
        for j in range(n):
            zo[j] = hr[j] * sr[j] * o[j] * (one - o[j])
        for j in range(n):
            zi[j] = br[j] * g[j] * i[j] * (one - i[j])
        for j in range(n):
            zf[j] = br[j] * cr[j] * f[j] * (one - f[j])
        for j in range(n):
            zg[j] = br[j] * i[j] * (one - g[j] * g[j])
        for j in range(n):
            br[j] *= f[j]
"""),
    "gru_before": (3, """\
def gru_before(z, u, gates):
    n = z.shape[1] // 3
    for r in range(z.shape[0]):
        zr, ur, gr = z[r], u[r], gates[r]
        for j in range(2 * n):
            gr[j] = half * (zr[j] + ur[j])
"""),
    # gates: r, z of tanh -> themselves, n -> what tanh is taken of
    "gru_middle": (3, """\
def gru_middle(z, u, gates):
    n = z.shape[1] // 3
    for r in range(z.shape[0]):
        gr = gates[r]
        new, zr, ur = gr[2 * n :], z[r, 2 * n :], u[r, 2 * n :]
        for j in range(2 * n):
            gr[j] = half + half * gr[j]
        for j in range(n):
            new[j] = zr[j] + gr[j] * ur[j]
"""),
    "gru_after": (3, """\
def gru_after(gates, h, after):
    n = h.shape[1]
    for r in range(h.shape[0]):
        keep, new, hr, ar = gates[r, n : 2 * n], gates[r, 2 * n :], h[r], after[r]
        for j in range(n):
            ar[j] = new[j] + keep[j] * (hr[j] - new[j])
"""),
    "gru_back": (7, """\
def gru_back(gates, u, h, dh, dz, du, dh_before):
    n = h.shape[1]
    for r in range(h.shape[0]):
        reset, keep, new = gates[r, :n], gates[r, n : 2 * n], gates[r, 2 * n :]
        un, hr, dr, br = u[r, 2 * n :], h[r], dh[r], dh_before[r]
        zr, zk, zn, yn = dz[r, :n], dz[r, n : 2 * n], dz[r, 2 * n :], du[r, 2 * n :]
        for j in range(n):
            zn[j] = dr[j] * (one - keep[j]) * (one - new[j] * new[j])
        for j in range(n):
            zr[j] = zn[j] * un[j] * reset[j] * (one - reset[j])
        for j in range(n):
            zk[j] = dr[j] * (hr[j] - new[j]) * keep[j] * (one - keep[j])
        for j in range(n):
            yn[j] = zn[j] * reset[j]
        for j in range(n):
            br[j] = dr[j] * keep[j]
        for j in range(2 * n):
            du[r, j] = dz[r, j]
"""),
}  # fmt: skip

_kernels: dict[tuple[str, str], Any] = {}


def _kernel(name: str, dtype: Any) -> Any:
    kernel = _kernels.get((name, dtype.char))
    if kernel is None:
        arrays, body = _TEXTS[name]
        signature = ", ".join([f"{dtype.name}[:, ::1]"] * arrays)
        kernel = cache.load(
            name,
            lambda on_disk: (
                _HEAD.format(dtype=dtype.name, signature=signature, cache=on_disk) + body
            ),
        )
        _kernels[name, dtype.char] = kernel
    return kernel


def _fits(gates: int, wide: tuple[Any, ...], narrow: tuple[Any, ...]) -> bool:
    """Whether a kernel takes these: `wide` of (n, gates * H) and `narrow` of (n, H), alike."""
    dtype, (n, width) = narrow[0].dtype, narrow[0].shape
    shape = (n, gates * width)
    return (
        dtype.char in "fd"
        and dtype.isnative
        and all(a.shape == shape and a.dtype is dtype and a.flags.carray for a in wide)
        and all(a.shape == (n, width) and a.dtype is dtype and a.flags.carray for a in narrow)
    )


def fused_lstm_step(space: Any, z: Any, u: Any, c: Any) -> tuple[Any, Any, Any, Any]:
    """`lstm_step` on NumPy's arrays."""
    if not _fits(4, (z, u), (c,)):
        return lstm_step(space, z, u, c)
    gates, after = np.empty_like(z), np.empty_like(c)
    _kernel("lstm_before", z.dtype)(z, u, gates)
    np.tanh(gates, out=gates)
    _kernel("lstm_middle", z.dtype)(gates, c, after)
    squashed = np.tanh(after)
    return gates, squashed, after, gates[:, 3 * c.shape[1] :] * squashed


def fused_lstm_step_back(
    space: Any, gates: Any, squashed: Any, c: Any, dh: Any, dc: Any
) -> tuple[Any, Any]:
    """`lstm_step_back` on NumPy's arrays."""
    if not _fits(4, (gates,), (squashed, c, dh, dc)):
        return lstm_step_back(space, gates, squashed, c, dh, dc)
    dz, before = np.empty_like(gates), np.empty_like(c)
    _kernel("lstm_back", gates.dtype)(gates, squashed, c, dh, dc, dz, before)
    return dz, before


def fused_gru_step(space: Any, z: Any, u: Any, h: Any) -> tuple[Any, Any]:
    """`gru_step` on NumPy's arrays."""
    if not _fits(3, (z, u), (h,)):
        return gru_step(space, z, u, h)
    gates, after, width = np.empty_like(z), np.empty_like(h), h.shape[1]
    sigmoids, new = gates[:, : 2 * width], gates[:, 2 * width :]
    _kernel("gru_before", z.dtype)(z, u, gates)
    np.tanh(sigmoids, out=sigmoids)
    _kernel("gru_middle", z.dtype)(z, u, gates)
    np.tanh(new, out=new)
    _kernel("gru_after", z.dtype)(gates, h, after)
    return gates, after


def fused_gru_step_back(space: Any, gates: Any, u: Any, h: Any, dh: Any) -> tuple[Any, Any, Any]:
    """`gru_step_back` on NumPy's arrays."""
    if not _fits(3, (gates, u), (h, dh)):
        return gru_step_back(space, gates, u, h, dh)
    dz, du, before = np.empty_like(gates), np.empty_like(gates), np.empty_like(h)
    _kernel("gru_back", gates.dtype)(gates, u, h, dh, dz, du, before)
    return dz, du, before
