"""The operators of traced arrays: +, -, <, in place or not, as NumPy's functions of those names."""

from __future__ import annotations

from typing import Any

import numpy as np

from .traced import Traced, elementwise

__all__ = ["add_operators"]


def add_operators(kind: type) -> None:
    """Give a class of arrays its operators, each of which is recorded by its ufunc's name."""
    ufuncs: dict[str, Any] = {
        "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.divide,
        "pow": np.power, "floordiv": np.floor_divide, "mod": np.remainder,
        "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
        "lshift": np.left_shift, "rshift": np.right_shift,
    }  # fmt: skip
    for name, ufunc in ufuncs.items():
        setattr(kind, f"__{name}__", _binary(ufunc))
        setattr(kind, f"__r{name}__", _binary(ufunc, swapped=True))
        setattr(kind, f"__i{name}__", _in_place(ufunc))
    comparisons = {
        "gt": np.greater, "lt": np.less, "ge": np.greater_equal, "le": np.less_equal,
        "eq": np.equal, "ne": np.not_equal,
    }  # fmt: skip
    for name, ufunc in comparisons.items():
        setattr(kind, f"__{name}__", _binary(ufunc))
    singles: dict[str, Any] = {"neg": np.negative, "invert": np.invert, "abs": np.absolute}
    for name, function in singles.items():
        setattr(kind, f"__{name}__", _unary(function))


def _unary(ufunc: Any) -> Any:
    return lambda self: elementwise(ufunc.__name__, ufunc, self)


def _binary(ufunc: Any, swapped: bool = False) -> Any:
    def operator(self: Any, other: Any) -> Any:
        if not (isinstance(other, (Traced, np.ndarray, np.generic, int, float))):
            return NotImplemented
        other = other.item() if isinstance(other, np.generic) else other  # weak, as numbers are
        return elementwise(ufunc.__name__, ufunc, *((other, self) if swapped else (self, other)))

    return operator


def _in_place(ufunc: Any) -> Any:
    def operator(self: Any, other: Any) -> Any:
        made = elementwise(ufunc.__name__, ufunc, self, other)
        self[...] = made
        return self

    return operator
