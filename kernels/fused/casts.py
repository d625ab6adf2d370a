"""Large arrays in another type, on several threads.

NumPy converts on one thread, and half precision number by number. The results are NumPy's, bit by
bit; NaN stays one. `arrays/large.py` says for which arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .loops import Loop

__all__ = ["cast"]

PART = 32_768  # elements that a thread converts at a time

_TO = """\
    for i in range(result.shape[0]):
        result[i] = {value}
"""

# Of float32, as its bits and as numbers, to the bits of float16: to the nearest, ties to even.
# 0x38800000 are the bits of 2^-14, below which float16 has whole multiples of 2^-24 alone: these
# are rounded as 2^23 is added and taken off again.
_TO_HALF = """\
    for i in range(result.shape[0]):
        size = bits[i] & 0x7FFFFFFF
        near = (size - 0x38000000 + 0xFFF + ((size >> 13) & 1)) >> 13
        part = min(abs(x[i]) * float32(16777216.0), float32(2048.0))
        tiny = int64((part + float32(8388608.0)) - float32(8388608.0))
        found = near if size >= 0x38800000 else tiny
        found = found if size < 0x47800000 else 0x7C00
        found = found if size <= 0x7F800000 else 0x7C00 | max((size >> 13) & 0x3FF, 1)
        result[i] = found | ((bits[i] >> 16) & 0x8000)
"""

# Back: first with an exponent that is 112 too small; infinities and NaN get theirs in the end.
_FROM_HALF = """\
    for start in range(0, x.shape[0], 1024):
        some, to = x[start : start + 1024], bits[start : start + 1024]
        numbers = result[start : start + 1024]
        for i in range(some.shape[0]):
            to[i] = ((some[i] & 0x8000) * 0x10000) | ((some[i] & 0x7FFF) * 0x2000)
        for i in range(some.shape[0]):
            numbers[i] = numbers[i] * float32(5.192296858534828e33)
        for i in range(some.shape[0]):
            to[i] = to[i] | (0x7F800000 if some[i] & 0x7C00 == 0x7C00 else 0)
"""


def cast(x: Any, kind: Any) -> Any:
    """x in another type, or None where that is not for kernels; x in one piece."""
    loop = _kernels[x.dtype, kind]
    if loop is None:
        return None
    y = np.empty(x.shape, kind)
    arrays = [x.reshape(-1), y.reshape(-1)]
    if kind == _HALF:
        arrays = [arrays[0].view(_BITS), arrays[0], arrays[1].view(np.uint16)]
    elif x.dtype == _HALF:
        arrays = [arrays[0].view(np.uint16), arrays[1].view(_BITS), arrays[1]]
    elif x.dtype == bool:
        arrays[0] = arrays[0].view(np.uint8)
    loop(*arrays)
    return y


_HALF, _BITS = np.dtype(np.float16), np.dtype(np.uint32)
_FLOATS = "float32", "float64"
_INTEGERS = "int32", "int64"
_SIMPLE = frozenset({*_FLOATS, *_INTEGERS, "bool", "uint8"})


class _Kernels(dict[Any, Any]):
    """The kernels by the types of the array and of the result, fetched when first asked for."""

    def __missing__(self, key: tuple[Any, Any]) -> Any:
        source, target = (kind.name for kind in key)
        kernel = self[key] = self._made(source, target)
        return kernel

    def _made(self, source: str, target: str) -> Any:
        if (source, target) == ("float32", "float16"):
            arrays, body = {"bits": "uint32", "x": "float32", "result": "uint16"}, _TO_HALF
        elif (source, target) == ("float16", "float32"):
            arrays, body = {"x": "uint16", "bits": "uint32", "result": "float32"}, _FROM_HALF
        elif {source, target} <= _SIMPLE and target != "uint8" != source:
            arrays = {"x": "uint8" if source == "bool" else source, "result": target}
            body = _TO.format(value="x[i] != 0" if target == "bool" else f"{target}(x[i])")
            arrays = {name: "boolean" if t == "bool" else t for name, t in arrays.items()}
        else:
            return None
        return Loop(
            name=f"{source}_to_{target}",
            origin="tinygrad_opt.kernels.fused.casts",
            arrays={name: f"{kind}[::1]" for name, kind in arrays.items()},
            scalars={},
            body=body,
            part=str(PART),
            cost=10_000,
            imports="from numpy import float32, float64, int32, int64, uint32\n",
        ).load(target, large=True)


_kernels = _Kernels()
