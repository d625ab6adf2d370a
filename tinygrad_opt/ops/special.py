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
    z = xp_of(x, y).logaddexp(x, y)
    return z, lambda g: g * xp(z).exp(x - z), lambda g: g * xp(z).exp(y - z)


@op
def logaddexp2(x, y):
    # log2(2^x + 2^y)
    z = xp_of(x, y).logaddexp2(x, y)
    return z, lambda g: g * xp(z).exp2(x - z), lambda g: g * xp(z).exp2(y - z)


@op
def xlogy(x, y):
    # x log y, and 0 where x = 0 whatever y is, unless it is NaN
    space = xp_of(x, y)
    zero = (x == 0) & (y == y)
    log = space.log(space.where(zero, 1, y))
    return x * log, lambda g: g * log, lambda g: g * x / y


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
