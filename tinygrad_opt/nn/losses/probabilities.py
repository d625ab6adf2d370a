"""Losses that are minus the logarithm of a probability, for targets that are numbers.

`@fused_op`: of large arrays kernels take its place, see `kernels/fused/pairs.py`.
"""

from __future__ import annotations

import math
from typing import Any

from ... import ops
from ...arrays.xp import xp
from ...core.half import widened
from ...core.public import publish
from ...core.tensor import Tensor, wrap_plain
from ...ops import softplus
from ...ops.fused import fused_op, mean_of
from ..errors import check_tensor, warn_caller
from ..layer import settings
from .base import _Loss, _WeightedLoss, check_reduction, chosen_reduction, reduced

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "GaussianNLLLoss", "KLDivLoss", "PoissonNLLLoss",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "gaussian_nll_loss", "kl_div",
    "poisson_nll_loss",
]  # fmt: skip


def _weighted(loss: Any, weight: Tensor | None) -> Any:
    return loss if weight is None else loss * weight


@fused_op
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


@widened
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """-target log(input) - (1 - target) log(1 - input), for probabilities `input`.

    Raises ValueError where the shapes differ, RuntimeError for inputs outside [0, 1].
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    _same_shape("binary_cross_entropy", input, target)
    p = input.array
    if p.size and not (p.min() >= 0 and p.max() <= 1):
        raise RuntimeError(
            "binary_cross_entropy: all elements of input should be between 0 and 1, but they lie "
            f"between {p.min()} and {p.max()}; for scores without sigmoid use "
            "binary_cross_entropy_with_logits"
        )
    return reduced(_weighted(_bce(input, target), weight), reduction)


class BCELoss(_WeightedLoss, of=binary_cross_entropy): ...


@fused_op
def _bce_of_logits(x, target, pos_weight):
    # (1 - t) x + (1 + (w - 1) t) log(1 + exp(-x));  d/dx = (1 - t) sigmoid(x) - w t sigmoid(-x)
    soft = softplus(-x, threshold=math.inf)
    factor = None if pos_weight is None else 1 + (pos_weight - 1) * target

    def times(y):
        return y if factor is None else y * factor

    def to_x(g):
        if pos_weight is None:
            return g * (xp(x).sigmoid(x) - target)
        wrong = (1 - target) * xp(x).sigmoid(x)
        return g * (wrong - pos_weight * target * xp(x).sigmoid(-x))

    def to_target(g):
        return g * (-x if pos_weight is None else (pos_weight - 1) * soft - x)

    return (1 - target) * x + times(soft), to_x, to_target, lambda g: g * target * soft


_mean_bce_of_logits = mean_of(_bce_of_logits)


@widened
def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """`binary_cross_entropy` of sigmoid(input), computed without overflow.

    `pos_weight`: a factor for the positive targets, broadcast. Raises ValueError where the shapes
    differ.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    _same_shape("binary_cross_entropy_with_logits", input, target)
    if reduction == "mean" and weight is None:
        return _mean_bce_of_logits(input, target, pos_weight)
    return reduced(_weighted(_bce_of_logits(input, target, pos_weight), weight), reduction)


class BCEWithLogitsLoss(_Loss):
    @settings(binary_cross_entropy_with_logits, 2)
    def __init__(self) -> None: ...


def _same_shape(name: str, input: Tensor, target: Tensor) -> None:
    check_tensor(name, "input", input)
    check_tensor(name, "target", target)
    if input.array.shape != target.array.shape:
        raise ValueError(
            f"Target size ({target.shape}) must be the same as input size ({input.shape})"
        )


@widened
def kl_div(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", log_target: bool = False,
) -> Tensor:  # fmt: skip
    """target * (log(target) - input): the Kullback-Leibler divergence of log-probabilities `input`.

    reduction   "batchmean" divides the sum by the batch size: the divergence as it is defined;
                "mean" divides by the number of elements, and warns
    log_target  `target` holds log-probabilities too
    """
    if reduction == "mean" and size_average is None and reduce is None:
        warn_caller(
            "kl_div: reduction: 'mean' divides the total loss by both the batch size and the "
            "support size. 'batchmean' divides only by the batch size, and aligns with the KL div "
            "math definition."
        )
    reduction = chosen_reduction(size_average, reduce, reduction)
    if log_target:
        loss = ops.exp(target) * (target - input)
    else:
        loss = ops.xlogy(target, target) - target * input
    if reduction != "batchmean":
        return reduced(loss, reduction)
    return ops.sum(loss) / (input.array.shape[0] if input.ndim else 1)


class KLDivLoss(_Loss):
    @settings(kl_div, 2)
    def __init__(self) -> None: ...


@widened
def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False,
    size_average: Any = None, eps: float = 1e-8, reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """-log of the Poisson probability of counts `target`, up to log(target!).

    log_input  `input` is the logarithm of the rate: exp(input) - target * input; else the rate
               itself: input - target * log(input + eps)
    full       adds Stirling's approximation of log(target!) where target > 1
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    rate, log_rate = (ops.exp(input), input) if log_input else (input, ops.log(input + eps))
    loss = rate - target * log_rate
    if full:
        large = target.array > 1
        t = ops.where(large, target, 1.0)  # keeps the logarithm finite where it is not wanted
        stirling = t * ops.log(t) - t + 0.5 * ops.log(2 * math.pi * t)
        loss = loss + ops.where(large, stirling, 0.0)
    return reduced(loss, reduction)


class PoissonNLLLoss(_Loss):
    log_input: bool
    full: bool
    eps: float

    @settings(poisson_nll_loss, 2)
    def __init__(self) -> None: ...

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        return poisson_nll_loss(
            log_input, target, self.log_input, self.full, eps=self.eps, reduction=self.reduction
        )


@widened
def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """(log(var) + (input - target)^2 / var) / 2: -log of the normal density, up to a constant.

    var   the variances: of input's shape, without its last axis, with 1 in it, or one number
    full  adds the constant, log(2 pi) / 2
    eps   variances count as at least this; their gradient passes unchanged

    Raises ValueError for negative variances, or those of another shape. Nix & Weigend 1994.
    """
    check_reduction(reduction)
    variance: Any = var
    if not isinstance(var, Tensor):
        variance = wrap_plain(xp(input.array).full_like(input.array, var))
    variance = _spread(variance, tuple(input.array.shape))
    if (variance.array < 0).any():
        raise ValueError("gaussian_nll_loss: var has negative entry/entries")
    lifted = xp(variance.array).maximum(variance.array, float(eps)) - variance.array
    variance = variance + lifted
    loss = 0.5 * (ops.log(variance) + (input - target) ** 2 / variance)
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


class GaussianNLLLoss(_Loss, of=gaussian_nll_loss):
    """-log of the normal density, given means and variances; see `functional.gaussian_nll_loss`."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.full = full
        self.eps = eps


def _spread(variance: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`variance` so that it broadcasts to `shape`, along one axis at most."""
    given = tuple(variance.array.shape)
    if given != shape and given == shape[:-1]:
        return variance.reshape((*given, 1))
    apart = [n for n, m in zip(given, shape, strict=False) if n != m]
    if len(given) != len(shape) or apart not in ([], [1]):
        raise ValueError(
            f"gaussian_nll_loss: var is of incorrect size {list(given)} for input {list(shape)}"
        )
    return variance


publish(globals(), __all__)
