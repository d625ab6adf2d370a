"""Layers that change the size of images, as `torch.nn` has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from .. import functions, ops
from ..core.half import widened
from ..core.public import publish
from ..core.tensor import Tensor
from ..ops.images import Taps
from .average_pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    is_small,
    taps_of,
)
from .layer import Shown, settings
from .module import Module
from .pooling_windows import even_window

__all__ = [
    "ChannelShuffle", "PixelShuffle", "PixelUnshuffle", "Upsample", "UpsamplingBilinear2d",
    "UpsamplingNearest2d", "channel_shuffle", "interpolate", "pixel_shuffle", "pixel_unshuffle",
    "upsample", "upsample_bilinear", "upsample_nearest",
]  # fmt: skip

_AXES = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
_MODES = ("nearest", *_AXES, "area", "nearest-exact")


@widened
def interpolate(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:  # fmt: skip
    """The images of `input` (batch, channels, *image) in another size.

    `size` or `scale_factor`: a number or one for each axis. `mode`: "nearest", "nearest-exact",
    "linear" (3-D input), "bilinear" and "bicubic" (4-D), "trilinear" (5-D), or "area" (means).
    `align_corners`: the outermost cells keep their places; else the outermost edges do.
    `recompute_scale_factor`: use the ratio of the sizes, not the given factor. `antialias`: wider
    windows where the image shrinks (bilinear and bicubic).
    Raises ValueError for arguments that do not go together, NotImplementedError for a mode that
    the number of axes does not have.
    """
    image = tuple(input.shape[2:])
    _check_mode(mode, input, align_corners, antialias)
    output, factors = _output_size(image, size, scale_factor, recompute_scale_factor)
    if min((*image, *output)) < 1:
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input {image} output "
            f"{output}"
        )
    if mode == "area":
        pools = adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
        return pools[len(image) - 1](input, output)
    if mode.startswith("nearest") and _repeats(mode, image, output, factors, input.dtype):
        return _repeated(input, image, output)
    y = input
    for i, (n, out, factor) in enumerate(zip(image, output, factors, strict=True)):
        taps = _taps(mode, n, out, factor, bool(align_corners), antialias, input.dtype)
        y = ops.resample(y, axis=i + 2, taps=taps)
    return y


def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:  # fmt: skip
    """The older name of `interpolate`."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` to the nearest cell."""
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` linearly along both axes, corners aligned."""
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


# What is asked for --------------------------------------------------------------------------------


def _check_mode(mode: str, input: Tensor, align_corners: bool | None, antialias: bool) -> None:
    if input.ndim not in (3, 4, 5) or mode not in _MODES:
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {input.ndim}D) for the "
            f"modes: {' | '.join(_MODES)} (got {mode})"
        )
    if mode not in _AXES and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: "
            f"{' | '.join(_AXES)}; got mode {mode!r}"
        )
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(
            "Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D "
            f"tensor as input; got mode {mode!r}"
        )
    if mode in _AXES and input.ndim != _AXES[mode] + 2:
        raise NotImplementedError(
            f"Got {input.ndim}D input, but {mode} mode needs {_AXES[mode] + 2}D input"
        )


def _output_size(image: Any, size: Any, scale_factor: Any, recompute: bool | None) -> Any:
    """The lengths of the output, and the factor given for each axis or None."""
    axes = len(image)
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        return tuple(int(n) for n in _each(size, image, "output size")), (None,) * axes
    if scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    factors = _each(scale_factor, image, "scale_factor")
    output = tuple(math.floor(n * float(f)) for n, f in zip(image, factors, strict=True))
    return output, (None,) * axes if recompute else tuple(map(float, factors))


def _each(value: Any, image: Any, name: str) -> tuple[Any, ...]:
    values = tuple(value) if isinstance(value, Sequence) else (value,) * len(image)
    if len(values) != len(image):
        raise ValueError(
            "Input and output must have the same number of spatial dimensions, but got input with "
            f"spatial dimensions of {list(image)} and {name} of {values}"
        )
    return values


# Which cells, with which weights ------------------------------------------------------------------


def _taps(
    mode: str, n: int, out: int, factor: float | None, align: bool, antialias: bool, dtype: Any
) -> Taps:
    """What each of `out` cells takes from an axis of n cells."""
    if mode.startswith("nearest"):
        return taps_of(_nearest(mode, n, out, factor, dtype)[None], np.ones((1, out)), n, dtype)
    if align:
        scale = (n - 1) / (out - 1) if out > 1 else 0.0
        at = np.arange(out) * scale
    else:
        scale = 1 / factor if factor else n / out
        at = (np.arange(out) + 0.5) * scale - 0.5
    if antialias:  # from the edges in any case, as PyTorch has it
        return taps_of(*_wide(mode, n, (np.arange(out) + 0.5) * scale - 0.5, scale), n, dtype)
    if mode == "bicubic":
        cell = np.floor(at)
        offsets = np.arange(-1, 3)[:, None]
        weights = _cubic(at - cell - offsets, -0.75)
    else:
        at = np.clip(at, 0, n - 1)
        cell = np.floor(at)
        offsets = np.arange(2)[:, None]
        weights = 1 - np.abs(at - cell - offsets)
    return taps_of(np.clip(cell + offsets, 0, n - 1).astype(np.int64), weights, n, dtype)


def _nearest(mode: str, n: int, out: int, factor: float | None, dtype: Any) -> Any:
    """The one cell that each output takes, rounded as PyTorch does: it decides between equals."""
    kind: Any = np.float64 if dtype == np.float64 else np.float32
    scale = kind(1 / factor if factor else n / out)
    middle = kind(0.5 if mode == "nearest-exact" else 0)
    at = ((np.arange(out, dtype=kind) + middle) * scale).astype(np.float32)
    return np.minimum(np.floor(at).astype(np.int64), n - 1)


def _repeats(mode: str, image: Any, output: Any, factors: Any, dtype: Any) -> bool:
    """Whether each output takes the cell that it lies in, and as many outputs lie in each cell."""
    return all(
        out % n == 0
        and np.array_equal(_nearest(mode, n, out, factor, dtype), np.repeat(np.arange(n), out // n))
        for n, out, factor in zip(image, output, factors, strict=True)
    )


def _repeated(input: Tensor, image: Any, output: Any) -> Tensor:
    """Each cell as often as it is needed along each axis, which is a copy and no sum."""
    at = even_window(output, image)
    if at is not None and is_small(input, at):  # as gradients of sums over windows are spread
        return ops.spread_means(input, at=at, weights=tuple((1.0,) * n for n in image))
    lead = input.shape[:2]
    times = [out // n for n, out in zip(image, output, strict=True)]
    apart = input.reshape(*lead, *(m for n in image for m in (n, 1)))
    wide = apart.expand(*lead, *(m for pair in zip(image, times, strict=True) for m in pair))
    return wide.reshape(*lead, *output)


def _cubic(distance: Any, a: float) -> Any:
    """Keys' kernel. Keys 1981, doi:10.1109/TASSP.1981.1163711; a = -0.75 in image libraries."""
    d = np.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _wide(mode: str, n: int, at: Any, scale: float) -> tuple[Any, Any]:
    """Windows as wide as the cells of the output, their weights adding up to 1."""
    stretch = max(scale, 1.0)
    support = (2 if mode == "bicubic" else 1) * stretch
    first = np.maximum(np.floor(at + 1 - support).astype(np.int64), 0)
    stop = np.minimum(np.floor(at + 1 + support).astype(np.int64), n)
    places = first + np.arange(int((stop - first).max()))[:, None]
    distance = (places - at) / stretch
    kernel = _cubic(distance, -0.5) if mode == "bicubic" else np.maximum(1 - np.abs(distance), 0)
    weights = np.where(places < stop, kernel, 0.0)
    return np.minimum(places, n - 1), weights / weights.sum(axis=0)


# Pixels and channels ------------------------------------------------------------------------------


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(..., c r^2, h, w) to (..., c, h r, w r): each r^2 channels become r by r pixels.

    Shi et al. 2016, arXiv:1609.05158. Raises RuntimeError if r^2 does not divide the channels.
    """
    r = _positive("pixel_shuffle", "upscale_factor", upscale_factor, input)
    *batch, c, h, w = input.shape
    if c % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={c} is not divisible by {r * r}"
        )
    y = functions.reshape(input, math.prod(batch), c // (r * r), r, r, h, w)
    y = ops.transpose(y, axes=(0, 1, 4, 2, 5, 3))
    return functions.reshape(y, *batch, c // (r * r), h * r, w * r)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(..., c, h r, w r) to (..., c r^2, h, w): the reverse of `pixel_shuffle`."""
    r = _positive("pixel_unshuffle", "downscale_factor", downscale_factor, input)
    *batch, c, h, w = input.shape
    for name, axis, n in (("height", -2, h), ("width", -1, w)):
        if n % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but "
                f"input.size({axis})={n} is not divisible by {r}"
            )
    y = functions.reshape(input, math.prod(batch), c, h // r, r, w // r, r)
    y = ops.transpose(y, axes=(0, 1, 3, 5, 2, 4))
    return functions.reshape(y, *batch, c * r * r, h // r, w // r)


def _positive(name: str, what: str, factor: int, input: Tensor) -> int:
    if input.ndim < 3:
        raise RuntimeError(
            f"{name} expects input to have at least 3 dimensions, but got input with {input.ndim} "
            "dimension(s)"
        )
    if factor <= 0:
        raise RuntimeError(f"{name} expects a positive {what}, but got {factor}")
    return index(factor)


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """The channels of (batch, channels, ...) dealt out: the first of each group, the second...

    Zhang et al. 2018, arXiv:1707.01083.
    """
    if input.ndim < 3:
        raise RuntimeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes "
            f"{list(input.shape)}"
        )
    batch, channels, *image = input.shape
    if groups < 1 or channels % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {channels} channels and {groups} "
            "groups."
        )
    y = functions.reshape(input, batch, groups, channels // groups, *image)
    return functions.reshape(ops.swapaxes(y, 1, 2), *input.shape)


publish(globals(), __all__)


# Layers that change the size of images, as `torch.nn` has them ------------------------------------


class Upsample(Module):
    """Images (batch, channels, *image) in another size; the arguments are those of `interpolate`.

    >>> Upsample(scale_factor=2)(tensor([[[1.0, 2.0]]]))
    tensor([[[1., 1., 2., 2.]]])
    """

    def __init__(
        self, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
        align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.size = size
        if isinstance(scale_factor, (tuple, list)):
            self.scale_factor: Any = tuple(float(factor) for factor in scale_factor)
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        return interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners,
            self.recompute_scale_factor,
        )  # fmt: skip

    def extra_repr(self) -> str:
        if self.scale_factor is not None:
            return f"scale_factor={self.scale_factor!r}, mode={self.mode!r}"
        return f"size={self.size!r}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """`Upsample` of (batch, channels, h, w) to the nearest pixel."""

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """`Upsample` of (batch, channels, h, w), linear along both axes, corners aligned."""

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class PixelShuffle(Shown):
    """(..., c r^2, h, w) to (..., c, h r, w r). Shi et al. 2016, arXiv:1609.05158.

    >>> PixelShuffle(2)(tensor([[[0.0]], [[1.0]], [[2.0]], [[3.0]]]))
    tensor([[[0., 1.],
             [2., 3.]]])
    """

    @settings(pixel_shuffle)
    def __init__(self) -> None: ...


class PixelUnshuffle(Shown):
    """(..., c, h r, w r) to (..., c r^2, h, w): the reverse of `PixelShuffle`."""

    @settings(pixel_unshuffle)
    def __init__(self) -> None: ...


class ChannelShuffle(Shown):
    """The channels of (batch, channels, ...) dealt out by groups. Zhang et al. 2018.

    >>> ChannelShuffle(2)(tensor([[[0.0], [1.0], [2.0], [3.0]]])).flatten()
    tensor([0., 2., 1., 3.])
    """

    @settings(channel_shuffle)
    def __init__(self) -> None: ...
