"""Version counters: who shares them, what backward notices, and what it rightly lets pass."""

import pytest

import tinygrad_opt as tg
from tinygrad_opt import autograd, optim
from tinygrad_opt.autograd import op
from tinygrad_opt.core import versions

CHANGED = r"one of the variables needed for gradient computation has been modified by an inplace"


def leaf(*values):
    return tg.tensor(values, requires_grad=True)


def write(x):
    with tg.no_grad():
        x.add_(1)


def test_counting():
    x = tg.zeros(3)
    assert x._version == 0
    x.add_(1)
    x[0] = 5
    x += 1
    x.zero_()
    assert x._version == 4
    _ = x + 1, x.numpy(), repr(x)
    assert x._version == 4


def test_who_shares_a_counter():
    x = tg.zeros(2, 3)
    sharing = [x[0], x[0, 0], x.reshape(6), x.T, x.detach(), x.expand(4, 2, 3), x[:, 1:][0]]
    x.fill_(1)
    sharing[0].fill_(2)
    assert {y._version for y in (x, *sharing)} == {2}
    apart = [x.clone(), x + 0, x[[0]], tg.tensor(x.tolist())]
    assert {y._version for y in apart} == {0}
    x.data.fill_(3)
    assert (x._version, x[0, 0].item(), x.data._version) == (2, 3, 0)


def test_a_counter_dies_with_its_memory():
    before = len(versions._stamps)
    for _ in range(5):
        tg.zeros(2).add_(1)
    assert len(versions._stamps) == before


# What an operation needs of its inputs x, w and its result y, and what it does not.

NEEDED = {
    "mul": (lambda x, w: x * w, "xw"),
    "div": (lambda x, w: x / w, "w"),
    "pow": (lambda x, w: x**2, "x"),
    "exp": (lambda x, w: x.exp(), "y"),
    "tanh": (lambda x, w: x.tanh(), "y"),
    "sqrt": (lambda x, w: x.sqrt(), "y"),
    "log": (lambda x, w: x.log(), "x"),
    "softmax": (lambda x, w: x.softmax(0), "y"),
    "matmul": (lambda x, w: x.reshape(1, 2) @ w.reshape(2, 1), "xw"),
    "linear": (lambda x, w: tg.nn.functional.linear(x.reshape(1, 2), w.reshape(1, 2)), "xw"),
    "amax": (lambda x, w: x.amax(), "x"),
    "add": (lambda x, w: x + w, ""),
    "sub": (lambda x, w: x - w, ""),
    "scaled": (lambda x, w: 3 * x, ""),
    "sum": (lambda x, w: x.sum(), ""),
    "mean": (lambda x, w: x.mean(), ""),
    "reshape": (lambda x, w: x.reshape(2, 1), ""),
    "getitem": (lambda x, w: x[1:] + 0, ""),
    "cat": (lambda x, w: tg.cat([x, w]), ""),
    "cumsum": (lambda x, w: x.cumsum(0), ""),
}
MAY_BE_NEEDED = {"div": "y", "amax": "y"}  # used where another form of the derivative does without


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("which", ["x", "w", "y"])
@pytest.mark.parametrize("view", [False, True])
def test_only_what_backward_needs_may_not_change(name, which, view):
    function, needed = NEEDED[name]
    x, w = (leaf(1.5, 2.5) * 1 for _ in range(2))
    y = function(x, w)
    changed = {"x": x, "w": w, "y": y}[which].detach()
    changed = changed.reshape(-1)[-1:] if view else changed
    changed.add_(1)
    if which in MAY_BE_NEEDED.get(name, ""):
        return
    if which in needed:
        with pytest.raises(RuntimeError, match=CHANGED):
            y.sum().backward()
    else:
        y.sum().backward()


def test_what_is_not_going_to_run_may_change():
    x, w = leaf(2.0), tg.ones(1)
    y = x * w  # the gradient of w, which nobody wants, would need x
    write(x)
    y.backward()
    assert x.grad.item() == 1
    x, w = leaf(2.0), leaf(3.0)
    h = x * w
    y = h * 5
    write(x)
    assert autograd.grad(y, h)[0].item() == 5


def test_writes_before_the_operation_do_not_count():
    x = leaf(2.0)
    for _ in range(3):
        write(x)
        (x * x).backward()
        write(x)
    assert x.grad.item() == 2 * (3 + 5 + 7)


def test_the_message():
    x = leaf(2.0, 3.0)
    y = x * x
    write(x)
    message = CHANGED + r" operation: \[float32 \[2\]\] is at version 1; expected version 0 instead"
    with pytest.raises(RuntimeError, match=message) as caught:
        y.sum().backward()
    assert "MulBackward0 needs it" in str(caught.value)
    assert ".clone()" in str(caught.value)
    write(x)
    with pytest.raises(RuntimeError, match="is at version 2; expected version an earlier one"):
        y.sum().backward()


def test_nothing_has_changed_when_it_raises():
    x = leaf(2.0)
    h = x * x
    y = h * h + x.exp()
    write(x)
    with pytest.raises(RuntimeError, match=CHANGED):
        y.backward()
    assert x.grad is None


def test_arrays_in_tuples_defaults_and_inner_functions():
    def through(hold):
        @op
        def twice(x, *, table):
            return x * 2, hold(table)

        x, table = leaf(1.0), tg.ones(1)
        y = twice(x, table=table.array)
        table.add_(1)
        return y

    def inner(t):
        def helper(g):
            return g * t

        return lambda g: helper(g)

    holders = [
        lambda t: lambda g: g * t, lambda t: lambda g, t=t: g * t, inner,
        lambda t: (lambda pair: lambda g: g * pair[0])((t, 1)),
    ]  # fmt: skip
    for hold in holders:
        with pytest.raises(RuntimeError, match=CHANGED):
            through(hold).backward()
    for hold in (lambda t: lambda g: g.reshape(t.shape), lambda t: lambda g: g * len(t.shape)):
        through(hold).backward()


def test_indices_are_watched_too():
    x, index = leaf(1.0, 2.0, 3.0), tg.tensor([0, 2])
    y = x[index]
    index.add_(-1)
    with pytest.raises(RuntimeError, match=CHANGED):
        y.sum().backward()


def test_higher_derivatives_need_the_inputs():
    x = leaf(0.5, 3.0)
    y = x.clamp(0.0, 1.0)  # backward holds where it was clipped; running it again needs x
    write(x)
    with pytest.raises(RuntimeError, match=CHANGED):
        autograd.grad(y.sum(), x, create_graph=True)
    z = x + x
    write(x)
    assert autograd.grad(z.sum(), x, create_graph=True)[0].tolist() == [2, 2]


def test_batch_norm_may_count_in_the_middle_of_a_network():
    net = tg.nn.Sequential(tg.nn.Linear(3, 3), tg.nn.BatchNorm1d(3), tg.nn.Linear(3, 1))
    net(tg.randn(4, 3)).sum().backward()
    assert net[0].weight.grad is not None


def test_a_training_loop_is_never_stopped():
    w = leaf(1.0, 2.0)
    opt = optim.SGD([w], lr=0.1, momentum=0.9)
    for _ in range(4):
        opt.zero_grad(set_to_none=False)
        (w * w).sum().backward()
        opt.step()
        with tg.no_grad():
            w.clamp_(-1, 1)


@pytest.mark.peers
@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("which", ["x", "w", "y"])
def test_raises_where_pytorch_raises(torch, name, which):
    def raises(m):
        x, w = (m.tensor([1.5, 2.5], requires_grad=True) * 1 for _ in range(2))
        y = NEEDED[name][0](x, w) if m is tg else THEIRS.get(name, NEEDED[name][0])(x, w)
        {"x": x, "w": w, "y": y}[which].detach().add_(1)
        try:
            y.sum().backward()
        except RuntimeError as error:
            return "modified by an inplace operation" in str(error)
        return False

    THEIRS = {
        "linear": lambda x, w: torch.nn.functional.linear(x.reshape(1, 2), w.reshape(1, 2)),
        "cat": lambda x, w: torch.cat([x, w]),
    }
    if name not in MAY_BE_NEEDED:
        assert raises(tg) == raises(torch)
