"""The inner loops of products and convolutions: vector instructions, written down one by one.

The compiler's own vectorisation keeps the sums of such loops in memory, which costs half of the
speed. `tile` holds a block of them in registers until all products are added up:

    C[i, j] = sum over k of A[i, k] B[k, j]     i: a few rows, j: a few vectors of `LANES` numbers

Where rows, columns and products stand is read from tables of byte offsets: an element of A at
`row[i] + step_a[k]`, a vector of B at `column[j] + step_b[k]`. With the right tables the sum is a
matrix product, a convolution with any stride, padding and dilation, or one of its gradients,
without a matrix of patches. The tables cost two loads in the time of twelve multiplications.

These are intrinsics of Numba: functions for use within `@njit`, whose body is LLVM's intermediate
code. Addresses are plain integers, `address(array)`. Whoever calls answers for what lies there:
nothing is checked. Three traps:

- Numba frees an array after the last use of its name. An address does not count: `keep(array)`
  after the last use of the address does.
- A cached kernel does not know of changes in this file. Its text must contain `SOURCE`.
- `llvm.fmuladd` is one instruction where the processor has it, otherwise a product and a sum;
  `llvm.fma` would be a call of the C library there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

__all__ = [
    "SOURCE", "Registers", "address", "clear", "copy", "element", "keep", "registers", "tile",
    "transpose",
]  # fmt: skip

SOURCE = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]

_WORD, _INDEX, _BIT = ir.IntType(64), ir.IntType(32), ir.IntType(1)
_KINDS: dict[str, tuple[Any, int, Any]] = {
    "float32": (ir.FloatType(), 4, types.float32),
    "float64": (ir.DoubleType(), 8, types.float64),
}


class Registers(NamedTuple):
    """The vector registers of a processor: how many bytes each holds, and how many there are."""

    width: int
    count: int

    def lanes(self, dtype: str) -> int:
        """Numbers of type `dtype` in a register."""
        return self.width // _KINDS[dtype][1]


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


def _constant(value: int) -> Any:
    return ir.Constant(_WORD, value)


def _vector(kind: str, lanes: int) -> Any:
    return ir.VectorType(_KINDS[kind][0], lanes)


def _at(builder: Any, place: Any, kind: Any) -> Any:
    return builder.inttoptr(place, kind.as_pointer())


def _entry(builder: Any, table: Any, i: int) -> Any:
    place = builder.add(table, _constant(8 * i))
    return builder.load(_at(builder, place, _WORD), align=8)


# A block of sums ----------------------------------------------------------------------------------


def tile(
    rows: int, vectors: int, dtype: str, lanes: int, spread: bool = True, bias: str = ""
) -> Any:
    """The function (A, row, step_a, B, column, step_b, count, C, to_row, to_column, start, add).

    A, B, C   addresses; an element of A at A + row[i] + step_a[k], a vector of B at
              B + column[j] + step_b[k], one of C at C + to_row[i] + to_column[j]
    row...    addresses of tables of byte offsets, 64 bits each: `rows` of them, `vectors`, and
              `count` for the two steps
    count     how many products are added up; 0 or more
    add       not 0: added to what C holds; 0: C is set, from `start` on
    start     address of what the sums start from: with `bias="rows"` one number for each row, with
              "columns" the vectors, one after the other; else they start from zero

    Args:
        rows: of the block; with `vectors` so that rows * vectors + the fewer + 1 registers do.
        vectors: of the block.
        dtype: "float32" or "float64".
        lanes: numbers in a vector, a power of two; other than the register's works, too.
        spread: an element of A is one number, for all lanes. False: it is a vector as well, and
            the products are added up lane by lane.
        bias: see `start`.
    """
    _, size, _ = _KINDS[dtype]
    vector = _vector(dtype, lanes)
    pairs = [(i, j) for i in range(rows) for j in range(vectors)]

    def load_vector(builder: Any, place: Any) -> Any:
        return builder.load(_at(builder, place, vector), align=size)

    def load_spread(builder: Any, place: Any) -> Any:
        number = builder.load(_at(builder, place, vector.element), align=size)
        empty = ir.Constant(vector, ir.Undefined)
        first = builder.insert_element(empty, number, ir.Constant(_INDEX, 0))
        everywhere = ir.Constant(ir.VectorType(_INDEX, lanes), [0] * lanes)
        return builder.shuffle_vector(first, empty, everywhere)

    load_a = load_spread if spread else load_vector

    def products(builder: Any, a: Sequence[Any], b: Sequence[Any], sums: Sequence[Any]) -> Any:
        """The sums with the next products; of the operands the fewer stay in registers."""
        name = f"llvm.fmuladd.v{lanes}f{8 * size}"
        kind = ir.FunctionType(vector, [vector] * 3)
        multiply_add = cgutils.get_or_insert_function(builder.module, kind, name)
        new = list(sums)
        few, many = (b, a) if vectors <= rows else (a, b)
        load_few, load_many = (load_vector, load_a) if few is b else (load_a, load_vector)
        held = [load_few(builder, place) for place in few]
        for m, place in enumerate(many):
            other = load_many(builder, place)
            for f, value in enumerate(held):
                n = m * vectors + f if few is b else f * vectors + m
                new[n] = builder.call(multiply_add, [value, other, new[n]])
        return new

    def loop(builder: Any, count: Any, body: Any) -> Any:
        """The sums after body(k, sums) for all k in range(count)."""
        zero, before = ir.Constant(vector, [0] * lanes), builder.block
        inside = builder.append_basic_block("products")
        after = builder.append_basic_block("summed")
        builder.cbranch(builder.icmp_signed(">", count, _constant(0)), inside, after)
        builder.position_at_end(inside)
        k, sums = builder.phi(_WORD), [builder.phi(vector) for _ in pairs]
        new, following = body(k, sums), builder.add(k, _constant(1))
        for variable, first, then in [(k, _constant(0), following)] + [
            (s, zero, n) for s, n in zip(sums, new, strict=True)
        ]:
            variable.add_incoming(first, before)
            variable.add_incoming(then, inside)
        builder.cbranch(builder.icmp_signed("<", following, count), inside, after)
        builder.position_at_end(after)
        found = [builder.phi(vector) for _ in pairs]
        for value, n in zip(found, new, strict=True):
            value.add_incoming(zero, before)
            value.add_incoming(n, inside)
        return found

    @intrinsic
    def sums_of_products(  # type: ignore[no-untyped-def]
        typing, a, row, step_a, b, column, step_b, count, c, to_row, to_column, start, add
    ):
        def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
            a, row, step_a, b, column, step_b, count, c, to_row, to_column, start, add = values
            a = [builder.add(a, _entry(builder, row, i)) for i in range(rows)]
            b = [builder.add(b, _entry(builder, column, j)) for j in range(vectors)]

            def body(k: Any, sums: Any) -> Any:
                place = builder.mul(k, _constant(8))
                next_a = _entry(builder, builder.add(step_a, place), 0)
                next_b = _entry(builder, builder.add(step_b, place), 0)
                return products(
                    builder,
                    [builder.add(place, next_a) for place in a],
                    [builder.add(place, next_b) for place in b],
                    sums,
                )

            found = loop(builder, count, body)
            c = [builder.add(c, _entry(builder, to_row, i)) for i in range(rows)]
            across = [_entry(builder, to_column, j) for j in range(vectors)]
            places = [_at(builder, builder.add(c[i], across[j]), vector) for i, j in pairs]
            more = builder.icmp_signed("!=", add, _constant(0))
            with builder.if_else(more) as (then, otherwise):
                with then:
                    for place, value in zip(places, found, strict=True):
                        old = builder.load(place, align=size)
                        builder.store(builder.fadd(old, value), place, align=size)
                with otherwise:
                    for (i, j), place, value in zip(pairs, places, found, strict=True):
                        if bias == "rows":
                            first = load_spread(builder, builder.add(start, _constant(size * i)))
                            value = builder.fadd(value, first)
                        if bias == "columns":
                            first = builder.add(start, _constant(size * lanes * j))
                            value = builder.fadd(value, load_vector(builder, first))
                        builder.store(value, place, align=size)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 12), generate

    return sums_of_products


# Rearranging --------------------------------------------------------------------------------------


def transpose(dtype: str, lanes: int) -> Any:
    """The function (source, pitch, rows, target, to_pitch, to_rows, spare): target[j, i] = source[i, j].

    A block of `lanes` x `lanes` numbers, through registers. `pitch` and `to_pitch` are the bytes
    from one row to the next. Rows of the source from `rows` on are read from `spare`, rows of the
    target from `to_rows` on are written there: the address of `lanes` numbers.
    """  # noqa: E501
    _, size, _ = _KINDS[dtype]
    vector = _vector(dtype, lanes)
    indices = ir.VectorType(_INDEX, lanes)

    def places(builder: Any, start: Any, pitch: Any, rows: Any, spare: Any) -> Any:
        for i in range(lanes):
            place = builder.add(start, builder.mul(_constant(i), pitch))
            inside = builder.icmp_signed("<", _constant(i), rows)
            yield _at(builder, builder.select(inside, place, spare), vector)

    @intrinsic
    def transposed(  # type: ignore[no-untyped-def]
        typing, source, pitch, rows, target, to_pitch, to_rows, spare
    ):
        def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
            source, pitch, rows, target, to_pitch, to_rows, spare = values
            block = [
                builder.load(place, align=size)
                for place in places(builder, source, pitch, rows, spare)
            ]
            # Blocks of 2^n x 2^n change places across the diagonal, the largest first.
            half = lanes // 2
            while half:
                low = [c if not c & half else lanes + c - half for c in range(lanes)]
                high = [c + half if not c & half else lanes + c for c in range(lanes)]
                for i in range(lanes):
                    if not i & half:
                        pair = block[i], block[i + half]
                        block[i] = builder.shuffle_vector(*pair, ir.Constant(indices, low))
                        block[i + half] = builder.shuffle_vector(*pair, ir.Constant(indices, high))
                half //= 2
            where = places(builder, target, to_pitch, to_rows, spare)
            for value, place in zip(block, where, strict=True):
                builder.store(value, place, align=size)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 7), generate

    return transposed


def element(dtype: str) -> tuple[Any, Any]:
    """The functions get(place) and put(place, value) of one number."""
    kind, size, numba_type = _KINDS[dtype]

    @intrinsic
    def get(typing, place):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
            return builder.load(_at(builder, values[0], kind), align=size)

        return numba_type(types.intp), generate

    @intrinsic
    def put(typing, place, value):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
            builder.store(values[1], _at(builder, values[0], kind), align=size)
            return context.get_dummy_value()

        return types.void(types.intp, numba_type), generate

    return get, put


@intrinsic
def copy(typing, target, source, count):  # type: ignore[no-untyped-def]
    """Copies `count` bytes from the address `source` to `target`; they must not overlap."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        target, source, count = values
        byte = ir.IntType(8)
        cgutils.raw_memcpy(
            builder, _at(builder, target, byte), _at(builder, source, byte), count, 1
        )
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), generate


@intrinsic
def clear(typing, target, count):  # type: ignore[no-untyped-def]
    """Sets `count` bytes from the address `target` on to zero."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        target, count = values
        cgutils.memset(builder, _at(builder, target, ir.IntType(8)), count, 0)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


@intrinsic
def address(typing, array):  # type: ignore[no-untyped-def]
    """Where an array's first element stands."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        made = context.make_array(signature.args[0])(context, builder, values[0])
        return builder.ptrtoint(made.data, _WORD)

    return types.intp(array), generate


@intrinsic
def keep(typing, array):  # type: ignore[no-untyped-def]
    """Nothing; but an array that is named here is not freed before."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        return context.get_dummy_value()

    return types.void(array), generate
