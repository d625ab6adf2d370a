"""Indices out of range that kernels on the GPU found: told at the next wait, so none waits for it.

A kernel writes what is wrong into a few numbers in device memory, and NaN into its result. Who
waits for the GPU anyway (`item()`, `cpu()`, `synchronize()`) looks there, if a kernel that may have
written was launched since the last look, and raises.
"""

from __future__ import annotations

from typing import Any

from .device import cupy, no_faults

__all__ = ["array", "check", "take_pending"]

_CLASS, _ROW = 1, 2  # what kernels write first; then the index, and how many there are

_state: dict[str, Any] = {"array": None, "pending": False}


def array() -> Any:
    """The device memory for a kernel that is about to be launched to write to."""
    if _state["array"] is None:
        _state["array"] = cupy().zeros(4, "int64")
    _state["pending"] = True
    no_faults.check = check
    return _state["array"]


def take_pending(pending: bool = False) -> bool:
    """Set whether a kernel may have written since the last look; return whether it might have."""
    before: bool = _state["pending"]
    _state["pending"] = pending
    if pending:
        no_faults.check = check
    return before


def check() -> None:
    """Raise IndexError if a kernel met an index out of range since the last look; waits if so."""
    if not _state["pending"]:
        return
    _state["pending"] = False
    kind, index, count, _ = _state["array"].get().tolist()
    if not kind:
        return
    _state["array"].fill(0)
    if kind == _CLASS:
        raise IndexError(
            f"Target {index} is out of bounds: there are {count} classes, 0 to {count - 1}."
        )
    raise IndexError(f"embedding: index out of range in self: {index} with {count} rows")
