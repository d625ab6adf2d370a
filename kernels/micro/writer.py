"""Writing loops in LLVM's intermediate code, with Python's operators.

A function that takes a `Writer` and `Number`s does not compute: it writes down the instructions
that will. `f.loop(0, n)` opens a loop in the code that is written, `a + b` an addition:

    def reverse(f, kind, source, count, target):
        with f.loop(0, count) as i:
            value = f.get(source + (count - 1 - i) * kind.size, kind)
            f.put(target + i * kind.size, value, kind)

So Python's own `for` and `if` choose what is written, and `f.loop` and `f.when` what happens when
it runs. Numba would compile the same loops from plain Python; but it takes ten times as long for
loops of such length, seconds for one layer, and it keeps sums of products in memory.

Numbers are integers of 64 bits, mostly addresses and byte offsets. Nothing is checked: whoever
writes a loop answers for what lies at the addresses. Division rounds towards zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import cgutils

from . import scratch

__all__ = ["PARALLEL", "WORD", "Bit", "Kind", "Number", "Writer"]

PARALLEL = "llvm.loop.parallel_accesses"  # says of a loop that its rounds share nothing

WORD, BYTE = ir.IntType(64), ir.IntType(8)
_INDEX = ir.IntType(32)
_FLOATS = {"float32": (ir.FloatType(), 4), "float64": (ir.DoubleType(), 8)}


class Kind:
    """Vectors of numbers of one type, and the blocks of sums that fit into the registers.

    dtype         "float32" or "float64"
    size          bytes of a number
    width, lanes  bytes and numbers of a vector: a register's, or any power of two
    registers     how many there are
    tall          rows of a block that is one or two vectors wide
    tallest       the same, where no tables are read
    flat          rows and vectors of blocks with few rows, the highest first
    """

    def __init__(self, dtype: str, width: int, registers: int) -> None:
        self.dtype, self.width, self.registers = dtype, width, registers
        self.number, self.size = _FLOATS[dtype]
        self.lanes = width // self.size
        self.vector = ir.VectorType(self.number, self.lanes)
        self.integers = ir.VectorType(ir.IntType(8 * self.size), self.lanes)
        self.name = f"v{self.lanes}f{8 * self.size}"
        many = registers >= 32
        self.tall = 10 if many else 6  # of 12 LLVM would spill some
        self.tallest = (registers - 3) // 2  # but for two vectors, and a number in all lanes
        self.flat = [(4, 6 if many else 3), (2, 6), (1, 6)]

    def half(self) -> Kind:
        """Vectors of half as many numbers."""
        return Kind(self.dtype, self.width // 2, self.registers)


class Bit(NamedTuple):
    """A condition."""

    builder: Any
    value: Any

    def __and__(self, other: Bit) -> Bit:
        return Bit(self.builder, self.builder.and_(self.value, other.value))

    def __or__(self, other: Bit) -> Bit:
        return Bit(self.builder, self.builder.or_(self.value, other.value))


class Number:
    """An integer in the code that is written."""

    __slots__ = ("builder", "value")

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def _with(self, operation: str, other: Any, swapped: bool = False) -> Number:
        a, b = self.value, _value(other)
        return Number(
            self.builder, getattr(self.builder, operation)(*((b, a) if swapped else (a, b)))
        )

    def __add__(self, other: Any) -> Number:
        return self._with("add", other)

    def __sub__(self, other: Any) -> Number:
        return self._with("sub", other)

    def __rsub__(self, other: Any) -> Number:
        return self._with("sub", other, swapped=True)

    def __mul__(self, other: Any) -> Number:
        return self._with("mul", other)

    def __floordiv__(self, other: Any) -> Number:
        return self._with("sdiv", other)

    def __rfloordiv__(self, other: Any) -> Number:
        return self._with("sdiv", other, swapped=True)

    def __mod__(self, other: Any) -> Number:
        return self._with("srem", other)

    __radd__, __rmul__ = __add__, __mul__

    def _compared(self, how: str, other: Any) -> Bit:
        return Bit(self.builder, self.builder.icmp_signed(how, self.value, _value(other)))

    def __lt__(self, other: Any) -> Bit:
        return self._compared("<", other)

    def __gt__(self, other: Any) -> Bit:
        return self._compared(">", other)

    def __le__(self, other: Any) -> Bit:
        return self._compared("<=", other)

    def __ge__(self, other: Any) -> Bit:
        return self._compared(">=", other)

    def equals(self, other: Any) -> Bit:
        """Whether both are the same (`==` compares the Python objects)."""
        return self._compared("==", other)


def _value(x: Any) -> Any:
    return x.value if isinstance(x, Number) else ir.Constant(WORD, x)


class Writer:
    """Where instructions are written: at the end of what a builder of llvmlite holds so far."""

    def __init__(self, context: Any, builder: Any) -> None:
        self.context, self.builder = context, builder

    def number(self, x: Any) -> Number:
        return x if isinstance(x, Number) else Number(self.builder, ir.Constant(WORD, x))

    def hidden(self, x: Number) -> Number:
        """The same integer, but LLVM does not know any more how it was made.

        It keeps it in a register then, where it would derive it from others again and again.
        """
        kind = ir.FunctionType(WORD, [WORD])
        return Number(self.builder, self.builder.asm(kind, "", "=r,0", [x.value], False))

    # What happens when --------------------------------------------------------------------------

    @contextmanager
    def loop(self, start: Any, stop: Any, step: Any = 1) -> Iterator[Number]:
        """What is written inside runs for start, start + step, ... below stop; step > 0."""
        builder = self.builder
        head, body, after = (builder.append_basic_block(n) for n in ("head", "body", "after"))
        before = builder.block
        builder.branch(head)
        builder.position_at_end(head)
        i = builder.phi(WORD)
        i.add_incoming(_value(start), before)
        builder.cbranch(builder.icmp_signed("<", i, _value(stop)), body, after)
        builder.position_at_end(body)
        yield Number(builder, i)
        i.add_incoming(builder.add(i, _value(step)), builder.block)
        self.as_it_is(builder.branch(head))
        builder.position_at_end(after)

    def fold(
        self, count: Number, start: list[Any], body: Callable[[Number, list[Any]], list[Any]]
    ) -> list[Any]:
        """What becomes of the values `start`: values = body(k, values) for each k below `count`.

        `body` writes no loop and no condition: the values stay in registers.
        """
        builder, before = self.builder, self.builder.block
        inside, after = (builder.append_basic_block(n) for n in ("fold", "folded"))
        builder.cbranch((count > 0).value, inside, after)
        builder.position_at_end(inside)
        k, values = builder.phi(WORD), [builder.phi(value.type) for value in start]
        this = Number(builder, k)
        new, following = body(this, list(values)), this + 1
        steps = [(k, ir.Constant(WORD, 0), following.value), *zip(values, start, new, strict=True)]
        for phi, first, then in steps:
            phi.add_incoming(first, before)
            phi.add_incoming(then, inside)
        more = builder.icmp_signed("!=", following.value, count.value)  # LLVM may count down
        self.as_it_is(builder.cbranch(more, inside, after))
        builder.position_at_end(after)
        found = [builder.phi(value.type) for value in start]
        for phi, first, then in zip(found, start, new, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(then, inside)
        return found

    def as_it_is(self, branch: Any) -> None:
        """Tells LLVM not to unroll a loop, see `tell_of_loop`: sums would lose their registers."""
        self.tell_of_loop(branch, "llvm.loop.unroll.disable")

    def tell_of_loop(self, branch: Any, what: str, *more: Any) -> None:
        """Tells LLVM something of the loop that `branch` closes.

        Loops are named by a list that begins with itself.
        """
        module = self.builder.module
        told = module.add_metadata([ir.MetaDataString(module, what), *more])
        name = module.add_metadata([ir.MetaDataString(module, f"loop {id(branch)}"), told])
        name.operands = (name, told)
        branch.set_metadata("llvm.loop", name)

    @contextmanager
    def when(self, condition: Bit) -> Iterator[None]:
        with self.builder.if_then(condition.value):
            yield

    @contextmanager
    def either(self, condition: Bit) -> Iterator[tuple[Any, Any]]:
        """Two contexts: for what is done if the condition holds, and if not."""
        with self.builder.if_else(condition.value) as both:
            yield both

    def choose(self, condition: Bit, yes: Any, no: Any) -> Number:
        return Number(self.builder, self.builder.select(condition.value, _value(yes), _value(no)))

    def least(self, a: Any, b: Any) -> Number:
        a = self.number(a)
        return self.choose(a < b, a, b)

    def most(self, a: Any, b: Any) -> Number:
        a = self.number(a)
        return self.choose(a > b, a, b)

    # Memory -------------------------------------------------------------------------------------

    def pointer(self, place: Number, kind: Any) -> Any:
        return self.builder.inttoptr(place.value, kind.as_pointer())

    def word(self, table: Number, i: Any) -> Number:
        """The i-th integer of the table at an address."""
        place = self.pointer(table + self.number(i) * 8, WORD)
        return Number(self.builder, self.builder.load(place, align=8))

    def get(self, place: Number, kind: Kind) -> Any:
        """The floating-point number at an address."""
        return self.builder.load(self.pointer(place, kind.number), align=kind.size)

    def put(self, place: Number, value: Any, kind: Kind) -> None:
        self.builder.store(value, self.pointer(place, kind.number), align=kind.size)

    def vector(self, place: Number, kind: Kind) -> Any:
        """The vector at an address; it need not be aligned."""
        return self.builder.load(self.pointer(place, kind.vector), align=kind.size)

    def put_vector(self, place: Number, value: Any, kind: Kind) -> None:
        self.builder.store(value, self.pointer(place, kind.vector), align=kind.size)

    def spread(self, place: Number, kind: Kind) -> Any:
        """The number at an address, in all lanes."""
        empty = ir.Constant(kind.vector, ir.Undefined)
        first = self.builder.insert_element(empty, self.get(place, kind), ir.Constant(_INDEX, 0))
        lanes = ir.Constant(ir.VectorType(_INDEX, kind.lanes), [0] * kind.lanes)
        return self.builder.shuffle_vector(first, empty, lanes)

    def shuffled(self, a: Any, b: Any, lanes: list[int]) -> Any:
        """The lanes of two vectors, counted through both."""
        return self.builder.shuffle_vector(
            a, b, ir.Constant(ir.VectorType(_INDEX, len(lanes)), lanes)
        )

    def fetch(self, place: Number, to_write: bool = False) -> None:
        """Has the cache line at an address brought near, while others are worked with."""
        pointer, flag = self.pointer(place, BYTE), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, flag, flag, flag])
        function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0i8")
        self.builder.call(function, [pointer, flag(int(to_write)), flag(3), flag(1)])

    def multiply_add(self, a: Any, b: Any, c: Any, kind: Kind) -> Any:
        """a * b + c of vectors: one instruction where the processor has it.

        `llvm.fma` would be a call of the C library where it has not.
        """
        function = cgutils.get_or_insert_function(
            self.builder.module,
            ir.FunctionType(kind.vector, [kind.vector] * 3),
            f"llvm.fmuladd.{kind.name}",
        )
        return self.builder.call(function, [a, b, c])

    def constant(self, x: float, kind: Kind) -> Any:
        return ir.Constant(kind.number, x)

    def add(self, a: Any, b: Any) -> Any:
        """The sum of two vectors or floating-point numbers."""
        return self.builder.fadd(a, b)

    def times(self, a: Any, b: Any) -> Any:
        """The product of two vectors or floating-point numbers."""
        return self.builder.fmul(a, b)

    # Comparing vectors, lane by lane; in `bytes` and `all` a lane is an integer.

    def larger(self, a: Any, b: Any) -> Any:
        """Whether a > b; a NaN is not, nor is anything larger than one."""
        return self.builder.fcmp_ordered(">", a, b)

    def is_nan(self, a: Any) -> Any:
        return self.builder.fcmp_unordered("uno", a, a)

    def same(self, a: Any, b: Any) -> Any:
        return self.builder.icmp_signed("==", a, b)

    def from_lane(self, first: Number, kind: Kind) -> Any:
        """Whether a lane is the one of that number, or one after it."""
        lanes = ir.Constant(kind.integers, list(range(kind.lanes)))
        return self.builder.icmp_signed(">=", lanes, self.all(first, kind))

    def either_of(self, a: Any, b: Any) -> Any:
        return self.builder.or_(a, b)

    def select(self, condition: Any, yes: Any, no: Any) -> Any:
        return self.builder.select(condition, yes, no)

    def all(self, x: Number, kind: Kind) -> Any:
        """An integer in all lanes."""
        lane = kind.integers.element
        number = self.builder.trunc(x.value, lane) if lane.width < 64 else x.value
        empty = ir.Constant(kind.integers, ir.Undefined)
        first = self.builder.insert_element(empty, number, ir.Constant(_INDEX, 0))
        return self.shuffled(first, empty, [0] * kind.lanes)

    def byte(self, place: Number) -> Number:
        """The byte at an address, from 0 to 255."""
        return Number(
            self.builder, self.builder.zext(self.builder.load(self.pointer(place, BYTE)), WORD)
        )

    def bytes(self, place: Number, kind: Kind) -> Any:
        """As many bytes as a vector has lanes, from 0 to 255."""
        narrow = self.pointer(place, ir.VectorType(BYTE, kind.lanes))
        return self.builder.zext(self.builder.load(narrow, align=1), kind.integers)

    def put_bytes(self, place: Number, value: Any, kind: Kind) -> None:
        narrow = ir.VectorType(BYTE, kind.lanes)
        self.builder.store(self.builder.trunc(value, narrow), self.pointer(place, narrow), align=1)

    def total(self, a: Any, kind: Kind) -> Any:
        """The sum of a vector's lanes, halves first."""
        lanes = kind.lanes
        while lanes > 1:
            lanes //= 2
            halves = [list(range(lanes)), list(range(lanes, 2 * lanes))]
            a = self.add(*(self.shuffled(a, a, half) for half in halves))
        return self.builder.extract_element(a, ir.Constant(_INDEX, 0))

    def copy(self, target: Number, source: Number, count: Any) -> None:
        """Copies bytes; the places must not overlap."""
        to, of = self.pointer(target, BYTE), self.pointer(source, BYTE)
        cgutils.raw_memcpy(self.builder, to, of, _value(count), 1)

    def clear(self, target: Number, count: Any) -> None:
        """Sets bytes to zero."""
        cgutils.memset(self.builder, self.pointer(target, BYTE), _value(count), 0)

    @contextmanager
    def scratch(self, *sizes: Any) -> Iterator[list[Number]]:
        """Addresses of memory for so many bytes each, at multiples of 64, until the end.

        Threads keep it from call to call: what lies there is left from some other loops.
        """
        total = self.number(64)
        for size in sizes:
            total = total + (size + 63) // 64 * 64
        start, taken = scratch.take(self.builder, total.value)
        place, places = (Number(self.builder, start) + 63) // 64 * 64, []
        for size in sizes:
            places.append(place)
            place = place + (size + 63) // 64 * 64
        yield places
        scratch.give_back(self.builder, taken)
