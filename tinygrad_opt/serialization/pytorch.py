"""PyTorch's own files (.pt, .pth), read without running code.

Such a file is a zip archive of a pickle and of the raw memory of every tensor; before PyTorch 1.6
it was a row of pickles and memory in one stream. A pickle is a program for a small machine that can
call anything by name. The one here knows the names in `_KNOWN` alone: they make tensors, arrays and
plain Python objects, from numbers that are checked. Every other name is refused before anything of
it is looked up.
"""

from __future__ import annotations

import argparse
import datetime
import io
import pickle
import re
import struct
import types
import zipfile
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from ..arrays import element_types
from ..arrays.device import Device
from ..arrays.size import Size
from ..core.tensor import Tensor, wrap_plain
from ..nn.parameter import Parameter
from .errors import CheckpointError
from .nest import FACTORIES, view_of

__all__ = ["STORAGES", "is_pytorchs", "read"]

_MAGIC = 0x1950A86A20F9469CFC6C  # the first number of an old file
STORAGES = {
    "DoubleStorage": "f8", "FloatStorage": "f4", "HalfStorage": "f2", "BFloat16Storage": "bf2",
    "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1",
    "ByteStorage": "u1", "BoolStorage": "?", "ComplexFloatStorage": "c8",
    "ComplexDoubleStorage": "c16", "UntypedStorage": "u1",
}  # fmt: skip

Place = Callable[[Any, str], Any]


def is_pytorchs(data: bytes) -> bool:
    """Whether the bytes look like a file of PyTorch's, and not like NumPy's."""
    if data[:4] == b"PK\x03\x04":
        return b".npy" not in data[:200]
    long_header = data[4:9] == b"\0\0\0\0{"  # safetensors: a length of 8 bytes, then JSON
    return data[:1] == b"\x80" and not long_header


def read(data: bytes, place: Place) -> Any:
    """What a file of PyTorch's holds; `place` says where tensors lie.

    bfloat16, which NumPy lacks, becomes float32. Raises CheckpointError for a name that is not
    known, for a tensor outside its memory and for what is not whole.
    """
    if data[:4] != b"PK\x03\x04":
        return _read_stream(io.BytesIO(data), place)
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise CheckpointError(f"it is a damaged or cut off file of PyTorch's ({error})") from None
    pickles = [name for name in names if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise CheckpointError("it is a zip archive, but none that PyTorch wrote: no data.pkl in it")
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}constants.pkl" in names:
        raise CheckpointError(
            "it is a scripted module of torch.jit: a program. Where PyTorch is, store its "
            "state_dict() with torch.save"
        )
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise CheckpointError("its entries are compressed, as PyTorch does not write them")
    order = archive.read(f"{root}byteorder") if f"{root}byteorder" in names else b"little"

    def memory(key: str, dtype: str, count: int) -> Any:
        try:
            raw = archive.read(f"{root}data/{key}")
        except (KeyError, zipfile.BadZipFile) as error:
            raise CheckpointError(
                f"the memory of a tensor is missing or damaged ({error})"
            ) from None
        if dtype == "u1":
            return np.frombuffer(raw, np.uint8).copy()
        return _numbers(raw, dtype, count, order == b"big")

    machine = _Machine(io.BytesIO(archive.read(pickles[0])), memory, place)
    return _settled(machine.load())


def _numbers(raw: bytes, dtype: str, count: int, big: bool) -> Any:
    """The numbers in raw memory, as an array of one axis that may be written to."""
    if dtype == "bf2":  # the upper half of a float32
        kind = np.dtype(">u2" if big else "<u2")
        halves = np.frombuffer(raw, kind, count).astype(np.uint32)
        return (halves << 16).view(np.float32)
    kind = np.dtype(dtype).newbyteorder(">" if big else "<")
    return np.frombuffer(raw, kind, count).astype(np.dtype(dtype))


def _read_stream(file: io.BytesIO, place: Place) -> Any:
    """A file of before PyTorch 1.6: pickles in a row, and the memory of all tensors behind them."""

    def plain() -> Any:
        return _Machine(file, _no_memory, place).load()

    if plain() != _MAGIC:
        raise CheckpointError(
            "it is a pickle, but not as torch.save writes them; pickle.load can run any code"
        )
    plain(), plain()  # the version, and facts about the machine
    waiting: dict[str, tuple[str, Any]] = {}

    def memory(key: str, dtype: str, count: int) -> Any:
        if count > len(file.getbuffer()):
            raise CheckpointError("a tensor is longer than its file")
        kept = np.zeros(count, np.float32 if dtype == "bf2" else np.dtype(dtype))
        waiting[key] = (dtype, kept)
        return kept

    result = _Machine(file, memory, place).load()
    for key in plain():
        dtype, kept = waiting[key]
        (count,) = struct.unpack("<q", file.read(8))
        if count != kept.size:
            raise CheckpointError("the memory of a tensor has another length than the tensor says")
        size = 2 if dtype == "bf2" else kept.itemsize
        kept[...] = _numbers(file.read(count * size), dtype, count, False)
    return _settled(result)


def _no_memory(key: str, dtype: str, count: int) -> Any:
    raise CheckpointError("a tensor stands where none can be")


# The machine --------------------------------------------------------------------------------------


class _Storage:
    """The memory of a tensor on its way: an array of one axis, and where it was."""

    def __init__(self, array: Any, place: str) -> None:
        self.array, self.place = array, place


_WITH_ATTRIBUTES = (OrderedDict, argparse.Namespace, types.SimpleNamespace)
_InPython: Any = vars(pickle)["_Unpickler"]  # which type checkers do not know


class _Machine(_InPython):
    """An unpickler that knows `_KNOWN` alone; the one in Python.

    The one in C lets a file of a few bytes ask for as much memory as there is (its table of what
    was seen is an array, of any length that the file says), and sets attributes of any object.
    """

    dispatch = dict(_InPython.dispatch)  # noqa: RUF012  (as pickle has it)

    def __init__(self, file: Any, memory: Callable[[str, str, int], Any], place: Place) -> None:
        super().__init__(file)
        self._memory, self._place = memory, place
        self._storages: dict[str, _Storage] = {}
        self._bound = {
            "_rebuild_tensor_v2": self._tensor, "_rebuild_tensor": self._tensor,
            "_rebuild_parameter": self._parameter,
            "_rebuild_parameter_with_state": self._parameter,
        }  # fmt: skip

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name here. Raises CheckpointError for one that is not known."""
        full = f"{module}.{name}"
        if module == "torch._utils" and name in self._bound:
            return self._bound[name]
        if module in ("torch", "torch.storage") and name in STORAGES:
            return name
        if module == "torch" and isinstance(
            kind := getattr(element_types, name, None), element_types.dtype
        ):
            return kind
        if full in _KNOWN:
            return _KNOWN[full]
        raise CheckpointError(_unknown(full))

    def persistent_load(self, pid: Any) -> Any:
        """The memory that a tensor refers to."""
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage"):
            raise CheckpointError("it refers to something that is no memory of a tensor")
        _, kind, key, place, count = pid[:5]
        if kind not in STORAGES or type(count) is not int or count < 0:
            raise CheckpointError(f"its memory is of a type that is not known here: {kind}")
        key = str(key)
        if key not in self._storages:
            made = self._memory(key, STORAGES[kind], count)
            self._storages[key] = _Storage(made, str(place))
        return self._storages[key]

    def _build(self) -> None:
        """Gives an object its state: attributes of an OrderedDict or a Namespace, NumPy's parts."""
        state, made = self.stack.pop(), self.stack[-1]
        if isinstance(made, (_Array, _Dtype)):
            made.__setstate__(state)
        elif isinstance(made, _WITH_ATTRIBUTES) and isinstance(state, dict):
            vars(made).update({str(key): value for key, value in state.items()})
        else:
            raise CheckpointError(f"a state for a {type(made).__name__}, which has none")

    dispatch[pickle.BUILD[0]] = _build

    def _tensor(self, storage: Any, offset: Any, size: Any, stride: Any, required: Any = False,
                *hooks_and_metadata: Any) -> Any:  # fmt: skip
        if not isinstance(storage, _Storage):
            raise CheckpointError("a tensor without memory")
        view = view_of(storage.array, tuple(size), tuple(stride), offset)
        tensor: Any = wrap_plain(self._place(view, storage.place))
        return tensor.requires_grad_() if required is True else tensor

    def _parameter(self, data: Any, required: Any, hooks: Any = None, state: Any = None) -> Any:
        if not isinstance(data, Tensor):
            raise CheckpointError("a Parameter without a tensor")
        return Parameter(data.detach(), requires_grad=required is True)


def _unknown(full: str) -> str:
    module = full.rpartition(".")[0]
    if module.startswith("torch.nn") or module.startswith("torch.optim"):
        return (
            f"it holds a whole object of the class {full}, and making one runs code. Where it "
            "comes from, store its state_dict() instead: torch.save(model.state_dict(), path)"
        )
    return (
        f"it names {full}, which is not known to be harmless: files are read here without running "
        "code. Store tensors, numbers, strings, lists and dicts"
    )


class _Dtype:
    """NumPy's dtype on its way: its state says the order of bytes."""

    def __init__(self, code: Any, align: Any = False, copy: Any = True) -> None:
        if not re.fullmatch(r"[biufc][1248]|[cif]16|b|\?", str(code)):
            raise CheckpointError(f"a NumPy array of the type {code!r} is not read here")
        self.kind = np.dtype("?" if code in ("b", "b1") else str(code))

    def __setstate__(self, state: Any) -> None:
        if state[1] in ("<", ">"):
            self.kind = self.kind.newbyteorder(state[1])


class _Array:
    """NumPy's array on its way, until its state has come."""

    def __init__(self, *ignored: Any) -> None:
        self.array: Any = np.zeros(0)

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, raw = state
        raw = raw.encode("latin1") if isinstance(raw, str) else raw
        flat = np.frombuffer(raw, dtype.kind)
        array = flat.reshape(tuple(shape), order="F" if fortran else "C")
        self.array = array.astype(array.dtype.newbyteorder("="))


def _scalar(dtype: _Dtype, raw: Any) -> Any:
    raw = raw.encode("latin1") if isinstance(raw, str) else raw
    return np.frombuffer(raw, dtype.kind, 1)[0]


def _bytes_of(*text_and_code: Any) -> bytes:
    text, code = (*text_and_code, "latin1")[:2]
    return str(text).encode(str(code))


def _bytearray(*parts: Any) -> bytearray:
    if parts and isinstance(parts[0], str):
        return bytearray(_bytes_of(*parts))
    if any(not isinstance(part, (bytes, bytearray)) for part in parts):
        raise CheckpointError("a bytearray of something that is no bytes")
    return bytearray(b"".join(parts))


def _path(*parts: str) -> Path:
    return Path(*map(str, parts))


def _default_dict(factory: Any = None, *rest: Any) -> Any:
    kind = factory.kind if isinstance(factory, _Kind) else factory
    if kind is not None and kind not in FACTORIES.values():
        kind = set  # whose name stands for a function here
    return defaultdict(kind, *rest)


def _with_state(function: Any, kind: Any, args: Any, state: Any) -> Any:
    return function(*args)


def _no_hooks(*args: Any) -> None:
    return None


def _of_items(kind: Any) -> Any:
    """A constructor that takes items which are there already: no `list(range(10**12))`."""

    def made(items: Any = ()) -> Any:
        if not isinstance(items, (list, tuple, dict)):
            raise CheckpointError(f"a {kind.__name__} of something that is no list")
        return kind(items)

    return made


class _Kind:
    """A class that is only named, as the factory of a defaultdict is; it cannot be called."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind


_BUILTINS: dict[str, Any] = {
    **{name: _Kind(kind) for name, kind in FACTORIES.items() if kind is not set},
    "set": _of_items(set), "frozenset": _of_items(frozenset), "complex": complex, "slice": slice,
    "range": range, "xrange": range, "bytearray": _bytearray,
}  # fmt: skip
_KNOWN: dict[str, Any] = {
    **{f"builtins.{name}": value for name, value in _BUILTINS.items()},
    **{f"__builtin__.{name}": value for name, value in _BUILTINS.items()},
    "_codecs.encode": _bytes_of,
    "collections.OrderedDict": _of_items(OrderedDict), "collections.Counter": _of_items(Counter),
    "collections.defaultdict": _default_dict,
    "argparse.Namespace": argparse.Namespace, "types.SimpleNamespace": types.SimpleNamespace,
    "datetime.datetime": datetime.datetime, "datetime.date": datetime.date,
    "datetime.time": datetime.time, "datetime.timedelta": datetime.timedelta,
    **{f"pathlib.{kind}Path": _path for kind in ("Posix", "Windows", "")},
    **{f"pathlib._local.{kind}Path": _path for kind in ("Posix", "Windows", "")},
    "pathlib.PurePosixPath": PurePosixPath, "pathlib.PureWindowsPath": PureWindowsPath,
    "torch.Size": _of_items(Size), "torch.device": Device,
    **{name: _Kind(Tensor) for name in ("torch.Tensor", "torch.nn.parameter.Parameter",
                                        "torch.nn.parameter.Buffer")},
    "torch._tensor._rebuild_from_type_v2": _with_state,
    "torch.utils.hooks.unserializable_hook": _no_hooks,
    **{
        f"{module}.{name}": value
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
        for name, value in (("_reconstruct", _Array), ("scalar", _scalar))
    },
    "numpy.ndarray": _Kind(np.ndarray), "numpy.dtype": _Dtype,
}  # fmt: skip


def _settled(value: Any) -> Any:
    """The nest with arrays in the place of those on their way."""
    return _Settling().settled(value)


class _Settling:
    """Goes through a nest once, whatever holds what."""

    def __init__(self) -> None:
        self._done: dict[int, tuple[Any, Any]] = {}  # by id: the object, which stays, and its like

    def settled(self, value: Any) -> Any:
        """One object, and all in it."""
        if isinstance(value, _Array):
            return value.array
        if isinstance(value, _Storage):
            return wrap_plain(value.array)
        if isinstance(value, (_Dtype, _Kind)):
            return value.kind
        if not isinstance(value, (dict, list, tuple, argparse.Namespace, types.SimpleNamespace)):
            return value
        if id(value) not in self._done:
            self._done[id(value)] = value, value
            self._done[id(value)] = value, self._inside(value)
        return self._done[id(value)][1]

    def _inside(self, value: Any) -> Any:
        if isinstance(value, dict):
            for key, item in value.items():
                value[key] = self.settled(item)
        elif isinstance(value, list):
            value[:] = [self.settled(item) for item in value]
        elif type(value) is tuple:
            return tuple(self.settled(item) for item in value)
        elif not isinstance(value, tuple):
            self.settled(vars(value))
        return value
