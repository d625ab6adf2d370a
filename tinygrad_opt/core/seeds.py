"""What a backward pass starts from, the gradient at each output; and what it has to pass."""

from __future__ import annotations

from typing import Any

from ..arrays.device import device_of
from ..arrays.unwritten import is_free
from ..arrays.xp import array_namespace, same_library
from .node import Node, Variable
from .outlines import revived
from .tensor import wrap_plain

__all__ = ["as_list", "chosen_leaves", "leading_to", "seeds_of", "taken"]


def as_list(tensors: Any) -> list[Any]:
    items = [tensors] if isinstance(tensors, Variable) else list(tensors)
    for x in items:
        if not isinstance(x, Variable):
            raise TypeError(f"backward: expected Tensors to differentiate, got {type(x).__name__}")
    return items


def chosen_leaves(inputs: Any) -> list[Any]:
    """The tensors that a backward pass is to accumulate into; they retain their gradients."""
    chosen = as_list(inputs)
    if not chosen:
        raise RuntimeError("backward: `inputs` argument to `backward()` cannot be empty")
    for i, x in enumerate(chosen):
        if not x.requires_grad:
            raise RuntimeError(
                f"backward: inputs[{i}] does not require grad: can't retain_grad on Tensor that "
                "has requires_grad=False"
            )
    for x in chosen:
        x.retain_grad()  # does nothing to a leaf
    return chosen


def seeds_of(outputs: list[Any], given: Any, create_graph: bool) -> list[Any]:
    """The gradient to start from at each output: what was given, or 1 for a scalar."""
    if given is None:
        given = [None] * len(outputs)
    seeds = list(given) if isinstance(given, (list, tuple)) else [given]
    if len(seeds) != len(outputs):
        raise RuntimeError(
            f"backward: got {len(outputs)} tensors and {len(seeds)} gradients; give one for each"
        )
    return [_seed(i, x, seeds[i], create_graph) for i, x in enumerate(outputs)]


def _seed(i: int, x: Any, seed: Any, create_graph: bool) -> Any:
    if not x.requires_grad:
        raise RuntimeError(
            f"element {i} of tensors does not require grad and does not have a grad_fn: nothing "
            "it was made from requires a gradient, or it was made under no_grad()"
        )
    array = x.array
    if seed is None:
        if array.dtype.kind == "c":
            raise RuntimeError(
                f"grad can be implicitly created only for real scalar outputs but got {array.dtype}"
                "; take abs() or real of it, or pass a gradient"
            )
        if array.size != 1:
            raise RuntimeError(
                "grad can be implicitly created only for scalar outputs, but this tensor has "
                f"shape {tuple(array.shape)}; reduce it first (loss.mean() or loss.sum()), or pass "
                "backward(gradient) with a gradient of its shape"
            )
        seed = array_namespace(array).one(array)
    elif not hasattr(seed, "shape"):
        raise TypeError(
            f"backward: gradients can be either Tensors or None, but got {type(seed).__name__}"
        )
    elif tuple(seed.shape) != tuple(array.shape):
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{i}] has a shape of {tuple(seed.shape)} and output"
            f"[{i}] has a shape of {tuple(array.shape)}"
        )
    elif not same_library(getattr(seed, "array", seed), array):
        raise RuntimeError(
            f"backward: Expected all tensors to be on the same device, but grad_output[{i}] is on "
            f"{device_of(getattr(seed, 'array', seed))} and output[{i}] on {device_of(array)}"
        )
    if create_graph:
        return seed if isinstance(seed, Variable) else wrap_plain(seed)
    seed = seed.array if isinstance(seed, Variable) else seed
    return seed if seed.dtype == array.dtype else seed.astype(array.dtype)


def leading_to(wanted: list[Any], outputs: list[Any]) -> dict[Any, list[Any]]:
    """The Nodes and leaves worth visiting: wanted, or with something wanted behind them.

    Each with the list of wanted tensors that it made (leaves: empty).
    """
    nodes: set[Node] = set()
    stack = [x.node for x in outputs if x.node is not None]
    while stack:
        node = stack.pop()
        if node not in nodes:
            if not node.output:  # a wanted tensor may stand behind it
                revived(node)
            nodes.add(node)
            stack.extend(x.node for x in node.targets if x is not None and x.node is not None)
    useful: dict[Any, list[Any]] = {x: [] for x in wanted if x.node is None}
    for x in wanted:
        if x.node is not None:
            useful.setdefault(x.node, []).append(x)
    for node in sorted(nodes, key=lambda n: -n.rank):  # oldest first: inputs are decided already
        if any((x.node or x) in useful for x in node.targets if x is not None):
            useful.setdefault(node, [])
    return useful


def taken(leaf: Any, arrived: dict[Any, Any]) -> bool:
    """Whether a leaf's `.grad` is now the gradient itself: large, and held by nobody else."""
    if leaf._grad is not None or leaf._home is not None or not is_free(arrived, leaf):
        return False
    leaf._grad = wrap_plain(arrived[leaf])
    return True
