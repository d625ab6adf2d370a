"""Inside hooks: whether operations are recorded, what may be returned, steps of an optimizer.

Rows run in both libraries where PyTorch is installed.
"""

import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim


def hooked(m, place, hook):
    """A scalar whose backward pass calls `hook`, and the leaf that it is made of."""
    x = m.ones(2, requires_grad=True)
    y = x * 2
    if place == "leaf":
        x.register_hook(hook)
    elif place == "tensor":
        y.register_hook(hook)
    elif place == "node":
        y.grad_fn.register_hook(hook)
    elif place == "node, before":
        y.grad_fn.register_prehook(hook)
    elif place == "after accumulation":
        x.register_post_accumulate_grad_hook(hook)
    else:
        layer = m.nn.Linear(2, 2)
        getattr(layer, place)(hook)
        y = layer(y)
    return (y * y).sum(), x


PLACES = ["leaf", "tensor", "node", "node, before", "after accumulation",
          "register_full_backward_hook", "register_full_backward_pre_hook"]  # fmt: skip


def modes_in(m, place, outside, **how):
    seen = []
    loss, _ = hooked(m, place, lambda *_: seen.append(m.is_grad_enabled()))
    with m.set_grad_enabled(outside):
        loss.backward(**how)
        assert m.is_grad_enabled() is outside
    return seen


@pytest.mark.parametrize("outside", [True, False])
@pytest.mark.parametrize("place", PLACES)
def test_hooks_run_unrecorded_unless_the_pass_is_recorded(place, outside):
    assert modes_in(tg, place, outside) == [False]
    assert modes_in(tg, place, outside, create_graph=True) == [True]


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:Using backward.* with create_graph")
@pytest.mark.parametrize("place", PLACES)
def test_hooks_run_unrecorded_in_pytorch(place, torch):
    for how in ({}, {"create_graph": True}):
        assert modes_in(torch, place, True, **how) == modes_in(tg, place, True, **how)


def test_recording_goes_on_after_a_hook_that_fails():
    loss, _ = hooked(tg, "tensor", lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        loss.backward()
    assert tg.is_grad_enabled()


# What hooks return -------------------------------------------------------------------------------

RETURNED = [
    ("after accumulation", lambda m: m.ones(2), RuntimeError, "hooks should return None"),
    ("after accumulation", lambda m: 1, TypeError, "expected Variable, but hook returned 'int'"),
    ("after accumulation", lambda m: False, TypeError, "but hook returned 'bool'"),
    ("leaf", lambda m: 1, TypeError, "expected Variable, but hook returned 'int'"),
    ("tensor", lambda m: m.ones(3), RuntimeError, "has changed the size of value"),
    ("tensor", lambda m: m.ones(2, dtype=m.float64), RuntimeError, "has changed the type of value"),
    ("tensor", lambda m: (m.ones(2),), TypeError, "expected Variable, but hook returned 'tuple'"),
    ("node", lambda m: 1, TypeError, "expected tuple, but hook returned 'int'"),
    ("node", lambda m: m.ones(2), TypeError, "expected tuple, but hook returned 'Tensor'"),
    ("node", lambda m: (m.ones(2),), RuntimeError, r"incorrect number of values \(got 1, but exp"),
    ("node, before", lambda m: m.ones(2), TypeError, "expected tuple, but hook returned 'Tensor'"),
    ("node, before", lambda m: (1,), TypeError, "expected Variable, but hook returned 'int'"),
    ("node, before", lambda m: (m.ones(3),), RuntimeError, "has changed the size of value"),
    ("node, before", lambda m: (None, None), RuntimeError, r"incorrect number of values \(got 2,"),
]  # fmt: skip


def check_returned(m, place, make, kind, text):
    def hook(*_):
        return make(m)

    loss, _ = hooked(m, place, hook)
    with pytest.raises(kind, match=text):
        loss.backward()


@pytest.mark.parametrize(("place", "make", "kind", "text"), RETURNED)
def test_hooks_that_return_what_they_may_not(place, make, kind, text):
    check_returned(tg, place, make, kind, text)


@pytest.mark.peers
@pytest.mark.parametrize(("place", "make", "kind", "text"), RETURNED)
def test_pytorch_refuses_the_same(place, make, kind, text, torch):
    check_returned(torch, place, make, kind, text)


# Hooks of a Function's Node -----------------------------------------------------------------------


def seen_at_a_function(m, several):
    class Scaled(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return (x * 2, y * 3) if several else x * 2

        @staticmethod
        def backward(ctx, *gs):
            return gs[0] * 2, gs[-1] * 3

    x, y = m.ones(2, requires_grad=True), m.ones(2, requires_grad=True)
    outputs = Scaled.apply(x, y)
    outputs = outputs if several else (outputs,)
    seen = []
    node = outputs[0].grad_fn
    node.register_prehook(lambda gs: seen.append([g.tolist() for g in gs]))
    node.register_prehook(lambda gs: tuple(g * 10 for g in gs))
    node.register_hook(
        lambda gi, go: seen.append([[g.tolist() for g in part] for part in (gi, go)])
    )
    node.register_hook(lambda gi, go: (gi[0] + 1, gi[1]))
    sum(z.sum() for z in outputs).backward()
    return seen, x.grad.tolist(), y.grad.tolist()


@pytest.mark.parametrize("several", [False, True])
def test_hooks_of_a_function_see_its_gradients(several):
    seen, gx, gy = seen_at_a_function(tg, several)
    n = 2 if several else 1
    assert seen == [[[1, 1]] * n, [[[20, 20], [30, 30]], [[10, 10]] * n]]
    assert (gx, gy) == ([21, 21], [30, 30])


@pytest.mark.peers
@pytest.mark.parametrize("several", [False, True])
def test_hooks_of_a_function_see_what_pytorchs_see(several, torch):
    assert seen_at_a_function(torch, several) == seen_at_a_function(tg, several)


def test_node_hooks_see_gradients_of_the_inputs_shape():
    a, b = tg.ones(3, 1, requires_grad=True), tg.ones(3, 4)
    seen = []
    product = a * b
    product.grad_fn.register_hook(lambda gi, go: seen.append((gi[0].tolist(), gi[1])))
    product.sum().backward()
    assert seen == [([[4], [4], [4]], None)]


# Stepping in the backward pass -------------------------------------------------------------------


def test_a_hook_may_write_to_the_parameter():
    def step(q):
        q.sub_(0.1 * q.grad)
        q.grad = None

    p = nn.Parameter(tg.ones(2))
    p.register_post_accumulate_grad_hook(step)
    (p * p).sum().backward()
    assert p.tolist() == pytest.approx([0.8, 0.8])
    assert p.grad is None


def trained(m, in_backward, kind, **settings):
    """Three steps of a small network, with one optimizer for each parameter in its hook, or one."""
    net = m.nn.Sequential(m.nn.Linear(2, 3), m.nn.Tanh(), m.nn.Linear(3, 1))
    for i, p in enumerate(net.parameters()):
        p.data.copy_(m.linspace(-1, 1, p.numel()).reshape(p.shape) * (i + 1) / 3)
    make = getattr(m.optim, kind)
    x = m.tensor([[1.0, -1.0], [0.5, 2.0]])
    if in_backward:
        optimizers = {p: make([p], **settings) for p in net.parameters()}

        def step(p):
            optimizers[p].step()
            optimizers[p].zero_grad()

        for p in net.parameters():
            p.register_post_accumulate_grad_hook(step)
        for _ in range(3):
            net(x).square().sum().backward()
        assert all(p.grad is None for p in net.parameters())
    else:
        optimizer = make(net.parameters(), **settings)
        for _ in range(3):
            optimizer.zero_grad()
            net(x).square().sum().backward()
            optimizer.step()
    return [p.tolist() for p in net.parameters()]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("SGD", {"lr": 0.1, "momentum": 0.9}), ("Adam", {"lr": 0.1}), ("AdamW", {"lr": 0.1})],
)
def test_optimizers_that_step_in_hooks(kind, settings):
    assert trained(tg, True, kind, **settings) == trained(tg, False, kind, **settings)


@pytest.mark.peers
def test_optimizers_that_step_in_hooks_as_pytorchs(torch):
    for ours, theirs in zip(
        trained(tg, True, "Adam", lr=0.1), trained(torch, True, "Adam", lr=0.1), strict=True
    ):
        assert tg.tensor(ours).flatten().tolist() == pytest.approx(
            torch.tensor(theirs).flatten().tolist(), rel=1e-5
        )


def test_a_stored_gradient_with_history_keeps_it():
    x = tg.tensor([3.0], requires_grad=True)
    (x * x * x).sum().backward(create_graph=True)
    (x * x).sum().backward()
    assert x.grad.item() == 27 + 6
    (g,) = tg.autograd.grad(x.grad.sum(), x)
    assert g.item() == 18


def test_an_optimizer_made_anew_in_a_hook():
    p = nn.Parameter(tg.ones(2))
    p.register_post_accumulate_grad_hook(lambda q: optim.SGD([q], lr=0.1).step())
    (p * p).sum().backward()
    assert p.tolist() == pytest.approx([0.8, 0.8])
