"""What a pullback returned, made to fit the input that it belongs to: its shape, and its type."""

from __future__ import annotations

from typing import Any

from ..arrays.unwritten import Unwritten
from ..arrays.xp import xp
from .node import Node

__all__ = ["fitted", "reduce_to"]


def fitted(g: Any, array: Any, node: Node, place: Any = None) -> Any:
    """A pullback's result in the shape and dtype of the input that it belongs to."""
    g = g.whole(place) if isinstance(g, Unwritten) else g
    if g.shape != array.shape:
        g = reduce_to(g, array.shape, node.op.__name__)
    return g if g.dtype == array.dtype else xp(g).cast(g, dtype=array.dtype)


def reduce_to(g: Any, shape: tuple[int, ...], made_by: str) -> Any:
    """Sum a gradient down to `shape`, undoing the broadcast that the forward pass did."""
    extra = len(g.shape) - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + i for i, n in enumerate(shape) if n == 1 and g.shape[extra + i] != 1
    )
    kept = g.shape[max(extra, 0) :]
    if extra < 0 or any(n not in (1, m) for n, m in zip(shape, kept, strict=True)):
        raise RuntimeError(
            f"{made_by}: a pullback returned a gradient of shape {tuple(g.shape)} for an input of "
            f"shape {shape}; it must return the input's shape, or one that broadcast from it"
        )
    if axes:
        g = xp(g).sum(g, axis=axes, keepdims=True)
    return g.reshape(shape)
