"""Hooks around steps and state dicts: order, what they may change, and taking them away."""

from __future__ import annotations

import copy
import pickle

import pytest

import tinygrad_opt as tg
from tinygrad_opt import optim
from tinygrad_opt.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)


def sgd():
    p = tg.tensor([1.0, 2.0], requires_grad=True)
    p.grad = tg.ones(2)
    return optim.SGD([p], lr=0.1)


class Overridden(optim.SGD):
    """A step of its own that calls the one it overrides."""

    def step(self, closure=None):
        return super().step(closure)


class TwiceOverridden(Overridden):
    def step(self, closure=None):
        return super().step(closure)


@pytest.mark.parametrize("cls", [optim.SGD, Overridden, TwiceOverridden])
def test_hooks_run_once_around_a_step_in_their_order(cls):
    p = tg.tensor([1.0], requires_grad=True)
    p.grad = tg.ones(1)
    optimizer = cls([p], lr=0.5)
    calls = []

    def noting(name):
        return lambda opt, args, kwargs: calls.append((name, p.item(), opt is args[0]))

    optimizer.register_step_pre_hook(noting("own before"))
    optimizer.register_step_post_hook(noting("own after"))
    handles = (
        register_optimizer_step_pre_hook(noting("global before")),
        register_optimizer_step_post_hook(noting("global after")),
    )
    try:
        optimizer.step()
    finally:
        for handle in handles:
            handle.remove()
    assert calls == [
        ("global before", 1.0, True), ("own before", 1.0, True),
        ("own after", 0.5, True), ("global after", 0.5, True),
    ]  # fmt: skip
    sgd().step()
    assert len(calls) == 4


def test_a_pre_hook_may_change_the_arguments():
    optimizer = sgd()
    optimizer.register_step_pre_hook(lambda opt, args, kwargs: ((opt, lambda: 7.0), {}))
    assert optimizer.step() == 7.0
    optimizer.register_step_pre_hook(lambda opt, args, kwargs: 3)
    with pytest.raises(RuntimeError, match=r"a tuple of .new_args, new_kwargs., but got 3"):
        optimizer.step()
    assert not optimizer._stepping  # the next step runs its hooks again


def test_handles_take_hooks_away():
    optimizer, calls = sgd(), []
    handle = optimizer.register_step_post_hook(lambda *args: calls.append(1))
    optimizer.step()
    handle.remove()
    optimizer.step()
    assert calls == [1]


def test_state_dict_hooks():
    optimizer, calls = sgd(), []
    optimizer.register_state_dict_pre_hook(lambda opt: calls.append("second"))
    optimizer.register_state_dict_pre_hook(lambda opt: calls.append("first"), prepend=True)
    optimizer.register_state_dict_post_hook(lambda opt, d: {**d, "note": "kept"})
    optimizer.register_state_dict_post_hook(lambda opt, d: None)
    saved = optimizer.state_dict()
    assert calls == ["first", "second"]
    assert saved["note"] == "kept"


def test_loading_hooks():
    optimizer, calls = sgd(), []
    saved = optimizer.state_dict()

    def faster(opt, state_dict):
        state_dict["param_groups"] = [{**state_dict["param_groups"][0], "lr": 9.0}]

    optimizer.register_load_state_dict_pre_hook(faster)
    optimizer.register_load_state_dict_post_hook(lambda opt: calls.append(opt))
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["lr"] == 9.0
    assert saved["param_groups"][0]["lr"] == 0.1  # the caller's dict is not written to
    assert calls == [optimizer]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_have_no_hooks(copied):
    optimizer = sgd()
    optimizer.register_step_post_hook(lambda *args: pytest.fail("copied"))
    copied(optimizer).step()
