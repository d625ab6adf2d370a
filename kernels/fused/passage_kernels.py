"""Recurrent layers, all time steps of one direction in one kernel.

The rows of a batch do not see one another: a thread takes some of them through all the steps, and
waits for nobody. It puts the weights in order once. At each step the states of its rows are
multiplied with them (`passage_products.py`), then the gates are computed row by row, while they lie
in the first cache (`passage_cells.py`). Rows whose sequences have ended keep their state, as those
do that have not begun when time runs backwards.

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

from .. import blas, micro, pool
from . import passage_cells
from .layouts import gradient, plain

Found = tuple[Any, Any, Any, list[Any]]
Sizes = tuple[int, ...]

_GATES = {"lstm": 4, "gru": 3, "rnn": 1}

ROWS = 32  # that a thread takes through the steps, or more; half as many of a small batch
PARTS = 8  # of a batch, at most
STEPS = 4  # for which panels of the weights are made, or more
MOST = 8 << 20  # bytes of panels: threads keep the memory
SPEED = 40  # multiply-adds of a nanosecond, about

_HEAD = """\
# Written by tinygrad_opt.kernels.fused.passage_kernels.
import numpy as np
from numba import types

from tinygrad_opt.kernels.direct import njit
from tinygrad_opt.kernels.fused.passage_cells import MATRICES
from tinygrad_opt.kernels.fused.passage_products import LOW, WIDE
from tinygrad_opt.kernels.micro import written
from tinygrad_opt.kernels.pool import share
from tinygrad_opt.kernels.pool.borrow import give_back_blas, take_blas

inlined = njit(inline="always")  # compiled within its caller: half the time
product = types.ExternalFunction("tinygrad_opt_{letter}_product", types.void(*[types.int64] * 13))
HERE, KIND = "tinygrad_opt.kernels.fused.", ("{dtype}", {width}, {registers})
pack = written(HERE + "passage_products", "pack", *KIND, 4)
by_panels = written(HERE + "passage_products", "by_panels", *KIND, 6)
add_up = written(HERE + "passage_products", "add_up", *KIND, 3)
cell = written(HERE + "passage_cells", "{name}", *KIND, len(MATRICES["{name}"]) + 3)
COLUMNS, SIZE = WIDE * {lanes}, {size}  # columns of a panel, bytes of a number


@inlined
def pays(w, rows, steps):
    # Whether panels of the weights are made.
    return (
        rows >= LOW and steps >= {steps} and w.shape[1] >= COLUMNS and bytes_of_panels(w) <= {most}
    )


@inlined
def bytes_of_panels(w):
    return (w.shape[1] + COLUMNS) * w.shape[0] * SIZE


@inlined
def multiply(m, x, w, panels, out):
    k, n = w.shape
    if panels != 0 and m >= LOW:
        by_panels(m, n, k, x, panels, out)
    else:
        product(111, 111, m, n, k, x, k, w.ctypes.data, n, out, n, 0, 0)
"""

# begin, sizes: where the rows of a step start, and how many there are.
_FORWARD = """

@njit(nogil=True)
def some_rows(first, last, z, w, bias, relu, begin, sizes, reverse, h, c, h_before, c_before, kept,
              u, out):
    steps, n, panels = sizes.shape[0], h.shape[1], 0
    made = pays(w, last - first, steps)
    room = np.empty(bytes_of_panels(w) if made else 0, np.uint8)
    if made:
        panels = np.int64(room.ctypes.data)
        pack(w.shape[1], w.shape[0], w.ctypes.data, panels)
    for step in range(steps):
        t = steps - 1 - step if reverse else step
        m = min(last, sizes[t]) - first
        if m > 0:
            row = begin[t] + first
            multiply(m, h[first].ctypes.data, w, panels, u[first].ctypes.data)
            cell(m, n, relu, {places})


@njit("void({matrix}, {matrix}, {matrix}, boolean, int64[::1], int64[::1], boolean, int64, int64,"
      "{matrix}, {matrix}, {matrix}, {matrix}, {matrix}, {matrix}, {matrix})",
      error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def {name}(z, w, bias, relu, begin, sizes, reverse, grain, cost, h, c, h_before, c_before, kept, u,
           out):
    take_blas()
    share(some_rows, h.shape[0], grain, cost, z, w, bias, relu, begin, sizes, reverse, h, c,
          h_before, c_before, kept, u, out)
    give_back_blas()
"""

_BACKWARD = """

@njit(nogil=True)
def some_rows(first, last, gates, w, relu, begin, sizes, reverse, c_before, h_before, kept, g, dh,
              dc, dz, du):
    steps, n, panels = sizes.shape[0], dh.shape[1], 0
    made, before = pays(w, last - first, steps), ({through} + 63) // 64 * 64
    room = np.empty(before + (bytes_of_panels(w) if made else 0), np.uint8)
    through = room.ctypes.data if {more} else dh[first].ctypes.data
    if made:
        panels = np.int64(room.ctypes.data) + before
        pack(w.shape[1], w.shape[0], w.ctypes.data, panels)
    for step in range(steps):
        t = step if reverse else steps - 1 - step
        m = min(last, sizes[t]) - first
        if m > 0:
            row = begin[t] + first
            cell(m, n, relu, {places})
            multiply(m, du[row].ctypes.data, w, panels, through)
            if {more}:
                add_up(m * n, through, dh[first].ctypes.data)


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

# Where a part's rows begin, unless in the rows of a step.
_PLACES = {**dict.fromkeys(["u", "h", "c", "dh", "dc"], "[first]"), "bias": ""}

_kernels: dict[tuple[str, bool, str], Any] = {}


def _kernel(kind: str, back: bool, dtype: Any) -> Any:
    kernel = _kernels.get((kind, back, dtype.char))
    if kernel is None:
        blas.bind("product", blas.LETTERS[dtype.char])  # which the text calls
        name = f"{kind}_back" if back else kind
        width = micro.kind_of("d" if dtype.char == "d" else "f")
        settings = {
            "dtype": dtype.name, "matrix": f"{dtype.name}[:, ::1]", "name": name,
            "letter": blas.LETTERS[dtype.char], "width": width.width, "lanes": width.lanes,
            "registers": width.registers, "size": width.size, "steps": STEPS, "most": MOST,
            "more": kind == "gru",
            "through": "(last - first) * dh.shape[1] * SIZE" if kind == "gru" else "0",
            "places": ", ".join(
                f"{m}{_PLACES.get(m, '[row]')}.ctypes.data" for m in passage_cells.MATRICES[name]
            ),
        }  # fmt: skip
        text = _HEAD + (_BACKWARD if back else _FORWARD)
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
    weights = np.array(w_hh.T, order="C")
    u = np.empty((len(ends[0]), z.shape[1]), dtype)
    _kernel(kind, False, dtype)(
        z, weights, bias, *settings, ends[0], ends[-1], h_before, c_before, kept, u, out
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
