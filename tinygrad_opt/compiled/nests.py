"""The text of a loop: one function over pointers, whose inner loop runs along a row.

A row may be gone through several times: softmax takes the maximum, then powers and their sum, then
writes. Each time is a phase. What a later phase needs is computed again if it is cheap, and kept in
a row of scratch if it is not.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .elements import COSTLY, expression
from .loops import REDUCTIONS, Loop, broadcast_strides, domain_of, refined
from .memory import Plan
from .row_pass import RowPass, added, start_of, stored_form
from .values import SHORT, CompileError, Value, contiguous

__all__ = ["Function", "RowsOfSeveralAxes", "text_of"]


# Nanoseconds, about: of one element, of a part for a thread, and of a loop that is worth parts.
PLAIN_NS, COSTLY_NS = 0.15, 1.0
PART, WORTH_PARTS = 30_000, 120_000


class RowsOfSeveralAxes(CompileError):
    """A row whose elements do not lie evenly: its sums have to be taken another way."""

    def __init__(self, values: list[int]) -> None:
        super().__init__("compile: rows of several axes")
        self.values = values


class Function(NamedTuple):
    """The text of a loop, with NAME for its name, and what it is called with.

    arguments: (a Value's root or the number of a row of scratch, offset) for each parameter.
    """

    text: str
    kinds: tuple[str, ...]
    arguments: tuple[tuple[Any, int], ...]


class _Access(NamedTuple):
    root: Value
    offset: int
    strides: tuple[int, ...]  # over the axes of the domain


def text_of(loop: Loop, plan: Plan) -> Function:
    """The function of a loop; written once for the plan that it is asked for first."""
    if loop.text is None or loop.text[0] is not plan:
        loop.text = plan, _Nest(loop, plan).function()
    return loop.text[1]


def split(shape: Any, strides: Any, domain: tuple[int, ...]) -> tuple[int, ...]:
    """Strides over the axes of `shape` as strides over the finer ones of the domain."""
    found: list[int] = []
    for n, stride in zip(shape, strides, strict=True):
        if n == 1:
            continue
        part: list[int] = []
        size = 1
        while size < n:
            part.append(domain[len(found) + len(part)])
            size *= part[-1]
        steps = []
        for length in reversed(part):
            steps.append(stride)
            stride *= length
        found += reversed(steps)
    return (*found, *[0] * (len(domain) - len(found)))


class _Nest:
    def __init__(self, loop: Loop, plan: Plan) -> None:
        self.loop, self.plan = loop, plan
        self.mine = {v.number: v for v in loop.values}
        self.level = loop.level
        self.names: dict[int, str] = {v.number: f"v{i}" for i, v in enumerate(loop.values)}
        self._measure()
        self.grain = self._grain()
        self.phase = self._phases()
        self.parameters: dict[Any, tuple[str, str, Any, int]] = {}
        self.scratch: dict[int, str] = {}
        self.before_row: list[str] = []
        self._slices: dict[Any, str] = {}
        self._choose_what_is_stored()

    # Where elements lie --------------------------------------------------------------------------

    def _measure(self) -> None:
        """Each access as strides over the domain, whose axes are merged where all run through."""
        domain = refined(self.loop.cuts) or ()
        found: dict[Any, _Access] = {}
        for value in self.loop.values:
            shape = domain_of(value)
            for i, a in enumerate(value.args):
                if isinstance(a, Value):
                    strides = broadcast_strides(a.shape, a.layout.strides, shape)
                    found[value.number, i] = _Access(
                        a.root, a.layout.offset, split(shape, strides, domain)
                    )
            if value.number in self.plan.within:
                whole, start, shape, steps = self.plan.within[value.number]
                found[value.number, "out"] = _Access(whole, start, split(shape, steps, domain))
                continue
            out = list(contiguous(value.shape))
            if value.op in REDUCTIONS:
                out = [0 if i in value.params["axes"] else s for i, s in enumerate(out)]
            found[value.number, "out"] = _Access(value, 0, split(shape, out, domain))
        self.access, self.axes = self._merged(found, domain)
        inner = self.loop.inner
        if inner is not None and self.axes[-1] != inner:
            raise RowsOfSeveralAxes([n for n, level in self.level.items() if level == "rowsum"])

    def _merged(self, found: dict[Any, _Access], domain: tuple[int, ...]) -> Any:
        row_axis, size = len(domain), 1
        while self.loop.inner is not None and size < self.loop.inner:
            row_axis -= 1
            size *= domain[row_axis]
        axes: list[int] = []
        columns: dict[Any, list[int]] = {key: [] for key in found}
        for i, n in enumerate(domain):
            joins = axes and i != row_axis and all(
                columns[key][-1] == access.strides[i] * n for key, access in found.items()
            )  # fmt: skip
            if joins:
                axes[-1] *= n
            else:
                axes.append(n)
            for key, access in found.items():
                columns[key] = [*columns[key][: -1 if joins else None], access.strides[i]]
        if not axes:
            axes = [1]
            columns = {key: [0] for key in found}
        merged = {
            key: _Access(access.root, access.offset, tuple(columns[key]))
            for key, access in found.items()
        }
        return merged, axes

    def _phases(self) -> dict[int, int]:
        """In which pass over a row a value can be computed first."""
        phase: dict[int, int] = {}
        for value in self.loop.values:
            earliest = 0
            for a in value.args:
                if isinstance(a, Value) and a.root.number in self.mine:
                    number = a.root.number
                    later = 1 if self.level[number] == "rowsum" else 0
                    earliest = max(earliest, phase[number] + later)
            phase[value.number] = earliest
        return phase

    def _choose_what_is_stored(self) -> None:
        """Which values of single elements are written: to memory, or to a row of scratch."""
        latest: dict[int, int] = {}
        for value in self.loop.values:
            for a in value.args:
                if isinstance(a, Value):
                    number = a.root.number
                    latest[number] = max(latest.get(number, 0), self.phase[value.number])
        rows: dict[str, int] = {}
        for value in self.loop.values:
            number = value.number
            if self.level[number] != "full" or self.is_kept(number):
                continue
            stays = value.op in COSTLY or number in self.loop.once
            if stays and latest.get(number, 0) > self.phase[number]:
                kind = SHORT[value.dtype]
                start = rows.get(kind, 0)
                rows[kind] = start + self.axes[-1] + -self.axes[-1] % 16
                self.scratch[number] = self._parameter(("row", kind, start), kind, "t")
        self.rows = rows
        parts = -(-self.axes[0] // self.grain) if self.grain else 1
        for kind, size in rows.items():
            self.plan.reserve(kind, size * parts)

    def _parameter(self, key: Any, kind: str, letter: str, offset: int = 0) -> str:
        known = self.parameters.get(key)
        if known is None:
            name = f"{letter}{len(self.parameters)}"
            root = key if key[0] == "row" else key[1]
            known = self.parameters[key] = (name, "u1" if kind == "b1" else kind, root, offset)
        return known[0]

    def _pointer(self, access: _Access) -> tuple[str, int]:
        """The name of a pointer into the memory of an access, and the offset from there."""
        root = access.root
        kind = SHORT[root.dtype]
        if root.number in self.mine:
            return self._parameter(("value", root, 0), kind, "y"), access.offset
        # A pointer to the part that is read, so that layers of one shape share a function.
        letter = "y" if root.number in self.plan.filled else "x"
        return self._parameter(("value", root, access.offset), kind, letter, access.offset), 0

    def _is_written(self, root: Value) -> bool:
        """Whether parts of a whole are written here, where they stand in it."""
        return any(root is self.plan.within[n][0] for n in self.mine if n in self.plan.within)

    def is_kept(self, number: int) -> bool:
        """Whether a value has a place in memory."""
        return number in self.plan.places or number in self.plan.within

    def _start(self, strides: tuple[int, ...], offset: int = 0) -> str:
        """Where a row begins."""
        terms = [f"i{k}" if s == 1 else f"i{k} * {s}" for k, s in enumerate(strides[:-1]) if s]
        return " + ".join([*terms, *([str(offset)] if offset or not terms else [])])

    def _element(self, access: _Access) -> str:
        """The text of the element at the inner index; what stands before the row is noted."""
        name, offset = self._pointer(access)
        start, step = self._start(access.strides, offset), access.strides[-1]
        key = name, start, step
        if key not in self._slices:
            if step == 0:
                self._slices[key] = f"{name}[{start}]"
                if access.root.number not in self.mine and not self._is_written(access.root):
                    scalar = f"s{len(self._slices)}"
                    self.before_row.append(f"{scalar} = {name}[{start}]")
                    self._slices[key] = scalar
            else:
                row = name
                if start != "0":
                    row = f"r{len(self._slices)}"
                    self.before_row.append(f"{row} = at({name}, {start})")
                self._slices[key] = f"{row}[j]" if step == 1 else f"{row}[j * {step}]"
        return self._slices[key]

    # The text ------------------------------------------------------------------------------------

    def _grain(self) -> int:
        """How many steps of the outermost axis make a thread's part; 0 where that does not pay.

        Sums over the whole domain are not taken in parts.
        """
        each = sum(COSTLY_NS if v.op in COSTLY else PLAIN_NS for v in self.loop.values)
        whole = self.loop.total * each
        one_row = self.loop.inner is not None and len(self.axes) == 1
        if whole < WORTH_PARTS or one_row or self._sums():
            return 0
        return max(1, round(self.axes[0] * PART / whole))

    def function(self) -> Function:
        phases = [self._phase(k) for k in range(max(self.phase.values(), default=0) + 1)]
        head, tail = self._totals()
        lines = [f"for j in range({v.size}):\n    {self._out(v)}[j] = {start_of(v)}"
                 for v in self._sums() if not self._is_total(v)]  # fmt: skip
        body, indent = [*lines, *head], ""
        for k, n in enumerate(self.axes[:-1]):
            bounds = "first, last" if self.grain and k == 0 else str(n)
            body.append(f"{indent}for i{k} in range({bounds}):")
            indent += "    "
        inside = [*self.before_row, *(line for phase in phases for line in phase)]
        body += [indent + part for line in inside for part in line.split("\n")]
        body += tail
        names = [name for name, *_ in self.parameters.values()]
        kinds = tuple(kind for _, kind, *_ in self.parameters.values())
        arguments = tuple((root, offset) for _, _, root, offset in self.parameters.values())
        return Function(self._text(names, body), kinds, arguments)

    def _text(self, names: list[str], body: list[str]) -> str:
        shape = " x ".join(map(str, self.axes))
        written = "".join(f"    {part}\n" for line in body for part in line.split("\n"))
        if not self.grain:
            return f"def NAME({', '.join(names)}):  # over {shape}\n{written}"
        own = ""  # rows of scratch, of each part its own
        for name, kind, root, _ in self.parameters.values():
            if isinstance(root, tuple):
                own += f"    {name} = at({name}, first // {self.grain} * {self.rows[kind]})\n"
        return (
            f"def NAME_part(first, last, {', '.join(names)}):  # over {shape}\n{own}{written}\n\n"
            f"DECORATED\ndef NAME({', '.join(names)}):\n"
            f"    share(NAME_part, {self.axes[0]}, {self.grain}, {PART}, {', '.join(names)})\n"
        )

    def _sums(self) -> list[Value]:
        return [v for v in self.loop.values if self.level[v.number] == "sum"]

    def _is_total(self, value: Value) -> bool:
        """Whether it is one number: then it is summed in a variable, in double precision."""
        return value.size == 1

    def _totals(self) -> tuple[list[str], list[str]]:
        head, tail = [], []
        for value in filter(self._is_total, self._sums()):
            name = self.names[value.number]
            head.append(f"{name} = {start_of(value, wide=True)}")
            kind = SHORT[value.dtype]
            tail.append(f"{self._out(value)}[0] = {kind}({name})")
        return head, tail

    def _out(self, value: Value) -> str:
        return self._pointer(_Access(value, 0, ()))[0]

    def _phase(self, k: int) -> list[str]:
        """One pass over a row: what comes before it, the inner loop, and what comes after."""
        now = [v for v in self.loop.values if self.phase[v.number] == k]
        before, after = self._of_rows(now), []
        run = RowPass(self, k)
        for value in now:
            level, number = self.level[value.number], value.number
            if level == "rowsum":
                before.append(f"{self.names[number]} = {start_of(value)}")
                run.lines += added(value, self.names[number], run.operand(value, 0))
                if number in self.plan.places:
                    place = self._start(self.access[number, "out"].strides)
                    after.append(f"{self._out(value)}[{place}] = {self.names[number]}")
            elif level == "sum" and not self._is_of_row(value):
                self._sum(value, run, before, after)
            elif level == "full" and (self.is_kept(number) or number in self.scratch):
                run.name_of(value)
        inner = run.lines
        if inner and self.axes[-1] > 1:
            bounds = "first, last" if self.grain and len(self.axes) == 1 else self.axes[-1]
            inner = [f"for j in range({bounds}):", *(f"    {line}" for line in inner)]
        return [*before, *inner, *after]

    def _is_of_row(self, value: Value) -> bool:
        return value.number in self.loop.by_row

    def _sum(self, value: Value, run: RowPass, before: list[str], after: list[str]) -> None:
        """A reduction over other axes than the row's, or of everything."""
        access, name = self.access[value.number, "out"], self.names[value.number]
        operand = run.operand(value, 0)
        if access.strides[-1]:
            run.lines += added(value, self._element(access), operand)
            return
        wide = self._is_total(value)
        total = name if wide else f"{self._out(value)}[{self._start(access.strides)}]"
        if wide and len(self.axes) == 1:
            run.lines += added(value, total, operand)
            return
        partial = f"{name}_row"
        before.append(f"{partial} = {start_of(value, wide)}")
        run.lines += added(value, partial, operand)
        after += added(value, total, partial)

    def _of_rows(self, now: list[Value]) -> list[str]:
        """Values of whole rows, computed between passes."""
        lines = []
        for value in now:
            number, level = value.number, self.level[value.number]
            if level == "row":
                operands = [self._row_operand(value, i) for i in range(len(value.args))]
                lines.append(f"{self.names[number]} = {expression(value, operands)}")
                if number in self.plan.places:
                    place = self._start(self.access[number, "out"].strides)
                    stored = stored_form(value, self.names[number])
                    lines.append(f"{self._out(value)}[{place}] = {stored}")
            elif level == "sum" and self._is_of_row(value):
                access = self.access[number, "out"]
                total = self.names[number] if self._is_total(value) else (
                    f"{self._out(value)}[{self._start(access.strides)}]")  # fmt: skip
                lines += added(value, total, self._row_operand(value, 0))
        return lines

    def _row_operand(self, value: Value, i: int) -> str:
        if not isinstance(value.args[i], Value):
            return ""
        access = self.access[value.number, i]
        if access.root.number in self.mine:
            return self.names[access.root.number]
        name, offset = self._pointer(access)
        text = f"{name}[{self._start(access.strides, offset)}]"
        return f"({text} != 0)" if access.root.dtype == bool else text
