"""Norms: the formulas, and which kernel takes their place on NumPy's arrays.

The formulas are written with the array protocol: `space` is a namespace (NumPy's, CuPy's, that of
Tensors). On NumPy's arrays `row_norms.py` beside this has kernels for layer and RMS norm, and
`channel_norms.py` for batch, instance and group norm; what they do not take is left to the formula.

Each stands twice so, as a formula and as a kernel; `tests/test_twins.py` holds the two equal.
`ops/normalization.py` makes operations of them.

Throughout, `axes` are those that statistics are taken over; mean, variance and rate = 1 /
sqrt(variance + eps) keep them as axes of length 1. weight and bias broadcast, or are None.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from . import channel_norms, row_norms
from .channel_norms import Layout

# The formulas ------------------------------------------------------------------------------------


def moments(space: Any, x: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """The mean and the (biased) variance over `axes`."""
    mean = _mean(space, x, axes)
    centred = x - mean
    return mean, _mean(space, centred * centred, axes)


def standardize_step(
    space: Any, x: Any, weight: Any, bias: Any, axes: tuple[int, ...], eps: float, known: Any
) -> tuple[Any, Any, Any]:
    """(z * weight + bias, mean, rate), where z = (x - mean) * rate; `known`: moments, or None."""
    mean, variance = moments(space, x, axes) if known is None else known
    rate = 1 / space.sqrt(variance + eps)
    z = (x - mean) * rate
    y = z if weight is None else z * weight
    return y if bias is None else y + bias, mean, rate


def standardize_back(
    space: Any, g: Any, x: Any, weight: Any, bias: Any, mean: Any, rate: Any, axes: tuple[int, ...]
) -> tuple[Any, Any, Any]:
    """The gradients of x, weight and bias; None for those that are None.

    dz/dx: h -> (h - mean(h) - z mean(h z)) / s.  Ioffe & Szegedy 2015, arXiv:1502.03167
    """
    z = (x - mean) * rate
    h = g if weight is None else g * weight
    dx = (h - _mean(space, h, axes) - z * _mean(space, h * z, axes)) * rate
    return dx, _summed(space, g * z, weight), _summed(space, g, bias)


def rms_step(space: Any, x: Any, weight: Any, axes: tuple[int, ...], eps: float) -> tuple[Any, Any]:
    """(x * rate * weight, rate), where rate = 1 / sqrt(mean(x^2) + eps)."""
    rate = 1 / space.sqrt(_mean(space, x * x, axes) + eps)
    z = x * rate
    return z if weight is None else z * weight, rate


def rms_back(
    space: Any, g: Any, x: Any, weight: Any, rate: Any, axes: tuple[int, ...]
) -> tuple[Any, Any]:
    """The gradients of x and weight.

    dz/dx: h -> (h - z mean(h z)) / s.  Zhang & Sennrich 2019, arXiv:1910.07467
    """
    z = x * rate
    h = g if weight is None else g * weight
    return (h - z * _mean(space, h * z, axes)) * rate, _summed(space, g * z, weight)


def affine_step(space: Any, x: Any, scale: Any, shift: Any) -> Any:
    """x * scale + shift, of each channel: x (N, C, ...), scale and shift (C,)."""
    return x * _columns(scale, x) + _columns(shift, x)


def affine_back(space: Any, g: Any, x: Any, scale: Any) -> tuple[Any, Any, Any]:
    """The gradients of x, scale and shift."""
    column = _columns(scale, x)
    sums = (_summed(space, a, column).reshape(scale.shape) for a in (g * x, g))
    return g * column, *sums


def _mean(space: Any, x: Any, axes: tuple[int, ...]) -> Any:
    n = math.prod(x.shape[a] for a in axes)
    return space.sum(x, axis=axes, keepdims=True) * (1 / max(n, 1))


def _summed(space: Any, x: Any, like: Any) -> Any:
    """x summed down to the shape of `like`, which broadcasts to that of x; None for None."""
    if like is None:
        return None
    extra = len(x.shape) - len(like.shape)
    axes = tuple(i for i, n in enumerate(x.shape) if i < extra or n != like.shape[i - extra])
    return (space.sum(x, axis=axes, keepdims=True) if axes else x).reshape(like.shape)


def _columns(vector: Any, x: Any) -> Any:
    return vector.reshape((-1,) + (1,) * (len(x.shape) - 2))


# Which kernel ------------------------------------------------------------------------------------


class _Way(NamedTuple):
    """How kernels see x: as rows that are normalised, or as (batch, channels, cells)."""

    shape: tuple[int, ...]
    layout: Layout | None
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


def _plain(x: Any) -> Any:
    """x as the kernels' signatures want it: contiguous, aligned, writable."""
    return x if x.flags.carray else np.array(x, order="C")


def _vector(vector: Any, n: int, default: float, dtype: Any) -> Any:
    return _filled(n, default, dtype) if vector is None else _plain(vector.reshape(n))


@functools.lru_cache(maxsize=64)
def _filled(n: int, value: float, dtype: Any) -> Any:
    return np.full(n, value, dtype)


# On NumPy's arrays -------------------------------------------------------------------------------


def fused_moments(space: Any, x: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """`moments` on NumPy's arrays."""
    way = _find(x, axes)
    if way is None:
        return moments(space, x, axes)
    if way.layout is None:
        way = way._replace(shape=(way.shape[0], 1, way.shape[1]), layout=Layout(1, 1, 1))
    mean, variance = channel_norms.moments(_plain(x).reshape(way.shape), way.layout)
    return mean.astype(x.dtype).reshape(way.kept), variance.astype(x.dtype).reshape(way.kept)


def fused_standardize_step(
    space: Any, x: Any, weight: Any, bias: Any, axes: tuple[int, ...], eps: float, known: Any
) -> tuple[Any, Any, Any]:
    """`standardize_step` on NumPy's arrays."""
    way = _find(x, axes, weight, bias)
    if way is None:
        return standardize_step(space, x, weight, bias, axes, eps, known)
    rows, n = _plain(x).reshape(way.shape), way.weights
    w, b = _vector(weight, n, 1, x.dtype), _vector(bias, n, 0, x.dtype)
    if way.layout is None:
        y, mean, rate = row_norms.forward(rows, w, b, True, eps)
    else:
        mean, variance = channel_norms.moments(rows, way.layout) if known is None else known
        mean, rate = (a.astype(x.dtype).reshape(-1) for a in (mean, 1 / np.sqrt(variance + eps)))
        y = channel_norms.normalize(rows, mean, rate, w, b, way.layout)
    return y.reshape(x.shape), mean.reshape(way.kept), rate.reshape(way.kept)


def fused_standardize_back(
    space: Any, g: Any, x: Any, weight: Any, bias: Any, mean: Any, rate: Any, axes: tuple[int, ...]
) -> tuple[Any, Any, Any]:
    """`standardize_back` on NumPy's arrays."""
    way = _find(x, axes, weight, bias)
    if way is None or g.dtype != x.dtype:
        return standardize_back(space, g, x, weight, bias, mean, rate, axes)
    g, rows = _plain(g).reshape(way.shape), _plain(x).reshape(way.shape)
    known = mean.reshape(-1), rate.reshape(-1), _vector(weight, way.weights, 1, x.dtype)
    if way.layout is None:
        dx, dw, db = row_norms.backward(g, rows, *known, True)
    else:
        dx, dw, db = channel_norms.backward(g, rows, *known, way.layout)
    return dx.reshape(x.shape), _like(dw, weight), _like(db, bias)


def fused_rms_step(
    space: Any, x: Any, weight: Any, axes: tuple[int, ...], eps: float
) -> tuple[Any, Any]:
    """`rms_step` on NumPy's arrays."""
    way = _find(x, axes, weight)
    if way is None or way.layout is not None:
        return rms_step(space, x, weight, axes, eps)
    n = way.weights
    w, b = _vector(weight, n, 1, x.dtype), _filled(n, 0, x.dtype)
    y, _, rate = row_norms.forward(_plain(x).reshape(way.shape), w, b, False, eps)
    return y.reshape(x.shape), rate.reshape(way.kept)


def fused_rms_back(
    space: Any, g: Any, x: Any, weight: Any, rate: Any, axes: tuple[int, ...]
) -> tuple[Any, Any]:
    """`rms_back` on NumPy's arrays."""
    way = _find(x, axes, weight)
    if way is None or way.layout is not None or g.dtype != x.dtype:
        return rms_back(space, g, x, weight, rate, axes)
    g, rows, rate = _plain(g).reshape(way.shape), _plain(x).reshape(way.shape), rate.reshape(-1)
    known = np.zeros_like(rate), rate, _vector(weight, way.weights, 1, x.dtype)
    dx, dw, _ = row_norms.backward(g, rows, *known, False)
    return dx.reshape(x.shape), _like(dw, weight)


def fused_affine_step(space: Any, x: Any, scale: Any, shift: Any) -> Any:
    """`affine_step` on NumPy's arrays."""
    way = _affine_way(x, scale, shift)
    if way is None:
        return affine_step(space, x, scale, shift)
    zeros, scale = _filled(way.weights, 0, x.dtype), _plain(scale)
    ones = _filled(way.weights, 1, x.dtype)
    rows = _plain(x).reshape(way.shape)
    y = channel_norms.normalize(rows, zeros, ones, scale, _plain(shift), way.layout)
    return y.reshape(x.shape)


def fused_affine_back(space: Any, g: Any, x: Any, scale: Any) -> tuple[Any, Any, Any]:
    """`affine_back` on NumPy's arrays."""
    way = _affine_way(x, scale, g)
    if way is None:
        return affine_back(space, g, x, scale)
    zeros, ones = (_filled(way.weights, value, x.dtype) for value in (0, 1))
    g, rows = _plain(g).reshape(way.shape), _plain(x).reshape(way.shape)
    dx, dw, db = channel_norms.backward(g, rows, zeros, ones, _plain(scale), way.layout, True)
    return dx.reshape(x.shape), dw, db


def _affine_way(x: Any, scale: Any, other: Any) -> _Way | None:
    if x.ndim < 2 or scale.dtype != x.dtype or other.dtype != x.dtype:
        return None
    return _find(x, (0, *range(2, x.ndim)))


def _like(gradient: Any, vector: Any) -> Any:
    return None if vector is None else gradient.reshape(vector.shape)
