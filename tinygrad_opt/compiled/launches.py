"""Calls of the eager kernels from within the generated function: convolution, pooling, recurrence.

A `launch` is a value that a kernel of `kernels/plain/passes.py` writes, from other values and from
tables that were made when the step was traced. What else it writes are values of their own, which
are there when it is: `launched`. All of it lies in memory that is planned with the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernels import micro
from ..kernels.fused import passage_kernels
from ..kernels.plain import passes
from .calls import is_row_major
from .traced import Traced, copied, current
from .values import SHORT, Later, Value, roots, same

__all__ = ["launch", "passage", "run", "take_over"]

Made = Callable[..., Any]
_NAMES = {write: name for name, (write, *_) in passes.LOOPS.items()}


def launch(
    kernel: str, numbers: tuple[int, ...], reads: list[Any], results: list[tuple[Any, Any]],
    make: Made, over: Any = None,
) -> list[Traced]:  # fmt: skip
    """What a kernel makes of whole arrays.

    kernel   its name, without the type's
    numbers  what its call begins with
    results  (shape, type) of each
    make     a function of the arrays that are read, which returns those that it makes
    over     the number of an array among `reads` that the kernel uses up: what it leaves there is
             one more result
    """
    trace, values = current(), [_lifted(x) for x in reads]
    kind = SHORT[results[0][1]]
    if over is not None:
        private = trace.add("copy", (values[over],), {}, same(values[over]))
        values[over] = private
        results = [*results, (private.shape, private.dtype)]
    datas = [
        Later(shape, dtype, lambda *arrays, i=i: make(*arrays)[i], *values)
        for i, (shape, dtype) in enumerate(results)
    ]
    params: dict[str, Any] = {"kernel": f"{kernel}_{kind}", "numbers": numbers, "over": over}
    names = (
        passes.LOOPS[kernel][2] if kernel in passes.LOOPS else passes.PASSAGES[kernel][1].split()
    )
    first = trace.add("launch", tuple(values), params, datas[0], name=names[0])
    others = [
        trace.add("launched", (first,), {"index": i}, data, name=name)
        for i, (data, name) in enumerate(zip(datas[1:], [*names[1:], "gates"], strict=False), 1)
    ]
    params["others"] = others
    return [Traced(value) for value in (first, *others)]


def _lifted(x: Any) -> Value:
    """The value of an array that lies row-major; of one of NumPy's, a table of the kernel's."""
    if isinstance(x, Traced):
        return x.value if is_row_major(x.value) else copied(x).value
    table = current().lift(x)
    table.params.setdefault("called", "table")
    return table


def _called(x: Any, name: str) -> Any:
    """A table, by its name for readers."""
    current().lift(x).params["called"] = name
    return x


def run(
    write: Any, char: str, count: int, grain: int, plan: Any, reads: tuple[Any, ...],
    *results: tuple[Any, Any],
) -> list[Traced]:  # fmt: skip
    """What `micro.run` does, in its turn: the arrays that loops will make."""

    def make(table: Any, *arrays: Any) -> Any:
        return micro.run(write, char, count, grain, table, arrays, *results)

    typed = [(shape, np.dtype(dtype)) for shape, dtype in results]
    return launch(_NAMES[write], (count, grain), [_called(plan, "plan"), *reads], typed, make)


# Recurrent layers ---------------------------------------------------------------------------------


def passage(
    kind: str, z: Traced, biases: tuple[Any, ...], state: tuple[Any, ...], w_hh: Any,
    sizes: tuple[int, ...], reverse: bool, relu: bool = False,
) -> tuple[Traced, Callable[[Any], Any]]:  # fmt: skip
    """What `passage_kernels.run` does, in its turn; the way back returns what it would."""
    rows, batch, hidden, wide, dtype = len(z), sizes[0], w_hh.shape[1], z.shape[1], z.dtype
    numbers = (rows, batch, hidden, len(sizes), int(relu), int(reverse),
               *passage_kernels.parts(batch, len(sizes) * w_hh.size))  # fmt: skip
    steps = [_called(x, name) for x, name in zip(
        passage_kernels.steps_of(sizes), ("begin", "sizes"), strict=True)]  # fmt: skip
    none = np.zeros(wide, dtype)
    bias = np.stack([none if b is None else b for b in biases]) if any(
        b is not None for b in biases
    ) else np.zeros((len(biases), wide), dtype)  # fmt: skip
    each = (rows, hidden), dtype
    results = [((rows * hidden + len(state) * batch * hidden,), dtype), each]
    results += [each] * {"lstm": 2, "gru": 1, "rnn": 0}[kind] + [((batch, wide), dtype)]
    reads = [z, copied(w_hh.T), bias, *steps, *state]

    def forward(z: Any, w: Any, bias: Any, _begin: Any, _sizes: Any, *state: Any):  # type: ignore[no-untyped-def]
        z = z.copy()
        pair = tuple(bias) if len(bias) == 2 else (bias[0], None)
        w = np.ascontiguousarray(w.T)
        return z, passage_kernels.run(kind, z, pair, state, w, sizes, reverse, relu)

    def values(*arrays: Any) -> Any:
        z, (y, back) = forward(*arrays)
        before = back(np.zeros_like(y))[2]
        return [y, before, *[before] * (len(results) - 2), z]

    y, h_before, *kept, _, gates = launch(kind, numbers, reads, results, values, over=0)
    c_before, kept = (kept[:1], kept[1:]) if kind == "lstm" else ([], kept)

    def back(g: Any) -> Any:
        makes = [((rows, wide), dtype)] * (2 if kind == "gru" else 1)
        makes += [((batch, hidden), dtype)] * len(state)
        reads_back = [gates, w_hh, *steps, h_before, *c_before, *kept, g]

        def values_back(*arrays: Any) -> Any:
            given = [x.value.data if isinstance(x, Traced) else x for x in reads]
            dz, du, _, ends = forward(*given)[1][1](arrays[-1])
            return [dz, *([du] if kind == "gru" else []), *ends]

        dz, *rest = launch(f"{kind}_back", numbers, reads_back, makes, values_back)
        du = rest.pop(0) if kind == "gru" else dz
        return dz, du, h_before, rest

    return y, back


def take_over(values: list[Value], results: list[Value]) -> None:
    """Have kernels write over what they use up, where nobody else will read it.

    values: all of a trace.  results: those that must be there in the end.
    """
    live, waiting = set(), [v.root for v in results]
    while waiting:
        value = waiting.pop()
        if value.number not in live:
            live.add(value.number)
            waiting += roots(value)
    readers: dict[int, set[int]] = {}
    for value in values:
        if value.number in live:
            for root in roots(value):
                readers.setdefault(root.number, set()).add(value.number)
    final = {v.root.number for v in results}
    for value in values:
        over = value.params.get("over") if value.op == "launch" else None
        if over is None or value.number not in live:
            continue
        private = value.args[over]
        (source,) = private.args
        root = source.root
        if (
            readers[root.number] == {private.number}
            and root.number not in final
            and root.op not in _NOT_OURS
            and source.layout.is_whole(source.shape)
        ):
            value.args = (*value.args[:over], root, *value.args[over + 1 :])


_NOT_OURS = {"input", "draw", "call", "result"}  # memory that somebody else may read
