"""Work that several pullbacks of one operation have in common, done once for each backward pass."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

__all__ = ["shared", "shared_entries"]


class _Pass:
    """What the current backward pass has found: for which g, and who has asked for it, as bits.

    Nothing that the operation saved: `autograd/saved_values.py` does not look in here.
    """

    __slots__ = ("found", "g", "served")

    def __init__(self) -> None:
        self.g: Any = None
        self.found: Any = None
        self.served = 0


def shared(work: Callable[[Any], Any], *finishes: Callable[[Any], Any]) -> list[Callable[..., Any]]:
    """A pullback for each of `finishes`: g -> finish(work(g)), with `work` done once per pass.

    A pass calls a pullback at most once, and all with the same g. So a pullback that is called
    again, or with another g, begins a new pass.
    """
    last = _Pass()

    def pullback(one: int, finish: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def pull(g: Any) -> Any:
            if last.g is not g or last.served & one:
                last.g, last.found, last.served = g, work(g), 0
            last.served |= one
            return finish(last.found)

        return pull

    return [pullback(1 << i, finish) for i, finish in enumerate(finishes)]


_ENTRIES = [operator.itemgetter(i) for i in range(8)]


def shared_entries(work: Callable[[Any], Any], count: int) -> list[Callable[..., Any]]:
    """A pullback for each of the `count` gradients that `work` returns together, at most 8."""
    return shared(work, *_ENTRIES[:count])
