"""Files that torch.load reads, written without PyTorch: the other side of `pytorch.py`."""

from __future__ import annotations

import argparse
import datetime
import io
import pickle
import types
import zipfile
from collections import Counter, OrderedDict, defaultdict
from pathlib import PurePath
from typing import Any

import numpy as np

from ..arrays import element_types
from ..arrays.device import CPU, Device, to_device
from ..arrays.memory import address
from ..arrays.size import Size
from ..core.tensor import Tensor
from ..nn.parameter import Parameter
from .nest import is_whole, lies_in, path_to, refusal
from .pytorch import STORAGES

__all__ = ["written"]

_NAMES = {np.dtype(code).str[1:]: name for name, code in STORAGES.items() if code[:2] != "bf"}
_NAMES["u1"] = "ByteStorage"


def written(obj: Any) -> bytes:
    """The bytes of a file that torch.load reads.

    Raises TypeError for what no file holds.
    """
    seen = _Writer(io.BytesIO(), None, obj)
    seen.dump(obj)  # to see which tensors share memory
    pickled, made = io.BytesIO(), io.BytesIO()
    writer = _Writer(pickled, seen.seen, obj)
    writer.dump(obj)
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, data in (
            ("data.pkl", pickled.getvalue()), ("byteorder", b"little"), ("version", b"3\n"),
            *((f"data/{i}", memory) for i, memory in enumerate(writer.memories)),
        ):  # fmt: skip
            entry = zipfile.ZipInfo(f"archive/{name}")  # the same bytes at any time of day
            archive.writestr(entry, data)
    return made.getvalue()


class _Global:
    """A name that the pickle refers to, of a module that need not be here."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self) -> None:
        """Nothing: pickle asks that what it is to call can be called."""


class _Memory:
    """The memory that tensors share, as the pickle refers to it."""

    def __init__(self, key: int, array: Any, place: str) -> None:
        self.key, self.place = str(key), place
        self.count = int(array.size)
        self.kind = _Global("torch", _NAMES[array.dtype.str[1:]])


_REBUILD = _Global("torch._utils", "_rebuild_tensor_v2")
_REBUILD_PARAMETER = _Global("torch._utils", "_rebuild_parameter")
_SIZE, _DEVICE = _Global("torch", "Size"), _Global("torch", "device")
_STORED = (
    bool, bytearray, bytes, complex, dict, float, frozenset, int, list, range, set, slice, str,
    tuple, type(None), Counter, OrderedDict, defaultdict, argparse.Namespace, types.SimpleNamespace,
    datetime.date, datetime.time, datetime.timedelta, PurePath, np.dtype, np.generic, np.ndarray,
)  # fmt: skip
_MODULES = {"argparse", "builtins", "collections", "datetime", "numpy", "pathlib", "types"}
_HELPERS = {"copyreg", "numpy._core.multiarray", "numpy.core.multiarray", "_codecs"}


class _Rebuilt:
    """The tensor in a Parameter, as the pickle makes it."""

    def __init__(self, parts: Any) -> None:
        self.parts = parts


_InPython: Any = vars(pickle)["_Pickler"]  # which type checkers do not know


class _Writer(_InPython):
    """A pickler that writes tensors as PyTorch does; the one in Python, whose names can be ours.

    together: all arrays of the nest, which may be views of one another; None: just look at them.
    root: the nest, to say where in it something stands.
    """

    def __init__(self, file: Any, together: list[Any] | None, root: Any) -> None:
        super().__init__(file, 2)
        self._root = root
        self.memories: list[bytes] = []
        self.seen: list[Any] = []
        self._known: dict[Any, _Memory] = {}
        self._hosts = sorted(
            (array for array in together or () if is_whole(array)), key=lambda array: -array.size
        )

    def persistent_id(self, obj: Any) -> Any:
        """How the pickle refers to memory."""
        if isinstance(obj, _Memory):
            return ("storage", obj.kind, obj.key, obj.place, obj.count)
        return None

    def reducer_override(self, obj: Any) -> Any:
        """How tensors and the like are made again. Raises TypeError for what no file holds."""
        if isinstance(obj, _Global):
            return f"\0{obj.module}\0{obj.name}"
        if isinstance(obj, element_types.dtype):
            return f"\0torch\0{obj.name}"
        if isinstance(obj, Tensor):
            return self._tensor(obj)
        if isinstance(obj, _Rebuilt):
            return _REBUILD, obj.parts
        if isinstance(obj, Size):
            return _SIZE, (tuple(obj),)
        if isinstance(obj, Device):
            return _DEVICE, (obj.type,) if obj.index is None else (obj.type, obj.index)
        if isinstance(obj, np.ndarray):
            if obj.dtype.kind not in "biufc" or isinstance(obj, np.ma.MaskedArray):
                place = path_to(obj, self._root)
                raise TypeError(f"save: cannot store an array of {obj.dtype} at {place}")
            return NotImplemented
        kind = obj if isinstance(obj, type) else type(obj)
        if issubclass(kind, _STORED) and kind.__module__.partition(".")[0] in _MODULES:
            return NotImplemented
        if getattr(obj, "__module__", None) in _HELPERS and callable(obj):
            return NotImplemented
        raise refusal(obj, path_to(obj, self._root))

    def save_global(self, obj: Any, name: str | None = None) -> None:
        """A name of PyTorch's, past pickle's check that it can be imported here."""
        if name is not None and name.startswith("\0"):
            _, module, attribute = name.split("\0")
            self.write(pickle.GLOBAL + f"{module}\n{attribute}\n".encode())
            self.memoize(obj)
        else:
            super().save_global(obj, name)

    def _tensor(self, tensor: Any) -> Any:
        array = to_device(tensor.array, CPU)
        if array.dtype.str[1:] not in _NAMES:
            raise TypeError(f"save: PyTorch's files have no tensors of {array.dtype}")
        self.seen.append(array)
        required = tensor.requires_grad and tensor.is_leaf
        parts: Any = (*self._memory(array, str(tensor.device)), False, OrderedDict())
        if isinstance(tensor, Parameter):
            return _REBUILD_PARAMETER, (_Rebuilt(parts), required, OrderedDict())
        return _REBUILD, (*parts[:4], required, OrderedDict())

    def _memory(self, array: Any, place: str) -> tuple[_Memory, int, Any, Any]:
        """The memory of an array, where in it the array begins, and its shape and strides."""
        host = next((host for host in self._hosts if lies_in(array, host)), None)
        if host is None:
            host = array = np.ascontiguousarray(array).reshape(array.shape)
            self.seen.append(host)  # whose address is a key: it has to stay
        key = (address(host), host.size, host.dtype.str)
        if key not in self._known:
            self._known[key] = _Memory(len(self.memories), host, place)
            self.memories.append(host.astype(host.dtype.newbyteorder("<"), copy=False).tobytes())
        offset = (address(array) - address(host)) // array.itemsize
        strides = tuple(n // array.itemsize for n in array.strides)
        return self._known[key], offset, tuple(array.shape), strides
