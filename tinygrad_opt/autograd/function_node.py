"""The Nodes of a Function's call, and the packets of gradients that travel between them.

The engine knows one gradient for each Node. So a call is three Nodes in a row, which serve any
number of outputs and inputs:

    output i  --Select-->  gradients of all outputs  --backward-->  gradients of all inputs
                                                     --Spread-->  input j

A call with a single output has no Select.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from . import anomaly
from .context import Call, Context
from .node import FixedNode, Node, Variable

if TYPE_CHECKING:
    from .hooks import RemovableHandle

__all__ = ["FunctionNode", "Packet"]


class Packet:
    """Several gradients that travel as one. An item is None where nothing has arrived."""

    __slots__ = ("items",)

    shape = ()  # with `dtype` what the engine compares, to see that nothing needs fitting
    dtype = None

    def __init__(self, items: Sequence[Any]) -> None:
        self.items = tuple(items)

    def __add__(self, other: Packet) -> Packet:
        return Packet([_sum(a, b) for a, b in zip(self.items, other.items, strict=True)])


def _sum(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a + b


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

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        edges = super().next_functions
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

    def on_tensors(self) -> tuple[Any, ...]:
        return None, functools.partial(self.run, self)

    def output_node(self, i: int, n: int) -> Select:
        """What output i of n comes from."""
        return Select(self, i, n)

    def release(self) -> None:
        super().release()
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

    def name(self) -> str:
        return self.function.name()

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        return self.function.next_functions

    def __getattr__(self, name: str) -> Any:
        if name in ("function", "trace"):  # a slot that is not set
            raise AttributeError(name)
        return getattr(self.function, name)
