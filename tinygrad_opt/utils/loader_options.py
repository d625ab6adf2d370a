"""The checks of DataLoader's arguments."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from typing import Any

__all__ = ["check_order", "check_workers", "context_of"]


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
    if not isinstance(workers, int) or workers < 0:
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
