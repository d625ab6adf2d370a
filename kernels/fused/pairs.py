"""Functions of two or three elements, forwards and backwards in one pass each, on several threads.

A row holds scalar functions: the value of x and y, and the gradients of both from `g`, the gradient
of the value. NumPy takes a pass over memory for each step of such a formula, on one thread; what
follows here computes from so many elements on what the operation of its name does in
`ops/activation.py`, `ops/choice.py`, `ops/loss.py`, `ops/mathematics.py` or
`nn/losses/probabilities.py`, with the same bits where neither takes exponentials or logarithms.
`arrays/fused_pairs.py` chooses.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import functions
from .elementwise import element_loop
from .layouts import as_rows

__all__ = [
    "LEAST", "ROWS", "SIGNS", "Pair", "cube", "fourth", "run", "run_rows", "sign",
    "times_difference",
]  # fmt: skip

LEAST = 65_536  # elements, where NumPy takes a single pass
STEPS = 32_768  # where it takes two or three
SIGNS = 2_048  # where it compares twice
CURVED = 256  # and where there are exponentials or logarithms


class Pair(NamedTuple):
    """A function of two elements, or of three, and what its gradients are made of."""

    value: Callable[..., float]  # of x, y and the settings
    slopes: tuple[Callable[..., float] | None, ...]  # of g, x, y and the settings; None: that is g
    numbers: Callable[..., tuple[float, ...]]  # the settings, from the operation's other arguments
    least: int = STEPS  # elements
    light: bool = True  # whether its arithmetic takes no longer than its memory


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


def absolute_error(x, y):
    return abs(x - y)


def absolute_error_slope_x(g, x, y):
    below = -g if x < y else g * 0.0  # so is NaN
    return g if x > y else below


def absolute_error_slope_y(g, x, y):
    return -absolute_error_slope_x(g, x, y)


def add_scaled(x, y, alpha):
    return x + y * alpha


def add_scaled_slope_y(g, x, y, alpha):
    return g * alpha


def addcmul(x, y, z, value):
    return x + y * z * value


def addcmul_slope_y(g, x, y, z, value):
    return g * value * z


def addcmul_slope_z(g, x, y, z, value):
    return g * value * y


def addcdiv(x, y, z, value):
    return x + y / z * value


def addcdiv_slope_y(g, x, y, z, value):
    return g * value / z


def addcdiv_slope_z(g, x, y, z, value):
    return -(g * value) * (y / z) / z


def logaddexp(x, y):
    top = x if x > y else y
    far = top + functions.log1p(functions.exp(-abs(x - y)))
    return x + _LOG2 if x == y else far  # of infinities, too


def logaddexp_slope_x(g, x, y):
    return g * functions.sigmoid(0.0 if x == y else x - y)


def logaddexp_slope_y(g, x, y):
    return g * functions.sigmoid(0.0 if x == y else y - x)


_LOG2 = math.log(2)


def held(log):
    return -100.0 if log < -100 else log


def bce(p, target):
    return (target - 1) * held(functions.log1p(-p)) - target * held(functions.log(p))


def bce_slope_p(g, p, target):
    spread = p * (1 - p)
    return g * (p - target) / (1e-12 if spread < 1e-12 else spread)


def bce_slope_target(g, p, target):
    return g * (held(functions.log1p(-p)) - held(functions.log(p)))


def bce_of_logits(x, target):
    soft = (0.0 if x >= 0 else -x) + functions.log1p(functions.exp(-abs(x)))
    return (1 - target) * x + soft


def bce_of_logits_slope_x(g, x, target):
    return g * (functions.sigmoid(x) - target)


def bce_of_logits_slope_target(g, x, target):
    return g * -x


def gated(x, y):
    return x * functions.sigmoid(y)


def gated_slope_x(g, x, y):
    return g * functions.sigmoid(y)


def gated_slope_y(g, x, y):
    s = functions.sigmoid(y)
    return g * x * (s * (1 - s))


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


def _alone(**settings: float) -> tuple[float, ...]:
    """The settings of those that take one or none."""
    return tuple(settings.values())


ROWS = {
    "absolute_error": Pair(
        absolute_error, (absolute_error_slope_x, absolute_error_slope_y), _alone
    ),
    "add_scaled": Pair(add_scaled, (None, add_scaled_slope_y), _alone),
    "addcdiv": Pair(addcdiv, (None, addcdiv_slope_y, addcdiv_slope_z), _alone),
    "addcmul": Pair(addcmul, (None, addcmul_slope_y, addcmul_slope_z), _alone),
    "bce": Pair(bce, (bce_slope_p, bce_slope_target), _alone, least=CURVED, light=False),
    "bce_of_logits": Pair(
        bce_of_logits, (bce_of_logits_slope_x, bce_of_logits_slope_target), _alone,
        least=CURVED, light=False,
    ),
    "gated": Pair(gated, (gated_slope_x, gated_slope_y), _alone, least=CURVED, light=False),
    "huber": Pair(
        huber, (huber_slope_x, huber_slope_y),
        lambda delta, scale=1.0: (delta, scale, 1 / scale), least=1_024,
    ),
    "lerp": Pair(lerp, (lerp_slope_x, lerp_slope_y), lambda weight: (weight, 1 - weight)),
    "logaddexp": Pair(
        logaddexp, (logaddexp_slope_x, logaddexp_slope_y), _alone, least=CURVED, light=False
    ),
    "maximum": Pair(maximum, (maximum_slope_x, maximum_slope_y), _alone, LEAST),
    "minimum": Pair(minimum, (maximum_slope_y, maximum_slope_x), _alone, LEAST),
}  # fmt: skip


def run(
    function: Callable[..., float], arrays: tuple[Any, ...], numbers: tuple[Any, ...],
    light: bool = True,
) -> Any:  # fmt: skip
    """A function of this file of the elements of such arrays; `numbers` are its settings.

    The first of the arrays may be a number instead.
    """
    result = np.empty(arrays[-1].shape, arrays[-1].dtype)
    first = () if isinstance(arrays[0], np.ndarray) else arrays[:1]
    kernel = _kernels[function, len(numbers), len(first), light, result.dtype]
    flat = [a.ravel() for a in arrays[len(first) :]]
    kernel(*flat, result.ravel(), *first, *numbers)
    return result


def run_rows(
    function: Callable[..., float], arrays: tuple[Any, ...], numbers: tuple[Any, ...],
    light: bool = True,
) -> Any:  # fmt: skip
    """The same of arrays whose rows may lie apart; None where they do not lie in rows."""
    rows = as_rows(arrays)
    if rows is None:
        return None
    result = np.empty(arrays[0].shape, arrays[0].dtype)
    kernel = _row_kernels[function, len(numbers), 0, light, result.dtype]
    kernel(*rows, result.reshape(rows[0].shape), *numbers)
    return result


class _Kernels(dict[Any, Any]):
    """The kernels by function, settings, form and type, fetched when first asked for."""

    def __init__(self, in_rows: bool) -> None:
        super().__init__()
        self._in_rows = in_rows

    def __missing__(self, key: tuple[Callable[..., float], int, int, bool, Any]) -> Any:
        function, settings, first, light, kind = key
        name = f"{function.__name__}{'_of_a_number' * first}"
        loop = element_loop(name, function, settings, light, kind.name, first=first)
        kernel = loop.load_rows(kind.name) if self._in_rows else loop.load(kind.name, large=True)
        self[key] = kernel
        return kernel


_kernels, _row_kernels = _Kernels(in_rows=False), _Kernels(in_rows=True)
