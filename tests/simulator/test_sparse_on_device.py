"""Row-sparse gradients on a CUDA device: coalesced, clipped, stepped, moved, as on the CPU."""

import numpy as np
import pytest
from on_device import CUDA, cupy, host

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.nn import functional as F
from tinygrad_opt.nn import utils

INDEX = np.array([[1, 4, 1], [0, 1, 2]])
TABLE = np.cos(np.arange(15.0)).reshape(5, 3).astype("float32")


def gradient(device):
    w = tg.tensor(TABLE, device=device, requires_grad=True)
    y = F.embedding(tg.tensor(INDEX, device=device), w, padding_idx=0, sparse=True)
    (y * y).sum().backward()
    return w


def test_a_gradient_lies_on_the_device():
    w, expected = gradient("cuda"), gradient("cpu").grad.coalesce()
    g = w.grad
    assert g.is_sparse
    assert g.device == CUDA
    assert type(g.array.values) is cupy.ndarray
    once = g.coalesce()
    assert host(once.indices()).tolist() == expected.indices().tolist()
    np.testing.assert_allclose(host(once.values()), expected.values(), rtol=1e-6)
    np.testing.assert_allclose(host(g.to_dense()), expected.to_dense(), rtol=1e-6)
    np.testing.assert_allclose(host(w + g), TABLE + expected.to_dense().numpy(), rtol=1e-6)
    back = g.cpu()
    assert str(back.device) == "cpu"
    np.testing.assert_allclose(back.to_dense(), expected.to_dense(), rtol=1e-6)
    w.grad = g.clone()
    with pytest.raises(RuntimeError, match="a gradient on cpu to a tensor on cuda:0"):
        w.grad = back


def test_modules_move_with_their_gradients():
    layer = nn.Embedding(5, 3, sparse=True)
    layer(tg.tensor(INDEX)).sum().backward()
    layer.to("cuda")
    assert layer.weight.grad.device == layer.weight.device == CUDA
    assert layer.weight.grad.is_sparse


@pytest.mark.parametrize("name", ["SparseAdam", "SGD", "Adagrad"])
def test_training_is_that_of_the_cpu(name):
    def run(device):
        w = tg.tensor(TABLE, device=device, requires_grad=True)
        optimizer = getattr(optim, name)([w], lr=0.1)
        norms = []
        for step in range(4):
            optimizer.zero_grad()
            index = tg.tensor((INDEX + step) % 5, device=device)
            (F.embedding(index, w, sparse=True) ** 2).sum().backward()
            norms.append(utils.clip_grad_norm_([w], 0.5).item())
            utils.clip_grad_value_([w], 0.25)
            optimizer.step()
        return w, norms

    (a, one), (b, two) = run("cuda"), run("cpu")
    np.testing.assert_allclose(host(a), b.detach(), rtol=1e-5, atol=1e-6)
    assert one == pytest.approx(two, rel=1e-6)
    assert not np.allclose(host(a), TABLE, atol=1e-3)
