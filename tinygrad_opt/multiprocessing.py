"""Python's `multiprocessing` by PyTorch's name; tensors go to other processes as copies."""

from __future__ import annotations

import multiprocessing as _python
from collections.abc import Callable
from multiprocessing import *  # noqa: F403
from typing import Any

__all__ = [
    *_python.__all__, "get_all_sharing_strategies", "get_sharing_strategy", "set_sharing_strategy",
    "spawn",
]  # fmt: skip

_STRATEGIES = {"file_descriptor", "file_system"}
_strategy = "file_descriptor"


def get_all_sharing_strategies() -> set[str]:
    """PyTorch's names of ways to share memory."""
    return set(_STRATEGIES)


def get_sharing_strategy() -> str:
    """What was set last."""
    return _strategy


def set_sharing_strategy(new_strategy: str) -> None:
    """Kept and told back: tensors are copied. Raises ValueError for a name that PyTorch lacks."""
    global _strategy
    if new_strategy not in _STRATEGIES:
        raise ValueError(
            f"set_sharing_strategy: expected one of {sorted(_STRATEGIES)}, got {new_strategy!r}"
        )
    _strategy = new_strategy


def spawn(
    fn: Callable[..., None], args: tuple[Any, ...] = (), nprocs: int = 1, join: bool = True,
    daemon: bool = False, start_method: str = "spawn",
) -> Any:  # fmt: skip
    """Runs `fn(i, *args)` in `nprocs` processes; with `join=False` returns the processes.

    Raises RuntimeError if one of them fails.
    """
    context: Any = _python.get_context(start_method)
    started = [context.Process(target=fn, args=(i, *args), daemon=daemon) for i in range(nprocs)]
    for process in started:
        process.start()
    if not join:
        return started
    for process in started:
        process.join()
    for i, process in enumerate(started):
        if process.exitcode:
            raise RuntimeError(
                f"spawn: process {i} terminated with exit code {process.exitcode}; what it raised "
                "is printed above"
            )
    return None
