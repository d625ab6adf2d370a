"""Threads that take turns: barriers hold, a missing one shows, and a failure stops the block."""

import os

import numpy as np
import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip("needs NUMBA_ENABLE_CUDASIM=1", allow_module_level=True)
pytest.importorskip("numba_cuda")

from numba import cuda, int64


@cuda.jit
def rotate(x, y):
    t, n = cuda.threadIdx.x, cuda.blockDim.x
    shared = cuda.shared.array(4, int64)
    shared[t] = x[t]
    cuda.syncthreads()
    y[t] = shared[(t + 1) % n] + shared[(t + 3) % n]


@cuda.jit
def rotate_without_barrier(x, y):
    t, n = cuda.threadIdx.x, cuda.blockDim.x
    y[t] = x[(t + 1) % n]
    x[t] = 0


@cuda.jit
def fail(x):
    if cuda.threadIdx.x == 2:
        x[9] = 1
    cuda.syncthreads()
    x[cuda.threadIdx.x] = 1


def test_a_barrier_waits_for_all_threads():
    x, y = np.arange(4), np.zeros(4, np.int64)
    rotate[2, 4](x, y)
    assert y.tolist() == [1 + 3, 2 + 0, 3 + 1, 0 + 2]


def test_a_missing_barrier_shows():
    x, y = np.arange(1, 5), np.zeros(4, np.int64)
    rotate_without_barrier[1, 4](x, y)
    assert y.tolist() == [2, 3, 4, 0]  # the last thread comes after the first


def test_a_failure_stops_the_block():
    x = np.zeros(4)
    with pytest.raises(IndexError, match="index 9 is out of bounds"):
        fail[1, 4](x)
    assert not x.any()
