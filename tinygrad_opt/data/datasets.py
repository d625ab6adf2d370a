"""Datasets: things with items, by index or in a stream."""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar

from ..arrays import random
from ..core.tensor import Tensor

__all__ = [
    "ChainDataset", "ConcatDataset", "Dataset", "IterableDataset", "StackDataset", "Subset",
    "TensorDataset", "random_split",
]  # fmt: skip

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Items by index: a subclass defines `__getitem__`, and `__len__` for samplers.

    `a + b` is the ConcatDataset of two datasets. A dataset that loads many items faster than one by
    one defines `__getitems__(indices)` too, which returns a list of items.
    """

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(
            f"Subclasses of Dataset should implement __getitem__; {type(self).__name__} does not"
        )

    def __add__(self, other: Dataset[T_co]) -> ConcatDataset[T_co]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co], Iterable[T_co]):
    """Items in a stream: a subclass defines `__iter__`.

    With worker processes each one goes through its own copy: ask `get_worker_info()` which share
    of the items is due, or all of them come once from every worker. `a + b` is the ChainDataset.
    A stream with `state_dict` and `load_state_dict`, after which `__iter__` goes on from there,
    is resumed by them; any other by going through the items again.
    """

    def __add__(self, other: Dataset[T_co]) -> ChainDataset[T_co]:  # type: ignore[override]
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Item i is the tuple of the i-th rows of the tensors.

    Raises AssertionError where their first axes differ in length.

    >>> TensorDataset(tensor([[1, 2], [3, 4]]), tensor([0, 1]))[1]
    (tensor([3, 4]), tensor(1))
    """

    def __init__(self, *tensors: Tensor) -> None:
        for t in tensors:
            if not isinstance(t, Tensor):
                raise TypeError(
                    f"TensorDataset: expected Tensors, got {type(t).__name__}; convert it with "
                    "as_tensor"
                )
        lengths = [t.array.shape[0] if t.array.ndim else None for t in tensors]
        if len(set(lengths)) != 1 or lengths[0] is None:
            raise AssertionError(
                f"Size mismatch between tensors: their first axes have lengths {lengths}"
            )
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(t[index] for t in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])


class StackDataset(Dataset[Any]):
    """Item i is the tuple of the i-th items of the datasets; or a dict, of datasets by keyword.

    Raises ValueError for no datasets, for both forms at once, and where lengths differ.

    >>> StackDataset(x=[1, 2], y=["a", "b"])[1]
    {'x': 2, 'y': 'b'}
    """

    datasets: tuple[Any, ...] | dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and kwargs:
            raise ValueError(
                "StackDataset: Supported either tuple- (via args) or dict- (via kwargs) like "
                "input/output, but both types are given"
            )
        if not args and not kwargs:
            raise ValueError("StackDataset: At least one dataset should be passed")
        self.datasets = args or kwargs
        lengths = [len(d) for d in self._parts()]
        if len(set(lengths)) != 1:
            raise ValueError(f"StackDataset: Size mismatch between datasets: lengths {lengths}")
        self._length = lengths[0]

    def _parts(self) -> list[Any]:
        both = self.datasets
        return list(both.values() if isinstance(both, dict) else both)

    def _item(self, parts: Iterable[Any]) -> Any:
        both = self.datasets
        return dict(zip(both, parts, strict=True)) if isinstance(both, dict) else tuple(parts)

    def __getitem__(self, index: Any) -> Any:
        return self._item(d[index] for d in self._parts())

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        columns = [items_at(d, indices) for d in self._parts()]
        for column in columns:
            if len(column) != len(indices):
                raise ValueError(
                    "Nested dataset's output size mismatch. Expected "
                    f"{len(indices)}, got {len(column)}"
                )
        return [self._item(parts) for parts in zip(*columns, strict=True)]

    def __len__(self) -> int:
        return self._length


class Subset(Dataset[T_co]):
    """The items of `dataset` at `indices`, in that order."""

    def __init__(self, dataset: Dataset[T_co], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, (list, tuple)):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: Sequence[int]) -> list[T_co]:
        return items_at(self.dataset, [self.indices[i] for i in indices])

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset[T_co]):
    """The items of several datasets, one dataset after the other.

    Raises AssertionError for no datasets, and for an IterableDataset, which has no indices.
    """

    def __init__(self, datasets: Iterable[Dataset[Any]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("ConcatDataset: datasets should not be an empty iterable")
        if any(isinstance(d, IterableDataset) for d in self.datasets):
            raise AssertionError("ConcatDataset does not support IterableDataset")
        self.cumulative_sizes = list(accumulate(len(d) for d in self.datasets))  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Any:
        n = len(self)
        if index < -n:
            raise ValueError(
                f"ConcatDataset: absolute value of index should not exceed dataset length, got "
                f"{index} for {n} items"
            )
        if index >= n:
            raise IndexError(f"ConcatDataset: index {index} is out of range for {n} items")
        at = index % n
        which = bisect_right(self.cumulative_sizes, at)
        return self.datasets[which][at - ([0, *self.cumulative_sizes][which])]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset[T_co]):
    """The items of several IterableDatasets, one after the other.

    Raises AssertionError for a dataset that is not an IterableDataset, when its turn comes.
    """

    def __init__(self, datasets: Iterable[Dataset[Any]]) -> None:
        self.datasets = datasets

    def _streams(self) -> Iterator[Any]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise AssertionError(
                    f"ChainDataset only supports IterableDataset, got {type(dataset).__name__}"
                )
            yield dataset

    def __iter__(self) -> Iterator[T_co]:
        for dataset in self._streams():
            yield from dataset

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self._streams())


def items_at(dataset: Any, indices: Sequence[Any]) -> list[Any]:
    """The items at `indices`, all at once where the dataset knows how."""
    if callable(together := getattr(dataset, "__getitems__", None)):
        return together(indices)
    return [dataset[i] for i in indices]


def random_split(
    dataset: Dataset[T_co], lengths: Sequence[float], generator: random.Generator | None = None
) -> list[Subset[T_co]]:
    """Disjoint random Subsets of the given lengths.

    `lengths`: whole numbers that sum to len(dataset), or fractions that sum to 1; what fractions
    leave over goes to the first subsets, one item each. Raises ValueError for other sums.
    """
    total = len(dataset)  # type: ignore[arg-type]
    sizes = _whole_lengths(total, list(lengths))
    if sum(sizes) != total:
        raise ValueError(
            "Sum of input lengths does not equal the length of the input dataset! "
            f"({sum(sizes)} and {total})"
        )
    order = random.stream(generator).permutation(total).tolist()
    ends = list(accumulate(sizes))
    return [Subset(dataset, order[end - n : end]) for n, end in zip(sizes, ends, strict=True)]


def _whole_lengths(total: int, lengths: list[Any]) -> list[int]:
    if not (math.isclose(sum(lengths), 1) and sum(lengths) <= 1):
        return lengths
    for i, share in enumerate(lengths):
        if not 0 <= share <= 1:
            raise ValueError(f"Fraction at index {i} is not between 0 and 1: {share}")
    sizes = [math.floor(total * share) for share in lengths]
    for i in range(total - sum(sizes)):
        sizes[i % len(sizes)] += 1
    for i, n in enumerate(sizes):
        if n == 0:
            warnings.warn(
                f"Length of split at index {i} is 0. This might result in an empty dataset.",
                stacklevel=3,
            )
    return sizes
