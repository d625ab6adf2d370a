"""Sums over a vector in chunks of fixed size, and over many parts of a vector at once.

`PIECE` adds up one chunk; `reduce.py` adds up the chunks of a whole vector, `sums` those of each
part. A part has the same bits as the vector of its elements alone, whatever lies beside it. The
same for a GPU is `kernels/fused/on_device/sums.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import pool
from ..compiler.arguments import check_array

CHUNK = 32_768  # elements per partial sum, a multiple of the block below

# The compiler may not reorder float additions, so the order is written in a way that it can map to
# SIMD as it stands: 32 independent sums, each of every 32nd element. The slice `block`, with
# indices that are provably not negative, made this 7 times faster than `x[row + lane]`.
PIECE = """\
@njit(error_model="numpy", nogil=True)
def piece(x, {argument}):
    size = x.shape[0]
    whole = size - size % 128
    lanes = np.zeros(32)
    for row in range(0, whole, 128):
        block = x[row : row + 128]
        {other_block}
        for lane in range(32):
            y0 = {load0}
            y1 = {load1}
            y2 = {load2}
            y3 = {load3}
            lanes[lane] += ({term0} + {term1}) + ({term2} + {term3})
    block = x[whole:]
    {other_rest}
    for lane in range(block.shape[0]):
        y0 = {load0}
        lanes[lane % 32] += {term0}
    width = 16
    while width > 0:
        for lane in range(width):
            lanes[lane] += lanes[lane + width]
        width //= 2
    return lanes[0]
"""

_PARTS = (
    """\
# Written by tinygrad_opt.kernels.fused.sums.
import math

import numpy as np
from tinygrad_opt.kernels.direct import njit

from tinygrad_opt.kernels.pool import split


"""
    + PIECE
    + """

@njit(error_model="numpy", nogil=True)
def some(first_chunk, last_chunk, partial, bounds, x, {argument}):
    for c in range(first_chunk, last_chunk):
        start, stop = bounds[c, 0], bounds[c, 1]
        partial[c] = piece(x[start:stop], {slice})


@njit("void(float64[::1], int64[::1], {dtype}[::1], {second})",
      error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def {function}(totals, offsets, x, {argument}):
    if offsets.shape[0] != totals.shape[0] + 1 or offsets[0] < 0 or offsets[-1] > x.shape[0]:
        raise ValueError("the parts are not those of the vector")
    chunks = 0
    for k in range(totals.shape[0]):
        if offsets[k] > offsets[k + 1]:
            raise ValueError("the parts are not those of the vector")
        chunks += (offsets[k + 1] - offsets[k] + {chunk} - 1) // {chunk}
    bounds = np.empty((chunks, 2), np.int64)
    c = 0
    for k in range(totals.shape[0]):
        for start in range(offsets[k], offsets[k + 1], {chunk}):
            bounds[c, 0], bounds[c, 1] = start, min(start + {chunk}, offsets[k + 1])
            c += 1
    partial = np.empty(chunks)
    # As many chunks to a thread as hold the elements of two whole ones.
    size = offsets[-1] - offsets[0]
    grain = 1 + chunks * 2 * {chunk} // (size + 1)
    split(some, chunks, grain, partial, bounds, x, {argument})
    c = 0
    for k in range(totals.shape[0]):
        totals[k] = 0.0
        while c < chunks and bounds[c, 0] < offsets[k + 1]:
            totals[k] += partial[c]
            c += 1
"""
)

_TERMS = {
    "squares": "{y} * {y}",
    "magnitudes": "abs({y})",
    "powers": "math.pow(abs({y}), order)",
    "products": "{y}",  # y is loaded as a product
    "nonzeros": "(0.0 if {y} == 0.0 else 1.0)",
}

_kernels: dict[tuple[str, str], Any] = {}


def terms(kind: str, dtype: str) -> dict[str, str]:
    """Return the parts of `PIECE` that say what is added up: terms of one vector, or of two."""
    two = kind == "products"
    parts = {
        "dtype": dtype,
        "argument": "z" if two else "order",
        "slice": "z[start:stop]" if two else "order",
        "second": f"{dtype}[::1]" if two else "float64",
        "other_block": "other = z[row : row + 128]" if two else "",
        "other_rest": "other = z[whole:]" if two else "",
    }
    for k in range(4):
        place = f"[lane + {32 * k}]" if k else "[lane]"
        other = f" * np.float64(other{place})" if two else ""
        parts[f"load{k}"] = f"np.float64(block{place}){other}"
        parts[f"term{k}"] = _TERMS[kind].format(y=f"y{k}")
    return parts


def sums(kind: str, x: Any, z: Any, offsets: Sequence[int]) -> Any:
    """Return for each part of x, from one offset to the next, what `kind` adds up there.

    Args:
        kind: "squares", "magnitudes", "nonzeros", or "products", of x and z.
        x, z: 1-D, contiguous NumPy arrays, float32 or float64, of one size and dtype; z counts
            for products alone.
        offsets: not falling, from 0 to the size of x at most.

    Returns a float64 array.

    Raises:
        TypeError: they are not such arrays.
        ValueError: their sizes differ, or the offsets lie outside.
    """
    check_array(f"{kind}: x", x)
    if kind == "products":
        check_array("products: z", z)
        if x.size != z.size or x.dtype != z.dtype:
            raise ValueError(
                f"products: x and z must be of one size and dtype, got {x.size} of {x.dtype} and "
                f"{z.size} of {z.dtype}"
            )
    kernel = _kernels.get((kind, x.dtype.char)) or _load(kind, x.dtype)
    totals, bounds = np.empty(len(offsets) - 1), bounds_of(tuple(offsets))
    try:
        kernel(totals, bounds, x, z if kind == "products" else 0.0)
    except TypeError:  # read-only or unaligned: a copy is neither
        kernel(totals, bounds, x.copy(), z.copy() if kind == "products" else 0.0)
    return totals


@functools.lru_cache(maxsize=64)
def bounds_of(offsets: tuple[int, ...]) -> Any:
    """Return offsets as a kernel takes them: parts of a vector stay the same for many steps."""
    return np.array(offsets, np.int64)


def _load(kind: str, dtype: np.dtype[Any]) -> Any:
    name = f"{kind}_of_parts"
    fields = {"function": name, "chunk": CHUNK, **terms(kind, dtype.name)}
    kernel = pool.load(name, lambda on_disk: _PARTS.format(cache=on_disk, **fields))
    _kernels[kind, dtype.char] = kernel
    return kernel
