"""Where arrays lie in memory: whose it is, at what address; views of it by shape and strides."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

__all__ = ["address", "as_owner", "owner", "strided"]

_Strided: Any = type(as_strided(np.zeros(1), (1,)).base)  # what NumPy puts between these two


def owner(array: Any) -> Any:
    """The array whose memory `array` views; itself if the memory is its own."""
    while True:
        base = array.base
        if type(base) is _Strided:
            base = base.base
        if not isinstance(base, type(array)):
            return array
        array = base


def as_owner(array: Any) -> Any:
    """The same memory as another array, which views of it hold, so that they can be counted.

    As a rule views of a view hold the owner of the memory alone; of CuPy's that stays so.
    """
    return as_strided(array) if type(array) is np.ndarray else array[...]


def address(array: Any) -> int:
    """Where the first element of a NumPy or CuPy array lies."""
    if type(array) is np.ndarray:
        return int(array.__array_interface__["data"][0])
    return int(array.data.ptr)


def strided(array: Any, shape: Any, strides: Any) -> Any:
    """A view of the memory of a NumPy array, which begins where that does; strides in bytes.

    Its base is the owner of the memory, as that of other views, and it is as writable as that.
    None where the memory has gaps: it belongs to somebody else.
    """
    memory = owner(array)
    memory = memory.transpose(sorted(range(memory.ndim), key=lambda i: -memory.strides[i]))
    if not memory.flags.c_contiguous:
        return None
    return np.ndarray(shape, array.dtype, memory, address(array) - address(memory), strides)
