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

from .by_type import ByType

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
from math import sqrt

from tinygrad_opt.kernels.direct import njit
from numpy import {dtype} as number

from tinygrad_opt.kernels.compiler.lanes import all_lanes
from tinygrad_opt.kernels.pool import split

zero = number(0)
part = njit(fastmath={{"contract", "nsz", "reassoc"}}, error_model="numpy", nogil=True)


"""

_TEXTS = {
    "moments": """\
@part
def some_moments(first, last, x, means, squares):
    all_lanes()
    n = x.shape[1]
    for s in range(first, last):
        row, total, square = x[s], 0.0, 0.0
        for start in range(0, n, {block}):
            some, sum_x = row[start : start + {block}], zero
            for j in range(some.shape[0]):
                sum_x += some[j]
            total += sum_x
        m = number(total / n)
        for start in range(0, n, {block}):
            some, sum_x = row[start : start + {block}], zero
            for j in range(some.shape[0]):
                sum_x += (some[j] - m) * (some[j] - m)
            square += sum_x
        means[s], squares[s] = total / n, square / n


@njit("void({matrix}, int64[::1], int64[::1], int64, float64[:, ::1], float64[:, ::1], {matrix})",
      error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def moments(x, owner, channel, grain, found, sums, out):
    count, sets = x.shape[0], out.shape[1]
    split(some_moments, count, grain, x, found[0], found[1])
    for s in range(count):
        sums[0, owner[s]] += found[0, s] * sets / count
    for s in range(count):
        away = found[0, s] - sums[0, owner[s]]
        sums[1, owner[s]] += (found[1, s] + away * away) * sets / count
    for i in range(2):
        for k in range(sets):
            out[i, k] = sums[i, k]
""",
    "normalize": """\
@part
def some_results(first, last, x, owner, channel, mean, rate, weight, bias, y):
    all_lanes()
    for s in range(first, last):
        k, c = owner[s], channel[s]
        m, times, plus = mean[k], rate[k] * weight[c], bias[c]
        row, to = x[s], y[s]
        for j in range(x.shape[1]):
            to[j] = (row[j] - m) * times + plus


@njit("void({matrix}, int64[::1], int64[::1], int64, {vector}, {vector}, float64, {vector},"
      "{vector}, {vector}, {matrix})",
      error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def normalize(x, owner, channel, grain, mean, variance, eps, weight, bias, rate, y):
    for k in range(rate.shape[0]):
        rate[k] = 1 / sqrt(variance[k] + eps)
    split(some_results, x.shape[0], grain, x, owner, channel, mean, rate, weight, bias, y)
""",
    # h = g weight;  dx = rate (h - mean(h) - z mean(h z)), where z = (x - mean) rate; with given
    # statistics, dx = rate h. The two means are a, and b / rate for z without its rate.
    "normalize_back": """\
@part
def some_sums(first, last, g, x, owner, mean, sum_g, sum_z):
    all_lanes()
    n = x.shape[1]
    for s in range(first, last):
        m = mean[owner[s]]
        gr, row, total_g, total_z = g[s], x[s], 0.0, 0.0
        for start in range(0, n, {block}):
            part_g, part_z = zero, zero
            some, some_g = row[start : start + {block}], gr[start : start + {block}]
            for j in range(some.shape[0]):
                part_g += some_g[j]
                part_z += some_g[j] * (some[j] - m)
            total_g += part_g
            total_z += part_z
        sum_g[s], sum_z[s] = total_g, total_z


@part
def some_gradients(first, last, g, x, owner, channel, mean, rate, weight, a, b, dx):
    all_lanes()
    for s in range(first, last):
        k = owner[s]
        m, r, w, ak, bk = mean[k], rate[k], weight[channel[s]], number(a[k]), number(b[k])
        gr, row, to = g[s], x[s], dx[s]
        for j in range(x.shape[1]):
            to[j] = (gr[j] * w - ak - (row[j] - m) * bk) * r


@njit("void({matrix}, {matrix}, int64[::1], int64[::1], int64, {vector}, {vector}, {vector},"
      "boolean, float64[:, ::1], float64[:, ::1], float64[:, ::1], {matrix})", error_model="numpy",
      nogil=True, no_cfunc_wrapper=True, cache={cache})
def normalize_back(g, x, owner, channel, grain, mean, rate, weight, given, found, means, sums, dx):
    count, sets = x.shape[0], means.shape[1]
    split(some_sums, count, grain, g, x, owner, mean, found[0], found[1])
    for s in range(count):
        k, c = owner[s], channel[s]
        sums[0, c] += found[1, s] * rate[k]
        sums[1, c] += found[0, s]
        means[0, k] += found[0, s] * weight[c]
        means[1, k] += found[1, s] * weight[c] * rate[k] * rate[k]
    for i in range(2):
        for k in range(sets):
            means[i, k] *= 0 if given else sets / (count * x.shape[1])
    split(some_gradients, count, grain, g, x, owner, channel, mean, rate, weight, means[0],
          means[1], dx)
""",
    # The same of single cells: s stands for a block of rows, and loops run along the channels.
    "column_moments": """\
@part
def some_moments(first, last, x, sums, means, squares):
    all_lanes()
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


@njit("void({matrix}, int64, {dtype}[:, :, ::1], float64[:, :, ::1], float64[:, ::1], {matrix})",
      error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def column_moments(x, grain, blocks, found, sums, out):
    n = x.shape[0]
    split(some_moments, blocks.shape[0], grain, x, blocks, found[0], found[1])
    for s in range(blocks.shape[0]):
        share = min({rows}, n - s * {rows}) / n
        for j in range(x.shape[1]):
            sums[0, j] += found[0, s, j] * share
    for s in range(blocks.shape[0]):
        share = min({rows}, n - s * {rows}) / n
        for j in range(x.shape[1]):
            away = found[0, s, j] - sums[0, j]
            sums[1, j] += (found[1, s, j] + away * away) * share
    for i in range(2):
        for j in range(x.shape[1]):
            out[i, j] = sums[i, j]
""",
    "column_normalize": """\
@part
def some_results(first, last, x, mean, times, bias, y):
    all_lanes()
    for r in range(first, last):
        row, to = x[r], y[r]
        for j in range(x.shape[1]):
            to[j] = (row[j] - mean[j]) * times[j] + bias[j]


@njit("void({matrix}, int64, {vector}, {vector}, float64, {vector}, {vector}, {vector}, {vector},"
      "{matrix})", error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def column_normalize(x, grain, mean, variance, eps, weight, bias, rate, times, y):
    for j in range(rate.shape[0]):
        rate[j] = 1 / sqrt(variance[j] + eps)
        times[j] = rate[j] * weight[j]
    split(some_results, x.shape[0], grain, x, mean, times, bias, y)
""",
    "column_normalize_back": """\
@part
def some_sums(first, last, g, x, mean, blocks):
    all_lanes()
    for s in range(first, last):
        sum_z, sum_g = blocks[s, 0], blocks[s, 1]
        for r in range(s * {rows}, min((s + 1) * {rows}, x.shape[0])):
            gr, row = g[r], x[r]
            for j in range(x.shape[1]):
                sum_g[j] += gr[j]
                sum_z[j] += gr[j] * (row[j] - mean[j])


@part
def some_gradients(first, last, g, x, mean, times, a, b, dx):
    all_lanes()
    for r in range(first, last):
        gr, row, to = g[r], x[r], dx[r]
        for j in range(x.shape[1]):
            to[j] = gr[j] * times[j] - a[j] - (row[j] - mean[j]) * b[j]


@njit("void({matrix}, {matrix}, int64, int64, {vector}, {vector}, {vector}, boolean,"
      "{dtype}[:, :, ::1], {matrix}, float64[:, ::1], {matrix})", error_model="numpy", nogil=True,
      no_cfunc_wrapper=True, cache={cache})
def column_normalize_back(g, x, grain, rows_grain, mean, rate, weight, given, blocks, factors, sums,
                          dx):
    split(some_sums, blocks.shape[0], grain, g, x, mean, blocks)
    for s in range(blocks.shape[0]):
        for i in range(2):
            for j in range(x.shape[1]):
                sums[i, j] += blocks[s, i, j]
    share = 0 if given else 1 / x.shape[0]
    for j in range(x.shape[1]):
        sums[0, j] *= rate[j]
        factors[0, j] = rate[j] * weight[j]
        factors[1, j] = sums[1, j] * share * factors[0, j]
        factors[2, j] = sums[0, j] * share * factors[0, j] * rate[j]
    split(some_gradients, x.shape[0], rows_grain, g, x, mean, factors[0], factors[1], factors[2],
          dx)
""",
}

_BACK = {name: f"{name}_back" for name in ("normalize", "column_normalize")}
_kernels = ByType(lambda name: _HEAD + _TEXTS[name], _BACK, block=BLOCK, rows=ROWS)


# Running them -----------------------------------------------------------------------------------


def moments(x: Any, layout: Layout) -> Any:
    """The mean and the (biased) variance of each set of stretches: (2, sets).

    Args:
        x: (batch, channels, cells), contiguous, float32 or float64, not empty.
        layout: which stretches make a set.
    """
    batch, channels, cells = x.shape
    out = np.empty((2, batch * layout.per_sample or channels), x.dtype)
    sums = np.zeros(out.shape)
    if _by_columns(x, layout):
        count = -(-batch // ROWS)
        blocks, found = np.zeros((count, 2, channels), x.dtype), np.empty((2, count, channels))
        kernel = _kernels["column_moments", x.dtype.char]
        kernel(x.reshape(batch, channels), _blocks(channels), blocks, found, sums, out)
    else:
        found, kernel = np.empty((2, batch * channels)), _kernels["moments", x.dtype.char]
        kernel(x.reshape(-1, cells), *_owners(batch, layout), _grain(cells), found, sums, out)
    return out


def normalize(
    x: Any, mean: Any, variance: Any, eps: float, weight: Any, bias: Any, layout: Layout
) -> tuple[Any, Any]:
    """((x - mean) * rate * weight + bias, rate), where rate = 1 / sqrt(variance + eps).

    Args:
        x: as for `moments`.
        mean: one for each set of stretches, as `variance`.
        variance: of x's type, as all.
        eps: added to the variance.
        weight: (channels,), as `bias`.
        bias: what is added in the end.
        layout: as for `moments`.
    """
    batch, channels, cells = x.shape
    y, rate = np.empty_like(x), np.empty_like(mean)
    given = mean, variance, eps, weight, bias, rate
    if _by_columns(x, layout):
        rows, to = x.reshape(batch, channels), y.reshape(batch, channels)
        kernel = _kernels["column_normalize", x.dtype.char]
        kernel(rows, _grain(channels), *given, np.empty_like(rate), to)
    else:
        rows, to = x.reshape(-1, cells), y.reshape(-1, cells)
        kernel = _kernels["normalize", x.dtype.char]
        kernel(rows, *_owners(batch, layout), _grain(cells), *given, to)
    return y, rate


def backward(
    g: Any, x: Any, mean: Any, rate: Any, weight: Any, layout: Layout, given: bool = False
) -> tuple[Any, Any, Any]:
    """The gradients of x, weight and bias from that of the result of `normalize`.

    `given`: mean and rate do not depend on x. The rest as for `normalize`.
    """
    batch, channels, cells = x.shape
    dx, sums = np.empty_like(x), np.zeros((2, channels))
    if _by_columns(x, layout):
        g, rows, to = (a.reshape(batch, channels) for a in (g, x, dx))
        blocks = np.zeros((-(-batch // ROWS), 2, channels), x.dtype)
        factors, grains = np.empty((3, channels), x.dtype), (_blocks(channels), _grain(channels))
        kernel = _kernels["column_normalize_back", x.dtype.char]
        kernel(g, rows, *grains, mean, rate, weight, given, blocks, factors, sums, to)
    else:
        g, rows, to = (a.reshape(-1, cells) for a in (g, x, dx))
        found, means = np.empty((2, len(rows))), np.zeros((2, len(mean)))
        settings = *_owners(batch, layout), _grain(cells), mean, rate, weight, given
        _kernels["normalize_back", x.dtype.char](g, rows, *settings, found, means, sums, to)
    return dx, *sums.astype(x.dtype)


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
