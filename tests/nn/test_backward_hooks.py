"""Module hooks on gradients: what they are shown, what they may change, and of whom."""

import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn
from tinygrad_opt.nn.modules import module as all_modules


class Two(nn.Module):
    def forward(self, a, b, k=1, *, c=None):
        return a * b, a + b


def shapes(grads):
    return [None if g is None else tuple(g.shape) for g in grads]


def note(log, name):
    return lambda module, *grads: log.append((name, *map(shapes, grads)))


def run(m, make):
    """The log of some hooks, and the gradients that arrive."""
    log, net = [], make(m)
    net.register_full_backward_hook(note(log, "full"))
    net.register_full_backward_pre_hook(note(log, "pre"))
    a = m.ones(2, 2, requires_grad=True)
    b = m.full((2, 2), 3.0)
    out = net(a * 1) if isinstance(net, m.nn.Linear) else net(a, b, 5)
    (out if isinstance(net, m.nn.Linear) else out[0]).sum().backward()
    return log, a.grad.tolist() if not isinstance(net, m.nn.Linear) else None


def two(m):
    class TwoOf(m.nn.Module):
        def forward(self, a, b, k=1):
            return a * b, a + b

    return TwoOf()


def test_what_hooks_are_shown():
    assert run(tg, lambda m: m.nn.Linear(2, 3))[0] == [
        ("pre", [(2, 3)]), ("full", [(2, 2)], [(2, 3)]),
    ]  # fmt: skip
    log, g = run(tg, two)
    assert log == [("pre", [(2, 2), None]), ("full", [(2, 2), (2, 2), None], [(2, 2), None])]
    assert g == [[3, 3], [3, 3]]


@pytest.mark.peers
@pytest.mark.parametrize("make", [lambda m: m.nn.Linear(2, 3), two], ids=["linear", "two"])
def test_as_pytorch(torch, make):
    assert run(tg, make) == run(torch, make)


def test_gradients_can_be_replaced():
    net, a, b = Two(), tg.ones(2, requires_grad=True), tg.full((2,), 3.0)
    first = net.register_full_backward_hook(lambda m, gi, go: (gi[0] * 10, *gi[1:]))
    net(a, b)[0].sum().backward()
    assert a.grad.tolist() == [30, 30]
    second = net.register_full_backward_pre_hook(lambda m, go: (go[0] * 2, go[1]))
    a.grad = None
    net(a, b)[0].sum().backward()
    assert a.grad.tolist() == [60, 60]
    first.remove()
    second.remove()
    a.grad = None
    net(a, b)[0].sum().backward()
    assert a.grad.tolist() == [3, 3]
    linear = nn.Linear(2, 1)
    linear.register_full_backward_pre_hook(lambda m, go: go[0] * 5)
    linear(tg.ones(1, 2)).sum().backward()
    assert linear.bias.grad.tolist() == [5]


def test_prepend():
    log, net = [], nn.Linear(2, 1)
    net.register_full_backward_hook(lambda *_: log.append("first"))
    net.register_full_backward_hook(lambda *_: log.append("second"), prepend=True)
    net(tg.ones(1, 2, requires_grad=True)).sum().backward()
    assert log == ["second", "first"]


def test_without_an_argument_that_requires_a_gradient():
    log, net = [], nn.Linear(2, 3)
    net.register_full_backward_hook(note(log, "full"))
    with pytest.warns(
        UserWarning, match="Full backward hook is firing when gradients are computed"
    ):
        net(tg.ones(4, 2)).sum().backward()
    assert log == [("full", [None], [(4, 3)])]
    net.register_full_backward_hook(lambda m, gi, go: (tg.ones(1),))
    with (
        pytest.warns(UserWarning, match="firing"),
        pytest.raises(RuntimeError, match="should always return None or None for all gradients"),
    ):
        net(tg.ones(4, 2)).sum().backward()


def test_wrong_numbers_of_gradients():
    a, b = tg.ones(2, requires_grad=True), tg.ones(2)
    net = Two()
    net.register_full_backward_hook(lambda m, gi, go: (gi[0],))
    with pytest.raises(RuntimeError, match="invalid number of grad_input, got 1, but expected 2"):
        net(a, b)[0].sum().backward()
    net = Two()
    net.register_full_backward_pre_hook(lambda m, go: (go[0],))
    with pytest.raises(RuntimeError, match="invalid number of grad_output, got 1, but expected 2"):
        net(a, b)[0].sum().backward()


def test_outputs_that_are_no_tensors():
    class Named(nn.Module):
        def forward(self, x):
            return {"y": x * 2}

    net, x = Named(), tg.ones(1, requires_grad=True)
    net.register_full_backward_hook(lambda *_: None)
    with pytest.warns(UserWarning, match="module output should be a Tensor or a tuple of Tensors"):
        net(x)["y"].backward()
    assert x.grad.item() == 2


def test_nothing_happens_without_recording():
    net = nn.Linear(2, 3)
    net.register_full_backward_hook(lambda *_: None)
    with tg.no_grad():
        assert net(tg.ones(1, 2)).grad_fn is None


def test_hooks_of_all_modules():
    log = []
    net = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    handles = [
        all_modules.register_module_full_backward_hook(lambda m, *_: log.append(type(m).__name__)),
        all_modules.register_module_full_backward_pre_hook(lambda m, _: log.append("pre")),
        all_modules.register_module_forward_hook(lambda *_: log.append("forward")),
    ]
    try:
        net(tg.ones(1, 2, requires_grad=True)).sum().backward()
    finally:
        for handle in handles:
            handle.remove()
    assert log == ["forward"] * 3 + ["pre", "pre", "Tanh", "pre", "Linear", "Sequential"]
    net(tg.ones(1, 2)).sum().backward()
    assert len(log) == 9
    old_name = all_modules.register_module_backward_hook
    assert old_name is all_modules.register_module_full_backward_hook


def test_twice_and_in_higher_derivatives():
    log, net = [], nn.Tanh()
    net.register_full_backward_hook(lambda m, gi, go: log.append(gi[0].item()))
    x = tg.tensor([0.5], requires_grad=True)
    y = net(x) + net(2 * x)
    y.backward(retain_graph=True)
    y.backward()
    assert len(log) == 4
    (g,) = tg.autograd.grad(net(x), x, create_graph=True)
    (h,) = tg.autograd.grad(g, x)
    t = tg.tanh(x).item()
    assert h.item() == pytest.approx(-2 * t * (1 - t * t), rel=1e-5)


def test_longer_path_of_nn():
    from tinygrad_opt.nn import modules

    assert modules.Linear is nn.Linear
    assert modules.module.Module is nn.Module
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        modules.Nothing  # noqa: B018
