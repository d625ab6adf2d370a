"""Questions about tensors, and types of results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..autograd import promote
from ..autograd.graph import Variable

if TYPE_CHECKING:
    from .._tensor import Tensor

__all__ = [
    "is_floating_point", "is_nonzero", "is_same_size", "is_signed", "is_tensor", "numel",
    "result_type",
]  # fmt: skip


def is_tensor(obj: Any) -> bool:
    """Whether the object is a Tensor."""
    return isinstance(obj, Variable)


def is_floating_point(input: Tensor) -> bool:
    """Whether the elements are floats."""
    return bool(input.array.dtype.kind == "f")


def is_signed(input: Tensor) -> bool:
    """Whether the type can hold negative numbers."""
    return input.array.dtype.kind in "if"


def is_nonzero(input: Tensor) -> bool:
    """Whether the single element is not 0. RuntimeError for more or fewer elements."""
    return bool(input)


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape."""
    return tuple(input.array.shape) == tuple(other.array.shape)


def numel(input: Tensor) -> int:
    """The number of elements."""
    return int(input.array.size)


def result_type(tensor: Tensor | float, other: Tensor | float) -> Any:
    """The type of arithmetic between the two: tensors or numbers."""
    return promote.result_type(
        tuple(x.array if isinstance(x, Variable) else x for x in (tensor, other))
    )
