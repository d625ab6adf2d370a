"""Plans of convolutions: what lies in the lanes, how much is worked on at once, all tables.

A plan is one table of 64-bit integers: the numbers that `packing.NAMES` names, then the tables.

    strip    for each strip of a sample a row, see `packing.Unit`
    range    for each kind of strip and each part: where its positions begin and end in `place`
    count    for each of these: how many positions there are
    tap      for each part: the taps of the parts before it, and its own
    place    for each position: where its window begins in what is packed
    to       for each position: where its result goes
    final    for each position, where results do not go to the end at once: where they do then
    shift    for each channel that is packed at once, and each tap: where it stands in a window
    source   for each channel and tap: where it stands in the filters

All offsets are bytes. Strips are of one or two kinds: the last one may be smaller. Positions come
in whole blocks: the last one again and again, with a place in `to` that nobody reads.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ... import micro
from ...micro.tiles import SPAN
from .layout import Axis, Box, Sizes, box, strips
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
    count: int  # type: ignore[assignment]
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
        self.channels, self.samples = lanes == "channels", lanes == "samples"
        self.positions = lanes == "positions"
        self.width = self.kind.width if self.samples else self.kind.size  # of a packed cell
        self.panel = 2 * self.kind.width
        self.block = min(task.channels, max(1, PRODUCTS // task.taps))
        self.together = self.kind.lanes if self.samples else 1
        cells = self._cells()
        if self.channels:
            number = _even(-(-task.batch // max(1, cells // math.prod(task.counts))))
            self.together = -(-task.batch // number)
        whole = tuple(axis.stride if task.back else 1 for axis in task.axes)
        self.axis, self.strips = strips(
            task.counts, cells, whole, self.kind.lanes if self.positions else 1
        )
        self.kinds = list(dict.fromkeys(lines for _, lines in self.strips))
        self.made = [self._box(lines) for lines in self.kinds]  # the larger one first
        self.line = math.prod(task.counts[self.axis + 1 :])  # windows of a line that is not cut
        self.plane = math.prod(self.made[0].packed) * self.width
        together = self.together if self.channels else 1
        self.channel = _skewed(together * self.plane, self.kind.width)
        self.slots = together * self.kinds[0] * self.line  # one more is for what nobody reads
        if self.positions and task.channels * self.channel <= 2 * CACHE:
            self.block = task.channels
        self.direct = self.positions and self.block == task.channels
        self.boxes = -(-task.batch // self.together) * len(self.strips)

    def _cells(self) -> int:
        """How many windows to work on at once."""
        task = self.task
        cells = CACHE // (self.block * self.width)
        if not task.back:
            cells //= math.prod(axis.stride for axis in task.axes if axis.kernel > 1)
        if not self.positions:
            cells = min(cells, max(64, WIDE // task.rows), 512)
        # Boxes for several threads, but not so few windows that filters fill the time.
        others = task.groups * (-(-task.channels // self.block) if task.slopes else 1)
        parts = self._cycles() / CYCLES / others
        wanted = SETS if parts > SETS and not task.slopes else 2 if parts > 1.5 else 1
        if wanted > 1:
            windows = -(-task.batch // self.together) * math.prod(task.counts)
            cells = min(cells, max(24, -(-windows // wanted)))
        return max(1, cells)

    def _cycles(self) -> float:
        """About how many the task takes."""
        task = self.task
        rows = _up(task.rows, self.kind.lanes) if self.channels else task.rows
        sums = task.channels * task.taps / (task.strides if task.back else 1)
        windows = task.batch * task.groups * math.prod(task.counts)
        return windows * rows * (sums / 2 + 8) / self.kind.lanes

    def _box(self, lines: int) -> Box:
        """The box of the first lines of a sample."""
        task, each = self.task, []
        counts = tuple(lines if a == self.axis else n for a, n in enumerate(task.counts))
        for a, (axis, count) in enumerate(zip(task.axes, counts, strict=True)):
            if task.back:
                each.append(axis.cells(count))
            else:
                each.append(axis.windows(count, together=self.positions and a == 2))
        return box(each, counts, tuple(axis.kernel for axis in task.axes))

    # The tables -----------------------------------------------------------------------------------

    def _strip_rows(self) -> list[int]:
        task, packed, rows = self.task, self.made[0], []
        (_, height, width), (_, lines, cells) = task.image, packed.packed
        for first, count in self.strips:
            (z, planes, i), (y, high, j), (x, wide, k) = (
                axis.inside(length, size, step, first * (a == self.axis), task.back)
                for a, (axis, length, size, step) in enumerate(
                    zip(task.axes, task.image, packed.size, packed.step, strict=True)
                )
            )
            row = dict(
                kind=self.kinds.index(count), source=(z * height + y) * width + x,
                target=(i * lines + j) * cells, left=k // packed.phases[2],
                phase=k % packed.phases[2], planes=planes, lines=high, cells=wide,
                start=first * self.line, windows=count * self.line,
            )  # fmt: skip
            rows += [row[name] for name in Unit.NAMES]
        return rows

    def _positions(self) -> dict[str, Any]:
        tables: dict[str, list[Any]] = {"place": [], "to": [], "final": []}
        ranges, exact, start = [], [], 0
        for lines, made in zip(self.kinds, self.made, strict=True):
            for part in made.parts:
                place, cell = self._of_part(part.places, part.cells, lines)
                repeated = self._whole(len(place))
                exact.append(len(place))
                ranges += [start, start + len(repeated)]
                start += len(repeated)
                tables["place"].append(place[repeated] * self.width)
                tables["to"].append(self._to(cell, repeated))
                tables["final"].append(cell[repeated] * self.kind.size)
        joined = {name: np.concatenate(parts) for name, parts in tables.items()}
        return {"range": ranges, "count": exact, **joined}

    def _of_part(self, place: Any, cell: Any, lines: int) -> tuple[Any, Any]:
        """Places and cells of the samples worked on at once, or those where vectors start."""
        if self.channels:
            samples = np.arange(self.together)
            return (
                np.add.outer(samples * (self.plane // self.width), place).ravel(),
                np.add.outer(samples * lines * self.line, cell).ravel(),
            )
        if self.positions:
            across = lines if self.axis == 2 else self.task.counts[2]
            return tuple(_vectors(a, across, self.kind.lanes) for a in (place, cell))
        return place, cell

    def _whole(self, n: int) -> Any:
        """Indices of n positions in whole blocks: the last one is repeated."""
        step = self.kind.tall if self.channels else SPAN
        return np.minimum(np.arange(_up(n, step)), n - 1)

    def _to(self, cell: Any, repeated: Any) -> Any:
        if self.direct:
            return cell[repeated] * self.kind.size
        if self.positions:
            return np.arange(len(repeated)) * self.kind.width
        to = np.full(len(repeated), self.slots)
        to[: len(cell)] = cell
        return to * (self.panel if self.channels else self.kind.width)

    def _taps(self) -> dict[str, Any]:
        task, tap, shifts, sources, before = self.task, [], [], [], 0
        step = task.rows * task.taps if task.back else task.taps  # from channel to channel
        blocks, channels = np.arange(self.block) * self.channel, np.arange(task.channels) * step
        for part in self.made[0].parts:
            tap += [before, len(part.taps)]
            before += len(part.taps)
            shifts.append(np.add.outer(blocks, part.shifts * self.width).ravel())
            sources.append(np.add.outer(channels, part.taps).ravel() * self.kind.size)
        ones = [] if self.channels else [self.block * self.channel]  # see `slopes.py`
        margin = [0] * (self.kind.tall + SPAN)  # read by the last blocks, which are not full
        return {
            "tap": tap,
            "shift": np.concatenate([*shifts, ones, margin]),
            "source": np.concatenate(sources),
        }

    # The numbers ----------------------------------------------------------------------------------

    def plan(self) -> Plan:
        task, cycles = self.task, self._cycles()
        tables = {"strip": self._strip_rows(), **self._positions(), **self._taps()}
        blocks, splits, count = -(-task.channels // self.block), 1, task.groups * self.boxes
        if task.slopes:
            most = SETS // (task.groups * blocks), round(cycles / CYCLES), self.boxes
            splits = max(1, min(most))
            splits -= splits % 2 if 1 < splits < SETS else 0
            count = task.groups * blocks * splits
        numbers = {**self._of_filters(), **self._of_boxes(max(tables["count"])), "splits": splits}
        start = len(NAMES)
        for name, entries in tables.items():
            numbers[name], start = start, start + len(entries)
        head = [numbers[name] for name in NAMES]
        table = np.concatenate([head, *tables.values()]).astype(np.int64)
        grain = max(1, int(CYCLES * count // cycles))
        panel = 2 * self.kind.lanes
        return Plan(table, self.lanes, count, grain, -(-task.rows // panel), panel, splits)

    def _of_filters(self) -> dict[str, int]:
        task, size, parts = self.task, self.kind.size, self.made[0].parts
        alone = task.taps if task.back else task.channels * task.taps
        run = 1 if len(parts) > 1 else alone
        return dict(
            groups=task.groups, channels=task.channels, rows=task.rows, block=self.block,
            taps=sum(len(part.taps) for part in parts), parts=len(parts), run=run,
            row=alone * size,
            filters=task.rows * task.channels * task.taps * size,
        )  # fmt: skip

    def _of_boxes(self, most: int) -> dict[str, int]:
        """`most`: positions of a part."""
        task, size, packed = self.task, self.kind.size, self.made[0]
        if self.samples:
            slots = self.slots + (not task.slopes)
        elif task.slopes:
            slots = most
        else:
            slots = 0 if self.channels or self.direct else len(self._whole(most))
        plane = _up(math.prod(task.image[1:]), self.kind.lanes)
        return dict(
            batch=task.batch, together=self.together, strips=len(self.strips), boxes=self.boxes,
            image=math.prod(task.image) * size, result=math.prod(task.counts) * size,
            cells=self.slots, height=task.image[1], width=task.image[2], over=packed.step[0],
            down=packed.step[1], along=packed.step[2], phases=packed.phases[2],
            lines=packed.packed[1], line=packed.packed[2], channel=self.channel,
            sample=self.plane, packed=self.block * self.channel,
            turned=plane * self.kind.width if self.samples else 0, slots=slots,
            across=task.counts[2],
        )  # fmt: skip


def _even(parts: int) -> int:
    """As many, or one more if they are odd and so few that two threads would notice."""
    return parts + parts % 2 if 1 < parts < SETS else parts


def _skewed(size: int, width: int) -> int:
    """A distance of channels at which they do not fall into the same few sets of a cache."""
    size = _up(size, width)
    return size + width if size % 1024 == 0 else size


def _vectors(cells: Any, across: int, lanes: int) -> Any:
    """Of each line's cells those where a vector starts; the last vector ends with the line."""
    starts = np.minimum(np.arange(0, across, lanes), across - lanes)
    return cells.reshape(-1, across)[:, starts].ravel()
