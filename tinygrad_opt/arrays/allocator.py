"""Keeping freed memory: the one place that tunes the C library's allocator.

A training step allocates the same few megabytes as the one before and frees them all. By default
glibc returns such memory to the operating system at once; the next step gets it back one page fault
at a time, and with several threads each return interrupts the other processors. On 2 cores that
made steps of the 784-256-256-10 network in `benchmarks/networks.py` 1.7 times slower, and of
784-128-10 up to 3 times. So the thresholds are raised: up to 256 MB of freed memory stay with the
process, and arrays up to 32 MB (glibc's limit) come from there.

The environment variable TINYGRAD_OPT_MALLOC=default leaves the allocator alone, and so does any
setting of the user's own.
"""

from __future__ import annotations

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h
_KEPT, _LARGEST = 256 << 20, 32 << 20  # bytes


def keep_freed_memory() -> bool:
    """Raise glibc's thresholds; False where there is no glibc or somebody else has chosen."""
    chosen = os.environ.get("TINYGRAD_OPT_MALLOC") == "default" or any(
        name in os.environ for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
    )
    if chosen or "malloc" in os.environ.get("GLIBC_TUNABLES", "") or sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return False
    # Both: setting one of them ends glibc's own adjustment of the other.
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST) and mallopt(_M_TRIM_THRESHOLD, _KEPT))
