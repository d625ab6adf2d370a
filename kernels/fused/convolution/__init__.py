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
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import blas, micro
from . import loops, slopes
from .layout import Sizes
from .planning import CYCLES, Plan, plan

__all__ = ["convolve", "convolve_input", "convolve_weight", "soon"]

Run = Callable[..., list[Any]]  # see `micro.run`
micro.follow(loops.panels, loops.channels)
micro.follow(loops.panels, slopes.channel_slopes, back=True)
micro.follow(loops.positions, slopes.position_slopes, back=True)

_FEW = 16  # channels, below which a library's product takes longer than the loops here


def convolve(
    x: Any, w: Any, bias: Any, output: Sizes, stride: Sizes, low: Sizes, dilation: Sizes,
    run: Run = micro.run,
) -> Any:  # fmt: skip
    """The convolution of x (batch, groups, channels, 3 axes) with w (groups, rows, channels, ...).

    Args:
        x: contiguous, float32 or float64.
        w: of the same type, contiguous.
        bias: (groups, rows), contiguous, or None.
        output: the result's three lengths; the padding after the image follows from them.
        stride: of the three axes, as the next two.
        low: padding before the image.
        dilation: distance of two taps.
        run: what runs loops, as `micro.run`; then arrays may be others than NumPy's.

    Returns:
        (batch, groups, rows, *output).
    """
    batch, groups, channels, *image = x.shape
    rows, kernel = w.shape[1], w.shape[3:]
    if _is_product(x, w, output, low):
        return _product(x, w.reshape(rows, channels), bias)
    at = plan(batch, groups, channels, rows, tuple(image), kernel, output, stride, low, dilation,
              x.dtype.char)  # fmt: skip
    return _correlate(run, at, x, w, bias, (batch, groups, rows, *output))


def convolve_input(
    g: Any, w: Any, image: Sizes, stride: Sizes, low: Sizes, dilation: Sizes, run: Run = micro.run
) -> Any:
    """The gradient of `convolve` for x: (batch, groups, channels, *image)."""
    batch, groups, channels, *output = g.shape
    rows, kernel = w.shape[2], w.shape[3:]
    if _is_product(g, w, image, low):
        return _product(g, w.reshape(channels, rows).T, None)
    at = plan(batch, groups, channels, rows, image, kernel, tuple(output), stride, low, dilation,
              g.dtype.char, back=True)  # fmt: skip
    return _correlate(run, at, g, w, None, (batch, groups, rows, *image))


def convolve_weight(
    g: Any, x: Any, kernel: Sizes, stride: Sizes, low: Sizes, dilation: Sizes, run: Run = micro.run
) -> tuple[Any, Any]:
    """The gradients of `convolve` for w, (groups, rows, channels, *kernel), and bias."""
    batch, groups, channels, *image = x.shape
    rows, output = g.shape[2], g.shape[3:]
    at = plan(batch, groups, channels, rows, tuple(image), kernel, output, stride, low, dilation,
              x.dtype.char, slopes=True)  # fmt: skip
    write = slopes.channel_slopes if at.lanes == "channels" else slopes.position_slopes
    sets = at.splits, groups, rows
    shapes = ((*sets, channels, *kernel), x.dtype), (sets, x.dtype)
    dw, db = run(write, x.dtype.char, at.count, at.grain, at.table, (g, x), *shapes)
    return (dw[0], db[0]) if at.splits == 1 else (dw.sum(axis=0), db.sum(axis=0))


def _correlate(run: Run, at: Plan, x: Any, w: Any, bias: Any, shape: Sizes) -> Any:
    """Run what is planned; shape: (batch, groups, rows, ...) of the result."""
    char, (groups, rows) = x.dtype.char, shape[1:3]
    if at.lanes != "channels":
        start = np.zeros((groups, rows), x.dtype) if bias is None else bias
        work: Any = (loops.positions, char, at.count, at.grain, at.table, (x, w, start))
        return run(*work, (shape, x.dtype))[0]
    wide = at.panels * at.panel
    start = np.zeros((groups, wide if bias is None else wide - rows), x.dtype)
    if bias is not None:
        start = np.concatenate([bias, start], axis=1) if wide > rows else bias
    products = w.size // (groups * rows)
    size = groups * wide * products
    grain = max(1, CYCLES // (products * at.panel))
    work = (loops.panels, char, groups * at.panels, grain, at.table, (w,))
    (panels,) = run(*work, ((size,), x.dtype))
    work = (loops.channels, char, at.count, at.grain, at.table, (x, panels, start))
    return run(*work, (shape, x.dtype))[0]


def soon(w: Any) -> None:
    """Say that images are convolved with `w`, (rows, channels, ...), soon: by what is likely."""
    few = w.shape[1] < _FEW
    likely: list[Callable[..., None]] = [loops.positions] if few else [loops.panels, loops.channels]
    for write in likely:
        micro.soon(write, w.dtype.char)


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
    multiply = blas.multiply_stacks if isinstance(x, np.ndarray) else np.matmul
    y = multiply(np.broadcast_to(w, (len(x), *w.shape)), flat)
    if bias is not None:
        y += bias.reshape(-1, 1)
    return y.reshape(len(x), 1, len(w), *x.shape[3:])
