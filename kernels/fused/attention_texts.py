"""The kernels of attention, as they are compiled: `attention.py` fills in types, and runs them.

`short` rows of scores have loops that are masked at their ends.
"""

from __future__ import annotations

__all__ = ["TEXTS"]

_HEAD = """\
# Written by tinygrad_opt.kernels.fused.attention.
import numpy as np
from numba import types
from tinygrad_opt.kernels.direct import njit

from tinygrad_opt.kernels.compiler.lanes import all_lanes, mask_ends
from tinygrad_opt.kernels.functions import exp
from tinygrad_opt.kernels.functions.primitives import maximum
from tinygrad_opt.kernels.pool import share
from tinygrad_opt.kernels.pool.borrow import give_back_blas, take_blas

number, zero, one, size = np.{dtype}, np.{dtype}(0), np.{dtype}(1), {size}
lowest, short = number(-np.inf), {short}
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


@inlined
def reach(last, n, causal):
    # How many of n keys are worked on for query `last`.
    return min(n, last + 1) if short and causal else n
"""

# Where a causal mask hides what is at the end of a row, a short one is worked on as far as it goes.
# Long rows are worked on as a whole: what is hidden has a score of -inf, which becomes a weight of
# 0. All rows of a block have one length then, of whole vectors mostly; rows of 200, 201, 202, ...
# keys leave a few for the end, and these would go one by one.
#
# A mask, or factors, are rows of keys; `step` says how far apart those of two samples, heads and
# queries are.
_FORWARD = """

@inlined
def weigh(scores, count, n, first, causal, masks, mask, mask_step, factors, factor, factor_step,
          scale, head, stats):
    # Rows of scale z + mask -> softmax * factor; its largest, and one over the sum, go to stats.
    for r in range(count):
        z, seen = scores[r, :n], reach(first + r, n, causal)
        plus, times = masks[mask + r * mask_step], factors[factor + r * factor_step]
        top, total = lowest, zero
        for j in range(seen):
            z[j] = z[j] * scale + plus[j]
            top = maximum(top, z[j])
        hide(z, first + r, causal, zero if short else lowest)
        if not short:
            top = lowest  # of what is not hidden
            for j in range(n):
                top = maximum(top, z[j])
        for j in range(seen):
            z[j] = exp(z[j] - top)
            total += z[j]
        rate = one / total
        stats[head, first + r, 0], stats[head, first + r, 1] = top, rate
        for j in range(seen):
            z[j] *= times[j] * rate


@njit(fastmath={{"contract", "nsz", "reassoc"}}, error_model="numpy", nogil=True)
def some_heads(first, last, q, k, v, masks, mask_step, factors, factor_step, scale, causal, rows,
               o, stats):
    all_lanes()
    {ends}
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
        z, d, seen = scores[r, :n], slopes[r, :n], reach(first + r, n, causal)
        top, rate = stats[head, first + r, 0], stats[head, first + r, 1]
        plus, times = masks[mask + r * mask_step], factors[factor + r * factor_step]
        total = zero
        for j in range(seen):
            z[j] = z[j] * scale + plus[j] - top
        hide(z, first + r, causal, zero if short else lowest)
        hide(d, first + r, causal, zero)
        for j in range(seen):
            z[j] = exp(z[j]) * rate
            d[j] *= times[j]
            total += d[j] * z[j]
        for j in range(seen):
            d[j] = (d[j] - total) * z[j] * scale
            z[j] *= times[j]


@inlined
def clear(x, i, j, first):
    for r in range(first, x.shape[2]):
        for c in range(x.shape[3]):
            x[i, j, r, c] = zero


@njit(fastmath={{"contract", "nsz", "reassoc"}}, error_model="numpy", nogil=True)
def some_heads(first, last, g, q, k, v, masks, mask_step, factors, factor_step, scale, causal,
               rows, stats, dq, dk, dv):
    all_lanes()
    {ends}
    heads, length, keys, width, out = q.shape[1], q.shape[2], k.shape[2], q.shape[3], v.shape[3]
    scores = np.empty((min(rows, length), keys), number)
    slopes = np.empty((min(rows, length), keys), number)
    z, d = (scores.ctypes.data, keys), (slopes.ctypes.data, keys)
    for head in range(first, last):
        i, j = head // heads, head % heads
        if causal:  # keys that no query looks at
            clear(dk, i, j, length)
            clear(dv, i, j, length)
        blocks = (length + rows - 1) // rows
        for done in range(blocks):  # from the last one on, which looks at most keys
            start, more = (blocks - 1 - done) * rows, min(done, 1)
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
            product(n, width, m, 112, d, 111, of_q, more, at(dk, i, j, 0))
            product(n, out, m, 112, z, 111, of_g, more, at(dv, i, j, 0))


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

TEXTS = {"attention": _HEAD + _FORWARD, "attention_back": _HEAD + _BACKWARD}
