"""What distributions share: parameters of one shape, probabilities and their logarithms."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functions as fn
from ..arrays import dtypes
from ..core.tensor import Tensor
from ..tensors.creation import as_tensor, zeros_like

__all__ = [
    "broadcast_all", "clamp_probs", "eps_of", "lazy_property", "logits_to_probs", "probs_to_logits",
    "softplus", "sum_rightmost", "uniform",
]  # fmt: skip


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """The values, Tensors or numbers, as Tensors of one shape.

    Numbers take the type of the first Tensor, or the default float type.
    Raises ValueError for anything else.
    """
    if not all(isinstance(v, (Tensor, int, float, np.number)) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing "
            f"__torch_function__, got {', '.join(type(v).__name__ for v in values)}"
        )
    tensors = [v for v in values if isinstance(v, Tensor)]
    like = tensors[0] if tensors else as_tensor(0.0, dtype=dtypes.get_default_dtype())
    made = [v if isinstance(v, Tensor) else as_tensor(v, dtype=like.dtype, device=like.device)
            for v in values]  # fmt: skip
    shape = fn.broadcast_shapes(*(x.shape for x in made))
    # What has the shape stays itself: a graph is not freed that stands between no two operations.
    return tuple(x if x.shape == shape else x.expand(shape) for x in made)


def eps_of(x: Tensor) -> float:
    """The rounding error of the type of x."""
    return float(np.finfo(x.dtype).eps)


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x)."""
    return fn.logaddexp(x, zeros_like(x))


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities kept off 0 and 1 by the rounding error, so that logarithms are finite."""
    eps = eps_of(probs)
    return probs.clamp(min=eps, max=1 - eps)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """softmax over the last axis; sigmoid if there are two outcomes."""
    return fn.sigmoid(logits) if is_binary else fn.softmax(logits, -1)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """The logarithms of probabilities, or log(p / (1 - p)) if there are two outcomes."""
    kept = clamp_probs(probs)
    return fn.log(kept) - fn.log1p(-kept) if is_binary else fn.log(kept)


def sum_rightmost(value: Any, dim: int) -> Any:
    """The sum over the last `dim` axes."""
    if dim == 0 or not isinstance(value, Tensor):
        return value
    return fn.sum(value.reshape((*value.shape[: value.ndim - dim], -1)), -1)


def uniform(shape: Any, like: Tensor) -> Tensor:
    """Numbers from the open interval (0, 1), so that logarithms are finite."""
    drawn = like.new_empty(tuple(shape)).uniform_()
    return drawn.clamp(min=float(np.finfo(like.dtype).tiny))


class lazy_property:
    """A property that is computed when first asked for, and kept."""

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped
        self.__doc__ = wrapped.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        from ..autograd import enable_grad

        with enable_grad():
            value = self.wrapped(instance)
        instance.__dict__[self.name] = value
        return value
