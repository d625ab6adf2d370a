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
from .attention_texts import TEXTS
from .layouts import gradient, like_each

ROWS, CAUSAL_ROWS = 128, 64  # queries of a block; smaller ones can leave out more hidden keys
SHORT = 127  # keys: loops over so many had better be masked at their ends
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

_kernels: dict[tuple[str, str, bool], Any] = {}


def _kernel(name: str, dtype: Any, keys: int) -> Any:
    short = keys <= SHORT
    kernel = _kernels.get((name, dtype.char, short))
    if kernel is None:
        back = [(_load, "attention_back", dtype, short)] if name == "attention" else []
        kernel = ahead.made(_load, name, dtype, short, back=back)
        _kernels[name, dtype.char, short] = kernel
    return kernel


def _load(name: str, dtype: Any, short: bool) -> Any:
    blas.bind("product", blas.LETTERS[dtype.char])  # which the text calls
    settings = {
        "dtype": dtype.name, "four": f"{dtype.name}[:, :, :, :]", "size": dtype.itemsize,
        "letter": blas.LETTERS[dtype.char], "short": short, "ends": "mask_ends()" if short else "",
    }  # fmt: skip
    return pool.load(name, lambda on_disk: TEXTS[name].format(cache=on_disk, **settings))


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
    if o.strides[3] != o.itemsize:  # of one number each, all axes of q may be the last one
        o = np.empty(o.shape, o.dtype)
    stats = np.empty((samples * heads, length, 2), q.dtype)
    _kernel("attention", q.dtype, v.shape[2])(*inputs, *settings, o, stats)

    shape = *batch, *o.shape[2:]

    def back(g: Any) -> tuple[Any, ...]:
        if g.shape != shape or g.dtype is not q.dtype:
            g = gradient(g, shape, q.dtype)
        gradients = like_each(inputs)
        kernel = _kernel("attention_back", q.dtype, v.shape[2])
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
    if causal and q.shape[2] <= CAUSAL_ROWS:
        rows = min(rows, CAUSAL_ROWS // 2)
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
