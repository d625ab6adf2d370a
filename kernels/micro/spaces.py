"""Contexts of LLVM's, each for the code of one thread, and given back when that is made."""

# mypy: ignore-errors
from __future__ import annotations

import ctypes
from typing import Any

import llvmlite.binding as llvm
from numba.core.registry import cpu_target

__all__ = ["Space", "target"]


def target() -> Any:
    """What LLVM is told of this processor; a new one, since an engine owns its own."""
    triple, processor, features = cpu_target.target_context.codegen().magic_tuple()
    static = triple.startswith(("x86", "i386", "i686"))
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=processor, features=features, opt=3, reloc="static" if static else "default",
        codemodel="jitdefault", jit=True,
    )  # fmt: skip


class Space:
    """A context, what was read into it, and who works on that: `with Space() as space`.

    llvmlite has LLVM do one thing at a time, whoever asks. But nobody else knows of what is here:
    so it need not wait, nor need others.

    At the end all is disposed of, what was made last first, and the context last. Python's
    collector may come upon these objects in any order, and a context that went before what is in it
    would end the process: so the collector leaves them be, and what no `with` ends, stays.
    """

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self._context = self._kept(llvm.create_context())
        self.target = self._kept(target())

    def _kept(self, part: Any) -> Any:
        part._owned = True  # llvmlite's word for what is disposed of elsewhere
        self._parts.append(part)
        return part

    def __enter__(self) -> Space:
        return self

    def __exit__(self, *_: object) -> None:
        while self._parts:
            part = self._parts.pop()
            part._owned = False
            part.close()

    def read(self, text: str) -> Any:
        """The module that LLVM's text says."""
        with llvm.ffi.OutputString() as error:
            read = _apart("LLVMPY_ParseAssembly")
            found = read(self._context, ctypes.c_char_p(text.encode()), error)
            module = self._kept(llvm.ModuleRef(found, self._context))
            if error:
                raise RuntimeError(str(error))
        module.verify()
        return module

    def passes(self, options: Any, whole: bool) -> tuple[Any, Any]:
        """What optimises a whole module, or one function, and who has made that."""
        self._kept(options)
        builder = self._kept(llvm.create_pass_builder(self.target, options))
        made = builder.getModulePassManager() if whole else builder.getFunctionPassManager()
        return self._kept(made), builder

    def few_passes(self) -> Any:
        """What optimises a function that says what registers hold: all else takes time in vain."""
        made = self._kept(llvm.create_new_function_pass_manager())
        made.add_sroa_pass()
        made.add_instruction_combine_pass()
        made.add_simplify_cfg_pass()
        return made

    def optimise(self, what: Any, passes: Any, builder: Any) -> None:
        """Run what `passes` returned over a module, or a function."""
        whole = isinstance(what, llvm.ModuleRef)
        run = "LLVMPY_RunNewModulePassManager" if whole else "LLVMPY_RunNewFunctionPassManager"
        _apart(run)(passes, what, builder)

    def emitted(self, module: Any) -> bytes:
        """The machine code of a module."""
        with llvm.ffi.OutputString() as error:
            memory = _apart("LLVMPY_TargetMachineEmitToMemory")(self.target, module, 1, error)
            if not memory:
                raise RuntimeError(str(error))
        library = llvm.ffi.lib
        try:
            begin = library.LLVMPY_GetBufferStart(memory)
            return ctypes.string_at(begin, library.LLVMPY_GetBufferSize(memory))
        finally:
            library.LLVMPY_DisposeMemoryBuffer(memory)


def _apart(name: str) -> Any:
    """A function of LLVM's, which llvmlite would have wait for all other threads' calls of any."""
    function = getattr(llvm.ffi.lib, name)
    return getattr(function, "_cfn", function)
