"""What stands between Python and a kernel that is read directly; Numba's dispatcher calls it.

Numba would make a structure of each array, count references to it, and look for an error after each
argument. But the caller's tuple holds the arrays while a kernel runs: here their addresses and
lengths are looked up in them, and Python is asked for errors once.
"""

# mypy: ignore-errors
from __future__ import annotations

import ctypes
import functools
import inspect
import itertools
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, compiler, typing
from numba.core.caching import FunctionCache
from numba.core.callconv import RETCODE_OK, RETCODE_USEREXC
from numba.core.funcdesc import PythonFunctionDescriptor
from numba.core.lowering import Environment

from ..compiler import within
from ..plain.lowering import Typed
from .arrays import WORD, Array
from .library import Library
from .reader import Unknown, read_of

__all__ = ["Cache", "pipeline"]

# Bytes from the beginning of an array, or a tuple, to what is read of it.
_HEAD, _ITEMS = object.__basicsize__, tuple.__basicsize__
_DATA, _LENGTHS, _STRIDES = _HEAD, _HEAD + 16, _HEAD + 24
_KIND = _HEAD - 8
_BYTES = ir.IntType(8).as_pointer()
_NDARRAY = "tinygrad_opt_ndarray"  # the type, wherever it lies in a process
llvm.add_symbol(_NDARRAY, id(np.ndarray))
_REAL = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}
_numbers = itertools.count()


class Described(PythonFunctionDescriptor):
    """A kernel whose machine code needs nothing of Numba's while it runs."""

    __slots__ = ()


class Cache(FunctionCache):
    """Numba's, which loads machine code without all that Numba could compile, if that can be."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        with self._guard_against_spurious_io_errors():
            found = self._cache_file.load(self._index_key(sig, target_context.codegen()))
            if found is None:
                return None
            if not isinstance(found[1], Described):
                target_context.refresh()
            return self._impl.rebuild(target_context, found)


def pipeline(thin: Callable[[], Any]) -> Any:
    """What Numba's dispatcher compiles a function by: as it is read, or else `thin()` by Numba."""

    class Pipeline:
        def __init__(self, *given: Any) -> None:
            self.given = given

        def compile_extra(self, function: Any) -> Any:
            with suppress(Exception):
                return _compiled(function, *self.given)
            within.ask_numba()
            # Something that Numba has to be there for first.
            with suppress(Exception):
                for context in self.given[:2]:
                    context.refresh()
                return _compiled(function, *self.given)
            # Unknown, or an error in the text, of which Numba speaks better.
            function = thin()  # which the compiler finds, if it is there before
            return compiler.Compiler(*self.given).compile_extra(function)

    return Pipeline


def _compiled(
    function: Any, typing_context: Any, context: Any, _: Any, kinds: Any, result: Any, flags: Any,
    *__: Any,
) -> Any:  # fmt: skip
    context = compiler._make_subtarget(context, flags)
    known = context.enable_boundscheck or flags.fastmath or context.is32bit
    if known or not _lies_as_expected():
        raise Unknown("settings, or a Python, that Numba knows about")
    library = Library(context.codegen(), function.__name__)
    library.enable_object_caching()
    described = _described(function, kinds, result, flags)
    with context.push_code_library(library):
        module = context.create_module(described.unique_name)
        context.declare_env_global(module, context.get_env_name(described))
        if flags.no_cpython_wrapper:
            _write_for_c(context, module, function, described)
        else:
            body = _write(context, module, function, described)
            _write_for_python(context, module, body, described, flags.release_gil)
        if any(name.startswith("NRT_") for name in module.globals):
            raise Unknown("memory of Numba's")
        library.add_ir_module(module)
    library.finalize()
    environment = Environment.from_fndesc(described)
    return compiler.compile_result(
        typing_context=typing_context, target_context=context, library=library,
        entry_point=context.get_executable(library, described, environment),
        signature=typing.signature(result, *kinds), fndesc=described, environment=environment,
        type_annotation=function.__name__, objectmode=False, lifted=(), typing_error=None,
        metadata={}, reload_init=[],
    )  # fmt: skip


def _described(function: Any, kinds: Any, result: Any, flags: Any) -> Any:
    name, names = function.__qualname__, list(inspect.signature(function).parameters)
    return Described(
        True, function.__module__, name, name, "", {}, result, {}, names, (),
        argtypes=tuple(kinds), abi_tags=[flags.get_mangle_string()], uid=f"d{next(_numbers)}",
    )  # fmt: skip


def _write(context: Any, module: Any, function: Any, described: Any) -> Any:
    """Write what the function does, with Numba's convention of calls."""
    body = context.declare_function(module, described)
    builder = ir.IRBuilder(body.append_basic_block("entry"))
    given, arguments = list(context.call_conv.get_arguments(body)), []
    for kind in described.argtypes:
        if isinstance(kind, types.Array):
            _, _, _, _, data, *axes = given[: 5 + 2 * kind.ndim]
            lengths, strides = axes[: kind.ndim], axes[kind.ndim :]
            arguments.append(Array(kind, data, lengths, [] if kind.layout == "C" else strides))
            del given[: 5 + 2 * kind.ndim]
        else:
            value = context.data_model_manager[kind].from_argument(builder, given.pop(0))
            arguments.append(Typed(value, kind))
    result = described.restype
    found = read_of(context, builder, function, arguments, result, raises=True)
    context.call_conv.return_value(builder, context.get_return_value(builder, result, found))
    return body


def _write_for_c(context: Any, module: Any, function: Any, described: Any) -> None:
    """Write what the function does, for C; no error is reported."""
    kinds, result = described.argtypes, described.restype
    given = [context.get_value_type(kind) for kind in kinds]
    nothing = result == types.none
    kind = ir.FunctionType(ir.VoidType() if nothing else context.get_value_type(result), given)
    body = ir.Function(module, kind, described.llvm_cfunc_wrapper_name)
    builder = ir.IRBuilder(body.append_basic_block("entry"))
    arguments = list(map(Typed, body.args, kinds))
    found = read_of(context, builder, function, arguments, result, raises=False)
    if nothing:
        builder.ret_void()
    else:
        builder.ret(found)


def _write_for_python(
    context: Any, module: Any, body: Any, described: Any, without_lock: bool
) -> None:
    """Write the function of a closure, a tuple and a dictionary that Python calls."""
    kinds, python = described.argtypes, context.get_argument_type(types.pyobject)
    kind = ir.FunctionType(python, [python] * 3)
    function = ir.Function(module, kind, described.llvm_cpython_wrapper_name)
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    api, given = context.get_python_api(builder), function.args[1]
    with cgutils.if_unlikely(
        builder, builder.icmp_unsigned("!=", _field(builder, given, _HEAD, WORD), WORD(len(kinds)))
    ):
        api.err_set_string("PyExc_TypeError", f"{described.qualname}: {len(kinds)} arguments")
        builder.ret(api.get_null_object())
    places = [cgutils.alloca_once(builder, argument.type.pointee) for argument in body.args[:2]]
    values = list(places)
    for i, kind in enumerate(kinds):
        item = _field(builder, given, _ITEMS + 8 * i, python)
        if isinstance(kind, types.Array):
            with cgutils.if_unlikely(builder, _is_no_array(builder, item)):
                said = f"{described.qualname}: argument {i + 1} is no array of NumPy's"
                api.err_set_string("PyExc_TypeError", said)
                builder.ret(api.get_null_object())
        values += _values(context, builder, api, item, kind)
    if not all(isinstance(kind, types.Array) for kind in kinds):
        with cgutils.if_unlikely(builder, cgutils.is_not_null(builder, api.err_occurred())):
            builder.ret(api.get_null_object())
    state = api.save_thread() if without_lock else None
    code = builder.call(body, values, attrs=("noinline",))
    if without_lock:
        api.restore_thread(state)
    if _can_fail(body):
        with cgutils.if_unlikely(builder, cgutils.is_not_null(builder, code)):
            error = api.unserialize(builder.load(places[1]))
            with builder.if_then(cgutils.is_not_null(builder, error)):
                api.raise_object(error)
            builder.ret(api.get_null_object())
    if described.restype == types.none:
        api.return_none()
    else:
        model = context.data_model_manager[described.restype]
        found = model.from_return(builder, builder.load(places[0]))
        builder.ret(api.from_native_return(described.restype, found, None))


def _is_no_array(builder: Any, item: Any) -> Any:
    """Whether an object is none of NumPy's arrays: others may have a type of Numba's, too."""
    module, kind = builder.module, _field(builder, item, _KIND, _BYTES)
    ndarray = module.globals.get(_NDARRAY) or ir.GlobalVariable(module, ir.IntType(8), _NDARRAY)
    is_subtype = cgutils.get_or_insert_function(
        module, ir.FunctionType(ir.IntType(32), [_BYTES] * 2), "PyType_IsSubtype"
    )
    found = builder.call(is_subtype, [kind, ndarray])
    return builder.icmp_signed("==", found, ir.Constant(found.type, 0))


def _values(context: Any, builder: Any, api: Any, item: Any, kind: Any) -> list[Any]:
    """A Python object as a kernel takes it. An error is left to Python's own note of it."""
    if isinstance(kind, types.Array):
        # What `_write` does not look at is not looked up.
        words = WORD.as_pointer()
        owner, counts = [ir.Constant(_BYTES, ir.Undefined)] * 2, [WORD(ir.Undefined)] * 2
        data = _field(builder, item, _DATA, context.get_data_type(kind.dtype).as_pointer())
        lengths = _listed(builder, _field(builder, item, _LENGTHS, words), kind.ndim)
        strides = [WORD(ir.Undefined)] * kind.ndim
        if kind.layout != "C":
            strides = _listed(builder, _field(builder, item, _STRIDES, words), kind.ndim)
        return [*owner, *counts, data, *lengths, *strides]
    if kind in _REAL:
        value = api.float_as_double(item)
        return [value if kind == types.float64 else builder.fptrunc(value, _REAL[kind])]
    if kind == types.int64:
        return [api.long_as_longlong(item)]
    found = api.to_native_value(kind, item).value
    return [context.data_model_manager[kind].as_argument(builder, found)]


def _listed(builder: Any, words: Any, count: int) -> list[Any]:
    return [builder.load(builder.gep(words, [WORD(i)])) for i in range(count)]


def _field(builder: Any, owner: Any, offset: int, kind: Any) -> Any:
    place = builder.gep(builder.bitcast(owner, _BYTES), [WORD(offset)])
    return builder.load(builder.bitcast(place, kind.as_pointer()))


def _can_fail(body: Any) -> bool:
    """Whether a function reports errors: those that it raises itself, or none that are known."""
    ends = [block.terminator for block in body.blocks]
    codes = [end.return_value for end in ends if isinstance(end, ir.instructions.Ret)]
    found = {getattr(code, "constant", None) for code in codes}
    if not found <= {RETCODE_OK.constant, RETCODE_USEREXC.constant}:
        raise Unknown("errors of functions that are called")
    return RETCODE_USEREXC.constant in found


@functools.cache
def _lies_as_expected() -> bool:
    """Whether this Python and this NumPy have arrays and tuples in memory as is said above."""
    array = np.empty((2, 3), np.int8)[:, ::2]
    pair = array, None

    def words(address: int, *offsets: int) -> list[int]:
        return [ctypes.c_ssize_t.from_address(address + offset).value for offset in offsets]

    if words(id(pair), _HEAD, _ITEMS, _ITEMS + 8) != [2, id(array), id(None)]:
        return False
    data, lengths, strides = words(id(array), _DATA, _LENGTHS, _STRIDES)
    both = words(lengths, 0, 8), words(strides, 0, 8)
    return data == array.ctypes.data and both == ([*map(int, array.shape)], [*array.strides])
