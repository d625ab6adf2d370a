"""`make_graphed(step)`: a whole training step as a CUDA graph, which the host launches as one.

    graphed    Graphed: which call runs as it stands, which is captured, which is replayed
    variant    Variant: a captured graph, with its memory
    watch      what the step takes from outside, and what the host does in it
    launches   steps of optimizers: launches whose coefficients lie in memory
    numbers    that memory, and how the host writes to it
    refusals   what cannot be captured, and what to write instead

Matrix products go by a cuBLAS handle of our own (`kernels/cublas.py`), and rules by kernels that
read their coefficients from memory (`source("graph")`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...arrays.device import device_of, is_available
from ...compiled import compile
from ...core.node import Variable
from ...nn.module import Module
from .refusals import CaptureError

__all__ = ["CaptureError", "make_graphed"]


def make_graphed(step: Callable[..., Any], *inputs: Any) -> Any:
    """What `cuda.make_graphed` returns; the text stands there."""
    if isinstance(step, Module) or not callable(step):
        raise TypeError(
            f"make_graphed: expected a function that takes a training step, got "
            f"{type(step).__name__}"
        )
    kinds = {device_of(x.array).type for x in inputs if isinstance(x, Variable)}
    if len(kinds) > 1:
        raise RuntimeError(
            "make_graphed: Expected all inputs to be on the same device, but found at least two "
            "devices, cuda:0 and cpu"
        )
    on_gpu = "cuda" in kinds or (not kinds and is_available())
    if not on_gpu:
        return compile(step)
    from .graphed import Graphed

    return Graphed(step)
