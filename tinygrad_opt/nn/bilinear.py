"""The bilinear form of two inputs: function and layer."""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..arrays.dtypes import name_of
from ..core.half import widened
from ..core.public import publish
from ..core.tensor import Tensor
from ..tensors.creation import empty
from . import init
from .module import Module
from .parameter import Parameter

__all__ = ["Bilinear", "bilinear"]


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input1 @ weight[k] @ input2, plus bias[k], for each output k.

    input1 (..., in1), input2 (..., in2), weight (out, in1, in2), bias (out,): (..., out).
    """
    _check_bilinear(input1, input2, weight)
    _check_types({"input1": input1, "input2": input2, "weight": weight, "bias": bias})
    return _bilinear(input1, input2, weight, bias)


publish(globals(), __all__)


@widened
def _bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
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


def _check_types(tensors: dict[str, Tensor | None]) -> None:
    given = {name: x.array.dtype for name, x in tensors.items() if x is not None}
    if len(set(given.values())) > 1:
        found = ", ".join(f"{name}: {name_of(dtype).lower()}" for name, dtype in given.items())
        raise RuntimeError(f"bilinear(): All tensors must have the same dtype, got {found}")


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
