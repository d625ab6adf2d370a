"""NumPy's names for arguments, which PyTorch takes as well: `x.sum(axis=0, keepdims=True)`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["with_numpy_names"]

_MEANING = {"axis": "dim", "keepdims": "keepdim"}


@functools.cache  # aliases of one function stay one
def with_numpy_names(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which then also knows `axis` for its `dim`, and `keepdims` for `keepdim`.

    A function without a `dim` is returned as it is. Raises TypeError if both names are given.
    """
    if "dim" not in inspect.signature(function).parameters:
        return function

    @functools.wraps(function)
    def renaming(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            for alias, name in _MEANING.items():
                if alias in kwargs:
                    if name in kwargs:
                        raise TypeError(
                            f"{function.__name__}() got both {alias} and {name}: give one of them"
                        )
                    kwargs[name] = kwargs.pop(alias)
        return function(*args, **kwargs)

    renaming.__module__ = __package__  # where pickle finds it under its name
    return renaming
