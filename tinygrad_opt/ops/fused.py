"""`@fused_op`: `@op` for functions of one element that have a row of kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..arrays.fused import fused
from ..core.record import op

__all__ = ["fused_op"]


def fused_op(pair: Callable[..., tuple[Any, Any]]) -> Callable[..., Any]:
    """The operation of a pair whose twin is a row of `kernels/fused/elementwise.py`.

    The pair is the formula, as for `@op`; on NumPy's arrays the kernels of its name run in its
    place, see `arrays/fused.py`.
    """
    return op(fused(pair))
