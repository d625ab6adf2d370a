"""Two lists of tensors as few pairs of long vectors: what is done to a pair, done to all at once.

The parameters of a model lie end to end in its optimizer's buffers (`flat.py`). Those of a copy are
laid in the same order here, where nobody looks at their memory.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from ..arrays.xp import array_namespace, same_library
from ..core.tensor import Tensor
from .ownership import held_alone

__all__ = ["Pairs"]

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))

_SMALL = 2**18  # elements that are copied together: no more than the cache holds


class Pairs:
    """Where the memory of two lists of tensors lies, pair by pair of one shape.

    rest: the numbers of those pairs that are not vectors of one float type on one device.

    Found out once, and again when a tensor has other memory. None of it is held meanwhile, so that
    an optimizer may still move it.
    """

    def __init__(self) -> None:
        self._seen: list[weakref.ref[Any]] = []
        self._pieces: list[_Piece] = []
        self.rest: list[int] = []

    def __reduce__(self) -> Any:  # copies and pickles find it out anew
        return Pairs, ()

    def are(self, mine: list[Tensor], theirs: list[Tensor]) -> bool:
        """Whether these have the memory of the last `look`, the very same."""
        given = [*mine, *theirs]
        return len(given) == len(self._seen) and all(
            seen() is tensor.array for seen, tensor in zip(self._seen, given, strict=True)
        )

    def look(self, mine: list[Tensor], theirs: list[Tensor]) -> None:
        """Find out how these lie; `mine` may be moved."""
        fit = [_fit(x.array, y.array) for x, y in zip(mine, theirs, strict=True)]
        self.rest = [i for i, fits in enumerate(fit) if not fits]
        order = [i for i, fits in enumerate(fit) if fits]
        order.sort(key=lambda i: (theirs[i].array.dtype.char, _address(theirs[i].array)))
        if all(held_alone(mine)):
            _lay_end_to_end([mine[i] for i in order])
        self._seen = [weakref.ref(x.array) for x in (*mine, *theirs)]
        self._pieces = []
        piece: Any = None
        for i in order:
            x, y = mine[i].array, theirs[i].array
            if piece is None or not piece.takes(x, y):
                piece = _Piece()
                self._pieces.append(piece)
            piece.add(i, x, y)
        for piece in self._pieces:
            piece.let_go()

    def vectors(self, mine: list[Tensor], theirs: list[Tensor]) -> list[tuple[Any, Any]]:
        """The memory of the last `look` as vectors, all but the `rest`.

        The second of a pair is for reading: small arrays that lie apart are copied together.
        """
        return [piece.vectors(mine, theirs) for piece in self._pieces]


class _Piece:
    """Pairs that lie end to end among `mine`, and among `theirs` too unless they are small."""

    __slots__ = ("_ends", "_size", "_starts", "_together", "numbers")

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self._starts: tuple[int, int] = (-1, -1)
        self._ends: list[tuple[Any, int]] = []  # of both: the vector, and where the next begins
        self._size, self._together = 0, True

    def takes(self, x: Any, y: Any) -> bool:
        """Whether the next pair may be part of this one; then it is `add`ed."""
        follows = [
            x.base is base and _start(x) == end >= 0
            for x, (base, end) in zip((x, y), self._ends, strict=True)
        ]
        if self._together and all(follows):
            return True
        if not follows[0] or self._size + x.size > _SMALL:
            return False
        self._together = False
        return True

    def add(self, i: int, x: Any, y: Any) -> None:
        """One more pair, number i."""
        starts = _start(x), _start(y)
        if not self.numbers:
            self._starts = starts
        self.numbers.append(i)
        self._ends = [
            (z.base, start + z.size if start >= 0 else -1)
            for z, start in zip((x, y), starts, strict=True)
        ]
        self._size += x.size

    def let_go(self) -> None:
        """Hold no memory."""
        self._ends = []

    def vectors(self, mine: list[Tensor], theirs: list[Tensor]) -> tuple[Any, Any]:
        """The vectors of `mine` and of `theirs`."""
        first = self.numbers[0]
        x, y = mine[first].array, theirs[first].array
        if len(self.numbers) == 1:
            return x.reshape(-1), y.reshape(-1)
        a, b = self._starts
        if not self._together:
            arrays = [theirs[i].array for i in self.numbers]
            together = array_namespace(y).concatenate(arrays, None)
            return x.base[a : a + self._size], together
        return x.base[a : a + self._size], y.base[b : b + self._size]


def _fit(x: Any, y: Any) -> bool:
    return bool(
        x.dtype in _FLOATS
        and x.dtype == y.dtype
        and same_library(x, y)
        and x.flags.c_contiguous
        and y.flags.c_contiguous
    )


def _lay_end_to_end(params: list[Tensor]) -> None:
    """Move values into one vector for each dtype, in this order."""
    for dtype in {p.dtype for p in params}:
        same = [p for p in params if p.dtype == dtype]
        vector = array_namespace(same[0].array).empty(sum(p.array.size for p in same), dtype)
        start = 0
        for p in same:
            stop = start + p.array.size
            view = vector[start:stop].reshape(p.array.shape)
            view[...] = p.array
            p.array, start = view, stop


def _start(array: Any) -> int:
    """Where an array begins in the vector that it is a view of; -1 if it is no such view."""
    base = array.base
    if type(base) is not type(array) or base.ndim != 1 or base.dtype != array.dtype:
        return -1
    if not base.flags.c_contiguous:
        return -1
    return (_address(array) - _address(base)) // array.dtype.itemsize


def _address(array: Any) -> int:
    return int(array.ctypes.data if isinstance(array, np.ndarray) else array.data.ptr)
