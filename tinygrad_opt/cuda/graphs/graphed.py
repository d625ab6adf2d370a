"""`Graphed`: the first call of a step runs as it stands, so does the second; the third is captured.

It keeps a `Variant` for each kind of inputs, and looks before each call whether all that the graph
took from outside is as it was. Where it is not, that call runs as it stands, and the next captures
anew: no call is ever a replay of something else.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from ...arrays.device import cupy
from ...arrays.dtypes import get_default_dtype
from ...compiled.tree import flatten
from ...compiled.values import CompileError
from ...core.backward import watch
from ...core.record import mode
from .launches import Changed
from .refusals import CaptureError, Unsettled, refuse
from .variant import Variant, rehearsed

__all__ = ["Graphed"]

MOST = 4  # graphs that are kept, each with memory of its own


class Graphed:
    """A training step on the GPU that is replayed as one CUDA graph.

    step    the function
    notes   why calls after the third ran as they stand, each reason once

    Made by `make_graphed`.
    """

    def __init__(self, step: Callable[..., Any]) -> None:
        self.step = step
        self.notes: list[str] = []
        self._variants: dict[Any, list[Variant]] = {}
        self._rehearsed: dict[Any, int] = {}  # of kinds whose last call was one: bytes of numbers
        self._first = True
        self._unsettled = 0
        self._lock = threading.RLock()
        functools.update_wrapper(self, step, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take one step; what it returns has no graph of autograd.

        Raises CaptureError where the step cannot be captured; then nothing has been done.
        """
        if self._first:  # kernels are compiled, parameters laid end to end
            self._first = False
            return self.step(*args, **kwargs)
        with self._lock:
            leaves, shape, key = _kind_of(args, kwargs)
            if watch.guard is not None:
                self._note("anomaly detection looks at each operation")
                return self.step(*args, **kwargs)
            why = None
            for variant in self._variants.get(key, ()):
                why = variant.why_not()
                if why is None:
                    try:
                        result = variant.replay(leaves)
                    except Changed as error:
                        self._variants[key].remove(variant)
                        why = str(error)
                        break
                    self._rehearsed.pop(key, None)
                    return result
            if key in self._rehearsed:
                try:
                    return self._captured(key, leaves, shape)
                except Unsettled:
                    self._unsettled += 1
                    if self._unsettled > 2:
                        refuse(
                            "each call makes something anew that the next one finds, as groups, "
                            "state or gradients of an optimizer; make it outside the step"
                        )
            elif why is not None:
                self._note(why)
            result, self._rehearsed[key] = rehearsed(cupy(), lambda: self.step(*args, **kwargs))
            return result

    def _captured(self, key: Any, leaves: list[Any], shape: Any) -> Any:
        """The step captured, as it was rehearsed in the last call, and taken."""
        variant = Variant(cupy(), self.step, leaves, shape, self._rehearsed[key])
        del self._rehearsed[key]
        self._unsettled = 0
        kept = self._variants.pop(key, [])
        self._variants[key] = [variant, *kept]  # the last one that was captured for comes last
        if sum(map(len, self._variants.values())) > MOST:
            oldest = next(k for k, variants in self._variants.items() if len(variants) > (k == key))
            self._variants[oldest].pop()
        return variant.first(leaves)

    def _note(self, why: str) -> None:
        text = f"make_graphed: a call ran as it stands: {why}"
        if text not in self.notes:
            self.notes.append(text)


def _kind_of(args: Any, kwargs: Any) -> tuple[list[Any], Any, Any]:
    """The tensors among the arguments, the rest, and what a graph is captured for."""
    try:
        leaves, shape = flatten((args, kwargs))
    except CompileError as error:
        text = str(error).removeprefix("compile: ").replace("compiled step", "graphed step")
        raise CaptureError(f"make_graphed: {text}") from None
    library = cupy()
    for number, t in enumerate(leaves):
        if type(t.array) is not library.ndarray:
            refuse(f"input {number} lies on {t.device}, and the graph on the GPU; pass "
                   "x.to('cuda')")  # fmt: skip
        if t._requires_grad:
            refuse(f"input {number} requires a gradient, and a graph has inputs of its own; pass "
                   "x.detach(), or use the tensor from outside, as a parameter")  # fmt: skip
    kinds = [(type(t), t.array.shape, t.array.dtype.str) for t in leaves]
    return leaves, shape, (repr(shape), mode.enabled, get_default_dtype(), *kinds)
