"""From a rule's syntax tree to the lines of a kernel, with every number cast.

The lowered lines know only two kinds of value, numbers of the kernel's dtype and truth values.
Because every literal is cast and arithmetic on truth values is refused, nothing in a float32
kernel can widen to double (one stray `1.0` or `True + g` would run the whole loop in float64).
"""

from __future__ import annotations

import ast
import builtins
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, cast

import numpy as np

from .. import functions
from . import words
from .syntax import FUNCTIONS, Rule, RuleError

Kind = Literal["number", "bool", "constant"]

# Names that the generated text uses itself: a rule's variable of that name gets an underscore.
RESERVED = (
    frozenset(
        {
            "math",
            "abs",
            "min",
            "max",
            "range",
            "split",
            "njit",
            "cuda",
            "float32",
            "float64",
            "uint32",
            "uint64",
            "exchange_mode",
            "ValueError",
        }
    )
    | words.NAMES
    | {f"vector_{name}" for name in functions.__all__}
)

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
_MULTIPLIED = 8  # the largest whole exponent that is computed by products: 3 of them at most
# The C library takes these apart by their bits, and goes astray at a denormal that the processor
# then counts as zero (see denormals.py): in float32, log(1e-40) came out as -104. They get a zero.
_READ_BITS = frozenset({"math.log", "math.log2", "math.log10", "math.pow"})
# Of those on the CPU: our own, which become SIMD code and take such a number for zero themselves.
_VECTORISED = {
    f"math.{name}" if hasattr(math, name) else name: f"vector_{name}" for name in functions.__all__
}
# Those that devices do not have. What would be denormal is 0, as in kernels for the CPU.
_ON_DEVICES = {
    "sigmoid": "1 / (1 + math.exp(-x))",
    "normal_cdf": "0.5 * math.erfc(x * -0.7071067811865476)",
    "normal_density": "0.3989422804014327 * math.exp(-0.5 * x * x)",
}
_MOVED = frozenset({"abs", "min", "max", "math.fabs", "math.copysign"})  # hand their bits on
_HINTS: dict[type[ast.AST], str] = {
    ast.For: "loops are not possible: the kernel is the loop, a rule sees one element",
    ast.While: "loops are not possible: the kernel is the loop, a rule sees one element",
    ast.FunctionDef: "nested functions are not possible: write their lines into the rule",
    ast.Lambda: "nested functions are not possible: write their lines into the rule",
    ast.Subscript: "indexing is not possible: a rule sees one element, each name is a number",
    ast.Import: "import outside the rule",
    ast.ImportFrom: "import outside the rule",
    ast.Raise: "a kernel cannot raise: check the coefficients before the launch",
    ast.Assert: "a kernel cannot raise: check the coefficients before the launch",
    ast.FloorDiv: "use + - * / or **",
    ast.Mod: "use + - * / or **",
}


@dataclass(frozen=True)
class Lowered:
    """Lines of the loop's body, the text of each returned value, and the variables' new names."""

    lines: tuple[str, ...]
    outputs: tuple[str, ...]
    names: dict[str, str]


def lower(rule: Rule, dtype: str, cuda: bool = False) -> Lowered:
    """Return the rule's body and returned values with every number cast to `dtype`.

    On the CPU exp, log and the like are those of `kernels.functions`, with `cuda` the device's own.
    Raises RuleError where the body holds what a kernel cannot run.
    """
    return _Lowering(rule, dtype, cuda).run()


def fresh(name: str, taken: set[str] | frozenset[str]) -> str:
    """Return `name` with as many underscores as keep it apart from `taken`.

    Numba doubles all underscores in parallel loops: no name may be another one's doubled form.
    """
    doubled = {other.replace("_", "__") for other in taken}
    while name in taken or name in doubled or name.replace("_", "__") in taken:
        name += "_"
    return name


class _Lowering:
    """Walks one rule; every node it does not know is an error that names the rule."""

    def __init__(self, rule: Rule, dtype: str, cuda: bool) -> None:
        self.rule, self.dtype, self.cuda = rule, dtype, cuda
        variables = rule.variables
        self.names = {v: fresh(v, (variables - {v}) | RESERVED) for v in variables}
        self.kinds: dict[str, Kind] = dict.fromkeys(rule.arguments, "number")

    def run(self) -> Lowered:
        body = [self.statement(s) for s in self.rule.body]
        outputs = [ast.unparse(self.number(o)) for o in self.rule.outputs]
        module = ast.fix_missing_locations(ast.Module([s for s in body if s], []))
        return Lowered(tuple(ast.unparse(module).splitlines()), tuple(outputs), self.names)

    def fail(self, node: ast.AST, message: str) -> NoReturn:
        where = f" in `{ast.unparse(node)}`" if isinstance(node, ast.expr | ast.stmt) else ""
        raise RuleError(f"update rule {self.rule.name}: {message}{where}")

    def unknown(self, node: ast.AST, inside: ast.AST | None = None) -> NoReturn:
        hint = _HINTS.get(type(node), "rules hold assignments, if/else and arithmetic only")
        self.fail(inside or node, f"{type(node).__name__} is not supported, {hint};")

    # Statements

    def statement(self, node: ast.stmt) -> ast.stmt | None:
        if isinstance(node, ast.Pass):
            return None
        if isinstance(node, ast.If):
            return self.branch(node)
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value:
            target, value = node.target, node.value
        elif isinstance(node, ast.AugAssign):
            target = node.target
            if isinstance(target, ast.Name):
                value = ast.BinOp(ast.Name(target.id, ast.Load()), node.op, node.value)
        elif isinstance(node, ast.Assign):
            self.fail(node, "assign one name at a time")
        else:
            self.unknown(node)
        if not isinstance(target, ast.Name):
            self.fail(node, "assign one name at a time")
        lowered, kind = self.expression(value)
        if kind == "constant":
            lowered, kind = self.cast(lowered), "number"
        self.assign(target.id, kind, node)
        return ast.Assign([ast.Name(self.names[target.id], ast.Store())], lowered, lineno=0)

    def assign(self, name: str, kind: Kind, node: ast.AST) -> None:
        if self.kinds.get(name, kind) != kind:
            self.fail(node, f"{name} is a number in one place and a truth value in another")
        self.kinds[name] = kind

    def branch(self, node: ast.If) -> ast.If:
        test, before = self.condition(node.test), dict(self.kinds)
        body = [self.statement(s) for s in node.body]
        after, self.kinds = self.kinds, before
        orelse = [self.statement(s) for s in node.orelse]
        for name in after.keys() & self.kinds.keys():
            self.assign(name, after[name], node)
        # Only what both branches assign is known to have a value afterwards.
        self.kinds = {n: k for n, k in self.kinds.items() if n in after}
        return ast.If(test, [s or ast.Pass() for s in body], [s or ast.Pass() for s in orelse])

    # Expressions

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
        if node.id in self.kinds:
            return ast.Name(self.names[node.id], ast.Load()), self.kinds[node.id]
        if node.id in self.names:
            self.fail(node, f"{node.id} may have no value here: assign it on every path")
        return self.constant(self.resolve(node), node)

    def visit_Attribute(self, node: ast.Attribute) -> tuple[ast.expr, Kind]:
        return self.constant(self.resolve(node), node)

    def resolve(self, node: ast.expr) -> Any:
        """Return the object that a free name (`sqrt`, `math.sqrt`, `BETA`) meant at decoration."""
        if isinstance(node, ast.Name) and node.id not in self.names:
            if node.id in self.rule.scope:
                return self.rule.scope[node.id]
            if hasattr(builtins, node.id):
                return getattr(builtins, node.id)
            self.fail(
                node,
                f"{node.id} is not known when the rule is made; pass it as a coefficient or "
                "define it as a number above the rule;",
            )
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = None if node.value.id in self.names else self.resolve(node.value)
            if hasattr(module, node.attr):
                return getattr(module, node.attr)
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
        if type(node.op) not in _ARITHMETIC:
            self.unknown(node.op, node)
        left, left_kind = self.expression(node.left)
        right, right_kind = self.expression(node.right)
        if left_kind == right_kind == "constant":
            return self.fold(node, left, right)
        left = self.as_number(node.left, left, left_kind)
        if isinstance(node.op, ast.Pow):
            return self.power(node, left, right, right_kind), "number"
        right = self.as_number(node.right, right, right_kind)
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
            value = _ARITHMETIC[type(node.op)](left.value, right.value)
        except (ArithmeticError, ValueError) as error:
            self.fail(node, f"{error}")
        return self.constant(value, node)

    def visit_Compare(self, node: ast.Compare) -> tuple[ast.expr, Kind]:
        for op in node.ops:
            if not isinstance(op, _COMPARISONS):
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
        if isinstance(node.func, ast.Name) and node.func.id in self.names:
            self.fail(node, f"{node.func.id} is a number in this rule and cannot be called")
        function = self.resolve(node.func)
        known = FUNCTIONS.get(function) if callable(function) else None
        if known is None:
            names = sorted({text.removeprefix("math.") for text, _ in FUNCTIONS.values()})
            self.fail(
                node,
                f"{ast.unparse(node.func)} cannot be called in a kernel; write its lines into the "
                f"rule, or use one of {', '.join(names)};",
            )
        name, count = known
        if len(node.args) != count or node.keywords:
            self.fail(node, f"{ast.unparse(node.func)} takes {count} plain argument(s)")
        return self.call(name, [self.number(a) for a in node.args]), "number"

    def call(self, name: str, arguments: list[ast.expr]) -> ast.expr:
        if self.cuda and name in _ON_DEVICES:
            formula = ast.parse(_ON_DEVICES[name], mode="eval").body
            return _Filled(arguments[0], self.cast).visit(formula)
        if not self.cuda and name in _VECTORISED:
            name = _VECTORISED[name]
        elif name in _READ_BITS:
            arguments = [self.zeroed(a) for a in arguments]
        return ast.Call(ast.parse(name, mode="eval").body, arguments, [])

    def zeroed(self, x: ast.expr) -> ast.expr:
        """Return `x`, where it may be a denormal with the processor's zero in its place."""
        moved = isinstance(x, ast.Call) and ast.unparse(x.func) in _MOVED
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
