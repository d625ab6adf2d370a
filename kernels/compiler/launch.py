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
import weakref
from collections.abc import Sequence
from functools import partial
from typing import Any

BLOCK = 256  # threads per block
MOST_BLOCKS = 2**31 - 1  # of one launch
_WORDS = 7  # an array: memory info, parent, elements, bytes of one, address, length, stride
_NO_CONTEXT = 201  # CUDA_ERROR_INVALID_CONTEXT: this thread has not used the device yet
_NOT_SUPPORTED = 801  # CUDA_ERROR_NOT_SUPPORTED: an older driver


class Block:
    """The memory that a launch takes its arguments from: words of arrays, then scalars.

    counts: how many arrays and scalars.  kinds: the scalars' letters, as of `struct`.
    """

    __slots__ = ("_memory", "_places", "fill", "fill_scalars", "parameters", "scalars")

    def __init__(self, arrays: int, kinds: str) -> None:
        """Lay it out."""
        words = _WORDS * arrays
        self.scalars = 8 * words  # where they begin
        self._memory = ctypes.create_string_buffer(self.scalars + 8 * len(kinds) + 8)
        start = ctypes.addressof(self._memory)
        ends = [struct.calcsize("=" + kinds[:k]) for k in range(len(kinds))]
        places = [start + 8 * k for k in range(words)]
        places += [start + self.scalars + end for end in ends]
        self._places = (ctypes.c_void_p * len(places))(*places)
        self.parameters = ctypes.addressof(self._places)
        self.fill = partial(struct.Struct(f"={words}Q{kinds}").pack_into, self._memory, 0)
        self.fill_scalars = partial(struct.Struct("=" + kinds).pack_into, self._memory,
                                    self.scalars)  # fmt: skip


class Packed:
    """A compiled kernel over 1-D arrays, then scalars.

    driver: `cuda.bindings.driver`.  function: its CUfunction.  itemsizes: of the arrays' elements.
    """

    def __init__(self, driver: Any, function: Any, itemsizes: tuple[int, ...], kinds: str) -> None:
        self._launch, self._function = driver.cuLaunchKernel, function
        self._itemsizes, self._kinds = itemsizes, kinds
        self._block = Block(len(itemsizes), kinds)
        self._lock = threading.Lock()  # one block, read by the driver while others may come

    def __call__(
        self, arrays: Sequence[Any], scalars: Sequence[float], blocks: int, threads: int,
        stream: int,
    ) -> None:  # fmt: skip
        """Launch on `stream`, a pointer, asynchronously; `arrays` are CuPy's, contiguous."""
        words = self._words(arrays)
        with self._lock:
            try:
                self._block.fill(*words, *scalars)
            except (OverflowError, struct.error):  # beyond float32: infinity there
                rounded = map(_as_stored, self._kinds, scalars)
                self._block.fill(*words, *rounded)
            self.run(self._block.parameters, blocks, threads, stream)

    def run(self, parameters: int, blocks: int, threads: int, stream: int) -> None:
        """Launch with the arguments that `parameters` points to."""
        function = self._function
        error = self._launch(function, blocks, 1, 1, threads, 1, 1, 0, stream, parameters, 0)[0]
        if error == _NO_CONTEXT:
            _enter_context()
            error = self._launch(function, blocks, 1, 1, threads, 1, 1, 0, stream, parameters, 0)[0]
        if error:
            raise RuntimeError(f"the kernel could not be launched on the GPU: {error!r}")

    def block_of(self, arrays: Sequence[Any]) -> Block:
        """A block of its own for these arrays, with their words filled in."""
        block = Block(len(self._itemsizes), self._kinds)
        block.fill(*self._words(arrays), *[0] * len(self._kinds))
        return block

    def _words(self, arrays: Sequence[Any]) -> list[int]:
        words: list[int] = []
        for array, itemsize in zip(arrays, self._itemsizes, strict=True):
            size = array.size
            words += (0, 0, size, itemsize, array.data.ptr, size, itemsize)
        return words


class Held:
    """A launch over arrays that it knows: a step over the same memory, with other scalars.

    It does not keep the arrays alive. They are compared as objects, since what was checked of them
    holds as long as they are the same.
    """

    def __init__(self, packed: Packed, arrays: Sequence[Any], blocks: int, forget: Any) -> None:
        """Take up the arrays; `forget` is called when the first of them dies."""
        first, *others = arrays
        self._references = (weakref.ref(first, forget), *map(weakref.ref, others))
        self.block = packed.block_of(arrays)
        self._fill, self._parameters = self.block.fill_scalars, self.block.parameters
        self._run, self._blocks = packed.run, blocks
        self._lock = threading.Lock()

    def __call__(self, arrays: Sequence[Any], scalars: Sequence[float], stream: int) -> bool:
        """Launch; False, and nothing done, if these are other arrays or scalars it cannot pack."""
        for reference, array in zip(self._references, arrays, strict=True):
            if reference() is not array:
                return False
        with self._lock:
            try:
                self._fill(*scalars)
            except (OverflowError, struct.error):
                return False
            self._run(self._parameters, self._blocks, BLOCK, stream)
        return True


def _as_stored(kind: str, value: Any) -> Any:
    return ctypes.c_float(value).value if kind == "f" else value


def prepare(
    kernel: Any, signature: tuple[Any, ...], itemsizes: tuple[int, ...], kinds: str
) -> Packed | None:
    """Compile `kernel`, a `@cuda.jit` function, and return how the driver launches it, or None."""
    try:
        driver = importlib.import_module("cuda.bindings.driver")
        compiled = kernel.compile(signature)._codelibrary.get_cufunc()
        function = _function(driver, compiled)
        if not _takes(driver, compiled, itemsizes, kinds):
            return None
        made = Packed(driver, function, itemsizes, kinds)
    except (
        ImportError,
        AttributeError,
        TypeError,
        ValueError,
    ):  # another numba-cuda: it launches by itself
        return None
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


def _takes(driver: Any, compiled: Any, itemsizes: tuple[int, ...], kinds: str) -> bool:
    """Whether the kernel's last argument is where the block's is; True if nobody can tell.

    Asked for one argument more than there are, the driver reports an error to who traces it.
    """
    count = _WORDS * len(itemsizes) + len(kinds)
    handle = getattr(getattr(compiled, "kernel", None), "handle", None)
    ask = getattr(driver, "cuKernelGetParamInfo", None)
    if ask is None or not count or not isinstance(handle, driver.CUkernel):
        return True
    error, offset, size = ask(handle, count - 1)
    if int(error):
        return bool(error == _NOT_SUPPORTED)
    last = struct.calcsize("=" + kinds[-1:]) if kinds else 8
    aligned = struct.calcsize(f"@{_WORDS * len(itemsizes)}Q{kinds}")
    return (offset, size) == (aligned - last, last)


def _enter_context() -> None:
    """Make the GPU's context current in this thread, as CuPy's own operations do."""
    import cupy

    cupy.cuda.Device(0).use()
