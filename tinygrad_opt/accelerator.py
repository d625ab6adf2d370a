"""The accelerator, whichever there is, as `torch.accelerator`: here CUDA's GPU or none."""

from __future__ import annotations

from typing import Any

from .arrays.device import Device, is_available, synchronize
from .cuda import device_count

__all__ = [
    "current_accelerator", "current_device_index", "device_count", "is_available",
    "set_device_index", "synchronize",
]  # fmt: skip


def current_accelerator(check_available: bool = False) -> Device | None:
    """`device("cuda")`, or None."""
    return Device("cuda") if is_available() else None


def current_device_index() -> int:
    """0, the GPU that tensors lie on."""
    return 0


def set_device_index(device: Any) -> None:
    """Nothing: tensors lie on the first GPU."""
