"""Norms of gradients, and clipping.

Gradients that lie next to each other in an optimizer's flat buffer are taken as one vector: one
reduction and one product for a whole model. Small ones that lie elsewhere are copied to one vector
for their norm.
"""

from __future__ import annotations

import math
import types
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from ...arrays.namespace import is_writable
from ...arrays.quiet import quiet
from ...arrays.xp import array_namespace
from ...core.tensor import Tensor, wrap_plain
from ...kernels.fused import reduce

__all__ = [
    "clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_",
    "get_total_norm",
]  # fmt: skip

Tensors = Tensor | Iterable[Tensor]
Parameters = Tensors | Iterable[tuple[str, Tensor]]

_AT_MOST = 10  # parameters that an error lists
_MOST = 2**17  # elements of small arrays that are copied together: no more than the cache holds


@quiet
def clip_grad_norm_(
    parameters: Parameters, max_norm: float, norm_type: float = 2.0,
    error_if_nonfinite: bool = False, foreach: bool | None = None,
) -> Tensor:  # fmt: skip
    """Scales the gradients so that their common norm is at most `max_norm`.

    All gradients count as one vector; its norm is added up in float64, always in the same order.
    They are multiplied by max_norm / (norm + 1e-6), but never by more than 1. Parameters without
    gradient are skipped; the rows of row-sparse gradients are added up first.

    parameters          one Tensor, or any iterable of them or of (name, Tensor) pairs
    norm_type           the order p of the norm; inf and -inf for the largest and least magnitude
    error_if_nonfinite  raise RuntimeError, which lists the gradients that are to blame, if the norm
                        is NaN or infinite, before any change; otherwise a NaN norm makes every
                        gradient NaN, and an infinite one zeroes the finite gradients
    foreach             accepted; there is one way here

    Returns the norm before clipping, a 0-d tensor of the gradients' type.
    """
    if isinstance(parameters, types.GeneratorType):
        parameters = list(parameters)
        if not parameters:
            warnings.warn(
                "`parameters` is an empty generator, no gradient clipping will occur: was it used "
                "up before?",
                stacklevel=2,
            )
    names, tensors = _named(parameters)
    order = float(norm_type)
    vectors = _gradients(tensors, join=order > 0)
    norm, size = _norm_of(vectors, order)
    if error_if_nonfinite and not math.isfinite(size):
        raise RuntimeError(_nonfinite(order, size) + _culprits(names, tensors))
    _scale(vectors, max_norm, size)
    return norm


def clip_grad_norm(
    parameters: Parameters, max_norm: float, norm_type: float = 2.0,
    error_if_nonfinite: bool = False, foreach: bool | None = None,
) -> Tensor:  # fmt: skip
    """`clip_grad_norm_` by its old name."""
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of "
        "`torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


@quiet
def clip_grads_with_norm_(
    parameters: Parameters, max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """The second half of `clip_grad_norm_`: scales the gradients, given their norm."""
    vectors = _gradients(_named(parameters)[1])
    norm = total_norm.array if isinstance(total_norm, Tensor) else total_norm
    waits = isinstance(norm, (np.ndarray, float, int)) or not _on_gpu(vectors)
    _scale(vectors, max_norm, float(total_norm) if waits else norm.astype(np.float64))


@quiet
def get_total_norm(
    tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:  # fmt: skip
    """The norm of all `tensors` as one vector, a 0-d tensor; 0 for none.

    Added up in float64, always in the same order. Raises RuntimeError for a norm that is not
    finite where `error_if_nonfinite`.
    """
    order = float(norm_type)
    given: Any = [tensors] if isinstance(tensors, Tensor) else tensors
    norm, size = _norm_of([_elements(t) for t in given], order)
    if error_if_nonfinite and not math.isfinite(size):
        raise RuntimeError(_nonfinite(order, size))
    return norm


@quiet
def clip_grad_value_(
    parameters: Parameters, clip_value: float, foreach: bool | None = None
) -> None:
    """Limits every element of the gradients to [-clip_value, clip_value]; NaN stays NaN."""
    limit = float(clip_value)
    for vector in _gradients(_named(parameters)[1]):
        vector.clip(-limit, limit, out=vector)


# Gradients as vectors -----------------------------------------------------------------------------


def _named(parameters: Any) -> tuple[list[str], list[Any]]:
    """Names (none, if there are none) and Tensors, of one Tensor or an iterator of any kind."""
    items: list[Any] = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    if items and isinstance(items[0], tuple):
        return [name for name, _ in items], [tensor for _, tensor in items]
    return [], items


def _gradients(parameters: list[Any], join: bool = True) -> list[Any]:
    """The arrays of the gradients, for reading and writing; neighbours in memory as one."""
    pieces: list[list[Any]] = []  # [array, start, stop]
    last: list[Any] = [None, 0, 0]
    for p in parameters:
        g, home = p._grad, p._home
        if g is None:
            continue
        if join and home is not None and home.holds(g):
            if last[0] is home.buffer and last[2] == home.start:
                last[2] = home.stop
                continue
            last = [home.buffer, home.start, home.stop]
        else:
            if g.is_sparse:
                g.array = g.array.coalesce()  # the same gradient: what counts are sums
            elif not is_writable(g.array):
                g.array = g.array.copy()  # the tensor shows what comes of it, its old memory not
            last = [_elements(g), None, None]
        pieces.append(last)
    return [array if start is None else array[start:stop] for array, start, stop in pieces]


def _elements(tensor: Any) -> Any:
    return tensor.array.coalesce().values if tensor.is_sparse else tensor.array


def _scale(arrays: list[Any], max_norm: float, norm: Any) -> None:
    if not isinstance(norm, float):  # in the GPU's memory: nobody waits for it
        factor = array_namespace(norm).minimum(float(max_norm) / (norm + 1e-6), 1.0)  # NaN stays
        for array in arrays:
            array *= factor.astype(array.dtype)
        return
    factor = float(max_norm) / (norm + 1e-6)
    if factor < 1 or math.isnan(factor):
        for array in arrays:
            array *= factor


# Norms --------------------------------------------------------------------------------------------


def _norm_of(arrays: list[Any], order: float) -> tuple[Tensor, Any]:
    """The norm as a tensor, and in float64: a number, or on a GPU an array, for which none waits.

    (It waits for the GPU where the order is not positive, and where gradients lie on both devices.)
    """
    dtype = np.result_type(*{a.dtype for a in arrays}) if arrays else np.dtype("float32")
    vectors = _joined(arrays) if order > 0 and len(arrays) > 1 else arrays
    if order > 0 and _on_gpu(vectors) and all(v.dtype.kind == "f" for v in vectors):
        wide = [v.reshape(-1).astype(np.float32) if v.itemsize < 4 else v for v in vectors]
        flat = [array_namespace(v).ascontiguousarray(v).reshape(-1) for v in wide]
        own = reduce.norm_on_device(flat, order).astype(dtype)
        return wrap_plain(own), own.astype(np.float64)
    norm = dtype.type(_combined([_one_norm(a, order) for a in vectors], order))
    space = array_namespace(arrays[0]) if arrays else np
    return wrap_plain(space.asarray(norm, dtype=dtype)), float(norm)


def _on_gpu(arrays: list[Any]) -> bool:
    """Whether there are arrays, and all of them lie on a GPU."""
    return bool(arrays) and not any(isinstance(a, np.ndarray) for a in arrays)


def _joined(arrays: list[Any]) -> list[Any]:
    """For reading: neighbours in the list as one vector, where they are small and of one kind."""
    vectors: list[Any] = []
    some: list[Any] = []
    kind: Any = None
    room = 0
    for array in arrays:
        own = type(array), array.dtype
        if own != kind or array.size > room:
            vectors += _as_one(some)
            some = []
            kind, room = own, _MOST
        some.append(array)
        room -= array.size
    return [*vectors, *_as_one(some)]


def _as_one(some: list[Any]) -> list[Any]:
    return [array_namespace(some[0]).concatenate(some, None)] if len(some) > 1 else some


def _one_norm(array: Any, order: float) -> float:
    if array.size == 0:
        return 0.0
    if array.dtype.kind != "f":
        raise TypeError(f"get_total_norm: expected float tensors, got {array.dtype}")
    flat = array_namespace(array).ascontiguousarray(array).reshape(-1)
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


# Errors -------------------------------------------------------------------------------------------


def _nonfinite(order: float, norm: float) -> str:
    return (
        f"The total norm of order {order} for gradients from `parameters` is non-finite, so it "
        f"cannot be clipped: it is {norm}. To disable this error and scale the gradients by the "
        "non-finite norm anyway, set `error_if_nonfinite=False`"
    )


def _culprits(names: list[str], parameters: list[Any]) -> str:
    """Which gradients hold NaN or infinities, and how many."""
    lines = []
    for i, p in enumerate(parameters):
        if p._grad is None:
            continue
        array = _elements(p._grad)
        space = array_namespace(array)
        nans, infinities = int(space.isnan(array).sum()), int(space.isinf(array).sum())
        if nans or infinities:
            label = f"[{i}] {names[i]}" if names else f"[{i}]"
            lines.append(f"{label}: {nans} NaN and {infinities} infinite of {array.size} elements")
    if not lines:
        return "\nEvery gradient is finite: their norm overflows"
    if len(lines) > _AT_MOST:
        lines[_AT_MOST:] = [f"... and {len(lines) - _AT_MOST} more"]
    return "\n  ".join(["\nThe gradients of these parameters are to blame:", *lines])
