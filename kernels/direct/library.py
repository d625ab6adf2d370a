"""Machine code of one kernel, made while other threads make that of others.

Numba has one lock for all that it compiles, and llvmlite one for all that it has LLVM do. Here a
kernel's module has a context of LLVM's of its own, which no other thread knows about: so nobody
need wait while it is optimised. What LLVM makes of it is what it makes of Numba's modules, which
are asked to inline first.
"""

# mypy: ignore-errors
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import llvmlite.binding as llvm
from numba.core import cgutils
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock

from ..micro import machine

__all__ = ["Library"]


class Library(JITCodeLibrary):
    """Numba's, but for where and how it is optimised."""

    def __init__(self, codegen: Any, name: str) -> None:
        super().__init__(codegen, name)
        self._space = machine.space()
        self._final_module = llvm.parse_assembly(str(self._final_module), self._space)
        self._final_module.name = cgutils.normalize_ir_text(name)

    def add_ir_module(self, ir_module: Any) -> None:
        self._raise_if_finalized()
        module = llvm.parse_assembly(cgutils.normalize_ir_text(str(ir_module)), self._space)
        module.verify()
        module.data_layout = self._codegen._data_layout
        self._final_module.link_in(module)

    def finalize(self) -> None:
        self._raise_if_finalized()
        with _while_others_go_on():
            made = self._made()
        self._set_compiled_object(made)
        self._finalize_final_module()
        self._compiled_object = made  # to be kept on disk
        self._disable_inspection = False

    def _made(self) -> bytes:
        module, code = self._final_module, self._codegen
        for function in module.functions:
            if not function.is_declaration:
                passes, builder = code._function_pass_manager()
                machine.apart("LLVMPY_RunNewFunctionPassManager")(passes, function, builder)
        passes, builder = code._module_pass_manager()
        machine.apart("LLVMPY_RunNewModulePassManager")(passes, module, builder)
        module.verify()
        return machine.emitted(machine.target(), module)


@contextmanager
def _while_others_go_on() -> Iterator[None]:
    """Let go of Numba's lock, however often this thread has it."""
    lock = global_compiler_lock._lock
    held = lock._release_save()
    try:
        yield
    finally:
        lock._acquire_restore(held)
