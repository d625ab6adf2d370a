"""The part of a kernel's text that reads and writes states as bfloat16 words.

The same in NumPy's calls, and what it is for, stand in `kernels/bfloat16.py`. All of it is lines in
the loop: device functions would need a GPU to be compiled.
"""

from __future__ import annotations

from collections.abc import Sequence

PLACES, MIXED, NEXT = 0x9E3779B1, 0x85EBCA6B, 0x632BE5AB  # odd: all bits of a factor count

TYPES = "float32, uint16, uint32, uint64"
ON_DEVICE = ["float_as_int", "int_as_float"]  # which kernels import from `cuda`
NAMES = frozenset({"float_as_int", "int_as_float", "uint16", "uint64"})

_LOW = "uint64(0xFFFFFFFF)"


def load(word: str, on_device: bool) -> str:
    """Return the expression of a float32 number, given that of a word."""
    bits = f"uint32(uint32({word}) << uint32(16))"
    return f"int_as_float({bits})" if on_device else f"{bits}.view(float32)"


def mixed(place: str) -> str:
    """Return the expression of 32 bits that an element's place makes, given as an expression."""
    return f"uint32(uint64({place}) * uint64({PLACES:#x}) & {_LOW})"


def following(bits: str) -> str:
    """Return the line that makes these bits those of the next place, `bits` a variable."""
    return f"{bits} = uint32({bits} + uint32({PLACES:#x}))"


def stores(
    targets: Sequence[str], results: Sequence[str], bits: str, key: str, names: Sequence[str],
    on_device: bool,
) -> list[str]:  # fmt: skip
    """Return lines that store numbers as words, rounded at random.

    targets, results: the arrays' elements, and the variables that hold the states.  bits: those of
    the element's place, `mixed`.  key: a variable.  names: two fresh ones.
    """
    random, up = names
    lines = []
    for number, (target, result) in enumerate(zip(targets, results, strict=True)):
        if number % 2 == 0:
            lines += _noise(random, bits, key, number // 2)
        half = f"{random} >> uint32(16)" if number % 2 else f"{random} & uint32(0xFFFF)"
        word = f"uint32(float_as_int({result}))"
        if not on_device:
            word = f"float32({result}).view(uint32)"
        lines += [
            f"{up} = uint32({half}) if {result} == {result} else uint32(0)  # NaN stays NaN",
            f"{target} = uint16(uint32({word} + {up}) >> uint32(16))",
        ]
    return lines


def _noise(random: str, bits: str, key: str, pair: int) -> list[str]:
    """Return lines that put 32 random bits into `random`, for two states of an element."""
    own = f"uint64({key})"
    if pair:
        own = f"({own} + uint64({pair * NEXT & 0xFFFFFFFF:#x}) & {_LOW})"
    # Each result is cast: Numba widens what it computes from integers of 32 bits.
    return [
        f"{random} = uint32({bits} ^ {own})",
        f"{random} = uint32(uint64({random}) * uint64({MIXED:#x}) & {_LOW})",
        f"{random} = uint32({random} ^ ({random} >> uint32(16)))",
    ]
