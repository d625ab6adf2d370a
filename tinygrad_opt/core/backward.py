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

from ..arrays.device import device_of
from ..arrays.namespace import is_writable
from ..arrays.quiet import SETTINGS, restore, silence
from ..arrays.rowsparse import RowSparse
from ..arrays.xp import array_namespace, same_library, xp
from ..autograd import anomaly, recorded_writes, saved_values
from ..autograd.hooks import run_after_accumulation, with_posthooks
from ..autograd.modes import enable_grad
from .node import Node, Variable
from .record import mode, reduce_to, wrap_plain

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["as_list", "backward", "seeds_of"]


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
    if recorded_writes.rebound:
        recorded_writes.resolve(outputs)
    useful = None if wanted is None else _leading_to(wanted, outputs)
    last_write = saved_values.clock.last_write
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
            saved_values.check(node, create_graph)
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


# What a backward pass starts from: the outputs, and the gradient at each --------------------------


def as_list(tensors: Any) -> list[Any]:
    items = [tensors] if isinstance(tensors, Variable) else list(tensors)
    for x in items:
        if not isinstance(x, Variable):
            raise TypeError(f"backward: expected Tensors to differentiate, got {type(x).__name__}")
    return items


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
        if array.size != 1:
            raise RuntimeError(
                "grad can be implicitly created only for scalar outputs, but this tensor has "
                f"shape {tuple(array.shape)}; reduce it first (loss.mean() or loss.sum()), or pass "
                "backward(gradient) with a gradient of its shape"
            )
        seed = array_namespace(array).array(1, array.dtype).reshape(array.shape)
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
