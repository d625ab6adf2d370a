"""Which values are computed together: element-wise functions and sums that share their elements.

A `Loop` goes over a number of elements, its domain, which may be seen as rows. A value joins the
earliest loop that does not come before what it is made of, and in which it is

    full    one element for each of the domain
    row     one for each row
    rowsum  the sum (or maximum) of each row: it says how long rows are
    sum     any other reduction, there for use when the loop is over

Shapes need not be equal: the domain is cut where any of them has an axis that ends, so (1024, 128)
and (16, 64, 128) go together.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

from .elements import COSTLY, is_elementwise
from .trace import Trace
from .values import CompileError, Value, contiguous, roots

__all__ = ["REDUCTIONS", "Loop", "Schedule", "domain_of"]

REDUCTIONS = {"sum", "amax", "amin"}
# What is there already, or comes with another value.
_NOWHERE = {"input", "view", "draw", "result", "launched"}


def cuts_of(shape: tuple[int, ...], inner: int = 1) -> set[int]:
    """The sizes of all trailing parts of a shape, of `inner` elements each."""
    found, size = {inner}, inner
    for n in reversed(shape):
        size *= n
        found.add(size)
    return found


def refined(cuts: set[int]) -> tuple[int, ...] | None:
    """The axes of a domain that is cut at these sizes; None if they do not divide one another."""
    sizes = sorted(cuts)
    if any(larger % smaller for smaller, larger in itertools.pairwise(sizes)):
        return None
    return tuple(b // a for a, b in reversed(list(itertools.pairwise(sizes))))


def domain_of(value: Value) -> tuple[int, ...]:
    """The shape over which a value is computed: of a reduction, that of what it reduces."""
    return value.args[0].shape if value.op in REDUCTIONS else value.shape


def broadcast_strides(shape: Any, strides: Any, to: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of an array of `shape` in a broadcast to another shape."""
    kept = (0 if n == 1 else s for n, s in zip(shape, strides, strict=True))
    return (0,) * (len(to) - len(shape)) + tuple(kept)


class Loop:
    """Values over one domain, in the order of computation.

    once  the numbers of values of which no second computation may be made
    """

    def __init__(self, total: int, once: frozenset[int] = frozenset()) -> None:
        self.total, self.once = total, once
        self.inner: int | None = None  # the length of a row
        self.values: list[Value] = []
        self.level: dict[int, str] = {}
        self.by_row: set[int] = set()  # values that are made of one element for each row
        self.cuts = {1, total}
        self.text: Any = None  # (a plan, its function): see nests.py

    def joins(self, value: Value, mine: Any, no_rows: set[int]) -> bool:
        """Take a value, if it fits.

        mine(value): whether it is computed in this loop.  no_rows: reductions that are to be "sum".
        """
        shape = domain_of(value)
        size, inner = math.prod(shape), self.inner
        if size == self.total:
            by_row, cuts = False, cuts_of(shape)
        elif inner and size * inner == self.total:
            by_row, cuts = True, cuts_of(shape, inner)
        else:
            return False
        level = "row" if by_row else "full"
        if value.op in REDUCTIONS:
            level = "sum"
            length = None if by_row else _row_length(shape, value.params["axes"])
            if length and value.number not in no_rows:
                if inner not in (None, length):
                    return False
                level, inner = "rowsum", length
                cuts = cuts | {length}
        cuts = self.cuts | cuts
        for a in value.args:
            if not isinstance(a, Value) or not mine(a.root):
                continue
            made = self.level[a.root.number]
            if made == "sum":
                return False
            if made == "full":
                if by_row or not a.layout.is_whole(a.shape):
                    return False
                cuts |= cuts_of(a.shape)
            elif not _by_rows(a, shape):
                return False
        if refined(cuts) is None:
            return False
        self.cuts, self.inner = cuts, inner
        self.values.append(value)
        self.level[value.number] = level
        if by_row:
            self.by_row.add(value.number)
        return True


def _row_length(shape: tuple[int, ...], axes: tuple[int, ...]) -> int | None:
    """How many elements of a row are reduced; None where it is not the last axes that are."""
    reduced = [a for a in axes if shape[a] != 1]
    kept = [a for a in range(len(shape)) if a not in axes and shape[a] != 1]
    if not reduced or not kept or min(reduced) < max(kept):
        return None
    return math.prod(shape[a] for a in reduced)


def _by_rows(a: Value, shape: tuple[int, ...]) -> bool:
    """Whether `a`, seen in `shape`, is all elements of its root in order, each for a whole row."""
    strides = broadcast_strides(a.shape, a.layout.strides, shape)
    leading = [(n, s) for n, s in zip(shape, strides, strict=True) if s and n != 1]
    lengths = tuple(n for n, _ in leading)
    varying = [i for i, (n, s) in enumerate(zip(shape, strides, strict=True)) if s and n != 1]
    constant = [i for i, (n, s) in enumerate(zip(shape, strides, strict=True)) if not s and n != 1]
    return (
        a.layout.offset == 0
        and math.prod(lengths) == a.root.size
        and tuple(s for _, s in leading) == contiguous(lengths)
        and (not varying or not constant or max(varying) < min(constant))
    )


class Schedule:
    """The order of work: loops, and between them what is a call of its own.

    groups  Loops and Values, one after the other
    group_of  the number of a value -> the group that computes it
    outside  values that are needed beyond their own loop
    last_use  the number of a value -> the last group that reads it
    """

    def __init__(self, trace: Trace, results: list[Value], no_rows: set[int]) -> None:
        """results: what must be there in the end."""
        self.trace, self.results = trace, results
        self.live = self._needed(results)
        self.once = self._compared()
        self.groups: list[Any] = []
        self.group_of: dict[int, int] = {}
        self._first = 0  # the group from which on values may join
        # What was assumed is looked at first of all, before anything is read by it or written.
        for numbers in (self._needed([v for v, _ in trace.assumed]), self.live):
            for value in trace.values:
                if value.number in numbers and value.number not in self.group_of:
                    if value.op not in _NOWHERE:
                        self._place(value, no_rows)
                    elif value.op in ("result", "launched"):
                        self.group_of[value.number] = self.group_of[value.args[0].number]
            self._first = len(self.groups)
        self._find_uses()
        self._compute_again()
        self._find_uses()

    def _needed(self, results: list[Value]) -> set[int]:
        needed: set[int] = set()
        waiting = [v.root for v in results]
        while waiting:
            value = waiting.pop()
            if value.number not in needed:
                needed.add(value.number)
                waiting += roots(value)
        return needed

    def _compared(self) -> frozenset[int]:
        """Values that are looked for: x where x == max(x).

        Computed once more, in another loop or pass, x might be rounded otherwise, and nowhere be
        the maximum.
        """
        found = {a.root for v in self.trace.values if v.op in ("equal", "not_equal") for a in v.args
                 if isinstance(a, Value)}  # fmt: skip
        return frozenset(a.number for a in found if a.dtype.kind == "f" and is_elementwise(a))

    def _place(self, value: Value, no_rows: set[int]) -> None:
        first = max((self.group_of.get(r.number, 0) for r in roots(value)), default=0)
        first = max(first, self._after_updates(value), self._first)
        place = None
        if is_elementwise(value) or value.op in REDUCTIONS:
            for i in range(first, len(self.groups)):
                loop = self.groups[i]
                if isinstance(loop, Loop) and loop.joins(
                    value, lambda root, i=i: self.group_of.get(root.number) == i, no_rows
                ):
                    place = i
                    break
            if place is None:
                loop = Loop(math.prod(domain_of(value)), self.once)
                if not loop.joins(value, lambda _: False, no_rows):
                    raise CompileError(f"compile: {value} has no compiled form")
                self.groups.append(loop)
        else:
            self.groups.append(value)
        self.group_of[value.number] = len(self.groups) - 1 if place is None else place

    def _after_updates(self, value: Value) -> int:
        """The first group in which a value may read parameters that were updated before it."""
        read = {r.number for r in roots(value)}
        found = 0
        for update in self.trace.updates:
            if update.number < value.number and update.number in self.group_of:
                flat = self.trace.inputs.get(id(update.params["update"].flat.values))
                if flat is not None and flat.number in read:
                    found = max(found, self.group_of[update.number] + 1)
        return found

    def members(self, i: int) -> list[Value]:
        """The values that group i computes."""
        group = self.groups[i]
        if isinstance(group, Loop):
            return group.values
        return [group, *group.params.get("others", ())]

    def _find_uses(self) -> None:
        self.last_use: dict[int, int] = {}
        self.outside: set[int] = set()
        for i in range(len(self.groups)):
            for value in self.members(i):
                for root in roots(value):
                    self.last_use[root.number] = max(self.last_use.get(root.number, 0), i)
                    if self.group_of.get(root.number) != i:
                        self.outside.add(root.number)
        for value in self.results:
            self.last_use[value.root.number] = len(self.groups)
            self.outside.add(value.root.number)

    # What is cheap is computed again where it is needed, and not kept in memory ------------------

    def _compute_again(self) -> None:
        final = {v.root.number for v in self.results}
        barriers = {self.group_of[u.number] for u in self.trace.updates}
        readers_of: dict[int, list[tuple[int, Value]]] | None = None
        for i, loop in enumerate(self.groups):
            if not isinstance(loop, Loop):
                continue
            for value in reversed(list(loop.values)):  # readers before what they read
                number = value.number
                if number in final or number not in self.outside or self._stays(value):
                    continue
                if loop.level[number] != "full" or not self._from_memory(value):
                    continue
                if readers_of is None:
                    readers_of = self.readers()
                readers = [(k, r) for k, r in readers_of.get(number, ()) if k != i]
                if all(
                    isinstance(self.groups[k], Loop)
                    and self.groups[k].total == loop.total
                    and not any(i < b < k for b in barriers)
                    and all(a is value for a in reader.args if _has_root(a, value))
                    for k, reader in readers
                ):
                    self._move_to_readers(value, loop, readers)
                    readers_of = None  # others now

    def _stays(self, value: Value) -> bool:
        return value.op in COSTLY or value.number in self.once

    def _from_memory(self, value: Value) -> bool:
        """Whether all that a value is made of lies in memory when its loop is over."""
        return all(
            a.root.op in ("input", "draw") or a.root.number in self.outside
            for a in value.args
            if isinstance(a, Value)
        )

    def readers(self) -> dict[int, list[tuple[int, Value]]]:
        """Who reads a value, each with its group, by the value's number."""
        found: dict[int, list[tuple[int, Value]]] = {}
        for k in range(len(self.groups)):
            for reader in self.members(k):
                for number in {r.number for r in roots(reader)}:
                    found.setdefault(number, []).append((k, reader))
        return found

    def _move_to_readers(self, value: Value, loop: Loop, readers: list[tuple[int, Value]]) -> None:
        copies: dict[int, Value] = {}
        for k, reader in readers:
            target = self.groups[k]
            if k not in copies:
                copy = Value(len(self.trace.values), value.op, value.args, value.params,
                             value.source, value.name)  # fmt: skip
                self.trace.values.append(copy)
                copies[k] = copy
                target.values.insert(target.values.index(reader), copy)
                target.level[copy.number] = "full"
                target.cuts |= loop.cuts
                self.group_of[copy.number] = k
                self.live.add(copy.number)
            reader.args = tuple(copies[k] if a is value else a for a in reader.args)
        if not any(r is value for other in loop.values for r in roots(other)):
            loop.values.remove(value)


def _has_root(a: Any, value: Value) -> bool:
    return isinstance(a, Value) and a.root is value
