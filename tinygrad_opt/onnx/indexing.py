"""Indexing: `x[...]` with numbers, slices, None and lists of integers, and writing there."""

from __future__ import annotations

from typing import Any

import numpy as np

from .graph import END, Graph, Value
from .operations import row
from .sizes import Size

__all__: list[str] = []


@row("getitem")
def _getitem(g: Graph, e: Any) -> str:
    index = e.index if isinstance(e.index, tuple) else (e.index,)
    lists = [i for i, item in enumerate(index) if _is_list(item)]
    if not lists:
        return _basic(g, e.x, index)
    if any(item.dtype == bool for item in index if _is_list(item)):
        raise NotImplementedError("x[mask] (its size depends on the values; use torch.where)")
    axis = _axis_of(index, lists[0], e.x.ndim)
    if len(lists) == 1 and all(
        item in (slice(None), Ellipsis) for item in index if not _is_list(item)
    ):
        return g("Gather", e.x, index[lists[0]], axis=axis)
    if lists == list(range(len(lists))) and all(
        item == slice(None) for item in index[len(lists) :]
    ):
        whole = max((index[i] for i in lists), key=lambda v: v.ndim).shape
        shape = g.ints([*whole, 1])
        places = [
            g("Expand", g("Unsqueeze", g.cast(index[i], np.int64), g.ints([-1])), shape)
            for i in lists
        ]
        return g("GatherND", e.x, g("Concat", *places, axis=-1))
    raise NotImplementedError("x[...] with lists behind or between slices")


def _is_list(item: Any) -> bool:
    return isinstance(item, Value)


def _axis_of(index: tuple[Any, ...], at: int, ndim: int) -> int:
    """The axis of x that index[at] is about."""
    before = index[:at]
    if Ellipsis in before:
        return ndim - len([item for item in index[at:] if item is not None])
    return len([item for item in before if item is not None])


def _basic(g: Graph, x: Value, index: tuple[Any, ...]) -> str:
    used = len([i for i in index if i is not None and i is not Ellipsis])
    if Ellipsis not in index:
        index = (*index, Ellipsis)
    axes: list[int] = []
    starts: list[Any] = []
    stops: list[Any] = []
    steps: list[int] = []
    gone: list[int] = []
    new: list[int] = []
    axis = place = 0
    for item in index:
        if item is Ellipsis:
            axis += x.ndim - used
            place += x.ndim - used
        elif item is None:
            new.append(place)
            place += 1
        elif isinstance(item, slice):
            if item != slice(None):
                axes.append(axis)
                starts.append(0 if item.start is None else item.start)
                stops.append(END if item.stop is None else item.stop)
                steps.append(1 if item.step is None else item.step)
            axis, place = axis + 1, place + 1
        else:
            axes.append(axis)
            starts.append(item)
            stops.append(_after(item))
            steps.append(1)
            gone.append(axis)
            axis += 1
    y: Any = g.sliced(x, axes, starts, stops, steps) if axes else x
    y = g("Squeeze", y, g.ints(gone)) if gone else y
    y = g("Unsqueeze", y, g.ints(new)) if new else y
    return g("Identity", y) if y is x else y


def _after(item: Any) -> Any:
    """The end of the slice of one element at `item`."""
    if isinstance(item, Size):
        return Size(END if n == -1 else n + 1 for n in item)
    return END if item == -1 else item + 1


@row("put")
def _put(g: Graph, e: Any) -> str:
    """x with values at numbers and slices, or where a mask of x's shape is."""
    values = g.operand(e.given("values"), e.dtype)
    index = e.index if isinstance(e.index, tuple) else (e.index,)
    if len(index) == 1 and _is_list(index[0]) and index[0].dtype == bool:
        number = not isinstance(e.given("values"), Value) or e.given("values").shape == ()
        if index[0].ndim == e.x.ndim and number:
            return g("Where", index[0], values, e.x)
        raise NotImplementedError("x[mask] = tensor (use torch.where)")
    if any(map(_is_list, index)) or None in index:
        raise NotImplementedError("x[list] = value (use scatter)")
    if Ellipsis in index:
        at = index.index(Ellipsis)
        whole = (slice(None),) * (e.x.ndim - len(index) + 1)
        index = (*index[:at], *whole, *index[at + 1 :])
    return _put_at(g, e.x.name, list(e.x.shape), values, index, 0)


def _put_at(
    g: Graph, x: str, shape: list[Any], values: str, index: tuple[Any, ...], axis: int
) -> str:
    """The part behind `axis` overwritten: what stands before, the new part, what stands after."""
    while axis < len(index) and index[axis] == slice(None):
        axis += 1
    if axis == len(index):
        kept = [n for i, n in enumerate(shape) if i >= len(index) or isinstance(index[i], slice)]
        return g.reshaped(g("Expand", values, g.ints(kept)), shape)
    item = index[axis]
    if isinstance(item, slice):
        if item.step not in (None, 1):
            raise NotImplementedError("x[start:stop:step] = value")
        start, stop = item.start or 0, END if item.stop is None else item.stop
    else:
        start, stop = item, _after(item)
    part = g.sliced(x, [axis], [start], [stop])
    inner = [*shape[:axis], _span(start, stop, shape[axis]), *shape[axis + 1 :]]
    made = _put_at(g, part, inner, values, index, axis + 1)
    before = g.sliced(x, [axis], [0], [start])
    after = g.sliced(x, [axis], [stop], [END])
    return g("Concat", before, made, after, axis=axis)


def _span(start: Any, stop: Any, length: Any) -> Any:
    """How many elements start:stop has of `length`, each a number or a Size."""
    runs = max((len(v) for v in (start, stop, length) if isinstance(v, Size)), default=1)
    spans = [
        len(range(*slice(a, b).indices(n)))
        for a, b, n in zip(*(_each(v, runs) for v in (start, stop, length)), strict=True)
    ]
    return Size(spans) if len(set(spans)) > 1 else spans[0]


def _each(value: Any, runs: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, Size) else (value,) * runs
