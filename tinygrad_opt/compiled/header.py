"""How the file of a step begins, and the names that it takes."""

from __future__ import annotations

__all__ = ["HEAD", "TAKEN"]

HEAD = '''\
"""{title}

Written by tinygrad_opt.compile from {origin}. To change it, change that.
"""

import math

import numpy as np
from numba import njit, types
from numpy import float32 as f4, float64 as f8
from numpy import int8 as i1, int16 as i2, int32 as i4, int64 as i8, uint8 as u1

from tinygrad_opt.kernels.functions import erf, exp, expm1, log, log1p, normal_cdf, sigmoid, tanh
from tinygrad_opt.kernels.pool import share
from tinygrad_opt.kernels.products import at, memory{products}

p_f4, p_f8, p_i1, p_i2, p_i4, p_i8, p_u1 = map(types.CPointer, (
    types.float32, types.float64, types.int8, types.int16, types.int32, types.int64, types.uint8,
))
LOOP = dict(error_model="numpy", nogil=True, fastmath={{"contract", "nsz"{sums}}}, cache=CACHE,
            no_cpython_wrapper=True)
PART = {{name: LOOP[name] for name in ("error_model", "nogil", "fastmath")}}
STEP = dict(error_model="numpy", nogil=True, cache=CACHE)


def array(kind, axes, readonly=False):
    return types.Array(getattr(types, kind), axes, "C", readonly=readonly)

'''

# No function or place of a step may have one of these names.
TAKEN = {
    "LOOP", "PART", "STEP", "abs", "array", "at", "cgutils", "erf", "exchange_mode", "exp", "expm1",
    "f4", "f8", "float32", "float64", "i1", "i2", "i4", "i8", "intrinsic", "ir", "log", "log1p",
    "math", "memory", "njit", "normal_cdf", "np", "p_f4", "p_f8", "p_i1", "p_i2", "p_i4", "p_i8",
    "p_u1", "range", "share", "sigmoid", "split", "steps", "tanh", "ticks", "ticks_array", "times",
    "types", "u1", "uint32",
}  # fmt: skip
