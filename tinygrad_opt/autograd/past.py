"""What a tensor was before each recorded write to it, found by the time that is asked for.

A loop may write to one tensor 100,000 times before backward runs: nothing here looks at all of
what came before, but for a clearing that waits until the list has doubled.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import Any

__all__ = ["Past"]

_CLEAR_FROM = 16


class Past:
    """Stand-ins for a tensor as it was, oldest first, each up to the write of a given rank."""

    __slots__ = ("_clear_at", "_held", "_old", "_times")

    def __init__(self) -> None:
        self._times: list[float] = []  # minus the ranks of the writes: ascending
        self._old: list[Any] = []
        self._held: Counter[int] = Counter()  # id of an array -> how many of `_old` hold it
        self._clear_at = _CLEAR_FROM

    def __len__(self) -> int:
        return len(self._old)

    def add(self, rank: float, old: Any) -> None:
        """The tensor was `old` until the write of this rank."""
        self._drop_freed()
        i = bisect_right(self._times, -rank)
        self._times.insert(i, -rank)
        self._old.insert(i, old)
        self._held[id(old.array)] += 1

    def at(self, rank: int) -> Any:
        """What the tensor was when a Node of this rank was made; None: what it is now."""
        i = bisect_right(self._times, -rank)
        return self._old[i] if i < len(self._old) else None

    def end_of(self, rank: float) -> float | None:
        """The rank of the write that ended what the tensor was then; None: there was none."""
        i = bisect_right(self._times, -rank)
        return -self._times[i] if i < len(self._times) else None

    def holders(self, array: Any) -> int:
        """How many stand-ins hold `array` itself."""
        return self._held[id(array)]

    def lay_out(self, layout: Any) -> None:
        """Note how the tensor lay in memory up to now, before that changes."""
        for old in reversed(self._old):
            if "_layout" in old.__dict__:
                return  # and those before it have theirs
            old._layout = layout

    def _drop_freed(self) -> None:
        """Let go of what backward has freed: nobody can ask for it any more."""
        n = 0
        while n < len(self._old) and _is_freed(self._old[n]):
            array = id(self._old[n].array)
            self._held[array] -= 1
            if not self._held[array]:
                del self._held[array]
            n += 1
        del self._times[:n], self._old[:n]
        if len(self._old) >= self._clear_at:
            self._keep([i for i, old in enumerate(self._old) if not _is_freed(old)])
            self._clear_at = max(_CLEAR_FROM, 2 * len(self._old))

    def _keep(self, places: Any) -> None:
        self._times = [self._times[i] for i in places]
        self._old = [self._old[i] for i in places]
        self._held = Counter(id(old.array) for old in self._old)


def _is_freed(old: Any) -> bool:
    return old.node is not None and not old.node.output
