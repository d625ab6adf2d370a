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

Weights = tuple[tuple[float, ...], ...]


def window_maxima(
    x: Any, kernel: Sizes, output: Sizes, stride: Sizes, low: Sizes, dilation: Sizes
) -> tuple[Any, Any]:
    """The maximum of each window, and the number of its tap.

    Args:
        x: (batch, channels, three axes), contiguous, float32 or float64.
        kernel: taps along each axis, fewer than 255 in all.
        output: the lengths of the grid of windows.
        stride: of the windows.
        low: padding before the image, with minus infinity.
        dilation: from tap to tap.

    Returns:
        (batch, channels, *output), and as many uint8: the first of equal cells, the last NaN. A
        window without a cell is minus infinity, its choice NONE.
    """
    at, batch = _plan(x.shape, kernel, output, stride, low, dilation, x.dtype), x.shape[:2]
    y, choice = np.empty((*batch, *output), x.dtype), np.empty((*batch, *output), np.uint8)
    micro.loops(loops.maxima, x.dtype.char)(at.count, at.grain, at.table, x, at.first, y, choice)
    return y, choice


def spread_maxima(
    g: Any, choice: Any, image: Sizes, kernel: Sizes, stride: Sizes, low: Sizes, dilation: Sizes
) -> Any:
    """g (batch, channels, *output) added up at the chosen cells of an image of zeros."""
    batch, output = g.shape[:2], g.shape[2:]
    at = _plan((*batch, *image), kernel, output, stride, low, dilation, g.dtype)
    x = np.empty((*batch, *image), g.dtype)
    micro.loops(loops.spread_maxima, g.dtype.char)(at.count, at.grain, at.table, g, choice, x)
    return x


def window_means(
    x: Any, weights: Weights, kernel: Sizes, output: Sizes, stride: Sizes, low: Sizes,
    dilation: Sizes,
) -> Any:  # fmt: skip
    """The sum of each window of x, times its weight; the rest as `window_maxima`.

    weights: for each axis those of the windows along it, whose product is a window's weight.
    """
    at = _plan(x.shape, kernel, output, stride, low, dilation, x.dtype)
    y = np.empty((*x.shape[:2], *output), x.dtype)
    of_slots = _of_slots(at.slots.tobytes(), weights, x.dtype.char)
    micro.loops(loops.means, x.dtype.char)(at.count, at.grain, at.table, x, of_slots, y)
    return y


def spread_means(
    g: Any, weights: Weights, image: Sizes, kernel: Sizes, stride: Sizes, low: Sizes,
    dilation: Sizes,
) -> Any:  # fmt: skip
    """The transpose of `window_means`: an image of the lengths `image`."""
    batch, output = g.shape[:2], g.shape[2:]
    at = _plan((*batch, *image), kernel, output, stride, low, dilation, g.dtype)
    x = np.empty((*batch, *image), g.dtype)
    of_slots = _of_slots(at.slots.tobytes(), weights, g.dtype.char)
    micro.loops(loops.spread_means, g.dtype.char)(at.count, at.grain, at.table, g, of_slots, x)
    return x


def _plan(
    shape: Sizes, kernel: Sizes, output: Sizes, stride: Sizes, low: Sizes, dilation: Sizes,
    dtype: Any,
) -> Plan:  # fmt: skip
    images = math.prod(shape[:2])
    return plan(images, shape[2:], kernel, output, stride, low, dilation, dtype.char)


@lru_cache(maxsize=128)
def _of_slots(slots: bytes, weights: Weights, char: str) -> Any:
    """The weight of each slot's window, 0 where there is none."""
    every = functools.reduce(np.multiply.outer, map(np.array, weights)).ravel()
    return np.append(every, 0)[np.frombuffer(slots, np.int64)].astype(char)
