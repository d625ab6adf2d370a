"""Losses between scores and classes: cross_entropy and nll_loss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import ops
from ...arrays import dtypes, faults
from ...arrays.places import are_within
from ...arrays.xp import xp
from ...core.half import widened
from ...core.public import publish
from ...core.tensor import Tensor, wrap_plain
from ..errors import check_devices, check_tensor
from ..layer import settings
from .base import _Loss, check_reduction, chosen_reduction, reduced

__all__ = ["CrossEntropyLoss", "NLLLoss", "cross_entropy", "nll_loss", "one_hot"]


def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None,
    ignore_index: int = -100, reduce: Any = None, reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """-log(softmax(input)) at the target class, averaged over the targets.

    input            scores before softmax: (C,), (N, C) or (N, C, d1, ...), C classes
    target           classes, integers of the input's shape without C; or probabilities in the
                     input's shape and a float type
    weight           (C,) a factor for each class; "mean" then divides by the targets' weights
    ignore_index     a class (not a probability) that counts for nothing
    reduction        "mean", "sum", or "none" for one value per target
    label_smoothing  the share of each target that is spread evenly over all classes

    Raises RuntimeError for float targets that are not probabilities, ValueError where the batch
    sizes differ, IndexError for classes outside [0, C).
    """
    if size_average is not None or reduce is not None:
        reduction = chosen_reduction(size_average, reduce, reduction)
    if type(input) is not Tensor or type(target) is not Tensor:
        check_tensor("cross_entropy", "input", input)
        check_tensor("cross_entropy", "target", target)
    scores, classes = input.array, target.array
    check_devices("cross_entropy", scores, classes)
    check_reduction(reduction)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if _is_plain(scores, classes, weight, ignore_index, reduction):
        loss = _in_one_operation(input, classes, ignore_index, label_smoothing)
        if loss is not None:
            return loss
    if target.shape == input.shape and classes.dtype.kind == "f":
        if ignore_index >= 0:
            raise RuntimeError("ignore_index is not supported for floating point target")
        return _of_probabilities(input, target, weight, reduction, label_smoothing)
    return _of_classes(input, target, weight, ignore_index, reduction, label_smoothing)


def _is_plain(
    scores: Any, classes: Any, weight: Tensor | None, ignore_index: int, reduction: str
) -> bool:
    """Whether this is the usual case: the mean over vectors of scores with a class each."""
    return (
        weight is None
        and scores.ndim > 1
        and classes.dtype.kind in "iu"
        and classes.shape == scores.shape[:1] + scores.shape[2:]
        and classes.size > 0
        and ignore_index < 0
        and reduction == "mean"
    )


def _in_one_operation(input: Tensor, classes: Any, ignore: int, smoothing: float) -> Any:
    """The loss in that case; None where there are classes to ignore, or no such operation."""
    scores = input.array
    if type(scores) is not np.ndarray:
        return None if smoothing else ops.mean_cross_entropy(input, index=classes, ignore=ignore)
    scale = 1 / classes.size
    if smoothing:
        within = are_within(classes, 0, scores.shape[1])
        given = {"index": classes, "share": smoothing, "scale": scale}
        return ops.smoothed_cross_entropy(input, **given) if within else None
    try:
        return ops.cross_entropy(input, index=classes, scale=scale)
    except IndexError:
        if not (classes == ignore).any():
            raise
    return None


class CrossEntropyLoss(_Loss):
    """The mean of -log(softmax(input)) at the target class, for scores `input` (N, C).

    Arguments as `functional.cross_entropy`.

    >>> loss = CrossEntropyLoss()(Tensor([[0.0, 0.0]]), tensor([1]))
    >>> print(f"{loss.item():.4f}")
    0.6931
    """

    @settings(cross_entropy, 2)
    def __init__(self) -> None: ...


@widened
def _of_classes(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str,
    label_smoothing: float,
) -> Any:  # fmt: skip
    """Cross entropy with a class as the target of each row."""
    scores, index, shape = _as_scores(input, target)
    factors, ignored = _row_weights(scores, index, weight, ignore_index)
    safe = xp(index).where(ignored, 0, index)
    loss = _weighted(ops.cross_entropy(scores, index=safe), factors, ignored)
    if label_smoothing:
        logp = ops.log_softmax(scores, axis=1)
        per_class = logp
        if weight is not None:
            per_class = logp * weight.reshape(-1, *[1] * (index.ndim - 1))
        spread = -ops.sum(per_class, axis=1) * (label_smoothing / max(logp.shape[1], 1))
        spread = ops.where(ignored, 0.0, spread)
        loss = loss * (1 - label_smoothing) + spread
    return _finished(loss, factors, reduction, shape)


@widened
def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None,
    ignore_index: int = -100, reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """-input at the target class, averaged over the targets; `input` holds log-probabilities.

    Arguments and errors as `cross_entropy`, for targets that are classes.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_tensor("nll_loss", "input", input)
    check_tensor("nll_loss", "target", target)
    check_devices("nll_loss", input.array, target.array)
    check_reduction(reduction)
    scores, classes = input.array, target.array
    plain = _is_plain(scores, classes, weight, ignore_index, reduction)
    if plain and type(scores) is np.ndarray and are_within(classes, 0, scores.shape[1]):
        return ops.negative_log_likelihood(input, index=classes, mean=True)
    scores, index, shape = _as_scores(input, target)
    factors, ignored = _row_weights(scores, index, weight, ignore_index)
    safe = xp(index).where(ignored, 0, index)
    loss = ops.negative_log_likelihood(scores, index=safe)
    return _finished(_weighted(loss, factors, ignored), factors, reduction, shape)


class NLLLoss(_Loss):
    @settings(nll_loss, 2)
    def __init__(self) -> None: ...


def _as_scores(input: Tensor, target: Tensor) -> tuple[Tensor, Any, tuple[int, ...]]:
    """Scores as (N, C, ...), classes as (N, ...), and the shape of one value per target."""
    shape = tuple(input.array.shape)
    classes = target.array
    if classes.dtype.kind not in "iu":
        raise RuntimeError(
            "expected target dtype to be Long or Byte, but got "
            f"{dtypes.name_of(classes.dtype)}: targets are classes (integers), or probabilities "
            f"in the input's shape {shape}"
        )
    expected = shape[:1] + shape[2:] if len(shape) > 1 else ()
    if len(shape) > 1 and classes.ndim and classes.shape[0] != shape[0]:
        raise ValueError(
            f"Expected input batch_size ({shape[0]}) to match target batch_size "
            f"({classes.shape[0]})."
        )
    if not shape or tuple(classes.shape) != expected:
        raise RuntimeError(
            f"Expected target size {list(expected)}, got {list(classes.shape)}: one class for "
            f"each score vector of the input {shape}; {_way_out(tuple(classes.shape), shape)}"
        )
    scores = input if len(shape) > 1 else input.reshape(1, shape[0])
    return scores, classes.reshape(expected or (1,)).astype(np.int64), expected


def _way_out(given: tuple[int, ...], scores: tuple[int, ...]) -> str:
    """What to do with classes of a shape that does not fit."""
    if len(scores) == 1:
        return "an input of one axis is the scores of a single case"
    if given == scores:
        return "for one-hot rows take .argmax(1), or .float() to use them as probabilities"
    if 1 in given:
        return "drop axes of length 1 with .squeeze()"
    return "the axis of the classes comes second in the input"


def _row_weights(rows: Tensor, index: Any, weight: Tensor | None, ignore: int) -> tuple[Any, Any]:
    """The weight of each target (0 where ignored), and which are ignored. Checks the bounds."""
    ignored = index == ignore
    classes = rows.array.shape[1]
    text = f"Target {{index}} is out of bounds: there are {classes} classes, 0 to {classes - 1}."
    kept = index if type(index) is np.ndarray else xp(index).where(ignored, 0, index)
    if not faults.told_later(kept, 0, classes, IndexError, text):
        outside = ((index < 0) | (index >= classes)) & ~ignored
        if outside.any():
            raise IndexError(text.replace("{index}", str(index[outside][0])))
    if weight is None:
        return (~ignored).astype(rows.array.dtype), ignored
    if tuple(weight.array.shape) != (classes,):
        raise RuntimeError(
            "weight tensor should be defined either for all "
            f"{classes} classes or no classes but got weight tensor of shape: "
            f"{list(weight.array.shape)}"
        )
    return xp(index).where(ignored, 0, weight.array[xp(index).where(ignored, 0, index)]), ignored


def _weighted(loss: Tensor, factors: Any, ignored: Any) -> Any:
    # `where`, not only a factor of 0: an ignored row may hold infinities, and 0 * inf is NaN.
    return ops.where(ignored, 0.0, loss) * factors


def _finished(loss: Any, factors: Any, reduction: str, shape: tuple[int, ...]) -> Any:
    """PyTorch's mean divides by the sum of the weights."""
    if reduction == "none":
        return loss.reshape(shape)
    total = ops.sum(loss)
    if reduction == "sum":
        return total
    weight = factors.sum()
    if isinstance(weight, np.generic):  # of NumPy's array, at hand
        return total * (1 / float(weight) if weight else math.nan)
    return total * xp(weight).where(weight == 0, math.nan, 1 / weight)


@widened
def _of_probabilities(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, smoothing: float
) -> Any:
    """Cross entropy with a distribution as the target of each row."""
    shape = tuple(input.array.shape)
    along = 1 if len(shape) > 1 else 0
    rows = _classes_last(input, along)
    wanted = _classes_last(target, along)
    if smoothing:
        wanted = wanted * (1 - smoothing) + smoothing / max(shape[along], 1)
    if weight is not None:
        wanted = wanted * weight
    loss = ops.softmax_cross_entropy(rows, wanted)
    if reduction == "none":
        return loss.reshape(shape[:along] + shape[along + 1 :])
    return reduced(loss, reduction)


def _classes_last(x: Tensor, along: int) -> Any:
    axes = tuple(i for i in range(x.array.ndim) if i != along)
    rows = ops.transpose(x, axes=(*axes, along)) if along < x.array.ndim - 1 else x
    return rows.reshape(math.prod(rows.array.shape[:-1]), rows.array.shape[-1])


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 of one more axis, `num_classes` long: 1 at the class, 0 elsewhere.

    `num_classes` -1: one more than the largest class. Raises RuntimeError for classes outside.
    """
    index = tensor.array
    if index.dtype.kind not in "iu":
        raise RuntimeError(
            f"one_hot is only applicable to index tensor of type Long, got {index.dtype}"
        )
    if index.size == 0 and num_classes <= 0:
        raise RuntimeError("Can not infer total number of classes from empty tensor.")
    text = f"Class values must be in [0, num_classes), got {{index}} of {num_classes}"
    if num_classes > 0 and faults.told_later(index, 0, num_classes, RuntimeError, text):
        return wrap_plain((index[..., None] == xp(index).arange(num_classes)).astype(np.int64))
    if index.size and int(index.min()) < 0:
        raise RuntimeError("Class values must be non-negative.")
    largest = int(index.max()) if index.size else -1
    classes = largest + 1 if num_classes == -1 else num_classes
    if largest >= classes:
        raise RuntimeError(
            f"Class values must be smaller than num_classes, got {largest} of {classes}"
        )
    y = xp(index).zeros((index.size, classes), np.int64)
    y[xp(index).arange(index.size), index.reshape(-1)] = 1
    return wrap_plain(y.reshape(*index.shape, classes))


publish(globals(), __all__, {"one_hot": {"tensor": "input"}})
