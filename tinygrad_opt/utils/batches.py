"""The iterators of a DataLoader: batches made here, or by worker processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from .. import random
from .epoch import Epoch
from .pool import Pool
from .worker import Answer

__all__ = ["FromWorkers", "InProcess"]

_NONE_LEFT = object()


class InProcess(Iterator[Any]):
    """Makes each batch when it is asked for."""

    def __init__(self, loader: Any, epoch: Epoch) -> None:
        self._loader = loader
        self._epoch = epoch
        self._order: Iterator[Any] = iter(())
        self._fetch: Callable[[Any], Any] | None = None

    def __next__(self) -> Any:
        fetch = self._fetch or self._begin()
        try:
            return fetch(next(self._order))
        except StopIteration:
            self._epoch.finished = True
            raise
        finally:
            self._epoch.position += 1

    def __len__(self) -> int:
        return len(self._loader)

    def _begin(self) -> Callable[[Any], Any]:
        loader, epoch = self._loader, self._epoch
        skip = 0 if loader.keeps_state else epoch.position
        with epoch.drawing(loader):
            self._order = epoch.order(loader)
            self._fetch = loader.recipe.begin(epoch, skip)
        return self._fetch


class FromWorkers(Iterator[Any]):
    """Keeps workers a few batches ahead, and hands batches out in order.

    Worker k makes batch k, k + num_workers, ...: in order, whose batch comes next is known.
    """

    def __init__(self, loader: Any, epoch: Epoch, pool: Pool) -> None:
        self._loader = loader
        self._epoch = epoch
        self._pool = pool
        with epoch.drawing(loader):
            self._order = epoch.order(loader)
        if epoch.seed is None:
            epoch.seed = (loader.generator or random.current()).child_seed()
        self._due: deque[int] = deque()  # the workers that owe a batch, in the order of batches
        self._number = pool.begin(epoch.seed, self._states())
        self._ask_ahead()

    def _states(self) -> list[Any]:
        """What each worker goes on from, None for the beginning."""
        epoch, count = self._epoch, self._pool.workers
        if len(epoch.workers) == count:
            return [dict(state) for state in epoch.workers]
        epoch.workers = [{"taken": 0, "ended": False, "random": {}, "dataset": None}
                         for _ in range(count)]  # fmt: skip
        return [None] * count

    def _ask_ahead(self) -> None:
        epoch, count = self._epoch, self._pool.workers
        turn = epoch.turn if self._loader.streamed else epoch.position
        ids = [(turn + k) % count for k in range(count)]
        for _ in range(self._loader.prefetch_factor):
            for id in ids:
                if not epoch.workers[id]["ended"]:
                    self._ask(id)

    def _ask(self, id: int) -> None:
        index = next(self._order, _NONE_LEFT)
        if index is not _NONE_LEFT:
            self._pool.load(id, index)
            self._due.append(id)

    def __next__(self) -> Any:
        answer = self._next_answer()
        if answer is None:
            self._epoch.finished = True
            if not self._loader.persistent_workers:
                self._pool.close()
            raise StopIteration
        if answer.failure is not None:
            raise answer.failure.error()
        return answer.batch

    def __len__(self) -> int:
        return len(self._loader)

    def _next_answer(self) -> Answer | None:
        """What the next worker has to say, which is then asked for more; None at the end."""
        while self._due:
            self._check()
            try:
                ids = [self._due[0]] if self._loader.in_order else dict.fromkeys(self._due)
                id, answer = self._pool.answer(ids)
                self._due.remove(id)
                if not answer.ended:
                    self._ask(id)
            except BaseException:  # dead, late, or interrupted in the middle of a message
                self._pool.stop()
                raise
            self._note(id, answer)
            if not answer.ended:
                return answer
        return None

    def _check(self) -> None:
        if self._pool.closed:
            raise RuntimeError(
                "DataLoader: the exception before this one ended the workers; begin a new iteration"
            )
        if self._pool.epoch != self._number:
            raise RuntimeError(
                "DataLoader: a newer iteration has taken over the persistent workers of this one; "
                "use persistent_workers=False for two iterations at a time"
            )

    def _note(self, id: int, answer: Answer) -> None:
        """Keep count for `Epoch.state`."""
        worker = self._epoch.workers[id]
        if answer.ended:
            worker["ended"] = True
            self._due = deque(other for other in self._due if other != id)
            return
        worker.update(answer.state, taken=worker["taken"] + 1)
        self._epoch.position += 1
        self._epoch.turn = self._due[0] if self._due else 0
