"""Scaled dot-product attention as a function of tensors; the operation is `ops.attention`."""

from __future__ import annotations

import functools
import math
import warnings
from typing import Any, NamedTuple

import numpy as np

from .. import functions, ops
from ..arrays import dtypes, random
from ..arrays.device import device_of, to_device
from ..arrays.xp import xp
from ..core.half import widened
from ..core.public import publish
from ..core.tensor import Tensor, wrap_plain
from .errors import check_devices

__all__ = ["multi_head_attention_forward", "scaled_dot_product_attention"]


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
    length, keys = query.shape[-2], key.shape[-2]
    if scale is None:
        scale = 1 / math.sqrt(query.shape[-1]) if query.shape[-1] else 1.0
    if keys == 0:
        return ops.matmul(ops.matmul(query, ops.swapaxes(key, -1, -2)), value)  # zeros
    factor = None
    mask: Any = None
    if is_causal:
        mask = to_device(_causal(length, keys, query.dtype), device_of(query.array))
    elif attn_mask is not None:
        mask, factor = _additive(attn_mask, query.dtype)
    if dropout_p:
        batch = np.broadcast_shapes(query.shape[:-2], key.shape[:-2])
        kept = dropout_factor((*batch, length, keys), query, dropout_p)
        factor = kept if factor is None else kept * factor
    return ops.attention(query, key, value, mask, factor, scale=scale)


def _check_attention(query: Tensor, key: Tensor, value: Tensor, mask: Any, causal: bool) -> None:
    arrays = (query.array, key.array, value.array)
    for other in arrays[1:]:
        check_devices("scaled_dot_product_attention", query.array, other)
    if min(a.ndim for a in arrays) < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be at least 2 dimensional, but got query.dim: "
            f"{query.ndim} key.dim: {key.ndim} and value.dim: {value.ndim} instead."
        )
    if len({a.dtype for a in arrays}) > 1 or query.array.dtype.kind != "f":
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
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise RuntimeError(
            "scaled_dot_product_attention: Expected size of query, key and value to be (..., L, E),"
            f" (..., S, E) and (..., S, V) but got: {tuple(query.shape)}, {tuple(key.shape)} and "
            f"{tuple(value.shape)}"
        )


def _check_broadcast(query: Tensor, key: Tensor, value: Tensor, mask: Any) -> None:
    """Raise RuntimeError unless leading axes, and the mask with all of the scores, broadcast."""
    scores = (*query.shape[:-1], key.shape[-2])
    others = [(*x.shape[:-2], 1, 1) for x in (key, value)]
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


@functools.lru_cache(maxsize=32)
def _causal(length: int, keys: int, dtype: Any) -> Any:
    """(length, keys): 0 where a query may look, -inf at the keys after its own place."""
    mask = np.where(np.tri(length, keys, dtype=bool), 0, -math.inf).astype(dtype)
    mask.flags.writeable = False  # shared by all calls of this shape
    return mask


def _additive(mask: Tensor, dtype: Any) -> tuple[Any, Any]:
    """The mask as floats to be added, and a factor that is 0 in rows without any key, or None."""
    array = mask.array
    if array.dtype.kind == "b":
        allowed, space = array, xp(array)
        added: Any = space.where(array, 0, -math.inf).astype(dtype)
    else:
        allowed, added = array != -math.inf, mask.to(dtype)
    alive = allowed.any(axis=-1, keepdims=True)
    if alive.all():
        return added, None
    return ops.where(alive, added, 0.0), alive.astype(dtype)


def dropout_factor(shape: Any, like: Tensor, p: float) -> Any:
    """An array of `shape` that is 0 with probability p, else 1 / (1 - p): what dropout keeps."""
    if not 0 <= p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p}")
    kept = random.draw_uniform(tuple(shape), like.dtype, None) >= p
    factor = np.multiply(kept, 1 / (1 - p) if p < 1 else 0, dtype=like.dtype)
    return to_device(factor, device_of(like.array))


# Attention with several heads, as a function of its parameters ------------------------------------


class Projection(NamedTuple):
    """Weight and bias (or None) of a linear layer."""

    weight: Tensor
    bias: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        return ops.linear(x, self.weight, self.bias)


class Heads(NamedTuple):
    """All that attention needs beside its inputs.

    extra_key, extra_value  (1, 1, E): one more key and value for all sequences, or None
    static_key, static_value  (N * number, S, E / number) in place of the projected ones, or None
    batch_axis  0 for inputs (N, L, E), 1 for (L, N, E)
    """

    number: int
    query: Projection
    key: Projection
    value: Projection
    out: Projection
    extra_key: Tensor | None = None
    extra_value: Tensor | None = None
    static_key: Tensor | None = None
    static_value: Tensor | None = None
    zero_key: bool = False
    dropout: float = 0.0
    batch_axis: int = 1


def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int,
    in_proj_weight: Tensor | None, in_proj_bias: Tensor | None, bias_k: Tensor | None,
    bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float, out_proj_weight: Tensor,
    out_proj_bias: Tensor | None, training: bool = True, key_padding_mask: Tensor | None = None,
    need_weights: bool = True, attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False, q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None, v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None, static_v: Tensor | None = None,
    average_attn_weights: bool = True, is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """What `nn.MultiheadAttention` computes, from its parameters; see there.

    query (L, N, E), key and value (S, N, E); without N unbatched. `static_k` and `static_v`
    (N * num_heads, S, E / num_heads) stand in for the projected key and value. Returns the output
    in query's shape, and the weights or None.
    """
    if query.ndim in (2, 3) and query.shape[-1] != embed_dim_to_check:
        raise AssertionError(
            f"was expecting embedding dimension of {embed_dim_to_check}, but got {query.shape[-1]}"
        )
    if embed_dim_to_check % num_heads:
        raise AssertionError(f"embed_dim {embed_dim_to_check} not divisible by {num_heads} heads")
    separate = (q_proj_weight, k_proj_weight, v_proj_weight)
    packed = None if use_separate_proj_weight else in_proj_weight
    to_query, to_key, to_value = projections(packed, separate, in_proj_bias)
    heads = Heads(
        num_heads, to_query, to_key, to_value, Projection(out_proj_weight, out_proj_bias),
        bias_k, bias_v, static_k, static_v, add_zero_attn, dropout_p if training else 0.0,
    )  # fmt: skip
    return attend(
        heads, query, key, value, key_padding_mask, attn_mask, need_weights, average_attn_weights,
        is_causal,
    )  # fmt: skip


def projections(packed: Any, separate: tuple[Any, Any, Any], bias: Any) -> list[Projection]:
    """Those of query, key and value: from one weight of all three, or from one each."""
    if packed is not None:
        weights: Any = thirds(packed)
    elif None in separate:
        names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        missing = names[separate.index(None)]
        raise AssertionError(f"use_separate_proj_weight is True but {missing} is None")
    else:
        weights = separate
    biases = (None, None, None) if bias is None else thirds(bias)
    return [Projection(w, b) for w, b in zip(weights, biases, strict=True)]


def thirds(x: Tensor) -> tuple[Tensor, ...]:
    """`x` cut into three along its first axis."""
    n = x.shape[0] // 3
    return tuple(x[k * n : (k + 1) * n] for k in range(3))


def attend(
    heads: Heads, query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None,
    mask: Tensor | None, need_weights: bool, average: bool, is_causal: bool,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Multi-head attention, batched or not; masks as `nn.MultiheadAttention` takes them."""
    batched = check_inputs(heads.number, query, key, value, padding, mask)
    if is_causal and mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module "
            "method `generate_square_subsequent_mask` to create this mask."
        )
    if not batched:
        heads = heads._replace(batch_axis=1)
        query, key, value = (functions.unsqueeze(x, 1) for x in (query, key, value))
        padding = None if padding is None else functions.unsqueeze(padding, 0)
    causal = is_causal and padding is None and not need_weights
    padding = canonical_mask(padding, "key_padding_mask", mask, "attn_mask", query.dtype)
    mask = None if causal else canonical_mask(mask, "attn_mask", None, "", query.dtype)

    batch, length = query.shape[heads.batch_axis], query.shape[1 - heads.batch_axis]
    q = _split(heads.query(query), heads)
    k, v, added = _keys_and_values(heads, key, value, batch)
    mask = _combined(mask, padding, (batch, heads.number, length, k.shape[-2]), added)
    if need_weights:
        scores = ops.matmul(q * (1 / math.sqrt(q.shape[-1])), ops.swapaxes(k, -1, -2))
        weights = ops.softmax(scores if mask is None else scores + mask, axis=-1)
        if heads.dropout:
            weights = weights * dropout_factor(weights.shape, weights, heads.dropout)
        mixed = ops.matmul(weights, v)
    else:
        mixed = scaled_dot_product_attention(q, k, v, mask, heads.dropout, causal)
    output = heads.out(_joined(mixed, heads))
    if not batched:
        output = functions.squeeze(output, 1)
    if not need_weights:
        return output, None
    if average:
        weights = functions.mean(weights, 1)
    return output, weights if batched else functions.squeeze(weights, 0)


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


def _split(x: Tensor, heads: Heads) -> Tensor:
    """The projected (L, N, E), or (N, L, E), as (N, heads, L, E / heads)."""
    a, b, width = x.shape
    parts = x.reshape((a, b, heads.number, width // heads.number))
    return ops.transpose(parts, axes=(0, 2, 1, 3) if heads.batch_axis == 0 else (1, 2, 0, 3))


def _joined(x: Tensor, heads: Heads) -> Tensor:
    """The inverse of `_split`."""
    x = ops.transpose(x, axes=(0, 2, 1, 3) if heads.batch_axis == 0 else (2, 0, 1, 3))
    return x.reshape((*x.shape[:2], x.shape[2] * x.shape[3]))


def _keys_and_values(heads: Heads, key: Tensor, value: Tensor, batch: int) -> Any:
    """k and v (N, heads, S, E / heads), and how many keys were added to the sequence's own."""
    if (heads.extra_key is None) != (heads.extra_value is None):
        raise AssertionError("bias_k and bias_v go together, but one of them is None")
    made = []
    for x, project, extra, static, name in (
        (key, heads.key, heads.extra_key, heads.static_key, "key"),
        (value, heads.value, heads.extra_value, heads.static_value, "value"),
    ):
        if static is None:
            y = _split(project(x), heads)
        elif extra is not None:
            raise AssertionError(f"bias cannot be added to static {name}.")
        else:
            y = _static(static, name, batch, heads)
        if extra is not None:
            one = _split(extra, heads)  # (1, heads, 1, E / heads)
            y = _longer(y, ops.broadcast_to(one, shape=(batch, *one.shape[1:])))
        if heads.zero_key:
            y = _longer(y, y.new_zeros((*y.shape[:2], 1, y.shape[3])))
        made.append(y)
    return (*made, int(heads.extra_key is not None) + int(heads.zero_key))


def _static(x: Tensor, name: str, batch: int, heads: Heads) -> Tensor:
    width = heads.query.weight.shape[0] // heads.number
    if x.ndim != 3 or x.shape[0] != batch * heads.number or x.shape[2] != width:
        raise AssertionError(
            f"expecting static_{name[0]} of size ({batch * heads.number}, S, {width}), but got "
            f"{tuple(x.shape)}"
        )
    return x.reshape((batch, heads.number, x.shape[1], width))


def _longer(x: Any, more: Any) -> Tensor:
    return ops.concatenate([x, more], axis=-2)


def _combined(mask: Any, padding: Any, shape: tuple[int, ...], added: int) -> Any:
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


publish(globals(), __all__)
