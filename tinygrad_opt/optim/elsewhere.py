"""Runs of a group that is not as one: parameters or gradients that lie elsewhere, rows, guests.

A parameter whose array is not in the flat buffer (because somebody replaced it, or shares its
memory), or whose gradient cannot be, is stepped where it lies, by a kernel call of its own. Of a
row-sparse gradient the rows are gathered, stepped as any others, and put back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..arrays.namespace import is_writable
from ..arrays.rowsparse import RowSparse
from .flat import FlatGroup, Run
from .ownership import gather

__all__ = ["broken_runs"]


def broken_runs(flat: FlatGroup, names: tuple[str, ...], by_rows: bool = False) -> Iterator[Run]:
    """The parameters that have a gradient, as few runs as possible.

    A run ends where a parameter has no gradient, does not lie at home, or has taken another
    number of steps (or has other scalars) than its neighbour, or shares another's state.
    names: letters of the states.  by_rows: of row-sparse gradients only the rows are stepped; else
    they are made dense.
    """
    stops = _ends_of_runs(flat)
    start = 0
    while start < len(flat.params):
        stop = stops[start]
        if stop > start:
            a, b = flat.offsets[start], flat.offsets[stop]
            states = (flat.state(name)[a:b] for name in names)
            yield Run(flat, start, stop, (flat.values[a:b], flat.gradient[a:b], *states))
            start = stop
        else:
            if flat.params[start]._grad is not None:
                yield _alone(flat, start, names, by_rows)
            start += 1


def _ends_of_runs(flat: FlatGroup) -> list[int]:
    """Where the run that begins at each parameter ends; there too, if it is not part of one.

    Gradients that were assigned are copied into the flat gradient before.
    """
    here = _lie_here(flat)
    per_parameter = (flat.steps, *flat.scalars.values())
    numbers = list(zip(*(n.tolist() for n in per_parameter), strict=True))
    stops = list(range(len(here)))
    for i in reversed(range(len(here))):
        if here[i]:
            goes_on = i + 1 < len(here) and here[i + 1] and numbers[i + 1] == numbers[i]
            stops[i] = stops[i + 1] if goes_on else i + 1
    return stops


def _lie_here(flat: FlatGroup) -> list[bool]:
    """For each parameter whether it, its gradient and its state lie in the group's own buffers."""
    slots = [
        slot if p.array is view and i not in flat.guests else None
        for i, (p, view, slot) in enumerate(zip(flat.params, flat.views, flat.slots, strict=True))
    ]
    grads = [p._grad for p in flat.params]
    pairs = zip(slots, grads, strict=True)
    away = [(slot, g) for slot, g in pairs if slot is not None and not slot.holds(g)]
    left = set(gather(away)) if away else set()
    return [slot is not None and slot not in left for slot in slots]


def _alone(flat: FlatGroup, i: int, names: tuple[str, ...], by_rows: bool) -> Run:
    """One parameter where it lies; scattered memory is stepped as a copy and written back."""
    p, xp = flat.params[i], flat.xp
    g: Any = p._grad.array  # the caller has looked
    if type(g) is RowSparse:
        if by_rows:
            return _rows(flat, i, g.coalesce(), names)
        g = g.to_dense()
    array = p.array
    whole = xp.ascontiguousarray(array).reshape(array.shape)
    g = _writable(xp.ascontiguousarray(g, dtype=flat.dtype).reshape(-1))
    host, k = _state_of(flat, i)
    states = (host.state_view(name, k).reshape(-1) for name in names)
    back = () if array.flags.c_contiguous else ((array, ..., whole),)
    return _own(flat, i, Run(host, k, k + 1, (whole.reshape(-1), g, *states), back))


def _rows(flat: FlatGroup, i: int, g: RowSparse, names: tuple[str, ...]) -> Run:
    """The rows of one parameter and of its states that a gradient names, each row once."""
    host, k = _state_of(flat, i)
    arrays = [flat.params[i].array, *(host.state_view(name, k) for name in names)]
    gathered = [flat.xp.ascontiguousarray(array[g.rows]) for array in arrays]
    value, *states = (rows.reshape(-1) for rows in gathered)
    gradient = _writable(flat.xp.ascontiguousarray(g.values, dtype=flat.dtype).reshape(-1))
    back = tuple((array, g.rows, rows) for array, rows in zip(arrays, gathered, strict=True))
    run = Run(host, k, k + 1, (value, gradient, *states), back)
    run.offsets = [0, value.size]
    return _own(flat, i, run)


def _state_of(flat: FlatGroup, i: int) -> tuple[FlatGroup, int]:
    """Where the state of parameter i lies."""
    host, k = flat.guests.get(i, (flat, i))
    return host or flat, k


def _own(flat: FlatGroup, i: int, run: Run) -> Run:
    """The run is that of parameter i, wherever its state lies."""
    if i in flat.guests:
        run.params, run.host = [flat.params[i]], _state_of(flat, i)[0]
    return run


def _writable(array: Any) -> Any:
    """The array, or a copy of one that may only be read: a kernel's type is of writable ones."""
    return array if is_writable(array) else array.copy()
