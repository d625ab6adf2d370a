"""The loops of convolution: what `convolution.py` plans is carried out here.

All numbers come from the table `plan`, all addresses and pitches are bytes. Letters: x the image
and P what is packed of it; c its channels; w the filters; r their rows, which are the channels of
the result; k the products of a sum, over channels and taps; m the positions of windows; n samples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..micro.tiles import Table, gather, registers, scatter, tile
from ..micro.writer import Kind, Number, Writer

NAMES = (
    "groups", "channels", "rows",  # channels of the image and of the result, in a group
    "block",  # channels packed at once
    "taps",  # of all parts together
    "boxes", "parts", "splits",  # splits: sets of boxes whose gradients are added up
    "row", "filters",  # from one row of the filters to the next; from one group of them
    "run",  # so many products stand side by side in the filters
    "image", "result",  # from one channel of the image, or of the result, to the next
    "cells",  # of the result in the largest box; its positions
    "height", "width",  # of the image
    "over", "down", "along",  # cells of the image from one packed one to the next
    "groups_in_row",  # a packed row holds every so-many-th cell together
    "lines", "line",  # packed rows in a plane, packed cells in a row
    "channel", "sample",  # from one packed channel, or sample, to the next
    "packed", "turned",  # what is packed at once; and turned, if samples are lanes
    "cut",  # not 0: boxes are parts of samples
    "slots",  # vectors that the block of results has for a row; 0: they go to the result at once
    "across",  # windows in a line of the result
    "unit", "range", "count", "tap", "place", "to", "final", "shift", "source",  # tables
)  # fmt: skip


class At:
    """The numbers of a plan, by name."""

    def __init__(self, f: Writer, plan: Number) -> None:
        self._f, self._plan = f, plan

    def __getattr__(self, name: str) -> Number:
        return self._f.word(self._plan, NAMES.index(name))

    def table(self, name: str, i: Any = 0) -> Number:
        """The address of the i-th entry of a table."""
        return self._plan + (getattr(self, name) + i) * 8

    def entry(self, name: str, i: Any) -> Number:
        return self._f.word(self.table(name), i)


class Unit:
    """A box, from a row of the table `unit`."""

    NAMES = (
        "n0", "samples", "kind",  # of which kind it is: see `Plan`
        "source", "target",  # the first cell that is copied, counted in the image and in the box
        "left", "group",  # of its packed row: how far from the start, in which group of cells
        "planes", "lines", "cells",  # how many are copied
        "start", "windows",  # the first cell of the result, and how many cells of each sample
    )  # fmt: skip
    n0: Number
    samples: Number
    kind: Number
    source: Number
    target: Number
    left: Number
    group: Number
    planes: Number
    lines: Number
    cells: Number
    start: Number
    windows: Number

    def __init__(self, f: Writer, at: At, i: Number) -> None:
        row = at.table("unit", i * len(self.NAMES))
        for k, name in enumerate(self.NAMES):
            setattr(self, name, f.word(row, k))


def _multiples(f: Writer, table: Number, count: Any, step: Any) -> None:
    with f.loop(0, count) as i:
        f.set_word(table, i, i * step)


# Packing ------------------------------------------------------------------------------------------


def _copy_line(f: Writer, kind: Kind, source: Number, target: Number, count: Number) -> None:
    """Copies numbers; a call of the C library would take longer than most lines."""
    with f.either(count >= kind.lanes) as (then, otherwise):
        with then, f.loop(0, count, kind.lanes) as start:
            k = f.least(start, count - kind.lanes) * kind.size  # the last vector begins earlier
            f.put_vector(target + k, f.vector(source + k, kind), kind)
        with otherwise, f.loop(0, count) as i:
            f.put(target + i * kind.size, f.get(source + i * kind.size, kind), kind)


def _pack_rows(
    f: Writer, kind: Kind, at: At, unit: Unit, source: Number, target: Number
) -> None:
    """Writes what a box holds of a channel's image."""
    size, over, down, along, groups = kind.size, at.over, at.down, at.along, at.groups_in_row
    height, width, lines, line = at.height, at.width, at.lines, at.line
    each, plain = line // groups, (along * groups).equals(1)
    with f.loop(0, unit.planes) as i, f.loop(0, unit.lines) as j:
        row = source + ((i * over * height + j * down) * width + unit.source) * size
        to = target + ((i * lines + j) * line + unit.target) * size
        with f.either(plain) as (then, otherwise):
            with then:
                _copy_line(f, kind, row, to + unit.left * size, unit.cells)
            with otherwise, f.loop(0, groups) as p:
                group = unit.group + p  # from the first one's on, in a circle
                first = f.choose(group >= groups, (group - groups) * each + 1, group * each)
                place, count = to + (first + unit.left) * size, (unit.cells - p + groups - 1) // groups
                with f.loop(0, count) as k:
                    value = f.get(row + (k * groups + p) * along * size, kind)
                    f.put(place + k * size, value, kind)


def _pack_samples(
    f: Writer, kind: Kind, at: At, unit: Unit, source: Number, pitch: Number, target: Number,
    turned: Number, zeros: Number,
) -> None:  # fmt: skip
    """The same of samples side by side: each packed cell is a vector."""
    over, down, along = at.over * at.height, at.down * at.width, at.along
    lines, line = at.lines, at.line
    count = (unit.lines - 1) * down + (unit.cells - 1) * along + 1
    with f.when(unit.lines * unit.cells > 0), f.loop(0, unit.planes) as i:
        plane = source + (i * over * at.width + unit.source) * kind.size
        gather(f, kind, plane, pitch, unit.samples, count, turned, kind.width, zeros)
        with f.loop(0, unit.lines) as j:
            row = turned + j * down * kind.width
            to = target + ((i * lines + j) * line + unit.target + unit.left) * kind.width
            with f.loop(0, unit.cells) as k:
                value = f.vector(row + k * along * kind.width, kind)
                f.put_vector(to + k * kind.width, value, kind)


def _pack(
    f: Writer, kind: Kind, at: At, unit: Unit, x: Number, group: Number, c0: Number, some: Number,
    packed: Number, turned: Any = None, zeros: Any = None,
) -> None:  # fmt: skip
    """Writes channels c0 to c0 + some of a box. `turned`: samples are lanes."""
    channels, image = at.groups * at.channels, at.image
    channel, sample = at.channel, at.sample
    with f.when(at.cut > 0):  # else all boxes have the same margins, and these are clear
        f.clear(packed, some * channel)
    source = x + (unit.n0 * channels + group * at.channels + c0) * image
    with f.loop(0, some) as c:
        start, target = source + c * image, packed + c * channel
        if turned is not None:
            _pack_samples(f, kind, at, unit, start, channels * image, target, turned, zeros)
        else:
            with f.loop(0, unit.samples) as n:
                from_n, to_n = start + n * channels * image, target + n * sample
                _pack_rows(f, kind, at, unit, from_n, to_n)


# Lanes are rows -----------------------------------------------------------------------------------

# A panel: the rows that a tile works on, two vectors.


def panels(
    f: Writer, kind: Kind, first: Number, last: Number, plan: Number, w: Number, panels: Number,
    *_: Number,
) -> None:  # fmt: skip
    """The filters as `channels` reads them: panels[group, panel, k, lanes]. Runs over panels."""
    at, panel = At(f, plan), 2 * kind.width
    rows, row, run = at.rows, at.row, at.run
    number, products = (rows + (2 * kind.lanes - 1)) // (2 * kind.lanes), at.channels * at.taps
    with f.scratch(kind.width) as (zeros,):
        f.clear(zeros, kind.width)
        with f.loop(first, last) as u:
            target, source = panels + u * products * panel, w + u // number * at.filters
            for half in range(2):
                r = u % number * (2 * kind.lanes) + half * kind.lanes
                there = f.least(f.most(rows - r, 0), kind.lanes)
                with f.loop(0, products, run) as k:
                    start = source + r * row + at.entry("source", k)
                    place = target + k * panel + half * kind.width
                    side_by_side = row.equals(kind.size) & there.equals(kind.lanes)
                    with f.either(side_by_side) as (then, otherwise):
                        with then:
                            f.put_vector(place, f.vector(start, kind), kind)
                        with otherwise:
                            count = f.least(run, products - k)
                            gather(f, kind, start, row, there, count, place, panel, zeros)


def tall() -> int:
    return 6 if registers().count < 32 else 12


def channels(
    f: Writer, kind: Kind, first: Number, last: Number, plan: Number, x: Number, panels: Number,
    bias: Number, y: Number,
) -> None:  # fmt: skip
    """The convolution of boxes; bias[group, panel, lanes]. Runs over groups, then boxes."""
    at, panel, high = At(f, plan), 2 * kind.width, tall()
    rows, cells, block = at.rows, at.cells, at.block
    number, products = (rows + (2 * kind.lanes - 1)) // (2 * kind.lanes), at.channels * at.taps
    with f.scratch(
        at.packed, number * (cells + 1) * panel, block * at.taps * 8, 16, kind.width
    ) as (packed, wide, dense, across, spare):
        _multiples(f, dense, block * at.taps, panel)
        _multiples(f, across, 2, kind.width)
        f.clear(packed, at.packed)
        with f.loop(first, last) as u:
            group, unit = u // at.boxes, Unit(f, at, u % at.boxes)
            with f.loop(0, at.channels, block) as c0:
                some = f.least(block, at.channels - c0)
                _pack(f, kind, at, unit, x, group, c0, some, packed)
                with f.loop(0, number) as p, f.loop(0, at.parts) as part:
                    this = group * number + p
                    before, each = at.entry("tap", part * 2), at.entry("tap", part * 2 + 1)
                    w = panels + (this * products + at.channels * before + c0 * each) * panel
                    b = Table(w, across, dense)
                    base = wide + p * (cells + 1) * panel
                    here = unit.kind * at.parts + part
                    with f.loop(at.entry("range", here * 2), at.entry("range", here * 2 + 1), high) as m:
                        a = Table(packed, at.table("place", m), at.table("shift", block * before))
                        to = at.table("to", m)

                        def block_of(vectors: int) -> None:
                            sums = tile(f, kind, (high, vectors), a, b, some * each)
                            _add(
                                f, kind, sums, c0 > 0,
                                lambda i, j: base + f.word(to, i) + j * kind.width,
                                lambda i, j: f.vector(bias + this * panel + j * kind.width, kind),
                            )

                        with f.either(rows - p * (2 * kind.lanes) > kind.lanes) as (two, one):
                            with two:
                                block_of(2)
                            with one:
                                block_of(1)
            with f.loop(0, unit.samples) as n, f.loop(0, rows, kind.lanes) as r:
                row = ((unit.n0 + n) * at.groups + group) * rows + r
                p, half = r // (2 * kind.lanes), r // kind.lanes % 2
                source = wide + (p * (cells + 1) + n * unit.windows) * panel + half * kind.width
                scatter(f, kind, source, panel, unit.windows, y + row * at.result + unit.start * kind.size,
                        at.result, f.least(kind.lanes, rows - r), spare)  # fmt: skip


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


# Lanes are positions in a row, or samples ---------------------------------------------------------

# Heights of blocks, with their widths as a function of the registers.
def _shapes() -> list[tuple[int, int]]:
    return [(4, 3 if registers().count < 32 else 6), (2, 6), (1, 6)]


SPAN = 6  # vectors: the tables of positions have whole blocks of any shape


def _blocks(f: Writer, rows: Number, shapes: list[tuple[int, int]], block: Any) -> None:
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
    rows, slots, block, turns = at.rows, at.slots, at.block, at.turned
    to_row = f.choose(slots > 0, slots * kind.width, at.result)
    with f.scratch(
        at.packed, rows * slots * kind.width, turns, 32, 32, kind.width
    ) as (packed, wide, turned, of_w, of_y, zeros):
        _multiples(f, of_w, 4, at.row)
        _multiples(f, of_y, 4, to_row)
        f.clear(zeros, kind.width)
        f.clear(packed, at.packed)
        with f.loop(first, last) as u:
            group, unit = u // at.boxes, Unit(f, at, u % at.boxes)
            result = y + (unit.n0 * at.groups + group) * rows * at.result + unit.start * kind.size
            target = f.choose(slots > 0, wide, result)
            with f.loop(0, at.channels, block) as c0:
                some = f.least(block, at.channels - c0)
                with f.either(turns > 0) as (then, otherwise):
                    with then:
                        _pack(f, kind, at, unit, x, group, c0, some, packed, turned, zeros)
                    with otherwise:
                        _pack(f, kind, at, unit, x, group, c0, some, packed)
                with f.loop(0, at.parts) as part:
                    before, each = at.entry("tap", part * 2), at.entry("tap", part * 2 + 1)
                    source = at.table("source", at.channels * before + c0 * each)
                    shift, here = at.table("shift", block * before), unit.kind * at.parts + part
                    m0, m1 = at.entry("range", here * 2), at.entry("range", here * 2 + 1)

                    def block_of(r: Number, shape: tuple[int, int]) -> None:
                        a = Table(w + group * at.filters + r * at.row, of_w, source)
                        with f.loop(m0, m1, shape[1]) as m:
                            b, to = Table(packed, at.table("place", m), shift), at.table("to", m)
                            sums = tile(f, kind, shape, a, b, some * each)
                            base, start = target + r * to_row, bias + (group * rows + r) * kind.size
                            _add(
                                f, kind, sums, c0 > 0,
                                lambda i, j: base + f.word(of_y, i) + f.word(to, j),
                                lambda i, j: f.spread(start + i * kind.size, kind),
                            )

                    _blocks(f, rows, _shapes(), block_of)
            with f.when(slots > 0), f.loop(0, rows) as r:
                source, row = wide + r * to_row, result + r * at.result
                with f.either(turns > 0) as (then, otherwise):
                    with then:
                        scatter(f, kind, source, kind.width, unit.windows, row,
                                at.groups * rows * at.result, unit.samples, zeros)  # fmt: skip
                    with otherwise:
                        m0, m1 = at.entry("range", unit.kind * 2), at.entry("range", unit.kind * 2 + 1)
                        with f.loop(m0, m1) as m:
                            value = f.vector(source + at.entry("to", m), kind)
                            f.put_vector(row + at.entry("final", m), value, kind)


# Gradients of the filters -------------------------------------------------------------------------


class _Task:
    """What one set of boxes adds to the gradient of some channels of a group's filters."""

    def __init__(self, f: Writer, at: At, u: Number) -> None:
        blocks = (at.channels + at.block - 1) // at.block
        self.split, rest = u // (at.groups * blocks), u % (at.groups * blocks)
        self.group, self.c0 = rest // blocks, rest % blocks * at.block
        self.some = f.least(at.block, at.channels - self.c0)
        self.first = self.split * at.boxes // at.splits
        self.end = (self.split + 1) * at.boxes // at.splits
        self.row = (self.split * at.groups + self.group) * at.rows  # the first
        self.products, self.k0 = at.channels * at.taps, self.c0 * at.taps


def channel_slopes(
    f: Writer, kind: Kind, first: Number, last: Number, plan: Number, g: Number, x: Number,
    dw: Number, db: Number,
) -> None:  # fmt: skip
    """dw[split, group, r, k] and db[split, group, r]. Runs over splits, groups, blocks of c."""
    at, panel, high = At(f, plan), 2 * kind.width, tall()
    rows, cells = at.rows, at.cells
    number = (rows + (2 * kind.lanes - 1)) // (2 * kind.lanes)
    height = at.block * at.taps + high  # rows of a panel's sums; the last ones come to nothing
    with f.scratch(
        at.packed, cells * panel, number * height * panel, number * panel, cells * 8, cells * 8,
        high * 8, 16, kind.width, kind.size,
    ) as (packed, turned, sums, totals, dense, still, down, across, zeros, one):  # fmt: skip
        _multiples(f, dense, cells, panel)
        _multiples(f, still, cells, 0)
        _multiples(f, down, high, panel)
        _multiples(f, across, 2, kind.width)
        f.clear(zeros, kind.width)
        f.put(one, f.constant(1, kind), kind)
        b = Table(turned, across, dense)
        f.clear(packed, at.packed)
        with f.loop(first, last) as u:
            task = _Task(f, at, u)
            f.clear(sums, number * height * panel)
            f.clear(totals, number * panel)
            with f.loop(task.first, task.end) as i:
                unit = Unit(f, at, i)
                _pack(f, kind, at, unit, x, task.group, task.c0, task.some, packed)
                place = at.table("place", at.entry("range", unit.kind * 2))
                with f.loop(0, number) as p:
                    _turn_gradient(f, kind, at, unit, g, task.group, p, turned, zeros)
                    count, to = unit.samples * unit.windows, sums + p * height * panel

                    def block_of(vectors: int) -> None:
                        with f.loop(0, task.some * at.taps, high) as k:
                            a = Table(packed, at.table("shift", k), place)
                            _sum_up(f, kind, tile(f, kind, (high, vectors), a, b, count),
                                    lambda i, j: to + (k + i) * panel + j * kind.width)  # fmt: skip

                    with f.either(rows - p * (2 * kind.lanes) > kind.lanes) as (two, half):
                        with two:
                            block_of(2)
                        with half:
                            block_of(1)
                    with f.when(task.c0.equals(0)):
                        a = Table(one, still, still)
                        _sum_up(f, kind, tile(f, kind, (1, 2), a, b, count),
                                lambda i, j: totals + p * panel + j * kind.width)  # fmt: skip
            with f.loop(0, rows, kind.lanes) as r:
                p, half = r // (2 * kind.lanes), r // kind.lanes % 2 * kind.width
                there, row = f.least(kind.lanes, rows - r), task.row + r
                to = dw + (row * task.products + task.k0) * kind.size
                scatter(f, kind, sums + p * height * panel + half, panel, task.some * at.taps, to,
                        task.products * kind.size, there, zeros)  # fmt: skip
                f.clear(zeros, kind.width)
                with f.when(task.c0.equals(0)):
                    f.copy(db + row * kind.size, totals + p * panel + half, there * kind.size)


def _turn_gradient(
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
            to = turned + n * unit.windows * panel + half * kind.width
            gather(f, kind, source + r * at.result + unit.start * kind.size, at.result, there,
                   unit.windows, to, panel, zeros)  # fmt: skip


def _sum_up(f: Writer, kind: Kind, sums: Any, place: Any) -> None:
    for i, row in enumerate(sums):
        for j, value in enumerate(row):
            where = place(i, j)
            f.put_vector(where, f.add(f.vector(where, kind), value), kind)


def position_slopes(
    f: Writer, kind: Kind, first: Number, last: Number, plan: Number, g: Number, x: Number,
    dw: Number, db: Number,
) -> None:  # fmt: skip
    """The same. A channel of ones beside those of the image gives db."""
    at = At(f, plan)
    rows, cells, turns, channel = at.rows, at.slots, at.turned, at.channel
    columns = (at.block * at.taps + (1 + SPAN)) // SPAN * SPAN  # and one of ones; whole blocks
    with f.scratch(
        at.packed + channel, rows * cells * kind.width, turns, rows * columns * kind.width,
        cells * 8, 32, kind.width,
    ) as (packed, turned, whole, sums, dense, down, zeros):  # fmt: skip
        _multiples(f, dense, cells, kind.width)
        _multiples(f, down, 4, cells * kind.width)
        f.clear(zeros, kind.width)
        with f.loop(at.packed, at.packed + channel, kind.size) as place:
            f.put(packed + place, f.constant(1, kind), kind)
        f.clear(packed, at.packed)
        with f.loop(first, last) as u:
            task = _Task(f, at, u)
            f.clear(sums, rows * columns * kind.width)
            with f.loop(task.first, task.end) as i:
                unit = Unit(f, at, i)
                result = at.groups * rows * at.result
                source = g + unit.n0 * result + task.group * rows * at.result + unit.start * kind.size
                with f.either(turns > 0) as (then, otherwise):
                    with then:
                        _pack(f, kind, at, unit, x, task.group, task.c0, task.some, packed, whole, zeros)
                        with f.loop(0, rows) as r:
                            gather(f, kind, source + r * at.result, result, unit.samples, unit.windows,
                                   turned + r * cells * kind.width, kind.width, zeros)  # fmt: skip
                    with otherwise:
                        _pack(f, kind, at, unit, x, task.group, task.c0, task.some, packed)
                        with f.loop(0, rows) as r:
                            _vectors_of_lines(f, kind, at, unit, source + r * at.result,
                                              turned + r * cells * kind.width)  # fmt: skip
                here = at.entry("range", unit.kind * 2)
                place, count = at.table("place", here), at.entry("count", unit.kind)

                def block_of(r: Number, shape: tuple[int, int]) -> None:
                    a = Table(turned + r * cells * kind.width, down, dense)
                    with f.loop(0, columns, shape[1]) as k:
                        b = Table(packed, at.table("shift", k), place)
                        found, to = tile(f, kind, shape, a, b, count, spread=False), sums + (r * columns + k) * kind.width
                        _sum_up(f, kind, found, lambda i, j: to + (i * columns + j) * kind.width)

                _blocks(f, rows, _SLOPES, block_of)
            with f.loop(0, rows) as r:
                row, to = sums + r * columns * kind.width, task.row + r
                with f.loop(0, task.some * at.taps) as k:
                    value = f.total(f.vector(row + k * kind.width, kind), kind)
                    f.put(dw + (to * task.products + task.k0 + k) * kind.size, value, kind)
                with f.when(task.c0.equals(0)):
                    value = f.total(f.vector(row + at.block * at.taps * kind.width, kind), kind)
                    f.put(db + to * kind.size, value, kind)


_SLOPES = [(4, 3), (1, 6)]


def _vectors_of_lines(
    f: Writer, kind: Kind, at: At, unit: Unit, source: Number, target: Number
) -> None:
    """Writes lines of the result in whole vectors: the last one has zeros, then the rest."""
    across, size = at.across, kind.size
    whole, rest = across // kind.lanes * kind.width, across % kind.lanes
    with f.loop(0, unit.windows // across) as line:
        start = source + line * across * size
        to = target + line * ((across + (kind.lanes - 1)) // kind.lanes) * kind.width
        f.copy(to, start, whole)
        with f.when(rest > 0):
            f.clear(to + whole, kind.width)
            f.copy(to + whole + (kind.lanes - rest) * size, start + whole, rest * size)
