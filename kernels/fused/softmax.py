"""Softmax cross-entropy of a small batch in one pass: what NumPy needs ten calls for.

For small batches the cost of a NumPy call is the cost of the loss. Large ones are left to NumPy,
whose vectorised exp overtakes the scalar one of this kernel: `cross_entropy_rows` in
`arrays/namespace.py`. `tests/test_twins.py` holds the two equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..compiler import cache

LARGEST = 4096  # logits, beyond which NumPy is as fast

_TEXT = """\
# Written by tinygrad_opt.kernels.fused.softmax.
from math import exp, log

from numba import njit


@njit("int64({dtype}[:, ::1], int64[::1], {dtype}[::1], {dtype}[:, ::1])", error_model="numpy",
      nogil=True, cache={cache})
def cross_entropy(z, index, loss, slope):
    for i in range(z.shape[0]):
        target = index[i]
        if target < 0 or target >= z.shape[1]:
            return i
        top = z[i, 0]
        for j in range(z.shape[1]):
            if not z[i, j] <= top:  # a NaN becomes the top, and so the result
                top = z[i, j]
        total = top - top  # zero of the same type; NaN for an infinite top, as in NumPy
        for j in range(z.shape[1]):
            slope[i, j] = exp(z[i, j] - top)
            total += slope[i, j]
        for j in range(z.shape[1]):
            slope[i, j] /= total
        loss[i] = log(total) - (z[i, target] - top)
        slope[i, target] -= 1
    return -1
"""

_kernels: dict[str, Any] = {}


def fits(z: Any, index: Any) -> bool:
    """Whether `cross_entropy` takes these arrays: few, contiguous, float32 or float64, int64."""
    return (
        z.size <= LARGEST
        and z.dtype.char in "fd"
        and index.dtype.char in "lq"
        and z.shape[1] > 0
        and index.shape == z.shape[:1]
        and z.dtype.isnative
        and index.dtype.isnative
        and z.flags.carray  # contiguous and writable: the signature of the kernel
        and index.flags.carray
    )


def cross_entropy(z: Any, index: Any) -> tuple[Any, Any, int]:
    """Return (-log_softmax(z)[i, index[i]], softmax(z) - onehot(index), -1), row by row.

    Args:
        z: (rows, classes) scores.
        index: (rows,) the class of each row; both as `fits` wants them.

    The last value is the first row whose index lies outside [0, classes), or -1; if it is not -1
    the arrays are unfinished.
    """
    kernel = _kernels.get(z.dtype.char)
    if kernel is None:
        dtype = z.dtype.name
        kernel = cache.load(
            "cross_entropy", lambda on_disk: _TEXT.format(dtype=dtype, cache=on_disk)
        )
        _kernels[z.dtype.char] = kernel
    loss, slope = np.empty(len(z), z.dtype), np.empty(z.shape, z.dtype)
    return loss, slope, kernel(z, index, loss, slope)
