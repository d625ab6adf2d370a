"""Linear layers, and the layers that only change shape."""

from __future__ import annotations

import math
from typing import Any

from .. import functions, ops
from .._tensor import Tensor
from ..autograd.half import widened
from ..creation import empty
from ..public import check_tensor, publish
from . import init
from .lazy import LazyModuleMixin
from .module import Module
from .parameter import Parameter, UninitializedParameter

__all__ = [
    "Bilinear", "Flatten", "Identity", "LazyLinear", "Linear", "Unflatten", "bilinear", "linear",
]  # fmt: skip


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`input` @ weight.T + bias; input (..., in), weight (out, in), bias (out,)."""
    return ops.linear(input, weight, bias)


@widened
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input1 @ weight[k] @ input2, plus bias[k], for each output k.

    input1 (..., in1), input2 (..., in2), weight (out, in1, in2), bias (out,): (..., out).
    """
    _check_bilinear(input1, input2, weight)
    out, in1, in2 = weight.array.shape
    left = input1.reshape((-1, in1)) @ ops.transpose(weight, axes=(1, 0, 2)).reshape((in1, -1))
    right = input2.reshape((-1, in2, 1))
    y = (left.reshape((-1, out, in2)) @ right).reshape((*input1.array.shape[:-1], out))
    return y if bias is None else y + bias


def _check_bilinear(input1: Tensor, input2: Tensor, weight: Tensor) -> None:
    a, b, w = input1.array.shape, input2.array.shape, weight.array.shape
    if a[:-1] != b[:-1]:
        raise RuntimeError(
            f"bilinear(): input batch dimensions do not match: got {list(a)} and {list(b)}"
        )
    for name, shape, expected in (("input1", a, w[1]), ("input2", b, w[2])):
        if shape[-1:] != (expected,):
            raise RuntimeError(
                f"bilinear(): {name} size does not match weight size: got {list(shape)} for "
                f"{expected} features"
            )


class Linear(Module):
    """y = x W^T + b.

    in_features   the length of x's last axis
    out_features  the length of y's last axis
    bias          whether b is there

    weight (out_features, in_features) and bias (out_features,) start uniform on
    +-1/sqrt(in_features). x: (..., in_features), y: (..., out_features).

    >>> Linear(2, 3)
    Linear(in_features=2, out_features=3, bias=True)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(empty(out_features, in_features, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias anew from the default generator."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # is uniform on +-1/sqrt(in_features)
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        if type(input) is not Tensor:
            check_tensor("linear", "input", input)
        return ops.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class LazyLinear(LazyModuleMixin, Linear):
    """`Linear` without in_features, which the first input tells.

    >>> layer = LazyLinear(3)
    >>> layer(zeros(4, 2)).shape
    Size([4, 3])
    >>> layer
    Linear(in_features=2, out_features=3, bias=True)
    """

    cls_to_become = Linear

    def __init__(
        self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(0, 0, False, device, dtype)
        self.out_features = out_features
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draws weight and bias anew, if there is anything to draw."""
        if self.in_features and not self.has_uninitialized_params():
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Takes in_features from the last axis of `input`."""
        if self.has_uninitialized_params():
            self.in_features = input.array.shape[-1]
            _materialize(self.weight, (self.out_features, self.in_features))
            _materialize(self.bias, (self.out_features,))
            self.reset_parameters()


def _materialize(parameter: Any, shape: tuple[int, ...]) -> None:
    if parameter is not None:
        parameter.materialize(shape)


class Bilinear(Module):
    """y[k] = x1 W[k] x2 + b[k]: (..., in1), (..., in2) -> (..., out).

    weight (out, in1, in2) and bias (out,) start uniform on +-1/sqrt(in1_features). Raises
    ValueError for in1_features <= 0.
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in1_features: int, in2_features: int, out_features: int, bias: bool = True,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got (in1_features={in1_features})")
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        shape = (out_features, in1_features, in2_features)
        self.weight = Parameter(empty(*shape, device=device, dtype=dtype))
        value = Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None
        self.register_parameter("bias", value)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias anew from the default generator."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


class Identity(Module):
    """Returns its input; takes any arguments, so that it can stand in for any layer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Flatten(Module):
    """Joins the axes start_dim..end_dim into one: by default all but the batch axis."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return functions.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits the axis `dim` into axes of `unflattened_size`, one of which may be -1.

    Raises TypeError for sizes that are not a tuple or list of ints, RuntimeError for sizes that do
    not multiply up to the axis.
    """

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        super().__init__()
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(
                "Unflatten: unflattened_size must be a tuple of ints, but found type "
                f"{type(unflattened_size).__name__}"
            )
        for i, size in enumerate(unflattened_size):
            if not isinstance(size, int):
                raise TypeError(
                    "Unflatten: unflattened_size must be tuple of ints, but found element of type "
                    f"{type(size).__name__} at pos {i}"
                )
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        return functions.unflatten(input, self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


publish(globals(), __all__)
