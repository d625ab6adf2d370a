"""The loops for the gradients of a convolution's filters and of its bias.

    dw[r, k] = sum over m of g[r, m] x[place[m] + shift[k]]        db[r] = sum over m of g[r, m]

added up over a set of boxes; the sets are added by whoever called. Letters as in `packing.py`; g is
the gradient of the result.
"""

from __future__ import annotations

from typing import Any

from ...micro.tiles import SPAN, Every, Table, gather, scatter, tile
from ...micro.writer import Kind, Number, Writer
from .loops import blocks
from .packing import At, Unit, pack

__all__ = ["channel_slopes", "position_slopes"]


class _Task:
    """What one set of boxes adds to the gradient of some channels of a group's filters."""

    def __init__(self, f: Writer, at: At, u: Number) -> None:
        number = (at.channels + at.block - 1) // at.block
        self.split, rest = u // (at.groups * number), u % (at.groups * number)
        self.group, self.c0 = rest // number, rest % number * at.block
        self.some = f.least(at.block, at.channels - self.c0)
        self.first = self.split * at.boxes // at.splits
        self.end = (self.split + 1) * at.boxes // at.splits
        self.row = (self.split * at.groups + self.group) * at.rows  # the first
        self.products, self.k0 = at.channels * at.taps, self.c0 * at.taps


def _add(f: Writer, kind: Kind, sums: Any, place: Any) -> None:
    for i, row in enumerate(sums):
        for j, value in enumerate(row):
            where = place(i, j)
            f.put_vector(where, f.add(f.vector(where, kind), value), kind)


def channel_slopes(
    f: Writer, kind: Kind, first: Number, last: Number, plan: Number, g: Number, x: Number,
    dw: Number, db: Number,
) -> None:  # fmt: skip
    """dw[split, group, r, k] and db[split, group, r]. Runs over splits, groups, blocks of c."""
    at, panel, wide, tall = At(f, plan), 2 * kind.width, 2 * kind.lanes, kind.tall
    rows, cells, number = at.rows, at.cells, (at.rows + (wide - 1)) // wide
    height = (at.block * at.taps + tall) * panel  # of a panel's sums; the last come to nothing
    sizes = at.packed, cells * panel, number * height, number * panel, kind.width, kind.width, 8
    with f.scratch(*sizes) as (packed, turned, sums, totals, zeros, spare, one):
        f.put(one, f.constant(1, kind), kind)
        f.clear(zeros, kind.width)
        f.clear(packed, at.packed)
        b = Table(turned, Every(kind.width), Every(panel))
        with f.loop(first, last) as u:
            task = _Task(f, at, u)
            f.clear(sums, number * height)
            f.clear(totals, number * panel)
            with f.loop(task.first, task.end) as i:
                unit = Unit(f, at, i)
                pack(f, kind, at, unit, x, task.group, task.c0, task.some, packed)
                place = at.table("place", at.entry("range", unit.kind * 2))
                count = unit.samples * unit.windows
                with f.loop(0, number) as p:
                    _turn(f, kind, at, unit, g, task.group, p, turned, zeros)
                    to = sums + p * height

                    def block_of(vectors: int) -> None:
                        with f.loop(0, task.some * at.taps, tall) as k:
                            a = Table(packed, at.table("shift", k), place)
                            _add(f, kind, tile(f, kind, (tall, vectors), a, b, count),
                                 lambda i, j: to + (k + i) * panel + j * kind.width)  # fmt: skip

                    with f.either(rows - p * wide > kind.lanes) as (then, otherwise):
                        with then:
                            block_of(2)
                        with otherwise:
                            block_of(1)
                    with f.when(task.c0.equals(0)):
                        a = Table(one, Every(0), Every(0))
                        _add(f, kind, tile(f, kind, (1, 2), a, b, count),
                             lambda i, j: totals + p * panel + j * kind.width)  # fmt: skip
            with f.loop(0, rows, kind.lanes) as r:
                half, row = r // kind.lanes % 2 * kind.width, task.row + r
                there, p = f.least(kind.lanes, rows - r), r // wide
                to = dw + (row * task.products + task.k0) * kind.size
                scatter(f, kind, sums + p * height + half, panel, task.some * at.taps, to,
                        task.products * kind.size, there, spare)  # fmt: skip
                with f.when(task.c0.equals(0)):
                    f.copy(db + row * kind.size, totals + p * panel + half, there * kind.size)


def _turn(
    f: Writer, kind: Kind, at: At, unit: Unit, g: Number, group: Number, p: Number, turned: Number,
    zeros: Number,
) -> None:  # fmt: skip
    """Writes the gradients of a panel's rows in a box, position by position."""
    panel = 2 * kind.width
    with f.loop(0, unit.samples) as n:
        source = g + ((unit.n0 + n) * at.groups + group) * at.rows * at.result
        for half in range(2):
            r = p * (2 * kind.lanes) + half * kind.lanes
            there = f.least(f.most(at.rows - r, 0), kind.lanes)
            start = source + r * at.result + unit.start * kind.size
            to = turned + n * unit.windows * panel + half * kind.width
            gather(f, kind, start, at.result, there, unit.windows, to, panel, zeros)


def position_slopes(
    f: Writer, kind: Kind, first: Number, last: Number, plan: Number, g: Number, x: Number,
    dw: Number, db: Number,
) -> None:  # fmt: skip
    """The same. Beside the channels of the image stands one of ones, whose slopes are db."""
    at = At(f, plan)
    rows, products, each = at.rows, at.block * at.taps, at.slots * kind.width
    columns = (products + SPAN) // SPAN * SPAN  # those of the ones, too; the rest come to nothing
    sizes = at.packed + at.channel, rows * each, at.turned, rows * columns * kind.width, kind.width
    with f.scratch(*sizes) as (packed, gradients, turned, sums, zeros):
        f.clear(zeros, kind.width)
        f.clear(packed, at.packed)
        with f.loop(at.packed, at.packed + at.channel, kind.size) as place:
            f.put(packed + place, f.constant(1, kind), kind)
        with f.loop(first, last) as u:
            task = _Task(f, at, u)
            f.clear(sums, rows * columns * kind.width)
            with f.loop(task.first, task.end) as i:
                unit = Unit(f, at, i)
                pack(f, kind, at, unit, x, task.group, task.c0, task.some, packed, turned, zeros)
                with f.loop(0, rows) as r:
                    _spread_out(f, kind, at, unit, g, task.group, r, gradients + r * each, zeros)
                place = at.table("place", at.entry("range", unit.kind * 2))
                count = at.entry("count", unit.kind)

                def block_of(r: Number, shape: tuple[int, int]) -> None:
                    a = Table(gradients + r * each, Every(each), Every(kind.width))
                    with f.loop(0, columns, shape[1]) as k:
                        b = Table(packed, at.table("shift", k), place)
                        to = sums + (r * columns + k) * kind.width
                        _add(f, kind, tile(f, kind, shape, a, b, count, spread=False),
                             lambda i, j: to + (columns * i + j) * kind.width)  # fmt: skip

                blocks(f, rows, [(4, 3), (1, 6)], block_of)
            with f.loop(0, rows) as r:
                row, to = sums + r * columns * kind.width, task.row + r
                with f.loop(0, task.some * at.taps) as k:
                    value = f.total(f.vector(row + k * kind.width, kind), kind)
                    f.put(dw + (to * task.products + task.k0 + k) * kind.size, value, kind)
                with f.when(task.c0.equals(0)):
                    value = f.total(f.vector(row + products * kind.width, kind), kind)
                    f.put(db + to * kind.size, value, kind)


def _spread_out(
    f: Writer, kind: Kind, at: At, unit: Unit, g: Number, group: Number, r: Number, target: Number,
    zeros: Number,
) -> None:  # fmt: skip
    """Writes a row of gradients in a box as the windows stand: samples, or vectors of positions.

    The last vector of a line overlaps the one before it, and has zeros there.
    """
    image, size = at.groups * at.rows * at.result, kind.size
    across = f.least(at.across, unit.windows)
    source = g + unit.n0 * image + (group * at.rows + r) * at.result + unit.start * size
    whole, rest = across // kind.lanes * kind.width, across % kind.lanes
    with f.either(at.turned > 0) as (then, otherwise):
        with then:
            gather(f, kind, source, image, unit.samples, unit.windows, target, kind.width, zeros)
        with otherwise, f.loop(0, unit.windows // across) as line:
            start = source + line * across * size
            to = target + line * ((across + (kind.lanes - 1)) // kind.lanes) * kind.width
            f.copy(to, start, whole)
            with f.when(rest > 0):
                f.clear(to + whole, kind.width)
                f.copy(to + whole + (kind.lanes - rest) * size, start + whole, rest * size)
