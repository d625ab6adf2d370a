"""Special functions beside those of `mathematics`: Bessel's, normal and incomplete gamma."""

from __future__ import annotations

import math

from ..arrays.xp import xp, xp_of
from ..core.node import Variable
from ..core.record import op
from .mathematics import exactly

__all__ = [
    "entr", "erfcx", "i0", "i0e", "i1", "i1e", "igamma", "igammac", "ldexp", "log_ndtr", "ndtri",
    "xlog1py", "zeta",
]  # fmt: skip


@op
def entr(x):
    """-x log(x): 0 at 0, -inf below."""
    inside = x > 0
    safe = xp(x).where(inside, x, 1)
    outside = xp(x).where(x == 0, 0, -math.inf * _one_or_nan(x))
    y = xp(x).where(inside, -safe * xp(x).log(safe), outside)
    return y, lambda g: g * (-xp(x).log(x) - 1)


def _one_or_nan(x):
    """1, and NaN where x is NaN."""
    return xp(x).where(x == x, 1, x)


@op
def ldexp(x, *, exponent):
    """x * 2^exponent, exactly: the exponents are integers."""
    return xp(x).ldexp(x, exponent=exponent), lambda g: ldexp(g, exponent=exponent)


@op
def xlog1py(x, y):
    """x log(1 + y), and 0 where x is 0 whatever y is, unless it is NaN."""
    space = xp_of(x, y)
    zero = (x == 0) & (y == y)
    return (
        x * space.log1p(space.where(zero, 0, y)),
        lambda g: g * space.log1p(space.where(zero & (y <= -1), 0, y)),
        lambda g: g * x / (1 + space.where(zero & (y == -1), 0, y)),
    )


@op
def zeta(x, y):
    """The sum of (y + k)^-x over k = 0, 1, ...; its gradient is that of y."""
    z = xp_of(x, y).zeta(x, y)
    return z, None, lambda g: g * -x * xp_of(x, y).zeta(x + 1, y)


# Modified Bessel functions ------------------------------------------------------------------------


@op
def i0(x):
    """I0(x), the modified Bessel function of order 0."""
    return xp(x).i0(x), lambda g: g * xp(x).i1(x)


@op
def i0e(x):
    """e^-|x| I0(x)."""
    y = xp(x).i0e(x)
    return y, lambda g: g * (xp(x).i1e(x) - xp(x).sign(x) * y)


@op
def i1(x):
    """I1(x), the modified Bessel function of order 1."""
    y = xp(x).i1(x)
    return y, lambda g: g * (xp(x).i0(x) - _over(y, x))


@op
def i1e(x):
    """e^-|x| I1(x)."""
    y = xp(x).i1e(x)
    return y, lambda g: g * (xp(x).i0e(x) - xp(x).sign(x) * y - _over(y, x))


def _over(y, x):
    """y / x, and 1/2 at 0, the limit for I1."""
    near = x == 0
    return xp(x).where(near, 0.5, y / xp(x).where(near, 1, x))


# About the normal distribution --------------------------------------------------------------------


@op
def erfcx(x):
    """e^(x^2) erfc(x), without overflow on the way."""
    y = xp(x).erfcx(x)
    return y, lambda g: g * (2 * x * y - 2 / math.sqrt(math.pi))


@op
def log_ndtr(x):
    """The logarithm of the normal distribution function, without loss far below 0."""
    y = xp(x).log_ndtr(x)

    def slope(g):
        density = xp(x).exp(-(y + x * x / 2)) / math.sqrt(2 * math.pi)
        mills = math.sqrt(2 / math.pi) / xp(x).erfcx(x * -math.sqrt(0.5))
        return g * exactly(density, mills)

    return y, slope


@op
def ndtri(x):
    """The normal quantile: infinite at 0 and 1, NaN beyond."""
    y = xp(x).ndtri(x)
    return y, lambda g: g * (math.sqrt(2 * math.pi) * xp(y).exp(y * y / 2))


# The incomplete gamma function --------------------------------------------------------------------


@op
def igamma(x, y):
    """P(x, y): the integral of t^(x - 1) e^-t from 0 to y, over gamma(x)."""
    z = xp_of(x, y).igamma(x, y)
    return (
        z,
        lambda g: g * _slope(x, y),
        lambda g: g * _gamma_density(x, y),
    )


@op
def igammac(x, y):
    """Q(x, y) = 1 - P(x, y), exact where it is small."""
    z = xp_of(x, y).igammac(x, y)
    return (
        z,
        lambda g: -g * _slope(x, y),
        lambda g: -g * _gamma_density(x, y),
    )


def _slope(a, x):
    """The derivative of igamma(a, x) by a."""
    if isinstance(a, Variable) or isinstance(x, Variable):
        raise RuntimeError(
            "igamma: its derivative by the first argument cannot be differentiated again "
            "(create_graph=True)"
        )
    return xp_of(a, x).igamma_slope(a, x)


def _gamma_density(a, x):
    """x^(a - 1) e^-x / gamma(a)."""
    space = xp_of(a, x)
    return space.exp(_x_log_y(a - 1, x, space) - x - space.lgamma(a))


def _x_log_y(x, y, space):
    """x log(y), and 0 where x is 0."""
    zero = x == 0
    return space.where(zero, 0, x * space.log(space.where(zero, 1, y)))
