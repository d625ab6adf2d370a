"""Convolutional layers, as `torch.nn` has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import ops
from ..arrays.dtypes import name_of
from ..arrays.windows import Window
from ..core.half import widened
from ..core.public import publish
from ..core.tensor import Tensor
from ..functions.padding import pad
from ..tensors import creation
from . import init
from .module import Module
from .parameter import Parameter

__all__ = [
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Fold",
    "Unfold", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d", "fold", "unfold",
]  # fmt: skip


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


def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1,
    padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `conv1d`; see `conv_transpose2d`."""
    return _transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1,
    padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `conv2d`: its gradient for an input, as a layer that enlarges images.

    `input` (batch, in, height, width), or without the batch axis; `weight` (in, out / groups, kh,
    kw). A side n becomes (n - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1.
    Raises RuntimeError for shapes and settings that do not fit.
    """
    return _transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1,
    padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `conv3d`; see `conv_transpose2d`."""
    return _transpose(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def _convolve(
    axes: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Sizes, padding: Padding,
    dilation: Sizes, groups: int,
) -> Tensor:  # fmt: skip
    name = f"conv{axes}d"
    shape, kernel = tuple(weight.shape), tuple(weight.shape[2:])
    steps, spread = _settings(axes, stride, dilation, groups)
    low, high = _paddings(axes, padding, kernel, steps, spread)
    batched = _batched(name, axes, input)
    _check_weight(weight, axes, groups, f"groups={groups}", batched, shape[1] * groups)
    _check_bias_and_types(input, weight, bias, shape[0])
    image = tuple(batched.shape[2:])
    reach = [d * (k - 1) + 1 for d, k in zip(spread, kernel, strict=True)]
    padded = [n + a + b for n, a, b in zip(image, low, high, strict=True)]
    if any(n < r for n, r in zip(padded, reach, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({_by(padded)}). Kernel size: "
            f"({_by(reach)}). Kernel size can't be greater than actual input size"
        )
    output = tuple((n - r) // s + 1 for n, r, s in zip(padded, reach, steps, strict=True))
    at = Window(image, kernel, output, steps, low, spread, groups)
    y = ops.convolve(batched, weight, bias, at=at)
    return y if batched is input else y[0]


@widened
def _transpose(
    axes: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Sizes, padding: Sizes,
    output_padding: Sizes, groups: int, dilation: Sizes,
) -> Tensor:  # fmt: skip
    shape, kernel = tuple(weight.shape), tuple(weight.shape[2:])
    steps, spread = _settings(axes, stride, dilation, groups)
    low, _ = _paddings(axes, padding, kernel, steps, spread)
    extra = _sizes("output_padding", output_padding, axes)
    batched = _batched(f"conv_transpose{axes}d", axes, input)
    _check_weight(weight, axes, groups, "transposed=1", batched, shape[0])
    _check_bias_and_types(input, weight, bias, shape[1] * groups)
    if any(e >= max(s, d) for e, s, d in zip(extra, steps, spread, strict=True)):
        raise RuntimeError(
            "output padding must be smaller than either stride or dilation, but got "
            f"output_padding={extra}, stride={steps}, dilation={spread}"
        )
    small = tuple(batched.shape[2:])
    image = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(small, steps, low, spread, kernel, extra, strict=True)
    )
    if min(image) < 1:
        raise RuntimeError(
            f"Given input size per channel: ({_by(small)}). Calculated output size per channel: "
            f"({_by(image)}). Output size is too small"
        )
    at = Window(image, kernel, small, steps, low, spread, groups)
    y = ops.convolve_input(batched, weight, at=at)
    if bias is not None:
        y = y + bias.reshape(-1, *(1,) * axes)
    return y if batched is input else y[0]


# Checks -------------------------------------------------------------------------------------------


def _sizes(name: str, value: Sizes, axes: int) -> tuple[int, ...]:
    """One number for each axis, from an int or a sequence."""
    values = (value,) if isinstance(value, int) else tuple(int(v) for v in value)
    if len(values) not in (1, axes):
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {axes} values to match the "
            f"convolution dimensions, but got {name}={list(values)}"
        )
    return values * axes if len(values) == 1 else values


def _settings(axes: int, stride: Sizes, dilation: Sizes, groups: int) -> Any:
    steps, spread = _sizes("stride", stride, axes), _sizes("dilation", dilation, axes)
    for name, values in (("stride", steps), ("dilation", spread), ("groups", (groups,))):
        if min(values) < 1:
            raise RuntimeError(f"non-positive {name} is not supported, got {values}")
    return steps, spread


def _paddings(axes: int, padding: Padding, kernel: Any, stride: Any, dilation: Any) -> Any:
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
    both = _sizes("padding", padding, axes)
    if min(both) < 0:
        raise RuntimeError(f"negative padding is not supported, got {both}")
    return both, both


def _batched(name: str, axes: int, input: Tensor) -> Tensor:
    if input.ndim == axes + 2:
        return input
    if input.ndim == axes + 1:
        return input.unsqueeze(0)
    raise RuntimeError(
        f"Expected {axes + 1}D (unbatched) or {axes + 2}D (batched) input to {name}, but got input "
        f"of size: {list(input.shape)}"
    )


def _check_weight(
    weight: Tensor, axes: int, groups: int, given: str, batched: Tensor, channels: int
) -> None:
    shape = list(weight.shape)
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
    if batched.shape[1] != channels:
        raise RuntimeError(
            f"Given {given}, weight of size {shape}, expected input{list(batched.shape)} to have "
            f"{channels} channels, but got {batched.shape[1]} channels instead"
        )


def _check_bias_and_types(input: Tensor, weight: Tensor, bias: Tensor | None, out: int) -> None:
    if bias is not None and tuple(bias.shape) != (out,):
        raise RuntimeError(
            f"Given weight of size {list(weight.shape)}, expected bias to be 1-dimensional with "
            f"{out} elements, but got bias of size {list(bias.shape)} instead"
        )
    for name, other in (("weight", weight), ("bias", bias)):
        if other is not None and other.dtype != input.dtype:
            a, b = name_of(input.dtype), name_of(other.dtype)
            raise RuntimeError(
                f"Input type ({a.lower()}) and {name} type ({b.lower()}) should be the same: "
                f"expected scalar type {a} but found {b}"
            )


def _by(sizes: Any) -> str:
    return " x ".join(map(str, sizes))


# Patches ------------------------------------------------------------------------------------------


def unfold(
    input: Tensor, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
) -> Tensor:
    """The patches under a sliding window, as columns: (batch, channels kh kw, positions).

    `input` (batch, channels, height, width), or without the batch axis.
    Raises RuntimeError for another number of axes, and for windows that do not fit in.
    """
    if input.ndim not in (3, 4):
        raise RuntimeError(
            "unfold: Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other "
            f"non-zero dimensions for input, but got: {list(input.shape)}"
        )
    x = input if input.ndim == 4 else input.unsqueeze(0)
    at = _patches("unfold", tuple(x.shape[2:]), kernel_size, dilation, padding, stride)
    y = ops.columns(x, at=at)
    rows = x.shape[1] * math.prod(at.kernel)
    return y.reshape(*([len(x)] if x is input else []), rows, math.prod(at.output))


def fold(
    input: Tensor, output_size: Sizes, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0,
    stride: Sizes = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `unfold`: columns (batch, channels kh kw, positions) added up to images.

    Raises RuntimeError if the columns are not those of images of `output_size`.
    """
    if input.ndim not in (2, 3):
        raise RuntimeError(
            "fold: Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and "
            f"non-zero dimensions for input, but got: {list(input.shape)}"
        )
    x = input if input.ndim == 3 else input.unsqueeze(0)
    image = _sizes("output_size", output_size, 2)
    at = _patches("fold", image, kernel_size, dilation, padding, stride)
    taps, positions = math.prod(at.kernel), math.prod(at.output)
    if x.shape[1] % taps:
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, "
            f"but got input.size(1)={x.shape[1]} and kernel_size={at.kernel}"
        )
    if x.shape[2] != positions:
        raise RuntimeError(
            f"Given output_size={image}, kernel_size={at.kernel}, dilation={at.dilation}, "
            f"padding={at.low}, stride={at.stride}, expected size of input's dimension 2 to match "
            f"the calculated number of sliding blocks {_by(at.output)} = {positions}, but got "
            f"input.size(2)={x.shape[2]}"
        )
    y = ops.uncolumns(x.reshape(len(x), x.shape[1] // taps, taps, *at.output), at=at)
    return y if x is input else y[0]


publish(globals(), __all__)


def _patches(
    name: str, image: tuple[int, ...], kernel_size: Sizes, dilation: Sizes, padding: Sizes,
    stride: Sizes,
) -> Window:  # fmt: skip
    kernel = _sizes("kernel_size", kernel_size, 2)
    steps, spread = _settings(2, stride, dilation, 1)
    low, _ = _paddings(2, padding, kernel, steps, spread)
    output = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(image, low, spread, kernel, steps, strict=True)
    )
    if min(kernel) < 1 or min(output) < 1:
        raise RuntimeError(
            f"{name}: Given input with spatial size {image}, kernel_size={kernel}, "
            f"dilation={spread}, padding={low}, stride={steps}, calculated shape of the array of "
            f"sliding blocks as {output}, but its components must be at least one."
        )
    return Window(image, kernel, output, steps, low, spread)


# Convolutional layers, as `torch.nn` has them -----------------------------------------------------


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
        function = globals()[f"conv_transpose{self.axes}d"]
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
        return unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

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
        return fold(
            input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride
        )

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, {super().extra_repr()}"
