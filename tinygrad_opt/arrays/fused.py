"""Operations of one element, and softmax, as kernels on NumPy's arrays.

    @fused_op
    def silu(x):
        s = xp(x).sigmoid(x)
        return x * s, lambda g: g * (s * (1 + x * (1 - s)))

The twin of the pair is the row of its name in `kernels/fused/elementwise.py`, or of arithmetic in
`kernels/fused/arithmetic.py`; where it takes two arrays, `fused_pairs.py` has it; that of
`Softmaxes` is `kernels/fused/softmax.py`. On CuPy's the rows of one element are CUDA kernels. The
pair stays what runs on all else: other types, what is not contiguous, and Tensors, which is where
higher derivatives come from.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernels.fused import (
    arithmetic,
    casts,
    elementwise,
    on_device,
    pairs,
    softmax,
)
from ..kernels.pool import ahead
from .device import cupy, is_cupys
from .fused_pairs import fused_pair, fused_squares

__all__ = ["Softmaxes", "check_classes", "fused", "kernels_of", "onto", "times"]

_ndarray = np.ndarray
_FLOAT32, _FLOAT64 = np.dtype("float32"), np.dtype("float64")
_HALF = np.dtype("float16")
_empty = np.empty


def fused(pair: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """The pair, with the kernels of its name in its place where they apply."""
    if pair.__name__ in arithmetic.NAMES:
        return _fused_arithmetic(pair)
    if pair.__name__.lstrip("_") in pairs.ROWS:
        return fused_pair(pair)
    if pair.__name__ == "mean_squared_error":
        return fused_squares(pair)
    name, row = pair.__name__, elementwise.ROWS[pair.__name__]
    values, large_values = _Kernels(name, "value", False), _Kernels(name, "value", True)
    slopes, large_slopes = _Kernels(name, "slope", False), _Kernels(name, "slope", True)
    part, saves_result, array_slope, least_slope = (
        row.part, row.saves_result, row.slope, row.least_slope,
    )  # fmt: skip

    def run(x: Any, *settings: Any) -> tuple[Any, Any]:
        shape, kind, size = x.shape, x.dtype, x.size
        large = size > part
        y = _empty(shape, kind)
        (large_values if large else values)[kind](x.ravel(), y.ravel(), *settings)
        saved = y if saves_result else x

        def back(g: Any) -> Any:
            if size < least_slope:
                return array_slope(g, saved, *settings)
            if type(g) is not _ndarray or g.dtype is not kind or not g.flags.carray:
                g = np.array(np.broadcast_to(g, shape), kind, order="C")
            dx = _empty(shape, kind)
            slope = (large_slopes if large else slopes)[kind]
            slope(g.ravel(), saved.ravel(), dx.ravel(), *settings)
            return dx

        return y, back

    least, small = row.least, row.small or pair

    @functools.wraps(pair)
    def plain(x: Any) -> tuple[Any, Any]:
        kind = x.dtype if type(x) is _ndarray else None
        if kind is not _FLOAT32 and kind is not _FLOAT64:
            return elsewhere(x)
        if x.size < least:
            return small(x)
        return run(x) if x.flags.carray else _in_one_piece(run, x)

    @functools.wraps(pair)
    def with_settings(x: Any, **settings: Any) -> tuple[Any, Any]:
        kind = x.dtype if type(x) is _ndarray else None
        if kind is not _FLOAT32 and kind is not _FLOAT64:
            return elsewhere(x, **settings)
        numbers = tuple(settings.get(name, default) for name, default in defaults)
        if not all(type(number) in (int, float) for number in numbers):
            return pair(x, **settings)
        return run(x, *numbers) if x.flags.carray else _in_one_piece(run, x, *numbers)

    def elsewhere(x: Any, **settings: Any) -> tuple[Any, Any]:
        numbers = [settings.get(name, default) for name, default in defaults]
        if _is_on_device(x) and all(type(number) in (int, float) for number in numbers):
            return on_gpu(x, *numbers)
        return pair(x, **settings)

    on_gpu = pair if name in _CUPYS else _launches(name, row)
    defaults = [(name, (pair.__kwdefaults__ or {}).get(name)) for name in row.settings]
    return with_settings if row.settings else plain


def _in_one_piece(run: Callable[..., tuple[Any, Any]], x: Any, *settings: Any) -> tuple[Any, Any]:
    """The pair of a row for an array whose axes have changed places, or which has gaps."""
    order = sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
    turned = x.transpose(order)
    if not turned.flags.carray:
        return run(x.copy(), *settings)
    y, back = run(turned, *settings)
    home = [order.index(axis) for axis in range(x.ndim)]

    def back_home(g: Any) -> Any:
        return back(np.broadcast_to(g, x.shape).transpose(order)).transpose(home)

    return y.transpose(home), back_home


def _fused_arithmetic(pair: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """The pair of x + y or its like, with the kernels of its name where arrays are large."""
    name, slopes, least = pair.__name__, _SLOPES[pair.__name__], arithmetic.LEAST
    commutes = name in ("add", "mul")

    @functools.wraps(pair)
    def either(x: Any, y: Any) -> tuple[Any, ...]:
        if type(x) is type(y) is _ndarray:
            if x.dtype is y.dtype is _HALF and x.size >= arithmetic.HALVES:
                z = _combined_halves(name, x, y)
                return z, *slopes(x, y, z)
            if arithmetic.is_outer(x, y):
                z = arithmetic.outer(name, x, y)
                return z, *slopes(x, y, z)
        if type(x) is _ndarray and x.size >= least:
            if type(y) is _ndarray and y.dtype is not x.dtype:
                x, y = _in_float32(x, y)
            form = arithmetic.form(x, y)
            if form:
                z = arithmetic.combine(name, form, x, y)
                return z, *slopes(x, y, z)
        if commutes and type(y) is _ndarray and y.size >= least:
            form = arithmetic.form(y, x)
            if form:
                z = arithmetic.combine(name, form, y, x)
                return z, *slopes(x, y, z)
        return pair(x, y)

    return either


def _in_float32(x: Any, y: Any) -> tuple[Any, Any]:
    """Both; of a float32 array and one of integers the latter in float32, PyTorch's result type.

    NumPy's is float64: what came out would be thrown away, and computed once more.
    """
    if x.ndim and y.ndim:
        if x.dtype == _FLOAT32 and y.dtype.kind == "i":
            return x, _cast(y)
        if y.dtype == _FLOAT32 and x.dtype.kind == "i":
            return _cast(x), y
    return x, y


def _cast(x: Any, kind: Any = _FLOAT32) -> Any:
    least = arithmetic.HALVES if _HALF in (x.dtype, kind) else arithmetic.LEAST
    found = casts.cast(x, kind) if x.size >= least and x.flags.carray else None
    return x.astype(kind) if found is None else found


def _combined_halves(name: str, x: Any, y: Any) -> Any:
    """The same of float16, in float32, as NumPy computes it number by number."""
    return _cast(_combined(name, _cast(x), _cast(y)), _HALF)


def _combined(name: str, x: Any, y: Any) -> Any:
    halves = type(x) is type(y) is _ndarray and x.dtype is y.dtype is _HALF
    if halves and x.size >= arithmetic.HALVES:
        return _combined_halves(name, x, y)
    form = arithmetic.form(x, y) if type(x) is _ndarray else ""
    return arithmetic.combine(name, form, x, y) if form else _OPERATORS[name](x, y)


def times(x: Any, y: Any) -> Any:
    """x y of NumPy's arrays."""
    return _combined("mul", x, y) if x.size >= arithmetic.LEAST else x * y


def onto(held: Any, y: Any) -> Any:
    """held + y of NumPy's arrays, in the place of the one that is held, if it is of that type."""
    if held.dtype != y.dtype or held.dtype not in _FLOATS:
        return held + y
    if held.size < arithmetic.LEAST or not arithmetic.into("add", held, y):
        held += y
    return held


_FLOATS = _FLOAT32, _FLOAT64
_OPERATORS = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
}
# The pullbacks of x and y, z the result, as in `ops/arithmetic.py`.
_SLOPES: dict[str, Callable[[Any, Any, Any], tuple[Any, Any]]] = {
    "add": lambda x, y, z: (lambda g: g, lambda g: g),
    "sub": lambda x, y, z: (lambda g: g, lambda g: -g),
    "mul": lambda x, y, z: (lambda g: _combined("mul", g, y), lambda g: _combined("mul", g, x)),
    "div": lambda x, y, z: (lambda g: _combined("div", g, y), lambda g: -g * z / y),
}


def _is_on_device(x: Any) -> bool:
    """Whether x is an array of CuPy's that the kernels of `on_device/elements.py` take."""
    return is_cupys(x) and on_device.fits(x)


# CuPy has each of these, and its slope, in a launch or two of its own.
_CUPYS = frozenset({"abs", "exp", "expm1", "log", "log1p", "neg", "sqrt"})


def _launches(name: str, row: elementwise.Row) -> Callable[..., tuple[Any, Any]]:
    """The pair of a row on CuPy's arrays: one launch each way."""

    def run(x: Any, *settings: Any) -> tuple[Any, Any]:
        module = cupy()
        y = module.empty(x.shape, x.dtype)
        on_device.over_elements(f"{name}_value", x.size, (x, y), *settings)
        saved = y if row.saves_result else x

        def back(g: Any) -> Any:
            if g.shape != x.shape or g.dtype != x.dtype:
                g = module.broadcast_to(g, x.shape).astype(x.dtype)
            g, dx = module.ascontiguousarray(g), module.empty(x.shape, x.dtype)
            on_device.over_elements(f"{name}_slope", x.size, (g, saved, dx), *settings)
            return dx

        return y, back

    return run


class _Kernels(dict[Any, Any]):
    """The kernels of a row of one direction and size, by type, fetched when first asked for."""

    def __init__(self, name: str, way: str, large: bool) -> None:
        self.what = name, way, large

    def __missing__(self, kind: Any) -> Any:
        name, way, large = self.what
        soon = way == "value" and not elementwise.ROWS[name].least_slope
        back = [(_load, name, "slope", large, kind)] if soon else []
        self[kind] = ahead.made(_load, name, way, large, kind, back=back)
        return self[kind]


def _load(name: str, way: str, large: bool, kind: Any) -> Any:
    return elementwise.loop(name, way, kind.name).load(kind.name, large)


def kernels_of(name: str, size: int) -> Any:
    """The kernels of a row's values for so many elements, by type."""
    return _values_of(name, size > elementwise.ROWS[name].part)


@functools.cache
def _values_of(name: str, large: bool) -> _Kernels:
    return _Kernels(name, "value", large)


class Softmaxes:
    """The part of NumPy's namespace that takes softmax, and its logarithm, with kernels."""

    def softmax(self, x: Any, axis: int) -> Any:
        y = _softmax("softmax", axis, x)
        return super().softmax(x, axis) if y is None else y  # type: ignore[misc]

    def softmax_back(self, y: Any, g: Any, axis: int) -> Any:
        x = _softmax("softmax_back", axis, y, g)
        return super().softmax_back(y, g, axis) if x is None else x  # type: ignore[misc]

    def log_softmax(self, x: Any, axis: int) -> Any:
        y = _softmax("log_softmax", axis, x)
        return super().log_softmax(x, axis) if y is None else y  # type: ignore[misc]

    def log_softmax_back(self, y: Any, g: Any, axis: int) -> Any:
        x = _softmax("log_softmax_back", axis, y, g)
        return super().log_softmax_back(y, g, axis) if x is None else x  # type: ignore[misc]

    def cross_entropy_rows(self, z: Any, index: Any) -> tuple[Any, Any]:
        if not softmax.fits_loss(z, index):
            return super().cross_entropy_rows(z, index)  # type: ignore[misc]
        loss, slope, bad = softmax.cross_entropy(z, index)
        if bad >= 0:
            check_classes(index, z.shape[1])
        return loss, slope


def _softmax(name: str, axis: int, *arrays: Any) -> Any:
    """What a kernel of `kernels/fused/softmax.py` makes of these; None where none does."""
    x = arrays[0]
    if not x.ndim:
        return None
    if not softmax.fits(*arrays):
        if any(type(a) is not _ndarray for a in arrays):
            return None
        arrays = tuple(np.array(np.broadcast_to(a, x.shape), order="C") for a in arrays)
        if not softmax.fits(*arrays):
            return None
    if axis in (-1, x.ndim - 1):
        return softmax.along(name, *arrays)
    return softmax.across(name, range(x.ndim)[axis], *arrays)


def check_classes(index: Any, classes: int) -> None:
    """Raise IndexError unless all of `index`, integers, lie in [0, classes)."""
    outside = (index < 0) | (index >= classes)
    if outside.any():
        raise IndexError(
            f"Target {int(index[outside][0])} is out of bounds: there are {classes} classes, 0 to "
            f"{classes - 1}."
        )
