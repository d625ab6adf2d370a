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


def test_sequentials_add_and_multiply():
    a, b = nn.Sequential(nn.ReLU(), nn.Tanh()), nn.Sequential(nn.ELU())
    assert kinds(a + b) == ["ReLU", "Tanh", "ELU"]
    assert kinds(a * 2) == kinds(2 * a) == ["ReLU", "Tanh"] * 2
    assert len(a) == 2
    a += b
    a *= 2
    assert kinds(a) == ["ReLU", "Tanh", "ELU"] * 2
    assert kinds(a.insert(-1, nn.GELU()))[-3:] == ["Tanh", "GELU", "ELU"]
    for act, error, text in [
        (lambda: a.__add__([nn.ReLU()]), ValueError, "only objects of Sequential class"),
        (lambda: a.__iadd__([nn.ReLU()]), ValueError, "only objects of Sequential class"),
        (lambda: a * 0, ValueError, "Non-positive multiplication factor 0"),
        (lambda: a * "x", TypeError, "unsupported operand type"),
        (lambda: a.insert(99, nn.ReLU()), IndexError, "Index out of range: 99"),
        (lambda: a.insert(0, 3), AssertionError, "module should be of type"),
        (lambda: a.extend(3), TypeError, "extend should be called with an iterable"),
        (lambda: nn.Sequential(3), TypeError, "int is not a Module subclass"),
    ]:
        with pytest.raises(error, match=text):
            act()


def test_module_dict_takes_out_and_refuses():
    net = nn.ModuleDict([("a", nn.ReLU()), ("b", nn.Tanh())])
    assert type(net.pop("a")) is nn.ReLU
    net.clear()
    assert len(net) == 0
    for given, error, text in [
        (3, TypeError, "iterable of key/value pairs, but got int"),
        ([1], TypeError, "element #0 should be Iterable; is int"),
        ([(1, 2, 3)], ValueError, "element #0 has length 3; 2 is required"),
        ({"a.b": nn.ReLU()}, KeyError, "can.+t contain"),
        ({"keys": nn.ReLU()}, KeyError, "attribute 'keys' already exists"),
    ]:
        with pytest.raises(error, match=text):
            nn.ModuleDict(given)


def test_parameter_list():
    weights = nn.ParameterList([nn.Parameter(T.zeros(2)), T.ones(2, 3), 3])
    assert list(weights.state_dict()) == ["0", "1"]
    assert isinstance(weights[1], nn.Parameter)
    assert weights[-1] == 3
    weights[0] = T.ones(4)
    assert weights[0].shape == (4,)
    weights += [T.ones(1)]
    assert weights.append("x") is weights
    assert len(weights) == 5
    assert len(weights[1:3]) == 2
    assert [type(v).__name__ for v in weights] == [
        "Parameter", "Parameter", "int", "Parameter", "str"
    ]  # fmt: skip
    assert repr(weights[:3]) == (
        "ParameterList(\n"
        "    (0): Parameter containing: [torch.float32 of size 4]\n"
        "    (1): Parameter containing: [torch.float32 of size 2x3]\n"
        "    (2): Object of type: int\n"
        ")"
    )
    for act, error, text in [
        (lambda: weights[9], IndexError, "index 9 is out of range"),
        (lambda: weights.extend(3), TypeError, "called with an iterable, but got int"),
        (lambda: weights(), RuntimeError, "ParameterList should not be called"),
    ]:
        with pytest.raises(error, match=text):
            act()


def test_parameter_dict():
    weights = nn.ParameterDict({"a": nn.Parameter(T.zeros(2)), "b": T.ones(2, 3), "c": 5})
    assert list(weights) == list(weights.keys()) == ["a", "b", "c"]
    assert list(reversed(weights)) == ["c", "b", "a"]
    assert list(weights.state_dict()) == ["a", "b"]
    assert isinstance(weights["b"], nn.Parameter)
    assert list(weights.values())[2] == dict(weights.items())["c"] == 5
    assert weights.get("z", 1) == 1
    assert weights.get("c") == 5
    assert weights.setdefault("d", T.ones(1)) is weights["d"]
    assert weights.setdefault("d", 3) is weights["d"]
    assert weights.pop("d").item() == 1
    assert weights.popitem() == ("c", 5)
    assert "c" not in weights
    assert weights.copy()["a"] is weights["a"]
    assert list(weights | {"q": T.ones(1)}) == ["a", "b", "q"]
    assert list({"q": T.ones(1)} | weights) == ["q", "a", "b"]
    weights |= {"e": 1}
    assert list(weights.fromkeys(["x", "y"], 0).items()) == [("x", 0), ("y", 0)]
    assert repr(weights) == (
        "ParameterDict(\n"
        "    (a): Parameter containing: [torch.FloatTensor of size 2]\n"
        "    (b): Parameter containing: [torch.FloatTensor of size 2x3]\n"
        "    (e): Object of type: int\n"
        ")"
    )
    for act, error, text in [
        (lambda: weights["z"], AttributeError, "has no attribute 'z'"),
        (lambda: weights.update(3), TypeError, "iterable of key/value pairs, but got int"),
        (lambda: weights.__setitem__(3, 1), TypeError, "cannot be used as a key"),
        (lambda: weights.__setitem__("keys", 1), KeyError, "attribute 'keys' already exists"),
        (lambda: weights(1), RuntimeError, "ParameterDict should not be called"),
    ]:
        with pytest.raises(error, match=text):
            act()
    weights.clear()
    assert len(weights) == 0
    assert not weights.state_dict()


@pytest.mark.peers
def test_parameter_containers_print_as_pytorchs(torch):
    texts = [
        repr(lib.nn.ParameterList([lib.zeros(2), 3]))
        + repr(lib.nn.ParameterDict({"a": lib.zeros(2, 1)}))
        + repr(lib.nn.ParameterList())
        for lib in (T, torch)
    ]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("make", [dict, OrderedDict, list])
def test_parameter_dicts_are_sorted_unless_their_order_is_meant(make):
    given = make([("b", T.zeros(1)), ("a", T.zeros(2))])
    expected = ["a", "b"] if make is dict else ["b", "a"]
    made = nn.ParameterDict(given)
    assert list(made.keys()) == expected
    assert list(made.copy().keys()) == expected
