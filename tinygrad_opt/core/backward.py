"""Running the graph backwards. Fifth of the reading path; next: `ops/arithmetic.py`.

Nodes are visited newest first. An operation is always newer than what it was made from, so when
a node's turn comes, every gradient that flows into it has arrived. A heap of creation numbers
gives that order with no recursion and no sorting pass, for graphs of any depth.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any

from ..arrays.quiet import SETTINGS, restore, silence
from ..arrays.rowsparse import RowSparse, added
from ..arrays.unwritten import Part, Unwritten, copied, joined
from .fitting import fitted
from .node import Node, Variable
from .outlines import revived
from .record import mode
from .seeds import as_list, chosen_leaves, leading_to, seeds_of, taken
from .tensor import Tensor, wrap_plain
from .versions import clock

__all__ = ["Pass", "accumulate", "backward", "propagate", "watch"]


class Watch:
    """What the floors above want to see of a pass; None until there is something to watch.

    resolve  `autograd/recorded_writes.py`: points Nodes at what their inputs were, before a pass
    check    `autograd/saved_values.py`: raises if what a Node saved was overwritten
    guard    `autograd/anomaly.py`: a Node's pullbacks, each with a look at what it returns
    done     `distributed/data_parallel.py`: is told which leaves have got a gradient
    """

    resolve: Callable[[list[Any], list[Any] | None], None] | None = None
    check: Callable[[Node, bool], None] | None = None
    guard: Callable[[Node, bool], tuple[Any, ...]] | None = None
    done: Callable[[dict[Any, Any]], None] | None = None


watch = Watch()


def backward(
    tensors: Tensor | Sequence[Tensor], grad_tensors: Any = None, retain_graph: bool | None = None,
    create_graph: bool = False, inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:  # fmt: skip
    """Adds d(sum of `tensors`)/d(leaf) to the `.grad` of every leaf that requires a gradient.

    `tensors`: the outputs to differentiate; non-scalars need a `grad_tensors` entry of their shape.
    `retain_graph`: keep what was saved, for another backward (default: as `create_graph`).
    `create_graph`: record this backward pass itself, so that gradients can be differentiated.
    `inputs`: accumulate into these only; those that are not leaves are made to retain it.
    Raises RuntimeError for a non-scalar without gradient, for a tensor that requires none, and for
    a Node whose saved values an earlier backward freed. No `.grad` has changed when it raises; what
    the pass has been through is freed.
    """
    outputs = as_list(tensors)
    chosen = None if inputs is None else chosen_leaves(inputs)
    keep = create_graph if retain_graph is None else retain_graph
    seeds = seeds_of(outputs, grad_tensors, create_graph)
    with Pass(create_graph) as borrowed:
        arrived = propagate(outputs, seeds, chosen, keep, create_graph, borrowed)
        for leaf in arrived:
            if leaf.node is None and leaf._requires_grad and not taken(leaf, arrived):
                accumulate(leaf, arrived[leaf])
            if leaf._hooks is not None:
                leaf._hooks.run_after(leaf)
    if watch.done is not None:
        watch.done(arrived)


def accumulate(leaf: Any, g: Any) -> None:
    """Add a gradient to `leaf.grad`; the first one goes to its slot in the optimizer's buffer."""
    held, home = leaf._grad, leaf._home
    if isinstance(g, Variable):  # create_graph: the gradient is part of a graph, keep it whole
        leaf._grad = g.clone() if held is None else held + g  # type: ignore[attr-defined]
    elif held is None and home is not None and type(g) is not RowSparse:
        leaf._grad = home.receive(g)
    elif held is None:
        leaf._grad = wrap_plain(copied(g))  # a pullback may have passed on an array it shares
    elif held.requires_grad:
        with Pass(create_graph=True):
            leaf._grad = held + wrap_plain(g)
    else:
        total = added(held.array, g)
        if total is not held.array:
            leaf._grad = wrap_plain(total)


class Pass:
    """What holds during a backward pass, in hooks too: it is recorded if asked for, and silent."""

    def __init__(self, create_graph: bool) -> None:
        self._create_graph = create_graph
        self._borrowed: list[Any] = []  # GradSlots

    def __enter__(self) -> list[Any]:
        self._recording, mode.enabled = mode.enabled, self._create_graph
        self._settings = silence(SETTINGS)
        return self._borrowed

    def __exit__(self, *exc: object) -> None:
        for slot in self._borrowed:
            slot.take_back()
        restore(self._settings)
        mode.enabled = self._recording


def propagate(
    outputs: list[Any], seeds: list[Any], wanted: list[Any] | None, keep: bool, create_graph: bool,
    borrowed: list[Any] | None = None,
) -> dict[Any, Any]:  # fmt: skip
    """The gradients that arrive: of all leaves, or (if `wanted` is given) of those tensors.

    `borrowed`: takes the slots of leaves that gradients were written into.
    """
    if watch.resolve is not None:
        watch.resolve(outputs, wanted)
    useful = None if wanted is None else leading_to(wanted, outputs)
    last_write = clock.last_write
    prepare = _preparation(create_graph)
    arrived: dict[Any, Any] = {}  # of wanted tensors that are not leaves
    pending: dict[Any, Any] = {}  # Node or leaf -> gradient so far
    waiting: list[tuple[float, Node]] = []  # heap by rank: the newest node first
    for x, seed in zip(outputs, seeds, strict=True):
        key = x.node or x
        if key in pending:
            pending[key] = pending[key] + seed
        else:
            pending[key] = seed
            if key is not x:
                heapq.heappush(waiting, (key.rank, key))

    newest = heapq.heappop(waiting)[1] if waiting else None  # kept out: chains need no heap
    while newest is not None:
        node = newest
        newest = heapq.heappop(waiting)[1] if waiting else None
        g = pending.pop(node)
        came = g = g.whole() if type(g) is Part else g
        for hook in () if node.hooks is None else tuple(node.hooks.values()):
            g = hook(g)
        if useful is not None:
            runs = any(x is not None and (x.node or x) in useful for x in node.targets)
            arrived |= dict.fromkeys(useful.get(node, ()), came if runs else g)  # as in PyTorch
            if not runs:
                continue  # the way ends here: this Node keeps what it saved
        node.output = output = (None, *(node.output or revived(node))[1:])  # not the value: it goes
        if node.rank > last_write:  # something was written to since this operation ran
            watch.check(node, create_graph)  # type: ignore[misc]
        if prepare is not None:
            output = prepare(node)
        if node.hooks is not None:
            g, output = node.hooks.around(node, g, output, fitted)
        # A training step spends its time here. Parameters, the last inputs, come first: g is cached
        # for them, and what goes on to the next Node is when that begins.
        i = len(node.targets)
        for x in reversed(node.targets):
            pullback = output[i]
            i -= 1
            if x is None or pullback is None:
                continue
            key = x.node or x
            if useful is not None and key not in useful:
                continue
            array = x.array
            if (gx := pullback(g)) is None:
                continue
            unlike = gx.dtype is not array.dtype or gx.shape != array.shape
            if unlike and not (isinstance(gx, Unwritten) and (key in pending or gx.waits(x))):
                gx = fitted(gx, array, node, place_for(x, gx, borrowed))
            if key in pending:
                ours = x._home is not None and pending[key] is x._home.place
                pending[key] = joined(pending[key], gx, ours)
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
        if not keep:
            node.release()
    if useful is not None:
        pending = {x: g for x, g in pending.items() if x in useful}
    for x in pending:  # only leaves are left
        for hook in () if x._hooks is None else tuple(x._hooks.values()):
            pending[x] = hook(pending[x])
    return pending | arrived if arrived else pending


def _preparation(create_graph: bool) -> Callable[[Node], tuple[Any, ...]] | None:
    """What gives the pullbacks of a Node, where they are not simply those that it holds."""
    if (guard := watch.guard) is not None:
        return lambda node: guard(node, create_graph)
    return (lambda node: node.on_tensors(wrap_plain)) if create_graph else None


def place_for(x: Any, g: Any, borrowed: list[Any] | None) -> Any:
    """Where to write the first gradient of a leaf: in its optimizer's buffer; None for anywhere."""
    home = x._home
    if borrowed is None or home is None or x._grad is not None or x._hooks is not None:
        return None
    place = home.lend(g.shape, g.kind) if isinstance(g, Unwritten) else None
    if place is not None:
        borrowed.append(home)
    return place
