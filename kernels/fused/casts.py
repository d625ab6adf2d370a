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

_HALF_BITS = "from tinygrad_opt.kernels.functions.primitives import half_bits\n"
_TO_HALF = """\
    for i in range(result.shape[0]):
        result[i] = half_bits(x[i])
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
        arrays[1] = arrays[1].view(np.uint16)
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
            arrays, body = {"x": "float32", "result": "uint16"}, _TO_HALF
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
            functions=_HALF_BITS if body == _TO_HALF else "",
        ).load(target, large=True)


_kernels = _Kernels()
