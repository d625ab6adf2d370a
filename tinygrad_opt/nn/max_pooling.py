"""Maxima over windows of images, with what puts them back: functions and layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..arrays.size import WHOLE
from ..arrays.windows import Spans, Window
from ..arrays.xp import xp
from ..core.public import publish
from ..core.tensor import Tensor, wrap_plain
from ..kernels.fused.pooling import NONE
from .pooling_windows import (
    Pooling,
    Settings,
    Sizes,
    adaptive_span,
    even_window,
    output_sizes,
    settings,
    with_batch,
)

__all__ = [
    "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d", "MaxPool1d", "MaxPool2d",
    "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d", "adaptive_max_pool1d",
    "adaptive_max_pool2d", "adaptive_max_pool3d", "max_pool1d", "max_pool2d", "max_pool3d",
    "max_unpool1d", "max_unpool2d", "max_unpool3d",
]  # fmt: skip


def _max_pool(axes: int) -> Any:
    name = f"max_pool{axes}d"

    def max_pool(
        input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
        dilation: Sizes = 1, ceil_mode: bool = False, return_indices: bool = False,
    ) -> Any:  # fmt: skip
        window = settings(name, axes, kernel_size, stride, padding, dilation, ceil_mode)
        x = with_batch(name, axes, input)
        image = x.array.shape[2:]
        at = window.window(image)
        if not return_indices and _is_small(x, at):
            return _largest(input, x, at)
        return _maxima(input, x, tuple(map(window.span, range(axes), image)), return_indices)

    max_pool.__name__ = max_pool.__qualname__ = name
    max_pool.__doc__ = f"""The maximum of each window: (batch, channels, *image), batch optional.

    The {axes}-D window: `kernel_size`, `stride` (default: the same), `padding` (with minus
    infinity, on both sides), `dilation` (from one cell to the next); each an int or one for each
    axis. `ceil_mode`: windows may begin in the image and end beyond it. `return_indices`: the pair
    (maxima, their places in the flat image). The first of equal maxima gets the gradient. A window
    none of whose cells lies in the image has the maximum -inf, the place -1 and no gradient.
    Raises RuntimeError for settings and shapes that do not fit.
    """
    return max_pool


def _adaptive_max_pool(axes: int) -> Any:
    name = f"adaptive_max_pool{axes}d"

    def adaptive_max_pool(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        x = with_batch(name, axes, input, channels=False)
        image, output = tuple(x.shape[2:]), output_sizes(name, output_size, x)
        at = even_window(image, output)
        if not return_indices and at is not None and _is_small(x, at):
            return _largest(input, x, at)
        return _maxima(input, x, tuple(map(adaptive_span, image, output)), return_indices)

    adaptive_max_pool.__name__ = adaptive_max_pool.__qualname__ = name
    adaptive_max_pool.__doc__ = f"""The maxima of `output_size` windows that cover the image.

    `input` (batch, channels, *image of {axes} axes), batch optional. `output_size`: an int or one
    for each axis, None to keep a size. `return_indices`: the pair (maxima, their places).
    """
    return adaptive_max_pool


def _is_small(x: Tensor, at: Window) -> bool:
    """Whether the choice among a window's cells, which are floats, is a byte."""
    return x.dtype.kind == "f" and math.prod(at.kernel) < NONE


def _largest(input: Tensor, x: Tensor, at: Window) -> Tensor:
    y = ops.maxima(x, at=at)
    return y if x is input else y[0]


def _maxima(input: Tensor, x: Tensor, spans: tuple[Spans, ...], return_indices: bool) -> Any:
    place = xp(x.array).window_argmax(x.array, spans)
    y = ops.pick(x, place=place, missing=-math.inf)
    if x is not input:
        y, place = y[0], place[0]
    return (y, wrap_plain(place)) if return_indices else y


max_pool1d, max_pool2d, max_pool3d = map(_max_pool, (1, 2, 3))
adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = map(_adaptive_max_pool, (1, 2, 3))


def _max_unpool(axes: int) -> Any:
    name = f"max_unpool{axes}d"

    def max_unpool(
        input: Tensor, indices: Tensor, kernel_size: Sizes, stride: Sizes | None = None,
        padding: Sizes = 0, output_size: Sequence[int] | None = None,
    ) -> Tensor:  # fmt: skip
        window = Settings(name, axes, kernel_size, stride, padding, 1, False, unpool=True)
        x = with_batch(name, axes, input, channels=False)
        if tuple(indices.shape) != tuple(input.shape):
            raise RuntimeError(
                f"Expected shape of indices to be same as that of the input tensor "
                f"({list(input.shape)}) but got indices tensor with shape: {list(indices.shape)}"
            )
        if indices.dtype != np.int64:
            raise RuntimeError(f"elements in indices should be type int64 but got: {indices.dtype}")
        image = window.unpooled(tuple(x.shape[2:]), output_size)
        place = indices.array.reshape(x.shape)
        if place.size and not 0 <= place.min() <= place.max() < math.prod(image):
            bad = place.min() if place.min() < 0 else place.max()
            raise RuntimeError(
                f"{name}: Found an invalid max index: {int(bad)} (output volumes are of "
                f"size {'x'.join(map(str, image))})"
            )
        y = ops.spread(x, place=place, image=image)
        return y if x is input else y[0]

    max_unpool.__name__ = max_unpool.__qualname__ = name
    max_unpool.__doc__ = f"""The maxima back at their places, zeros elsewhere.

    `input` and `indices`: what `max_pool{axes}d` returned, its other arguments the same.
    `output_size`: which of the sizes that pool to this. What is named twice adds up.
    """
    return max_unpool


max_unpool1d, max_unpool2d, max_unpool3d = map(_max_unpool, (1, 2, 3))


publish(globals(), __all__)


class _MaxPool(Pooling):
    shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    axes: int

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
        dilation: Sizes = 1, return_indices: bool = False, ceil_mode: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        pool = globals()[f"max_pool{self.axes}d"]
        return pool(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
            self.return_indices,
        )  # fmt: skip


class MaxPool1d(_MaxPool):
    """The maximum of each window of (batch, channels, length); arguments as `MaxPool2d`.

    >>> MaxPool1d(2)(tensor([[1.0, 3.0, 2.0, 0.0]]))
    tensor([[3., 2.]])
    """

    axes = 1


class MaxPool2d(_MaxPool):
    """The maximum of each window: (batch, channels, h, w) to (batch, channels, h', w').

    kernel_size, stride (default: the same), padding (with minus infinity), dilation: an int, or
    one for each axis. `return_indices`: also the maxima's places in the flat image. `ceil_mode`:
    windows may end beyond the image.

    >>> MaxPool2d(2)(zeros(1, 8, 28, 28)).shape
    torch.Size([1, 8, 14, 14])
    """

    axes = 2


class MaxPool3d(_MaxPool):
    """The maximum of each window of (batch, channels, d, h, w); arguments as `MaxPool2d`.

    >>> MaxPool3d(2)(zeros(1, 8, 4, 4, 4)).shape
    torch.Size([1, 8, 2, 2, 2])
    """

    axes = 3


class _MaxUnpool(Pooling):
    axes: int

    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> None:
        super().__init__()
        self.kernel_size = self._each(kernel_size)
        self.stride = self._each(kernel_size if stride is None else stride)
        self.padding = self._each(padding)

    def _each(self, value: Sizes) -> Any:
        return (value,) * self.axes if isinstance(value, WHOLE) else value

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        unpool = globals()[f"max_unpool{self.axes}d"]
        return unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool1d(_MaxUnpool):
    """What `MaxPool1d(return_indices=True)` returned, back in its places among zeros."""

    axes = 1


class MaxUnpool2d(_MaxUnpool):
    """What `MaxPool2d(return_indices=True)` returned, back in its places among zeros.

    >>> x = tensor([[[1.0, 2.0], [4.0, 3.0]]])
    >>> MaxUnpool2d(2)(*MaxPool2d(2, return_indices=True)(x))
    tensor([[[0., 0.],
             [4., 0.]]])
    """

    axes = 2


class MaxUnpool3d(_MaxUnpool):
    """What `MaxPool3d(return_indices=True)` returned, back in its places among zeros."""

    axes = 3


class _AdaptiveMaxPool(Pooling):
    shown = ("output_size",)
    function: str

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        return globals()[self.function](input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The maxima of `output_size` windows that cover (batch, channels, length)."""

    function = "adaptive_max_pool1d"


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The maxima of `output_size` windows that cover the image, whatever its size.

    `output_size`: an int or one for each axis; None keeps a size. `return_indices`: also their
    places in the flat image.

    >>> AdaptiveMaxPool2d(2)(zeros(2, 8, 5, 7)).shape
    torch.Size([2, 8, 2, 2])
    """

    function = "adaptive_max_pool2d"


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The maxima of `output_size` windows that cover (batch, channels, d, h, w)."""

    function = "adaptive_max_pool3d"
