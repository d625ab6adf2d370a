"""Checkpointing: less memory for a second forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..arrays import random
from ..core.node import Node, Variable, next_rank
from ..core.outlines import inputs_kept
from ..core.record import mode
from .function import Function
from .grad import grad
from .modes import enable_grad
from .view_history import wrote_to_older

__all__ = ["checkpoint", "checkpoint_sequential"]


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, which backward computes again in place of remembering it.

    Nothing between the arguments and the result is kept; the memory of the function's inner values
    is needed only while backward passes through it. Gradients flow to the arguments and to all
    else that the function uses, such as a module's parameters. With `preserve_rng_state` the second
    pass draws the random numbers of the first, so that dropout drops the same. `use_reentrant` is
    accepted; either way works with `autograd.grad` and with higher derivatives. `function` returns
    a Tensor or a tuple. If it writes in place to what is not its own, all of it is remembered.
    """
    if not mode.enabled:
        return function(*args, **kwargs)
    state = random.state_of(random.current()) if preserve_rng_state else None
    start = next_rank()
    with inputs_kept():  # recorded, to see what it uses; the record is dropped
        first = function(*args, **kwargs)
    outputs = first if isinstance(first, tuple) else (first,)
    used = _used(outputs, start)
    if not used or wrote_to_older(start):
        return first  # with its record: another run would write once more
    detached = [y.detach() if isinstance(y, Variable) else y for y in outputs]  # type: ignore[attr-defined]

    def again() -> Any:
        with _random_numbers_of(state):
            return function(*args, **kwargs)

    results = _Recomputed.apply(again, detached, *used)
    return results if isinstance(first, tuple) else results[0]


class _Recomputed(Function):
    """The values at hand as the outputs of `again()`, which is called to find the gradients."""

    @staticmethod
    def forward(ctx: Any, again: Any, outputs: list[Any], *used: Any) -> Any:
        ctx.again = again
        ctx.save_for_backward(*used)  # to notice changes
        ctx.set_materialize_grads(False)
        fixed = (y for y in outputs if isinstance(y, Variable) and not y.is_floating_point())  # type: ignore[attr-defined]
        ctx.mark_non_differentiable(*fixed)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        used = ctx.saved_tensors
        higher = mode.enabled
        with _as_leaves(used), enable_grad():
            outputs = ctx.again()
            return _gradients(outputs, used, grads, higher)


def _gradients(outputs: Any, used: tuple[Any, ...], grads: tuple[Any, ...], higher: bool) -> Any:
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    pairs = [
        (y, g) for y, g in zip(outputs, grads, strict=True)
        if g is not None and y.requires_grad
    ]  # fmt: skip
    if not pairs:
        return (None,) * (2 + len(used))
    ys, gs = zip(*pairs, strict=True)
    found = grad(ys, used, gs, create_graph=higher, allow_unused=True)
    return (None, None, *found)


@contextmanager
def _as_leaves(used: tuple[Any, ...]) -> Iterator[None]:
    """The tensors without history and hooks for a while: the pass outside sees to both."""
    made = [(x, x.node) for x in used if x.node is not None]
    hooked = [(x, x._hooks) for x in used if x._hooks is not None]
    for x, _ in made:
        x.node = None
    for x, _ in hooked:
        x._hooks = None
    try:
        yield
    finally:
        for x, node in made:
            x.node = node
        for x, hooks in hooked:
            x._hooks = hooks


def _used(outputs: tuple[Any, ...], start: int) -> list[Any]:
    """The tensors with a gradient that existed before `start` and that the outputs are made of."""
    found: dict[int, Any] = {}
    seen: set[Node] = set()
    stack = list(outputs)
    while stack:
        x = stack.pop()
        if not isinstance(x, Variable) or not x._requires_grad:
            continue
        if x.node is None or x.node.rank > start:  # ranks fall: it is older
            found[id(x)] = x
        elif x.node not in seen:
            seen.add(x.node)
            stack.extend(x.node.targets)
    return list(found.values())


@contextmanager
def _random_numbers_of(state: Any) -> Iterator[None]:
    """The default generator put back to `state` for a while."""
    if state is None:
        yield
        return
    now = random.state_of(random.current())
    random.set_rng_state(state)
    try:
        yield
    finally:
        random.set_rng_state(now)


def checkpoint_sequential(
    functions: Any,
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    **kwargs: Any,
) -> Any:
    """Runs a Sequential, or a list of functions, in `segments` pieces, checkpoints but the last.

    `segments`: how many; `input`: what the first function takes. Keywords go to `checkpoint`.
    """
    steps: Sequence[Any] = list(
        functions.children() if hasattr(functions, "children") else functions
    )
    if not 1 <= segments <= len(steps):
        raise ValueError(
            f"checkpoint_sequential: segments must be between 1 and {len(steps)}, got {segments}"
        )
    size = len(steps) // segments
    for k in range(segments - 1):
        piece = steps[k * size : (k + 1) * size]
        input = checkpoint(_chain(piece), input, use_reentrant=use_reentrant, **kwargs)
    return _chain(steps[(segments - 1) * size :])(input)


def _chain(steps: Sequence[Any]) -> Callable[[Any], Any]:
    def run(x: Any) -> Any:
        for step in steps:
            x = step(x)
        return x

    return run
