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
    return xp(x).arcsin(x), lambda g: g / xp(x).sqrt((1 - x) * (1 + x))


@op
def acos(x):
    return xp(x).arccos(x), lambda g: -g / xp(x).sqrt((1 - x) * (1 + x))


@op
def atan(x):
    return xp(x).arctan(x), lambda g: g / (1 + x * x)


@op
def atan2(x, y):
    # the angle of the point (y, x): d/dx = y / r^2, d/dy = -x / r^2; 0 at the origin
    z, space = xp_of(x, y).arctan2(x, y), xp_of(x, y)

    def over_square(a):  # in two steps: r^2 itself may overflow, or vanish
        r = space.hypot(x, y)
        r = space.where(r == 0, 1, r)
        return space.where(r == math.inf, 0, a / r) / r

    return z, lambda g: g * over_square(y), lambda g: -g * over_square(x)


@op
def hypot(x, y):
    # x / z, and 0 at the origin, where there is a kink
    z = xp_of(x, y).hypot(x, y)

    def over(g):
        return xp(g).where(z == 0, 1, z)

    return z, lambda g: g * (x / over(g)), lambda g: g * (y / over(g))


@op
def sinc(x):
    # sin(pi x) / (pi x), and 1 at 0, where the slope is 0
    y = xp(x).sinc(x)

    def back(g):
        near = xp(x).abs(x) < _NEAR
        far = xp(x).where(near, 1, x)
        slope = (xp(x).cos(math.pi * far) - xp(x).where(near, 0, y)) / far
        return g * xp(x).where(near, _slope_near_zero(xp(x).where(near, x, 0)), slope)

    return y, back


_NEAR = 0.3  # below this cos(pi x) - sinc(x) cancels, and the series is good to the last digit
_TERMS = 9


def _slope_near_zero(x):
    """The derivative of sinc: pi times the sum of (-1)^k 2k t^(2k-1) / (2k+1)!, t = pi x."""
    t = math.pi * x
    square, total = t * t, 0.0
    for k in range(_TERMS, 0, -1):
        total = total * square + (-1) ** k * 2 * k / math.factorial(2 * k + 1)
    return math.pi * t * total


@op
def sinh(x):
    return xp(x).sinh(x), lambda g: g * xp(x).cosh(x)


@op
def cosh(x):
    return xp(x).cosh(x), lambda g: g * xp(x).sinh(x)


@op
def asinh(x):
    return xp(x).arcsinh(x), lambda g: g / xp(x).hypot(x, 1.0)


@op
def acosh(x):
    return xp(x).arccosh(x), lambda g: g / (xp(x).sqrt(x - 1) * xp(x).sqrt(x + 1))


@op
def atanh(x):
    return xp(x).arctanh(x), lambda g: g / ((1 - x) * (1 + x))


arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2  # NumPy's names
arcsinh, arccosh, arctanh = asinh, acosh, atanh
