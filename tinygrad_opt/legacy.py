"""The constructors of old by type: `FloatTensor([1, 2])`, `LongTensor(2, 3)`."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import dtypes
from ._tensor import Size, Tensor
from .creation import empty, tensor

__all__ = [
    "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor", "HalfTensor",
    "IntTensor", "LongTensor", "ShortTensor",
]  # fmt: skip


def _constructor(dtype: Any) -> Any:
    def construct(*args: Any) -> Tensor:
        if not args:
            return empty(0, dtype=dtype)
        if isinstance(args[0], (int, Size)):
            return empty(*args, dtype=dtype)
        if isinstance(args[0], Tensor) and args[0].dtype != dtype:
            raise TypeError(
                f"{construct.__name__}: expected a tensor of {dtype}, got {args[0].dtype}; convert "
                "it with .to()"
            )
        return tensor(np.asarray(args[0]).astype(dtype) if isinstance(args[0], np.ndarray)
                      else args[0], dtype=dtype)  # fmt: skip

    construct.__name__ = construct.__qualname__ = f"{dtypes.name_of(dtype)}Tensor"
    construct.__doc__ = (
        f"A tensor of {dtype}: with the given data, or of the given size with whatever its memory "
        "holds. New code says `tensor(data, dtype=...)`."
    )
    made: Any = construct
    made.dtype = dtype  # so NumPy takes it for a type: x.type(FloatTensor)
    return made


HalfTensor, FloatTensor, DoubleTensor, CharTensor, ShortTensor, IntTensor, LongTensor = map(
    _constructor,
    (dtypes.float16, dtypes.float32, dtypes.float64, dtypes.int8, dtypes.int16, dtypes.int32,
     dtypes.int64),
)  # fmt: skip
ByteTensor, BoolTensor = _constructor(dtypes.uint8), _constructor(dtypes.bool)
