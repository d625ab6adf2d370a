"""utils.checkpoint: the same gradients, the same random numbers, and less that is kept."""

import gc
import weakref

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import autograd, nn
from tinygrad_opt.utils.checkpoint import checkpoint, checkpoint_sequential

X = [[0.3, -1.2, 0.5], [0.7, 0.1, 2.0]]


def leaf(values=X):
    return tg.tensor(values, dtype=tg.float64, requires_grad=True)


def gradients(run, order=1):
    """Gradients of run(h, c) by x, a parameter and something closed over, of some order."""
    x, c = leaf(), leaf(2.0)
    tg.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.5)).double()
    scale = c * 1
    y = run(lambda h: (net(h * 2) * scale).sin(), x * 3)
    wanted = [x, c, net[0].weight, net[0].bias]
    found = autograd.grad((y**2).sum(), wanted, create_graph=order > 1)
    if order > 1:
        found = autograd.grad(sum((g * g).sum() for g in found), wanted)
    return [g.numpy() for g in found]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("use_reentrant", [None, True, False])
def test_gradients_are_the_same(order, use_reentrant):
    plain = gradients(lambda f, h: f(h), order)
    kept = gradients(lambda f, h: checkpoint(f, h, use_reentrant=use_reentrant), order)
    for a, b in zip(plain, kept, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_backward_reaches_parameters():
    net, x = nn.Linear(3, 2).double(), leaf()
    checkpoint(net, x).sum().backward()
    g, gx = net.weight.grad.tolist(), x.grad.tolist()
    net.zero_grad()
    x.grad = None
    net(x).sum().backward()
    assert (net.weight.grad.tolist(), x.grad.tolist()) == (g, gx)


def test_parameters_alone():
    net = nn.Linear(3, 2)
    checkpoint(net, tg.ones(4, 3)).sum().backward()
    assert net.bias.grad.tolist() == [4, 4]


def test_the_random_state_goes_on_as_if_nothing_was_repeated():
    x = leaf()
    tg.manual_seed(3)
    y = checkpoint(lambda x: x * tg.rand(3), x)
    after = tg.rand(2).tolist()
    y.sum().backward()
    later = tg.rand(2).tolist()
    tg.manual_seed(3)
    drawn = tg.rand(3)
    assert after == tg.rand(2).tolist()
    assert later == tg.rand(2).tolist()
    np.testing.assert_allclose(x.grad.numpy(), np.stack([drawn.numpy()] * 2), rtol=1e-6)
    x.grad = None
    z = checkpoint(lambda x: x * tg.rand(3), x, preserve_rng_state=False)
    z.sum().backward()
    assert not np.allclose(x.grad.numpy() * x.detach().numpy(), z.detach().numpy())


def test_several_results_and_keywords():
    def f(x, k, *, shift):
        return x * k, x + shift, x > 0

    x = leaf()
    a, b, mask = checkpoint(f, x, 3.0, shift=1.0)
    assert (mask.requires_grad, mask.dtype) == (False, tg.bool)
    (a.sum() + (b**2).sum()).backward()
    np.testing.assert_allclose(x.grad.numpy(), 3 + 2 * (x.detach().numpy() + 1))
    x.grad = None
    checkpoint(f, x, 3.0, shift=1.0)[0].sum().backward()  # one result alone
    assert x.grad.tolist() == [[3] * 3] * 2


def test_inner_values_are_not_kept():
    seen = []

    def f(x):
        y = x.exp()
        seen.append(weakref.ref(y))
        return y.sin()

    gc.disable()
    try:
        x = leaf()
        y = checkpoint(f, x)
        assert seen[0]() is None
        y.sum().backward()
        assert len(seen) == 2
        assert seen[1]() is None
        with pytest.raises(RuntimeError, match="second time"):
            y.sum().backward()
    finally:
        gc.enable()


def test_without_gradients():
    calls = []

    def f(x):
        calls.append(1)
        return x * 2

    assert checkpoint(f, tg.ones(2)).grad_fn is None
    with tg.no_grad():
        assert checkpoint(f, leaf()).grad_fn is None
    assert len(calls) == 2


def test_a_changed_input_is_noticed():
    x = leaf() * 1
    y = checkpoint(lambda x: x + 1, x)
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


WRITING = {
    "to the argument": lambda x, w: x.mul_(2.0) * w,
    "to the argument, which is returned": lambda x, w: x.add_(w),
    "to a part of it": lambda x, w: x.__setitem__(0, w[1]) or x.exp(),
    "to a view of it": lambda x, w: x[0].mul_(3.0) * w + x.exp(),
    "to what it closes over": lambda x, w: w.mul_(x).sin(),
    "to its own": lambda x, w: (x * w).add_(w).mul_(x),
    "to its own, by parts": lambda x, w: filled(x, w),
}


def filled(x, w):
    y = tg.zeros(2, 3, dtype=tg.float64)
    y[0] = x[1] * w[0]
    y[1] += x[0].exp()
    return y


@pytest.mark.parametrize("use_reentrant", [True, False])
@pytest.mark.parametrize("name", WRITING)
def test_functions_that_write_in_place(name, use_reentrant):
    def run(how):
        x, w = leaf(), leaf()
        a, b = x * 1.5, w + 1
        y = how(lambda a: WRITING[name](a, b), a)
        g = autograd.grad((y * y + a).sum(), [x, w], create_graph=True)
        return [a, b, y, *g, *autograd.grad((g[0] * g[1]).sum(), [x, w])]

    plain = run(lambda function, a: function(a))
    for kept, expected in zip(
        run(lambda function, a: checkpoint(function, a, use_reentrant=use_reentrant)), plain,
        strict=True,
    ):  # fmt: skip
        np.testing.assert_allclose(kept.detach(), expected.detach())


def test_checkpoints_in_checkpoints():
    x = leaf()
    checkpoint(lambda x: checkpoint(lambda x: x.exp(), x * 2).sin(), x).sum().backward()
    e = np.exp(2 * x.detach().numpy())
    np.testing.assert_allclose(x.grad.numpy(), np.cos(e) * e * 2)


@pytest.mark.parametrize("segments", [1, 2, 3, 4])
def test_checkpoint_sequential(segments):
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 1)).double()
    x = leaf()
    net(x).sum().backward()
    expected, x.grad = x.grad.numpy(), None
    runs = []
    net.register_forward_hook(lambda *_: runs.append(1))
    y = checkpoint_sequential(net, segments, x, use_reentrant=False)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), expected)
    assert checkpoint_sequential([tg.exp, tg.sin], 2, tg.zeros(1)).item() == pytest.approx(0.841471)
    with pytest.raises(ValueError, match="segments must be between 1 and 4, got 5"):
        checkpoint_sequential(net, 5, x)


def test_an_argument_made_of_another():
    x = leaf()
    checkpoint(lambda a, b: a * b, x, x * 2).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 4 * x.detach().numpy())
    (g,) = tg.autograd.grad(checkpoint(lambda a, b: a * b, x, x * 2).sum(), x, create_graph=True)
    np.testing.assert_allclose(tg.autograd.grad(g.sum(), x)[0].numpy(), np.full(x.shape, 4.0))


def test_hooks_of_what_it_uses_run_once():
    x = leaf()
    seen = []
    x.register_hook(lambda g: seen.append(1) or g * 3)
    y = x * 2
    y.register_hook(lambda g: seen.append(2) or g * 5)
    checkpoint(lambda a, b: a + b, x, y).sum().backward()
    assert sorted(seen) == [1, 2]
    np.testing.assert_allclose(x.grad.numpy(), np.full(x.shape, 33.0))


@pytest.mark.peers
def test_as_pytorch(torch):
    from torch.utils.checkpoint import checkpoint as theirs

    def run(m, checkpoint):
        x = m.tensor(X, requires_grad=True)
        w = m.tensor([0.5, 1.0, -1.0], requires_grad=True)
        y = checkpoint(lambda x: (x * w).exp(), x * 2, use_reentrant=False)
        return [g.numpy() for g in m.autograd.grad((y * y).sum(), [x, w])]

    for a, b in zip(run(tg, checkpoint), run(torch, theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
