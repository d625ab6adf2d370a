"""OpenBLAS on one thread for as long as the pool does its work.

The number is one for the whole process. Who comes first notes it and sets 1, who goes last sets it
back; a lock of a few instructions keeps two threads from reading each other's 1.
"""

# mypy: ignore-errors
from __future__ import annotations

from numba import types

from ..compiler import within
from .state import BLAS_LOCK, BLAS_THREADS, BLAS_USERS, exchange, load, pause, store

_get_threads = types.ExternalFunction("tinygrad_opt_blas_threads", types.int32())
_set_threads = types.ExternalFunction("tinygrad_opt_set_blas_threads", types.void(types.int32))


@within.function("void()")
def take_blas():
    """Have OpenBLAS use one thread, until `give_back_blas`."""
    while exchange(BLAS_LOCK, 1) != 0:
        pause()
    users = load(BLAS_USERS)
    if users == 0:
        store(BLAS_THREADS, _get_threads())
        if load(BLAS_THREADS) > 1:
            _set_threads(1)
    store(BLAS_USERS, users + 1)
    store(BLAS_LOCK, 0)


@within.function("void()")
def give_back_blas():
    """Let OpenBLAS have its threads again."""
    while exchange(BLAS_LOCK, 1) != 0:
        pause()
    users = load(BLAS_USERS) - 1
    store(BLAS_USERS, users)
    if users == 0 and load(BLAS_THREADS) > 1:
        _set_threads(load(BLAS_THREADS))
    store(BLAS_LOCK, 0)
