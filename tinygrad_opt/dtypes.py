"""The element types, by PyTorch's names. They are plain `numpy.dtype` objects."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

__all__ = [
    "bool",
    "double",
    "float",
    "float16",
    "float32",
    "float64",
    "get_default_dtype",
    "half",
    "int",
    "int8",
    "int16",
    "int32",
    "int64",
    "long",
    "set_default_dtype",
    "short",
    "uint8",
]  # fmt: skip

DType = np.dtype[Any]

float16 = half = np.dtype("float16")
float32 = float = np.dtype("float32")
float64 = double = np.dtype("float64")
int8 = np.dtype("int8")
int16 = short = np.dtype("int16")
int32 = int = np.dtype("int32")
int64 = long = np.dtype("int64")
uint8 = np.dtype("uint8")
bool = np.dtype("bool")

# PyTorch's names for messages: "expected Float but got Long"
NAMES = {
    float16: "Half", float32: "Float", float64: "Double", int8: "Char", int16: "Short",
    int32: "Int", int64: "Long", uint8: "Byte", bool: "Bool",
}  # fmt: skip

_default = float32


def get_default_dtype() -> DType:
    """The float type of new tensors that name none: float32 unless changed."""
    return _default


def set_default_dtype(dtype: DType) -> None:
    """Makes `dtype` (float32 or float64) the type of new float tensors that name none.

    Raises TypeError for anything that is not a floating-point dtype.
    """
    global _default
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"only floating-point types are supported as the default type, got {dtype}")
    _default = dtype


def of_scalar(value: Any) -> DType:
    """The dtype that PyTorch gives a Python scalar: bool, int64, or the default float."""
    if isinstance(value, (np.bool_, builtins.bool)):
        return bool
    if isinstance(value, (np.integer, builtins.int)):
        return int64
    return _default


def name_of(dtype: DType) -> str:
    """PyTorch's name of a dtype in messages: `Float` for float32, `Long` for int64."""
    return NAMES.get(dtype, str(dtype))
