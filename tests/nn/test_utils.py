"""Clipping gradients, and parameters as one vector."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_opt as T
from tinygrad_opt import nn
from tinygrad_opt.nn import utils


def with_grads(*grads):
    parameters = []
    for g in grads:
        p = nn.Parameter(T.zeros(1 if g is None else len(g)))
        p.grad = None if g is None else T.tensor(g)
        parameters.append(p)
    return parameters


def grads(parameters):
    return [None if p.grad is None else p.grad.tolist() for p in parameters]


def test_clipping_scales_all_gradients_by_one_factor():
    ps = with_grads([3.0], None, [0.0, 4.0])
    norm = utils.clip_grad_norm_(iter(ps), 1.0)
    assert norm.item() == 5
    assert norm.shape == ()
    assert norm.dtype == np.float32
    factor = np.float32(1 / (5 + 1e-6))
    expected = [[3 * factor], None, [0, 4 * factor]]
    assert grads(ps)[1] is None
    np.testing.assert_allclose(grads(ps)[0] + grads(ps)[2], expected[0] + expected[2], rtol=1e-6)


def test_a_small_norm_is_left_alone():
    ps = with_grads([3.0], [4.0])
    assert utils.clip_grad_norm_(ps, 5.1).item() == 5
    assert grads(ps) == [[3.0], [4.0]]
    assert utils.clip_grad_norm_(ps[0], 1.0).item() == 3  # a single Tensor
    assert utils.clip_grad_norm_([], 1.0).tolist() == 0
    assert utils.clip_grad_norm_(with_grads(None), 1.0).tolist() == 0


@pytest.mark.parametrize(
    ("order", "expected"),
    [(1, 7.0), (2, 5.0), (3.0, 91 ** (1 / 3)), (math.inf, 4.0), (-math.inf, 3.0),
     (-1, 1 / (1 / 3 + 1 / 4))],
)  # fmt: skip
def test_orders(order, expected):
    for ps in (with_grads([3.0], [-4.0]), with_grads([3.0, -4.0])):
        assert utils.clip_grad_norm_(ps, 0.5, order).item() == pytest.approx(expected, rel=1e-6)
        assert ps[0].grad[0].item() == pytest.approx(3 * 0.5 / (expected + 1e-6), rel=1e-6)


def test_the_norm_does_not_lose_small_gradients():
    ps = [nn.Parameter(T.zeros(1_000_000))]
    ps[0].grad = T.full((1_000_000,), 1e-4)
    norm = utils.get_total_norm([ps[0].grad])
    assert norm.item() == pytest.approx(0.1, rel=1e-7)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_norm_that_is_not_finite(bad):
    ps = with_grads([1.0], [2.0, bad], [3.0])
    before = str(grads(ps))
    with pytest.raises(RuntimeError, match=r"(?s)total norm of order 2.0 .* is non-finite.*\[1\]"):
        utils.clip_grad_norm_(ps, 1.0, error_if_nonfinite=True)
    with pytest.raises(RuntimeError, match="non-finite"):
        utils.get_total_norm([p.grad for p in ps], error_if_nonfinite=True)
    assert str(grads(ps)) == before
    if math.isnan(bad):
        assert math.isnan(utils.clip_grad_norm_(ps, 1.0).item())
        assert all(math.isnan(g) for p in grads(ps) for g in p)
    else:
        assert utils.clip_grad_norm_(ps[::2], 1.0).item() == pytest.approx(math.sqrt(10))


def test_an_infinite_norm_zeroes_the_finite_gradients():
    ps = with_grads([1.0], [2.0])
    utils.clip_grads_with_norm_(ps, 1.0, T.tensor(math.inf))
    assert grads(ps) == [[0.0], [0.0]]


def test_gradients_of_both_precisions_and_any_layout():
    p = nn.Parameter(T.zeros(2, 3, dtype=T.float64))
    p.grad = T.from_numpy(np.arange(6.0).reshape(3, 2).T)
    q = nn.Parameter(T.zeros(1))
    q.grad = T.ones(1)
    norm = utils.clip_grad_norm_([p, q], 1e9)
    assert norm.item() == pytest.approx(math.sqrt(56), rel=1e-15)
    assert norm.dtype == np.float64
    with pytest.raises(TypeError, match="expected float tensors, got int64"):
        utils.get_total_norm([T.tensor([1])])


def test_clip_grad_value():
    ps = with_grads([3.0, -0.5], None, [-4.0])
    utils.clip_grad_value_(ps, 1)
    assert grads(ps) == [[1.0, -0.5], None, [-1.0]]


def test_parameters_as_a_vector():
    net = nn.Linear(2, 2)
    vector = utils.parameters_to_vector(net.parameters())
    assert vector.shape == (6,)
    vector.sum().backward()
    assert net.weight.grad.tolist() == [[1, 1], [1, 1]]
    array = net.weight.array
    utils.vector_to_parameters(T.arange(6.0), net.parameters())
    assert net.weight.tolist() == [[0, 1], [2, 3]]
    assert net.bias.tolist() == [4, 5]
    assert net.weight.array is array
    for n in (5, 7):
        with pytest.raises(RuntimeError, match="the parameters hold 6 elements"):
            utils.vector_to_parameters(T.zeros(n), net.parameters())
    with pytest.raises(TypeError, match=r"expected torch.Tensor, but got: list"):
        utils.vector_to_parameters([1.0], net.parameters())
