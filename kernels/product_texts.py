"""What is compiled for matrix products: one on one thread, one that is cut into parts, and a stack.

`blas.py` fills in the type, its vectors, and FIGURES.
"""

from __future__ import annotations

__all__ = ["ARRAYS", "FIGURES", "LOOPS", "NO_LOOPS", "SHAPES"]

# One product, or a part of one, on one thread. Compiled once for whoever has a product.
_ONE = """\
# Written by tinygrad_opt.kernels.blas.
from numba import types
from numpy import {dtype}

from tinygrad_opt.kernels.direct import cfunc, njit
from tinygrad_opt.kernels.fused.products import LOW, WIDE
from tinygrad_opt.kernels.micro import written

{loops}
spread = written(LOOPS, "spread", "{dtype}", {width}, {registers}, 5)
ROW_MAJOR, PLAIN, TURNED = 101, 111, 112
gemm = types.ExternalFunction(
    "tinygrad_opt_{letter}gemm",
    types.void(
        *[types.int32] * 3, *[types.int64] * 3,
        types.{dtype}, types.intp, types.int64, types.intp, types.int64,
        types.{dtype}, types.intp, types.int64,
    ),
)
gemv = types.ExternalFunction(
    "tinygrad_opt_{letter}gemv",
    types.void(
        *[types.int32] * 2, *[types.int64] * 2,
        types.{dtype}, types.intp, types.int64, types.intp, types.int64,
        types.{dtype}, types.intp, types.int64,
    ),
)


@cfunc(types.void(*[types.int64] * 13), cache={cache})
def product(x_way, y_way, m, n, k, x, x_line, y, y_line, out, line, more, bias):
    # out = x y; with more, out += x y; with a bias, the address of a row, out = x y + bias
    if is_ours(m, n, k):
        loops(x_way - PLAIN, y_way - PLAIN, m, n, k, x, x_line, y, y_line, out, line, more, bias)
        return
    if bias != 0:
        spread(m, n, bias, out, line)
        more = 1
    if n == 1:  # of vectors, which lie in a line or across lines
        step = y_line if y_way == PLAIN else 1
        high = m if x_way == PLAIN else k
        wide = k if x_way == PLAIN else m
        gemv(ROW_MAJOR, x_way, high, wide, {dtype}(1), x, x_line, y, step, {dtype}(more), out, line)
    elif m == 1:  # y^T x^T
        step = 1 if x_way == PLAIN else x_line
        high = k if y_way == PLAIN else n
        wide = n if y_way == PLAIN else k
        turned = TURNED if y_way == PLAIN else PLAIN
        gemv(ROW_MAJOR, turned, high, wide, {dtype}(1), y, y_line, x, step, {dtype}(more), out, 1)
    else:
        gemm(
            ROW_MAJOR, x_way, y_way, m, n, k, {dtype}(1), x, x_line, y, y_line, {dtype}(more),
            out, line,
        )
"""

# What our loops multiply: where they are no slower.
LOOPS = """\
LOOPS = "tinygrad_opt.kernels.fused.products"
COLUMNS = WIDE * {lanes}  # of a panel
TALL = {tall}  # rows of a block
loops = written(LOOPS, "product", "{dtype}", {width}, {registers}, 13)


@njit(nogil=True)
def is_ours(m, n, k):  # what is left of the last panel is wasted
    return m >= LOW and n >= COLUMNS and 8 * (-n % COLUMNS) <= n and k > 0
"""
NO_LOOPS = """\
LOOPS = "tinygrad_opt.kernels.fused.products"
COLUMNS = TALL = 1


@njit(nogil=True)
def is_ours(m, n, k):
    return False


@njit(nogil=True)
def loops(x_way, y_way, m, n, k, x, x_line, y, y_line, out, line, more, bias):
    pass
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

_LARGE = """\
from tinygrad_opt.kernels.fused.products import LOW, WIDE
from tinygrad_opt.kernels.micro import written
from tinygrad_opt.kernels.pool.state import WORKERS, load

{loops}

@njit(nogil=True)
def part(ours, x_way, y_way, m, n, k, x, x_line, y, y_line, out, line, bias):
    if ours:
        loops(x_way - PLAIN, y_way - PLAIN, m, n, k, x, x_line, y, y_line, out, line, 0, bias)
    else:
        product(x_way, y_way, m, n, k, x, x_line, y, y_line, out, line, 0, bias)


@njit(nogil=True)
def part_of_rows(first, last, ours, unit, x, x_way, x_line, y, y_way, y_line, m, n, k, out, bias):
    i = first * unit
    height = (m if last == max(m // unit, 1) else last * unit) - i
    x += (i * x_line if x_way == PLAIN else i) * SIZE
    part(ours, x_way, y_way, height, n, k, x, x_line, y, y_line, out + i * n * SIZE, n, bias)


@njit(nogil=True)
def part_of_columns(
    first, last, ours, unit, x, x_way, x_line, y, y_way, y_line, m, n, k, out, bias
):
    j = first * unit
    breadth = (n if last == max(n // unit, 1) else last * unit) - j
    y += (j if y_way == PLAIN else j * y_line) * SIZE
    bias += j * SIZE if bias != 0 else 0
    part(ours, x_way, y_way, m, breadth, k, x, x_line, y, y_line, out + j * SIZE, n, bias)


@cfunc(types.void(*[types.int64] * 11), cache={cache})
def large_product(x_way, y_way, m, n, k, x, x_line, y, y_line, out, bias):
    # The bits of our loops are the same whatever the parts are; OpenBLAS's are not.
    work, ours, threads = m * n * k, is_ours(m, n, k), load(WORKERS) + 1
    if ours:
        by_rows = m >= 2 * n
        unit = TALL if by_rows else COLUMNS
        parts = min(threads if work < {many} else 2 * threads, max(work // {part}, 2))
    else:
        by_rows = m >= n
        unit = {least}
        parts = 2 if work < {few} else 4 if work < {many} else 16
    units = max((m if by_rows else n) // unit, 1)  # what is left over belongs to the last one
    grain = (units + parts - 1) // parts if threads > 1 or not ours else units
    cost = work // {speed} * grain // units
    if not ours:
        take_blas()
    if by_rows:
        share(
            part_of_rows, units, grain, cost, ours, unit, x, x_way, x_line, y, y_way, y_line,
            m, n, k, out, bias,
        )
    else:
        share(
            part_of_columns, units, grain, cost, ours, unit, x, x_way, x_line, y, y_way, y_line,
            m, n, k, out, bias,
        )
    if not ours:
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
SHAPES = {"product": _ONE, "large_product": _HEAD + _LARGE, "products": _HEAD + _STACK}

# For arrays: how their matrices lie, and whether that is a way that BLAS takes.
_ANY = """\
# Written by tinygrad_opt.kernels.blas.
from numba import types
from numpy import {dtype}

from tinygrad_opt.kernels.direct import njit

ROWS, COLUMNS = 111, 112
SIZE = {size}
read = {{n: types.Array(types.{dtype}, n, "A", readonly=True) for n in (2, 3)}}
row = types.Array(types.{dtype}, 1, "C", readonly=True)
product = types.ExternalFunction("tinygrad_opt_{letter}_product", types.void(*[types.int64] * 13))
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
    if x_way == 0 or y_way == 0 or k == 0:
        return False
    row = bias.ctypes.data if bias.shape[0] != 0 else 0
    if m * n * k < {worth_cutting}:
        product(
            x_way, y_way, m, n, k, x.ctypes.data, x_line, y.ctypes.data, y_line, out.ctypes.data,
            n, 0, row,
        )
    else:
        large_product(
            x_way, y_way, m, n, k, x.ctypes.data, x_line, y.ctypes.data, y_line, out.ctypes.data,
            row,
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
ARRAYS = {"matrices": _ANY + _MATRICES, "stacks": _ANY + _STACKS}

FIGURES = {
    "worth_cutting": 1 << 18,  # multiply-adds below which OpenBLAS uses one thread by itself
    "few": 4_000_000,  # multiply-adds below which two parts are enough
    "many": 100_000_000,  # and four
    "least": 32,  # rows or columns of OpenBLAS's tiles
    "part": 1_500_000,  # multiply-adds of a stack's part, or of one of many
    "speed": 40,  # multiply-adds in a nanosecond, about
}
