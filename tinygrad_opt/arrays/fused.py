"""`@fused`: operations of one element that run as kernels on NumPy's arrays.

    @op
    @fused  # twin: the row "silu" of kernels/fused/elementwise.py
    def silu(x):
        s = xp(x).sigmoid(x)
        return x * s, lambda g: g * (s * (1 + x * (1 - s)))

The pair stays what runs on all else: other arrays and types, what is not contiguous, and Tensors,
which is where higher derivatives come from.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernels.fused import elementwise

__all__ = ["fused"]

_ndarray = np.ndarray
_FLOAT32, _FLOAT64 = np.dtype("float32"), np.dtype("float64")
_empty = np.empty


def fused(pair: Callable[..., tuple[Any, Any]]) -> Callable[..., tuple[Any, Any]]:
    """The pair, with the kernels of its name in its place where they apply."""
    row = elementwise.ROWS[pair.__name__]
    values, slopes = _Kernels(pair.__name__, "value"), _Kernels(pair.__name__, "slope")
    least, saves_result = row.least, row.saves_result

    def run(x: Any, settings: tuple[float, ...]) -> tuple[Any, Any]:
        shape, kind = x.shape, x.dtype
        y = _empty(shape, kind)
        values[kind](x.ravel(), y.ravel(), *settings)
        saved = y if saves_result else x

        def back(g: Any) -> Any:
            if type(g) is not _ndarray or g.dtype is not kind or not g.flags.carray:
                g = np.array(np.broadcast_to(g, shape), kind, order="C")
            dx = _empty(shape, kind)
            slopes[kind](g.ravel(), saved.ravel(), dx.ravel(), *settings)
            return dx

        return y, back

    @functools.wraps(pair)
    def plain(x: Any) -> tuple[Any, Any]:
        if type(x) is not _ndarray or x.size < least or not _fits(x):
            return pair(x)
        return run(x, ())

    @functools.wraps(pair)
    def with_settings(x: Any, **settings: Any) -> tuple[Any, Any]:
        if type(x) is not _ndarray or x.size < least or not _fits(x):
            return pair(x, **settings)
        numbers = tuple(settings.get(name, default) for name, default in defaults)
        if not all(type(number) in (int, float) for number in numbers):
            return pair(x, **settings)
        return run(x, numbers)

    defaults = [(name, (pair.__kwdefaults__ or {}).get(name)) for name in row.settings]
    return with_settings if row.settings else plain


def _fits(x: Any) -> bool:
    kind = x.dtype
    return (kind is _FLOAT32 or kind is _FLOAT64) and x.flags.carray


class _Kernels(dict[Any, Any]):
    """The kernels of a row in one direction, by type, each fetched when it is first asked for."""

    def __init__(self, name: str, way: str) -> None:
        self.name, self.way = name, way

    def __missing__(self, kind: Any) -> Any:
        kernel = self[kind] = elementwise.kernel(self.name, self.way, kind)
        return kernel
