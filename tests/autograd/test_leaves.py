"""Leaves that change between the forward pass and backward; writes to what has no elements."""

import pytest

import tinygrad_opt as tg


@pytest.mark.parametrize("stop", [lambda x: x.requires_grad_(False), lambda x: x.detach_()])
@pytest.mark.parametrize("before", [None, 3.0])
def test_a_leaf_that_requires_no_gradient_any_more_is_given_none(stop, before):
    x, other = tg.ones(2, requires_grad=True), tg.ones(2, requires_grad=True)
    if before is not None:
        x.grad = tg.full((2,), before)
    y = x * other
    stop(x)
    y.sum().backward()
    assert other.grad.tolist() == [1, 1]
    assert (x.grad is None) if before is None else x.grad.tolist() == [before] * 2


def test_a_frozen_parameter_of_an_optimizer_stays_where_it_is():
    layer = tg.nn.Linear(3, 2)
    optimizer = tg.optim.SGD(layer.parameters(), lr=1.0)
    weight, bias = layer.weight.tolist(), layer.bias.tolist()
    loss = layer(tg.ones(4, 3)).sum()
    layer.weight.requires_grad_(False)
    loss.backward()
    assert layer.weight.grad is None
    optimizer.step()
    assert layer.weight.tolist() == weight
    assert layer.bias.tolist() == pytest.approx([b - 4 for b in bias])


@pytest.mark.parametrize("shape", [(0,), (3, 0, 5), (2, 0)])
def test_tensors_without_elements_may_be_written_to(shape):
    x = tg.zeros(shape, requires_grad=True)
    y = (x * 1).relu_()
    y.add_(1)
    y[...] = 2
    y.sum().backward()
    assert x.grad.shape == shape
