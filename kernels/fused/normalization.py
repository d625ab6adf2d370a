"""Norms: the formulas, and which kernel takes their place on NumPy's arrays.

The formulas are written with the array protocol: `space` is a namespace (NumPy's, CuPy's, that of
Tensors). On NumPy's arrays `row_norms.py` beside this has kernels for layer and RMS norm, and
`channel_norms.py` for batch, instance and group norm; what they do not take is left to the formula.

Each stands twice so, as a formula and as a kernel; `tests/test_twins.py` holds the two equal.
`ops/normalization.py` makes operations of them.

Throughout, `axes` are those that statistics are taken over; mean, variance and rate = 1 /
sqrt(variance + eps) keep them as axes of length 1. weight and bias broadcast, or are None. A `pair`
returns the value, and a function from its gradient to those of the arguments.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import channel_norms, row_norms
from .channel_norms import Layout
from .layouts import gradient, plain

Pair = tuple[Any, Callable[[Any], tuple[Any, ...]]]
Axes = tuple[int, ...]

# The formulas ------------------------------------------------------------------------------------


def moments(space: Any, x: Any, axes: Axes) -> tuple[Any, Any]:
    """The mean and the (biased) variance over `axes`."""
    mean = _mean(space, x, axes)
    centred = x - mean
    return mean, _mean(space, centred * centred, axes)


def standardize_pair(
    space: Any, x: Any, weight: Any, bias: Any, axes: Axes, eps: float, known: Any = None
) -> Pair:
    """z * weight + bias, where z = (x - mean) * rate; `known`: the moments, or None.

    dz/dx: h -> (h - mean(h) - z mean(h z)) * rate.  Ioffe & Szegedy 2015, arXiv:1502.03167
    """
    mean, variance = moments(space, x, axes) if known is None else known
    rate = 1 / space.sqrt(variance + eps)
    z = (x - mean) * rate
    y = z if weight is None else z * weight
    shapes = _shape(weight), _shape(bias)

    def back(g: Any) -> tuple[Any, ...]:
        h = g if weight is None else g * weight
        dx = (h - _mean(space, h, axes) - z * _mean(space, h * z, axes)) * rate
        return dx, *(_summed(space, *d) for d in zip((g * z, g), shapes, strict=True))

    return y if bias is None else y + bias, back


def rms_pair(space: Any, x: Any, weight: Any, axes: Axes, eps: float) -> Pair:
    """z * weight, where z = x / sqrt(mean(x^2) + eps).

    dz/dx: h -> (h - z mean(h z)) * rate.  Zhang & Sennrich 2019, arXiv:1910.07467
    """
    rate = 1 / space.sqrt(_mean(space, x * x, axes) + eps)
    z = x * rate

    def back(g: Any) -> tuple[Any, ...]:
        h = g if weight is None else g * weight
        dx = (h - z * _mean(space, h * z, axes)) * rate
        return dx, _summed(space, g * z, _shape(weight))

    return z if weight is None else z * weight, back


def affine_pair(space: Any, x: Any, scale: Any, shift: Any) -> Pair:
    """x * scale + shift, of each channel: x (N, C, ...), scale and shift (C,)."""
    column = _columns(scale, x)

    def back(g: Any) -> tuple[Any, ...]:
        sums = (_summed(space, a, column.shape).reshape(scale.shape) for a in (g * x, g))
        return g * column, *sums

    return x * column + _columns(shift, x), back


def _mean(space: Any, x: Any, axes: tuple[int, ...]) -> Any:
    n = math.prod(x.shape[a] for a in axes)
    return space.sum(x, axis=axes, keepdims=True) * (1 / max(n, 1))


def _shape(x: Any) -> tuple[int, ...] | None:
    return None if x is None else x.shape


def _summed(space: Any, x: Any, shape: tuple[int, ...] | None) -> Any:
    """x summed down to a shape that broadcasts to its own; None for None."""
    if shape is None:
        return None
    extra = len(x.shape) - len(shape)
    axes = tuple(i for i, n in enumerate(x.shape) if i < extra or n != shape[i - extra])
    return (space.sum(x, axis=axes, keepdims=True) if axes else x).reshape(shape)


def _columns(vector: Any, x: Any) -> Any:
    return vector.reshape((-1,) + (1,) * (len(x.shape) - 2))


# Which kernel ------------------------------------------------------------------------------------


class _Way(NamedTuple):
    """How kernels see x: as rows that are normalised, or as (batch, channels, cells)."""

    shape: tuple[int, ...]
    layout: Any  # Layout, or None for rows
    kept: tuple[int, ...]  # the shape of x with `axes` of length 1

    @property
    def weights(self) -> int:
        return self.shape[1]


@functools.lru_cache(maxsize=256)
def _way(shape: tuple[int, ...], axes: tuple[int, ...], vector: tuple[int, ...] | None) -> Any:
    """The way of x's shape, axes and that of weight and bias; None where no kernel fits."""
    axes = tuple(sorted(a % len(shape) for a in axes))
    kept = tuple(1 if a in axes else n for a, n in enumerate(shape))
    first = axes[0] if axes else len(shape)
    if axes == tuple(range(first, len(shape))):
        if vector is None or vector == shape[first:]:
            return _Way((math.prod(shape[:first]), math.prod(shape[first:])), None, kept)
        return _channels(shape, first, vector, kept)
    if axes == (0, *range(2, len(shape))) and _of_channels(vector, shape):
        whole = (shape[0], shape[1], math.prod(shape[2:]))
        return _Way(whole, Layout(shape[1], 0, 1), kept)
    return None


def _of_channels(vector: tuple[int, ...] | None, shape: tuple[int, ...]) -> bool:
    """Whether a vector's shape broadcasts along the channels of (N, C, ...), and only there."""
    return vector is None or vector == (shape[1],) + (1,) * (len(shape) - 2)


def _channels(
    shape: tuple[int, ...], first: int, vector: tuple[int, ...], kept: tuple[int, ...]
) -> _Way | None:
    """Statistics over the axes from `first` on; weights along channels that these axes cut."""
    if len(vector) > len(shape):
        return None
    start, stop = len(shape) - len(vector), len(shape)
    while vector and stop > first and vector[stop - 1 - start] == 1:
        stop -= 1
    if start > first or vector[: stop - start] != shape[start:stop]:
        return None
    if any(n != 1 for n in vector[stop - start :]):
        return None
    channels, group = math.prod(shape[start:stop]), math.prod(shape[first:stop])
    if not group:
        return None
    whole = (math.prod(shape[:start]), channels, math.prod(shape[stop:]))
    return _Way(whole, Layout(channels, channels // group, group), kept)


def _find(x: Any, axes: tuple[int, ...], *vectors: Any) -> _Way | None:
    """The way of these arrays, None if they are left to the formula."""
    dtype = x.dtype
    if dtype.char not in "fd" or not dtype.isnative or not x.size:
        return None
    shape = None
    for vector in vectors:
        if vector is None:
            continue
        if vector.dtype != dtype or (shape is not None and vector.shape != shape):
            return None
        shape = vector.shape
    found: _Way | None = _way(x.shape, axes, shape)
    return found


def _vector(vector: Any, n: int, default: float, dtype: Any) -> Any:
    return _filled(n, default, dtype) if vector is None else plain(vector.reshape(n))


@functools.lru_cache(maxsize=64)
def _filled(n: int, value: float, dtype: Any) -> Any:
    return np.full(n, value, dtype)


# On NumPy's arrays -------------------------------------------------------------------------------


def fused_moments(space: Any, x: Any, axes: Axes) -> tuple[Any, Any]:
    """`moments` on NumPy's arrays."""
    way = _find(x, axes)
    if way is None:
        return moments(space, x, axes)
    if way.layout is None:
        way = way._replace(shape=(way.shape[0], 1, way.shape[1]), layout=Layout(1, 1, 1))
    mean, variance = channel_norms.moments(plain(x).reshape(way.shape), way.layout)
    return mean.reshape(way.kept), variance.reshape(way.kept)


def fused_standardize_pair(
    space: Any, x: Any, weight: Any, bias: Any, axes: Axes, eps: float, known: Any = None
) -> Pair:
    """`standardize_pair` on NumPy's arrays."""
    way = _find(x, axes, weight, bias)
    if way is None or (known is not None and any(a.shape != way.kept for a in known)):
        return standardize_pair(space, x, weight, bias, axes, eps, known)
    rows, n, layout = plain(x).reshape(way.shape), way.weights, way.layout
    shapes = _shape(weight), _shape(bias)
    w, b = _vector(weight, n, 1, x.dtype), _vector(bias, n, 0, x.dtype)
    if layout is None:
        y, mean, rate = row_norms.forward(rows, w, b, True, eps)
    else:
        if known is None:
            mean, variance = channel_norms.moments(rows, layout)
        else:
            mean, variance = (plain(a.astype(x.dtype, copy=False)).reshape(-1) for a in known)
        y, rate = channel_norms.normalize(rows, mean, variance, eps, w, b, layout)

    def back(g: Any) -> tuple[Any, ...]:
        g = gradient(g, x.shape, x.dtype).reshape(way.shape)
        if layout is None:
            dx, dw, db = row_norms.backward(g, rows, mean, rate, w, True)
        else:
            dx, dw, db = channel_norms.backward(g, rows, mean, rate, w, layout)
        return dx.reshape(x.shape), *(
            None if shape is None else d.reshape(shape)
            for d, shape in zip((dw, db), shapes, strict=True)
        )

    return y.reshape(x.shape), back


def fused_rms_pair(space: Any, x: Any, weight: Any, axes: Axes, eps: float) -> Pair:
    """`rms_pair` on NumPy's arrays."""
    way = _find(x, axes, weight)
    if way is None or way.layout is not None:
        return rms_pair(space, x, weight, axes, eps)
    rows, n = plain(x).reshape(way.shape), way.weights
    w = _vector(weight, n, 1, x.dtype)
    y, mean, rate = row_norms.forward(rows, w, _filled(n, 0, x.dtype), False, eps)

    def back(g: Any) -> tuple[Any, ...]:
        g = gradient(g, x.shape, x.dtype).reshape(way.shape)
        dx, dw, _ = row_norms.backward(g, rows, mean, rate, w, False)
        return dx.reshape(x.shape), None if weight is None else dw.reshape(weight.shape)

    return y.reshape(x.shape), back


def fused_affine_pair(space: Any, x: Any, scale: Any, shift: Any) -> Pair:
    """`affine_pair` on NumPy's arrays."""
    way = _find(x, (0, *range(2, x.ndim))) if x.ndim > 1 else None
    if way is None or any(a.dtype != x.dtype or a.shape != x.shape[1:2] for a in (scale, shift)):
        return affine_pair(space, x, scale, shift)
    rows, w, b, layout = plain(x).reshape(way.shape), plain(scale), plain(shift), way.layout
    zeros, ones = (_filled(way.weights, value, x.dtype) for value in (0, 1))
    y, rate = channel_norms.normalize(rows, zeros, ones, 0.0, w, b, layout)

    def back(g: Any) -> tuple[Any, ...]:
        g = gradient(g, x.shape, x.dtype).reshape(way.shape)
        dx, dw, db = channel_norms.backward(g, rows, zeros, rate, w, layout, given=True)
        return dx.reshape(x.shape), dw, db

    return y.reshape(x.shape), back
