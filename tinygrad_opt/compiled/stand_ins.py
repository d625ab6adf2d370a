"""What stands in for random numbers and for clipping while a step is traced."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import drawing, random
from ..core.tensor import wrap
from .namespace import SPACE
from .trace import Trace
from .traced import Traced

__all__ = ["Clipping", "Stream", "promised"]


class Clipping:
    """The inner functions of `nn.utils.clip_grad`, on traced gradients."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def norm_of(self, arrays: list[Any], order: float) -> tuple[Any, Any]:
        """The common norm of gradients: as a tensor of their type, and in float64."""
        self.trace.path.append("clip")
        try:
            wide = [abs(Traced(a.value).astype(np.float64)) for a in arrays]
            if order == np.inf:
                parts = [w.max() for w in wide]
                norm = parts[0]
                for part in parts[1:]:
                    norm = SPACE.maximum(norm, part)
            elif order <= 0:
                self.trace.refuse(f"clips by the norm of order {order}, which has no compiled form")
            else:
                total = None
                for w in wide:
                    part = (w * w if order == 2 else w if order == 1 else w**order).sum()
                    total = part if total is None else total + part
                norm = SPACE.full((), 0.0, np.float64) if total is None else total
                if order != 1:
                    norm = SPACE.sqrt(norm) if order == 2 else norm ** (1 / order)
        finally:
            self.trace.path.pop()
        kind = np.result_type(*{a.dtype for a in arrays}) if arrays else np.dtype(np.float32)
        return wrap(norm.astype(kind)), norm

    def scale(self, arrays: list[Any], max_norm: float, norm: Any) -> None:
        if not isinstance(norm, Traced):
            norm = SPACE.full((), norm, np.float64)
        self.trace.path.append("clip")
        factor = SPACE.minimum(max_norm / (norm + 1e-6), 1.0)  # NaN stays NaN
        for array in arrays:
            array *= factor.astype(array.dtype)
        self.trace.path.pop()


class Stream:
    """NumPy's generator, of whose numbers none has a compiled form."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def __getattr__(self, name: str) -> Any:
        self._trace.refuse(f"draws random numbers ({name}), which has no compiled form")


def promised(
    trace: Trace, kind: str, shape: Any, dtype: Any, given: Any, numbers: tuple[float, ...]
) -> Traced:
    """The numbers of `drawing.drawn`, which each call of the step draws anew, into one array."""
    chosen = given or random.current()
    trace.generators.setdefault(id(chosen), (chosen, random.place_of(chosen)))  # put back later
    data = np.empty(shape, dtype)
    drawing.fill(data, kind, chosen, numbers)

    def fill(array: Any) -> None:
        drawing.fill(array, kind, given, numbers)

    value = trace.add("draw", (), {"dtype": data.dtype.name}, data)
    trace.draws.append((value, fill))
    return Traced(value)
