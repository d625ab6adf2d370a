"""Calls of eager functions in a compiled step: whole arrays in, whole arrays out.

They stand between two parts of the compiled step, and run in Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .traced import Traced, current, data_of

__all__ = ["call", "passage"]


def call(
    name: str, function: Callable[..., Any], /, *args: Any, why: str = "", **settings: Any
) -> Any:
    """A call of an eager function on whole arrays: one Traced, or a tuple of several.

    Arrays may stand anywhere among the arguments, in lists and tuples too. `why`: it is not a call
    from within the generated function, for readers.
    """
    given: list[Traced] = []
    around = _Call(function, _marked(args, given), _marked(settings, given))
    with np.errstate(all="ignore"):
        found = around(*map(data_of, given))
    several = isinstance(found, (tuple, list))
    results = found if several else (found,)
    params = {"function": around, "several": several, "why": why}
    values = tuple(x.value for x in given)
    made = current().add("call", values, params, np.asarray(results[0]), name=name)
    outputs: list[Any] = [Traced(made)]
    for i, data in enumerate(results[1:], 1):
        if data is not None:
            data = Traced(current().add("result", (made,), {"index": i}, np.asarray(data),
                                        name=name))  # fmt: skip
        outputs.append(data)
    if not several:
        return outputs[0]
    return found._make(outputs) if hasattr(found, "_make") else type(found)(outputs)


class _Call:
    """A function whose arrays are handed in separately."""

    def __init__(self, function: Callable[..., Any], args: Any, settings: Any) -> None:
        self._function, self._args, self._settings = function, args, settings

    def __call__(self, *arrays: Any) -> Any:
        args, settings = _filled(self._args, arrays), _filled(self._settings, arrays)
        return self._function(*args, **settings)


class _Place(int):
    """The number of an array among those that are handed in."""


def _marked(x: Any, given: list[Traced]) -> Any:
    """x with a number in the place of each traced array, which is added to `given`."""
    if isinstance(x, Traced):
        given.append(x)
        return _Place(len(given) - 1)
    if type(x) in (list, tuple):
        return type(x)(_marked(part, given) for part in x)
    if isinstance(x, dict):
        return {key: _marked(part, given) for key, part in x.items()}
    return x


def _filled(x: Any, arrays: Any) -> Any:
    if type(x) is _Place:
        return arrays[x]
    if type(x) in (list, tuple):
        return type(x)(_filled(part, arrays) for part in x)
    if isinstance(x, dict):
        return {key: _filled(part, arrays) for key, part in x.items()}
    return x


def passage(
    name: str, pair: Callable[..., Any], args: tuple[Any, ...], arrays: int, why: str
) -> Any:
    """A recurrent layer's way through time, as two calls: forwards, and back."""
    way = _Passage(pair, args[arrays:])
    y = call(name, way, *args[:arrays], why=why)
    return y, lambda g: call(f"{name}_back", way.back, g, y, why=why)


class _Passage:
    """A pair of eager functions, of which the second knows what the first has kept."""

    def __init__(self, pair: Callable[..., Any], settings: tuple[Any, ...]) -> None:
        self._pair, self._settings = pair, settings
        self._back: Any = None

    def __call__(self, z: Any, *rest: Any) -> Any:
        y, self._back = self._pair(z.copy(), *rest, *self._settings)  # it may write to z
        return y

    def back(self, g: Any, y: Any) -> Any:
        return self._back(g)
