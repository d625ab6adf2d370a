"""Norms, attention, recurrent layers and look-ups have the same bits on any number of threads."""

import numpy as np
import pytest

import tinygrad_opt as T
from tinygrad_opt.kernels import pool

F = T.nn.functional


def tensor(*shape, seed=0):
    x = np.random.default_rng(seed).standard_normal(shape).astype("float32")
    return T.tensor(x, requires_grad=True)


def attention():
    q, k, v = (tensor(4, 4, 100, 32, seed=i) for i in range(3))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True), [q, k, v]


def recurrent(kind):
    T.manual_seed(0)
    layer, x = getattr(T.nn, kind)(16, 32), tensor(12, 100, 16)
    return layer(x)[0], [x, *layer.parameters()]


def lookup():
    table, index = tensor(500, 64), np.random.default_rng(0).integers(0, 500, 5000)
    return F.embedding(T.tensor(index), table), [table]


def norm(function, *shapes):
    inputs = [tensor(*shape, seed=i) for i, shape in enumerate(shapes)]
    return function(*inputs), inputs


CASES = {
    "layer norm": lambda: norm(
        lambda x, w, b: F.layer_norm(x, (256,), w, b), (2000, 256), (256,), (256,)),
    "RMS norm": lambda: norm(lambda x, w: F.rms_norm(x, (256,), w), (2000, 256), (256,)),
    "batch norm": lambda: norm(
        lambda x, w, b: F.batch_norm(x, None, None, w, b, True), (40, 32, 14, 14), (32,), (32,)),
    "batch norm of vectors": lambda: norm(
        lambda x, w, b: F.batch_norm(x, None, None, w, b, True), (3000, 100), (100,), (100,)),
    "group norm": lambda: norm(
        lambda x, w, b: F.group_norm(x, 8, w, b), (40, 32, 14, 14), (32,), (32,)),
    "attention": attention,
    "RNN": lambda: recurrent("RNN"),
    "LSTM": lambda: recurrent("LSTM"),
    "GRU": lambda: recurrent("GRU"),
    "embedding": lookup,
}  # fmt: skip


# The forms for threads are compiled here alone.
@pytest.mark.thorough
@pytest.mark.versions
@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("_whole_pool")
def test_bits_are_the_same_on_any_number_of_threads(name):
    found = []
    for count in (1, 4, 4):
        pool.resize(count)
        y, inputs = CASES[name]()
        y.backward(T.tensor(np.cos(np.arange(y.numel(), dtype="float32")).reshape(tuple(y.shape))))
        found.append([y.detach().numpy(), *(x.grad.numpy() for x in inputs)])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
