"""Matrix products on the pool's threads, part by part: with NumPy's own OpenBLAS, or our own loops.

OpenBLAS has threads of its own. They spin for milliseconds after a product, on the cores that
kernels want next, and where another process holds one of these cores each product waits for it. So
a product large enough for several threads is cut into parts of its rows or columns here, each is
one call on one thread, and the pool decides who does which. Meanwhile OpenBLAS is told to use one
thread, and told back afterwards: NumPy's own products are as they were.

On processors with AVX-512 the loops of `fused/products.py` take 0.5 to 0.95 of OpenBLAS's time,
unless a result has few rows or columns: `product_texts.py` has what is called when. Their bits are
the same whatever the parts are, so there is a part or two for each thread. OpenBLAS's are not: its
parts depend on the shape alone. A matrix times a vector is OpenBLAS's own function for that: as a
product like any other it takes three to five times as long.

Where NumPy was built with another library (Accelerate, MKL), `multiply` and `multiply_stacks` are
NumPy's.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from . import micro, pool, product_texts
from .fused import axis_sums, products

__all__ = ["limit", "multiply", "multiply_stacks", "soon"]

# Multiply-adds. Below the first NumPy's call is cheapest; below the second one thread is enough.
WORTH_CALLING = 100_000
WORTH_CUTTING = product_texts.FIGURES["worth_cutting"]
_BATCH = 64  # what most networks are trained with, about
_SYMBOLS = {
    "tinygrad_opt_sgemm": "cblas_sgemm",
    "tinygrad_opt_dgemm": "cblas_dgemm",
    "tinygrad_opt_sgemv": "cblas_sgemv",
    "tinygrad_opt_dgemv": "cblas_dgemv",
    "tinygrad_opt_blas_threads": "openblas_get_num_threads",
    "tinygrad_opt_set_blas_threads": "openblas_set_num_threads",
}

ROW_MAJOR, ROWS, COLUMNS = 101, 111, 112  # in the words of CBLAS

_KINDS = np.dtype(np.float32), np.dtype(np.float64)
_kernels: dict[tuple[str, str], Any] = {}
_bound: dict[tuple[str, str], Any] = {}  # functions that machine code calls, held
LETTERS = {"f": "s", "d": "d"}
_EMPTY = {dtype.char: np.empty(0, dtype) for dtype in _KINDS}
_available: bool | None = None  # whether OpenBLAS was found; looked for at the first product


def linear(x: Any, weight: Any, bias: Any) -> Any:
    """x weight^T + bias; x (rows, in), weight (out, in), bias (out,), what broadcasts, or None."""
    if x.size * len(weight) < WORTH_CALLING and x.shape[1] > 1:  # as quick as can be
        y = x.dot(weight.T) if type(x) is type(weight) else np.dot(x, weight.T)
        if bias is not None:
            y += bias
        return y
    if bias is None or (
        bias.dtype is x.dtype and bias.shape == weight.shape[:1] and bias.flags.carray
    ):
        return multiply(x, weight.T, None, bias)
    return _plus(multiply(x, weight.T), bias)


def multiply(x: Any, y: Any, out: Any = None, bias: Any = None) -> Any:
    """The product of two matrices, as np.dot; in `out`, contiguous and of its type, if given.

    bias: a row that is added to each of the result's, of the same type, contiguous.
    """
    if x.shape[-1] == 1 == len(y) and x.ndim == 2 == y.ndim and 1 in (len(x), y.shape[1]):
        return _plus(np.multiply(x, y, out), bias)  # to NumPy 0 times a matrix is 0, with its NaN
    if x.size * y.shape[-1] < WORTH_CALLING:
        made = x.dot(y, out) if type(x) is type(y) else _dot(x, y, out)
        return made if bias is None else _plus(made, bias)
    if x.ndim == 2 and y.ndim == 2 and x.dtype is y.dtype and x.dtype in _KINDS:
        if x.shape[0] == 1 == y.shape[1] and x.shape[1] == y.shape[0]:
            return _plus(_of_vectors(x[0], y[:, 0], out), bias)
        kernel = _kernels.get((x.dtype.char, "matrices")) or _load(x.dtype, "matrices")
        if kernel is not None and x.flags.aligned and y.flags.aligned:
            made = np.empty((x.shape[0], y.shape[1]), x.dtype) if out is None else out
            if kernel(x, y, _EMPTY[x.dtype.char] if bias is None else bias, made):
                return made
    return _plus(_dot(x, y, out), bias)


def _of_vectors(x: Any, y: Any, out: Any) -> Any:
    """The product of two vectors of one type, as a matrix."""
    out = np.empty((1, 1), x.dtype) if out is None else out
    out[0, 0] = _inner(x, y)
    return out


def _inner(x: Any, y: Any) -> Any:
    """The product of two vectors of one type."""
    if x.size >= axis_sums.LEAST and x.dtype in _KINDS and x.flags.carray and y.flags.carray:
        return axis_sums.total(x, y, what="dots")
    return x.dot(y)


def _dot(x: Any, y: Any, out: Any = None) -> Any:
    """np.dot of arrays of two types, which finds the library that knows both."""
    return np.dot(x, y) if out is None else np.dot(x, y, out)


def _plus(product: Any, bias: Any) -> Any:
    if bias is not None:
        product += bias
    return product


def soon(weight: Any) -> None:
    """Say that matrices are multiplied by `weight` soon; there is nothing to do if it is small."""
    kind = micro.kind_of(weight.dtype.char)
    if weight.size * _BATCH >= WORTH_CALLING and kind.width == 64 and is_available():
        micro.soon(products.product, weight.dtype.char, 13)


def multiply_stacks(x: Any, y: Any) -> Any:
    """The product of two stacks of matrices, or of two vectors, as np.matmul."""
    if x.ndim == 2 and y.ndim == 2:
        return multiply(x, y)
    if x.ndim == 1 == y.ndim and x.dtype is y.dtype and x.shape == y.shape:
        return np.array(_inner(x, y), x.dtype)
    shape = x.shape[:-2]
    if x.ndim > 2 and y.shape[:-2] == shape and x.dtype is y.dtype and x.dtype in _KINDS:
        (m, k), n = x.shape[-2:], y.shape[-1]
        if x.size * n >= WORTH_CUTTING and y.shape[-2] == k:
            kernel = _kernels.get((x.dtype.char, "stacks")) or _load(x.dtype, "stacks")
            if kernel is not None and x.flags.aligned and y.flags.aligned:
                out = np.empty((*shape, m, n), x.dtype)
                stacks = (a.reshape(-1, *a.shape[-2:]) for a in (x, y, out))
                if kernel(*stacks):
                    return out
    return np.matmul(x, y)


def _load(dtype: np.dtype[Any], kind: str) -> Any:
    """Return the kernel of this dtype, "matrices" or "stacks"; None where there is no OpenBLAS."""
    if not is_available():
        return None
    letter = LETTERS[dtype.char]
    bind({"matrices": "large_product", "stacks": "products"}[kind], letter)
    kernel = _kernel(f"product_of_{kind}", product_texts.ARRAYS[kind], letter)
    _kernels[dtype.char, kind] = kernel
    return kernel


def _kernel(name: str, text: str, letter: str) -> Any:
    fields = _fields(letter)
    return pool.load(name, lambda on_disk: text.format(cache=on_disk, **fields))


def _fields(letter: str) -> dict[str, Any]:
    """What the texts leave open."""
    kind = micro.kind_of("d" if letter == "d" else "f")
    fields = {"dtype": kind.dtype, "size": kind.size, "lanes": kind.lanes, "width": kind.width}
    fields |= {"registers": kind.registers, "tall": kind.tallest, "letter": letter}
    fields |= product_texts.FIGURES
    loops = product_texts.LOOPS if kind.width == 64 else product_texts.NO_LOOPS
    return fields | {"loops": loops.format(**fields)}


def bind(shape: str, letter: str) -> bool:
    """Have `tinygrad_opt_s_large_product` or the like in this process, for machine code to call.

    shape: "product", "large_product" or "products". letter: "s" for float32, "d" for float64.
    """
    if (shape, letter) not in _bound:
        if not is_available():
            return False
        if shape != "product":
            bind("product", letter)  # which it calls
        function = _kernel(shape, product_texts.SHAPES[shape], letter)
        _bound[shape, letter] = function
        llvm.add_symbol(f"tinygrad_opt_{letter}_{shape}", function.address)
    return True


def is_available() -> bool:
    """Find OpenBLAS's functions in the library that NumPy brought, and bind our names to them."""
    global _available
    if _available is None:
        addresses = _addresses()
        for symbol, address in addresses.items():
            llvm.add_symbol(symbol, address)
        _available = bool(addresses)
    return _available


def limit(threads: int) -> None:
    """Let NumPy's own products use so many threads of OpenBLAS, where NumPy has OpenBLAS."""
    address = _addresses().get("tinygrad_opt_set_blas_threads")
    if address:
        ctypes.CFUNCTYPE(None, ctypes.c_int)(address)(threads)


def _addresses() -> dict[str, int]:
    numpy = Path(np.__file__).parent
    places = [*numpy.parent.glob("numpy.libs/*openblas64*"), *numpy.glob(".dylibs/*openblas64*")]
    for place in places:
        try:
            library = ctypes.CDLL(str(place))
            return {
                symbol: ctypes.cast(getattr(library, f"scipy_{name}64_"), ctypes.c_void_p).value
                or 0
                for symbol, name in _SYMBOLS.items()
            }
        except (OSError, AttributeError):  # not loadable, or built with other names
            continue
    return {}
