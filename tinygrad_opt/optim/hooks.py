"""Hooks of an optimizer: functions called around a step, a state dict, and loading one."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ..arrays.quiet import quiet
from ..autograd.hooks import RemovableHandle, add_hook
from ..core.record import mode

__all__ = ["Hooks", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook"]


class Hooks:
    """The hooks of one optimizer, or of all; made when the first is registered."""

    def __init__(self) -> None:
        self.before_step: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.after_step: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.before_state_dict: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.after_state_dict: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.before_loading: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.after_loading: OrderedDict[int, Callable[..., Any]] = OrderedDict()


everywhere: Hooks = Hooks()  # those of all optimizers; only steps have them


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(optimizer, args, kwargs)` before every step of every optimizer.

    It may return changed `(args, kwargs)` of `step`, or None.
    """
    return add_hook(everywhere.before_step, hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(optimizer, args, kwargs)` after every step of every optimizer."""
    return add_hook(everywhere.after_step, hook)


class Hooked:
    """The part of Optimizer that registers hooks."""

    _hooks: Hooks | None = None

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(optimizer, args, kwargs)` before each step, global hooks first.

        It may return changed `(args, kwargs)` of `step`, or None.
        """
        return add_hook(self._own_hooks().before_step, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(optimizer, args, kwargs)` after each step."""
        return add_hook(self._own_hooks().after_step, hook)

    def register_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(optimizer)` before a state dict is made."""
        return add_hook(self._own_hooks().before_state_dict, hook, prepend=prepend)

    def register_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(optimizer, state_dict)` on each state dict; what it returns replaces it."""
        return add_hook(self._own_hooks().after_state_dict, hook, prepend=prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(optimizer, state_dict)` before loading; what it returns is loaded instead.

        It is given a shallow copy: the caller's state dict keeps its keys.
        """
        return add_hook(self._own_hooks().before_loading, hook, prepend=prepend)

    def register_load_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(optimizer)` once a state dict has been loaded."""
        return add_hook(self._own_hooks().after_loading, hook, prepend=prepend)

    def _own_hooks(self) -> Hooks:
        if self._hooks is None:
            self._hooks = Hooks()
        return self._hooks


def wrap_own_methods(cls: Any) -> None:
    """What a subclass of Optimizer defines itself is run as the base class's would be."""
    if "step" in vars(cls):
        cls.step = _noted(cls.step)
    if "update" in vars(cls):  # what NumPy computes there; kernels warn of nothing
        cls.update = quiet(cls.update)


def _noted(step: Callable[..., Any]) -> Callable[..., Any]:
    """A subclass's own `step`: between its hooks, unrecorded, and noted (schedulers ask)."""

    @functools.wraps(step)
    def between(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._opt_called = True
        if self._stepping:  # a subclass of the subclass calls it
            return step(self, *args, **kwargs)
        before, mode.enabled = mode.enabled, False
        try:
            return hooked_step(self, step, args, kwargs)
        finally:
            mode.enabled = before

    return between


def hooked_step(
    optimizer: Any, step: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """The step between its hooks, once, however many steps of base classes it calls."""
    optimizer._stepping = True
    try:
        return _between_hooks(optimizer, step, args, kwargs)
    finally:
        optimizer._stepping = False


def _between_hooks(
    optimizer: Any, step: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """`step(optimizer, *args, **kwargs)` between its hooks: those of all optimizers outermost.

    As in PyTorch, the `args` that hooks see begin with the optimizer itself.
    """
    own = optimizer._hooks or Hooks()
    args = (optimizer, *args)
    for hook in (*everywhere.before_step.values(), *own.before_step.values()):
        changed = hook(optimizer, args, kwargs)
        if changed is None:
            continue
        if not (isinstance(changed, tuple) and len(changed) == 2):
            raise RuntimeError(
                f"{type(optimizer).__name__}.step: a pre-hook must return None or a tuple of "
                f"(new_args, new_kwargs), but got {changed}."
            )
        args, kwargs = changed
    result = step(*args, **kwargs)
    for hook in (*own.after_step.values(), *everywhere.after_step.values()):
        hook(optimizer, args, kwargs)
    return result
