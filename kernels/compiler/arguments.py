"""What a launch accepts, and the errors that say what is wrong with its arguments."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

_LARGEST = int(np.finfo(np.float64).max)
DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
WORDS = (np.dtype(np.uint16),)  # of bfloat16


def refuse_other_byte_order(kernel: Any, arrays: int, rest: Sequence[Any], dtype: Any) -> None:
    """Have a freshly loaded `kernel` refuse arrays of the other byte order, once and for all.

    It takes so many arrays, and after them what `rest` has values for.

    Numba tells arrays that are not quite plain apart by a fingerprint that knows no byte order,
    and keeps for ever what it first found out. Had it met an unaligned array first, it would take
    a big-endian one for that, and read it as if it were not. An empty one costs nothing.
    """
    other = np.empty(0, np.dtype(dtype).newbyteorder())
    with contextlib.suppress(TypeError):  # "no matching definition", as it should be
        kernel(*[other] * arrays, *rest)


def is_device_array(array: Any) -> bool:
    """Return whether `array` is CuPy's or numba-cuda's, its simulator's included."""
    return type(array).__module__.partition(".")[0] in ("cupy", "numba", "numba_cuda")


def checked_dtype(rule: str, dtype: Any) -> np.dtype[Any]:
    """Return `dtype` as a NumPy dtype; TypeError unless it is float32 or float64."""
    dtype = np.dtype(dtype)
    if dtype not in DTYPES:
        raise TypeError(f"{rule}: dtype must be float32 or float64, got {dtype}")
    return dtype


def check_array(what: str, array: Any, dtypes: tuple[np.dtype[Any], ...] = DTYPES) -> None:
    """TypeError unless `array` is a 1-D, contiguous NumPy or device array of one of `dtypes`."""
    if not isinstance(array, np.ndarray) and not is_device_array(array):
        raise TypeError(f"{what} must be a NumPy or CuPy array, got {type(array).__name__}")
    if array.dtype not in dtypes:
        raise TypeError(f"{what} must be {' or '.join(map(str, dtypes))}, got {array.dtype}")
    if array.ndim != 1:
        raise TypeError(f"{what} must have one dimension, got shape {tuple(array.shape)}")
    if array.size > 1 and array.strides[0] != array.dtype.itemsize:
        raise TypeError(f"{what} must be contiguous, got stride {array.strides[0]} bytes")


def check_launch(
    rule: str,
    names: Sequence[str],
    arrays: Sequence[Any],
    scalars: Sequence[str],
    coefficients: Sequence[Any],
    narrow: bool = False,
) -> None:
    """Raise the error that names the first fault in the arguments of a launch, if there is one.

    `narrow`: all arrays after the second are words of 16 bits, and the first two float32.
    """
    if len(arrays) != len(names):
        raise ValueError(
            f"{rule}: expected {len(names)} arrays ({', '.join(names)}), got {len(arrays)}"
        )
    if len(coefficients) != len(scalars):
        raise ValueError(
            f"{rule}: expected {len(scalars)} coefficients ({', '.join(scalars)}), "
            f"got {len(coefficients)}"
        )
    first = arrays[0]
    kinds = [DTYPES[:1]] * 2 + [WORDS] * (len(arrays) - 2) if narrow else [DTYPES] * len(arrays)
    for name, array, dtypes in zip(names, arrays, kinds, strict=True):
        check_array(f"{rule}: {name}", array, dtypes)
        if is_device_array(array) != is_device_array(first):
            raise TypeError(f"{rule}: {names[0]} and {name} are on different devices")
        if array.dtype != first.dtype and not narrow:
            raise TypeError(
                f"{rule}: arrays must have one dtype, but {names[0]} is {first.dtype} "
                f"and {name} is {array.dtype}"
            )
        if array.size != first.size:
            raise ValueError(
                f"{rule}: arrays must have one size, but {names[0]} has {first.size} elements "
                f"and {name} has {array.size}"
            )
        if isinstance(array, np.ndarray) and not array.flags.writeable:
            raise TypeError(f"{rule}: {name} is read-only; kernels take writable arrays")
        if isinstance(array, np.ndarray) and not array.flags.aligned:
            raise TypeError(f"{rule}: {name} is not aligned in memory; pass a copy of it")
    for name, value in zip(scalars, coefficients, strict=True):
        if not isinstance(value, int | float | np.integer | np.floating):
            raise TypeError(f"{rule}: coefficient {name} must be a number, got {value!r}")
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise TypeError(f"{rule}: coefficient {name} is too large for float64")


def counter_of(rule: Any, seed: int | None, step: int, origin: int) -> tuple[int, int, int, int]:
    """Return what a kernel of a rule that draws takes last: the seed in two halves, step, origin.

    ValueError where they do not fit, or the rule draws nothing.
    """
    if not rule.draws:
        raise ValueError(f"{rule.name} draws no random numbers: leave out the seed")
    if seed is None:
        raise ValueError(f"{rule.name} draws {', '.join(rule.draws)}: launch it with a seed")
    for name, value, bits in (("seed", seed, 64), ("step", step, 32), ("origin", origin, 53)):
        if not isinstance(value, int | np.integer) or not 0 <= value < 2**bits:
            raise ValueError(f"{rule.name}: {name} must be a whole number of {bits} bits, "
                             f"got {value!r}")  # fmt: skip
    return int(seed) & 0xFFFFFFFF, int(seed) >> 32, int(step), int(origin)
