"""Weight normalisation: a weight as a direction and a length. Salimans & Kingma 2016."""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

from ... import functions
from ...core.tensor import Tensor
from ..module import Module
from ..parameter import Parameter
from .weight_hooks import remove_hook, require_none

__all__ = ["remove_weight_norm", "weight_norm"]

M = TypeVar("M", bound=Module)


def norm_except_dim(v: Tensor, dim: int | None) -> Tensor:
    """The norm of each slice along `dim`, with axes of length 1; of the whole for None or -1."""
    if dim is None or dim == -1:
        return functions.norm(v)
    axes = [axis for axis in range(v.ndim) if axis != dim % v.ndim]
    return functions.norm(v, 2, axes, keepdim=True) if axes else v.abs()


def scaled(v: Tensor, g: Tensor, dim: int | None) -> Tensor:
    """The weight of direction `v` and length `g`."""
    return v * (g / norm_except_dim(v, dim))


class WeightNorm:
    """The forward pre-hook that computes the weight anew."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name, self.dim = name, dim

    def __call__(self, module: Any, args: Any) -> None:
        setattr(module, self.name, self.weight(module))

    def weight(self, module: Any) -> Tensor:
        """The product of the two parameters."""
        direction, length = (getattr(module, self.name + end) for end in ("_v", "_g"))
        return scaled(direction, length, self.dim)


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Puts parameters `weight_g` (length) and `weight_v` (direction) in the place of `weight`.

    `dim`: the axis that each has its own length along; None for one length. Returns the module.
    The old way: `parametrizations.weight_norm` keeps `weight` readable at all times.
    """
    warnings.warn(
        "`nn.utils.weight_norm` is deprecated in favor of `nn.utils.parametrizations.weight_norm`.",
        FutureWarning,
        stacklevel=2,
    )
    require_none(module, WeightNorm, name, "weight_norm")
    weight = getattr(module, name)
    delattr(module, name)
    length = norm_except_dim(weight.detach(), dim)
    module.register_parameter(name + "_g", Parameter(length))
    module.register_parameter(name + "_v", Parameter(weight.detach()))
    hook = WeightNorm(name, dim)
    hook(module, ())
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Undoes `weight_norm`: one parameter again. Raises ValueError if there is nothing to undo."""
    remove_hook(module, WeightNorm, name, "weight_norm", "_g _v")
    return module
