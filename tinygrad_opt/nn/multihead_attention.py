"""Attention with several heads, as a function of its parameters and as a layer."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .. import functions, ops
from ..arrays.xp import xp
from ..core.public import publish
from ..core.tensor import Tensor
from ..tensors.creation import empty
from . import init
from .attention import additive, dropout_factor, scaled_dot_product_attention
from .attention_masks import canonical_mask, check_inputs, combined
from .linear import Linear
from .module import Module
from .parameter import Parameter

__all__ = [
    "MultiheadAttention", "multi_head_attention_forward",
]  # fmt: skip


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
    packed  query, key and value in one, or None
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
    packed: Projection | None = None


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
        packed=None if packed is None else Projection(packed, in_proj_bias),
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
    itself = query is key is value
    if not batched:
        heads = heads._replace(batch_axis=1)
        query, key, value = (functions.unsqueeze(x, 1) for x in (query, key, value))
        padding = None if padding is None else functions.unsqueeze(padding, 0)
    causal = is_causal and padding is None and not need_weights
    padding = canonical_mask(padding, "key_padding_mask", mask, "attn_mask", query.dtype)
    mask = None if causal else canonical_mask(mask, "attn_mask", None, "", query.dtype)

    batch, length = query.shape[heads.batch_axis], query.shape[1 - heads.batch_axis]
    if itself and not need_weights and _packs(heads, query, mask):
        output = _packed(heads, query, mask, padding, causal)
        return output if batched else functions.squeeze(output, 1), None
    q = _split(heads.query(query), heads)
    k, v, added = _keys_and_values(heads, key, value, batch)
    mask = combined(mask, padding, (batch, heads.number, length, k.shape[-2]), added)
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


def _packs(heads: Heads, x: Tensor, mask: Any) -> bool:
    """Whether query, key and value of x may go through one product, and so to one operation."""
    others = (heads.extra_key, heads.extra_value, heads.static_key, heads.static_value)
    return (
        heads.packed is not None
        and not heads.zero_key
        and all(other is None for other in others)
        and (mask is None or not mask.requires_grad)
        and x.array.dtype is heads.packed.weight.array.dtype
        and xp(x.array).fuses
    )


def _packed(heads: Heads, x: Tensor, mask: Any, padding: Any, causal: bool) -> Tensor:
    """What `attend` gives for x as query, key and value, in as few launches as there can be."""
    batch, length = x.shape[heads.batch_axis], x.shape[1 - heads.batch_axis]
    shape = (batch, heads.number, length, length)
    mask, factor = additive(combined(mask, padding, shape, 0), x.dtype)
    if heads.dropout:
        kept = dropout_factor(shape, x, heads.dropout)
        factor = kept if factor is None else kept * factor
    packed: Any = heads.packed
    scale = 1 / math.sqrt(x.shape[-1] // heads.number)
    mixed = ops.packed_attention(
        packed(x), mask, factor, heads=heads.number, scale=scale, causal=causal,
        batch_axis=heads.batch_axis,
    )  # fmt: skip
    return heads.out(mixed)


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


publish(globals(), [*__all__, "attend"])


class NonDynamicallyQuantizableLinear(Linear):
    """A Linear under the name that PyTorch prints for the output projection."""


class MultiheadAttention(Module):
    """Attention with several heads. Vaswani et al. 2017, arXiv:1706.03762.

    embed_dim      features of query and output; each of the num_heads has embed_dim / num_heads
    dropout        probability of zeroing an attention weight in training
    bias           whether the projections have biases
    add_bias_kv    one learned key and value more, the same for all sequences
    add_zero_attn  one key and value of zeros more
    kdim, vdim     features of key and value, embed_dim unless given
    batch_first    inputs are (N, L, E) instead of (L, N, E)

    Called with query (L, N, E), key (S, N, kdim), value (S, N, vdim), or all without N, it returns
    (output (L, N, E), weights (N, L, S)). `key_padding_mask` (N, S) and `attn_mask` (L, S) or
    (N * num_heads, L, S): True hides a key, floats are added to the scores. The weights are means
    over the heads, or (N, num_heads, L, S) without `average_attn_weights`; None without
    `need_weights`, which is faster. `is_causal` promises that attn_mask is the causal one.

    >>> x = Tensor([[0.0] * 4] * 3)
    >>> output, weights = MultiheadAttention(4, 2)(x, x, x)
    >>> output.shape, weights.shape
    (torch.Size([3, 4]), torch.Size([3, 3]))
    """

    in_proj_weight: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True,
        add_bias_kv: bool = False, add_zero_attn: bool = False, kdim: int | None = None,
        vdim: int | None = None, batch_first: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and "
                f"num_heads={num_heads} instead"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError(
                f"embed_dim must be divisible by num_heads, got {embed_dim} and {num_heads}"
            )
        self.add_zero_attn = add_zero_attn
        self._make_parameters(bias, add_bias_kv, dict(device=device, dtype=dtype))
        self._reset_parameters()

    def _make_parameters(self, bias: bool, add_bias_kv: bool, kind: dict[str, Any]) -> None:
        width, packed = self.embed_dim, self._qkv_same_embed_dim
        shapes = {
            "q_proj_weight": None if packed else (width, width),
            "k_proj_weight": None if packed else (width, self.kdim),
            "v_proj_weight": None if packed else (width, self.vdim),
            "in_proj_weight": (3 * width, width) if packed else None,
            "in_proj_bias": (3 * width,) if bias else None,
            "bias_k": (1, 1, width) if add_bias_kv else None,
            "bias_v": (1, 1, width) if add_bias_kv else None,
        }
        for name, shape in shapes.items():
            value = None if shape is None else Parameter(empty(shape, **kind))
            self.register_parameter(name, value)
        self.out_proj = NonDynamicallyQuantizableLinear(width, width, bias=bias, **kind)

    def _reset_parameters(self) -> None:
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            if getattr(self, name) is not None:
                init.xavier_uniform_(getattr(self, name))
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra)

    def _all_in_one(self) -> Projection | None:
        weight = self.in_proj_weight
        return None if weight is None else Projection(weight, self.in_proj_bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None,
        average_attn_weights: bool = True, is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        if query.ndim in (2, 3) and query.shape[-1] != self.embed_dim:
            raise AssertionError(
                f"was expecting embedding dimension of {self.embed_dim}, but got {query.shape[-1]}"
            )
        separate = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        to_query, to_key, to_value = projections(self.in_proj_weight, separate, self.in_proj_bias)
        heads = Heads(
            self.num_heads, to_query, to_key, to_value,
            Projection(self.out_proj.weight, self.out_proj.bias),
            extra_key=self.bias_k, extra_value=self.bias_v, zero_key=self.add_zero_attn,
            dropout=self.dropout if self.training else 0.0,
            batch_axis=0 if self.batch_first else 1,
            packed=self._all_in_one(),
        )  # fmt: skip
        return attend(
            heads, query, key, value, key_padding_mask, attn_mask, need_weights,
            average_attn_weights, is_causal,
        )  # fmt: skip
