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
from . import blocks, straight
from .loops import Loop

__all__ = ["ROWS", "Row", "element_loop", "loop"]


class Row(NamedTuple):
    """A function of one element, and what its gradient is made of."""

    value: Callable[..., float]  # of x and the settings
    slope: Callable[..., float]  # of g, of x or y, and of the settings: the gradient of x
    settings: tuple[str, ...] = ()  # names and order of further arguments
    saves_result: bool = False  # the slope takes y instead of x
    least: int = 0  # elements, from which on the kernels are the faster ones
    small: Callable[[Any], Any] | None = None  # the pair for fewer elements, if not the operation's
    least_slope: int = 0  # elements, below which the slope runs on arrays as it stands here
    light: bool = False  # whether its arithmetic takes no longer than its memory
    near: float = 0.0  # for |x| below this, what it calls has shorter forms: see `blocks.py`

    @property
    def part(self) -> int:
        """Elements that a thread takes at a time."""
        return part_of(self.light)


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
    return g / (1 + functions.exp(x))


_ERF_SLOPE = 2 / math.sqrt(math.pi)


def erf(x):
    return functions.erf(x)


def erf_slope(g, x):
    return g * (_ERF_SLOPE * functions.exp(-x * x))


def erfc(x):
    return functions.erfc(x)


def erfc_slope(g, x):
    return g * (-_ERF_SLOPE * functions.exp(-x * x))


def logit(x):
    return functions.log(x / (1 - x))


def logit_slope(g, x):
    return math.nan if x < 0 or x > 1 else g / (x * (1 - x))


def sqrt(x):
    return math.sqrt(x)


def sqrt_slope(g, y):
    return g / (2 * y)


# Bent ---------------------------------------------------------------------------------------------
#
# 1 / (1 + e^-x) is what `sigmoid` is, but for numbers below 1e-38, which are 0.


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
    bend = g / (1 + functions.exp(-(beta * x)))
    return g if beta * x > threshold else bend


def silu(x):
    return x / (1 + functions.exp(-x))


def silu_slope(g, x):
    s = 1 / (1 + functions.exp(-x))
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


# Of small arrays the formula's few calls of NumPy are as fast as a kernel; here without looking up
# NumPy in `xp(x)`, and without making an array of the number 0, which takes it 0.4 us.

_ZERO = np.zeros((), np.float32)
LARGE = 65_536  # elements: below, NumPy takes no longer for the simplest functions


def small_exp(x):
    y = np.exp(x)
    return y, lambda g: g * y


def small_log(x):
    return np.log(x), lambda g: g / x


def small_relu(x):
    y = np.maximum(x, _ZERO)
    return y, lambda g: np.where(y, g, _ZERO)


def small_tanh(x):
    y = np.tanh(x)
    return y, lambda g: g * (1 - y * y)


ROWS = {
    "abs": Row(straight.abs_, straight.abs_slope, least=LARGE, light=True),
    "elu": Row(elu, elu_slope, ("alpha", "scale", "rate")),
    "erf": Row(erf, erf_slope, near=9.0),
    "erfc": Row(erfc, erfc_slope),
    "exp": Row(
        exp,
        exp_slope,
        saves_result=True,
        least=1024,
        small=small_exp,
        least_slope=32_768,
        near=87.0,
    ),
    "expm1": Row(expm1, expm1_slope),
    "gelu": Row(gelu, gelu_slope, near=12.5),
    "gelu_tanh": Row(gelu_tanh, gelu_tanh_slope, near=9.0),
    "hardshrink": Row(straight.hardshrink, straight.hardshrink_slope, ("threshold",), light=True),
    "hardsigmoid": Row(straight.hardsigmoid, straight.hardsigmoid_slope, light=True),
    "hardswish": Row(straight.hardswish, straight.hardswish_slope, light=True),
    "hardtanh": Row(straight.hardtanh, straight.hardtanh_slope, ("low", "high"), light=True),
    "leaky_relu": Row(
        straight.leaky_relu, straight.leaky_relu_slope, ("negative_slope",), light=True
    ),
    "log": Row(log, log_slope, least=1024, small=small_log, least_slope=32_768),
    "log1p": Row(log1p, log1p_slope),
    "log_sigmoid": Row(log_sigmoid, log_sigmoid_slope, near=87.0),
    "logit": Row(logit, logit_slope),
    "mish": Row(mish, mish_slope, near=87.0),
    "nan_to_num": Row(
        straight.nan_to_num, straight.nan_to_num_slope, ("nan", "posinf", "neginf"), light=True
    ),
    "neg": Row(straight.neg, straight.neg_slope, least=LARGE, light=True),
    "relu": Row(
        straight.relu,
        straight.relu_slope,
        saves_result=True,
        least=512,
        small=small_relu,
        light=True,
    ),
    "sigmoid": Row(sigmoid, sigmoid_slope, saves_result=True, near=87.0),
    "silu": Row(silu, silu_slope, near=87.0),
    "softshrink": Row(straight.softshrink, straight.hardshrink_slope, ("threshold",), light=True),
    "softplus": Row(softplus, softplus_slope, ("beta", "threshold")),
    "softsign": Row(straight.softsign, straight.softsign_slope, light=True),
    "sqrt": Row(sqrt, sqrt_slope, saves_result=True, least=LARGE, light=True),
    "threshold": Row(
        straight.threshold, straight.threshold_slope, ("threshold", "value"), light=True
    ),
    "tanh": Row(tanh, tanh_slope, saves_result=True, least=512, small=small_tanh, near=10.0),
}


# From a row to kernels ----------------------------------------------------------------------------


def loop(name: str, way: str, dtype: str) -> Loop:
    """The loop of a row over flat arrays: what it takes, the result, then the settings.

    Args:
        name: of the row.
        way: "value", which takes x, or "slope", which takes g and what is saved.
        dtype: "float32" or "float64".
    """
    row = ROWS[name]
    function = row.value if way == "value" else row.slope
    return element_loop(f"{name}_{way}", function, len(row.settings), row.light, dtype, row.near)


def element_loop(
    name: str, function: Callable[..., float], settings: int, light: bool, dtype: str,
    near: float = 0.0, first: int = 0,
) -> Loop:  # fmt: skip
    """The loop of a function of elements, the last so many of whose arguments are settings.

    near: as in `Row`, of the last argument that is not a setting.  first: how many arguments at
    the front are numbers, too, which the loop takes before the settings.
    """
    rule = parse_element(function, name)
    lowered = lower(rule, dtype)
    names = [lowered.names[argument] for argument in rule.arguments]
    count = len(names) - settings
    elements, numbers = names[first:count], [*names[:first], *names[count:]]
    arrays = [*(f"{x}_" for x in elements), "result_"]

    def write(some: str) -> str:
        lines = [f"{x} = {some}{x}_[i]" for x in elements]
        lines += [*lowered.lines, f"{some}result_[i] = {lowered.outputs[0]}"]
        return f"for i in range({some}result_.shape[0]):\n" + "".join(f"    {x}\n" for x in lines)

    body, called = blocks.in_blocks(write, arrays, near) if near else (blocks.plain(write), "")
    return Loop(
        name=rule.name,
        origin=f"tinygrad_opt.kernels.fused.elementwise from {rule.origin}",
        arrays=dict.fromkeys(arrays, "{dtype}[::1]"),
        scalars=dict.fromkeys(numbers, "{dtype}"),
        body=body,
        part=str(part_of(light)),
        cost=10_000 if light else pool.USUAL,
        imports="import math\n\nfrom numpy import {dtype}\n",
        functions=functions_import([body]) + called,
    )


def part_of(light: bool) -> int:
    """Elements that a thread takes at a time."""
    return 65_536 if light else 16_384
