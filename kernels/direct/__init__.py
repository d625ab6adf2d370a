"""`njit` for the kernels' texts, with a front end that takes a tenth of Numba's time.

    from tinygrad_opt.kernels.direct import njit

    @njit("void(float32[::1], float32[::1])", error_model="numpy", nogil=True, cache=True)
    def double(x, y):
        for i in range(y.shape[0]):
            y[i] = x[i] + x[i]

It is Numba's Python, and what Python calls is Numba's dispatcher, which keeps machine code on disk.
But Numba finds out types by going over a function again and again, and it optimises, and makes
machine code of, each function that a kernel calls before it does so once more in the kernel. Here
`reader.py` goes through the text once, what a kernel calls is written where it is called,
`entry.py` writes what the dispatcher calls, and `library.py` has LLVM compile it all, beside other
threads. What the reader does not know, it leaves to Numba.
"""

# mypy: ignore-errors
from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numba
from numba import types
from numba.core import sigutils, typeinfer
from numba.core.ccallback import CFunc
from numba.core.dispatcher import Dispatcher

from ..compiler import within

__all__ = ["Function", "cfunc", "njit"]


def njit(signature: Any = None, **options: Any) -> Any:
    """Make a kernel of this signature, or, without one, a function for kernels.

    options: of `numba.njit`.
    """
    if callable(signature):
        return Function(signature, {})
    if signature is None:
        return lambda function: Function(function, options)
    return lambda function: _kernel(function, signature, options)


class Function:
    """A function that kernels call, or hand on to the pool's threads."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self.read_directly, self.options, self.__name__ = function, options, function.__name__
        self.__doc__ = function.__doc__
        self._dispatcher: Any = None

    @property
    def _numba_type_(self) -> Any:
        """What it is where Numba compiles a kernel that calls it."""
        if self._dispatcher is None:
            self._dispatcher = numba.njit(**self.options)(self.read_directly)
        return types.Dispatcher(self._dispatcher)

    def take_liberties(self, function: Any) -> None:
        """Say of a function of llvmlite's what `fastmath` allows."""
        wanted = self.options.get("fastmath")
        if wanted:
            within.take_liberties(function, {"fast"} if wanted is True else wanted)


def cfunc(signature: Any, **options: Any) -> Any:
    """Make a function of this signature for C.

    options: of `numba.cfunc`.
    """
    return lambda function: _for_c(function, signature, options)


def _for_c(function: Callable[..., Any], signature: Any, options: dict[str, Any]) -> Any:
    from .entry import Cache, pipeline

    on_disk = options.pop("cache", False)
    made = CFunc(
        function, sigutils.normalize_signature(signature), {}, options,
        pipeline(lambda: _thin(function, signature, False)),
    )  # fmt: skip
    if on_disk:
        made._cache = Cache(function)
    made.compile()
    return made


def _kernel(function: Callable[..., Any], signature: Any, options: dict[str, Any]) -> Any:
    from .entry import Cache, pipeline

    on_disk, fastmath = options.pop("cache", False), options.get("fastmath", False)
    made = numba.njit(
        pipeline_class=pipeline(lambda: _thin(function, signature, fastmath, raises=True)),
        **options,
    )(function)
    if not isinstance(made, Dispatcher):  # as NUMBA_DISABLE_JIT says: Python's own function
        return made
    if on_disk:
        made._cache = Cache(function)
    with typeinfer.register_dispatcher(made):
        made.compile(signature)
    made.disable_compile()
    return made


def _thin(
    function: Callable[..., Any], signature: Any, fastmath: Any, raises: bool = False
) -> Callable[..., Any]:
    """The same function for Numba, which finds but one instruction in it."""
    kinds, result = sigutils.normalize_signature(signature)
    body = within.written(function, kinds, result, fastmath, raises)
    # In the file of the text and of its module, where Numba looks for them.
    names = ", ".join(inspect.signature(function).parameters)
    text = f"def {function.__name__}({names}): return _body({names})"
    space = {"_body": body, "__name__": function.__module__}
    exec(compile(text, function.__code__.co_filename, "exec"), space)
    thin: Any = space[function.__name__]
    thin.__doc__ = function.__doc__
    return thin


def _read(context: Any, builder: Any, *what: Any) -> Any:
    from .reader import as_it_was, read

    if context.enable_boundscheck:  # as NUMBA_BOUNDSCHECK says; Numba writes the checks
        return NotImplemented
    try:
        with as_it_was(builder):
            return read(context, builder, *what)
    except Exception:  # Unknown, or an error in the text, of which Numba speaks better
        return NotImplemented


within.read_by(_read)
