"""How users look at the graph: `grad_fn.next_functions`, and hooks on Nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..core.node import Node, Variable
from ..core.outlines import revived
from .hooks import RemovableHandle, on_node

__all__ = ["AccumulateGrad", "GradientEdge", "tensors_of"]


class GradientEdge(NamedTuple):
    """Where the gradient of a tensor goes: `get_gradient_edge` makes it.

    `output_nr` is 0, as operations have one result; `ownership_token` holds the tensor.
    """

    node: Any
    output_nr: int
    ownership_token: Any = None


def tensors_of(given: Any) -> Any:
    """What was given for tensors, with the tensors in the place of GradientEdges."""
    if isinstance(given, GradientEdge):
        return given.ownership_token
    if isinstance(given, (list, tuple)):
        return [x.ownership_token if isinstance(x, GradientEdge) else x for x in given]
    return given


class AccumulateGrad:
    """Stands for a leaf among `next_functions`: where gradients end, in `variable.grad`."""

    next_functions = ()

    def __init__(self, variable: Variable) -> None:
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


# Bound to Node, which stands below hooks ----------------------------------------------------------


def next_functions(node: Node) -> tuple[tuple[Any, int], ...]:
    """Where gradients go next: (Node, or AccumulateGrad for a leaf, or None; 0) per input."""
    if not node.output and node.inputs:
        revived(node)
    return tuple((_edge(x), 0) for x in node.targets)


def register_prehook(node: Node, hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook((gradient,))` before this Node runs; a tuple it returns replaces it."""
    return on_node(node).add_prehook(hook)


def register_hook(node: Node, hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(grad_inputs, grad_outputs)` after this Node has run.

    `grad_inputs`: a gradient or None for each input; a tuple that the hook returns replaces it.
    """
    return on_node(node).add_posthook(hook)


bound: Any = Node
bound.next_functions = property(next_functions)
bound.register_prehook, bound.register_hook = register_prehook, register_hook
