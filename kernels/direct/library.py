"""Machine code of one kernel, made while other threads make that of others.

Numba has one lock for all that it compiles, and llvmlite one for all that it has LLVM do. Here a
kernel's module has a context of LLVM's of its own, which no other thread knows about: so nobody
need wait while it is optimised. LLVM's passes go over it once: what Numba's go over first, function
by function, is one function here.
"""

# mypy: ignore-errors
from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import llvmlite.binding as llvm
from numba.core import cgutils, config
from numba.core.codegen import JITCodeLibrary, _parse_refprune_flags
from numba.core.compiler_lock import global_compiler_lock

from ..micro.spaces import Space

__all__ = ["Library"]


class Library(JITCodeLibrary):
    """Numba's, but for where and how it is optimised, and that of the module its code is kept.

    Numba's engine is given an empty module in its place, as it is for what comes from the disk.
    """

    def __init__(self, codegen: Any, name: str) -> None:
        super().__init__(codegen, name)
        self._texts: list[str] = []
        self._unless_used: list[str] = []

    def add_ir_module(self, ir_module: Any) -> None:
        self._raise_if_finalized()
        self._texts.append(cgutils.normalize_ir_text(str(ir_module)))

    def leave_out_if_unused(self, name: str) -> None:
        """See `within`."""
        self._unless_used.append(name)

    def finalize(self) -> None:
        self._raise_if_finalized()
        empty = self._final_module
        try:
            with _while_others_go_on(), Space() as space:
                made, self._bitcode, names = self._made(space)
        finally:
            self._final_module = empty
        self._set_compiled_object(made)
        self._finalize_final_module()
        self._codegen._engine._defined_symbols |= names
        self._compiled_object = made  # to be kept on disk
        self._disable_inspection = False
        del self._final_module, self._shared_module, self._texts

    @functools.cached_property
    def _final_module(self) -> Any:
        """The module, for who asks once more."""
        return llvm.parse_bitcode(self._bitcode)

    @functools.cached_property
    def _shared_module(self) -> Any:
        return self._final_module

    def serialize_using_object_code(self) -> tuple[str, str, tuple[bytes, bytes]]:
        return self.name, "object", (self._get_compiled_object(), self._bitcode)

    def _made(self, space: Space) -> tuple[bytes, bytes, set[str]]:
        """Machine code; what it was made of, as others may link it; and what is defined in it."""
        module, *others = [space.read(text) for text in self._texts]
        self._final_module = module
        module.name = cgutils.normalize_ir_text(self.name)
        module.data_layout = self._codegen._data_layout
        for other in others:
            other.data_layout = module.data_layout
            module.link_in(other)
        for name in self._unless_used:
            module.get_function(name).linkage = "linkonce_odr"
        space.optimise(module, *self._passes(space))
        module.verify()
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        made = space.emitted(module)
        functions = [f for f in module.functions if not f.is_declaration]
        names = {f.name for f in functions}
        names |= {v.name for v in module.global_variables if not v.is_declaration}
        for function in functions:
            if function.linkage == llvm.Linkage.external:
                function.linkage = "linkonce_odr"
        return made, module.as_bitcode(), names

    def _passes(self, space: Space) -> tuple[Any, Any]:
        options = llvm.create_pipeline_tuning_options(int(config.OPT))
        options.loop_vectorization = config.LOOP_VECTORIZE
        options.slp_vectorization = config.SLP_VECTORIZE
        passes, builder = space.passes(options, whole=True)
        if config.LLVM_REFPRUNE_PASS:
            passes.add_refprune_pass(_parse_refprune_flags())
        return passes, builder


@contextmanager
def _while_others_go_on() -> Iterator[None]:
    """Let go of Numba's lock, however often this thread has it."""
    lock = global_compiler_lock._lock
    held = lock._release_save()
    try:
        yield
    finally:
        lock._acquire_restore(held)
