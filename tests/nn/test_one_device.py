"""Activations that overwrite their input, and layers for several devices, on one."""

from __future__ import annotations

import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn
from tinygrad_opt.nn import functional as F

IN_PLACE = ["celu_", "elu_", "hardtanh_", "leaky_relu_", "relu_", "selu_", "threshold_"]


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_activations(name):
    plain = name[:-1]
    settings = {"threshold_": (0.1, 20.0)}.get(name, ())
    x = tg.tensor([-2.0, -0.5, 0.0, 0.5, 3.0], requires_grad=True)
    expected = getattr(F, plain)(x, *settings)
    y = x * 1
    returned = getattr(F, name)(y, *settings)
    assert returned is y
    assert tg.equal(y, expected)
    (g,) = tg.autograd.grad(expected.sum(), x)
    y.sum().backward()
    assert tg.equal(x.grad, g)


def test_rrelu_draws_slopes():
    x = -tg.ones(100)
    assert F.rrelu_(x, training=True) is x
    assert -1 / 3 <= x.min().item() < x.max().item() <= -1 / 8


def test_in_place_activations_of_leaves_are_refused():
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used"):
        F.relu_(tg.ones(2, requires_grad=True))


def test_data_parallel_hands_on():
    layer = nn.Linear(2, 3)
    parallel = nn.DataParallel(layer, device_ids=[0])
    x = tg.ones(4, 2)
    assert tg.equal(parallel(x), layer(x))
    assert list(parallel.state_dict()) == ["module.weight", "module.bias"]
    assert parallel.module is layer


def test_sync_batchnorm_computes_as_batchnorm():
    layer, x = nn.BatchNorm2d(3), tg.randn(4, 3, 2, 2)
    state = {k: v.clone() for k, v in layer.state_dict().items()}
    sync = nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.BatchNorm2d(3)))
    sync[0].load_state_dict(state)
    assert tg.equal(sync(x), layer(x))
    assert tg.equal(sync[0].running_var, layer.running_var)
    assert isinstance(sync[0], nn.SyncBatchNorm)
