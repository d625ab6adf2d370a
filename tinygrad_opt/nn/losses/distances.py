"""Distances and angles between vectors."""

from __future__ import annotations

from typing import Any

from ... import functions, ops
from ...core.half import widened
from ...core.public import publish
from ...core.tensor import Tensor
from ...functions.reduce import axis_of
from ..layer import Layer, settings
from ..module import Module

__all__ = [
    "CosineSimilarity", "PairwiseDistance", "cosine_similarity", "normalize", "pairwise_distance",
]  # fmt: skip


@widened
def normalize(
    input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Any = None
) -> Tensor:
    """`input` divided by its p-norm along `dim`, but by no less than eps."""
    y = input / functions.norm(input, p, dim, keepdim=True).clip(min=eps)
    return y if out is None else out.copy_(y)


@widened
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along `dim`, whose norms count as at least eps."""
    if x1.array.shape != x2.array.shape:
        x1, x2 = functions.broadcast_tensors(x1, x2)
    if "c" not in (x1.array.dtype.kind, x2.array.dtype.kind):
        return ops.cosine(x1, x2, axis=axis_of(dim), eps=eps)
    a, b = (x / ops.clip(functions.norm(x, 2, dim, keepdim=True), min=eps) for x in (x1, x2))
    return functions.sum(a * b, dim)


class CosineSimilarity(Layer):
    @settings(cosine_similarity, 2)
    def __init__(self) -> None: ...


@widened
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last axis."""
    return functions.norm(x1 - x2 + eps, p, -1, keepdim)


class PairwiseDistance(Module):
    """The p-norm of the difference along the last axis; see `functional.pairwise_distance`."""

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


publish(globals(), __all__)
