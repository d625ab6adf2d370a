"""vmap: a function of one example applied to a batch, by a loop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .. import functions, ops
from ..arrays.size import WHOLE
from ..core.node import Variable
from .tree import flatten, leaves, map_leaves

__all__ = ["vmap"]


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """A function that applies `func` to every entry along an axis, and stacks what comes out.

    `in_dims`: the axis of each argument, None for those that stay whole; one for all, or a tuple.
    `out_dims`: where the axis goes in the results. It is a loop: for each entry `func` runs once,
    so it may do anything, draw random numbers too (`randomness` and `chunk_size` are accepted), but
    nothing runs faster than written out by hand.

    >>> vmap(lambda x: (x * x).sum())(tensor([[1.0, 1.0], [1.0, 2.0]]))
    tensor([2., 5.])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            f"Only allowed values for randomness are 'error', 'different', or 'same'. Got "
            f"{randomness}"
        )

    def batched(*args: Any, **kwargs: Any) -> Any:
        dims = _dims(args, in_dims)
        size = _size(args, dims)
        parts = []
        for i in range(size):
            example = [_at(x, d, i) for x, d in zip(args, dims, strict=True)]
            whole = map_leaves(functools.partial(_part, dim=0, i=i), kwargs)  # keywords: axis 0
            parts.append(func(*example, **whole))
        return _stacked(parts, out_dims)

    return batched


def _dims(args: tuple[Any, ...], in_dims: Any) -> tuple[Any, ...]:
    if not args:
        raise ValueError("vmap: got no inputs. Maybe you forgot to add inputs?")
    if in_dims is None or isinstance(in_dims, WHOLE):
        return (in_dims,) * len(args)
    if len(in_dims) != len(args):
        raise ValueError(
            f"vmap: in_dims is not compatible with the structure of inputs: it has {len(in_dims)} "
            f"entries for {len(args)} arguments"
        )
    return tuple(in_dims)


def _pairs(x: Any, dims: Any) -> list[tuple[Any, int | None]]:
    """Every Tensor of an argument with its axis; `dims` is one for all, or of its structure."""
    if dims is None or isinstance(dims, WHOLE):
        return [(leaf, dims) for leaf in leaves(x)]
    parts, axes = (list(t.values()) if isinstance(t, dict) else list(t) for t in (x, dims))
    return [pair for part, d in zip(parts, axes, strict=True) for pair in _pairs(part, d)]


def _size(args: tuple[Any, ...], dims: tuple[Any, ...]) -> int:
    pairs = [(x, d) for arg, dim in zip(args, dims, strict=True) for x, d in _pairs(arg, dim)]
    for x, d in pairs:
        if d is not None and not isinstance(x, Variable):
            raise ValueError(
                f"vmap: Got in_dim={d} for an input of type {type(x).__name__}, which has no axes; "
                "use None for it"
            )
    sizes = {x.shape[d] for x, d in pairs if d is not None}
    if not sizes:
        raise ValueError("vmap: at least one input must have an axis to map over, not None")
    if len(sizes) > 1:
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{sorted(sizes)} for the mapped dimension"
        )
    return int(sizes.pop())


def _at(x: Any, dims: Any, i: int) -> Any:
    _, back = flatten(x)
    return back([_part(leaf, d, i) for leaf, d in _pairs(x, dims)])


def _part(x: Any, dim: int | None, i: int) -> Any:
    if dim is None or not isinstance(x, Variable):
        return x
    array: Any = x
    axis = dim % max(array.ndim, 1)
    return array[(slice(None),) * axis + (i,)]


def _stacked(parts: list[Any], out_dims: Any) -> Any:
    if not parts:
        raise ValueError("vmap: cannot map over an axis of length 0: there is no result to stack")
    _, back = flatten(parts[0])
    columns = list(zip(*(leaves(part) for part in parts), strict=True))
    dims = _out_dims(parts[0], out_dims, len(columns))
    return back([_stack(c, d) for c, d in zip(columns, dims, strict=True)])


def _out_dims(example: Any, out_dims: Any, n: int) -> list[Any]:
    if out_dims is None or isinstance(out_dims, WHOLE):
        return [out_dims] * n
    if not isinstance(example, tuple) or len(example) != len(out_dims):
        raise ValueError("vmap: out_dims is not compatible with the structure of the outputs")
    return [d for part, d in zip(example, out_dims, strict=True) for _ in leaves(part)]


def _stack(column: tuple[Any, ...], dim: int | None) -> Any:
    if not all(isinstance(x, Variable) for x in column):
        raise ValueError(
            f"vmap: the function must only return Tensors, got type {type(column[0]).__name__}"
        )
    return column[0] if dim is None else functions.movedim(ops.stack(column), 0, dim)
