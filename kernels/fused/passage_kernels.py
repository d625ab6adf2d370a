"""Recurrent layers, all time steps of one direction in one kernel.

The rows of a batch do not see one another: a thread takes some of them through all the steps, and
waits for nobody. At each step their states are multiplied with the weights by one call of OpenBLAS,
then the gates are computed row by row, while they lie in the first cache. Rows whose sequences have
ended keep their state, as those do that have not begun when time runs backwards.

The formulas are in `passages.py` beside this, which calls these kernels.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from .. import blas, pool
from .layouts import gradient, plain

Found = tuple[Any, Any, Any, list[Any]]
Sizes = tuple[int, ...]

_GATES = {"lstm": 4, "gru": 3, "rnn": 1}

ROWS = 32  # that a thread takes through the steps, or more; half as many of a small batch
PARTS = 8  # of a batch, at most
SPEED = 40  # multiply-adds of a nanosecond, about

_HEAD = """\
# Written by tinygrad_opt.kernels.fused.passage_kernels.
import numpy as np
from numba import types
from tinygrad_opt.kernels.direct import njit

from tinygrad_opt.kernels.compiler.lanes import all_lanes
from tinygrad_opt.kernels.pool import share
from tinygrad_opt.kernels.pool.borrow import give_back_blas, take_blas

number, zero, one, half = np.{dtype}, np.{dtype}(0), np.{dtype}(1), np.{dtype}(0.5)
inlined = njit(inline="always")  # compiled within its caller: half the time
product = types.ExternalFunction("tinygrad_opt_{letter}_product", types.void(*[types.int64] * 13))


"""

# In float32 a quotient of two polynomials (Eigen's), which takes a third of the time: at most 5 ulp
# off, and ±1 where tanh rounds to it.
_TANH = {
    "float64": """\
from tinygrad_opt.kernels.functions import tanh


""",
    "float32": """\
P0, P1, P2, P3, P4, P5, P6 = map(number, (
    4.89352455891786e-03, 6.37261928875436e-04, 1.48572235717979e-05, 5.12229709037114e-08,
    -8.60467152213735e-11, 2.00018790482477e-13, -2.76076847742355e-16,
))
Q0, Q1, Q2, Q3 = map(number, (
    4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06,
))
NEAR, FAR = number(7.9053111), number(9.0)


@inlined
def tanh(x):
    v = x if not (x < -NEAR) else -NEAR
    v = v if not (v > NEAR) else NEAR
    t = v * v
    p = (((((P6 * t + P5) * t + P4) * t + P3) * t + P2) * t + P1) * t + P0
    y = v * (p / (((Q3 * t + Q2) * t + Q1) * t + Q0))
    y = y if not (x > FAR) else one
    return y if not (x < -FAR) else -one


""",
}

# One row, one step. z: what comes of the input, then the gates; u: of the state. Before: the state
# that the step began with. In one loop, sigmoid(a) is (1 + tanh(a / 2)) / 2.
_CELLS = {
    "lstm": """\
@inlined
def cell(z, u, bias, half_of, relu, h, c, h_before, c_before, kept, out):
    n = h.shape[0]
    i, f, g, o = z[:n], z[n : 2 * n], z[2 * n : 3 * n], z[3 * n :]
    for j in range(n):
        h_before[j], c_before[j] = h[j], c[j]
    for j in range(4 * n):
        part = half_of[j]
        z[j] = one - part + part * tanh((z[j] + u[j] + bias[0, j]) * part)
    for j in range(n):
        c[j] = f[j] * c[j] + i[j] * g[j]
    for j in range(n):
        kept[j] = tanh(c[j])
    for j in range(n):
        h[j] = o[j] * kept[j]
        out[j] = h[j]
""",
    "gru": """\
@inlined
def cell(z, u, bias, half_of, relu, h, c, h_before, c_before, kept, out):
    n = h.shape[0]
    for j in range(n):
        h_before[j] = h[j]
    for j in range(2 * n):
        z[j] = half + half * tanh((z[j] + u[j] + (bias[0, j] + bias[1, j])) * half)
    r, keep, new, un = z[:n], z[n : 2 * n], z[2 * n :], u[2 * n :]
    to_new, to_un = bias[0, 2 * n :], bias[1, 2 * n :]
    for j in range(n):
        kept[j] = un[j] + to_un[j]
    for j in range(n):
        new[j] = tanh(new[j] + to_new[j] + r[j] * kept[j])
    for j in range(n):
        h[j] = new[j] + keep[j] * (h[j] - new[j])
        out[j] = h[j]
""",
    "rnn": """\
@inlined
def cell(z, u, bias, half_of, relu, h, c, h_before, c_before, kept, out):
    n = h.shape[0]
    for j in range(n):
        h_before[j] = h[j]
    for j in range(n):
        h[j] = z[j] + u[j] + bias[0, j]
    if relu:
        for j in range(n):
            h[j] = zero if h[j] < zero else h[j]
    else:
        for j in range(n):
            h[j] = tanh(h[j])
    for j in range(n):
        z[j] = h[j]
    for j in range(n):
        out[j] = h[j]
""",
}

# The way back: dh and dc come as the gradients of the new state, and leave as those of the old one,
# dh without what goes through u.
_CELLS_BACK = {
    "lstm": """\
@inlined
def cell(gates, relu, c, h, kept, g, dh, dc, dz, du):
    n = dh.shape[0]
    i, f, k, o = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n :]
    zi, zf, zk, zo = dz[:n], dz[n : 2 * n], dz[2 * n : 3 * n], dz[3 * n :]
    for j in range(n):
        dh[j] += g[j]
    for j in range(n):
        dc[j] += dh[j] * o[j] * (one - kept[j] * kept[j])
    for j in range(n):
        zo[j] = dh[j] * kept[j] * o[j] * (one - o[j])
    for j in range(n):
        zi[j] = dc[j] * k[j] * i[j] * (one - i[j])
    for j in range(n):
        zf[j] = dc[j] * c[j] * f[j] * (one - f[j])
    for j in range(n):
        zk[j] = dc[j] * i[j] * (one - k[j] * k[j])
    for j in range(n):
        dc[j] *= f[j]
""",
    "gru": """\
@inlined
def cell(gates, relu, c, h, kept, g, dh, dc, dz, du):
    n = dh.shape[0]
    r, keep, new = gates[:n], gates[n : 2 * n], gates[2 * n :]
    zr, zk, zn, un = dz[:n], dz[n : 2 * n], dz[2 * n :], du[2 * n :]
    for j in range(n):
        dh[j] += g[j]
    for j in range(n):
        zn[j] = dh[j] * (one - keep[j]) * (one - new[j] * new[j])
    for j in range(n):
        zr[j] = zn[j] * kept[j] * r[j] * (one - r[j])
    for j in range(n):
        zk[j] = dh[j] * (h[j] - new[j]) * keep[j] * (one - keep[j])
    for j in range(n):
        un[j] = zn[j] * r[j]
    for j in range(n):
        dh[j] *= keep[j]
    for j in range(2 * n):
        du[j] = dz[j]
""",
    "rnn": """\
@inlined
def cell(gates, relu, c, h, kept, g, dh, dc, dz, du):
    n = dh.shape[0]
    if relu:
        for j in range(n):
            dz[j] = (dh[j] + g[j]) * (one if gates[j] > zero else zero)
    else:
        for j in range(n):
            dz[j] = (dh[j] + g[j]) * (one - gates[j] * gates[j])
""",
}

# begin, sizes: where the rows of a step start, and how many there are.
_FORWARD = """

@njit(fastmath={{"contract", "nsz"}}, error_model="numpy", nogil=True)
def some_rows(first, last, z, w, bias, half_of, relu, begin, sizes, reverse, h, c, h_before,
              c_before, kept, u, out):
    all_lanes()
    hidden, gates, steps = w.shape[0], w.shape[1], sizes.shape[0]
    for step in range(steps):
        t = steps - 1 - step if reverse else step
        m = min(last, sizes[t]) - first
        if m > 0:
            product(111, 111, m, gates, hidden, h[first].ctypes.data, hidden, w.ctypes.data, gates,
                    u[first].ctypes.data, gates, 0, 0)
        for r in range(m):
            row, state = begin[t] + first + r, first + r
            cell(z[row], u[state], bias, half_of, relu, h[state], c[state], h_before[row],
                 c_before[row], kept[row], out[row])


@njit("void({matrix}, {matrix}, {matrix}, {vector}, boolean, int64[::1], int64[::1], boolean,"
      "int64, int64, {matrix}, {matrix}, {matrix}, {matrix}, {matrix}, {matrix}, {matrix})",
      error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def {name}(z, w, bias, half_of, relu, begin, sizes, reverse, grain, cost, h, c, h_before, c_before,
           kept, u, out):
    take_blas()
    share(some_rows, h.shape[0], grain, cost, z, w, bias, half_of, relu, begin, sizes, reverse, h,
          c, h_before, c_before, kept, u, out)
    give_back_blas()
"""

_BACKWARD = """

@njit(fastmath={{"contract", "nsz"}}, error_model="numpy", nogil=True)
def some_rows(first, last, gates, w, relu, begin, sizes, reverse, c_before, h_before, kept, g, dh,
              dc, dz, du):
    all_lanes()
    wide, hidden, steps = w.shape[0], w.shape[1], sizes.shape[0]
    for step in range(steps):
        t = step if reverse else steps - 1 - step
        m = min(last, sizes[t]) - first
        for r in range(m):
            row, state = begin[t] + first + r, first + r
            cell(gates[row], relu, c_before[row], h_before[row], kept[row], g[row], dh[state],
                 dc[state], dz[row], du[row])
        if m > 0:
            product(111, 111, m, hidden, wide, du[begin[t] + first].ctypes.data, wide,
                    w.ctypes.data, hidden, dh[first].ctypes.data, hidden, {more}, 0)


@njit("void({matrix}, {matrix}, boolean, int64[::1], int64[::1], boolean, int64, int64, {matrix},"
      "{matrix}, {matrix}, {matrix}, {matrix}, {matrix}, {matrix}, {matrix})", error_model="numpy",
      nogil=True, no_cfunc_wrapper=True, cache={cache})
def {name}(gates, w, relu, begin, sizes, reverse, grain, cost, c_before, h_before, kept, g, dh, dc,
           dz, du):
    take_blas()
    share(some_rows, dh.shape[0], grain, cost, gates, w, relu, begin, sizes, reverse, c_before,
          h_before, kept, g, dh, dc, dz, du)
    give_back_blas()
"""

_kernels: dict[tuple[str, bool, str], Any] = {}


def _kernel(kind: str, back: bool, dtype: Any) -> Any:
    kernel = _kernels.get((kind, back, dtype.char))
    if kernel is None:
        blas.bind("product", blas.LETTERS[dtype.char])  # which the text calls
        name = f"{kind}_back" if back else kind
        cell, driver = (_CELLS_BACK, _BACKWARD) if back else (_CELLS, _FORWARD)
        settings = {
            "dtype": dtype.name, "matrix": f"{dtype.name}[:, ::1]", "vector": f"{dtype.name}[::1]",
            "letter": blas.LETTERS[dtype.char], "name": name,
            "more": int(kind == "gru"),
        }  # fmt: skip
        text = _HEAD + _TANH[dtype.name] + cell[kind] + driver
        kernel = pool.load(name, lambda on_disk: text.format(cache=on_disk, **settings))
        _kernels[kind, back, dtype.char] = kernel
    return kernel


def bind(kind: str, back: bool, char: str) -> tuple[str, Any]:
    """The name by which machine code finds a kernel in this process, and its types, as Numba's."""
    kernel = _kernel(kind, back, np.dtype(char))
    (made,) = kernel.overloads.values()
    symbol = f"tinygrad_opt_{char}_{kernel.__name__}"
    address = made.library.get_pointer_to_function(made.fndesc.llvm_func_name)
    llvm.add_symbol(symbol, address)
    return symbol, made.signature.args


def fits(
    kind: str, z: Any, biases: tuple[Any, ...], state: tuple[Any, ...], w_hh: Any, sizes: Sizes
) -> bool:
    """Whether `run` takes these: floats of one type, none empty, and of shapes that go together."""
    given = z, w_hh, *state, *(b for b in biases if b is not None)
    dtype, batch, hidden = z.dtype, sizes[0], w_hh.shape[1]
    return (
        dtype.char in "fd"
        and dtype.isnative
        and all(a.dtype == dtype and a.size for a in given)
        and w_hh.shape[0] == _GATES[kind] * hidden
        and z.shape == (sum(sizes), len(w_hh))
        and all(s.shape == (batch, hidden) for s in state)
        and all(b is None or b.shape == (len(w_hh),) for b in biases)
        and batch >= max(sizes) >= min(sizes) > 0
        and blas.is_available()
    )


def run(
    kind: str, z: Any, biases: tuple[Any, Any], state: tuple[Any, ...], w_hh: Any,
    sizes: Sizes, reverse: bool, relu: bool = False,
) -> tuple[Any, Callable[[Any], Found]]:  # fmt: skip
    """One direction of one layer through all time steps: the result, and the way back.

    Args:
        kind: "lstm", "gru" or "rnn".
        z: (rows, gates * hidden), the input's part of the gates; it is used up.
        biases: (gates * hidden,) each, or None: of z, and of the state's part.
        state: h, and c of an LSTM: (batch, hidden).
        w_hh: (gates * hidden, hidden).
        sizes: the rows of each step.
        reverse: whether time runs backwards.
        relu: of an RNN, whether that takes the place of tanh.

    The result holds outputs (rows, hidden) and final states, flat. From its gradient the way back
    makes those of z, of the state's part, and of the state; it returns h before each row, too.
    """
    hidden, dtype = w_hh.shape[1], z.dtype
    shapes = ((len(z), hidden), *(s.shape for s in state))
    result = np.empty(sum(map(math.prod, shapes)), dtype)
    result_shape = result.shape
    out, *ends = _cut(result, shapes)
    for end, start in zip(ends, state, strict=True):
        end[...] = start
    h_before = np.empty_like(out)
    c_before = np.empty_like(out) if kind == "lstm" else h_before  # or not looked at
    kept = h_before if kind == "rnn" else np.empty_like(out)
    settings = relu, *steps_of(sizes), reverse, *parts(len(ends[0]), len(sizes) * w_hh.size)
    bias = np.zeros((2, z.shape[1]), dtype)
    for row, given in zip(bias, biases, strict=True):
        row[...] = 0 if given is None else given
    weights, halves = np.array(w_hh.T, order="C"), halves_of(hidden, dtype)
    u = np.empty((len(ends[0]), z.shape[1]), dtype)
    _kernel(kind, False, dtype)(
        z, weights, bias, halves, *settings, ends[0], ends[-1], h_before, c_before, kept, u, out
    )

    def back(g: Any) -> Found:
        g_out, *ends = _cut(gradient(g, result_shape, dtype), shapes)
        ends = [end.copy() for end in ends]
        dz = np.empty_like(z)
        du = np.empty_like(z) if kind == "gru" else dz
        _kernel(kind, True, dtype)(
            z, plain(w_hh), *settings, c_before, h_before, kept, g_out, ends[0], ends[-1], dz, du
        )
        return dz, du, h_before, ends

    return result, back


def _cut(flat: Any, shapes: tuple[tuple[int, ...], ...]) -> list[Any]:
    """Pieces of a vector, in these shapes."""
    stops = itertools.accumulate(map(math.prod, shapes))
    return [
        flat[stop - math.prod(s) : stop].reshape(s) for s, stop in zip(shapes, stops, strict=True)
    ]


@functools.lru_cache(maxsize=64)
def steps_of(sizes: Sizes) -> tuple[Any, Any]:
    """Where the rows of each step begin, and how many there are."""
    count = np.array(sizes, np.int64)
    return np.cumsum(count) - count, count


def parts(batch: int, work: int) -> tuple[int, int]:
    """Rows of a part, and its time in nanoseconds; `work`: multiply-adds of a row."""
    rows = max(ROWS if batch > ROWS else ROWS // 2, -(-batch // PARTS))
    return rows, rows * work // SPEED


@functools.lru_cache(maxsize=64)
def halves_of(hidden: int, dtype: Any) -> Any:
    """What the four gates of an LSTM are multiplied with before tanh."""
    return np.repeat(np.array([0.5, 0.5, 1, 0.5], dtype), hidden)
