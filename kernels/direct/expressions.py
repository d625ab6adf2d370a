"""Expressions of a kernel's text: names, indices, operators, branches."""

# mypy: ignore-errors
from __future__ import annotations

import ast
import functools
from typing import Any

from numba import types

from ..plain.lowering import BINARY, COMPARE, Typed, Unknown
from .arrays import WORD, Array, Part
from .operators import SIGNED, Operators

__all__ = ["SIGNED", "Expressions", "Index"]


class Index(Typed):
    """What a loop counts by, from 0 or a positive number on."""


class Expressions(Operators):
    """Reads what has a value."""

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

    def of_Name(self, node: Any) -> Any:
        if node.id in self.variables:
            return self.fetched(self.variables[node.id])
        if node.id in self.own and node.id not in self.names:  # no other function's, or module's
            raise Unknown(node.id)
        return super().of_Name(node)

    def of_Tuple(self, node: Any) -> Any:
        return tuple(self.evaluate(x) for x in node.elts)

    def of_Attribute(self, node: Any) -> Any:
        if isinstance(node.value, ast.Attribute) and (node.value.attr, node.attr) == (
            "ctypes",
            "data",
        ):
            array = self.evaluate(node.value.value)
            return Typed(self.builder.ptrtoint(array.pointer, WORD), SIGNED)
        owner = self.evaluate(node.value)
        if not isinstance(owner, Array):
            if isinstance(owner, Typed | tuple):
                raise Unknown(ast.dump(node))
            return getattr(owner, node.attr)
        if node.attr == "shape":
            return tuple(Typed(length, SIGNED) for length in owner.lengths)
        if node.attr == "strides":
            axes = range(len(owner.lengths))
            strides = [owner.stride(self.context, self.builder, axis) for axis in axes]
            return tuple(Typed(stride, SIGNED) for stride in strides)
        if node.attr == "size":
            size = WORD(1)
            for length in owner.lengths:
                size = self.builder.mul(size, length)
            return Typed(size, SIGNED)
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
            return Part(*(b and self.cast(self.integer(b), SIGNED)
                          for b in (node.lower, node.upper)))  # fmt: skip
        found = self.integer(node)
        index = self.cast(found, SIGNED)
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
            return isinstance(found, Index) or (isinstance(found, int) and found >= 0)
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
        if not all(map(_is_harmless, node.comparators[1:])):  # it may not be asked for
            raise Unknown(ast.dump(node))
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
        if isinstance(node, ast.BoolOp):
            return self.together(node).value
        return self.truth(self.typed(node))

    def of_BoolOp(self, node: Any) -> Any:
        """`and`, `or` of truths: of anything else they would be one of the two."""
        return self.together(node, alone=True)

    def together(self, node: Any, alone: bool = False) -> Any:
        """What may be computed in any case is, all else where it is asked for.

        alone: of truths alone.
        """
        values, rest = [], list(node.values)
        while rest and (not values or all(map(_is_harmless, rest))):
            values.append(self.typed(rest.pop(0)))
        if alone and any(x.kind != types.boolean for x in values):
            raise Unknown(ast.dump(node))
        if not rest:
            join = self.builder.and_ if isinstance(node.op, ast.And) else self.builder.or_
            return Typed(functools.reduce(join, map(self.truth, values)), types.boolean)
        first, others = values[0], rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
        yes, no = ast.Constant(True), ast.Constant(False)
        if isinstance(node.op, ast.And):
            return self.branched(self.truth(first), others, no)
        return self.branched(self.truth(first), yes, others)

    def of_IfExp(self, node: Any) -> Any:
        if _is_harmless(node.body) and _is_harmless(node.orelse):
            return super().of_IfExp(node)
        return self.branched(self.condition(node.test), node.body, node.orelse)

    def branched(self, test: Any, yes: Any, no: Any) -> Any:
        builder, made = self.builder, []
        with builder.if_else(test) as ways:
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


def _is_harmless(node: Any) -> bool:
    """Whether an expression may be computed where it is not asked for, as quickly as not."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Subscript) and getattr(inner.value, "attr", "") != "shape":
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
