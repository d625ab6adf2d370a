"""Plans of pooling: how images are laid out so that windows side by side see cells side by side.

Along each axis, an image with its padding is split into phases: every stride-th cell. Where window
m begins, in phase 0, stands cell m; tap t of the window sees cell m + t * dilation // stride of
phase t * dilation % stride. So it is along three axes, and over several images laid out one after
the other: slot m of the result, and the cells that its taps see at m + shift[t], run side by side.
At the ends of lines there may be slots without a window, which are computed and thrown away.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ... import micro

__all__ = ["NAMES", "NONE", "Plan", "first_taps", "plan"]

Sizes = tuple[int, ...]  # one for each of the axes

SLOTS = 1024  # of the images that are worked on at once,
CELLS = 16_384  # or so many cells: what they touch stays in the first two caches
CYCLES = 100_000  # of what one thread does at once: about 30 us
LINE = 20  # cycles of a line, however short
NONE = 255  # the choice of a window without a cell

NAMES = (
    "images", "together",  # how many there are; and are worked on at once
    "slots",  # of these, in whole blocks
    "image",  # slots of one
    "planes", "lines", "line",  # of the result, in windows
    "high", "wide",  # slots of a plane's lines, and of a line
    "rows", "width",  # lines of an image, and their cells
    "along", "left",  # stride in a line; the phase of its first cell
    "phase", "packed",  # slots from one phase to the next; of all phases
    "taps",  # of a window
    "rectified",  # 1: cells below 0 count as 0, and are not chosen
    "pairs",  # 1: windows lie side by side, two cells wide
    "apart",  # 1: no cell lies in two windows
    # Tables. By the image's lines: where they begin in the slots; and if windows lie side by side,
    "row", "above", "tap",  # which line of windows sees them (-1: none), with which tap first.
    # By taps: where they stand from a window's slot; where in the image, from the window's corner.
    "shift", "cell",
    "corner",  # by lines of windows: the first one's corner in the image
)  # fmt: skip


class Plan(NamedTuple):
    """A table for the loops, and what their caller needs of it."""

    table: Any
    count: int  # type: ignore[assignment]
    grain: int  # batches of what one thread does at once
    slots: Any  # for each slot, which window of an image it is; -1: none
    first: Any  # for each slot the first tap that lies in the image, or NONE


def first_taps(
    image: Sizes, kernel: Sizes, output: Sizes, stride: Sizes, low: Sizes, dilation: Sizes
) -> Any:
    """For each window the first of its taps that lies in the image, or NONE: (*output) uint8."""
    first, outside = np.zeros((1,) * len(image), np.int64), np.zeros((1,) * len(image), bool)
    for a, (n, k, o, s, p, d) in enumerate(
        zip(image, kernel, output, stride, low, dilation, strict=True)
    ):
        shape = [1] * len(image)
        shape[a] = o
        start = np.arange(o) * s - p
        tap = np.maximum(0, -(start // d))
        outside = outside | ((tap >= k) | (start + tap * d >= n)).reshape(shape)
        first = first * k + tap.reshape(shape)
    return np.where(outside, NONE, first).astype(np.uint8)


@lru_cache(maxsize=128)
def plan(
    images: int, image: Sizes, kernel: Sizes, output: Sizes, stride: Sizes, low: Sizes,
    dilation: Sizes, char: str, rectified: bool = False,
) -> Plan:  # fmt: skip
    """The plan for windows on `images` images, whose lengths are for three axes."""
    kind = micro.kind_of(char)
    axes = list(zip(image, kernel, output, stride, low, dilation, strict=True))
    size = [max(o + (k - 1) * d // s, -(-(n + p) // s)) for n, k, o, s, p, d in axes]
    one, phases = math.prod(size), math.prod(stride)
    together = max(1, min(images, SLOTS // one, CELLS // (one * phases)))
    taps = list(itertools.product(*(range(0, k * d, d) for _, k, _, _, _, d in axes)))
    ahead = [_flat([t // s for t, s in zip(tap, stride, strict=True)], size) for tap in taps]
    step = 2 * kind.lanes
    slots = -(-together * one // step) * step
    phase = slots + -(-max(ahead) // step) * step

    def phase_of(place: Any) -> int:
        return _flat([t % s for t, s in zip(place, stride, strict=True)], stride) * phase

    rows = list(
        itertools.product(range(low[0], low[0] + image[0]), range(low[1], low[1] + image[1]))
    )
    at_row = [
        phase_of((z, y, 0)) + _flat([z // stride[0], y // stride[1], low[2] // stride[2]], size)
        for z, y in rows
    ]
    pairs = kernel[2] == stride[2] == 2 and low[2] == 0 and all(
        d == 1 or k == 1 for k, d in zip(kernel, dilation, strict=True)
    ) and all(k <= s for k, s in zip(kernel, stride, strict=True))  # fmt: skip
    pairs = pairs and 2 * output[2] <= image[2]  # in ceil mode the last window may reach beyond
    apart = all((k - 1) * d < s for k, s, d in zip(kernel, stride, dilation, strict=True))
    tables = {
        "row": [kind.size * i for i in at_row],
        "above": [-1] * len(rows),
        "tap": [0] * len(rows),
        "shift": [kind.size * (phase_of(t) + a) for t, a in zip(taps, ahead, strict=True)],
        "cell": [kind.size * _flat(tap, image) for tap in taps],  # type: ignore[arg-type]
        "corner": [
            kind.size * _flat([z * stride[0] - low[0], y * stride[1] - low[1], -low[2]], image)
            for z, y in itertools.product(*map(range, output[:2]))
        ],
    }
    if pairs:
        for i, (z, y) in enumerate(rows):
            (a, tap_z), (b, tap_y) = divmod(z, stride[0]), divmod(y, stride[1])
            if tap_z < kernel[0] and tap_y < kernel[1] and a < output[0] and b < output[1]:
                tables["above"][i] = a * output[1] + b
                tables["tap"][i] = (tap_z * kernel[1] + tap_y) * 2
    numbers = dict(
        images=images, together=together, slots=slots, image=one, planes=output[0],
        lines=output[1], line=output[2], high=size[1], wide=size[2], rows=len(rows),
        width=image[2], along=stride[2], left=low[2] % stride[2], phase=phase,
        packed=phase * phases, taps=len(taps), pairs=int(pairs), apart=int(apart),
        rectified=int(rectified),
    )  # fmt: skip
    start = len(NAMES)
    for name, table in tables.items():
        numbers[name], start = start, start + len(table)
    head = [numbers[name] for name in NAMES]
    windows = np.full(size, -1)
    windows[tuple(map(slice, output))] = np.arange(math.prod(output)).reshape(output)
    every = np.full(slots, -1)
    every[: together * one] = np.tile(windows.ravel(), together)
    first = first_taps(image, kernel, output, stride, low, dilation).ravel()
    first = np.full_like(first, NONE) if rectified else first
    cycles = slots * (len(taps) * 5 + phases * 4) / kind.lanes + together * len(rows) * LINE
    return Plan(
        np.array([*head, *itertools.chain(*tables.values())], np.int64), -(-images // together),
        max(1, int(CYCLES // cycles)), every, np.where(every < 0, np.uint8(NONE), first[every]),
    )  # fmt: skip


def _flat(place: list[int], sizes: Any) -> int:
    return (place[0] * sizes[1] + place[1]) * sizes[2] + place[2]
