"""What the checks are made of: comparing, and saying what was expected, what came, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["Wrong", "array_of", "compare_gradients", "need", "same", "slope", "values"]

Mistakes = Sequence[tuple[Any, str]]  # (what a usual mistake gives, what to say of it)


class Wrong(Exception):
    """An exercise that is not right.

    what       what was looked at, as "operations(y) of y = x * x"
    expected   what it should be
    got        what it is
    hint       where to look
    """

    def __init__(self, what: str, expected: Any = None, got: Any = None, hint: str = "") -> None:
        super().__init__(what)
        self.what, self.expected, self.got, self.hint = what, expected, got, hint


def need(answer: Any, name: str, kind: str = "a function") -> Any:
    """What the reader wrote under that name; Wrong if there is nothing, or nothing to call."""
    found = getattr(answer, name, None)
    if not callable(found):
        got = "nothing of that name" if found is None else f"{type(found).__name__} {found!r:.60}"
        raise Wrong(f"the name {name}", f"{kind} called {name}", got, "keep the name of the stub")
    return found


def same(what: str, got: Any, expected: Any, hint: str, mistakes: Mistakes = ()) -> None:
    """Wrong unless both are equal."""
    try:
        equal = bool(got == expected)
    except Exception:  # arrays, whose comparison is an array
        equal = False
    if not equal:
        told = next((text for value, text in mistakes if got == value), hint)
        raise Wrong(what, repr(expected), repr(got), told)


def values(
    what: str, got: Any, expected: Any, hint: str, mistakes: Mistakes = (), rtol: float = 1e-6
) -> None:
    """Wrong unless `got` holds numbers of the shape and the values of `expected`.

    `rtol`: of the largest number in `expected`.
    """
    numbers, wanted = array_of(what, got, hint), np.asarray(expected, dtype=float)
    if numbers.shape != wanted.shape:
        raise Wrong(what, f"the shape {wanted.shape}", f"the shape {numbers.shape}", hint)
    if _near(numbers, wanted, rtol):
        return
    told = next((text for value, text in mistakes if _near(numbers, value, rtol)), hint)
    raise Wrong(what, _shown(wanted), _shown(numbers), told)


def array_of(what: str, got: Any, hint: str = "") -> np.ndarray[Any, Any]:
    """The numbers in a Tensor, array, list or number; Wrong if it is nothing of the kind."""
    try:
        numbers = np.asarray(getattr(got, "array", got))
        if numbers.dtype.kind in "biuf":
            return numbers.astype(float)
    except (TypeError, ValueError):
        pass
    shown = "None: is there a `return`?" if got is None else f"{type(got).__name__} {got!r:.80}"
    raise Wrong(what, "numbers", shown, hint)


def slope(function: Callable[..., Any], inputs: Sequence[Any], i: int, weights: Any) -> Any:
    """d(sum of weights * function)/d(input i) by central differences; all in float64."""
    found = np.zeros(inputs[i].shape)
    for place in np.ndindex(found.shape):
        ends = []
        for step in (1e-6, -1e-6):
            moved = [x.copy() for x in inputs]
            moved[i][place] += step
            ends.append((weights * function(*moved)).sum())
        found[place] = (ends[0] - ends[1]) / 2e-6
    return found


def compare_gradients(
    what: str, function: Callable[..., Any], derive: Callable[..., Any],
    inputs: Sequence[Any], names: Sequence[str],
) -> None:  # fmt: skip
    """Wrong unless pullbacks agree with finite differences, for each input.

    `function`: from arrays to an array. `derive`: (weights, *inputs) -> a gradient per input, by
    the pullbacks, of the sum of weights * function; None where there is none.
    """
    shape = np.shape(function(*inputs))
    weights = np.random.default_rng(1).uniform(0.5, 1.5, shape)
    found, flat = derive(weights, *inputs), derive(np.ones(shape), *inputs)
    for i, name in enumerate(names):
        about = f"the gradient of {what} by {name}, at {name} = {_shown(inputs[i])}"
        wanted = slope(function, inputs, i, weights)
        if found[i] is None:
            raise Wrong(about, _shown(wanted), None, f"return a pullback for {name} as well")
        got = array_of(about, found[i])
        if got.shape != wanted.shape:
            raise Wrong(about, f"the shape {wanted.shape}", f"the shape {got.shape}")
        if not _near(got, wanted, 1e-5):
            raise Wrong(about, _shown(wanted), _shown(got), _why(got, wanted, flat[i]))


def _why(got: Any, wanted: Any, flat: Any) -> str:
    """What is off by the look of it."""
    if _near(got, -wanted, 1e-5):
        return "the sign is the other way round"
    if _near(got, np.asarray(flat, dtype=float), 1e-9):
        return "a pullback multiplies by g, the gradient that arrives; this one does not use it"
    if np.abs(wanted).max() > 0 and not np.any(got):
        return "nothing arrives: is the value computed from raw arrays, or the pullback's result 0?"
    with np.errstate(all="ignore"):
        ratio = got / wanted
    if np.ptp(ratio) < 1e-4:
        return f"it is {ratio.flat[0]:.4g} times what it should be, everywhere: a factor is off"
    return "differentiate on paper once more: value, then d value / d input, times g"


def _near(got: Any, wanted: Any, rtol: float) -> bool:
    got, wanted = np.asarray(got, dtype=float), np.asarray(wanted, dtype=float)
    if got.shape != wanted.shape:
        return False
    finite = np.abs(wanted[np.isfinite(wanted)])
    room = rtol * finite.max(initial=0.0) or 1e-12
    return bool(np.allclose(got, wanted, rtol=rtol, atol=room, equal_nan=True))


def _shown(numbers: Any) -> str:
    with np.printoptions(precision=5, suppress=True, threshold=12, edgeitems=3):
        return " ".join(str(np.asarray(numbers)).split())
