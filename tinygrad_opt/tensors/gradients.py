"""What may be said of a tensor's gradient by assignment: `requires_grad = ...` and `grad = ...`."""

from __future__ import annotations

from typing import Any

from ..arrays import dtypes
from ..core.node import Variable

__all__ = ["check_float", "check_grad", "set_requires_grad"]


def set_requires_grad(tensor: Any, value: bool) -> None:
    """Switch recording for a leaf. Raises RuntimeError for non-leaves and for integers."""
    if not isinstance(value, bool):
        raise RuntimeError(f"requires_grad must be a bool, got {type(value).__name__}")
    if tensor.node is not None:
        raise RuntimeError(
            "you can only change requires_grad flags of leaf variables. To use a computed value in "
            "a subgraph that doesn't require differentiation use tensor.detach()"
        )
    if value:
        check_float(tensor.array)
    tensor._requires_grad = value


def check_float(array: Any, only: str = "only") -> None:
    """Raise RuntimeError unless `array` may require a gradient (PyTorch says Only when making)."""
    if array.dtype.kind != "f":
        raise RuntimeError(
            f"{only} Tensors of floating point dtype can require gradients, got "
            f"{dtypes.name_of(array.dtype)}; convert it first, for instance with .float()"
        )


def check_grad(tensor: Any, value: Any) -> None:
    """Raise unless `value` is fit to be the gradient of `tensor`."""
    if not isinstance(value, Variable):
        raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type "
                        f"{type(value).__name__}")  # fmt: skip
    if value.array.shape != tensor.array.shape:
        raise RuntimeError(
            f"attempting to assign a gradient of size '{list(value.array.shape)}' to a tensor of "
            f"size '{list(tensor.array.shape)}'. Please ensure that the gradient and the tensor "
            "are the same size"
        )
    if value.array.dtype != tensor.array.dtype:
        raise RuntimeError(
            f"attempting to assign a gradient of type {dtypes.name_of(value.array.dtype)} to a "
            f"tensor of type {dtypes.name_of(tensor.array.dtype)}; they must be the same"
        )
    device: Any = value.device  # type: ignore[attr-defined]
    if device != tensor.device:
        raise RuntimeError(
            f"attempting to assign a gradient on {device} to a tensor on {tensor.device}; they "
            "must be on the same device"
        )
