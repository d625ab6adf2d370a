"""Complex results: the same pairs, with PyTorch's convention for their gradients.

The gradient of a real L by z = x + iy is dL/dx + i dL/dy (conjugate Wirtinger, as PyTorch). For an
operation that is differentiable in the complex sense, y = f(z), that is the gradient of y times the
conjugate of f'(z). The pairs multiply by f'(z) itself: so a pullback P is given the conjugate of
the gradient, and what it returns is conjugated: conj(P(conj(g))). Of real inputs the real part is
what counts. This is done here, once, for every operation whose result is complex; real numbers
never come by. Operations from complex to real numbers (`abs`, `real`) say their own rule.
"""

from __future__ import annotations

from typing import Any

from ..arrays.unwritten import Unwritten
from ..arrays.xp import xp
from . import settled
from .node import Node, Variable
from .record import mode
from .tensor import Tensor, wrap, wrap_as

__all__ = ["ComplexNode"]


class ComplexNode(Node):
    """A Node with a complex result: its pullbacks work on conjugates."""

    __slots__ = ()

    def on_tensors(self, wrap: Any) -> tuple[Any, ...]:
        """The pair run again on Tensors, with conjugates about its pullbacks."""
        return conjugated(super().on_tensors(wrap), self.targets)


def conjugated(output: tuple[Any, ...], targets: Any) -> tuple[Any, ...]:
    """(value, pullbacks) with the pullbacks conj(P(conj(g))), for the inputs that want them."""
    pullbacks = (
        None if x is None or pullback is None else _between_conjugates(pullback, x)
        for x, pullback in zip(targets, output[1:], strict=False)
    )
    return (output[0], *pullbacks)


def _between_conjugates(pullback: Any, x: Any) -> Any:
    real = x.array.dtype.kind != "c"

    def back(g: Any) -> Any:
        gx = pullback(_conjugate(g))
        if gx is None:
            return None
        gx = gx.whole() if isinstance(gx, Unwritten) else gx
        if gx.dtype.kind != "c":
            return gx
        return xp(gx).real_part(gx) if real else _conjugate(gx)

    return back


def _conjugate(g: Any) -> Any:
    return xp(g).conj(g) if g.dtype.kind == "c" else g


def finished(operation: Any, inputs: Any, params: dict[str, Any], y: Any, output: Any) -> Any:
    """The Tensor of a complex result, recorded if an input requires a gradient."""
    targets = tuple(x if isinstance(x, Variable) and x._requires_grad else None for x in inputs)
    if not mode.enabled or all(x is None for x in targets):
        return wrap(y)
    node = ComplexNode(operation, tuple(inputs), targets, params, conjugated(output, targets))
    return wrap_as(Tensor, y, True, node)


settled.finished_complex = finished
