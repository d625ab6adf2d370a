"""Tensors as text, the way PyTorch prints them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from . import dtypes
from .backend import to_device

if TYPE_CHECKING:
    from ._tensor import Tensor

_DEFAULT_TYPES = (dtypes.int64, dtypes.bool)  # these need no `dtype=` to be read back
_LINE = 80  # characters
_MANY = 1000  # more elements than this are summarized ...
_EDGE = 3  # ... to so many at each end of each axis
_INDENT = len("tensor(")

Cell = Callable[[Any], str]


def to_text(tensor: Tensor) -> str:
    """`tensor([1., 2.], requires_grad=True)`: values, then whatever is not the default."""
    kind = "Parameter containing:\n" if tensor.__class__.__name__ == "Parameter" else ""
    array = np.asarray(to_device(tensor.array, "cpu"))
    text = f"tensor({_values(array)}"
    room = _LINE - (len(text) - text.rfind("\n") + 1)
    for note in _notes(tensor):
        if len(note) + 2 > room:
            text += ",\n" + " " * _INDENT + note
            room = _LINE - _INDENT - len(note)
        else:
            text += ", " + note
            room -= len(note) + 2
    return f"{kind}{text})"


def _notes(tensor: Tensor) -> Iterator[str]:
    """What stands behind the values."""
    if tensor.is_cuda:
        yield f"device='{tensor.device}'"
    usual: tuple[Any, ...] = (dtypes.get_default_dtype(),)
    if tensor.array.size:
        usual += _DEFAULT_TYPES
    elif tensor.array.ndim != 1:
        yield f"size={tuple(tensor.array.shape)}"
    if tensor.dtype not in usual:
        yield f"dtype={tensor.dtype}"
    if tensor.node is not None:
        yield f"grad_fn={tensor.node!r}"
    elif tensor.requires_grad:
        yield "requires_grad=True"


def _values(array: np.ndarray[Any, Any]) -> str:
    if array.size == 0:
        return "[]"
    summarize = array.size > _MANY
    shown = array
    if summarize:
        for axis, n in enumerate(array.shape):
            shown = shown.take([i for i in range(n) if i < _EDGE or i >= n - _EDGE], axis)
    cell = _float_cell(shown) if array.dtype.kind == "f" else _plain_cell(shown)
    return _block(array, cell, _INDENT, summarize)


def _plain_cell(array: np.ndarray[Any, Any]) -> Cell:
    width = max(len(str(value)) for value in array.ravel().tolist())
    return lambda value: str(value.item()).rjust(width)


def _float_cell(array: np.ndarray[Any, Any]) -> Cell:
    """One format for all elements: `2.`, `2.5000` or, where sizes differ much, `2.5000e+00`."""
    sizes = np.abs(array[np.isfinite(array) & (array != 0)].astype(np.float64))
    whole = bool((sizes == np.ceil(sizes)).all())
    least, most = (sizes.min(), sizes.max()) if sizes.size else (1.0, 1.0)
    if most / least > 1000 or most > 1e8 or (least < 1e-4 and not whole):
        form = "{:.4e}"
    else:
        form = "{:.0f}." if whole else "{:.4f}"
    finite = array[np.isfinite(array) & (array != 0)].tolist()
    width = max((len(form.format(value)) for value in finite), default=1)

    def cell(value: Any) -> str:
        text = form.format(float(value)) if np.isfinite(value) else str(float(value))
        return text.rjust(width)

    return cell


def _block(array: np.ndarray[Any, Any], cell: Cell, indent: int, summarize: bool) -> str:
    """The array in nested brackets; `indent` is the column of the first one."""
    if array.ndim == 0:
        return cell(array[()])
    if array.ndim == 1:
        return _row(array, cell, indent, summarize)
    parts = [_block(part, cell, indent + 1, summarize) for part in _ends(array, summarize)]
    if summarize and len(array) > 2 * _EDGE:
        parts.insert(_EDGE, "...")
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _row(array: np.ndarray[Any, Any], cell: Cell, indent: int, summarize: bool) -> str:
    cells = [cell(value) for value in _ends(array, summarize)]
    per_line = max(1, (_LINE - indent) // (len(cells[0]) + 2)) if cells else 1
    if summarize and len(array) > 2 * _EDGE:
        cells.insert(_EDGE, " ...")
    lines = [", ".join(cells[i : i + per_line]) for i in range(0, len(cells), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _ends(array: np.ndarray[Any, Any], summarize: bool) -> list[Any]:
    if summarize and len(array) > 2 * _EDGE:
        return [*array[:_EDGE], *array[-_EDGE:]]
    return list(array)
