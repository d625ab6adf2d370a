"""Special functions that NumPy lacks, element by element over raw NumPy arrays.

`erf`, `erfc` and `lgamma` are the C library's, in a loop that Numba compiles; the rest are written
with NumPy. CuPy has its own (see `backend.py`).
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np


@functools.cache
def _ufunc(name: str) -> Any:
    import numba

    function = getattr(math, name)

    @numba.vectorize(["float32(float32)", "float64(float64)"])
    def ufunc(x: float) -> float:
        return function(x)

    return ufunc


def in_own_type(function: Any) -> Any:
    """The function, with float16 for float16, which it computes in float32."""

    @functools.wraps(function)
    def wrapper(x: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(x, "dtype", None) == np.float16:
            return function(x.astype(np.float32), *args, **kwargs).astype(np.float16)
        return function(x, *args, **kwargs)

    return wrapper


def erf(x: Any) -> Any:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return _ufunc("erf")(x)


def erfc(x: Any) -> Any:
    """1 - erf(x), without loss of digits where erf(x) is close to 1."""
    return _ufunc("erfc")(x)


def lgamma(x: Any) -> Any:
    """The logarithm of |gamma(x)|."""
    with np.errstate(divide="ignore"):  # Numba's frame raises the warning, not this one
        return _ufunc("lgamma")(x)


def erfinv(x: Any) -> Any:
    """The y with erf(y) = x: infinite at -1 and 1, NaN beyond.

    A first guess good to 2e-3 (Winitzki 2008), then three steps of Halley's method, each of
    which triples the digits. Beyond 1/2 they solve erfc(y) = 1 - x, which keeps its digits.
    """
    kind = np.result_type(x, np.float32)
    x = np.asarray(x, np.float64)
    size = np.abs(x)
    inside = np.where(size < 1, size, 0.0)
    log = np.log1p(-inside * inside)
    t = 2 / (math.pi * 0.147) + log / 2
    y = np.sqrt(np.sqrt(t * t - log / 0.147) - t)
    for _ in range(3):
        miss = np.where(inside < 0.5, erf(y) - inside, (1 - inside) - erfc(y))
        step = miss * np.exp(y * y) * (math.sqrt(math.pi) / 2)
        y = y - step / (1 + y * step)
    y = np.where(size < 1, y, np.where(size == 1, np.inf, np.nan))
    return np.copysign(y, x).astype(kind)


_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
_FAR = 14.0  # from here on the asymptotic series is good to the last digit


def polygamma(x: Any, n: int) -> Any:
    """The n-th derivative of digamma, which is the derivative of lgamma.

    The recurrence digamma(x) = digamma(x + 1) - 1/x, differentiated n times, moves x up to where
    the asymptotic series holds (Abramowitz & Stegun 1964, 6.3.18 and 6.4.11).
    """
    kind = np.result_type(x, np.float32)
    x = np.asarray(x, np.float64)
    finite = x[np.isfinite(x)]
    steps = max(0, math.ceil(_FAR + n - finite.min())) if finite.size else 0
    sign = (-1) ** (n + 1) * math.factorial(n)
    near = np.zeros_like(x)
    for k in range(steps):
        near += sign / (x + k) ** (n + 1)
    return (near + _asymptotic(x + steps, n)).astype(kind)


def _asymptotic(x: Any, n: int) -> Any:
    """digamma(x) = log x - 1/(2x) - sum of B_2k / (2k x^2k), or its n-th derivative."""
    sign = (-1) ** (n + 1)
    first = np.log(x) if n == 0 else sign * math.factorial(n - 1) / x**n
    total = first + sign * math.factorial(n) / (2 * x ** (n + 1))
    for k, b in enumerate(_BERNOULLI, 1):
        total = total + sign * b * (math.factorial(2 * k + n - 1) / math.factorial(2 * k)) / x ** (
            2 * k + n
        )
    return total
