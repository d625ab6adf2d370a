"""Saving and loading without running code: safetensors with JSON in it, and PyTorch's own files.

`save` takes a state dict or any nest of dicts, lists, tuples, numbers, strings, Tensors and more.
In a safetensors file the tensors are the entries, under their path in the nest ("model.0.weight"),
so that PyTorch's users load them with `safetensors.torch.load_file`. The nest itself, with
references in the place of tensors, is JSON in the file's metadata, beside a checksum over all of
it. A file whose name ends with .pt or .pth is written as PyTorch's `torch.save` does
(`pytorch_writing.py`), since that is what the name says. `load` tells the two apart by content.

A file is written under another name, flushed, and renamed into place: whoever looks finds the
old file or the new one, never a part.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from . import pytorch, pytorch_writing
from .atomic import replace
from .errors import CheckpointError
from .nest import DTYPES, Encoder, decoded
from .placing import placing

__all__ = ["CheckpointError", "load", "save"]

_TREE, _CHECKSUM = "tinygrad_opt", "tinygrad_opt.crc32"  # names of the metadata's entries
_PYTORCHS = (".pt", ".pth")
_FORMATS = ("pytorch", "safetensors")


def save(
    obj: Any, f: str | os.PathLike[str] | Any, pickle_module: Any = None, pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True, *, format: str | None = None,
) -> None:  # fmt: skip
    """Writes a state dict, or a nest of things, to a file; an old file stays till then.

    obj: dicts, lists, tuples, sets, numbers, strings, bytes, None, Tensors, Parameters, NumPy
    arrays, devices, dtypes, sizes, paths, dates and Namespaces, nested at will.
    f: a path, or an open binary file.
    format: "safetensors", or "pytorch" for what torch.load reads; by default "pytorch" for names
    that end with .pt or .pth.  pickle_module, pickle_protocol: accepted.
    What shares memory does so again, and leaves that require a gradient require it again.
    Raises TypeError, naming the place, for anything else (a function, a Module, an open file),
    ValueError for what holds itself, and OSError, naming the path, if it cannot be written.

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "weights.safetensors"
    >>> save({"weight": tensor([1.0, 2.0]), "epoch": 3}, path)
    >>> load(path)
    {'weight': tensor([1., 2.]), 'epoch': 3}
    """
    if format is None:
        named = not hasattr(f, "write") and os.fspath(f).lower().endswith(_PYTORCHS)
        format = "pytorch" if named else "safetensors"
    if format not in _FORMATS:
        raise ValueError(f"save: format must be one of {_FORMATS}, got {format!r}")
    try:
        data = pytorch_writing.written(obj) if format == "pytorch" else _safetensors(obj)
    except RecursionError as error:
        raise ValueError("save: it holds itself, or is nested too deeply") from error
    if hasattr(f, "write"):
        f.write(data)
    else:
        replace(Path(f), data)


def _safetensors(obj: Any) -> bytes:
    encoder = Encoder()
    content = encoder.encoded(obj)
    encoder.finish()
    tree = json.dumps({_TREE: 1, "content": content})
    metadata = {_TREE: tree, _CHECKSUM: _checksum(encoder.arrays, tree), "format": "pt"}
    return safetensors.numpy.save(encoder.arrays, metadata)


def load(
    f: str | os.PathLike[str] | Any, map_location: Any = None, pickle_module: Any = None, *,
    weights_only: bool = True, mmap: bool | None = None, **pickle_load_args: Any,
) -> Any:  # fmt: skip
    """What `save` wrote; a file of PyTorch's; or the tensors by name of a safetensors file.

    f: a path, or an open binary file.
    map_location: the device for all tensors (default: the CPU, wherever they were); a dict of
    places, {"cuda:0": "cpu"}; or a function of a storage and its place.
    weights_only, mmap, pickle_module: accepted; nothing in a file is ever executed.
    bfloat16, which NumPy lacks, becomes float32.
    Raises CheckpointError for a file that is damaged, truncated, of another kind, or holds what
    only running code could make; and FileNotFoundError.
    """
    place = placing(map_location)
    name = getattr(f, "name", "the file") if hasattr(f, "read") else os.fspath(f)
    data = f.read() if hasattr(f, "read") else Path(f).read_bytes()
    if isinstance(data, str):
        raise TypeError(f"load: {name} is opened as text; open it with the mode 'rb'")
    with _explained(name):
        if pytorch.is_pytorchs(data):
            return pytorch.read(data, place)
        arrays, metadata = _parsed(data)
        return decoded(_tree(arrays, metadata), arrays, place)


# Reading ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Whatever a broken file does to the parsers becomes one CheckpointError that names it."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{name} cannot be loaded: {error}") from None
    except Exception as error:  # of which a pickle can make any
        raise CheckpointError(
            f"{name} cannot be loaded: it is damaged, cut off, or neither a safetensors file nor "
            f"PyTorch's ({type(error).__name__}: {error})"
        ) from error


def _parsed(data: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """The arrays by name in the order of the file, and the metadata."""
    try:
        entries = safetensors.deserialize(data)  # checks sizes against the file's own
    except safetensors.SafetensorError:
        if data[:6] == b"\x93NUMPY" or (data[:2] == b"PK" and b".npy" in data[:200]):
            raise CheckpointError("it is a NumPy file; read it with numpy.load") from None
        raise
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata = header.get("__metadata__") or {}
    entries.sort(key=lambda entry: header[entry[0]]["data_offsets"])
    return {key: _array(key, entry) for key, entry in entries}, metadata


def _tree(arrays: dict[str, Any], metadata: dict[str, str]) -> Any:
    """The nest that `save` stored; for files of others, their tensors by name.

    Of weights that share memory safetensors' `save_model` stores one, and notes the other names.
    """
    if not any(_TREE in text for pair in metadata.items() for text in pair):
        tied = {name: kept for name, kept in metadata.items() if kept in arrays}
        return {name: {"$tensor": kept} for name, kept in ({k: k for k in arrays} | tied).items()}
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
    if entry["dtype"] not in DTYPES:
        raise CheckpointError(f"{key} is of type {entry['dtype']}, which has no equal in NumPy")
    flat: Any = np.frombuffer(entry["data"], DTYPES[entry["dtype"]])
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
