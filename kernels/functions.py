"""The functions that a rule may call."""

import math
from typing import Any

import numpy as np


def _same(name: str, count: int) -> dict[Any, tuple[str, int]]:
    """Return the entries of a function that `math` and NumPy have under one name."""
    modules = [module for module in (math, np) if hasattr(module, name)]
    return {getattr(module, name): (f"math.{name}", count) for module in modules}


# From function to its name in a kernel and its number of arguments. Each has a float32 version in
# Numba and in numba-cuda. Not here: sin, cos, tan (float64 arithmetic in their CUDA range
# reduction) and floor, ceil (integers in Numba, missing in numba-cuda).
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
for _name in ("sqrt", "exp", "expm1", "log", "log1p", "log2", "log10", "tanh", "sinh", "cosh"):
    FUNCTIONS |= _same(_name, 1)
FUNCTIONS |= _same("fabs", 1) | _same("copysign", 2) | _same("hypot", 2)
