"""`cautious=True`: steps against the gradient are taken back, the others stretched."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import optim


def stepped(optimizer, p, *gradients):
    """The change of p in the last of the steps."""
    for g in gradients:
        before = p.detach().numpy().copy()
        p.grad = tg.tensor(g, dtype=p.dtype)
        optimizer.step()
    return p.detach().numpy() - before


def pair(**settings):
    """SGD with momentum on two equal parameters, the second cautious."""
    p, q = (tg.tensor([1.0, 2.0, 4.0, 8.0]).requires_grad_() for _ in range(2))
    return p, optim.SGD([p], **settings), q, optim.SGD([q], cautious=True, **settings)


def test_what_goes_against_the_gradient_is_taken_back():
    p, plain, q, cautious = pair(lr=0.5, momentum=0.5)
    first, second = [4.0, 4.0, -4.0, 4.0], [-1.0, 1.0, 1.0, 1.0]
    a, b = stepped(plain, p, first, second), stepped(cautious, q, first, second)
    assert a.tolist() == [-0.5, -1.5, 0.5, -1.5]
    assert b.tolist() == [0.0, -3.0, 0.0, -3.0]  # two of four kept: twice as far
    assert plain.state[p]["momentum_buffer"].tolist() == (
        cautious.state[q]["momentum_buffer"].tolist()
    )


def test_nothing_changes_while_all_steps_follow_the_gradient():
    p, plain, q, cautious = pair(lr=0.5, momentum=0.5)
    gradients = [[4.0, 4.0, -4.0, 4.0], [1.0, 1.0, -1.0, 1.0]]
    stepped(plain, p, *gradients)
    stepped(cautious, q, *gradients)
    assert p.tolist() == q.tolist()


def test_each_parameter_counts_for_itself():
    p, q = tg.zeros(2).requires_grad_(), tg.zeros(4).requires_grad_()
    optimizer = optim.SGD([p, q], lr=1.0, momentum=0.5, cautious=True)
    for a, b in (([4.0, 4.0], [4.0] * 4), ([-1.0, 1.0], [-1.0, -1.0, -1.0, 1.0])):
        p.grad, q.grad = tg.tensor(a), tg.tensor(b)
        optimizer.step()
    assert len(optimizer._flat[0]) == 1
    assert p.tolist() == [-4.0, -4.0 - 2 * 3]
    assert q.tolist() == [-4.0, -4.0, -4.0, -4.0 - 4 * 3]


def test_the_stretch_is_a_thousandfold_at_most():
    p = tg.zeros(4000).requires_grad_()
    optimizer = optim.SGD([p], lr=1.0, momentum=0.5, cautious=True)
    first, second = np.full(4000, 4.0), np.full(4000, -1.0)
    second[0] = 1.0
    change = stepped(optimizer, p, first, second)
    assert change[0] == -3000.0
    assert not change[1:].any()


def test_decoupled_weight_decay_is_not_masked():
    p = tg.tensor([1.0, 1.0]).requires_grad_()
    optimizer = optim.Lion([p], lr=0.5, betas=(0.5, 0.5), weight_decay=0.5, cautious=True)
    change = stepped(optimizer, p, [4.0, 4.0], [-1.0, 1.0])
    now = 0.75 * 1 - 0.5
    assert p.tolist() == [0.75 * now, 0.75 * now - 2 * 0.5]
    assert change.shape == (2,)


def test_a_group_may_be_cautious_alone():
    p, q = (tg.zeros(2).requires_grad_() for _ in range(2))
    groups = [{"params": [p]}, {"params": [q], "cautious": True}]
    optimizer = optim.SGD(groups, lr=1.0, momentum=0.5)
    for g in ([4.0, 4.0], [-1.0, 1.0]):
        p.grad, q.grad = tg.tensor(g), tg.tensor(g)
        optimizer.step()
    assert p.tolist() == [-5.0, -7.0]
    assert q.tolist() == [-4.0, -10.0]


def test_the_option_is_in_the_group_only_if_it_is_on():
    p = tg.zeros(2).requires_grad_()
    assert "cautious" not in optim.Adam([p]).param_groups[0]  # the groups are PyTorch's
    assert optim.Adam([p], cautious=True).param_groups[0]["cautious"] is True


@pytest.mark.parametrize(
    "cls", [optim.Rprop, optim.ASGD, optim.SGDScheduleFree, optim.AdamWScheduleFree]
)
def test_where_it_makes_no_sense(cls):
    groups = [{"params": [tg.zeros(2).requires_grad_()], "cautious": True}]
    with pytest.raises(ValueError, match=f"{cls.__name__}: cautious=True is not possible"):
        cls(groups)


def test_an_empty_parameter():
    p, q = tg.zeros(0).requires_grad_(), tg.zeros(1).requires_grad_()
    optimizer = optim.Lion([p, q], lr=0.5, cautious=True)
    p.grad, q.grad = tg.zeros(0), tg.ones(1)
    optimizer.step()
    assert q.tolist() == [-0.5]
