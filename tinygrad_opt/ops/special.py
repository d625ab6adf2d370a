"""Further exponentials and logarithms, the error functions and the gamma function."""

from __future__ import annotations

import math

from ..autograd.graph import op
from ..backend import xp, xp_of


@op
def exp2(x):
    y = xp(x).exp2(x)
    return y, lambda g: g * (y * math.log(2))


@op
def logaddexp(x, y):
    # log(e^x + e^y)
    # d/dx = 1 / (1 + e^(y - x)), which the result, rounded, no longer knows
    z = xp_of(x, y).logaddexp(x, y)
    lead = _difference(x, y)
    return z, lambda g: g * xp(z).sigmoid(lead), lambda g: g * xp(z).sigmoid(-lead)


@op
def logaddexp2(x, y):
    # log2(2^x + 2^y)
    z = xp_of(x, y).logaddexp2(x, y)
    lead = _difference(x, y) * math.log(2)
    return z, lambda g: g * xp(z).sigmoid(lead), lambda g: g * xp(z).sigmoid(-lead)


def _difference(x, y):
    """x - y, and 0 for equal infinities."""
    d = x - y
    return xp(d).where((x == y) & (d != d), 0, d)


@op
def xlogy(x, y):
    # x log y, and 0 where x = 0 whatever y is, unless it is NaN
    space = xp_of(x, y)
    zero = (x == 0) & (y == y)
    safe = space.where(zero, 1, y)
    return (
        x * space.log(safe),
        lambda g: g * space.log(space.where(zero & (y <= 0), 1, y)),
        lambda g: g * x / safe,
    )


@op
def logit(x):
    # log(x / (1 - x)); the slope 1 / (x (1 - x)) is infinite at 0 and 1, and NaN beyond
    y = xp(x).log(x / (1 - x))
    return y, lambda g: g / xp(x).where((x < 0) | (x > 1), math.nan, x * (1 - x))


@op
def nan_to_num(x, *, nan, posinf, neginf):
    y = xp(x).nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)
    return y, lambda g: xp(g).where(xp(x).isfinite(x), g, 0)


# Error functions ----------------------------------------------------------------------------------

_SLOPE = 2 / math.sqrt(math.pi)  # of erf at 0


@op
def erf(x):
    return xp(x).erf(x), lambda g: g * (_SLOPE * xp(x).exp(-x * x))


@op
def erfc(x):
    return xp(x).erfc(x), lambda g: g * (-_SLOPE * xp(x).exp(-x * x))


@op
def erfinv(x):
    y = xp(x).erfinv(x)
    return y, lambda g: g * (xp(y).exp(y * y) / _SLOPE)


# Gamma function -----------------------------------------------------------------------------------


@op
def lgamma(x):
    return xp(x).lgamma(x), lambda g: g * xp(x).polygamma(x, n=0)


@op
def polygamma(x, *, n):
    # the (n + 1)-th derivative of lgamma
    return xp(x).polygamma(x, n=n), lambda g: g * xp(x).polygamma(x, n=n + 1)
