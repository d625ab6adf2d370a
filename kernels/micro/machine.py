"""From loops that were written to machine code, without Numba, kept on disk.

Where blocks of sums are written out, what the registers hold is said: LLVM need neither look for
vectors nor weigh what to unroll, which would take it a third of a second for a convolution. It
takes out what is computed twice, and makes machine code.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache as remembered
from importlib import import_module
from typing import Any

import llvmlite
import llvmlite.binding as llvm
from llvmlite import ir
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from ..compiler import cache
from ..pool import ahead
from .spaces import Space, target
from .writer import PARALLEL, WORD, Kind, Number, Writer

__all__ = ["bind", "optimised", "soon"]

LONG = 50_000  # letters of LLVM's text: such loops are written out


_bound: dict[Any, tuple[str, int]] = {}


def bind(*loops: Any, then: Iterable[Any] = (), back: Iterable[Any] = ()) -> tuple[str, int]:
    """The symbol by which machine code finds these loops, and their address: see `Loops`.

    then, back: loops that are bound soon, if gradients are asked for; see `pool.ahead`.
    """
    key = Loops(*loops)
    if key not in _bound:
        code = ahead.made(_loaded, key, then=_still(then), back=_still(back))
        with global_compiler_lock:
            if key not in _bound:
                _bound[key] = key.symbol, _address(key.symbol, code)
    return _bound[key]


def soon(*loops: Any) -> None:
    """Say that these loops are bound soon: see `pool.ahead`."""
    for work in _still([loops]):
        ahead.soon(*work)


def _still(loops: Iterable[Any]) -> list[Any]:
    return [(_loaded, key) for key in itertools.starmap(Loops, loops) if key not in _bound]


def _loaded(loops: Loops) -> bytes:
    return loops.load()


@dataclass(frozen=True)
class Loops:
    """Loops of `count` integers, which `module.name(f, kind, ...)` writes."""

    module: str
    name: str
    dtype: str
    width: int
    registers: int
    count: int
    source: str  # tells what they are made from

    @property
    def symbol(self) -> str:
        """What machine code knows them by."""
        shape = f"{self.dtype}_{self.width}_{self.registers}"
        return f"{self.name}_of_{self.module.replace('.', '_')}_{shape}"

    def load(self) -> bytes:
        """Machine code, from the disk if it is there."""
        write = getattr(import_module(self.module), self.name)
        kind = Kind(self.dtype, self.width, self.registers)
        machine = cpu_target.target_context.codegen().magic_tuple()
        what = f"{llvmlite.__version__} {machine} {self.symbol} {self.count}"
        return cache.load_bytes(
            self.name,
            f"{what} {self.source}",
            lambda: _machine_code(self.symbol, write, kind, self.count),
        )


def _address(symbol: str, code: bytes) -> int:
    """Have machine code in this process."""
    engine = _engine()
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address: int = engine.get_function_address(symbol)
    llvm.add_symbol(symbol, address)
    return address


@remembered
def _engine() -> Any:
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), target())


def _machine_code(*what: Any) -> bytes:
    with Space() as space:
        return space.emitted(optimised(space, *what))


def optimised(space: Space, symbol: str, write: Callable[..., None], kind: Kind, count: int) -> Any:
    """The loops as a module of LLVM's, of which the processor's code is made as it is."""
    text = ir.Module(symbol)
    text.triple, text.data_layout = space.target.triple, str(space.target.target_data)
    function = ir.Function(text, ir.FunctionType(ir.VoidType(), [WORD] * count), symbol)
    function.attributes.add("nounwind")
    inside = ir.IRBuilder(function.append_basic_block())
    numbers = [Number(inside, value) for value in function.args]
    write(Writer(cpu_target.target_context, inside), kind, *numbers)
    inside.ret_void()
    module = space.read(written := str(text))
    scalar = PARALLEL in written  # loops over numbers, that LLVM is to make loops over vectors
    options = llvm.create_pipeline_tuning_options(3)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = scalar
    passes, builder = space.passes(options, whole=scalar)
    if len(written) > LONG and not scalar:
        passes = space.few_passes()
    space.optimise(module if scalar else module.get_function(symbol), passes, builder)
    return module
