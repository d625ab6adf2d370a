"""Function: operations with a backward pass of the user's own, on Tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..arrays.xp import array_namespace, xp
from ..core import versions
from ..core.backward import reduce_to
from ..core.node import FixedNode, Node, Variable, next_rank
from ..core.record import mode
from ..core.tensor import wrap_plain
from . import anomaly, recorded_writes, saved_values
from .edges import next_functions
from .modes import enable_grad, no_grad
from .packet import Packet

if TYPE_CHECKING:
    from .hooks import RemovableHandle

__all__ = ["Call", "Context", "Function", "FunctionNode", "Packet", "once_differentiable"]


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


def _as_output(call: Call, y: Any, args: tuple[Any, ...]) -> Any:
    """An input that forward returned is another Tensor over its memory, unless marked dirty."""
    if not isinstance(y, Variable) or not _among(y, args) or _among(y, call.dirty):
        return y
    alias = wrap_plain(y.array)
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
        if not isinstance(y, Variable) or y.array.dtype.kind != "f":
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


# Backward ---------------------------------------------------------------------------------------


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


# The ctx of a Function: what its forward leaves for its backward ----------------------------------


class Call:
    """One call of a Function, as the graph needs it. Kept apart from ctx, which is the user's.

    inputs  (shape, dtype) of each Tensor argument, None for the others
    node    the call's Node, while its backward is being recorded
    """

    def __init__(self, args: tuple[Any, ...]) -> None:
        self.inputs = [
            (x.array.shape, x.array.dtype) if isinstance(x, Variable) else None for x in args
        ]
        self.materialize = True
        self.dirty: tuple[Any, ...] = ()
        self.non_differentiable: tuple[Any, ...] = ()
        self.to_save: tuple[Any, ...] = ()
        self.node: Any = None
        self._outputs: list[Any] = []
        self._saved: list[tuple[Any, int | None, int]] | None = None

    def replace(self, x: Any, alias: Any) -> None:
        """Output `x` became `alias`: what was said of the one holds for the other."""
        if any(y is x for y in self.non_differentiable):
            self.non_differentiable = (*self.non_differentiable, alias)

    def zeros(self, i: int) -> Any:
        """A gradient of zeros for output i; None if it is no Tensor."""
        if self._outputs[i] is None:
            return None
        library, shape, dtype = self._outputs[i]
        return wrap_plain(library.zeros(shape, dtype))

    def seal(self, outputs: list[Any], several: bool) -> None:
        """Note what backward needs of the outputs, and turn what was saved into what may be held.

        A saved output would point back to the Node: its array is kept, and its place.
        """
        self._outputs = [
            (array_namespace(y.array), y.array.shape, y.array.dtype)
            if isinstance(y, Variable)
            else None
            for y in outputs
        ]
        self._saved = []
        for x in self.to_save:
            place = next((i for i, y in enumerate(outputs) if x is not None and y is x), None)
            if place is not None:
                x = wrap_plain(x.array)
                place = place if several else -1
            self._saved.append((x, place, 0 if x is None else versions.version(x.array)))
        self.to_save = self.dirty = self.non_differentiable = ()

    def saved(self) -> tuple[Any, ...]:
        """What was saved. Raises RuntimeError if it was freed or changed."""
        if self._saved is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved "
                "tensors after they have already been freed). Pass retain_graph=True to the first "
                "backward, or compute the forward pass again."
            )
        return tuple(self._unpacked(*entry) for entry in self._saved)

    def release(self) -> None:
        """Drop what was saved."""
        self._saved = None

    def _unpacked(self, x: Any, place: int | None, version: int) -> Any:
        if x is None:
            return None
        now = versions.version(x.array)
        if now != version:
            raise RuntimeError(saved_values.changed(x.array, now))
        if place is None or self.node is None:
            return x
        y = wrap_plain(x.array)  # the output again, as what the Node has made
        y.node = self.node if place < 0 else self.node.output_node(place, len(self._outputs))
        y._requires_grad = True
        return y


class Context:
    """What `forward` and `backward` of a Function share; users add attributes of their own.

    needs_input_grad  for each argument of forward, whether its gradient is wanted
    """

    def __init__(self, call: Call, needs_input_grad: tuple[bool, ...]) -> None:
        self._call = call
        self.needs_input_grad = needs_input_grad

    def save_for_backward(self, *tensors: Any) -> None:
        """Keeps Tensors (or None) for `saved_tensors`; later changes to them are noticed."""
        for i, x in enumerate(tensors):
            if x is not None and not isinstance(x, Variable):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {i} is of type "
                    f"{type(x).__name__}; keep it as an attribute: ctx.name = value"
                )
        self._call.to_save = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Accepted, and ignored: there is no forward mode."""

    def mark_dirty(self, *tensors: Any) -> None:
        """Says that forward has written to these arguments, and returns them."""
        self._call.dirty = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Says that these outputs have no gradient."""
        self._call.non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward gets zeros (else None) for outputs that were not used."""
        self._call.materialize = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` was given. Raises RuntimeError if it was freed or changed."""
        return self._call.saved()


# The Nodes of a Function's call, and the packets of gradients that travel between them ------------


Run = Callable[[Any, Any], Packet]


def _junction(node: Node) -> Any:
    """What stands for a Packet among the inputs of a Node."""
    x: Any = Variable()
    x.array, x.node, x._requires_grad, x._grad = Packet(()), node, True, None
    return x


class Spread(FixedNode):
    """The gradients of all arguments of a Function, sent to each."""

    __slots__ = ("tensors",)

    def __init__(self, args: Sequence[Any]) -> None:
        self.tensors = [i for i, x in enumerate(args) if isinstance(x, Variable)]
        targets = [x if isinstance(x, Variable) and x._requires_grad else None for x in args]
        pullbacks = (lambda packet, i=i: packet.items[i] for i in range(len(args)))
        super().__init__(Spread, (), targets, {}, (None, *pullbacks))

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        edges = next_functions(self)
        return tuple(edges[i] for i in self.tensors if i < len(edges))


class FunctionNode(FixedNode):
    """The call of a Function: the gradients of its outputs in, those of its arguments out.

    run(node, gradient) is the user's backward; on raw arrays if node is None, else recorded.
    Attributes of the Function's ctx are attributes of the Node too, as in PyTorch.
    """

    __slots__ = ("call", "ctx", "run")

    def __init__(self, cls: Any, run: Run, ctx: Context, call: Call, args: Sequence[Any]) -> None:
        spread = _junction(Spread(args))
        super().__init__(cls, (), (spread,), {}, (None, functools.partial(run, None)))
        self.run, self.ctx, self.call = run, ctx, call
        if anomaly.on:
            self.trace = anomaly.user_lines()

    def on_tensors(self, wrap: Callable[[Any], Any]) -> tuple[Any, ...]:
        return None, functools.partial(self.run, self)

    def output_node(self, i: int, n: int) -> Select:
        """What output i of n comes from."""
        return Select(self, i, n)

    def release(self) -> None:
        super().release()
        self.call.release()

    def name(self) -> str:
        return f"{self.op.__name__}Backward"

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        return self.targets[0].node.next_functions if self.targets else ()

    def __getattr__(self, name: str) -> Any:
        if name in ("call", "ctx", "run", "trace"):  # a slot that is not set
            raise AttributeError(name)
        return getattr(self.ctx, name)


class Select(FixedNode):
    """One of several outputs of a Function."""

    __slots__ = ("function",)

    def __init__(self, node: FunctionNode, i: int, n: int) -> None:
        def at_i(g: Any) -> Packet:
            return Packet([g if k == i else None for k in range(n)])

        super().__init__(node.op, (), (_junction(node),), {}, (None, at_i))
        self.function = node

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        return self.function.register_prehook(hook)

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        return self.function.register_hook(hook)

    def name(self) -> str:
        return self.function.name()

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        return self.function.next_functions

    def __getattr__(self, name: str) -> Any:
        if name in ("function", "trace"):  # a slot that is not set
            raise AttributeError(name)
        return getattr(self.function, name)
