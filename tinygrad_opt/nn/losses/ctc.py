"""Connectionist temporal classification: the probability of labels whose timing is unknown.

Graves et al. 2006. The labels, with a blank before, between and behind them, are the states of a
lattice; at each time step a path stays, moves on by one state, or skips a blank between two
different labels. All is done in logarithms, on the whole batch at once; of NumPy's arrays by the
kernels of `kernels/fused/ctc.py`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ... import functions, ops
from ...arrays.device import device_of, to_device
from ...arrays.xp import xp
from ...core.half import widened
from ...core.node import Variable
from ...core.public import publish
from ...core.record import op
from ...core.tensor import Tensor
from ...kernels.fused import ctc as kernels
from ..layer import settings
from .base import _Loss, check_reduction

__all__ = ["CTCLoss", "ctc_loss"]


@widened
def ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any, blank: int = 0,
    reduction: str = "mean", zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """-log of the probability that `log_probs` spells `targets`, summed over all timings.

    log_probs       (T, N, C), or (T, C) for one example: logarithms, as from log_softmax
    targets         (N, S) labels, padded, or all of them joined into one vector
    input_lengths   (N,) time steps of each example: a Tensor, or a tuple of ints
    target_lengths  (N,) labels of each example
    blank           the class that stands for no label
    reduction       "none"; "sum"; "mean" divides each by its target's length, then averages
    zero_infinity   0, with gradient 0, where the target does not fit into the time steps

    The gradient is that of this function; PyTorch's adds exp(log_probs), which a log_softmax before
    it takes away again. Has no second derivative. Raises RuntimeError for lengths that do not fit.
    """
    check_reduction(reduction)
    single = log_probs.ndim == 2
    x = log_probs if not single else log_probs.reshape((log_probs.shape[0], 1, -1))
    lattice = _lattice(x.array, targets.array, input_lengths, target_lengths, blank)
    loss = _ctc(x, lattice=lattice, zero_infinity=zero_infinity)
    if reduction == "sum":
        return ops.sum(loss)
    if reduction == "mean":
        return functions.mean(loss / xp(loss.array).maximum(lattice.labels, 1).astype(loss.dtype))
    return loss.reshape(()) if single else loss


class CTCLoss(_Loss):
    @settings(ctc_loss, 4)
    def __init__(self) -> None: ...


class _Lattice(NamedTuple):
    """The states of each example, L = 2 S + 1 of them, padded with blanks."""

    classes: Any  # (N, L) the class of each state
    skips: Any  # (N, L) whether a path may come from two states before
    steps: Any  # (N,) time steps
    labels: Any  # (N,) labels; the last state is number 2 labels


def _lattice(
    log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int
) -> _Lattice:
    times, n, classes = log_probs.shape
    steps = _lengths("input_lengths", input_lengths, n, times)
    labels = _lengths("target_lengths", target_lengths, n, None)
    if not 0 <= blank < classes:
        raise RuntimeError(f"ctc_loss: blank must be in label range: 0 to {classes - 1}")
    if targets.dtype.kind not in "iu":
        raise RuntimeError(f"ctc_loss: targets must be integral, got {targets.dtype}")
    padded = _padded(np.asarray(to_device(targets, "cpu")), labels)
    states = np.full((n, 2 * padded.shape[1] + 1), blank, np.int64)
    states[:, 1::2] = padded
    inside = np.arange(states.shape[1]) <= 2 * labels[:, None]
    states = np.where(inside, states, blank)
    if ((states < 0) | (states >= classes)).any():
        raise RuntimeError(f"ctc_loss: targets must be labels in the range 0 to {classes - 1}")
    skips = np.zeros(states.shape, bool)
    skips[:, 2:] = (states[:, 2:] != blank) & (states[:, 2:] != states[:, :-2])
    device = device_of(log_probs)
    return _Lattice(*(to_device(part, device) for part in (states, skips, steps, labels)))


def _lengths(name: str, given: Any, n: int, largest: int | None) -> Any:
    array = given.array if isinstance(given, Tensor) else np.asarray(given, np.int64)
    array = np.asarray(to_device(array, "cpu"))
    if array.dtype.kind not in "iu":
        raise RuntimeError(f"ctc_loss: {name} must be integral, got {array.dtype}")
    lengths = array.astype(np.int64).reshape(-1)
    if len(lengths) != n:
        raise RuntimeError(f"ctc_loss: {name} must be of size batch_size {n}, got {len(lengths)}")
    if n and lengths.min() < 0:
        raise RuntimeError(
            f"ctc_loss: Expected {name} to have value at least 0, but got value {lengths.min()}"
        )
    if n and largest is not None and lengths.max() > largest:
        raise RuntimeError(
            f"ctc_loss: Expected {name} to have value at most {largest}, but got value "
            f"{lengths.max()}"
        )
    return lengths


def _padded(targets: Any, labels: Any) -> Any:
    """The labels of each example as (N, longest)."""
    longest = int(labels.max(initial=0))
    if targets.ndim == 2:
        if targets.shape[1] < longest:
            raise RuntimeError(
                f"ctc_loss: Expected tensor to have size at least {longest} at dimension 1, but "
                f"got size {targets.shape[1]} for argument #2 'targets'"
            )
        return targets[:, :longest]
    if len(targets) != labels.sum():
        raise RuntimeError(
            f"ctc_loss: Expected tensor to have size {labels.sum()} at dimension 0, but got size "
            f"{len(targets)} for argument #2 'targets': the sum of target_lengths"
        )
    padded = np.zeros((len(labels), longest), np.int64)
    padded[np.arange(longest) < labels[:, None]] = targets
    return padded


@op
def _ctc(log_probs, *, lattice, zero_infinity):
    raw = log_probs.array if isinstance(log_probs, Variable) else log_probs
    alpha = _paths(raw, lattice)
    loss = _losses(alpha, lattice)
    if zero_infinity:
        loss = xp(loss).where(loss == math.inf, 0, loss)

    def back(g):
        return _ctc_slope(log_probs, g, lattice=lattice, alpha=alpha, zero_infinity=zero_infinity)

    return loss, back


@op
def _ctc_slope(log_probs, g, *, lattice, alpha, zero_infinity):
    raw = log_probs.array if isinstance(log_probs, Variable) else log_probs
    slope = _slope(raw, lattice, alpha, zero_infinity)

    def refuse(h):
        raise RuntimeError("ctc_loss: the second derivative of this operation is not implemented")

    return slope * g.reshape((1, -1, 1)), refuse, lambda h: xp(h).sum(h * slope, axis=(0, 2))


def _emissions(log_probs: Any, lattice: _Lattice) -> Any:
    """(T, N, L) the log-probability of each state's class at each time."""
    index = lattice.classes[None].repeat(len(log_probs), axis=0)
    return xp(log_probs).take_along_axis(log_probs, index, axis=2)


def _paths(log_probs: Any, lattice: _Lattice) -> Any:
    """(T, N, L) the log-probability of all paths that are in a state at a time."""
    if kernels.fits(log_probs, lattice.classes):
        return kernels.paths(log_probs, *lattice[:3]).transpose(1, 0, 2)
    emissions = _emissions(log_probs, lattice)
    alpha = xp(emissions).full_like(emissions, -math.inf)
    alpha[:1, :, :2] = emissions[:1, :, :2]
    for t in range(1, len(emissions)):
        alpha[t] = _joined(alpha[t - 1], lattice.skips, 1) + emissions[t]
    return alpha


def _backward(emissions: Any, lattice: _Lattice) -> Any:
    """(T, N, L) the log-probability of all paths from a state to the end, itself not counted."""
    numpy = xp(emissions)
    beta = numpy.full_like(emissions, -math.inf)
    states = numpy.arange(emissions.shape[2])
    last = 2 * lattice.labels[:, None]
    at_end = (states == last) | (states == last - 1)
    skips = numpy.zeros_like(lattice.skips)
    skips[:, :-2] = lattice.skips[:, 2:]
    for t in range(len(emissions) - 1, -1, -1):
        if t + 1 < len(emissions):
            beta[t] = _joined(beta[t + 1] + emissions[t + 1], skips, -1)
        ends = lattice.steps == t + 1
        beta[t, ends] = numpy.where(at_end[ends], 0, -math.inf)
    return beta


def _joined(paths: Any, skips: Any, step: int) -> Any:
    """log of the sum of what stays, what moves by `step`, and what skips to where `skips` says."""
    numpy = xp(paths)
    total = paths.copy()
    for by, allowed in ((step, None), (2 * step, skips)):
        moved = numpy.full_like(paths, -math.inf)
        if by > 0:
            moved[:, by:] = paths[:, :-by]
        else:
            moved[:, :by] = paths[:, -by:]
        if allowed is not None:
            moved = numpy.where(allowed, moved, -math.inf)
        total = numpy.logaddexp(total, moved)
    return total


def _losses(alpha: Any, lattice: _Lattice) -> Any:
    """(N,) -log of the probability of the last two states at the last time step."""
    numpy, rows = xp(alpha), xp(alpha).arange(alpha.shape[1])
    last, time = 2 * lattice.labels, numpy.maximum(lattice.steps - 1, 0)
    if not len(alpha):
        total = numpy.zeros(alpha.shape[1], alpha.dtype) - math.inf
    else:
        label = numpy.where(last > 0, alpha[time, rows, numpy.maximum(last - 1, 0)], -math.inf)
        total = numpy.logaddexp(alpha[time, rows, last], label)
    nothing = numpy.where(last == 0, 0.0, math.inf)  # without a time step nothing can be said
    return numpy.where(lattice.steps == 0, nothing, -total).astype(alpha.dtype)


def _slope(log_probs: Any, lattice: _Lattice, alpha: Any, zero_infinity: bool) -> Any:
    """(T, N, C) minus the probability of being in a state of the class, given the labels."""
    numpy = xp(log_probs)
    loss = _losses(alpha, lattice)
    lost = loss == math.inf
    least = numpy.where(lost, 0, loss)
    times, n, _ = log_probs.shape
    if kernels.fits(log_probs, lattice.classes):
        given = alpha.transpose(1, 0, 2), 2 * lattice.labels, least
        slope = kernels.slope(log_probs, *lattice[:3], *given)
    else:
        beta = _backward(_emissions(log_probs, lattice), lattice)
        share = numpy.exp(alpha + beta + least[:, None])
        every = numpy.arange(times)[:, None, None], numpy.arange(n)[None, :, None]
        slope = -numpy.scatter_add(share, log_probs.shape, (*every, lattice.classes[None]))
    if not zero_infinity:  # nothing to go by: NaN, as in PyTorch
        within = numpy.arange(times)[:, None] < lattice.steps
        slope[within & lost] = math.nan
    return slope


publish(globals(), __all__)
