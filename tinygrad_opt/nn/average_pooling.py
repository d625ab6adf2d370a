"""Means and norms over windows of images: functions and layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import functions, ops
from ..arrays.quiet import quiet_cast
from ..arrays.size import WHOLE
from ..arrays.windows import Spans, Window
from ..core.half import widened
from ..core.public import publish
from ..core.tensor import Tensor
from ..functions.outputs import OUT
from ..ops.images import Taps
from .pooling_windows import (
    Pooling,
    Settings,
    Sizes,
    adaptive_span,
    even_window,
    output_sizes,
    settings,
    sizes,
    with_batch,
)

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AvgPool1d", "AvgPool2d",
    "AvgPool3d", "LPPool1d", "LPPool2d", "LPPool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
    "adaptive_avg_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "lp_pool1d", "lp_pool2d",
    "lp_pool3d",
]  # fmt: skip


def avg_pool1d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    ceil_mode: bool = False, count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """The mean of each 1-D window; the arguments are those of `avg_pool2d`."""
    window = settings("avg_pool1d", 1, kernel_size, stride, padding, 1, ceil_mode)
    return _means(input, window, count_include_pad, None)


def avg_pool2d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window: (batch, channels, height, width), batch optional.

    `kernel_size`, `stride` (default: the same), `padding` (zeros on both sides): an int or one for
    each axis. `ceil_mode`: windows may begin in the image and end beyond it. `count_include_pad`:
    whether the padding counts. `divisor_override`: divide by this in place of the count.
    Raises RuntimeError for settings and shapes that do not fit.
    """
    window = settings("avg_pool2d", 2, kernel_size, stride, padding, 1, ceil_mode)
    return _means(input, window, count_include_pad, divisor_override)


def avg_pool3d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each 3-D window; the arguments are those of `avg_pool2d`."""
    window = settings("avg_pool3d", 3, kernel_size, stride, padding, 1, ceil_mode)
    return _means(input, window, count_include_pad, divisor_override)


@widened
def _means(input: Tensor, window: Settings, count_include_pad: bool, divisor: int | None) -> Tensor:
    if divisor == 0:
        raise RuntimeError(f"{window.name}: divisor must be not zero")
    x = with_batch(window.name, window.axes, input)
    image, axes = x.array.shape[2:], range(window.axes)
    at = window.window(image)
    if divisor is not None:
        counts = [np.ones(n) for n in at.output]
    else:
        count = window.padded_counts if count_include_pad else window.counts
        counts = list(map(count, axes, image))
    if is_small(x, at):
        y = ops.means(x, at=at, weights=tuple(tuple((1 / c).tolist()) for c in counts))
    else:
        y = _along_axes(x, [window.span(i, n) for i, n in enumerate(image)], counts)
    if divisor is not None:
        y = y / divisor
    return y if x is input else y[0]


def is_small(x: Tensor, at: Window) -> bool:
    """Whether to add up whole windows of floats, not axis by axis."""
    return x.dtype.kind == "f" and math.prod(at.kernel) <= 64


def _along_axes(x: Tensor, spans: Sequence[Spans], counts: Sequence[Any]) -> Tensor:
    for i, (span, count) in enumerate(zip(spans, counts, strict=True)):
        taps = _mean_taps(span, x.shape[i + 2], count, x.dtype)
        x = ops.resample(x, axis=i + 2, taps=taps)
    return x


def _adaptive_avg_pool(axes: int) -> Any:
    name = f"adaptive_avg_pool{axes}d"

    def adaptive_avg_pool(input: Tensor, output_size: Any) -> Tensor:
        x = with_batch(name, axes, input, channels=False)
        image, wanted = tuple(x.shape[2:]), output_sizes(name, output_size, x)
        at = even_window(image, wanted)
        if wanted == (1,) * axes:
            y = ops.mean(x, axis=tuple(range(2, axes + 2)), keepdims=True)
        elif at is not None and is_small(x, at):
            weights = tuple((1 / k,) * o for k, o in zip(at.kernel, wanted, strict=True))
            y = ops.means(x, at=at, weights=weights)
        else:
            spans = list(map(adaptive_span, image, wanted))
            y = _along_axes(x, spans, [span.stop - span.start for span in spans])
        return y if x is input else y[0]

    adaptive_avg_pool.__name__ = adaptive_avg_pool.__qualname__ = name
    adaptive_avg_pool.__doc__ = f"""The means of `output_size` windows that cover the image.

    `input` (batch, channels, *image of {axes} axes), batch optional. `output_size`: an int or one
    for each axis, None to keep a size.
    """
    return widened(adaptive_avg_pool)


adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = map(_adaptive_avg_pool, (1, 2, 3))


def _mean_taps(span: Spans, n: int, count: Any, dtype: Any) -> Taps:
    """The sum over each span, divided by `count`."""
    width = int((span.stop - span.start).max(initial=1))
    outputs = len(span.start)
    steps = np.diff(span.start)
    regular = (steps == (steps[0] if outputs > 1 else 1)).all()
    if regular and (span.stop - span.start == width).all() and outputs and (steps > 0).all():
        step = int(steps[0]) if outputs > 1 else 1
        first = int(span.start[0])
        places = tuple(
            slice(first + t, first + t + (outputs - 1) * step + 1, step) for t in range(width)
        )
        same = (count == count[0]).all()
        weight = 1 / float(count[0]) if same else (1 / count).astype(dtype)
        return Taps(places, (weight,) * width)
    grid = np.minimum(span.start + np.arange(width)[:, None], np.maximum(span.stop - 1, 0))
    inside = span.start + np.arange(width)[:, None] < span.stop
    return taps_of(grid, inside / count, n, dtype)


def taps_of(places: Any, weights: Any, n: int, dtype: Any) -> Taps:
    """The taps for arrays (taps, outputs), on an axis of length n."""
    matrix = np.zeros((places.shape[1], n))
    np.add.at(matrix, (np.arange(places.shape[1])[None], places), weights)
    return Taps(tuple(places), tuple(quiet_cast(weights, dtype)), quiet_cast(matrix, dtype))


def _lp_pool(axes: int) -> Any:
    pool = (avg_pool1d, avg_pool2d, avg_pool3d)[axes - 1]

    def lp_pool(
        input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None,
        ceil_mode: bool = False,
    ) -> Tensor:  # fmt: skip
        cells = math.prod(sizes(f"lp_pool{axes}d", "kernel_size", kernel_size, axes))
        mean = pool(input**norm_type, kernel_size, stride, 0, ceil_mode)
        return (ops.sign(mean) * functions.relu(ops.abs(mean)) * cells) ** (1 / norm_type)

    lp_pool.__name__ = lp_pool.__qualname__ = f"lp_pool{axes}d"
    lp_pool.__doc__ = "(The sum of x^norm_type over each window)^(1 / norm_type), without padding."
    return widened(lp_pool)


lp_pool1d, lp_pool2d, lp_pool3d = map(_lp_pool, (1, 2, 3))


publish(globals(), __all__, out=OUT["nn.functional"])


class AvgPool1d(Pooling):
    """The mean of each window of (batch, channels, length); arguments as `AvgPool2d`.

    >>> AvgPool1d(2)(tensor([[1.0, 3.0, 2.0, 0.0]]))
    tensor([[2., 1.]])
    """

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
        ceil_mode: bool = False, count_include_pad: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = _single(kernel_size)
        self.stride = _single(kernel_size if stride is None else stride)
        self.padding = _single(padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return avg_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
            self.count_include_pad,
        )  # fmt: skip


def _single(value: Sizes) -> Any:
    return (value,) if isinstance(value, WHOLE) else value


class _AvgPool(Pooling):
    axes: int

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
        ceil_mode: bool = False, count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        pool = globals()[f"avg_pool{self.axes}d"]
        return pool(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
            self.count_include_pad, self.divisor_override,
        )  # fmt: skip


class AvgPool2d(_AvgPool):
    """The mean of each window: (batch, channels, h, w) to (batch, channels, h', w').

    kernel_size, stride (default: the same), padding (with zeros): an int, or one for each axis.
    `ceil_mode`: windows may end beyond the image. `count_include_pad`: whether the padding counts.
    `divisor_override`: divide by this in place of the count.

    >>> AvgPool2d(2)(zeros(1, 8, 28, 28)).shape
    torch.Size([1, 8, 14, 14])
    """

    axes = 2


class AvgPool3d(_AvgPool):
    """The mean of each window of (batch, channels, d, h, w); arguments as `AvgPool2d`.

    >>> AvgPool3d(2)(zeros(1, 8, 4, 4, 4)).shape
    torch.Size([1, 8, 2, 2, 2])
    """

    axes = 3


class _AdaptivePool(Pooling):
    shown = ("output_size",)
    function: str

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Any:
        return globals()[self.function](input, self.output_size)


class AdaptiveAvgPool1d(_AdaptivePool):
    """The means of `output_size` windows that cover (batch, channels, length)."""

    function = "adaptive_avg_pool1d"


class AdaptiveAvgPool2d(_AdaptivePool):
    """The means of `output_size` windows that cover the image, whatever its size.

    `output_size`: an int or one for each axis; None keeps a size.

    >>> AdaptiveAvgPool2d((1, None))(zeros(2, 8, 5, 7)).shape
    torch.Size([2, 8, 1, 7])
    """

    function = "adaptive_avg_pool2d"


class AdaptiveAvgPool3d(_AdaptivePool):
    """The means of `output_size` windows that cover (batch, channels, d, h, w)."""

    function = "adaptive_avg_pool3d"


class _LPPool(Pooling):
    shown = ("norm_type", "kernel_size", "stride", "ceil_mode")
    axes: int

    def __init__(
        self, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None,
        ceil_mode: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        pool = globals()[f"lp_pool{self.axes}d"]
        return pool(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )  # fmt: skip


class LPPool1d(_LPPool):
    """(The sum of x^norm_type over each window)^(1 / norm_type), of (batch, channels, length)."""

    axes = 1


class LPPool2d(_LPPool):
    """(The sum of x^norm_type over each window)^(1 / norm_type), of (batch, channels, h, w).

    >>> LPPool2d(2, 2)(zeros(1, 1, 2, 2) + 1)
    tensor([[[[2.]]]])
    """

    axes = 2


class LPPool3d(_LPPool):
    """(The sum of x^norm_type over each window)^(1 / norm_type), of (batch, channels, d, h, w)."""

    axes = 3
