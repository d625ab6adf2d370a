"""Losses between numbers, element by element."""

from __future__ import annotations

import math
import warnings
from typing import Any

from .. import ops
from .._tensor import Tensor
from ..autograd.graph import op
from ..backend import xp
from .reduction import check_reduction, reduced

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "huber_loss", "l1_loss",
    "mse_loss", "smooth_l1_loss",
]  # fmt: skip


def _warn_of_broadcast(input: Tensor, target: Tensor) -> None:
    # Almost always (N,) against (N, 1), which silently compares all pairs.
    if input.array.shape != target.array.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
            stacklevel=3,
        )


def _weighted(loss: Any, weight: Tensor | None) -> Any:
    return loss if weight is None else loss * weight


def mse_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """(input - target)^2. Warns where the shapes differ."""
    _warn_of_broadcast(input, target)
    if reduction == "mean" and weight is None and input.array.dtype == target.array.dtype:
        return ops.mean_squared_error(input, target)
    d = input - target
    return _mean_by_weight(d * d, weight, reduction)


def _mean_by_weight(loss: Any, weight: Tensor | None, reduction: str) -> Any:
    if weight is None or reduction != "mean":
        return reduced(_weighted(loss, weight), reduction)
    return ops.sum(loss * weight) / ops.sum(weight)


def l1_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """|input - target|. Warns where the shapes differ."""
    _warn_of_broadcast(input, target)
    return _mean_by_weight(ops.abs(input - target), weight, reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """d^2 / 2 where d = |input - target| is below delta, else delta (d - delta / 2).

    Raises ValueError for delta <= 0. Huber 1964.
    """
    if delta <= 0:
        raise ValueError(f"huber_loss does not support non-positive values for delta, got {delta}")
    _warn_of_broadcast(input, target)
    d = ops.abs(input - target)
    near = ops.clip(d, max=delta)  # near (d - near / 2) is both branches at once
    return _mean_by_weight(near * (d - 0.5 * near), weight, reduction)


def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", beta: float = 1.0,
) -> Tensor:  # fmt: skip
    """The Huber loss divided by its delta, here called beta; `l1_loss` for beta = 0.

    Raises ValueError for beta < 0.
    """
    if beta < 0:
        raise ValueError(f"smooth_l1_loss does not support negative values for beta, got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    return huber_loss(input, target, reduction, beta) * (1 / beta)


@op
def _bce(p, target):
    # The logarithms are held above -100, so that a certain and wrong prediction stays finite.
    log_p = _held(xp(p).log, p, p > 0)
    log_q = _held(xp(p).log1p, -p, p < 1)
    tiny = 1e-12  # as in PyTorch's derivative: p (1 - p) is at least this
    return (
        (target - 1) * log_q - target * log_p,
        lambda g: g * (p - target) / xp(p).maximum(p * (1 - p), tiny),
        lambda g: g * (log_q - log_p),
    )


def _held(log: Any, x: Any, finite: Any) -> Any:
    """max(log(x), -100), without ever taking the logarithm of 0."""
    y = log(xp(x).where(finite, x, 0.5))
    return xp(x).where(finite, xp(x).maximum(y, -100.0), -100.0)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """-target log(input) - (1 - target) log(1 - input), for probabilities `input`.

    Raises ValueError where the shapes differ, RuntimeError for inputs outside [0, 1].
    """
    check_reduction(reduction)
    _same_shape(input, target)
    p = input.array
    if p.size and not (p.min() >= 0 and p.max() <= 1):
        raise RuntimeError(
            "binary_cross_entropy: all elements of input should be between 0 and 1, but they lie "
            f"between {p.min()} and {p.max()}; for scores without sigmoid use "
            "binary_cross_entropy_with_logits"
        )
    return reduced(_weighted(_bce(input, target), weight), reduction)


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """`binary_cross_entropy` of sigmoid(input), computed without overflow.

    `pos_weight`: a factor for the positive targets, broadcast. Raises ValueError where the shapes
    differ.
    """
    check_reduction(reduction)
    _same_shape(input, target)
    # (1 - t) x + (1 + (w - 1) t) log(1 + exp(-x))
    soft = ops.softplus(-input, threshold=math.inf)
    if pos_weight is not None:
        soft = soft * (1 + (pos_weight - 1) * target)
    return reduced(_weighted((1 - target) * input + soft, weight), reduction)


def _same_shape(input: Tensor, target: Tensor) -> None:
    if input.array.shape != target.array.shape:
        raise ValueError(
            f"Target size ({target.shape}) must be the same as input size ({input.shape})"
        )
