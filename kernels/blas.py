"""Matrix products on the pool's threads, part by part: with NumPy's own OpenBLAS, or our own loops.

OpenBLAS has threads of its own. They spin for milliseconds after a product, on the cores that
kernels want next, and where another process holds one of these cores each product waits for it. So
a product large enough for several threads is cut into parts of its rows or columns here, each is
one call on one thread, and the pool decides who does which. The parts depend on the shape alone,
and with them the bits. Meanwhile OpenBLAS is told to use one thread, and told back afterwards:
NumPy's own products are as they were.

OpenBLAS is made for large products. On processors with AVX-512 most products of a small network
take 0.6 to 0.95 of its time with the loops of `fused/products.py`: `product` calls them where so.

Where NumPy was built with another library (Accelerate, MKL), `multiply` and `multiply_stacks` are
NumPy's.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from . import micro, pool
from .fused import axis_sums

__all__ = ["limit", "multiply", "multiply_stacks"]

# Multiply-adds. Below the first OpenBLAS uses one thread by itself, and NumPy's call is cheapest.
WORTH_CUTTING = 300_000
_SYMBOLS = {
    "tinygrad_opt_sgemm": "cblas_sgemm",
    "tinygrad_opt_dgemm": "cblas_dgemm",
    "tinygrad_opt_blas_threads": "openblas_get_num_threads",
    "tinygrad_opt_set_blas_threads": "openblas_set_num_threads",
}

ROW_MAJOR, ROWS, COLUMNS = 101, 111, 112  # in the words of CBLAS

# One product, or a part of one, on one thread. Compiled once for whoever has a product.
_ONE = """\
# Written by tinygrad_opt.kernels.blas.
from numba import types
from numpy import {dtype}

from tinygrad_opt.kernels.direct import cfunc
from tinygrad_opt.kernels.fused.products import LOW, TERMS, WIDE
from tinygrad_opt.kernels.micro import written

LOOPS = "tinygrad_opt.kernels.fused.products"
spread = written(LOOPS, "spread", "{dtype}", {width}, {registers}, 5)
{loops}
ROW_MAJOR, PLAIN = 101, 111
gemm = types.ExternalFunction(
    "tinygrad_opt_{letter}gemm",
    types.void(
        *[types.int32] * 3, *[types.int64] * 3,
        types.{dtype}, types.intp, types.int64, types.intp, types.int64,
        types.{dtype}, types.intp, types.int64,
    ),
)


@cfunc(types.void(*[types.int64] * 13), cache={cache})
def product(x_way, y_way, m, n, k, x, x_line, y, y_line, out, line, more, bias):
    # out = x y; with more, out += x y; with a bias, the address of a row, out = x y + bias
{choice}    if bias != 0:
        spread(m, n, bias, out, line)
        more = 1
    gemm(
        ROW_MAJOR, x_way, y_way, m, n, k, {dtype}(1), x, x_line, y, y_line, {dtype}(more), out, line
    )
"""

# Where our loops are no slower: what is left of the last panel is wasted.
_OWN = """\
COLUMNS = WIDE * {lanes}  # of a panel
loops = written(LOOPS, "product", "{dtype}", {width}, {registers}, 13)
"""
_CHOICE = """\
    whole = (n + COLUMNS - 1) // COLUMNS * COLUMNS
    small = 0 < k and (x_way != PLAIN or m <= {few_rows} or k <= TERMS or n != whole)
    if m >= LOW and n >= COLUMNS and 8 * whole <= 9 * n and small and (more == 0 or n == whole):
        loops(x_way - PLAIN, y_way - PLAIN, m, n, k, x, x_line, y, y_line, out, line, more, bias)
        return
"""

# How a product is cut.
_HEAD = """\
# Written by tinygrad_opt.kernels.blas.
from numba import types

from tinygrad_opt.kernels.direct import cfunc, njit
from tinygrad_opt.kernels.pool import share
from tinygrad_opt.kernels.pool.borrow import give_back_blas, take_blas

PLAIN = 111
SIZE = {size}
product = types.ExternalFunction("tinygrad_opt_{letter}_product", types.void(*[types.int64] * 13))
"""

_LARGE = """

@njit(nogil=True)
def part_of_rows(first, last, x, x_way, x_line, y, y_way, y_line, n, k, out, bias):
    start = first * x_line if x_way == PLAIN else first
    product(
        x_way, y_way, last - first, n, k, x + start * SIZE, x_line, y, y_line,
        out + first * n * SIZE, n, 0, bias,
    )


@njit(nogil=True)
def part_of_columns(first, last, x, x_way, x_line, y, y_way, y_line, m, n, k, out, bias):
    start = first if y_way == PLAIN else first * y_line
    bias += first * SIZE if bias != 0 else 0
    product(
        x_way, y_way, m, last - first, k, x, x_line, y + start * SIZE, y_line,
        out + first * SIZE, n, 0, bias,
    )


@cfunc(types.void(*[types.int64] * 11), cache={cache})
def large_product(x_way, y_way, m, n, k, x, x_line, y, y_line, out, bias):
    parts = 2 if m * n * k < {few} else 4 if m * n * k < {many} else 16
    longer = max(m, n)
    grain = max((longer + parts - 1) // parts, {least})
    grain += -grain % {least}
    cost = m * n * k // {speed} * grain // longer
    take_blas()
    if m >= n:
        share(part_of_rows, m, grain, cost, x, x_way, x_line, y, y_way, y_line, n, k, out, bias)
    else:
        share(
            part_of_columns, n, grain, cost, x, x_way, x_line, y, y_way, y_line, m, n, k, out, bias
        )
    give_back_blas()
"""

_STACK = """

@njit(nogil=True)
def part_of_stack(first, last, x, x_way, x_line, x_step, y, y_way, y_line, y_step, m, n, k, out):
    for i in range(first, last):
        product(
            x_way, y_way, m, n, k, x + i * x_step * SIZE, x_line, y + i * y_step * SIZE, y_line,
            out + i * m * n * SIZE, n, 0, 0,
        )


@cfunc(types.void(*[types.int64] * 13), cache={cache})
def products(x_way, y_way, count, m, n, k, x, x_line, x_step, y, y_line, y_step, out):
    grain = max(1, {part} // (m * n * k))
    take_blas()
    share(
        part_of_stack, count, grain, grain * m * n * k // {speed}, x, x_way, x_line, x_step,
        y, y_way, y_line, y_step, m, n, k, out,
    )
    give_back_blas()
"""
_CUT = {"large_product": _LARGE, "products": _STACK}

# For arrays: how their matrices lie, and whether that is a way that BLAS takes.
_ARRAYS = """\
# Written by tinygrad_opt.kernels.blas.
from numba import types
from numpy import {dtype}

from tinygrad_opt.kernels.direct import njit

ROWS, COLUMNS = 111, 112
SIZE = {size}
read = {{n: types.Array(types.{dtype}, n, "A", readonly=True) for n in (2, 3)}}
row = types.Array(types.{dtype}, 1, "C", readonly=True)
large_product = types.ExternalFunction(
    "tinygrad_opt_{letter}_large_product", types.void(*[types.int64] * 11)
)
products = types.ExternalFunction("tinygrad_opt_{letter}_products", types.void(*[types.int64] * 13))


@njit(nogil=True)
def direction(rows, columns, down, right):
    # How a matrix lies: (ROWS or COLUMNS, distance of its lines), or (0, 0) for neither.
    if (right == SIZE or columns == 1) and down % SIZE == 0 and down >= columns * SIZE:
        return ROWS, down // SIZE
    if (down == SIZE or rows == 1) and right % SIZE == 0 and right >= rows * SIZE:
        return COLUMNS, right // SIZE
    return 0, 0
"""

_MATRICES = """

@njit(types.boolean(read[2], read[2], row, types.{dtype}[:, ::1]), nogil=True, cache={cache})
def product_of_matrices(x, y, bias, out):
    m, k = x.shape
    n = y.shape[1]
    if y.shape[0] != k or out.shape[0] != m or out.shape[1] != n:
        return False
    if bias.shape[0] != n and bias.shape[0] != 0:
        return False
    x_way, x_line = direction(m, k, x.strides[0], x.strides[1])
    y_way, y_line = direction(k, n, y.strides[0], y.strides[1])
    if x_way == 0 or y_way == 0:
        return False
    large_product(
        x_way, y_way, m, n, k, x.ctypes.data, x_line, y.ctypes.data, y_line, out.ctypes.data,
        bias.ctypes.data if bias.shape[0] != 0 else 0,
    )
    return True
"""

_STACKS = """

@njit(types.boolean(read[3], read[3], types.{dtype}[:, :, ::1]), nogil=True, cache={cache})
def product_of_stacks(x, y, out):
    count, m, k = x.shape
    n = y.shape[2]
    if y.shape[0] != count or y.shape[1] != k:
        return False
    if out.shape[0] != count or out.shape[1] != m or out.shape[2] != n:
        return False
    x_way, x_line = direction(m, k, x.strides[1], x.strides[2])
    y_way, y_line = direction(k, n, y.strides[1], y.strides[2])
    if x_way == 0 or y_way == 0 or x.strides[0] % SIZE != 0 or y.strides[0] % SIZE != 0:
        return False
    products(
        x_way, y_way, count, m, n, k, x.ctypes.data, x_line, x.strides[0] // SIZE,
        y.ctypes.data, y_line, y.strides[0] // SIZE, out.ctypes.data,
    )
    return True
"""
FIGURES = {
    "few": 4_000_000,  # multiply-adds below which two parts are enough
    "many": 100_000_000,  # and four
    "least": 32,  # rows or columns of a part: OpenBLAS's tiles, and our panels
    "part": 1_500_000,  # multiply-adds of a stack's part
    "speed": 40,  # multiply-adds in a nanosecond, about
    # For our own loops:
    "few_rows": 256,  # with more and longer sums, OpenBLAS is the quicker one
}

_KINDS = np.dtype(np.float32), np.dtype(np.float64)
_kernels: dict[tuple[str, str], Any] = {}
_bound: dict[tuple[str, str], Any] = {}  # functions that machine code calls, held
LETTERS = {"f": "s", "d": "d"}
_EMPTY = {dtype.char: np.empty(0, dtype) for dtype in _KINDS}
_available: bool | None = None  # whether OpenBLAS was found; looked for at the first product


def linear(x: Any, weight: Any, bias: Any) -> Any:
    """x weight^T + bias; x (rows, in), weight (out, in), bias (out,), what broadcasts, or None."""
    if x.size * len(weight) < WORTH_CUTTING:  # as quick as can be
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
    if x.size * y.shape[-1] < WORTH_CUTTING:
        made = x.dot(y, out) if type(x) is type(y) else _dot(x, y, out)
        return made if bias is None else _plus(made, bias)
    if x.ndim == 2 and y.ndim == 2 and x.dtype is y.dtype and x.dtype in _KINDS:
        if x.shape[1] == 1 == y.shape[0]:  # each number with each
            return _plus(np.multiply(x, y, out), bias)
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
    if x.size >= axis_sums.LEAST and x.flags.carray and y.flags.carray:
        out[0, 0] = axis_sums.total(x, y, what="dots")
    else:
        out[0, 0] = x.dot(y)
    return out


def _dot(x: Any, y: Any, out: Any = None) -> Any:
    """np.dot of arrays of two types, which finds the library that knows both."""
    return np.dot(x, y) if out is None else np.dot(x, y, out)


def _plus(product: Any, bias: Any) -> Any:
    if bias is not None:
        product += bias
    return product


def multiply_stacks(x: Any, y: Any) -> Any:
    """The product of two stacks of matrices, as np.matmul."""
    if x.ndim == 2 and y.ndim == 2:
        return multiply(x, y)
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
    text = _ARRAYS + {"matrices": _MATRICES, "stacks": _STACKS}[kind]
    kernel = _kernel(f"product_of_{kind}", text, letter)
    _kernels[dtype.char, kind] = kernel
    return kernel


def _kernel(name: str, text: str, letter: str) -> Any:
    kind = micro.kind_of("d" if letter == "d" else "f")
    fields = {"dtype": kind.dtype, "size": kind.size, "lanes": kind.lanes, "width": kind.width}
    fields |= {"registers": kind.registers, "letter": letter, **FIGURES}
    return pool.load(name, lambda on_disk: text.format(cache=on_disk, **fields))


def _text(shape: str) -> str:
    if shape != "product":
        return _HEAD + _CUT[shape]
    own = micro.registers().width == 64
    return _ONE.replace("{loops}", _OWN if own else "").replace("{choice}", _CHOICE if own else "")


def bind(shape: str, letter: str) -> bool:
    """Have `tinygrad_opt_s_large_product` or the like in this process, for machine code to call.

    shape: "product", "large_product" or "products". letter: "s" for float32, "d" for float64.
    """
    if (shape, letter) not in _bound:
        if not is_available():
            return False
        if shape != "product":
            bind("product", letter)  # which it calls
        function = _bound[shape, letter] = _kernel(shape, _text(shape), letter)
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
