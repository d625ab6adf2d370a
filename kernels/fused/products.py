"""A matrix product on one thread, written for registers of 64 bytes: `blas.py` says where.

    out[i, j] = sum over q of x[i, q] y[q, j]     i < m, j < n, q < k

Of y, panels are made that are two vectors wide, so that a block of sums in registers (`tile`) reads
them line by line; as many at once as the second cache holds, of TERMS lines. Where they would be
read a few times only, and the rows of y stand in lines, they are read there. x is read where it
stands, but for columns that are FAR apart: all of them have the same few places in a cache. Of
these, a strip is made for each block of rows.

A core multiplies faster than the third cache delivers. So while it does, it fetches what it works
with next: where the sums go, rows of x, and of y what the panels are made of that follow these.

A sum is over all of k, in the order of q, whichever rows and columns a call is for: parts of a
product have the bits of the whole. So the last panel, and the last block of rows, may begin early,
where they end with the matrix: what is computed twice comes out the same. Where sums are added to
what is there, they are added to it once: to rows and columns that are `fresh`.
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
FAR = 4096  # bytes from one column of x to the next


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
        """Writes a block of sums. To rows and columns before `fresh` nothing is added any more."""
        places = self.places(kind, i, j, len(sums))
        with f.either(self.more) as (then, otherwise):
            with then:
                new = [f.from_lane(fresh[1] - j - v * kind.lanes, kind) for v in range(WIDE)]
                for r, row in enumerate(sums):
                    with f.when(i + r >= fresh[0]):
                        for v, value in enumerate(row):
                            old = f.vector(places[r, v], kind)
                            value = f.select(new[v], f.add(old, value), old)
                            f.put_vector(places[r, v], value, kind)
            with otherwise, f.either(self.bias.equals(0)) as (plain, biased):
                with plain:
                    for (r, v), place in places.items():
                        f.put_vector(place, sums[r][v], kind)
                with biased:
                    first = self.bias + j * kind.size
                    bias = [f.vector(first + v * kind.width, kind) for v in range(WIDE)]
                    for (r, v), place in places.items():
                        f.put_vector(place, f.add(sums[r][v], bias[v]), kind)


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


class Strip(NamedTuple):
    """A block's rows of x, column by column, if that is `made`: an address, numbers in a column."""

    start: Number
    numbers: int
    made: Bit

    def rows(
        self, f: Writer, kind: Kind, x: Matrix, m: Number, i: Number, q: Number, k: Number
    ) -> Table:  # fmt: skip
        """Where the rows from the i-th on, of m, stand, for k products from the q-th on."""
        first, column = f.least(i, m - self.numbers), self.numbers * kind.size
        with f.when(self.made), f.loop(0, k) as r:
            for lane in range(0, self.numbers, kind.lanes):
                value = f.vector(x.at(first + lane, q + r), kind)
                f.put_vector(self.start + r * column + lane * kind.size, value, kind)
        start = f.choose(self.made, self.start + (i - first) * kind.size, x.at(i, q))
        return Table(start, Every(x.down), Every(f.choose(self.made, column, x.right)))


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
    numbers = -(-tall // kind.lanes) * kind.lanes
    far = left.in_columns & (left.line >= FAR) & (m >= numbers)
    terms = f.least(k, f.choose(far, TERMS // 2, TERMS))  # the first cache has room for the strip
    each = (terms + 1) * (columns * kind.size)  # with a line between, or they contend for places
    number = f.least(f.most(CACHE // each, 1), (n + (columns - 1)) // columns)

    def ahead(i: Number, j: Number, panels: Panels) -> Ahead:
        """What to fetch while the sums of row i and column j are added up.

        For what follows a panel one of the blocks of rows has its turn. All others fetch of x: the
        next block's rows, a share with each panel; or, where columns stand in lines, what this
        block comes to soon, or what the next strip is made of.
        """
        panel = (j - panels.begin) // columns
        share = left.line * tall // (number * panels.k)
        below = left.at(f.least(i + tall, m - 1), panels.q) + panel * panels.k * share
        next_strip = Ahead(left.at(f.least(i + tall, m - 1), panels.q),
                           f.choose(panel.equals(0), left.line, 0))  # fmt: skip
        soon = Ahead(left.at(i, panels.q + SOON), left.line).unless(f, far, next_strip)
        turn = (panel % (m // tall) * tall).equals(i)
        rows = soon.unless(f, x_way.equals(0), Ahead(below, share))
        return rows.unless(f, turn & made, panels.following(j, k))

    def sums(i: Number, height: int, fresh: Number, panels: Panels, result: Result) -> None:
        """Writes the sums of some rows, panel by panel."""
        a = strip.rows(f, kind, left, m, i, panels.q, panels.k)
        with panels.each() as (j, new, panel):
            b, following = Table(panel, Every(kind.width), Every(panels.line)), None
            if height == tall:
                result.fetch(f, kind, i, j, height)
                following = ahead(i, j, panels)
            block = tile(f, kind, (height, WIDE), a, b, panels.k, ahead=following)
            result.put(f, kind, i, j, block, (fresh, new))

    sizes = f.choose(made, number * each, 0), terms * (numbers * kind.size), kind.width
    with f.scratch(*sizes) as (start, strips, zeros):
        strip = Strip(strips, numbers, far)
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
