"""exp, log, tanh and the like for @njit code, in a form that LLVM turns into SIMD loops.

    from numba import njit
    from tinygrad_opt.kernels import functions

    @njit
    def softplus(x, y):
        for i in range(x.size):
            y[i] = functions.log1p(functions.exp(x[i]))

Each takes a float32 or a float64 and returns the same type, at most 2 units in the last place (ulp)
off, normal_cdf 5; the docstrings say what was measured, of float32 over every seventh number. NaN,
infinities, signed zeros and denormals come out as the C library's do. Whole numbers are taken as
float64. Outside compiled code these are plain Python functions of one number.

Numba alone calls the C library for each element; over arrays in the cache these are five to ten
times as fast. In an update rule they can be called as well, and `math.exp` there is this `exp`;
kernels for CUDA have the device's own. The formulas are in `formulas`, what they consist of in
`primitives`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import formulas
from .offered import offer

__all__ = [
    "erf", "erfc", "exp", "expm1", "log", "log1p", "normal_cdf", "normal_density", "sigmoid",
    "tanh",
]  # fmt: skip


@np.errstate(all="ignore")
def exp(x: float) -> Any:
    """e^x, at most 1.0 ulp off; 0 below and infinity above the type's range."""
    return np.exp(x)


@np.errstate(all="ignore")
def expm1(x: float) -> Any:
    """e^x - 1, exact for small x as well; at most 1.4 ulp off."""
    return np.expm1(x)


@np.errstate(all="ignore")
def log(x: float) -> Any:
    """The natural logarithm, at most 0.9 ulp off; -infinity at 0, NaN below."""
    return np.log(x)


@np.errstate(all="ignore")
def log1p(x: float) -> Any:
    """log(1 + x), exact for small x as well; at most 0.9 ulp off; -infinity at -1, NaN below."""
    return np.log1p(x)


def tanh(x: float) -> Any:
    """The hyperbolic tangent, at most 1.4 ulp off."""
    return np.tanh(x)


@np.errstate(all="ignore")
def sigmoid(x: float) -> Any:
    """1 / (1 + e^-x), exact where it is close to 0 as well; at most 1.5 ulp off."""
    z = np.exp(-abs(x))
    return (z if x < 0 else type(z)(1)) / (1 + z)


def erf(x: float) -> Any:
    """2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x; at most 1.2 ulp off."""
    return _kind(x)(math.erf(x))


def erfc(x: float) -> Any:
    """1 - erf(x), exact where erf(x) is close to 1 as well; at most 5 ulp off."""
    return _kind(x)(math.erfc(x))


def normal_cdf(x: float) -> Any:
    """The normal distribution function, erfc(-x / sqrt(2)) / 2; at most 5 ulp off."""
    return _kind(x)(0.5 * math.erfc(-x * math.sqrt(0.5)))


def normal_density(x: float) -> Any:
    """The density of the normal distribution, e^(-x^2 / 2) / sqrt(2 pi); at most 2.1 ulp off."""
    return _kind(x)(math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi))


def _kind(x: float) -> Any:
    return getattr(x, "dtype", np.dtype(float)).type


for _name in __all__:
    offer(globals()[_name], getattr(formulas, _name))
