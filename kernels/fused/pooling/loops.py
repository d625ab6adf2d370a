"""The loops of pooling: `planning.py` says how images are laid out.

Letters: x the image, y the result, g its gradient; n images, m slots, t taps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from ...micro.lines import collect, copy_line, deal, in_vectors
from ...micro.writer import Kind, Number, Writer
from .planning import NAMES

__all__ = ["maxima", "means", "spread_maxima", "spread_means"]


class _At:
    """The numbers of a plan, by name."""

    def __init__(self, f: Writer, plan: Number) -> None:
        self._f, self._plan = f, plan

    def __getattr__(self, name: str) -> Number:
        return self._f.word(self._plan, NAMES.index(name))

    def entry(self, table: str, i: Number) -> Number:
        return self._f.word(self._plan, getattr(self, table) + i)


# Lines of images, and of results ------------------------------------------------------------------


def _image_lines(
    f: Writer, kind: Kind, at: _At, n: Number, there: Number, images: Number, packed: Number,
    move: Callable[..., None],
) -> None:  # fmt: skip
    """Writes move(line of an image, line in the slots, ...) for all lines of `there` images."""
    rows, width, along, apart = at.rows, at.width, at.along, at.phase * kind.size
    first, image, size = at.left, at.image * kind.size, kind.size
    with f.loop(0, there) as i, f.loop(0, rows) as row:
        line = images + ((n + i) * rows + row) * width * size
        slot = packed + i * image + at.entry("row", row)
        move(f, kind, line, slot, width, first, along, apart)


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


def _collect(f: Writer, kind: Kind, line: Number, slot: Number, *phases: Number) -> None:
    collect(f, kind, slot, line, *phases)


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
    least = f.select(
        (at.rectified > 0).value,
        *(ir.Constant(kind.vector, [start] * kind.lanes) for start in (0.0, -math.inf)),
    )
    with f.scratch(packed * size, slots * size, slots) as (cells, best, chosen):
        _fill(f, kind, cells, packed, -math.inf)

        def body(n: Number, there: Number) -> None:
            _image_lines(f, kind, at, n, there, x, cells, deal)
            with f.loop(0, slots, 2 * kind.lanes) as m:
                places = [m, m + kind.lanes]

                def larger(t: Number, values: list[Any]) -> list[Any]:
                    new, tap = [], at.entry("shift", t)
                    for i, place in enumerate(places):
                        now, which = values[2 * i], values[2 * i + 1]
                        seen = f.vector(cells + place * size + tap, kind)
                        better = f.either_of(f.larger(seen, now), f.is_nan(seen))
                        new += [
                            f.select(better, seen, now),
                            f.select(better, f.all(t, kind), which),
                        ]
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


def spread_maxima(
    f: Writer, kind: Kind, first: Number, last: Number, plan: Number, g: Number, choice: Number,
    dx: Number, _: Number,
) -> None:  # fmt: skip
    """Images of zeros, where each window's gradient is added to the cell that was chosen."""
    at = _At(f, plan)
    cells, each = at.rows * at.width, at.planes * at.lines * at.line

    def body(n: Number, there: Number) -> None:
        with f.either(at.pairs > 0) as (then, otherwise):
            with then, f.loop(n, n + there) as i:
                _spread_pairs(
                    f,
                    kind,
                    at,
                    g + i * each * kind.size,
                    choice + i * each,
                    dx + i * cells * kind.size,
                )
            with otherwise, f.loop(n, n + there) as i:
                _add_chosen(
                    f,
                    kind,
                    at,
                    g + i * each * kind.size,
                    choice + i * each,
                    dx + i * cells * kind.size,
                )

    _batches(f, at, first, last, body)


def _add_chosen(f: Writer, kind: Kind, at: _At, g: Number, choice: Number, dx: Number) -> None:
    """Writes one image, window by window."""
    size, line, along, taps = kind.size, at.line, at.along, at.taps
    f.clear(dx, at.rows * at.width * size)
    with f.loop(0, at.planes * at.lines) as i:
        corner = dx + at.entry("corner", i)
        with f.loop(0, line) as x:
            m = i * line + x
            t = f.byte(choice + m)
            with f.when(t < taps):  # else it has no cell
                place = corner + x * along * size + at.entry("cell", t)
                f.put(place, f.add(f.get(place, kind), f.get(g + m * size, kind)), kind)


def _spread_pairs(f: Writer, kind: Kind, at: _At, g: Number, choice: Number, dx: Number) -> None:
    """The same of windows that lie side by side and are two cells wide: whole vectors of them."""
    size, line, width = kind.size, at.line, at.width
    f.clear(dx, at.rows * width * size)

    def pairs(kind: Kind, m: Number, t: Number, to: Number) -> None:
        """Writes the cells of `lanes` windows in one line of the image."""
        zero = ir.Constant(kind.vector, [0] * kind.lanes)
        value, which = f.vector(g + m * size, kind), f.bytes(choice + m, kind)
        left, right = (f.select(f.same(which, f.all(t + i, kind)), value, zero) for i in range(2))
        for half in range(2):
            start = half * kind.lanes // 2
            lanes = [start + i // 2 + i % 2 * kind.lanes for i in range(kind.lanes)]
            f.put_vector(to + half * kind.width, f.shuffled(left, right, lanes), kind)

    def pair(m: Number, t: Number, to: Number) -> None:
        # As integers: LLVM makes jumps of choices between numbers, which nobody can predict.
        bits, which = kind.integers.element, f.byte(choice + m)
        value = f.builder.load(f.pointer(g + m * size, bits), align=size)
        for i in range(2):
            kept = f.select(f.same(which.value, (t + i).value), value, ir.Constant(bits, 0))
            f.builder.store(kept, f.pointer(to + i * size, bits), align=size)

    with f.loop(0, at.rows) as row:
        i, t, to = at.entry("above", row), at.entry("tap", row), dx + row * width * size

        def vectors(kind: Kind) -> None:
            with f.loop(0, line, kind.lanes) as start:
                x = f.least(start, line - kind.lanes)
                pairs(kind, i * line + x, t, to + x * 2 * size)

        with f.when(i >= 0):
            done = in_vectors(f, kind, line, vectors)
            with f.when(done < line), f.loop(0, line) as x:
                pair(i * line + x, t, to + x * 2 * size)


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
                    tap = at.entry("shift", t)
                    return [
                        f.add(v, f.vector(p + tap, kind))
                        for v, p in zip(values, places, strict=True)
                    ]

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
    apart = (at.apart > 0).value
    with f.scratch(at.packed * size, at.slots * size) as (cells, gradients):
        f.clear(gradients, at.slots * size)

        def body(n: Number, there: Number) -> None:
            _result_lines(f, at, n, there, lambda cell, slot, count: copy_line(
                f, kind, g + cell * size, gradients + slot * size, count))  # fmt: skip
            with f.loop(0, at.slots, kind.lanes) as m:
                place = gradients + m * size
                value = f.times(f.vector(place, kind), f.vector(weight + m * size, kind))
                f.put_vector(place, value, kind)
            f.clear(cells, at.packed * size)
            with f.loop(0, at.taps) as t:
                place, slots = cells + at.entry("shift", t), at.slots
                with f.loop(0, slots, kind.lanes) as m:
                    where, value = place + m * size, f.vector(gradients + m * size, kind)
                    more = f.add(f.vector(where, kind), value)
                    more = f.select(apart, value, more)  # -0.0 stays what it is
                    f.put_vector(where, more, kind)
            _image_lines(f, kind, at, n, there, dx, cells, _collect)

        _batches(f, at, first, last, body)
