"""Module: what it owns, how it is walked, moved, saved, loaded and printed."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections import OrderedDict

import numpy as np
import pytest

import tinygrad_opt as T
from tinygrad_opt import nn


class Net(nn.Module):
    """One of each: parameter, buffers of both kinds, submodules, a shared parameter."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.scale = nn.Parameter(T.ones(3))
        self.register_buffer("seen", T.zeros(3))
        self.register_buffer("scratch", T.zeros(1), persistent=False)
        self.second = nn.Linear(3, 3, bias=False)
        self.second.weight = self.first.weight
        self.plain = 3

    def forward(self, x):
        return self.second(self.first(x) * self.scale)


NAMES = ["scale", "seen", "first.weight", "first.bias", "second.weight"]


def test_walking():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == ["scale", "first.weight", "first.bias"]
    assert [n for n, _ in net.named_parameters(remove_duplicate=False)][-1] == "second.weight"
    assert [n for n, _ in net.named_parameters(prefix="net", recurse=False)] == ["net.scale"]
    assert [n for n, _ in net.named_buffers()] == ["seen", "scratch"]
    assert [n for n, _ in net.named_modules()] == ["", "first", "second"]
    assert [n for n, _ in net.named_children()] == ["first", "second"]
    assert list(net.children()) == [net.first, net.second]
    assert len(list(net.modules())) == 3
    assert len(list(net.parameters())) == 3
    assert len(list(net.buffers())) == 2
    assert set(net._parameters) == {"scale"}
    assert set(net._buffers) == {"seen", "scratch"}
    assert set(net._modules) == {"first", "second"}
    assert net.get_submodule("first") is net.first
    assert net.get_submodule("") is net
    assert net.get_parameter("first.bias") is net.first.bias
    assert net.get_buffer("seen") is net.seen


def test_a_module_used_twice_is_walked_once():
    layer = nn.Linear(2, 2)
    net = nn.Sequential(layer, nn.ReLU(), layer)
    assert [n for n, _ in net.named_modules()] == ["", "0", "1"]
    assert len(list(net.parameters())) == 2
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_assignment_registers_and_replaces():
    net = Net()
    net.plain = nn.ReLU()
    assert "plain" in net._modules
    net.plain = nn.Parameter(T.zeros(1))
    assert "plain" in net._parameters
    assert "plain" not in net._modules
    del net.plain
    assert not hasattr(net, "plain")
    assert "plain" not in net._parameters
    net.scale = None
    assert "scale" not in dict(net.named_parameters())
    net.seen = T.ones(3)
    assert "seen" in net.state_dict()
    net.register_parameter("later", None)
    assert net.later is None


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda m: setattr(m.first, "weight", T.ones(3, 3)), TypeError,
         r"cannot assign 'Tensor' as parameter 'weight' \(nn.Parameter or None expected\)"),
        (lambda m: setattr(m, "first", 3), TypeError, "'int' as child module 'first'"),
        (lambda m: setattr(m, "seen", 3), TypeError, "cannot assign 'int' as buffer 'seen'"),
        (lambda m: setattr(m, "scale", nn.ReLU()), TypeError, "cannot assign 'ReLU' as parameter"),
        (lambda m: m.nothing, AttributeError, "'Net' object has no attribute 'nothing'"),
        (lambda m: m.register_buffer("a.b", None), KeyError, "buffer name can.+t contain"),
        (lambda m: m.register_buffer("", None), KeyError, "buffer name can.+t be empty"),
        (lambda m: m.register_buffer(3, None), TypeError, "buffer name should be a string"),
        (lambda m: m.register_buffer("plain", None), KeyError, "attribute 'plain' already exists"),
        (lambda m: m.register_buffer("b", 3), TypeError, "'int' object to buffer 'b'"),
        (lambda m: m.register_parameter("p", T.ones(1)), TypeError,
         "cannot assign 'Tensor' object to parameter 'p'"),
        (lambda m: m.add_module("m", 3), TypeError, "int is not a Module subclass"),
        (lambda m: m.add_module("forward", nn.ReLU()), KeyError, "attribute 'forward' already"),
        (lambda m: m.get_submodule("third"), AttributeError, "Net has no attribute `third`"),
        (lambda m: m.get_submodule("plain"), AttributeError, "`plain` is not an nn.Module"),
        (lambda m: m.get_parameter("seen"), AttributeError, "`seen` is not an nn.Parameter"),
        (lambda m: m.get_buffer("nothing"), AttributeError, "has no attribute `nothing`"),
        (lambda m: m.train("no"), ValueError, "training mode is expected to be boolean"),
        (lambda m: m.to(T.int64), TypeError, "only accepts floating point"),
        (lambda m: m.load_state_dict([1]), TypeError, "Expected state_dict to be dict-like"),
        (lambda m: nn.Module()(1), NotImplementedError,
         r'Module \[Module\] is missing the required "forward" function'),
        (lambda m: nn.Parameter(T.tensor([1])), RuntimeError, "Only Tensors of floating point"),
    ],
)  # fmt: skip
def test_errors(act, error, text):
    with pytest.raises(error, match=text):
        act(Net())


def test_a_computed_tensor_is_no_parameter():
    net, p = Net(), nn.Parameter(T.ones(3))
    p.node = (p * 2).node
    for act in (lambda: setattr(net, "made", p), lambda: net.register_parameter("made", p)):
        with pytest.raises(ValueError, match="Cannot assign non-leaf Tensor to parameter 'made'"):
            act()


@pytest.mark.parametrize("value", [nn.ReLU(), nn.Parameter(np.zeros(1))])
def test_assignment_before_init(value):
    class Hasty(nn.Module):
        def __init__(self):
            self.flag = True  # plain attributes may
            self.value = value

    with pytest.raises(AttributeError, match=r"cannot assign .* before Module.__init__\(\) call"):
        Hasty()
    early = nn.Module.__new__(nn.Module)
    with pytest.raises(AttributeError, match="cannot assign buffer before"):
        early.register_buffer("b", None)


def test_modes():
    net = Net()
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    assert all(m.training for m in net.train().modules())
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    net.requires_grad_()
    names = []
    assert net.apply(lambda m: names.append(type(m).__name__)) is net
    assert names == ["Linear", "Linear", "Net"]


def test_zero_grad():
    net = Net()
    net(T.ones(2, 3)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert all(p.grad.abs().sum() == 0 for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("target", [T.float64, "float64", T.zeros(1, dtype=T.float64)])
def test_to_changes_parameters_gradients_and_float_buffers_in_place(target):
    net = Net()
    net.register_buffer("count", T.tensor(3))
    net(T.ones(2, 3)).sum().backward()
    before = list(net.parameters())
    assert net.to(target if not isinstance(target, str) else T.float64) is net
    assert all(a is b for a, b in zip(before, net.parameters(), strict=True))
    assert {p.dtype for p in before} == {np.dtype("float64")}
    assert {p.grad.dtype for p in before} == {np.dtype("float64")}
    assert net.seen.dtype == np.float64
    assert net.count.dtype == np.int64
    assert net.float().scale.dtype == np.float32
    assert net.double().half().scale.dtype == np.float16
    assert net.to("cpu", dtype=T.float32).cpu().type("float64").scale.dtype == np.float64


def test_state_dict_shares_memory_and_is_detached():
    net = Net()
    state = net.state_dict()
    assert list(state) == NAMES
    assert not state["scale"].requires_grad
    assert state["scale"].array is net.scale.array
    assert net.state_dict(keep_vars=True)["scale"] is net.scale
    assert next(iter(net.state_dict(prefix="net."))) == "net.scale"


def test_load_state_dict_copies_the_values():
    a, b = Net(), Net()
    array = b.scale.array
    keys = b.load_state_dict(a.state_dict())
    assert str(keys) == "<All keys matched successfully>"
    assert b.scale.array is array
    x = T.randn(2, 3)
    np.testing.assert_array_equal(a(x).detach(), b(x).detach())
    b.load_state_dict(a.state_dict(), assign=True)
    assert b.scale.array is a.scale.array
    assert isinstance(b.scale, nn.Parameter)


def test_load_state_dict_lists_all_that_is_wrong_and_changes_nothing():
    net = Net()
    state = OrderedDict((k, v.clone() + 1) for k, v in net.state_dict().items())
    del state["first.bias"]
    state["extra"] = T.ones(1)
    state["first.weight"] = T.ones(2, 3)
    state["second.weight"] = [1]
    before = net.scale.array.copy()
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    lines = str(caught.value).split("\n\t")
    assert lines[0] == "Error(s) in loading state_dict for Net:"
    assert lines[1] == 'Missing key(s) in state_dict: "first.bias". '
    assert lines[2] == 'Unexpected key(s) in state_dict: "extra". '
    assert lines[3].startswith("size mismatch for first.weight: copying a param with shape")
    assert 'parameter named "second.weight", expected a Tensor' in lines[4]
    np.testing.assert_array_equal(net.scale.array, before)
    with pytest.raises(RuntimeError, match="size mismatch"):
        net.load_state_dict(state, strict=False)
    keys = net.load_state_dict({"scale": T.zeros(3), "extra": T.ones(1)}, strict=False)
    assert keys.unexpected_keys == ["extra"]
    assert keys.missing_keys == NAMES[1:]
    assert "missing_keys=" in repr(keys)
    assert net.scale.tolist() == [0, 0, 0]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_independent_and_keep_sharing(copied):
    net = Net()
    twin = copied(net)
    assert twin.second.weight is twin.first.weight
    assert twin.first.weight is not net.first.weight
    assert isinstance(twin.scale, nn.Parameter)
    assert list(twin.state_dict()) == NAMES
    twin.scale.array[...] = 7
    assert net.scale.tolist() == [1, 1, 1]
    assert repr(twin) == repr(net)


def test_a_shallow_copy_has_its_own_registry():
    net = Net()
    shallow = copy.copy(net)
    assert shallow.scale is net.scale
    shallow.extra = nn.ReLU()
    del shallow.scale
    assert "extra" not in net._modules
    assert "scale" in net._parameters


def test_modules_leave_no_cycles():
    gc.collect()
    gc.disable()
    try:
        net = nn.Sequential(Net(), nn.ReLU())
        net(T.ones(2, 3)).sum().backward()
        ref = weakref.ref(net)
        del net
        assert ref() is None
    finally:
        gc.enable()


def test_forward_hooks():
    net, calls = nn.Linear(2, 2), []
    with net.register_forward_pre_hook(lambda m, args: calls.append("before")):
        net.register_forward_pre_hook(lambda m, args: (args[0] * 0,), prepend=True)
        after = net.register_forward_hook(lambda m, args, y: y + 1)
        y = net(T.ones(1, 2))
    assert calls == ["before"]
    np.testing.assert_allclose(y.tolist()[0], net.bias.array + 1)
    after.remove()
    np.testing.assert_allclose(net(T.ones(1, 2)).tolist()[0], net.bias.array)
    assert calls == ["before"]


def test_forward_hooks_with_kwargs():
    class Add(nn.Module):
        def forward(self, x, by=0):
            return x + by

    net = Add()
    net.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"by": kwargs["by"] + 1}), with_kwargs=True
    )
    net.register_forward_hook(lambda m, args, kwargs, y: y * kwargs["by"], with_kwargs=True)
    assert net(1, by=1) == 6
    net.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="must return None or a tuple"):
        net(1, by=1)


def test_state_dict_hooks():
    net, told = nn.Linear(1, 1), []
    net.register_state_dict_post_hook(
        lambda m, state, prefix, meta: state.pop(prefix + "bias") and None
    )
    net.register_load_state_dict_pre_hook(
        lambda m, state, prefix, *rest: state.setdefault(prefix + "bias", T.zeros(1))
    )
    net.register_load_state_dict_post_hook(lambda m, keys: told.append(keys))
    state = net.state_dict()
    assert list(state) == ["weight"]
    net.load_state_dict(state)
    assert list(state) == ["weight"]
    assert net.bias.item() == 0
    assert told == [([], [])]


def test_assigning_a_parameter_shares_its_memory():
    data = T.ones(2)
    p = nn.Parameter(data)
    assert p.array is data.array
    assert p.requires_grad
    assert p.is_leaf
    assert not nn.Parameter(data, requires_grad=False).requires_grad
    assert type(p * 2) is T.Tensor
    assert repr(p).startswith("Parameter containing:\ntensor([1., 1.]")
