"""State that users put together: what is missing, of another kind or size, shared, for nobody."""

from __future__ import annotations

import numpy as np
import pytest
from test_edits import Case, every_class

import tinygrad_opt as tg
from tinygrad_opt import optim

# Their parts are looked for, or counted, while the step is on its way.
LATER = ["Adafactor", "AdamWScheduleFree", "Prodigy", "SGDScheduleFree", "SOAP"]


@every_class
def test_a_part_of_the_state_that_is_missing_is_an_error(row):
    """As in PyTorch a KeyError: half a state is never filled with zeros in silence."""
    case = Case(tg, row.name, row.settings, row.cls)
    case.go_on(range(6))
    p = case.params[0]
    entry = case.optimizer.state.get(p, {})
    names = [n for n in entry if n != "y"]
    if len(names) < 2:
        pytest.skip("without its only part the state is empty, and begins afresh")
    before = case.values()
    for name in names:
        kept = entry.pop(name)
        with pytest.raises(KeyError, match=name):
            case.go_on(range(6, 7))
        if row.name not in LATER:  # they look when p's turn comes
            np.testing.assert_array_equal(case.values(), before)
        entry[name] = kept
        before = case.values()
    case.go_on(range(6, 8))


def test_a_missing_part_is_of_no_matter_without_gradient():
    p, q = (tg.tensor([1.0]).requires_grad_() for _ in range(2))
    optimizer = optim.Adam([p, q], lr=0.1)
    p.grad = q.grad = tg.ones(1)
    optimizer.step()
    kept = optimizer.state[p].pop("exp_avg")
    p.grad = None
    optimizer.step()
    optimizer.step()
    assert q.item() == pytest.approx(0.7)
    p.grad = tg.ones(1)
    with pytest.raises(KeyError, match="exp_avg"):
        optimizer.step()
    optimizer.state[p]["exp_avg"] = kept
    optimizer.step()
    assert p.item() == pytest.approx(0.8)
    assert q.item() == pytest.approx(0.6)


def test_state_that_a_setting_brings_in_later_begins_with_zeros():
    p = tg.tensor([1.0]).requires_grad_()
    optimizer = optim.Adam([p], lr=0.1)
    for amsgrad in (False, True, False, True):
        optimizer.param_groups[0]["amsgrad"] = amsgrad
        p.grad = tg.ones(1)
        optimizer.step()
    assert optimizer.state[p]["step"].item() == 4.0
    assert optimizer.state[p]["max_exp_avg_sq"].item() == pytest.approx(1 - 0.999**4, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("step", tg.zeros(2), RuntimeError, r"step must be one number, but has shape \(2,\)"),
        ("exp_avg", tg.zeros(1, 2), RuntimeError, r"exp_avg has shape \(1, 2\), the parameter"),
        ("exp_avg_sq", 1.0, RuntimeError, r"exp_avg_sq has shape \(\), the parameter \(2,\)"),
        ("exp_avg", None, KeyError, "has no exp_avg, only step, exp_avg, exp_avg_sq"),
    ],
)
def test_state_that_does_not_fit(name, value, error, message):
    p = tg.tensor([1.0, 2.0]).requires_grad_()
    optimizer = optim.Adam([p], lr=0.1)
    p.grad = tg.ones(2)
    optimizer.step()
    optimizer.state[p][name] = value
    with pytest.raises(error, match=message):
        optimizer.step()
    assert p.tolist() == pytest.approx([0.9, 1.9])


def test_state_of_another_kind_is_converted():
    p = tg.tensor([1.0, 2.0]).requires_grad_()
    optimizer = optim.Adam([p], lr=0.1)
    optimizer.state[p] = {
        "step": 3,
        "exp_avg": np.array([1.0, 2.0]),
        "exp_avg_sq": tg.tensor([1.0, 4.0], dtype=tg.float64),
    }
    p.grad = tg.tensor([1.0, 2.0])
    optimizer.step()
    entry = optimizer.state[p]
    assert [entry[k].dtype for k in ("step", "exp_avg", "exp_avg_sq")] == [tg.float32] * 3
    assert entry["step"].item() == 4.0
    assert entry["exp_avg"].tolist() == [1.0, 2.0]


def test_state_that_was_given_before_the_first_step_is_what_the_first_step_starts_from():
    p = tg.tensor([1.0]).requires_grad_()
    optimizer = optim.Rprop([p], lr=0.1)
    optimizer.state[p] = {
        "step": tg.tensor(0.0), "prev": tg.tensor([1.0]), "step_size": tg.tensor([0.5]),
    }  # fmt: skip
    p.grad = tg.ones(1)
    optimizer.step()
    assert p.item() == pytest.approx(1 - 0.6)  # it grew by 1.2


def test_nothing_but_notes_is_no_state():
    p = tg.tensor([1.0]).requires_grad_()
    optimizer = optim.Adam([p], lr=0.1)
    optimizer.state[p]["note"] = "mine"
    for t in (1.0, 2.0):
        p.grad = tg.ones(1)
        optimizer.step()
        assert optimizer.state[p]["step"].item() == t
    assert optimizer.state[p]["note"] == "mine"
    assert p.item() == pytest.approx(0.8)


def test_state_of_parameters_in_no_group_is_kept():
    case = Case(tg, "Adam", {"lr": 0.1})
    case.go_on(range(3))
    kept = case.optimizer.state[case.params[0]]
    item = case.optimizer.param_groups[0]["params"]
    item[0] = case.spare[0]
    case.go_on(range(3, 5))
    assert case.optimizer.state[case.params[0]] is kept
    before = kept["step"].item()
    item[0] = case.params[0]
    case.params[0].grad = tg.ones_like(case.params[0])
    case.optimizer.step()
    assert kept["step"].item() == before + 1


def sharing_an_entry(library):
    a, b = (library.tensor([v], dtype=library.float64).requires_grad_() for v in (1.0, 2.0))
    optimizer = library.optim.Adam([a, b], lr=0.1)
    for step in range(6):
        a.grad = library.tensor([1.0 + step], dtype=library.float64)
        b.grad = library.tensor([-0.5], dtype=library.float64)
        optimizer.step()
        if step == 1:
            optimizer.state[b] = optimizer.state[a]
    return a.item(), b.item(), optimizer.state[a]["step"].item()


def one_parameter_twice(library):
    a = library.tensor([1.0, 2.0], dtype=library.float64).requires_grad_()
    optimizer = library.optim.SGD([a], lr=0.1, momentum=0.9, dampening=0.3)
    for step in range(6):
        a.grad = library.tensor([1.0 + step, -0.5], dtype=library.float64)
        optimizer.step()
        if step == 1:
            optimizer.param_groups[0]["params"].append(a)
        if step == 3:
            optimizer.param_groups.append({**optimizer.param_groups[0], "params": [a]})
    return [*a.tolist(), *optimizer.state[a]["momentum_buffer"].tolist()]


def two_optimizers_with_one_state(library):
    a = library.tensor([1.0, 2.0], dtype=library.float64).requires_grad_()
    one, two = (library.optim.Adam([a], lr=lr) for lr in (0.1, 0.2))
    two.state = one.state
    for step in range(6):
        a.grad = library.tensor([1.0 + step, -0.5], dtype=library.float64)
        (one if step % 2 else two).step()
    return [*a.tolist(), one.state[a]["step"].item()]


@pytest.mark.peers
@pytest.mark.parametrize(
    "run", [sharing_an_entry, one_parameter_twice, two_optimizers_with_one_state]
)
def test_sharing_follows_pytorch(torch, run):
    assert run(tg) == pytest.approx(run(torch), rel=1e-12)


def test_sharing_by_hand():
    assert sharing_an_entry(tg)[2] == 2 + 2 * 4  # both count in one entry
    assert two_optimizers_with_one_state(tg)[2] == 6
    assert one_parameter_twice(tg)[2] != 0


# LBFGS and SparseAdam -----------------------------------------------------------------------------


def lbfgs_with_another_parameter(library):
    a, b, c = (library.tensor([v], dtype=library.float64).requires_grad_() for v in (1.0, 2.0, 3.0))
    params = [a, b]
    optimizer = library.optim.LBFGS(params, max_iter=3)
    for step in range(4):

        def closure():
            for p in (a, b, c):
                p.grad = 2 * p.detach() - 1
            return sum((p * p - p).sum() for p in (a, b, c))

        optimizer.step(closure)
        if step == 1:
            optimizer.param_groups[0]["params"][1] = c
        if step == 2:
            optimizer.state[a].clear()
    return [p.item() for p in (a, b, c)]


@pytest.mark.peers
def test_lbfgs_follows_pytorch(torch):
    assert lbfgs_with_another_parameter(tg) == pytest.approx(lbfgs_with_another_parameter(torch))


def test_sparse_adam():
    a, b = (tg.zeros(3, 2).requires_grad_() for _ in range(2))
    optimizer = optim.SparseAdam([a], lr=0.1)
    for step in range(4):
        for p in (a, b):
            p.grad = tg.sparse_coo_tensor([[1]], [[1.0, -1.0]], (3, 2))
        optimizer.step()
        if step == 1:
            optimizer.param_groups[0]["params"][0] = b
        if step == 2:
            optimizer.state[b]["exp_avg"] = -optimizer.state[b]["exp_avg"]
    assert a.tolist()[1] == pytest.approx([-0.2, 0.2], rel=1e-5)
    assert b.tolist()[1][0] == pytest.approx(-0.1, abs=0.01)
    assert optimizer.state[b]["step"].item() == 2.0
