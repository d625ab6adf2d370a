"""What layers say of mistakes: arguments that are not Tensors, mixed devices; and warnings."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from types import FrameType
from typing import Any

from ..arrays.device import device_of
from ..arrays.dtypes import name_of
from ..core.refusals import check_tensor, not_a_tensor
from ..core.tensor import Tensor

__all__ = ["check_devices", "check_one_type", "check_tensor", "explain_missing", "warn_caller"]


def explain_missing(module: Any, error: Exception, args: tuple[Any, ...]) -> None:
    """Raise TypeError, in terms of the module, if `error` says that an argument is not a Tensor."""
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


def check_devices(name: str, x: Any, index: Any) -> None:
    """Raise RuntimeError unless two raw arrays lie on the same device.

    For integers that operations take as constants: the operations themselves do not look at them.
    """
    if type(x) is type(index):
        return  # NumPy and NumPy: the usual case, decided at once
    if device_of(x) != device_of(index):
        raise RuntimeError(
            f"{name}: Expected all tensors to be on the same device, but found {device_of(x)} and "
            f"{device_of(index)}; move one of them with .to(device)"
        )


def check_one_type(name: str, weights: Iterable[Any]) -> None:
    """Raise RuntimeError unless a layer's weights, those that are there, are of one type."""
    types = dict.fromkeys(w.array.dtype for w in weights if w is not None)
    if len(types) > 1:
        first, other, *_ = types
        raise RuntimeError(
            f"{name}: self and mat2 must have the same dtype, but got {name_of(other)} and "
            f"{name_of(first)} (two of the layer's weights)"
        )


# Warnings that point to the line of the user's program which led to them --------------------------


_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Warns at the nearest line outside of this package, through however many of its functions."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_ours(frame: FrameType) -> bool:
    name = frame.f_code.co_filename
    return name.startswith((_PACKAGE, "<arguments of "))  # these check a public function's
