"""The incomplete gamma function and the slope of gamma variates, compiled by `gamma.py`.

Below a + 1 a series, above it a continued fraction (Press et al. 2007, Numerical Recipes, 6.2);
both in float64. The slopes are the same sums, differentiated term by term.
"""

# mypy: ignore-errors
import math

import numba

TINY = 1e-300
CLOSE = 1e-16
MOST = 100_000  # terms; the sums need a few times sqrt(a), and stop by themselves


@numba.njit(cache=True)
def _series(a, x):
    """1 + x / (a + 1) + x^2 / ((a + 1) (a + 2)) + ..."""
    total = term = 1.0
    for n in range(1, MOST):
        term *= x / (a + n)
        total += term
        if term < CLOSE * total:
            break
    return total


@numba.njit(cache=True)
def _fraction(a, x):
    """1 / (x + 1 - a - 1 (1 - a) / (x + 3 - a - 2 (2 - a) / (...))), and its slope in a."""
    b, db = x + 1 - a, -1.0
    c, dc = 1 / TINY, 0.0
    d = 1 / b
    dd = -db * d * d
    h, dh = d, dd
    for n in range(1, MOST):
        an, dan = -n * (n - a), float(n)
        b += 2
        low = an * d + b
        dlow = dan * d + an * dd - 1
        if abs(low) < TINY:
            low = TINY
        d = 1 / low
        dd = -dlow * d * d
        high = b + an / c
        dhigh = -1 + dan / c - an * dc / (c * c)
        if abs(high) < TINY:
            high = TINY
        c, dc = high, dhigh
        step, dstep = c * d, dc * d + c * dd
        dh = dh * step + h * dstep
        h = h * step
        if abs(step - 1) < CLOSE and abs(h * dstep) <= CLOSE * abs(dh):
            break
    return h, dh


@numba.njit(cache=True)
def _front(a, x):
    """x^a e^-x / gamma(a), by its logarithm; for large a by Stirling's series, without loss."""
    if a < 100:
        return math.exp(a * math.log(x) - x - math.lgamma(a))
    share = (x - a) / a
    near = math.log1p(share) - share
    stirling = 1 / (12 * a) - 1 / (360 * a**3)
    return math.exp(a * near - stirling) * math.sqrt(a / (2 * math.pi))


@numba.njit(cache=True)
def _digamma(x):
    y = 0.0
    while x < 12:
        y -= 1 / x
        x += 1
    s = 1 / (x * x)
    tail = s * (1 / 12 - s * (1 / 120 - s * (1 / 252 - s * (1 / 240 - s * (1 / 132)))))
    return y + math.log(x) - 0.5 / x - tail


@numba.njit(cache=True)
def _drift(a, log_x):
    """-(dP/da) / (x^a e^-x / gamma(a)): what log x gains per a while P(a, x) stays as it is."""
    x = math.exp(log_x)
    if x < a + 1:
        term, point, total = 1.0, _digamma(a + 1), 0.0
        for n in range(1, MOST):
            change = term * (point - log_x)
            total += change
            if n > x - a and abs(change) < CLOSE * abs(total) and term < CLOSE:
                break
            point += 1 / (a + n)
            term *= x / (a + n)
        return total / a
    h, dh = _fraction(a, x)
    return (log_x - _digamma(a)) * h + dh


@numba.njit(cache=True)
def _incomplete(a, x, upper):
    """The share of the gamma integral below x (or above it)."""
    if math.isnan(a) or math.isnan(x) or a < 0 or x < 0 or (a == 0 and x == 0):
        return math.nan
    if a == 0 or x == math.inf:
        if a == math.inf and x == math.inf:
            return math.nan
        return 0.0 if upper else 1.0
    if x == 0 or a == math.inf:
        return 1.0 if upper else 0.0
    if x < a + 1:
        below = _front(a, x) * _series(a, x) / a
        return 1 - below if upper else below
    above = _front(a, x) * _fraction(a, x)[0]
    return above if upper else 1 - above


@numba.njit(cache=True)
def _share_slope(a, x):
    """The derivative of incomplete(a, x, False) by a."""
    if not (a > 0 and x > 0) or x == math.inf or a == math.inf:
        return 0.0 if a >= 0 and x >= 0 else math.nan
    return -_front(a, x) * _drift(a, math.log(x))


@numba.njit(cache=True)
def _log_variate_slope(a, log_x):
    """d(log x) / da of a gamma variate x with the concentration a, its quantile held."""
    if not a > 0 or math.isnan(log_x):
        return math.nan
    if a > 1e6:  # x is normal: x - a goes with sqrt(a)
        x = math.exp(log_x)
        return (x + a) / (2 * a) / x
    return _drift(a, log_x)


@numba.njit("void(int64, float64[::1], float64[::1], float64[::1])", cache=True)
def fill(which, a, x, y):
    """y, element by element: P (0), Q (1), the slope of P in a (2), of log variates (3)."""
    for i in range(y.shape[0]):
        if which < 2:
            y[i] = _incomplete(a[i], x[i], which == 1)
        elif which == 2:
            y[i] = _share_slope(a[i], x[i])
        else:
            y[i] = _log_variate_slope(a[i], x[i])
