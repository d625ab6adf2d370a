"""The ctx of a Function: what its forward leaves for its backward."""

from __future__ import annotations

from typing import Any

from ..backend import array_namespace
from . import versions
from .graph import wrap_plain
from .node import Variable

__all__ = ["Call", "Context"]


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
            raise RuntimeError(versions.changed(x.array, now))
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
