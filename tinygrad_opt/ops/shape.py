"""Operations that move values without changing them. Views stay views where NumPy's do."""

from __future__ import annotations

import functools
import math
from operator import index
from typing import Any

import numpy as np

from ..arrays.size import WHOLE
from ..arrays.xp import xp
from ..core.errors import axis_index
from ..core.node import Variable
from ..core.outlines import saves_nothing
from ..core.record import op
from ..core.views import view
from .index import getitem

__all__ = [
    "as_strided", "broadcast_to", "concatenate", "expand_dims", "flip", "flipped", "reshape",
    "roll", "stack", "swapaxes", "transpose",
]  # fmt: skip


@saves_nothing
@view
def reshape(x, *, shape):
    return xp(x).reshape(x, shape=shape), lambda g: xp(g).reshape(g, shape=x.shape)


@saves_nothing
@view
def transpose(x, *, axes=None):
    axes, inverse = _orders(len(x.shape), None if axes is None else tuple(axes))
    return xp(x).transpose(x, axes=axes), lambda g: xp(g).transpose(g, axes=inverse)


@functools.lru_cache(maxsize=256)
def _orders(ndim: int, axes: tuple[int, ...] | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """An order of axes, counted from the front, and the one that undoes it."""
    if axes is None:
        axes = tuple(reversed(range(ndim)))
    axes = tuple(a + ndim if a < 0 else a for a in axes)
    return axes, tuple(axes.index(i) for i in range(len(axes)))


@saves_nothing
@view
def broadcast_to(x, *, shape):
    return xp(x).broadcast_to(x, shape=shape), lambda g: g  # the engine sums it down again


@saves_nothing
@view
def as_strided(x, *, size, stride, offset):
    """The elements offset + sum(stride[i] * place[i]) of the flattened x, which is contiguous."""

    def places():
        found = np.array(offset)
        for n, k in zip(size, stride, strict=True):
            found = found[..., None] + k * np.arange(n)
        return found

    def back(g):
        flat = xp(g).scatter_add(g, shape=(math.prod(x.shape),), index=places())
        return flat.reshape(x.shape)

    flat = x.reshape((-1,))
    if isinstance(x, Variable):
        return getitem(flat, index=places()), back
    return xp(x).as_strided(flat[offset:], size, stride), back


@saves_nothing
@op
def flip(x, *, axis):
    # A copy, as in PyTorch, which has no negative strides.
    return xp(x).flipped(x, axis=axis), lambda g: xp(g).flip(g, axis=axis)


flipped = flip  # of Tensors both are one operation


@saves_nothing
@op
def roll(x, *, shift, axis):
    back = -shift if isinstance(shift, WHOLE) else tuple(-n for n in shift)
    return xp(x).roll(x, shift=shift, axis=axis), lambda g: xp(g).roll(g, shift=back, axis=axis)


@saves_nothing
@op
def _concatenate(*parts, axis):
    along = axis + len(parts[0].shape) if axis < 0 else axis
    pullbacks, start = [], 0
    for part in parts:
        stop = start + part.shape[along]
        index = (slice(None),) * along + (slice(start, stop),)
        pullbacks.append(lambda g, index=index: getitem(g, index=index))
        start = stop
    return xp(parts[0]).concatenate(parts, axis=axis), *pullbacks


@saves_nothing
@op
def _stack(*parts, axis):
    along = axis + len(parts[0].shape) + 1 if axis < 0 else axis
    return xp(parts[0]).stack(parts, axis=axis), *(
        lambda g, index=(slice(None),) * along + (i,): getitem(g, index=index)
        for i in range(len(parts))
    )


def concatenate(parts, axis=0):
    """The parts joined along `axis`; one sequence, as NumPy takes it."""
    return _concatenate(*parts, axis=axis)


def stack(parts, axis=0):
    """The parts, all of one shape, along a new axis."""
    return _stack(*parts, axis=axis)


def expand_dims(x: Any, axis: int) -> Any:
    at = axis_index(axis, len(x.shape) + 1)
    return reshape(x, shape=(*x.shape[:at], 1, *x.shape[at:]))


def swapaxes(x: Any, a: int, b: int) -> Any:
    return transpose(x, axes=_swapped(len(x.shape), index(a), index(b)))


@functools.lru_cache(maxsize=256)
def _swapped(ndim: int, a: int, b: int) -> tuple[int, ...]:
    axes = list(range(ndim))
    a, b = axis_index(a, ndim), axis_index(b, ndim)
    if axes:
        axes[a], axes[b] = axes[b], axes[a]
    return tuple(axes)
