"""exp, log, tanh and the like for @njit code, in a form that LLVM turns into SIMD loops.

    from numba import njit
    from tinygrad_opt.kernels import functions

    @njit
    def softplus(x, y):
        for i in range(x.size):
            y[i] = functions.log1p(functions.exp(x[i]))

Each takes a float32 or a float64 and returns the same type, at most 2 units in the last place off
(the docstrings say what was measured). NaN, infinities, signed zeros and denormals are treated as
the C library treats them. Other numbers are taken as float64. Outside compiled code they are plain
Python functions of one number.

Numba alone calls the C library for each element; over arrays in the cache these are five to ten
times as fast. The formulas are in `formulas`, what they consist of in `primitives`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from . import formulas

__all__ = ["erf", "exp", "expm1", "log", "log1p", "sigmoid", "tanh"]


def exp(x: float) -> Any:
    """e^x, at most 1 ulp off; 0 below and infinity above the type's range."""
    return np.exp(x)


def expm1(x: float) -> Any:
    """e^x - 1, exact for small x as well; at most 1 ulp off."""
    return np.expm1(x)


def log(x: float) -> Any:
    """The natural logarithm, at most 1 ulp off; -infinity at 0, NaN below."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(x)


def log1p(x: float) -> Any:
    """log(1 + x), exact for small x as well; at most 2 ulp off; -infinity at -1, NaN below."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log1p(x)


def tanh(x: float) -> Any:
    """The hyperbolic tangent, at most 2 ulp off."""
    return np.tanh(x)


def sigmoid(x: float) -> Any:
    """1 / (1 + e^-x), at most 2 ulp off, where it is close to 0 as well."""
    z = np.exp(-abs(x))
    return (z if x < 0 else z / z) / (1 + z)


def erf(x: float) -> Any:
    """2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x; at most 2 ulp off."""
    return getattr(x, "dtype", np.dtype(float)).type(math.erf(x))


def _offer(plain: Callable[..., Any]) -> None:
    """Let compiled code that calls `plain` have the formula of that name instead."""
    make: Any = getattr(formulas, plain.__name__)

    @functools.cache
    def compiled(kind: Any) -> Any:
        constants = formulas.FLOAT32 if kind == types.float32 else formulas.FLOAT64
        return make(constants)

    @overload(plain, jit_options=formulas.OPTIONS)
    def choose(x: Any) -> Any:
        if isinstance(x, types.Float):
            return compiled(x)
        return None


for _name in __all__:
    _offer(globals()[_name])
