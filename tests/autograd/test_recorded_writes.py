"""Writing in place inside the graph: values, gradients of first and second order, and refusals.

What views have to do with it stands in `test_writes_on_views.py`.

Each program takes the library and two leaves. What it should give is said twice: by the same
program without writes in place, and by PyTorch.
"""

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import autograd


def register():
    """A table of programs, and a decorator that enters one with its equivalent without writes."""
    programs = {}

    def program(without):
        def enter(function):
            programs[function.__name__] = (function, without)
            return function

        return enter

    return programs, program


PROGRAMS, program = register()


@program(lambda m, x, w: (x * 2 + 1) * w)
def add_then_mul(m, x, w):
    y = x * 2
    y.add_(1)
    y.mul_(w)
    return y


@program(lambda m, x, w: (x * 2 + w) + (x * 2 + 1) * 3)
def consumed_before_the_write(m, x, w):
    y = x * 2
    z = y + w
    y.add_(1)
    y.mul_(3)
    return z + y


@program(lambda m, x, w: m.stack([x[:2] * t + w[1:] for t in range(3)]) ** 2)
def filling_a_buffer(m, x, w):
    out = m.zeros(3, 2, dtype=m.float64)
    for t in range(3):
        out[t] = x[:2] * t + w[1:]
    return out * out


@program(lambda m, x, w: m.cat([x[:1] * 5, w[1:] * 2]) * w)
def slices(m, x, w):
    y = x.clone()
    y[1:] = w[1:] * 2
    y[0] = y[0] * 5
    return y * w


@program(lambda m, x, w: m.cat([x[:1] * 2 + w[:1], x[1:] * 2 * w[1:]]) ** 2)
def operators_on_items(m, x, w):
    y = x * 2
    y[0] += w[0]
    y[1:] *= w[1:]
    return y * y


@program(lambda m, x, w: m.cat([x[:1] * 2, x[1:] * 2 * w[1:] + 1]) * w)
def through_a_view(m, x, w):
    y = x * 2
    v = y[1:]
    v.mul_(w[1:])
    v.add_(1)
    return y * w


@program(lambda m, x, w: (x[1:] * 2 * w[1:] + 1) ** 2)
def using_the_view(m, x, w):
    y = x * 2
    v = y[1:]
    v.mul_(w[1:])
    v.add_(1)
    return v * v


def _outer_with(m, x, w):
    y = m.outer(x, w) * 2
    rows = [y[0], m.stack([y[1, 0] * x[0], y[1, 1] * x[1], y[1, 2]]), y[2]]
    return m.stack(rows) * 3


@program(_outer_with)
def through_a_view_of_a_view(m, x, w):
    y = m.outer(x, w) * 2
    v = y.reshape(-1)[1:7]
    v[2:4].mul_(x[:2])
    return y * 3


@program(lambda m, x, w: m.where(x * w > 0.5, -3.0, x * w) * x)
def masked_fill(m, x, w):
    y = x * w
    y.masked_fill_(y > 0.5, -3.0)
    return y * x


@program(lambda m, x, w: m.where(x * 2 > 1, w, x * 2) ** 2)
def mask_index(m, x, w):
    y = x * 2
    mask = y > 1
    y[mask] = w[mask]
    return y * y


@program(lambda m, x, w: m.stack([w[0], x[1] * 2, w[1]]) ** 2)
def list_index(m, x, w):
    y = x * 2
    y[m.tensor([0, 2])] = w[:2]
    return y * y


@program(lambda m, x, w: m.stack([m.stack([w[0], x[1]]), x[:2]]) ** 2)
def number_and_list_index(m, x, w):
    y = m.zeros(2, 2, dtype=m.float64)
    y[1] = x[:2]
    y[0, m.tensor([0, 1])] = m.stack([w[0], x[1]])
    return y * y


@program(lambda m, x, w: x + (x * w).sum())
def zero(m, x, w):
    y = x * w
    z = y.sum()
    y.zero_()
    y.add_(x)
    return y + z


@program(lambda m, x, w: 2 + w)
def copy_and_fill(m, x, w):
    y = x * 1
    y.copy_(w * x)
    y.fill_(2.0)
    y += w
    return y


@program(lambda m, x, w: ((x * w * 2 + x * w) * 2 + x * w) * 2)
def a_running_sum(m, x, w):
    total = m.zeros(3, dtype=m.float64)
    for _ in range(3):
        total += x * w
        total *= 2
    return total


@program(lambda m, x, w: ((x * 3).clamp(0.5, 2.0) / w) ** 2)
def clamp_div_pow(m, x, w):
    y = x * 3
    y.clamp_(0.5, 2.0).div_(w).pow_(2)
    return y


@program(lambda m, x, w: ((x * 3 - 2 * w) + 0.5 * x * w).lerp(w, 0.3))
def with_keywords(m, x, w):
    y = x * 3
    y.sub_(w, alpha=2)
    y.addcmul_(x, w, value=0.5)
    y.lerp_(w, 0.3)
    return y


@program(lambda m, x, w: x * 3 * w * x)
def shapes(m, x, w):
    y = x * 3
    y.unsqueeze_(0)
    y.mul_(w)
    y.squeeze_(0)
    return y * x


@program(lambda m, x, w: m.outer(x, w).t() * x)
def transposed(m, x, w):
    y = m.outer(x, w)
    y.t_()
    y.mul_(x)
    return y


@program(lambda m, x, w: (x * 2).floor() * w)
def step_functions(m, x, w):
    y = x * 2
    y.floor_()
    return y * w


@program(lambda m, x, w: (x * w).relu() * w)
def relu(m, x, w):
    y = x * w
    m.relu_(y) if hasattr(m, "relu_") else y.relu_()
    return y * w


@program(lambda m, x, w: x * 2 * 0 + w)
def random_values(m, x, w):
    y = x * 2
    y.uniform_()
    y.zero_()
    y += w
    return y


@program(lambda m, x, w: (x * 2).sum() + x * 0)
def a_sum_does_not_need_its_input(m, x, w):
    y = x * 2
    z = y.sum()
    y.zero_()
    return z + y


@program(lambda m, x, w: (x * 2) ** 2 * 2)
def with_itself(m, x, w):
    y = x * 2
    y.mul_(y)
    y += y
    return y


@program(lambda m, x, w: x * 2 * (x[1] * 2) + w)
def with_a_view_of_itself(m, x, w):
    y = x * 2
    y.mul_(y[1])
    y.add_(w)
    return y


@program(lambda m, x, w: x * w.detach())
def detach(m, x, w):
    y = w * 1
    y.detach_()
    return x * y


def leaves(m):
    return [
        m.tensor(values, dtype=m.float64, requires_grad=True)
        for values in ([0.7, -1.2, 2.0], [1.5, 0.5, -0.3])
    ]


def results(m, function):
    """The value, both gradients, and the gradients of their squared sum."""
    x, w = leaves(m)
    y = function(m, x, w)
    first = m.autograd.grad(y.sum(), [x, w], create_graph=True, allow_unused=True)
    total = sum((g * g).sum() for g in first if g is not None)
    second = [None, None]
    if total.requires_grad:
        second = m.autograd.grad(total, [x, w], allow_unused=True)
    found = [y, *first, *second]
    return [np.zeros(3) if g is None else g.detach().numpy() for g in found]


programs = pytest.mark.parametrize("name", PROGRAMS)


@programs
def test_as_without_writes_in_place(name):
    function, without = PROGRAMS[name]
    for a, b in zip(results(tg, function), results(tg, without), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@programs
def test_plain_backward_gives_the_same(name):
    x, w = leaves(tg)
    PROGRAMS[name][0](tg, x, w).sum().backward()
    for leaf, g in zip((x, w), results(tg, PROGRAMS[name][1])[1:3], strict=True):
        found = np.zeros(3) if leaf.grad is None else leaf.grad.numpy()
        np.testing.assert_allclose(found, g, rtol=1e-12, atol=1e-12)


@pytest.mark.peers
@pytest.mark.parametrize("name", [name for name in PROGRAMS if "itself" not in name])
def test_as_pytorch(name, torch):  # which refuses to multiply a tensor by itself in place
    for a, b in zip(*(results(m, PROGRAMS[name][0]) for m in (tg, torch)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


# What a tensor is afterwards ----------------------------------------------------------------------


def test_it_stays_the_same_tensor_in_the_same_memory():
    x, w = leaves(tg)
    y = x * 2
    array, other = y.array, y
    assert y.mul_(w) is y
    y += 1
    y[0] = w[1]
    assert y is other
    assert y.array is array
    assert repr(y.grad_fn) == "<CopySlices>"
    assert y._version == 3


def test_retain_grad_means_the_tensor_as_it_is_at_the_end():
    x, w = leaves(tg)
    y = x * 2
    y.retain_grad()
    y.mul_(w)
    (y * y).sum().backward()
    assert y.grad.tolist() == (2 * y.detach()).tolist()


def test_hooks_of_the_old_value_stay_with_it():
    x, w = leaves(tg)
    y, seen = x * 2, []
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.mul_(w)
    y.sum().backward()
    assert seen == [w.tolist()]


def test_a_buffer_that_is_filled_for_long_holds_no_copies():
    x, _ = leaves(tg)
    out = tg.zeros(200, 3, dtype=tg.float64)
    for t in range(200):
        out[t] = x * t
    held, node = 0, out.grad_fn
    while node is not None:
        held += sum(0 if 0 in a.array.strides else a.array.nbytes for a in node.inputs)
        node = node.inputs[0].node
    assert held == 0
    out.sum().backward()
    assert x.grad.tolist() == [sum(range(200))] * 3


def test_detached_state_carried_through_many_steps():
    w = tg.tensor([0.5], requires_grad=True)
    state = tg.ones(1)
    for _ in range(50):
        state.mul_(w).add_(w)
        state.sum().backward()
        state.detach_()
    assert len(state._past) <= 3
    assert w.grad.item() == pytest.approx(100, abs=0.1)


def test_values_that_are_gone_are_not_used_for_higher_derivatives():
    x, w = leaves(tg)
    y = x * 2
    z = y.tanh()  # backward holds z, and not y
    y[0] = w[0]
    (g,) = autograd.grad(z.sum(), x, retain_graph=True)
    np.testing.assert_allclose(g.numpy(), 2 / np.cosh(2 * x.detach().numpy()) ** 2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        autograd.grad(z.sum(), x, create_graph=True)


# Refusals -----------------------------------------------------------------------------------------


def test_leaves_and_their_views_are_refused():
    x, _ = leaves(tg)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in"):
        x += 1
    for view in (x[1:], x[0], x.reshape(3, 1), x.view(1, 3)[0]):
        with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad"):
            view.mul_(2)


def test_results_must_fit():
    x, w = leaves(tg)
    with pytest.raises(RuntimeError, match=r"output with shape \[1\] doesn't match the broadcast"):
        (x[:1] * 2).add_(w)
    with pytest.raises(RuntimeError, match="Double can't be cast to the desired output type Long"):
        tg.tensor([1, 2, 3]).add_(w)
    with pytest.raises(RuntimeError, match="must match the existing size"):
        tg.zeros(3, dtype=tg.float64)[:2] = w
    y = (x * 2).float()
    y.mul_(w)
    assert y.dtype == tg.float32
    assert autograd.grad(y.sum(), x)[0].dtype == tg.float64


def test_a_history_that_was_freed_is_not_mistaken_for_another():
    x, _ = leaves(tg)
    y = x * 2
    early = y * 5
    y.add_(1)
    y.sum().backward()
    y.add_(1)
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        early.sum().backward()
