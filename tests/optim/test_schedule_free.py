"""Schedule-free optimizers: their two modes, which cannot be forgotten silently."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import problem
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim

MAKERS = {
    "SGD": lambda ps: optim.SGDScheduleFree(ps, lr=0.1, weight_decay=0.01, warmup_steps=5),
    "AdamW": lambda ps: optim.AdamWScheduleFree(ps, lr=0.1, weight_decay=0.01, warmup_steps=5),
}
both = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def trained(make, steps=range(20), dtype="float32", params=None, optimizer=None):
    params = problem.parameters(tg, dtype) if params is None else params
    optimizer = make(params) if optimizer is None else optimizer
    problem.go_on(tg, params, optimizer, steps)
    return params, optimizer


def values(params):
    return [p.tolist() for p in params]


@both
def test_a_step_outside_of_train_mode_raises(make):
    params = problem.parameters(tg, "float32")
    optimizer = make(params)
    with pytest.raises(RuntimeError, match="was not in train mode when step is called"):
        optimizer.step()
    trained(make, range(3), params=params, optimizer=optimizer)
    before = values(params)
    optimizer.eval()
    with pytest.raises(RuntimeError, match=r"call optimizer.train\(\) before training"):
        optimizer.step()
    optimizer.train()
    assert values(params) == before


@both
def test_evaluating_in_between_does_not_change_a_bit(make):
    params, optimizer = trained(make, range(10))
    others, other = trained(make, range(10))
    for _ in range(3):
        other.eval()
        assert values(others) != values(params)
        other.train()
        assert values(others) == values(params)
    trained(make, range(10, 20), params=params, optimizer=optimizer)
    trained(make, range(10, 20), params=others, optimizer=other)
    assert values(others) == values(params)


@both
def test_modes_may_be_set_twice(make):
    params, optimizer = trained(make)
    optimizer.train()
    y = values(params)
    optimizer.eval()
    x = values(params)
    optimizer.eval()
    assert values(params) == x
    optimizer.train()
    assert values(params) == y


def test_the_result_is_the_average_of_z():
    """With r = 0, no warm-up and a constant rate all weights are equal."""
    p = tg.tensor([1.0], dtype=tg.float64).requires_grad_()
    optimizer = optim.SGDScheduleFree([p], lr=0.25, momentum=0.6)
    optimizer.train()
    z, zs = 1.0, []
    for g in (1.0, -2.0, 0.5, 3.0):
        p.grad = tg.tensor([g], dtype=tg.float64)
        optimizer.step()
        z -= 0.25 * g
        zs.append(z)
    x = sum(zs) / len(zs)
    assert p.item() == pytest.approx(0.4 * z + 0.6 * x, rel=1e-14)
    optimizer.eval()
    assert p.item() == pytest.approx(x, rel=1e-14)


@both
def test_parameters_changed_in_eval_mode_are_the_new_x(make):
    params, optimizer = trained(make, dtype="float64")
    optimizer.eval()
    z = [optimizer.state[p]["z"].numpy().copy() for p in params]
    for p in params:
        p.data = p.data * 0.5
    x = [p.detach().numpy().copy() for p in params]
    optimizer.train()
    for p, a, b in zip(params, x, z, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), 0.9 * a + 0.1 * b, rtol=1e-13)


@both
@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("way", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_state_dict_goes_on_from_either_mode_with_the_same_bits(make, mode, way):
    params, optimizer = trained(make, range(12))
    getattr(optimizer, mode)()
    saved, x = way(optimizer.state_dict()), [p.detach().clone() for p in params]
    others = [v.requires_grad_() for v in x]
    other = make(others)
    other.load_state_dict(saved)
    assert other.param_groups[0]["train_mode"] is (mode == "train")
    for ps, o in ((params, optimizer), (others, other)):
        trained(make, range(12, 24), params=ps, optimizer=o)
        o.eval()
    assert values(others) == values(params)


def test_a_group_added_in_mid_training_takes_part():
    p, q = tg.ones(1).requires_grad_(), tg.ones(1).requires_grad_()
    optimizer = optim.SGDScheduleFree([p], lr=0.5)
    optimizer.train()
    optimizer.add_param_group({"params": [q]})
    p.grad, q.grad = tg.ones(1), tg.ones(1)
    optimizer.step()
    assert q.item() == 0.5


# Forgetting to evaluate in eval mode --------------------------------------------------------------


def fitted():
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    optimizer = optim.AdamWScheduleFree(model.parameters(), lr=0.1)
    optimizer.train()
    for _ in range(2):
        optimizer.zero_grad()
        model(tg.ones(4, 2)).sum().backward()
        optimizer.step()
    return model, optimizer


def evaluate_without_recording(model):
    with tg.no_grad():
        return model(tg.ones(4, 2))


def evaluate_in_eval_mode(model):
    model.eval()
    return model(tg.ones(4, 2))


@pytest.mark.parametrize("evaluate", [evaluate_without_recording, evaluate_in_eval_mode])
def test_a_forgotten_eval_is_noticed(evaluate):
    model, optimizer = fitted()
    with pytest.warns(UserWarning, match=r"AdamWScheduleFree: a Linear is evaluated .* hold y"):
        wrong = evaluate(model).tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(model)  # once is enough
        optimizer.eval()
        assert evaluate(model).tolist() != wrong
        optimizer.train()
    with pytest.warns(UserWarning, match="hold y"):  # and once more in a new phase of training
        evaluate(model)
    optimizer.eval()


def test_other_models_and_optimizers_that_are_gone_are_no_concern():
    model, optimizer = fitted()
    evaluate_without_recording(nn.Linear(2, 1))
    del optimizer
    evaluate_without_recording(model)
