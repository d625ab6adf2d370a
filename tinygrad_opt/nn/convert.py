"""Moving a Module to another device or float type, in place."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays.device import Device, to_device
from ..arrays.quiet import quiet_cast
from ..core.record import wrap_plain
from ..core.tensor import Tensor
from .parameter import is_lazy

__all__ = ["convert"]


def convert(module: Any, *args: Any, recurse: bool = True, **kwargs: Any) -> Any:
    """Give parameters, gradients and buffers another device and float type; see Module.to."""
    device, dtype = _target(*args, **kwargs)

    def moved(array: Any) -> Any:
        if dtype is not None and array.dtype.kind == "f" and array.dtype != dtype:
            array = quiet_cast(array, dtype)
        return array if device is None else to_device(array, device)

    for p in module.parameters(recurse):
        array = moved(p.array)
        if array is not p.array:
            p.array = array
            p._home = None  # its slot in an optimizer's buffer is of the old kind
            if p.grad is not None:
                p.grad = p.grad.detach().to(*args, **kwargs)
    seen: dict[int, Tensor] = {}  # a buffer that two modules share stays shared
    for part in module.modules() if recurse else [module]:
        for name, buffer in part._buffers.items():
            if buffer is not None:
                array = moved(buffer.array)
                if is_lazy(buffer):
                    buffer.array = array
                elif array is not buffer.array:
                    part.__dict__[name] = seen.setdefault(id(buffer), wrap_plain(array))
    return module


def _target(
    *args: Any, device: Any = None, dtype: Any = None, non_blocking: bool = False
) -> tuple[Device | None, np.dtype[Any] | None]:
    for arg in args:
        if isinstance(arg, Tensor):
            device, dtype = arg.device, arg.dtype
        elif isinstance(arg, (str, Device)):
            device = arg
        elif arg is not None and not isinstance(arg, bool):
            dtype = arg
    if dtype is not None:
        dtype = np.dtype(dtype)
        if dtype.kind != "f":
            raise TypeError(
                f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}"
            )
    return None if device is None else Device(device), dtype
