"""Pooling: the maxima and the means of windows of an image, each way in one pass.

`planning.py` lays images out so that whole vectors of windows are worked on, whatever the stride,
and `loops.py` works on them. A maximum is remembered as the number of its tap in the window, one
byte. `places.py` finds where in the image a maximum stands, for windows that are not alike, or too
large, and for those who ask for the places.

The same in array code is `Windows` in `arrays/windows.py`; `tests/test_twins.py` holds both equal.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ... import micro
from . import loops
from .places import pick, spread, window_argmax
from .planning import NONE, Plan, Sizes, first_taps, plan

__all__ = [
    "NONE", "first_taps", "pick", "spread", "spread_maxima", "spread_means", "window_argmax",
    "window_maxima", "window_means",
]  # fmt: skip

Run = Callable[..., list[Any]]  # see `micro.run`
micro.follow(loops.maxima, loops.spread_maxima, back=True)
micro.follow(loops.means, loops.spread_means, back=True)
Weights = tuple[tuple[float, ...], ...]


def window_maxima(
    x: Any, kernel: Sizes, output: Sizes, stride: Sizes, low: Sizes, dilation: Sizes,
    rectified: bool = False, run: Run = micro.run,
) -> tuple[Any, Any]:  # fmt: skip
    """The maximum of each window, and the number of its tap.

    Args:
        x: (batch, channels, three axes), contiguous, float32 or float64.
        kernel: taps along each axis, fewer than 255 in all.
        output: the lengths of the grid of windows.
        stride: of the windows.
        low: padding before the image, with minus infinity.
        dilation: from tap to tap.
        rectified: of relu(x), in the same pass: where no cell is above 0, none is chosen.
        run: what runs loops, as `micro.run`; then arrays may be others than NumPy's.

    Returns:
        (batch, channels, *output), and as many uint8: the first of equal cells, the last NaN. A
        window without a cell is minus infinity, its choice NONE.
    """
    at = _plan(x.shape, kernel, output, stride, low, dilation, x.dtype, rectified)
    shape = (*x.shape[:2], *output)
    work: Any = (loops.maxima, x.dtype.char, at.count, at.grain, at.table, (x, at.first))
    y, choice = run(*work, (shape, x.dtype), (shape, np.uint8))
    return y, choice


def spread_maxima(
    g: Any, choice: Any, image: Sizes, kernel: Sizes, stride: Sizes, low: Sizes, dilation: Sizes,
    run: Run = micro.run,
) -> Any:  # fmt: skip
    """g (batch, channels, *output) added up at the chosen cells of an image of zeros."""
    batch, output = g.shape[:2], g.shape[2:]
    at = _plan((*batch, *image), kernel, output, stride, low, dilation, g.dtype)
    work: Any = (loops.spread_maxima, g.dtype.char, at.count, at.grain, at.table, (g, choice))
    return run(*work, ((*batch, *image), g.dtype))[0]


def window_means(
    x: Any, weights: Weights, kernel: Sizes, output: Sizes, stride: Sizes, low: Sizes,
    dilation: Sizes, run: Run = micro.run,
) -> Any:  # fmt: skip
    """The sum of each window of x, times its weight; the rest as `window_maxima`.

    weights: for each axis those of the windows along it, whose product is a window's weight.
    """
    at = _plan(x.shape, kernel, output, stride, low, dilation, x.dtype)
    of_slots = _of_slots(at.slots.tobytes(), weights, x.dtype.char)
    work: Any = (loops.means, x.dtype.char, at.count, at.grain, at.table, (x, of_slots))
    return run(*work, ((*x.shape[:2], *output), x.dtype))[0]


def spread_means(
    g: Any, weights: Weights, image: Sizes, kernel: Sizes, stride: Sizes, low: Sizes,
    dilation: Sizes, run: Run = micro.run,
) -> Any:  # fmt: skip
    """The transpose of `window_means`: an image of the lengths `image`."""
    batch, output = g.shape[:2], g.shape[2:]
    at = _plan((*batch, *image), kernel, output, stride, low, dilation, g.dtype)
    of_slots = _of_slots(at.slots.tobytes(), weights, g.dtype.char)
    work: Any = (loops.spread_means, g.dtype.char, at.count, at.grain, at.table, (g, of_slots))
    return run(*work, ((*batch, *image), g.dtype))[0]


def _plan(
    shape: Sizes, kernel: Sizes, output: Sizes, stride: Sizes, low: Sizes, dilation: Sizes,
    dtype: Any, rectified: bool = False,
) -> Plan:  # fmt: skip
    images = math.prod(shape[:2])
    return plan(images, shape[2:], kernel, output, stride, low, dilation, dtype.char, rectified)


@lru_cache(maxsize=128)
def _of_slots(slots: bytes, weights: Weights, char: str) -> Any:
    """The weight of each slot's window, 0 where there is none."""
    every = functools.reduce(np.multiply.outer, map(np.array, weights)).ravel()
    return np.append(every, 0)[np.frombuffer(slots, np.int64)].astype(char)
