"""Matrix products for generated steps, over pointers: NumPy's OpenBLAS, on the pool's threads.

`product_nt_f4(m, n, k, x, x_line, y, y_line, out)` is out = x y^T in float32: n for a matrix that
lies in rows, t for one that lies in columns; `x_line` is the distance of its lines in elements. m,
n, k are the sizes of the result and the length of the sums. The `large` ones are cut into parts as
`blas.py` cuts them, so that the bits are those of eager products.

`at(pointer, offset)` is pointer arithmetic, `memory(array)` where the elements of an array lie.
"""

# mypy: ignore-errors
from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from .blas import FIGURES
from .pool import share
from .pool.borrow import give_back_blas, take_blas

ROW_MAJOR, ROWS, COLUMNS = 101, 111, 112
FEW, MANY, LEAST, PART, SPEED = (
    FIGURES[name] for name in ("few", "many", "least", "part", "speed")
)


@intrinsic
def at(typing, pointer, offset):
    """Return the pointer `offset` elements on."""

    def generate(context, builder, signature, arguments):
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.int64), generate


@intrinsic
def memory(typing, array):
    """Return a pointer to the first element of an array."""

    def generate(context, builder, signature, arguments):
        return context.make_array(array)(context, builder, arguments[0]).data

    element = types.uint8 if array.dtype == types.boolean else array.dtype
    return types.CPointer(element)(array), generate


@intrinsic
def address(typing, pointer):
    """Return a pointer as a number."""

    def generate(context, builder, signature, arguments):
        return builder.ptrtoint(arguments[0], context.get_value_type(types.intp))

    return types.intp(pointer), generate


@intrinsic
def ticks(typing):
    """Return the processor's count of ticks."""

    def generate(context, builder, signature, arguments):
        kind = context.get_value_type(types.int64)
        return builder.call(
            builder.module.declare_intrinsic(
                "llvm.readcyclecounter", (), ir.FunctionType(kind, ())
            ),
            (),
        )

    return types.int64(), generate


def _gemm(letter, real):
    return types.ExternalFunction(
        f"tinygrad_opt_{letter}gemm",
        types.void(
            *[types.int32] * 3, *[types.int64] * 3,
            real, types.intp, types.int64, types.intp, types.int64, real, types.intp, types.int64,
        ),
    )  # fmt: skip


def _make(letter, real, size):
    """Return the products of one type by their names."""
    gemm, one, zero = _gemm(letter, real), real(1), real(0)

    @njit(nogil=True)
    def of_rows(first, last, x, x_way, x_line, y, y_way, y_line, n, k, out):
        start = first * x_line if x_way == ROWS else first
        gemm(ROW_MAJOR, x_way, y_way, last - first, n, k, one, x + start * size, x_line,
             y, y_line, zero, out + first * n * size, n)  # fmt: skip

    @njit(nogil=True)
    def of_columns(first, last, x, x_way, x_line, y, y_way, y_line, m, n, k, out):
        start = first if y_way == ROWS else first * y_line
        gemm(ROW_MAJOR, x_way, y_way, m, last - first, k, one, x, x_line,
             y + start * size, y_line, zero, out + first * size, n)  # fmt: skip

    @njit(nogil=True)
    def of_stack(first, last, x, x_way, x_line, x_step, y, y_way, y_line, y_step, m, n, k, out):
        for i in range(first, last):
            gemm(ROW_MAJOR, x_way, y_way, m, n, k, one, x + i * x_step * size, x_line,
                 y + i * y_step * size, y_line, zero, out + i * m * n * size, n)  # fmt: skip

    def small(x_way, y_way):
        @njit(nogil=True)
        def product(m, n, k, x, x_line, y, y_line, out):
            gemm(ROW_MAJOR, x_way, y_way, m, n, k, one, address(x), x_line,
                 address(y), y_line, zero, address(out), n)  # fmt: skip

        return product

    def large(x_way, y_way):
        @njit(nogil=True)
        def product(m, n, k, x, x_line, y, y_line, out):
            work = m * n * k
            parts = 2 if work < FEW else 4 if work < MANY else 16
            longer = max(m, n)
            grain = max((longer + parts - 1) // parts, LEAST)
            grain += -grain % LEAST
            cost = work // SPEED * grain // longer
            a, b, c = address(x), address(y), address(out)
            take_blas()
            if m >= n:
                share(of_rows, m, grain, cost, a, x_way, x_line, b, y_way, y_line, n, k, c)
            else:
                share(of_columns, n, grain, cost, a, x_way, x_line, b, y_way, y_line, m, n, k, c)
            give_back_blas()

        return product

    def stack(x_way, y_way):
        @njit(nogil=True)
        def products(count, m, n, k, x, x_line, x_step, y, y_line, y_step, out):
            grain = max(1, PART // (m * n * k))
            take_blas()
            share(of_stack, count, grain, grain * m * n * k // SPEED, address(x), x_way, x_line,
                  x_step, address(y), y_way, y_line, y_step, m, n, k, address(out))  # fmt: skip
            give_back_blas()

        return products

    ways = {"n": ROWS, "t": COLUMNS}
    made = {}
    for x, x_way in ways.items():
        for y, y_way in ways.items():
            made[f"product_{x}{y}"] = small(x_way, y_way)
            made[f"large_product_{x}{y}"] = large(x_way, y_way)
            made[f"products_{x}{y}"] = stack(x_way, y_way)
    return made


for _kind, _made in (("f4", _make("s", types.float32, 4)), ("f8", _make("d", types.float64, 8))):
    globals().update({f"{_name}_{_kind}": _function for _name, _function in _made.items()})
