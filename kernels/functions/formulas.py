"""The formulas, each once for float32 and float64: a function of the type's constants makes it.

They are compiled with IEEE's arithmetic, whatever `fastmath` a caller asks for: the reductions live
on differences that reassociation would cancel. (LLVM inlines them, `forceinline`. Numba's own
`inline="always"` would give them the caller's flags; exp was off by 0.4 then.)

The splittings of ln 2, and the form of the logarithm, are those of FreeBSD's msun (Sun Microsystems
1993: e_exp.c, e_log.c, s_log1p.c and their float twins). The polynomials are minimax fits of our
own, found with Remez' exchange in 60 digits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .writing import copysign, fma, polynomial, power_of_two, select, split

__all__ = [
    "FLOAT32", "FLOAT64", "Constants", "erf", "exp", "expm1", "log", "log1p",
    "normal_cdf", "normal_density", "sigmoid", "tanh",
]  # fmt: skip


class Constants(NamedTuple):
    """The numbers of one float type; `typed` casts them to it."""

    type: Any
    magic: float  # 1.5 * 2^m, m the bits of the mantissa: added, it rounds to a whole number
    ln2: tuple[float, float]  # in two parts, the first with zeros at its end
    lowest: float  # below it exp is 0
    highest: float  # above it exp is infinite
    flat: float  # below -flat expm1 is -1, and above flat tanh is 1
    tiny: float  # the smallest normal number
    lift: float  # a power of two that makes every denormal normal ...
    lifted: float  # ... and its logarithm to base 2
    exponential: tuple[float, ...]  # (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2
    logarithm: tuple[float, ...]  # (2 artanh(s) - 2 s) / s^3 of s^2, for |s| <= 3 - sqrt(8)
    erf_from: float  # the place up to which the first polynomial of erf holds
    erf_to: float  # above it erf is 1
    erf_near: tuple[float, ...]  # erf(x) / x - 1 of x^2
    erf_far: tuple[float, ...]  # (log(erfc(t)) + t) / t
    bell_to: float  # above it e^(-x^2 / 2) is 0
    tail: tuple[float, ...]  # (t + 3) e^(t^2) erfc(t) of (t - 3) / (t + 3)

    def typed(self, value: Any) -> Any:
        """A number, or a tuple of numbers, in the float type."""
        return tuple(map(self.type, value)) if isinstance(value, tuple) else self.type(value)


FLOAT32 = Constants(
    type=np.float32,
    magic=1.5 * 2**23,
    ln2=(6.9314575195e-01, 1.4286067653e-06),
    lowest=-105.0,
    highest=89.0,
    flat=20.0,
    tiny=2.0**-126,
    lift=2.0**24,
    lifted=24.0,
    exponential=(
        0.00019914229051209986, 0.0013941050274297595, 0.008333273231983185, 0.04166635498404503,
        0.1666666716337204, 0.5,
    ),
    logarithm=(0.23553210496902466, 0.2853906750679016, 0.40000301599502563, 0.6666666865348816),
    erf_from=0.927734375,
    erf_to=4.0,
    erf_near=(
        -0.0005986872711218894, 0.00499291205778718, -0.026766858994960785, 0.11281837522983551,
        -0.3761249780654907, 0.12837915122509003,
    ),
    erf_far=(
        -1.1523563443915918e-05, 0.00032573167118243873, -0.0036543747410178185,
        0.02378728985786438, -0.10626620054244995, -0.6351335644721985, -0.12865287065505981,
    ),
    bell_to=16.0,
    tail=(
        1.4818747331446502e-05, 6.931278039701283e-05, -0.0002520232228562236,
        -0.0005114948144182563, 0.0030148818623274565, -0.0012292525498196483,
        -0.02682011015713215, 0.11953122168779373, -0.3104683756828308, 0.5902280807495117,
        -0.8833944201469421, 1.0740069150924683,
    ),
)  # fmt: skip

FLOAT64 = Constants(
    type=np.float64,
    magic=1.5 * 2**52,
    ln2=(6.93147180369123816490e-01, 1.90821492927058770002e-10),
    lowest=-746.0,
    highest=710.0,
    flat=40.0,
    tiny=2.0**-1022,
    lift=2.0**54,
    lifted=54.0,
    exponential=(
        2.0924483168050886e-09, 2.5109090540099583e-08, 2.7557242631540943e-07,
        2.755724406155454e-06, 2.480158736070498e-05, 0.00019841269886266603,
        0.0013888888888866763, 0.008333333333321579, 0.0416666666666667, 0.16666666666666677, 0.5,
    ),
    logarithm=(
        0.14757975785934344, 0.15318097010803963, 0.18183394158949087, 0.22222202139512431,
        0.2857142870386699, 0.3999999999961188, 0.6666666666666698,
    ),
    erf_from=0.93,
    erf_to=6.0,
    erf_near=(
        -7.800840083009862e-10, 1.3722792117838039e-08, -1.6209133971971768e-07,
        1.6447512285322217e-06, -1.4924744233173596e-05, 0.00012055295298466917,
        -0.0008548325988972675, 0.005223977607408629, -0.026866170643274442, 0.11283791670945242,
        -0.3761263890318355, 0.12837916709551256,
    ),
    erf_far=(
        -2.0366323531118684e-13, 1.0062738739498108e-11, -2.342878211896149e-10,
        3.4173042457408304e-09, -3.499353494090135e-08, 2.668761538081744e-07,
        -1.565886838579697e-06, 7.171530918723743e-06, -2.5522553167087484e-05,
        6.796119982075218e-05, -0.00011743260838703375, 3.3151697119314696e-05,
        0.0005373557274573089, -0.0016588729376461778, 0.0001887576940006286,
        0.019136793548209154, -0.10277499594394902, -0.6366193431471552, -0.12837920332912542,
    ),
    bell_to=40.0,
    tail=(
        8.993953091090715e-11, 8.361250108867711e-10, -5.388487185890123e-10,
        -8.836625822236815e-09, -2.117910064173379e-09, 5.153622229609131e-08,
        4.7742340347559615e-08, -2.3435265800897043e-07, -4.095367436801607e-07,
        9.992583706006729e-07, 2.766371280814563e-06, -4.7492824531499005e-06,
        -1.7470982295012824e-05, 3.0398147380108686e-05, 0.0001075616043991006,
        -0.00027677783716229437, -0.0005483097129109862, 0.0030340619994650925,
        -0.0012124166249892767, -0.026827234624329302, 0.11952776128717214, -0.3104672619005728,
        0.5902283571041043, -0.8833944531698836, 1.0740069070883398,
    ),
)  # fmt: skip

Formula = Callable[[Any], Any]


def _quotient(one: Any, a: Any, b: Any, e: Any) -> Any:
    """a / (b + e), where b + e is a sum and its rounding error; the error enters to first order."""
    inverse = one / b
    y = a * inverse
    return fma(fma(-y, b, a) - y * e, inverse, y)


def exp(c: Constants) -> Formula:
    """e^x = 2^n e^r with n = round(x / ln 2) and |r| <= ln 2 / 2, e^r = 1 + (r + r^2 q(r)).

    2^n in two factors, n / 2 each, so that results beyond the exponents of normal numbers are
    infinite or denormal, as they should be. Where the result is 0, as for the -inf of a mask,
    nothing is multiplied to get there: underflow takes processors a hundred cycles.
    """
    low, high, magic, half, one = map(c.typed, (c.lowest, c.highest, c.magic, 0.5, 1.0))
    zero = c.typed(0.0)
    per_ln2, ln2, rest = map(c.typed, (1.4426950408889634, -c.ln2[0], -c.ln2[1]))
    q = c.typed(c.exponential)

    def exp(x: Any) -> Any:
        vanishes = x < low  # a NaN is neither below nor above
        x = select(vanishes, zero, x)
        x = select(x > high, high, x)
        n = fma(x, per_ln2, magic) - magic
        r = fma(n, rest, fma(n, ln2, x))
        y = one + fma(r * r, polynomial(r, q), r)
        first = fma(n, half, magic)
        second = n - (first - magic) + magic
        return select(vanishes, zero, y * power_of_two(first) * power_of_two(second))

    return exp


def expm1(c: Constants) -> Formula:
    """e^x - 1 = 2 ((2^(n-1) - 1/2) + 2^(n-1) p) with p = e^r - 1; n and r as in exp.

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
    """tanh(x) = t / (t + 2) with t = e^(2|x|) - 1, and the sign of x."""
    power, one, two, top = expm1(c), *map(c.typed, (1.0, 2.0, c.flat / 2))

    def tanh(x: Any) -> Any:
        size = abs(x)
        t = power(two * select(size > top, top, size))
        below = t + two
        lost = select(t < two, t - (below - two), two - (below - t))
        return copysign(_quotient(one, t, below, lost), x)

    return tanh


def sigmoid(c: Constants) -> Formula:
    """1 / (1 + e^-x), for x < 0 as e^x / (1 + e^x): exact on both sides."""
    power, one, zero = exp(c), c.typed(1.0), c.typed(0.0)

    def sigmoid(x: Any) -> Any:
        z = power(-abs(x))
        below = one + z
        return _quotient(one, select(x < zero, z, one), below, z - (below - one))

    return sigmoid


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
    power, one, edge, top = exp(c), *map(c.typed, (1.0, c.erf_from, c.erf_to))
    near, far = c.typed(c.erf_near), c.typed(c.erf_far)

    def erf(x: Any) -> Any:
        size = abs(x)
        inner = fma(polynomial(x * x, near), x, x)
        t = select(size > top, top, size)
        outer = one - power(fma(polynomial(t, far), t, -t))
        return select(size > edge, copysign(outer, x), inner)

    return erf


def normal_cdf(c: Constants) -> Formula:
    """erfc(-x / sqrt(2)) / 2, exact on the left, where (1 + erf) / 2 would cancel."""
    bell, tail, zero, one = _bell(c), _tail(c), c.typed(0.0), c.typed(1.0)
    top, half, root = map(c.typed, (c.bell_to, 0.5, 0.7071067811865476))

    def normal_cdf(x: Any) -> Any:
        t = abs(x)
        t = select(t > top, top, t)
        y = half * bell(t) * tail(root * t)
        return select(x < zero, y, one - y)

    return normal_cdf


def normal_density(c: Constants) -> Formula:
    """e^(-x^2 / 2) / sqrt(2 pi). Beside `normal_cdf` the compiler finds the power only once."""
    bell, top, factor = _bell(c), c.typed(c.bell_to), c.typed(0.3989422804014327)

    def normal_density(x: Any) -> Any:
        t = abs(x)
        t = select(t > top, top, t)
        return bell(t) * factor

    return normal_density


def _bell(c: Constants) -> Formula:
    """e^(-t^2 / 2), with the rounding error of the square: it would grow to many units."""
    power, half = exp(c), c.typed(0.5)

    def bell(t: Any) -> Any:
        square = half * t * t
        lost = fma(half * t, t, -square)
        y = power(-square)
        return fma(y, -lost, y)

    return bell


def _tail(c: Constants) -> Formula:
    """e^(t^2) erfc(t) = P(q) / (t + 3) with q = (t - 3) / (t + 3), for t >= 0.

    The substitution takes all t into [-1, 1): Shepherd & Laframboise 1981, Math. Comp. 36.
    """
    three, one, p = c.typed(3.0), c.typed(1.0), c.typed(c.tail)

    def tail(t: Any) -> Any:
        above, below = t - three, t + three
        inverse = one / below
        q = above * inverse
        q = fma(fma(-q, below, above), inverse, q)  # to the last digit
        return polynomial(q, p) * inverse

    return tail
