"""The products of a recurrent layer's time steps: one matrix of weights, again and again.

    out[i, j] = sum over q of x[i, q] y[q, j]     i < m, j < n, q < k

A time step has few rows, and OpenBLAS would put y in order at each. Here `pack` makes panels of y
once, two vectors wide, k lines each, and `by_panels` multiplies with them: blocks of sums in
registers (`tile`) read a panel line by line, and x where it stands.

A sum is over all of k, in the order of q. So the last panel, and the last block of rows, may begin
early, where they end with the matrix: what is computed twice comes out the same.
"""

from __future__ import annotations

from ..micro.elements import each
from ..micro.tiles import Every, Table, tile
from ..micro.writer import Kind, Number, Writer

__all__ = ["LOW", "TALL", "WIDE", "add_up", "by_panels", "pack"]

WIDE = 2  # vectors of a panel: n is at least as large
TALL = 8  # rows of a block, where the registers hold so many: half of a small batch is twice that
LOW = 4  # rows of the blocks at the end: m is at least as large


def pack(f: Writer, kind: Kind, n: Number, k: Number, y: Number, panels: Number) -> None:
    """Writes the panels of y, whose rows stand one after the other; addresses."""
    size, columns, width = kind.size, WIDE * kind.lanes, WIDE * kind.width
    with f.loop(0, k) as q, f.loop(0, n, columns) as i:
        j = f.least(i, n - columns)
        line = panels + i // columns * (k * width) + q * width
        for v in range(WIDE):
            place = y + (q * n + j) * size + v * kind.width
            f.put_vector(line + v * kind.width, f.vector(place, kind), kind)


def by_panels(
    f: Writer, kind: Kind, m: Number, n: Number, k: Number, x: Number, panels: Number, out: Number
) -> None:  # fmt: skip
    """Writes a product; the rows of x and of the result stand one after the other."""
    size, columns, width = kind.size, WIDE * kind.lanes, WIDE * kind.width
    tall = min(TALL, kind.tall // 2 * 2)

    def block(i: Number, j: Number, panel: Number, rows: int) -> None:
        a = Table(x + i * k * size, Every(k * size), Every(size))
        b = Table(panel, Every(kind.width), Every(width))
        for r, row in enumerate(tile(f, kind, (rows, WIDE), a, b, k)):
            for v, value in enumerate(row):
                f.put_vector(out + ((i + r) * n + j) * size + v * kind.width, value, kind)

    whole = m // tall * tall
    with f.loop(0, n, columns) as first:
        j, panel = f.least(first, n - columns), panels + first // columns * (k * width)
        with f.loop(0, whole, tall) as i:
            block(i, j, panel, tall)
        with f.loop(whole, m, LOW) as i:
            block(f.least(i, m - LOW), j, panel, LOW)


def add_up(f: Writer, kind: Kind, count: Number, more: Number, total: Number) -> None:
    """Adds to each number of `total`."""
    with each(f, kind, count, {"more": more, "total": total}) as at:
        at["total"] = at["total"] + at["more"]
