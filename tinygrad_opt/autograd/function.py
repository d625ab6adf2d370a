"""Function: operations with a backward pass of the user's own, on Tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ..arrays.xp import xp
from ..core.fitting import reduce_to
from ..core.node import FixedNode, Variable, next_rank
from ..core.record import mode
from ..core.tensor import wrap_plain
from ..core.views import FROM_FUNCTION, tie
from . import recorded_writes
from .function_nodes import Call, Context, FunctionNode
from .modes import enable_grad, no_grad
from .packet import Packet

__all__ = ["Function", "once_differentiable"]


class Function:
    """An operation with its own derivative: define `forward` and `backward`, call `apply`.

    `forward(ctx, *args)` computes on Tensors, unrecorded, and returns one Tensor or a tuple. What
    backward needs goes through `ctx.save_for_backward`. `backward(ctx, *grad_outputs)` returns a
    gradient for each argument of forward, None for those that have none. Written with Tensor
    operations it can itself be differentiated. Alternatively `forward(*args)` without ctx, and
    `setup_context(ctx, inputs, output)`.

    >>> class Cube(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return g * 3 * x * x
    >>> x = tensor([2.0], requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor([12.])
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Define static "
            f"forward and backward methods, and call {type(self).__name__}.apply(...)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """The value: `forward(ctx, *args)`, or `forward(*args)` with a `setup_context`."""
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function."
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Saves for backward what `forward(*args)`, which has no ctx, has taken and returned."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradients of the arguments, given those of the outputs."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    vjp = backward

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Runs `forward`; the result is recorded if an argument requires a gradient."""
        needed = tuple(isinstance(x, Variable) and x._requires_grad for x in args)
        recording = mode.enabled and any(needed)
        call = Call(args)
        ctx = Context(call, needed)
        rank = next_rank()  # what forward writes to in place, it writes before its Node is made
        with no_grad():
            if cls.setup_context is Function.setup_context:
                result = cls.forward(ctx, *args, **kwargs)
            else:
                result = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, result)
        outputs = list(result) if isinstance(result, tuple) else [result]
        _check_dirty(call.dirty, outputs, recording)
        outputs = [_as_output(call, y, args) for y in outputs]
        if recording:
            old = [recorded_writes.without_values(x) if _among(x, call.dirty) else x for x in args]
            run = functools.partial(_run, cls, ctx, call)
            node = FunctionNode(cls, run, ctx, call, old)
            pairs = list(zip(args, old, strict=True))
            _record(node, outputs, pairs, isinstance(result, tuple), rank)
        return tuple(outputs) if isinstance(result, tuple) else outputs[0]


def _among(x: Any, tensors: Sequence[Any]) -> bool:
    return any(x is y for y in tensors)  # by identity: == compares elements


def _check_dirty(dirty: Sequence[Any], outputs: Sequence[Any], recording: bool) -> None:
    for x in dirty:
        if not _among(x, outputs):
            raise RuntimeError(
                "Some elements marked as dirty during the forward method were not returned as "
                "output. The inputs that are modified inplace must all be outputs of the Function."
            )
        if recording and x.node is None and x._requires_grad:
            raise RuntimeError(
                "a leaf Variable that requires grad has been used in an in-place operation."
            )
        if recording and x._base is not None and sum(isinstance(y, Variable) for y in outputs) > 1:
            raise RuntimeError(
                "If your Function modifies inplace an input that is a view of another Tensor, your "
                "Function cannot return more than one Tensor. Make the input no view, with .clone()"
                ", or return the other results from another Function."
            )


def _as_output(call: Call, y: Any, args: tuple[Any, ...]) -> Any:
    """An input that forward returned is another Tensor over its memory, unless marked dirty."""
    if not isinstance(y, Variable) or not _among(y, args) or _among(y, call.dirty):
        return y
    alias = tie(wrap_plain(y.array), y, FROM_FUNCTION)
    call.replace(y, alias)
    return alias


def _record(
    node: FunctionNode, outputs: list[Any], pairs: list[tuple[Any, Any]], several: bool, rank: int
) -> None:
    """Make `node` what the outputs come from, as far as they are differentiable.

    `pairs`: the arguments, and what they were before forward wrote to them.
    """
    call = node.call
    for i, y in enumerate(outputs):
        if not isinstance(y, Variable) or y.array.dtype.kind not in "fc":
            continue
        if _among(y, call.non_differentiable):
            continue
        made_by = node.output_node(i, len(outputs)) if several else node
        if _among(y, call.dirty):
            old = next(before for x, before in pairs if x is y)
            recorded_writes.adopt(y, old, made_by, rank)
        else:
            y.node, y._requires_grad = made_by, True
    call.seal(outputs, several)


# Backward -----------------------------------------------------------------------------------------


def _run(
    cls: type[Function], ctx: Context, call: Call, node: FunctionNode | None, g: Any
) -> Packet:
    """The user's backward; recorded if `node`, to which saved outputs belong, is given."""
    grads = [_as_tensor(x) for x in (g.items if isinstance(g, Packet) else (g,))]
    if call.materialize:
        grads = [call.zeros(i) if x is None else x for i, x in enumerate(grads)]
    backward = cls.backward if cls.backward is not Function.backward else cls.vjp
    call.node = node
    try:
        with no_grad() if node is None else enable_grad():
            found = backward(ctx, *grads)
    finally:
        call.node = None
    found = list(found) if isinstance(found, (tuple, list)) else [found]
    checked = _checked(f"{cls.__name__}Backward", call, found)
    return Packet([x.array if x is not None and node is None else x for x in checked])


def _as_tensor(x: Any) -> Any:
    return x if x is None or isinstance(x, Variable) else wrap_plain(x)


def _checked(name: str, call: Call, found: list[Any]) -> list[Any]:
    """What backward returned, one for each argument, in its shape and type."""
    n = len(call.inputs)
    if len(found) < n or any(x is not None for x in found[n:]):
        raise RuntimeError(
            f"function {name} returned an incorrect number of gradients (expected {n}, got "
            f"{len(found)})"
        )
    for i, x in enumerate(found[:n]):
        like = call.inputs[i]
        if x is None:
            continue
        if not isinstance(x, Variable):
            raise RuntimeError(f"{name}: expected Variable or None (got {type(x).__name__})")
        if like is None:
            raise RuntimeError(
                f"function {name} returned a gradient different than None at position {i + 1}, "
                "but the corresponding forward input was not a Variable"
            )
        found[i] = _fitted(name, i, x, *like)
    return found[:n]


def _fitted(name: str, i: int, x: Any, shape: Any, dtype: Any) -> Any:
    if tuple(x.shape) != tuple(shape):
        try:
            x = _as_tensor(reduce_to(x, shape, name))
        except RuntimeError as error:
            raise RuntimeError(
                f"Function {name} returned an invalid gradient at index {i} - got "
                f"{list(x.shape)} but expected shape compatible with {list(shape)}"
            ) from error
    return x if x.array.dtype == dtype else xp(x).cast(x, dtype=dtype)


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a `backward` that cannot be differentiated: trying to is a RuntimeError."""

    @functools.wraps(backward)
    def once(ctx: Any, *grads: Any) -> Any:
        with no_grad():
            found = backward(ctx, *grads)
        sources = [x for x in (*grads, *ctx.saved_tensors) if x is not None and x.requires_grad]
        if not (mode.enabled and sources):
            return found
        several = isinstance(found, tuple)
        blocked = tuple(_blocked(x, sources) for x in (found if several else (found,)))
        return blocked if several else blocked[0]

    return once


def _blocked(x: Any, sources: list[Any]) -> Any:
    """`x`, through which no gradient gets back to `sources`."""
    if x is None:
        return None

    def refuse(g: Any) -> Any:
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )

    blocked = wrap_plain(x.array)
    blocked.node = FixedNode(
        once_differentiable, (), sources, {}, (None, *(refuse for _ in sources))
    )
    blocked._requires_grad = True
    return blocked
