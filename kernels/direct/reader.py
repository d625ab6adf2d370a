"""The text of a kernel to LLVM, in one pass, with arrays, branches and loops.

More of Python than `kernels/plain` reads: that has the files of compiled steps, this what the
kernels' texts say. Each operation is Numba's, or what Numba would write for it. A variable has the
type of its first value. What it does not know is `Unknown`.
"""

# mypy: ignore-errors
from __future__ import annotations

import ast
import inspect
import operator
from contextlib import contextmanager
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.callconv import create_error_model

from .. import pool
from ..micro import scratch
from ..plain.lowering import BINARY, COMPARE, Body, Typed, Unknown
from ..plain.texts import assigned, parsed
from .arrays import WORD, Array, Part

__all__ = ["Unknown", "as_it_was", "read"]

_SIGNED, _UNSIGNED, _REAL = types.int64, types.uint64, (types.float32, types.float64)
_INTEGER = {
    operator.add: "add", operator.sub: "sub", operator.mul: "mul", operator.and_: "and_",
    operator.or_: "or_", operator.xor: "xor",
}  # fmt: skip
_FLOATING = {operator.add: "fadd", operator.sub: "fsub", operator.mul: "fmul"}
_RELATION = {
    operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">=", operator.eq: "==",
    operator.ne: "!=",
}  # fmt: skip


_OF_A_CALL = ("frame", "space", "variables", "names")


class _Index(Typed):
    """What a loop counts by, from 0 or a positive number on."""


class _Frame:
    """A function that is read: where its `return` leads, and what it returned so far."""

    def __init__(self, end: Any, returns: Any) -> None:
        self.end, self.returns = end, returns  # returns: a type that is said beforehand, or None
        self.result: Any = None  # places of what is returned
        self.taken: list[Any] = []  # memory to give back
        self.depth = 0  # branches and loops around what is read


class Reader(Body):
    """Reads functions, and writes their instructions where a builder stands."""

    def __init__(self, context: Any, builder: Any, raises: bool) -> None:
        if not raises:  # nor does a division by zero
            context = context.subtarget(error_model=create_error_model("numpy", context))
        self.context, self.typing, self.builder = context, context.typing_context, builder
        self.raises = raises  # whether an error can be reported from here
        self.group = None

    def call(self, function: Any, arguments: list[Any], returns: Any = None) -> Any:
        """Write what a call of a plain function does; return its result.

        arguments: Typed, arrays, tuples of such.
        """
        definition = parsed(function)
        names = list(inspect.signature(function).parameters)
        before = [self.__dict__.get(name) for name in _OF_A_CALL]
        self.frame = _Frame(self.builder.append_basic_block(f"end_{function.__name__}"), returns)
        self.space, self.variables = _space(function), {}
        self.names = dict(zip(names, arguments, strict=True))
        changed = {node.id for node in assigned(definition)}
        for name in changed & self.names.keys():
            self.assign(ast.Name(name, ast.Store()), self.names.pop(name))
        self.suite(definition.body)
        if not self.builder.block.is_terminated:
            self.builder.branch(self.frame.end)
        self.builder.position_at_end(self.frame.end)
        for taken in self.frame.taken:
            scratch.give_back(self.builder, taken)
        result = self.frame.result
        result = None if result is None else self.fetched(result)
        self.__dict__.update(zip(_OF_A_CALL, before, strict=True))
        return result

    # Variables: `places` are allocas, as what they hold is nested ---------------------------------

    def kept(self, value: Any, name: str) -> Any:
        """Places for a value like this one."""
        if isinstance(value, tuple):
            return tuple(self.kept(x, name) for x in value)
        if isinstance(value, Array):
            places = [cgutils.alloca_once(self.builder, x.type, name=name) for x in value.parts()]
            return value, places
        kind = self.context.get_value_type(value.kind)
        return Typed(cgutils.alloca_once(self.builder, kind, name=name), value.kind)

    def put(self, value: Any, places: Any) -> None:
        if isinstance(value, Typed):
            if not isinstance(places, Typed) or places.kind != value.kind:
                raise Unknown("several types")
            self.builder.store(value.value, places.value)
        elif isinstance(value, Array):
            if not isinstance(places, tuple) or not isinstance(places[0], Array):
                raise Unknown("several types")
            if places[0].kind != value.kind:
                raise Unknown("several types")
            for part, place in zip(value.parts(), places[1], strict=True):
                self.builder.store(part, place)
        else:
            if not isinstance(places, tuple) or len(places) != len(value):
                raise Unknown("several types")
            for part, place in zip(value, places, strict=True):
                self.put(part, place)

    def fetched(self, places: Any) -> Any:
        if isinstance(places, Typed):
            return Typed(self.builder.load(places.value), places.kind)
        if places and isinstance(places[0], Array):
            return places[0].with_parts([self.builder.load(place) for place in places[1]])
        return tuple(self.fetched(place) for place in places)

    def value(self, node: Any) -> Any:
        """What an expression gives: Typed, an array, or a tuple of such."""
        return self.as_value(self.evaluate(node), node)

    def as_value(self, found: Any, node: Any) -> Any:
        if isinstance(found, Typed | Array):
            return found
        if isinstance(found, tuple):
            return tuple(self.as_value(x, node) for x in found)
        return self.constant(found, node)

    def single(self, found: Any, node: Any) -> Typed:
        """A number out of what was evaluated."""
        if isinstance(found, Array | tuple):
            raise Unknown(ast.dump(node))
        return found if isinstance(found, Typed) else self.constant(found, node)

    def typed(self, node: Any) -> Typed:
        return self.single(self.evaluate(node), node)

    # Statements ----------------------------------------------------------------------------------

    def suite(self, nodes: list[Any]) -> None:
        for node in nodes:
            if self.builder.block.is_terminated:
                return
            self.statement(node)

    def deeper(self, nodes: list[Any]) -> None:
        self.frame.depth += 1
        self.suite(nodes)
        self.frame.depth -= 1

    def do_Pass(self, node: Any) -> None:
        pass

    def do_Assign(self, node: Any) -> None:
        made = self.value(node.value)
        for target in node.targets:
            self.assign(target, made)

    def assign(self, target: Any, made: Any) -> None:
        if isinstance(target, ast.Tuple):
            if not isinstance(made, tuple) or len(made) != len(target.elts):
                raise Unknown(ast.dump(target))
            for part, value in zip(target.elts, made, strict=True):
                self.assign(part, value)
        elif isinstance(target, ast.Subscript):
            self.put_element(target, made)
        elif isinstance(target, ast.Name):
            places = self.variables.get(target.id)
            if places is None:
                if target.id in self.names:  # a loop's own
                    raise Unknown(target.id)
                places = self.variables[target.id] = self.kept(made, target.id)
            try:
                self.put(made, places)
            except Unknown:
                if self.frame.depth:
                    raise
                # Another variable from here on, whichever way this was reached.
                places = self.variables[target.id] = self.kept(made, target.id)
                self.put(made, places)
        else:
            raise Unknown(ast.dump(target))

    def put_element(self, target: Any, made: Any) -> None:
        array, indices = self.indexed(target)
        whole = len(indices) == len(array.lengths)
        if not isinstance(made, Typed) or not whole or any(isinstance(i, Part) for i in indices):
            raise Unknown(ast.dump(target))
        place = array.place(self.builder, indices)
        array.store(self.context, self.builder, place, self.cast(made, array.kind.dtype))

    def do_Expr(self, node: Any) -> None:
        if not isinstance(node.value, ast.Constant):
            self.evaluate(node.value)

    def do_Return(self, node: Any) -> None:
        frame = self.frame
        if node.value is not None:
            made = self.value(node.value)
            if isinstance(made, Typed) and frame.returns not in (None, types.none):
                made = Typed(self.cast(made, frame.returns), frame.returns)
            if frame.result is None:
                frame.result = self.kept(made, "result")
            self.put(made, frame.result)
        self.builder.branch(frame.end)

    def do_Raise(self, node: Any) -> None:
        error = node.exc
        if not self.raises or not isinstance(error, ast.Call) or self.frame.taken:
            raise Unknown(ast.dump(node))
        arguments = tuple(self.evaluate(x) for x in error.args)
        self.context.call_conv.return_user_exc(self.builder, self.evaluate(error.func), arguments)

    def do_If(self, node: Any) -> None:
        builder = self.builder
        names = ("then", "otherwise", "after") if node.orelse else ("then", "after")
        blocks = [builder.append_basic_block(name) for name in names]
        builder.cbranch(self.condition(node.test), blocks[0], blocks[1])
        for block, nodes in zip(blocks, (node.body, node.orelse), strict=False):
            if nodes:
                builder.position_at_end(block)
                self.deeper(nodes)
                if not builder.block.is_terminated:
                    builder.branch(blocks[-1])
        builder.position_at_end(blocks[-1])
        if node.orelse and not _is_reached(builder, blocks[-1]):
            builder.unreachable()

    def do_While(self, node: Any) -> None:
        if node.orelse:
            raise Unknown(ast.dump(node))
        builder = self.builder
        head, body, after = (builder.append_basic_block(n) for n in ("while", "body", "after"))
        builder.branch(head)
        builder.position_at_end(head)
        if isinstance(node.test, ast.Constant) and node.test.value is True:
            builder.branch(body)
        else:
            builder.cbranch(self.condition(node.test), body, after)
        builder.position_at_end(body)
        self.inside(node.body, head)
        builder.position_at_end(after)
        if not _is_reached(builder, after):
            builder.unreachable()

    def do_For(self, node: Any) -> None:
        call, builder = node.iter, self.builder
        counts = isinstance(call, ast.Call) and self.evaluate(call.func) is range
        if not counts or node.orelse or not isinstance(node.target, ast.Name):
            raise Unknown(ast.dump(call))
        bounds = [self.evaluate(a) for a in call.args]
        start, stop, step = {1: [0, *bounds, 1], 2: [*bounds, 1], 3: bounds}[len(bounds)]
        if step == 0:
            raise Unknown(ast.dump(call))
        first, last, apart = (self.cast(self.single(x, call), _SIGNED) for x in (start, stop, step))
        name, before = node.target.id, builder.block
        head, body, after = (builder.append_basic_block(n) for n in ("for", "body", "after"))
        builder.branch(head)
        builder.position_at_end(head)
        index = builder.phi(WORD, name)
        index.add_incoming(first, before)
        builder.cbranch(self.goes_on(index, last, step, apart), body, after)
        builder.position_at_end(body)
        outer = self.names.get(name)
        natural = isinstance(start, int) and start >= 0 and isinstance(step, int) and step > 0
        if name in self.variables:  # has another value elsewhere
            self.put(Typed(index, _SIGNED), self.variables[name])
        else:
            self.names[name] = (_Index if natural else Typed)(index, _SIGNED)
        following = builder.append_basic_block("next")
        self.inside(node.body, following)
        builder.position_at_end(following)
        index.add_incoming(builder.add(index, apart, flags=("nsw",)), following)
        builder.branch(head)
        builder.position_at_end(after)
        self.names[name] = outer
        if outer is None:
            del self.names[name]

    def goes_on(self, index: Any, last: Any, step: Any, apart: Any) -> Any:
        """Whether a loop has a round for this index. With a step of 0 it has none."""
        builder = self.builder
        below, above = (builder.icmp_signed(relation, index, last) for relation in "<>")
        if isinstance(step, int):
            return below if step > 0 else above
        up, down = (builder.icmp_signed(relation, apart, WORD(0)) for relation in "><")
        return builder.or_(builder.and_(up, below), builder.and_(down, above))

    def inside(self, nodes: list[Any], following: Any) -> None:
        """A loop's body."""
        self.deeper(nodes)
        if not self.builder.block.is_terminated:
            self.builder.branch(following)

    # Expressions ---------------------------------------------------------------------------------

    def of_Name(self, node: Any) -> Any:
        if node.id in self.variables:
            return self.fetched(self.variables[node.id])
        return super().of_Name(node)

    def of_Tuple(self, node: Any) -> Any:
        return tuple(self.evaluate(x) for x in node.elts)

    def of_Attribute(self, node: Any) -> Any:
        if isinstance(node.value, ast.Attribute) and (node.value.attr, node.attr) == (
            "ctypes",
            "data",
        ):
            array = self.evaluate(node.value.value)
            return Typed(self.builder.ptrtoint(array.pointer, WORD), _SIGNED)
        owner = self.evaluate(node.value)
        if not isinstance(owner, Array):
            if isinstance(owner, Typed | tuple):
                raise Unknown(ast.dump(node))
            return getattr(owner, node.attr)
        if node.attr == "shape":
            return tuple(Typed(length, _SIGNED) for length in owner.lengths)
        if node.attr == "strides":
            axes = range(len(owner.lengths))
            strides = [owner.stride(self.context, self.builder, axis) for axis in axes]
            return tuple(Typed(stride, _SIGNED) for stride in strides)
        if node.attr == "size":
            size = WORD(1)
            for length in owner.lengths:
                size = self.builder.mul(size, length)
            return Typed(size, _SIGNED)
        raise Unknown(node.attr)

    def of_Subscript(self, node: Any) -> Any:
        found = self.evaluate(node.value)
        if isinstance(found, tuple):
            which = self.evaluate(node.slice)
            if not isinstance(which, int):
                raise Unknown(ast.dump(node))
            return found[which]
        array, indices = self.indexed(node, found)
        if len(indices) == len(array.lengths) and not any(isinstance(i, Part) for i in indices):
            place = array.place(self.builder, indices)
            return array.load(self.context, self.builder, place)
        return array.view(self.context, self.builder, indices)

    def indexed(self, node: Any, found: Any = None) -> tuple[Array, list[Any]]:
        """The array of `x[i, j]`, and what stands in the brackets: integers, and parts."""
        array = self.evaluate(node.value) if found is None else found
        if not isinstance(array, Array):
            raise Unknown(ast.dump(node))
        given = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if len(given) > len(array.lengths):
            raise Unknown(ast.dump(node))
        pairs = zip(given, array.lengths, strict=False)
        return array, [self.index(one, length) for one, length in pairs]

    def index(self, node: Any, length: Any) -> Any:
        if isinstance(node, ast.Slice):
            if node.step is not None:
                raise Unknown(ast.dump(node))
            return Part(*(b and self.cast(self.integer(b), _SIGNED)
                          for b in (node.lower, node.upper)))  # fmt: skip
        found = self.integer(node)
        index = self.cast(found, _SIGNED)
        if not found.kind.signed or self.is_natural(node):
            return index
        negative = self.builder.icmp_signed("<", index, WORD(0))
        return self.builder.select(negative, self.builder.add(index, length), index)

    def integer(self, node: Any) -> Typed:
        found = self.typed(node)
        if not isinstance(found.kind, types.Integer):
            raise Unknown(ast.dump(node))
        return found

    def is_natural(self, node: Any) -> bool:
        """Whether an index is 0 or more: a loop's own, or sums and products of such."""
        if isinstance(node, ast.Constant):
            return isinstance(node.value, int) and node.value >= 0
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult):
            return self.is_natural(node.left) and self.is_natural(node.right)
        if isinstance(node, ast.Name) and node.id not in self.variables:
            found = self.names.get(node.id, self.space.get(node.id))
            return isinstance(found, _Index) or (isinstance(found, int) and found >= 0)
        return False

    def of_BinOp(self, node: Any) -> Any:
        a, b = self.evaluate(node.left), self.evaluate(node.right)
        function = BINARY.get(type(node.op))
        if function is None:
            raise Unknown(ast.dump(node))
        if isinstance(a, int) and isinstance(b, int):
            return function(a, b)
        return self.operate(function, self.single(a, node), self.single(b, node))

    def of_Compare(self, node: Any) -> Any:
        """a < b, and a < b < c, where what stands in the middle is computed once."""
        sides = [self.typed(side) for side in (node.left, *node.comparators)]
        found = None
        for i, op in enumerate(node.ops):
            if type(op) not in COMPARE:
                raise Unknown(ast.dump(node))
            truth = self.operate(COMPARE[type(op)], sides[i], sides[i + 1])
            found = truth if found is None else Typed(
                self.builder.and_(found.value, truth.value), types.boolean
            )  # fmt: skip
        return found

    def condition(self, node: Any) -> Any:
        return self.truth(self.typed(node))

    def of_BoolOp(self, node: Any) -> Any:
        """`and`, `or`: what may be computed in any case is, all else where it is asked for."""
        if all(map(_is_harmless, node.values[1:])):
            return super().of_BoolOp(node)
        first, rest = node.values[0], node.values[1:]
        others = rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
        yes, no = ast.Constant(True), ast.Constant(False)
        if isinstance(node.op, ast.And):
            return self.branched(first, others, no)
        return self.branched(first, yes, others)

    def of_IfExp(self, node: Any) -> Any:
        if _is_harmless(node.body) and _is_harmless(node.orelse):
            return super().of_IfExp(node)
        return self.branched(node.test, node.body, node.orelse)

    def branched(self, test: Any, yes: Any, no: Any) -> Any:
        builder, made = self.builder, []
        with builder.if_else(self.condition(test)) as ways:
            for way, node in zip(ways, (yes, no), strict=True):
                with way:
                    found = self.typed(node)
                    made.append((found, builder.block))
        (a, of_a), (b, of_b) = made
        if a.kind != b.kind:
            raise Unknown("branches of several types")
        joined = builder.phi(a.value.type)
        joined.add_incoming(a.value, of_a)
        joined.add_incoming(b.value, of_b)
        return Typed(joined, a.kind)

    # Calls ---------------------------------------------------------------------------------------

    def of_Call(self, node: Any) -> Any:
        if node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            raise Unknown(ast.dump(node))
        if isinstance(node.func, ast.Attribute) and node.func.attr == "view":
            return self.same_bits(self.typed(node.func.value), self.evaluate(node.args[0]))
        function = self.evaluate(node.func)
        if function is np.empty:
            return self.empty(node)
        if function in (pool.share, pool.split):
            return self.shared(function, node)
        if isinstance(function, type) and issubclass(function, np.number):
            return self.number(function, self.evaluate(node.args[0]))
        arguments = [self.value(a) for a in node.args]
        if function is len:
            return Typed(arguments[0].lengths[0], _SIGNED)
        if function in (min, max) and len(arguments) == 2:
            return self.extreme(function, *arguments)
        read = getattr(function, "read_directly", None)
        if read is not None:
            return self.call(read, arguments, getattr(function, "returns", None))
        arguments = [self.whole(x, node) for x in arguments]
        if isinstance(function, types.ExternalFunction):
            return self.external(function, arguments)
        return self.operate(function, *arguments)

    def whole(self, x: Any, node: Any) -> Typed:
        """An argument as Numba's functions take it."""
        if isinstance(x, Array) and x.origin is not None:
            return Typed(x.origin, x.kind)
        return self.single(x, node)

    def external(self, function: Any, arguments: list[Typed]) -> Typed:
        """A function of C's, by its name."""
        signature, builder = function.sig, self.builder
        given = [self.cast(x, kind) for x, kind in zip(arguments, signature.args, strict=True)]
        nothing = signature.return_type == types.none
        made = ir.VoidType() if nothing else self.context.get_value_type(signature.return_type)
        kind = ir.FunctionType(made, [value.type for value in given])
        found = builder.call(
            cgutils.get_or_insert_function(builder.module, kind, function.symbol), given
        )
        return Typed(self.context.get_dummy_value() if nothing else found, signature.return_type)

    def same_bits(self, x: Typed, kind: Any) -> Typed:
        kind = getattr(types, np.dtype(kind).name)
        if kind.bitwidth != x.kind.bitwidth:
            raise Unknown("view")
        return Typed(self.builder.bitcast(x.value, self.context.get_value_type(kind)), kind)

    def extreme(self, function: Any, a: Typed, b: Typed) -> Typed:
        """The smaller or larger of two, by Python's rule: the first, unless the second is so."""
        if a.kind != b.kind:
            kind = self.typing.unify_types(a.kind, b.kind)
            a, b = (Typed(self.cast(x, kind), kind) for x in (a, b))
        relation = operator.gt if function is max else operator.lt
        beyond = self.operate(relation, b, a)
        return Typed(self.builder.select(beyond.value, b.value, a.value), a.kind)

    def empty(self, node: Any) -> Array:
        """An array in memory that threads keep, until the function ends."""
        if self.frame.depth or self.frame.result is not None:
            raise Unknown(ast.dump(node))
        shape = self.value(node.args[0])
        lengths = [self.cast(x, _SIGNED) for x in (shape if isinstance(shape, tuple) else (shape,))]
        given = self.evaluate(node.args[1]) if len(node.args) > 1 else np.float64
        dtype = getattr(types, np.dtype(given).name)
        data = self.context.get_data_type(dtype)
        size = WORD(self.context.get_abi_sizeof(data))
        for length in lengths:
            size = self.builder.mul(size, length)
        builder, edge = self.builder, 64
        size = builder.add(size, WORD(edge))
        start, taken = scratch.take(builder, size)
        self.frame.taken.append(taken)
        start = builder.and_(builder.add(start, WORD(edge - 1)), WORD(-edge))
        pointer = builder.inttoptr(start, data.as_pointer())
        return Array(types.Array(dtype, len(lengths), "C"), pointer, lengths, [])

    def shared(self, function: Any, node: Any) -> Any:
        """share(part, count, grain, cost, ...), or `split` without a cost."""
        numbers = 3 if function is pool.share else 2
        body = self.evaluate(node.args[0])
        counts = [self.cast(self.typed(a), _SIGNED) for a in node.args[1 : numbers + 1]]
        counts += [WORD(pool.USUAL)] * (3 - numbers)
        given = [self.value(a) for a in node.args[numbers + 1 :]]
        if getattr(body, "read_directly", None) is None or any(isinstance(x, tuple) for x in given):
            raise Unknown(ast.dump(node))
        parts = [x.parts() if isinstance(x, Array) else [x.value] for x in given]
        values = [value for some in parts for value in some]
        packed = ir.Constant(ir.LiteralStructType([value.type for value in values]), ir.Undefined)
        for i, value in enumerate(values):
            packed = self.builder.insert_value(packed, value, i)

        def call(context: Any, inside: Any, first: Any, last: Any, values: Any) -> None:
            inside.function.attributes.add("noinline")
            left = list(values)
            arguments = [Typed(first, _SIGNED), Typed(last, _SIGNED)]
            for x, some in zip(given, parts, strict=True):
                own, left = left[: len(some)], left[len(some) :]
                arguments.append(
                    x.with_parts(own) if isinstance(x, Array) else Typed(own[0], x.kind)
                )
            Reader(context, inside, raises=False).call(body.read_directly, arguments)
            body.take_liberties(inside.function)

        pool.write_job(self.context, self.builder, call, *counts, packed)
        return Typed(self.context.get_dummy_value(), types.none)

    # Operators of which Numba need not be asked ---------------------------------------------------

    def operate(self, function: Any, *arguments: Typed) -> Typed:
        if len(arguments) == 2 and arguments[0].kind == arguments[1].kind:
            found = self.at_once(function, arguments[0].kind, *(x.value for x in arguments))
            if found is not None:
                return found
        return super().operate(function, *arguments)

    def at_once(self, function: Any, kind: Any, a: Any, b: Any) -> Typed | None:
        builder, relation = self.builder, _RELATION.get(function)
        if kind in (_SIGNED, _UNSIGNED):
            if relation is not None:
                compare = builder.icmp_signed if kind is _SIGNED else builder.icmp_unsigned
                return Typed(compare(relation, a, b), types.boolean)
            name = _INTEGER.get(function)
        elif kind in _REAL:
            if relation is not None:
                ordered = builder.fcmp_unordered if relation == "!=" else builder.fcmp_ordered
                return Typed(ordered(relation, a, b), types.boolean)
            name = _FLOATING.get(function)
        else:
            return None
        return None if name is None else Typed(getattr(builder, name)(a, b), kind)


def _space(function: Any) -> dict[str, Any]:
    cells = inspect.getclosurevars(function).nonlocals if function.__closure__ else {}
    return {**function.__globals__, **cells}


def _is_reached(builder: Any, block: Any) -> bool:
    """Whether anything leads to a block."""
    return any(
        block in getattr(b.terminator, "operands", ()) for b in builder.function.blocks
        if b.terminator is not None
    )  # fmt: skip


def _is_harmless(node: Any) -> bool:
    """Whether an expression may be computed where it is not asked for, as quickly as not."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Subscript):
            return False
        if isinstance(inner, ast.Call) and not _is_cast(inner):
            return False
        if isinstance(inner, ast.BinOp) and isinstance(
            inner.op, ast.Div | ast.FloorDiv | ast.Mod | ast.Pow
        ):
            return False
    return True


def _is_cast(call: Any) -> bool:
    name = getattr(call.func, "id", "")
    return name in ("float32", "float64", "int64", "uint32", "uint64", "number", "abs")


def read(
    context: Any, builder: Any, function: Any, kinds: Any, values: Any, result: Any, raises: bool
) -> Any:
    """Write a function for values of Numba's; return its result, as Numba has it."""
    arguments = [
        Array.of(context, builder, kind, value) if isinstance(kind, types.Array)
        else Typed(value, kind) for kind, value in zip(kinds, values, strict=True)
    ]  # fmt: skip
    found = Reader(context, builder, raises).call(function, arguments, result)
    if found is None:
        return context.get_dummy_value()
    if isinstance(found, tuple):
        return context.make_tuple(builder, result, [x.value for x in found])
    return found.value


@contextmanager
def as_it_was(builder: Any) -> Any:
    """Take back what was written to a function and its module, where `Unknown` is raised."""
    function, block = builder.function, builder.block
    instructions, blocks = len(block.instructions), len(function.blocks)
    entry = function.entry_basic_block
    in_entry, known = len(entry.instructions), set(builder.module.globals)
    try:
        yield
    except Unknown:
        del function.blocks[blocks:]
        del block.instructions[instructions:]
        if entry is not block:
            del entry.instructions[in_entry:]
        block.terminator = None
        for name in set(builder.module.globals) - known:
            del builder.module.globals[name]
        builder.position_at_end(block)
        raise
