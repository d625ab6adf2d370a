"""Where a convolution finds its cells: boxes, and the places in them that windows and taps have.

A box is a part of the result: some samples of a batch, or a strip of one, some of its lines. For it
the part of the image that its windows see is copied (packed), padding and all; there each window
has a place, each tap a shift, and the tap sees the cell at place + shift. So it is along each of
three axes, and places and shifts of the axes add up.

Backwards in a convolution with strides, which taps see a cell depends on the cell's phase. The
cells of one phase are a `Part`, with taps of their own; forwards there is one part.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Axis", "Box", "Part", "Sizes", "Strip", "box", "strips"]

Sizes = tuple[int, ...]  # one for each of the three axes
Strip = tuple[int, int]  # the first line, and how many


class Part(NamedTuple):
    """Cells of a result that the same taps see."""

    cells: Any  # which, counted in the box
    places: Any  # where their windows start in the packed image
    taps: Any  # which taps, counted in the filter
    shifts: Any  # where these stand, from the window's start


class Box(NamedTuple):
    """One axis of a box, or all three.

    `packed`: cells of the packed image; `size` of them are the image's every `step`-th. `phases`:
    they stand in so many groups, each of every phases-th cell, so that what windows with a stride
    see lies side by side.
    """

    packed: Any
    size: Any
    step: Any
    phases: Any
    parts: list[Part]


class Axis(NamedTuple):
    """One axis of a convolution: `image` cells, `low` of padding before them, `output` windows."""

    image: int
    kernel: int
    output: int
    stride: int
    low: int
    dilation: int

    def windows(self, count: int, together: bool = False) -> Box:
        """A box of `count` windows. `together`: see `phases` of Box."""
        cells, stride = np.arange(count), self.stride
        if self.kernel == 1:  # what lies between the windows is left out
            part = Part(cells, cells, np.zeros(1, int), np.zeros(1, int))
            return Box(count, count, stride, 1, [part])
        taps = np.arange(self.kernel)
        shifts = taps * self.dilation
        size = (count - 1) * stride + int(shifts[-1]) + 1
        if not together or stride == 1:
            return Box(size, size, 1, 1, [Part(cells, cells * stride, taps, shifts)])
        group = -(-size // stride)
        part = Part(cells, cells, taps, shifts % stride * group + shifts // stride)
        return Box(group * stride, size, 1, stride, [part])

    def cells(self, count: int) -> Box:
        """A box of the image's first `count` cells: what packs is the gradient of windows.

        Cell i meets tap t in window (i + low - t * dilation) / stride, where that is whole.
        """
        at = np.arange(count) + self.low
        taps = np.arange(self.kernel) * self.dilation
        start, reach, parts = self.corner(0, back=True), int(taps[-1]) // self.stride, []
        for phase in range(self.stride):
            cells = np.flatnonzero(at % self.stride == phase)
            seen = np.flatnonzero(taps % self.stride == phase)
            places = at[cells] // self.stride - start - reach
            parts.append(Part(cells, places, seen, reach - taps[seen] // self.stride))
        size = int(at[-1]) // self.stride - start + 1
        return Box(size, size, 1, 1, parts)

    def corner(self, first: int, back: bool) -> int:
        """Where what is packed for a box begins, whose first window (or cell) is `first`."""
        if not back:
            return first * self.stride - self.low
        return (first + self.low) // self.stride - (self.kernel - 1) * self.dilation // self.stride

    def inside(
        self, length: int, size: int, step: int, first: int, back: bool
    ) -> tuple[int, int, int]:
        """Of what is packed of an image of that length, the part that is not padding.

        Its first cell in the image, how many cells, the first among those that are packed.
        """
        start = self.corner(first, back)
        before = max(0, -(start // step))
        end = min(size, -(-(length - start) // step))
        return start + before * step, max(0, end - before), before


def box(axes: list[Box], counts: Sizes, kernel: Sizes) -> Box:
    """The product of three axes, whose results have `counts` cells and filters `kernel` taps."""

    def flat(arrays: Any, sizes: Any) -> Any:
        a, b, c = arrays
        return ((a[:, None] * sizes[1] + b)[:, :, None] * sizes[2] + c).ravel()

    packed = tuple(axis.packed for axis in axes)
    parts = [
        Part(
            flat([p.cells for p in three], counts),
            flat([p.places for p in three], packed),
            flat([p.taps for p in three], kernel),
            flat([p.shifts for p in three], packed),
        )
        for three in itertools.product(*(axis.parts for axis in axes))
    ]
    each = [tuple(getattr(axis, name) for axis in axes) for name in ("size", "step", "phases")]
    return Box(packed, *each, parts)  # type: ignore[arg-type, call-arg]


def strips(counts: Sizes, cells: int, whole: Sizes, least: int = 1) -> tuple[int, list[Strip]]:
    """The axis along which a result is cut into strips of about `cells` cells, and the strips.

    It is the first that has a length. `whole`: along each axis, strips begin at multiples of it;
    `least`: the last axis is not cut into fewer cells.
    """
    axis = next((a for a, n in enumerate(counts) if n > 1), 2)
    length = counts[axis]
    lines = min(length, max(1, cells // (math.prod(counts) // length)))
    lines = -(-length // -(-length // lines))  # all of about one length
    lines = -(-lines // whole[axis]) * whole[axis]
    if axis == 2:
        lines = max(lines, least)
        while lines < length and 0 < length % lines < least:
            lines += whole[axis]
    return axis, [(line, min(lines, length - line)) for line in range(0, length, lines)]
