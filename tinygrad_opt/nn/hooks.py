"""The functions that a Module calls around its forward pass and around its state_dict."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from ..autograd.hooks import RemovableHandle
from .backward_hooks import AfterBackward, BeforeBackward, Watch
from .registry import Registry

__all__ = [
    "Hooked", "Hooks", "register_module_forward_hook", "register_module_forward_pre_hook",
    "register_module_full_backward_hook", "register_module_full_backward_pre_hook",
]  # fmt: skip


class Before(NamedTuple):
    """A hook that is called before forward."""

    hook: Callable[..., Any]
    with_kwargs: bool = False


class After(NamedTuple):
    """A hook that is called after forward; `always`: even if it raised."""

    hook: Callable[..., Any]
    with_kwargs: bool = False
    always: bool = False


everywhere: list[Before | After | AfterBackward | BeforeBackward] = []  # of all modules


class Hooks:
    """The hooks of one module; made when the first is registered, so others pay nothing."""

    def __init__(self) -> None:
        self.before: list[Before] = []
        self.after: list[After] = []
        self.backward: list[AfterBackward | BeforeBackward] = []  # called with gradients
        self.saving: list[Any] = []  # called before a state_dict is collected
        self.saved: list[Any] = []  # (hook, public), called with each state_dict
        self.loading: list[Any] = []  # (hook, with_module), called before a state_dict is loaded
        self.loaded: list[Any] = []  # called once it has been loaded


def add(hooks: list[Any], entry: Any, prepend: bool = False) -> RemovableHandle:
    """Put `entry` first or last; the handle takes it out again."""
    hooks.insert(0 if prepend else len(hooks), entry)
    return RemovableHandle(hooks, entry)


class Hooked(Registry):
    """The part of Module that registers hooks around forward."""

    _hooks: Hooks | None = None

    def _make_hooks(self) -> Hooks:
        if self._hooks is None:
            self._hooks = Hooks()
        return self._hooks

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Calls `hook(module, args)` before forward; what it returns replaces the arguments.

        `with_kwargs`: `hook(module, args, kwargs)`, which returns None or (args, kwargs).
        `prepend`: before the hooks that are there already.
        """
        return add(self._make_hooks().before, Before(hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:  # fmt: skip
        """Calls `hook(module, args, output)` after forward; what it returns replaces the output.

        `with_kwargs`: `hook(module, args, kwargs, output)`. `always_call`: with output None if
        forward raises, before the error goes on. `prepend`: before the hooks that are there.
        """
        return add(self._make_hooks().after, After(hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(module, grad_output)` when the gradients of what forward returned are known.

        `grad_output`: a tuple; a tuple that the hook returns replaces it.
        """
        return add(self._make_hooks().backward, BeforeBackward(hook), prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(module, grad_input, grad_output)` when those of the arguments are known too.

        `grad_input`: for each positional argument its gradient or None; a tuple that the hook
        returns replaces it.
        """
        return add(self._make_hooks().backward, AfterBackward(hook), prepend)

    register_backward_hook = register_full_backward_hook  # the old name


def call(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run `module.forward` between the hooks, each of which may replace what it is shown."""
    own = module._hooks or Hooks()
    waiting = [h for h in (*everywhere, *own.after) if isinstance(h, After)]
    output = None
    try:
        for entry in (*everywhere, *own.before):
            if isinstance(entry, Before):
                args, kwargs = _changed_arguments(module, entry, args, kwargs)
        watch = _watch(module, own)
        output = module.forward(*(watch.arguments(args) if watch else args), **kwargs)
        while waiting:
            output = _changed_output(module, waiting.pop(0), args, kwargs, output)
        if watch:
            output = watch.output(output)
    except Exception:
        for entry in waiting:
            if entry.always:
                _call_in_vain(module, entry, args, kwargs, output)
        raise
    return output


def _watch(module: Any, own: Hooks) -> Watch | None:
    """What calls the hooks on gradients, if there are any."""
    kinds = (AfterBackward, BeforeBackward)
    wanted = (*(h for h in everywhere if isinstance(h, kinds)), *own.backward)
    return Watch(module, wanted) if wanted else None


def _changed_arguments(
    module: Any, entry: Before, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if not entry.with_kwargs:
        changed = entry.hook(module, args)
        if changed is not None:
            args = changed if isinstance(changed, tuple) else (changed,)
        return args, kwargs
    changed = entry.hook(module, args, kwargs)
    if changed is None:
        return args, kwargs
    if isinstance(changed, tuple) and len(changed) == 2:
        return changed
    raise RuntimeError(
        "forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got "
        f"{changed!r}"
    )


def _changed_output(
    module: Any, entry: After, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
) -> Any:
    extra = (kwargs,) if entry.with_kwargs else ()
    changed = entry.hook(module, args, *extra, output)
    return output if changed is None else changed


def _call_in_vain(
    module: Any, entry: After, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
) -> None:
    """Call a hook although forward raised; what goes wrong in it must not hide why."""
    try:
        _changed_output(module, entry, args, kwargs, output)
    except Exception as error:
        warnings.warn(
            "module forward hook with `always_call=True` raised an exception that was silenced as "
            f"another error was raised in forward: {error}",
            stacklevel=2,
        )


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, args)` before the forward of every module; see Module's own."""
    return add(everywhere, Before(hook))


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Calls `hook(module, args, output)` after the forward of every module; see Module's own."""
    return add(everywhere, After(hook, with_kwargs, always_call))


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, grad_output)` in the backward of every module; see Module's own."""
    return add(everywhere, BeforeBackward(hook))


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, grad_input, grad_output)` after it, for every module; see Module's."""
    return add(everywhere, AfterBackward(hook))
