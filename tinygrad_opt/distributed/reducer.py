"""What DistributedDataParallel does when a backward pass is done: one message with all gradients.

Once an optimizer has laid its parameters end to end, their gradients are one vector in memory
(`optim/flat.py`), and are sent and averaged where they lie. Before, and where there are several
groups, they are copied into one vector and back.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from ..arrays.namespace import is_writable
from ..arrays.xp import array_namespace
from ..core.backward import watch
from ..core.tensor import wrap_plain
from ..core.versions import note_write
from .groups import ProcessGroup
from .objects import messenger

__all__ = ["Reducer", "mean_of_gradients", "reducers", "vectors_of"]


class Reducers:
    """All that wait for backward passes, in the order in which they were made."""

    def __init__(self) -> None:
        self._all: list[weakref.ref[Reducer]] = []

    def add(self, reducer: Reducer) -> None:
        """Tell this one, too, of backward passes."""
        self._all = [ref for ref in self._all if ref() is not None]
        self._all.append(weakref.ref(reducer))
        watch.done = self

    def cover(self, params: list[Any]) -> bool:
        """Whether backward averages the gradients of all of these."""
        found = [r for r in (ref() for ref in self._all) if r is not None]
        covered = {id(p) for reducer in found for p in reducer.params}
        return bool(covered) and all(id(p) in covered for p in params)

    def __call__(self, arrived: Any) -> None:
        for ref in self._all:
            reducer = ref()
            if reducer is not None and reducer.armed and reducer.has_some(arrived):
                reducer.add(arrived)


reducers = Reducers()


class Reducer:
    """The parameters of one module, whose gradients are averaged over a group.

    armed    whether the next backward pass is to send
    names    of the parameters, for errors
    partial  whether parameters may be left out: then it is first asked which ranks used which
    divisor  by which sums are divided; the number of ranks
    """

    def __init__(self, named: list[tuple[str, Any]], group: ProcessGroup, partial: bool) -> None:
        self.names = [name for name, _ in named]
        self.params = [p for _, p in named]
        self.group, self.partial = group, partial
        self.armed = False
        self.divisor = group.size()
        self._arrived: set[int] = set()
        self._staging: dict[Any, Any] = {}
        reducers.add(self)

    def has_some(self, leaves: Any) -> bool:
        """Whether one of the parameters is among them."""
        return any(p in leaves for p in self.params)

    def add(self, arrived: Any) -> None:
        """The gradients of these leaves are there; send, if those of all parameters are."""
        params = self.params
        if self.partial:
            self.send(self._used_somewhere([p in arrived for p in params]))
            return
        if not self._arrived and len(arrived) >= len(params) and all(p in arrived for p in params):
            self.send(params)
            return
        self._arrived |= {i for i, p in enumerate(params) if p in arrived}
        if len(self._arrived) == len(params):
            self._arrived.clear()
            self.send(params)

    def check_finished(self) -> None:
        """Raises RuntimeError if the last backward pass left parameters out."""
        if not self._arrived:
            return
        left = [name for i, name in enumerate(self.names) if i not in self._arrived]
        self._arrived.clear()
        more = f" and {len(left) - 5} more" if len(left) > 5 else ""
        raise RuntimeError(
            "DistributedDataParallel: Expected to have finished reduction in the prior iteration "
            f"before starting a new one: no gradient came for {', '.join(left[:5])}{more}, so "
            "nothing was averaged. If the loss does not use them, pass "
            "find_unused_parameters=True to DistributedDataParallel"
        )

    def _used_somewhere(self, used: list[bool]) -> list[Any]:
        """The parameters that any rank has used; a rank that has not gives zeros."""
        marks = np.array(used, np.uint8)
        messenger(self.group).all_reduce(marks, "max", "unused parameters")
        chosen = [p for p, mark in zip(self.params, marks, strict=True) if mark]
        for p in chosen:
            if p._grad is None:
                p._grad = wrap_plain(array_namespace(p.array).zeros(p.array.shape, p.array.dtype))
        return chosen

    def send(self, params: list[Any]) -> None:
        """Average the gradients of these parameters, in place."""
        for p in params:
            if p._grad.is_sparse:
                name = next(n for n, q in zip(self.names, self.params, strict=True) if q is p)
                raise NotImplementedError(
                    f"DistributedDataParallel: the gradient of {name} is row-sparse; processes "
                    "exchange dense ones: make the layer with sparse=False"
                )
        mean_of_gradients(params, self.group, self.divisor, self._staging)


def mean_of_gradients(
    params: list[Any], group: ProcessGroup, divisor: int, staging: dict[Any, Any]
) -> None:
    """Every gradient becomes its sum over the ranks, divided: a message for each dtype."""
    for dtype, pieces in vectors_of(params).items():
        if len(pieces) == 1 and pieces[0].flags.c_contiguous:
            vector = pieces[0].reshape(-1)
        else:
            space = array_namespace(pieces[0])
            size = sum(piece.size for piece in pieces)
            vector = staging.get(dtype)
            if vector is None or vector.size != size:
                vector = staging[dtype] = space.empty(size, dtype)
            space.concatenate([piece.reshape(-1) for piece in pieces], out=vector)
        if divisor == group.size():
            group.all_reduce(vector, "avg", "gradients")
        else:
            group.all_reduce(vector, "sum", "gradients")
            vector /= divisor
        start = 0
        for piece in pieces:
            if len(pieces) > 1 or not piece.flags.c_contiguous:
                piece[...] = vector[start : start + piece.size].reshape(piece.shape)
                start += piece.size
            note_write(piece)


def vectors_of(params: list[Any]) -> dict[Any, list[Any]]:
    """The arrays of the gradients by dtype, for reading and writing; neighbours as one."""
    found: dict[Any, list[Any]] = {}
    buffer: Any = None
    start = stop = 0
    for p in params:
        g, home = p._grad, p._home
        if home is not None and g is home.tensor and g.array is home.view:
            if home.buffer is buffer and home.start == stop:
                stop = home.stop
                found[buffer.dtype][-1] = buffer[start:stop]
                continue
            buffer, start, stop = home.buffer, home.start, home.stop
            array = buffer[start:stop]
        else:
            buffer = None
            if not is_writable(g.array):
                g.array = g.array.copy()
            array = g.array
        found.setdefault(array.dtype, []).append(array)
    return found
