"""The one place that decides how kernels use threads.

Three traps live here.

Numba's OpenMP workers spin after each parallel region, and OpenBLAS's threads want the same cores:
one matmul followed by one parallel kernel took 35 ms instead of 0.5 ms. `OMP_WAIT_POLICY=PASSIVE`
lets the workers sleep instead; it has to be set before the pool starts. Waking them costs 4 us on
some machines and 100 us on some virtual ones, so parallel kernels are for large arrays only.

Numba's `workqueue` layer aborts the process when two Python threads launch at once, and GNU OpenMP
hangs or aborts in a forked child. `acquire` refuses both; the serial kernel runs instead.
"""

from __future__ import annotations

import os
import threading

from numba import config

_POLICY_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
if not any(name in os.environ for name in _POLICY_VARIABLES):  # the user's own choice stands
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

DEFAULT_THRESHOLD = 1_000_000

# Arrays of fewer elements run on one thread. Read it; set it with set_parallel_threshold.
threshold: int = DEFAULT_THRESHOLD

_lock = threading.Lock()
_forked = False


def set_parallel_threshold(elements: int) -> None:
    """Run kernels on several threads from this many elements on.

    The result is the same, bit for bit, on either side. The environment variable
    TINYGRAD_OPT_PARALLEL_THRESHOLD sets the same number when the package is imported.

    Raises ValueError where `elements` is not a positive whole number.
    """
    global threshold
    if isinstance(elements, bool) or not isinstance(elements, int) or elements < 1:
        raise ValueError(f"parallel threshold must be a positive whole number, got {elements!r}")
    threshold = elements


def _threshold_from_environment() -> None:
    text = os.environ.get("TINYGRAD_OPT_PARALLEL_THRESHOLD")
    if text is None:
        return
    if not text.isdecimal():
        raise ValueError(
            f"TINYGRAD_OPT_PARALLEL_THRESHOLD must be a positive whole number, got {text!r}"
        )
    set_parallel_threshold(int(text))


def acquire() -> bool:
    """Return True if a parallel kernel may run now; then call `release` after it.

    False means: run the serial one. Another Python thread is in a parallel kernel (the cores are
    busy anyway), there is one core, or this process was forked.
    """
    if _forked or getattr(config, "NUMBA_NUM_THREADS", 1) == 1:
        return False
    return _lock.acquire(blocking=False)


def release() -> None:
    """End what a successful `acquire` began."""
    _lock.release()


def _after_fork() -> None:
    # The OpenMP pool's threads stayed in the parent, and the lock may have been held there.
    global _forked, _lock
    _forked = True
    _lock = threading.Lock()


_threshold_from_environment()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
