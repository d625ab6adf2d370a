"""Where a view lies in the tensor that it looks at, and what that means for gradients.

A view is a shape and strides at some offset of its base's memory. A gradient of the base, laid out
in memory as the base is, shows the gradient of the view in that very place. So there are three
linear maps, each made of one copy: `take` reads the place, `spread`, its transpose, writes there
and leaves zeros elsewhere, and `blank` writes zeros there. They work on arrays, and on Tensors as
recorded operations, to any order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..arrays.memory import address, owner, strided
from ..arrays.xp import xp
from ..core.node import FixedNode, Variable
from ..core.outlines import outlines
from ..core.record import mode
from ..core.tensor import wrap_plain

__all__ = ["AsStrided", "Layout", "Region", "layout_of", "unlock"]

Map = Callable[[Any], Any]


class Layout(NamedTuple):
    """How an array lies in memory: shape, strides and address in bytes, type."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    address: int
    dtype: np.dtype[Any]


def layout_of(array: Any) -> Layout:
    """The layout of a NumPy or CuPy array."""
    return Layout(tuple(array.shape), tuple(array.strides), address(array), array.dtype)


class AsStrided(FixedNode):
    """A view taken anew of its base; or one of the linear maps of a Region, on Tensors."""

    __slots__ = ()

    def __init__(self, x: Any, back: Map) -> None:
        super().__init__(AsStrided, (x,), (x,), {}, (None, back))

    def release(self) -> None:
        self.inputs, self.targets = (), outlines(self.targets)

    def __lt__(self, other: Any) -> bool:  # several views of one moment have the same rank
        return id(self) < id(other)

    def name(self) -> str:
        return "AsStridedBackward0"


class Region:
    """The place of a view, or of the elements `view[index]`, in the tensor that it looks at.

    `whole`, `part`: the layouts of the tensor and the view. A complex tensor and a view of its
    real numbers, or the other way round, meet as real numbers with one axis more.
    Raises RuntimeError if the view does not lie within the memory of the tensor.
    """

    def __init__(self, whole: Layout, part: Layout, index: Any = None) -> None:
        self._index = index
        size = min(whole.dtype.itemsize, part.dtype.itemsize)
        self._whole_is_split = whole.dtype.itemsize > size
        self._part_is_split = part.dtype.itemsize > size
        self._shape, strides = _in_units(whole, size, self._whole_is_split)
        self._part, part_strides = _in_units(part, size, self._part_is_split)
        if 0 in (*self._shape, *self._part):
            strides, part_strides = _row_major(self._shape), _row_major(self._part)
            self._start = self._offset = self._extent = 0
        else:
            low, self._extent = _span(self._shape, strides)
            self._start = -low  # of the first element, counted from the lowest address
            self._offset = self._start + (part.address - whole.address) // size
            first, length = _span(self._part, part_strides)
            if not 0 <= self._offset + first <= self._extent - length:
                raise RuntimeError(
                    f"a view of shape {part.shape} no longer lies in the memory of its base of "
                    f"shape {whole.shape}: one of them was given other memory (`.data = ...`) "
                    "since the view was taken. Take the view again"
                )
        self._strides, self._part_strides = strides, part_strides
        self._is_plain = strides == _row_major(self._shape)
        self._overlaps = _may_overlap(self._part, part_strides)

    def take(self, g: Any) -> Any:
        """What stands in the place."""
        return _linear(self._take, self._spread, g)

    def spread(self, g: Any) -> Any:
        """Zeros of the tensor's shape, with `g` added in the place."""
        return _linear(self._spread, self._take, g)

    def blank(self, g: Any) -> Any:
        """`g` with zeros in the place."""
        return _linear(self._blank, self._blank, g)

    # On arrays ------------------------------------------------------------------------------------

    def _take(self, g: Any) -> Any:
        part = self._place_in(self._laid_out(g))
        return part if self._index is None else part[self._index]

    def _blank(self, g: Any) -> Any:
        buffer = self._laid_out(g)
        if xp(g).may_share_memory(buffer, g):
            buffer = buffer.copy()
        self._place_in(buffer)[... if self._index is None else self._index] = 0
        return self._whole_in(buffer)

    def _spread(self, g: Any) -> Any:
        space = xp(g)
        if self._index is not None:
            shape = self._part[:-1] if self._part_is_split else self._part
            g = space.scatter_add(g, shape=shape, index=self._index)
        if self._part_is_split:
            g = space.view_as_real(g)
        if self._overlaps:
            places = _strided(np.arange(self._extent), self._offset, self._part, self._part_strides)
            buffer = space.scatter_add(g, shape=(self._extent,), index=(places,))
        else:
            buffer = space.zeros(self._extent, g.dtype)
            _strided(buffer, self._offset, self._part, self._part_strides)[...] = g
        return self._whole_in(buffer)

    def _laid_out(self, g: Any) -> Any:
        """The values of `g`, in memory like the tensor, from the lowest address on."""
        space = xp(g)
        if self._whole_is_split:
            g = space.view_as_real(g)
        if self._is_plain:
            return space.ascontiguousarray(g).reshape(-1)
        buffer = space.zeros(self._extent, g.dtype)
        _strided(buffer, self._start, self._shape, self._strides)[...] = g
        return buffer

    def _whole_in(self, buffer: Any) -> Any:
        g = _strided(buffer, self._start, self._shape, self._strides)
        return _joined(g) if self._whole_is_split else g

    def _place_in(self, buffer: Any) -> Any:
        part = _strided(buffer, self._offset, self._part, self._part_strides)
        return _joined(part) if self._part_is_split else part


def unlock(tensor: Any) -> bool:
    """Make part of an expanded tensor writable if no elements of it share memory: whether it was.

    What NumPy broadcasts is read-only, and so is all that is taken of it.
    """
    array = tensor.array
    if type(array) is not np.ndarray or array.flags.writeable:
        return False
    if not owner(array).flags.writeable or _may_overlap(array.shape, array.strides):
        return False
    alias = strided(array, array.shape, array.strides)
    if alias is None:
        return False
    tensor.array = alias
    return True


def _linear(forward: Map, back: Map, x: Any) -> Any:
    """forward(x), a linear map; of a Tensor recorded, with `back`, its transpose, as derivative."""
    if not isinstance(x, Variable):
        return forward(x)
    y = wrap_plain(forward(x.array))
    if mode.enabled and x._requires_grad:
        y.node, y._requires_grad = AsStrided(x, lambda g: _linear(back, forward, g)), True
    return y


def _in_units(layout: Layout, size: int, split: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and strides in numbers of `size` bytes; `split`: with an axis for (real, imaginary)."""
    strides = tuple(n // size for n in layout.strides)
    return ((*layout.shape, 2), (*strides, 1)) if split else (layout.shape, strides)


def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def _span(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, int]:
    """The lowest place, counted from that of the first element, and how far it is to the highest.

    The latter plus one: how many places that makes.
    """
    reach = [(n - 1) * k for n, k in zip(shape, strides, strict=True)]
    low = sum(r for r in reach if r < 0)
    return low, sum(r for r in reach if r > 0) - low + 1


def _may_overlap(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """False only if no two elements share a place: each axis steps over all shorter ones."""
    reach = 0
    for k, n in sorted((abs(k), n) for n, k in zip(shape, strides, strict=True) if n > 1):
        if k <= reach:
            return True
        reach += (n - 1) * k
    return False


def _strided(buffer: Any, offset: int, shape: Any, strides: Any) -> Any:
    """A view of the vector `buffer`. Shapes, offset and strides in elements."""
    if type(buffer) is not np.ndarray:
        return xp(buffer).as_strided(buffer[offset:], shape, strides)
    size = buffer.itemsize
    return np.ndarray(shape, buffer.dtype, buffer, offset * size, [k * size for k in strides])


def _joined(x: Any) -> Any:
    """Complex numbers of the pairs along the last axis: a view."""
    kind = np.result_type(x.dtype, np.complex64)
    if type(x) is np.ndarray:
        return np.ndarray(x.shape[:-1], kind, x.base, address(x) - address(x.base), x.strides[:-1])
    return xp(x).view_as_complex(x)
