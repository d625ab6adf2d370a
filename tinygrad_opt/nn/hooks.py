"""The functions that a Module calls around its forward pass and around its state_dict."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ..autograd.function import Function
from ..autograd.hooks import RemovableHandle, add_hook
from ..core.node import Variable
from ..core.record import mode
from .registry import (
    Registry,
    register_module_buffer_registration_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

__all__ = [
    "Hooked", "Hooks", "Watch", "register_module_backward_hook",
    "register_module_buffer_registration_hook", "register_module_forward_hook",
    "register_module_forward_pre_hook", "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook", "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]  # fmt: skip

Table = OrderedDict[int, Any]  # hooks, or what is known of them, by the ids of their handles


class Hooks:
    """The hooks of one module; made when the first is registered, so others pay nothing."""

    def __init__(self) -> None:
        self.before: Table = OrderedDict()  # forward
        self.after: Table = OrderedDict()
        self.before_backward: Table = OrderedDict()  # called with gradients
        self.after_backward: Table = OrderedDict()
        self.saving: Table = OrderedDict()  # called before a state_dict is collected
        self.saved: Table = OrderedDict()  # called with each state_dict
        self.loading: Table = OrderedDict()  # called before a state_dict is loaded
        self.loaded: Table = OrderedDict()  # called once it has been loaded
        self.with_kwargs: Table = OrderedDict()  # marks those before and after forward
        self.always: Table = OrderedDict()  # marks those after forward: even if it raised
        self.mute: Table = OrderedDict()  # marks those of `saved` that must return None
        self.with_module: Table = OrderedDict()  # marks those of `loading`

    def __bool__(self) -> bool:
        """Whether a call of the module has to do with any."""
        return bool(self.before or self.after or self.before_backward or self.after_backward)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        newest = max((id for table in state.values() for id in table), default=-1)
        RemovableHandle.next_id = max(RemovableHandle.next_id, newest + 1)


# Those of all modules: one dictionary, so that a call asks only whether it is empty.
everywhere: Table = OrderedDict()


_before: Table = OrderedDict()  # marks what each of them is


_after: Table = OrderedDict()


_before_backward: Table = OrderedDict()


_after_backward: Table = OrderedDict()


_with_kwargs: Table = OrderedDict()


_always: Table = OrderedDict()


class _Named:
    """A table of the hooks of a module, under PyTorch's name for it."""

    def __init__(self, table: str) -> None:
        self.table = table

    def __get__(self, module: Any, owner: Any) -> Any:
        return self if module is None else getattr(module._make_hooks(), self.table)

    def __set__(self, module: Any, hooks: Any) -> None:
        setattr(module._make_hooks(), self.table, hooks)


class Hooked(Registry):
    """The part of Module that registers hooks around forward."""

    _hooks: Hooks | None = None
    _forward_pre_hooks = _Named("before")
    _forward_pre_hooks_with_kwargs = _Named("with_kwargs")
    _forward_hooks = _Named("after")
    _forward_hooks_with_kwargs = _Named("with_kwargs")
    _forward_hooks_always_called = _Named("always")
    _backward_pre_hooks = _Named("before_backward")
    _backward_hooks = _Named("after_backward")
    _state_dict_pre_hooks = _Named("saving")
    _state_dict_hooks = _Named("saved")
    _load_state_dict_pre_hooks = _Named("loading")
    _load_state_dict_post_hooks = _Named("loaded")

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
        own = self._make_hooks()
        marked = (own.with_kwargs,) if with_kwargs else ()
        return add_hook(own.before, hook, prepend=prepend, marked=marked)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:  # fmt: skip
        """Calls `hook(module, args, output)` after forward; what it returns replaces the output.

        `with_kwargs`: `hook(module, args, kwargs, output)`. `always_call`: with output None if
        forward raises, before the error goes on. `prepend`: before the hooks that are there.
        """
        own = self._make_hooks()
        marked = _marks((own.with_kwargs, with_kwargs), (own.always, always_call))
        return add_hook(own.after, hook, prepend=prepend, marked=marked)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(module, grad_output)` when the gradients of what forward returned are known.

        `grad_output`: a tuple; a tuple that the hook returns replaces it.
        """
        return add_hook(self._make_hooks().before_backward, hook, prepend=prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(module, grad_input, grad_output)` when those of the arguments are known too.

        `grad_input`: for each positional argument its gradient or None; a tuple that the hook
        returns replaces it.
        """
        return add_hook(self._make_hooks().after_backward, hook, prepend=prepend)

    register_backward_hook = register_full_backward_hook  # the old name


def call(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run `module.forward` between the hooks, each of which may replace what it is shown.

    As in PyTorch: those of all modules come first, and a hook is called if it is there when its
    turn begins, so that one before forward may register one after it.
    """
    own = module._hooks or _NONE
    called: set[int] = set()
    output = None
    try:
        for _, hook, with_kwargs in _turn(_before, own.before, own):
            args, kwargs = _changed_arguments(module, hook, with_kwargs, args, kwargs)
        watch = _watch(module, own)
        output = module.forward(*(watch.arguments(args) if watch else args), **kwargs)
        own = module._hooks or _NONE
        for id, hook, with_kwargs in _turn(_after, own.after, own):
            called.add(id)
            output = _changed_output(module, hook, with_kwargs, args, kwargs, output)
        if watch:
            output = watch.output(output)
    except Exception:
        _call_in_vain(module, called, args, kwargs, output)
        raise
    return output


_NONE = Hooks()


def _turn(kind: Table, hooks: Table, own: Hooks) -> list[tuple[int, Any, bool]]:
    """(id, hook, with_kwargs) of those of all modules that are of a kind, then of the module's."""
    shared = [(id, hook, id in _with_kwargs) for id, hook in everywhere.items() if id in kind]
    return [*shared, *((id, hook, id in own.with_kwargs) for id, hook in hooks.items())]


def _watch(module: Any, own: Hooks) -> Watch | None:
    """What calls the hooks on gradients, if there are any."""
    before = [hook for _, hook, _ in _turn(_before_backward, own.before_backward, own)]
    after = [hook for _, hook, _ in _turn(_after_backward, own.after_backward, own)]
    return Watch(module, before, after) if before or after else None


def _changed_arguments(
    module: Any, hook: Any, with_kwargs: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if not with_kwargs:
        changed = hook(module, args)
        if changed is not None:
            args = changed if isinstance(changed, tuple) else (changed,)
        return args, kwargs
    changed = hook(module, args, kwargs)
    if changed is None:
        return args, kwargs
    if isinstance(changed, tuple) and len(changed) == 2:
        return changed
    raise RuntimeError(
        "forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got "
        f"{changed!r}"
    )


def _changed_output(
    module: Any, hook: Any, with_kwargs: bool, args: tuple[Any, ...], kwargs: dict[str, Any],
    output: Any,
) -> Any:  # fmt: skip
    changed = hook(module, args, *((kwargs,) if with_kwargs else ()), output)
    return output if changed is None else changed


def _call_in_vain(
    module: Any, called: set[int], args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
) -> None:
    """Call the hooks to be called in any case; what goes wrong in them must not hide the error."""
    own = module._hooks or _NONE
    for id, hook, with_kwargs in _turn(_after, own.after, own):
        if id in called or not (id in _always or id in own.always):
            continue
        try:
            output = _changed_output(module, hook, with_kwargs, args, kwargs, output)
        except Exception as error:
            warnings.warn(
                f"{'global ' if id in _always else ''}module forward hook with "
                "``always_call=True`` raised an exception that was silenced as another error was "
                f"raised in forward: {error}",
                stacklevel=2,
            )


def _marks(*marks: tuple[Table, bool]) -> tuple[Table, ...]:
    return tuple(table for table, wanted in marks if wanted)


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, args)` before the forward of every module; see Module's own."""
    return add_hook(everywhere, hook, marked=(_before,))


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Calls `hook(module, args, output)` after the forward of every module; see Module's own."""
    marked = _marks((_with_kwargs, with_kwargs), (_always, always_call))
    return add_hook(everywhere, hook, marked=(_after, *marked))


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, grad_output)` in the backward of every module; see Module's own."""
    return add_hook(everywhere, hook, marked=(_before_backward,))


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, grad_input, grad_output)` after it, for every module; see Module's."""
    return add_hook(everywhere, hook, marked=(_after_backward,))


register_module_backward_hook = register_module_full_backward_hook  # the old name


# Hooks on the gradients of a module: of what it returned, and of what it was called with ----------


class _Passage(Function):
    """Tensors as they are; `seen(gradients)` may change their gradients."""

    @staticmethod
    def forward(ctx: Any, seen: Any, *tensors: Any) -> Any:
        ctx.seen = seen
        ctx.set_materialize_grads(False)
        return tensors

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return (None, *ctx.seen(gradients))


def _pass(values: tuple[Any, ...], seen: Any) -> tuple[tuple[Any, ...], list[int]]:
    """`values` with the float Tensors sent through a passage, and where they are.

    All of them, if one requires a gradient: hooks are shown the gradients of the others too.
    """
    tensors = [i for i, x in enumerate(values) if isinstance(x, Variable)]
    if not mode.enabled or not any(values[i]._requires_grad for i in tensors):
        return values, []
    places = [i for i in tensors if values[i].array.dtype.kind == "f"]
    passed = dict(zip(places, _Passage.apply(seen, *(values[i] for i in places)), strict=True))
    return tuple(passed.get(i, x) for i, x in enumerate(values)), places


class Watch:
    """The hooks of one module around one call.

    before: get the gradients of the outputs, hook(module, grad_output).
    after: get those of the arguments too, hook(module, grad_input, grad_output).
    """

    def __init__(self, module: Any, before: list[Any], after: list[Any]) -> None:
        self.module, self.before, self.after = module, before, after
        self._grad_output: tuple[Any, ...] | None = None
        self._arguments = 0
        self._inputs: list[int] = []
        self._outputs: list[int] = []
        self._returned = 0

    def arguments(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments to call forward with."""
        self._arguments = len(args)
        if self.after:
            args, self._inputs = _pass(args, self._inputs_seen)
        return args

    def output(self, output: Any) -> Any:
        """What to return in place of the output: a Tensor or a tuple of them; others pass."""
        if isinstance(output, Variable):
            return self.output((output,))[0]
        if not isinstance(output, tuple) or hasattr(output, "_fields"):
            warnings.warn(
                "For backward hooks to be called, module output should be a Tensor or a tuple of "
                f"Tensors but received {type(output)}",
                stacklevel=4,
            )
            return output
        self._returned = len(output)
        output, self._outputs = _pass(output, self._outputs_seen)
        return output

    def _outputs_seen(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        grads = _spread(gradients, self._outputs, self._returned)
        for hook in self.before:
            changed = hook(self.module, grads)
            if changed is not None:
                grads = _checked(changed, len(grads), "grad_output")
        self._grad_output = grads
        if self.after and not self._inputs:
            self._without_inputs()
        return tuple(grads[i] for i in self._outputs)

    def _without_inputs(self) -> None:
        warnings.warn(
            "Full backward hook is firing when gradients are computed with respect to module "
            "outputs since no inputs require gradients.",
            stacklevel=2,
        )
        for hook in self.after:
            changed = hook(self.module, (None,) * self._arguments, self._grad_output)
            if changed is not None and any(g is not None for g in changed):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always "
                    "return None or None for all gradients."
                )

    def _inputs_seen(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        if self._grad_output is None:  # the gradient came past the outputs
            return gradients
        grads = _spread(gradients, self._inputs, self._arguments)
        for hook in self.after:
            changed = hook(self.module, grads, self._grad_output)
            if changed is not None:
                grads = _checked(changed, len(grads), "grad_input")
        self._grad_output = None
        return tuple(grads[i] for i in self._inputs)


def _spread(gradients: tuple[Any, ...], places: list[int], n: int) -> tuple[Any, ...]:
    known = dict(zip(places, gradients, strict=True))
    return tuple(known.get(i) for i in range(n))


def _checked(changed: Any, n: int, what: str) -> tuple[Any, ...]:
    grads = changed if isinstance(changed, tuple) else (changed,)
    if len(grads) != n:
        raise RuntimeError(
            f"Backward hook returned an invalid number of {what}, got {len(grads)}, but expected "
            f"{n}"
        )
    return grads
