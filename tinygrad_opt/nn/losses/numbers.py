"""Losses between numbers, element by element."""

from __future__ import annotations

from typing import Any

from ... import ops
from ...arrays import dtypes
from ...core.half import widened
from ...core.promote import promoted, result_type
from ...core.public import publish
from ...core.tensor import Tensor
from ..errors import check_tensor, warn_caller
from ..layer import settings
from .base import _Loss, chosen_reduction, reduced

__all__ = [
    "HuberLoss", "L1Loss", "MSELoss", "SmoothL1Loss", "huber_loss", "l1_loss", "mse_loss",
    "smooth_l1_loss",
]  # fmt: skip


def _warn_of_broadcast(name: str, input: Tensor, target: Tensor) -> None:
    check_tensor(name, "input", input)
    check_tensor(name, "target", target)
    # Almost always (N,) against (N, 1), which silently compares all pairs.
    if input.array.shape != target.array.shape:
        warn_caller(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size."
        )


def _fractions(kernel: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both in one type, which has to be one of floats."""
    if input.array.dtype != target.array.dtype:
        input, target = promoted(input, target)
    if input.array.dtype.kind != "f":
        name = dtypes.name_of(input.array.dtype)
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{name}'")
    return input, target


@widened
def mse_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """(input - target)^2. Warns where the shapes differ.

    `weight`: a factor for each element; "mean" then divides by their sum. Raises ValueError for
    weights of another shape.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    _warn_of_broadcast("mse_loss", input, target)
    input, target = _fractions("mse_cpu", input, target)
    if reduction == "mean" and weight is None:
        return ops.mean_squared_error(input, target)
    d = input - target
    return _mean_by_weight(d * d, weight, reduction)


class MSELoss(_Loss, of=mse_loss):
    """The mean of (input - target)^2."""


def _weighted(loss: Any, weight: Tensor | None) -> Any:
    if weight is None:
        return loss
    if weight.array.shape != loss.array.shape:
        raise ValueError(
            f"Weights and input must have the same size, got {weight.shape} and {loss.shape}"
        )
    return loss * weight


def _mean_by_weight(loss: Any, weight: Tensor | None, reduction: str) -> Any:
    weighted = _weighted(loss, weight)
    if weight is None or reduction != "mean":
        return reduced(weighted, reduction)
    return ops.sum(weighted) / ops.sum(weight)


@widened
def l1_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """|input - target|. Warns where the shapes differ. `weight` as in `mse_loss`."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    _warn_of_broadcast("l1_loss", input, target)
    alike = input.array.shape == target.array.shape and input.array.dtype == target.array.dtype
    alike = alike and input.array.dtype.kind == "f"
    each = ops.absolute_error(input, target) if alike else ops.abs(input - target)
    return _mean_by_weight(each, weight, reduction)


class L1Loss(_Loss, of=l1_loss):
    """The mean of |input - target|."""


@widened
def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """d^2 / 2 where d = |input - target| is below delta, else delta (d - delta / 2).

    `weight`: a factor for each element, of which "mean" takes no account. Raises RuntimeError for
    delta <= 0, and for a target whose type the input's cannot hold. Huber 1964.
    """
    if delta <= 0:
        raise RuntimeError(
            f"huber_loss does not support non-positive values for delta, got {delta}"
        )
    _warn_of_broadcast("huber_loss", input, target)
    wider = kind = input.array.dtype
    if target.array.dtype != kind:
        wider = result_type((input, target))
    if not dtypes.can_cast(wider, kind):
        raise RuntimeError(
            f"huber_loss: result type {dtypes.name_of(wider)} can't be cast to the desired output "
            f"type {dtypes.name_of(kind)}"
        )
    inputs = _fractions("huber_cpu", input, target)
    if reduction == "mean" and weight is None and wider == kind:
        return ops.mean_huber(*inputs, delta=delta)
    each = ops.huber(*inputs, delta=delta)
    each = each if wider == kind else each.to(kind)  # of the input's type, as in PyTorch
    return reduced(_weighted(each, weight), reduction)


class HuberLoss(_Loss, of=huber_loss):
    """Quadratic up to delta, linear beyond; see `functional.huber_loss`."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta


@widened
def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", beta: float = 1.0,
) -> Tensor:  # fmt: skip
    """The Huber loss divided by its delta, here called beta; `l1_loss` for beta = 0.

    Raises RuntimeError for beta < 0.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    _warn_of_broadcast("smooth_l1_loss", input, target)
    input, target = _fractions("smooth_l1_cpu", input, target)
    if reduction == "mean":
        return ops.mean_huber(input, target, delta=beta, scale=beta)
    return reduced(ops.huber(input, target, delta=beta, scale=beta), reduction)


class SmoothL1Loss(_Loss):
    @settings(smooth_l1_loss, 2)
    def __init__(self) -> None: ...


publish(globals(), __all__)
