"""Losses that ask for a distance between scores: nothing is lost beyond the margin.

`reduction`: "mean", "sum", or "none" for one value per example. At the margin the slope is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ... import ops
from ...arrays.xp import xp
from ...core.half import widened
from ...core.public import publish
from ...core.tensor import Tensor, wrap_plain
from ...ops.fused import mean_of
from ..layer import settings
from .base import _Loss, _WeightedLoss, check_reduction, chosen_reduction, reduced
from .distances import PairwiseDistance, pairwise_distance

__all__ = [
    "CosineEmbeddingLoss", "HingeEmbeddingLoss", "MarginRankingLoss", "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss", "MultiMarginLoss", "SoftMarginLoss", "TripletMarginLoss",
    "TripletMarginWithDistanceLoss", "cosine_embedding_loss", "hinge_embedding_loss",
    "margin_ranking_loss", "multi_margin_loss", "multilabel_margin_loss",
    "multilabel_soft_margin_loss", "soft_margin_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]  # fmt: skip


# Two classes, +1 and -1 ---------------------------------------------------------------------------


@widened
def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """log(1 + exp(-target * input)), for targets +1 and -1."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    score = target * -input
    if reduction == "mean":
        return _mean_softplus(score, threshold=math.inf)
    return reduced(ops.softplus(score, threshold=math.inf), reduction)


_mean_softplus = mean_of(ops.softplus)


class SoftMarginLoss(_Loss, of=soft_margin_loss): ...


@widened
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """`input`, a distance, where target is 1; max(0, margin - input) where it is -1."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    near = ops.where(target.array != -1, input, 0.0)
    far = ops.where(target.array != 1, ops.clip(margin - input, min=0), 0.0)
    return reduced(near + far, reduction)


class HingeEmbeddingLoss(_Loss):
    @settings(hinge_embedding_loss, 2)
    def __init__(self) -> None: ...


@widened
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """1 - cos(input1, input2) where target is 1; max(0, cos - margin) where it is -1.

    Inputs (N, features) and target (N,), or (features,) and 0-d; else RuntimeError.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    axes = target.array.ndim
    if axes > 1 or input1.ndim != axes + 1 or input2.ndim != axes + 1:
        raise RuntimeError(
            f"cosine_embedding_loss: {axes}D target tensor expects {axes + 1}D input tensors, but "
            f"found inputs with sizes {list(input1.array.shape)} and {list(input2.array.shape)}."
        )
    tiny = 1e-12
    squares = [ops.sum(x * x, axis=-1) + tiny for x in (input1, input2)]
    cosine = ops.sum(input1 * input2, axis=-1) / ops.sqrt(squares[0] * squares[1])
    alike = ops.where(target.array == 1, 1 - cosine, 0.0)
    unlike = ops.where(target.array == -1, ops.clip(cosine - margin, min=0), 0.0)
    return reduced(alike + unlike, reduction)


class CosineEmbeddingLoss(_Loss):
    @settings(cosine_embedding_loss, 3, margin=0.0)
    def __init__(self) -> None: ...


# Two or three inputs ------------------------------------------------------------------------------


@widened
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, margin - target * (input1 - input2)): which of the two should be larger.

    `target`: +1 for the first, -1 for the second. RuntimeError for different numbers of axes.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return reduced(ops.clip(margin - target * (input1 - input2), min=0), reduction)


class MarginRankingLoss(_Loss):
    @settings(margin_ranking_loss, 3, margin=0.0)
    def __init__(self) -> None: ...


@widened
def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2,
    eps: float = 1e-6, swap: bool = False, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, margin + |anchor - positive| - |anchor - negative|), distances in the p-norm.

    `swap`: measure the negative from the positive too, and take the smaller distance. Raises
    ValueError for margin <= 0. Balntas et al. 2016.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    return triplet_margin_with_distance_loss(
        anchor, positive, negative, margin=margin, swap=swap, reduction=reduction,
        distance_function=lambda a, b: pairwise_distance(a, b, p, eps),
    )  # fmt: skip


class _TripletLoss(_Loss):
    margin: float

    def _check_margin(self) -> None:
        if self.margin <= 0:
            raise ValueError(
                f"{type(self).__name__}: expected margin to be greater than 0, got {self.margin} "
                "instead"
            )


class TripletMarginLoss(_TripletLoss):
    @settings(triplet_margin_loss, 3, p=2.0)
    def __init__(self) -> None:
        self._check_margin()


@widened
def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None, margin: float = 1.0,
    swap: bool = False, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """`triplet_margin_loss` with a distance of one's own."""
    check_reduction(reduction)
    if margin <= 0:
        raise ValueError(f"triplet_margin_loss: margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {anchor.ndim}D, positive {positive.ndim}D, and negative "
            f"{negative.ndim}D inputs"
        )
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = ops.minimum(far, distance(positive, negative))
    return reduced(ops.clip(margin + near - far, min=0), reduction)


class TripletMarginWithDistanceLoss(_TripletLoss):
    """`TripletMarginLoss` with a distance of one's own; None for `PairwiseDistance`."""

    distance_function: Callable[[Tensor, Tensor], Tensor] | None

    @settings(triplet_margin_with_distance_loss, 3)
    def __init__(self) -> None:
        self._check_margin()
        self.distance_function = self.distance_function or PairwiseDistance()


# Many classes -------------------------------------------------------------------------------------


def _above_zero(x: Tensor, counted: Any) -> Tensor:
    """What is above 0 and is counted; 0 for the rest, for NaN as well, as in PyTorch."""
    return ops.where((x.array > 0) & counted, x, 0.0)


@widened
def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
    size_average: Any = None, reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The mean over the other classes of max(0, margin - input[target] + input[class])^p.

    input   (N, C) or (C,)
    target  (N,) or 0-d, the classes
    p       1 or 2, else ValueError
    weight  (C,) a factor for each class as target

    Raises RuntimeError for shapes that do not fit and classes outside [0, C).
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss: only p == 1 and p == 2 supported, got {p}")
    rows, index = _scores("multi_margin_loss", input), target.array.reshape(-1)
    n, classes = rows.array.shape
    if index.shape != (n,):
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input "
            f"samples (batch size). Expected target size [{n}], but got "
            f"{list(target.array.shape)}. Input has shape {list(input.array.shape)}."
        )
    if ((index < 0) | (index >= classes)).any():
        raise RuntimeError(f"multi_margin_loss: target out of range: classes 0 to {classes - 1}")
    if weight is None and reduction == "mean":
        return ops.mean_multi_margin(rows, index=index, margin=margin, p=p)
    loss = ops.multi_margin(rows, index=index, margin=margin, p=p)
    if weight is not None:
        if weight.array.shape != (classes,):
            raise RuntimeError(
                f"multi_margin_loss: inconsistent weight size, expected {classes} but got "
                f"{list(weight.array.shape)}"
            )
        loss = loss * wrap_plain(weight.array[index])
    return reduced(loss if input.ndim == 2 else loss.reshape(()), reduction)


class MultiMarginLoss(_Loss):
    p: int
    weight: Tensor | None

    @settings(multi_margin_loss, 2)
    def __init__(self) -> None:
        if self.p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: only p == 1 and p == 2 supported, got {self.p}")
        if self.weight is not None and self.weight.ndim != 1:
            raise ValueError(
                "MultiMarginLoss: expected weight to be None or 1D tensor, got "
                f"{self.weight.ndim}D instead"
            )


@widened
def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The sum of max(0, 1 - input[right] + input[wrong]) over all pairs, divided by C.

    `input` (N, C) or (C,); `target` of the same shape: the right classes, then -1 and anything.
    Raises RuntimeError for another shape, targets that are not integers, or lie outside [-1, C).
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    rows, labels = _scores("multilabel_margin_loss", input), target.array
    if labels.shape != input.array.shape:
        raise RuntimeError(
            f"multilabel_margin_loss: inconsistent target size: {list(labels.shape)} for input of "
            f"size: {list(input.array.shape)}"
        )
    if labels.dtype.kind not in "iu":
        raise RuntimeError(
            f"multilabel_margin_loss: expected scalar type Long but found {labels.dtype} target"
        )
    labels = labels.reshape(rows.array.shape)
    n, classes = labels.shape
    if ((labels < -1) | (labels >= classes)).any():
        raise RuntimeError(
            "multilabel_margin_loss: argument #2 'target' is out of range: -1 or classes 0 to "
            f"{classes - 1}"
        )
    listed = xp(labels).cumsum(labels < 0, axis=1) == 0  # those before the first -1
    safe = xp(labels).where(listed, labels, 0)
    at = xp(labels).arange(n)[:, None]
    right = ((safe[:, :, None] == xp(labels).arange(classes)) & listed[:, :, None]).any(axis=1)
    over = 1 - rows[at, safe].reshape((n, classes, 1)) + rows.reshape((n, 1, classes))
    pairs = listed[:, :, None] & ~right[:, None, :]
    loss = ops.sum(_above_zero(over, pairs), axis=(1, 2)) / classes
    return reduced(loss if input.ndim == 2 else loss.reshape(()), reduction)


class MultiLabelMarginLoss(_Loss, of=multilabel_margin_loss): ...


@widened
def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The binary cross entropy of scores with targets 0 and 1, averaged over the last axis.

    `weight`: (C,) a factor for each class.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    loss = -(target * ops.log_sigmoid(input) + (1 - target) * ops.log_sigmoid(-input))
    loss = loss if weight is None else loss * weight
    return reduced(ops.sum(loss, axis=-1) / input.array.shape[-1], reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss, of=multilabel_soft_margin_loss): ...


def _scores(name: str, input: Tensor) -> Tensor:
    """`input` as (N, C)."""
    if input.ndim > 2 or 0 in input.array.shape[-1:]:
        raise RuntimeError(
            f"{name}: Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{list(input.array.shape)}"
        )
    return input if input.ndim == 2 else input.reshape((1, -1))  # of a 0-d one: one class


publish(globals(), __all__)
