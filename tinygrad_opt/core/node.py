"""The graph: what it knows of a tensor (Variable), and one recorded operation (Node).

A tensor that an operation made points to its Node, and a Node points to the tensors it was made
from. It never points to its own result, so there are no reference cycles and nothing waits for the
garbage collector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..autograd.hooks import HookTable, RemovableHandle
    from .tensor import Tensor

__all__ = ["AccumulateGrad", "FixedNode", "Node", "Variable", "next_rank"]

next_rank = count(0, -1).__next__  # the clock of the graph; it runs backwards, newest lowest


class Variable:
    """What the graph knows of a tensor. `Tensor` adds the operators and methods.

    array           the raw NumPy or CuPy array
    node            the Node that made it; None for a leaf
    _requires_grad  whether backward should arrive here; the public name checks what it is set to
    _grad           the accumulated gradient, a Tensor or None
    _home           for parameters of an optimizer: the GradSlot that receives their gradient
    _edits          for the state of an optimizer: whom to tell if `.data = ...` moves it
    _hooks          a HookTable: functions to call with this leaf's gradient
    _past           what this tensor was before it was written to in place, see `rebase.py`
    """

    __slots__ = ("__dict__", "__weakref__", "_grad", "_requires_grad", "array", "node")

    array: Any
    node: Node | None
    requires_grad: bool
    _requires_grad: bool
    _grad: Tensor | None
    _home: Any = None  # these are rare, and not worth a slot that every result would fill
    _edits: Any = None
    _hooks: Any = None
    _past: Any = None
    _unversioned: bool = False  # made by `.data`: writing to it does not count as a change


class Node:
    """One recorded operation: how to send a gradient from its output back to its inputs."""

    __slots__ = ("hooks", "inputs", "op", "output", "params", "rank", "targets", "trace")

    def __init__(
        self,
        op: Any,
        inputs: tuple[Any, ...],
        targets: Sequence[Any],
        params: dict[str, Any],
        output: tuple[Any, ...],
    ) -> None:
        self.op = op
        self.inputs = inputs  # Tensors, raw arrays, Python scalars or None, as they were passed
        self.targets = targets  # those that a gradient goes to; None in the place of the others
        self.params = params
        self.output = output  # what the pair returned: the value, then a pullback per input
        self.rank = next_rank()  # inputs are older, so ranks are a topological order
        self.hooks: HookTable | None = None

    def release(self) -> None:
        """Drop all that was saved for backward; a second backward finds `output` gone."""
        self.inputs = self.targets = self.output = ()

    def on_tensors(self) -> tuple[Any, ...]:
        """The pair run again on Tensors, so that its pullbacks are recorded operations."""
        from .record import wrap_plain

        inputs = [
            wrap_plain(x) if hasattr(x, "shape") and not isinstance(x, Variable) else x
            for x in self.inputs
        ]
        try:
            return self.op.pair(*inputs, **self.params)
        except (AttributeError, TypeError) as error:
            raise RuntimeError(
                f"{self.op.__name__}: the derivative of this operation cannot be differentiated "
                f"again (create_graph=True): {error}"
            ) from error

    def name(self) -> str:
        """PyTorch's name of the operation's derivative, such as `MulBackward0`."""
        return f"{self.op.__name__.title().replace('_', '')}Backward0"

    def __repr__(self) -> str:
        return f"<{self.name()}>"

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """Where gradients go next: (Node, or AccumulateGrad for a leaf, or None; 0) per input."""
        return tuple((_edge(x), 0) for x in self.targets)

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook((gradient,))` before this Node runs; a tuple it returns replaces it."""
        from ..autograd.hooks import on_node

        return on_node(self).add_prehook(hook)

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(grad_inputs, grad_outputs)` after this Node has run.

        `grad_inputs`: a gradient or None for each input; a tuple that the hook returns replaces it.
        """
        from ..autograd.hooks import on_node

        return on_node(self).add_posthook(hook)


class FixedNode(Node):
    """A Node whose pullbacks work on Tensors as they are, so that nothing is run again."""

    __slots__ = ()

    def on_tensors(self) -> tuple[Any, ...]:
        return self.output


class AccumulateGrad:
    """Stands for a leaf among `next_functions`: where gradients end, in `variable.grad`."""

    next_functions = ()

    def __init__(self, variable: Tensor) -> None:
        self.variable = variable

    def name(self) -> str:
        """PyTorch's name of it."""
        return "torch::autograd::AccumulateGrad"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccumulateGrad) and other.variable is self.variable

    def __hash__(self) -> int:
        return hash(self.variable)

    def __repr__(self) -> str:
        return "<AccumulateGrad>"


def _edge(x: Any) -> Any:
    if x is None:
        return None
    return x.node if x.node is not None else AccumulateGrad(x)
