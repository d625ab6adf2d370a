"""Tensors joined, and grids and combinations made of them."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from itertools import combinations as index_combinations
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from .. import ops
from ..arrays.xp import xp
from ..core.errors import axis_index
from ..core.node import Variable
from ..core.promote import promoted, result_type
from ..core.refusals import check_tensor
from ..core.tensor import Tensor
from .shape import broadcast_to, ravel, transpose, unsqueeze

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "cartesian_prod", "cat", "column_stack",
    "combinations", "concat", "concatenate", "dstack", "hstack", "meshgrid", "row_stack", "stack",
    "vstack",
]  # fmt: skip

Tensors = Sequence["Tensor"]


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors joined along `dim`; their other sizes must agree."""
    if not isinstance(tensors, (list, tuple)):
        raise TypeError(
            "cat(): argument 'tensors' (position 1) must be tuple of Tensors, not "
            f"{type(tensors).__name__}; write cat([a, b])"
        )
    parts = list(tensors)
    if not parts:
        raise ValueError("cat: expected a non-empty list of Tensors")
    shape = parts[0].array.shape
    if shape in ((), (0,)) or any(x.array.shape != shape for x in parts):
        parts = _joinable(parts, dim)
    axis_index(dim, parts[0].array.ndim)
    return ops.concatenate(promoted(*parts), axis=dim)


def _joinable(parts: list[Tensor], dim: int) -> list[Tensor]:
    """Those that are joined. Raises RuntimeError where sizes do not agree."""
    # A 1-D tensor without elements may stand beside anything: the start of many loops.
    empty = [x for x in parts if x.array.shape == (0,)]
    if empty:
        kind = result_type(tuple(parts))
        parts = [x.to(kind) for x in parts if x.array.shape != (0,)] or [empty[0].to(kind)]
    for i, part in enumerate(parts):
        if not part.array.ndim:
            raise RuntimeError(
                f"zero-dimensional tensor (at position {i}) cannot be concatenated; use stack"
            )
    shape = parts[0].shape
    joined = axis_index(dim, len(shape))
    for i, part in enumerate(parts):
        if len(part.shape) != len(shape):
            raise RuntimeError(
                f"cat: Tensors must have same number of dimensions: got {len(shape)} and "
                f"{len(part.shape)} (tensor number {i})"
            )
        for axis, (n, m) in enumerate(zip(shape, part.shape, strict=True)):
            if n != m and axis != joined:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {n} "
                    f"but got size {m} for tensor number {i} in the list."
                )
    return parts


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors, all of one shape, along a new axis `dim`."""
    parts = list(tensors)
    if not parts:
        raise RuntimeError("stack expects a non-empty TensorList, got none")
    for i, part in enumerate(parts):
        if part.array.shape != parts[0].array.shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(parts[0].shape)} at "
                f"entry 0 and {list(part.shape)} at entry {i}"
            )
    return ops.stack(promoted(*parts), axis=dim)


def atleast_1d(*tensors: Any) -> Any:
    """0-d tensors as 1-d; a tuple for several tensors."""
    return _each(tensors, "atleast_1d", lambda x: x if x.array.ndim else x.reshape(1))


def atleast_2d(*tensors: Any) -> Any:
    """Tensors of fewer axes as rows (1, n); a tuple for several tensors."""
    return _each(
        tensors,
        "atleast_2d",
        lambda x: x if x.array.ndim > 1 else ops.reshape(x, shape=(1, x.array.size)),
    )


def atleast_3d(*tensors: Any) -> Any:
    """Vectors as (1, n, 1), matrices as (n, m, 1); a tuple for several tensors."""

    def widened(x: Tensor) -> Tensor:
        if x.array.ndim > 2:
            return x
        return unsqueeze(x if x.array.ndim == 2 else atleast_2d(x), -1)

    return _each(tensors, "atleast_3d", widened)


def hstack(tensors: Tensors) -> Tensor:
    """Joined side by side: along the second axis, vectors along their only one."""
    parts = [atleast_1d(x) for x in tensors]
    if not parts:
        raise RuntimeError("hstack expects a non-empty TensorList, got none")
    return cat(parts, 0 if parts[0].array.ndim == 1 else 1)


def vstack(tensors: Tensors) -> Tensor:
    """Joined one below the other; vectors count as rows."""
    return cat([atleast_2d(x) for x in tensors], 0)


def dstack(tensors: Tensors) -> Tensor:
    """Joined along the third axis."""
    return cat([atleast_3d(x) for x in tensors], 2)


def column_stack(tensors: Tensors) -> Tensor:
    """Joined side by side; vectors count as columns."""
    return cat([x if x.array.ndim > 1 else ops.reshape(x, shape=(-1, 1)) for x in tensors], 1)


def _listed(tensors: tuple[Any, ...], name: str) -> list[Any]:
    """The tensors of `f(a, b)` and of `f([a, b])` alike, f being called `name`."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    for x in tensors:
        check_tensor(name, "tensors", x)
    return list(tensors)


def _each(tensors: tuple[Any, ...], name: str, function: Any) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], Variable):
        return function(tensors[0])
    return tuple(function(x) for x in _listed(tensors, name))


# Grids and combinations ---------------------------------------------------------------------------


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """The coordinates of a grid: each 1-D tensor spread over the axes of all the others.

    `indexing="xy"` exchanges the first two axes, as in plots.
    """
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(
            f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    for x in _listed(tensors, "meshgrid"):
        if x.array.ndim > 1:
            raise RuntimeError(
                "meshgrid: Expected 0D or 1D tensor in the tensor list but got: "
                f"{list(x.array.shape)}"
            )
    lines = [ravel(x) for x in _listed(tensors, "meshgrid")]
    shape = tuple(x.array.size for x in lines)
    grids = []
    for i, x in enumerate(lines):
        spread = tuple(-1 if i == j else 1 for j in range(len(lines)))
        grids.append(broadcast_to(ops.reshape(x, shape=spread), shape))
    if indexing == "xy" and len(lines) > 1:
        grids = [transpose(grid, 0, 1) for grid in grids]
    return tuple(grids)


def block_diag(*tensors: Tensor) -> Tensor:
    """A matrix with the given ones along its diagonal, 0 elsewhere."""
    blocks = [atleast_2d(x) for x in tensors]
    for i, x in enumerate(blocks):
        if x.array.ndim > 2:
            raise RuntimeError(
                "block_diag: Input tensors must have 2 or fewer dimensions. Input "
                f"{i} has {x.array.ndim} dimensions"
            )
    width = builtins.sum(x.array.shape[1] for x in blocks)
    rows, left = [], 0
    for x in blocks:
        n, m = x.array.shape
        empty = xp(x.array).zeros((n, width), x.array.dtype)
        rows.append(ops.put(empty, x, index=(slice(None), slice(left, left + m))))
        left += m
    return cat(rows, 0)


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All combinations of one element from each vector, as rows."""
    for x in tensors:
        if x.array.ndim != 1:
            raise RuntimeError(f"cartesian_prod: Expect a 1D vector, but got shape {x.array.shape}")
    if len(tensors) == 1:
        return tensors[0]
    return stack([ravel(grid) for grid in meshgrid(*tensors)], 1)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of r elements of a vector, as rows."""
    if input.array.ndim != 1:
        raise RuntimeError(f"combinations: Expect a 1D vector, but got shape {input.array.shape}")
    choose = combinations_with_replacement if with_replacement else index_combinations
    chosen = np.array(list(choose(range(input.array.size), r)), np.int64).reshape(-1, r)
    return ops.getitem(input, index=xp(input.array).asarray(chosen))


concat = concatenate = cat
row_stack = vstack
