"""Products of vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import ops
from .shape import unsqueeze

if TYPE_CHECKING:
    from .._tensor import Tensor

__all__ = ["dot", "matmul", "outer"]


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """input[:, None] * vec2[None, :]. Raises RuntimeError unless both are vectors."""
    for name, x in (("self", input), ("vec2", vec2)):
        if x.array.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {x.array.ndim}-D")
    return ops.mul(unsqueeze(input, 1), unsqueeze(vec2, 0))


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors."""
    if input.array.ndim != 1 or tensor.array.ndim != 1:
        raise RuntimeError(
            f"dot: 1D tensors expected, but got {input.array.ndim}D and "
            f"{tensor.array.ndim}D tensors"
        )
    return ops.matmul(input, tensor)


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product, with vectors as rows (left) or columns (right); batches broadcast."""
    return ops.matmul(input, other)
