"""The constructors of old: `Tensor([1, 2])`, and by type `FloatTensor([1, 2])`, `LongTensor(2, 3)`.

They make their own type, whatever the data: numbers are converted, and an array is, if it is not
of that type already (then they share its memory). Integers are lengths of axes, without data.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..arrays import dtypes
from ..arrays.device import Device, shared
from ..arrays.quiet import quiet_cast
from ..arrays.size import Size
from ..core.tensor import Tensor, wrap_plain
from .creation import empty, no_number, tensor

__all__ = [
    "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor", "HalfTensor",
    "IntTensor", "LongTensor", "ShortTensor",
]  # fmt: skip


def contents(
    name: str, dtype: Any, /, *args: Any, data: Any = None, size: Any = None, device: Any = None,
    **unknown: Any,
) -> Any:  # fmt: skip
    """The Tensor, given or made, whose memory the constructor `name` hands out.

    Raises TypeError for what is neither lengths nor data, ValueError for ragged sequences,
    RuntimeError for a device other than the CPU.
    """
    if data is not None:
        args = (*args, data)
    if size is not None:
        args = (*args, Size(size))
    lengths = bool(args) and all(map(_is_length, args))
    if unknown or not (lengths or len(args) <= 1):
        raise TypeError(
            f"{name}() takes data, or the lengths of axes, and got "
            f"({', '.join([*(type(x).__name__ for x in args), *(f'{k}=' for k in unknown)])}); "
            "tensor(data, dtype=..., requires_grad=...) takes more"
        )
    if device is not None and Device(device).type != "cpu":
        raise RuntimeError(
            f"{name}: legacy constructor expects device type: cpu but device type: "
            f"{Device(device).type} was passed; write tensor(data, device=...)"
        )
    if lengths or not args:
        return empty(tuple(map(operator.index, args)) or 0, dtype=dtype)
    return _converted(name, args[0], dtype)


def _is_length(x: Any) -> bool:
    if isinstance(x, (bool, np.bool_)):
        return False
    return isinstance(x, (int, np.integer)) or (
        getattr(x, "shape", None) == () and x.dtype.kind in "iu"
    )


def _converted(name: str, data: Any, dtype: Any) -> Tensor:
    if isinstance(data, Tensor):
        return data
    if isinstance(data, Size):
        return empty(data, dtype=dtype)
    if hasattr(data, "__cuda_array_interface__"):
        return wrap_plain(shared(data).astype(dtype, copy=False))
    if isinstance(data, np.ndarray):
        array = dtypes.held(data, name)
        return wrap_plain(array if array.dtype == dtype else quiet_cast(array, dtype))
    if isinstance(data, (str, bytes)):
        raise TypeError(f"{name}: invalid data type '{type(data).__name__}'")
    if isinstance(data, dict) or not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
        raise TypeError(
            f"{name}: data must be a sequence (got {type(data).__name__}); "
            "tensor(data) takes numbers too"
        )
    try:
        return tensor(data, dtype=dtype)
    except RuntimeError:
        kind = no_number(data)
        if kind is None:
            raise
        raise TypeError(f"{name}: must be real number, not {kind.__name__}") from None


class _OfType(type):
    """A constructor for one type. `isinstance(x, FloatTensor)`: whether x is of that type."""

    dtype: Any  # NumPy takes the constructor for a type: x.type(FloatTensor)

    def __call__(cls, *args: Any, **named: Any) -> Any:
        made = contents(cls.__name__, cls.dtype, *args, **named)
        if made.dtype != cls.dtype:
            raise TypeError(
                f"{cls.__name__}: expected a tensor of {cls.dtype}, got {made.dtype}; convert it "
                "with .to()"
            )
        return made.as_subclass(Tensor)

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, Tensor) and x.dtype == cls.dtype


def _constructor(dtype: Any) -> Any:
    return _OfType(
        f"{dtypes.name_of(dtype)}Tensor",
        (),
        {
            "dtype": dtype,
            "__module__": __name__,
            "__doc__": f"A tensor of {dtype}: of the given data, or of the given size with "
            "whatever its memory holds. New code says `tensor(data, dtype=...)`.",
        },
    )


HalfTensor, FloatTensor, DoubleTensor, CharTensor, ShortTensor, IntTensor, LongTensor = map(
    _constructor,
    (dtypes.float16, dtypes.float32, dtypes.float64, dtypes.int8, dtypes.int16, dtypes.int32,
     dtypes.int64),
)  # fmt: skip
ByteTensor, BoolTensor = _constructor(dtypes.uint8), _constructor(dtypes.bool)


class Constructor(Tensor):
    """`Tensor(...)` itself; `methods.py` binds it."""

    __slots__ = ()

    def __new__(cls, *args: Any, **named: Any) -> Any:
        return contents("Tensor", dtypes.get_default_dtype(), *args, **named).as_subclass(cls)
