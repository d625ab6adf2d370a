"""`@fused_op`: `@op` for functions of one element that have a row of kernels; what marks them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..arrays.fused import fused
from ..core.outlines import keep_result, saves_nothing
from ..core.record import op

__all__ = ["fused_op", "keeps_result", "linear_op", "recomputed"]


def fused_op(pair: Callable[..., tuple[Any, Any]]) -> Callable[..., Any]:
    """The operation of a pair whose twin is a row of `kernels/fused/elementwise.py`.

    The pair is the formula, as for `@op`; on NumPy's arrays the kernels of its name run in its
    place, see `arrays/fused.py`.
    """
    return op(fused(pair))


def linear_op(pair: Callable[..., tuple[Any, Any]]) -> Callable[..., Any]:
    """A `fused_op` that is linear in what it is given, so that its pullbacks need no values."""
    return saves_nothing(fused_op(pair))


def recomputed(operation: Any) -> Any:
    """Marks an operation whose derivative takes no notice of hooks on its result.

    Others' do where they use that result: backward of a backward goes through `tanh(x)` itself. As
    in PyTorch, the derivative of these is that of a result computed again from the inputs.
    """
    operation.recomputes = True
    return operation


def keeps_result(pair: Any) -> Any:
    """Marks the pair of f with f(f(x)) = f(x): its Nodes may keep the result in place of the input.

    The same pair gives the same value and pullbacks there, and the memory of the input is free.
    """
    pair.kept = keep_result
    return pair
