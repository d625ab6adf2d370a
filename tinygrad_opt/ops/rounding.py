"""Rounding, remainders and signs: steps, whose slope is 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays.xp import xp, xp_of
from ..core.outlines import saves_nothing
from ..core.record import op

__all__ = [
    "ceil", "floor", "floor_divide", "fmod", "remainder", "round", "sign", "trunc", "trunc_divide",
]  # fmt: skip


def _step(name: str, text: str) -> Any:
    def pair(x):
        return getattr(xp(x), name)(x), lambda g: xp(g).zeros_like(g)

    pair.__name__, pair.__doc__ = name, f"{text}; its slope is 0."
    return saves_nothing(op(pair))


_INT = np.dtype(int)
floor = _step("floor", "The largest integer up to x")
ceil = _step("ceil", "The smallest integer from x on")
trunc = _step("trunc", "x without its fraction: the next integer towards 0")
sign = _step("sign", "-1, 0 or 1, as x is negative, 0 or positive")


@saves_nothing
@op
def round(x, *, decimals=0):
    """x rounded to `decimals` places, halves to the even neighbour; its slope is 0."""
    return xp(x).round(x, decimals=decimals), lambda g: xp(g).zeros_like(g)


@op
def floor_divide(x, y):
    """floor(x / y); exact for integers, and for floats as Python's `//`."""
    z = xp_of(x, y).floor_divide(x, y)
    return z, lambda g: xp(g).zeros_like(g), lambda g: xp(g).zeros_like(g)


@op
def trunc_divide(x, y):
    """x / y rounded towards 0; exact for integers."""
    space = xp_of(x, y)
    if all(getattr(v, "dtype", _INT).kind in "biu" and not isinstance(v, float) for v in (x, y)):
        z = space.floor_divide(x, y)
        z = z + ((z < 0) & (z * y != x))  # what was rounded down, and lies below 0, one up
    else:
        z = space.trunc(x / y)
    return z, lambda g: xp(g).zeros_like(g), lambda g: xp(g).zeros_like(g)


def _of_the_first(node: Any) -> bool:
    return node.targets[1] is None


@saves_nothing(when=_of_the_first)
@op
def remainder(x, y):
    """x - y * floor(x / y): what is left has the sign of y."""
    z = xp_of(x, y).remainder(x, y)
    return z, lambda g: g, lambda g: -g * xp(g).floor_divide(x, y)


@saves_nothing(when=_of_the_first)
@op
def fmod(x, y):
    """x - y * trunc(x / y): what is left has the sign of x."""
    z = xp_of(x, y).fmod(x, y)
    return z, lambda g: g, lambda g: -g * trunc_divide(x, y)
