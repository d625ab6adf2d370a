"""Machine code that is asked for soon, made on a thread beside the one that waits for other code.

What is not begun by the time that it is needed is made at once. So is what Numba has to compile.
Last comes what nobody waits for, since NumPy does the same until it is there. The thread ends with
its work, and no process forks or ends in the middle of it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable, Iterable
from contextlib import nullcontext, suppress
from typing import Any

from llvmlite.binding import ffi
from numba.core.compiler_lock import global_compiler_lock

from ..compiler import within

__all__ = ["made", "ready", "soon"]


def _yes() -> bool:
    return True


def _one() -> int:
    return 1


gradients: Callable[[], bool] = _yes  # whether they are asked for: as who records operations says
threads: Callable[[], int] = _one  # as many as the program wants: as the pool says


class _Work:
    """What is to be made: waiting, until `begun`, then there, or failed, when `ended`.

    spare: whether nobody waits for it.
    """

    def __init__(self, make: Callable[..., Any], what: tuple[Hashable, ...], spare: bool) -> None:
        self.make, self.what, self.spare = make, what, spare
        self.begun, self.ended = False, threading.Event()
        self.made: list[Any] = []

    def do(self) -> None:
        with suppress(Exception):  # who takes it makes it again, and sees the error
            self.made.append(self.make(*self.what))
        self.ended.set()


_works: dict[tuple[Callable[..., Any], tuple[Hashable, ...]], _Work] = {}
_lock = threading.Lock()  # of what is said above
_busy = threading.Lock()  # held while something is made
_thread: threading.Thread | None = None


def made(
    make: Callable[..., Any], *what: Hashable,
    then: Iterable[tuple[Any, ...]] = (), back: Iterable[tuple[Any, ...]] = (),
) -> Any:  # fmt: skip
    """What `make(*what)` returns, from the thread if that has begun to make it.

    then: what is asked for soon, functions with what they are called with: see `soon`.
    back: the same, if gradients are asked for.
    """
    for other in (*then, *(back if gradients() else ())):
        soon(*other)
    with _lock:
        work = _works.pop((make, what), None)
        begun = work is not None and work.begun
    if work is None or not begun:
        return make(*what)
    work.ended.wait()
    return work.made[0] if work.made else make(*what)


def soon(make: Callable[..., Any], *what: Hashable) -> None:
    """Say that `make(*what)` is asked for soon: the thread makes it, if there is more than one."""
    if threads() > 1:
        _begin(make, what)


def ready(make: Callable[..., Any], *what: Hashable) -> Any:
    """What `make(*what)` returns, or None while the thread has not made it: nobody waits for it."""
    if threads() < 2:
        return make(*what)
    work = _begin(make, what, spare=True)
    if not work.ended.is_set():
        return None
    return made(make, *what)


def _begin(make: Callable[..., Any], what: tuple[Hashable, ...], spare: bool = False) -> _Work:
    global _thread
    with _lock:
        if (make, what) in _works:
            return _works[make, what]
        work = _works[make, what] = _Work(make, what, spare)
        if _thread is None:
            thread = threading.Thread(target=_run, name="tinygrad_opt compiler")
            with suppress(RuntimeError):  # a system without threads, or a program that ends
                thread.start()
                _thread = thread
        return work


def _run() -> None:
    global _thread
    within.leave_numba_to_others()
    while True:
        with _busy:
            with _lock:
                waiting = (work for work in _works.values() if not work.begun)
                work = min(waiting, key=lambda work: work.spare, default=None)
                if work is None or not threading.main_thread().is_alive():
                    _thread = None
                    return
                work.begun = True
            work.do()


def _before_fork() -> None:
    # No thread is in the middle of compiling: the child could never have Numba's locks.
    _busy.acquire()
    global_compiler_lock.acquire()
    _llvm.__enter__()


def _let_go() -> None:
    _llvm.__exit__(None, None, None)
    global_compiler_lock.release()
    _busy.release()


def _after_fork() -> None:
    # The thread stayed in the parent, between two works.
    global _thread, _lock
    _lock, _thread = threading.Lock(), None
    _works.clear()
    _let_go()


_llvm = getattr(ffi.lib, "_lock", nullcontext())  # llvmlite's, which it has no name for

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_let_go, after_in_child=_after_fork)
