"""How many threads the pool has unless somebody says so in the program, and who says that.

The variables of the environment that Numba and OpenMP know come first, then what the process may
use: the processors that it is bound to, and a container's share of their time.
"""

from __future__ import annotations

import os
from math import ceil
from pathlib import Path

from numba import config

__all__ = ["most", "quota", "usual"]


def most() -> int:
    """Return how many threads there may be: NUMBA_NUM_THREADS, or the processors."""
    return getattr(config, "NUMBA_NUM_THREADS", 1)  # the simulator of CUDA has no such setting


def usual(root: Path = Path("/")) -> tuple[int, str]:
    """Return how many threads there are at first, and who said so.

    root: where the files of the system begin.
    """
    if os.environ.get("NUMBA_NUM_THREADS"):
        return most(), "NUMBA_NUM_THREADS"
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # later ones: nested teams
    if first.isdecimal() and int(first):
        return min(int(first), most()), "OMP_NUM_THREADS"
    allowed = quota(root)
    if allowed is not None and ceil(allowed) < most():
        return max(ceil(allowed), 1), f"the container's limit of {allowed:g} processors"
    return most(), "the processors of this process"


def quota(root: Path = Path("/")) -> float | None:
    """Return the processors whose time the control groups of this process allow; None for all."""
    found = []
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / controllers
        inner = top / path.strip("/")
        # In a container the files lie at the top, whatever the path outside is.
        for folder in (inner, *inner.parents):
            if folder.is_relative_to(top):
                found += _of(folder)
    return min(found, default=None)


def _of(folder: Path) -> list[float]:
    """The limit in one folder, if it has one: of version 2 of control groups, or 1."""
    words = " ".join(_lines(folder / "cpu.max")).split() or [
        word for name in ("quota", "period") for word in _lines(folder / f"cpu.cfs_{name}_us")
    ]
    try:
        limit, period = map(int, words)
    except ValueError:  # "max", or no such files
        return []
    return [limit / period] if limit > 0 and period > 0 else []


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
