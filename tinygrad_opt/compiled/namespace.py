"""The namespace of traced arrays: what `xp(x)` answers while a step is traced.

Formulas of layers and losses are inherited from `Namespace`, in array code: so they fall apart into
element-wise functions, sums, products and views, which `loops.py` puts together again as loops.
Convolution, pooling and recurrent layers are calls of the eager kernels from within the step
(`families.py`). What has no such form, as sorting, is a call of the eager kernel between two parts
of the compiled step, with arrays in and arrays out.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..arrays.namespace import Namespace
from ..arrays.windows import FastWindows
from ..arrays.xp import xp
from .calls import is_blas, is_row_major
from .eager import call
from .families import add_families
from .launches import run
from .operators import add_operators
from .traced import Traced, copied, current, elementwise, is_plain, reduced, view
from .values import Later, contiguous, strided

__all__ = ["FUNCTIONS", "SPACE"]

_EAGER = xp(np.zeros(0))  # NumPy's namespace, with its kernels
_PLAIN = Namespace(np)  # without them; it takes arrays that stand for others, and have no memory

# NumPy's functions of elements that loops can compute: see the texts in `elements.py`.
FUNCTIONS = frozenset((
    "absolute", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh",
    "bitwise_and", "bitwise_or", "bitwise_xor", "ceil", "copysign", "cos", "cosh", "divide",
    "equal", "erf", "erfc", "exp", "exp2", "expm1", "fabs", "floor", "floor_divide", "fmod",
    "greater", "greater_equal", "hypot", "invert", "isfinite", "isinf", "isnan", "less",
    "less_equal", "lgamma", "log", "log10", "log1p", "log2", "logaddexp", "logical_and",
    "logical_not", "logical_or", "logical_xor", "maximum", "minimum", "multiply", "negative",
    "not_equal", "positive", "power", "reciprocal", "remainder", "rint", "sigmoid", "sign",
    "sin", "sinh", "sqrt", "square", "subtract", "tan", "tanh", "true_divide", "trunc",
))  # fmt: skip
_SYNONYMS = {"abs": "absolute", "true_divide": "divide", "fabs": "absolute", "pow": "power",
             "amax": "amax", "float_power": "power"}  # fmt: skip

# What the shape of the result depends on values for.
_BY_VALUE = {"nonzero", "unique", "flatnonzero", "bincount", "histogram", "argwhere", "compress"}


class _Library:
    """NumPy by name, for the formulas that say `self.module.exp`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(SPACE, name)


class TraceNamespace(FastWindows, Namespace):
    """NumPy's namespace on traced arrays."""

    run = staticmethod(run)

    def __init__(self) -> None:
        super().__init__(_Library())

    def __getattr__(self, name: str) -> Any:
        name = _SYNONYMS.get(name, name)
        function = getattr(_EAGER, name)
        if not callable(function) or isinstance(function, type):
            return function

        def traced(*args: Any, **settings: Any) -> Any:
            if not any(map(_is_traced, args)) and not any(map(_is_traced, settings.values())):
                return function(*args, **settings)  # of constants
            if name in FUNCTIONS and not settings:
                return elementwise(name, function, *args)
            return _called(name, function, args, settings)

        setattr(self, name, traced)
        return traced

    def numpys(self, function: Any, args: Any, settings: Any) -> Any:
        """A function of NumPy's that was called with traced arrays."""
        own = getattr(type(self), function.__name__, None)
        if own is not None or function.__name__ in FUNCTIONS:
            return getattr(self, function.__name__)(*args, **settings)
        return _called(function.__name__, function, args, settings)

    # What must be told apart from NumPy's -------------------------------------------------------

    def sum(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return reduced("sum", _traced(x), axis, keepdims)

    def amax(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return reduced("amax", _traced(x), axis, keepdims)

    def amin(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return reduced("amin", _traced(x), axis, keepdims)

    def sum_rows(self, x: Any) -> Any:
        return self.sum(x, axis=0)

    def copy(self, x: Any) -> Any:
        return copied(_traced(x))

    def cast(self, x: Any, dtype: Any) -> Any:
        return _traced(x).astype(dtype)

    def to_device(self, x: Any, device: Any) -> Any:
        return x

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        if isinstance(x, Traced):
            return x if dtype is None else x.astype(dtype)
        return np.asarray(x, dtype)

    ascontiguousarray = asarray

    def sigmoid(self, x: Any) -> Any:
        return elementwise("sigmoid", _EAGER.sigmoid, _traced(x))

    def sign(self, x: Any) -> Any:
        return elementwise("sign", np.sign, x)

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        return elementwise("where", np.where, condition, x, y)

    # Constants of a shape ----------------------------------------------------------------------

    def full(self, shape: Any, value: Any, dtype: Any = None) -> Any:
        if isinstance(value, Traced):
            return self.broadcast_to(value, shape).astype(dtype or value.dtype)
        number = np.asarray(value, dtype)
        data = np.broadcast_to(number, shape)
        params = {"shape": data.shape, "dtype": data.dtype.name}
        return Traced(current().emit("full", (number.item(),), params, data))

    def zeros(self, shape: Any, dtype: Any = float) -> Any:
        return self.full(shape, 0, dtype)

    def ones(self, shape: Any, dtype: Any = float) -> Any:
        return self.full(shape, 1, dtype)

    def zeros_like(self, x: Any) -> Any:
        return self.full(x.shape, 0, x.dtype)

    def ones_like(self, x: Any) -> Any:
        return self.full(x.shape, 1, x.dtype)

    empty, empty_like = zeros, zeros_like

    def full_like(self, x: Any, value: Any) -> Any:
        return self.full(x.shape, value, x.dtype)

    # Views -------------------------------------------------------------------------------------

    def reshape(self, x: Any, shape: Any) -> Any:
        return _traced(x).reshape(shape)

    def transpose(self, x: Any, axes: Any = None) -> Any:
        return _traced(x).transpose() if axes is None else _traced(x).transpose(axes)

    def swapaxes(self, x: Any, a: int, b: int) -> Any:
        return _traced(x).swapaxes(a, b)

    def moveaxis(self, x: Any, source: Any, destination: Any) -> Any:
        return view(_traced(x), lambda a: np.moveaxis(a, source, destination))

    def expand_dims(self, x: Any, axis: Any) -> Any:
        return view(_traced(x), lambda a: np.expand_dims(a, axis))

    def broadcast_to(self, x: Any, shape: Any) -> Any:
        return view(_traced(x), lambda a: np.broadcast_to(a, shape))

    def flip(self, x: Any, axis: Any = None) -> Any:
        return view(_traced(x), lambda a: np.flip(a, axis))

    def diagonal(self, x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        return view(_traced(x), lambda a: np.diagonal(a, offset, axis1, axis2))

    def windows(self, x: Any, size: int, step: int) -> Any:
        return view(_traced(x), lambda a: _PLAIN.windows(a, size, step))

    def may_share_memory(self, a: Any, b: Any) -> bool:
        return True

    # Products, joins, rows of tables -----------------------------------------------------------

    def matmul(self, a: Any, b: Any) -> Any:
        a, b = _traced(a), _traced(b)
        if min(a.ndim, b.ndim) < 2 or a.dtype != b.dtype or a.dtype.kind != "f":
            return self._product_of_vectors(a, b)
        a, b = (x if is_blas(x.value) else copied(x) for x in (a, b))
        if a.shape[-1] != b.shape[-2]:
            return a.value.data @ b.value.data  # raises
        shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
        data = Later(shape, a.dtype, np.matmul, a.value, b.value)
        return Traced(current().emit("matmul", (a.value, b.value), {}, data))

    dot = matmul

    def _product_of_vectors(self, a: Any, b: Any) -> Traced:
        if a.ndim == 1:
            return self.matmul(a[None], b)[..., 0, :] if b.ndim > 1 else self.sum(a * b)
        if b.ndim == 1:
            return self.matmul(a, b[:, None])[..., 0]
        return call("matmul", np.matmul, a, b)

    def concatenate(self, parts: Any, axis: Any = 0) -> Any:
        parts = [_traced(p) for p in parts]
        if axis is None:
            parts, axis = [p.reshape(-1) for p in parts], 0
        shape = np.concatenate([strided(p.shape, (0,) * p.ndim) for p in parts], axis).shape
        dtype = np.result_type(*[p.dtype for p in parts])
        parts = [p.astype(dtype).value for p in parts if p.shape[axis]]
        if len(parts) == 1:
            return Traced(parts[0])
        data = Later(shape, dtype, lambda *arrays: np.concatenate(arrays, axis), *parts)
        return Traced(
            current().emit("concatenate", tuple(parts), {"axis": axis % len(shape)}, data)
        )

    def stack(self, parts: Any, axis: int = 0) -> Any:
        axis %= parts[0].ndim + 1
        return self.concatenate([self.expand_dims(p, axis) for p in parts], axis)

    def put(self, x: Any, values: Any, index: Any) -> Any:
        """A copy of x with `values` at `index`."""
        parts = index if isinstance(index, tuple) else (index,)
        x, values = _traced(x), _traced(values)
        if not all(p is None or p is Ellipsis or is_plain(p) for p in parts):
            return call("put", _EAGER.put, x, values, index)
        box = strided(x.shape, contiguous(x.shape))[index]
        values = self.broadcast_to(values.astype(x.dtype), box.shape)

        def put(old: Any, new: Any) -> Any:
            found = old.copy()
            found[index] = new
            return found

        data = Later(x.shape, x.dtype, put, x.value, values.value)
        return Traced(current().emit("put", (x.value, values.value), {"index": index}, data))

    def scatter_add(self, g: Any, shape: tuple[int, ...], index: Any) -> Any:
        parts = index if isinstance(index, tuple) else (index,)
        if all(p is None or p is Ellipsis or is_plain(p) for p in parts):
            box = strided(shape, contiguous(shape))[index]
            g = self.broadcast_to(g, box.shape)
            data = Later(shape, g.dtype, lambda part: _in_zeros(shape, index, part), g.value)
            return Traced(current().emit("boxes", (g.value,), {"indices": [index]}, data))
        row = parts[0]
        if len(parts) == 1 and getattr(row, "dtype", np.dtype("O")).kind in "iu":
            index, g = _row_major(_traced(row)), _row_major(_traced(g))
            data = Later(shape, g.dtype, lambda g, i: _in_zeros(shape, i, g), g.value, index.value)
            return Traced(current().emit("scatter", (g.value, index.value), {"shape": shape}, data))
        return call("scatter_add", _EAGER.scatter_add, g, shape, index)

    def rows(self, table: Any, index: Any) -> Any:
        """table[index], for integers, which are looked at before anything is written."""
        table, index = _traced(table), _traced(index)
        if index.size:
            inside: Any = (index.min() >= 0) & (index.max() < len(table))
            if not inside.value.data:
                return call("rows", operator.getitem, table, index)
            current().assumed.append((inside.value, True))
        table, index = map(_row_major, (table, index))
        shape = (*index.shape, *table.shape[1:])
        data = Later(shape, table.dtype, operator.getitem, table.value, index.value)
        return Traced(current().emit("rows", (table.value, index.value), {}, data))

    def take(self, x: Traced, parts: tuple[Any, ...]) -> Traced:
        """x[parts], where there are arrays among the parts."""
        row = parts[0]
        if len(parts) == 1 and getattr(row, "dtype", np.dtype("O")).kind in "iu":
            return self.rows(x, row)
        if any(getattr(p, "dtype", None) == np.bool_ for p in parts):
            _refuse_by_value("x[mask]")
        return call("index", operator.getitem, x, parts)

    def cross_entropy_rows(self, z: Any, index: Any) -> tuple[Any, Any]:
        """As the formula, with the classes looked at before anything is written."""
        z, index = _traced(z), _traced(index)
        if z.ndim > 2:
            return super().cross_entropy_rows(z, index)
        outside = (index < 0) | (index >= z.shape[1])
        if bool(outside.any()) or not z.size:
            return _EAGER.cross_entropy_rows(z.value.data, index.value.data)  # raises
        shifted = z - self.amax(z, axis=1, keepdims=True)
        powers = self.exp(shifted)
        total = self.sum(powers, axis=1, keepdims=True)
        place = self.broadcast_to(self.arange(z.shape[1]), z.shape)
        hot = _traced(place) == index.reshape(-1, 1)
        picked = self.sum(self.where(hot, shifted, z.dtype.type(0)), axis=1)
        slope = powers / total - self.where(hot, z.dtype.type(1), z.dtype.type(0))
        return self.log(total).reshape(-1) - picked, slope

    def mean_cross_entropy_rows(self, z: Any, index: Any, ignore: int) -> tuple[Any, Any, Any]:
        """As the formula; simpler where no row is ignored, which is then looked at in each call."""
        z, index = _traced(z), _traced(index)
        if not index.size or bool((index == ignore).any()):
            return super().mean_cross_entropy_rows(z, index, ignore)
        loss, slope = self.cross_entropy_rows(z, index)
        share = 1 / index.size
        total: Any = self.sum(loss)
        return total * share, slope, share

    def take_along_axis(self, x: Any, index: Any, axis: int) -> Any:
        return call("take_along_axis", np.take_along_axis, x, index, axis)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(_EAGER)})


def _eager(name: str, why: str = "") -> Any:
    def function(self: Any, *args: Any, **settings: Any) -> Any:
        return call(name, getattr(_EAGER, name), *args, why=why, **settings)

    return function


for _name in (
    "accumulate", "columns", "logcumsumexp", "pick_maxima", "put_extremum", "put_product",
    "uncolumns",
):  # fmt: skip
    setattr(TraceNamespace, _name, _eager(_name))
for _name in ("pick", "spread", "window_argmax"):
    setattr(TraceNamespace, _name, _eager(_name, "windows are not alike, or come as indices"))


def _in_zeros(shape: Any, index: Any, parts: Any) -> Any:
    found = np.zeros(shape, parts.dtype)
    np.add.at(found, index, parts)
    return found


def _is_traced(x: Any) -> bool:
    return isinstance(x, Traced) or (
        isinstance(x, (list, tuple)) and any(isinstance(part, Traced) for part in x)
    )


def _traced(x: Any) -> Traced:
    if isinstance(x, Traced):
        return x
    x = np.asarray(x)
    return SPACE.full((), x.item(), x.dtype) if x.ndim == 0 else Traced(current().lift(x))


def _row_major(x: Traced) -> Traced:
    return x if is_row_major(x.value) else copied(x)


def _called(name: str, function: Any, args: Any, settings: dict[str, Any]) -> Any:
    if name in _BY_VALUE:
        _refuse_by_value(f"{name}()")
    return call(name, function, *args, **settings)


def _refuse_by_value(what: str) -> None:
    current().refuse(
        f"calls {what}, the shape of whose result depends on values; a compiled step has one shape"
    )


add_families(TraceNamespace, _EAGER)
SPACE = TraceNamespace()
Traced._namespace = SPACE
add_operators(Traced)
