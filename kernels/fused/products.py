"""A matrix product on one thread, written for registers of 64 bytes: `blas.py` says when.

    out[i, j] = sum over q of x[i, q] y[q, j]     i < m, j < n, q < k

Of y, panels are made that are two vectors wide, so that a block of sums in registers (`tile`) reads
them line by line; as many at once as the second cache holds. x is read where it stands if its rows
do; if its columns do, blocks of rows are put in order first.

A sum is over all of k, in the order of q, whichever rows and columns a call is for: parts of a
product have the bits of the whole. So the last panel, and the last block of rows, may begin early,
where they end with the matrix: what is computed twice comes out the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from ..micro.tiles import Every, Table, gather, tile
from ..micro.writer import Kind, Number, Writer

__all__ = ["LOW", "WIDE", "product"]

WIDE = 2  # vectors of a panel: n is at least as large
LOW = 4  # rows of the blocks at the end: m is at least as large
CACHE = 640 * 1024  # bytes of panels made at once
TOGETHER = 8  # blocks of rows put in order at once


class Matrix:
    """Where a matrix stands: an address, bytes from line to line, and whether lines are columns."""

    def __init__(self, f: Writer, kind: Kind, start: Number, line: Number, way: Number) -> None:
        self.start, self.line, self.in_columns = start, line * kind.size, way > 0
        self.down = f.choose(self.in_columns, kind.size, self.line)
        self.right = f.choose(self.in_columns, self.line, kind.size)

    def at(self, row: Any, column: Any) -> Number:
        return self.start + row * self.down + column * self.right


class Panels:
    """Those of the columns from `begin` to `end` of y, which has n; at an address, k lines each."""

    def __init__(
        self, f: Writer, kind: Kind, start: Number, k: Number, n: Number, begin: Number, end: Number
    ) -> None:  # fmt: skip
        self.f, self.kind, self.start, self.k = f, kind, start, k
        self.n, self.begin, self.end = n, begin, end
        self.columns, self.line = WIDE * kind.lanes, WIDE * kind.width

    @contextmanager
    def each(self) -> Iterator[tuple[Number, Number]]:
        """What is written inside runs for each panel: its first column, and its address."""
        with self.f.loop(self.begin, self.end, self.columns) as j:
            panel = self.start + (j - self.begin) // self.columns * (self.k * self.line)
            yield self.f.least(j, self.n - self.columns), panel

    def fill(self, y: Matrix, zeros: Number) -> None:
        """Writes y's columns there. At `zeros` stands a vector of them."""
        f, kind = self.f, self.kind
        with f.either(y.in_columns) as (then, otherwise):
            with then, self.each() as (j, panel), f.loop(0, WIDE) as half:
                gather(f, kind, y.at(0, j + half * kind.lanes), y.line, kind.lanes, self.k,
                       panel + half * kind.width, self.line, zeros)  # fmt: skip
            with otherwise, f.loop(0, self.k) as q, self.each() as (j, panel):
                for v in range(WIDE):
                    value = f.vector(y.at(q, j) + v * kind.width, kind)
                    f.put_vector(panel + q * self.line + v * kind.width, value, kind)


def product(
    f: Writer, kind: Kind, x_way: Number, y_way: Number, m: Number, n: Number, k: Number, x: Number,
    x_line: Number, y: Number, y_line: Number, out: Number, line: Number,
) -> None:  # fmt: skip
    """Writes a whole product, m >= LOW and n >= WIDE vectors.

    Args:
        f, kind: where to write; of the numbers.
        x_way, y_way: 1 for a matrix whose columns stand in lines, 0 for one whose rows do.
        m, n, k: rows and columns of the result, and products of a sum.
        x, y, out: addresses.
        x_line, y_line, line: from one line to the next, in numbers.
    """
    left, right = Matrix(f, kind, x, x_line, x_way), Matrix(f, kind, y, y_line, y_way)
    columns, tall = WIDE * kind.lanes, kind.tall
    each = k * (columns * kind.size)
    number = f.least(f.most(CACHE // each, 1), (n + (columns - 1)) // columns)
    ordered = f.choose(left.in_columns, k * (TOGETHER * tall * kind.size), 0)
    with f.scratch(number * each, ordered, kind.width) as (panels, blocks, zeros):
        f.clear(zeros, kind.width)
        with f.loop(0, n, number * columns) as begin:
            end = f.least(begin + number * columns, n)
            some = Panels(f, kind, panels, k, n, begin, end)
            some.fill(right, zeros)
            whole = m // tall * tall
            with f.loop(0, whole, TOGETHER * tall) as i:
                last = f.least(i + TOGETHER * tall, whole)
                _rows(f, kind, left, blocks, i, last, tall, some, out, line * kind.size)
            with f.loop(whole, m, LOW) as i:
                i = f.least(i, m - LOW)
                _rows(f, kind, left, blocks, i, i + LOW, LOW, some, out, line * kind.size)


def _rows(
    f: Writer, kind: Kind, x: Matrix, blocks: Number, first: Number, last: Number, tall: int,
    panels: Panels, out: Number, line: Number,
) -> None:  # fmt: skip
    """Writes the results of whole blocks of rows, from x, or put in order at `blocks`."""
    k, size, numbers = panels.k, kind.size, ir.VectorType(kind.number, tall)
    block = tall * size
    with f.when(x.in_columns), f.loop(0, k) as q, f.loop(first, last, tall) as i:
        value = f.builder.load(f.pointer(x.at(i, q), numbers), align=size)
        place = blocks + (i - first) * (k * size) + q * block
        f.builder.store(value, f.pointer(place, numbers), align=size)
    down, right = x.down, f.choose(x.in_columns, block, x.right)
    with f.loop(first, last, tall) as i:
        rows = f.choose(x.in_columns, blocks + (i - first) * (k * size), x.at(i, 0))
        with panels.each() as (j, panel):
            a = Table(rows, Every(down), Every(right))
            b = Table(panel, Every(kind.width), Every(panels.line))
            for r, sums in enumerate(tile(f, kind, (tall, WIDE), a, b, k)):
                for v, value in enumerate(sums):
                    f.put_vector(out + (i + r) * line + j * size + v * kind.width, value, kind)
