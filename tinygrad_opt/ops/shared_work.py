"""Work that several pullbacks of one operation have in common, done once for each backward pass."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

__all__ = ["shared", "shared_entries"]


class _Pass:
    """What the current backward pass has found: for which g, and who has asked for it."""

    __slots__ = ("found", "g", "served")

    def __init__(self) -> None:
        self.g: Any = None
        self.found: Any = None
        self.served: set[int] = set()


def shared(work: Callable[[Any], Any], *finishes: Callable[[Any], Any]) -> list[Callable[..., Any]]:
    """A pullback for each of `finishes`: g -> finish(work(g)), with `work` done once per pass.

    A pass calls a pullback at most once, and all with the same g. So a pullback that is called
    again, or with another g, begins a new pass.
    """
    last = _Pass()

    def pullback(i: int, finish: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def pull(g: Any) -> Any:
            if last.g is not g or i in last.served:
                last.g, last.found, last.served = g, work(g), set()
            last.served.add(i)
            return finish(last.found)

        return pull

    return [pullback(i, finish) for i, finish in enumerate(finishes)]


def shared_entries(work: Callable[[Any], Any], count: int) -> list[Callable[..., Any]]:
    """A pullback for each of the `count` gradients that `work` returns together."""
    return shared(work, *(operator.itemgetter(i) for i in range(count)))
