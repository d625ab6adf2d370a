"""From a rule's syntax tree to the lines of a kernel, with every number cast.

The lowered lines know only two kinds of value, numbers of the kernel's dtype and truth values.
Because every literal is cast and arithmetic on truth values is refused, nothing in a float32
kernel can widen to double (one stray `1.0` or `True + g` would run the whole loop in float64).

The lines of helpers are inlined: device functions would need a GPU to be compiled, and what a
kernel imports from elsewhere would be no part of its name in the cache.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any, NoReturn, cast

from .draws import normal
from .expressions import Expressions, Frame, Kind
from .helpers import Helper, function_of
from .syntax import Rule, RuleError
from .vocabulary import HINTS, RESERVED

_MOST_INLINED = 500  # calls of helpers in one rule: helpers that call helpers multiply


@dataclass(frozen=True)
class Lowered:
    """Lines of the loop's body, the text of each returned value, and the variables' new names.

    names: of the rule's variables, then of what is inlined.  uniforms: for each argument that is
    drawn, the variables that need a uniform number each.
    """

    lines: tuple[str, ...]
    outputs: tuple[str, ...]
    names: dict[str, str]
    uniforms: tuple[tuple[str, ...], ...] = ()


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


class _Lowering(Expressions):
    """Walks one rule; every node it does not know is an error that names the rule."""

    def __init__(self, rule: Rule, dtype: str, cuda: bool) -> None:
        self.rule, self.dtype, self.cuda = rule, dtype, cuda
        self.attributes = rule.attributes
        variables = rule.variables
        names = {v: fresh(v, (variables - {v}) | RESERVED) for v in variables}
        self.names = dict(names)  # and those of helpers
        self.frame = Frame(rule.file, rule.scope, names)
        self.frame.kinds = dict.fromkeys(rule.arguments, "number")
        self.frames = [self.frame]
        self.inlined = 0
        self.lines: list[ast.stmt] = []  # of the block that is being written

    def run(self) -> Lowered:
        uniforms = tuple(self.draw(name, kind) for name, kind in self.rule.draws)
        for s in self.rule.body:
            self.statement(s)
        outputs = [ast.unparse(self.number(o)) for o in self.rule.outputs]
        module = ast.fix_missing_locations(ast.Module(self.lines, []))
        lines = ast.unparse(module).splitlines()
        return Lowered(tuple(lines), tuple(outputs), self.names, uniforms)

    def draw(self, name: str, kind: str) -> tuple[str, ...]:
        """Have a random argument follow from uniform numbers; return the variables of these."""
        if kind == "uniform":
            return (self.names[name],)
        pair = tuple(self.variable(f"{name}_{k}") for k in ("radius", "angle"))
        known = [(ast.Name(n, ast.Load()), "number") for n in pair]
        ((value, _),) = self.inlined_call(ast.Name(name, ast.Load()), normal, known)
        self.lines.append(ast.Assign([ast.Name(self.names[name], ast.Store())], value))
        return pair

    def variable(self, wanted: str) -> str:
        """A name in the kernel that nothing has yet."""
        taken = set(self.names) | set(self.names.values()) | RESERVED
        name = fresh(wanted, taken)
        self.names[name] = name
        return name

    def fail(self, node: ast.AST, message: str) -> NoReturn:
        where = f" in `{ast.unparse(node)}`" if isinstance(node, ast.expr | ast.stmt) else ""
        line = getattr(node, "lineno", None)
        if line is not None:
            where += f" ({Path(self.frame.file).name}, line {line})"
        if self.frame.function is not None:
            where += f" of the helper {self.frame.function.__name__}"
        raise RuleError(f"update rule {self.rule.name}: {message}{where}")

    def unknown(self, node: ast.AST, inside: ast.AST | None = None) -> NoReturn:
        hint = HINTS.get(type(node), "rules hold assignments, if/else and arithmetic only")
        self.fail(inside or node, f"{type(node).__name__} is not supported, {hint};")

    # Statements

    def block(self, statements: Sequence[ast.stmt]) -> list[ast.stmt]:
        """The lines of a branch."""
        around, self.lines = self.lines, []
        for s in statements:
            self.statement(s)
        around, self.lines = self.lines, around
        return around or [ast.Pass()]

    def statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Pass):
            return
        if isinstance(node, ast.If):
            self.branch(node)
            return
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value:
            target, value = node.target, node.value
        elif isinstance(node, ast.AugAssign):
            target = node.target
            if isinstance(target, ast.Name):
                value = ast.BinOp(ast.Name(target.id, ast.Load()), node.op, node.value)
                value = ast.copy_location(value, node)
        elif isinstance(node, ast.Assign):
            self.fail(node, "assign one name at a time")
        else:
            self.unknown(node)
        if isinstance(target, ast.Name):
            self.assign(target.id, *self.expression(value), node)
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Call):
            self.unpack(target, value, node)
        else:
            self.fail(node, "assign one name at a time")

    def unpack(self, target: ast.Tuple, call: ast.Call, node: ast.stmt) -> None:
        """`a, b = helper(x)`: all are computed before the first is assigned."""
        function = function_of(self.resolve(call.func))
        if function is None or not all(isinstance(t, ast.Name) for t in target.elts):
            self.fail(node, "assign one name at a time, or call a helper that returns several")
        values = self.helper_call(call, function)
        if len(values) != len(target.elts):
            self.fail(
                node, f"{function.__name__} returns {len(values)}, not {len(target.elts)} numbers"
            )
        held = [(ast.Name(self.variable(cast(Any, t).id), ast.Load()), *v)
                for t, v in zip(target.elts, values, strict=True)]  # fmt: skip
        for name, value, kind in held:
            value = self.cast(value) if kind == "constant" else value
            self.lines.append(ast.Assign([ast.Name(name.id, ast.Store())], value))
        for t, (name, _, kind) in zip(target.elts, held, strict=True):
            self.assign(cast(Any, t).id, name, "bool" if kind == "bool" else "number", node)

    def assign(self, name: str, value: ast.expr, kind: Kind, node: ast.AST) -> None:
        if kind == "constant":
            value, kind = self.cast(value), "number"
        self.note(name, kind, node)
        self.lines.append(ast.Assign([ast.Name(self.frame.names[name], ast.Store())], value))

    def note(self, name: str, kind: Kind, node: ast.AST) -> None:
        if self.frame.kinds.get(name, kind) != kind:
            self.fail(node, f"{name} is a number in one place and a truth value in another")
        self.frame.kinds[name] = kind

    def branch(self, node: ast.If) -> None:
        frame = self.frame
        test, before = self.condition(node.test), dict(frame.kinds)
        body = self.block(node.body)
        after, frame.kinds = frame.kinds, before
        orelse = self.block(node.orelse) if node.orelse else []
        for name in after.keys() & frame.kinds.keys():
            self.note(name, after[name], node)
        # Only what both branches assign is known to have a value afterwards.
        frame.kinds = {n: k for n, k in frame.kinds.items() if n in after}
        self.lines.append(ast.If(test, body, orelse))

    # Helpers

    def helper_call(self, node: ast.Call, function: FunctionType) -> list[tuple[ast.expr, Kind]]:
        """What a call of a helper returns; its lines are written before the statement at work."""
        helper = self.helper(node, function)
        given = helper.bound(node, lambda message: self.fail(node, message))
        values = [
            self.expression(v) if isinstance(v, ast.expr) else self.constant(v, node)
            for v in given.values()
        ]
        return self.inlined_call(node, function, values)

    def helper(self, node: ast.AST, function: FunctionType) -> Helper:
        if any(function is frame.function for frame in self.frames):
            self.fail(node, f"{function.__name__} calls itself: a kernel has no recursion")
        return self.rule.helper(function, lambda message: self.fail(node, message))

    def inlined_call(
        self, node: ast.AST, function: Any, values: Sequence[tuple[ast.expr, Any]]
    ) -> list[tuple[ast.expr, Kind]]:
        """Write the lines of a helper for these arguments; return its results.

        All of it is computed, also where the call stands in a branch of a conditional expression:
        nothing that a helper does can be seen but its results.
        """
        helper, self.inlined = self.helper(node, function), self.inlined + 1
        if self.inlined > _MOST_INLINED:
            self.fail(node, f"more than {_MOST_INLINED} calls of helpers are inlined; call fewer")
        assigned = helper.assigned
        names = {n: self.variable(f"{helper.name}{self.inlined}_{n}") for n in sorted(assigned)}
        frame = Frame(helper.file, helper.scope, names, helper.function)
        for name, (value, kind) in zip(helper.arguments, values, strict=True):
            if name not in assigned and isinstance(value, ast.Constant | ast.Name):
                frame.bound[name] = value, kind
                continue
            own = names.get(name) or self.variable(f"{helper.name}{self.inlined}_{name}")
            if kind == "constant":
                value, kind = self.cast(value), "number"
            self.lines.append(ast.Assign([ast.Name(own, ast.Store())], value))
            if name in assigned:
                frame.kinds[name] = kind
            else:
                frame.bound[name] = ast.Name(own, ast.Load()), kind
        self.frames.append(frame)
        self.frame = frame
        for statement in helper.body:
            self.statement(statement)
        results = [self.expression(o) for o in helper.outputs]
        self.frames.pop()
        self.frame = self.frames[-1]
        return results
