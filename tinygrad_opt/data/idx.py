"""IDX files, the format of MNIST: a NumPy array of any shape, plain or compressed with gzip."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from ..core.tensor import Tensor, wrap_plain

__all__ = ["IdxError", "load_idx", "load_mnist", "save_idx"]

# The third byte of a file, and what it stands for; numbers are stored with the high byte first.
_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"


class IdxError(ValueError):
    """A file that is cut off, damaged, or no IDX file."""


def load_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """The array in an IDX file; gzip is recognised by its content, whatever the name.

    Returns an array of the file's type (uint8, int8, int16, int32, float32 or float64) and shape.
    Raises IdxError when the content is not what the header says, and FileNotFoundError.
    Source: Y. LeCun's page of MNIST, "The IDX file format".

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "labels.gz"
    >>> save_idx(path, np.array([5, 0, 4], dtype=np.uint8))
    >>> load_idx(path)
    array([5, 0, 4], dtype=uint8)
    """
    data = Path(path).read_bytes()
    if data[:2] == _GZIP:
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise IdxError(f"{path}: its gzip is damaged or cut off ({error})") from error
    dtype, shape = _header(path, data)
    start, count = 4 + 4 * len(shape), math.prod(shape)
    expected, found = count * dtype.itemsize, len(data) - start
    if found != expected:
        state = "cut off" if found < expected else "longer than its header says"
        raise IdxError(
            f"{path}: {state}; {shape} of {dtype.name} are {expected} bytes, but {found} follow"
        )
    return np.frombuffer(data, dtype, offset=start).astype(dtype.newbyteorder("=")).reshape(shape)


def _header(path: object, data: bytes) -> tuple[np.dtype, tuple[int, ...]]:
    """Type and shape, from two zeros, one byte for each of type and dimensions, and the sizes."""
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _DTYPES:
        raise IdxError(
            f"{path}: no IDX file; it begins with {data[:4].hex(' ') or 'nothing'}, an IDX file "
            f"with 00 00, one of {', '.join(f'{code:02x}' for code in _DTYPES)}, and the number of "
            "dimensions. Is it the page of an error that was downloaded in its place?"
        )
    if len(data) < 4 + 4 * data[3]:
        raise IdxError(f"{path}: cut off within the sizes of its {data[3]} dimensions")
    return np.dtype(_DTYPES[data[2]]), struct.unpack_from(f">{data[3]}I", data, 4)


def save_idx(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Write an array as an IDX file, with gzip where the name ends in ".gz".

    array: of one of the six types of the format, with at most 255 dimensions.
    Raises TypeError for other types.
    """
    array = np.asarray(array)
    codes = {np.dtype(text).newbyteorder("="): code for code, text in _DTYPES.items()}
    if (code := codes.get(array.dtype.newbyteorder("="))) is None:
        names = ", ".join(dtype.name for dtype in codes)
        raise TypeError(f"save_idx: IDX files hold {names}, not {array.dtype.name}")
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    data = header + array.astype(_DTYPES[code]).tobytes()
    if os.fspath(path).endswith(".gz"):
        data = gzip.compress(data, mtime=0)  # the same array is the same file
    Path(path).write_bytes(data)


def load_mnist(folder: str | os.PathLike[str], train: bool = True) -> tuple[Tensor, Tensor]:
    """MNIST, or a data set in its form (Fashion-MNIST, KMNIST), from the files it is published in.

    folder: holds train-images-idx3-ubyte and train-labels-idx1-ubyte, or those that begin with
        t10k for train=False; each may end in ".gz", or have a dot in place of the last hyphen.
    Returns images (n, 1, height, width), float32 from 0 to 1, and labels (n,), int64.
    Raises FileNotFoundError that lists what was looked for, and IdxError.
    """
    part = "train" if train else "t10k"
    images_at = _find(folder, f"{part}-images", "idx3-ubyte")
    labels_at = _find(folder, f"{part}-labels", "idx1-ubyte")
    images, labels = load_idx(images_at), load_idx(labels_at)
    for path, array, dims in ((images_at, images, 3), (labels_at, labels, 1)):
        if array.ndim != dims or array.dtype != np.uint8:
            raise IdxError(
                f"{path}: expected {dims} dimensions of uint8, got {array.shape} of {array.dtype}"
            )
    if len(images) != len(labels):
        raise IdxError(f"{images_at} has {len(images)} images, {labels_at} {len(labels)} labels")
    scaled = images[:, None].astype(np.float32) / 255
    return wrap_plain(scaled), wrap_plain(labels.astype(np.int64))


def _find(folder: str | os.PathLike[str], name: str, kind: str) -> Path:
    """The file of that name in any of its usual spellings."""
    names = [f"{name}{mark}{kind}{end}" for end in ("", ".gz") for mark in "-."]
    for path in (Path(folder) / name for name in names):
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"{folder} has none of {', '.join(names)}; get them where the data is published"
    )
