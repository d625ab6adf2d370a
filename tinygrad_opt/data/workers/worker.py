"""The side of a worker process: wait for an index, load the batch, send it."""

from __future__ import annotations

import queue
import random as python_random
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from ...arrays import random
from .recipe import Progress, Recipe
from .transfer import send

__all__ = ["Answer", "Begin", "Failure", "Load", "WorkerInfo", "get_worker_info", "work"]


@dataclass(frozen=True)
class WorkerInfo:
    """Who this worker is.

    id           0 to num_workers - 1
    num_workers  how many there are
    seed         what the random generators of this process started the epoch with
    dataset      this process's copy
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker process of a DataLoader its WorkerInfo; None in any other process."""
    return _info


# Messages -----------------------------------------------------------------------------------------


class Begin(NamedTuple):
    """To the worker: a new epoch. `resume`: an `Answer.state` with "taken", to go on from."""

    epoch: int
    seed: int  # of this worker
    resume: dict[str, Any] | None


class Load(NamedTuple):
    """To the worker: load the batch of `index`, or the next one of the stream."""

    index: Any


class Failure(NamedTuple):
    """An exception, as it can be raised again in another process."""

    kind: type[BaseException]
    text: str

    @classmethod
    def of(cls, error: BaseException, worker: int) -> Failure:
        """Remembers type, text and traceback."""
        text = "".join(traceback.format_exception(error))
        name = type(error).__name__
        where = f"Caught {name} in DataLoader worker process {worker}."
        return cls(type(error), f"{where}\nOriginal {text}")

    def error(self) -> BaseException:
        """The exception to raise."""
        text = _Verbatim(self.text)
        try:
            return self.kind(text)
        except Exception:  # its constructor wants other arguments
            return RuntimeError(text)


class _Verbatim(str):
    """Text that KeyError, too, prints with its line ends."""

    __slots__ = ()
    __repr__ = str.__str__


class Answer(NamedTuple):
    """To the loader: what one Load gave. `ended`: nothing, and nothing will follow."""

    epoch: int
    batch: Any
    failure: Failure | None
    ended: bool
    state: dict[str, Any]


# The worker ---------------------------------------------------------------------------------------


def work(
    connection: Connection, id: int, workers: int, recipe: Recipe,
    init: Callable[[int], Any] | None,
) -> None:  # fmt: skip
    """Answers messages until the other side says None, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the loader, which ends workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the handler of a forked parent is not for us
    messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
    # Always reading: else both sides could wait for the other to take a message off a full pipe.
    threading.Thread(target=_read, args=(connection, messages), daemon=True).start()
    worker = _Worker(id, workers, recipe, init)
    while (message := messages.get()) is not None:
        if isinstance(message, Begin):
            worker.begin(message)
            continue
        answer = worker.load(message.index)
        try:
            _send(connection, answer, id)
        except OSError:  # nobody is there any more
            return


def _read(connection: Connection, messages: queue.SimpleQueue[Any]) -> None:
    message: Any = ()
    while message is not None:
        try:
            message = connection.recv()
        except (EOFError, OSError):
            message = None
        messages.put(message)


def _send(connection: Connection, answer: Answer, id: int) -> None:
    try:
        send(connection, answer)
    except OSError:
        raise
    except Exception as error:  # what cannot be pickled: the batch, or the type of its exception
        failure = answer.failure or Failure.of(error, id)
        failure = Failure(RuntimeError, failure.text)
        send(connection, answer._replace(batch=None, failure=failure))


class _Worker:
    """What a worker process remembers between messages."""

    def __init__(self, id: int, workers: int, recipe: Recipe, init: Any) -> None:
        self.id, self.workers, self.recipe, self.init = id, workers, recipe, init
        self.fetch: Callable[[Any], Any] = _nothing
        self.failure: Failure | None = None
        self.seeded: dict[str, Any] = {}
        self.progress = Progress()
        self.epoch = 0

    def begin(self, message: Begin) -> None:
        """Makes ready for an epoch; an exception is the answer to the first Load."""
        global _info
        self.epoch = message.epoch
        self.fetch, self.failure, self.progress = _nothing, None, Progress()
        _seed(message.seed)
        self.seeded = _random_state()
        dataset = self.recipe.dataset
        _info = WorkerInfo(self.id, self.workers, message.seed, dataset)
        try:
            if self.init is not None:
                self.init(self.id)
                self.init = None  # once for each process
            self.fetch = self._started(message.resume)
        except Exception as error:
            self.failure = Failure.of(error, self.id)

    def _started(self, resume: dict[str, Any] | None) -> Callable[[Any], Any]:
        dataset = self.recipe.dataset
        if resume is None:
            return self.recipe.begin(self.progress)
        if resume.get("dataset") is not None:
            dataset.load_state_dict(resume["dataset"])
            fetch = self.recipe.begin(self.progress)
        else:
            fetch = self.recipe.begin(self.progress, resume["taken"])
        _set_random_state(resume["random"])
        return fetch

    def load(self, index: Any) -> Answer:
        """The answer to a Load."""
        batch, failure, ended = None, self.failure, False
        self.failure = None
        if failure is None:
            try:
                batch = self.fetch(index)
            except Exception as error:
                ended = self.recipe.streamed and isinstance(error, StopIteration)
                failure = None if ended else Failure.of(error, self.id)
        return Answer(self.epoch, batch, failure, ended, self._state())

    def _state(self) -> dict[str, Any]:
        now, dataset = _random_state(), self.recipe.dataset
        drawn = {name: _plain(name, state) for name, state in now.items()
                 if state != self.seeded[name]}  # fmt: skip
        saves = self.recipe.streamed and hasattr(dataset, "state_dict")
        kept = dataset.state_dict() if saves else None
        return {"random": drawn, "dataset": kept, "ended": self.progress.ended}


def _nothing(_: Any) -> Any:
    """What a worker that could not begin loads, once it has said why."""
    raise RuntimeError("the worker could not begin; the exception before this one says why")


# Random numbers -----------------------------------------------------------------------------------


def _seed(seed: int) -> None:
    random.manual_seed(seed)
    python_random.seed(seed)
    np.random.seed(np.random.SeedSequence(seed).generate_state(4))


def _random_state() -> dict[str, Any]:
    """Where the generators of this process stand, to be compared."""
    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        "default": random.state_of(random.current()),
        "python": python_random.getstate(),
        "numpy": (name, keys.tobytes(), *rest),  # type: ignore[union-attr,unused-ignore]
    }


def _plain(name: str, state: Any) -> Any:
    """A state in lists and numbers, for JSON."""
    if name == "python":
        version, numbers, gauss = state
        return [version, list(numbers), gauss]
    if name == "numpy":
        kind, keys, *rest = state
        return [kind, np.frombuffer(keys, np.uint32).tolist(), *rest]
    return state


def _set_random_state(plain: dict[str, Any]) -> None:
    if "default" in plain:
        random.set_rng_state(plain["default"])
    if "python" in plain:
        version, numbers, gauss = plain["python"]
        python_random.setstate((version, tuple(numbers), gauss))
    if "numpy" in plain:
        np.random.set_state(tuple(plain["numpy"]))
