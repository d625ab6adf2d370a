"""The backend "mpi": messages through mpi4py, and a wait that notices when a rank is gone."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ..optional import need
from . import launch
from .errors import DistBackendError
from .groups import Call, Message, ProcessGroup
from .line import Line, invite

__all__ = ["MPIGroup", "connect", "disconnect", "load"]

SPINS = 400  # looks without giving the processor away: about 0.2 ms
NAPPING = 5e-3  # seconds after which a waiting rank sleeps between looks
KNOWN = 3.0  # seconds in which the witness knows of a rank that MPI has already missed
TELLING = 1.0  # seconds after which it says at which call it waits


class MPIGroup(ProcessGroup):
    """A process group whose messages go through a communicator of MPI."""

    def __init__(
        self, comm: Any, line: Line | None, timeout: float, ranks: Sequence[int], name: str,
        crowded: bool,
    ) -> None:  # fmt: skip
        super().__init__(ranks, comm.rank, name)
        self.comm, self.line, self.timeout = comm, line, timeout
        self._mpi = load()
        self._testall = self._mpi.Request.Testall
        self._byte = self._mpi.BYTE
        self.largest_tag = (comm.Get_attr(self._mpi.TAG_UB) or 2**15 - 1) // 2
        self._crowded = crowded
        self.local_rank = 0  # the number among the ranks of this machine
        self._spins = 0 if crowded else SPINS

    # Messages -------------------------------------------------------------------------------------

    def swap(self, sends: list[Message], receives: list[Message], call: Call) -> None:
        comm, byte, tag = self.comm, self._byte, call.tag
        requests: list[Any] = []
        try:
            requests += [comm.Irecv((a, a.nbytes, byte), source, tag) for a, source in receives]
            requests += [comm.Isend((a, a.nbytes, byte), to, tag) for a, to in sends]
            testall = self._testall
            for _ in range(self._spins):
                if testall(requests):
                    return
        except self._mpi.Exception as error:
            raise self._explained(error, requests) from error
        self._wait(requests, {"call": call.number, "what": str(call)})

    def _explained(self, error: Exception, requests: list[Any]) -> DistBackendError:
        """What MPI could not do, in the words of the witness if it knows of a rank that is gone."""
        _abandoned.append(requests)
        limit = time.monotonic() + KNOWN
        while self.line is not None and self.line.failure is None and time.monotonic() < limit:
            self.line.listen(0.1)
        known = None if self.line is None else self.line.failure
        return DistBackendError(known or f"MPI, rank {self._rank}: {error}")

    def send(self, array: Any, to: int, tag: int) -> None:
        """Sends an array; returns when its memory may be written to."""
        self.check(array)
        request = self.comm.Isend((array, array.nbytes, self._byte), to, self._own_tag(tag))
        self._wait([request], None)

    def recv(self, array: Any, source: int | None, tag: int) -> int:
        """Receives into an array, from anybody if `source` is None; returns from whom."""
        self.check(array)
        mpi = self._mpi
        status, origin = mpi.Status(), mpi.ANY_SOURCE if source is None else source
        request = self.comm.Irecv((array, array.nbytes, self._byte), origin, self._own_tag(tag))
        self._wait([request], None, status)
        return int(status.Get_source())

    def _own_tag(self, tag: int) -> int:
        """A tag of the user's, apart from those of collectives."""
        if not 0 <= tag < self.largest_tag:
            raise ValueError(f"the tag of a message must be in [0, {self.largest_tag}), got {tag}")
        return self.largest_tag + tag

    def _wait(self, requests: list[Any], at: dict[str, Any] | None, status: Any = None) -> None:
        """Wait until all are done, looking out for ranks that are gone."""
        line, test = self.line, self._testall
        statuses = None if status is None else [status]
        begin = looked = time.monotonic()
        told = False
        try:
            while not (test(requests, statuses) if statuses else test(requests)):
                now = time.monotonic()
                if now - begin > NAPPING:
                    time.sleep(5e-4 if now - begin > TELLING else 5e-5)
                else:
                    os.sched_yield() if self._crowded or now - begin > 1e-3 else None
                if line is None or now - looked < 2e-3:
                    continue
                looked = now
                line.check()
                if not told and now - begin > TELLING:
                    told = True
                    if at is not None:
                        line.waiting({**at, "group": self.group_name, "ranks": self.ranks})
                if now - begin > self.timeout:
                    what = at["what"] if at else "a message"
                    raise DistBackendError(
                        f"rank {self._rank} has waited for {what} for {self.timeout:g} s, the "
                        "timeout of init_process_group, while all processes live"
                    )
        except self._mpi.Exception as error:
            raise self._explained(error, requests) from error
        except BaseException:
            _abandoned.append(requests)  # MPI may still write to the memory that these hold
            raise
        if line is not None:
            line.going_on()

    # Groups ---------------------------------------------------------------------------------------

    def subgroup(self, ranks: Sequence[int], name: str) -> MPIGroup | None:
        """A group of some of the ranks; None on the others. All ranks of this one call it."""
        self.barrier("new_group")
        mine = self._rank in ranks
        key = list(ranks).index(self._rank) if mine else 0
        comm = self.comm.Split(0 if mine else self._mpi.UNDEFINED, key)
        if not mine:
            return None
        members = [self.ranks[i] for i in ranks]
        return MPIGroup(comm, self.line, self.timeout, members, name, self._crowded)


_abandoned: list[Any] = []


def load() -> Any:
    """mpi4py's module. Raises ImportError where it, or a library of MPI, is not installed."""
    try:
        return need("mpi4py.MPI", "mpi", "init_process_group('mpi')")
    except RuntimeError as error:  # mpi4py's, where it finds no library to load
        raise ImportError(
            "init_process_group('mpi') needs a library of MPI beside mpi4py: pip install mpich"
        ) from error


def connect(timeout: float) -> MPIGroup:
    """The group of all processes; each takes its share of its machine's cores."""
    comm = load().COMM_WORLD.Dup()
    if comm.size == 1:
        return MPIGroup(comm, None, timeout, [0], "world", False)
    own = launch.cores()
    places = comm.allgather((_machine(), own))
    host = places[comm.rank][0]
    here = [cores for i, (name, cores) in enumerate(places) if name == host and i != comm.rank]
    near = all(name == host for name, _ in places)
    launch.take_share(launch.share_of_cores(own, here))
    invitation = comm.bcast(invite(comm.size, near) if comm.rank == 0 else None)
    line = Line(comm.rank, invitation)
    crowded = len(here) + 1 > len({core for cores in (own, *here) for core in cores})
    group = MPIGroup(comm, line, timeout, list(range(comm.size)), "world", crowded)
    group.local_rank = sum(name == host for name, _ in places[: comm.rank])
    group.barrier("init_process_group")  # from here on, a death is noticed
    return group


def _machine() -> str:
    """The name of this machine; of containers that share it, and not the network, their own."""
    with suppress(OSError):
        return f"{socket.gethostname()}, {os.readlink('/proc/self/ns/net')}"
    return socket.gethostname()


def disconnect(group: MPIGroup) -> None:
    """Ends a group of all processes."""
    if group.line is not None:
        if group.line.failure is None:
            group.barrier("destroy_process_group")
        group.line.close()
