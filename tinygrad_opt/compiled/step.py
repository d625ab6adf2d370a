"""`compile`: the first call of a step runs eagerly, the second is traced, the rest run compiled."""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable
from typing import Any

from ..core.node import Variable
from ..core.record import mode
from ..kernels import blas
from ..nn.module import Module
from .build import Variant
from .tree import flatten
from .values import CompileError

__all__ = ["CompileError", "Compiled", "compile"]

MOST = 8  # kinds of arguments that one step is compiled for


class Compiled:
    """A step that runs compiled where it can, and eagerly where it cannot."""

    def __init__(self, step: Callable[..., Any], strict: bool = False) -> None:
        self.step, self.strict = step, strict
        self.variants: dict[Any, Variant] = {}
        self.notes: list[str] = []
        self._calls = 0
        self._eager = False  # for good
        self._lock = threading.RLock()
        functools.update_wrapper(self, step, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._eager or self._calls == 0:
            self._calls += 1
            return self.step(*args, **kwargs)
        leaves, shape = flatten((args, kwargs))
        key = (
            repr(shape), mode.enabled,
            *[(t.array.shape, t.array.dtype, t._requires_grad) for t in leaves],
        )  # fmt: skip
        with self._lock:
            variant = self.variants.get(key)
            if variant is None or not variant.fits():
                variant = self._build(key, leaves, args, kwargs)
            if variant is None:
                return self.step(*args, **kwargs)
            result = variant(leaves)
        return self.step(*args, **kwargs) if result is NotImplemented else result

    def _build(self, key: Any, leaves: list[Any], args: Any, kwargs: Any) -> Variant | None:
        try:
            if not blas.is_available():
                raise CompileError("compile: NumPy's BLAS is not OpenBLAS here; steps stay eager")
            variant = Variant(self.step, leaves, args, kwargs)
        except CompileError as error:
            if self.strict:
                raise
            self._eager = True
            warnings.warn(f"{error} The step stays eager.", RuntimeWarning, 4)
            return None
        self.variants[key] = variant
        return variant

    def source(self) -> str:
        """The text of the compiled step, of the latest kind of arguments."""
        return self._latest().source

    def _latest(self) -> Variant:
        if not self.variants:
            raise RuntimeError("compile: nothing is compiled yet; that happens in the second call")
        return list(self.variants.values())[-1]


def compile(step: Any = None, *, strict: bool = False, **_: Any) -> Any:
    """Compile a training step: forward, loss, backward, clipping, optimizer and scheduler."""
    if step is None:
        return lambda step: compile(step, strict=strict)
    if isinstance(step, Module):
        return step
    return Compiled(step, strict)


_ = Variable
