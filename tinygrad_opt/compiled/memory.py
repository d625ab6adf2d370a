"""Where every value lies: planned once, so that a compiled step allocates nothing.

Gradients of parameters lie at home, in the flat gradient of their optimizer. All else shares one
block of memory for each type, in which a place is given to the next when its value was read for the
last time.
"""

from __future__ import annotations

from typing import NamedTuple

from .calls import parts_of
from .loops import Loop, Schedule, cuts_of
from .values import SHORT, Value

__all__ = ["Place", "Plan"]

_LINE = 64  # bytes; places begin at multiples


class Place(NamedTuple):
    """Where a value lies: the name of an array, and the offset in it, in elements."""

    array: str
    offset: int


class Plan:
    """The place of each value that lies in memory, and how large the blocks are.

    homes: of values whose place is given.

    within  the number of a value that is written where it will stand in another, which consists of
            such parts: (the other, offset in it, shape, strides)
    filled  the numbers of those others, which nobody has to put together
    """

    def __init__(self, schedule: Schedule, homes: dict[int, Place]) -> None:
        self.places: dict[int, Place] = dict(homes)
        self.sizes: dict[str, int] = {}  # of the blocks, in elements
        self.within = _parts_in_place(schedule, homes)
        self.filled = {whole.number for whole, *_ in self.within.values()}
        self._free: dict[str, list[tuple[int, int]]] = {}
        over = _written_over(schedule)
        ends: dict[int, list[tuple[str, int, int]]] = {}
        for i, group in enumerate(schedule.groups):
            members = schedule.members(i)
            wholes = {self.within[v.number][0] for v in members if v.number in self.within}
            for value in [*members, *sorted(wholes, key=lambda v: v.number)]:
                if value.number in self.within:
                    continue
                inside = isinstance(group, Loop) and group.level.get(value.number, "sum") != "sum"
                if (inside and value.number not in schedule.outside) or value.op in _NO_MEMORY:
                    continue
                if value.number in self.places:
                    continue
                if value.number in over:
                    self.places[value.number] = self.places[over[value.number]]
                    continue
                kind, size = SHORT[value.dtype], self._rounded(value)
                offset = self._take(kind, size)
                self.places[value.number] = Place(f"work_{kind}", offset)
                last = max(
                    schedule.last_use.get(n, i)
                    for n in (value.number, *(n for n, was in over.items() if was == value.number))
                )
                ends.setdefault(max(last, i), []).append((kind, offset, size))
            for kind, offset, size in ends.pop(i, []):
                self._free.setdefault(kind, []).append((offset, size))

    def reserve(self, kind: str, size: int) -> None:
        """Have room for the rows that a loop keeps for itself; loops share it."""
        name = f"row_{kind}"
        self.sizes[name] = max(self.sizes.get(name, 0), size)

    def _rounded(self, value: Value) -> int:
        per_line = _LINE // value.dtype.itemsize
        return max(value.size + -value.size % per_line, per_line)

    def _take(self, kind: str, size: int) -> int:
        """The smallest hole that is large enough, or new memory at the end."""
        holes = _merged(sorted(self._free.get(kind, [])))
        end = self.sizes.get(f"work_{kind}", 0)
        fitting = [hole for hole in holes if hole[1] >= size]
        if fitting:
            hole = min(fitting, key=lambda hole: hole[1])
            holes.remove(hole)
            if hole[1] > size:
                holes.append((hole[0] + size, hole[1] - size))
            self._free[kind] = holes
            return hole[0]
        start = end
        if holes and sum(holes[-1]) == end:  # the last hole grows
            start = holes.pop()[0]
        self.sizes[f"work_{kind}"] = start + size
        self._free[kind] = holes
        return start


Strides = tuple[int, ...]


def _written_over(schedule: Schedule) -> dict[int, int]:
    """Of values that a kernel leaves where others were: the number of each, and of the other."""
    return {
        group.params["others"][-1].number: group.args[group.params["over"]].root.number
        for group in schedule.groups
        if not isinstance(group, Loop) and group.params.get("over") is not None
    }


def _parts_in_place(
    schedule: Schedule, homes: dict[int, Place]
) -> dict[int, tuple[Value, int, Strides, Strides]]:
    """Where parts of a whole can be written by the loops that compute them."""
    found: dict[int, tuple[Value, int, Strides, Strides]] = {}
    final = {v.root.number for v in schedule.results}
    readers = schedule.readers()

    def is_free(a: Value) -> bool:
        """Whether nobody needs a part itself, and its loop goes along its axes."""
        number = a.root.number
        loop = schedule.groups[schedule.group_of[number]] if number in schedule.group_of else None
        return (
            isinstance(loop, Loop)
            and a.layout.is_whole(a.shape)
            and cuts_of(a.shape) <= loop.cuts
            and loop.level[number] == "full"
            and number not in final
            and number not in homes
            and len(readers[number]) == 1
        )

    for whole in schedule.groups:
        if isinstance(whole, Loop) or whole.op not in ("concatenate", "boxes"):
            continue
        parts = parts_of(whole)
        several = {a.root.number for a, _, _ in parts}
        covered = sum(a.size for a, _, _ in parts) == whole.size and len(several) == len(parts)
        if covered and whole.number not in homes and all(is_free(a) for a, _, _ in parts):
            found |= {a.root.number: (whole, start, a.shape, steps) for a, start, steps in parts}
    return found


_NO_MEMORY = {"update", "call", "result"}  # calls bring arrays of their own


def _merged(holes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, size in holes:
        if merged and sum(merged[-1]) == start:
            merged[-1] = (merged[-1][0], merged[-1][1] + size)
        else:
            merged.append((start, size))
    return merged
