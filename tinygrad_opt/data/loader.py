"""Datasets, samplers and the DataLoader, as `torch.utils.data`."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from ..arrays.random import Generator, state_of
from ..arrays.size import WHOLE
from .batches import Epoch, FromWorkers, InProcess, generators_of, set_states
from .collate import default_collate, default_convert
from .datasets import (  # fmt: skip
    Dataset,
    IterableDataset,
)
from .samplers import (  # fmt: skip
    BatchSampler,
    RandomSampler,
    SequentialSampler,
)
from .workers.processes import Pool
from .workers.recipe import Recipe

__all__ = ["DataLoader"]

T_co = TypeVar("T_co", covariant=True)
_FIXED = frozenset(
    ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
)


class DataLoader(Generic[T_co]):
    """Goes through a dataset in batches; each `iter()` is one epoch.

    dataset        a Dataset, any sequence, or an IterableDataset
    batch_size     items per batch; None yields the items themselves
    shuffle        a new random order each epoch
    sampler        the order, in place of shuffle
    batch_sampler  the lists of indices, in place of batch_size, shuffle, sampler, drop_last
    num_workers    processes that load batches ahead; 0 loads in this process, when asked
    collate_fn     makes a batch of a list of items; `default_collate`
    drop_last      leave out a last batch that is not full
    timeout        seconds to wait for a worker; 0 for ever
    worker_init_fn           called with the worker's id in each worker, after seeding
    multiprocessing_context  "fork", "spawn", "forkserver", or a context; the system's default
    generator                shuffles and seeds workers; by default the default generator
    prefetch_factor          batches that each worker is ahead; 2
    persistent_workers       keep the processes from epoch to epoch
    in_order                 False hands batches out as they are ready
    pin_memory, pin_memory_device  accepted, and without effect

    Worker k starts each epoch with its random generators (the default one, Python's and NumPy's)
    seeded by a number from the generator, plus k. The order does not depend on workers. An
    exception in a worker is raised here, with its type and traceback; a worker that dies is a
    RuntimeError. `state_dict` allows to resume in the middle of an epoch.

    A TensorDataset (or a Subset of one) is indexed by whole batches, without touching items.
    Raises ValueError for options that exclude each other.

    >>> from tinygrad_opt.utils.data import TensorDataset
    >>> loader = DataLoader(TensorDataset(tensor([0, 1, 2, 3, 4])), batch_size=2)
    >>> [batch.tolist() for (batch,) in loader]
    [[0, 1], [2, 3], [4]]
    """

    _ready = False

    def __init__(
        self, dataset: Dataset[T_co] | Sequence[T_co], batch_size: int | None = 1,
        shuffle: bool | None = None, sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None, num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None, pin_memory: bool = False,
        drop_last: bool = False, timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None, multiprocessing_context: Any = None,
        generator: Generator | None = None, *, prefetch_factor: int | None = None,
        persistent_workers: bool = False, pin_memory_device: str = "", in_order: bool = True,
    ) -> None:  # fmt: skip
        check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        self.streamed = isinstance(dataset, IterableDataset)
        check_order(self.streamed, batch_size, shuffle, sampler, batch_sampler, drop_last)
        self.dataset: Any = dataset
        self.num_workers = int(num_workers)
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.generator = generator
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        self._set_order(batch_size, shuffle, sampler, batch_sampler, drop_last)
        batched = self.batch_sampler is not None
        self.collate_fn = collate_fn or (default_collate if batched else default_convert)
        self._pool: Pool | None = None
        self._epoch = Epoch()
        self._loaded: Epoch | None = None  # for the next iteration
        self._ready = True

    def _set_order(
        self, batch_size: Any, shuffle: Any, sampler: Any, batch_sampler: Any, drop_last: bool
    ) -> None:
        if batch_sampler is not None:
            batch_size = None
        if sampler is None and not self.streamed:
            chosen = RandomSampler(self.dataset, generator=self.generator) if shuffle else None
            sampler = chosen or SequentialSampler(self.dataset)
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler or (), batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler

    def __setattr__(self, name: str, value: Any) -> None:
        if self._ready and name in _FIXED:
            raise ValueError(
                f"{name} attribute should not be set after {type(self).__name__} is initialized; "
                "make a new one"
            )
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self) -> Any:
        """How worker processes are started: a context, or None for the system's default."""
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, value: Any) -> None:
        self._context = None if value is None else context_of(value, self.num_workers)

    @property
    def recipe(self) -> Recipe:
        """How batches are made, for whoever makes them."""
        batched = self.batch_sampler is not None
        size = self.batch_size or 1
        return Recipe(self.dataset, self.collate_fn, batched, self.streamed, size, self.drop_last)

    @property
    def keeps_state(self) -> bool:
        """Whether the dataset is a stream that knows by itself where it is."""
        return self.streamed and hasattr(self.dataset, "state_dict")

    def __iter__(self) -> Iterator[Any]:
        self._epoch, self._loaded = self._loaded or Epoch(), None
        if self.num_workers == 0:
            return InProcess(self, self._epoch)
        return FromWorkers(self, self._epoch, self._workers())

    def _workers(self) -> Pool:
        if self._pool is not None and not self._pool.closed:
            return self._pool
        pool = Pool(
            self._context or context_of(None, self.num_workers), self.num_workers, self.recipe,
            self.worker_init_fn, self.timeout,
        )  # fmt: skip
        if self.persistent_workers:
            self._pool = pool
        return pool

    def __len__(self) -> int:
        if not self.streamed:
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)
        n = len(self.dataset)
        if self.batch_size is None:
            return n
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def state_dict(self) -> dict[str, Any]:
        """Where the latest iteration is, after the batch handed out last, in plain JSON values.

        A loader that loads it goes on with the very batches that were to follow, and the same
        epochs after that; nothing of the order is stored but the states of the generators that drew
        it: the default one, the loader's and the sampler's. An epoch that a loop left by `break` is
        gone on with. A stream is gone through again up to there, unless it has a `state_dict`.
        Raises RuntimeError for workers with in_order=False, whose order is not repeatable.
        """
        if self.num_workers and not self.in_order:
            raise RuntimeError(
                "DataLoader.state_dict: batches come in no repeatable order with in_order=False"
            )
        state = {
            "batches": self._count(),
            "generators": [state_of(g) for g in generators_of(self)],
            "epoch": (self._loaded or self._epoch).state(),
        }
        if self.keeps_state and self.num_workers == 0:
            state["dataset"] = self.dataset.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Makes the next iteration go on from where `state_dict` was taken.

        Sets the generators, too. `num_workers` may differ, except for streams. Raises ValueError
        for the state of a loader of another kind or length.
        """
        self._check_state(state_dict)
        set_states(generators_of(self), state_dict["generators"])
        if "dataset" in state_dict:
            self.dataset.load_state_dict(state_dict["dataset"])
        self._loaded = Epoch(state_dict["epoch"])

    def _check_state(self, state: dict[str, Any]) -> None:
        if not {"batches", "generators", "epoch"} <= set(state):
            raise ValueError(
                f"DataLoader.load_state_dict: this is no DataLoader's state, it has {list(state)}"
            )
        here = {"batches": self._count(), "generators": len(generators_of(self))}
        there = {"batches": state["batches"], "generators": len(state["generators"])}
        if self.streamed and state["epoch"]:
            here["num_workers"] = self.num_workers
            there["num_workers"] = len(state["epoch"]["workers"])
        if self.keeps_state and self.num_workers == 0:
            here["dataset state"], there["dataset state"] = True, "dataset" in state
        if here != there:
            raise ValueError(
                f"DataLoader.load_state_dict: the state is of a loader with {there}, this one has "
                f"{here}; make it with the same dataset and the same settings"
            )

    def _count(self) -> int | None:
        """The number of batches, where it is known."""
        try:
            return None if self.streamed else len(self)
        except TypeError:
            return None


# The checks of DataLoader's arguments -------------------------------------------------------------


def check_order(
    streamed: bool, batch_size: Any, shuffle: Any, sampler: Any, batch_sampler: Any, drop_last: Any
) -> None:
    """Raises ValueError for options about order and batches that exclude each other."""
    if streamed:
        _refuse(shuffle=shuffle or None, sampler=sampler, batch_sampler=batch_sampler)
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None:
        if batch_size != 1 or shuffle or sampler is not None or drop_last:
            raise ValueError(
                "batch_sampler option is mutually exclusive with batch_size, shuffle, "
                "sampler, and drop_last"
            )
    elif batch_size is None and drop_last:
        raise ValueError(
            "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
        )


def _refuse(**options: Any) -> None:
    for name, value in options.items():
        if value is not None:
            raise ValueError(
                f"DataLoader with IterableDataset: expected unspecified {name} option, but got "
                f"{name}={value}"
            )


def check_workers(workers: Any, timeout: Any, prefetch: Any, persistent: bool) -> None:
    """Raises ValueError for settings of workers that make no sense; warns of too many."""
    if not isinstance(workers, WHOLE) or workers < 0:
        raise ValueError(
            "num_workers option should be non-negative; use num_workers=0 to disable "
            f"multiprocessing, got {workers}"
        )
    if timeout < 0:
        raise ValueError(f"timeout option should be non-negative, got {timeout}")
    if workers == 0 and prefetch is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing. Let num_workers > "
            "0 to enable multiprocessing, otherwise set prefetch_factor to None"
        )
    if prefetch is not None and prefetch < 1:
        raise ValueError(
            f"prefetch_factor option should be non-negative, and at least 1, got {prefetch}"
        )
    if persistent and workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if cores and workers > cores:
        warnings.warn(
            f"This DataLoader will create {workers} worker processes in total, more than the "
            f"{cores} processors that this process may use; more than that many rarely helps",
            stacklevel=4,
        )


def context_of(given: Any, workers: int) -> Any:
    """The multiprocessing context for `given`: a name, a context or None, the system's default."""
    if given is None:
        return multiprocessing.get_context()
    if workers == 0:
        raise ValueError(
            "multiprocessing_context can only be used with multi-process loading (num_workers > "
            f"0), but got num_workers={workers}"
        )
    if isinstance(given, str):
        names = multiprocessing.get_all_start_methods()
        if given not in names:
            raise ValueError(
                "multiprocessing_context option should specify a valid start method in "
                f"{names!r}, but got multiprocessing_context={given!r}"
            )
        return multiprocessing.get_context(given)
    if not isinstance(given, multiprocessing.context.BaseContext):
        raise TypeError(
            "multiprocessing_context option should be a valid context object or a string "
            f"specifying the start method, but got multiprocessing_context={given}"
        )
    return given
