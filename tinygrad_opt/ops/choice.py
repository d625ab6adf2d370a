"""Choosing elements, and casts: abs, maximum, minimum, where, clip.

`@fused_op`: has a twin in `kernels/fused/elementwise.py`, of two arrays `kernels/fused/pairs.py`.

Convention at kinks: abs'(0) = 0, ties in maximum and minimum share equally, `clip` passes the
gradient at its bounds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays.device import device_of
from ..arrays.xp import xp
from ..core.node import Variable
from ..core.outlines import saves_nothing
from ..core.record import op
from ..core.tensor import wrap_plain
from .complexes import sgn_complex
from .fused import fused_op

__all__ = [
    "abs", "cast", "clamp", "clip", "clone", "copy", "isfinite", "isinf", "isnan", "lerp",
    "logical_not", "maximum", "minimum", "ones_like", "to_device", "where", "zeros_like",
]  # fmt: skip

# Absolute values, choices, casts ------------------------------------------------------------------


_REAL = np.dtype(float)


@fused_op
def abs(x):
    """|x|, with slope 0 at 0, and at NaN."""
    if getattr(x, "dtype", _REAL).kind == "c":
        return xp(x).abs(x), lambda g: g * sgn_complex(x)
    return xp(x).abs(x), lambda g: g * xp(x).sign(x)


def _shared(g: Any, beaten: Any, tie: Any) -> Any:
    """0 where an input was not chosen, half the gradient where two tie; all of it at NaN."""
    return xp(g).where(tie, g / 2, xp(g).where(beaten, 0, g))


@fused_op
def maximum(x, y):
    """The larger of x and y, broadcast; a tie shares the gradient equally."""
    z = xp(x if hasattr(x, "shape") else y).maximum(x, y)
    return z, lambda g: _shared(g, x < y, x == y), lambda g: _shared(g, x > y, x == y)


@fused_op
def minimum(x, y):
    """The smaller of x and y, broadcast; a tie shares the gradient equally."""
    z = xp(x if hasattr(x, "shape") else y).minimum(x, y)
    return z, lambda g: _shared(g, x > y, x == y), lambda g: _shared(g, x < y, x == y)


@op
def where(condition, x, y):
    """x where `condition` holds, else y, broadcast."""
    z = xp(condition).where(condition, x, y)
    return (
        z,
        None,
        lambda g: xp(g).where(condition, g, 0),
        lambda g: xp(g).where(condition, 0, g),
    )


@op
def clip(x, *, min=None, max=None):
    """x limited to [min, max]; the gradient passes at the bounds as well."""

    def back(g):
        inside = True if min is None else x >= min
        return xp(g).where(inside if max is None else (x <= max) & inside, g, 0)

    return xp(x).clip(x, min=min, max=max), back


@op
def clamp(x, min, max):
    """x limited to bounds that have gradients, or to one of them; they get those of what is beyond.

    As in PyTorch a NaN has none, and of two bounds in the wrong order `max` has them all.
    """
    y = x if min is None else maximum(x, min)
    y = y if max is None else minimum(y, max)

    def back(g):
        inside = True if min is None else x >= min
        return xp(g).where(inside if max is None else (x <= max) & inside, g, 0)

    def to_min(g):
        below = x < min
        return xp(g).where(below if max is None else below & (min < max), g, 0)

    def to_max(g):
        above = x > max
        return xp(g).where(above if min is None else above | (max < min), g, 0)

    return y, back, to_min, to_max


@saves_nothing
@op
def cast(x, *, dtype):
    """x in another type."""
    # The engine casts the gradient back to the input's own type.
    return xp(x).cast(x, dtype=dtype), lambda g: g


@saves_nothing
@op
def clone(x):
    """A copy that gradients flow back through."""
    return xp(x).copy(x), lambda g: g


@saves_nothing
@op
def to_device(x, *, device):
    """x on another device."""
    here = device_of(getattr(x, "array", x))
    return xp(x).to_device(x, device=device), lambda g: xp(g).to_device(g, device=here)


copy = clone


# Without gradient ---------------------------------------------------------------------------------


def _constant(name: str) -> Any:
    """A function without a gradient: the array library's own, result wrapped and not recorded."""

    def function(x: Any, *args: Any, **kwargs: Any) -> Any:
        raw = x.array if isinstance(x, Variable) else x
        args = tuple(a.array if isinstance(a, Variable) else a for a in args)
        y = getattr(xp(raw), name)(raw, *args, **kwargs)
        return wrap_plain(y) if isinstance(x, Variable) else y

    function.__name__ = name
    function.__doc__ = f"NumPy's `{name}`, without gradient."
    return function


zeros_like, ones_like = _constant("zeros_like"), _constant("ones_like")
isnan, isinf, isfinite, logical_not = map(_constant, ("isnan", "isinf", "isfinite", "logical_not"))


@saves_nothing(when=lambda node: not hasattr(node.inputs[2], "shape"))
@fused_op
def lerp(x, y, weight):
    # x + weight (y - x), from the nearer end: exactly x at weight 0 and y at 1, as PyTorch
    d, rest = y - x, 1 - weight
    near = weight < 0.5
    if isinstance(near, bool):  # of a number
        z = x + weight * d if near else y - rest * d
    else:
        z = xp(d).where(near, x + weight * d, y - rest * d)
    return z, lambda g: g * rest, lambda g: g * weight, lambda g: g * d
