"""bfloat16 states: float32 numbers cut to their upper 16 bits, rounded at random.

NumPy has no such type, so states are words of 16 bits (uint16). A kernel widens a word as it loads
it, which is exact, and rounds as it stores: up as often as the number lies near the upper
neighbour. So an average that moves by less than half a step of its type still moves, in the mean;
rounded to the nearest it would stand still.

What is random comes from no state: `noise` mixes an element's place with a key, and `key_of` makes
a key from the number of the step. The same step has the same bits on any number of threads, on a
GPU, and after it was saved and taken up again.

Here stands the same in NumPy's calls: for states that are given as numbers, and to hold the kernels
to (`compiler/words.py` writes them; `tests/kernels/test_bfloat16.py` holds both equal).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiler.words import MIXED, NEXT, PLACES

__all__ = ["WORD", "key_of", "narrowed", "nearest", "noise", "widened"]

WORD = np.dtype(np.uint16)

_MASK = (1 << 64) - 1


def widened(words: Any) -> Any:
    """Return words as float32 numbers, exactly; NumPy or CuPy."""
    return (words.astype(np.uint32) << 16).view(np.float32)


def nearest(values: Any) -> Any:
    """Return numbers as words, each the nearest there is, ties to even; NaN stays NaN."""
    bits = values.astype(np.float32).view(np.uint32)
    upper = bits >> 16
    # Half a step less one, and one more where the word is odd: so ties go to the even neighbour.
    rounded = (bits + (np.uint32(0x7FFF) + (upper & np.uint32(1)))) >> 16
    is_number = values == values
    return (rounded * is_number + (upper | np.uint32(0x40)) * ~is_number).astype(WORD)


def key_of(step: int, number: int) -> int:
    """Return a key of 32 bits for a step of one vector among several (splitmix64's mixing).

    Source: Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195.
    """
    z = (step * 0x9E3779B97F4A7C15 + number * 0xD1B54A32D192ED03 + 1) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return (z ^ (z >> 31)) >> 32


def noise(key: int, place: int, size: int, state: int) -> Any:
    """Return 16 random bits for each of `size` elements from `place` on, as a kernel has them.

    state: the number of the state, 0, 1, ...; two states share the 32 bits of one key.
    """
    places = np.arange(place, place + size, dtype=np.uint64)
    own = np.uint32((key + state // 2 * NEXT) & 0xFFFFFFFF)
    bits = (places * np.uint64(PLACES)).astype(np.uint32) ^ own
    bits = (bits.astype(np.uint64) * np.uint64(MIXED)).astype(np.uint32)
    bits ^= bits >> np.uint32(16)
    return bits & np.uint32(0xFFFF) if state % 2 == 0 else bits >> np.uint32(16)


def narrowed(values: Any, bits: Any) -> Any:
    """Return float32 numbers as words, rounded by these bits; NaN stays NaN."""
    word = values.view(np.uint32)
    return ((word + np.where(np.isnan(values), np.uint32(0), bits)) >> np.uint32(16)).astype(WORD)
