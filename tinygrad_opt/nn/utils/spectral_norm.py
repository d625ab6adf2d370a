"""Spectral normalisation: a weight divided by its largest singular value. Miyato et al. 2018.

The singular value is u W v, where the vectors u and v follow the weight by power iteration.
"""

from __future__ import annotations

from typing import Any, TypeVar

from ... import functions, ops
from ...arrays import drawing
from ...arrays.device import device_of
from ...core.tensor import Tensor, wrap_plain
from ..module import Module
from .weight_hooks import remove_hook, require_none

__all__ = ["remove_spectral_norm", "spectral_norm"]

M = TypeVar("M", bound=Module)


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """The weight with `dim` as its rows."""
    axes = (dim, *(axis for axis in range(weight.ndim) if axis != dim))
    moved = ops.transpose(weight, axes=axes) if dim else weight
    return moved.reshape((weight.array.shape[dim], -1))


def power_iteration(matrix: Any, u: Any, v: Any, times: int, eps: float) -> tuple[Any, Any]:
    """The raw vectors after some steps towards the first singular vectors of a raw matrix."""
    for _ in range(times):
        u = _unit(matrix @ v, eps)
        v = _unit(matrix.T @ u, eps)
    return u, v


def _unit(vector: Any, eps: float) -> Any:
    return vector / max(float((vector * vector).sum()) ** 0.5, eps)


def random_units(matrix: Any, eps: float) -> tuple[Any, Any]:
    """Two vectors to start from."""
    device = device_of(matrix)
    u, v = (_unit(drawing.draw_normal((n,), matrix.dtype, None, device), eps) for n in matrix.shape)
    return u, v


def divided(weight: Tensor, u: Any, v: Any, dim: int) -> Tensor:
    """weight / (u W v); u and v are raw arrays, constants for autograd."""
    product = as_matrix(weight, dim) @ wrap_plain(v)
    return weight / functions.sum(product * wrap_plain(u))


def check_iterations(n_power_iterations: int) -> None:
    """Raise ValueError unless there is at least one."""
    if n_power_iterations <= 0:
        raise ValueError(
            "Expected n_power_iterations to be positive, but got "
            f"n_power_iterations={n_power_iterations}"
        )


class SpectralNorm:
    """The forward pre-hook that computes the weight anew, in training after a step of u and v."""

    def __init__(self, name: str, n_power_iterations: int, eps: float, dim: int) -> None:
        self.name, self.n_power_iterations, self.eps = name, n_power_iterations, eps
        self.dim = dim

    def __call__(self, module: Any, args: Any) -> None:
        setattr(module, self.name, self.weight(module, module.training))

    def weight(self, module: Any, iterate: bool) -> Tensor:
        """The normalised weight."""
        original = getattr(module, self.name + "_orig")
        u, v = (getattr(module, self.name + end) for end in ("_u", "_v"))
        if iterate:  # new arrays: an earlier forward pass may still need the old ones
            matrix = as_matrix(original.detach(), self.dim).array
            u.array, v.array = power_iteration(
                matrix, u.array, v.array, self.n_power_iterations, self.eps
            )
        return divided(original, u.array, v.array, self.dim)


def spectral_norm(
    module: M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12,
    dim: int | None = None,
) -> M:  # fmt: skip
    """Puts `weight_orig` in the place of `weight`, which is computed from it before each forward.

    n_power_iterations  steps of u and v in each forward pass in training
    dim                 the axis that is the rows; by default 0, 1 for transposed convolutions

    Returns the module. The old way: `parametrizations.spectral_norm` keeps `weight` up to date.
    """
    check_iterations(n_power_iterations)
    require_none(module, SpectralNorm, name, "spectral_norm")
    hook = SpectralNorm(name, n_power_iterations, eps, rows_of(module) if dim is None else dim)
    weight = getattr(module, name)
    delattr(module, name)
    module.register_parameter(name + "_orig", weight)
    u, v = random_units(as_matrix(weight.detach(), hook.dim).array, eps)
    module.register_buffer(name + "_u", wrap_plain(u))
    module.register_buffer(name + "_v", wrap_plain(v))
    setattr(module, name, weight.detach())
    module.register_forward_pre_hook(hook)
    return module


def rows_of(module: Any) -> int:
    """The axis of outputs: 1 for transposed convolutions, else 0."""
    return int(any("ConvTranspose" in kind.__name__ for kind in type(module).__mro__))


def remove_spectral_norm(module: M, name: str = "weight") -> M:
    """Undoes `spectral_norm`. Raises ValueError if there is nothing to undo."""
    remove_hook(module, SpectralNorm, name, "spectral_norm", "_orig _u _v", iterate=False)
    return module
