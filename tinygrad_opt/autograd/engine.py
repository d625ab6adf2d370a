"""Running the graph backwards: `backward` and `grad`.

Nodes are visited newest first. An operation is always newer than what it was made from, so when
a node's turn comes, every gradient that flows into it has arrived. A heap of creation numbers
gives that order with no recursion and no sorting pass, for graphs of any depth.
"""

from __future__ import annotations

import functools
import heapq
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .._quiet import SETTINGS, restore, silence
from ..backend import is_writable, xp
from . import anomaly, rebase, versions
from .graph import reduce_to, wrap_plain
from .hooks import run_after_accumulation, with_posthooks
from .modes import enable_grad, mode
from .node import Node, Variable
from .rowsparse import RowSparse
from .seeds import as_list, seeds_of

if TYPE_CHECKING:
    from .._tensor import Tensor

__all__ = ["backward", "grad"]


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Adds d(sum of `tensors`)/d(leaf) to the `.grad` of every leaf that requires a gradient.

    `tensors`: the outputs to differentiate; non-scalars need a `grad_tensors` entry of their shape.
    `retain_graph`: keep what was saved, for another backward (default: as `create_graph`).
    `create_graph`: record this backward pass itself, so that gradients can be differentiated.
    `inputs`: accumulate into these leaves only.
    Raises RuntimeError for a non-scalar without gradient, for a tensor that requires none, and for
    a graph that was freed by an earlier backward. No `.grad` has changed when it raises.
    """
    outputs = as_list(tensors)
    chosen = None if inputs is None else as_list(inputs)
    if chosen is not None and not chosen:
        raise RuntimeError("backward: `inputs` argument to `backward()` cannot be empty")
    for i, x in enumerate(chosen or ()):
        if not x.requires_grad:
            raise RuntimeError(
                f"backward: inputs[{i}] does not require grad: can't retain_grad on Tensor that "
                "has requires_grad=False"
            )
    keep = create_graph if retain_graph is None else retain_graph
    seeds = seeds_of(outputs, grad_tensors, create_graph)
    with _Pass(create_graph):
        arrived = _propagate(outputs, seeds, chosen, keep, create_graph)
        for leaf, g in arrived.items():
            accumulate(leaf, g)
            if leaf._hooks is not None:
                run_after_accumulation(leaf)


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
) -> tuple[Tensor | None, ...]:
    """The gradients of the sum of `outputs` with respect to `inputs`, as a tuple of Tensors.

    Touches no `.grad`. With `create_graph=True` the results can be differentiated again, to any
    order. An input that the outputs do not depend on is a RuntimeError, unless `allow_unused`
    (then None) or `materialize_grads` (then zeros). With `is_grads_batched` each of `grad_outputs`
    has one more axis in front: one backward pass for each entry, and results that have it too.
    """
    outputs_, wanted = as_list(outputs), as_list(inputs)
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
    with _Pass(create_graph):
        arrived = _propagate(outputs_, seeds, wanted, keep, create_graph)
    results: list[Any] = []
    for i, x in enumerate(wanted):
        g = arrived.get(x)
        if g is None and materialize_grads:
            g = xp(x.array).zeros_like(x.array)
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
    from .. import ops

    batches = [grad_outputs] if hasattr(grad_outputs, "shape") else list(grad_outputs or ())
    n = len(batches[0]) if batches else 0
    rows = [
        grad(outputs, wanted, [b[i] for b in batches], keep or i < n - 1, create_graph,
             allow_unused=allowed)
        for i in range(n)
    ]  # fmt: skip
    stacked = (None if parts[0] is None else ops.stack(parts) for parts in zip(*rows, strict=True))
    return tuple(stacked)


def accumulate(leaf: Any, g: Any) -> None:
    """Add a gradient to `leaf.grad`; the first one goes to its slot in the optimizer's buffer."""
    held = leaf._grad
    if isinstance(g, Variable):  # create_graph: the gradient is part of a graph, keep it whole
        leaf._grad = g.clone() if held is None else held + g  # type: ignore[attr-defined]
    elif held is not None:
        if held.requires_grad:
            with enable_grad():
                leaf._grad = held + wrap_plain(g)
        elif type(held.array) is RowSparse:
            leaf._grad = wrap_plain(held.array + g)
        elif type(g) is RowSparse:
            if not is_writable(held.array):
                held = leaf._grad = wrap_plain(held.array.copy())
            g.add_to(held.array)
        else:
            try:
                held.array += g
            except ValueError:  # the caller's gradient may only be read
                leaf._grad = wrap_plain(held.array + g)
    elif leaf._home is not None and type(g) is not RowSparse:
        leaf._grad = leaf._home.receive(g)
    else:
        leaf._grad = wrap_plain(g.copy())  # a pullback may have passed on an array it shares


class _Pass:
    """What holds during a backward pass, in hooks too: it is recorded if asked for, and silent."""

    def __init__(self, create_graph: bool) -> None:
        self._create_graph = create_graph

    def __enter__(self) -> None:
        self._recording, mode.enabled = mode.enabled, self._create_graph
        self._settings = silence(SETTINGS)

    def __exit__(self, *exc: object) -> None:
        restore(self._settings)
        mode.enabled = self._recording


def _propagate(
    outputs: list[Any],
    seeds: list[Any],
    wanted: list[Any] | None,
    keep: bool,
    create_graph: bool,
) -> dict[Any, Any]:
    """The gradients that arrive: of all leaves, or (if `wanted` is given) of those tensors."""
    if rebase.rebound:
        rebase.resolve(outputs)
    useful = None if wanted is None else _leading_to(wanted, outputs)
    last_write = versions.clock.last_write
    prepare = _preparation(create_graph)
    arrived: dict[Any, Any] = {}  # of wanted tensors that are no leaves
    pending: dict[Any, Any] = {}  # Node or leaf -> gradient so far
    waiting: list[tuple[int, Node]] = []  # heap by rank: the newest node first
    for x, seed in zip(outputs, seeds, strict=True):
        key = x.node or x
        if key in pending:
            pending[key] = pending[key] + seed
        else:
            pending[key] = seed
            if key is not x:
                heapq.heappush(waiting, (key.rank, key))

    spent = []
    newest = heapq.heappop(waiting)[1] if waiting else None  # kept out: chains need no heap
    while newest is not None:
        node = newest
        newest = heapq.heappop(waiting)[1] if waiting else None
        g = pending.pop(node)
        if node.hooks is not None:
            for hook in tuple(node.hooks.values()):
                g = hook(g)
        if useful is not None:
            for x in useful.get(node, ()):
                arrived[x] = g
            if not any(x is not None and (x.node or x) in useful for x in node.targets):
                continue  # the way ends here: this Node does not run, and keeps what it saved
        output = node.output
        if not output:
            raise _freed(node)
        if node.rank > last_write:  # something was written to since this operation ran
            versions.check(node, create_graph)
        if prepare is not None:
            output = prepare(node)
        if node.hooks is not None and node.hooks.after:
            output = with_posthooks(node, output, g, _fitted)
        if not keep:
            spent.append(node)
        i = 0
        for x in node.targets:  # the loop that a training step spends its time in
            i += 1
            pullback = output[i]
            if x is None or pullback is None:
                continue
            key = x.node or x
            if useful is not None and key not in useful:
                continue
            gx = pullback(g)
            if gx is None:
                continue
            array = x.array
            if gx.shape != array.shape or gx.dtype is not array.dtype:
                gx = _fitted(gx, array, node)
            if key in pending:
                pending[key] = pending[key] + gx
            else:
                pending[key] = gx
                if key is x:
                    continue
                if newest is None:
                    newest = key
                elif newest.rank < key.rank:  # older than the newest
                    heapq.heappush(waiting, (key.rank, key))
                else:
                    heapq.heappush(waiting, (newest.rank, newest))
                    newest = key
    if useful is not None:
        pending = {x: g for x, g in pending.items() if x in useful}
    for x in pending:  # only leaves are left
        for hook in () if x._hooks is None else tuple(x._hooks.values()):
            pending[x] = hook(pending[x])
    for node in spent:  # only now that all has gone well
        node.release()
    return pending | arrived


def _preparation(create_graph: bool) -> Callable[[Node], tuple[Any, ...]] | None:
    """What gives the pullbacks of a Node, where they are not simply those that it holds."""
    if anomaly.on:
        return functools.partial(anomaly.guarded, again=create_graph)
    return (lambda node: node.on_tensors()) if create_graph else None


def _fitted(g: Any, array: Any, node: Node) -> Any:
    """A pullback's result in the shape and dtype of the input that it belongs to."""
    if g.shape != array.shape:
        g = reduce_to(g, array.shape, node.op.__name__)
    return g if g.dtype == array.dtype else xp(g).cast(g, dtype=array.dtype)


def _freed(node: Node) -> RuntimeError:
    return RuntimeError(
        "Trying to backward through the graph a second time (or directly access saved tensors "
        f"after they have already been freed): {node.name()} was freed by the first backward. "
        "Pass retain_graph=True to the first, or compute the forward pass again."
    )


def _leading_to(wanted: list[Any], outputs: list[Any]) -> dict[Any, list[Any]]:
    """The Nodes and leaves worth visiting: wanted, or with something wanted behind them.

    Each with the list of wanted tensors that it made (leaves: empty).
    """
    nodes: set[Node] = set()
    stack = [x.node for x in outputs if x.node is not None]
    while stack:
        node = stack.pop()
        if node not in nodes:
            if not node.output:  # a wanted tensor may have stood behind it: nobody knows any more
                raise _freed(node)
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
