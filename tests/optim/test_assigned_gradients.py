"""Gradients that were assigned: copied into the flat buffer, or stepped where they lie.

Whether Python looks at them or machine code, see `optim/walking.py`.
"""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import kernels, optim
from tinygrad_opt.optim import ownership

SHAPES = [(3,), (2, 2), (), (0,), (5,)]


@pytest.fixture(autouse=True, params=[False, True], ids=["Python", "machine code"])
def _looks(request, monkeypatch):
    monkeypatch.setattr(ownership, "WALKS_PAY", 0 if request.param else 1 << 62)
    monkeypatch.setattr(ownership, "MANY", 1)


def parameters():
    return [tg.ones(s).requires_grad_() for s in SHAPES]


def gradients(scale=1.0):
    arrays = (scale * np.arange(1.0, 1 + np.prod(s)).reshape(s) for s in SHAPES)
    return [tg.tensor(array, dtype=tg.float32) for array in arrays]


@pytest.fixture
def launches(monkeypatch):
    """How many elements each launch of `sgd` stepped."""
    sizes, launch = [], kernels.sgd.launch

    def counted(arrays, coefficients):
        sizes.append(arrays[0].size)
        launch(arrays, coefficients)

    monkeypatch.setattr(kernels.sgd, "launch", counted)
    return sizes


def step(optimizer, params, grads):
    """What the step takes from each parameter, with a rate of 1."""
    for p, g in zip(params, grads, strict=True):
        p.grad = g
    before = [p.detach().numpy().copy() for p in params]
    optimizer.step()
    return [b - p.detach().numpy() for b, p in zip(before, params, strict=True)]


def check(taken, grads):
    for t, g in zip(taken, grads, strict=True):
        np.testing.assert_array_equal(t, 0.0 * t if g is None else g.numpy())


def test_all_in_one_launch(launches):
    params = parameters()
    optimizer = optim.SGD(params, lr=1.0)
    for scale in (1.0, 2.0, 4.0):
        grads = gradients(scale)
        check(step(optimizer, params, grads), grads)
        assert all(p.grad is g for p, g in zip(params, grads, strict=True))
    assert launches == [13] * 3


def test_some_assigned_and_some_from_backward(launches):
    params = parameters()
    optimizer = optim.SGD(params, lr=1.0)
    for kept in ({0, 4}, {1}, {0, 1, 2, 3, 4}, set()):
        grads = gradients()
        optimizer.zero_grad()
        for i in kept:
            (params[i] * grads[i]).sum().backward()
        given = [p.grad if i in kept else grads[i] for i, p in enumerate(params)]
        check(step(optimizer, params, given), grads)
        del given
    assert launches[1:] == [13] * 3


def test_a_change_in_place_counts():
    params = parameters()
    optimizer = optim.SGD(params, lr=1.0)
    grads = gradients()
    step(optimizer, params, grads)
    grads[1].mul_(8.0)
    check(step(optimizer, params, grads), grads)


def test_missing_ones_are_left_out(launches):
    params = parameters()
    optimizer = optim.SGD(params, lr=1.0)
    step(optimizer, params, gradients())
    grads = gradients()
    grads[1] = None
    check(step(optimizer, params, grads), grads)
    assert launches == [13, 3, 6]


def test_a_gradient_that_somebody_kept_is_not_overwritten(launches):
    params = parameters()
    optimizer = optim.SGD(params, lr=1.0)
    optimizer.zero_grad()
    step(optimizer, params, gradients())
    optimizer.zero_grad()
    (params[1] * 3.0).sum().backward()
    kept = params[1].grad
    grads = gradients()
    check(step(optimizer, params, grads), grads)
    assert kept.tolist() == [[3.0, 3.0], [3.0, 3.0]]
    assert launches[1:] == [3, 4, 6]
    memory = kept.array
    del kept
    check(step(optimizer, params, grads), grads)
    assert memory.tolist() == [[3.0, 3.0], [3.0, 3.0]]
    assert launches[4:] == [3, 4, 6]
    del memory
    check(step(optimizer, params, grads), grads)
    assert launches[7:] == [13]


def test_gradients_that_lie_in_each_others_places():
    params = [tg.ones(4).requires_grad_() for _ in range(3)]
    optimizer = optim.SGD(params, lr=1.0)
    for _ in range(2):
        optimizer.zero_grad()
        for i, p in enumerate(params):
            (p * float(i + 1)).sum().backward()
        first, second = (p.grad.view(2, 2).view(4) for p in params[:2])
        grads = [second, first, tg.full((4,), 5.0)]
        taken = step(optimizer, params, grads)
        assert [t.tolist() for t in taken] == [[2.0] * 4, [1.0] * 4, [5.0] * 4]
        for p in params:
            p.grad = None
        del first, second, grads


def test_of_another_type_by_hand():
    """`.grad = ...` refuses it, `.grad.data = ...` does not: it is cast, as ever."""
    params = parameters()
    optimizer = optim.SGD(params, lr=1.0)
    step(optimizer, params, gradients())
    grads = gradients()
    for p, g in zip(params, grads, strict=True):
        p.grad = g
    grads[0].data = tg.tensor([1.0, 2.0, 4.0], dtype=tg.float64)
    before = params[0].tolist()
    optimizer.step()
    assert [b - p for b, p in zip(before, params[0].tolist(), strict=True)] == [1.0, 2.0, 4.0]


def test_of_another_size_by_hand():
    params = parameters()
    optimizer = optim.SGD(params, lr=1.0)
    step(optimizer, params, gradients())
    params[0].grad = tg.ones(3)
    params[0].grad.data = tg.ones(2)
    with pytest.raises(ValueError, match="arrays must have one size, but p has 3 elements and g"):
        optimizer.step()
