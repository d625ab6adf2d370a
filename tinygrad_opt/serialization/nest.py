"""Nests as JSON: what people put into checkpoints, with references in the place of tensors.

What JSON lacks is a dict of one entry whose name begins with `$`: {"$tuple": [1, 2]}. Tensors and
arrays go to a table of arrays by their path in the nest. Every one is stored in full, so that
others can read it; where two share memory here, the note in the nest says how, and they do again.
"""

from __future__ import annotations

import argparse
import base64
import datetime
import math
import types
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from ..arrays.device import CPU, Device, to_device
from ..arrays.element_types import dtype as element_type
from ..arrays.memory import address
from ..arrays.size import Size
from ..core.tensor import Tensor, wrap_plain
from ..nn.parameter import Buffer, Parameter
from .errors import CheckpointError

__all__ = ["DTYPES", "FACTORIES", "Encoder", "decoded", "is_whole", "lies_in", "path_to",
           "refusal", "view_of"]  # fmt: skip

DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32,
    "I16": np.int16, "I8": np.int8, "U64": np.uint64, "U32": np.uint32, "U16": np.uint16,
    "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip

# The factories that a defaultdict may have.
FACTORIES: dict[str, Any] = {
    kind.__name__: kind for kind in (bool, dict, float, int, list, set, str, tuple)
}


def path_to(value: Any, root: Any) -> str:
    """Where in the nest `root` an object stands: "model.0", "the top", or that it is inside."""
    seen: set[int] = set()

    def found(at: Any, path: tuple[str, ...]) -> tuple[str, ...] | None:
        if at is value:
            return path
        if id(at) in seen or not isinstance(at, (dict, list, tuple)):
            return None
        seen.add(id(at))
        parts = at.items() if isinstance(at, dict) else enumerate(at)
        deeper = (found(part, (*path, str(key))) for key, part in parts)
        return next((way for way in deeper if way is not None), None)

    path = found(root, ())
    return "some place in it" if path is None else place_of(path)


def refusal(value: Any, place: str) -> TypeError:
    """What is said of something that no file holds."""
    what = f"save: cannot store a {type(value).__name__} at {place}; "
    if hasattr(value, "state_dict"):
        return TypeError(
            what
            + "it is a program as much as numbers, and reading it back would run code. Instead, "
            "store the state_dict() of a model, an optimizer or a scheduler, and make the object "
            "from its class before load_state_dict()"
        )
    return TypeError(
        what + "only dicts, lists, tuples, sets, numbers, strings, bytes, None, Tensors, NumPy "
        "arrays, devices, dtypes, paths, dates and Namespaces. Of a model, an optimizer or a "
        "scheduler store the state_dict()"
    )


class Encoder:
    """Turns a nest into what JSON can hold; `arrays` are its tensors and arrays by their paths."""

    def __init__(self) -> None:
        self.arrays: dict[str, Any] = {}
        self._held: list[tuple[dict[str, Any], str, Any]] = []  # (note, name, the array itself)

    def finish(self) -> None:
        """Notes which tensors share memory, once all have been seen."""
        hosts = [(name, array) for _, name, array in self._held if is_whole(array)]
        hosts.sort(key=lambda host: -host[1].size)
        for note, name, array in self._held:
            for host, whole in hosts:
                if host != name and lies_in(array, whole):
                    offset = (address(array) - address(whole)) // array.itemsize
                    strides = [n // array.itemsize for n in array.strides]
                    note["of"] = [host, offset, strides]
                    break
                if host == name:
                    break

    def encoded(self, value: Any, path: tuple[str, ...] = ()) -> Any:
        """`value` as JSON. Raises TypeError, naming the place, for what no file holds."""
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"$float": repr(value)}
        if isinstance(value, Tensor):
            return self._tensor(value, path)
        if isinstance(value, np.ndarray):
            return {"$array": self._stored(value, path)}
        if isinstance(value, np.generic) and not isinstance(value.item(), np.generic):
            if value.dtype.kind not in "biuf":
                return self.encoded(value.item(), path)
            return {"$scalar": [value.dtype.str, self.encoded(value.item(), path)]}
        if isinstance(value, dict):
            return self._dict(value, path)
        if isinstance(value, (list, tuple)):
            items = [self.encoded(item, (*path, str(i))) for i, item in enumerate(value)]
            if isinstance(value, list):
                return items
            return {"$size" if isinstance(value, Size) else "$tuple": items}
        if isinstance(value, (set, frozenset)):
            items = [self.encoded(item, path) for item in sorted(value, key=repr)]
            return {f"${'frozen' if isinstance(value, frozenset) else ''}set": items}
        return self._other(value, path)

    def _tensor(self, value: Tensor, path: tuple[str, ...]) -> Any:
        array = to_device(value.array, CPU)
        name = self._stored(array, path)
        note: dict[str, Any] = {"name": name}
        if isinstance(value, (Parameter, Buffer)):
            note["kind"] = type(value).__name__
        if value.requires_grad and value.is_leaf:
            note["requires_grad"] = True
        self._held.append((note, name, array))
        return {"$tensor": note}

    def _dict(self, value: Any, path: tuple[str, ...]) -> Any:
        items = [(k, self.encoded(v, (*path, str(k)))) for k, v in value.items()]
        plain = all(type(k) is str and not k.startswith("$") for k in value)
        if type(value) is OrderedDict or type(value) is dict:
            shown: Any = dict(items) if plain else self._pairs(items, path)
            if type(value) is dict:
                return shown if plain else {"$dict": shown}
            return {"$ordered": self._pairs(items, path)}
        if isinstance(value, Counter):
            return {"$counter": self._pairs(items, path)}
        if isinstance(value, defaultdict):
            factory = getattr(value.default_factory, "__name__", None)
            if (
                value.default_factory is None
                or FACTORIES.get(str(factory)) is value.default_factory
            ):
                return {"$defaultdict": [factory, self._pairs(items, path)]}
            raise TypeError(
                f"save: cannot store a defaultdict of {value.default_factory!r} at "
                f"{place_of(path)}; only of {', '.join(FACTORIES)}: store dict(it)"
            )
        return dict(items) if plain else {"$dict": self._pairs(items, path)}

    def _pairs(self, items: Any, path: tuple[str, ...]) -> Any:
        return [[self.encoded(k, path), item] for k, item in items]

    def _other(self, value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, (bool, int, str)):  # subclasses, such as members of an IntEnum
            return self.encoded(int(value) if isinstance(value, int) else str(value), path)
        if isinstance(value, float):
            return self.encoded(float(value), path)
        for kind, (name, write, _) in _OTHERS.items():
            if isinstance(value, kind):
                return {f"${name}": self.encoded(write(value), path)}
        raise refusal(value, place_of(path))

    def _stored(self, array: Any, path: tuple[str, ...]) -> str:
        if isinstance(array, np.ma.MaskedArray) or array.dtype.type not in DTYPES.values():
            raise TypeError(
                f"save: cannot store an array of {array.dtype} ({type(array).__name__}) at "
                f"{place_of(path)}; only bools, integers and floats of up to 64 bits, without a "
                "mask"
            )
        # A file's names are UTF-8, which has no halves of surrogate pairs.
        name = base = ".".join(path).encode("utf-8", "backslashreplace").decode() or "tensor"
        count = 1
        while name in self.arrays or name == "__metadata__":  # {"a.b": x, "a": {"b": y}}
            count += 1
            name = f"{base}#{count}"
        native = np.asarray(array, array.dtype.newbyteorder("="))
        self.arrays[name] = np.ascontiguousarray(native).reshape(array.shape)
        return name


def place_of(path: tuple[str, ...]) -> str:
    """The path in the nest, in words."""
    return ".".join(path) or "the top"


# Shared memory ------------------------------------------------------------------------------------


def is_whole(array: Any) -> bool:
    """Whether others can be views of this array: of its elements, without gaps."""
    return bool(array.flags.c_contiguous and array.size)


def lies_in(array: Any, whole: Any) -> bool:
    """Whether an array is a view of elements of `whole`, which has no gaps."""
    if array.dtype != whole.dtype or not array.size or min(array.strides, default=0) < 0:
        return False
    if any(n % array.itemsize for n in array.strides):
        return False
    start, first = address(array), address(whole)
    last = start + sum((n - 1) * s for n, s in zip(array.shape, array.strides, strict=True))
    return first <= start and last + array.itemsize <= first + whole.nbytes


def view_of(flat: Any, shape: Any, strides: Any, offset: int) -> Any:
    """The view of a flat array. Raises CheckpointError if any element would lie outside."""
    numbers = [*shape, *strides, offset]
    fits = len(shape) == len(strides) and all(type(n) is int and n >= 0 for n in numbers)
    if fits and 0 not in shape:
        last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        fits = last < flat.size
    if not fits:
        raise CheckpointError(f"a tensor of shape {list(shape)} lies outside its memory")
    if 0 in shape:
        return np.empty(shape, flat.dtype)
    steps = [n * flat.itemsize for n in strides]
    return np.lib.stride_tricks.as_strided(flat[offset:], shape, steps)


# Other objects: their name in the file, how they are written, and how they are read ---------------


def _pure(kind: str, text: str) -> PurePath:
    own = {"PurePosixPath": PurePosixPath, "PureWindowsPath": PureWindowsPath}
    return own[kind](text) if kind in own else Path(text)


_OTHERS: dict[Any, tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = {
    Device: ("device", str, Device),
    element_type: ("dtype", lambda d: d.name, lambda name: _dtype(name)),
    bytearray: ("bytearray", lambda b: base64.b64encode(b).decode(),
                lambda text: bytearray(base64.b64decode(text))),
    bytes: ("bytes", lambda b: base64.b64encode(b).decode(), lambda text: base64.b64decode(text)),
    complex: ("complex", lambda z: [z.real, z.imag], lambda pair: complex(*pair)),
    range: ("range", lambda r: [r.start, r.stop, r.step], lambda three: range(*three)),
    slice: ("slice", lambda s: [s.start, s.stop, s.step], lambda three: slice(*three)),
    PurePath: ("path", lambda p: [_kind_of(p), str(p)], lambda pair: _pure(*pair)),
    argparse.Namespace: ("namespace", vars, lambda held: argparse.Namespace(**held)),
    types.SimpleNamespace: ("simplenamespace", vars, lambda held: types.SimpleNamespace(**held)),
    datetime.datetime: ("datetime", datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    datetime.date: ("date", datetime.date.isoformat, datetime.date.fromisoformat),
    datetime.timedelta: ("timedelta", lambda d: [d.days, d.seconds, d.microseconds],
                         lambda three: datetime.timedelta(*three)),
    np.dtype: ("numpy", lambda d: d.str, lambda text: np.dtype(str(text))),
}  # fmt: skip


def _kind_of(path: PurePath) -> str:
    return "Path" if isinstance(path, Path) else type(path).__name__


def _dtype(name: Any) -> Any:
    from ..arrays import element_types

    found = getattr(element_types, str(name), None)
    if not isinstance(found, element_type):
        raise CheckpointError(f"it holds a type {name!r}, which this version does not know")
    return found


_READERS: dict[str, Callable[[Any], Any]] = {
    **{f"${name}": read for name, _, read in _OTHERS.values()},
    "$float": float,
    "$tuple": tuple, "$size": Size, "$set": set, "$frozenset": frozenset,
    "$dict": dict, "$ordered": OrderedDict, "$counter": lambda pairs: Counter(dict(pairs)),
    "$defaultdict": lambda two: defaultdict(two[0] and FACTORIES[two[0]], two[1]),
    "$scalar": lambda two: np.dtype(str(two[0])).type(two[1]),
}  # fmt: skip


def decoded(node: Any, arrays: dict[str, Any], place: Callable[[Any, str], Any]) -> Any:
    """The nest that `Encoder` made JSON of.

    place: of a raw array on the CPU and "cpu" makes the array on the device where it shall lie.
    Raises CheckpointError for what this version does not know.
    """
    if isinstance(node, list):
        return [decoded(item, arrays, place) for item in node]
    if not isinstance(node, dict):
        return node
    if len(node) != 1 or not next(iter(node)).startswith("$"):
        return {key: decoded(item, arrays, place) for key, item in node.items()}
    ((kind, content),) = node.items()
    if kind == "$tensor":
        return _tensor(content, arrays, place)
    if kind == "$array":
        return arrays[content]
    if kind not in _READERS:
        raise CheckpointError(f"it holds a {kind}, which this version does not know")
    return _READERS[kind](decoded(content, arrays, place))


def _tensor(note: Any, arrays: dict[str, Any], place: Callable[[Any, str], Any]) -> Any:
    if isinstance(note, str):  # as earlier versions wrote it, and of files of others
        return wrap_plain(place(arrays[note], "cpu"))
    array = arrays[note["name"]]
    if "of" in note:
        host, offset, strides = note["of"]
        array = view_of(arrays[host].reshape(-1), array.shape, strides, offset)
    tensor: Any = wrap_plain(place(array, "cpu"))
    required = bool(note.get("requires_grad", False))
    if note.get("kind") == "Parameter":
        return Parameter(tensor, requires_grad=required)
    if note.get("kind") == "Buffer":
        return Buffer(tensor)
    return tensor.requires_grad_() if required else tensor
