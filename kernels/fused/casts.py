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
_HALVES = "from tinygrad_opt.kernels.functions.primitives import half_bits, of_half_bits\n"


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
        arrays[0] = arrays[0].view(np.uint16)
    elif x.dtype == bool:
        arrays[0] = arrays[0].view(np.uint8)
    loop(*arrays)
    return y


_HALF = np.dtype(np.float16)
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
            arrays, value = {"x": "float32", "result": "uint16"}, "half_bits(x[i])"
        elif (source, target) == ("float16", "float32"):
            arrays, value = {"x": "uint16", "result": "float32"}, "of_half_bits(x[i])"
        elif {source, target} <= _SIMPLE and target != "uint8" != source:
            arrays = {"x": "uint8" if source == "bool" else source, "result": target}
            value = "x[i] != 0" if target == "bool" else f"{target}(x[i])"
            arrays = {name: "boolean" if t == "bool" else t for name, t in arrays.items()}
        else:
            return None
        return Loop(
            name=f"{source}_to_{target}",
            origin="tinygrad_opt.kernels.fused.casts",
            arrays={name: f"{kind}[::1]" for name, kind in arrays.items()},
            scalars={},
            body=_TO.format(value=value),
            part=str(PART),
            cost=10_000,
            imports="from numpy import float32, float64, int32, int64\n",
            functions=_HALVES if "half_bits" in value else "",
        ).load(target, large=True)


_kernels = _Kernels()
