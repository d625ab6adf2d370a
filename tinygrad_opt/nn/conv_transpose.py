"""Transposed convolutions, which enlarge images: functions and layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops
from ..arrays.windows import Window
from ..core.half import widened
from ..core.public import publish
from ..core.tensor import Tensor
from .conv import (
    Convolution,
    Sizes,
    by,
    check_bias_and_types,
    check_weight,
    paddings,
    sizes,
    steps_and_spread,
    with_batch,
)

__all__ = [
    "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d",
]  # fmt: skip


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


@widened
def _transpose(
    axes: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Sizes, padding: Sizes,
    output_padding: Sizes, groups: int, dilation: Sizes,
) -> Tensor:  # fmt: skip
    shape, kernel = tuple(weight.shape), tuple(weight.shape[2:])
    steps, spread = steps_and_spread(axes, stride, dilation, groups)
    low, _ = paddings(axes, padding, kernel, steps, spread)
    extra = sizes("output_padding", output_padding, axes)
    batched = with_batch(f"conv_transpose{axes}d", axes, input)
    check_weight(weight, axes, groups, "transposed=1", batched, shape[0])
    check_bias_and_types(input, weight, bias, shape[1] * groups)
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
            f"Given input size per channel: ({by(small)}). Calculated output size per channel: "
            f"({by(image)}). Output size is too small"
        )
    at = Window(image, kernel, small, steps, low, spread, groups)
    y = ops.convolve_input(batched, weight, at=at)
    if bias is not None:
        y = y + bias.reshape(-1, *(1,) * axes)
    return y if batched is input else y[0]


publish(globals(), __all__)


class _ConvTranspose(Convolution):
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
    torch.Size([5, 3, 14])
    """

    axes = 1


class ConvTranspose2d(_ConvTranspose):
    """The transpose of `Conv2d`, which enlarges images: (batch, in, h, w) to (batch, out, h', w').

    A side n becomes (n - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1. weight:
    (in_channels, out_channels / groups, kh, kw).

    >>> ConvTranspose2d(2, 3, 4, stride=2, padding=1)(zeros(5, 2, 7, 7)).shape
    torch.Size([5, 3, 14, 14])
    """

    axes = 2


class ConvTranspose3d(_ConvTranspose):
    """The transpose of `Conv3d`: (batch, in, d, h, w) to (batch, out, d', h', w').

    The arguments are those of `ConvTranspose2d`, with three axes.

    >>> ConvTranspose3d(2, 3, 2, stride=2)(zeros(5, 2, 3, 3, 3)).shape
    torch.Size([5, 3, 6, 6, 6])
    """

    axes = 3
