"""`summary`: the layers of a model, what comes out of them, their parameters and their memory."""

from __future__ import annotations

import copy
from typing import Any

from ...arrays import random
from ...autograd.modes import enable_grad
from ...core.node import next_rank
from ...core.tensor import Tensor
from ...func.tree import leaves
from ...nn.module import Module
from ...nn.parameter import is_lazy
from ...tensors.creation import zeros
from ..checks import check_model
from .memory import memory_of_graph
from .table import LayerRow, Summary

__all__ = ["summary"]


def summary(model: Module, *inputs: Any, dtype: Any = None, **kwargs: Any) -> Summary:
    """The layers of a model: output shapes, parameters, memory for backward. Print it.

    inputs: what the model is called with; a tuple of ints is a shape, of zeros (dtype: of what
    type). Without any input the model is not called, and only parameters are told. kwargs: more
    arguments of the model.

    A copy of the model is called, so the model, its buffers, modes and gradients and the random
    generator stay as they are, and lazy layers stay lazy. A parameter that several layers share
    counts in the first. Memory for backward is what the recorded graph holds after the call:
    outputs, inputs and what pullbacks keep, each once, without parameters, buffers and the model's
    inputs. It is taken in the model's present mode, and is zero where nothing requires a gradient.

    >>> from tinygrad_opt import nn
    >>> print(summary(nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)), (16, 64)))
    layer        output    parameters    saved
    ──────────────────────────────────────────
    Sequential   (16, 10)           0      0 B
      0: Linear  (16, 32)       2,080  2.0 KiB
      1: ReLU    (16, 32)           0  2.0 KiB
      2: Linear  (16, 10)         330    640 B
    ──────────────────────────────────────────
    2,410 parameters (9.4 KiB): 2,410 trainable, 0 frozen
    kept for backward: 4.6 KiB
    """
    check_model("summary", model)
    ran = bool(inputs or kwargs)
    twin = copy.deepcopy(model)
    modules = dict(twin.named_modules())
    rows = {name: LayerRow(name, type(module).__name__) for name, module in modules.items()}
    saved = None
    if ran:
        given = [zeros(x, dtype=dtype) if _is_shape(x) else x for x in inputs]
        state = random.state_of(random.current())
        try:
            saved = _call(twin, modules, rows, given, kwargs)
        finally:
            random.set_rng_state(state)
    _count(modules, rows)
    return Summary(
        list(rows.values()),
        sum(p.array.nbytes for p in twin.parameters() if not is_lazy(p)),
        sum(b.array.nbytes for b in twin.buffers() if not is_lazy(b)),
        saved,
    )


def _call(twin: Module, modules: Any, rows: Any, inputs: list[Any], kwargs: Any) -> int:
    """Run the copy with eyes on every module; fill the rows; return the bytes kept in all."""
    spans: list[tuple[int, int, LayerRow]] = []  # the clock of the graph runs backwards
    begun: list[tuple[int, LayerRow]] = []
    for name, module in modules.items():

        def after(module: Any, args: Any, output: Any, row: LayerRow = rows[name]) -> None:
            spans.append((begun.pop()[0], next_rank(), row))
            row.calls += 1
            if row.calls == 1:
                row.output_shapes = [x.shape for x in leaves(output) if isinstance(x, Tensor)]

        def before(module: Any, args: Any, row: LayerRow = rows[name]) -> None:
            begun.append((next_rank(), row))

        module.register_forward_pre_hook(before)
        module.register_forward_hook(after)
    with enable_grad():
        try:
            output = twin(*inputs, **kwargs)
        except Exception as error:
            error.add_note(_where(begun, [row for _, _, row in spans]))
            raise
    known = [*twin.parameters(), *twin.buffers(), *leaves(inputs), *leaves(kwargs)]
    total = 0
    for rank, size in memory_of_graph(leaves(output), known):
        total += size
        for start, stop, row in spans:  # inner modules end first, so the innermost is found first
            if start > rank > stop:
                row.saved_bytes += size
                break
    return total


def _where(begun: list[tuple[int, LayerRow]], done: list[LayerRow]) -> str:
    """In which layer a call ended early, and what the one before it returned."""
    inside = begun[-1][1] if begun else None
    text = f"summary: in {_titled(inside)}" if inside else "summary: before any layer"
    if done:
        shapes = ", ".join(str(tuple(shape)) for shape in done[-1].output_shapes)
        text += f", after {_titled(done[-1])} had returned {shapes or 'no tensor'}"
    return text


def _titled(row: LayerRow) -> str:
    return f"{row.name} ({row.kind})" if row.name else f"the model ({row.kind})"


def _count(modules: dict[str, Module], rows: dict[str, LayerRow]) -> None:
    seen: set[int] = set()
    for name, module in modules.items():
        row = rows[name]
        row.kind = type(module).__name__  # a lazy one has become another
        for p in module.parameters(recurse=False):
            size = 0 if is_lazy(p) else p.numel()
            if id(p) in seen:
                row.shared += size
            else:
                seen.add(id(p))
                row.parameters += size
                row.trainable += size if p.requires_grad else 0


def _is_shape(x: Any) -> bool:
    return isinstance(x, tuple) and all(type(n) is int for n in x)
