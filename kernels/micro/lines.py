"""Copying lines of an image: as they are, dealt out into phases, and collected again.

A call of the C library's memcpy would take longer than most lines. In two phases or four, as such
strides ask for, vectors are taken apart and put together in registers; else number by number.
Lines that are shorter than a vector are common: small images have them. They go in halves of one,
or in quarters.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from llvmlite import ir

from .writer import Kind, Number, Writer

__all__ = ["collect", "copy_line", "deal", "in_vectors"]

NARROWEST = 4  # numbers of a vector
IN_REGISTERS = 2, 4  # phases


def in_vectors(f: Writer, kind: Kind, count: Number, vectors: Callable[[Kind], None]) -> Number:
    """Writes vectors(of a kind) for the widest vectors that `count` numbers fill.

    Returns how many numbers that does: all, or none where they are too few.
    """
    if kind.lanes > NARROWEST:
        with f.either(count >= kind.lanes) as (then, otherwise):
            with then:
                vectors(kind)
            with otherwise:
                in_vectors(f, kind.half(), count, vectors)
    else:
        with f.when(count >= kind.lanes):
            vectors(kind)
    return f.choose(count >= min(kind.lanes, NARROWEST), count, 0)


def copy_line(f: Writer, kind: Kind, source: Number, target: Number, count: Number) -> None:
    """Writes target[k] = source[k] for k below `count`."""

    def vectors(kind: Kind) -> None:
        with f.loop(0, count, kind.lanes) as start:
            k = f.least(start, count - kind.lanes) * kind.size  # the last vector begins earlier
            f.put_vector(target + k, f.vector(source + k, kind), kind)

    with f.loop(in_vectors(f, kind, count, vectors), count) as k:
        f.put(target + k * kind.size, f.get(source + k * kind.size, kind), kind)


class _Phases:
    """Where number k of a line stands: in phase (first + k) % ways, phases `apart` bytes."""

    def __init__(
        self, f: Writer, kind: Kind, line: Number, first: Number, ways: Number, apart: Number
    ) -> None:
        self.f, self.kind, self.line = f, kind, line
        self.first, self.ways, self.apart = first, ways, apart

    def start(self, p: int) -> Number:
        """The address of number p, below `ways`; number p + ways follows it."""
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
    to, size = _Phases(f, kind, target, first, ways, apart), kind.size

    def some(k: Number, kind: Kind, ways: int) -> None:
        value = f.vector(source + k * size, kind)
        for p in range(ways):
            part = f.shuffled(value, value, list(range(p, kind.lanes, ways)))
            place = f.pointer(to.start(p) + k // ways * size, part.type)
            f.builder.store(part, place, align=size)

    def one(k: Number, place: Number) -> None:
        f.put(place, f.get(source + k * size, kind), kind)

    _in_phases(f, kind, to, source, target, count, some, one, copy_line)


def collect(
    f: Writer, kind: Kind, source: Number, target: Number, count: Number, first: Number,
    ways: Number, apart: Number,
) -> None:  # fmt: skip
    """Writes a line from its phases: the reverse of `deal`, with `source` where phase 0 goes on."""
    of, size = _Phases(f, kind, source, first, ways, apart), kind.size

    def some(k: Number, kind: Kind, ways: int) -> None:
        each = kind.lanes // ways
        narrow = ir.VectorType(kind.number, each)
        parts = [
            f.builder.load(f.pointer(of.start(p) + k // ways * size, narrow), align=size)
            for p in range(ways)
        ]
        while len(parts) > 1:  # beside each other
            both = range(2 * parts[0].type.count)
            parts = [
                f.shuffled(*pair, list(both)) for pair in zip(parts[::2], parts[1::2], strict=True)
            ]
        lanes = [p * each + i for i in range(each) for p in range(ways)]
        f.put_vector(target + k * size, f.shuffled(parts[0], parts[0], lanes), kind)

    def one(k: Number, place: Number) -> None:
        f.put(target + k * size, f.get(place, kind), kind)

    def plain(f: Writer, kind: Kind, target: Number, source: Number, count: Number) -> None:
        copy_line(f, kind, source, target, count)

    _in_phases(f, kind, of, target, source, count, some, one, plain)


def _in_phases(
    f: Writer, kind: Kind, phases: _Phases, line: Number, start: Number, count: Number, some: Any,
    one: Any, plain: Any,
) -> None:  # fmt: skip
    """Writes some(k, kind, ways) for vectors of a line, one(k, place) for what is left.

    In another number of phases than those that are done in registers, that is the whole line.
    """

    def vectors(kind: Kind, ways: int, whole: Number) -> None:
        with f.loop(0, whole, kind.lanes) as k:
            some(f.least(k, whole - kind.lanes), kind, ways)

    with f.either(phases.ways.equals(1)) as (then, otherwise):
        with then:
            plain(f, kind, line, start + phases.first * phases.apart, count)
        with otherwise:
            done = f.number(0)
            for ways in IN_REGISTERS:  # whole turns of the phases: the first one comes first
                if ways > kind.lanes:
                    break
                whole = f.choose(phases.ways.equals(ways), count // ways * ways, 0)
                done = done + in_vectors(f, kind, whole, partial(vectors, ways=ways, whole=whole))
            phases.each(done, count, one)
