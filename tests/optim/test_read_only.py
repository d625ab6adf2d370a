"""Gradients that may only be read: arrays of others, one number stretched; parameters that may."""

from __future__ import annotations

import numpy as np
import pytest
from reducing import REDUCING
from table import OPTIMIZERS

import tinygrad_opt as tg
from tinygrad_opt import nn, optim

ROWS = {row.name: row for row in [*OPTIMIZERS, *REDUCING]}
every_class = pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))


def read_only(*values, shape=None):
    array = np.array(values, np.float32)
    array.flags.writeable = False
    return tg.from_numpy(array.reshape(shape or array.shape))


def stretched(*values, shape=None):
    """All of them the first value, in the memory of one."""
    return tg.tensor(values[:1]).expand(len(values)) if shape is None else (
        tg.tensor(values[:1]).expand(*shape)
    )  # fmt: skip


def own(*values, shape=None):
    return tg.tensor(values).reshape(shape or (len(values),))


@every_class
@pytest.mark.parametrize("kind", [read_only, stretched])
def test_every_optimizer_steps_along_them(row, kind):
    """One that the caller keeps, and one for two parameters; all steps as with their own memory."""
    ends = []
    for make in (kind, own):
        params = [tg.tensor([[1.0, 2.0], [3.0, 4.0]]).requires_grad_() for _ in range(2)]
        optimizer = row.cls(params, **row.settings)
        if hasattr(optimizer, "train"):
            optimizer.train()
        for value in (0.5, -0.25, 1.0):
            g = make(value, value, value, value, shape=(2, 2))
            for p in params:
                p.grad = g
            optimizer.step()
            assert g.tolist() == [[value, value], [value, value]]
        ends.append([p.tolist() for p in params])
    assert ends[0] == ends[1]


@pytest.mark.parametrize("make", [read_only, stretched])
def test_what_else_is_done_to_gradients(make):
    p = tg.ones(3).requires_grad_()
    p.grad = kept = make(2.0, 2.0, 2.0)
    (p * 1.0).sum().backward()  # adds
    assert p.grad.tolist() == [3.0] * 3
    assert kept.tolist() == [2.0] * 3

    p.grad = make(2.0, 2.0, 2.0)
    optim.SGD([p]).zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0.0] * 3

    p.grad = make(2.0, 2.0, 2.0)
    assert nn.utils.clip_grad_norm_([p], 1.0).item() == pytest.approx(12**0.5)
    assert p.grad.tolist() == pytest.approx([3**-0.5] * 3)

    p.grad = make(2.0, 2.0, 2.0)
    nn.utils.clip_grad_value_([p], 1.0)
    assert p.grad.tolist() == [1.0] * 3


def test_rows_are_added_to_them():
    p = tg.ones(3, 1).requires_grad_()
    p.grad = read_only(2.0, 2.0, 2.0, shape=(3, 1))
    nn.functional.embedding(tg.tensor([1]), p, sparse=True).sum().backward()
    assert p.grad.tolist() == [[2.0], [3.0], [2.0]]


def test_lbfgs():
    p = tg.zeros(2).requires_grad_()
    optimizer = optim.LBFGS([p], lr=0.5, max_iter=1)

    def closure():
        p.grad = read_only(1.0, -1.0)
        return (p * tg.tensor([1.0, -1.0])).sum()

    optimizer.step(closure)
    assert p.tolist() == [-0.25, 0.25]


@pytest.mark.parametrize("cls", [optim.SGD, optim.Adam, optim.LAMB, optim.LBFGS])
@pytest.mark.parametrize("make", [read_only, stretched])
def test_a_parameter_that_may_only_be_read_is_refused(cls, make):
    p, q = tg.ones(3).requires_grad_(), make(1.0, 1.0, 1.0).detach().requires_grad_()
    optimizer = cls([p, q], lr=0.1)

    def closure():
        p.grad, q.grad = tg.ones(3), tg.ones(3)
        return 1.0

    closure()
    message = r"memory of param_groups\[0\]\['params'\]\[1\] may only be read .* q?p.data = p.data"
    with pytest.raises(RuntimeError, match=message):
        optimizer.step(closure)
    assert p.tolist() == [1.0] * 3
    q.data = q.data.clone()
    optimizer.step(closure)
    assert q.tolist() == p.tolist() != [1.0] * 3


def test_state_that_may_only_be_read_is_copied():
    p = tg.ones(2).requires_grad_()
    optimizer = optim.SGD([p], lr=0.1, momentum=0.5)
    p.grad = tg.ones(2)
    optimizer.step()
    optimizer.state[p]["momentum_buffer"] = read_only(2.0, 4.0)
    optimizer.step()
    assert optimizer.state[p]["momentum_buffer"].tolist() == [2.0, 3.0]
