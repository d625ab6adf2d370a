"""The backend "nccl": collectives between GPUs, through CuPy; one process for each GPU.

MPI starts the processes and carries what lies on CPUs (`control`): objects, checks, deaths. A
collective on a GPU is one call of NCCL's on the current stream. Its sums are NCCL's own: for one
number of processes on one kind of machine their order is fixed, but not that of the ranks.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from ..optional import need
from .errors import DistBackendError
from .groups import Parts, ProcessGroup

__all__ = ["NCCLGroup", "over"]

# NCCL's names of types, by NumPy's.
_TYPES = {
    "int8": "NCCL_INT8", "uint8": "NCCL_UINT8", "int32": "NCCL_INT32", "uint32": "NCCL_UINT32",
    "int64": "NCCL_INT64", "uint64": "NCCL_UINT64", "float16": "NCCL_FLOAT16",
    "float32": "NCCL_FLOAT32", "float64": "NCCL_FLOAT64",
}  # fmt: skip
_OPS = {
    "sum": "NCCL_SUM", "avg": "NCCL_SUM", "product": "NCCL_PROD", "max": "NCCL_MAX",
    "min": "NCCL_MIN",
}  # fmt: skip


class NCCLGroup(ProcessGroup):
    """A process group whose tensors lie on GPUs.

    control  the group of the same processes on the CPU, for objects and checks
    """

    backend = "nccl"

    def __init__(self, control: ProcessGroup) -> None:
        super().__init__(control.ranks, control.rank(), control.group_name)
        self.control = control
        self._cupy = need("cupy", "cuda", "init_process_group('nccl')")
        self._nccl = need("cupy.cuda.nccl", "cuda", "init_process_group('nccl')")
        own = self._nccl.get_unique_id() if self._rank == 0 else ()
        text = ",".join(map(str, own)).encode()
        key = control.broadcast_bytes(text, 0, "init_process_group") if self._size > 1 else text
        unique = tuple(map(int, key.decode().split(",")))
        self._comm = self._nccl.NcclCommunicator(self._size, unique, self._rank)

    def check(self, array: Any) -> None:
        """Raises TypeError for an array that is not on a GPU, or of a type NCCL has not."""
        if not isinstance(array, self._cupy.ndarray):
            raise TypeError(
                "a process group of the backend 'nccl' sends tensors on GPUs, got one on the CPU; "
                "move it with .to('cuda'), or use init_process_group('mpi')"
            )
        if array.dtype.name not in _TYPES:
            raise TypeError(f"NCCL does not send {array.dtype}; it has {', '.join(_TYPES)}")

    # Collectives ----------------------------------------------------------------------------------

    def all_reduce(self, x: Any, op: str, name: str = "all_reduce") -> None:
        """`x` becomes the sum (or what `op` says) of all ranks' `x`."""
        self.check(x)
        if x.size:
            place = x.data.ptr
            self._do("allReduce", place, place, x.size, self._type(x), self._op(op))
            self._mean(x, op)

    def reduce_parts(self, x: Any, bounds: Parts, op: str) -> None:
        """This rank's part of `x` becomes the sum over all ranks; the rest stays as it is."""
        self.check(x)
        mine = x[bounds[self._rank] : bounds[self._rank + 1]]
        with _Together(self._nccl):  # parts need not be of one size: a reduction for each
            for root, part in enumerate(self._parts(x, bounds)):
                if part.size:
                    into = part.data.ptr
                    self._do("reduce", into, into, part.size, self._type(x), self._op(op), root)
        self._mean(mine, op)

    def spread_parts(self, x: Any, bounds: Parts, name: str = "all_gather") -> None:
        """Every part of `x` becomes that of the rank it belongs to."""
        self.check(x)
        with _Together(self._nccl):
            for root, part in enumerate(self._parts(x, bounds)):
                if part.size:
                    self._do("bcast", part.data.ptr, part.size, self._type(x), root)

    def all_gather(self, x: Any, out: Any, name: str = "all_gather") -> None:
        """`out`, (ranks, elements), becomes everybody's `x`."""
        self.check(x)
        if x.size:
            self._do("allGather", x.data.ptr, out.data.ptr, x.size, self._type(x))

    def reduce(self, x: Any, root: int, op: str) -> None:
        """At `root`, `x` becomes the sum of all; elsewhere it is as it was."""
        self.check(x)
        if x.size:
            into = x if self._rank == root else x.copy()
            place = into.data.ptr
            self._do("reduce", x.data.ptr, place, x.size, self._type(x), self._op(op), root)
            if self._rank == root:
                self._mean(x, op)

    def broadcast(self, x: Any, root: int, name: str = "broadcast") -> None:
        """`x` becomes that of `root`."""
        self.check(x)
        if x.size:
            self._do("bcast", x.data.ptr, x.size, self._type(x), root)

    def gather(self, x: Any, out: Any, root: int) -> None:
        """At `root`, `out` (ranks, elements) becomes everybody's `x`."""
        self.check(x)
        with _Together(self._nccl):
            if self._rank == root:
                for i in self._others():
                    self._do("recv", out[i].data.ptr, x.size, self._type(x), i)
            else:
                self._do("send", x.data.ptr, x.size, self._type(x), root)
        if self._rank == root:
            out[root] = x

    def scatter(self, x: Any, rows: Any, root: int) -> None:
        """`x` becomes row number `rank` of the `rows` that root has."""
        self.check(x)
        with _Together(self._nccl):
            if self._rank == root:
                for i in self._others():
                    self._do("send", rows[i].data.ptr, x.size, self._type(x), i)
            else:
                self._do("recv", x.data.ptr, x.size, self._type(x), root)
        if self._rank == root:
            x[...] = rows[root]

    def barrier(self, name: str = "barrier") -> None:
        """Returns when all have called it, and their GPUs have done what was asked before."""
        self._cupy.cuda.get_current_stream().synchronize()
        self.control.barrier(name)

    def send(self, array: Any, to: int, tag: int) -> None:
        """Sends an array; messages between two ranks arrive in order, and have no tags."""
        self.check(array)
        self._do("send", array.data.ptr, array.size, self._type(array), to)

    def recv(self, array: Any, source: int | None, tag: int) -> int:
        """Receives into an array; from whom has to be known. Returns that rank."""
        self.check(array)
        if source is None:
            raise ValueError("recv: NCCL receives from one rank; say which, with src")
        self._do("recv", array.data.ptr, array.size, self._type(array), source)
        return source

    def subgroup(self, ranks: Sequence[int], name: str) -> NCCLGroup | None:
        """A group of some of the ranks; None on the others. All ranks of this one call it."""
        control = self.control.subgroup(ranks, name)  # type: ignore[attr-defined]
        return None if control is None else NCCLGroup(control)

    # NCCL -----------------------------------------------------------------------------------------

    def _do(self, name: str, *arguments: Any) -> None:
        stream = self._cupy.cuda.get_current_stream().ptr
        try:
            getattr(self._comm, name)(*arguments, stream)
        except self._nccl.NcclError as error:
            raise DistBackendError(f"NCCL, rank {self._rank}, {name}: {error}") from error

    def _type(self, x: Any) -> int:
        return int(getattr(self._nccl, _TYPES[x.dtype.name]))

    def _op(self, op: str) -> int:
        if op not in _OPS:
            raise ValueError(f"NCCL has no reduction {op!r}; it has {', '.join(_OPS)}")
        return int(getattr(self._nccl, _OPS[op]))

    def _mean(self, x: Any, op: str) -> None:
        if op == "avg":
            x /= self._size

    def _parts(self, x: Any, bounds: Parts) -> list[Any]:
        return [x[bounds[i] : bounds[i + 1]] for i in range(self._size)]


class _Together:
    """Calls that NCCL takes as one."""

    def __init__(self, nccl: Any) -> None:
        self._nccl = nccl

    def __enter__(self) -> None:
        self._nccl.groupStart()

    def __exit__(self, *exc: object) -> None:
        self._nccl.groupEnd()


def over(control: ProcessGroup) -> NCCLGroup:
    """The group of these processes on GPUs: each takes the GPU of its number on its machine.

    A program that sees one GPU (CUDA_VISIBLE_DEVICES), or has chosen one (`cuda.set_device`), keeps
    it. Raises RuntimeError where two ranks would use the same: NCCL would wait for ever.
    """
    cupy = need("cupy", "cuda", "init_process_group('nccl')")
    count = cupy.cuda.runtime.getDeviceCount()
    if count > 1 and cupy.cuda.Device().id == 0:
        cupy.cuda.Device(getattr(control, "local_rank", 0) % count).use()
    place = f"{socket.gethostname()}, GPU {cupy.cuda.Device().pci_bus_id}"
    places = control.all_gather_bytes(place.encode(), "init_process_group")
    for rank, other in enumerate(places):
        if other in places[:rank]:
            raise RuntimeError(
                f"init_process_group('nccl'): ranks {places.index(other)} and {rank} would use the "
                f"same GPU ({other.decode()}); start one process for each GPU"
            )
    return NCCLGroup(control)
