"""Convolution of up to three axes, and its two transposes, without a matrix of patches.

Each is sums of products, of a filter's taps w and the cells of the image x that they see:

    convolve           y[r, m]  = bias[r] + sum over k of w[r, k] x[place[m] + shift[k]]
    convolve_input     the same, of the gradient, with the taps in the other direction
    convolve_weight    dw[r, k] = sum over m of g[r, m] x[place[m] + shift[k]]

where m are the positions of windows, r the channels of the result, and k all taps of all channels.
`layout.py` finds places and shifts in the padded image, `planning.py` writes them into tables, and
`loops.py` and `slopes.py` add up. What lies side by side in a vector register, the plan chooses by
a reckoning of what it would cost:

    channels    of the result. No work is wasted on padding or strides; but filters and result are
                transposed, which pays for sums of many products.
    positions   in a line of the result: nothing is transposed. For few channels, and short sums.
    samples     of the batch: for small images with few channels, as in depthwise convolution.

Sums over many channels are added up block by block, so that a block stays in the first cache. The
filters' gradient is added up over sets of boxes, then over the sets in their order: no result
depends on the number of threads. Filters of one tap, without stride, are matrix products.

The same with patches, in array code, is `Windows` in `arrays/windows.py`; `tests/test_twins.py`
holds both equal.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import blas, micro
from . import loops, slopes
from .layout import Sizes
from .planning import CYCLES, Plan, plan

__all__ = ["convolve", "convolve_input", "convolve_weight"]

_FEW = 16  # channels, below which a library's product takes longer than the loops here


def convolve(
    x: Any, w: Any, bias: Any, output: Sizes, stride: Sizes, low: Sizes, dilation: Sizes
) -> Any:
    """The convolution of x (batch, groups, channels, 3 axes) with w (groups, rows, channels, ...).

    Args:
        x: contiguous, float32 or float64.
        w: of the same type, contiguous.
        bias: (groups, rows), contiguous, or None.
        output: the result's three lengths; the padding after the image follows from them.
        stride: of the three axes, as the next two.
        low: padding before the image.
        dilation: distance of two taps.

    Returns:
        (batch, groups, rows, *output).
    """
    batch, groups, channels, *image = x.shape
    rows, kernel = w.shape[1], w.shape[3:]
    if _is_product(x, w, output, low):
        return _product(x, w.reshape(rows, channels), bias)
    at = plan(batch, groups, channels, rows, tuple(image), kernel, output, stride, low, dilation,
              x.dtype.char)  # fmt: skip
    y = np.empty((batch, groups, rows, *output), x.dtype)
    _correlate(at, groups, rows, x, w, bias, y)
    return y


def convolve_input(g: Any, w: Any, image: Sizes, stride: Sizes, low: Sizes, dilation: Sizes) -> Any:
    """The gradient of `convolve` for x: (batch, groups, channels, *image)."""
    batch, groups, channels, *output = g.shape
    rows, kernel = w.shape[2], w.shape[3:]
    if _is_product(g, w, image, low):
        return _product(g, w.reshape(channels, rows).T, None)
    at = plan(batch, groups, channels, rows, image, kernel, tuple(output), stride, low, dilation,
              g.dtype.char, back=True)  # fmt: skip
    x = np.empty((batch, groups, rows, *image), g.dtype)
    _correlate(at, groups, rows, g, w, None, x)
    return x


def convolve_weight(
    g: Any, x: Any, kernel: Sizes, stride: Sizes, low: Sizes, dilation: Sizes
) -> tuple[Any, Any]:
    """The gradients of `convolve` for w, (groups, rows, channels, *kernel), and bias."""
    batch, groups, channels, *image = x.shape
    rows, output = g.shape[2], g.shape[3:]
    at = plan(batch, groups, channels, rows, tuple(image), kernel, output, stride, low, dilation,
              x.dtype.char, slopes=True)  # fmt: skip
    dw = np.empty((at.splits, groups, rows, channels, *kernel), x.dtype)
    db = np.empty((at.splits, groups, rows), x.dtype)
    write = slopes.channel_slopes if at.lanes == "channels" else slopes.position_slopes
    micro.loops(write, x.dtype.char)(at.count, at.grain, at.table, g, x, dw, db)
    return (dw[0], db[0]) if at.splits == 1 else (dw.sum(axis=0), db.sum(axis=0))


def _correlate(at: Plan, groups: int, rows: int, x: Any, w: Any, bias: Any, y: Any) -> None:
    """Run what is planned."""
    char = x.dtype.char
    if at.lanes != "channels":
        start = np.zeros((groups, rows), x.dtype) if bias is None else bias
        micro.loops(loops.positions, char)(at.count, at.grain, at.table, x, w, start, y)
        return
    start = np.zeros((groups, at.panels * at.panel), x.dtype)
    if bias is not None:
        start[:, :rows] = bias
    products = w.size // (groups * rows)
    panels = np.empty(start.size * products, x.dtype)
    grain = max(1, CYCLES // (products * at.panel))
    micro.loops(loops.panels, char)(groups * at.panels, grain, at.table, w, panels)
    micro.loops(loops.channels, char)(at.count, at.grain, at.table, x, panels, start, y)


# Matrix products ----------------------------------------------------------------------------------


def _is_product(x: Any, w: Any, result: Sizes, low: Sizes) -> bool:
    """Whether a result of the same lengths as x has one tap, and enough channels."""
    return (
        w.shape[0] == 1
        and min(w.shape[1:3]) >= _FEW
        and w[0, 0, 0].size == 1
        and x.shape[3:] == result
        and not any(low)
    )


def _product(x: Any, w: Any, bias: Any) -> Any:
    """y[n] = w x[n] + bias, with a group axis."""
    flat = x.reshape(len(x), w.shape[1], math.prod(x.shape[3:]))
    y = blas.multiply_stacks(np.broadcast_to(w, (len(x), *w.shape)), flat)
    if bias is not None:
        y += bias.reshape(-1, 1)
    return y.reshape(len(x), 1, len(w), *x.shape[3:])
