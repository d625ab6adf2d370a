"""Copying lines of an image: as they are, dealt out into phases, and collected again.

A call of the C library's memcpy would take longer than most lines. In two phases, as a stride of
two asks for, vectors are taken apart and put together in registers; in more, number by number.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .writer import Kind, Number, Writer

__all__ = ["collect", "copy_line", "deal"]


def copy_line(f: Writer, kind: Kind, source: Number, target: Number, count: Number) -> None:
    """Writes target[k] = source[k] for k below `count`."""
    with f.either(count >= kind.lanes) as (then, otherwise):
        with then, f.loop(0, count, kind.lanes) as start:
            k = f.least(start, count - kind.lanes) * kind.size  # the last vector begins earlier
            f.put_vector(target + k, f.vector(source + k, kind), kind)
        with otherwise, f.loop(0, count) as k:
            f.put(target + k * kind.size, f.get(source + k * kind.size, kind), kind)


class _Phases:
    """Where number k of a line stands: in phase (first + k) % ways, phases `apart` bytes."""

    def __init__(
        self, f: Writer, kind: Kind, line: Number, first: Number, ways: Number, apart: Number
    ) -> None:
        self.f, self.kind, self.line = f, kind, line
        self.first, self.ways, self.apart = first, ways, apart

    def start(self, p: int) -> Number:
        """The address of number p, 0 or 1; number p + ways follows it."""
        at = self.first + p
        return self.line + self.f.choose(
            at >= self.ways, (at - self.ways) * self.apart + self.kind.size, at * self.apart
        )

    def each(self, begin: Number, count: Number, one: Any) -> None:
        """Writes one(k, place) for numbers from `begin`, a multiple of ways, to `count`."""

        def step(j: Number, state: list[Any]) -> list[Any]:
            place, phase = (Number(self.f.builder, value) for value in state)
            one(begin + j, place)
            last = phase + 1 >= self.ways  # then comes the first phase again, one place on
            back = place - (self.ways - 1) * self.apart + self.kind.size
            following = self.f.choose(last, back, place + self.apart)
            return [following.value, self.f.choose(last, 0, phase + 1).value]

        place = self.line + self.first * self.apart + begin // self.ways * self.kind.size
        self.f.fold(count - begin, [place.value, self.first.value], step)


def deal(
    f: Writer, kind: Kind, source: Number, target: Number, count: Number, first: Number,
    ways: Number, apart: Number,
) -> None:  # fmt: skip
    """Writes a line's numbers into `ways` phases in turn, from phase `first` on.

    `target` is where phase 0 goes on; the next phases lie `apart` bytes from each other.
    """
    to, size, half = _Phases(f, kind, target, first, ways, apart), kind.size, kind.lanes // 2
    narrow = ir.VectorType(kind.number, half)

    def two(k: Number) -> None:
        value = f.vector(source + k * size, kind)
        for p in range(2):
            part = f.shuffled(value, value, list(range(p, kind.lanes, 2)))
            place = f.pointer(to.start(p) + k // 2 * size, narrow)
            f.builder.store(part, place, align=size)

    def one(k: Number, place: Number) -> None:
        f.put(place, f.get(source + k * size, kind), kind)

    _in_phases(f, kind, to, source, target, count, two, one, copy_line)


def collect(
    f: Writer, kind: Kind, source: Number, target: Number, count: Number, first: Number,
    ways: Number, apart: Number,
) -> None:  # fmt: skip
    """Writes a line from its phases: the reverse of `deal`, with `source` where phase 0 goes on."""
    of, size, half = _Phases(f, kind, source, first, ways, apart), kind.size, kind.lanes // 2
    narrow = ir.VectorType(kind.number, half)

    def two(k: Number) -> None:
        parts = [
            f.builder.load(f.pointer(of.start(p) + k // 2 * size, narrow), align=size)
            for p in range(2)
        ]
        lanes = [p * half + i for i in range(half) for p in range(2)]
        f.put_vector(target + k * size, f.shuffled(*parts, lanes), kind)  # type: ignore[call-arg]

    def one(k: Number, place: Number) -> None:
        f.put(target + k * size, f.get(place, kind), kind)

    def plain(f: Writer, kind: Kind, target: Number, source: Number, count: Number) -> None:
        copy_line(f, kind, source, target, count)

    _in_phases(f, kind, of, target, source, count, two, one, plain)


def _in_phases(
    f: Writer, kind: Kind, phases: _Phases, line: Number, start: Number, count: Number, two: Any,
    one: Any, plain: Any,
) -> None:  # fmt: skip
    """Writes two(k) for vectors of a line in two phases, one(k, place) for numbers in more."""
    with f.either(phases.ways.equals(1)) as (then, otherwise):
        with then:
            plain(f, kind, line, start + phases.first * phases.apart, count)
        with otherwise, f.either(phases.ways.equals(2) & (count >= kind.lanes)) as (then_, else_):
            with then_:
                last = (count - kind.lanes) // 2 * 2  # so that phase 0 comes first
                with f.loop(0, count, kind.lanes) as k:
                    two(f.least(k, last))
                phases.each(last + kind.lanes, count, one)
            with else_:
                phases.each(f.number(0), count, one)
