"""The text of each element-wise function, in terms of `math` and `kernels.functions`.

`expression(value, operands)` is one Python expression for one element of a value. Numbers in it
have the value's own type, so that float32 stays float32.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .values import SHORT, CompileError, Value

__all__ = ["COSTLY", "constant", "expression", "is_elementwise"]


_PLAIN = {
    "add": "{0} + {1}", "subtract": "{0} - {1}", "multiply": "{0} * {1}", "divide": "{0} / {1}",
    "floor_divide": "{0} // {1}", "remainder": "{0} % {1}",
    "bitwise_and": "{0} & {1}", "bitwise_or": "{0} | {1}", "bitwise_xor": "{0} ^ {1}",
    "logical_and": "{0} & {1}", "logical_or": "{0} | {1}", "logical_xor": "{0} != {1}",
    "greater": "{0} > {1}", "less": "{0} < {1}", "greater_equal": "{0} >= {1}",
    "less_equal": "{0} <= {1}", "equal": "{0} == {1}", "not_equal": "{0} != {1}",
    "maximum": "{0} if ({0} > {1}) | ({0} != {0}) else {1}",
    "minimum": "{0} if ({0} < {1}) | ({0} != {0}) else {1}",
    "where": "{1} if {0} else {2}",
    "negative": "-{0}", "positive": "{0}", "absolute": "abs({0})", "logical_not": "not {0}",
    "square": "{0} * {0}", "reciprocal": "{one} / {0}", "copy": "{0}",
    "sign": "{one} if {0} > 0 else -{one} if {0} < 0 else {zero}",
    "isnan": "{0} != {0}", "isinf": "math.isinf({0})", "isfinite": "math.isfinite({0})",
    "sqrt": "math.sqrt({0})", "exp": "exp({0})", "log": "log({0})", "log1p": "log1p({0})",
    "expm1": "expm1({0})", "tanh": "tanh({0})", "sigmoid": "sigmoid({0})", "erf": "erf({0})",
    "exp2": "math.pow({two}, {0})", "log2": "math.log2({0})", "log10": "math.log10({0})",
    "erfc": "{two} * normal_cdf(-{0} * {root})", "lgamma": "math.lgamma({0})",
    "sin": "math.sin({0})", "cos": "math.cos({0})", "tan": "math.tan({0})",
    "arcsin": "math.asin({0})", "arccos": "math.acos({0})", "arctan": "math.atan({0})",
    "sinh": "math.sinh({0})", "cosh": "math.cosh({0})", "arcsinh": "math.asinh({0})",
    "arccosh": "math.acosh({0})", "arctanh": "math.atanh({0})",
    "arctan2": "math.atan2({0}, {1})", "hypot": "math.hypot({0}, {1})",
    "copysign": "math.copysign({0}, {1})", "fmod": "np.fmod({0}, {1})",
    "floor": "np.floor({0})", "ceil": "np.ceil({0})", "trunc": "np.trunc({0})",
    "rint": "np.rint({0})",
    "logaddexp": "({0} if {0} == {1} and math.isinf({0}) else ({0} if {0} > {1} or {0} != {0} "
                 "else {1}) + log1p(exp(-abs({0} - {1}))))",
    "astype": "{0}",
}  # fmt: skip

# Values that are rather kept for a later pass over a row than computed once more.
COSTLY = {
    "exp", "log", "log1p", "expm1", "tanh", "sigmoid", "erf", "erfc", "divide", "sqrt", "power",
    "lgamma", "sin", "cos", "exp2", "logaddexp",
}  # fmt: skip

_COMPARISONS = {
    "greater", "less", "greater_equal", "less_equal", "equal", "not_equal", "isnan", "isinf",
    "isfinite", "logical_and", "logical_or", "logical_xor", "logical_not",
}  # fmt: skip


def is_elementwise(value: Value) -> bool:
    """Whether a value is computed element by element."""
    return value.op in _PLAIN or value.op in ("power", "invert", "full")


def constant(x: Any, dtype: Any) -> str:
    """The text of a number of a type."""
    kind = SHORT[dtype]
    if kind == "b1":
        return repr(bool(x))
    if kind[0] == "f":
        x = float(x)
        if math.isinf(x) or math.isnan(x):
            return f"{kind}({'-' if x < 0 else ''}np.{'nan' if math.isnan(x) else 'inf'})"
        return f"{kind}({x!r})"
    return f"{kind}({int(x)})"


def expression(value: Value, operands: list[str]) -> str:
    """The text of one element of `value`.

    operands: for each argument its text, a name or a constant of the argument's own type.
    """
    kinds = [a.dtype if isinstance(a, Value) else None for a in value.args]
    dtype = _computed_in(value, kinds)
    texts = [
        constant(a, dtype) if kind is None else _cast(text, kind, dtype)
        for a, text, kind in zip(value.args, operands, kinds, strict=True)
    ]
    if value.op == "where":
        condition = operands[0] if kinds[0] == np.bool_ else f"{operands[0]} != 0"
        texts = [condition, *texts[1:]]
    if value.op == "full":
        return constant(value.args[0], value.dtype)
    if value.op == "power":
        return _power(value, texts, dtype)
    if value.op == "invert":
        return f"not {texts[0]}" if value.dtype == np.bool_ else f"~{texts[0]}"
    known = {"one": 1, "zero": 0, "two": 2, "root": math.sqrt(2)}
    text = _PLAIN[value.op].format(*texts, **{k: constant(n, dtype) for k, n in known.items()})
    small = value.dtype.kind in "iu" and value.dtype.itemsize < 8  # Numba computes wider: wrap
    return f"{SHORT[value.dtype]}({text})" if small else text


def _computed_in(value: Value, kinds: list[Any]) -> Any:
    """The type that the arguments have when they are put together."""
    if value.op == "where":
        return value.dtype
    if value.op in _COMPARISONS:
        if value.op.startswith("logical"):
            return np.dtype(bool)
        known = [kind for kind in kinds if kind is not None]
        numbers = [a for a in value.args if not isinstance(a, Value)]
        return np.result_type(*known, *numbers)
    return value.dtype


def _cast(text: str, kind: Any, dtype: Any) -> str:
    if kind == dtype:
        return text
    if dtype == np.bool_:
        return f"({text} != 0)"
    if kind == np.bool_:
        return f"({constant(1, dtype)} if {text} else {constant(0, dtype)})"
    return f"{SHORT[dtype]}({text})"


def _power(value: Value, texts: list[str], dtype: Any) -> str:
    base, exponent = texts[0], value.args[1]
    if not isinstance(exponent, Value) and isinstance(value.args[0], Value):
        if exponent == int(exponent) and 1 <= exponent <= 4:
            return " * ".join([base] * int(exponent))
        if dtype.kind == "f" and exponent in (0.5, -1, -2, 0):
            one = constant(1, dtype)
            return {0.5: f"math.sqrt({base})", -1: f"{one} / {base}",
                    -2: f"{one} / ({base} * {base})", 0: one}[exponent]  # fmt: skip
    if dtype.kind != "f":
        raise CompileError("compile: a power of integers has no compiled form")
    return f"math.pow({base}, {texts[1]})"
