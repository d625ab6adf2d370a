"""Moving a Module to another device or float type, in place."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from ..arrays.device import Device, to_device
from ..arrays.quiet import quiet_cast
from ..core.tensor import Tensor, wrap_plain
from .parameter import is_lazy

__all__ = ["Conversions", "convert"]

M = TypeVar("M", bound="Conversions")


class Conversions:
    """The methods of Module that give it another device or float type."""

    def to(self: M, *args: Any, **kwargs: Any) -> M:
        """Moves parameters, gradients and buffers to a device, a float type, or those of a Tensor.

        `to("cuda")`, `to(float64)`, `to("cuda", float64)`, `to(other)`, or by `device=`, `dtype=`.
        Parameters stay the same objects, so an optimizer that has them keeps working. Integer
        buffers keep their type. Raises TypeError for a type that is not floating-point.
        """
        return convert(self, *args, **kwargs)

    def cpu(self: M) -> M:
        """Moves to main memory."""
        return convert(self, "cpu")

    def cuda(self: M, device: int | None = None) -> M:
        """Moves to a CUDA device."""
        return convert(self, "cuda" if device is None else f"cuda:{device}")

    def to_empty(self: M, *, device: Any, recurse: bool = True) -> M:
        """Moves to a device; the values there are not to be relied on. `recurse`: all below too."""
        return convert(self, device, recurse=recurse)

    def type(self: M, dst_type: Any) -> M:
        """The same as `to(dst_type)`."""
        return convert(self, dtype=dst_type)

    def float(self: M) -> M:
        """The same as `to(float32)`."""
        return convert(self, dtype="float32")

    def double(self: M) -> M:
        """The same as `to(float64)`."""
        return convert(self, dtype="float64")

    def half(self: M) -> M:
        """The same as `to(float16)`."""
        return convert(self, dtype="float16")

    def share_memory(self: M) -> M:
        """This module; other processes get copies of its parameters."""
        return self

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Accepted, as PyTorch's; what is compiled here is a training step: `compile(step)`."""


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
    *args: Any,
    device: Any = None,
    dtype: Any = None,
    non_blocking: bool = False,
    memory_format: Any = None,
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
