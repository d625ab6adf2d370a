"""Sequential, ModuleList and ModuleDict behave as lists and dictionaries of modules."""

from __future__ import annotations

from collections import OrderedDict

import pytest

import tinygrad_opt as T
from tinygrad_opt import nn


def kinds(modules):
    return [type(m).__name__ for m in modules]


def test_sequential_calls_in_order():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    x = T.randn(4, 2)
    y = net[2](net[1](net[0](x)))
    assert net(x).tolist() == y.tolist()
    assert len(net) == 3
    assert net[-1] is net[2]
    assert kinds(net) == ["Linear", "ReLU", "Linear"]
    assert nn.Sequential()(x) is x


def test_sequential_by_name():
    net = nn.Sequential(OrderedDict(inner=nn.Linear(2, 3), act=nn.Tanh()))
    assert net.inner is net[0]
    assert list(net.state_dict()) == ["inner.weight", "inner.bias"]
    assert [n for n, _ in net[1:].named_children()] == ["act"]


@pytest.mark.parametrize("make", [lambda ms: nn.Sequential(*ms), nn.ModuleList])
def test_editing(make):
    net = make([nn.ReLU(), nn.Tanh(), nn.Sigmoid()])
    assert type(net[:2]) is type(net)
    assert kinds(net[1:]) == ["Tanh", "Sigmoid"]
    assert net.append(nn.GELU()) is net
    net.insert(1, nn.SiLU())
    assert kinds(net) == ["ReLU", "SiLU", "Tanh", "Sigmoid", "GELU"]
    assert [n for n, _ in net.named_children()] == ["0", "1", "2", "3", "4"]
    del net[1]
    assert type(net.pop(-1)) is nn.GELU
    del net[1:]
    net.extend([nn.Identity(), nn.Flatten()])
    net[0] = nn.ELU()
    assert kinds(net) == ["ELU", "Identity", "Flatten"]
    assert [n for n, _ in net.named_children()] == ["0", "1", "2"]
    for act in (lambda: net[3], lambda: net.__delitem__(-4), lambda: net.__setitem__(3, nn.ReLU())):
        with pytest.raises(IndexError, match="is out of range"):
            act()
    with pytest.raises(TypeError, match="int is not a Module subclass"):
        net.append(3)


def test_module_list_adds():
    net = nn.ModuleList([nn.ReLU()])
    assert kinds(net.__add__([nn.Tanh()])) == ["ReLU", "Tanh"]
    net += [nn.GELU()]
    assert kinds(net) == ["ReLU", "GELU"]
    with pytest.raises(NotImplementedError, match=r"Module \[ModuleList\] is missing"):
        net(T.ones(1))


def test_module_dict():
    net = nn.ModuleDict({"a": nn.ReLU(), "b": nn.Linear(1, 1)})
    net["c"] = nn.Tanh()
    assert list(net) == list(net.keys()) == ["a", "b", "c"]
    assert kinds(net.values()) == ["ReLU", "Linear", "Tanh"]
    assert "a" in net
    assert len(net) == 3
    assert dict(net.items())["b"] is net["b"]
    del net["a"]
    assert "a" not in net
    with pytest.raises(KeyError, match="a"):
        del net["a"]
    net.update([("d", nn.ReLU())])
    assert list(net) == ["b", "c", "d"]
