"""Convolutions as functions and layers. Their transposes are in `conv_transpose`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from .. import ops
from ..arrays.dtypes import name_of
from ..arrays.size import WHOLE, fixed
from ..arrays.windows import Window
from ..core.public import publish
from ..core.tensor import Tensor
from ..functions.padding import pad
from ..tensors import creation
from . import init
from .module import Module
from .parameter import Parameter, new_weight

__all__ = ["Conv1d", "Conv2d", "Conv3d", "conv1d", "conv2d", "conv3d"]

Sizes = int | Sequence[int]
Padding = Sizes | str


def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1,
    padding: Padding = 0, dilation: Sizes = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The 1-D convolution of `input` (batch, in, length) with `weight` (out, in / groups, k).

    The arguments and errors are those of `conv2d`, with one axis.
    """
    return _convolve(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1,
    padding: Padding = 0, dilation: Sizes = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """y[n, o, p] = bias[o] + sum over channel c and tap t of weight[o, c, t] input[n, c, p + t].

    `input` (batch, in, height, width), or without the batch axis; `weight` (out, in / groups, kh,
    kw); `bias` (out,) or None. `padding`: zeros added on both sides, or "valid" (none), or "same"
    (as many as keep the size; an odd one goes after the image). `stride`: from one position to the
    next; `dilation`: from one tap to the next; each an int or one for each axis. `groups`: blocks
    of channels that do not see one another.
    Raises RuntimeError for shapes and settings that do not fit.
    """
    return _convolve(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1,
    padding: Padding = 0, dilation: Sizes = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The 3-D convolution of `input` (batch, in, d, h, w) with `weight` (out, in / groups, k...).

    The arguments and errors are those of `conv2d`, with three axes.
    """
    return _convolve(3, input, weight, bias, stride, padding, dilation, groups)


def _convolve(
    axes: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Sizes, padding: Padding,
    dilation: Sizes, groups: int,
) -> Tensor:  # fmt: skip
    shape = weight.array.shape
    kernel = shape[2:]
    given = map(fixed, (stride, padding, dilation))
    steps, spread, low, high = _settings(axes, kernel, *given, groups)
    batched = with_batch(f"conv{axes}d", axes, input)
    channels = shape[1] * groups if len(shape) > 1 else 0
    check_weight(weight, axes, groups, f"groups={groups}", batched, channels)
    check_bias_and_types(input, weight, bias, shape[0])
    image = batched.array.shape[2:]
    at = _window(image, kernel, steps, low, high, spread, groups)
    y = ops.convolve(batched, weight, bias, at=at)
    return y if batched is input else y[0]


@lru_cache(maxsize=256, typed=True)  # 2.0 is no stride, though it equals one
def _settings(
    axes: int, kernel: tuple[int, ...], stride: Sizes, padding: Padding, dilation: Sizes,
    groups: int,
) -> tuple[tuple[int, ...], ...]:  # fmt: skip
    """Stride, dilation, and the padding before and after, axis by axis."""
    steps, spread = steps_and_spread(axes, stride, dilation, groups)
    return steps, spread, *paddings(axes, padding, kernel, steps, spread)


@lru_cache(maxsize=256)
def _window(
    image: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...],
    low: tuple[int, ...], high: tuple[int, ...], dilation: tuple[int, ...], groups: int,
) -> Window:  # fmt: skip
    """The windows on an image: those of a layer are the same at each step."""
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    padded = [n + a + b for n, a, b in zip(image, low, high, strict=True)]
    if any(n < r for n, r in zip(padded, reach, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({by(padded)}). Kernel size: "
            f"({by(reach)}). Kernel size can't be greater than actual input size"
        )
    output = tuple((n - r) // s + 1 for n, r, s in zip(padded, reach, stride, strict=True))
    return Window(image, kernel, output, stride, low, dilation, groups)


# Checks -------------------------------------------------------------------------------------------


def sizes(name: str, value: Sizes, axes: int) -> tuple[int, ...]:
    """One number for each axis, from an int or a sequence."""
    values = (int(value),) if isinstance(value, WHOLE) else tuple(int(v) for v in value)
    if len(values) not in (1, axes):
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {axes} values to match the "
            f"convolution dimensions, but got {name}={list(values)}"
        )
    return values * axes if len(values) == 1 else values


def steps_and_spread(axes: int, stride: Sizes, dilation: Sizes, groups: int) -> Any:
    steps, spread = sizes("stride", stride, axes), sizes("dilation", dilation, axes)
    for name, values in (("stride", steps), ("dilation", spread), ("groups", (groups,))):
        if min(values) < 1:
            raise RuntimeError(f"non-positive {name} is not supported, got {values}")
    return steps, spread


def paddings(axes: int, padding: Padding, kernel: Any, stride: Any, dilation: Any) -> Any:
    """The zeros before and after the image, axis by axis."""
    if padding == "valid":
        padding = 0
    if padding == "same":
        if max(stride) > 1:
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=False)]
        return tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
    if isinstance(padding, str):
        raise RuntimeError(f"Invalid padding string: '{padding}'; there are 'same' and 'valid'")
    both = sizes("padding", padding, axes)
    if min(both) < 0:
        raise RuntimeError(f"negative padding is not supported, got {both}")
    return both, both


def with_batch(name: str, axes: int, input: Tensor) -> Tensor:
    if input.ndim == axes + 2:
        return input
    if input.ndim == axes + 1:
        return input.unsqueeze(0)
    raise RuntimeError(
        f"Expected {axes + 1}D (unbatched) or {axes + 2}D (batched) input to {name}, but got input "
        f"of size: {list(input.shape)}"
    )


def check_weight(
    weight: Tensor, axes: int, groups: int, given: str, batched: Tensor, channels: int
) -> None:
    shape, images = list(weight.array.shape), batched.array.shape
    if len(shape) != axes + 2:
        raise RuntimeError(
            f"expected a weight of {axes + 2} dimensions to match the convolution dimensions, but "
            f"got weight of size {shape}"
        )
    if shape[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size {shape} instead"
        )
    if images[1] != channels:
        raise RuntimeError(
            f"Given {given}, weight of size {shape}, expected input{list(images)} to have "
            f"{channels} channels, but got {images[1]} channels instead"
        )


def check_bias_and_types(input: Tensor, weight: Tensor, bias: Tensor | None, out: int) -> None:
    if bias is not None and bias.array.shape != (out,):
        raise RuntimeError(
            f"Given weight of size {list(weight.shape)}, expected bias to be 1-dimensional with "
            f"{out} elements, but got bias of size {list(bias.shape)} instead"
        )
    for name, other in (("weight", weight), ("bias", bias)):
        if other is not None and other.array.dtype != input.array.dtype:
            a, b = name_of(input.dtype), name_of(other.dtype)
            raise RuntimeError(
                f"Input type ({a.lower()}) and {name} type ({b.lower()}) should be the same: "
                f"expected scalar type {a} but found {b}"
            )


def by(sizes: Any) -> str:
    return " x ".join(map(str, sizes))


publish(globals(), __all__)


# Layers -------------------------------------------------------------------------------------------


_MODES = ("zeros", "reflect", "replicate", "circular")


def _each_axis(value: Any, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, WHOLE) else tuple(value)


class Convolution(Module):
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
        sizes = shape[0], shape[1] // groups, *self.kernel_size
        self.weight = new_weight(*sizes, device=device, dtype=dtype)
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


class _Conv(Convolution):
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
        function = globals()[f"conv{self.axes}d"]
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
    torch.Size([2, 8, 5, 5])
    """

    axes = 2


class Conv3d(_Conv):
    """A 3-D convolution: (batch, in_channels, d, h, w) to (batch, out_channels, d', h', w').

    The arguments are those of `Conv2d`, with three axes.

    >>> Conv3d(1, 2, 3)(zeros(2, 1, 5, 5, 5)).shape
    torch.Size([2, 2, 3, 3, 3])
    """

    axes = 3
