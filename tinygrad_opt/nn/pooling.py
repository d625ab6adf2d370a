"""Pooling layers, as `torch.nn` has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import functions, ops
from ..arrays.quiet import quiet_cast
from ..arrays.windows import Spans
from ..core.half import widened
from ..core.public import publish
from ..core.tensor import Tensor, wrap_plain
from ..ops.images import Taps
from .module import Module

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d", "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "LPPool1d",
    "LPPool2d", "LPPool3d", "MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d",
    "MaxUnpool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
    "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d", "avg_pool1d", "avg_pool2d",
    "avg_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d", "max_pool1d", "max_pool2d", "max_pool3d",
    "max_unpool1d", "max_unpool2d", "max_unpool3d",
]  # fmt: skip


Sizes = int | Sequence[int]


# Maxima -------------------------------------------------------------------------------------------


def _max_pool(axes: int) -> Any:
    name = f"max_pool{axes}d"

    def max_pool(
        input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
        dilation: Sizes = 1, ceil_mode: bool = False, return_indices: bool = False,
    ) -> Any:  # fmt: skip
        window = _Settings(name, axes, kernel_size, stride, padding, dilation, ceil_mode)
        x = _batched(name, axes, input)
        spans = tuple(window.span(i, n) for i, n in enumerate(x.shape[2:]))
        return _maxima(input, x, spans, return_indices)

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
        x = _batched(name, axes, input, channels=False)
        spans = tuple(map(_adaptive_span, x.shape[2:], _output_sizes(name, output_size, x)))
        return _maxima(input, x, spans, return_indices)

    adaptive_max_pool.__name__ = adaptive_max_pool.__qualname__ = name
    adaptive_max_pool.__doc__ = f"""The maxima of `output_size` windows that cover the image.

    `input` (batch, channels, *image of {axes} axes), batch optional. `output_size`: an int or one
    for each axis, None to keep a size. `return_indices`: the pair (maxima, their places).
    """
    return adaptive_max_pool


def _maxima(input: Tensor, x: Tensor, spans: tuple[Spans, ...], return_indices: bool) -> Any:
    from ..arrays.xp import xp

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
        window = _Settings(name, axes, kernel_size, stride, padding, 1, False, unpool=True)
        x = _batched(name, axes, input, channels=False)
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


# Means --------------------------------------------------------------------------------------------


def avg_pool1d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    ceil_mode: bool = False, count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """The mean of each 1-D window; the arguments are those of `avg_pool2d`."""
    window = _Settings("avg_pool1d", 1, kernel_size, stride, padding, 1, ceil_mode)
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
    window = _Settings("avg_pool2d", 2, kernel_size, stride, padding, 1, ceil_mode)
    return _means(input, window, count_include_pad, divisor_override)


def avg_pool3d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each 3-D window; the arguments are those of `avg_pool2d`."""
    window = _Settings("avg_pool3d", 3, kernel_size, stride, padding, 1, ceil_mode)
    return _means(input, window, count_include_pad, divisor_override)


@widened
def _means(
    input: Tensor, window: _Settings, count_include_pad: bool, divisor: int | None
) -> Tensor:
    if divisor == 0:
        raise RuntimeError(f"{window.name}: divisor must be not zero")
    x = y = _batched(window.name, window.axes, input)
    for i, n in enumerate(x.shape[2:]):
        span = window.span(i, n)
        if divisor is not None:
            count: Any = np.ones(len(span.start))
        elif count_include_pad:
            count = window.padded_counts(i, n)
        else:
            count = span.stop - span.start
        y = ops.resample(y, axis=i + 2, taps=_mean_taps(span, n, count, x.dtype))
    if divisor is not None:
        y = y / divisor
    return y if x is input else y[0]


def _adaptive_avg_pool(axes: int) -> Any:
    name = f"adaptive_avg_pool{axes}d"

    def adaptive_avg_pool(input: Tensor, output_size: Any) -> Tensor:
        x = y = _batched(name, axes, input, channels=False)
        wanted = _output_sizes(name, output_size, x)
        if wanted == (1,) * axes:
            y = ops.mean(x, axis=tuple(range(2, axes + 2)), keepdims=True)
        else:
            for i, (n, out) in enumerate(zip(x.shape[2:], wanted, strict=True)):
                span = _adaptive_span(n, out)
                taps = _mean_taps(span, n, span.stop - span.start, x.dtype)
                y = ops.resample(y, axis=i + 2, taps=taps)
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


# Norms --------------------------------------------------------------------------------------------


def _lp_pool(axes: int) -> Any:
    pool = (avg_pool1d, avg_pool2d, avg_pool3d)[axes - 1]

    def lp_pool(
        input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None,
        ceil_mode: bool = False,
    ) -> Tensor:  # fmt: skip
        cells = math.prod(_sizes(f"lp_pool{axes}d", "kernel_size", kernel_size, axes))
        mean = pool(input**norm_type, kernel_size, stride, 0, ceil_mode)
        return (ops.sign(mean) * functions.relu(ops.abs(mean)) * cells) ** (1 / norm_type)

    lp_pool.__name__ = lp_pool.__qualname__ = f"lp_pool{axes}d"
    lp_pool.__doc__ = "(The sum of x^norm_type over each window)^(1 / norm_type), without padding."
    return widened(lp_pool)


lp_pool1d, lp_pool2d, lp_pool3d = map(_lp_pool, (1, 2, 3))


publish(globals(), __all__)

# Where the windows stand --------------------------------------------------------------------------


class _Settings:
    """The checked arguments of a pooling function."""

    def __init__(
        self, name: str, axes: int, kernel: Sizes, stride: Any, padding: Sizes, dilation: Sizes,
        ceil_mode: bool, unpool: bool = False,
    ) -> None:  # fmt: skip
        self.name, self.axes, self.ceil_mode = name, axes, ceil_mode
        self.kernel = _sizes(name, "kernel_size", kernel, axes)
        given = stride is not None and stride not in ((), [])
        self.stride = _sizes(name, "stride", stride, axes) if given else self.kernel
        self.padding = _sizes(name, "padding", padding, axes)
        self.dilation = _sizes(name, "dilation", dilation, axes)
        if min(self.kernel) < 1:
            raise RuntimeError(
                f"{name}: kernel size should be greater than zero, but got {self.kernel}; stride "
                "should not be zero"
            )
        if min(self.stride) < 1:
            raise RuntimeError(f"{name}: stride should not be zero, got {self.stride}")
        if min(self.dilation) < 1:
            raise RuntimeError(f"{name}: dilation should be greater than zero, got {self.dilation}")
        for p, k, d in zip(self.padding, self.kernel, self.dilation, strict=True):
            if not unpool and not 0 <= p <= ((k - 1) * d + 1) // 2:
                raise RuntimeError(
                    f"{name}: pad should be at most half of effective kernel size, and not "
                    f"negative, but got pad={p}, kernel_size={k} and dilation={d}"
                )

    def _first(self, i: int, n: int) -> Any:
        """Where the windows begin along axis i of length n, padding below 0."""
        k, s, p, d = self.kernel[i], self.stride[i], self.padding[i], self.dilation[i]
        room = n + 2 * p - d * (k - 1) - 1
        count = (-(-room // s) if self.ceil_mode else room // s) + 1
        if self.ceil_mode and (count - 1) * s >= n + p:
            count -= 1  # the last window would begin in the padding
        if count < 1:
            raise RuntimeError(
                f"{self.name}: Given input size: {n} along axis {i} of the image. Calculated "
                f"output size: {count}. Output size is too small"
            )
        return np.arange(count) * s - p

    def span(self, i: int, n: int) -> Spans:
        """The part of each window that lies in the image."""
        first, d = self._first(i, n), self.dilation[i]
        stop = np.minimum(first + (self.kernel[i] - 1) * d + 1, n)
        return Spans(first + np.maximum(-(first // d), 0) * d, stop, d)

    def padded_counts(self, i: int, n: int) -> Any:
        """How many cells each window has, in the image and its padding."""
        first = self._first(i, n)
        return np.minimum(first + self.kernel[i], n + self.padding[i]) - first

    def unpooled(self, small: tuple[int, ...], wanted: Sequence[int] | None) -> tuple[int, ...]:
        usual = tuple(
            (n - 1) * s + k - 2 * p
            for n, s, k, p in zip(small, self.stride, self.kernel, self.padding, strict=True)
        )
        if wanted is None:
            return usual
        sizes = tuple(int(n) for n in wanted)
        if len(sizes) not in (self.axes, self.axes + 2, self.axes + 1):
            raise ValueError(
                f"output_size should be a sequence containing {self.axes} or {self.axes + 2} "
                f"elements, but it has a length of {len(sizes)!r}"
            )
        sizes = sizes[-self.axes :]
        for i, (n, u, s) in enumerate(zip(sizes, usual, self.stride, strict=True)):
            if not u - s < n < u + s:
                raise ValueError(
                    f'invalid output_size "{sizes}" (dim {i} must be between {u - s} and {u + s})'
                )
        return sizes


def _sizes(name: str, what: str, value: Any, axes: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(int(v) for v in value)
    if len(values) not in (1, axes):
        number = ("one int", "two ints", "three ints")[axes - 1]
        raise RuntimeError(
            f"{name}: {what} must either be a single int, or a tuple of {number}, got {values}"
        )
    return values * axes if len(values) == 1 else values


def _batched(name: str, axes: int, input: Tensor, channels: bool = True) -> Tensor:
    """The input with a batch axis. `channels`: whether an image alone must have some, as a batch.

    Only its first axis may be of length 0: in a batch the number of images.
    """
    if input.ndim not in (axes + 1, axes + 2):
        raise RuntimeError(
            f"{name}: Expected {axes + 1}D or {axes + 2}D (batch mode) tensor with optional 0 dim "
            f"batch size for input, but got: {list(input.shape)}; a non-empty {axes + 1}D or "
            f"{axes + 2}D (batch mode) tensor expected for input"
        )
    if 0 in input.shape[-axes - 1 if channels else 1 :]:
        raise RuntimeError(
            f"{name}: Expected {axes + 1}D or {axes + 2}D (batch mode) tensor with optional 0 dim "
            f"batch size: Expected input to have non-zero size for non-batch dimensions, but got:"
            f"{list(input.shape)}"
        )
    return input if input.ndim == axes + 2 else input.unsqueeze(0)


def _output_sizes(name: str, output_size: Any, x: Tensor) -> tuple[int, ...]:
    image = tuple(x.shape[2:])
    values = (output_size,) if output_size is None or isinstance(output_size, int) else output_size
    sizes = tuple(values) * (len(image) if len(values) == 1 else 1)
    if len(sizes) != len(image):
        raise RuntimeError(f"{name}: output_size must be {len(image)} numbers, got {tuple(values)}")
    chosen = tuple(n if m is None else int(m) for m, n in zip(sizes, image, strict=True))
    if min(chosen) < 0:
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received "
            f"{chosen}"
        )
    return chosen


def _adaptive_span(n: int, out: int) -> Spans:
    """Window o runs from floor(o n / out) to ceil((o + 1) n / out)."""
    o = np.arange(out)
    return Spans(o * n // max(out, 1), -(-(o + 1) * n // max(out, 1)), 1)


# Pooling layers, as `torch.nn` has them -----------------------------------------------------------


class _MaxPool(Module):
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

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


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
    Size([1, 8, 14, 14])
    """

    axes = 2


class MaxPool3d(_MaxPool):
    """The maximum of each window of (batch, channels, d, h, w); arguments as `MaxPool2d`.

    >>> MaxPool3d(2)(zeros(1, 8, 4, 4, 4)).shape
    Size([1, 8, 2, 2, 2])
    """

    axes = 3


class _MaxUnpool(Module):
    axes: int

    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> None:
        super().__init__()
        self.kernel_size = self._each(kernel_size)
        self.stride = self._each(kernel_size if stride is None else stride)
        self.padding = self._each(padding)

    def _each(self, value: Sizes) -> Any:
        return (value,) * self.axes if isinstance(value, int) else value

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        unpool = globals()[f"max_unpool{self.axes}d"]
        return unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


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


class AvgPool1d(Module):
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

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


def _single(value: Sizes) -> Any:
    return (value,) if isinstance(value, int) else value


class _AvgPool(Module):
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

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """The mean of each window: (batch, channels, h, w) to (batch, channels, h', w').

    kernel_size, stride (default: the same), padding (with zeros): an int, or one for each axis.
    `ceil_mode`: windows may end beyond the image. `count_include_pad`: whether the padding counts.
    `divisor_override`: divide by this in place of the count.

    >>> AvgPool2d(2)(zeros(1, 8, 28, 28)).shape
    Size([1, 8, 14, 14])
    """

    axes = 2


class AvgPool3d(_AvgPool):
    """The mean of each window of (batch, channels, d, h, w); arguments as `AvgPool2d`.

    >>> AvgPool3d(2)(zeros(1, 8, 4, 4, 4)).shape
    Size([1, 8, 2, 2, 2])
    """

    axes = 3


class _AdaptivePool(Module):
    function: str

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Any:
        return globals()[self.function](input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptivePool):
    """The means of `output_size` windows that cover (batch, channels, length)."""

    function = "adaptive_avg_pool1d"


class AdaptiveAvgPool2d(_AdaptivePool):
    """The means of `output_size` windows that cover the image, whatever its size.

    `output_size`: an int or one for each axis; None keeps a size.

    >>> AdaptiveAvgPool2d((1, None))(zeros(2, 8, 5, 7)).shape
    Size([2, 8, 1, 7])
    """

    function = "adaptive_avg_pool2d"


class AdaptiveAvgPool3d(_AdaptivePool):
    """The means of `output_size` windows that cover (batch, channels, d, h, w)."""

    function = "adaptive_avg_pool3d"


class _AdaptiveMaxPool(_AdaptivePool):
    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
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
    Size([2, 8, 2, 2])
    """

    function = "adaptive_max_pool2d"


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The maxima of `output_size` windows that cover (batch, channels, d, h, w)."""

    function = "adaptive_max_pool3d"


class _LPPool(Module):
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

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


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
