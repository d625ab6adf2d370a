"""Datasets, samplers and the DataLoader, as `torch.utils.data`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from .._tensor import Tensor
from ..random import Generator
from .collate import default_collate, default_convert
from .datasets import (
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)  # fmt: skip
from .samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)  # fmt: skip

__all__ = [
    "BatchSampler", "ConcatDataset", "DataLoader", "Dataset", "IterableDataset", "RandomSampler",
    "Sampler", "SequentialSampler", "Subset", "SubsetRandomSampler", "TensorDataset",
    "WeightedRandomSampler", "default_collate", "default_convert", "random_split",
]  # fmt: skip


class DataLoader:
    """Goes through a dataset in batches; each `iter()` is one epoch.

    dataset        a Dataset, any sequence, or an IterableDataset
    batch_size     items per batch; None yields the items themselves
    shuffle        a new random order each epoch
    sampler        the order, in place of shuffle
    batch_sampler  the lists of indices, in place of batch_size, shuffle, sampler, drop_last
    num_workers    must be 0: items are loaded by the process that asks for them
    collate_fn     makes a batch of a list of items; `default_collate`
    pin_memory     accepted, and without effect
    drop_last      leave out a last batch that is not full
    generator      shuffles; by default the default generator

    A TensorDataset (or a Subset of one) is indexed by whole batches, without touching items.
    Raises ValueError for options that exclude each other, NotImplementedError for workers.

    >>> loader = DataLoader(TensorDataset(tensor([0, 1, 2, 3, 4])), batch_size=2)
    >>> [batch.tolist() for (batch,) in loader]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self, dataset: Any, batch_size: int | None = 1, shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None, batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0, collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False, drop_last: bool = False, *, generator: Generator | None = None,
    ) -> None:  # fmt: skip
        if num_workers < 0:
            raise ValueError(
                f"num_workers option should be non-negative; use num_workers=0, got {num_workers}"
            )
        if num_workers:
            raise NotImplementedError(
                f"DataLoader: num_workers={num_workers}, but there are no worker processes here; "
                "use num_workers=0, which loads in this process"
            )
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, "
                    "sampler, and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError(
                "batch_size=None option disables auto-batching and is mutually exclusive with "
                "drop_last"
            )
        self.dataset = dataset
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.generator = generator
        self._streamed = isinstance(dataset, IterableDataset)
        if self._streamed:
            _refuse_order(shuffle, sampler, batch_sampler)
        elif sampler is None:
            chosen = RandomSampler(dataset, generator=generator) if shuffle else None
            sampler = chosen or SequentialSampler(dataset)
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler or (), batch_size, drop_last)
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        batched = batch_sampler is not None
        self.collate_fn = collate_fn or (default_collate if batched else default_convert)

    def __iter__(self) -> Iterator[Any]:
        if self._streamed:
            return self._stream()
        if self.batch_sampler is None:
            return (self.collate_fn(self.dataset[i]) for i in self.sampler or ())
        if self.collate_fn is default_collate and _indexes_batches(self.dataset):
            return (list(_take(self.dataset, indices)) for indices in self.batch_sampler)
        return (self.collate_fn([self.dataset[i] for i in batch]) for batch in self.batch_sampler)

    def _stream(self) -> Iterator[Any]:
        items = iter(self.dataset)
        if self.batch_size is None:
            yield from map(self.collate_fn, items)
            return
        while batch := list(islice(items, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield self.collate_fn(batch)

    def __len__(self) -> int:
        if not self._streamed:
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]
        n = len(self.dataset)
        if self.batch_size is None:
            return n
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


def _refuse_order(shuffle: Any, sampler: Any, batch_sampler: Any) -> None:
    options = {"shuffle": shuffle or None, "sampler": sampler, "batch_sampler": batch_sampler}
    for name, value in options.items():
        if value is not None:
            raise ValueError(
                f"DataLoader with IterableDataset: expected unspecified {name} option, but got "
                f"{name}={value}"
            )


def _indexes_batches(dataset: Any) -> bool:
    """Whether item i is the i-th row of tensors, so that a list of indices gives a batch."""
    if type(dataset) is Subset:
        return _indexes_batches(dataset.dataset)
    return type(dataset) is TensorDataset


def _take(dataset: Any, indices: Any) -> tuple[Tensor, ...]:
    if isinstance(dataset, Subset):
        return _take(dataset.dataset, [dataset.indices[i] for i in indices])
    index = np.asarray(indices, np.int64)
    return tuple(t[index] for t in dataset.tensors)
