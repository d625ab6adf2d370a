"""Images read between their cells: the bilinear `grid_sample`, and its gradients, as kernels.

The formula is `sampled` in `tinygrad_opt/ops/images.py`, for any arrays;
`tests/nn/test_grid_sample.py` holds both equal. A thread takes whole images: what comes from many
places adds up in order.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .by_type import ByType
from .layouts import plain

__all__ = ["fits", "read", "slopes"]

_HEAD = """\
# Written by tinygrad_opt.kernels.fused.sampling.
import numpy as np
from tinygrad_opt.kernels.direct import njit

from tinygrad_opt.kernels.functions.primitives import floor
from tinygrad_opt.kernels.pool import split

ONE, NOTHING = np.{dtype}(1), np.{dtype}(0)

"""

_PLACES = """\
    for n in range(first, last):
        places_x, places_y = x[n], y[n]
        for p in range(places_x.shape[0]):
            a, b = floor(places_x[p]), floor(places_y[p])
            # Of the four cells around, some at least are there; and no NaN comes this far.
            if a >= -1 and a < w and b >= -1 and b < h:
                right, low = places_x[p] - a, places_y[p] - b
                left, high = ONE - right, ONE - low
                j, i = np.int64(a), np.int64(b)
                on_left, on_right, on_high, on_low = j >= 0, j < w - 1, i >= 0, i < h - 1
                at = i * w + j
"""

_READ = (
    """\
@njit(error_model="numpy", nogil=True)
def some_images(first, last, image, h, w, x, y, to):
"""
    + _PLACES
    + """\
                for c in range(image.shape[1]):
                    cells, total = image[n, c], NOTHING
                    if on_high and on_left:
                        total += cells[at] * (high * left)
                    if on_high and on_right:
                        total += cells[at + 1] * (high * right)
                    if on_low and on_left:
                        total += cells[at + w] * (low * left)
                    if on_low and on_right:
                        total += cells[at + w + 1] * (low * right)
                    to[n, c, p] = total
            else:
                for c in range(image.shape[1]):
                    to[n, c, p] = NOTHING


@njit("void({cube}, int64, int64, {matrix}, {matrix}, {cube})",
      error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def read_image(image, h, w, x, y, to):
{check}    split(some_images, image.shape[0], 1, image, h, w, x, y, to)
"""
)


def _corner(there: str, at: str, down: str, across: str, down_sign: str, across_sign: str) -> str:
    """The lines for one of the cells around a place."""
    return f"""\
                    if {there}:
                        v = cells[{at}] * gradient
                        slope[{at}] += gradient * ({down} * {across})
                        slope_x {across_sign}= v * {down}
                        slope_y {down_sign}= v * {across}
"""


_SLOPES = (
    """\
@njit(error_model="numpy", nogil=True)
def some_images(first, last, g, image, h, w, x, y, d, dx, dy):
"""
    + _PLACES
    + """\
                slope_x, slope_y = NOTHING, NOTHING
                for c in range(image.shape[1]):
                    cells, slope, gradient = image[n, c], d[n, c], g[n, c, p]
"""
    + _corner("on_high and on_left", "at", "high", "left", "-", "-")
    + _corner("on_high and on_right", "at + 1", "high", "right", "-", "+")
    + _corner("on_low and on_left", "at + w", "low", "left", "+", "-")
    + _corner("on_low and on_right", "at + w + 1", "low", "right", "+", "+")
    + """\
                dx[n, p], dy[n, p] = slope_x, slope_y
            else:
                dx[n, p], dy[n, p] = NOTHING, NOTHING


@njit("void({cube}, {cube}, int64, int64, {matrix}, {matrix}, {cube}, {matrix}, {matrix})",
      error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def read_image_back(g, image, h, w, x, y, d, dx, dy):
    to = g
{check}    if (d.shape[0] != image.shape[0] or d.shape[1] != image.shape[1]
            or d.shape[2] != image.shape[2] or dx.shape[0] != x.shape[0]
            or dx.shape[1] != x.shape[1] or dy.shape[0] != x.shape[0]
            or dy.shape[1] != x.shape[1]):
        raise ValueError("sizes differ")
    split(some_images, image.shape[0], 1, g, image, h, w, x, y, d, dx, dy)
"""
)

_CHECK = """\
    if (image.shape[2] != h * w or h < 1 or w < 1 or to.shape[0] != image.shape[0]
            or to.shape[1] != image.shape[1] or x.shape[0] != image.shape[0]
            or x.shape[1] != to.shape[2] or y.shape[0] != x.shape[0] or y.shape[1] != x.shape[1]):
        raise ValueError("sizes differ")
"""

_TEXTS = {"read_image": _HEAD + _READ, "read_image_back": _HEAD + _SLOPES}
_kernels = ByType(
    lambda name: _TEXTS[name].replace("{cube}", "{dtype}[:, :, ::1]"),
    {"read_image": "read_image_back"}, check=_CHECK,
)  # fmt: skip


def fits(image: Any, x: Any, y: Any) -> bool:
    """Whether the kernels take these: NumPy's arrays of one type, with something in them."""
    kind = image.dtype
    return (
        all(type(a) is np.ndarray and a.dtype == kind and a.size for a in (image, x, y))
        and kind.char in "fd"
        and kind.isnative
    )


def read(image: Any, x: Any, y: Any) -> Any:
    """(batch, channels, *out) an image at places between its cells, 0 outside.

    Args:
        image: (batch, channels, height, width).
        x, y: (batch, *out) how many cells from the first one, to the right and down.
    """
    given = _given(image, x, y)
    to = np.empty((*image.shape[:2], given[-1].shape[1]), image.dtype)
    _kernels["read_image", image.dtype.char](*given, to)
    return to.reshape(*image.shape[:2], *x.shape[1:])


def slopes(g: Any, image: Any, x: Any, y: Any) -> tuple[Any, Any, Any]:
    """The gradients of image, x and y from that of what `read` returns."""
    given = _given(image, x, y)
    d, dx, dy = np.zeros(given[0].shape, g.dtype), np.empty_like(given[3]), np.empty_like(given[4])
    rows = np.array(g, image.dtype, order="C").reshape(*image.shape[:2], -1)
    _kernels["read_image_back", image.dtype.char](rows, *given, d, dx, dy)
    return d.reshape(image.shape), dx.reshape(x.shape), dy.reshape(y.shape)


def _given(image: Any, x: Any, y: Any) -> tuple[Any, ...]:
    """The arguments as kernels take them."""
    batch, channels, h, w = image.shape
    cells = plain(image).reshape(batch, channels, h * w)
    places = (plain(a).reshape(batch, math.prod(a.shape[1:])) for a in (x, y))
    return cells, h, w, *places
