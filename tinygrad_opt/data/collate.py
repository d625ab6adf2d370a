"""Making one batch of many items."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from .. import functions
from ..core.tensor import Tensor
from ..tensors import creation

__all__ = ["default_collate", "default_convert"]


def default_collate(batch: Sequence[Any]) -> Any:
    """Joins items of one kind along a new first axis.

    Tensors and arrays are stacked; floats become a float64 tensor, ints an int64 one; strings stay
    a list; mappings and sequences are joined entry by entry and keep their type (but a tuple gives
    a list). Raises TypeError for anything else, RuntimeError for sequences of different lengths.

    >>> default_collate([(tensor([1]), 0), (tensor([2]), 1)])
    [tensor([[1],
            [2]]), tensor([0, 1])]
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return functions.stack(list(batch))
    if isinstance(first, np.ndarray) and first.dtype.kind in "biuf":
        return functions.stack([creation.as_tensor(item) for item in batch])
    if isinstance(first, (np.number, np.bool_)):
        return creation.tensor(np.array(batch))
    if isinstance(first, float):
        return creation.tensor(batch, dtype=np.float64)
    if isinstance(first, int):
        return creation.tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _mapping(first, {k: default_collate([item[k] for item in batch]) for k in first})
    if isinstance(first, Sequence):
        return _joined(first, batch)
    kind = first.dtype if isinstance(first, np.ndarray) else type(first)
    raise TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found "
        f"{kind}. Pass the DataLoader a collate_fn for it"
    )


def default_convert(item: Any) -> Any:
    """One item with its arrays as Tensors: what a DataLoader without batches yields."""
    if isinstance(item, (np.ndarray, np.generic)) and item.dtype.kind in "biuf":
        return creation.as_tensor(item)
    if isinstance(item, Mapping):
        return _mapping(item, {key: default_convert(value) for key, value in item.items()})
    if isinstance(item, Sequence) and not isinstance(item, (str, bytes)):
        return _sequence(item, [default_convert(value) for value in item])
    return item


def _joined(first: Sequence[Any], batch: Sequence[Any]) -> Any:
    if any(len(item) != len(first) for item in batch):
        raise RuntimeError(
            "default_collate: each element in list of batch should be of equal size, got lengths "
            f"{sorted({len(item) for item in batch})}"
        )
    return _sequence(first, [default_collate(column) for column in zip(*batch, strict=True)])


def _mapping(like: Mapping[Any, Any], entries: dict[Any, Any]) -> Any:
    """`entries` as `like` holds its own; as a dict where its type does not let itself be made."""

    def kept() -> Any:
        if not isinstance(like, MutableMapping):
            return type(like)(entries)  # type: ignore[call-arg]
        clone = copy.copy(like)  # has what else there is to it, such as a default_factory
        clone.update(entries)
        return clone

    return _or_plain(kept, entries)


def _sequence(like: Sequence[Any], entries: list[Any]) -> Any:
    """`entries` as `like` holds its own; a plain tuple, or what cannot be made, gives a list."""

    def kept() -> Any:
        if not isinstance(like, MutableSequence):
            return type(like)(entries)  # type: ignore[call-arg]
        clone = copy.copy(like)
        for i, entry in enumerate(entries):
            clone[i] = entry
        return clone

    if isinstance(like, tuple):
        return type(like)(*entries) if hasattr(like, "_fields") else entries
    return _or_plain(kept, entries)


def _or_plain(kept: Callable[[], Any], entries: Any) -> Any:
    try:
        return kept()
    except TypeError:  # its constructor wants something else
        return entries
