"""`torch.backends.cudnn`: flags that are kept and change nothing, as kernels here are no cuDNN's.

The same program gives the same bits with `deterministic` and without; nothing is tuned that
`benchmark` could tune.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from ..arrays.device import is_available as gpu_is_available

__all__ = ["allow_tf32", "benchmark", "benchmark_limit", "deterministic", "enabled", "flags",
           "is_acceptable", "is_available", "version"]  # fmt: skip

enabled = True
benchmark = False
deterministic = False
allow_tf32 = True
benchmark_limit: int | None = 10
fp32_precision = "none"


def is_available() -> bool:
    """Whether there is a GPU: scripts ask whether they can train on one."""
    return gpu_is_available()


def version() -> int | None:
    """None: there is no cuDNN."""
    return None


def is_acceptable(tensor: Any) -> bool:
    """False."""
    return False


@contextlib.contextmanager
def flags(
    enabled: bool = False, benchmark: bool = False, benchmark_limit: int = 10,
    deterministic: bool = False, allow_tf32: bool = True, fp32_precision: str = "none",
) -> Iterator[None]:  # fmt: skip
    """Other values within a `with` block."""
    given = locals()
    here = vars(sys.modules[__name__])
    before = {name: here[name] for name in given}
    here.update(given)
    try:
        yield
    finally:
        here.update(before)
