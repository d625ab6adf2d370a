"""Vectors of 64 bytes, where LLVM would take 32.

For Intel's processors with AVX-512, LLVM prefers half vectors: the first of these ran at a lower
clock with whole ones. Since 2019 they do not, and a loop with an exponential takes a quarter less
time with them.

And what is left of a loop: LLVM takes four vectors at a time, and up to 63 numbers one by one after
them. Of rows that are not much longer than that it had better take one vector at a time, and what
is left in one more, of which it masks a part.
"""

# mypy: ignore-errors
from __future__ import annotations

from functools import cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from . import within

__all__ = ["all_lanes", "mask_ends", "mask_if_asked", "pays", "widen"]

# llvmlite knows attributes that are one word; it prints any.
_ATTRIBUTE = '"prefer-vector-width"="512"'
_MASKED = '"mask-ends"'  # nothing to LLVM
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


@intrinsic
def mask_ends(typing_context):
    """Have LLVM mask what is left of the loops of this function; to be written before them."""

    def generate(context, builder, signature, values):
        set.add(builder.function.attributes, _MASKED)
        return context.get_dummy_value()

    return types.void(), generate


def mask_if_asked(branch: Any) -> None:
    """Tell LLVM so of the loop that a branch of llvmlite's closes, if its function asks for it."""
    if _MASKED not in branch.function.attributes:
        return
    module = branch.function.module
    said = [
        module.add_metadata([ir.MetaDataString(module, f"llvm.loop.{what}"), value])
        for what, value in (
            ("interleave.count", ir.IntType(32)(1)),
            ("vectorize.predicate.enable", ir.IntType(1)(1)),
        )
    ]
    branch.set_metadata("llvm.loop", within.Distinct(module, said, itself=True))
