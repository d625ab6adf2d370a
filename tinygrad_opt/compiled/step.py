"""`Compiled`: the first call of a step runs eagerly, the second is traced, the rest run compiled.

It keeps a `Variant` for each kind of arguments, and looks before each call whether all that
was taken from outside is as it was. Where it is not, that call runs eagerly, and the next compiles
anew.
"""

from __future__ import annotations

import functools
import os
import threading
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays.dtypes import get_default_dtype
from ..core.backward import watch
from ..core.record import mode
from ..kernels import blas
from . import inspection
from .build import Variant
from .trace import raised_at
from .traced import active
from .tree import flatten
from .values import CompileError

__all__ = ["Compiled"]

MOST = 8  # kinds of arguments that one step is compiled for


class Compiled:
    """A step that runs as one generated function where it can, and eagerly where it cannot.

    step    the function that was compiled
    notes   why calls ran eagerly, each reason once

    Made by `compile`.
    """

    def __init__(self, step: Callable[..., Any], strict: bool = False) -> None:
        self.step, self.strict = step, strict
        self.notes: list[str] = []
        self._variants: dict[Any, list[Variant]] = {}
        self._latest: Variant | None = None
        self._unsettled: set[Any] = set()  # kinds of arguments whose last call did not fit
        self._first = True
        self._eager = False  # for good
        self._methods: dict[int, Any] = {}  # id of an instance -> (weak reference, its Compiled)
        self._refused = 0
        self._lock = threading.RLock()
        functools.update_wrapper(self, step, updated=())
        _all.add(self)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """The step as a method: each instance has one of its own."""
        if instance is None:
            return self
        key = id(instance)
        known = self._methods.get(key)
        if known is not None and known[0]() is instance:
            return Method(known[1], instance)
        try:
            reference = weakref.ref(instance, lambda _: self._methods.pop(key, None))
        except TypeError:  # what cannot be referred to weakly keeps none
            return Compiled(self.step.__get__(instance, owner), self.strict)
        own = Compiled(_WeakMethod(self.step, reference), self.strict)
        self._methods[key] = reference, own
        return Method(own, instance)

    def __reduce__(self) -> Any:
        return Compiled, (self.step, self.strict)  # copies and pickles compile anew

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the step; what it returns has no graph."""
        if self._eager or self._first or active.trace is not None:  # a step within a step
            self._first = False
            return self.step(*args, **kwargs)
        with self._lock:
            latest = self._latest
            if latest is not None and not kwargs and latest.takes(args) and latest.fits():
                result = latest.run(args)  # nearly always, and quicker to find out
                if result is not NotImplemented:
                    return result
            try:
                leaves, shape = flatten((args, kwargs))
            except CompileError as error:
                self._refuse(str(error), error)
                return self.step(*args, **kwargs)
            key = (
                repr(shape), mode.enabled, get_default_dtype(),
                *[(t.array.shape, t.array.dtype, t._requires_grad) for t in leaves],
                *_firsts(leaves),
            )  # fmt: skip
            variant = self._variant(key, leaves, args, kwargs)
            if variant is not None:
                result = variant.run(leaves)
                if result is not NotImplemented:
                    return result
                self._note("compile: an index or a class is not what the compiled step expects.")
        return self.step(*args, **kwargs)

    def _variant(self, key: Any, leaves: list[Any], args: Any, kwargs: Any) -> Variant | None:
        """The variant for these arguments, compiled if need be; None for an eager call."""
        if watch.guard is not None:
            self._note("compile: anomaly detection looks at each operation; the step runs eagerly.")
            return None
        known = self._variants.get(key, ())
        for variant in known:
            if variant.fits():
                self._latest = variant
                self._unsettled.discard(key)
                return variant
        if known and key not in self._unsettled:
            self._unsettled.add(key)
            self._note("compile: something that the step uses was changed: one call runs eagerly.")
            return None
        if sum(map(len, self._variants.values())) >= MOST:
            self._refuse(
                f"compile: {MOST} kinds of arguments and states were compiled; the others run "
                "eagerly. Pad the batches, or drop the last one (drop_last=True)."
            )
            return None
        try:
            variant = self._made(leaves, args, kwargs)
        except CompileError as error:
            self._refused += 1
            self._eager = not self._variants or self._refused > 2
            self._refuse(f"{error}. The step stays eager.", error)
            return None
        self._unsettled.discard(key)
        self._variants.setdefault(key, []).append(variant)
        self._latest = variant
        return variant

    def _made(self, leaves: list[Any], args: Any, kwargs: Any) -> Variant:
        if not blas.is_available():
            raise CompileError(
                "compile: NumPy's matrix products are not OpenBLAS's here, which generated steps "
                "call by name"
            )
        try:
            return Variant(self.step, leaves, args, kwargs)
        except CompileError:
            raise
        except Exception as error:
            if self.strict:
                self.step(*args, **kwargs)  # an error of the step itself is raised here
            raise CompileError(
                f"compile: {raised_at(error)}cannot be traced ({type(error).__name__}: {error})"
            ) from error

    def _refuse(self, text: str, error: CompileError | None = None) -> None:
        """Say once that the step runs eagerly; with `strict`, raise."""
        if self.strict:
            raise error or CompileError(text)
        self._note(text, warn=True)

    def _note(self, text: str, warn: bool = False) -> None:
        if text not in self.notes:
            self.notes.append(text)
            if warn:
                warnings.warn(text, RuntimeWarning, 5)

    # What was made of it -------------------------------------------------------------------------

    def source(self) -> str:
        """The text of the generated file that ran last."""
        return self._made_last().source

    def llvm(self) -> str:
        """Its optimised LLVM."""
        return inspection.llvm(self._made_last())

    def asm(self) -> str:
        """It in this processor's assembly."""
        return inspection.asm(self._made_last())

    def explain(self) -> str:
        """What was captured, what shares a loop, what memory is used, what stays in Python."""
        return inspection.explain(self._made_last(), self.notes)

    def profile(self, *args: Any, calls: int = 100) -> str:
        """The time of each line of the generated step, for these arguments.

        It runs on copies of parameters and states, so nothing is trained. Minima over `calls`.
        """
        leaves, _ = flatten((args, {}))
        return inspection.profile(self._made_last(), leaves, calls)

    def _made_last(self) -> Variant:
        if self._latest is None:
            why = f": {self.notes[-1]}" if self.notes else "; that happens in the second call"
            raise RuntimeError(f"compile: nothing is compiled yet{why}")
        return self._latest


class Method:
    """A compiled step as a method of an instance, which it holds; the step itself does not.

    It has all that a `Compiled` has.
    """

    def __init__(self, compiled: Compiled, instance: Any) -> None:
        self._compiled, self._instance = compiled, instance

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._compiled(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._compiled, name)

    def __reduce__(self) -> Any:
        return getattr, (self._instance, self._compiled.step.__name__)


class _WeakMethod:
    """A function of an instance that may go while this stays."""

    def __init__(self, function: Callable[..., Any], reference: Any) -> None:
        functools.update_wrapper(self, function, updated=())
        self.__func__, self._reference = function, reference

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__func__(self._reference(), *args, **kwargs)


def _firsts(leaves: list[Any]) -> list[int]:
    """For each tensor the number of the first that has some of the same memory."""
    arrays = [t.array for t in leaves]
    return [next(k for k, b in enumerate(arrays) if b is a or _overlap(a, b)) for a in arrays]


def _overlap(a: Any, b: Any) -> bool:
    return bool(np.may_share_memory(a, b))


_all: weakref.WeakSet[Compiled] = weakref.WeakSet()


def _after_fork() -> None:
    for compiled in _all:
        compiled._lock = threading.RLock()  # another thread may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
