"""Indices out of range that kernels on the GPU found: told at the next wait, so none waits for it.

A kernel writes what is wrong into a few numbers in device memory, and NaN into its result. Who
waits for the GPU anyway (`item()`, `cpu()`, `synchronize()`) looks there, if a kernel that may have
written was launched since the last look, and raises.
"""

from __future__ import annotations

import itertools
from typing import Any

from ..kernels.compiler.recording import recording
from ..kernels.fused import on_device
from .device import cupy, is_cupys, no_faults

__all__ = ["array", "check", "take_pending", "told_later"]

_CLASS, _ROW, _OTHER = 1, 2, 3  # what kernels write first; then the index, and how many there are

_MOST = 1024  # messages that are kept for indices that are being looked at
_others: dict[int, tuple[type[Exception], str]] = {}  # by the number that a kernel writes, too
_numbers = itertools.count()

_state: dict[str, Any] = {"array": None, "pending": False}


def array() -> Any:
    """The device memory for a kernel that is about to be launched to write to."""
    if _state["array"] is None:
        _state["array"] = cupy().zeros(4, "int64")
    _state["pending"] = True
    no_faults.check = check
    return _state["array"]


def told_later(index: Any, least: int, stop: int, kind: type[Exception], text: str) -> bool:
    """Have the GPU look whether all of `index` lie in [least, stop): nothing waits for it.

    The next wait raises `kind`, with the index in the place of {index} in `text`. Returns False,
    with nothing done, for what is not int64, contiguous, and CuPy's: that is to be looked at now.
    """
    if not is_cupys(index) or index.dtype.char not in "lq" or not index.flags.c_contiguous:
        return False
    if index.size:
        # A replayed launch tells its number again, so it keeps it.
        number = next(_numbers) % _MOST if recording.by is None else len(_others) + _MOST
        _others[number] = kind, text
        arrays = index, array()
        on_device.over_elements("look_at", index.size, arrays, least, stop, number)
    return True


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
    kind, index, count, number = _state["array"].get().tolist()
    if not kind:
        return
    _state["array"].fill(0)
    if kind == _CLASS:
        raise IndexError(
            f"Target {index} is out of bounds: there are {count} classes, 0 to {count - 1}."
        )
    if kind == _OTHER:
        error, text = _others[number]
        raise error(text.replace("{index}", str(index)))
    raise IndexError(f"embedding: index out of range in self: {index} with {count} rows")
