"""The process group of this program: made once, asked by everything else."""

from __future__ import annotations

import datetime
import importlib.util
from collections.abc import Sequence
from typing import Any

from ..core.backward import watch as _watch
from . import launch
from .groups import ProcessGroup

__all__ = [
    "GroupMember", "destroy_process_group", "get_backend", "get_global_rank", "get_group_rank",
    "get_process_group_ranks", "get_rank", "get_world_size", "group", "init_process_group",
    "is_available", "is_gloo_available", "is_initialized", "is_mpi_available", "is_nccl_available",
    "is_torchelastic_launched", "new_group",
]  # fmt: skip

TIMEOUT = datetime.timedelta(minutes=30)  # PyTorch's

_world: ProcessGroup | None = None
_made = 0  # groups, for their names


class _Outside:
    """What `new_group` gives to processes that are not in the group."""

    def __repr__(self) -> str:
        return "GroupMember.NON_GROUP_MEMBER"


class GroupMember:
    """PyTorch's names of the group of all processes, and of no group."""

    WORLD: ProcessGroup | None = None
    NON_GROUP_MEMBER = _Outside()


group = GroupMember


def is_available() -> bool:
    """True: `init_process_group` is there; with one process it needs nothing more."""
    return True


def is_mpi_available() -> bool:
    """Whether mpi4py is installed."""
    return importlib.util.find_spec("mpi4py") is not None


def is_nccl_available() -> bool:
    """Whether CuPy is installed, and has NCCL."""
    try:
        return bool(importlib.import_module("cupy.cuda.nccl").available)
    except ImportError:
        return False


def is_gloo_available() -> bool:
    """False: on the CPU the backend is "mpi"."""
    return False


def is_initialized() -> bool:
    """Whether `init_process_group` has been called."""
    return _world is not None


def is_torchelastic_launched() -> bool:
    """False: processes are started by `mpiexec`."""
    return False


def init_process_group(
    backend: str | None = None, init_method: str | None = None,
    timeout: datetime.timedelta | None = None, world_size: int = -1, rank: int = -1,
    store: Any = None, group_name: str = "", pg_options: Any = None, device_id: Any = None,
) -> None:  # fmt: skip
    """Joins the processes that `mpiexec -n 4 python train.py` has started.

    backend   "mpi" (the default) for tensors on the CPU; "nccl" for tensors on GPUs, one each
    timeout   how long a call may wait for the others while all of them live; 30 minutes
    world_size, rank   what the launcher says; may be given, and must be that then

    A program that no launcher started is a group of one process, for which nothing needs to be
    installed. Each rank takes its share of its machine's cores: kernels, products and NumPy, unless
    NUMBA_NUM_THREADS, OPENBLAS_NUM_THREADS or OMP_NUM_THREADS say how many threads, or
    `set_num_threads` has.
    Raises ValueError for another backend, numbers that are not the launcher's, and a second call;
    ImportError where mpi4py (CuPy) is needed and missing; DistNetworkError where processes cannot
    reach the first.
    """
    global _world
    if _world is not None:
        raise ValueError("trying to initialize the default process group twice!")
    if backend not in (None, "mpi", "nccl"):
        advice = "; for tensors on the CPU it is 'mpi' here" if backend == "gloo" else ""
        raise ValueError(
            f"init_process_group: backend must be 'mpi' or 'nccl', got {backend!r}{advice}"
        )
    if init_method not in (None, "env://") or store is not None:
        raise ValueError(
            "init_process_group: processes find each other through mpiexec; leave init_method "
            f"and store out, got init_method={init_method!r}, store={store!r}"
        )
    seconds = (timeout or TIMEOUT).total_seconds()
    made = _joined(seconds)
    for name, given, found in (
        ("world_size", world_size, made.size()),
        ("rank", rank, made.rank()),
    ):
        if given not in (-1, found):
            raise ValueError(
                f"init_process_group: {name}={given}, but the launcher says {found}; start the "
                f"program with mpiexec -n {world_size if world_size > 0 else 'N'}, or leave it out"
            )
    if backend == "nccl":
        from .nccl import over

        made = over(made)
    _world = GroupMember.WORLD = made


def _joined(timeout: float) -> ProcessGroup:
    """The group of all processes, of messages between CPUs."""
    if not launch.is_launched() or launch.expected_size() == 1:
        return ProcessGroup()
    from .mpi import connect

    return connect(timeout)


def destroy_process_group(group: ProcessGroup | None = None) -> None:
    """Leaves the group; all ranks call it. Without a group it is nothing."""
    global _world
    if _world is None or group not in (None, _world):
        return
    ended, _world, GroupMember.WORLD = _world, None, None
    _watch.done = None
    control: Any = getattr(ended, "control", ended)
    if control.size() > 1:
        from .mpi import disconnect

        disconnect(control)


def the(group: Any = None) -> ProcessGroup:
    """The group given, or that of all processes. Raises ValueError where there is none."""
    if isinstance(group, ProcessGroup):
        return group
    if group is GroupMember.NON_GROUP_MEMBER:
        raise ValueError("this process is not in the process group that was given")
    if group is not None:
        raise TypeError(
            f"group must be a ProcessGroup, as new_group returns, or None, got {type(group)}"
        )
    if _world is None:
        raise ValueError(
            "Default process group has not been initialized, please make sure to call "
            "init_process_group."
        )
    return _world


def get_rank(group: Any = None) -> int:
    """The number of this process, from 0; -1 for a group that it is not in.

    Raises ValueError before `init_process_group`.
    """
    return -1 if group is GroupMember.NON_GROUP_MEMBER else the(group).rank()


def get_world_size(group: Any = None) -> int:
    """How many processes there are; -1 for a group that this one is not in.

    Raises ValueError before `init_process_group`.
    """
    return -1 if group is GroupMember.NON_GROUP_MEMBER else the(group).size()


def get_backend(group: Any = None) -> str:
    """The backend: "mpi" or "nccl". Raises ValueError before `init_process_group`."""
    return the(group).backend


def get_process_group_ranks(group: Any = None) -> list[int]:
    """The members' numbers among all processes."""
    return list(the(group).ranks)


def get_global_rank(group: ProcessGroup, group_rank: int) -> int:
    """The number among all processes of a member of a group."""
    return the(group).ranks[group_rank]


def get_group_rank(group: ProcessGroup, global_rank: int) -> int:
    """The number in a group of a process. Raises ValueError for one that is not in it."""
    ranks = the(group).ranks
    if global_rank not in ranks:
        raise ValueError(f"Global rank {global_rank} is not part of group {ranks}")
    return ranks.index(global_rank)


def new_group(
    ranks: Sequence[int] | None = None, timeout: Any = None, backend: str | None = None,
    pg_options: Any = None, use_local_synchronization: bool = False, group_desc: str | None = None,
    device_id: Any = None,
) -> Any:  # fmt: skip
    """A group of some of the processes; all of them call it, in the same order.

    ranks  their numbers; None for all. The others get `GroupMember.NON_GROUP_MEMBER`.

    Raises ValueError for numbers that are not there, or come twice.
    """
    global _made
    world = the()
    chosen = list(range(world.size())) if ranks is None else sorted(ranks)
    if len(set(chosen)) != len(chosen) or not all(0 <= r < world.size() for r in chosen):
        raise ValueError(
            f"new_group: ranks must be different numbers below {world.size()}, got {ranks}"
        )
    _made += 1
    name = f"group {_made}"
    if world.size() == 1:
        return ProcessGroup(name=name) if chosen else GroupMember.NON_GROUP_MEMBER
    made = world.subgroup(chosen, name)  # type: ignore[attr-defined]
    return GroupMember.NON_GROUP_MEMBER if made is None else made
