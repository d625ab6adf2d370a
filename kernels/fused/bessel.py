"""Functions that come up beside the normal distribution and on the circle, over raw NumPy arrays.

The modified Bessel functions of order 0 and 1, the scaled error function, normal quantiles and
Hurwitz's zeta function: series and asymptotic series in float64, in the type of their input.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from .special import erfc

__all__ = ["erfcx", "i0", "i0e", "i1", "i1e", "log_ndtr", "ndtri", "zeta"]


def _in_own_kind(function: Any) -> Any:
    """A function of float64 arrays as one of any floats, which gives their type back."""

    @functools.wraps(function)
    def wrapper(x: Any, *more: Any) -> Any:
        kind = np.result_type(x, *more)
        with np.errstate(all="ignore"):
            y = function(*(np.asarray(part, np.float64) for part in (x, *more)))
        return np.asarray(y).astype(kind if kind.kind == "f" else np.float64)

    return wrapper


# Modified Bessel functions ------------------------------------------------------------------------

_NEAR = 25.0  # up to here the power series, beyond it the asymptotic one, both to the last digit


def _scaled(x: Any, order: int) -> Any:
    """e^-|x| I_order(|x|), order 0 or 1 (Abramowitz & Stegun 1964, 9.6.10 and 9.7.1)."""
    size = np.abs(x)
    near, far = np.minimum(size, _NEAR), np.maximum(size, _NEAR)
    quarter = near * near / 4
    total = term = np.ones_like(near)
    for k in range(1, 70):
        term = term * quarter / (k * (k + order))
        total = total + term
    low = total * np.exp(-near) * (near / 2 if order else 1.0)
    total = term = np.ones_like(far)
    for k in range(1, 30):
        term = term * ((2 * k - 1) ** 2 - 4 * order) / (8 * k * far)
        total = total + term
    high = total / (math.sqrt(2 * math.pi) * np.sqrt(far))
    high = np.where(far == math.inf, 0.0, high)
    return np.where(size <= _NEAR, low, high)


@_in_own_kind
def i0e(x: Any) -> Any:
    """e^-|x| I0(x)."""
    return np.where(np.isnan(x), x, _scaled(x, 0))


@_in_own_kind
def i0(x: Any) -> Any:
    """I0(x), the modified Bessel function of order 0."""
    y = _scaled(x, 0)
    return np.where(np.isinf(x), math.inf, np.where(np.isnan(x), x, y * np.exp(np.abs(x))))


@_in_own_kind
def i1e(x: Any) -> Any:
    """e^-|x| I1(x)."""
    return np.where(np.isnan(x), x, np.copysign(_scaled(x, 1), x))


@_in_own_kind
def i1(x: Any) -> Any:
    """I1(x), the modified Bessel function of order 1."""
    y = np.copysign(_scaled(x, 1), x) * np.exp(np.abs(x))
    return np.where(np.isinf(x) | np.isnan(x), x, y)


# About the normal distribution --------------------------------------------------------------------


@_in_own_kind
def erfcx(x: Any) -> Any:
    """e^(x^2) erfc(x), where neither factor may be left."""
    return _erfcx(x)


def _erfcx(x: Any) -> Any:
    near = np.minimum(x, 4.0)
    low = np.exp(near * near) * erfc(near)
    far = np.maximum(x, 4.0)
    fraction = far
    for k in range(60, 0, -1):  # Laplace's continued fraction
        fraction = far + k / 2 / fraction
    return np.where(x <= 4, low, np.where(np.isnan(x), x, 1 / (fraction * math.sqrt(math.pi))))


@_in_own_kind
def log_ndtr(x: Any) -> Any:
    """The logarithm of the normal distribution function, finite far below as well."""
    return _log_ndtr(x)


def _log_ndtr(x: Any) -> Any:
    below = np.minimum(x, -1.0)
    low = np.log(_erfcx(-below / math.sqrt(2)) / 2) - below * below / 2
    low = np.where(below == -math.inf, -math.inf, low)
    high = np.log1p(-erfc(np.maximum(x, -1.0) / math.sqrt(2)) / 2)
    return np.where(x < -1, low, np.where(np.isnan(x), x, high))


@_in_own_kind
def ndtri(p: Any) -> Any:
    """The normal quantile: infinite at 0 and 1, NaN beyond.

    A first guess good to 4.5e-4 (Abramowitz & Stegun 1964, 26.2.23), then Newton's method on the
    logarithm, which keeps its digits for the smallest p.
    """
    small = np.minimum(p, 1 - p)
    inside = np.where((small > 0) & (small <= 0.5), small, 0.25)
    log = np.log(inside)
    t = np.sqrt(-2 * log)
    above = 2.515517 + t * (0.802853 + t * 0.010328)
    z = above / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))) - t
    for _ in range(4):
        z = z - (_log_ndtr(z) - log) * _erfcx(-z / math.sqrt(2)) * math.sqrt(math.pi / 2)
    z = np.where(p == 0.5, 0.0, np.where(p > 0.5, -z, z))
    z = np.where(p == 0, -math.inf, np.where(p == 1, math.inf, z))
    return np.where((p >= 0) & (p <= 1), z, math.nan)


# Zeta ---------------------------------------------------------------------------------------------

_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)


@_in_own_kind
def zeta(s: Any, q: Any) -> Any:
    """The sum of (q + k)^-s over k = 0, 1, ...: ten terms, then Euler and Maclaurin's formula."""
    total = sum((q + k) ** -s for k in range(10))
    w = q + 10
    total = total + w ** (1 - s) / (s - 1) + 0.5 * w**-s
    factor = s * w ** (-s - 1)
    for k, b in enumerate(_BERNOULLI, 1):
        total = total + b * factor / math.factorial(2 * k)
        factor = factor * (s + 2 * k - 1) * (s + 2 * k) / (w * w)
    pole = (q <= 0) & (q == np.floor(q))
    outside = (q < 0) & ~pole & (s != np.floor(s))
    total = np.where(pole, math.inf, np.where(outside, math.nan, total))
    return np.where(s == 1, math.inf, np.where(s < 1, math.nan, total))
