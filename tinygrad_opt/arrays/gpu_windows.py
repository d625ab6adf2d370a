"""Convolution and pooling on the GPU: a matrix product, and one launch for what stands around it.

The kernels are `kernels/fused/on_device/windows.py`; what they do not take is left to the array
code of `windows.py`. Columns lie as (channels, taps, batch, windows), so that a convolution is one
product for the whole batch; array code has one for each image.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..kernels.fused import on_device
from .windows import Weights, Window, Windows

__all__ = ["DeviceWindows"]


class DeviceWindows(Windows):
    """`Windows` on CuPy's arrays."""

    module: Any
    dot: Any
    matmul: Any

    def columns(self, x: Any, at: Window) -> Any:
        if not _fits(x):
            return super().columns(x, at)
        shape = (*x.shape[:2], math.prod(at.kernel), *at.output)
        return self._columns(x, at, shape, inside=0)

    def uncolumns(self, columns: Any, at: Window) -> Any:
        if not _fits(columns):
            return super().uncolumns(columns, at)
        batch, channels = columns.shape[:2]
        return self._uncolumns(columns, at, batch, channels, inside=0)

    def _columns(self, x: Any, at: Window, shape: tuple[int, ...], inside: int) -> Any:
        y = self.module.empty(shape, x.dtype)
        settings = (*x.shape[:2], inside, *_numbers(at))
        on_device.over_elements("columns", y.size, (x, y), *settings)
        return y

    def _uncolumns(self, columns: Any, at: Window, batch: int, channels: int, inside: int) -> Any:
        x = self.module.empty((batch, channels, *at.image), columns.dtype)
        settings = (batch, channels, inside, *_numbers(at))
        on_device.over_elements("uncolumns", x.size, (columns, x), *settings)
        return x

    def convolve(self, x: Any, w: Any, bias: Any, at: Window) -> Any:
        if not _fits(x, w, *(() if bias is None else (bias,))):
            return super().convolve(x, w, bias, at)
        batch, filters, windows = len(x), len(w), math.prod(at.output)
        found = self._times(self._filters(w, at), self._columns_of(x, at))
        y = self.module.empty((batch, filters, *at.output), x.dtype)
        arrays = found, x if bias is None else bias, y
        settings = batch, filters, windows, int(bias is not None)
        on_device.over_elements("by_batch", y.size, arrays, *settings)
        return y

    def convolve_input(self, g: Any, w: Any, at: Window) -> Any:
        if not _fits(g, w):
            return super().convolve_input(g, w, at)
        filters = self._filters(w, at)
        columns = self._times(filters.swapaxes(-1, -2), self._by_filter(g, at))
        return self._uncolumns(columns, at, len(g), at.groups * w.shape[1], inside=1)

    def convolve_weight(self, g: Any, x: Any, at: Window) -> Any:
        if not _fits(g, x):
            return super().convolve_weight(g, x, at)
        return self._weight_slopes(self._by_filter(g, at), g, x, at)

    def convolve_slopes(self, g: Any, x: Any, at: Window) -> tuple[Any, Any]:
        if not _fits(g, x):
            return super().convolve_slopes(g, x, at)
        rows = self._by_filter(g, at)
        return self._weight_slopes(rows, g, x, at), rows.reshape(g.shape[1], -1).sum(axis=1)

    def _weight_slopes(self, rows: Any, g: Any, x: Any, at: Window) -> Any:
        w = self._times(rows, self._columns_of(x, at).swapaxes(-1, -2))
        return w.reshape(g.shape[1], x.shape[1] // at.groups, *at.kernel)

    def _times(self, a: Any, b: Any) -> Any:
        return self.dot(a, b) if a.ndim == 2 else self.matmul(a, b)

    def _filters(self, w: Any, at: Window) -> Any:
        """w as (filters, channels taps), or that for each group."""
        return w.reshape(*_groups(at), len(w) // at.groups, -1)

    def _columns_of(self, x: Any, at: Window) -> Any:
        """(channels taps, batch windows), or that for each group."""
        shape = (*_groups(at), x.shape[1] // at.groups * math.prod(at.kernel), -1)
        whole = x.shape[1] * math.prod(at.kernel) * len(x) * math.prod(at.output)
        return self._columns(x, at, (whole,), inside=1).reshape(shape)

    def _by_filter(self, g: Any, at: Window) -> Any:
        """g (batch, filters, *output) as (filters, batch windows), or that for each group."""
        batch, filters = g.shape[:2]
        y = self.module.empty((*_groups(at), filters // at.groups, g.size // filters), g.dtype)
        settings = batch, filters, math.prod(at.output)
        on_device.over_elements("by_filter", g.size, (g, y), *settings)
        return y

    # Pooling --------------------------------------------------------------------------------------

    def window_maxima(self, x: Any, at: Window) -> tuple[Any, Any]:
        if not _fits(x) or not math.prod(at.output):
            return super().window_maxima(x, at)
        shape = (*x.shape[:2], *at.output)
        y, choice = self.module.empty(shape, x.dtype), self.module.empty(shape, "uint8")
        on_device.over_elements("window_maxima", y.size, (x, y, choice), *_numbers(at))
        return y, choice

    def spread_maxima(self, g: Any, choice: Any, at: Window) -> Any:
        g = self._whole(g)
        if not _fits(g) or not choice.flags.c_contiguous:
            return super().spread_maxima(g, choice, at)
        x = self.module.empty((*g.shape[:2], *at.image), g.dtype)
        on_device.over_elements("spread_maxima", x.size, (g, choice, x), *_numbers(at))
        return x

    def pick_maxima(self, x: Any, choice: Any, at: Window, missing: float = 0.0) -> Any:
        if not _fits(x) or not choice.flags.c_contiguous or not choice.size:
            return super().pick_maxima(x, choice, at, missing)
        y = self.module.empty(choice.shape, x.dtype)
        settings = missing, *_numbers(at)
        on_device.over_elements("pick_maxima", y.size, (x, choice, y), *settings)
        return y

    def means(self, x: Any, at: Window, weights: Weights) -> Any:
        if not _fits(x) or not math.prod(at.output):
            return super().means(x, at, weights)
        y = self.module.empty((*x.shape[:2], *at.output), x.dtype)
        arrays = x, self._weights(weights, x.dtype.char), y
        on_device.over_elements("means", y.size, arrays, *_numbers(at))
        return y

    def spread_means(self, g: Any, at: Window, weights: Weights) -> Any:
        g = self._whole(g)
        if not _fits(g):
            return super().spread_means(g, at, weights)
        x = self.module.empty((*g.shape[:2], *at.image), g.dtype)
        arrays = g, self._weights(weights, g.dtype.char), x
        on_device.over_elements("spread_means", x.size, arrays, *_numbers(at))
        return x

    @functools.lru_cache(maxsize=64)  # noqa: B019  there is one such namespace
    def _weights(self, weights: Weights, kind: str) -> Any:
        """On the device, once: layers and steps have the same ones."""
        return self._weight(weights, np.dtype(kind)).reshape(-1)

    def _whole(self, g: Any) -> Any:
        """A gradient as its own memory: `expand` hands on the same element many times."""
        return self.module.ascontiguousarray(g)


def _groups(at: Window) -> tuple[int, ...]:
    return () if at.groups == 1 else (at.groups,)


@functools.lru_cache(maxsize=256)
def _numbers(at: Window) -> tuple[int, ...]:
    """What the kernels are told of the windows, on three axes."""
    return tuple(n for sizes in at.on_three_axes[:6] for n in sizes)


def _fits(x: Any, *others: Any) -> bool:
    return x.ndim <= 6 and on_device.fits(x, *others)
