"""What stands around a linear layer's product: the formula, written with the array protocol.

On CuPy's arrays it is a kernel of `on_device/norms.py`; `ops/dense.py` makes an operation of it.
"""

from __future__ import annotations

from typing import Any

__all__ = ["epilogue"]


def epilogue(space: Any, z: Any, bias: Any, residual: Any, relu: bool) -> Any:
    """z (rows, n) + bias + residual, either of which may be None; or max(., 0) of it."""
    z = z if bias is None else z + bias
    z = z if residual is None else z + residual
    return space.maximum(z, 0) if relu else z
