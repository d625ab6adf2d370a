"""A matrix product on one thread, written for registers of 64 bytes: `blas.py` says when.

    out[i, j] = sum over q of x[i, q] y[q, j]     i < m, j < n, q < k

Of y, panels are made that are two vectors wide, so that a block of sums in registers (`tile`) reads
them line by line; as many at once as the second cache holds. Where they would be read a few times
only, and the rows of y stand in lines, they are read there. x is read where it stands.

A sum is over all of k, in the order of q, whichever rows and columns a call is for: parts of a
product have the bits of the whole. So the last panel, and the last block of rows, may begin early,
where they end with the matrix: what is computed twice comes out the same. Where sums are added to
what is there, rows are not added twice; of columns nothing may be left over: `n % columns` is 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..micro.tiles import Every, Table, gather, tile
from ..micro.writer import Bit, Kind, Number, Writer

__all__ = ["LOW", "WIDE", "product", "spread"]

WIDE = 2  # vectors of a panel: n is at least as large
LOW = 4  # rows of the blocks at the end: m is at least as large
CACHE = 640 * 1024  # bytes of panels made at once
FEW = 4  # blocks of rows for which no panels are made


class Matrix:
    """Where a matrix stands: an address, bytes from line to line, and whether lines are columns."""

    def __init__(self, f: Writer, kind: Kind, start: Number, line: Number, way: Number) -> None:
        self.start, self.line, self.in_columns = start, line * kind.size, way > 0
        self.down = f.choose(self.in_columns, kind.size, self.line)
        self.right = f.choose(self.in_columns, self.line, kind.size)

    def at(self, row: Any, column: Any) -> Number:
        return self.start + row * self.down + column * self.right


class Result(NamedTuple):
    """Where the sums go: an address, bytes from row to row, whether to add them there; a bias."""

    start: Number
    line: Number
    more: Bit
    bias: Number

    def put(
        self, f: Writer, kind: Kind, i: Number, j: Number, sums: list[list[Any]], fresh: Number
    ) -> None:  # fmt: skip
        """Writes a block of sums, whose first is that of row i and column j.

        Of rows before `fresh`, nothing is added any more.
        """
        corner = self.start + i * self.line + j * kind.size
        values = {(r, v): value for r, row in enumerate(sums) for v, value in enumerate(row)}
        places = {(r, v): corner + r * self.line + v * kind.width for r, v in values}
        with f.either(self.more) as (then, otherwise):
            with then:
                for r, row in enumerate(sums):
                    with f.when(i + r >= fresh):
                        for v, value in enumerate(row):
                            old = f.vector(places[r, v], kind)
                            f.put_vector(places[r, v], f.add(old, value), kind)
            with otherwise, f.either(self.bias.equals(0)) as (plain, biased):
                with plain:
                    for at, value in values.items():
                        f.put_vector(places[at], value, kind)
                with biased:
                    first = self.bias + j * kind.size
                    bias = [f.vector(first + v * kind.width, kind) for v in range(WIDE)]
                    for at, value in values.items():
                        f.put_vector(places[at], f.add(value, bias[at[1]]), kind)


class Panels:
    """Those of the columns from `begin` to `end` of y, which has n: where they stand, line by line.

    start: of those that are made, k lines each. made: whether they are, or are read within y.
    """

    def __init__(
        self, f: Writer, kind: Kind, y: Matrix, start: Number, made: Bit, k: Number, n: Number,
        begin: Number, end: Number,
    ) -> None:  # fmt: skip
        self.f, self.kind, self.y, self.start, self.made, self.k = f, kind, y, start, made, k
        self.n, self.begin, self.end = n, begin, end
        self.columns, self.width = WIDE * kind.lanes, WIDE * kind.width
        self.line = f.choose(made, self.width, y.line)

    @contextmanager
    def each(self) -> Iterator[tuple[Number, Number]]:
        """What is written inside runs for each panel: its first column, and its address."""
        with self.f.loop(self.begin, self.end, self.columns) as i:
            j = self.f.least(i, self.n - self.columns)
            made = self.start + (i - self.begin) // self.columns * (self.k * self.width)
            yield j, self.f.choose(self.made, made, self.y.at(0, j))

    def fill(self, zeros: Number) -> None:
        """Writes those that are made. At `zeros` stands a vector of them."""
        f, kind, y = self.f, self.kind, self.y
        with f.when(self.made), f.either(y.in_columns) as (then, otherwise):
            with then, self.each() as (j, panel), f.loop(0, WIDE) as half:
                gather(f, kind, y.at(0, j + half * kind.lanes), y.line, kind.lanes, self.k,
                       panel + half * kind.width, self.width, zeros)  # fmt: skip
            with otherwise, f.loop(0, self.k) as q, self.each() as (j, panel):
                for v in range(WIDE):
                    value = f.vector(y.at(q, j) + v * kind.width, kind)
                    f.put_vector(panel + q * self.width + v * kind.width, value, kind)


def product(
    f: Writer, kind: Kind, x_way: Number, y_way: Number, m: Number, n: Number, k: Number,
    x: Number, x_line: Number, y: Number, y_line: Number, out: Number, line: Number,
    more: Number, bias: Number,
) -> None:  # fmt: skip
    """Writes a whole product, m >= LOW and n >= WIDE vectors.

    Args:
        f, kind: where to write; of the numbers.
        x_way, y_way: 1 for a matrix whose columns stand in lines, 0 for one whose rows do.
        m, n, k: rows and columns of the result, and products of a sum.
        x, y, out: addresses.
        x_line, y_line, line: from one line to the next, in numbers.
        more: 1 to add the sums to what is there.
        bias: the address of a row to which the sums are added, if there is nothing; or 0.
    """
    left, right = Matrix(f, kind, x, x_line, x_way), Matrix(f, kind, y, y_line, y_way)
    columns, tall = WIDE * kind.lanes, kind.tallest
    result = Result(out, line * kind.size, more > 0, bias)
    made = right.in_columns | (m > FEW * tall)
    each = k * (columns * kind.size)
    number = f.least(f.most(CACHE // each, 1), (n + (columns - 1)) // columns)

    def rows(height: int, i: Number, panels: Panels, fresh: Number) -> None:
        a = Table(left.at(i, 0), Every(left.down), Every(left.right))
        with panels.each() as (j, panel):
            b = Table(panel, Every(kind.width), Every(panels.line))
            result.put(f, kind, i, j, tile(f, kind, (height, WIDE), a, b, k), fresh)

    with f.scratch(f.choose(made, number * each, 0), kind.width) as (start, zeros):
        f.clear(zeros, kind.width)
        with f.loop(0, n, number * columns) as begin:
            end = f.least(begin + number * columns, n)
            panels = Panels(f, kind, right, start, made, k, n, begin, end)
            panels.fill(zeros)
            whole = m // tall * tall
            with f.loop(0, whole, tall) as i:
                rows(tall, i, panels, i)
            with f.loop(whole, m, LOW) as fresh:
                rows(LOW, f.least(fresh, m - LOW), panels, fresh)


def spread(
    f: Writer, kind: Kind, m: Number, n: Number, row: Number, out: Number, line: Number
) -> None:
    """Writes a row to each of m."""
    with f.loop(0, m) as i:
        f.copy(out + i * line * kind.size, row, n * kind.size)
