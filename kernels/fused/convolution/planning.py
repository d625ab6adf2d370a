"""Plans of convolutions: what lies in the lanes, how much is worked on at once, all tables.

A plan is one table of 64-bit integers: the numbers that `packing.NAMES` names, then the tables.

    unit     for each box a row, see `packing.Unit`
    range    for each kind of box and each part: where its positions begin and end in `place`
    count    for each kind of box: how many positions it has
    tap      for each part: the taps of the parts before it, and its own
    place    for each position: where its window begins in what is packed
    to       for each position: where its result goes
    final    for each position, where results do not go to the end at once: where they do then
    shift    for each channel that is packed at once, and each tap: where it stands in a window
    source   for each channel and tap: where it stands in the filters

All offsets are bytes. Boxes are of one or two kinds: the last ones may be smaller. Positions come in
whole blocks, the last one again and again, with a place in `to` that nobody reads.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ... import micro
from ...micro.tiles import SPAN
from .layout import Axis, Box, Sizes, box, boxes
from .packing import NAMES, Unit

__all__ = ["CYCLES", "Plan", "Task", "best", "plan"]

CYCLES = 100_000  # of what one thread does at once: about 30 us
PRODUCTS = 256  # in a block's sum: with a panel of filters they fill half of the first cache
CACHE = 1 << 17  # bytes of what is packed at once
WIDE = 1 << 15  # numbers of the results that are worked on at once
SETS = 8  # of boxes, whose gradients are added up in order


class Task(NamedTuple):
    """A convolution, the gradient of its input (`back`), or that of its filters (`slopes`).

    `channels` are those of the image that windows move over, `rows` those of the result, both in a
    group; where `back`, image and result have changed places.
    """

    batch: int
    groups: int
    channels: int
    rows: int
    axes: tuple[Axis, ...]
    char: str
    back: bool
    slopes: bool

    @property
    def counts(self) -> Sizes:
        """The lengths of the result."""
        return tuple(axis.image if self.back else axis.output for axis in self.axes)

    @property
    def image(self) -> Sizes:
        return tuple(axis.output if self.back else axis.image for axis in self.axes)

    @property
    def taps(self) -> int:
        return math.prod(axis.kernel for axis in self.axes)

    @property
    def strides(self) -> int:
        return math.prod(axis.stride for axis in self.axes)


class Plan(NamedTuple):
    """A table for the loops, and what their caller needs of it."""

    table: Any
    lanes: str  # "channels", "positions" or "samples"
    count: int  # what the loops run over
    grain: int  # how much of it at once
    panels: int  # of a group's filters, for "channels"
    panel: int  # rows of a panel
    splits: int  # sets of boxes


def _up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def best(task: Task, lanes: int) -> str:
    """What to put into the lanes: that of the fewest cycles, as estimated for a sample and a group.

    Two multiply-adds a cycle; what a vector costs besides, and a cell that is packed, was measured.
    """
    windows, across, rows = math.prod(task.counts), task.counts[2], task.rows
    sums = task.channels * task.taps / (task.strides if task.back else 1) / 2
    cells = task.channels * math.prod(task.image)
    low = 1.0 if rows >= 4 else 1.3 if rows > 1 else 1.7  # low blocks wait for their loads
    again = rows * sums * 6 if task.slopes else 0  # a box's sums are added to what there is
    whole = _up(rows, 2 * lanes) / lanes
    odd = 1.0 if whole * lanes - rows < lanes else 1 - 0.25 / whole  # half a panel: 3/4 of its time
    samples = _up(task.batch, lanes) / task.batch / lanes
    costs = {
        "channels": windows * whole * (sums * odd + (5 if task.slopes else 8)) + cells * 0.5,
        "samples": samples * (rows * windows * (1.1 * sums * low + 6) + cells * 5 + again),
    }
    if across >= lanes and not (task.back and task.strides > 1):
        vectors = rows * _up(windows // across * -(-across // lanes), SPAN)
        costs["positions"] = vectors * (sums * low + (4 if rows >= 4 else 6)) + again
        costs["positions"] += cells * (1.2 if task.axes[2].stride > 1 else 0.5)
    return min(costs, key=costs.__getitem__)


@lru_cache(maxsize=256)
def plan(
    batch: int, groups: int, channels: int, rows: int, image: Sizes, kernel: Sizes, output: Sizes,
    stride: Sizes, low: Sizes, dilation: Sizes, char: str, back: bool = False, slopes: bool = False,
) -> Plan:  # fmt: skip
    """The plan of a `Task`; lengths are for the three axes."""
    axes = tuple(map(Axis, image, kernel, output, stride, low, dilation))
    task = Task(batch, groups, channels, rows, axes, char, back, slopes)
    return _Draft(task, best(task, micro.kind_of(char).lanes)).plan()


class _Draft:
    """What a plan is made of, bit by bit."""

    def __init__(self, task: Task, lanes: str) -> None:
        self.task, self.lanes, self.kind = task, lanes, micro.kind_of(task.char)
        self.samples = lanes == "samples"
        self.width = self.kind.width if self.samples else self.kind.size  # of a packed cell
        self.block = min(task.channels, max(1, PRODUCTS // task.taps))
        self.units = list(self._units())
        shapes = dict.fromkeys((n, axis, lines) for _, n, axis, _, lines in self.units)
        self.made = {shape: self._box(*shape[1:]) for shape in shapes}
        (self.together, self.axis, lines), self.largest = next(iter(self.made.items()))
        self.cut = lines < task.counts[self.axis]
        self.plane = math.prod(self.largest.packed) * self.width
        self.channel = _skewed((1 if self.samples else self.together) * self.plane, self.kind.width)
        self.line = [math.prod(task.counts[a + 1 :]) for a in range(3)]  # cells of the result
        self.cells = self.together * lines * self.line[self.axis]
        if lanes == "positions" and task.channels * self.channel <= 2 * CACHE:
            self.block = task.channels
        self.direct = lanes == "positions" and self.block == task.channels
        self.panel = 2 * self.kind.width

    def _units(self) -> Any:
        """The boxes."""
        task, most = self.task, 1 << 62 if self.lanes == "channels" else 1
        batch = -(-task.batch // self.kind.lanes) if self.samples else task.batch
        cells = CACHE // (self.block * self.width)
        if not task.back:
            cells //= math.prod(axis.stride for axis in task.axes if axis.kernel > 1)
        if self.lanes != "positions":
            cells = min(cells, max(64, WIDE // task.rows), 512)
        work, windows = self._work() / task.groups / SETS, batch * math.prod(task.counts)
        if work > CYCLES and not task.slopes:  # so that several threads have something to do
            cells = min(cells, max(24, windows // SETS))
        whole = tuple(axis.stride if task.back else 1 for axis in task.axes)
        return boxes(task.counts, batch, max(1, cells), whole, most)

    def _work(self) -> float:
        """About how many cycles the task takes."""
        task = self.task
        rows = _up(task.rows, self.kind.lanes) if self.lanes == "channels" else task.rows
        sums = task.channels * task.taps / (task.strides if task.back else 1)
        windows = task.batch * task.groups * math.prod(task.counts)
        return windows * rows * (sums / 2 + 8) / self.kind.lanes

    def _box(self, cut: int, lines: int) -> Box:
        """The box of the first lines along one axis."""
        task, each = self.task, []
        counts = tuple(lines if a == cut else n for a, n in enumerate(task.counts))
        for a, (axis, count) in enumerate(zip(task.axes, counts, strict=True)):
            if task.back:
                each.append(axis.cells(count))
            else:
                each.append(axis.windows(count, self.lanes == "positions" and a == 2))
        return box(each, counts, tuple(axis.kernel for axis in task.axes))

    # The tables -----------------------------------------------------------------------------------

    def _unit_rows(self) -> Any:
        task, packed, kinds = self.task, self.largest, list(self.made)
        height, width = task.image[1:]
        for n0, n, axis, line, lines in self.units:
            if self.samples:
                n0, there = (
                    n0 * self.kind.lanes,
                    min(self.kind.lanes, task.batch - n0 * self.kind.lanes),
                )
            else:
                there = n
            (z, planes, i), (y, high, j), (x, wide, k) = (
                steps.inside(
                    task.image[a], packed.size[a], packed.step[a], line * (a == axis), task.back
                )
                for a, steps in enumerate(task.axes)
            )
            yield dict(
                n0=n0, samples=there, kind=kinds.index((n, axis, lines)),
                source=(z * height + y) * width + x,
                target=(i * packed.packed[1] + j) * packed.packed[2],
                left=k // packed.phases[2], phase=k % packed.phases[2], planes=planes, lines=high,
                cells=wide, start=line * self.line[axis], windows=lines * self.line[axis],
            )  # fmt: skip

    def _positions(self) -> dict[str, Any]:
        ranges, exact, places, to, final, start = [], [], [], [], [], 0
        for (n, axis, lines), made in self.made.items():
            windows = lines * self.line[axis]
            for part in made.parts:
                place, cell = part.places, part.cells
                if self.lanes == "channels":
                    place = np.add.outer(np.arange(n) * (self.plane // self.width), place).ravel()
                    cell = np.add.outer(np.arange(n) * windows, cell).ravel()
                elif self.lanes == "positions":
                    place, cell = (
                        _vectors(a, self.task.counts[2], self.kind.lanes) for a in (place, cell)
                    )
                exact.append(len(place))
                repeated = self._whole(len(place))
                ranges += [start, start + len(repeated)]
                start += len(repeated)
                places.append(place[repeated] * self.width)
                to.append(self._to(cell, repeated))
                final.append(cell[repeated] * self.kind.size)
        return dict(
            range=ranges, count=exact, place=np.concatenate(places), to=np.concatenate(to),
            final=np.concatenate(final) if self.lanes == "positions" else [],
        )  # fmt: skip

    def _whole(self, n: int) -> Any:
        """Indices of n positions in whole blocks: the last one is repeated."""
        step = self.kind.tall if self.lanes == "channels" else SPAN
        return np.minimum(np.arange(_up(n, step)), n - 1) if n else np.zeros(0, int)

    def _to(self, cell: Any, repeated: Any) -> Any:
        if self.direct:
            return cell[repeated] * self.kind.size
        if self.lanes == "positions":
            return np.arange(len(repeated)) * self.kind.width
        to = np.full(len(repeated), self.cells)  # the slot that nobody reads
        to[: len(cell)] = cell
        return to * (self.panel if self.lanes == "channels" else self.kind.width)

    def _taps(self) -> dict[str, Any]:
        task, tap, shifts, sources, before = self.task, [], [], [], 0
        step = task.rows * task.taps if task.back else task.taps  # from channel to channel
        for part in self.largest.parts:
            tap += [before, len(part.taps)]
            before += len(part.taps)
            shifts.append(
                np.add.outer(np.arange(self.block) * self.channel, part.shifts * self.width)
            )
            sources.append(np.add.outer(np.arange(task.channels) * step, part.taps))
        ones = [] if self.lanes == "channels" else [self.block * self.channel]  # see `slopes.py`
        margin = [0] * (self.kind.tall + SPAN)  # read by the last blocks, which are not full
        return dict(
            tap=tap, shift=np.concatenate([*map(np.ravel, shifts), ones, margin]),
            source=np.concatenate([*map(np.ravel, sources)]) * self.kind.size,
        )  # fmt: skip

    def plan(self) -> Plan:
        task, kind, largest = self.task, self.kind, self.largest
        tables = {
            "unit": [row[name] for row in self._unit_rows() for name in Unit.NAMES],
            **self._positions(),
            **self._taps(),
        }
        if self.samples:
            slots = self.cells + (not task.slopes)
        elif task.slopes:
            slots = max(tables["count"])
        else:
            slots = (
                0
                if self.direct or self.lanes == "channels"
                else len(self._whole(max(tables["count"])))
            )
        parts, size = len(largest.parts), kind.size
        blocks, splits, work = -(-task.channels // self.block), 1, self._work()
        if task.slopes:
            least = SETS // (task.groups * blocks), int(work // CYCLES), len(self.units)
            splits = max(1, min(least))
        numbers = dict(
            groups=task.groups, channels=task.channels, rows=task.rows, block=self.block,
            taps=sum(len(part.taps) for part in largest.parts), boxes=len(self.units), parts=parts,
            splits=splits, row=(task.taps if task.back else task.channels * task.taps) * size,
            filters=task.rows * task.channels * task.taps * size,
            run=1 if parts > 1 else task.taps if task.back else task.channels * task.taps,
            image=math.prod(task.image) * size, result=math.prod(task.counts) * size,
            cells=self.cells, height=task.image[1], width=task.image[2], over=largest.step[0],
            down=largest.step[1], along=largest.step[2], phases=largest.phases[2],
            lines=largest.packed[1], line=largest.packed[2], channel=self.channel,
            sample=self.plane, packed=self.block * self.channel, cut=self.cut, slots=slots,
            turned=_up(math.prod(task.image[1:]), 8) * kind.width if self.samples else 0,
            across=task.counts[2],
        )  # fmt: skip
        start = len(NAMES)
        for name, table in tables.items():
            numbers[name], start = start, start + len(table)
        head = [numbers[name] for name in NAMES]
        table = np.concatenate([head, *tables.values()]).astype(np.int64)
        count = task.groups * (splits * blocks if task.slopes else len(self.units))
        grain = max(1, int(CYCLES * count // work))
        rows = 2 * kind.lanes
        return Plan(table, self.lanes, count, grain, -(-task.rows // rows), rows, splits)


def _skewed(size: int, width: int) -> int:
    """A distance of channels at which they do not fall into the same few sets of a cache."""
    size = _up(size, width)
    return size + width if size % 1024 == 0 else size


def _vectors(cells: Any, across: int, lanes: int) -> Any:
    """Of each line's cells those where a vector starts; the last vector ends with the line."""
    starts = np.minimum(np.arange(0, across, lanes), across - lanes)
    return cells.reshape(-1, across)[:, starts].ravel()
