"""MultiheadAttention: attention with several heads, as a layer."""

from __future__ import annotations

from typing import Any

from ..core.tensor import Tensor
from ..tensors.creation import empty
from . import init
from .attention import Heads, Projection, attend, projections
from .linear import Linear
from .module import Module
from .parameter import Parameter

__all__ = ["MultiheadAttention"]


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
    (Size([3, 4]), Size([3, 3]))
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
            self.num_heads,
            to_query,
            to_key,
            to_value,
            Projection(self.out_proj.weight, self.out_proj.bias),
            extra_key=self.bias_k,
            extra_value=self.bias_v,
            zero_key=self.add_zero_attn,
            dropout=self.dropout if self.training else 0.0,
            batch_axis=0 if self.batch_first else 1,
        )
        return attend(
            heads, query, key, value, key_padding_mask, attn_mask, need_weights,
            average_attn_weights, is_causal,
        )  # fmt: skip
