"""Images read at any places, and grids of places: spatial transformers (Jaderberg et al. 2015)."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..arrays.xp import xp
from ..core.half import widened
from ..core.public import publish
from ..core.tensor import Tensor, wrap_plain

__all__ = ["affine_grid", "grid_sample"]

_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")


def _corners(name: str, align_corners: bool | None) -> bool:
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since "
            "1.3.0. Please specify align_corners=True if the old behavior is desired. See the "
            f"documentation of {name} for details.",
            UserWarning,
            stacklevel=4,
        )
    return bool(align_corners)


@widened
def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:  # fmt: skip
    """The images of `input` (batch, channels, *image) read at the places of `grid`.

    `grid`: (batch, *output, 2 or 3), x first, from -1 to 1 across the image; 4-D or 5-D. `mode`:
    "bilinear" (of cells around the place), "nearest", "bicubic" (4-D). `padding_mode`: what stands
    outside, "zeros", "border" (the nearest cell) or "reflection". `align_corners`: -1 and 1 are the
    middles of the outermost cells; else their outer edges.
    Raises ValueError for other modes, RuntimeError for shapes that do not go together.
    """
    _check(input, grid, mode, padding_mode)
    corners = _corners("grid_sample", align_corners)
    image = tuple(input.shape[2:])
    axes = len(image)
    at = []
    for i, n in enumerate(image):
        x = ops.getitem(grid, index=(..., axes - 1 - i))
        x = (x + 1) * ((n - 1) / 2) if corners else ((x + 1) * n - 1) / 2
        at.append(x if mode == "bicubic" else _inside(x, n, padding_mode, corners))
    if mode == "nearest":
        places = [wrap_plain(xp(x.array).rint(x.array)) for x in at]
        return _summed(input, image, [[(x, None)] for x in places], padding_mode)
    if mode == "bilinear" and axes == 2:
        return ops.sampled(input, at[1], at[0])
    taps = _cubic if mode == "bicubic" else _linear
    cells = [
        [(_inside(wrap_plain(cell), n, padding_mode, corners) if mode == "bicubic" else
          wrap_plain(cell), weight) for cell, weight in taps(x)]
        for x, n in zip(at, image, strict=True)
    ]  # fmt: skip
    return _summed(input, image, cells, padding_mode)


def _check(input: Tensor, grid: Tensor, mode: str, padding_mode: str) -> None:
    if mode not in _MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', "
            f"but got: '{mode}'"
        )
    if padding_mode not in _PADDINGS:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or "
            f"'reflection', but got: '{padding_mode}'"
        )
    if input.ndim not in (4, 5) or input.ndim != grid.ndim:
        raise RuntimeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but "
            f"got input with sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if input.shape[0] != grid.shape[0]:
        raise RuntimeError(
            "grid_sampler(): expected grid and input to have same batch size, but got input with "
            f"sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if grid.shape[-1] != input.ndim - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {input.ndim - 2} in last dimension, but "
            f"got grid with sizes {list(grid.shape)}"
        )
    if 0 in input.shape[2:]:
        raise RuntimeError(
            "grid_sampler(): expected input to have non-empty spatial dimensions, but input has "
            f"sizes {list(input.shape)}"
        )
    if mode == "bicubic" and input.ndim != 4:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")


# Places -------------------------------------------------------------------------------------------


def _inside(x: Tensor, n: int, padding_mode: str, corners: bool) -> Tensor:
    """The places where what stands outside is to be found in the image; at the edge slope 0."""
    if padding_mode == "zeros":
        return x
    if padding_mode == "reflection":
        x = _mirrored(x, *((0, 2 * (n - 1)) if corners else (-1, 2 * n - 1)))
    raw = x.array
    kept = (raw > 0) & (raw < n - 1)
    space = xp(raw)
    edge = space.where(raw > 0, n - 1, 0).astype(raw.dtype)  # NaN goes to 0
    return ops.where(kept, x, edge)


def _mirrored(x: Tensor, low: int, high: int) -> Tensor:
    """x reflected at low / 2 and high / 2, until it lies between them."""
    if low == high:
        return x * 0
    start, span = low / 2, (high - low) / 2
    raw = x.array
    space = xp(raw)
    away = raw - start
    flips = space.floor(space.abs(away) / span)
    sign = space.where(away < 0, -1, 1).astype(raw.dtype)
    even = flips % 2 == 0
    # between two mirrors the map is a line: slope 1 or -1, and what it starts from
    slope = space.where(even, sign, -sign).astype(raw.dtype)
    base = space.where(even, start - flips * span, start + (flips + 1) * span)
    return (x - start) * wrap_plain(slope) + wrap_plain(base.astype(raw.dtype))


def _linear(x: Tensor) -> list[tuple[Any, Tensor]]:
    """The two cells around each place, and their weights."""
    low = xp(x.array).floor(x.array)
    t = x - wrap_plain(low)
    return [(low, 1 - t), (low + 1, t)]


_A = -0.75  # the slope of the cubic kernel, as PyTorch and OpenCV have it


def _cubic(x: Tensor) -> list[tuple[Any, Tensor]]:
    """The four cells around each place, and their weights (Keys 1981)."""
    low = xp(x.array).floor(x.array)
    t = x - wrap_plain(low)

    def near(d: Tensor) -> Tensor:
        return ((_A + 2) * d - (_A + 3)) * d * d + 1

    def far(d: Tensor) -> Tensor:
        return ((_A * d - 5 * _A) * d + 8 * _A) * d - 4 * _A

    weights = far(t + 1), near(t), near(1 - t), far(2 - t)
    return [(low + k - 1, weight) for k, weight in enumerate(weights)]


# Values -------------------------------------------------------------------------------------------


def _summed(input: Tensor, image: tuple[int, ...], cells: list[Any], padding_mode: str) -> Tensor:
    """The sum over all combinations of cells of their values times their weights."""
    batch, channels = input.shape[:2]
    flat = ops.reshape(input, shape=(batch, channels, math.prod(image)))
    output = tuple(cells[0][0][0].shape[1:])
    total: Any = None
    for corner in itertools.product(*cells):
        space = xp(corner[0][0].array)
        inside: Any = True
        place: Any = 0
        for n, (cell, _) in zip(image, corner, strict=True):
            at = cell.array
            inside = inside & (at >= 0) & (at <= n - 1)
            place = place * n + space.clip(space.nan_to_num(at), 0, n - 1).astype(np.int64)
        index = place.reshape(batch, 1, -1)
        index = space.broadcast_to(index, (batch, channels, index.shape[-1]))
        values = ops.take_along_axis(flat, indices=index, axis=2)
        values = ops.reshape(values, shape=(batch, channels, *output))
        for _, weight in corner:
            if weight is not None:
                values = values * ops.expand_dims(weight, 1)
        if padding_mode == "zeros":
            values = ops.where(inside[:, None], values, 0.0)
        total = values if total is None else total + values
    return total


@widened
def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The places of `grid_sample` for images of `size` (batch, channels, *image), moved by theta.

    `theta`: (batch, 2, 3) or (batch, 3, 4), which takes (x, y, 1) to a place. The result:
    (batch, *image, 2 or 3). `align_corners` as for `grid_sample`.
    Raises ValueError for integers, NotImplementedError for other sizes, RuntimeError for a theta
    that does not fit.
    """
    if theta.dtype.kind != "f":
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    image = tuple(int(n) for n in size[2:])
    axes = len(image)
    if axes not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
            f"respectively. Got size {tuple(size)}."
        )
    if tuple(theta.shape[1:]) != (axes, axes + 1) or theta.ndim != 3:
        raise ValueError(
            f"Expected a batch of {axes}D affine matrices of shape Nx{axes}x{axes + 1} for size "
            f"{tuple(size)}. Got {tuple(theta.shape)}."
        )
    if min(map(int, size)) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {tuple(size)}")
    corners = _corners("affine_grid", align_corners)
    base = np.ones((*image, axes + 1), theta.dtype)
    for i, n in enumerate(image):
        line = np.linspace(-1, 1, n, dtype=theta.dtype) if n > 1 else np.zeros(1, theta.dtype)
        line = line if corners or n == 1 else line * ((n - 1) / n)
        shape = [1] * axes
        shape[i] = n
        base[..., axes - 1 - i] = line.reshape(shape)
    rows = xp(theta.array).asarray(base.reshape(-1, axes + 1))
    return ops.reshape(
        ops.matmul(wrap_plain(rows), ops.swapaxes(theta, -1, -2)),
        shape=(theta.shape[0], *image, axes),
    )


publish(globals(), __all__)
