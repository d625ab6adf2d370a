"""Random numbers from a counter: Philox-4x32-10, as the part of a kernel's text that draws them.

A number is a function of where it is drawn: the key is the seed, the counter the element's place
(64 bits), the step, and which of the rule's random arguments it is. So there is no state: any
number of threads, a GPU, the compiled step and a run that was saved and taken up again draw the
same.

The text of `rounds` serves kernels for the CPU and for CUDA, and NumPy's arrays (`philox`), as it
is: every variable is a uint64 that holds 32 bits.

Source: Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", section
3.3, doi:10.1145/2063384.2063405.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log, sqrt
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Draw", "normal", "philox", "rounds", "sine_of_turn", "uniform"]

MASK = "uint64(0xFFFFFFFF)"
_ROUNDS = """\
for {round} in range(10):
    {x} = {a} * uint64(0xD2511F53)
    {y} = {c} * uint64(0xCD9E8D57)
    {a} = {y} >> uint64(32) ^ {b} ^ {k}
    {c} = {x} >> uint64(32) ^ {d} ^ {l}
    {b} = {y} & uint64(0xFFFFFFFF)
    {d} = {x} & uint64(0xFFFFFFFF)
    {k} = {k} + uint64(0x9E3779B9) & uint64(0xFFFFFFFF)
    {l} = {l} + uint64(0xBB67AE85) & uint64(0xFFFFFFFF)"""


class Draw(NamedTuple):
    """What an argument of a rule is annotated with if the kernel draws it.

    kind: "uniform", from [0, 1), or "normal", with mean 0 and variance 1.
    """

    kind: str


def rounds(words: Sequence[str], key: Sequence[str], spare: Sequence[str]) -> list[str]:
    """Return the lines that turn a counter into 128 random bits, in the same four variables.

    key: two variables, which change.  spare: three fresh ones.
    """
    names = dict(zip("abcd", words, strict=True)) | dict(zip("kl", key, strict=True))
    names |= dict(zip(("round", "x", "y"), spare, strict=True))
    return _ROUNDS.format(**names).splitlines()


def uniform(words: Sequence[str], dtype: str, open_: bool) -> tuple[str, int]:
    """Return the expression of a number from random words, and how many of them it takes.

    open_: in (0, 1], to take the logarithm of; else in [0, 1).
    """
    if dtype == "float32":
        if open_:  # 31 bits and a half: SIMD code converts no more to floats
            return (
                f"float32(uint32({words[0]} >> uint64(1))) * float32({2.0**-31!r})"
                f" + float32({2.0**-32!r})"
            ), 1
        return f"float32(uint32({words[0]} >> uint64(8))) * float32({2.0**-24!r})", 1
    # In two parts, each of less than 32 bits: SIMD code converts no more to floats. Both are exact.
    high, low = f"uint32({words[0]} >> uint64(5))", f"uint32({words[1]} >> uint64(6))"
    text = f"float64({high}) * float64({2.0**-27!r}) + float64({low}) * float64({2.0**-53!r})"
    return (f"{text} + float64({2.0**-54!r})" if open_ else text), 2


def normal(radius: float, angle: float) -> float:
    """Return a normal number from two uniform ones, radius above 0 (Box & Muller 1958).

    sqrt(-2 log(radius)) cos(2 pi angle); the cosine is -sin(2 pi s) with |s| <= 1/4, by its
    Taylor polynomial, for the C library's cos is no SIMD code.
    """
    sine = sine_of_turn(0.25 - abs(angle - 0.5))
    return -sqrt(-2.0 * log(radius)) * sine


def sine_of_turn(turn: float) -> float:
    """Return sin(2 pi turn), |turn| <= 1/4, by its Taylor polynomial."""
    s = 6.283185307179586 * turn
    z = s * s
    sine = -8.22063524662433e-18 + z * 1.9572941063391263e-20
    sine = 2.8114572543455206e-15 + z * sine
    sine = -7.647163731819816e-13 + z * sine
    sine = 1.6059043836821613e-10 + z * sine
    sine = -2.505210838544172e-08 + z * sine
    sine = 2.7557319223985893e-06 + z * sine
    sine = -0.0001984126984126984 + z * sine
    sine = 0.008333333333333333 + z * sine
    return s + s * z * (-0.16666666666666666 + z * sine)


def philox(counter: Any, key: Any) -> Any:
    """Return the four random words of each counter, as uint32, from the text of the kernels.

    counter: four integers or arrays of them, of 32 bits.  key: two integers of 32 bits.
    """
    words, keys = ("a", "b", "c", "d"), ("k", "l")
    given = zip((*words, *keys), (*counter, *key), strict=True)
    space: dict[str, Any] = {name: np.asarray(value, np.uint64) for name, value in given}
    space["uint64"] = np.uint64
    exec("\n".join(rounds(words, keys, ("_", "x", "y"))), space)
    return tuple(np.asarray(space[name]).astype(np.uint32) for name in words)
