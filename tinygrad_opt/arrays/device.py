"""Devices: where an array lies, and moving it there."""

from __future__ import annotations

import functools
import sys
import threading
from typing import Any

import numpy as np

from .dtypes import NAMES
from .memory import owner

__all__ = ["Device", "check_device", "default", "device_of", "get_default_device",
           "is_available", "is_cupys", "is_foreign", "set_default_device", "shared",
           "to_device"]  # fmt: skip


class Device:
    """Where a tensor's memory lies: `cpu` or `cuda:N`, as `torch.device`.

    `Device("cuda:1")`, `Device("cuda", 1)` and `Device("cpu")` are the three spellings.
    `with Device("cuda"):` lets new tensors that name no device lie there.
    Raises RuntimeError for any other device type.
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, type: str | Device, index: int | None = None) -> None:
        if isinstance(type, Device):
            index = type.index if index is None else index
            type = type.type
        kind, colon, number = str(type).partition(":")
        if kind not in ("cpu", "cuda") or (colon and not number.isdecimal()):
            raise RuntimeError(
                f"Expected a device string of the form 'cpu', 'cuda' or 'cuda:N', got {type!r}"
                f"{_if_a_type(kind)}"
            )
        self.type = kind
        self.index = int(number) if number else index

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Device)
            and self.type == other.type
            and (self.type == "cpu" or (self.index or 0) == (other.index or 0))
        )

    def __hash__(self) -> int:
        return hash((self.type, 0 if self.type == "cpu" else self.index or 0))

    def __enter__(self) -> Device:
        default.before.append(default.device)
        default.device = self
        return self

    def __exit__(self, *exc: object) -> None:
        default.device = default.before.pop()

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{index})"


CPU = Device("cpu")


class _Default(threading.local):
    """The device of new tensors that name none, and those of the blocks around; None is the CPU."""

    device: Device | None = None

    def __init__(self) -> None:
        self.before: list[Device | None] = []


default = _Default()


def _if_a_type(name: str) -> str:
    """What to write instead, where somebody gave the name of a type."""
    known = any(name == str(dtype) for dtype in NAMES)
    return f"; a type goes by its object: torch.{name}" if known else ""


def set_default_device(device: Device | str | None) -> None:
    """Lets new tensors that name no device lie on `device`, in this thread; None: the CPU."""
    default.device = None if device is None else Device(device)


def get_default_device() -> Device:
    """The device of new tensors that name none."""
    return default.device or CPU


class NoCudaError(ImportError, RuntimeError):
    """No GPU can be used here; scripts that try one expect PyTorch's RuntimeError."""


@functools.cache
def cupy() -> Any:
    """The CuPy module, or an ImportError (and RuntimeError) that says which extra brings it."""
    try:
        import cupy as module
    except ImportError as error:
        raise NoCudaError(
            "a CUDA device was asked for, but CuPy cannot be imported; "
            'install it with: pip install "tinygrad_opt[cuda]"'
        ) from error
    return module


def is_available() -> bool:
    """Whether tensors can live on a CUDA device here: CuPy is installed and sees a GPU."""
    try:
        return cupy().cuda.runtime.getDeviceCount() > 0
    except Exception:  # CuPy missing, or its driver calls fail: both mean no
        return False


def is_cupys(array: Any) -> bool:
    """Whether an array is one of CuPy's, which need not be imported to say so."""
    return type(array).__module__.partition(".")[0] == "cupy"


def device_of(array: Any) -> Device:
    """The device that holds a raw array."""
    if is_cupys(array):
        return Device("cuda", int(array.device.id))
    return CPU


def check_device(device: Device) -> None:
    """Raise RuntimeError for a GPU that tensors cannot lie on: any but the first."""
    if device.index:
        cupy()  # or what to install
        raise RuntimeError(
            f"{device}: invalid device ordinal: tensors lie on one GPU, cuda:0. To use another, "
            f"start the program with CUDA_VISIBLE_DEVICES={device.index}"
        )


def shared(data: Any) -> Any:
    """The CuPy array over the memory of any object with `__cuda_array_interface__`."""
    array = data if is_cupys(data) else cupy().asarray(data)
    check_device(device_of(array))
    return array


# How CuPy calls the memory that it took itself; that of others is UnownedMemory or the like.
_OWN_MEMORY = {"Memory", "PooledMemory", "MemoryAsync", "ManagedMemory"}


def is_foreign(array: Any) -> bool:
    """Whether something else than the array library owns the memory: a file, another library."""
    if type(array) is not np.ndarray:
        return type(array.data.mem).__name__ not in _OWN_MEMORY
    return owner(array).base is not None


def to_device(array: Any, device: Device | str) -> Any:
    """The raw array on `device`: itself if it is there already, else a copy."""
    device = Device(device)
    if device_of(array) == device:
        return array
    if device.type == "cpu":
        array = cupy().asnumpy(array)
        no_faults.check()
        return array
    library = cupy()
    check_device(device)
    with library.cuda.Device(0):
        return library.asarray(array)


class _NoFaults:
    """What waits for the GPU asks here for errors that kernels found; `faults.py` takes over."""

    @staticmethod
    def check() -> None:
        pass


no_faults: Any = _NoFaults()


def synchronize() -> None:
    """Waits until the current CUDA device has finished all that was asked of it."""
    if sys.modules.get("cupy") is not None:  # None: its import was forbidden
        cupy().cuda.runtime.deviceSynchronize()
        no_faults.check()
