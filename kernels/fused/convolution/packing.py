"""What the loops of convolution have in common: reading a plan, and packing what windows see.

All addresses and pitches are bytes. Letters: x the image; c its channels; w the filters; r their
rows, which are the channels of the result; k the products of a sum, over channels and taps; m the
positions of windows; n samples; p panels, of as many rows as two vectors have lanes.
"""

from __future__ import annotations

from typing import Any

from ...micro.lines import deal
from ...micro.tiles import gather
from ...micro.writer import Kind, Number, Writer

__all__ = ["NAMES", "At", "Unit", "pack"]

NAMES = (
    "groups", "channels", "rows",  # channels of the image and of the result, in a group
    "block",  # channels packed at once
    "taps",  # of all parts together
    "batch", "together",  # samples, and how many are worked on at once: a box has them all,
    "strips",  # or is one of so many strips of one
    "boxes", "parts", "splits",  # splits: sets of boxes whose gradients are added up
    "row", "filters",  # from one row of the filters to the next; from one group of them
    "run",  # so many products stand side by side in the filters
    "image", "result",  # from one channel of the image, or of the result, to the next
    "cells",  # of the result in the largest box
    "height", "width",  # of the image
    "over", "down", "along",  # cells of the image from one packed one to the next
    "phases",  # a packed row holds every so-many-th cell together
    "lines", "line",  # packed rows in a plane, packed cells in a row
    "channel", "sample",  # from one packed channel, or sample, to the next
    "packed", "turned",  # what is packed at once; a plane of samples, if they are lanes
    "slots",  # vectors that a row's results have in a box; 0: they go to the end at once
    "across",  # windows in a line of the result
    "strip", "range", "count", "tap", "place", "to", "final", "shift", "source",  # tables
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
        return self._f.word(self.table(name, i), 0)


class Unit:
    """The i-th box: its samples, and its strip as the table tells."""

    NAMES = (
        "kind",  # of which kind it is
        "source", "target",  # where the first line is copied from and to, in cells
        "left", "phase",  # the first cell in its packed row: how far from the start, in which phase
        "planes", "lines", "cells",  # how many are copied; in a line
        "start", "windows",  # the first cell of the result, and how many of each sample
    )  # fmt: skip

    def __init__(self, f: Writer, at: At, i: Number) -> None:
        strips, together = at.strips, at.together
        row = at.table("strip", i % strips * len(self.NAMES))
        self._numbers = {name: f.word(row, k) for k, name in enumerate(self.NAMES)}
        self.n0 = i // strips * together
        self.samples = f.least(together, at.batch - self.n0)

    def __getattr__(self, name: str) -> Number:
        return self._numbers[name]


def _pack_rows(f: Writer, kind: Kind, at: At, unit: Unit, source: Number, target: Number) -> None:
    """Writes what a box holds of a channel's image."""
    size, over, down, along, phases = kind.size, at.over, at.down, at.along, at.phases
    height, width, lines, line = at.height, at.width, at.lines, at.line
    apart = line // phases * size
    with f.loop(0, unit.planes) as i, f.loop(0, unit.lines) as j:
        row = source + ((i * over * height + j * down) * width + unit.source) * size
        to = target + ((i * lines + j) * line + unit.target + unit.left) * size
        with f.either(along.equals(1)) as (then, otherwise):
            with then:
                deal(f, kind, row, to, unit.cells, unit.phase, phases, apart)
            with otherwise, f.loop(0, unit.cells) as k:
                f.put(to + k * size, f.get(row + k * along * size, kind), kind)


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


def pack(
    f: Writer, kind: Kind, at: At, unit: Unit, x: Number, group: Number, c0: Number, some: Number,
    packed: Number, turned: Number | None = None, zeros: Any = None,
) -> None:  # fmt: skip
    """Writes channels c0 to c0 + some of a box. `turned`: memory for it if samples are lanes."""
    channels, image, channel, sample = at.groups * at.channels, at.image, at.channel, at.sample
    with f.when(at.strips > 1):  # else all boxes have the same margins, and these are clear
        f.clear(packed, some * channel)

    def rows(source: Number, target: Number) -> None:
        with f.loop(0, unit.samples) as n:
            from_n, to_n = source + n * channels * image, target + n * sample
            _pack_rows(f, kind, at, unit, from_n, to_n)

    first = x + (unit.n0 * channels + group * at.channels + c0) * image
    with f.loop(0, some) as c:
        source, target = first + c * image, packed + c * channel
        if turned is None:
            rows(source, target)
        else:
            with f.either(at.turned > 0) as (then, otherwise):
                with then:
                    pitch = channels * image
                    _pack_samples(f, kind, at, unit, source, pitch, target, turned, zeros)
                with otherwise:
                    rows(source, target)
