"""The loader's side of its worker processes: start them, talk to them, notice deaths, end them."""

from __future__ import annotations

import os
import pickle
import signal
import time
import warnings
import weakref
from collections.abc import Iterable
from multiprocessing import connection, util
from typing import Any

from .transfer import receive
from .worker import Answer, Begin, Load, work

__all__ = ["Pool"]

GRACE = 5.0  # seconds that workers have to finish what they are at


class Pool:
    """Worker processes with copies of a dataset.

    They end when the pool is closed or collected, or this process ends in whatever way: then their
    pipe breaks.
    """

    def __init__(self, context: Any, workers: int, recipe: Any, init: Any, timeout: float) -> None:
        self.workers = workers
        self.timeout = timeout
        self.epoch = 0
        self._context = context
        self._connections: list[Any] = []
        self._processes: list[Any] = []
        self._finalizer = weakref.finalize(
            self, _end, self._connections, self._processes, os.getpid()
        )
        for id in range(workers):
            self._start(id, recipe, init)

    def _start(self, id: int, recipe: Any, init: Any) -> None:
        ours, theirs = self._context.Pipe()
        # A forked sibling must not hold this end open: its worker would never notice that we are
        # gone. Spawned ones inherit nothing.
        util.register_after_fork(ours, type(ours).close)
        process = self._context.Process(
            target=work, args=(theirs, id, self.workers, recipe, init), daemon=True,
            name=f"DataLoader worker {id}",
        )  # fmt: skip
        with warnings.catch_warnings():
            # Python 3.12 warns of forks beside threads; these are BLAS's and Numba's, which either
            # know about forks or are not used after one (kernels/threads.py).
            warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
            try:
                process.start()
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                raise type(error)(
                    f"DataLoader: {error}. A worker that is not forked gets dataset, collate_fn "
                    "and worker_init_fn as pickles: define them at the top of a module, not as "
                    "lambdas or in functions"
                ) from error
        theirs.close()
        self._connections.append(ours)
        self._processes.append(process)

    def begin(self, seed: int, resume: list[Any]) -> int:
        """Starts an epoch in all workers; returns its number, which answers to it carry."""
        self.epoch += 1
        for id in range(self.workers):
            self._send(id, Begin(self.epoch, seed + id, resume[id]))
        return self.epoch

    def load(self, id: int, index: Any) -> None:
        """Asks worker `id` for a batch."""
        self._send(id, Load(index))

    def answer(self, ids: Iterable[int]) -> tuple[int, Answer]:
        """The next answer of this epoch from one of the workers `ids`, and who gave it.

        Raises RuntimeError for a worker that died, and where none answers in time.
        """
        ids = list(ids)
        limit = time.monotonic() + self.timeout if self.timeout else None
        while True:
            id = self._ready(ids, limit)
            try:
                answer = receive(self._connections[id])
            except (EOFError, OSError):
                raise self._death(id) from None
            if answer.epoch == self.epoch:  # or it was for an epoch that was left early
                return id, answer

    def _ready(self, ids: list[int], limit: float | None) -> int:
        """The first of `ids` that has something to say."""
        pipes = [self._connections[id] for id in ids]
        sentinels = [self._processes[id].sentinel for id in ids]
        left = None if limit is None else max(0.0, limit - time.monotonic())
        ready = connection.wait([*pipes, *sentinels], left)
        for id, pipe in zip(ids, pipes, strict=True):
            if pipe in ready:
                return id
        for id, sentinel in zip(ids, sentinels, strict=True):
            if sentinel in ready:
                if self._connections[id].poll():  # it spoke just before
                    return id
                raise self._death(id)
        raise RuntimeError(
            f"DataLoader timed out after {self.timeout} seconds, waiting for worker "
            f"{', '.join(map(str, ids))}; raise timeout, or find out what loading waits for"
        )

    def _send(self, id: int, message: Any) -> None:
        try:
            self._connections[id].send(message)
        except OSError:
            raise self._death(id) from None

    def _death(self, id: int) -> RuntimeError:
        process = self._processes[id]
        process.join(1.0)
        code = process.exitcode
        if code is not None and code < 0:
            how = f"killed by signal: {signal.Signals(-code).name}"
            how += " (is there too little memory?)" if -code == signal.SIGKILL else ""
        else:
            how = f"exit code {code}"
            if code == 1 and self._context.get_start_method() != "fork":
                how += ' (a script needs `if __name__ == "__main__":` around what starts '
                how += "workers, a notebook its classes in a module of their own)"
        return RuntimeError(
            f"DataLoader worker (pid(s) {process.pid}) exited unexpectedly: worker {id} of "
            f"{self.workers}, {how}. Its own output, or num_workers=0, shows more"
        )

    @property
    def closed(self) -> bool:
        """Whether the workers have been ended."""
        return not self._finalizer.alive

    def close(self) -> None:
        """Ends the workers when they are done with what they are at; again it does nothing."""
        self._finalizer()

    def stop(self) -> None:
        """Ends the workers at once."""
        if self._finalizer.alive:
            for process in self._processes:
                process.terminate()
            self._finalizer()


def _end(connections: list[Any], processes: list[Any], owner: int) -> None:
    if os.getpid() != owner:  # a forked copy of the pool: the workers are not its own
        return
    for pipe in connections:
        try:
            pipe.send(None)
        except OSError:  # it has gone already
            pass
        finally:
            pipe.close()
    limit = time.monotonic() + GRACE
    for process in processes:
        process.join(max(0.0, limit - time.monotonic()))
        if process.is_alive():
            process.terminate()
            process.join(1.0)
        if process.is_alive():
            process.kill()
            process.join()
        process.close()
