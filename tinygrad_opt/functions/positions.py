"""Positions by one number: in the flattened tensor, and in its memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..arrays import dtypes
from ..core.half import widened
from ..core.tensor import Tensor, wrap_plain
from .index import _SCATTERED, _as_vector, _check_slices, _listed, check_positions
from .shape import ravel

__all__ = ["as_strided", "index_reduce", "put", "unravel_index"]


def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """input with the elements of `source` at the positions `index` of the flattened tensor.

    Instead of what is there, or added to it with `accumulate`.
    """
    n = input.array.size
    if index.array.size != source.array.size:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got source "
            f"with {source.array.size} and index with {index.array.size}"
        )
    if source.array.dtype != input.array.dtype:
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{dtypes.name_of(input.array.dtype)} and source.dtype = "
            f"{dtypes.name_of(source.array.dtype)}"
        )
    check_positions(index.array, n, 0, "put_(): out of range", IndexError, lowest=-n)
    where, values = index.array.reshape(-1), ravel(source)
    if accumulate:
        added = ops.scatter_add(values, shape=(n,), index=where)
        return ops.add(input, ops.reshape(added, shape=input.array.shape))
    return ops.reshape(ops.put(ravel(input), values, index=where), shape=input.array.shape)


@_as_vector
@widened
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *,
    include_self: bool = True,
) -> Tensor:  # fmt: skip
    """input with the slices of `source` reduced where `index` says: "prod", "mean", "amax", "amin".

    With what stands there, or without it if not `include_self`.
    """
    if reduce not in _SCATTERED or reduce == "sum":
        raise RuntimeError(
            "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got "
            f"{reduce}."
        )
    where = _listed(input, dim, index, "index_reduce")
    _check_slices("index_reduce", input, dim, index, source)
    return _SCATTERED[reduce](input, source, where, include_self)


def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """The places along each axis of a tensor of `shape` of positions in the flattened one."""
    sizes = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(map(int, shape))
    if indices.array.dtype.kind not in "iu":
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    if any(n < 0 for n in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {sizes}")
    rest, found = indices.array, []
    for n in reversed(sizes):
        found.append(wrap_plain(rest % n))
        rest = rest // n
    return tuple(reversed(found))


def as_strided(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """The elements of the memory of `input` at storage_offset + sum(stride[i] * place[i]).

    For reading: backward adds up what several places share. Raises RuntimeError for places outside
    of `input`, and for an input whose elements have gaps between them in memory.
    """
    sizes, strides = tuple(map(int, size)), tuple(map(int, stride))
    if len(sizes) != len(strides):
        raise RuntimeError("mismatch in length of strides and shape")
    if any(n < 0 for n in strides):
        raise RuntimeError(f"as_strided: Negative strides are not supported, got {list(strides)}")
    offset = 0 if storage_offset is None else int(storage_offset) - input.storage_offset()
    dense = _in_memory_order(input)
    top = offset + sum((n - 1) * k for n, k in zip(sizes, strides, strict=True))
    if 0 not in sizes and not 0 <= offset <= top < dense.array.size:
        raise RuntimeError(
            f"as_strided: size {list(sizes)}, stride {list(strides)} and offset {offset} reach "
            f"outside of the {dense.array.size} elements of the input"
        )
    return ops.as_strided(dense, size=sizes, stride=strides, offset=offset)


def _in_memory_order(input: Tensor) -> Tensor:
    """The input with its axes in the order of its memory, without gaps."""
    x = input.array
    order = tuple(sorted(range(x.ndim), key=lambda i: -x.strides[i]))
    dense = input if order == tuple(range(x.ndim)) else ops.transpose(input, axes=order)
    if not dense.array.flags.c_contiguous:
        raise RuntimeError(
            "as_strided: the elements of the input have gaps between them in memory; call "
            "contiguous() on it first"
        )
    return dense
