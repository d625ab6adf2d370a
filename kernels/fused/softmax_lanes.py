"""Softmax, its logarithm and the cross-entropy of rows side by side, a lane of a vector for each.

For rows that are not much longer than a vector, or whose numbers lie apart, as along any axis but
the last: a loop along such a row would do most of it number by number. Rows that lie one after the
other are put side by side first, some at a time, in the first cache.

The formulas are those of `softmax.py` beside this, which chooses. Sums are of the arrays' type, in
order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..functions import formulas
from ..functions.writing import maximum
from ..micro.elements import Elements, each
from ..micro.writer import Kind, Number, Writer

__all__ = [
    "cross_entropy_across", "cross_entropy_rows", "log_softmax_across", "log_softmax_back_across",
    "log_softmax_back_rows", "log_softmax_rows", "plan", "softmax_across", "softmax_back_across",
    "softmax_rows",
]  # fmt: skip

ROWS = 64  # that are put side by side


class Lines:
    """Rows side by side: their numbers c are a line.

    count, n: how many rows, and numbers of each.  apart: bytes from a line to the next.  starts:
    where the first lines of x, g and y begin.  room: for two lines.
    """

    def __init__(
        self, f: Writer, kind: Kind, count: Number, n: Number, apart: Number,
        starts: dict[str, Number], room: Number,
    ) -> None:  # fmt: skip
        self.f, self.kind, self.count, self.n = f, kind, count, n
        self.apart, self.starts = apart, starts
        self.kept = {"top": room, "total": room + count * kind.size}
        constants = formulas.FLOAT32 if kind.dtype == "float32" else formulas.FLOAT64
        self.exp, self.log = formulas.exp(constants), formulas.log(constants)

    @contextmanager
    def once(self) -> Iterator[Elements]:
        """What is written inside is done for each row, at its first number."""
        with each(self.f, self.kind, self.count, {**self.starts, **self.kept}) as at:
            yield at

    @contextmanager
    def along(self, first: int = 0) -> Iterator[Elements]:
        """What is written inside is done for each number of each row, from `first` on."""
        with self.f.loop(first, self.n) as c:
            lines = {name: start + c * self.apart for name, start in self.starts.items()}
            with each(self.f, self.kind, self.count, {**lines, **self.kept}) as at:
                yield at

    def find_tops(self) -> None:
        with self.once() as at:
            at["top"] = at["x"]
        with self.along(1) as at:
            at["top"] = maximum(at["top"], at["x"])

    def add_up(self, term: Callable[[Elements], Any]) -> None:
        with self.once() as at:
            at["total"] = term(at)
        with self.along(1) as at:
            at["total"] = at["total"] + term(at)


def _softmax(lines: Lines) -> None:
    def term(at: Elements) -> Any:
        e = lines.exp(at["x"] - at["top"])
        at["y"] = e
        return e

    lines.find_tops()
    lines.add_up(term)
    with lines.along() as at:
        at["y"] = at["y"] / at["total"]


def _log_softmax(lines: Lines) -> None:
    lines.find_tops()
    lines.add_up(lambda at: lines.exp(at["x"] - at["top"]))
    with lines.once() as at:
        at["total"] = lines.log(at["total"])
    with lines.along() as at:
        at["y"] = (at["x"] - at["top"]) - at["total"]


def _cross_entropy(
    lines: Lines, m: Number, row: Number, index: Number, loss: Number,
    score_at: Callable[[Number, Number], Number],
) -> None:  # fmt: skip
    """The losses of m rows, whose classes stand in `index` from number `row` on, and the slopes.

    score_at: where the score of the i-th of the rows for a class is left unchanged.
    """
    f, kind = lines.f, lines.kind
    _softmax(lines)
    with lines.once() as at:
        at["total"] = lines.log(at["total"])
    with f.loop(0, m) as i:
        lane, target = i * kind.size, f.word(index, row + i)
        top, total = (f.get(lines.kept[name] + lane, kind) for name in ("top", "total"))
        value = f.builder.fsub(total, f.builder.fsub(f.get(score_at(i, target), kind), top))
        f.put(loss + (row + i) * kind.size, value, kind)
        slope = lines.starts["y"] + target * lines.apart + lane
        f.put(slope, f.builder.fsub(f.get(slope, kind), f.constant(1, kind)), kind)


def _softmax_back(lines: Lines) -> None:
    lines.add_up(lambda at: at["x"] * at["g"])
    with lines.along() as at:
        at["y"] = at["x"] * (at["g"] - at["total"])


def _log_softmax_back(lines: Lines) -> None:
    lines.add_up(lambda at: at["g"])
    with lines.along() as at:
        at["y"] = at["g"] - lines.exp(at["x"]) * at["total"]


# Rows that lie one after the other ----------------------------------------------------------------


def _in_rows(
    f: Writer, kind: Kind, rows: Number, n: Number, places: dict[str, Number],
    formula: Callable[[Lines, Number, Number], None],
) -> None:  # fmt: skip
    """Loops over rows of n numbers; those of x, g and y begin at these places.

    formula: for some of them, side by side; with the number of the first one, and how many.
    """
    size, pitch = kind.size, n * kind.size
    apart = f.number(ROWS * size)
    reads = [name for name in places if name != "y"]
    memory = f.scratch(2 * apart, *[n * apart] * len(reads))
    with memory as (room, *blocks), f.loop(0, rows, ROWS) as first:
        m = f.least(ROWS, rows - first)
        count = (m + kind.lanes - 1) // kind.lanes * kind.lanes  # the last row again, if need be
        starts = dict(zip(reads, blocks, strict=True))
        with f.loop(0, count) as i, f.loop(0, n) as c:
            from_row = (first + f.least(i, m - 1)) * pitch + c * size
            to = c * apart + i * size
            for name, start in starts.items():
                f.put(start + to, f.get(places[name] + from_row, kind), kind)
        starts["y"] = starts["x"]
        formula(Lines(f, kind, count, n, apart, starts, room), first, m)
        with f.loop(0, m) as i, f.loop(0, n) as c:
            value = f.get(starts["y"] + c * apart + i * size, kind)
            f.put(places["y"] + (first + i) * pitch + c * size, value, kind)


def softmax_rows(f: Writer, kind: Kind, rows: Number, n: Number, x: Number, y: Number) -> None:
    _in_rows(f, kind, rows, n, {"x": x, "y": y}, lambda lines, *_: _softmax(lines))


def log_softmax_rows(f: Writer, kind: Kind, rows: Number, n: Number, x: Number, y: Number) -> None:
    _in_rows(f, kind, rows, n, {"x": x, "y": y}, lambda lines, *_: _log_softmax(lines))


def log_softmax_back_rows(
    f: Writer, kind: Kind, rows: Number, n: Number, x: Number, g: Number, y: Number
) -> None:
    _in_rows(f, kind, rows, n, {"x": x, "g": g, "y": y}, lambda lines, *_: _log_softmax_back(lines))


def cross_entropy_rows(
    f: Writer, kind: Kind, rows: Number, n: Number, x: Number, index: Number, loss: Number,
    y: Number,
) -> None:  # fmt: skip
    """The loss of each row, whose class is an integer of `index`, and its slope."""

    def formula(lines: Lines, first: Number, m: Number) -> None:
        def score_at(i: Number, target: Number) -> Number:
            return x + ((first + i) * n + target) * kind.size

        _cross_entropy(lines, m, first, index, loss, score_at)

    _in_rows(f, kind, rows, n, {"x": x, "y": y}, formula)


# Rows that lie across -----------------------------------------------------------------------------

STRETCH = 8_192  # numbers, about, that are worked on together, of at most so many rows:
WIDEST = 256


def plan(n: int, inner: int, lanes: int) -> tuple[int, ...]:
    """For arrays (items, n, inner) of at least `lanes` rows side by side in each item.

    A stretch of them is some vectors wide; the last one of an item is what is left of it.
    """
    stretches = -(-inner // max(lanes, min(WIDEST, STRETCH // n)))
    vectors = min(-(-inner // (stretches * lanes)), inner // lanes)
    return n, inner, -(-inner // (vectors * lanes)), vectors


def _across(
    f: Writer, kind: Kind, first: Number, last: Number, plan: Number, places: dict[str, Number],
    formula: Callable[[Lines, Number], None],
) -> None:  # fmt: skip
    """Loops over stretches, counted through all items; x, g and y begin at these places.

    formula: for a stretch; with the number of its first row.
    """
    n, inner, stretches, vectors = (f.word(plan, i) for i in range(4))
    width = vectors * kind.lanes
    with f.scratch(width * (2 * kind.size)) as (room,), f.loop(first, last) as i:
        item, at = i // stretches, i % stretches * width
        offset = (item * n * inner + at) * kind.size
        starts = {name: place + offset for name, place in places.items()}
        lines = Lines(f, kind, f.least(width, inner - at), n, inner * kind.size, starts, room)
        formula(lines, item * inner + at)


def softmax_across(
    f: Writer, kind: Kind, first: Number, last: Number, plan: Number, x: Number, y: Number, *_: Any
) -> None:
    _across(f, kind, first, last, plan, {"x": x, "y": y}, lambda lines, _: _softmax(lines))


def log_softmax_across(
    f: Writer, kind: Kind, first: Number, last: Number, plan: Number, x: Number, y: Number, *_: Any
) -> None:
    _across(f, kind, first, last, plan, {"x": x, "y": y}, lambda lines, _: _log_softmax(lines))


def softmax_back_across(
    f: Writer, kind: Kind, first: Number, last: Number, plan: Number, x: Number, g: Number,
    y: Number, *_: Any,
) -> None:  # fmt: skip
    places = {"x": x, "g": g, "y": y}
    _across(f, kind, first, last, plan, places, lambda lines, _: _softmax_back(lines))


def log_softmax_back_across(
    f: Writer, kind: Kind, first: Number, last: Number, plan: Number, x: Number, g: Number,
    y: Number, *_: Any,
) -> None:  # fmt: skip
    places = {"x": x, "g": g, "y": y}
    _across(f, kind, first, last, plan, places, lambda lines, _: _log_softmax_back(lines))


def cross_entropy_across(
    f: Writer, kind: Kind, first: Number, last: Number, plan: Number, x: Number, index: Number,
    loss: Number, y: Number,
) -> None:  # fmt: skip
    def formula(lines: Lines, row: Number) -> None:
        def score_at(i: Number, target: Number) -> Number:
            return lines.starts["x"] + target * lines.apart + i * kind.size

        _cross_entropy(lines, lines.count, row, index, loss, score_at)

    _across(f, kind, first, last, plan, {"x": x, "y": y}, formula)
