"""Stand-in for the pool of threads: all parts on the calling thread."""

from __future__ import annotations

from numba import njit

__all__ = ["split"]


@njit(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def split(body, count, grain, *arguments):  # type: ignore[no-untyped-def]
    """Call body(first, last, *arguments) for all parts of range(count)."""
    for first in range(0, count, grain):
        body(first, min(first + grain, count), *arguments)
