"""Functions of numbers: circular, hyperbolic, exponential, error and gamma functions.

What is `@fused_op` has a twin in `kernels/fused/elementwise.py`, or of several arrays in
`kernels/fused/pairs.py`, which runs on NumPy's arrays.
"""

from __future__ import annotations

import math
from typing import Any

from ..arrays.xp import xp, xp_of
from ..core.outlines import saves_nothing
from ..core.record import op
from .arithmetic import div, mul
from .fused import fused_op, recomputed

__all__ = [
    "acos", "acosh", "add_scaled", "addcdiv", "addcmul", "arccos", "arccosh", "arcsin", "arcsinh",
    "arctan", "arctan2", "arctanh", "asin", "asinh", "atan", "atan2", "atanh", "copysign", "cos",
    "cosh", "erf", "erfc", "erfinv", "exactly", "exp2", "expm1", "hypot", "lgamma", "log1p",
    "log2", "log10", "logaddexp", "logaddexp2", "logit", "logit_within", "nan_to_num", "polygamma",
    "reciprocal", "rsqrt", "scaled", "sin", "sinc", "sinh", "tan", "xlogy",
]  # fmt: skip


@op
def sin(x):
    """sin(x), with x in radians."""
    return xp(x).sin(x), lambda g: g * xp(x).cos(x)


@op
def cos(x):
    """cos(x), with x in radians."""
    return xp(x).cos(x), lambda g: -g * xp(x).sin(x)


@op
def reciprocal(x):
    """1 / x."""
    y = div(1.0, x)
    return y, lambda g: -g * y * y


@op
def rsqrt(x):
    """1 / sqrt(x)."""
    y = div(1.0, xp(x).sqrt(x))
    return y, lambda g: g * (-0.5 * y * y * y)


@op
def tan(x):
    """tan(x), with x in radians."""
    y = xp(x).tan(x)
    return y, lambda g: g * (1 + y * y)


@op
def asin(x):
    """The angle in [-pi/2, pi/2] whose sine is x."""
    return xp(x).arcsin(x), lambda g: g * _asin_slope(x)


@op
def acos(x):
    """The angle in [0, pi] whose cosine is x."""
    return xp(x).arccos(x), lambda g: -g * _asin_slope(x)


@recomputed
@op
def _asin_slope(x):
    """The slope of asin. Its own is written out, for its values at 1 and -1."""
    y = 1 / xp(x).sqrt((1 - x) * (1 + x))
    return y, lambda g: g * (x * y * y * y)


@op
def atan(x):
    """The angle in (-pi/2, pi/2) whose tangent is x."""
    return xp(x).arctan(x), lambda g: g / (1 + x * x)


@op
def atan2(x, y):
    """The angle of the point (y, x), in [-pi, pi]."""
    # d/dx = y / r^2, d/dy = -x / r^2; 0 at the origin
    z, space = xp_of(x, y).arctan2(x, y), xp_of(x, y)

    def over_square(a):  # in two steps: r^2 itself may overflow, or vanish
        r = space.hypot(x, y)
        r = space.where(r == 0, 1, r)
        return space.where((r == math.inf) & (z == z), 0, a / r) / r

    return z, lambda g: g * over_square(y), lambda g: -g * over_square(x)


@op
def hypot(x, y):
    """sqrt(x^2 + y^2), without overflow on the way."""
    # x / z, and 0 at the origin, where there is a kink
    z = xp_of(x, y).hypot(x, y)

    def over(g):
        return xp(g).where(z == 0, 1, z)

    return z, lambda g: g * (x / over(g)), lambda g: g * (y / over(g))


@recomputed
@op
def sinc(x):
    """sin(pi x) / (pi x), and 1 where x is 0."""
    y = xp(x).sinc(x)

    def back(g):
        near = xp(x).abs(x) < _NEAR
        far = xp(x).where(near, 1, x)
        slope = (xp(x).cos(math.pi * far) - xp(x).where(near, 0, y)) / far
        return g * xp(x).where(near, _slope_near_zero(xp(x).where(near, x, 0)), slope)

    return y, back


_NEAR = 0.3  # below this cos(pi x) - sinc(x) cancels, and the series is good to the last digit
_TERMS = 9


def _slope_near_zero(x):
    """The derivative of sinc: pi times the sum of (-1)^k 2k t^(2k-1) / (2k+1)!, t = pi x."""
    t = math.pi * x
    square, total = t * t, 0.0
    for k in range(_TERMS, 0, -1):
        total = total * square + (-1) ** k * 2 * k / math.factorial(2 * k + 1)
    return math.pi * t * total


@op
def sinh(x):
    """sinh(x) = (e^x - e^-x) / 2."""
    return xp(x).sinh(x), lambda g: g * xp(x).cosh(x)


@op
def cosh(x):
    """cosh(x) = (e^x + e^-x) / 2."""
    return xp(x).cosh(x), lambda g: g * xp(x).sinh(x)


@op
def asinh(x):
    """log(x + sqrt(x^2 + 1)), the inverse of sinh."""
    return xp(x).arcsinh(x), lambda g: g / xp(x).hypot(x, 1.0)


@op
def acosh(x):
    """log(x + sqrt(x^2 - 1)), the inverse of cosh; NaN for x < 1."""
    return xp(x).arccosh(x), lambda g: g * _acosh_slope(x)


@recomputed
@op
def _acosh_slope(x):
    """The slope of acosh: 1 / sqrt(x^2 - 1), as in PyTorch for x < -1 as well."""
    size = xp(x).abs(x)
    y = 1 / (xp(x).sqrt(size - 1) * xp(x).sqrt(size + 1))
    return y, lambda g: -g * (x * y * y * y)


@op
def atanh(x):
    """log((1 + x) / (1 - x)) / 2, the inverse of tanh; NaN for |x| > 1."""
    return xp(x).arctanh(x), lambda g: g * _atanh_slope(x)


@recomputed
@op
def _atanh_slope(x):
    """The slope of atanh; its own is written out as that of asin is."""
    y = 1 / ((1 - x) * (1 + x))
    return y, lambda g: g * (2 * x * y * y)


arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2  # NumPy's names
arcsinh, arccosh, arctanh = asinh, acosh, atanh


# Sums with a product or a quotient ----------------------------------------------------------------


@saves_nothing
@fused_op
def add_scaled(x, y, *, alpha):
    """x + alpha y, of arrays of one shape."""
    return x + y * alpha, lambda g: g, lambda g: g * alpha


def _of_the_sum(node: Any) -> bool:
    return node.targets[1] is node.targets[2] is None


@saves_nothing(when=_of_the_sum)
@fused_op
def addcmul(x, y, z, *, value):
    """x + value y z, of arrays of one shape."""
    return (
        x + y * z * value,
        lambda g: g,
        lambda g: g * value * z,
        lambda g: g * value * y,
    )


@saves_nothing(when=_of_the_sum)
@fused_op
def addcdiv(x, y, z, *, value):
    """x + value y / z, of arrays of one shape."""
    return (
        x + y / z * value,
        lambda g: g,
        lambda g: g * value / z,
        lambda g: -(g * value) * (y / z) / z,
    )


# Exponentials and logarithms ----------------------------------------------------------------------


@op
def exp2(x):
    """2^x."""
    y = xp(x).exp2(x)
    return y, lambda g: g * (y * math.log(2))


@fused_op
def logaddexp(x, y):
    """log(e^x + e^y), without overflow on the way."""
    # d/dx = 1 / (1 + e^(y - x)), which the result, rounded, no longer knows
    z = xp_of(x, y).logaddexp(x, y)
    lead = _difference(x, y)
    return z, lambda g: g * xp(z).sigmoid(lead), lambda g: g * xp(z).sigmoid(-lead)


@op
def logaddexp2(x, y):
    """log2(2^x + 2^y), without overflow on the way."""
    z = xp_of(x, y).logaddexp2(x, y)
    lead = _difference(x, y) * math.log(2)
    return z, lambda g: g * xp(z).sigmoid(lead), lambda g: g * xp(z).sigmoid(-lead)


def _difference(x, y):
    """x - y, and 0 for equal infinities."""
    d = x - y
    return xp(d).where((x == y) & (d != d), 0, d)


@op
def xlogy(x, y):
    """x log(y), and 0 where x is 0 whatever y is, unless it is NaN."""
    space = xp_of(x, y)
    zero = (x == 0) & (y == y)
    return (
        x * space.log(space.where(zero, 1, y)),
        lambda g: g * space.log(space.where(zero & (y <= 0), 1, y)),
        lambda g: g * x / space.where(zero & (y == 0), 1, y),
    )


@fused_op
def logit(x):
    """log(x / (1 - x)), the inverse of sigmoid."""
    # The slope 1 / (x (1 - x)) is infinite at 0 and 1, and NaN beyond
    y = xp(x).log(x / (1 - x))
    return y, lambda g: g / xp(x).where((x < 0) | (x > 1), math.nan, x * (1 - x))


@op
def logit_within(x, *, eps):
    """The same of x limited to [eps, 1 - eps]: the slope is 0 where that limits it."""
    held = xp(x).clip(x, min=eps, max=1 - eps)

    def slope(g):
        return xp(g).where((x >= eps) & (x <= 1 - eps), g / (x * (1 - x)), 0)

    return xp(x).log(held / (1 - held)), slope


@fused_op
def nan_to_num(x, *, nan, posinf, neginf):
    """x with NaN and the infinities replaced."""
    y = xp(x).nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)
    return y, lambda g: xp(g).where(xp(x).isfinite(x), g, 0)


# Error functions ----------------------------------------------------------------------------------

_SLOPE = 2 / math.sqrt(math.pi)  # of erf at 0


@fused_op
def erf(x):
    """The error function: 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x."""
    return xp(x).erf(x), lambda g: g * (_SLOPE * xp(x).exp(-x * x))


@fused_op
def erfc(x):
    """1 - erf(x), exact for large x as well."""
    return xp(x).erfc(x), lambda g: g * (-_SLOPE * xp(x).exp(-x * x))


@recomputed
@op
def erfinv(x):
    """The inverse of erf; NaN for |x| > 1."""
    y = xp(x).erfinv(x)
    return y, lambda g: g * (xp(y).exp(y * y) / _SLOPE)


# Gamma function -----------------------------------------------------------------------------------


@op
def lgamma(x):
    """log(|gamma(x)|), the logarithm of the gamma function."""
    return xp(x).lgamma(x), lambda g: g * xp(x).polygamma(x, n=0)


@op
def polygamma(x, *, n):
    """The (n + 1)-th derivative of lgamma."""
    return xp(x).polygamma(x, n=n), lambda g: g * xp(x).polygamma(x, n=n + 1)


@op
def copysign(x, y):
    """|x| with the sign of y; the slope at x = 0 is taken as 0."""
    z = xp_of(x, y).copysign(x, y)

    def slope(g):
        ratio = xp(z).where(x == 0, 0, z / xp(z).where(x == 0, 1, x))
        return g * exactly(ratio, xp(z).where(z == z, xp(z).sign(z) * xp(g).sign(x), math.nan))

    return z, slope, lambda g: xp(g).zeros_like(g)


@saves_nothing
@op
def scaled(x, *, by):
    """x times a number that is known beforehand: unlike `mul`, it keeps nothing for backward."""
    return mul(x, by), lambda g: scaled(g, by=by)


# Exponentials and logarithms of other kinds -------------------------------------------------------


@op
def exactly(formula, value):
    """`value`, which is that of a formula to the last digit, and whose derivative is the formula's.

    So a slope may be made of inputs, and its own go through the result and its hooks, as PyTorch's.
    """
    return value, lambda g: g, None


@fused_op
def expm1(x):
    """e^x - 1, exact for small x as well."""
    y = xp(x).expm1(x)
    return y, lambda g: g * exactly(y + 1, xp(x).exp(x))  # y + 1 loses the digits of a small exp


@fused_op
def log1p(x):
    """log(1 + x), exact for small x as well."""
    return xp(x).log1p(x), lambda g: g / (x + 1)


@op
def log2(x):
    """The logarithm of x to base 2."""
    return xp(x).log2(x), lambda g: g / (x * math.log(2))


@op
def log10(x):
    """The logarithm of x to base 10."""
    return xp(x).log10(x), lambda g: g / (x * math.log(10))
