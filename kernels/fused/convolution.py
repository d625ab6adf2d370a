"""Convolution of up to three axes, and its two transposes, without a matrix of patches.

Each is sums of products, of a filter's taps w and cells of the image x that they see:

    convolve           y[r, m]  = bias[r] + sum over k of w[r, k] x[place[m] + shift[k]]
    convolve_input     the same, of the gradient, with the taps in the other direction
    convolve_weight    dw[r, k] = sum over m of g[r, m] x[place[m] + shift[k]]

where m are the positions of windows, r the channels of the result, and k all taps of all channels.
`layout.py` finds places and shifts in the padded image, `convolution_loops.py` adds up. What lies
side by side in a vector register is chosen by a reckoning of what it would cost:

    channels    of the result. No work is wasted on padding or strides; the image must be padded,
                filters and result transposed, which pays for sums of many products.
    positions   in a line of the result: nothing is transposed. For few channels, and short sums.
    samples     of the batch: for small images with few channels, as in depthwise convolution.

Filters of many channels are added up block by block, so that a block stays in the first cache. The
weight's gradient is summed over sets of boxes, then over the sets in their order: so no result
depends on the number of threads.

The same with patches, in array code, is `Windows` in `arrays/windows.py`; `tests/test_twins.py`
holds both equal.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from .. import micro
from . import convolution_loops as loops
from .layout import Axis, Box, Sizes, box, boxes

CYCLES = 100_000  # of a part that one thread takes: 30 us
PRODUCTS = 256  # in a block's sum: with a panel of filters they fill half of the first cache
CACHE = 1 << 17  # bytes of what is packed at once
SETS = 8  # of boxes, whose gradients are added up in order


class Task(NamedTuple):
    """A convolution: what is needed to plan it."""

    batch: int
    groups: int
    channels: int  # of the image and of the result, in a group
    rows: int
    axes: tuple[Axis, ...]
    back: bool  # image and result have changed places
    char: str

    @property
    def kernel(self) -> Sizes:
        return tuple(axis.kernel for axis in self.axes)

    @property
    def counts(self) -> Sizes:
        """The lengths of the result."""
        return tuple(axis.image if self.back else axis.output for axis in self.axes)

    @property
    def image(self) -> Sizes:
        return tuple(axis.output if self.back else axis.image for axis in self.axes)

    def box(self, line: int, lines: int, axis: int, together: bool) -> Box:
        """The box of some lines along one axis."""
        each = []
        for a, (steps, count) in enumerate(zip(self.axes, self.counts, strict=True)):
            part = (line, lines) if a == axis else (0, count)
            each.append(steps.cells(*part) if self.back else
                        steps.windows(*part, together and a == 2))  # fmt: skip
        counts = tuple(lines if a == axis else n for a, n in enumerate(self.counts))
        return box(each, counts, self.kernel)


class Plan(NamedTuple):
    """What the loops read, as one table of 64-bit integers; how many boxes; how many at once."""

    table: Any
    lanes: str
    groups: int
    rows: int
    panel: int
    panels: int
    products: int
    boxes: int
    blocks: int
    splits: int
    grain: int


def _up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def _best(task: Task, lanes: int, slopes: bool = False) -> str:
    """What to put into the lanes: the least of the estimated cycles per sample and group."""
    windows, across = math.prod(task.counts), task.counts[2]
    strides = math.prod(axis.stride for axis in task.axes)
    sums = task.channels * math.prod(task.kernel) / (strides if task.back else 1) / 2
    cells, rows = task.channels * math.prod(task.image), task.rows
    few = 1.0 if rows >= 4 else 1.3 if rows > 1 else 1.7  # low blocks wait for their loads
    vectors = windows * _up(rows, lanes) / lanes
    half = 1.0 if rows % (2 * lanes) in (0, *range(lanes + 1, 2 * lanes)) else 1 + 0.5 * lanes / _up(rows, lanes)
    samples = _up(task.batch, lanes) / task.batch / lanes
    costs = {
        "channels": vectors * (sums * half + (8 if not slopes else 5)) + cells * 0.5,
        "samples": samples * (rows * windows * (sums * few + 6) + cells * 5),
    }
    if slopes:
        costs["samples"] += samples * rows * sums * 6
    if across >= lanes and not (task.back and strides > 1):
        whole = rows * _up(windows // across * -(-across // lanes), loops.SPAN)
        costs["positions"] = whole * (sums * few + (4 if rows >= 4 else 6))
        costs["positions"] += cells * (1.2 if task.axes[2].stride > 1 else 0.5)
        if slopes:
            costs["positions"] += rows * sums * 6
    return min(costs, key=costs.__getitem__)


@lru_cache(maxsize=256)
def plan(
    batch: int, groups: int, channels: int, rows: int, image: Sizes, kernel: Sizes, output: Sizes,
    stride: Sizes, low: Sizes, dilation: Sizes, char: str, back: bool = False, slopes: bool = False,
) -> Plan:  # fmt: skip
    """The plan of a convolution; `back`, of its input's gradient, `slopes`, of its filters'."""
    axes = tuple(map(Axis, image, kernel, output, stride, low, dilation))
    task = Task(batch, groups, channels, rows, axes, back, char)
    kind = micro.kind_of(char)
    lanes, size, taps = _best(task, kind.lanes, slopes), kind.size, math.prod(task.kernel)
    samples = lanes == "samples"
    block = min(task.channels, max(1, PRODUCTS // taps))
    width = kind.width if samples else size  # of a packed cell
    strides = math.prod(axis.stride for axis in task.axes if axis.kernel > 1 and not task.back)
    cells = CACHE // (block * width * strides)
    if lanes == "channels":
        cells = min(cells, max(64, 32768 // task.rows), 512)
    elif samples:
        cells = min(cells, max(16, CACHE // (task.rows * width)))
    whole = max(axis.stride for axis in task.axes) if task.back else 1
    batch = -(-task.batch // kind.lanes) if samples else task.batch
    units = list(boxes(task.counts, batch, max(cells, 1), whole, 1 << 30 if lanes == "channels" else 1))
    return _written(task, slopes, kind, lanes, block, units)


def _written(
    task: Task, slopes: bool, kind: Any, lanes: str, block: int, units: list[tuple[int, ...]]
) -> Plan:
    size, taps, samples = kind.size, math.prod(task.kernel), lanes == "samples"
    counts, image = task.counts, task.image
    line_cells = [math.prod(counts[a + 1 :]) for a in range(3)]
    kinds = list(dict.fromkeys((n, axis, lines) for _, n, axis, _, lines in units))
    first = {k: next(u for u in units if (u[1], u[2], u[4]) == k) for k in kinds}
    made = {k: task.box(first[k][3], k[2], k[1], lanes == "positions") for k in kinds}
    largest = made[kinds[0]]
    width = kind.width if samples else size
    plane = math.prod(largest.packed) * width
    together = kinds[0][0] if lanes == "channels" else 1
    channel = _skewed(together * plane, kind.width)
    cells = together * kinds[0][2] * line_cells[kinds[0][1]]
    panel = 2 * kind.width
    direct = lanes == "positions" and block * channel >= task.channels * channel

    places, to, final, ranges, exact = [], [], [], [], []
    for n, axis, lines in kinds:
        for part in made[n, axis, lines].parts:
            at, result = part.places * width, part.cells
            if lanes == "channels":
                each = lines * line_cells[axis]
                at = (np.arange(n)[:, None] * plane + at).ravel()
                result = (np.arange(n)[:, None] * each + result).ravel() * panel
                spare, multiple = cells * panel, loops.tall()
            elif samples:
                result, spare, multiple = result * kind.width, cells * kind.width, loops.SPAN
            else:
                at, final_ = _vectors(at, counts[2], kind), _vectors(result * size, counts[2], kind)
                spare, multiple = 0, loops.SPAN
                more = np.full(-len(at) % multiple, final_[-1])
                final_ = np.concatenate([final_, more])
                result = final_ if direct else np.arange(len(final_)) * kind.width
                final.append(final_)
            exact.append(len(at))
            more = -len(at) % multiple
            start = sum(map(len, places))
            places.append(np.concatenate([at, np.repeat(at[-1:], more)]))
            to.append(np.concatenate([result, np.full(len(places[-1]) - len(result), spare)]))
            ranges += [start, start + len(places[-1])]
    shifts, sources, tap_table, before = [], [], [], 0
    c_step, of_row = (task.rows * taps, taps) if task.back else (taps, task.channels * taps)
    for part in largest.parts:
        tap_table += [before, len(part.taps)]
        before += len(part.taps)
        shifts.append((np.arange(block)[:, None] * channel + part.shifts * width).ravel())
        sources.append((np.arange(task.channels)[:, None] * c_step + part.taps).ravel() * size)
    ones = [] if lanes == "channels" else [block * channel]
    shifts.append(np.array(ones + [0] * 16))
    if slopes:
        slots = cells if samples else max(exact)
    elif samples:
        slots = cells + 1
    else:
        slots = 0 if direct or lanes == "channels" else max(map(len, places))
    rows_of_units = []
    for n0, n, axis, line, lines in units:
        if samples:
            n0, n_real = n0 * kind.lanes, min(kind.lanes, task.batch - n0 * kind.lanes)
        else:
            n_real = n
        copied = []
        for a, steps in enumerate(task.axes):
            start, step, most = steps.corner(line if a == axis else 0, task.back), largest.step[a], largest.size[a]
            j0 = max(0, -(start // step))
            j1 = max(j0, min(most, -(-(image[a] - start) // step)))
            copied.append((j0, j1 - j0, start + j0 * step))
        (z, planes, zi), (y, high, yi), (x, wide, xi) = copied
        groups = largest.groups[2]
        rows_of_units.append([
            n0, n_real, kinds.index((n, axis, lines)), (zi * image[1] + yi) * image[2] + xi,
            (z * largest.packed[1] + y) * largest.packed[2], x // groups, x % groups, planes, high, wide,
            line * line_cells[axis], lines * line_cells[axis],
        ])
    number_blocks = -(-task.channels // block)
    work = task.batch * task.groups * task.rows * math.prod(counts) * task.channels * taps / kind.lanes / 1.5
    splits = 1
    if slopes and work > 4 * CYCLES:
        splits = max(1, min(len(units), SETS // (task.groups * number_blocks), int(work // CYCLES)))
    lines_packed = largest.packed
    values = dict(
        groups=task.groups, channels=task.channels, rows=task.rows, block=block, taps=before,
        boxes=len(units), parts=len(largest.parts), splits=splits, row=of_row * size,
        filters=task.rows * task.channels * taps * size,
        run=1 if len(largest.parts) > 1 else taps if task.back else task.channels * taps,
        image=math.prod(image) * size, result=math.prod(counts) * size, cells=cells,
        height=image[1], width=image[2],
        over=largest.step[0], down=largest.step[1], along=largest.step[2],
        groups_in_row=largest.groups[2], lines=lines_packed[1], line=lines_packed[2],
        channel=channel, sample=plane, packed=block * channel, cut=int(units[0][4] < counts[units[0][2]]),
        turned=_up(math.prod(image[1:]), 8) * kind.width if samples else 0, slots=slots, across=counts[2],
    )  # fmt: skip
    tables = dict(unit=np.array(rows_of_units).ravel(), range=np.array(ranges), count=np.array(exact),
                  tap=np.array(tap_table), place=np.concatenate(places), to=np.concatenate(to),
                  final=np.concatenate(final) if final else np.zeros(0, int),
                  shift=np.concatenate(shifts), source=np.concatenate(sources))  # fmt: skip
    start = len(loops.NAMES)
    for name, table in tables.items():
        values[name], start = start, start + len(table)
    head = np.array([values[name] for name in loops.NAMES])
    table = np.concatenate([head, *tables.values()]).astype(np.int64)
    parts = task.groups * (number_blocks * splits if slopes else len(units))
    return Plan(table, lanes, task.groups, task.rows, 2 * kind.lanes, _up(task.rows, 2 * kind.lanes), task.channels * taps, len(units), number_blocks, splits, max(1, int(CYCLES * parts // max(work, 1))))


def _skewed(size: int, width: int) -> int:
    """A distance of channels at which they do not fall into the same few sets of a cache."""
    size = _up(size, width)
    return size + width if size % 1024 == 0 else size


def _vectors(cells: Any, across: int, kind: Any) -> Any:
    """Of each line's cells those where a vector starts; the last one ends with the line."""
    starts = np.minimum(np.arange(0, across, kind.lanes), across - kind.lanes)
    return cells.reshape(-1, across)[:, starts].ravel()


def _correlate(at: Plan, x: Any, w: Any, bias: Any, y: Any) -> None:
    """Run what `at` plans on flat arrays."""
    char = x.dtype.char
    if at.lanes != "channels":
        if bias is None:
            bias = np.zeros(at.groups * at.rows, x.dtype)
        micro.loops(loops.positions, char)(at.groups * at.boxes, at.grain, at.table, x, w, bias, y)
        return
    panels = np.empty(at.groups * at.panels * at.products, x.dtype)
    start = np.zeros((at.groups, at.panels), x.dtype)
    if bias is not None:
        start[:, : at.rows] = bias.reshape(at.groups, at.rows)
    micro.loops(loops.panels, char)(
        at.groups * at.panels // at.panel, max(1, CYCLES // (at.products * at.panel)), at.table, w, panels, bias_none(char), bias_none(char)
    )
    micro.loops(loops.channels, char)(at.groups * at.boxes, at.grain, at.table, x, panels, start.reshape(-1), y)


@cache
def bias_none(char):
    return np.zeros(0, char)


def convolve(
    x: Any, w: Any, bias: Any, output: Sizes, stride: Sizes, low: Sizes, dilation: Sizes
) -> Any:
    """The convolution of x (batch, groups, channels, 3 axes) with w (groups, rows, channels, ...).

    Args:
        x: contiguous, float32 or float64.
        w: of the same type, contiguous.
        bias: (groups, rows), contiguous, or None.
        output: the result's three lengths; the padding after the image follows from them.
        stride: of the three axes, as the next two.
        low: padding before the image.
        dilation: distance of two taps.

    Returns:
        (batch, groups, rows, *output).
    """
    batch, groups, channels = x.shape[:3]
    rows = w.shape[1]
    at = plan(batch, groups, channels, rows, x.shape[3:], w.shape[3:], output, stride, low, dilation, x.dtype.char)
    y = np.empty((batch, groups, rows, *output), x.dtype)
    _correlate(at, x.reshape(-1), w.reshape(-1), None if bias is None else bias.reshape(-1), y.reshape(-1))
    return y


def convolve_input(g: Any, w: Any, image: Sizes, stride: Sizes, low: Sizes, dilation: Sizes) -> Any:
    """The gradient of `convolve` for x: (batch, groups, channels, *image)."""
    batch, groups, channels = g.shape[:3]
    rows = w.shape[2]
    at = plan(batch, groups, channels, rows, image, w.shape[3:], g.shape[3:], stride, low, dilation, g.dtype.char, back=True)
    x = np.empty((batch, groups, rows, *image), g.dtype)
    _correlate(at, g.reshape(-1), w.reshape(-1), None, x.reshape(-1))
    return x


def convolve_weight(
    g: Any, x: Any, kernel: Sizes, stride: Sizes, low: Sizes, dilation: Sizes
) -> tuple[Any, Any]:
    """The gradients of `convolve` for w and for bias."""
    batch, groups, channels = x.shape[:3]
    rows = g.shape[2]
    at = plan(batch, groups, channels, rows, x.shape[3:], kernel, g.shape[3:], stride, low, dilation, x.dtype.char, slopes=True)
    dw = np.empty((at.splits, groups, rows, channels, *kernel), x.dtype)
    db = np.empty((at.splits, groups, rows), x.dtype)
    write = loops.channel_slopes if at.lanes == "channels" else loops.position_slopes
    micro.loops(write, x.dtype.char)(
        at.splits * groups * at.blocks, at.grain, at.table, g.reshape(-1), x.reshape(-1), dw.reshape(-1), db.reshape(-1)
    )
    return (dw[0], db[0]) if at.splits == 1 else (dw.sum(axis=0), db.sum(axis=0))
