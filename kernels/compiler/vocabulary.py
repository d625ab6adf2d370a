"""What a rule's text may say: the functions that it may call, and what becomes of their names."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import functions
from . import words

__all__ = [
    "ARITHMETIC", "COMPARISONS", "FUNCTIONS", "HINTS", "MOVED", "ON_DEVICES", "READ_BITS",
    "RESERVED", "VECTORISED",
]  # fmt: skip


def _same(name: str, count: int) -> dict[Any, tuple[str, int]]:
    """Return the entries of a function that `math` and NumPy have under one name."""
    modules = [module for module in (math, np) if hasattr(module, name)]
    return {getattr(module, name): (f"math.{name}", count) for module in modules}


# From function to its name in a kernel and its number of arguments. Each has a float32 version in
# Numba and in numba-cuda (whose sin, cos and tan take to float64 beyond 105,615 alone).
FUNCTIONS: dict[Any, tuple[str, int]] = {
    abs: ("abs", 1),
    min: ("min", 2),
    max: ("max", 2),
    np.abs: ("abs", 1),
    math.pow: ("math.pow", 2),
    math.erf: ("math.erf", 1),
    math.atan: ("math.atan", 1),
    np.arctan: ("math.atan", 1),
    math.atan2: ("math.atan2", 2),
    np.arctan2: ("math.atan2", 2),
}


for _name in ("sqrt", "exp", "expm1", "log", "log1p", "log2", "log10", "tanh", "sinh", "cosh",
              "sin", "cos", "tan", "floor", "ceil"):  # fmt: skip
    FUNCTIONS |= _same(_name, 1)


FUNCTIONS |= _same("fabs", 1) | _same("copysign", 2) | _same("hypot", 2) | _same("fmod", 2)
FUNCTIONS |= {
    getattr(functions, _name): (f"math.{_name}" if hasattr(math, _name) else _name, 1)
    for _name in functions.__all__
}

# Those that Numba lacks, or has as functions to whole numbers only: see `functions.primitives`.
ROUNDING = ("floor", "ceil", "fmod")

# Names that the generated text uses itself: a rule's variable of that name gets an underscore.
RESERVED = (
    frozenset(
        {
            "math",
            "abs",
            "min",
            "max",
            "range",
            "share",
            "even",
            "njit",
            "cuda",
            "float32",
            "float64",
            "uint32",
            "uint64",
            "exchange_mode",
            "ValueError",
        }
    )
    | words.NAMES
    | {f"vector_{name}" for name in (*functions.__all__, *ROUNDING)}
    | {f"device_{name}" for name in ROUNDING}
)

ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Mod: operator.mod,
    ast.FloorDiv: operator.floordiv,
}
COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)

# The C library takes these apart by their bits, and goes astray at a denormal that the processor
# then counts as zero (see denormals.py): in float32, log(1e-40) came out as -104. They get a zero.
READ_BITS = frozenset({"math.log", "math.log2", "math.log10", "math.pow", "math.fmod"})
# Of those on the CPU: our own, which become SIMD code and take such a number for zero themselves.
VECTORISED = {
    f"math.{name}" if hasattr(math, name) else name: f"vector_{name}"
    for name in (*functions.__all__, *ROUNDING)
}
# Those that devices do not have. What would be denormal is 0, as in kernels for the CPU.
ON_DEVICES = {
    "sigmoid": "1 / (1 + math.exp(-x))",
    "normal_cdf": "0.5 * math.erfc(x * -0.7071067811865476)",
    "normal_density": "0.3989422804014327 * math.exp(-0.5 * x * x)",
    "math.floor": "device_floor(x)",
    "math.ceil": "device_ceil(x)",
}
MOVED = frozenset({"abs", "min", "max", "math.fabs", "math.copysign"})  # hand their bits on

_NESTED = "nested functions are not possible: define the helper above the rule and call it"
_LOOPS = "loops are not possible: the kernel is the loop, a rule sees one element"
_RAISES = "a kernel cannot raise: check the coefficients before the launch"
HINTS: dict[type[ast.AST], str] = {
    ast.For: _LOOPS,
    ast.While: _LOOPS,
    ast.FunctionDef: _NESTED,
    ast.Lambda: _NESTED,
    ast.Subscript: "indexing is not possible: a rule sees one element, each name is a number",
    ast.Import: "import outside the rule",
    ast.ImportFrom: "import outside the rule",
    ast.Raise: _RAISES,
    ast.Assert: _RAISES,
}
