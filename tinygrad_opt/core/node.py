"""The graph: what it knows of a tensor (Variable), and one recorded operation (Node).

Second of the reading path; next: `core/tensor.py`.

A tensor that an operation made points to its Node, and a Node points to the tensors it was made
from. It never points to its own result, so there are no reference cycles and nothing waits for the
garbage collector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

__all__ = ["FixedNode", "Node", "Variable", "next_rank"]

next_rank = count(0, -1).__next__  # the clock of the graph; it runs backwards, newest lowest


class Variable:
    """What the graph knows of a tensor. `Tensor` adds the operators and methods.

    array           the raw NumPy or CuPy array
    node            the Node that made it; None for a leaf
    _requires_grad  whether backward should arrive here; the public name checks what it is set to
    _grad           the accumulated gradient, a Variable or None
    _home           for parameters of an optimizer: the GradSlot that receives their gradient
    _edits          for the state of an optimizer: whom to tell if `.data = ...` moves it
    _hooks          a HookTable: functions to call with this leaf's gradient
    _past           what it was before recorded writes in place, see `autograd/recorded_writes.py`
    _base           of a view: the tensor whose memory it looks at, which is not a view itself
    _viewed         whether views of it, as a base, have been made
    _tied           of a view that may not be written to while that is recorded: the reason
    """

    __slots__ = ("__dict__", "__weakref__", "_grad", "_requires_grad", "array", "node")

    array: Any
    node: Node | None
    requires_grad: bool
    _requires_grad: bool
    _grad: Any
    _home: Any = None  # these are rare, and not worth a slot that every result would fill
    _edits: Any = None
    _hooks: Any = None
    _past: Any = None
    _base: Any = None
    _viewed: bool = False
    _tied: str | None = None
    _unversioned: bool = False  # made by `.data`: writing to it does not count as a change


class Node:
    """One recorded operation: how to send a gradient from its output back to its inputs."""

    __slots__ = ("hooks", "inputs", "op", "output", "params", "rank", "targets", "trace")

    def __init__(
        self, op: Any, inputs: tuple[Any, ...], targets: Sequence[Any], params: dict[str, Any],
        output: tuple[Any, ...],
    ) -> None:  # fmt: skip
        self.op = op
        self.inputs = inputs  # Tensors, raw arrays, Python scalars or None, as they were passed
        self.targets = targets  # those that a gradient goes to; None in the place of the others
        self.params = params
        self.output = output  # what the pair returned: the value, then a pullback per input
        self.rank: float = next_rank()  # inputs are older, so ranks are a topological order
        self.hooks: Any = None  # a HookTable once somebody registers one, see `autograd/hooks.py`

    def release(self) -> None:
        """Drops what was saved for backward; if that was nothing, `outlines.py` keeps a way."""
        outlined = getattr(self.op, "outlined", None)
        self.inputs = () if outlined is None else outlined(self)
        self.targets = self.output = ()

    def on_tensors(self, wrap: Callable[[Any], Any]) -> tuple[Any, ...]:
        """The pair run again on Tensors, as `wrap` makes them; its value is this Node's."""
        begun = next_rank()
        inputs = [
            wrap(x) if hasattr(x, "shape") and not isinstance(x, Variable) else x
            for x in self.inputs
        ]
        try:
            output: tuple[Any, ...] = self.op.pair(*inputs, **self.params)
        except (AttributeError, TypeError) as error:
            raise RuntimeError(
                f"{self.op.__name__}: the derivative of this operation cannot be differentiated "
                f"again (create_graph=True): {error}"
            ) from error
        again = getattr(output[0], "node", None)  # of an input, if it is an older one
        if again is not None and again.rank < begun and not hasattr(self.op, "recomputes"):
            output[0].node = self
        return output

    def name(self) -> str:
        """PyTorch's name of the operation's derivative, such as `MulBackward0`."""
        return f"{self.op.__name__.title().replace('_', '')}Backward0"

    def __repr__(self) -> str:
        return f"<{self.name()}>"


class FixedNode(Node):
    """A Node whose pullbacks work on Tensors as they are, so that nothing is run again."""

    __slots__ = ()

    def on_tensors(self, wrap: Callable[[Any], Any]) -> tuple[Any, ...]:
        return self.output
