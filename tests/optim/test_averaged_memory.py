"""Averages of parameters that lie end to end: one launch for all, and nobody's memory is moved."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import kernels, nn, optim
from tinygrad_opt.optim import joined, swa_utils
from tinygrad_opt.optim.swa_utils import AveragedModel

DECAY = 0.9
SIZES = [3 * 4, 4, 4 * 5, 5]
EMA = {"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(DECAY)}


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 5))


def change(model, seed):
    rng = np.random.default_rng(seed)
    with tg.no_grad():
        for p in model.parameters():
            p.copy_(tg.tensor(rng.standard_normal(p.shape), dtype=p.dtype))


def in_an_optimizer(model, groups=False):
    first, second = list(model.parameters())[0::2], list(model.parameters())[1::2]
    given = [{"params": first}, {"params": second}] if groups else model.parameters()
    optimizer = optim.SGD(given, lr=0.0)
    for p in model.parameters():
        p.grad = tg.zeros_like(p)
    optimizer.step()
    return optimizer


@pytest.fixture
def launches(monkeypatch):
    """How many elements each launch averaged."""
    sizes, launch = [], kernels.average.launch

    def counted(arrays, coefficients):
        sizes.append(arrays[0].size)
        launch(arrays, coefficients)

    monkeypatch.setattr(kernels.average, "launch", counted)
    return sizes


def check(averaged, model, updates=4):
    """Updates equal `lerp_` of each parameter, bit by bit."""
    expected = [p.detach().clone() for p in averaged.module.parameters()]
    for seed in range(updates):
        change(model, seed)
        for mean, p in zip(expected, model.parameters(), strict=True):
            mean.lerp_(p.detach(), 1 - DECAY)
        averaged.update_parameters(model)
    for mean, p in zip(expected, averaged.module.parameters(), strict=True):
        assert p.tolist() == mean.tolist()


def started(model, settings=EMA):
    averaged = AveragedModel(model, **settings)
    averaged.update_parameters(model)
    return averaged


@pytest.mark.parametrize("groups", [False, True])
def test_a_model_in_an_optimizer(launches, groups):
    model = network()
    keep = in_an_optimizer(model, groups)
    check(started(model), model)
    assert launches == [sum(SIZES)] * 4
    del keep


def test_a_model_that_lies_apart_is_copied(launches, monkeypatch):
    model = network()
    check(started(model), model)
    assert launches == [sum(SIZES)] * 4
    launches.clear()
    monkeypatch.setattr(joined, "_SMALL", 30)
    check(started(model), model, 1)
    assert sum(launches) == sum(SIZES)
    assert max(launches) <= 30


def test_large_parts_of_a_buffer_are_not_copied(launches, monkeypatch):
    monkeypatch.setattr(joined, "_SMALL", 0)
    model = network()
    keep = in_an_optimizer(model, groups=True)
    check(started(model), model, 1)
    assert sorted(launches) == [4 + 5, 12 + 20]
    del keep


def test_an_optimizer_may_move_the_model_later(launches):
    model = network()
    averaged = started(model)
    check(averaged, model, 1)
    keep = in_an_optimizer(model, groups=True)
    assert [len(flats) for flats in keep._flat] == [1, 1]
    assert all(flat.at_home for flats in keep._flat for flat in flats)  # nobody held their memory
    check(averaged, model)
    assert launches == [sum(SIZES)] * 5


def test_memory_that_somebody_looks_at_stays_where_it_is(launches):
    model = network()
    averaged = AveragedModel(model, **EMA)
    view = averaged.module[0].weight.detach().numpy()
    averaged.update_parameters(model)
    check(averaged, model)
    assert view.tolist() == averaged.module[0].weight.tolist()
    assert sum(launches) == 4 * sum(SIZES)


def test_other_types_and_buffers():
    model = nn.Sequential(nn.Linear(3, 4, dtype=tg.float64), nn.BatchNorm1d(4))
    model.append(nn.Linear(2, 2).half())
    averaged = started(model, {**EMA, "use_buffers": True})
    model[1].running_mean.fill_(1.0)
    check(averaged, model)
    assert averaged.module[1].running_mean.tolist() == pytest.approx([1 - DECAY**4] * 4)
    assert averaged.module[2].weight.dtype == tg.float16


def test_equal_weights(launches):
    model = network()
    averaged, seen = AveragedModel(model), []
    for seed in range(5):
        change(model, seed)
        seen.append(model[0].weight.detach().numpy().copy())
        averaged.update_parameters(model)
    np.testing.assert_allclose(averaged.module[0].weight.detach(), np.mean(seen, 0), rtol=1e-5)
    assert launches == [sum(SIZES)] * 3  # weights of a half and more are counted from the other end


def test_parameters_that_were_exchanged(launches):
    model = network()
    averaged = started(model)
    check(averaged, model, 1)
    model[0].weight = nn.Parameter(tg.zeros(4, 3))
    averaged.module[2].bias.data = tg.zeros(5)
    check(averaged, model)
    twin = copy.deepcopy(averaged)
    check(twin, model)
    assert launches == [sum(SIZES)] * 9
    model[0].weight = nn.Parameter(tg.zeros(3, 4))
    with pytest.raises(ValueError, match="the model has other parameters"):
        averaged.update_parameters(model)


def test_writes_are_noticed_by_older_graphs():
    model = network()
    averaged = started(model)
    x = tg.ones(1, 4, requires_grad=True)
    y = averaged.module[2](x)
    averaged.update_parameters(model)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
