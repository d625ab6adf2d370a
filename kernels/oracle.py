"""Plain Python that rounds as a kernel does: the function itself, on NumPy scalars."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import CellType, FunctionType, SimpleNamespace
from typing import Any

import numpy as np

from .functions import FUNCTIONS

# math.sqrt of a float32 is a double in Python; NumPy's functions keep the dtype.
_NUMPY_NAMES = {"pow": "power", "atan": "arctan", "atan2": "arctan2"}
_BUILTINS = frozenset({"abs", "min", "max"})


def on_numpy_scalars(
    function: Callable[..., Any], scalar: type[np.floating[Any]]
) -> Callable[..., Any]:
    """Return `function` with the functions that it calls replaced by ones that keep the dtype."""

    def replaced(value: Any) -> Any:
        if value is math or value is np:
            names = {n for n in dir(value) if not n.startswith("_")}
            return SimpleNamespace(**{n: replaced_function(getattr(value, n)) for n in names})
        return replaced_function(value)

    def replaced_function(value: Any) -> Any:
        try:
            known = FUNCTIONS.get(value)
        except TypeError:  # not hashable
            return value
        if known is None or known[0] in _BUILTINS:
            return value
        name = known[0].removeprefix("math.")
        called = getattr(np, _NUMPY_NAMES.get(name, name), value)
        # Arguments may be plain floats, from literals: NumPy would answer them in double.
        return lambda *arguments: scalar(called(*map(scalar, arguments)))

    names = function.__code__.co_names
    scope = {n: replaced(v) for n, v in function.__globals__.items() if n in names}
    cells = tuple(CellType(replaced(c.cell_contents)) for c in function.__closure__ or ())
    return FunctionType(
        function.__code__,
        {"__builtins__": function.__globals__["__builtins__"], **scope},
        closure=cells,
    )
