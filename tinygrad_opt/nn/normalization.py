"""Layers that normalise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._tensor import Tensor
from ..creation import ones, zeros
from . import functional as F
from .module import Module
from .parameter import Parameter

__all__ = ["LayerNorm"]


class LayerNorm(Module):
    """(x - mean) / sqrt(variance + eps) over the last axes, then * weight + bias.

    normalized_shape    the lengths of those axes; an int for the last one
    elementwise_affine  whether weight and bias are there, both of `normalized_shape`
    bias                whether bias is there

    Ba et al. 2016, arXiv:1607.06450.
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5,
        elementwise_affine: bool = True, bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        self.normalized_shape = tuple(shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        for name, make, wanted in (("weight", ones, True), ("bias", zeros, bias)):
            there = elementwise_affine and wanted
            value = make(self.normalized_shape, device=device, dtype=dtype) if there else None
            self.register_parameter(name, None if value is None else Parameter(value))

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )
