"""Special functions that NumPy lacks, element by element over raw NumPy arrays.

`erf`, `erfc` and `lgamma` are the C library's, in a loop that Numba compiles; the rest are written
with NumPy. CuPy has its own (see `tinygrad_opt/arrays/namespace.py`).
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
    return _in_kind(_ufunc("erf")(x), x)


def erfc(x: Any) -> Any:
    """1 - erf(x), without loss of digits where erf(x) is close to 1."""
    return _in_kind(_ufunc("erfc")(x), x)


def lgamma(x: Any) -> Any:
    """The logarithm of |gamma(x)|."""
    with np.errstate(all="ignore"):  # Numba's frame raises the warnings, not this one
        return _in_kind(_ufunc("lgamma")(x), x)


def _in_kind(y: Any, x: Any) -> Any:
    """y in the float type of x: what is computed from float16 goes back there."""
    return y.astype(np.float16) if getattr(x, "dtype", None) == np.float16 else y


def _float_kind(x: Any) -> Any:
    kind = getattr(x, "dtype", np.dtype(np.float64))
    return kind if kind.kind == "f" else np.result_type(kind, np.float32)


def erfinv(x: Any) -> Any:
    """The y with erf(y) = x: infinite at -1 and 1, NaN beyond.

    A first guess good to 2e-3 (Winitzki 2008), then three steps of Halley's method, each of
    which triples the digits. Beyond 1/2 they solve erfc(y) = 1 - x, which keeps its digits.
    """
    kind = _float_kind(x)
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
_FAR = 14  # from here on the asymptotic series is good to the last digit


def polygamma(x: Any, n: int) -> Any:
    """The n-th derivative of digamma, which is the derivative of lgamma.

    The recurrence digamma(x) = digamma(x + 1) - 1/x, differentiated n times, moves x up to where
    the asymptotic series holds (Abramowitz & Stegun 1964, 6.3.18 and 6.4.11): in at most 14 + n
    steps, since negative numbers are reflected first (6.4.7). At the poles 0, -1, -2, ... it is
    (-1)^(n + 1) inf as in PyTorch; but digamma is NaN there, and at 0 -inf (at -0.0 inf).
    """
    kind = _float_kind(x)
    x = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        y = _positive(np.where(x < 0, 1 - x, x), n)
        if (x < 0).any():
            y = np.where(x < 0, _reflected(x, y, n), y)
        pole = (x <= 0) & (x == np.rint(x))
        at_pole = np.where(x == 0, -np.copysign(np.inf, x), np.nan) if n == 0 else np.inf
        y = np.where(pole, at_pole if n % 2 or n == 0 else -at_pole, y)
        return np.asarray(y).astype(kind)


def _positive(x: Any, n: int) -> Any:
    """polygamma of x >= 0."""
    steps = _FAR + n
    sign = (-1.0) ** (n + 1)
    moved, near = x, np.zeros_like(x)
    for _ in range(steps):
        low = moved < steps
        if not low.any():
            break
        near += np.where(low, sign * _ratio(n, moved, n + 1), 0.0)
        moved = np.where(low, moved + 1, moved)
    return near + _asymptotic(moved, n)


def _reflected(x: Any, mirrored: Any, n: int) -> Any:
    """polygamma(x) from `mirrored`, that of 1 - x: less the n-th derivative of pi cot(pi x).

    That is pi^(n + 1) P_n(c) with c = cot(pi x), P_0 = c and P_(k+1) = -(1 + c^2) P_k'. All
    coefficients of one P have the same sign, so nothing cancels.
    """
    r = x - np.rint(x)  # exact: cot has the period 1
    half = np.tan(math.pi * (np.copysign(0.5, r) - r))  # exactly 0 in the middle
    c = np.where(np.abs(r) > 0.25, half, 1 / np.tan(math.pi * r))
    polynomial = np.polynomial.Polynomial([0.0, 1.0])
    for _ in range(n):
        polynomial = polynomial.deriv() * np.polynomial.Polynomial([-1.0, 0.0, -1.0])
    derivative = math.pi ** (n + 1) * polynomial(c)
    return (-1.0) ** n * mirrored - derivative


def _asymptotic(x: Any, n: int) -> Any:
    """digamma(x) = log x - 1/(2x) - sum of B_2k / (2k x^2k), or its n-th derivative."""
    sign = (-1.0) ** (n + 1)
    first = np.log(x) if n == 0 else sign * _ratio(n - 1, x, n)
    total = first + sign * _ratio(n, x, n + 1) / 2
    for k, b in enumerate(_BERNOULLI, 1):
        total = total + sign * b * _ratio(2 * k + n - 1, x, 2 * k + n) / math.factorial(2 * k)
    return total


def _ratio(m: int, x: Any, power: int) -> Any:
    """m! / x^power; from large powers on by logarithms, where both would overflow."""
    if power <= 20:
        return math.factorial(m) / x**power
    return np.exp(math.lgamma(m + 1) - power * np.log(x))
