"""A Function's call in the graph: its ctx, and the Nodes that its gradients travel through."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ..arrays.xp import array_namespace
from ..core import versions
from ..core.node import FixedNode, Node, Variable
from ..core.outlines import outlines
from ..core.tensor import wrap_plain
from . import anomaly, saved_values
from .edges import next_functions
from .hooks import RemovableHandle
from .packet import Packet

__all__ = ["Call", "Context", "FunctionNode"]


# The ctx: what forward leaves for backward --------------------------------------------------------


class Call:
    """One call of a Function, as the graph needs it. Kept apart from ctx, which is the user's.

    inputs  (shape, dtype) of each Tensor argument, None for the others
    node    the call's Node, while its backward is being recorded
    """

    def __init__(self, args: tuple[Any, ...]) -> None:
        self.inputs = [
            (x.array.shape, x.array.dtype) if isinstance(x, Variable) else None for x in args
        ]
        self.materialize = True
        self.dirty: tuple[Any, ...] = ()
        self.non_differentiable: tuple[Any, ...] = ()
        self.to_save: tuple[Any, ...] = ()
        self.node: Any = None
        self._outputs: list[Any] = []
        self._saved: list[tuple[Any, int | None, int]] | None = None

    def replace(self, x: Any, alias: Any) -> None:
        """Output `x` became `alias`: what was said of the one holds for the other."""
        if any(y is x for y in self.non_differentiable):
            self.non_differentiable = (*self.non_differentiable, alias)

    def zeros(self, i: int) -> Any:
        """A gradient of zeros for output i; None if it is not a Tensor."""
        if self._outputs[i] is None:
            return None
        library, shape, dtype = self._outputs[i]
        return wrap_plain(library.zeros(shape, dtype))

    def seal(self, outputs: list[Any], several: bool) -> None:
        """Note what backward needs of the outputs, and turn what was saved into what may be held.

        A saved output would point back to the Node: its array is kept, and its place.
        """
        self._outputs = [
            (array_namespace(y.array), y.array.shape, y.array.dtype)
            if isinstance(y, Variable)
            else None
            for y in outputs
        ]
        self._saved = []
        for x in self.to_save:
            place = next((i for i, y in enumerate(outputs) if x is not None and y is x), None)
            if place is not None:
                x = wrap_plain(x.array)
                place = place if several else -1
            self._saved.append((x, place, 0 if x is None else versions.version(x.array)))
        self.to_save = self.dirty = self.non_differentiable = ()

    def saved(self) -> tuple[Any, ...]:
        """What was saved. Raises RuntimeError if it was freed or changed."""
        if self._saved is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved "
                "tensors after they have already been freed). Pass retain_graph=True to the first "
                "backward, or compute the forward pass again."
            )
        return tuple(self._unpacked(*entry) for entry in self._saved)

    def release(self) -> None:
        """Drop what was saved."""
        self._saved = None

    def _unpacked(self, x: Any, place: int | None, version: int) -> Any:
        if x is None:
            return None
        now = versions.version(x.array)
        if now != version:
            raise RuntimeError(saved_values.changed(x.array, now))
        if place is None or self.node is None:
            return x
        y = wrap_plain(x.array)  # the output again, as what the Node has made
        y.node = self.node if place < 0 else self.node.output_node(place, len(self._outputs))
        y._requires_grad = True
        return y


class Context:
    """What `forward` and `backward` of a Function share; users add attributes of their own.

    needs_input_grad  for each argument of forward, whether its gradient is wanted
    """

    def __init__(self, call: Call, needs_input_grad: tuple[bool, ...]) -> None:
        self._call = call
        self.needs_input_grad = needs_input_grad

    def save_for_backward(self, *tensors: Any) -> None:
        """Keeps Tensors (or None) for `saved_tensors`; later changes to them are noticed."""
        for i, x in enumerate(tensors):
            if x is not None and not isinstance(x, Variable):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {i} is of type "
                    f"{type(x).__name__}; keep it as an attribute: ctx.name = value"
                )
        self._call.to_save = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Accepted, and ignored: there is no forward mode."""

    def mark_dirty(self, *tensors: Any) -> None:
        """Says that forward has written to these arguments, and returns them."""
        self._call.dirty = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Says that these outputs have no gradient."""
        self._call.non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward gets zeros (else None) for outputs that were not used."""
        self._call.materialize = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` was given. Raises RuntimeError if it was freed or changed."""
        return self._call.saved()


# The Nodes ----------------------------------------------------------------------------------------


Run = Callable[[Any, Any], Packet]


def _junction(node: Node) -> Any:
    """What stands for a Packet among the inputs of a Node."""
    x: Any = Variable()
    x.array, x.node, x._requires_grad, x._grad = Packet(()), node, True, None
    return x


class Spread(FixedNode):
    """The gradients of all arguments of a Function, sent to each."""

    __slots__ = ("tensors",)

    def __init__(self, args: Sequence[Any]) -> None:
        self.tensors = [i for i, x in enumerate(args) if isinstance(x, Variable)]
        targets = [x if isinstance(x, Variable) and x._requires_grad else None for x in args]
        pullbacks = (lambda packet, i=i: packet.items[i] for i in range(len(args)))
        super().__init__(Spread, (), targets, {}, (None, *pullbacks))

    def release(self) -> None:
        self.targets = outlines(self.targets)

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        edges = next_functions(self)
        return tuple(edges[i] for i in self.tensors if i < len(edges))


class FunctionNode(FixedNode):
    """The call of a Function: the gradients of its outputs in, those of its arguments out.

    run(node, gradient) is the user's backward; on raw arrays if node is None, else recorded.
    Attributes of the Function's ctx are attributes of the Node too, as in PyTorch.
    """

    __slots__ = ("call", "ctx", "run")

    def __init__(self, cls: Any, run: Run, ctx: Context, call: Call, args: Sequence[Any]) -> None:
        spread = _junction(Spread(args))
        super().__init__(cls, (), (spread,), {}, (None, functools.partial(run, None)))
        self.run, self.ctx, self.call = run, ctx, call
        if anomaly.on:
            self.trace = anomaly.user_lines()

    def on_tensors(self, wrap: Callable[[Any], Any]) -> tuple[Any, ...]:
        return None, functools.partial(self.run, self)

    def output_node(self, i: int, n: int) -> Select:
        """What output i of n comes from."""
        return Select(self, i, n)

    def release(self) -> None:
        """Drops what was saved: a user's backward that asks for nothing may run again."""
        self.call.release()

    def name(self) -> str:
        return f"{self.op.__name__}Backward"

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        return self.targets[0].node.next_functions if self.targets else ()

    def __getattr__(self, name: str) -> Any:
        if name in ("call", "ctx", "run", "trace"):  # a slot that is not set
            raise AttributeError(name)
        return getattr(self.ctx, name)


class Select(FixedNode):
    """One of several outputs of a Function."""

    __slots__ = ("function",)

    def __init__(self, node: FunctionNode, i: int, n: int) -> None:
        def at_i(g: Any) -> Packet:
            return Packet([g if k == i else None for k in range(n)])

        super().__init__(node.op, (), (_junction(node),), {}, (None, at_i))
        self.function = node

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        return self.function.register_prehook(hook)

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        return self.function.register_hook(hook)

    def release(self) -> None:
        """Keeps the way to the Function's own Node."""

    def name(self) -> str:
        return self.function.name()

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        return self.function.next_functions

    def __getattr__(self, name: str) -> Any:
        if name in ("function", "trace"):  # a slot that is not set
            raise AttributeError(name)
        return getattr(self.function, name)
