"""Activations and other functions of one element, forwards and backwards in one pass each.

A row is a pair of scalar functions: the value, and the gradient `g` times the slope. Both become
kernels as update rules do, so exp and its like are those of `kernels.functions`, and the loops run
in SIMD registers, large arrays on several threads.

Each row is the twin of the operation of its name in `ops/arithmetic.py`, `ops/activation.py` or
`ops/mathematics.py`, whose array code runs on all other arrays and types; `tests/test_twins.py`
holds them equal. `arrays/fused.py` chooses.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import functions, pool
from ..compiler.codegen import functions_import
from ..compiler.lower import lower
from ..compiler.syntax import parse_element

__all__ = ["ROWS", "Row", "kernel"]


class Row(NamedTuple):
    """A function of one element, and what its gradient is made of."""

    value: Callable[..., float]  # of x and the settings
    slope: Callable[..., float]  # of g, of x or y, and of the settings: the gradient of x
    settings: tuple[str, ...] = ()  # names and order of further arguments
    saves_result: bool = False  # the slope takes y instead of x
    least: int = 0  # elements, below which NumPy's calls are as fast
    part: int = 16_384  # elements that take 20 to 50 us


# Exponentials and logarithms ----------------------------------------------------------------------


def exp(x):
    return functions.exp(x)


def exp_slope(g, y):
    return g * y


def expm1(x):
    return functions.expm1(x)


def expm1_slope(g, x):
    return g * functions.exp(x)  # y + 1 has lost the digits of a small exp


def log(x):
    return functions.log(x)


def log_slope(g, x):
    return g / x


def log1p(x):
    return functions.log1p(x)


def log1p_slope(g, x):
    return g / (x + 1)


def tanh(x):
    return functions.tanh(x)


def tanh_slope(g, y):
    return g * (1 - y * y)


def sigmoid(x):
    return functions.sigmoid(x)


def sigmoid_slope(g, y):
    return g * (y * (1 - y))


def log_sigmoid(x):
    return (0.0 if x > 0 else x) - functions.log1p(functions.exp(-abs(x)))


def log_sigmoid_slope(g, x):
    return g * functions.sigmoid(-x)


_ERF_SLOPE = 2 / math.sqrt(math.pi)


def erf(x):
    return functions.erf(x)


def erf_slope(g, x):
    return g * (_ERF_SLOPE * functions.exp(-x * x))


# Straight pieces ----------------------------------------------------------------------------------
#
# Comparisons with NaN are false: each is written so that a NaN comes through.


def relu(x):
    return 0.0 if x <= 0 else x


def relu_slope(g, x):
    return g * (1.0 if x > 0 else 0.0)


def leaky_relu(x, negative_slope):
    return x if x > 0 else negative_slope * x


def leaky_relu_slope(g, x, negative_slope):
    return g if x > 0 else g * negative_slope


def hardtanh(x, low, high):
    y = low if x < low else x
    return high if y > high else y


def hardtanh_slope(g, x, low, high):
    return 0.0 if x <= low or x >= high else g


def hardswish(x):
    gate = 0.0 if x < -3 else x + 3
    gate = 6.0 if gate > 6 else gate
    return x * (gate / 6)


def hardswish_slope(g, x):
    inside = 0.0 if x <= -3 else g * (x / 3 + 0.5)
    return g if x >= 3 else inside


def softsign(x):
    return x / (1 + abs(x))


def softsign_slope(g, x):
    d = 1 + abs(x)
    return g / (d * d)


# Bent ---------------------------------------------------------------------------------------------


def elu(x, alpha, scale, rate):
    low = rate * (0.0 if x > 0 else x)
    below = (scale * alpha) * functions.expm1(low)
    return scale * x if x > 0 else below


def elu_slope(g, x, alpha, scale, rate):
    low = rate * (0.0 if x > 0 else x)
    below = (rate * (scale * alpha)) * functions.exp(low)
    return g * (scale if x > 0 else below)


def softplus(x, beta, threshold):
    soft = (0.0 if x <= 0 else x) + functions.log1p(functions.exp(-abs(beta * x))) / beta
    return x if beta * x > threshold else soft


def softplus_slope(g, x, beta, threshold):
    s = functions.sigmoid(beta * x)
    return g * (1.0 if beta * x > threshold else s)


def silu(x):
    return x * functions.sigmoid(x)


def silu_slope(g, x):
    s = functions.sigmoid(x)
    return g * (s * (1 + x * (1 - s)))


def mish(x):
    """x tanh(log(1 + w)) with w = e^x, which is x n / (n + 2) with n = w^2 + 2 w."""
    w = functions.exp(40.0 if x > 40 else x)  # there the fraction is 1
    n = w * (w + 2)
    return x * (n / (n + 2))


def mish_slope(g, x):
    w = functions.exp(40.0 if x > 40 else x)
    n = w * (w + 2)
    t = n / (n + 2)
    return g * (t + x * (1 - t * t) * (w / (1 + w)))


def gelu(x):
    return x * functions.normal_cdf(x)


def gelu_slope(g, x):
    return g * (functions.normal_cdf(x) + x * functions.normal_density(x))


_A, _B = 2 * math.sqrt(2 / math.pi), 0.044715
_3B = 3 * _B


def gelu_tanh(x):
    return x * functions.sigmoid(_A * (x + _B * x * x * x))


def gelu_tanh_slope(g, x):
    u = _A * (x + _B * x * x * x)
    s = functions.sigmoid(u)
    return g * (s + x * (s * functions.sigmoid(-u)) * (_A * (1 + _3B * x * x)))


ROWS = {
    "elu": Row(elu, elu_slope, ("alpha", "scale", "rate")),
    "erf": Row(erf, erf_slope),
    "exp": Row(exp, exp_slope, saves_result=True),
    "expm1": Row(expm1, expm1_slope),
    "gelu": Row(gelu, gelu_slope),
    "gelu_tanh": Row(gelu_tanh, gelu_tanh_slope),
    "hardswish": Row(hardswish, hardswish_slope),
    "hardtanh": Row(hardtanh, hardtanh_slope, ("low", "high")),
    "leaky_relu": Row(leaky_relu, leaky_relu_slope, ("negative_slope",)),
    "log": Row(log, log_slope),
    "log1p": Row(log1p, log1p_slope),
    "log_sigmoid": Row(log_sigmoid, log_sigmoid_slope),
    "mish": Row(mish, mish_slope),
    "relu": Row(relu, relu_slope),
    "sigmoid": Row(sigmoid, sigmoid_slope, saves_result=True),
    "silu": Row(silu, silu_slope),
    "softplus": Row(softplus, softplus_slope, ("beta", "threshold")),
    "softsign": Row(softsign, softsign_slope),
    "tanh": Row(tanh, tanh_slope, saves_result=True),
}


# From a row to kernels ----------------------------------------------------------------------------

_TEXT = """\
# Written by tinygrad_opt.kernels.fused.elementwise from {origin}; change that, not this.
import math

from numba import njit
from numpy import {dtype}
{functions}
from tinygrad_opt.kernels.pool import split  # the parts that threads take


@njit(error_model="numpy", nogil=True)
def part(begin, end, {parameters}):
{slices}
    for i in range(result_.shape[0]):
{body}


@njit("{signature}", error_model="numpy", nogil=True, cache={cache})
def {function}({parameters}):
    if not {sizes}:
        raise ValueError("sizes differ")  # or the loop would write past an array's end
    split(part, result_.shape[0], {part}, {parameters})
"""

_kernels: dict[tuple[str, str, str], Any] = {}


def kernel(name: str, way: str, dtype: np.dtype[Any]) -> Any:
    """The kernel of a row: flat arrays of `dtype` in, then the result's, then the settings.

    Args:
        name: of the row.
        way: "value", which takes x, or "slope", which takes g and what is saved.
        dtype: float32 or float64.
    """
    key = name, way, dtype.name
    if key not in _kernels:
        row = ROWS[name]
        element = row.value if way == "value" else row.slope
        _kernels[key] = pool.load(
            f"{name}_{way}",
            lambda on_disk: _rendered(element, f"{name}_{way}", row, dtype.name, on_disk),
        )
    return _kernels[key]


def _rendered(
    element: Callable[..., float], function: str, row: Row, dtype: str, on_disk: bool
) -> str:
    """The text of one kernel."""
    rule = parse_element(element, function)
    lowered = lower(rule, dtype)
    count = len(rule.arguments) - len(row.settings)
    elements = [lowered.names[name] for name in rule.arguments[:count]]
    settings = [lowered.names[name] for name in rule.arguments[count:]]
    arrays = [*(f"{name}_" for name in elements), "result_"]
    lines = [f"{name} = {name}_[i]" for name in elements]
    lines += [*lowered.lines, f"result_[i] = {lowered.outputs[0]}"]
    types = [f"{dtype}[::1]"] * len(arrays) + [dtype] * len(settings)
    return _TEXT.format(
        origin=rule.origin,
        dtype=dtype,
        functions=functions_import(lines),
        parameters=", ".join([*arrays, *settings]),
        slices="\n".join(f"    {name} = {name}[begin:end]" for name in arrays),
        body="\n".join(f"        {line}" for line in lines),
        signature=f"void({', '.join(types)})",
        cache=on_disk,
        function=function,
        sizes=" == ".join(f"{name}.shape[0]" for name in arrays),
        part=row.part,
    )
