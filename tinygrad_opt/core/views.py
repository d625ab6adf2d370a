"""Views: `@view` makes an operation whose result may be another look at the memory of its input.

Such a result knows its base, the tensor at the end of all views, so that a recorded write through
the one becomes part of the history of the other (`autograd/view_history.py`). The base knows that
it has had views, but nobody holds a list of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from . import record as recording
from .errors import again
from .node import Variable
from .record import mode
from .settled import settled
from .tensor import Tensor, wrap
from .versions import owner

__all__ = ["FROM_FUNCTION", "NO_GRAD", "SEVERAL", "one_of_several", "tie", "view"]

_ndarray = np.ndarray
_FLOAT32 = np.dtype("float32")

# Why a view may not be written to while the write is recorded: what `_tied` holds.
NO_GRAD, SEVERAL, FROM_FUNCTION = "no_grad", "several", "function"


def view(pair: Callable[..., Any]) -> Callable[..., Any]:
    """Like `op`, for a pair of one array (and constants by name) whose value may be a view of it.

    The pair computes nothing, so it runs without the change of NumPy's settings that `op` makes.
    """

    def operation(x: Any, /, **params: Any) -> Any:
        if type(x) is not Tensor and not isinstance(x, Variable):
            return pair(x, **params)[0]
        array = x.array
        try:
            output = pair(array, **params)
        except (TypeError, ValueError, RuntimeError) as error:
            output = again(error, pair, (x,), (array,), params)
        y = output[0]
        if type(y) is _ndarray and y.dtype is _FLOAT32:
            base = y.base
        else:
            y, other = settled(operation, (x,), params, y, output)
            if other is not None:
                return tie(other, x)
            base = getattr(y, "base", None)
        enabled = mode.enabled
        if x._requires_grad and enabled:
            inputs = (x,)
            made = recording.record(y, operation, inputs, inputs, params, output)
        else:
            made = wrap(y)
        if base is not None and (base is array or base is array.base or _share(y, array)):
            whole = x._base
            if whole is None:
                made._base = x
                x._viewed = True
                if not enabled:
                    made._tied = NO_GRAD
            else:
                made._base = whole
                if x._tied is not None or not enabled:
                    made._tied = x._tied or NO_GRAD
        return made

    made: Any = functools.wraps(pair)(operation)
    made.__name__ = pair.__name__.lstrip("_")
    made.pair = pair
    return made


def tie(made: Any, x: Any, reason: str | None = None) -> Any:
    """`made`, as a view of `x` if it shares its memory; `reason`: why it may not be written to."""
    if _share(made.array, x.array):
        made._base = base = x if x._base is None else x._base
        base._viewed = True
        reason = reason or (None if mode.enabled else NO_GRAD) or x._tied
        if reason is not None:
            made._tied = reason
    return made


def one_of_several(pieces: Iterable[Any]) -> tuple[Any, ...]:
    """The results of a function that returns several views, none of which may be written to."""
    pieces = tuple(pieces)
    for piece in pieces:
        if piece._base is not None:
            piece._tied = SEVERAL
    return pieces


def _share(y: Any, array: Any) -> bool:
    return hasattr(y, "base") and owner(y) is owner(array)
