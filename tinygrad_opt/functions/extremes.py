"""Maxima and minima, and where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import ops
from ..autograd.errors import axis_index
from ..autograd.graph import Variable, wrap_plain
from ..backend import xp
from . import return_types
from .reduce import axis_of
from .shape import squeeze

if TYPE_CHECKING:
    from .._tensor import Tensor

__all__ = ["amax", "amin", "aminmax", "argmax", "argmin", "max", "min"]

Dim = int | Sequence[int] | None


def _argextremum(name: str) -> Any:
    def function(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
        x = input.array
        _refuse_empty(x, dim, name, IndexError)
        space = xp(x)
        if dim is None:
            found = getattr(space, name)(x)
            return wrap_plain(found.reshape((1,) * x.ndim) if keepdim else found)
        axis = axis_index(dim, x.ndim)
        found = getattr(space, name)(x, axis=axis)
        return wrap_plain(space.expand_dims(found, axis) if keepdim and x.ndim else found)

    function.__name__ = name
    function.__doc__ = (
        f"The int64 position of the {name[3:]}imum, over all elements or along `dim`."
    )
    return function


argmax, argmin = _argextremum("argmax"), _argextremum("argmin")


def _extremum(name: str, arg: Any, reduce: Any, pairwise: Any) -> Any:
    result = getattr(return_types, name)

    def function(
        input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None
    ) -> Any:
        if isinstance(dim, Variable):
            dim, other = None, dim
        if other is not None:
            return pairwise(input, other)
        if dim is None:
            _refuse_empty(input.array, None, name, RuntimeError)
            return reduce(input)
        indices = arg(input, dim, keepdim=True)
        values = ops.take_along_axis(
            input, indices=indices.array, axis=axis_index(dim, input.array.ndim)
        )
        if keepdim:
            return result(values, indices)
        return result(squeeze(values, dim), squeeze(indices, dim))

    function.__name__ = name
    function.__doc__ = (
        f"The {name}imum of all elements (ties share the gradient); with `dim` an axis, the named "
        f"tuple (values, indices) along it; with a second Tensor, the element-wise {name}imum."
    )
    return function


max = _extremum("max", argmax, ops.amax, ops.maximum)
min = _extremum("min", argmin, ops.amin, ops.minimum)


def _reduction(name: str) -> Any:
    def function(input: Tensor, dim: Dim = (), keepdim: bool = False) -> Tensor:
        axis = axis_of(dim)
        if not input.array.size:
            for d in axis if isinstance(axis, tuple) else (axis,):
                _refuse_empty(input.array, d, name, RuntimeError)
        return getattr(ops, name)(input, axis=axis, keepdims=keepdim)

    function.__name__ = name
    function.__doc__ = f"The {name[1:]}imum over `dim`; ties share the gradient equally."
    return function


amax, amin = _reduction("amax"), _reduction("amin")


def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """The named tuple (min, max) over all elements or along `dim`."""
    if dim is not None:
        _refuse_empty(input.array, dim, "aminmax", IndexError)
    elif not input.array.size:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no "
            "identity."
        )
    return return_types.aminmax(amin(input, dim, keepdim), amax(input, dim, keepdim))


def _refuse_empty(x: Any, dim: Any, name: str, kind: type[Exception]) -> None:
    if x.size:
        return
    if dim is None:
        raise kind(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify "
            "the reduction dim with the 'dim' argument."
        )
    if not x.shape[axis_index(dim, x.ndim)]:
        raise IndexError(
            f"{name}(): Expected reduction dim {dim} to have non-zero size: an empty axis has no "
            "extreme element"
        )
