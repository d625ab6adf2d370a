"""Windows that slide over images: where they stand, and convolution and pooling of raw arrays.

`Window` describes windows that are all alike, as convolution has them. `Windows` is what a
`Namespace` of the backend offers for them, in array code that NumPy and CuPy share;
`FastWindows` puts the kernels of the CPU, `kernels/fused/convolution` and `kernels/fused/pooling`,
in its place where they fit; `tests/test_twins.py` holds both equal.
"""

from __future__ import annotations

import functools
import itertools
import math
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..kernels import micro
from ..kernels.fused import convolution, pooling

__all__ = ["FastWindows", "Spans", "Window", "Windows"]

Sizes = tuple[int, ...]  # one for each axis of the image
Weights = tuple[tuple[float, ...], ...]


class _Window(NamedTuple):
    image: Sizes
    kernel: Sizes
    output: Sizes
    stride: Sizes
    low: Sizes
    dilation: Sizes
    groups: int = 1


class Window(_Window):
    """Windows of one shape on a grid over an image.

    image, kernel, output   lengths of the image, of a window (in taps), of the grid of windows
    stride                  from one window to the next
    low                     padding before the image; after it there is what the last window needs
    dilation                from one tap to the next
    groups                  channels that do not see one another
    """

    @cached_property
    def padded(self) -> Sizes:
        """The lengths of the image with its padding."""
        axes = zip(self.output, self.stride, self.kernel, self.dilation, strict=True)
        reach = [(o - 1) * s + (k - 1) * d + 1 for o, s, k, d in axes]
        sides = zip(self.image, self.low, reach, strict=True)
        return tuple(max(n + p, r) for n, p, r in sides)

    @cached_property
    def inside(self) -> tuple[Any, ...]:
        """The index of the image in the padded image."""
        return (..., *(slice(p, p + n) for p, n in zip(self.low, self.image, strict=True)))

    def taps(self) -> Any:
        """For each tap of a window, the index of what it sees in the padded image."""
        for place in itertools.product(*map(range, self.kernel)):
            starts = (t * d for t, d in zip(place, self.dilation, strict=True))
            yield (..., *(slice(t, t + (o - 1) * s + 1, s) for t, o, s in
                          zip(starts, self.output, self.stride, strict=True)))  # fmt: skip

    @cached_property
    def first_taps(self) -> Any:
        """For each window the first of its taps that lies in the image, or `pooling.NONE`."""
        return pooling.first_taps(*self[:6])

    @cached_property
    def on_three_axes(self) -> _Window:
        """The same with axes of length 1 in front: kernels know three axes."""
        ones = (1,) * (3 - len(self.image))
        zeros = (0,) * len(ones)
        return _Window(ones + self.image, ones + self.kernel, ones + self.output,
                       ones + self.stride, zeros + self.low, ones + self.dilation)  # fmt: skip


class Spans(NamedTuple):
    """Windows along one axis that need not be alike: every `step`-th cell from start to stop."""

    start: Any
    stop: Any
    step: int


class Windows:
    """Convolution, patches and maxima of windows, for arrays (batch, channels, *image)."""

    module: Any
    sum: Any
    matmul: Any

    def columns(self, x: Any, at: Window) -> Any:
        """The patches under the windows: (batch, channels, taps, *output)."""
        padded = self.module.zeros((*x.shape[:2], *at.padded), x.dtype)
        padded[at.inside] = x
        return self.module.stack([padded[tap] for tap in at.taps()], axis=2)

    def uncolumns(self, columns: Any, at: Window) -> Any:
        """The transpose of `columns`: patches added up to an image."""
        padded = self.module.zeros((*columns.shape[:2], *at.padded), columns.dtype)
        for t, tap in enumerate(at.taps()):
            padded[tap] += columns[:, :, t]
        return padded[at.inside]

    def convolve(self, x: Any, w: Any, bias: Any, at: Window) -> Any:
        """The convolution of x with w (filters, channels / groups, *kernel)."""
        filters = w.reshape(at.groups, len(w) // at.groups, w.shape[1] * math.prod(at.kernel))
        y = self.matmul(filters, self._grouped(self.columns(x, at), at))
        y = y.reshape(len(x), len(w), *at.output)
        return y if bias is None else y + bias.reshape(-1, *(1,) * len(at.output))

    def convolve_input(self, g: Any, w: Any, at: Window) -> Any:
        """The transpose of `convolve` in x: g (batch, filters, *output) spread over the image."""
        filters = w.reshape(at.groups, len(w) // at.groups, w.shape[1] * math.prod(at.kernel))
        columns = self.matmul(filters.swapaxes(1, 2), self._grouped(g, at))
        channels = at.groups * w.shape[1]
        taps = math.prod(at.kernel)
        return self.uncolumns(columns.reshape(len(g), channels, taps, *at.output), at)

    def convolve_weight(self, g: Any, x: Any, at: Window) -> Any:
        """The transpose of `convolve` in w."""
        columns = self._grouped(self.columns(x, at), at)
        w = self.matmul(self._grouped(g, at), columns.swapaxes(-1, -2)).sum(axis=0)
        return w.reshape(g.shape[1], x.shape[1] // at.groups, *at.kernel)

    def convolve_slopes(self, g: Any, x: Any, at: Window) -> tuple[Any, Any]:
        """The transposes of `convolve` in w and in the bias."""
        return self.convolve_weight(g, x, at), self.sum(g, axis=(0, *range(2, g.ndim)))

    def _grouped(self, x: Any, at: Window) -> Any:
        """(batch, channels..., *output) as (batch, groups, channels / groups, positions)."""
        rows = math.prod(x.shape[1 : x.ndim - len(at.output)])
        return x.reshape(len(x), at.groups, rows // at.groups, math.prod(at.output))

    def window_argmax(self, x: Any, spans: tuple[Spans, ...]) -> Any:
        """The place in the flat image of each window's first maximum, or of its last NaN.

        -1 for a window without a cell.
        """
        starts = [np.minimum(s.start, n - 1) for s, n in zip(spans, x.shape[2:], strict=True)]
        counts = [
            np.maximum(-(-(s.stop - start) // s.step), 1)
            for s, start in zip(spans, starts, strict=True)
        ]
        widths = [int(count.max(initial=1)) for count in counts]
        best: Any = None
        shape = (*x.shape[:2], *(len(s.start) for s in spans))
        place = self.module.zeros(shape, int)  # where there is no window
        for tap in itertools.product(*map(range, widths)):
            # A window with fewer cells sees its last one again, which changes nothing.
            seen = [
                start + np.minimum(t, count - 1) * s.step
                for s, start, count, t in zip(spans, starts, counts, tap, strict=True)
            ]
            index = self.module.asarray(np.ravel_multi_index(np.ix_(*seen), x.shape[2:]))
            value = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))[:, :, index]
            if best is None:
                best, place = value, self.module.broadcast_to(index, value.shape)
            better = (value > best) | (value != value)
            best = self.module.where(better, value, best)
            place = self.module.where(better, index, place)
        cells = functools.reduce(np.minimum, np.ix_(*(s.stop - s.start for s in spans)))
        return self.module.where(self.module.asarray(cells < 1), -1, place)

    def window_maxima(self, x: Any, at: Window) -> tuple[Any, Any]:
        """The first maximum of each window, or its last NaN, and the number of its tap.

        Of floating-point images, and windows of fewer than 255 taps. A window without a cell is
        minus infinity, and its tap `pooling.NONE`.
        """
        padded = self.module.full((*x.shape[:2], *at.padded), -math.inf, x.dtype)
        padded[at.inside] = x
        best = self.module.full((*x.shape[:2], *at.output), -math.inf, x.dtype)
        choice = self.module.broadcast_to(self.module.asarray(at.first_taps), best.shape)
        for t, tap in enumerate(at.taps()):
            value = padded[tap]
            better = (value > best) | (value != value)
            best = self.module.where(better, value, best)
            choice = self.module.where(better, np.uint8(t), choice)
        return best, choice

    def spread_maxima(self, g: Any, choice: Any, at: Window) -> Any:
        """g added up at the cells that `window_maxima` chose, in an image of zeros."""
        padded = self.module.zeros((*g.shape[:2], *at.padded), g.dtype)
        for t, tap in enumerate(at.taps()):
            padded[tap] += self.module.where(choice == t, g, 0)
        return padded[at.inside]

    def pick_maxima(self, x: Any, choice: Any, at: Window, missing: float = 0.0) -> Any:
        """The transpose of `spread_maxima`: the chosen cells of x, `missing` for none."""
        padded = self.module.zeros((*x.shape[:2], *at.padded), x.dtype)
        padded[at.inside] = x
        y = self.module.full(choice.shape, missing, x.dtype)
        for t, tap in enumerate(at.taps()):
            y = self.module.where(choice == t, padded[tap], y)
        return y

    def means(self, x: Any, at: Window, weights: Weights) -> Any:
        """The sum of each window's cells, times its weight.

        weights: for each axis those of the windows along it, whose product is a window's weight.
        """
        padded = self.module.zeros((*x.shape[:2], *at.padded), x.dtype)
        padded[at.inside] = x
        return sum(padded[tap] for tap in at.taps()) * self._weight(weights, x.dtype)

    def spread_means(self, g: Any, at: Window, weights: Weights) -> Any:
        """The transpose of `means`."""
        padded = self.module.zeros((*g.shape[:2], *at.padded), g.dtype)
        part = g * self._weight(weights, g.dtype)
        for tap in at.taps():
            padded[tap] += part
        return padded[at.inside]

    def _weight(self, weights: Weights, dtype: Any) -> Any:
        product = functools.reduce(np.multiply.outer, map(np.array, weights))
        return self.module.asarray(product, dtype)

    def pick(self, x: Any, place: Any, missing: float = 0.0) -> Any:
        """The cells of x (batch, channels, *image) at `place` in the flat image.

        At the place -1 `missing`; for -inf an integer type has its least number.
        """
        rows = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
        flat = place.reshape(*place.shape[:2], math.prod(place.shape[2:]))
        y = self.module.take_along_axis(rows, self.module.maximum(flat, 0), axis=2)
        if missing and x.dtype.kind in "iu":
            missing = np.iinfo(x.dtype).min
        other = self.module.asarray(missing, x.dtype)
        return self.module.where(flat < 0, other, y).reshape(place.shape)

    def spread(self, g: Any, place: Any, image: Sizes) -> Any:
        """The transpose of `pick`: g added up at its places in an image of zeros."""
        rows, cells = g.shape[0] * g.shape[1], math.prod(image)
        first = self.module.arange(rows).reshape(*g.shape[:2], *(1,) * (g.ndim - 2)) * cells
        y = self.module.zeros(rows * cells, g.dtype)
        kept = place >= 0  # -1 is not a cell
        self.module.add.at(y, (place + first)[kept], g[kept])
        return y.reshape(*g.shape[:2], *image)


class FastWindows(Windows):
    """The same with the kernels of the CPU for contiguous float32 and float64.

    run: what runs their loops.
    """

    run = staticmethod(micro.run)

    def convolve(self, x: Any, w: Any, bias: Any, at: Window) -> Any:
        if not _fits(x, w):
            return super().convolve(x, w, bias, at)
        three = at.on_three_axes
        rows = (at.groups, len(w) // at.groups)
        bias = None if bias is None else _plain(bias).reshape(rows)
        y = convolution.convolve(
            _split(x, at), _plain(w).reshape(*rows, w.shape[1], *three.kernel), bias,
            three.output, three.stride, three.low, three.dilation, run=self.run,
        )  # fmt: skip
        return y.reshape(len(x), len(w), *at.output)

    def convolve_input(self, g: Any, w: Any, at: Window) -> Any:
        if not _fits(g, w):
            return super().convolve_input(g, w, at)
        three = at.on_three_axes
        filters = _plain(w).reshape(at.groups, len(w) // at.groups, w.shape[1], *three.kernel)
        x = convolution.convolve_input(
            _split(g, at), filters, three.image, three.stride, three.low, three.dilation, self.run
        )  # fmt: skip
        return x.reshape(len(g), at.groups * w.shape[1], *at.image)

    def convolve_weight(self, g: Any, x: Any, at: Window) -> Any:
        if not _fits(g, x):
            return super().convolve_weight(g, x, at)
        return self.convolve_slopes(g, x, at)[0]

    def convolve_slopes(self, g: Any, x: Any, at: Window) -> tuple[Any, Any]:
        if not _fits(g, x):
            return super().convolve_slopes(g, x, at)
        three = at.on_three_axes
        w, bias = convolution.convolve_weight(
            _split(g, at), _split(x, at), three.kernel, three.stride, three.low, three.dilation,
            self.run,
        )  # fmt: skip
        return w.reshape(g.shape[1], x.shape[1] // at.groups, *at.kernel), bias.reshape(-1)

    def window_maxima(self, x: Any, at: Window, rectified: bool = False) -> tuple[Any, Any]:
        if not _fits(x, x):
            return super().window_maxima(x, at)
        three = at.on_three_axes
        y, choice = pooling.window_maxima(
            _on_three_axes(x), three.kernel, three.output, three.stride, three.low,
            three.dilation, rectified, self.run,
        )  # fmt: skip
        shape = (*x.shape[:2], *at.output)
        return y.reshape(shape), choice.reshape(shape)

    def spread_maxima(self, g: Any, choice: Any, at: Window) -> Any:
        if not _fits(g, g):
            return super().spread_maxima(g, choice, at)
        three = at.on_three_axes
        x = pooling.spread_maxima(
            _on_three_axes(g), _plain(choice), three.image, three.kernel, three.stride, three.low,
            three.dilation, run=self.run,
        )  # fmt: skip
        return x.reshape(*g.shape[:2], *at.image)

    def means(self, x: Any, at: Window, weights: Weights) -> Any:
        if not _fits(x, x):
            return super().means(x, at, weights)
        three = at.on_three_axes
        y = pooling.window_means(
            _on_three_axes(x), weights, three.kernel, three.output, three.stride, three.low,
            three.dilation, run=self.run,
        )  # fmt: skip
        return y.reshape(*x.shape[:2], *at.output)

    def spread_means(self, g: Any, at: Window, weights: Weights) -> Any:
        if not _fits(g, g):
            return super().spread_means(g, at, weights)
        three = at.on_three_axes
        x = pooling.spread_means(
            _on_three_axes(g), weights, three.image, three.kernel, three.stride, three.low,
            three.dilation, run=self.run,
        )  # fmt: skip
        return x.reshape(*g.shape[:2], *at.image)

    def window_argmax(self, x: Any, spans: tuple[Spans, ...]) -> Any:
        if not _fits(x, x):
            return super().window_argmax(x, spans)
        return pooling.window_argmax(_plain(x), spans)

    def pick(self, x: Any, place: Any, missing: float = 0.0) -> Any:
        if not _fits(x, x):
            return super().pick(x, place, missing)
        return pooling.pick(_plain(x), _plain(place), missing)

    def spread(self, g: Any, place: Any, image: Sizes) -> Any:
        if not _fits(g, g):
            return super().spread(g, place, image)
        return pooling.spread(_plain(g), _plain(place), image)


def _fits(x: Any, y: Any) -> bool:
    return (
        x.dtype.char in "fd"
        and x.dtype == y.dtype
        and x.dtype.isnative
        and x.size > 0
        and y.size > 0
    )


def _plain(x: Any) -> Any:
    """x as the kernels take it: contiguous and writable (they do not write)."""
    return x if x.flags.carray else x.copy()


def _on_three_axes(x: Any) -> Any:
    """(batch, channels, *image) with axes of length 1 before the image's, contiguous."""
    return _plain(x).reshape(*x.shape[:2], *(1,) * (5 - x.ndim), *x.shape[2:])


def _split(x: Any, at: Window) -> Any:
    """(batch, channels, *image) as (batch, groups, channels / groups, three axes), contiguous."""
    ones = (1,) * (5 - x.ndim)
    shape = (len(x), at.groups, x.shape[1] // at.groups, *ones, *x.shape[2:])
    return _plain(x).reshape(shape)
