"""Layers on the GPU, in as few launches as there can be: attention, norms of channels, recurrence.

The kernels are `attention.py`, `norms.py` and `passages.py` in the folder `on_device` of
`kernels/fused/`; what they do not take is left to the formulas of `fused_layers.py`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..kernels.fused import on_device
from ..kernels.fused.on_device.passages import WIDEST
from .fused_layers import Layers

__all__ = ["SMALL", "DeviceLayers"]

Place = tuple[int, int, int, int]  # of the first element; steps to the next sample, head and row
_NONE: Place = (0, 0, 0, 0)
_MOST = 1 << 27  # multiply-adds of an attention that kernels of one row each are quick enough for
SMALL = 1 << 18  # elements of a matrix whose columns a block each adds up
_CHANNEL = 1 << 18  # elements of a channel that one block goes through


class DeviceLayers(Layers):
    """`Layers` on CuPy's arrays."""

    module: Any
    sum: Any
    fuses = True

    # Linear layers --------------------------------------------------------------------------------

    def epilogue(self, z: Any, bias: Any, residual: Any, relu: bool) -> Any:
        given = [a for a in (bias, residual) if a is not None]
        if not on_device.fits(z, *given) or (bias is not None and bias.shape != z.shape[1:]):
            return super().epilogue(z, bias, residual, relu)
        flags = int(bias is not None), int(residual is not None), int(relu)
        if any(flags):
            arrays = z, z if bias is None else bias, z if residual is None else residual
            on_device.over_rows("epilogue", *z.shape, arrays, z.shape[1], *flags)
        return z

    def sum_rows(self, x: Any) -> Any:
        if x.ndim != 2 or x.size > SMALL or not on_device.fits(x):
            return super().sum_rows(x)  # type: ignore[misc]
        y = self.module.empty(x.shape[1], x.dtype)
        on_device.over_rows("sums_of_rows", x.shape[1], len(x), (x, y), *x.shape)
        return y

    # Attention ------------------------------------------------------------------------------------

    def attention_pair(
        self, query: Any, key: Any, value: Any, mask: Any, factor: Any, scale: float, causal: bool
    ) -> Any:
        batch = query.shape[:-2]
        work = query.size // max(query.shape[-1], 1) * key.shape[-2]
        if (
            key.shape[:-2] != batch
            or value.shape[:-2] != batch
            or len(batch) > 2
            or work * (key.shape[-1] + value.shape[-1]) > _MOST
            or not _alike(query, key, value, *(a for a in (mask, factor) if a is not None))
        ):
            return super().attention_pair(query, key, value, mask, factor, scale, causal)
        q, k, v = map(self.module.ascontiguousarray, (query, key, value))
        samples, heads = (1, 1, *batch)[-2:]
        sizes = samples, heads, q.shape[-2], k.shape[-2], q.shape[-1], v.shape[-1]
        places = tuple(_stacked(x.shape, heads) for x in (q, k, v))
        y = self.module.empty((*batch, q.shape[-2], v.shape[-1]), q.dtype)
        of_y = _stacked(y.shape, heads)
        back = self._attend((q, k, v), places, y, of_y, sizes, mask, factor, float(scale), causal)

        def gradients(g: Any) -> tuple[Any, Any, Any]:
            g = self.module.ascontiguousarray(g)
            found = tuple(self.module.empty(x.shape, x.dtype) for x in (q, k, v))
            back(g, of_y, found, places)
            return found

        return y, gradients

    def packed_attention_pair(
        self, packed: Any, mask: Any, factor: Any, heads: int, scale: float, causal: bool,
        batch_axis: int,
    ) -> Any:  # fmt: skip
        width = packed.shape[-1] // 3
        samples, length = packed.shape[batch_axis], packed.shape[1 - batch_axis]
        work = samples * heads * length * length * 2 * (width // heads)
        given = [a for a in (mask, factor) if a is not None]
        if work > _MOST or not on_device.fits(packed) or not _alike(packed, *given):
            settings = heads, scale, causal, batch_axis
            return super().packed_attention_pair(packed, mask, factor, *settings)
        sizes = samples, heads, length, length, width // heads, width // heads
        row = 3 * width * (samples if batch_axis else 1)
        sample = 3 * width * (1 if batch_axis else length)
        places = tuple((k * width, sample, width // heads, row) for k in range(3))
        y = self.module.empty((*packed.shape[:2], width), packed.dtype)
        of_y = (0, sample // 3, width // heads, row // 3)
        back = self._attend(
            (packed,) * 3, places, y, of_y, sizes, mask, factor, float(scale), causal
        )

        def gradient(g: Any) -> tuple[Any]:
            g = self.module.ascontiguousarray(g)
            found = self.module.empty(packed.shape, packed.dtype)
            back(g, of_y, (found,) * 3, places)
            return (found,)

        return y, gradient

    def _attend(
        self, inputs: Any, places: Any, y: Any, of_y: Place, sizes: tuple[int, ...], mask: Any,
        factor: Any, scale: float, causal: bool,
    ) -> Any:  # fmt: skip
        """Fill y; return what fills the gradients of the inputs from that of y."""
        samples, heads, length, keys, *widths = sizes
        shape = samples, heads, length, keys
        q, k, v = inputs
        p = self.module.empty(shape, q.dtype)
        plus, of_plus = self._plane(mask, q)
        times, of_times = self._plane(factor, q)
        flags = int(causal), int(mask is not None), int(factor is not None)
        settings = scale, length, keys, *widths, heads, *flags
        threads = 32 if max(keys, *widths) <= 32 else 64 if max(keys, *widths) <= 128 else 128
        (of_q, of_k, of_v), rows = places, samples * heads * length
        on_device.over_blocks(
            "attention", rows, threads, (q, k, v, plus, times, p, y),
            *settings, *of_q, *of_k, *of_v, *of_y, *of_plus, *of_times,
        )  # fmt: skip

        def back(g: Any, of_g: Place, found: Any, to: Any) -> None:
            dq, dk, dv = found
            ds = self.module.empty(shape, q.dtype)
            on_device.over_blocks(
                "attention_back", rows, threads, (q, k, v, times, p, g, ds, dq),
                *settings, *of_q, *of_k, *of_v, *of_g, *to[0], *of_times,
            )  # fmt: skip
            on_device.over_blocks(
                "attention_back_keys", samples * heads * keys, threads,
                (q, times, p, g, ds, dk, dv),
                *settings[1:6], flags[0], flags[2], *of_q, *of_g, *to[1], *to[2], *of_times,
            )  # fmt: skip

        return back

    def _plane(self, x: Any, other: Any) -> tuple[Any, Place]:
        """A mask or a factor, and how far apart its samples, heads, rows and columns are."""
        if x is None:
            return other, _NONE
        x = self.module.ascontiguousarray(x)
        sizes, steps, step = (1,) * (4 - x.ndim) + x.shape, [0] * 4, 1
        for axis in (3, 2, 1, 0):
            steps[axis] = step if sizes[axis] > 1 else 0
            step *= sizes[axis]
        a, b, c, d = steps
        return x, (a, b, c, d)

    # Norms of channels ----------------------------------------------------------------------------

    def moments(self, x: Any, axes: tuple[int, ...]) -> Any:
        way = _channels(x, axes)
        if way is None:
            return super().moments(x, axes)
        kept = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
        mean, variance = self.module.empty(kept, x.dtype), self.module.empty(kept, x.dtype)
        threads = _threads(way)
        on_device.over_blocks("channel_moments", way[1], threads, (x, mean, variance), *way)
        return mean, variance

    def channel_norm_pair(
        self, x: Any, weight: Any, bias: Any, axes: tuple[int, ...], eps: float, known: Any
    ) -> Any:
        """`standardize_pair` over samples and cells of each channel; None where it does not fit."""
        way = _channels(x, axes)
        given = [a for a in (weight, bias) if a is not None]
        if way is None or not on_device.fits(x, *given) or (given and len(x) != way[0]):
            return None
        if any(a.shape[:1] != (way[1],) or a.size != way[1] for a in given):
            return None
        mean, variance = self.moments(x, axes) if known is None else known
        if not on_device.fits(x, mean, variance):
            return None
        y = self.module.empty(x.shape, x.dtype)
        scale = x if weight is None else weight
        arrays = x, mean, variance, scale, x if bias is None else bias, y
        flags = int(weight is not None), int(bias is not None)
        on_device.over_elements("channel_norm", x.size, arrays, float(eps), *way[1:], *flags)

        def back(g: Any) -> tuple[Any, Any, Any]:
            g, dx = self.module.ascontiguousarray(g), self.module.empty(x.shape, x.dtype)
            dw, db = (self.module.empty(way[1], x.dtype) for _ in range(2))
            arrays = g, x, mean, variance, scale, dx, dw, db
            threads = _threads(way)
            settings = float(eps), *way, flags[0]
            on_device.over_blocks("channel_norm_back", way[1], threads, arrays, *settings)
            of = (None if a is None else d.reshape(a.shape) for a, d in ((weight, dw), (bias, db)))
            return dx, *of

        return y, back

    def approach(self, running: Any, new: Any, share: float, times: float) -> None:
        if running.shape != new.shape or not on_device.fits(running, new):
            super().approach(running, new, share, times)  # type: ignore[misc]
        else:
            arrays = running, new
            on_device.over_elements("approach", running.size, arrays, share, times)

    # Recurrent layers, a launch for all time steps ------------------------------------------------

    def rnn_pair(
        self, z: Any, bias: Any, h: Any, w_hh: Any, sizes: Any, reverse: bool, relu: bool
    ) -> Any:
        way = self._way(z, (bias,), (h,), w_hh, sizes, reverse)
        if way is None:
            return super().rnn_pair(z, bias, h, w_hh, sizes, reverse, relu)
        starts, threads, settings, y, before = way
        settings = *settings, int(bias is not None), int(relu)
        w = self._turned(w_hh)
        arrays = z, z if bias is None else bias, w, h, starts, before, y
        on_device.over_blocks("rnn_passage", sizes[0], threads, arrays, *settings)

        def back(g: Any) -> tuple[Any, ...]:
            dz, dh = self._empty_like(z), self._empty_like(h)
            arrays = self.module.ascontiguousarray(g), y, w_hh, starts, dz, dh
            on_device.over_blocks("rnn_passage_back", sizes[0], threads, arrays, *settings)
            return dz, None if bias is None else self.sum_rows(dz), before, dh

        return y, back

    def lstm_pair(
        self, z: Any, bias: Any, h: Any, c: Any, w_hh: Any, w_hr: Any, sizes: Any, reverse: bool
    ) -> Any:
        way = self._way(z, (bias,), (h, c), w_hh, sizes, reverse) if w_hr is None else None
        if way is None:
            return super().lstm_pair(z, bias, h, c, w_hh, w_hr, sizes, reverse)
        starts, threads, settings, y, before = way
        settings = *settings, int(bias is not None)
        gates, last = self._empty_like(z), self.module.empty((2, *before.shape), z.dtype)
        w = self._turned(w_hh)
        arrays = z, z if bias is None else bias, w, h, c, starts, gates, before, last, y
        on_device.over_blocks("lstm_passage", sizes[0], threads, arrays, *settings)

        def back(g: Any) -> tuple[Any, ...]:
            dz, dh, dc = self._empty_like(z), self._empty_like(h), self._empty_like(c)
            arrays = self.module.ascontiguousarray(g), gates, last, w_hh, starts, dz, dh, dc
            on_device.over_blocks("lstm_passage_back", sizes[0], threads, arrays, *settings)
            return dz, None if bias is None else self.sum_rows(dz), before, dh, dc, None

        return y, back

    def gru_pair(
        self, z: Any, b_ih: Any, b_hh: Any, h: Any, w_hh: Any, sizes: Any, reverse: bool
    ) -> Any:
        way = self._way(z, (b_ih, b_hh), (h,), w_hh, sizes, reverse)
        if way is None:
            return super().gru_pair(z, b_ih, b_hh, h, w_hh, sizes, reverse)
        starts, threads, settings, y, before = way
        settings = *settings, int(b_hh is not None)
        z = z if b_ih is None else z + b_ih
        gates, last = self._empty_like(z), self._empty_like(before)
        w = self._turned(w_hh)
        arrays = z, z if b_hh is None else b_hh, w, h, starts, gates, before, last, y
        on_device.over_blocks("gru_passage", sizes[0], threads, arrays, *settings)

        def back(g: Any) -> tuple[Any, ...]:
            dz, du, dh = self._empty_like(z), self._empty_like(z), self._empty_like(h)
            g = self.module.ascontiguousarray(g)
            arrays = g, gates, before, last, w_hh, starts, dz, du, dh
            on_device.over_blocks("gru_passage_back", sizes[0], threads, arrays, *settings)
            sums = (None if b is None else self.sum_rows(d) for b, d in ((b_ih, dz), (b_hh, du)))
            return dz, du, *sums, before, dh

        return y, back

    def _way(self, z: Any, biases: Any, states: Any, w_hh: Any, sizes: Any, reverse: bool) -> Any:
        """What all passages begin with; None where the kernels do not take these."""
        width = states[0].shape[1]
        given = [b for b in biases if b is not None]
        if width > WIDEST or not sizes or not on_device.fits(z, w_hh, *states, *given):
            return None
        rows, sequences = len(z), sizes[0]
        y = self.module.empty((rows + len(states) * sequences) * width, z.dtype)
        before = self.module.empty((rows, width), z.dtype)
        gates = w_hh.shape[0] // width
        threads = min(512, max(32, 1 << (gates * width - 1).bit_length()))
        settings = width, len(sizes), sequences, rows, int(reverse)
        return self._starts(tuple(sizes)), threads, settings, y, before

    def _turned(self, w: Any) -> Any:
        return self.module.ascontiguousarray(w.T)

    def _empty_like(self, x: Any) -> Any:
        return self.module.empty(x.shape, x.dtype)

    @functools.lru_cache(maxsize=256)  # noqa: B019  there is one such namespace
    def _starts(self, sizes: tuple[int, ...]) -> Any:
        """Where each step's rows begin, on the device: copied there once."""
        return self.module.asarray(np.cumsum([0, *sizes]))


def _alike(first: Any, *others: Any) -> bool:
    """Whether these are float32 or float64, of one type, and not empty."""
    kind = first.dtype
    return kind.char in "fd" and all(a.dtype == kind and a.size for a in (first, *others))


def _stacked(shape: tuple[int, ...], heads: int) -> Place:
    """Where the elements of a contiguous (samples, heads, rows, width) lie."""
    rows, width = shape[-2:]
    return 0, heads * rows * width, rows * width, width


def _channels(x: Any, axes: tuple[int, ...]) -> Any:
    """(samples, channels, cells) of statistics over `axes`; None where no kernel fits."""
    if not on_device.fits(x) or x.ndim < 2:
        return None
    axes = tuple(sorted(axis % x.ndim for axis in axes))
    cells = math.prod(x.shape[2:])
    if axes == (0, *range(2, x.ndim)):
        way = (x.shape[0], x.shape[1], cells)
    elif axes == tuple(range(2, x.ndim)):
        way = (1, x.shape[0] * x.shape[1], cells)
    else:
        return None
    return way if way[0] * way[2] <= _CHANNEL else None


def _threads(way: tuple[int, int, int]) -> int:
    return 32 if way[0] * way[2] <= 64 else 256
