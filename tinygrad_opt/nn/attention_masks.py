"""The masks of attention with several heads: checked, made floats, and joined into one."""

from __future__ import annotations

import math
import warnings
from typing import Any

from .. import ops
from ..arrays.xp import xp
from ..core.tensor import wrap_plain

__all__ = ["canonical_mask", "check_inputs", "combined"]


def check_inputs(heads: int, query: Any, key: Any, value: Any, padding: Any, mask: Any) -> bool:
    """Whether the inputs are batched. Raises AssertionError where their axes do not fit."""
    dims = query.ndim
    if dims not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {dims}-D query tensor"
        )
    kind = f"For {'batched (3-D)' if dims == 3 else 'unbatched (2-D)'} `query`, expected"
    if key.ndim != dims or value.ndim != dims:
        raise AssertionError(
            f"{kind} `key` and `value` to be {dims}-D but found {key.ndim}-D and {value.ndim}-D "
            "tensors respectively"
        )
    if padding is not None and padding.ndim != dims - 1:
        raise AssertionError(
            f"{kind} `key_padding_mask` to be `None` or {dims - 1}-D but found {padding.ndim}-D "
            "tensor instead"
        )
    if mask is not None and mask.ndim not in (2, 3):
        raise AssertionError(
            f"{kind} `attn_mask` to be `None`, 2-D or 3-D but found {mask.ndim}-D tensor instead"
        )
    expected = (heads, query.shape[0], key.shape[0])
    if dims == 2 and mask is not None and mask.ndim == 3 and tuple(mask.shape) != expected:
        raise AssertionError(
            f"Expected `attn_mask` shape to be {expected} but got {tuple(mask.shape)}"
        )
    if key.shape[:-1] != value.shape[:-1]:
        raise AssertionError(
            f"key shape {tuple(key.shape)} does not match value shape {tuple(value.shape)}: they "
            "may differ in their last axis only"
        )
    return dims == 3


def canonical_mask(
    mask: Any, name: str, other: Any, other_name: str, dtype: Any, stacklevel: int = 2
) -> Any:
    """The mask as floats to be added to the scores: -inf where a bool mask is True."""
    if mask is None:
        return None
    array = mask.array
    if array.dtype.kind not in "bf":
        raise AssertionError(f"only bool and floating types of {name} are supported")
    if other is not None and other.dtype != array.dtype:
        warnings.warn(
            f"Support for mismatched {name} and {other_name} is deprecated. Use same type for both "
            "instead.",
            stacklevel=stacklevel + 1,
        )
    if array.dtype.kind == "f":
        return mask
    return wrap_plain(xp(array).where(array, -math.inf, 0).astype(dtype))


def combined(mask: Any, padding: Any, shape: tuple[int, ...], added: int) -> Any:
    """One mask that broadcasts to `shape` (N, heads, L, S); the `added` keys are never masked."""
    batch, count, length, keys = shape
    keys -= added
    if mask is not None:
        expected = (length, keys) if mask.ndim == 2 else (batch * count, length, keys)
        if tuple(mask.shape) != expected:
            raise RuntimeError(
                f"The shape of the {mask.ndim}D attn_mask is {mask.shape}, but should be "
                f"{expected}."
            )
        if mask.ndim == 3:
            mask = mask.reshape((batch, count, length, keys))
    if padding is not None:
        for axis, size in enumerate((batch, keys)):
            if padding.shape[axis] != size:
                raise AssertionError(
                    f"Expected key_padded_mask.shape[{axis}] to be {size}, but got "
                    f"{padding.shape[axis]}"
                )
        padding = padding.reshape((batch, 1, 1, keys))
        mask = padding if mask is None else mask + padding
    if mask is not None and added:
        mask = ops.concatenate([mask, mask.new_zeros((*mask.shape[:-1], added))], axis=-1)
    return mask
