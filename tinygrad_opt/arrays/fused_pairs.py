"""Functions of two or three elements, and means of squares, as kernels on NumPy's large arrays.

The twin of a pair is the row of its name in `kernels/fused/pairs.py`. `arrays/fused.py` has those
of one element.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernels.fused import arithmetic, axis_sums, copies, pairs

__all__ = ["fused_pair", "fused_squares"]

_ndarray = np.ndarray
_FLOATS = np.dtype("float32"), np.dtype("float64")


def fused_pair(pair: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """A pair of two arrays or three, with the row of its name in its place where they are large."""
    row = pairs.ROWS[pair.__name__.lstrip("_")]
    count = len(row.slopes)

    @functools.wraps(pair)
    def either(*inputs: Any, **settings: Any) -> tuple[Any, ...]:
        x = inputs[0]
        if type(x) is not _ndarray or x.size < row.least:
            return pair(*inputs, **settings)
        arrays = inputs[:count]
        rest = [n for n in inputs[count:] if n is not None]
        if row.least < pairs.LEAST and all(type(y) is _ndarray for y in arrays):
            if x.size >= _APART and not all(y.flags.carray for y in arrays):
                found = _pair_of_rows(row, arrays, rest, settings)
                if found is not None:
                    return (*found, *[None] * (len(inputs) - count))
            arrays = tuple(y if y.flags.carray else copies.in_order(y) for y in arrays)
        alike = all(arithmetic.form(arrays[0], y) == "array" for y in arrays[1:])
        if not alike or not all(type(n) in _NUMBERS for n in (*rest, *settings.values())):
            return pair(*inputs, **settings)
        numbers = row.numbers(*rest, **settings)
        slopes = (_slope(slope, arrays, numbers, row.light) for slope in row.slopes)
        value = pairs.run(row.value, arrays, numbers, row.light)
        return value, *slopes, *[None] * (len(inputs) - count)

    return either


_NUMBERS = int, float
_APART = 16_384  # elements from which on to go through rows that lie apart pays


def _pair_of_rows(row: Any, arrays: Any, rest: Any, settings: Any) -> tuple[Any, ...] | None:
    """What `fused_pair` gives for arrays whose rows lie apart; None for others."""
    kind = arrays[0].dtype
    if kind not in _FLOATS or not all(type(n) in _NUMBERS for n in (*rest, *settings.values())):
        return None
    for y in arrays:
        if y.dtype is not kind or not (flags := y.flags).aligned or not flags.writeable:
            return None
    numbers = row.numbers(*rest, **settings)
    value = pairs.run_rows(row.value, arrays, numbers, row.light)
    if value is None:
        return None
    return value, *[_slope_of_rows(slope, arrays, numbers, row.light) for slope in row.slopes]


def _slope_of_rows(
    function: Callable[..., float] | None, arrays: tuple[Any, ...], numbers: Any, light: bool
) -> Any:
    if function is None:
        return lambda g: g
    x = arrays[0]

    def back(g: Any) -> Any:
        if type(g) is not _ndarray or g.dtype is not x.dtype or not g.flags.carray:
            g = np.array(np.broadcast_to(g, x.shape), x.dtype, order="C")
        g = g.reshape(-1).reshape(x.shape)  # with the strides of all axes, also those of length 1
        dx = pairs.run_rows(function, (g, *arrays), numbers, light)
        if dx is None:
            dx = pairs.run(function, (g, *map(copies.in_order, arrays)), numbers, light)
        return dx

    return back


def _slope(
    function: Callable[..., float] | None, arrays: tuple[Any, ...], numbers: Any, light: bool
) -> Any:
    """The pullback of such a pair to one of its arrays."""
    if function is None:
        return lambda g: g
    x = arrays[0]
    return lambda g: pairs.run(function, (_whole(g, x), *arrays), numbers, light)


def _whole(g: Any, x: Any) -> Any:
    """A gradient as an array like x, in one piece; as a number, if it is the same everywhere."""
    if type(g) is _ndarray and g.dtype is x.dtype and g.shape == x.shape and g.flags.carray:
        return g
    if g.size and not any(g.strides):
        return float(g.item(0))
    return np.array(np.broadcast_to(g, x.shape), x.dtype, order="C")


def fused_squares(pair: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """The pair of the mean of squared differences, which large arrays do not write down."""

    @functools.wraps(pair)
    def either(x: Any, y: Any) -> tuple[Any, ...]:
        if type(x) is not _ndarray or x.size < pairs.LEAST or arithmetic.form(x, y) != "array":
            return pair(x, y)
        mean = x.dtype.type(axis_sums.squared_distance(x, y)) / x.size

        def half(g: Any, sign: int) -> Any:
            return pairs.run(pairs.times_difference, (x, y), (float(sign * g * (2 / x.size)),))

        return mean, lambda g: half(g, 1), lambda g: half(g, -1)

    return either
