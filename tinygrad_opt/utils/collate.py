"""Making one batch of many items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import functions
from .._tensor import Tensor

__all__ = ["default_collate", "default_convert"]


def default_collate(batch: Sequence[Any]) -> Any:
    """Joins items of one kind along a new first axis.

    Tensors and arrays are stacked; floats become a float64 tensor, ints an int64 one; strings stay
    a list; dictionaries, tuples and lists are joined entry by entry (tuples into a list). Raises
    TypeError for anything else, RuntimeError for lists of different lengths.

    >>> default_collate([(tensor([1]), 0), (tensor([2]), 1)])
    [tensor([[1],
            [2]]), tensor([0, 1])]
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return functions.stack(list(batch))
    if isinstance(first, (np.ndarray, np.generic, bool, int, float)):
        array = np.stack([np.asarray(item) for item in batch])
        if array.dtype.kind in "biuf":
            return Tensor(array)
    if isinstance(first, (str, bytes)):
        return list(batch)
    if isinstance(first, Mapping):
        return {key: default_collate([item[key] for item in batch]) for key in first}
    if isinstance(first, Sequence):
        if any(len(item) != len(first) for item in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        joined = [default_collate(column) for column in zip(*batch, strict=True)]
        return type(first)(*joined) if hasattr(first, "_fields") else joined
    raise TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found "
        f"{type(first).__name__}"
    )


def default_convert(item: Any) -> Any:
    """One item with its arrays as Tensors: what a DataLoader without batches yields."""
    if isinstance(item, (np.ndarray, np.generic)) and item.dtype.kind in "biuf":
        return Tensor(item)
    if isinstance(item, Mapping):
        return {key: default_convert(value) for key, value in item.items()}
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        return type(item)(*map(default_convert, item))
    if isinstance(item, Sequence) and not isinstance(item, (str, bytes)):
        return [default_convert(value) for value in item]
    return item
