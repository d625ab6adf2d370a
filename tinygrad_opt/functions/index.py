"""Reading and writing at listed positions; all of them return new tensors.

In the names, `index_*` take one list of slices along an axis, `gather` and `scatter` one position
for each element, `masked_*` a mask, `take` positions in the flattened tensor.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..arrays import dtypes, faults
from ..arrays.places import are_within
from ..arrays.xp import xp
from ..core.errors import axis_index
from ..core.half import widened
from ..core.node import Variable
from ..core.tensor import Tensor, wrap_plain
from ..ops.index import along as grid_along
from .choice import masked_fill
from .joining import stack
from .shape import along, broadcast_tensors, broadcast_to, movedim, ravel

__all__ = [
    "argwhere", "gather", "index_add", "index_copy", "index_fill", "index_put", "index_select",
    "masked_fill", "masked_scatter", "masked_select", "nonzero", "scatter",
    "scatter_add", "scatter_reduce", "select_scatter", "slice_scatter", "take", "take_along_dim",
]  # fmt: skip


def check_positions(
    index: Any, n: int, dim: int, what: str, kind: type[Exception] = RuntimeError, lowest: int = 0
) -> None:
    """Raise `kind` unless all of the raw array `index` lie in [lowest, n)."""
    if index.dtype.kind not in "iu":
        raise RuntimeError(f"{what}: Expected dtype int64 for index, got {index.dtype}")
    if type(index) is not np.ndarray:
        text = _outside(what, "{index}", n, dim)
        if faults.told_later(index, lowest, n, kind, text):
            return
    if not are_within(index, lowest, n):
        wrong = index[(index < lowest) | (index >= n)].reshape(-1)[0]
        raise kind(_outside(what, int(wrong), n, dim))


def _outside(what: str, index: Any, n: int, dim: int) -> str:
    return f"{what}: index {index} is out of bounds for dimension {dim} with size {n}"


# One list of slices -------------------------------------------------------------------------------


def _listed(input: Tensor, dim: int, index: Tensor, name: str) -> tuple[Any, ...]:
    """The index `[:, :, index]`, checked."""
    x, places = input.array, index.array
    if places.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector, got {places.ndim} axes")
    axis = axis_index(dim, x.ndim)
    if name == "index_select":
        name = "index_select(): index out of range in self"
    kind = RuntimeError if name == "index_add" else IndexError  # as PyTorch
    n = x.shape[axis]
    check_positions(places, n, dim, name, kind, lowest=-n if name == "index_fill" else 0)
    return along(axis, x.ndim, places.reshape(-1))


def _as_vector(function: Any) -> Any:
    """The function of a 0-d tensor, which counts as a vector of one element."""

    @functools.wraps(function)
    def of_any(input: Tensor, dim: int, index: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if input.array.ndim:
            return function(input, dim, index, *args, **kwargs)
        if function.__name__ != "index_fill":  # whose value stays 0-d
            args = tuple(map(_one_long, args))
            kwargs = {name: _one_long(x) if name == "source" else x for name, x in kwargs.items()}
        y = function(ops.reshape(input, shape=(1,)), dim, index, *args, **kwargs)
        return ops.reshape(y, shape=())

    return of_any


def _one_long(x: Any) -> Any:
    return ops.reshape(x, shape=(1,)) if isinstance(x, Variable) and not x.array.ndim else x


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices along `dim` that `index` (1-D) lists."""
    if not input.array.ndim and index.array.size != 1:
        raise RuntimeError(
            "index_select(): Index to scalar can have only 1 value, got "
            f"{index.array.size} value(s)"
        )
    return _selected(input, dim, index)


@_as_vector
def _selected(input: Tensor, dim: int, index: Tensor) -> Tensor:
    return ops.getitem(input, index=_listed(input, dim, index, "index_select"))


@_as_vector
@widened
def index_add(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1
) -> Tensor:
    """input with the slices of alpha * source added where `index` says; repeats add up."""
    where = _listed(input, dim, index, "index_add")
    _check_slices("index_add", input, dim, index, source)
    values = source if alpha == 1 else ops.mul(source, alpha)
    return ops.put_sum(input, values, index=where)


@_as_vector
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """input with the slices of `source` in the places along `dim` that `index` lists."""
    where = _listed(input, dim, index, "index_copy")
    _check_slices("index_copy", input, dim, index, source)
    return ops.put(input, source, index=where)


def _check_slices(name: str, input: Tensor, dim: int, index: Tensor, source: Tensor) -> None:
    """Raise unless `source` is one slice of `input` along `dim` for each of `index`."""
    x, y, n = input.array, source.array, index.array.size
    if x.dtype != y.dtype:
        raise RuntimeError(
            f"{name}_(): self ({dtypes.name_of(x.dtype)}) and source ({dtypes.name_of(y.dtype)}) "
            "must have the same scalar type"
        )
    axis = axis_index(dim, x.ndim)
    if not y.ndim and n == 1 and x.ndim == 1 and name == "index_copy":
        return
    if y.shape[:axis] + y.shape[axis + 1 :] != x.shape[:axis] + x.shape[axis + 1 :] or (
        y.ndim != x.ndim
    ):
        raise (RuntimeError if name == "index_add" else IndexError)(
            f"{name}_(): source tensor shape must match self tensor shape, excluding the specified "
            f"dimension. Got self.shape = {list(x.shape)} source.shape = {list(y.shape)}"
        )
    if y.shape[axis] != n:
        raise (RuntimeError if name == "index_add" else IndexError)(
            f"{name}_(): Number of indices ({n}) should be equal to source.size(dim): "
            f"({y.shape[axis]})"
        )


@_as_vector
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """input with `value` in the slices along `dim` that `index` lists."""
    if isinstance(value, Variable) and value.array.ndim:
        raise RuntimeError(
            "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.array.ndim} dimension(s)."
        )
    return ops.put(input, value, index=_listed(input, dim, index, "index_fill"))


def index_put(
    input: Tensor, indices: Sequence[Any], values: Tensor, accumulate: bool = False
) -> Tensor:
    """input with `values` at `input[indices]`: instead of what is there, or added to it."""
    where = tuple(i.array if isinstance(i, Variable) else i for i in indices)
    if isinstance(values, Variable) and values.array.dtype != input.array.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{dtypes.name_of(input.array.dtype)} for the destination and "
            f"{dtypes.name_of(values.array.dtype)} for the source."
        )
    if not accumulate:
        return ops.put(input, values, index=where)
    spread = broadcast_to(values, input.array[where].shape)
    return ops.put_sum(input, spread, index=where)


def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """input with `src` in the slice at `index` along `dim`."""
    return ops.put(input, src, index=along(dim, input.array.ndim, index))


def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None,
    step: int = 1,
) -> Tensor:  # fmt: skip
    """input with `src` in the slices start, start + step ... below `end` along `dim`."""
    return ops.put(input, src, index=along(dim, input.array.ndim, slice(start, end, step)))


# One position for each element --------------------------------------------------------------------


def _positions(input: Tensor, dim: int, index: Tensor, name: str) -> tuple[Any, int]:
    """The raw index of gather and scatter, checked, and the axis."""
    x, places = input.array, index.array
    axis = axis_index(dim, x.ndim)
    if places.size and places.ndim != x.ndim:
        raise RuntimeError(
            f"{name}: Index tensor must have the same number of dimensions as input tensor, got "
            f"{places.ndim} and {x.ndim}"
        )
    if any(n > m for i, (n, m) in enumerate(zip(places.shape, x.shape, strict=False)) if i != axis):
        raise RuntimeError(
            f"{name}: Expected index {list(places.shape)} to be no larger than self "
            f"{list(x.shape)} apart from dimension {dim}. Size does not match at another dimension"
        )
    check_positions(places, x.shape[axis] if x.ndim else 1, dim, name)
    return places, axis


def _one_for_each(function: Any) -> Any:
    """The function, for which a 0-d tensor counts as a vector of one element."""

    @functools.wraps(function)
    def of_any(input: Tensor, dim: int, index: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if {input.array.ndim, index.array.ndim} != {0, 1}:
            return function(input, dim, index, *args, **kwargs)
        like = index if function.__name__ == "gather" else input
        y = function(_one_long(input), dim, _one_long(index), *map(_one_long, args), **kwargs)
        return ops.reshape(y, shape=like.array.shape)

    return of_any


@_one_for_each
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """input[i, index[i, j], k...]: the element along `dim` that `index` names.

    `sparse_grad` is accepted; gradients are dense.
    """
    places, axis = _positions(input, dim, index, "gather")
    return ops.take_along_axis(input, indices=places, axis=axis)


def _source(src: Any, places: Any, name: str) -> Any:
    """As much of `src` as the index speaks of; numbers as they are."""
    if not isinstance(src, Variable) or not src.array.ndim:
        return src
    if any(n > m for n, m in zip(places.shape, src.array.shape, strict=False)):
        raise RuntimeError(
            f"{name}: Expected index {list(places.shape)} to be no larger than src "
            f"{list(src.array.shape)}"
        )
    whole = places.shape == src.array.shape
    return src if whole else ops.getitem(src, index=tuple(map(slice, places.shape)))


@_one_for_each
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Tensor | float | None = None,
    value: Tensor | float | None = None, *, reduce: str | None = None,
) -> Tensor:  # fmt: skip
    """input with each element of `src` (or the number) at the position along `dim` of `index`.

    `reduce`: "add" or "multiply" what is there instead of replacing it.
    """
    src = value if src is None else src
    if isinstance(src, Variable) and src.array.dtype != input.array.dtype:
        raise RuntimeError(
            f"scatter(): Expected self.dtype to be equal to src.dtype, got {input.array.dtype} "
            f"and {src.array.dtype}"
        )
    places, axis = _positions(input, dim, index, "scatter")
    if reduce is not None:
        if reduce not in ("add", "multiply"):
            raise RuntimeError(f"reduce argument must be either add or multiply, got {reduce!r}")
        full: Any = src
        if not isinstance(src, Variable):
            full = wrap_plain(xp(places).full(places.shape, src, input.array.dtype))
        return scatter_reduce(input, dim, index, full, "sum" if reduce == "add" else "prod")
    return ops.put(input, _source(src, places, "scatter"), index=grid_along(places, axis))


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """input with each element of `src` added at the position along `dim` of `index`."""
    return scatter_reduce(input, dim, index, src, "sum")


@_one_for_each
@widened
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """What `index` sends to one position, reduced: "sum", "prod", "mean", "amax" or "amin".

    With what stands there, or without it if not `include_self`. Ties share the gradient equally.
    """
    if reduce not in _SCATTERED:
        raise RuntimeError(
            "reduce argument must be either sum, prod, mean, amax or amin, got " + repr(reduce)
        )
    places, axis = _positions(input, dim, index, "scatter_reduce")
    if src.array.dtype != input.array.dtype:
        raise RuntimeError(
            f"scatter(): Expected self.dtype to be equal to src.dtype, got {input.array.dtype} "
            f"and {src.array.dtype}"
        )
    return _SCATTERED[reduce](
        input, _source(src, places, "scatter_reduce"), grid_along(places, axis), include_self
    )


def _added(x: Tensor, src: Tensor, where: Any, include_self: bool) -> Tensor:
    base = x if include_self else ops.put(x, 0, index=where)
    return ops.put_sum(base, src, index=where)


def _averaged(x: Tensor, src: Tensor, where: Any, include_self: bool) -> Tensor:
    ones = xp(src.array).ones_like(src.array)
    count = xp(ones).scatter_add(ones, shape=x.array.shape, index=where) + include_self
    total = _added(x, src, where, include_self)
    count = wrap_plain(xp(count).maximum(count, 1))
    return total / count if x.array.dtype.kind == "f" else ops.floor_divide(total, count)


def _multiplied(x: Tensor, src: Tensor, where: Any, include_self: bool) -> Tensor:
    return ops.put_product(x, src, index=where, include_self=include_self)


def _extremum(name: str) -> Any:
    return lambda x, src, where, include_self: ops.put_extremum(
        x, src, index=where, name=name, include_self=include_self
    )


_SCATTERED = {
    "sum": _added, "mean": _averaged, "prod": _multiplied, "amax": _extremum("maximum"),
    "amin": _extremum("minimum"),
}  # fmt: skip


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """The elements along `dim` that `indices` names, broadcast against the other axes."""
    if dim is None:
        return take(input, ravel(indices))
    axis = axis_index(dim, input.array.ndim)
    if indices.array.ndim != input.array.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, "
            f"but got {input.array.ndim} dimensions for input, and {indices.array.ndim} for indices"
        )
    n = input.array.shape[axis]
    check_positions(indices.array, n, dim, "take_along_dim", lowest=-n)
    x, places = movedim(input, axis, 0), movedim(indices, axis, 0)
    shape = broadcast_tensors(x[:1], places[:1])[0].array.shape[1:]
    x = broadcast_to(x, (x.array.shape[0], *shape))
    places = broadcast_to(places, (places.array.shape[0], *shape))
    return movedim(ops.take_along_axis(x, indices=places.array, axis=0), 0, axis)


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements of the flattened input that `index` names, in its shape."""
    n = input.array.size
    check_positions(index.array, n, 0, "take: out of range", IndexError, lowest=-n)
    return ops.getitem(ravel(input), index=index.array)


# Masks and positions of non-zeros -----------------------------------------------------------------


def _spread_mask(mask: Tensor, name: str) -> Any:
    if mask.array.dtype is not dtypes.bool:
        raise RuntimeError(f"{name}: expected BoolTensor for mask, got {mask.array.dtype}")
    return mask


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where mask is True, in one row."""
    x, where = broadcast_tensors(input, _spread_mask(mask, "masked_select"))
    return ops.getitem(x, index=where.array)


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """input with the elements of `source`, in order, where mask is True."""
    x, where = broadcast_tensors(input, _spread_mask(mask, "masked_scatter"))
    count = int(where.array.sum())
    if count > source.array.size:
        raise RuntimeError(
            f"masked_scatter: expected self and source to match: number of elements of source "
            f"({source.array.size}) < number of ones in mask ({count})"
        )
    return ops.put(x, ops.getitem(ravel(source), index=slice(count)), index=where.array)


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The positions of all elements that are not 0: rows of a matrix, or one tensor per axis."""
    x = input.array
    space = xp(x)
    if as_tuple:
        return tuple(map(wrap_plain, space.nonzero(x if x.ndim else x.reshape(1))))
    if not x.ndim:
        return wrap_plain(space.zeros((int(bool(x)), 0), "int64"))
    return stack([wrap_plain(i) for i in space.nonzero(x)], 1)


def argwhere(input: Tensor) -> Tensor:
    """The positions of all elements that are not 0, as rows."""
    return nonzero(input)
