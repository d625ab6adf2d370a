"""Circular and hyperbolic functions."""

from __future__ import annotations

import math

from ..autograd.graph import op
from ..backend import xp, xp_of


@op
def sin(x):
    return xp(x).sin(x), lambda g: g * xp(x).cos(x)


@op
def cos(x):
    return xp(x).cos(x), lambda g: -g * xp(x).sin(x)


@op
def tan(x):
    y = xp(x).tan(x)
    return y, lambda g: g * (1 + y * y)


@op
def asin(x):
    return xp(x).arcsin(x), lambda g: g / xp(x).sqrt(1 - x * x)


@op
def acos(x):
    return xp(x).arccos(x), lambda g: -g / xp(x).sqrt(1 - x * x)


@op
def atan(x):
    return xp(x).arctan(x), lambda g: g / (1 + x * x)


@op
def atan2(x, y):
    # the angle of the point (y, x): d/dx = y / r^2, d/dy = -x / r^2
    z = xp_of(x, y).arctan2(x, y)
    return z, lambda g: g * y / (x * x + y * y), lambda g: -g * x / (x * x + y * y)


@op
def hypot(x, y):
    z = xp_of(x, y).hypot(x, y)
    return z, lambda g: g * x / z, lambda g: g * y / z


@op
def sinc(x):
    # sin(pi x) / (pi x), and 1 at 0, where the slope is 0
    y = xp(x).sinc(x)

    def back(g):
        safe = xp(x).where(x == 0, 1, x)
        return g * xp(x).where(x == 0, 0, (xp(x).cos(math.pi * x) - y) / safe)

    return y, back


@op
def sinh(x):
    return xp(x).sinh(x), lambda g: g * xp(x).cosh(x)


@op
def cosh(x):
    return xp(x).cosh(x), lambda g: g * xp(x).sinh(x)


@op
def asinh(x):
    return xp(x).arcsinh(x), lambda g: g / xp(x).sqrt(x * x + 1)


@op
def acosh(x):
    return xp(x).arccosh(x), lambda g: g / xp(x).sqrt(x * x - 1)


@op
def atanh(x):
    return xp(x).arctanh(x), lambda g: g / (1 - x * x)


arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2  # NumPy's names
arcsinh, arccosh, arctanh = asinh, acosh, atanh
