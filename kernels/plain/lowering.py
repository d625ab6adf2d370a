"""The text of a plain function to LLVM, in one pass.

What it knows: assignments, `x[i] = y`, `+=`, `for i in range(...)`, `if ...: return`, conditional
expressions, calls. A variable has the type of its first value. For all else it raises `Unknown`,
and Numba compiles the function.
"""

# mypy: ignore-errors
from __future__ import annotations

import ast
import builtins
import inspect
import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, compiler
from numba.core.cpu import FastMathOptions
from numba.core.extending import _Intrinsic

from .. import pool
from ..compiler.lanes import widen
from .hints import LIBERTIES, inner_loop, take_liberties
from .texts import assigned, parsed

__all__ = ["BINARY", "COMPARE", "Body", "Plain", "Typed", "Unknown"]


class Unknown(Exception):
    """Something that is left to Numba."""


class Typed:
    """An LLVM value and its type in Numba's words."""

    __slots__ = ("kind", "value")

    def __init__(self, value: Any, kind: Any) -> None:
        self.value, self.kind = value, kind


class Plain:
    """A function of a step's file."""

    def __init__(self, function: Any, kinds: Any, returns: Any, exact: bool) -> None:
        self.function, self.name, self.exact = function, function.__name__, exact
        self.kinds, self.returns = tuple(map(_kind_of, kinds)), _kind_of(returns)

    def call(self, context: Any, builder: Any, values: Any) -> Any:
        """Write a call of it; itself, too, where it is not in the module yet."""
        function = builder.module.globals.get(f"plain_{self.name}")
        if function is None:
            function = self.write(context, builder.module)
        status, result = context.call_conv.call_function(
            builder, function, self.returns, self.kinds, values
        )
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return result

    def write(self, context: Any, module: Any) -> Any:
        """Write it into a module."""
        name = f"plain_{self.name}"
        kind = context.call_conv.get_function_type(self.returns, self.kinds)
        function = ir.Function(module, kind, name)
        function.linkage = "internal"
        function.attributes.add("noinline")  # LLVM would have a copy for each layer
        widen(function)
        parameters = list(inspect.signature(self.function).parameters)
        context.call_conv.decorate_function(function, parameters, self.kinds)
        try:
            Body(context, function, self, parameters).write()
        except Unknown:
            function.blocks.clear()
            builder = ir.IRBuilder(function.append_basic_block("by_numba"))
            arguments = list(context.call_conv.get_arguments(function))
            result = _call_by_numba(context, builder, self, arguments)
            context.call_conv.return_value(builder, result)
        if not self.exact:
            take_liberties(function)
        return function


def _call_by_numba(context: Any, builder: Any, plain: Plain, values: Any) -> Any:
    """A call of a function that Numba's own front end compiles into the library at work."""
    flags = compiler.Flags()
    flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    flags.error_model = "numpy"
    flags.fastmath = FastMathOptions(False if plain.exact else set(LIBERTIES))
    made = compiler.compile_internal(
        context.typing_context, context, context.active_code_library, plain.function, plain.kinds,
        plain.returns, flags, {},
    )  # fmt: skip
    return context.call_internal(builder, made.fndesc, plain.returns(*plain.kinds), values)


BINARY = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
    ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor,
    ast.RShift: operator.rshift,
}  # fmt: skip
COMPARE = {
    ast.Gt: operator.gt, ast.Lt: operator.lt, ast.GtE: operator.ge, ast.LtE: operator.le,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
_UNARY = {ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Invert: operator.invert}


class Body:
    def __init__(self, context: Any, function: Any, plain: Plain, parameters: list[str]) -> None:
        self.context, self.typing, self.plain = context, context.typing_context, plain
        self.builder = ir.IRBuilder(function.append_basic_block("entry"))
        self.space = plain.function.__globals__
        arguments = context.call_conv.get_arguments(function)
        self.names = {
            name: Typed(value, kind)
            for name, value, kind in zip(parameters, arguments, plain.kinds, strict=True)
        }
        self.variables: dict[str, tuple[Any, Any]] = {}  # name -> (its place, its type)
        self.group: Any = None  # the accesses of the parallel loop at work

    def write(self) -> None:
        definition = parsed(self.plain.function)
        for node in assigned(definition):
            given = self.names.pop(node.id, None)
            if given is not None:  # a parameter, which is a variable then
                self.assign(node, given)
        for statement in definition.body:
            self.statement(statement)
        if not self.builder.block.is_terminated:
            self.context.call_conv.return_value(self.builder, self.context.get_dummy_value())

    # Statements ----------------------------------------------------------------------------------

    def statement(self, node: Any) -> None:
        method = getattr(self, f"do_{type(node).__name__}", None)
        if method is None:
            raise Unknown(ast.dump(node))
        method(node)

    def do_Assign(self, node: Any) -> None:
        (target,) = node.targets
        self.assign(target, self.typed(node.value))

    def do_AugAssign(self, node: Any) -> None:
        function = BINARY.get(type(node.op))
        if function is None:
            raise Unknown(ast.dump(node))
        before = self.typed(node.target)
        self.assign(node.target, self.operate(function, before, self.typed(node.value)))

    def assign(self, target: Any, made: Typed) -> None:
        if isinstance(target, ast.Subscript):
            pointer, place = self.place_of(target)
            self.noted(self.builder.store(self.cast(made, pointer.kind.dtype), place))
            return
        if not isinstance(target, ast.Name):
            raise Unknown(ast.dump(target))
        known = self.variables.get(target.id)
        if known is None:
            kind = self.context.get_value_type(made.kind)
            place = cgutils.alloca_once(self.builder, kind, name=target.id)
            known = self.variables[target.id] = place, made.kind
        if known[1] != made.kind:
            raise Unknown(f"{target.id} has several types")
        self.builder.store(made.value, known[0])

    def do_Expr(self, node: Any) -> None:
        self.evaluate(node.value)

    def do_For(self, node: Any) -> None:
        call = node.iter
        counts = isinstance(call, ast.Call) and getattr(call.func, "id", None) == "range"
        if not counts or len(call.args) > 2 or node.orelse:
            raise Unknown(ast.dump(call))
        *start, stop = [self.cast(self.typed(a), types.int64) for a in call.args]
        start = start[0] if start else ir.Constant(ir.IntType(64), 0)
        one, name, builder = ir.Constant(ir.IntType(64), 1), node.target.id, self.builder
        begin = builder.block
        body, after = (builder.append_basic_block(f"{name}_{part}") for part in ("body", "after"))
        builder.cbranch(builder.icmp_signed("<", start, stop), body, after)
        builder.position_at_end(body)
        index = builder.phi(ir.IntType(64), name)
        index.add_incoming(start, begin)
        self.names[name] = Typed(index, types.int64)
        inner = inner_loop(builder.module, node)
        self.group = inner.group if inner else None
        for statement in node.body:
            self.statement(statement)
        self.group = None
        following = builder.add(index, one, flags=("nsw",))
        index.add_incoming(following, builder.block)
        back = builder.cbranch(builder.icmp_signed("<", following, stop), body, after)
        if inner is not None:
            back.set_metadata("llvm.loop", inner.loop)
        builder.position_at_end(after)
        del self.names[name]

    def do_If(self, node: Any) -> None:
        if node.orelse:
            raise Unknown(ast.dump(node))
        condition = self.truth(self.typed(node.test))
        with self.builder.if_then(condition, likely=False):
            for statement in node.body:
                self.statement(statement)

    def do_Return(self, node: Any) -> None:
        value = self.cast(self.typed(node.value), self.plain.returns)
        self.context.call_conv.return_value(self.builder, value)

    # Expressions ---------------------------------------------------------------------------------

    def typed(self, node: Any) -> Typed:
        """The value of an expression that is a number or a pointer."""
        found = self.evaluate(node)
        return found if isinstance(found, Typed) else self.constant(found, node)

    def constant(self, found: Any, node: Any) -> Typed:
        kind = {bool: types.boolean, int: types.int64, float: types.float64}.get(type(found))
        if kind is types.int64 and not -(2**63) <= found < 2**63:
            if not 0 < found < 2**64:
                raise Unknown(ast.dump(node))
            kind = types.uint64
        if kind is None:
            if not isinstance(found, np.generic):
                raise Unknown(ast.dump(node))
            kind, found = _kind_of(found), found.item()
        return Typed(self.context.get_value_type(kind)(found), kind)

    def evaluate(self, node: Any) -> Any:
        """A Typed, or what is known now: Python's numbers, functions, types."""
        method = getattr(self, f"of_{type(node).__name__}", None)
        if method is None:
            raise Unknown(ast.dump(node))
        return method(node)

    def of_Constant(self, node: Any) -> Any:
        return node.value

    def of_Name(self, node: Any) -> Any:
        known = self.names.get(node.id)
        if known is not None:
            return known
        if node.id in self.variables:
            place, kind = self.variables[node.id]
            return Typed(self.builder.load(place), kind)
        found = self.space.get(node.id, getattr(builtins, node.id, Unknown))
        if found is Unknown:
            raise Unknown(node.id)
        return found

    def of_Attribute(self, node: Any) -> Any:
        owner = self.evaluate(node.value)
        if isinstance(owner, Typed):
            raise Unknown(ast.dump(node))
        return getattr(owner, node.attr)

    def of_UnaryOp(self, node: Any) -> Any:
        if isinstance(node.op, ast.Not):
            return Typed(self.builder.not_(self.truth(self.typed(node.operand))), types.boolean)
        x = self.evaluate(node.operand)
        if not isinstance(x, Typed):
            return _UNARY[type(node.op)](x)
        return self.operate(_UNARY[type(node.op)], x)

    def of_BinOp(self, node: Any) -> Any:
        if type(node.op) not in BINARY:
            raise Unknown(ast.dump(node))
        a, b = self.typed(node.left), self.typed(node.right)
        return self.operate(BINARY[type(node.op)], a, b)

    def of_Compare(self, node: Any) -> Any:
        if len(node.ops) != 1 or type(node.ops[0]) not in COMPARE:
            raise Unknown(ast.dump(node))
        a, b = self.typed(node.left), self.typed(node.comparators[0])
        return self.operate(COMPARE[type(node.ops[0])], a, b)

    def of_BoolOp(self, node: Any) -> Any:
        """`and`, `or`: of what may be computed in any case."""
        truths = [self.truth(self.typed(value)) for value in node.values]
        join = self.builder.and_ if isinstance(node.op, ast.And) else self.builder.or_
        found = truths[0]
        for truth in truths[1:]:
            found = join(found, truth)
        return Typed(found, types.boolean)

    def of_IfExp(self, node: Any) -> Any:
        condition = self.truth(self.typed(node.test))
        a, b = self.typed(node.body), self.typed(node.orelse)
        if a.kind != b.kind:
            raise Unknown("branches of several types")
        return Typed(self.builder.select(condition, a.value, b.value), a.kind)

    def of_Subscript(self, node: Any) -> Any:
        pointer, place = self.place_of(node)
        return Typed(self.noted(self.builder.load(place)), pointer.kind.dtype)

    def noted(self, access: Any) -> Any:
        """A load or a store, said to be one of its loop's where that is parallel."""
        if self.group is not None:
            access.set_metadata("llvm.access.group", self.group)
        return access

    def place_of(self, node: Any) -> tuple[Typed, Any]:
        pointer = self.typed(node.value)
        if not isinstance(pointer.kind, types.CPointer):
            raise Unknown(ast.dump(node))
        index = self.cast(self.typed(node.slice), types.int64)
        return pointer, self.builder.gep(pointer.value, [index])

    def of_Call(self, node: Any) -> Any:
        if node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            raise Unknown(ast.dump(node))
        function = self.evaluate(node.func)
        if function is pool.share:
            return self.share(*map(self.evaluate, node.args))
        if isinstance(function, type) and issubclass(function, np.number):
            return self.number(function, self.evaluate(node.args[0]), node)
        arguments = [self.typed(a) for a in node.args]
        if isinstance(function, Plain):
            values = [self.cast(x, k) for x, k in zip(arguments, function.kinds, strict=True)]
            found = function.call(self.context, self.builder, values)
            return Typed(found, function.returns)
        return self.operate(function, *arguments)

    def number(self, kind: Any, x: Any, node: Any) -> Typed:
        kind = _kind_of(kind)
        if not isinstance(x, Typed):
            if isinstance(kind, types.Float) and isinstance(x, int | float):
                return Typed(self.context.get_value_type(kind)(x), kind)
            x = self.constant(x, node)
        return Typed(self.cast(x, kind), kind)

    def share(self, body: Plain, *given: Any) -> Any:
        count, grain, cost = (ir.Constant(ir.IntType(64), n) for n in given[:3])
        arguments = given[3:]
        if not all(isinstance(x, Typed) for x in arguments):
            raise Unknown("share")
        packed = ir.Constant(ir.LiteralStructType([x.value.type for x in arguments]), ir.Undefined)
        for i, x in enumerate(arguments):
            packed = self.builder.insert_value(packed, x.value, i)

        def call(context: Any, inside: Any, first: Any, last: Any, values: Any) -> None:
            function = inside.module.globals.get(f"plain_{body.name}")
            if function is None:
                function = body.write(context, inside.module)
            context.call_conv.call_function(
                inside, function, body.returns, body.kinds, [first, last, *values]
            )

        pool.write_job(self.context, self.builder, call, count, grain, cost, packed)
        return Typed(self.context.get_dummy_value(), types.none)

    # What Numba is asked for ---------------------------------------------------------------------

    def operate(self, function: Any, *arguments: Typed) -> Typed:
        """A function or operator that Numba knows."""
        kinds = tuple(x.kind for x in arguments)
        signature, implementation = self.known(function, kinds)
        values = [self.cast(x, kind) for x, kind in zip(arguments, signature.args, strict=True)]
        return Typed(implementation(self.builder, values), signature.return_type)

    def known(self, function: Any, kinds: Any) -> tuple[Any, Any]:
        library = self.context.active_code_library
        made = library.__dict__.setdefault("_plain_operations", {})
        key = function, kinds, type(self.context.error_model)
        if key not in made and isinstance(function, _Intrinsic):  # ours: no need to look for it
            (signature, generate), context = function._defn(self.typing, *kinds), self.context
            # The library keeps this, which keeps nothing of what was written.
            made[key] = signature, lambda b, values: generate(context, b, signature, values)
        if key not in made:
            if (kind := self.typing.resolve_value_type(function)) is None:
                raise Unknown(repr(function))
            signature = kind.get_call_type(self.typing, kinds, {})
            if signature is None or len(signature.args) != len(kinds):
                raise Unknown(f"{function!r} of {kinds}")
            self.context.refresh()
            made[key] = signature, self.context.get_function(kind, signature)
        signature, implementation = made[key]
        self.context.add_linking_libs(getattr(implementation, "libs", ()))
        return signature, implementation

    def cast(self, x: Typed, kind: Any) -> Any:
        if x.kind == kind:
            return x.value
        return self.context.cast(self.builder, x.value, x.kind, kind)

    def truth(self, x: Typed) -> Any:
        return self.cast(x, types.boolean)


def _kind_of(x: Any) -> Any:
    """The type, in Numba's words, of a number of NumPy's, or that is one of NumPy's types."""
    if isinstance(x, types.Type):
        return x
    return getattr(types, np.dtype(x if isinstance(x, type) else x.dtype).name)
