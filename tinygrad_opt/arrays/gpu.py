"""CuPy's namespace: what it does in its own way, or lacks.

The operations call it as they call NumPy's. What it does not say is `Namespace`, in array code.
Steps that networks spend their time in are one launch here where they fit a kernel of
`kernels/fused/on_device.py`; `tests/simulator/test_fused_on_device.py` holds both equal.
"""

from __future__ import annotations

import functools
import importlib
import math
from typing import Any

import numpy as np

from ..kernels import cublas
from ..kernels.fused import on_device
from . import faults
from .gpu_layers import SMALL, DeviceLayers
from .gpu_windows import DeviceWindows
from .namespace import Namespace

__all__ = ["CupyNamespace"]


class CupyNamespace(DeviceLayers, DeviceWindows, Namespace):
    """CuPy, with the special functions of `cupyx`."""

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self._masks: dict[Any, Any] = {}

    def dot(self, x: Any, y: Any) -> Any:
        products = cublas.active.products  # of a graph that is captured
        return self.module.dot(x, y) if products is None else products.dot(x, y)

    def matmul(self, x: Any, y: Any) -> Any:
        products = cublas.active.products
        return self.module.matmul(x, y) if products is None else products.matmul(x, y)

    def erf(self, x: Any) -> Any:
        return _special("erf")(x)

    def erfc(self, x: Any) -> Any:
        return _special("erfc")(x)

    def erfinv(self, x: Any) -> Any:
        return _special("erfinv")(x)

    def lgamma(self, x: Any) -> Any:
        return _special("gammaln")(x)

    def polygamma(self, x: Any, n: int) -> Any:
        return _special("polygamma")(self.module.asarray(n, x.dtype), x)  # it takes no Python int

    def i0(self, x: Any) -> Any:
        return _special("i0")(x)

    def i0e(self, x: Any) -> Any:
        return _special("i0e")(x)

    def i1(self, x: Any) -> Any:
        return _special("i1")(x)

    def i1e(self, x: Any) -> Any:
        return _special("i1e")(x)

    def erfcx(self, x: Any) -> Any:
        return _special("erfcx")(x)

    def log_ndtr(self, x: Any) -> Any:
        return _special("log_ndtr")(x)

    def ndtri(self, x: Any) -> Any:
        return _special("ndtri")(x)

    def zeta(self, x: Any, y: Any) -> Any:
        return _special("zeta")(x, y)

    def igamma(self, x: Any, y: Any) -> Any:
        return _special("gammainc")(x, y)

    def igammac(self, x: Any, y: Any) -> Any:
        return _special("gammaincc")(x, y)

    def sigmoid(self, x: Any) -> Any:
        if not on_device.fits(x):
            return super().sigmoid(x)
        y = self.module.empty(x.shape, x.dtype)
        on_device.over_elements("sigmoid_value", x.size, (x, y))
        return y

    # Fused steps ------------------------------------------------------------------------------

    def softmax(self, x: Any, axis: int) -> Any:
        if axis not in (-1, x.ndim - 1) or not x.ndim or not on_device.fits(x):
            return super().softmax(x, axis)
        y = self.module.empty(x.shape, x.dtype)
        n = x.shape[-1]
        on_device.over_rows("softmax", x.size // n, n, (x, y), n)
        return y

    def softmax_back(self, p: Any, g: Any, axis: int) -> Any:
        last = p.ndim and axis in (-1, p.ndim - 1)
        if not last or p.shape != g.shape or not on_device.fits(p, g):
            return super().softmax_back(p, g, axis)
        dx = self.module.empty(p.shape, p.dtype)
        n = p.shape[-1]
        on_device.over_rows("softmax_back", p.size // n, n, (p, g, dx), n)
        return dx

    @functools.lru_cache(maxsize=64)  # noqa: B019  there is one such namespace
    def grid(self, shape: tuple[int, ...]) -> tuple[Any, ...]:
        """On the device, once."""
        return tuple(map(self.module.asarray, super().grid(shape)))

    def causal_mask(self, query: Any, keys: int) -> Any:
        """Made once: layers and steps have the same one."""
        key = query.shape[-2], keys, query.dtype.char
        if key not in self._masks:
            self._masks.clear()
            self._masks[key] = super().causal_mask(query, keys)
        return self._masks[key]

    def forget_made(self) -> None:
        """Make what is made once anew: a capture failed, and memory of its time holds nothing."""
        self._masks.clear()

    def cross_entropy_rows(self, z: Any, index: Any) -> tuple[Any, Any]:
        z, index = self.module.ascontiguousarray(z), self.module.ascontiguousarray(index)
        if z.ndim > 2 or not _classes_fit(z, index):
            return super().cross_entropy_rows(z, index)
        return self._cross_entropy(z, index, _NO_CLASS)

    def mean_cross_entropy_rows(self, z: Any, index: Any, ignore: int) -> tuple[Any, Any, Any]:
        z, index = self.module.ascontiguousarray(z), self.module.ascontiguousarray(index)
        if not _classes_fit(z, index) or len(z) > _ROWS_OF_A_BLOCK:
            return super().mean_cross_entropy_rows(z, index, ignore)
        loss, slope = self._cross_entropy(z, index, ignore)
        mean, share = self.module.empty((), z.dtype), self.module.empty((), z.dtype)
        arrays = loss, index, mean, share
        on_device.over_rows("mean_of_kept", 1, len(z), arrays, len(z), ignore)
        return mean, slope, share

    def _cross_entropy(self, z: Any, index: Any, ignore: int) -> tuple[Any, Any]:
        rows, classes = z.shape
        loss, slope = self.module.empty(rows, z.dtype), self.module.empty(z.shape, z.dtype)
        arrays = z, index, loss, slope, faults.array()
        on_device.over_rows("cross_entropy", rows, classes, arrays, classes, ignore)
        return loss, slope

    def checks_rows(self, table: Any, index: Any) -> bool:
        return table.ndim == 2 and on_device.fits(table) and _is_index(index)

    def rows(self, table: Any, index: Any) -> Any:
        if not self.checks_rows(table, index):
            return super().rows(table, index)
        rows, width = table.shape
        y = self.module.empty((*index.shape, width), table.dtype)
        arrays = table, index, y, faults.array()
        on_device.over_elements("rows_of", y.size, arrays, width, rows)
        return y

    def standardize_pair(
        self, x: Any, weight: Any, bias: Any, axes: tuple[int, ...], eps: float, known: Any = None
    ) -> tuple[Any, Any]:
        shape = x.shape[x.ndim - len(axes) :]
        last_axes = tuple(range(x.ndim - len(axes), x.ndim))
        given = [a for a in (weight, bias) if a is not None]
        if (
            known is not None
            or tuple(axis % x.ndim for axis in axes) != last_axes
            or not on_device.fits(x, *given)
            or any(a.shape != shape for a in given)
        ):
            found = self.channel_norm_pair(x, weight, bias, axes, eps, known)
            return found or super().standardize_pair(x, weight, bias, axes, eps, known)
        n = math.prod(shape)
        rows = x.size // n
        empty, dtype = self.module.empty, x.dtype
        y, z, rate = empty(x.shape, dtype), empty(x.shape, dtype), empty(rows, dtype)
        scale = x if weight is None else weight  # a kernel's argument is an array in any case
        flags = int(weight is not None), int(bias is not None)
        arrays = x, scale, x if bias is None else bias, y, z, rate
        on_device.over_rows("layer_norm", rows, n, arrays, float(eps), n, *flags)

        def sums(g: Any) -> tuple[Any, Any]:
            if x.size > SMALL:  # then columns are better added up by who goes along the rows
                leading = tuple(range(x.ndim - len(axes)))
                return self.sum(g * z, axis=leading), self.sum(g, axis=leading)
            of_weight, of_bias = empty(shape, dtype), empty(shape, dtype)
            on_device.over_rows("column_sums", n, rows, (g, z, of_weight, of_bias), rows, n)
            return of_weight, of_bias

        def back(g: Any) -> tuple[Any, Any, Any]:
            g, dx = self.module.ascontiguousarray(g), empty(x.shape, dtype)
            on_device.over_rows("layer_norm_back", rows, n, (g, scale, z, rate, dx), n, flags[0])
            return dx, *(sums(g) if given else (None, None))

        return y, back

    def lstm_step(self, z: Any, u: Any, c: Any) -> tuple[Any, Any, Any, Any]:
        if not on_device.fits(z, u, c):
            return super().lstm_step(z, u, c)
        like = self._empty_like
        gates, squashed, after, h = like(z), like(c), like(c), like(c)
        arrays = z, u, c, gates, squashed, after, h
        on_device.over_elements("lstm_step", c.size, arrays, c.shape[1])
        return gates, squashed, after, h

    def lstm_step_back(self, gates: Any, squashed: Any, c: Any, dh: Any, dc: Any) -> Any:
        if not on_device.fits(gates, squashed, c, dh, dc):
            return super().lstm_step_back(gates, squashed, c, dh, dc)
        dz, before = self._empty_like(gates), self._empty_like(c)
        arrays = gates, squashed, c, dh, dc, dz, before
        on_device.over_elements("lstm_step_back", c.size, arrays, c.shape[1])
        return dz, before

    def gru_step(self, z: Any, u: Any, h: Any) -> tuple[Any, Any]:
        if not on_device.fits(z, u, h):
            return super().gru_step(z, u, h)
        gates, after = self._empty_like(z), self._empty_like(h)
        on_device.over_elements("gru_step", h.size, (z, u, h, gates, after), h.shape[1])
        return gates, after

    def gru_step_back(self, gates: Any, u: Any, h: Any, dh: Any) -> tuple[Any, Any, Any]:
        if not on_device.fits(gates, u, h, dh):
            return super().gru_step_back(gates, u, h, dh)
        like = self._empty_like
        dz, du, before = like(gates), like(gates), like(h)
        arrays = gates, u, h, dh, dz, du, before
        on_device.over_elements("gru_step_back", h.size, arrays, h.shape[1])
        return dz, du, before

    def relu_back(self, g: Any, y: Any) -> Any:
        if g.shape != y.shape or not on_device.fits(g, y):
            return super().relu_back(g, y)
        dx = self.module.empty(y.shape, y.dtype)
        on_device.over_elements("relu_back", y.size, (g, y, dx))
        return dx


_NO_CLASS = int(np.iinfo(np.int64).min)  # to be ignored: none
_ROWS_OF_A_BLOCK = 1 << 15  # losses that one block adds up


def _is_index(index: Any) -> bool:
    return index.dtype.char in "lq" and bool(index.flags.c_contiguous) and index.size > 0


def _classes_fit(z: Any, index: Any) -> bool:
    return on_device.fits(z) and _is_index(index) and index.shape == z.shape[:1]


def _special(name: str) -> Any:
    return getattr(importlib.import_module("cupyx.scipy.special"), name)
