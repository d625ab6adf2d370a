"""NumPy's floating-point settings, put aside while this package computes.

As in PyTorch, the logarithm of 0 is -inf without a word, whatever `np.seterr` and the warning
filters of the user's program say; NumPy's settings in the user's own code stay as they are.
`np.errstate` costs more than a small operation. Two cheaper ways:

run(function, *args)   calls it in a context of its own, where the settings are set once for all.
                       For functions of this package that call nothing of the user's: those do not
                       see the user's context variables. Cannot be nested, see `busy`.
quiet(function)        a decorator: the function runs in the caller's context, with the settings
                       changed before and put back after. Twice the price of `run`.
"""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

__all__ = ["SETTINGS", "busy", "quiet", "quiet_cast", "restore", "run", "silence"]

Function = TypeVar("Function", bound=Callable[..., Any])

_context = contextvars.Context()
_context.run(np.seterr, all="ignore")
run = _context.run


def busy(error: RuntimeError) -> bool:
    """Whether `run` has raised `error` itself: another call is going on, around it or in a thread.

    Then the function has not been called, so that the traceback ends at the line with `run`.
    """
    return error.__traceback__ is not None and error.__traceback__.tb_next is None


def _by_variable() -> tuple[Any, Any, Any]:
    """What `np.errstate` does inside, at a tenth of its time (NumPy 2.0 to 2.5)."""
    from numpy._core.umath import _extobj_contextvar, _make_extobj

    settings = _make_extobj(all="ignore")
    before = _extobj_contextvar.set(settings)
    known = set(np.geterr().values())
    _extobj_contextvar.reset(before)
    if known != {"ignore"}:
        raise ImportError("NumPy no longer keeps its settings in this variable")
    return settings, _extobj_contextvar.set, _extobj_contextvar.reset


def _by_errstate() -> tuple[Any, Any, Any]:
    """The same by NumPy's public means alone."""

    def silence(settings: dict[str, Any]) -> Any:
        state = np.errstate(**settings)
        state.__enter__()
        return state

    return {"all": "ignore"}, silence, lambda before: before.__exit__()


try:
    SETTINGS, silence, restore = _by_variable()
except (AttributeError, ImportError, TypeError):
    SETTINGS, silence, restore = _by_errstate()


def quiet(function: Function) -> Function:
    """Decorates a function that calls NumPy outside of an operation (`@op` is quiet by itself)."""

    @functools.wraps(function)
    def quietly(*args: Any, **kwargs: Any) -> Any:
        before = silence(SETTINGS)
        try:
            return function(*args, **kwargs)
        finally:
            restore(before)

    return quietly  # type: ignore[return-value]


@quiet
def quiet_cast(array: Any, dtype: Any) -> Any:
    """`array.astype(dtype)`: infinities as integers, large numbers as float16."""
    return array.astype(dtype)
