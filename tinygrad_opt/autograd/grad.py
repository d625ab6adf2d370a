"""`grad`: derivatives as values, without touching any `.grad`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..arrays.xp import xp
from ..core.backward import Pass, propagate
from ..core.node import Variable
from ..core.seeds import as_list, seeds_of
from ..core.tensor import Tensor, wrap_plain
from .edges import tensors_of

__all__ = ["grad"]


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor, ...]:  # the type is PyTorch's: scripts do not ask each for None
    """The gradients of the sum of `outputs` with respect to `inputs`, as a tuple of Tensors.

    Touches no `.grad`. With `create_graph=True` the results can be differentiated again, to any
    order. An input that the outputs do not depend on is a RuntimeError, unless `allow_unused`
    (then None) or `materialize_grads` (then zeros, a leaf if `create_graph`). With
    `is_grads_batched` each of `grad_outputs` has one more axis in front: one backward pass for each
    entry, and results that have it too.
    """
    outputs_, wanted = as_list(outputs), as_list(tensors_of(inputs))
    if not wanted:
        raise RuntimeError("grad: the `inputs` argument to `grad()` cannot be empty.")
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    if not only_inputs:
        raise ValueError("grad: only_inputs=False is not supported; use backward()")
    for i, x in enumerate(wanted):
        if not x.requires_grad:
            raise RuntimeError(
                f"grad: One of the differentiated Tensors does not require grad: inputs[{i}] "
                "has no gradient"
            )
    keep = create_graph if retain_graph is None else retain_graph
    allowed = bool(allow_unused) or materialize_grads
    if is_grads_batched:
        return _batched(outputs_, wanted, grad_outputs, keep, create_graph, allowed)
    seeds = seeds_of(outputs_, grad_outputs, create_graph)
    with Pass(create_graph):
        arrived = propagate(outputs_, seeds, wanted, keep, create_graph)
    results: list[Any] = []
    for i, x in enumerate(wanted):
        g = arrived.get(x)
        if g is None and materialize_grads:
            g = wrap_plain(xp(x.array).zeros_like(x.array))
            g._requires_grad = create_graph
        elif g is None and not allowed:
            raise RuntimeError(
                f"grad: The differentiated Tensor at index {i} appears to not have been used in "
                "the graph. Set allow_unused=True if this is the desired behavior."
            )
        results.append(g if g is None or isinstance(g, Variable) else wrap_plain(g))
    return tuple(results)


def _batched(
    outputs: list[Any],
    wanted: list[Any],
    grad_outputs: Any,
    keep: bool,
    create_graph: bool,
    allowed: bool,
) -> tuple[Any, ...]:
    """One pass for each entry of the gradients' first axis, the results stacked along it."""
    batches = [grad_outputs] if hasattr(grad_outputs, "shape") else list(grad_outputs or ())
    n = len(batches[0]) if batches else 0
    rows = [
        grad(outputs, wanted, [b[i] for b in batches], keep or i < n - 1, create_graph,
             allow_unused=allowed)
        for i in range(n)
    ]  # fmt: skip
    columns = zip(*rows, strict=True)
    return tuple(None if parts[0] is None else xp(parts[0]).stack(parts) for parts in columns)
