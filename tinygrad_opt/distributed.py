"""`torch.distributed`, as far as a program asks whether there is more than one process: no.

Starting a process group raises NotImplementedError.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "destroy_process_group", "get_rank", "get_world_size", "init_process_group", "is_available",
    "is_initialized", "is_torchelastic_launched",
]  # fmt: skip


def is_available() -> bool:
    """False: one process trains alone here."""
    return False


def is_initialized() -> bool:
    """False."""
    return False


def is_torchelastic_launched() -> bool:
    """False."""
    return False


def get_rank(group: Any = None) -> int:
    """Raises ValueError, as PyTorch without a process group."""
    raise ValueError("Default process group has not been initialized: this process trains alone")


def get_world_size(group: Any = None) -> int:
    """Raises ValueError, as PyTorch without a process group."""
    raise ValueError("Default process group has not been initialized: this process trains alone")


def init_process_group(*args: Any, **kwargs: Any) -> None:
    """Raises NotImplementedError."""
    raise NotImplementedError(
        "distributed.init_process_group: tinygrad_opt trains in one process, on one device; leave "
        "the call out where distributed.is_available() is False"
    )


def destroy_process_group(group: Any = None) -> None:
    """Nothing: there is no group."""
