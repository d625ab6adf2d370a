"""Norms, products and finite checks of vectors: float64 accumulation, the same bits every time.

A vector is added up in chunks of fixed size, and the chunks' sums in their order: the number of
threads cannot change a bit.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import pool
from ..compiler.arguments import check_array, is_device_array, refuse_other_byte_order
from . import sums
from .sums import CHUNK, PIECE, terms

_SUM = (
    """\
# Written by tinygrad_opt.kernels.fused.reduce.
import math

import numpy as np
from tinygrad_opt.kernels.direct import njit

from tinygrad_opt.kernels.pool import split


"""
    + PIECE
    + """

@njit(error_model="numpy", nogil=True)
def part(first_chunk, last_chunk, partial, x, {argument}):
    for c in range(first_chunk, last_chunk):
        start, stop = c * {chunk}, min((c + 1) * {chunk}, x.shape[0])
        partial[c] = piece(x[start:stop], {slice})


@njit("float64({dtype}[::1], {second})",
      error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def {function}(x, {argument}):
    chunks = (x.shape[0] + {chunk} - 1) // {chunk}
    partial = np.empty(chunks)
    split(part, chunks, 2, partial, x, {argument})
    total = 0.0
    for c in range(chunks):
        total += partial[c]
    return total
"""
)

# The bits of |x|, read as an integer, grow with |x|: infinity is above every number and NaN above
# infinity. So one integer maximum, which needs no care with NaN, finds all three.
_LARGEST = """\
# Written by tinygrad_opt.kernels.fused.reduce.
import numpy as np
from tinygrad_opt.kernels.direct import njit

from tinygrad_opt.kernels.pool import split


@njit(nogil=True)
def part(first_chunk, last_chunk, partial, bits):
    for c in range(first_chunk, last_chunk):
        block = bits[c * {chunk} : min((c + 1) * {chunk}, bits.shape[0])]
        largest = 0
        for i in range(block.shape[0]):
            largest = max(largest, block[i] & {mask})
        partial[c] = largest


@njit("int64({dtype}[::1])", nogil=True, no_cfunc_wrapper=True, cache={cache})
def {function}(bits):
    chunks = (bits.shape[0] + {chunk} - 1) // {chunk}
    partial = np.empty(chunks, np.int64)
    split(part, chunks, 2, partial, bits)
    largest = 0
    for c in range(chunks):
        largest = max(largest, partial[c])
    return largest
"""

# By bytes per element: the integers that overlay a float, and infinity read as one of them.
_INTEGER = {4: np.dtype(np.int32), 8: np.dtype(np.int64)}
_INFINITY = {4: 0x7F800000, 8: 0x7FF0000000000000}

_kernels: dict[tuple[str, str], Callable[..., Any]] = {}


def sum_of_squares(x: Any) -> float:
    """Return the sum of x^2, added up in float64.

    Args:
        x: 1-D, contiguous, float32 or float64; NumPy, or CuPy (then it waits for the GPU).

    Raises:
        TypeError: `x` is not such an array.
    """
    return sum_of_powers(x, 2.0)


def sum_of_powers(x: Any, order: float) -> float:
    """Return the sum of |x|^order, added up in float64; NaN and infinity come through.

    The norm of several vectors is sum(sum_of_powers(x, order) for x in vectors) ** (1 / order).

    Args:
        x: 1-D, contiguous, float32 or float64; NumPy, or CuPy (then it waits for the GPU).
        order: positive and finite.

    Raises:
        TypeError: `x` is not such an array.
        ValueError: `order` is not positive and finite.
    """
    if not 0 < order < math.inf:
        raise ValueError(f"sum_of_powers: order must be positive and finite, got {order}")
    if not isinstance(x, np.ndarray):
        check_array("x", x)
        if order in (1, 2):
            return _parts("squares" if order == 2 else "magnitudes", x, x, (0, x.size))[0]
        return _on_device("sum_of_powers", x).sum_of_powers(x, order)
    kind = "squares" if order == 2 else "magnitudes" if order == 1 else "powers"
    return float(_run(kind, x, x, float(order)))


def dot(x: Any, y: Any) -> float:
    """Return the sum of x * y, multiplied and added up in float64; NaN and infinity come through.

    Args:
        x, y: 1-D, contiguous, of one size, float32 or float64; both NumPy, or both CuPy (then it
            waits for the GPU).

    Raises:
        TypeError: they are not such arrays.
        ValueError: their sizes differ.
    """
    check_array("dot: x", x)
    check_array("dot: y", y)
    if x.size != y.size:
        raise ValueError(f"dot: x has {x.size} elements, y has {y.size}")
    if x.dtype != y.dtype or is_device_array(x) != is_device_array(y):
        raise TypeError("dot: x and y must be of one dtype, on one device")
    if not isinstance(x, np.ndarray):
        return _parts("products", x, y, (0, x.size))[0]
    return float(_run("products", x, x, y))


def norm(x: Any, order: float = 2.0) -> float:
    """Return (sum |x|^order)^(1/order), or max |x| for order = inf; 0.0 for an empty `x`.

    Accumulates in float64. NaN and infinity come through; a float64 sum that overflows is inf.

    Args:
        x: 1-D, contiguous, float32 or float64; NumPy, or CuPy (then it waits for the GPU).
        order: positive, or inf.

    Raises:
        TypeError: `x` is not such an array.
        ValueError: `order` is not positive.
    """
    if not order > 0:
        raise ValueError(f"norm: order must be positive or inf, got {order}")
    if order == math.inf:
        return _largest(x)
    total = sum_of_powers(x, order)
    return math.sqrt(total) if order == 2 else total ** (1.0 / order)


def norm_on_device(vectors: Sequence[Any], order: float) -> Any:
    """Return the common norm of CuPy's vectors, a 0-d float64 array: nothing waits for it.

    Args:
        vectors: as for `norm`, at least one.
        order: positive, or inf.
    """
    import cupy

    from .on_device import sums as sums_on_device

    for x in vectors:
        check_array("x", x)
    if order == math.inf:
        largest = [cupy.max(cupy.abs(x)).astype(np.float64) for x in vectors if x.size]
        return functools.reduce(cupy.maximum, largest, cupy.zeros((), np.float64))
    kind = {1.0: "magnitudes", 2.0: "squares"}.get(order)
    totals = [
        sums_on_device.total(kind, x) if kind is not None
        else cupy.sum(cupy.abs(x.astype(np.float64)) ** order)
        for x in vectors
    ]  # fmt: skip
    total = functools.reduce(cupy.add, totals)
    return cupy.sqrt(total) if order == 2 else total ** (1.0 / order)


def norms(x: Any, offsets: Sequence[int]) -> Any:
    """Return the norm of each part of `x`, from one offset to the next, as a float64 array.

    Args:
        x: 1-D, contiguous, float32 or float64; NumPy, or CuPy (then it waits for the GPU, once).
        offsets: not falling, from 0 to the size of `x` at most.

    Raises:
        TypeError: `x` is not such an array.
        ValueError: the offsets lie outside of it.
    """
    return np.sqrt(_parts("squares", x, x, offsets))


def magnitudes(x: Any, offsets: Sequence[int]) -> Any:
    """Return the sum of |x| in each part of `x`, as `norms`."""
    return _parts("magnitudes", x, x, offsets)


def dots(x: Any, y: Any, offsets: Sequence[int]) -> Any:
    """Return the sum of x * y in each part of the two, as `norms`."""
    return _parts("products", x, y, offsets)


def nonzeros(x: Any, offsets: Sequence[int]) -> Any:
    """Return how many elements of each part of `x` are not 0, as `norms`."""
    return _parts("nonzeros", x, x, offsets)


def _parts(kind: str, x: Any, y: Any, offsets: Sequence[int]) -> Any:
    if isinstance(x, np.ndarray):
        return sums.sums(kind, x, y, offsets)
    check_array("x", x)
    check_array("y", y)
    if not 0 <= min(offsets, default=0) <= max(offsets, default=0) <= x.size == y.size:
        raise ValueError(f"offsets must lie within the vectors, got {x.size} and {y.size} elements")
    from .on_device import sums as sums_on_device

    return np.array(sums_on_device.sums(kind, x, y, offsets))


def all_finite(x: Any) -> bool:
    """Return whether `x` (as for `norm`) holds neither NaN nor infinity."""
    if not isinstance(x, np.ndarray):
        return math.isfinite(_on_device("all_finite", x).largest(x))
    return _largest_bits(x) < _INFINITY[x.itemsize]


def _largest(x: Any) -> float:
    """Return max |x|, NaN if there is one."""
    if not isinstance(x, np.ndarray):
        return _on_device("norm", x).largest(x)
    return float(np.array(_largest_bits(x), f"int{8 * x.itemsize}").view(x.dtype))


def _largest_bits(x: np.ndarray[Any, Any]) -> int:
    check_array("x", x)
    return _run("largest", x, x.view(_INTEGER[x.itemsize]))


def _on_device(what: str, x: Any) -> Any:
    check_array(f"{what}: x", x)
    from ..compiler import cuda

    return cuda


def _run(kind: str, x: np.ndarray[Any, Any], *arguments: Any) -> Any:
    """Run the kernel for `kind`."""
    kernel = _kernels.get((kind, x.dtype.char))
    if kernel is None:
        check_array("x", x)
        kernel = _load(kind, x.dtype)
    try:
        return kernel(*arguments)
    except TypeError:  # Numba's "no matching definition": say what is wrong with x, if it is
        check_array("x", x)
        # Read-only and unaligned memory can be read: through a copy, which is neither.
        return kernel(*(a.copy() if isinstance(a, np.ndarray) else a for a in arguments))


def _load(kind: str, dtype: np.dtype[Any]) -> Any:
    kernel = pool.load(kind, lambda on_disk: _text(kind, dtype, on_disk))
    if kind != "largest":  # which is checked at each call, before it sees integers
        arrays = 2 if kind == "products" else 1
        refuse_other_byte_order(kernel, arrays, [0.0] * (2 - arrays), dtype)
    _kernels[kind, dtype.char] = kernel
    return kernel


def _text(kind: str, dtype: np.dtype[Any], on_disk: bool) -> str:
    common = {"function": kind, "cache": on_disk, "chunk": CHUNK}
    if kind == "largest":
        bits = 8 * dtype.itemsize
        return _LARGEST.format(dtype=f"int{bits}", mask=2 ** (bits - 1) - 1, **common)
    return _SUM.format(**terms(kind, dtype.name), **common)
