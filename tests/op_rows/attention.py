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


def packed(batch_axis, causal, factor=None):
    def call(m, x, mask=None):
        kept = None if factor is None else m.tensor(factor).array.astype(x.dtype)
        settings = dict(heads=2, scale=0.6, causal=causal, batch_axis=batch_axis)
        return ops.packed_attention(x, mask, kept, **settings)

    return call


def torch_packed(batch_axis, causal, factor=None):
    def call(torch, x):
        x = x if batch_axis == 0 else x.transpose(0, 1)
        q, k, v = x.reshape(*x.shape[:2], 3, 2, -1).permute(2, 0, 3, 1, 4)
        scores = 0.6 * q @ k.mT
        if causal:
            scores = scores + torch.full_like(scores, -torch.inf).triu(1)
        p = torch.softmax(scores, -1)
        p = p if factor is None else p * torch.tensor(factor, dtype=x.dtype)
        y = (p @ v).transpose(1, 2)
        y = y.reshape(*y.shape[:2], -1)
        return y if batch_axis == 0 else y.transpose(0, 1)

    return call


def np_packed(batch_axis, causal, factor=1.0):
    def reference(x):
        x = x if batch_axis == 0 else x.swapaxes(0, 1)
        heads = x.reshape(*x.shape[:2], 3, 2, -1).transpose(2, 0, 3, 1, 4)
        mask = np.where(np.tri(x.shape[1], dtype=bool), 0.0, -np.inf) if causal else 0.0
        y = np_attention(*heads, mask, factor, scale=0.6).transpose(0, 2, 1, 3)
        y = y.reshape(*y.shape[:2], -1)
        return y if batch_axis == 0 else y.swapaxes(0, 1)

    return reference


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
    Row("packed_attention", packed(0, False), of((2, 3, 12)), np_packed(0, False),
        torch_packed(0, False)),
    Row("packed_attention: batch second, causal", packed(1, True), of((3, 2, 12)),
        np_packed(1, True), torch_packed(1, True)),
    Row("packed_attention: dropped weights", packed(0, False, KEPT[:, :3]), of((2, 3, 12)),
        np_packed(0, False, KEPT[:, :3]), torch_packed(0, False, KEPT[:, :3])),
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
