"""From loops that were written to machine code, without Numba, kept on disk.

Where blocks of sums are written out, what the registers hold is said: LLVM need neither look for
vectors nor weigh what to unroll, which would take it a third of a second for a convolution. It
takes out what is computed twice, and makes machine code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache as remembered
from importlib import import_module
from typing import Any

import llvmlite
import llvmlite.binding as llvm
from llvmlite import ir
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from ..compiler import cache
from .writer import WORD, Kind, Number, Writer

__all__ = ["bind", "optimised", "target"]

LONG = 50_000  # letters of LLVM's text: such loops are written out


_bound: dict[tuple[Any, ...], tuple[str, int]] = {}


def bind(
    module: str, name: str, dtype: str, width: int, registers: int, count: int, source: str,
    thorough: bool = False,
) -> tuple[str, int]:  # fmt: skip
    """The symbol by which machine code finds loops of `count` integers, and their address.

    They are those that `module.name(f, kind, ...)` writes. source: tells what it is made from.
    thorough: all of LLVM's passes, which take it a fifth of a second where loops are long.
    """
    key = module, name, dtype, width, registers
    with global_compiler_lock:
        if key not in _bound:
            symbol = f"{name}_of_{module.replace('.', '_')}_{dtype}_{width}_{registers}"
            write, kind = getattr(import_module(module), name), Kind(dtype, width, registers)
            machine = cpu_target.target_context.codegen().magic_tuple()
            code = cache.load_bytes(
                name,
                f"{llvmlite.__version__} {machine} {symbol} {count} {thorough} {source}",
                lambda: _machine_code(symbol, write, kind, count, thorough),
            )
            _bound[key] = symbol, _address(symbol, code)
    return _bound[key]


def _address(symbol: str, code: bytes) -> int:
    """Have machine code in this process."""
    engine = _engine()
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address: int = engine.get_function_address(symbol)
    llvm.add_symbol(symbol, address)
    return address


def target() -> Any:
    """What LLVM is told of this processor; a new one, since an engine owns its own."""
    triple, processor, features = cpu_target.target_context.codegen().magic_tuple()
    static = triple.startswith(("x86", "i386", "i686"))
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=processor, features=features, opt=3, reloc="static" if static else "default",
        codemodel="jitdefault", jit=True,
    )  # fmt: skip


@remembered
def _engine() -> Any:
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), target())


def _machine_code(*what: Any) -> bytes:
    made_for = target()
    return bytes(made_for.emit_object(optimised(made_for, *what)))


def optimised(
    made_for: Any, symbol: str, write: Callable[..., None], kind: Kind, count: int, thorough: bool
) -> Any:
    """The loops as a module of LLVM's, of which the processor's code is made as it is."""
    text = ir.Module(symbol)
    text.triple, text.data_layout = made_for.triple, str(made_for.target_data)
    function = ir.Function(text, ir.FunctionType(ir.VoidType(), [WORD] * count), symbol)
    function.attributes.add("nounwind")
    inside = ir.IRBuilder(function.append_basic_block())
    numbers = [Number(inside, value) for value in function.args]
    write(Writer(cpu_target.target_context, inside), kind, *numbers)
    inside.ret_void()
    module = llvm.parse_assembly(written := str(text))
    module.verify()
    long = len(written) > LONG and not thorough
    options = llvm.create_pipeline_tuning_options(1 if long else 3)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = not long
    builder = llvm.create_pass_builder(made_for, options)
    if long:
        builder.getFunctionPassManager().run(module.get_function(symbol), builder)
    else:
        builder.getModulePassManager().run(module, builder)
    return module
