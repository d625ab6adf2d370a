"""Transformers: encoder and decoder layers, stacks of them, and both together."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..arrays import dtypes
from ..arrays.device import Device, cupy
from ..arrays.xp import xp
from ..core.tensor import Tensor, wrap_plain
from . import functional as F
from . import init
from .attention_masks import canonical_mask
from .containers import ModuleList
from .dropout import Dropout
from .hooks import everywhere
from .linear import Linear
from .module import Module
from .multihead_attention import MultiheadAttention
from .normalization import LayerNorm

__all__ = [
    "Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder",
    "TransformerEncoderLayer",
]  # fmt: skip

Activation = str | Callable[[Tensor], Tensor]


class TransformerEncoderLayer(Module):
    """Self-attention and a feed-forward network, each with a residual and a LayerNorm.

    d_model          features of input and output
    nhead            heads of the attention
    dim_feedforward  hidden features of the feed-forward network
    dropout          on attention weights, and on what each of the two adds
    activation       "relu", "gelu" or a function, between the two linear layers
    layer_norm_eps   of the LayerNorms
    batch_first      input is (N, S, E) instead of (S, N, E)
    norm_first       the LayerNorms stand before attention and network instead of after the sum
    bias             whether linear layers and LayerNorms have one

    Called with src (S, N, E) or (S, E), src_mask (S, S) or (N * nhead, S, S) and
    src_key_padding_mask (N, S), both as `MultiheadAttention`. Vaswani et al. 2017.

    >>> layer = TransformerEncoderLayer(4, 2, dim_feedforward=8)
    >>> layer(Tensor([[0.0] * 4] * 3)).shape
    torch.Size([3, 4])
    """

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: Activation = F.relu, layer_norm_eps: float = 1e-5, batch_first: bool = False,
        norm_first: bool = False, bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        kind: dict[str, Any] = dict(bias=bias, device=device, dtype=dtype)
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout=dropout, batch_first=batch_first, **kind
        )
        self.linear1 = Linear(d_model, dim_feedforward, **kind)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **kind)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, **kind)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, **kind)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.activation = _activation(activation)

    def forward(
        self, src: Tensor, src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None, is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        def attention(x: Tensor) -> Tensor:
            return self.dropout1(
                _mixed(self.self_attn, x, x, src_mask, src_key_padding_mask, is_causal)
            )

        x = _added(src, attention, self.norm1, self.norm_first)
        return _fed_forward(self, x, self.norm2, self.dropout2)


class TransformerDecoderLayer(Module):
    """Self-attention, attention to the encoder's output, and a feed-forward network.

    Arguments as in `TransformerEncoderLayer`. Called with tgt (T, N, E) and memory (S, N, E), and
    masks for both: tgt_mask (T, T), memory_mask (T, S), tgt_key_padding_mask (N, T),
    memory_key_padding_mask (N, S).

    >>> layer = TransformerDecoderLayer(4, 2, dim_feedforward=8)
    >>> layer(Tensor([[0.0] * 4] * 3), Tensor([[0.0] * 4] * 5)).shape
    torch.Size([3, 4])
    """

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: Activation = F.relu, layer_norm_eps: float = 1e-5, batch_first: bool = False,
        norm_first: bool = False, bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        kind: dict[str, Any] = dict(bias=bias, device=device, dtype=dtype)
        heads: dict[str, Any] = dict(dropout=dropout, batch_first=batch_first, **kind)
        self.self_attn = MultiheadAttention(d_model, nhead, **heads)
        self.multihead_attn = MultiheadAttention(d_model, nhead, **heads)
        self.linear1 = Linear(d_model, dim_feedforward, **kind)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **kind)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, **kind)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, **kind)
        self.norm3 = LayerNorm(d_model, eps=layer_norm_eps, **kind)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.dropout3 = Dropout(dropout)
        self.activation = _activation(activation)

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None, tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None, tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        def to_itself(x: Tensor) -> Tensor:
            return self.dropout1(
                _mixed(self.self_attn, x, x, tgt_mask, tgt_key_padding_mask, tgt_is_causal)
            )

        def to_memory(x: Tensor) -> Tensor:
            attention, padding = self.multihead_attn, memory_key_padding_mask
            return self.dropout2(
                _mixed(attention, x, memory, memory_mask, padding, memory_is_causal)
            )

        x = _added(tgt, to_itself, self.norm1, self.norm_first)
        x = _added(x, to_memory, self.norm2, self.norm_first)
        return _fed_forward(self, x, self.norm3, self.dropout3)


class TransformerEncoder(Module):
    """`num_layers` copies of an encoder layer, one after the other, and an optional norm.

    The copies begin with the same parameters. `enable_nested_tensor` and `mask_check` are accepted
    and change nothing: padded positions are computed like the others.
    """

    def __init__(
        self, encoder_layer: Module, num_layers: int, norm: Module | None = None,
        enable_nested_tensor: bool = True, mask_check: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.layers = _copies(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check

    def forward(
        self, src: Tensor, mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:  # fmt: skip
        """src (S, N, E) through all layers; `is_causal` None looks whether `mask` is causal."""
        padding = canonical_mask(
            src_key_padding_mask, "src_key_padding_mask", mask, "mask", src.dtype
        )
        mask = canonical_mask(mask, "mask", None, "", src.dtype)
        causal = _is_causal(mask) if is_causal is None else is_causal
        x = src
        for layer in self.layers:
            x = layer(x, src_mask=mask, is_causal=causal, src_key_padding_mask=padding)
        return x if self.norm is None else self.norm(x)


class TransformerDecoder(Module):
    """`num_layers` copies of a decoder layer, one after the other, and an optional norm."""

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = _copies(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None, tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None, tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        """tgt (T, N, E) through all layers, each of which looks at memory (S, N, E)."""
        causal = _is_causal(tgt_mask) if tgt_is_causal is None else tgt_is_causal
        x = tgt
        for layer in self.layers:
            x = layer(
                x, memory, tgt_mask=tgt_mask, memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=causal,
                memory_is_causal=memory_is_causal,
            )  # fmt: skip
        return x if self.norm is None else self.norm(x)


class Transformer(Module):
    """An encoder of the source and a decoder of the target. Vaswani et al. 2017.

    custom_encoder, custom_decoder  modules to use instead; the other arguments as in the layers

    Called with src (S, N, E) and tgt (T, N, E) it returns (T, N, E). Matrices start
    Xavier-uniform.

    >>> net = Transformer(4, 2, 1, 1, dim_feedforward=8)
    >>> net(Tensor([[0.0] * 4] * 5), Tensor([[0.0] * 4] * 3)).shape
    torch.Size([3, 4])
    """

    def __init__(
        self, d_model: int = 512, nhead: int = 8, num_encoder_layers: int = 6,
        num_decoder_layers: int = 6, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: Activation = F.relu, custom_encoder: Any = None, custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5, batch_first: bool = False, norm_first: bool = False,
        bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        kind: dict[str, Any] = dict(bias=bias, device=device, dtype=dtype)

        def stack(layer: Any, whole: Any, count: int) -> Module:
            one = layer(
                d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first,
                norm_first, **kind,
            )  # fmt: skip
            return whole(one, count, LayerNorm(d_model, eps=layer_norm_eps, **kind))

        self.encoder = custom_encoder or stack(
            TransformerEncoderLayer, TransformerEncoder, num_encoder_layers
        )
        self.decoder = custom_decoder or stack(
            TransformerDecoderLayer, TransformerDecoder, num_decoder_layers
        )
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def _reset_parameters(self) -> None:
        for p in self.parameters():
            if p.ndim > 1:
                init.xavier_uniform_(p)

    def forward(
        self, src: Tensor, tgt: Tensor, src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None, memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None, tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None, src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        axis = 0 if self.batch_first else 1
        if src.ndim == 3 and src.shape[axis] != tgt.shape[axis]:
            raise RuntimeError(
                "Transformer: the batch number of src and tgt must be equal, got "
                f"{src.shape[axis]} and {tgt.shape[axis]}"
            )
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise RuntimeError(
                "Transformer: the feature number of src and tgt must be equal to d_model "
                f"{self.d_model}, got {src.shape[-1]} and {tgt.shape[-1]}"
            )
        memory = self.encoder(
            src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal
        )
        return self.decoder(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """(sz, sz) floats to be added: 0 where position i may look, -inf at those after it."""
        # Made on the GPU, if it is to lie there: each step of a model may ask for one.
        library = cupy() if Device(device or "cpu").type == "cuda" else np
        mask = library.where(library.tri(sz, dtype=bool), 0.0, -math.inf)
        return wrap_plain(mask.astype(dtype or dtypes.get_default_dtype()))


def _mixed(
    attention: Module, x: Tensor, memory: Tensor, mask: Any, padding: Any, causal: bool
) -> Tensor:
    return attention(
        x, memory, memory, attn_mask=mask, key_padding_mask=padding, need_weights=False,
        is_causal=causal,
    )[0]  # fmt: skip


def _added(x: Tensor, block: Callable[[Tensor], Tensor], norm: Module, norm_first: bool) -> Tensor:
    """x with what the block adds, normalised before the block or after the sum."""
    return x + block(norm(x)) if norm_first else norm(x + block(x))


def _fuses(x: Tensor, linear1: Any, linear2: Any, *dropouts: Any) -> bool:
    """Whether two linear layers may be operations with their neighbours.

    That is, if nobody looks at what they return, and nothing is dropped between them, nor after.
    """
    return (
        xp(x.array).fuses
        and not everywhere
        and all(type(m) is Linear and not m._hooks for m in (linear1, linear2))
        and all(type(d) is Dropout and not d._hooks and not (d.training and d.p) for d in dropouts)
    )


def _fed_forward(layer: Any, x: Tensor, norm: Module, dropout: Module) -> Tensor:
    """x with what the feed-forward network adds to it: the last part of both kinds of layers."""

    def network(x: Tensor) -> Tensor:
        return dropout(layer.linear2(layer.dropout(layer.activation(layer.linear1(x)))))

    if not _fuses(x, layer.linear1, layer.linear2, layer.dropout, dropout):
        return _added(x, network, norm, layer.norm_first)
    y = _fused_network(layer, norm(x) if layer.norm_first else x, x)
    return y if layer.norm_first else norm(y)


def _fused_network(layer: Any, x: Tensor, residual: Tensor) -> Tensor:
    """linear2(activation(linear1(x))) + residual."""
    one, two = layer.linear1, layer.linear2
    relu = layer.activation is F.relu
    hidden = ops.dense(x, one.weight, one.bias, None, relu=relu)
    if not relu:
        hidden = layer.activation(hidden)
    return ops.dense(hidden, two.weight, two.bias, residual)


def _copies(layer: Module, count: int) -> ModuleList:
    return ModuleList([copy.deepcopy(layer) for _ in range(count)])


def _activation(given: Activation) -> Callable[[Tensor], Tensor]:
    if not isinstance(given, str):
        return given
    named: dict[str, Callable[..., Tensor]] = {"relu": F.relu, "gelu": F.gelu}
    if given not in named:
        raise RuntimeError(f"activation should be relu/gelu, not {given}")
    return named[given]


def _is_causal(mask: Tensor | None) -> bool:
    """Whether a float mask is the one of `generate_square_subsequent_mask`."""
    if mask is None or mask.ndim != 2 or mask.shape[0] != mask.shape[1]:
        return False
    expected = Transformer.generate_square_subsequent_mask(
        mask.shape[0], device=mask.device, dtype=mask.dtype
    )
    return bool((mask.array == expected.array).all())
