"""Choices, element by element: limits, the larger or the smaller, by a mask."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..arrays import dtypes
from ..core.node import Variable
from ..core.promote import fitted, number_for, promoted, result_type
from ..core.tensor import Tensor, wrap_plain
from .comparison import isnan

__all__ = [
    "clamp", "clamp_max", "clamp_min", "clip", "fmax", "fmin", "masked_fill", "nan_to_num",
    "threshold", "where",
]  # fmt: skip


def clip(
    input: Tensor, min: Tensor | float | None = None, max: Tensor | float | None = None
) -> Tensor:
    """input limited to [min, max]; the bounds are numbers, Tensors or None.

    The gradient passes where min <= input <= max. NaN, be it a bound, makes NaN. Raises
    RuntimeError if both bounds are None.
    """
    if min is None and max is None:
        raise RuntimeError("clip: At least one of 'min' or 'max' must not be None")
    if isinstance(min, Variable) or isinstance(max, Variable):
        y, *bounds = promoted(input, *(bound for bound in (min, max) if bound is not None))
        low, high = None if min is None else bounds[0], None if max is None else bounds[-1]
        return ops.clamp(y, low, high)
    kind = input.array.dtype
    if kind.kind != "f":
        kind = result_type((input, *(bound for bound in (min, max) if bound is not None)))
        input = input if input.array.dtype == kind else input.to(kind)
        min, max = (bound if bound is None else fitted(bound, kind) for bound in (min, max))
    return ops.clip(input, min=min, max=max)


def clamp_min(input: Tensor, min: Tensor | float) -> Tensor:
    """input, but at least `min`."""
    return clip(input, min=min)


def clamp_max(input: Tensor, max: Tensor | float) -> Tensor:
    """input, but at most `max`."""
    return clip(input, max=max)


def threshold(input: Tensor, threshold: float, value: float) -> Tensor:
    """input where it lies above the threshold, else `value`."""
    return ops.threshold(input, threshold=threshold, value=value)


def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The larger of the two, or the one that is not NaN; a tie's gradient goes to `input`."""
    input, other = promoted(input, other)
    return ops.where((input >= other) | isnan(other), input, other)


def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of the two, or the one that is not NaN; a tie's gradient goes to `input`."""
    input, other = promoted(input, other)
    return ops.where((input <= other) | isnan(other), input, other)


def where(
    condition: Tensor, input: Tensor | float | None = None, other: Tensor | float | None = None
) -> Any:
    """input where condition holds, else other, broadcast; with one argument: the true indices."""
    if input is None and other is None:
        return tuple(wrap_plain(i) for i in condition.array.nonzero())
    if condition.array.dtype is not dtypes.bool and condition.array.dtype is not dtypes.uint8:
        raise RuntimeError(
            "where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{dtypes.name_of(condition.array.dtype)}; compare it, as in x != 0"
        )
    kind = result_type((input, other))
    numbers = [not hasattr(x, "dtype") for x in (input, other)]
    input, other = (fitted(x, kind) if number else x
                    for x, number in zip((input, other), numbers, strict=True))  # fmt: skip
    if all(numbers):  # where(mask, 1.0, 0.0) has no array that decides the type
        input, other = kind.type(input), kind.type(other)
    return ops.where(condition, *promoted(input, other))


def check_filling(name: str, mask: Any, value: Any) -> None:
    """Raise RuntimeError for a mask that is not boolean, or several values to fill with."""
    kind = getattr(getattr(mask, "array", mask), "dtype", None)
    if kind is not dtypes.bool:
        raise RuntimeError(f"{name} only supports boolean masks, but got mask with dtype {kind}")
    if isinstance(value, Variable) and value.array.ndim:
        raise RuntimeError(
            f"{name} only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.array.ndim} dimension(s)."
        )


def masked_fill(input: Tensor, mask: Tensor, value: Tensor | float) -> Tensor:
    """input with `value`, cast to the input's type, where mask is True."""
    check_filling("masked_fill", mask, value)
    kind = input.array.dtype
    value = value.to(kind) if isinstance(value, Variable) else number_for(value, kind)
    return ops.where(mask, value, input)


def nan_to_num(
    input: Tensor,
    nan: float | None = None,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Tensor:
    """With NaN and the infinities replaced: by 0 and the largest numbers of the type."""
    dtype: Any = input.array.dtype
    if dtype.kind != "f":
        return ops.clone(input)
    most = float(np.finfo(dtype).max)
    return ops.nan_to_num(
        input,
        nan=0.0 if nan is None else nan,
        posinf=most if posinf is None else posinf,
        neginf=-most if neginf is None else neginf,
    )


clamp = clip
