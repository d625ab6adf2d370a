"""The text of a compiled step: one Numba file, as readable as it can be made.

First the loops, each a function over pointers; then the optimizers' rules, as `kernels.rule` writes
them; last `step_0`, `step_1`, ...: the step itself, from the first product to the last parameter.
There is one, unless something in between is a call of an eager kernel.
"""

from __future__ import annotations

import re
from typing import Any

from ..kernels import threads
from ..kernels.compiler.codegen import CHUNK, function_name, render
from ..kernels.compiler.cost import cost_of_part
from ..kernels.pool import even_grain
from . import calls
from .header import HEAD, TAKEN
from .loops import Loop, Schedule
from .memory import Plan
from .nests import text_of
from .segment import Part, Segment, Slot, kind_of, long_axes_of, shape_of
from .trace import Trace
from .values import SHORT, CompileError, Value

__all__ = ["Text", "identifier"]


class Text:
    """The file of a step.

    names: for readers, of arrays from outside by (id of the owner, offset).
    arguments: the ids of arrays that are others in each call.
    timed: whether each line notes the time when it is done, in one more argument.
    """

    def __init__(
        self, trace: Trace, schedule: Schedule, plan: Plan, names: dict[Any, str], origin: str,
        arguments: set[int], timed: bool = False,
    ) -> None:  # fmt: skip
        self.timed, self.arguments = timed, arguments
        self.trace, self.schedule, self.plan, self.outside_names = trace, schedule, plan, names
        self.parts: list[Part] = []
        self._functions: dict[Any, str] = {}  # (text, kinds) -> name
        self._written: list[str] = []
        self._taken = set(TAKEN)
        self._value_names: dict[Any, str] = {}
        self._products: set[str] = set()
        self._passes: set[str] = set()
        self._rules: dict[Any, str] = {}
        self._rule_texts: list[str] = []
        self._segments: list[str] = []
        self._segment = Segment()
        self._arrays = self._of_outside()
        self._assumed: dict[int, list[tuple[int, Value, bool]]] = {}
        for i, (v, was) in enumerate(trace.assumed):
            self._assumed.setdefault(v.root.number, []).append((i, v, was))
        for i in range(len(schedule.groups)):
            self._group(i)
        self._finish_segment()
        self.text = self._whole(origin)

    # Groups --------------------------------------------------------------------------------------

    def _group(self, i: int) -> None:
        group = self.schedule.groups[i]
        if isinstance(group, Loop):
            if group.values:
                self._loop(group)
        elif group.op == "call":
            self._finish_segment()
            self.parts.append(Part((), (), (), group))
        elif group.op == "update":
            self._update(group)
        elif group.op == "launch":
            self._launch(group)
        elif group.op == "matmul":
            name, call = calls.product(group, self._pointer)
            self._products.add(name)
            self._line(call, group)
        elif group.op in ("rows", "scatter"):
            write = calls.rows_of_table if group.op == "rows" else calls.scatter
            self._call(write(group), group.op, group, group.args)
        elif group.number in self.plan.filled:
            pass  # by the loops that computed its parts
        elif group.op in ("concatenate", "put", "boxes"):
            self._call(calls.boxes(group), group.op, group, group.args)
        elif group.op == "store":
            self._call(calls.stored(group), "store", group, group.args[:1])
        else:
            raise CompileError(f"compile: {group.op} has no compiled form")
        for value in self.schedule.members(i):
            for check in self._assumed.get(value.number, ()):
                self._check(*check)

    def _loop(self, loop: Loop) -> None:
        function = text_of(loop, self.plan)
        last = next(
            (v for v in reversed(loop.values) if v.number in self.plan.places), loop.values[-1]
        )
        name = self._function(function.text, function.kinds, _named_by_ops(loop))
        arguments = [
            self._row(root) if isinstance(root, tuple) and root[0] == "row"
            else self._pointer(root, offset)
            for root, offset in function.arguments
        ]  # fmt: skip
        self._line(f"{name}({', '.join(arguments)})", last)

    def _call(self, text: str, op: str, value: Value, args: Any) -> None:
        """A function whose parameters are its arguments' memory, then its own."""
        written = value.params["array"] if op == "store" else value
        kinds = tuple(map(kind_of, (*args, written)))
        name = self._function(text, kinds, op)
        pointers = [self._pointer(a.root, a.layout.offset) for a in args]
        target = self._target(value) if value.op == "store" else self._pointer(value, 0)
        self._line(f"{name}({', '.join([*pointers, target])})", value)

    def _launch(self, value: Value) -> None:
        """A call of an eager kernel: numbers, what it reads, what it writes."""
        name, others = value.params["kernel"], value.params["others"]
        self._passes.add(name)
        given = [str(number) for number in value.params["numbers"]]
        given += [self._pointer(a.root, a.layout.offset) for a in value.args]
        if value.params["over"] is not None:
            others = others[:-1]
        given += [self._pointer(v) for v in (value, *others)]
        reads = [a for a in value.args if not a.is_constant]
        shapes = " and ".join(map(long_axes_of, reads[:2]))
        what = f"{shapes} -> {long_axes_of(value)}"
        self._segment.lines.append(f"{name}({', '.join(given)})  # {what}")

    def _update(self, value: Value) -> None:
        update = value.params["update"]
        flat, rule, segment = update.flat, update.rule, self._segment
        number = len(self._all_updates())
        arrays = {"parameters": flat.values, "gradient": flat.gradient}
        arrays |= {state: flat.state(state) for state in rule.states}
        given = []
        for name, array in arrays.items():
            name = self._name(("flat", id(array)), f"{name}{number}")
            slot = Slot(("flat", id(array)), 0, SHORT[array.dtype], f"{array.size} numbers")
            given.append(segment.pointer(name, slot))
        segment.updates.append(value)
        given += [f"{c}_{number}" for c in update.letters]
        function, size = self._rule(rule, flat.values.dtype), flat.values.size
        call = f"{function}(0, {size}, {', '.join(given)})"
        if size >= threads.threshold:
            grain = even_grain(size, CHUNK)
            cost = cost_of_part(rule._rule, flat.values.dtype.name, grain)
            call = f"share({function}, {size}, {grain}, {cost}, {', '.join(given)})"
        segment.lines.append(call)

    def _all_updates(self) -> list[Value]:
        return [u for part in self.parts for u in part.updates] + self._segment.updates

    def _rule(self, rule: Any, dtype: Any) -> str:
        """The name of the function of an update rule."""
        key = rule, dtype
        if key not in self._rules:
            name = function_name(rule._rule, "plain")
            own = self._rules[key] = self._unique(rule._rule.name)
            text = render(rule._rule, "plain", dtype.name)
            self._rule_texts.append(re.sub(rf"\b{name}\b", own, text))
        return self._rules[key]

    def _check(self, i: int, value: Value, expected: bool) -> None:
        truth = self._pointer(value.root, value.layout.offset)
        self._segment.lines.append(f"if {truth}[0] != {int(expected)}:\n    return {i + 1}")

    # Names ---------------------------------------------------------------------------------------

    def _line(self, text: str, value: Value) -> None:
        first, newline, rest = text.partition("\n")
        self._segment.lines.append(f"{first}  # {shape_of(value)}{newline}{rest}")

    def _function(self, text: str, kinds: tuple[str, ...], name: str) -> str:
        key = text, kinds
        if key not in self._functions:
            own = self._functions[key] = self._unique(name)
            signature = ", ".join(f"p_{kind}" for kind in kinds)
            if "DECORATED" in text:  # what a thread does of it stands before it
                text = text.replace("DECORATED", f"@plain({signature})")
                text = f"@plain(i8, i8, {signature})\n{text}"
            else:
                text = f"@plain({signature})\n{text}"
            self._written.append("\n\n" + text.replace("NAME", own))
        return self._functions[key]

    def _unique(self, name: str) -> str:
        name = identifier(name) or "value"
        while name in self._taken:
            stem, _, number = name.rpartition("_")
            name = f"{stem}_{int(number) + 1}" if number.isdigit() and stem else f"{name}_2"
        self._taken.add(name)
        return name

    def _name(self, key: Any, wanted: str) -> str:
        if key not in self._value_names:
            self._value_names[key] = self._unique(wanted)
        return self._value_names[key]

    def _pointer(self, root: Value, offset: int = 0) -> str:
        """The text of a pointer into a value's memory, `offset` elements from its beginning."""
        if root.number in self.plan.places:
            array, start = self.plan.places[root.number]
            key = ("block", array) if array in self.plan.sizes else ("flat", int(array))
            where = f", {array} from {start}" if array in self.plan.sizes else ""
            name = self._name(root.number, root.name)
            slot = Slot(key, start, kind_of(root), f"{shape_of(root)}{where}")
            self._segment.pointer(name, slot)
            return f"at({name}, {offset})" if offset else name
        given = root.params.get("array")
        if root.op in ("call", "result") or root.params.get("copied") or (
            id(given) in self.arguments
        ):  # fmt: skip
            known = self.outside_names.get((id(given), 0), "input")
            name = self._name(root.number, root.name if given is None else known)
            name = self._segment.array(("value", root.number), name, root)
            return f"at({name}, {offset})" if offset else name
        return self._outside(root, given, offset)

    def _outside(self, root: Value, array: Any, offset: int) -> str:
        """A pointer to memory from outside the plan: parameters, constants, random numbers."""
        key = ("flat", id(array)) if id(array) in self._flats else ("value", root.number)
        known = self.outside_names.get((id(array), offset))
        if known is None and offset:
            return f"at({self._outside(root, array, 0)}, {offset})"
        wanted = known or (root.op if array is None else root.params.get("called", "constant"))
        name = self._name((root.number, offset), wanted)
        what = shape_of(root) if key[0] == "value" else f"{root.size - offset} numbers"
        return self._segment.pointer(name, Slot(key, offset, kind_of(root), what))

    def _target(self, value: Value) -> str:
        array = value.params["array"]
        name = self._name(("store", id(array)), self.outside_names.get((id(array), 0), "stored"))
        what = " x ".join(map(str, array.shape)) or "one number"
        return self._segment.pointer(name, Slot(("store", id(array)), 0, kind_of(array), what))

    def _row(self, key: tuple[Any, ...]) -> str:
        """A pointer to rows of scratch, which all loops have in the same place."""
        _, kind, start = key
        block = f"row_{kind}"
        name = self._name(("block", block, start), f"row_{start}" if start else "row")
        kind = "u1" if kind == "b1" else kind
        return self._segment.pointer(
            name, Slot(("block", block), start, kind, f"{block} from {start}")
        )

    def name_of(self, value: Value) -> str:
        """What a value from outside is called in the text."""
        owner = id(value.root.params.get("array"))
        return self.outside_names.get((owner, value.layout.offset), value.name)

    # The file ------------------------------------------------------------------------------------

    def _finish_segment(self) -> None:
        segment, self._segment = self._segment, Segment()
        if not segment.lines:
            return
        if self.timed:
            segment.pointer("times", Slot(("times", 0), 0, "i8", "when each line was done"))
        first = sum(len(part.updates) for part in self.parts)
        types = [self._type(key) for key in segment.arrays]
        self._segments.append(segment.text(len(self._segments), first, types, self.timed))
        self.parts.append(segment.part())

    def _type(self, key: Any) -> str:
        array = self.trace.values[key[1]]
        name = "boolean" if array.dtype == bool else array.dtype.name
        return f'array("{name}", {len(array.shape)})'

    def _of_outside(self) -> dict[int, Any]:
        """Arrays by their id: flat vectors, and what else the step writes to."""
        found: dict[int, Any] = {}
        for u in self.trace.updates:
            update = u.params["update"]
            flat = update.flat
            for a in (flat.values, flat.gradient, *map(flat.state, update.rule.states)):
                found[id(a)] = a
        self._flats = {id(a) for a in found.values()}
        for value in self.trace.values:
            if value.op == "store":
                found[id(value.params["array"])] = value.params["array"]
        for buffer, _ in self.trace.home.values():
            found[id(buffer)] = buffer
        return found

    def written(self) -> dict[int, Any]:
        """The arrays from outside that the step may write to, by their id."""
        return self._arrays

    def _whole(self, origin: str) -> str:
        used = sorted(self._products)
        products = f"from tinygrad_opt.kernels.plain.products import {', '.join(used)}\n"
        passes = (
            f"from tinygrad_opt.kernels.plain.passes import {', '.join(sorted(self._passes))}\n"
        )
        products = (passes if self._passes else "") + (products if used else "")
        modes = any("exchange_mode(" in text for text in self._rule_texts)
        wanted = {"at": True, "exchange_mode": modes, "from_table": True, "memory": True,
                  "plain": True, "ticks": self.timed}  # fmt: skip
        plain = [name for name, wants in wanted.items() if wants]
        head = HEAD.format(
            origin=origin, products=products,
            used=", ".join(plain),
        )  # fmt: skip
        entries = "".join(f"enter_{i}, " for i in range(len(self._segments)))
        tail = f"\n\nsteps = ({entries})\n"
        return head + "".join([*self._written, *("\n\n" + t for t in self._rule_texts),
                               *self._segments, tail])  # fmt: skip


_PLAIN_OPS = {
    "copy", "full", "astype", "equal", "where", "less", "greater", "greater_equal", "less_equal",
    "not_equal", "bitwise_or", "bitwise_and", "subtract", "logical_not",
}  # fmt: skip


def _named_by_ops(loop: Loop) -> str:
    """`amax_exp_sum_divide`: the first few of what a loop computes, without what says little."""
    ops = list(dict.fromkeys(v.op for v in loop.values))
    telling = [op for op in ops if op not in _PLAIN_OPS]
    return "_".join((telling or ops)[:4])


def identifier(name: str) -> str:
    """`name` with what cannot stand in an identifier replaced."""
    name = re.sub(r"\W+", "_", name).strip("_")
    return f"_{name}" if name[:1].isdigit() else name
