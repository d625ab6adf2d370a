"""The thin adapter between rules and CUDA.

numba-cuda is in maintenance mode and may be replaced, so this file alone touches it, and only
`jit`, `grid`, `gridsize`, scalars, one-dimensional arrays and `compile_ptx`. Memory and streams
are CuPy's. It is imported when the first device array or `rule.ptx` asks for it, never before.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numba
import numpy as np

if importlib.util.find_spec("numba_cuda") is None:  # Numba's own numba.cuda is deprecated
    raise ImportError('CUDA kernels need numba-cuda: pip install "tinygrad_opt[cuda]"')


@contextmanager
def _numpy_as_numba_cuda_knows_it() -> Iterator[None]:
    """NumPy 2.5 without row_stack, and with a new deprecation: neither stops the import.

    numba-cuda 0.30 is in maintenance and will not learn of it (NVIDIA/numba-cuda#907). It reads
    `np.row_stack`, an old name of `vstack`, and `np.timedelta64("nat")`, once each.
    """
    missing = not hasattr(np, "row_stack")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The 'generic' unit for NumPy", DeprecationWarning)
        if missing:
            np.row_stack = np.vstack  # type: ignore[attr-defined,unused-ignore]
        try:
            yield
        finally:
            if missing:
                del np.row_stack  # type: ignore[attr-defined,unused-ignore]


with _numpy_as_numba_cuda_knows_it():
    from numba import cuda

    importlib.import_module("numba.cuda.np.arrayobj")  # or the first compilation would do it

BLOCK = 256  # threads per block
BLOCKS_PER_MULTIPROCESSOR = 32  # four times what is resident: enough to even out the last wave

_handles: dict[int, tuple[weakref.ref[Any], Any]] = {}


def launch(
    kernel: Any, arrays: Sequence[Any], coefficients: Sequence[float], dtype: np.dtype[Any]
) -> None:
    """Run `kernel` over 1-D device arrays of one size on CuPy's current stream, asynchronously.

    Coefficients are cast to `dtype` here: a Python float would arrive as a double, and with it
    the arithmetic of the whole kernel.
    """
    size = int(np.prod(arrays[0].shape))
    if size == 0:
        return  # an empty grid is an error in CUDA
    scalars = [dtype.type(c) for c in coefficients]
    if _is_simulated(arrays[0]):
        kernel[1, min(size, 4)](*arrays, *scalars)  # few threads: each is a Python thread
        return
    blocks = min(-(-size // BLOCK), _multiprocessors() * BLOCKS_PER_MULTIPROCESSOR)
    kernel[blocks, BLOCK, _stream(arrays[0])](*(_handle(a) for a in arrays), *scalars)


def ptx(function: Any, count: int, scalars: int, dtype: np.dtype[Any], cc: tuple[int, int]) -> str:
    """Return the PTX of a kernel of `count` arrays for compute capability `cc`; needs no GPU."""
    if getattr(cuda, "compile_ptx", None) is None:  # the simulator
        raise RuntimeError("ptx needs the real compiler: unset NUMBA_ENABLE_CUDASIM")
    element = numba.from_dtype(dtype)
    text, _ = cuda.compile_ptx(
        function.py_func, (element[::1],) * count + (element,) * scalars, cc=cc
    )
    return str(text)


def sum_of_powers(array: Any, order: float) -> float:
    """Return the sum of |x|^order of a CuPy array, added up in float64; waits for the GPU."""
    import cupy

    # CuPy's reductions split the work by size alone, so the result is the same every time.
    if order == 2:
        return float(cupy.sum(cupy.square(array, dtype=cupy.float64)))
    return float(cupy.sum(cupy.abs(array.astype(cupy.float64)) ** order))


def dot(x: Any, y: Any) -> float:
    """Return the sum of x * y of two CuPy arrays, in float64; waits for the GPU."""
    import cupy

    return float(cupy.sum(x.astype(cupy.float64) * y.astype(cupy.float64)))


def largest(array: Any) -> float:
    """Return max |x| of a CuPy array, NaN if it holds one; waits for the GPU."""
    import cupy

    return float(cupy.max(cupy.abs(array))) if array.size else 0.0


def _is_simulated(array: Any) -> bool:
    return type(array).__name__ == "FakeCUDAArray"


@cache
def _multiprocessors() -> int:
    return int(cuda.get_current_device().MULTIPROCESSOR_COUNT)


def _stream(array: Any) -> Any:
    """Return CuPy's current stream for its arrays, Numba's default for Numba's own."""
    if not type(array).__module__.startswith("cupy"):
        return 0
    import cupy

    return _external_stream(cupy.cuda.get_current_stream().ptr)


@cache
def _external_stream(pointer: int) -> Any:
    return cuda.external_stream(pointer)


def _handle(array: Any) -> Any:
    """Return what Numba launches with for `array`, converted once in the array's life.

    Converting costs 1.4 to 2 us per array and launch. The handle does not own the memory (`owner`
    is left out), or the cache would keep every array alive.
    """
    if not type(array).__module__.startswith("cupy"):
        return array
    known = _handles.get(id(array))
    if known is not None and known[0]() is array:
        return known[1]
    key = id(array)
    made = cuda.from_cuda_array_interface(array.__cuda_array_interface__, sync=False)
    _handles[key] = (weakref.ref(array, lambda _: _handles.pop(key, None)), made)
    return made
