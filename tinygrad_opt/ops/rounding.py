"""Rounding, remainders and signs.

What is constant between its jumps has the gradient 0, recorded as such: a loss of rounded values
can be sent backward, and teaches nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.graph import op
from ..backend import xp, xp_of


def _step(name: str) -> Any:
    def pair(x):
        return getattr(xp(x), name)(x), lambda g: xp(g).zeros_like(g)

    pair.__name__ = name
    return op(pair)


_INT = np.dtype(int)

floor, ceil, trunc, sign = map(_step, ("floor", "ceil", "trunc", "sign"))


@op
def round(x, *, decimals=0):
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


@op
def remainder(x, y):
    """x - y * floor(x / y): what is left has the sign of y."""
    z = xp_of(x, y).remainder(x, y)
    return z, lambda g: g, lambda g: -g * xp(g).floor_divide(x, y)


@op
def fmod(x, y):
    """x - y * trunc(x / y): what is left has the sign of x."""
    z = xp_of(x, y).fmod(x, y)
    return z, lambda g: g, lambda g: -g * xp(g).trunc(x / y)


@op
def copysign(x, y):
    """|x| with the sign of y; the slope at x = 0 is taken as 0."""
    z = xp_of(x, y).copysign(x, y)
    return z, lambda g: g * xp(z).sign(z) * xp(g).sign(x), lambda g: xp(g).zeros_like(g)
