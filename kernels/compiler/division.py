"""`%` and `//` of numbers as Python and NumPy have them, in the language of rules.

They are helpers that kernels inline: the remainder has the sign of the divisor, zeros keep theirs,
and by zero it is NaN. Plain Python and NumPy compute the same by themselves, so the oracle of a
rule that divides needs none of this.

Source: `float_divmod` of CPython's floatobject.c and `npy_divmod` of NumPy's npy_math_internal.h.
"""

from __future__ import annotations

from math import copysign, floor, fmod

__all__ = ["floor_divide", "remainder"]


def remainder(a: float, b: float) -> float:
    """Return a % b: a - b * floor(a / b), computed without rounding."""
    rest = fmod(a, b)  # exact, with the sign of a
    if rest == 0:
        return copysign(0, b)
    return rest + b if rest < 0 < b or b < 0 < rest else rest


def floor_divide(a: float, b: float) -> float:
    """Return a // b: the whole number at or below a / b, of the unrounded quotient."""
    rest = fmod(a, b)
    quotient = (a - rest) / b  # whole, but for rounding
    if rest < 0 < b or b < 0 < rest:
        quotient = quotient - 1
    whole: float = floor(quotient)
    if quotient - whole > 0.5:
        whole = whole + 1
    if quotient == 0:
        whole = copysign(0, a / b)
    return a / b if b == 0 else whole
