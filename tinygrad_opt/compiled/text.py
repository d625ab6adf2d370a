"""The text of a compiled step: one Numba file, as readable as it can be made.

First the loops, each a function over pointers; then the optimizers' rules, as `kernels.rule` writes
them; last `step_0`, `step_1`, ...: the step itself, from the first product to the last parameter.
There is one, unless something in between is a call of an eager kernel.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ..kernels import threads
from ..kernels.compiler.codegen import function_name, render
from . import calls
from .header import HEAD, TAKEN
from .loops import Loop, Schedule
from .memory import Place, Plan
from .nests import text_of
from .trace import Trace
from .values import SHORT, CompileError, Value

__all__ = ["Part", "Text", "identifier"]


class Part(NamedTuple):
    """One function of the file and what it is called with, or one call of an eager kernel.

    arrays: keys of arrays, see `Text.array_of`.  updates: whose coefficients follow them.
    call: the Value of an eager call, or None.  lines: of the function, without their definitions.
    """

    arrays: tuple[Any, ...]
    updates: tuple[Value, ...]
    call: Value | None
    lines: tuple[str, ...] = ()


class _Segment:
    """One function while it is being written."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.pointers: dict[str, str] = {}  # name -> its text
        self.arrays: dict[Any, str] = {}  # key -> name
        self.updates: list[Value] = []


class Text:
    """The file of a step.

    names: for readers, of arrays from outside by (id of the owner, offset).
    timed: whether each line notes the time when it is done, in one more argument.
    """

    def __init__(
        self, trace: Trace, schedule: Schedule, plan: Plan, names: dict[Any, str], origin: str,
        timed: bool = False,
    ) -> None:  # fmt: skip
        self.timed = timed
        self.trace, self.schedule, self.plan, self.outside_names = trace, schedule, plan, names
        self.parts: list[Part] = []
        self._functions: dict[Any, str] = {}  # (text, kinds) -> name
        self._written: list[str] = []
        self._taken = set(TAKEN)
        self._value_names: dict[Any, str] = {}
        self._products: set[str] = set()
        self._rules: dict[Any, str] = {}
        self._rule_texts: list[str] = []
        self._segments: list[str] = []
        self._segment = _Segment()
        self._assumed = {v.root.number: (i, v, was) for i, (v, was) in enumerate(trace.assumed)}
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
            self.parts.append(Part((), (), group))
        elif group.op == "update":
            self._update(group)
        elif group.op == "matmul":
            name, call = calls.product(group, self._pointer)
            self._products.add(name)
            self._line(call, group)
        elif group.op in ("rows", "scatter"):
            write = calls.rows_of_table if group.op == "rows" else calls.scatter
            self._call(write(group), group.op, group, group.args)
        elif group.op in ("concatenate", "put", "boxes"):
            self._call(calls.boxes(group), group.op, group, group.args)
        elif group.op == "store":
            self._call(calls.stored(group), "store", group, group.args[:1])
        else:
            raise CompileError(f"compile: {group.op} has no compiled form")
        for value in self.schedule.members(i):
            if value.number in self._assumed:
                self._check(*self._assumed[value.number])

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
        kinds = tuple(map(_pointer_kind, (*args, written)))
        name = self._function(text, kinds, op)
        pointers = [self._pointer(a.root, a.layout.offset) for a in args]
        target = self._target(value) if value.op == "store" else self._pointer(value, 0)
        self._line(f"{name}({', '.join([*pointers, target])})", value)

    def _update(self, value: Value) -> None:
        update = value.params["update"]
        flat, rule, segment = update.flat, update.rule, self._segment
        number = len(self._all_updates())
        arrays = {"p": flat.values, "g": flat.gradient, **{s: flat.state(s) for s in rule.states}}
        names = [self._array(("flat", id(a)), f"{letter}{number}") for letter, a in arrays.items()]
        function = self._rule(rule, flat.values)
        segment.updates.append(value)
        coefficients = [f"{c}_{number}" for c in rule.coefficients]
        segment.lines.append(f"{function}({', '.join([*names, *coefficients])})")

    def _all_updates(self) -> list[Value]:
        return [u for part in self.parts for u in part.updates] + self._segment.updates

    def _rule(self, rule: Any, values: Any) -> str:
        dtype = values.dtype.name
        target: Any = "parallel" if values.size >= threads.threshold else "serial"
        key = rule, target, dtype
        if key not in self._rules:
            name = function_name(rule._rule, target)
            text = render(rule._rule, target, dtype, True).replace("cache=True", "cache=CACHE")
            own = self._unique(name)
            self._rules[key] = own
            self._rule_texts.append(re.sub(rf"\b{name}\b", own, text))
        return self._rules[key]

    def _check(self, i: int, value: Value, expected: bool) -> None:
        truth = self._pointer(value.root, value.layout.offset)
        self._segment.lines.append(f"if {truth}[0] != {int(expected)}:\n    return {i + 1}")

    # Names ---------------------------------------------------------------------------------------

    def _line(self, text: str, value: Value) -> None:
        shape = " x ".join(map(str, value.shape)) or "one number"
        first, newline, rest = text.partition("\n")
        self._segment.lines.append(f"{first}  # {shape}{newline}{rest}")

    def _function(self, text: str, kinds: tuple[str, ...], name: str) -> str:
        key = text, kinds
        if key not in self._functions:
            own = self._functions[key] = self._unique(name)
            signature = ", ".join(f"p_{kind}" for kind in kinds)
            decorated = f"@njit(types.void({signature}), **LOOP)"
            if "DECORATED" in text:  # its parts are compiled within it
                text = f"@njit(**PART)\n{text.replace('DECORATED', decorated)}"
            else:
                text = f"{decorated}\n{text}"
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
            place = self.plan.places[root.number]
            base = self._block(place)
            name = self._name(root.number, root.name)
            self._segment.pointers[name] = f"at({base}, {place.offset})" if place.offset else base
            return f"at({name}, {offset})" if offset else name
        base = self._outside(root)
        known = self.outside_names.get((id(root.params.get("array")), offset))
        if known is not None and offset:
            name = self._name((root.number, offset), known)
            self._segment.pointers[name] = f"at({base}, {offset})"
            return name
        return f"at({base}, {offset})" if offset else base

    def _outside(self, root: Value) -> str:
        """A pointer to memory from outside the plan: inputs, draws, what eager calls return."""
        array = root.params.get("array")
        wanted = self.outside_names.get((id(array), 0))
        wanted = wanted or (root.op if array is None else "constant")
        name = self._name(root.number, root.name if root.op in ("call", "result") else wanted)
        key = ("flat", id(array)) if id(array) in self._flats() else ("value", root.number)
        self._segment.pointers[name] = f"memory({self._array(key, name)})"
        return name

    def _flats(self) -> set[int]:
        found = set()
        for u in self.trace.updates:
            flat = u.params["update"].flat
            found |= {id(flat.values), id(flat.gradient)}
        return found

    def _target(self, value: Value) -> str:
        array = value.params["array"]
        name = self._name(("store", id(array)), self.outside_names.get((id(array), 0), "stored"))
        self._segment.pointers[name] = f"memory({self._array(('store', id(array)), name)})"
        return name

    def _block(self, place: Place) -> str:
        if place.array in self.plan.sizes:
            array = self._array(("block", place.array), place.array)
        else:
            array = self._array(("flat", int(place.array)), "gradient")
        name = f"{array.removesuffix('_array')}_memory"
        self._segment.pointers[name] = f"memory({array})"
        return name

    def _row(self, key: tuple[Any, ...]) -> str:
        _, kind, start = key
        base = self._block(Place(f"row_{kind}", 0))
        return f"at({base}, {start})" if start else base

    def _array(self, key: Any, wanted: str) -> str:
        """The name of a function's parameter."""
        if key not in self._segment.arrays:
            name = self._name(("array", key), f"{wanted.removesuffix('_array')}_array")
            self._segment.arrays[key] = name
        return self._segment.arrays[key]

    # The file ------------------------------------------------------------------------------------

    def _finish_segment(self) -> None:
        segment, self._segment = self._segment, _Segment()
        if not segment.lines:
            return
        number = len(self._segments)
        names = list(segment.arrays.values())
        types = [self._type(key) for key in segment.arrays]
        for k, value in enumerate(segment.updates, len([u for p in self.parts for u in p.updates])):
            update = value.params["update"]
            names += [f"{c}_{k}" for c in update.rule.coefficients]
            types += [f"types.{update.flat.dtype.name}"] * len(update.rule.coefficients)
        lines = [f"{name} = {text}" for name, text in _in_order(segment.pointers)]
        if self.timed:
            names.append("ticks_array")
            types.append('array("int64", 1)')
            lines += ["times = memory(ticks_array)", "times[0] = ticks()"]
            for i, line in enumerate(segment.lines, 1):
                lines += [line, f"times[{i}] = ticks()"]
        else:
            lines += segment.lines
        lines.append("return 0")
        body = "".join(f"    {part}\n" for line in lines for part in line.split("\n"))
        self._segments.append(
            f"\n\n@njit(types.int64(\n{_wrapped(types)}), **STEP)\n"
            f"def step_{number}(\n{_wrapped(names)}):\n{body}"
        )
        self.parts.append(
            Part(tuple(segment.arrays), tuple(segment.updates), None, tuple(segment.lines))
        )

    def _type(self, key: Any) -> str:
        kind, which = key
        if kind == "block":
            name = {v: k for k, v in SHORT.items()}[which.partition("_")[2]]
            return f'array("{"uint8" if name == "bool" else name}", 1)'
        array = self.array_of(key)
        name = "boolean" if array.dtype == bool else array.dtype.name
        readonly = "" if kind in ("flat", "store") else ", True"
        return f'array("{name}", {array.ndim}{readonly})'

    def name_of(self, value: Value) -> str:
        """What a value from outside is called in the text."""
        owner = id(value.root.params.get("array"))
        return self.outside_names.get((owner, value.layout.offset), value.name)

    def array_of(self, key: Any) -> Any:
        """An array like the one that stands for a key: flat vectors, stores, inputs, results."""
        kind, which = key
        if kind == "value":
            return self.trace.values[which].data
        return self._arrays()[which]

    def _arrays(self) -> dict[int, Any]:
        found = {}
        for u in self.trace.updates:
            update = u.params["update"]
            flat = update.flat
            for a in (flat.values, flat.gradient, *map(flat.state, update.rule.states)):
                found[id(a)] = a
        for value in self.trace.values:
            if value.op == "store":
                found[id(value.params["array"])] = value.params["array"]
        for buffer, _ in self.trace.home.values():
            found[id(buffer)] = buffer
        return found

    def written(self) -> dict[int, Any]:
        """The arrays from outside that the step may write to, by their id."""
        return self._arrays()

    def _whole(self, origin: str) -> str:
        used = sorted(self._products)
        products = "".join(f", {name}" for name in used) + (", ticks" if self.timed else "")
        sums = ', "reassoc"'
        head = HEAD.format(title="A training step.", origin=origin, products=products, sums=sums)
        steps = "".join(f"step_{i}, " for i in range(len(self._segments)))
        tail = f"\n\nsteps = ({steps})\n"
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


def _pointer_kind(value: Any) -> str:
    kind = SHORT[value.dtype.name]
    return "u1" if kind == "b1" else kind


def _in_order(pointers: dict[str, str]) -> list[tuple[str, str]]:
    """Definitions, those first that begin with an array."""
    return sorted(pointers.items(), key=lambda item: not item[1].startswith("memory("))


def _wrapped(items: list[str]) -> str:
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) > 96:
            lines.append(line)
            line = "   "
        line += f" {item},"
    return "\n".join([*lines, line]) + "\n"
