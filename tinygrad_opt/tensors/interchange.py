"""Sharing memory with other libraries: DLPack, and the interface of arrays on a GPU.

NumPy, CuPy, PyTorch and JAX speak DLPack; both sides then see what either writes. What was handed
in stays where it is: an optimizer steps it there (`optim/ownership.py`).
"""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..arrays import dtypes
from ..arrays.device import Device, check_device, cupy, to_device
from ..core.tensor import Tensor, wrap_plain

__all__ = ["Interchange", "from_dlpack", "frombuffer"]

# Before 2.2, NumPy does not ask whether memory is read-only, and takes all for it.
NUMPY_ASKS = np.lib.NumpyVersion(np.__version__) >= "2.2.0"
_CUDA = (2, 13)  # DLPack's numbers for CUDA's memory and its managed memory


class Interchange(Tensor):
    """Methods; `methods.py` binds them to Tensor."""

    __slots__ = ()

    def __dlpack__(self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None,
                   copy: bool | None = None) -> Any:  # fmt: skip
        how = dict(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)
        given = {name: value for name, value in how.items() if value is not None}
        return _exported(self).__dlpack__(**given)  # NumPy 2.0 knows `stream` alone

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()

    @property
    def __cuda_array_interface__(self) -> Any:
        """How CuPy, Numba and PyTorch see memory on a GPU; AttributeError for main memory."""
        if not self.is_cuda:
            raise AttributeError(
                f"Can't get __cuda_array_interface__ on non-CUDA tensor type: {self.type()}. If "
                "CUDA data is required use tensor.cuda() to copy tensor to device memory."
            )
        return _exported(self).__cuda_array_interface__


def _exported(tensor: Tensor) -> Any:
    """The raw array, for others to write to; BufferError where autograd would not see that."""
    if tensor.requires_grad:
        raise BufferError(
            "Can't export tensors that require gradient, use tensor.detach() to share the memory"
        )
    return tensor.array


def frombuffer(
    buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """A Tensor of one axis over the memory of `bytes`, a `bytearray` or another buffer.

    count    how many elements; -1: all behind `offset`, in bytes

    Raises ValueError for a buffer that is too short, or holds no whole number of elements.

    >>> frombuffer(bytearray([1, 2, 3]), dtype=np.uint8)
    tensor([1, 2, 3], dtype=torch.uint8)
    """
    array = np.frombuffer(buffer, np.dtype(dtype), count, offset)
    made = wrap_plain(array)
    return made.requires_grad_() if requires_grad else made


def _on_host(ext_tensor: Any) -> Any:
    """NumPy's array over memory on the CPU, which can be written to unless its owner forbids it."""
    array = np.from_dlpack(ext_tensor)
    if array.flags.writeable or NUMPY_ASKS or _is_read_only(ext_tensor):
        return array
    told = array.__array_interface__
    told = {**told, "data": (told["data"][0], False)}
    return np.asarray(SimpleNamespace(__array_interface__=told, memory=array))


def _is_read_only(ext_tensor: Any) -> bool:
    """What the owner says of it: the lowest bit of the flags in a DLManagedTensorVersioned."""
    try:
        capsule = ext_tensor.__dlpack__(max_version=(1, 0))
    except TypeError:  # it speaks an older DLPack, in which nothing is read-only
        return False
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.argtypes, pointer.restype = [ctypes.py_object, ctypes.c_char_p], ctypes.c_void_p
    try:
        start = pointer(capsule, b"dltensor_versioned")
    except ValueError:  # again an older one
        return False
    return bool(ctypes.c_uint64.from_address(start + 24).value & 1)


def from_dlpack(
    ext_tensor: Any, *, device: Device | str | None = None, copy: bool | None = None
) -> Tensor:
    """A Tensor over the memory of another library's array: NumPy's, CuPy's, PyTorch's, JAX's.

    ext_tensor   an object with `__dlpack__` and `__dlpack_device__`
    device       where the result shall lie; elsewhere than `ext_tensor` it is a copy
    copy         True: always a copy; False: never; None: only for another device

    What the other library says is read-only (JAX's arrays) cannot be written to in place. Raises
    TypeError for anything else and for types that tensors do not have, ValueError if `copy=False`
    and only a copy would do.

    >>> a = np.arange(3.0)
    >>> from_dlpack(a).mul_(2)
    tensor([0., 2., 4.], dtype=torch.float64)
    >>> a
    array([0., 2., 4.])
    """
    if not (hasattr(ext_tensor, "__dlpack__") and hasattr(ext_tensor, "__dlpack_device__")):
        raise TypeError(
            "from_dlpack: expected an array with __dlpack__ and __dlpack_device__, got "
            f"{type(ext_tensor).__name__}; tensor(data) takes lists and numbers"
        )
    kind, number = ext_tensor.__dlpack_device__()
    if int(kind) in _CUDA:
        check_device(Device("cuda", int(number)))
        array = cupy().from_dlpack(ext_tensor)
    else:
        array = _on_host(ext_tensor)
    if array.dtype not in dtypes.NAMES:
        raise TypeError(f"from_dlpack: tensors have no type {array.dtype}; convert it first")
    moved = array if device is None else to_device(array, device)
    if copy is False and moved is not array:
        raise ValueError(f"from_dlpack: only a copy can lie on {device}, and copy=False")
    return wrap_plain(moved.copy() if copy and moved is array else moved)
