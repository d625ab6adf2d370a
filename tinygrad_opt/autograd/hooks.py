"""Hooks on gradients: of tensors, of Nodes, after accumulation; and `retain_grad`."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ..arrays.dtypes import name_of
from ..arrays.rowsparse import RowSparse
from ..core.backward import accumulate
from ..core.node import Node, Variable
from ..core.tensor import wrap_plain
from .packet import Packet
from .view_history import KEEP_GRAD, current

__all__ = ["KEEP_GRAD", "HookTable", "KeepGrad", "RemovableHandle", "add_hook", "hooks_of",
           "on_node"]  # fmt: skip


class RemovableHandle:
    """What registering a hook returns: `remove()` takes the hook away again.

    id               the key of the hook, given to no other
    hooks_dict_ref   a weak reference to the dictionary that holds it by this key

    extra_dict: a dictionary, or a list of them, that says more of the hook by the same key.
    A handle that is pickled with its dictionary is the handle of that copy.
    """

    id: int
    next_id: int = 0

    def __init__(self, hooks_dict: Any, *, extra_dict: Any = None) -> None:
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1
        extra = [extra_dict] if isinstance(extra_dict, dict) else extra_dict or ()
        self._hold(hooks_dict, extra)

    def _hold(self, hooks_dict: Any, extra: Any) -> None:
        self.hooks_dict_ref = weakref.ref(hooks_dict)
        self.extra_dict_ref = tuple(weakref.ref(table) for table in extra)

    def remove(self) -> None:
        """Takes the hook away; a second time does nothing."""
        for reference in (self.hooks_dict_ref, *self.extra_dict_ref):
            table = reference()
            if table is not None:
                table.pop(self.id, None)

    def __getstate__(self) -> tuple[Any, int, tuple[Any, ...]]:
        return self.hooks_dict_ref(), self.id, tuple(ref() for ref in self.extra_dict_ref)

    def __setstate__(self, state: tuple[Any, int, tuple[Any, ...]]) -> None:
        hooks_dict, self.id, extra = state
        RemovableHandle.next_id = max(RemovableHandle.next_id, self.id + 1)
        gone: OrderedDict[int, Any] = OrderedDict()  # nothing holds it: `remove` does nothing
        kept = (table for table in extra if table is not None)
        self._hold(gone if hooks_dict is None else hooks_dict, kept)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def add_hook(
    hooks: OrderedDict[Any, Any], hook: Any, *, prepend: bool = False,
    marked: tuple[OrderedDict[int, bool], ...] = (),
) -> RemovableHandle:  # fmt: skip
    """Put `hook` last, or first, under the id of the handle; which takes it out again.

    marked: the tables that say by its id what kind of hook it is.
    """
    handle = RemovableHandle(hooks, extra_dict=marked)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    for table in marked:
        table[handle.id] = True
    return handle


class HookTable(OrderedDict[Any, Any]):
    """Functions from gradient to gradient, called in turn; arrays or Tensors, as they come.

    before  functions like them, of a Node: called after those of its tensor, and only if it runs
    after   called later: for a leaf with the leaf, once `.grad` has its gradient; for a Node with
            the gradients of its inputs and of its output
    """

    def __init__(self) -> None:
        super().__init__()
        self.before: OrderedDict[int, Any] = OrderedDict()
        self.after: OrderedDict[int, Any] = OrderedDict()

    def add(self, hook: Callable[[Any], Any]) -> RemovableHandle:
        """Call `hook(gradient)`, a Tensor in and a Tensor or None out."""

        def on_raw(g: Any) -> Any:
            return _raw_as(_checked(hook(_tensor(g)), g, hook), g)

        handle = add_hook(self, on_raw)
        if KEEP_GRAD in self:  # what retain_grad keeps is what the hooks have made of it
            self.move_to_end(KEEP_GRAD)
        return handle

    def add_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(gradients of the Node's outputs)`, which returns such a tuple or None."""

        def on_raw(g: Any) -> Any:
            parts = _parts(g)
            changed = _checked_tuple(hook(tuple(map(_tensor, parts))), len(parts), hook)
            if changed is None:
                return g
            new = [_raw_as(_checked(c, p, hook), p) for c, p in zip(changed, parts, strict=True)]
            return Packet(new) if type(g) is Packet else new[0]

        return add_hook(self.before, on_raw)

    def add_posthook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(grad_inputs, grad_outputs)` after the Node has run."""
        return add_hook(self.after, hook)

    def run_after(self, leaf: Any) -> None:
        """Call the hooks that wait for the gradient of `leaf` to be in `.grad`."""
        for hook in tuple(self.after.values()):
            result = hook(leaf)
            if isinstance(result, Variable):
                raise RuntimeError(
                    f"hook '{_name(hook)}': Tensor post accumulate grad hooks should return None."
                )
            if result is not None:
                raise _unexpected("Variable", result, hook)

    def around(
        self, node: Node, g: Any, output: tuple[Any, ...], fitted: Callable[..., Any]
    ) -> tuple[Any, tuple[Any, ...]]:
        """The gradient with which a Node runs, and its pullbacks; both as the hooks want them.

        `fitted(gradient, array, node)`: the gradient in the shape and type of an input.
        """
        for hook in tuple(self.before.values()):
            g = hook(g)
        return g, self._with_posthooks(node, g, output, fitted) if self.after else output

    def _with_posthooks(
        self, node: Node, g: Any, output: tuple[Any, ...], fitted: Callable[..., Any]
    ) -> tuple[Any, ...]:
        """`output` with the gradients computed, and changed by the hooks that want all of them."""
        found: list[Any] = []
        for x, pullback in zip(node.targets, output[1:], strict=False):
            gx = None if x is None or pullback is None else pullback(g)
            found.append(gx if gx is None else fitted(gx, x.array, node))
        packed = len(found) == 1 and type(found[0]) is Packet  # of a Function's arguments
        gradients = tuple(map(_tensor, found[0].items if packed else found))
        arrived = _parts(g)
        shown = tuple(map(_tensor, arrived))
        for hook in tuple(self.after.values()):
            changed = _checked_tuple(hook(gradients, shown), len(gradients), hook)
            gradients = gradients if changed is None else changed
        if not any(isinstance(part, Variable) for part in arrived):
            gradients = tuple(getattr(gx, "array", gx) for gx in gradients)
        results = [Packet(gradients)] if packed else gradients
        return (None, *(lambda _, gx=gx: gx for gx in results))


class KeepGrad:
    """The hook behind `retain_grad`, always the last of its node; holds the tensor weakly."""

    def __init__(self, tensor: Any) -> None:
        self._tensor = weakref.ref(tensor)

    def __call__(self, g: Any) -> Any:
        tensor = self._tensor()
        if tensor is not None:
            accumulate(tensor, g)
        return g


def on_node(node: Node) -> HookTable:
    """The hooks of a Node, made when the first is registered."""
    if node.hooks is None:
        node.hooks = HookTable()
    return node.hooks


def hooks_of(tensor: Any) -> HookTable:
    """The hooks of a tensor: its own if it is a leaf, else those of the Node that made it."""
    if tensor.node is not None:
        return on_node(current(tensor).node)
    if tensor._hooks is None:
        tensor._hooks = HookTable()
    return tensor._hooks


def _parts(g: Any) -> tuple[Any, ...]:
    return g.items if type(g) is Packet else (g,)


def _tensor(g: Any) -> Any:
    return wrap_plain(g) if hasattr(g, "strides") or type(g) is RowSparse else g


def _raw_as(result: Any, g: Any) -> Any:
    """`result` as an array if `g` is one; None means `g` itself."""
    if result is None:
        return g
    return result if isinstance(g, Variable) else getattr(result, "array", result)


def _checked(result: Any, g: Any, hook: Any) -> Any:
    if result is None:
        return None
    if not isinstance(result, Variable):
        raise _unexpected("Variable", result, hook)
    if g is None:  # no gradient has arrived there, until now
        return result
    if tuple(result.array.shape) != tuple(g.shape):
        raise RuntimeError(
            f"hook '{_name(hook)}' has changed the size of value: from {tuple(g.shape)} to "
            f"{tuple(result.array.shape)}"
        )
    if result.array.dtype != g.dtype:
        raise RuntimeError(
            f"hook '{_name(hook)}' has changed the type of value (was {name_of(g.dtype)} got "
            f"{name_of(result.array.dtype)})"
        )
    return result


def _checked_tuple(result: Any, n: int, hook: Any) -> Any:
    if result is None:
        return None
    if not isinstance(result, tuple):
        raise _unexpected("tuple", result, hook)
    if len(result) != n:
        raise RuntimeError(
            f"hook '{_name(hook)}' has returned an incorrect number of values (got {len(result)}, "
            f"but expected {n})"
        )
    return result


def _unexpected(wanted: str, result: Any, hook: Any) -> TypeError:
    return TypeError(
        f"hook '{_name(hook)}': expected {wanted}, but hook returned '{type(result).__name__}'"
    )


def _name(hook: Any) -> str:
    return getattr(hook, "__name__", repr(hook))
