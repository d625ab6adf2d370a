"""Activations beyond the everyday ones of `arithmetic`.

At a kink each takes the slope that PyTorch takes: that of the flat side, or of the negative one. So
does NaN, where it is asked for an interval: as in the SIMD loops of PyTorch, it lies in none.
What is `@fused_op` has a twin in `kernels/fused/elementwise.py`, or of two arrays in
`kernels/fused/pairs.py`, which runs on NumPy's arrays.
"""

from __future__ import annotations

import math

from ..arrays.xp import xp
from ..core.record import op
from .fused import fused_op

__all__ = [
    "elu", "gated", "gelu", "gelu_tanh", "hardshrink", "hardsigmoid", "hardswish", "hardtanh",
    "leaky_relu", "log_sigmoid", "mish", "prelu", "relu_back", "silu", "softplus", "softshrink",
    "softsign", "stepwise", "threshold",
]  # fmt: skip


@op
def relu_back(g, y):
    """The gradient of x from that of y = relu(x), which stands in `arithmetic`."""
    dx = xp(g).where(y == 0, 0, g)
    return dx, lambda g: xp(g).relu_back(g, y), lambda g: xp(g).zeros_like(g)


@op
def stepwise(g, x):
    """`g`, which x determines by steps: its slope is 0, and as in PyTorch a gradient of zeros."""
    return g, lambda g: xp(g).stepwise(g, x), lambda g: xp(g).zeros_like(g)


@fused_op
def elu(x, *, alpha=1.0, scale=1.0, rate=1.0):
    # scale x where x > 0, else scale alpha (exp(rate x) - 1): ELU, CELU and SELU are all this
    height = scale * alpha
    low = rate * xp(x).where(x >= 0, 0, x)  # held at 0: exp cannot overflow, and does not bend
    below = height * xp(x).expm1(low)

    def slope(g):  # exp anew: below + height has lost the digits of a small exp
        return g * xp(x).where(x > 0, scale, (rate * height) * xp(x).exp(low))

    return xp(x).where(x > 0, scale * x, below), slope


@op
def prelu(x, weight):
    def to_x(g):
        return xp(g).stepwise(xp(g).where(x > 0, g, g * weight), x)

    return xp(x).where(x > 0, x, weight * x), to_x, lambda g: xp(g).where(x > 0, 0, g * x)


@fused_op
def hardtanh(x, *, low=-1.0, high=1.0):
    y = xp(x).minimum(xp(x).maximum(x, low), high)
    return y, lambda g: xp(g).stepwise(xp(g).where((x > low) & (x < high), g, 0), x)


@fused_op
def hardsigmoid(x):
    # relu6(x + 3) / 6
    gate = xp(x).minimum(xp(x).maximum(x + 3, 0), 6)
    return gate / 6, lambda g: xp(g).stepwise(xp(g).where((x > -3) & (x < 3), g / 6, 0), x)


@fused_op
def hardswish(x):
    # x relu6(x + 3) / 6
    gate = xp(x).minimum(xp(x).maximum(x + 3, 0), 6) / 6

    def slope(g):  # no product with an infinite x, and straight at NaN
        bent = xp(x).where((x > -3) & (x < 3), x / 3 + 0.5, math.nan)
        factor = xp(x).where(x <= -3, 0, xp(x).where(x >= 3, 1, bent))
        return xp(g).where(x <= -3, 0, g * factor)

    return x * gate, slope


@fused_op
def hardshrink(x, *, threshold=0.5):
    small = (x >= -threshold) & (x <= threshold)
    return xp(x).where(small, 0, x), lambda g: _beyond(g, x, threshold)


@fused_op
def softshrink(x, *, threshold=0.5):
    y = x - xp(x).minimum(xp(x).maximum(x, -threshold), threshold)
    return y, lambda g: _beyond(g, x, threshold)


def _beyond(g, x, threshold):
    outside = (x < -threshold) | (x > threshold)
    return xp(g).stepwise(xp(g).where(outside, g, 0), x)


@fused_op
def threshold(x, *, threshold, value):
    def slope(g):
        return xp(g).stepwise(xp(g).where(x <= threshold, 0, g), x)

    return xp(x).where(x <= threshold, value, x), slope


@fused_op
def gated(x, y):
    """x sigmoid(y), of arrays of one shape."""
    s = xp(y).sigmoid(y)
    return x * s, lambda g: g * s, lambda g: g * x * (s * (1 - s))


@fused_op
def softsign(x):
    d = 1 + xp(x).abs(x)
    return x / d, lambda g: g / (d * d)


@fused_op
def log_sigmoid(x):
    # -log(1 + exp(-x)) = min(x, 0) - log1p(exp(-|x|))
    y = xp(x).minimum(x, 0) - xp(x).log1p(xp(x).exp(-xp(x).abs(x)))
    return y, lambda g: g * xp(x).sigmoid(-x)


@fused_op
def mish(x):
    t = xp(x).tanh(softplus(x, threshold=math.inf))
    return x * t, lambda g: g * (t + x * (1 - t * t) * xp(x).sigmoid(x))


@fused_op
def leaky_relu(x, *, negative_slope=0.01):
    def slope(g):
        return xp(g).stepwise(xp(g).where(x > 0, g, g * negative_slope), x)

    return xp(x).where(x > 0, x, negative_slope * x), slope


@fused_op
def softplus(x, *, beta=1.0, threshold=20.0):
    # log(1 + exp(bx)) / b = max(x, 0) + log1p(exp(-|bx|)) / b; linear above the threshold
    bx = beta * x
    soft = xp(x).maximum(x, 0) + xp(x).log1p(xp(x).exp(-xp(x).abs(bx))) / beta
    linear = bx > threshold

    def slope(g):  # straight at the threshold, as PyTorch
        held = xp(x).where(bx >= threshold, threshold, bx)
        return g * xp(x).where(linear, 1, xp(x).sigmoid(held))

    return xp(x).where(linear, x, soft), slope


@fused_op
def silu(x):
    s = xp(x).sigmoid(x)
    return x * s, lambda g: g * (s * (1 + x * (1 - s)))


@fused_op
def gelu(x):
    # x * Phi(x), Phi the normal distribution function; Hendrycks & Gimpel 2016, arXiv:1606.08415
    cdf = 0.5 * xp(x).erfc(x * -math.sqrt(0.5))  # 1 + erf would cancel on the left
    density = 1 / math.sqrt(2 * math.pi)
    return x * cdf, lambda g: g * (cdf + x * (density * xp(x).exp(-0.5 * x * x)))


@fused_op
def gelu_tanh(x):
    # 0.5 x (1 + tanh(u)) with u = sqrt(2/pi) (x + 0.044715 x^3); as 1 + tanh(u) = 2 sigmoid(2u)
    # cancels nothing on the left, x sigmoid(2u)
    a, b = 2 * math.sqrt(2 / math.pi), 0.044715
    u = a * (x + b * x * x * x)
    s = xp(x).sigmoid(u)

    def slope(g):
        return g * (s + x * (s * xp(x).sigmoid(-u)) * (a * (1 + 3 * b * x * x)))

    return x * s, slope
