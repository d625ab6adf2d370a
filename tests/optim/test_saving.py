"""State dicts through files: whatever a class holds, with its defaults and with every setting."""

from __future__ import annotations

import numpy as np
import problem
import pytest
import reducing
from reducing import REDUCING
from schedulers_table import CASES, advance, build, lrs, sgd
from table import OPTIMIZERS, Row

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

NAMES = dict.fromkeys(row.name for row in [*OPTIMIZERS, *REDUCING])
ROWS = [Row(name, {}) for name in NAMES] + [*OPTIMIZERS, *REDUCING]


@pytest.fixture
def through_a_file(tmp_path):
    def saved_and_loaded(state):
        tg.save(state, tmp_path / "state.safetensors")
        return tg.load(tmp_path / "state.safetensors")

    return saved_and_loaded


def go_on(row, params, optimizer, steps):
    if hasattr(optimizer, "train"):
        optimizer.train()
    for step in steps:
        for i, p in enumerate(params):
            g = problem.gradient(i, reducing.start(row)[i], step)
            p.grad = None if g is None else tg.tensor(g, dtype=p.dtype)
        optimizer.step()


@pytest.mark.thorough
@pytest.mark.parametrize("row", ROWS, ids=[row.label for row in ROWS])
def test_optimizers_go_on_to_the_bit(row, through_a_file):
    lr = {} if "lr" in row.settings or row.name != "textbook.GradientDescent" else {"lr": 0.1}
    for steps in (0, 1, 3):
        params = [tg.tensor(v, dtype=tg.float64, requires_grad=True) for v in reducing.start(row)]
        optimizer = row.cls(params, **row.settings, **lr)
        go_on(row, params, optimizer, range(steps))
        others = [p.detach().clone().requires_grad_() for p in params]
        other = row.cls(others, **row.settings, **lr)
        other.load_state_dict(through_a_file(optimizer.state_dict()))
        assert repr(other) == repr(optimizer)
        for ps, o in ((params, optimizer), (others, other)):
            go_on(row, ps, o, range(steps, steps + 12))
        assert [p.tolist() for p in params] == [p.tolist() for p in others]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_schedulers_go_on_to_the_bit(case, steps, through_a_file):
    one, two = sgd(0.1, 0.3), sgd(0.1, 0.3)
    scheduler, other = build(case, one), build(case, two)
    advance(one, scheduler, steps=steps)
    state = through_a_file({"optimizer": one.state_dict(), "scheduler": scheduler.state_dict()})
    two.load_state_dict(state["optimizer"])
    other.load_state_dict(state["scheduler"])
    for _ in range(12):
        advance(one, scheduler)
        advance(two, other)
        assert lrs(one) == lrs(two)


def least_squares(params):
    def closure():
        for p in params:
            p.grad = None
        loss = sum(((p - 3.0) ** 4).sum() for p in params)
        loss.backward()
        return loss

    return closure


@pytest.mark.parametrize("line_search_fn", [None, "strong_wolfe"])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_lbfgs_goes_on_to_the_bit(line_search_fn, steps, through_a_file):
    settings = dict(lr=0.1, max_iter=3, history_size=2, line_search_fn=line_search_fn)
    params = [tg.tensor([1.0, -2.0]).requires_grad_(), tg.tensor([0.5]).requires_grad_()]
    optimizer = optim.LBFGS(params, **settings)
    for _ in range(steps):
        optimizer.step(least_squares(params))
    others = [p.detach().clone().requires_grad_() for p in params]
    other = optim.LBFGS(others, **settings)
    other.load_state_dict(through_a_file(optimizer.state_dict()))
    for _ in range(4):
        optimizer.step(least_squares(params))
        other.step(least_squares(others))
        assert [p.tolist() for p in params] == [p.tolist() for p in others]


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_sparse_adam_goes_on_to_the_bit(steps, through_a_file):
    def go(p, optimizer, steps):
        for step in steps:
            p.grad = tg.sparse_coo_tensor([[step % 3, 1]], [[1.0], [step - 2.0]], (3, 1))
            optimizer.step()

    p = tg.ones(3, 1).requires_grad_()
    optimizer = optim.SparseAdam([p])
    go(p, optimizer, range(steps))
    q = p.detach().clone().requires_grad_()
    other = optim.SparseAdam([q])
    other.load_state_dict(through_a_file(optimizer.state_dict()))
    go(p, optimizer, range(steps, steps + 5))
    go(q, other, range(steps, steps + 5))
    assert p.tolist() == q.tolist()


@pytest.mark.parametrize(
    "settings", [{}, {"multi_avg_fn": get_ema_multi_avg_fn(0.9)}, {"use_buffers": True}]
)
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_averaged_models_go_on_to_the_bit(settings, steps, through_a_file):
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    one, two = (AveragedModel(model, **settings) for _ in range(2))

    def go(averaged, steps):
        for step in steps:
            for i, p in enumerate(model.parameters()):
                p.data = tg.tensor(np.full(p.shape, step + 0.3 * i, np.float32))
            averaged.update_parameters(model)

    go(one, range(steps))
    two.load_state_dict(through_a_file(one.state_dict()))
    for averaged in (one, two):
        go(averaged, range(steps, steps + 4))
    for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True):
        assert a.tolist() == b.tolist()


# Functions among the settings ---------------------------------------------------------------------


def test_a_function_of_ones_own_is_left_out_and_the_loaders_own_kept(through_a_file):
    def tight(step):
        return 0.5

    p, q = (tg.tensor([1.0]).requires_grad_() for _ in range(2))
    optimizer, other = (optim.ADOPT([x], lr=0.1, clip_lambda=tight) for x in (p, q))
    state = through_a_file(optimizer.state_dict())
    assert "clip_lambda" not in state["param_groups"][0]
    other.load_state_dict(state)
    assert other.param_groups[0]["clip_lambda"] is tight


@pytest.mark.parametrize("kept", ["fourth_root", None])
def test_adopts_own_settings_are_taken_over(kept, through_a_file):
    p, q = (tg.tensor([1.0]).requires_grad_() for _ in range(2))
    optimizer = optim.ADOPT([p], clip_lambda=kept)
    other = optim.ADOPT([q], clip_lambda=lambda step: 1.0)
    other.load_state_dict(through_a_file(optimizer.state_dict()))
    assert other.param_groups[0]["clip_lambda"] == kept
    with pytest.raises(ValueError, match="ADOPT: Invalid clip_lambda value: 'fifth_root'"):
        optim.ADOPT([p], clip_lambda="fifth_root")


def test_entries_that_are_no_dicts_go_through_a_file(through_a_file):
    p, q = (tg.tensor([1.0]).requires_grad_() for _ in range(2))
    optimizer, other = optim.Adam([p]), optim.Adam([q])
    optimizer.state["runs"] = 3
    other.load_state_dict(through_a_file(optimizer.state_dict()))
    assert other.state["runs"] == 3
