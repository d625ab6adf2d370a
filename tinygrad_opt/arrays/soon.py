"""Machine code that arrays are going to need, made while other things are done."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import blas
from ..kernels.fused import convolution

__all__ = ["multiplies_soon"]


def multiplies_soon(w: Any) -> None:
    """Say that others are multiplied by `w`, a matrix, or convolved with it; see `pool.ahead`."""
    if type(w) is np.ndarray and w.dtype.char in "fd":
        (blas if w.ndim == 2 else convolution).soon(w)
