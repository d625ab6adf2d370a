"""One function of a step's file: what it is called with, its lines, and the way into it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from .values import SHORT, Value

__all__ = ["Part", "Segment", "Slot", "long_axes_of", "wrapped"]

LONGEST = 96  # columns of wrapped lines


class Slot(NamedTuple):
    """A pointer that a function takes: `offset` elements into the array of `key`.

    key: ("block", name), ("flat" or "store", id of an array), ("value", number of a Value), or
    ("times", 0).  kind: of its elements.  what: for readers.
    """

    key: tuple[str, Any]
    offset: int
    kind: str
    what: str


class Part(NamedTuple):
    """One function of the file and what it is called with, or one call of an eager kernel.

    arrays: keys of those that come with each call.  slots: pointers of its table.  updates: whose
    coefficients follow them there.  call: the Value of an eager call, or None.  lines: of the
    function, without their definitions.
    """

    arrays: tuple[Any, ...]
    slots: tuple[Slot, ...]
    updates: tuple[Value, ...]
    call: Value | None
    lines: tuple[str, ...] = ()


class Segment:
    """One function while it is being written."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.arrays: dict[Any, tuple[str, str, str]] = {}  # key -> (name, kind, what)
        self.slots: dict[str, Slot] = {}  # name -> what it is
        self.updates: list[Value] = []

    def array(self, key: Any, name: str, value: Value) -> str:
        """The name of a pointer to an array that comes with each call."""
        return self.arrays.setdefault(key, (name, kind_of(value), shape_of(value)))[0]

    def pointer(self, name: str, slot: Slot) -> str:
        """The name of a pointer of the table."""
        self.slots.setdefault(name, slot)
        return name

    def part(self) -> Part:
        return Part(tuple(self.arrays), tuple(self.slots.values()), tuple(self.updates), None,
                    tuple(self.lines))  # fmt: skip

    def text(self, number: int, first: int, types: list[str], timed: bool) -> str:
        """The function and its entry.

        first: the number of its first update.  types: of the arrays that come with each call.
        timed: whether each line notes when it is done.
        """
        kinds, takes, lines = [], [], self.lines
        for name, kind, what in self.arrays.values():
            kinds.append(f"p_{kind}")
            takes.append(f"{name},  # {what}")
        for name, slot in self.slots.items():
            kinds.append(f"p_{slot.kind}")
            takes.append(f"{name},  # {slot.what}")
        for k, value in enumerate(self.updates, first):
            update = value.params["update"]
            own = len(update.rule.coefficients)
            kinds += [SHORT[update.flat.dtype]] * own + ["f8"] * (len(update.letters) - own)
            takes.append(f"{', '.join(f'{c}_{k}' for c in update.letters)},")
        if timed:
            noted = [(line, f"times[{i}] = ticks()") for i, line in enumerate(lines, 1)]
            lines = ["times[0] = ticks()", *(part for pair in noted for part in pair)]
        parts = [part for line in (*lines, "return 0") for part in line.split("\n")]
        body = "".join(f"    {part}\n" for part in parts)
        parameters = "".join(f"    {line}\n" for line in takes)
        names = [name for name, *_ in self.arrays.values()]
        arrays = "".join(f"{name}_array, " for name in names)
        pointers = "".join(f"memory({name}_array), " for name in names)
        return (
            f"\n\n@plain(\n{wrapped(kinds)}    returns=i8,\n)\n"
            f"def step_{number}(\n{parameters}):\n{body}\n\n"
            f"call_{number} = from_table(step_{number}, {len(names)})\n\n\n"
            f"@njit(types.int64({''.join(f'{t}, ' for t in types)}types.intp), **STEP)\n"
            f"def enter_{number}({arrays}table):\n"
            f"    return call_{number}({pointers}table)\n"
        )


def kind_of(value: Value) -> str:
    """The short name of what pointers to a value point to."""
    kind = SHORT[value.dtype]
    return "u1" if kind == "b1" else kind


def shape_of(value: Value) -> str:
    return " x ".join(map(str, value.shape)) or "one number"


def long_axes_of(value: Value) -> str:
    """The shape without its axes of length 1."""
    return " x ".join(str(n) for n in value.shape if n != 1) or "one number"


def wrapped(items: Iterable[str]) -> str:
    """Items with commas between them, in lines."""
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) > LONGEST:
            lines.append(line)
            line = "   "
        line += f" {item},"
    return "\n".join([*lines, line]) + "\n"
