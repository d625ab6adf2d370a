"""Size: the shape of a tensor, as `torch.Size`."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

__all__ = ["WHOLE", "Size", "fixed", "size_of"]

# What counts as one number, where several are taken as well: `isinstance(value, WHOLE)`.
if TYPE_CHECKING:
    WHOLE = int
else:
    WHOLE = (int, np.integer)


def fixed(value: Any) -> Any:
    """Several numbers as a tuple of ints, which a cache knows again; anything else as it is."""
    if value is None or isinstance(value, (str, WHOLE)):
        return value
    return tuple(map(int, value))


class Size(tuple[int, ...]):
    """A shape: a tuple of ints. Its slices, sums with tuples and multiples are shapes too.

    Raises TypeError for anything but integers.

    >>> shape = Size([2, 3, 4])
    >>> shape[:-1] + (5,)
    torch.Size([2, 3, 5])
    >>> shape.numel()
    24
    """

    __slots__ = ()

    def __new__(cls, lengths: Iterable[Any] = ()) -> Size:
        """Of integers, or of tensors of a single one."""
        items = list(lengths)
        for i, length in enumerate(items):
            try:
                items[i] = operator.index(length)
            except TypeError:
                raise TypeError(
                    f"Size() takes an iterable of 'int' (item {i} is '{type(length).__name__}')"
                ) from None
        return tuple.__new__(cls, items)

    def numel(self) -> int:
        """The number of elements of a tensor of this shape."""
        n = 1
        for length in self:
            n *= length
        return n

    def __getitem__(self, index: Any) -> Any:
        picked = _getitem(self, index)
        return size_of(Size, picked) if type(picked) is tuple else picked

    def __add__(self, other: Any) -> Any:
        return Size(tuple(self) + other) if isinstance(other, tuple) else NotImplemented

    def __radd__(self, other: Any) -> Any:
        return Size(other + tuple(self)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, times: Any) -> Any:
        return size_of(Size, tuple(self) * times)

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"


_getitem: Any = tuple.__getitem__
size_of: Any = tuple.__new__  # size_of(Size, tuple of ints): unchecked, for each `x.shape`
