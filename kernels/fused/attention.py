"""Scaled dot-product attention: the formulas, and kernels for NumPy's arrays.

The kernels work on one head at a time, in blocks of queries, whose scores stay in the cache; blocks
of keys that a causal mask hides are never touched. Products are those of `blas.py`, on one thread;
heads are shared among the pool's. Backward computes the weights again, from the largest score and
the sum of each row, so nothing of (queries, keys) is kept. Query, key, value and the gradient are
read where they lie, also as views of one array, as long as a row is contiguous.

Each formula is the twin of a kernel, held equal by `tests/test_twins.py`; `ops/attention.py` makes
an operation of them.

Shapes: query (..., L, E), key (..., S, E), value (..., S, V); mask and factor broadcast to
(..., L, S), or are None.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import blas, pool
from ..pool import ahead
from .layouts import gradient, like_each

ROWS, CAUSAL_ROWS = 128, 64  # queries of a block; smaller ones can leave out more hidden keys
CELLS = 262_144  # scores of a block at most, if it has not fewer than 32 queries
PART = 500_000  # multiply-adds of a thread's part, at least
SPEED = 40  # multiply-adds of a nanosecond, about

Pair = tuple[Any, Callable[[Any], tuple[Any, ...]]]

# The formulas ------------------------------------------------------------------------------------


def attention_pair(
    space: Any, query: Any, key: Any, value: Any, mask: Any, factor: Any, scale: float, causal: bool
) -> Pair:
    """(softmax(scale query key^T + mask) * factor) value, and what makes its gradients of g.

    `causal`: query i looks at keys 0 to i, then without mask. The gradients are those of query, key
    and value.
    """
    product = space.matmul  # not @: who captures a graph has products of his own
    p = attention_weights(space, query, key, mask, scale, causal)
    used = p if factor is None else p * factor

    def back(g: Any) -> tuple[Any, ...]:
        ds = attention_scores_back(space, g, p, value, factor)
        return (
            product(ds, key) * scale,
            product(space.swapaxes(ds, -1, -2), query * scale),
            product(space.swapaxes(used, -1, -2), g),
        )

    return product(used, value), back


def attention_weights(
    space: Any, query: Any, key: Any, mask: Any, scale: float, causal: bool
) -> Any:
    """softmax(scale query key^T + mask)."""
    scores = space.matmul(query * scale, space.swapaxes(key, -1, -2))
    if causal:
        mask = space.causal_mask(query, key.shape[-2])
    return space.softmax(scores if mask is None else scores + mask, axis=-1)


def attention_scores_back(space: Any, g: Any, p: Any, value: Any, factor: Any) -> Any:
    """The gradient of the scores, and so of the mask: p (dp - sum of dp p)."""
    dp = space.matmul(g, space.swapaxes(value, -1, -2))
    dp = dp if factor is None else dp * factor
    return space.softmax_back(p, dp, -1)


def packed_attention_pair(
    space: Any, packed: Any, mask: Any, factor: Any, heads: int, scale: float, causal: bool,
    batch_axis: int,
) -> Pair:  # fmt: skip
    """Attention of query, key and value side by side, as one projection makes them.

    packed: (N, L, 3 E), or (L, N, 3 E) with `batch_axis` 1. The result (N, L, E), or (L, N, E), has
    the heads side by side. The way back returns one gradient, of `packed`.
    """
    a, b, width = packed.shape
    shape = a, b, 3, heads, width // (3 * heads)
    order = (2, 0, 3, 1, 4) if batch_axis == 0 else (2, 1, 3, 0, 4)
    parts = space.transpose(packed.reshape(shape), axes=order)  # (3, N, heads, L, E / heads)
    y, way_back = space.attention_pair(parts[0], parts[1], parts[2], mask, factor, scale, causal)
    joined = (0, 2, 1, 3) if batch_axis == 0 else (2, 0, 1, 3)
    split = (0, 2, 1, 3) if batch_axis == 0 else (1, 2, 0, 3)
    side_by_side = (1, 3, 0, 2, 4) if batch_axis == 0 else (3, 1, 0, 2, 4)

    def back(g: Any) -> tuple[Any, ...]:
        g = space.transpose(g.reshape((a, b, heads, width // (3 * heads))), axes=split)
        found = space.stack(list(way_back(g)), axis=0)
        return (space.transpose(found, axes=side_by_side).reshape(packed.shape),)

    return space.transpose(y, axes=joined).reshape((a, b, width // 3)), back


# The kernels -------------------------------------------------------------------------------------

_HEAD = """\
# Written by tinygrad_opt.kernels.fused.attention.
import numpy as np
from numba import types
from tinygrad_opt.kernels.direct import njit

from tinygrad_opt.kernels.compiler.lanes import all_lanes
from tinygrad_opt.kernels.functions import exp
from tinygrad_opt.kernels.functions.primitives import maximum
from tinygrad_opt.kernels.pool import share
from tinygrad_opt.kernels.pool.borrow import give_back_blas, take_blas

number, zero, one, size = np.{dtype}, np.{dtype}(0), np.{dtype}(1), {size}
lowest = number(-np.inf)
inlined = njit(inline="always")  # compiled within its caller: half the time
one_product = types.ExternalFunction(
    "tinygrad_opt_{letter}_product", types.void(*[types.int64] * 13)
)


@inlined
def product(m, n, k, x_way, x, y_way, y, more, out):
    # out = x y, or += of `more`, of matrices given by (address, distance of rows); 112: transposed
    one_product(x_way, y_way, m, n, k, x[0], x[1], y[0], y[1], out[0], out[1], more, 0)


@inlined
def at(x, i, j, row):
    # Of head (i, j) of a 4-d array: where `row` begins, and the distance of rows.
    start = i * x.strides[0] + j * x.strides[1] + row * x.strides[2]
    return x.ctypes.data + start, x.strides[2] // size


@inlined
def hide(row, last, causal, value):
    # What query `last` does not look at.
    if causal:
        hidden = row[last + 1 :]
        for j in range(hidden.shape[0]):
            hidden[j] = value
"""

# Whole rows are worked on, also where a causal mask hides what is at their end: it has a score of
# -inf, which becomes a weight of 0. All rows of a block have one length then, of whole vectors
# mostly; rows of 1, 2, 3, ... keys leave a few for the end, and these go one by one.
#
# A mask, or factors, are rows of keys; `step` says how far apart those of two samples, heads and
# queries are.
_FORWARD = """

@inlined
def weigh(scores, count, n, first, causal, masks, mask, mask_step, factors, factor, factor_step,
          scale, head, stats):
    # Rows of scale z + mask -> softmax * factor; its largest, and one over the sum, go to stats.
    for r in range(count):
        z = scores[r, :n]
        plus, times = masks[mask + r * mask_step], factors[factor + r * factor_step]
        for j in range(n):
            z[j] = z[j] * scale + plus[j]
        hide(z, first + r, causal, lowest)
        top, total = lowest, zero
        for j in range(n):
            top = maximum(top, z[j])
        for j in range(n):
            z[j] = exp(z[j] - top)
            total += z[j]
        rate = one / total
        stats[head, first + r, 0], stats[head, first + r, 1] = top, rate
        for j in range(n):
            z[j] *= times[j] * rate


@njit(fastmath={{"contract", "nsz", "reassoc"}}, error_model="numpy", nogil=True)
def some_heads(first, last, q, k, v, masks, mask_step, factors, factor_step, scale, causal, rows,
               o, stats):
    all_lanes()
    heads, length, keys = q.shape[1], q.shape[2], k.shape[2]
    scores = np.empty((min(rows, length), keys), number)
    z = scores.ctypes.data, keys
    for head in range(first, last):
        i, j = head // heads, head % heads
        for start in range(0, length, rows):
            m = min(rows, length - start)
            n = min(keys, start + m) if causal else keys
            product(m, n, q.shape[3], 111, at(q, i, j, start), 112, at(k, i, j, 0), 0, z)
            mask = i * mask_step[0] + j * mask_step[1] + start * mask_step[2]
            factor = i * factor_step[0] + j * factor_step[1] + start * factor_step[2]
            weigh(scores, m, n, start, causal, masks, mask, mask_step[2], factors, factor,
                  factor_step[2], scale, head, stats)
            product(m, v.shape[3], n, 111, z, 111, at(v, i, j, 0), 0, at(o, i, j, start))


@njit("void({four}, {four}, {four}, {dtype}[:, ::1], int64[::1], {dtype}[:, ::1], int64[::1],"
      "{dtype}, boolean, int64, int64, int64, {four}, {dtype}[:, :, ::1])", error_model="numpy",
      nogil=True, no_cfunc_wrapper=True, cache={cache})
def attention(q, k, v, masks, mask_step, factors, factor_step, scale, causal, rows, grain, cost,
              o, stats):
    take_blas()
    share(some_heads, stats.shape[0], grain, cost, q, k, v, masks, mask_step, factors, factor_step,
          scale, causal, rows, o, stats)
    give_back_blas()
"""

_BACKWARD = """

@inlined
def weigh_back(scores, slopes, count, n, first, causal, masks, mask, mask_step, factors, factor,
               factor_step, scale, head, stats):
    # scores: rows of z -> softmax * factor;  slopes: of dp -> the gradient of q k^T
    for r in range(count):
        z, d = scores[r, :n], slopes[r, :n]
        top, rate = stats[head, first + r, 0], stats[head, first + r, 1]
        plus, times = masks[mask + r * mask_step], factors[factor + r * factor_step]
        total = zero
        for j in range(n):
            z[j] = z[j] * scale + plus[j] - top
        hide(z, first + r, causal, lowest)
        hide(d, first + r, causal, zero)
        for j in range(n):
            z[j] = exp(z[j]) * rate
            d[j] *= times[j]
            total += d[j] * z[j]
        for j in range(n):
            d[j] = (d[j] - total) * z[j] * scale
            z[j] *= times[j]


@inlined
def clear(x, i, j):
    for r in range(x.shape[2]):
        for c in range(x.shape[3]):
            x[i, j, r, c] = zero


@njit(fastmath={{"contract", "nsz", "reassoc"}}, error_model="numpy", nogil=True)
def some_heads(first, last, g, q, k, v, masks, mask_step, factors, factor_step, scale, causal,
               rows, stats, dq, dk, dv):
    all_lanes()
    heads, length, keys, width, out = q.shape[1], q.shape[2], k.shape[2], q.shape[3], v.shape[3]
    scores = np.empty((min(rows, length), keys), number)
    slopes = np.empty((min(rows, length), keys), number)
    z, d = (scores.ctypes.data, keys), (slopes.ctypes.data, keys)
    for head in range(first, last):
        i, j = head // heads, head % heads
        clear(dk, i, j)
        clear(dv, i, j)
        for start in range(0, length, rows):
            m = min(rows, length - start)
            n = min(keys, start + m) if causal else keys
            of_q, of_g = at(q, i, j, start), at(g, i, j, start)
            product(m, n, width, 111, of_q, 112, at(k, i, j, 0), 0, z)
            product(m, n, out, 111, of_g, 112, at(v, i, j, 0), 0, d)
            mask = i * mask_step[0] + j * mask_step[1] + start * mask_step[2]
            factor = i * factor_step[0] + j * factor_step[1] + start * factor_step[2]
            weigh_back(scores, slopes, m, n, start, causal, masks, mask, mask_step[2], factors,
                       factor, factor_step[2], scale, head, stats)
            product(m, width, n, 111, d, 111, at(k, i, j, 0), 0, at(dq, i, j, start))
            product(n, width, m, 112, d, 111, of_q, 1, at(dk, i, j, 0))
            product(n, out, m, 112, z, 111, of_g, 1, at(dv, i, j, 0))


@njit("void({four}, {four}, {four}, {four}, {dtype}[:, ::1], int64[::1], {dtype}[:, ::1],"
      "int64[::1], {dtype}, boolean, int64, int64, int64, {dtype}[:, :, ::1], {four}, {four},"
      "{four})",
      error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def attention_back(g, q, k, v, masks, mask_step, factors, factor_step, scale, causal, rows, grain,
                   cost, stats, dq, dk, dv):
    take_blas()
    share(some_heads, stats.shape[0], grain, cost, g, q, k, v, masks, mask_step, factors,
          factor_step, scale, causal, rows, stats, dq, dk, dv)
    give_back_blas()
"""

_kernels: dict[tuple[str, str], Any] = {}


def _kernel(name: str, dtype: Any) -> Any:
    kernel = _kernels.get((name, dtype.char))
    if kernel is None:
        back = [(_load, "attention_back", dtype)] if name == "attention" else []
        kernel = _kernels[name, dtype.char] = ahead.made(_load, name, dtype, back=back)
    return kernel


def _load(name: str, dtype: Any) -> Any:
    blas.bind("product", blas.LETTERS[dtype.char])  # which the text calls
    text = _HEAD + (_FORWARD if name == "attention" else _BACKWARD)
    settings = {
        "dtype": dtype.name, "four": f"{dtype.name}[:, :, :, :]", "size": dtype.itemsize,
        "letter": blas.LETTERS[dtype.char],
    }  # fmt: skip
    return pool.load(name, lambda on_disk: text.format(cache=on_disk, **settings))


# On NumPy's arrays -------------------------------------------------------------------------------


def fused_attention_pair(
    space: Any, query: Any, key: Any, value: Any, mask: Any, factor: Any, scale: float, causal: bool
) -> Pair:
    """`attention_pair` on NumPy's arrays."""
    arrays = query, key, value, mask, factor
    if not _fits(*arrays):
        return attention_pair(space, *arrays, scale, causal)
    batch, inputs, settings = _problem(*arrays, scale, causal)
    q, _, v = inputs
    samples, heads, length, _ = q.shape
    o = np.empty_like(q, shape=(samples, heads, length, v.shape[3]))  # laid out as q is
    stats = np.empty((samples * heads, length, 2), q.dtype)
    _kernel("attention", q.dtype)(*inputs, *settings, o, stats)

    shape = *batch, *o.shape[2:]

    def back(g: Any) -> tuple[Any, ...]:
        if g.shape != shape or g.dtype is not q.dtype:
            g = gradient(g, shape, q.dtype)
        gradients = like_each(inputs)
        kernel = _kernel("attention_back", q.dtype)
        kernel(_heads(g, batch), *inputs, *settings, stats, *gradients)
        return tuple(d.reshape(*batch, *d.shape[2:]) for d in gradients)

    return o.reshape(shape), back


def _fits(query: Any, key: Any, value: Any, mask: Any, factor: Any) -> bool:
    """Whether the kernels take these: floats of one type, none empty; with OpenBLAS at hand."""
    dtype, rows, keys = query.dtype, query.shape[-2], key.shape[-2]
    if dtype.char not in "fd" or not dtype.isnative or not blas.is_available():
        return False
    for a in (query, key, value, mask, factor):
        if a is not None and (a.dtype != dtype or not a.size or a.ndim < 2):
            return False
    for a in (mask, factor):
        if a is not None and (a.shape[-2] not in (1, rows) or a.shape[-1] not in (1, keys)):
            return False
    return bool(query.shape[-1] == key.shape[-1] and keys == value.shape[-2])


def _problem(
    query: Any, key: Any, value: Any, mask: Any, factor: Any, scale: float, causal: bool
) -> tuple[tuple[int, ...], list[Any], tuple[Any, ...]]:
    """The leading axes of the result, the heads (see `_heads`), and the kernels' settings."""
    shapes = {a.shape[:-2] for a in (query, key, value, mask, factor) if a is not None}
    batch = np.broadcast_shapes(*shapes) if len(shapes) > 1 else shapes.pop()
    q, k, v = (_heads(x, batch) for x in (query, key, value))
    masks = _rows(mask, batch, k.shape[2], 0, q.dtype)
    factors = _rows(factor, batch, k.shape[2], 1, q.dtype)
    work = q.shape[2] * k.shape[2] * (q.shape[3] + v.shape[3])  # multiply-adds of a head
    grain = max(1, PART // work)
    rows = min(max(CELLS // k.shape[2], 32), CAUSAL_ROWS if causal else ROWS)
    cost = grain * work // SPEED
    settings = *masks, *factors, float(scale), causal, rows, grain, cost
    return batch, [q, k, v], settings


def _heads(x: Any, batch: tuple[int, ...]) -> Any:
    """x (..., n, features) as (samples, heads, n, features), whose rows are contiguous."""
    shape = *batch, *x.shape[-2:]
    if x.shape != shape:
        x = np.broadcast_to(x, shape)
    if len(batch) != 2:
        x = x.reshape(-1, *((1, *shape)[-3:]))
    line, step = x.strides[2:]
    size = x.itemsize
    whole = step == size and line % size == 0 and line >= x.shape[3] * size
    return x if whole and x.flags.aligned and x.flags.writeable else np.array(x, order="C")


@functools.lru_cache(maxsize=64)
def _no_rows(keys: int, default: float, dtype: Any) -> tuple[Any, Any]:
    return np.full((1, keys), default, dtype), np.zeros(3, np.int64)


def _rows(x: Any, batch: tuple[int, ...], keys: int, default: float, dtype: Any) -> Any:
    """A mask as rows of keys, and how far apart those of two samples, heads, queries are."""
    if x is None:
        return _no_rows(keys, default, dtype)
    leading = x.shape[:-2]
    if len(batch) > 2 and math.prod(leading) > 1:
        leading = batch
    x = np.broadcast_to(x, (*leading, x.shape[-2], keys))
    samples, heads, queries = (1, 1, 1, *x.shape[:-1])[-3:]
    samples = x.size // (heads * queries * keys)
    steps = heads * queries, queries, 1
    counts = samples, heads, queries
    step = np.array([s if n > 1 else 0 for s, n in zip(steps, counts, strict=True)], np.int64)
    return np.require(x, requirements=["C", "A", "W"]).reshape(-1, keys), step
