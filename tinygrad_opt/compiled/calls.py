"""The text of what is a call of its own in a step: products, rows of tables, boxes of arrays."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays.memory import address
from ..kernels.blas import WORTH_CUTTING
from .elements import constant
from .loops import broadcast_strides
from .values import SHORT, CompileError, Value, contiguous, strided

__all__ = ["boxes", "parts_of", "product", "rows_of_table", "scatter"]

Pointer = Callable[[Value, int], str]  # the text of a pointer to a root's memory, at an offset


def _way(strides: tuple[int, ...], rows: int, columns: int) -> tuple[str, int] | None:
    """How a matrix lies: ("n", distance of rows), ("t", distance of columns), or neither: None."""
    down, right = strides
    if (right == 1 or columns == 1) and (down >= columns or rows == 1) and down >= 0:
        return "n", max(down if rows > 1 else columns, columns, 1)
    if (down == 1 or rows == 1) and (right >= rows or columns == 1) and right >= 0:
        return "t", max(right if columns > 1 else rows, rows, 1)
    return None


def is_blas(a: Value) -> bool:
    """Whether the matrices of a value lie as BLAS takes them."""
    return _way(a.layout.strides[-2:], *a.shape[-2:]) is not None


def product(value: Value, pointer: Pointer) -> tuple[str, str]:
    """(the function's name in `kernels.products`, the call) of a matrix product."""
    a, b = value.args
    m, k = a.shape[-2:]
    n = b.shape[-1]
    kind = SHORT[value.dtype]
    (x_way, x_line), (y_way, y_line) = (
        _way(v.layout.strides[-2:], *v.shape[-2:]) or ("", 0) for v in (a, b)
    )
    x, y = (pointer(v.root, v.layout.offset) for v in (a, b))
    out, ways = pointer(value, 0), x_way + y_way
    stack = value.shape[:-2]
    count = math.prod(stack)
    if count == 1:
        name = "product" if m * n * k < WORTH_CUTTING else "large_product"
        name = f"{name}_{ways}_{kind}"
        return name, f"{name}({m}, {n}, {k}, {x}, {x_line}, {y}, {y_line}, {out})"
    steps = [broadcast_strides(v.shape[:-2], v.layout.strides[:-2], stack) for v in (a, b)]
    outer, (x_step, y_step), depth = _evenly(stack, steps)
    name = f"products_{ways}_{kind}"
    lines, indent = [], ""
    for axis, length in enumerate(outer):
        lines.append(f"{indent}for i{axis} in range({length}):")
        indent += "    "

    def moved(text: str, strides: Any) -> str:
        terms = [f"i{i} * {s}" for i, s in enumerate(strides[: len(outer)]) if s]
        return f"at({text}, {' + '.join(terms)})" if terms else text

    out_steps = [s * m * n for s in contiguous(stack)]
    lines.append(
        f"{indent}{name}({depth}, {m}, {n}, {k}, {moved(x, steps[0])}, {x_line}, {x_step}, "
        f"{moved(y, steps[1])}, {y_line}, {y_step}, {moved(out, out_steps)})"
    )
    return name, "\n".join(lines)


def _evenly(stack: tuple[int, ...], steps: Any) -> tuple[tuple[int, ...], list[int], int]:
    """The axes of a stack that need a loop, and the steps and number of matrices along the rest."""
    last = len(stack) - 1
    first = last
    while first > 0 and all(s[first - 1] == s[first] * stack[first] for s in steps):
        first -= 1
    return stack[:first], [s[last] for s in steps], math.prod(stack[first:])


def rows_of_table(value: Value) -> str:
    """The text of NAME(table, index, rows): the rows of a table that an index names."""
    table, index = value.args
    return _over_rows(value, table, index, "y[j] = x[j]", "NAME(x0, x1, y2)", "x0", "y2")


def scatter(value: Value) -> str:
    """The text of NAME(rows, index, table): rows added up where an index names them."""
    g, index = value.args
    width = math.prod(value.shape[1:])
    _need_whole(g, may_begin_later=True)
    return (
        f"def NAME(x0, x1, y2):  # {index.size} rows of {width}\n"
        f"    for j in range({value.size}):\n        y2[j] = {constant(0, value.dtype)}\n"
        f"    for i in range({index.size}):\n"
        f"        x = at(x0, i * {width})\n"
        f"        y = at(y2, x1[{_place(index)}] * {width})\n"
        f"        for j in range({width}):\n            y[j] += x[j]\n"
    )


def _over_rows(value: Value, table: Value, index: Value, *_: str) -> str:
    width = math.prod(table.shape[1:])
    _need_whole(table, may_begin_later=True)
    return (
        f"def NAME(x0, x1, y2):  # {index.size} rows of {width}\n"
        f"    for i in range({index.size}):\n"
        f"        x = at(x0, x1[{_place(index)}] * {width})\n"
        f"        y = at(y2, i * {width})\n"
        f"        for j in range({width}):\n            y[j] = x[j]\n"
    )


def _place(index: Value) -> str:
    _need_whole(index, may_begin_later=True)
    return "i"


def _need_whole(value: Value, may_begin_later: bool = False) -> None:
    whole = value.layout.strides == contiguous(value.shape)
    if not whole or (value.layout.offset and not may_begin_later):
        raise CompileError(f"compile: {value} would have to be copied first")


def is_row_major(value: Value) -> bool:
    """Whether its elements lie one after the other."""
    shape, strides = value.shape, value.layout.strides
    return all(n == 1 or s == c for n, s, c in zip(shape, strides, contiguous(shape), strict=True))


def boxes(value: Value) -> str:
    """The text of NAME(parts..., y): arrays that are put side by side, or into zeros, or a copy."""
    if value.op == "put":
        x, values = value.args
        box = value.params.get("box") or _box(value.shape, value.params["index"])
        parts = [(x, 0, contiguous(value.shape)), (values, *box)]
    else:
        parts = parts_of(value)
    covered = sum(a.size for a, _, _ in parts)
    names = [f"x{i}" for i in range(len(parts))]
    lines = [f"def NAME({', '.join(names)}, y):  # {' x '.join(map(str, value.shape))}"]
    if covered < value.size:
        zero = constant(0, value.dtype)
        lines += [f"    for j in range({value.size}):", f"        y[j] = {zero}"]
    for name, (a, start, strides) in zip(names, parts, strict=True):
        lines += _copy(name, a, start, strides)
    return "\n".join(lines) + "\n"


def parts_of(value: Value) -> list[tuple[Value, int, tuple[int, ...]]]:
    """What is put side by side, or into zeros: (part, where it begins, its strides there)."""
    if value.op == "boxes":
        indices = value.params["indices"]
        return [(a, *_box(value.shape, i)) for a, i in zip(value.args, indices, strict=True)]
    out, axis = contiguous(value.shape), value.params["axis"]
    ends = itertools.accumulate(a.shape[axis] for a in value.args)
    return [
        (a, (end - a.shape[axis]) * out[axis], out) for a, end in zip(value.args, ends, strict=True)
    ]


def _box(shape: tuple[int, ...], index: Any) -> tuple[int, tuple[int, ...]]:
    """Where a part of a row-major array begins, and its strides."""
    dummy = strided(shape, contiguous(shape))
    box = dummy[index]
    if isinstance(box, np.generic):  # one element, of which NumPy makes a copy
        box = dummy[(*index, ...) if isinstance(index, tuple) else (index, ...)]
    start = address(box) - address(dummy)
    return (start if box.size else 0), box.strides


def _copy(name: str, a: Value, start: int, strides: tuple[int, ...]) -> list[str]:
    """The lines that copy all elements of `a` to y."""
    axes: list[list[int]] = []  # [length, stride of a, stride of y]
    for n, own, other in zip(a.shape, a.layout.strides, strides, strict=True):
        if n == 1:
            continue
        if axes and axes[-1][1] == own * n and axes[-1][2] == other * n:
            axes[-1] = [axes[-1][0] * n, own, other]
        else:
            axes.append([n, own, other])
    lines, indent = [], "    "
    for i, (n, _, _) in enumerate(axes):
        lines.append(f"{indent}for i{i} in range({n}):")
        indent += "    "
    places = []
    for column, first in ((2, start), (1, 0)):
        terms = [f"i{i} * {axis[column]}" for i, axis in enumerate(axes) if axis[column]]
        places.append(" + ".join([*terms, *([str(first)] if first or not terms else [])]))
    return [*lines, f"{indent}y[{places[0]}] = {name}[{places[1]}]"]


def stored(value: Value) -> str:
    """The text of NAME(x, y): the elements of a value, written to an array from outside."""
    (x,) = value.args
    lines = [f"def NAME(x0, y):  # {' x '.join(map(str, x.shape))}"]
    return "\n".join([*lines, *_copy("x0", x, 0, value.params["strides"])]) + "\n"
