"""Arrays while a kernel is read: where an element stands, and what a slice is.

An array is its address, its lengths and, unless its elements stand side by side, its strides, each
a value of its own: of a view `x[r]` nothing is written but the address.
"""

# mypy: ignore-errors
from __future__ import annotations

import functools
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..plain.lowering import Typed

__all__ = ["WORD", "Array", "Part"]

WORD = ir.IntType(64)


class Part:
    """A slice of an axis: from `start` to `stop`, each an integer of LLVM's, or None."""

    def __init__(self, start: Any, stop: Any) -> None:
        self.start, self.stop = start, stop


class Array:
    """An array of Numba's type `kind`, in the code that is written."""

    def __init__(self, kind: Any, pointer: Any, lengths: list[Any], strides: list[Any]) -> None:
        self.kind, self.pointer, self.lengths, self.strides = kind, pointer, lengths, strides

    @staticmethod
    def of(context: Any, builder: Any, kind: Any, value: Any) -> Array:
        """The array that Numba's structure of the type `kind` tells of."""
        made = context.make_array(kind)(context, builder, value)
        lengths = cgutils.unpack_tuple(builder, made.shape, kind.ndim)
        strides = [] if kind.layout == "C" else cgutils.unpack_tuple(builder, made.strides)
        return Array(kind, made.data, list(lengths), list(strides))

    def structure(self, context: Any, builder: Any) -> Any:
        """Numba's structure that tells of it."""
        made = cgutils.create_struct_proxy(self.kind)(context, builder)
        axes = range(len(self.lengths))
        made.meminfo = ir.Constant(made.meminfo.type, None)
        made.parent = ir.Constant(made.parent.type, None)
        made.nitems = functools.reduce(builder.mul, self.lengths, WORD(1))
        made.itemsize = WORD(context.get_abi_sizeof(context.get_data_type(self.kind.dtype)))
        made.data, made.shape = self.pointer, cgutils.pack_array(builder, self.lengths, WORD)
        strides = [self.stride(context, builder, axis) for axis in axes]
        made.strides = cgutils.pack_array(builder, strides, WORD)
        return made._getvalue()

    def parts(self) -> list[Any]:
        """All that makes it: `with_parts` puts such values together again."""
        return [self.pointer, *self.lengths, *self.strides]

    def with_parts(self, parts: list[Any]) -> Array:
        count = len(self.lengths)
        return Array(self.kind, parts[0], list(parts[1 : count + 1]), list(parts[count + 1 :]))

    def stride(self, context: Any, builder: Any, axis: int) -> Any:
        """Bytes from one element along an axis to the next."""
        if self.strides:
            return self.strides[axis]
        size = WORD(context.get_abi_sizeof(context.get_data_type(self.kind.dtype)))
        return builder.mul(self._apart(builder, axis), size)

    def _apart(self, builder: Any, axis: int) -> Any:
        """Elements from one element along an axis to the next, of those that stand side by side."""
        apart = WORD(1)
        for length in self.lengths[axis + 1 :]:
            apart = builder.mul(apart, length)
        return apart

    def place(self, builder: Any, indices: list[Any]) -> Any:
        """Where the element stands to which these lead, or the part that begins there."""
        if self.strides:
            steps = zip(indices, self.strides, strict=False)
            offset = WORD(0)
            for i, stride in steps:
                offset = builder.add(offset, builder.mul(i, stride))
            return cgutils.pointer_add(builder, self.pointer, offset)
        offset = WORD(0)
        for axis, i in enumerate(indices):
            offset = builder.add(offset, builder.mul(i, self._apart(builder, axis)))
        return builder.gep(self.pointer, [offset])

    def view(self, context: Any, builder: Any, indices: list[Any]) -> Array:
        """What `x[...]` is, of integers and slices of the first axes."""
        starts, lengths, strides = [], [], []
        side_by_side, whole = not self.strides, True
        for axis, length in enumerate(self.lengths):
            index = indices[axis] if axis < len(indices) else None
            if isinstance(index, Part):
                start, count = _clipped(builder, index, length)
                starts.append(start)
                side_by_side = side_by_side and whole
                whole = False
            elif index is None:
                count, whole = length, False
            else:
                starts.append(index)
                side_by_side = side_by_side and whole
                continue
            lengths.append(count)
            strides.append(self.stride(context, builder, axis))
        layout = "C" if side_by_side else "A"
        kind = types.Array(self.kind.dtype, len(lengths), layout, readonly=not self.kind.mutable)
        pointer = self.place(builder, starts)
        return Array(kind, pointer, lengths, [] if side_by_side else strides)

    def load(self, context: Any, builder: Any, place: Any) -> Typed:
        """The element at a place."""
        align = None if self.kind.aligned else 1
        return Typed(context.unpack_value(builder, self.kind.dtype, place, align), self.kind.dtype)

    def store(self, context: Any, builder: Any, place: Any, value: Any) -> None:
        """Put a value of the elements' type to a place."""
        align = None if self.kind.aligned else 1
        context.pack_value(builder, self.kind.dtype, value, place, align)


def _clipped(builder: Any, part: Part, length: Any) -> tuple[Any, Any]:
    """Where a slice begins, and how long it is: both within the axis, as Python has it."""
    start, stop = (
        otherwise if bound is None else _within(builder, bound, length)
        for bound, otherwise in ((part.start, WORD(0)), (part.stop, length))
    )
    count = builder.sub(stop, start)
    return start, builder.select(builder.icmp_signed("<", count, WORD(0)), WORD(0), count)


def _within(builder: Any, bound: Any, length: Any) -> Any:
    negative = builder.icmp_signed("<", bound, WORD(0))
    bound = builder.select(negative, builder.add(bound, length), bound)
    bound = builder.select(builder.icmp_signed("<", bound, WORD(0)), WORD(0), bound)
    return builder.select(builder.icmp_signed(">", bound, length), length, bound)
