"""Functions of two elements, forwards and backwards in one pass each, on several threads.

A row holds scalar functions: the value of x and y, and the gradients of both from `g`, the gradient
of the value. NumPy takes a pass over memory for each step of such a formula, on one thread; what
follows here computes from LEAST elements on what the operation of its name does in `ops/choice.py`
or `ops/loss.py`, with the same bits. `arrays/fused.py` chooses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .elementwise import element_loop

__all__ = ["LEAST", "ROWS", "Pair", "cube", "fourth", "run", "sign", "times_difference"]

LEAST = 65_536  # elements


class Pair(NamedTuple):
    """A function of two elements, and what its gradients are made of."""

    value: Callable[..., float]  # of x, y and the settings
    slope_x: Callable[..., float]  # of g, x, y and the settings
    slope_y: Callable[..., float]
    numbers: Callable[..., tuple[float, ...]]  # the settings, from the operation's other arguments


# Comparisons with NaN are false: each is written so that a NaN comes through.


def maximum(x, y):
    return x if x >= y or x != x else y


def maximum_slope_x(g, x, y):
    chosen = 0.0 if x < y else g
    return g * 0.5 if x == y else chosen


def maximum_slope_y(g, x, y):
    chosen = 0.0 if y < x else g
    return g * 0.5 if x == y else chosen


def minimum(x, y):
    return x if x <= y or x != x else y


def lerp(x, y, weight, rest):
    d = y - x
    return x + weight * d if weight < 0.5 else y - rest * d


def lerp_slope_x(g, x, y, weight, rest):
    return g * rest


def lerp_slope_y(g, x, y, weight, rest):
    return g * weight


def huber(x, y, delta, scale, inverse):
    size = abs(x - y)
    near = delta if size > delta else size
    return (near / scale) * (size - 0.5 * near)


def huber_slope_x(g, x, y, delta, scale, inverse):
    d = x - y
    held = -delta if d < -delta else d
    held = delta if held > delta else held
    return g * (held * inverse)


def huber_slope_y(g, x, y, delta, scale, inverse):
    return -huber_slope_x(g, x, y, delta, scale, inverse)


def times_difference(x, y, factor):
    """The slope of a sum of squared differences, which `axis_sums.py` adds up as it takes them."""
    return (x - y) * factor


# Functions of one element, in whose place NumPy takes several passes, or jumps.


def cube(x):
    return x * x * x


def fourth(x):
    square = x * x
    return square * square


def sign(x):
    below = -1.0 if x < 0 else 0.0  # so is NaN
    return 1.0 if x > 0 else below


ROWS = {
    "huber": Pair(
        huber, huber_slope_x, huber_slope_y,
        lambda delta, scale=1.0: (delta, scale, 1 / scale),
    ),
    "lerp": Pair(
        lerp, lerp_slope_x, lerp_slope_y, lambda weight: (weight, 1 - weight)
    ),
    "maximum": Pair(maximum, maximum_slope_x, maximum_slope_y, tuple),
    "minimum": Pair(minimum, maximum_slope_y, maximum_slope_x, tuple),
}  # fmt: skip


def run(function: Callable[..., float], arrays: tuple[Any, ...], numbers: tuple[Any, ...]) -> Any:
    """A function of this file of the elements of such arrays; `numbers` are its settings."""
    result = np.empty(arrays[0].shape, arrays[0].dtype)
    kernel = _kernels[function, len(numbers), result.dtype]
    kernel(*(a.ravel() for a in arrays), result.ravel(), *numbers)
    return result


class _Kernels(dict[Any, Any]):
    """The kernels by function, number of settings and type, fetched when first asked for."""

    def __missing__(self, key: tuple[Callable[..., float], int, Any]) -> Any:
        function, settings, kind = key
        loop = element_loop(function.__name__, function, settings, True, kind.name)
        kernel = self[key] = loop.load(kind.name, large=True)
        return kernel


_kernels = _Kernels()
