"""Stand-in for the pool of threads: all parts on the calling thread."""

from __future__ import annotations

from numba import njit

__all__ = ["split"]


@njit(forceinline=True)
def split(body, count, grain, *arguments):  # type: ignore[no-untyped-def]
    """Call body(first, last, *arguments) for all parts of range(count)."""
    for first in range(0, count, grain):
        body(first, min(first + grain, count), *arguments)
