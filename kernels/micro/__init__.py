"""Loops written instruction by instruction: where each cycle counts, and compiling must be short.

`writer` has the language, `tiles` the blocks of sums in registers. `run` here compiles such loops,
keeps the machine code on disk, and runs them on the threads of the pool.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache as remembered
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .. import pool
from ..compiler import cache
from .tiles import registers
from .writer import WORD, Kind, Number, Writer

__all__ = ["Kind", "Writer", "kind_of", "loops", "written"]

ARGUMENTS = 5  # addresses that a loop takes, besides the part of the range that it works on

_TEXT = """\
# Written by tinygrad_opt.kernels.micro. Of {source}.
from numba import cfunc
from {micro} import written

loops = written("{module}", "{name}", "{dtype}", {width}, {registers})


@cfunc("void(int64, int64, int64, int64, int64, int64, int64)", nopython=True, cache={cache})
def {name}(first, last, a, b, c, d, e):
    loops(first, last, a, b, c, d, e)
"""

# One for all loops: it calls what stands at an address.
_RUN = """\
# Written by tinygrad_opt.kernels.micro. Of {source}.
from numba import njit
from {micro} import address, call
from {kernels}.pool import split


@njit(nogil=True, cache={cache}, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def part(first, last, body, a, b, c, d, e):
    call(body, first, last, a, b, c, d, e)


@njit("void(int64, int64, int64, int64[::1], {dtype}[::1], {dtype}[::1], {dtype}[::1],"
      "{dtype}[::1])", nogil=True, cache={cache})
def run(body, count, grain, plan, x, y, z, to):
    split(part, count, grain, body, address(plan), address(x), address(y), address(z), address(to))
"""


@remembered
def kind_of(char: str) -> Kind:
    """Vectors of float32, "f", or float64, "d", as this processor's registers hold them."""
    dtype = np.dtype(char).name
    return Kind(dtype, *registers())


@intrinsic
def call(typing, body, first, last, a, b, c, d, e):  # type: ignore[no-untyped-def]
    """Calls what stands at the address `body`."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        kind = ir.FunctionType(ir.VoidType(), [WORD] * (ARGUMENTS + 2))
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), values[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * (ARGUMENTS + 3)), generate


@intrinsic
def address(typing, array):  # type: ignore[no-untyped-def]
    """Where an array's first element stands."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        made = context.make_array(signature.args[0])(context, builder, values[0])
        return builder.ptrtoint(made.data, WORD)

    return types.int64(array), generate


def written(module: str, name: str, dtype: str, width: int, registers: int) -> Any:
    """The loops that `module.name(f, kind, first, last, ...)` writes, for use within Numba."""
    write = getattr(import_module(module), name)

    @intrinsic
    def loops(typing, first, last, a, b, c, d, e):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
            numbers = [Number(builder, value) for value in values]
            write(Writer(context, builder), Kind(dtype, width, registers), *numbers)
            return context.get_dummy_value()

        return types.void(*[types.int64] * (ARGUMENTS + 2)), generate

    return loops


@remembered
def _source(module: str) -> str:
    """A digest of all files that machine code is made from: they are part of its name."""
    folder = Path(__file__).parent
    own = Path(str(import_module(module).__file__)).parent
    files = sorted({*folder.glob("*.py"), *own.glob("*.py")})
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


@remembered
def loops(write: Callable[..., None], char: str) -> Callable[..., None]:
    """The function (count, grain, plan, x, y, z, to) that runs loops on all of range(count).

    Args:
        write: a function (f, kind, first, last, plan, x, y, z, to) at the top of a module; its
            numbers are a part of the range, and addresses.
        char: "f" for float32, "d" for float64.

    The function's arguments: `grain`, how much of the range one thread does at once; `plan`, an
    array of integers of 64 bits; arrays of the type. All are contiguous and have one axis.
    """
    kind, module, name = kind_of(char), write.__module__, write.__name__
    body = cache.load(
        name,
        lambda on_disk: _TEXT.format(
            source=_source(module), micro=__name__, module=module, name=name, dtype=kind.dtype,
            width=kind.width, registers=kind.registers, cache=on_disk,
        ),
    ).address  # fmt: skip
    return partial(_runner(kind.dtype), body)


@remembered
def _runner(dtype: str) -> Any:
    kernels = __name__.rpartition(".")[0]
    return pool.load(
        "run",
        lambda on_disk: _RUN.format(
            source=_source(__name__), micro=__name__, kernels=kernels, dtype=dtype, cache=on_disk
        ),
    )
