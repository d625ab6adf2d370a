"""Convolution as functions: conv1d to conv3d, their transposes, and patches (unfold and fold)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import ops
from .._tensor import Tensor
from ..autograd.half import widened
from ..dtypes import name_of
from ..public import publish
from ..windows import Window

__all__ = [
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "fold", "unfold",
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


publish(globals(), __all__)
