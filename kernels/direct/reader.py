"""The text of a kernel to LLVM, in one pass, with arrays, branches and loops.

More of Python than `kernels/plain` reads: that has the files of compiled steps, this what the
kernels' texts say. Each operation is Numba's, or what Numba would write for it. A variable has the
type of its first value. What it does not know is `Unknown`.
"""

# mypy: ignore-errors
from __future__ import annotations

import ast
import inspect
from contextlib import contextmanager
from typing import Any

from numba import types
from numba.core import cgutils
from numba.core.callconv import create_error_model

from ..compiler.lanes import mask_if_asked
from ..micro import scratch
from ..plain.lowering import Typed, Unknown
from ..plain.texts import assigned, parsed
from .arrays import WORD, Array, Part
from .calls import Calls
from .expressions import SIGNED, Index

__all__ = ["Unknown", "as_it_was", "read", "read_of"]

_OF_A_CALL = ("frame", "space", "own", "variables", "names")


class _Frame:
    """A function that is read: where its `return` leads, and what it returned so far."""

    def __init__(self, function: Any, end: Any, returns: Any, outer: Any) -> None:
        self.function, self.outer = function, outer  # outer: that of the caller, or None
        self.end, self.returns = end, returns  # returns: a type that is said beforehand, or None
        self.result: Any = None  # places of what is returned
        self.taken: list[Any] = []  # memory to give back
        self.depth = 0  # branches and loops around what is read

    def all(self) -> Any:
        """It, and those around it."""
        return [self, *(self.outer.all() if self.outer else ())]


class Reader(Calls):
    """Reads functions, and writes their instructions where a builder stands."""

    def __init__(self, context: Any, builder: Any, raises: bool) -> None:
        if not raises:  # nor does a division by zero
            context = context.subtarget(error_model=create_error_model("numpy", context))
        self.context, self.typing, self.builder = context, context.typing_context, builder
        self.raises = raises  # whether an error can be reported from here
        self.group = self.frame = None

    def call(self, function: Any, arguments: list[Any], returns: Any = None) -> Any:
        """Write what a call of a plain function does; return its result.

        arguments: Typed, arrays, tuples of such.
        """
        definition = parsed(function)
        names = list(inspect.signature(function).parameters)
        before = [self.__dict__.get(name) for name in _OF_A_CALL]
        if self.frame and function in [frame.function for frame in self.frame.all()]:
            raise Unknown("recursion")
        if len(names) != len(arguments):
            raise Unknown("arguments that are not given")
        end = self.builder.append_basic_block(f"end_{function.__name__}")
        self.frame = _Frame(function, end, returns, self.frame)
        self.space, self.variables = _space(function), {}
        self.names = dict(zip(names, arguments, strict=True))
        self.own = {node.id for node in assigned(definition)}
        for name in self.own & self.names.keys():
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
            if frame.taken and _has_array(made):  # which may lie in what is given back
                raise Unknown(ast.dump(node))
            if isinstance(made, Typed) and frame.returns not in (None, types.none):
                made = Typed(self.cast(made, frame.returns), frame.returns)
            if frame.result is None:
                frame.result = self.kept(made, "result")
            self.put(made, frame.result)
        self.builder.branch(frame.end)

    def do_Raise(self, node: Any) -> None:
        error = node.exc
        holds = any(frame.taken for frame in self.frame.all())
        if not self.raises or not isinstance(error, ast.Call) or holds:
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
        if node.target.id in self.names:  # of a loop around this one
            raise Unknown(node.target.id)
        bounds = [self.evaluate(a) for a in call.args]
        start, stop, step = {1: [0, *bounds, 1], 2: [*bounds, 1], 3: bounds}[len(bounds)]
        if step == 0:
            raise Unknown(ast.dump(call))
        first, last, apart = (self.cast(self.single(x, call), SIGNED) for x in (start, stop, step))
        name, before = node.target.id, builder.block
        head, body, after = (builder.append_basic_block(n) for n in ("for", "body", "after"))
        builder.branch(head)
        builder.position_at_end(head)
        index = builder.phi(WORD, name)
        index.add_incoming(first, before)
        builder.cbranch(self.goes_on(index, last, step, apart), body, after)
        builder.position_at_end(body)
        natural = isinstance(start, int) and start >= 0 and isinstance(step, int) and step > 0
        if name in self.variables:  # has another value elsewhere
            self.put(Typed(index, SIGNED), self.variables[name])
        else:
            self.names[name] = (Index if natural else Typed)(index, SIGNED)
        following = builder.append_basic_block("next")
        self.inside(node.body, following)
        builder.position_at_end(following)
        index.add_incoming(builder.add(index, apart, flags=("nsw",)), following)
        mask_if_asked(builder.branch(head))
        builder.position_at_end(after)
        self.names.pop(name, None)

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


def _has_array(made: Any) -> bool:
    return isinstance(made, Array) or (isinstance(made, tuple) and any(map(_has_array, made)))


def _space(function: Any) -> dict[str, Any]:
    cells = inspect.getclosurevars(function).nonlocals if function.__closure__ else {}
    return {**function.__globals__, **cells}


def _is_reached(builder: Any, block: Any) -> bool:
    """Whether anything leads to a block."""
    return any(
        block in getattr(b.terminator, "operands", ()) for b in builder.function.blocks
        if b.terminator is not None
    )  # fmt: skip


def read(
    context: Any, builder: Any, function: Any, kinds: Any, values: Any, result: Any, raises: bool
) -> Any:
    """Write a function for values of Numba's; return its result, as Numba has it."""
    arguments = [
        Array.of(context, builder, kind, value) if isinstance(kind, types.Array)
        else Typed(value, kind) for kind, value in zip(kinds, values, strict=True)
    ]  # fmt: skip
    return read_of(context, builder, function, arguments, result, raises)


def read_of(
    context: Any, builder: Any, function: Any, arguments: list[Any], result: Any, raises: bool
) -> Any:
    """The same of arguments as the reader has them."""
    found = Reader(context, builder, raises).call(function, arguments, result)
    if found is None:
        return context.get_dummy_value()
    if isinstance(found, tuple):
        return context.make_tuple(builder, result, [x.value for x in found])
    return found.value


@contextmanager
def as_it_was(builder: Any) -> Any:
    """Take back what was written to a function and its module, where an error is raised."""
    function, block = builder.function, builder.block
    blocks, known = len(function.blocks), set(builder.module.globals)
    before = [(b, list(b.instructions), b.terminator) for b in (block, function.entry_basic_block)]
    noted = builder.__dict__.copy()  # Numba's conventions note there what they have written
    try:
        yield
    except Exception:
        del function.blocks[blocks:]
        for one, instructions, terminator in before:
            one.instructions[:], one.terminator = instructions, terminator
        for name in set(builder.module.globals) - known:
            del builder.module.globals[name]
        builder.__dict__.clear()
        builder.__dict__.update(noted)
        builder.position_at_end(block)
        raise
