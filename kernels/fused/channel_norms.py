"""Norms of channels: batch, instance and group norm, forward and backward.

x is (batch, channels, cells). A stretch, the cells of one channel of one sample, is contiguous, and
statistics are taken over some stretches: those of a channel (batch norm), of a sample's channel
(instance norm), of a sample's group of channels (group norm). So each kernel passes over the
stretches, joins what it found for them, and passes over them once more where it has to. With a
single cell, (batch, channels), the loops run along the channels instead, in blocks of rows.

Long sums are taken in blocks, so they keep their digits. What is found is kept for each stretch, or
block, and joined in order: no bit depends on the number of threads.

The formulas are in `normalization.py` beside this.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from .. import pool

PART = 65_536  # elements that a thread works on at a time
BLOCK = 4096  # elements that are added in their own type, before float64 takes over
ROWS = 128  # the same for rows of single cells


class Layout(NamedTuple):
    """Over which stretches statistics are taken."""

    channels: int
    per_sample: int  # statistics of a sample; 0: they are those of the whole batch
    group: int  # channels that share them


_HEAD = """\
# Written by tinygrad_opt.kernels.fused.channel_norms.
import numpy as np
from numba import njit

from tinygrad_opt.kernels.pool import split

number, zero = np.{dtype}, np.{dtype}(0)
part = njit(fastmath={{"contract", "nsz", "reassoc"}}, error_model="numpy", nogil=True,
            no_cpython_wrapper=True, no_cfunc_wrapper=True)


"""

_TEXTS = {
    "moments": """\
@part
def some_moments(first, last, x, means, squares):
    n = x.shape[1]
    for s in range(first, last):
        row, total, square = x[s], 0.0, 0.0
        for start in range(0, n, {block}):
            sum_x = zero
            for j in range(start, min(start + {block}, n)):
                sum_x += row[j]
            total += sum_x
        m = number(total / n)
        for start in range(0, n, {block}):
            sum_x = zero
            for j in range(start, min(start + {block}, n)):
                sum_x += (row[j] - m) * (row[j] - m)
            square += sum_x
        means[s], squares[s] = total / n, square / n


@njit("void({matrix}, int64[::1], int64[::1], int64, float64[::1], float64[::1],"
      "float64[::1], float64[::1])", error_model="numpy", nogil=True, cache={cache})
def moments(x, owner, channel, grain, means, squares, mean, variance):
    count = x.shape[0]
    split(some_moments, count, grain, x, means, squares)
    share = mean.shape[0] / count
    for s in range(count):
        mean[owner[s]] += means[s] * share
    for s in range(count):
        away = means[s] - mean[owner[s]]
        variance[owner[s]] += (squares[s] + away * away) * share
""",
    "normalize": """\
@part
def some_results(first, last, x, owner, channel, mean, rate, weight, bias, y):
    for s in range(first, last):
        k, c = owner[s], channel[s]
        m, times, plus = mean[k], rate[k] * weight[c], bias[c]
        row, to = x[s], y[s]
        for j in range(x.shape[1]):
            to[j] = (row[j] - m) * times + plus


@njit("void({matrix}, int64[::1], int64[::1], int64, {vector}, {vector},"
      "{vector}, {vector}, {matrix})", error_model="numpy", nogil=True, cache={cache})
def normalize(x, owner, channel, grain, mean, rate, weight, bias, y):
    split(some_results, x.shape[0], grain, x, owner, channel, mean, rate, weight, bias, y)
""",
    # h = g weight;  dx = rate (h - mean(h) - z mean(h z)), where z = (x - mean) rate; with given
    # statistics, dx = rate h. The two means are a, and b / rate for z without its rate.
    "sums": """\
@part
def some_sums(first, last, g, x, owner, channel, mean, sum_g, sum_z):
    n = x.shape[1]
    for s in range(first, last):
        m = mean[owner[s]]
        gr, row, total_g, total_z = g[s], x[s], 0.0, 0.0
        for start in range(0, n, {block}):
            part_g, part_z = zero, zero
            for j in range(start, min(start + {block}, n)):
                part_g += gr[j]
                part_z += gr[j] * (row[j] - m)
            total_g += part_g
            total_z += part_z
        sum_g[s], sum_z[s] = total_g, total_z


@njit("void({matrix}, {matrix}, int64[::1], int64[::1], int64, {vector},"
      "{vector}, {vector}, float64[::1], float64[::1], float64[::1], float64[::1],"
      "float64[::1], float64[::1])", error_model="numpy", nogil=True, cache={cache})
def sums(g, x, owner, channel, grain, mean, rate, weight, sum_g, sum_z, dw, db, a, b):
    count = x.shape[0]
    split(some_sums, count, grain, g, x, owner, channel, mean, sum_g, sum_z)
    for s in range(count):
        k, c = owner[s], channel[s]
        db[c] += sum_g[s]
        dw[c] += sum_z[s] * rate[k]
        a[k] += sum_g[s] * weight[c]
        b[k] += sum_z[s] * weight[c]
    share = a.shape[0] / (count * x.shape[1])
    for k in range(a.shape[0]):
        a[k] *= share
        b[k] *= share * rate[k] * rate[k]
""",
    "gradients": """\
@part
def some_gradients(first, last, g, x, owner, channel, mean, rate, weight, a, b, dx):
    for s in range(first, last):
        k = owner[s]
        m, r, w, ak, bk = mean[k], rate[k], weight[channel[s]], number(a[k]), number(b[k])
        gr, row, to = g[s], x[s], dx[s]
        for j in range(x.shape[1]):
            to[j] = (gr[j] * w - ak - (row[j] - m) * bk) * r


@njit("void({matrix}, {matrix}, int64[::1], int64[::1], int64, {vector},"
      "{vector}, {vector}, float64[::1], float64[::1], {matrix})",
      error_model="numpy", nogil=True, cache={cache})
def gradients(g, x, owner, channel, grain, mean, rate, weight, a, b, dx):
    split(some_gradients, x.shape[0], grain, g, x, owner, channel, mean, rate, weight,
          a, b, dx)
""",
    # The same of single cells: s stands for a block of rows, and loops run along the channels.
    "column_moments": """\
@part
def some_moments(first, last, x, sums, means, squares):
    for s in range(first, last):
        total, square, mean, squared = sums[s, 0], sums[s, 1], means[s], squares[s]
        start, stop = s * {rows}, min((s + 1) * {rows}, x.shape[0])
        for r in range(start, stop):
            row = x[r]
            for j in range(x.shape[1]):
                total[j] += row[j]
        for j in range(x.shape[1]):
            mean[j] = total[j] / (stop - start)
            total[j] = mean[j]
        for r in range(start, stop):
            row = x[r]
            for j in range(x.shape[1]):
                square[j] += (row[j] - total[j]) * (row[j] - total[j])
        for j in range(x.shape[1]):
            squared[j] = square[j] / (stop - start)


@njit("void({matrix}, int64, {dtype}[:, :, ::1], float64[:, ::1], float64[:, ::1],"
      "float64[::1], float64[::1])", error_model="numpy", nogil=True, cache={cache})
def column_moments(x, grain, sums, means, squares, mean, variance):
    n = x.shape[0]
    split(some_moments, means.shape[0], grain, x, sums, means, squares)
    for s in range(means.shape[0]):
        share = min({rows}, n - s * {rows}) / n
        for j in range(mean.shape[0]):
            mean[j] += means[s, j] * share
    for s in range(means.shape[0]):
        share = min({rows}, n - s * {rows}) / n
        for j in range(mean.shape[0]):
            away = means[s, j] - mean[j]
            variance[j] += (squares[s, j] + away * away) * share
""",
    "column_normalize": """\
@part
def some_results(first, last, x, mean, times, bias, y):
    for r in range(first, last):
        row, to = x[r], y[r]
        for j in range(x.shape[1]):
            to[j] = (row[j] - mean[j]) * times[j] + bias[j]


@njit("void({matrix}, int64, {vector}, {vector}, {vector}, {matrix})",
      error_model="numpy", nogil=True, cache={cache})
def column_normalize(x, grain, mean, times, bias, y):
    split(some_results, x.shape[0], grain, x, mean, times, bias, y)
""",
    "column_sums": """\
@part
def some_sums(first, last, g, x, mean, sums):
    for s in range(first, last):
        sum_g, sum_z = sums[s, 0], sums[s, 1]
        for r in range(s * {rows}, min((s + 1) * {rows}, x.shape[0])):
            gr, row = g[r], x[r]
            for j in range(x.shape[1]):
                sum_g[j] += gr[j]
            for j in range(x.shape[1]):
                sum_z[j] += gr[j] * (row[j] - mean[j])


@njit("void({matrix}, {matrix}, int64, {vector}, {dtype}[:, :, ::1],"
      "float64[:, ::1])", error_model="numpy", nogil=True, cache={cache})
def column_sums(g, x, grain, mean, sums, total):
    split(some_sums, sums.shape[0], grain, g, x, mean, sums)
    for s in range(sums.shape[0]):
        for k in range(2):
            for j in range(x.shape[1]):
                total[k, j] += sums[s, k, j]
""",
    "column_gradients": """\
@part
def some_gradients(first, last, g, x, mean, times, a, b, dx):
    for r in range(first, last):
        gr, row, to = g[r], x[r], dx[r]
        for j in range(x.shape[1]):
            to[j] = gr[j] * times[j] - a[j] - (row[j] - mean[j]) * b[j]


@njit("void({matrix}, {matrix}, int64, {vector}, {vector},"
      "{vector}, {vector}, {matrix})", error_model="numpy", nogil=True, cache={cache})
def column_gradients(g, x, grain, mean, times, a, b, dx):
    split(some_gradients, x.shape[0], grain, g, x, mean, times, a, b, dx)
""",
}

_kernels: dict[tuple[str, str], Any] = {}


def _kernel(name: str, dtype: Any) -> Any:
    kernel = _kernels.get((name, dtype.char))
    if kernel is None:
        text = _HEAD + _TEXTS[name]
        settings = {
            "dtype": dtype.name,
            "vector": f"{dtype.name}[::1]",
            "matrix": f"{dtype.name}[:, ::1]",
            "block": BLOCK,
            "rows": ROWS,
        }
        kernel = pool.load(name, lambda on_disk: text.format(cache=on_disk, **settings))
        _kernels[name, dtype.char] = kernel
    return kernel


# Running them -----------------------------------------------------------------------------------


def moments(x: Any, layout: Layout) -> tuple[Any, Any]:
    """The mean and the (biased) variance of each set of stretches, in float64.

    Args:
        x: (batch, channels, cells), contiguous, float32 or float64, not empty.
        layout: which stretches make a set.
    """
    batch, channels, cells = x.shape
    mean, variance = np.zeros((2, batch * layout.per_sample or channels))
    if _by_columns(x, layout):
        blocks = -(-batch // ROWS)
        sums, found = np.zeros((blocks, 2, channels), x.dtype), np.empty((2, blocks, channels))
        kernel = _kernel("column_moments", x.dtype)
        kernel(x.reshape(batch, channels), _blocks(channels), sums, *found, mean, variance)
    else:
        stretches = x.reshape(batch * channels, cells)
        found = np.empty((2, len(stretches)))
        _kernel("moments", x.dtype)(
            stretches, *_owners(batch, layout), _grain(cells), *found, mean, variance
        )
    return mean, variance


def normalize(x: Any, mean: Any, rate: Any, weight: Any, bias: Any, layout: Layout) -> Any:
    """(x - mean) * rate * weight + bias.

    Args:
        x: as for `moments`.
        mean: one for each set of stretches, as `rate`.
        rate: one over the root of variance + eps.
        weight: (channels,), as `bias`.
        bias: of x's type, as all.
        layout: as for `moments`.
    """
    batch, channels, cells = x.shape
    y = np.empty_like(x)
    if _by_columns(x, layout):
        rows, to = x.reshape(batch, channels), y.reshape(batch, channels)
        kernel = _kernel("column_normalize", x.dtype)
        kernel(rows, _grain(channels), mean, rate * weight, bias, to)
    else:
        rows, to = x.reshape(-1, cells), y.reshape(-1, cells)
        kernel = _kernel("normalize", x.dtype)
        kernel(rows, *_owners(batch, layout), _grain(cells), mean, rate, weight, bias, to)
    return y


def backward(
    g: Any, x: Any, mean: Any, rate: Any, weight: Any, layout: Layout, given: bool = False
) -> tuple[Any, Any, Any]:
    """The gradients of x, weight and bias from that of the result of `normalize`.

    `given`: mean and rate do not depend on x. The rest as for `normalize`.
    """
    batch, channels, cells = x.shape
    dx = np.empty_like(x)
    if _by_columns(x, layout):
        g, rows, to = (a.reshape(batch, channels) for a in (g, x, dx))
        sums, total = np.zeros((-(-batch // ROWS), 2, channels), x.dtype), np.zeros((2, channels))
        _kernel("column_sums", x.dtype)(g, rows, _blocks(channels), mean, sums, total)
        db, dw, times = total[0], total[1] * rate, rate * weight
        share = 0 if given else 1 / batch
        a, b = (db * times * share).astype(x.dtype), (dw * times * rate * share).astype(x.dtype)
        kernel = _kernel("column_gradients", x.dtype)
        kernel(g, rows, _grain(channels), mean, times, a, b, to)
    else:
        g, rows, to = (a.reshape(-1, cells) for a in (g, x, dx))
        found, (dw, db), means = (
            np.empty((2, len(rows))),
            np.zeros((2, channels)),
            np.zeros((2, len(mean))),
        )
        settings = (*_owners(batch, layout), _grain(cells), mean, rate, weight)
        _kernel("sums", x.dtype)(g, rows, *settings, *found, dw, db, *means)
        if given:
            means[...] = 0
        _kernel("gradients", x.dtype)(g, rows, *settings, *means, to)
    return dx, dw.astype(x.dtype), db.astype(x.dtype)


@functools.lru_cache(maxsize=64)
def _owners(batch: int, layout: Layout) -> tuple[Any, Any]:
    """For each stretch: the place of its statistics, and its channel."""
    channel = np.tile(np.arange(layout.channels), batch)
    sample = np.repeat(np.arange(batch), layout.channels)
    return sample * layout.per_sample + channel // layout.group, channel


def _by_columns(x: Any, layout: Layout) -> bool:
    return x.shape[2] == 1 and layout.group == 1 and not layout.per_sample


def _grain(cells: int) -> int:
    """Stretches, or rows, of a part."""
    return max(PART // max(cells, 1), 1)


def _blocks(channels: int) -> int:
    return max(PART // (ROWS * channels), 1)
