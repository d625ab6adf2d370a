"""Tensors as text, the way PyTorch prints them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..arrays import dtypes
from ..arrays.device import to_device
from ..arrays.quiet import quiet
from ..core.tensor import Tensor

_DEFAULT_TYPES = (dtypes.int64, dtypes.bool)  # these need no `dtype=` to be read back
_INDENT = len("tensor(")


@dataclass
class _Options:
    precision: int = 4  # digits after the point
    threshold: float = 1000  # more elements than this are summarized ...
    edgeitems: int = 3  # ... to so many at each end of each axis
    linewidth: int = 80  # characters
    sci_mode: bool | None = None  # exponents: always, never, or where sizes differ much (None)


_PROFILES = {
    "default": _Options(),
    "short": _Options(precision=2, edgeitems=2),
    "full": _Options(threshold=math.inf),
}
_options = _Options()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """How tensors print from now on; what is not given stays, but `sci_mode`, which resets.

    precision  digits after the point (4)
    threshold  how many elements print in full (1000)
    edgeitems  how many print at each end of an axis beyond that (3)
    linewidth  characters in a line (80)
    profile    "default", "short" or "full": where the others start from
    sci_mode   exponents always (True), never (False), or where sizes differ much (None)
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"set_printoptions: profile must be one of {list(_PROFILES)}")
        vars(_options).update(vars(_PROFILES[profile]))
    given = dict(precision=precision, threshold=threshold, edgeitems=edgeitems, linewidth=linewidth)
    vars(_options).update({name: value for name, value in given.items() if value is not None})
    _options.sci_mode = sci_mode


class Cell(NamedTuple):
    """How to write one element, and how wide the widest is."""

    text: Callable[[Any], str]
    width: int


@quiet
def to_text(tensor: Tensor) -> str:
    """`tensor([1., 2.], requires_grad=True)`: values, then whatever is not the default."""
    kind = "Parameter containing:\n" if tensor.__class__.__name__ == "Parameter" else ""
    array = np.asarray(to_device(tensor.array, "cpu"))
    text = f"tensor({_values(array)}"
    room = _options.linewidth - (len(text) - text.rfind("\n") + 1)
    for note in _notes(tensor):
        if len(note) + 2 > room:
            text += ",\n" + " " * _INDENT + note
            room = _options.linewidth - _INDENT - len(note)
        else:
            text += ", " + note
            room -= len(note) + 2
    return f"{kind}{text})"


def _notes(tensor: Tensor) -> Iterator[str]:
    """What stands behind the values."""
    if tensor.is_cuda:
        yield f"device='{tensor.device}'"
    usual: tuple[Any, ...] = (dtypes.get_default_dtype(),)
    usual += (dtypes.complex_of(usual[0]),)
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
    summarize = array.size > _options.threshold
    shown, edge = array, _options.edgeitems
    if summarize:
        for axis, n in enumerate(array.shape):
            shown = shown.take([i for i in range(n) if i < edge or i >= n - edge], axis)
    cell = _CELLS.get(array.dtype.kind, _plain_cell)(shown)
    return _block(array, cell, _INDENT, summarize)


def _plain_cell(array: np.ndarray[Any, Any]) -> Cell:
    width = max(len(str(value)) for value in array.ravel().tolist())
    return Cell(lambda value: str(value.item()).rjust(width), width)


def _float_cell(array: np.ndarray[Any, Any]) -> Cell:
    """One format for all elements: `2.`, `2.5000` or, where sizes differ much, `2.5000e+00`."""
    sizes = np.abs(array[np.isfinite(array) & (array != 0)].astype(np.float64))
    whole = bool((sizes == np.ceil(sizes)).all())
    least, most = (sizes.min(), sizes.max()) if sizes.size else (1.0, 1.0)
    exponents = _options.sci_mode
    if not sizes.size:
        exponents = False
    elif exponents is None:
        exponents = bool(most / least > 1000 or most > 1e8 or (least < 1e-4 and not whole))
    if exponents:
        form = f"{{:.{_options.precision}e}}"
    else:
        form = "{:.0f}." if whole else f"{{:.{_options.precision}f}}"
    finite = array[np.isfinite(array) & (array != 0)].tolist()
    width = max((len(form.format(value)) for value in finite), default=1)

    def cell(value: Any) -> str:
        text = form.format(float(value)) if np.isfinite(value) else str(float(value))
        return text.rjust(width)

    return Cell(cell, width)


def _complex_cell(array: np.ndarray[Any, Any]) -> Cell:
    """Real and imaginary parts, each in its own format: `1.+2.j`, `1.5000-2.j`."""
    real, imag = _float_cell(array.real), _float_cell(array.imag)

    def cell(value: Any) -> str:
        part = imag.text(value.imag).strip()
        return f"{real.text(value.real)}{'' if part[0] == '-' else '+'}{part}j"

    return Cell(cell, real.width + imag.width + 1)


_CELLS = {"f": _float_cell, "c": _complex_cell}


def _block(array: np.ndarray[Any, Any], cell: Cell, indent: int, summarize: bool) -> str:
    """The array in nested brackets; `indent` is the column of the first one."""
    if array.ndim == 0:
        return cell.text(array[()])
    if array.ndim == 1:
        return _row(array, cell, indent, summarize)
    parts = [_block(part, cell, indent + 1, summarize) for part in _ends(array, summarize)]
    if summarize and len(array) > 2 * _options.edgeitems:
        parts.insert(_options.edgeitems, "...")
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _row(array: np.ndarray[Any, Any], cell: Cell, indent: int, summarize: bool) -> str:
    cells = [cell.text(value) for value in _ends(array, summarize)]
    per_line = max(1, (_options.linewidth - indent) // (cell.width + 2))
    if summarize and len(array) > 2 * _options.edgeitems:
        cells.insert(_options.edgeitems, " ...")
    lines = [", ".join(cells[i : i + per_line]) for i in range(0, len(cells), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _ends(array: np.ndarray[Any, Any], summarize: bool) -> list[Any]:
    edge = _options.edgeitems
    if summarize and len(array) > 2 * edge:
        return [*array[:edge], *array[-edge:]]
    return list(array)
