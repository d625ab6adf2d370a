"""Patches of images as columns, and columns added up to images: functions and layers."""

from __future__ import annotations

import math

from .. import ops
from ..arrays.windows import Window
from ..core.public import publish
from ..core.tensor import Tensor
from .conv import Sizes, by, paddings, sizes, steps_and_spread
from .layer import Shown, settings

__all__ = ["Fold", "Unfold", "fold", "unfold"]


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
    image = sizes("output_size", output_size, 2)
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
            f"the calculated number of sliding blocks {by(at.output)} = {positions}, but got "
            f"input.size(2)={x.shape[2]}"
        )
    y = ops.uncolumns(x.reshape(len(x), x.shape[1] // taps, taps, *at.output), at=at)
    return y if x is input else y[0]


def _patches(
    name: str, image: tuple[int, ...], kernel_size: Sizes, dilation: Sizes, padding: Sizes,
    stride: Sizes,
) -> Window:  # fmt: skip
    kernel = sizes("kernel_size", kernel_size, 2)
    steps, spread = steps_and_spread(2, stride, dilation, 1)
    low, _ = paddings(2, padding, kernel, steps, spread)
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


class Unfold(Shown):
    """The patches under a sliding window: (batch, c, h, w) to (batch, c kh kw, positions).

    >>> Unfold(2)(zeros(1, 3, 4, 4)).shape
    torch.Size([1, 12, 9])
    """

    @settings(unfold)
    def __init__(self) -> None: ...


class Fold(Shown):
    """The transpose of `Unfold`: patches (batch, c kh kw, positions) added up to images.

    >>> Fold((4, 4), 2)(zeros(1, 12, 9)).shape
    torch.Size([1, 3, 4, 4])
    """

    @settings(fold)
    def __init__(self) -> None: ...


publish(globals(), __all__)
