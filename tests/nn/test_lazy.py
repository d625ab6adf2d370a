"""Lazy modules: what they know before and after their first input."""

from __future__ import annotations

import copy
import pickle

import pytest

import tinygrad_opt as T
from tinygrad_opt import nn
from tinygrad_opt.nn.lazy import LazyModuleMixin


def test_a_lazy_layer_becomes_an_ordinary_one():
    net = nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d(), nn.LazyLinear(2, bias=False))
    assert net[0].has_uninitialized_params()
    assert repr(net[0]) == "LazyLinear(in_features=0, out_features=4, bias=True)"
    assert repr(net[0].weight) == "<UninitializedParameter>"
    weight = net[0].weight
    y = net(T.ones(5, 3))
    assert y.shape == (5, 2)
    assert [type(m) for m in net] == [nn.Linear, nn.BatchNorm1d, nn.Linear]
    assert net[0].weight is weight  # the same object, so that an optimizer may have it already
    assert type(weight) is nn.Parameter
    assert weight.shape == (4, 3)
    assert net[1].running_var.shape == (4,)
    y.sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        net(T.ones(5, 7))


def test_shapes_come_from_a_state_dict_too():
    saved = nn.Linear(3, 4).state_dict()
    layer = nn.LazyLinear(4)
    assert not any(layer.load_state_dict(saved))
    assert not layer.has_uninitialized_params()
    x = T.randn(2, 3)
    assert layer(x).tolist() == (x @ saved["weight"].T + saved["bias"]).tolist()
    empty = nn.LazyLinear(4).state_dict()
    assert isinstance(empty["weight"], nn.UninitializedParameter)
    nn.LazyLinear(4).load_state_dict(empty)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_lazy_by_themselves(copied):
    layer = nn.LazyInstanceNorm2d(affine=True)
    twin = copied(layer)
    layer(T.randn(1, 3, 2, 2))
    assert type(twin) is nn.LazyInstanceNorm2d
    assert twin(T.randn(1, 5, 2, 2)).shape == (1, 5, 2, 2)
    assert twin.weight.shape == (5,)


def test_type_and_device_are_known_before():
    layer = nn.LazyLinear(2).double()
    assert isinstance(layer.weight, nn.UninitializedParameter)
    layer(T.ones(1, 3, dtype=T.float64))
    assert layer.weight.dtype == T.float64
    norm = nn.LazyBatchNorm1d(dtype=T.float64)
    assert isinstance(norm.running_mean, nn.UninitializedBuffer)
    norm.float()
    norm(T.ones(2, 3))
    assert norm.running_mean.dtype == T.float32


class Forgetful(LazyModuleMixin, nn.Linear):
    def initialize_parameters(self, input):
        pass


class Undefined(LazyModuleMixin, nn.Linear):
    pass


def test_errors():
    with pytest.raises(RuntimeError, match="Can't access the shape of an uninitialized parameter"):
        _ = nn.LazyLinear(2).weight.shape
    layer = Forgetful(2, 2)
    layer.weight = nn.UninitializedParameter()
    with pytest.raises(RuntimeError, match="Forgetful has not been fully initialized"):
        layer(T.ones(1, 2))
    with pytest.raises(NotImplementedError, match="not implemented for Undefined"):
        Undefined(2, 2)(T.ones(1, 2))
