"""Whether this process is one of several, and what of the machine is its share."""

from __future__ import annotations

import os
import sys

from ..kernels import blas, pool
from ..kernels.threads import set_num_threads

__all__ = ["expected_size", "is_launched", "share_of_cores", "take_share"]

# What launchers tell the processes that they start: MPICH and Intel MPI, Open MPI, PMIx, Slurm.
_RANKS = (
    "PMI_RANK",
    "OMPI_COMM_WORLD_RANK",
    "PMIX_RANK",
    "PMI_ID",
    "PALS_RANKID",
    "MPI_LOCALRANKID",
)
_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PALS_NRANKS")
_THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")
_PRODUCTS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")


def is_launched() -> bool:
    """Whether a launcher of MPI started this process, or the program has loaded MPI itself."""
    return "mpi4py.MPI" in sys.modules or any(name in os.environ for name in _RANKS)


def expected_size() -> int | None:
    """How many processes the launcher says there are; None where it does not say."""
    for name in _SIZES:
        if os.environ.get(name, "").isdecimal():
            return int(os.environ[name])
    return None


def cores() -> list[int]:
    """The processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def share_of_cores(own: list[int], of_others: list[list[int]]) -> int:
    """How many threads keep this rank from starving those on its machine.

    own: its processors.  of_others: those of the other ranks here. Where the launcher has bound
    each rank to processors of its own, all of them; else they are shared out evenly.
    """
    rivals = sum(bool(set(own) & set(other)) for other in of_others)
    return max(1, len(own) // (rivals + 1))


def take_share(threads: int) -> None:
    """Let kernels, products and NumPy use so many threads, unless the user has said how many."""
    if not any(os.environ.get(name) for name in _THREADS) and not pool.was_resized():
        set_num_threads(threads)
    if not any(os.environ.get(name) for name in _PRODUCTS):
        blas.limit(threads)
