"""The element types as users see them: `torch.float32`, with the attributes of PyTorch's.

Inside the package types are `numpy.dtype` objects, as arrays have them (`dtypes.py`). A `dtype`
stands for one of those: NumPy takes it wherever it takes its own, the two are equal and have the
same hash, and what it is asked beyond PyTorch's attributes (`kind`, `name`) it hands on.
"""

from __future__ import annotations

import builtins
from typing import Any, TypeAlias

import numpy as np

from . import dtypes

__all__ = [
    "bfloat16", "bool", "cdouble", "cfloat", "complex64", "complex128", "double", "dtype", "float",
    "float16", "float32", "float64", "get_default_dtype", "half", "int", "int8", "int16", "int32",
    "int64", "long", "promote_types", "short", "type_of", "uint8",
]  # fmt: skip

NDArray: TypeAlias = np.ndarray[Any, Any]  # for the stubs, which say no more of NumPy

_REAL = {"complex64": "float32", "complex128": "float64"}
_COMPLEX = {"float32": "complex64", "float64": "complex128"}


class dtype:
    """The type of a tensor's elements, as `torch.dtype`; there is one object of each.

    is_floating_point, is_complex, is_signed   what the elements are
    itemsize                                   bytes per element
    dtype                                      the `numpy.dtype`

    >>> float32
    torch.float32
    >>> tensor([1, 2]).dtype.is_floating_point
    False
    """

    __slots__ = ("_hash", "_name", "_numpy", "is_complex", "is_floating_point", "is_signed",
                 "itemsize", "kind")  # fmt: skip

    is_floating_point: builtins.bool
    is_complex: builtins.bool
    is_signed: builtins.bool
    itemsize: builtins.int
    kind: str
    _name: str
    _numpy: Any
    _hash: builtins.int

    def __new__(cls, *args: Any, **kwargs: Any) -> dtype:
        raise TypeError("dtype: there is one object of each type; say float32, int64, ...")

    @property
    def dtype(self) -> Any:
        """The `numpy.dtype`; TypeError for bfloat16, which NumPy lacks."""
        if self._numpy is None:
            raise TypeError(
                f"{self}: tensors here have no elements of this type, since NumPy has none; use "
                "float32, or float16 for what is only stored"
            )
        return self._numpy

    def to_real(self) -> Any:
        """The type of the real part."""
        return _BY_NAME[_REAL.get(self._name, self._name)]

    def to_complex(self) -> Any:
        """The complex type of this precision. Raises RuntimeError where there is none."""
        name = self._name if self.is_complex else _COMPLEX.get(self._name)
        if name is None:
            raise RuntimeError(f"{self}: there is no complex type of this precision")
        return _BY_NAME[name]

    def __eq__(self, other: object) -> builtins.bool:
        if type(other) is dtype:
            return self is other
        if other is None or self._numpy is None:  # NumPy takes None for float64
            return False
        return builtins.bool(self._numpy == other)

    def __hash__(self) -> builtins.int:
        return self._hash

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"torch.dtype has no attribute {name!r}")
        return getattr(self.dtype, name)

    def __repr__(self) -> str:
        return f"torch.{self._name}"

    def __reduce__(self) -> str:
        return self._name


def _made(name: str, numpy: np.dtype[Any] | None) -> dtype:
    made = object.__new__(dtype)
    made._name, made._numpy = name, numpy
    made._hash = hash(name if numpy is None else numpy)
    made.kind = "f" if numpy is None else numpy.kind
    made.itemsize = 2 if numpy is None else numpy.itemsize
    made.is_floating_point, made.is_complex = made.kind == "f", made.kind == "c"
    made.is_signed = made.kind not in "ub"
    return made


class _Types(dict[Any, dtype]):
    """{numpy.dtype: ours}, made when it is first asked for."""

    def __missing__(self, numpy: np.dtype[Any]) -> dtype:
        self[numpy] = _BY_NAME[numpy.name] = made = _made(numpy.name, numpy)
        return made


_BY_NAME: dict[str, dtype] = {}
_TYPES = _Types()
type_of = _TYPES.__getitem__  # from a numpy.dtype, or one of ours, to ours

float16 = half = type_of(np.dtype("float16"))
float32 = float = type_of(np.dtype("float32"))
float64 = double = type_of(np.dtype("float64"))
complex64 = cfloat = type_of(np.dtype("complex64"))
complex128 = cdouble = type_of(np.dtype("complex128"))
int8 = type_of(np.dtype("int8"))
int16 = short = type_of(np.dtype("int16"))
int32 = int = type_of(np.dtype("int32"))
int64 = long = type_of(np.dtype("int64"))
uint8 = type_of(np.dtype("uint8"))
bool = type_of(np.dtype("bool"))

# A name alone: for autocast, and for tables that choose a type.
bfloat16 = _BY_NAME["bfloat16"] = _made("bfloat16", None)


def get_default_dtype() -> dtype:
    """The float type of new tensors that name none: float32 unless changed."""
    return type_of(dtypes.get_default_dtype())


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The type that holds the values of both: a float type beside an integer type wins."""
    return type_of(dtypes.promote_types(np.dtype(type1), np.dtype(type2)))
