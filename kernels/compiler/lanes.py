"""Vectors of 64 bytes, where LLVM would take 32.

For Intel's processors with AVX-512, LLVM prefers half vectors: the first of these ran at a lower
clock with whole ones. Since 2019 they do not, and a loop with an exponential takes a quarter less
time with them.
"""

# mypy: ignore-errors
from __future__ import annotations

from functools import cache
from typing import Any

from numba import types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

__all__ = ["all_lanes", "pays", "widen"]

# llvmlite knows attributes that are one word; it prints any.
_ATTRIBUTE = '"prefer-vector-width"="512"'
_SINCE_2019 = "+avx512vbmi2"


@cache
def pays() -> bool:
    """Whether this processor gains by it."""
    return _SINCE_2019 in cpu_target.target_context.codegen().magic_tuple()[2].split(",")


def widen(function: Any) -> None:
    """Let LLVM use whole vectors in a function of llvmlite's, where this processor gains by it."""
    if pays():
        set.add(function.attributes, _ATTRIBUTE)


@intrinsic
def all_lanes(typing_context):
    """The same for the function of Numba's in which this stands."""

    def generate(context, builder, signature, values):
        widen(builder.function)
        return context.get_dummy_value()

    return types.void(), generate
