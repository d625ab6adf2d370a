"""Invertible functions with the logarithm of their slope, for `TransformedDistribution`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import functions as fn
from ..core.tensor import Tensor
from ..tensors.creation import zeros_like
from . import constraints
from .transform import (
    ComposeTransform,
    IndependentTransform,
    ReshapeTransform,
    Transform,
    identity_transform,
)  # fmt: skip
from .utils import clamp_probs, softplus, sum_rightmost

__all__ = [
    "AbsTransform", "AffineTransform", "ComposeTransform", "ExpTransform", "IndependentTransform",
    "LowerCholeskyTransform", "PowerTransform", "ReshapeTransform", "SigmoidTransform",
    "SoftmaxTransform", "SoftplusTransform", "StickBreakingTransform", "TanhTransform", "Transform",
    "identity_transform",
]  # fmt: skip


# Element by element -------------------------------------------------------------------------------


class ExpTransform(Transform):
    """y = e^x.

    >>> ExpTransform().inv(tensor(1.0))
    tensor(0.)
    """

    codomain = constraints.positive
    bijective = True
    sign: Any = 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExpTransform)

    __hash__ = object.__hash__

    def _call(self, x: Tensor) -> Tensor:
        return fn.exp(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return fn.log(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """x."""
        return x


class PowerTransform(Transform):
    """y = x^exponent, of positive numbers.

    >>> PowerTransform(tensor(2.0))(tensor(3.0))
    tensor(9.)
    """

    domain = constraints.positive
    codomain = constraints.positive
    bijective = True

    def __init__(self, exponent: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.exponent = exponent

    @property
    def sign(self) -> Any:
        """The sign of the exponent."""
        return self.exponent.sign()

    def _call(self, x: Tensor) -> Tensor:
        return fn.pow(x, self.exponent)

    def _inverse(self, y: Tensor) -> Tensor:
        return fn.pow(y, 1 / self.exponent)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log|exponent y / x|."""
        return fn.log(fn.abs(self.exponent * y / x))


class SigmoidTransform(Transform):
    """y = 1 / (1 + e^-x), kept off 0 and 1.

    >>> SigmoidTransform()(tensor(0.0))
    tensor(0.5000)
    """

    codomain = constraints.unit_interval
    bijective = True
    sign: Any = 1

    def _call(self, x: Tensor) -> Tensor:
        return clamp_probs(fn.sigmoid(x))

    def _inverse(self, y: Tensor) -> Tensor:
        kept = clamp_probs(y)
        return fn.log(kept) - fn.log1p(-kept)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """-softplus(x) - softplus(-x)."""
        return -softplus(-x) - softplus(x)


class SoftplusTransform(Transform):
    """y = log(1 + e^x).

    >>> SoftplusTransform()(tensor(0.0))
    tensor(0.6931)
    """

    codomain = constraints.positive
    bijective = True
    sign: Any = 1

    def _call(self, x: Tensor) -> Tensor:
        return softplus(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return fn.log(-fn.expm1(-y)) + y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """-softplus(-x)."""
        return -softplus(-x)


class TanhTransform(Transform):
    """y = tanh(x), as the policies of soft actor-critic squash their actions.

    With `cache_size=1` the log_prob of what was just drawn is exact where tanh rounds to 1.

    >>> TanhTransform().log_abs_det_jacobian(tensor(0.0), tensor(0.0))
    tensor(0.)
    """

    codomain = constraints.interval(-1.0, 1.0)
    bijective = True
    sign: Any = 1

    def _call(self, x: Tensor) -> Tensor:
        return fn.tanh(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return fn.atanh(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log(1 - tanh(x)^2) = 2 (log 2 - x - softplus(-2 x)), without loss."""
        return 2.0 * (math.log(2.0) - x - softplus(-2.0 * x))


class AbsTransform(Transform):
    """y = |x|; not bijective, the inverse is y itself.

    >>> AbsTransform()(tensor(-2.0))
    tensor(2.)
    """

    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return fn.abs(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return y


class AffineTransform(Transform):
    """y = loc + scale * x; `event_dim` of the last axes are one event.

    >>> AffineTransform(1.0, 2.0)(tensor(3.0))
    tensor(7.)
    """

    bijective = True

    def __init__(self, loc: Any, scale: Any, event_dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.loc, self.scale, self.event_dim = loc, scale, event_dim

    @property
    def domain(self) -> Any:
        """All numbers."""
        dim = self.event_dim
        return constraints.independent(constraints.real, dim) if dim else constraints.real

    codomain = domain

    @property
    def sign(self) -> Any:
        """The sign of the scale."""
        if isinstance(self.scale, Tensor):
            return self.scale.sign()
        return 1 if self.scale > 0 else -1 if self.scale < 0 else 0

    def _call(self, x: Tensor) -> Tensor:
        return self.loc + self.scale * x

    def _inverse(self, y: Tensor) -> Tensor:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log|scale|, summed over the events."""
        scale = self.scale if isinstance(self.scale, Tensor) else x.new_tensor(float(self.scale))
        spread = fn.log(fn.abs(scale)) + zeros_like(x)
        return sum_rightmost(spread, self.event_dim)


# Vectors and matrices -----------------------------------------------------------------------------


class SoftmaxTransform(Transform):
    """Vectors to probabilities; not bijective, the inverse is the logarithm.

    >>> SoftmaxTransform()(tensor([0.0, 0.0]))
    tensor([0.5000, 0.5000])
    """

    domain = constraints.real_vector
    codomain = constraints.simplex

    def _call(self, x: Tensor) -> Tensor:
        return fn.softmax(x, -1)

    def _inverse(self, y: Tensor) -> Tensor:
        return fn.log(y)


class StickBreakingTransform(Transform):
    """Vectors of n - 1 numbers to n probabilities: each breaks its share off what is left.

    >>> StickBreakingTransform()(tensor([0.0, 0.0]))
    tensor([0.3333, 0.3333, 0.3333])
    """

    domain = constraints.real_vector
    codomain = constraints.simplex
    bijective = True

    def _call(self, x: Tensor) -> Tensor:
        n = x.shape[-1]
        left = x.new_tensor([float(n - i) for i in range(n)])
        share = clamp_probs(fn.sigmoid(x - fn.log(left)))
        one = x.new_ones((*x.shape[:-1], 1))
        rest = fn.cumprod(1 - share, -1)
        return fn.cat([share, one], -1) * fn.cat([one, rest], -1)

    def _inverse(self, y: Tensor) -> Tensor:
        cut = y[..., :-1]
        n = cut.shape[-1]
        left = y.new_tensor([float(n - i) for i in range(n)])
        rest = (1 - fn.cumsum(cut, -1)).clamp(min=float(np.finfo(y.dtype).tiny))
        return fn.log(cut) - fn.log(rest) + fn.log(left)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """sum(log(share) - softplus(...) + log(rest))."""
        n = x.shape[-1]
        left = x.new_tensor([float(n - i) for i in range(n)])
        moved = x - fn.log(left)
        return (-moved - softplus(-moved) + fn.log(y[..., :-1])).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        """One more in the last axis."""
        return (*shape[:-1], shape[-1] + 1)

    def inverse_shape(self, shape: Any) -> Any:
        """One less in the last axis."""
        return (*shape[:-1], shape[-1] - 1)


class LowerCholeskyTransform(Transform):
    """Matrices to lower triangular ones with a positive diagonal, by its exponential.

    >>> LowerCholeskyTransform()(tensor([[0.0, 5.0], [2.0, 0.0]]))
    tensor([[1., 0.],
            [2., 1.]])
    """

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.lower_cholesky

    def _call(self, x: Tensor) -> Tensor:
        return x.tril(-1) + fn.diag_embed(fn.exp(x.diagonal(dim1=-2, dim2=-1)))

    def _inverse(self, y: Tensor) -> Tensor:
        return y.tril(-1) + fn.diag_embed(fn.log(y.diagonal(dim1=-2, dim2=-1)))
