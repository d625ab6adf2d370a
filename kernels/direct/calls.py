"""Calls in a kernel's text: what it calls is written there; parts go to the pool's threads."""

# mypy: ignore-errors
from __future__ import annotations

import ast
import functools
import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from .. import pool
from ..compiler.lines import in_line, in_line_type
from ..micro import scratch
from ..plain.lowering import Typed, Unknown
from .arrays import WORD, Array
from .expressions import SIGNED, Expressions

__all__ = ["Calls"]


class Calls(Expressions):
    """Reads calls."""

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
        if function is in_line:
            return self.in_line(self.value(node.args[0]), node)
        if isinstance(function, type) and issubclass(function, np.number):
            return self.number(function, self.evaluate(node.args[0]), node)
        arguments = [self.value(a) for a in node.args]
        if function is len and isinstance(arguments[0], Array):
            return Typed(arguments[0].lengths[0], SIGNED)
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
        if isinstance(x, Array):
            return Typed(x.structure(self.context, self.builder), x.kind)
        return self.single(x, node)

    def in_line(self, array: Any, node: Any) -> Array:
        if not isinstance(array, Array):
            raise Unknown(ast.dump(node))
        count = functools.reduce(self.builder.mul, array.lengths)
        return Array(in_line_type(array.kind), array.pointer, [count], [])

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
        lengths = [self.cast(x, SIGNED) for x in (shape if isinstance(shape, tuple) else (shape,))]
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
        counts = [self.cast(self.typed(a), SIGNED) for a in node.args[1 : numbers + 1]]
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
            arguments = [Typed(first, SIGNED), Typed(last, SIGNED)]
            for x, some in zip(given, parts, strict=True):
                own, left = left[: len(some)], left[len(some) :]
                arguments.append(
                    x.with_parts(own) if isinstance(x, Array) else Typed(own[0], x.kind)
                )
            type(self)(context, inside, raises=False).call(body.read_directly, arguments)
            body.take_liberties(inside.function)

        pool.write_job(self.context, self.builder, call, *counts, packed)
        return Typed(self.context.get_dummy_value(), types.none)
