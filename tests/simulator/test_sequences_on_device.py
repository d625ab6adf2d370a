"""Recurrent layers, attention and embeddings on a CUDA device give what they give on the CPU."""

import numpy as np
import pytest
from on_device import host

import tinygrad_opt as tg
from tinygrad_opt import nn
from tinygrad_opt.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

F = nn.functional
X = np.random.default_rng(0).standard_normal((5, 3, 4)).astype("float32")


def recurrent(kind):
    def run(device, x):
        layer = getattr(nn, kind)(4, 4, 2, bidirectional=True).to(device)
        packed = pack_padded_sequence(x, [2, 5, 3], enforce_sorted=False)
        padded, _ = pad_packed_sequence(layer(packed)[0], padding_value=2.0)
        cell = getattr(nn, f"{kind}Cell")(4, 4).to(device)(x[0])
        return [layer(x)[0], padded, *(cell if kind == "LSTM" else [cell])]

    return run


def transformer(device, x):
    net = nn.Transformer(4, 2, 1, 1, 8, 0.0).to(device)
    mask = net.generate_square_subsequent_mask(2, device=device)
    hidden = tg.tensor(np.arange(15).reshape(3, 5) % 5 == 4, device=device)
    return [net(x, x[:2], tgt_mask=mask, src_key_padding_mask=hidden)]


def attention(device, x):
    allowed = tg.tensor(np.arange(9).reshape(3, 3) > 2, device=device)  # nothing for the first
    with_zero = nn.MultiheadAttention(4, 2, add_bias_kv=True, add_zero_attn=True).to(device)
    return [
        F.scaled_dot_product_attention(x, x, x, is_causal=True, dropout_p=0.5),
        F.scaled_dot_product_attention(x, x, x, allowed),
        *with_zero(x, x, x),
    ]


def embeddings(device, x):
    index, offsets = (tg.tensor(i, device=device) for i in ([0, 1, 2, 1], [0, 2, 2]))
    bags = [F.embedding_bag(index, x[0], offsets, mode=mode, padding_idx=0)
            for mode in ("sum", "mean", "max")]  # fmt: skip
    table = nn.Embedding(5, 4, max_norm=0.1, scale_grad_by_freq=True).to(device)
    return [*bags, table(index), pad_sequence([x[0], x[1][:2]])]


CASES = {kind: recurrent(kind) for kind in ("RNN", "LSTM", "GRU")}
CASES |= {"transformer": transformer, "attention": attention, "embeddings": embeddings}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name):
    found = []
    for device in ("cpu", "cuda"):
        tg.manual_seed(0)
        x = tg.tensor(X, device=device, requires_grad=True)
        results = CASES[name](device, x)
        sum((y * y).sum() for y in results).backward()
        found.append([*results, x.grad])
    for cpu, cuda in zip(*found, strict=True):
        np.testing.assert_allclose(host(cuda), cpu.detach().numpy(), rtol=0, atol=5e-6)
