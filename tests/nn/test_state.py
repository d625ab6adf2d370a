"""state_dict in depth: what subclasses replace, extra state, hooks, and what is undone."""

from __future__ import annotations

import copy
from collections import OrderedDict

import pytest

import tinygrad_opt as T
from tinygrad_opt import nn


class Serialized(nn.Module):
    """Saves its parameter in a form of its own."""

    _version = 3

    def __init__(self):
        super().__init__()
        self.param = nn.Parameter(T.ones(1))
        self.sub = nn.Linear(1, 1)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        destination[prefix + "serialized"] = self.param.data + 1

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *rest):
        self.seen = local_metadata
        self.param.data.copy_(state_dict[prefix + "serialized"] - 1)


def test_a_class_saves_itself_as_it_likes():
    net = nn.Sequential(Serialized())
    net[0].param.data += 4
    state = net.state_dict()
    assert list(state) == ["0.serialized", "0.sub.weight", "0.sub.bias"]
    assert state["0.serialized"].item() == 6
    assert state._metadata["0"] == {"version": 3}
    assert set(state._metadata) == {"", "0", "0.sub"}
    other = nn.Sequential(Serialized())
    assert not any(other.load_state_dict(state))
    assert other[0].param.item() == 5
    assert other[0].seen == {"version": 3}
    other.load_state_dict(state, assign=True)
    assert other[0].seen == {"version": 3, "assign_to_params_buffers": True}


class Counting(nn.Module):
    count = 0

    def get_extra_state(self):
        return {"count": self.count}

    def set_extra_state(self, state):
        self.count = state["count"]


def test_extra_state():
    net = nn.Sequential(Counting(), nn.Linear(1, 1))
    net[0].count = 7
    state = net.state_dict()
    assert state["0._extra_state"] == {"count": 7}
    other = nn.Sequential(Counting(), nn.Linear(1, 1))
    other.load_state_dict(state)
    assert other[0].count == 7
    del state["0._extra_state"]
    with pytest.raises(RuntimeError, match=r'Missing key.*"0._extra_state"'):
        other.load_state_dict(state)
    with pytest.raises(RuntimeError, match=r'Unexpected key.*"_extra_state"'):
        net[1].load_state_dict({**net[1].state_dict(), "_extra_state": 3})
    for act in (nn.Module().get_extra_state, lambda: nn.Module().set_extra_state(3)):
        with pytest.raises(RuntimeError, match="is not defined, so nothing should call it"):
            act()


def test_what_fails_is_undone():
    net = nn.Sequential(Counting(), nn.Linear(1, 1), nn.BatchNorm1d(1))
    before = copy.deepcopy(net.state_dict())
    state = OrderedDict((k, v if k[0] == "0" else v + 1) for k, v in net.state_dict().items())
    state["unknown"] = T.ones(1)
    weight = net[1].weight
    for assign in (False, True):
        with pytest.raises(RuntimeError, match=r'Unexpected key.*"unknown"'):
            net.load_state_dict(state, assign=assign)
        assert net[1].weight is weight
        assert all(before[k] == v for k, v in net.state_dict().items())
    keys = net.load_state_dict(state, strict=False)
    assert keys.unexpected_keys == ["unknown"]
    assert net[1].weight == before["1.weight"] + 1


def test_a_number_may_have_been_saved_as_a_vector_of_one():
    norm = nn.BatchNorm1d(1)
    norm.load_state_dict({**norm.state_dict(), "num_batches_tracked": T.tensor([3])})
    assert norm.num_batches_tracked.item() == 3


def test_hooks_around_saving():
    net, calls = nn.Sequential(nn.Linear(1, 1)), []
    handle = net.register_state_dict_pre_hook(lambda *args: calls.append(args[1:]))
    net[0].register_state_dict_pre_hook(lambda *args: calls.append(args[1:]))
    net.state_dict(prefix="a.", keep_vars=True)
    assert calls == [("a.", True), ("a.0.", True)]
    handle.remove()
    net.state_dict()
    assert calls[2:] == [("0.", False)]
    net._register_state_dict_hook(lambda m, state, prefix, about: {"all": len(state)})
    assert net.state_dict() == {"all": 2}
    net[0].register_state_dict_post_hook(lambda *args: 3)
    with pytest.raises(RuntimeError, match="state_dict post-hook must return None"):
        net.state_dict()


def test_hooks_around_loading():
    net, seen = nn.Linear(1, 1), []

    def renamed(module, state, prefix, about, strict, missing, unexpected, problems):
        seen.append((module, prefix, strict))
        state[prefix + "weight"] = state.pop(prefix + "kernel")

    net.register_load_state_dict_pre_hook(renamed)
    net._register_load_state_dict_pre_hook(lambda state, *rest: seen.append(len(rest)))
    given = {"kernel": T.zeros(1, 1), "bias": T.zeros(1)}
    net.load_state_dict(given)
    assert seen == [(net, "", True), 6]
    assert list(given) == ["kernel", "bias"]
    assert net.weight.item() == 0

    forgiving = nn.Linear(1, 1)
    forgiving.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    forgiving.load_state_dict({"weight": T.zeros(1, 1)})
    forgiving.register_load_state_dict_post_hook(lambda m, keys: 3)
    with pytest.raises(AssertionError, match="are not expected to return new values"):
        forgiving.load_state_dict({"weight": T.zeros(1, 1)})


class Failing(nn.Module):
    def forward(self, x):
        raise ValueError("no")


def test_hooks_that_are_always_called():
    net, calls = Failing(), []
    net.register_forward_hook(lambda *args: calls.append("never"))
    net.register_forward_hook(lambda m, args, y: calls.append(y), always_call=True)
    with pytest.raises(ValueError, match="no"):
        net(1)
    assert calls == [None]
    net.register_forward_hook(lambda *args: 1 / 0, always_call=True)
    with (
        pytest.warns(UserWarning, match="silenced.*division by zero"),
        pytest.raises(ValueError, match="no"),
    ):
        net(1)


def test_hooks_of_all_modules():
    from tinygrad_opt.nn import hooks

    net, calls = nn.Sequential(nn.Identity(), nn.ReLU()), []
    with (
        hooks.register_module_forward_pre_hook(lambda m, args: calls.append(m)),
        hooks.register_module_forward_hook(lambda m, args, y: y + 1),
    ):
        assert net(T.zeros(1)).tolist() == [3]
    assert calls == [net, net[0], net[1]]
    assert net(T.zeros(1)).tolist() == [0]


def test_submodules_can_be_replaced_by_path():
    net = nn.Sequential(nn.Sequential(nn.ReLU()), nn.Tanh())
    net.set_submodule("0.0", nn.GELU())
    assert type(net[0][0]) is nn.GELU
    net.set_submodule("0.later", nn.ELU())
    assert type(net[0].later) is nn.ELU
    net.set_submodule("1", nn.SiLU(), strict=True)
    net.register_module("extra", nn.Identity())
    assert "extra" in dir(net)
    assert "0" not in dir(net)
    for act, error, text in [
        (lambda: net.set_submodule("", nn.ReLU()), ValueError, "without a target name"),
        (lambda: net.set_submodule("1", 3), ValueError, "is not an nn.Module"),
        (lambda: net.set_submodule("9", nn.ReLU(), strict=True), AttributeError, "no attribute"),
        (lambda: net.set_submodule("training", nn.ReLU()), AttributeError, "is not an nn.Module"),
        (lambda: net.set_submodule("8.x", nn.ReLU()), AttributeError, "has no attribute `8`"),
    ]:
        with pytest.raises(error, match=text):
            act()


def test_moving_only_the_module_itself():
    net = nn.BatchNorm1d(2)
    assert net.to_empty(device="cpu") is net
    assert len(list(nn.Sequential(net, net).modules(remove_duplicate=False))) == 3


def test_buffers_by_assignment():
    net = nn.Module()
    net.kept = nn.Buffer(T.ones(1))
    net.scratch = nn.Buffer(T.ones(1), persistent=False)
    assert [name for name, _ in net.named_buffers()] == ["kept", "scratch"]
    assert list(net.state_dict()) == ["kept"]
    net.kept = T.zeros(1)
    assert net.state_dict()["kept"].item() == 0
