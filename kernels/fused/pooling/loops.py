"""The loops of pooling: `planning.py` says how images are laid out.

Letters: x the image, y the result, g its gradient; n images, m slots, t taps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from ...micro.lines import collect, copy_line, deal
from ...micro.writer import Kind, Number, Writer
from .planning import NAMES

__all__ = ["maxima", "means", "spread_maxima", "spread_means"]


class _At:
    """The numbers of a plan, by name."""

    def __init__(self, f: Writer, plan: Number) -> None:
        self._f, self._plan = f, plan

    def __getattr__(self, name: str) -> Number:
        return self._f.word(self._plan, NAMES.index(name))

    def tap(self, t: Number) -> Number:
        """Where tap t stands, from a window's slot."""
        return self._f.word(self._plan, self.shift + t)


# Lines of images, and of results ------------------------------------------------------------------


def _image_lines(
    f: Writer, kind: Kind, at: _At, n: Number, there: Number, images: Number, packed: Number,
    move: Callable[..., None],
) -> None:  # fmt: skip
    """Writes move(line of an image, line in the slots, ...) for all lines of `there` images."""
    depth, height, width, over, down, along = (
        getattr(at, name) for name in ("depth", "height", "width", "over", "down", "along")
    )
    before_z, before_y, before_x, phase = at.before_z, at.before_y, at.before_x, at.phase
    image, high, wide, size = at.image, at.high, at.wide, kind.size
    with f.loop(0, there) as i, f.loop(0, depth) as z, f.loop(0, height) as y:
        line = images + (((n + i) * depth + z) * height + y) * width * size
        in_z, in_y = z + before_z, y + before_y
        slot = i * image + (in_z // over * high + in_y // down) * wide + before_x // along
        slot = slot + (in_z % over * down + in_y % down) * along * phase
        move(f, kind, line, packed + slot * size, width, before_x % along, along, phase * size)


def _result_lines(
    f: Writer, at: _At, n: Number, there: Number, move: Callable[[Number, Number, Number], None]
) -> None:
    """Writes move(cell of the results, slot, count) for all of `there` images' lines."""
    planes, lines, line = at.planes, at.lines, at.line
    image, high, wide, each = at.image, at.high, at.wide, at.planes * at.lines * at.line
    with f.either(image.equals(each)) as (then, otherwise):
        with then:  # no slot is without a window
            move(n * each, f.number(0), there * each)
        with otherwise, f.loop(0, there) as i, f.loop(0, planes) as z, f.loop(0, lines) as y:
            cell = (n + i) * each + (z * lines + y) * line
            move(cell, i * image + (z * high + y) * wide, line)


def _fill(f: Writer, kind: Kind, target: Number, count: Number, value: float) -> None:
    vector = ir.Constant(kind.vector, [value] * kind.lanes)
    with f.loop(0, count, kind.lanes) as m:
        f.put_vector(target + m * kind.size, vector, kind)


def _batches(f: Writer, at: _At, first: Number, last: Number, body: Any) -> None:
    """Writes body(n, there) for images that are worked on at once: the first, how many."""
    together, images = at.together, at.images
    with f.loop(first, last) as u:
        body(u * together, f.least(together, images - u * together))


# Maxima -------------------------------------------------------------------------------------------


def maxima(
    f: Writer, kind: Kind, first: Number, last: Number, plan: Number, x: Number, start: Number,
    y: Number, choice: Number,
) -> None:  # fmt: skip
    """Each window's largest cell, the first of equal ones or the last NaN, and which tap it is.

    start: for each slot the tap that counts where all cells are minus infinity.
    """
    at, size = _At(f, plan), kind.size
    slots, packed, taps = at.slots, at.packed, at.taps
    least = ir.Constant(kind.vector, [-math.inf] * kind.lanes)
    with f.scratch(packed * size, slots * size, slots) as (cells, best, chosen):
        _fill(f, kind, cells, packed, -math.inf)

        def body(n: Number, there: Number) -> None:
            _image_lines(f, kind, at, n, there, x, cells, deal)
            with f.loop(0, slots, 2 * kind.lanes) as m:
                places = [m, m + kind.lanes]

                def larger(t: Number, values: list[Any]) -> list[Any]:
                    new, tap = [], at.tap(t)
                    for i, place in enumerate(places):
                        now, which = values[2 * i], values[2 * i + 1]
                        seen = f.vector(cells + place * size + tap, kind)
                        better = f.either_of(f.larger(seen, now), f.is_nan(seen))
                        new += [f.select(better, seen, now), f.select(better, f.all(t, kind), which)]
                    return new

                begin = [v for p in places for v in (least, f.bytes(start + p, kind))]
                found = f.fold(taps, begin, larger)
                for i, place in enumerate(places):
                    f.put_vector(best + place * size, found[2 * i], kind)
                    f.put_bytes(chosen + place, found[2 * i + 1], kind)

            def move(cell: Number, slot: Number, count: Number) -> None:
                copy_line(f, kind, best + slot * size, y + cell * size, count)
                f.copy(choice + cell, chosen + slot, count)

            _result_lines(f, at, n, there, move)

        _batches(f, at, first, last, body)


def _spread(
    f: Writer, kind: Kind, at: _At, n: Number, there: Number, cells: Number, dx: Number,
    part: Callable[[Number, Number], Any],
) -> None:  # fmt: skip
    """Writes images that are the sums of part(m, t), a vector for the cells that taps t see."""
    f.clear(cells, at.packed * kind.size)
    slots = at.slots
    with f.loop(0, at.taps) as t:
        place = cells + at.tap(t)
        with f.loop(0, slots, kind.lanes) as m:
            where = place + m * kind.size
            f.put_vector(where, f.add(f.vector(where, kind), part(m, t)), kind)
    _image_lines(f, kind, at, n, there, dx, cells, lambda f, kind, line, slot, *more: collect(f, kind, slot, line, *more))


def spread_maxima(
    f: Writer, kind: Kind, first: Number, last: Number, plan: Number, g: Number, choice: Number,
    dx: Number, _: Number,
) -> None:  # fmt: skip
    """Images of zeros, where each window's gradient is added to the cell that was chosen."""
    at, size = _At(f, plan), kind.size
    zero = ir.Constant(kind.vector, [0] * kind.lanes)
    with f.scratch(at.packed * size, at.slots * size, at.slots) as (cells, gradients, chosen):
        f.clear(gradients, at.slots * size)  # where there is no window it stays so
        f.clear(chosen, at.slots)

        def body(n: Number, there: Number) -> None:
            def move(cell: Number, slot: Number, count: Number) -> None:
                copy_line(f, kind, g + cell * size, gradients + slot * size, count)
                f.copy(chosen + slot, choice + cell, count)

            def part(m: Number, t: Number) -> Any:
                this = f.same(f.bytes(chosen + m, kind), f.all(t, kind))
                return f.select(this, f.vector(gradients + m * size, kind), zero)

            _result_lines(f, at, n, there, move)
            _spread(f, kind, at, n, there, cells, dx, part)

        _batches(f, at, first, last, body)


# Means --------------------------------------------------------------------------------------------


def means(
    f: Writer, kind: Kind, first: Number, last: Number, plan: Number, x: Number, weight: Number,
    y: Number, _: Number,
) -> None:  # fmt: skip
    """The sum of each window's cells, times the weight of its slot."""
    at, size = _At(f, plan), kind.size
    slots, packed, taps = at.slots, at.packed, at.taps
    zero = ir.Constant(kind.vector, [0] * kind.lanes)
    with f.scratch(packed * size, slots * size) as (cells, sums):
        f.clear(cells, packed * size)

        def body(n: Number, there: Number) -> None:
            _image_lines(f, kind, at, n, there, x, cells, deal)
            with f.loop(0, slots, 2 * kind.lanes) as m:
                places = [cells + m * size, cells + (m + kind.lanes) * size]

                def more(t: Number, values: list[Any]) -> list[Any]:
                    tap = at.tap(t)
                    return [f.add(v, f.vector(p + tap, kind)) for v, p in zip(values, places, strict=True)]

                found = f.fold(taps, [zero, zero], more)
                for i, value in enumerate(found):
                    place = (m + i * kind.lanes) * size
                    f.put_vector(sums + place, f.times(value, f.vector(weight + place, kind)), kind)
            _result_lines(f, at, n, there, lambda cell, slot, count: copy_line(
                f, kind, sums + slot * size, y + cell * size, count))  # fmt: skip

        _batches(f, at, first, last, body)


def spread_means(
    f: Writer, kind: Kind, first: Number, last: Number, plan: Number, g: Number, weight: Number,
    dx: Number, _: Number,
) -> None:  # fmt: skip
    """The transpose: each window's gradient, times its weight, added to all of its cells."""
    at, size = _At(f, plan), kind.size
    with f.scratch(at.packed * size, at.slots * size) as (cells, gradients):
        f.clear(gradients, at.slots * size)

        def body(n: Number, there: Number) -> None:
            _result_lines(f, at, n, there, lambda cell, slot, count: copy_line(
                f, kind, g + cell * size, gradients + slot * size, count))  # fmt: skip
            with f.loop(0, at.slots, kind.lanes) as m:
                place = gradients + m * size
                value = f.times(f.vector(place, kind), f.vector(weight + m * size, kind))
                f.put_vector(place, value, kind)
            _spread(f, kind, at, n, there, cells, dx, lambda m, t: f.vector(gradients + m * size, kind))

        _batches(f, at, first, last, body)
