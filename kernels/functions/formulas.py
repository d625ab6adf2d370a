"""The formulas, each once for float32 and float64: a function of the type's constants makes it.

They are compiled with IEEE's arithmetic, whatever `fastmath` a caller asks for: the reductions live
on differences that reassociation would cancel. (LLVM inlines them, `forceinline`. Numba's own
`inline="always"` would give them the caller's flags; exp was off by 0.4 then.)

The splittings of ln 2, and the form of the logarithm, are those of FreeBSD's msun (Sun Microsystems
1993: e_exp.c, e_log.c, s_log1p.c and their float twins). Their numbers are in `constants`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .constants import FLOAT32, FLOAT64, Constants
from .writing import copysign, fma, polynomial, power_of_two, select, split

__all__ = [
    "FLOAT32", "FLOAT64", "Constants", "erf", "erfc", "exp", "expm1", "log", "log1p", "near_exp",
    "near_normal_cdf", "near_normal_density", "near_sigmoid", "near_tanh", "normal_cdf",
    "normal_density", "sigmoid", "tanh",
]  # fmt: skip

Formula = Callable[[Any], Any]


def _quotient(one: Any, a: Any, b: Any, e: Any) -> Any:
    """a / (b + e), where b + e is a sum and its rounding error; the error enters to first order."""
    inverse = one / b
    y = a * inverse
    return fma(fma(-y, b, a) - y * e, inverse, y)


def _parts(c: Constants, by: float = 0.0) -> Callable[..., Any]:
    """e^x = 2^n y, n = round(x / ln 2), y = e^r = 1 + (r + r^2 q(r)), |r| <= ln 2 / 2: (n, y).

    To n is added what `power_of_two` wants, and the whole number `by`. Of x - `lost` that the types
    cannot hold together, `lost` enters r.
    """
    magic, one, per_ln2 = c.typed(c.magic + by), c.typed(1.0), c.typed(1.4426950408889634)
    ln2, rest, q = c.typed(-c.ln2[0]), c.typed(-c.ln2[1]), c.typed(c.exponential)

    def parts(x: Any, lost: Any = None) -> tuple[Any, Any]:
        shifted = fma(x, per_ln2, magic)
        n = shifted - magic
        r = fma(n, rest, fma(n, ln2, x))
        r = r if lost is None else r - lost
        return shifted, one + fma(r * r, polynomial(r, q), r)

    return parts


def exp(c: Constants) -> Formula:
    """2^n in two factors, about n / 2 each, so that all results come out as they should.

    Those beyond the exponents of normal numbers are infinite or denormal. Where the result is 0, as
    for the -inf of a mask, nothing is multiplied to get there: underflow takes processors a hundred
    cycles.
    """
    low, high, magic, half, zero = map(c.typed, (c.lowest, c.highest, c.magic, 0.5, 0.0))
    parts = _parts(c)

    def exp(x: Any) -> Any:
        vanishes = x < low  # a NaN is neither below nor above
        x = select(vanishes, zero, x)
        n, y = parts(select(x > high, high, x))
        first = fma(n - magic, half, magic)
        second = n - first + magic
        return select(vanishes, zero, y * power_of_two(first) * power_of_two(second))

    return exp


def near_exp(c: Constants) -> Formula:
    """The same of an x for which it is a normal number."""
    parts = _parts(c)

    def near_exp(x: Any) -> Any:
        n, y = parts(x)
        return y * power_of_two(n)

    return near_exp


def _falling_exp(c: Constants) -> Formula:
    """e^x of an x that is not above 0: as a number that is too large, times a power of two."""
    low, zero, down = map(c.typed, (c.lowest, 0.0, 2.0**c.lower))
    parts = _parts(c, -c.lower)

    def falling_exp(x: Any) -> Any:
        vanishes = x < low
        n, y = parts(select(vanishes, low, x))
        return y * power_of_two(n) * select(vanishes, zero, down)

    return falling_exp


def expm1(c: Constants) -> Formula:
    """e^x - 1 = 2 ((2^(n-1) - 1/2) + 2^(n-1) p) with p = e^r - 1; n and r as in `_parts`.

    The rounding error of the difference is kept, and n = 1, where p < 0 cancels, is apart.
    """
    low, high, magic, half, one = map(c.typed, (-c.flat, c.highest, c.magic, 0.5, 1.0))
    per_ln2, ln2, rest = map(c.typed, (1.4426950408889634, -c.ln2[0], -c.ln2[1]))
    q, zero = c.typed(c.exponential), c.typed(0.0)

    def expm1(x: Any) -> Any:
        sign = x
        x = select(x < low, low, x)
        x = select(x > high, high, x)
        n = fma(x, per_ln2, magic) - magic
        r = fma(n, rest, fma(n, ln2, x))
        square = r * r * polynomial(r, q)
        t = power_of_two(n - one + magic)
        y = t - half
        error = (t - y) - half
        wide = (fma(square + r, t, error) + y) * (one + one)
        near = square + (r + half)
        y = select(n == zero, square + r, select(n == one, near + near, wide))
        return copysign(y, sign)

    return expm1


def tanh(c: Constants) -> Formula:
    """tanh(x) = x + x P(x^2) near 0, beyond it 1 - 2 / (e^(2|x|) + 1), and the sign of x."""
    of, top = near_tanh(c), c.typed(c.flat / 2)

    def tanh(x: Any) -> Any:
        size = abs(x)
        return copysign(of(select(size > top, top, size)), x)

    return tanh


def near_tanh(c: Constants) -> Formula:
    """The same of an x for which it is not yet 1."""
    power, near, one, two = near_exp(c), c.typed(c.tanh_near), c.typed(1.0), c.typed(2.0)
    edge = c.typed(c.tanh_from)

    def near_tanh(x: Any) -> Any:
        size, square = abs(x), x * x
        inner = fma(polynomial(square, near) * square, size, size)
        outer = one - two / (power(two * size) + one)
        return copysign(select(size > edge, outer, inner), x)

    return near_tanh


def sigmoid(c: Constants) -> Formula:
    """1 / (1 + e^-x), for x < 0 as e^x / (1 + e^x): exact on both sides."""
    power, part = _falling_exp(c), _share(c)

    def sigmoid(x: Any) -> Any:
        return part(x, power(-abs(x)))

    return sigmoid


def near_sigmoid(c: Constants) -> Formula:
    """The same of an x for which e^-|x| is a normal number."""
    power, part = near_exp(c), _share(c)

    def near_sigmoid(x: Any) -> Any:
        return part(x, power(-abs(x)))

    return near_sigmoid


def _share(c: Constants) -> Callable[[Any, Any], Any]:
    """z / (1 + z) for x < 0, else 1 / (1 + z)."""
    one, zero = c.typed(1.0), c.typed(0.0)

    def share(x: Any, z: Any) -> Any:
        below = one + z
        return _quotient(one, select(x < zero, z, one), below, z - (below - one))

    return share


def log(c: Constants) -> Formula:
    """log(x) = k ln 2 + log(m) with x = 2^k m, m from sqrt(1/2) to sqrt(2); see `_logarithm`."""
    tiny, lift, lifted, zero = map(c.typed, (c.tiny, c.lift, c.lifted, 0.0))
    infinity, nothing, of_parts = c.typed(np.inf), c.typed(np.nan), _logarithm(c)

    def log(x: Any) -> Any:
        small = x < tiny
        k, m = split(select(small, x * lift, x))
        y = of_parts(k - select(small, lifted, zero), m, zero)
        y = select(x == zero, -infinity, y)
        y = select(x < zero, nothing, y)
        return select(x < infinity, y, x)  # infinity and NaN as they are

    return log


def log1p(c: Constants) -> Formula:
    """log(1 + x) = log(u) + e / u, u = 1 + x as rounded and e the rounding error."""
    one, zero, infinity = map(c.typed, (1.0, 0.0, np.inf))
    nothing, of_parts = c.typed(np.nan), _logarithm(c)

    def log1p(x: Any) -> Any:
        u = one + x
        error = select(abs(x) < one, x - (u - one), one - (u - x))
        k, m = split(u)
        y = of_parts(k, m, error / u)
        y = select(x == zero, copysign(zero, x), y)  # x may be a denormal that counts as zero
        y = select(u == zero, -infinity, y)
        y = select(u < zero, nothing, y)
        return select(x < infinity, y, x)

    return log1p


def _logarithm(c: Constants) -> Callable[[Any, Any, Any], Any]:
    """k ln 2 + log(m) + e, with f = m - 1 and s = f / (2 + f):

    log(m) = 2 artanh(s) = f - (f^2 / 2 - s (f^2 / 2 + R)), R = 2 s^2 / 3 + 2 s^4 / 5 + ...
    """
    one, two, half = map(c.typed, (1.0, 2.0, 0.5))
    ln2, rest, q = c.typed(c.ln2[0]), c.typed(c.ln2[1]), c.typed(c.logarithm)

    def logarithm(k: Any, m: Any, e: Any) -> Any:
        f = m - one
        s = f / (two + f)
        z = s * s
        square = half * f * f
        small = fma(s, fma(z, polynomial(z, q), square), fma(k, rest, e))
        return fma(k, ln2, f - (square - small))

    return logarithm


def erf(c: Constants) -> Formula:
    """erf(x) = x + x P(x^2) near 0, beyond it 1 - e^(t Q(t) - t) with t = |x|, and the sign of x.

    The form with two polynomials is Juffa's (2018, "A fast implementation of erff").
    """
    power, one, edge, top = near_exp(c), *map(c.typed, (1.0, c.erf_from, c.erf_to))
    near, far = c.typed(c.erf_near), c.typed(c.erf_far)

    def erf(x: Any) -> Any:
        size = abs(x)
        inner = fma(polynomial(x * x, near), x, x)
        t = select(size > top, top, size)
        outer = one - power(fma(polynomial(t, far), t, -t))
        return select(size > edge, copysign(outer, x), inner)

    return erf


def erfc(c: Constants) -> Formula:
    """1 - x P(2 x^2) near 0, beyond it e^(-x^2) times the tail that `normal_cdf` has."""
    low, zero, one, two, down = map(c.typed, (-c.lowest, 0.0, 1.0, 2.0, 2.0**c.lower))
    edge, top = c.typed(c.cdf_from / 2**0.5), c.typed(c.bell_to / 2**0.5)
    root, slope, near = c.typed(2**0.5), c.typed(-(8.0**0.5)), c.typed(c.cdf_near)
    parts, tail = _parts(c, -c.lower), _tail(c)

    def erfc(x: Any) -> Any:
        t = abs(x)
        t = select(t > top, top, t)
        square = t * t
        n, y = parts(-square, fma(t, t, -square))
        y = y * power_of_two(n) * two * tail(root * t) * select(square > low, zero, down)
        inner = fma(polynomial(two * x * x, near) * slope, x, one)
        return select(t < edge, inner, select(x < zero, two - y, y))

    return erfc


def normal_cdf(c: Constants) -> Formula:
    """1/2 + x P(x^2) near 0; erfc(-x / sqrt(2)) / 2, exact on the left, where 1/2 would cancel."""
    bell, whole = _bell(c), _distribution(c)

    def normal_cdf(x: Any) -> Any:
        return whole(x, *bell(x))

    return normal_cdf


def near_normal_cdf(c: Constants) -> Formula:
    """The same of an x for which it is a normal number."""
    bell, whole = _near_bell(c), _distribution(c)

    def near_normal_cdf(x: Any) -> Any:
        return whole(x, *bell(x))

    return near_normal_cdf


def _distribution(c: Constants) -> Callable[..., Any]:
    """The normal distribution function, of x and its bell: t, y and the factor."""
    tail, zero, one, half = _tail(c), *map(c.typed, (0.0, 1.0, 0.5))
    edge, near = c.typed(c.cdf_from), c.typed(c.cdf_near)

    def distribution(x: Any, t: Any, y: Any, factor: Any) -> Any:
        y = y * tail(t) * factor
        inner = fma(polynomial(x * x, near), x, half)
        return select(t < edge, inner, select(x < zero, y, one - y))

    return distribution


def normal_density(c: Constants) -> Formula:
    """e^(-x^2 / 2) / sqrt(2 pi). Beside `normal_cdf` the compiler finds the power only once."""
    bell, root = _bell(c), c.typed(0.3989422804014327)

    def normal_density(x: Any) -> Any:
        _, y, factor = bell(x)
        return y * root * factor

    return normal_density


def near_normal_density(c: Constants) -> Formula:
    """The same of an x for which it is a normal number."""
    bell, root = _near_bell(c), c.typed(0.3989422804014327)

    def near_normal_density(x: Any) -> Any:
        _, y, factor = bell(x)
        return y * root * factor

    return near_normal_density


def _bell(c: Constants) -> Callable[[Any], tuple[Any, Any, Any]]:
    """e^(-t^2 / 2) for t = |x|: (t, y, a factor), as in `_falling_exp`, y still to be multiplied.

    The rounding error of the square counts: it would grow to many units.
    """
    low, zero, down = map(c.typed, (-c.lowest, 0.0, 2.0**c.lower))
    parts, top, half = _parts(c, -c.lower), c.typed(c.bell_to), c.typed(0.5)

    def bell(x: Any) -> tuple[Any, Any, Any]:
        t = abs(x)
        t = select(t > top, top, t)
        side = half * t
        square = side * t
        n, y = parts(-square, fma(side, t, -square))
        return t, y * power_of_two(n), select(square > low, zero, down)

    return bell


def _near_bell(c: Constants) -> Callable[[Any], tuple[Any, Any, Any]]:
    """The same where all is a normal number; the factor is 1."""
    parts, half, one = _parts(c), c.typed(0.5), c.typed(1.0)

    def bell(x: Any) -> tuple[Any, Any, Any]:
        t = abs(x)
        side = half * t
        square = side * t
        n, y = parts(-square, fma(side, t, -square))
        return t, y * power_of_two(n), one

    return bell


def _tail(c: Constants) -> Formula:
    """e^(t^2 / 2) erfc(t / sqrt(2)) / 2 = P(q) / (t + 4) with q = (t - 4) / (t + 4), for t >= 0.95.

    The substitution takes all t into [-0.62, 1): Shepherd & Laframboise 1981, Math. Comp. 36.
    """
    center, one, p = c.typed(4.0), c.typed(1.0), c.typed(c.tail)

    def tail(t: Any) -> Any:
        above, below = t - center, t + center
        inverse = one / below
        q = above * inverse
        q = fma(fma(-q, below, above), inverse, q)  # to the last digit
        return polynomial(q, p) * inverse

    return tail
