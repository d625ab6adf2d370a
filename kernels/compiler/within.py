"""Functions that Numba compiles into the library of their caller.

A function that compiled code calls is usually one of Numba's own libraries: LLVM optimises it,
makes machine code that nobody runs, and optimises it once more where it is linked to its caller.
Here its code joins the caller's before any of that is done, once.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, compiler, sigutils
from numba.core.cpu import FastMathOptions
from numba.extending import intrinsic

__all__ = [
    "Distinct", "address", "ask_numba", "call", "function", "leave_numba_to_others",
    "leave_out_if_unused", "named", "read_by", "take_liberties", "written",
]  # fmt: skip


def function(signature: str, fastmath: Any = False) -> Callable[..., Any]:
    """Make a function of this signature, as "int64(int64)", for `@njit` code to call.

    fastmath: as for `@njit`. An error in it is not reported.
    """
    kinds, result = sigutils.normalize_signature(signature)
    return lambda plain: written(plain, kinds, result, fastmath)


def written(
    plain: Callable[..., Any], kinds: Sequence[Any], result: Any, fastmath: Any = False,
    raises: bool = False,
) -> Any:  # fmt: skip
    """Make an intrinsic that writes `plain` where it is called; if it must, by Numba.

    raises: whether an error is reported, as the caller's own.
    """

    def typing(typing_context: Any, *_: Any) -> Any:
        def generate(context: Any, builder: Any, _: Any, values: Any) -> Any:
            return _write(context, builder, plain, kinds, values, result, fastmath, raises)

        return result(*kinds), generate

    made = named(typing, plain.__name__, list(inspect.signature(plain).parameters))
    if not fastmath:  # or its liberties would be the caller's
        made.read_directly, made.returns = plain, result
    return made


def _write(
    context: Any, builder: Any, plain: Any, kinds: Any, values: Any, result: Any, fastmath: Any,
    raises: bool,
) -> Any:  # fmt: skip
    if _reader is not None and not fastmath:
        found = _reader(context, builder, plain, kinds, values, result, raises)
        if found is not NotImplemented:
            return found
    return call(context, builder, plain, kinds, values, result, fastmath, raises=raises)


_reader: Callable[..., Any] | None = None


def read_by(reader: Callable[..., Any]) -> None:
    """Have functions written by `reader`, unless it returns NotImplemented: see kernels/direct."""
    global _reader
    _reader = reader


_thread = threading.local()


def leave_numba_to_others() -> None:
    """Have `ask_numba` raise in this thread.

    While Numba finds out types, the filters of warnings are its own, in the whole process: what a
    program does meanwhile warns of nothing, and of what it filters itself everything is lost.
    """
    _thread.leaves_it = True


def ask_numba() -> None:
    """Raise RuntimeError where Numba is not to compile: to be called before it does."""
    if getattr(_thread, "leaves_it", False):
        raise RuntimeError("this thread leaves what Numba has to compile to others")


def address(plain: Callable[..., Any], signature: str) -> Any:
    """Make a function without arguments: the address of `plain`, which returns nothing, for C."""
    kinds, result = sigutils.normalize_signature(signature)

    def typing(typing_context: Any) -> Any:
        def generate(context: Any, builder: Any, *_: Any) -> Any:
            given = [context.get_value_type(kind) for kind in kinds]
            name = f"{plain.__name__}_for_c"
            entry = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), given), name)
            entry.linkage = "internal"
            inside = ir.IRBuilder(entry.append_basic_block())
            _write(context, inside, plain, kinds, entry.args, result, False, False)
            inside.ret_void()
            return builder.ptrtoint(entry, ir.IntType(64))

        return types.int64(), generate

    return named(typing, f"address_of_{plain.__name__}", [])


def take_liberties(function: Any, wanted: Sequence[str]) -> None:
    """Let LLVM compute in a function of llvmlite's as `fastmath` says."""
    for block in function.blocks:
        for instruction in block.instructions:
            if instruction.opname in _FLOATING and not instruction.flags:
                instruction.flags.extend(wanted)
            elif instruction.opname == "call" and instruction.type in _REALS:
                instruction.fastmath.update(wanted)


_FLOATING = {"fadd", "fsub", "fmul", "fdiv", "frem", "fcmp"}
_REALS = (ir.FloatType(), ir.DoubleType())


class Distinct(ir.MDValue):
    """Metadata that is a thing of its own; `itself`: and whose first part it is."""

    def __init__(self, module: Any, parts: Any = (), itself: bool = False) -> None:
        super().__init__(module, parts, name=str(len(module.metadata)))
        self.itself = itself

    __eq__, __ne__, __hash__ = object.__eq__, object.__ne__, object.__hash__

    def descr(self, buf: Any) -> None:
        parts = [*([self] if self.itself else []), *self.operands]
        buf += (f"distinct !{{ {', '.join(p.get_reference() for p in parts)} }}", "\n")


def named(typing: Any, name: str, parameters: Sequence[str]) -> Any:
    """Make an intrinsic of this name, whose parameters follow the typing context."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    names = ["typing_context", *parameters]
    typing.__signature__ = inspect.Signature([inspect.Parameter(n, kind) for n in names])
    typing.__name__ = name
    return intrinsic(typing)


def call(
    context: Any, builder: Any, function: Any, kinds: Sequence[Any], values: Sequence[Any],
    result: Any = None, fastmath: Any = False, inline: bool = True, raises: bool = False,
) -> Any:  # fmt: skip
    """Write a call of `function`, and compile it unless the caller's library has it already.

    function: plain, or of `@njit`, whose options hold.  result: its type, if that is known.
    inline: whether LLVM may; what it inlines has the attributes of the caller.  raises: whether an
    error in it is reported.
    """
    library = context.active_code_library
    made = library.__dict__.setdefault("_compiled_within", {})
    key = function, tuple(kinds)
    if key not in made:
        made[key] = _compiled(context, library, *key, result, fastmath)
    fndesc = made[key]
    callee = context.declare_function(builder.module, fndesc)
    status, found = context.call_conv.call_function(
        builder, callee, fndesc.restype, fndesc.argtypes, values,
        attrs=() if inline else ("noinline",),
    )  # fmt: skip
    if raises:
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
    return found


def _compiled(
    context: Any, library: Any, function: Any, kinds: Any, result: Any, fastmath: Any
) -> Any:
    ask_numba()
    flags: Any = compiler.Flags()
    flags.error_model, flags.nrt = "numpy", True
    plain: Callable[..., Any] = getattr(function, "py_func", function)
    if plain is not function:
        flags = compiler.Flags()
        function.targetdescr.options.parse_as_flags(flags, function.targetoptions)
        fastmath = function.targetoptions.get("fastmath", False)
    flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    flags.fastmath = FastMathOptions(fastmath)
    # Or the caller's liberties would be those of what has none.
    context = context.subtarget(fastmath=flags.fastmath)
    found = compiler.compile_internal(
        context.typing_context, context, library, plain, kinds, result, flags, {}
    )
    leave_out_if_unused(library, found.fndesc.mangled_name)
    return found.fndesc


def leave_out_if_unused(library: Any, name: str) -> None:
    """Let LLVM drop a function of the library where it is inlined, or let another library's be it.

    Only now, since what is dropped so is not linked either before it is called.
    """
    if hasattr(library, "leave_out_if_unused"):  # `direct`'s, which has no module yet
        library.leave_out_if_unused(name)
    else:
        library._final_module.get_function(name).linkage = "linkonce_odr"
