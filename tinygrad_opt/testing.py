"""`torch.testing`: `assert_close`, with PyTorch's tolerances for each type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .arrays.device import to_device
from .arrays.element_types import type_of
from .core.tensor import Tensor
from .tensors.creation import as_tensor, full
from .tensors.sampling import rand, randint

__all__ = ["assert_allclose", "assert_close", "make_tensor"]

# (rtol, atol), as PyTorch's
_TOLERANCES = {
    "float16": (1e-3, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7),
    "complex64": (1.3e-6, 1e-5), "complex128": (1e-7, 1e-7),
}  # fmt: skip


def assert_close(
    actual: Any, expected: Any, *, allow_subclasses: bool = True, rtol: float | None = None,
    atol: float | None = None, equal_nan: bool = False, check_device: bool = True,
    check_dtype: bool = True, check_layout: bool = True, check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:  # fmt: skip
    """Raises AssertionError unless |actual - expected| <= atol + rtol * |expected| everywhere.

    actual, expected   tensors, arrays, numbers, and lists, tuples and dicts of them
    rtol, atol         both or neither; by default what the less precise of the two types allows
    equal_nan          whether NaN equals NaN
    check_dtype, check_device, check_layout, check_stride   whether these have to be equal too

    >>> assert_close(tensor([1.0]), tensor([1.0 + 1e-7]))
    """
    if (rtol is None) != (atol is None):
        raise ValueError(
            "rtol and atol must both be specified or both be unspecified, but got no "
            + ("rtol" if rtol is None else "atol")
        )
    checks = dict(dtype=check_dtype, device=check_device, layout=check_layout, stride=check_stride)
    wrong = _difference(actual, expected, rtol, atol, equal_nan, checks, "")
    if wrong is not None:
        raise AssertionError(msg(wrong) if callable(msg) else wrong if msg is None else msg)


def assert_allclose(
    actual: Any, expected: Any, rtol: float | None = None, atol: float | None = None,
    equal_nan: bool = True, msg: str = "",
) -> None:  # fmt: skip
    """PyTorch's older form: types and devices may differ."""
    assert_close(actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False,
                 check_device=False, msg=msg or None)  # fmt: skip


def _difference(
    a: Any, b: Any, rtol: Any, atol: Any, equal_nan: bool, checks: dict[str, bool], place: str
) -> str | None:
    """What differs, or None."""
    more = (rtol, atol, equal_nan, checks)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        if a.keys() != b.keys():
            return f"The keys of the mappings do not match{place}: {list(a)} != {list(b)}"
        pairs = [(a[key], b[key], f"{place}[{key!r}]") for key in a]
        return next((w for x, y, p in pairs if (w := _difference(x, y, *more, p))), None)
    if _is_sequence(a) and _is_sequence(b):
        if len(a) != len(b):
            return f"The length of the sequences mismatch{place}: {len(a)} != {len(b)}"
        parts = [(x, y, f"{place}[{i}]") for i, (x, y) in enumerate(zip(a, b, strict=True))]
        return next((w for x, y, p in parts if (w := _difference(x, y, *more, p))), None)
    if a is None or b is None or isinstance(a, str) or isinstance(b, str):
        return None if a == b else f"{a!r} != {b!r}{place}"
    if not isinstance(a, Tensor) and not isinstance(b, Tensor) and type(a) is not type(b):
        numbers = (int, float, complex, np.number)
        if not (isinstance(a, numbers) and isinstance(b, numbers)):
            raise TypeError(
                f"No comparison pair was able to handle inputs of type {type(a)} and {type(b)}."
            )
        if type(a) is not type(b) and checks["dtype"]:
            return f"The (d)types do not match{place}: {type(a)} != {type(b)}."
    if isinstance(a, Tensor) is not isinstance(b, Tensor):
        raise TypeError(
            f"No comparison pair was able to handle inputs of type {type(a)} and {type(b)}."
        )
    return _of_tensors(_tensor(a), _tensor(b), *more, place, number=not isinstance(a, Tensor))


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, Tensor))


def _tensor(value: Any) -> Tensor:
    return value.to_dense() if isinstance(value, Tensor) else as_tensor(value)


def _of_tensors(
    a: Tensor, b: Tensor, rtol: Any, atol: Any, equal_nan: bool, checks: dict[str, bool],
    place: str, number: bool,
) -> str | None:  # fmt: skip
    if a.shape != b.shape:
        return (
            "The values for attribute 'shape' do not match"
            f"{place}: {a.shape} != {b.shape}."
        )  # fmt: skip
    for name, checked in checks.items():
        left, right = getattr(a, name), getattr(b, name)
        left, right = (left(), right()) if name == "stride" else (left, right)
        if checked and left != right and not (number and name == "dtype"):
            return f"The values for attribute {name!r} do not match{place}: {left} != {right}."
    x, y = (np.asarray(to_device(t.array, "cpu")) for t in (a, b))
    if rtol is None:
        both = [_TOLERANCES.get(array.dtype.name, (0.0, 0.0)) for array in (x, y)]
        rtol, atol = (max(pair) for pair in zip(*both, strict=True))
    if x.dtype.kind in "fc" or y.dtype.kind in "fc":
        wide = np.result_type(x, y, np.float64)
        x, y = x.astype(wide), y.astype(wide)
    elif x.dtype.kind == "b" or y.dtype.kind == "b":
        x, y = x.astype(np.int64), y.astype(np.int64)
    with np.errstate(all="ignore"):
        close = np.isclose(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan)
    if close.all():
        return None
    return _told(x, y, close, rtol, atol, place)


def _told(x: Any, y: Any, close: Any, rtol: float, atol: float, place: str) -> str:
    if x.ndim == 0:
        kind = "equal" if rtol == atol == 0 else "close"
        more = "" if kind == "equal" else f" (up to {atol} allowed absolutely, {rtol} relatively)"
        return f"Scalars are not {kind}{place}!\n\nExpected {y.item()} but got {x.item()}.\n" + (
            f"Difference: {abs(x.item() - y.item())}{more}"
        )
    with np.errstate(all="ignore"):
        off = np.where(close, 0.0, np.abs(x - y))
        relative = np.where(close, 0.0, off / np.abs(y))
    wrong = int((~close).sum())
    lines = [
        f"Tensor-likes are not {'equal' if rtol == atol == 0 else 'close'}{place}!", "",
        f"Mismatched elements: {wrong} / {close.size} ({100 * wrong / close.size:.1f}%)",
    ]  # fmt: skip
    for what, values, allowed in (("absolute", off, atol), ("relative", relative, rtol)):
        at = np.unravel_index(int(np.argmax(np.nan_to_num(values, nan=np.inf))), values.shape)
        index = tuple(int(i) for i in at)
        lines.append(
            f"Greatest {what} difference: {values[at]} at index {index} (up to {allowed} allowed)"
        )
    return "\n".join(lines)


def make_tensor(
    *shape: Any, dtype: Any, device: Any = "cpu", low: float | None = None,
    high: float | None = None, requires_grad: bool = False, **accepted: Any,
) -> Tensor:  # fmt: skip
    """Random numbers from [low, high): by default -9 to 9, of uint8 0 to 9, of bool 0 or 1."""
    size = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
    kind = type_of(np.dtype(dtype))
    if kind.kind == "b":
        return randint(0, 2, size, device=device).bool()
    low = (0 if kind.kind == "u" else -9) if low is None else low
    high = 9 if high is None else high
    if low == high:
        made = full(size, low, dtype=kind, device=device)
    elif kind.is_floating_point:
        made = rand(size, dtype=kind, device=device) * (high - low) + low
    else:
        made = randint(int(low), int(high), size, dtype=kind, device=device)
    return made.requires_grad_() if requires_grad else made
