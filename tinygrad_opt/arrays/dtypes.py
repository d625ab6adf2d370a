"""The element types, by PyTorch's names. They are plain `numpy.dtype` objects."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

__all__ = [
    "bool", "can_cast", "cdouble", "cfloat", "complex64", "complex128", "double", "finfo", "float",
    "float16", "float32", "float64", "get_default_dtype", "half", "iinfo", "int", "int8", "int16",
    "int32", "int64", "long", "promote_types", "set_default_dtype", "short", "uint8",
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
complex64 = cfloat = np.dtype("complex64")
complex128 = cdouble = np.dtype("complex128")

# PyTorch's names for messages: "expected Float but got Long"
NAMES: dict[DType, str] = {
    float16: "Half", float32: "Float", float64: "Double", int8: "Char", int16: "Short",
    int32: "Int", int64: "Long", uint8: "Byte", bool: "Bool", complex64: "ComplexFloat",
    complex128: "ComplexDouble",
}  # fmt: skip

_default = float32


def get_default_dtype() -> DType:
    """The float type of new tensors that name none: float32 unless changed."""
    return _default


def set_default_dtype(d: DType) -> None:
    """Makes `d` (float32 or float64) the type of new float tensors that name none.

    Raises TypeError for anything that is not a floating-point dtype.
    """
    global _default
    dtype = np.dtype(d)
    if dtype.kind != "f":
        raise TypeError(f"only floating-point types are supported as the default type, got {dtype}")
    _default = dtype


class finfo:
    """The limits of a float type: `eps`, `max`, `min`, `tiny`, `smallest_normal`, `resolution`."""

    def __init__(self, dtype: Any = None) -> None:
        dtype = np.dtype(_default if dtype is None else dtype)
        if dtype.kind != "f":
            raise TypeError(
                f"finfo() requires a floating point input type, got {dtype}. Use iinfo to handle it"
            )
        limits = np.finfo(dtype)
        self.bits, self.dtype = builtins.int(limits.bits), dtype.name
        self.max, self.min, self.eps = map(builtins.float, (limits.max, limits.min, limits.eps))
        self.tiny = self.smallest_normal = builtins.float(limits.tiny)
        self.resolution = builtins.float(f"1e-{limits.precision}")

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.tiny:g}, tiny={self.tiny:g}, "
            f"dtype={self.dtype})"
        )


class iinfo:
    """The limits of an integer type: `max`, `min`, `bits`."""

    def __init__(self, dtype: Any) -> None:
        dtype = np.dtype(dtype)
        if dtype.kind not in "iu":
            raise TypeError(f"iinfo() requires an integer input type, got {dtype}. Use finfo")
        limits = np.iinfo(dtype)
        self.bits, self.dtype = builtins.int(limits.bits), dtype.name
        self.max, self.min = builtins.int(limits.max), builtins.int(limits.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


def promote_types(type1: DType, type2: DType) -> DType:
    """The type that holds the values of both: a float type beside an integer type wins."""
    floats = [t for t in (type1, type2) if t.kind in "fc"]
    return np.result_type(*(floats or (type1, type2)))


def can_cast(from_: DType, to: DType) -> builtins.bool:
    """Whether a result may be stored so: not floats as integers, nor numbers as bools."""
    rank = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
    return rank[from_.kind] <= rank[to.kind]


def of_scalar(value: Any) -> DType:
    """The dtype that PyTorch gives a Python scalar: bool, int64, or the default float."""
    if isinstance(value, (np.bool_, builtins.bool)):
        return bool
    if isinstance(value, (np.integer, builtins.int)):
        return int64
    if isinstance(value, (np.complexfloating, complex)):
        return complex_of(_default)
    return _default


def complex_of(dtype: DType) -> DType:
    """The complex type of the precision of a float type."""
    return np.result_type(dtype, np.complex64)


def named(name: str) -> tuple[DType, str]:
    """The dtype and the device that "torch.FloatTensor" or "torch.cuda.FloatTensor" names.

    Raises ValueError for any other name.
    """
    kinds: dict[str, Any] = {f"{word}Tensor": dtype for dtype, word in NAMES.items()}
    library, _, kind = name.rpartition(".")
    if library not in ("torch", "torch.cuda") or kind not in kinds:
        raise ValueError(f"invalid type: {name!r}; expected a dtype, or a name such as "
                         "'torch.FloatTensor'")  # fmt: skip
    return kinds[kind], "cuda" if library.endswith("cuda") else "cpu"


def name_of(dtype: Any) -> str:
    """PyTorch's name of a dtype in messages: `Float` for float32, `Long` for int64."""
    return NAMES.get(dtype, str(dtype))


def held(array: Any, name: str, dtype: Any = None) -> Any:
    """A NumPy array as tensors hold it: plain, aligned, in this machine's byte order.

    Itself if it is so, else a copy. `dtype`: what it will be converted to, if anything.
    Raises TypeError for masked arrays, and for types that tensors do not have.
    """
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name}: a masked array would lose its mask; say array.filled(value)")
    kind = array.dtype.newbyteorder("=")
    if kind not in NAMES and (dtype is None or kind.kind not in "iu"):
        raise TypeError(
            f"{name}: can't convert np.ndarray of type {array.dtype}. The only supported types "
            f"are: {', '.join(str(dtype) for dtype in NAMES)}; convert it with .astype()"
        )
    if kind != array.dtype or not array.flags.aligned:
        return np.array(array, kind, subok=False)
    return np.asarray(array)
