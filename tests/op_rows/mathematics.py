"""Rows of trigonometry, rounding, remainders and the special functions."""

import math

import numpy as np
from op_rows.rows import Row, apart, binary, normal, of, off_bounds, off_zero, positive, unary

from tinygrad_opt import ops
from tinygrad_opt.ops import mathematics


def inside(rng, shape=(2, 3)):
    """Values within (-0.9, 0.9), off 0."""
    return off_zero(rng, shape) * 0.45


def fraction(rng, shape=(2, 3)):
    return rng.uniform(0.1, 0.9, shape)


def above_one(rng, shape=(2, 3)):
    return rng.uniform(1.2, 3.0, shape)


def between_integers(rng, shape=(2, 3)):
    return rng.integers(-3, 3, shape) + rng.uniform(0.1, 0.4, shape)


def _slope(name):
    """The operation that is the slope of another."""
    return lambda m, x: getattr(mathematics, f"_{name}_slope")(x)


TRIGAMMA = 1e-9  # PyTorch's second derivative of lgamma is no better


def per_element(function):
    """A function of the standard library, element by element."""
    return np.vectorize(function, otypes=[float])


def np_erfinv(y):
    """By bisection of math.erf."""
    low, high = -6.0, 6.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if math.erf(middle) < y else (low, middle)
    return (low + high) / 2


def np_polygamma(n):
    """By differences of lgamma (n = 0), or by the series (n > 0)."""
    k = np.arange(200_000)

    def series(x):
        tail = (x + len(k) - 0.5) ** -n / n  # the integral of what the sum leaves out
        return (-1) ** (n + 1) * math.factorial(n) * (((x + k) ** -(n + 1.0)).sum() + tail)

    def digamma(x):
        euler = 0.57721566490153286
        return -euler + ((x - 1) / ((k + 1) * (x + k))).sum() + (x - 1) / (len(k) + x / 2)

    return per_element(series if n else digamma)


MATHEMATICS = [
    unary("sin", np.sin), unary("cos", np.cos), unary("tan", np.tan, inside),
    unary("asin", np.arcsin, inside), unary("acos", np.arccos, inside), unary("atan", np.arctan),
    unary("sinh", np.sinh), unary("cosh", np.cosh), unary("asinh", np.arcsinh),
    unary("acosh", np.arccosh, above_one), unary("atanh", np.arctanh, inside),
    unary("scaled", lambda x: 2.5 * x, call=lambda m, x: ops.scaled(x, by=2.5),
          peer=lambda m, x: m.rad2deg(m.deg2rad(x)).add(x, alpha=1.5)),
    unary("exactly", lambda x: 2 * x, call=lambda m, x: ops.exactly(2 * x, 2 * x.detach()),
          peer=lambda m, x: 2 * x),
    unary("asin_slope", lambda x: (1 - x * x) ** -0.5, inside, call=_slope("asin"),
          peer=lambda m, x: (1 - x * x) ** -0.5),
    unary("acosh_slope", lambda x: (x * x - 1) ** -0.5, above_one, call=_slope("acosh"),
          peer=lambda m, x: (x * x - 1) ** -0.5),
    unary("atanh_slope", lambda x: 1 / (1 - x * x), inside, call=_slope("atanh"),
          peer=lambda m, x: 1 / (1 - x * x)),
    unary("sinc", np.sinc, off_zero),
    binary("atan2", np.arctan2, off_zero, off_zero),
    binary("hypot", np.hypot, off_zero, off_zero),
    unary("deg2rad", np.deg2rad), unary("rad2deg", np.rad2deg),
    unary("positive", np.positive),
    unary("exp2", np.exp2),
    binary("logaddexp", np.logaddexp), binary("logaddexp2", np.logaddexp2),
    binary("xlogy", lambda x, y: x * np.log(y), right=positive),
    unary("logit", lambda x: np.log(x / (1 - x)), fraction),
    unary("logit_within", lambda x: np.log(np.clip(x, 0.3, 0.7) / (1 - np.clip(x, 0.3, 0.7))),
          lambda rng, shape: off_bounds(rng, shape) * 0.4 + 0.5, call=lambda m, x: m.logit(x, 0.3)),
    unary("erf", per_element(math.erf)),
    unary("erfc", per_element(math.erfc)),
    unary("erfinv", per_element(np_erfinv), inside),
    unary("lgamma", per_element(math.lgamma), positive, rough=TRIGAMMA),
    unary("lgamma: negative", per_element(math.lgamma), between_integers, rough=TRIGAMMA),
    unary("digamma", np_polygamma(0), positive, rough=TRIGAMMA),
    unary("polygamma", np_polygamma(2), positive, call=lambda m, x: m.polygamma(2, x)),
    unary("polygamma: method", np_polygamma(1), positive, call=lambda m, x: x.polygamma(1),
          rough=TRIGAMMA),
    unary("mvlgamma", lambda x: math.log(math.pi) / 2 + per_element(math.lgamma)(x)
          + per_element(math.lgamma)(x - 0.5), above_one, call=lambda m, x: m.mvlgamma(x, 2),
          rough=TRIGAMMA),
    unary("nan_to_num", lambda x: x, call=lambda m, x: m.nan_to_num(x)),
    unary("nan_to_num: nan", lambda x: x * 0 + 0.5,
          call=lambda m, x: m.nan_to_num(m.where(x < 9, math.nan, x), nan=0.5)),
    # rounding
    unary("floor", np.floor, between_integers), unary("ceil", np.ceil, between_integers),
    unary("trunc", np.trunc, between_integers), unary("round", np.round, between_integers),
    unary("round: decimals", lambda x: np.round(x, 1),
          lambda rng, shape: np.round(normal(rng, shape), 1) + 0.02,
          call=lambda m, x: m.round(x, decimals=1)),
    unary("sign", np.sign, off_zero), unary("frac", lambda x: x - np.trunc(x), between_integers),
    binary("copysign", np.copysign, off_zero, off_zero),
    binary("remainder", np.remainder, between_integers,
           lambda rng, shape: 0 * positive(rng, shape) + 2),
    unary("remainder: by a number", lambda x: x % 1.5, between_integers,
          call=lambda m, x: x % 1.5),
    unary("remainder: of a number", lambda x: 3.5 % x, above_one, call=lambda m, x: 3.5 % x,
          peer=lambda m, x: m.full_like(x, 3.5) % x),
    binary("fmod", np.fmod, between_integers, lambda rng, shape: 0 * positive(rng, shape) - 2),
    binary("floor_divide", np.floor_divide, between_integers,
           lambda rng, shape: 0 * positive(rng, shape) + 1,
           call=lambda m, x, y: m.div(x, y, rounding_mode="floor")),
    binary("trunc_divide", lambda x, y: np.trunc(x / y), between_integers,
           lambda rng, shape: 0 * positive(rng, shape) + 1,
           call=lambda m, x, y: m.div(x, y, rounding_mode="trunc")),
    # arithmetic and choices
    binary("rsub", lambda x, y: y - 2 * x, call=lambda m, x, y: m.rsub(x, y, alpha=2)),
    binary("float_power", lambda x, y: x**y, positive,
           call=lambda m, x, y: m.float_power(x, y).to(x.dtype)),
    binary("fmax", np.fmax, apart, apart), binary("fmin", np.fmin, apart, apart),
    unary("clamp_min", lambda x: np.maximum(x, 0.5), off_bounds,
          call=lambda m, x: m.clamp_min(x, 0.5)),
    unary("clamp_max", lambda x: np.minimum(x, 0.5), off_bounds,
          call=lambda m, x: m.clamp_max(x, 0.5)),
]  # fmt: skip

CLAMPED = [
    Row("clamp: tensors", lambda m, x, low, high: m.clamp(x, low, high),
        lambda rng: (apart(rng), apart(rng, (3,)) - 2.53, apart(rng, (2, 1)) + 2.57),
        lambda x, low, high: np.minimum(np.maximum(x, low), high)),
    Row("clamp: from below", lambda m, x, low: m.clamp(x, low), of((3, 4), (3, 1), values=apart),
        np.maximum),
    Row("clamp: from above", lambda m, x, high: m.clamp(x, max=high),
        of((3, 4), (4,), values=apart), np.minimum),
]  # fmt: skip
