"""Scaled dot-product attention as a function of tensors; the operation is `ops.attention`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..arrays import drawing, dtypes
from ..arrays.device import device_of
from ..arrays.xp import xp
from ..core.half import widened
from ..core.public import publish
from ..core.tensor import Tensor
from .errors import check_devices

__all__ = ["scaled_dot_product_attention"]


@widened
def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, *, scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """softmax(scale * query key^T + mask) value. Vaswani et al. 2017, arXiv:1706.03762.

    query       (..., L, E)
    key, value  (..., S, E) and (..., S, V); their leading axes broadcast with those of query
    attn_mask   broadcasts to (..., L, S): True where query may look at key, or floats to be added;
                a query that may look at nothing gets zeros
    dropout_p   the probability with which each weight is zeroed, in training or not
    is_causal   query i looks at keys 0 to i; then without `attn_mask`
    scale       1 / sqrt(E) unless given
    enable_gqa  query has several heads (axis -3) for each head of key and value

    Returns (..., L, V). Raises RuntimeError for shapes, types and masks that do not fit.
    """
    _check_attention(query, key, value, attn_mask, is_causal)
    if enable_gqa:
        key, value = _spread_heads(query, key, value)
    _check_broadcast(query, key, value, attn_mask)
    length, width = query.array.shape[-2:]
    keys = key.array.shape[-2]
    if scale is None:
        scale = 1 / math.sqrt(width) if width else 1.0
    if keys == 0:
        return ops.matmul(ops.matmul(query, ops.swapaxes(key, -1, -2)), value)  # zeros
    mask, factor = additive(attn_mask, query.dtype)
    if dropout_p:
        batch = np.broadcast_shapes(query.shape[:-2], key.shape[:-2])
        kept = dropout_factor((*batch, length, keys), query, dropout_p)
        factor = kept if factor is None else kept * factor
    return ops.attention(query, key, value, mask, factor, scale=scale, causal=is_causal)


def _check_attention(query: Tensor, key: Tensor, value: Tensor, mask: Any, causal: bool) -> None:
    q, k, v = arrays = (query.array, key.array, value.array)
    check_devices("scaled_dot_product_attention", q, k)
    check_devices("scaled_dot_product_attention", q, v)
    if q.ndim < 2 or k.ndim < 2 or v.ndim < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be at least 2 dimensional, but got query.dim: "
            f"{query.ndim} key.dim: {key.ndim} and value.dim: {value.ndim} instead."
        )
    if k.dtype != q.dtype or v.dtype != q.dtype or q.dtype.kind != "f":
        q, k, v = (dtypes.name_of(a.dtype) for a in arrays)
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, a float one, but got "
            f"query.dtype: {q} key.dtype: {k} and value.dtype: {v} instead."
        )
    if mask is not None and causal:
        raise RuntimeError(
            "scaled_dot_product_attention: Explicit attn_mask should not be set when "
            "is_causal=True; put the causal mask into attn_mask"
        )
    if mask is not None and mask.dtype not in (dtypes.bool, dtypes.float32, query.dtype):
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
            f"attn_mask.dtype: {dtypes.name_of(mask.dtype)} and  query.dtype: "
            f"{dtypes.name_of(query.dtype)} instead."
        )
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise RuntimeError(
            "scaled_dot_product_attention: Expected size of query, key and value to be (..., L, E),"
            f" (..., S, E) and (..., S, V) but got: {tuple(query.shape)}, {tuple(key.shape)} and "
            f"{tuple(value.shape)}"
        )


def _check_broadcast(query: Tensor, key: Tensor, value: Tensor, mask: Any) -> None:
    """Raise RuntimeError unless leading axes, and the mask with all of the scores, broadcast."""
    q, k, v = (x.array.shape for x in (query, key, value))
    if mask is None and q[:-2] == k[:-2] == v[:-2]:
        return
    scores = (*q[:-1], k[-2])
    others = [(*shape[:-2], 1, 1) for shape in (k, v)]
    others += [] if mask is None else [mask.shape]
    for other in others:
        for i, (n, m) in enumerate(zip(scores[::-1], other[::-1], strict=False), 1):
            if n != m and 1 not in (n, m):
                raise RuntimeError(
                    f"scaled_dot_product_attention: The size of tensor a ({n}) must match the size "
                    f"of tensor b ({m}) at non-singleton dimension {len(scores) - i}: the scores "
                    f"{scores} do not broadcast with {tuple(other)}"
                )


def _spread_heads(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """key and value with each head repeated for the heads of query that share it."""
    if min(x.ndim for x in (query, key, value)) < 3:
        raise RuntimeError("enable_gqa: query, key and value need an axis of heads, the third last")
    heads = query.shape[-3]
    if any(x.shape[-3] == 0 or heads % x.shape[-3] for x in (key, value)):
        raise RuntimeError(
            "Number of heads in key and value must divide the number of heads in query, but got "
            f"{key.shape[-3]} and {value.shape[-3]} for {heads}"
        )
    spread = []
    for x in (key, value):
        *batch, few, length, width = x.shape
        each = x.reshape((*batch, few, 1, length, width))
        shape = (*batch, few, heads // few, length, width)
        spread.append(ops.broadcast_to(each, shape=shape).reshape((*batch, heads, length, width)))
    return spread[0], spread[1]


def additive(mask: Tensor | None, dtype: Any) -> tuple[Any, Any]:
    """The mask as floats to be added, and a factor that is 0 in rows without any key, or None."""
    if mask is None:
        return None, None
    array = mask.array
    if array.dtype.kind == "b":
        allowed, space = array, xp(array)
        added: Any = space.where(array, 0, -math.inf).astype(dtype)
    else:
        allowed, added = array != -math.inf, mask.to(dtype)
    alive = allowed.any(axis=-1, keepdims=True)
    if type(alive) is np.ndarray and alive.all():  # on the GPU that would be waited for
        return added, None
    return ops.where(alive, added, 0.0), alive.astype(dtype)


def dropout_factor(shape: Any, like: Tensor, p: float) -> Any:
    """An array of `shape` that is 0 with probability p, else 1 / (1 - p): what dropout keeps."""
    if not 0 <= p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p}")
    factor = 1 / (1 - p) if p < 1 else 0.0
    return drawing.chosen(shape, like.dtype, p, 0.0, factor, None, device_of(like.array))


publish(globals(), __all__)
