"""Norms of gradients, and clipping."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..._tensor import Tensor
from ...backend import array_namespace
from ...kernels import reduce

__all__ = [
    "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm",
]  # fmt: skip

Tensors = Tensor | Iterable[Tensor]


def clip_grad_norm_(
    parameters: Tensors, max_norm: float, norm_type: float = 2.0,
    error_if_nonfinite: bool = False, foreach: bool | None = None,
) -> Tensor:  # fmt: skip
    """Scales the gradients so that their common norm is at most `max_norm`.

    All gradients count as one vector; its norm is added up in float64. They are multiplied by
    max_norm / (norm + 1e-6), but never by more than 1. Parameters without gradient are skipped.

    parameters          one Tensor, or any iterable of them
    norm_type           the order p of the norm, inf for the largest magnitude
    error_if_nonfinite  raise RuntimeError if the norm is NaN or infinite, before any change;
                        otherwise a NaN norm makes every gradient NaN, and an infinite one zeroes
                        the finite gradients
    foreach             accepted; there is one way here

    Returns the norm before clipping, a 0-d tensor.
    """
    tensors = _listed(parameters)
    grads = [p.grad for p in tensors if p.grad is not None]
    norm = get_total_norm(grads, norm_type)
    if error_if_nonfinite and not math.isfinite(norm.item()):
        raise RuntimeError(
            f"The total norm of order {float(norm_type)} for gradients from `parameters` is "
            f"non-finite, so it cannot be clipped: it is {norm.item()}, "
            f"{_culprits(tensors)}. To scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    _scale(grads, max_norm, norm.item())
    return norm


def clip_grads_with_norm_(
    parameters: Tensors, max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """The second half of `clip_grad_norm_`: scales the gradients, given their norm."""
    grads = [p.grad for p in _listed(parameters) if p.grad is not None]
    _scale(grads, max_norm, float(total_norm))


def get_total_norm(
    tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:  # fmt: skip
    """The norm of all `tensors` as one vector, a 0-d tensor; 0 for none.

    Added up in float64, always in the same order. Raises RuntimeError for a norm that is not
    finite where `error_if_nonfinite`.
    """
    arrays = [t.array for t in _listed(tensors)]
    order = float(norm_type)
    norm = _combined([_one_norm(a, order) for a in arrays], order)
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(
            f"The total norm of order {order} for gradients from `parameters` is non-finite, so it "
            f"cannot be clipped: it is {norm}"
        )
    dtype = np.result_type(*{a.dtype for a in arrays}) if arrays else np.dtype("float32")
    space = array_namespace(arrays[0]) if arrays else np
    return Tensor(space.asarray(norm, dtype=dtype))


def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Limits every element of the gradients to [-clip_value, clip_value]."""
    limit = float(clip_value)
    for p in _listed(parameters):
        if p.grad is not None:
            p.grad.array.clip(-limit, limit, out=p.grad.array)


def _listed(tensors: Tensors) -> Sequence[Any]:
    """The tensors as a list: one alone, or an iterator that can be read only once."""
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _one_norm(array: Any, order: float) -> float:
    if array.size == 0:
        return 0.0
    if array.dtype.kind != "f":
        raise TypeError(f"get_total_norm: expected float tensors, got {array.dtype}")
    flat = array.reshape(-1)  # copies where the memory is not in order
    if array.dtype.itemsize < 4:
        flat = flat.astype(np.float32)
    if order > 0:
        return reduce.norm(flat, order)
    magnitudes = abs(flat.astype(np.float64))
    if order == -math.inf:
        return float(magnitudes.min())
    if order == 0:
        return float((magnitudes != 0).sum())
    return float((magnitudes**order).sum() ** (1 / order))


def _combined(norms: list[float], order: float) -> float:
    """The norm of the vector of norms, which is the norm of all vectors joined."""
    if not norms:
        return 0.0
    if any(math.isnan(n) for n in norms):
        return math.nan
    if math.isinf(order):
        return max(norms) if order > 0 else min(norms)
    if order == 0:
        return float(sum(n != 0 for n in norms))  # PyTorch counts the non-zero norms
    if order < 0 and 0.0 in norms:
        return 0.0
    if order == 2:
        return math.hypot(*norms)
    return math.fsum(n**order for n in norms) ** (1 / order)


def _culprits(tensors: Sequence[Any]) -> str:
    bad = [
        i
        for i, p in enumerate(tensors)
        if p.grad is not None and not np.isfinite(_one_norm(p.grad.array, math.inf))
    ]
    if not bad:
        return "although every gradient is finite: their norm overflows"
    return f"because of the gradients of parameters {bad}"


def _scale(grads: list[Any], max_norm: float, norm: float) -> None:
    factor = float(max_norm) / (norm + 1e-6)
    if factor < 1 or math.isnan(factor):
        for g in grads:
            g.array *= factor
