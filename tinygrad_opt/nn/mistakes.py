"""Lists, arrays and other things that are no Tensors, where a Tensor is due."""

from __future__ import annotations

from typing import Any

from .._tensor import Tensor
from ..public import check_tensor, not_a_tensor

__all__ = ["check_tensor", "explain_missing"]


def explain_missing(module: Any, error: AttributeError, args: tuple[Any, ...]) -> None:
    """Raise TypeError if `error` says that an argument lacks what every Tensor has."""
    if not hasattr(Tensor, error.name or ""):
        return
    for i, value in enumerate(args):
        if type(value) is type(error.obj) and not isinstance(value, Tensor):
            raise TypeError(
                f"{type(module).__name__}: argument {i + 1} must be {not_a_tensor(value)}"
            ) from error
