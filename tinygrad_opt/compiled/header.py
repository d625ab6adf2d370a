"""How the file of a step begins, and the names that it takes."""

from __future__ import annotations

__all__ = ["HEAD", "TAKEN"]

HEAD = '''\
"""A training step.

Written by tinygrad_opt.compile from {origin}. To change it, change that.
"""

import math

import numpy as np
from numba import njit, types
from numpy import float32 as f4, float64 as f8
from numpy import int8 as i1, int16 as i2, int32 as i4, int64 as i8, uint8 as u1

from tinygrad_opt.kernels.functions import erf, exp, expm1, log, log1p, normal_cdf, sigmoid, tanh
from tinygrad_opt.kernels.functions.primitives import maximum as larger, minimum as smaller
from tinygrad_opt.kernels.plain import {used}
{products}from tinygrad_opt.kernels.pool import share

p_f4, p_f8, p_i1, p_i2, p_i4, p_i8, p_u1 = map(types.CPointer, (
    types.float32, types.float64, types.int8, types.int16, types.int32, types.int64, types.uint8,
))
STEP = dict(error_model="numpy", nogil=True, cache=CACHE)


def array(kind, axes):
    return types.Array(getattr(types, kind), axes, "C", readonly=True)

'''

# No function or place of a step may have one of these names.
TAKEN = {
    "STEP", "abs", "array", "at", "cgutils", "erf", "exchange_mode", "exp", "expm1", "f4", "f8",
    "float32", "float64", "from_table", "i1", "i2", "i4", "i8", "intrinsic", "ir", "larger", "log",
    "log1p", "math", "memory", "njit", "normal_cdf", "np", "p_f4", "p_f8", "p_i1", "p_i2", "p_i4",
    "p_i8", "p_u1", "plain", "range", "share", "sigmoid", "smaller", "split", "steps", "table",
    "tanh", "ticks", "times", "types", "u1", "uint32", "uint64",
}  # fmt: skip
