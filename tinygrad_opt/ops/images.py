"""Convolution and its relatives: each is the pullback of the others, to any order of derivative.

`at` is the `Window` that says where the windows stand. Images are (batch, channels, *image).
"""

from __future__ import annotations

import math
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from ..arrays.windows import Window
from ..arrays.xp import array_namespace, xp
from ..core.outlines import saves_nothing
from ..core.record import op
from ..kernels.fused import sampling
from .index import along, scatter_add, take_along_axis
from .shared_work import shared

__all__ = [
    "columns", "convolve", "convolve_input", "convolve_slopes", "convolve_weight", "maxima",
    "means", "pick", "pick_maxima", "resample", "sampled", "spread", "spread_maxima",
    "spread_means", "uncolumns", "window_maxima",
]  # fmt: skip


@op
def convolve(x, w, bias, *, at):
    # y[n, o, p] = b[o] + sum over channel c and tap t of w[o, c, t] x[n, c, p * stride + t]
    to_w, to_bias = shared(
        lambda g: xp(g).convolve_slopes(g, x, at=at), itemgetter(0), itemgetter(1)
    )
    y = xp(x).convolve(x, w, bias, at=at)
    return y, lambda g: xp(g).convolve_input(g, w, at=at), to_w, to_bias


def convolve_slopes(g: Any, x: Any, at: Window) -> tuple[Any, Any]:
    """The gradients of a convolution's filters and bias, from that of its result."""
    return convolve_weight(g, x, at=at), xp(g).sum(g, axis=(0, *range(2, len(g.shape))))


@op
def convolve_input(g_out, w, *, at):
    return (
        xp(g_out).convolve_input(g_out, w, at=at),
        lambda g: xp(g).convolve(g, w, None, at=at),
        lambda g: xp(g).convolve_weight(g_out, g, at=at),
    )


@op
def convolve_weight(g_out, x, *, at):
    return (
        xp(g_out).convolve_weight(g_out, x, at=at),
        lambda g: xp(g).convolve(x, g, None, at=at),
        lambda g: xp(g).convolve_input(g_out, g, at=at),
    )


@saves_nothing
@op
def columns(x, *, at):
    """The patches under the windows: (batch, channels, taps, *output)."""
    return xp(x).columns(x, at=at), lambda g: xp(g).uncolumns(g, at=at)


@saves_nothing
@op
def uncolumns(patches, *, at):
    """Patches added up to an image."""
    return xp(patches).uncolumns(patches, at=at), lambda g: xp(g).columns(g, at=at)


# Maxima and means of windows ----------------------------------------------------------------------


@op
def maxima(x, *, at):
    """The largest cell of each window: the first of equal ones, which alone gets the gradient."""
    y, choice = xp(x).window_maxima(x, at=at)
    return y, lambda g: xp(g).stepwise(xp(g).spread_maxima(g, choice=choice, at=at), x)


def window_maxima(x: Any, at: Window) -> tuple[Any, Any]:
    """What `maxima` takes from its namespace, on Tensors: the maxima, and which taps they are."""
    _, choice = xp(x.array).window_maxima(x.array, at)
    return pick_maxima(x, choice=choice, at=at, missing=-math.inf), choice


@op
def spread_maxima(g_out, *, choice, at):
    y = xp(g_out).spread_maxima(g_out, choice=choice, at=at)
    return y, lambda g: xp(g).pick_maxima(g, choice=choice, at=at)


@op
def pick_maxima(x, *, choice, at, missing=0.0):
    """The chosen cells of x; `missing` where a window has none."""
    y = xp(x).pick_maxima(x, choice=choice, at=at, missing=missing)
    return y, lambda g: xp(g).spread_maxima(g, choice=choice, at=at)


@op
def means(x, *, at, weights):
    """The sum of each window's cells, times its weight; `weights` is for each axis of windows."""
    y = xp(x).means(x, at=at, weights=weights)
    return y, lambda g: xp(g).spread_means(g, at=at, weights=weights)


@saves_nothing
@op
def spread_means(g_out, *, at, weights):
    y = xp(g_out).spread_means(g_out, at=at, weights=weights)
    return y, lambda g: xp(g).means(g, at=at, weights=weights)


# Picking cells of images by place, and weighted sums along an axis --------------------------------


@op
def pick(x, *, place, missing=0.0):
    """The cells of x (batch, channels, *image) at `place`, counted in the flat image.

    Where the place is -1, there is no cell: the value is `missing`.
    """
    image = x.shape[2:]
    y = xp(x).pick(x, place=place, missing=missing)
    return y, lambda g: xp(g).stepwise(xp(g).spread(g, place=place, image=image), x)


@op
def spread(g_out, *, place, image):
    """The transpose of `pick`: each cell of an image is the sum of what was picked from it."""
    y = xp(g_out).spread(g_out, place=place, image=image)
    return y, lambda g: xp(g).pick(g, place=place)


class Taps(NamedTuple):
    """Along an axis, y[o] = sum over k of weights[k][o] x[places[k][o]].

    places   for each k a slice, or an array of `length` integers
    weights  for each k a number or an array of as many
    matrix   the same as a matrix (outputs, inputs), where the places are not slices
    """

    places: tuple[Any, ...]
    weights: tuple[Any, ...]
    matrix: Any = None

    def beside(self, x: Any) -> Taps:
        """The same, its arrays on the device of `x`."""
        asarray = array_namespace(getattr(x, "array", x)).asarray

        def moved(item: Any) -> Any:
            return asarray(item) if hasattr(item, "shape") else item

        return Taps(
            tuple(map(moved, self.places)), tuple(map(moved, self.weights)), moved(self.matrix)
        )


@saves_nothing
@op
def resample(x, *, axis, taps):
    taps = taps.beside(x)
    ndim = len(x.shape)
    along = [0] * ndim
    along[axis] = 1

    def at(place: Any) -> tuple[Any, ...]:
        return (slice(None),) * (axis % ndim) + (place,)

    def weight(w: Any) -> Any:  # so that it runs along the axis
        return w.reshape(tuple(-1 if here else 1 for here in along)) if hasattr(w, "shape") else w

    y = None
    if type(x) is np.ndarray:
        y = xp(x).resampled(x, axis, taps.places, taps.weights)  # None where kernels do not pay
    if y is None:
        for place, w in zip(taps.places, taps.weights, strict=True):
            part = x[at(place)] * weight(w)
            y = part if y is None else y + part

    def back(g):
        if taps.matrix is not None:
            rows = xp(g).swapaxes(g, axis, -1)
            return xp(g).swapaxes(xp(g).matmul(rows, taps.matrix), axis, -1)
        total = None
        for place, w in zip(taps.places, taps.weights, strict=True):
            part = xp(g).scatter_add(g * weight(w), shape=x.shape, index=at(place))
            total = part if total is None else total + part
        return total

    return y, back


# Between the cells -------------------------------------------------------------------------------


@op
def sampled(x, across, down):
    """x (batch, channels, height, width) at places between its cells, by two lines; 0 outside.

    across, down: (batch, *out) how many cells from the first one. Returns (batch, channels, *out).
    NumPy's arrays go to the kernels of `kernels/fused/sampling.py`.
    """
    if sampling.fits(x, across, down):
        slopes = shared(lambda g: sampling.slopes(g, x, across, down), *map(itemgetter, range(3)))
        return sampling.read(x, across, down), *slopes
    batch, channels, h, w = x.shape
    flat, out = x.reshape((batch, channels, h * w)), (batch, channels, *across.shape[1:])
    cells = [
        (*_cell(i, j, (h, w), channels), high, left, down_sign, across_sign)
        for i, high, down_sign in _around(down)
        for j, left, across_sign in _around(across)
    ]

    def seen(place):
        return take_along_axis(flat, indices=place, axis=2).reshape(out)

    def to_x(g):
        parts = [
            scatter_add(
                xp(g).where(there, g * _lifted(high * left), 0.0).reshape((*out[:2], -1)),
                shape=flat.shape, index=along(place, 2),
            )
            for there, place, high, left, *_ in cells
        ]  # fmt: skip
        return sum(parts[1:], parts[0]).reshape(x.shape)

    def to_places(g, way):
        parts = [
            sign[way] * xp(g).sum(xp(g).where(there, g * seen(place) * _lifted(by), 0.0), axis=1)
            for there, place, high, left, *sign in cells
            for by in [(left, high)[way]]
        ]
        return sum(parts[1:], parts[0])

    parts = [
        xp(x).where(there, seen(place) * _lifted(high * left), 0.0)
        for there, place, high, left, *_ in cells
    ]
    y = sum(parts[1:], parts[0])
    return y, to_x, lambda g: to_places(g, 1), lambda g: to_places(g, 0)


def _lifted(x: Any) -> Any:
    """x (batch, *out) for each channel."""
    return xp(x).expand_dims(x, 1)


def _around(at: Any) -> list[tuple[Any, Any, int]]:
    """The two cells around places on a line, their weights, and the signs of their slopes."""
    raw = getattr(at, "array", at)
    low = xp(raw).floor(raw)
    return [(low, 1 - (at - low), -1), (low + 1, at - low, 1)]


def _cell(i: Any, j: Any, image: tuple[int, int], channels: int) -> tuple[Any, Any]:
    """Whether cells are inside, for each channel, and which ones they are, counted by rows."""
    (h, w), space = image, xp(i)
    there = (i >= 0) & (i < h) & (j >= 0) & (j < w)
    place = space.where(there, i * w + j, 0).astype(np.int64).reshape(len(i), 1, -1)
    return there[:, None], space.broadcast_to(place, (len(i), channels, place.shape[-1]))
