"""The contract of an optimizer, for every class: what happens around it in mid-training."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import problem
import pytest
import reducing
from reducing import REDUCING
from table import OPTIMIZERS

import tinygrad_opt as tg

ROWS = {row.name: row for row in [*OPTIMIZERS, *REDUCING]}  # the last setting of each class
OVER_ALL = {"Prodigy"}  # its step depends on all parameters
COUNTS_BY_GROUP = {"SGDScheduleFree", "AdamWScheduleFree"}  # a late group begins at step 1
every_class = pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))


def parameters(row, dtype="float64"):
    return [tg.tensor(v, dtype=getattr(tg, dtype), requires_grad=True) for v in reducing.start(row)]


def copies(params):
    return [tg.tensor(p.detach().numpy().copy(), requires_grad=True) for p in params]


def set_gradients(row, params, step):
    for i, p in enumerate(params):
        g = problem.gradient(i, reducing.start(row)[i], step)
        p.grad = None if g is None else tg.tensor(g, dtype=p.dtype)


def go_on(row, params, optimizer, steps):
    if hasattr(optimizer, "train"):
        optimizer.train()
    for step in steps:
        set_gradients(row, params, step)
        optimizer.step()


def values(params):
    return [p.tolist() for p in params]


def half_way(row, steps=13):
    params = parameters(row)
    optimizer = row.cls(params, **row.settings)
    go_on(row, params, optimizer, range(steps))
    return params, optimizer


def resumed(row, params, optimizer):
    """A new optimizer over copies of the parameters, with the state of the old one."""
    others = copies(params)
    other = row.cls(others, **row.settings)
    other.load_state_dict(optimizer.state_dict())
    return others, other


@every_class
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_and_pickles_go_on_to_the_bit(row, copied):
    params, optimizer = half_way(row)
    others, other = copied((params, optimizer))
    assert repr(other) == repr(optimizer)
    for ps, o in ((params, optimizer), (others, other)):
        go_on(row, ps, o, range(13, 20))
    assert values(params) == values(others)
    for p, q in zip(params, others, strict=True):
        assert list(optimizer.state[p]) == list(other.state[q])


@every_class
def test_state_dicts_go_on_to_the_bit(row):
    params, optimizer = half_way(row)
    others, other = resumed(row, params, optimizer)
    for ps, o in ((params, optimizer), (others, other)):
        go_on(row, ps, o, range(13, 20))
    assert values(params) == values(others)


@every_class
def test_replaced_parameters_are_gone_on_with(row):
    params, optimizer = half_way(row)
    others, other = resumed(row, params, optimizer)
    for ps in (params, others):
        ps[0].data = ps[0].data * 0.5 + 1
    for ps, o in ((params, optimizer), (others, other)):
        go_on(row, ps, o, range(13, 20))
    assert values(params) == values(others)


@every_class
def test_frozen_parameters_wait(row):
    params, optimizer = half_way(row)
    before, held = params[0].tolist(), optimizer.state.get(params[0], {})
    state = {k: v.tolist() for k, v in held.items() if isinstance(v, tg.Tensor)}
    params[0].requires_grad_(False)
    for step in range(13, 16):
        set_gradients(row, params, step)
        params[0].grad = None
        optimizer.step()
    assert params[0].tolist() == before
    assert {k: optimizer.state[params[0]][k].tolist() for k in state} == state
    params[0].requires_grad_(True)
    go_on(row, params, optimizer, range(16, 20))
    assert params[0].tolist() != before


@every_class
def test_parameters_lent_to_another_optimizer_and_back(row):
    params, optimizer = half_way(row)
    others, other = resumed(row, params, optimizer)
    guest = row.cls(params, **row.settings)  # takes them into its own buffers
    go_on(row, params, guest, range(13, 16))
    go_on(row, params, optimizer, range(16, 20))

    apart = copies(others)
    go_on(row, apart, row.cls(apart, **row.settings), range(13, 16))
    for p, q in zip(others, apart, strict=True):
        p.data = q.data
    go_on(row, others, other, range(16, 20))
    assert values(params) == values(others)


def classes_but(*names):
    chosen = [row for row in ROWS.values() if row.name not in names]
    return pytest.mark.parametrize("row", chosen, ids=lambda row: row.name)


@classes_but(*OVER_ALL)
def test_optimizers_side_by_side(row):
    """Two over disjoint parameters step as one over both."""
    together, apart = parameters(row), parameters(row)
    one = row.cls(together, **row.settings)
    two = [row.cls(ps, **row.settings) for ps in (apart[:1], apart[1:])]
    for step in range(12):
        go_on(row, together, one, range(step, step + 1))
        set_gradients(row, apart, step)
        for optimizer in two:
            if hasattr(optimizer, "train"):
                optimizer.train()
            optimizer.step()
    np.testing.assert_allclose(reducing.values(apart), reducing.values(together), rtol=1e-12)


@every_class
def test_a_closure_is_called_once_with_recording_on(row):
    a, b = parameters(row), parameters(row)
    one, two = (row.cls(ps, **row.settings) for ps in (a, b))
    seen = []
    for step in range(4):
        go_on(row, a, one, range(step, step + 1))

        def closure(step=step):
            set_gradients(row, b, step)
            seen.append(tg.is_grad_enabled())
            return 7.0 + step

        if hasattr(two, "train"):
            two.train()
        with tg.no_grad():
            assert two.step(closure) == 7.0 + step
    assert seen == [True] * 4
    assert values(a) == values(b)


@every_class
def test_a_learning_rate_may_be_a_tensor(row):
    """In every group, changed in place, copied, saved and loaded."""
    params, others = parameters(row), parameters(row)
    settings = {"lr": 0.25, **row.settings}
    rate = tg.tensor(settings["lr"], dtype=tg.float64)
    a, b = row.cls(params, **{**settings, "lr": rate}), row.cls(others, **settings)
    go_on(row, params, a, range(12))
    go_on(row, others, b, range(12))
    assert values(params) == values(others)

    rate.mul_(0.5)
    b.param_groups[0]["lr"] = settings["lr"] * 0.5
    assert isinstance(a.state_dict()["param_groups"][0]["lr"], tg.Tensor)
    twins, twin = copy.deepcopy((params, a))
    news, new = resumed(row, params, a)
    rate.mul_(2)  # theirs are their own
    a.param_groups[0]["lr"] = settings["lr"] * 0.5
    for ps, o in ((params, a), (others, b), (twins, twin), (news, new)):
        go_on(row, ps, o, range(12, 16))
    assert values(params) == values(others) == values(twins) == values(news)


@classes_but(*OVER_ALL, *COUNTS_BY_GROUP)
def test_groups_join_in_mid_training(row):
    params, others = parameters(row), parameters(row)
    optimizer, whole = row.cls(params[:2], **row.settings), row.cls(others, **row.settings)
    for step in range(14):
        if step == 5:
            optimizer.add_param_group({"params": params[2:], "tag": "late"})
        set_gradients(row, params, step)
        set_gradients(row, others, step)
        if step < 5:
            others[2].grad = None
        for o in (optimizer, whole):
            if hasattr(o, "train"):
                o.train()
            o.step()
    assert optimizer.param_groups[1]["tag"] == "late"
    np.testing.assert_allclose(reducing.values(params), reducing.values(others), rtol=1e-12)


@every_class
def test_a_gradient_that_lies_elsewhere_counts(row):
    """`p.grad.data = ...` takes the gradient out of the flat buffer without a new `.grad`."""
    a, b = half_way(row), half_way(row)
    for step in range(13, 16):
        for params, optimizer in (a, b):
            optimizer.zero_grad()
            terms = [(p * tg.tensor(problem.gradient(0, v, step))).sum()
                     for p, v in zip(params, reducing.start(row), strict=True)]  # fmt: skip
            sum(terms).backward()
        for p in a[0]:
            p.grad.data = p.grad.data * 0.5
        for p in b[0]:
            p.grad.mul_(0.5)
        a[1].step()
        b[1].step()
    assert values(a[0]) == values(b[0])
