"""What the texts of CUDA kernels of this folder consist of: see `__init__.py`."""

from __future__ import annotations

__all__ = ["BLOCK", "ELEMENT", "EXPONENTIALS", "HEAD", "LARGEST", "ROW", "SIGMOID", "added"]

HEAD = """\
# Written by tinygrad_opt.kernels.fused.on_device.
import math

from numba import cuda, int64
from numpy import {dtype}

zero, one = {dtype}(0), {dtype}(1)
infinity, nan = {dtype}(math.inf), {dtype}(math.nan)


@cuda.jit(cache={cache})
"""

# What a kernel whose threads work on one row together begins with.
BLOCK = """\
    t, threads = int64(cuda.threadIdx.x), int64(cuda.blockDim.x)
    row = int64(cuda.blockIdx.x)
    shared = cuda.shared.array(256, {dtype})
"""

ROW = (
    BLOCK
    + """\
    start = row * n
"""
)


def added(part: str, total: str, indent: int = 4) -> str:
    """The lines that add up `part` of all threads of the block, which all get the `total`."""
    lines = f"""\
shared[t] = {part}
cuda.syncthreads()
width = threads >> 1
while width > 0:
    if t < width:
        shared[t] += shared[t + width]
    cuda.syncthreads()
    width >>= 1
{total} = shared[0]
cuda.syncthreads()
"""
    return "".join(" " * indent + line + "\n" for line in lines.splitlines())


# `top`: the largest of all threads'.
LARGEST = """\
    shared[t] = top
    cuda.syncthreads()
    width = threads >> 1
    while width > 0:
        if t < width:
            shared[t] = max(shared[t], shared[t + width])
        cuda.syncthreads()
        width >>= 1
    top = shared[0]
    cuda.syncthreads()
"""

EXPONENTIALS = (
    """\
    top = -infinity
    for j in range(t, n, threads):
        top = max(top, x[start + j])
"""
    + LARGEST
    + """\
    part = zero
    for j in range(t, n, threads):
        e = math.exp(x[start + j] - top)
        y[start + j] = e
        part += e
"""
    + added("part", "total")
)

ELEMENT = """\
    k = int64(cuda.blockIdx.x) * int64(cuda.blockDim.x) + int64(cuda.threadIdx.x)
    if k >= size:
        return
"""

SIGMOID = "one / (one + math.exp(-({})))"
