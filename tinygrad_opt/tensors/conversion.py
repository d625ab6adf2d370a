"""Methods of Tensor that convert it: to another type, another device, other memory, to lists."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from .. import ops
from ..arrays import dtypes
from ..arrays.device import CPU, Device, device_of, no_faults
from ..arrays.quiet import quiet_cast
from ..core.node import Variable
from ..core.tensor import Tensor, wrap_plain
from .layouts import check_format, contiguous_format, lies_so, preserve_format

__all__ = ["Conversions"]


class Conversions(Tensor):
    """Methods; `methods.py` binds them to Tensor."""

    __slots__ = ()

    def to(
        self,
        *args: Any,
        dtype: Any = None,
        device: Any = None,
        non_blocking: builtins.bool = False,
        copy: builtins.bool = False,
        memory_format: Any = preserve_format,
    ) -> Tensor:
        """On another device, in another type, or both: `to("cuda")`, `to(float64)`, `to(other)`.

        Returns the tensor itself if nothing changes, unless `copy`. Gradients flow back through
        the conversion. `non_blocking` is accepted; copies between devices wait.
        """
        for arg in args:
            if isinstance(arg, Variable):
                dtype, device = arg.array.dtype, device_of(arg.array)
            elif isinstance(arg, (str, Device)):
                device = arg
            elif arg is not None and not isinstance(arg, bool):
                dtype = np.dtype(arg)
        result: Tensor = self
        if dtype is not None and np.dtype(dtype) != self.array.dtype:
            dtype = np.dtype(dtype)
            if dtype.kind in "fc":
                result = ops.cast(result, dtype=dtype)
            else:  # integers and bools have no gradient
                result = wrap_plain(quiet_cast(self.array, dtype))
        if device is not None and Device(device) != self.device:
            result = ops.to_device(result, device=Device(device))
        if memory_format is not preserve_format:
            result = result.contiguous(memory_format=memory_format)
        return result.clone() if copy and result is self else result

    def cpu(self) -> Tensor:
        """In main memory."""
        return self.to(CPU)

    def cuda(self, device: int | None = None) -> Tensor:
        """On a CUDA device."""
        return self.to(Device("cuda", device))

    def type(self, dtype: Any = None) -> Any:
        """PyTorch's name of the type, or the tensor converted to `dtype` or such a name."""
        if dtype is None:
            device = "cuda." if self.is_cuda else ""
            return f"torch.{device}{dtypes.name_of(self.dtype)}Tensor"
        return self.to(*dtypes.named(dtype)) if isinstance(dtype, str) else self.to(dtype)

    def float(self) -> Tensor:
        """As float32."""
        return self.to(dtypes.float32)

    def double(self) -> Tensor:
        """As float64."""
        return self.to(dtypes.float64)

    def half(self) -> Tensor:
        """As float16."""
        return self.to(dtypes.float16)

    def long(self) -> Tensor:
        """As int64."""
        return self.to(dtypes.int64)

    def int(self) -> Tensor:
        """As int32."""
        return self.to(dtypes.int32)

    def bool(self) -> Tensor:
        """As bool."""
        return self.to(dtypes.bool)

    def type_as(self, other: Tensor) -> Tensor:
        """In the type of `other`."""
        return self.to(other.dtype)

    def item(self) -> Any:
        """The single element as a Python number."""
        if self.array.size != 1:
            raise RuntimeError(
                f"a Tensor with {self.array.size} elements cannot be converted to Scalar"
            )
        value = self.array.item()
        no_faults.check()
        return value

    def numpy(self, *, force: builtins.bool = False) -> np.ndarray[Any, Any]:
        """The NumPy array, sharing memory. Raises where a gradient or a device stands between.

        force: without raising, of `detach().cpu()`, which on a GPU is a copy.
        """
        if force:
            return self.detach().cpu().numpy()
        if self.requires_grad:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() "
                "instead."
            )
        if type(self.array) is not np.ndarray:
            raise TypeError(
                f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to "
                "copy the tensor to host memory first."
            )
        return self.array

    def tolist(self) -> Any:
        """Nested Python lists of the elements; a number for a 0-d tensor."""
        values = self.array.tolist()
        no_faults.check()
        return values

    def clone(self, *, memory_format: Any = preserve_format) -> Tensor:
        """A copy that gradients flow back through."""
        return _in_format("clone", ops.clone(self), memory_format)

    def contiguous(self, memory_format: Any = contiguous_format) -> Tensor:
        """In row-major memory, or in the order of a format: itself if it lies so, else a copy."""
        return _in_format("contiguous", self, memory_format)


def _in_format(name: str, tensor: Any, format: Any) -> Any:
    """The tensor in the order of a format: itself if it lies so already, else a copy."""
    if format is preserve_format:
        return tensor
    channels_last = check_format(name, format, tensor.array.ndim)
    if lies_so(tensor.array, format):
        return tensor
    if not channels_last:
        return ops.clone(tensor)
    behind = ops.clone(tensor.permute(0, *range(2, tensor.array.ndim), 1))
    return behind.permute(0, behind.array.ndim - 1, *range(1, behind.array.ndim - 1))
