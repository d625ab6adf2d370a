"""Several runs of one model as one: what is the same in all, and what follows the sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import promote
from .errors import OnnxExporterError
from .graph import Graph, Value
from .sizes import Size
from .trace import Event, Fixed, Known, Trace

__all__ = ["Merged", "merged"]


class Varying(tuple[Any, ...]):
    """An array that differs between runs: what it is in each."""

    __slots__ = ()


class Merged:
    """An operation in all runs. Its arguments are attributes: Values, numbers, Sizes, tuples."""

    def __init__(self, events: Sequence[Event], graph: Graph, values: list[Any]) -> None:
        self.name, self.first = events[0].name, events[0].first
        self._graph, self._values = graph, values
        try:
            self._arguments = {
                key: merged([event.arguments[key] for event in events])
                for key in events[0].arguments
            }
        except _Differs as error:
            raise OnnxExporterError(
                f"an argument of {self.name} is {error} with other inputs or other sizes "
                "of the axes in dynamic_axes. Leave the axis out, or compute it with tensors"
            ) from None
        self.results = [list(parts) for parts in zip(*(e.results for e in events), strict=True)]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._arguments:
            raise AttributeError(name)
        return self._value(self._arguments[name])

    def given(self, name: str) -> Any:
        """An argument, or None where there is none of this name."""
        return self._value(self._arguments.get(name))

    def _value(self, x: Any) -> Any:
        if isinstance(x, Known):
            return self._values[x.number]
        if isinstance(x, Fixed):
            return Value(self._graph, x.name, x.array.shape, x.array.dtype, x.array)
        if isinstance(x, Varying):
            return self._graph.varying(x)
        if isinstance(x, slice):
            return slice(*map(self._value, (x.start, x.stop, x.step)))
        if type(x) is tuple:
            return tuple(map(self._value, x))
        return x

    @property
    def needs(self) -> list[int]:
        """The numbers of the values that it takes."""
        return list(_numbers(tuple(self._arguments.values())))

    @property
    def steady(self) -> bool:
        """Whether nothing that it takes or makes differs between runs, Known values aside."""
        return not any(_varies(x) for x in self._arguments.values()) and all(
            all(_same(part, parts[0]) for part in parts) for parts in self.results
        )

    @property
    def dtype(self) -> Any:
        """The type of the first result."""
        return self.results[0][0].dtype

    @property
    def shape(self) -> tuple[Any, ...]:
        """The shape of the first result."""
        return shape_of(self.results[0])

    def common(self, *operands: Any) -> Any:
        """The type in which operands are compared."""
        return promote.result_type(tuple(
            np.empty((1,) * x.ndim, x.dtype) if isinstance(x, Value) else x for x in operands
        ))  # fmt: skip


def shape_of(arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The shape of an array in all runs."""
    if len({a.ndim for a in arrays}) != 1:
        raise OnnxExporterError("a result has another number of axes for other inputs")
    return tuple(merged(lengths) for lengths in zip(*(a.shape for a in arrays), strict=True))


class _Differs(Exception):
    pass


def merged(trees: Sequence[Any]) -> Any:
    """An argument in all runs as one."""
    first = trees[0]
    if any(type(tree) is not type(first) for tree in trees):
        raise _Differs(" or ".join(sorted({type(tree).__name__ for tree in trees})))
    if isinstance(first, Fixed):
        same = all(_same(tree.array, first.array) for tree in trees)
        return first if same else Varying(tree.array for tree in trees)
    if isinstance(first, slice):
        return slice(*(merged([getattr(t, n) for t in trees]) for n in ("start", "stop", "step")))
    if type(first) is tuple:
        if len({len(tree) for tree in trees}) != 1:
            raise _Differs(f"of {' or '.join(str(len(tree)) for tree in trees[:3])} parts")
        return tuple(map(merged, zip(*trees, strict=True)))
    if all(tree == first or tree is first for tree in trees):
        return first
    if type(first) in (int, np.int64) and not isinstance(first, bool):
        return Size(int(tree) for tree in trees)
    raise _Differs(" or ".join(dict.fromkeys(str(tree) for tree in trees)))


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    return a.shape == b.shape and a.dtype == b.dtype and bool(np.array_equal(a, b, _can_be_nan(a)))


def _can_be_nan(a: Any) -> bool:
    return a.dtype.kind in "fc"


def _varies(x: Any) -> bool:
    if isinstance(x, (Varying, Size)):
        return True
    if isinstance(x, slice):
        return _varies((x.start, x.stop, x.step))
    return type(x) is tuple and any(map(_varies, x))


def _numbers(x: Any) -> list[int]:
    if isinstance(x, Known):
        return [x.number]
    if isinstance(x, slice):
        return _numbers((x.start, x.stop, x.step))
    return [n for part in x for n in _numbers(part)] if type(x) is tuple else []


def check_alike(traces: Sequence[Trace]) -> None:
    """Raise OnnxExporterError unless all runs did the same operations."""
    for trace in traces[1:]:
        for one, other in zip(traces[0].events, trace.events, strict=False):
            if (one.name, list(one.arguments)) != (other.name, list(other.arguments)):
                raise OnnxExporterError(
                    f"the model does {one.name} for these inputs and {other.name} for others: it "
                    "goes another way by their values or sizes, and the graph has one way only. "
                    "Leave the axis out of dynamic_axes, or use torch.where"
                )
        if len(traces[0].events) != len(trace.events):
            raise OnnxExporterError(
                f"the model does {len(traces[0].events)} operations for these inputs and "
                f"{len(trace.events)} for others, as a loop over an axis does. Leave that axis out "
                "of dynamic_axes"
            )
