"""How many threads kernels use, and from what size on.

The threads themselves are those of `pool`. A job below the threshold runs on the caller's thread;
above it, it is cut into parts of fixed size, so that the result has the same bits either way.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from . import pool

DEFAULT_THRESHOLD = 65_536

# Arrays of fewer elements run on one thread. Read it; set it with set_parallel_threshold.
threshold: int = DEFAULT_THRESHOLD


def set_parallel_threshold(elements: int) -> None:
    """Run kernels on several threads from this many elements on.

    The result is the same, bit for bit, on either side. The environment variable
    TINYGRAD_OPT_PARALLEL_THRESHOLD sets the same number when the package is imported.

    Raises ValueError where `elements` is not a positive whole number.
    """
    global threshold
    if not _is_positive(elements):
        raise ValueError(f"parallel threshold must be a positive whole number, got {elements!r}")
    threshold = int(elements)


def get_num_threads() -> int:
    """The number of threads that kernels and products use at most, the caller's among them."""
    return pool.size()


def set_num_threads(threads: int) -> None:
    """Lets kernels and products use so many threads, the caller's among them.

    Without it they use what NUMBA_NUM_THREADS or OMP_NUM_THREADS say in the environment, else one
    for each processor that this process, or its container, may use. More than there are processors
    for this process (or than NUMBA_NUM_THREADS) is taken as that many. The results have the same
    bits for any number.

    Raises ValueError where `threads` is not a positive whole number.
    """
    if not _is_positive(threads):
        raise ValueError(f"set_num_threads expects a positive whole number, got {threads!r}")
    pool.resize(int(threads))


def _is_positive(number: Any) -> bool:
    whole = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
    return whole and bool(number >= 1)


def _threshold_from_environment() -> None:
    text = os.environ.get("TINYGRAD_OPT_PARALLEL_THRESHOLD")
    if text is None:
        return
    if not text.isdecimal():
        raise ValueError(
            f"TINYGRAD_OPT_PARALLEL_THRESHOLD must be a positive whole number, got {text!r}"
        )
    set_parallel_threshold(int(text))


_threshold_from_environment()
