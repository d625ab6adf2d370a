"""Lists, arrays and other things that are no Tensors, where a Tensor is due."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._tensor import Tensor

__all__ = ["check_tensor", "explain_missing"]

_HINTS: dict[type, str] = {
    np.ndarray: "convert it with from_numpy(array), and .float() where it is float64",
    list: "make one of it with tensor(...)",
    tuple: "unpack it: recurrent layers, for instance, return (output, state)",
    type(None): "does the forward before it return its result?",
}
_ANY = "make one of it with tensor(...)"


def check_tensor(name: str, argument: str, value: Any) -> None:
    """Raise TypeError unless `value`, the `argument` of the function `name`, is a Tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}(): argument '{argument}' must be {_must_be_tensor(value)}")


def explain_missing(module: Any, error: AttributeError, args: tuple[Any, ...]) -> None:
    """Raise TypeError if `error` says that an argument lacks what every Tensor has."""
    if not hasattr(Tensor, error.name or ""):
        return
    for i, value in enumerate(args):
        if type(value) is type(error.obj) and not isinstance(value, Tensor):
            raise TypeError(
                f"{type(module).__name__}: argument {i + 1} must be {_must_be_tensor(value)}"
            ) from error


def _must_be_tensor(value: Any) -> str:
    kind = "numpy.ndarray" if isinstance(value, np.ndarray) else type(value).__name__
    return f"Tensor, not {kind}; {_HINTS.get(type(value), _ANY)}"
