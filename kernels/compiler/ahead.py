"""Machine code that is asked for soon, made on a thread beside the one that waits for other code.

Who knows what comes next begins it here, and takes it when it is needed: what is not begun by then
is made at once. The thread ends with its work, and no process forks or ends in the middle of it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any

__all__ = ["begin", "take"]

# Whether gradients are asked for, so that their code is: to be set by who records operations.
gradients: Callable[[], bool] = lambda: True


class _Work:
    """What is to be made: waiting, until `begun`, then there, or failed, when `ended`."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make, self.begun, self.ended = make, False, threading.Event()
        self.made: list[Any] = []

    def do(self) -> None:
        with suppress(Exception):  # who takes it makes it again, and sees the error
            self.made.append(self.make())
        self.ended.set()


_works: dict[Hashable, _Work] = {}
_lock = threading.Lock()  # of what is said above
_busy = threading.Lock()  # held while something is made
_thread: threading.Thread | None = None


def begin(key: Hashable, make: Callable[[], Any]) -> None:
    """Have `make` called on the thread, in its turn."""
    global _thread
    with _lock:
        if key in _works:
            return
        _works[key] = _Work(make)
        if _thread is None:
            thread = threading.Thread(target=_run, name="tinygrad_opt compiler")
            with suppress(RuntimeError):  # a system without threads, or a program that ends
                thread.start()
                _thread = thread


def take(key: Hashable, make: Callable[[], Any]) -> Any:
    """What `make` returns, from the thread if that has begun to make it."""
    with _lock:
        work = _works.pop(key, None)
        begun = work is not None and work.begun
    if work is None or not begun:
        return make()
    work.ended.wait()
    return work.made[0] if work.made else make()


def _run() -> None:
    global _thread
    while True:
        with _busy:
            with _lock:
                work = next((work for work in _works.values() if not work.begun), None)
                if work is None or not threading.main_thread().is_alive():
                    _thread = None
                    return
                work.begun = True
            work.do()


def _after_fork() -> None:
    # The thread stayed in the parent, between two works.
    global _thread, _lock, _busy
    _lock, _busy, _thread = threading.Lock(), threading.Lock(), None
    _works.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_busy.acquire, after_in_parent=_busy.release, after_in_child=_after_fork
    )
