"""Pooling layers, as `torch.nn` has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._tensor import Tensor
from . import downsampling
from .module import Module

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d", "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "LPPool1d",
    "LPPool2d", "LPPool3d", "MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d",
    "MaxUnpool3d",
]  # fmt: skip

Sizes = int | Sequence[int]


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
        pool = getattr(downsampling, f"max_pool{self.axes}d")
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
        unpool = getattr(downsampling, f"max_unpool{self.axes}d")
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
        return downsampling.avg_pool1d(
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
        pool = getattr(downsampling, f"avg_pool{self.axes}d")
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
        return getattr(downsampling, self.function)(input, self.output_size)

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
        return getattr(downsampling, self.function)(input, self.output_size, self.return_indices)


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
        pool = getattr(downsampling, f"lp_pool{self.axes}d")
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
