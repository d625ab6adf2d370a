"""The thin adapter between rules and CUDA.

numba-cuda is in maintenance mode and may be replaced, so this file alone touches it, and only
`jit`, `grid`, `gridsize`, scalars, one-dimensional arrays and `compile_ptx`. What it compiled is
launched by `launch.py`, where that is possible. Memory and streams are CuPy's. It is imported when
the first device array or `rule.ptx` asks for it, never before.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import operator
import threading
import warnings
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numba
import numpy as np

from .arguments import DTYPES
from .codegen import ahead
from .launch import BLOCK, MOST_BLOCKS, Held, Packed, prepare

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

if cuda.config.ENABLE_CUDASIM:  # type: ignore[attr-defined]

    def int_as_float(word: Any) -> Any:
        """Return the float32 number of these bits."""
        return np.uint32(word).view(np.float32)

    def float_as_int(value: Any) -> Any:
        """Return the bits of a float32 number."""
        return np.float32(value).view(np.uint32)

    def long_as_double(word: Any) -> Any:
        """Return the float64 number of these bits."""
        return np.uint64(word).view(np.float64)

    def double_as_long(value: Any) -> Any:
        """Return the bits of a float64 number."""
        return np.float64(value).view(np.uint64)

    product32: Any = operator.mul
    product64: Any = operator.mul
    ceil: Any = np.ceil
    floor: Any = np.floor
    ceilf, floorf = ceil, floor
else:
    from numba.cuda.libdevice import (  # noqa: F401  kernels import them
        ceil,
        ceilf,
        float_as_int,
        floor,
        floorf,
        int_as_float,
    )
    from numba.cuda.libdevice import dmul_rn as product64  # noqa: F401
    from numba.cuda.libdevice import double_as_longlong as double_as_long  # noqa: F401
    from numba.cuda.libdevice import fmul_rn as product32  # never joined with a sum  # noqa: F401
    from numba.cuda.libdevice import longlong_as_double as long_as_double  # noqa: F401

_handles: dict[int, tuple[weakref.ref[Any], Any]] = {}
_packed: dict[tuple[Any, Any], Packed | None] = {}  # by kernel and dtype; None: Numba launches it


def made_by() -> str:
    """Return what compiled a kernel: kernels in the cache folder are of this version alone."""
    return f"numba-cuda {importlib.metadata.version('numba-cuda')}"


def fit(arrays: Sequence[Any], coefficients: Sequence[Any]) -> bool:
    """Return whether a launch may take these as they are: 1 us, where `check_launch` takes 20."""
    first = arrays[0]
    kind, dtype, size = type(first), first.dtype, first.size
    if not kind.__module__.startswith("cupy") or dtype not in DTYPES:
        return False
    for a in arrays:
        if type(a) is not kind or a.dtype != dtype or a.size != size or a.ndim != 1:
            return False
        if not a.flags.c_contiguous:
            return False
    return _NUMBERS.issuperset(map(type, coefficients))


_NUMBERS = frozenset((float, int, np.float32, np.float64))


def launch(
    kernel: Any, arrays: Sequence[Any], coefficients: Sequence[float], dtype: np.dtype[Any],
    held: dict[int, Any] | None = None,
) -> None:  # fmt: skip
    """Run `kernel` over 1-D device arrays of one size on CuPy's current stream, asynchronously.

    held: takes up what launches over the same arrays again, where that is likely: see `hold`.
    Coefficients are cast to `dtype` here: a Python float would arrive as a double, and with it
    the arithmetic of the whole kernel.
    """
    first = arrays[0]
    size = first.size
    if size == 0:
        return  # an empty grid is an error in CUDA
    blocks = _blocks(first)
    if type(first).__module__.startswith("cupy") and not _is_simulated(first):
        try:
            packed = _packed[kernel, dtype]
        except KeyError:
            packed = _prepare(kernel, len(arrays), len(coefficients), dtype)
        if packed is not None:
            packed(arrays, coefficients, blocks, BLOCK, current_stream())
            if held is not None and first.base is None:  # parts of vectors are seldom the same
                hold(held, arrays, packed)
            return
    scalars = [dtype.type(c) for c in coefficients]
    if _is_simulated(first):
        kernel[1, min(size, 4)](*arrays, *scalars)  # few threads: each is a Python thread
        return
    kernel[blocks, BLOCK, _stream(first)](*(_handle(a) for a in arrays), *scalars)


def launch_over(
    kernel: Any, letters: str, kinds: str, arrays: Sequence[Any], scalars: Sequence[Any],
    blocks: int | None, threads: int,
) -> None:  # fmt: skip
    """Run a kernel that takes arrays as vectors, then scalars, on CuPy's current stream.

    letters, kinds: the types of the arrays' elements and of the scalars, as of `struct`.
    blocks: None for as many as give a thread to each element, of which the first scalar tells.
    """
    simulated = _is_simulated(arrays[0])
    if simulated:
        threads = 4  # few: each is a Python thread
    if blocks is None:
        blocks = -(-scalars[0] // threads)
    if simulated:
        kernel[blocks, threads](*(a.reshape(-1) for a in arrays), *scalars)
        return
    key = kernel, letters
    try:
        packed = _packed[key]
    except KeyError:
        signature = *(_TYPES[c][::1] for c in letters), *(_TYPES[c] for c in kinds)
        itemsizes = tuple(np.dtype(c).itemsize for c in letters)
        with _preparing:
            packed = _packed[key] = prepare(kernel, signature, itemsizes, kinds)
    if packed is not None:
        packed(arrays, scalars, blocks, threads, current_stream())
        return
    types = (np.dtype(c).type for c in kinds)
    given = [make(scalar) for make, scalar in zip(types, scalars, strict=True)]
    flat = (_handle(a.reshape(-1)) for a in arrays)
    kernel[blocks, threads, _stream(arrays[0])](*flat, *given)


def launch_drawing(
    kernel: Any, arrays: Sequence[Any], coefficients: Sequence[float], counter: Sequence[int]
) -> None:
    """As `launch`, of a kernel that draws random numbers, whose last arguments are `counter`."""
    first = arrays[0]
    if first.size == 0:
        return
    letter = first.dtype.char
    scalars = [*map(first.dtype.type, coefficients), *map(np.uint64, counter)]
    kinds = letter * len(coefficients) + "Q" * len(counter)
    launch_over(kernel, letter * len(arrays), kinds, arrays, scalars, _blocks(first), BLOCK)


def launch_words(
    kernel: Any, arrays: Sequence[Any], coefficients: Sequence[float], key: int, origin: int
) -> None:
    """As `launch`, of a kernel whose states are words of 16 bits."""
    first = arrays[0]
    if first.size == 0:
        return
    letters, kinds = "ff" + "H" * (len(arrays) - 2), "f" * len(coefficients) + "IQ"
    scalars = [*map(np.float32, coefficients), np.uint32(key), np.uint64(origin)]
    launch_over(kernel, letters, kinds, arrays, scalars, _blocks(first), BLOCK)


def launch_from_memory(kernel: Any, arrays: Sequence[Any], numbers: Sequence[Any]) -> None:
    """As `launch`, of a kernel for a graph: its coefficients are vectors in device memory.

    numbers: the coefficients, of the parameter's type, and uint64 for what is not one of them.
    """
    first = arrays[0]
    if first.size:
        arrays = [*arrays, *numbers]
        letters = "".join(a.dtype.char.replace("L", "Q") for a in arrays)
        launch_over(kernel, letters, "", arrays, (), _blocks(first), BLOCK)


_TYPES: dict[str, Any] = {
    "f": numba.float32, "d": numba.float64, "q": numba.int64,
    "B": numba.uint8, "H": numba.uint16, "I": numba.uint32, "Q": numba.uint64,
}  # fmt: skip


def hold(held: dict[int, Any], arrays: Sequence[Any], packed: Packed) -> None:
    """Put into `held`, by the id of the first array, what launches over these arrays again.

    It takes (arrays, coefficients), and returns False, with nothing done, for other arrays.
    """
    key = id(arrays[0])
    again = Held(packed, arrays, _blocks(arrays[0]), lambda _: held.pop(key, None))
    stream = _streams()
    held[key] = lambda arrays, scalars: again(arrays, scalars, stream().ptr)


def _blocks(array: Any) -> int:
    per_block = BLOCK * ahead(array.dtype.name)
    return min(-(-array.size // per_block), MOST_BLOCKS)


_preparing = threading.Lock()  # numba-cuda does not load one library from two threads


def _prepare(kernel: Any, arrays: int, scalars: int, dtype: np.dtype[Any]) -> Packed | None:
    """Compile `kernel`; return how the driver launches it, None if Numba has to."""
    itemsizes = (dtype.itemsize,) * arrays
    with _preparing:
        packed = prepare(kernel, _types(arrays, scalars, dtype), itemsizes, dtype.char * scalars)
    if packed is None:  # for models below about 34,000 parameters Numba would warn of each launch
        config: Any = numba.cuda.config
        config.CUDA_LOW_OCCUPANCY_WARNINGS = 0
    _packed[kernel, dtype] = packed
    return packed


def _types(arrays: int, scalars: int, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    element = numba.from_dtype(dtype)
    return (element[::1],) * arrays + (element,) * scalars


def ptx(
    function: Any, arrays: int, scalars: int, dtype: np.dtype[Any], cc: tuple[int, int],
    narrow: bool = False, draws: bool = False, graph: bool = False,
) -> str:  # fmt: skip
    """Return the PTX of a kernel for compute capability `cc`; needs no GPU."""
    if getattr(cuda, "compile_ptx", None) is None:  # the simulator
        raise RuntimeError("ptx needs the real compiler: unset NUMBA_ENABLE_CUDASIM")
    types = _types(arrays, scalars, dtype)
    if narrow:
        words = (numba.uint16[::1],) * (arrays - 2)
        types = (*types[:2], *words, *types[arrays:], numba.uint32, numba.uint64)
    if draws:
        types = (*types, *[numba.uint64] * 4)
    if graph:
        types = *types[:arrays], numba.from_dtype(dtype)[::1]
        types += (numba.uint64[::1],) if narrow or draws else ()
    from cuda.pathfinder import DynamicLibNotFoundError

    try:
        text, _ = cuda.compile_ptx(function.py_func, types, cc=cc)
    except DynamicLibNotFoundError as error:
        raise ImportError(
            'PTX needs NVVM and NVRTC, two parts of CUDA: pip install "tinygrad_opt[ptx]"'
        ) from error
    return str(text)


def sum_of_powers(array: Any, order: float) -> float:
    """Return the sum of |x|^order of a CuPy array, added up in float64; waits for the GPU."""
    import cupy

    # CuPy's reductions split the work by size alone, so the result is the same every time.
    return float(cupy.sum(cupy.abs(array.astype(cupy.float64)) ** order))


def largest(array: Any) -> float:
    """Return max |x| of a CuPy array, NaN if it holds one; waits for the GPU."""
    import cupy

    return float(cupy.max(cupy.abs(array))) if array.size else 0.0


def _is_simulated(array: Any) -> bool:
    return type(array).__name__ == "FakeCUDAArray"


@cache
def _streams() -> Any:
    """Return CuPy's function that gives the current stream."""
    import cupy

    return cupy.cuda.get_current_stream


def current_stream() -> int:
    """Return the pointer of CuPy's current stream."""
    return int(_streams()().ptr)


def _stream(array: Any) -> Any:
    """Return CuPy's current stream for its arrays, Numba's default for Numba's own."""
    if not type(array).__module__.startswith("cupy"):
        return 0
    return _external_stream(current_stream())


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
