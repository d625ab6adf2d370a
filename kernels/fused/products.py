"""A matrix product on one thread, written for registers of 64 bytes: `blas.py` says where.

    out[i, j] = sum over q of x[i, q] y[q, j]     i < m, j < n, q < k

Of y, panels are made that are two vectors wide, so that a block of sums in registers (`tile`) reads
them line by line; as many at once as the second cache holds, of TERMS lines. Where they would be
read a few times only, and the rows of y stand in lines, they are read there. x is read where it
stands, if its rows do. Where its columns do, a block of rows would have a short piece of each line,
and all pieces the same few places in a cache: so strips are made, a block's rows column by column.

A core multiplies faster than the third cache delivers. So while it does, it fetches what it works
with next: where the sums go, rows of x, and of y what the panels are made of that follow these.

A sum is over all of k, in the order of q, whichever rows and columns a call is for: parts of a
product have the bits of the whole. So the last panel, and the last block of rows, may begin early,
where they end with the matrix: what is computed twice comes out the same. Where sums are added to
what is there, or columns are done before the last panel begins, rows and columns count that are
`fresh`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..micro.tiles import Ahead, Every, Table, gather, tile
from ..micro.writer import Bit, Kind, Number, Writer

__all__ = ["LOW", "WIDE", "product", "spread"]

WIDE = 2  # vectors of a panel: n is at least as large
LOW = 4  # rows of the blocks at the end: m is at least as large
CACHE = 640 * 1024  # bytes of panels made at once
TERMS = 512  # of a sum, added up before it is written
SOON = 16  # products: what is fetched is there in the time of so many
FEW = 4  # blocks of rows for which no panels are made
GROUP = 16  # blocks of rows of which strips are made at once
NARROW = 2  # panels for which none are made


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

    def places(self, kind: Kind, i: Number, j: Number, height: int) -> dict[tuple[int, int], Any]:
        """The addresses of a block's vectors; its first number is that of row i and column j."""
        corner = self.start + i * self.line + j * kind.size
        return {
            (r, v): corner + r * self.line + v * kind.width
            for r in range(height)
            for v in range(WIDE)
        }

    def fetch(self, f: Writer, kind: Kind, i: Number, j: Number, height: int) -> None:
        for place in self.places(kind, i, j, height).values():
            f.fetch(place, to_write=True)

    def put(
        self, f: Writer, kind: Kind, i: Number, j: Number, sums: list[list[Any]],
        fresh: tuple[Number, Number],
    ) -> None:  # fmt: skip
        """Writes a block of sums. Columns before `fresh` are done; and rows, if sums are added."""
        places = self.places(kind, i, j, len(sums))
        new = [f.from_lane(fresh[1] - j - v * kind.lanes, kind) for v in range(WIDE)]

        def put(r: int, v: int, value: Any) -> None:
            old = f.vector(places[r, v], kind)
            f.put_vector(places[r, v], f.select(new[v], value, old), kind)

        with f.either(self.more) as (then, otherwise):
            with then:
                for r in range(len(sums)):
                    with f.when(i + r >= fresh[0]):
                        for v in range(WIDE):
                            put(r, v, f.add(f.vector(places[r, v], kind), sums[r][v]))
            with otherwise, f.either(self.bias.equals(0)) as (plain, biased):
                with plain:
                    for r, v in places:
                        put(r, v, sums[r][v])
                with biased:
                    first = self.bias + j * kind.size
                    bias = [f.vector(first + v * kind.width, kind) for v in range(WIDE)]
                    for r, v in places:
                        put(r, v, f.add(sums[r][v], bias[v]))


class Panels:
    """Those of some columns of y, n in all, for k products of each sum, from the q-th on.

    columns: where these begin and end. start: where the panels stand, k lines each, if they are
    made; otherwise they are read within y.
    """

    def __init__(
        self, f: Writer, kind: Kind, y: Matrix, n: Number, columns: tuple[Number, Number],
        q: Number, k: Number, start: Number, made: Bit,
    ) -> None:  # fmt: skip
        self.f, self.kind, self.y, self.n = f, kind, y, n
        self.begin, self.end = columns
        self.q, self.k, self.start, self.made = q, k, start, made
        self.columns, self.width = WIDE * kind.lanes, WIDE * kind.width
        self.line = f.choose(made, self.width, y.line)

    @contextmanager
    def each(self) -> Iterator[tuple[Number, Number, Number]]:
        """What is written inside runs for each panel.

        It gets its first column, the first one that no panel before it has, and its address.
        """
        with self.f.loop(self.begin, self.end, self.columns) as fresh:
            j = self.f.least(fresh, self.n - self.columns)
            made = self.start + (fresh - self.begin) // self.columns * ((self.k + 1) * self.width)
            yield j, fresh, self.f.choose(self.made, made, self.y.at(self.q, j))

    def fill(self, zeros: Number) -> None:
        """Writes those that are made. At `zeros` stands a vector of them."""
        f, kind, y = self.f, self.kind, self.y
        with f.when(self.made), f.either(y.in_columns) as (then, otherwise):
            with then, self.each() as (j, _, panel), f.loop(0, WIDE) as half:
                gather(f, kind, y.at(self.q, j + half * kind.lanes), y.line, kind.lanes, self.k,
                       panel + half * kind.width, self.width, zeros)  # fmt: skip
            with otherwise:
                self.fill_from_rows()

    def fill_from_rows(self) -> None:
        """Writes those that are made of rows: line by line, each panel's share of it."""
        f, kind, y = self.f, self.kind, self.y
        apart, breadth = (self.k + 1) * self.width, self.end - self.begin

        def copy(source: Number, target: Number) -> None:
            for v in range(0, self.width, kind.width):
                f.put_vector(target + v, f.vector(source + v, kind), kind)

        def share(_: Number, places: list[Any]) -> list[Any]:
            source, target = (Number(f.builder, place) for place in places)
            copy(source, target)
            return [(source + self.width).value, (target + apart).value]

        with f.loop(0, self.k) as q:
            source, target = y.at(self.q + q, self.begin), self.start + q * self.width
            whole = breadth // self.columns
            f.fold(whole, [source.value, target.value], share)
            with f.when(breadth > whole * self.columns):  # the last one begins earlier
                copy(y.at(self.q + q, self.n - self.columns), target + whole * apart)

    def following(self, j: Number, k: Number) -> Ahead:
        """What the panels will be made of that come after these, where j's stands of these.

        The same columns for the products that are left of k; then columns further right.
        """
        f, y, next_q = self.f, self.y, self.q + self.k
        right = f.least(j + (self.end - self.begin), self.n - self.columns)
        place = f.choose(next_q < k, y.at(next_q, j), y.at(0, right))
        return Ahead(place, f.choose(y.in_columns, y.line * self.columns // k, y.line))


class Strips:
    """Those of GROUP blocks' rows of x, column by column, for k products of each sum from the q-th.

    start: where they stand, k columns of `numbers` each, if they are made; otherwise rows are read
    within x. The last one begins earlier, where it ends with the matrix.
    """

    def __init__(
        self, f: Writer, kind: Kind, x: Matrix, m: Number, terms: Number, start: Number, made: Bit
    ) -> None:  # fmt: skip
        self.f, self.kind, self.x, self.m = f, kind, x, m
        self.start, self.made = start, made
        self.numbers = broad(kind)
        self.column = self.numbers * kind.size
        self.apart = (terms + 1) * self.column

    def rows(self, i: Number, fresh: Number, q: Number, k: Number) -> Table:
        """Where those from the i-th on stand; `fresh` tells the strip that they are in."""
        f, x, tall = self.f, self.x, self.kind.tallest
        within = fresh % (GROUP * tall)
        with f.when(self.made & within.equals(0)):
            self.fill(fresh, q, k)
        first = f.least(fresh // tall * tall, self.m - self.numbers)
        made = self.start + within // tall * self.apart + (i - first) * self.kind.size
        step = f.choose(self.made, self.column, x.right)
        return Table(f.choose(self.made, made, x.at(i, q)), Every(x.down), Every(step))

    def fill(self, begin: Number, q: Number, k: Number) -> None:
        """Writes those of the group that begins with a row: line by line, each strip's share."""
        f, kind, tall = self.f, self.kind, self.kind.tallest
        count = (f.least(self.m - begin, GROUP * tall) + (tall - 1)) // tall
        with f.loop(0, k) as r:
            line = self.x.at(0, q + r)

            def share(_: Number, values: list[Any]) -> list[Any]:
                row, target = (Number(f.builder, value) for value in values)
                source = line + f.least(row, self.m - self.numbers) * kind.size
                for part in range(0, self.column, kind.width):
                    f.put_vector(target + part, f.vector(source + part, kind), kind)
                return [(row + tall).value, (target + self.apart).value]

            f.fold(count, [begin.value, (self.start + r * self.column).value], share)


def broad(kind: Kind) -> int:
    """The numbers of a strip's column: whole vectors, for as many rows as a block has."""
    return -(-kind.tallest // kind.lanes) * kind.lanes


def product(
    f: Writer, kind: Kind, x_way: Number, y_way: Number, m: Number, n: Number, k: Number,
    x: Number, x_line: Number, y: Number, y_line: Number, out: Number, line: Number,
    more: Number, bias: Number,
) -> None:  # fmt: skip
    """Writes a whole product, m >= LOW, n >= WIDE vectors, and k > 0.

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
    made = right.in_columns | (m > FEW * tall)
    turned = left.in_columns & (m >= broad(kind)) & (n > NARROW * columns)
    terms = f.least(k, f.choose(left.in_columns, TERMS // 2, TERMS))  # a strip has room beside them
    each = (terms + 1) * (columns * kind.size)  # with a line between, or they contend for places
    number = f.least(f.most(CACHE // each, 1), (n + (columns - 1)) // columns)

    def ahead(i: Number, j: Number, a: Any, panels: Panels) -> Ahead:
        """What to fetch while the sums of row i and column j are added up.

        For what follows a panel one of the blocks of rows has its turn. All others fetch of x: the
        next block's rows, a share with each panel; or, where columns stand in lines, what this
        block comes to soon.
        """
        panel = (j - panels.begin) // columns
        share = left.line * tall // (number * panels.k)
        below = left.at(f.least(i + tall, m - 1), panels.q) + panel * panels.k * share
        soon = Ahead(a.start + SOON * a.steps.step, a.steps.step)
        turn = (panel % (m // tall) * tall).equals(i)
        rows = soon.unless(f, x_way.equals(0), Ahead(below, share))
        return rows.unless(f, turn & made, panels.following(j, k))

    def sums(i: Number, height: int, fresh: Number, panels: Panels, result: Result) -> None:
        """Writes the sums of some rows, panel by panel."""
        a = strips.rows(i, fresh, panels.q, panels.k)
        with panels.each() as (j, new, panel):
            b, following = Table(panel, Every(kind.width), Every(panels.line)), None
            if height == tall:
                result.fetch(f, kind, i, j, height)
                following = ahead(i, j, a, panels)
            block = tile(f, kind, (height, WIDE), a, b, panels.k, ahead=following)
            result.put(f, kind, i, j, block, (fresh, new))

    of_group = (terms + 1) * (GROUP * broad(kind) * kind.size)
    sizes = f.choose(made, number * each, 0), f.choose(turned, of_group, 0), kind.width
    with f.scratch(*sizes) as (start, turned_start, zeros):
        strips = Strips(f, kind, left, m, terms, turned_start, turned)
        f.clear(zeros, kind.width)
        with f.loop(0, n, number * columns) as begin, f.loop(0, k, terms) as q:
            some = begin, f.least(begin + number * columns, n)
            panels = Panels(f, kind, right, n, some, q, f.least(terms, k - q), start, made)
            panels.fill(zeros)
            result = Result(out, line * kind.size, (more > 0) | (q > 0), bias)
            whole = m // tall * tall
            with f.loop(0, whole, tall) as i:
                sums(i, tall, i, panels, result)
            with f.loop(whole, m, LOW) as fresh:
                sums(f.least(fresh, m - LOW), LOW, fresh, panels, result)


def spread(
    f: Writer, kind: Kind, m: Number, n: Number, row: Number, out: Number, line: Number
) -> None:
    """Writes a row to each of m."""
    with f.loop(0, m) as i:
        f.copy(out + i * line * kind.size, row, n * kind.size)
