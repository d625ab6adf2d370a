"""What stands side by side in an array with strides, as an array without: loops go to SIMD over it.

An array of `[:, :]`, in Numba's words, has any strides, and so have its rows; LLVM does not find
out that those are as short as can be. A kernel that has looked at the strides says so.
"""

# mypy: ignore-errors
from __future__ import annotations

from numba import types
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

__all__ = ["in_line", "in_line_type"]


def in_line_type(kind):
    """The type of what `in_line` makes of an array of this type."""
    return types.Array(kind.dtype, 1, "C", readonly=not kind.mutable, aligned=kind.aligned)


@intrinsic
def in_line(typing_context, array):
    """The elements of an array as a vector; they must stand side by side, rows first."""
    if not isinstance(array, types.Array):
        return None
    result = in_line_type(array)

    def generate(context, builder, signature, values):
        given = context.make_array(array)(context, builder, values[0])
        made = context.make_array(result)(context, builder)
        populate_array(
            made, data=given.data, shape=[given.nitems], strides=[given.itemsize],
            itemsize=given.itemsize, meminfo=given.meminfo, parent=given.parent,
        )  # fmt: skip
        return impl_ret_borrowed(context, builder, result, made._getvalue())

    return result(array), generate
