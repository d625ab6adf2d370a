"""Loops written instruction by instruction: where each cycle counts, and compiling must be short.

`writer.py` has the language, `tiles.py` blocks of sums in registers. `loops` here compiles such
loops, keeps the machine code on disk, and runs them on the threads of the pool.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from functools import cache as remembered
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .. import pool
from ..compiler import within
from . import machine
from .tiles import registers
from .writer import WORD, Kind, Number, Writer

__all__ = [
    "Kind", "Number", "Writer", "bind", "follow", "kind_of", "loops", "registers", "run", "written",
]  # fmt: skip

ARRAYS = 4  # that loops take beside their plan

# One for all loops, which it calls by their address: so none of them is compiled twice.
_RUN = """\
# Written by tinygrad_opt.kernels.micro. Of {source}.
from tinygrad_opt.kernels.direct import njit
from tinygrad_opt.kernels.micro import call
from tinygrad_opt.kernels.pool import split


@njit(nogil=True)
def part(first, last, body, plan, x, y, z, to):
    call(body, first, last, plan, x, y, z, to)


@njit("void(int64, int64, int64, int64[::1], uint8[::1], uint8[::1], uint8[::1], uint8[::1])",
      nogil=True, no_cfunc_wrapper=True, cache={cache})
def run(body, count, grain, plan, x, y, z, to):
    split(
        part, count, grain, body, plan.ctypes.data, x.ctypes.data, y.ctypes.data, z.ctypes.data,
        to.ctypes.data,
    )
"""

_BYTE = np.dtype(np.uint8)
_NOTHING = np.empty(0, _BYTE)


@remembered
def kind_of(char: str) -> Kind:
    """Vectors of float32, "f", or float64, "d", as this processor's registers hold them."""
    return Kind(np.dtype(char).name, *registers())


@remembered
def loops(write: Callable[..., None], char: str) -> Callable[..., None]:
    """The function (count, grain, plan, *arrays) that runs loops on all of range(count).

    Args:
        write: a function (f, kind, first, last, plan, x, y, z, to) at the top of a module; its
            numbers are a part of the range, and addresses.
        char: of `kind`: "f" for float32, "d" for float64.

    The function's arguments: `grain`, how much of the range one thread does at once; `plan`, one
    axis of integers of 64 bits; up to four arrays, all contiguous, of any type and shape.
    """
    then, back = ([_named(other, char) for other in some] for some in _following[write])
    symbol, body = machine.bind(*_named(write, char), then=then, back=back)
    run = _runner()

    def launch(count: int, grain: int, plan: Any, *arrays: Any) -> None:
        flat = [a.ravel().view(_BYTE) for a in arrays]
        run(body, count, grain, plan, *flat, *(_NOTHING,) * (ARRAYS - len(flat)))

    launch.symbol = symbol  # type: ignore[attr-defined]
    return launch


def soon(write: Callable[..., None], char: str, count: int = 7) -> None:
    """Say that loops, of `count` numbers, are run soon: see `pool.ahead`."""
    machine.soon(*_named(write, char, count))


def _named(write: Callable[..., None], char: str, count: int = 7) -> tuple[Any, ...]:
    """Loops as `machine` has them."""
    kind, module = kind_of(char), write.__module__
    shape = kind.dtype, kind.width, kind.registers
    return module, write.__name__, *shape, count, _source(module)


# For loops: those that are run soon after them, and those for gradients.
_following: dict[Callable[..., None], tuple[list[Any], list[Any]]] = defaultdict(lambda: ([], []))


def follow(write: Callable[..., None], other: Callable[..., None], back: bool = False) -> None:
    """Say that who runs some loops runs others soon; `back`: if gradients are asked for."""
    _following[write][back].append(other)


def run(
    write: Callable[..., None], char: str, count: int, grain: int, plan: Any,
    reads: tuple[Any, ...], *results: tuple[tuple[int, ...], Any],
) -> list[Any]:  # fmt: skip
    """The arrays, of these shapes and types, that loops make of those they read; see `loops`.

    A convolution or a pooling is planned once, and runs wherever such a function runs its loops:
    here at once, in a compiled step in its turn.
    """
    made = [np.empty(shape, dtype) for shape, dtype in results]
    loops(write, char)(count, grain, plan, *reads, *made)
    return made


def bind(write: Callable[..., None], char: str) -> str:
    """The name by which machine code finds loops in this process: see `loops`.

    The function takes a part of the range and five addresses: the plan's, and four arrays'.
    """
    return loops(write, char).symbol  # type: ignore[attr-defined]


@remembered
def _runner() -> Any:
    return pool.load(
        "run", lambda on_disk: _RUN.format(source=_source(__name__), cache=on_disk)
    )  # fmt: skip


@remembered
def _source(module: str) -> str:
    """A digest of the files in this folder and in the module's."""
    folders = {Path(__file__).parent, Path(str(import_module(module).__file__)).parent}
    files = sorted(file for folder in folders for file in folder.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


# For the texts above ------------------------------------------------------------------------------


@intrinsic
def call(typing, body, first, last, plan, x, y, z, to):
    """Calls what stands at the address `body`."""

    def generate(context, builder, signature, values):
        kind = ir.FunctionType(ir.VoidType(), [WORD] * 7)
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), values[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 8), generate


def written(module: str, name: str, dtype: str, width: int, registers: int, count: int = 7) -> Any:
    """The loops of `count` integers that `module.name(f, kind, ...)` writes, for use in Numba."""
    symbol, _ = machine.bind(module, name, dtype, width, registers, count, _source(module))

    def loops(typing_context: Any, *given: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            kind = ir.FunctionType(ir.VoidType(), [WORD] * count)
            builder.call(cgutils.get_or_insert_function(builder.module, kind, symbol), values)
            return context.get_dummy_value()

        return types.void(*[types.int64] * count), generate

    return within.named(loops, name, [f"number{i}" for i in range(count)])
