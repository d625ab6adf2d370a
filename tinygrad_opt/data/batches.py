"""The iterators of a DataLoader: batches made here, or by worker processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, islice, repeat
from typing import Any

from ..arrays import random
from .workers.processes import Pool
from .workers.recipe import Progress
from .workers.worker import Answer

__all__ = ["Epoch", "FromWorkers", "InProcess", "generators_of", "set_states"]

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


# One pass of a DataLoader through its dataset: where it began, how far it is, how it goes on ------


class Epoch(Progress):
    """The progress of an iteration, and its state as plain values.

    To resume, the order is drawn again by generators put back to where they stood when it was drawn
    (`start`), and as many batches are left out as had been handed out (`position`).
    """

    def __init__(self, saved: dict[str, Any] | None = None) -> None:
        """`saved`: the `state` of an epoch to go on with."""
        saved = saved or {}
        self.start: list[Any] | None = saved.get("start")
        self.position: int = saved.get("position", 0)
        self.seed: int | None = saved.get("seed")
        self.turn: int = saved.get("turn", 0)  # the worker whose batch comes next
        self.workers: list[dict[str, Any]] = [dict(w) for w in saved.get("workers", ())]
        self.ended = saved.get("ended", False)
        self.finished = False

    def state(self) -> dict[str, Any] | None:
        """For `Epoch(saved)`; None before the order is drawn and after the end."""
        if self.start is None or self.finished:
            return None
        return {
            "position": self.position, "start": self.start, "seed": self.seed, "turn": self.turn,
            "workers": [dict(w) for w in self.workers], "ended": self.ended,
        }  # fmt: skip

    @contextmanager
    def drawing(self, loader: Any) -> Iterator[None]:
        """In here the order is drawn: from where the generators stand, or stood at the start."""
        generators = generators_of(loader)
        if self.start is None:
            self.start = [random.state_of(g) for g in generators]
            yield
        else:
            with rewound(generators, self.start):
                yield

    def order(self, loader: Any) -> Iterator[Any]:
        """The indices that are left, one by one or in lists; call it while `drawing`."""
        if loader.streamed:
            return repeat(None)
        source = iter(loader.sampler if loader.batch_sampler is None else loader.batch_sampler)
        left = islice(source, self.position, None)
        first = list(islice(left, 1))  # samplers draw when they are asked for the first time
        return chain(first, left)


def generators_of(loader: Any) -> list[random.Generator]:
    """The current generator, and those of the loader and of its samplers."""
    sources = (loader, loader.sampler, loader.batch_sampler,
               getattr(loader.batch_sampler, "sampler", None))  # fmt: skip
    found = [random.current(), *(getattr(s, "generator", None) for s in sources)]
    return list({id(g): g for g in found if g is not None}.values())


@contextmanager
def rewound(generators: list[random.Generator], states: list[Any]) -> Iterator[None]:
    """The generators put to `states` for a while."""
    now = [random.state_of(g) for g in generators]
    set_states(generators, states)
    try:
        yield
    finally:
        set_states(generators, now)


def set_states(generators: list[random.Generator], states: list[Any]) -> None:
    """Each generator to its state."""
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state)
