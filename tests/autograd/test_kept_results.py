"""A large relu keeps its result, not its input, whose memory is free; all else is as before."""

import weakref

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn
from tinygrad_opt.utils.checkpoint import checkpoint, checkpoint_sequential

WAYS = [tg.relu, tg.nn.functional.relu, tg.nn.ReLU(), tg.Tensor.relu]
LARGE = 20_000


def values(n=LARGE):
    x = tg.tensor(np.linspace(-1, 1, n, dtype=np.float32))
    x[:2] = tg.tensor([float("nan"), 0.0])
    return x.requires_grad_()


@pytest.mark.parametrize("relu", WAYS)
def test_the_memory_of_what_went_in_is_free(relu):
    x = values()
    between = x * 2
    memory = weakref.ref(between.array)
    y = relu(between)
    del between
    assert memory() is None
    y.sum().backward()
    expected = np.where(x.array <= 0, 0, 2)
    np.testing.assert_array_equal(x.grad.array, expected)


@pytest.mark.parametrize("n", [5, LARGE])
@pytest.mark.parametrize("relu", WAYS)
def test_second_derivatives(relu, n):
    x = values(n)
    y = relu(x * x * x)
    (g,) = tg.autograd.grad((y * y).sum(), x, create_graph=True)  # of x^6 where x > 0
    (g2,) = tg.autograd.grad(g.sum(), x)
    right = np.where(x.array <= 0, 0, 30 * x.array.astype(float) ** 4)
    np.testing.assert_allclose(g2.array, right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n", [5, LARGE])
@pytest.mark.parametrize("relu", WAYS)
def test_second_derivatives_of_a_straight_function_are_zeros(relu, n):
    x = values(n)
    weight = tg.ones(n, requires_grad=True)
    for total in ((relu(x * 2) * weight).sum(), relu(x * 2).sum(), relu(x).sum()):
        (g,) = tg.autograd.grad(total, x, create_graph=True)
        assert g.requires_grad
        (g2,) = tg.autograd.grad(g.sum(), x)
        assert not g2.array.any()


def test_what_went_in_may_be_written_to_and_what_came_out_may_not():
    x = values()
    z = x * 2
    y = z.relu()
    z.add_(1)
    (y.sum() + z.sum()).backward()
    np.testing.assert_array_equal(x.grad.array, np.where(x.array <= 0, 2, 4))
    y = (x * 2).relu()
    (y + y).sum()
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_retained_gradients_hooks_and_a_second_pass():
    x = values()
    z = x * 2
    z.retain_grad()
    seen = []
    z.register_hook(seen.append)
    y = z.relu()
    assert y.grad_fn.next_functions[0][0] is z.grad_fn
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    right = np.where(x.array <= 0, 0, 1)
    np.testing.assert_array_equal(z.grad.array, 2 * right)
    np.testing.assert_array_equal(x.grad.array, 4 * right)
    assert len(seen) == 2


def test_of_what_backward_has_freed():
    x = values()
    z = x + x
    z.sum().backward()
    z.relu().sum().backward()
    np.testing.assert_array_equal(x.grad.array, np.where(x.array <= 0, 2, 4))
    z = x.exp()
    z.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        z.relu().sum().backward()


def test_in_place_and_of_a_view():
    x = values()
    z = (x * 2).view(100, 200)
    y = z.relu_()
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.array, np.where(x.array <= 0, 0, 2))


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_checkpoints_find_what_a_large_relu_was_made_of(use_reentrant):
    def gradients(run):
        x, weight = values(), tg.ones(1, requires_grad=True)
        h = x * 2

        def layers(z):
            return (z.relu() * weight).relu() + (h + 1).relu()

        run(layers, h).nan_to_num().sum().backward()
        return x.grad.array, weight.grad.array

    found = gradients(lambda f, z: checkpoint(f, z, use_reentrant=use_reentrant))
    for a, b in zip(found, gradients(lambda f, z: f(z)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_checkpoints_of_layers():
    tg.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    x = tg.randn(16, 1, 16, 16)
    model(x).sum().backward()
    right = [p.grad.array.copy() for p in model.parameters()]
    model.zero_grad()
    checkpoint_sequential(model, 2, x).sum().backward()
    for p, g in zip(model.parameters(), right, strict=True):
        np.testing.assert_allclose(p.grad.array, g, rtol=1e-5)
