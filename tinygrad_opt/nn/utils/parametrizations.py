"""Ready-made parametrizations: weight_norm, spectral_norm and orthogonal."""

from __future__ import annotations

from ...core.tensor import Tensor, wrap_plain
from ..losses.distances import normalize
from ..module import Module
from .orthogonal import orthogonal
from .parametrize import register_parametrization
from .spectral_norm import (
    as_matrix,
    check_iterations,
    divided,
    power_iteration,
    random_units,
    rows_of,
)  # fmt: skip
from .weight_norm import norm_except_dim, scaled

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


class _WeightNorm(Module):
    def __init__(self, dim: int | None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, length: Tensor, direction: Tensor) -> Tensor:
        return scaled(direction, length, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """A length and a direction whose product is `weight`."""
        return norm_except_dim(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Makes a weight a direction times a length, each trained: Salimans & Kingma 2016.

    `parametrizations.weight.original0` is the length, of its own along `dim` (None: one for all),
    `original1` the direction.
    """
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


class _SpectralNorm(Module):
    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, n_power_iterations: int, dim: int, eps: float) -> None:
        super().__init__()
        check_iterations(n_power_iterations)
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(
                "Dimension out of range (expected to be in range of "
                f"[-{weight.ndim}, {weight.ndim - 1}] but got {dim})"
            )
        self.dim = dim % weight.ndim
        self.eps = eps
        self.n_power_iterations = n_power_iterations
        if weight.ndim > 1:
            matrix = as_matrix(weight.detach(), self.dim).array
            u, v = power_iteration(matrix, *random_units(matrix, eps), 15, eps)
            self.register_buffer("_u", wrap_plain(u))
            self.register_buffer("_v", wrap_plain(v))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:  # its only singular value is its norm
            return normalize(weight, dim=0, eps=self.eps)
        u, v = self._u, self._v
        if self.training:  # new arrays: an earlier forward pass may still need the old ones
            matrix = as_matrix(weight.detach(), self.dim).array
            u.array, v.array = power_iteration(
                matrix, u.array, v.array, self.n_power_iterations, self.eps
            )
        return divided(weight, u.array, v.array, self.dim)

    def right_inverse(self, value: Tensor) -> Tensor:
        """`value` itself, which is taken to be normalised already."""
        return value


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12,
    dim: int | None = None,
) -> Module:  # fmt: skip
    """Divides a weight by its largest singular value: Miyato et al. 2018, arXiv:1802.05957.

    n_power_iterations  steps that the singular vectors follow the weight by, each time it is read
                        in training
    dim                 the axis that is the rows; by default 0, 1 for transposed convolutions
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    rows = rows_of(module) if dim is None else dim
    part = _SpectralNorm(weight, n_power_iterations, rows, eps)
    return register_parametrization(module, name, part)
