"""Convolutional layers, as `torch.nn` has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import creation
from .._tensor import Tensor
from ..functions.padding import pad
from . import convolution, init
from .module import Module
from .parameter import Parameter

__all__ = [
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Fold",
    "Unfold",
]  # fmt: skip

Sizes = int | Sequence[int]
_MODES = ("zeros", "reflect", "replicate", "circular")


def _each_axis(value: Any, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


class _Convolution(Module):
    """Settings, parameters and text of all six layers."""

    weight: Parameter
    bias: Parameter | None
    axes: int
    transposed = False

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes,
        padding: Sizes | str, dilation: Sizes, groups: int, bias: bool, padding_mode: str,
        output_padding: Sizes, device: Any, dtype: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _each_axis(kernel_size, self.axes)
        self.stride = _each_axis(stride, self.axes)
        self.padding = padding if isinstance(padding, str) else _each_axis(padding, self.axes)
        self.dilation = _each_axis(dilation, self.axes)
        self.output_padding = _each_axis(output_padding, self.axes)
        self.groups = groups
        self.padding_mode = padding_mode
        self._check()
        shape = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = Parameter(
            creation.empty(
                shape[0], shape[1] // groups, *self.kernel_size, device=device, dtype=dtype
            )
        )
        if bias:
            self.bias = Parameter(creation.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _check(self) -> None:
        if self.groups <= 0:
            raise ValueError(f"groups must be a positive integer, got {self.groups}")
        if self.in_channels % self.groups:
            raise ValueError(
                f"in_channels must be divisible by groups, got {self.in_channels} and {self.groups}"
            )
        if self.out_channels % self.groups:
            raise ValueError(
                f"out_channels must be divisible by groups, got {self.out_channels} and "
                f"{self.groups}"
            )
        if isinstance(self.padding, str):
            if self.padding not in ("valid", "same"):
                raise ValueError(
                    f"Invalid padding string {self.padding!r}, should be one of 'valid', 'same'"
                )
            if self.padding == "same" and max(self.stride) > 1:
                raise ValueError("padding='same' is not supported for strided convolutions")
        if self.padding_mode not in _MODES:
            raise ValueError(
                f"padding_mode must be one of {_MODES}, but got padding_mode={self.padding_mode!r}"
            )
        if self.transposed and self.padding_mode != "zeros":
            raise ValueError(
                f'Only "zeros" padding mode is supported for {type(self).__name__}, got '
                f"{self.padding_mode!r}"
            )

    def reset_parameters(self) -> None:
        """Draws weight and bias anew from the default generator: uniform on +-1/sqrt(fan-in)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan_in = self.weight.shape[1] * math.prod(self.kernel_size)
        if self.bias is not None and fan_in > 0:
            bound = 1 / math.sqrt(fan_in)
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        """The settings, but for those left at their defaults."""
        text = [
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        ]
        for name, default in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            if getattr(self, name) != (default,) * self.axes:
                text.append(f"{name}={getattr(self, name)}")
        if self.groups != 1:
            text.append(f"groups={self.groups}")
        if self.bias is None:
            text.append("bias=False")
        if self.padding_mode != "zeros":
            text.append(f"padding_mode={self.padding_mode}")
        return ", ".join(text)


class _Conv(_Convolution):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1,
        padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1, bias: bool = True,
        padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            padding_mode, 0, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input, padding = pad(input, self._both_sides(), mode=self.padding_mode), 0
        function = getattr(convolution, f"conv{self.axes}d")
        return function(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )

    def _both_sides(self) -> list[int]:
        """The padding before and after, from the last axis to the first, as `pad` takes it."""
        sides: list[int] = []
        for i in reversed(range(self.axes)):
            if isinstance(self.padding, str):
                total = self.dilation[i] * (self.kernel_size[i] - 1) * (self.padding == "same")
                sides += [total // 2, total - total // 2]
            else:
                sides += [self.padding[i]] * 2
        return sides


class Conv1d(_Conv):
    """A 1-D convolution: (batch, in_channels, length) to (batch, out_channels, length').

    The arguments are those of `Conv2d`, with one axis.

    >>> Conv1d(16, 33, 3, stride=2)
    Conv1d(16, 33, kernel_size=(3,), stride=(2,))
    """

    axes = 1


class Conv2d(_Conv):
    """A 2-D convolution: (batch, in_channels, h, w) to (batch, out_channels, h', w').

    kernel_size, stride, dilation   an int, or one for each axis
    padding        zeros on both sides; or "same", which keeps the size; or "valid", none
    groups         blocks of channels that do not see one another
    padding_mode   what is added: "zeros", "reflect", "replicate" or "circular"

    A side n becomes floor((n + 2 padding - dilation (k - 1) - 1) / stride) + 1. weight
    (out_channels, in_channels / groups, kh, kw) and bias (out_channels,) start uniform on
    +-1/sqrt(in_channels / groups kh kw).

    >>> Conv2d(1, 8, 3, padding=1)(zeros(2, 1, 5, 5)).shape
    Size([2, 8, 5, 5])
    """

    axes = 2


class Conv3d(_Conv):
    """A 3-D convolution: (batch, in_channels, d, h, w) to (batch, out_channels, d', h', w').

    The arguments are those of `Conv2d`, with three axes.

    >>> Conv3d(1, 2, 3)(zeros(2, 1, 5, 5, 5)).shape
    Size([2, 2, 3, 3, 3])
    """

    axes = 3


class _ConvTranspose(_Convolution):
    transposed = True
    padding: tuple[int, ...]

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1,
        padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, bias: bool = True,
        dilation: Sizes = 1, padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            padding_mode, output_padding, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """`output_size`: which of the sizes that a stride > 1 leaves open."""
        extra = self.output_padding
        if output_size is not None:
            extra = self._extra(input, list(output_size))
        function = getattr(convolution, f"conv_transpose{self.axes}d")
        return function(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups,
            self.dilation,
        )  # fmt: skip

    def _extra(self, input: Tensor, wanted: list[int]) -> tuple[int, ...]:
        if len(wanted) not in (self.axes, input.ndim):
            raise ValueError(
                f"{type(self).__name__}: for {input.ndim}D input, output_size must have "
                f"{self.axes} or {input.ndim} elements (got {len(wanted)})"
            )
        wanted = wanted[-self.axes :]
        sides = list(input.shape[-self.axes :])
        least = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                sides, self.stride, self.padding, self.dilation, self.kernel_size, strict=True
            )
        ]
        most = [n + s - 1 for n, s in zip(least, self.stride, strict=True)]
        if any(not a <= n <= b for a, n, b in zip(least, wanted, most, strict=True)):
            raise ValueError(
                f"requested an output size of {tuple(wanted)}, but valid sizes range from {least} "
                f"to {most} (for an input of {sides})"
            )
        return tuple(n - a for n, a in zip(wanted, least, strict=True))


class ConvTranspose1d(_ConvTranspose):
    """The transpose of `Conv1d`: (batch, in_channels, length) to (batch, out_channels, length').

    The arguments are those of `ConvTranspose2d`, with one axis.

    >>> ConvTranspose1d(2, 3, 4, stride=2, padding=1)(zeros(5, 2, 7)).shape
    Size([5, 3, 14])
    """

    axes = 1


class ConvTranspose2d(_ConvTranspose):
    """The transpose of `Conv2d`, which enlarges images: (batch, in, h, w) to (batch, out, h', w').

    A side n becomes (n - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1. weight:
    (in_channels, out_channels / groups, kh, kw).

    >>> ConvTranspose2d(2, 3, 4, stride=2, padding=1)(zeros(5, 2, 7, 7)).shape
    Size([5, 3, 14, 14])
    """

    axes = 2


class ConvTranspose3d(_ConvTranspose):
    """The transpose of `Conv3d`: (batch, in, d, h, w) to (batch, out, d', h', w').

    The arguments are those of `ConvTranspose2d`, with three axes.

    >>> ConvTranspose3d(2, 3, 2, stride=2)(zeros(5, 2, 3, 3, 3)).shape
    Size([5, 3, 6, 6, 6])
    """

    axes = 3


class Unfold(Module):
    """The patches under a sliding window: (batch, c, h, w) to (batch, c kh kw, positions).

    >>> Unfold(2)(zeros(1, 3, 4, 4)).shape
    Size([1, 12, 9])
    """

    def __init__(
        self, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        return convolution.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
            f"stride={self.stride}"
        )


class Fold(Unfold):
    """The transpose of `Unfold`: patches (batch, c kh kw, positions) added up to images.

    >>> Fold((4, 4), 2)(zeros(1, 12, 9)).shape
    Size([1, 3, 4, 4])
    """

    def __init__(
        self, output_size: Sizes, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0,
        stride: Sizes = 1,
    ) -> None:  # fmt: skip
        super().__init__(kernel_size, dilation, padding, stride)
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return convolution.fold(
            input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride
        )

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, {super().extra_repr()}"
