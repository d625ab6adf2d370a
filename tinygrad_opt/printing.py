"""Tensors as text, the way PyTorch prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import dtypes
from .backend import to_device

if TYPE_CHECKING:
    from ._tensor import Tensor

_DEFAULT_TYPES = (dtypes.int64, dtypes.bool)  # these need no `dtype=` to be read back


def to_text(tensor: Tensor) -> str:
    """`tensor([1., 2.], requires_grad=True)`: values, then whatever is not the default."""
    name = "Parameter containing:\ntensor" if tensor.__class__.__name__ == "Parameter" else "tensor"
    body = _values(np.asarray(to_device(tensor.array, "cpu")))
    parts = [body]
    if tensor.array.size == 0 and tensor.array.ndim != 1:
        parts.append(f"size={tuple(tensor.array.shape)}")
    if tensor.is_cuda:
        parts.append(f"device='{tensor.device}'")
    if tensor.dtype not in (*_DEFAULT_TYPES, dtypes.get_default_dtype()):
        parts.append(f"dtype={tensor.dtype}")
    if tensor.node is not None:
        parts.append(f"grad_fn={tensor.node!r}")
    elif tensor.requires_grad:
        parts.append("requires_grad=True")
    return f"{name}({', '.join(parts)})"


def _values(array: np.ndarray[Any, Any]) -> str:
    if array.size == 0:
        return "[]"
    options: dict[str, Any] = {"separator": ", ", "prefix": "tensor(", "max_line_width": 80}
    if array.dtype.kind == "f":
        finite = array[np.isfinite(array)]
        whole = bool((finite == np.floor(finite)).all())
        options |= {"precision": 4, "floatmode": "maxprec" if whole else "fixed"}
    return np.array2string(array, **options)
