"""`x[index]` in all of PyTorch's forms, said in NumPy's.

The two libraries differ in one point: NumPy counts a number among the lists, so that in
`x[0, :, [1, 2]]` it moves the lists' axis to the front; PyTorch takes the number first, and leaves
the lists where they are. So an index is taken apart: a basic part (numbers, slices, None), whose
result is a view, then an advanced part (lists and masks) on that view.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np

from ..core.node import Variable

__all__ = ["explained", "parts_of"]

_WHOLE = slice(None)
_BOOL = np.dtype(bool)


def parts_of(index: Any) -> tuple[Any, Any]:
    """(basic, advanced): `x[index]` is `x[basic][advanced]`, where None means: not needed.

    Raises IndexError for an index of a wrong type, ValueError for a slice with a step below 1.
    """
    kind = type(index)
    if kind is int or index is Ellipsis:
        return index, None
    if kind is slice:
        return _checked_slice(index), None
    if kind is list:
        index = _tuple_of(index)
    items = index if kind is tuple or isinstance(index, tuple) else (index,)
    plain = tuple(map(_plain, items))
    lists = [hasattr(item, "shape") for item in plain]
    if not any(lists):
        return plain, None
    if not any(type(item) is int for item in plain):
        return None, plain
    basic: list[Any] = []
    advanced: list[Any] = []
    for item, is_list in zip(plain, lists, strict=True):
        if is_list:
            basic += [_WHOLE] * (item.ndim if item.dtype is _BOOL else 1)
            advanced.append(item)
        else:
            basic.append(item)
            if type(item) is not int:
                advanced.append(item if item is Ellipsis else _WHOLE)
    return tuple(basic), tuple(advanced)


def _tuple_of(index: list[Any]) -> Any:
    """A list that PyTorch takes for the tuple of its items: of lists, tensors, slices and the like.

    Warns of it, as PyTorch does. Others, and those of 32 items or more, are places along one axis.
    """
    several = list | tuple | range | Variable | np.ndarray | slice | type(None) | type(...)
    if len(index) >= 32 or not any(isinstance(item, several) for item in index):
        return index
    warnings.warn(
        "Using a non-tuple sequence for multidimensional indexing is deprecated: x[seq] is taken "
        "for x[tuple(seq)]. Write that, or x[tensor(seq)] for places along the first axis",
        UserWarning,
        stacklevel=4,
    )
    return tuple(index)


def _plain(item: Any) -> Any:
    """A part of an index as int, slice, None, Ellipsis or raw array."""
    if isinstance(item, Variable):
        item = item.array
    if isinstance(item, slice):
        return _checked_slice(item)
    if item is None or item is Ellipsis:
        return item
    if isinstance(item, bool | np.bool_):
        return np.asarray(item)
    kind = getattr(getattr(item, "dtype", None), "kind", "i")
    if hasattr(item, "__index__") and not getattr(item, "shape", ()) and kind in "iub":
        return np.asarray(item) if kind == "b" else item.__index__()
    if isinstance(item, list | range | tuple):
        item = np.asarray([_unwrapped(x) for x in item]) if len(item) else np.empty(0, np.intp)
    if not hasattr(item, "dtype"):
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are "
            f"valid indices (got {type(item).__name__})"
        )
    if item.dtype == np.uint8:
        return item.astype(bool)  # PyTorch's masks of old
    if item.dtype.kind not in "iub":
        raise IndexError(
            "tensors used as indices must be long, int, byte or bool tensors, got "
            f"{item.dtype}; convert with .long()"
        )
    return item


def _unwrapped(x: Any) -> Any:
    if isinstance(x, list | tuple):
        return [_unwrapped(y) for y in x]
    return x.array.tolist() if isinstance(x, Variable) else x


def _checked_slice(item: slice) -> slice:
    start, stop, step = item.start, item.stop, item.step
    if step is None and type(start) in _BOUND and type(stop) in _BOUND:
        return item
    if step is not None and int(step) <= 0:
        raise ValueError(f"step must be greater than zero, got {step}; use flip() to reverse")
    return slice(*(None if x is None else x.__index__() for x in (start, stop, step)))


_BOUND = (int, type(None))


def explained(error: IndexError, shape: tuple[int, ...]) -> IndexError:
    """The array library's error in terms of tensors."""
    said = str(error)
    if "too many indices" in said:
        said = f"too many indices for tensor of dimension {len(shape)}"
    if not shape:
        said = (
            "invalid index of a 0-dim tensor. Use `tensor.item()` to convert a 0-dim tensor to a "
            "number"
        )
    mask = re.search(r"boolean index .* axis (\d+);.* (\d+)$", said)
    if mask:
        axis, size = mask.groups()
        said = (
            f"The shape of the mask [{size}] at index {axis} does not match the shape of the "
            f"indexed tensor {list(shape)} at index {axis}"
        )
    return IndexError(said.replace("for axis", "for dimension") + f" (tensor of shape {shape})")
