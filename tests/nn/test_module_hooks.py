"""Hooks of modules and their handles: what is called, when, with what, and what is left behind.

Each scenario is run with this library and says what it saw; the same function run with PyTorch has
to say the same.
"""

import copy
import itertools
from collections import OrderedDict

import pytest

import tinygrad_opt as tg


def doubling(m, fail=False):
    class Doubling(m.nn.Module):
        def forward(self, x, by=2.0):
            if fail:
                raise ValueError("forward failed")
            return x * by

    return Doubling()


def call(m, net, log, **kwargs):
    """The output as a number, or the error's kind, at the end of the log."""
    try:
        log.append(net(m.ones(1), **kwargs).item())
    except Exception as error:
        log.append(type(error).__name__)
    return log


def order(m):
    """Global ones first; prepended ones before those that were there."""
    log, net, all_ = [], doubling(m), m.nn.modules.module

    def note(name):
        return lambda *args: log.append((name, len(args)))

    handles = [
        net.register_forward_pre_hook(note("pre 1")),
        net.register_forward_pre_hook(note("pre 2"), prepend=True, with_kwargs=True),
        net.register_forward_hook(note("post 1"), with_kwargs=True),
        net.register_forward_hook(note("post 2"), prepend=True),
        all_.register_module_forward_pre_hook(note("all pre")),
        all_.register_module_forward_hook(note("all post")),
        all_.register_module_forward_hook(note("all post kwargs"), with_kwargs=True),
    ]
    call(m, net, log, by=3.0)
    for handle in handles:
        handle.remove()
    return call(m, net, log)


def replaced(m):
    log, net = [], doubling(m)
    net.register_forward_pre_hook(lambda mod, args: args[0] + 1)  # alone, made a tuple
    net.register_forward_pre_hook(lambda mod, args, kwargs: (args, {"by": 5.0}), with_kwargs=True)
    net.register_forward_hook(lambda mod, args, kwargs, y: y + kwargs["by"], with_kwargs=True)
    net.register_forward_hook(lambda mod, args, y: log.append((args[0].item(), y.item())))
    return call(m, net, log)


def always(m):
    """Called once each, though forward failed; others not; the error goes on."""
    log, net = [], doubling(m, fail=True)
    all_ = m.nn.modules.module

    def note(*args):
        log.append(("all", args[-1] if args[-1] is None else args[-1].item()))

    with all_.register_module_forward_hook(note, always_call=True):
        net.register_forward_hook(lambda *a: log.append("never"))
        net.register_forward_hook(lambda mod, a, y: log.append(("own", y)), always_call=True)
        net.register_forward_hook(
            lambda mod, a, k, y: log.append((k, y)), always_call=True, with_kwargs=True
        )
        call(m, net, log, by=2.0)
        call(m, doubling(m), log)
    return log


def always_after_a_failing_hook(m):
    """The one that ran is not called again, the one behind the failure is, with the output."""
    log, net = [], doubling(m)

    def fails(*args):
        raise KeyError("hook")

    net.register_forward_hook(lambda mod, a, y: log.append(("first", y.item())), always_call=True)
    net.register_forward_hook(fails)
    net.register_forward_hook(lambda mod, a, y: log.append(("last", y.item())), always_call=True)
    return call(m, net, log)


def always_after_a_failing_pre_hook(m):
    log, net = [], doubling(m)

    def fails(*args):
        raise KeyError("hook")

    net.register_forward_pre_hook(fails)
    net.register_forward_hook(lambda mod, a, y: log.append(y), always_call=True)
    return call(m, net, log)


def always_not_on_interruption(m):
    class Interrupted(m.nn.Module):
        def forward(self, x):
            raise KeyboardInterrupt

    log, net = [], Interrupted()
    net.register_forward_hook(lambda *a: log.append("called"), always_call=True)
    try:
        net(m.ones(1))
    except KeyboardInterrupt:
        log.append("interrupted")
    return log


def registered_during_the_call(m):
    """Before forward one may register one after it; not one more of those before it."""
    log, net = [], doubling(m)

    def before(mod, args):
        mod.register_forward_hook(lambda *a: log.append("after"))
        mod.register_forward_pre_hook(lambda *a: log.append("late"))

    handle = net.register_forward_pre_hook(before)
    call(m, net, log)
    handle.remove()
    return call(m, net, log)


def removed_during_the_call(m):
    log, net, handles = [], doubling(m), []

    def once(name):
        def hook(*args):
            log.append(name)
            for handle in handles:
                handle.remove()

        return hook

    handles += [net.register_forward_hook(once("a")), net.register_forward_hook(once("b"))]
    call(m, net, log)
    return call(m, net, log)


def the_same_hook_twice(m):
    """Each handle takes away its own, however often it is told to."""
    log, net = [], doubling(m)

    def hook(*args):
        log.append("hook")

    first, second = net.register_forward_hook(hook), net.register_forward_hook(hook)
    call(m, net, log)
    first.remove()
    first.remove()
    call(m, net, log)
    second.remove()
    return call(m, net, log)


def tables(m):
    """What the handle and the module know of each other."""
    net = doubling(m)
    pre = net.register_forward_pre_hook(print, with_kwargs=True)
    post = net.register_forward_hook(print, with_kwargs=True, always_call=True)
    back = net.register_full_backward_hook(print)
    back_pre = net.register_full_backward_pre_hook(print)
    pairs = [
        (pre, net._forward_pre_hooks), (post, net._forward_hooks), (back, net._backward_hooks),
        (back_pre, net._backward_pre_hooks), (pre, net._forward_pre_hooks_with_kwargs),
        (post, net._forward_hooks_with_kwargs), (post, net._forward_hooks_always_called),
    ]  # fmt: skip
    held = [(handle.id in table, handle.hooks_dict_ref() is table) for handle, table in pairs]
    ids = [handle.id for handle in (pre, post, back, back_pre)]
    for handle in (pre, post, back, back_pre):
        handle.remove()
    left = [handle.id in table for handle, table in pairs]
    return held, [b - a for a, b in itertools.pairwise(ids)], left


def removed_by_clearing_the_table(m):
    log, net = [], doubling(m)
    handle = net.register_forward_hook(lambda *a: log.append("a"))
    net._forward_hooks.clear()
    call(m, net, log)
    handle.remove()
    net.register_forward_hook(lambda *a: log.append("b"))
    net._forward_hooks = OrderedDict()
    return call(m, net, log)


def outlived(m):
    """A handle does not keep the module's hooks alive, and can be removed after them."""
    net = doubling(m)
    handle = net.register_forward_hook(print)
    del net
    handle.remove()
    return handle.hooks_dict_ref() is None


def of_tensors(m):
    x = m.ones(2, requires_grad=True)
    seen = []
    first = x.register_hook(lambda g: seen.append("first"))
    second = x.register_post_accumulate_grad_hook(lambda p: seen.append("second"))
    with (x * 2).register_hook(print) as third:
        pass
    (x * 3).sum().backward()
    for handle in (first, first, second):
        handle.remove()
    (x * 3).sum().backward()
    return seen, second.id - first.id, third.id - second.id, first.id in first.hooks_dict_ref()


def retained_behind_hooks(m):
    x = m.ones(1, requires_grad=True)
    y = x * 2
    y.retain_grad()
    handle = y.register_hook(lambda g: g * 10)
    y.backward(retain_graph=True)
    handle.remove()
    first = y.grad.item()
    y.backward()
    return first, y.grad.item(), y.retains_grad


def registrations(m):
    """(kind, name, value) of all that modules are given, however it is given."""
    log, all_ = [], m.nn.modules.module
    with (
        all_.register_module_parameter_registration_hook(
            lambda mod, name, p: log.append(("parameter", name, tuple(p.shape)))
        ),
        all_.register_module_buffer_registration_hook(
            lambda mod, name, b: log.append(("buffer", name, None if b is None else b.item()))
        ),
        all_.register_module_module_registration_hook(
            lambda mod, name, sub: log.append(
                ("module", name, type(sub).__name__, hasattr(mod, name))
            )
        ),
    ):
        net = m.nn.Sequential(m.nn.Linear(2, 3, bias=False))
        net.add_module("more", m.nn.ReLU())
        net.more = m.nn.Tanh()
        net.more = None
        net.register_module("none", None)
        net.register_parameter("none_too", None)
        net.w = m.nn.Parameter(m.zeros(4))
        net.register_parameter("w", m.nn.Parameter(m.zeros(5)))
        net.w = None
        net.register_buffer("b", m.tensor(1.0))
        net.b = m.tensor(2.0)
        net.b = None
        net.c = m.nn.Buffer(m.tensor(3.0), persistent=False)
        net.plain = m.tensor(4.0)
        m.nn.ModuleList([m.nn.ReLU()]).append(m.nn.ReLU())
        m.nn.ModuleDict({"a": m.nn.ReLU()})
        m.nn.ParameterList([m.nn.Parameter(m.zeros(6))])
        one = m.nn.Linear(1, 1, bias=False)
        del log[-1:]
        one.load_state_dict({"weight": m.ones(1, 1)}, assign=True)
        one.load_state_dict({"weight": m.ones(1, 1)})
        one.double()
    m.nn.Linear(1, 1)
    return log


def registered_in_place_of(m):
    all_ = m.nn.modules.module
    with (
        all_.register_module_parameter_registration_hook(
            lambda mod, name, p: m.nn.Parameter(p.detach() + 1)
        ),
        all_.register_module_parameter_registration_hook(
            lambda mod, name, p: m.nn.Parameter(p.detach() * 10)
        ),
        all_.register_module_buffer_registration_hook(lambda mod, name, b: b + 5),
        all_.register_module_module_registration_hook(lambda mod, name, sub: m.nn.Tanh()),
    ):
        net = m.nn.Module()
        net.w = m.nn.Parameter(m.zeros(1))
        net.register_buffer("b", m.zeros(1), persistent=False)
        net.b = net.b * 2
        net.a = m.nn.ReLU()
        net.add_module("c", m.nn.ReLU())
    values = net.w.item(), net.b.item(), type(net.a).__name__, type(net.c).__name__
    return values, list(net.state_dict()), [name for name, _ in net.named_children()]


def around_state_dicts(m):
    log = []
    net = m.nn.Sequential(m.nn.Linear(1, 1), m.nn.Linear(1, 1))
    net.register_state_dict_pre_hook(lambda mod, prefix, keep: log.append(("pre", prefix, keep)))
    net[1].register_state_dict_pre_hook(lambda mod, prefix, keep: log.append(("pre", prefix)))
    post = net[0].register_state_dict_post_hook(
        lambda mod, state, prefix, about: state.pop(prefix + "bias") and None
    )
    net[1].register_load_state_dict_pre_hook(
        lambda mod, state, prefix, about, strict, missing, unexpected, errors: log.append(
            ("load", prefix, sorted(state), strict)
        )
    )
    net.register_load_state_dict_post_hook(
        lambda mod, keys: log.append((list(keys.missing_keys), list(keys.unexpected_keys)))
    )
    forgiving = net.register_load_state_dict_post_hook(lambda mod, keys: keys[0].clear())
    state = net.state_dict()
    log.append(list(state))
    log.append(tuple(map(list, net.load_state_dict(state))))
    forgiving.remove()
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        log.append("Missing key(s) in state_dict" in str(error))
    post.remove()
    seen = list(log)
    return [*seen, list(net.state_dict()), tuple(map(list, net.load_state_dict(net.state_dict())))]


def copied(m):
    """A deep copy keeps the hooks; the handle stays that of the original."""
    log, net = [], doubling(m)
    handle = net.register_forward_hook(lambda *a: log.append("hook"))
    other = copy.deepcopy(net)
    handle.remove()
    call(m, net, log)
    return call(m, other, log)


SCENARIOS = {
    order: [
        ("all pre", 2), ("pre 2", 3), ("pre 1", 2), ("all post", 3), ("all post kwargs", 4),
        ("post 2", 3), ("post 1", 4), 3.0, 2.0,
    ],
    replaced: [(2.0, 15.0), 15.0],
    always: [("all", None), ("own", None), ({"by": 2.0}, None), "ValueError", ("all", 2.0), 2.0],
    always_after_a_failing_hook: [("first", 2.0), ("last", 2.0), "KeyError"],
    always_after_a_failing_pre_hook: [None, "KeyError"],
    always_not_on_interruption: ["interrupted"],
    registered_during_the_call: ["after", 2.0, "late", "after", 2.0],
    removed_during_the_call: ["a", "b", 2.0, 2.0],
    the_same_hook_twice: ["hook", "hook", 2.0, "hook", 2.0, 2.0],
    tables: ([(True, True)] * 4 + [(True, False)] * 3, [1, 1, 1], [False] * 7),
    removed_by_clearing_the_table: [2.0, 2.0],
    outlived: True,
    of_tensors: (["first", "second"], 1, 1, False),
    retained_behind_hooks: (10.0, 11.0, True),
    registrations: [
        ("parameter", "weight", (3, 2)), ("module", "0", "Linear", False),
        ("module", "more", "ReLU", False), ("module", "more", "Tanh", True),
        ("module", "more", "NoneType", True), ("module", "none", "NoneType", False),
        ("parameter", "w", (4,)), ("parameter", "w", (5,)), ("buffer", "b", 1.0),
        ("buffer", "b", 2.0), ("buffer", "b", None), ("buffer", "c", 3.0),
        ("module", "0", "ReLU", False), ("module", "1", "ReLU", False),
        ("module", "a", "ReLU", False), ("parameter", "0", (6,)), ("parameter", "weight", (1, 1)),
    ],
    registered_in_place_of: ((10.0, 15.0, "Tanh", "Tanh"), ["w"], ["a", "c"]),
    around_state_dicts: [
        ("pre", "", False), ("pre", "1."), ["0.weight", "1.weight", "1.bias"],
        ("load", "1.", ["1.bias", "1.weight"], True), (["0.bias"], []), ([], []),
        ("load", "1.", ["1.bias", "1.weight"], True), (["0.bias"], []), True,
        ["0.weight", "0.bias", "1.weight", "1.bias"], ([], []),
    ],
    copied: [2.0, "hook", 2.0],
}  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_what_happens(scenario):
    assert scenario(tg) == SCENARIOS[scenario]


@pytest.mark.peers
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_as_pytorch(torch, scenario):
    assert scenario(tg) == scenario(torch)
