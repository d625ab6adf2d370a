"""Some of the functions for numbers of usual size: in fewer instructions, with the same bits.

What is too small or too large for a result in the exponents of normal numbers is not looked for.
Where `kernels/fused/blocks.py` has looked, these are called.
"""

from __future__ import annotations

from typing import Any

from .. import functions
from . import formulas
from .offered import offer

__all__ = ["exp", "normal_cdf", "normal_density", "sigmoid", "tanh"]


def exp(x: float) -> Any:
    """e^x for |x| < 87."""
    return functions.exp(x)


def sigmoid(x: float) -> Any:
    """1 / (1 + e^-x) for |x| < 87."""
    return functions.sigmoid(x)


def normal_cdf(x: float) -> Any:
    """The normal distribution function for |x| < 12.5."""
    return functions.normal_cdf(x)


def normal_density(x: float) -> Any:
    """The density of the normal distribution for |x| < 12.5."""
    return functions.normal_density(x)


def tanh(x: float) -> Any:
    """The hyperbolic tangent for |x| < 10."""
    return functions.tanh(x)


for _name in __all__:
    offer(globals()[_name], getattr(formulas, f"near_{_name}"))
