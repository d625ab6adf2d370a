"""Launching a CUDA kernel by the driver, with all arguments packed into one block.

The machine code is that of `@cuda.jit`. Numba's own launch converts each argument anew, which
costs the host 45 to 65 us for four arrays and nine scalars; this takes 1 to 2. It asks for two
things that numba-cuda does not promise: the compiled function (`_codelibrary`) and the order in
which an array is passed. Where either is missing, `prepare` returns None, and Numba launches.
"""

from __future__ import annotations

import ctypes
import importlib
import struct
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

BLOCK = 256  # threads per block
_WORDS = 7  # an array: memory info, parent, elements, bytes of one, address, length, stride
_NO_CONTEXT = 201  # CUDA_ERROR_INVALID_CONTEXT: this thread has not used the device yet


class Packed:
    """A compiled kernel over 1-D arrays of one size, then scalars of their dtype.

    driver: `cuda.bindings.driver`.  function: its CUfunction.  grid: the most blocks.
    """

    def __init__(
        self, driver: Any, function: Any, counts: tuple[int, int], dtype: np.dtype[Any], grid: int
    ) -> None:
        """Lay out the block for `counts`: how many arrays and how many scalars."""
        arrays, scalars = counts
        letter, itemsize = dtype.char, dtype.itemsize
        self._driver, self._function, self._grid = driver, function, grid
        self._itemsize = itemsize
        self._scalar: Any = ctypes.c_float if itemsize == 4 else ctypes.c_double
        self._pack = struct.Struct(f"={_WORDS * arrays}Q{scalars}{letter}").pack_into
        self._block = ctypes.create_string_buffer(8 * _WORDS * arrays + itemsize * scalars)
        start = ctypes.addressof(self._block)
        places = [start + 8 * k for k in range(_WORDS * arrays)]
        places += [start + 8 * _WORDS * arrays + itemsize * k for k in range(scalars)]
        self._places = (ctypes.c_void_p * len(places))(*places)
        self._parameters = ctypes.addressof(self._places)
        self._lock = threading.Lock()  # one block, read by the driver while others may come

    def __call__(self, arrays: Sequence[Any], scalars: Sequence[float], stream: int) -> None:
        """Launch on `stream`, a pointer, asynchronously; `arrays` are CuPy's, of one size."""
        size, itemsize = arrays[0].size, self._itemsize
        words: list[Any] = []
        for array in arrays:
            words += (0, 0, size, itemsize, array.data.ptr, size, itemsize)
        blocks = min(-(-size // BLOCK), self._grid)
        with self._lock:
            try:
                self._pack(self._block, 0, *words, *scalars)
            except (OverflowError, struct.error):  # beyond float32: infinity there
                self._pack(self._block, 0, *words, *(self._scalar(c).value for c in scalars))
            error = self._launch(blocks, stream)
            if int(error) == _NO_CONTEXT:
                _enter_context()
                error = self._launch(blocks, stream)
        if int(error):
            raise RuntimeError(f"the kernel could not be launched on the GPU: {error!r}")

    def _launch(self, blocks: int, stream: int) -> Any:
        return self._driver.cuLaunchKernel(
            self._function, blocks, 1, 1, BLOCK, 1, 1, 0, stream, self._parameters, 0
        )[0]


def prepare(
    kernel: Any, signature: tuple[Any, ...], counts: tuple[int, int], dtype: np.dtype[Any],
    grid: int,
) -> Packed | None:  # fmt: skip
    """Compile `kernel`, a `@cuda.jit` function, and return how the driver launches it, or None."""
    try:
        driver = importlib.import_module("cuda.bindings.driver")
        compiled = kernel.compile(signature)._codelibrary.get_cufunc()
        function = _function(driver, compiled)
        if _arguments(compiled) not in (None, _WORDS * counts[0] + counts[1]):
            return None
    except (ImportError, AttributeError, TypeError):  # another numba-cuda: it launches by itself
        return None
    made = Packed(driver, function, counts, dtype, grid)
    made.keeps = compiled  # type: ignore[attr-defined]  # the module with the machine code
    return made


def _function(driver: Any, compiled: Any) -> Any:
    """Return the CUfunction of what numba-cuda compiled: a kernel of cuda.core, or a handle."""
    handle = getattr(getattr(compiled, "kernel", compiled), "handle", compiled.handle)
    if not isinstance(handle, driver.CUkernel):
        return driver.CUfunction(int(handle))
    error, function = driver.cuKernelGetFunction(handle)
    if int(error):
        raise AttributeError(f"the driver does not know the kernel: {error!r}")
    return function


def _arguments(compiled: Any) -> int | None:
    """Return how many arguments the compiled kernel takes; None where the driver cannot tell."""
    try:
        return int(compiled.kernel.num_arguments)
    except Exception:  # an older driver, or another cuda.core
        return None


def _enter_context() -> None:
    """Make the GPU's context current in this thread, as CuPy's own operations do."""
    import cupy

    cupy.cuda.Device(0).use()
