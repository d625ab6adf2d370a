"""What a graph cannot hold, and what to write instead."""

from __future__ import annotations

import linecache
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

__all__ = ["CaptureError", "Unsettled", "explained", "refuse", "why_not"]

_PACKAGE = str(Path(__file__).parents[2])


class CaptureError(RuntimeError):
    """A step that cannot become a graph; the text says what does not fit, and what to write."""


class Unsettled(Exception):
    """Something is made in this call that the next ones find: it has to run as it stands."""


def refuse(what: str, error: BaseException | None = None) -> NoReturn:
    """Raise the CaptureError of a fault."""
    raise CaptureError(f"make_graphed: {what}") from error


# What CuPy and CUDA say in a capture -> what the operation does, and what to write.
_KINDS = (
    (("D2H",), "reads a result on the host, and a replay waits for nothing. Return the tensor from "
               "the step and read it after the call; decide on the device, with torch.where"),
    (("H2D",), "copies numbers from the host, and a replay would have the same ones for ever. Make "
               "the tensor once, outside the step, or pass it as an input of the step"),
    (("cublas", "cusolver", "cusparse", "curand", "cufft"),
     "calls a library of CUDA that CuPy keeps out of captures. Call it outside the step"),
    (("captur",), "cannot be captured: it waits for the GPU. Move it out of the step"),
)  # fmt: skip


def explained(error: Exception) -> Exception:
    """The CaptureError for what CuPy said in a capture; an error of the step itself as it is."""
    if isinstance(error, CaptureError):
        return error
    text = f"{type(error).__name__}: {error}".lower()
    for marks, meaning in _KINDS:
        if any(mark.lower() in text for mark in marks):
            made = CaptureError(f"make_graphed: {_place(error.__traceback__)}{meaning} ({error})")
            made.__cause__ = error
            return made
    return error


def _place(trace: TracebackType | None) -> str:
    """`train.py:31, "x[mask]", `: the innermost line of the user that calls us, and its text."""
    found = last = None
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.startswith(_PACKAGE):
            found, last = last or found, None
        elif not file.startswith("<"):  # what the package writes itself
            last = file, trace.tb_lineno
        trace = trace.tb_next
    found = found or last
    if found is None:
        return "the step "
    text = linecache.getline(*found).strip()
    return f"{Path(found[0]).name}:{found[1]}, {text[:80]!r}, "


def why_not(optimizer: Any, plain: Any) -> str | None:
    """Why the step of an optimizer is more than launches of its rule; None if it is not.

    plain: the class Optimizer.
    """
    name, kind = type(optimizer).__name__, type(optimizer)
    outside = (
        "; leave optimizer.step() out of the step that make_graphed gets, and call it afterwards: "
        "forward, backward and clipping are still one graph"
    )
    if kind.step is not plain.step:
        return f"{name}.step() is its own, with decisions of the host{outside}"
    if kind.update is not plain.update:
        return f"{name} does more in a step than launch its rule, and decides on the host{outside}"
    if any(group.get("cautious") for group in optimizer.param_groups):
        return f"{name}(cautious=True) counts on the host what it steps{outside}"
    return None
