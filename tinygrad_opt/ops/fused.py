"""`@fused_op`: `@op` for functions of one element that have a row of kernels; what marks them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from ..arrays.fused import fused
from ..arrays.xp import xp
from ..core.outlines import keep_result, saves_nothing
from ..core.record import op

__all__ = ["fused_op", "keeps_result", "linear_op", "mean_of", "recomputed"]


def fused_op(pair: Callable[..., tuple[Any, Any]]) -> Callable[..., Any]:
    """The operation of a pair whose twin is a row of `kernels/fused/elementwise.py`.

    The pair is the formula, as for `@op`; on NumPy's arrays the kernels of its name run in its
    place, see `arrays/fused.py`.
    """
    return op(fused(pair))


def linear_op(pair: Callable[..., tuple[Any, Any]]) -> Callable[..., Any]:
    """A `fused_op` that is linear in what it is given, so that its pullbacks need no values."""
    return saves_nothing(fused_op(pair))


def mean_of(operation: Any) -> Any:
    """The operation of the mean of what another gives for each element; NaN if there are none.

    One Node instead of two, and no gradient for each element: the pullbacks get a single number.
    """
    pair = operation.pair

    @functools.wraps(pair)
    def mean(*inputs: Any, **settings: Any) -> tuple[Any, ...]:
        y, *slopes = pair(*inputs, **settings)
        n = math.prod(y.shape) or math.nan
        return xp(y).sum(y) / n, *[_of_share(slope, 1 / n) for slope in slopes]

    mean.__name__ = f"mean_{pair.__name__.lstrip('_')}"
    return op(mean)


def _of_share(slope: Any, share: float) -> Any:
    return None if slope is None else lambda g: slope(g * share)


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
