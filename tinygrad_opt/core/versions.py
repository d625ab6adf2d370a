"""When memory was last written to in place: what backward asks before it trusts a saved value.

Every write is stamped on the memory it went to, with the graph's own clock.
"""

from __future__ import annotations

import math
import weakref
from typing import Any

from ..arrays.memory import owner
from .node import next_rank

__all__ = ["clock", "mark_empty", "note_stamped", "note_write", "owner", "stamp_of", "version"]


class _Clock:
    last_write: float = math.inf  # the rank of the last write; newer is lower


clock = _Clock()


class _Stamp:
    """What was written to one piece of memory: how often, and when last."""

    __slots__ = ("count", "memory", "rank")

    def __init__(self, memory: Any) -> None:
        key = id(memory)
        self.count = 0
        self.rank: float = math.inf
        self.memory = weakref.ref(memory, lambda _: _stamps.pop(key, None))


_stamps: dict[int, _Stamp] = {}  # by the id of the array that owns the memory, while it lives


def note_write(array: Any, rank: int | None = None) -> None:
    """Stamp the memory of `array` as written to, now or at `rank`."""
    note_stamped(stamp_of(array), rank)


def note_stamped(stamp: _Stamp, rank: int | None = None) -> None:
    """Do the same for memory of which this is the stamp, as long as it lives."""
    stamp.count += 1
    rank = next_rank() if rank is None else rank
    if rank < stamp.rank:
        stamp.rank = rank
    if rank < clock.last_write:
        clock.last_write = rank


def mark_empty(array: Any) -> None:
    """Say that `array` has no values, whoever may need them."""
    stamp = stamp_of(array)
    stamp.count, stamp.rank = 1, -math.inf


def stamp_of(array: Any) -> _Stamp:
    """The stamp of the memory of `array`."""
    memory = owner(array)
    stamp = _stamps.get(id(memory))
    if stamp is None:
        stamp = _stamps[id(memory)] = _Stamp(memory)
    return stamp


def version(array: Any) -> int:
    """How often the memory of `array` was written to in place."""
    stamp = _stamps.get(id(owner(array)))
    return 0 if stamp is None else stamp.count
