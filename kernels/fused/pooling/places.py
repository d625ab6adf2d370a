"""Where in the image the maximum of each window stands, and the way back.

For windows that need not be alike. The same in array code is `Windows` in `arrays/windows.py`;
`tests/test_twins.py` holds both equal.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import pool

_CELLS = 32_768  # of images that one thread looks at in one go: 30 to 50 us

_ARGMAX = """\
# Written by tinygrad_opt.kernels.fused.pooling.places.
import numpy as np
from tinygrad_opt.kernels.direct import njit

from tinygrad_opt.kernels.pool import split


@njit(error_model="numpy", nogil=True)
def argmax_part(first, last, x, d0, d1, h0, h1, w0, w1, dd, dh, dw, place):
    # First down the columns, cell beside cell; then along the row of the columns' best.
    _, D, H, W = place.shape
    height, width = x.shape[2], x.shape[3]
    best, at = np.empty(width, np.{dtype}), np.empty(width, np.int32)
    for n in range(first, last):
        for i in range(D):
            for j in range(H):
                to = place[n, i, j]
                if d0[i] >= d1[i] or h0[j] >= h1[j]:
                    to[:] = -1
                    continue
                base = (d0[i] * height + h0[j]) * width
                top = x[n, d0[i], h0[j]]
                for w in range(width):
                    best[w] = top[w]
                    at[w] = base + w
                for d in range(d0[i], d1[i], dd):
                    for h in range(h0[j], h1[j], dh):
                        row = x[n, d, h]
                        base = (d * height + h) * width
                        for w in range(width):
                            v = row[w]
                            better = (v > best[w]) | (v != v)
                            best[w] = v if better else best[w]
                            at[w] = base + w if better else at[w]
                for k in range(W):
                    if w0[k] >= w1[k]:
                        to[k] = -1
                        continue
                    chosen = w0[k]
                    for w in range(w0[k] + dw, w1[k], dw):
                        v, b = best[w], best[chosen]
                        earlier = at[w] < at[chosen]
                        better = (v > b) | ((v == b) & earlier)
                        better |= (v != v) & ((b == b) | ~earlier)
                        chosen = w if better else chosen
                    to[k] = at[chosen]


@njit("boolean({dtype}[:, :, :, ::1], int64[::1], int64[::1], int64[::1], int64[::1], int64[::1],"
      "int64[::1], int64, int64, int64, int64[:, :, :, ::1], int64)", error_model="numpy",
      nogil=True, no_cfunc_wrapper=True, cache={cache})
def argmax(x, d0, d1, h0, h1, w0, w1, dd, dh, dw, place, grain):
    sizes = x.shape[1:]
    for first, last, size in ((d0, d1, sizes[0]), (h0, h1, sizes[1]), (w0, w1, sizes[2])):
        for k in range(first.shape[0]):
            if first[k] < 0 or last[k] > size:
                return False
    split(argmax_part, x.shape[0], grain, x, d0, d1, h0, h1, w0, w1, dd, dh, dw, place)
    return True
"""

# Places come from outside, and may have been changed since: each is looked at before it is used.
_PICK = """\
# Written by tinygrad_opt.kernels.fused.pooling.
from tinygrad_opt.kernels.direct import njit


@njit("boolean({dtype}[:, ::1], int64[:, ::1], {dtype}, {dtype}[:, ::1])", nogil=True,
      no_cfunc_wrapper=True, cache={cache})
def pick(x, place, missing, y):
    for n in range(y.shape[0]):
        for i in range(y.shape[1]):
            k = place[n, i]
            if k < -1 or k >= x.shape[1]:
                return False
            y[n, i] = x[n, k] if k >= 0 else missing
    return True
"""

_SPREAD = """\
# Written by tinygrad_opt.kernels.fused.pooling.
from tinygrad_opt.kernels.direct import njit


@njit("boolean({dtype}[:, ::1], int64[:, ::1], {dtype}[:, ::1])",
      nogil=True, no_cfunc_wrapper=True, cache={cache})
def spread(g, place, y):
    for n in range(g.shape[0]):
        for i in range(g.shape[1]):
            k = place[n, i]
            if k < -1 or k >= y.shape[1]:
                return False
            if k >= 0:
                y[n, k] += g[n, i]
    return True
"""

_kernels: dict[tuple[str, str], Any] = {}


def window_argmax(x: Any, spans: Any) -> Any:
    """Where in its image each window's first maximum stands, or its last NaN.

    Args:
        x: (batch, channels, *image), contiguous, float32 or float64; up to three axes.
        spans: for each axis of the image, (start, stop, step): the windows' first cells, the ends
            of their ranges, and the distance of two cells.

    Returns:
        (batch, channels, *windows) int64, places in the flat image; -1 for a window without cells.

    Raises IndexError if a window begins before the image or ends after it.
    """
    image, output = x.shape[2:], tuple(len(s.start) for s in spans)
    missing = 3 - len(image)
    first, last = np.zeros(1, np.int64), np.ones(1, np.int64)
    edges = [first, last] * missing + [
        np.ascontiguousarray(edge, np.int64) for s in spans for edge in (s.start, s.stop)
    ]
    steps = [1] * missing + [s.step for s in spans]
    rows = x.shape[0] * x.shape[1]
    place = np.empty((rows, *(1,) * missing, *output), np.int64)
    kernel = _kernel("argmax", _ARGMAX, x.dtype)
    images, grain = x.reshape(rows, *(1,) * missing, *image), max(1, _CELLS // math.prod(image))
    inside = kernel(images, *edges, *steps, place, grain)
    if not inside:
        raise IndexError(f"a window begins or ends outside the image of {image}: {spans}")
    return place.reshape(*x.shape[:2], *output)


def pick(x: Any, place: Any, missing: float = 0.0) -> Any:
    """The cells of x (batch, channels, *image) at `place` (batch, channels, ...), flat.

    Both contiguous, x float32 or float64, `place` int64 in [0, cells of the image), or -1 for
    `missing`. Raises IndexError for any other.
    """
    y = np.empty(place.shape, x.dtype)
    rows = x.shape[0] * x.shape[1]
    if y.size:
        x, flat = x.reshape(rows, -1), place.reshape(rows, -1)
        if not _kernel("pick", _PICK, x.dtype)(x, flat, missing, y.reshape(rows, -1)):
            raise _outside(place, x.shape[1])
    return y


def spread(g: Any, place: Any, image: tuple[int, ...]) -> Any:
    """g (batch, channels, ...) added up at its places in an image of zeros.

    Args:
        g: contiguous, float32 or float64.
        place: of the same shape, int64, each in [0, cells of the image), or -1 for none.
        image: the lengths of the result's last axes.

    Raises IndexError for any other place.
    """
    batch, channels = g.shape[:2]
    y = np.zeros((batch, channels, *image), g.dtype)
    rows = batch * channels
    if g.size:
        cells = math.prod(image)
        kernel = _kernel("spread", _SPREAD, g.dtype)
        if not kernel(g.reshape(rows, -1), place.reshape(rows, -1), y.reshape(rows, cells)):
            raise _outside(place, cells)
    return y


def _outside(place: Any, cells: int) -> IndexError:
    return IndexError(
        f"places in an image of {cells} cells must lie between 0 and {cells - 1}, got "
        f"{place.min()} to {place.max()}; were the indices changed after they were returned?"
    )


def _kernel(name: str, template: str, dtype: Any) -> Any:
    kernel = _kernels.get((name, dtype.char))
    if kernel is None:
        kernel = pool.load(name, lambda on_disk: template.format(cache=on_disk, dtype=dtype.name))
        _kernels[name, dtype.char] = kernel
    return kernel
