"""Matrix products for generated steps, over pointers, on the pool's threads.

`product_nt_f4(m, n, k, x, x_line, y, y_line, out)` is out = x y^T in float32: n for a matrix that
lies in rows, t for one that lies in columns; `x_line` is the distance of its lines in elements. m,
n, k are the sizes of the result and the length of the sums. The `large` ones are cut into parts,
and so are stacks of `products`.

All of them are calls of the functions that eager products go by (`blas.py`): nothing of them is
compiled with a step.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from .. import blas
from ..compiler import within

_WORD = ir.IntType(64)
_WAYS = {"n": blas.ROWS, "t": blas.COLUMNS}
_LETTERS = {"f4": "s", "f8": "d"}
_PARAMETERS = {
    "product": "m, n, k, x, x_line, y, y_line, out",
    "large_product": "m, n, k, x, x_line, y, y_line, out",
    "products": "count, m, n, k, x, x_line, x_step, y, y_line, y_step, out",
}


def __getattr__(name: str) -> Any:
    """Make a product by its name; what it calls is there from then on, for code from the disk."""
    shape, _, rest = name.rpartition("_")[0].rpartition("_")
    kind = name.rpartition("_")[2]
    if shape not in _PARAMETERS or kind not in _LETTERS or not set(rest) <= set(_WAYS):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()[name] = _made(name, shape, [_WAYS[way] for way in rest], _LETTERS[kind])
    return made


def _made(name: str, shape: str, ways: list[int], letter: str) -> Any:
    if not blas.bind(shape, letter):
        raise ImportError(f"cannot import {name!r}: NumPy has no OpenBLAS here")
    names = _PARAMETERS[shape].split(", ")

    def typing(typing_context: Any, *given: Any) -> Any:
        pointers = dict(zip(names, given, strict=True))
        kinds = [pointers[n] if n in ("x", "y", "out") else types.int64 for n in names]
        return types.void(*kinds), generate

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        # As integers: the function is one of Numba's, whose pointers are addresses.
        values = [
            builder.ptrtoint(v, _WORD) if isinstance(v.type, ir.PointerType) else v for v in values
        ]
        if shape == "product":  # from one line of the result to the next; nothing is added to
            values += [values[names.index("n")], _WORD(0)]
        if shape != "products":  # no bias
            values.append(_WORD(0))
        numbers = [*map(_WORD, ways), *values]
        kind = ir.FunctionType(ir.VoidType(), [v.type for v in numbers])
        symbol = f"tinygrad_opt_{letter}_{shape}"
        function = cgutils.get_or_insert_function(builder.module, kind, symbol)
        builder.call(function, numbers)
        return context.get_dummy_value()

    return within.named(typing, name, names)
