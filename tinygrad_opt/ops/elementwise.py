"""Element-wise operations: arithmetic, exponentials, activations, choices.

More of them: `trigonometry`, `rounding`, `special`.

Convention at kinks: relu'(0) = 0, abs'(0) = 0, ties in maximum and minimum share equally.
`clip` passes the gradient at its bounds.
"""

from __future__ import annotations

import math
from typing import Any

from ..autograd.graph import op
from ..backend import xp

# Arithmetic ---------------------------------------------------------------------------------------


@op
def add(x, y):
    return x + y, lambda g: g, lambda g: g


@op
def sub(x, y):
    return x - y, lambda g: g, lambda g: -g


@op
def mul(x, y):
    return x * y, lambda g: g * y, lambda g: g * x


@op
def div(x, y):
    z = x / y
    return z, lambda g: g / y, lambda g: -g * z / y


@op
def neg(x):
    return -x, lambda g: -g


def _power(x, y):
    try:
        return x**y
    except ValueError:  # of integers, with an exponent below 0
        if not hasattr(y, "dtype"):
            raise
        z = x ** xp(y).where(y < 0, 0, y)  # 1 where the exponent was below 0
        # There 1 / x^|y| rounded towards 0 is right, and left of it: that of 1 and of -1.
        return xp(y).where((y < 0) & (x != 1), (x == -1) * (1 - 2 * (y % 2)), z)


@op
def pow(x, y):
    z = _power(x, y)

    def base(g):
        if isinstance(y, (int, float)):
            return g * (y * x ** (y - 1)) if y != 0 else xp(g).zeros_like(g)
        return g * xp(x).where(y == 0, 0, y * x ** xp(x).where(y == 0, 1, y - 1))

    def exponent(g):
        # d/dy x**y = x**y log x, with limit 0 where x = 0 and y >= 0
        if isinstance(x, (int, float)):
            return g * z * (math.log(x) if x > 0 else 0.0 if x == 0 else math.nan)
        at_zero = (x == 0) & (y >= 0)
        return g * z * xp(z).where(at_zero, 0, xp(z).log(xp(z).where(at_zero, 1, x)))

    return z, base, exponent


power = pow  # NumPy's name


# Exponentials and roots --------------------------------------------------------------------------


@op
def exp(x):
    y = xp(x).exp(x)
    return y, lambda g: g * y


@op
def expm1(x):
    return xp(x).expm1(x), lambda g: g * xp(x).exp(x)  # y + 1 has lost the digits of a small exp


@op
def log(x):
    return xp(x).log(x), lambda g: g / x


@op
def log1p(x):
    return xp(x).log1p(x), lambda g: g / (x + 1)


@op
def log2(x):
    return xp(x).log2(x), lambda g: g / (x * math.log(2))


@op
def log10(x):
    return xp(x).log10(x), lambda g: g / (x * math.log(10))


@op
def sqrt(x):
    y = xp(x).sqrt(x)
    return y, lambda g: g / (2 * y)


# Activations --------------------------------------------------------------------------------------


@op
def tanh(x):
    y = xp(x).tanh(x)
    return y, lambda g: g * (1 - y * y)


@op
def sigmoid(x):
    y = xp(x).sigmoid(x)
    return y, lambda g: g * (y * (1 - y))


@op
def relu(x):
    return xp(x).maximum(x, 0), lambda g: g * (x > 0)


@op
def leaky_relu(x, *, negative_slope=0.01):
    def slope(g):
        return xp(g).where(x > 0, g, g * negative_slope)

    return xp(x).where(x > 0, x, negative_slope * x), slope


@op
def softplus(x, *, beta=1.0, threshold=20.0):
    # log(1 + exp(bx)) / b = max(x, 0) + log1p(exp(-|bx|)) / b; linear above the threshold
    bx = beta * x
    soft = xp(x).maximum(x, 0) + xp(x).log1p(xp(x).exp(-xp(x).abs(bx))) / beta
    linear = bx > threshold
    return xp(x).where(linear, x, soft), lambda g: g * xp(x).where(linear, 1, xp(x).sigmoid(bx))


@op
def silu(x):
    s = xp(x).sigmoid(x)
    return x * s, lambda g: g * (s * (1 + x * (1 - s)))


@op
def gelu(x):
    # x * Phi(x), Phi the normal distribution function; Hendrycks & Gimpel 2016, arXiv:1606.08415
    cdf = 0.5 * xp(x).erfc(x * -math.sqrt(0.5))  # 1 + erf would cancel on the left
    density = 1 / math.sqrt(2 * math.pi)
    return x * cdf, lambda g: g * (cdf + x * (density * xp(x).exp(-0.5 * x * x)))


@op
def gelu_tanh(x):
    # 0.5 x (1 + tanh(u)) with u = sqrt(2/pi) (x + 0.044715 x^3); as 1 + tanh(u) = 2 sigmoid(2u)
    # cancels nothing on the left, x sigmoid(2u)
    a, b = 2 * math.sqrt(2 / math.pi), 0.044715
    u = a * (x + b * x * x * x)
    s = xp(x).sigmoid(u)

    def slope(g):
        return g * (s + x * (s * xp(x).sigmoid(-u)) * (a * (1 + 3 * b * x * x)))

    return x * s, slope


# Absolute values, choices, casts ------------------------------------------------------------------


@op
def abs(x):
    return xp(x).abs(x), lambda g: g * xp(x).sign(x)


def _shared(g: Any, chosen: Any, tie: Any) -> Any:
    """The gradient where an input was chosen, half of it where two inputs tie, else 0."""
    return xp(g).where(tie, g / 2, xp(g).where(chosen, g, 0))


@op
def maximum(x, y):
    tie = x == y
    z = xp(x if hasattr(x, "shape") else y).maximum(x, y)
    return z, lambda g: _shared(g, x > y, tie), lambda g: _shared(g, x < y, tie)


@op
def minimum(x, y):
    tie = x == y
    z = xp(x if hasattr(x, "shape") else y).minimum(x, y)
    return z, lambda g: _shared(g, x < y, tie), lambda g: _shared(g, x > y, tie)


@op
def where(condition, x, y):
    z = xp(condition).where(condition, x, y)
    return (
        z,
        None,
        lambda g: xp(g).where(condition, g, 0),
        lambda g: xp(g).where(condition, 0, g),
    )


@op
def lerp(x, y, weight):
    # x + weight (y - x), from the nearer end: exactly x at weight 0 and y at 1, as PyTorch
    d, rest = y - x, 1 - weight
    near = weight < 0.5
    z = xp(d).where(near, x + weight * d, y - rest * d)
    return z, lambda g: g * rest, lambda g: g * weight, lambda g: g * d


@op
def clip(x, *, min=None, max=None):
    y = x
    inside: Any = True
    if min is not None:
        y, inside = xp(y).maximum(y, min), x >= min
    if max is not None:
        y, inside = xp(y).minimum(y, max), (x <= max) & inside
    return y, lambda g: g * inside


@op
def cast(x, *, dtype):
    # The engine casts the gradient back to the input's own type.
    return xp(x).cast(x, dtype=dtype), lambda g: g


@op
def clone(x):
    return xp(x).copy(x), lambda g: g


@op
def to_device(x, *, device):
    from ..backend import device_of

    here = device_of(getattr(x, "array", x))
    return xp(x).to_device(x, device=device), lambda g: xp(g).to_device(g, device=here)
