"""Lists, arrays and other things that are no Tensors, where a Tensor is due."""

from __future__ import annotations

from typing import Any

from .._tensor import Tensor
from ..public import check_tensor, not_a_tensor

__all__ = ["check_tensor", "explain_missing"]


def explain_missing(module: Any, error: Exception, args: tuple[Any, ...]) -> None:
    """Raise TypeError, in terms of the module, if `error` says that an argument is no Tensor."""
    for i, value in enumerate(args):
        if not isinstance(value, Tensor) and _is_about(error, value):
            raise TypeError(
                f"{type(module).__name__}: argument {i + 1} must be {not_a_tensor(value)}"
            ) from error


def _is_about(error: Any, value: Any) -> bool:
    """Whether a function refused the value, or did not find in it what every Tensor has."""
    if isinstance(error, AttributeError):
        return hasattr(Tensor, error.name or "") and type(value) is type(error.obj)
    return hasattr(error, "refused") and error.refused is value
