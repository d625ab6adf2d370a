"""Averaged models: SWA, EMA, buffers, swapping in and back, and statistics of BatchNorm layers."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.optim import swa_utils
from tinygrad_opt.optim.swa_utils import AveragedModel

RNG = np.random.default_rng(0)
VALUES = [RNG.standard_normal((2, 3)) for _ in range(5)]
DECAY = 0.8


def network():
    return nn.Sequential(nn.Linear(3, 2, dtype=tg.float64), nn.BatchNorm1d(2, dtype=tg.float64))


def averages(averaged, model):
    """The averaged weight after each of VALUES."""
    found = []
    for value in VALUES:
        model[0].weight.data.copy_(tg.tensor(value))
        averaged.update_parameters(model)
        found.append(averaged.module[0].weight.detach().numpy().copy())
    return found


def expected_ema():
    mean, means = VALUES[0], [VALUES[0]]
    for value in VALUES[1:]:
        mean = DECAY * mean + (1 - DECAY) * value
        means.append(mean)
    return means


EQUAL = [np.mean(VALUES[: n + 1], axis=0) for n in range(5)]
KINDS = {
    "default": ({}, EQUAL),
    "swa": ({"avg_fn": swa_utils.get_swa_avg_fn()}, EQUAL),
    "swa of lists": ({"multi_avg_fn": swa_utils.get_swa_multi_avg_fn()}, EQUAL),
    "ema": ({"avg_fn": swa_utils.get_ema_avg_fn(DECAY)}, expected_ema()),
    "ema of lists": ({"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(DECAY)}, expected_ema()),
}


@pytest.mark.parametrize(("settings", "expected"), KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("use_buffers", [False, True])
def test_averages(settings, expected, use_buffers):
    model = network()
    averaged = AveragedModel(model, use_buffers=use_buffers, **settings)
    for ours, mean in zip(averages(averaged, model), expected, strict=True):
        np.testing.assert_allclose(ours, mean, rtol=0, atol=1e-14)
    assert averaged.n_averaged.item() == 5
    assert averaged.n_averaged.dtype == tg.int64


def test_buffers_are_copied_or_averaged():
    for use_buffers, mean in ((False, 3.0), (True, 1.5)):
        model = network()
        averaged = AveragedModel(model, use_buffers=use_buffers)
        for value in (0.0, 3.0):
            model[1].running_mean.fill_(value)
            averaged.update_parameters(model)
        assert averaged.module[1].running_mean.tolist() == [mean, mean]


def test_it_is_a_module_with_pytorchs_names():
    averaged = AveragedModel(network())
    names = list(averaged.state_dict())
    assert names[0] == "n_averaged"
    assert names[1:3] == ["module.0.weight", "module.0.bias"]
    x = tg.ones(4, 3, dtype=tg.float64)
    averaged.eval()
    assert averaged(x).tolist() == averaged.module(x).tolist()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
@pytest.mark.parametrize("kind", KINDS)
def test_copies_and_pickles(copied, kind):
    model = network()
    averaged = AveragedModel(model, **KINDS[kind][0])
    averaged.update_parameters(model)
    twin = copied(averaged)
    assert averages(twin, model)[-1].tolist() == averages(averaged, model)[-1].tolist()


def test_mistakes():
    model = network()
    with pytest.raises(AssertionError, match="Only one of avg_fn and multi_avg_fn"):
        AveragedModel(model, avg_fn=swa_utils.get_swa_avg_fn(), multi_avg_fn=lambda *a: None)
    for make in (swa_utils.get_ema_avg_fn, swa_utils.get_ema_multi_avg_fn):
        with pytest.raises(ValueError, match=r"Invalid decay value 1.5 provided"):
            make(1.5)
    averaged = AveragedModel(model)
    with pytest.raises(ValueError, match="the model has other parameters"):
        averaged.update_parameters(nn.Linear(3, 2))
    assert averaged.n_averaged.item() == 0


# Swapping -----------------------------------------------------------------------------------------


def test_swapped_values_always_come_back():
    model = network()
    averaged = AveragedModel(model)
    averages(averaged, model)
    own = model[0].weight.detach().numpy().copy()
    optimizer = optim.Adam(model.parameters())
    model(tg.ones(4, 3, dtype=tg.float64)).sum().backward()
    optimizer.step()
    own = model[0].weight.detach().numpy().copy()

    def fail():
        with averaged.swapped_into(model) as swapped:
            assert swapped is model
            np.testing.assert_array_equal(
                model[0].weight.detach(), averaged.module[0].weight.detach()
            )
            model[0].weight.data.fill_(7.0)  # what happens inside stays inside
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    np.testing.assert_array_equal(model[0].weight.detach(), own)
    np.testing.assert_allclose(averaged.module[0].weight.detach(), EQUAL[-1], atol=1e-14)
    optimizer.zero_grad()
    model(tg.ones(4, 3, dtype=tg.float64)).sum().backward()
    optimizer.step()  # and the optimizer still steps the model
    assert optimizer.state[model[0].weight]["step"].item() == 2


# Statistics of BatchNorm layers -------------------------------------------------------------------


def batches():
    rng = np.random.default_rng(1)
    return [tg.tensor(rng.standard_normal((4, 3))) for _ in range(3)]


def test_update_bn_takes_the_mean_over_all_batches():
    model = network()
    model[1].running_mean.fill_(99.0)
    model.eval()
    swa_utils.update_bn([(x, "label") for x in batches()], model)
    hidden = [model[0](x).detach().numpy() for x in batches()]
    np.testing.assert_allclose(model[1].running_mean, np.mean([h.mean(0) for h in hidden], 0))
    np.testing.assert_allclose(model[1].running_var, np.mean([h.var(0, ddof=1) for h in hidden], 0))
    assert model[1].momentum == 0.1
    assert not model.training


def test_update_bn_restores_the_model_when_a_batch_fails():
    model = network()
    model.eval()
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        swa_utils.update_bn([tg.ones(4, 5, dtype=tg.float64)], model)
    assert model[1].momentum == 0.1
    assert not model.training


def test_update_bn_without_batchnorm_reads_nothing():
    swa_utils.update_bn(iter(lambda: pytest.fail("read"), None), nn.Linear(1, 1))


@pytest.mark.peers
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("use_buffers", [False, True])
def test_like_pytorch(torch, kind, use_buffers):
    if use_buffers and kind == "swa of lists":
        pytest.skip("PyTorch cannot average integer buffers this way")
    theirs_utils = torch.optim.swa_utils
    makers = {
        "default": lambda m: {},
        "swa": lambda m: {"avg_fn": m.get_swa_avg_fn()},
        "swa of lists": lambda m: {"multi_avg_fn": m.get_swa_multi_avg_fn()},
        "ema": lambda m: {"avg_fn": m.get_ema_avg_fn(DECAY)},
        "ema of lists": lambda m: {"multi_avg_fn": m.get_ema_multi_avg_fn(DECAY)},
    }

    def run(library, utils):
        model = library.nn.Sequential(
            library.nn.Linear(3, 2, dtype=library.float64),
            library.nn.BatchNorm1d(2, dtype=library.float64),
        )
        averaged = utils.AveragedModel(model, use_buffers=use_buffers, **makers[kind](utils))
        for value in VALUES:
            with library.no_grad():
                model[0].weight.copy_(library.tensor(value))
                model[0].bias.fill_(0.5)
            model(library.tensor(value))
            averaged.update_parameters(model)
        return {name: value.detach().numpy() for name, value in averaged.state_dict().items()}

    ours, theirs = run(tg, swa_utils), run(torch, theirs_utils)
    assert list(ours) == list(theirs)
    # PyTorch rounds the weight 1 / (n + 1) of this kind to float32.
    tolerance = 1e-6 if kind == "swa of lists" else 1e-13
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, rtol=0, atol=tolerance, err_msg=name)
        assert ours[name].dtype == value.dtype
