"""Saving and loading without pickle: tensors in a safetensors file, everything else as JSON in it.

`save` takes a state dict or any nest of dicts, lists, tuples, numbers, strings and Tensors. The
tensors become the entries of the file, under their path in the nest ("model.0.weight"), so that
PyTorch's users load them with `safetensors.torch.load_file`. The nest itself, with references in
the place of tensors, is JSON in the file's metadata, beside a checksum over all of it.

A file is written under another name, flushed, and renamed into place: whoever looks finds the
old file or the new one, never a part.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import stat
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from .arrays.device import CPU, to_device
from .core.tensor import Tensor, wrap_plain

__all__ = ["CheckpointError", "load", "save"]

_TREE, _CHECKSUM = "tinygrad_opt", "tinygrad_opt.crc32"  # names of the metadata's entries
_DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32,
    "I16": np.int16, "I8": np.int8, "U64": np.uint64, "U32": np.uint32, "U16": np.uint16,
    "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip


class CheckpointError(RuntimeError):
    """A file that is damaged, cut off, or not what it claims to be."""


def save(obj: Any, f: str | os.PathLike[str] | Any) -> None:
    """Writes a state dict, or a nest of them, to a safetensors file; an old file stays till then.

    obj: dicts, lists, tuples, numbers, strings, None, Tensors and NumPy arrays, nested at will.
    f: a path, or an open binary file.
    Raises TypeError, naming the place, for anything else (a function, a Module, an open file),
    ValueError for what holds itself, and OSError, naming the path, if it cannot be written.

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "weights.safetensors"
    >>> save({"weight": tensor([1.0, 2.0]), "epoch": 3}, path)
    >>> load(path)
    {'weight': tensor([1., 2.]), 'epoch': 3}
    """
    arrays: dict[str, Any] = {}
    try:
        tree = json.dumps({_TREE: 1, "content": _encoded(obj, (), arrays)})
    except RecursionError as error:
        raise ValueError("save: it holds itself, or is nested too deeply") from error
    metadata = {_TREE: tree, _CHECKSUM: _checksum(arrays, tree), "format": "pt"}
    data = safetensors.numpy.save(arrays, metadata)
    if hasattr(f, "write"):
        f.write(data)
    else:
        _replace(Path(f), data)


def load(
    f: str | os.PathLike[str] | Any, map_location: Any = None, *, weights_only: bool = True
) -> Any:
    """What `save` wrote; or the tensors by name, of a safetensors file made by others.

    f: a path, or an open binary file.  map_location: the device for all tensors (default: cpu).
    weights_only: accepted either way, since a file here never holds anything but data.
    bfloat16, which NumPy lacks, becomes float32. Nothing in a file is ever executed.
    Raises CheckpointError for a file that is damaged, truncated or no safetensors file, and
    FileNotFoundError.
    """
    name = getattr(f, "name", "the file") if hasattr(f, "read") else os.fspath(f)
    data = f.read() if hasattr(f, "read") else Path(f).read_bytes()
    if isinstance(data, str):
        raise TypeError(f"load: {name} is opened as text; open it with the mode 'rb'")
    with _explained(name):
        arrays, metadata = _parsed(data)
        return _decoded(_tree(arrays, metadata), arrays, map_location)


# Files --------------------------------------------------------------------------------------------


def _replace(path: Path, data: bytes) -> None:
    """Write `data` beside `path`, make sure it is on the disk, and rename it into place.

    The other name is nobody else's, so that threads and processes may save to one path. Raises
    OSError (FileNotFoundError, PermissionError, ...) that names `path`.
    """
    try:
        path = path.resolve()  # a link stays one: what it points to is replaced
        mode = _mode_of(path)
        if mode is not None and not stat.S_ISREG(mode):
            path.write_bytes(data)  # a pipe or a device is there to be written to
            return
        temporary = path.with_name(f".{path.name[:40]}.{uuid.uuid4().hex}.tmp")
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if mode is not None:
                with contextlib.suppress(OSError):  # a file system without permissions
                    temporary.chmod(stat.S_IMODE(mode))
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        if error.errno is None:
            raise
        raise type(error)(error.errno, error.strerror, str(path)) from error
    with contextlib.suppress(OSError, AttributeError):  # not on every system; the file is whole
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _mode_of(path: Path) -> int | None:
    """The type and permissions of the file there; None if there is none yet.

    Raises PermissionError for a file that may not be written to, IsADirectoryError for a folder:
    a rename would replace the one and fail strangely at the other.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return mode


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Whatever a broken file does to the parsers becomes one CheckpointError that names it."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{name} cannot be loaded: {error}") from None
    except (
        safetensors.SafetensorError, ValueError, KeyError, TypeError, IndexError, OverflowError,
        RecursionError, MemoryError, AttributeError,
    ) as error:  # fmt: skip
        raise CheckpointError(
            f"{name} cannot be loaded: it is damaged, cut off, or no safetensors file ({error})"
        ) from error


def _parsed(data: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """The arrays by name in the order of the file, and the metadata."""
    try:
        entries = safetensors.deserialize(data)  # checks sizes against the file's own
    except safetensors.SafetensorError:
        if data[:6] == b"\x93NUMPY" or (data[:2] == b"PK" and b".npy" in data[:200]):
            raise CheckpointError("it is a NumPy file; read it with numpy.load") from None
        if data[:4] == b"PK\x03\x04" or data[:1] == b"\x80":
            raise CheckpointError(
                "it is a pickle, as torch.save writes them, and unpickling can run any code. "
                "Convert it where it comes from: safetensors.torch.save_file(state_dict, path)"
            ) from None
        raise
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata = header.get("__metadata__") or {}
    entries.sort(key=lambda entry: header[entry[0]]["data_offsets"])
    return {key: _array(key, entry) for key, entry in entries}, metadata


def _tree(arrays: dict[str, Any], metadata: dict[str, str]) -> Any:
    """The nest that `save` stored; for files of others, their tensors by name."""
    if not any(_TREE in text for pair in metadata.items() for text in pair):
        return {key: {"$tensor": key} for key in arrays}
    if _TREE not in metadata or _CHECKSUM not in metadata:
        raise CheckpointError("its metadata is incomplete")
    if metadata[_CHECKSUM] != _checksum(arrays, metadata[_TREE]):
        raise CheckpointError("its checksum does not match its content")
    stored = json.loads(metadata[_TREE])
    if stored[_TREE] != 1:
        raise CheckpointError(f"it was written in format {stored[_TREE]} by a newer version")
    return stored["content"]


def _array(key: str, entry: dict[str, Any]) -> Any:
    if entry["dtype"] == "BF16":  # the upper half of a float32
        halves = np.frombuffer(entry["data"], np.uint16).astype(np.uint32)
        return (halves << 16).view(np.float32).reshape(entry["shape"])
    if entry["dtype"] not in _DTYPES:
        raise CheckpointError(f"{key} is of type {entry['dtype']}, which has no equal in NumPy")
    flat: Any = np.frombuffer(entry["data"], _DTYPES[entry["dtype"]])
    return flat.reshape(entry["shape"]).copy()


def _checksum(arrays: dict[str, Any], tree: str) -> str:
    """CRC-32 over the JSON and over name, type, shape and bytes of every array."""
    crc = zlib.crc32(tree.encode())
    for name in sorted(arrays):
        array = arrays[name]
        crc = zlib.crc32(f"{name} {array.dtype.str} {list(array.shape)}".encode(), crc)
        contiguous: Any = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        crc = zlib.crc32(contiguous, crc)
    return f"{crc:08x}"


# The nest -----------------------------------------------------------------------------------------


def _encoded(value: Any, path: tuple[str, ...], arrays: dict[str, Any]) -> Any:
    """`value` as JSON; its tensors go to `arrays` and leave references behind."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, Tensor):
        return {"$tensor": _stored(to_device(value.array, CPU), path, arrays)}
    if isinstance(value, np.ndarray):
        return {"$array": _stored(value, path, arrays)}
    if isinstance(value, np.generic) and not isinstance(value.item(), np.generic):
        return _encoded(value.item(), path, arrays)
    if isinstance(value, (list, tuple)):
        items = [_encoded(item, (*path, str(i)), arrays) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    if isinstance(value, dict):
        items = [(k, _encoded(v, (*path, str(k)), arrays)) for k, v in value.items()]
        if all(isinstance(k, str) and not k.startswith("$") for k in value):
            return dict(items)
        return {"$dict": [[_encoded(k, path, arrays), item] for k, item in items]}
    raise TypeError(
        f"save: cannot store a {type(value).__name__} at {_place(path)}; only "
        "dicts, lists, tuples, numbers, strings, None, Tensors and NumPy arrays. Of a model, an "
        "optimizer or a scheduler store the state_dict()"
    )


def _stored(array: Any, path: tuple[str, ...], arrays: dict[str, Any]) -> str:
    if isinstance(array, np.ma.MaskedArray) or array.dtype.type not in _DTYPES.values():
        raise TypeError(
            f"save: cannot store an array of {array.dtype} ({type(array).__name__}) at "
            f"{_place(path)}; only bools, integers and floats of up to 64 bits, without a mask"
        )
    # A file's names are UTF-8, which has no halves of surrogate pairs.
    name = base = ".".join(path).encode("utf-8", "backslashreplace").decode() or "tensor"
    count = 1
    while name in arrays or name == "__metadata__":  # {"a.b": x, "a": {"b": y}}
        count += 1
        name = f"{base}#{count}"
    native = np.asarray(array, array.dtype.newbyteorder("="))
    arrays[name] = np.ascontiguousarray(native).reshape(array.shape)
    return name


def _place(path: tuple[str, ...]) -> str:
    return ".".join(path) or "the top"


def _decoded(node: Any, arrays: dict[str, Any], device: Any) -> Any:
    if isinstance(node, list):
        return [_decoded(item, arrays, device) for item in node]
    if not isinstance(node, dict):
        return node
    if len(node) != 1 or not next(iter(node)).startswith("$"):
        return {key: _decoded(item, arrays, device) for key, item in node.items()}
    ((kind, content),) = node.items()
    if kind == "$tensor":
        return wrap_plain(to_device(arrays[content], device or CPU))
    if kind == "$array":
        return arrays[content]
    if kind == "$float":
        return float(content)
    if kind == "$tuple":
        return tuple(_decoded(item, arrays, device) for item in content)
    if kind == "$dict":
        pairs = ((_decoded(k, arrays, device), _decoded(v, arrays, device)) for k, v in content)
        return dict(pairs)
    raise CheckpointError(f"it holds a {kind}, which this version does not know")
