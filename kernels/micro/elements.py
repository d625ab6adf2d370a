"""Loops over numbers that LLVM makes loops over vectors, its own way: formulas, row by row.

What one turn of such a loop writes, no other reads or writes. LLVM is told so: it need not find out
which of a dozen rows overlap, and takes them all in one loop, with vectors of the processor's
width, and what is left over one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba import types

from ..compiler import lanes, within
from ..functions.writing import Value
from .writer import PARALLEL, WORD, Kind, Number, Writer

__all__ = ["Elements", "each"]


class Elements:
    """The elements of some rows that a turn of the loop is at."""

    def __init__(self, f: Writer, kind: Kind, rows: dict[Any, Any], i: Any, group: Any) -> None:
        self.f, self.rows, self.i, self.group = f, rows, i, group
        self.type = getattr(types, kind.dtype)
        self.size = kind.size

    def __getitem__(self, row: Any) -> Value:
        builder = self.f.builder
        value = builder.load(self._place(row), align=self.size)
        value.set_metadata("llvm.access.group", self.group)
        return Value(self.f.context, builder, value, self.type)

    def __setitem__(self, row: Any, value: Value) -> None:
        store = self.f.builder.store(value.value, self._place(row), align=self.size)
        store.set_metadata("llvm.access.group", self.group)

    def _place(self, row: Any) -> Any:
        return self.f.builder.gep(self.rows[row], [self.i])


@contextmanager
def each(f: Writer, kind: Kind, count: Number, rows: dict[Any, Number]) -> Iterator[Elements]:
    """What is written inside, without a loop or a condition, is done for each element.

    rows: the addresses of rows of `count` numbers, by any names, of which two may be the same row.
    """
    builder = f.builder
    lanes.widen(builder.function)
    pointers = {name: f.pointer(place, kind.number) for name, place in rows.items()}
    group = within.Distinct(builder.module)
    inside, after = (builder.append_basic_block(name) for name in ("each", "done"))
    before = builder.block
    builder.cbranch((count > 0).value, inside, after)
    builder.position_at_end(inside)
    i = builder.phi(WORD)
    i.add_incoming(WORD(0), before)
    yield Elements(f, kind, pointers, i, group)
    following = builder.add(i, WORD(1))
    i.add_incoming(following, builder.block)
    branch = builder.cbranch((Number(builder, following) < count).value, inside, after)
    f.tell_of_loop(branch, PARALLEL, group)
    builder.position_at_end(after)
