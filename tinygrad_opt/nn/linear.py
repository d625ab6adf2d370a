"""The linear layer. Tenth of the reading path; next: `optim/optimizer.py`."""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..core.public import publish
from ..core.refusals import check_tensor
from ..core.tensor import Tensor
from ..functions.outputs import OUT
from ..tensors.creation import empty
from . import init
from .module import Module
from .parameter import Parameter, new_weight

__all__ = ["Linear", "linear"]


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`input` @ weight.T + bias; input (..., in), weight (out, in), bias (out,)."""
    return ops.linear(input, weight, bias)


publish(globals(), __all__, out=OUT["nn.functional"])


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
        self.weight = new_weight(out_features, in_features, device=device, dtype=dtype)
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
