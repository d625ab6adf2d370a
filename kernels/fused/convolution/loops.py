"""The loops of convolution: lanes are rows (`channels`), or positions or samples (`positions`).

Letters as in `packing.py`. Where sums of many channels are added up block by block, the first block
starts from the bias, the others from what there is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...micro.tiles import Every, Table, gather, scatter, tile
from ...micro.writer import Kind, Number, Writer
from .packing import At, Unit, pack

__all__ = ["blocks", "channels", "panels", "positions"]


def _add(f: Writer, kind: Kind, sums: Any, more: Any, place: Any, start: Any) -> None:
    """Writes sums to their places: added to what is there if `more`, else to their start."""
    with f.either(more) as (then, otherwise):
        with then:
            for i, row in enumerate(sums):
                for j, value in enumerate(row):
                    where = place(i, j)
                    f.put_vector(where, f.add(f.vector(where, kind), value), kind)
        with otherwise:
            for i, row in enumerate(sums):
                for j, value in enumerate(row):
                    f.put_vector(place(i, j), f.add(start(i, j), value), kind)


# Lanes are rows -----------------------------------------------------------------------------------


def panels(
    f: Writer, kind: Kind, first: Number, last: Number, plan: Number, w: Number, panels: Number,
    *_: Number,
) -> None:  # fmt: skip
    """The filters as `channels` reads them: panels[group, panel, k, lanes]. Runs over panels."""
    at, panel, wide = At(f, plan), 2 * kind.width, 2 * kind.lanes
    rows, row, run = at.rows, at.row, at.run
    number, products = (rows + (wide - 1)) // wide, at.channels * at.taps
    with f.scratch(kind.width) as (zeros,):
        f.clear(zeros, kind.width)
        with f.loop(first, last) as u:
            target, source = panels + u * products * panel, w + u // number * at.filters
            for half in range(2):
                r = u % number * wide + half * kind.lanes
                there = f.least(f.most(rows - r, 0), kind.lanes)
                side_by_side = row.equals(kind.size) & there.equals(kind.lanes)
                with f.loop(0, products, run) as k:
                    start = source + r * row + at.entry("source", k)
                    place = target + k * panel + half * kind.width
                    with f.either(side_by_side) as (then, otherwise):
                        with then:
                            f.put_vector(place, f.vector(start, kind), kind)
                        with otherwise:
                            count = f.least(run, products - k)
                            gather(f, kind, start, row, there, count, place, panel, zeros)


def channels(
    f: Writer, kind: Kind, first: Number, last: Number, plan: Number, x: Number, panels: Number,
    bias: Number, y: Number,
) -> None:  # fmt: skip
    """The convolution of boxes; bias[group, panel, lanes]. Runs over groups, then boxes."""
    at, panel, wide = At(f, plan), 2 * kind.width, 2 * kind.lanes
    rows, block, each = at.rows, at.block, (at.cells + 1) * panel  # bytes of a panel's results
    number, products = (rows + (wide - 1)) // wide, at.channels * at.taps
    sizes = at.packed, number * each, kind.width
    with f.scratch(*sizes) as (packed, results, spare):
        f.clear(packed, at.packed)
        with f.loop(first, last) as u:
            group, unit = u // at.boxes, Unit(f, at, u % at.boxes)
            with f.loop(0, at.channels, block) as c0:
                some = f.least(block, at.channels - c0)
                pack(f, kind, at, unit, x, group, c0, some, packed)
                with f.loop(0, number) as p, f.loop(0, at.parts) as part:
                    this, before = group * number + p, at.entry("tap", part * 2)
                    taps, here = at.entry("tap", part * 2 + 1), unit.kind * at.parts + part
                    w = this * products + at.channels * before + c0 * taps
                    b = Table(panels + w * panel, Every(kind.width), Every(panel))
                    shift = at.table("shift", block * before)

                    def block_of(m: Number, vectors: int) -> None:
                        a, to = Table(packed, at.table("place", m), shift), at.table("to", m)
                        sums = tile(f, kind, (kind.tall, vectors), a, b, some * taps)
                        _add(
                            f, kind, sums, c0 > 0,
                            lambda i, j: results + p * each + f.word(to, i) + j * kind.width,
                            lambda i, j: f.vector(bias + this * panel + j * kind.width, kind),
                        )  # fmt: skip

                    m0, m1 = at.entry("range", here * 2), at.entry("range", here * 2 + 1)
                    with f.either(rows - p * wide > kind.lanes) as (then, otherwise):
                        with then, f.loop(m0, m1, kind.tall) as m:
                            block_of(m, 2)
                        with otherwise, f.loop(m0, m1, kind.tall) as m:
                            block_of(m, 1)
            with f.loop(0, unit.samples) as n, f.loop(0, rows, kind.lanes) as r:
                row = ((unit.n0 + n) * at.groups + group) * rows + r
                half = r // kind.lanes % 2 * kind.width
                source = results + r // wide * each + n * unit.windows * panel + half
                target = y + row * at.result + unit.start * kind.size
                there = f.least(kind.lanes, rows - r)
                scatter(f, kind, source, panel, unit.windows, target, at.result, there, spare)


# Lanes are positions in a row, or samples ---------------------------------------------------------


def blocks(
    f: Writer, rows: Number, shapes: list[tuple[int, int]],
    block: Callable[[Number, tuple[int, int]], None],
) -> None:  # fmt: skip
    """Writes block(r, shape) for all rows, the tallest shapes first."""
    first: Any = 0
    for shape in shapes:
        last = rows // shape[0] * shape[0]
        with f.loop(first, last, shape[0]) as r:
            block(r, shape)
        first = last


def positions(
    f: Writer, kind: Kind, first: Number, last: Number, plan: Number, x: Number, w: Number,
    bias: Number, y: Number,
) -> None:  # fmt: skip
    """The convolution of boxes; bias[group, row]. Runs over groups, then boxes."""
    at = At(f, plan)
    rows, slots, block = at.rows, at.slots, at.block
    to_row = f.choose(slots > 0, slots * kind.width, at.result)
    sizes = at.packed, rows * slots * kind.width, at.turned, kind.width, kind.width
    with f.scratch(*sizes) as (packed, results, turned, zeros, spare):
        f.clear(zeros, kind.width)
        f.clear(packed, at.packed)
        with f.loop(first, last) as u:
            group, unit = u // at.boxes, Unit(f, at, u % at.boxes)
            end = y + (unit.n0 * at.groups + group) * rows * at.result + unit.start * kind.size
            target = f.choose(slots > 0, results, end)
            with f.loop(0, at.channels, block) as c0:
                some = f.least(block, at.channels - c0)
                pack(f, kind, at, unit, x, group, c0, some, packed, turned, zeros)
                with f.loop(0, at.parts) as part:
                    before, taps = at.entry("tap", part * 2), at.entry("tap", part * 2 + 1)
                    source = at.table("source", at.channels * before + c0 * taps)
                    shift, here = at.table("shift", block * before), unit.kind * at.parts + part
                    m0, m1 = at.entry("range", here * 2), at.entry("range", here * 2 + 1)

                    def block_of(r: Number, shape: tuple[int, int]) -> None:
                        a = Table(w + group * at.filters + r * at.row, Every(at.row), source)
                        base, start = target + r * to_row, bias + (group * rows + r) * kind.size
                        with f.loop(m0, m1, shape[1]) as m:
                            b, to = Table(packed, at.table("place", m), shift), at.table("to", m)
                            sums = tile(f, kind, shape, a, b, some * taps)
                            _add(
                                f, kind, sums, c0 > 0,
                                lambda i, j: base + to_row * i + f.word(to, j),
                                lambda i, j: f.spread(start + i * kind.size, kind),
                            )  # fmt: skip

                    blocks(f, rows, kind.flat, block_of)
            with f.when(slots > 0), f.loop(0, rows) as r:
                _finish(f, kind, at, unit, results + r * to_row, end + r * at.result, spare)


def _finish(
    f: Writer, kind: Kind, at: At, unit: Unit, source: Number, target: Number, spare: Number
) -> None:
    """Writes a row's results to the end: those of samples, or vectors of positions."""
    with f.either(at.turned > 0) as (then, otherwise):
        with then:
            scatter(f, kind, source, kind.width, unit.windows, target,
                    at.groups * at.rows * at.result, unit.samples, spare)  # fmt: skip
        with otherwise:
            m0, m1 = at.entry("range", unit.kind * 2), at.entry("range", unit.kind * 2 + 1)
            with f.loop(m0, m1) as m:
                value = f.vector(source + at.entry("to", m), kind)
                f.put_vector(target + at.entry("final", m), value, kind)
