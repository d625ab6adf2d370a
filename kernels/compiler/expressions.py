"""Expressions of a rule, lowered: the text of a number or of a truth value, all of one type."""

from __future__ import annotations

import ast
import builtins
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any, Literal, NoReturn, cast

import numpy as np

from . import division
from .helpers import function_of
from .trees import tree_of
from .vocabulary import (
    ARITHMETIC,
    COMPARISONS,
    FUNCTIONS,
    MOVED,
    ON_DEVICES,
    READ_BITS,
    VECTORISED,
)

__all__ = ["Expressions", "Frame", "Kind"]

Kind = Literal["number", "bool", "constant"]
_MULTIPLIED = 8  # the largest whole exponent that is computed by products: 3 of them at most
_DIVISIONS: dict[type[ast.operator], Any] = {
    ast.Mod: division.remainder,
    ast.FloorDiv: division.floor_divide,
}


@dataclass
class Frame:
    """Whose lines are being lowered: the rule's, or those of a helper that it calls.

    names: from a variable to its name in the kernel.  bound: from an argument to the value that
    stands for it.  kinds: of the variables that have a value.
    """

    file: str
    scope: dict[str, Any]
    names: dict[str, str]
    function: Any = None
    bound: dict[str, tuple[ast.expr, Kind]] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=dict)


class Expressions:
    """The part of the lowering that knows expressions; statements and helpers are in `lower`."""

    frame: Frame
    attributes: dict[tuple[int, str], Any]
    dtype: str
    cuda: bool

    def fail(self, node: ast.AST, message: str) -> NoReturn:
        raise NotImplementedError

    def unknown(self, node: ast.AST, inside: ast.AST | None = None) -> NoReturn:
        raise NotImplementedError

    def helper_call(self, node: ast.Call, function: FunctionType) -> list[tuple[ast.expr, Kind]]:
        raise NotImplementedError

    def inlined_call(
        self, node: ast.AST, function: Any, values: Sequence[tuple[ast.expr, Any]]
    ) -> list[tuple[ast.expr, Kind]]:
        raise NotImplementedError

    def number(self, node: ast.expr) -> ast.expr:
        return self.as_number(node, *self.expression(node))

    def as_number(self, node: ast.expr, lowered: ast.expr, kind: Kind) -> ast.expr:
        if kind == "bool":
            self.fail(node, "a truth value cannot be used as a number, write `1.0 if ... else 0.0`")
        return self.cast(lowered) if kind == "constant" else lowered

    def condition(self, node: ast.expr) -> ast.expr:
        lowered, kind = self.expression(node)
        if kind != "bool":
            self.fail(node, "a condition must be a comparison, as in `x != 0`,")
        return lowered

    def cast(self, node: ast.expr) -> ast.expr:
        """Return `float32(0.5)` for a constant 0.5: it folds away and cannot widen the rest."""
        value = float(cast(ast.Constant, node).value)  # type: ignore[arg-type]
        inner: ast.expr = ast.Constant(value)
        if not math.isfinite(value):
            word = "nan" if math.isnan(value) else "inf"
            inner = ast.Attribute(ast.Name("math", ast.Load()), word, ast.Load())
            inner = ast.UnaryOp(ast.USub(), inner) if value < 0 else inner
        return ast.Call(ast.Name(self.dtype, ast.Load()), [inner], [])

    def expression(self, node: ast.expr) -> tuple[ast.expr, Kind]:
        method = getattr(self, f"visit_{type(node).__name__}", None)
        if method is None:
            self.unknown(node)
        return method(node)

    def constant(self, value: Any, node: ast.AST) -> tuple[ast.expr, Kind]:
        if isinstance(value, bool | np.bool_):
            return ast.Constant(bool(value)), "bool"
        if isinstance(value, np.number):
            value = value.item()
        if not isinstance(value, int | float):
            self.fail(node, f"{type(value).__name__} is not a number the kernel can hold")
        if isinstance(value, int) and abs(value) > 2**1000:
            self.fail(node, "the number is too large for float64")
        return ast.Constant(value), "constant"

    def visit_Constant(self, node: ast.Constant) -> tuple[ast.expr, Kind]:
        return self.constant(node.value, node)

    def visit_Name(self, node: ast.Name) -> tuple[ast.expr, Kind]:
        frame = self.frame
        if node.id in frame.bound:
            return frame.bound[node.id]
        if node.id in frame.kinds:
            return ast.Name(frame.names[node.id], ast.Load()), frame.kinds[node.id]
        if self.is_variable(node.id):
            self.fail(node, f"{node.id} may have no value here: assign it on every path")
        return self.constant(self.resolve(node), node)

    def visit_Attribute(self, node: ast.Attribute) -> tuple[ast.expr, Kind]:
        return self.constant(self.resolve(node), node)

    def is_variable(self, name: str) -> bool:
        return name in self.frame.names or name in self.frame.bound

    def resolve(self, node: ast.expr) -> Any:
        """Return the object that a free name (`sqrt`, `math.sqrt`, `BETA`) meant at decoration."""
        if isinstance(node, ast.Name) and not self.is_variable(node.id):
            if node.id in self.frame.scope:
                return self.frame.scope[node.id]
            if hasattr(builtins, node.id):
                return getattr(builtins, node.id)
            self.fail(
                node,
                f"{node.id} is not known when the rule is made; pass it as a coefficient or "
                "define it as a number above the rule;",
            )
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = None if self.is_variable(node.value.id) else self.resolve(node.value)
            key = id(self.frame.scope), ast.unparse(node)
            if key not in self.attributes and hasattr(module, node.attr):
                self.attributes[key] = getattr(module, node.attr)
            if key in self.attributes:
                return self.attributes[key]
        self.fail(node, "only names of numbers and of functions can be used")

    def visit_UnaryOp(self, node: ast.UnaryOp) -> tuple[ast.expr, Kind]:
        if isinstance(node.op, ast.Not):
            return ast.UnaryOp(node.op, self.condition(node.operand)), "bool"
        if isinstance(node.op, ast.Invert):
            self.unknown(node.op, node)
        operand, kind = self.expression(node.operand)
        if kind == "constant" and isinstance(operand, ast.Constant):
            sign = -1 if isinstance(node.op, ast.USub) else 1
            return ast.Constant(sign * operand.value), "constant"  # type: ignore[operator]
        return ast.UnaryOp(node.op, self.as_number(node.operand, operand, kind)), "number"

    def visit_BinOp(self, node: ast.BinOp) -> tuple[ast.expr, Kind]:
        if type(node.op) not in ARITHMETIC:
            self.unknown(node.op, node)
        left, left_kind = self.expression(node.left)
        right, right_kind = self.expression(node.right)
        if left_kind == right_kind == "constant":
            return self.fold(node, left, right)
        left = self.as_number(node.left, left, left_kind)
        if isinstance(node.op, ast.Pow):
            return self.power(node, left, right, right_kind), "number"
        right = self.as_number(node.right, right, right_kind)
        if type(node.op) in _DIVISIONS:
            pair = [(left, "number"), (right, "number")]
            return self.inlined_call(node, _DIVISIONS[type(node.op)], pair)[0]
        return ast.BinOp(left, node.op, right), "number"

    def power(self, node: ast.BinOp, base: ast.expr, exponent: ast.expr, kind: Kind) -> ast.expr:
        """Return base ** exponent: small whole exponents multiply, others call pow."""
        value: Any = cast(ast.Constant, exponent).value if kind == "constant" else None
        if value == 0.5:
            return self.call("math.sqrt", [base])
        if value is None or abs(value) > _MULTIPLIED or not float(value).is_integer():
            return self.call("math.pow", [base, self.as_number(node.right, exponent, kind)])
        one = self.cast(ast.Constant(1))
        if value == 0:
            return one  # of NaN, too
        # Numba raises ZeroDivisionError for 0 ** -1 whatever the error model: divide here.
        size = abs(int(value))
        product = ast.BinOp(base, node.op, ast.Constant(size)) if size > 1 else base
        return product if value > 0 else ast.BinOp(one, ast.Div(), product)

    def fold(self, node: ast.BinOp, left: Any, right: Any) -> tuple[ast.expr, Kind]:
        """Compute `1 / 3` here, in double, as Python does: it is cast once, as one number."""
        try:
            value = ARITHMETIC[type(node.op)](left.value, right.value)
        except (ArithmeticError, ValueError) as error:
            self.fail(node, f"{error}")
        return self.constant(value, node)

    def visit_Compare(self, node: ast.Compare) -> tuple[ast.expr, Kind]:
        for op in node.ops:
            if not isinstance(op, COMPARISONS):
                self.unknown(op, node)
        values = [self.number(v) for v in (node.left, *node.comparators)]
        return ast.Compare(values[0], node.ops, values[1:]), "bool"

    def visit_BoolOp(self, node: ast.BoolOp) -> tuple[ast.expr, Kind]:
        return ast.BoolOp(node.op, [self.condition(v) for v in node.values]), "bool"

    def visit_IfExp(self, node: ast.IfExp) -> tuple[ast.expr, Kind]:
        test = self.condition(node.test)
        body, body_kind = self.expression(node.body)
        orelse, orelse_kind = self.expression(node.orelse)
        if body_kind == orelse_kind == "bool":
            return ast.IfExp(test, body, orelse), "bool"
        body = self.as_number(node.body, body, body_kind)
        orelse = self.as_number(node.orelse, orelse, orelse_kind)
        return ast.IfExp(test, body, orelse), "number"

    def visit_Call(self, node: ast.Call) -> tuple[ast.expr, Kind]:
        if isinstance(node.func, ast.Name) and self.is_variable(node.func.id):
            self.fail(node, f"{node.func.id} is a number in this rule and cannot be called")
        function = self.resolve(node.func)
        helper = function_of(function)
        if helper is not None:
            values = self.helper_call(node, helper)
            if len(values) != 1:
                self.fail(node, f"{helper.__name__} returns {len(values)} numbers, as in "
                          f"`{', '.join('abcdefgh'[:len(values)])} = ...`,")  # fmt: skip
            return values[0]
        known = FUNCTIONS.get(function) if callable(function) else None
        if known is None:
            names = sorted({text.removeprefix("math.") for text, _ in FUNCTIONS.values()})
            self.fail(
                node,
                f"{ast.unparse(node.func)} cannot be called in a kernel; write its lines into the "
                f"rule, or use one of {', '.join(names)}, or a function of your own, plain or "
                "@njit;",
            )
        name, count = known
        if len(node.args) != count or node.keywords:
            self.fail(node, f"{ast.unparse(node.func)} takes {count} plain argument(s)")
        return self.call(name, [self.number(a) for a in node.args]), "number"

    def call(self, name: str, arguments: list[ast.expr]) -> ast.expr:
        if self.cuda and name in ON_DEVICES:
            formula = tree_of(ON_DEVICES[name], mode="eval").body
            return _Filled(arguments[0], self.cast).visit(formula)
        vectorised = not self.cuda and name in VECTORISED
        if name in READ_BITS and (not vectorised or name == "math.fmod"):
            arguments = [self.zeroed(a) for a in arguments]
        name = VECTORISED[name] if vectorised else name
        return ast.Call(tree_of(name, mode="eval").body, arguments, [])

    def zeroed(self, x: ast.expr) -> ast.expr:
        """Return `x`, where it may be a denormal with the processor's zero in its place."""
        moved = isinstance(x, ast.Call) and ast.unparse(x.func) in MOVED
        if not (moved or isinstance(x, ast.Name | ast.IfExp | ast.UnaryOp)):
            return x  # what was computed is none, and neither is a constant
        # A sum is never one. A plain 0 would turn -0.0 into 0.0.
        zero = self.call("math.copysign", [self.cast(ast.Constant(0)), x])
        return ast.BinOp(x, ast.Add(), zero)


class _Filled(ast.NodeTransformer):
    """Puts an expression in the place of `x`, and casts all numbers."""

    def __init__(self, x: ast.expr, cast: Callable[[ast.expr], ast.expr]) -> None:
        self.x, self.cast = x, cast

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.x if node.id == "x" else node

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return self.cast(node)
