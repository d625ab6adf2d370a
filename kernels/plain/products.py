"""Matrix products for generated steps, over pointers: NumPy's OpenBLAS, on the pool's threads.

`product_nt_f4(m, n, k, x, x_line, y, y_line, out)` is out = x y^T in float32: n for a matrix that
lies in rows, t for one that lies in columns; `x_line` is the distance of its lines in elements. m,
n, k are the sizes of the result and the length of the sums. The `large` ones are cut into parts,
and so are stacks of `products`, by the very functions that eager products are cut by (`blas.py`).

All of them are calls of functions that are there: nothing of them is compiled with a step.
"""

from __future__ import annotations

import inspect
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .. import blas

_WORD, _SMALL = ir.IntType(64), ir.IntType(32)
_WAYS = {"n": blas.ROWS, "t": blas.COLUMNS}
_KINDS = {"f4": ("s", ir.FloatType()), "f8": ("d", ir.DoubleType())}
_PARAMETERS = {
    "product": "m, n, k, x, x_line, y, y_line, out",
    "large_product": "m, n, k, x, x_line, y, y_line, out",
    "products": "count, m, n, k, x, x_line, x_step, y, y_line, y_step, out",
}


def __getattr__(name: str) -> Any:
    """Make a product by its name; what it calls is there from then on, for code from the disk."""
    shape, _, rest = name.rpartition("_")[0].rpartition("_")
    kind = name.rpartition("_")[2]
    if shape not in _PARAMETERS or kind not in _KINDS or not set(rest) <= set(_WAYS):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()[name] = _made(name, shape, [_WAYS[way] for way in rest], *_KINDS[kind])
    return made


def _made(name: str, shape: str, ways: list[int], letter: str, real: Any) -> Any:
    if not blas.is_available() or (shape != "product" and not blas.bind(shape, letter)):
        raise ImportError(f"cannot import {name!r}: NumPy has no OpenBLAS here")
    names = _PARAMETERS[shape].split(", ")

    def typing(typing_context: Any, *given: Any) -> Any:
        pointers = dict(zip(names, given, strict=True))
        kinds = [pointers[n] if n in ("x", "y", "out") else types.int64 for n in names]
        return types.void(*kinds), generate

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        if shape == "product":
            m, n, k, x, x_line, y, y_line, out = values
            one, zero = real(1), real(0)
            numbers = [_SMALL(blas.ROW_MAJOR), *map(_SMALL, ways), m, n, k, one, x, x_line,
                       y, y_line, zero, out, n]  # fmt: skip
            symbol = f"tinygrad_opt_{letter}gemm"
        else:
            # As integers: the function is one of Numba's, whose pointers are addresses.
            values = [
                builder.ptrtoint(v, _WORD) if isinstance(v.type, ir.PointerType) else v
                for v in values
            ]
            numbers = [*map(_WORD, ways), *values]
            symbol = f"tinygrad_opt_{letter}_{shape}"
        kind = ir.FunctionType(ir.VoidType(), [v.type for v in numbers])
        function = cgutils.get_or_insert_function(builder.module, kind, symbol)
        builder.call(function, numbers)
        return context.get_dummy_value()

    parameters = ["typing_context", *names]
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    typing.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(n, positional) for n in parameters]
    )
    typing.__name__ = name
    return intrinsic(typing)
