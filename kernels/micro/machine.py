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
from numba.core.registry import cpu_target

from ..compiler import cache
from .writer import WORD, Kind, Number, Writer

__all__ = ["bind"]

LONG = 50_000  # letters of LLVM's text: such loops are written out


@remembered
def bind(
    module: str, name: str, dtype: str, width: int, registers: int, count: int, source: str
) -> tuple[str, int]:
    """The symbol by which machine code finds loops of `count` integers, and their address.

    They are those that `module.name(f, kind, ...)` writes. source: tells what it is made from.
    """
    symbol = f"{name}_of_{module.replace('.', '_')}_{dtype}_{width}_{registers}"
    write = getattr(import_module(module), name)

    def make() -> bytes:
        return _machine_code(symbol, write, Kind(dtype, width, registers), count)

    machine = cpu_target.target_context.codegen().magic_tuple()
    made_by = f"{llvmlite.__version__} {machine} {symbol} {count} {source}"
    engine = _engine()
    code = llvm.ObjectFileRef.from_data(cache.load_bytes(name, made_by, make))
    engine.add_object_file(code)
    engine.finalize_object()
    address = engine.get_function_address(symbol)
    llvm.add_symbol(symbol, address)
    return symbol, address


@remembered
def _target() -> Any:
    triple, processor, features = cpu_target.target_context.codegen().magic_tuple()
    static = triple.startswith(("x86", "i386", "i686"))
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=processor, features=features, opt=3, reloc="static" if static else "default",
        codemodel="jitdefault", jit=True,
    )  # fmt: skip


@remembered
def _engine() -> Any:
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target())


def _machine_code(symbol: str, write: Callable[..., None], kind: Kind, count: int) -> bytes:
    target = _target()
    text = ir.Module(symbol)
    text.triple, text.data_layout = target.triple, str(target.target_data)
    function = ir.Function(text, ir.FunctionType(ir.VoidType(), [WORD] * count), symbol)
    function.attributes.add("nounwind")
    inside = ir.IRBuilder(function.append_basic_block())
    numbers = [Number(inside, value) for value in function.args]
    write(Writer(cpu_target.target_context, inside), kind, *numbers)
    inside.ret_void()
    module = llvm.parse_assembly(written := str(text))
    module.verify()
    long = len(written) > LONG
    options = llvm.create_pipeline_tuning_options(1 if long else 3)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = not long
    builder = llvm.create_pass_builder(target, options)
    if long:
        builder.getFunctionPassManager().run(module.get_function(symbol), builder)
    else:
        builder.getModulePassManager().run(module, builder)
    return bytes(target.emit_object(module))
