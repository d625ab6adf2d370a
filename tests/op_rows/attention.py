"""Rows of scaled dot-product attention."""

import numpy as np
from op_rows.rows import Row, functional, normal, np_softmax, of

from tinygrad_opt import ops

KEPT = np.array([[0.0, 1.25, 1.25, 1.25], [1.25, 1.25, 0.0, 1.25], [0.0, 0.0, 1.25, 1.25]])


def np_attention(q, k, v, mask=0.0, factor=1.0, scale=None):
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    scores = scale * np.einsum("...le,...se->...ls", q, k) + mask
    return np.einsum("...ls,...sv->...lv", np_softmax(scores, -1) * factor, v)


def raw(scale, factor=None):
    def call(m, q, k, v, mask=None):
        kept = None if factor is None else m.tensor(factor).array.astype(q.dtype)
        return ops.attention(q, k, v, mask, kept, scale=scale)

    return call


def peer(scale):
    def call(torch, q, k, v, mask=None):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, mask, scale=scale)

    return call


def dropped(torch, q, k, v):
    p = torch.softmax(0.5 * q @ k.mT, -1) * torch.tensor(KEPT, dtype=q.dtype)
    return p @ v


CAUSAL = np.where(np.tri(3, 4, dtype=bool), 0.0, -np.inf)
MASKED = np.array([[True, False, True, True], [False, False, True, False], [True] * 4])
QKV = of((2, 3, 2), (2, 4, 2), (2, 4, 3))


def grouped(rng):
    return normal(rng, (4, 3, 2)), normal(rng, (2, 4, 2)), normal(rng, (2, 4, 2))


def np_grouped(q, k, v):
    return np_attention(q, k.repeat(2, 0), v.repeat(2, 0))


ATTENTION = [
    Row("attention", raw(0.7), QKV, lambda q, k, v: np_attention(q, k, v, scale=0.7), peer(0.7)),
    Row("attention: mask", raw(0.5), of((2, 3, 2), (2, 4, 2), (2, 4, 3), (3, 4)),
        lambda q, k, v, mask: np_attention(q, k, v, mask, scale=0.5), peer(0.5)),
    Row("attention: dropped weights", raw(0.5, KEPT), QKV,
        lambda q, k, v: np_attention(q, k, v, factor=KEPT, scale=0.5), dropped),
    Row("attention: shared keys", raw(0.7), of((2, 5, 3, 2), (5, 4, 2), (1, 4, 3)),
        lambda q, k, v: np_attention(q, k, v, scale=0.7), peer(0.7)),
    Row("attention: function", functional("scaled_dot_product_attention"), QKV,
        np_attention),
    Row("attention: causal",
        functional("scaled_dot_product_attention", is_causal=True), QKV,
        lambda q, k, v: np_attention(q, k, v, CAUSAL)),
    Row("attention: bool mask",
        lambda m, q, k, v: m.nn.functional.scaled_dot_product_attention(
            q, k, v, m.tensor(MASKED)),
        QKV, lambda q, k, v: np_attention(q, k, v, np.where(MASKED, 0.0, -np.inf))),
    Row("attention: groups of heads",
        functional("scaled_dot_product_attention", enable_gqa=True), grouped, np_grouped),
]  # fmt: skip
