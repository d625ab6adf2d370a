"""A stand-in for `cupy.cuda.nccl` between threads, which refuses what CuPy refuses.

CuPy's methods are typed: addresses, counts, types and operations are integers, given by position.
Sums are added in the order of ranks, as NCCL promises nothing about.
"""

import ctypes
import inspect
import threading
from types import ModuleType, SimpleNamespace

import numpy as np

TYPES = {
    "NCCL_INT8": (0, "i1"), "NCCL_UINT8": (1, "u1"), "NCCL_INT32": (2, "i4"),
    "NCCL_UINT32": (3, "u4"), "NCCL_INT64": (4, "i8"), "NCCL_UINT64": (5, "u8"),
    "NCCL_FLOAT16": (6, "f2"), "NCCL_FLOAT32": (7, "f4"), "NCCL_FLOAT64": (8, "f8"),
}  # fmt: skip
OPS = {"NCCL_SUM": (0, np.add), "NCCL_PROD": (1, np.multiply), "NCCL_MAX": (2, np.maximum),
       "NCCL_MIN": (3, np.minimum)}  # fmt: skip


class NcclError(RuntimeError):
    """CuPy's."""


class World:
    """What communicators of one unique id share: a place for each rank, and a barrier."""

    def __init__(self, size):
        self.places = [None] * size
        self.gate = threading.Barrier(size, timeout=10)
        self.mail = {}
        self.came = threading.Condition()


worlds = {}
group = threading.local()
lock = threading.Lock()


def get_unique_id():
    """128 numbers."""
    return tuple(np.random.default_rng().integers(-128, 128, 128).tolist())


def groupStart():
    """Calls are one from here on."""
    group.depth = getattr(group, "depth", 0) + 1


def groupEnd():
    """Do the calls that were collected."""
    group.depth -= 1
    waiting, group.calls = getattr(group, "calls", []), []
    for call in sorted(waiting, key=lambda c: c[0] == "recv"):  # a group may send and receive
        call[1]()


def memory(address, count, number):
    """The elements at an address."""
    name = next(name for code, name in TYPES.values() if code == number)
    size = count * np.dtype(name).itemsize
    if not address:
        raise NcclError("NCCL_ERROR_INVALID_ARGUMENT: invalid argument")
    return np.frombuffer((ctypes.c_char * size).from_address(address), name)


class NcclCommunicator:
    """One rank's end."""

    def __init__(self, ndev, commId, rank):
        if not (isinstance(commId, tuple) and len(commId) == 128):
            raise TypeError("commId must be a tuple of 128 integers")
        with lock:
            self._world = worlds.setdefault(commId, World(ndev))
        self._rank, self._size = rank, ndev

    def _share(self, value, work):
        """Do `work(everybody's value)` when all are there; nobody goes on before all are done."""
        world = self._world
        world.places[self._rank] = value
        world.gate.wait()
        result = work(list(world.places))
        world.gate.wait()
        if result is not None:
            result()
        world.gate.wait()

    def allReduce(self, sendbuf, recvbuf, count, datatype, op, stream):
        def work(places):
            total = reduced(places, op)
            return lambda: np.copyto(memory(recvbuf, count, datatype), total)

        self._share(memory(sendbuf, count, datatype), work)

    def reduce(self, sendbuf, recvbuf, count, datatype, op, root, stream):
        def work(places):
            total = reduced(places, op)
            if root == self._rank:
                return lambda: np.copyto(memory(recvbuf, count, datatype), total)
            return None

        self._share(memory(sendbuf, count, datatype), work)

    def bcast(self, buff, count, datatype, root, stream):
        def work(places):
            given = places[root].copy()
            return lambda: np.copyto(memory(buff, count, datatype), given)

        self._share(memory(buff, count, datatype), work)

    def allGather(self, sendbuf, recvbuf, count, datatype, stream):
        def work(places):
            rows = np.concatenate(places)
            return lambda: np.copyto(memory(recvbuf, count * self._size, datatype), rows)

        self._share(memory(sendbuf, count, datatype), work)

    def send(self, sendbuf, count, datatype, peer, stream):
        world = self._world
        with world.came:
            box = world.mail.setdefault((self._rank, peer), [])
            box.append(memory(sendbuf, count, datatype).copy())
            world.came.notify_all()

    def recv(self, recvbuf, count, datatype, peer, stream):
        world, key = self._world, (peer, self._rank)
        with world.came:
            assert world.came.wait_for(lambda: world.mail.get(key), timeout=10)
            np.copyto(memory(recvbuf, count, datatype), world.mail[key].pop(0))


def reduced(places, op):
    """All together, in the order of the ranks."""
    ufunc = next(ufunc for code, ufunc in OPS.values() if code == op)
    total = places[0].copy()
    for other in places[1:]:
        total = ufunc(total, other)
    return total


def _checked(name, method):
    """The method, for integers given by position alone; within a group it is done at its end."""
    wanted = list(inspect.signature(method).parameters)[1:]

    def call(self, *arguments):
        if len(arguments) != len(wanted):
            raise TypeError(f"{name}() takes exactly {len(wanted)} positional arguments")
        for argument, given in zip(wanted, arguments, strict=True):
            if not isinstance(given, int) or isinstance(given, bool):
                raise TypeError(f"{name}: {argument}: an integer is required, got {type(given)}")
        if getattr(group, "depth", 0):
            group.calls = getattr(group, "calls", [])
            group.calls.append((name, lambda: method(self, *arguments)))
        else:
            method(self, *arguments)

    return call


for _name in ("allReduce", "reduce", "bcast", "allGather", "send", "recv"):
    setattr(NcclCommunicator, _name, _checked(_name, getattr(NcclCommunicator, _name)))


def install(cupy, modules):
    """Put it into a stand-in for CuPy."""
    nccl = ModuleType("cupy.cuda.nccl")
    vars(nccl).update({name: code for name, (code, _) in (TYPES | OPS).items()})
    vars(nccl).update(
        available=True, NcclError=NcclError, NcclCommunicator=NcclCommunicator,
        get_unique_id=get_unique_id, groupStart=groupStart, groupEnd=groupEnd,
    )  # fmt: skip
    cupy.cuda.nccl = nccl
    cupy.cuda.get_current_stream = lambda: SimpleNamespace(ptr=0, synchronize=lambda: None)
    modules["cupy.cuda.nccl"] = nccl
    return nccl
