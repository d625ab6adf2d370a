"""`state_dtype="bfloat16"`: states of half the size, saved, resumed and trained with."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import problem
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.kernels import bfloat16, threads

CLASSES = {
    "SGD": (optim.SGD, dict(lr=0.05, momentum=0.9)),
    "Nesterov": (optim.SGD, dict(lr=0.05, momentum=0.9, nesterov=True)),
    "Adam": (optim.Adam, dict(lr=0.02)),
    "AMSGrad": (optim.Adam, dict(lr=0.02, amsgrad=True)),
    "AdamW": (optim.AdamW, dict(lr=0.02)),
    "Adamax": (optim.Adamax, dict(lr=0.02)),
    "NAdam": (optim.NAdam, dict(lr=0.02)),
    "RAdam": (optim.RAdam, dict(lr=0.02)),
    "RMSprop": (optim.RMSprop, dict(lr=0.01)),
    "RMSprop, centered": (optim.RMSprop, dict(lr=0.01, centered=True, momentum=0.5)),
    "Adagrad": (optim.Adagrad, dict(lr=0.1, initial_accumulator_value=0.1)),
    "Adadelta": (optim.Adadelta, dict(lr=1.0)),
    "Lion": (optim.Lion, dict(lr=0.01)),
    "AdaBelief": (optim.AdaBelief, dict(lr=0.02)),
    "ADOPT": (optim.ADOPT, dict(lr=0.02)),
    "Adan": (optim.Adan, dict(lr=0.02)),
    "cautious AdamW": (optim.AdamW, dict(lr=0.02, cautious=True)),
}
every_class = pytest.mark.parametrize("name", CLASSES)
NARROW = {"state_dtype": "bfloat16"}


def make(name, params, narrow=True):
    cls, settings = CLASSES[name]
    return cls(params, **settings, **(NARROW if narrow else {}))


def after(name, steps, narrow=True, optimizer=None, params=None, start=0):
    params = problem.parameters(tg, "float32") if params is None else params
    optimizer = make(name, params, narrow) if optimizer is None else optimizer
    problem.go_on(tg, params, optimizer, range(start, start + steps))
    return params, optimizer


def values(params):
    return np.concatenate([p.detach().numpy().ravel() for p in params])


def narrow_states(optimizer):
    return [
        value
        for entry in optimizer.state.values()
        for name, value in entry.items()
        if value.dtype == np.uint16
    ]


def test_every_optimizer_that_has_the_option_is_here():
    having = {cls for cls in vars(optim).values() if "state_dtype" in getattr(cls, "_declared", ())}
    assert having == {cls for cls, _ in CLASSES.values()}


@every_class
def test_it_follows_the_wide_one(name):
    narrow, optimizer = after(name, 12)
    wide, other = after(name, 12, narrow=False)
    start = values(problem.parameters(tg, "float32"))
    moved, error = values(wide) - start, values(narrow) - values(wide)
    if name != "Lion":  # whose steps are signs
        assert np.abs(error).max() > 0
        assert np.linalg.norm(error) < 0.03 * np.linalg.norm(moved)
    for p, q in zip(narrow, wide, strict=True):
        extra = set() if name not in ("SGD", "Nesterov", "Lion") else {"step"}
        assert set(optimizer.state[p]) == set(other.state[q]) | extra


@every_class
def test_states_lie_in_words_of_16_bits(name):
    params, optimizer = after(name, 12)
    rule = optimizer.rule_for(optimizer.param_groups[0])
    assert len(narrow_states(optimizer)) == len(rule.states) * len(params)
    (flat,) = optimizer._flat[0]
    assert {state.dtype for state in flat.states.values()} == {bfloat16.WORD}


@every_class
def test_state_dicts_hold_the_same_numbers_as_float32(name):
    _, optimizer = after(name, 12)
    saved = optimizer.state_dict()["state"]
    for number, entry in enumerate(optimizer.state.values()):
        for key, value in entry.items():
            shown = saved[number][key]
            assert shown.dtype == (np.float32 if value.dtype == np.uint16 else value.dtype)
            if value.dtype == np.uint16:
                assert shown.tolist() == bfloat16.widened(value.array).tolist()


# Taking it up again -------------------------------------------------------------------------------


def by_state_dict(optimizer, params, name):
    fresh = make(name, params)
    fresh.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    return fresh


def by_file(optimizer, params, name, folder):
    tg.save(optimizer.state_dict(), folder / "state")
    fresh = make(name, params)
    fresh.load_state_dict(tg.load(folder / "state"))
    return fresh


@every_class
@pytest.mark.parametrize("way", ["state dict", "pickle", "file"])
def test_a_resumed_run_has_the_same_bits(name, way, tmp_path):
    straight, _ = after(name, 24)
    params, optimizer = after(name, 13)
    if way == "pickle":
        params, optimizer = pickle.loads(pickle.dumps((params, optimizer)))
    elif way == "file":
        optimizer = by_file(optimizer, params, name, tmp_path)
    else:
        optimizer = by_state_dict(optimizer, params, name)
    after(name, 11, optimizer=optimizer, params=params, start=13)
    assert values(params).tolist() == values(straight).tolist()


@pytest.mark.parametrize("name", ["Adam", "SGD"])
def test_the_same_bits_in_every_run_and_on_any_number_of_threads(name, monkeypatch):
    results, before = [], threads.get_num_threads()
    try:
        for threshold, count in ((1, 1), (1, 2), (10**9, 2), (10**9, 2)):
            monkeypatch.setattr(threads, "threshold", threshold)
            threads.set_num_threads(count)
            p = tg.zeros(40_000).requires_grad_()
            optimizer = make(name, [p])
            for step in range(4):
                p.grad = tg.tensor(np.sin(step + np.arange(40_000.0)), dtype=tg.float32)
                optimizer.step()
            results.append(p.tolist())
    finally:
        threads.set_num_threads(before)
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("name", ["Adam", "SGD", "Lion"])
def test_wide_states_are_rounded_to_the_nearest(name):
    params, wide = after(name, 12, narrow=False)
    optimizer = make(name, params)
    optimizer.load_state_dict(copy.deepcopy(wide.state_dict()))
    expected = {
        (i, key): bfloat16.nearest(value.array).tolist()
        for i, entry in enumerate(wide.state.values())
        for key, value in entry.items()
        if value.array.ndim
    }
    for p in params:
        p.grad = None
    optimizer.step()  # takes the state over, and nothing else
    found = {
        (i, key): value.tolist()
        for i, entry in enumerate(optimizer.state.values())
        for key, value in entry.items()
        if value.array.ndim
    }
    assert found == expected
    assert optimizer.param_groups[0]["state_dtype"] == "bfloat16"
    after(name, 3, optimizer=optimizer, params=params, start=12)


@pytest.mark.parametrize("name", ["Adam", "SGD"])
def test_narrow_states_go_back_to_wide_ones(name):
    params, narrow = after(name, 12)
    saved = copy.deepcopy(narrow.state_dict())
    optimizer = make(name, params, narrow=False)
    optimizer.load_state_dict(saved, keep_settings=True)
    assert "state_dtype" not in optimizer.param_groups[0]
    after(name, 3, optimizer=optimizer, params=params, start=12)
    assert narrow_states(optimizer) == []
    twin = make(name, params, narrow=False)
    twin.load_state_dict(saved)  # the setting goes with the state
    assert twin.param_groups[0]["state_dtype"] == "bfloat16"


# Groups, edits, rows ------------------------------------------------------------------------------


def test_a_group_may_be_narrow_alone_and_change_its_mind():
    params = problem.parameters(tg, "float32")
    groups = [{"params": params[:1]}, {"params": params[1:], **NARROW}]
    optimizer = optim.Adam(groups, lr=0.02)
    assert "state_dtype" not in optimizer.param_groups[0]
    problem.go_on(tg, params, optimizer, range(12))
    assert len(narrow_states(optimizer)) == 4
    before = optimizer.state_dict()["state"][1]["exp_avg"].clone()
    del optimizer.param_groups[1]["state_dtype"]
    for p in params:
        p.grad = None
    optimizer.step()
    assert narrow_states(optimizer) == []
    assert optimizer.state[params[1]]["exp_avg"].tolist() == before.tolist()
    optimizer.param_groups[0]["state_dtype"] = "bfloat16"
    problem.go_on(tg, params, optimizer, range(12, 15))
    assert len(narrow_states(optimizer)) == 2


def test_sgd_without_momentum_has_nothing_to_narrow():
    p = tg.ones(3).requires_grad_()
    optimizer = optim.SGD([p], lr=0.5, **NARROW)
    p.grad = tg.ones(3)
    optimizer.step()
    assert p.tolist() == [0.5] * 3
    assert not optimizer.state
    optimizer.param_groups[0]["momentum"] = 0.9
    optimizer.step()
    assert optimizer.state[p]["momentum_buffer"].dtype == bfloat16.WORD
    assert optimizer.state[p]["step"].item() == 1


def test_two_vectors_are_rounded_apart():
    params = [tg.zeros(500).requires_grad_() for _ in range(2)]
    optimizer = optim.Adam([{"params": [p]} for p in params], **NARROW)
    for p in params:
        p.grad = tg.full((500,), 0.3)
    optimizer.step()
    first, second = (optimizer.state[p]["exp_avg"].tolist() for p in params)
    assert set(first) == set(second)
    assert first != second


def test_an_edited_state_counts():
    params, optimizer = after("Adam", 12)
    optimizer.state[params[0]]["exp_avg"] = tg.full((3,), 1.3)
    for p in params:
        p.grad = None
    optimizer.step()
    held = optimizer.state[params[0]]["exp_avg"]
    assert held.tolist() == bfloat16.nearest(np.full(3, 1.3)).tolist()


def test_parameters_that_lie_elsewhere():
    straight, _ = after("Adam", 12)
    params = problem.parameters(tg, "float32")
    optimizer = make("Adam", params)
    problem.go_on(tg, params, optimizer, range(5))
    params[1].data = params[1].data.clone().t().contiguous().t()
    problem.go_on(tg, params, optimizer, range(5, 12))
    assert values(params).tolist() == values(straight).tolist()


def test_rows():
    wide, narrow = (tg.ones((4, 3)).requires_grad_() for _ in range(2))
    optimizers = optim.Adagrad([wide], lr=0.1), optim.Adagrad([narrow], lr=0.1, **NARROW)
    for step in range(5):
        for p, optimizer in zip((wide, narrow), optimizers, strict=True):
            rows = np.array([[0.3, -0.2, 0.1]] * 2) * (step + 1)
            p.grad = tg.sparse_coo_tensor([[1, 3]], rows, (4, 3), dtype=tg.float32)
            optimizer.step()
    assert narrow[[0, 2]].tolist() == [[1.0] * 3] * 2
    np.testing.assert_allclose(narrow.detach(), wide.detach(), rtol=2e-2)
    assert optimizers[1].state[narrow]["sum"].dtype == bfloat16.WORD


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["float16", tg.float32, 16, ""])
def test_other_types_are_refused(bad):
    with pytest.raises(
        ValueError, match=r"Adam: Invalid state_dtype value: .* \(must be None, for"
    ):
        optim.Adam([tg.zeros(2).requires_grad_()], state_dtype=bad)


def test_other_parameters_are_refused():
    message = "Adam: state_dtype='bfloat16' goes with float32 parameters, got one of float64"
    with pytest.raises(TypeError, match=message):
        optim.Adam([tg.zeros(2, dtype=tg.float64).requires_grad_()], **NARROW)
    layer = nn.Linear(2, 2)
    optimizer = optim.Adam(layer.parameters(), **NARROW)
    layer.double()
    layer(tg.ones(1, 2, dtype=tg.float64)).sum().backward()
    with pytest.raises(TypeError, match=message):
        optimizer.step()


@pytest.mark.parametrize(
    "cls", [optim.ASGD, optim.Rprop, optim.SGDScheduleFree, optim.Prodigy, optim.LAMB, optim.Muon]
)
def test_where_it_makes_no_sense(cls):
    groups = [{"params": [tg.zeros(2, 2).requires_grad_()], **NARROW}]
    with pytest.raises(ValueError, match=f"{cls.__name__}: state_dtype='bfloat16' is not possible"):
        cls(groups)


def test_an_optimizer_of_ones_own():
    class Averaged(optim.Optimizer):
        rule = optim.textbook.Momentum.rule

        def __init__(self, params, lr=0.1, beta=0.9, state_dtype=None):
            super().__init__(params, dict(lr=lr, beta=beta, state_dtype=state_dtype))

    params = problem.parameters(tg, "float32")
    optimizer = Averaged(params, **NARROW)
    problem.go_on(tg, params, optimizer, range(12))
    assert optimizer.state[params[0]]["v"].dtype == bfloat16.WORD
    with pytest.raises(ValueError, match="Averaged: Invalid state_dtype value: 'bf16'"):
        Averaged(params, state_dtype="bf16")


# Training -----------------------------------------------------------------------------------------


def circle(rng):
    x = rng.standard_normal((256, 2))
    y = ((x * x).sum(1) < 1.2).astype(np.int64)
    model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))
    return model, tg.tensor(x, dtype=tg.float32), tg.tensor(y), nn.CrossEntropyLoss()


def wave(rng):
    x = rng.uniform(-3, 3, (256, 1))
    y = np.sin(2 * x) + 0.3 * x
    model = nn.Sequential(nn.Linear(1, 48), nn.Tanh(), nn.Linear(48, 1))
    return model, *(tg.tensor(a, dtype=tg.float32) for a in (x, y)), nn.MSELoss()


def digits(rng):
    """Ten patterns of 8 x 8 with noise, by a convolution."""
    patterns = rng.standard_normal((10, 1, 8, 8))
    y = np.arange(200) % 10
    x = patterns[y] + 0.7 * rng.standard_normal((200, 1, 8, 8))
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10)
    )
    return model, tg.tensor(x, dtype=tg.float32), tg.tensor(y), nn.CrossEntropyLoss()


TASKS = {"circle": (circle, 200), "wave": (wave, 300), "digits": (digits, 25)}
TRAINERS = {
    "AdamW": lambda params, **own: optim.AdamW(params, lr=0.01, **own),
    "SGD": lambda params, **own: optim.SGD(params, lr=0.05, momentum=0.9, **own),
}


def trained(task, trainer, **own):
    """The losses of a run: before it, and the mean of its last ten."""
    make_task, steps = TASKS[task]
    tg.manual_seed(0)
    model, x, y, criterion = make_task(np.random.default_rng(0))
    optimizer = TRAINERS[trainer](model.parameters(), **own)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], float(np.mean(losses[-10:]))


@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize("task", TASKS)
def test_it_trains_as_well(task, trainer):
    start, wide = trained(task, trainer)
    _, narrow = trained(task, trainer, **NARROW)
    assert wide < 0.6 * start
    assert math.log(narrow / wide) < 0.1
