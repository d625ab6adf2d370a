"""Handles of hooks in other processes, hooks that fail, and that nothing of them is left behind."""

import pickle
from collections import OrderedDict

import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.nn import hooks as nn_hooks
from tinygrad_opt.nn import registry
from tinygrad_opt.nn.modules import module as all_modules


class Failing(nn.Module):
    def forward(self, x):
        raise ValueError("forward failed")


def test_what_goes_wrong_in_a_hook_does_not_hide_the_error():
    def fails(*args):
        raise KeyError("hook")

    net = Failing()
    net.register_forward_hook(fails, always_call=True)
    with (
        pytest.warns(UserWarning, match="^module forward hook with ``always_call=True`` raised"),
        pytest.raises(ValueError, match="forward failed"),
    ):
        net(tg.ones(1))
    with (
        all_modules.register_module_forward_hook(fails, always_call=True),
        pytest.warns(UserWarning, match="^global module forward hook .*silenced .*: 'hook'"),
        pytest.raises(ValueError, match="forward failed"),
    ):
        Failing()(tg.ones(1))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_handle_is_the_handle_of_the_copy(protocol):
    net = nn.Linear(1, 1)
    handle = net.register_forward_hook(print, with_kwargs=True)
    other, its = pickle.loads(pickle.dumps((net, handle), protocol))
    assert its.id == handle.id
    assert its.hooks_dict_ref() is other._forward_hooks
    its.remove()
    assert not other._forward_hooks
    assert not other._forward_hooks_with_kwargs
    assert net._forward_hooks == {handle.id: print}
    gone = pickle.dumps(handle)
    del net
    lost = pickle.loads(gone)
    lost.remove()  # its dictionary was read, and is nobody's
    assert pickle.loads(pickle.dumps(lost)).id == handle.id


def test_ids_from_elsewhere_are_not_given_again():
    kind = tg.utils.hooks.RemovableHandle
    assert isinstance(nn.Linear(1, 1).register_forward_hook(print), kind)
    net = nn.Linear(1, 1)
    handle = net.register_forward_hook(print)
    text = pickle.dumps(net)
    kind.next_id, before = handle.id, kind.next_id  # as in another process
    try:
        other = pickle.loads(text)
        assert other.register_forward_hook(repr).id > handle.id
        assert len(other._forward_hooks) == 2
        kind.next_id = handle.id
        pickle.loads(pickle.dumps(handle))
        assert kind.next_id > handle.id
    finally:
        kind.next_id = max(kind.next_id, before)


REGISTER = [
    "forward_pre_hook", "forward_hook", "full_backward_hook", "full_backward_pre_hook",
    "backward_hook", "parameter_registration_hook", "buffer_registration_hook",
    "module_registration_hook",
]  # fmt: skip


@pytest.mark.parametrize("name", REGISTER)
def test_hooks_of_all_modules_leave_nothing_behind(name):
    marks = [v for k, v in vars(nn_hooks).items() if isinstance(v, OrderedDict)]
    tables = [*marks, *registry._registration.values()]
    before = [dict(table) for table in tables]
    options = dict(with_kwargs=True, always_call=True) if name == "forward_hook" else {}
    handle = getattr(all_modules, f"register_module_{name}")(lambda *args: None, **options)
    assert [dict(table) for table in tables] != before
    assert handle.id in handle.hooks_dict_ref()
    handle.remove()
    assert [dict(table) for table in tables] == before


def test_the_short_way_is_taken_again(monkeypatch):
    def never(*args):
        raise AssertionError("the way through the hooks")

    net = nn.Linear(1, 1)
    handles = [
        net.register_forward_hook(lambda *a: None, always_call=True),
        net.register_full_backward_pre_hook(lambda *a: None),
        all_modules.register_module_forward_pre_hook(lambda *a: None),
    ]
    net(tg.ones(1, 1))
    for handle in handles:
        handle.remove()
    net.register_state_dict_pre_hook(lambda *a: None)  # nothing that a call has to do with
    monkeypatch.setattr(nn.module, "call", never)
    net(tg.ones(1, 1))


def test_hooks_of_optimizers_have_handles_of_the_same_kind():
    p = nn.Parameter(tg.ones(1))
    optimizer, log = optim.SGD([p], lr=0.1), []

    def hook(*args):
        log.append(len(args))

    first, second = (optimizer.register_step_post_hook(hook) for _ in range(2))
    p.grad = tg.ones(1)
    first.remove()
    first.remove()
    optimizer.step()
    assert log == [3]
    assert second.hooks_dict_ref()[second.id] is hook
    with optimizer.register_state_dict_pre_hook(lambda o: log.append("last")):
        optimizer.register_state_dict_pre_hook(lambda o: log.append("first"), prepend=True)
        optimizer.state_dict()
    optimizer.state_dict()
    assert log == [3, "first", "last", "first"]
