"""Fused steps of networks as CUDA kernels: one launch where array code needs five to twenty.

Each is a twin of a formula in array code: `arrays/namespace.py`, `ops/normalization.py` and
`kernels/fused/recurrent.py`. `tests/simulator/test_fused_on_device.py` holds them equal. Arrays are
CuPy's, contiguous, and go in as vectors. A kernel of rows has a block for each row, whose threads
add up in an order that depends on their number alone: the same bits every time.

A kernel that meets an index outside its table writes NaN, and what is wrong into `fault`: nothing
waits for that. `arrays/faults.py` raises the error at the next wait.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...compiler import cache
from . import attention, elements, norms, passages, windows
from .pieces import ELEMENT, EXPONENTIALS, HEAD, ROW, SIGMOID, added

_FLOAT32 = np.dtype("float32")
THREADS = 128  # of elements; of a row twice as many at most

# Name: (kinds of the arrays, d for the dtype, i for int64 and b for bytes; of the scalars, d and q;
# the text). More of them: `_ROOMS` below.
_TEXTS = {
    "softmax": ("dd", "q", "def softmax(x, y, n):\n" + ROW + EXPONENTIALS + """\
    for j in range(t, n, threads):
        y[start + j] /= total
"""),
    "softmax_back": ("ddd", "q", "def softmax_back(p, g, dx, n):\n" + ROW + """\
    part = zero
    for j in range(t, n, threads):
        part += g[start + j] * p[start + j]
""" + added("part", "total") + """\
    for j in range(t, n, threads):
        dx[start + j] = p[start + j] * (g[start + j] - total)
"""),
    # -log_softmax at the class, and softmax - onehot; both 0 for an ignored row
    "cross_entropy": ("diddi", "qq", "def cross_entropy(x, index, loss, y, fault, n, ignore):\n"
    + ROW + """\
    target = index[row]
    if target == ignore:
        for j in range(t, n, threads):
            y[start + j] = zero
        if t == 0:
            loss[row] = zero
        return
    known = target >= 0 and target < n
""" + EXPONENTIALS + """\
    if not known:
        total = nan
    for j in range(t, n, threads):
        y[start + j] /= total
    cuda.syncthreads()
    if t == 0 and known:
        loss[row] = math.log(total) - (x[start + target] - top)
        y[start + target] -= one
    if t == 0 and not known:
        loss[row] = total
        fault[1] = target
        fault[2] = n
        fault[0] = 1
"""),
    # the mean of the losses that are not ignored, and one over their number
    "mean_of_kept": ("didd", "qq", "def mean_of_kept(x, index, mean, share, n, ignore):\n"
    + ROW + """\
    part, kept = zero, zero
    for j in range(t, n, threads):
        part += x[j]
        if index[j] != ignore:
            kept += one
""" + added("part", "total") + added("kept", "count") + """\
    if t == 0:
        factor = one / count if count > zero else nan
        share[0] = factor
        mean[0] = total * factor
"""),
    "rows_of": ("didi", "qqq", "def rows_of(table, index, y, fault, size, width, rows):\n"
    + ELEMENT + """\
    i = index[k // width]
    if i < 0 or i >= rows:
        y[k] = nan
        fault[1] = i
        fault[2] = rows
        fault[0] = 2
    else:
        y[k] = table[i * width + k % width]
"""),
    "look_at": ("ii", "qqqq", "def look_at(index, fault, size, least, stop, number):\n" + ELEMENT
    + """\
    i = index[k]
    if i < least or i >= stop:
        fault[1] = i
        fault[2] = stop
        fault[3] = number
        fault[0] = 3
"""),
    # z = (x - mean) / sqrt(variance + eps), rate = 1 / sqrt(...), y = z weight + bias
    "layer_norm": ("dddddd", "dqqq",
    "def layer_norm(x, weight, bias, y, z, rate, eps, n, weighted, biased):\n" + ROW + """\
    part = zero
    for j in range(t, n, threads):
        part += x[start + j]
""" + added("part", "total") + """\
    share = one / {dtype}(n)
    mean = total * share
    part = zero
    for j in range(t, n, threads):
        d = x[start + j] - mean
        part += d * d
""" + added("part", "total") + """\
    factor = one / math.sqrt(total * share + eps)
    for j in range(t, n, threads):
        d = (x[start + j] - mean) * factor
        z[start + j] = d
        if weighted == 1:
            d *= weight[j]
        if biased == 1:
            d += bias[j]
        y[start + j] = d
    if t == 0:
        rate[row] = factor
"""),
    "layer_norm_back": ("ddddd", "qq",
    "def layer_norm_back(g, weight, z, rate, dx, n, weighted):\n" + ROW + """\
    part, along = zero, zero
    for j in range(t, n, threads):
        d = g[start + j]
        if weighted == 1:
            d *= weight[j]
        part += d
        along += d * z[start + j]
""" + added("part", "total") + added("along", "product") + """\
    share = one / {dtype}(n)
    for j in range(t, n, threads):
        d = g[start + j]
        if weighted == 1:
            d *= weight[j]
        dx[start + j] = (d - total * share - z[start + j] * (product * share)) * rate[row]
"""),
    # the sums of g z and of g over the rows: a block for each column
    "column_sums": ("dddd", "qq", "def column_sums(g, z, dw, db, n, columns):\n" + ROW + """\
    part, along = zero, zero
    for j in range(t, n, threads):
        part += g[j * columns + row]
        along += g[j * columns + row] * z[j * columns + row]
""" + added("part", "total") + added("along", "product") + """\
    if t == 0:
        db[row] = total
        dw[row] = product
"""),
    "lstm_step": ("ddddddd", "qq",
    "def lstm_step(z, u, c, gates, squashed, after, h, size, n):\n" + ELEMENT + f"""\
    at = (k // n) * (4 * n) + k % n
    i = {SIGMOID.format("z[at] + u[at]")}
    f = {SIGMOID.format("z[at + n] + u[at + n]")}
    g = math.tanh(z[at + 2 * n] + u[at + 2 * n])
    o = {SIGMOID.format("z[at + 3 * n] + u[at + 3 * n]")}
    gates[at], gates[at + n], gates[at + 2 * n], gates[at + 3 * n] = i, f, g, o
    new = f * c[k] + i * g
    after[k] = new
    new = math.tanh(new)
    squashed[k] = new
    h[k] = o * new
"""),
    "lstm_step_back": ("ddddddd", "qq",
    "def lstm_step_back(gates, squashed, c, dh, dc, dz, before, size, n):\n" + ELEMENT + """\
    at = (k // n) * (4 * n) + k % n
    i, f, g, o = gates[at], gates[at + n], gates[at + 2 * n], gates[at + 3 * n]
    s = squashed[k]
    d = dc[k] + dh[k] * o * (one - s * s)
    dz[at] = d * g * i * (one - i)
    dz[at + n] = d * c[k] * f * (one - f)
    dz[at + 2 * n] = d * i * (one - g * g)
    dz[at + 3 * n] = dh[k] * s * o * (one - o)
    before[k] = d * f
"""),
    "gru_step": ("ddddd", "qq", "def gru_step(z, u, h, gates, after, size, n):\n" + ELEMENT + f"""\
    at = (k // n) * (3 * n) + k % n
    r = {SIGMOID.format("z[at] + u[at]")}
    keep = {SIGMOID.format("z[at + n] + u[at + n]")}
    new = math.tanh(z[at + 2 * n] + r * u[at + 2 * n])
    gates[at], gates[at + n], gates[at + 2 * n] = r, keep, new
    after[k] = new + keep * (h[k] - new)
"""),
    "gru_step_back": ("ddddddd", "qq",
    "def gru_step_back(gates, u, h, dh, dz, du, before, size, n):\n" + ELEMENT + """\
    at = (k // n) * (3 * n) + k % n
    r, keep, new = gates[at], gates[at + n], gates[at + 2 * n]
    dn = dh[k] * (one - keep) * (one - new * new)
    dr = dn * u[at + 2 * n] * r * (one - r)
    dk = dh[k] * (h[k] - new) * keep * (one - keep)
    dz[at], dz[at + n], dz[at + 2 * n] = dr, dk, dn
    du[at], du[at + n], du[at + 2 * n] = dr, dk, dn * r
    before[k] = dh[k] * keep
"""),
    "relu_back": ("ddd", "q", "def relu_back(g, y, dx, size):\n" + ELEMENT + """\
    dx[k] = zero if y[k] == zero else g[k]
"""),
}  # fmt: skip

_ROOMS = attention, norms, passages, windows
NAMES = [*_TEXTS, *(name for room in _ROOMS for name in room.TEXTS)]

_kernels: dict[tuple[str, str], Any] = {}


def described(name: str, dtype: str) -> tuple[str, str, str]:
    """The kinds of a kernel's arrays and scalars, as in `_TEXTS`, and its text without the head."""
    for texts in (_TEXTS, *(room.TEXTS for room in _ROOMS)):
        if name in texts:
            return texts[name]
    return elements.text(name, dtype)


def text(name: str, dtype: str, on_disk: bool) -> str:
    """The whole text of a kernel."""
    return (HEAD + described(name, dtype)[2]).format(dtype=dtype, cache=on_disk)


def kernel(name: str, dtype: np.dtype[Any]) -> tuple[Any, str, str]:
    """A `@cuda.jit` function, and the kinds of its arrays and scalars as of `struct`."""
    found = _kernels.get((name, dtype.char))
    if found is None:
        from ...compiler import cuda

        arrays, scalars, _ = described(name, dtype.name)
        letters = arrays.replace("b", "B").replace("d", dtype.char).replace("i", "q")
        compiled = cache.load(name, lambda on_disk: text(name, dtype.name, on_disk), cuda.made_by())
        found = compiled, letters, scalars.replace("d", dtype.char)
        _kernels[name, dtype.char] = found
    return found


def over_rows(name: str, rows: int, width: int, arrays: Any, *scalars: Any) -> None:
    """Launch a kernel with a block for each row, and threads as a row of that width needs."""
    threads = 32 if width <= 64 else THREADS if width <= 8 * THREADS else 2 * THREADS
    _launch(name, rows, threads, arrays, scalars)


def over_blocks(name: str, blocks: int, threads: int, arrays: Any, *scalars: Any) -> None:
    """Launch a kernel with so many blocks of so many threads."""
    _launch(name, blocks, threads, arrays, scalars)


def over_elements(name: str, size: int, arrays: Any, *scalars: Any) -> None:
    """Launch a kernel with a thread for each element; `size` is its first scalar."""
    _launch(name, None, THREADS, arrays, (size, *scalars))


def _launch(name: str, blocks: int | None, threads: int, arrays: Any, scalars: Any) -> None:
    from ...compiler import cuda

    dtype = arrays[0].dtype if arrays[0].dtype.char in "fd" else _FLOAT32
    cuda.launch_over(*kernel(name, dtype), arrays, scalars, blocks, threads)


def fits(*arrays: Any) -> bool:
    """Whether these are float32 or float64, all of one type, contiguous and not empty."""
    dtype = arrays[0].dtype
    return dtype.char in "fd" and all(
        a.dtype is dtype and a.flags.c_contiguous and a.size > 0 for a in arrays
    )
