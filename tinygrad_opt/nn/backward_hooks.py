"""Hooks on the gradients of a module: of what it returned, and of what it was called with.

The arguments and the outputs pass through a Function that changes nothing; its backward sees the
gradients on their way, those of the outputs before the module's own operations run backwards, those
of the arguments after them.
"""

from __future__ import annotations

import warnings
from typing import Any

from ..autograd.function import Function
from ..autograd.modes import mode
from ..autograd.node import Variable

__all__ = ["Watch"]


class _Passage(Function):
    """Tensors as they are; `seen(gradients)` may change their gradients."""

    @staticmethod
    def forward(ctx: Any, seen: Any, *tensors: Any) -> Any:
        ctx.seen = seen
        ctx.set_materialize_grads(False)
        return tensors

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return (None, *ctx.seen(gradients))


def _pass(values: tuple[Any, ...], seen: Any) -> tuple[tuple[Any, ...], list[int]]:
    """`values` with the float Tensors sent through a passage, and where they are.

    All of them, if one requires a gradient: hooks are shown the gradients of the others too.
    """
    tensors = [i for i, x in enumerate(values) if isinstance(x, Variable)]
    if not mode.enabled or not any(values[i]._requires_grad for i in tensors):
        return values, []
    places = [i for i in tensors if values[i].array.dtype.kind == "f"]
    passed = dict(zip(places, _Passage.apply(seen, *(values[i] for i in places)), strict=True))
    return tuple(passed.get(i, x) for i, x in enumerate(values)), places


class Watch:
    """The hooks of one module around one call.

    before: get the gradients of the outputs, hook(module, grad_output).
    after: get those of the arguments too, hook(module, grad_input, grad_output).
    """

    def __init__(self, module: Any, before: list[Any], after: list[Any]) -> None:
        self.module, self.before, self.after = module, before, after
        self._grad_output: tuple[Any, ...] | None = None
        self._arguments = 0
        self._inputs: list[int] = []
        self._outputs: list[int] = []
        self._returned = 0

    def arguments(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments to call forward with."""
        self._arguments = len(args)
        if self.after:
            args, self._inputs = _pass(args, self._inputs_seen)
        return args

    def output(self, output: Any) -> Any:
        """What to return in place of the output: a Tensor or a tuple of them; others pass."""
        if isinstance(output, Variable):
            return self.output((output,))[0]
        if not isinstance(output, tuple) or hasattr(output, "_fields"):
            warnings.warn(
                "For backward hooks to be called, module output should be a Tensor or a tuple of "
                f"Tensors but received {type(output)}",
                stacklevel=4,
            )
            return output
        self._returned = len(output)
        output, self._outputs = _pass(output, self._outputs_seen)
        return output

    def _outputs_seen(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        grads = _spread(gradients, self._outputs, self._returned)
        for hook in self.before:
            changed = hook(self.module, grads)
            if changed is not None:
                grads = _checked(changed, len(grads), "grad_output")
        self._grad_output = grads
        if self.after and not self._inputs:
            self._without_inputs()
        return tuple(grads[i] for i in self._outputs)

    def _without_inputs(self) -> None:
        warnings.warn(
            "Full backward hook is firing when gradients are computed with respect to module "
            "outputs since no inputs require gradients.",
            stacklevel=2,
        )
        for hook in self.after:
            changed = hook(self.module, (None,) * self._arguments, self._grad_output)
            if changed is not None and any(g is not None for g in changed):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always "
                    "return None or None for all gradients."
                )

    def _inputs_seen(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        if self._grad_output is None:  # the gradient came past the outputs
            return gradients
        grads = _spread(gradients, self._inputs, self._arguments)
        for hook in self.after:
            changed = hook(self.module, grads, self._grad_output)
            if changed is not None:
                grads = _checked(changed, len(grads), "grad_input")
        self._grad_output = None
        return tuple(grads[i] for i in self._inputs)


def _spread(gradients: tuple[Any, ...], places: list[int], n: int) -> tuple[Any, ...]:
    known = dict(zip(places, gradients, strict=True))
    return tuple(known.get(i) for i in range(n))


def _checked(changed: Any, n: int, what: str) -> tuple[Any, ...]:
    grads = changed if isinstance(changed, tuple) else (changed,)
    if len(grads) != n:
        raise RuntimeError(
            f"Backward hook returned an invalid number of {what}, got {len(grads)}, but expected "
            f"{n}"
        )
    return grads
