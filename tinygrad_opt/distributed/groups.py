"""ProcessGroup: collectives made of messages, whose sums are added in the order of the ranks.

Which rank adds what, and in which order, is settled here and not by MPI: the sum of a vector is
((r0 + r1) + r2) + ... in each element, whatever its size, the algorithm and the machine. So the
bits depend on the number of processes alone, and are the same on all of them.

A backend says one thing: how several messages go at once (`swap`). Everything here works on raw
arrays of one axis that lie without gaps; `collectives.py` has the functions on Tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Call", "Parts", "ProcessGroup", "even"]

DIRECT = 2**18  # bytes that a rank may receive at once: below, everybody sends all to everybody
NEIGHBOURS = 16  # ranks up to which that is done without going round

Parts = Sequence[int]  # where the part of each rank begins in a vector; one entry more for the end
Message = tuple[Any, int]  # an array, and the rank that it goes to or comes from

_UFUNCS: dict[str, Any] = {
    "sum": np.add, "avg": np.add, "product": np.multiply, "min": np.minimum, "max": np.maximum,
    "band": np.bitwise_and, "bor": np.bitwise_or, "bxor": np.bitwise_xor,
}  # fmt: skip
_CODES: dict[str, int] = {}


class Call(NamedTuple):
    """A collective call, the same on all ranks.

    tag: of its messages, made of all that must agree: messages of other calls do not match.
    """

    number: int
    name: str
    size: int
    dtype: Any
    tag: int

    def __str__(self) -> str:
        return f"{self.name} of {self.size} {self.dtype}" if self.size else self.name


def even(size: int, parts: int) -> list[int]:
    """Where each of `parts` equal parts begins; the first ones are one longer if need be."""
    each, more = divmod(size, parts)
    return [i * each + min(i, more) for i in range(parts + 1)]


class ProcessGroup:
    """Processes that make collective calls together; by itself that of one process.

    ranks: the members' numbers among all processes of the job.
    """

    backend = "mpi"

    def __init__(self, ranks: Sequence[int] = (0,), rank: int = 0, name: str = "world") -> None:
        self.ranks, self.group_name = list(ranks), name
        self._rank, self._size = rank, len(self.ranks)
        self._calls = 0
        self._memory = np.empty(0, np.uint8)

    def rank(self) -> int:
        """The number of this process in the group."""
        return self._rank

    def size(self) -> int:
        """How many processes the group has."""
        return self._size

    def name(self) -> str:
        """The backend: "mpi" or "nccl"."""
        return self.backend

    def __repr__(self) -> str:
        return f"ProcessGroup({self.backend}, rank {self._rank} of {self._size})"

    # What a backend defines -----------------------------------------------------------------------

    largest_tag = 2**15 - 1

    def swap(self, sends: list[Message], receives: list[Message], call: Call) -> None:
        """Sends and receives messages, all at once; returns when all are done."""
        raise NotImplementedError

    def check(self, array: Any) -> None:
        """Raises TypeError for an array of another device."""
        if type(array) is not np.ndarray:
            raise TypeError(
                f"a process group of the backend 'mpi' sends tensors on the CPU, got one on "
                f"{getattr(array, 'device', type(array))}; use init_process_group('nccl')"
            )

    # Collectives ----------------------------------------------------------------------------------

    def all_reduce(self, x: Any, op: str, name: str = "all_reduce") -> None:
        """`x` becomes the sum (or what `op` says) of all ranks' `x`."""
        self.check(x)
        if self._size == 1 or not x.size:
            return
        call = self._call(name, x, op)
        if x.nbytes * (self._size - 1) <= DIRECT:
            _combine(self._rows(x, call), x, op)
        else:
            bounds = even(x.size, self._size)
            self._reduce_parts(x, bounds, op, call)
            self._spread_parts(x, bounds, call)

    def reduce_parts(self, x: Any, bounds: Parts, op: str) -> None:
        """This rank's part of `x` becomes the sum over all ranks; the rest stays as it is."""
        self.check(x)
        if self._size > 1 and x.size:
            self._reduce_parts(x, bounds, op, self._call("reduce_scatter", x, op))

    def spread_parts(self, x: Any, bounds: Parts, name: str = "all_gather") -> None:
        """Every part of `x` becomes that of the rank it belongs to."""
        self.check(x)
        if self._size > 1 and x.size:
            self._spread_parts(x, bounds, self._call(name, x))

    def all_gather(self, x: Any, out: Any, name: str = "all_gather") -> None:
        """`out`, (ranks, elements), becomes everybody's `x`."""
        self.check(x)
        if self._size == 1 or not x.size:
            out[self._rank] = x
            return
        for row, given in zip(out, self._rows(x, self._call(name, x)), strict=True):
            row[...] = given

    def reduce(self, x: Any, root: int, op: str) -> None:
        """At `root`, `x` becomes the sum of all; elsewhere it is as it was."""
        self.check(x)
        if self._size == 1 or not x.size:
            return
        call = self._call("reduce", x, op, root)
        whole = x if self._rank == root else x.copy()
        bounds = even(x.size, self._size)
        self._reduce_parts(whole, bounds, op, call)
        parts = [(whole[a:b], i) for i, (a, b) in enumerate(pairwise(bounds))]
        if self._rank == root:
            self.swap([], [m for m in parts if m[1] != root and m[0].size], call)
        elif parts[self._rank][0].size:
            self.swap([(parts[self._rank][0], root)], [], call)

    def broadcast(self, x: Any, root: int, name: str = "broadcast") -> None:
        """`x` becomes that of `root`; goes down a tree of ranks."""
        self.check(x)
        if self._size == 1 or not x.size:
            return
        call, n = self._call(name, x, "", root), self._size
        place, step = (self._rank - root) % n, 1
        while step < n:
            if place & step:
                self.swap([], [(x, (self._rank - step) % n)], call)
                break
            step *= 2
        step //= 2
        below = []
        while step:
            if place + step < n and not place & (2 * step - 1):
                below.append((x, (self._rank + step) % n))
            step //= 2
        if below:
            self.swap(below, [], call)

    def gather(self, x: Any, out: Any, root: int) -> None:
        """At `root`, `out` (ranks, elements) becomes everybody's `x`."""
        self.check(x)
        if self._rank == root:
            out[root] = x
        if self._size == 1 or not x.size:
            return
        call = self._call("gather", x, "", root)
        if self._rank == root:
            self.swap([], [(out[i], i) for i in self._others()], call)
        else:
            self.swap([(x, root)], [], call)

    def scatter(self, x: Any, rows: Any, root: int) -> None:
        """`x` becomes row number `rank` of the `rows` that root has."""
        self.check(x)
        if self._rank == root:
            x[...] = rows[root]
        if self._size == 1 or not x.size:
            return
        call = self._call("scatter", x, "", root)
        if self._rank == root:
            self.swap([(rows[i], i) for i in self._others()], [], call)
        else:
            self.swap([], [(x, root)], call)

    def barrier(self, name: str = "barrier") -> None:
        """Returns when all have called it."""
        nothing, got = np.zeros(1, np.uint8), np.zeros(1, np.uint8)
        call = self._call(name, nothing[:0])
        step = 1
        while step < self._size:
            there, back = (self._rank + step) % self._size, (self._rank - step) % self._size
            self.swap([(nothing, there)], [(got, back)], call)
            step *= 2

    def all_gather_bytes(self, data: bytes, name: str) -> list[bytes]:
        """Everybody's `data`, of any lengths."""
        lengths = np.empty((self._size, 1), np.int64)
        self.all_gather(np.array([len(data)], np.int64), lengths, name)
        bounds = [0, *np.cumsum(lengths).tolist()]
        whole = np.empty(bounds[-1], np.uint8)
        whole[bounds[self._rank] : bounds[self._rank + 1]] = np.frombuffer(data, np.uint8)
        self.spread_parts(whole, bounds, name)
        return [whole[a:b].tobytes() for a, b in pairwise(bounds)]

    def gather_bytes(self, data: bytes, root: int, name: str) -> list[bytes]:
        """At `root` everybody's `data`, of any lengths; elsewhere an empty list."""
        lengths = np.empty((self._size, 1), np.int64)
        self.all_gather(np.array([len(data)], np.int64), lengths, name)
        call = self._call(name, lengths[:, 0], "", root)
        if self._rank != root:
            if data:
                self.swap([(np.frombuffer(data, np.uint8), root)], [], call)
            return []
        parts = [np.empty(int(length), np.uint8) for length in lengths[:, 0]]
        parts[root] = np.frombuffer(data, np.uint8)
        self.swap([], [(parts[i], i) for i in self._others() if parts[i].size], call)
        return [part.tobytes() for part in parts]

    def broadcast_bytes(self, data: bytes, root: int, name: str) -> bytes:
        """The `data` of `root`."""
        length = np.array([len(data)], np.int64)
        self.broadcast(length, root, name)
        own = self._rank == root
        buffer = np.frombuffer(data, np.uint8) if own else np.empty(int(length[0]), np.uint8)
        self.broadcast(buffer, root, name)
        return buffer.tobytes()

    # What they are made of ------------------------------------------------------------------------

    def _others(self) -> list[int]:
        """The other ranks, the next first: so that not all begin with the same."""
        n = self._size
        return [(self._rank + i) % n for i in range(1, n)]

    def _call(self, name: str, x: Any, op: str = "", root: int = 0) -> Call:
        self._calls += 1
        code = _CODES.get(name + op)
        if code is None:
            code = _CODES[name + op] = sum(i * b for i, b in enumerate((name + op).encode(), 3))
        tag = self._calls * 1000003 ^ x.nbytes * 8191 ^ code * 131 ^ ord(x.dtype.char) ^ root << 9
        text = f"{name} ({op})" if op and op != "sum" else name
        return Call(self._calls, text, x.size, x.dtype, tag % self.largest_tag)

    def _scratch(self, count: int, dtype: Any) -> Any:
        """Memory that is kept from call to call."""
        size = count * dtype.itemsize
        if self._memory.size < size:
            self._memory = np.empty(size, np.uint8)
        return self._memory[:size].view(dtype)

    def _rows(self, x: Any, call: Call) -> list[Any]:
        """Everybody's `x`, in the order of the ranks; this rank's own is `x` itself."""
        n, size = self._size, x.size
        if n <= NEIGHBOURS:
            buffer = self._scratch(n * size, x.dtype).reshape(n, size)
            rows: list[Any] = list(buffer)
            rows[self._rank] = x
            others = self._others()
            self.swap([(x, i) for i in others], [(rows[i], i) for i in others], call)
            return rows
        buffer = self._scratch(n * size, x.dtype)  # Bruck et al. 1997: log2(n) rounds
        buffer[:size], have = x, 1
        while have < n:
            more = min(have, n - have)
            self.swap(
                [(buffer[: more * size], (self._rank - have) % n)],
                [(buffer[have * size : (have + more) * size], (self._rank + have) % n)],
                call,
            )
            have += more
        rows = [None] * n
        for i in range(n):
            rows[(self._rank + i) % n] = buffer[i * size : (i + 1) * size]
        rows[self._rank] = x
        return rows

    def _reduce_parts(self, x: Any, bounds: Parts, op: str, call: Call) -> None:
        a, b = bounds[self._rank], bounds[self._rank + 1]
        own, others = x[a:b], self._others()
        rows: list[Any] = list(
            self._scratch(self._size * (b - a), x.dtype).reshape(self._size, b - a)
        )
        rows[self._rank] = own
        sends = [(x[bounds[i] : bounds[i + 1]], i) for i in others if bounds[i] < bounds[i + 1]]
        self.swap(sends, [(rows[i], i) for i in others] if b > a else [], call)
        if b > a:
            _combine(rows, own, op)

    def _spread_parts(self, x: Any, bounds: Parts, call: Call) -> None:
        parts = [x[a:b] for a, b in pairwise(bounds)]
        own, others = parts[self._rank], self._others()
        sends = [(own, i) for i in others] if own.size else []
        self.swap(sends, [(parts[i], i) for i in others if parts[i].size], call)


def _combine(rows: list[Any], out: Any, op: str) -> None:
    """`out`, which is one of the rows, becomes ((row 0 + row 1) + row 2) + ...; then the mean."""
    ufunc = _UFUNCS[op]
    total = rows[0].copy() if rows[0] is out and len(rows) > 2 else rows[0]
    for row in rows[1:-1]:
        ufunc(total, row, out=total)
    ufunc(total, rows[-1], out=out)
    if op == "avg":
        np.divide(out, len(rows), out=out)
