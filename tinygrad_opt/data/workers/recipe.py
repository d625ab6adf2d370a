"""How a batch comes from a dataset: the same lines in this process and in workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from ...core.tensor import Tensor, wrap_plain
from ..collate import default_collate
from ..datasets import Subset, TensorDataset, items_at

__all__ = ["Progress", "Recipe"]


class Progress:
    """Whether a stream has come to its end."""

    ended = False


@dataclass
class Recipe:
    """What a loader knows about its batches, without the order in which they come."""

    dataset: Any
    collate: Callable[[Any], Any]
    batched: bool  # or single items
    streamed: bool
    batch_size: int  # of a stream
    drop_last: bool  # of a stream

    def begin(self, progress: Progress, skip: int = 0) -> Callable[[Any], Any]:
        """The function that loads the batch for an index, or for a list of indices.

        Of a stream it ignores the index, and raises StopIteration at the end; `skip` is how many
        batches are gone through beforehand without being made. `progress.ended` tells of an end
        that came with a last batch which is not full: by then the dataset may have begun anew.
        """
        if self.streamed:
            items = iter(self.dataset)
            size = self.batch_size if self.batched else 1
            for _ in islice(items, skip * size):
                pass
            return partial(self._from_stream, items, progress)
        if not self.batched:
            return self._one
        whole = self.collate is default_collate and _has_rows(self.dataset)
        return self._rows if whole else self._many

    def _one(self, index: Any) -> Any:
        return self.collate(self.dataset[index])

    def _many(self, indices: list[Any]) -> Any:
        return self.collate(items_at(self.dataset, indices))

    def _rows(self, indices: list[int]) -> list[Tensor]:
        return list(_take(self.dataset, indices))

    def _from_stream(self, items: Iterator[Any], progress: Progress, _: Any) -> Any:
        if progress.ended:
            raise StopIteration
        if not self.batched:
            return self.collate(next(items))
        batch = list(islice(items, self.batch_size))
        progress.ended = len(batch) < self.batch_size
        if progress.ended and (self.drop_last or not batch):
            raise StopIteration
        return self.collate(batch)


def _has_rows(dataset: Any) -> bool:
    """Whether item i is the i-th row of tensors, so that a list of indices gives a batch."""
    if type(dataset) is Subset:
        return _has_rows(dataset.dataset)
    return type(dataset) is TensorDataset


def _take(dataset: Any, indices: Any) -> tuple[Tensor, ...]:
    if isinstance(dataset, Subset):
        return _take(dataset.dataset, [dataset.indices[i] for i in indices])
    index = np.asarray(indices, np.int64)
    return tuple(_rows_of(t, index) for t in dataset.tensors)


def _rows_of(t: Tensor, index: Any) -> Tensor:
    if t.requires_grad or type(t.array) is not np.ndarray:
        return t[index]
    return wrap_plain(t.array.take(index, 0))  # the same, at a quarter of the time
