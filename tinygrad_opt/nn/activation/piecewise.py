"""Activations of straight pieces, and those that cut something off."""

from __future__ import annotations

from typing import Any

from ... import ops
from ...arrays import drawing
from ...arrays.device import device_of
from ...arrays.dtypes import name_of
from ...core.promote import number_for
from ...core.public import publish
from ...core.tensor import Tensor, wrap_plain
from ...functions.outputs import OUT
from ...tensors.creation import full
from ..errors import warn_caller
from ..layer import settings
from ..module import Module
from ..parameter import Parameter
from .base import Activation, Shrink

__all__ = [
    "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "PReLU", "RReLU", "ReLU",
    "ReLU6", "Softshrink", "Threshold", "hardshrink", "hardsigmoid", "hardswish", "hardtanh",
    "leaky_relu", "prelu", "relu", "relu6", "rrelu", "softshrink", "threshold",
]  # fmt: skip


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(input, 0), with slope 0 at 0."""
    return ops.relu(input)


class ReLU(Activation, of=relu): ...


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(input, 0), 6). Howard et al. 2017, arXiv:1704.04861."""
    return ops.hardtanh(input, low=0, high=6)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """`input` where positive, else negative_slope * input."""
    return ops.leaky_relu(input, negative_slope=negative_slope)


class LeakyReLU(Activation):
    @settings(leaky_relu)
    def __init__(self) -> None: ...


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """`input` where positive, else weight * input. He et al. 2015, arXiv:1502.01852.

    input   (N, C, ...), or any shape if `weight` has a single element
    weight  one slope, or (C,) one for each channel

    Raises RuntimeError for a weight of more axes, of another length than C, or of another type.
    """
    ours, theirs = input.array.dtype, weight.array.dtype
    if ours != theirs:
        raise RuntimeError(
            f"prelu: Type promoting not supported. Got {name_of(ours)} and {name_of(theirs)}"
        )
    if ours.kind != "f":
        raise NotImplementedError(f"\"prelu\" not implemented for '{name_of(ours)}'")
    slopes, shape = weight.array.shape, input.array.shape
    if len(slopes) > 1:
        raise RuntimeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {len(slopes)}"
        )
    if weight.array.size != 1:
        if not shape:
            raise RuntimeError(
                "prelu: Not allow zero-dim input tensor with one slope for each channel"
            )
        channels = shape[1] if len(shape) > 1 else 1
        if channels != slopes[0]:
            raise RuntimeError(
                "prelu: Mismatch of parameter numbers and input channel size. Found parameter "
                f"numbers = {slopes[0]} and channel size = {channels}."
            )
    return ops.prelu(input, weight.reshape((-1,) + (1,) * (len(shape) - 2) if shape else ()))


class PReLU(Module):
    """x where x > 0, else weight x, with a trained slope.

    num_parameters  1 slope for all, or one for each channel of (N, C, ...)
    init            where `weight` (num_parameters,) starts

    He et al. 2015, arXiv:1502.01852.
    """

    weight: Parameter

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(full((num_parameters,), float(init), device=device, dtype=dtype))

    def reset_parameters(self) -> None:
        """Sets the slopes to `init`."""
        self.weight.array[...] = self.init

    def forward(self, input: Tensor) -> Tensor:
        return prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


def rrelu(
    input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False,
    inplace: bool = False,
) -> Tensor:  # fmt: skip
    """`input` where positive, else times a slope: random on [lower, upper), or their middle.

    `training`: draw a slope for each element. Raises RuntimeError for lower > upper.
    Xu et al. 2015, arXiv:1505.00853.
    """
    if lower > upper:
        raise RuntimeError(
            "rrelu: Lower bound should be less than or equal to the upper bound, got "
            f"{lower} and {upper}"
        )
    if not training:
        return leaky_relu(input, (lower + upper) / 2)
    array = input.array
    drawn = drawing.draw_uniform(array.shape, array.dtype, None, device_of(array))
    return ops.prelu(input, wrap_plain(drawn * (upper - lower) + lower))


class RReLU(Activation, of=rrelu):
    """x where x > 0, else times a slope: drawn from [lower, upper) in training, else the middle."""

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.lower = lower
        self.upper = upper


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """`input` limited to [min_val, max_val], which are cut to integers for an input of integers.

    Raises ValueError for min_val > max_val, RuntimeError for unsigned integers below 0.
    """
    if min_val > max_val:
        raise ValueError(
            f"hardtanh: min_val cannot be greater than max_val, got {min_val} and {max_val}"
        )
    if input.array.dtype.kind == "u" and min_val < 0:
        raise RuntimeError(
            f"cannot do hardtanh on an unsigned type with negative limits, got {min_val}"
        )
    low, high = (number_for(limit, input.array.dtype) for limit in (min_val, max_val))
    return ops.hardtanh(input, low=low, high=high)


class Hardtanh(Activation, of=hardtanh):
    """x limited to [min_val, max_val]; `min_value` and `max_value` are their old names.

    Raises AssertionError, as PyTorch does, unless min_val < max_val.
    """

    def __init__(
        self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False,
        min_value: float | None = None, max_value: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(inplace)
        self.min_val = _renamed("min", min_val, min_value)
        self.max_val = _renamed("max", max_val, max_value)
        if not self.max_val > self.min_val:
            raise AssertionError(
                f"Hardtanh: max_val ({self.max_val}) must be greater than min_val ({self.min_val})"
            )


def _renamed(end: str, value: float, old: float | None) -> float:
    if old is None:
        return value
    warn_caller(
        f"keyword argument `{end}_value` is deprecated and renamed to `{end}_val`", FutureWarning
    )
    return old


class ReLU6(Hardtanh):
    """min(max(x, 0), 6). Howard et al. 2017, arXiv:1704.04861."""

    _settings = ()

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """relu6(input + 3) / 6."""
    return ops.hardsigmoid(input)


class Hardsigmoid(Activation, of=hardsigmoid):
    extra_repr = Module.extra_repr  # PyTorch's shows nothing either


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """`input` * relu6(input + 3) / 6. Howard et al. 2019, arXiv:1905.02244."""
    return ops.hardswish(input)


class Hardswish(Activation, of=hardswish):
    extra_repr = Module.extra_repr  # PyTorch's shows nothing either


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """0 where |input| <= lambd, else the input."""
    return ops.hardshrink(input, threshold=lambd)


class Hardshrink(Shrink):
    @settings(hardshrink)
    def __init__(self) -> None: ...


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """`input` moved towards 0 by lambd, and 0 within. Raises RuntimeError for a negative lambd."""
    if not lambd >= 0:
        raise RuntimeError(f"softshrink: lambda must be in range [0, inf], but found {lambd}")
    return ops.softshrink(input, threshold=lambd)


class Softshrink(Shrink):
    @settings(softshrink)
    def __init__(self) -> None: ...


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """`input` where above the threshold, else `value`: both are cut to integers, as `input` is."""
    threshold, value = (number_for(z, input.array.dtype) for z in (threshold, value))
    return ops.threshold(input, threshold=threshold, value=value)


class Threshold(Activation):
    @settings(threshold)
    def __init__(self) -> None: ...


publish(globals(), __all__, out=OUT["nn.functional"])
