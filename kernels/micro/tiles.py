"""Blocks of sums of products in registers, and rows turned into columns.

`tile` holds a block of sums in registers until all products are added up:

    C[i, j] = sum over k of A[i, k] B[k, j]     i: a few rows, j: a few vectors

Where rows, columns and products stand is read from tables of byte offsets: an element of A at
`row[i] + step_a[k]`, a vector of B at `column[j] + step_b[k]`. With the right tables the sum is a
matrix product, a convolution with any stride, padding and dilation, or one of its gradients,
without a matrix of patches. The tables cost two loads in the time of twelve multiplications; where
rows follow at a distance, and products, there are none.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from llvmlite import ir
from numba.core.registry import cpu_target

from .writer import Bit, Kind, Number, Writer

__all__ = ["SPAN", "Ahead", "Every", "Registers", "Table", "gather", "registers", "scatter", "tile"]


class Registers(NamedTuple):
    """The vector registers of a processor: how many bytes each holds, and how many there are."""

    width: int
    count: int  # type: ignore[assignment]


@cache
def registers() -> Registers:
    """Those of the processor that Numba compiles for."""
    machine, _, features = cpu_target.target_context.codegen().magic_tuple()
    has = set(features.split(","))
    if "+avx512f" in has:
        return Registers(64, 32)
    if "+avx2" in has:
        return Registers(32, 16)
    if machine.partition("-")[0] in ("aarch64", "arm64"):
        return Registers(16, 32)
    return Registers(16, 16)


LINE = 64  # bytes
FEW = 5  # rows from one walking address to the next
SPAN = 6  # vectors: a multiple of the width of all blocks with few rows


class Every(NamedTuple):
    """Offsets 0, step, 2 step, ..., where no table is needed."""

    step: Any


class Ahead(NamedTuple):
    """What to fetch for later: an address, and bytes to go on by at each product."""

    start: Number
    step: Number

    def unless(self, f: Writer, condition: Bit, other: Ahead) -> Ahead:
        """The other if the condition holds, else this."""
        pairs = zip(other, self, strict=True)
        return Ahead(*(f.choose(condition, yes, no) for yes, no in pairs))


class Table(NamedTuple):
    """An array, and the byte offsets of what is read of it: by place, and by product.

    Both are addresses of tables, or `Every`.
    """

    start: Number
    places: Number | Every
    steps: Number | Every

    def place(self, f: Writer, i: int) -> Number:
        return self.start + _offset(f, self.places, i)

    def step(self, f: Writer, k: Number) -> Number:
        return _offset(f, self.steps, k)

    def is_far_apart(self) -> bool:
        """Whether there are no tables, but distances, and places' is known only at run time."""
        one, other = self.places, self.steps
        return isinstance(one, Every) and isinstance(other, Every) and isinstance(one.step, Number)


def _offset(f: Writer, offsets: Number | Every, i: Any) -> Number:
    if isinstance(offsets, Every):
        return f.number(offsets.step) * i
    return f.word(offsets, i)


def tile(
    f: Writer, kind: Kind, shape: tuple[int, int], a: Table, b: Table, count: Any,
    spread: bool = True, ahead: Ahead | None = None,
) -> list[list[Any]]:  # fmt: skip
    """Writes a block's sums of `count` products; returns them, row by row.

    Args:
        f: where to write.
        kind: of the vectors.
        shape: rows and vectors of the block, so that the sums and the fewer of both, and one more,
            have room in the registers.
        a: for each row and product a number, for all lanes; or a vector, see `spread`.
        b: for each column and product a vector.
        count: how many products are added up; 0 or more.
        spread: False: a holds vectors, too, and products are added up lane by lane.
        ahead: where two lines of the cache are fetched at each product, if given.
    """
    rows, vectors = shape
    left = (_Walking if a.is_far_apart() else _Placed)(f, a, rows)
    right = [b.place(f, j) for j in range(vectors)]
    walking = len(left.start)

    def products(k: Number, values: list[Any]) -> list[Any]:
        if ahead is not None:
            for line in range(2):
                f.fetch(ahead.start + k * ahead.step + line * LINE)
        rows_at, next_at = left.at(k, [Number(f.builder, value) for value in values[:walking]])
        to_right = b.step(f, k)
        columns_at = [p + to_right for p in right]
        sums = _products(f, kind, rows_at, columns_at, values[walking:], spread)
        return [place.value for place in next_at] + sums

    zero = ir.Constant(kind.vector, [0] * kind.lanes)
    start = [place.value for place in left.start] + [zero] * (rows * vectors)
    sums = f.fold(f.number(count), start, products)[walking:]
    return [sums[i * vectors : (i + 1) * vectors] for i in range(rows)]


class _Placed:
    """Where the numbers of a block's rows stand: an address for each row, and a step."""

    def __init__(self, f: Writer, a: Table, rows: int) -> None:
        self.f, self.a = f, a
        self.places = [a.place(f, i) for i in range(rows)]
        self.start: list[Number] = []  # what changes from product to product

    def at(self, k: Number, _: list[Number]) -> tuple[list[Number], list[Number]]:
        """The places of the k-th product's numbers, and what changes as it is for the next."""
        step = self.a.step(self.f, k)
        return [place + step for place in self.places], []


class _Walking:
    """The same for rows at a distance that is known only when the code runs.

    That would take a register for each row, or an addition. So every few rows there is an address
    that walks from product to product, and the rows between are reached from there, by distances
    that all of these share.
    """

    def __init__(self, f: Writer, a: Table, rows: int) -> None:
        self.f, self.step, self.rows = f, a.step(f, f.number(1)), rows
        self.start = [f.hidden(a.place(f, i)) for i in range(0, rows, FEW)]
        few = range(1, min(rows, FEW))
        self.distances = [f.number(0), *(f.hidden(_offset(f, a.places, i)) for i in few)]

    def at(self, _: Number, walked: list[Number]) -> tuple[list[Number], list[Number]]:
        places = [walked[i // FEW] + self.distances[i % FEW] for i in range(self.rows)]
        return places, [self.f.hidden(start + self.step) for start in walked]


def _products(
    f: Writer, kind: Kind, a: list[Number], b: list[Number], sums: list[Any], spread: bool
) -> list[Any]:
    """The sums with the next products. Of the operands the fewer are held in registers."""
    new = list(sums)
    load_a = f.spread if spread else f.vector
    if len(b) <= len(a):
        held = [f.vector(place, kind) for place in b]
        for i, place in enumerate(a):
            value = load_a(place, kind)
            for j, other in enumerate(held):
                n = i * len(b) + j
                new[n] = f.multiply_add(value, other, new[n], kind)
    else:
        held = [load_a(place, kind) for place in a]
        for j, place in enumerate(b):
            value = f.vector(place, kind)
            for i, other in enumerate(held):
                n = i * len(b) + j
                new[n] = f.multiply_add(other, value, new[n], kind)
    return new


def _turn(f: Writer, kind: Kind, source: list[Number], target: list[Number]) -> None:
    """Writes the columns of the rows at `source` to the rows at `target`, through registers."""
    block = [f.vector(place, kind) for place in source]
    # Blocks of 2^n x 2^n change places across the diagonal, the largest first.
    lanes, half = kind.lanes, kind.lanes // 2
    while half:
        low = [c if not c & half else lanes + c - half for c in range(lanes)]
        high = [c + half if not c & half else lanes + c for c in range(lanes)]
        for i in range(lanes):
            if not i & half:
                a, b = block[i], block[i + half]
                block[i], block[i + half] = f.shuffled(a, b, low), f.shuffled(a, b, high)
        half //= 2
    for place, value in zip(target, block, strict=True):
        f.put_vector(place, value, kind)


def gather(
    f: Writer, kind: Kind, source: Number, pitch: Any, rows: Any, count: Any, target: Number,
    to_pitch: Any, zeros: Number,
) -> None:  # fmt: skip
    """Writes target[k, lane] = source[lane, k] for k below `count`; lanes from `rows` on get zeros.

    `pitch` and `to_pitch` are the bytes from one row to the next; at `zeros` stands a vector of
    them.
    """
    rows, count = f.number(rows), f.number(count)
    lanes = range(kind.lanes)
    from_rows = [f.choose(rows > i, source + i * f.number(pitch), zeros) for i in lanes]
    with f.either(count >= kind.lanes) as (then, otherwise):
        with then, f.loop(0, count, kind.lanes) as start:
            k = f.least(start, count - kind.lanes)  # the last block begins earlier
            shift = [f.choose(rows > i, k * kind.size, 0) for i in lanes]
            _turn(f, kind, [p + s for p, s in zip(from_rows, shift, strict=True)],
                  [target + (k + i) * to_pitch for i in lanes])  # fmt: skip
        with otherwise, f.loop(0, count) as k:
            for lane, row in enumerate(from_rows):
                value = f.get(row + f.choose(rows > lane, k * kind.size, 0), kind)
                f.put(target + k * to_pitch + lane * kind.size, value, kind)


def scatter(
    f: Writer, kind: Kind, source: Number, pitch: Any, count: Any, target: Number, to_pitch: Any,
    rows: Any, spare: Number,
) -> None:  # fmt: skip
    """Writes target[lane, k] = source[k, lane] for k below `count` and lanes below `rows`.

    `spare` is the address of a vector that may be overwritten.
    """
    rows, count = f.number(rows), f.number(count)
    with f.either(count >= kind.lanes) as (then, otherwise):
        with then, f.loop(0, count, kind.lanes) as start:
            k = f.least(start, count - kind.lanes)
            to_rows = [target + f.number(to_pitch) * i + k * kind.size for i in range(kind.lanes)]
            _turn(f, kind, [source + (k + i) * pitch for i in range(kind.lanes)],
                  [f.choose(rows > i, p, spare) for i, p in enumerate(to_rows)])  # fmt: skip
        with otherwise, f.loop(0, rows) as lane, f.loop(0, count) as k:
            value = f.get(source + k * pitch + lane * kind.size, kind)
            f.put(target + lane * to_pitch + k * kind.size, value, kind)
