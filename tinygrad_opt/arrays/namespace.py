"""Array namespaces: NumPy and CuPy, each with the extras that the operations call by name.

`xp(x)` finds the namespace of an array. Beside NumPy's own names it offers what NumPy lacks:
`cast`, `sum_rows`, `sigmoid`, `softmax`, `log_softmax` (and their `_back`), `cross_entropy_rows`,
`picked`, `scatter_add`, `put`, `windows`, and special functions (`erf`, `lgamma`, `igamma` ...).
Those for convolution and pooling stand in `windows.py`, those for norms, attention and
recurrent layers in `fused_layers.py`.

`Namespace` has them in array code. On NumPy's arrays `_NumpyNamespace` puts twins in their place,
for instance `kernels/fused/softmax.py` (through `fused.py`); `tests/test_twins.py` holds each pair
equal.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..kernels import blas
from ..kernels.fused import bessel, gamma, special
from ..kernels.fused import softmax as softmaxes
from .allocator import keep_freed_memory
from .device import to_device
from .fused import Softmaxes, check_classes
from .fused_layers import FastLayers, Layers
from .large import Large
from .memory import strided
from .places import Places
from .sums import Sums, names_none_twice
from .unwritten import dot_later
from .windows import FastWindows, Windows

__all__ = ["Namespace", "is_writable"]


class Namespace(Layers, Windows):
    """An array module (NumPy or CuPy) plus the extras that op bodies call by name."""

    fuses = False  # whether layers are to be as few operations as there can be

    def __init__(self, module: Any) -> None:
        self.module = module

    def __getattr__(self, name: str) -> Any:
        # Found once, then an ordinary attribute: later calls cost what `np.name` costs.
        function = getattr(self.module, name)
        setattr(self, name, function)
        return function

    def one(self, x: Any) -> Any:
        """1 in the type and the shape of x, which has one element."""
        return self.module.ones(x.shape, x.dtype)  # made on a GPU: nothing is sent there

    def sum(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return self.module.sum(x, axis=axis, keepdims=keepdims)

    def sum_of_squares(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return self.sum(x * x, axis=axis, keepdims=keepdims)

    def sum_rows(self, x: Any) -> Any:
        """The sum of a matrix's rows."""
        return self.module.sum(x, axis=0)

    def linear(self, x: Any, weight: Any, bias: Any) -> Any:
        """x weight^T + bias of matrices; bias, a row, may be None."""
        y = self.dot(x, weight.T)
        if bias is not None:
            y += bias
        return y

    def dot_later(self, x: Any, y: Any) -> Any:
        """The product of two matrices; or what writes it, which a pullback may return as well."""
        return self.dot(x, y)

    def amax(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return x.max(axis=axis, keepdims=keepdims)

    def amin(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return x.min(axis=axis, keepdims=keepdims)

    def transpose(self, x: Any, axes: Any = None) -> Any:
        return x.transpose(axes)  # a third of the time of NumPy's function

    def copy(self, x: Any) -> Any:
        return x.copy()  # row-major, where np.copy keeps the order

    def flipped(self, x: Any, axis: Any) -> Any:
        """A copy of x, from the end of an axis (or several) to its beginning."""
        return self.copy(self.flip(x, axis=axis))

    def reshape(self, x: Any, shape: Any) -> Any:
        return x.reshape(shape)

    def power(self, x: Any, y: Any) -> Any:
        try:
            return x**y
        except ValueError:  # of integers, with an exponent below 0
            if not hasattr(y, "dtype"):
                raise
        z = x ** self.where(y < 0, 0, y)  # 1 where the exponent was below 0
        # There 1 / x^|y| rounded towards 0 is right, and left of it: that of 1 and of -1.
        return self.where((y < 0) & (x != 1), (x == -1) * (1 - 2 * (y % 2)), z)

    def clip(self, x: Any, min: Any = None, max: Any = None) -> Any:
        y = x if min is None else self.maximum(x, min)
        return y if max is None else self.minimum(y, max)

    def cast(self, x: Any, dtype: Any) -> Any:
        if x.dtype.kind == "c" and np.dtype(dtype).kind != "c":
            x = x.real if np.dtype(dtype).kind != "b" else x != 0
        return x.astype(dtype)

    def real_part(self, x: Any) -> Any:
        return x.real

    def imag_part(self, x: Any) -> Any:
        return x.imag

    def view_as_real(self, x: Any) -> Any:
        return x[..., None].view(x.real.dtype)

    def view_as_complex(self, x: Any) -> Any:
        if x.strides[-1] != x.itemsize:
            x = self.module.ascontiguousarray(x)
        return x.view(np.result_type(x.dtype, np.complex64))[..., 0]

    def fourier(self, x: Any, kind: str, n: int | None, axis: int, norm: str) -> Any:
        """`numpy.fft.fft`, `ifft`, `rfft` or `irfft`, by name, along one axis."""
        return getattr(self.module.fft, kind)(x, n, axis, norm)

    def to_device(self, x: Any, device: Any) -> Any:
        return to_device(x, device)

    def ldexp(self, x: Any, exponent: Any) -> Any:
        return self.module.ldexp(x, exponent)

    def sigmoid(self, x: Any) -> Any:
        if x.dtype.kind == "c":
            return 1 / (1 + self.module.exp(-x))
        z = self.module.exp(self.module.copysign(x, -1.0))  # exp(-|x|), in (0, 1]: never overflows
        return self.module.where(x >= 0, 1, z) / (1 + z)

    def softmax(self, x: Any, axis: int) -> Any:
        if not x.size:
            return x.copy()  # of no elements there is no largest
        e = self.module.exp(x - x.max(axis=axis, keepdims=True))
        e /= self.sum(e, axis, True)
        return e

    def log_softmax(self, x: Any, axis: int) -> Any:
        if not x.size:
            return x.copy()
        shifted = x - x.max(axis=axis, keepdims=True)
        shifted -= self.module.log(self.sum(self.module.exp(shifted), axis, True))
        return shifted

    def cross_entropy_rows(self, z: Any, index: Any) -> tuple[Any, Any]:
        """-log_softmax(z)[i, index[i]] for each row i, and its slope softmax(z) - onehot(index).

        Rows (N, C); or (N, C, ...), and a class for each place.
        """
        if z.ndim > 2:
            return softmaxes.with_classes_last(self, self.cross_entropy_rows, z, index)
        check_classes(index, z.shape[1])
        if not z.size:
            return self.module.zeros(len(z), z.dtype), z.copy()
        rows = self.module.arange(len(z))
        shifted = z - self.amax(z, axis=1, keepdims=True)
        slope = self.module.exp(shifted)
        total = self.sum(slope, axis=1, keepdims=True)
        slope /= total
        loss = self.module.log(total).reshape(-1) - shifted[rows, index]
        slope[rows, index] -= 1
        return loss, slope

    def mean_cross_entropy_rows(self, z: Any, index: Any, ignore: int) -> tuple[Any, Any, Any]:
        """The mean of `cross_entropy_rows` over the rows whose class is not `ignore`.

        Also the slope of their sum, 0 for the others, and one over their number.
        """
        kept = index != ignore
        loss, slope = self.cross_entropy_rows(z, self.module.where(kept, index, 0))
        kept = kept.astype(z.dtype)
        share = 1 / self.module.sum(kept)
        return self.module.sum(loss * kept) * share, slope * kept[:, None], share

    def grid(self, shape: tuple[int, ...]) -> tuple[Any, ...]:
        """For each axis its places, so that together they broadcast to `shape`."""
        last = len(shape) - 1
        return tuple(
            np.arange(n).reshape((1,) * k + (n,) + (1,) * (last - k)) for k, n in enumerate(shape)
        )

    def approach(self, running: Any, new: Any, share: float, times: float) -> None:
        """Move running statistics towards `times` new ones by their share, in place."""
        running[...] += share * (times * new - running)

    def sign(self, x: Any) -> Any:
        """-1, 0 or 1; of NaN it is 0, as PyTorch has it."""
        return self.module.subtract(x > 0, x < 0, dtype=x.dtype)

    def relu_back(self, g: Any, y: Any) -> Any:
        """The gradient of x from that of y = max(x, 0), which is passed on where it is NaN."""
        return self.where(y != 0, g, 0)

    def stepwise(self, g: Any, x: Any) -> Any:
        """`g`; on Tensors it has a gradient of zeros for x."""
        return g

    def checks_rows(self, table: Any, index: Any) -> bool:
        """Whether `rows` itself sees to it that the index lies within the table."""
        return False

    def rows(self, table: Any, index: Any) -> Any:
        return table[index]

    def picked(self, x: Any, index: Any) -> Any:
        """x[index]."""
        return x[index]

    def scatter_add(self, g: Any, shape: tuple[int, ...], index: Any) -> Any:
        """Zeros of `shape` with `g` added at `index`; repeated positions add up."""
        if g.dtype.kind == "c" and not names_none_twice(index):  # CuPy adds real numbers alone
            return self.scatter_add(g.real, shape, index) + 1j * self.scatter_add(
                g.imag, shape, index
            )
        y = self.module.zeros(shape, g.dtype)
        if names_none_twice(index):
            y[index] = g
        else:
            self.module.add.at(y, index, g)
        return y

    def put(self, x: Any, values: Any, index: Any) -> Any:
        """A copy of x with `values` at `index`."""
        y = x.copy()
        y[index] = values
        return y

    def framed(self, x: Any, shape: tuple[int, ...], index: Any, value: float) -> Any:
        """x at `index` of an array that is `value` elsewhere."""
        return self.put(self.full(shape, value, x.dtype), x, index)

    def put_extremum(self, x: Any, values: Any, index: Any, name: str, include_self: bool) -> Any:
        """A copy of x with its maximum (or minimum) with `values` at `index`, or theirs alone."""
        ufunc = getattr(self.module, name)
        y = x.copy()
        if not include_self:
            y[index] = values  # any of them, where several are put
        ufunc.at(y, index, values)
        return y

    def put_product(self, x: Any, values: Any, index: Any) -> Any:
        """A copy of x, multiplied with `values` at `index`; repeats multiply."""
        # In rounds, in each of which no position occurs twice: CuPy has no `multiply.at`.
        parts = index if isinstance(index, tuple) else (index,)
        host = tuple(to_device(i, "cpu") if hasattr(i, "shape") else i for i in parts)
        places = np.arange(x.size).reshape(x.shape)[host]
        values = self.module.broadcast_to(values, places.shape).reshape(-1)
        y, places = x.copy(), places.reshape(-1)
        turns = _occurrences(places)
        for turn in range(turns.max(initial=-1) + 1):
            now = np.flatnonzero(turns == turn)
            y.reshape(-1)[places[now]] *= values[now]
        return y

    def accumulate(self, x: Any, ufunc: str, axis: int) -> Any:
        """What `ufunc.accumulate` gives in NumPy; here in as many steps as n has binary digits."""
        function, y, step = getattr(self.module, ufunc), x, 1
        before = (slice(None),) * axis
        while step < x.shape[axis]:
            late, early = (*before, slice(step, None)), (*before, slice(None, -step))
            joined = function(y[late], y[early])
            y = self.module.concatenate([y[(*before, slice(None, step))], joined], axis=axis)
            step *= 2
        return y

    def diagonal(self, x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        y = self.module.diagonal(x, offset, axis1, axis2)
        if type(y) is np.ndarray and x.flags.writeable:
            y.flags.writeable = True  # NumPy hands out a read-only view, PyTorch does not
        return y

    def logcumsumexp(self, x: Any, axis: int) -> Any:
        return self.accumulate(x, "logaddexp", axis % x.ndim)

    def causal_mask(self, query: Any, keys: int) -> Any:
        """(queries, keys): 0 where a query may look, -inf at the keys after its own place."""
        seen = self.module.tri(query.shape[-2], keys, dtype=bool)
        return self.module.where(seen, 0, -math.inf).astype(query.dtype)

    def windows(self, x: Any, size: int, step: int) -> Any:
        """The stretches of `size` elements of the last axis that start every `step`: a view."""
        stride = x.strides[-1]
        shape = (*x.shape[:-1], (x.shape[-1] - size) // step + 1, size)
        return self._strided(x, shape, (*x.strides[:-1], stride * step, stride))

    def overlaid(self, g: Any, n: int, step: int) -> Any:
        """The transpose of `windows`: stretches added up in a last axis of n elements."""
        *before, count, size = g.shape
        wide = np.dtype(np.float32) if g.dtype == np.float16 else g.dtype
        y, end = self.module.zeros((*before, n), wide), (count - 1) * step + 1
        if size <= count:
            for k in range(size):
                y[..., k : k + end : step] += g[..., k]
        else:
            for i in range(count):
                y[..., i * step : i * step + size] += g[..., i, :]
        return y.astype(g.dtype, copy=False)

    def as_strided(self, x: Any, size: Any, stride: Any) -> Any:
        """A view of the vector x: element sum(stride[i] * place[i]) at each place."""
        return self._strided(x, size, tuple(n * x.itemsize for n in stride))

    def _strided(self, x: Any, shape: Any, strides: Any) -> Any:
        return self.module.lib.stride_tricks.as_strided(x, shape, strides)

    # The formulas take the namespace as their first argument, as methods do.
    softmax_back, log_softmax_back = softmaxes.softmax_back, softmaxes.log_softmax_back


class _NumpyNamespace(Softmaxes, Large, Places, Sums, FastLayers, FastWindows, Namespace):
    erf = staticmethod(special.in_own_type(special.erf))
    erfc = staticmethod(special.in_own_type(special.erfc))
    erfinv = staticmethod(special.in_own_type(special.erfinv))
    lgamma = staticmethod(special.in_own_type(special.lgamma))
    polygamma = staticmethod(special.in_own_type(special.polygamma))

    i0, i0e = staticmethod(bessel.i0), staticmethod(bessel.i0e)
    i1, i1e = staticmethod(bessel.i1), staticmethod(bessel.i1e)
    erfcx, log_ndtr = staticmethod(bessel.erfcx), staticmethod(bessel.log_ndtr)
    ndtri, zeta = staticmethod(bessel.ndtri), staticmethod(bessel.zeta)
    igamma, igammac = staticmethod(gamma.igamma), staticmethod(gamma.igammac)
    igamma_slope = staticmethod(gamma.igamma_slope)

    def one(self, x: Any) -> Any:
        return np.array(1, x.dtype).reshape(x.shape)  # three times as quick as np.ones

    dot = staticmethod(blas.multiply)
    linear = staticmethod(blas.linear)
    dot_later = staticmethod(dot_later)
    matmul = staticmethod(blas.multiply_stacks)

    def put_product(self, x: Any, values: Any, index: Any) -> Any:
        y = x.copy()
        np.multiply.at(y, index, values)
        return y

    def accumulate(self, x: Any, ufunc: str, axis: int) -> Any:
        return getattr(np, ufunc).accumulate(x, axis=axis)

    def _strided(self, x: Any, shape: Any, strides: Any) -> Any:
        y = strided(x, shape, strides)
        if y is None:
            return super()._strided(x, shape, strides)
        if not x.flags.writeable:
            y.flags.writeable = False
        return y


def _occurrences(places: Any) -> Any:
    """For each element of a vector: how many equal ones come before it."""
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    position = np.arange(len(places))
    new = np.r_[True, ordered[1:] != ordered[:-1]][: len(places)]
    turns = np.empty_like(position)
    turns[order] = position - np.maximum.accumulate(np.where(new, position, 0))
    return turns


keep_freed_memory()  # before the first large array is freed


def is_writable(array: Any) -> bool:
    """Whether an array may be written to: not memory of others, nor stretched by `expand`."""
    return bool(getattr(array.flags, "writeable", True))  # CuPy has no such flag
