"""Element-wise operations: arithmetic, exponentials, the plainest activations.

Sixth of the reading path; next: `ops/products.py`. An operation is one function: it returns its
value, then a pullback for each input, from the gradient `g` of the result to the gradient of that
input. More of them: `mathematics.py`, `choice.py`, `activation.py`.

Convention at kinks: relu'(0) = 0. `@fused_op`: has a twin in `kernels/fused/elementwise.py`.
"""

from __future__ import annotations

import math

from ..arrays.xp import xp, xp_of
from ..core.record import op
from .fused import fused_op, keeps_result, linear_op, recomputed

__all__ = ["add", "div", "exp", "log", "mul", "neg", "pow", "power", "relu", "sigmoid", "sqrt",
           "sub", "tanh"]  # fmt: skip

# Arithmetic ---------------------------------------------------------------------------------------


@linear_op
def add(x, y):
    """x + y, broadcast."""
    return x + y, lambda g: g, lambda g: g


@linear_op
def sub(x, y):
    """x - y, broadcast."""
    return x - y, lambda g: g, lambda g: -g


@fused_op
def mul(x, y):
    """x * y, broadcast."""
    return x * y, lambda g: g * y, lambda g: g * x


@recomputed
@fused_op
def div(x, y):
    """x / y, broadcast."""
    z = x / y
    return z, lambda g: g / y, lambda g: -g * z / y


@linear_op
def neg(x):
    """-x."""
    return -x, lambda g: -g


@op
def pow(x, y):
    """x^y, broadcast."""
    z = xp_of(x, y).power(x, y)

    def base(g):
        if isinstance(y, (int, float)):
            return g * (y * xp(x).power(x, y - 1)) if y != 0 else xp(g).zeros_like(g)
        return xp(g).where(y == 0, 0, g * ((n := xp(x).where(y == 0, 1, y)) * x ** (n - 1)))

    def exponent(g):
        # d/dy x**y = x**y log x, with limit 0 where x = 0 and y >= 0
        if isinstance(x, (int, float)) and x > 0:
            return g * z * math.log(x)
        at_zero = (x == 0) & (y >= 0)
        return g * z * xp(z).where(at_zero, 0, xp(z).log(xp(z).where(at_zero, 1, x)))

    return z, base, exponent


power = pow  # NumPy's name


# Exponentials and roots --------------------------------------------------------------------------


@fused_op
def exp(x):
    """e^x."""
    y = xp(x).exp(x)
    return y, lambda g: g * y


@fused_op
def log(x):
    """The natural logarithm of x."""
    return xp(x).log(x), lambda g: g / x


@fused_op
def sqrt(x):
    """The square root of x."""
    y = xp(x).sqrt(x)
    return y, lambda g: g / (2 * y)


# Activations --------------------------------------------------------------------------------------


@fused_op
def tanh(x):
    """tanh(x), the hyperbolic tangent."""
    y = xp(x).tanh(x)
    return y, lambda g: g * (1 - y * y)


@fused_op
def sigmoid(x):
    """1 / (1 + e^-x)."""
    y = xp(x).sigmoid(x)
    return y, lambda g: g * (y * (1 - y))


@fused_op
@keeps_result
def relu(x):
    """max(x, 0), with slope 0 at 0."""
    y = xp(x).maximum(x, 0)
    return y, lambda g: xp(g).relu_back(g, y)
